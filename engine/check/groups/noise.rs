//! Group `noise`: what repeating a call does to its answer.

use crate::check::plugin::{Call, EvalAnswer, OpenLoss};
use crate::check::test::{Outcome, Random, Subject, Test, fail, skip};
use mountainpass_sdk::abi::cap;
use std::time::{Duration, Instant};

/// The group's part of the list.
pub const TESTS: &[Test] = &[
    Test::new(
        "noise.within",
        "Losses of 64 repeats of a call differ by no more than the stated noise.",
        "largest change of a loss value when a call is repeated; 0 = engine measures",
        &["value.answers"],
        within,
    ),
    Test::new(
        "noise.repeatable",
        "Where MPASS_CAP_REPEATABLE is claimed, repeats of a call are equal bit for bit.",
        "same row, same ids: same bits, whatever n, the position, the threads",
        &["value.answers"],
        repeatable,
    ),
];

const REPEATS: usize = 64;
/// Slow losses are repeated for this long, though not more seldom than `FEWEST` times.
const PATIENCE: Duration = Duration::from_secs(6);
const FEWEST: usize = 8;

/// Repeats a call and looks at every answer, the first of them apart.
fn repeats(
    loss: &OpenLoss<'_>,
    call: &Call<'_>,
    mut look: impl FnMut(usize, &EvalAnswer, &EvalAnswer) -> Outcome,
) -> Outcome {
    let since = Instant::now();
    let first = loss.eval(call)?.numbers()?;
    for i in 1..REPEATS {
        if i >= FEWEST && since.elapsed() > PATIENCE {
            break;
        }
        look(i, &first, &loss.eval(call)?.numbers()?)?;
    }
    Ok(())
}

fn within(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    let noise = loss.info()?.noise;
    if loss.has(cap::REPEATABLE)? {
        return Err(skip("MPASS_CAP_REPEATABLE is claimed; noise.repeatable applies"));
    }
    if noise == 0.0 {
        return Err(skip("no noise is stated, so the engine measures it"));
    }
    let n = loss.rows(4)?;
    let theta = loss.good_points(n, random)?;
    let mut ranges = vec![(f64::INFINITY, f64::NEG_INFINITY); n];
    repeats(&loss, &Call::of(&theta), |i, first, again| {
        for (row, (low, high)) in ranges.iter_mut().enumerate() {
            *low = low.min(first.loss[row]).min(again.loss[row]);
            *high = high.max(first.loss[row]).max(again.loss[row]);
            // Whoever states a noise may have rounded it.
            if *high - *low > noise * (1.0 + 1e-9) {
                let got = format!("{:?} to {:?}, apart by {:.3e}, in {} calls", *low, *high, *high - *low, i + 1);
                return Err(fail(format!("losses of repeats within the stated noise of {noise:e}"), got).at(row));
            }
        }
        Ok(())
    })
}

fn repeatable(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    loss.requires(cap::REPEATABLE, "MPASS_CAP_REPEATABLE")?;
    let n = loss.rows(4)?;
    let (theta, dir) = (loss.good_points(n, random)?, random.normals(n * loss.p()?));
    repeats(&loss, &loss.everything(&theta, &dir)?, |i, first, again| {
        let outputs =
            [("loss", &first.loss, &again.loss), ("grad", &first.grad, &again.grad), ("hvp", &first.hvp, &again.hvp)];
        for (name, first, again) in outputs {
            let same = |at: &usize| first[*at].to_bits() == again[*at].to_bits();
            if let Some(at) = (0..first.len()).find(|at| !same(at)) {
                let (row, column) = (at / (first.len() / n), at % (first.len() / n));
                let got = format!("{:?} in call {}", again[at], i + 1);
                return Err(fail(format!("{name}[{row}][{column}] = {:?} in every call", first[at]), got).at(row));
            }
        }
        Ok(())
    })
}
