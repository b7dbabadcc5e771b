//! The stage of minima: every seed's descent, and how what a descent came to is kept.

use super::explorer::Explorer;
use super::progress::{Doing, Notice};
use crate::error::Result;
use crate::loss::oracle::Oracle;
use crate::search::minima::Quenched;
use crate::search::quench::quench;
use crate::search::start::start;
use crate::search::{CellId, Descent, Evidence, Finding, Metric, Minimum, Origin, PARTS, Stage};

/// Starts that descend together. Part of no result: rows do not see each other.
const ROUND: u64 = 8;

impl Explorer<'_, '_> {
    /// Descends from every seed that was not tried yet.
    pub(super) fn descents(&mut self) -> Result<()> {
        let tried: Vec<u64> = self.landscape.minima.iter().filter_map(|m| m.seed()).collect();
        let seeds = self.plan.seed..self.plan.seed + self.plan.starts;
        let left: Vec<u64> = seeds.filter(|seed| !tried.contains(seed)).collect();
        for seeds in left.chunks(ROUND as usize) {
            let starts: Result<Vec<Vec<f64>>> = seeds.iter().map(|&seed| start(self.oracle.loss(), seed)).collect();
            let done = (self.plan.starts as usize - left.len()) as u64;
            let (progress, total) = (&mut *self.progress, self.plan.starts);
            let (found, stop) = quench(self.oracle, starts?, &self.plan.recipe, &self.domain, |ended, slowest| {
                progress.at(Stage::Minima, done + ended as u64, total, Doing::Descents { gradient_norm: slowest });
            });
            for (&seed, quenched) in seeds.iter().zip(found) {
                // What ended out of turn is left for the resumed run, so that cells are numbered as without the stop.
                let Some(quenched) = quenched else { break };
                self.keep_end(Origin::Start { seed }, quenched, Vec::new())?;
            }
            stop?;
        }
        Ok(())
    }

    /// Keeps what a descent came to, with metrics beside the loss's own.
    pub(super) fn keep_end(&mut self, origin: Origin, quenched: Quenched, more: Vec<(Metric, f64)>) -> Result<()> {
        let Quenched { descent, evidence: Evidence { gradient_norm, .. }, .. } = quenched;
        self.progress.note(Notice::Ended { origin: &origin, descent, gradient_norm });
        let mut minimum = self.minimum(quenched, origin.clone(), self.landscape.next_cell())?;
        minimum.metrics.extend(more);
        let tally = self.count(Stage::Minima);
        let known = self.landscape.minima.iter_mut().find(|m| Some(m.cell) == minimum.same_as && !m.is_sampled());
        if let Some(station) = known {
            // A way-station that a start leads to after all (only a resumed run can see it) is a sampled minimum.
            station.origin = origin;
            return self.journal.commit(&[Finding::Minimum(station), Finding::Evaluations(Stage::Minima, tally)]);
        }
        self.journal.commit(&[Finding::Minimum(&minimum), Finding::Evaluations(Stage::Minima, tally)])?;
        self.landscape.minima.push(minimum);
        Ok(())
    }

    /// What a descent came to, with its metrics, and whether it was known already.
    pub(super) fn minimum(&mut self, quenched: Quenched, origin: Origin, cell: CellId) -> Result<Minimum> {
        let Quenched { mut theta, loss, descent, evidence, evaluations, trail: _ } = quenched;
        self.oracle.round(&mut theta);
        let stands = matches!(descent, Descent::Converged | Descent::Unconverged);
        let same_as = if stands { self.same(loss, &theta)? } else { None };
        let metrics = if stands { self.metrics(&theta)? } else { Vec::new() };
        Ok(Minimum { cell, origin, descent, theta, loss, evidence, same_as, metrics, evaluations })
    }

    pub(super) fn metrics(&mut self, theta: &[f64]) -> Result<Vec<(Metric, f64)>> {
        metrics(self.oracle, theta)
    }
}

/// The loss's own metrics at a point, those of the train part first.
pub(super) fn metrics(oracle: &mut Oracle<'_>, theta: &[f64]) -> Result<Vec<(Metric, f64)>> {
    let mut all = Vec::new();
    for (split, _) in PARTS {
        let names = oracle.loss().metric_names(split)?;
        if !names.is_empty() {
            let values = oracle.loss().metrics(split, theta)?;
            all.extend(names.into_iter().zip(values).map(|(name, value)| (Metric::Of(split, name), value)));
        }
    }
    Ok(all)
}
