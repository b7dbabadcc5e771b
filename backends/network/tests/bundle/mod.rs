//! Files of many small models, each an operator with its arguments as initializers and what it should give.
//!
//! `fixtures/make.py` writes them: `message Bundle { repeated ModelProto models = 1; }`, compressed.

#![allow(dead_code, reason = "each test file uses a part")]

use mountainpass_network::graph::op::Values;
use mountainpass_network::model::OutputKind;
use mountainpass_network::onnx::messages::ModelProto;
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
    ["operators.gz", "recurrent.gz", "settings.gz"].into_iter().flat_map(file)
}

/// The models of one file.
pub fn file(name: &str) -> Vec<ModelProto> {
    let packed = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap();
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

/// The numbers of an array of reals.
pub fn reals(values: &Values) -> &[f64] {
    match values {
        Values::Real(values) => values,
        Values::Index(_) => panic!("indices"),
    }
}
