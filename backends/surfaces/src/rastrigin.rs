//! Rastrigin's function, f = sum_i (10 + x_i^2 - 10 cos 2 pi x_i): a bowl covered with dents, eleven along each axis.

use crate::separable::{Curve, Separable};
use std::f64::consts::TAU;

pub type Rastrigin = Separable<Dents>;

/// One coordinate of it: minima near the integers from -5 to 5, maxima between them.
pub struct Dents;

impl Curve for Dents {
    const RANGE: [f64; 2] = [-5.12, 5.12];
    const SMOOTH: bool = true;

    fn value(x: f64) -> f64 {
        // 10 - 10 cos 2 pi x, without the cancellation near integers.
        x * x + 20.0 * (0.5 * TAU * x).sin().powi(2)
    }

    fn slope(x: f64) -> f64 {
        2.0 * x + 10.0 * TAU * (TAU * x).sin()
    }

    fn curvature(x: f64) -> f64 {
        2.0 + 10.0 * TAU * TAU * (TAU * x).cos()
    }
}
