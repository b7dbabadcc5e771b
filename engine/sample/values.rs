//! The values of samples, computed in batches and kept as they come. Samples do not see each other: values that are kept
//! are never computed again, wherever a run was stopped.

use crate::error::{Error, Result};
use crate::loss::oracle::Oracle;
use crate::run::Progress;
use crate::search::{Finding, Journal, Landscape};
use std::time::{Duration, Instant};

/// The most rows of a batch, and the most numbers in it: the budget is looked at between batches.
const ROWS: usize = 1024;
const NUMBERS: usize = 1 << 20;
/// Values are kept when there are so many new ones, or after so long.
const KEPT: usize = 1 << 16;
const LONGEST: Duration = Duration::from_secs(1);

/// Who computes values, and where they go.
pub struct Sampler<'a, 'b> {
    /// The loss.
    pub oracle: &'a mut Oracle<'b>,
    /// Has the values so far.
    pub landscape: &'a mut Landscape,
    /// Where they are kept.
    pub journal: &'a mut dyn Journal,
    /// Who is told.
    pub progress: &'a mut dyn Progress,
}

impl Sampler<'_, '_> {
    /// Computes the values of samples `0..total` that are not known yet; `point` appends the parameters of one. What was
    /// computed is kept also when this is stopped.
    pub fn values(
        &mut self,
        stage: &'static str,
        total: usize,
        mut point: impl FnMut(usize, &mut Vec<f64>),
    ) -> Result<()> {
        let mut kept = self.landscape.values.len();
        if kept > total {
            let text = format!("{kept} values are kept of {total} samples: begin again with --force");
            return Err(Error::Argument(text));
        }
        let rows = (NUMBERS / self.oracle.params()).clamp(1, ROWS);
        let (mut batch, mut since) = (Vec::new(), Instant::now());
        let result = loop {
            let next = self.landscape.values.len();
            self.progress.at(stage, next as u64, total as u64, "");
            if next == total {
                break Ok(());
            }
            batch.clear();
            (next..total.min(next + rows)).for_each(|sample| point(sample, &mut batch));
            match self.oracle.values(&batch) {
                Ok(values) => self.landscape.values.extend(values),
                Err(stop) => break Err(stop),
            }
            if self.landscape.values.len() - kept >= KEPT || since.elapsed() >= LONGEST {
                kept = self.keep(stage, kept)?;
                since = Instant::now();
            }
        };
        self.keep(stage, kept)?;
        result
    }

    /// Commits the values from `kept` on; returns how many are kept now.
    fn keep(&mut self, stage: &str, kept: usize) -> Result<usize> {
        let tally = self.landscape.spend(stage, self.oracle.take_tally());
        let values = &self.landscape.values[kept..];
        if !values.is_empty() {
            self.journal.commit(&[Finding::Values(kept as u64, values), Finding::Evaluations(stage, tally)])?;
        }
        Ok(self.landscape.values.len())
    }
}
