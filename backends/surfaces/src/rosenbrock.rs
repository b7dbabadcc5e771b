//! Rosenbrock's function in n dimensions, f = sum_i 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2 over consecutive pairs: one
//! bent valley; from four dimensions on with a second minimum at its far end (Shang and Qiu 2006; Kok and Sandrock 2009).

use crate::surface::dimensions;
use crate::{Answers, CriticalPoint, Surface};
use mountainpass_sdk::{Bounds, Error, Open};

pub struct Rosenbrock {
    n: usize,
}

impl Rosenbrock {
    /// Option: `n` (2), at least 2.
    pub fn open(request: &mut Open<'_>) -> Result<Rosenbrock, Error> {
        match dimensions(request)? {
            1 => Err(Error::argument("option n: rosenbrock joins pairs of coordinates and needs at least 2")),
            n => Ok(Rosenbrock { n }),
        }
    }
}

impl Surface for Rosenbrock {
    fn n(&self) -> usize {
        self.n
    }

    fn value(&self, x: &[f64]) -> f64 {
        x.windows(2).map(|x| 100.0 * (x[1] - x[0] * x[0]).powi(2) + (1.0 - x[0]).powi(2)).sum()
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (i, x) in x.windows(2).enumerate() {
            let off = 200.0 * (x[1] - x[0] * x[0]);
            out[i] -= 2.0 * x[0] * off + 2.0 * (1.0 - x[0]);
            out[i + 1] += off;
        }
    }

    fn product(&self, x: &[f64], v: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (i, (x, v)) in x.windows(2).zip(v.windows(2)).enumerate() {
            let mixed = -400.0 * x[0];
            out[i] += (1200.0 * x[0] * x[0] - 400.0 * x[1] + 2.0) * v[0] + mixed * v[1];
            out[i + 1] += mixed * v[0] + 200.0 * v[1];
        }
    }

    /// The usual box of optimisers, [-5, 10]; every known minimum lies well inside.
    fn bounds(&self) -> Option<Bounds> {
        Some(Bounds { lower: vec![-5.0; self.n], upper: vec![10.0; self.n] })
    }

    /// A zero gradient gives every coordinate by those before it, and leaves one equation for the first: its roots in
    /// [-1.2, 1.2], by sign changes in steps of 5e-5 in 50 digits, are one point for n = 2 and 3 and these three up to
    /// n = 6. Beyond, only the best minimum is listed, and no bars.
    fn known(&self) -> Answers {
        let best = CriticalPoint { x: vec![1.0; self.n], value: 0.0, index: 0 };
        let (far, far_value, pass, pass_value): (&[f64], f64, &[f64], f64) = match self.n {
            ..=3 => return Answers { critical: vec![best], bars: vec![(0.0, f64::INFINITY)] },
            4 => (
                &[-0.775_659_226_565_352_6, 0.613_093_365_485_043_5, 0.382_062_846_338_393_15, 0.145_972_018_552_194_6],
                3.701_428_610_430_017,
                &[
                    -0.656_124_635_719_445_9,
                    0.443_120_040_971_572_35,
                    0.204_312_248_228_364_33,
                    0.041_743_494_776_128_76,
                ],
                3.708_241_996_647_261_5,
            ),
            5 => (
                &[
                    -0.962_051_020_694_750_2,
                    0.935_739_395_976_710_1,
                    0.880_713_604_194_320_6,
                    0.777_877_675_854_406_3,
                    0.605_093_678_592_652_8,
                ],
                3.930_839_434_133_028,
                &[
                    -0.557_468_315_898_848_8,
                    0.324_740_042_833_776_2,
                    0.116_567_321_445_339_92,
                    0.023_354_396_464_298_22,
                    0.000_545_427_834_211_625_3,
                ],
                4.657_371_428_200_574,
            ),
            6 => (
                &[
                    -0.986_574_979_570_993_7,
                    0.983_398_228_836_181_7,
                    0.972_106_670_053_091_9,
                    0.947_437_436_826_436,
                    0.898_651_184_851_729_6,
                    0.807_573_952_035_417_6,
                ],
                3.973_940_500_930_295,
                &[
                    -0.555_419_727_179_032_4,
                    0.322_493_274_297_445,
                    0.115_207_004_098_904_5,
                    0.023_502_770_405_030_75,
                    0.010_447_901_204_664_94,
                    0.000_109_158_639_582_439_1,
                ],
                5.646_383_966_587_951,
            ),
            _ => return Answers { critical: vec![best], bars: Vec::new() },
        };
        let critical = vec![
            best,
            CriticalPoint { x: far.to_vec(), value: far_value, index: 0 },
            CriticalPoint { x: pass.to_vec(), value: pass_value, index: 1 },
        ];
        Answers { critical, bars: vec![(0.0, f64::INFINITY), (far_value, pass_value)] }
    }

    fn options(&self) -> String {
        format!("n = {}\n", self.n)
    }
}
