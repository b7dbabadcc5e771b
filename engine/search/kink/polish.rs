//! From a point near a critical one onto it: Newton on theta and the slopes of active kinks at once (a primal-dual active set
//! method).
//!
//! The kinks nearer than nine widths begin active, with the slopes that a smoothing of that width would have there. A slope
//! that leaves [alpha, 1] puts its kink on that side; a kink that is found on its other side becomes active if it is near,
//! else it changes sides. Where kinks take turns at that, and steps grow, it begins again and one at a time is changed: a step
//! ends at the first edge it meets, and once the gradient vanishes the kink leaves whose slope is furthest outside, none
//! twice. It ends soon or is given up: then the width was not right.

use super::super::kinked::RESIDUAL;
use super::super::tangents::Tangents;
use super::super::vector::{axpy, norm};
use super::certificate::{Certified, certify};
use super::linear::{Step, System, on_side, room};
use crate::error::Result;
use crate::loss::oracle::Oracle;
use crate::loss::{Kink, Slope};

/// Steps that change all kinks at once, and how many times as long one may be as the shortest before it. Where that works it
/// takes 3 to 6.
const AT_ONCE: usize = 8;
const LONGER: f64 = 10.0;
/// Steps that change one kink each: what is left where several at once took turns.
const ONE_BY_ONE: usize = 40;
/// The widest smoothing whose active kinks are worth that.
const TAKING_TURNS: f64 = 3e-5;
/// Steps after the residual is small: e falls from 1e-6 to rounding, and margins with it.
pub const MORE: usize = 2;
/// Widths within which kinks begin active: beyond, a smoothed slope is 1e-4 from its end.
pub const REACH: f64 = 9.0;
/// How many times as far kinks are watched, on their sides at first: a step may cross them.
const WATCHED: f64 = 10.0;
/// How many steps' lengths from its edge a kink may be that a step crosses.
pub const AHEAD: f64 = 30.0;
/// How much a step leaves of what it is to undo, and how much while kinks change one by one.
const LEFT: f64 = 1e-3;
const ROUGHLY: f64 = 0.1;

/// A point that was polished, and what it is.
#[derive(Clone, Debug)]
pub struct Polished {
    /// The point.
    pub theta: Vec<f64>,
    /// What it is; it may have doubts.
    pub certified: Certified,
}

/// A kink that was near at first, or met, and what stands for it.
#[derive(Clone)]
struct Held {
    kink: Kink,
    t: f64,
    active: bool,
    /// Whether its slope has just been held back from leaving.
    leaves: bool,
}

/// Polishes a point near which a smoothing of this width has its own; `None` where no critical point is reached. Costs 50
/// to 200 products a step on networks of 600 parameters, never more than p and 400.
pub fn polish(oracle: &mut Oracle<'_>, theta: &[f64], width: f64, symmetry: &Tangents) -> Result<Option<Polished>> {
    let polished = polish_at_once(oracle, theta, width, symmetry)?;
    if polished.is_some() || width > TAKING_TURNS {
        return Ok(polished);
    }
    Polishing::new(theta, width, symmetry).one_by_one(oracle)
}

/// As [`polish`], but given up where kinks take turns.
pub fn polish_at_once(
    oracle: &mut Oracle<'_>,
    theta: &[f64],
    width: f64,
    symmetry: &Tangents,
) -> Result<Option<Polished>> {
    Polishing::new(theta, width, symmetry).at_once(oracle)
}

/// A point that is being polished.
struct Polishing<'s> {
    theta: Vec<f64>,
    held: Vec<Held>,
    width: f64,
    symmetry: &'s Tangents,
    /// Steps that are left once the residual is small.
    more: usize,
}

impl<'s> Polishing<'s> {
    fn new(theta: &[f64], width: f64, symmetry: &'s Tangents) -> Polishing<'s> {
        Polishing { theta: theta.to_vec(), held: Vec::new(), width, symmetry, more: MORE }
    }

    /// Newton's steps, after each of which all kinks are looked at.
    fn at_once(mut self, oracle: &mut Oracle<'_>) -> Result<Option<Polished>> {
        if !self.hold(oracle, WATCHED * REACH * self.width)? && !self.hold(oracle, REACH * self.width)? {
            return Ok(None);
        }
        let mut longest = f64::INFINITY;
        for _ in 0..AT_ONCE + MORE {
            let system = self.system(oracle)?;
            if !settle(&mut self.held, &system.at.z, self.width) {
                continue;
            }
            let active = self.active(&system);
            if system.residual(&active) <= RESIDUAL {
                if self.more == 0 {
                    return Ok(Some(self.certified(oracle, &active)?));
                }
                self.more -= 1;
            }
            let Some(step) = self.step(oracle, &system, &active, LEFT)? else { return Ok(None) };
            longest = longest.min(LONGER * norm(&step.theta));
            if norm(&step.theta) > longest {
                return Ok(None);
            }
            axpy(&mut self.theta, 1.0, &step.theta);
            for (&a, mu) in active.iter().zip(&step.multipliers) {
                self.held[a].bend(mu / system.at.delta[a]);
            }
        }
        Ok(None)
    }

    /// Newton's steps that end at the first edge they meet, each with one kink more or less.
    fn one_by_one(mut self, oracle: &mut Oracle<'_>) -> Result<Option<Polished>> {
        if !self.hold(oracle, REACH * self.width)? {
            return Ok(None);
        }
        let mut released = Vec::new();
        for _ in 0..ONE_BY_ONE {
            let system = self.system(oracle)?;
            let active = self.active(&system);
            let residual = system.residual(&active);
            if residual <= RESIDUAL {
                if let Some(k) = furthest_outside(&self.held, &system.at.delta, &released) {
                    released.push(self.held[k].kink.id);
                    self.held[k].release(system.at.delta[k]);
                    continue;
                }
                if self.more == 0 {
                    return Ok(Some(self.certified(oracle, &active)?));
                }
                self.more -= 1;
            }
            let left = if self.more < MORE { LEFT } else { ROUGHLY };
            let Some(step) = self.step(oracle, &system, &active, left)? else { return Ok(None) };
            let met = self.first_met(oracle, &step.theta)?;
            let part = met.map_or(1.0, |(part, _)| part);
            axpy(&mut self.theta, part, &step.theta);
            for (&a, mu) in active.iter().zip(&step.multipliers) {
                self.held[a].t += finite(part * mu / system.at.delta[a]);
            }
            if let Some((_, kink)) = met {
                self.join(kink);
            }
        }
        Ok(None)
    }

    /// Begins with the kinks nearer than this; false if they are too many.
    fn hold(&mut self, oracle: &mut Oracle<'_>, within: f64) -> Result<bool> {
        let near = oracle.kinks_near(&self.theta, within)?;
        let fits = near.len() <= room(self.theta.len());
        self.held = if fits { near.into_iter().map(|kink| Held::of(kink, self.width)).collect() } else { Vec::new() };
        Ok(fits)
    }

    fn slopes(&self) -> Vec<Slope> {
        self.held.iter().map(|h| Slope { id: h.kink.id, t: h.t }).collect()
    }

    fn system(&self, oracle: &mut Oracle<'_>) -> Result<System> {
        System::at(oracle, &self.theta, self.slopes())
    }

    /// The places of active kinks. What moves with nothing is no kink here: a maximum of two units that are both off.
    fn active(&mut self, system: &System) -> Vec<usize> {
        let rows = self.held.iter_mut().zip(&system.rows);
        rows.filter(|(_, row)| row.iter().all(|x| *x == 0.0)).for_each(|(h, _)| h.ignore());
        (0..self.held.len()).filter(|&k| self.held[k].active).collect()
    }

    /// Newton's step, if there is one.
    fn step(&self, oracle: &mut Oracle<'_>, system: &System, active: &[usize], left: f64) -> Result<Option<Step>> {
        if active.len() > self.theta.len() {
            return Ok(None);
        }
        system.step(oracle, &self.theta, active, &self.symmetry.at(&self.theta), left)
    }

    /// The first kink that is not active and whose edge a step crosses, and after which part of the step.
    fn first_met(&self, oracle: &mut Oracle<'_>, step: &[f64]) -> Result<Option<(f64, Kink)>> {
        let mut near = oracle.kinks_near(&self.theta, AHEAD * norm(step))?;
        near.retain(|kink| kink.delta != 0.0 && !self.held.iter().any(|h| h.active && h.kink.id == kink.id));
        let slopes: Vec<Slope> = near.iter().map(on_side).collect();
        let mut there = self.theta.clone();
        axpy(&mut there, 1.0, step);
        let z = oracle.linear(&there, &slopes)?.z;
        let crossed = near.into_iter().zip(z).filter(|(kink, z)| {
            let held = self.held.iter().find(|h| h.kink.id == kink.id);
            let is_on = held.map_or(kink.z >= 0.0, |h| h.t == 1.0);
            is_on != (*z >= 0.0)
        });
        let met = crossed.map(|(kink, z)| ((kink.z / (kink.z - z)).clamp(0.0, 1.0), kink));
        Ok(met.min_by(|a, b| a.0.total_cmp(&b.0)))
    }

    /// Makes a kink active that has been met.
    fn join(&mut self, kink: Kink) {
        match self.held.iter_mut().find(|h| h.kink.id == kink.id) {
            Some(held) => held.active = true,
            None => {
                self.held.push(Held { kink, t: on_side(&kink).t, active: true, leaves: false });
                self.held.sort_by_key(|h| h.kink.id);
            }
        }
    }

    fn certified(self, oracle: &mut Oracle<'_>, active: &[usize]) -> Result<Polished> {
        let known: Vec<(Kink, f64)> = active.iter().map(|&a| (self.held[a].kink, self.held[a].t)).collect();
        let certified = certify(oracle, &self.theta, &known, self.symmetry, REACH * self.width)?;
        Ok(Polished { theta: self.theta, certified })
    }
}

/// What is added to a slope: nothing where the kink does not matter any more.
pub fn finite(by: f64) -> f64 {
    if by.is_finite() { by } else { 0.0 }
}

/// The active kink whose slope is furthest outside, by what that adds to the gradient, if one is that was not `released`.
fn furthest_outside(held: &[Held], delta: &[f64], released: &[u64]) -> Option<usize> {
    let outside = |h: &Held| (h.kink.alpha - h.t).max(h.t - 1.0);
    let all = held.iter().zip(delta).enumerate().filter(|(_, (h, _))| h.active && outside(h) > 0.0);
    let all = all.filter(|(_, (h, _))| !released.contains(&h.kink.id));
    all.max_by(|(_, (a, da)), (_, (b, db))| (outside(a) * da.abs()).total_cmp(&(outside(b) * db.abs()))).map(|(k, _)| k)
}

impl Held {
    /// A kink whose derivative is exactly zero does not matter: it stays on its side.
    fn of(kink: Kink, width: f64) -> Held {
        let active = kink.delta != 0.0 && kink.z.abs() < REACH * width;
        let smoothed = 1.0 / (1.0 + (-kink.z / width).exp());
        let side = if kink.z < 0.0 { 0.0 } else { 1.0 };
        let part = if active { smoothed } else { side };
        Held { kink, t: kink.alpha + (1.0 - kink.alpha) * part, active, leaves: false }
    }

    /// Leaves it on its side, for good.
    fn ignore(&mut self) {
        (self.active, self.kink.delta) = (false, 0.0);
        self.t = if self.kink.z < 0.0 { self.kink.alpha } else { 1.0 };
    }

    /// Puts it on the side to which the loss falls: beyond whose end its slope is, or the other one if it bends downwards.
    fn release(&mut self, delta: f64) {
        let on = (self.t >= 1.0) == (delta > 0.0);
        (self.active, self.t) = (false, if on { 1.0 } else { self.kink.alpha });
    }

    /// Changes the slope of an active kink. One that leaves its interval goes half-way to the end, as other slopes were wrong
    /// too; at the second time in a row its kink is put on that side.
    fn bend(&mut self, by: f64) {
        let t = self.t + finite(by);
        let inside = self.kink.alpha < t && t < 1.0;
        let end = t.clamp(self.kink.alpha, 1.0);
        self.active = inside || !self.leaves;
        self.t = if !inside && self.active { 0.5 * (self.t + end) } else { end };
        self.leaves = !inside;
    }
}

/// Looks at the kinks that are not active and on their wrong side; whether there were none. Those near become active, the
/// others change sides.
fn settle(held: &mut [Held], z: &[f64], width: f64) -> bool {
    let mut settled = true;
    for (h, &z) in held.iter_mut().zip(z) {
        let right = if h.t == 1.0 { z >= 0.0 } else { z <= 0.0 };
        if h.active || right || h.kink.delta == 0.0 && z == 0.0 {
            continue;
        }
        // Who left and is across by the next step stands on the edge after all.
        h.active = z.abs() < width || h.leaves;
        h.leaves = false;
        settled = false;
        h.t = match h.active {
            true => 0.5 * (h.kink.alpha + 1.0),
            false if h.t == 1.0 => h.kink.alpha,
            false => 1.0,
        };
    }
    settled
}
