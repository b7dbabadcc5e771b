//! When two points are one minimum: where the straight line between them, the nearest copies, does not rise, or where a
//! motion that changes nothing leads from the one to the other, though the loss declares no such symmetry.

use super::explorer::Explorer;
use crate::error::Result;
use crate::search::height::{Care, measure};
#[cfg(feature = "dense")]
use crate::search::orbit;
use crate::search::polyline::Polyline;
use crate::search::{CellId, Descent, Minimum};

/// Ends of descents further apart than this, in the landscape's unit of loss, are not even compared.
const NEAR: f64 = 1e-8;
/// Those nearer than this, in units of length, are one: descents end nearer to a minimum that is not soft.
const CLOSE: f64 = 1e-7;

impl Explorer<'_, '_> {
    /// The known minimum that a point is a copy of.
    pub(super) fn same(&mut self, loss: f64, theta: &[f64]) -> Result<Option<CellId>> {
        self.measure_units()?;
        self.births.catch_up(&self.landscape.minima);
        let near = self.births.near(loss, self.nearness(loss));
        for is_one in [Self::is_straight_to, Self::is_moved_to] {
            for &at in &near {
                let Minimum { cell, theta: known, loss: other, evidence, .. } = &self.landscape.minima[at];
                let (cell, flat, known) = (*cell, evidence.undecided(), (known.clone(), *other));
                if is_one(self, known, flat, loss, theta)? {
                    return Ok(Some(cell));
                }
            }
        }
        Ok(None)
    }

    /// The one of some new minima that a point is a copy of.
    pub(super) fn twin(&mut self, minima: &[Minimum], loss: f64, theta: &[f64]) -> Result<Option<CellId>> {
        let near = self.nearness(loss);
        for is_one in [Self::is_straight_to, Self::is_moved_to] {
            for other in minima.iter().filter(|m| (m.loss - loss).abs() <= near) {
                let known = (other.theta.clone(), other.loss);
                if is_one(self, known, other.evidence.undecided(), loss, theta)? {
                    return Ok(Some(other.cell));
                }
            }
        }
        Ok(None)
    }

    /// Losses further apart are not even compared.
    pub(super) fn nearness(&self, loss: f64) -> f64 {
        let of_user = self.plan.identify.loss.map(|same| same * loss.abs().max(1.0));
        (2.0 * self.oracle.noise()).max(of_user.unwrap_or(NEAR * self.unit_of_loss()))
    }

    /// Whether the straight way from a minimum to the nearest copy of a point does not rise, or need not be looked at.
    fn is_straight_to(&mut self, known: (Vec<f64>, f64), _: usize, loss: f64, theta: &[f64]) -> Result<bool> {
        let line = Polyline::straight(&known.0, &self.alignment.nearest(&known.0, theta));
        Ok(line.length() <= CLOSE * self.domain.length() || self.stays_below(&line, known.1.max(loss))?)
    }

    /// Whether a motion that nobody declared leads from a minimum there: one along its directions without curvature.
    fn is_moved_to(&mut self, known: (Vec<f64>, f64), flat: usize, loss: f64, theta: &[f64]) -> Result<bool> {
        match self.moved(&known.0, flat, theta)? {
            Some(moved) => self.is_straight_to((moved, known.1), 0, loss, theta),
            None => Ok(false),
        }
    }

    /// Where directions without curvature, so many as there are, lead a critical point nearest to another.
    #[cfg_attr(not(feature = "dense"), allow(unused_variables))]
    pub(super) fn moved(&mut self, known: &[f64], flat: usize, theta: &[f64]) -> Result<Option<Vec<f64>>> {
        #[cfg(feature = "dense")]
        if flat > 0 {
            return orbit::nearest(self.oracle, known, theta, &self.alignment, self.domain.tangents());
        }
        Ok(None)
    }

    /// The flagged minimum that a lower point is the bottom of: the straight line down from it does not rise. Whoever
    /// takes points as they are takes them for their basins: the bottom is then no minimum beside them.
    pub(super) fn bottom_of(&mut self, loss: f64, theta: &[f64]) -> Result<Option<CellId>> {
        let flagged = |m: &&Minimum| m.counts() && m.is_sampled() && m.descent == Descent::Unconverged;
        let higher = self.landscape.minima.iter().filter(|m| flagged(m) && m.loss >= loss);
        let lines = higher.map(|m| (Polyline::straight(&m.theta, &self.alignment.nearest(&m.theta, theta)), m));
        let mut lines: Vec<(Polyline, f64, CellId)> = lines.map(|(line, m)| (line, m.loss, m.cell)).collect();
        lines.sort_by(|a, b| a.0.length().total_cmp(&b.0.length()).then(a.2.cmp(&b.2)));
        for (line, from, cell) in lines {
            if self.stays_below(&line, from)? {
                return Ok(Some(cell));
            }
        }
        Ok(None)
    }

    /// Whether a line rises above a loss by no more than noise and rounding.
    fn stays_below(&mut self, line: &Polyline, loss: f64) -> Result<bool> {
        // Values are as good as the largest that was added up to make them; that of the landscape stands for it.
        self.births.catch_up(&self.landscape.minima);
        let largest = self.births.largest.max(loss.abs());
        let rounding = (2.0 * self.oracle.noise()).max(64.0 * f64::EPSILON * largest);
        let measured = measure(self.oracle, line, Care { samples: 15, precision: 1e-2 })?;
        Ok(measured.height <= loss + rounding)
    }

    /// The minimum that a cell stands for.
    pub(super) fn own(&self, cell: CellId) -> CellId {
        self.landscape.minimum(cell).and_then(|m| m.same_as).unwrap_or(cell)
    }
}
