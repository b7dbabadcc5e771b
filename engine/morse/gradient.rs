//! The discrete gradient of a sampled function: every cell of the grid is critical or pairs with a facet or a cofacet
//! that the same sample brings in.
//!
//! A cell is its sample and a code (`star.rs`). Few different stars occur, so their pairings are kept once and each
//! sample remembers the number of its own: 4 bytes.

use super::grid::{Construction, Field};
use super::star::{Codes, Mask, NONE, Pairing};
use crate::machine::pool::Pool;
use crate::order::{Key, place};
use std::collections::HashMap;

/// A cell of the grid: the sample that gives it its value, and which of that sample's cells it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// The sample it belongs to.
    pub sample: u32,
    /// Which of that sample's cells it is.
    pub code: u8,
}

/// A discrete gradient.
pub struct Gradient<'a, K> {
    /// The function.
    pub field: Field<'a, K>,
    /// The cells of a sample.
    pub codes: Codes,
    pairings: Vec<Pairing>,
    /// The pairing of each sample's star.
    stars: Vec<u32>,
}

/// Samples whose stars are paired at one go.
const CHUNK: usize = if cfg!(test) { 8 } else { 1 << 15 };

impl<'a, K: Key> Gradient<'a, K> {
    /// Pairs all stars, in parallel. O(N 3^n).
    pub fn new(field: &Field<'a, K>, construction: Construction, pool: &Pool) -> Gradient<'a, K> {
        let codes = Codes::new(field.shape.axes(), construction);
        let n = field.keys.len();
        let around = Around::new(field, &codes);
        let chunks = pool.map(n.div_ceil(CHUNK), &|chunk| {
            let mut seen: HashMap<(Mask, u8), u32> = HashMap::new();
            let mut last = ((0, NONE), u32::MAX);
            let stars: Vec<u32> = (chunk * CHUNK..n.min((chunk + 1) * CHUNK))
                .map(|sample| {
                    let star = around.star(sample);
                    if last.0 != star || last.1 == u32::MAX {
                        let next = seen.len() as u32;
                        last = (star, *seen.entry(star).or_insert(next));
                    }
                    last.1
                })
                .collect();
            (stars, seen)
        });
        let (mut all, mut pairings, mut stars) = (HashMap::new(), Vec::new(), Vec::with_capacity(n));
        for (own, seen) in chunks {
            let mut numbers = vec![0; seen.len()];
            for (star, number) in seen {
                numbers[number as usize] = *all.entry(star).or_insert_with(|| {
                    pairings.push(codes.pair(star.0, star.1));
                    pairings.len() as u32 - 1
                });
            }
            stars.extend(own.into_iter().map(|number| numbers[number as usize]));
        }
        Gradient { field: *field, codes, pairings, stars }
    }

    /// How the star of a sample pairs up.
    pub fn pairing(&self, sample: u32) -> &Pairing {
        &self.pairings[self.stars[sample as usize] as usize]
    }

    /// The dimension of a cell.
    pub fn dim(&self, cell: Cell) -> u8 {
        self.codes.dims[cell.code as usize]
    }

    /// The cell that a cell pairs with; `None` for a critical one.
    pub fn mate(&self, cell: Cell) -> Option<Cell> {
        let pairing = self.pairing(cell.sample);
        let mate = pairing.mate[pairing.position[cell.code as usize] as usize];
        (mate != NONE).then_some(Cell { code: mate, ..cell })
    }

    /// A cell's place in an order of all cells of its dimension that adds sample after sample and, within a star, follows
    /// the pairing: the facet that a cell pairs with is the last of its facets.
    pub fn place(&self, cell: Cell) -> u128 {
        let position = self.pairing(cell.sample).position[cell.code as usize];
        let key = self.field.keys[cell.sample as usize].wide();
        place(key, cell.sample) << 8 | u128::from(position)
    }

    /// The cell at a place.
    pub fn at(&self, place: u128) -> Cell {
        let sample = (place >> 8) as u32;
        Cell { sample, code: self.pairing(sample).order[place as u8 as usize] }
    }

    /// All critical cells of a dimension, in no particular order.
    pub fn critical(&self, dim: u8) -> Vec<Cell> {
        // Most stars have none.
        let of_pairing =
            |pairing: &Pairing| pairing.critical().filter(|&c| self.codes.dims[c as usize] == dim).collect();
        let by_pairing: Vec<Vec<u8>> = self.pairings.iter().map(of_pairing).collect();
        let cells = |(sample, star): (usize, &u32)| {
            by_pairing[*star as usize].iter().map(move |&code| Cell { sample: sample as u32, code })
        };
        self.stars.iter().enumerate().flat_map(cells).collect()
    }

    /// The samples of a cell, its own first: its vertices, or the cubes round it.
    pub fn samples(&self, cell: Cell) -> Vec<u32> {
        let (samples, count) = self.spanned(cell.sample as usize, self.codes.steps[cell.code as usize]);
        samples[..count].iter().map(|(sample, _)| *sample as u32).collect()
    }

    /// Calls `each` with every facet of a cell.
    pub fn facets(&self, cell: Cell, mut each: impl FnMut(Cell)) {
        let steps = self.codes.steps[cell.code as usize];
        for (axis, &own) in steps.iter().enumerate().take(self.codes.axes) {
            match (self.codes.construction, own) {
                (Construction::Vertex, 0) => {}
                (Construction::Vertex, step) => {
                    let mut facet = steps;
                    facet[axis] = 0;
                    each(Cell { code: self.codes.code(&facet), ..cell });
                    // The far side is spanned from the neighbour, if not from a later sample yet.
                    if let Some(far) = self.field.shape.step(cell.sample as usize, axis, step.into()) {
                        each(self.owned(far, facet));
                    }
                }
                (Construction::TopCell, 0) => [1, -1].into_iter().for_each(|step| {
                    let mut facet = steps;
                    facet[axis] = step;
                    each(self.owned(cell.sample as usize, facet));
                }),
                (Construction::TopCell, _) => {}
            }
        }
    }

    /// The cell that is spanned from a sample along some steps, as its own sample has it: the last of its vertices, the
    /// first of its cubes.
    fn owned(&self, from: usize, steps: [i8; 4]) -> Cell {
        let place = |sample: usize| (self.field.keys[sample], sample);
        let (samples, count) = self.spanned(from, steps);
        let samples = samples[..count].iter();
        let owner = match self.codes.construction {
            Construction::Vertex => samples.max_by_key(|(sample, _)| place(*sample)),
            Construction::TopCell => samples.min_by_key(|(sample, _)| place(*sample)),
        };
        let &(sample, taken) = owner.unwrap_or(&(from, 0));
        let mut own = steps;
        (0..self.codes.axes).filter(|axis| taken >> axis & 1 == 1).for_each(|axis| own[axis] = -own[axis]);
        Cell { sample: sample as u32, code: self.codes.code(&own) }
    }

    /// The samples that are spanned from one along some steps, and how many; each with the axes it is stepped along, as
    /// bits.
    fn spanned(&self, from: usize, steps: [i8; 4]) -> ([(usize, u8); 16], usize) {
        let (mut samples, mut count) = ([(from, 0_u8); 16], 1);
        for (axis, &step) in steps.iter().enumerate().filter(|(_, step)| **step != 0) {
            for (sample, taken) in samples.into_iter().take(count) {
                if let Some(next) = self.field.shape.step(sample, axis, step.into()) {
                    samples[count] = (next, taken | 1 << axis);
                    count += 1;
                }
            }
        }
        (samples, count)
    }
}

/// Where the neighbours of a sample are, by code.
struct Around<'a, K> {
    field: Field<'a, K>,
    codes: &'a Codes,
    /// From a sample that has all its neighbours to each of them.
    offsets: Vec<isize>,
    /// The codes of one step.
    steps: Vec<u8>,
}

impl<'a, K: Key> Around<'a, K> {
    fn new(field: &Field<'a, K>, codes: &'a Codes) -> Around<'a, K> {
        let shape = field.shape;
        let along = |steps: &[i8; 4], axis: usize| isize::from(steps[axis]) * shape.strides[axis] as isize;
        let offset = |steps: &[i8; 4]| (0..codes.axes).map(|axis| along(steps, axis)).sum();
        let is_step = |code: &u8| codes.steps[*code as usize].iter().filter(|&&step| step != 0).count() == 1;
        Around {
            field: *field,
            codes,
            offsets: codes.steps.iter().map(offset).collect(),
            steps: (0..codes.count as u8).filter(is_step).collect(),
        }
    }

    /// The star of a sample, and the code of the steepest step down.
    fn star(&self, sample: usize) -> (Mask, u8) {
        if !self.field.is_present(sample) {
            return (0, NONE);
        }
        let shape = self.field.shape;
        let inside = |axis: usize| {
            let at = sample / shape.strides[axis] % shape.sizes[axis];
            at > 0 && at + 1 < shape.sizes[axis]
        };
        let before = if (0..self.codes.axes).all(inside) { self.inner(sample) } else { self.outer(sample) };
        let mut first = NONE;
        if self.codes.construction == Construction::Vertex {
            let down = self.steps.iter().filter(|&&code| before >> code & 1 == 1);
            let place = |code: &&u8| {
                let steps = &self.codes.steps[**code as usize];
                let axis = steps.iter().position(|&step| step != 0).unwrap_or(0);
                let neighbour = shape.step(sample, axis, steps[axis].into()).unwrap_or(sample);
                (self.field.keys[neighbour], neighbour)
            };
            first = down.min_by_key(place).copied().unwrap_or(NONE);
        }
        (self.codes.star(before), first)
    }

    /// The neighbours that come before a sample which has all of them.
    fn inner(&self, sample: usize) -> Mask {
        let (keys, own) = (self.field.keys, self.field.keys[sample]);
        let mut before = 0;
        // Words of 64 bits: shifts of 128 are slow.
        for (word, offsets) in self.offsets.chunks(64).enumerate() {
            let mut bits = 0_u64;
            for (bit, &offset) in offsets.iter().enumerate() {
                let there = keys[sample.wrapping_add_signed(offset)];
                bits |= u64::from((there < own) | ((there == own) & (offset < 0))) << bit;
            }
            before |= Mask::from(bits) << (64 * word);
        }
        before
    }

    /// The same where some neighbours may be missing or lie on the other side.
    fn outer(&self, sample: usize) -> Mask {
        let place = |sample: usize| (self.field.keys[sample], sample);
        let (own, codes) = (place(sample), self.codes);
        // Each neighbour is a step from the one with its last step left out.
        let mut neighbours = [None; 81];
        neighbours[0] = Some(sample);
        let mut before = 0;
        for code in 1..codes.count {
            let steps = &codes.steps[code];
            let Some(axis) = steps.iter().rposition(|&step| step != 0) else { continue };
            let mut rest = *steps;
            rest[axis] = 0;
            let from: Option<usize> = neighbours[codes.code(&rest) as usize];
            neighbours[code] = from.and_then(|from| self.field.shape.step(from, axis, steps[axis].into()));
            if neighbours[code].is_some_and(|neighbour| place(neighbour) < own) {
                before |= 1 << code;
            }
        }
        before
    }
}
