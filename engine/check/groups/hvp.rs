//! Group `hvp`: Hessian-vector products are those of the gradient's Hessian.
//!
//! Tolerances are measured: how much a product changes when theta and the vector change by a rounding.

use crate::check::judge::alike::{MEASURED, ROUNDINGS, largest};
use crate::check::judge::line::{self, Line, Slope};
use crate::check::judge::taylor::{Direction, rounded, scale};
use crate::check::plugin::{Call, Evaluated};
use crate::check::test::{Outcome, Random, Subject, Test, fail, skip};
use mountainpass_sdk::abi::cap;
use std::time::{Duration, Instant};

/// The group's part of the list.
pub const TESTS: &[Test] = &[
    Test::new(
        "hvp.symmetric",
        "The Hessian is symmetric: u'Hv = v'Hu.",
        "hvp[i] = Hessian(theta[i]) dir[i]",
        &["value.answers", "hvp.linear"],
        symmetric,
    ),
    Test::new(
        "hvp.linear",
        "The Hessian-vector product is linear in the vector.",
        "hvp[i] = Hessian(theta[i]) dir[i]",
        &["value.answers"],
        linear,
    ),
    Test::new(
        "hvp.taylor",
        "The Hessian-vector product of a loss with MPASS_CAP_SMOOTH is the derivative of the gradient along the vector.",
        "twice differentiable: Hessian checks apply;",
        &["gradient.taylor", "gradient.batch", "hvp.symmetric"],
        derivative,
    ),
];

/// How long one base point may take.
const PATIENCE: Duration = Duration::from_secs(4);

/// The Hessian at a point.
struct Hessian<'a> {
    loss: &'a dyn Evaluated,
    theta: Vec<f64>,
    epsilon: f64,
    /// The change of a product with a unit vector when its inputs change by a rounding.
    noise: f64,
}

impl<'a> Hessian<'a> {
    /// At a random start, or beside one.
    fn at(loss: &'a dyn Evaluated, away: bool, random: &mut Random) -> Outcome<Hessian<'a>> {
        let (p, epsilon) = (loss.open().p()?, loss.open().epsilon()?);
        for _ in 0..10 {
            let theta = loss.open().base_point(away, random)?;
            let v = vector(p, epsilon, random);
            if !loss.evaluate(&Call::of(&theta).hvp(&v))?.accepted()?.good(0) {
                continue;
            }
            let mut hessian = Hessian { loss, theta, epsilon, noise: 0.0 };
            let product = hessian.times(&v)?;
            for _ in 0..4 {
                let mut jog = |x: &[f64]| -> Vec<f64> {
                    x.iter().map(|x| rounded(x + x * epsilon * (2.0 * random.unit() - 1.0).signum(), epsilon)).collect()
                };
                let (theta, v) = (jog(&hessian.theta), jog(&v));
                let answer = loss.evaluate(&Call::of(&theta).hvp(&v))?.accepted()?;
                let change = product.iter().zip(answer.hvp(0)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                hessian.noise = hessian.noise.max(if change.is_finite() { change } else { 0.0 });
            }
            return Ok(hessian);
        }
        Err(skip("there are no numbers at ten points in a row"))
    }

    fn times(&self, v: &[f64]) -> Outcome<Vec<f64>> {
        let answer = self.loss.evaluate(&Call::of(&self.theta).hvp(v))?.accepted()?;
        match answer.flaw(0) {
            None => Ok(answer.hvp),
            Some(flaw) => Err(fail("a finite product, as with another vector", flaw).at(0)),
        }
    }

    /// How far a component of a product of that size may be off.
    fn tolerance(&self, size: f64) -> f64 {
        MEASURED * self.noise + ROUNDINGS * self.epsilon * size
    }
}

/// A random vector of length 1, exact in the type that theta travels as.
fn vector(p: usize, epsilon: f64, random: &mut Random) -> Vec<f64> {
    random.direction(p).into_iter().map(|x| rounded(x, epsilon)).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn symmetric(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    loss.requires(cap::HVP, "MPASS_CAP_HVP")?;
    let p = loss.p()?;
    for away in [false, true] {
        let hessian = Hessian::at(&loss, away, random)?;
        for _ in 0..6 {
            let (u, v) = (vector(p, hessian.epsilon, random), vector(p, hessian.epsilon, random));
            let (hu, hv) = (hessian.times(&u)?, hessian.times(&v)?);
            let (uhv, vhu) = (dot(&u, &hv), dot(&v, &hu));
            let sum = |v: &[f64]| v.iter().map(|x| x.abs()).sum::<f64>();
            let within = hessian.tolerance(largest(&hu).max(largest(&hv))) * sum(&u).max(sum(&v));
            if (uhv - vhu).abs() > within {
                let expected = format!("u'Hv = v'Hu within {within:.1e} for random vectors of length 1");
                return Err(fail(expected, format!("u'Hv = {uhv:.12e}, v'Hu = {vhu:.12e}")).at(0));
            }
        }
    }
    Ok(())
}

fn linear(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    loss.requires(cap::HVP, "MPASS_CAP_HVP")?;
    let p = loss.p()?;
    for away in [false, true] {
        let hessian = Hessian::at(&loss, away, random)?;
        let nothing = hessian.times(&vec![0.0; p])?;
        if let Some(at) = nothing.iter().position(|&x| x.abs() > hessian.tolerance(0.0)) {
            return Err(fail("H0 = 0", format!("component {at} is {}", nothing[at])).at(0));
        }
        for _ in 0..4 {
            let (u, v) = (vector(p, hessian.epsilon, random), vector(p, hessian.epsilon, random));
            // Powers of two lose nothing to rounding in the vector itself.
            let a = 2_f64.powi(random.below(9) as i32 - 4) * if random.unit() < 0.5 { -1.0 } else { 1.0 };
            let together: Vec<f64> = u.iter().zip(&v).map(|(u, v)| rounded(a * u + v, hessian.epsilon)).collect();
            let (hu, hv, whole) = (hessian.times(&u)?, hessian.times(&v)?, hessian.times(&together)?);
            let size = (a * largest(&hu)).abs().max(largest(&hv));
            let within = hessian.tolerance(size) * (1.0 + a.abs());
            let parts: Vec<f64> = hu.iter().zip(&hv).map(|(u, v)| a * u + v).collect();
            if let Some(at) = (0..p).find(|&i| (parts[i] - whole[i]).abs() > within) {
                let expected = format!(
                    "H({a} u + v)[{at}] = {a} (Hu)[{at}] + (Hv)[{at}] = {:.12e} within {within:.1e}",
                    parts[at]
                );
                return Err(fail(expected, format!("{:.12e}", whole[at])).at(0));
            }
        }
    }
    Ok(())
}

/// What a product is looked at through.
fn weights(p: usize, product: &[f64], random: &mut Random) -> Vec<Direction> {
    let mut all = vec![Direction::dense(p, random), Direction::dense(p, random)];
    if p <= 16 {
        all.extend((0..p).map(Direction::single));
    } else {
        let largest = (0..p).max_by(|&i, &j| product[i].abs().total_cmp(&product[j].abs())).unwrap_or(0);
        all.push(Direction::single(largest));
        all.extend((0..4).map(|_| Direction::single(random.below(p as u64) as usize)));
    }
    all
}

fn derivative(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    loss.requires(cap::HVP, "MPASS_CAP_HVP")?;
    loss.requires(cap::GRAD, "MPASS_CAP_GRAD")?;
    // Across kinks the gradient jumps, and differences see the jumps as well as the Hessian beside them.
    loss.requires(cap::SMOOTH, "MPASS_CAP_SMOOTH")?;
    differences(&loss, random)
}

/// Holds products against differences of gradients, at a start and beside one.
pub(super) fn differences(loss: &dyn Evaluated, random: &mut Random) -> Outcome {
    let p = loss.open().p()?;
    for away in [false, true] {
        let since = Instant::now();
        let hessian = Hessian::at(loss, away, random)?;
        let mut directions: Vec<Direction> = (0..3).map(|_| Direction::dense(p, random)).collect();
        directions.extend((0..6.min(p)).map(|_| Direction::single(random.below(p as u64) as usize)));
        for (i, direction) in directions.iter().enumerate() {
            if i >= 2 && since.elapsed() > PATIENCE {
                break;
            }
            along(&hessian, direction, random)?;
        }
    }
    Ok(())
}

/// Holds the product with one direction against differences of gradients.
fn along(hessian: &Hessian<'_>, direction: &Direction, random: &mut Random) -> Outcome {
    let Hessian { loss, theta, epsilon, .. } = hessian;
    let p = theta.len();
    let mut v = vec![0.0; p];
    direction.entries.iter().for_each(|&(at, component)| v[at] = rounded(component, *epsilon));
    let product = hessian.times(&v)?;
    let weights = weights(p, &product, random);
    let size = direction.size(scale(theta));
    let (steps, stretch) = (line::steps(size, *epsilon), line::stretch(size, *epsilon));
    let offsets: Vec<f64> =
        steps.iter().copied().chain(steps.iter().map(|step| -step)).chain([0.0]).chain(stretch).collect();
    // Per offset: the gradient through every weight, and the size of the terms in it.
    let mut seen: Vec<Vec<(f64, f64)>> = Vec::new();
    for offsets in offsets.chunks(loss.open().rows_of_a_call()?) {
        let points = direction.points(theta, offsets.iter().copied(), *epsilon);
        let answer = loss.evaluate(&Call::of(&points).grad())?.accepted()?;
        let through = |row: usize, weight: &Direction| {
            let terms = weight.entries.iter().map(|&(at, component)| answer.grad(row)[at] * component);
            let value = if answer.good(row) { terms.clone().sum() } else { f64::NAN };
            (value, terms.map(f64::abs).sum::<f64>())
        };
        seen.extend((0..answer.n()).map(|row| weights.iter().map(|weight| through(row, weight)).collect()));
    }
    for (w, weight) in weights.iter().enumerate() {
        let terms = weight.entries.iter().map(|&(at, component)| product[at] * component);
        let claimed: f64 = terms.clone().sum();
        let mut left: Vec<f64> = seen.iter().zip(&offsets).map(|(seen, offset)| seen[w].0 - offset * claimed).collect();
        let mut right: Vec<f64> = left.drain(..steps.len()).collect();
        let near = left.split_off(steps.len() + 1);
        let base = left.pop().unwrap_or(f64::NAN);
        let noise = line::noise(&near).unwrap_or(0.0).max(0.5 * epsilon * seen[2 * steps.len()][w].1);
        let line = Line { steps: steps.clone(), base, right: std::mem::take(&mut right), left };
        let allowance = 100.0 * epsilon * terms.map(f64::abs).sum::<f64>() + MEASURED * hessian.noise;
        if let Slope::Some { value, error, .. } = line.slope(noise, allowance, true) {
            let along = direction.name(p);
            let expected = format!(
                "the derivative {:.10e} of the gradient (seen through {}) along {along}, known to {error:.1e}",
                claimed + value,
                weight.name(p)
            );
            return Err(fail(expected, format!("{claimed:.10e}")).at(0));
        }
    }
    Ok(())
}
