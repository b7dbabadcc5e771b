//! How the basins of a grid join: the spanning forest of the lowest edges between them, under the elder rule.
//!
//! An edge leads from a sample to an earlier one in another basin. Every tile goes through its edges in the order of the
//! sweep. A component that no other tile has come near is the true one, so where only such ones meet, the tile decides who
//! dies; elsewhere it hands on the edges that join two components of its own. Those of all tiles are sorted once more and
//! decided. The forest of a union is that of the forests (the cycle property of spanning trees, edges being in one total
//! order), so tiles change nothing but the time.

use super::rows::{Row, Tile};
use super::sweep::{Merge, OUTSIDE, Sweeper};
use crate::machine::pool::Pool;
use crate::morse::grid::Reach;
use crate::order::Key;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Samples that are looked at together: most blocks of a smooth function have one basin around them.
const BLOCK: usize = 32;
/// More neighbours than a sample has: 3^4.
const NEIGHBOURS: usize = 81;

/// An edge between two basins, at the later of its ends, which lies in the first of them.
#[derive(Clone, Copy, Debug)]
struct Bridge<K> {
    key: K,
    at: u32,
    own: u32,
    other: u32,
}

/// A sample at which basins touch.
#[derive(Clone, Copy, Debug)]
struct Touch<K> {
    key: K,
    at: u32,
    own: u32,
    /// Where its part of the list of other basins ends; it begins where that of the touch before it ends.
    end: u32,
}

impl<K: Key, const DOWN: bool> Sweeper<'_, K, DOWN> {
    /// Merges the basins of all samples, and the minima that last. `own` are the basins with their minimum in each tile.
    pub(super) fn merges(
        &self,
        tiles: &[Tile],
        own: &[Range<u32>],
        basins: &[u32],
        minima: &[u32],
        pool: &Pool,
    ) -> (Vec<Merge>, Vec<u32>) {
        let parent: Vec<AtomicU32> = (0..minima.len() as u32).map(AtomicU32::new).collect();
        let decided = pool.map(tiles.len(), &|tile| {
            let (merges, edges) = self.decide_tile(&tiles[tile], own[tile].clone(), basins, minima);
            for merge in &merges {
                // Their basins lie within this tile: no other one writes here.
                let elder = merge.elder.map_or(0, |elder| basins[elder as usize]);
                parent[basins[merge.birth as usize] as usize].store(elder, Relaxed);
            }
            (merges, edges)
        });
        let (merges, edges): (Vec<_>, Vec<_>) = decided.into_iter().unzip();
        let edges = self.merge_sorted(edges, pool);
        let mut merges = merges.concat();
        merges.reserve(edges.len());
        let mut forest = self.apart(0..minima.len() as u32, minima);
        forest.parent = parent.into_iter().map(AtomicU32::into_inner).collect();
        for group in edges.chunk_by(|a, b| a.at == b.at) {
            self.meet(&mut forest, group[0].at, group[0].own, group.iter().map(|edge| edge.other), &mut merges);
        }
        if self.walled {
            merges.iter_mut().for_each(|merge| merge.elder = merge.elder.filter(|&elder| elder != OUTSIDE));
        }
        let lasts = |basin: &u32| forest.parent[*basin as usize] == *basin;
        let lasting = (0..minima.len() as u32).filter(lasts).map(|basin| minima[basin as usize]);
        let mut lasting: Vec<u32> = lasting.filter(|&sample| sample != OUTSIDE).collect();
        lasting.sort_unstable_by_key(|&sample| self.place(sample));
        (merges, lasting)
    }

    /// What a tile can decide alone, and the edges that it hands on, sorted.
    fn decide_tile(
        &self,
        tile: &Tile,
        own: Range<u32>,
        basins: &[u32],
        minima: &[u32],
    ) -> (Vec<Merge>, Vec<Bridge<K>>) {
        let (width, columns) = (self.rows.width, tile.columns.clone());
        let mut forest = self.apart(own.clone(), minima);
        // A basin with a sample beside another tile may have edges there.
        let parted = |end: bool| columns.len() < width && (end || self.rows.ring);
        for &row in &tile.rows {
            let inside = |near: &usize| tile.rows.binary_search(near).is_ok();
            let (first, last) = if self.rows.around(row).iter().flatten().all(inside) {
                (usize::from(parted(columns.start > 0)), usize::from(parted(columns.end < width)))
            } else {
                (columns.len(), 0)
            };
            let row = &basins[row * width..][columns.clone()];
            for basin in row[..first].iter().chain(&row[row.len() - last..]).filter(|basin| own.contains(basin)) {
                forest.open[(basin - own.start) as usize] = true;
            }
        }
        let (touches, others) = self.touches(tile, basins);
        let (mut merges, mut edges) = (Vec::with_capacity(own.len()), Vec::new());
        for i in self.sorted(&touches) {
            let (Touch { key, at, own, .. }, begun) = (touches[i], merges.len());
            let others = &others[if i > 0 { touches[i - 1].end as usize } else { 0 }..touches[i].end as usize];
            if self.meet(&mut forest, at, own, others.iter().copied(), &mut merges) {
                edges.extend(merges.drain(begun..).map(|merge| Bridge { key, at, own, other: merge.basins[1] }));
            }
        }
        (merges, edges)
    }

    /// Every basin of a range by itself.
    fn apart<'b>(&self, own: Range<u32>, minima: &'b [u32]) -> Joined<'b, K>
    where
        Self: 'b,
    {
        let first = minima[own.start as usize..own.end as usize].iter().map(|&sample| self.birth(sample)).collect();
        let parent: Vec<u32> = (0..own.end - own.start).collect();
        Joined { own, minima, far: HashMap::new(), open: vec![false; parent.len()], parent, first }
    }

    /// The place of a minimum; of the outside only the number counts.
    fn birth(&self, sample: u32) -> (K, u32) {
        (self.field.keys[if sample == OUTSIDE { 0 } else { sample as usize }], sample)
    }

    /// Joins the components round a sample; tells whether what they have become is open.
    fn meet(
        &self,
        forest: &mut Joined<'_, K>,
        at: u32,
        own: u32,
        others: impl Iterator<Item = u32>,
        merges: &mut Vec<Merge>,
    ) -> bool {
        let begun = merges.len();
        let mut component = forest.eldest(own, |sample| self.birth(sample));
        for other in others {
            let joining = forest.eldest(other, |sample| self.birth(sample));
            if joining == component {
                continue;
            }
            let (a, b) = (forest.first[component as usize], forest.first[joining as usize]);
            let is_elder = a.1 == OUTSIDE || b.1 != OUTSIDE && Self::before(a, b);
            let (elder, dead) = if is_elder { (component, joining) } else { (joining, component) };
            let (first, birth) = if is_elder { (a.1, b.1) } else { (b.1, a.1) };
            forest.parent[dead as usize] = elder;
            forest.open[elder as usize] |= forest.open[dead as usize];
            component = elder;
            merges.push(Merge { death: at, birth, elder: Some(first), basins: [own, other] });
        }
        if let [before @ .., last] = &mut merges[begun..] {
            before.iter_mut().for_each(|merge| merge.elder = last.elder);
        }
        forest.open[component as usize]
    }

    /// The samples of a tile at which basins touch, and the basins of earlier neighbours.
    fn touches(&self, tile: &Tile, basins: &[u32]) -> (Vec<Touch<K>>, Vec<u32>) {
        let width = self.rows.width;
        let (mut touches, mut others) = (Vec::new(), Vec::new());
        let mut found = vec![0; BLOCK * NEIGHBOURS + 1];
        for &row in &tile.rows {
            let read = |row: usize| Row::new(row * width, width, self.field.keys, basins);
            let own = read(row);
            let around: Vec<Row<'_, K>> = self.rows.around(row).into_iter().flatten().map(read).collect();
            for begin in tile.columns.clone().step_by(BLOCK) {
                let block = begin..tile.columns.end.min(begin + BLOCK);
                let wide = begin.saturating_sub(1)..width.min(block.end + 1);
                let first = own.basins[begin];
                let mixed = |row: &Row<'_, K>| row.basins[wide.clone()].iter().fold(0, |m, basin| m | (basin ^ first));
                let at_ends = self.rows.ring && (begin == 0 || block.end == width);
                if !at_ends && around.iter().fold(mixed(&own), |m, row| m | mixed(row)) == 0 {
                    continue;
                }
                let (before, mut count) = (others.len(), 0);
                for i in block {
                    let (place, basin) = (own.place(i), own.basins[i]);
                    let begun = count;
                    let mut look = |row: &Row<'_, K>, i: usize| {
                        let there = row.basins[i];
                        // Written in any case and kept if it counts: no branch that could not be predicted.
                        found[count] = there;
                        count += usize::from((there != basin) & Self::before(row.place(i), place));
                    };
                    let left = i.checked_sub(1).or(self.rows.ring.then_some(width - 1));
                    let right = Some(i + 1).filter(|&right| right < width).or(self.rows.ring.then_some(0));
                    let aside = [left, right];
                    aside.into_iter().flatten().for_each(|i| look(&own, i));
                    for row in &around {
                        look(row, i);
                        if self.reach == Reach::Box {
                            aside.into_iter().flatten().for_each(|i| look(row, i));
                        }
                    }
                    if !self.takes_part(place.1 as usize) {
                        count = begun;
                    }
                    if count > begun {
                        touches.push(Touch { key: place.0, at: place.1, own: basin, end: (before + count) as u32 });
                    }
                }
                others.extend_from_slice(&found[..count]);
            }
        }
        (touches, others)
    }

    /// Touches, which come in the order of their samples, in the order of the sweep: by the leading bits of the keys and
    /// the number of the touch in one word, then by what those bits do not tell.
    fn sorted(&self, touches: &[Touch<K>]) -> impl Iterator<Item = usize> {
        let wide = |touch: &Touch<K>| if DOWN { !touch.key.wide() } else { touch.key.wide() };
        let least = touches.iter().map(wide).min().unwrap_or(0);
        let range = touches.iter().map(wide).max().unwrap_or(0) - least;
        let bits = usize::BITS - touches.len().leading_zeros();
        let shift = (u64::BITS - range.leading_zeros()).saturating_sub(u64::BITS - bits);
        let last = touches.len().saturating_sub(1);
        let number = move |i: usize| if DOWN { last - i } else { i };
        let touch = move |word: &u64| number((word & ((1 << bits) - 1)) as usize);
        let word = |(i, touch): (usize, &Touch<K>)| (wide(touch) - least) >> shift << bits | number(i) as u64;
        let mut words: Vec<u64> = touches.iter().enumerate().map(word).collect();
        words.sort_unstable();
        if shift > 0 {
            for run in words.chunk_by_mut(|a, b| a >> bits == b >> bits).filter(|run| run.len() > 1) {
                run.sort_by_key(|word| wide(&touches[touch(word)])); // Stable: equal keys keep their order.
            }
        }
        words.into_iter().map(move |word| touch(&word))
    }

    /// Joins sorted lists into one sorted list, pairwise and in parallel.
    fn merge_sorted(&self, mut lists: Vec<Vec<Bridge<K>>>, pool: &Pool) -> Vec<Bridge<K>> {
        let before = |a: &Bridge<K>, b: &Bridge<K>| Self::before((a.key, a.at), (b.key, b.at));
        while lists.len() > 1 {
            let pairs: Vec<&[Vec<Bridge<K>>]> = lists.chunks(2).collect();
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
}

/// Components of basins. Unlike [`UnionFind`](crate::union_find::UnionFind) it numbers members by place, not by age: sorting
/// millions of basins by age would cost more than all their merges.
struct Joined<'a, K> {
    /// Basins that have the first numbers.
    own: Range<u32>,
    minima: &'a [u32],
    /// The numbers of other basins, given when they are met.
    far: HashMap<u32, u32>,
    parent: Vec<u32>,
    /// The place of each basin's minimum.
    first: Vec<(K, u32)>,
    /// By the eldest of a component: edges of it may be missing.
    open: Vec<bool>,
}

impl<K> Joined<'_, K> {
    /// The number of the eldest basin in the component of a basin.
    fn eldest(&mut self, basin: u32, birth: impl Fn(u32) -> (K, u32)) -> u32 {
        let mut i = if self.own.contains(&basin) { basin - self.own.start } else { self.stranger(basin, birth) };
        let parent = &mut self.parent;
        while parent[i as usize] != i {
            let grandparent = parent[parent[i as usize] as usize];
            parent[i as usize] = grandparent;
            i = grandparent;
        }
        i
    }

    #[cold]
    fn stranger(&mut self, basin: u32, birth: impl Fn(u32) -> (K, u32)) -> u32 {
        *self.far.entry(basin).or_insert_with(|| {
            let number = self.parent.len() as u32;
            self.parent.push(number);
            self.first.push(birth(self.minima[basin as usize]));
            self.open.push(true);
            number
        })
    }
}
