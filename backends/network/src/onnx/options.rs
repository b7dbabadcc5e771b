//! What a user says of an ONNX file beside its name.

use crate::DataTerm;
use crate::model::OutputKind;
use mountainpass_sdk::{Declared, Error, Kind};

/// The options of a model: those of [`Options`], of which `batchnorm` goes for networks by name as well.
pub const OPTIONS: [Declared; 5] = [
    Declared::new(
        c"batchnorm",
        Kind::Text,
        c"Statistics of a file, or of the samples of each call: frozen for files unless given.",
    )
    .words(c"frozen recomputed"),
    Declared::new(c"output", Kind::Text, c"The output of a file that counts: the first of reals unless given."),
    Declared::new(c"output_kind", Kind::Text, c"What the output of a file is: found out unless given.")
        .words(c"logits probabilities loss"),
    Declared::new(c"frozen", Kind::List, c"Initializers of a file that are constants: names, or patterns with *."),
    Declared::new(c"sizes", Kind::List, c"Sizes of a file's named axes other than the batch, as NAME=SIZE."),
];

/// The name of the option that says where statistics come from.
pub const BATCHNORM: &str = "batchnorm";

/// What the option `batchnorm` says: whether statistics are those of the samples, if it says anything. Where it does not, a
/// file is read as it was written, and networks by name recompute.
pub fn recomputed(batchnorm: Option<&str>) -> Result<Option<bool>, Error> {
    match batchnorm {
        None => Ok(None),
        Some("recomputed") => Ok(Some(true)),
        Some("frozen") => Ok(Some(false)),
        Some(other) => Err(Error::unknown("value of batchnorm", other, &["frozen", "recomputed"])),
    }
}

/// How a file is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// The name of the output; the first that holds reals if left out.
    pub output: Option<String>,
    /// What its numbers mean; found out if left out.
    pub output_kind: Option<OutputKind>,
    /// What is averaged over samples; whatever fits if left out.
    pub objective: Option<DataTerm>,
    /// The axis of the output along which classes are, from the end where it is negative; the last if left out.
    pub class_axis: Option<i64>,
    /// Names of initializers that are constants, or of tensors of checkpoints; `*` stands for anything.
    pub frozen: Vec<String>,
    /// Whether BatchNormalization takes its statistics from the batch, or those of the file; each as the file has it if left
    /// out.
    pub recomputed: Option<bool>,
    /// Sizes of named axes other than the batch.
    pub sizes: Vec<(String, usize)>,
}
