//! A run as it was kept: what it found, of what, and what is said of the run itself.

use super::{Provenance, RunRecord};
use crate::search::Landscape;

/// All that a database says of a run, but for the values of samples.
#[derive(Clone, Debug)]
pub struct Kept {
    /// What was found.
    pub landscape: Landscape,
    /// Of what.
    pub provenance: Provenance,
    /// What is said of the run itself.
    pub record: RunRecord,
}

impl Kept {
    /// What two evaluations of one loss may differ by; 0 before it was measured.
    pub fn noise(&self) -> f64 {
        self.record.noise.unwrap_or(0.0)
    }
}
