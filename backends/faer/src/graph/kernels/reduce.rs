//! Sums and maxima over axes, and softmax: always in one order, in blocks, so that rounding grows with the logarithm of
//! the count rather than with the count.

use crate::real::{Real, vectorised};
use crate::sums::grow;

/// What is reduced: alternately kept and reduced axes, as passes over `[outer, reduced, inner]`.
#[derive(Debug)]
pub(crate) struct Reduction {
    passes: Vec<[usize; 3]>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Sum,
    Largest,
}

/// Rows that are added up before their sum is added to the total.
const ROWS: usize = 64;

impl Reduction {
    /// The sums that stay of a sum over leading axes alone, if it is one and leaves some.
    pub(crate) fn of_rows(shape: &[usize], axes: &[usize]) -> Option<usize> {
        match Reduction::new(Kind::Sum, shape, axes).passes[..] {
            [[1, rows, sums]] if rows > 1 && sums > 1 => Some(sums),
            _ => None,
        }
    }

    pub(crate) fn new(kind: Kind, shape: &[usize], axes: &[usize]) -> Reduction {
        // Runs of axes that are all kept or all reduced.
        let mut runs: Vec<(usize, bool)> = Vec::new();
        for (axis, &size) in shape.iter().enumerate().filter(|(_, size)| **size > 1) {
            let reduced = axes.contains(&axis);
            match runs.last_mut() {
                Some((run, is)) if *is == reduced => *run *= size,
                _ => runs.push((size, reduced)),
            }
        }
        let mut passes = Vec::new();
        let mut inner = 1;
        while let Some((size, reduced)) = runs.pop() {
            if reduced {
                let outer = runs.iter().map(|(size, _)| size).product();
                passes.push([outer, size, inner]);
            } else {
                inner *= size;
            }
        }
        if passes.is_empty() {
            passes.push([inner, 1, 1]);
        }
        Reduction { passes, kind }
    }

    /// How many numbers of scratch it takes.
    pub(crate) fn scratch(&self) -> usize {
        self.passes.iter().rev().skip(1).map(|pass| pass[0] * pass[2]).sum()
    }

    /// Every pass but the last leaves its result in scratch.
    pub(crate) fn run<T: Real>(&self, x: &[T], out: &mut [T], scratch: &mut [Vec<T>; 2]) {
        let [before, after] = scratch;
        for (i, pass) in self.passes.iter().enumerate() {
            let (size, last) = (pass[0] * pass[2], i + 1 == self.passes.len());
            if !last {
                grow(after, size);
            }
            let from = if i == 0 { x } else { &before[..pass.iter().product()] };
            self.pass(*pass, from, if last { out } else { &mut after[..size] });
            std::mem::swap(before, after);
        }
    }

    fn pass<T: Real>(&self, [_, reduced, inner]: [usize; 3], x: &[T], out: &mut [T]) {
        match (self.kind, inner) {
            (Kind::Sum, 1) => vectorised(
                #[inline(always)]
                || x.chunks_exact(reduced).zip(&mut *out).for_each(|(x, out)| *out = sum(x)),
            ),
            (Kind::Sum, _) => vectorised(
                #[inline(always)]
                || {
                    let parts = x.chunks_exact(reduced * inner).zip(out.chunks_exact_mut(inner));
                    parts.for_each(|(x, out)| sum_rows(x, out));
                },
            ),
            (Kind::Largest, _) => {
                let parts = x.chunks_exact(reduced * inner).zip(out.chunks_exact_mut(inner));
                parts.for_each(|(x, out)| {
                    out.copy_from_slice(&x[..inner]);
                    for row in x.chunks_exact(inner) {
                        let best = out.iter_mut().zip(row);
                        best.for_each(|(a, x)| *a = if (*x > *a) | x.undefined() { *x } else { *a });
                    }
                });
            }
        }
    }
}

/// The sum of a row: blocks of 1024, each in sixteen interleaved partial sums.
#[inline(always)]
pub(crate) fn sum<T: Real>(x: &[T]) -> T {
    let mut total = T::ZERO;
    for block in x.chunks(1024) {
        let mut lanes = [T::ZERO; 16];
        let pieces = block.chunks_exact(16);
        let rest = pieces.remainder();
        for piece in pieces {
            lanes.iter_mut().zip(piece).for_each(|(l, x)| *l += *x);
        }
        lanes.iter_mut().zip(rest).for_each(|(l, x)| *l += *x);
        total += lanes.into_iter().fold(T::ZERO, |sum, l| sum + l);
    }
    total
}

/// The sum of rows as long as `out`: columns 32 at a time, rows in blocks; of narrow rows several at a time.
#[inline(always)]
pub(crate) fn sum_rows<T: Real>(x: &[T], out: &mut [T]) {
    const LANES: usize = 32;
    let inner = out.len();
    out.fill(T::ZERO);
    if inner < LANES && LANES.is_multiple_of(inner) {
        for block in x.chunks(ROWS * LANES) {
            let mut lanes = [[T::ZERO; LANES]; 2];
            let pieces = block.chunks_exact(2 * LANES);
            let rest = pieces.remainder();
            for piece in pieces {
                let (a, b) = piece.split_at(LANES);
                lanes[0].iter_mut().zip(a).for_each(|(l, x)| *l += *x);
                lanes[1].iter_mut().zip(b).for_each(|(l, x)| *l += *x);
            }
            lanes.as_flattened_mut().iter_mut().zip(rest).for_each(|(l, x)| *l += *x);
            for lanes in lanes.as_flattened().chunks_exact(inner) {
                out.iter_mut().zip(lanes).for_each(|(sum, l)| *sum += *l);
            }
        }
        return;
    }
    for block in x.chunks(ROWS * inner) {
        for column in (0..inner / LANES * LANES).step_by(LANES) {
            let mut lanes = [T::ZERO; LANES];
            for row in block.chunks_exact(inner) {
                lanes.iter_mut().zip(&row[column..column + LANES]).for_each(|(l, x)| *l += *x);
            }
            out[column..column + LANES].iter_mut().zip(lanes).for_each(|(sum, l)| *sum += l);
        }
        for column in (inner / LANES * LANES..inner).step_by(16) {
            let columns = column..inner.min(column + 16);
            let mut lanes = [T::ZERO; 16];
            for row in block.chunks_exact(inner) {
                lanes.iter_mut().zip(&row[columns.clone()]).for_each(|(l, x)| *l += *x);
            }
            out[columns].iter_mut().zip(lanes).for_each(|(sum, l)| *sum += l);
        }
    }
}

/// Softmax of every row of `n`, or its logarithm.
pub(crate) fn softmax<T: Real>(x: &[T], n: usize, log: bool, out: &mut [T]) {
    vectorised(
        #[inline(always)]
        || {
            for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
                let mut top = x[0];
                x.iter().for_each(|x| top = if *x > top { *x } else { top });
                out.iter_mut().zip(x).for_each(|(out, x)| *out = (*x - top).exp_pair().1);
                let total = sum(out);
                if log {
                    let shift = total.log();
                    out.iter_mut().zip(x).for_each(|(out, x)| *out = *x - top - shift);
                } else {
                    let scale = T::ONE / total;
                    out.iter_mut().for_each(|out| *out *= scale);
                }
            }
        },
    );
}
