//! Critical points of index 2 and above, and their boundary modulo 2, where they are asked for and parameters are few.
//!
//! From every point of one index walks lead up along each of its remaining modes to points of the next. The boundary of a
//! point of index 2 is read off the lines of flow from a circle round it in its two falling directions: where two
//! neighbours end in different minima, the line between them runs to a saddle, and halving the angle finds which. The
//! boundary of a point of the highest index is read off the other side: from each point one index lower two lines lead
//! up. (In between, spheres of more dimensions would have to be searched: those boundaries are left open.)

use super::all::SAME;
use super::explorer::Explorer;
use crate::error::Result;
use crate::search::flow::{self, Flow};
use crate::search::hessian::Hessian;
use crate::search::higher::{self, MOST, Start};
use crate::search::vector::{axpy, distance};
use crate::search::{CellId, Critical, Finding, Stage};

/// Directions of the circle at first, and how often an angle is halved.
const DIRECTIONS: usize = 16;
const HALVINGS: usize = 40;

/// Where a line of flow from beside a point of index 2 leads.
struct Line {
    angle: f64,
    knots: Vec<f64>,
    /// `None` where it comes to no minimum.
    end: Option<Vec<f64>>,
}

impl Explorer<'_, '_> {
    /// Every critical point up to the highest index asked for, and every boundary that can be told.
    pub(super) fn higher(&mut self) -> Result<()> {
        let p = self.oracle.params();
        if p > MOST || !self.oracle.is_smooth() {
            return Ok(());
        }
        for index in 2..=self.plan.index.min(self.dimensions()) {
            while let Some((cell, theta, climbs, reach)) = self.next_walk(index - 1) {
                self.walks(cell, &theta, index, climbs, reach)?;
            }
        }
        self.faces()
    }

    /// The parameters less the directions in which declared symmetries move a point.
    fn dimensions(&self) -> usize {
        let held = self.landscape.minima.iter().find(|m| m.counts()).map(|m| self.domain.tangents().at(&m.theta).len());
        self.oracle.params() - held.unwrap_or(0)
    }

    /// The point of an index with modes left to climb along: its cell, place, climbs so far, and how far others are.
    fn next_walk(&self, index: usize) -> Option<(CellId, Vec<f64>, u32, f64)> {
        let modes = self.dimensions().saturating_sub(index);
        let open = |climbs: u32| (climbs as usize) < 2 * modes;
        if index == 1 {
            let survey = |path: &&crate::search::Path| path.pass.survey().is_some_and(|s| open(s.climbs));
            let path = self.landscape.listed().find(survey)?;
            let length = path.profile.arc.last().copied().unwrap_or(0.0);
            let climbs = path.pass.survey().map_or(0, |survey| survey.climbs);
            return Some((path.pass.cell, path.pass.theta.clone(), climbs, 0.5 * length));
        }
        let point = self.landscape.critical.iter().find(|c| c.index == index && open(c.evidence.survey.climbs))?;
        let theta = point.theta.clone();
        let near = self.landscape.critical.iter().filter(|c| c.index + 1 == index || c.index == index);
        let apart = |c: &Critical| distance(&c.theta, &self.alignment.nearest(&c.theta, &theta));
        let nearest = near.map(apart).filter(|d| *d > 1e-9).fold(f64::INFINITY, f64::min);
        let reach = if nearest.is_finite() { nearest } else { 0.2 * self.domain.length() };
        Some((point.cell, theta, point.evidence.survey.climbs, reach))
    }

    /// Walks from a point along one of its remaining modes, to both sides.
    fn walks(&mut self, cell: CellId, theta: &[f64], index: usize, climbs: u32, reach: f64) -> Result<()> {
        let (mode, side) = (index - 1 + climbs as usize / 2, if climbs.is_multiple_of(2) { 1.0 } else { -1.0 });
        let from = Start { theta, index: index - 1, mode, side, reach };
        let tolerance = self.critical();
        let found = higher::next_index(self.oracle, from, &self.domain, tolerance)?;
        let mut changed = vec![cell];
        if let Some(mut point) = found {
            let near = SAME * distance(&point.theta, theta).max(reach);
            let slack = self.nearness(point.loss);
            let known = self.landscape.critical.iter_mut().find(|c| {
                c.index == index
                    && (c.loss - point.loss).abs() <= slack
                    && self.alignment.distance(&c.theta, &point.theta) <= near
            });
            match known {
                Some(known) => {
                    known.evidence.survey.found += 1;
                    changed.push(known.cell);
                }
                None => {
                    point.cell = self.landscape.next_cell();
                    point.evidence.survey.found = 1;
                    changed.push(point.cell);
                    self.landscape.critical.push(point);
                }
            }
        }
        if let Some(path) = self.landscape.paths.iter_mut().find(|path| path.pass.cell == cell) {
            path.pass.evidence.iter_mut().for_each(|evidence| evidence.survey.climbs += 1);
        }
        let from = self.landscape.critical.iter_mut().find(|c| c.cell == cell);
        from.into_iter().for_each(|c| c.evidence.survey.climbs += 1);
        self.keep_higher(&changed)
    }

    /// Keeps the points and passes of some cells.
    fn keep_higher(&mut self, cells: &[CellId]) -> Result<()> {
        let tally = self.count(Stage::Saddles);
        let mut findings: Vec<Finding> =
            self.landscape.critical.iter().filter(|c| cells.contains(&c.cell)).map(Finding::Critical).collect();
        let passes = self.landscape.listed().filter(|path| cells.contains(&path.pass.cell));
        findings.extend(passes.map(Finding::Path));
        findings.push(Finding::Evaluations(Stage::Saddles, tally));
        self.journal.commit(&findings)
    }

    /// Tells the boundaries that are open.
    fn faces(&mut self) -> Result<()> {
        let highest = self.dimensions();
        for at in 0..self.landscape.critical.len() {
            let point = &self.landscape.critical[at];
            if point.evidence.survey.flowed {
                continue;
            }
            let (cell, theta, index) = (point.cell, point.theta.clone(), point.index);
            let faces = match index {
                2 => self.circle(&theta)?,
                _ if index == highest => self.lines_up_to(at)?,
                _ => None,
            };
            let survey = &mut self.landscape.critical[at].evidence.survey;
            survey.flowed = true;
            survey.faces = faces;
            self.keep_higher(&[cell])?;
        }
        Ok(())
    }

    /// The saddles to which an odd number of lines run from a point of index 2; `None` where that cannot be told.
    fn circle(&mut self, theta: &[f64]) -> Result<Option<Vec<CellId>>> {
        let Ok(hessian) = Hessian::at(self.oracle, theta, self.domain.tangents())? else { return Ok(None) };
        let p = theta.len();
        let plane = [hessian.vectors[..p].to_vec(), hessian.vectors[p..2 * p].to_vec()];
        let saddles = self.landscape.listed().map(|path| &path.pass.theta);
        let near = saddles.map(|s| self.alignment.distance(theta, s)).fold(f64::INFINITY, f64::min);
        let aside = 0.02 * if near.is_finite() { near } else { 0.2 * self.domain.length() };
        // Not along the modes themselves: lines of symmetry run there.
        let angle = |k: usize| (k as f64 + 0.37) / DIRECTIONS as f64 * std::f64::consts::TAU;
        let mut lines = Vec::new();
        for k in 0..=DIRECTIONS {
            lines.push(self.line(theta, &plane, aside, angle(k))?);
        }
        let mut faces: Vec<CellId> = Vec::new();
        while let Some(last) = lines.pop() {
            let Some(first) = lines.last() else { break };
            let Some(between) = self.between(theta, &plane, aside, (first, &last), near)? else { return Ok(None) };
            for cell in between {
                match faces.iter().position(|&face| face == cell) {
                    Some(at) => _ = faces.remove(at),
                    None => faces.push(cell),
                }
            }
        }
        faces.sort_unstable();
        Ok(Some(faces))
    }

    fn line(&mut self, theta: &[f64], plane: &[Vec<f64>; 2], aside: f64, angle: f64) -> Result<Line> {
        let mut start = theta.to_vec();
        axpy(&mut start, aside * angle.cos(), &plane[0]);
        axpy(&mut start, aside * angle.sin(), &plane[1]);
        let flowed = flow::descend(self.oracle, &start, &self.domain, Flow::CAREFUL)?;
        let p = theta.len();
        let end = flowed.arrived.then(|| flowed.knots[flowed.knots.len() - p..].to_vec());
        Ok(Line { angle, knots: flowed.knots, end })
    }

    /// The saddles that lines between two neighbours run to.
    fn between(
        &mut self,
        theta: &[f64],
        plane: &[Vec<f64>; 2],
        aside: f64,
        (first, last): (&Line, &Line),
        near: f64,
    ) -> Result<Option<Vec<CellId>>> {
        let (Some(a), Some(b)) = (&first.end, &last.end) else { return Ok(None) };
        // Ends are near their minima: those of two basins lie apart.
        let is_one = |a: &[f64], b: &[f64]| distance(a, b) < 0.2 * near;
        if is_one(a, b) {
            return Ok(Some(Vec::new()));
        }
        let middle = self.line(theta, plane, aside, 0.5 * (first.angle + last.angle))?;
        let Some(m) = &middle.end else {
            return Ok(self.passed(&middle.knots, 0.05 * near).map(|cell| vec![cell]));
        };
        let halvings = (std::f64::consts::TAU / DIRECTIONS as f64 / (last.angle - first.angle)).log2();
        let is_last = halvings >= HALVINGS as f64;
        let passed = self.passed(&middle.knots, if is_last { 0.05 * near } else { 5e-4 * near });
        // One of the two boundaries alone is left, and its saddle in sight.
        if is_last || (halvings > 12.0 && passed.is_some() && (is_one(a, m) || is_one(m, b))) {
            return Ok(passed.map(|cell| vec![cell]));
        }
        let Some(mut all) = self.between(theta, plane, aside, (first, &middle), near)? else { return Ok(None) };
        let Some(more) = self.between(theta, plane, aside, (&middle, last), near)? else { return Ok(None) };
        all.extend(more);
        Ok(Some(all))
    }

    /// The listed saddle that a line comes nearest to, if it comes this near.
    fn passed(&self, knots: &[f64], near: f64) -> Option<CellId> {
        let p = self.oracle.params();
        let from =
            |s: &[f64]| knots.chunks_exact(p).map(|k| self.alignment.distance(s, k)).fold(f64::INFINITY, f64::min);
        let all = self.landscape.listed().map(|path| (from(&path.pass.theta), path.pass.cell));
        let nearest = all.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))?;
        (nearest.0 <= near).then_some(nearest.1)
    }

    /// The points one index lower from which an odd number of lines lead up to this one, of the highest index.
    fn lines_up_to(&mut self, at: usize) -> Result<Option<Vec<CellId>>> {
        let p = self.oracle.params();
        let (top, highest) = (self.landscape.critical[at].theta.clone(), self.landscape.critical[at].index);
        let below: Vec<(CellId, Vec<f64>)> = match highest {
            2 => self.landscape.listed().map(|path| (path.pass.cell, path.pass.theta.clone())).collect(),
            _ => {
                let lower = self.landscape.critical.iter().filter(|c| c.index + 1 == highest);
                lower.map(|c| (c.cell, c.theta.clone())).collect()
            }
        };
        let mut faces = Vec::new();
        for (cell, theta) in below {
            let Ok(hessian) = Hessian::at(self.oracle, &theta, self.domain.tangents())? else { return Ok(None) };
            let mode = hessian.vectors[hessian.vectors.len() - p..].to_vec();
            let away = self.alignment.distance(&top, &theta);
            let mut reached = 0;
            for side in [0.02, -0.02] {
                let mut start = theta.clone();
                axpy(&mut start, side * away, &mode);
                let line = flow::descend(self.oracle, &start, &self.domain, Flow::CAREFUL.upward())?;
                let last = &line.knots[line.knots.len() - p..];
                reached += u32::from(line.arrived && self.alignment.distance(&top, last) < 0.2 * away);
            }
            if reached % 2 == 1 {
                faces.push(cell);
            }
        }
        Ok(Some(faces))
    }
}
