//! Files of arrays: [`mountainpass_sdk::npy`], which backends read too, with the engine's errors.

#![forbid(unsafe_code)]

use crate::error::{Error, Result};
use std::path::Path;

pub use mountainpass_sdk::npy::{Array, Values, bytes, parse};

/// Reads a .npy file.
pub fn read(path: &Path) -> Result<Array> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e).into_usage())?;
    parse(&bytes).map_err(|text| Error::Config { path: path.to_owned(), text })
}
