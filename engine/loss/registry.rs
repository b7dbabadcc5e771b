//! The backends an engine knows, by name: linked into the program, registered by the caller, or loaded from a file.
//!
//! All of them are tables of the plugin contract and open through the same adapter, here or in a process of their own.
//! A registry may be shared by threads; an open loss keeps its backend, its pool and the caller's pointer alive and needs
//! the registry no more.

use super::declared::Declared;
use super::host::Log;
use super::isolated::{BackendSource, IsolatedLoss, Isolation};
use super::loader;
use super::loss::Loss;
use super::plugin::PluginLoss;
use super::request::OpenRequest;
use super::table::{Device, Plugin, UserPointer, is_name};
use crate::error::{Error, Result};
use crate::machine::pool::Pool;
use mountainpass_sdk::abi;
use std::ffi::c_void;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A backend a registry knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownBackend {
    /// What configurations call it.
    pub name: String,
    /// As the backend states it.
    pub version: String,
    /// The file it was loaded from; `None` for one that was linked in or registered.
    pub file: Option<PathBuf>,
}

/// The backends of one engine.
pub struct Registry {
    entries: Mutex<Vec<Entry>>,
    log: Arc<Log>,
    isolation: Option<Arc<Isolation>>,
}

#[derive(Clone)]
struct Entry {
    known: KnownBackend,
    access: Access,
}

/// Through what the losses of a backend are opened.
#[derive(Clone)]
enum Access {
    /// Its table, in this process.
    Table(Arc<Plugin>),
    /// Processes of its own.
    Server(Arc<Isolation>, BackendSource),
}

impl Default for Registry {
    fn default() -> Registry {
        Registry::new()
    }
}

impl Registry {
    /// No backends; what they log is dropped.
    pub fn new() -> Registry {
        Registry::with_log(Arc::new(|_, _| {}))
    }

    /// No backends; what they log goes to `log`, each line after the name and version of its backend.
    pub fn with_log(log: Arc<Log>) -> Registry {
        Registry { entries: Mutex::new(Vec::new()), log, isolation: None }
    }

    /// The same, but backends that are added from now on run in processes of their own. Linked ones must be linked into
    /// the server's program too; callbacks of this process are refused.
    pub fn isolated(self, isolation: Arc<Isolation>) -> Registry {
        Registry { isolation: Some(isolation), ..self }
    }

    /// Adds a backend linked into this program.
    pub fn register<B: mountainpass_sdk::Backend>(&self) -> Result<()> {
        if let Some(isolation) = &self.isolation {
            let [name, version] = [B::NAME, B::VERSION].map(|text| text.to_string_lossy().into_owned());
            let access = Access::Server(isolation.clone(), BackendSource::Linked(name.clone()));
            return self.add(Entry { known: KnownBackend { name, version, file: None }, access });
        }
        // SAFETY: the sdk's table of a `Backend` keeps the contract by construction; its texts and slots are static.
        let plugin = unsafe { Plugin::read(mountainpass_sdk::table::<B>()) };
        self.add(Entry::here(plugin.map_err(refused_table)?, None))
    }

    /// Adds a backend of the caller's process. `user` is handed to every `open`; `drop(user)` is called once the
    /// registry and the last loss of the backend are gone, on whichever thread that happens. After an error `user`
    /// stays the caller's.
    ///
    /// # Safety
    /// `table` is a table of the contract (`mountainpass_backend.h`); its texts and slots stay valid until `drop`.
    pub unsafe fn register_callback(
        &self,
        table: *const abi::Backend,
        user: *mut c_void,
        drop: Option<unsafe extern "C" fn(*mut c_void)>,
    ) -> Result<()> {
        // SAFETY: forwarded from the caller.
        let mut plugin = unsafe { Plugin::read(table) }.map_err(refused_table)?;
        if self.isolation.is_some() {
            let text =
                "a callback of this process cannot be isolated: register it with an engine that does not isolate";
            return Err(Error::Unsupported { backend: format!("backend {:?}", plugin.name), text: text.into() });
        }
        let mut entries = self.entries();
        vacant(&entries, &plugin.name)?;
        plugin.user = UserPointer::new(user, drop);
        entries.push(Entry::here(plugin, None));
        Ok(())
    }

    /// Loads a plugin file and returns the name of its backend. Loading a file twice changes nothing.
    pub fn load(&self, path: &Path) -> Result<String> {
        let entry = match &self.isolation {
            None => {
                let plugin = loader::load(path, self.log.clone())?;
                Entry::here(plugin, Some(path.canonicalize().map_err(|e| Error::io(path, e))?))
            }
            Some(isolation) => {
                let file = loader::full(path)?;
                let source = BackendSource::File(file.clone());
                let (name, version) = source.load(isolation, &self.log)?;
                let known = KnownBackend { name, version, file: Some(file) };
                Entry { known, access: Access::Server(isolation.clone(), source) }
            }
        };
        let name = entry.known.name.clone();
        self.add(entry)?;
        Ok(name)
    }

    /// The names of the backends, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.entries().iter().map(|entry| entry.known.name.clone()).collect();
        names.sort();
        names
    }

    /// The backends, in order of arrival.
    pub fn known(&self) -> Vec<KnownBackend> {
        self.entries().iter().map(|entry| entry.known.clone()).collect()
    }

    /// The version of a backend.
    pub fn version(&self, name: &str) -> Result<String> {
        Ok(self.find(name)?.known.version)
    }

    /// The devices of a backend; [`OpenRequest::device`] is an index of this list.
    pub fn devices(&self, name: &str) -> Result<Vec<Device>> {
        match self.find(name)?.access {
            Access::Table(plugin) => plugin.devices(),
            Access::Server(isolation, source) => source.devices(&isolation, &self.log),
        }
    }

    /// The options that a backend declares; none where it declares none, which is not to say that it knows none.
    pub fn options(&self, name: &str) -> Result<Vec<Declared>> {
        match self.find(name)?.access {
            Access::Table(plugin) => Declared::of(&plugin),
            Access::Server(isolation, source) => source.options(&isolation, &self.log),
        }
    }

    /// Opens a loss. A backend that is not registered is looked for as `libmpass_<name>.so` in the folders of
    /// MPASS_BACKEND_PATH (ignored when privileges are elevated), then beside the engine's library and the program.
    pub fn open(&self, name: &str, request: &OpenRequest<'_>, pool: Arc<Pool>) -> Result<Box<dyn Loss>> {
        let log = self.log.clone();
        Ok(match self.find(name)?.access {
            Access::Table(plugin) => Box::new(PluginLoss::open(plugin, request, pool, log)?),
            Access::Server(isolation, source) => {
                Box::new(IsolatedLoss::open(isolation, source, request, pool.workers(), log)?)
            }
        })
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, new: Entry) -> Result<()> {
        let mut entries = self.entries();
        let KnownBackend { name, file, .. } = &new.known;
        if file.is_some() && entries.iter().any(|Entry { known, .. }| known.name == *name && known.file == *file) {
            return Ok(()); // The same file once more.
        }
        vacant(&entries, name)?;
        entries.push(new);
        Ok(())
    }

    /// The backend of a name, loaded if need be.
    fn find(&self, name: &str) -> Result<Entry> {
        let known = |entries: &[Entry]| entries.iter().find(|entry| entry.known.name == name).cloned();
        if let Some(entry) = known(&self.entries()) {
            return Ok(entry);
        }
        if let Some(path) = Some(name).filter(|name| is_name(name)).and_then(loader::find) {
            let loaded = self.load(&path)?;
            return known(&self.entries()).ok_or_else(|| Error::Plugin {
                path,
                code: abi::status::NOT_FOUND,
                text: format!("calls its backend {loaded:?}, not {name:?}: rename the file"),
            });
        }
        let names = self.names();
        match names.is_empty() {
            // No name can be meant instead: what is missing is the file.
            true => {
                let hint = format!("; there is no {} in MPASS_BACKEND_PATH or beside the library", loader::file(name));
                Err(Error::Unknown { what: "backend", name: name.to_owned(), hint })
            }
            false => Err(Error::unknown("backend", name, names.iter().map(String::as_str))),
        }
    }
}

impl Entry {
    fn here(plugin: Plugin, file: Option<PathBuf>) -> Entry {
        let (name, version) = (plugin.name.clone(), plugin.version.clone());
        Entry { known: KnownBackend { name, version, file }, access: Access::Table(Arc::new(plugin)) }
    }
}

fn refused_table(text: String) -> Error {
    Error::Backend { backend: "a table".into(), slot: "register", text }
}

fn vacant(entries: &[Entry], name: &str) -> Result<()> {
    match entries.iter().map(|entry| &entry.known).find(|known| known.name == name) {
        None => Ok(()),
        Some(KnownBackend { file: None, .. }) => Err(Error::Argument(format!("there is a backend {name:?} already"))),
        Some(KnownBackend { file: Some(file), .. }) => {
            Err(Error::Argument(format!("there is a backend {name:?} already, from {}", file.display())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_no_backend_is_known_the_missing_file_is_named() {
        let registry = Registry::new();
        let error = registry.open("fear", &OpenRequest::default(), Arc::new(Pool::new(1))).err().unwrap();
        let line = "unknown backend \"fear\"; there is no libmpass_fear.so in MPASS_BACKEND_PATH or beside the library";
        assert_eq!(error.to_string().replace(".dylib", ".so"), line);
        assert!(registry.devices("../evil").is_err());
    }
}
