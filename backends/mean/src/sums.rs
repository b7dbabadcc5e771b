//! Sums with one fixed order, and the penalty: the loops over whole parameter vectors, and the buffers they fill.

use crate::real::{Real, vectorised};
use std::ops::Range;

/// Lengthens a buffer to at least `len`; what it holds is of no interest. For the scratch of a kernel, of a size that
/// was asked for with the arrays of the plan.
pub fn grow<T: Copy + Default>(buffer: &mut Vec<T>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
}

/// Sums of columns of `m`, replacing `out` or added to it; sixteen interleaved partial sums, always in one order.
pub fn column_sums<T: Real>(columns: &[T], m: usize, add: bool, out: &mut [T]) {
    vectorised(
        #[inline(always)]
        || {
            for (column, out) in columns.chunks_exact(m).zip(&mut *out) {
                let mut lanes = [T::ZERO; 16];
                let blocks = column.chunks_exact(16);
                let rest = blocks.remainder();
                for block in blocks {
                    lanes.iter_mut().zip(block).for_each(|(l, x)| *l += *x);
                }
                lanes.iter_mut().zip(rest).for_each(|(l, x)| *l += *x);
                let sum = lanes.into_iter().fold(T::ZERO, |sum, l| sum + l);
                *out = if add { *out + sum } else { sum };
            }
        },
    );
}

/// `sum += part`.
pub fn add_to<T: Real>(sum: &mut [T], part: &[T]) {
    vectorised(
        #[inline(always)]
        || sum.iter_mut().zip(part).for_each(|(s, x)| *s += *x),
    );
}

/// `out = factor * x`, or added to it: rounded before it is added, as what another worker hands over is.
pub fn add_scaled_to<T: Real>(out: &mut [T], add: bool, factor: f64, x: &[T]) {
    let factor = T::from_f64(factor);
    vectorised(
        #[inline(always)]
        || match add {
            true => out.iter_mut().zip(x).for_each(|(out, x)| *out += factor * *x),
            false => out.iter_mut().zip(x).for_each(|(out, x)| *out = factor * *x),
        },
    );
}

/// The sum of absolute values in f64.
pub fn absolute_sum<T: Real>(x: &[T]) -> f64 {
    x.iter().map(|x| x.to_f64().abs()).sum()
}

/// `out += factor sign(x)` over some parts; the sign of 0 is 0.
pub fn add_signs<T: Real>(out: &mut [T], factor: f64, x: &[T], ranges: &[Range<usize>]) {
    let sign = |x: T| match x.to_f64() {
        x if x > 0.0 => factor,
        x if x < 0.0 => -factor,
        _ => 0.0,
    };
    for range in ranges {
        out[range.clone()].iter_mut().zip(&x[range.clone()]).for_each(|(out, x)| *out += T::from_f64(sign(*x)));
    }
}

/// The sum of squares in f64, eight interleaved partial sums; not finite if an element is not.
pub fn square_norm<T: Real>(x: &[T]) -> f64 {
    vectorised(
        #[inline(always)]
        || {
            let mut lanes = [0.0f64; 8];
            let blocks = x.chunks_exact(8);
            let rest = blocks.remainder();
            for block in blocks {
                lanes.iter_mut().zip(block).for_each(|(l, x)| *l = x.to_f64().mul_add(x.to_f64(), *l));
            }
            lanes.iter_mut().zip(rest).for_each(|(l, x)| *l = x.to_f64().mul_add(x.to_f64(), *l));
            lanes.into_iter().sum()
        },
    )
}

/// Whether every element is finite.
pub fn is_finite<T: Real>(x: &[T]) -> bool {
    vectorised(
        #[inline(always)]
        || {
            let mut lanes = [T::ZERO; 16];
            let blocks = x.chunks_exact(16);
            let rest = blocks.remainder();
            for block in blocks {
                lanes.iter_mut().zip(block).for_each(|(l, x)| *l += *x * T::ZERO);
            }
            lanes.iter_mut().zip(rest).for_each(|(l, x)| *l += *x * T::ZERO);
            lanes.iter().all(|l| *l == T::ZERO)
        },
    )
}

/// `sum += factor * x` on the given ranges.
pub fn add_scaled<T: Real>(sum: &mut [T], factor: f64, x: &[T], ranges: &[Range<usize>]) {
    let factor = T::from_f64(factor);
    for range in ranges {
        let (sum, x) = (&mut sum[range.clone()], &x[range.clone()]);
        vectorised(
            #[inline(always)]
            || sum.iter_mut().zip(x).for_each(|(s, x)| *s = factor.fma(*x, *s)),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_number_anywhere_is_seen() {
        for len in [1, 15, 16, 17, 40] {
            for at in 0..len {
                for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let mut x = vec![f32::MAX; len];
                    assert!(is_finite(&x));
                    x[at] = bad;
                    assert!(!is_finite(&x), "{bad} at {at} of {len}");
                }
            }
        }
    }

    #[test]
    fn sums_of_columns_are_replaced_or_added() {
        let columns: Vec<f64> = (0..2 * 37).map(f64::from).collect();
        let mut out = [f64::NAN; 2];
        column_sums(&columns, 37, false, &mut out);
        assert_eq!(out, [666.0, 2035.0]);
        column_sums(&columns, 37, true, &mut out);
        assert_eq!(out, [1332.0, 4070.0]);
        assert_eq!(square_norm(&columns[..10]), 285.0);
    }
}
