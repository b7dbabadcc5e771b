//! Basins of a grid and how they merge: degree 0 of the sublevel sets and, of the superlevel sets with the outside as one
//! more component, the dual of degree n - 1.
//!
//! Every sample points to the lowest sample in its reach and so belongs to the basin of a minimum. Only edges between
//! basins can merge anything. Tiles of fixed size keep of theirs the minimum spanning forest, in parallel; what is left
//! is sorted once and merged under the elder rule. The forest of a union is that of the forests (the cycle property of
//! spanning trees, edges being in one total order), so tiles change nothing but the time.

use super::grid::{Field, Grid, Reach};
use super::rows::Rows;
use crate::order::Key;
use crate::pool::Pool;
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
    /// In order of the sweep; of equal deaths by age.
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

    /// Of an upward sweep: for every sample the first one of its basin, a minimum; -1 for samples in no sublevel set.
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

/// Sweeps a grid. O(N) and a sort of one edge for each pair of neighbouring basins of a tile; 4 bytes a sample besides the
/// keys. Samples in no sublevel set take no part in an upward sweep and are the first in a downward one.
pub fn components<K: Key>(field: &Field<'_, K>, reach: Reach, sweep: Sweep, pool: &Pool) -> Components {
    match sweep {
        Sweep::Up => Sweeper::<K, false>::new(field, reach).run(pool),
        Sweep::Down => Sweeper::<K, true>::new(field, reach).run(pool),
    }
}

/// An edge between two basins, at the later of its ends.
#[derive(Clone, Copy, Debug)]
struct Edge<K> {
    key: K,
    at: u32,
    a: u32,
    b: u32,
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
        let forests = pool.map(tiles.len(), &|tile| forest(self.sorted(self.edges(tiles[tile].clone(), &basins))));
        let edges = self.merge_sorted(forests, pool);
        let (merges, lasting) = self.merge(&edges, &minima);
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

    /// The edges from the samples of some rows to earlier ones in other basins.
    fn edges(&self, rows: Range<usize>, basins: &[u32]) -> Vec<Edge<K>> {
        let width = self.rows.width;
        let mut edges: Vec<Edge<K>> = Vec::new();
        let mut mixed = vec![0_u32; width];
        let Some(&key) = self.field.keys.first() else { return edges };
        let mut lower = [Edge { key, at: 0, a: 0, b: 0 }; 81]; // More than there are neighbours.
        for row in rows {
            let begin = row * width;
            let own = &basins[begin..begin + width];
            let around: Vec<usize> = self.rows.around(row).into_iter().flatten().collect();
            // Almost every sample of a smooth function has one basin around it: those are passed over by the row.
            mixed.fill(0);
            for &neighbour in &around {
                let other = &basins[neighbour * width..(neighbour + 1) * width];
                mixed.iter_mut().zip(own).zip(other).for_each(|((mixed, own), other)| *mixed |= own ^ other);
            }
            for i in 1..width {
                let differ = own[i - 1] ^ own[i];
                let (left, right) = if self.reach == Reach::Box { (mixed[i - 1], mixed[i]) } else { (0, 0) };
                mixed[i - 1] |= differ | right;
                mixed[i] |= differ | left;
            }
            if self.rows.ring {
                (mixed[0], mixed[width - 1]) = (1, 1);
            }
            for i in (0..width).filter(|&i| mixed[i] != 0) {
                let (sample, basin) = (begin + i, own[i]);
                if !self.takes_part(sample) {
                    continue;
                }
                let place = self.place(sample as u32);
                let mut count = 0;
                let mut look = |other: usize| {
                    let there = basins[other];
                    // Written in any case and kept if it is one: again no branch to predict.
                    lower[count] = Edge { key: place.0, at: place.1, a: basin, b: there };
                    count += usize::from((there != basin) & Self::before(self.place(other as u32), place));
                };
                let left = i.checked_sub(1).or(self.rows.ring.then_some(width - 1));
                let right = Some(i + 1).filter(|&right| right < width).or(self.rows.ring.then_some(0));
                let aside = [left, right];
                aside.into_iter().flatten().for_each(|at| look(begin + at));
                for &neighbour in &around {
                    look(neighbour * width + i);
                    if self.reach == Reach::Box {
                        aside.into_iter().flatten().for_each(|at| look(neighbour * width + at));
                    }
                }
                let begun = edges.len();
                for edge in &lower[..count] {
                    if self.reach == Reach::Axes || edges[begun..].iter().all(|known| known.b != edge.b) {
                        edges.push(*edge);
                    }
                }
            }
        }
        edges
    }

    /// Sorts the edges of a tile, which come in the order of their samples, into that of the sweep: by the leading bits
    /// of the keys and the number of the edge in one word, then by what those bits do not tell.
    fn sorted(&self, edges: Vec<Edge<K>>) -> Vec<Edge<K>> {
        const NUMBER: u32 = 24; // A tile has fewer edges than 2^24.
        let wide = |edge: &Edge<K>| if DOWN { !edge.key.wide() } else { edge.key.wide() };
        let least = edges.iter().map(wide).min().unwrap_or(0);
        let range = edges.iter().map(wide).max().unwrap_or(0) - least;
        let shift = (u64::BITS - range.leading_zeros()).saturating_sub(u64::BITS - NUMBER);
        let last = edges.len().saturating_sub(1);
        let number = |i: usize| if DOWN { last - i } else { i };
        let word = |(i, edge): (usize, &Edge<K>)| (wide(edge) - least) >> shift << NUMBER | number(i) as u64;
        let mut words: Vec<u64> = edges.iter().enumerate().map(word).collect();
        words.sort_unstable();
        let mut sorted: Vec<Edge<K>> =
            words.iter().map(|word| edges[number((word & ((1 << NUMBER) - 1)) as usize)]).collect();
        if shift > 0 {
            let mut begin = 0;
            for run in words.chunk_by(|a, b| a >> NUMBER == b >> NUMBER) {
                // Stable: equal keys keep their order.
                sorted[begin..begin + run.len()].sort_by_key(wide);
                begin += run.len();
            }
        }
        sorted
    }

    /// Joins sorted lists into one sorted list, pairwise and in parallel.
    fn merge_sorted(&self, mut lists: Vec<Vec<Edge<K>>>, pool: &Pool) -> Vec<Edge<K>> {
        let before = |a: &Edge<K>, b: &Edge<K>| Self::before((a.key, a.at), (b.key, b.at));
        while lists.len() > 1 {
            let pairs: Vec<&[Vec<Edge<K>>]> = lists.chunks(2).collect();
            lists = pool.map(pairs.len(), &|pair| match pairs[pair] {
                [a, b] => {
                    let mut merged = Vec::with_capacity(a.len() + b.len());
                    let (mut i, mut j) = (0, 0);
                    while i < a.len() && j < b.len() {
                        let second = before(&b[j], &a[i]);
                        merged.push(if second { b[j] } else { a[i] });
                        j += usize::from(second);
                        i += usize::from(!second);
                    }
                    merged.extend_from_slice(&a[i..]);
                    merged.extend_from_slice(&b[j..]);
                    merged
                }
                rest => rest.concat(),
            });
        }
        lists.pop().unwrap_or_default()
    }

    /// Merges basins over sorted edges under the elder rule.
    fn merge(&self, edges: &[Edge<K>], minima: &[u32]) -> (Vec<Merge>, Vec<u32>) {
        let elder = |a: u32, b: u32| match (minima[a as usize], minima[b as usize]) {
            (OUTSIDE, _) => true,
            (_, OUTSIDE) => false,
            (a, b) => Self::before(self.place(a), self.place(b)),
        };
        let mut parent: Vec<u32> = (0..minima.len() as u32).collect();
        let mut merges: Vec<Merge> = Vec::with_capacity(edges.len());
        let sample = |basin: u32| minima[basin as usize];
        for group in edges.chunk_by(|a, b| a.at == b.at) {
            let begun = merges.len();
            for edge in group {
                let (a, b) = (eldest(&mut parent, edge.a), eldest(&mut parent, edge.b));
                if a == b {
                    continue;
                }
                let (elder, dead) = if elder(a, b) { (a, b) } else { (b, a) };
                parent[dead as usize] = elder;
                merges.push(Merge {
                    death: edge.at,
                    birth: sample(dead),
                    elder: Some(sample(elder)),
                    basins: [edge.a, edge.b],
                });
            }
            if merges.len() > begun + 1 {
                let last = sample(eldest(&mut parent, group[0].a));
                merges[begun..].iter_mut().for_each(|merge| merge.elder = Some(last));
                merges[begun..].sort_unstable_by(|a, b| {
                    let order = self.place(a.birth).cmp(&self.place(b.birth));
                    if DOWN { order.reverse() } else { order }
                });
            }
        }
        if self.walled {
            merges.iter_mut().for_each(|merge| merge.elder = merge.elder.filter(|&elder| elder != OUTSIDE));
        }
        let lasting = (0..minima.len() as u32).filter(|&basin| parent[basin as usize] == basin).map(sample);
        let mut lasting: Vec<u32> = lasting.filter(|&sample| sample != OUTSIDE).collect();
        lasting.sort_unstable_by_key(|&sample| self.place(sample));
        (merges, lasting)
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

/// The representative of a basin's component. Unlike [`UnionFind`](crate::union_find::UnionFind) it numbers members by
/// place, not by age: sorting millions of basins by age would cost more than all their merges.
fn eldest(parent: &mut [u32], mut i: u32) -> u32 {
    while parent[i as usize] != i {
        let grandparent = parent[parent[i as usize] as usize];
        parent[i as usize] = grandparent;
        i = grandparent;
    }
    i
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

/// Of sorted edges, those that join two components.
fn forest<K: Copy>(edges: Vec<Edge<K>>) -> Vec<Edge<K>> {
    // The basins of a tile are neighbours in number, or few in all.
    let ends = || edges.iter().flat_map(|edge| [edge.a, edge.b]);
    let (least, most) = (ends().min().unwrap_or(0), ends().max().unwrap_or(0));
    let mut parent: Vec<u32> = (0..=most - least).collect();
    let mut kept = Vec::new();
    for edge in edges {
        let (a, b) = (eldest(&mut parent, edge.a - least), eldest(&mut parent, edge.b - least));
        if a != b {
            parent[a as usize] = b;
            kept.push(edge);
        }
    }
    kept
}
