//! The last layer's outputs against the labels: the sum of losses of a tile and its derivative, in f64 throughout.
//! The term is cross-entropy or mse, the only ones that perceptrons are opened with.
//!
//! Outputs are columns of `m` samples, one column per class, as products without the bias.

use crate::real::{Real, vectorised};
use mountainpass_network::DataTerm;
use mountainpass_network::judge::is_largest;
use mountainpass_sdk::memory::{Shortage, grow};

/// Scratch of one worker: probabilities (or residuals), and per sample the maximum and the sum.
#[derive(Default)]
pub(crate) struct Head {
    /// `m x classes`: softmax probabilities after a cross-entropy, residuals after mse.
    p: Vec<f64>,
    classes: usize,
    top: Vec<f64>,
    sum: Vec<f64>,
}

impl Head {
    /// Makes room for `m` samples of `classes`.
    pub(crate) fn reserve(&mut self, m: usize, classes: usize) -> Result<(), Shortage> {
        self.classes = classes;
        grow(&mut self.p, m.saturating_mul(classes))?;
        grow(&mut self.top, m)?;
        grow(&mut self.sum, m)
    }

    /// Stores `z + bias` in `p`.
    pub(crate) fn outputs<T: Real>(&mut self, z: &[T], bias: &[T], m: usize) {
        let p = &mut self.p;
        vectorised(
            #[inline(always)]
            || {
                for ((p, z), b) in p.chunks_exact_mut(m).zip(z.chunks_exact(m)).zip(bias) {
                    let b = b.to_f64();
                    p.iter_mut().zip(z).for_each(|(p, z)| *p = z.to_f64() + b);
                }
            },
        );
    }

    /// How many samples are predicted rightly; of the stored outputs.
    pub(crate) fn correct(&self, labels: &[u32]) -> usize {
        let m = labels.len();
        let scores = |i: usize| (0..self.classes).map(move |class| self.p[class * m + i]);
        labels.iter().enumerate().filter(|(i, label)| is_largest(scores(*i), **label as usize)).count()
    }

    /// The sum of losses of the stored outputs, which become probabilities or residuals.
    pub(crate) fn losses(&mut self, term: DataTerm, labels: &[u32]) -> f64 {
        match term {
            DataTerm::CrossEntropy => self.cross_entropies(labels),
            _ => self.squared_errors(labels),
        }
    }

    fn cross_entropies(&mut self, labels: &[u32]) -> f64 {
        let m = labels.len();
        let (top, sum) = (&mut self.top[..m], &mut self.sum[..m]);
        let own = |i: usize, p: &[f64]| p[labels[i] as usize * m + i];
        let p = &mut self.p[..m * self.classes];
        vectorised(
            #[inline(always)]
            || {
                top.copy_from_slice(&p[..m]);
                for column in p.chunks_exact(m).skip(1) {
                    top.iter_mut().zip(column).for_each(|(t, z)| *t = if *z > *t { *z } else { *t });
                }
                let shift: f64 = (0..m).map(|i| top[i] - own(i, p)).sum();
                sum.fill(0.0);
                for column in p.chunks_exact_mut(m) {
                    for ((p, t), s) in column.iter_mut().zip(&*top).zip(&mut *sum) {
                        *p = (*p - *t).exp_pair().1;
                        *s += *p;
                    }
                }
                let logs: f64 = sum.iter().map(|s| s.ln()).sum();
                sum.iter_mut().for_each(|s| *s = 1.0 / *s);
                for column in p.chunks_exact_mut(m) {
                    column.iter_mut().zip(&*sum).for_each(|(p, s)| *p *= *s);
                }
                logs + shift
            },
        )
    }

    fn squared_errors(&mut self, labels: &[u32]) -> f64 {
        let m = labels.len();
        for (i, label) in labels.iter().enumerate() {
            self.p[*label as usize * m + i] -= 1.0;
        }
        let sum = &mut self.sum[..m];
        let p = &self.p[..m * self.classes];
        vectorised(
            #[inline(always)]
            || {
                sum.fill(0.0);
                for column in p.chunks_exact(m) {
                    sum.iter_mut().zip(column).for_each(|(s, r)| *s += r * r);
                }
                sum.iter().sum()
            },
        )
    }

    /// The derivative of `scale` times the sum of losses by the outputs.
    pub(crate) fn delta<T: Real>(&self, term: DataTerm, labels: &[u32], scale: f64, delta: &mut [T]) {
        let m = labels.len();
        let factor = if term == DataTerm::CrossEntropy { scale } else { 2.0 * scale };
        let p = &self.p;
        vectorised(
            #[inline(always)]
            || delta.iter_mut().zip(p).for_each(|(d, p)| *d = T::from_f64(factor * p)),
        );
        if term == DataTerm::CrossEntropy {
            for (i, label) in labels.iter().enumerate() {
                let at = *label as usize * m + i;
                delta[at] = T::from_f64(scale * (p[at] - 1.0));
            }
        }
    }

    /// The directional derivative of [`delta`](Head::delta): `rz + bias` becomes it.
    pub(crate) fn delta_along<T: Real>(&mut self, term: DataTerm, m: usize, scale: f64, rz: &mut [T], bias: &[T]) {
        let sum = &mut self.sum[..m];
        let p = &self.p;
        vectorised(
            #[inline(always)]
            || {
                for (column, b) in rz.chunks_exact_mut(m).zip(bias) {
                    column.iter_mut().for_each(|r| *r += *b);
                }
                if term != DataTerm::CrossEntropy {
                    rz.iter_mut().for_each(|r| *r = T::from_f64(2.0 * scale * r.to_f64()));
                    return;
                }
                sum.fill(0.0);
                for (r, p) in rz.chunks_exact(m).zip(p.chunks_exact(m)) {
                    sum.iter_mut().zip(r).zip(p).for_each(|((s, r), p)| *s += p * r.to_f64());
                }
                for (r, p) in rz.chunks_exact_mut(m).zip(p.chunks_exact(m)) {
                    for ((r, p), s) in r.iter_mut().zip(p).zip(&*sum) {
                        *r = T::from_f64(scale * p * (r.to_f64() - s));
                    }
                }
            },
        );
    }
}
