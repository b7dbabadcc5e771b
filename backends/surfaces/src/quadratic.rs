//! A convex quadratic, f = sum_i lambda_i x_i^2 / 2 with lambda from 1 to `condition` in equal ratios: one minimum.

use crate::surface::dimensions;
use crate::{Answers, Surface};
use mountainpass_sdk::{Bounds, Error, Open};

pub struct Quadratic {
    lambda: Vec<f64>,
    condition: f64,
}

impl Quadratic {
    /// Options: `n` (2), `condition` (10), the largest eigenvalue over the smallest.
    pub fn open(request: &mut Open<'_>) -> Result<Quadratic, Error> {
        let n = dimensions(request)?;
        let condition: f64 = request.parsed("condition")?.unwrap_or(10.0);
        if !(1.0..=1e300).contains(&condition) {
            return Err(Error::argument(format!("option condition: {condition} is not a number from 1 to 1e300")));
        }
        let lambda = (0..n).map(|i| condition.powf(i as f64 / (n.max(2) - 1) as f64)).collect();
        Ok(Quadratic { lambda, condition })
    }
}

impl Surface for Quadratic {
    fn n(&self) -> usize {
        self.lambda.len()
    }

    fn value(&self, x: &[f64]) -> f64 {
        x.iter().zip(&self.lambda).map(|(x, lambda)| 0.5 * lambda * x * x).sum()
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        self.product(x, x, out);
    }

    fn product(&self, _: &[f64], v: &[f64], out: &mut [f64]) {
        out.iter_mut().zip(v).zip(&self.lambda).for_each(|((out, v), lambda)| *out = lambda * v);
    }

    fn bounds(&self) -> Option<Bounds> {
        Some(Bounds { lower: vec![-1.0; self.n()], upper: vec![1.0; self.n()] })
    }

    fn known(&self) -> Answers {
        let critical = vec![crate::CriticalPoint { x: vec![0.0; self.n()], value: 0.0, index: 0 }];
        Answers { critical, bars: vec![(0.0, f64::INFINITY)] }
    }

    fn options(&self) -> String {
        format!("n = {}\ncondition = {}\n", self.n(), self.condition)
    }
}
