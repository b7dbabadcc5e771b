//! The search on the oracle: minima, paths between them, their passes.

#![forbid(unsafe_code)]

pub mod align;
mod assignment;
pub mod connect;
mod domain;
mod flaw;
pub mod height;
pub mod landscape;
pub mod lbfgs;
pub mod minima;
pub mod noise;
pub mod path;
pub mod polyline;
mod rejected;
mod rigid;
mod rotation;
// Without `dense` the search for saddles only says that it was not tried.
#[cfg_attr(not(feature = "dense"), allow(unused))]
pub mod saddle;
pub mod spectrum;
pub mod start;
pub mod tangents;
pub mod training;
pub(crate) mod vector;
mod walk;

pub use crate::loss::oracle::Tally;
pub use flaw::Flaw;
pub use landscape::*;
pub use rejected::Rejected;
