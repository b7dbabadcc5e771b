//! The messages around the nodes: inputs and outputs with their axes, and the file.

use super::super::messages::{
    DimensionProto, GraphProto, ModelProto, OperatorSetIdProto, TensorShapeProto, TensorTypeProto, TypeProto,
    ValueInfoProto, data_type,
};
use super::pair::{AxisSize, BATCH};
use super::precision::Precision;
use crate::graph::op::Element;

/// The first version with Gelu; ONNX 1.15 of 2023.
const OPSET: i64 = 20;
/// The version of the messages that came with it.
const IR: i64 = 9;

/// A graph as the bytes of a file.
pub(super) fn encoded(graph: GraphProto) -> Vec<u8> {
    let file = ModelProto {
        ir_version: Some(IR),
        opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(OPSET) }],
        producer_name: Some("mountainpass".into()),
        producer_version: Some(env!("CARGO_PKG_VERSION").into()),
        graph: Some(graph),
        ..ModelProto::default()
    };
    prost::Message::encode_to_vec(&file)
}

/// What a file says of an input or an output.
pub(super) fn info(name: &str, axes: Vec<AxisSize>, element: Element, precision: Precision) -> ValueInfoProto {
    let dimension = |axis: AxisSize| DimensionProto {
        dim_value: if let AxisSize::Fixed(size) = axis { Some(size as i64) } else { None },
        dim_param: (axis == AxisSize::Batch).then(|| BATCH.to_owned()),
    };
    let of = if element == Element::Real { precision.data_type() } else { data_type::INT64 };
    let shape = TensorShapeProto { dim: axes.into_iter().map(dimension).collect() };
    let tensor = TensorTypeProto { elem_type: Some(of), shape: Some(shape) };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto { tensor_type: Some(tensor) }),
        ..ValueInfoProto::default()
    }
}
