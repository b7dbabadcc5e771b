//! The spherical p-spin glass with p = 3, f = -sum_{i<j<k} J_ijk s_i s_j s_k / n for s = sqrt(n) x / |x|: only the
//! direction of x counts, and that is declared, a block of all coordinates that may be rescaled.
//!
//! The couplings are drawn from a seed, nearly normal with variance 3 / n^2 (the sum of twelve uniforms, less 6). With three
//! spins there is one coupling: four minima, four maxima, and six saddles on the axes at 0, as a sphere must have.

use crate::{Answers, CriticalPoint, Surface};
use mountainpass_sdk::{Bounds, Error, Open, Symmetry, SymmetryKind};

pub struct PSpin {
    n: usize,
    seed: u64,
    /// J_ijk sqrt(n) for i < j < k, in lexicographic order of (k, j, i).
    couplings: Vec<f64>,
}

/// There are n^3 / 6 couplings.
const MOST: usize = 100;

impl PSpin {
    /// Options: `spins` (8), `seed` (5).
    pub fn open(request: &mut Open<'_>) -> Result<PSpin, Error> {
        let seed = request.parsed("seed")?.unwrap_or(5);
        match request.parsed("spins")?.unwrap_or(8) {
            n @ 3..=MOST => Ok(PSpin::new(n, seed)),
            n => Err(Error::argument(format!("option spins: {n} is not a number of spins from 3 to {MOST}"))),
        }
    }

    fn new(n: usize, seed: u64) -> PSpin {
        let mut state = seed;
        // SplitMix64 (Steele, Lea and Flood 2014).
        let mut unit = move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        };
        let mut normal = || (0..12).map(|_| unit()).sum::<f64>() - 6.0;
        let size = (3.0 / n as f64).sqrt(); // sqrt(3) / n, times sqrt(n).
        PSpin { n, seed, couplings: (0..n * (n - 1) * (n - 2) / 6).map(|_| size * normal()).collect() }
    }

    /// Calls `each` with i, j, k and the coupling, for every triple.
    fn triples(&self, mut each: impl FnMut(usize, usize, usize, f64)) {
        let mut couplings = self.couplings.iter();
        for k in 2..self.n {
            for j in 1..k {
                for i in 0..j {
                    couplings.next().into_iter().for_each(|&c| each(i, j, k, c));
                }
            }
        }
    }

    /// The cubic form and its gradient: f = C(x) / |x|^3.
    fn cubic(&self, x: &[f64], gradient: &mut [f64]) -> f64 {
        let mut sum = 0.0;
        gradient.fill(0.0);
        self.triples(|i, j, k, c| {
            sum -= c * x[i] * x[j] * x[k];
            gradient[i] -= c * x[j] * x[k];
            gradient[j] -= c * x[i] * x[k];
            gradient[k] -= c * x[i] * x[j];
        });
        sum
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Surface for PSpin {
    fn n(&self) -> usize {
        self.n
    }

    fn cost(&self) -> usize {
        self.couplings.len()
    }

    fn value(&self, x: &[f64]) -> f64 {
        let mut sum = 0.0;
        self.triples(|i, j, k, c| sum -= c * x[i] * x[j] * x[k]);
        sum / dot(x, x).powf(1.5)
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        let cubic = self.cubic(x, out);
        let r = dot(x, x).sqrt();
        out.iter_mut().zip(x).for_each(|(g, x)| *g = *g / r.powi(3) - 3.0 * cubic * x / r.powi(5));
    }

    fn product(&self, x: &[f64], v: &[f64], out: &mut [f64]) {
        let mut slope = vec![0.0; self.n];
        let cubic = self.cubic(x, &mut slope);
        out.fill(0.0);
        self.triples(|i, j, k, c| {
            out[i] -= c * (x[j] * v[k] + v[j] * x[k]);
            out[j] -= c * (x[i] * v[k] + v[i] * x[k]);
            out[k] -= c * (x[i] * v[j] + v[i] * x[j]);
        });
        let (r, along, steep) = (dot(x, x).sqrt(), dot(x, v), dot(&slope, v));
        for i in 0..self.n {
            out[i] = out[i] / r.powi(3) - 3.0 * (along * slope[i] + steep * x[i] + cubic * v[i]) / r.powi(5)
                + 15.0 * cubic * along * x[i] / r.powi(7);
        }
    }

    fn bounds(&self) -> Option<Bounds> {
        None
    }

    /// Of three spins, on the unit sphere.
    fn known(&self) -> Answers {
        if self.n != 3 {
            return Answers::default();
        }
        let side = 1.0 / 3.0_f64.sqrt();
        let height = self.value(&[side; 3]);
        let corner = |k: u32| {
            let x: Vec<f64> = (0..3).map(|i| if k >> i & 1 == 1 { -side } else { side }).collect();
            let value = if k.count_ones() % 2 == 1 { -height } else { height };
            CriticalPoint { x, value, index: if value < 0.0 { 0 } else { 2 } }
        };
        let axis = |k: usize| {
            let x = (0..3)
                .map(|i| {
                    if i != k / 2 {
                        0.0
                    } else if k.is_multiple_of(2) {
                        1.0
                    } else {
                        -1.0
                    }
                })
                .collect();
            CriticalPoint { x, value: 0.0, index: 1 }
        };
        let low = -height.abs();
        let bars = [0.0, 0.0, 0.0, f64::INFINITY].map(|death| (low, death));
        Answers { critical: (0..8).map(corner).chain((0..6).map(axis)).collect(), bars: bars.to_vec() }
    }

    fn symmetries(&self) -> Vec<Symmetry> {
        let n = self.n as u64;
        vec![Symmetry { kind: SymmetryKind::Scale { split: n }, blocks: vec![(0..n).collect()] }]
    }

    fn options(&self) -> String {
        format!("spins = {}\nseed = {}\n", self.n, self.seed)
    }
}
