//! `mpass check`: the conformance kit for backend plugins.
//!
//! A test is a name, a claim of one sentence, the sentence of the header that it holds a plugin to, the tests that must
//! hold before it makes sense, and a body. The list of all of them, [`tests`], is the specification that
//! `mpass check --list` prints. A group is a file, with its part of the list on top.
//!
//! **A body** is a plain function, `fn(&Subject, &mut Random) -> Outcome`:
//! ```ignore
//! fn repeatable(subject: &Subject, random: &mut Random) -> Outcome {
//!     let loss = subject.open()?;                                        // closed when it is dropped
//!     loss.requires(cap::REPEATABLE, "MPASS_CAP_REPEATABLE")?;           // else "skip"
//!     let theta = loss.points(3, random)?;                               // 3 x p values
//!     let first = loss.eval(&Call::of(&theta).grad())?.numbers()?;       // else "fail"
//!     let again = loss.eval(&Call::of(&theta).grad())?.numbers()?;
//!     for row in 0..3 {
//!         if first.loss[row].to_bits() != again.loss[row].to_bits() {
//!             return Err(fail(format!("{}", first.loss[row]), format!("{}", again.loss[row])).at(row));
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//! It talks to the plugin through [`Subject`] and [`Opened`], which call the raw table and note every call in the
//! journal; [`Call`] describes an `eval`, [`Answer`] is what came back, [`Host`] logs what the plugin asked of its host.
//! It draws from [`Random`] only, so that a seed replays it, and ends with `Ok(())`, or with `Err` of [`fail`],
//! [`warn`] or [`skip`]. Nothing that depends on time is worse than a warning. Each body runs in a process of its own
//! (`run.rs`): a death or a hang of the plugin is a verdict, and what it leaves behind harms no other test.
//!
//! **One sin, one failure.** A body looks at its own claim only. What other claims cover it takes as it comes, or
//! names in its `needs`: calls lie between canaries but only value.bounds looks at them, arguments stay mapped until
//! the loss is closed unless [`Call::fleeting`] asks otherwise, and so on.

mod alike;
mod call;
mod cancel;
mod device;
mod errors;
mod fuzz;
mod gate;
mod gradient;
mod host;
mod hvp;
mod journal;
mod keeping;
mod line;
mod load;
mod memory;
mod minibatch;
mod motion;
mod noise;
mod open;
mod opened;
mod process;
mod random;
pub mod report;
mod run;
mod subject;
mod taylor;
mod threads;
mod value;
mod verdict;
mod version;

pub use call::{Answer, Call, Text};
pub use host::{Event, Host, Polls, What};
pub use memory::Fence;
pub use opened::{Opened, Start};
pub use random::Random;
pub use run::{Checked, Place, run, run_alone, run_child};
pub use subject::{Device, Facts, Plan, Refusal, Request, Subject, Table};
pub use verdict::{Ending, Failure, Finished, Outcome, Verdict, fail, skip, warn};

use crate::{Error, Result};

/// What a test does.
pub type Body = fn(&Subject, &mut Random) -> Outcome;

/// One test.
pub struct Test {
    /// `group.name`; never changes.
    pub name: &'static str,
    /// What holds when it passes, in one sentence.
    pub claim: &'static str,
    /// The sentence of the header, word for word, that a plugin breaks when it fails.
    pub rule: &'static str,
    /// The tests that must not have failed before this one makes sense.
    pub needs: &'static [&'static str],
    /// A death is no more than a warning.
    pub mild: bool,
    /// The end of the process, exit handlers included, belongs to the test.
    pub ends: bool,
    body: Body,
}

impl Test {
    /// A test as the lists of the groups declare it.
    const fn new(
        name: &'static str,
        claim: &'static str,
        rule: &'static str,
        needs: &'static [&'static str],
        body: Body,
    ) -> Test {
        Test { name, claim, rule, needs, mild: false, ends: false, body }
    }

    /// The same, a death being no more than a warning.
    const fn mild(self) -> Test {
        Test { mild: true, ..self }
    }

    /// The same, the end of the process being part of it.
    const fn ending(self) -> Test {
        Test { ends: true, ..self }
    }

    /// The part of the name before the dot.
    pub fn group(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(group, _)| group)
    }

    /// Runs the body in this process.
    fn run(&self, subject: &Subject) -> Finished {
        let seed = subject.plan().seed;
        let outcome = (self.body)(subject, &mut Random::new(seed, self.name));
        Finished::of(self.name, self.rule, seed, outcome)
    }
}

/// Every test, in the order of running.
pub fn tests() -> impl Iterator<Item = &'static Test> {
    let groups = [
        load::TESTS,
        open::TESTS,
        value::TESTS,
        noise::TESTS,
        gradient::TESTS,
        hvp::TESTS,
        minibatch::TESTS,
        threads::TESTS,
        cancel::TESTS,
        device::TESTS,
        keeping::TESTS,
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
            prose(include_str!("../../include/mountainpass_base.h")),
            prose(include_str!("../../include/mountainpass_backend.h")),
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
