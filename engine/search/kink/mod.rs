//! Critical points of losses with kinks: where some kinks are exactly at their edge.
//!
//! Kinks h = max(z, alpha z) that are *active* (z = 0) are made linear with slopes t, which turns the loss into a smooth one
//! that equals it where they stay active. A point is critical if that loss is for some t between alpha and 1; its index
//! counts the negative eigenvalues along the active set and the kinks that bend downwards (docs/kinks.md).

mod certificate;
mod edges;
mod linear;
pub mod minimum;
pub mod pass;
mod polish;
mod slide;
mod small;
mod split;
mod stationary;

pub use certificate::{Certified, certify};
pub use polish::{Polished, polish};
pub use stationary::stationarity;

#[cfg(test)]
mod random;
#[cfg(test)]
mod searched;
#[cfg(all(test, feature = "faer"))]
mod units;
