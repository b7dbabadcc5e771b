//! The search on the oracle: minima, paths between them, their passes.

#![forbid(unsafe_code)]

pub mod align;
mod assignment;
mod begin;
#[cfg(feature = "dense")]
mod climb;
pub mod connect;
mod critical;
mod domain;
mod family;
mod flaw;
#[cfg(feature = "dense")]
pub mod flow;
#[cfg(feature = "dense")]
mod following;
pub mod height;
#[cfg(feature = "dense")]
pub mod hessian;
#[cfg(feature = "dense")]
pub mod higher;
pub mod hop;
#[cfg(feature = "dense")]
mod hybrid;
#[cfg(feature = "dense")]
pub mod kink;
pub mod kinked;
#[cfg(feature = "dense")]
mod krylov;
pub mod landscape;
pub mod lbfgs;
mod metric;
pub mod minima;
mod mixing;
pub mod noise;
#[cfg(feature = "dense")]
pub mod orbit;
mod pair;
pub mod path;
pub mod polyline;
pub mod quench;
mod rejected;
mod rigid;
mod rotation;
pub mod saddle;
mod signs;
mod singular;
pub mod spectrum;
pub mod start;
#[cfg(feature = "dense")]
mod subspace;
pub mod tangents;
pub mod training;
#[cfg(feature = "dense")]
pub mod uphill;
pub(crate) mod vector;
mod walk;

pub use crate::loss::oracle::Tally;
pub use flaw::Flaw;
pub use kinked::Certificate;
pub use landscape::*;
pub use metric::{Metric, PARTS};
pub use pair::{Along, Pair, Place, Way};
pub use rejected::Rejected;
