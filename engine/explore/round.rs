//! Several tasks side by side, and how what they came to is kept: in one commit, in the order of the tasks, so that a
//! resumed run begins each round where the uninterrupted one did.
//!
//! Each task saw the landscape as it was when the round began. Numbers are given here, behind those of the tasks before,
//! and a new minimum that an earlier task has found as well is that one.

use super::deciding::{Deciding, Task};
use super::explorer::Explorer;
use crate::error::Result;
use crate::search::connect::Ids;
use crate::search::{CellId, Finding, Minimum, Path, Stage};
use std::collections::HashMap;

/// What a task came to; what is new is numbered as if nothing else had come to anything.
#[derive(Default)]
pub(super) struct Outcome {
    /// The path that was worked on, by its place, as it is now.
    pub changed: Option<(usize, Path)>,
    pub minima: Vec<Minimum>,
    pub new: Vec<Path>,
}

impl Explorer<'_, '_> {
    /// How many tasks a round has at the most.
    pub(super) fn at_once(&self) -> usize {
        self.plan.at_once.max(1)
    }

    /// Does a round of tasks.
    pub(super) fn work(&mut self, tasks: &[Task], deciding: &mut Deciding) -> Result<()> {
        let known: &Deciding = deciding;
        let outcomes = self.side_by_side(tasks, |lane, task| lane.work_on(*task, known))?;
        let changed = self.keep_round(outcomes)?;
        deciding.catch_up(&self.landscape, &self.plan.schedule, &changed);
        Ok(())
    }

    /// Keeps what a round came to; the places of the paths that were worked on.
    pub(super) fn keep_round(&mut self, outcomes: Vec<Outcome>) -> Result<Vec<usize>> {
        let (mut changed, mut minima, mut new): (Vec<(usize, Path)>, Vec<Minimum>, Vec<Path>) = Default::default();
        for outcome in outcomes {
            let mut cells: HashMap<CellId, CellId> = HashMap::new();
            let before = minima.len();
            for mut minimum in outcome.minima {
                let twin = self.twin(&minima[..before], minimum.loss, &minimum.theta)?;
                let cell = twin.unwrap_or_else(|| self.next_ids(&minima, &new).cell);
                cells.insert(std::mem::replace(&mut minimum.cell, cell), cell);
                minima.extend(twin.is_none().then_some(minimum));
            }
            for path in outcome.new {
                new.push(numbered(renamed(path, &cells), self.next_ids(&minima, &new)));
            }
            changed.extend(outcome.changed.map(|(at, path)| (at, renamed(path, &cells))));
            let lines = self.shortcuts(&minima[before..], &minima[..before], &new)?;
            for path in lines {
                new.push(numbered(path, self.next_ids(&minima, &new)));
            }
        }
        changed.iter_mut().map(|(_, path)| path).chain(&mut new).for_each(|path| self.round(path));
        let tally = self.count(Stage::Paths);
        let mut findings: Vec<Finding> = minima.iter().map(Finding::Minimum).collect();
        findings.extend(changed.iter().map(|(_, path)| Finding::Path(path)));
        findings.extend(new.iter().map(Finding::Path));
        findings.push(Finding::Evaluations(Stage::Paths, tally));
        self.journal.commit(&findings)?;
        let places = changed.iter().map(|(at, _)| *at).collect();
        changed.into_iter().for_each(|(at, path)| self.landscape.paths[at] = path);
        self.landscape.minima.extend(minima);
        self.landscape.paths.extend(new);
        Ok(places)
    }

    /// A path as it is kept, in the loss's own precision.
    fn round(&self, path: &mut Path) {
        self.oracle.round(&mut path.knots);
        self.oracle.round(&mut path.pass.theta);
    }
}

fn numbered(mut path: Path, ids: Ids) -> Path {
    (path.id, path.pass.cell) = (ids.path, ids.cell);
    path
}

/// A path between minima that may have other numbers now.
fn renamed(mut path: Path, cells: &HashMap<CellId, CellId>) -> Path {
    let ends = path.pass.evidence.as_mut().and_then(|evidence| evidence.ends.as_mut());
    for (a, b) in ends.into_iter().chain([&mut path.ends]) {
        [a, b].into_iter().for_each(|cell| *cell = cells.get(cell).copied().unwrap_or(*cell));
    }
    path
}
