//! One test: its name, what it claims, its body, and the words that a body is written in.

#![forbid(unsafe_code)]

pub use super::plugin::Subject;
pub use super::random::Random;
use super::verdict::Finished;
pub use super::verdict::{Outcome, fail, skip, warn};

/// What a test does.
type Body = fn(&Subject, &mut Random) -> Outcome;

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
    pub(super) const fn new(
        name: &'static str,
        claim: &'static str,
        rule: &'static str,
        needs: &'static [&'static str],
        body: Body,
    ) -> Test {
        Test { name, claim, rule, needs, mild: false, ends: false, body }
    }

    /// The same, a death being no more than a warning.
    pub(super) const fn mild(self) -> Test {
        Test { mild: true, ..self }
    }

    /// The same, the end of the process being part of it.
    pub(super) const fn ending(self) -> Test {
        Test { ends: true, ..self }
    }

    /// The part of the name before the dot.
    pub fn group(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(group, _)| group)
    }

    /// Runs the body in this process.
    pub(super) fn run(&self, subject: &Subject) -> Finished {
        let seed = subject.trial().seed;
        let outcome = (self.body)(subject, &mut Random::new(seed, self.name));
        Finished::of(self.name, self.rule, seed, outcome)
    }
}
