//! Basins of a grid and how they merge: degree 0 of the sublevel sets and, of the superlevel sets with the outside as one
//! more component, the dual of degree n - 1.
//!
//! Every sample points to the lowest sample in its reach and so belongs to the basin of a minimum. Only edges between
//! basins can merge anything. Tiles of fixed size keep of theirs the minimum spanning forest, in parallel; what is left
//! is sorted once and merged under the elder rule. The forest of a union is that of the forests (the cycle property of
//! spanning trees, edges being in one total order), so tiles change nothing but the time.

use super::grid::{Field, Reach, Shape};
use crate::order::Key;
use crate::pool::Pool;
use std::collections::HashMap;
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

/// In the place of a sample: the outside of the grid.
pub const OUTSIDE: u32 = u32::MAX;
/// In the place of a basin: none.
pub const NOWHERE: u32 = BASIN - 1;
/// Marks a label as a basin; without it, it is a sample that leads to one.
pub(super) const BASIN: u32 = 1 << 31;
/// Samples of a tile: its labels and edges stay in a core's cache.
const TILE: usize = if cfg!(test) { 8 } else { 1 << 16 }; // Tests of small grids see many tiles.

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
struct Edge<P> {
    at: P,
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

    /// A sample's place in the order of the sweep.
    fn place(&self, sample: usize) -> K::Packed {
        let key = self.field.keys[sample];
        if DOWN { key.pack_down(sample as u32) } else { key.pack(sample as u32) }
    }

    fn takes_part(&self, sample: usize) -> bool {
        DOWN || self.field.is_present(sample)
    }

    fn run(&self, pool: &Pool) -> Components {
        let n = self.field.keys.len();
        let tiles = self.rows.tiles();
        let labels: Vec<AtomicU32> = (0..n).map(|_| AtomicU32::new(0)).collect();
        // Every sample points to the lowest in its reach; those that point nowhere are minima, numbered in scan order.
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
        let forests = pool.map(tiles.len(), &|tile| {
            let mut edges = self.edges(tiles[tile].clone(), &labels);
            edges.sort_unstable_by_key(|edge| edge.at);
            forest(edges, first[tile]..first[tile + 1])
        });
        let edges = merge_sorted(forests, pool);
        let (merges, lasting) = self.merge(&edges, &minima);
        let basins = labels.into_iter().map(|label| label.into_inner() & !BASIN).collect();
        Components { merges, lasting, basins, minima }
    }

    /// Points every sample of some rows to the lowest in its reach; returns those that are lowest themselves.
    fn point(&self, rows: Range<usize>, labels: &[AtomicU32]) -> Vec<u32> {
        let width = self.rows.width;
        let (mut own, mut best) = (vec![K::LEAST; width], vec![K::LEAST; width]);
        let mut minima = Vec::new();
        for row in rows {
            let begin = row * width;
            own.iter_mut().enumerate().for_each(|(i, own)| *own = self.place(begin + i));
            best.copy_from_slice(&own);
            if self.reach == Reach::Axes {
                self.look_aside(&own, &mut best);
            }
            for neighbour in &self.rows.around(row) {
                match *neighbour {
                    Some(row) => {
                        let begin = row * width;
                        best.iter_mut().enumerate().for_each(|(i, best)| *best = (*best).min(self.place(begin + i)));
                    }
                    None if self.walled => best.fill(K::LEAST),
                    None => {}
                }
            }
            if self.reach == Reach::Box {
                let column = best.clone();
                self.look_aside(&column, &mut best);
            }
            for (i, (own, best)) in own.iter().zip(&best).enumerate() {
                let sample = begin + i;
                let takes_part = self.takes_part(sample);
                let label = match K::index(*best, DOWN) {
                    _ if !takes_part => BASIN | NOWHERE,
                    _ if *best == K::LEAST => BASIN, // The outside, the first basin.
                    lowest => lowest,
                };
                if best == own && takes_part {
                    minima.push(sample as u32);
                }
                labels[sample].store(label, Relaxed);
            }
        }
        minima
    }

    /// Lowers every entry of a row to the least of itself and its two neighbours in `of`.
    fn look_aside(&self, of: &[K::Packed], best: &mut [K::Packed]) {
        let width = of.len();
        for i in 1..width {
            best[i] = best[i].min(of[i - 1]);
            best[i - 1] = best[i - 1].min(of[i]);
        }
        if *self.field.shape.periodic.last().unwrap_or(&false) {
            best[0] = best[0].min(of[width - 1]);
            best[width - 1] = best[width - 1].min(of[0]);
        } else if self.walled {
            (best[0], best[width - 1]) = (K::LEAST, K::LEAST);
        }
    }

    /// The edges from the samples of some rows down into other basins.
    fn edges(&self, rows: Range<usize>, labels: &[AtomicU32]) -> Vec<Edge<K::Packed>> {
        let width = self.rows.width;
        let closed = *self.field.shape.periodic.last().unwrap_or(&false);
        let label = |sample: usize| labels[sample].load(Relaxed);
        let mut edges = Vec::new();
        let mut mixed = vec![0_u32; width];
        for row in rows {
            let own = &labels[row * width..(row + 1) * width];
            let around: Vec<usize> = self.rows.around(row).into_iter().flatten().collect();
            // Almost every sample of a smooth function has one basin around it: those are passed over by the row.
            mixed.fill(0);
            for &neighbour in &around {
                let other = &labels[neighbour * width..(neighbour + 1) * width];
                for ((mixed, own), other) in mixed.iter_mut().zip(own).zip(other) {
                    *mixed |= own.load(Relaxed) ^ other.load(Relaxed);
                }
            }
            if self.reach == Reach::Box {
                // A neighbour differs from this sample, or the one above it does from it.
                for i in 1..width {
                    mixed[i - 1] |= mixed[i];
                }
                for i in (1..width).rev() {
                    mixed[i] |= mixed[i - 1];
                }
            }
            for i in 0..width {
                let (left, right) = (i.checked_sub(1), Some(i + 1).filter(|&right| right < width));
                let left = left.or(closed.then_some(width - 1));
                let right = right.or(closed.then_some(0));
                let here = own[i].load(Relaxed);
                let aside = [left, right];
                let differs = |at: Option<usize>| at.is_some_and(|at| own[at].load(Relaxed) != here);
                let edge_of_box = self.reach == Reach::Box && (i == 0 || i + 1 == width);
                if mixed[i] == 0 && !aside.into_iter().any(differs) && !edge_of_box {
                    continue;
                }
                let sample = row * width + i;
                if !self.takes_part(sample) {
                    continue;
                }
                let at = self.place(sample);
                let seen = edges.len();
                let mut look = |other: usize| {
                    let there = label(other);
                    if there != here && self.place(other) < at {
                        let edge = Edge { at, a: here & !BASIN, b: there & !BASIN };
                        if !edges[seen..].iter().any(|known: &Edge<K::Packed>| known.b == edge.b) {
                            edges.push(edge);
                        }
                    }
                };
                aside.into_iter().flatten().for_each(|at| look(row * width + at));
                for &neighbour in &around {
                    look(neighbour * width + i);
                    if self.reach == Reach::Box {
                        aside.into_iter().flatten().for_each(|at| look(neighbour * width + at));
                    }
                }
            }
        }
        edges
    }

    /// Merges basins over sorted edges under the elder rule.
    fn merge(&self, edges: &[Edge<K::Packed>], minima: &[u32]) -> (Vec<Merge>, Vec<u32>) {
        let age = |basin: u32| match minima[basin as usize] {
            OUTSIDE => K::LEAST,
            sample => self.place(sample as usize),
        };
        let mut parent: Vec<u32> = (0..minima.len() as u32).collect();
        let mut merges: Vec<Merge> = Vec::with_capacity(edges.len());
        let sample = |basin: u32| minima[basin as usize];
        for group in edges.chunk_by(|a, b| a.at == b.at) {
            let death = K::index(group[0].at, DOWN);
            let begun = merges.len();
            let mut survivor = 0;
            for edge in group {
                let (a, b) = (eldest(&mut parent, edge.a), eldest(&mut parent, edge.b));
                if a == b {
                    continue;
                }
                let (elder, dead) = if age(a) < age(b) { (a, b) } else { (b, a) };
                parent[dead as usize] = elder;
                survivor = elder;
                merges.push(Merge { death, birth: sample(dead), elder: None });
            }
            if merges.len() > begun {
                let elder = Some(sample(eldest(&mut parent, survivor))).filter(|&sample| sample != OUTSIDE);
                merges[begun..].iter_mut().for_each(|merge| merge.elder = elder);
                merges[begun..].sort_unstable_by_key(|merge| self.place(merge.birth as usize));
            }
        }
        let lasting = (0..minima.len() as u32).filter(|&basin| parent[basin as usize] == basin).map(sample);
        let mut lasting: Vec<u32> = lasting.filter(|&sample| sample != OUTSIDE).collect();
        lasting.sort_unstable_by_key(|&sample| self.place(sample as usize));
        (merges, lasting)
    }
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
            let next = labels[walk].swap(basin, Relaxed);
            if next & BASIN != 0 {
                break;
            }
            walk = next as usize;
        }
    }
}

/// Of sorted edges, those that join two components. `own` are the basins most edges are between.
fn forest<P: Copy>(edges: Vec<Edge<P>>, own: Range<u32>) -> Vec<Edge<P>> {
    let mut strangers: HashMap<u32, u32> = HashMap::new();
    let mut parent: Vec<u32> = (0..own.len() as u32).collect();
    let mut kept = Vec::new();
    for edge in edges {
        let mut find = |basin: u32| {
            let member = match basin {
                own_one if own.contains(&own_one) => own_one - own.start,
                stranger => *strangers.entry(stranger).or_insert_with(|| {
                    parent.push(parent.len() as u32);
                    parent.len() as u32 - 1
                }),
            };
            eldest(&mut parent, member)
        };
        let (a, b) = (find(edge.a), find(edge.b));
        if a != b {
            parent[a as usize] = b;
            kept.push(edge);
        }
    }
    kept
}

/// Joins sorted lists into one sorted list, pairwise and in parallel.
fn merge_sorted<P: Copy + Ord + Send + Sync>(mut lists: Vec<Vec<Edge<P>>>, pool: &Pool) -> Vec<Edge<P>> {
    while lists.len() > 1 {
        let pairs: Vec<&[Vec<Edge<P>>]> = lists.chunks(2).collect();
        lists = pool.map(pairs.len(), &|pair| match pairs[pair] {
            [a, b] => {
                let mut merged = Vec::with_capacity(a.len() + b.len());
                let (mut i, mut j) = (0, 0);
                while i < a.len() && j < b.len() {
                    // Equal places keep the order of the tiles.
                    if b[j].at < a[i].at {
                        merged.push(b[j]);
                        j += 1;
                    } else {
                        merged.push(a[i]);
                        i += 1;
                    }
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

/// A grid as rows along its last axis.
struct Rows {
    width: usize,
    count: usize,
    /// The shape of the other axes.
    outer: Option<Shape>,
    reach: Reach,
}

impl Rows {
    fn new(shape: &Shape, reach: Reach) -> Rows {
        let (width, axes) = (*shape.sizes.last().unwrap_or(&1), shape.axes() - 1);
        let strides = shape.strides[..axes].iter().map(|stride| stride / width).collect();
        let outer = Shape { sizes: shape.sizes[..axes].to_vec(), periodic: shape.periodic[..axes].to_vec(), strides };
        Rows { width, count: shape.count() / width, outer: (axes > 0).then_some(outer), reach }
    }

    /// Runs of rows of about [`TILE`] samples.
    fn tiles(&self) -> Vec<Range<usize>> {
        let rows = (TILE / self.width).max(1);
        (0..self.count).step_by(rows).map(|first| first..self.count.min(first + rows)).collect()
    }

    fn samples(&self, rows: &Range<usize>) -> Range<usize> {
        rows.start * self.width..rows.end * self.width
    }

    /// The rows in reach of a row, itself left out; `None` for one outside.
    fn around(&self, row: usize) -> Vec<Option<usize>> {
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
}
