//! What a point with active kinks is: a theta and slopes in, every condition of a nondegenerate critical point out, each with
//! the margin that it holds by.
//!
//! With K = [[H, J'], [J, 0]] and r = |(gradient, z)| of the loss with active kinks linear, e = r |K^-1| bounds to first
//! order how far the critical point and its multipliers are; a margin counts that is ten times as large. In floating point,
//! like the certificate of a smooth point. Costs p products: the Hessian is formed.

use super::super::hessian::Hessian;
use super::super::tangents::Tangents;
use super::super::vector::norm;
use super::linear::{System, orthonormal};
use crate::error::Result;
use crate::loss::oracle::Oracle;
use crate::loss::{Kink, Slope};
use serde::{Deserialize, Serialize};

/// The largest r of a critical point.
pub const RESIDUAL: f64 = 1e-8;
/// How many e a margin must be.
const MARGIN: f64 = 10.0;
/// The smallest singular value of independent rows of unit length.
const INDEPENDENT: f64 = 1e-8;

crate::spelled::spelled! {
    /// Why a point is not known to be a nondegenerate critical one.
    pub enum Doubt {
        /// The gradient or some z of an active kink is not zero, or not finite.
        Residual = "not critical",
        /// A slope is outside (alpha, 1): the loss falls across this kink, and nothing changes there.
        Regular = "regular: a slope is outside",
        /// A slope is at its end, or the loss does not bend at the kink, as far as is known.
        Slope = "undecided: a slope at its end",
        /// A kink that is not active may be on its other side.
        Side = "undecided: a kink on the edge",
        /// The rows of the active kinks are dependent.
        Dependent = "degenerate: LIKQ",
        /// An eigenvalue along the active set is within tau of zero.
        Flat = "degenerate: an eigenvalue of zero",
        /// The eigensolver found nothing.
        NoSpectrum = "no eigenvalues",
    }
}

/// A point with active kinks, and by what its index is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// The loss with the active kinks linear.
    pub loss: f64,
    /// The active kinks.
    pub active: Vec<u64>,
    /// The slope of each.
    pub slopes: Vec<f64>,
    /// Those of them that bend downwards: delta is negative.
    pub inverted: Vec<u64>,
    /// The negative eigenvalues along the active set.
    pub negative: usize,
    /// r.
    pub residual: f64,
    /// e; `None` where K is singular.
    pub error: Option<f64>,
    /// How near kinks were looked for that are not active.
    pub width: f64,
    /// The least |z| / |grad z| of those; `None` if there are none.
    pub side: Option<f64>,
    /// The least |delta| min(t - alpha, 1 - t) of the active ones, negative where a slope is outside.
    pub strict: Option<f64>,
    /// The smallest singular value of their rows made of unit length.
    pub independence: Option<f64>,
    /// The lowest eigenvalues along the active set, up to the first that is positive beyond tau.
    pub eigenvalues: Vec<f64>,
    /// Eigenvalues within tau of zero are undecided.
    pub tau: f64,
    /// What is missing; nothing if the point is certified.
    pub doubts: Vec<Doubt>,
}

impl Certificate {
    /// Looks at a point where these kinks are to be active with these slopes, and at every other kink nearer than `width`.
    pub fn of(
        oracle: &mut Oracle<'_>,
        theta: &[f64],
        active: &[(Kink, f64)],
        symmetry: &Tangents,
        width: f64,
    ) -> Result<Certificate> {
        let slopes: Vec<Slope> = active.iter().map(|&(Kink { id, .. }, t)| Slope { id, t }).collect();
        let system = System::at(oracle, theta, &slopes)?;
        let side = side(oracle, theta, &slopes, width)?;
        let all: Vec<usize> = (0..active.len()).collect();
        let (residual, tangents) = (system.residual(&all), symmetry.at(theta));
        let independence = independence(&system.rows);
        let room = |a: usize| (active[a].1 - active[a].0.alpha).min(1.0 - active[a].1) * system.at.delta[a].abs();
        let held = orthonormal(tangents.clone(), system.rows.iter().cloned());
        let spectrum = Hessian::of(&system.hessian, &held, oracle.product_error()).ok();
        let mut certificate = Certificate {
            loss: system.at.loss,
            active: slopes.iter().map(|slope| slope.id).collect(),
            slopes: slopes.iter().map(|slope| slope.t).collect(),
            inverted: all.iter().filter(|&&a| system.at.delta[a] < 0.0).map(|&a| slopes[a].id).collect(),
            negative: spectrum.as_ref().map_or(0, |s| s.values.iter().filter(|&&v| v < -s.tau).count()),
            residual,
            error: inverse_norm(&system.matrix(&all, &tangents)).map(|norm| residual * norm),
            width,
            side,
            strict: all.iter().map(|&a| room(a)).reduce(f64::min),
            independence,
            eigenvalues: spectrum.as_ref().map_or_else(Vec::new, |s| s.lowest().values),
            tau: spectrum.as_ref().map_or(f64::INFINITY, |s| s.tau),
            doubts: Vec::new(),
        };
        certificate.doubts = certificate.doubts(spectrum.is_some());
        Ok(certificate)
    }

    /// The index of a certified point.
    pub fn index(&self) -> Option<usize> {
        self.doubts.is_empty().then_some(self.negative + self.inverted.len())
    }

    fn doubts(&self, has_spectrum: bool) -> Vec<Doubt> {
        let needed = self.error.map_or(f64::INFINITY, |error| MARGIN * error);
        // A NaN is in doubt: each of these asks for what must hold.
        let holds = |margin: Option<f64>, least: f64| margin.is_none_or(|margin| margin > least);
        let regular = self.strict.is_some_and(|strict| strict < -needed);
        let flat = self.eigenvalues.iter().any(|value| value.abs() <= self.tau);
        let doubts = [
            (self.residual.is_nan() || self.residual > RESIDUAL, Doubt::Residual),
            (regular, Doubt::Regular),
            (!regular && !holds(self.strict, needed), Doubt::Slope),
            (!holds(self.side, needed), Doubt::Side),
            (!holds(self.independence, INDEPENDENT), Doubt::Dependent),
            (flat, Doubt::Flat),
            (!has_spectrum, Doubt::NoSpectrum),
        ];
        doubts.into_iter().filter(|&(doubtful, _)| doubtful).map(|(_, doubt)| doubt).collect()
    }
}

/// The least distance to first order of the kinks that have no slope; one whose z moves with nothing is none.
fn side(oracle: &mut Oracle<'_>, theta: &[f64], slopes: &[Slope], width: f64) -> Result<Option<f64>> {
    let near = oracle.kinks_near(theta, width)?;
    let other: Vec<Kink> = near.into_iter().filter(|kink| slopes.iter().all(|slope| slope.id != kink.id)).collect();
    if other.is_empty() {
        return Ok(None);
    }
    let on_side = |kink: &Kink| Slope { id: kink.id, t: if kink.z < 0.0 { kink.alpha } else { 1.0 } };
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

/// The smallest singular value of rows made of unit length; 0 where there are more than columns.
fn independence(rows: &[Vec<f64>]) -> Option<f64> {
    let p = rows.first()?.len();
    if rows.len() > p {
        return Some(0.0);
    }
    let lengths: Vec<f64> = rows.iter().map(|row| norm(row).max(f64::MIN_POSITIVE)).collect();
    let unit = faer::Mat::from_fn(rows.len(), p, |i, j| rows[i][j] / lengths[i]);
    Some(unit.singular_values().ok().and_then(|values| values.into_iter().reduce(f64::min)).unwrap_or(0.0))
}

fn inverse_norm(matrix: &faer::Mat<f64>) -> Option<f64> {
    let eigen = matrix.self_adjoint_eigen(faer::Side::Lower).ok()?;
    let least = eigen.S().column_vector().iter().map(|value| value.abs()).reduce(f64::min)?;
    (least > 0.0).then_some(1.0 / least)
}
