//! Persistence: merge trees, barcodes, scores, distances.

#![forbid(unsafe_code)]

mod barcode;
mod diagram;
pub mod distance;
pub mod merge_tree;
pub mod of_graph;
pub mod of_grid;
pub mod pairs;
mod record;
pub mod reduce;
mod score;

pub use barcode::{Bar, Barcode, CellKind, Death, DeathAt, DeathKind, NamedCell, Searched, Top};
pub use diagram::{Diagram, Interval};
pub use distance::{Distance, Metric, distance};
pub use pairs::Pair;
pub use score::Score;
