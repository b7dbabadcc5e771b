//! The minima of a landscape as the vertices of its merge tree, kept from one finding to the next.

use crate::persistence::merge_tree::{Edge, Vertex};
use crate::search::{CellId, Minimum, Path, PathState};
use std::collections::HashMap;

/// The minima that count, in the order in which they were found; copies stand for the minimum they are copies of.
#[derive(Default)]
pub struct Vertices {
    /// How many minima have been looked at.
    seen: usize,
    pub all: Vec<Vertex>,
    /// Vertices by cell, that of a copy too.
    places: HashMap<CellId, usize>,
}

impl Vertices {
    /// Takes up what is new; the minima that became vertices.
    pub fn catch_up<'a>(&mut self, minima: &'a [Minimum]) -> Vec<&'a Minimum> {
        let new = &minima[self.seen..];
        self.seen = minima.len();
        let born: Vec<&Minimum> = new.iter().filter(|m| m.counts()).collect();
        for minimum in &born {
            self.places.insert(minimum.cell, self.all.len());
            self.all.push(Vertex { value: minimum.loss, cell: minimum.cell });
        }
        let place = |m: &Minimum| Some((m.cell, *self.places.get(&m.same_as?)?));
        let copies: Vec<(CellId, usize)> = new.iter().filter_map(place).collect();
        self.places.extend(copies);
        born
    }

    /// The vertices at the ends of a path; `None` where one of them is no minimum that counts.
    pub fn ends(&self, path: &Path) -> Option<(usize, usize)> {
        self.of_cells(path.ends)
    }

    /// The vertices of two cells.
    pub fn of_cells(&self, (a, b): (CellId, CellId)) -> Option<(usize, usize)> {
        Some((self.of_cell(a)?, self.of_cell(b)?))
    }

    /// The vertex of a cell.
    pub fn of_cell(&self, cell: CellId) -> Option<usize> {
        self.places.get(&cell).copied()
    }

    /// The edge that a path is, unless it was split.
    pub fn edge(&self, path: &Path) -> Option<Edge> {
        let ends = self.ends(path).filter(|_| path.state != PathState::Split)?;
        Some(Edge { height: path.pass.height, cell: path.pass.cell, ends })
    }
}
