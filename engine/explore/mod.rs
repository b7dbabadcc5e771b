//! The loop over all stages: starts become minima, pairs become paths, paths break at new minima, and the merge tree
//! says which path decides a bar and is worked on next. Or the loss is sampled, on a grid or at points round its minima.
//!
//! What comes next depends on the landscape alone, so a resumed run goes on as the uninterrupted one would have. One
//! finding, with all that follows from it, is one commit.

#![forbid(unsafe_code)]

mod births;
mod deciding;
mod evidence;
mod explored;
mod explorer;
mod forecast;
mod given;
mod hop;
mod identity;
mod merge;
mod minima;
mod noise;
mod passes;
mod paths;
mod plan;
mod saddles;
mod samples;
mod stages;
#[cfg(test)]
mod tests;
mod trained;
mod tree;
mod vertices;

pub use crate::run::Ended;
pub use evidence::evidence;
pub use explored::{Explored, Found};
pub use forecast::{Forecast, Stage};
pub use given::Given;
pub use merge::{Merged, merge};
pub use passes::AtPass;
pub use plan::{Identify, Method, Plan};
pub use stages::explore;
pub use tree::MergeTree;
