//! A network as a graph of operators with static shapes.
//!
//! Nodes stand in the order of computation, and one node is one array. Equal operators on equal arguments are one node,
//! and what is trivial (`x + 0`, a transposition undone) never becomes one, so that importers and derivatives may write
//! down whatever is simplest to read. A graph is built for one batch size; [`reverse`] adds gradients, [`forward`] adds
//! derivatives along a direction, [`kinks`] smooths what bends, `hoist` cuts off what no theta changes, `rows` takes many thetas at once, and [`evaluate`] is the plain interpreter that fast
//! executors are held to.

mod algebra;
mod build;
mod choice;
mod elementary;
pub mod evaluate;
pub mod forward;
pub(crate) mod hoist;
pub mod kinks;
mod nodes;
pub mod op;
pub mod reverse;
mod rows;
pub(crate) mod samples;
pub mod shape;
#[cfg(test)]
mod tests;

pub use nodes::{Graph, Id, Node};
