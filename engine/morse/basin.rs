//! Basins of a grid and how they merge: degree 0 of the sublevel sets and, of the superlevel sets with the outside as one
//! more component, the dual of degree n - 1.
//!
//! Every sample points to the lowest sample in its reach and so belongs to the basin of a minimum. Only edges between
//! basins can merge anything. Tiles of fixed size keep of theirs the minimum spanning forest, in parallel; what is left
//! is sorted once and merged under the elder rule. The forest of a union is that of the forests (the cycle property of
//! spanning trees, edges being in one total order), so tiles change nothing but the time.

mod forest;
mod rows;

use self::forest::Numbers;
use self::rows::Rows;
use super::grid::{Field, Reach};
use crate::order::Key;
use crate::pool::Pool;
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
    /// Its first sample.
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

/// In the place of a sample: the outside of the grid.
pub const OUTSIDE: u32 = u32::MAX;
/// In the place of a basin: none.
pub const NOWHERE: u32 = BASIN - 1;
/// Marks a label as a basin; without it, it is a sample that leads to one.
pub(super) const BASIN: u32 = 1 << 31;
/// Sweeps a grid. O(N) and a sort of one edge for each pair of neighbouring basins of a tile; 4 bytes a sample besides the
/// keys. Samples in no sublevel set take no part in an upward sweep and are the first in a downward one.
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
        // Every sample points to the first in its reach; those that are first themselves are numbered in scan order.
        let found = pool.map(tiles.len(), &|tile| self.point(tiles[tile].clone(), &labels));
        let mut minima = if self.walled { vec![OUTSIDE] } else { Vec::new() };
        let mut first = Vec::with_capacity(tiles.len() + 1);
        for tile in found {
            first.push(minima.len() as u32);
            minima.extend(tile);
        }
        first.push(minima.len() as u32);
        pool.map(tiles.len(), &|tile| {
            for basin in first[tile]..first[tile + 1] {
                labels[minima[basin as usize] as usize].store(BASIN | basin, Relaxed);
            }
        });
        pool.map(tiles.len(), &|tile| lead_home(self.rows.samples(&tiles[tile]), &labels));
        let basins: Vec<u32> = labels.into_iter().map(|label| label.into_inner() & !BASIN).collect();
        let at = |tile: usize| first[tile.min(tiles.len())];
        let numbers =
            |tile: usize| Numbers { own: at(tile)..at(tile + 1), near: at(tile.saturating_sub(1))..at(tile + 2) };
        let numbers: Vec<Numbers> = (0..tiles.len()).map(numbers).collect();
        let (merges, lasting) = self.merges(&tiles, &numbers, &basins, &minima, pool);
        Components { merges, lasting, basins, minima }
    }

    /// Points every sample of some rows to the first in its reach; returns those that are first themselves.
    fn point(&self, rows: Range<usize>, labels: &[AtomicU32]) -> Vec<u32> {
        let width = self.rows.width;
        let mut best: Vec<(K, u32)> = Vec::with_capacity(width);
        let mut minima = Vec::new();
        for row in rows {
            let (begin, around) = (row * width, self.rows.around(row));
            let labels = &labels[begin..begin + width];
            if self.walled && around.contains(&None) {
                labels.iter().for_each(|label| label.store(BASIN, Relaxed)); // The outside is the first basin.
                continue;
            }
            best.clear();
            best.extend(self.field.keys[begin..begin + width].iter().zip(begin as u32..).map(|(&key, at)| (key, at)));
            if self.reach == Reach::Axes {
                self.look_aside(&mut best, |i| self.place((begin + i) as u32));
            }
            for neighbour in around.into_iter().flatten() {
                let keys = &self.field.keys[neighbour * width..(neighbour + 1) * width];
                for ((best, &key), at) in best.iter_mut().zip(keys).zip((neighbour * width) as u32..) {
                    // A whole row comes before or after another: of equal keys the lesser index wins, or the greater.
                    if Self::before((key, at), *best) {
                        *best = (key, at);
                    }
                }
            }
            if self.reach == Reach::Box {
                let column = best.clone();
                self.look_aside(&mut best, |i| column[i]);
            }
            for (i, ((_, first), label)) in best.iter().zip(labels).enumerate() {
                let sample = (begin + i) as u32;
                let outside = self.walled && !self.rows.ring && (i == 0 || i + 1 == width);
                label.store(
                    match *first {
                        _ if outside => BASIN,
                        _ if !self.takes_part(begin + i) => BASIN | NOWHERE,
                        first => first,
                    },
                    Relaxed,
                );
                if *first == sample && label.load(Relaxed) & BASIN == 0 {
                    minima.push(sample);
                }
            }
        }
        minima
    }

    /// Brings every entry of a row to the first of itself and of `of` on both sides.
    fn look_aside(&self, best: &mut [(K, u32)], of: impl Fn(usize) -> (K, u32)) {
        let width = best.len();
        let mut look = |i: usize, at: usize| {
            let there = of(at);
            if Self::before(there, best[i]) {
                best[i] = there;
            }
        };
        for i in 1..width {
            look(i, i - 1);
            look(i - 1, i);
        }
        if self.rows.ring {
            look(0, width - 1);
            look(width - 1, 0);
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
