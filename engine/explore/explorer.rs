//! What every stage works on and with, and what a stage is.

use super::births::Births;
use super::known::Known;
use super::plan::Plan;
use super::progress::{Notice, Progress};
use crate::error::{Error, Result};
use crate::loss::Symmetry;
use crate::loss::oracle::{Oracle, Tally};
use crate::run::{Budget, Ended};
use crate::search::align::Alignment;
use crate::search::minima::{Domain, unit_of_length};
use crate::search::{Finding, Journal, Landscape};

/// An exploration under way.
pub struct Explorer<'a, 'b> {
    pub oracle: &'a mut Oracle<'b>,
    pub plan: &'a Plan,
    pub alignment: Alignment,
    pub domain: Domain,
    pub landscape: Landscape,
    /// Those of a sampled loss, as long as some are missing.
    pub values: Vec<f64>,
    pub births: Births,
    /// About the largest curvature at the first minimum, once there is one.
    pub curvature: Option<f64>,
    pub ended: Ended,
    pub journal: &'a mut dyn Journal,
    pub progress: &'a mut dyn Progress,
}

impl<'a, 'b> Explorer<'a, 'b> {
    /// Begins from what is known so far.
    pub fn new(
        oracle: &'a mut Oracle<'b>,
        plan: &'a Plan,
        known: Known,
        journal: &'a mut dyn Journal,
        progress: &'a mut dyn Progress,
    ) -> Result<Explorer<'a, 'b>> {
        let symmetries: Vec<Symmetry> = oracle.loss().symmetries()?;
        let bounds = oracle.loss().bounds()?;
        let alignment = plan.alignment(&symmetries);
        for kind in alignment.ignored() {
            progress.note(Notice::Ignored(kind));
        }
        let length = unit_of_length(oracle.loss());
        oracle.set_length(length);
        let domain = Domain::new(bounds, &symmetries, oracle.params(), plan.radius, length);
        let (births, curvature, ended) = (Births::default(), None, Ended::Complete);
        let Known { landscape, values } = known;
        Ok(Explorer { oracle, plan, alignment, domain, landscape, values, births, curvature, ended, journal, progress })
    }
}

impl Explorer<'_, '_> {
    /// Runs a stage and counts what it spent, also when it is stopped. `None` where the stage's own budget ended it.
    pub fn stage<T>(
        &mut self,
        name: &str,
        budget: Budget,
        body: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<Option<T>> {
        self.oracle.begin(budget);
        let result = match body(self) {
            // A stage's own budget ends the stage; the run's ends the run, at the next stage's first evaluation.
            Err(Error::Budget(_)) if budget != Budget::default() => {
                self.ended = Ended::Budget;
                Ok(None)
            }
            other => other.map(Some),
        };
        let tally = self.count(name);
        self.journal.commit(&[Finding::Evaluations(name, tally)])?;
        result
    }

    /// Adds what was spent since the last count to a stage; returns the stage's total.
    pub fn count(&mut self, stage: &str) -> Tally {
        self.landscape.spend(stage, self.oracle.take_tally())
    }
}
