//! Group `minibatch`: losses over chosen samples.
//!
//! Lists of samples ascend where their order is not what a test is about.

use crate::check::judge::alike::largest;
use crate::check::plugin::{Call, EvalAnswer, OpenLoss};
use crate::check::test::{Outcome, Random, Subject, Test, fail, skip};
use mountainpass_sdk::abi::{cap, status};

/// The group's part of the list.
pub const TESTS: &[Test] = &[
    Test::new(
        "minibatch.mean",
        "Loss and gradient over a list of samples are the means of those over each, repeats counted.",
        "loss(ids) is the mean over ids, repeats counted, of loss({id}), regulariser in full in each",
        &["value.answers", "minibatch.state"],
        mean,
    ),
    Test::new(
        "minibatch.order",
        "The order of the chosen samples does not matter, but for rounding.",
        "loss(ids) is the mean over ids, repeats counted, of loss({id}), regulariser in full in each",
        &["value.answers", "minibatch.state"],
        order,
    ),
    Test::new(
        "minibatch.range",
        "A sample beyond the data set and an empty list of samples are refused.",
        "in 1 x m, u64, host; the same for every row; NULL data = all samples",
        &["value.answers"],
        range,
    ),
    Test::new(
        "minibatch.state",
        "No call leaves a trace in the next: A, B, A gives A again.",
        "same row, same ids: same bits, whatever n, the position, the threads",
        &["value.answers"],
        state,
    ),
];

/// A data set up to this size is listed in full.
const LISTED: u64 = 1 << 20;

/// The size of the data set; skips where there are no minibatches.
fn samples(loss: &OpenLoss<'_>) -> Outcome<u64> {
    loss.requires(cap::MINIBATCH, "MPASS_CAP_MINIBATCH")?;
    match loss.info()?.samples {
        0 => Err(skip("there is no data set")),
        samples => Ok(samples),
    }
}

/// Loss and gradient, where there is one, of a row over samples; `None` for all of them.
fn over(loss: &OpenLoss<'_>, theta: &[f64], ids: Option<&[u64]>) -> Outcome<EvalAnswer> {
    loss.eval(&Call { ids, ..loss.with_gradient(theta)? })?.numbers()
}

fn mean(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    let samples = samples(&loss)?;
    if loss.has(cap::JOINT)? {
        return Err(skip("MPASS_CAP_JOINT is claimed: the loss is no mean over samples"));
    }
    let theta = loss.good_points(1, random)?;
    // Terms are added in whatever order; they may cancel, so that their size sets the scale.
    let alike = loss.alike(&theta)?.rounded();
    let hold = |answer: &EvalAnswer, loss: f64, grad: &[f64], scales: (f64, f64), what: &str| {
        let got = answer.loss[0];
        if !alike.losses(loss, got, scales.0) {
            let got = format!("{got:?}, {:.6} times that", got / loss);
            return Err(fail(format!("the loss {loss:?} over {what}"), got).at(0));
        }
        match alike.differ(grad, answer.grad.as_slice(), scales.1) {
            None => Ok(()),
            Some(at) => {
                let expected = format!("gradient[{at}] = {:?} over {what}", grad[at]);
                Err(fail(expected, format!("{:?}", answer.grad[at])).at(0))
            }
        }
    };
    for m in [1, 2, 7, 40] {
        let mut ids: Vec<u64> = (0..m).map(|_| random.below(samples)).collect();
        // The first one twice, whatever was drawn.
        ids.push(ids[0]);
        ids.sort_unstable();
        let each = ids.iter().map(|id| over(&loss, &theta, Some(&[*id]))).collect::<Outcome<Vec<_>>>()?;
        let count = each.len() as f64;
        let average = |part: &dyn Fn(&EvalAnswer) -> f64| each.iter().map(part).sum::<f64>() / count;
        let value = average(&|answer| answer.loss[0]);
        let grad: Vec<f64> = (0..each[0].grad.len()).map(|i| average(&|answer| answer.grad[i])).collect();
        let of_loss = each.iter().fold(0.0, |size: f64, answer| size.max(answer.loss[0].abs()));
        let of_grad = each.iter().fold(0.0, |size: f64, answer| size.max(largest(&answer.grad)));
        let what = format!("{} samples, the mean of those over each ({ids:?})", ids.len());
        hold(&over(&loss, &theta, Some(&ids))?, value, &grad, (of_loss, of_grad), &what)?;
    }
    if samples <= LISTED {
        let all: Vec<u64> = (0..samples).collect();
        let (whole, listed) = (over(&loss, &theta, None)?, over(&loss, &theta, Some(&all))?);
        let scales = (whole.loss[0].abs(), largest(&whole.grad));
        hold(&listed, whole.loss[0], &whole.grad, scales, "a list of all samples, as over all")?;
    }
    Ok(())
}

fn order(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    let samples = samples(&loss)?;
    if samples < 2 {
        return Err(skip("there is one sample"));
    }
    let theta = loss.good_points(1, random)?;
    let alike = loss.alike(&theta)?.rounded();
    for m in [2, 5, 33] {
        let mut ids: Vec<u64> = (0..m).map(|_| random.below(samples)).collect();
        if ids.iter().all(|id| *id == ids[0]) {
            ids[0] = (ids[0] + 1) % samples;
        }
        ids.sort_unstable();
        let each = ids.iter().map(|id| over(&loss, &theta, Some(&[*id]))).collect::<Outcome<Vec<_>>>()?;
        let scale = each.iter().fold(0.0, |size: f64, answer| size.max(answer.loss[0].abs()));
        let sorted = over(&loss, &theta, Some(&ids))?.loss[0];
        let mut orders: Vec<Vec<u64>> = vec![ids.iter().rev().copied().collect()];
        for _ in 0..3 {
            random.shuffle(&mut ids);
            orders.push(ids.clone());
        }
        for ids in orders {
            let got = over(&loss, &theta, Some(&ids))?.loss[0];
            if !alike.losses(sorted, got, scale) {
                let expected = format!("the loss {sorted:?} in whatever order of {m} samples");
                return Err(fail(expected, format!("{got:?} in the order {ids:?}")).at(0));
            }
        }
    }
    Ok(())
}

fn range(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    let samples = samples(&loss)?;
    let theta = loss.good_points(1, random)?;
    let last = samples - 1;
    for ids in [&[samples][..], &[0, samples], &[samples, last], &[last, u64::MAX, 0], &[1 << 63], &[]] {
        let answer = loss.eval(&Call::of(&theta).ids(ids))?;
        if answer.status == status::OK {
            let what = if ids.is_empty() { "an empty list".into() } else { format!("the list {ids:?}") };
            let got = format!("status 0 and the loss {:?}", answer.loss[0]);
            return Err(fail(format!("{what} of {samples} samples refused"), got));
        }
    }
    Ok(())
}

fn state(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    let (p, grad) = (loss.p()?, loss.has(cap::GRAD)?);
    let n = loss.rows(3)?;
    let (a, b) = (loss.good_points(n, random)?, loss.good_points(n, random)?);
    let alike = loss.alike(&a[..p])?;
    let samples = loss.samples()?;
    let (mine, other) = match samples {
        0 => (None, None),
        samples => {
            let draw = |random: &mut Random| (0..5).map(|_| random.below(samples)).collect::<Vec<u64>>();
            (Some(draw(random)), Some(draw(random)))
        }
    };
    // What is repeated, and what comes between.
    let plain = |theta| Call { grad, ..Call::of(theta) };
    let between = [
        ("a call with other parameters", plain(&b)),
        ("a call with one other row", plain(&b[..p])),
        ("a call with other samples", Call { ids: other.as_deref(), ..Call::of(&b) }),
        ("a call with other samples and no gradient", Call { ids: other.as_deref(), ..Call::of(&a) }),
    ];
    for (what, call) in between {
        for first in [plain(&a), Call { ids: mine.as_deref(), ..plain(&a) }] {
            let before = loss.eval(&first)?.numbers()?;
            loss.eval(&call)?.accepted()?;
            let after = loss.eval(&first)?.numbers()?;
            (0..n).try_for_each(|row| alike.hold(before.row(row), after.row(row), &format!("after {what}")))?;
        }
    }
    Ok(())
}
