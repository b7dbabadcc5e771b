//! The element types f32 and f64 with the elementary functions that networks need, written so that loops over them
//! vectorise: no branches, no calls. Relative errors are a few units in the last place (tests below say how many).
//!
//! Every function takes one number; callers loop inside [`vectorised`]. All are pure in each element, so results do not depend on where a vector loop ends.

use crate::lanes::Lanes;
use faer::traits::ComplexField;
use mountainpass_sdk::Scalar;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// f32 or f64.
pub trait Real:
    Scalar
    + Lanes
    + Default
    + ComplexField
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// `value` rounded; for constants.
    fn of(value: f64) -> Self;
    /// `self * a + b` rounded once.
    fn fma(self, a: Self, b: Self) -> Self;
    /// The absolute value.
    fn magnitude(self) -> Self;
    /// exp(x) - 1 and exp(x) for x <= 0; NaN stays NaN. Below the smallest normal number exp is 0.
    fn exp_pair(self) -> (Self, Self);
    /// log(1 + x) for 0 <= x <= 1.
    fn ln_1p(self) -> Self;
    /// exp(x^2) erfc(x) for x >= 0.
    fn erfcx(self) -> Self;
    /// exp(x) - 1 and exp(x) for every x.
    fn exp_both(self) -> (Self, Self);
    /// The error function.
    fn erf(self) -> Self;
    /// The square root.
    fn root(self) -> Self;
    /// True if it is NaN.
    fn undefined(self) -> bool;
    /// The natural logarithm, by the standard library as the three that follow: no loop over them vectorises.
    fn log(self) -> Self;
    /// sin x.
    fn sine(self) -> Self;
    /// cos x.
    fn cosine(self) -> Self;
    /// `self` to the power of `exponent`.
    fn power(self, exponent: f64) -> Self;
}

/// Runs loops compiled for the widest vectors the machine has (AVX2 with fused multiply-add; else the build's own).
///
/// `loops` is an `#[inline(always)]` closure that borrows what it works on. One that consumes a captured value, or that
/// is not marked, is compiled outside the vector code, and each fused multiply-add in it becomes a call.
#[inline(always)]
pub fn vectorised<R>(loops: impl FnMut() -> R) -> R {
    struct Loops<F>(F);
    impl<F: FnMut() -> R, R> pulp::WithSimd for Loops<F> {
        type Output = R;
        #[inline(always)]
        fn with_simd<S: pulp::Simd>(mut self, _: S) -> R {
            (self.0)()
        }
    }
    pulp::Arch::new().dispatch(Loops(loops))
}

/// Horner's rule, highest coefficient last.
#[inline(always)]
fn horner<T: Real, const N: usize>(x: T, coefficients: [T; N]) -> T {
    let mut value = coefficients[N - 1];
    for c in coefficients[..N - 1].iter().rev() {
        value = value.fma(x, *c);
    }
    value
}

/// The parts of the two types that differ by numbers only.
macro_rules! real {
    ($type:ident, $bits:ident, $mantissa:literal, $bias:literal, $lowest:literal, $ln2:expr,
     exp: $exp:expr, atanh: $atanh:expr, erfcx: $erfcx:expr, erf: $erf:expr) => {
        impl Real for $type {
            const ZERO: $type = 0.0;
            const ONE: $type = 1.0;

            #[inline(always)]
            fn of(value: f64) -> $type {
                value as $type
            }

            #[inline(always)]
            fn fma(self, a: $type, b: $type) -> $type {
                self.mul_add(a, b)
            }

            #[inline(always)]
            fn magnitude(self) -> $type {
                self.abs()
            }

            #[inline(always)]
            fn exp_pair(self) -> ($type, $type) {
                // x = n ln 2 + r with |r| <= ln(2)/2; adding 1.5 * 2^mantissa rounds to a whole number n, and leaves
                // it in the low bits. exp(r) - 1 is its Taylor polynomial.
                const SHIFT: $type = 1.5 * (1u64 << $mantissa) as $type;
                let x = if self < $lowest { $lowest } else { self };
                let shifted = x.mul_add(std::$type::consts::LOG2_E, SHIFT);
                let n = shifted - SHIFT;
                let (high, low): ($type, $type) = $ln2;
                let r = n.mul_add(-low, n.mul_add(-high, x));
                let p = r * horner(r, $exp);
                let scale = $type::from_bits(shifted.to_bits().wrapping_add($bias) << $mantissa);
                let scale = if self < $lowest { 0.0 } else { scale };
                (p.mul_add(scale, scale - 1.0), p.mul_add(scale, scale))
            }

            #[inline(always)]
            fn ln_1p(self) -> $type {
                // log(1 + x) = 2 atanh(w) with w = x / (2 + x) <= 1/3, by its Taylor series.
                let w = self / (2.0 + self);
                let s = w * w;
                2.0 * (w * s).mul_add(horner(s, $atanh), w)
            }

            #[inline(always)]
            fn erfcx(self) -> $type {
                // (1 + 2x) erfcx(x) as a polynomial in (x - k)/(x + k), k = 3.75 (Schonfelder 1978's variable);
                // coefficients interpolate 50-digit values at Chebyshev nodes.
                let t = (self - 3.75) / (self + 3.75);
                horner(t, $erfcx) / self.mul_add(2.0, 1.0)
            }

            #[inline(always)]
            fn exp_both(self) -> ($type, $type) {
                // From h = exp(x/2) - 1, whose exponent stays in range wherever exp(x) is finite.
                let half = 0.5 * self;
                let half = if half > -0.6 * $lowest { -0.6 * $lowest } else { half };
                let (h, e) = half.exp_pair();
                (h * (h + 2.0), e * e)
            }

            #[inline(always)]
            fn erf(self) -> $type {
                // Near 0 the Maclaurin series, sum (-1)^n 2 / sqrt(pi) x^(2n+1) / (n! (2n+1)); else from the tail.
                let x = self.abs();
                let square = x * x;
                let (_, g) = (-square).exp_pair();
                let tail = (-g).mul_add(x.erfcx(), 1.0);
                let near = x * horner(square, $erf);
                let value = if x < 0.5 { near } else { tail };
                if self < 0.0 { -value } else { value }
            }

            #[inline(always)]
            fn root(self) -> $type {
                self.sqrt()
            }

            #[inline(always)]
            fn undefined(self) -> bool {
                self.is_nan()
            }

            fn log(self) -> $type {
                self.ln()
            }

            fn sine(self) -> $type {
                self.sin()
            }

            fn cosine(self) -> $type {
                self.cos()
            }

            fn power(self, exponent: f64) -> $type {
                self.powf(exponent as $type)
            }
        }
    };
}

real!(f64, u64, 52, 1023, -708.0, (0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10),
    exp: [1.0, 1.0 / 2.0, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0, 1.0 / 5040.0, 1.0 / 40320.0,
          1.0 / 362_880.0, 1.0 / 3_628_800.0, 1.0 / 39_916_800.0, 1.0 / 479_001_600.0, 1.0 / 6_227_020_800.0],
    atanh: [1.0 / 3.0, 1.0 / 5.0, 1.0 / 7.0, 1.0 / 9.0, 1.0 / 11.0, 1.0 / 13.0, 1.0 / 15.0, 1.0 / 17.0, 1.0 / 19.0,
            1.0 / 21.0, 1.0 / 23.0, 1.0 / 25.0, 1.0 / 27.0, 1.0 / 29.0, 1.0 / 31.0, 1.0 / 33.0],
    erfcx: [1.2375126308378275, -0.14024059858554697, 0.003585415485463775, 0.08227673849014516, -0.10880393014171785,
            0.09230432116037876, -0.058693398590212366, 0.028362277418940665, -0.00974657955250424,
            0.0017556258530017114, 0.00029371363428499375, -0.00029015408097946113, 5.164921139076899e-05,
            2.238424031403088e-05, -1.1444412439365664e-05, -9.735619011484009e-07, 1.7520579705369148e-06,
            -5.721597301827045e-08, -2.591069692389326e-07, 2.3261913631655787e-08, 3.8965452904647e-08,
            -3.7435681896403536e-09, -5.284287135945641e-09, 3.1103110167700235e-10, 4.43495936752757e-10],
    erf: [std::f64::consts::FRAC_2_SQRT_PI, -0.37612638903183754, 0.11283791670955126, -0.026866170645131252, 0.005223977625442188,
          -0.0008548327023450852, 0.00012055332981789664, -1.492565035840625e-05, 1.6462114365889246e-06,
          -1.6365844691234924e-07, 1.4807192815879218e-08, -1.2290555301717926e-09]);

real!(f32, u32, 23, 127, -87.0, (0.693_359_4, -2.121_944_4e-4),
    exp: [1.0, 1.0 / 2.0, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0, 1.0 / 5040.0],
    atanh: [1.0 / 3.0, 1.0 / 5.0, 1.0 / 7.0, 1.0 / 9.0, 1.0 / 11.0, 1.0 / 13.0, 1.0 / 15.0],
    erfcx: [1.237_512_6, -0.140_240_6, 0.003_585_497_4, 0.082_276_754, -0.108_805_254, 0.092_304_125, -0.058_685_336,
            0.028_363_474, -0.009_770_286, 0.001_752_209_5, 0.000_330_344_22, -0.000_285_154_32, 2.198_796_6e-5,
            1.878_073_6e-5],
    erf: [std::f32::consts::FRAC_2_SQRT_PI, -0.37612639, 0.11283792, -0.026866171, 0.0052239776, -0.0008548327, 0.00012055333]);

#[cfg(test)]
mod tests {
    use super::*;

    /// Units in the last place between `got` and an f64 truth, for a type with `epsilon`.
    fn ulps(got: f64, truth: f64, epsilon: f64) -> f64 {
        (got - truth).abs() / (truth.abs() * epsilon).max(f64::MIN_POSITIVE)
    }

    fn worst<T: Real>(points: &[f64], f: impl Fn(T) -> T, truth: impl Fn(f64) -> f64) -> f64 {
        let epsilon =
            if T::DTYPE == mountainpass_sdk::abi::dtype::F64 { f64::EPSILON } else { f64::from(f32::EPSILON) };
        let error = |x: &f64| {
            let x = T::of(*x);
            ulps(f(x).to_f64(), truth(x.to_f64()), epsilon)
        };
        points.iter().map(error).fold(0.0, f64::max)
    }

    fn check<T: Real>(lowest: f64) {
        let n = 100_000;
        let grid = |a: f64, b: f64| (0..=n).map(|i| a + (b - a) * f64::from(i) / f64::from(n)).collect::<Vec<f64>>();
        let tiny: Vec<f64> = (1..30).map(|i| 10f64.powi(-i)).collect();
        let negative: Vec<f64> = grid(lowest, 0.0).into_iter().chain(tiny.iter().map(|x| -x)).collect();
        // The standard library's exp, exp_m1 and ln_1p are right to 1 ulp of f64.
        assert!(worst::<T>(&negative, |x| x.exp_pair().1, f64::exp) <= 2.0);
        assert!(worst::<T>(&negative, |x| x.exp_pair().0, f64::exp_m1) <= 3.0);
        let unit: Vec<f64> = grid(0.0, 1.0).into_iter().chain(tiny).collect();
        assert!(worst::<T>(&unit, |x| x.ln_1p(), f64::ln_1p) <= 3.0);
        assert_eq!(T::of(-1e4).exp_pair().1, T::ZERO);
        assert_eq!(T::ZERO.exp_pair().1, T::ONE);
        assert!(T::of(f64::NAN).exp_pair().1.to_f64().is_nan());
        assert!(T::of(f64::NAN).erfcx().to_f64().is_nan());
        // exp(x^2) erfc(x) to 17 digits, from mpmath.
        let known = [
            (0.0, 1.0),
            (0.125, 0.873_221_845_082_150_8),
            (1.0, 0.427_583_576_155_807),
            (3.75, 0.145_589_721_275_038_54),
            (20.0, 0.028_174_348_741_051_32),
        ];
        for (x, truth) in known {
            assert!(worst::<T>(&[x], |x| x.erfcx(), |_| truth) <= 4.0, "erfcx({x})");
        }
    }

    #[test]
    fn elementary_functions_are_right_to_a_few_ulps() {
        check::<f64>(-708.0);
        check::<f32>(-87.0);
    }
}
