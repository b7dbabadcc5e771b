//! From a point near a critical one onto it: Newton on theta and the slopes of active kinks at once (a primal-dual active set
//! method).
//!
//! The kinks nearer than nine widths begin active, with the slopes that a smoothing of that width would have there. A slope
//! that leaves [alpha, 1] puts its kink on that side; a kink that is found on its other side becomes active if it is near,
//! else it changes sides. Either ends after a few steps or is given up: then the width was not right.

use super::super::tangents::Tangents;
use super::certificate::{Certificate, RESIDUAL};
use super::linear::System;
use crate::error::Result;
use crate::loss::oracle::Oracle;
use crate::loss::{Kink, Slope};

/// Steps until it is given up. Where it works it takes 3 to 5.
const STEPS: usize = 10;
/// Steps after the residual is small: e falls from 1e-6 to rounding, and margins with it.
const MORE: usize = 2;
/// Widths within which kinks begin active: beyond, a smoothed slope is 1e-4 from its end.
const REACH: f64 = 9.0;

/// A point that was polished, and what it is.
#[derive(Clone, Debug)]
pub struct Polished {
    /// The point.
    pub theta: Vec<f64>,
    /// What it is; it may have doubts.
    pub certificate: Certificate,
}

/// A kink that was near at first, and what stands for it.
struct Held {
    kink: Kink,
    t: f64,
    active: bool,
}

/// Polishes a point near which a smoothing of this width has its own; `None` where no critical point is reached. Costs p
/// products a step.
pub fn polish(oracle: &mut Oracle<'_>, theta: &[f64], width: f64, symmetry: &Tangents) -> Result<Option<Polished>> {
    let near = oracle.kinks_near(theta, REACH * width)?;
    let mut held: Vec<Held> = near.into_iter().map(|kink| Held::of(kink, width)).collect();
    let (mut theta, mut more) = (theta.to_vec(), MORE);
    for _ in 0..STEPS + MORE {
        let slopes: Vec<Slope> = held.iter().map(|h| Slope { id: h.kink.id, t: h.t }).collect();
        let system = System::at(oracle, &theta, &slopes)?;
        let settled = settle(&mut held, &system.at.z, width);
        let active: Vec<usize> = (0..held.len()).filter(|&k| held[k].active).collect();
        if !settled {
            continue;
        }
        if system.residual(&active) <= RESIDUAL {
            if more == 0 {
                let known: Vec<(Kink, f64)> = active.iter().map(|&a| (held[a].kink, held[a].t)).collect();
                let certificate = Certificate::of(oracle, &theta, &known, symmetry, REACH * width)?;
                return Ok(Some(Polished { theta, certificate }));
            }
            more -= 1;
        }
        if active.len() > theta.len() {
            return Ok(None);
        }
        let step = system.step(&active, &symmetry.at(&theta));
        if step.iter().any(|x| !x.is_finite()) {
            return Ok(None);
        }
        theta.iter_mut().zip(&step).for_each(|(x, d)| *x += d);
        for (&a, mu) in active.iter().zip(&step[theta.len()..]) {
            held[a].bend(mu / system.at.delta[a]);
        }
    }
    Ok(None)
}

impl Held {
    /// A kink whose derivative is exactly zero does not matter: it stays on its side.
    fn of(kink: Kink, width: f64) -> Held {
        let active = kink.delta != 0.0;
        let smoothed = 1.0 / (1.0 + (-kink.z / width).exp());
        let side = if kink.z < 0.0 { 0.0 } else { 1.0 };
        let part = if active { smoothed } else { side };
        Held { kink, t: kink.alpha + (1.0 - kink.alpha) * part, active }
    }

    /// Changes the slope of an active kink; one that leaves its interval puts it on a side.
    fn bend(&mut self, by: f64) {
        let t = self.t + if by.is_finite() { by } else { 0.0 };
        self.active = self.kink.alpha < t && t < 1.0;
        self.t = t.clamp(self.kink.alpha, 1.0);
    }
}

/// Looks at the kinks that are not active and on their wrong side; whether there were none.
fn settle(held: &mut [Held], z: &[f64], width: f64) -> bool {
    let mut settled = true;
    for (h, &z) in held.iter_mut().zip(z) {
        let right = if h.t == 1.0 { z >= 0.0 } else { z <= 0.0 };
        if h.active || right || h.kink.delta == 0.0 && z == 0.0 {
            continue;
        }
        settled = false;
        h.active = z.abs() < width;
        h.t = match h.active {
            true => 0.5 * (h.kink.alpha + 1.0),
            false => {
                if h.t == 1.0 {
                    h.kink.alpha
                } else {
                    1.0
                }
            }
        };
    }
    settled
}
