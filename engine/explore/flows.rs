//! Down from a saddle by the true gradient flow, to either side: the two minima of its boundary, and the path that both
//! lines make.

use super::all::Found;
use super::explorer::Explorer;
use crate::error::Result;
use crate::search::flow::{self, Descended, Flow};
use crate::search::height::{Care, Measured, measure};
use crate::search::minima::{Recipe, quench};
use crate::search::polyline::Polyline;
use crate::search::saddle::Saddle;
use crate::search::vector::axpy;
use crate::search::{CellId, Descent, Minimum, Pass, PassKind, Path, PathState, spectrum};

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

    /// The minima in which two lines end, new ones numbered after those so far; `None` where one ends in none.
    pub(super) fn ends(
        &mut self,
        lines: &[Descended; 2],
        path: u64,
        minima: &mut Vec<Minimum>,
    ) -> Result<Option<(CellId, CellId)>> {
        let p = self.oracle.params();
        let last = |line: &Descended| line.knots[line.knots.len() - p..].to_vec();
        let quick = Recipe { check: false, ..self.plan.recipe };
        let (ends, stop) = quench(self.oracle, lines.iter().map(last).collect(), &quick, &self.domain, |_, _| {});
        stop?;
        let mut cells = Vec::new();
        for end in ends.into_iter().flatten().filter(|end| end.descent == Descent::Converged) {
            let known = self.same(end.loss, &end.theta)?;
            cells.extend(known.map_or_else(|| self.new_end(end, path, minima), |cell| Ok(Some(cell)))?);
        }
        Ok(match cells[..] {
            [a, b] => Some((a, b)),
            _ => None,
        })
    }

    /// The path that two lines make over their saddle, if all of it stays below.
    pub(super) fn over(
        &mut self,
        saddle: Saddle,
        lines: [Descended; 2],
        ends: (CellId, CellId),
        minima: &[Minimum],
    ) -> Result<Option<Path>> {
        let p = self.oracle.params();
        let mut up = self.foot(ends.0, &lines[0].knots, minima);
        lines[0].knots.chunks_exact(p).rev().for_each(|knot| up.extend_from_slice(knot));
        up.extend_from_slice(&saddle.theta);
        let mut down = [&saddle.theta[..], &lines[1].knots].concat();
        down.extend(self.foot(ends.1, &lines[1].knots, minima));
        let (up, down) = (Polyline::new(up, p), Polyline::new(down, p));
        for line in [up.thinned(1e-3).then(&down.thinned(1e-3)), up.then(&down)] {
            let measured = measure(self.oracle, &line, Care::CLOSE)?;
            if self.peaks_at(&measured, saddle.loss) {
                let id = self.landscape.next_path();
                let cell = self.landscape.next_cell() + minima.len() as u64;
                let mut evidence = saddle.evidence;
                evidence.ends = Some(ends);
                evidence.survey.looked = true;
                evidence.survey.boundary = lines.iter().all(|line| line.arrived).then_some(ends);
                let pass = Pass {
                    cell,
                    kind: PassKind::VerifiedSaddle,
                    height: measured.height.max(saddle.loss),
                    error: measured.error,
                    arc: measured.arc,
                    theta: saddle.theta,
                    evidence: Some(evidence),
                    reason: None,
                };
                let (state, knots) = (PathState::Converged, line.into_knots());
                return Ok(Some(Path { id, ends, state, knots, profile: measured.profile, pass, visits: 0 }));
            }
        }
        Ok(None)
    }

    /// The copy of a minimum in which a line ends.
    fn foot(&self, cell: CellId, line: &[f64], minima: &[Minimum]) -> Vec<f64> {
        let last = &line[line.len() - self.oracle.params()..];
        let minimum = self.landscape.minimum(cell).or_else(|| minima.iter().find(|m| m.cell == cell));
        minimum.map_or_else(Vec::new, |m| self.alignment.nearest(last, &m.theta))
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
                ends = self.ends(&lines, path.id, &mut minima)?;
                ends = ends.filter(|_| lines.iter().all(|line| line.arrived));
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
