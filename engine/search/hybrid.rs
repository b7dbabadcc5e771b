//! Hybrid eigenvector following (Munro and Wales, Phys. Rev. B 59, 3969 (1999)), for more parameters than a whole Hessian
//! is formed of: Newton's step up along the lowest mode, some steps of L-BFGS down in the complement of it, and again.
//!
//! In the complement the loss itself tells what is progress, and what L-BFGS remembers outlives the mode: tops of networks
//! lie on soft ridges, bent and far from the saddle, where Newton steps in a Krylov space crawled (docs/decisions.md#search).
//! The mode comes from a space that the lowest ones of the round before begin, and that grows until it is told from zero.

use super::critical::{Near, Saddle, Verdict};
use super::following::{FAR, NEAR, Point, Trail, index_checked, shorten};
use super::krylov::{self, Grown, Space};
use super::lbfgs::Lbfgs;
use super::rejected::Rejected;
use super::signs::{Found, NoSpectrum};
use super::tangents::Tangents;
use super::vector::{axpy, distance, dot, norm};
use super::walk;
use crate::error::Result;
use crate::loss::oracle::Oracle;

/// Gradients and Hessian products of a search together; twice that where it has come down.
const EVALUATIONS: usize = 3000;
/// Steps of L-BFGS a round at most, and at least: a round that slid off the ridge is done again with half as many.
const DOWN: [usize; 2] = [20, 2];
/// Modes that the space of the next round begins with, directions it grows by, and the most it has.
const MODES: usize = 3;
const GROWTH: usize = 10;
const MOST: usize = 80;
/// How many times its residual a curvature is where a search has slid off: then the mode is known well.
const SURE: f64 = 3.0;
/// How often a step down is shortened before what L-BFGS remembers is forgotten.
const SHORTENED: usize = 8;
/// Armijo's condition: the part of the fall that the slope promises.
const ARMIJO: f64 = 1e-4;
/// A complement whose gradient is this fraction of the one along the mode is done with for now.
const ENOUGH: f64 = 0.1;

/// A saddle near the top of a path, or the reason why there is none.
pub fn follow(oracle: &mut Oracle<'_>, symmetry: &Tangents, near: Near<'_>) -> Result<Verdict> {
    let mut search = Search {
        here: Point::at(oracle, near.top.to_vec())?,
        low: vec![near.along.to_vec()],
        memory: Lbfgs::new(walk::memory(near.top.len())),
        made: 1,
        down: DOWN[0],
        sure: 1.0,
        reach: near.reach,
        tolerance: near.tolerance,
    };
    let start = search.here.loss;
    let mut trail = Trail::default();
    let mut ridge = None;
    loop {
        let here = &search.here;
        if !here.size.is_finite() {
            return Ok(Err(Rejected::NotFinite));
        }
        if here.size <= near.tolerance {
            let (trail, mode) = (trail.down_to(here), &search.low[0]);
            let saddle = index_checked(oracle, symmetry, search.here, mode, near)?;
            return Ok(saddle.map(|saddle| Saddle { trail, ..saddle }));
        }
        // Who comes down is on the way to a lower pass of the same ridge.
        let (far, more) = if here.loss < start { (FAR, 2) } else { (NEAR, 1) };
        if distance(&here.theta, near.top) > far * near.reach {
            return Ok(Err(Rejected::WalkedAway));
        }
        if search.made >= more * EVALUATIONS {
            return Ok(Err(Rejected::Evaluations { gradient_norm: here.size, made: search.made }));
        }
        let curvature = match search.look(oracle, symmetry)? {
            Ok(curvature) => curvature,
            Err(none) => return Ok(Err(none.into())),
        };
        if curvature < 0.0 {
            ridge = Some((search.here.clone(), search.low.clone()));
        } else if let Some(last) = ridge.take().filter(|_| search.down > DOWN[1]) {
            search.return_to(last);
            continue;
        } else {
            return Ok(Err(Rejected::NoMode { gradient_norm: search.here.size }));
        }
        search.climb(oracle, curvature)?;
        search.descend(oracle)?;
        trail.leave(&search.here);
    }
}

struct Search {
    here: Point,
    /// The lowest modes, as far as they are known.
    low: Vec<Vec<f64>>,
    /// The steps down.
    memory: Lbfgs,
    /// Gradients and Hessian products.
    made: usize,
    /// Steps down a round, and how many times its residual the curvature is to be.
    down: usize,
    sure: f64,
    reach: f64,
    tolerance: f64,
}

impl Search {
    /// Finds the lowest modes here, and the curvature along the lowest.
    fn look(&mut self, oracle: &mut Oracle<'_>, symmetry: &Tangents) -> Result<Found<f64>> {
        let held = symmetry.at(&self.here.theta);
        let mut space = Space::new(&self.here.theta, &held);
        let mut grown = space.join(oracle, std::mem::take(&mut self.low))?;
        let room = krylov::room(self.here.theta.len(), MOST);
        let found = loop {
            for _ in 0..GROWTH {
                if matches!(grown, Grown::By(1..)) && space.len() + 1 < room {
                    grown = space.grow(oracle)?;
                }
            }
            if grown == Grown::NotFinite {
                return Ok(Err(NoSpectrum::NotFinite));
            }
            let Some(ritz) = space.ritz() else { return Ok(Err(NoSpectrum::NotConverged)) };
            let is_known = ritz.values[0] <= -self.sure * space.residual(&ritz, 0);
            if is_known || grown == Grown::By(0) || space.len() + 1 >= room {
                break ritz;
            }
        };
        self.made += space.len();
        self.low = (0..MODES.min(found.values.len())).map(|k| space.vector(&found, k)).collect();
        Ok(Ok(found.values[0]))
    }

    /// Goes back to where there was a mode, to take fewer steps down from there in the complement of a better one.
    fn return_to(&mut self, (here, low): (Point, Vec<Vec<f64>>)) {
        (self.here, self.low) = (here, low);
        self.memory.reset();
        (self.down, self.sure) = (self.down / 2, SURE);
    }

    /// Newton's step along the lowest mode, where that is a maximum.
    fn climb(&mut self, oracle: &mut Oracle<'_>, curvature: f64) -> Result<()> {
        let mode = &self.low[0];
        let length = (dot(&self.here.gradient, mode) / -curvature).clamp(-self.reach, self.reach);
        let step: Vec<f64> = mode.iter().map(|x| length * x).collect();
        self.here = self.moved(oracle, &step)?;
        Ok(())
    }

    /// Steps down in the complement of the mode.
    fn descend(&mut self, oracle: &mut Oracle<'_>) -> Result<()> {
        let mut slope = self.across(self.here.gradient.clone());
        for _ in 0..self.down {
            let along = dot(&self.here.gradient, &self.low[0]).abs();
            if self.here.size <= self.tolerance || norm(&slope) <= ENOUGH * along {
                return Ok(());
            }
            let first = if self.memory.is_empty() { 0.1 } else { 1.0 };
            let mut step = self.across(self.memory.direction(&slope));
            shorten(&mut step, first * self.reach);
            let Some(there) = self.lower(oracle, &mut step, &slope)? else {
                self.memory.reset();
                return Ok(());
            };
            self.here = there;
            let next = self.across(self.here.gradient.clone());
            self.memory.remember(step, next.iter().zip(&slope).map(|(next, last)| next - last).collect());
            slope = next;
        }
        Ok(())
    }

    /// Where a step leads that is shortened until the loss has fallen as its slope promises.
    fn lower(&mut self, oracle: &mut Oracle<'_>, step: &mut [f64], slope: &[f64]) -> Result<Option<Point>> {
        for _ in 0..SHORTENED {
            let promised = dot(step, slope);
            if promised.is_nan() || promised >= 0.0 {
                return Ok(None);
            }
            let there = self.moved(oracle, step)?;
            if there.loss <= self.here.loss + ARMIJO * promised + oracle.noise() {
                return Ok(Some(there));
            }
            step.iter_mut().for_each(|x| *x *= 0.3);
        }
        Ok(None)
    }

    fn moved(&mut self, oracle: &mut Oracle<'_>, step: &[f64]) -> Result<Point> {
        self.made += 1;
        self.here.moved(oracle, step)
    }

    /// What of a vector lies in the complement of the mode.
    fn across(&self, mut vector: Vec<f64>) -> Vec<f64> {
        let along = dot(&vector, &self.low[0]);
        axpy(&mut vector, -along, &self.low[0]);
        vector
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::closed_form::ClosedForm;
    use crate::run::{Budget, Cancel};

    #[test]
    fn a_saddle_of_many_parameters_is_found() {
        // f = (x_0^2 - 1)^2 / 4 + sum of c_i (x_i - x_0 x_i-1 / 4)^2 / 2: the saddle is the origin, its index 1.
        let curvature = |i: usize| 1e-3 + (i as f64 / 500.0).powi(4);
        let f = |x: &[f64], g: &mut [f64]| {
            let u = x[0] * x[0] - 1.0;
            g.fill(0.0);
            g[0] = u * x[0];
            let mut sum = 0.25 * u * u;
            for i in 1..x.len() {
                let off = x[i] - 0.25 * x[0] * x[i - 1];
                let force = curvature(i) * off;
                sum += 0.5 * force * off;
                g[i] += force;
                g[0] -= 0.25 * force * x[i - 1];
                g[i - 1] -= 0.25 * force * x[0];
            }
            sum
        };
        let mut loss = ClosedForm::new(500, None, f);
        let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
        let top: Vec<f64> = (0..500).map(|i| 0.02 * f64::from(i * 7 % 11 - 5)).collect();
        let along: Vec<f64> = (0..500).map(|i| if i == 0 { 1.0 } else { 0.01 }).collect();
        let near = Near { top: &top, along: &along, reach: 0.5, tolerance: 1e-8, null: 0 };
        let saddle = follow(&mut oracle, &Tangents::none(), near).unwrap().unwrap();
        assert!((saddle.loss - 0.25).abs() < 1e-12 && norm(&saddle.theta) < 1e-4, "{}", saddle.loss);
        assert!(saddle.mode[0].abs() > 0.99);
    }

    #[test]
    fn a_path_without_a_direction_is_no_panic() {
        let f = |x: &[f64], g: &mut [f64]| {
            g.copy_from_slice(x);
            0.5 * dot(x, x)
        };
        let mut loss = ClosedForm::new(400, None, f);
        let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
        let (top, along) = (vec![1.0; 400], vec![0.0; 400]);
        let near = Near { top: &top, along: &along, reach: 0.5, tolerance: 1e-8, null: 0 };
        let found = follow(&mut oracle, &Tangents::none(), near).unwrap();
        assert!(matches!(found, Err(Rejected::NoSpectrum(_))), "{found:?}");
    }
}
