//! Down from a saddle by the true gradient flow, to either side: the two minima of its boundary, and the path that both
//! lines make.

use super::all::Found;
use super::explorer::Explorer;
use super::feet::Foot;
use crate::error::Result;
use crate::search::flow::{self, Descended, Flow};
use crate::search::height::{Care, Measured, measure};
use crate::search::polyline::Polyline;
use crate::search::saddle::Saddle;
use crate::search::vector::axpy;
use crate::search::{Minimum, Path, PathId, PathState, spectrum};

impl Explorer<'_, '_> {
    /// The two lines of gradient flow from beside a saddle.
    pub(super) fn flows(&mut self, saddle: &[f64], mode: &[f64], aside: f64) -> Result<[Descended; 2]> {
        let mut line = |step: f64| {
            let mut start = saddle.to_vec();
            axpy(&mut start, step, mode);
            flow::descend(self.oracle, &start, &self.domain, Flow::CAREFUL)
        };
        Ok([line(aside)?, line(-aside)?])
    }

    /// The feet of the minima in which two lines end; `None` where one ends in none.
    pub(super) fn ends(
        &mut self,
        lines: &[Descended; 2],
        path: PathId,
        minima: &mut Vec<Minimum>,
    ) -> Result<Option<[Foot; 2]>> {
        let p = self.oracle.params();
        let last = |line: &Descended| line.knots[line.knots.len() - p..].to_vec();
        self.feet(([last(&lines[0]), last(&lines[1])], f64::INFINITY), None, path, minima)
    }

    /// The path that two lines make over their saddle, if all of it stays below.
    pub(super) fn over(
        &mut self,
        mut saddle: Saddle,
        lines: [Descended; 2],
        feet: [Foot; 2],
        minima: &[Minimum],
    ) -> Result<Option<Path>> {
        let p = self.oracle.params();
        let down = |side: usize| Polyline::new([&saddle.theta[..], &lines[side].knots, &feet[side].way].concat(), p);
        let (up, down) = (down(0).reversed(), down(1));
        let ends = (feet[0].cell, feet[1].cell);
        saddle.evidence.ends = Some(ends);
        saddle.evidence.survey.looked = true;
        saddle.evidence.survey.boundary = lines.iter().all(|line| line.arrived).then_some(ends);
        for line in [up.thinned(1e-3).then(&down.thinned(1e-3)), up.then(&down)] {
            let measured = measure(self.oracle, &line, Care::CLOSE)?;
            if self.peaks_at(&measured, saddle.loss) {
                let id = self.landscape.next_path();
                let pass = saddle.pass(self.landscape.next_cell() + minima.len() as u64, &measured);
                let (state, knots) = (PathState::Converged, line.into_knots());
                return Ok(Some(Path { id, ends, state, knots, profile: measured.profile, pass, visits: 0 }));
            }
        }
        Ok(None)
    }

    /// Whether a curve rises nowhere above its saddle.
    fn peaks_at(&self, measured: &Measured, saddle: f64) -> bool {
        let lowest = measured.profile.loss.iter().copied().fold(saddle, f64::min);
        let slack = 1e-9 * (saddle - lowest) + 16.0 * f64::EPSILON * saddle.abs() + self.oracle.noise();
        measured.height + measured.error <= saddle + slack
    }

    /// Where a path found a saddle, its lines of flow tell the boundary: descents that leap do not.
    pub(super) fn boundaries(&mut self) -> Result<()> {
        let open =
            |path: &Path| path.is_listed() && path.pass.survey().is_some_and(|s| !s.flowed && s.boundary.is_none());
        while let Some(at) = self.landscape.paths.iter().position(open) {
            let mut path = self.landscape.paths[at].clone();
            let mut minima = Vec::new();
            let aside = 0.01 * path.profile.arc.last().copied().unwrap_or(0.0);
            let lowest = spectrum::lowest(self.oracle, &path.pass.theta, self.domain.tangents(), None)?;
            let mut ends = None;
            if let Ok(lowest) = lowest {
                let lines = self.flows(&path.pass.theta, &lowest.vector, aside)?;
                let feet = self.ends(&lines, path.id, &mut minima)?;
                let feet = feet.filter(|_| lines.iter().all(|line| line.arrived));
                ends = feet.map(|[a, b]| (a.cell, b.cell));
            }
            if let Some(evidence) = &mut path.pass.evidence {
                evidence.survey.flowed = true;
                evidence.survey.boundary = ends;
            }
            self.keep(Found { minima, path: Some(path) }, None)?;
        }
        Ok(())
    }
}
