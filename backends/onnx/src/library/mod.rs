//! The file of ONNX Runtime: where it is looked for, and how it gets there.

mod install;
mod pinned;
mod place;

pub use install::install;
pub use pinned::{Flavour, REPORTING, VERSION};
pub use place::{file, folder};

use place::SYSTEM;
use std::path::PathBuf;

/// What a message says to whoever has no library.
pub const COMMAND: &str = "mpass onnxruntime install";

/// What to load: the file that was asked for, that of ORT_DYLIB_PATH, an installed one (for the CPU either flavour will
/// do), or whatever the system finds under the name.
pub fn find(asked: Option<&str>, is_gpu: bool) -> PathBuf {
    if let Some(path) = asked {
        return path.into();
    }
    if let Some(path) = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        return path.into();
    }
    let flavours = if is_gpu { &[Flavour::Gpu][..] } else { &[Flavour::Cpu, Flavour::Gpu] };
    let installed = flavours.iter().filter_map(|flavour| Some(file(&folder(*flavour)?)));
    installed.into_iter().find(|file| file.exists()).unwrap_or_else(|| SYSTEM.into())
}

/// The command that installs what is missing.
pub fn command(is_gpu: bool) -> String {
    if is_gpu { format!("{COMMAND} --gpu") } else { COMMAND.into() }
}
