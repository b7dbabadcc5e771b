//! Group `memory`: nothing that was given is kept, and too little memory is an answer.

use crate::check::plugin::{Call, OpenCall};
use crate::check::test::{Outcome, Random, Subject, Test};
use mountainpass_sdk::abi::cap;

/// The group's part of the list.
pub const TESTS: &[Test] = &[
    Test::new(
        "memory.kept",
        "Nothing that open and eval were given is kept: later calls work when it is gone.",
        "engine-owned; pointers valid during the call; outputs never alias inputs",
        &["value.answers"],
        kept,
    ),
    Test::new(
        "memory.huge",
        "Where memory is short, eval answers with a status and does not die.",
        "Never throw, unwind, exit or abort.",
        &["value.answers"],
        huge,
    )
    .mild(),
];

fn kept(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.opened(&OpenCall { fleeting: true, ..subject.open_call()? })?;
    for n in [2, 1, 3, 2] {
        let theta = loss.points(loss.rows(n)?, random)?;
        let dir = random.normals(theta.len());
        let call = Call {
            grad: loss.has(cap::GRAD)?,
            dir: loss.has(cap::HVP)?.then_some(&dir),
            ids: loss.has(cap::MINIBATCH)?.then_some(&[0]),
            ..Call::of(&theta).fleeting()
        };
        loss.eval(&call)?.accepted()?;
    }
    loss.identity()?;
    loss.close();
    Ok(())
}

/// The bytes of theta in a call that asks for much: enough that a copy of it is not to be had.
const MUCH: usize = 16 << 20;

fn huge(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    let rows = loss.rows_within(MUCH)?.min(100_000);
    // Points that are drawn one by one would take long: one of them, again and again.
    let theta = loss.points(1, random)?.repeat(rows);
    loss.eval(&Call { scarce: true, ..loss.with_gradient(&theta)? }).map(drop)
}
