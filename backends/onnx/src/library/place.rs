//! The names of files and folders.

use super::pinned::{Flavour, VERSION};
use std::path::{Path, PathBuf};

/// The name that the system's loader knows.
pub(super) const SYSTEM: &str = "libonnxruntime.so";

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
