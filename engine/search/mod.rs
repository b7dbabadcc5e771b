//! The search on the oracle: minima, paths between them, their passes.

#![forbid(unsafe_code)]

pub mod align;
mod assignment;
pub mod connect;
mod flaw;
pub mod flow;
pub mod height;
#[cfg(feature = "dense")]
pub mod higher;
pub mod landscape;
pub mod lbfgs;
pub mod minima;
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
mod subspace;
pub mod tangents;
pub mod training;
pub mod uphill;
pub(crate) mod vector;

pub use crate::loss::oracle::Tally;
pub use flaw::Flaw;
pub use landscape::*;
pub use rejected::Rejected;
