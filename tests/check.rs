//! `mpass check` as an author meets it: verdicts on plugins good and bad, the list, and what replays a failure.

mod built;
mod mpass;

use mpass::{folder, run};
use serde_json::Value;
use std::path::Path;

/// `mpass check FILE --json ARGUMENTS`: exit status and report.
fn check(file: &Path, arguments: &[&str]) -> (i32, Value) {
    let folder = folder("check");
    let arguments: Vec<&str> = ["check", file.to_str().unwrap(), "--json"].iter().chain(arguments).copied().collect();
    let ended = run(&folder, &arguments);
    let report = serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {ended:?}"));
    (ended.code.unwrap(), report)
}

/// Name and verdict of every test that is neither passed nor skipped.
fn remarkable(report: &Value) -> Vec<(String, String)> {
    let text = |test: &Value, key: &str| test[key].as_str().unwrap().to_owned();
    let tests = report["tests"].as_array().unwrap();
    let remarkable = tests.iter().filter(|test| !["pass", "skip"].contains(&test["verdict"].as_str().unwrap()));
    remarkable.map(|test| (text(test, "name"), text(test, "verdict"))).collect()
}

fn test<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["tests"].as_array().unwrap().iter().find(|test| test["name"] == name).unwrap()
}

#[test]
fn our_surfaces_keep_the_contract() {
    let file = built::cdylib("mountainpass-surfaces-so");
    let (code, report) = check(&file, &["--model", "three-hump-camel"]);
    assert_eq!((code, remarkable(&report)), (0, vec![]), "{report:#}");
    assert_eq!((report["plugin"]["name"].as_str(), report["plugin"]["minor"].as_u64()), (Some("surfaces"), Some(1)));
}

#[test]
fn a_file_that_is_no_plugin_is_a_verdict_and_one_that_is_not_there_is_usage() {
    let (code, report) = check(&built::root().join("Cargo.toml"), &[]);
    assert_eq!((code, remarkable(&report)), (1, vec![("load.opens".into(), "fail".into())]));
    let opens = test(&report, "load.opens");
    assert_eq!(opens["got"], "invalid ELF header");
    assert_eq!(opens["rule"], "A plugin is one shared library");
    assert_eq!(test(&report, "value.answers")["reason"], "needs load.opens, which failed");
    let ended = run(&folder("check-usage"), &["check", "no such file.so"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert_eq!(ended.stderr, "mpass: no such file.so: No such file or directory (os error 2)\n");
}

#[test]
fn the_list_is_the_specification() {
    let folder = folder("check-list");
    let ended = run(&folder, &["check", "--list"]);
    assert_eq!(ended.code, Some(0));
    let list: Value = serde_json::from_str(&run(&folder, &["check", "--list", "--json"]).stdout).unwrap();
    let tests = list["tests"].as_array().unwrap();
    assert_eq!(tests.len(), ended.stdout.lines().count());
    for (line, test) in ended.stdout.lines().zip(tests) {
        let (name, claim) = line.split_once(' ').unwrap();
        assert_eq!((name, claim.trim()), (test["name"].as_str().unwrap(), test["claim"].as_str().unwrap()));
    }
}
