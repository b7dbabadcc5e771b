//! Losses in closed form for tests of the search, with no plugin table between; the engine's unit tests share them.

#![allow(dead_code)] // No one test uses them all.

use mountainpass::Result;
use mountainpass::loss::{Batch, Bounds, Caps, Dtype, Info, Loss, Split, Symmetry};

/// Writes the gradient, returns the loss.
pub type Function = fn(&[f64], &mut [f64]) -> f64;

/// A loss in closed form that remembers which samples it was asked for.
pub struct ClosedForm<F = Function> {
    pub info: Info,
    /// The box.
    pub range: Option<[f64; 2]>,
    /// Where every search begins, whatever its seed.
    pub start: Option<Vec<f64>>,
    pub symmetries: Vec<Symmetry>,
    /// Its accuracy on the test part.
    pub accuracy: Option<fn(&[f64]) -> f64>,
    f: F,
    /// The lists of samples asked for, repeats left out.
    pub ids: Vec<Option<Vec<u64>>>,
}

/// A loss of `params` parameters in a box.
pub fn closed_form(params: usize, range: Option<[f64; 2]>, f: Function) -> ClosedForm {
    ClosedForm::new(params, range, f)
}

impl<F: FnMut(&[f64], &mut [f64]) -> f64 + Send> ClosedForm<F> {
    /// The same for a closure.
    pub fn new(params: usize, range: Option<[f64; 2]>, f: F) -> ClosedForm<F> {
        let info = Info {
            backend: "closed form".into(),
            version: "1".into(),
            params,
            samples: 10,
            rows_best: 0,
            rows_max: 0,
            caps: Caps { grad: true, minibatch: true, repeatable: true, smooth: true, ..Caps::default() },
            noise: 0.0,
            dtype: Dtype::F64,
        };
        ClosedForm { info, range, start: None, symmetries: Vec::new(), accuracy: None, f, ids: Vec::new() }
    }
}

impl<F: FnMut(&[f64], &mut [f64]) -> f64 + Send> Loss for ClosedForm<F> {
    fn info(&self) -> &Info {
        &self.info
    }

    fn eval(&mut self, batch: Batch<'_>) -> Result<()> {
        let p = self.info.params;
        let ids = batch.ids.map(<[u64]>::to_vec);
        if self.ids.last() != Some(&ids) {
            self.ids.push(ids);
        }
        let (mut scratch, mut grad) = (vec![0.0; p], batch.grad);
        for (i, theta) in batch.theta.chunks_exact(p).enumerate() {
            batch.loss[i] = (self.f)(theta, &mut scratch);
            batch.ok[i] = batch.loss[i].is_finite();
            if let Some(grad) = grad.as_deref_mut() {
                grad[i * p..(i + 1) * p].copy_from_slice(&scratch);
            }
        }
        Ok(())
    }

    fn start(&self, _seed: u64) -> Result<Option<Vec<f64>>> {
        Ok(self.start.clone())
    }

    fn bounds(&self) -> Result<Option<Bounds>> {
        let p = self.info.params;
        Ok(self.range.map(|[low, high]| Bounds { lower: vec![low; p], upper: vec![high; p] }))
    }

    fn symmetries(&self) -> Result<Vec<Symmetry>> {
        Ok(self.symmetries.clone())
    }

    fn metric_names(&self, split: Split) -> Result<Vec<String>> {
        let has = split == Split::Test && self.accuracy.is_some();
        Ok(has.then(|| "accuracy".to_owned()).into_iter().collect())
    }

    fn metrics(&mut self, _: Split, theta: &[f64]) -> Result<Vec<f64>> {
        Ok(self.accuracy.iter().flat_map(|of| theta.chunks_exact(self.info.params).map(of)).collect())
    }
}

/// f = 2x^2 - 1.05x^4 + x^6/6 + xy + y^2.
pub fn three_hump_camel(x: &[f64], g: &mut [f64]) -> f64 {
    let (x, y) = (x[0], x[1]);
    g[0] = 4.0 * x - 4.2 * x.powi(3) + x.powi(5) + y;
    g[1] = x + 2.0 * y;
    2.0 * x * x - 1.05 * x.powi(4) + x.powi(6) / 6.0 + x * y + y * y
}

/// The surface of Mueller and Brown (1979).
pub fn mueller_brown(x: &[f64], g: &mut [f64]) -> f64 {
    const TERMS: [[f64; 6]; 4] = [
        [-200.0, -1.0, 0.0, -10.0, 1.0, 0.0],
        [-100.0, -1.0, 0.0, -10.0, 0.0, 0.5],
        [-170.0, -6.5, 11.0, -6.5, -0.5, 1.5],
        [15.0, 0.7, 0.6, 0.7, -1.0, 1.0],
    ];
    g.fill(0.0);
    let terms = TERMS.map(|[height, a, b, c, x0, y0]| {
        let (dx, dy) = (x[0] - x0, x[1] - y0);
        let term = height * (a * dx * dx + b * dx * dy + c * dy * dy).exp();
        g[0] += term * (2.0 * a * dx + b * dy);
        g[1] += term * (b * dx + 2.0 * c * dy);
        term
    });
    terms.iter().sum()
}

pub const DEEP: [f64; 2] = [-0.558_223_634_633_024_3, 1.441_725_841_804_669];
pub const MIDDLE: [f64; 2] = [0.623_499_404_930_876_5, 0.028_037_758_528_685_67];
/// The higher pass, which the path between the two must cross.
pub const HIGH: f64 = -40.664_843_508_657_4;

/// Gaussian wells on a plain that rises gently: `[x, y, depth]`, all of width 0.6.
fn wells(wells: &[[f64; 3]], x: &[f64], g: &mut [f64]) -> f64 {
    let mut sum = 0.02 * (x[0] * x[0] + x[1] * x[1]);
    (g[0], g[1]) = (0.04 * x[0], 0.04 * x[1]);
    for [x0, y0, depth] in wells {
        let (dx, dy) = (x[0] - x0, x[1] - y0);
        let well = -depth * (-(dx * dx + dy * dy) / 0.72).exp();
        sum += well;
        g[0] -= well * dx / 0.36;
        g[1] -= well * dy / 0.36;
    }
    sum
}

/// A horseshoe of six wells on a circle of radius 2; its ends are the deepest two, and the straight line between them
/// leads over the plain.
pub fn horseshoe(x: &[f64], g: &mut [f64]) -> f64 {
    const WELLS: [[f64; 3]; 6] = [
        [-1.53, -1.29, 3.0],
        [-1.96, 0.42, 2.0],
        [-0.88, 1.8, 1.9],
        [0.88, 1.8, 2.1],
        [1.96, 0.42, 1.95],
        [1.53, -1.29, 2.8],
    ];
    wells(&WELLS, x, g)
}

/// (x0^2 - 1)^2 + x1^2 + x2^2 + ...: minima at x0 = -1 and 1, a saddle of height 1 at zero.
pub fn double_well(x: &[f64], g: &mut [f64]) -> f64 {
    let wall = x[0] * x[0] - 1.0;
    g.iter_mut().zip(x).for_each(|(g, x)| *g = 2.0 * x);
    g[0] = 4.0 * x[0] * wall;
    wall * wall + x[1..].iter().map(|x| x * x).sum::<f64>()
}
