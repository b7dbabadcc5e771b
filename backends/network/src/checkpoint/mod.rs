//! Checkpoints: parameters that were trained elsewhere, from a file to theta.
//!
//! A file holds vectors (an array of p or n x p numbers) or named tensors, whose places in theta are found by name
//! (`mapping.rs`). Reals of 16, 32 and 64 bits are widened to f64. Read are `.npy`, `.npz`, `.safetensors` and `.onnx`;
//! pickles are not, since reading one runs whatever is in it.

mod mapping;
mod model_file;
mod safetensors;
mod statistics;
mod substitute;
mod tensor;

pub use model_file::{ModelFile, freeze, is_frozen};
pub use safetensors::write as write_safetensors;
pub use statistics::agree;
pub use tensor::Tensor;

use crate::data::npz;
use mountainpass_sdk::npy::{self, Fault, Wide};
use mountainpass_sdk::{Error, Parameter, memory};
use std::fs::File;
use std::path::Path;

/// What a file holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Checkpoint {
    /// One array without a name.
    Array {
        /// One size per axis.
        shape: Vec<usize>,
        /// In C order.
        values: Vec<f64>,
    },
    /// Arrays with names.
    Tensors {
        /// In the order of the file.
        tensors: Vec<Tensor>,
    },
    /// The initializers of an ONNX file, where constants stand among them.
    Onnx(ModelFile),
}

impl Checkpoint {
    /// Reads a file, whose name says of which kind it is. Errors do not name it.
    pub fn read(path: &Path) -> Result<Checkpoint, Error> {
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        let failed = |error: std::io::Error| Error::not_found(error.to_string());
        match extension.as_str() {
            "npy" => {
                let file = File::open(path).map_err(failed)?;
                let length = memory::length(&file).map_err(failed)?;
                let Wide { shape, values, .. } = npy::widened(file, length).map_err(|fault| match fault {
                    Fault::Content(text) => Error::argument(text),
                    Fault::Source(error) => failed(error),
                })?;
                Ok(Checkpoint::Array { shape, values })
            }
            "npz" => {
                let arrays = npz::widened(path).map_err(Error::argument)?.into_iter();
                let tensor = |(name, Wide { shape, values, is_real })| Tensor { name, shape, values, is_real };
                Ok(Checkpoint::Tensors { tensors: arrays.map(tensor).collect() })
            }
            "safetensors" => {
                let bytes = memory::contents(path).map_err(failed)?;
                Ok(Checkpoint::Tensors { tensors: safetensors::parse(&bytes).map_err(Error::argument)? })
            }
            "onnx" => Ok(Checkpoint::Onnx(ModelFile::read(path)?)),
            "pt" | "pth" => Err(Error::unsupported(
                "a pickle of torch's, which is not read (it may run anything): write it as .safetensors with \
                 examples/torch/export.py",
            )),
            _ => Err(Error::unsupported("no kind of checkpoint: .safetensors, .npz, .npy and .onnx are read")),
        }
    }

    /// The vectors of theta that it holds, one or more, one after the other, and whether the file has an axis for them.
    /// A fault is the end of a sentence that began with the file.
    pub fn theta(
        self,
        parameters: &[Parameter],
        params: usize,
        model: Option<&ModelFile>,
    ) -> Result<(Vec<f64>, bool), String> {
        match self {
            Checkpoint::Array { shape, values } => vectors(&shape, values, params),
            Checkpoint::Tensors { mut tensors } if is_theta(&tensors, parameters) => {
                let Tensor { shape, values, .. } = tensors.remove(0);
                vectors(&shape, values, params)
            }
            Checkpoint::Tensors { tensors } => Ok((mapping::of_tensors(&tensors, parameters, params, model)?, false)),
            Checkpoint::Onnx(file) => Ok((mapping::of_file(&file.beside(model), parameters, params, model)?, false)),
        }
    }

    /// Its running statistics, under the names that checkpoints of the model have for them.
    pub fn statistics(&self, model: Option<&ModelFile>) -> Vec<Tensor> {
        match self {
            Checkpoint::Array { .. } => Vec::new(),
            Checkpoint::Onnx(file) => file.clone().beside(model).statistics(),
            Checkpoint::Tensors { tensors } => {
                let known = model.map(ModelFile::statistics).unwrap_or_default();
                let is_known = |tensor: &Tensor| known.iter().any(|known| known.name == tensor.name);
                let is = |tensor: &&Tensor| is_known(tensor) || statistics::is_statistic(&tensor.name);
                tensors.iter().filter(is).cloned().collect()
            }
        }
    }
}

/// Whether the only tensor is the whole of theta.
fn is_theta(tensors: &[Tensor], parameters: &[Parameter]) -> bool {
    tensors.len() == 1 && tensors[0].name == "theta" && parameters.iter().all(|block| block.name != "theta")
}

/// The numbers of an array that is a vector of p, or has one a row, and whether it has an axis for them. A fault is the end
/// of a sentence that began with the file.
pub fn vectors(shape: &[usize], values: Vec<f64>, p: usize) -> Result<(Vec<f64>, bool), String> {
    match shape {
        [length] if *length == p => Ok((values, false)),
        [n, length] if *length == p && *n > 0 => Ok((values, true)),
        _ => Err(format!("an array of shape {shape:?}; the loss has {p} parameters: wants ({p},) or (n, {p})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::npz::tests::npz as zipped;
    use mountainpass_sdk::npy::Array;

    fn folder() -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("mountainpass-checkpoint-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn archives_hold_tensors_or_the_whole_of_theta() {
        let block = |name: &str, shape: &[u64], offset| Parameter { name: name.into(), shape: shape.into(), offset };
        let blocks = [block("w", &[2, 1], 0), block("b", &[1], 2)];
        let array = |shape: &[usize], values: Vec<f32>| Array { shape: shape.to_vec(), values: values.into() };
        let named = [("b", array(&[1], vec![3.0])), ("w", array(&[2, 1], vec![1.0, 2.0]))];
        let whole = [("theta", array(&[2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))];
        let folder = folder();
        let read = |arrays: &[(&str, Array)]| {
            let path = folder.join("a.npz");
            std::fs::write(&path, zipped(arrays, true)).unwrap();
            Checkpoint::read(&path).unwrap().theta(&blocks, 3, None)
        };
        assert_eq!(read(&named), Ok((vec![1.0, 2.0, 3.0], false)));
        assert_eq!(read(&whole), Ok((vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], true)));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn an_onnx_checkpoint_is_no_export_of_a_model_with_other_statistics() {
        use crate::onnx::Alias;
        // Exporters rename initializers, and only the model's file may say what they were.
        let alias = Alias { initializer: "val_3".into(), name: "bn.running_mean".into(), transpose: None };
        let tensor =
            |name: &str, value: f64| Tensor { name: name.into(), shape: vec![1], values: vec![value], is_real: true };
        let file = |values: [f64; 2], aliases: &[Alias]| ModelFile {
            tensors: vec![tensor("val_3", values[0]), tensor("moving", values[1])],
            aliases: aliases.to_vec(),
            // By what takes it, whatever its name.
            normalising: ["moving".to_owned()].into(),
            ..ModelFile::default()
        };
        let model = file([0.0, 1.0], std::slice::from_ref(&alias));
        let of = |values, aliases: &[Alias]| Checkpoint::Onnx(file(values, aliases)).statistics(Some(&model));
        let agree = |values, aliases: &[Alias]| agree(&[of(values, aliases), model.statistics()]);
        assert_eq!(agree([0.0, 1.0], &[]), Ok(()));
        for aliases in [&[][..], std::slice::from_ref(&alias)] {
            assert!(agree([0.5, 1.0], aliases).unwrap_err().contains("(bn.running_mean)"));
            assert!(agree([0.0, 1.5], aliases).unwrap_err().contains("(moving)"));
        }
        // A state dict calls it by either name of the model's.
        let state = Checkpoint::Tensors { tensors: vec![tensor("moving", 2.0), tensor("w", 1.0)] };
        assert_eq!(state.statistics(Some(&model)), [tensor("moving", 2.0)]);
    }

    #[test]
    fn an_onnx_file_gives_back_the_theta_of_its_model() {
        use crate::model::Model;
        use crate::onnx::{OnnxModel, Options};
        for name in ["mlp-plain", "mlp-external", "cnn-plain", "decoder-plain"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}.onnx"));
            let model = OnnxModel::open(&path, &Options::default()).unwrap();
            let start = model.start(0).unwrap();
            let file = ModelFile::read(&path).unwrap();
            let theta = Checkpoint::read(&path).unwrap().theta(model.parameters(), start.len(), Some(&file));
            assert_eq!(theta, Ok((start, false)), "{name}");
        }
    }
}
