//! The search on the oracle: minima, paths between them, their passes.

pub mod landscape;

pub use landscape::*;
