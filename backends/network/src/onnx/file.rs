//! One ONNX file: its output, and the nodes, inputs and initializers that enter it.

use super::aliases::Alias;
use super::contents::Contents;
use super::control::taken;
use super::messages::{DimensionProto, GraphProto, NodeProto, TensorProto, ValueInfoProto, entry};
use super::options::Options;
use super::tensors::{self, ValueKind};
use crate::graph::op::{Element, Shape};
use crate::model::Feature;
use crate::pattern::stands_for;
use bytes::Bytes;
use mountainpass_sdk::{Error, Parameter, memory};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Operators older than this mean other things.
const OPSET_MIN: i64 = 11;

/// How the file fixes the first axis of its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BatchSize {
    /// By a name, or not at all.
    Free,
    Fixed(usize),
    /// There are no inputs.
    None,
}

/// An initializer that may be a part of theta.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// Which of the initializers.
    pub index: usize,
    pub shape: Shape,
}

/// An initializer that is a part of theta.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// Which of the initializers.
    pub index: usize,
    pub shape: Shape,
    pub offset: usize,
}

/// A file and what of it enters its output.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub graph: GraphProto,
    pub opset: i64,
    pub folder: Option<PathBuf>,
    /// What initializers are called in checkpoints.
    pub aliases: Vec<Alias>,
    pub recomputed: Option<bool>,
    pub output: String,
    pub batch: BatchSize,
    pub features: Vec<Feature>,
    /// In the order of computation.
    pub nodes: Vec<usize>,
    /// In the order of the file.
    pub candidates: Vec<Candidate>,
}

impl File {
    /// Reads the messages and finds what enters; notes say what was decided.
    pub fn read(
        bytes: Bytes,
        folder: Option<&Path>,
        options: &Options,
        notes: &mut Vec<String>,
    ) -> Result<File, Error> {
        let Contents { graph, opset, aliases, folder } = Contents::of(bytes, folder)?;
        let (false, Some(opset)) = (graph.node.is_empty() && graph.output.is_empty(), opset) else {
            return Err(Error::argument("no ONNX file, or a broken one: it has no graph or no version of operators"));
        };
        if opset < OPSET_MIN {
            return Err(Error::unsupported(format!(
                "its operators are of opset {opset}: export it with {OPSET_MIN} or later"
            )));
        }
        let output = chosen(&graph, options, notes)?;
        let batch = BatchSize::None;
        let (nodes, features, candidates) = (Vec::new(), Vec::new(), Vec::new());
        let recomputed = options.recomputed;
        let mut file = File { graph, opset, folder, aliases, recomputed, output, batch, features, nodes, candidates };
        let entering = file.enter()?;
        (file.features, file.batch) = file.inputs(&entering, options)?;
        file.candidates = file.candidates(&entering, options, notes)?;
        Ok(file)
    }

    /// Finds the nodes that enter the output; gives the names of all values that do.
    fn enter(&mut self) -> Result<HashSet<String>, Error> {
        let by = |node: usize| self.graph.node[node].output.iter().map(move |name| (name.as_str(), node));
        let producers: HashMap<&str, usize> = (0..self.graph.node.len()).flat_map(by).collect();
        let mut entering: HashSet<String> = HashSet::new();
        let mut needed = vec![false; self.graph.node.len()];
        let mut open = vec![self.output.as_str()];
        while let Some(name) = open.pop() {
            if name.is_empty() || !entering.insert(name.to_owned()) {
                continue;
            }
            if let Some(&node) = producers.get(name) {
                needed[node] = true;
                open.extend(taken(&self.graph.node[node]));
            }
        }
        self.nodes = (0..needed.len()).filter(|i| needed[*i]).collect();
        Ok(entering)
    }

    /// What checkpoints call an initializer.
    pub fn called<'a>(&'a self, initializer: &'a str) -> &'a str {
        let alias = self.aliases.iter().find(|alias| alias.initializer == initializer);
        alias.map_or(initializer, |alias| &alias.name)
    }

    pub fn initializers(&self) -> HashMap<&str, &TensorProto> {
        self.graph.initializer.iter().map(|tensor| (tensor.name(), tensor)).collect()
    }

    /// What samples supply, and how the file fixes their number.
    fn inputs(&self, entering: &HashSet<String>, options: &Options) -> Result<(Vec<Feature>, BatchSize), Error> {
        let initializers = self.initializers();
        let mut batch = BatchSize::None;
        let mut features = Vec::new();
        // Old files list initializers among the inputs.
        let enters =
            |input: &&ValueInfoProto| entering.contains(input.name()) && !initializers.contains_key(input.name());
        for input in self.graph.input.iter().filter(enters) {
            let name = input.name();
            let of = input.r#type.as_ref().and_then(|of| of.tensor_type.as_ref());
            let of = of.ok_or_else(|| Error::unsupported(format!("input {name:?} is no tensor")))?;
            let element = match tensors::kind(of.elem_type()) {
                // Truths are the reals 1 and 0.
                Some(ValueKind::Real | ValueKind::Truth) => Element::Real,
                Some(ValueKind::Whole) => Element::Index,
                None => {
                    let of = tensors::type_name(of.elem_type());
                    return Err(Error::unsupported(format!(
                        "input {name:?} holds {of}, expected reals, whole numbers or bool"
                    )));
                }
            };
            let axes = of.shape.as_ref().map_or(&[][..], |shape| &shape.dim[..]);
            let [first, rest @ ..] = axes else {
                return Err(Error::argument(format!("input {name:?} has no axes, expected the batch first")));
            };
            let size = |axis: &DimensionProto| usize::try_from(axis.dim_value()).ok().filter(|d| *d > 0);
            let one = size(first).map_or(BatchSize::Free, BatchSize::Fixed);
            if batch != BatchSize::None && batch != one {
                return Err(Error::argument(format!(
                    "input {name:?}: its first axis is {one:?}, but another's is {batch:?}"
                )));
            }
            batch = one;
            let shape = rest.iter().enumerate().map(|(i, axis)| {
                let given = options.sizes.iter().find(|(name, _)| name == axis.dim_param()).map(|(_, size)| *size);
                size(axis).or(given.filter(|size| *size > 0)).ok_or_else(|| {
                    let (axis, label) = (i + 1, axis.dim_param());
                    Error::argument(format!(
                        "input {name:?}: the size of axis {axis}, {label:?}, is not in the file and not settled by the \
                         batch: export it with a fixed size"
                    ))
                })
            });
            let shape = shape.collect::<Result<Shape, Error>>()?;
            features.push(Feature { name: name.to_owned(), shape, element });
        }
        let axes =
            self.graph.input.iter().filter_map(|input| input.r#type.as_ref()?.tensor_type.as_ref()?.shape.as_ref());
        let labels: Vec<&str> = axes.flat_map(|shape| shape.dim.iter().skip(1)).map(|axis| axis.dim_param()).collect();
        if let Some((name, _)) = options.sizes.iter().find(|(name, _)| !labels.contains(&name.as_str())) {
            return Err(Error::unknown("axis in sizes", name, &labels));
        }
        Ok((features, batch))
    }

    /// What an input of samples holds.
    pub fn kind(&self, feature: &Feature) -> ValueKind {
        let info = self.graph.input.iter().find(|input| input.name() == feature.name);
        let of = info.and_then(|info| info.r#type.as_ref()).and_then(|of| of.tensor_type.as_ref());
        of.and_then(|of| tensors::kind(of.elem_type())).unwrap_or(ValueKind::Real)
    }

    /// The initializers that may be parameters.
    fn candidates(
        &self,
        entering: &HashSet<String>,
        options: &Options,
        notes: &mut Vec<String>,
    ) -> Result<Vec<Candidate>, Error> {
        let name_of = |tensor: &TensorProto| tensor.name().to_owned();
        let is = |pattern: &str, name: &str| stands_for(pattern, name) || stands_for(pattern, self.called(name));
        let is_of_none = |pattern: &&String| !self.graph.initializer.iter().any(|t| is(pattern, t.name()));
        if let Some(pattern) = options.frozen.iter().find(is_of_none) {
            let names: Vec<&str> = self.graph.initializer.iter().map(|t| t.name()).collect();
            return Err(Error::unknown("initializer", pattern, &names));
        }
        // torch says of every value whether it was a parameter or a buffer.
        const KIND: &str = "pkg.torch.export.graph_signature.InputSpec.kind";
        let is_buffer =
            |info: &&ValueInfoProto| entry(&info.metadata_props, KIND).is_some_and(|kind| kind != "PARAMETER");
        let infos = self.graph.value_info.iter().chain(&self.graph.input);
        let buffers: HashSet<&str> = infos.filter(is_buffer).map(|info| info.name()).collect();
        // Of running statistics nobody would think otherwise.
        let normalisations = self.graph.node.iter().filter(|node| node.op_type() == "BatchNormalization");
        let statistics: HashSet<&str> =
            normalisations.flat_map(|node| node.input.iter().skip(3)).map(String::as_str).collect();
        let mut constants = Vec::new();
        let (mut candidates, mut numbers) = (Vec::new(), 0usize);
        for (index, tensor) in self.graph.initializer.iter().enumerate() {
            let is_real = tensors::kind(tensor.data_type()) == Some(ValueKind::Real);
            if !is_real || tensor.dims.is_empty() || !entering.contains(tensor.name()) {
                continue;
            }
            let (shape, count) = tensors::shape(tensor)?;
            let is_finite = tensors::read(tensor, self.folder.as_deref())?.numbers().all(f64::is_finite);
            let is_frozen = options.frozen.iter().any(|pattern| is(pattern, tensor.name()));
            if count == 0 || is_frozen || !is_finite || buffers.contains(tensor.name()) {
                constants.extend(Some(name_of(tensor)).filter(|_| !statistics.contains(tensor.name())));
                continue;
            }
            candidates.push(Candidate { index, shape });
            numbers = numbers.saturating_add(count);
            if numbers as u64 > tensors::BYTES_MAX {
                return Err(Error::unsupported("more than 2^31 parameters"));
            }
        }
        if !constants.is_empty() {
            notes.push(format!("constants, not parameters (frozen, buffers, or not finite): {}", constants.join(", ")));
        }
        // dynamo calls them so; other exporters leave nothing of them.
        let is_stop = |node: &&NodeProto| {
            node.op_type() == "Identity" && node.output.first().is_some_and(|name| name.starts_with("detach"))
        };
        if let Some(node) = self.nodes.iter().map(|i| &self.graph.node[*i]).find(is_stop) {
            notes.push(format!(
                "{:?} was a detach() in torch, which a file does not hold: the gradient is that of the loss as it is written",
                node.output[0]
            ));
        }
        let names: HashSet<&str> = candidates.iter().map(|b| self.graph.initializer[b.index].name()).collect();
        for node in self.nodes.iter().map(|i| &self.graph.node[*i]).filter(|node| node.op_type() == "Identity") {
            if let ([from], [to]) = (&node.input[..], &node.output[..])
                && names.contains(from.as_str())
            {
                notes.push(format!(
                    "{to:?} is {from:?} in the file: one parameter (torch ties what is equal at export)"
                ));
            }
        }
        Ok(candidates)
    }

    /// The node that computes a value.
    pub fn producer(&self, name: &str) -> Option<&NodeProto> {
        self.nodes.iter().map(|i| &self.graph.node[*i]).find(|node| node.output.first().is_some_and(|o| o == name))
    }

    /// Takes another value as the output, one that enters the old.
    pub fn stop_at(&mut self, output: String) -> Result<(), Error> {
        self.output = output;
        self.enter().map(|_| ())
    }

    /// Every candidate as if it were a part of theta, for a reading that finds out which are. Where each begins is not known
    /// before: a graph calls it by its number.
    pub fn trial(&self) -> Vec<Block> {
        let block =
            |(number, of): (usize, &Candidate)| Block { index: of.index, shape: of.shape.clone(), offset: number };
        self.candidates.iter().enumerate().map(block).collect()
    }

    /// Theta: these candidates, one behind the other.
    pub fn theta(&self, numbers: &[usize]) -> Vec<Block> {
        let mut offset = 0;
        let block = |&number: &usize| {
            let Candidate { index, shape } = self.candidates[number].clone();
            let begin = offset;
            offset += shape.iter().product::<usize>();
            Block { index, shape, offset: begin }
        };
        numbers.iter().map(block).collect()
    }

    /// What theta's blocks are called.
    pub fn parameters(&self, theta: &[Block]) -> Vec<Parameter> {
        let parameter = |block: &Block| Parameter {
            name: self.graph.initializer[block.index].name().to_owned(),
            shape: block.shape.iter().map(|d| *d as u64).collect(),
            offset: block.offset as u64,
        };
        theta.iter().map(parameter).collect()
    }

    /// The file's own numbers for theta.
    pub fn start(&self, theta: &[Block]) -> Result<Vec<f64>, Error> {
        let mut start =
            memory::room(theta.last().map_or(0, |last| last.offset + last.shape.iter().product::<usize>()))?;
        for block in theta {
            start.extend(tensors::read(&self.graph.initializer[block.index], self.folder.as_deref())?.numbers());
        }
        Ok(start)
    }

    /// Adds what other files hold.
    pub fn hash_external(&self, hash: &mut Sha256) -> Result<(), Error> {
        let entering: HashSet<&str> = self.nodes.iter().flat_map(|i| taken(&self.graph.node[*i])).collect();
        let enters = |t: &&TensorProto| t.data_location() != 0 && entering.contains(t.name());
        for tensor in self.graph.initializer.iter().filter(enters) {
            hash.update(tensor.name());
            let all = tensors::read(tensor, self.folder.as_deref())?;
            all.numbers().for_each(|x| hash.update(x.to_le_bytes()));
        }
        Ok(())
    }
}

/// The name of the output: the one asked for, which may be any value, or the first output that holds reals.
fn chosen(graph: &GraphProto, options: &Options, notes: &mut Vec<String>) -> Result<String, Error> {
    if let Some(name) = &options.output {
        let values = graph
            .node
            .iter()
            .flat_map(|node| &node.output)
            .chain(graph.initializer.iter().filter_map(|t| t.name.as_ref()));
        let mut values: Vec<&str> = values.map(String::as_str).collect();
        if values.contains(&name.as_str()) {
            return Ok(name.clone());
        }
        values.sort_unstable();
        return Err(Error::unknown("output", name, &values));
    }
    let kind = |info: &ValueInfoProto| {
        let of = info.r#type.as_ref().and_then(|of| of.tensor_type.as_ref());
        of.and_then(|of| tensors::kind(of.elem_type()))
    };
    let names: Vec<&str> = graph.output.iter().map(|o| o.name()).collect();
    match graph.output.iter().find(|output| kind(output) == Some(ValueKind::Real)) {
        Some(output) => {
            if names.len() > 1 {
                notes.push(format!(
                    "of the outputs {} the first with reals is taken: {}",
                    names.join(", "),
                    output.name()
                ));
            }
            Ok(output.name().to_owned())
        }
        None => {
            // What scikit-learn's converters wrap into maps is a tensor one node earlier.
            let wrapped = graph.node.iter().find(|node| node.op_type() == "ZipMap").and_then(|node| node.input.first());
            wrapped
                .cloned()
                .ok_or_else(|| Error::argument(format!("no output of {names:?} holds reals: name another value")))
        }
    }
}
