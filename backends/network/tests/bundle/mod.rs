//! Files of many small models, each an operator with its arguments as initializers and what it should give.
//!
//! `fixtures/make.py` writes them: `message Bundle { repeated ModelProto models = 1; }`, compressed.

#![allow(dead_code, reason = "each test file uses a part")]

use mountainpass_network::graph::op::Element;
use mountainpass_network::graph::op::Values;
use mountainpass_network::model::Model;
use mountainpass_network::model::OutputKind;
use mountainpass_network::onnx::messages::{ModelProto, TensorProto, data_type};
use mountainpass_network::onnx::{OnnxModel, Options};
use mountainpass_sdk::Error;
use prost::Message;
use std::io::Read;
use std::path::Path;

#[derive(Clone, PartialEq, Message)]
struct Bundle {
    #[prost(message, repeated, tag = "1")]
    models: Vec<ModelProto>,
}

/// All models.
pub fn models() -> impl Iterator<Item = ModelProto> {
    ["operators.gz", "recurrent.gz", "settings.gz", "fused.gz"].into_iter().flat_map(file)
}

/// The models of one file.
pub fn file(name: &str) -> Vec<ModelProto> {
    let packed =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../network/tests/fixtures").join(name)).unwrap();
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
    Bundle::decode(&bytes[..]).unwrap().models
}

/// The name of a case and its outputs: of the onnx package's the first, which is what networks use, but for splits.
pub fn outputs(model: &ModelProto) -> Vec<String> {
    let graph = model.graph.as_ref().unwrap();
    let is_whole = !graph.name().starts_with("test_") || graph.name().starts_with("test_split");
    graph.output.iter().take(if is_whole { 9 } else { 1 }).map(|o| o.name().to_owned()).collect()
}

/// A model that computes one of the outputs.
pub fn open(model: &ModelProto, output: &str) -> Result<OnnxModel, Error> {
    let output_kind = Some(OutputKind::Loss);
    let options = Options { output: Some(output.to_owned()), output_kind, ..Options::default() };
    OnnxModel::read(model.encode_to_vec().into(), None, &options)
}

/// The samples that stand in a file for its inputs, and how many there are.
pub fn inputs(proto: &ModelProto, model: &OnnxModel) -> (usize, Vec<Values>) {
    let mut n = 1;
    let stored = &proto.graph.as_ref().unwrap().initializer;
    let value = |feature: &mountainpass_network::model::Feature| {
        let of = format!("input/{}", feature.name);
        let (shape, all) = numbers(stored.iter().find(|t| t.name() == of).unwrap());
        n = shape[0];
        match feature.element {
            Element::Real => Values::Real(all),
            Element::Index => Values::Index(all.iter().map(|x| *x as i64).collect()),
        }
    };
    let values = model.features().iter().map(value).collect();
    (n, values)
}

/// Shape and numbers of a tensor as numpy writes them.
pub fn numbers(tensor: &TensorProto) -> (Vec<usize>, Vec<f64>) {
    let raw = tensor.raw_data.clone().unwrap_or_default();
    let all = match tensor.data_type() {
        data_type::FLOAT => raw.as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect(),
        data_type::DOUBLE => raw.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
        data_type::INT64 => raw.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as f64).collect(),
        data_type::INT32 => raw.as_chunks().0.iter().map(|b| f64::from(i32::from_le_bytes(*b))).collect(),
        _ => raw.iter().map(|b| f64::from(*b)).collect(),
    };
    (tensor.dims.iter().map(|d| *d as usize).collect(), all)
}

/// The numbers of an array of reals.
pub fn reals(values: &Values) -> &[f64] {
    match values {
        Values::Real(values) => values,
        Values::Index(_) => panic!("indices"),
    }
}
