//! What every reader of an ONNX file begins with, whether it wants the network or only its tensors.

use super::aliases::{self, Alias};
use super::apart::apart;
use super::messages::{GraphProto, OperatorSetIdProto, decode};
use super::tensors;
use bytes::Bytes;
use mountainpass_sdk::{Error, memory};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The messages of a file.
pub(crate) struct Contents {
    pub graph: GraphProto,
    /// The version of ONNX's own operators, where it is said.
    pub opset: Option<i64>,
    /// What initializers are called elsewhere.
    pub aliases: Vec<Alias>,
    /// Where external data is.
    pub folder: Option<PathBuf>,
}

impl Contents {
    /// Reads the bytes of a file.
    pub fn of(bytes: Bytes, folder: Option<&Path>) -> Result<Contents, Error> {
        affordable(bytes.len() as u64)?;
        let model = decode(bytes)?;
        let mut graph = model.graph.unwrap_or_default();
        apart(&mut graph)?;
        let aliases = aliases::read(&model.metadata_props, &graph)?;
        Ok(Contents { graph, opset: opset(&model.opset_import), aliases, folder: folder.map(Path::to_path_buf) })
    }
}

/// The bytes of a file, and the folder that its external data is looked for in.
pub(crate) fn bytes(path: &Path) -> Result<(Bytes, Option<&Path>), Error> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => Error::not_found("no such file"),
        _ => Error::argument(error.to_string()),
    };
    affordable(std::fs::metadata(path).map_err(failed)?.len())?;
    let folder = path.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    Ok((memory::contents(path).map_err(failed)?.into(), folder))
}

fn affordable(size: u64) -> Result<(), Error> {
    match size > tensors::BYTES_MAX {
        true => Err(Error::unsupported(format!("{size} bytes: ONNX files of more than 2 GB are not read"))),
        false => Ok(()),
    }
}

fn opset(imports: &[OperatorSetIdProto]) -> Option<i64> {
    imports.iter().find(|set| matches!(set.domain(), "" | "ai.onnx")).map(|set| set.version())
}
