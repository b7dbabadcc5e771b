//! Losses of networks by ONNX Runtime: `backend = "onnx"`.
//!
//! Models, data and options are those of `backend = "faer"`, and so is the differentiated graph, which is written as standard
//! ONNX operators in memory and run by the library that `mpass onnxruntime install` puts into the cache folder. Options
//! of its own: `device`, `threads`, `rows_per_run`, `deterministic`, `tf32`, `provider_library` and `library`. Theta may be f32, or f64 where
//! ONNX Runtime has the kernels; losses are summed in f64.

#![deny(unsafe_code)] // but for the raw calls, in one file
#![warn(missing_docs)]

#[cfg(feature = "runtime")]
mod open;
#[cfg(feature = "runtime")]
mod plan;
#[cfg(feature = "runtime")]
#[allow(unsafe_code)]
mod raw;
#[cfg(feature = "runtime")]
mod runtime;
#[cfg(feature = "runtime")]
mod settings;

pub mod library;

#[cfg(feature = "runtime")]
pub use open::Onnx;
#[cfg(feature = "runtime")]
pub use plan::{Kept, SessionPlan, Sessions};
