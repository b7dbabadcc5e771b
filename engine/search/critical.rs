//! A critical point of index 1, and where one is looked for.

use super::height::Measured;
use super::landscape::{CellId, Evidence, Pass, PassKind};
use super::rejected::Rejected;

/// A critical point of index 1.
#[derive(Clone, Debug)]
pub struct Saddle {
    /// The point.
    pub theta: Vec<f64>,
    /// The loss there.
    pub loss: f64,
    /// The unit eigenvector along which the loss falls, both ways.
    pub mode: Vec<f64>,
    /// What speaks for its being a saddle.
    pub evidence: Evidence,
    /// Points of the way to it from the top where it was looked for, row after row, each lower than the one before.
    pub trail: Vec<f64>,
}

/// What a search near a top comes to.
pub type Verdict = std::result::Result<Saddle, Rejected>;

/// Where a saddle is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Near<'a> {
    /// The top of a path.
    pub top: &'a [f64],
    /// The path's direction there: the lowest mode is not far from it.
    pub along: &'a [f64],
    /// No step is longer, and the search gives up beyond five times that, or twenty times where it has come down.
    pub reach: f64,
    /// The gradient norm of a critical point.
    pub tolerance: f64,
    /// Directions along which the minima on either side have no curvature: as many at the saddle are a symmetry that
    /// nobody declared, not a doubt.
    pub null: usize,
}

impl Saddle {
    /// It as the pass of a curve over it, that nowhere rises above it.
    pub fn pass(&self, cell: CellId, measured: &Measured) -> Pass {
        Pass {
            cell,
            kind: self.kind(),
            height: measured.height.max(self.loss),
            error: measured.error,
            arc: measured.arc,
            theta: self.theta.clone(),
            evidence: Some(self.evidence.clone()),
            reason: None,
        }
    }

    fn kind(&self) -> PassKind {
        let on_kinks = self.evidence.kinks.as_ref().is_some_and(|kinks| !kinks.active.is_empty());
        if on_kinks { PassKind::VerifiedKinkSaddle } else { PassKind::VerifiedSaddle }
    }

    /// The points on either side of it, so far along its mode.
    pub fn sides(&self, aside: f64) -> [Vec<f64>; 2] {
        [aside, -aside].map(|step| self.theta.iter().zip(&self.mode).map(|(s, m)| s + step * m).collect())
    }
}
