//! Minima: descents from many starts in lockstep, one batched call a round, each ending with its evidence.
//!
//! L-BFGS with a step cap, Armijo's test and quadratic back-off (no Wolfe search, no Adam first: docs/decisions.md#search)
//! down to a gradient norm of 1e-8, because bars can be shorter than what 1e-6 leaves in the loss. Then the lowest
//! eigenvalues: a negative one is stepped along and the descent goes on. Rows of a batch do not see each other, so
//! a descent ends in the same bits whatever runs beside it.

use super::landscape::{Descent, Evidence};
use super::lbfgs::Lbfgs;
use super::spectrum::{self, Lowest, NoSpectrum};
use super::tangents::Tangents;
use super::vector::{axpy, dot, norm};
use crate::error::Result;
use crate::loss::oracle::Oracle;
use crate::loss::{Bounds, Symmetry, SymmetryKind};

/// How a descent is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    /// The gradient norm at which a descent has converged.
    pub tolerance: f64,
    /// The number of steps L-BFGS remembers.
    pub memory: usize,
    /// The longest step.
    pub step: f64,
    /// The most evaluations of one descent.
    pub evaluations: u64,
    /// Whether the end is checked to be a minimum by its lowest eigenvalues.
    pub check: bool,
}

impl Recipe {
    /// The recipe `polish`.
    pub const POLISH: Recipe = Recipe { tolerance: 1e-8, memory: 50, step: 1.0, evaluations: 20_000, check: true };

    /// This recipe without a step: a point is looked at where it is.
    pub fn standing(self) -> Recipe {
        Recipe { evaluations: 1, ..self }
    }
}

/// Where minima are looked for.
#[derive(Clone, Debug)]
pub struct Domain {
    bounds: Option<Bounds>,
    periodic: Vec<bool>,
    tangents: Tangents,
    radius: f64,
}

impl Domain {
    /// A box, if the loss has one, with its periodic coordinates left free, and a ball of `radius` round zero.
    pub fn new(bounds: Option<Bounds>, symmetries: &[Symmetry], params: usize, radius: f64) -> Domain {
        let mut periodic = vec![false; params];
        for symmetry in symmetries.iter().filter(|s| matches!(s.kind, SymmetryKind::Period(_))) {
            symmetry.blocks.iter().flatten().for_each(|&i| periodic[i as usize] = true);
        }
        Domain { bounds, periodic, tangents: Tangents::new(symmetries), radius }
    }

    /// The continuous symmetries, which no index sees.
    pub fn tangents(&self) -> &Tangents {
        &self.tangents
    }

    /// True inside the box widened by `slack` box widths, and inside the ball.
    pub(super) fn contains(&self, theta: &[f64], slack: f64) -> bool {
        let inside = self.bounds.as_ref().is_none_or(|b| {
            theta.iter().zip(b.lower.iter().zip(&b.upper)).zip(&self.periodic).all(|((x, (low, high)), periodic)| {
                let margin = slack * (high - low);
                *periodic || (low - margin..=high + margin).contains(x)
            })
        });
        inside && norm(theta) <= self.radius
    }

    /// How far it is from a point to where the landscape may change, as long as nothing else tells: a tenth of the box, or
    /// the point's own length.
    pub fn length(&self, theta: &[f64]) -> f64 {
        self.diagonal().map_or(norm(theta).max(1.0), |diagonal| 0.1 * diagonal)
    }

    /// The step cap, shortened to a tenth of the box's diagonal.
    fn step(&self, cap: f64) -> f64 {
        self.diagonal().map_or(cap, |d| cap.min(0.1 * d))
    }

    fn diagonal(&self) -> Option<f64> {
        let squares = |b: &Bounds| b.lower.iter().zip(&b.upper).map(|(low, high)| (high - low).powi(2)).sum::<f64>();
        self.bounds.as_ref().map(|b| squares(b).sqrt())
    }
}

/// What a descent came to.
#[derive(Clone, Debug)]
pub struct Quenched {
    /// Where it ended.
    pub theta: Vec<f64>,
    /// The loss there.
    pub loss: f64,
    /// How it ended.
    pub descent: Descent,
    /// What speaks for its being a minimum.
    pub evidence: Evidence,
    /// What it cost.
    pub evaluations: u64,
}

/// Descends from every start. When the run is stopped, what had converged by then is returned beside the error;
/// the others are `None`. Memory: `2 memory` vectors a start.
pub fn quench(
    oracle: &mut Oracle<'_>,
    starts: Vec<Vec<f64>>,
    recipe: &Recipe,
    domain: &Domain,
    mut on_round: impl FnMut(usize, f64),
) -> (Vec<Option<Quenched>>, Result<()>) {
    let recipe = Recipe { step: domain.step(recipe.step), ..*recipe };
    let mut descents: Vec<Walk> = starts.into_iter().map(|theta| Walk::new(theta, recipe)).collect();
    let mut done: Vec<Option<Quenched>> = vec![None; descents.len()];
    let stop = loop {
        let active: Vec<usize> = (0..descents.len()).filter(|&i| done[i].is_none()).collect();
        if active.is_empty() {
            break Ok(());
        }
        if let Err(stop) = round(oracle, &mut descents, &active, &mut done, domain) {
            break Err(stop);
        }
        let slowest = active.iter().map(|&i| descents[i].gradient_norm).fold(0.0, f64::max);
        on_round(done.iter().flatten().count(), slowest);
    };
    (done, stop)
}

fn round(
    oracle: &mut Oracle<'_>,
    descents: &mut [Walk],
    active: &[usize],
    done: &mut [Option<Quenched>],
    domain: &Domain,
) -> Result<()> {
    let p = oracle.params();
    let trials: Vec<f64> = active.iter().flat_map(|&i| descents[i].trial.iter().copied()).collect();
    let (losses, gradients) = oracle.gradients(&trials)?;
    for (row, &i) in active.iter().enumerate() {
        let walk = &mut descents[i];
        let Some(end) = walk.tell(losses[row], &gradients[row * p..(row + 1) * p], domain) else { continue };
        if end == Descent::NotFinite || end == Descent::Escaped {
            done[i] = Some(walk.end(end, None));
            continue;
        }
        if !walk.recipe.check {
            done[i] = Some(walk.end(if domain.contains(&walk.theta, 1e-9) { end } else { Descent::Escaped }, None));
            continue;
        }
        let lowest = match spectrum::lowest(oracle, &walk.theta, &domain.tangents, None)? {
            Ok(lowest) => lowest,
            Err(none) => {
                let end = if none == NoSpectrum::NotBuilt { end } else { Descent::Unconverged };
                done[i] = Some(walk.end(if domain.contains(&walk.theta, 1e-9) { end } else { Descent::Escaped }, None));
                continue;
            }
        };
        let may_go_on = walk.pushes < 5 && walk.evaluations < walk.recipe.evaluations;
        if end == Descent::Converged && lowest.index() > 0 && may_go_on {
            walk.push_off(&lowest.vector);
            continue;
        }
        let end = if lowest.index() > 0 { Descent::Unconverged } else { end };
        let end = if domain.contains(&walk.theta, 1e-9) { end } else { Descent::Escaped };
        done[i] = Some(walk.end(end, Some(lowest)));
    }
    Ok(())
}

/// One descent as a conversation: it names the point it wants evaluated (`trial`) and is told the answer.
struct Walk {
    recipe: Recipe,
    theta: Vec<f64>,
    loss: f64,
    gradient: Vec<f64>,
    gradient_norm: f64,
    memory: Lbfgs,
    direction: Vec<f64>,
    /// gradient . direction at theta.
    slope: f64,
    /// The fraction of `direction` being tried.
    fraction: f64,
    trial: Vec<f64>,
    evaluations: u64,
    pushes: u32,
}

impl Walk {
    fn new(theta: Vec<f64>, recipe: Recipe) -> Walk {
        Walk {
            recipe,
            trial: theta.clone(),
            theta,
            loss: f64::NAN,
            gradient: Vec::new(),
            gradient_norm: f64::INFINITY,
            memory: Lbfgs::new(recipe.memory),
            direction: Vec::new(),
            slope: 0.0,
            fraction: 0.0,
            evaluations: 0,
            pushes: 0,
        }
    }

    fn tell(&mut self, loss: f64, gradient: &[f64], domain: &Domain) -> Option<Descent> {
        self.evaluations += 1;
        let first = self.gradient.is_empty();
        if first && !loss.is_finite() {
            return Some(Descent::NotFinite);
        }
        if first || self.accepts(loss, gradient) {
            if !first {
                let s = self.trial.iter().zip(&self.theta).map(|(a, b)| a - b).collect();
                let y = gradient.iter().zip(&self.gradient).map(|(a, b)| a - b).collect();
                self.memory.remember(s, y);
            }
            self.theta.copy_from_slice(&self.trial);
            self.loss = loss;
            self.gradient = gradient.to_vec();
            self.gradient_norm = norm(gradient);
            if self.gradient_norm <= self.recipe.tolerance {
                return Some(Descent::Converged);
            }
            if !domain.contains(&self.theta, 1.0) {
                return Some(Descent::Escaped);
            }
            self.aim();
        } else if !self.shorten(loss) {
            // Not even a tiny step down the gradient helps: rounding, or a kink.
            return Some(Descent::Unconverged);
        }
        (self.evaluations >= self.recipe.evaluations).then_some(Descent::Unconverged)
    }

    fn accepts(&self, loss: f64, gradient: &[f64]) -> bool {
        let armijo = loss <= self.loss + 1e-4 * self.fraction * self.slope;
        // Near the minimum differences of the loss drown in rounding; there the gradient decides.
        let rounding = 16.0 * f64::EPSILON * self.loss.abs();
        loss.is_finite() && (armijo || (loss <= self.loss + rounding && norm(gradient) < self.gradient_norm))
    }

    /// Sets a new direction, capped, and tries all of it.
    fn aim(&mut self) {
        self.direction = self.memory.direction(&self.gradient);
        self.slope = dot(&self.direction, &self.gradient);
        if self.slope.is_nan() || self.slope >= 0.0 {
            self.memory.reset();
            self.direction = self.memory.direction(&self.gradient);
            self.slope = -self.gradient_norm.powi(2);
        }
        let length = norm(&self.direction);
        if length > self.recipe.step {
            let scale = self.recipe.step / length;
            self.direction.iter_mut().for_each(|d| *d *= scale);
            self.slope *= scale;
        }
        self.try_fraction(1.0);
    }

    fn try_fraction(&mut self, fraction: f64) {
        self.fraction = fraction;
        self.trial.copy_from_slice(&self.theta);
        axpy(&mut self.trial, fraction, &self.direction);
    }

    /// Backs off after a rejected trial; false when nothing is left to try.
    fn shorten(&mut self, loss: f64) -> bool {
        let t = self.fraction;
        let parabola = -0.5 * self.slope * t * t / (loss - self.loss - self.slope * t);
        let next = if parabola.is_finite() { parabola.clamp(0.1 * t, 0.5 * t) } else { 0.25 * t };
        let vanishing = next * norm(&self.direction) <= 1e-16 * (1.0 + norm(&self.theta));
        if !vanishing && next > 1e-12 {
            self.try_fraction(next);
        } else if !self.memory.is_empty() {
            self.memory.reset();
            self.aim();
        } else {
            return false;
        }
        true
    }

    /// Leaves a saddle along its lowest mode.
    fn push_off(&mut self, mode: &[f64]) {
        self.pushes += 1;
        self.memory.reset();
        let side = if dot(mode, &self.gradient) > 0.0 { -1.0 } else { 1.0 };
        axpy(&mut self.theta, side * 0.1 * self.recipe.step, mode);
        self.trial.copy_from_slice(&self.theta);
        self.gradient.clear();
    }

    fn end(&self, descent: Descent, lowest: Option<Lowest>) -> Quenched {
        let gradient_norm = self.gradient_norm;
        let evidence = match lowest {
            Some(Lowest { values: eigenvalues, tau, method, projected, .. }) => Evidence {
                gradient_norm,
                eigenvalues,
                tau: Some(tau),
                spectrum: Some(method),
                projected,
                ..Evidence::default()
            },
            None => Evidence { gradient_norm, ..Evidence::default() },
        };
        Quenched { theta: self.theta.clone(), loss: self.loss, descent, evidence, evaluations: self.evaluations }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::closed_form::{ClosedForm, three_hump_camel};
    use crate::run::{Budget, Cancel};

    fn descend(f: fn(&[f64], &mut [f64]) -> f64, starts: Vec<Vec<f64>>, range: Option<[f64; 2]>) -> Vec<Quenched> {
        let mut loss = ClosedForm::new(starts[0].len(), range, f);
        let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
        let bounds = oracle.loss().bounds().unwrap();
        let domain = Domain::new(bounds, &[], starts[0].len(), 1e6);
        let (found, stop) = quench(&mut oracle, starts, &Recipe::POLISH, &domain, |_, _| {});
        stop.unwrap();
        found.into_iter().flatten().collect()
    }

    #[test]
    fn descents_end_in_the_camels_minima() {
        let starts = vec![vec![0.3, 0.4], vec![2.0, -1.0], vec![-2.0, 1.0]];
        let found = descend(three_hump_camel, starts, Some([-2.5, 2.5]));
        for (end, known) in found.iter().zip([0.0, 0.2986384422, 0.2986384422]) {
            assert_eq!(end.descent, Descent::Converged);
            assert!((end.loss - known).abs() < 1e-10); // The digits known.
            assert!(end.evidence.gradient_norm <= 1e-8 && end.evidence.eigenvalues[0] > 0.0);
        }
    }

    #[test]
    fn a_start_on_a_saddle_goes_on_downhill() {
        // f = x^4 - x^2 + y^2 has an exact saddle at the origin, minima at x = +-1/sqrt 2.
        let f = |x: &[f64], g: &mut [f64]| {
            (g[0], g[1]) = (4.0 * x[0].powi(3) - 2.0 * x[0], 2.0 * x[1]);
            x[0].powi(4) - x[0].powi(2) + x[1].powi(2)
        };
        let found = descend(f, vec![vec![0.0, 0.0]], None);
        assert_eq!(found[0].descent, Descent::Converged);
        assert!((found[0].loss + 0.25).abs() < 1e-12);
    }

    #[test]
    fn bad_starts_are_told_apart() {
        let f = |x: &[f64], g: &mut [f64]| {
            g[0] = -1.0;
            if x[0] < 0.0 { f64::NAN } else { -x[0] }
        };
        let found = descend(f, vec![vec![-1.0], vec![1.0]], Some([-2.0, 2.0]));
        assert_eq!(found[0].descent, Descent::NotFinite);
        assert_eq!(found[1].descent, Descent::Escaped);
    }

    #[test]
    fn a_descent_does_not_see_its_neighbours() {
        let starts = vec![vec![0.3, 0.4], vec![2.0, -1.0]];
        let together = descend(three_hump_camel, starts.clone(), None);
        for (start, end) in starts.into_iter().zip(together) {
            let alone = descend(three_hump_camel, vec![start], None).remove(0);
            assert_eq!((alone.theta, alone.evaluations), (end.theta, end.evaluations));
        }
    }

    #[test]
    fn nor_does_the_evidence_of_a_large_one() {
        // More parameters than the whole Hessian is formed for.
        let f = |x: &[f64], g: &mut [f64]| {
            (0..x.len()).for_each(|i| g[i] = (1.0 + i as f64) * x[i]);
            0.5 * dot(x, g)
        };
        let starts = vec![vec![0.0; 301]; 2];
        let together = descend(f, starts.clone(), None);
        let alone = descend(f, vec![starts[1].clone()], None);
        assert_eq!(alone[0].evidence, together[1].evidence);
    }
}
