//! Where a server has its backend from, and how it gets as far as an open loss: each step is tried in a fresh process
//! where the first is lost.

#![forbid(unsafe_code)]

use super::Isolation;
use super::message::{self, Loaded, Op, Told};
use super::served::{Asked, Served, Trouble, insist};
use crate::error::{Error, Result};
use crate::loss::{Declared, Device, Log};
use crate::run::Cancel;
use mountainpass_sdk::abi::{log, status};
use serde::de::DeserializeOwned;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a server has its backend from.
#[derive(Clone, Debug)]
pub enum Source {
    File(PathBuf),
    /// Linked into the server.
    Linked(String),
}

/// As messages call it before the backend has a name, or after.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => write!(f, "plugin {}", path.display()),
            Source::Linked(name) => f.write_str(name),
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

impl Source {
    /// The file, where it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Source::File(file) => Some(file),
            Source::Linked(_) => None,
        }
    }

    /// Loads the backend in a process of its own: name and version.
    pub fn load(&self, isolation: &Isolation, log: &Arc<Log>) -> Result<(String, String)> {
        let terms = Terms { isolation, threads: 1, log, cancel: &Cancel::default() };
        let (_, Loaded { backend, version }) = self.served(&terms)?;
        Ok((backend, version))
    }

    /// The devices of the backend.
    pub fn devices(&self, isolation: &Isolation, log: &Arc<Log>) -> Result<Vec<Device>> {
        let device = |(name, memory, memory_bytes)| Some(Device { name, memory, memory_bytes });
        self.told(Op::Devices, isolation, log, device)
    }

    /// The options that the backend declares.
    pub fn options(&self, isolation: &Isolation, log: &Arc<Log>) -> Result<Vec<Declared>> {
        self.told(Op::Options, isolation, log, message::declared)
    }

    /// What the backend lists before it has opened a loss.
    fn told<T: DeserializeOwned, U>(
        &self,
        op: Op,
        isolation: &Isolation,
        log: &Arc<Log>,
        read: impl Fn(T) -> Option<U>,
    ) -> Result<Vec<U>> {
        let terms = Terms { isolation, threads: 1, log, cancel: &Cancel::default() };
        self.insist(op.slot(), &terms, || {
            let (mut served, _) = self.served(&terms)?;
            let answer = served.ask(op, &[], &[], terms.cancel)?;
            let told: Vec<T> = served.read(answer)?;
            told.into_iter().map(&read).collect::<Option<_>>().ok_or_else(|| served.scribbled())
        })
    }

    /// Opens a loss in a process of its own, by a packed request.
    pub fn open(&self, terms: &Terms<'_>, request: &[u64]) -> Result<(Served, Told)> {
        self.insist("open", terms, || {
            let (mut served, _) = self.served(terms)?;
            let answer = served.ask(Op::Open, &[], &[request], terms.cancel)?;
            let told = served.read(answer)?;
            Ok((served, told))
        })
    }

    /// A process that has loaded the backend.
    fn served(&self, terms: &Terms<'_>) -> Result<(Served, Loaded)> {
        self.insist("load", terms, || Served::start(self, terms))
    }

    fn insist<T>(&self, slot: &'static str, terms: &Terms<'_>, call: impl FnMut() -> Asked<T>) -> Result<T> {
        let Terms { isolation: Isolation { limits, .. }, log, .. } = terms;
        let tell = |how: &str| log(log::WARN, &format!("{self}: {slot}: {how}"));
        insist(*limits, call, tell).map_err(|trouble| match (trouble, self) {
            (Trouble::Failed(error), _) => error,
            (Trouble::Lost(how), Source::File(path)) => {
                Error::Plugin { path: path.clone(), code: status::BACKEND, text: format!("{slot}: {how}") }
            }
            (Trouble::Lost(text), Source::Linked(name)) => Error::Lost { backend: name.clone(), slot, text },
        })
    }
}
