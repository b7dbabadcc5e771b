//! Losses of networks on the CPU: `backend = "faer"`.
//!
//! `model` is an .onnx file or a specification such as `mlp:64-8-10:tanh` or `resnet9:32x32x3-10:relu`; options are `data`
//! and what chooses among its samples, `objective`, `l2`, `l2_on`, `batchnorm` (frozen or recomputed), and of files
//! `output`, `output_kind` (logits, probabilities or loss), `frozen` and `sizes` (see `mountainpass-network`). Theta may
//! be f32 or f64; arithmetic is in its type, losses are summed in f64. Bits of a row depend on theta, the sample ids
//! and the machine only.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod graph;
mod perceptron;

use graph::Kernels;
pub use mountainpass_mean::real::Real;
use mountainpass_mean::{Prepared, batch, real, sums};
use mountainpass_sdk::{Backend, Declared, Error, Host, Loss, Open};
use perceptron::Perceptron;
use std::ffi::CStr;

/// The backend; its losses are opened through [`mountainpass_sdk::table`] or [`Backend::open`].
pub struct Faer;

impl Backend for Faer {
    const NAME: &'static CStr = c"faer";
    const VERSION: &'static CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes())
    {
        Ok(version) => version,
        Err(_) => c"",
    };
    const OPTIONS: &'static [Declared] = &mountainpass_network::OPTIONS;
    type Loss = Box<dyn Loss>;

    fn open(host: Host<'_>, request: Open<'_>) -> Result<Box<dyn Loss>, Error> {
        if request.device != 0 {
            return Err(Error::argument(format!("device {}: there is only 0, the CPU", request.device)));
        }
        let prepared = Prepared::new(host, request, Kernels)?;
        Ok(match prepared.perceptron()? {
            Some((mlp, term, feed)) => prepared.run_by(|network| Perceptron::new(mlp, term, feed, network)),
            None => prepared.finished(),
        })
    }
}
