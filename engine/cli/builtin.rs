//! The backends linked into the command: the only file that names a crate of `backends/`.

use mountainpass::loss::Registry;
use mountainpass::{Error, Result};
use std::sync::Arc;

/// A registry with every linked backend; what backends log goes to stderr.
pub fn registry() -> Result<Registry> {
    let registry = Registry::with_log(Arc::new(|level, text: &str| {
        if level <= mountainpass_sdk::abi::log::WARN {
            eprintln!("{text}");
        }
    }));
    #[cfg(feature = "faer")]
    registry.register::<mountainpass_faer::Faer>()?;
    #[cfg(feature = "surfaces")]
    registry.register::<mountainpass_surfaces::Surfaces>()?;
    Ok(registry)
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
