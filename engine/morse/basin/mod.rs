//! Basins of a grid and how they merge: degree 0 of the sublevel sets and, of the superlevel sets with the outside as one
//! more component, the dual of degree n - 1.
//!
//! Every sample points to the first sample in its reach and so belongs to the basin of a minimum (this file). Only edges
//! between basins can merge anything, and tiles decide most of them alone (`forest.rs`).

mod forest;
mod rows;

use self::rows::{Rows, Tile};
use super::grid::{Field, Grid, Reach};
use crate::machine::pool::Pool;
use crate::order::Key;
use crate::with_field;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Which sets are swept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// Sublevel sets, from the lowest sample up.
    Up,
    /// Superlevel sets, from the highest sample down, beginning with the outside, where the grid has one.
    Down,
}

/// A component that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Merge {
    /// The sample at which it ends.
    pub death: u32,
    /// The first sample of the component.
    pub birth: u32,
    /// The first sample of the component that swallows it once all that meets at `death` has joined; `None` is the outside.
    pub elder: Option<u32>,
    /// The two basins that touch there, indices of [`Components::minima`].
    pub basins: [u32; 2],
}

/// The components of all sublevel or superlevel sets.
#[derive(Clone, Debug, Default)]
pub struct Components {
    /// In no particular order, but always in the same.
    pub merges: Vec<Merge>,
    /// The first samples of those that never end, the outside left out.
    pub lasting: Vec<u32>,
    /// The basin of each sample, an index of `minima`; [`NOWHERE`] for samples that take no part.
    pub basins: Vec<u32>,
    /// The first sample of each basin; [`OUTSIDE`] for the outside.
    pub minima: Vec<u32>,
}

impl Components {
    /// The basins of the minima of a grid; of its maxima where superlevel sets are asked for. O(N) and a sort.
    pub fn of(grid: &Grid, pool: &Pool) -> Components {
        with_field!(grid, field => components(&field, grid.construction.reach(), Sweep::Up, pool))
    }

    /// For every sample the first one of its basin, a minimum; -1 for samples in no sublevel set. Of an upward sweep
    /// only.
    pub fn labels(&self) -> Vec<i64> {
        let minimum = |&basin: &u32| if basin == NOWHERE { -1 } else { self.minima[basin as usize].into() };
        self.basins.iter().map(minimum).collect()
    }
}

/// In the place of a sample: the outside of the grid.
pub const OUTSIDE: u32 = u32::MAX;
/// In the place of a basin: none.
pub const NOWHERE: u32 = BASIN - 1;
/// Marks a label as a basin; without it, it is a sample that leads to one.
pub(super) const BASIN: u32 = 1 << 31;
/// Sweeps a grid. O(N) and a sort of the samples of each tile at which basins touch; 4 bytes a sample besides the keys. Samples in no sublevel set take no part in an upward sweep and are the first in a downward one.
pub fn components<K: Key>(field: &Field<'_, K>, reach: Reach, sweep: Sweep, pool: &Pool) -> Components {
    match sweep {
        Sweep::Up => Sweeper::<K, false>::new(field, reach).run(pool),
        Sweep::Down => Sweeper::<K, true>::new(field, reach).run(pool),
    }
}

struct Sweeper<'a, K, const DOWN: bool> {
    field: Field<'a, K>,
    reach: Reach,
    /// The outside takes part.
    walled: bool,
    rows: Rows,
}

impl<'a, K: Key, const DOWN: bool> Sweeper<'a, K, DOWN> {
    fn new(field: &Field<'a, K>, reach: Reach) -> Self {
        let walled = DOWN && !field.shape.periodic.iter().all(|&closed| closed);
        Sweeper { field: *field, reach, walled, rows: Rows::new(field.shape, reach) }
    }

    /// Whether the sweep comes to (key, sample) `a` before `b`.
    fn before(a: (K, u32), b: (K, u32)) -> bool {
        // Without branches: on rough functions none of them could be predicted.
        let (a, b) = if DOWN { (b, a) } else { (a, b) };
        (a.0 < b.0) | ((a.0 == b.0) & (a.1 < b.1))
    }

    fn place(&self, sample: u32) -> (K, u32) {
        (self.field.keys[sample as usize], sample)
    }

    fn takes_part(&self, sample: usize) -> bool {
        DOWN || self.field.is_present(sample)
    }

    fn run(&self, pool: &Pool) -> Components {
        let tiles = self.rows.tiles();
        let labels: Vec<AtomicU32> = (0..self.field.keys.len()).map(|_| AtomicU32::new(0)).collect();
        // Every sample points to the first in its reach; those that are first themselves are numbered tile by tile.
        let found = pool.map(tiles.len(), &|tile| self.point(&tiles[tile], &labels));
        let mut minima = if self.walled { vec![OUTSIDE] } else { Vec::new() };
        let mut own = Vec::with_capacity(tiles.len());
        for tile in found {
            let first = minima.len() as u32;
            minima.extend(tile);
            own.push(first..minima.len() as u32);
        }
        pool.map(tiles.len(), &|tile| {
            for basin in own[tile].clone() {
                labels[minima[basin as usize] as usize].store(BASIN | basin, Relaxed);
            }
        });
        pool.map(tiles.len(), &|tile| {
            for row in &tiles[tile].rows {
                let begin = row * self.rows.width;
                lead_home(begin + tiles[tile].columns.start..begin + tiles[tile].columns.end, &labels);
            }
        });
        let basins: Vec<u32> = labels.into_iter().map(|label| label.into_inner() & !BASIN).collect();
        let (merges, lasting) = self.merges(&tiles, &own, &basins, &minima, pool);
        Components { merges, lasting, basins, minima }
    }

    /// Points every sample of a tile to the first in its reach; returns those that are first themselves.
    fn point(&self, tile: &Tile, labels: &[AtomicU32]) -> Vec<u32> {
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

/// The way from a sample down to the minimum of its basin, the steepest at every step, both ends included.
pub fn descent<K: Key>(field: &Field<'_, K>, reach: Reach, sample: u32) -> Vec<u32> {
    let rows = Rows::new(field.shape, reach);
    let mut way = vec![sample];
    while let Some(&last) = way.last() {
        let place = |at: &u32| (field.keys[*at as usize], *at);
        match rows.neighbours(last).into_iter().min_by_key(place).filter(|next| place(next) < place(&last)) {
            Some(next) => way.push(next),
            None => break,
        }
    }
    way
}

/// The path through a merge: from the minimum of one of its basins up to the sample at which it happens, and down to the
/// minimum of the other.
pub fn path<K: Key>(field: &Field<'_, K>, reach: Reach, components: &Components, merge: &Merge) -> Vec<u32> {
    let rows = Rows::new(field.shape, reach);
    let place = |at: &u32| (field.keys[*at as usize], *at);
    let [own, other] = merge.basins;
    let beyond = |at: &u32| components.basins[*at as usize] == other && place(at) < place(&merge.death);
    let mut path = descent(field, reach, merge.death);
    debug_assert_eq!(path.last(), components.minima.get(own as usize));
    path.reverse();
    let gate = rows.neighbours(merge.death).into_iter().filter(beyond).min_by_key(place);
    path.extend(gate.into_iter().flat_map(|gate| descent(field, reach, gate)));
    path
}

/// Replaces the labels of some samples, which lead from sample to sample, by the basin at the end.
pub(super) fn lead_home(samples: Range<usize>, labels: &[AtomicU32]) {
    for sample in samples {
        let mut at = labels[sample].load(Relaxed);
        while at & BASIN == 0 {
            at = labels[at as usize].load(Relaxed);
        }
        let (basin, mut walk) = (at, sample);
        loop {
            // Another thread may have been here: whatever it wrote leads to the same basin.
            let next = labels[walk].load(Relaxed);
            if next & BASIN != 0 {
                break;
            }
            labels[walk].store(basin, Relaxed);
            walk = next as usize;
        }
    }
}
