//! What an exploration comes to.

use super::passes::AtPass;
use crate::run::Ended;
use crate::sample::Samples;
use crate::search::{Landscape, Pair};

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
    /// What lies between given points.
    pub pairs: Vec<Pair>,
    /// The Betti numbers of the space that points are compared in, where they are known.
    pub domain: Option<Vec<usize>>,
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
