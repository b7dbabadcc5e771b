//! The loop over all stages: starts become minima, pairs become paths, paths break at new minima, and the merge tree
//! says which path decides a bar and is worked on next.
//!
//! What comes next depends on the landscape alone, so a resumed run goes on as the uninterrupted one would have. One
//! finding, with all that follows from it, is one commit.

use crate::error::{Error, Result};
use crate::loss::oracle::Oracle;
use crate::loss::{Dtype, Split, Symmetry};
use crate::order::by_value;
use crate::persistence::{Tree, tree};
use crate::run::{Budget, Progress};
use crate::search::align::Alignment;
use crate::search::connect::{self, Cut, Ids, Schedule};
use crate::search::height::{Care, measure};
use crate::search::minima::{Domain, Quenched, Recipe, quench};
use crate::search::polyline::Polyline;
use crate::search::saddle;
use crate::search::{
    CellId, Descent, Finding, Journal, Landscape, Minimum, Origin, PassKind, Path, PathId, PathState, Tally,
};
use rand::{Rng, SeedableRng};

/// What an exploration is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The number of descents, from seeds `seed`, `seed + 1`, ...
    pub starts: u64,
    pub seed: u64,
    pub recipe: Recipe,
    pub identify: Identify,
    /// Descents that pass this distance from zero have escaped.
    pub radius: f64,
    /// Whether points are compared modulo the declared symmetries.
    pub align: bool,
    pub schedule: Schedule,
    /// For every bar, so many paths beside the deciding one are relaxed too, in case one of them is lower.
    pub alternatives: usize,
    /// Once so many way-stations are known, paths are no longer broken at new ones: a rough loss has no end of them.
    pub way_stations: usize,
    pub minima_budget: Budget,
    pub paths_budget: Budget,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            starts: 8,
            seed: 26,
            recipe: Recipe::POLISH,
            identify: Identify { loss: 1e-6, distance: 0.02, rise: 1e-9 },
            radius: 1e6,
            align: true,
            schedule: Schedule::default(),
            alternatives: 1,
            way_stations: 1000,
            minima_budget: Budget::default(),
            paths_budget: Budget::default(),
        }
    }
}

/// When two minima are one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Identify {
    /// Their losses differ by less than this (times max(1, |loss|)), and
    pub loss: f64,
    /// their symmetric distance is below this, or
    pub distance: f64,
    /// the straight line between them rises by less than this or the noise.
    pub rise: f64,
}

/// Why an exploration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every bar's deciding path is settled.
    Complete,
    /// A budget was spent before; everything found by then is kept, and a resumed run goes on from there.
    Budget,
    /// The cancel token fired; likewise.
    Cancelled,
}

/// What an exploration came to.
pub struct Explored {
    pub landscape: Landscape,
    pub ended: Ended,
    /// What two evaluations of one loss may differ by.
    pub noise: f64,
    /// Whether declared symmetries were used.
    pub aligned: bool,
}

/// Explores a loss from what is known so far (empty at first). A stop is no error; see [`Ended`].
pub fn explore(
    oracle: &mut Oracle<'_>,
    plan: &Plan,
    known: Landscape,
    journal: &mut dyn Journal,
    progress: &mut dyn Progress,
) -> Result<Explored> {
    let symmetries: Vec<Symmetry> = oracle.loss().symmetries()?;
    let bounds = oracle.loss().bounds()?;
    let alignment = if plan.align { Alignment::new(&symmetries) } else { Alignment::none() };
    for kind in alignment.ignored() {
        progress.note(&format!("declared symmetry not used to identify points: {kind}"));
    }
    let domain = Domain::new(bounds, &symmetries, oracle.params(), plan.radius);
    let aligned = !alignment.is_trivial();
    let ended = Ended::Complete;
    let mut explorer = Explorer { oracle, plan, alignment, domain, landscape: known, ended, journal, progress };
    match explorer.all() {
        Ok(()) => {}
        Err(Error::Cancelled) => explorer.ended = Ended::Cancelled,
        Err(Error::Budget(_)) => explorer.ended = Ended::Budget,
        Err(error) => return Err(error),
    }
    Ok(Explored { landscape: explorer.landscape, ended: explorer.ended, noise: explorer.oracle.noise(), aligned })
}

struct Explorer<'a, 'b> {
    oracle: &'a mut Oracle<'b>,
    plan: &'a Plan,
    alignment: Alignment,
    domain: Domain,
    landscape: Landscape,
    ended: Ended,
    journal: &'a mut dyn Journal,
    progress: &'a mut dyn Progress,
}

/// Starts that descend together. Part of no result: rows do not see each other.
const ROUND: u64 = 8;

impl Explorer<'_, '_> {
    fn all(&mut self) -> Result<()> {
        self.stage("minima", self.plan.minima_budget, Self::minima)?;
        if !self.landscape.minima.iter().any(Minimum::counts) {
            if self.ended == Ended::Budget {
                return Ok(());
            }
            let tried = self.landscape.minima.len();
            let escaped = self.landscape.minima.iter().filter(|m| m.descent == Descent::Escaped).count();
            return Err(Error::Numeric(format!(
                "no minimum found: of {tried} starts {escaped} left the domain and {} were not finite",
                tried - escaped
            )));
        }
        self.stage("paths", self.plan.paths_budget, Self::paths)
    }

    /// Runs a stage and counts what it spent, also when it is stopped.
    fn stage(&mut self, name: &str, budget: Budget, body: fn(&mut Self) -> Result<()>) -> Result<()> {
        self.oracle.begin(budget);
        let result = body(self);
        let result = match result {
            // A stage's own budget ends the stage; the run's ends the run, at the next stage's first evaluation.
            Err(Error::Budget(_)) if budget != Budget::default() => {
                self.ended = Ended::Budget;
                Ok(())
            }
            other => other,
        };
        let tally = self.count(name);
        self.journal.commit(&[Finding::Evaluations(name, tally)])?;
        result
    }

    /// Adds what was spent since the last count to a stage; returns the stage's total.
    fn count(&mut self, stage: &str) -> Tally {
        let spent = self.oracle.take_tally();
        let stages = &mut self.landscape.evaluations;
        let at = stages.iter().position(|(name, _)| name == stage).unwrap_or_else(|| {
            stages.push((stage.to_owned(), Tally::default()));
            stages.len() - 1
        });
        let total = &mut stages[at].1;
        total.loss += spent.loss;
        total.gradient += spent.gradient;
        total.hessian_product += spent.hessian_product;
        *total
    }

    // ---- minima ----

    fn minima(&mut self) -> Result<()> {
        let tried: Vec<u64> = self.landscape.minima.iter().filter_map(|m| m.seed()).collect();
        let seeds = self.plan.seed..self.plan.seed + self.plan.starts;
        let left: Vec<u64> = seeds.filter(|seed| !tried.contains(seed)).collect();
        for seeds in left.chunks(ROUND as usize) {
            let starts: Result<Vec<Vec<f64>>> = seeds.iter().map(|&seed| self.start(seed)).collect();
            let done = (self.plan.starts as usize - left.len()) as u64;
            let (progress, total) = (&mut *self.progress, self.plan.starts);
            let (found, stop) = quench(self.oracle, starts?, &self.plan.recipe, &self.domain, |ended, slowest| {
                progress.at("minima", done + ended as u64, total, &format!("gradient norm {slowest:.1e}"));
            });
            for (&seed, quenched) in seeds.iter().zip(found) {
                // What ended out of turn is left for the resumed run, so that cells are numbered as without the stop.
                let Some(quenched) = quenched else { break };
                self.keep_start(seed, quenched)?;
            }
            stop?;
        }
        Ok(())
    }

    /// Where a seed's descent begins: the backend's choice; else a point of the box; else a normal vector.
    fn start(&mut self, seed: u64) -> Result<Vec<f64>> {
        if let Some(start) = self.oracle.loss().start(seed)? {
            return Ok(start);
        }
        let p = self.oracle.params();
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut unit = || (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        Ok(match self.oracle.loss().bounds()? {
            Some(b) => b.lower.iter().zip(&b.upper).map(|(low, high)| low + (high - low) * unit()).collect(),
            // Twelve uniforms make a normal of variance 1 (the central limit, exact in mean and variance).
            None => (0..p).map(|_| (0..12).map(|_| unit()).sum::<f64>() - 6.0).collect(),
        })
    }

    fn keep_start(&mut self, seed: u64, quenched: Quenched) -> Result<()> {
        match quenched.descent {
            Descent::NotFinite => self.progress.note(&format!("start {seed}: the loss is not finite there; skipped")),
            Descent::Escaped => {
                self.progress.note(&format!("start {seed}: descent left the domain; it decides no bar"))
            }
            Descent::Unconverged => {
                let norm = quenched.evidence.gradient_norm;
                self.progress.note(&format!("start {seed}: not converged, gradient norm {norm:.1e}; kept and flagged"));
            }
            Descent::Converged => {}
        }
        let origin = Origin::Start { seed };
        let minimum = self.minimum(quenched, origin.clone(), self.landscape.next_cell())?;
        let tally = self.count("minima");
        let known = self.landscape.minima.iter_mut().find(|m| Some(m.cell) == minimum.same_as && !m.is_sampled());
        if let Some(station) = known {
            // A way-station that a start leads to after all (only a resumed run can see it) is a sampled minimum.
            station.origin = origin;
            return self.journal.commit(&[Finding::Minimum(station), Finding::Evaluations("minima", tally)]);
        }
        self.journal.commit(&[Finding::Minimum(&minimum), Finding::Evaluations("minima", tally)])?;
        self.landscape.minima.push(minimum);
        Ok(())
    }

    fn minimum(&mut self, quenched: Quenched, origin: Origin, cell: CellId) -> Result<Minimum> {
        let Quenched { theta, loss, descent, evidence, evaluations } = quenched;
        let stands = matches!(descent, Descent::Converged | Descent::Unconverged);
        let same_as = if stands { self.same(loss, &theta)? } else { None };
        let metrics = if stands { self.metrics(&theta)? } else { Vec::new() };
        Ok(Minimum { cell, origin, descent, theta, loss, evidence, same_as, metrics, evaluations })
    }

    fn metrics(&mut self, theta: &[f64]) -> Result<Vec<(String, f64)>> {
        let mut all = Vec::new();
        for (split, name) in [(Split::Train, "train"), (Split::Test, "test")] {
            let names = self.oracle.loss().metric_names(split)?;
            if !names.is_empty() {
                let values = self.oracle.loss().metrics(split, theta)?;
                all.extend(names.iter().zip(values).map(|(metric, value)| (format!("{name} {metric}"), value)));
            }
        }
        Ok(all)
    }

    /// The known minimum that a point is a copy of.
    fn same(&mut self, loss: f64, theta: &[f64]) -> Result<Option<CellId>> {
        let Identify { loss: near, distance, rise } = self.plan.identify;
        let noise = 2.0 * self.oracle.noise();
        let candidates: Vec<usize> = (0..self.landscape.minima.len())
            .filter(|&i| {
                let other = &self.landscape.minima[i];
                other.counts() && (other.loss - loss).abs() <= noise.max(near * loss.abs().max(1.0))
            })
            .collect();
        for i in candidates {
            let other = &self.landscape.minima[i];
            let copy = self.alignment.nearest(&other.theta, theta);
            let (cell, height) = (other.cell, other.loss.max(loss));
            let line = Polyline::straight(&other.theta, &copy);
            if line.length() < distance {
                return Ok(Some(cell));
            }
            let measured = measure(self.oracle, &line, Care { samples: 15, precision: 1e-2 })?;
            if measured.height - height < noise.max(rise * loss.abs().max(1.0)) {
                return Ok(Some(cell));
            }
        }
        Ok(None)
    }

    /// What repeating an evaluation changes, where the backend does not say; and at least the values' rounding.
    fn measure_noise(&mut self) -> Result<()> {
        let Some(best) = self.landscape.minima.iter().find(|m| m.counts()) else { return Ok(()) };
        let (theta, loss) = (best.theta.clone(), best.loss);
        if self.oracle.noise() == 0.0 && !self.oracle.info().caps.repeatable {
            let mut values = Vec::new();
            for _ in 0..8 {
                values.extend(self.oracle.values(&theta)?);
            }
            let (low, high) = values.iter().fold((loss, loss), |(low, high), &v| (v.min(low), v.max(high)));
            self.oracle.set_noise(high - low);
        }
        let rounding = match self.oracle.info().dtype {
            Dtype::F64 => f64::EPSILON,
            Dtype::F32 => f64::from(f32::EPSILON),
        };
        let noise = self.oracle.noise().max(8.0 * rounding * loss.abs());
        self.oracle.set_noise(noise);
        Ok(())
    }

    // ---- paths ----

    fn paths(&mut self) -> Result<()> {
        self.measure_noise()?;
        self.straight_lines(|minimum| minimum.is_sampled())?;
        while let Some(id) = self.next_path() {
            self.work_on(id)?;
        }
        Ok(())
    }

    /// Straight lines between minima that have none yet, one commit each.
    fn straight_lines(&mut self, among: fn(&Minimum) -> bool) -> Result<()> {
        let minima: Vec<&Minimum> = self.landscape.minima.iter().filter(|m| m.counts() && among(m)).collect();
        let pairs = connect::pairs(&minima, &self.alignment, self.plan.schedule.neighbours);
        let wanted: Vec<(CellId, CellId)> = pairs.into_iter().map(|(i, j)| (minima[i].cell, minima[j].cell)).collect();
        let total = wanted.len() as u64;
        for (k, (a, b)) in wanted.into_iter().enumerate() {
            if self.joined(a, b) {
                continue;
            }
            self.progress.at("lines", k as u64, total, "");
            let (Some(a), Some(b)) = (self.landscape.minimum(a), self.landscape.minimum(b)) else { continue };
            let ids = Ids { path: self.landscape.paths.len() as PathId, cell: self.landscape.next_cell() };
            let path = connect::straight(self.oracle, a, b, &self.alignment, ids)?;
            let tally = self.count("paths");
            self.journal.commit(&[Finding::Path(&path), Finding::Evaluations("paths", tally)])?;
            self.landscape.paths.push(path);
        }
        Ok(())
    }

    fn joined(&self, a: CellId, b: CellId) -> bool {
        self.landscape.paths.iter().any(|p| p.ends == (a, b) || p.ends == (b, a))
    }

    /// The path to work on: the highest one that decides a sampled minimum's bar and is not settled; when all are,
    /// the lowest alternative to a deciding path that nobody has tried.
    fn next_path(&mut self) -> Option<PathId> {
        let tree = tree(&self.landscape);
        let open = |p: &Path| p.state != PathState::Converged && p.visits < self.plan.schedule.visits;
        let targets: Vec<usize> =
            (0..tree.merges.len()).rev().filter(|&k| tree.minima[tree.merges[k].dead].is_sampled()).collect();
        let path_of = |k: usize| tree.paths[tree.merges[k].edge];
        let settled = targets.iter().filter(|&&k| !open(path_of(k))).count();
        let deciding = targets.iter().map(|&k| path_of(k)).find(|p| open(p));
        let next = deciding.or_else(|| targets.iter().find_map(|&k| self.alternative(&tree, k)));
        let detail = next.map_or(String::new(), |p| format!("path {} of height {:.6e}", p.id, p.pass.height));
        self.progress.at("paths", settled as u64, targets.len() as u64, &detail);
        next.map(|p| p.id)
    }

    /// The lowest path that leaves the component a merge ends and has not had its coarse visits, unless enough have.
    fn alternative<'t>(&self, tree: &Tree<'t>, merge: usize) -> Option<&'t Path> {
        let coarse = self.plan.schedule.knots.len() as u32 - 1;
        let tried = |p: &Path| p.visits >= coarse || p.state == PathState::Converged;
        let deciding = tree.paths[tree.merges[merge].edge].id;
        let leaving: Vec<&Path> = tree.leaving(merge).into_iter().filter(|p| p.id != deciding).collect();
        if leaving.iter().filter(|p| tried(p)).count() >= self.plan.alternatives {
            return None;
        }
        leaving
            .into_iter()
            .filter(|p| !tried(p) && p.pass.height.is_finite())
            .min_by(|a, b| by_value((a.pass.height, a.id), (b.pass.height, b.id)))
    }

    /// One visit and all that follows from it, in one commit.
    fn work_on(&mut self, id: PathId) -> Result<()> {
        let Some(at) = self.landscape.paths.iter().position(|p| p.id == id) else {
            return Err(Error::Internal(format!("path {id} is not in the landscape")));
        };
        let mut path = connect::visit(self.oracle, &self.landscape.paths[at], &self.plan.schedule)?;
        let (mut minima, cuts) = self.cuts(&path)?;
        let cell = self.landscape.next_cell() + minima.len() as u64;
        let first = Ids { path: self.landscape.paths.len() as PathId, cell };
        let mut new = connect::pieces(self.oracle, &path, &cuts, &self.plan.schedule, first)?;
        // Pieces may bring back a pair that was split before: it goes on from there, so that splitting ends.
        for piece in &mut new {
            let same = |p: &&Path| p.ends == piece.ends || p.ends == (piece.ends.1, piece.ends.0);
            let split = self.landscape.paths.iter().filter(|p| p.state == PathState::Split).filter(same);
            piece.visits = split.map(|p| p.visits).fold(piece.visits, u32::max);
        }
        // The way down from a valley is measured as a straight line; one that climbs higher must not raise a death.
        let bound = path.pass.height + path.pass.error;
        if !new.is_empty() && new.iter().all(|piece| piece.pass.height <= bound + piece.pass.error) {
            path.state = PathState::Split;
        } else {
            new.clear();
            if self.is_ripe(&path) {
                path = self.over_saddle(path, &mut minima)?;
            }
        }
        self.shortcuts(&minima, &mut new)?;
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

    /// True when the top of a path may be close enough to a saddle: at once after the whole path was relaxed, and then
    /// ever more rarely, for every search that fails costs some Hessians.
    fn is_ripe(&self, path: &Path) -> bool {
        let zooms = (path.visits as usize).checked_sub(self.plan.schedule.knots.len());
        path.state == PathState::Converged || matches!(zooms, Some(0 | 2 | 5))
    }

    /// The path led over the true saddle at its top, if one is found there that both descents confirm; else the path,
    /// with the reason.
    fn over_saddle(&mut self, mut path: Path, minima: &mut Vec<Minimum>) -> Result<Path> {
        let reach = connect::reach(&path);
        let found = match saddle::refine(self.oracle, &path.pass.theta, reach)? {
            Ok(found) if found.loss > path.pass.height + path.pass.error => Err("the saddle found lies higher".into()),
            other => other,
        };
        let led = match &found {
            Ok(saddle) => saddle::lead_over(self.oracle, &path, saddle)?,
            Err(_) => None,
        };
        let (saddle, mut led) = match (found, led) {
            (Ok(saddle), Some(led)) => (saddle, led),
            (found, _) => {
                let reason = found.err().unwrap_or_else(|| "the path does not stay below the saddle found".into());
                path.pass.reason = Some(reason);
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
                led.pass.reason = Some(match cells[..] {
                    [p, _] => format!("a saddle, but both descents from it end in minimum {p}"),
                    _ => "a saddle, but a descent from it did not converge".to_owned(),
                });
            }
        }
        Ok(led)
    }

    /// A minimum at the foot of a saddle that was not known: checked, and numbered after the new ones so far.
    fn new_end(&mut self, end: Quenched, path: PathId, minima: &mut Vec<Minimum>) -> Result<Option<CellId>> {
        let twin = self.twin(minima, end.loss, &end.theta);
        if twin.is_some() {
            return Ok(twin);
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

    /// The one of some new minima that a point is a copy of.
    fn twin(&self, minima: &[Minimum], loss: f64, theta: &[f64]) -> Option<CellId> {
        let Identify { loss: near, distance, .. } = self.plan.identify;
        let near = (near * loss.abs().max(1.0)).max(2.0 * self.oracle.noise());
        let same = |m: &&Minimum| (m.loss - loss).abs() <= near && self.alignment.distance(&m.theta, theta) < distance;
        minima.iter().find(same).map(|m| m.cell)
    }

    /// Quenches the valleys of a path: new minima, and where the path is to be cut.
    fn cuts(&mut self, path: &Path) -> Result<(Vec<Minimum>, Vec<Cut>)> {
        let stations = self.landscape.minima.iter().filter(|m| !m.is_sampled()).count();
        let arcs =
            if stations < self.plan.way_stations { connect::valleys(path, self.oracle.noise()) } else { Vec::new() };
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
            let cell = minimum.same_as.or_else(|| self.twin(&minima, minimum.loss, &theta));
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

    /// The minimum that a cell stands for.
    fn own(&self, cell: CellId) -> CellId {
        self.landscape.minimum(cell).and_then(|m| m.same_as).unwrap_or(cell)
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
                let met = |p: &Path| p.ends == (other.cell, minimum.cell) || p.ends == (minimum.cell, other.cell);
                if new.iter().any(met) {
                    continue;
                }
                let ids = Ids {
                    path: (self.landscape.paths.len() + new.len()) as PathId,
                    cell: self.landscape.next_cell() + (minima.len() + new.len()) as u64,
                };
                new.push(connect::straight(self.oracle, other, minimum, &self.alignment, ids)?);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::closed_form::{ClosedForm, mueller_brown, three_hump_camel};
    use crate::run::{Cancel, Silent};
    use crate::search::Unrecorded;

    fn bars(
        params: usize,
        range: [f64; 2],
        f: fn(&[f64], &mut [f64]) -> f64,
        plan: &Plan,
    ) -> (Vec<(f64, Option<f64>)>, Landscape) {
        let mut loss = ClosedForm::new(params, Some(range), f);
        let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
        let found = explore(&mut oracle, plan, Landscape::default(), &mut Unrecorded, &mut Silent).unwrap();
        assert_eq!(found.ended, Ended::Complete);
        let barcode = tree(&found.landscape).barcode(found.noise);
        (barcode.bars.iter().map(|b| (b.birth, b.death)).collect(), found.landscape)
    }

    fn close(found: &[(f64, Option<f64>)], known: &[(f64, Option<f64>)], tolerance: f64) {
        assert_eq!(found.len(), known.len(), "{found:?}");
        for (a, b) in found.iter().zip(known) {
            assert!((a.0 - b.0).abs() < tolerance, "{found:?}");
            assert_eq!(a.1.is_some(), b.1.is_some(), "{found:?}");
            assert!((a.1.unwrap_or(0.0) - b.1.unwrap_or(0.0)).abs() < tolerance, "{found:?}");
        }
    }

    #[test]
    fn the_three_hump_camel_has_its_known_barcode() {
        let plan = Plan { starts: 24, ..Plan::default() };
        let (found, landscape) = bars(2, [-2.5, 2.5], three_hump_camel, &plan);
        eprintln!("{found:?} {:?}", landscape.evaluations);
        let pass = Some(0.8773615578);
        close(&found, &[(0.0, None), (0.2986384422, pass), (0.2986384422, pass)], 1e-6);
    }

    #[test]
    fn mueller_brown_has_its_known_barcode() {
        let plan = Plan { starts: 24, ..Plan::default() };
        let (found, landscape) = bars(2, [-1.5, 2.0], mueller_brown, &plan);
        for p in landscape.paths.iter() {
            eprintln!(
                "{:?} {:?} {} {} {} v{}",
                p.ends,
                p.state,
                p.pass.height,
                p.pass.error,
                p.profile.arc.len(),
                p.visits
            );
        }
        eprintln!("{found:?} {:?}", landscape.evaluations);
        let known = [(-146.6995, None), (-108.1667, Some(-40.6648)), (-80.7678, Some(-72.2489))];
        close(&found, &known, 1e-4); // The digits known.
    }
}
