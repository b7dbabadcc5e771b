//! The true gradient flow, theta' = -grad f, from a point down into a basin: the descending lines of the Morse complex.
//!
//! Exponential steps (Rosenbrock-Euler; Hochbruck and Ostermann 2010): the loss is taken for its quadratic model, whose
//! flow is known in the Krylov subspace of the gradient. What the model makes of the gradient at the new point, compared
//! with the gradient there, tells the error of the step; steps are made as long as it allows, so that in a valley, where
//! plain descent crawls, a few do. A descent by L-BFGS ends somewhere else for every few saddles (docs/decisions.md#search).

use super::minima::Domain;
use super::subspace::Subspace;
use super::vector::{axpy, distance, dot, norm};
use crate::error::Result;
use crate::loss::oracle::Oracle;

/// How a flow is followed.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// The error of a step, as a fraction of its length.
    pub tolerance: f64,
    /// The most steps.
    pub steps: usize,
    /// The most dimensions in which the Hessian is seen, a product each.
    pub dimensions: usize,
    /// 1 follows it down, -1 the flow of -f: up.
    pub sign: f64,
}

impl Flow {
    /// Well enough to tell basins apart.
    pub const CAREFUL: Flow = Flow { tolerance: 0.01, steps: 400, dimensions: 12, sign: 1.0 };

    /// The same the other way.
    pub fn upward(self) -> Flow {
        Flow { sign: -self.sign, ..self }
    }
}

/// A line of the flow.
#[derive(Clone, Debug)]
pub struct Descended {
    /// Its points, row after row, the start first.
    pub knots: Vec<f64>,
    /// Whether it came to where a minimum draws everything near: the last point belongs to that minimum's basin.
    pub arrived: bool,
}

/// Follows the flow from a point until it has come close to a minimum, left the domain, or spent its steps. Costs a
/// gradient and up to `dimensions` Hessian products a step.
pub fn descend(oracle: &mut Oracle<'_>, start: &[f64], domain: &Domain, flow: Flow) -> Result<Descended> {
    let blur = oracle.product_error().max(f64::EPSILON * start.len() as f64);
    let mut falling = Falling { oracle, sign: flow.sign };
    let mut knots = start.to_vec();
    let mut theta = start.to_vec();
    let (mut loss, mut gradient) = falling.gradient(&theta)?;
    let (mut time, mut largest) = (0.0, 0.0_f64);
    for count in 0..flow.steps {
        let size = norm(&gradient);
        largest = largest.max(size);
        if !size.is_finite() || !domain.contains(&theta, 0.0) {
            break;
        }
        let is_slow = count % 40 == 39 && size < 1e-2 * largest;
        let beyond = if is_slow { leap(&mut falling, &theta, &gradient, distance(&theta, start))? } else { None };
        if let Some(beyond) = beyond {
            (theta, loss, gradient) = (beyond.theta, beyond.loss, beyond.gradient);
            knots.extend_from_slice(&theta);
            time = 0.0;
            continue;
        }
        let held = domain.tangents().at(&theta);
        let space = match size > 0.0 {
            true => falling.seen(&theta, &gradient, &held, flow.dimensions)?,
            false => None,
        };
        let Some(space) = space else { break };
        let sharpest = space.values.iter().fold(0.0, |m: f64, v| m.max(v.abs())).max(f64::MIN_POSITIVE);
        // First by a tenth of the fastest motion.
        time = if time == 0.0 { 0.1 / sharpest } else { time };
        let Some(step) = step(&mut falling, &space, (&theta, loss), &mut time, flow.tolerance)? else { break };
        (theta, loss, gradient) = (step.theta, step.loss, step.gradient);
        knots.extend_from_slice(&theta);
        // The model's whole way down to its minimum was good: from here everything near goes there.
        let lowest = space.lowest(blur);
        if lowest > 0.0 && lowest.is_finite() && step.time * lowest > 6.0 && norm(&gradient) <= 0.1 * size {
            return Ok(Descended { knots, arrived: true });
        }
    }
    Ok(Descended { knots, arrived: false })
}

/// The loss, or its negative, whose flow then goes up.
struct Falling<'o, 'b> {
    oracle: &'o mut Oracle<'b>,
    sign: f64,
}

impl Falling<'_, '_> {
    fn gradient(&mut self, theta: &[f64]) -> Result<(f64, Vec<f64>)> {
        let (losses, mut gradient) = self.oracle.gradients(theta)?;
        gradient.iter_mut().for_each(|g| *g *= self.sign);
        Ok((self.sign * losses[0], gradient))
    }

    fn seen(&mut self, theta: &[f64], from: &[f64], held: &[Vec<f64>], most: usize) -> Result<Option<Subspace>> {
        let mut space = Subspace::of(self.oracle, theta, from, held, most)?;
        space.iter_mut().flat_map(|space| &mut space.values).for_each(|value| *value *= self.sign);
        Ok(space)
    }
}

/// Past a place where a line of the flow comes to a stop though the loss falls on beyond it: a degenerate point, from which
/// every loss but this very one would lead on. `None` where there is no such place ahead.
fn leap(falling: &mut Falling<'_, '_>, theta: &[f64], gradient: &[f64], way: f64) -> Result<Option<Step>> {
    let size = norm(gradient);
    for halvings in (4..40).rev().step_by(2) {
        let mut next = theta.to_vec();
        axpy(&mut next, -way * 0.5_f64.powi(halvings) / size, gradient);
        let (loss, ahead) = falling.gradient(&next)?;
        // Where the loss is convex ahead, its slope only lessens.
        if dot(&ahead, gradient) > 4.0 * size * size {
            return Ok(Some(Step { theta: next, loss, gradient: ahead, time: 0.0 }));
        }
    }
    Ok(None)
}

struct Step {
    theta: Vec<f64>,
    loss: f64,
    gradient: Vec<f64>,
    time: f64,
}

/// The longest step whose error is small enough; `time` is tried first, and becomes what to try next. `None` when no step
/// goes down.
fn step(
    falling: &mut Falling<'_, '_>,
    space: &Subspace,
    (theta, loss): (&[f64], f64),
    time: &mut f64,
    tolerance: f64,
) -> Result<Option<Step>> {
    for _try in 0..60 {
        let h = *time;
        let shift = space.apply(theta.len(), |value| -h * decay(h * value));
        let mut next = theta.to_vec();
        axpy(&mut next, 1.0, &shift);
        let (ahead, gradient) = falling.gradient(&next)?;
        let error = error(falling, space, theta, &gradient, h)? / norm(&shift);
        let falls = ahead < loss + 4.0 * f64::EPSILON * loss.abs();
        let fits = error <= tolerance && falls && norm(&gradient).is_finite();
        // The error of a step grows with the third power of its time, and its length with the first.
        let factor = if error.is_finite() { (tolerance / error.max(1e-12)).sqrt() } else { 0.0 };
        *time *= if fits { (0.9 * factor).clamp(1.0, 6.0) } else { (0.8 * factor).clamp(0.1, 0.5) };
        if fits {
            return Ok(Some(Step { theta: next, loss: ahead, gradient, time: h }));
        }
    }
    Ok(None)
}

/// How far a step of time `h` from `theta` is from the flow: what the gradient is beside the model's, a third of it on the average
/// over the step, carried along by the flow.
fn error(falling: &mut Falling<'_, '_>, space: &Subspace, theta: &[f64], gradient: &[f64], h: f64) -> Result<f64> {
    let mut rest = gradient.to_vec();
    axpy(&mut rest, -1.0, &space.apply(theta.len(), |value| (-h * value).exp()));
    if !norm(&rest).is_finite() {
        return Ok(f64::INFINITY);
    }
    let (inside, outside) = space.apply_to(&rest, |value| h * decay(h * value));
    let size = norm(&outside);
    let mut beside = 0.0;
    if size > 1e-3 * norm(&rest) {
        let product = falling.oracle.hessian_products(theta, &outside)?;
        let curvature = (falling.sign * dot(&product, &outside) / (size * size)).max(0.0);
        beside = size * h * decay(h * curvature);
    }
    Ok((norm(&inside).hypot(beside)) / 3.0)
}

/// (1 - exp(-z)) / z.
fn decay(z: f64) -> f64 {
    if z.abs() < 1e-8 { 1.0 - 0.5 * z } else { -(-z).exp_m1() / z }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::closed_form::{ClosedForm, mueller_brown, three_hump_camel};
    use crate::run::{Budget, Cancel};
    use crate::search::start::uniform;

    type Function = fn(&[f64], &mut [f64]) -> f64;

    /// Where plain steps, far smaller than anything bends, lead: a second algorithm.
    fn crawled(f: Function, start: &[f64], step: f64) -> Vec<f64> {
        let (mut x, mut g) = (start.to_vec(), vec![0.0; start.len()]);
        for _ in 0..2_000_000 {
            f(&x, &mut g);
            if norm(&g) < 1e-3 {
                break;
            }
            // Heun's method.
            let (mut y, mut h) = (x.clone(), g.clone());
            axpy(&mut y, -step, &g);
            f(&y, &mut h);
            axpy(&mut x, -0.5 * step, &g);
            axpy(&mut x, -0.5 * step, &h);
        }
        x
    }

    fn ends_agree(f: Function, range: [f64; 2], step: f64, starts: u64) -> (u64, u64) {
        let mut loss = ClosedForm::new(2, Some(range), f);
        let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
        let domain = Domain::new(None, &[], 2, Some(1e6), 1.0);
        let mut wrong = 0;
        let mut cost = 0;
        for seed in 0..starts {
            let mut unit = uniform(seed, 0);
            let start: Vec<f64> = (0..2).map(|_| range[0] + (range[1] - range[0]) * unit()).collect();
            let line = descend(&mut oracle, &start, &domain, Flow::CAREFUL).unwrap();
            let tally = oracle.take_tally();
            cost += tally.gradient + tally.hessian_product;
            let end = line.knots[line.knots.len() - 2..].to_vec();
            let known = crawled(f, &start, step);
            if !line.arrived || crate::search::vector::distance(&end, &known) > 0.1 {
                wrong += 1;
            }
        }
        (wrong, cost / starts)
    }

    #[test]
    fn the_flow_ends_where_small_steps_end() {
        // Beside a basin's boundary every error decides.
        let (wrong, cost) = ends_agree(three_hump_camel, [-2.5, 2.5], 1e-3, 200);
        assert!(wrong <= 1 && cost < 300, "{wrong} of 200 end elsewhere, {cost} evaluations each");
        let (wrong, cost) = ends_agree(mueller_brown, [-1.2, 1.2], 1e-5, 100);
        assert!(wrong <= 1 && cost < 300, "{wrong} of 100 end elsewhere, {cost} evaluations each");
    }
}
