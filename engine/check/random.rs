//! The draws of one test: a seed and the test's name decide them all, so that a failure replays.

#![forbid(unsafe_code)]

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A stream of random numbers.
pub struct Random(ChaCha8Rng);

impl Random {
    /// The stream of a test; no two tests of a seed see the same numbers.
    pub fn new(seed: u64, test: &str) -> Random {
        // FNV-1a: any hash that is the same on every machine.
        let name = test
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Random(ChaCha8Rng::seed_from_u64(seed ^ name))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Below `n`, which is not 0.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }

    /// In [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Normal, of variance 1.
    pub fn normal(&mut self) -> f64 {
        // Twelve uniforms: exact in mean and variance, and never far out.
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// `p` normal numbers.
    pub fn normals(&mut self, p: usize) -> Vec<f64> {
        (0..p).map(|_| self.normal()).collect()
    }

    /// A direction: `p` normal numbers scaled to length 1.
    pub fn direction(&mut self, p: usize) -> Vec<f64> {
        let mut v = self.normals(p);
        let length = v.iter().map(|x| x * x).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
        v.iter_mut().for_each(|x| *x /= length);
        v
    }

    /// Puts the items into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u64 + 1) as usize);
        }
    }

    /// One of the items, of which there is at least one.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_name_repeat_their_draws() {
        let draws = |seed, name| {
            let mut random = Random::new(seed, name);
            (random.bits(), random.below(10), random.normals(3))
        };
        assert_eq!(draws(1, "a"), draws(1, "a"));
        assert_ne!(draws(1, "a"), draws(1, "b"));
        assert_ne!(draws(1, "a"), draws(2, "a"));
        let mut random = Random::new(3, "a");
        assert!((0..1000).all(|_| random.below(7) < 7 && random.unit() < 1.0));
        assert!((random.direction(50).iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-12);
    }
}
