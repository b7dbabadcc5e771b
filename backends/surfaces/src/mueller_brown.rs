//! The Mueller-Brown potential (Theor. Chim. Acta 53, 75, 1979): three minima along a bent valley, two passes.

use crate::{Answers, Surface};
use mountainpass_sdk::Bounds;

pub struct MuellerBrown;

/// Height, the quadratic form (xx, xy, yy), and centre of each of the four Gaussians.
const TERMS: [[f64; 6]; 4] = [
    [-200.0, -1.0, 0.0, -10.0, 1.0, 0.0],
    [-100.0, -1.0, 0.0, -10.0, 0.0, 0.5],
    [-170.0, -6.5, 11.0, -6.5, -0.5, 1.5],
    [15.0, 0.7, 0.6, 0.7, -1.0, 1.0],
];

/// Of each term at `x`: its value, and the derivatives of its exponent along x and y.
fn terms(x: &[f64]) -> impl Iterator<Item = (&'static [f64; 6], f64, f64, f64)> {
    TERMS.iter().map(move |term| {
        let [height, a, b, c, x0, y0] = *term;
        let (dx, dy) = (x[0] - x0, x[1] - y0);
        let value = height * (a * dx * dx + b * dx * dy + c * dy * dy).exp();
        (term, value, 2.0 * a * dx + b * dy, b * dx + 2.0 * c * dy)
    })
}

impl Surface for MuellerBrown {
    fn n(&self) -> usize {
        2
    }

    fn value(&self, x: &[f64]) -> f64 {
        terms(x).map(|(_, value, _, _)| value).sum()
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (_, value, ex, ey) in terms(x) {
            out[0] += value * ex;
            out[1] += value * ey;
        }
    }

    fn product(&self, x: &[f64], v: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (&[_, a, b, c, _, _], value, ex, ey) in terms(x) {
            let slope = ex * v[0] + ey * v[1];
            out[0] += value * (ex * slope + 2.0 * a * v[0] + b * v[1]);
            out[1] += value * (ey * slope + b * v[0] + 2.0 * c * v[1]);
        }
    }

    fn bounds(&self) -> Option<Bounds> {
        Some(Bounds { lower: vec![-1.5, -0.2], upper: vec![1.2, 2.0] })
    }

    fn known(&self) -> Answers {
        let (deep, middle, shallow) = (-146.699_517_209_954, -108.166_724_116_852_4, -80.767_818_129_659_03);
        let (low, high) = (-72.248_940_112_325_23, -40.664_843_508_657_4);
        Answers::new(
            &[
                ([-0.558_223_634_633_024_3, 1.441_725_841_804_669], deep, 0),
                ([0.623_499_404_930_876_5, 0.028_037_758_528_685_67], middle, 0),
                ([-0.050_010_822_998_206_1, 0.466_694_104_871_972], shallow, 0),
                ([0.212_486_582_000_662_1, 0.292_988_325_107_367_7], low, 1),
                ([-0.822_001_558_732_732_1, 0.624_312_802_814_871_3], high, 1),
            ],
            &[(deep, f64::INFINITY), (middle, high), (shallow, low)],
        )
    }
}
