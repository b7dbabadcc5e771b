//! The stage of paths: which one next, one visit to it, and all that follows: pieces and way-stations.

use super::deciding::{Deciding, Enough, Next, Task};
use super::explorer::Explorer;
use super::plan::Plan;
use crate::error::Result;
use crate::search::connect::{self, Cut, Ids};
use crate::search::minima::quench;
use crate::search::{CellId, Descent, Finding, Minimum, Origin, Pass, Path, PathId, PathState};
use std::collections::HashSet;

/// Bent starts in a row that lower a death by less than the tolerance before no more are tried.
const BENT: usize = 2;

impl Explorer<'_, '_> {
    pub(super) fn paths(&mut self) -> Result<()> {
        self.measure_units()?;
        self.straight_lines(|minimum| minimum.is_sampled(), self.plan.schedule.neighbours)?;
        let mut deciding = Deciding::new(&self.landscape, &self.plan.schedule);
        let enough = self.enough();
        loop {
            let Next { task, settled, targets } = deciding.next(enough);
            let Some(task) = task else {
                self.progress.at("paths", settled as u64, targets as u64, "");
                return Ok(());
            };
            let (Task::Visit(at) | Task::Rival(at, _) | Task::Bend(at, _)) = task;
            let path = &self.landscape.paths[at];
            let detail = format!("path {} of height {:.6e}", path.id, path.pass.height);
            self.progress.at("paths", settled as u64, targets as u64, &detail);
            match task {
                Task::Visit(_) => self.work_on(at, None, &deciding)?,
                Task::Rival(_, below) => self.work_on(at, Some(below), &deciding)?,
                Task::Bend(_, attempt) => self.bend(at, attempt)?,
            }
            deciding.catch_up(&self.landscape, &self.plan.schedule, Some(at));
        }
    }

    /// How many rivals a death wants. On a line there is no way round.
    fn enough(&self) -> Enough {
        let Plan { alternatives: others, schedule, .. } = self.plan;
        let bent = if self.oracle.params() > 1 { BENT.min(*others) } else { 0 };
        Enough { others: *others, bent, tolerance: schedule.tolerance }
    }

    /// Another path between the ends of one, begun aside.
    fn bend(&mut self, at: usize, attempt: u64) -> Result<()> {
        let [a, b] = [self.landscape.paths[at].ends.0, self.landscape.paths[at].ends.1].map(|end| self.own(end));
        let (Some(a), Some(b)) = (self.landscape.minimum(a), self.landscape.minimum(b)) else { return Ok(()) };
        let ids = Ids { path: self.landscape.next_path(), cell: self.landscape.next_cell() };
        let path = connect::bent(self.oracle, a, b, &self.alignment, attempt, ids)?;
        self.keep_path(path)
    }

    fn keep_path(&mut self, mut path: Path) -> Result<()> {
        self.round(&mut path);
        let tally = self.count("paths");
        self.journal.commit(&[Finding::Path(&path), Finding::Evaluations("paths", tally)])?;
        self.landscape.paths.push(path);
        Ok(())
    }

    /// Straight lines between minima that have none yet, one commit each.
    pub(super) fn straight_lines(&mut self, among: fn(&Minimum) -> bool, neighbours: usize) -> Result<()> {
        let minima: Vec<&Minimum> = self.landscape.minima.iter().filter(|m| m.counts() && among(m)).collect();
        let pairs = connect::pairs(&minima, &self.alignment, neighbours);
        let wanted: Vec<(CellId, CellId)> = pairs.into_iter().map(|(i, j)| (minima[i].cell, minima[j].cell)).collect();
        let total = wanted.len() as u64;
        let joined: HashSet<(CellId, CellId)> =
            self.landscape.paths.iter().flat_map(|p| [p.ends, (p.ends.1, p.ends.0)]).collect();
        for (k, (a, b)) in wanted.into_iter().enumerate() {
            if joined.contains(&(a, b)) {
                continue;
            }
            self.progress.at("lines", k as u64, total, "");
            let (Some(a), Some(b)) = (self.landscape.minimum(a), self.landscape.minimum(b)) else { continue };
            let ids = Ids { path: self.landscape.next_path(), cell: self.landscape.next_cell() };
            let path = connect::straight(self.oracle, a, b, &self.alignment, ids)?;
            self.keep_path(path)?;
        }
        Ok(())
    }

    /// A path as it is kept, in the loss's own precision.
    fn round(&self, path: &mut Path) {
        self.oracle.round(&mut path.knots);
        self.oracle.round(&mut path.pass.theta);
    }

    /// One visit, and in another turn all that follows from it: a stop between the two loses neither, and what sank below
    /// others is not looked at before they are. Nothing follows from a visit to a rival that stays too high.
    pub(super) fn work_on(&mut self, at: usize, below: Option<f64>, deciding: &Deciding) -> Result<()> {
        let (known, schedule) = (&self.landscape.paths[at], &self.plan.schedule);
        let path = match below {
            _ if known.state == PathState::Fresh => return self.look_at(at, known.clone(), deciding),
            None => connect::visit(self.oracle, known, schedule)?,
            Some(below) => connect::rival(self.oracle, known, schedule, below)?,
        };
        if path.state == PathState::Converged {
            return self.look_at(at, path, deciding);
        }
        self.keep_work(at, path, Vec::new(), Vec::new())
    }

    /// Looks at the valleys and the top of a path that was worked on.
    fn look_at(&mut self, at: usize, mut path: Path, deciding: &Deciding) -> Result<()> {
        if path.state == PathState::Fresh {
            path.state = PathState::Relaxed;
        }
        let (mut minima, cuts) = self.cuts(&path)?;
        let mut new = Vec::new();
        match self.split(&path, (&cuts, None), &minima, deciding)? {
            Some(pieces) => (path.state, new) = (PathState::Split, pieces),
            None if self.is_ripe(&path) => path = self.over_saddle(path, &mut minima, &mut new, deciding)?,
            None => {}
        }
        self.shortcuts(&minima, &mut new)?;
        self.keep_work(at, path, minima, new)
    }

    /// What became of a path and what follows from it, in one commit.
    fn keep_work(&mut self, at: usize, mut path: Path, minima: Vec<Minimum>, mut new: Vec<Path>) -> Result<()> {
        std::iter::once(&mut path).chain(&mut new).for_each(|path| self.round(path));
        let tally = self.count("paths");
        let mut findings: Vec<Finding> = minima.iter().map(Finding::Minimum).collect();
        findings.push(Finding::Path(&path));
        findings.extend(new.iter().map(Finding::Path));
        findings.push(Finding::Evaluations("paths", tally));
        self.journal.commit(&findings)?;
        self.landscape.paths[at] = path;
        self.landscape.minima.extend(minima);
        self.landscape.paths.extend(new);
        Ok(())
    }

    /// The pieces of a path between its cuts, if there are any and none rises above it: a split must not raise a death.
    /// One of them may be known already. At its last visit a path stays whole, so that splitting ends.
    pub(super) fn split(
        &mut self,
        path: &Path,
        (cuts, own): (&[Cut], Option<&Path>),
        minima: &[Minimum],
        deciding: &Deciding,
    ) -> Result<Option<Vec<Path>>> {
        let last = self.plan.schedule.visits.saturating_sub(1);
        if path.visits > last {
            return Ok(None);
        }
        let first = self.next_ids(minima, &[]);
        let mut pieces = connect::pieces(self.oracle, path, cuts, &self.plan.schedule, first)?;
        let bound = path.pass.height + path.pass.error;
        let is_high = |piece: &Path| piece.pass.height > bound + piece.pass.error;
        for piece in &mut pieces {
            if let Some(own) = own.filter(|own| connect::are_ends(own, piece.ends.0, piece.ends.1)) {
                let (id, cell) = (piece.id, piece.pass.cell);
                *piece = Path { id, pass: Pass { cell, ..own.pass.clone() }, ..own.clone() };
                continue;
            }
            // A pair that was split before goes on from there, so that splitting ends. Its last visit is left, which looks
            // for the saddle.
            piece.visits = piece.visits.max(deciding.visits_before_split(piece.ends)).min(last);
            // The way down from a valley is a straight line at first; one that climbs higher is relaxed.
            while is_high(piece) && (piece.visits as usize) < self.plan.schedule.knots.len() {
                *piece = connect::visit(self.oracle, piece, &self.plan.schedule)?;
            }
        }
        Ok((!pieces.is_empty() && !pieces.iter().any(is_high)).then_some(pieces))
    }

    /// Quenches the valleys of a path: new minima, and where the path is to be cut.
    fn cuts(&mut self, path: &Path) -> Result<(Vec<Minimum>, Vec<Cut>)> {
        let stations = self.landscape.minima.iter().filter(|m| !m.is_sampled()).count();
        let may_split = path.visits < self.plan.schedule.visits && stations < self.plan.way_stations;
        let arcs = match may_split && !self.some_are_above_their_minima() {
            true => connect::valleys(path, self.oracle.noise()),
            false => Vec::new(),
        };
        let starts: Vec<Vec<f64>> = arcs.iter().map(|&arc| connect::point(path, arc)).collect();
        let (found, stop) = quench(self.oracle, starts, &self.plan.recipe, &self.domain, |_, _| {});
        stop?;
        let (mut minima, mut cuts): (Vec<Minimum>, Vec<Cut>) = Default::default();
        for (arc, quenched) in arcs.into_iter().zip(found.into_iter().flatten()) {
            if !matches!(quenched.descent, Descent::Converged) {
                continue;
            }
            let theta = quenched.theta.clone();
            let cell = self.landscape.next_cell() + minima.len() as u64;
            let minimum = self.minimum(quenched, Origin::Transit { path: path.id }, cell)?;
            // Both valleys may drain into one new minimum.
            let cell = match minimum.same_as {
                None => self.twin(&minima, minimum.loss, &theta)?,
                known => known,
            };
            // A valley that drains into an end is no way-station: a piece would join the same ends again, for ever.
            if [path.ends.0, path.ends.1].map(|end| Some(self.own(end))).contains(&cell) {
                continue;
            }
            cuts.push(Cut { arc, cell: cell.unwrap_or(minimum.cell), theta });
            if cell.is_none() {
                minima.push(minimum);
            }
        }
        Ok((minima, cuts))
    }

    /// The numbers of a path behind all that is new.
    pub(super) fn next_ids(&self, minima: &[Minimum], new: &[Path]) -> Ids {
        let cell = self.landscape.next_cell() + (minima.len() + new.len()) as u64;
        Ids { path: self.landscape.next_path() + new.len() as PathId, cell }
    }

    /// Straight lines from new minima to their nearest known ones: a way-station may lie on more than one road.
    fn shortcuts(&mut self, minima: &[Minimum], new: &mut Vec<Path>) -> Result<()> {
        for minimum in minima {
            let mut known: Vec<(f64, usize)> = (0..self.landscape.minima.len())
                .filter(|&i| self.landscape.minima[i].counts())
                .map(|i| (self.alignment.distance(&self.landscape.minima[i].theta, &minimum.theta), i))
                .collect();
            known.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            for &(_, i) in known.iter().take(self.plan.schedule.neighbours) {
                let other = &self.landscape.minima[i];
                if new.iter().any(|path| connect::are_ends(path, other.cell, minimum.cell)) {
                    continue;
                }
                let ids = self.next_ids(minima, new);
                new.push(connect::straight(self.oracle, other, minimum, &self.alignment, ids)?);
            }
        }
        Ok(())
    }
}
