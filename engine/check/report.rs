//! A check in words: lines for a terminal, and the same as JSON.

#![forbid(unsafe_code)]

use super::groups::tests;
use super::run::Checked;
use super::test::Test;
use super::verdict::{Finished, Verdict};
use crate::plain;
use serde_json::json;

/// The width of a column of names.
fn width() -> usize {
    tests().map(|test| test.name.len()).max().unwrap_or(0)
}

/// One test's verdict; a failure is followed by what was claimed, expected and got, and the sentence that is broken.
pub fn line(finished: &Finished) -> String {
    let Finished { name, verdict, reason, seed, row, expected, got, rule, .. } = finished;
    let word = match verdict {
        Verdict::Pass => "pass",
        Verdict::Warn => "warn",
        Verdict::Skip => "skip",
        Verdict::Fail => "FAIL",
        Verdict::Crash => "CRASH",
    };
    let place = match row {
        _ if !verdict.is_bad() => String::new(),
        Some(row) => format!("seed {seed}, row {row}"),
        None => format!("seed {seed}"),
    };
    let told: Vec<&str> = reason.iter().map(String::as_str).chain([place.as_str()]).filter(|t| !t.is_empty()).collect();
    let mut text = format!("{name:<width$}  {word:<5}  {}", plain::line(&told.join("; ")), width = width());
    text.truncate(text.trim_end().len());
    text.push('\n');
    if verdict.is_bad() {
        let claim = tests().find(|test| test.name == name).map(|test| test.claim.to_owned());
        let rows = [("claim", &claim), ("expected", expected), ("got", got), ("header", rule)];
        for (name, value) in rows {
            text += &value.as_ref().map_or(String::new(), |value| format!("    {name:<8}  {}\n", plain::line(value)));
        }
    }
    text
}

/// What a check came to, in one line.
pub fn summary(checked: &Checked) -> String {
    let seconds: f64 = checked.finished.iter().map(|finished| finished.seconds).sum();
    let counts = [
        (Verdict::Pass, "passed"),
        (Verdict::Fail, "failed"),
        (Verdict::Crash, "crashed"),
        (Verdict::Warn, "warned"),
        (Verdict::Skip, "skipped"),
    ];
    let counts = counts.map(|(verdict, word)| format!("{} {word}", checked.count(verdict)));
    let named = checked.facts.as_ref().filter(|facts| !facts.name.is_empty());
    let who = named.map_or(String::new(), |facts| format!("{} {}: ", facts.name, facts.version));
    format!("{}{} in {seconds:.1} s\n", plain::line(&who), counts.join(", "))
}

/// The whole check as JSON; the command's module documents it.
pub fn json(checked: &Checked) -> String {
    let facts = checked.facts.as_ref();
    let value = json!({
        "format": "mountainpass.check",
        "version": 1,
        "plugin": {
            "file": checked.trial.file.display().to_string(),
            "name": facts.map(|facts| &facts.name),
            "version": facts.map(|facts| &facts.version),
            "minor": facts.map(|facts| facts.minor),
        },
        "seed": checked.trial.seed,
        "tests": checked.finished,
        "passed": checked.count(Verdict::Pass),
        "failed": checked.count(Verdict::Fail),
        "crashed": checked.count(Verdict::Crash),
        "warned": checked.count(Verdict::Warn),
        "skipped": checked.count(Verdict::Skip),
    });
    format!("{value:#}\n")
}

/// The specification: every test with its claim.
pub fn list() -> String {
    tests().map(|test| format!("{:<width$}  {}\n", test.name, test.claim, width = width())).collect()
}

/// The specification as JSON.
pub fn list_json() -> String {
    let test = |test: &Test| json!({ "name": test.name, "claim": test.claim, "rule": test.rule, "needs": test.needs });
    let all = tests().map(test).collect::<Vec<_>>();
    format!("{:#}\n", json!({ "format": "mountainpass.check-list", "version": 1, "tests": all }))
}

#[cfg(test)]
mod report_tests {
    use super::*;
    use crate::check::plugin::{Facts, Trial};
    use crate::check::verdict::{fail, skip};

    fn checked() -> Checked {
        let failed = Finished::of("value.answers", "a rule", 7, Err(fail("a number", "\u{1b}[2J NaN").at(3)));
        let skipped = Finished::of("open.opens", "a rule", 7, Err(skip("not here")));
        let facts = Facts { name: "quad".into(), version: "1.0".into(), minor: 1 };
        let trial = Trial { file: "/lib/quad.so".into(), seed: 7, ..Trial::default() };
        Checked { trial, facts: Some(facts), finished: vec![skipped, failed] }
    }

    #[test]
    fn a_failure_says_what_replays_it_and_what_it_breaks() {
        let text = line(&checked().finished[1]);
        assert!(text.starts_with("value.answers"), "{text}");
        for part in
            ["FAIL   seed 7, row 3\n", "expected  a number\n", "got       \\u{1b}[2J NaN\n", "header    a rule\n"]
        {
            assert!(text.contains(part), "{text:?} lacks {part:?}");
        }
        assert_eq!(
            line(&checked().finished[0]).split_whitespace().collect::<Vec<_>>().join(" "),
            "open.opens skip not here"
        );
        assert_eq!(summary(&checked()), "quad 1.0: 0 passed, 1 failed, 0 crashed, 0 warned, 1 skipped in 0.0 s\n");
    }

    #[test]
    fn the_json_has_every_field_of_every_test() {
        let value: serde_json::Value = serde_json::from_str(&json(&checked())).unwrap();
        assert_eq!((value["format"].as_str(), value["version"].as_u64()), (Some("mountainpass.check"), Some(1)));
        assert_eq!((value["plugin"]["name"].as_str(), value["failed"].as_u64()), (Some("quad"), Some(1)));
        let test = value["tests"][1].as_object().unwrap();
        for key in ["name", "verdict", "seconds", "reason", "seed", "row", "expected", "got", "rule"] {
            assert!(test.contains_key(key), "{key}");
        }
        assert_eq!((test["verdict"].as_str(), test["row"].as_u64()), (Some("fail"), Some(3)));
        assert!(test["reason"].is_null());
    }

    #[test]
    fn the_list_is_every_test_with_one_sentence() {
        let text = list();
        assert_eq!(text.lines().count(), tests().count());
        let value: serde_json::Value = serde_json::from_str(&list_json()).unwrap();
        assert_eq!(value["tests"].as_array().unwrap().len(), tests().count());
        for test in tests() {
            assert!(test.claim.ends_with('.') && !test.claim.contains(". "), "{}: {}", test.name, test.claim);
        }
    }
}
