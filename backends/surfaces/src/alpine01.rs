//! Alpine's first function, f = sum_i |x_i sin x_i + 0.1 x_i|: all minima are zeros and lie on kinks.

use crate::separable::{Curve, Separable};

pub type Alpine01 = Separable<Ridges>;

/// One coordinate of it, |h| with h = x sin x + 0.1 x. At the zeros of h, which are its minima, the derivatives are those
/// from the right.
pub struct Ridges;

/// h, h' and h''.
fn h(x: f64) -> [f64; 3] {
    let (sin, cos) = x.sin_cos();
    [x * (sin + 0.1), sin + 0.1 + x * cos, 2.0 * cos - x * sin]
}

/// The sign of h just right of x.
fn side([h, slope, _]: [f64; 3]) -> f64 {
    if h == 0.0 { slope.signum() } else { h.signum() }
}

impl Curve for Ridges {
    const RANGE: [f64; 2] = [-10.0, 10.0];
    const SMOOTH: bool = false;

    fn value(x: f64) -> f64 {
        h(x)[0].abs()
    }

    fn slope(x: f64) -> f64 {
        let h = h(x);
        side(h) * h[1]
    }

    fn curvature(x: f64) -> f64 {
        let h = h(x);
        side(h) * h[2]
    }
}
