//! `mpass backends`: what is there.

use super::{builtin, print};
use mountainpass::Result;
use mountainpass::loss::Registry;
use std::path::PathBuf;
use std::process::ExitCode;

/// Lists every backend with its version and devices, one line each.
pub fn list(load: &[PathBuf]) -> Result<ExitCode> {
    let (registry, _) = builtin::fill(Registry::with_log(builtin::warnings()), load)?;
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
