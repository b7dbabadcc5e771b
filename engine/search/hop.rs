//! Basin hopping (Wales and Doye 1997): the minimum where a walk stands is shaken, descended from, and the walk goes on
//! from where that ends if it is lower, or higher by no more than a draw at a temperature allows.

#![forbid(unsafe_code)]

use super::start::uniform;

/// The stream of random numbers that hops are drawn from; starts and clouds have lower ones, trainings higher ones.
const STREAM: u64 = 1 << 31;

/// How a walk hops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hop {
    /// Every coordinate is moved by up to this, either way.
    pub step: f64,
    /// In units of the loss: a hop that climbs by this is accepted with probability 1/e.
    pub temperature: f64,
}

/// What is drawn for one hop.
pub struct Draw {
    /// Where the hop's descent begins.
    pub shaken: Vec<f64>,
    /// From [0, 1).
    pub chance: f64,
}

impl Hop {
    /// What the seed of a hop decides.
    pub fn draw(&self, theta: &[f64], seed: u64) -> Draw {
        let mut unit = uniform(seed, STREAM);
        let chance = unit();
        let shaken = theta.iter().map(|x| x + self.step * (2.0 * unit() - 1.0)).collect();
        Draw { shaken, chance }
    }

    /// Whether the walk goes on from where a hop ended.
    pub fn accepts(&self, from: f64, to: f64, chance: f64) -> bool {
        to <= from || chance < ((from - to) / self.temperature).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hop_moves_every_coordinate_by_its_step_at_most_and_its_seed_decides_it() {
        let hop = Hop { step: 0.5, temperature: 1.0 };
        let theta = vec![1.0; 40];
        let of = |seed| hop.draw(&theta, seed).shaken;
        assert!(of(3).iter().all(|x| (x - 1.0).abs() <= 0.5 && *x != 1.0));
        assert!(of(3) == of(3) && of(3) != of(4));
    }

    #[test]
    fn a_walk_goes_down_always_and_up_by_chance() {
        let hop = Hop { step: 0.5, temperature: 2.0 };
        assert!(hop.accepts(1.0, 1.0, 0.999) && hop.accepts(1.0, -5.0, 0.999));
        let bound = (-1.0_f64).exp();
        assert!(hop.accepts(1.0, 3.0, bound - 1e-9) && !hop.accepts(1.0, 3.0, bound + 1e-9));
    }
}
