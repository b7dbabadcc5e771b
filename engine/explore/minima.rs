//! The stage of minima: every seed's descent, what it came to, and whether that was known already.

use super::Explorer;
use crate::error::Result;
use crate::loss::{Dtype, Loss, Split};
use crate::search::height::{Care, measure};
use crate::search::minima::{Quenched, quench};
use crate::search::polyline::Polyline;
use crate::search::{CellId, Descent, Finding, Minimum, Origin};
use rand::{Rng, SeedableRng};

/// Starts that descend together. Part of no result: rows do not see each other.
const ROUND: u64 = 8;

impl Explorer<'_, '_> {
    pub(super) fn minima(&mut self) -> Result<()> {
        if self.plan.training.is_some() || !self.plan.given.is_empty() {
            return self.trained();
        }
        let tried: Vec<u64> = self.landscape.minima.iter().filter_map(|m| m.seed()).collect();
        let seeds = self.plan.seed..self.plan.seed + self.plan.starts;
        let left: Vec<u64> = seeds.filter(|seed| !tried.contains(seed)).collect();
        for seeds in left.chunks(ROUND as usize) {
            let starts: Result<Vec<Vec<f64>>> = seeds.iter().map(|&seed| start(self.oracle.loss(), seed)).collect();
            let done = (self.plan.starts as usize - left.len()) as u64;
            let (progress, total) = (&mut *self.progress, self.plan.starts);
            let (found, stop) = quench(self.oracle, starts?, &self.plan.recipe, &self.domain, |ended, slowest| {
                progress.at("minima", done + ended as u64, total, &format!("gradient norm {slowest:.1e}"));
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
    pub(super) fn keep_end(&mut self, origin: Origin, quenched: Quenched, more: Vec<(String, f64)>) -> Result<()> {
        let from = match &origin {
            Origin::Start { seed } => format!("start {seed}"),
            Origin::Given { name, .. } => name.clone(),
            Origin::Transit { path } => format!("path {path}"),
        };
        let norm = quenched.evidence.gradient_norm;
        let note = match quenched.descent {
            Descent::NotFinite => Some("the loss is not finite there; skipped".to_owned()),
            Descent::Escaped => Some("descent left the domain; it decides no bar".to_owned()),
            Descent::Unconverged => Some(format!("not converged, gradient norm {norm:.1e}; kept and flagged")),
            Descent::Converged => None,
        };
        if let Some(note) = note {
            self.progress.note(&format!("{from}: {note}"));
        }
        let mut minimum = self.minimum(quenched, origin.clone(), self.landscape.next_cell())?;
        minimum.metrics.extend(more);
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

    pub(super) fn minimum(&mut self, quenched: Quenched, origin: Origin, cell: CellId) -> Result<Minimum> {
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
    pub(super) fn same(&mut self, loss: f64, theta: &[f64]) -> Result<Option<CellId>> {
        self.births.catch_up(&self.landscape.minima);
        for at in self.births.near(loss, self.nearness(loss)) {
            let other = &self.landscape.minima[at];
            let (way, cell) = (self.way(other, loss, theta), other.cell);
            if self.is_one(way)? {
                return Ok(Some(cell));
            }
        }
        Ok(None)
    }

    /// The one of some new minima that a point is a copy of.
    pub(super) fn twin(&mut self, minima: &[Minimum], loss: f64, theta: &[f64]) -> Result<Option<CellId>> {
        let near = self.nearness(loss);
        for other in minima.iter().filter(|m| (m.loss - loss).abs() <= near) {
            if self.is_one(self.way(other, loss, theta))? {
                return Ok(Some(other.cell));
            }
        }
        Ok(None)
    }

    /// Losses further apart are not even compared.
    fn nearness(&self, loss: f64) -> f64 {
        (2.0 * self.oracle.noise()).max(self.plan.identify.loss * loss.abs().max(1.0))
    }

    /// The straight way from a minimum to the nearest copy of a point, and the height that it must not rise above for
    /// them to be one; `None` where they are so near that it need not be looked at.
    fn way(&self, other: &Minimum, loss: f64, theta: &[f64]) -> Option<(Polyline, f64)> {
        let line = Polyline::straight(&other.theta, &self.alignment.nearest(&other.theta, theta));
        // A converged point lies within |g| / (lowest eigenvalue) of its minimum; two of them, ten times as far
        // apart at the most, are one.
        let lowest = other.evidence.eigenvalues.first().copied().filter(|value| *value > 0.0);
        let near = lowest.is_some_and(|lowest| line.length() <= 20.0 * self.plan.recipe.tolerance / lowest);
        (!near).then(|| (line, other.loss.max(loss)))
    }

    fn is_one(&mut self, way: Option<(Polyline, f64)>) -> Result<bool> {
        way.map_or(Ok(true), |(line, loss)| self.stays_below(&line, loss))
    }

    /// The flagged minimum that a lower point is the bottom of: the straight line down from it does not rise. Whoever
    /// takes points as they are takes them for their basins: the bottom is then no minimum beside them.
    pub(super) fn bottom_of(&mut self, loss: f64, theta: &[f64]) -> Result<Option<CellId>> {
        let flagged = |m: &&Minimum| m.counts() && m.is_sampled() && m.descent == Descent::Unconverged;
        let higher = self.landscape.minima.iter().filter(|m| flagged(m) && m.loss >= loss);
        let lines = higher.map(|m| (Polyline::straight(&m.theta, &self.alignment.nearest(&m.theta, theta)), m));
        let mut lines: Vec<(Polyline, f64, CellId)> = lines.map(|(line, m)| (line, m.loss, m.cell)).collect();
        lines.sort_by(|a, b| a.0.length().total_cmp(&b.0.length()).then(a.2.cmp(&b.2)));
        for (line, from, cell) in lines {
            if self.stays_below(&line, from)? {
                return Ok(Some(cell));
            }
        }
        Ok(None)
    }

    /// Whether a line rises above a loss by no more than noise, rounding and what a small gradient makes of its length.
    fn stays_below(&mut self, line: &Polyline, loss: f64) -> Result<bool> {
        // Values are as good as the largest that was added up to make them; that of the landscape stands for it.
        self.births.catch_up(&self.landscape.minima);
        let largest = self.births.largest.max(loss.abs());
        let rounding = (2.0 * self.oracle.noise()).max(64.0 * f64::EPSILON * largest);
        let measured = measure(self.oracle, line, Care { samples: 15, precision: 1e-2 })?;
        Ok(measured.height <= loss + rounding.max(self.plan.recipe.tolerance * line.length()))
    }

    /// What repeating an evaluation changes, where the backend does not say; and at least the values' rounding.
    pub(super) fn measure_noise(&mut self) -> Result<()> {
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
        // Who looks at a run that goes on, or was killed, has to know which bars count.
        self.journal.commit(&[Finding::Noise(noise)])
    }

    /// The minimum that a cell stands for.
    pub(super) fn own(&self, cell: CellId) -> CellId {
        self.landscape.minimum(cell).and_then(|m| m.same_as).unwrap_or(cell)
    }
}

/// Where a seed's descent begins: the backend's choice; else a point of the box; else a normal vector.
pub(super) fn start(loss: &dyn Loss, seed: u64) -> Result<Vec<f64>> {
    if let Some(start) = loss.start(seed)? {
        return Ok(start);
    }
    let mut unit = uniform(seed, 0);
    Ok(match loss.bounds()? {
        Some(b) => b.lower.iter().zip(&b.upper).map(|(low, high)| low + (high - low) * unit()).collect(),
        // Twelve uniforms make a normal of variance 1 (the central limit, exact in mean and variance).
        None => (0..loss.info().params).map(|_| (0..12).map(|_| unit()).sum::<f64>() - 6.0).collect(),
    })
}

/// Numbers from [0, 1), the same for the same seed and stream.
pub(super) fn uniform(seed: u64, stream: u64) -> impl FnMut() -> f64 {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(stream);
    move || (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}
