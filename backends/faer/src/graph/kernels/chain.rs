//! Chains of element-wise operators in one pass: every array is read and written once, what lies between stays in the
//! first cache. Sums over leading axes of what a chain computes are taken on the way. Stretches of blocks may be shared by a
//! crew: sums of a stretch are what is added to the totals, in order, whoever took it.

use super::each::{self, Operand};
use super::reduce::sum_rows;
use crate::graph::crew::{Crew, Work};
use crate::graph::reads::Reads;
use crate::graph::view::{View, collapse, place, steps};
use crate::real::{Real, vectorised};
use crate::sums::grow;
use mountainpass_network::graph::op::{Binary, Unary};
use std::ops::Range;

/// One operator of a chain.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Function {
    Unary(Unary),
    Binary(Binary),
    Select,
}

/// Where a block of numbers is while a chain runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Block {
    /// What the step reads in this place.
    Read(usize),
    /// A block of scratch.
    Scratch(usize),
    /// A part of what the step writes.
    Output(usize),
}

#[derive(Clone, Debug)]
pub(crate) struct Instruction {
    pub f: Function,
    /// Never one of the arguments.
    pub to: Block,
    pub args: [Block; 3],
}

/// How a read is seen block by block.
#[derive(Debug)]
enum Pattern {
    /// One number.
    Uniform,
    /// All elements in order.
    Dense,
    /// Laid out in scratch, once for all blocks if `periodic`.
    Filled { scratch: usize, periodic: bool },
    /// Blocks are parts of rows: a part in order, or one number per row.
    Row,
}

/// A sum over the leading axes of what stands in a block; `count` sums side by side. Sums are written behind the outputs.
#[derive(Debug)]
pub(crate) struct Sink {
    pub from: Block,
    pub count: usize,
}

#[derive(Debug)]
pub(crate) struct Chain {
    sizes: Vec<usize>,
    strides: Vec<Vec<isize>>,
    patterns: Vec<Pattern>,
    code: Vec<Instruction>,
    scratch: usize,
    /// Scratch blocks that go to an output when the block is done.
    stores: Vec<(usize, usize)>,
    sinks: Vec<Sink>,
    /// Where the sums begin in scratch, two arrays each: of one block, and of some blocks.
    partial: usize,
}

/// Blocks that are added up before their sum is added to the total, so that rounding grows slowly.
const TOGETHER: usize = 64;

/// Instructions in a chain, and so outputs and sums, at the most.
pub(crate) const LONGEST: usize = 64;

/// Elements in a block: instructions cost little beside it, and a dozen fit the first cache in f32.
const BLOCK: usize = 1 << 10;

impl Chain {
    /// `scratch` blocks are used by the code itself.
    pub(crate) fn new(
        shape: &[usize],
        views: &[View],
        code: Vec<Instruction>,
        mut scratch: usize,
        sinks: Vec<Sink>,
    ) -> Chain {
        // The output takes part, so that what is dense stays so.
        let mut strides: Vec<Vec<isize>> = views.iter().map(|view| view.strides.clone()).collect();
        strides.push(steps(shape));
        let sizes = collapse(shape, &mut strides);
        strides.pop();
        let dense = steps(&sizes);
        let (outer, n) = (&sizes[..sizes.len() - 1], sizes[sizes.len() - 1]);
        let mut pattern = |strides: &Vec<isize>| {
            let by = strides[strides.len() - 1];
            if strides.iter().all(|stride| *stride == 0) {
                Pattern::Uniform
            } else if *strides == dense {
                Pattern::Dense
            } else if n >= BLOCK && (by == 1 || by == 0) {
                Pattern::Row
            } else {
                scratch += 1;
                let repeats = strides[..outer.len()].iter().all(|stride| *stride == 0);
                Pattern::Filled { scratch: scratch - 1, periodic: repeats && n < BLOCK }
            }
        };
        let patterns = strides.iter().map(&mut pattern).collect();
        let partial = scratch;
        let scratch = scratch + 2 * sinks.len();
        Chain { sizes, strides, patterns, code, scratch, stores: Vec::new(), sinks, partial }
    }

    /// Its shape and functions.
    pub(crate) fn describe(&self) -> String {
        let code: Vec<String> = self.code.iter().map(|i| format!("{:?}", i.f)).collect();
        let sums: Vec<usize> = self.sinks.iter().map(|sink| sink.count).collect();
        format!("Chain {:?} of {:?}: {}, sums {sums:?}", self.sizes, self.patterns, code.join(" "))
    }

    /// Whether a read and an output may be one array: what is read of a block is then read before it is written.
    pub(crate) fn may_share(&self, read: usize) -> bool {
        matches!(self.patterns[read], Pattern::Dense)
    }

    /// Makes them one.
    pub(crate) fn share(&mut self, read: usize, output: usize) {
        let own = Block::Scratch(self.scratch);
        let code = self.code.iter_mut().flat_map(|Instruction { to, args, .. }| args.iter_mut().chain([to]));
        for block in code.chain(self.sinks.iter_mut().map(|sink| &mut sink.from)) {
            if *block == Block::Output(output) {
                *block = own;
            } else if *block == Block::Read(read) {
                *block = Block::Output(output);
            }
        }
        self.stores.push((self.scratch, output));
        self.scratch += 1;
    }

    /// How many numbers of scratch it takes.
    pub(crate) fn scratch(&self) -> usize {
        self.scratch * BLOCK + self.sinks.iter().map(|sink| 2 * sink.count).sum::<usize>()
    }

    /// Computes all of `out`: the outputs, each as long as the chain's shape, then the sums.
    pub(crate) fn run<T: Real>(
        &self,
        reads: &Reads<'_, T>,
        out: &mut [Vec<T>],
        blocks: &mut Vec<Vec<T>>,
        crew: Option<&Crew<'_, T>>,
    ) {
        let (size, parts) = (self.sizes.iter().product(), self.parts());
        let (outputs, sums) = out.split_at_mut(out.len() - self.sinks.len());
        sums.iter_mut().zip(&self.sinks).for_each(|(sum, sink)| sum[..sink.count].fill(T::ZERO));
        match crew.filter(|_| parts > TOGETHER) {
            Some(crew) => self.shared(reads, outputs, sums, crew),
            None => {
                let none = |_| &mut [][..];
                let mut to: [&mut [T]; LONGEST] = std::array::from_fn(none);
                let mut totals: [&mut [T]; LONGEST] = std::array::from_fn(none);
                let (to, totals) = (&mut to[..outputs.len()], &mut totals[..sums.len()]);
                to.iter_mut().zip(outputs).for_each(|(to, output)| *to = &mut output[..size]);
                totals.iter_mut().zip(sums).for_each(|(total, sum)| *total = sum);
                self.stretch(reads, Stretch { parts: 0..parts, base: 0, outputs: to, sums: totals }, blocks);
            }
        }
    }

    /// Stretches of as many blocks as are added up together, for whoever is free.
    fn shared<T: Real>(&self, reads: &Reads<'_, T>, outputs: &mut [Vec<T>], sums: &mut [Vec<T>], crew: &Crew<'_, T>) {
        let (size, parts) = (self.sizes.iter().product::<usize>(), self.parts());
        let counts: usize = self.sinks.iter().map(|sink| sink.count).sum();
        let mut rest: Vec<&mut [T]> = outputs.iter_mut().map(|output| &mut output[..size]).collect();
        let mut shares = Vec::with_capacity(parts.div_ceil(TOGETHER));
        for first in (0..parts).step_by(TOGETHER) {
            let (base, last) = (self.part(first).start(), parts.min(first + TOGETHER));
            let end = if last == parts { size } else { self.part(last).start() };
            let mut own = Vec::with_capacity(rest.len());
            for rest in &mut rest {
                let (here, behind) = std::mem::take(rest).split_at_mut(end - base);
                *rest = behind;
                own.push(here);
            }
            shares.push(Share { parts: first..last, base, outputs: own, sums: vec![T::ZERO; counts] });
        }
        crew.each(shares.iter_mut(), |Share { parts, base, outputs, sums: all }, Work { blocks, .. }| {
            let mut all = &mut all[..];
            let mut sums: Vec<&mut [T]> = Vec::with_capacity(self.sinks.len());
            for Sink { count, .. } in &self.sinks {
                let (sum, behind) = std::mem::take(&mut all).split_at_mut(*count);
                all = behind;
                sums.push(sum);
            }
            self.stretch(reads, Stretch { parts: parts.clone(), base: *base, outputs, sums: &mut sums }, blocks);
        });
        for Share { sums: all, .. } in &shares {
            let mut at = 0;
            for (total, Sink { count, .. }) in sums.iter_mut().zip(&self.sinks) {
                total.iter_mut().zip(&all[at..at + count]).for_each(|(total, sum)| *total += *sum);
                at += count;
            }
        }
    }

    /// Some blocks in order; their sums are added to what is there.
    fn stretch<T: Real>(&self, reads: &Reads<'_, T>, mut stretch: Stretch<'_, '_, '_, T>, blocks: &mut Vec<Vec<T>>) {
        if blocks.len() < self.scratch {
            blocks.resize_with(self.scratch, Vec::new);
        }
        blocks[..self.scratch].iter_mut().for_each(|block| grow(block, BLOCK));
        for (k, Sink { count, .. }) in self.sinks.iter().enumerate() {
            let [block, some] = [2 * k, 2 * k + 1].map(|k| self.partial + k);
            grow(&mut blocks[block], *count);
            grow(&mut blocks[some], *count);
            blocks[some][..*count].fill(T::ZERO);
        }
        vectorised(
            #[inline(always)]
            || self.all_blocks(reads, &mut stretch, blocks),
        );
    }

    #[inline(always)]
    fn all_blocks<T: Real>(&self, reads: &Reads<'_, T>, stretch: &mut Stretch<'_, '_, '_, T>, blocks: &mut [Vec<T>]) {
        let (first, end, base) = (stretch.parts.start, stretch.parts.end, stretch.base);
        for k in first..end {
            let part = Part { base, is_first: k == first, ..self.part(k) };
            self.block(part, reads, stretch.outputs, blocks);
            self.add_up(part, reads, stretch.outputs, blocks);
            self.store(part, stretch.outputs, blocks);
            if k + 1 == end || (k + 1 - first) % TOGETHER == 0 {
                self.add_totals(stretch.sums, blocks);
            }
        }
    }

    /// Rows of a block, and blocks of a row.
    #[inline(always)]
    fn cut(&self) -> (usize, usize) {
        let n = self.sizes[self.sizes.len() - 1];
        if n < BLOCK { (BLOCK / n, 1) } else { (1, n.div_ceil(BLOCK)) }
    }

    fn rows(&self) -> usize {
        self.sizes[..self.sizes.len() - 1].iter().product()
    }

    /// How many blocks there are.
    fn parts(&self) -> usize {
        let (high, across) = self.cut();
        self.rows().div_ceil(high) * across
    }

    /// Block `k`.
    #[inline(always)]
    fn part(&self, k: usize) -> Part {
        let ((high, across), n) = (self.cut(), self.sizes[self.sizes.len() - 1]);
        let (row, column) = (k / across * high, k % across * BLOCK);
        let (rows, columns) = (high.min(self.rows() - row), BLOCK.min(n - column));
        Part { row, rows, column, columns, n, base: 0, is_first: false }
    }

    /// Adds what the sums see of one block.
    #[inline(always)]
    fn add_up<T: Real>(&self, part: Part, reads: &Reads<'_, T>, out: &[&mut [T]], blocks: &mut [Vec<T>]) {
        let (start, len) = (part.start(), part.rows * part.columns);
        for (k, Sink { from, count }) in self.sinks.iter().enumerate() {
            let [mut sums, mut some] = [2 * k, 2 * k + 1].map(|k| std::mem::take(&mut blocks[self.partial + k]));
            match self.operand(*from, part, reads, out, blocks) {
                Operand::Block(x) if start.is_multiple_of(*count) && len.is_multiple_of(*count) => {
                    sum_rows(x, &mut sums[..*count]);
                    some[..*count].iter_mut().zip(&sums[..*count]).for_each(|(some, sum)| *some += *sum);
                }
                Operand::Block(mut x) => {
                    let mut at = start % count;
                    while !x.is_empty() {
                        let (piece, rest) = x.split_at(x.len().min(count - at));
                        some[at..at + piece.len()].iter_mut().zip(piece).for_each(|(some, x)| *some += *x);
                        (x, at) = (rest, 0);
                    }
                }
                Operand::Number(x) => (start..start + len).for_each(|i| some[i % count] += x),
            }
            [blocks[self.partial + 2 * k], blocks[self.partial + 2 * k + 1]] = [sums, some];
        }
    }

    /// Adds the sums of some blocks to the totals.
    #[inline(always)]
    fn add_totals<T: Real>(&self, sums: &mut [&mut [T]], blocks: &mut [Vec<T>]) {
        for (k, Sink { count, .. }) in self.sinks.iter().enumerate() {
            let some = &mut blocks[self.partial + 2 * k + 1][..*count];
            sums[k][..*count].iter_mut().zip(some).for_each(|(total, some)| {
                *total += *some;
                *some = T::ZERO;
            });
        }
    }

    /// Writes what shares its array with something read.
    #[inline(always)]
    fn store<T: Real>(&self, part: Part, out: &mut [&mut [T]], blocks: &[Vec<T>]) {
        let (start, len) = (part.start() - part.base, part.rows * part.columns);
        for &(from, to) in &self.stores {
            out[to][start..start + len].copy_from_slice(&blocks[from][..len]);
        }
    }

    #[inline(always)]
    fn block<T: Real>(&self, part: Part, reads: &Reads<'_, T>, out: &mut [&mut [T]], blocks: &mut [Vec<T>]) {
        for (k, pattern) in self.patterns.iter().enumerate() {
            if let Pattern::Filled { scratch, periodic } = pattern
                && (!periodic || part.is_first)
            {
                let (from, offset) = reads.get(k);
                self.fill(part, from, offset, &self.strides[k], &mut blocks[*scratch]);
            }
        }
        let (start, len) = (part.start() - part.base, part.rows * part.columns);
        for Instruction { f, to, args } in &self.code {
            // What an instruction writes is taken out while it reads the rest.
            let (mut block, mut output): (Vec<T>, &mut [T]) = (Vec::new(), &mut []);
            let to_part = match *to {
                Block::Scratch(k) => {
                    block = std::mem::take(&mut blocks[k]);
                    &mut block[..len]
                }
                Block::Output(k) => {
                    output = std::mem::take(&mut out[k]);
                    &mut output[start..start + len]
                }
                Block::Read(_) => continue,
            };
            let a = self.operand(args[0], part, reads, out, blocks);
            match *f {
                Function::Unary(f) => each::unary(f, to_part, a),
                Function::Binary(f) => each::binary(f, to_part, a, self.operand(args[1], part, reads, out, blocks)),
                Function::Select => {
                    let [b, c] = [args[1], args[2]].map(|arg| self.operand(arg, part, reads, out, blocks));
                    each::select(to_part, a, b, c);
                }
            }
            match *to {
                Block::Scratch(k) => blocks[k] = block,
                Block::Output(k) => out[k] = output,
                Block::Read(_) => {}
            }
        }
    }

    #[inline(always)]
    fn operand<'a, T: Real>(
        &self,
        arg: Block,
        part: Part,
        reads: &Reads<'a, T>,
        out: &'a [&mut [T]],
        blocks: &'a [Vec<T>],
    ) -> Operand<'a, T> {
        let (start, len) = (part.start(), part.rows * part.columns);
        let k = match arg {
            Block::Read(k) => k,
            Block::Scratch(k) => return Operand::Block(&blocks[k][..len]),
            Block::Output(k) => return Operand::Block(&out[k][start - part.base..][..len]),
        };
        let (from, offset) = reads.get(k);
        match self.patterns[k] {
            Pattern::Uniform => Operand::Number(from[offset]),
            Pattern::Dense => Operand::Block(&from[offset + start..][..len]),
            Pattern::Filled { scratch, .. } => Operand::Block(&blocks[scratch][..len]),
            Pattern::Row => {
                let last = self.sizes.len() - 1;
                let at = offset.wrapping_add_signed(place(part.row, &self.sizes[..last], &self.strides[k]));
                match self.strides[k][last] {
                    0 => Operand::Number(from[at]),
                    _ => Operand::Block(&from[at + part.column..][..len]),
                }
            }
        }
    }

    /// Lays out a read that is neither dense nor uniform, row by row.
    fn fill<T: Real>(&self, part: Part, from: &[T], offset: usize, strides: &[isize], to: &mut [T]) {
        let last = self.sizes.len() - 1;
        let by = strides[last];
        for (row, to) in (part.row..part.row + part.rows).zip(to.chunks_exact_mut(part.columns)) {
            let row = place(row, &self.sizes[..last], strides);
            let at = offset.wrapping_add_signed(row + part.column as isize * by);
            match by {
                0 => to.fill(from[at]),
                1 => to.copy_from_slice(&from[at..at + part.columns]),
                _ => {
                    to.iter_mut().enumerate().for_each(|(i, x)| *x = from[at.wrapping_add_signed(i as isize * by)]);
                }
            }
        }
    }
}

/// Some rows of the last axis, or a part of one.
#[derive(Clone, Copy)]
struct Part {
    row: usize,
    rows: usize,
    column: usize,
    columns: usize,
    /// The length of a whole row.
    n: usize,
    /// Where the outputs at hand begin.
    base: usize,
    /// Whether no block of its stretch came before.
    is_first: bool,
}

impl Part {
    #[inline(always)]
    fn start(&self) -> usize {
        self.row * self.n + self.column
    }
}

/// Blocks one after the other, and what of the outputs is theirs.
struct Stretch<'a, 'b, 'c, T> {
    parts: Range<usize>,
    /// Where their outputs begin in the whole.
    base: usize,
    outputs: &'a mut [&'b mut [T]],
    sums: &'a mut [&'c mut [T]],
}

/// A stretch with sums of its own, one behind the other, for whoever is free.
struct Share<'a, T> {
    parts: Range<usize>,
    base: usize,
    outputs: Vec<&'a mut [T]>,
    sums: Vec<T>,
}
