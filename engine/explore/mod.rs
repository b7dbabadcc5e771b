//! The loop over all stages: starts become minima, pairs become paths, paths break at new minima, and the merge tree
//! says which path decides a bar and is worked on next. Or the loss is sampled, on a grid or at points round its minima.
//!
//! What comes next depends on the landscape alone, so a resumed run goes on as the uninterrupted one would have. One
//! finding, with all that follows from it, is one commit.

#![forbid(unsafe_code)]

#[cfg(feature = "dense")]
mod all;
mod barcode;
mod basins;
mod births;
mod boundary;
mod catches;
mod deciding;
mod evidence;
mod explored;
mod explorer;
mod feet;
#[cfg(feature = "dense")]
mod flows;
mod forecast;
mod forest;
mod given;
#[cfg(feature = "dense")]
mod higher;
mod hop;
mod identity;
mod known;
mod merge;
mod minima;
mod noise;
mod pairs;
mod passes;
mod paths;
mod plan;
mod progress;
mod rivals;
mod round;
mod saddles;
mod samples;
mod stages;
#[cfg(test)]
mod tests;
mod trained;
mod tree;
mod vertices;
mod ways;

pub use crate::run::Ended;
pub use barcode::barcode;
pub use basins::Basins;
pub use boundary::{MorseCell, MorseComplex};
pub use catches::Catches;
pub use evidence::evidence;
pub use explored::{Explored, Found};
pub use forecast::{Forecast, ToCome, Work};
pub use given::Given;
pub use known::Known;
pub use merge::{Merged, merge};
pub use pairs::{ALL_PAIRS, pairs_of};
pub use passes::AtPass;
pub use plan::{Goal, Identify, Method, Plan, Way};
pub use progress::{Doing, Notice, Progress, Silent};
pub use rivals::Rivals;
pub use stages::explore;
pub use tree::MergeTree;
