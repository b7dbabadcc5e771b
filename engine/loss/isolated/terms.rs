//! The terms on which a backend is isolated: what its processes may use, where the backend is, who hears of them.

#![forbid(unsafe_code)]

use crate::error::{Error, Result};
use crate::loss::host::Log;
use crate::loss::loader;
use crate::machine::memory;
use crate::run::Cancel;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What an isolated backend may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// The longest that one call may take; a backend that is still silent then is killed.
    pub call: Duration,
    /// The bytes that its process may have: its own, and what it shares with others than the engine.
    pub memory: u64,
}

impl Default for Limits {
    /// A minute a call, and the memory of the machine.
    fn default() -> Limits {
        Limits { call: Duration::from_secs(60), memory: memory::total() }
    }
}

/// How backends are isolated, and what came of it.
#[derive(Debug)]
pub struct Isolation {
    pub(super) server: PathBuf,
    pub(super) limits: Limits,
    pub(super) marked: AtomicU64,
}

impl Isolation {
    /// Backends run in `server`, which is this version's program `mpass`. Linux only.
    pub fn new(server: PathBuf, limits: Limits) -> Result<Isolation> {
        if !cfg!(target_os = "linux") {
            let text = "isolation needs Linux: memory files that are sealed, and futexes".to_owned();
            return Err(Error::Unsupported { backend: "this system".into(), text });
        }
        Ok(Isolation { server, limits, marked: AtomicU64::new(0) })
    }

    /// The program `mpass` that lies beside the engine's library or the program, if there is one.
    pub fn server() -> Option<PathBuf> {
        loader::server()
    }

    /// The rows that were marked so far, of all losses: values, metrics and starts.
    pub fn marked(&self) -> u64 {
        self.marked.load(Ordering::Relaxed)
    }
}

/// Where a server has its backend from.
#[derive(Clone, Debug)]
pub enum BackendSource {
    File(PathBuf),
    /// Linked into the server.
    Linked(String),
}

/// As messages call it before the backend has a name, or after.
impl fmt::Display for BackendSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BackendSource::File(path) => write!(f, "plugin {}", path.display()),
            BackendSource::Linked(name) => f.write_str(name),
        }
    }
}

impl BackendSource {
    /// The file, where it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            BackendSource::File(file) => Some(file),
            BackendSource::Linked(_) => None,
        }
    }
}

/// What every process of one backend is started with.
pub struct Terms<'a> {
    pub isolation: &'a Isolation,
    pub threads: usize,
    pub log: &'a Arc<Log>,
    pub cancel: &'a Cancel,
}
