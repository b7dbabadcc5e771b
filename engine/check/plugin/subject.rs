//! The plugin under test through its raw table: file, entry symbol, devices, extensions, and losses to open.
//!
//! Nothing is repaired or refused on the way, as the engine's own adapter would: that is what is tested. Every call is
//! noted in the journal. What a step needs that another test is about ends the body as "skip"; prerequisites see to it
//! that this is rare.

use super::host::Host;
use super::journal::Journal;
use super::loss::OpenLoss;
use super::open_call::{OpenCall, PackedCall};
use super::refusal::{ErrorText, Refusal};
use super::region::Fence;
use crate::check::verdict::{Outcome, fail, skip};
use crate::loss::Declared;
use crate::loss::extension::Extensions;
use crate::loss::table::{Handle, Plugin};
use crate::loss::{foreign, loader};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use mountainpass_sdk::abi::{self, status};
use serde::{Deserialize, Serialize};
use std::ffi::CStr;
use std::mem::ManuallyDrop;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// What is checked, and with which loss.
#[derive(Clone, Debug, Default)]
pub struct Trial {
    /// The plugin's file; a full path.
    pub file: PathBuf,
    /// The model to open; NULL without.
    pub model: Option<String>,
    /// Keys and values.
    pub options: Vec<(String, String)>,
    /// From which all random numbers come.
    pub seed: u64,
}

/// The plugin under test.
pub struct Subject {
    trial: Trial,
    journal: Journal,
    entry: OnceLock<Outcome<abi::Entry>>,
    table: OnceLock<Outcome<ReturnedTable>>,
    /// Which the entry symbol was given: some keep it, against the contract, and not every test is about that.
    first_host: OnceLock<Arc<Host>>,
}

/// What the entry symbol returned: a copy of the table, fields that it lacks being zero.
#[derive(Clone, Copy)]
pub struct ReturnedTable {
    /// Its fields, zero where it is shorter.
    pub record: abi::Backend,
    /// Where it lies, for comparison only.
    pub address: usize,
    /// `struct_size` as the plugin states it.
    pub size: u32,
}

// SAFETY: addresses of constant records and texts of a library that is never unmapped.
unsafe impl Send for ReturnedTable {}
// SAFETY: as above.
unsafe impl Sync for ReturnedTable {}

/// Who the plugin says it is, for a report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Empty where it cannot be read.
    pub name: String,
    /// Alike.
    pub version: String,
    /// Of the contract that it speaks.
    pub minor: u32,
}

/// A device as probe lists it.
#[derive(Clone, Debug)]
pub struct ProbedDevice {
    /// `struct_size` as the plugin states it.
    pub size: u32,
    /// A code of [`abi::memory`].
    pub memory: u32,
    /// Its name, or what is wrong with it.
    pub name: Result<String, String>,
}

/// More devices than a plugin can mean.
const MOST_DEVICES: u32 = 256;
/// The longest name that makes sense, and the longest text that a table leads to.
const LONGEST_TEXT: usize = 1024;

impl Subject {
    /// The plugin of a trial; nothing is loaded yet.
    pub fn new(trial: Trial, journal: Journal) -> Subject {
        let (entry, table, first_host) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Subject { trial, journal, entry, table, first_host }
    }

    /// What is checked.
    pub fn trial(&self) -> &Trial {
        &self.trial
    }

    /// Loads the file, once, and finds its entry symbol.
    pub fn load(&self) -> Outcome<abi::Entry> {
        let load = || {
            let _lane = self.journal.enter("loading the file");
            let expected = "a shared library that exports the entry symbol";
            // SAFETY: running a library's initialisers is what loading a plugin means; the user named the file.
            let library = unsafe { Library::open(Some(&self.trial.file), RTLD_NOW | RTLD_LOCAL) };
            let library = library.map_err(|e| fail(expected, loader::said(&e, &self.trial.file)))?;
            let library = ManuallyDrop::new(library); // Never unmapped: its threads and texts live on.
            // SAFETY: the symbol, where it exists, has the type that the header gives it.
            let entry = unsafe { library.get::<abi::Entry>(abi::ENTRY_SYMBOL.to_bytes_with_nul()) };
            entry.map(|entry| *entry).map_err(|_| fail(expected, loader::missing(&library)))
        };
        self.entry.get_or_init(load).clone()
    }

    /// Calls the entry symbol: the table, `None` for NULL, and the text that came with it.
    pub fn enter(&self, host: &Host) -> Outcome<(Option<ReturnedTable>, ErrorText)> {
        let (entry, err) = (self.load()?, ErrorText::room()?);
        let _lane = self.journal.enter("the entry symbol");
        let _visit = host.visit(None);
        // SAFETY: both arguments are valid for the call.
        let raw = unsafe { entry(host.record(), err.start().cast()) };
        let read = |raw: *const abi::Backend| {
            // SAFETY: a table begins with its struct_size.
            let size = unsafe { raw.cast::<u32>().read_unaligned() };
            // SAFETY: as above, and a table of that size; one that lies about it is what load.sizes is about.
            let record = unsafe { foreign::record(raw, abi::Backend::zeroed(), "mpass_backend") };
            let record = record.unwrap_or(abi::Backend::zeroed());
            ReturnedTable { record, address: raw.addr(), size }
        };
        Ok(((!raw.is_null()).then(|| read(raw)), ErrorText::of(&err)))
    }

    /// The table; skips where the plugin refuses to load.
    pub fn table(&self) -> Outcome<ReturnedTable> {
        let table = || {
            let host = Host::new(1)?;
            let host = self.first_host.get_or_init(|| host);
            let (table, text) = self.enter(host)?;
            table.ok_or_else(|| skip(format!("the entry symbol refuses: {}", text.shown())))
        };
        self.table.get_or_init(table).clone()
    }

    /// The name, terminated UTF-8, or what is wrong with it; `Ok(None)` where it is NULL.
    pub fn name(&self) -> Outcome<Result<Option<String>, String>> {
        let table = self.table()?;
        // SAFETY: static text, or at least that many bytes of a mapped library.
        Ok(unsafe { foreign::text_within(table.record.name, "name", LONGEST_TEXT) })
    }

    /// The version, as [`name`](Subject::name).
    pub fn version(&self) -> Outcome<Result<Option<String>, String>> {
        let table = self.table()?;
        // SAFETY: as above.
        Ok(unsafe { foreign::text_within(table.record.version, "version", LONGEST_TEXT) })
    }

    /// Who the plugin says it is, as far as it can be read; `None` before the table was asked for.
    pub fn facts(&self) -> Option<Facts> {
        let Ok(table) = self.table.get()? else { return None };
        let text = |text: Outcome<Result<Option<String>, String>>| text.ok()?.ok().flatten();
        Some(Facts {
            name: text(self.name()).unwrap_or_default(),
            version: text(self.version()).unwrap_or_default(),
            minor: table.record.abi_minor,
        })
    }

    /// The table with every slot filled, as the engine reads it.
    pub fn plugin(&self) -> Outcome<Plugin> {
        let facts = self.table().map(|_| self.facts().unwrap_or_default())?;
        Plugin::of(&self.table()?.record, facts.name, facts.version).map_err(skip)
    }

    /// What probe lists, up to its end.
    pub fn devices(&self) -> Outcome<Vec<ProbedDevice>> {
        let plugin = self.plugin()?;
        let mut devices = Vec::new();
        for index in 0..MOST_DEVICES {
            let _lane = self.journal.enter("probe");
            // SAFETY: probe is [many]; NULL ends the list.
            let raw = unsafe { (plugin.probe)(index) };
            if raw.is_null() {
                return Ok(devices);
            }
            // SAFETY: a constant record that begins with its size.
            let size = unsafe { raw.cast::<u32>().read_unaligned() };
            // SAFETY: as above.
            let record = unsafe { foreign::record(raw, abi::Device::zeroed(), "mpass_device") };
            let record = record.unwrap_or(abi::Device::zeroed());
            // SAFETY: static text.
            let name = unsafe { foreign::text_within(record.name, "the name of a device", LONGEST_TEXT) };
            let name = name.and_then(|name| name.ok_or_else(|| "the name of a device is NULL".into()));
            devices.push(ProbedDevice { size, memory: record.memory, name });
        }
        Err(fail("a list of devices that ends with NULL", format!("{MOST_DEVICES} devices and no end")))
    }

    /// `struct_size` of an extension's record; `None` where the plugin does not have it.
    pub fn extension_size(&self, id: &CStr) -> Outcome<Option<u32>> {
        let Some(extension) = self.plugin()?.extension else { return Ok(None) };
        let _lane = self.journal.enter(&format!("extension ({})", id.to_string_lossy()));
        // SAFETY: the slot is [many]; the id is terminated.
        let raw = unsafe { extension(id.as_ptr()) };
        // SAFETY: a constant record that begins with its size.
        Ok((!raw.is_null()).then(|| unsafe { raw.cast::<u32>().read_unaligned() }))
    }

    /// The options that are declared, or what is wrong with them.
    pub fn declared(&self) -> Outcome<Result<Vec<Declared>, String>> {
        let plugin = self.plugin()?;
        let _lane = self.journal.enter("extension (options)");
        Ok(Declared::read(&plugin))
    }

    /// The extensions the engine knows; those with a senseless size count as missing.
    fn extensions(&self) -> Outcome<Extensions> {
        let plugin = self.plugin()?;
        let _lane = self.journal.enter("extension");
        Ok(Extensions::of(&plugin).unwrap_or_default())
    }

    /// The trial's loss on a host of two workers.
    pub fn open_call(&self) -> Outcome<OpenCall> {
        Ok(self.open_call_on(&Host::new(2)?))
    }

    /// The trial's loss on a host.
    pub fn open_call_on(&self, host: &Arc<Host>) -> OpenCall {
        OpenCall {
            host: host.clone(),
            model: self.trial.model.clone(),
            options: self.trial.options.clone(),
            device: 0,
            fence: Fence::Room,
            fleeting: false,
            size: None,
        }
    }

    /// Opens the trial's loss on a host of two workers.
    pub fn open(&self) -> Outcome<OpenLoss<'_>> {
        self.opened(&self.open_call()?)
    }

    /// Opens a loss that must open.
    pub fn opened(&self, call: &OpenCall) -> Outcome<OpenLoss<'_>> {
        self.try_open(call)?.map_err(|refusal| {
            fail(
                "a loss of the given model and options (--model M, --option KEY=VALUE)",
                format!("status {}: {}", refusal.status, refusal.text.shown()),
            )
        })
    }

    /// Opens a loss, or is refused.
    pub fn try_open(&self, call: &OpenCall) -> Outcome<Result<OpenLoss<'_>, Refusal>> {
        let (plugin, extensions, err) = (Arc::new(self.plugin()?), self.extensions()?, ErrorText::room()?);
        let packed = PackedCall::new(call)?;
        let mut raw = std::ptr::null_mut();
        let status = {
            let _lane = self.journal.enter("open");
            let _visit = call.host.visit(None);
            // SAFETY: the host lives as long as the loss, the request through this call; outputs are ours.
            unsafe { (plugin.open)(call.host.record(), packed.record().cast(), &raw mut raw, err.start().cast()) }
        };
        let kept = if call.fleeting {
            packed.bury();
            None
        } else {
            Some(packed)
        };
        if status != status::OK {
            return Ok(Err(Refusal { status, text: ErrorText::of(&err) }));
        }
        if raw.is_null() {
            return Err(fail("a loss", "status 0, but NULL for a loss"));
        }
        // SAFETY: an open loss of this plugin, closed by nobody else.
        let handle = unsafe { Handle::adopt(plugin, raw, call.host.clone()) };
        Ok(Ok(OpenLoss::new(&self.journal, handle, call.host.clone(), extensions, kept)))
    }
}
