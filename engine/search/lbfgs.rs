//! Limited-memory BFGS: the two-loop recursion (Nocedal 1980), shared by descents and by whole bands of knots.

use super::vector::{axpy, dot, norm};
use std::collections::VecDeque;

/// The approximate inverse Hessian from the last `memory` steps.
#[derive(Clone, Debug)]
pub struct Lbfgs {
    memory: usize,
    /// (s, y, 1 / s.y), oldest first.
    pairs: VecDeque<(Vec<f64>, Vec<f64>, f64)>,
}

impl Lbfgs {
    /// No memory yet: the first direction is the scaled negative gradient.
    pub fn new(memory: usize) -> Lbfgs {
        Lbfgs { memory, pairs: VecDeque::new() }
    }

    /// Forgets every step.
    pub fn reset(&mut self) {
        self.pairs.clear();
    }

    /// True before the first accepted step.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Remembers a step `s` and the change `y` of the gradient over it; skipped unless the curvature along it is
    /// clearly positive, which keeps the approximation positive definite without a Wolfe search. What it tells of the
    /// largest curvature, |y|^2 / s.y, unless it was skipped.
    pub fn remember(&mut self, s: Vec<f64>, y: Vec<f64>) -> Option<f64> {
        let curvature = dot(&s, &y);
        if !curvature.is_finite() || curvature <= 1e-10 * norm(&s) * norm(&y) {
            return None;
        }
        if self.pairs.len() == self.memory {
            self.pairs.pop_front();
        }
        let largest = dot(&y, &y) / curvature;
        self.pairs.push_back((s, y, 1.0 / curvature));
        Some(largest)
    }

    /// The direction `-H g`. Without memory it is `-g`. Cost: 4 `memory` passes over the vector.
    pub fn direction(&self, gradient: &[f64]) -> Vec<f64> {
        let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let mut alphas = Vec::with_capacity(self.pairs.len());
        for (s, y, rho) in self.pairs.iter().rev() {
            let alpha = rho * dot(s, &q);
            axpy(&mut q, -alpha, y);
            alphas.push(alpha);
        }
        if let Some((_, y, rho)) = self.pairs.back() {
            let gamma = 1.0 / (rho * dot(y, y));
            q.iter_mut().for_each(|x| *x *= gamma);
        }
        for ((s, y, rho), alpha) in self.pairs.iter().zip(alphas.iter().rev()) {
            let beta = rho * dot(y, &q);
            axpy(&mut q, alpha - beta, s);
        }
        q
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_enough_memory_it_inverts_a_quadratic() {
        // f = x.A x / 2 with A = diag(1, 10, 100): conjugate steps teach the exact inverse.
        let a = [1.0, 10.0, 100.0];
        let mut memory = Lbfgs::new(10);
        for k in 0..3 {
            let mut s = vec![0.0; 3];
            s[k] = 1.0;
            let y: Vec<f64> = s.iter().zip(a).map(|(s, a)| s * a).collect();
            memory.remember(s, y);
        }
        let d = memory.direction(&[1.0, 1.0, 1.0]);
        for (d, a) in d.iter().zip(a) {
            assert!((d + 1.0 / a).abs() < 1e-14);
        }
    }

    #[test]
    fn negative_curvature_is_not_remembered() {
        let mut memory = Lbfgs::new(2);
        memory.remember(vec![1.0], vec![-1.0]);
        assert!(memory.is_empty());
    }
}
