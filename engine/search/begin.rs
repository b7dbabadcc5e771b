//! How a path begins: the straight line to the nearest copy of a minimum, or one whose middle is moved aside.
//!
//! Two minima may be joined by several passes, and the straight line relaxes to one of them. A bent start falls to
//! another one, if its middle lies beyond the ridge between the two; the copy of the far end that is nearest to the
//! middle may be another copy, too.

use super::align::Alignment;
use super::height::{Care, Measured, measure};
use super::landscape::{CellId, Minimum, Pass, PassKind, Path, PathId, PathState};
use super::polyline::Polyline;
use super::start::uniform;
use super::vector::{axpy, distance, dot, norm};
use crate::error::Result;
use crate::loss::oracle::Oracle;

/// How far aside the middle of a bent start lies, by the length of the straight line.
const ASIDE: [f64; 2] = [0.35, 0.7];
/// Bent starts that are tried for a straight line on which the loss is not finite.
const ROUND: u64 = 4;
/// The stream of the seeded directions.
const DIRECTIONS: u64 = 1;

/// The numbers of a new path.
#[derive(Clone, Copy, Debug)]
pub struct Ids {
    /// The number of the new path.
    pub path: PathId,
    /// The number of the cell of its pass.
    pub cell: CellId,
}

/// The straight line from `a` to the nearest copy of `b`, measured; where the loss is not finite on it, the lowest of
/// four bent starts that lead round.
pub fn straight(oracle: &mut Oracle<'_>, a: &Minimum, b: &Minimum, alignment: &Alignment, id: Ids) -> Result<Path> {
    let line = Polyline::straight(&a.theta, &alignment.nearest(&a.theta, &b.theta));
    let mut lowest = begun(oracle, a, b, line, id)?;
    if !lowest.pass.height.is_finite() && oracle.params() > 1 {
        for attempt in 0..ROUND {
            let round = bent(oracle, a, b, alignment, attempt, id)?;
            if round.pass.height < lowest.pass.height {
                lowest = round;
            }
        }
    }
    Ok(lowest)
}

/// A path from `a` to a copy of `b` over a middle that lies aside, measured. Every attempt has its own middle: one side
/// and the other, near and far, then the next direction.
pub fn bent(
    oracle: &mut Oracle<'_>,
    a: &Minimum,
    b: &Minimum,
    alignment: &Alignment,
    attempt: u64,
    id: Ids,
) -> Result<Path> {
    let middle = aside(&a.theta, &alignment.nearest(&a.theta, &b.theta), attempt);
    let end = alignment.nearest(&middle, &b.theta);
    let line = Polyline::new([&a.theta[..], &middle, &end].concat(), oracle.params());
    begun(oracle, a, b, line, id)
}

fn aside(a: &[f64], b: &[f64], attempt: u64) -> Vec<f64> {
    let along: Vec<f64> = b.iter().zip(a).map(|(b, a)| b - a).collect();
    let length = distance(a, b);
    let mut unit = uniform(attempt / ROUND, DIRECTIONS);
    let mut across: Vec<f64> = a.iter().map(|_| (0..12).map(|_| unit()).sum::<f64>() - 6.0).collect();
    let share = dot(&across, &along) / length.powi(2).max(f64::MIN_POSITIVE);
    axpy(&mut across, -share, &along);
    let side = if attempt.is_multiple_of(2) { 1.0 } else { -1.0 };
    let far = ASIDE[(attempt / 2 % 2) as usize] * length / norm(&across).max(f64::MIN_POSITIVE);
    let mut middle = a.to_vec();
    axpy(&mut middle, 0.5, &along);
    axpy(&mut middle, side * far, &across);
    middle
}

fn begun(oracle: &mut Oracle<'_>, a: &Minimum, b: &Minimum, line: Polyline, id: Ids) -> Result<Path> {
    let measured = measure(oracle, &line, Care::GLANCE)?;
    Ok(path(id, (a.cell, b.cell), PathState::Straight, line, measured))
}

/// A path that nobody has worked on, as it was measured.
pub(super) fn path(id: Ids, ends: (CellId, CellId), state: PathState, line: Polyline, measured: Measured) -> Path {
    Path {
        id: id.path,
        ends,
        state,
        knots: line.into_knots(),
        pass: Pass {
            cell: id.cell,
            kind: PassKind::PathMaximum,
            height: measured.height,
            error: measured.error,
            arc: measured.arc,
            theta: measured.theta,
            evidence: None,
            reason: None,
        },
        profile: measured.profile,
        visits: 0,
    }
}
