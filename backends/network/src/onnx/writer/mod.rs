//! A model as an ONNX file: its graph with standard operators, its parameters as initializers, in order, by name.
//!
//! The initializers are the parameters and nothing else (constants are nodes), in the layout of theta: whatever ONNX
//! wants another way round is transposed by a node. A graph is made for one batch size at a time, so that two of them are
//! compared, node by node: an axis that differs is the batch's, and anything else that differs is refused.

mod nodes;
mod operators;

use super::messages::{
    DimensionProto, GraphProto, ModelProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TensorTypeProto,
    TypeProto, ValueInfoProto, data_type,
};
use super::tensors::BYTES_MAX;
use crate::graph::op::{Element, Op};
use crate::graph::shape::name;
use crate::graph::{Graph, Id, Node};
use crate::model::{Model, OutputKind};
use mountainpass_sdk::{Error, Parameter, memory};
use nodes::Nodes;
use std::collections::HashMap;

/// The first version with Gelu; ONNX 1.15 of 2023.
const OPSET: i64 = 20;
/// The version of the messages that came with it.
const IR: i64 = 9;

/// How a file holds reals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 4 bytes, which every runtime computes with; theta is rounded.
    Single,
    /// 8 bytes: theta as it is.
    Double,
}

impl Precision {
    fn data_type(self) -> i32 {
        match self {
            Precision::Single => data_type::FLOAT,
            Precision::Double => data_type::DOUBLE,
        }
    }

    fn bytes(self, values: &[f64]) -> Vec<u8> {
        match self {
            Precision::Single => values.iter().flat_map(|x| (*x as f32).to_le_bytes()).collect(),
            Precision::Double => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
        }
    }
}

/// Two batch sizes that no axis of a network is usually a multiple of.
const TRIALS: [usize; 2] = [11, 13];
/// The name of the batch's axis.
const BATCH: &str = "n";

/// The bytes of a file with `theta` in it. What ONNX has no operator for, and what depends on the batch size in more than
/// an axis, is refused.
pub fn write(model: &dyn Model, theta: &[f64], precision: Precision) -> Result<Vec<u8>, Error> {
    let count: u64 = model.parameters().iter().map(|p| p.shape.iter().product::<u64>()).sum();
    if count != theta.len() as u64 {
        return Err(Error::argument(format!("{} numbers for {count} parameters", theta.len())));
    }
    if count.saturating_mul(8) > BYTES_MAX {
        return Err(Error::unsupported(format!("{count} parameters: files of more than 2 GB are not written")));
    }
    // As initializers, and as the file.
    memory::afford(count.checked_mul(2 * 8))?;
    let [small, large] = [model.network(TRIALS[0])?, model.network(TRIALS[1])?];
    let (a, outputs) = small.graph.pruned(&[small.output]);
    let (b, _) = large.graph.pruned(&[large.output]);
    let mut writer = Writer::new(&a, &b, model, precision);
    writer.all(outputs[0])?;
    let output = match small.kind {
        OutputKind::Logits => "logits",
        OutputKind::Probabilities => "probabilities",
        OutputKind::Loss => "loss",
    };
    let info = writer.info(output, writer.axes(outputs[0]), a.element(outputs[0]));
    let initializer = model.parameters().iter().map(|p| tensor(p, theta, precision)).collect();
    let input = model.features().iter().map(|feature| {
        let rest = feature.shape.iter().map(|size| Axis::Fixed(*size));
        writer.info(&feature.name, std::iter::once(Axis::Batch).chain(rest).collect(), feature.element)
    });
    let input = input.collect();
    let last = writer.value(outputs[0])?;
    let graph = GraphProto {
        node: writer.nodes.finished(&last, output),
        name: Some("mountainpass".into()),
        initializer,
        input,
        output: vec![info],
        ..GraphProto::default()
    };
    let file = ModelProto {
        ir_version: Some(IR),
        opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(OPSET) }],
        producer_name: Some("mountainpass".into()),
        producer_version: Some(env!("CARGO_PKG_VERSION").into()),
        graph: Some(graph),
        ..ModelProto::default()
    };
    Ok(prost::Message::encode_to_vec(&file))
}

fn tensor(parameter: &Parameter, theta: &[f64], precision: Precision) -> TensorProto {
    let (start, count) = (parameter.offset as usize, parameter.shape.iter().product::<u64>() as usize);
    TensorProto {
        dims: parameter.shape.iter().map(|d| *d as i64).collect(),
        data_type: Some(precision.data_type()),
        name: Some(parameter.name.clone()),
        raw_data: Some(precision.bytes(&theta[start..start + count]).into()),
        ..TensorProto::default()
    }
}

/// An axis of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Axis {
    Fixed(usize),
    /// As long as the batch.
    Batch,
    /// Longer with it.
    Varying,
}

impl std::fmt::Debug for Axis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Axis::Fixed(size) => size.fmt(f),
            Axis::Batch => f.write_str(BATCH),
            Axis::Varying => f.write_str("?"),
        }
    }
}

/// The state of writing: two graphs of one network, and the nodes so far.
struct Writer<'g> {
    small: &'g Graph,
    large: &'g Graph,
    precision: Precision,
    nodes: Nodes,
    /// The name of each value that is written already.
    names: HashMap<Id, String>,
    /// The same values with their axes in another order.
    turned: HashMap<(Id, Vec<usize>), String>,
    /// Names of parameters by offset.
    parameters: HashMap<usize, (&'g str, &'g [u64])>,
    features: Vec<&'g str>,
}

impl<'g> Writer<'g> {
    fn new(small: &'g Graph, large: &'g Graph, model: &'g dyn Model, precision: Precision) -> Writer<'g> {
        let parameters: HashMap<usize, (&str, &[u64])> =
            model.parameters().iter().map(|p| (p.offset as usize, (p.name.as_str(), &p.shape[..]))).collect();
        let features: Vec<&str> = model.features().iter().map(|feature| feature.name.as_str()).collect();
        let given = parameters.values().map(|(name, _)| *name).chain(features.iter().copied());
        let given = given.chain(["logits", "probabilities", "loss"]).map(str::to_owned);
        let nodes = Nodes::new(precision, given.collect());
        Writer { small, large, precision, nodes, names: HashMap::new(), turned: HashMap::new(), parameters, features }
    }

    /// Writes whatever `output` needs.
    fn all(&mut self, output: Id) -> Result<(), Error> {
        let differ = || Error::unsupported("its graph differs between batch sizes in more than an axis");
        if self.small.nodes().len() != self.large.nodes().len() {
            return Err(differ());
        }
        if !self.small.nodes().iter().zip(self.large.nodes()).all(|(a, b)| alike(a, b)) {
            return Err(differ());
        }
        let mut needed = vec![false; self.small.nodes().len()];
        needed[output.index()] = true;
        for i in (0..needed.len()).rev() {
            if needed[i] {
                self.arguments(self.small.id(i)).into_iter().for_each(|id| needed[id.index()] = true);
            }
        }
        for i in (0..needed.len()).filter(|i| needed[*i]) {
            let id = self.small.id(i);
            let value = self.operator(id).map_err(|error| {
                let op = name(&self.small.node(id).op);
                Error { text: format!("{op} of the shape {:?}: {}", self.axes(id), error.text), ..error }
            })?;
            self.names.insert(id, value);
        }
        Ok(())
    }

    /// The axes of a value, as the two graphs show them.
    fn axes(&self, id: Id) -> Vec<Axis> {
        let axis = |(a, b): (&usize, &usize)| match (*a, *b) {
            (a, b) if a == b => Axis::Fixed(a),
            (a, b) if [a, b] == TRIALS => Axis::Batch,
            _ => Axis::Varying,
        };
        self.small.shape(id).iter().zip(self.large.shape(id)).map(axis).collect()
    }

    fn info(&self, name: &str, axes: Vec<Axis>, element: Element) -> ValueInfoProto {
        let dimension = |axis: Axis| DimensionProto {
            dim_value: if let Axis::Fixed(size) = axis { Some(size as i64) } else { None },
            dim_param: (axis == Axis::Batch).then(|| BATCH.to_owned()),
        };
        let of = if element == Element::Real { self.precision.data_type() } else { data_type::INT64 };
        let shape = TensorShapeProto { dim: axes.into_iter().map(dimension).collect() };
        let tensor = TensorTypeProto { elem_type: Some(of), shape: Some(shape) };
        ValueInfoProto {
            name: Some(name.to_owned()),
            r#type: Some(TypeProto { tensor_type: Some(tensor) }),
            ..ValueInfoProto::default()
        }
    }

    /// The parameter of an offset and a shape.
    fn parameter(&self, offset: usize, shape: &[usize]) -> Result<String, Error> {
        let found =
            self.parameters.get(&offset).filter(|(_, of)| of.iter().map(|d| *d as usize).eq(shape.iter().copied()));
        let found = found.map(|(name, _)| (*name).to_owned());
        found.ok_or_else(|| Error::unsupported(format!("the numbers from {offset} on are no whole parameter")))
    }
}

/// Whether two nodes differ in nothing but sizes, and in numbers that the writer looks at again.
fn alike(a: &Node, b: &Node) -> bool {
    let same = match (&a.op, &b.op) {
        (Op::Input { slot: s, .. }, Op::Input { slot: t, .. }) => s == t,
        (Op::Fill(..), Op::Fill(..)) | (Op::Reshape(_), Op::Reshape(_)) | (Op::Broadcast(_), Op::Broadcast(_)) => true,
        (Op::Slice { along: s, .. }, Op::Slice { along: t, .. })
        | (Op::Place { along: s, .. }, Op::Place { along: t, .. }) => s == t,
        (Op::Constant(s), Op::Constant(t)) => s.shape == t.shape && s.values == t.values,
        (s, t) => s == t,
    };
    same && a.args == b.args && a.of.shape.len() == b.of.shape.len() && a.of.element == b.of.element
}
