//! From a point near a minimum down to it: a descent that slides along the edges it meets (an active-set method).
//!
//! The kinks nearer than nine widths begin active. Newton's steps keep to the edges of active kinks, bent as these are; each
//! ends where the loss is lowest on it, at its end or at an edge, whose kink becomes active. Once the gradient along the
//! edges is small, the kink leaves whose slope is furthest outside: the loss falls on that side. As every step leads down,
//! kinks may come and go as often as they must, and no saddle is taken for a minimum.

use super::super::kinked::RESIDUAL;
use super::super::tangents::{self, Tangents};
use super::super::vector::{axpy, norm};
use super::certificate::certify;
use super::linear::{Factors, Step, System, Toward, on_side, orthonormal, room};
use super::polish::{AHEAD, MORE, Polished, REACH, finite};
use super::split::split;
use crate::error::Result;
use crate::loss::oracle::Oracle;
use crate::loss::{Kink, Slope};

/// Steps at the most, those that let a kink leave counted.
const STEPS: usize = 1000;
/// The longest step at first, by how much longer one may be if the last one led all the way, by how much shorter if none led
/// down, and the shortest.
const RADIUS: f64 = 0.03;
const LONGER: f64 = 2.0;
const SHORTER: f64 = 0.1;
const SHORTEST: f64 = 1e-7;
/// Edges at which a step may end, from the first.
const EDGES: usize = 24;
/// Parts of the way to the first edge at which it may end, too.
const PARTS: [f64; 3] = [0.5, 0.1, 0.01];
/// A kink leaves once the gradient along the edges is this part of what its slope, put at its end, adds to it.
const SETTLED: f64 = 0.1;
/// How near, by the residual that is aimed at, a minimum is for which a step is worth its price.
const NEAR: f64 = 100.0;

/// A point on its way down.
struct Sliding<'s> {
    theta: Vec<f64>,
    /// Of the point; infinite before the first step.
    loss: f64,
    /// By id.
    held: Vec<Held>,
    symmetry: &'s Tangents,
    radius: f64,
}

/// A kink that is active, or has just left, and the slope that stands for it.
struct Held {
    kink: Kink,
    t: f64,
    active: bool,
    /// Whether the last step ended at its edge.
    met: bool,
}

/// Where a step may end: after this part of it, at the edge of a kink or at none.
type End = (f64, Option<Kink>);

/// Slides from a point near which a smoothing of this width has a minimum; `None` where no critical point is reached.
/// Costs some 5 gradients and 20 to 60 products a step, and 30 to 500 steps on networks with two hidden layers.
pub fn slide(oracle: &mut Oracle<'_>, theta: &[f64], width: f64, symmetry: &Tangents) -> Result<Option<Polished>> {
    let near = oracle.kinks_near(theta, REACH * width)?;
    if near.len() > room(theta.len()) {
        return Ok(None);
    }
    let held = near.into_iter().filter(|kink| kink.delta != 0.0).map(|kink| Held::near(kink, width)).collect();
    let mut sliding = Sliding { theta: theta.to_vec(), loss: f64::INFINITY, held, symmetry, radius: RADIUS };
    if !sliding.down(oracle)? {
        return Ok(None);
    }
    let active: Vec<(Kink, f64)> = sliding.held.iter().filter(|h| h.active).map(|h| (h.kink, h.t)).collect();
    let certified = certify(oracle, &sliding.theta, &active, symmetry, REACH * width)?;
    Ok(Some(Polished { theta: sliding.theta, certified }))
}

impl Sliding<'_> {
    /// Goes down until nothing leads further; whether that is where it ended.
    fn down(&mut self, oracle: &mut Oracle<'_>) -> Result<bool> {
        let mut more = MORE;
        for _ in 0..STEPS {
            let slopes = self.held.iter().map(|h| Slope { id: h.kink.id, t: h.t }).collect();
            let system = System::at(oracle, &self.theta, slopes)?;
            self.ignore(&system);
            let active: Vec<usize> = (0..self.held.len()).filter(|&k| self.held[k].active).collect();
            if active.len() > self.theta.len() {
                return Ok(false);
            }
            let factors = system.factors(&active);
            let left = self.fit(&system, &active, &factors);
            let residual = system.residual(&active);
            let outside = self.furthest_outside(&system, &active);
            match outside {
                Some((k, force)) if self.held[k].met || left <= RESIDUAL.max(SETTLED * force) => {
                    self.held[k].leave(system.at.delta[k]);
                    more = MORE;
                    continue;
                }
                _ if residual > RESIDUAL => {}
                _ if more == 0 => return Ok(true),
                _ => more -= 1,
            }
            self.held.iter_mut().for_each(|h| h.met = false);
            let z: Vec<f64> = active.iter().map(|&a| system.at.z[a]).collect();
            let near = residual <= NEAR * RESIDUAL;
            let toward = Toward::Minimum { radius: self.radius, near };
            let (theta, right) = (&self.theta, (&system.at.grad[..], &z[..]));
            let mut still = self.symmetry.at(theta);
            if near {
                still = orthonormal(still, split(oracle, theta, self.symmetry)?.into_iter());
            }
            let step = system.solve(oracle, theta, &factors, &still, right, toward)?;
            let Some(Step { theta: step, .. }) = step else { return Ok(false) };
            if residual <= RESIDUAL {
                // There the loss does not tell any more what is lower.
                axpy(&mut self.theta, 1.0, &step);
            } else if !self.go(oracle, &factors, &step)? {
                match outside {
                    // What was met is not quite at its edge: led back to it, the loss rises.
                    Some((k, _)) => self.held[k].leave(system.at.delta[k]),
                    None => self.radius *= SHORTER,
                }
                if self.radius < SHORTEST {
                    return Ok(false);
                }
            }
        }
        Ok(false)
    }

    /// Leaves kinks on their sides that move with nothing: they are none here.
    fn ignore(&mut self, system: &System) {
        let rows = self.held.iter_mut().zip(&system.rows);
        rows.filter(|(_, row)| row.iter().all(|x| *x == 0.0)).for_each(|(h, _)| {
            (h.active, h.t) = (false, on_side(&h.kink).t);
        });
    }

    /// Fits the slopes of active kinks to the gradient; how much is left of that along their edges, and of z.
    fn fit(&mut self, system: &System, active: &[usize], factors: &Factors) -> f64 {
        for (&a, mu) in active.iter().zip(factors.multipliers(&system.at.grad)) {
            self.held[a].t += finite(mu / system.at.delta[a]);
        }
        let mut along = system.at.grad.clone();
        tangents::remove(&factors.span, &mut along);
        norm(&along) + active.iter().map(|&a| system.at.z[a].powi(2)).sum::<f64>().sqrt()
    }

    /// The active kink whose slope keeps the loss highest, and what it adds to the gradient once it has left.
    fn furthest_outside(&self, system: &System, active: &[usize]) -> Option<(usize, f64)> {
        let force = |k: usize| {
            let delta = system.at.delta[k];
            (k, self.held[k].outside(delta) * delta.abs() * norm(&system.rows[k]))
        };
        active.iter().map(|&k| force(k)).filter(|&(_, force)| force > 0.0).max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Goes along a step to where the loss is lowest on it; false, and nowhere, if that is not lower than here.
    fn go(&mut self, oracle: &mut Oracle<'_>, factors: &Factors, step: &[f64]) -> Result<bool> {
        let (mut ends, bend) = self.ends(oracle, factors, step)?;
        let first = ends.first().map_or(1.0, |(part, _)| *part);
        ends.push((1.0, None));
        ends.extend(PARTS.map(|part| (part * first, None)));
        let at = |part: f64| {
            let mut there = self.theta.clone();
            axpy(&mut there, part, step);
            axpy(&mut there, part * part, &bend);
            there
        };
        let points: Vec<f64> = ends.iter().flat_map(|(part, _)| at(*part)).collect();
        let losses = oracle.values(&points)?;
        let lower = ends.into_iter().zip(losses).filter(|(_, loss)| *loss <= self.loss + oracle.noise());
        let Some(((part, kink), loss)) = lower.min_by(|a, b| a.1.total_cmp(&b.1)) else { return Ok(false) };
        let went = part * norm(step);
        self.radius = match kink.is_some() || part == 1.0 {
            true => self.radius.max(LONGER * went),
            false => self.radius / LONGER,
        };
        (self.theta, self.loss) = (at(part), loss);
        // Who has left is on its side now.
        self.held.retain(|h| h.active);
        if let Some(kink) = kink {
            self.held.push(Held { kink, t: on_side(&kink).t, active: true, met: true });
            self.held.sort_by_key(|h| h.kink.id);
        }
        Ok(true)
    }

    /// Where a step crosses the first edges of kinks that are not active and bend upwards, in their order, and what
    /// brings its end back onto the edges of the active ones.
    fn ends(&self, oracle: &mut Oracle<'_>, factors: &Factors, step: &[f64]) -> Result<(Vec<End>, Vec<f64>)> {
        let active = || self.held.iter().filter(|h| h.active);
        let mut near = oracle.kinks_near(&self.theta, AHEAD * norm(step))?;
        near.retain(|kink| kink.delta > 0.0 && active().all(|h| h.kink.id != kink.id));
        let mut there = self.theta.clone();
        axpy(&mut there, 1.0, step);
        let mut slopes: Vec<Slope> = active().map(|h| Slope { id: h.kink.id, t: h.t }).collect();
        slopes.extend(near.iter().map(on_side));
        slopes.sort_by_key(|slope| slope.id);
        let z = oracle.linear(&there, &slopes)?.z;
        let z = |id: u64| z[slopes.partition_point(|slope| slope.id < id)];
        let mut ends: Vec<End> = Vec::new();
        for kink in near {
            let left = self.held.iter().find(|h| h.kink.id == kink.id);
            let is_on = left.map_or(kink.z >= 0.0, |h| h.t == 1.0);
            if is_on != (z(kink.id) >= 0.0) {
                ends.push(((kink.z / (kink.z - z(kink.id))).clamp(0.0, 1.0), Some(kink)));
            }
        }
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        ends.truncate(EDGES);
        let mut bend = factors.onto(&active().map(|h| -z(h.kink.id)).collect::<Vec<_>>());
        let size = norm(&bend);
        if size.is_nan() || size > norm(step) {
            bend.fill(0.0);
        }
        Ok((ends, bend))
    }
}

impl Held {
    fn near(kink: Kink, width: f64) -> Held {
        let smoothed = 1.0 / (1.0 + (-kink.z / width).exp());
        Held { kink, t: kink.alpha + (1.0 - kink.alpha) * smoothed, active: true, met: false }
    }

    /// How far the slope is from where the loss falls no more: outside its interval, or, bent downwards, inside.
    fn outside(&self, delta: f64) -> f64 {
        let (below, above) = (self.kink.alpha - self.t, self.t - 1.0);
        if delta < 0.0 { (-below).max(-above) } else { below.max(above).max(0.0) }
    }

    /// Puts it on the side to which the loss falls.
    fn leave(&mut self, delta: f64) {
        let on = match delta < 0.0 {
            true => 1.0 - self.t > self.t - self.kink.alpha,
            false => self.t >= 1.0,
        };
        (self.active, self.t) = (false, if on { 1.0 } else { self.kink.alpha });
    }
}
