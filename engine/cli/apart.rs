//! Files that are written must be no file that is read, and each its own: nobody means to lose one for the other.

use mountainpass::{Error, Result};
use std::path::{Path, PathBuf};

/// Refuses outputs that are inputs, or one another. What is no regular file (a pipe, /dev/null, `-`) holds nothing.
pub fn apart<'a>(
    inputs: impl IntoIterator<Item = &'a Path>,
    outputs: impl IntoIterator<Item = &'a Path>,
) -> Result<()> {
    let inputs: Vec<PathBuf> = inputs.into_iter().filter_map(|input| std::fs::canonicalize(input).ok()).collect();
    let mut taken: Vec<PathBuf> = Vec::new();
    for output in outputs {
        let Some(location) = location(output) else { continue };
        let whose = match (inputs.contains(&location), taken.contains(&location)) {
            (true, _) => "is read by this very command",
            (_, true) => "is to hold two results",
            _ => "",
        };
        if !whose.is_empty() {
            return Err(Error::Argument(format!("{}: {whose}: name another file", output.display())));
        }
        taken.push(location);
    }
    Ok(())
}

/// Where a file is, or is going to be.
fn location(path: &Path) -> Option<PathBuf> {
    match std::fs::metadata(path) {
        Ok(there) if !there.is_file() => None,
        Ok(_) => std::fs::canonicalize(path).ok(),
        Err(_) => {
            Some(std::fs::canonicalize(mountainpass::machine::durable::folder(path)).ok()?.join(path.file_name()?))
        }
    }
}
