//! The loop over all stages: starts become minima, pairs become paths, paths break at new minima, and the merge tree
//! says which path decides a bar and is worked on next. Or the loss is sampled, on a grid or at points round its minima.
//!
//! What comes next depends on the landscape alone, so a resumed run goes on as the uninterrupted one would have. One
//! finding, with all that follows from it, is one commit.

#![forbid(unsafe_code)]

mod births;
mod cloud;
mod deciding;
mod grid;
mod minima;
mod paths;
mod sampled;
#[cfg(test)]
mod tests;
mod trained;

pub use cloud::CloudPlan;
pub use grid::GridPlan;
pub use sampled::Sampled;
pub use trained::Given;

use crate::error::{Error, Result};
use crate::loss::oracle::Oracle;
use crate::loss::{Loss, Symmetry};
pub use crate::run::Ended;
use crate::run::{Budget, Cancel, Progress};
use crate::search::align::Alignment;
use crate::search::connect::Schedule;
use crate::search::minima::{Domain, Recipe};
use crate::search::training::Training;
use crate::search::{Descent, Finding, Journal, Landscape, Minimum, Tally};
use births::Births;

/// What an exploration is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// How the landscape is explored.
    pub method: Method,
    /// The number of descents, from seeds `seed`, `seed + 1`, ...
    pub starts: u64,
    /// The seed of the first start.
    pub seed: u64,
    /// Points to begin with, instead of starts.
    pub given: Vec<Given>,
    /// How starts are trained, where it is not by `recipe` alone.
    pub training: Option<Training>,
    /// Whether what was given or trained is then descended from by `recipe`; else it is taken as it is.
    pub polish: bool,
    /// How a descent is made.
    pub recipe: Recipe,
    /// When two points count as one.
    pub identify: Identify,
    /// Descents that pass this distance from zero have escaped.
    pub radius: f64,
    /// Whether points are compared modulo the declared symmetries.
    pub align: bool,
    /// How paths are refined.
    pub schedule: Schedule,
    /// For every bar, so many paths beside the deciding one are relaxed too, in case one of them is lower.
    pub alternatives: usize,
    /// Once so many way-stations are known, paths are no longer broken at new ones: a rough loss has no end of them.
    pub way_stations: usize,
    /// The budget of the stage of minima.
    pub minima_budget: Budget,
    /// The budget of the stage of paths.
    pub paths_budget: Budget,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            method: Method::Paths,
            starts: 8,
            seed: 26,
            given: Vec::new(),
            training: None,
            polish: false,
            recipe: Recipe::POLISH,
            identify: Identify { loss: 1e-6 },
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

impl Plan {
    /// The oracle that the method needs, over `ids`: for a grid values are enough.
    pub fn oracle<'a>(
        &self,
        loss: &'a mut dyn Loss,
        ids: Option<&'a [u64]>,
        cancel: &Cancel,
        budget: Budget,
    ) -> Result<Oracle<'a>> {
        match self.method {
            Method::Grid(_) => Ok(Oracle::of_values(loss, ids, cancel, budget)),
            Method::Paths | Method::Cloud(_) => Oracle::new(loss, ids, cancel, budget),
        }
    }

    /// Refuses what does not fit a loss, before anything is computed of it.
    pub fn check(&self, loss: &dyn Loss) -> Result<()> {
        self.given.iter().try_for_each(|given| given.check(loss))?;
        let info = loss.info();
        if self.training.is_some() && (info.samples == 0 || !info.caps.minibatch) {
            let why = if info.samples == 0 { "has no samples" } else { "takes no lists of samples" };
            let text = format!("{why}, and a recipe of minibatches needs them: leave [minima] recipe out");
            return Err(Error::Unsupported { backend: info.backend.clone(), text });
        }
        match &self.method {
            Method::Paths => Ok(()),
            Method::Grid(grid) => grid::Axes::new(grid, self.seed, loss).map(drop),
            Method::Cloud(cloud) => cloud.check(loss),
        }
    }
}

/// Where the complex comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Method {
    /// Minima and the lowest passes that paths between them find, in the whole space.
    #[default]
    Paths,
    /// A grid over a box of few parameters.
    Grid(GridPlan),
    /// Points in a box round the minima, and the graph of their nearest neighbours.
    Cloud(CloudPlan),
}

impl Method {
    /// The name in a configuration.
    pub fn name(&self) -> &'static str {
        match self {
            Method::Paths => "paths",
            Method::Grid(_) => "grid",
            Method::Cloud(_) => "cloud",
        }
    }
}

/// When two minima are one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Identify {
    /// Losses further apart than this (times max(1, |loss|)) are not even compared. The rest is decided without any
    /// scale: two points are one minimum where the straight line between them, the nearest copies, does not rise.
    pub loss: f64,
}

/// What an exploration came to.
pub struct Explored {
    /// What was found.
    pub landscape: Landscape,
    /// Why it ended.
    pub ended: Ended,
    /// What two evaluations of one loss may differ by.
    pub noise: f64,
    /// Whether declared symmetries were used.
    pub aligned: bool,
    /// The loss on a grid or a cloud, when every value is there.
    pub sampled: Option<Sampled>,
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
    let births = Births::default();
    let mut explorer =
        Explorer { oracle, plan, alignment, domain, landscape: known, births, sampled: None, ended, journal, progress };
    match explorer.all() {
        Ok(()) => {}
        Err(Error::Cancelled) => explorer.ended = Ended::Cancelled,
        Err(Error::Budget(_)) => explorer.ended = Ended::Budget,
        Err(error) => return Err(error),
    }
    let Explorer { oracle, landscape, sampled, ended, .. } = explorer;
    Ok(Explored { landscape, ended, noise: oracle.noise(), aligned, sampled })
}

struct Explorer<'a, 'b> {
    oracle: &'a mut Oracle<'b>,
    plan: &'a Plan,
    alignment: Alignment,
    domain: Domain,
    landscape: Landscape,
    births: Births,
    sampled: Option<Sampled>,
    ended: Ended,
    journal: &'a mut dyn Journal,
    progress: &'a mut dyn Progress,
}

impl Explorer<'_, '_> {
    fn all(&mut self) -> Result<()> {
        if let Method::Grid(_) = self.plan.method {
            return self.stage("grid", Budget::default(), Self::grid);
        }
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
        match self.plan.method {
            // The box is that of all minima: without them there is none yet.
            Method::Cloud(_) if self.ended == Ended::Budget => Ok(()),
            Method::Cloud(_) => self.stage("cloud", Budget::default(), Self::cloud),
            _ => self.stage("paths", self.plan.paths_budget, Self::paths),
        }
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
}
