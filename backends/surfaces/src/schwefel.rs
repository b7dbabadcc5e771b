//! Schwefel's function, f = -sum_i x_i sin sqrt|x_i|: seven free minima along each axis, the best of them far from the
//! second best.
//!
//! Without the constant 418.98 n that some add. Its critical points are those of the open box: on the closed one the end
//! x_i = -500 is one more, constrained minimum. Of the seven maxima of g one lies beyond the outermost minimum, so of the
//! n 7^n passes n 6 7^(n-1) join two free minima (84 of 98 for n = 2).

use crate::separable::{Curve, Separable};

pub type Schwefel = Separable<Waves>;

/// One coordinate of it. It is smooth but at x = 0, where the curvature is infinite on both sides, so that a Hessian product
/// there is not finite. No search comes upon a set of measure zero, and everywhere else second derivatives say what they
/// should: the claim is made.
pub struct Waves;

impl Curve for Waves {
    const RANGE: [f64; 2] = [-500.0, 500.0];
    const SMOOTH: bool = true;

    fn value(x: f64) -> f64 {
        -x * x.abs().sqrt().sin()
    }

    fn slope(x: f64) -> f64 {
        let u = x.abs().sqrt();
        -u.sin() - 0.5 * u * u.cos()
    }

    fn curvature(x: f64) -> f64 {
        let u = x.abs().sqrt();
        x.signum() * (0.25 * u.sin() - 0.75 * u.cos() / u)
    }
}
