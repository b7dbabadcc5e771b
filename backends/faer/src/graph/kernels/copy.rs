//! Elements that move: strided copies either way, pieces side by side, rows by index.

use crate::graph::view::{collapse, place, steps};
use crate::real::Real;
use mountainpass_sdk::Error;

/// A walk over elements in C order that stand by `strides` on the other side.
#[derive(Debug)]
pub(crate) struct Walk {
    sizes: Vec<usize>,
    strides: Vec<isize>,
    turned: Option<Turned>,
}

/// A transposition: the other side is contiguous along an outer axis, not along the last.
#[derive(Debug)]
struct Turned {
    axis: usize,
    /// The sizes with 1 for both of these axes.
    others: Vec<usize>,
    /// How far apart neighbours are on this side.
    here: Vec<isize>,
}

/// Sides of the squares in which a transposition goes: two of them fit the first cache.
const SQUARE: usize = 32;

impl Walk {
    pub(crate) fn new(shape: &[usize], strides: &[isize]) -> Walk {
        let mut all = [strides.to_vec()];
        let sizes = collapse(shape, &mut all);
        let [strides] = all;
        let last = sizes.len() - 1;
        let axis = match strides[last] {
            0 | 1 => None,
            _ => (0..last).find(|axis| strides[*axis] == 1),
        };
        let turned = axis.map(|axis| {
            let mut others = sizes.clone();
            (others[axis], others[last]) = (1, 1);
            Turned { axis, others, here: steps(&sizes) }
        });
        Walk { sizes, strides, turned }
    }

    /// Calls `row(first here, first there)` for every row along the last axis.
    fn rows(&self, offset: usize, mut row: impl FnMut(usize, usize)) {
        let (outer, n) = self.sizes.split_at(self.sizes.len() - 1);
        for i in 0..outer.iter().product() {
            row(i * n[0], offset.wrapping_add_signed(place(i, outer, &self.strides)));
        }
    }

    /// `out[i] = from[offset + stride i]`.
    pub(crate) fn gather<E: Copy>(&self, from: &[E], offset: usize, out: &mut [E]) {
        let last = self.sizes.len() - 1;
        let (n, stride) = (self.sizes[last], self.strides[last]);
        if let Some(turned) = &self.turned {
            return self.transpose(turned, from, offset, out);
        }
        self.rows(offset, |here, there| {
            let out = &mut out[here..here + n];
            match stride {
                1 => out.copy_from_slice(&from[there..there + n]),
                0 => out.fill(from[there]),
                _ => {
                    let mut at = there;
                    for x in out {
                        *x = from[at];
                        at = at.wrapping_add_signed(stride);
                    }
                }
            }
        });
    }

    /// Goes in squares of the last axis and the turned one.
    fn transpose<E: Copy>(&self, turned: &Turned, from: &[E], offset: usize, out: &mut [E]) {
        let Turned { axis, others, here } = turned;
        let last = self.sizes.len() - 1;
        let (rows, columns) = (self.sizes[*axis], self.sizes[last]);
        let (across, step) = (self.strides[last], here[*axis] as usize);
        for i in 0..others.iter().product() {
            let to = place(i, others, here) as usize;
            let start = offset.wrapping_add_signed(place(i, others, &self.strides));
            for r in (0..rows).step_by(SQUARE) {
                let r_end = rows.min(r + SQUARE);
                for c in (0..columns).step_by(SQUARE) {
                    for row in r..r_end {
                        let out = &mut out[to + row * step..][..columns];
                        for (k, x) in out.iter_mut().enumerate().take(c + SQUARE).skip(c) {
                            *x = from[(start + row).wrapping_add_signed(k as isize * across)];
                        }
                    }
                }
            }
        }
    }

    /// `out[offset + stride i] = from[i]`.
    pub(crate) fn scatter<E: Copy>(&self, from: &[E], offset: usize, out: &mut [E]) {
        let last = self.sizes.len() - 1;
        let (n, stride) = (self.sizes[last], self.strides[last]);
        self.rows(offset, |here, there| {
            let from = &from[here..here + n];
            if stride == 1 {
                out[there..there + n].copy_from_slice(from);
            } else {
                let mut at = there;
                for x in from {
                    out[at] = *x;
                    at = at.wrapping_add_signed(stride);
                }
            }
        });
    }
}

/// Copies rows of `inner` elements: `out[o][r] = data[o][at[r]]` with `size` rows in `data`.
pub(crate) fn gather<E: Copy>(data: &[E], at: &[i64], size: usize, inner: usize, out: &mut [E]) -> Result<(), Error> {
    for (from, out) in data.chunks_exact(size * inner).zip(out.chunks_exact_mut(at.len() * inner)) {
        for (index, out) in at.iter().zip(out.chunks_exact_mut(inner)) {
            let row = row(*index, size)?;
            out.copy_from_slice(&from[row * inner..][..inner]);
        }
    }
    Ok(())
}

/// The adjoint: adds rows into zeros, in the order of `at`.
pub(crate) fn scatter<T: Real>(data: &[T], at: &[i64], size: usize, inner: usize, out: &mut [T]) -> Result<(), Error> {
    out.fill(T::ZERO);
    for (from, out) in data.chunks_exact(at.len() * inner).zip(out.chunks_exact_mut(size * inner)) {
        for (index, from) in at.iter().zip(from.chunks_exact(inner)) {
            let row = row(*index, size)?;
            out[row * inner..][..inner].iter_mut().zip(from).for_each(|(sum, x)| *sum += *x);
        }
    }
    Ok(())
}

/// Unit vectors.
pub(crate) fn one_hot<T: Real>(at: &[i64], classes: usize, out: &mut [T]) -> Result<(), Error> {
    out.fill(T::ZERO);
    for (index, out) in at.iter().zip(out.chunks_exact_mut(classes)) {
        out[row(*index, classes)?] = T::ONE;
    }
    Ok(())
}

/// An index as a row below `size`; those below 0 count from the end, as in ONNX.
fn row(index: i64, size: usize) -> Result<usize, Error> {
    let row = if index < 0 { index.checked_add(size as i64) } else { Some(index) };
    let row = row.and_then(|row| usize::try_from(row).ok()).filter(|row| *row < size);
    row.ok_or_else(|| Error::argument(format!("index {index} is outside of 0..{size}")))
}
