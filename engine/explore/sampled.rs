//! A sampled loss: its values, computed in batches and kept as they come, and the barcode of what they span.
//!
//! Which sample has which parameters depends on the plan, the loss and the minima alone, and samples do not see each
//! other: values that are kept are never computed again, wherever a run was stopped.

use super::{Explorer, cloud, grid};
use crate::error::{Error, Result};
use crate::machine::pool::Pool;
use crate::persistence::Barcode;
use crate::report::number::{count, counted};
use crate::search::Finding;
use std::time::{Duration, Instant};

/// The most rows of a batch, and the most numbers in it: the budget is looked at between batches.
const ROWS: usize = 1024;
const NUMBERS: usize = 1 << 20;
/// Values are kept when there are so many new ones, or after so long.
const KEPT: usize = 1 << 16;
const LONGEST: Duration = Duration::from_secs(1);

/// A loss with a value at every sample.
pub struct Sampled {
    complex: Complex,
    /// +inf where the loss is not finite.
    values: Vec<f64>,
    /// What a reader should know, a sentence each.
    pub notes: Vec<String>,
}

/// What the samples span.
pub(super) enum Complex {
    Grid(grid::Axes),
    Cloud(cloud::Points),
}

impl Sampled {
    /// The barcode, its cells with their parameters. The same for any number of threads.
    pub fn barcode(self, pool: &Pool) -> Result<Barcode> {
        match self.complex {
            Complex::Grid(axes) => axes.barcode(self.values, pool),
            Complex::Cloud(points) => points.barcode(self.values, pool),
        }
    }
}

impl Explorer<'_, '_> {
    /// Computes the values of samples `0..total` that are not known yet; `point` appends the parameters of one. What was
    /// computed is kept also when this is stopped.
    pub(super) fn values(
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
        let tally = self.count(stage);
        let values = &self.landscape.values[kept..];
        if !values.is_empty() {
            self.journal.commit(&[Finding::Values(kept as u64, values), Finding::Evaluations(stage, tally)])?;
        }
        Ok(self.landscape.values.len())
    }

    /// Hands the finished values over to what they span.
    pub(super) fn sample(&mut self, complex: Complex, mut notes: Vec<String>) -> Result<()> {
        let mut values = std::mem::take(&mut self.landscape.values);
        let mut walls = 0;
        for value in values.iter_mut().filter(|value| !value.is_finite()) {
            *value = f64::INFINITY;
            walls += 1;
        }
        let total = values.len();
        if walls == total {
            return Err(Error::Numeric(format!("the loss is finite at none of the {} samples", count(total as u64))));
        }
        if walls > 0 {
            let samples = counted(walls as u64, "sample", "samples");
            notes.push(format!("Where the loss is not finite, at {samples}, it counts as in no sublevel set."));
        }
        self.sampled = Some(Sampled { complex, values, notes });
        Ok(())
    }
}

/// An interval in six digits.
pub(super) fn interval(ends: [f64; 2]) -> String {
    let [low, high] = ends.map(|x| format!("{x:.5e}").parse().unwrap_or(x));
    format!("[{low}, {high}]")
}

/// Refuses what needs more memory than there is, instead of being killed for it half-way.
pub(super) fn fits(bytes: u64, what: &str) -> Result<()> {
    let short = |shortage| Error::Argument(format!("[complex] {what} {shortage}: take fewer"));
    crate::machine::memory::afford(Some(bytes)).map_err(short)
}
