//! A model as an ONNX file: its graph with standard operators, its parameters as initializers, in order, by name.
//!
//! The initializers are the parameters and nothing else (constants are nodes), in the layout of theta: whatever ONNX
//! wants another way round is transposed by a node. A graph is made for one batch size at a time, so that two of them are
//! compared, node by node: an axis that differs is the batch's, and anything else that differs is refused.

mod columns;
mod message;
mod nodes;
mod operators;
mod pair;
mod permuted;
mod pools;
mod precision;
mod program;
mod sized;

pub use precision::Precision;
pub use program::{Origin, Program, Source};

use super::messages::{GraphProto, TensorProto};
use super::tensors::BYTES_MAX;
use crate::model::{Model, OutputKind};
use message::{encoded, info};
use mountainpass_sdk::{Error, Parameter, memory};
use operators::Writer;
use pair::{AxisSize, Pair, TRIALS};

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
    let pair = Pair { small: &a, large: &b };
    let mut writer = Writer::new(pair, model, precision);
    writer.all(&outputs[..1])?;
    let output = match small.kind {
        OutputKind::Logits => "logits",
        OutputKind::Probabilities => "probabilities",
        OutputKind::Loss => "loss",
    };
    let last = info(output, pair.axes(outputs[0]), a.element(outputs[0]), precision);
    let initializer = model.parameters().iter().map(|p| tensor(p, theta, precision)).collect();
    let input = model.features().iter().map(|feature| {
        let rest = feature.shape.iter().map(|size| AxisSize::Fixed(*size));
        info(&feature.name, std::iter::once(AxisSize::Batch).chain(rest).collect(), feature.element, precision)
    });
    let input = input.collect();
    let name = writer.value(outputs[0])?;
    let graph = GraphProto {
        node: writer.nodes.finished(&name, output),
        name: Some("mountainpass".into()),
        initializer,
        input,
        output: vec![last],
        ..GraphProto::default()
    };
    Ok(encoded(graph))
}

/// A parameter with its numbers in theta.
pub fn tensor(parameter: &Parameter, theta: &[f64], precision: Precision) -> TensorProto {
    let (start, count) = (parameter.offset as usize, parameter.shape.iter().product::<u64>() as usize);
    TensorProto {
        dims: parameter.shape.iter().map(|d| *d as i64).collect(),
        data_type: Some(precision.data_type()),
        name: Some(parameter.name.clone()),
        raw_data: Some(precision.bytes(&theta[start..start + count]).into()),
        ..TensorProto::default()
    }
}
