//! When two points are one minimum: where the straight line between them, the nearest copies, does not rise.

use super::explorer::Explorer;
use crate::error::Result;
use crate::search::height::{Care, measure};
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
        for at in self.births.near(loss, self.nearness(loss)) {
            let other = &self.landscape.minima[at];
            let (way, cell) = (self.way(other, loss, theta), other.cell);
            if self.is_one(way)? {
                return Ok(Some(cell));
            }
        }
        Ok(None)
    }

    /// The one of some new minima that a point is a copy of.
    pub(super) fn twin(&mut self, minima: &[Minimum], loss: f64, theta: &[f64]) -> Result<Option<CellId>> {
        let near = self.nearness(loss);
        for other in minima.iter().filter(|m| (m.loss - loss).abs() <= near) {
            if self.is_one(self.way(other, loss, theta))? {
                return Ok(Some(other.cell));
            }
        }
        Ok(None)
    }

    /// Losses further apart are not even compared.
    pub(super) fn nearness(&self, loss: f64) -> f64 {
        let of_user = self.plan.identify.loss.map(|same| same * loss.abs().max(1.0));
        (2.0 * self.oracle.noise()).max(of_user.unwrap_or(NEAR * self.unit_of_loss()))
    }

    /// The straight way from a minimum to the nearest copy of a point, and the height that it must not rise above for
    /// them to be one; `None` where they are so near that it need not be looked at.
    fn way(&self, other: &Minimum, loss: f64, theta: &[f64]) -> Option<(Polyline, f64)> {
        let line = Polyline::straight(&other.theta, &self.alignment.nearest(&other.theta, theta));
        let near = line.length() <= CLOSE * self.domain.length();
        (!near).then(|| (line, other.loss.max(loss)))
    }

    fn is_one(&mut self, way: Option<(Polyline, f64)>) -> Result<bool> {
        way.map_or(Ok(true), |(line, loss)| self.stays_below(&line, loss))
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
