//! A function on the vertices of a graph, and on its edges if they have values of their own.
//!
//! An edge enters the sublevel sets with its later end, or at its own value where that lies above both ends. The cell that
//! gives it its value is then the vertex, or the edge: vertices are numbered 0 to n - 1, and row e of the edge list is cell
//! n + e. Edges may come in any order and direction, more than once, and as self-loops; only the lowest of repeated edges
//! counts.

mod basin;
mod forest;
mod function;
mod rank;

pub use super::labels::NOWHERE;
pub use forest::{Cycle, Forest, LowestPath, Pass};
pub use function::{Graph, Oddities};
