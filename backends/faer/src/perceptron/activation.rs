//! What happens between two layers: add the bias, apply the activation, keep its derivatives; and back again.
//!
//! A block of `m` samples and `h` units is stored unit after unit (`h` columns of `m` values), so that every loop here
//! runs along samples and has one bias per column.

use crate::real::{Real, vectorised};
use mountainpass_network::Activation;

/// An activation with its first and second derivative at z. A caller that drops one does not pay for it.
trait Curve {
    fn at<T: Real>(z: T) -> (T, T, T);
}

struct Relu;
struct LeakyRelu;
struct Tanh;
struct Sigmoid;
struct Gelu;
struct Softplus;

impl Curve for Relu {
    #[inline(always)]
    fn at<T: Real>(z: T) -> (T, T, T) {
        // Written so that NaN stays NaN.
        let dead = z <= T::ZERO;
        (if dead { T::ZERO } else { z }, if dead { T::ZERO } else { T::ONE }, T::ZERO)
    }
}

impl Curve for LeakyRelu {
    #[inline(always)]
    fn at<T: Real>(z: T) -> (T, T, T) {
        let slope = if z <= T::ZERO { T::of(0.01) } else { T::ONE };
        (slope * z, slope, T::ZERO)
    }
}

impl Curve for Tanh {
    #[inline(always)]
    fn at<T: Real>(z: T) -> (T, T, T) {
        // tanh |z| = (1 - e) / (1 + e) with e = exp(-2|z|), from exp - 1 so that nothing cancels near 0.
        let (em1, _) = (T::of(-2.0) * z.magnitude()).exp_pair();
        let t = -em1 / (T::of(2.0) + em1);
        let a = if z < T::ZERO { -t } else { t };
        let slope = (-a).fma(a, T::ONE);
        (a, slope, T::of(-2.0) * a * slope)
    }
}

/// sigmoid(z), its complement, and exp(-|z|).
#[inline(always)]
fn sigmoid<T: Real>(z: T) -> (T, T, T) {
    let (_, e) = (-z.magnitude()).exp_pair();
    let large = T::ONE / (T::ONE + e);
    let small = e * large;
    if z < T::ZERO { (small, large, e) } else { (large, small, e) }
}

impl Curve for Sigmoid {
    #[inline(always)]
    fn at<T: Real>(z: T) -> (T, T, T) {
        let (a, b, _) = sigmoid(z);
        let slope = a * b;
        (a, slope, slope * (b - a))
    }
}

impl Curve for Softplus {
    #[inline(always)]
    fn at<T: Real>(z: T) -> (T, T, T) {
        let (slope, other, e) = sigmoid(z);
        let positive = if z < T::ZERO { T::ZERO } else { z };
        (positive + e.ln_1p(), slope, slope * other)
    }
}

impl Curve for Gelu {
    #[inline(always)]
    fn at<T: Real>(z: T) -> (T, T, T) {
        // Phi(-|z|) = exp(-z^2/2) erfcx(|z|/sqrt 2) / 2.
        let (_, g) = (T::of(-0.5) * z * z).exp_pair();
        let tail = T::of(0.5) * g * (z.magnitude() * T::of(std::f64::consts::FRAC_1_SQRT_2)).erfcx();
        let cdf = if z < T::ZERO { tail } else { T::ONE - tail };
        let density = g * T::of(0.398_942_280_401_432_7); // 1 / sqrt(2 pi)
        (z * cdf, z.fma(density, cdf), density * (T::of(2.0) - z * z))
    }
}

/// Where the activation's value goes (in place of z) and which derivatives are kept.
pub(crate) enum Keep<'a, T> {
    Value,
    Slope(&'a mut [T]),
    SlopeAndCurvature(&'a mut [T], &'a mut [T]),
}

/// Replaces the products z, columns of `m`, by the activation of `z + bias`.
pub(crate) fn activate<T: Real>(kind: Activation, z: &mut [T], m: usize, bias: &[T], keep: Keep<'_, T>) {
    match kind {
        Activation::Relu => apply::<T, Relu>(z, m, bias, keep),
        Activation::LeakyRelu => apply::<T, LeakyRelu>(z, m, bias, keep),
        Activation::Tanh => apply::<T, Tanh>(z, m, bias, keep),
        Activation::Sigmoid => apply::<T, Sigmoid>(z, m, bias, keep),
        Activation::Gelu => apply::<T, Gelu>(z, m, bias, keep),
        Activation::Softplus => apply::<T, Softplus>(z, m, bias, keep),
    }
}

fn apply<T: Real, A: Curve>(z: &mut [T], m: usize, bias: &[T], keep: Keep<'_, T>) {
    match keep {
        Keep::Value => vectorised(
            #[inline(always)]
            || {
                for (z, b) in z.chunks_exact_mut(m).zip(bias) {
                    z.iter_mut().for_each(|z| *z = A::at(*z + *b).0);
                }
            },
        ),
        Keep::Slope(slopes) => vectorised(
            #[inline(always)]
            || {
                for ((z, b), slopes) in z.chunks_exact_mut(m).zip(bias).zip(slopes.chunks_exact_mut(m)) {
                    for (z, slope) in z.iter_mut().zip(slopes) {
                        (*z, *slope, _) = A::at(*z + *b);
                    }
                }
            },
        ),
        Keep::SlopeAndCurvature(slopes, curvatures) => vectorised(
            #[inline(always)]
            || {
                let kept = slopes.chunks_exact_mut(m).zip(curvatures.chunks_exact_mut(m));
                for ((z, b), (slopes, curvatures)) in z.chunks_exact_mut(m).zip(bias).zip(kept) {
                    for ((z, slope), curvature) in z.iter_mut().zip(slopes).zip(curvatures) {
                        (*z, *slope, *curvature) = A::at(*z + *b);
                    }
                }
            },
        ),
    }
}

/// The directional derivative through an activation: `rz + bias` becomes `slope (rz + bias)`, and the kept curvature
/// becomes `curvature (rz + bias)`, what the way back needs.
pub(crate) fn activate_along<T: Real>(rz: &mut [T], m: usize, bias: &[T], slopes: &[T], curvatures: &mut [T]) {
    vectorised(
        #[inline(always)]
        || {
            let kept = slopes.chunks_exact(m).zip(curvatures.chunks_exact_mut(m));
            for ((rz, b), (slopes, curvatures)) in rz.chunks_exact_mut(m).zip(bias).zip(kept) {
                for ((rz, slope), curvature) in rz.iter_mut().zip(slopes).zip(curvatures) {
                    let r = *rz + *b;
                    *rz = *slope * r;
                    *curvature *= r;
                }
            }
        },
    );
}

/// The way back through an activation: multiplies `delta` by the slopes.
pub(crate) fn chain<T: Real>(delta: &mut [T], slopes: &[T]) {
    vectorised(
        #[inline(always)]
        || delta.iter_mut().zip(slopes).for_each(|(d, s)| *d *= *s),
    );
}

/// The directional derivative of [`chain`]: `rdelta slope + delta (curvature rz)`, with `delta` before `chain`.
pub(crate) fn chain_along<T: Real>(rdelta: &mut [T], delta: &[T], slopes: &[T], bent: &[T]) {
    vectorised(
        #[inline(always)]
        || {
            for (((r, d), s), c) in rdelta.iter_mut().zip(delta).zip(slopes).zip(bent) {
                *r = r.fma(*s, *d * *c);
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at<T: Real>(kind: Activation, z: f64) -> [f64; 3] {
        let (mut a, mut s, mut c) = ([T::of(z)], [T::ZERO], [T::ZERO]);
        activate(kind, &mut a, 1, &[T::ZERO], Keep::SlopeAndCurvature(&mut s, &mut c));
        [a[0].to_f64(), s[0].to_f64(), c[0].to_f64()]
    }

    #[test]
    fn derivatives_are_slopes_of_the_value() {
        for kind in Activation::ALL {
            for i in -80..80 {
                let z = (f64::from(i) + 0.5) / 10.0; // Half a step beside the kink at 0.
                let h = 1e-4;
                let [[low, low_slope, _], [_, slope, curvature], [high, high_slope, _]] =
                    [z - h, z, z + h].map(|z| at::<f64>(kind, z));
                // Central differences: h^2/6 times a third derivative (below 2), and rounding 1e-16 |a| / h.
                assert!(((high - low) / (2.0 * h) - slope).abs() < 2e-8, "{kind:?} {z}");
                assert!(((high_slope - low_slope) / (2.0 * h) - curvature).abs() < 2e-8, "{kind:?} {z}");
            }
        }
    }

    #[test]
    fn values_agree_with_the_standard_library() {
        for i in -400..400 {
            let z = f64::from(i) / 20.0;
            // A few units in the last place.
            assert!((at::<f64>(Activation::Tanh, z)[0] - z.tanh()).abs() <= 4e-16 * z.tanh().abs(), "tanh {z}");
            let sigmoid = 1.0 / (1.0 + (-z).exp());
            assert!((at::<f64>(Activation::Sigmoid, z)[0] / sigmoid - 1.0).abs() < 1e-15, "sigmoid {z}");
            let softplus = z.max(0.0) + (-z.abs()).exp().ln_1p();
            assert!((at::<f64>(Activation::Softplus, z)[0] / softplus - 1.0).abs() < 1e-15, "softplus {z}");
        }
        // z Phi(z) from mpmath.
        for (z, gelu) in GELU {
            assert!((at::<f64>(Activation::Gelu, z)[0] / gelu - 1.0).abs() < 1e-14, "gelu {z}");
        }
    }

    const GELU: [(f64, f64); 4] = [
        (-3.0, -0.004_049_694_094_890_284),
        (-0.5, -0.154_268_769_362_993_45),
        (0.25, 0.149_676_581_420_730_93),
        (2.0, 1.954_499_736_103_641_6),
    ];

    #[test]
    fn single_precision_follows_double() {
        for kind in Activation::ALL {
            for i in -300..300 {
                let z = f64::from(i) / 16.0; // Exact in both types.
                for (single, double) in at::<f32>(kind, z).iter().zip(at::<f64>(kind, z)) {
                    // Five roundings of 6e-8 relative to max(1, |a|).
                    assert!((single - double).abs() <= 5e-7 * double.abs().max(1.0), "{kind:?} {z}");
                }
            }
        }
    }

    #[test]
    fn nan_stays_nan() {
        for kind in Activation::ALL {
            assert!(at::<f64>(kind, f64::NAN)[0].is_nan(), "{kind:?}");
            assert!(at::<f32>(kind, f64::NAN)[0].is_nan(), "{kind:?}");
        }
    }
}
