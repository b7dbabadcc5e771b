//! `mpass backends`: what is there.

use super::output::print;
use super::{builtin, serve};
use mountainpass::Result;
use mountainpass::loss::{Limits, Registry};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// The longest that a plugin may take to load, or to list its devices.
const PATIENCE: Duration = Duration::from_secs(20);

/// Lists every backend with its version and devices, one line each. Where the system can, files are loaded in processes
/// of their own: whoever looks at a plugin does not trust it yet.
pub fn list(load: &[PathBuf]) -> Result<ExitCode> {
    let mut registry = Registry::with_log(builtin::warnings());
    if !load.is_empty() && cfg!(target_os = "linux") {
        registry = registry.isolated(serve::isolation(Limits { call: PATIENCE, ..Limits::default() })?);
    }
    let (registry, _) = builtin::fill(registry, load)?;
    let mut text = String::new();
    for name in registry.names() {
        let devices: Vec<String> = registry
            .devices(&name)?
            .into_iter()
            .map(|device| match device.memory_bytes {
                0 => device.name,
                bytes => format!("{} ({:.1} GiB)", device.name, bytes as f64 / f64::from(1 << 30)),
            })
            .collect();
        let devices = if devices.is_empty() { "no devices".to_owned() } else { devices.join(", ") };
        text += &format!("{name:<12} {:<10} {devices}\n", registry.version(&name)?);
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}
