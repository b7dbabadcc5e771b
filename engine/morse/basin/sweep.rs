//! One sweep over a grid, and what every sample finds first in its reach.

use super::rows::{Rows, Tile};
use crate::morse::grid::{Field, Reach};
use crate::morse::labels::{BASIN, NOWHERE};
use crate::order::{Key, precedes};
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// In the place of a sample: the outside of the grid.
pub const OUTSIDE: u32 = u32::MAX;

/// A component that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Merge {
    /// The sample at which it ends.
    pub death: u32,
    /// The first sample of the component.
    pub birth: u32,
    /// The first sample of the component that swallows it once all that meets at `death` has joined; `None` is the outside.
    pub elder: Option<u32>,
    /// The two basins that touch there, indices of `Components::minima`.
    pub basins: [u32; 2],
}

/// A sweep from the lowest sample up or, with `DOWN`, from the highest one down.
pub(super) struct Sweeper<'a, K, const DOWN: bool> {
    pub field: Field<'a, K>,
    pub reach: Reach,
    /// The outside takes part.
    pub walled: bool,
    pub rows: Rows,
}

impl<'a, K: Key, const DOWN: bool> Sweeper<'a, K, DOWN> {
    pub fn new(field: &Field<'a, K>, reach: Reach) -> Self {
        let walled = DOWN && !field.shape.periodic.iter().all(|&closed| closed);
        Sweeper { field: *field, reach, walled, rows: Rows::new(field.shape, reach) }
    }

    /// Whether the sweep comes to (key, sample) `a` before `b`.
    pub fn before(a: (K, u32), b: (K, u32)) -> bool {
        if DOWN { precedes(b, a) } else { precedes(a, b) }
    }

    pub fn place(&self, sample: u32) -> (K, u32) {
        (self.field.keys[sample as usize], sample)
    }

    pub fn takes_part(&self, sample: usize) -> bool {
        DOWN || self.field.is_present(sample)
    }

    /// Points every sample of a tile to the first in its reach; returns those that are first themselves.
    pub fn point(&self, tile: &Tile, labels: &[AtomicU32]) -> Vec<u32> {
        let width = self.rows.width;
        let columns = tile.columns.clone();
        let (mut best, mut beside, mut minima) = (Vec::new(), Vec::new(), Vec::new());
        for &row in &tile.rows {
            let around = self.rows.around(row);
            let labels = &labels[row * width..(row + 1) * width];
            if self.walled && around.contains(&None) {
                // The outside is the first basin.
                labels[columns.clone()].iter().for_each(|label| label.store(BASIN, Relaxed));
                continue;
            }
            let around: Vec<usize> = around.into_iter().flatten().collect();
            if self.reach == Reach::Axes {
                self.first_across(row, &around, columns.clone(), &mut best);
                self.look_aside(&mut best, &columns, |i| self.place((row * width + i) as u32));
            } else {
                let wide = columns.start.saturating_sub(1)..width.min(columns.end + 1);
                self.first_across(row, &around, wide.clone(), &mut beside);
                best.clear();
                best.extend_from_slice(&beside[columns.start - wide.start..][..columns.len()]);
                let mut far = Vec::new();
                self.look_aside(&mut best, &columns, |i| {
                    beside.get(i.wrapping_sub(wide.start)).copied().unwrap_or_else(|| {
                        self.first_across(row, &around, i..i + 1, &mut far);
                        far[0]
                    })
                });
            }
            for ((i, (_, first)), label) in columns.clone().zip(&best).zip(&labels[columns.clone()]) {
                let sample = (row * width + i) as u32;
                let outside = self.walled && !self.rows.ring && (i == 0 || i + 1 == width);
                let to = match *first {
                    _ if outside => BASIN,
                    _ if !self.takes_part(sample as usize) => BASIN | NOWHERE,
                    first => first,
                };
                label.store(to, Relaxed);
                if to == sample {
                    minima.push(sample);
                }
            }
        }
        minima
    }

    /// For some columns the first sample among those in a row and the rows around it.
    fn first_across(&self, row: usize, around: &[usize], columns: Range<usize>, best: &mut Vec<(K, u32)>) {
        let places = |row: usize| {
            let samples = row * self.rows.width + columns.start..row * self.rows.width + columns.end;
            self.field.keys[samples.clone()].iter().copied().zip(samples.start as u32..)
        };
        best.clear();
        best.extend(places(row));
        for &neighbour in around {
            for (best, there) in best.iter_mut().zip(places(neighbour)) {
                if Self::before(there, *best) {
                    *best = there;
                }
            }
        }
    }

    /// Brings the entry of every column to the first of itself and of `of` on both sides.
    fn look_aside(&self, best: &mut [(K, u32)], columns: &Range<usize>, mut of: impl FnMut(usize) -> (K, u32)) {
        let last = self.rows.width - 1;
        let mut look = |i: usize, at: usize| {
            let (there, best) = (of(at), &mut best[i - columns.start]);
            if Self::before(there, *best) {
                *best = there;
            }
        };
        for i in columns.start.max(1)..columns.end {
            look(i, i - 1);
        }
        for i in columns.start..columns.end.min(last) {
            look(i, i + 1);
        }
        if self.rows.ring && columns.start == 0 {
            look(0, last);
        }
        if self.rows.ring && columns.end > last {
            look(last, 0);
        }
    }
}
