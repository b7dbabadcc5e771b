//! A network out of an ONNX file: what its numbers are, which batch sizes it takes, and its graph for each.

use super::contents;
use super::ending::Met;
use super::file::{BatchSize, Block, File};
use super::options::Options;
use crate::graph::op::Op;
use crate::graph::{Graph, Id};
use crate::hex::hex;
use crate::model::{Feature, Model, Network, OutputKind};
use bytes::Bytes;
use mountainpass_sdk::{Error, Parameter};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

/// A network out of an ONNX file.
#[derive(Clone, Debug)]
pub struct OnnxModel {
    file: File,
    theta: Vec<Block>,
    parameters: Vec<Parameter>,
    is_weight: Vec<bool>,
    kind: OutputKind,
    is_joint: bool,
    /// Why other batch sizes than the file's cannot be had, if so.
    stuck: Option<String>,
    hash: String,
    notes: Vec<String>,
}

/// Batches that are tried when a file is read: no axis of a network is usually as long.
const TRIALS: [usize; 2] = [3, 5];

/// Why a file is of use for the number of samples alone that it was written for.
const TOGETHER: &str = "its samples may see each other";

/// Characters of an error.
const LINE_MAX: usize = 4000;

impl OnnxModel {
    /// Reads a file; its external data is looked for in the same folder.
    pub fn open(path: &Path, options: &Options) -> Result<OnnxModel, Error> {
        let read = || contents::bytes(path).and_then(|(bytes, folder)| OnnxModel::read(bytes, folder, options));
        read().map_err(|error| Error { text: format!("model {path:?}: {}", error.text), ..error })
    }

    /// Reads a file's bytes; `folder` is where its external data may be.
    pub fn read(bytes: Bytes, folder: Option<&Path>, options: &Options) -> Result<OnnxModel, Error> {
        OnnxModel::whole(bytes, folder, options).map_err(|error| match error.text.char_indices().nth(LINE_MAX) {
            // A broken file may have lists of millions of numbers.
            Some((end, _)) => Error { text: format!("{} ...", &error.text[..end]), ..error },
            None => error,
        })
    }

    fn whole(bytes: Bytes, folder: Option<&Path>, options: &Options) -> Result<OnnxModel, Error> {
        let mut hash = Sha256::new();
        hash.update(&bytes);
        hash.update(format!("{options:?}"));
        let mut notes = Vec::new();
        let mut file = File::read(bytes, folder, options, &mut notes)?;
        if options.recomputed == Some(true) && !file.normalises() {
            return Err(Error::argument(
                "option batchnorm = \"recomputed\": no BatchNormalization node is left in the file that could take \
                 statistics of samples (exporters fold them into the layers before): export with \
                 torch.onnx.export(..., optimize=False), or with examples/torch/export.py",
            ));
        }
        notes.extend(file.training());
        let n = match file.batch {
            BatchSize::Fixed(n) => n,
            BatchSize::Free | BatchSize::None => TRIALS[0],
        };
        // A first reading, in which everything that may be a parameter is one.
        let trial = file.trial();
        let (mut graph, mut output) = file.lower(n, &trial)?;
        let mut kind = options.output_kind.unwrap_or(OutputKind::Logits);
        if options.output_kind.is_none_or(|kind| kind == OutputKind::Logits) {
            let shape = graph.shape(output);
            let ending = file.ending(shape.len());
            let met = ending.as_ref().map(|ending| ending.met(options, &file.output, shape)).transpose()?;
            match ending.zip(met) {
                Some((ending, Met::LeftOut(note))) => {
                    notes.push(note);
                    file.stop_at(ending.before)?;
                    (graph, output) = file.lower(n, &trial)?;
                }
                Some((_, Met::Probabilities(note))) => {
                    notes.push(note);
                    kind = OutputKind::Probabilities;
                }
                _ => {}
            }
        }
        let shape = graph.shape(output).to_vec();
        if options.output_kind.is_none() && shape.iter().all(|size| *size == 1) && n > 1 {
            notes.push(format!("{:?} is one number for the whole batch: taken as the loss", file.output));
            kind = OutputKind::Loss;
        }
        if kind != OutputKind::Loss && file.batch != BatchSize::None && shape.first() != Some(&n) {
            return Err(Error::argument(format!(
                "output {:?} has the shape {shape:?} for a batch of {n}: its first axis is not the batch; choose another",
                file.output
            )));
        }
        let (graph, outputs) = graph.pruned(&[output]);
        let nodes = graph.nodes().iter().zip(multiplied(&graph));
        let entering: BTreeMap<usize, bool> =
            nodes.filter_map(|(node, multiplied)| Some((parameter(&node.op)?, multiplied))).collect();
        let theta = file.theta(&entering.keys().copied().collect::<Vec<usize>>());
        let is_weight = theta.iter().zip(entering.values()).map(|(block, is_multiplied)| {
            // A product or a lookup, or at least a matrix: not biases, nor scales and shifts of normalisations.
            *is_multiplied || block.shape.iter().filter(|size| **size > 1).count() > 1
        });
        let is_weight = is_weight.collect();
        let stuck = match file.batch {
            BatchSize::Free | BatchSize::None => None,
            BatchSize::Fixed(n) => {
                let other = if n == TRIALS[0] { TRIALS[1] } else { TRIALS[0] };
                match file.lower(other, &theta) {
                    Err(error) => Some(error.text),
                    Ok((graph, output)) => {
                        let is_same = graph.shape(output).get(1..) == shape.get(1..) && graph.is_samplewise(output);
                        (!is_same).then(|| TOGETHER.to_owned())
                    }
                }
            }
        };
        if let (BatchSize::Fixed(n), None) = (file.batch, &stuck) {
            notes.push(format!(
                "the file is written for batches of {n}; its samples do not see each other: any will do"
            ));
        }
        let is_joint = match file.batch {
            // One sample is only with itself, unless another number of them is known to be together.
            BatchSize::Fixed(1) => stuck.as_deref() == Some(TOGETHER),
            BatchSize::Fixed(_) if stuck.is_some() => true,
            BatchSize::None => true,
            _ => !graph.is_samplewise(outputs[0]),
        };
        notes.extend(file.foreign(&theta)?);
        file.hash_external(&mut hash)?;
        let parameters = file.parameters(&theta);
        let hash = hex(hash.finalize().as_slice());
        Ok(OnnxModel { file, theta, parameters, is_weight, kind, is_joint, stuck, hash, notes })
    }

    /// What was decided in reading that the user may want to know: a line each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What the output's numbers mean.
    pub fn kind(&self) -> OutputKind {
        self.kind
    }
}

impl Model for OnnxModel {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn features(&self) -> &[Feature] {
        &self.file.features
    }

    fn is_weight(&self) -> &[bool] {
        &self.is_weight
    }

    fn called(&self) -> Vec<String> {
        self.parameters.iter().map(|block| self.file.called(&block.name).to_owned()).collect()
    }

    fn only(&self) -> Option<(usize, &str)> {
        match (self.file.batch, &self.stuck) {
            (BatchSize::Fixed(n), Some(reason)) => Some((n, reason)),
            _ => None,
        }
    }

    fn network(&self, n: usize) -> Result<Network, Error> {
        if n == 0 {
            return Err(Error::argument("a batch of 0 samples"));
        }
        if let Some((fixed, reason)) = self.only().filter(|(fixed, _)| *fixed != n) {
            return Err(Error::unsupported(format!(
                "the model was exported for batches of {fixed}, not {n}; export it with a dynamic first axis ({reason})"
            )));
        }
        let (graph, output) = self.file.lower(n, &self.theta)?;
        let (graph, outputs) = graph.pruned(&[output]);
        Ok(Network { graph, output: outputs[0], kind: self.kind, is_joint: self.is_joint })
    }

    /// The file's own numbers, whatever the seed.
    fn start(&self, _seed: u64) -> Result<Vec<f64>, Error> {
        self.file.start(&self.theta)
    }

    fn hash(&self) -> String {
        self.hash.clone()
    }
}

fn parameter(op: &Op) -> Option<usize> {
    match op {
        Op::Parameter { offset, .. } => Some(*offset),
        _ => None,
    }
}

/// For every node whether it enters a product or a lookup as it is, or moved about.
fn multiplied(graph: &Graph) -> Vec<bool> {
    let mut is: Vec<bool> = vec![false; graph.nodes().len()];
    for (i, node) in graph.nodes().iter().enumerate().rev() {
        let multiplies = match &node.op {
            Op::MatMul | Op::Convolve { .. } | Op::ConvolveImage { .. } | Op::Gather { .. } => true,
            Op::Reshape(_) | Op::Transpose(_) | Op::Broadcast(_) | Op::Slice { .. } | Op::Concat(_) => is[i],
            _ => false,
        };
        if multiplies {
            node.args.iter().for_each(|id: &Id| is[id.index()] = true);
        }
    }
    is
}
