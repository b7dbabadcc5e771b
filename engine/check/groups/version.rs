//! Group `version`: records of another minor, longer or shorter than those the plugin knows.

use crate::check::plugin::{Call, Fence, Host, OpenCall};
use crate::check::test::{Outcome, Random, Subject, Test, fail};
use mountainpass_sdk::abi;
use std::mem::offset_of;

/// The group's part of the list.
pub const TESTS: &[Test] = &[
    Test::new(
        "version.longer",
        "Records longer than the plugin knows, zero where it does not know them, change nothing.",
        "New fields go at the end.",
        &["value.answers"],
        |subject, random| {
            let longer = |size: u32| size as usize + 64;
            let host = longer(abi::Host::SIZE);
            same(subject, random, Sizes { host, open: longer(abi::Open::SIZE), eval: longer(abi::Eval::SIZE) })
        },
    ),
    Test::new(
        "version.shorter",
        "Records shorter than the plugin knows are read no further than they go.",
        "A field exists only if MPASS_HAS says so; a missing field reads as zero, so zero is the cautious answer.",
        &["value.answers"],
        |subject, random| {
            let host = abi::Host::SIZE as usize;
            // Before minor 1, and an eval of a caller who never cancels.
            let (open, eval) = (offset_of!(abi::Open, repeatable), offset_of!(abi::Eval, cancel));
            same(subject, random, Sizes { host, open, eval })
        },
    ),
];

/// The bytes of each record.
struct Sizes {
    host: usize,
    open: usize,
    eval: usize,
}

/// The loss with records of these sizes is the loss.
fn same(subject: &Subject, random: &mut Random, sizes: Sizes) -> Outcome {
    let usual = subject.open()?;
    let theta = usual.points(usual.rows(2)?, random)?;
    let (expected, spread) = (usual.losses(&theta)?, usual.spread(&theta)?);
    let host = Host::sized(2, sizes.host, Fence::Guard)?;
    let request = OpenCall { fence: Fence::Guard, size: Some(sizes.open), ..subject.open_call_on(&host) };
    let loss = subject.opened(&request)?;
    let got = loss.eval(&Call::of(&theta).sized(sizes.eval))?.numbers()?.loss;
    match (0..got.len()).find(|&row| (got[row] - expected[row]).abs() > spread) {
        None => Ok(()),
        Some(row) => Err(fail(format!("loss {}", expected[row]), format!("{}", got[row])).at(row)),
    }
}
