//! The three-hump camel, f = 2 x^2 - 1.05 x^4 + x^6 / 6 + x y + y^2: three minima in a row, two passes.

use crate::{Answers, Surface};
use mountainpass_sdk::Bounds;

pub struct ThreeHumpCamel;

impl Surface for ThreeHumpCamel {
    fn n(&self) -> usize {
        2
    }

    fn value(&self, x: &[f64]) -> f64 {
        let (x, y) = (x[0], x[1]);
        2.0 * x * x - 1.05 * x.powi(4) + x.powi(6) / 6.0 + x * y + y * y
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        let (x, y) = (x[0], x[1]);
        out[0] = 4.0 * x - 4.2 * x.powi(3) + x.powi(5) + y;
        out[1] = x + 2.0 * y;
    }

    fn product(&self, x: &[f64], v: &[f64], out: &mut [f64]) {
        let xx = 4.0 - 12.6 * x[0] * x[0] + 5.0 * x[0].powi(4);
        out[0] = xx * v[0] + v[1];
        out[1] = v[0] + 2.0 * v[1];
    }

    fn bounds(&self) -> Option<Bounds> {
        Some(Bounds { lower: vec![-2.5; 2], upper: vec![2.5; 2] })
    }

    fn known(&self) -> Answers {
        // y = -x / 2 and x^4 - 4.2 x^2 + 3.5 = 0, so x^2 = 2.1 -+ sqrt 0.91.
        let (side, pass) = (0.298_638_442_236_860_5, 0.877_361_557_763_140_2);
        Answers::new(
            &[
                ([0.0, 0.0], 0.0, 0),
                ([-1.747_552_345_830_289, 0.873_776_172_915_144_5], side, 0),
                ([1.747_552_345_830_289, -0.873_776_172_915_144_5], side, 0),
                ([-1.070_542_291_823_66, 0.535_271_145_911_83], pass, 1),
                ([1.070_542_291_823_66, -0.535_271_145_911_83], pass, 1),
            ],
            &[(0.0, f64::INFINITY), (side, pass), (side, pass)],
        )
    }
}
