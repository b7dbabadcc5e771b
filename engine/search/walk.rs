//! One descent as a conversation: it names the point it wants evaluated and is told the answer.
//!
//! L-BFGS with a step cap and quadratic back-off. A trial is accepted by Armijo's test or, where differences of the loss
//! drown in rounding, by its slopes (the approximate Wolfe condition of Hager and Zhang, SIAM J. Optim. 16, 170). All
//! lengths are fractions of the domain's and every curvature is the walk's own, so the units of loss and parameters
//! change no step.

use super::domain::Domain;
use super::landscape::{Descent, Evidence};
use super::lbfgs::Lbfgs;
use super::spectrum::Lowest;
use super::vector::{axpy, distance, dot, norm};

/// The longest step, as a fraction of the unit of length or of the way made so far: who has far to go strides out.
const CAP: f64 = 0.2;
/// The first step, and the push off a saddle, as a fraction of the unit of length.
const FIRST: f64 = 0.02;
/// Shorter steps (in units of length) tell no curvature: at a kink it would be as large as they are short.
const TELLING: f64 = 1e-5;
/// A step later, a curvature counts for so much of it: what was stiff is forgotten on the way.
const REMEMBERED: f64 = 0.8;
/// A descent has converged where its gradient is this fraction of what the largest curvature makes of a unit of length,
/// so that the place is known to eight digits along the stiffest direction.
pub const SMALL: f64 = 3e-9;
/// Or where what is left to fall is this fraction of the fall of late: a loss may have its lowest value at infinity.
const NOTHING: f64 = 1e-18;
/// How many steps tell what is usual, and no more than the later half: two atoms that begin one on the other have any loss
/// and any curvature there.
const LATE: usize = 10;
/// A descent that accepts so many steps without making any progress is held up by noise.
const PATIENCE: u32 = 40;
/// The steps that a descent remembers: the more the fewer it takes (of networks half as many with 400 as with 50), but none
/// beyond the number of parameters is of use.
const REMEMBERS: [usize; 2] = [50, 400];
/// The memory they may take where they are more than the fewest.
const BYTES: usize = 64 << 20;

/// How a descent is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    /// The gradient norm at which a descent has converged, where it is not to be a fraction of what the largest
    /// curvature makes of a unit of length.
    pub tolerance: Option<f64>,
    /// The longest step, where it is not to be a fraction of the unit of length.
    pub step: Option<f64>,
    /// The most evaluations of one descent.
    pub evaluations: u64,
    /// Whether the end is checked to be a minimum by its lowest eigenvalues.
    pub check: bool,
    /// How far apart the points of the way are that are kept, if any are.
    pub trail: Option<f64>,
    /// How small a gradient is where a descent has converged, as a fraction of what the largest curvature makes of a unit of
    /// length.
    pub small: f64,
    /// What it keeps to, where smoothed kinks might lead it elsewhere.
    pub keeps: Keeps,
}

/// What a descent on smoothed kinks keeps to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keeps {
    /// Nothing: the smoothing is wide at first.
    Nothing,
    /// The basin where it begins: the smoothing is narrow from the first.
    Basin,
    /// Losses below this: the smoothing is as wide as they stay below it.
    Below(f64),
}

impl Recipe {
    /// The recipe `polish`.
    pub const POLISH: Recipe = Recipe {
        tolerance: None,
        step: None,
        evaluations: 20_000,
        check: true,
        trail: None,
        small: SMALL,
        keeps: Keeps::Nothing,
    };

    /// This recipe for a point whose own basin is wanted.
    pub fn staying(self) -> Recipe {
        Recipe { keeps: Keeps::Basin, ..self }
    }

    /// This recipe for a point from which some minimum is wanted that lies no higher pass away.
    pub fn below(self, loss: f64) -> Recipe {
        Recipe { keeps: Keeps::Below(loss), ..self }
    }

    /// This recipe without a step: a point is looked at where it is.
    pub fn standing(self) -> Recipe {
        Recipe { evaluations: 1, ..self }
    }

    /// Whether it takes no step.
    pub fn stands(&self) -> bool {
        self.evaluations <= 1
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
    /// Points of the way there, row after row, the first behind the start; the loss falls from each to the next.
    pub trail: Vec<f64>,
}

/// What values are uncertain by, before anything was measured.
#[derive(Clone, Copy, Debug)]
pub struct Grain {
    /// What two evaluations may differ by.
    pub noise: f64,
    /// The rounding unit of the backend.
    pub rounding: f64,
}

/// One descent.
pub struct Walk {
    pub recipe: Recipe,
    pub theta: Vec<f64>,
    pub trial: Vec<f64>,
    pub gradient: Vec<f64>,
    pub gradient_norm: f64,
    pub evaluations: u64,
    pub pushes: u32,
    trail: Vec<f64>,
    grain: Grain,
    begin: Vec<f64>,
    /// The loss after every step.
    losses: Vec<f64>,
    /// The largest curvatures, as the steps told them.
    curvatures: Vec<f64>,
    loss: f64,
    memory: Lbfgs,
    direction: Vec<f64>,
    /// gradient . direction at theta.
    slope: f64,
    /// What the memory says is left to fall.
    excess: f64,
    /// The fraction of `direction` being tried.
    fraction: f64,
    /// How long the last step was; twice that where the loss fell ever faster along it.
    stride: f64,
    falling: bool,
    /// The smallest gradient and the lowest loss that counted as progress, and the steps since.
    least: f64,
    lowest: f64,
    idle: u32,
}

impl Walk {
    pub fn new(theta: Vec<f64>, recipe: Recipe, grain: Grain, length: f64) -> Walk {
        let params = theta.len();
        Walk {
            recipe,
            grain,
            begin: theta.clone(),
            trial: theta.clone(),
            theta,
            losses: Vec::new(),
            curvatures: Vec::new(),
            loss: f64::NAN,
            gradient: Vec::new(),
            gradient_norm: f64::INFINITY,
            memory: Lbfgs::new(memory(params)),
            direction: Vec::new(),
            slope: 0.0,
            excess: f64::INFINITY,
            fraction: 0.0,
            stride: FIRST * length,
            falling: false,
            least: f64::INFINITY,
            lowest: f64::INFINITY,
            idle: 0,
            evaluations: 0,
            pushes: 0,
            trail: Vec::new(),
        }
    }

    /// Takes the answer at `trial`; how the descent ended, if it did.
    pub fn tell(&mut self, loss: f64, gradient: &[f64], domain: &Domain) -> Option<Descent> {
        self.evaluations += 1;
        let first = self.gradient.is_empty();
        if first && !loss.is_finite() {
            return Some(Descent::NotFinite);
        }
        if first || self.accepts(loss, gradient) {
            self.step(loss, gradient, domain.length());
            self.aim(domain.length());
            if self.has_converged(domain.length()) {
                return Some(Descent::Converged);
            }
            if domain.is_left(&self.theta, &self.begin) {
                return Some(Descent::Escaped);
            }
            if self.idle > PATIENCE {
                return Some(Descent::Unconverged);
            }
        } else if !self.shorten(loss, domain.length()) {
            // Not even a tiny step down the gradient helps: noise, or a kink.
            return Some(Descent::Unconverged);
        }
        (self.evaluations >= self.recipe.evaluations).then_some(Descent::Unconverged)
    }

    fn accepts(&self, loss: f64, gradient: &[f64]) -> bool {
        let armijo = loss <= self.loss + 1e-4 * self.fraction * self.slope;
        let level = loss <= self.loss + self.slack();
        loss.is_finite() && (armijo || (level && dot(gradient, &self.direction) <= -0.8 * self.slope))
    }

    /// Differences of the loss that say nothing.
    fn slack(&self) -> f64 {
        self.grain.noise.max(16.0 * self.grain.rounding * self.loss.abs())
    }

    /// Moves to the trial and learns from the way there.
    fn step(&mut self, loss: f64, gradient: &[f64], length: f64) {
        if !self.gradient.is_empty() {
            let s: Vec<f64> = self.trial.iter().zip(&self.theta).map(|(a, b)| a - b).collect();
            let y = gradient.iter().zip(&self.gradient).map(|(a, b)| a - b).collect();
            let moved = norm(&s);
            let curvature = self.memory.remember(s, y);
            self.falling = curvature.is_none();
            self.stride = if self.falling { 2.0 * moved } else { moved };
            self.curvatures.extend(curvature.filter(|_| moved >= TELLING * length));
        }
        self.losses.push(loss);
        self.theta.copy_from_slice(&self.trial);
        self.leave_trail();
        self.loss = loss;
        self.gradient = gradient.to_vec();
        self.gradient_norm = norm(gradient);
        self.watch();
    }

    /// Keeps where it stands, if that is far enough from what was kept last.
    fn leave_trail(&mut self) {
        let last = self.trail.len().saturating_sub(self.theta.len());
        let last = if self.trail.is_empty() { &self.begin } else { &self.trail[last..] };
        if self.recipe.trail.is_some_and(|apart| distance(last, &self.theta) >= apart) {
            self.trail.extend_from_slice(&self.theta);
        }
    }

    /// Counts steps without progress.
    fn watch(&mut self) {
        let steeper = self.gradient_norm > 0.95 * self.least;
        self.idle = if steeper && self.loss >= self.lowest - self.slack() { self.idle + 1 } else { 0 };
        if self.idle == 0 {
            (self.least, self.lowest) = (self.least.min(self.gradient_norm), self.lowest.min(self.loss));
        }
    }

    fn has_converged(&self, length: f64) -> bool {
        match self.recipe.tolerance {
            Some(tolerance) => self.gradient_norm <= tolerance,
            None => self.is_small(self.stiffness(), length) || self.excess <= NOTHING * self.fall(),
        }
    }

    /// The largest curvature of late.
    fn stiffness(&self) -> f64 {
        let late = self.curvatures[late(self.curvatures.len())..].iter();
        late.fold(0.0, |stiffness, told| told.max(REMEMBERED * stiffness))
    }

    /// How far the loss fell of late.
    fn fall(&self) -> f64 {
        self.losses[late(self.losses.len() - 1)] - self.loss
    }

    fn is_small(&self, curvature: f64, length: f64) -> bool {
        self.gradient_norm <= self.recipe.small * curvature * length
    }

    /// Whether no step has been of use yet, so that nothing is known of curvatures.
    pub fn is_new(&self) -> bool {
        self.memory.is_empty()
    }

    /// Whether the gradient is small by a curvature, where the recipe does not say how small it is to be.
    pub fn stands(&self, curvature: f64, length: f64) -> bool {
        self.recipe.tolerance.is_none() && self.is_small(curvature, length)
    }

    /// Goes on where noise held it up, as far as slopes lead; false where it knew of as much.
    pub fn heed(&mut self, noise: f64, length: f64) -> bool {
        if self.recipe.tolerance.is_some() || noise <= 2.0 * self.slack() {
            return false;
        }
        self.grain.noise = noise;
        self.idle = 0;
        self.aim(length);
        true
    }

    /// Whether what is left to fall is less than what values are uncertain by.
    pub fn is_level(&self) -> bool {
        self.recipe.tolerance.is_none() && self.excess <= self.slack()
    }

    /// Sets a new direction, capped, and tries all of it.
    fn aim(&mut self, length: f64) {
        self.direction = self.memory.direction(&self.gradient);
        self.slope = dot(&self.direction, &self.gradient);
        if self.slope.is_nan() || self.slope >= 0.0 {
            self.memory.reset();
            self.direction = self.memory.direction(&self.gradient);
            self.slope = -self.gradient_norm.powi(2);
        }
        let whole = norm(&self.direction);
        let wanted = match self.memory.is_empty() {
            true => self.stride,
            false if self.falling => whole.max(self.stride),
            false => whole,
        };
        self.excess = if self.memory.is_empty() { f64::INFINITY } else { -0.5 * self.slope };
        let cap = self.recipe.step.unwrap_or_else(|| CAP * length.max(distance(&self.theta, &self.begin)));
        let scale = if whole > 0.0 { wanted.min(cap) / whole } else { 1.0 };
        self.direction.iter_mut().for_each(|d| *d *= scale);
        self.slope *= scale;
        self.try_fraction(1.0);
    }

    fn try_fraction(&mut self, fraction: f64) {
        self.fraction = fraction;
        self.trial.copy_from_slice(&self.theta);
        axpy(&mut self.trial, fraction, &self.direction);
    }

    /// Backs off after a rejected trial; false when nothing is left to try.
    fn shorten(&mut self, loss: f64, length: f64) -> bool {
        let t = self.fraction;
        let parabola = -0.5 * self.slope * t * t / (loss - self.loss - self.slope * t);
        let next = if parabola.is_finite() { parabola.clamp(0.1 * t, 0.5 * t) } else { 0.25 * t };
        let vanishing = next * norm(&self.direction) <= 1e-16 * (length + norm(&self.theta));
        if !vanishing && next > 1e-12 {
            self.try_fraction(next);
        } else if !self.memory.is_empty() {
            self.memory.reset();
            self.aim(length);
        } else {
            return false;
        }
        true
    }

    /// Leaves a saddle along its lowest mode.
    pub fn push_off(&mut self, mode: &[f64], length: f64) {
        self.pushes += 1;
        self.memory.reset();
        (self.idle, self.least, self.falling, self.stride) = (0, f64::INFINITY, false, FIRST * length);
        let side = if dot(mode, &self.gradient) > 0.0 { -1.0 } else { 1.0 };
        axpy(&mut self.theta, side * FIRST * length, mode);
        self.trial.copy_from_slice(&self.theta);
        self.gradient.clear();
    }

    pub fn end(&self, descent: Descent, lowest: Option<Lowest>) -> Quenched {
        let gradient_norm = self.gradient_norm;
        let bare = Evidence { gradient_norm, ..Evidence::default() };
        let evidence = lowest.map_or(bare, |lowest| lowest.evidence(gradient_norm));
        let (theta, trail) = (self.theta.clone(), self.trail.clone());
        Quenched { theta, loss: self.loss, descent, evidence, evaluations: self.evaluations, trail }
    }
}

/// How many steps a descent remembers, two vectors each.
pub fn memory(params: usize) -> usize {
    let [fewest, most] = REMEMBERS;
    let room = BYTES / (2 * size_of::<f64>()) / params.max(1);
    params.min(room).clamp(fewest, most)
}

/// Where the steps begin that tell what is usual.
fn late(steps: usize) -> usize {
    steps.div_ceil(2).max(steps.saturating_sub(LATE))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_descent_remembers_what_there_is_room_for() {
        let steps = [2, 114, 1418, 25_450, 1_000_000, usize::MAX].map(super::memory);
        assert_eq!(steps, [50, 114, 400, 164, 50, 50]);
    }
}
