//! What every stage is given: the token that cancels and the budget; and how a run ended.

#![forbid(unsafe_code)]

use crate::error::{Error, Result};
use crate::spelled::spelled;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A token that cancels a run; clones share it. Firing is one atomic store: safe from any thread and any signal
/// handler.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks the run to stop at the next opportunity.
    pub fn fire(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// True once fired.
    pub fn fired(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The flag itself, for the host's `cancelled` slot.
    pub fn flag(&self) -> &AtomicBool {
        &self.0
    }
}

/// How much a run or a stage may spend.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Budget {
    /// Wall-clock time; results of a run that hits it are not reproducible.
    pub seconds: Option<f64>,
    /// Evaluations of loss, gradient or Hessian product, rows counted singly.
    pub evaluations: Option<u64>,
}

/// A budget being spent.
#[derive(Clone, Copy, Debug)]
pub struct Purse {
    budget: Budget,
    since: Instant,
    spent: u64,
}

impl Purse {
    /// Opens a budget now.
    pub fn new(budget: Budget) -> Purse {
        Purse { budget, since: Instant::now(), spent: 0 }
    }

    /// Counts evaluations about to be made; an error when nothing was left.
    pub fn spend(&mut self, evaluations: u64) -> Result<()> {
        if self.budget.evaluations.is_some_and(|most| self.spent >= most) {
            return Err(Error::Budget("evaluations"));
        }
        if self.budget.seconds.is_some_and(|most| self.since.elapsed().as_secs_f64() >= most) {
            return Err(Error::Budget("seconds"));
        }
        self.spent += evaluations;
        Ok(())
    }
}

spelled! {
    /// Why a run ended.
    pub enum Ended {
        /// Every bar's deciding path is settled, or every sample has its value.
        Complete = "complete",
        /// A budget was spent before; everything found by then is kept, and a resumed run goes on from there.
        Budget = "budget",
        /// The cancel token fired; likewise.
        Cancelled = "cancelled",
    }
}
