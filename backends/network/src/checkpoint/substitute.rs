//! A model's file with other numbers in it: the running statistics of a checkpoint, so that it is the network as it was
//! evaluated where it was trained, or the parameters of a minimum.
//!
//! Numbers that lie in another file beside the model's come along, so that the bytes are the whole of it.

use super::model_file::ModelFile;
use super::tensor::Tensor;
use crate::onnx::messages::{GraphProto, ModelProto, TensorProto, data_type, decode};
use crate::onnx::{self, Precision};
use mountainpass_sdk::{Error, Parameter, memory};
use prost::Message;
use std::path::Path;

impl ModelFile {
    /// The bytes of the file at `path`, which this is, with the running statistics among `tensors` for its own, out of
    /// training; `None` where it has none, or they have not each of them. A fault is the end of a sentence that began with
    /// the file.
    pub fn with_statistics(&self, path: &Path, tensors: &[Tensor]) -> Result<Option<Vec<u8>>, Error> {
        let given = |own: &Tensor| {
            let called = self.called(&own.name);
            tensors.iter().find(|tensor| tensor.name == called && tensor.shape == own.shape)
        };
        let statistics = self.tensors.iter().filter(|tensor| tensor.is_real && self.is_statistic(tensor));
        let pairs: Option<Vec<(&str, &Tensor)>> =
            statistics.map(|own| Some((own.name.as_str(), given(own)?))).collect();
        let Some(pairs) = pairs.filter(|pairs| !pairs.is_empty()) else { return Ok(None) };

        let new = |message: &TensorProto| {
            let pair = pairs.iter().find(|(name, _)| *name == message.name());
            Ok(pair.map(|(_, tensor)| written(tensor, message)))
        };
        let mut model = self.with(path, new)?;
        model.graph.iter_mut().for_each(out_of_training);
        Ok(Some(model.encode_to_vec()))
    }

    /// The bytes of the file at `path`, which this is, with `theta` for its parameters, each as it holds reals.
    pub fn with_parameters(&self, path: &Path, parameters: &[Parameter], theta: &[f64]) -> Result<Vec<u8>, Error> {
        let is_there = |block: &Parameter| self.tensors.iter().any(|tensor| tensor.name == block.name);
        if let Some(block) = parameters.iter().find(|block| !is_there(block)) {
            return Err(Error::unsupported(format!("{}: no initializer of this name is there to be set", block.name)));
        }
        let new = |message: &TensorProto| {
            let Some(block) = parameters.iter().find(|block| block.name == message.name()) else { return Ok(None) };
            let precision = match message.data_type() {
                data_type::FLOAT => Precision::Single,
                data_type::DOUBLE => Precision::Double,
                _ => {
                    let text = format!("{}: neither float nor double, and theta would lose too much", block.name);
                    return Err(Error::unsupported(text));
                }
            };
            Ok(Some(onnx::tensor(block, theta, precision)))
        };
        Ok(self.with(path, new)?.encode_to_vec())
    }

    /// The file at `path` with new messages for some of its tensors.
    fn with(
        &self,
        path: &Path,
        new: impl Fn(&TensorProto) -> Result<Option<TensorProto>, Error>,
    ) -> Result<ModelProto, Error> {
        let bytes = memory::contents(path).map_err(|error| Error::not_found(error.to_string()))?;
        let mut model = decode(bytes.into())?;
        for message in model.graph.iter_mut().flat_map(|graph| &mut graph.initializer) {
            let elsewhere = || self.tensors.iter().find(|tensor| tensor.name == message.name());
            let is_elsewhere = message.data_location() != 0;
            let moved = || elsewhere().filter(|_| is_elsewhere).map(|tensor| written(tensor, message));
            if let Some(new) = new(message)?.or_else(moved) {
                *message = new;
            }
        }
        Ok(model)
    }
}

/// Batch normalisations by the statistics they hold; what training gave beside is no result any more.
fn out_of_training(graph: &mut GraphProto) {
    let mut dropped = Vec::new();
    for node in graph.node.iter_mut().filter(|node| node.op_type() == "BatchNormalization") {
        node.attribute.retain(|attribute| attribute.name() != "training_mode");
        dropped.extend(node.output.drain(1.min(node.output.len())..));
    }
    graph.output.retain(|output| !dropped.iter().any(|name| name == output.name()));
}

/// A tensor's numbers in the place of a message's, in the widest type of their kind: none is rounded.
fn written(tensor: &Tensor, message: &TensorProto) -> TensorProto {
    let values = tensor.values.iter();
    let (data_type, raw): (i32, Vec<u8>) = match message.data_type() {
        data_type::BOOL => (data_type::BOOL, values.map(|x| u8::from(*x != 0.0)).collect()),
        _ if tensor.is_real => (data_type::DOUBLE, values.flat_map(|x| x.to_le_bytes()).collect()),
        _ => (data_type::INT64, values.flat_map(|x| (*x as i64).to_le_bytes()).collect()),
    };
    TensorProto {
        dims: message.dims.clone(),
        data_type: Some(data_type),
        name: message.name.clone(),
        raw_data: Some(raw.into()),
        ..TensorProto::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use crate::onnx::messages::StringStringEntryProto;
    use crate::onnx::{OnnxModel, Options};

    fn fixture(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
    }

    /// What a checkpoint calls the statistics of a file, twice as large.
    fn doubled(file: &ModelFile) -> Vec<Tensor> {
        let twice = |tensor: Tensor| Tensor { values: tensor.values.iter().map(|x| 2.0 * x).collect(), ..tensor };
        file.statistics().into_iter().map(twice).collect()
    }

    #[test]
    fn a_file_takes_statistics_by_their_name_and_keeps_all_else() {
        for name in ["cnn-plain.onnx", "export/model.onnx"] {
            let path = fixture(name);
            let file = ModelFile::read(&path).unwrap();
            let new = doubled(&file);
            assert!(new.iter().filter(|tensor| tensor.is_real).count() >= 2, "{name}");
            let bytes = file.with_statistics(&path, &new).unwrap().unwrap();
            let was = OnnxModel::open(&path, &Options::default()).unwrap();
            let is = OnnxModel::read(bytes.clone().into(), None, &Options::default()).unwrap();
            assert_eq!((was.parameters(), was.start(0)), (is.parameters(), is.start(0)));
            let after = ModelFile::of(bytes.into(), None).unwrap();
            assert_eq!(after.tensors.len(), file.tensors.len());
            for (before, after) in file.tensors.iter().zip(&after.tensors) {
                let alias = file.aliases.iter().find(|alias| alias.initializer == before.name);
                let called = alias.map_or(&before.name, |alias| &alias.name);
                match new.iter().find(|new| new.name == *called && new.is_real) {
                    Some(new) => assert_eq!(after.values, new.values, "{name}: {called}"),
                    None => assert_eq!(after, before, "{name}: {called}"),
                }
            }
        }
    }

    #[test]
    fn nothing_is_made_of_a_part_of_the_statistics_or_of_none() {
        let path = fixture("export/model.onnx");
        let file = ModelFile::read(&path).unwrap();
        let mut new = doubled(&file);
        new.retain(|tensor| tensor.name.ends_with("running_mean"));
        assert_eq!(file.with_statistics(&path, &new), Ok(None));
        let path = fixture("mlp-plain.onnx");
        assert_eq!(ModelFile::read(&path).unwrap().with_statistics(&path, &new), Ok(None));
    }

    #[test]
    fn numbers_beside_the_file_come_along() {
        let whole = fixture("export/model.onnx");
        let mut model = ModelProto::decode(&*std::fs::read(&whole).unwrap()).unwrap();
        let folder = std::env::temp_dir().join(format!("mountainpass-substitute-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut beside = Vec::new();
        for tensor in &mut model.graph.as_mut().unwrap().initializer {
            let Some(raw) = tensor.raw_data.take() else { continue };
            let entry = |key: &str, value: String| StringStringEntryProto { key: Some(key.into()), value: Some(value) };
            tensor.external_data = vec![entry("location", "numbers".into()), entry("offset", beside.len().to_string())];
            tensor.data_location = Some(1);
            beside.extend(raw);
        }
        assert!(!beside.is_empty());
        std::fs::write(folder.join("numbers"), beside).unwrap();
        let path = folder.join("model.onnx");
        std::fs::write(&path, model.encode_to_vec()).unwrap();
        let file = ModelFile::read(&path).unwrap();
        let bytes = file.with_statistics(&path, &doubled(&file)).unwrap().unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let model = OnnxModel::read(bytes.into(), None, &Options::default()).unwrap();
        assert_eq!(model.start(0), OnnxModel::open(&whole, &Options::default()).unwrap().start(0));
    }
}
