//! Training: a point walks down gradients of minibatches, by the rule of an optimiser and at the pace of a schedule, for a
//! given number of epochs; the recipes of arXiv 2012.15834 are two settings of it.
//!
//! Every epoch visits every sample once, in an order that depends on seed and epoch alone, the last minibatch being what is
//! left over. So the end depends on start, seed and loss, not on what else is trained, nor on threads.

#![forbid(unsafe_code)]

pub mod optimiser;
pub mod schedule;

use crate::error::Result;
use crate::loss::oracle::Oracle;
use crate::search::vector::norm;
use optimiser::{Memory, Optimiser};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use schedule::{Place, Schedule};

/// The first of the streams of random numbers that orders are drawn from, one an epoch; starts and clouds have lower ones.
const STREAM: u64 = 1 << 32;

/// How a point is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    /// How often all samples are visited.
    pub epochs: u64,
    /// Samples in a minibatch.
    pub batch: usize,
    /// What a step makes of a gradient.
    pub optimiser: Optimiser,
    /// How large the steps are.
    pub schedule: Schedule,
    /// What gradients are cut to.
    pub clip: Clip,
}

/// What the gradient of a minibatch is cut to, before anything else is made of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Clip {
    /// The largest absolute value of a number of it (torch.nn.utils.clip_grad_value_).
    pub value: Option<f64>,
    /// Its largest norm (torch.nn.utils.clip_grad_norm_).
    pub norm: Option<f64>,
}

impl Clip {
    fn cut(&self, gradient: &mut [f64]) {
        if let Some(most) = self.value {
            gradient.iter_mut().for_each(|g| *g = g.clamp(-most, most));
        }
        if let Some(most) = self.norm {
            // Torch's guard against a norm of 0.
            let factor = most / (norm(gradient) + 1e-6);
            if factor < 1.0 {
                gradient.iter_mut().for_each(|g| *g *= factor);
            }
        }
    }
}

impl Training {
    /// Type 1 of arXiv 2012.15834: a small constant rate for 2,001 epochs.
    pub fn small_rate() -> Training {
        Training::with_momentum(2001, 256, 0.9, Schedule::constant(1e-4))
    }

    /// Type 2 of arXiv 2012.15834: a large rate for 10 epochs, then linearly down to the small one at epoch 50.
    pub fn annealed() -> Training {
        Training::with_momentum(101, 256, 0.9, Schedule::Straight(vec![(0.0, 5e-2), (10.0, 5e-2), (50.0, 1e-4)]))
    }

    /// Descent with momentum.
    pub fn with_momentum(epochs: u64, batch: usize, momentum: f64, schedule: Schedule) -> Training {
        Training { epochs, batch, optimiser: Optimiser::momentum(momentum), schedule, clip: Clip::default() }
    }
}

/// Where a training ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// Where it ended.
    pub theta: Vec<f64>,
    /// False where a minibatch's loss or gradient was no number: theta is then where that happened.
    pub is_finite: bool,
    /// Epochs begun, each counted as one evaluation of the gradient.
    pub epochs: u64,
}

/// Trains from `theta`. `on_epoch` is told the number of epochs done and the mean of the last one's losses. The cancel
/// token is polled every step, budgets every epoch.
pub fn train(
    oracle: &mut Oracle<'_>,
    mut theta: Vec<f64>,
    training: &Training,
    seed: u64,
    mut on_epoch: impl FnMut(u64, f64),
) -> Result<Trained> {
    let ids = oracle.ids();
    let mut order = ids.clone();
    let (mut memory, mut gradient) = (Memory::new(training.optimiser, theta.len()), vec![0.0; theta.len()]);
    let (epochs, batch) = (training.epochs, training.batch.max(1));
    let steps = order.len().div_ceil(batch) as u64;
    for epoch in 0..epochs {
        oracle.begin_epoch()?;
        order.copy_from_slice(&ids);
        shuffle(&mut order, seed, epoch);
        let mut sum = 0.0;
        for (minibatch, step) in order.chunks(batch).zip(0..) {
            let loss = oracle.minibatch(&theta, minibatch, &mut gradient)?;
            if !loss.is_finite() {
                return Ok(Trained { theta, is_finite: false, epochs: epoch + 1 });
            }
            sum += loss * minibatch.len() as f64;
            training.clip.cut(&mut gradient);
            memory.step(&mut theta, &mut gradient, training.schedule.at(Place { epoch, step, epochs, steps }));
        }
        on_epoch(epoch + 1, sum / order.len() as f64);
    }
    Ok(Trained { theta, is_finite: true, epochs: training.epochs })
}

/// The order of an epoch (Fisher and Yates).
fn shuffle(ids: &mut [u64], seed: u64, epoch: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(STREAM + epoch);
    for i in (1..ids.len()).rev() {
        // The high word of a product is even on 0..=i, to one part in 2^64 / i.
        let j = ((u128::from(random.next_u64()) * (i as u128 + 1)) >> 64) as usize;
        ids.swap(i, j);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::closed_form::{ClosedForm, Function};
    use crate::loss::{Batch, Info, Loss};
    use crate::run::{Budget, Cancel};

    #[test]
    fn an_order_holds_every_sample_once_and_changes_from_epoch_to_epoch_and_seed_to_seed() {
        let order = |seed, epoch| {
            let mut ids: Vec<u64> = (0..50).collect();
            shuffle(&mut ids, seed, epoch);
            ids
        };
        let mut sorted = order(1, 0);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<u64>>());
        assert_eq!(order(1, 0), order(1, 0));
        assert!(order(1, 0) != order(1, 1) && order(1, 0) != order(2, 0));
    }

    /// The mean over samples of (x - id)^2 / 2, in one dimension.
    struct Distances(ClosedForm);

    impl Loss for Distances {
        fn info(&self) -> &Info {
            self.0.info()
        }

        fn eval(&mut self, batch: Batch<'_>) -> Result<()> {
            let ids = batch.ids.unwrap_or_default();
            self.0.ids.push(Some(ids.to_vec()));
            let (x, n) = (batch.theta[0], ids.len() as f64);
            batch.loss[0] = ids.iter().map(|&id| (x - id as f64).powi(2) / 2.0).sum::<f64>() / n;
            if let Some(grad) = batch.grad {
                grad[0] = ids.iter().map(|&id| x - id as f64).sum::<f64>() / n;
            }
            batch.ok[0] = batch.loss[0].is_finite();
            Ok(())
        }
    }

    fn distances() -> Distances {
        let none: Function = |_, _| f64::NAN;
        Distances(ClosedForm::new(1, None, none))
    }

    #[test]
    fn steps_are_those_of_momentum_written_out() {
        let training = Training::with_momentum(3, 4, 0.9, Schedule::Straight(vec![(0.0, 0.1), (2.0, 0.05)]));
        let mut loss = distances();
        let ids: Vec<u64> = vec![7, 1, 2, 9, 4, 4];
        let cancel = Cancel::default();
        let mut oracle = Oracle::new(&mut loss, Some(&ids), &cancel, Budget::default()).unwrap();
        let mut means = Vec::new();
        let trained = train(&mut oracle, vec![3.0], &training, 5, |_, mean| means.push(mean)).unwrap();
        assert_eq!((trained.epochs, trained.is_finite, oracle.take_tally().gradient), (3, true, 3));
        // Six samples in fours: a minibatch of 4, then what is left, each epoch.
        let seen: Vec<Vec<u64>> = loss.0.ids.into_iter().flatten().collect();
        assert_eq!(seen.iter().map(Vec::len).collect::<Vec<_>>(), [4, 2, 4, 2, 4, 2]);
        let (mut x, mut v, mut expected) = (3.0_f64, 0.0, Vec::new());
        for (epoch, rate) in [0.1, 0.075, 0.05].into_iter().enumerate() {
            let mut all = [&seen[2 * epoch][..], &seen[2 * epoch + 1]].concat();
            let mut sum = 0.0;
            for minibatch in &seen[2 * epoch..2 * epoch + 2] {
                let n = minibatch.len() as f64;
                sum += minibatch.iter().map(|&id| (x - id as f64).powi(2) / 2.0).sum::<f64>();
                v = 0.9 * v + minibatch.iter().map(|&id| x - id as f64).sum::<f64>() / n;
                x -= rate * v;
            }
            expected.push(sum / 6.0);
            all.sort_unstable();
            assert_eq!(all, [1, 2, 4, 4, 7, 9]);
        }
        assert!((trained.theta[0] - x).abs() < 1e-14); // Roundings of six steps.
        assert!(means.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-13), "{means:?}, {expected:?}");
    }

    #[test]
    fn a_rate_too_large_ends_in_a_word_and_a_spent_budget_in_an_error() {
        let training = Training::with_momentum(5000, 10, 0.9, Schedule::constant(50.0));
        let (mut loss, cancel) = (distances(), Cancel::default());
        let mut oracle = Oracle::new(&mut loss, None, &cancel, Budget::default()).unwrap();
        let trained = train(&mut oracle, vec![3.0], &training, 5, |_, _| {}).unwrap();
        assert!(!trained.is_finite && trained.epochs < 5000);
        let mut loss = distances();
        let few = Budget { evaluations: Some(2), seconds: None };
        let mut oracle = Oracle::new(&mut loss, None, &cancel, few).unwrap();
        let gentle = Training { schedule: Schedule::constant(1e-3), ..training };
        let error = train(&mut oracle, vec![3.0], &gentle, 5, |_, _| {}).unwrap_err();
        assert_eq!(error.to_string(), "the budget of evaluations is spent");
        assert_eq!(loss.0.ids.len(), 2);
    }
}
