//! Sums in one fixed order: the loops over whole parameter vectors, and the buffers they fill.

use crate::real::{Real, vectorised};

/// Lengthens a buffer to at least `len`; what it holds is of no interest. For the scratch of a kernel, of a size that
/// was asked for with the arrays of the plan.
pub(crate) fn grow<T: Copy + Default>(buffer: &mut Vec<T>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
}

/// `sum += part`.
pub(crate) fn add_to<T: Real>(sum: &mut [T], part: &[T]) {
    vectorised(
        #[inline(always)]
        || sum.iter_mut().zip(part).for_each(|(s, x)| *s += *x),
    );
}

/// `out = factor * x`, or added to it.
pub(crate) fn add_scaled_to<T: Real>(out: &mut [T], add: bool, factor: f64, x: &[T]) {
    let factor = T::from_f64(factor);
    vectorised(
        #[inline(always)]
        || match add {
            true => out.iter_mut().zip(x).for_each(|(out, x)| *out = factor.fma(*x, *out)),
            false => out.iter_mut().zip(x).for_each(|(out, x)| *out = factor * *x),
        },
    );
}

/// Folds numbers into `N` interleaved parts, always in one order.
#[inline(always)]
pub(crate) fn interleaved<const N: usize, T: Copy, A: Copy>(x: &[T], zero: A, add: impl Fn(A, T) -> A) -> [A; N] {
    let mut parts = [zero; N];
    let blocks = x.chunks_exact(N);
    let rest = blocks.remainder();
    for block in blocks {
        parts.iter_mut().zip(block).for_each(|(part, x)| *part = add(*part, *x));
    }
    parts.iter_mut().zip(rest).for_each(|(part, x)| *part = add(*part, *x));
    parts
}

/// The sum of squares in f64; not finite if an element is not.
pub(crate) fn square_norm<T: Real>(x: &[T]) -> f64 {
    vectorised(
        #[inline(always)]
        || {
            let parts: [f64; 8] = interleaved(
                x,
                0.0,
                #[inline(always)]
                |sum, x| x.to_f64().mul_add(x.to_f64(), sum),
            );
            parts.into_iter().sum()
        },
    )
}

/// Whether every element is finite.
pub(crate) fn is_finite<T: Real>(x: &[T]) -> bool {
    vectorised(
        #[inline(always)]
        || {
            let parts: [T; 16] = interleaved(
                x,
                T::ZERO,
                #[inline(always)]
                |sum, x| sum + x * T::ZERO,
            );
            parts.iter().all(|part| *part == T::ZERO)
        },
    )
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
    fn a_square_norm_is_the_sum_of_squares() {
        let x: Vec<f64> = (0..10).map(f64::from).collect();
        assert_eq!(square_norm(&x), 285.0);
    }
}
