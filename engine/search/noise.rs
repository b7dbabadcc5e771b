//! What values of a loss are uncertain by, rounding of terms that cancel included.
//!
//! Values at evenly spaced points so close that a smooth loss hardly bends between them: their differences of third and
//! higher order are noise alone, and tell its size (More and Wild, SIAM J. Sci. Comput. 33, 1292).

use super::vector::norm;
use crate::error::Result;
use crate::loss::oracle::Oracle;
use rand::{Rng, SeedableRng};

const POINTS: usize = 9;
/// The spacing, in rounding units of the point: enough for every parameter to change.
const SPACING: f64 = 64.0;
/// Two values differ by more than this many standard deviations of the noise once in many thousand times.
const DEVIATIONS: f64 = 6.0;

/// What two evaluations near `theta` may differ by for no reason; 0 where one of them is not finite. Costs nine values.
pub fn noise(oracle: &mut Oracle<'_>, theta: &[f64], length: f64) -> Result<f64> {
    let direction = direction(theta.len());
    let step = SPACING * oracle.rounding() * length.max(norm(theta));
    let mut values = Vec::with_capacity(POINTS);
    for k in 0..POINTS {
        // One call each: noise may be that of a call.
        let along = (k as f64 - (POINTS / 2) as f64) * step;
        let point: Vec<f64> = theta.iter().zip(&direction).map(|(x, d)| x + along * d).collect();
        values.extend(oracle.values(&point)?);
    }
    let measured = DEVIATIONS * deviation(values);
    Ok(if measured.is_finite() { measured } else { 0.0 })
}

/// A unit vector, the same for every loss of as many parameters.
pub fn direction(p: usize) -> Vec<f64> {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(0);
    let mut v: Vec<f64> = (0..p).map(|_| f64::from(random.next_u32()) / f64::from(u32::MAX) - 0.5).collect();
    let size = norm(&v).max(f64::MIN_POSITIVE);
    v.iter_mut().for_each(|x| *x /= size);
    v
}

/// The standard deviation of the noise in values of a smooth function: the least that three orders of differences say.
fn deviation(mut values: Vec<f64>) -> f64 {
    let (mut least, mut gain) = (f64::INFINITY, 1.0);
    for order in 1..=5 {
        values = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
        // Differences of order k of independent noise have (2k)! / (k!)^2 times its variance.
        gain *= f64::from(2 * (2 * order - 1)) / f64::from(order);
        if order >= 3 {
            let mean = values.iter().map(|d| d * d).sum::<f64>() / values.len() as f64;
            least = least.min((mean / gain).sqrt());
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::closed_form::ClosedForm;
    use crate::run::{Budget, Cancel};

    fn measured(mut f: impl FnMut(f64) -> f64 + Send) -> f64 {
        let mut loss = ClosedForm::new(1, None, move |x: &[f64], _: &mut [f64]| f(x[0]));
        let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
        noise(&mut oracle, &[0.7], 1.0).unwrap()
    }

    #[test]
    fn noise_is_told_from_slopes() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let mut unit = move || f64::from(random.next_u32()) / f64::from(u32::MAX) - 0.5;
        // Uniform noise of width 1e-6 has the standard deviation 2.9e-7; nine values tell it within a factor of three.
        let noise = measured(move |x| 1e3 * x + x.exp() + 1e-6 * unit()) / DEVIATIONS;
        assert!((1e-7..9e-7).contains(&noise), "{noise:e}");
        assert!(measured(|x| 1e3 * x + x.exp()) < 1e-11);
    }

    #[test]
    fn terms_that_cancel_are_noise() {
        // Squares of sine and cosine, times a million, are a million but for rounding, which is of that size.
        let noise = measured(|x| 1e6 * x.sin().powi(2) + 1e6 * x.cos().powi(2) - 1e6 + x);
        assert!((1e-11..1e-8).contains(&noise), "{noise:e}");
    }
}
