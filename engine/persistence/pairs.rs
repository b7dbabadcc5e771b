//! The canonical form of a sampled function: which vertex gives birth to a class and which one ends it.
//!
//! A cell is named by the vertex that gives it its value, so every algorithm (union-find, duality, reduction) answers
//! with the same pairs: they are those of the filtration that adds one vertex after another with all its cells, in THE
//! total order (by value, then by index), and are unique.

use super::{Bar, Barcode, CellKind, Death, DeathAt, NamedCell};

/// One class of homology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// The degree of the homology class: 0 for components.
    pub degree: u32,
    /// The vertex that gives it birth.
    pub birth: u64,
    /// The vertex that ends it; `None` for a half-line.
    pub death: Option<u64>,
    /// Degree 0: the eldest vertex of the component that swallows this one, once all that meets at `death` has joined.
    pub elder: Option<u64>,
}

/// The barcode of pairs, with a cycle for each of the first pairs. `value` is the
/// function's value at a vertex.
pub fn barcode(pairs: &[Pair], cycles: &[Vec<Vec<u32>>], value: impl Fn(u64) -> f64) -> Barcode {
    let bar = |pair: &Pair| Bar {
        degree: pair.degree,
        birth: value(pair.birth),
        birth_cell: pair.birth,
        end: pair.death.map(|cell| Death { value: value(cell), cell, elder: pair.elder, at: DeathAt::Cell }),
        searched: None,
        cycle: Vec::new(),
    };
    let mut bars: Vec<Bar> = pairs.iter().map(bar).collect();
    bars.iter_mut().zip(cycles).for_each(|(bar, cycle)| bar.cycle.clone_from(cycle));
    let ends = |pair: &Pair| {
        let cell =
            |id, degree| NamedCell { id, degree, value: value(id), kind: CellKind::Vertex, position: Vec::new() };
        [Some(cell(pair.birth, pair.degree)), pair.death.map(|id| cell(id, pair.degree + 1))]
    };
    Barcode::new(bars, pairs.iter().flat_map(ends).flatten().collect(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stand_by_degree_birth_and_death_and_cells_once() {
        let pair = |degree, birth, death, elder| Pair { degree, birth, death, elder };
        let pairs = [pair(1, 3, Some(4), None), pair(0, 2, Some(3), Some(0)), pair(0, 0, None, None)];
        let barcode = barcode(&pairs, &[], |id| id as f64 / 2.0);
        let ends: Vec<_> = barcode.bars.iter().map(|bar| (bar.degree, bar.birth, bar.death())).collect();
        assert_eq!(ends, [(0, 0.0, None), (0, 1.0, Some(1.5)), (1, 1.5, Some(2.0))]);
        let cells: Vec<_> = barcode.cells.iter().map(|cell| (cell.id, cell.degree)).collect();
        assert_eq!(cells, [(0, 0), (2, 0), (3, 1), (4, 2)]);
    }
}
