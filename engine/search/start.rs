//! Where descents begin: a point for every seed, and the numbers it is made of.

use crate::error::Result;
use crate::loss::Loss;
use rand::{Rng, SeedableRng};

/// Where a seed's descent begins: the backend's choice; else a point of the box; else a normal vector.
pub fn start(loss: &dyn Loss, seed: u64) -> Result<Vec<f64>> {
    if let Some(start) = loss.start(seed)? {
        return Ok(start);
    }
    let mut unit = uniform(seed, 0);
    Ok(match loss.bounds()? {
        Some(b) => b.lower.iter().zip(&b.upper).map(|(low, high)| low + (high - low) * unit()).collect(),
        // Twelve uniforms make a normal of variance 1 (the central limit, exact in mean and variance).
        None => (0..loss.info().params).map(|_| (0..12).map(|_| unit()).sum::<f64>() - 6.0).collect(),
    })
}

/// Numbers from [0, 1), the same for the same seed and stream.
pub fn uniform(seed: u64, stream: u64) -> impl FnMut() -> f64 {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(stream);
    move || (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}
