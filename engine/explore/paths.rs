//! The stage of paths: which one next, one visit to it, and all that follows: pieces and way-stations.

use super::deciding::{Deciding, Enough, Next, Task};
use super::explorer::Explorer;
use super::plan::Plan;
use super::progress::Doing;
use super::round::Outcome;
use crate::error::Result;
use crate::search::connect::{self, Cut, Ids};
use crate::search::quench::quench;
use crate::search::{CellId, Descent, Minimum, Origin, Pass, Path, PathId, PathState, Stage};
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
            let Next { tasks, settled, targets } = deciding.next(enough, self.at_once());
            let Some(first) = tasks.first() else {
                self.progress.at(Stage::Paths, settled as u64, targets as u64, Doing::Next);
                return Ok(());
            };
            let path = &self.landscape.paths[first.at()];
            let doing = Doing::Path { id: path.id, height: path.pass.height, others: tasks.len() - 1 };
            self.progress.at(Stage::Paths, settled as u64, targets as u64, doing);
            self.work(&tasks, &mut deciding)?;
        }
    }

    /// How many rivals a death wants. On a line there is no way round.
    fn enough(&self) -> Enough {
        let Plan { alternatives: others, schedule, .. } = self.plan;
        let bent = if self.oracle.params() > 1 { BENT.min(*others) } else { 0 };
        Enough { others: *others, bent, tolerance: schedule.tolerance }
    }

    /// Straight lines between minima that have none yet, as many in one commit as are measured at once.
    pub(super) fn straight_lines(&mut self, among: fn(&Minimum) -> bool, neighbours: usize) -> Result<()> {
        let minima: Vec<&Minimum> = self.landscape.minima.iter().filter(|m| m.counts() && among(m)).collect();
        let pairs = connect::pairs(&minima, &self.alignment, neighbours);
        let total = pairs.len();
        let joined: HashSet<(CellId, CellId)> =
            self.landscape.paths.iter().flat_map(|p| [p.ends, (p.ends.1, p.ends.0)]).collect();
        let wanted = pairs.into_iter().map(|(i, j)| (minima[i].cell, minima[j].cell));
        let wanted: Vec<(CellId, CellId)> = wanted.filter(|pair| !joined.contains(pair)).collect();
        let before = total - wanted.len();
        for (k, some) in wanted.chunks(self.at_once()).enumerate() {
            self.progress.at(Stage::Lines, (before + k * self.at_once()) as u64, total as u64, Doing::Next);
            let new = self.lines(some, &[])?;
            self.keep_round(vec![Outcome { new, ..Outcome::default() }])?;
        }
        Ok(())
    }

    /// One visit, and in another turn all that follows from it: a stop between the two loses neither, and what sank below
    /// others is not looked at before they are. Nothing follows from a visit to a rival that stays too high.
    pub(super) fn work_on(&mut self, task: Task, deciding: &Deciding) -> Result<Outcome> {
        let at = task.at();
        let (known, schedule) = (&self.landscape.paths[at], &self.plan.schedule);
        let path = match task {
            Task::Bend(_, attempt) => return self.bend(at, attempt),
            _ if known.state == PathState::Fresh => return self.look_at(task, known.clone(), deciding),
            Task::Visit(_) => connect::visit(self.oracle, known, schedule)?,
            Task::Rival(_, below) => connect::rival(self.oracle, known, schedule, below)?,
        };
        if path.state == PathState::Converged {
            return self.look_at(task, path, deciding);
        }
        Ok(Outcome { changed: Some((at, path)), ..Outcome::default() })
    }

    /// Looks at the valleys and the top of a path that was worked on.
    fn look_at(&mut self, task: Task, mut path: Path, deciding: &Deciding) -> Result<Outcome> {
        if path.state == PathState::Fresh {
            path.state = PathState::Relaxed;
        }
        let (mut minima, cuts) = self.cuts(&path)?;
        let mut new = Vec::new();
        match self.split(&path, (&cuts, None), &minima, deciding)? {
            Some(pieces) => (path.state, new) = (PathState::Split, pieces),
            None if self.is_ripe(&path, matches!(task, Task::Visit(_))) => {
                path = self.over_saddle(path, &mut minima, &mut new, deciding)?
            }
            None => {}
        }
        Ok(Outcome { changed: Some((task.at(), path)), minima, new })
    }

    /// Another path between the ends of one, begun aside.
    fn bend(&mut self, at: usize, attempt: u64) -> Result<Outcome> {
        let ids = self.next_ids(&[], &[]);
        let [a, b] = [self.landscape.paths[at].ends.0, self.landscape.paths[at].ends.1].map(|end| self.own(end));
        let (Some(a), Some(b)) = (self.landscape.minimum(a), self.landscape.minimum(b)) else {
            return Ok(Outcome::default());
        };
        let path = connect::bent(self.oracle, a, b, &self.alignment, attempt, ids)?;
        Ok(Outcome { new: vec![path], ..Outcome::default() })
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
            if own.is_some() {
                // By way of the saddle it has a corner.
                piece.visits = piece.visits.min(self.plan.schedule.knots.len().saturating_sub(1) as u32);
            }
            // A pair that was split before goes on from there, so that splitting ends. Its last visit is left, which looks
            // for the saddle.
            piece.visits = piece.visits.max(deciding.visits_before_split(piece.ends)).min(last);
            // The way down from a valley is a straight line at first; one that climbs higher is relaxed.
            let most = self.plan.schedule.knots.len() + usize::from(own.is_some());
            while is_high(piece) && (piece.visits as usize) < most {
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
        let recipe = self.plan.recipe.below(path.pass.height);
        let (found, stop) = quench(self.oracle, starts, &recipe, &self.domain, |_, _| {});
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
            cuts.push(Cut { arc, cell: cell.unwrap_or(minimum.cell), way: theta });
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

    /// Straight lines from new minima to their nearest known ones, those new before them too: a way-station may lie on
    /// more than one road. Left out are those that have a path among the `new` ones; but on kinks minima are so near to each
    /// other that a piece may lead from one to the next by way of far ones.
    pub(super) fn shortcuts(&mut self, minima: &[Minimum], before: &[Minimum], new: &[Path]) -> Result<Vec<Path>> {
        let known: Vec<&Minimum> = self.landscape.minima.iter().filter(|m| m.counts()).chain(before).collect();
        let mut wanted = Vec::new();
        for minimum in minima {
            let mut near: Vec<(f64, usize)> =
                (0..known.len()).map(|i| (self.alignment.distance(&known[i].theta, &minimum.theta), i)).collect();
            near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let near = near.into_iter().take(self.plan.schedule.neighbours).map(|(_, i)| (known[i].cell, minimum.cell));
            let is_joined = |a, b| new.iter().any(|path| connect::are_ends(path, a, b));
            wanted.extend(near.filter(|&(a, b)| self.oracle.has_kinks() || !is_joined(a, b)));
        }
        let ends: Vec<&Minimum> = before.iter().chain(minima).collect();
        self.lines(&wanted, &ends)
    }

    /// Straight lines between minima, those of `beside` besides the known ones; not numbered yet.
    fn lines(&mut self, pairs: &[(CellId, CellId)], beside: &[&Minimum]) -> Result<Vec<Path>> {
        let mut lines = Vec::new();
        let first = self.next_ids(&[], &[]);
        for some in pairs.chunks(self.at_once()) {
            let measured = self.side_by_side(some, |lane, &(a, b)| {
                let new = |cell| beside.iter().copied().find(|m| m.cell == cell);
                let [a, b] = [a, b].map(|cell| lane.landscape.minimum(cell).or_else(|| new(cell)));
                let (Some(a), Some(b)) = (a, b) else { return Ok(None) };
                connect::straight(lane.oracle, a, b, &lane.alignment, first).map(Some)
            });
            lines.extend(measured?.into_iter().flatten());
        }
        Ok(lines)
    }
}
