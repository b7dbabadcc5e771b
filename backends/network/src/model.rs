//! A model: what a network computes from its inputs, before an objective is put on it.
//!
//! Builders and the ONNX importer make models; an objective turns one into a loss. A model knows its parameters once
//! and for all, but its graph for one batch size at a time.

use crate::graph::op::Element;
use crate::graph::{Graph, Id};
use mountainpass_sdk::{Error, Parameter};

/// What one sample supplies in one input slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// The name in the model's file; data sets are matched by it.
    pub name: String,
    /// The axes of one sample, without the batch.
    pub shape: Vec<usize>,
    /// What stands in it.
    pub element: Element,
}

/// What the numbers at the end of a network mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputKind {
    /// Scores, of which a softmax (or, for one number, a sigmoid) makes probabilities.
    Logits,
    /// What a softmax or a sigmoid made.
    Probabilities,
    /// The loss itself, of every sample or their mean.
    Loss,
}

impl OutputKind {
    /// Reads `logits`, `probabilities` or `loss`.
    pub fn parse(text: &str) -> Result<OutputKind, Error> {
        match text {
            "logits" => Ok(OutputKind::Logits),
            "probabilities" => Ok(OutputKind::Probabilities),
            "loss" => Ok(OutputKind::Loss),
            other => Err(Error::unknown("value of output_kind", other, &["logits", "probabilities", "loss"])),
        }
    }
}

/// A model's graph for one batch size.
#[derive(Clone, Debug)]
pub struct Network {
    /// Of the whole network.
    pub graph: Graph,
    /// The result; its first axis is the batch, unless it is a loss over all of it.
    pub output: Id,
    /// What the result means.
    pub kind: OutputKind,
    /// Whether samples see each other, as batch statistics make them: the loss is then no mean over samples, and a
    /// batch cannot be cut into pieces.
    pub is_joint: bool,
}

/// A network of any batch size.
pub trait Model: Send + Sync {
    /// The named blocks of theta, without gaps, in order.
    fn parameters(&self) -> &[Parameter];

    /// What a sample supplies, slot after slot.
    fn features(&self) -> &[Feature];

    /// Which parameters are weights, in the order of [`parameters`](Model::parameters): an L2 penalty "on weights"
    /// leaves out biases and the scales and shifts of normalisations.
    fn is_weight(&self) -> &[bool];

    /// What checkpoints call the parameters, in the order of [`parameters`](Model::parameters).
    fn called(&self) -> Vec<String> {
        self.parameters().iter().map(|block| block.name.clone()).collect()
    }

    /// The only number of samples that it takes, and why it takes no other; any number if there is none.
    fn only(&self) -> Option<(usize, &str)> {
        None
    }

    /// The graph for batches of `n` samples.
    fn network(&self, n: usize) -> Result<Network, Error>;

    /// Where a search begins.
    fn start(&self, seed: u64) -> Result<Vec<f64>, Error>;

    /// SHA-256 of what decides the values, in hexadecimal.
    fn hash(&self) -> String;
}
