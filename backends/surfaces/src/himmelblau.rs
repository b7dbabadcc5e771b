//! Himmelblau's function, f = (x^2 + y - 11)^2 + (x + y^2 - 7)^2: four minima of value 0 in a ring, four passes, and
//! a maximum inside the ring.

use crate::{Answers, Surface};
use mountainpass_sdk::Bounds;

pub struct Himmelblau;

impl Surface for Himmelblau {
    fn n(&self) -> usize {
        2
    }

    fn value(&self, x: &[f64]) -> f64 {
        let (x, y) = (x[0], x[1]);
        (x * x + y - 11.0).powi(2) + (x + y * y - 7.0).powi(2)
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        let (x, y) = (x[0], x[1]);
        let (a, b) = (x * x + y - 11.0, x + y * y - 7.0);
        out[0] = 4.0 * x * a + 2.0 * b;
        out[1] = 2.0 * a + 4.0 * y * b;
    }

    fn product(&self, x: &[f64], v: &[f64], out: &mut [f64]) {
        let (x, y) = (x[0], x[1]);
        let (xx, xy, yy) = (12.0 * x * x + 4.0 * y - 42.0, 4.0 * (x + y), 12.0 * y * y + 4.0 * x - 26.0);
        out[0] = xx * v[0] + xy * v[1];
        out[1] = xy * v[0] + yy * v[1];
    }

    fn bounds(&self) -> Option<Bounds> {
        Some(Bounds { lower: vec![-5.0; 2], upper: vec![5.0; 2] })
    }

    fn known(&self) -> Answers {
        // The minima have equal values: which of them is the elder does not change the bars. The highest pass closes
        // the ring and bears a bar of degree 1.
        let passes = [13.311_926_270_405_59, 67.719_150_087_526_13, 104.015_162_917_558_1, 178.337_239_201_927_4];
        Answers::new(
            &[
                ([3.0, 2.0], 0.0, 0),
                ([3.584_428_340_330_492, -1.848_126_526_964_404], 0.0, 0),
                ([-3.779_310_253_377_747, -3.283_185_991_286_17], 0.0, 0),
                ([-2.805_118_086_952_745, 3.131_312_518_250_573], 0.0, 0),
                ([3.385_154_183_607_021, 0.073_851_879_837_749_28], passes[0], 1),
                ([0.086_677_504_555_396_34, 2.884_254_701_174_776], passes[1], 1),
                ([-3.073_025_750_764_39, -0.081_353_044_287_967_51], passes[2], 1),
                ([-0.127_961_346_730_68, -1.953_714_980_244_577], passes[3], 1),
                ([-0.270_844_590_667_347_6, -0.923_038_556_479_981_3], 181.616_521_522_582_7, 2),
            ],
            &[(0.0, f64::INFINITY), (0.0, passes[0]), (0.0, passes[1]), (0.0, passes[2])],
        )
    }
}
