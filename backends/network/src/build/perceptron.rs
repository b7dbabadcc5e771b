//! Perceptrons written into a graph, and found in one.

use super::layers::{Layers, Start};
use crate::graph::Id;
use crate::graph::op::Op;
use crate::model::{Model, Network, OutputKind};
use crate::{Activation, Mlp};
use mountainpass_sdk::Error;

/// Writes the layers behind `x`; its logits.
pub(super) fn write(mlp: &Mlp, layers: &mut Layers, mut x: Id) -> Result<Id, Error> {
    let last = mlp.layers().len() - 1;
    for (i, layer) in mlp.layers().iter().enumerate() {
        let (inputs, outputs) = (layer.inputs, layer.outputs);
        let start = match i < last {
            true => Start::before(mlp.activation(), inputs, outputs),
            false => Start::xavier(inputs, outputs),
        };
        x = layers.linear(&format!("layers.{i}"), x, outputs, start)?;
        if i < last {
            x = layers.activation(mlp.activation(), x)?;
        }
    }
    Ok(x)
}

/// The perceptron that a model is, wherever it came from: its logits are those of the perceptron, theta and all. `None`
/// for any other model.
///
/// A graph holds equal nodes once, so that a perceptron written into the graph of the same perceptron ends in the node
/// that is there.
pub fn perceptron(model: &dyn Model) -> Result<Option<Mlp>, Error> {
    const SAMPLES: usize = 2;
    let ([feature], Some(widths)) = (model.features(), widths(model)) else { return Ok(None) };
    if feature.shape.iter().product::<usize>() as u64 != widths[0] {
        return Ok(None);
    }
    let Network { graph, output, kind: OutputKind::Logits, is_joint: false } = model.network(SAMPLES)? else {
        return Ok(None);
    };
    let is_input = |index: &usize| matches!(graph.nodes()[*index].op, Op::Input { slot: 0, .. });
    let Some(x) = (0..graph.nodes().len()).find(is_input).map(|index| graph.id(index)) else { return Ok(None) };
    for activation in Activation::ALL {
        let mlp = Mlp::new(&widths, activation)?;
        let mut layers = Layers::new(SAMPLES);
        layers.graph.clone_from(&graph);
        let x = layers.graph.reshape(x, vec![SAMPLES, mlp.inputs()])?;
        if write(&mlp, &mut layers, x)? == output {
            return Ok(Some(mlp));
        }
    }
    Ok(None)
}

/// The widths of a perceptron with these blocks of theta: weight, bias, weight, bias.
fn widths(model: &dyn Model) -> Option<Vec<u64>> {
    let mut widths: Vec<u64> = Vec::new();
    for pair in model.parameters().chunks(2) {
        let [weight, bias] = pair else { return None };
        let (&[outputs, inputs], &[biases]) = (&weight.shape[..], &bias.shape[..]) else { return None };
        if outputs != biases || widths.last().is_some_and(|width| *width != inputs) {
            return None;
        }
        if widths.is_empty() {
            widths.push(inputs);
        }
        widths.push(outputs);
    }
    Some(widths).filter(|widths| widths.len() >= 2)
}
