//! Elements that move: strided copies either way, pieces side by side, rows by index.

use crate::graph::view::{collapse, place, steps};
use crate::real::Real;
use mountainpass_sdk::Error;
use std::cmp::Ordering;

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

/// Rows of `inner` elements, of which there are `size` in every block; `shared` blocks, or as many as a multiple of it, have
/// indices of their own.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub(crate) shared: usize,
    pub(crate) size: usize,
    pub(crate) inner: usize,
}

impl Lookup {
    /// `out[s][o][r] = data[s][o][at[s][r]]`.
    pub(crate) fn gather<E: Copy>(&self, data: &[E], at: &[i64], out: &mut [E]) -> Result<(), Error> {
        let Lookup { shared, size, inner } = *self;
        let own = at.len() / shared;
        let blocks = at.chunks_exact(own).zip(data.chunks_exact(data.len() / shared));
        for ((at, data), out) in blocks.zip(out.chunks_exact_mut(out.len() / shared)) {
            for (from, out) in data.chunks_exact(size * inner).zip(out.chunks_exact_mut(own * inner)) {
                for (index, out) in at.iter().zip(out.chunks_exact_mut(inner)) {
                    let row = row(*index, size)?;
                    out.copy_from_slice(&from[row * inner..][..inner]);
                }
            }
        }
        Ok(())
    }

    /// The adjoint: adds rows into zeros, in the order of `at`.
    pub(crate) fn scatter<T: Real>(&self, data: &[T], at: &[i64], out: &mut [T]) -> Result<(), Error> {
        let Lookup { shared, size, inner } = *self;
        let own = at.len() / shared;
        out.fill(T::ZERO);
        let blocks = at.chunks_exact(own).zip(data.chunks_exact(data.len() / shared));
        for ((at, data), out) in blocks.zip(out.chunks_exact_mut(out.len() / shared)) {
            for (from, out) in data.chunks_exact(own * inner).zip(out.chunks_exact_mut(size * inner)) {
                for (index, from) in at.iter().zip(from.chunks_exact(inner)) {
                    let row = row(*index, size)?;
                    out[row * inner..][..inner].iter_mut().zip(from).for_each(|(sum, x)| *sum += *x);
                }
            }
        }
        Ok(())
    }
}

/// Indices as reals.
pub(crate) fn to_real<T: Real>(from: &[i64], out: &mut [T]) {
    out.iter_mut().zip(from).for_each(|(x, i)| *x = T::of(*i as f64));
}

/// Whole reals as indices; those beyond what the type tells apart are none.
pub(crate) fn to_index<T: Real>(from: &[T], out: &mut [i64]) -> Result<(), Error> {
    let digits =
        if T::DTYPE == mountainpass_sdk::abi::dtype::F64 { f64::MANTISSA_DIGITS } else { f32::MANTISSA_DIGITS };
    let most = (1u64 << digits) as f64;
    for (index, x) in out.iter_mut().zip(from) {
        let x = x.to_f64();
        if x.abs().partial_cmp(&most).is_none_or(Ordering::is_ge) {
            return Err(Error::argument(format!("{x} is no index that the run's numbers tell from its neighbours")));
        }
        *index = x as i64;
    }
    Ok(())
}

/// The places of the `count` largest of every row of `size`, from the largest on, of equals the first; NaN counts as larger
/// than all numbers.
pub(crate) fn largest<T: Real>(x: &[T], size: usize, count: usize, out: &mut [i64]) {
    for (row, out) in x.chunks_exact(size).zip(out.chunks_exact_mut(count)) {
        let before = |a: usize, b: usize| {
            let (x, y) = (row[a], row[b]);
            x > y || (x.undefined() && !y.undefined())
        };
        if count == size {
            out.iter_mut().zip(0..).for_each(|(place, i)| *place = i);
            let order = |a: &i64, b: &i64| match before(*a as usize, *b as usize) {
                true => Ordering::Less,
                false if before(*b as usize, *a as usize) => Ordering::Greater,
                false => a.cmp(b),
            };
            out.sort_unstable_by(order);
            continue;
        }
        for (filled, place) in (0..size).enumerate() {
            // Kept in order as they come: what is not before the last is not among them.
            let mut at = filled.min(count);
            while at > 0 && before(place, out[at - 1] as usize) {
                if at < count {
                    out[at] = out[at - 1];
                }
                at -= 1;
            }
            if at < count {
                out[at] = place as i64;
            }
        }
    }
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
