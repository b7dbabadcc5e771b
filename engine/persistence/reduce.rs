//! Boundary reduction over Z/2, with the discrete gradient in place of a matrix.
//!
//! A column is the boundary of a critical cell, a chain whose last cell decides: where the gradient pairs that cell with a
//! greater one, the greater one's boundary is added, which cancels it; where an earlier column ends there, that column is
//! added; else the two critical cells are a pair. So gradient pairs cost nothing until a chain meets them, and the
//! boundary matrix is never written down (the lazy form of Guillou, Vidal, Tierny, "Discrete Morse Sandwich", 2023).
//! Cells that an earlier, higher degree has found to be positive are left out: clearing (Chen, Kerber, 2011). A complex that
//! is Morse already, of critical points that were searched for, is one whose gradient pairs nothing.

use crate::morse::gradient::{Cell, Gradient};
use crate::order::Key;
use std::collections::{BinaryHeap, HashMap};

/// Cells in the order of a filtration, some of which may be paired by a gradient.
pub trait Filtered {
    /// What a cell is called.
    type Cell: Copy + PartialEq;
    /// Its place among all cells of its dimension, in an order that adds every cell after its facets.
    fn place(&self, cell: Self::Cell) -> u128;
    /// The cell at a place.
    fn at(&self, place: u128) -> Self::Cell;
    /// The cell that a cell pairs with; `None` for a critical one.
    fn mate(&self, cell: Self::Cell) -> Option<Self::Cell>;
    /// Calls `each` with every facet of a cell.
    fn facets(&self, cell: Self::Cell, each: impl FnMut(Self::Cell));
}

impl<K: Key> Filtered for Gradient<'_, K> {
    type Cell = Cell;

    fn place(&self, cell: Cell) -> u128 {
        self.place(cell)
    }

    fn at(&self, place: u128) -> Cell {
        self.at(place)
    }

    fn mate(&self, cell: Cell) -> Option<Cell> {
        self.mate(cell)
    }

    fn facets(&self, cell: Cell, each: impl FnMut(Cell)) {
        self.facets(cell, each);
    }
}

/// What became of the columns of one dimension.
#[derive(Clone, Debug)]
pub struct Reduced<C> {
    /// The positive cell and the negative one that ends its class, in the order of the latter.
    pub pairs: Vec<(C, C)>,
    /// Columns that vanished: their cells are positive.
    pub vanished: Vec<C>,
    /// With each pair a cycle that its negative cell bounds, last cell first.
    pub cycles: Vec<Vec<C>>,
}

/// Reduces the boundaries of critical cells of one dimension, which are sorted here. `wanted` is asked before each column
/// and told after it whether it vanished.
pub fn reduce<F: Filtered>(
    gradient: &F,
    columns: Vec<F::Cell>,
    mut wanted: impl FnMut(F::Cell) -> bool,
    mut done: impl FnMut(F::Cell, bool),
    keep_cycles: bool,
) -> Reduced<F::Cell> {
    let mut columns: Vec<(u128, F::Cell)> = columns.into_iter().map(|cell| (gradient.place(cell), cell)).collect();
    columns.sort_unstable_by_key(|column| column.0);
    let mut reduced = Reduced { pairs: Vec::new(), vanished: Vec::new(), cycles: Vec::new() };
    let mut ends: HashMap<u128, usize> = HashMap::new();
    let mut chains: Vec<Box<[u128]>> = Vec::new();
    let mut chain = Chain::default();
    for (_, column) in columns {
        if !wanted(column) {
            continue;
        }
        chain.0.clear();
        gradient.facets(column, |facet| chain.add(gradient.place(facet)));
        let vanished = loop {
            let Some(last) = chain.last() else { break true };
            let cell = gradient.at(last);
            if let Some(mate) = gradient.mate(cell) {
                // The last cell of a cycle is positive, so its mate is the greater one.
                gradient.facets(mate, |facet| {
                    if facet != cell {
                        chain.add(gradient.place(facet));
                    }
                });
            } else if let Some(&earlier) = ends.get(&last) {
                chain.0.extend(chains[earlier].iter());
            } else {
                ends.insert(last, chains.len());
                let rest = chain.take();
                if keep_cycles {
                    let cells = rest.iter().rev().map(|&place| gradient.at(place));
                    reduced.cycles.push(std::iter::once(cell).chain(cells).collect());
                }
                chains.push(rest);
                reduced.pairs.push((cell, column));
                break false;
            }
        };
        if vanished {
            reduced.vanished.push(column);
        }
        done(column, vanished);
    }
    reduced
}

/// A sum of cells over Z/2, by place; twice is nothing.
#[derive(Default)]
struct Chain(BinaryHeap<u128>);

impl Chain {
    fn add(&mut self, place: u128) {
        self.0.push(place);
    }

    /// Takes out the last cell that does not cancel.
    fn last(&mut self) -> Option<u128> {
        loop {
            let top = self.0.pop()?;
            let mut odd = true;
            while self.0.peek() == Some(&top) {
                self.0.pop();
                odd = !odd;
            }
            if odd {
                return Some(top);
            }
        }
    }

    /// Takes out everything that does not cancel, in ascending order.
    fn take(&mut self) -> Box<[u128]> {
        let mut rest = std::mem::take(&mut self.0).into_vec();
        rest.sort_unstable();
        let odd = rest.chunk_by(|a, b| a == b).filter(|run| run.len() % 2 == 1).map(|run| run[0]);
        odd.collect()
    }
}
