//! Runs that are stopped, by a budget, by Ctrl-C, by a kill, and go on to the barcode of a run that was not.
#![cfg(all(feature = "cli", feature = "faer", feature = "surfaces"))]

mod mpass;

use mpass::{Ended, bytes, contents, file, folder, mpass, run, succeeds};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Command;

/// A second or two of work, with way-stations and symmetric copies.
const DIGITS: &str = "[loss]\nbackend = \"faer\"\nmodel = \"mlp:64-2-10:tanh\"\ndata = \"digits\"\nlimit = 60\nl2 = 1e-2\n\
                      [minima]\nstarts = 4\n[paths]\nvisits = 5\n";

/// Puts a budget into the configuration; `section` stands in it already or comes after all others.
fn limited(section: &str, budget: &str) -> String {
    match DIGITS.contains(section) {
        true => DIGITS.replace(section, &format!("{section}\n{budget}")),
        false => format!("{DIGITS}{section}\n{budget}\n"),
    }
}

/// The barcode of a run that nothing stopped.
fn undisturbed(folder: &Path) -> Vec<u8> {
    file(folder, "run.toml", DIGITS);
    succeeds(folder, &["run", "run.toml", "--out", "undisturbed"]);
    bytes(&folder.join("undisturbed"), "barcode.json")
}

#[test]
fn a_spent_budget_once_raised_ends_in_the_same_bytes() {
    let folder = folder("budgets");
    let expected = undisturbed(&folder);
    let summary = bytes(&folder.join("undisturbed"), "summary.json");
    let spent = &serde_json::from_slice::<serde_json::Value>(&summary).unwrap()["evaluations"];
    let spent =
        |stage: &str| ["loss", "gradient", "hessian_product"].iter().map(|k| spent[stage][k].as_u64().unwrap()).sum();
    let (minima, paths): (u64, u64) = (spent("minima"), spent("paths"));
    // Before any minimum, between two minima, between lines, between visits.
    for (section, evaluations, found) in [
        ("[budget]", 20, Some(false)),
        ("[budget]", minima * 9 / 10, None),
        ("[budget]", minima + paths / 20, Some(true)),
        ("[budget]", minima + paths / 2, Some(true)),
        ("[paths]", 0, Some(true)),
        ("[paths]", paths * 9 / 10, Some(true)),
    ] {
        file(&folder, "run.toml", limited(section, &format!("evaluations = {evaluations}")));
        let ended = run(&folder, &["run", "run.toml", "--out", "out"]);
        assert!(ended.stderr.ends_with("go on with: mpass run run.toml --out out --resume\n"), "{}", ended.stderr);
        let report = folder.join("out/barcode.json");
        assert_eq!(ended.code, Some(if report.exists() { 0 } else { 1 }), "{section} {evaluations}: {}", ended.stderr);
        assert!(found.is_none_or(|found| found == report.exists()), "{section} {evaluations}: {}", ended.stderr);
        file(&folder, "run.toml", DIGITS);
        succeeds(&folder, &["run", "run.toml", "--out", "out", "--resume"]);
        assert!(bytes(&folder.join("out"), "barcode.json") == expected, "{section} {evaluations}");
        std::fs::remove_dir_all(folder.join("out")).unwrap();
    }
}

#[test]
fn four_paths_at_once_give_the_same_bytes_on_any_number_of_threads_and_after_stops() {
    let folder = folder("at once");
    let four = DIGITS.replace("[paths]", "[paths]\nat_once = 4");
    file(&folder, "run.toml", &four);
    let told = |out: &str| {
        let summary = serde_json::from_slice::<serde_json::Value>(&bytes(&folder.join(out), "summary.json")).unwrap();
        (bytes(&folder.join(out), "barcode.json"), summary["evaluations"].clone())
    };
    for threads in ["1", "2"] {
        succeeds(&folder, &["run", "run.toml", "--out", threads, "--threads", threads]);
    }
    assert!(told("1") == told("2"));
    let spent = told("1").1["paths"]["gradient"].as_u64().unwrap();
    for part in [3, 2] {
        file(&folder, "run.toml", four.replace("[paths]", &format!("[paths]\nevaluations = {}", spent / part)));
        let ended =
            run(&folder, &["run", "run.toml", "--out", "stopped", if part == 3 { "--force" } else { "--resume" }]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains("go on with: "), "{}", ended.stderr);
    }
    file(&folder, "run.toml", &four);
    succeeds(&folder, &["run", "run.toml", "--out", "stopped", "--resume"]);
    assert!(told("stopped").0 == told("1").0);
}

/// Starts a run, waits until a line of its stderr begins with `stage`, and sends it signals.
fn stopped(folder: &Path, stage: &str, signals: &[&str]) -> Ended {
    let mut child = mpass(folder, ["run", "run.toml", "--out", "out"]).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.lines().last().is_some_and(|line| line.starts_with(stage)) {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "the run ended before {stage}: {said}");
    }
    for signal in signals {
        let kill = Command::new("kill").arg(signal).arg(child.id().to_string()).status().unwrap();
        assert!(kill.success());
    }
    stderr.read_to_string(&mut said).unwrap();
    Ended { stderr: said, ..mpass::ended(child) }
}

#[test]
fn an_interrupted_run_keeps_what_it_found_and_goes_on() {
    let folder = folder("interrupt");
    let expected = undisturbed(&folder);
    let ended = stopped(&folder, "paths", &["-INT"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("stopping; once more to stop at once\n"), "{}", ended.stderr);
    let last = "stopped; what was found is kept. Go on with: mpass run run.toml --out out --resume\n";
    assert!(ended.stderr.ends_with(last), "{}", ended.stderr);
    assert!(ended.stdout.contains(" minima; ") && ended.stdout.contains("stopped"), "{}", ended.stdout);
    let out = folder.join("out");
    // One file, no log beside it: the database was closed; and what it holds is what was printed.
    assert!(contents(&out).iter().all(|(name, _)| !name.starts_with("landscape.sqlite-")));
    assert_eq!(succeeds(&folder, &["show", "out"]).stdout, ended.stdout);
    assert_ne!(bytes(&out, "barcode.json"), expected, "the run had ended already");

    let refused = run(&folder, &["run", "run.toml", "--out", "out"]);
    let line = "mpass: out holds an unfinished run: go on with --resume, or begin again with --force\n";
    assert_eq!((refused.code, refused.stderr.as_str()), (Some(2), line));
    succeeds(&folder, &["run", "run.toml", "--out", "out", "--resume"]);
    assert!(bytes(&out, "barcode.json") == expected);
}

#[test]
fn a_killed_run_loses_nothing_that_matters() {
    let folder = folder("kill");
    let expected = undisturbed(&folder);
    for stage in ["minima", "paths"] {
        let ended = stopped(&folder, stage, &["-KILL"]);
        assert_eq!(ended.code, None);
        assert!(!folder.join("out/barcode.json").exists());
        succeeds(&folder, &["run", "run.toml", "--out", "out", "--resume"]);
        assert!(bytes(&folder.join("out"), "barcode.json") == expected, "killed in {stage}");
        std::fs::remove_dir_all(folder.join("out")).unwrap();
    }
    // Killed before the first table was made.
    std::fs::create_dir(folder.join("out")).unwrap();
    file(&folder, "out/landscape.sqlite", "");
    succeeds(&folder, &["run", "run.toml", "--out", "out"]);
    assert!(bytes(&folder.join("out"), "barcode.json") == expected);
}

#[test]
fn force_begins_again_and_leaves_nothing_of_the_old_run() {
    let folder = folder("force");
    let camel = "[loss]\nbackend = \"surfaces\"\nmodel = \"three-hump-camel\"\n";
    file(&folder, "run.toml", camel);
    succeeds(&folder, &["run", "run.toml"]);
    file(&folder, "run/notes.txt", "mine");
    file(&folder, "run.toml", format!("{camel}[minima]\nseed = 27\n[budget]\nevaluations = 1\n"));
    assert_eq!(run(&folder, &["run", "run.toml", "--force"]).code, Some(1));
    let left: Vec<String> = contents(&folder.join("run")).into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, ["landscape.sqlite", "notes.txt"]);
}
