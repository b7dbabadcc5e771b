//! The loss as search uses it: owned batches in and out, counted per stage, within budget, cancellable.
//!
//! A row that is not finite comes back with loss NaN; search treats it as a wall. Where a backend has no Hessian
//! product, central differences of gradients stand in (two gradients each, error about 1e-10 relative in f64).

#![forbid(unsafe_code)]

use super::loss::{Batch, Dtype, Info, Kink, Linear, Loss, Slope};
use crate::error::{Error, Result};
use crate::run::{Budget, Cancel, Purse};
use serde::{Deserialize, Serialize};

/// Evaluations of one stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Evaluations of the loss alone, rows counted singly.
    pub loss: u64,
    /// Evaluations of loss and gradient, rows counted singly.
    pub gradient: u64,
    /// Hessian-vector products.
    pub hessian_product: u64,
}

impl Tally {
    /// All evaluations.
    pub fn total(&self) -> u64 {
        self.loss + self.gradient + self.hessian_product
    }
}

/// A loss some of whose kinks were made linear, at one theta.
#[derive(Clone, Debug)]
pub struct Linearised {
    /// Its value.
    pub loss: f64,
    /// Its gradient.
    pub grad: Vec<f64>,
    /// z of the kinks made linear, in their order.
    pub z: Vec<f64>,
    /// The derivative by h of each.
    pub delta: Vec<f64>,
}

/// Which loss values and derivatives are of.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum View {
    /// The one that was opened.
    #[default]
    Itself,
    /// That, its kinks smoothed at this width.
    Smoothed(f64),
    /// That with these kinks linear, by id.
    Linear(Vec<Slope>),
}

/// A counted, budgeted loss on a fixed list of evaluation ids.
pub struct Oracle<'a> {
    loss: &'a mut dyn Loss,
    ids: Option<&'a [u64]>,
    cancel: Cancel,
    purses: Vec<Purse>,
    tally: Tally,
    noise: f64,
    length: f64,
    view: View,
}

impl<'a> Oracle<'a> {
    /// All values are taken over `ids` (`None`: all samples). Losses without gradients are refused.
    pub fn new(loss: &'a mut dyn Loss, ids: Option<&'a [u64]>, cancel: &Cancel, budget: Budget) -> Result<Oracle<'a>> {
        let info = loss.info();
        if !info.caps.grad {
            let text = "gives no gradient, and the search needs one".to_owned();
            return Err(Error::Unsupported { backend: info.backend.clone(), text });
        }
        Ok(Oracle::of_values(loss, ids, cancel, budget))
    }

    /// An oracle for who asks for values alone: a loss without gradients will do.
    pub fn of_values(loss: &'a mut dyn Loss, ids: Option<&'a [u64]>, cancel: &Cancel, budget: Budget) -> Oracle<'a> {
        loss.heed(cancel);
        let (purses, noise) = (vec![Purse::new(budget)], loss.info().noise);
        Oracle {
            loss,
            ids,
            cancel: cancel.clone(),
            purses,
            tally: Tally::default(),
            noise,
            length: 1.0,
            view: View::Itself,
        }
    }

    /// What the loss is.
    pub fn info(&self) -> &Info {
        self.loss.info()
    }

    /// p, the length of theta.
    pub fn params(&self) -> usize {
        self.loss.info().params
    }

    /// What two evaluations of one loss may differ by: as the backend says, or as was measured since. Whatever compares
    /// losses takes smaller differences for none.
    pub fn noise(&self) -> f64 {
        self.noise
    }

    /// Replaces the noise by a measured one.
    pub fn set_noise(&mut self, noise: f64) {
        self.noise = noise;
    }

    /// Sets the unit of length, 1 before, that differences of gradients are taken over a fraction of.
    pub fn set_length(&mut self, length: f64) {
        self.length = length;
    }

    /// The unit of length.
    pub fn length(&self) -> f64 {
        self.length
    }

    /// Has values and derivatives of another view of the loss while `body` runs.
    pub fn seen<T>(&mut self, view: View, body: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let before = std::mem::replace(&mut self.view, view);
        let found = body(self);
        self.view = before;
        found
    }

    /// Whether what is seen is twice differentiable.
    pub fn is_smooth(&self) -> bool {
        self.view != View::Itself || self.info().caps.smooth
    }

    /// Whether the loss has kinks and supplies them.
    pub fn has_kinks(&self) -> bool {
        !self.info().caps.smooth && self.ids.is_none() && self.loss.kinks().is_ok()
    }

    /// The token that stops everything that asks this oracle.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// The loss itself, for starts, metrics and symmetries.
    pub fn loss(&mut self) -> &mut dyn Loss {
        self.loss
    }

    /// Begins a stage with a budget of its own beside the run's, and returns what was counted before it.
    pub fn begin(&mut self, budget: Budget) -> Tally {
        self.purses.truncate(1);
        self.purses.push(Purse::new(budget));
        self.take_tally()
    }

    /// The evaluations since the last call.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    fn charge(&mut self, rows: usize) -> Result<()> {
        if self.cancel.fired() {
            return Err(Error::Cancelled);
        }
        self.purses.iter_mut().try_for_each(|purse| purse.spend(rows as u64))
    }

    /// The losses of `n` rows; NaN where a row is not finite.
    pub fn values(&mut self, theta: &[f64]) -> Result<Vec<f64>> {
        let n = theta.len() / self.params();
        self.charge(n)?;
        self.tally.loss += n as u64;
        let mut loss = vec![f64::NAN; n];
        self.eval(theta, &mut loss, None, None)?;
        Ok(loss)
    }

    /// The losses and gradients of `n` rows; both NaN where a row is not finite.
    pub fn gradients(&mut self, theta: &[f64]) -> Result<(Vec<f64>, Vec<f64>)> {
        let n = theta.len() / self.params();
        self.charge(n)?;
        self.tally.gradient += n as u64;
        let mut loss = vec![f64::NAN; n];
        let mut grad = vec![f64::NAN; theta.len()];
        self.eval(theta, &mut loss, Some(&mut grad), None)?;
        Ok((loss, grad))
    }

    /// The samples that values are taken over.
    pub fn ids(&self) -> Vec<u64> {
        self.ids.map_or_else(|| (0..self.loss.info().samples).collect(), <[u64]>::to_vec)
    }

    /// Counts a walk over all samples in minibatches as one gradient.
    pub fn begin_epoch(&mut self) -> Result<()> {
        self.charge(1)?;
        self.tally.gradient += 1;
        Ok(())
    }

    /// The loss over some samples, and its gradient, written to `grad`; the loss is NaN where either is not finite.
    /// Counted by [`begin_epoch`](Oracle::begin_epoch).
    pub fn minibatch(&mut self, theta: &[f64], ids: &[u64], grad: &mut [f64]) -> Result<f64> {
        if self.cancel.fired() {
            return Err(Error::Cancelled);
        }
        let (mut loss, mut ok) = ([f64::NAN], [true]);
        grad.fill(f64::NAN);
        self.loss.eval(Batch {
            theta,
            ids: Some(ids),
            loss: &mut loss,
            grad: Some(grad),
            hvp: None,
            ok: &mut ok,
            cancel: &self.cancel,
        })?;
        Ok(if ok[0] { loss[0] } else { f64::NAN })
    }

    /// `Hessian(theta) v` for each of the directions, `n x p`, at one theta.
    pub fn hessian_products(&mut self, theta: &[f64], directions: &[f64]) -> Result<Vec<f64>> {
        let p = self.params();
        let n = directions.len() / p;
        if !self.info().caps.hvp {
            return self.differenced_products(theta, directions);
        }
        let (_, out) = self.products_at(&theta.repeat(n), directions)?;
        Ok(out)
    }

    /// `Hessian(theta) v` for every row's own theta and direction, and the losses; for who knows that there are any.
    pub(super) fn products_at(&mut self, theta: &[f64], directions: &[f64]) -> Result<(Vec<f64>, Vec<f64>)> {
        let n = theta.len() / self.params();
        self.charge(n)?;
        self.tally.hessian_product += n as u64;
        let mut loss = vec![f64::NAN; n];
        let mut out = vec![f64::NAN; directions.len()];
        self.eval(theta, &mut loss, None, Some((directions, &mut out)))?;
        Ok((loss, out))
    }

    /// How far Hessian products may be off, as a fraction of the Hessian's size: 0 where the backend has them.
    pub fn product_error(&self) -> f64 {
        // A central difference with the best step is good to the two-thirds power of the rounding unit.
        if self.info().caps.hvp { 0.0 } else { 30.0 * self.rounding().cbrt().powi(2) }
    }

    /// The rounding unit of the backend's parameters.
    pub fn rounding(&self) -> f64 {
        match self.info().dtype {
            Dtype::F64 => f64::EPSILON,
            Dtype::F32 => f64::from(f32::EPSILON),
        }
    }

    /// Rounds a point to the loss's own precision: to the loss it is the same point, and it can be kept in half the room.
    pub fn round(&self, theta: &mut [f64]) {
        if self.info().dtype == Dtype::F32 {
            theta.iter_mut().for_each(|x| *x = f64::from(*x as f32));
        }
    }

    /// The kinks nearer than `width` to theta, by id. Counted as one gradient.
    pub fn kinks_near(&mut self, theta: &[f64], width: f64) -> Result<Vec<Kink>> {
        self.charge_kinks()?;
        self.loss.kinks_near(theta, width)
    }

    /// The loss with some kinks linear, at one theta. Counted as one gradient.
    pub fn linear(&mut self, theta: &[f64], slopes: &[Slope]) -> Result<Linearised> {
        self.charge_kinks()?;
        let mut at = Linearised {
            loss: f64::NAN,
            grad: vec![f64::NAN; theta.len()],
            z: vec![f64::NAN; slopes.len()],
            delta: vec![f64::NAN; slopes.len()],
        };
        let (mut loss, mut ok) = ([f64::NAN], [true]);
        let (grad, cancel) = (Some(&mut at.grad[..]), &self.cancel);
        let batch = Batch { theta, ids: None, loss: &mut loss, grad, hvp: None, ok: &mut ok, cancel };
        self.loss.eval_linear(slopes, batch, Linear { z: &mut at.z, delta: &mut at.delta })?;
        match ok[0] {
            true => at.loss = loss[0],
            false => at.grad.fill(f64::NAN),
        }
        Ok(at)
    }

    /// The gradients of z of these kinks in that loss, `slopes x p`. Counted as one gradient.
    pub fn kink_rows(&mut self, theta: &[f64], slopes: &[Slope]) -> Result<Vec<f64>> {
        self.charge_kinks()?;
        let mut rows = vec![f64::NAN; slopes.len() * theta.len()];
        self.loss.kink_rows(theta, slopes, &mut rows)?;
        Ok(rows)
    }

    fn charge_kinks(&mut self) -> Result<()> {
        self.of_all_samples()?;
        self.charge(1)?;
        self.tally.gradient += 1;
        Ok(())
    }

    /// Kinks are those of the whole loss: beside values over a choice of samples they would be another function's.
    fn of_all_samples(&self) -> Result<()> {
        match self.ids {
            None => Ok(()),
            Some(_) => {
                let text = "supplies kinks over all samples only".to_owned();
                Err(Error::Unsupported { backend: self.info().backend.clone(), text })
            }
        }
    }

    fn differenced_products(&mut self, theta: &[f64], directions: &[f64]) -> Result<Vec<f64>> {
        let p = self.params();
        let size = theta.iter().map(|x| x * x).sum::<f64>().sqrt();
        // The cube root of the rounding unit balances truncation against cancellation in a central difference.
        let h = self.rounding().cbrt() * (self.length + size / (p as f64).sqrt());
        let mut points = Vec::with_capacity(2 * directions.len());
        for v in directions.chunks_exact(p) {
            let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
            for sign in [h / norm, -h / norm] {
                points.extend(theta.iter().zip(v).map(|(x, d)| x + sign * d));
            }
        }
        let (_, grad) = self.gradients(&points)?;
        let mut out = Vec::with_capacity(directions.len());
        for (pair, v) in grad.chunks_exact(2 * p).zip(directions.chunks_exact(p)) {
            let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
            let (plus, minus) = pair.split_at(p);
            out.extend(plus.iter().zip(minus).map(|(a, b)| (a - b) * norm / (2.0 * h)));
        }
        Ok(out)
    }

    fn eval(
        &mut self,
        theta: &[f64],
        loss: &mut [f64],
        mut grad: Option<&mut [f64]>,
        hvp: Option<(&[f64], &mut [f64])>,
    ) -> Result<()> {
        let p = self.params();
        let mut ok = vec![true; loss.len()];
        let batch =
            Batch { theta, ids: self.ids, loss, grad: grad.as_deref_mut(), hvp, ok: &mut ok, cancel: &self.cancel };
        match &self.view {
            View::Itself => self.loss.eval(batch)?,
            View::Smoothed(width) => self.loss.eval_smoothed(*width, batch)?,
            View::Linear(slopes) => {
                let [mut z, mut delta] = [(); 2].map(|()| vec![f64::NAN; batch.loss.len() * slopes.len()]);
                self.loss.eval_linear(slopes, batch, Linear { z: &mut z, delta: &mut delta })?;
            }
        }
        for row in (0..ok.len()).filter(|&row| !ok[row]) {
            loss[row] = f64::NAN;
            if let Some(grad) = grad.as_deref_mut() {
                grad[row * p..(row + 1) * p].fill(f64::NAN);
            }
        }
        Ok(())
    }
}
