//! How a server gets as far as an open loss: each step is tried in a fresh process where the first is lost.

#![forbid(unsafe_code)]

use super::message::Call;
use super::served::{Asked, Served, Trouble, insist};
use super::terms::{BackendSource, Isolation, Terms};
use super::told::{self, Loaded, ToldInfo};
use crate::error::{Error, Result};
use crate::loss::table::Device;
use crate::loss::{Declared, Log};
use crate::run::Cancel;
use mountainpass_sdk::abi::{log, status};
use serde::de::DeserializeOwned;
use std::sync::Arc;

impl BackendSource {
    /// Loads the backend in a process of its own: name and version.
    pub fn load(&self, isolation: &Isolation, log: &Arc<Log>) -> Result<(String, String)> {
        let terms = Terms { isolation, threads: 1, log, cancel: &Cancel::default() };
        let (_, Loaded { backend, version }) = self.served(&terms)?;
        Ok((backend, version))
    }

    /// The devices of the backend.
    pub fn devices(&self, isolation: &Isolation, log: &Arc<Log>) -> Result<Vec<Device>> {
        let device = |(name, memory, memory_bytes)| Some(Device { name, memory, memory_bytes });
        self.listed(Call::Devices, isolation, log, device)
    }

    /// The options that the backend declares.
    pub fn options(&self, isolation: &Isolation, log: &Arc<Log>) -> Result<Vec<Declared>> {
        self.listed(Call::Options, isolation, log, told::option)
    }

    /// What the backend lists before it has opened a loss.
    fn listed<T: DeserializeOwned, U>(
        &self,
        call: Call,
        isolation: &Isolation,
        log: &Arc<Log>,
        read: impl Fn(T) -> Option<U>,
    ) -> Result<Vec<U>> {
        let terms = Terms { isolation, threads: 1, log, cancel: &Cancel::default() };
        self.insist(call.slot(), &terms, || {
            let (mut served, _) = self.served(&terms)?;
            let answer = served.ask(call, &[], &[], terms.cancel)?;
            let listed: Vec<T> = served.read(answer)?;
            listed.into_iter().map(&read).collect::<Option<_>>().ok_or_else(|| served.scribbled())
        })
    }

    /// Opens a loss in a process of its own, by a packed request.
    pub fn open(&self, terms: &Terms<'_>, request: &[u64]) -> Result<(Served, ToldInfo)> {
        self.insist("open", terms, || {
            let (mut served, _) = self.served(terms)?;
            let answer = served.ask(Call::Open, &[], &[request], terms.cancel)?;
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
            (Trouble::Lost(how), BackendSource::File(path)) => {
                Error::Plugin { path: path.clone(), code: status::BACKEND, text: format!("{slot}: {how}") }
            }
            (Trouble::Lost(text), BackendSource::Linked(name)) => Error::Lost { backend: name.clone(), slot, text },
        })
    }
}
