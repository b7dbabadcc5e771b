//! The saddle at the top of a path: when it is looked for, the path led over it, and the two descents that confirm it.

use super::explorer::Explorer;
use crate::error::Result;
use crate::search::connect;
use crate::search::minima::{Quenched, Recipe, quench};
use crate::search::saddle::{self, Near, Verdict};
use crate::search::{CellId, Descent, Minimum, Origin, Pass, PassKind, Path, PathId, PathState, Rejected};

impl Explorer<'_, '_> {
    /// True when the top of a path may be close enough to a saddle: at once after the whole path was relaxed, and then
    /// ever more rarely, for every search that fails costs some Hessians.
    pub(super) fn is_ripe(&self, path: &Path) -> bool {
        let zooms = (path.visits as usize).checked_sub(self.plan.schedule.knots.len());
        path.state == PathState::Converged || matches!(zooms, Some(0 | 2 | 5))
    }

    /// The path led over the true saddle at its top, if one is found there that both descents confirm; else the path,
    /// with the reason. A saddle beside the path gets a path of its own, and lines to the ends of this one.
    pub(super) fn over_saddle(&mut self, path: Path, minima: &mut Vec<Minimum>, new: &mut Vec<Path>) -> Result<Path> {
        let saddle = match self.sought(&path)? {
            Ok(saddle) => saddle,
            Err(rejected) => return Ok(refused(path, rejected)),
        };
        let led = saddle::lead_over(self.oracle, &path, &saddle)?;
        let sides = saddle.sides(0.2 * connect::reach(&path));
        let feet = self.feet(&sides, &path, minima)?;
        match (led, feet) {
            (Ok(led), Ok(feet)) => Ok(confirmed(led, &feet)),
            (Ok(mut led), Err(rejected)) => {
                led.pass.kind = PassKind::PathMaximum;
                Ok(refused(led, rejected))
            }
            (Err(above), Err(_)) => Ok(refused(path, above)),
            (Err(above), Ok(feet)) => {
                let Some(own) =
                    saddle::own_path(self.oracle, &path, &saddle, &sides, [&feet[0].theta, &feet[1].theta])?
                else {
                    return Ok(refused(path, above));
                };
                let own = confirmed(Path { ends: (feet[0].cell, feet[1].cell), ..own }, &feet);
                if connect::are_ends(&own, self.own(path.ends.0), self.own(path.ends.1)) {
                    return Ok(own);
                }
                self.beside(&path, own, minima, new)?;
                Ok(refused(path, above))
            }
        }
    }

    /// A saddle that may be the path's: between its top and its higher end.
    fn sought(&mut self, path: &Path) -> Result<Verdict> {
        let (top, along) = (&path.pass.theta, &connect::direction(path));
        let (reach, tolerance) = (connect::reach(path), self.plan.recipe.tolerance);
        let near = Near { top, along, reach, tolerance };
        let (loss, highest) = (&path.profile.loss, path.pass.height + path.pass.error);
        Ok(match saddle::refine(self.oracle, self.domain.tangents(), near)? {
            Ok(found) if found.loss > highest => Err(Rejected::Higher),
            Ok(found) if found.loss < loss[0].max(loss[loss.len() - 1]) => Err(Rejected::BelowEnd),
            verdict => verdict,
        })
    }

    /// Where the descents from either side of a saddle end: in two minima, or there is no pass. Their steps are short: one
    /// over a ridge would tell nothing of the saddle.
    fn feet(
        &mut self,
        sides: &[Vec<f64>; 2],
        path: &Path,
        minima: &mut Vec<Minimum>,
    ) -> Result<std::result::Result<[Foot; 2], Rejected>> {
        let step = self.plan.recipe.step.min(connect::reach(path));
        let quick = Recipe { check: false, step, ..self.plan.recipe };
        let (ends, stop) = quench(self.oracle, sides.to_vec(), &quick, &self.domain, |_, _| {});
        stop?;
        let mut feet = Vec::new();
        for quenched in ends.into_iter().flatten().filter(|end| end.descent == Descent::Converged) {
            let (known, theta) = (self.same(quenched.loss, &quenched.theta)?, quenched.theta.clone());
            let cell = known.map_or_else(|| self.new_end(quenched, path.id, minima), |cell| Ok(Some(cell)))?;
            feet.extend(cell.map(|cell| Foot { cell, theta }));
        }
        Ok(match <[Foot; 2]>::try_from(feet) {
            Ok(feet) if feet[0].cell == feet[1].cell => Err(Rejected::OneEnd(feet[0].cell)),
            Ok(feet) => Ok(feet),
            Err(_) => Err(Rejected::NoEnd),
        })
    }

    /// Adds the path of a saddle found beside another path, and lines from its ends to those of the other.
    fn beside(&mut self, path: &Path, own: Path, minima: &[Minimum], new: &mut Vec<Path>) -> Result<()> {
        let (p, q) = own.ends;
        let near = self.nearness(own.pass.height);
        let is_known = |other: &Path| {
            let is_verified = other.pass.kind == PassKind::VerifiedSaddle;
            is_verified && connect::are_ends(other, p, q) && (other.pass.height - own.pass.height).abs() <= near
        };
        if self.landscape.paths.iter().any(is_known) {
            return Ok(());
        }
        let ids = self.next_ids(minima, new);
        new.push(Path { id: ids.path, pass: Pass { cell: ids.cell, ..own.pass }, ..own });
        for foot in [p, q] {
            for end in [path.ends.0, path.ends.1] {
                let joined = |path: &Path| connect::are_ends(path, foot, end);
                if foot == self.own(end) || self.landscape.paths.iter().chain(&*new).any(joined) {
                    continue;
                }
                let all = || self.landscape.minima.iter().chain(minima);
                let (a, b) = (all().find(|m| m.cell == end), all().find(|m| m.cell == foot));
                let (Some(a), Some(b)) = (a, b) else { continue };
                let ids = self.next_ids(minima, new);
                new.push(connect::straight(self.oracle, a, b, &self.alignment, ids)?);
            }
        }
        Ok(())
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

/// The end of a descent from a saddle, in the saddle's own frame.
struct Foot {
    cell: CellId,
    theta: Vec<f64>,
}

fn confirmed(mut path: Path, [p, q]: &[Foot; 2]) -> Path {
    if let Some(evidence) = &mut path.pass.evidence {
        evidence.ends = Some((p.cell, q.cell));
    }
    path
}

fn refused(mut path: Path, rejected: Rejected) -> Path {
    path.pass.reason = Some(rejected.to_string());
    path
}
