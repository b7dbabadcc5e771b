//! Points that are minima already, or nearly so: trained here by a recipe, or elsewhere by the user.
//!
//! Each is looked at where it stands, and flagged unless its gradient is small; or, if the plan says so, it is
//! descended from by the recipe `polish`, and what it was before that is kept beside. One after the other: the end of
//! each depends on itself alone, and a resumed run goes on behind the last one that ended.

use super::explorer::Explorer;
use super::plan::Way;
use super::progress::{Doing, Notice};
use crate::error::{Error, Result};
use crate::search::minima::{Quenched, Recipe};
use crate::search::quench::quench;
use crate::search::spectrum::{self, NoSpectrum};
use crate::search::start::start;
use crate::search::training::{Trained, train};
use crate::search::vector::norm;
use crate::search::{Descent, Evidence, Finding, Metric, Minimum, Origin, Stage};

impl Explorer<'_, '_> {
    /// The stage of minima, where they are given or trained.
    pub(super) fn trained(&mut self) -> Result<()> {
        let plan = self.plan;
        let origins: Vec<Origin> = match &plan.way {
            Way::Given(points) => {
                (0..).zip(points).map(|(index, given)| Origin::Given { index, name: given.name.clone() }).collect()
            }
            _ => (plan.seed..plan.seed + plan.starts).map(|seed| Origin::Start { seed }).collect(),
        };
        let total = origins.len() as u64;
        for (done, origin) in (0..).zip(origins) {
            if !self.landscape.minima.iter().any(|m| m.origin == origin) {
                let (quenched, mut beside) = self.ended(&origin, done, total)?;
                if let Origin::Given { index, .. } = origin {
                    beside.extend(plan.given().get(index as usize).into_iter().flat_map(|g| g.metrics.clone()));
                }
                self.keep_end(origin.clone(), quenched, beside)?;
            }
            self.look_closer(&origin)?;
        }
        Ok(())
    }

    /// Takes the spectrum of a critical point that was left as it is. It is kept before that: of a large network the
    /// spectrum takes long.
    fn look_closer(&mut self, origin: &Origin) -> Result<()> {
        let is_bare = |m: &Minimum| m.descent == Descent::Converged && m.evidence.spectrum.is_none();
        let found = self.landscape.minima.iter().position(|m| m.origin == *origin && is_bare(m));
        let Some(at) = found.filter(|_| !self.plan.polish && self.plan.recipe.check) else { return Ok(()) };
        let mut minimum = self.landscape.minima[at].clone();
        let gradient_norm = minimum.evidence.gradient_norm;
        match spectrum::lowest(self.oracle, &minimum.theta, self.domain.tangents(), None)? {
            Err(NoSpectrum::NotBuilt) => return Ok(()),
            Err(_) => minimum.descent = Descent::Unconverged,
            Ok(lowest) => {
                if lowest.index() > 0 {
                    minimum.descent = Descent::Unconverged;
                }
                minimum.evidence = lowest.evidence(gradient_norm);
            }
        }
        self.progress.note(Notice::Ended { origin, descent: minimum.descent, gradient_norm });
        let tally = self.count(Stage::Minima);
        self.journal.commit(&[Finding::Minimum(&minimum), Finding::Evaluations(Stage::Minima, tally)])?;
        self.landscape.minima[at] = minimum;
        Ok(())
    }

    /// Whether a point was taken as it is that is no minimum. The barcode asked for is then that of such points: a
    /// minimum met on the way would swallow every one of them that it lies below, at no climb.
    pub(super) fn some_are_above_their_minima(&self) -> bool {
        let flagged = |m: &Minimum| m.is_sampled() && m.counts() && m.descent == Descent::Unconverged;
        self.plan.leaves_points_as_they_are() && self.landscape.minima.iter().any(flagged)
    }

    /// What a point comes to, and its loss and gradient norm before it was polished.
    fn ended(&mut self, origin: &Origin, done: u64, total: u64) -> Result<(Quenched, Vec<(Metric, f64)>)> {
        let trained = match (origin, &self.plan.way) {
            (Origin::Given { index, .. }, Way::Given(points)) => {
                let given = points.get(*index as usize);
                let theta = given.map(|given| given.theta.clone()).unwrap_or_default();
                Trained { theta, is_finite: true, epochs: 0 }
            }
            (Origin::Start { seed }, Way::Training(training)) => {
                let (theta, epochs, progress) =
                    (start(self.oracle.loss(), *seed)?, training.epochs, &mut *self.progress);
                train(self.oracle, theta, training, *seed, |epoch, mean| {
                    let doing = Doing::Training { seed: *seed, epoch, epochs, mean_loss: mean };
                    progress.at(Stage::Minima, done, total, doing);
                })?
            }
            _ => return Err(Error::Internal(format!("{origin:?} is neither given nor trained"))),
        };
        if !trained.is_finite {
            let evidence = Evidence { gradient_norm: f64::INFINITY, ..Evidence::default() };
            let (theta, evaluations) = (trained.theta, trained.epochs);
            let descent = Descent::NotFinite;
            return Ok((
                Quenched { theta, loss: f64::NAN, descent, evidence, evaluations, trail: Vec::new() },
                Vec::new(),
            ));
        }
        let (mut recipe, mut before) = (Recipe { check: false, ..self.plan.recipe.standing() }, Vec::new());
        if self.plan.polish {
            let (loss, gradient) = self.oracle.gradients(&trained.theta)?;
            before = vec![(Metric::LossBefore, loss[0]), (Metric::GradientBefore, norm(&gradient))];
            recipe = self.plan.recipe.staying();
        }
        let progress = &mut *self.progress;
        let (mut ends, stop) = quench(self.oracle, vec![trained.theta], &recipe, &self.domain, |ended, slowest| {
            progress.at(Stage::Minima, done + ended as u64, total, Doing::Descents { gradient_norm: slowest });
        });
        stop?;
        let Some(mut quenched) = ends.pop().flatten() else {
            return Err(Error::Internal("a descent ended without a result".to_owned()));
        };
        quenched.evaluations += trained.epochs + u64::from(self.plan.polish);
        Ok((quenched, before))
    }
}
