//! Runs a [`Graph`](mountainpass_network::graph::Graph), on one thread or shared by a `crew`.
//!
//! In: a graph, the outputs wanted of it, and what stands behind its sources. Out: the outputs' arrays. Left to right: `view`
//! and `reads` say where numbers stand, `kernels` compute them, a `step` is a kernel with what it reads and writes, a `plan`
//! a list of steps. `lowering` makes a plan of a graph, once; `run` walks its steps.

mod crew;
mod kernels;
mod lowering;
mod plan;
mod reads;
mod run;
mod step;
#[cfg(test)]
mod tests;
mod view;

pub use plan::Plan;
pub use reads::{Input, Sources};
pub use run::Memory;
