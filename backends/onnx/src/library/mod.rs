//! The file of ONNX Runtime: where it is looked for, and how it gets there.

mod install;
mod pinned;

pub use install::install;
pub use pinned::{Flavour, REPORTING, VERSION};

use std::path::{Path, PathBuf};

/// What a message says to whoever has no library.
pub const COMMAND: &str = "mpass onnxruntime install";

/// The name that the system's loader knows.
const SYSTEM: &str = "libonnxruntime.so";

/// Where the library of a flavour is put unless another folder is named: below the user's cache folder.
pub fn folder(flavour: Flavour) -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(cache.join("mountainpass").join(format!("{}-{VERSION}", flavour.package())))
}

/// The library in a folder that was installed into.
pub fn file(folder: &Path) -> PathBuf {
    folder.join(format!("{SYSTEM}.{VERSION}"))
}

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
