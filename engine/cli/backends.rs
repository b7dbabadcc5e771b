//! `mpass backends`: what is there.

use super::output::print;
use super::{builtin, serve};
use mountainpass::Result;
use mountainpass::loss::{Declared, Kind, Limits, Registry};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// The longest that a plugin may take to load, or to list its devices.
const PATIENCE: Duration = Duration::from_secs(20);

/// Lists every backend with its version and devices, or every option of one, one line each. Where the system can, files
/// are loaded in processes of their own: whoever looks at a plugin does not trust it yet.
pub fn list(load: &[PathBuf], options_of: Option<&str>) -> Result<ExitCode> {
    let mut registry = Registry::with_log(builtin::warnings());
    if !load.is_empty() && cfg!(target_os = "linux") {
        registry = registry.isolated(serve::isolation(Limits { call: PATIENCE, ..Limits::default() })?);
    }
    let (registry, _) = builtin::fill(registry, load)?;
    print(&match options_of {
        None => backends(&registry)?,
        Some(name) => match registry.options(name)? {
            none if none.is_empty() => format!("{name} declares no options\n"),
            options => table(&options),
        },
    })?;
    Ok(ExitCode::SUCCESS)
}

fn backends(registry: &Registry) -> Result<String> {
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
    Ok(text)
}

/// Name, kind, default and sentence in columns; behind the sentence the words of a choice.
fn table(options: &[Declared]) -> String {
    let row = |option: &Declared| {
        let words = match option.words.join(", ") {
            none if none.is_empty() => none,
            words if option.kind == Kind::Path => format!(" (no path: {words})"),
            words => format!(" ({words})"),
        };
        let default = option.default.clone().filter(|default| !default.is_empty());
        let about = format!("{}{words}", option.about);
        [option.name.clone(), kind(option.kind).to_owned(), default.unwrap_or_else(|| "-".into()), about]
    };
    let rows: Vec<[String; 4]> = options.iter().map(row).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (first, second, third) = (width(0), width(1), width(2));
    let line = |[name, kind, default, about]: &[String; 4]| {
        format!("{name:<first$}  {kind:<second$}  {default:<third$}  {about}\n")
    };
    rows.iter().map(line).collect()
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Integer => "integer",
        Kind::Number => "number",
        Kind::Boolean => "boolean",
        Kind::Path => "path",
        Kind::List => "list",
    }
}
