//! The stage of minima where a walk hops from one to the next.
//!
//! Hop k has the seed of start k, the first is that start itself. Where the walk stands follows from the ends of all hops
//! before, so a resumed run goes on as the uninterrupted one.

use super::explorer::Explorer;
use super::progress::Doing;
use crate::error::Result;
use crate::search::hop::{Hop, Pace};
use crate::search::quench::quench;
use crate::search::start::start;
use crate::search::{Descent, Minimum, Origin, Stage};

impl Explorer<'_, '_> {
    /// The stage of minima: one walk of as many hops as there are starts.
    pub(super) fn hops(&mut self, hop: &Hop) -> Result<()> {
        let total = self.plan.starts;
        let mut pace = Pace::new(*hop, self.domain.length(), self.oracle.params());
        let mut stands: Option<(f64, Vec<f64>)> = None;
        for (done, seed) in (0..).zip(self.plan.seed..self.plan.seed + total) {
            let draw = stands.as_ref().map(|(_, theta)| pace.draw(theta, seed));
            if self.hopped(seed).is_none() {
                let from = match &draw {
                    Some(draw) => draw.shaken.clone(),
                    None => start(self.oracle.loss(), seed)?,
                };
                let progress = &mut *self.progress;
                let (ends, stop) = quench(self.oracle, vec![from], &self.plan.recipe, &self.domain, |_, slowest| {
                    progress.at(Stage::Minima, done, total, Doing::Hop { hop: done, gradient_norm: slowest });
                });
                stop?;
                for end in ends.into_iter().flatten() {
                    self.keep_end(Origin::Start { seed }, end, Vec::new())?;
                }
            }
            let end = self.hopped(seed).filter(|end| end.descent == Descent::Converged);
            if draw.is_some() {
                pace.landed(end.is_some_and(|end| end.same_as.is_some()));
            }
            let Some(end) = end else { continue };
            let goes_on = match (&stands, draw) {
                (Some((from, _)), Some(draw)) => pace.accepts(*from, end.loss, draw.chance),
                _ => true,
            };
            if goes_on {
                stands = Some((end.loss, end.theta.clone()));
            }
        }
        Ok(())
    }

    /// What the hop of a seed came to, if it was made.
    fn hopped(&self, seed: u64) -> Option<&Minimum> {
        self.landscape.minima.iter().find(|m| m.seed() == Some(seed))
    }
}
