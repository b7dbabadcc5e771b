//! Basins of a grid and how they merge: degree 0 of the sublevel sets and, of the superlevel sets with the outside as one
//! more component, the dual of degree n - 1.
//!
//! Every sample points to the first sample in its reach and so belongs to the basin of a minimum (`sweep.rs`). Only edges
//! between basins can merge anything, and tiles decide most of them alone (`forest.rs`).

mod forest;
mod rows;
mod sweep;

pub use super::labels::NOWHERE;
pub use sweep::{Merge, OUTSIDE};

use super::grid::{Field, Grid, Reach, with_field};
use super::labels::{BASIN, lead_home};
use crate::machine::pool::Pool;
use crate::order::Key;
use rows::Rows;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use sweep::Sweeper;

/// Which sets are swept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// Sublevel sets, from the lowest sample up.
    Up,
    /// Superlevel sets, from the highest sample down, beginning with the outside, where the grid has one.
    Down,
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

/// Sweeps a grid. O(N) and a sort of the samples of each tile at which basins touch; 4 bytes a sample besides the keys. Samples in no sublevel set take no part in an upward sweep and are the first in a downward one.
pub fn components<K: Key>(field: &Field<'_, K>, reach: Reach, sweep: Sweep, pool: &Pool) -> Components {
    match sweep {
        Sweep::Up => swept(&Sweeper::<K, false>::new(field, reach), pool),
        Sweep::Down => swept(&Sweeper::<K, true>::new(field, reach), pool),
    }
}

fn swept<K: Key, const DOWN: bool>(sweeper: &Sweeper<'_, K, DOWN>, pool: &Pool) -> Components {
    let tiles = sweeper.rows.tiles();
    let labels: Vec<AtomicU32> = (0..sweeper.field.keys.len()).map(|_| AtomicU32::new(0)).collect();
    // Every sample points to the first in its reach; those that are first themselves are numbered tile by tile.
    let found = pool.map(tiles.len(), &|tile| sweeper.point(&tiles[tile], &labels));
    let mut minima = if sweeper.walled { vec![OUTSIDE] } else { Vec::new() };
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
            let begin = row * sweeper.rows.width;
            lead_home(begin + tiles[tile].columns.start..begin + tiles[tile].columns.end, &labels);
        }
    });
    let basins: Vec<u32> = labels.into_iter().map(|label| label.into_inner() & !BASIN).collect();
    let (merges, lasting) = sweeper.merges(&tiles, &own, &basins, &minima, pool);
    Components { merges, lasting, basins, minima }
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
