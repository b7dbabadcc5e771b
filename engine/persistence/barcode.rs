//! Barcodes: what every road to one (paths, grids, graphs) ends in, and what everything after it reads.

use crate::order::by_value;
use crate::pass::PassKind;
use crate::spelled::spelled;
use serde::{Deserialize, Serialize};

spelled! {
    /// What ended a bar.
    pub enum DeathKind {
        /// A saddle that leads to both sides.
        VerifiedSaddle = PassKind::VerifiedSaddle.name(),
        /// One on kinks of the loss.
        VerifiedKinkSaddle = PassKind::VerifiedKinkSaddle.name(),
        /// The highest point of a path: an upper bound.
        PathMaximum = PassKind::PathMaximum.name(),
        /// A cell of a sampled function.
        Cell = "cell",
        /// A critical point of index 2 or above, that ends a bar of degree 1 or above.
        CriticalPoint = "critical point",
    }
}

impl From<PassKind> for DeathKind {
    fn from(kind: PassKind) -> DeathKind {
        match kind {
            PassKind::VerifiedSaddle => DeathKind::VerifiedSaddle,
            PassKind::VerifiedKinkSaddle => DeathKind::VerifiedKinkSaddle,
            PassKind::PathMaximum => DeathKind::PathMaximum,
        }
    }
}

impl DeathKind {
    /// Whether the bar ends at a point that is known to be a saddle, of either kind.
    pub fn is_verified(self) -> bool {
        matches!(self, DeathKind::VerifiedSaddle | DeathKind::VerifiedKinkSaddle)
    }
}

/// One bar `[birth, death)`. In files its fields lie flat: `record.rs`.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// The degree of the homology class: 0 for components.
    pub degree: u32,
    /// The value at which it begins.
    pub birth: f64,
    /// The cell whose value the birth is.
    pub birth_cell: u64,
    /// How it ends; `None` for a half-line.
    pub end: Option<Death>,
    /// What is known of a birth that a search has found; `None` where a function was sampled.
    pub searched: Option<Searched>,
    /// A sampled function, where asked for: in degree 0 the path of samples through the death from minimum to minimum,
    /// one in each list; above, the cells of a cycle, each by its samples.
    pub cycle: Vec<Vec<u32>>,
}

/// The end of a bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Death {
    /// The value at which it dies.
    pub value: f64,
    /// The cell whose value that is.
    pub cell: u64,
    /// Degree 0: the birth cell of the component that swallows this one, where that was asked.
    pub elder: Option<u64>,
    /// What it lies at.
    pub at: DeathAt,
}

/// What a death lies at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DeathAt {
    /// The top of a path.
    Top(Top),
    /// A cell of a sampled function.
    Cell,
    /// A critical point of index 2 or above.
    Critical,
}

/// What is known of a death on a path that was found and measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Top {
    /// The path; `None` where a file does not name it.
    pub path: Option<u64>,
    /// How far the death may lie above its value; 0 when exact.
    pub error: f64,
    /// What it is known to be.
    pub kind: PassKind,
    /// The bar is shorter than what the loss values can resolve.
    pub below_noise: bool,
}

/// What is known of a birth that a search has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Searched {
    /// A way-station found between two sampled minima: the death is a rough bound, and no score counts it.
    pub transit: bool,
    /// Not a converged minimum.
    pub unconverged: bool,
}

impl Bar {
    /// The value at which it ends; `None` for a half-line.
    pub fn death(&self) -> Option<f64> {
        self.end.map(|end| end.value)
    }

    /// death - birth, the escape height of a degree-0 bar; `None` for a half-line.
    pub fn length(&self) -> Option<f64> {
        self.death().map(|death| death - self.birth)
    }

    /// The cell whose value the death is; `None` for a half-line.
    pub fn death_cell(&self) -> Option<u64> {
        self.end.map(|end| end.cell)
    }

    /// What ended the bar; `None` for a half-line.
    pub fn death_kind(&self) -> Option<DeathKind> {
        self.end.map(|end| match end.at {
            DeathAt::Top(top) => top.kind.into(),
            DeathAt::Cell => DeathKind::Cell,
            DeathAt::Critical => DeathKind::CriticalPoint,
        })
    }

    /// The birth cell of the component that swallows it.
    pub fn elder(&self) -> Option<u64> {
        self.end.and_then(|end| end.elder)
    }

    /// What is known of its death, where that is the top of a path.
    pub fn top(&self) -> Option<Top> {
        self.end.and_then(|end| match end.at {
            DeathAt::Top(top) => Some(top),
            DeathAt::Cell | DeathAt::Critical => None,
        })
    }

    /// The birth is a way-station: no score counts this bar.
    pub fn is_transit(&self) -> bool {
        self.searched.is_some_and(|birth| birth.transit)
    }

    /// The birth was searched for and is no converged minimum.
    pub fn is_unconverged(&self) -> bool {
        self.searched.is_some_and(|birth| birth.unconverged)
    }

    /// It is known to be shorter than what the loss values can resolve.
    pub fn is_below_noise(&self) -> bool {
        self.top().is_some_and(|top| top.below_noise)
    }

    /// Either of the two: scores are given with and without it.
    pub fn is_doubtful(&self) -> bool {
        self.is_below_noise() || self.is_unconverged()
    }
}

spelled! {
    /// What a cell of the complex is.
    pub enum CellKind {
        /// A minimum.
        Minimum = "minimum",
        /// A saddle of index one.
        Saddle = "saddle",
        /// The highest point of a path.
        PathMaximum = PassKind::PathMaximum.name(),
        /// A critical point of index 2 or above.
        CriticalPoint = DeathKind::CriticalPoint.name(),
        /// A sample, or an edge between two.
        Vertex = "vertex",
    }
}

/// A cell that a bar names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamedCell {
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

/// The bars of one function with the cells they name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Barcode {
    /// By degree, birth and birth cell, death and death cell.
    pub bars: Vec<Bar>,
    /// The cells that bars refer to, by number and degree, each once.
    pub cells: Vec<NamedCell>,
    /// Sampled minima, where they were searched for, whose bars have no length: they are left out of `bars`, and scores
    /// count them.
    #[serde(skip_serializing_if = "is_none", default)]
    pub zero: u64,
}

fn is_none(zero: &u64) -> bool {
    *zero == 0
}

impl Barcode {
    /// Puts bars and cells in their order; of cells that are named twice the first is kept.
    pub fn new(mut bars: Vec<Bar>, mut cells: Vec<NamedCell>, zero: u64) -> Barcode {
        bars.sort_by(|a, b| {
            let death = |bar: &Bar| (bar.death().unwrap_or(f64::INFINITY), bar.death_cell().unwrap_or(u64::MAX));
            let birth = by_value((a.birth, a.birth_cell), (b.birth, b.birth_cell));
            a.degree.cmp(&b.degree).then(birth).then(by_value(death(a), death(b)))
        });
        cells.sort_by_key(|cell| (cell.id, cell.degree));
        cells.dedup_by_key(|cell| (cell.id, cell.degree));
        Barcode { bars, cells, zero }
    }

    /// The degrees of the bars, ascending.
    pub fn degrees(&self) -> Vec<u32> {
        let mut degrees: Vec<u32> = self.bars.iter().map(|bar| bar.degree).collect();
        degrees.sort_unstable();
        degrees.dedup();
        degrees
    }

    /// The bars of one degree.
    pub fn degree(&self, degree: u32) -> impl Iterator<Item = &Bar> {
        self.bars.iter().filter(move |bar| bar.degree == degree)
    }

    /// The bars of one degree that scores count and drawings show: all but those of way-stations.
    pub fn counted(&self, degree: u32) -> impl Iterator<Item = &Bar> {
        self.degree(degree).filter(|bar| !bar.is_transit())
    }
}
