//! Eigenvector following (Cerjan and Miller 1981): Newton's steps that climb along the lowest mode of the Hessian and descend
//! along all others, in the complement of the tangents of continuous symmetries. The pairs are those of the whole Hessian
//! where it is cheap, else of a Krylov space of the gradient and the last mode, and then `hybrid.rs` comes first.

use super::critical::{Near, Saddle, Verdict};
use super::hessian::{self, Hessian};
use super::landscape::Evidence;
use super::rejected::Rejected;
use super::tangents::Tangents;
use super::vector::{axpy, distance, dot, norm};
use crate::error::Result;
use crate::loss::oracle::Oracle;

/// Newton steps of a search, and Hessian products.
const STEPS: usize = 60;
const PRODUCTS: usize = 3000;
/// How many reaches a search goes from the top: further where it has come down, for a lower pass of the same ridge.
pub(super) const NEAR: f64 = 5.0;
pub(super) const FAR: f64 = 20.0;

/// A saddle near the top of a path, or the reason why there is none.
pub fn follow(oracle: &mut Oracle<'_>, symmetry: &Tangents, near: Near<'_>) -> Result<Verdict> {
    match reach(oracle, symmetry, near)? {
        Ok(Reached { end, mode, trail }) => {
            Ok(index_checked(oracle, symmetry, end, &mode, near)?.map(|saddle| Saddle { trail, ..saddle }))
        }
        Err(rejected) => Ok(Err(rejected)),
    }
}

/// A critical point that was followed to, whatever its index.
pub struct Reached {
    pub end: Point,
    /// The mode that was climbed.
    pub mode: Vec<f64>,
    /// Points of the way that lie above it, row after row.
    pub trail: Vec<f64>,
}

/// The critical point that a mode leads to from near it, or the reason why it leads to none.
pub fn reach(
    oracle: &mut Oracle<'_>,
    symmetry: &Tangents,
    near: Near<'_>,
) -> Result<std::result::Result<Reached, Rejected>> {
    let mut here = Point::at(oracle, near.top.to_vec())?;
    let mut hessian: Option<Hessian> = None;
    let (mut made, mut last, mut trust) = (0, f64::INFINITY, near.reach);
    let mut mode = near.along.to_vec();
    let start = here.loss;
    let mut trail = Trail::default();
    for step in 0..2 * STEPS {
        if !here.size.is_finite() {
            return Ok(Err(Rejected::NotFinite));
        }
        if here.size <= near.tolerance {
            let trail = trail.down_to(&here);
            return Ok(Ok(Reached { end: here, mode, trail }));
        }
        // Who comes down is on the way to a lower pass of the same ridge.
        let (far, more) = if here.loss < start { (FAR, 2) } else { (NEAR, 1) };
        if step >= more * STEPS {
            return Ok(Err(Rejected::Steps { gradient_norm: here.size, made: step }));
        }
        // An old Hessian serves while the gradient still falls by half a step (a chord of Newton's method).
        if hessian.is_none() || here.size > 0.5 * last {
            if made >= more * PRODUCTS {
                return Ok(Err(Rejected::Products { gradient_norm: here.size, made }));
            }
            let seeds = [here.gradient.clone(), mode];
            let found = match Hessian::seen_from(oracle, &here.theta, symmetry, seeds)? {
                Ok(found) => found,
                Err(none) => return Ok(Err(none.into())),
            };
            made += found.values.len();
            mode = found.vectors[..here.theta.len()].to_vec();
            hessian = Some(found);
        }
        last = here.size;
        let Some(hessian) = &hessian else { continue };
        let mut step = newton_step(hessian, &here.gradient);
        shorten(&mut step, trust);
        let mut there = here.moved(oracle, &step)?;
        while there.size > 2.0 * here.size && norm(&step) > 1e-3 * near.reach {
            step.iter_mut().for_each(|x| *x *= 0.25);
            there = here.moved(oracle, &step)?;
        }
        trust = (2.0 * norm(&step)).clamp(1e-2 * near.reach, near.reach);
        here = there;
        trail.leave(&here);
        if distance(&here.theta, near.top) > far * near.reach {
            return Ok(Err(Rejected::WalkedAway));
        }
    }
    Ok(Err(Rejected::Steps { gradient_norm: here.size, made: 2 * STEPS }))
}

/// A point and what the loss is there.
#[derive(Clone)]
pub struct Point {
    pub theta: Vec<f64>,
    pub loss: f64,
    pub gradient: Vec<f64>,
    /// The gradient's norm.
    pub size: f64,
}

impl Point {
    pub fn at(oracle: &mut Oracle<'_>, theta: Vec<f64>) -> Result<Point> {
        let (losses, gradient) = oracle.gradients(&theta)?;
        let size = norm(&gradient);
        Ok(Point { theta, loss: losses[0], gradient, size })
    }

    pub fn moved(&self, oracle: &mut Oracle<'_>, step: &[f64]) -> Result<Point> {
        let mut theta = self.theta.clone();
        axpy(&mut theta, 1.0, step);
        Point::at(oracle, theta)
    }
}

/// The way of a search, as far as it led down.
#[derive(Default)]
pub(super) struct Trail {
    points: Vec<(f64, Vec<f64>)>,
}

impl Trail {
    pub fn leave(&mut self, here: &Point) {
        if self.points.last().is_none_or(|(loss, _)| here.loss < *loss) {
            self.points.push((here.loss, here.theta.clone()));
        }
    }

    /// The points above where it has ended, row after row.
    pub fn down_to(self, end: &Point) -> Vec<f64> {
        self.points.into_iter().filter(|(loss, _)| *loss > end.loss).flat_map(|(_, theta)| theta).collect()
    }
}

pub(super) fn shorten(step: &mut [f64], longest: f64) {
    let length = norm(step);
    if length > longest {
        step.iter_mut().for_each(|x| *x *= longest / length);
    }
}

/// Up along the lowest mode, down along the others.
fn newton_step(hessian: &Hessian, gradient: &[f64]) -> Vec<f64> {
    let p = gradient.len();
    let mut step = vec![0.0; p];
    for (k, (value, mode)) in hessian.values.iter().zip(hessian.vectors.chunks_exact(p)).enumerate() {
        let along = dot(gradient, mode);
        let curvature = value.abs().max(hessian.tau).max(f64::MIN_POSITIVE);
        axpy(&mut step, if k == 0 { along / curvature } else { -along / curvature }, mode);
    }
    step
}

/// A critical point as a saddle, if its curvatures say so, or what speaks against it.
pub(super) fn index_checked(
    oracle: &mut Oracle<'_>,
    symmetry: &Tangents,
    Point { theta, loss, size: gradient_norm, .. }: Point,
    mode: &[f64],
    near: Near<'_>,
) -> Result<Verdict> {
    let lowest = match hessian::lowest(oracle, &theta, &symmetry.at(&theta), Some(mode))? {
        Ok(lowest) => lowest,
        Err(none) => return Ok(Err(none.into())),
    };
    let (decided, undecided): (Vec<f64>, Vec<f64>) = lowest.values.iter().partition(|v| v.abs() > lowest.tau);
    if undecided.len() > near.null {
        return Ok(Err(Rejected::Degenerate(undecided.len())));
    }
    if lowest.index() != 1 {
        return Ok(Err(Rejected::Index(lowest.index())));
    }
    // A small gradient alone says nothing where the whole loss is small: the critical point must be near, too.
    let curvature = decided.iter().fold(f64::INFINITY, |least, v| v.abs().min(least));
    if gradient_norm > 0.1 * near.reach * curvature {
        return Ok(Err(Rejected::Flat { gradient_norm, curvature }));
    }
    let evidence = Evidence {
        gradient_norm,
        eigenvalues: lowest.values,
        tau: Some(lowest.tau),
        spectrum: Some(lowest.method),
        projected: lowest.projected,
        ..Evidence::default()
    };
    Ok(Ok(Saddle { theta, loss, mode: lowest.vector, evidence, beside: None, trail: Vec::new() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::closed_form::ClosedForm;
    use crate::run::{Budget, Cancel};

    #[test]
    fn a_ridge_that_leads_down_is_followed_to_its_saddle() {
        // Two wells at x = -1 and 1; the ridge between them falls for three units of y, fifteen steps of the longest.
        let f = |x: &[f64], g: &mut [f64]| {
            let (u, v) = (x[0] * x[0] - 1.0, x[1] - 3.0);
            (g[0], g[1]) = (4.0 * u * x[0], 0.04 * v);
            u * u + 0.02 * v * v
        };
        let mut loss = ClosedForm::new(2, None, f);
        let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
        let near = Near { top: &[0.0, 0.0], along: &[1.0, 0.0], reach: 0.2, tolerance: 1e-8, null: 0 };
        let saddle = follow(&mut oracle, &Tangents::none(), near).unwrap().unwrap();
        assert!(distance(&saddle.theta, &[0.0, 3.0]) < 1e-6, "{:?}", saddle.theta);
        let trail: Vec<f64> = saddle.trail.chunks(2).map(|x| x[1]).collect();
        assert!(trail.len() > 10 && trail.is_sorted() && trail.iter().all(|y| *y < 3.0), "{trail:?}");
    }
}
