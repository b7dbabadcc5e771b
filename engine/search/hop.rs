//! Basin hopping (Wales and Doye 1997): the minimum where a walk stands is shaken, descended from, and the walk goes on
//! from where that ends if it is lower, or higher by no more than a draw at a temperature allows.

#![forbid(unsafe_code)]

use super::start::uniform;

/// The stream of random numbers that hops are drawn from; starts and clouds have lower ones, trainings higher ones.
const STREAM: u64 = 1 << 31;

/// How a walk hops. What is not given is learned on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Hop {
    /// Every coordinate is moved by up to this, either way.
    pub step: Option<f64>,
    /// In units of the loss: a hop that climbs by this is accepted with probability 1/e.
    pub temperature: Option<f64>,
}

/// Step and temperature of a walk as it goes: those given, or those that feedback finds (as in minima hopping, Goedecker
/// 2004): steps grow while hops end in minima that are known, and shrink while they find new ones; the temperature falls
/// with every hop that is accepted and rises with every other, so that half are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    hop: Hop,
    step: f64,
    temperature: f64,
}

/// A step's first size, as a fraction of the unit of length a coordinate.
const FIRST: f64 = 0.1;
/// A step grows or shrinks by this factor.
const STRIDE: f64 = 1.1;
/// A temperature rises or falls by this factor.
const WARMTH: f64 = 1.05;

/// What is drawn for one hop.
pub struct Draw {
    /// Where the hop's descent begins.
    pub shaken: Vec<f64>,
    /// From [0, 1).
    pub chance: f64,
}

impl Pace {
    /// Before the first hop, where the unit of length is `length` for so many parameters.
    pub fn new(hop: Hop, length: f64, params: usize) -> Pace {
        let step = hop.step.unwrap_or(FIRST * length / (params as f64).sqrt());
        Pace { hop, step, temperature: hop.temperature.unwrap_or(0.0) }
    }

    /// What the seed of a hop decides.
    pub fn draw(&self, theta: &[f64], seed: u64) -> Draw {
        let mut unit = uniform(seed, STREAM);
        let chance = unit();
        let shaken = theta.iter().map(|x| x + self.step * (2.0 * unit() - 1.0)).collect();
        Draw { shaken, chance }
    }

    /// Whether the walk goes on from where a hop ended; learns from it.
    pub fn accepts(&mut self, from: f64, to: f64, chance: f64) -> bool {
        if self.temperature == 0.0 {
            // The first difference of two minima is the only scale there is.
            self.temperature = (to - from).abs();
        }
        let goes_on = to <= from || chance < ((from - to) / self.temperature).exp();
        if self.hop.temperature.is_none() {
            self.temperature *= if goes_on { WARMTH.recip() } else { WARMTH };
        }
        goes_on
    }

    /// Learns how far to hop from whether a hop ended in a minimum that was known.
    pub fn landed(&mut self, is_known: bool) {
        if self.hop.step.is_none() {
            self.step *= if is_known { STRIDE } else { STRIDE.recip() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(step: Option<f64>, temperature: Option<f64>) -> Pace {
        Pace::new(Hop { step, temperature }, 4.0, 4)
    }

    #[test]
    fn a_hop_moves_every_coordinate_by_its_step_at_most_and_its_seed_decides_it() {
        let pace = pace(Some(0.5), Some(1.0));
        let theta = vec![1.0; 40];
        let of = |seed| pace.draw(&theta, seed).shaken;
        assert!(of(3).iter().all(|x| (x - 1.0).abs() <= 0.5 && *x != 1.0));
        assert!(of(3) == of(3) && of(3) != of(4));
    }

    #[test]
    fn a_walk_goes_down_always_and_up_by_chance() {
        let mut pace = pace(Some(0.5), Some(2.0));
        assert!(pace.accepts(1.0, 1.0, 0.999) && pace.accepts(1.0, -5.0, 0.999));
        let bound = (-1.0_f64).exp();
        assert!(pace.accepts(1.0, 3.0, bound - 1e-9) && !pace.accepts(1.0, 3.0, bound + 1e-9));
    }

    #[test]
    fn what_is_not_given_is_learned() {
        let (mut given, mut learned) = (pace(Some(0.5), Some(2.0)), pace(None, None));
        let before = given;
        for pace in [&mut given, &mut learned] {
            (0..3).for_each(|_| pace.landed(true));
            pace.landed(false);
            assert!(!pace.accepts(1.0, 9.0, 0.9));
        }
        assert_eq!(given, before);
        assert!((learned.step - 0.2 * 1.21).abs() < 1e-12 && (learned.temperature - 8.4).abs() < 1e-12);
    }
}
