//! What is known of the lower end of a spectrum: values, how far they may be off, and why there may be none.

use super::landscape::{Evidence, Spectrum};
use std::fmt;

/// The lower end of a spectrum.
#[derive(Clone, Debug)]
pub struct Lowest {
    /// Eigenvalues, ascending: all up to and including the first that is positive beyond tau.
    pub values: Vec<f64>,
    /// A unit eigenvector of `values[0]`.
    pub vector: Vec<f64>,
    /// Eigenvalues within tau of zero are undecided.
    pub tau: f64,
    /// How they were computed.
    pub method: Spectrum,
    /// The number of tangents that were projected out.
    pub projected: usize,
}

/// Why there is no spectrum at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSpectrum {
    /// A product of the Hessian is not finite.
    NotFinite,
    /// The eigensolver spent its iterations.
    NotConverged,
    /// This program was built without the eigensolver.
    NotBuilt,
}

impl fmt::Display for NoSpectrum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoSpectrum::NotFinite => "the Hessian is not finite",
            NoSpectrum::NotConverged => "the Hessian has no eigenvalues: NoConvergence",
            NoSpectrum::NotBuilt => "built without eigenvalues",
        })
    }
}

/// What was computed, or why it cannot be.
pub type Found<T> = std::result::Result<T, NoSpectrum>;

impl Lowest {
    /// What it says of a point whose gradient has this norm.
    pub fn evidence(self, gradient_norm: f64) -> Evidence {
        let Lowest { values: eigenvalues, tau, method, projected, .. } = self;
        let (tau, spectrum) = (Some(tau), Some(method));
        Evidence { gradient_norm, eigenvalues, tau, spectrum, projected, ..Evidence::default() }
    }

    /// How many eigenvalues are clearly negative.
    pub fn index(&self) -> usize {
        self.values.iter().filter(|&&v| v < -self.tau).count()
    }
}
