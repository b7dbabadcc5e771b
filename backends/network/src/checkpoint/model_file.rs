//! An ONNX file as checkpoints see it: all its arrays by name, parameters or not, and what they are called elsewhere.

use super::statistics::is_statistic;
use super::tensor::Tensor;
use crate::onnx;
use crate::onnx::aliases::Alias;
use crate::onnx::contents::{self, Contents};
use crate::onnx::messages::NodeProto;
use crate::onnx::tensors::{self, ValueKind};
use bytes::Bytes;
use mountainpass_sdk::Error;
use std::collections::HashSet;
use std::path::Path;

/// The operator that has running statistics.
const NORMALISATION: &str = "BatchNormalization";

/// An ONNX file as a model's or as a checkpoint: its initializers, and what they are called elsewhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelFile {
    /// In the order of the file.
    pub tensors: Vec<Tensor>,
    /// Other names of some of them.
    pub aliases: Vec<Alias>,
    /// The initializers that batch normalisations take for means and variances.
    pub(super) normalising: HashSet<String>,
    /// Values of the file that are an initializer, and which.
    pub(super) ties: Vec<(String, String)>,
    /// Parameters of the module that it was which it has not under their own names, where the exporter names them.
    pub(super) merged: Vec<String>,
    /// Whether all its batch normalisations are in training: they take the statistics of the samples, whatever is asked.
    pub is_in_training: bool,
}

impl ModelFile {
    /// Reads the initializers of a file and their aliases; external data is looked for in the same folder.
    pub fn read(path: &Path) -> Result<ModelFile, Error> {
        let (bytes, folder) = contents::bytes(path)?;
        ModelFile::of(bytes, folder)
    }

    /// Reads the bytes of a file.
    pub(super) fn of(bytes: Bytes, folder: Option<&Path>) -> Result<ModelFile, Error> {
        let Contents { graph, opset, aliases, folder } = Contents::of(bytes, folder)?;
        let opset = opset.unwrap_or(0);
        let mut normalisations = graph.node.iter().filter(|node| node.op_type() == NORMALISATION).peekable();
        let is_in_training =
            normalisations.peek().is_some() && normalisations.all(|node| onnx::in_training(node, opset));
        let normalising = graph.node.iter().filter(|node| node.op_type() == NORMALISATION);
        let normalising = normalising.flat_map(|node| node.input.iter().skip(3)).cloned().collect();
        let tie = |node: &NodeProto| Some((node.input.first()?.clone(), node.output.first()?.clone()));
        let ties = graph.node.iter().filter(|node| node.op_type() == "Identity").filter_map(tie).collect();
        let is_there = |name: &str| {
            graph.initializer.iter().any(|tensor| tensor.name() == name)
                || aliases.iter().any(|alias| alias.name == name)
        };
        let merged = onnx::module(&graph).filter(|name| !is_there(name)).map(str::to_owned).collect();
        let numeric = graph.initializer.iter().filter(|tensor| tensors::kind(tensor.data_type()).is_some());
        let tensors = numeric.map(|tensor| {
            let read = tensors::read(tensor, folder.as_deref())?;
            let (name, is_real) = (tensor.name().to_owned(), read.kind == ValueKind::Real);
            Ok(Tensor { name, shape: read.shape.clone(), values: read.into_reals()?, is_real })
        });
        Ok(ModelFile {
            tensors: tensors.collect::<Result<_, Error>>()?,
            aliases,
            normalising,
            ties,
            merged,
            is_in_training,
        })
    }

    /// Its running statistics, under the names that checkpoints have for them.
    pub fn statistics(&self) -> Vec<Tensor> {
        let tensors = self.tensors.iter().filter(|tensor| self.is_statistic(tensor));
        tensors.map(|tensor| Tensor { name: self.called(&tensor.name).to_owned(), ..tensor.clone() }).collect()
    }

    /// Whether one of its tensors is a running statistic: by what takes it, or else by what it is called.
    pub(super) fn is_statistic(&self, tensor: &Tensor) -> bool {
        self.normalising.contains(&tensor.name) || is_statistic(self.called(&tensor.name))
    }

    /// This file as a checkpoint of a model: what it does not say of its names, the model's file does.
    pub(super) fn beside(mut self, model: Option<&ModelFile>) -> ModelFile {
        let named = |alias: &&Alias| self.aliases.iter().any(|own| own.initializer == alias.initializer);
        let more = model.map_or(&[][..], |model| &model.aliases).iter().filter(|alias| !named(alias));
        let more: Vec<Alias> = more.cloned().collect();
        self.aliases.extend(more);
        self
    }

    /// What checkpoints call an initializer.
    pub(super) fn called<'a>(&'a self, initializer: &'a str) -> &'a str {
        self.alias(initializer).map_or(initializer, |alias| &alias.name)
    }

    /// What the file says of an initializer.
    pub(super) fn alias(&self, initializer: &str) -> Option<&Alias> {
        self.aliases.iter().find(|alias| alias.initializer == initializer)
    }

    /// Other names of an initializer's numbers in the file: those of a weight that two layers share.
    pub(super) fn others(&self, initializer: &str) -> impl Iterator<Item = &str> {
        let ties = self.ties.iter().filter(move |(of, _)| of == initializer);
        ties.map(|(_, other)| other.as_str())
    }
}

/// Whether a loss takes its statistics from its model, and not from samples: by its option `batchnorm`, and where that says
/// nothing as its model's file was written, if it has one. A word of another backend's says nothing here.
pub fn is_frozen(options: &[(String, String)], model: Option<&ModelFile>) -> bool {
    let batchnorm = options.iter().find(|(key, _)| key == onnx::BATCHNORM).map(|(_, value)| value.as_str());
    let as_written = || model.is_some_and(|file| !file.is_in_training);
    onnx::recomputed(batchnorm).is_ok_and(|asked| asked.map_or_else(as_written, |asked| !asked))
}

/// Asks for the statistics of the model, where the options of a loss say which they want.
pub fn freeze(options: &mut [(String, String)]) {
    let asked = options.iter_mut().filter(|(key, _)| key == onnx::BATCHNORM);
    asked.for_each(|(_, value)| "frozen".clone_into(value));
}
