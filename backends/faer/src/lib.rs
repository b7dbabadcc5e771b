//! Losses of networks on the CPU: `backend = "faer"`.
//!
//! `model` is an .onnx file or a specification such as `mlp:64-8-10:tanh` or `resnet9:32x32x3-10:relu`; options are `data`
//! and what chooses among its samples, `objective`, `l2`, `l2_on`, `batchnorm` (frozen or recomputed), and of files
//! `output`, `output_kind` (logits, probabilities or loss), `frozen` and `sizes` (see `mountainpass-network`). Theta may
//! be f32 or f64; arithmetic is in its type, losses are summed in f64. Bits of a row depend on theta, the sample ids
//! and the machine only.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod batch;
pub mod graph;
mod lanes;
mod loss;
mod network;
mod open;
mod perceptron;
mod real;
mod sums;

use mountainpass_sdk::{Backend, Declared, Error, Host, Loss, Open};
pub use real::Real;
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
        open::open(host, request)
    }
}
