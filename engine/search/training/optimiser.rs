//! What a step makes of a gradient: stochastic descent with momentum, Adam and AdamW, each as torch.optim defines it.
//!
//! Sgd: `g += decay theta`, `v <- momentum v + (1 - dampening) g` (at the first step `v <- g`), `theta <- theta - rate v`
//! (Nesterov: `- rate (g + momentum v)`).
//! Adam (Kingma and Ba 2015): the same decay, `m <- b1 m + (1 - b1) g`, `s <- b2 s + (1 - b2) g^2`, and
//! `theta <- theta - rate / (1 - b1^t) m / (sqrt(s / (1 - b2^t)) + eps)`; with `amsgrad` (Reddi et al. 2018) the largest s
//! so far. AdamW (Loshchilov and Hutter 2019): `theta <- theta (1 - rate decay)` in the place of the decay of g.

#![forbid(unsafe_code)]

use super::schedule::Pace;

/// A rule of steps, and what pulls parameters to zero beside the loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Optimiser {
    /// The rule.
    pub rule: Rule,
    /// The weight decay: of the training alone, no part of the loss.
    pub decay: f64,
}

/// A rule of steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Descent with momentum.
    Sgd {
        /// From 0 to below 1.
        momentum: f64,
        /// By which part gradients count less for the momentum, the first but one on; from 0 to 1.
        dampening: f64,
        /// Whether a step looks ahead along the momentum.
        nesterov: bool,
    },
    /// Steps by running means of gradients and of their squares.
    Adam {
        /// The factors of the two means, from 0 to below 1.
        betas: [f64; 2],
        /// Added to the root of the second.
        eps: f64,
        /// Whether the largest of the means of squares counts.
        amsgrad: bool,
        /// Whether the decay is of theta itself, as in AdamW, or enters the gradient.
        decoupled: bool,
    },
}

impl Optimiser {
    /// Descent with momentum and no more.
    pub fn momentum(momentum: f64) -> Optimiser {
        Optimiser { rule: Rule::Sgd { momentum, dampening: 0.0, nesterov: false }, decay: 0.0 }
    }
}

/// What an optimiser remembers from step to step.
pub(super) struct Memory {
    optimiser: Optimiser,
    /// The momentum, or the mean of gradients.
    mean: Vec<f64>,
    /// The mean of squares, and the largest so far; empty where the rule has none.
    squares: Vec<f64>,
    largest: Vec<f64>,
    steps: f64,
}

impl Memory {
    pub fn new(optimiser: Optimiser, params: usize) -> Memory {
        let zeros = |are_there: bool| vec![0.0; if are_there { params } else { 0 }];
        let (squares, largest) = match optimiser.rule {
            Rule::Sgd { .. } => (false, false),
            Rule::Adam { amsgrad, .. } => (true, amsgrad),
        };
        Memory { optimiser, mean: zeros(true), squares: zeros(squares), largest: zeros(largest), steps: 0.0 }
    }

    /// One step from `theta` by a gradient, of which nothing is left.
    pub fn step(&mut self, theta: &mut [f64], gradient: &mut [f64], pace: Pace) {
        let Optimiser { rule, decay } = self.optimiser;
        self.steps += 1.0;
        match rule {
            Rule::Adam { decoupled: true, .. } => theta.iter_mut().for_each(|x| *x *= 1.0 - pace.rate * decay),
            _ if decay != 0.0 => gradient.iter_mut().zip(&*theta).for_each(|(g, x)| *g += decay * x),
            _ => {}
        }
        match rule {
            Rule::Sgd { momentum, dampening, nesterov } => {
                let momentum = pace.momentum.unwrap_or(momentum);
                let fresh = if self.steps == 1.0 || momentum == 0.0 { 1.0 } else { 1.0 - dampening };
                for ((x, v), g) in theta.iter_mut().zip(&mut self.mean).zip(&*gradient) {
                    *v = momentum * *v + fresh * g;
                    *x -= pace.rate * if nesterov { g + momentum * *v } else { *v };
                }
            }
            Rule::Adam { betas: [first, second], eps, .. } => {
                let first = pace.momentum.unwrap_or(first);
                let unbiased = |beta: f64| 1.0 - beta.powf(self.steps);
                let (rate, root) = (pace.rate / unbiased(first), unbiased(second).sqrt());
                for (i, (x, g)) in theta.iter_mut().zip(&*gradient).enumerate() {
                    let (mean, square) = (&mut self.mean[i], &mut self.squares[i]);
                    *mean += (1.0 - first) * (g - *mean);
                    *square = second * *square + (1.0 - second) * g * g;
                    let square = match self.largest.get_mut(i) {
                        Some(largest) => {
                            *largest = largest.max(*square);
                            *largest
                        }
                        None => *square,
                    };
                    *x -= rate * *mean / (square.sqrt() / root + eps);
                }
            }
        }
    }
}
