//! The goal `all`: every saddle of index 1 between neighbouring basins.
//!
//! From each minimum the search climbs along its modes, the lowest first, to either side (`search/uphill.rs`); from each
//! new saddle two lines of gradient flow lead down (`search/flow.rs`), and a minimum there that was not known is climbed
//! from in turn. Neighbours that no verified saddle joins yet get a path of their own, settled like those that decide a
//! bar. A saddle that is found again is counted, not listed again: how often each was found tells about how many were
//! missed (`catches.rs`).
//!
//! It goes from the lowest mode of all minima to the next. Up to [`SMALL`] parameters it ends when every mode has been
//! climbed along and, as long as a saddle was found once only, [`AGAIN`] times as many directions between
//! the modes: of modes with one curvature none is the right one. Above, three modes in a row that led from no minimum to a
//! new saddle are the last, if less than half a saddle is estimated to be missing by then, or if hardly a climb came to any.

use super::catches::Catches;
use super::deciding::{Deciding, Task};
use super::explorer::Explorer;
use super::progress::Doing;
use crate::error::Result;
use crate::order::by_value;
use crate::search::hessian::{DENSE, Hessian};
use crate::search::noise::direction;
use crate::search::saddle::{self, Near, Saddle};
use crate::search::start::uniform;
use crate::search::uphill::{self, Climb};
use crate::search::vector::{axpy, distance, norm};
use crate::search::{CellId, Descent, Evidence, Finding, Minimum, Path, PathState, Stage, Survey, connect};
use std::collections::HashSet;

/// Modes in a row that led from no minimum to a new saddle before the search may end. (After two LJ7 ended with 10 of its
/// 12 saddles.)
const BARREN: u32 = 3;
/// Up to so many parameters every mode of a minimum is climbed along.
const SMALL: usize = 24;
const AGAIN: usize = 2;
/// Climbs of which fewer than one in so many come to a saddle are in vain.
const FEW: u64 = 50;
/// Low modes that a Krylov space shows, where the whole Hessian is too dear.
const SEEN: usize = 20;
/// What a flow starts beside a saddle by, and what two saddles that are one may differ by, in lengths of the climb.
const ASIDE: f64 = 0.02;
pub(super) const SAME: f64 = 1e-4;

/// What is to be kept together.
#[derive(Default)]
pub(super) struct Found {
    pub minima: Vec<Minimum>,
    /// New, or changed.
    pub path: Option<Path>,
}

impl Explorer<'_, '_> {
    /// Climbs and joins until the rule says stop.
    pub(super) fn all_saddles(&mut self) -> Result<()> {
        self.measure_units()?;
        let mut deciding = Deciding::new(&self.landscape, &self.plan.schedule);
        let (mut lined, mut settled) = (0, false);
        loop {
            self.list_passes()?;
            self.boundaries()?;
            if let Some(at) = self.next_climb() {
                self.climbs(at)?;
                continue;
            }
            if lined < self.landscape.minima.len() {
                // In a lattice of p dimensions each basin has 2 p neighbours.
                let neighbours = self.plan.schedule.neighbours.min(2 * self.oracle.params());
                self.straight_lines(|_| true, neighbours)?;
                lined = self.landscape.minima.len();
            }
            deciding.catch_up(&self.landscape, &self.plan.schedule, &[]);
            match self.next_pairs() {
                pairs if !pairs.is_empty() => {
                    self.work(&pairs, &mut deciding)?;
                    settled = false;
                }
                _ if settled => break,
                // What was found since may have changed which paths decide a bar.
                _ => {
                    self.paths()?;
                    deciding = Deciding::new(&self.landscape, &self.plan.schedule);
                    settled = true;
                }
            }
        }
        self.higher()
    }

    /// The minimum to climb from: of those whose modes are not spent the one with the fewest climbs, the lowest first.
    fn next_climb(&mut self) -> Option<usize> {
        let (minima, most) = (&self.landscape.minima, self.plan.modes);
        let open = |m: &&Minimum| m.counts() && m.descent == Descent::Converged;
        let round = |m: &Minimum| m.evidence.survey.climbs / 2 + 1;
        let next = minima
            .iter()
            .filter(open)
            .min_by(|a, b| round(a).cmp(&round(b)).then(a.loss.total_cmp(&b.loss)).then(a.cell.cmp(&b.cell)))?;
        // Others leave the loss as it is.
        let p = self.oracle.params();
        let held = self.domain.tangents().at(&next.theta).len() + next.evidence.undecided();
        let free = p.saturating_sub(held).min(if p > DENSE { SEEN } else { p });
        let (cell, next) = (next.cell, round(next));
        let catches = Catches::of(&self.landscape).unwrap_or_default();
        let is_sated = catches.missed < 0.5;
        let again = if catches.once == 0 || p > SMALL || most < free { 0 } else { AGAIN * free };
        let modes = (free.min(most) + again) as u32;
        let is_barren = next > BARREN && (1..=BARREN).all(|back| self.is_barren(next - back));
        let is_vain = FEW * catches.by_climbs < catches.climbs;
        let is_last = p > SMALL && is_barren && (is_sated || is_vain);
        let done = minima.iter().filter(|m| m.counts() && round(m) > next).count();
        let all = minima.iter().filter(|m| m.counts()).count();
        let saddles = self.landscape.listed().count();
        self.progress.at(Stage::Saddles, done as u64, all as u64, Doing::Climbs { mode: next, saddles });
        let at = || self.landscape.minima.iter().position(|m| m.cell == cell);
        (next <= modes && !is_last).then(at).flatten()
    }

    /// True when climbs along this mode, the lowest is 1, led to no new saddle.
    fn is_barren(&self, mode: u32) -> bool {
        let by = |path: &Path| path.pass.evidence.as_ref().map(|e| e.survey.mode);
        !self.landscape.listed().any(|path| by(path) == Some(mode))
    }

    /// Both climbs along the next mode of a minimum, a commit each.
    fn climbs(&mut self, at: usize) -> Result<()> {
        let climbs = self.landscape.minima[at].evidence.survey.climbs;
        let reach = self.reach(at);
        // Directions without curvature lead nowhere: they come first.
        let flat = self.landscape.minima[at].evidence.undecided();
        let mode = self.mode(at, flat, climbs as usize / 2)?;
        for side in climbs % 2..2 {
            let mut found = Found::default();
            if let Some(mode) = &mode {
                let sign = if side == 0 { 1.0 } else { -1.0 };
                let mode: Vec<f64> = mode.iter().map(|x| sign * x).collect();
                found = self.climb(at, &mode, reach)?;
            }
            self.landscape.minima[at].evidence.survey.climbs += 1;
            self.keep(found, Some(at))?;
        }
        Ok(())
    }

    /// What one climb comes to.
    fn climb(&mut self, at: usize, mode: &[f64], reach: f64) -> Result<Found> {
        let Minimum { theta: minimum, loss, evidence, .. } = self.landscape.minima[at].clone();
        let from = Climb { minimum: &minimum, mode, reach };
        let Some((top, along)) = uphill::climb(self.oracle, from, &self.domain)? else { return Ok(Found::default()) };
        let apart = distance(&top, &minimum);
        let (tolerance, null) = (self.critical(), evidence.undecided());
        let near = Near { top: &top, along: &along, reach: 0.1 * apart, tolerance, null };
        let saddle = match saddle::refine(self.oracle, self.domain.tangents(), near, &connect::widest(self.oracle))? {
            Ok(saddle) if saddle.loss > loss => saddle,
            _ => return Ok(Found::default()),
        };
        let number = evidence.survey.climbs / 2 + 1;
        self.found(saddle, distance(&top, &minimum), number)
    }

    /// What is to be kept of a saddle: one more catch of a known one, or a path over it.
    fn found(&mut self, mut saddle: Saddle, apart: f64, mode: u32) -> Result<Found> {
        if let Some(known) = self.known_saddle(saddle.loss, &saddle.theta, SAME * apart)? {
            let mut path = self.landscape.paths[known].clone();
            if let Some(evidence) = &mut path.pass.evidence {
                evidence.survey.found += 1;
            }
            return Ok(Found { minima: Vec::new(), path: Some(path) });
        }
        saddle.evidence.survey = Survey { found: 1, mode, ..Survey::default() };
        let mut minima = Vec::new();
        let lines = self.flows(&saddle.theta, &saddle.mode, ASIDE * apart)?;
        let path = match self.ends(&lines, self.landscape.next_path(), &mut minima)? {
            Some(feet) => self.over(saddle, lines, feet, &minima)?,
            None => None,
        };
        // A minimum names the path that it was found on.
        if path.is_none() {
            minima.clear();
        }
        Ok(Found { minima, path })
    }

    /// The saddle that a point is, of those that have been looked at and listed.
    fn known_saddle(&mut self, loss: f64, theta: &[f64], near: f64) -> Result<Option<usize>> {
        let slack = self.nearness(loss);
        let is_as_high = |path: &Path| {
            path.is_listed()
                && path.pass.survey().is_some_and(|survey| survey.looked)
                && (path.pass.height - loss).abs() <= slack
        };
        let alike: Vec<usize> =
            (0..self.landscape.paths.len()).filter(|&at| is_as_high(&self.landscape.paths[at])).collect();
        let is_near = |at: &usize| self.alignment.distance(&self.landscape.paths[*at].pass.theta, theta) <= near;
        if let Some(at) = alike.iter().copied().find(is_near) {
            return Ok(Some(at));
        }
        for at in alike {
            let pass = &self.landscape.paths[at].pass;
            let flat = pass.evidence.as_ref().map_or(0, Evidence::undecided);
            let moved = self.moved(&pass.theta.clone(), flat, theta)?;
            if moved.is_some_and(|moved| self.alignment.distance(&moved, theta) <= near) {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// Marks verified passes over saddles that earlier paths lead over: each saddle is listed once.
    fn list_passes(&mut self) -> Result<()> {
        for at in 0..self.landscape.paths.len() {
            let path = &self.landscape.paths[at];
            if !path.is_listed() || path.pass.survey().is_some_and(|survey| survey.looked) {
                continue;
            }
            let near = SAME * path.profile.arc.last().copied().unwrap_or(0.0);
            let mut path = path.clone();
            let known = self.known_saddle(path.pass.height, &path.pass.theta, near)?;
            if let Some(evidence) = &mut path.pass.evidence {
                evidence.survey.looked = true;
                evidence.survey.copy = known.is_some();
            }
            self.keep(Found { minima: Vec::new(), path: Some(path) }, None)?;
        }
        Ok(())
    }

    /// The mode of a minimum, the lowest is 0, or behind the last a direction between them; `None` where it is not known.
    fn mode(&mut self, at: usize, flat: usize, mode: usize) -> Result<Option<Vec<f64>>> {
        let theta = self.landscape.minima[at].theta.clone();
        let seeds = [direction(theta.len()), theta.clone()];
        let Ok(hessian) = Hessian::seen_from(self.oracle, &theta, self.domain.tangents(), seeds)? else {
            return Ok(None);
        };
        let mut modes = hessian.vectors.chunks_exact(theta.len()).skip(flat);
        if mode + flat < hessian.values.len() {
            return Ok(modes.nth(mode).map(<[f64]>::to_vec));
        }
        let (mut between, mut unit) = (vec![0.0; theta.len()], uniform(mode as u64, 2));
        modes.for_each(|other| axpy(&mut between, 2.0 * unit() - 1.0, other));
        let size = norm(&between);
        between.iter_mut().for_each(|x| *x /= size);
        Ok((size > 0.0).then_some(between))
    }

    /// How far the landscape is known to be from changing round a minimum: half its shortest path.
    fn reach(&self, at: usize) -> f64 {
        let cell = &self.landscape.minima[at].cell;
        let at_it = |path: &&Path| [path.ends.0, path.ends.1].contains(cell);
        let lengths = self.landscape.paths.iter().filter(at_it).filter_map(|path| path.profile.arc.last().copied());
        let shortest = lengths.filter(|length| *length > 0.0).fold(f64::INFINITY, f64::min);
        if shortest.is_finite() { 0.5 * shortest } else { 0.2 * self.domain.length() }
    }

    /// The next pairs to be joined, a path of each: neighbours, whose line runs through no third basin, without a verified
    /// saddle between them; the lowest path first.
    fn next_pairs(&self) -> Vec<Task> {
        let own = |path: &Path| {
            let (a, b) = (self.own(path.ends.0), self.own(path.ends.1));
            (a.min(b), a.max(b))
        };
        let joined: HashSet<(CellId, CellId)> = self.landscape.listed().map(own).collect();
        let counts = |cell| self.landscape.minimum(cell).is_some_and(Minimum::counts);
        let open = |path: &Path| {
            let (a, b) = own(path);
            let over = matches!(path.state, PathState::Split | PathState::Converged);
            let through =
                || path.state == PathState::Straight && connect::valleys(path, self.oracle.noise()).is_empty();
            !over
                && (path.visits < self.plan.schedule.visits || path.state == PathState::Fresh)
                && path.pass.height.is_finite()
                && a != b
                && counts(a)
                && counts(b)
                && !joined.contains(&(a, b))
                && (path.state != PathState::Straight || through())
        };
        let paths = self.landscape.paths.iter().enumerate().filter(|(_, path)| open(path));
        let mut paths: Vec<(usize, &Path)> = paths.collect();
        paths.sort_by(|a, b| by_value((a.1.pass.height, a.1.id), (b.1.pass.height, b.1.id)));
        let mut pairs = HashSet::new();
        let first = paths.into_iter().filter(|(_, path)| pairs.insert(own(path)));
        first.take(self.at_once()).map(|(at, _)| Task::Visit(at)).collect()
    }

    /// Keeps what was found, in one commit with the minimum that was climbed from.
    pub(super) fn keep(&mut self, found: Found, from: Option<usize>) -> Result<()> {
        let tally = self.count(Stage::Saddles);
        let mut findings: Vec<Finding> = found.minima.iter().map(Finding::Minimum).collect();
        findings.extend(found.path.iter().map(Finding::Path));
        findings.extend(from.map(|at| Finding::Minimum(&self.landscape.minima[at])));
        findings.push(Finding::Evaluations(Stage::Saddles, tally));
        self.journal.commit(&findings)?;
        self.landscape.minima.extend(found.minima);
        if let Some(path) = found.path {
            match self.landscape.paths.iter().position(|known| known.id == path.id) {
                Some(at) => self.landscape.paths[at] = path,
                None => self.landscape.paths.push(path),
            }
        }
        Ok(())
    }
}
