//! Sums and maxima over axes: always in one order, in blocks, so that rounding grows with the logarithm of
//! the count rather than with the count.

use crate::real::{Real, vectorised};
use crate::sums::{grow, interleaved};

/// What is reduced: alternately kept and reduced axes, as passes over `[outer, reduced, inner]`.
#[derive(Debug)]
pub(crate) struct Reduction {
    passes: Vec<[usize; 3]>,
    fold: Fold,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fold {
    Sum,
    Largest,
}

/// Rows that are added up before their sum is added to the total.
const ROWS: usize = 64;
/// Partial sums of a row, side by side.
const LANES: usize = 16;
/// Rows up to this long are narrow: so many of them are taken abreast, and loops run along the rows.
pub(super) const NARROW: usize = 64;
pub(super) const ABREAST: usize = 16;

impl Reduction {
    /// The sums that stay of a sum over leading axes alone, if it is one and leaves some.
    pub(crate) fn of_rows(shape: &[usize], axes: &[usize]) -> Option<usize> {
        match Reduction::new(Fold::Sum, shape, axes).passes[..] {
            [[1, rows, sums]] if rows > 1 && sums > 1 => Some(sums),
            _ => None,
        }
    }

    pub(crate) fn new(fold: Fold, shape: &[usize], axes: &[usize]) -> Reduction {
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
        Reduction { passes, fold }
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
        match (self.fold, inner) {
            (Fold::Sum, 1) => vectorised(
                #[inline(always)]
                || row_sums(x, reduced, out),
            ),
            (Fold::Sum, _) => vectorised(
                #[inline(always)]
                || {
                    let parts = x.chunks_exact(reduced * inner).zip(out.chunks_exact_mut(inner));
                    parts.for_each(|(x, out)| sum_rows(x, out));
                },
            ),
            (Fold::Largest, _) => {
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

/// The sum of every row of `n`.
#[inline(always)]
fn row_sums<T: Real>(x: &[T], n: usize, out: &mut [T]) {
    let mut columns = [[T::ZERO; ABREAST]; NARROW];
    let narrow = if n <= NARROW { out.len() - out.len() % ABREAST } else { 0 };
    for (x, out) in x.chunks_exact(ABREAST * n).zip(out[..narrow].chunks_exact_mut(ABREAST)) {
        turn(x, n, &mut columns);
        out.copy_from_slice(&sums(&columns[..n]));
    }
    x.chunks_exact(n).zip(out).skip(narrow).for_each(|(x, out)| *out = sum(x));
}

/// Rows of `n` become columns.
#[inline(always)]
pub(super) fn turn<T: Real>(rows: &[T], n: usize, columns: &mut [[T; ABREAST]; NARROW]) {
    for (r, row) in rows.chunks_exact(n).enumerate() {
        columns.iter_mut().zip(row).for_each(|(column, x)| column[r] = *x);
    }
}

/// The sums of narrow rows, with the bits of [`sum`].
#[inline(always)]
pub(super) fn sums<T: Real>(columns: &[[T; ABREAST]]) -> [T; ABREAST] {
    let mut total = [T::ZERO; ABREAST];
    for first in 0..columns.len().min(LANES) {
        let mut lane = columns[first];
        for column in columns.iter().skip(first + LANES).step_by(LANES) {
            lane.iter_mut().zip(column).for_each(|(l, x)| *l += *x);
        }
        total.iter_mut().zip(lane).for_each(|(total, l)| *total += l);
    }
    total
}

/// The sum of a row: blocks of 1024, each in sixteen interleaved partial sums.
#[inline(always)]
pub(super) fn sum<T: Real>(x: &[T]) -> T {
    let mut total = T::ZERO;
    for block in x.chunks(1024) {
        let lanes: [T; LANES] = interleaved(
            block,
            T::ZERO,
            #[inline(always)]
            |lane, x| lane + x,
        );
        total += lanes.into_iter().fold(T::ZERO, |sum, l| sum + l);
    }
    total
}

/// The sum of rows as long as `out`: columns 32 at a time, rows in blocks; of narrow rows several at a time.
#[inline(always)]
pub(crate) fn sum_rows<T: Real>(x: &[T], out: &mut [T]) {
    const WIDE: usize = 32;
    let inner = out.len();
    out.fill(T::ZERO);
    if inner < WIDE && WIDE.is_multiple_of(inner) {
        for block in x.chunks(ROWS * WIDE) {
            let mut lanes = [[T::ZERO; WIDE]; 2];
            let pieces = block.chunks_exact(2 * WIDE);
            let rest = pieces.remainder();
            for piece in pieces {
                let (a, b) = piece.split_at(WIDE);
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
        for column in (0..inner / WIDE * WIDE).step_by(WIDE) {
            let mut lanes = [T::ZERO; WIDE];
            for row in block.chunks_exact(inner) {
                lanes.iter_mut().zip(&row[column..column + WIDE]).for_each(|(l, x)| *l += *x);
            }
            out[column..column + WIDE].iter_mut().zip(lanes).for_each(|(sum, l)| *sum += l);
        }
        for column in (inner / WIDE * WIDE..inner).step_by(LANES) {
            let mut lanes = [T::ZERO; LANES];
            for row in (column..block.len()).step_by(inner) {
                // Whole lanes: what is read of the next row is nobody's sum.
                match block[row..].first_chunk::<LANES>() {
                    Some(row) => lanes.iter_mut().zip(row).for_each(|(l, x)| *l += *x),
                    None => lanes.iter_mut().zip(&block[row..]).for_each(|(l, x)| *l += *x),
                }
            }
            out[column..inner.min(column + LANES)].iter_mut().zip(lanes).for_each(|(sum, l)| *sum += l);
        }
    }
}
