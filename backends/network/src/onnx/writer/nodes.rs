//! The nodes of a file as they are written: each with a name of its own, constants once.

use super::super::messages::{AttributeProto, NodeProto, TensorProto, data_type};
use super::precision::Precision;
use crate::graph::op::Values;
use prost::Message;
use std::collections::{HashMap, HashSet};

/// A whole number.
pub(super) fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), kind: Some(2), i: Some(i), ..AttributeProto::default() }
}

/// Whole numbers.
pub(super) fn ints(name: &str, all: impl IntoIterator<Item = usize>) -> AttributeProto {
    let ints = all.into_iter().map(|i| i as i64).collect();
    AttributeProto { name: Some(name.to_owned()), kind: Some(7), ints, ..AttributeProto::default() }
}

/// A word.
pub(super) fn text(name: &str, s: &'static str) -> AttributeProto {
    let s = Some(bytes::Bytes::from_static(s.as_bytes()));
    AttributeProto { name: Some(name.to_owned()), kind: Some(3), s, ..AttributeProto::default() }
}

/// Nodes in the order of computation.
pub(super) struct Nodes {
    all: Vec<NodeProto>,
    precision: Precision,
    /// Names that are given away.
    taken: HashSet<String>,
    numbers: HashMap<u64, String>,
    wholes: HashMap<Vec<i64>, String>,
    /// What [`once`](Nodes::once) added: operator, inputs, attributes.
    known: HashMap<(String, Vec<String>, Vec<u8>), String>,
}

impl Nodes {
    /// No node yet; names that nothing else may have.
    pub fn new(precision: Precision, taken: HashSet<String>) -> Nodes {
        Nodes {
            all: Vec::new(),
            precision,
            taken,
            numbers: HashMap::new(),
            wholes: HashMap::new(),
            known: HashMap::new(),
        }
    }

    /// Adds a node; the name of its result.
    pub fn push(&mut self, op: &str, inputs: Vec<String>, attributes: Vec<AttributeProto>) -> String {
        // As many tries as there are names suffice.
        let mut names = (self.all.len()..).map(|i| format!("{op}_{i}"));
        let name = names.find(|name| !self.taken.contains(name)).unwrap_or_default();
        self.add(op, inputs, name.clone(), attributes);
        name
    }

    /// The same, unless there is a node that does the same to the same.
    pub fn once(&mut self, op: &str, inputs: Vec<String>, attributes: Vec<AttributeProto>) -> String {
        let written = attributes.iter().flat_map(Message::encode_length_delimited_to_vec).collect();
        let key = (op.to_owned(), inputs.clone(), written);
        if let Some(name) = self.known.get(&key) {
            return name.clone();
        }
        let name = self.push(op, inputs, attributes);
        self.known.insert(key, name.clone());
        name
    }

    /// Adds a node with two results; their names.
    pub fn pair(&mut self, op: &str, inputs: Vec<String>, attributes: Vec<AttributeProto>) -> [String; 2] {
        let first = self.once(op, inputs, attributes);
        let second = format!("{first}_second");
        if let Some(node) = self.all.iter_mut().find(|node| node.output[0] == first && node.output.len() == 1) {
            node.output.push(second.clone());
        }
        [first, second]
    }

    /// All nodes, with the values `old` under new names as well.
    pub fn named(mut self, all: Vec<(String, String)>) -> Vec<NodeProto> {
        all.into_iter().for_each(|(old, new)| self.add("Identity", vec![old], new, Vec::new()));
        self.all
    }

    fn add(&mut self, op: &str, input: Vec<String>, name: String, attribute: Vec<AttributeProto>) {
        self.taken.insert(name.clone());
        let (output, name, op_type) = (vec![name.clone()], Some(name), Some(op.to_owned()));
        self.all.push(NodeProto { input, output, name, op_type, attribute, ..NodeProto::default() });
    }

    /// One real.
    pub fn number(&mut self, value: f64) -> String {
        if let Some(name) = self.numbers.get(&value.to_bits()) {
            return name.clone();
        }
        let name = self.array(&[], &Values::Real(vec![value]));
        self.numbers.insert(value.to_bits(), name.clone());
        name
    }

    /// Whole numbers along one axis: shapes and axes.
    pub fn wholes(&mut self, values: Vec<i64>) -> String {
        if let Some(name) = self.wholes.get(&values) {
            return name.clone();
        }
        let name = self.array(&[values.len()], &Values::Index(values.clone()));
        self.wholes.insert(values, name.clone());
        name
    }

    /// A constant.
    pub fn array(&mut self, shape: &[usize], values: &Values) -> String {
        let (of, raw) = match values {
            Values::Real(values) => (self.precision.data_type(), self.precision.bytes(values)),
            Values::Index(values) => (data_type::INT64, values.iter().flat_map(|i| i.to_le_bytes()).collect()),
        };
        let tensor = TensorProto {
            dims: shape.iter().map(|d| *d as i64).collect(),
            data_type: Some(of),
            raw_data: Some(raw.into()),
            ..TensorProto::default()
        };
        let name = Some("value".to_owned());
        let value = AttributeProto { name, kind: Some(4), t: Some(tensor), ..AttributeProto::default() };
        self.push("Constant", Vec::new(), vec![value])
    }

    /// All nodes, with `output` for the name of the value `old`.
    pub fn finished(mut self, old: &str, output: &str) -> Vec<NodeProto> {
        if self.all.iter().any(|node| node.output.iter().any(|name| name == old)) {
            let values = self.all.iter_mut().flat_map(|node| node.input.iter_mut().chain(&mut node.output));
            values.filter(|value| *value == old).for_each(|value| output.clone_into(value));
        } else {
            self.add("Identity", vec![old.to_owned()], output.to_owned(), Vec::new());
        }
        self.all
    }
}
