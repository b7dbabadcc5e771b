//! All arrays of an ONNX file by name, parameters or not, and what checkpoints call them: the file as a checkpoint.

use super::aliases::{self, Alias};
use super::messages::decode;
use super::tensors::{self, Kind};
use crate::checkpoint::Tensor;
use mountainpass_sdk::{Error, memory};
use std::path::Path;

/// Reads the initializers of a file, in its order, and their aliases; external data is looked for in the same folder.
pub fn initializers(path: &Path) -> Result<(Vec<Tensor>, Vec<Alias>), Error> {
    let failed = |error: std::io::Error| Error::not_found(error.to_string());
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > tensors::BYTES_MAX {
        return Err(Error::unsupported(format!("{size} bytes: ONNX files of more than 2 GB are not read")));
    }
    let graph = decode(memory::contents(path).map_err(failed)?.into())?;
    let (graph, metadata) = (graph.graph.unwrap_or_default(), graph.metadata_props);
    let aliases = aliases::read(&metadata, &graph)?;
    let folder = path.parent().map(|p| if p.as_os_str().is_empty() { Path::new(".") } else { p });
    let numeric = graph.initializer.iter().filter(|tensor| tensors::kind(tensor.data_type()).is_some());
    let tensors = numeric.map(|tensor| {
        let read = tensors::read(tensor, folder)?;
        let (name, is_real) = (tensor.name().to_owned(), read.kind == Kind::Real);
        Ok(Tensor { name, shape: read.shape.clone(), values: read.into_reals()?, is_real })
    });
    Ok((tensors.collect::<Result<Vec<Tensor>, Error>>()?, aliases))
}
