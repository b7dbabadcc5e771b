//! A loss function as the engine sees it: batches of parameter rows in, f64 losses and derivatives out.
//!
//! The engine computes in f64 throughout; a loss whose parameters are f32 is rounded in the adapter
//! (`plugin.rs` and what it calls), which is also the only place that checks foreign numbers. So whoever holds a
//! `dyn Loss` may trust shapes, and trusts a row exactly when its `ok` is set.

#![forbid(unsafe_code)]

use crate::error::{Error, Result};
use crate::run::Cancel;
pub use mountainpass_sdk::{Bounds, Caps, Identity, Kink, Parameter, Slope, Split, Symmetry, SymmetryKind};

/// The element type in which parameters travel to the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// Single precision.
    F32,
    /// Double precision.
    F64,
}

/// What a loss is and can do.
#[derive(Clone, Debug)]
pub struct Info {
    /// The backend's name and version.
    pub backend: String,
    /// As the backend states it.
    pub version: String,
    /// p, the length of theta.
    pub params: usize,
    /// The size of the data set; 0 means there is none.
    pub samples: u64,
    /// The number of rows per call that runs fastest; 0 = any.
    pub rows_best: usize,
    /// The largest number of rows per call; 0 = any. The adapter splits larger batches itself.
    pub rows_max: usize,
    /// What it can do.
    pub caps: Caps,
    /// The largest change of a loss value when a call is repeated; 0 = unknown.
    pub noise: f64,
    /// How parameters travel.
    pub dtype: Dtype,
}

/// One evaluation of `n` rows. Slices are contiguous and row-major; outputs are filled with NaN beforehand.
pub struct Batch<'a> {
    /// `n x p`.
    pub theta: &'a [f64],
    /// The samples to take the loss over; `None` means all.
    pub ids: Option<&'a [u64]>,
    /// `n`.
    pub loss: &'a mut [f64],
    /// `n x p`, if wanted.
    pub grad: Option<&'a mut [f64]>,
    /// Directions and Hessian-vector products, both `n x p`, if wanted.
    pub hvp: Option<(&'a [f64], &'a mut [f64])>,
    /// `n`: true where everything asked for is finite.
    pub ok: &'a mut [bool],
    /// Polled by backends that can stop early.
    pub cancel: &'a Cancel,
}

/// Where the figures of linear kinks go, `n x slopes` each.
pub struct Linear<'a> {
    /// z of each.
    pub z: &'a mut [f64],
    /// The derivative by h of each.
    pub delta: &'a mut [f64],
}

/// One opened loss function.
pub trait Loss: Send {
    /// What it is and can do; constant.
    fn info(&self) -> &Info;
    /// The token that stops calls which are given none, where the backend can be stopped at all.
    fn heed(&mut self, _cancel: &Cancel) {}
    /// Computes a batch. A bad row clears its `ok` and fails nothing else.
    fn eval(&mut self, batch: Batch<'_>) -> Result<()>;
    /// The named blocks of theta, in order; may be empty.
    fn parameters(&self) -> Result<Vec<Parameter>> {
        Ok(Vec::new())
    }
    /// The start of a search for a seed; `None` when the loss has no initialiser of its own.
    fn start(&self, _seed: u64) -> Result<Option<Vec<f64>>> {
        Ok(None)
    }
    /// The box of a bounded function.
    fn bounds(&self) -> Result<Option<Bounds>> {
        Ok(None)
    }
    /// The names of the metrics on a split.
    fn metric_names(&self, _split: Split) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
    /// The metrics of every row, `n x names`, in C order.
    fn metrics(&mut self, _split: Split, _theta: &[f64]) -> Result<Vec<f64>> {
        Ok(Vec::new())
    }
    /// What leaves the objective unchanged.
    fn symmetries(&self) -> Result<Vec<Symmetry>> {
        Ok(Vec::new())
    }
    /// How many kinks there are; an error where the loss does not supply them. The other calls on kinks are as in
    /// `mpass_ext_kinks` (mountainpass_backend.h); none takes a choice of samples.
    fn kinks(&self) -> Result<u64> {
        Err(self.no_kinks())
    }
    /// [`eval`](Loss::eval) of the loss smoothed at width `eps`.
    fn eval_smoothed(&mut self, _eps: f64, _batch: Batch<'_>) -> Result<()> {
        Err(self.no_kinks())
    }
    /// The kinks nearer than `width` at one theta, by id.
    fn kinks_near(&mut self, _theta: &[f64], _width: f64) -> Result<Vec<Kink>> {
        Err(self.no_kinks())
    }
    /// [`eval`](Loss::eval) of the loss with slopes given, by id; `out` takes z and delta of these kinks, `n x slopes` each.
    fn eval_linear(&mut self, _slopes: &[Slope], _batch: Batch<'_>, _out: Linear<'_>) -> Result<()> {
        Err(self.no_kinks())
    }
    /// The gradients of z of these kinks in that loss, `slopes x p`.
    fn kink_rows(&mut self, _theta: &[f64], _slopes: &[Slope], _out: &mut [f64]) -> Result<()> {
        Err(self.no_kinks())
    }
    /// What a loss answers that supplies no kinks.
    fn no_kinks(&self) -> Error {
        Error::Unsupported { backend: self.info().backend.clone(), text: "supplies no kinks".to_owned() }
    }
    /// Which loss this is.
    fn identity(&self) -> Result<Identity> {
        Ok(Identity::default())
    }
}
