//! What an exploration begins from, and what it comes to.

use super::passes::AtPass;
use crate::run::Ended;
use crate::sample::Samples;
use crate::search::Landscape;

/// What is known before: nothing, or what an earlier run has left.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// Minima, paths and what they cost.
    pub landscape: Landscape,
    /// Where the loss is sampled (a grid, a cloud): its values so far, in the order of the samples; NaN where it is not
    /// finite.
    pub values: Vec<f64>,
}

impl From<Landscape> for Known {
    fn from(landscape: Landscape) -> Known {
        Known { landscape, values: Vec::new() }
    }
}

/// What an exploration came to.
pub struct Explored {
    /// Minima, paths and what they cost.
    pub landscape: Landscape,
    /// Why it ended.
    pub ended: Ended,
    /// What two evaluations of one loss may differ by.
    pub noise: f64,
    /// What a barcode can be made of.
    pub found: Found,
    /// The metrics at verified saddles and at the tops of the paths that decide bars.
    pub passes: Vec<AtPass>,
}

/// What a barcode can be made of.
pub enum Found {
    /// The paths of the landscape, however far the search has come.
    Paths,
    /// A grid or a cloud with a value at every sample.
    Samples(Samples),
    /// Nothing: it was stopped before every sample had its value.
    Unfinished,
}
