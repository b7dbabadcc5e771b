//! Plugins that break one promise each: `mpass check` names exactly the test that the sinner's first line announces.
//!
//! A sin that no test finds, or that two of them find, is a fault of the checker or of the sinner; either way it shows
//! here. The decent backend they are all made of must not fail at all.

mod built;
mod mpass;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// A sinner's source and the test that must find it; `None` for the one without a sin.
fn sinners() -> Vec<(PathBuf, Option<String>)> {
    let folder = built::root().join("plugins/sinners");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "c" || end == "cpp"));
    files.sort();
    files.into_iter().map(|file| (named_test(&file), file)).map(|(test, file)| (file, test)).collect()
}

/// What the first line of a source announces.
fn named_test(source: &Path) -> Option<String> {
    let text = std::fs::read_to_string(source).unwrap();
    let line = text.lines().next().unwrap_or_default();
    let (_, name) = line.split_once("FAILS: ").unwrap_or_else(|| panic!("{}: {line}", source.display()));
    let name = name.strip_suffix(" */").unwrap().to_owned();
    (name != "nothing").then_some(name)
}

/// Compiles a sinner as its author would.
fn build(source: &Path, folder: &Path) -> PathBuf {
    let is_cpp = source.extension().is_some_and(|end| end == "cpp");
    let file = folder.join(source.file_stem().unwrap()).with_extension("so");
    let mut compiler = if is_cpp { built::cxx() } else { built::cc() };
    compiler.arg(if is_cpp { "-std=c++17" } else { "-std=c99" });
    compiler.args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-shared", "-fPIC", "-fvisibility=hidden"]);
    built::run(compiler.arg(source).arg("-o").arg(&file).arg("-lm"));
    file
}

/// What is wrong with the verdicts on a sinner, if anything. While the checker lacks the test that it names, it must fail
/// none of the others.
fn complaint(source: &Path, test: Option<&str>, folder: &Path) -> Option<String> {
    let plugin = build(source, folder);
    let ended = mpass::run(folder, &["check", plugin.to_str().unwrap(), "--json", "--seed", "1"]);
    let name = source.file_name().unwrap().display();
    let Ok(checked) = serde_json::from_str::<Value>(&ended.stdout) else { return Some(format!("{name}: {ended:?}")) };
    let bad = |test: &&Value| ["fail", "crash"].contains(&test["verdict"].as_str().unwrap());
    let tests = checked["tests"].as_array().unwrap();
    let failing: Vec<&Value> = tests.iter().filter(bad).collect();
    let names: Vec<&str> = failing.iter().map(|test| test["name"].as_str().unwrap()).collect();
    let expected: Vec<&str> = test.into_iter().filter(|name| tests.iter().any(|test| test["name"] == *name)).collect();
    (names != expected).then(|| format!("{name}: announces {expected:?}, fails {failing:#?}"))
}

#[test]
fn every_sinner_fails_the_one_test_it_names() {
    let folder = mpass::folder("sinners");
    let (queue, complaints) = (Mutex::new(sinners()), Mutex::new(Vec::new()));
    assert!(queue.lock().unwrap().len() > 50);
    std::thread::scope(|scope| {
        let work = || {
            // The lock is not held while a sinner is checked.
            let next = || queue.lock().unwrap().pop();
            while let Some((source, test)) = next() {
                complaints.lock().unwrap().extend(complaint(&source, test.as_deref(), &folder));
            }
        };
        (0..2).for_each(|_| drop(scope.spawn(work)));
    });
    let complaints = complaints.into_inner().unwrap();
    assert!(complaints.is_empty(), "{} of them:\n{}", complaints.len(), complaints.join("\n"));
}

/// Every test of the checker has a sinner that it alone finds, but the one that never fails.
#[test]
fn every_test_has_a_sinner() {
    let folder = mpass::folder("every-test");
    let listed = mpass::succeeds(&folder, &["check", "--list", "--json"]).stdout;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let tests = listed["tests"].as_array().unwrap().iter().map(|test| test["name"].as_str().unwrap());
    let announced: Vec<String> = sinners().into_iter().filter_map(|(_, test)| test).collect();
    let is_missing = |name: &&str| *name != "memory.huge" && !announced.iter().any(|test| test == name);
    let missing: Vec<&str> = tests.filter(is_missing).collect();
    assert!(missing.is_empty(), "nobody sins against {missing:?}");
}

#[test]
fn the_page_for_authors_lists_every_sin() {
    let page = std::fs::read_to_string(built::root().join("docs/writing-a-backend.md")).unwrap();
    for (source, test) in sinners() {
        let Some(test) = test else { continue };
        let name = source.file_name().unwrap().display();
        let line = format!("| `{test}` | [{name}](../plugins/sinners/{name}) |");
        assert!(page.contains(&line), "no line with {line}");
    }
}
