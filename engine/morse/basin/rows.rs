//! A grid read row by row: what lies around a row, and boxes of parts of rows as tiles.

use crate::morse::grid::{Reach, Shape};
use std::ops::Range;

/// Samples of a tile: its labels and edges stay in a core's cache.
const TILE: usize = if cfg!(test) { 8 } else { 1 << 16 }; // Tests of small grids see many tiles.

/// The samples of one row.
pub(super) struct Row<'a, K> {
    begin: u32,
    keys: &'a [K],
    pub basins: &'a [u32],
}

impl<'a, K: Copy> Row<'a, K> {
    /// The row whose first sample is `begin`.
    pub fn new(begin: usize, width: usize, keys: &'a [K], basins: &'a [u32]) -> Row<'a, K> {
        Row { begin: begin as u32, keys: &keys[begin..begin + width], basins: &basins[begin..begin + width] }
    }

    /// Key and number of a sample.
    pub fn place(&self, i: usize) -> (K, u32) {
        (self.keys[i], self.begin + i as u32)
    }
}

/// A box of samples.
pub(super) struct Tile {
    /// Ascending.
    pub rows: Vec<usize>,
    /// Of every row the same part.
    pub columns: Range<usize>,
}

/// A grid as rows along its last axis.
pub(super) struct Rows {
    pub width: usize,
    /// The shape of the other axes.
    outer: Option<Shape>,
    reach: Reach,
    /// The last axis closes up.
    pub ring: bool,
}

impl Rows {
    pub fn new(shape: &Shape, reach: Reach) -> Rows {
        let (width, axes) = (*shape.sizes.last().unwrap_or(&1), shape.axes() - 1);
        let strides = shape.strides[..axes].iter().map(|stride| stride / width).collect();
        let outer = Shape { sizes: shape.sizes[..axes].to_vec(), periodic: shape.periodic[..axes].to_vec(), strides };
        let ring = shape.periodic.last() == Some(&true);
        Rows { width, outer: (axes > 0).then_some(outer), reach, ring }
    }

    /// Boxes of about [`TILE`] samples, whose sides are powers of two: cubes, but longer along rows, which are read fast.
    pub fn tiles(&self) -> Vec<Tile> {
        let mut bits = TILE.ilog2();
        let mut boxes = vec![vec![0]];
        let axes = self.outer.as_ref().map_or(0, Shape::axes);
        for (axis, outer) in (0..axes).zip(std::iter::repeat(&self.outer).flatten()) {
            let (size, stride) = (outer.sizes[axis], outer.strides[axis]);
            let side = size.min(1 << ((bits - bits / 5) / (axes + 1 - axis) as u32));
            bits -= side.next_power_of_two().ilog2();
            let part = |rows: &Vec<usize>, begin: usize| -> Vec<usize> {
                let steps = begin..size.min(begin + side);
                rows.iter().flat_map(|row| steps.clone().map(move |step| row + step * stride)).collect()
            };
            let parts = |rows: &Vec<usize>| (0..size).step_by(side).map(|begin| part(rows, begin)).collect::<Vec<_>>();
            boxes = boxes.iter().flat_map(parts).collect();
        }
        let columns = (0..self.width).step_by(1 << bits).map(|begin| begin..self.width.min(begin + (1 << bits)));
        boxes.iter().flat_map(|rows| columns.clone().map(|columns| Tile { rows: rows.clone(), columns })).collect()
    }

    /// The rows in reach of a row, itself left out; `None` for one outside.
    pub fn around(&self, row: usize) -> Vec<Option<usize>> {
        let Some(outer) = &self.outer else { return Vec::new() };
        match self.reach {
            Reach::Axes => (0..outer.axes()).flat_map(|axis| [-1, 1].map(|step| outer.step(row, axis, step))).collect(),
            Reach::Box => {
                let mut rows = vec![Some(row)];
                for axis in 0..outer.axes() {
                    let beside = |step| rows.iter().map(move |row| row.and_then(|row| outer.step(row, axis, step)));
                    let beside: Vec<Option<usize>> = beside(-1).chain(beside(1)).collect();
                    rows.extend(beside);
                }
                rows.split_off(1)
            }
        }
    }

    /// The samples in reach of a sample.
    pub fn neighbours(&self, sample: u32) -> Vec<u32> {
        let (row, i) = (sample as usize / self.width, sample as usize % self.width);
        let left = i.checked_sub(1).or(self.ring.then_some(self.width - 1));
        let right = Some(i + 1).filter(|&right| right < self.width).or(self.ring.then_some(0));
        let aside = [left, right].into_iter().flatten();
        let mut all: Vec<usize> = aside.clone().map(|at| row * self.width + at).collect();
        for row in self.around(row).into_iter().flatten() {
            all.push(row * self.width + i);
            if self.reach == Reach::Box {
                all.extend(aside.clone().map(|at| row * self.width + at));
            }
        }
        all.into_iter().map(|sample| sample as u32).collect()
    }
}
