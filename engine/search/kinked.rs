//! What is known of a point where some kinks are at their edge: every condition of a nondegenerate critical point, each with
//! the margin that it holds by ([`certify`](super::kink::certify) looks at them, docs/kinks.md).

use crate::spelled::spelled;
use serde::{Deserialize, Serialize};

/// Widths of a smoothing that strings are relaxed at, and where the search for a pass begins.
pub const PATHS: [f64; 6] = [0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4];
/// The largest r of a critical point.
pub const RESIDUAL: f64 = 1e-8;
/// How many times its error a margin must be.
pub const MARGIN: f64 = 10.0;
/// The smallest singular value of independent rows of unit length.
const INDEPENDENT: f64 = 1e-8;

spelled! {
    /// Why a point is not known to be a nondegenerate critical one.
    pub enum Doubt {
        /// The gradient or some z of an active kink is not zero, or not finite.
        Residual = "not critical",
        /// A slope is outside (alpha, 1): the loss falls across this kink, and nothing changes there.
        Regular = "regular: a slope is outside",
        /// A slope is at its end, or the loss does not bend at the kink, as far as is known.
        Slope = "undecided: a slope at its end",
        /// A kink that is not active may be on its other side.
        Side = "undecided: a kink on the edge",
        /// The rows of the active kinks are dependent.
        Dependent = "degenerate: LIKQ",
        /// An eigenvalue along the active set is within tau of zero.
        Flat = "degenerate: an eigenvalue of zero",
        /// The eigensolver found nothing.
        NoSpectrum = "no eigenvalues",
    }
}

/// A point with active kinks, and by what its index is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// The loss with the active kinks linear.
    pub loss: f64,
    /// The active kinks.
    pub active: Vec<u64>,
    /// The slope of each.
    pub slopes: Vec<f64>,
    /// Those of them that bend downwards: delta is negative.
    pub inverted: Vec<u64>,
    /// The negative eigenvalues along the active set.
    pub negative: usize,
    /// r.
    pub residual: f64,
    /// e; `None` where K is singular.
    pub error: Option<f64>,
    /// Units that have the direction of another one, so that the loss is constant along an arc; its tangent is left out.
    #[serde(default)]
    pub split_units: usize,
    /// How near kinks were looked for that are not active.
    pub width: f64,
    /// The least |z| / |grad z| of those, as far as it counts; `None` if there are none.
    pub side: Option<f64>,
    /// By how much that may be off, where its kink was looked at by itself.
    #[serde(default)]
    pub side_error: Option<f64>,
    /// The least |delta| min(t - alpha, 1 - t) of the active ones, as far as it counts, negative where a slope is outside.
    pub strict: Option<f64>,
    /// By how much that may be off, where its kink was looked at by itself.
    #[serde(default)]
    pub strict_error: Option<f64>,
    /// The smallest singular value of their rows made of unit length.
    pub independence: Option<f64>,
    /// The lowest eigenvalues along the active set, up to the first that is positive beyond tau.
    pub eigenvalues: Vec<f64>,
    /// Eigenvalues within tau of zero are undecided.
    pub tau: f64,
    /// What is missing; nothing if the point is certified.
    pub doubts: Vec<Doubt>,
}

impl Certificate {
    /// The index of a certified point.
    pub fn index(&self) -> Option<usize> {
        self.doubts.is_empty().then_some(self.negative + self.inverted.len())
    }

    /// What does not hold.
    pub fn doubts_of(&self, has_spectrum: bool) -> Vec<Doubt> {
        let needed = |own: Option<f64>| own.or(self.error).map_or(f64::INFINITY, |error| MARGIN * error);
        let (strict, side) = (needed(self.strict_error), needed(self.side_error));
        // A NaN is in doubt: each of these asks for what must hold.
        let holds = |margin: Option<f64>, least: f64| margin.is_none_or(|margin| margin > least);
        let regular = self.strict.is_some_and(|margin| margin < -strict);
        let flat = self.eigenvalues.iter().any(|value| value.abs() <= self.tau);
        let doubts = [
            (self.residual.is_nan() || self.residual > RESIDUAL, Doubt::Residual),
            (regular, Doubt::Regular),
            (!regular && !holds(self.strict, strict), Doubt::Slope),
            (!holds(self.side, side), Doubt::Side),
            (!holds(self.independence, INDEPENDENT), Doubt::Dependent),
            (flat, Doubt::Flat),
            (!has_spectrum, Doubt::NoSpectrum),
        ];
        doubts.into_iter().filter(|&(doubtful, _)| doubtful).map(|(_, doubt)| doubt).collect()
    }
}
