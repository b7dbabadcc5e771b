//! Runs a [`Graph`](mountainpass_network::graph::Graph) on one thread.
//!
//! In: a graph, the outputs wanted of it, and what stands behind its sources. Out: the outputs' arrays. `plan` prepares a
//! graph once: nodes nobody needs are dropped, moved elements become views (`view`), element-wise operators and sums of them
//! join into chains (`group`, `fuse`, `chain`), everything else is one kernel (`product`, `convolve`, `reduce`, `copy`, `pool`), and
//! buffers are shared out by liveness (`lower`). `run` then walks the steps. Every kernel adds in one fixed order: the bits
//! of a result depend on the inputs and the machine only.

mod chain;
mod convolve;
mod copy;
mod each;
mod fuse;
mod group;
mod lower;
mod plan;
mod pool;
mod product;
mod reduce;
mod run;
#[cfg(test)]
mod tests;
mod view;

pub use plan::Plan;
pub use run::{Input, Memory, Sources};
