//! The discrete Morse complex: critical cells, their boundaries, and the paths of the gradient between them.
//!
//! The boundary of a critical cell is the sum, over Z/2, of the critical cells that an odd number of gradient paths lead to
//! (Forman, "Morse theory for cell complexes", 1998). It is filtered by the function, and its boundary of a boundary is 0.

use super::gradient::{Cell, Gradient};
use super::grid::{Grid, MOST_AXES, with_field};
use crate::error::{Error, Result};
use crate::machine::pool::Pool;
use crate::order::Key;
use serde::Serialize;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

/// A critical cell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Critical {
    /// The dimension of the cell: its Morse index.
    pub degree: u32,
    /// The sample that gives the cell its value.
    pub sample: u32,
    /// The function's value at the cell.
    pub value: f64,
    /// The samples of the cell, its own among them.
    pub samples: Vec<u32>,
    /// The critical cells of one degree less in its boundary, ascending indices of [`MorseComplex::cells`].
    pub boundary: Vec<u32>,
    /// The samples of its descending manifold, down to the critical cells of one degree less, ascending; for a pass the
    /// two lines of descent. Empty unless asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub descending: Vec<u32>,
    /// For a pass its two lines of descent; above, a path to each cell of the boundary. Empty unless asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<VPath>,
}

/// A path of the gradient from a critical cell down to one of a degree less.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VPath {
    /// Where it ends, an index of [`MorseComplex::cells`].
    pub to: u32,
    /// The cells of that degree that it leads over, each by its samples: the first is a facet of the cell that it comes
    /// from, the last is the one that it ends in. (In between it climbs from each cell to the one that it pairs with.)
    pub cells: Vec<Vec<u32>>,
}

/// The critical cells in the order of the filtration.
///
/// ```
/// use mountainpass::morse::complex::MorseComplex;
/// use mountainpass::morse::grid::{Grid, Sampling};
/// use mountainpass::npy::Array;
/// use mountainpass::machine::pool::Pool;
///
/// // Two wells on a line, at samples 1 and 3; the edge from 2 to 3 joins them.
/// let array = Array { shape: vec![5], values: vec![3.0, 0.0, 2.0, 1.0, 3.0].into() };
/// let grid = Grid::new(array, Sampling::default())?;
/// let complex = MorseComplex::of(&grid, true, &Pool::new(1))?;
/// let cells: Vec<_> = complex.cells.iter().map(|cell| (cell.degree, cell.sample, cell.value)).collect();
/// assert_eq!(cells, [(0, 1, 0.0), (0, 3, 1.0), (1, 2, 2.0)]);
/// assert_eq!(complex.cells[2].boundary, [0, 1]);
/// let lines: Vec<_> = complex.cells[2].paths.iter().map(|path| (path.to, path.cells.concat())).collect();
/// assert_eq!(lines, [(0, vec![2, 1]), (1, vec![3])]);
/// # Ok::<(), mountainpass::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MorseComplex {
    /// In the order of the filtration.
    pub cells: Vec<Critical>,
}

impl MorseComplex {
    /// The complex of a grid. Time grows with the descending manifolds, for smooth functions about N for each critical cell
    /// of degree 2 and above. Refuses grids of more than [`MOST_AXES`] axes.
    pub fn of(grid: &Grid, geometry: bool, pool: &Pool) -> Result<MorseComplex> {
        let n = grid.shape.axes();
        if n > MOST_AXES {
            return Err(Error::Argument(format!("a grid of {n} axes: a Morse complex is made of up to {MOST_AXES}")));
        }
        Ok(with_field!(grid, field => {
            let gradient = Gradient::new(&field, grid.construction, pool);
            trace(&gradient, geometry, pool, &|sample| grid.value(sample))
        }))
    }

    /// The alternating sum of the numbers of critical cells by degree.
    pub fn euler_characteristic(&self) -> i64 {
        self.cells.iter().map(|cell| if cell.degree % 2 == 0 { 1 } else { -1 }).sum()
    }
}

fn trace<K: Key>(
    gradient: &Gradient<'_, K>,
    geometry: bool,
    pool: &Pool,
    value: &(dyn Fn(u64) -> f64 + Sync),
) -> MorseComplex {
    let mut cells: Vec<(u128, u8, Cell)> = (0..=gradient.codes.axes as u8)
        .flat_map(|dim| gradient.critical(dim).into_iter().map(move |cell| (dim, cell)))
        .map(|(dim, cell)| (gradient.place(cell), dim, cell))
        .collect();
    cells.sort_unstable();
    let number: HashMap<Cell, u32> = cells.iter().enumerate().map(|(i, (_, _, cell))| (*cell, i as u32)).collect();
    let cells = pool.map(cells.len(), &|i| {
        let (_, dim, cell) = cells[i];
        let mut samples = gradient.samples(cell);
        samples.sort_unstable();
        let (boundary, descending, paths) = descend(gradient, cell, &number, geometry);
        Critical {
            degree: dim.into(),
            sample: cell.sample,
            value: value(cell.sample.into()),
            samples,
            boundary,
            descending,
            paths,
        }
    });
    MorseComplex { cells }
}

/// Follows the gradient from the facets of a critical cell down to critical cells: the boundary; with `geometry` also all
/// samples met, and paths.
fn descend<K: Key>(
    gradient: &Gradient<'_, K>,
    from: Cell,
    number: &HashMap<Cell, u32>,
    geometry: bool,
) -> (Vec<u32>, Vec<u32>, Vec<VPath>) {
    let mut front: BinaryHeap<u128> = BinaryHeap::new();
    let mut met: BTreeSet<u32> = BTreeSet::new();
    let mut boundary = Vec::new();
    // From where each place was reached first; for facets of `from`, themselves.
    let mut before: HashMap<u128, u128> = HashMap::new();
    gradient.facets(from, |facet| front.push(gradient.place(facet)));
    if geometry {
        before.extend(front.iter().map(|&place| (place, place)));
    }
    while let Some(last) = front.pop() {
        let mut paths = 1;
        while front.peek() == Some(&last) {
            front.pop();
            paths += 1;
        }
        let cell = gradient.at(last);
        if geometry {
            met.extend(gradient.samples(cell));
        } else if paths % 2 == 0 {
            continue; // An even number of paths is none; only the geometry wants them.
        }
        match gradient.mate(cell) {
            None if paths % 2 == 1 => boundary.extend(number.get(&cell).map(|&to| (to, last))),
            Some(mate) if gradient.dim(mate) > gradient.dim(cell) => gradient.facets(mate, |facet| {
                if facet != cell {
                    let (copies, next) = (if paths % 2 == 1 { 1 } else { 2 }, gradient.place(facet));
                    front.extend(std::iter::repeat_n(next, copies));
                    if geometry {
                        before.entry(next).or_insert(last);
                    }
                }
            }),
            _ => {}
        }
    }
    boundary.sort_unstable();
    let samples = |place: u128| gradient.samples(gradient.at(place));
    let paths = match (geometry, gradient.dim(from)) {
        (false, _) | (_, 0) => Vec::new(),
        (true, 1) => lines(gradient, from, number),
        (true, _) => {
            let back = |end: u128| {
                let way = std::iter::successors(Some(end), |at| before.get(at).copied().filter(|next| next != at));
                let mut cells: Vec<Vec<u32>> = way.map(samples).collect();
                cells.reverse();
                cells
            };
            boundary.iter().map(|&(to, end)| VPath { to, cells: back(end) }).collect()
        }
    };
    (boundary.into_iter().map(|(to, _)| to).collect(), met.into_iter().collect(), paths)
}

/// The two lines of descent of a pass, also where both end in the same minimum.
fn lines<K: Key>(gradient: &Gradient<'_, K>, pass: Cell, number: &HashMap<Cell, u32>) -> Vec<VPath> {
    let mut ends = Vec::new();
    gradient.facets(pass, |vertex| ends.push(vertex));
    let line = |mut at: Cell| {
        let mut cells = vec![gradient.samples(at)];
        while let Some(edge) = gradient.mate(at) {
            let here = at;
            gradient.facets(edge, |vertex| {
                if vertex != here {
                    at = vertex;
                }
            });
            cells.push(gradient.samples(at));
        }
        number.get(&at).map(|&to| VPath { to, cells })
    };
    let mut lines: Vec<VPath> = ends.into_iter().filter_map(line).collect();
    lines.sort_by_key(|line| line.to);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::morse::grid::{Construction, Sampling};
    use crate::npy::Array;
    use proptest::prelude::*;

    fn grid(sizes: Vec<usize>, periodic: &[usize], construction: Construction, value: impl Fn(usize) -> f64) -> Grid {
        let values: Vec<f64> = (0..sizes.iter().product()).map(value).collect();
        let sampling = Sampling { periodic, construction, ..Sampling::default() };
        Grid::new(Array { shape: sizes, values: values.into() }, sampling).unwrap()
    }

    proptest! {
        #[test]
        fn the_boundary_of_a_boundary_is_zero(values in prop::collection::vec(0_u8..20, 81), axes in 1_usize..5, ring: bool, top: bool) {
            let sizes = [vec![81], vec![9, 9], vec![3, 3, 9], vec![3; 4]][axes - 1].clone();
            let construction = if top { Construction::TopCell } else { Construction::Vertex };
            let periodic: &[usize] = if ring { &[0] } else { &[] };
            let grid = grid(sizes, periodic, construction, |i| values[i].into());
            let complex = MorseComplex::of(&grid, false, &Pool::new(1)).unwrap();
            for cell in &complex.cells {
                let mut twice: Vec<u32> = cell.boundary.iter().flat_map(|&b| complex.cells[b as usize].boundary.clone()).collect();
                twice.sort_unstable();
                prop_assert!(twice.chunk_by(|a, b| a == b).all(|run| run.len() % 2 == 0), "{cell:?}");
                let below = |b: &u32| {
                    let face = &complex.cells[*b as usize];
                    face.degree + 1 == cell.degree && face.value <= cell.value
                };
                prop_assert!(cell.boundary.iter().all(below), "{cell:?}");
            }
            prop_assert_eq!(complex.euler_characteristic(), if ring { 0 } else { 1 });
            let traced = MorseComplex::of(&grid, true, &Pool::new(2)).unwrap();
            for (cell, plain) in traced.cells.iter().zip(&complex.cells) {
                prop_assert_eq!((&cell.samples, &cell.boundary), (&plain.samples, &plain.boundary));
                let mut ends: Vec<u32> = cell.paths.iter().map(|path| path.to).collect();
                if cell.degree == 1 {
                    prop_assert_eq!(ends.len(), 2);
                    ends = if ends[0] == ends[1] { Vec::new() } else { ends };
                }
                prop_assert_eq!(&ends, &cell.boundary);
                for path in &cell.paths {
                    let (first, last) = (&path.cells[0], &path.cells[path.cells.len() - 1]);
                    let touches = |a: &[u32], b: &[u32]| top || a.iter().all(|sample| b.contains(sample));
                    prop_assert!(touches(first, &cell.samples), "{cell:?}");
                    let mut last = last.clone();
                    last.sort_unstable();
                    prop_assert_eq!(&last, &traced.cells[path.to as usize].samples);
                    prop_assert!(path.cells.iter().flatten().all(|sample| cell.descending.contains(sample)));
                    // The value of a cell is the greatest of its vertices, or the least of its cubes.
                    let values = |cell: &Vec<u32>| cell.iter().map(|&sample| (grid.value(sample.into()), sample)).collect::<Vec<_>>();
                    let order = |a: &(f64, u32), b: &(f64, u32)| a.partial_cmp(b).unwrap();
                    let level = |cell: &Vec<u32>| {
                        let values = values(cell).into_iter();
                        if top { values.min_by(order) } else { values.max_by(order) }
                    };
                    prop_assert!(path.cells.windows(2).all(|pair| level(&pair[1]) <= level(&pair[0])), "{path:?}");
                }
            }
        }
    }

    #[test]
    fn two_wells_are_joined_by_two_lines_through_one_pass() {
        // (x^2 - 4)^2 / 16 + y^2 on 9 x 5 samples: wells at x = -2 and 2, the pass between them.
        let value = |i: usize| {
            let (x, y) = ((i / 5) as f64 - 4.0, (i % 5) as f64 - 2.0);
            (x * x - 4.0).powi(2) / 16.0 + y * y
        };
        let complex =
            MorseComplex::of(&grid(vec![9, 5], &[], Construction::Vertex, value), true, &Pool::new(1)).unwrap();
        let degrees: Vec<u32> = complex.cells.iter().map(|cell| cell.degree).collect();
        assert_eq!(degrees, [0, 0, 1]);
        let pass = &complex.cells[2];
        assert_eq!((pass.value, &pass.boundary), (1.0, &vec![0, 1]));
        // Samples are 5 x + y; y stays at its middle all along.
        assert_eq!(pass.descending, [12, 17, 22, 27, 32]);
        let lines: Vec<(u32, Vec<u32>)> = pass.paths.iter().map(|path| (path.to, path.cells.concat())).collect();
        assert_eq!(lines, [(0, vec![22, 17, 12]), (1, vec![27, 32])]);
    }
}
