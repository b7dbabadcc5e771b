//! Split units: hidden units of one direction, in their weights in and out at once.
//!
//! Where a unit's output grows in proportion to its input's weights, two units (w, v) cos phi and (w, v) sin phi do together what
//! one (w, v) does, whatever phi, and a penalty on all weights does not tell phi either: an arc of points of one loss. Its
//! tangent is no direction of a Hessian that is to have an index. Blocks that a loss declares exchangeable may be such units;
//! whether two are is seen in their numbers, and in the loss along the arc.

use super::super::tangents::Tangents;
use super::super::vector::{axpy, dot, norm};
use super::linear::orthonormal;
use crate::error::Result;
use crate::loss::oracle::Oracle;

/// The largest sine of the angle between two blocks of one direction.
const PARALLEL: f64 = 1e-6;
/// How far along the arc the loss is looked at, in radians.
const ALONG: f64 = 0.05;
/// How much the loss may differ there, by its size.
const EQUAL: f64 = 1e-13;

/// Orthonormal tangents of the arcs at a point, one for each unit beyond the first of its direction. Costs two values each.
pub fn split(oracle: &mut Oracle<'_>, theta: &[f64], symmetry: &Tangents) -> Result<Vec<Vec<f64>>> {
    let mut tangents = Vec::new();
    for blocks in symmetry.alike() {
        let units: Vec<Vec<f64>> = blocks.iter().map(|block| block.iter().map(|&i| theta[i]).collect()).collect();
        for (second, first) in pairs(&units) {
            let at = |phi: f64| turned(theta, &blocks[first], &blocks[second], phi);
            let losses = oracle.values(&[theta.to_vec(), at(ALONG), at(-ALONG)].concat())?;
            if losses[1..].iter().all(|loss| (loss - losses[0]).abs() <= EQUAL * losses[0].abs().max(1.0)) {
                let mut tangent = vec![0.0; theta.len()];
                blocks[first].iter().zip(&units[second]).for_each(|(&i, x)| tangent[i] = -x);
                blocks[second].iter().zip(&units[first]).for_each(|(&i, x)| tangent[i] = *x);
                tangents.push(tangent);
            }
        }
    }
    Ok(orthonormal(Vec::new(), tangents.into_iter()))
}

/// Each unit with the first one before it that has its direction.
fn pairs(units: &[Vec<f64>]) -> impl Iterator<Item = (usize, usize)> {
    (0..units.len()).filter_map(|k| (0..k).find(|&j| parallel(&units[k], &units[j])).map(|j| (k, j)))
}

/// Whether two blocks have one direction, and neither is zero.
fn parallel(a: &[f64], b: &[f64]) -> bool {
    let (size, other) = (norm(a), norm(b));
    let mut rest = a.to_vec();
    let along = dot(a, b) / (other * other);
    axpy(&mut rest, -along, b);
    size > 0.0 && along > 0.0 && norm(&rest) <= PARALLEL * size
}

/// A point with two blocks turned into one another, by an angle.
pub fn turned(theta: &[f64], first: &[usize], second: &[usize], phi: f64) -> Vec<f64> {
    let (mut there, (sin, cos)) = (theta.to_vec(), phi.sin_cos());
    for (&i, &j) in first.iter().zip(second) {
        (there[i], there[j]) = (cos * theta[i] - sin * theta[j], sin * theta[i] + cos * theta[j]);
    }
    there
}
