//! Chains of element-wise operators in one pass: every array is read and written once, what lies between stays in the
//! first cache.

use super::each::{self, Operand};
use super::run::Reads;
use super::view::{View, collapse, place, steps};
use crate::real::{Real, vectorised};
use crate::sums::grow;
use mountainpass_network::graph::op::{Binary, Unary};

/// One operator of a chain.
#[derive(Clone, Copy, Debug)]
pub(super) enum Function {
    Unary(Unary),
    Binary(Binary),
    Select,
}

/// Where a block of numbers is while a chain runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Block {
    /// What the step reads in this place.
    Read(usize),
    /// A block of scratch.
    Scratch(usize),
    /// A part of what the step writes.
    Output(usize),
}

#[derive(Clone, Debug)]
pub(super) struct Instruction {
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

#[derive(Debug)]
pub(super) struct Chain {
    sizes: Vec<usize>,
    strides: Vec<Vec<isize>>,
    patterns: Vec<Pattern>,
    code: Vec<Instruction>,
    scratch: usize,
    /// Scratch blocks that go to an output when the block is done.
    stores: Vec<(usize, usize)>,
}

/// Elements in a block: instructions cost little beside it, and a dozen fit the first cache in f32.
const BLOCK: usize = 1 << 10;

impl Chain {
    /// `scratch` blocks are used by the code itself.
    pub(super) fn new(shape: &[usize], views: &[View], code: Vec<Instruction>, mut scratch: usize) -> Chain {
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
        Chain { sizes, strides, patterns, code, scratch, stores: Vec::new() }
    }

    /// Its shape and functions.
    pub(super) fn describe(&self) -> String {
        let code: Vec<String> = self.code.iter().map(|i| format!("{:?}", i.f)).collect();
        format!("Chain {:?} of {:?}: {}", self.sizes, self.patterns, code.join(" "))
    }

    /// Whether a read and an output may be one array: what is read of a block is then read before it is written.
    pub(super) fn may_share(&self, read: usize) -> bool {
        matches!(self.patterns[read], Pattern::Dense)
    }

    /// Makes them one.
    pub(super) fn share(&mut self, read: usize, output: usize) {
        let own = Block::Scratch(self.scratch);
        for instruction in &mut self.code {
            for block in instruction.args.iter_mut().chain([&mut instruction.to]) {
                if *block == Block::Output(output) {
                    *block = own;
                } else if *block == Block::Read(read) {
                    *block = Block::Output(output);
                }
            }
        }
        self.stores.push((self.scratch, output));
        self.scratch += 1;
    }

    /// Computes all of `out`; each is as long as the chain's shape.
    pub(super) fn run<T: Real>(&self, reads: &Reads<'_, T>, out: &mut [Vec<T>], blocks: &mut Vec<Vec<T>>) {
        if blocks.len() < self.scratch {
            blocks.resize_with(self.scratch, Vec::new);
        }
        blocks[..self.scratch].iter_mut().for_each(|block| grow(block, BLOCK));
        vectorised(
            #[inline(always)]
            || self.all_blocks(reads, out, blocks),
        );
    }

    #[inline(always)]
    fn all_blocks<T: Real>(&self, reads: &Reads<'_, T>, out: &mut [Vec<T>], blocks: &mut [Vec<T>]) {
        let last = self.sizes.len() - 1;
        let n = self.sizes[last];
        let rows: usize = self.sizes[..last].iter().product();
        if n >= BLOCK {
            for row in 0..rows {
                for column in (0..n).step_by(BLOCK) {
                    let part = Part { row, rows: 1, column, columns: BLOCK.min(n - column), n };
                    self.block(part, reads, out, blocks);
                }
            }
        } else {
            let together = BLOCK / n;
            for row in (0..rows).step_by(together) {
                let part = Part { row, rows: together.min(rows - row), column: 0, columns: n, n };
                self.block(part, reads, out, blocks);
            }
        }
    }

    #[inline(always)]
    fn block<T: Real>(&self, part: Part, reads: &Reads<'_, T>, out: &mut [Vec<T>], blocks: &mut [Vec<T>]) {
        for (k, pattern) in self.patterns.iter().enumerate() {
            if let Pattern::Filled { scratch, periodic } = pattern
                && (!periodic || part.row == 0)
            {
                let (from, offset) = reads.get(k);
                self.fill(part, from, offset, &self.strides[k], &mut blocks[*scratch]);
            }
        }
        let (start, len) = (part.row * part.n + part.column, part.rows * part.columns);
        for Instruction { f, to, args } in &self.code {
            let mut taken = match *to {
                Block::Scratch(k) => std::mem::take(&mut blocks[k]),
                Block::Output(k) => std::mem::take(&mut out[k]),
                Block::Read(_) => continue,
            };
            let to_part = match to {
                Block::Output(_) => &mut taken[start..start + len],
                _ => &mut taken[..len],
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
                Block::Scratch(k) => blocks[k] = taken,
                Block::Output(k) => out[k] = taken,
                Block::Read(_) => {}
            }
        }
        for &(from, to) in &self.stores {
            out[to][start..start + len].copy_from_slice(&blocks[from][..len]);
        }
    }

    #[inline(always)]
    fn operand<'a, T: Real>(
        &self,
        arg: Block,
        part: Part,
        reads: &Reads<'a, T>,
        out: &'a [Vec<T>],
        blocks: &'a [Vec<T>],
    ) -> Operand<'a, T> {
        let (start, len) = (part.row * part.n + part.column, part.rows * part.columns);
        let k = match arg {
            Block::Read(k) => k,
            Block::Scratch(k) => return Operand::Block(&blocks[k][..len]),
            Block::Output(k) => return Operand::Block(&out[k][start..start + len]),
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
}
