//! What a point with active kinks is: a theta and slopes in, every condition of a nondegenerate critical point out, each with
//! the margin that it holds by.
//!
//! With K = [[H, J'], [J, 0]] and r = |(gradient, z)| of the loss with active kinks linear, e = r |K^-1| bounds to first
//! order how far the critical point and its multipliers are; a margin counts that is ten times as large. Where the
//! Hessian is not formed, |K^-1| is bounded by the smallest curvature along the active set, the largest of all and the smallest
//! singular value of the rows. In floating point, like the certificate of a smooth point, and at its cost.

use super::super::hessian;
use super::super::kinked::Certificate;
use super::super::signs::Lowest;
use super::super::tangents::Tangents;
use super::super::vector::norm;
use super::linear::{System, on_side, orthonormal};
use crate::error::Result;
use crate::loss::oracle::{Oracle, View};
use crate::loss::{Kink, Slope};

/// What is known of a point, and of the loss along its active set.
#[derive(Clone, Debug)]
pub struct Certified {
    /// What is known.
    pub certificate: Certificate,
    /// The lowest eigenvalues along the active set.
    pub lowest: Option<Lowest>,
}

/// Looks at a point where these kinks are to be active with these slopes, and at every other kink nearer than `width`.
pub fn certify(
    oracle: &mut Oracle<'_>,
    theta: &[f64],
    active: &[(Kink, f64)],
    symmetry: &Tangents,
    width: f64,
) -> Result<Certified> {
    let slopes: Vec<Slope> = active.iter().map(|&(Kink { id, .. }, t)| Slope { id, t }).collect();
    let system = System::at(oracle, theta, slopes.clone())?;
    let side = side(oracle, theta, &slopes, width)?;
    let all: Vec<usize> = (0..active.len()).collect();
    let residual = system.residual(&all);
    let independence = independence(&system.rows);
    let room = |a: usize| (active[a].1 - active[a].0.alpha).min(1.0 - active[a].1) * system.at.delta[a].abs();
    let held = orthonormal(symmetry.at(theta), system.rows.iter().cloned());
    let (spectrum, inverse) = oracle.seen(View::Linear(slopes.clone()), |oracle| {
        let spectrum = hessian::lowest(oracle, theta, &held, None)?.ok();
        let inverse = inverse_norm(oracle, theta, &system.rows, &symmetry.at(theta), spectrum.as_ref())?;
        Ok((spectrum, inverse))
    })?;
    let mut certificate = Certificate {
        loss: system.at.loss,
        active: slopes.iter().map(|slope| slope.id).collect(),
        slopes: slopes.iter().map(|slope| slope.t).collect(),
        inverted: all.iter().filter(|&&a| system.at.delta[a] < 0.0).map(|&a| slopes[a].id).collect(),
        negative: spectrum.as_ref().map_or(0, |s| s.values.iter().filter(|&&v| v < -s.tau).count()),
        residual,
        error: inverse.map(|norm| residual * norm),
        width,
        side,
        strict: all.iter().map(|&a| room(a)).reduce(f64::min),
        independence,
        eigenvalues: spectrum.as_ref().map_or_else(Vec::new, |s| s.values.clone()),
        tau: spectrum.as_ref().map_or(f64::INFINITY, |s| s.tau),
        doubts: Vec::new(),
    };
    certificate.doubts = certificate.doubts_of(spectrum.is_some());
    Ok(Certified { certificate, lowest: spectrum })
}

/// The least distance to first order of the kinks that have no slope; one whose z moves with nothing is none.
fn side(oracle: &mut Oracle<'_>, theta: &[f64], slopes: &[Slope], width: f64) -> Result<Option<f64>> {
    let near = oracle.kinks_near(theta, width)?;
    let other: Vec<Kink> = near.into_iter().filter(|kink| slopes.iter().all(|slope| slope.id != kink.id)).collect();
    if other.is_empty() {
        return Ok(None);
    }
    let mut all: Vec<Slope> = slopes.iter().copied().chain(other.iter().map(on_side)).collect();
    all.sort_by_key(|slope| slope.id);
    let rows = oracle.kink_rows(theta, &all)?;
    let row = |kink: &Kink| {
        let k = all.partition_point(|slope| slope.id < kink.id);
        norm(&rows[k * theta.len()..(k + 1) * theta.len()])
    };
    let distances = other.iter().map(|kink| (kink.z.abs(), row(kink))).filter(|&(_, row)| row != 0.0);
    Ok(distances.map(|(z, row)| z / row).reduce(f64::min))
}

/// The smallest singular value of rows made of unit length.
fn independence(rows: &[Vec<f64>]) -> Option<f64> {
    let unit = |row: &Vec<f64>| {
        let length = norm(row).max(f64::MIN_POSITIVE);
        row.iter().map(|x| x / length).collect()
    };
    smallest(&rows.iter().map(unit).collect::<Vec<_>>())
}

/// The smallest singular value of rows; 0 where there are more than columns.
fn smallest(rows: &[Vec<f64>]) -> Option<f64> {
    let p = rows.first()?.len();
    if rows.len() > p {
        return Some(0.0);
    }
    let matrix = faer::Mat::from_fn(rows.len(), p, |i, j| rows[i][j]);
    Some(matrix.singular_values().ok().and_then(|values| values.into_iter().reduce(f64::min)).unwrap_or(0.0))
}

/// |K^-1|, or a bound of it where the Hessian is not formed; `None` where it has none. Tangents count as stiff.
fn inverse_norm(
    oracle: &mut Oracle<'_>,
    theta: &[f64],
    rows: &[Vec<f64>],
    tangents: &[Vec<f64>],
    spectrum: Option<&Lowest>,
) -> Result<Option<f64>> {
    let p = theta.len();
    if p <= hessian::DENSE {
        let h = hessian::whole(oracle, theta)?;
        let stiff = h.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        let curvature = |i: usize, j: usize| {
            0.5 * (h[i * p + j] + h[j * p + i]) + stiff * tangents.iter().map(|t| t[i] * t[j]).sum::<f64>()
        };
        let k = faer::Mat::from_fn(p + rows.len(), p + rows.len(), |i, j| match (i < p, j < p) {
            (true, true) => curvature(i, j),
            (true, false) => rows[j - p][i],
            (false, true) => rows[i - p][j],
            (false, false) => 0.0,
        });
        let values = k.singular_values().ok();
        return Ok(values
            .and_then(|v| v.into_iter().reduce(f64::min))
            .map(|v| 1.0 / v)
            .filter(|norm| norm.is_finite()));
    }
    let curvature = spectrum.and_then(|s| s.values.iter().map(|value| value.abs()).reduce(f64::min));
    let (size, row) = (hessian::size(oracle, theta)?, smallest(rows));
    let (along, onto) = (1.0 / curvature.unwrap_or(0.0), row.map_or(0.0, |row| 1.0 / row));
    // By blocks: the span of the rows, their kernel, and the multipliers.
    let both = size * onto * along;
    let blocks = [onto, along, both, onto, both, size * onto * (onto + both)];
    Ok(Some(norm(&blocks)).filter(|norm| norm.is_finite()))
}
