//! Persistence: barcodes, merge trees, scores.

mod barcode;
mod score;

pub use barcode::{Bar, Barcode, Cell, CellKind, DeathKind};
pub use score::Score;
