//! Why a file gives no array.

use crate::memory::Shortage;
use std::fmt;
use std::io;

/// Why there is no array.
#[derive(Debug)]
pub enum Fault {
    /// What is wrong with the file, as the end of a sentence.
    Content(String),
    /// The file could not be read.
    Source(io::Error),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Content(text) => f.write_str(text),
            Fault::Source(error) => write!(f, "cannot be read: {error}"),
        }
    }
}

impl From<String> for Fault {
    fn from(text: String) -> Fault {
        Fault::Content(text)
    }
}

impl From<&str> for Fault {
    fn from(text: &str) -> Fault {
        Fault::Content(text.into())
    }
}

impl From<Shortage> for Fault {
    fn from(shortage: Shortage) -> Fault {
        Fault::Content(shortage.into())
    }
}
