//! What becomes of a test: how its body ends, the verdict on it, and the record that a report prints.

#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

/// What a body comes to: `Ok` when the claim holds, else the first thing that kept it from holding.
pub type Outcome<T = ()> = Result<T, Ending>;

/// Why a body ended before its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Ending {
    /// The claim does not hold.
    Fail(Box<Failure>),
    /// It holds, but a person should know something.
    Warn(String),
    /// It does not apply, and why.
    Skip(String),
}

/// A broken promise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The row of the batch it was seen in.
    pub row: Option<usize>,
    /// What the contract promises.
    pub expected: String,
    /// What came instead.
    pub got: String,
    /// The sentence of the header, where it is not the test's own.
    pub rule: Option<String>,
}

/// The claim does not hold: what was expected, and what came instead.
pub fn fail(expected: impl Into<String>, got: impl Into<String>) -> Ending {
    Ending::Fail(Box::new(Failure { expected: expected.into(), got: got.into(), ..Failure::default() }))
}

/// The claim holds, but a person should know this.
pub fn warn(text: impl Into<String>) -> Ending {
    Ending::Warn(text.into())
}

/// The claim does not apply here, for this reason.
pub fn skip(reason: impl Into<String>) -> Ending {
    Ending::Skip(reason.into())
}

impl Ending {
    /// Names the row of the batch where a failure was seen.
    pub fn at(mut self, row: usize) -> Ending {
        if let Ending::Fail(failure) = &mut self {
            failure.row = Some(row);
        }
        self
    }

    /// Names the sentence of the header that a failure breaks, where it is not the one the test names.
    pub fn rule(mut self, sentence: &'static str) -> Ending {
        if let Ending::Fail(failure) = &mut self {
            failure.rule = Some(sentence.to_owned());
        }
        self
    }

    /// The same in one line.
    pub fn text(&self) -> String {
        match self {
            Ending::Fail(failure) => format!("{}, where {} is expected", failure.got, failure.expected),
            Ending::Warn(text) | Ending::Skip(text) => text.clone(),
        }
    }
}

/// The verdict on a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It holds, and something is worth saying.
    Warn,
    /// It makes no sense here.
    Skip,
    /// It does not hold.
    Fail,
    /// The process died of it.
    Crash,
}

impl Verdict {
    /// True for what makes a plugin unfit.
    pub fn is_bad(self) -> bool {
        matches!(self, Verdict::Fail | Verdict::Crash)
    }
}

/// A finished test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// `group.name`.
    pub name: String,
    /// What it came to.
    pub verdict: Verdict,
    /// Wall-clock time, the start of its process included.
    pub seconds: f64,
    /// Why it was skipped, warned of or died; `None` for the others.
    pub reason: Option<String>,
    /// What replays it.
    pub seed: u64,
    /// The row of the batch it was seen in.
    pub row: Option<usize>,
    /// What the contract promises.
    pub expected: Option<String>,
    /// What came instead.
    pub got: Option<String>,
    /// The sentence of the header that is broken.
    pub rule: Option<String>,
}

impl Finished {
    /// A finished test with nothing to say yet.
    pub fn new(name: &str, verdict: Verdict, seed: u64) -> Finished {
        let name = name.to_owned();
        Finished { name, verdict, seconds: 0.0, reason: None, seed, row: None, expected: None, got: None, rule: None }
    }

    /// From how a body ended; `rule` is the sentence that its test holds a plugin to.
    pub fn of(name: &str, rule: &str, seed: u64, outcome: Outcome) -> Finished {
        let verdict = match &outcome {
            Ok(()) => Verdict::Pass,
            Err(Ending::Warn(_)) => Verdict::Warn,
            Err(Ending::Skip(_)) => Verdict::Skip,
            Err(Ending::Fail(_)) => Verdict::Fail,
        };
        let blank = Finished::new(name, verdict, seed);
        match outcome {
            Ok(()) => blank,
            Err(Ending::Warn(text) | Ending::Skip(text)) => Finished { reason: Some(text), ..blank },
            Err(Ending::Fail(failure)) => Finished {
                row: failure.row,
                expected: Some(failure.expected),
                got: Some(failure.got),
                rule: Some(failure.rule.unwrap_or_else(|| rule.to_owned())),
                ..blank
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_keeps_its_row_and_quotes_the_rule_it_breaks() {
        let finished = |ending| Finished::of("value.finite", "a rule", 7, Err(ending));
        let failed = finished(fail("a number", "NaN").at(3));
        assert_eq!((failed.verdict, failed.row, failed.rule.as_deref()), (Verdict::Fail, Some(3), Some("a rule")));
        assert_eq!(finished(fail("a number", "NaN").rule("another")).rule.as_deref(), Some("another"));
        let skipped = finished(skip("no data set").at(3));
        assert_eq!((skipped.verdict, skipped.row, skipped.rule), (Verdict::Skip, None, None));
        assert!(Verdict::Crash.is_bad() && !Verdict::Warn.is_bad());
    }
}
