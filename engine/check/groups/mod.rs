//! The list of tests, a file for each chapter of the contract.
//!
//! A group knows the plugin and the judges, and nothing of who runs it. Its part of the list is on top of its file.

#![forbid(unsafe_code)]

mod cancel;
mod device;
mod errors;
mod extensions;
mod fuzz;
mod gradient;
mod hvp;
mod kinks;
mod load;
mod memory;
mod minibatch;
mod noise;
mod open;
mod threads;
mod value;
mod version;

use super::test::Test;
use crate::{Error, Result};

/// Every test, in the order of running.
pub fn tests() -> impl Iterator<Item = &'static Test> {
    let groups = [
        load::TESTS,
        open::TESTS,
        extensions::TESTS,
        value::TESTS,
        noise::TESTS,
        gradient::TESTS,
        hvp::TESTS,
        kinks::TESTS,
        minibatch::TESTS,
        threads::TESTS,
        cancel::TESTS,
        device::TESTS,
        memory::TESTS,
        errors::TESTS,
        version::TESTS,
        fuzz::TESTS,
    ];
    groups.into_iter().flatten()
}

/// The tests that are named, by name or group, in the order of running; all of them when nobody is.
pub fn select(only: &[String]) -> Result<Vec<&'static Test>> {
    let meant = |test: &Test, word: &String| test.name == word || test.group() == word;
    for word in only {
        if !tests().any(|test| meant(test, word)) {
            return Err(Error::unknown("test or group", word, tests().flat_map(|test| [test.name, test.group()])));
        }
    }
    Ok(tests().filter(|test| only.is_empty() || only.iter().any(|word| meant(test, word))).collect())
}

#[cfg(test)]
mod list_tests {
    use super::*;

    /// A header as running text: without comment marks, white space as single spaces.
    fn prose(header: &str) -> String {
        let lines = header.lines().map(|line| line.trim_start().trim_start_matches("* "));
        let text = lines.collect::<Vec<_>>().join(" ").replace("/*", " ").replace("*/", " ");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_rule_is_a_sentence_of_the_header() {
        let headers = [
            prose(include_str!("../../../include/mountainpass_base.h")),
            prose(include_str!("../../../include/mountainpass_backend.h")),
        ];
        for test in tests() {
            assert!(headers.iter().any(|header| header.contains(test.rule)), "{}: {:?}", test.name, test.rule);
        }
    }

    #[test]
    fn needs_exist_and_go_round_in_no_circle() {
        fn depth(test: &Test, above: usize) -> usize {
            assert!(above < 20, "{} needs itself", test.name);
            let needs = test.needs.iter().map(|name| tests().find(|test| test.name == *name));
            needs.map(|need| depth(need.unwrap_or_else(|| panic!("{}", test.name)), above + 1)).max().unwrap_or(above)
        }
        assert!(tests().all(|test| depth(test, 0) < 20));
    }

    #[test]
    fn names_and_groups_select() {
        let names = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|word| word.to_string()).collect();
            select(&only).map(|tests| tests.iter().map(|test| test.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["value.answers", "load.opens"]).unwrap(), ["load.opens", "value.answers"]);
        assert!(names(&["load"]).unwrap().len() > 5);
        assert_eq!(names(&[]).unwrap().len(), tests().count());
        assert!(names(&["lod"]).unwrap_err().to_string().contains("the nearest is \"load\""));
    }
}
