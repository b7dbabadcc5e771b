//! The random numbers of a start: the same for a seed on every machine.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Normal numbers by Marsaglia's polar method, two at a time.
pub(crate) struct Normal {
    rng: ChaCha8Rng,
    spare: Option<f64>,
}

impl Normal {
    /// The sequence of a seed.
    pub(crate) fn seeded(seed: u64) -> Normal {
        Normal { rng: ChaCha8Rng::seed_from_u64(seed), spare: None }
    }

    /// The next number of mean 0 and variance 1.
    pub(crate) fn next(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            // 53 random bits on [-1, 1).
            let mut uniform = || (self.rng.next_u64() >> 11) as f64 / (1u64 << 52) as f64 - 1.0;
            let (u, v) = (uniform(), uniform());
            let s = u * u + v * v;
            if s > 0.0 && s < 1.0 {
                let factor = (-2.0 * s.ln() / s).sqrt();
                self.spare = Some(v * factor);
                return u * factor;
            }
        }
    }
}
