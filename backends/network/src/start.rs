//! Where a search begins: random weights for a seed.
//!
//! Weights are normal with mean 0; relu, leaky_relu, gelu and softplus layers have variance 2 / inputs (He et al.
//! 2015), tanh and sigmoid layers and the last one 2 / (inputs + outputs) (Glorot and Bengio 2010). Biases are 0.01,
//! so that no relu unit starts dead on an empty image.

use crate::{Activation, Mlp};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const BIAS: f64 = 0.01;

impl Mlp {
    /// A start for a seed, `p` values; the same seed gives the same bits on one machine.
    pub fn start(&self, seed: u64) -> Vec<f64> {
        let mut normal = Normal::seeded(seed);
        let mut theta = vec![BIAS; self.params()];
        let last = self.layers().len() - 1;
        for (i, layer) in self.layers().iter().enumerate() {
            let kaiming = i < last && !matches!(self.activation(), Activation::Tanh | Activation::Sigmoid);
            let fan = if kaiming { layer.inputs } else { layer.inputs + layer.outputs };
            let deviation = (2.0 / fan as f64).sqrt();
            theta[layer.weight..layer.bias].fill_with(|| deviation * normal.next());
        }
        theta
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_have_the_stated_variance_and_bias() {
        for (spec, first) in [("mlp:100-200-10:relu", 2.0 / 100.0), ("mlp:100-200-10:tanh", 2.0 / 300.0)] {
            let mlp = Mlp::parse(spec).unwrap();
            let theta = mlp.start(7);
            for (layer, variance) in mlp.layers().iter().zip([first, 2.0 / 210.0]) {
                let w = &theta[layer.weight..layer.bias];
                let seen = w.iter().map(|x| x * x).sum::<f64>() / w.len() as f64;
                // The relative deviation of a sample variance is sqrt(2/n): n >= 2,000, five deviations.
                assert!((seen / variance - 1.0).abs() < 5.0 * (2.0 / w.len() as f64).sqrt(), "{spec}: {seen}");
                assert!(theta[layer.bias..layer.end()].iter().all(|b| *b == BIAS));
            }
        }
    }

    #[test]
    fn a_seed_fixes_the_start() {
        let mlp = Mlp::parse("mlp:3-4-2:gelu").unwrap();
        assert_eq!(mlp.start(1), mlp.start(1));
        assert_ne!(mlp.start(1), mlp.start(2));
    }
}
