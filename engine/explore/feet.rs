//! The feet of a saddle: the minima in which descents from either side of it end.

use super::explorer::Explorer;
use crate::error::Result;
use crate::search::minima::{Quenched, Recipe};
use crate::search::quench::quench;
use crate::search::{CellId, Descent, Minimum, Origin, PathId};

/// How far apart the points of a way down are that are kept, by its longest step.
const TRAIL: f64 = 0.5;

/// The end of a descent from a saddle, in the saddle's own frame.
pub(super) struct Foot {
    pub cell: CellId,
    /// Knots of the way down, the last of which it is.
    pub way: Vec<f64>,
}

impl Explorer<'_, '_> {
    /// The feet below two points, on ways lower than `below`, by steps no longer than `step` if that is given; new minima are
    /// numbered after those so far. `None` where a descent ends in no minimum.
    pub(super) fn feet(
        &mut self,
        (points, below): ([Vec<f64>; 2], f64),
        step: Option<f64>,
        path: PathId,
        minima: &mut Vec<Minimum>,
    ) -> Result<Option<[Foot; 2]>> {
        let (step, trail) = (step.or(self.plan.recipe.step), step.map(|step| TRAIL * step));
        let quick = Recipe { check: false, step, trail, ..self.plan.recipe }.below(below);
        let (ends, stop) = quench(self.oracle, points.into(), &quick, &self.domain, |_, _| {});
        stop?;
        let mut feet = Vec::new();
        for end in ends.into_iter().flatten().filter(|end| end.descent == Descent::Converged) {
            let known = self.same(end.loss, &end.theta)?;
            let way = [&end.trail[..], &end.theta].concat();
            let cell = known.map_or_else(|| self.new_end(end, path, minima), |cell| Ok(Some(cell)))?;
            feet.extend(cell.map(|cell| Foot { cell, way }));
        }
        Ok(<[Foot; 2]>::try_from(feet).ok())
    }

    /// A minimum at the foot of a saddle that was not known: checked, and numbered after the new ones so far.
    fn new_end(&mut self, end: Quenched, path: PathId, minima: &mut Vec<Minimum>) -> Result<Option<CellId>> {
        let known = match self.twin(minima, end.loss, &end.theta)? {
            None => self.bottom_of(end.loss, &end.theta)?,
            twin => twin,
        };
        if known.is_some() {
            return Ok(known);
        }
        let Some(end) = self.checked(end)? else { return Ok(None) };
        let cell = self.landscape.next_cell() + minima.len() as u64;
        let minimum = self.minimum(end, Origin::Transit { path }, cell)?;
        let cell = minimum.same_as.unwrap_or(cell);
        if minimum.same_as.is_none() {
            minima.push(minimum);
        }
        Ok(Some(cell))
    }

    /// The end of a quick descent as a minimum whose eigenvalues were looked at; on kinks they were.
    fn checked(&mut self, end: Quenched) -> Result<Option<Quenched>> {
        if end.evidence.kinks.is_some() {
            return Ok(Some(end));
        }
        let (checked, stop) = quench(self.oracle, vec![end.theta], &self.plan.recipe, &self.domain, |_, _| {});
        stop?;
        Ok(checked.into_iter().flatten().find(|end| end.descent == Descent::Converged))
    }
}
