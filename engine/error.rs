//! The one error of the engine: what went wrong, in which object, and what to do about it.

#![forbid(unsafe_code)]

use mountainpass_sdk::abi::{Status, status};
use std::path::{Path, PathBuf};

/// The result of everything that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something failed. `Display` is one line for a person.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are named where the message is put together")]
pub enum Error {
    /// The caller asked for something that makes no sense.
    #[error("{0}")]
    Argument(String),
    /// A name nobody knows; `hint` names the nearest known one.
    #[error("unknown {what} {name:?}{hint}")]
    Unknown { what: &'static str, name: String, hint: String },
    /// A configuration that does not parse; `text` says where and why.
    #[error("{}: {text}", path.display())]
    Config { path: PathBuf, text: String },
    /// A backend answered with an error of its own.
    #[error("{backend}: {slot}: {text}")]
    Refused { backend: String, slot: &'static str, code: Status, text: String },
    /// A backend broke a promise of the contract.
    #[error("{backend}: {slot}: {text} (the backend breaks the contract)")]
    Backend { backend: String, slot: &'static str, text: String },
    /// The process of an isolated backend is gone, and with it the answer.
    #[error("{backend}: {slot}: {text}")]
    Lost { backend: String, slot: &'static str, text: String },
    /// A plugin file that cannot be used.
    #[error("plugin {}: {text}", path.display())]
    Plugin { path: PathBuf, code: Status, text: String },
    /// The loss cannot do what the algorithm needs.
    #[error("{backend}: {text}")]
    Unsupported { backend: String, text: String },
    /// No number came out where one was needed.
    #[error("{0}")]
    Numeric(String),
    /// The cancel token fired.
    #[error("cancelled")]
    Cancelled,
    /// The budget is spent.
    #[error("the budget of {0} is spent")]
    Budget(&'static str),
    /// A file or folder that cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// A landscape database that cannot be used.
    #[error("{}: {text}", path.display())]
    Store { path: PathBuf, text: String },
    /// A handle of the C interface that another call is using.
    #[error("this {0} is in use by another call: one thread at a time, and none from inside a callback")]
    Busy(&'static str),
    /// A handle of the C interface that a panic has left in an unknown state.
    #[error("this {0} failed inside the library before: only free it")]
    Poisoned(&'static str),
    /// Our own bug.
    #[error("internal error: {0}; please report it")]
    Internal(String),
}

impl Error {
    /// `what "name"` is unknown; the nearest of those known is named.
    pub fn unknown<'a>(what: &'static str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Error {
        let nearest = known.into_iter().min_by_key(|k| (strsim::damerau_levenshtein(k, name), *k));
        let hint = nearest.map_or(String::new(), |k| format!("; the nearest is {k:?}"));
        Error::Unknown { what, name: name.to_owned(), hint }
    }

    /// An error of the file system, with the path it happened at.
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Error {
        Error::Io { path: path.into(), source }
    }

    /// The same, with the configuration that said it in front, where that is what is wrong.
    pub fn of_file(self, path: &Path) -> Error {
        match self {
            Error::Argument(_) | Error::Unknown { .. } => {
                Error::Config { path: path.to_owned(), text: self.to_string() }
            }
            other => other,
        }
    }

    /// The status code that C callers see.
    pub fn code(&self) -> Status {
        match self {
            // A store that is there and cannot be used, or is there and must not be.
            Error::Argument(_) | Error::Unknown { .. } | Error::Config { .. } | Error::Store { .. } => status::ARGUMENT,
            Error::Refused { code, .. } | Error::Plugin { code, .. } => *code,
            Error::Backend { .. } | Error::Lost { .. } => status::BACKEND,
            Error::Unsupported { .. } => status::UNSUPPORTED,
            Error::Numeric(_) => status::NUMERIC,
            Error::Cancelled => status::CANCELLED,
            Error::Budget(_) => status::BUDGET,
            Error::Io { .. } => status::NOT_FOUND,
            Error::Busy(_) => status::BUSY,
            Error::Poisoned(_) => status::POISONED,
            Error::Internal(_) => status::INTERNAL,
        }
    }

    /// This error as one of usage: what went wrong is something the user named.
    pub fn into_usage(self) -> Error {
        if self.is_usage() { self } else { Error::Argument(self.to_string()) }
    }

    /// True for errors of usage (exit status 2), false for failures (exit status 1).
    pub fn is_usage(&self) -> bool {
        match self {
            Error::Argument(_) | Error::Unknown { .. } | Error::Config { .. } | Error::Plugin { .. } => true,
            // What a backend refuses at open is a wrong model, option or data set: the user's to mend.
            Error::Refused { slot, .. } => *slot == "open",
            Error::Unsupported { .. } => true,
            _ => false,
        }
    }

    /// True for the two ways a run ends early with everything found so far kept.
    pub fn is_stop(&self) -> bool {
        matches!(self, Error::Cancelled | Error::Budget(_))
    }
}
