//! The graphs of one ONNX file, one for every batch size: its nodes lowered one after the other.

use super::file::{BatchSize, Block, File};
use super::lowering::{Lowering, Value, Weight};
use super::scope::Scope;
use super::tensors::ValueKind;
use crate::graph::{Graph, Id};
use mountainpass_sdk::Error;
use std::collections::HashMap;

impl File {
    /// The graph for batches of `n` as a function of `theta`, with whatever does not enter too, and its output.
    pub fn lower(&self, n: usize, theta: &[Block]) -> Result<(Graph, Id), Error> {
        let batch_axes = match self.batch {
            BatchSize::Fixed(fixed) if n == 1 && fixed != 1 => self.lowered(2, theta, HashMap::new())?.2,
            _ => HashMap::new(),
        };
        self.lowered(n, theta, batch_axes).map(|(graph, output, _)| (graph, output))
    }

    /// The same with the axes of written shapes that were found to be the batch's.
    fn lowered(
        &self,
        n: usize,
        theta: &[Block],
        batch_axes: HashMap<String, usize>,
    ) -> Result<(Graph, Id, HashMap<String, usize>), Error> {
        let folder = self.folder.as_deref();
        let weight =
            |b: &Block| Weight { tensor: &self.graph.initializer[b.index], shape: b.shape.clone(), offset: b.offset };
        let weights: Vec<Weight<'_>> = theta.iter().map(weight).collect();
        let mut lowering = Lowering::new(self.opset, &weights, folder, n);
        lowering.recomputed = self.recomputed;
        lowering.batch_axes = batch_axes;
        lowering.baked = match self.batch {
            BatchSize::Fixed(fixed) if fixed != n => Some(fixed),
            _ => None,
        };
        let values = weights.iter().enumerate().map(|(i, weight)| (weight.tensor.name(), Value::Weight(i))).collect();
        let mut scope = Scope::new(values, self.initializers(), folder);
        for (slot, feature) in self.features.iter().enumerate() {
            let shape = std::iter::once(n).chain(feature.shape.iter().copied()).collect();
            let id = lowering.graph.input(slot, shape, feature.element)?;
            scope.give(&feature.name, Value::Node(id, self.kind(feature)));
        }
        for node in self.nodes.iter().map(|i| &self.graph.node[*i]) {
            lowering.run(node, &mut scope)?;
        }
        let value = scope.find(&self.output)?;
        let value =
            value.ok_or_else(|| Error::unsupported(format!("nothing that is read computes {:?}", self.output)))?;
        let value = match value {
            Value::Known(tensor) => Value::Known(tensor.cast(ValueKind::Real)),
            other => other,
        };
        let output = lowering
            .real(&value)
            .map_err(|error| Error { text: format!("output {:?}: {}", self.output, error.text), ..error })?;
        Ok((lowering.graph, output, lowering.batch_axes))
    }
}
