//! From a point near a critical one onto it: Newton on theta and the slopes of active kinks at once (a primal-dual active set
//! method).
//!
//! The kinks nearer than nine widths begin active, with the slopes that a smoothing of that width would have there. A slope
//! that leaves [alpha, 1] puts its kink on that side; a kink that is found on its other side becomes active if it is near,
//! else it changes sides. Where kinks take turns at that, one at a time is changed: a step ends at the first edge it meets,
//! and once the gradient vanishes the kink leaves whose slope is furthest outside, none twice. It ends soon or is given
//! up: then the width was not right.

use super::super::kinked::RESIDUAL;
use super::super::tangents::Tangents;
use super::super::vector::{axpy, dot};
use super::certificate::{Certified, certify};
use super::linear::{System, room};
use crate::error::Result;
use crate::loss::oracle::Oracle;
use crate::loss::{Kink, Slope};

/// Steps that change all kinks at once. Where that works it takes 3 to 6.
const STEPS: usize = 8;
/// Steps that change one kink each: what is left where several at once took turns.
const CAREFUL: usize = 24;
/// The widest smoothing whose active kinks are worth that.
const TAKING_TURNS: f64 = 1e-4;
/// Steps after the residual is small: e falls from 1e-6 to rounding, and margins with it.
const MORE: usize = 2;
/// Widths within which kinks begin active: beyond, a smoothed slope is 1e-4 from its end.
const REACH: f64 = 9.0;
/// How many times as far kinks are watched, on their sides at first: a step may cross them.
const WATCHED: f64 = 10.0;
/// How much a step leaves of what it is to undo.
const LEFT: f64 = 1e-3;

/// A point that was polished, and what it is.
#[derive(Clone, Debug)]
pub struct Polished {
    /// The point.
    pub theta: Vec<f64>,
    /// What it is; it may have doubts.
    pub certified: Certified,
}

/// A kink that was near at first, and what stands for it.
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
    let mut near = oracle.kinks_near(theta, WATCHED * REACH * width)?;
    if near.len() > room(theta.len()) {
        near.retain(|kink| kink.z.abs() < REACH * width);
    }
    if near.len() > room(theta.len()) {
        return Ok(None);
    }
    let mut held: Vec<Held> = near.into_iter().map(|kink| Held::of(kink, width)).collect();
    let (mut theta, mut more, mut released) = (theta.to_vec(), MORE, Vec::new());
    let most = STEPS + MORE + if width <= TAKING_TURNS { CAREFUL } else { 0 };
    for made in 0..most {
        let careful = made >= STEPS;
        let slopes: Vec<Slope> = held.iter().map(|h| Slope { id: h.kink.id, t: h.t }).collect();
        let system = System::at(oracle, &theta, slopes)?;
        if !settle(&mut held, &system.at.z, width, careful) {
            continue;
        }
        // What moves with nothing is no kink here: a maximum of two units that are both off.
        held.iter_mut()
            .zip(&system.rows)
            .filter(|(_, row)| row.iter().all(|x| *x == 0.0))
            .for_each(|(h, _)| h.ignore());
        let active: Vec<usize> = (0..held.len()).filter(|&k| held[k].active).collect();
        if active.len() > theta.len() {
            return Ok(None);
        }
        if system.residual(&active) <= RESIDUAL {
            if let Some(kink) = furthest_outside(&held, &system.at.delta) {
                if released.contains(&kink) {
                    return Ok(None);
                }
                released.push(kink);
                held[kink].release();
                continue;
            }
            if more == 0 {
                let known: Vec<(Kink, f64)> = active.iter().map(|&a| (held[a].kink, held[a].t)).collect();
                let certified = certify(oracle, &theta, &known, symmetry, REACH * width)?;
                return Ok(Some(Polished { theta, certified }));
            }
            more -= 1;
        }
        let Some(step) = system.step(oracle, &theta, &active, &symmetry.at(&theta), LEFT)? else { return Ok(None) };
        let met = if careful { first_met(&held, &system, &step.theta) } else { None };
        let part = met.map_or(1.0, |(part, _)| part);
        axpy(&mut theta, part, &step.theta);
        for (&a, mu) in active.iter().zip(&step.multipliers) {
            held[a].bend(part * mu / system.at.delta[a], careful);
        }
        met.into_iter().for_each(|(_, kink)| held[kink].active = true);
    }
    Ok(None)
}

/// The active kink whose slope is furthest outside, by what that adds to the gradient, if one is.
fn furthest_outside(held: &[Held], delta: &[f64]) -> Option<usize> {
    let outside = |h: &Held| (h.kink.alpha - h.t).max(h.t - 1.0);
    let all = held.iter().zip(delta).enumerate().filter(|(_, (h, _))| h.active && outside(h) > 0.0);
    all.max_by(|(_, (a, da)), (_, (b, db))| (outside(a) * da.abs()).total_cmp(&(outside(b) * db.abs()))).map(|(k, _)| k)
}

/// The first kink on a side whose edge a step crosses, to first order, and after which part of the step.
fn first_met(held: &[Held], system: &System, step: &[f64]) -> Option<(f64, usize)> {
    let met = held.iter().enumerate().filter(|(_, h)| !h.active && h.kink.delta != 0.0).filter_map(|(k, h)| {
        let (z, by) = (system.at.z[k], dot(&system.rows[k], step));
        let leaves = if h.t == 1.0 { z + by < 0.0 } else { z + by > 0.0 };
        leaves.then(|| ((-z / by).clamp(0.0, 1.0), k))
    });
    met.min_by(|a, b| a.0.total_cmp(&b.0))
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

    /// Puts it on the side beyond whose end its slope is.
    fn release(&mut self) {
        (self.active, self.t) = (false, self.t.clamp(self.kink.alpha, 1.0));
    }

    /// Changes the slope of an active kink. One that leaves its interval goes half-way to the end, as other slopes were wrong
    /// too; at the second time in a row its kink is put on that side. With care it stays active, whatever its slope.
    fn bend(&mut self, by: f64, careful: bool) {
        let t = self.t + if by.is_finite() { by } else { 0.0 };
        if careful {
            self.t = t;
            return;
        }
        let inside = self.kink.alpha < t && t < 1.0;
        let end = t.clamp(self.kink.alpha, 1.0);
        self.active = inside || !self.leaves;
        self.t = if !inside && self.active { 0.5 * (self.t + end) } else { end };
        self.leaves = !inside;
    }
}

/// Looks at the kinks that are not active and on their wrong side; whether there were none. Those near become active, the
/// others change sides.
fn settle(held: &mut [Held], z: &[f64], width: f64, careful: bool) -> bool {
    let mut settled = true;
    for (h, &z) in held.iter_mut().zip(z) {
        let right = if h.t == 1.0 { z >= 0.0 } else { z <= 0.0 };
        if h.active || right || h.kink.delta == 0.0 && z == 0.0 {
            continue;
        }
        // Who left and is across by the next step stands on the edge after all.
        h.active = z.abs() < width || h.leaves || careful;
        h.leaves = false;
        settled &= careful;
        if !h.active {
            h.t = if h.t == 1.0 { h.kink.alpha } else { 1.0 };
        } else if !careful {
            h.t = 0.5 * (h.kink.alpha + 1.0);
        }
    }
    settled
}
