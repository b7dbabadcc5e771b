//! The mean loss of a network over samples, whoever runs its graph.
//!
//! A request of the plugin contract comes in ([`Prepared`]), a loss goes out; between them stands an [`Executor`], which makes a
//! plan of a graph and runs it. Samples are cut into chunks, rows and chunks are shared out to workers, sums are added in
//! one order, and penalties are laid on top: all that the executors of one network have in common.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod batch;
mod executor;
mod kept;
mod kinks;
mod lanes;
mod loss;
mod network;
mod open;
mod penalty;
pub mod real;
mod row;
mod shelf;
pub mod sums;

pub use executor::{Executor, Input, Outcome, Plan, Sources};
pub use kept::{Hands, Kept};
pub use network::{Graphed, Network};
pub use open::Prepared;
