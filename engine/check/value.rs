//! Group `value`: what an evaluation returns.

#![forbid(unsafe_code)]

use super::{Call, Outcome, Random, Subject, Test, fail};
use mountainpass_sdk::abi::cap;

/// The group's part of the list.
pub(super) const TESTS: &[Test] = &[Test::new(
    "value.answers",
    "Loss, and gradient where it is claimed, are computed at a start.",
    "out n, host, always f64: bars are differences of near-equal numbers",
    &["open.info"],
    answers,
)];

fn answers(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    // A start may lie where there is no number; ten in a row may not.
    let mut flaw = String::new();
    for _ in 0..10 {
        let theta = loss.points(1, random)?;
        let call = Call::of(&theta);
        let answer = loss.eval(&if loss.has(cap::GRAD)? { call.grad() } else { call })?.accepted()?;
        match answer.flaw(0) {
            None => return Ok(()),
            Some(found) => flaw = found,
        }
    }
    Err(fail("finite numbers and row_status 0 at one of ten starts", flaw).at(0))
}
