//! The six-hump camel, f = (4 - 2.1 x^2 + x^4 / 3) x^2 + x y + (4 y^2 - 4) y^2: six minima in pairs, seven passes, two
//! maxima (Dixon and Szego, Towards Global Optimisation 2, 1978).

use crate::{Answers, Surface};
use mountainpass_sdk::Bounds;

pub struct SixHumpCamel;

impl Surface for SixHumpCamel {
    fn n(&self) -> usize {
        2
    }

    fn value(&self, x: &[f64]) -> f64 {
        let (x, y) = (x[0], x[1]);
        let (x2, y2) = (x * x, y * y);
        (4.0 - 2.1 * x2 + x2 * x2 / 3.0) * x2 + x * y + (4.0 * y2 - 4.0) * y2
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        let (x, y) = (x[0], x[1]);
        out[0] = 8.0 * x - 8.4 * x.powi(3) + 2.0 * x.powi(5) + y;
        out[1] = x - 8.0 * y + 16.0 * y.powi(3);
    }

    fn product(&self, x: &[f64], v: &[f64], out: &mut [f64]) {
        let xx = 8.0 - 25.2 * x[0] * x[0] + 10.0 * x[0].powi(4);
        let yy = 48.0 * x[1] * x[1] - 8.0;
        out[0] = xx * v[0] + v[1];
        out[1] = v[0] + yy * v[1];
    }

    fn bounds(&self) -> Option<Bounds> {
        Some(Bounds { lower: vec![-3.0, -2.0], upper: vec![3.0, 2.0] })
    }

    /// The first equation of a zero gradient gives y by x; put into the second it is a polynomial of degree 15 in x, and
    /// all of its 15 roots are real. Which pass ends which bar was read off a grid of 1201 by 1201 points: the passes are
    /// further apart than its error, 3e-5, and every bar is met twice, by f(-x, -y) = f(x, y), but for the deepest pair.
    fn known(&self) -> Answers {
        let (deep, middle, shallow) = (-1.031_628_453_489_877_4, -0.215_463_824_383_717_64, 2.104_250_310_311_258_3);
        let (side, low, high, top) =
            (0.543_718_600_978_185_1, 2.229_357_197_530_714_7, 2.229_470_818_029_86, 2.496_295_351_023_577);
        let pairs = [
            ([0.089_842_013_100_318_06, -0.712_656_403_020_739_6], deep, 0),
            ([1.703_606_714_969_980_8, -0.796_083_568_672_625_1], middle, 0),
            ([1.607_104_752_920_197_2, 0.568_651_454_884_131_4], shallow, 0),
            ([1.109_205_336_804_786_4, -0.768_268_092_509_539_8], side, 1),
            ([1.638_067_984_189_778_6, 0.228_674_069_044_394_07], low, 1),
            ([1.296_070_267_167_109_2, 0.605_084_388_038_658_5], high, 1),
            ([1.230_229_876_516_652_6, 0.162_334_584_458_994_97], top, 2),
        ];
        let both = pairs.iter().flat_map(|&(x, value, index)| [(x, value, index), ([-x[0], -x[1]], value, index)]);
        let critical: Vec<([f64; 2], f64, usize)> = both.chain([([0.0, 0.0], 0.0, 1)]).collect();
        let bars = [(deep, f64::INFINITY), (deep, 0.0), (middle, side), (middle, side), (shallow, low), (shallow, low)];
        Answers::new(&critical, &bars)
    }
}
