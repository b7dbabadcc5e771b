//! The graphs of one ONNX file, one for every batch size: its nodes lowered one after the other.

use super::file::{BatchSize, Block, File};
use super::lowering::{Lowering, Value, Weight, label};
use super::tensors::{self, ValueKind};
use crate::graph::op::Element;
use crate::graph::{Graph, Id};
use mountainpass_sdk::Error;
use std::collections::HashMap;

impl File {
    /// The graph for batches of `n` as a function of `theta`, with whatever does not enter too, and its output.
    pub fn lower(&self, n: usize, theta: &[Block]) -> Result<(Graph, Id), Error> {
        let folder = self.folder.as_deref();
        let weight =
            |b: &Block| Weight { tensor: &self.graph.initializer[b.index], shape: b.shape.clone(), offset: b.offset };
        let weights: Vec<Weight<'_>> = theta.iter().map(weight).collect();
        let mut lowering = Lowering::new(self.opset, &weights, folder, n);
        lowering.recomputed = self.recomputed;
        lowering.baked = match self.batch {
            BatchSize::Fixed(fixed) if fixed != n => Some(fixed),
            _ => None,
        };
        let mut values: HashMap<&str, Value> =
            weights.iter().enumerate().map(|(i, weight)| (weight.tensor.name(), Value::Weight(i))).collect();
        for (slot, feature) in self.features.iter().enumerate() {
            let shape = std::iter::once(n).chain(feature.shape.iter().copied()).collect();
            let kind = if feature.element == Element::Real { ValueKind::Real } else { ValueKind::Whole };
            let id = lowering.graph.input(slot, shape, feature.element)?;
            values.insert(&feature.name, Value::Node(id, kind));
        }
        let initializers = self.initializers();
        let find = |values: &HashMap<&str, Value>, name: &str| match (values.get(name), initializers.get(name)) {
            (Some(value), _) => Ok(Some(value.clone())),
            (None, Some(tensor)) => tensors::read(tensor, folder).map(|tensor| Some(Value::Known(tensor))),
            (None, None) => Ok(None),
        };
        for node in self.nodes.iter().map(|i| &self.graph.node[*i]) {
            let mut inputs = Vec::with_capacity(node.input.len());
            for name in &node.input {
                let value = if name.is_empty() { None } else { find(&values, name)? };
                if value.is_none() && !name.is_empty() {
                    let node = label(node);
                    return Err(Error::argument(format!(
                        "node {node:?} takes {name:?}, which nothing before it computes"
                    )));
                }
                inputs.push(value);
            }
            let results = lowering.node(node, inputs)?;
            values.extend(node.output.iter().map(String::as_str).zip(results).filter(|(name, _)| !name.is_empty()));
        }
        let value = find(&values, &self.output)?;
        let value =
            value.ok_or_else(|| Error::unsupported(format!("nothing that is read computes {:?}", self.output)))?;
        let value = match value {
            Value::Known(tensor) => Value::Known(tensor.cast(ValueKind::Real)),
            other => other,
        };
        let output = lowering
            .real(&value)
            .map_err(|error| Error { text: format!("output {:?}: {}", self.output, error.text), ..error })?;
        Ok((lowering.graph, output))
    }
}
