//! The canonical form of a function sampled on a grid, in all degrees.
//!
//! Degree 0 is the merging of basins. On a box degree n - 1 is the merging of basins of the superlevel sets, whose dual
//! bars (b, d) are the bars [d, b) (Alexander duality; the outside is one more component, born at +inf). What lies between,
//! and everything above degree 0 where an axis closes up, is reduced over the discrete gradient, from the top down.

use super::Barcode;
use super::pairs::{self, Pair};
use super::reduce::{Reduced, reduce};
use crate::machine::pool::Pool;
use crate::morse::basin::{Components, Sweep, components, path};
use crate::morse::gradient::{Cell, Gradient};
use crate::morse::grid::{Construction, Field, Grid, MOST_AXES, Reach, with_field};
use crate::order::Key;
use std::collections::{HashMap, HashSet};

/// What to compute of a grid.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The highest degree.
    pub max_degree: usize,
    /// Whether bars of equal birth and death are kept.
    pub zero_length: bool,
    /// Bars shorter than this are not. What swallows a bar is longer: it stays where that one stays.
    pub shortest: f64,
    /// Whether every degree is reduced, 0 and n - 1 too: a second road to the same pairs, without elders.
    pub reduction: bool,
    /// A cycle for every bar above degree 0; takes the reduction for all of those.
    pub cycles: bool,
}

impl Default for Wanted {
    fn default() -> Wanted {
        Wanted { max_degree: usize::MAX, zero_length: false, shortest: 0.0, reduction: false, cycles: false }
    }
}

/// Pairs, and where they were asked for, cycles.
#[derive(Clone, Debug, Default)]
pub struct Canonical {
    /// In no particular order of degrees.
    pub pairs: Vec<Pair>,
    /// With each pair of `pairs`, where they were asked for and the class ends: in degree 0 the path through the merge, a
    /// list of samples; above a cycle that the class is and that something fills at its death, a list of cells, each the
    /// samples of it.
    pub cycles: Vec<Vec<Vec<u32>>>,
    /// Basins of the sublevel sets; empty where degree 0 was reduced.
    pub components: Components,
}

impl Canonical {
    /// The barcode.
    pub fn barcode(&self, grid: &Grid) -> Barcode {
        pairs::barcode(&self.pairs, &self.cycles, |sample| grid.value(sample))
    }
}

/// The canonical form of a grid, up to the degree that is wanted and that the grid was made for. Up to two dimensions O(N)
/// and a sort; in three, about one boundary matrix reduction of the critical cells.
pub fn canonical(grid: &Grid, mut wanted: Wanted, pool: &Pool) -> Canonical {
    wanted.max_degree = wanted.max_degree.min(grid.max_degree);
    wanted.reduction &= grid.shape.axes() <= MOST_AXES; // More have no stars to reduce over.
    with_field!(grid, field => {
        let pairing = Pairing { grid, field, wanted, pool, found: Canonical::default() };
        pairing.run()
    })
}

/// The pairs of a grid while they are found.
struct Pairing<'a, K> {
    grid: &'a Grid,
    field: Field<'a, K>,
    wanted: Wanted,
    pool: &'a Pool,
    found: Canonical,
}

impl<K: Key> Pairing<'_, K> {
    fn run(mut self) -> Canonical {
        let n = self.field.shape.axes();
        let closed = self.field.shape.periodic.contains(&true);
        let top = self.wanted.max_degree.min(n - usize::from(!closed));
        let (low, high) = match self.grid.construction {
            Construction::Vertex => (Reach::Axes, Reach::Box),
            Construction::TopCell => (Reach::Box, Reach::Axes),
        };
        let dual = !(closed || self.wanted.reduction || self.wanted.cycles) && n > 1 && top == n - 1;
        let reduces = top > 0 && (!dual || n > 2) || self.wanted.reduction;
        let mut ended: HashMap<u32, usize> = HashMap::new(); // Components that end at a sample.
        if !self.wanted.reduction {
            let components = components(&self.field, low, Sweep::Up, self.pool);
            self.found.pairs.reserve(components.merges.len());
            for merge in &components.merges {
                if reduces {
                    *ended.entry(merge.death).or_default() += 1;
                }
                if self.keep(0, merge.birth, Some(merge.death), merge.elder) && self.wanted.cycles {
                    let path = path(&self.field, low, &components, merge);
                    self.found.cycles.push(path.into_iter().map(|sample| vec![sample]).collect());
                }
            }
            for &birth in &components.lasting {
                self.keep(0, birth, None, None);
            }
            self.found.components = components;
        }
        let mut begun: HashMap<u32, usize> = HashMap::new(); // Classes of degree n - 1 that begin at a sample.
        if dual {
            for merge in components(&self.field, high, Sweep::Down, self.pool).merges {
                if self.field.is_present(merge.death as usize) {
                    let death = Some(merge.birth).filter(|&birth| self.field.is_present(birth as usize));
                    if n > 2 {
                        *begun.entry(merge.death).or_default() += 1;
                    }
                    self.keep(n - 1, merge.death, death, None);
                }
            }
        }
        let lowest = usize::from(!self.wanted.reduction);
        let highest = if dual { n - 2 } else { top.min(n - 1) };
        if reduces {
            self.reduce(lowest, highest, top, dual.then_some(begun), &ended);
        }
        self.found
    }

    /// Reduces from degree `highest` down to `lowest`. `begun` are the classes of degree `highest` + 1 that begin at a
    /// sample, where duality has found them; `ended` the components.
    fn reduce(
        &mut self,
        lowest: usize,
        highest: usize,
        top: usize,
        mut begun: Option<HashMap<u32, usize>>,
        ended: &HashMap<u32, usize>,
    ) {
        let gradient = Gradient::new(&self.field, self.grid.construction, self.pool);
        let mut positive: HashSet<Cell> = HashSet::new();
        for degree in (lowest..=highest).rev() {
            let mut columns = gradient.critical(degree as u8 + 1);
            columns.retain(|cell| !positive.contains(cell));
            let reduced = match begun.take() {
                None => reduce(&gradient, columns, |_| true, |_, _| (), self.wanted.cycles),
                Some(begun) => self.reduce_the_rest(&gradient, columns, begun),
            };
            positive.clear();
            for (i, (birth, death)) in reduced.pairs.iter().enumerate() {
                positive.insert(*birth);
                let cycle =
                    reduced.cycles.get(i).map(|cells| cells.iter().map(|cell| gradient.samples(*cell)).collect());
                self.keep_cycle(degree, birth.sample, Some(death.sample), cycle);
            }
            // Positive, and no column of the degree above ended there.
            if degree < top {
                reduced.vanished.iter().for_each(|cell| self.keep_cycle(degree + 1, cell.sample, None, None));
            }
        }
        // What no column was made for: lowest-degree cells that end nothing and that nothing ends.
        let mut lasting = gradient.critical(lowest as u8);
        lasting.retain(|cell| !positive.contains(cell));
        lasting.sort_unstable_by_key(|cell| gradient.place(*cell));
        let mut ends = ended.clone();
        for cell in lasting {
            match ends.get_mut(&cell.sample) {
                Some(left) if *left > 0 => *left -= 1,
                _ => self.keep_cycle(lowest, cell.sample, None, None),
            }
        }
    }

    /// Reduces columns of which so many at each sample are known to vanish: as soon as the others are found, the rest is
    /// left out.
    fn reduce_the_rest(
        &self,
        gradient: &Gradient<'_, K>,
        columns: Vec<Cell>,
        begun: HashMap<u32, usize>,
    ) -> Reduced<Cell> {
        let mut left: HashMap<u32, isize> = HashMap::new();
        columns.iter().for_each(|cell| *left.entry(cell.sample).or_default() += 1);
        begun.iter().for_each(|(sample, begun)| *left.entry(*sample).or_default() -= *begun as isize);
        let left = std::cell::RefCell::new(left);
        let wanted = |cell: Cell| left.borrow().get(&cell.sample).is_some_and(|left| *left > 0);
        let done = |cell: Cell, vanished: bool| {
            if !vanished {
                left.borrow_mut().entry(cell.sample).and_modify(|left| *left -= 1);
            }
        };
        let reduced = reduce(gradient, columns, wanted, done, false);
        Reduced { vanished: Vec::new(), ..reduced } // Those that did were counted by duality.
    }

    /// Keeps a pair that was asked for; tells whether it was.
    fn keep(&mut self, degree: usize, birth: u32, death: Option<u32>, elder: Option<u32>) -> bool {
        let keys = self.field.keys;
        let empty = death.is_some_and(|death| keys[death as usize] == keys[birth as usize]);
        let wide = |sample: u32| u64::from(sample);
        let length = |death: u32| (self.grid.value(wide(death)) - self.grid.value(wide(birth))).abs();
        let short = death.is_some_and(|death| length(death) < self.wanted.shortest);
        // Within one star nothing begins that the same star ends.
        if degree > self.wanted.max_degree || death == Some(birth) || short || empty && !self.wanted.zero_length {
            return false;
        }
        let pair = Pair { degree: degree as u32, birth: wide(birth), death: death.map(wide), elder: elder.map(wide) };
        self.found.pairs.push(pair);
        true
    }

    /// The same for a class with a cycle.
    fn keep_cycle(&mut self, degree: usize, birth: u32, death: Option<u32>, cycle: Option<Vec<Vec<u32>>>) {
        if self.keep(degree, birth, death, None) && self.wanted.cycles {
            // Those before it have none.
            self.found.cycles.resize(self.found.pairs.len(), Vec::new());
            if let (Some(cycle), Some(last)) = (cycle, self.found.cycles.last_mut()) {
                *last = cycle;
            }
        }
    }
}

#[cfg(test)]
mod tests;
