//! Steepest descent on a graph, and the lowest edges between its basins.
//!
//! The edges are read twice, in the order they came, and nothing is sorted but the edges that remain: those between basins,
//! without the ones that a small table of the lowest edge seen for each pair of basins shows to be superfluous.

use super::function::Graph;
use super::rank::Ranks;
use crate::machine::pool::Pool;
use crate::morse::labels::{BASIN, NOWHERE, lead_home};
use crate::order::packed;
use crate::union_find::UnionFind;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Edges or vertices that a worker takes at a time.
const TILE: usize = if cfg!(test) { 8 } else { 1 << 16 };
/// Slots of the table of lowest edges: it stays in a core's cache.
const SLOTS: usize = if cfg!(test) { 4 } else { 1 << 13 };
/// So many edges are sorted at once.
const SORTED: usize = if cfg!(test) { 4 } else { 1 << 14 };

/// Where every vertex descends to.
#[derive(Clone, Debug)]
pub(super) struct Basins {
    /// The lowest neighbour of each vertex; itself for a minimum, and where the vertex is in no sublevel set.
    pub down: Vec<u32>,
    /// The minimum each vertex descends to, an index of `minima`, or [`NOWHERE`].
    pub of: Vec<u32>,
    /// The minima, eldest first.
    pub minima: Vec<u32>,
}

/// An edge between basins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bridge {
    /// The rank at which it enters.
    pub height: u32,
    /// The rank of its lower end.
    pub low: u32,
    pub basins: (u32, u32),
}

impl Basins {
    /// Descends from every vertex.
    pub fn new(graph: &Graph, ranks: &Ranks, pool: &Pool) -> Basins {
        let n = graph.n;
        let lowest: Vec<AtomicU32> = ranks.of[..n].iter().map(|&rank| AtomicU32::new(rank)).collect();
        each(graph.edges.len(), pool, |tile| {
            for e in tile {
                let [a, b] = graph.edges[e].map(|v| v as usize);
                let (i, j) = (ranks.of[a], ranks.of[b]);
                let (high, low) = if i > j { (a, j) } else { (b, i) };
                // An edge that enters above its ends leads nowhere down; nor does one in no sublevel set.
                let enters_with_end = graph.own.is_empty() || !graph.own[e];
                if low < lowest[high].load(Relaxed) && enters_with_end && i.max(j) < ranks.present {
                    lowest[high].fetch_min(low, Relaxed);
                }
            }
        });
        let down: Vec<AtomicU32> = lowest;
        let labels: Vec<AtomicU32> = (0..n).map(|_| AtomicU32::new(BASIN | NOWHERE)).collect();
        let tiles = n.div_ceil(TILE);
        let minima = pool.map(tiles, &|i| {
            let mut minima = Vec::new();
            for v in i * TILE..n.min((i + 1) * TILE) {
                let (rank, low) = (ranks.of[v], down[v].load(Relaxed));
                let next = ranks.cells[low as usize];
                down[v].store(next, Relaxed);
                if rank < ranks.present && low == rank {
                    minima.push(rank);
                } else if rank < ranks.present {
                    labels[v].store(next, Relaxed);
                }
            }
            minima
        });
        let mut minima = minima.concat();
        minima.sort_unstable();
        minima.iter_mut().for_each(|minimum| *minimum = ranks.cells[*minimum as usize]);
        for (basin, &minimum) in minima.iter().enumerate() {
            labels[minimum as usize].store(BASIN | basin as u32, Relaxed);
        }
        each(n, pool, |tile| lead_home(tile, &labels));
        Basins {
            down: down.into_iter().map(AtomicU32::into_inner).collect(),
            of: labels.into_iter().map(|label| label.into_inner() & !BASIN).collect(),
            minima,
        }
    }

    /// The edges between basins that first join two components, in order: the minimum spanning forest of the basins. Of
    /// edges that enter with the same vertex the one with the lower other end comes first.
    pub fn bridges(&self, graph: &Graph, ranks: &Ranks, pool: &Pool) -> Vec<Bridge> {
        let found = pool.map(graph.edges.len().div_ceil(TILE * 4), &|i| {
            let tile = i * 4 * TILE..graph.edges.len().min((i + 1) * 4 * TILE);
            self.crossing(graph, ranks, tile)
        });
        let mut bridges = Vec::new();
        let mut components = UnionFind::new(self.minima.len());
        span(&mut found.concat(), &mut components, &mut bridges);
        bridges
    }

    /// The edges of a tile between basins, packed by [`pack`]; most of those that are not the lowest between their two
    /// are left out.
    fn crossing(&self, graph: &Graph, ranks: &Ranks, tile: Range<usize>) -> Vec<u128> {
        let mut lowest = [(0_u64, 0_u64); SLOTS]; // No two basins are 0 and 0.
        let mut found = Vec::new();
        for e in tile {
            let [a, b] = graph.edges[e].map(|v| v as usize);
            let (x, y) = (self.of[a], self.of[b]);
            if x == y || x == NOWHERE || y == NOWHERE {
                continue;
            }
            let (i, j) = (ranks.of[a], ranks.of[b]);
            let mut height = i.max(j);
            if !graph.own.is_empty() {
                height = height.max(ranks.of[graph.n + e]);
                if height >= ranks.present {
                    continue;
                }
            }
            let (pair, place) = (packed(x.min(y), x.max(y)), packed(height, i.min(j)));
            let slot = &mut lowest[(pair.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize % SLOTS];
            if slot.0 != pair || place < slot.1 {
                *slot = (pair, place);
                found.push(pack(place, pair));
            }
        }
        found
    }
}

/// Calls `body` with tiles of `0..n`.
fn each(n: usize, pool: &Pool, body: impl Fn(Range<usize>) + Sync) {
    pool.run(n.div_ceil(TILE), &|i, _| body(i * TILE..n.min((i + 1) * TILE)));
}

fn pack(place: u64, pair: u64) -> u128 {
    u128::from(place) << 64 | u128::from(pair)
}

fn unpack(bridge: u128) -> Bridge {
    let part = |i: u32| (bridge >> (32 * i)) as u32;
    Bridge { height: part(3), low: part(2), basins: (part(1), part(0)) }
}

/// Kruskal's algorithm with a filter (Osipov, Sanders, Singler 2009): the lower half first, then what it has not joined of
/// the upper one, so that most edges are never sorted.
fn span(edges: &mut [u128], components: &mut UnionFind, bridges: &mut Vec<Bridge>) {
    if edges.len() <= SORTED {
        edges.sort_unstable();
        bridges.extend(edges.iter().map(|&edge| unpack(edge)).filter(|bridge| {
            let (a, b) = bridge.basins;
            components.merge(a, b).is_some()
        }));
        return;
    }
    let half = edges.len() / 2;
    edges.select_nth_unstable(half);
    let (low, high) = edges.split_at_mut(half);
    span(low, components, bridges);
    let mut kept = 0;
    for i in 0..high.len() {
        let (a, b) = unpack(high[i]).basins;
        if components.eldest(a) != components.eldest(b) {
            high[kept] = high[i];
            kept += 1;
        }
    }
    span(&mut high[..kept], components, bridges);
}
