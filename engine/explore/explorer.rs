//! What every stage works on and with, and what a stage is.

use super::births::Births;
use super::known::Known;
use super::plan::Plan;
use super::progress::{Notice, Progress, Silent};
use crate::error::{Error, Result};
use crate::loss::Symmetry;
use crate::loss::lanes;
use crate::loss::oracle::{Oracle, Tally};
use crate::run::{Budget, Ended};
use crate::search::align::Alignment;
use crate::search::minima::{Domain, unit_of_length};
use crate::search::{Finding, Journal, Landscape, Pair, Stage, Unrecorded};
use std::borrow::Cow;
use std::ops::{Deref, DerefMut};

/// What is known: the explorer's own, or lent to one that only reads it.
pub struct Held<'a>(Cow<'a, Landscape>);

impl Held<'_> {
    pub fn into_own(self) -> Landscape {
        self.0.into_owned()
    }
}

impl Deref for Held<'_> {
    type Target = Landscape;

    fn deref(&self) -> &Landscape {
        &self.0
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Landscape {
        self.0.to_mut()
    }
}

/// An exploration under way.
pub struct Explorer<'a, 'b> {
    pub oracle: &'a mut Oracle<'b>,
    pub plan: &'a Plan,
    pub alignment: Alignment,
    pub domain: Domain,
    pub landscape: Held<'a>,
    /// Those of a sampled loss, as long as some are missing.
    pub values: Vec<f64>,
    /// What lies between given points.
    pub pairs: Vec<Pair>,
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
        let Known { landscape, values, pairs } = known;
        let landscape = Held(Cow::Owned(landscape));
        Ok(Explorer {
            oracle,
            plan,
            alignment,
            domain,
            landscape,
            values,
            pairs,
            births,
            curvature,
            ended,
            journal,
            progress,
        })
    }
}

impl Explorer<'_, '_> {
    /// Runs a stage and counts what it spent, also when it is stopped. `None` where the stage's own budget ended it.
    pub fn stage<T>(
        &mut self,
        stage: Stage,
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
        let tally = self.count(stage);
        self.journal.commit(&[Finding::Evaluations(stage, tally)])?;
        result
    }

    /// Does several things side by side, each as an explorer would that knows this landscape, keeps nothing and tells
    /// nobody; what came of each, in their order.
    pub fn side_by_side<W: Sync, T: Send>(
        &mut self,
        things: &[W],
        each: impl Fn(&mut Explorer<'_, '_>, &W) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        self.births.catch_up(&self.landscape.minima);
        let Explorer { oracle, plan, alignment, domain, landscape, births, curvature, .. } = self;
        let (known, curvature, each) = (&**landscape, *curvature, &each);
        let (plan, alignment, domain, births): (&Plan, &Alignment, &Domain, &Births) =
            (plan, alignment, domain, births);
        let lane = |thing| {
            move |oracle: &mut Oracle<'_>| {
                let (alignment, domain, births) = (alignment.clone(), domain.clone(), births.clone());
                let (landscape, ended) = (Held(Cow::Borrowed(known)), Ended::Complete);
                let (journal, progress) = (&mut Unrecorded, &mut Silent);
                let mut lane = Explorer {
                    oracle,
                    plan,
                    alignment,
                    domain,
                    landscape,
                    values: Vec::new(),
                    pairs: Vec::new(),
                    births,
                    curvature,
                    ended,
                    journal,
                    progress,
                };
                each(&mut lane, thing)
            }
        };
        lanes::side_by_side(oracle, things.iter().map(lane).collect())
    }

    /// Adds what was spent since the last count to a stage; returns the stage's total.
    pub fn count(&mut self, stage: Stage) -> Tally {
        self.landscape.spend(stage, self.oracle.take_tally())
    }
}
