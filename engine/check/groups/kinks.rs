//! Group `kinks`: what a loss says of its kinks is what its own values, gradients and differences say.
//!
//! Points at the edge of a kink are found by Newton's method on its z, with the rows that the test of rows has believed.
//! Sums over kinks are taken in another order than the loss takes them, so nothing here is held to its bits.

use super::gradient::{Losses, base};
use super::hvp;
use crate::check::judge::alike::largest;
use crate::check::judge::taylor::{self, TestedFunction};
use crate::check::plugin::{AtEdge, Bent, Call, Evaluated, Kinks, OpenLoss, edges, part};
use crate::check::test::{Outcome, Random, Subject, Test, fail, skip, warn};
use crate::loss::{Kink, Slope};
use mountainpass_sdk::abi::cap;
use std::time::Duration;

/// The group's part of the list.
pub const TESTS: &[Test] = &[
    Test::new(
        "kinks.near",
        "The kinks that are listed are those nearer than the width, by id, and as many as it says.",
        "The kinks with |z| < width at theta (p values), by id; the first `room` of them are written",
        &["value.answers"],
        near,
    ),
    Test::new(
        "kinks.figures",
        "z and delta of a listed kink are those of the loss with slopes, every kink on its own side.",
        "derivative of the loss by h, all kinks on the side of z",
        &["kinks.near"],
        figures,
    ),
    Test::new(
        "kinks.sides",
        "With every kink on its own side the loss with slopes is the loss, and where z is 0 it is so with any slope.",
        "h is replaced by t z. Any other kink is on the side of its own z",
        &["kinks.near"],
        sides,
    ),
    Test::new(
        "kinks.linear",
        "Gradients and products of the loss with slopes are those of its values.",
        "eval of the loss with n slopes given (by id, each once)",
        &["kinks.sides", "gradient.one-sided"],
        linear,
    ),
    Test::new(
        "kinks.rows",
        "The row of a kink is the gradient of its z in the loss with slopes.",
        "The gradients by theta of z of the n kinks in that loss",
        &["kinks.near"],
        rows,
    ),
    Test::new(
        "kinks.jump",
        "Where z is 0 the gradient with slope 1 less that with slope alpha is (1 - alpha) delta times the row.",
        "with z and delta of these kinks in it",
        &["kinks.linear", "kinks.rows", "kinks.figures"],
        jump,
    ),
    Test::new(
        "kinks.smoothed",
        "Gradients and products of the smoothed loss pass the tests of smooth ones.",
        "eval of the loss with every h replaced by alpha z + (1 - alpha) eps log(1 + exp(z / eps))",
        &["kinks.near", "gradient.one-sided"],
        smoothed,
    ),
    Test::new(
        "kinks.width",
        "The smoothed loss is above the loss by delta (1 - alpha) eps log(1 + exp(-|z| / eps)) of each kink, for small eps.",
        "eval of the loss with every h replaced by alpha z + (1 - alpha) eps log(1 + exp(z / eps))",
        &["kinks.jump", "kinks.smoothed"],
        width,
    ),
];

/// More kinks than this are not listed at once.
const LISTED: u64 = 1 << 16;
/// Slopes of which rows are asked for at once, and the numbers that they may be.
const ROWS: usize = 64;
const NUMBERS: usize = 1 << 22;
/// Kinks with slopes of their own beside one that is looked at.
const COMPANY: usize = 8;
/// Numbers that should be equal differ by this at the most, relative to the largest of their kind: by sums in another order,
/// through a graph that has more operations.
const CLOSE: f64 = 1e-9;
/// How far outside a slope may be, by the kink's bend: the search for an active set comes by such.
const OUTSIDE: f64 = 100.0;
/// How long one gradient may be looked at.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks for the kinks round a point, all of them where they are not too many: with the width that they are nearer than.
fn listed(kinks: &Kinks<'_>, theta: &[f64]) -> Outcome<(Vec<Kink>, f64)> {
    let mut width = f64::INFINITY;
    loop {
        let count = kinks.near(theta, width, 0)?.count;
        if count <= LISTED {
            return Ok((kinks.near(theta, width, count as usize)?.kinks, width));
        }
        width = if width.is_finite() { width / 4.0 } else { 1.0 };
        if width < 1e-9 {
            return Err(skip(format!("{count} kinks are nearer than {width:.0e}")));
        }
    }
}

/// A point where the loss has numbers and some kinks, with these.
fn around(kinks: &Kinks<'_>, away: bool, random: &mut Random) -> Outcome<(Vec<f64>, Vec<Kink>)> {
    let (theta, _) = base(kinks.loss(), away, None, random)?;
    let (found, _) = listed(kinks, &theta)?;
    match found.is_empty() {
        true => Err(skip("no kink is near")),
        false => Ok((theta, found)),
    }
}

/// Slopes on the sides that kinks are on; one that is exactly at its edge keeps what the loss takes there.
fn on_sides(kinks: &[Kink]) -> Vec<Slope> {
    let off = kinks.iter().filter(|kink| kink.z != 0.0);
    off.map(|kink| part(kink, if kink.z < 0.0 { 0.0 } else { 1.0 })).collect()
}

/// At most `most` of them, evenly.
fn some<T: Clone>(all: &[T], most: usize) -> Vec<T> {
    all.iter().step_by(all.len().div_ceil(most.max(1)).max(1)).cloned().collect()
}

/// Fails unless two lists of numbers are the same but for rounding and a slack.
fn close(name: &str, expected: &[f64], got: &[f64], slack: f64) -> Outcome {
    let within = CLOSE * largest(expected).max(largest(got)) + slack;
    match expected.iter().zip(got).position(|(a, b)| (a - b).is_nan() || (a - b).abs() > within) {
        None => Ok(()),
        Some(at) => {
            let words = format!("{name}[{at}] = {:.12e} within {within:.1e}", expected[at]);
            Err(fail(words, format!("{:.12e}", got[at])))
        }
    }
}

fn near(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    let kinks = loss.kinks()?;
    for away in [false, true] {
        let (theta, _) = base(kinks.loss(), away, None, random)?;
        let (all, width) = listed(&kinks, &theta)?;
        makes_sense(&all, width, kinks.count)?;
        if width.is_infinite() && all.len() as u64 != kinks.count {
            let got = format!("{} of them are nearer than infinity", all.len());
            return Err(fail(format!("{} kinks, as count says", kinks.count), got));
        }
        let mut sizes: Vec<f64> = all.iter().map(|kink| kink.z.abs()).collect();
        sizes.sort_by(f64::total_cmp);
        let middle = sizes.len() / 2;
        // Between two of them, so that rounding decides nothing.
        let Some(&[low, high]) = sizes.get(middle.saturating_sub(1)..=middle) else { continue };
        narrower(&kinks, &theta, &all, 0.5 * (low + high))?;
        narrower(&kinks, &theta, &all, 2.0 * high)?;
    }
    Ok(())
}

/// What is listed could be kinks.
fn makes_sense(all: &[Kink], width: f64, count: u64) -> Outcome {
    if let Some(pair) = all.windows(2).find(|pair| pair[0].id >= pair[1].id) {
        return Err(fail("ids that ascend", format!("kink {} before kink {}", pair[0].id, pair[1].id)));
    }
    for Kink { id, z, alpha, delta } in all {
        let sound = *id < count && z.abs() < width && alpha.is_finite() && *alpha < 1.0 && delta.is_finite();
        if !sound {
            let expected = format!("an id below {count}, |z| below {width}, alpha below 1, and a finite delta");
            return Err(fail(expected, format!("kink {id}: z is {z}, alpha {alpha}, delta {delta}")));
        }
    }
    Ok(())
}

/// The list for a width is the part of a longer one, and is cut off where its room ends.
fn narrower(kinks: &Kinks<'_>, theta: &[f64], all: &[Kink], width: f64) -> Outcome {
    let expected: Vec<u64> = all.iter().filter(|kink| kink.z.abs() < width).map(|kink| kink.id).collect();
    for room in [expected.len() + 2, expected.len() / 2] {
        let found = kinks.near(theta, width, room)?;
        let ids: Vec<u64> = found.kinks.iter().map(|kink| kink.id).collect();
        let first = &expected[..expected.len().min(room)];
        if found.count != expected.len() as u64 || ids != first {
            let at = first.iter().zip(&ids).position(|(a, b)| a != b).unwrap_or(first.len().min(ids.len()));
            let words = format!(
                "{} kinks nearer than {width:.6e}, of these number {at} is {:?}",
                expected.len(),
                first.get(at)
            );
            return Err(fail(words, format!("{} kinks, number {at} is {:?}", found.count, ids.get(at))));
        }
    }
    Ok(())
}

fn figures(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    let kinks = loss.kinks()?;
    for away in [false, true] {
        let (theta, found) = around(&kinks, away, random)?;
        let off: Vec<&Kink> = found.iter().filter(|kink| kink.z != 0.0).collect();
        let told = kinks.linear(&on_sides(&found), &Call::of(&theta))?;
        let [z, delta]: [Vec<f64>; 2] = [|k: &&Kink| k.z, |k: &&Kink| k.delta].map(|of| off.iter().map(of).collect());
        close("z", &told.z, &z, 0.0)?;
        close("delta", &told.delta, &delta, 0.0)?;
    }
    Ok(())
}

fn sides(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    let kinks = loss.kinks()?;
    for away in [false, true] {
        let (theta, found) = around(&kinks, away, random)?;
        let dir = random.direction(theta.len());
        let (call, slack) = (loss.everything(&theta, &dir)?, loss.spread(&theta)?);
        let (own, bent) = (loss.eval(&call)?.numbers()?, kinks.linear(&on_sides(&found), &call)?.answer.numbers()?);
        close("loss", &own.loss, &bent.loss, slack)?;
        close("gradient", &own.grad, &bent.grad, slack)?;
        close("product", &own.hvp, &bent.hvp, slack)?;
        for edge in edges(&kinks, &theta, &found, 0)? {
            let told = kinks.linear(&edge.bending.with(0.5).0, &Call::of(&edge.theta))?;
            let value = told.answer.numbers()?.loss;
            // z is no exact zero.
            let slack = slack + 2.0 * ((1.0 - edge.bending.kink.alpha) * told.delta[0] * edge.z).abs();
            close("loss", &loss.losses(&edge.theta)?, &value, slack)?;
        }
    }
    Ok(())
}

/// Slopes strictly inside, of every kink another one.
fn inside(kinks: &[Kink]) -> Vec<Slope> {
    kinks.iter().enumerate().map(|(k, kink)| part(kink, 0.25 + 0.1 * (k % 6) as f64)).collect()
}

/// Holds the gradients of a loss that stands for another against its values, and its products against its gradients.
fn derivatives(bent: &dyn Evaluated, smooth: bool, random: &mut Random) -> Outcome {
    let loss = bent.open();
    let (epsilon, noise) = (loss.epsilon()?, loss.info()?.noise);
    for away in [false, true] {
        let (theta, gradient) = base(bent, away, None, random)?;
        let function = Losses { loss: bent, ids: None, epsilon, noise };
        let found = taylor::test(&function, (&theta, &gradient), smooth, PATIENCE, random)?;
        if let Some((expected, got)) = found.wrong.map(|wrong| wrong.words()) {
            return Err(fail(expected, got));
        }
    }
    if smooth && loss.has(cap::HVP)? { hvp::differences(bent, random) } else { Ok(()) }
}

fn linear(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    loss.requires(cap::GRAD, "MPASS_CAP_GRAD")?;
    let kinks = loss.kinks()?;
    let (_, found) = around(&kinks, true, random)?;
    let slopes = inside(&found);
    derivatives(&Bent::Linear(&kinks, &slopes), found.len() as u64 == kinks.count, random)
}

/// z of a kink in the loss with slopes.
struct Edge<'a> {
    kinks: &'a Kinks<'a>,
    slopes: &'a [Slope],
    at: usize,
}

impl TestedFunction for Edge<'_> {
    fn values(&self, theta: &[f64]) -> Outcome<Vec<f64>> {
        let (loss, mut all) = (self.kinks.loss(), Vec::new());
        for rows in theta.chunks(loss.rows_of_a_call()? * loss.p()?) {
            let found = self.kinks.linear(self.slopes, &Call::of(rows))?;
            let z = found.z.chunks_exact(self.slopes.len()).enumerate();
            all.extend(z.map(|(row, z)| if found.answer.good(row) { z[self.at] } else { f64::NAN }));
        }
        Ok(all)
    }

    fn epsilon(&self) -> f64 {
        f64::EPSILON
    }

    fn noise(&self) -> f64 {
        0.0
    }
}

fn rows(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    let kinks = loss.kinks()?;
    let (theta, found) = around(&kinks, true, random)?;
    let slopes = some(&inside(&found), ROWS.min(NUMBERS / theta.len()));
    let rows = kinks.rows(&theta, &slopes)?;
    let ats: Vec<usize> = (0..slopes.len()).collect();
    for at in some(&ats, 6) {
        let row = &rows[at * theta.len()..(at + 1) * theta.len()];
        let function = Edge { kinks: &kinks, slopes: &slopes, at };
        let smooth = slopes.len() as u64 == kinks.count;
        let found = taylor::test(&function, (&theta, row), smooth, PATIENCE / 4, random)?;
        if let Some((expected, got)) = found.wrong.map(|wrong| wrong.words()) {
            let of = format!("for z of kink {}", slopes[at].id);
            return Err(fail(format!("{expected}, {of}"), got));
        }
    }
    Ok(())
}

fn jump(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    loss.requires(cap::GRAD, "MPASS_CAP_GRAD")?;
    let (kinks, mut decided) = (loss.kinks()?, 0);
    for away in [false, true] {
        let (theta, found) = around(&kinks, away, random)?;
        for AtEdge { theta, bending, .. } in edges(&kinks, &theta, &found, COMPANY)? {
            let (call, kink) = (Call::of(&theta).grad(), &bending.kink);
            let (low, at) = bending.with(0.0);
            let low = kinks.linear(&low, &call)?;
            let rows = kinks.rows(&theta, &bending.with(0.5).0)?;
            let row = &rows[at * theta.len()..(at + 1) * theta.len()];
            for part in [1.0, OUTSIDE] {
                let high = kinks.linear(&bending.with(part).0, &call)?;
                let jump: Vec<f64> =
                    high.answer.grad.iter().zip(&low.answer.grad).map(|(high, low)| high - low).collect();
                let told: Vec<f64> = row.iter().map(|x| part * (1.0 - kink.alpha) * high.delta[at] * x).collect();
                // Rounding of what is subtracted; and of z, which is no exact zero.
                let slack = CLOSE * largest(&high.answer.grad).max(largest(&low.answer.grad)) + 1e-6 * largest(&told);
                decided += usize::from(largest(&jump).max(largest(&told)) > 10.0 * slack);
                close(&format!("jump across kink {} at {part} of its bend", kink.id), &jump, &told, slack)?;
            }
        }
    }
    decision(decided)
}

/// Warns where nothing was decided.
fn decision(decided: usize) -> Outcome {
    match decided {
        0 => Err(warn("no kink whose edge could be reached matters more than rounding")),
        _ => Ok(()),
    }
}

/// A width that about half of those kinks are nearer than.
fn usual_width(found: &[Kink]) -> f64 {
    let mut sizes: Vec<f64> = found.iter().map(|kink| kink.z.abs()).filter(|z| *z > 0.0).collect();
    sizes.sort_by(f64::total_cmp);
    sizes.get(sizes.len() / 2).copied().unwrap_or(1.0)
}

fn smoothed(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    loss.requires(cap::GRAD, "MPASS_CAP_GRAD")?;
    let kinks = loss.kinks()?;
    let (_, found) = around(&kinks, true, random)?;
    derivatives(&Bent::Smoothed(&kinks, usual_width(&found)), true, random)
}

fn width(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    let (kinks, mut decided, mut refuted) = (loss.kinks()?, 0, None);
    for away in [false, true] {
        let (theta, found) = around(&kinks, away, random)?;
        for edge in edges(&kinks, &theta, &found, 0)? {
            match excess(&loss, &kinks, &edge.theta, usual_width(&found))? {
                Excess::Right => decided += 1,
                // Kinks that feed one another may be at their edges together, where the law is another.
                Excess::Wrong(expected, got) => refuted = refuted.or(Some((expected, got))),
                Excess::Unknown => {}
            }
        }
    }
    match refuted {
        Some((expected, got)) if decided == 0 => Err(fail(expected, got)),
        _ => decision(decided),
    }
}

/// By how much a smoothed loss is above its loss.
enum Excess {
    Right,
    Wrong(String, String),
    /// Rounding hides it.
    Unknown,
}

fn excess(loss: &OpenLoss<'_>, kinks: &Kinks<'_>, theta: &[f64], usual: f64) -> Outcome<Excess> {
    let (value, mut before, mut verdict) = (loss.losses(theta)?[0], None, Excess::Unknown);
    let noise = loss.spread(theta)? + 1e3 * f64::EPSILON * value.abs();
    for eps in [1e-1, 1e-2, 1e-3, 1e-4, 1e-5].map(|part| part * usual) {
        let found = kinks.near(theta, 40.0 * eps, LISTED as usize)?.kinks;
        let of = |kink: &Kink| kink.delta * (1.0 - kink.alpha) * eps * (-kink.z.abs() / eps).exp().ln_1p();
        let (told, size) = (found.iter().map(of).sum::<f64>(), found.iter().map(|kink| of(kink).abs()).sum::<f64>());
        let seen = kinks.smoothed(eps, &Call::of(theta))?.numbers()?.loss[0] - value;
        if size < 100.0 * noise {
            break;
        }
        // What is left falls as the square of eps, so its share falls tenfold.
        let share = (seen - told).abs() / size;
        verdict = match before {
            _ if share <= 0.02 => return Ok(Excess::Right),
            Some(before) if share > 0.5 * before => {
                let expected = format!("a loss smoothed at {eps:.1e} that is {told:.6e} above the loss");
                Excess::Wrong(expected, format!("{seen:.6e} at the edge of a kink"))
            }
            _ => Excess::Unknown,
        };
        before = Some(share);
    }
    Ok(verdict)
}
