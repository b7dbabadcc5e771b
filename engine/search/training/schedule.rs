//! How large the steps of a training are as it goes on: the schedules of torch.optim.lr_scheduler, in closed form, so that
//! the pace of a step depends on where it is alone.

#![forbid(unsafe_code)]

use std::f64::consts::PI;

/// How the learning rate goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// Epochs, ascending, and the learning rates there; straight between two of them, constant outside.
    Straight(Vec<(f64, f64)>),
    /// A curve that a rate is multiplied with.
    Curve {
        /// Where the curve is 1.
        rate: f64,
        /// Its form.
        curve: Curve,
        /// What it counts.
        per: Per,
    },
}

/// What a schedule counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// Epochs: the rate of an epoch's steps is one.
    Epoch,
    /// Steps.
    Step,
}

/// The form of a schedule; lengths are in what it counts.
#[derive(Clone, Debug, PartialEq)]
pub enum Curve {
    /// Times `gamma` after every `size` (StepLR).
    Step {
        /// The length of a step, 1 at least.
        size: u64,
        /// The factor.
        gamma: f64,
    },
    /// Times `gamma` at each of these (MultiStepLR).
    Multistep {
        /// Where, in any order.
        milestones: Vec<u64>,
        /// The factor.
        gamma: f64,
    },
    /// Times `gamma` every time (ExponentialLR).
    Exponential {
        /// The factor.
        gamma: f64,
    },
    /// Half a cosine (CosineAnnealingLR; Loshchilov and Hutter 2017), straight up to it at first where `warmup` is not 0
    /// (LinearLR).
    Cosine {
        /// How long the way up is.
        warmup: u64,
        /// What part of the rate it begins at.
        start: f64,
        /// The length of the half; that of all that is left after the way up unless given. It goes up again behind.
        length: Option<u64>,
        /// The rate at its end.
        lowest: f64,
    },
    /// Up to the rate and far down (OneCycleLR; Smith and Topin 2018).
    OneCycle(OneCycle),
}

/// Up to a rate, and down from it below where it began.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OneCycle {
    /// What part of the training goes up.
    pub up: f64,
    /// It begins at the rate by this.
    pub initial: f64,
    /// It ends at where it began by this.
    pub last: f64,
    /// Whether ways are straight, or halves of cosines.
    pub straight: bool,
    /// Whether the way down has where it began on it, as long after the rate as before.
    pub three_phase: bool,
    /// The momentum (Adam's first beta) where the rate is highest, and where it is lowest; left alone unless given.
    pub momenta: Option<[f64; 2]>,
}

/// How large a step is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// The learning rate.
    pub rate: f64,
    /// The momentum, where the schedule says one.
    pub momentum: Option<f64>,
}

/// Where in a training a step is, all counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its epoch.
    pub epoch: u64,
    /// Its place in that.
    pub step: u64,
    /// The number of epochs.
    pub epochs: u64,
    /// The number of steps in each.
    pub steps: u64,
}

impl Schedule {
    /// One rate all along.
    pub fn constant(rate: f64) -> Schedule {
        Schedule::Straight(vec![(0.0, rate)])
    }

    /// The pace of a step.
    pub fn at(&self, place: Place) -> Pace {
        match self {
            Schedule::Straight(rates) => Pace { rate: between(rates, place.epoch as f64), momentum: None },
            Schedule::Curve { rate, curve, per } => {
                let (at, all) = match per {
                    Per::Epoch => (place.epoch, place.epochs),
                    Per::Step => {
                        let before = place.epoch.saturating_mul(place.steps);
                        (before.saturating_add(place.step), place.epochs.saturating_mul(place.steps))
                    }
                };
                curve.at(*rate, at, all)
            }
        }
    }
}

fn between(rates: &[(f64, f64)], epoch: f64) -> f64 {
    let after = rates.iter().position(|(at, _)| *at > epoch).unwrap_or(rates.len());
    match (after.checked_sub(1).map(|before| rates[before]), rates.get(after)) {
        (Some((from, high)), Some(&(to, low))) => high + (low - high) * (epoch - from) / (to - from),
        (Some((_, rate)), None) | (None, Some(&(_, rate))) => rate,
        (None, None) => 0.0,
    }
}

impl Curve {
    /// The pace at `at` of `all`.
    fn at(&self, rate: f64, at: u64, all: u64) -> Pace {
        let falls = |gamma: f64, times: u64| rate * gamma.powf(times as f64);
        let rate = match self {
            Curve::Step { size, gamma } => falls(*gamma, at / size.max(&1)),
            Curve::Multistep { milestones, gamma } => {
                falls(*gamma, milestones.iter().filter(|milestone| **milestone <= at).count() as u64)
            }
            Curve::Exponential { gamma } => falls(*gamma, at),
            Curve::Cosine { warmup, start, .. } if at < *warmup => {
                rate * (start + (1.0 - start) * at as f64 / *warmup as f64)
            }
            Curve::Cosine { warmup, length, lowest, .. } => {
                let length = length.unwrap_or(all.saturating_sub(*warmup)).max(1);
                half_cosine(rate, *lowest, (at - warmup) as f64 / length as f64)
            }
            Curve::OneCycle(cycle) => return cycle.at(rate, at as f64, all as f64),
        };
        Pace { rate, momentum: None }
    }
}

/// From one value to another, as a cosine goes from 1 to -1.
fn half_cosine(from: f64, to: f64, part: f64) -> f64 {
    to + (from - to) / 2.0 * (1.0 + (PI * part).cos())
}

impl OneCycle {
    fn at(&self, rate: f64, at: f64, all: f64) -> Pace {
        let (first, top) = (rate / self.initial, self.up * all - 1.0);
        let last = first / self.last;
        let momenta = self.momenta.unwrap_or_default();
        let [low, high] = momenta;
        // The end of each way, and the rates and momenta at both of its ends.
        let ways = match self.three_phase {
            false => vec![(top, [first, rate], [high, low]), (all - 1.0, [rate, last], [low, high])],
            true => vec![
                (top, [first, rate], [high, low]),
                (2.0 * self.up * all - 2.0, [rate, first], [low, high]),
                (all - 1.0, [first, last], [high, high]),
            ],
        };
        let way = ways.iter().position(|(end, ..)| at <= *end).unwrap_or(ways.len() - 1);
        let begin = way.checked_sub(1).map_or(0.0, |before| ways[before].0);
        let (end, rates, momenta) = ways[way];
        let part = if end > begin { (at - begin) / (end - begin) } else { 1.0 };
        let on_way = |[from, to]: [f64; 2]| match self.straight {
            true => from + (to - from) * part,
            false => half_cosine(from, to, part),
        };
        Pace { rate: on_way(rates), momentum: self.momenta.map(|_| on_way(momenta)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(schedule: &Schedule, epochs: impl IntoIterator<Item = u64>) -> Vec<f64> {
        epochs.into_iter().map(|epoch| schedule.at(Place { epoch, step: 0, epochs: 100, steps: 1 }).rate).collect()
    }

    #[test]
    fn rates_are_straight_between_their_epochs() {
        let annealed = Schedule::Straight(vec![(0.0, 5e-2), (10.0, 5e-2), (50.0, 1e-4)]);
        let known = [5e-2, 5e-2, (5e-2 + 1e-4) / 2.0, 1e-4, 1e-4];
        for (rate, known) in rates(&annealed, [0, 10, 30, 50, 100]).iter().zip(known) {
            assert!((rate - known).abs() < 1e-16, "{rate}, {known}"); // One rounding.
        }
        assert_eq!(rates(&Schedule::constant(1e-4), [2000]), [1e-4]);
        let late = Schedule::Straight(vec![(5.0, 1.0), (7.0, 3.0)]);
        assert_eq!(rates(&late, [0, 5, 6, 7, 9]), [1.0, 1.0, 2.0, 3.0, 3.0]);
    }

    #[test]
    fn a_schedule_of_steps_has_as_many_as_all_epochs_together() {
        let cosine = Curve::Cosine { warmup: 0, start: 1.0, length: None, lowest: 0.0 };
        let by = |per| Schedule::Curve { rate: 1.0, curve: cosine.clone(), per };
        let pace = |schedule: &Schedule, epoch, step| schedule.at(Place { epoch, step, epochs: 4, steps: 5 }).rate;
        assert_eq!(pace(&by(Per::Epoch), 2, 0), pace(&by(Per::Epoch), 2, 4));
        assert!((pace(&by(Per::Step), 2, 0) - 0.5).abs() < 1e-15, "the middle of twenty steps"); // One rounding.
        assert!(pace(&by(Per::Step), 2, 1) < pace(&by(Per::Step), 2, 0));
    }

    #[test]
    fn a_cycle_shorter_than_its_way_up_is_finite() {
        for three_phase in [false, true] {
            for up in [0.0, 0.3, 1.0] {
                let cycle = OneCycle {
                    up,
                    initial: 25.0,
                    last: 1e4,
                    straight: false,
                    three_phase,
                    momenta: Some([0.85, 0.95]),
                };
                for (all, at) in [(1.0, 0.0), (2.0, 0.0), (2.0, 1.0), (3.0, 2.0)] {
                    let pace = cycle.at(1.0, at, all);
                    assert!(pace.rate.is_finite() && (0.0..=1.0).contains(&pace.rate), "{pace:?} of {cycle:?}");
                }
            }
        }
    }
}
