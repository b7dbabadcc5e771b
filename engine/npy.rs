//! Files of arrays: [`mountainpass_sdk::npy`], which backends read too, with the engine's errors.

#![forbid(unsafe_code)]

use crate::error::{Error, Result};
use crate::machine::memory;
use mountainpass_sdk::npy::{self, Fault};
use std::fs::File;
use std::path::Path;

pub use mountainpass_sdk::npy::{Array, Stream, Values, Wide, bytes, parse, write, write_reals, write_start};

/// Reads a .npy file.
pub fn read(path: &Path) -> Result<Array> {
    opened(path, npy::read)
}

/// Reads a .npy file, its elements as f64.
pub fn widened(path: &Path) -> Result<Wide> {
    opened(path, npy::widened)
}

/// Begins a .npy file that is read piece by piece.
pub fn stream(path: &Path) -> Result<Stream<File>> {
    opened(path, Stream::new)
}

/// The next elements of a file that was begun.
pub fn fill(stream: &mut Stream<File>, path: &Path, out: &mut [f64]) -> Result<()> {
    stream.fill(out).map_err(|fault| faulty(path, fault))
}

fn opened<A>(path: &Path, read: fn(File, Option<u64>) -> std::result::Result<A, Fault>) -> Result<A> {
    let failed = |error| Error::io(path, error).into_usage();
    let file = File::open(path).map_err(failed)?;
    let length = memory::length(&file).map_err(failed)?;
    read(file, length).map_err(|fault| faulty(path, fault))
}

fn faulty(path: &Path, fault: Fault) -> Error {
    match fault {
        Fault::Content(text) => Error::Config { path: path.to_owned(), text },
        Fault::Source(error) => Error::io(path, error).into_usage(),
    }
}
