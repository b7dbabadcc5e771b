//! Group `value`: what an evaluation returns, and what it leaves alone.

use crate::check::judge::alike::{MEASURED, ROUNDINGS, largest};
use crate::check::judge::motion;
use crate::check::judge::taylor::{rounded, scale};
use crate::check::plugin::{Call, EvalAnswer, OpenLoss};
use crate::check::test::{Outcome, Random, Subject, Test, fail, skip};
use mountainpass_sdk::abi::{cap, dtype, status};

/// The group's part of the list.
pub const TESTS: &[Test] = &[
    Test::new(
        "value.answers",
        "Loss, and gradient where it is claimed, are computed at a start.",
        "out n, host, always f64: bars are differences of near-equal numbers",
        &["open.info"],
        answers,
    ),
    Test::new(
        "value.finite",
        "A row is finite or flagged MPASS_E_NUMERIC, and a bad row (NaN, infinite, 1e300) fails no other.",
        "one bad row must not fail the batch",
        &["value.answers", "value.neighbours"],
        finite,
    ),
    Test::new(
        "value.neighbours",
        "The loss of a row does not depend on the rows beside it.",
        "same row, same ids: same bits, whatever n, the position, the threads",
        &["value.answers"],
        neighbours,
    ),
    Test::new(
        "value.strides",
        "Rows may lie apart: each is read and written in its place, and the gaps are not touched.",
        "elements from one row to the next, >= cols",
        &["value.answers"],
        strides,
    ),
    Test::new(
        "value.bounds",
        "Nothing is written outside the outputs.",
        "out n x p, dtype and memory of theta; NULL data = not wanted",
        &["value.answers"],
        bounds,
    ),
    Test::new(
        "value.inputs",
        "Inputs are not written to.",
        "outputs never alias inputs",
        &["value.answers", "value.bounds"],
        inputs,
    ),
    Test::new(
        "value.rows",
        "No row, one row, rows_best and rows_max rows are computed, and more than rows_max are refused.",
        "theta rows per call; 0 = any",
        &["value.answers"],
        rows,
    ),
    Test::new(
        "value.outputs",
        "The loss is the same whichever outputs are asked for.",
        "NULL data = not wanted",
        &["value.answers"],
        outputs,
    ),
    Test::new(
        "value.single",
        "Where f32 and f64 are both offered they agree to single precision.",
        "bit sets 1<<MPASS_F32.., 1<<MPASS_HOST..; host f64 or f32 is required",
        &["value.answers"],
        single,
    ),
    Test::new(
        "value.symmetry",
        "Random elements of every declared symmetry leave the loss unchanged.",
        "what leaves the whole objective, regulariser included, unchanged",
        &["value.answers", "open.extensions"],
        symmetry,
    ),
];

fn answers(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    // A start may lie where there is no number; ten in a row may not.
    let mut flaw = String::new();
    for _ in 0..10 {
        let theta = loss.points(1, random)?;
        let answer = loss.eval(&loss.with_gradient(&theta)?)?.accepted()?;
        match answer.flaw(0) {
            None => return Ok(()),
            Some(found) => flaw = found,
        }
    }
    Err(fail("finite numbers and row_status 0 at one of ten starts", flaw).at(0))
}

fn finite(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    let p = loss.p()?;
    let good = loss.good_points(4, random)?;
    let alike = loss.alike(&good[..p])?;
    let some = random.below(p as u64) as usize;
    let spoil = |name: &'static str, value: f64, all: bool| (name, value, all);
    let sins = [
        spoil("NaN in every coordinate", f64::NAN, true),
        spoil("infinity in every coordinate", f64::INFINITY, true),
        spoil("1e300 in every coordinate", 1e300, true),
        spoil("NaN in one coordinate", f64::NAN, false),
        spoil("-infinity in one coordinate", f64::NEG_INFINITY, false),
        spoil("-1e300 in one coordinate", -1e300, false),
    ];
    // Good rows and bad ones by turns, and the same with good ones instead.
    let mut clean: Vec<f64> = Vec::new();
    for i in 0..=2 * sins.len() {
        let from = i % 4;
        clean.extend(&good[from * p..(from + 1) * p]);
    }
    let mut spoilt = clean.clone();
    for (i, (_, value, all)) in sins.iter().enumerate() {
        let row = &mut spoilt[(2 * i + 1) * p..(2 * i + 2) * p];
        if *all { row.fill(*value) } else { row[some] = *value }
    }
    let most = loss.rows(clean.len() / p)?;
    for (chunk, (clean, spoilt)) in clean.chunks(most * p).zip(spoilt.chunks(most * p)).enumerate() {
        let before = loss.eval(&loss.everything(clean, clean)?)?.accepted()?;
        let answer = loss.eval(&loss.everything(spoilt, clean)?)?;
        if answer.status != status::OK {
            let got = format!("status {}: {}", answer.status, answer.text.shown());
            return Err(fail("status 0 for a batch with bad rows in it", got));
        }
        for row in 0..answer.n() {
            let place = chunk * most + row;
            let sin = (place % 2 == 1).then(|| sins[place / 2].0);
            let flagged = answer.row_status[row] == status::NUMERIC;
            match (sin, answer.flaw(row)) {
                (Some(_), None) => {}
                (Some(_), Some(_)) if flagged => {}
                (Some(sin), Some(flaw)) => {
                    let expected = format!("a row with {sin} finite or flagged MPASS_E_NUMERIC (7)");
                    return Err(fail(expected, flaw).at(row));
                }
                (None, _) => alike.hold_loss(before.row(row), answer.row(row), "beside bad rows")?,
            }
        }
    }
    Ok(())
}

fn neighbours(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    let p = loss.p()?;
    if loss.rows(2)? < 2 {
        return Err(skip("a call has one row"));
    }
    let theta = loss.good_points(6, random)?;
    let alike = loss.alike(&theta[..p])?;
    let alone = theta.chunks_exact(p).map(|row| loss.eval(&Call::of(row))?.accepted());
    let alone = alone.collect::<Outcome<Vec<_>>>()?;
    // Few, as many as a search has, and more than any tile of rows.
    for n in [2, 3, 6, 19, 70] {
        let n = loss.rows(n)?;
        let mut chosen: Vec<usize> = (0..n).map(|row| row % alone.len()).collect();
        random.shuffle(&mut chosen);
        let rows: Vec<f64> = chosen.iter().flat_map(|&i| &theta[i * p..(i + 1) * p]).copied().collect();
        let together = loss.eval(&Call::of(&rows))?.accepted()?;
        for (row, &i) in chosen.iter().enumerate() {
            alike.hold_loss(alone[i].row(0), together.row(row), &format!("in a batch of {n}, not alone"))?;
        }
    }
    Ok(())
}

/// What an answer did not leave alone, between its rows or outside of them.
fn strayed(answer: &EvalAnswer, between: bool) -> Option<&str> {
    answer.strayed.as_deref().filter(|place| place.starts_with("into the gap") == between)
}

fn strides(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    let p = loss.p()?;
    let n = loss.rows(3)?;
    let (theta, dir) = (loss.good_points(n, random)?, random.normals(n * p));
    let alike = loss.alike(&theta[..p])?;
    let close = loss.eval(&loss.everything(&theta, &dir)?)?.accepted()?;
    for gap in [1, 7] {
        let apart = loss.eval(&loss.everything(&theta, &dir)?.gap(gap))?.accepted()?;
        if let Some(place) = strayed(&apart, true) {
            return Err(fail(format!("gaps of {gap} elements untouched"), format!("wrote {place}")));
        }
        for row in 0..n {
            alike.hold(close.row(row), apart.row(row), &format!("with rows {gap} elements apart"))?;
        }
    }
    Ok(())
}

/// Calls of several sizes and types with everything asked for, made different by `change`.
fn calls(subject: &Subject, random: &mut Random, change: fn(Call<'_>) -> Call<'_>) -> Outcome<Vec<EvalAnswer>> {
    let loss = subject.open()?;
    let (p, both) = (loss.p()?, loss.is_double()? && loss.offers(dtype::F32)?);
    let samples = loss.samples()?;
    let mut answers = Vec::new();
    for n in [1, 3, 8] {
        let n = loss.rows(n)?;
        let (theta, dir) = (loss.points(n, random)?, random.normals(n * p));
        let ids: Vec<u64> = (0..3).map(|_| random.below(samples.max(1))).collect();
        let call = change(loss.everything(&theta, &dir)?);
        answers.push(loss.eval(&change(Call::of(&theta)))?);
        answers.push(loss.eval(&call)?);
        if both {
            answers.push(loss.eval(&call.single())?);
        }
        if samples > 0 {
            answers.push(loss.eval(&call.ids(&ids))?);
        }
    }
    Ok(answers)
}

fn bounds(subject: &Subject, random: &mut Random) -> Outcome {
    for answer in calls(subject, random, |call| call)? {
        if let Some(place) = strayed(&answer, false) {
            return Err(fail("nothing written outside the outputs", format!("wrote {place}")));
        }
    }
    Ok(())
}

fn inputs(subject: &Subject, random: &mut Random) -> Outcome {
    // They lie on pages that cannot be written to: whoever tries dies.
    calls(subject, random, |call| call.walled()).map(drop)
}

/// The most bytes of theta that rows_max is tried with, and the most seconds.
const LARGEST: u64 = 64 << 20;
const LONGEST: f64 = 4.0;

fn rows(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    let (info, p) = (loss.info()?, loss.p()?);
    let theta = loss.good_points(1, random)?;
    loss.eval(&Call::of(&[]))?.accepted()?;
    let one = loss.eval(&Call::of(&theta))?.numbers()?;
    let (mut left_out, rows_max) = (None, info.rows_max);
    for n in [info.rows_best, rows_max].into_iter().filter(|&n| n > 1) {
        let seconds = one.took.as_secs_f64() * n as f64;
        if n.saturating_mul(8 * p as u64) > LARGEST || seconds > LONGEST {
            left_out = Some(n);
            continue;
        }
        loss.eval(&Call::of(&theta.repeat(n as usize)))?.numbers()?;
    }
    let more = rows_max.saturating_add(1);
    if rows_max > 0 && more.saturating_mul(8 * p as u64) <= LARGEST {
        let answer = loss.eval(&Call::of(&theta.repeat(more as usize)))?;
        if answer.status == status::OK {
            return Err(fail(format!("{more} rows refused, as rows_max is {rows_max}"), "status 0"));
        }
    }
    match left_out {
        None => Ok(()),
        Some(n) => Err(skip(format!("{n} rows are too many to try; fewer are computed"))),
    }
}

fn outputs(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    let (p, grad, hvp) = (loss.p()?, loss.has(cap::GRAD)?, loss.has(cap::HVP)?);
    if !grad && !hvp {
        return Err(skip("there is no output but the loss"));
    }
    for n in [1, 5] {
        let n = loss.rows(n)?;
        let (theta, dir) = (loss.good_points(n, random)?, random.normals(n * p));
        let alike = loss.alike(&theta[..p])?;
        let plain = loss.eval(&Call::of(&theta))?.numbers()?;
        let with = [
            (grad, Call::of(&theta).grad(), "with the gradient"),
            (hvp, Call::of(&theta).hvp(&dir), "with Hessian-vector products"),
            (grad && hvp, Call::of(&theta).grad().hvp(&dir), "with gradient and Hessian-vector products"),
        ];
        for (_, call, how) in with.into_iter().filter(|(claimed, ..)| *claimed) {
            let answer = loss.eval(&call)?.accepted()?;
            (0..n).try_for_each(|row| alike.hold_loss(plain.row(row), answer.row(row), how))?;
        }
    }
    Ok(())
}

/// The most by which the answers for a row change when each coordinate changes by a rounding of itself or of the
/// typical one: of the loss, and of the components of the gradient if there is one.
fn rounding(
    loss: &OpenLoss<'_>,
    theta: &[f64],
    grad: bool,
    epsilon: f64,
    random: &mut Random,
) -> Outcome<(EvalAnswer, f64, f64)> {
    let (far, own) = (scale(theta), loss.epsilon()?);
    let at = loss.eval(&Call { grad, ..Call::of(theta) })?.numbers()?;
    let (mut of_loss, mut of_grad) = (0.0_f64, 0.0_f64);
    for _ in 0..8 {
        let jog = |x: &f64| rounded(x + epsilon * x.abs().max(far) * (2.0 * random.unit() - 1.0), own);
        let near: Vec<f64> = theta.iter().map(jog).collect();
        let near = loss.eval(&Call { grad, ..Call::of(&near) })?.accepted()?;
        if near.good(0) {
            of_loss = of_loss.max((near.loss[0] - at.loss[0]).abs());
            let changes = near.grad.iter().zip(&at.grad).map(|(a, b)| (a - b).abs());
            of_grad = changes.fold(of_grad, f64::max);
        }
    }
    Ok((at, of_loss, of_grad))
}

fn single(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    if !(loss.offers(dtype::F32)? && loss.offers(dtype::F64)?) {
        return Err(skip("one element type is offered"));
    }
    let (p, grad, epsilon) = (loss.p()?, loss.has(cap::GRAD)?, f64::from(f32::EPSILON));
    let theta: Vec<f64> = loss.good_points(4, random)?.into_iter().map(|x| rounded(x, epsilon)).collect();
    let spread = loss.spread(&theta[..p])?;
    for theta in theta.chunks_exact(p) {
        let (double, of_loss, of_grad) = rounding(&loss, theta, grad, epsilon, random)?;
        let answer = loss.eval(&Call { grad, ..Call::of(theta) }.single())?.numbers()?;
        let (a, b) = (double.loss[0], answer.loss[0]);
        let within = spread + MEASURED * of_loss + ROUNDINGS * epsilon * a.abs();
        if (a - b).abs() > within {
            return Err(fail(format!("the loss {a:?} of f64 within {within:.1e}"), format!("{b:?} of f32")).at(0));
        }
        let within = MEASURED * of_grad + ROUNDINGS * epsilon * largest(&double.grad);
        let pairs = double.grad.iter().zip(&answer.grad);
        if let Some((at, (a, b))) = pairs.enumerate().find(|(_, (a, b))| (*a - *b).abs() > within) {
            let expected = format!("gradient[{at}] = {a:?} of f64 within {within:.1e}");
            return Err(fail(expected, format!("{b:?} of f32")).at(0));
        }
    }
    Ok(())
}

fn symmetry(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    let (p, epsilon) = (loss.p()?, loss.epsilon()?);
    let mut symmetries = loss.symmetries()?;
    if symmetries.is_empty() {
        return Err(skip("no symmetry is declared"));
    }
    random.shuffle(&mut symmetries);
    let starts = loss.good_points(2, random)?;
    let spread = loss.spread(&starts[..p])?;
    for start in starts.chunks_exact(p) {
        let (at, of_start, _) = rounding(&loss, start, false, epsilon, random)?;
        // Each by itself, then all of them after each other.
        let few = symmetries.iter().take(24).map(std::slice::from_ref);
        for chosen in few.flat_map(|one| [one, one]).chain([symmetries.as_slice()]) {
            let mut theta = start.to_vec();
            chosen.iter().for_each(|symmetry| motion::moved(&mut theta, symmetry, random));
            theta.iter_mut().for_each(|x| *x = rounded(*x, epsilon));
            let (moved, of_moved, _) = rounding(&loss, &theta, false, epsilon, random)?;
            let (a, b) = (at.loss[0], moved.loss[0]);
            let within = spread + MEASURED * (of_start + of_moved) + ROUNDINGS * epsilon * a.abs();
            if (a - b).abs() > within {
                let what = if let [one] = chosen { motion::name(one) } else { "all declared symmetries".into() };
                let expected = format!("the loss {a:?} within {within:.1e} after {what}");
                return Err(fail(expected, format!("{b:?}")).at(0));
            }
        }
    }
    Ok(())
}
