//! A graph of one size as an ONNX model in memory, for a runtime: whatever it reads is an input, and it has any number of
//! outputs. Derivatives are written like all else.

use super::columns;
use super::message::{encoded, info};
use super::operators::Writer;
use super::pair::AxisSize;
use super::precision::Precision;
use crate::graph::op::{Element, Op, Shape};
use crate::graph::{Graph, Id};
use crate::onnx::messages::GraphProto;
use mountainpass_sdk::Error;

/// Where the numbers of an input come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// What the data supply in this slot.
    Slot(usize),
    /// Theta, from this number on.
    Theta(usize),
    /// The direction of a Hessian product, from this number on.
    Direction(usize),
}

/// An input of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What the model calls it.
    pub name: String,
    /// What stands behind it.
    pub origin: Origin,
    /// Its axes.
    pub shape: Shape,
    /// What it holds.
    pub element: Element,
}

/// A model in memory.
#[derive(Clone, Debug)]
pub struct Program {
    /// As in a file.
    pub bytes: Vec<u8>,
    /// What it reads: nothing that no output depends on.
    pub sources: Vec<Source>,
    /// Names and axes of its outputs, in the order that was asked for.
    pub outputs: Vec<(String, Shape)>,
}

impl Program {
    /// Writes what `outputs` need. What ONNX has no operators for is refused.
    pub fn new(graph: &Graph, outputs: &[Id], precision: Precision) -> Result<Program, Error> {
        let (graph, outputs) = graph.pruned(outputs);
        let all = (0..graph.nodes().len()).map(|i| graph.id(i));
        let sources: Vec<(Id, Source)> = all.filter_map(|id| Some((id, source(&graph, id)?))).collect();
        let names = sources.iter().map(|(id, source)| (*id, source.name.clone())).collect();
        let mut writer = Writer::of_graph(&graph, names, precision);
        writer.all(&outputs)?;
        let named = |(k, id): (usize, &Id)| Ok((writer.value(*id)?, format!("output{k}")));
        let renamed = outputs.iter().enumerate().map(named).collect::<Result<Vec<_>, Error>>()?;
        let fixed = |shape: &[usize]| shape.iter().map(|size| AxisSize::Fixed(*size)).collect();
        let input = sources.iter().map(|(_, of)| info(&of.name, fixed(&of.shape), of.element, precision)).collect();
        let written = |((_, name), id): (&(String, String), &Id)| (name.clone(), graph.shape(*id).to_vec());
        let results: Vec<(String, Shape)> = renamed.iter().zip(&outputs).map(written).collect();
        let output = results.iter().map(|(name, shape)| info(name, fixed(shape), Element::Real, precision)).collect();
        let node = writer.nodes.named(renamed);
        let name = Some("mountainpass".into());
        let bytes = encoded(GraphProto { node, name, input, output, ..GraphProto::default() });
        Ok(Program { bytes, sources: sources.into_iter().map(|(_, source)| source).collect(), outputs: results })
    }

    /// About how many numbers a run of it holds beside the arrays of its graph.
    pub fn beside(graph: &Graph) -> usize {
        columns::beside(graph)
    }
}

/// What a node without arguments reads.
fn source(graph: &Graph, id: Id) -> Option<Source> {
    let (origin, shape, element) = match &graph.node(id).op {
        Op::Input { slot, shape, element } => (Origin::Slot(*slot), shape, *element),
        Op::Parameter { offset, shape } => (Origin::Theta(*offset), shape, Element::Real),
        Op::Direction { offset, shape } => (Origin::Direction(*offset), shape, Element::Real),
        _ => return None,
    };
    Some(Source { name: format!("source{}", id.index()), origin, shape: shape.clone(), element })
}
