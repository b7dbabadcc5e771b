//! ONNX files as models: `.onnx` to parameters, inputs and a graph for every batch size.
//!
//! Theta holds the file's float initializers that the output depends on, in the file's order, layout and names, without
//! statistics of normalisations, scalars, buffers of torch, numbers that are not finite, and what is frozen by name. The
//! first axis of every input is the batch. A file whose batch size is a number is read for other sizes too if
//! its samples provably do not see each other. Nodes behind the chosen output are not read, and a final Softmax or
//! Sigmoid is left out, with a note, where the objective applies it itself (`ending.rs`). Operators of opset 11 and later are
//! read; messages are our own (see [`messages`]).

pub(crate) mod aliases;
mod apart;
pub(crate) mod contents;
mod control;
mod ending;
mod file;
mod graphs;
mod lowering;
pub mod messages;
mod model;
mod node;
mod operators;
mod options;
mod origin;
mod scope;
pub(crate) mod tensors;
mod writer;

pub use aliases::Alias;
pub use model::OnnxModel;
pub(crate) use operators::in_training;
pub use operators::{name, names};
pub use options::{BATCHNORM, OPTIONS, Options, recomputed};
pub(crate) use origin::module;
pub(crate) use writer::tensor;
pub use writer::{Origin, Precision, Program, Source, write};

use std::path::Path;

/// The file that `[loss] model` names, if it is one of ONNX: its ending says so, in whichever case. A colon is for the names
/// of networks, and in the name of a file that is there.
pub fn file(model: &str) -> Option<&Path> {
    let path = Path::new(model);
    let is_onnx = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"));
    (is_onnx && (!model.contains(':') || path.exists())).then_some(path)
}
