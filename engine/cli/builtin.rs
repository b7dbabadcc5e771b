//! The backends linked into the command: the only file that names one. (`model.rs` names the crate of networks, to write them.)

use mountainpass::loss::{Log, Registry};
use mountainpass::{Error, Result};
use std::path::PathBuf;
use std::sync::Arc;

/// Readers of checkpoints, and of the files of models that they go with.
pub use mountainpass_network::{checkpoint, onnx};
/// Where the library of a backend that is a file is, and how it gets there.
pub use mountainpass_onnx::library;

/// Warnings of backends, on stderr.
pub fn warnings() -> Arc<Log> {
    Arc::new(|level, text: &str| {
        if level <= mountainpass_sdk::abi::log::WARN {
            tell!("{text}");
        }
    })
}

/// Adds the backends of `files`, whose names are returned, and every linked one. A file comes before a linked backend of
/// the same name: whoever names a file means it.
pub fn fill(registry: Registry, files: &[PathBuf]) -> Result<(Registry, Vec<String>)> {
    let loaded = files.iter().map(|file| registry.load(file)).collect::<Result<Vec<String>>>()?;
    #[cfg(feature = "faer")]
    link::<mountainpass_faer::Faer>(&registry, &loaded)?;
    #[cfg(feature = "surfaces")]
    link::<mountainpass_surfaces::Surfaces>(&registry, &loaded)?;
    Ok((registry, loaded))
}

#[cfg(any(feature = "faer", feature = "surfaces"))]
fn link<B: mountainpass_sdk::Backend>(registry: &Registry, loaded: &[String]) -> Result<()> {
    let taken = loaded.iter().any(|name| name.as_bytes() == B::NAME.to_bytes());
    if taken { Ok(()) } else { registry.register::<B>() }
}

/// The index of a device by its name; `None` is the first.
pub fn device(registry: &Registry, backend: &str, name: Option<&str>) -> Result<u32> {
    let Some(name) = name else { return Ok(0) };
    let devices = registry.devices(backend)?;
    match devices.iter().position(|device| device.name == name) {
        Some(index) => Ok(index as u32),
        None => Err(Error::unknown("device", name, devices.iter().map(|device| device.name.as_str()))),
    }
}
