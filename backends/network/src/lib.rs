//! What a network *is*: its layers and the place of each weight in theta, its start, its symmetries, its objective
//! and its data. Nothing here runs a network: `mountainpass-mean` makes its loss,
//! and executors run its graph.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[cfg(test)]
#[path = "../tests/archive/mod.rs"]
mod archive;
pub mod bent;
pub mod build;
pub mod checkpoint;
mod data;
pub mod graph;
mod hex;
pub mod hoist;
pub mod invariance;
pub mod judge;
mod mlp;
pub mod model;
mod objective;
pub mod onnx;
mod pattern;
mod penalty;
pub mod problem;
mod start;

pub use data::{Channels, Dataset, Feed, Input, Layout, Normalise, Samples, Stored, Targets, npz};
pub use mlp::{Activation, Layer, Mlp};
pub use objective::{DataTerm, Objective};
pub use penalty::{Penalised, Penalties};

use mountainpass_sdk::{Declared, joined};

/// The options of a network's loss, whoever computes it.
pub const OPTIONS: [Declared; 23] = joined(&[&Dataset::OPTIONS, &Objective::OPTIONS, &onnx::OPTIONS]);
