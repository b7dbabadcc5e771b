//! One node of a file: its operator lowered, or computed at once where all that it takes is known.

use super::lowering::{Call, Lower, Lowering, Results, Value, WRITTEN_MAX, label};
use super::messages::NodeProto;
use super::operators;
use super::tensors::{KnownArray, ValueKind};
use crate::graph::evaluate::{Sources, evaluate};
use crate::graph::op::{Element, Op, Values};
use crate::graph::shape::elements;
use crate::graph::{Graph, Id, Node};
use mountainpass_sdk::{Error, memory};
use std::sync::Arc;

/// Known arrays longer than this stay operators of the graph; it is far beyond any shape or table of positions.
const FOLD_MAX: usize = 1 << 22;

/// Arrays as long as shapes are always computed.
const FOLD_ALWAYS: usize = 1 << 10;

/// So many products at most make one known array.
const WORK_MAX: usize = 1 << 26;

/// An operator copies what is known so many times at the most: as numbers of another kind, and as what it makes of them.
const COPIES: usize = 3;

impl Lowering<'_> {
    /// The values of one node of the file; errors say which node.
    pub fn node(&mut self, node: &NodeProto, inputs: Vec<Option<Value>>) -> Results {
        let call = Call { node, inputs, opset: self.opset };
        let known = call.inputs.iter().flatten().all(|value| matches!(value, Value::Known(_)));
        let results = affordable(&call).and_then(|()| operators::find(node));
        let results = results.and_then(|lower| if known { self.folded(lower, &call) } else { lower(self, &call) });
        results.map_err(|error| self.named(node, error))
    }

    /// An error that says in which node.
    pub fn named(&self, node: &NodeProto, error: Error) -> Error {
        let (op, opset, name) = (node.op_type(), self.opset, label(node));
        Error { text: format!("node {name:?} ({op}, opset {opset}): {}", error.text), ..error }
    }

    fn folded(&mut self, lower: Lower, call: &Call<'_>) -> Results {
        let graph = std::mem::take(&mut self.graph);
        let results = lower(self, call);
        let small = std::mem::replace(&mut self.graph, graph);
        let results = results?;
        if results.iter().any(|value| matches!(value, Value::List(_))) {
            return lower(self, call);
        }
        let sizes = || small.nodes().iter().map(|node| elements(&node.of.shape).unwrap_or(usize::MAX));
        let all = sizes().fold(0, usize::saturating_add);
        let is_small = all <= FOLD_ALWAYS || self.written.saturating_add(all) <= WRITTEN_MAX;
        let is_cheap = small.nodes().iter().all(|node| work(&small, node) <= WORK_MAX);
        if !(is_small && is_cheap && sizes().all(|n| n <= FOLD_MAX)) {
            return lower(self, call);
        }
        self.written = self.written.saturating_add(all);
        // The interpreter keeps every array until its end, and the results are taken out of it as copies.
        memory::afford(all.checked_mul(2).and_then(memory::bytes_of::<f64>))?;
        let ids: Vec<Id> =
            results.iter().filter_map(|v| if let Value::Node(id, _) = v { Some(*id) } else { None }).collect();
        let mut arrays = evaluate(&small, Sources::default(), &ids)?.into_iter();
        let known = |value: Value| match value {
            Value::Node(id, kind) => {
                let values = arrays.next().unwrap_or(Values::Real(Vec::new()));
                let of = if values.element() == Element::Index { ValueKind::Whole } else { ValueKind::Real };
                let tensor = KnownArray { kind: of, shape: small.shape(id).to_vec(), values: Arc::new(values) };
                // Of reals that stand for whole numbers or truths, the numbers are exact.
                Value::Known(if (of, kind) == (ValueKind::Real, ValueKind::Truth) {
                    KnownArray { kind, ..tensor }
                } else {
                    tensor.cast(kind)
                })
            }
            other => other,
        };
        Ok(results.into_iter().map(known).collect())
    }
}

/// Fails where what is known is too much for the operator.
fn affordable(call: &Call<'_>) -> Result<(), Error> {
    let count = |value: &Value| if let Value::Known(tensor) = value { tensor.values.len() } else { 0 };
    let all = call.inputs.iter().flatten().map(count).fold(0, usize::saturating_add);
    Ok(memory::afford(all.checked_mul(COPIES).and_then(memory::bytes_of::<f64>))?)
}

/// How many products an operator takes.
fn work(graph: &Graph, node: &Node) -> usize {
    let of = |shape: &[usize]| elements(shape).unwrap_or(usize::MAX);
    let terms = match &node.op {
        Op::MatMul => node.args.first().and_then(|a| graph.shape(*a).last()).copied().unwrap_or(1),
        Op::Convolve { .. } | Op::ConvolveImage { .. } => node.args.get(1).map_or(1, |kernel| of(graph.shape(*kernel))),
        Op::ConvolveKernel { .. } => node.args.first().map_or(1, |image| of(graph.shape(*image))),
        Op::SumPool(window) | Op::SumUnpool { window, .. } | Op::PickMax(window) | Op::PlaceMax(window) => {
            window.kernel.iter().fold(1, |n: usize, k| n.saturating_mul(*k))
        }
        _ => 1,
    };
    of(&node.of.shape).saturating_mul(terms)
}
