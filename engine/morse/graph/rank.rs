//! The places of cells in THE total order: by value, vertices before edges, by number.

use super::function::Graph;
use crate::machine::pool::Pool;
use crate::morse::levels::Keys;
use crate::order::{packed, place};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Cells by rank and ranks by cell: all vertices, and the edges with a value above both ends.
#[derive(Clone, Debug)]
pub(super) struct Ranks {
    /// The cell of each rank.
    pub cells: Vec<u32>,
    /// The rank of each cell; 0 for edges that enter with a vertex, so that the greatest of an edge's rank and its ends' is
    /// the rank at which it enters.
    pub of: Vec<u32>,
    /// Ranks from here on are in no sublevel set.
    pub present: u32,
}

impl Ranks {
    /// Sorts the cells of a graph. O(n log n), in parallel.
    pub fn new(graph: &Graph, pool: &Pool) -> Ranks {
        let counts = |cell: &usize| *cell < graph.n || graph.own[cell - graph.n];
        let all = || (0..graph.n + graph.own.len()).filter(counts);
        let cells: Vec<u32> = match graph.levels.keys() {
            Keys::Narrow(keys) => {
                let keyed = all().map(|cell| packed(keys[cell], cell as u32)).collect();
                sorted(keyed, pool).into_iter().map(|cell| cell as u32).collect()
            }
            Keys::Wide(keys) => {
                let keyed = all().map(|cell| place(keys[cell], cell as u32)).collect();
                sorted(keyed, pool).into_iter().map(|cell| cell as u32).collect()
            }
        };
        let of: Vec<AtomicU32> = (0..graph.n + graph.own.len()).map(|_| AtomicU32::new(0)).collect();
        let tile = cells.len().div_ceil(16 * pool.workers()).max(1);
        pool.map(cells.len().div_ceil(tile), &|i| {
            for (rank, &cell) in cells.iter().enumerate().skip(i * tile).take(tile) {
                of[cell as usize].store(rank as u32, Relaxed);
            }
        });
        let of = of.into_iter().map(AtomicU32::into_inner).collect();
        let present = cells.partition_point(|&cell| !graph.levels.is_absent(cell as usize)) as u32;
        Ranks { cells, of, present }
    }
}

/// Sorts distinct numbers: parts at once, then pairs of parts.
fn sorted<T: Copy + Ord + Send + Sync>(mut all: Vec<T>, pool: &Pool) -> Vec<T> {
    let parts = pool.workers().next_power_of_two().min(64);
    if parts == 1 || all.len() < 1 << 14 {
        all.sort_unstable();
        return all;
    }
    let mut size = all.len().div_ceil(parts);
    in_parts(&mut all, size, pool, |_, part| part.sort_unstable());
    let mut other = all.clone();
    while size < all.len() {
        in_parts(&mut other, 2 * size, pool, |i, to| {
            let from = &all[2 * size * i..2 * size * i + to.len()];
            let (a, b) = from.split_at(size.min(from.len()));
            merge(a, b, to);
        });
        std::mem::swap(&mut all, &mut other);
        size *= 2;
    }
    all
}

/// Hands each part of a slice to a worker.
fn in_parts<T: Send>(all: &mut [T], size: usize, pool: &Pool, body: impl Fn(usize, &mut [T]) + Sync) {
    let parts: Vec<Mutex<&mut [T]>> = all.chunks_mut(size).map(Mutex::new).collect();
    pool.run(parts.len(), &|i, _| body(i, &mut parts[i].lock().unwrap_or_else(PoisonError::into_inner)));
}

/// Merges two sorted slices without branches that nobody can predict.
fn merge<T: Copy + Ord>(a: &[T], b: &[T], to: &mut [T]) {
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        let first = a[i] < b[j];
        to[i + j] = if first { a[i] } else { b[j] };
        i += usize::from(first);
        j += usize::from(!first);
    }
    let at = i + j;
    to[at..at + a.len() - i].copy_from_slice(&a[i..]);
    to[at + a.len() - i..].copy_from_slice(&b[j..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_parts_sorts() {
        for threads in [1, 2, 3, 5, 8] {
            let numbers: Vec<u64> = (0..50_001_u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
            let mut expected = numbers.clone();
            expected.sort_unstable();
            assert_eq!(sorted(numbers, &Pool::new(threads)), expected, "{threads} threads");
        }
    }
}
