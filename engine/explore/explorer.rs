//! What every stage works on and with, and what a stage is.

use super::births::Births;
use super::plan::Plan;
use crate::error::{Error, Result};
use crate::loss::oracle::{Oracle, Tally};
use crate::run::{Budget, Ended, Progress};
use crate::search::align::Alignment;
use crate::search::minima::Domain;
use crate::search::{Finding, Journal, Landscape};

/// An exploration under way.
pub struct Explorer<'a, 'b> {
    pub oracle: &'a mut Oracle<'b>,
    pub plan: &'a Plan,
    pub alignment: Alignment,
    pub domain: Domain,
    pub landscape: Landscape,
    pub births: Births,
    /// About the largest curvature at the first minimum, once there is one.
    pub curvature: Option<f64>,
    pub ended: Ended,
    pub journal: &'a mut dyn Journal,
    pub progress: &'a mut dyn Progress,
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
