//! What a point with active kinks is: a theta and slopes in, every condition of a nondegenerate critical point out, each with
//! the margin that it holds by.
//!
//! With K = [[H, J'], [J, 0]] and r = |(gradient, z)| of the loss with active kinks linear, e = r |K^-1| bounds to first
//! order how far the critical point and its multipliers are; a margin counts that is ten times as large. Where the
//! Hessian is not formed, |K^-1| is bounded by the smallest curvature along the active set, the largest of all and the smallest
//! singular value of the rows. A margin that this leaves in doubt is compared with what its own kink may be off: r |K^-1 u|, u
//! what the margin is measured along. In floating point, like the certificate of a smooth point, and at its cost.

use super::super::hessian;
use super::super::kinked::{Certificate, MARGIN};
use super::super::signs::Lowest;
use super::super::tangents::Tangents;
use super::super::vector::norm;
use super::linear::{Factors, Step, System, Toward, on_side, orthonormal};
use super::split::split;
use crate::error::Result;
use crate::loss::oracle::{Oracle, View};
use crate::loss::{Kink, Slope};

/// How many margins are looked at by themselves, and how exactly.
const LOOKS: usize = 32;
const SOLVED: f64 = 1e-3;

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
    let all: Vec<usize> = (0..active.len()).collect();
    let residual = system.residual(&all);
    let mut tangents = symmetry.at(theta);
    let split = split(oracle, theta, symmetry)?;
    let split_units = split.len();
    tangents = orthonormal(tangents, split.into_iter());
    let held = orthonormal(tangents.clone(), system.rows.iter().cloned());
    let (spectrum, inverse) = oracle.seen(View::Linear(slopes.clone()), |oracle| {
        let spectrum = hessian::lowest(oracle, theta, &held, None)?.ok();
        let inverse = inverse_norm(oracle, theta, &system.rows, &tangents, spectrum.as_ref())?;
        Ok((spectrum, inverse))
    })?;
    let error = inverse.map(|norm| residual * norm);
    let at = Looked { theta, factors: system.factors(&all), system: &system, tangents: &tangents, residual, error };
    let sides = sides(oracle, theta, &slopes, width)?;
    let (side, side_error) = at.tightest(oracle, sides)?;
    let (strict, strict_error) = at.tightest(oracle, rooms(&system, active))?;
    let mut certificate = Certificate {
        loss: system.at.loss,
        active: slopes.iter().map(|slope| slope.id).collect(),
        slopes: slopes.iter().map(|slope| slope.t).collect(),
        inverted: all.iter().filter(|&&a| system.at.delta[a] < 0.0).map(|&a| slopes[a].id).collect(),
        negative: spectrum.as_ref().map_or(0, |s| s.values.iter().filter(|&&v| v < -s.tau).count()),
        residual,
        error,
        split_units,
        width,
        side,
        side_error,
        strict,
        strict_error,
        independence: independence(&system.rows),
        eigenvalues: spectrum.as_ref().map_or_else(Vec::new, |s| s.values.clone()),
        tau: spectrum.as_ref().map_or(f64::INFINITY, |s| s.tau),
        doubts: Vec::new(),
    };
    certificate.doubts = certificate.doubts_of(spectrum.is_some());
    Ok(Certified { certificate, lowest: spectrum })
}

/// A margin, and what it is measured along: a direction of theta, or the multiplier of the active kink at this place.
type Margin = (f64, Along);

enum Along {
    Theta(Vec<f64>),
    Multiplier(usize),
}

/// How far active kinks keep the loss bent upwards: |delta| min(t - alpha, 1 - t).
fn rooms(system: &System, active: &[(Kink, f64)]) -> Vec<Margin> {
    let room = |(a, (kink, t)): (usize, &(Kink, f64))| {
        ((t - kink.alpha).min(1.0 - t) * system.at.delta[a].abs(), Along::Multiplier(a))
    };
    active.iter().enumerate().map(room).collect()
}

/// The distances to first order of the kinks that have no slope; one whose z moves with nothing is none.
fn sides(oracle: &mut Oracle<'_>, theta: &[f64], slopes: &[Slope], width: f64) -> Result<Vec<Margin>> {
    let near = oracle.kinks_near(theta, width)?;
    let other: Vec<Kink> = near.into_iter().filter(|kink| slopes.iter().all(|slope| slope.id != kink.id)).collect();
    if other.is_empty() {
        return Ok(Vec::new());
    }
    let mut all: Vec<Slope> = slopes.iter().copied().chain(other.iter().map(on_side)).collect();
    all.sort_by_key(|slope| slope.id);
    let rows = oracle.kink_rows(theta, &all)?;
    let margin = |kink: &Kink| {
        let k = all.partition_point(|slope| slope.id < kink.id);
        let row = &rows[k * theta.len()..(k + 1) * theta.len()];
        let length = norm(row);
        (length != 0.0).then(|| (kink.z.abs() / length, Along::Theta(row.iter().map(|x| x / length).collect())))
    };
    Ok(other.iter().filter_map(margin).collect())
}

/// A point and its system, to look at margins by.
struct Looked<'a> {
    theta: &'a [f64],
    factors: Factors,
    system: &'a System,
    tangents: &'a [Vec<f64>],
    residual: f64,
    error: Option<f64>,
}

impl Looked<'_> {
    /// The least margin of those that do not hold, else of those that e leaves clear, else the least by its error; and that
    /// error where it is not e.
    fn tightest(&self, oracle: &mut Oracle<'_>, mut margins: Vec<Margin>) -> Result<(Option<f64>, Option<f64>)> {
        margins.sort_by(|a, b| a.0.total_cmp(&b.0));
        let needed = self.error.map_or(f64::INFINITY, |error| MARGIN * error);
        let clear = margins.partition_point(|(margin, _)| *margin <= needed);
        let mut least = margins.get(clear).map(|(margin, _)| (*margin, None));
        for (look, (margin, along)) in margins[..clear].iter().enumerate() {
            let own = if look < LOOKS && *margin > 0.0 { self.own_error(oracle, along)? } else { None };
            if own.is_none_or(|own| *margin <= MARGIN * own) {
                return Ok((Some(*margin), own));
            }
            least = least.or(Some((*margin, own)));
        }
        Ok((least.map(|(margin, _)| margin), least.and_then(|(_, own)| own)))
    }

    /// r |K^-1 u|; `None` where K is singular as far as it was seen.
    fn own_error(&self, oracle: &mut Oracle<'_>, along: &Along) -> Result<Option<f64>> {
        let (mut direction, mut z) = (vec![0.0; self.theta.len()], vec![0.0; self.factors.span.len()]);
        match along {
            Along::Theta(unit) => direction.clone_from(unit),
            Along::Multiplier(a) => z[*a] = 1.0,
        }
        let toward = Toward::Critical { left: SOLVED };
        let right = (&direction[..], &z[..]);
        let answer = self.system.solve(oracle, self.theta, &self.factors, self.tangents, right, toward)?;
        Ok(answer.map(|Step { theta, multipliers }| self.residual * norm(&theta).hypot(norm(&multipliers))))
    }
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
