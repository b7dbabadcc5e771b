//! What a user says of an ONNX file beside its name.

use crate::model::OutputKind;

/// How a file is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// The name of the output; the first that holds reals if left out.
    pub output: Option<String>,
    /// What its numbers mean; found out if left out.
    pub output_kind: Option<OutputKind>,
    /// Names of initializers that are constants.
    pub frozen: Vec<String>,
    /// Whether BatchNormalization takes its statistics from the batch.
    pub recomputed: bool,
    /// Sizes of named axes other than the batch.
    pub sizes: Vec<(String, usize)>,
}
