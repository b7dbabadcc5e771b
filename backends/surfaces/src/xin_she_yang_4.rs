//! Xin-She Yang's fourth function, f = (sum sin^2 x_i - exp(-sum x_i^2)) exp(-sum sin^2 sqrt|x_i|): one deep needle of
//! value -1 at the origin, kinks wherever a coordinate is zero (arXiv 1008.0549).
//!
//! At a kink derivatives are those from the right, x_i = +0.

use crate::separable::{bars, extrema};
use crate::surface::dimensions;
use crate::{Answers, CriticalPoint, Surface};
use mountainpass_sdk::{Bounds, Error, Open};

pub struct XinSheYang4 {
    n: usize,
}

impl XinSheYang4 {
    /// Option: `n` (2).
    pub fn open(request: &mut Open<'_>) -> Result<XinSheYang4, Error> {
        Ok(XinSheYang4 { n: dimensions(request)? })
    }
}

/// sum sin^2 x_i - e and its factor p, with e = exp(-sum x_i^2) and p = exp(-sum sin^2 sqrt|x_i|): (d, e, p).
fn factors(x: &[f64]) -> (f64, f64, f64) {
    let sum = |g: fn(f64) -> f64| x.iter().map(|&x| g(x)).sum::<f64>();
    let e = (-sum(|x| x * x)).exp();
    (sum(|x| x.sin().powi(2)) - e, e, (-sum(|x| x.abs().sqrt().sin().powi(2))).exp())
}

/// The first two derivatives of sin^2 sqrt|x|; from the right at zero.
fn needle(x: f64) -> (f64, f64) {
    let side = if x < 0.0 { -1.0 } else { 1.0 };
    let a = x.abs();
    if a < 1e-3 {
        // sin^2 sqrt a = a - a^2 / 3 + 2 a^3 / 45 - a^4 / 315 + 2 a^5 / 14175 - ...: the closed forms cancel here.
        let slope = 1.0 + a * (-2.0 / 3.0 + a * (2.0 / 15.0 - a * (4.0 / 315.0)));
        return (side * slope, -2.0 / 3.0 + a * (4.0 / 15.0 + a * (-4.0 / 105.0 + a * (8.0 / 2835.0))));
    }
    let u = a.sqrt();
    let (sin, cos) = (2.0 * u).sin_cos();
    (side * sin / (2.0 * u), (2.0 * u * cos - sin) / (4.0 * u * a))
}

impl Surface for XinSheYang4 {
    fn n(&self) -> usize {
        self.n
    }

    fn value(&self, x: &[f64]) -> f64 {
        let (d, _, p) = factors(x);
        d * p
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        let (d, e, p) = factors(x);
        for (out, &x) in out.iter_mut().zip(x) {
            *out = p * ((2.0 * x).sin() + 2.0 * x * e - d * needle(x).0);
        }
    }

    fn product(&self, x: &[f64], v: &[f64], out: &mut [f64]) {
        let (d, e, p) = factors(x);
        // Sums over all coordinates of v times x, times the slope of d, times that of the needles.
        let (mut with_x, mut with_d, mut with_needles) = (0.0, 0.0, 0.0);
        for (&x, &v) in x.iter().zip(v) {
            with_x += x * v;
            with_d += ((2.0 * x).sin() + 2.0 * x * e) * v;
            with_needles += needle(x).0 * v;
        }
        for ((out, &x), &v) in out.iter_mut().zip(x).zip(v) {
            let (slope, curvature) = needle(x);
            let slope_of_d = (2.0 * x).sin() + 2.0 * x * e;
            let own = (2.0 * (2.0 * x).cos() + 2.0 * e - d * curvature) * v;
            let mixed = -4.0 * x * e * with_x - slope_of_d * with_needles - slope * (with_d - d * with_needles);
            *out = p * (own + mixed);
        }
    }

    fn smooth(&self) -> bool {
        false
    }

    fn bounds(&self) -> Option<Bounds> {
        Some(Bounds { lower: vec![-10.0; self.n], upper: vec![10.0; self.n] })
    }

    /// Everything for n = 1, from the sign changes of the slope; for more the minimum at the origin: f >= -e p >= -1.
    fn known(&self) -> Answers {
        if self.n > 1 {
            return Answers {
                critical: vec![CriticalPoint { x: vec![0.0; self.n], value: -1.0, index: 0 }],
                bars: Vec::new(),
            };
        }
        let slope = |x: f64| {
            let mut slope = [0.0];
            self.gradient(&[x], &mut slope);
            slope[0]
        };
        let value = |x: f64| self.value(&[x]);
        let extrema = extrema([-10.0, 10.0], 20_000, slope);
        let mut bars: Vec<(f64, f64)> = bars(&extrema, value)
            .into_iter()
            .map(|(minimum, death)| (value(minimum), death.map_or(f64::INFINITY, value)))
            .collect();
        bars.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let point = |e: &crate::separable::Extremum| CriticalPoint {
            x: vec![e.x],
            value: value(e.x),
            index: usize::from(!e.minimum),
        };
        Answers { critical: extrema.iter().map(point).collect(), bars }
    }

    fn options(&self) -> String {
        format!("n = {}\n", self.n)
    }
}
