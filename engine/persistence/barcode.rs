//! Barcodes: what every road to one (paths, grids, graphs) ends in, and what everything after it reads.

use crate::search::{Evidence, PassKind};
use serde::{Deserialize, Serialize};

/// What ended a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeathKind {
    #[serde(rename = "verified saddle")]
    /// A saddle that leads to both sides.
    VerifiedSaddle,
    #[serde(rename = "path maximum")]
    /// The highest point of a path: an upper bound.
    PathMaximum,
    #[serde(rename = "cell")]
    /// A cell of a sampled function.
    Cell,
}

impl From<PassKind> for DeathKind {
    fn from(kind: PassKind) -> DeathKind {
        match kind {
            PassKind::VerifiedSaddle => DeathKind::VerifiedSaddle,
            PassKind::PathMaximum => DeathKind::PathMaximum,
        }
    }
}

/// One bar `[birth, death)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// The degree of the homology class: 0 for components.
    pub degree: u32,
    /// The value at which it begins.
    pub birth: f64,
    /// `None` for a half-line.
    pub death: Option<f64>,
    /// How far the death may lie above the number given; 0 when exact, `None` for a half-line.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub death_error: Option<f64>,
    /// The cell whose value the birth is.
    pub birth_cell: u64,
    /// The cell whose value the death is; `None` for a half-line.
    pub death_cell: Option<u64>,
    /// The birth cell of the component that swallows this one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub elder: Option<u64>,
    /// The path whose top is the death.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<u64>,
    /// What is known of its death.
    pub death_kind: Option<DeathKind>,
    /// The birth is a way-station found between two sampled minima: its death is a rough bound, and no score counts it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transit: Option<bool>,
    /// Shorter than what the loss values can resolve.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub below_noise: Option<bool>,
    /// The birth is not a converged minimum.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unconverged: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    /// What speaks for its birth being a minimum.
    pub evidence: Option<Evidence>,
    /// A sampled function, where asked for: in degree 0 the path of samples through the death from minimum to minimum,
    /// one in each list; above, the cells of a cycle, each by its samples.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub cycle: Vec<Vec<u32>>,
}

impl Bar {
    /// death - birth, the escape height of a degree-0 bar; `None` for a half-line.
    pub fn length(&self) -> Option<f64> {
        self.death.map(|death| death - self.birth)
    }
}

/// What a cell of the complex is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CellKind {
    #[serde(rename = "minimum")]
    /// A minimum.
    Minimum,
    #[serde(rename = "saddle")]
    /// A saddle of index one.
    Saddle,
    #[serde(rename = "path maximum")]
    /// The highest point of a path.
    PathMaximum,
    #[serde(rename = "vertex")]
    /// A sample, or an edge between two.
    Vertex,
}

/// A cell that a bar names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The number by which bars refer to the cell.
    pub id: u64,
    /// The dimension of the cell.
    pub degree: u32,
    /// The function's value at the cell.
    pub value: f64,
    /// What the cell is.
    pub kind: CellKind,
    /// Where it lies, of a sampled loss: the parameters of a point, or on a grid those of its axes.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub position: Vec<f64>,
}

/// The bars of one function, sorted by degree, then birth, then birth cell, with the cells they name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Barcode {
    /// By degree, then birth, then birth cell.
    pub bars: Vec<Bar>,
    /// The cells that bars refer to, by number.
    pub cells: Vec<Cell>,
}

impl Barcode {
    /// The bars of one degree.
    pub fn degree(&self, degree: u32) -> impl Iterator<Item = &Bar> {
        self.bars.iter().filter(move |bar| bar.degree == degree)
    }

    /// The bars of one degree that scores count and drawings show: all but those of way-stations.
    pub fn counted(&self, degree: u32) -> impl Iterator<Item = &Bar> {
        self.degree(degree).filter(|bar| bar.transit != Some(true))
    }
}
