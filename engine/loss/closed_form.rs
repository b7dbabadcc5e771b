//! Losses for the engine's own unit tests: a function and its gradient, no plugin table between.

use super::{Batch, Bounds, Caps, Dtype, Info, Loss};
use crate::error::Result;

/// A loss given by a closed form.
pub struct ClosedForm<F> {
    info: Info,
    bounds: Option<Bounds>,
    /// Writes the gradient, returns the loss.
    f: F,
}

impl<F: FnMut(&[f64], &mut [f64]) -> f64 + Send> ClosedForm<F> {
    pub fn new(params: usize, bounds: Option<[f64; 2]>, f: F) -> ClosedForm<F> {
        let caps = Caps { grad: true, repeatable: true, smooth: true, ..Caps::default() };
        let info = Info {
            backend: "closed form".into(),
            version: "1".into(),
            params,
            samples: 0,
            rows_best: 0,
            rows_max: 0,
            caps,
            noise: 0.0,
            dtype: Dtype::F64,
        };
        let bounds = bounds.map(|[low, high]| Bounds { lower: vec![low; params], upper: vec![high; params] });
        ClosedForm { info, bounds, f }
    }
}

impl<F: FnMut(&[f64], &mut [f64]) -> f64 + Send> Loss for ClosedForm<F> {
    fn info(&self) -> &Info {
        &self.info
    }

    fn eval(&mut self, batch: Batch<'_>) -> Result<()> {
        let p = self.info.params;
        let mut scratch = vec![0.0; p];
        let mut grad = batch.grad;
        for (i, theta) in batch.theta.chunks_exact(p).enumerate() {
            batch.loss[i] = (self.f)(theta, &mut scratch);
            batch.ok[i] = batch.loss[i].is_finite();
            if let Some(grad) = grad.as_deref_mut() {
                grad[i * p..(i + 1) * p].copy_from_slice(&scratch);
            }
        }
        Ok(())
    }

    fn bounds(&self) -> Result<Option<Bounds>> {
        Ok(self.bounds.clone())
    }
}

/// f = 2x^2 - 1.05x^4 + x^6/6 + xy + y^2.
pub fn three_hump_camel(x: &[f64], g: &mut [f64]) -> f64 {
    let (x, y) = (x[0], x[1]);
    g[0] = 4.0 * x - 4.2 * x.powi(3) + x.powi(5) + y;
    g[1] = x + 2.0 * y;
    2.0 * x * x - 1.05 * x.powi(4) + x.powi(6) / 6.0 + x * y + y * y
}

/// The surface of Mueller and Brown 1979.
pub fn mueller_brown(x: &[f64], g: &mut [f64]) -> f64 {
    const TERMS: [[f64; 6]; 4] = [
        [-200.0, -1.0, 0.0, -10.0, 1.0, 0.0],
        [-100.0, -1.0, 0.0, -10.0, 0.0, 0.5],
        [-170.0, -6.5, 11.0, -6.5, -0.5, 1.5],
        [15.0, 0.7, 0.6, 0.7, -1.0, 1.0],
    ];
    g.fill(0.0);
    let mut sum = 0.0;
    for [height, a, b, c, x0, y0] in TERMS {
        let (dx, dy) = (x[0] - x0, x[1] - y0);
        let term = height * (a * dx * dx + b * dx * dy + c * dy * dy).exp();
        sum += term;
        g[0] += term * (2.0 * a * dx + b * dy);
        g[1] += term * (b * dx + 2.0 * c * dy);
    }
    sum
}
