//! The values of samples, computed in batches and kept as they come. Samples do not see each other: values that are kept
//! are never computed again, wherever a run was stopped.

use crate::error::{Error, Result};
use crate::loss::oracle::{Oracle, Tally};
use std::time::{Duration, Instant};

/// The most rows of a batch, and the most numbers in it: the budget is looked at between batches.
const ROWS: usize = 1024;
const NUMBERS: usize = 1 << 20;
/// Values are kept when there are so many new ones, or after so long.
const KEPT: usize = 1 << 16;
const LONGEST: Duration = Duration::from_secs(1);

/// Keeps new values, from a sample on, and what was spent on them.
pub type Keep<'a> = dyn FnMut(usize, &[f64], Tally) -> Result<()> + 'a;

/// Who computes values, and where they go.
pub struct Sampler<'a, 'b> {
    /// The loss.
    pub oracle: &'a mut Oracle<'b>,
    /// Those so far, in the order of the samples; NaN where the loss is not finite.
    pub values: &'a mut Vec<f64>,
    /// Who keeps them.
    pub keep: &'a mut Keep<'a>,
    /// Is told how many there are.
    pub tell: &'a mut dyn FnMut(usize),
}

impl Sampler<'_, '_> {
    /// Computes the values of samples `0..total` that are not known yet; `point` appends the parameters of one. What was
    /// computed is kept also when this is stopped.
    pub fn take(&mut self, total: usize, mut point: impl FnMut(usize, &mut Vec<f64>)) -> Result<()> {
        let mut kept = self.values.len();
        if kept > total {
            let text = format!("{kept} values are kept, and there are {total} samples: they are those of another plan");
            return Err(Error::Argument(text));
        }
        let rows = (NUMBERS / self.oracle.params()).clamp(1, ROWS);
        let (mut batch, mut since) = (Vec::new(), Instant::now());
        let result = loop {
            let next = self.values.len();
            (self.tell)(next);
            if next == total {
                break Ok(());
            }
            batch.clear();
            (next..total.min(next + rows)).for_each(|sample| point(sample, &mut batch));
            match self.oracle.values(&batch) {
                Ok(values) => self.values.extend(values),
                Err(stop) => break Err(stop),
            }
            if self.values.len() - kept >= KEPT || since.elapsed() >= LONGEST {
                kept = self.keep(kept)?;
                since = Instant::now();
            }
        };
        self.keep(kept)?;
        result
    }

    /// Keeps the values from `kept` on; returns how many are kept now.
    fn keep(&mut self, kept: usize) -> Result<usize> {
        let new = &self.values[kept..];
        if !new.is_empty() {
            (self.keep)(kept, new, self.oracle.take_tally())?;
        }
        Ok(self.values.len())
    }
}
