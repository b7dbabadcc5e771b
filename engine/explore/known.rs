//! What an exploration begins from.

use crate::search::{Landscape, Pair};

/// What is known before: nothing, or what an earlier run has left.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// Minima, paths and what they cost.
    pub landscape: Landscape,
    /// Where the loss is sampled (a grid, a cloud): its values so far, in the order of the samples; NaN where it is not
    /// finite.
    pub values: Vec<f64>,
    /// What lies between given points, as far as that was measured.
    pub pairs: Vec<Pair>,
}

impl From<Landscape> for Known {
    fn from(landscape: Landscape) -> Known {
        Known { landscape, ..Known::default() }
    }
}
