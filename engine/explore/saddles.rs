//! The saddle at the top of a path: when it is looked for, the path led over it, and the two descents that confirm it.

use super::explorer::Explorer;
use crate::error::Result;
use crate::search::connect;
use crate::search::minima::{Quenched, Recipe, quench};
use crate::search::saddle;
use crate::search::{CellId, Descent, Minimum, Origin, PassKind, Path, PathId, PathState, Rejected};

impl Explorer<'_, '_> {
    /// True when the top of a path may be close enough to a saddle: at once after the whole path was relaxed, and then
    /// ever more rarely, for every search that fails costs some Hessians.
    pub(super) fn is_ripe(&self, path: &Path) -> bool {
        let zooms = (path.visits as usize).checked_sub(self.plan.schedule.knots.len());
        path.state == PathState::Converged || matches!(zooms, Some(0 | 2 | 5))
    }

    /// The path led over the true saddle at its top, if one is found there that both descents confirm; else the path,
    /// with the reason.
    pub(super) fn over_saddle(&mut self, mut path: Path, minima: &mut Vec<Minimum>) -> Result<Path> {
        let reach = connect::reach(&path);
        let tolerance = self.critical();
        let found = match saddle::refine(self.oracle, self.domain.tangents(), &path.pass.theta, reach, tolerance)? {
            Ok(found) if found.loss > path.pass.height + path.pass.error => Err(Rejected::Higher),
            other => other,
        };
        let led = match found {
            Ok(saddle) => saddle::lead_over(self.oracle, &path, &saddle)?.map(|led| (saddle, led)),
            Err(rejected) => Err(rejected),
        };
        let (saddle, mut led) = match led {
            Ok(both) => both,
            Err(rejected) => {
                path.pass.reason = Some(rejected.to_string());
                return Ok(path);
            }
        };
        let sides = [0.2 * reach, -0.2 * reach]
            .map(|step| saddle.theta.iter().zip(&saddle.mode).map(|(s, m)| s + step * m).collect::<Vec<f64>>());
        let quick = Recipe { check: false, ..self.plan.recipe };
        let (ends, stop) = quench(self.oracle, sides.into(), &quick, &self.domain, |_, _| {});
        stop?;
        let mut cells = Vec::new();
        for quenched in ends.into_iter().flatten().filter(|end| end.descent == Descent::Converged) {
            let known = self.same(quenched.loss, &quenched.theta)?;
            cells.extend(known.map_or_else(|| self.new_end(quenched, path.id, minima), |cell| Ok(Some(cell)))?);
        }
        match cells[..] {
            [p, q] if p != q => {
                if let Some(evidence) = &mut led.pass.evidence {
                    evidence.ends = Some((p, q));
                }
            }
            _ => {
                led.pass.kind = PassKind::PathMaximum;
                let rejected = match cells[..] {
                    [p, _] => Rejected::OneEnd(p),
                    _ => Rejected::NoEnd,
                };
                led.pass.reason = Some(rejected.to_string());
            }
        }
        Ok(led)
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
        let (checked, stop) = quench(self.oracle, vec![end.theta], &self.plan.recipe, &self.domain, |_, _| {});
        stop?;
        let Some(end) = checked.into_iter().flatten().find(|end| end.descent == Descent::Converged) else {
            return Ok(None);
        };
        let cell = self.landscape.next_cell() + minima.len() as u64;
        let minimum = self.minimum(end, Origin::Transit { path }, cell)?;
        let cell = minimum.same_as.unwrap_or(cell);
        if minimum.same_as.is_none() {
            minima.push(minimum);
        }
        Ok(Some(cell))
    }
}
