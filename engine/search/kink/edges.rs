//! The edges that meet in a certified point, and the ways down along them.
//!
//! Active kinks stay at their edge on the way down, but for the inverted one, which is crossed. Their edges are curved, and
//! beside them the loss rises: a straight way along the mode would climb, however short. So the points of a way are moved back
//! onto the edges, and lie so close at first that no chord between them shows. Where the way meets another edge it goes on
//! along that, too, down the gradient there, until the loss is lower than a smoothing raises it.

use super::super::kinked::Certificate;
use super::super::lbfgs::Lbfgs;
use super::super::tangents;
use super::super::vector::{axpy, norm};
use super::linear::{Factors, System, on_side, orthonormal};
use crate::error::Result;
use crate::loss::oracle::{Oracle, View};
use crate::loss::{Kink, Slope};

/// The first step of a way by its length, and how much longer each is than the one before.
const FIRST: f64 = 1e-4;
const FURTHER: f64 = 1.4;
/// How much shorter a step is that led up, and the shortest.
const SHORTER: f64 = 0.3;
const SHORTEST: f64 = 1e-7;
/// Steps along the mode, and steps that are remembered of those down the gradient.
const MODE: usize = 10;
const MEMORY: usize = 50;
/// Steps of a way.
const STEPS: usize = 150;
/// Steps back onto the edges.
const BACK: usize = 4;
/// How many steps ahead other edges are looked for.
const AHEAD: f64 = 30.0;
/// The smoothing that is to be lower than the point where the way began.
const SMOOTHED: f64 = 3e-4;

/// The edges along which a way leads.
#[derive(Clone)]
pub struct Edges {
    slopes: Vec<Slope>,
    /// The place of the inverted kink, if there is just one.
    inverted: Option<usize>,
    factors: Factors,
}

impl Edges {
    pub fn of(oracle: &mut Oracle<'_>, theta: &[f64], certificate: &Certificate) -> Result<Edges> {
        let slopes = certificate.active.iter().zip(&certificate.slopes).map(|(&id, &t)| Slope { id, t });
        let slopes: Vec<Slope> = slopes.collect();
        let inverted = match certificate.inverted[..] {
            [id] => slopes.iter().position(|slope| slope.id == id),
            _ => None,
        };
        let rows = System::at(oracle, theta, slopes.clone())?.rows;
        Ok(Edges { slopes, inverted, factors: Factors::of(theta.len(), rows.iter()) })
    }

    /// The unit vector that crosses the inverted kink and stays on the edges of the others, to first order.
    pub fn across(&self) -> Option<Vec<f64>> {
        let inverted = self.inverted?;
        let z: Vec<f64> = (0..self.slopes.len()).map(|a| f64::from(a == inverted)).collect();
        let across = self.factors.onto(&z);
        let length = norm(&across);
        Some(across.into_iter().map(|x| x / length).collect())
    }

    /// Points further and further down from `theta` with its `loss`, along a mode (against it where `length` is negative) and
    /// by steps no longer than `length`, each lower than the one before; one at least.
    pub fn down(
        mut self,
        oracle: &mut Oracle<'_>,
        (theta, loss): (&[f64], f64),
        mode: &[f64],
        length: f64,
    ) -> Result<Vec<f64>> {
        let (length, side) = (length.abs(), length.signum());
        let mut step: Vec<f64> = mode.iter().map(|x| x * side * FIRST * length).collect();
        let (mut here, mut lowest, mut longest) = (theta.to_vec(), loss, FIRST * length);
        let mut memory = Lbfgs::new(MEMORY);
        let (mut slope, mut follows, mut way): (Option<Vec<f64>>, _, _) = (None, true, Vec::new());
        for _ in 0..STEPS {
            let mut there = here.clone();
            axpy(&mut there, 1.0, &step);
            self.back(oracle, &mut there)?;
            let next = oracle.values(&there)?[0];
            let fell = next < lowest || way.is_empty();
            if fell {
                let moved: Vec<f64> = there.iter().zip(&here).map(|(there, here)| there - here).collect();
                way.extend(&there);
                (here, lowest, longest) = (there, next, (FURTHER * longest).min(length));
                let smoothed = oracle.seen(View::Smoothed(SMOOTHED), |oracle| oracle.values(&here))?[0];
                if smoothed < loss {
                    break;
                }
                let after = self.slope(oracle, &here)?;
                if let Some(before) = slope.replace(after) {
                    let after = slope.iter().flatten();
                    memory.remember(moved, after.zip(&before).map(|(after, before)| after - before).collect());
                }
            } else if let Some(met) = self.met(oracle, &here, &there, norm(&step))? {
                self.join(oracle, &here, met)?;
                memory.reset();
                slope = Some(self.slope(oracle, &here)?);
                longest = FIRST * length;
            } else {
                longest = SHORTER * norm(&step);
                if longest < SHORTEST * length {
                    break;
                }
            }
            // As long as the mode leads down it is followed: beside the saddle there is hardly any slope.
            follows = follows && fell && way.len() < MODE * theta.len();
            let Some(slope) = slope.as_ref().filter(|_| !follows) else {
                step.iter_mut().for_each(|x| *x *= if fell { FURTHER } else { SHORTER });
                continue;
            };
            step = memory.direction(slope);
            let size = norm(&step);
            let scale = if memory.is_empty() || size > longest { longest / size.max(f64::MIN_POSITIVE) } else { 1.0 };
            step.iter_mut().for_each(|x| *x *= scale);
        }
        Ok(way)
    }

    /// All but the inverted kink: that one is on its side, which kinks behind it feel.
    fn upright(&self) -> Vec<Slope> {
        let upright = self.slopes.iter().enumerate().filter(|(at, _)| Some(*at) != self.inverted);
        upright.map(|(_, slope)| *slope).collect()
    }

    /// Moves a point back onto the edges beside which it is, that of the inverted kink excepted.
    fn back(&self, oracle: &mut Oracle<'_>, point: &mut [f64]) -> Result<()> {
        let mut before = f64::INFINITY;
        for _ in 0..BACK {
            let mut off: Vec<f64> = oracle.linear(point, &self.upright())?.z.iter().map(|z| -z).collect();
            self.inverted.into_iter().for_each(|inverted| off.insert(inverted, 0.0));
            let size = norm(&off);
            if size.is_nan() || size >= before || size == 0.0 {
                break;
            }
            before = size;
            axpy(point, 1.0, &self.factors.onto(&off));
        }
        Ok(())
    }

    /// The first kink between two points that bends upwards and is none of these.
    fn met(&self, oracle: &mut Oracle<'_>, here: &[f64], there: &[f64], step: f64) -> Result<Option<Kink>> {
        let mut near = oracle.kinks_near(here, AHEAD * step)?;
        near.retain(|kink| kink.delta > 0.0 && self.slopes.iter().all(|slope| slope.id != kink.id));
        let slopes: Vec<Slope> = near.iter().map(on_side).collect();
        let z = oracle.linear(there, &slopes)?.z;
        let crossed = near.into_iter().zip(z).filter(|(kink, z)| (kink.z < 0.0) != (*z < 0.0));
        let part = |(kink, z): &(Kink, f64)| kink.z / (kink.z - z);
        Ok(crossed.min_by(|a, b| part(a).total_cmp(&part(b))).map(|(kink, _)| kink))
    }

    /// Goes on along the edge of another kink, too.
    fn join(&mut self, oracle: &mut Oracle<'_>, here: &[f64], kink: Kink) -> Result<()> {
        let inverted = self.inverted.map(|at| self.slopes[at].id);
        self.slopes.push(Slope { id: kink.id, t: 0.5 * (kink.alpha + 1.0) });
        self.slopes.sort_by_key(|slope| slope.id);
        self.inverted = inverted.and_then(|id| self.slopes.iter().position(|slope| slope.id == id));
        self.factors = Factors::of(here.len(), System::at(oracle, here, self.slopes.clone())?.rows.iter());
        Ok(())
    }

    /// The gradient along these edges, the inverted kink on its side.
    fn slope(&self, oracle: &mut Oracle<'_>, here: &[f64]) -> Result<Vec<f64>> {
        let system = System::at(oracle, here, self.upright())?;
        let mut slope = system.at.grad;
        let across = orthonormal(Vec::new(), system.rows.into_iter());
        for _ in 0..2 {
            tangents::remove(&across, &mut slope);
        }
        Ok(slope)
    }
}
