//! A pass over a piece of the samples: what is asked of it and where its results go.

use crate::slots::Laid;

/// Piece `t` of samples laid out.
pub(crate) struct Piece<'a, T> {
    pub laid: &'a Laid<T>,
    pub t: usize,
}

/// What is asked for beside the losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Derivatives {
        grad: bool,
        hvp: bool,
    },
    /// How many samples are met.
    Verdict,
}

/// Where a pass leaves derivatives: slices of length p.
pub(crate) struct Derivatives<'a, T> {
    pub grad: Option<&'a mut [T]>,
    /// The direction and where the Hessian product goes.
    pub hvp: Option<(&'a [T], &'a mut [T])>,
    /// Whether they are added to what is there.
    pub add: bool,
}

impl<T> Derivatives<'_, T> {
    pub(crate) fn wanted(&self) -> Wanted {
        Wanted::Derivatives { grad: self.grad.is_some(), hvp: self.hvp.is_some() }
    }
}

/// Sums over samples.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Verdict {
    pub loss: f64,
    /// Of so many predictions so many are right.
    pub correct: usize,
    pub predictions: usize,
}
