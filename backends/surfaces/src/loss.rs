//! One open surface: batches of rows on the host's workers, starts, and what it says about itself.
//!
//! Rows are computed in f64 into shares of our own, a few for each worker, and copied out: after the largest batch has been
//! seen once, an evaluation allocates nothing here. A row's bits do not depend on its share.

use crate::{Bend, Kinks, Surface};
use mountainpass_sdk::abi::status;
use mountainpass_sdk::{
    Bounds, Cancel, Caps, Dtypes, Error, Eval, Figures, Host, Identity, Info, Kink, Loss, Matrix, MatrixMut, Parameter,
    Slope, Symmetry,
};
use std::sync::{Mutex, PoisonError};

/// One open surface.
pub struct SurfaceLoss {
    model: String,
    surface: Box<dyn Surface>,
    /// Kept between calls, of which one at a time computes.
    shares: Mutex<Vec<Share>>,
}

/// Consecutive rows that one worker computes, and what it found.
#[derive(Default)]
struct Share {
    /// One row as f64, and one direction.
    x: Vec<f64>,
    v: Vec<f64>,
    loss: Vec<f64>,
    grad: Vec<f64>,
    hvp: Vec<f64>,
}

/// Less work than this, in the units of [`Surface::cost`], is not shared: at about 10 ns a unit it is done before another
/// thread has woken up. Not tuned.
const WORTH_SHARING: usize = 4096;
/// Numbers of output held at once; batches beyond are worked off in parts.
const HELD: usize = 1 << 20;

impl SurfaceLoss {
    pub(crate) fn new(model: &str, surface: Box<dyn Surface>) -> SurfaceLoss {
        SurfaceLoss { model: model.to_owned(), surface, shares: Mutex::default() }
    }

    /// Computes rows `first..first + count` into the shares; returns how many rows a share holds.
    fn compute(surface: &dyn Surface, eval: &Eval<'_>, first: usize, count: usize, kept: &mut Vec<Share>) -> usize {
        let shared = count * surface.cost() >= WORTH_SHARING && eval.host.workers() > 1;
        let shares = if shared { (4 * eval.host.workers()).min(count) } else { 1 };
        let rows = count.div_ceil(shares);
        if kept.len() < shares {
            kept.resize_with(shares, Share::default);
        }
        let (theta, cancel) = (eval.theta, eval.cancel);
        let (wants_grad, dir) = (eval.grad.is_some(), eval.hvp.as_ref().map(|(dir, _)| *dir));
        eval.host.for_each(&mut kept[..shares], |share, at, _| {
            let from = first + (at * rows).min(count);
            let to = first + ((at + 1) * rows).min(count);
            share.compute(surface, theta, dir, wants_grad, from..to, cancel);
        });
        rows
    }

    /// Evaluates the surface, or what stands for it.
    fn evaluate(&self, surface: &dyn Surface, mut eval: Eval<'_>) -> Result<(), Error> {
        let (n, all) = (surface.n(), eval.n());
        let shares = &mut *self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let mut first = 0;
        while first < all {
            let count = (HELD / (2 * n + 1)).max(1).min(all - first);
            let rows = Self::compute(surface, &eval, first, count, shares);
            if eval.cancel.fired() {
                return Err(Error::cancelled());
            }
            for at in 0..count {
                let (share, k, i) = (&shares[at / rows], at % rows, first + at);
                eval.loss[i] = share.loss[k];
                let fits = stored(eval.grad.as_mut(), i, &share.grad, k, n)
                    & stored(eval.hvp.as_mut().map(|(_, out)| out), i, &share.hvp, k, n);
                if !fits || !share.loss[k].is_finite() {
                    eval.row_status[i] = status::NUMERIC;
                }
            }
            first += count;
        }
        Ok(())
    }

    fn told(&self) -> Result<&dyn Kinks, Error> {
        self.surface.kinks().ok_or_else(|| Error::unsupported(format!("{} tells of no kinks", self.model)))
    }

    /// The surface with its kinks bent, evaluated.
    fn evaluate_bent(&self, bend: Bend, eval: Eval<'_>) -> Result<Box<dyn Surface>, Error> {
        let bent = self.told()?.bent(bend);
        self.evaluate(&*bent, eval).map(|()| bent)
    }
}

impl Share {
    fn compute(
        &mut self,
        surface: &dyn Surface,
        theta: Matrix<'_>,
        dir: Option<Matrix<'_>>,
        wants_grad: bool,
        rows: std::ops::Range<usize>,
        cancel: Cancel<'_>,
    ) {
        let (n, count) = (surface.n(), rows.len());
        self.loss.resize(count, 0.0);
        self.grad.resize(if wants_grad { count * n } else { 0 }, 0.0);
        self.hvp.resize(if dir.is_some() { count * n } else { 0 }, 0.0);
        for (k, i) in rows.enumerate() {
            if cancel.fired() {
                return;
            }
            let x = row(theta, i, &mut self.x);
            self.loss[k] = surface.value(x);
            if wants_grad {
                surface.gradient(x, &mut self.grad[k * n..(k + 1) * n]);
            }
            if let Some(dir) = dir {
                surface.product(x, row(dir, i, &mut self.v), &mut self.hvp[k * n..(k + 1) * n]);
            }
        }
    }
}

/// Row `i` as f64; in `buffer` where it is stored as another type.
fn row<'a>(matrix: Matrix<'a>, i: usize, buffer: &'a mut Vec<f64>) -> &'a [f64] {
    match matrix {
        Matrix::F64(matrix) => matrix.row(i),
        Matrix::F32(matrix) => {
            buffer.clear();
            buffer.extend(matrix.row(i).iter().map(|&x| f64::from(x)));
            buffer
        }
    }
}

/// Stores a row, if it is wanted; true if every value of it is finite in the matrix's element type.
fn stored(matrix: Option<&mut MatrixMut<'_>>, i: usize, share: &[f64], k: usize, n: usize) -> bool {
    let Some(matrix) = matrix else { return true };
    let values = &share[k * n..(k + 1) * n];
    matrix.set_row_f64(i, values);
    match matrix {
        MatrixMut::F32(_) => values.iter().all(|&value| (value as f32).is_finite()),
        MatrixMut::F64(_) => values.iter().all(|value| value.is_finite()),
    }
}

impl Loss for SurfaceLoss {
    fn info(&self) -> Info {
        let smooth = self.surface.smooth();
        Info {
            caps: Caps { grad: true, hvp: true, repeatable: true, cancel: true, smooth, ..Caps::default() },
            params: self.surface.n() as u64,
            dtypes: Dtypes { f32: true, f64: true },
            ..Info::default()
        }
    }

    fn eval(&self, eval: Eval<'_>) -> Result<(), Error> {
        self.evaluate(&*self.surface, eval)
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter { name: "x".into(), shape: vec![self.surface.n() as u64], offset: 0 }]
    }

    /// From a generator of our own: the same start on every machine and in every version.
    fn start(&self, seed: u64) -> Result<Vec<f64>, Error> {
        let mut state = seed;
        Ok(self.surface.start(&mut || (splitmix64(&mut state) >> 11) as f64 / TWO53))
    }

    fn bounds(&self) -> Option<Bounds> {
        self.surface.bounds()
    }

    fn symmetries(&self) -> Vec<Symmetry> {
        self.surface.symmetries()
    }

    fn kinks(&self) -> Result<u64, Error> {
        Ok(self.told()?.count())
    }

    fn eval_smoothed(&self, eps: f64, eval: Eval<'_>) -> Result<(), Error> {
        self.evaluate_bent(Bend::Smoothed(eps), eval).map(drop)
    }

    fn kinks_near(&self, _: Host<'_>, theta: &[f64], width: f64) -> Result<Vec<Kink>, Error> {
        let kinks = self.told()?;
        let one = |id: u64| {
            let (z, delta) = kinks.figures(id, theta);
            Kink { id, z, alpha: -1.0, delta }
        };
        Ok((0..kinks.count()).map(one).filter(|kink| kink.z.abs() < width).collect())
    }

    fn eval_linear(&self, slopes: &[Slope], eval: Eval<'_>, figures: Figures<'_>) -> Result<(), Error> {
        check(self.told()?, slopes)?;
        let Figures { mut z, mut delta } = figures;
        let theta = eval.theta;
        let bent = self.evaluate_bent(Bend::Linear(slopes.to_vec()), eval)?;
        let Some(kinks) = bent.kinks() else { return Ok(()) };
        let mut buffer = Vec::new();
        for i in 0..theta.n() {
            let x = row(theta, i, &mut buffer);
            for (k, slope) in slopes.iter().enumerate() {
                let found = kinks.figures(slope.id, x);
                z.iter_mut().for_each(|z| z[i * slopes.len() + k] = found.0);
                delta.iter_mut().for_each(|delta| delta[i * slopes.len() + k] = found.1);
            }
        }
        Ok(())
    }

    fn kink_rows(&self, _: Host<'_>, theta: &[f64], slopes: &[Slope], out: &mut [f64]) -> Result<(), Error> {
        check(self.told()?, slopes)?;
        let bent = self.told()?.bent(Bend::Linear(slopes.to_vec()));
        let rows = slopes.iter().zip(out.chunks_exact_mut(theta.len()));
        rows.for_each(|(slope, out)| bent.kinks().into_iter().for_each(|kinks| kinks.row(slope.id, theta, out)));
        Ok(())
    }

    fn identity(&self) -> Identity {
        let options = format!("model = {}\n{}", self.model, self.surface.options());
        Identity { options, ..Identity::default() }
    }
}

/// Refuses the slope of a kink that there is not.
fn check(kinks: &dyn Kinks, slopes: &[Slope]) -> Result<(), Error> {
    match slopes.iter().find(|slope| slope.id >= kinks.count()) {
        Some(slope) => Err(Error::argument(format!("kink {}, of which there are {}", slope.id, kinks.count()))),
        None => Ok(()),
    }
}

const TWO53: f64 = (1_u64 << 53) as f64;

/// The next number of Steele, Lea and Flood's SplitMix64 (OOPSLA 2014).
fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
