//! Why the top of a path is not a verified saddle.

use super::landscape::CellId;
use super::signs::NoSpectrum;
use std::fmt;

/// Why the top of a path stays a path maximum. `Display` is what a database and a report say of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rejected {
    /// The loss is not twice differentiable.
    Kink,
    /// Smoothed, the loss has a saddle there, but none on its kinks that it narrows to was certified.
    Slid,
    /// The loss or its gradient is not finite near the top.
    NotFinite,
    /// The Hessian could not be decomposed.
    NoSpectrum(NoSpectrum),
    /// The Hessian products were spent at this gradient norm.
    Products {
        /// The norm where more were wanted.
        gradient_norm: f64,
        /// How many had been made.
        made: usize,
    },
    /// Gradients and Hessian products were spent at this gradient norm.
    Evaluations {
        /// The norm where more were wanted.
        gradient_norm: f64,
        /// How many had been made.
        made: usize,
    },
    /// No direction of negative curvature was found where the gradient had this norm.
    NoMode {
        /// The norm there.
        gradient_norm: f64,
    },
    /// The steps were spent at this gradient norm.
    Steps {
        /// The norm before the last one.
        gradient_norm: f64,
        /// How many had been made.
        made: usize,
    },
    /// The search left the surroundings of the top.
    WalkedAway,
    /// So many eigenvalues are zero, as far as is known.
    Degenerate(usize),
    /// A critical point, but of this index.
    Index(usize),
    /// The gradient is no smaller than it would be beside a critical point that is far away.
    Flat {
        /// Its norm.
        gradient_norm: f64,
        /// The smallest eigenvalue by size.
        curvature: f64,
    },
    /// The saddle lies above the path.
    Higher,
    /// The path led over the saddle rises above it elsewhere.
    Above,
    /// Both descents from the saddle end in this minimum.
    OneEnd(CellId),
    /// A descent from the saddle ends in no minimum.
    NoEnd,
}

impl From<NoSpectrum> for Rejected {
    fn from(none: NoSpectrum) -> Rejected {
        Rejected::NoSpectrum(none)
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Rejected::Kink => f.write_str("kink: the loss is not twice differentiable"),
            Rejected::Slid => f.write_str("kink: no certified pass where the smoothed loss has a saddle"),
            Rejected::NotFinite => f.write_str("the loss is not finite near the top"),
            Rejected::NoSpectrum(none) => none.fmt(f),
            Rejected::Products { gradient_norm, made } => {
                write!(f, "budget: gradient norm {gradient_norm:.1e} after {made} Hessian products")
            }
            Rejected::Evaluations { gradient_norm, made } => {
                write!(f, "budget: gradient norm {gradient_norm:.1e} after {made} gradients and Hessian products")
            }
            Rejected::NoMode { gradient_norm } => {
                write!(f, "no direction of negative curvature, at a gradient norm of {gradient_norm:.1e}")
            }
            Rejected::Steps { gradient_norm, made } => {
                write!(f, "budget: gradient norm {gradient_norm:.1e} after {made} steps")
            }
            Rejected::WalkedAway => f.write_str("the search walked away from the top"),
            Rejected::Degenerate(undecided) => write!(f, "degenerate, {undecided} undecided"),
            Rejected::Index(index) => write!(f, "a critical point of index {index}"),
            Rejected::Flat { gradient_norm, curvature } => {
                write!(f, "flat: a gradient of {gradient_norm:.1e} at a curvature of {curvature:.1e}")
            }
            Rejected::Higher => f.write_str("the saddle found lies higher"),
            Rejected::Above => f.write_str("the path does not stay below the saddle found"),
            Rejected::OneEnd(minimum) => write!(f, "a saddle, but both descents from it end in minimum {minimum}"),
            Rejected::NoEnd => f.write_str("a saddle, but a descent from it did not converge"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_in_the_words_that_databases_hold() {
        for (rejected, words) in [
            (NoSpectrum::NotFinite.into(), "the Hessian is not finite"),
            (
                Rejected::Products { gradient_norm: 0.00123, made: 3000 },
                "budget: gradient norm 1.2e-3 after 3000 Hessian products",
            ),
            (
                Rejected::Evaluations { gradient_norm: 0.02, made: 3010 },
                "budget: gradient norm 2.0e-2 after 3010 gradients and Hessian products",
            ),
            (
                Rejected::NoMode { gradient_norm: 1e-3 },
                "no direction of negative curvature, at a gradient norm of 1.0e-3",
            ),
            (Rejected::Steps { gradient_norm: 2.0, made: 30 }, "budget: gradient norm 2.0e0 after 30 steps"),
            (Rejected::Degenerate(3), "degenerate, 3 undecided"),
            (Rejected::Index(2), "a critical point of index 2"),
            (
                Rejected::Flat { gradient_norm: 1e-9, curvature: 2e-12 },
                "flat: a gradient of 1.0e-9 at a curvature of 2.0e-12",
            ),
            (Rejected::OneEnd(4), "a saddle, but both descents from it end in minimum 4"),
        ] {
            assert_eq!(rejected.to_string(), words);
        }
    }
}
