//! The plugin under test through its raw table: file, entry symbol, devices, extensions, and losses to open.
//!
//! Nothing is repaired or refused on the way, as the engine's own adapter would: that is what is tested. Every call is
//! noted in the journal. What a step needs that another test is about ends the body as "skip"; prerequisites see to it
//! that this is rare.

use super::call::{Text, room};
use super::host::Host;
use super::journal::Journal;
use super::memory::{Fence, Region};
use super::opened::Opened;
use super::verdict::{Outcome, fail, skip};
use crate::loss::Declared;
use crate::loss::extension::Extensions;
use crate::loss::foreign;
use crate::loss::loader;
use crate::loss::plugin::{Handle, Plugin};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use mountainpass_sdk::abi::{self, Status, status};
use serde::{Deserialize, Serialize};
use std::ffi::{CStr, c_char};
use std::mem::ManuallyDrop;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// What is checked, and with which loss.
#[derive(Clone, Debug, Default)]
pub struct Plan {
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
    plan: Plan,
    journal: Journal,
    entry: OnceLock<Outcome<abi::Entry>>,
    table: OnceLock<Outcome<Table>>,
    /// Which the entry symbol was given: some keep it, against the contract, and not every test is about that.
    first_host: OnceLock<Arc<Host>>,
}

/// What the entry symbol returned: a copy of the table, fields that it lacks being zero.
#[derive(Clone, Copy)]
pub struct Table {
    /// Its fields, zero where it is shorter.
    pub record: abi::Backend,
    /// Where it lies, for comparison only.
    pub address: usize,
    /// `struct_size` as the plugin states it.
    pub size: u32,
}

// SAFETY: addresses of constant records and texts of a library that is never unmapped.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

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
pub struct Device {
    /// `struct_size` as the plugin states it.
    pub size: u32,
    /// A code of [`abi::memory`].
    pub memory: u32,
    /// 0 = not known.
    pub memory_bytes: u64,
    /// Its name, or what is wrong with it.
    pub name: Result<String, String>,
}

/// Which loss to open, and how the request lies in memory.
#[derive(Clone)]
pub struct Request {
    /// What the plugin is offered.
    pub host: Arc<Host>,
    /// NULL without.
    pub model: Option<String>,
    /// Keys and values.
    pub options: Vec<(String, String)>,
    /// An index as listed by probe.
    pub device: u32,
    /// The most threads the plugin may use; 0 = as many as the host has.
    pub max_threads: u32,
    /// Whether MPASS_CAP_REPEATABLE is asked for.
    pub repeatable: bool,
    /// [`Fence::Wall`]: on read-only pages, each record right before a page that is not there.
    pub fence: Fence,
    /// It is gone when `open` has returned. Else it stays until the loss is closed.
    pub fleeting: bool,
    /// The bytes of `mpass_open` that exist, when they are not those of this checker's minor.
    pub size: Option<usize>,
}

/// A call that was refused.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// As it came back.
    pub status: Status,
    /// What the error says.
    pub text: Text,
}

/// More devices than a plugin can mean.
const MOST_DEVICES: u32 = 256;
/// The longest name that makes sense, and the longest text that a table leads to.
const LONGEST_TEXT: usize = 1024;

impl Subject {
    /// The plugin of a plan; nothing is loaded yet.
    pub fn new(plan: Plan, journal: Journal) -> Subject {
        let (entry, table, first_host) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Subject { plan, journal, entry, table, first_host }
    }

    /// What is checked.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Where calls are noted.
    pub(super) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Loads the file, once, and finds its entry symbol.
    pub fn load(&self) -> Outcome<abi::Entry> {
        let load = || {
            let _lane = self.journal.enter("loading the file");
            let expected = "a shared library that exports the entry symbol";
            // SAFETY: running a library's initialisers is what loading a plugin means; the user named the file.
            let library = unsafe { Library::open(Some(&self.plan.file), RTLD_NOW | RTLD_LOCAL) };
            let library = library.map_err(|e| fail(expected, loader::said(&e, &self.plan.file)))?;
            let library = ManuallyDrop::new(library); // Never unmapped: its threads and texts live on.
            // SAFETY: the symbol, where it exists, has the type that the header gives it.
            let entry = unsafe { library.get::<abi::Entry>(abi::ENTRY_SYMBOL.to_bytes_with_nul()) };
            entry.map(|entry| *entry).map_err(|_| fail(expected, loader::missing(&library)))
        };
        self.entry.get_or_init(load).clone()
    }

    /// Calls the entry symbol: the table, `None` for NULL, and the text that came with it.
    pub fn enter(&self, host: &Host) -> Outcome<(Option<Table>, Text)> {
        let (entry, err) = (self.load()?, Text::room()?);
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
            Table { record, address: raw.addr(), size }
        };
        Ok(((!raw.is_null()).then(|| read(raw)), Text::of(&err)))
    }

    /// The table; skips where the plugin refuses to load.
    pub fn table(&self) -> Outcome<Table> {
        let table = || {
            let host = room(Host::new(1))?;
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
    pub(super) fn plugin(&self) -> Outcome<Plugin> {
        let facts = self.table().map(|_| self.facts().unwrap_or_default())?;
        Plugin::of(&self.table()?.record, facts.name, facts.version).map_err(skip)
    }

    /// What probe lists, up to its end.
    pub fn devices(&self) -> Outcome<Vec<Device>> {
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
            devices.push(Device { size, memory: record.memory, memory_bytes: record.memory_bytes, name });
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
    pub(super) fn extensions(&self) -> Outcome<Extensions> {
        let plugin = self.plugin()?;
        let _lane = self.journal.enter("extension");
        Ok(Extensions::of(&plugin).unwrap_or_default())
    }

    /// The plan's loss on a host of two workers.
    pub fn request(&self) -> Outcome<Request> {
        self.request_on(&room(Host::new(2))?)
    }

    /// The plan's loss on a host.
    pub fn request_on(&self, host: &Arc<Host>) -> Outcome<Request> {
        Ok(Request {
            host: host.clone(),
            model: self.plan.model.clone(),
            options: self.plan.options.clone(),
            device: 0,
            max_threads: 0,
            repeatable: false,
            fence: Fence::Room,
            fleeting: false,
            size: None,
        })
    }

    /// Opens the plan's loss on a host of two workers.
    pub fn open(&self) -> Outcome<Opened<'_>> {
        self.opened(&self.request()?)
    }

    /// Opens a loss that must open.
    pub fn opened(&self, request: &Request) -> Outcome<Opened<'_>> {
        self.try_open(request)?.map_err(|refusal| {
            fail(
                "a loss of the given model and options (--model M, --option KEY=VALUE)",
                format!("status {}: {}", refusal.status, refusal.text.shown()),
            )
        })
    }

    /// Opens a loss, or is refused.
    pub fn try_open(&self, request: &Request) -> Outcome<Result<Opened<'_>, Refusal>> {
        let (plugin, extensions, err) = (Arc::new(self.plugin()?), self.extensions()?, Text::room()?);
        let packed = room(Packed::new(request))?;
        let mut raw = std::ptr::null_mut();
        let status = {
            let _lane = self.journal.enter("open");
            let _visit = request.host.visit(None);
            // SAFETY: the host lives as long as the loss, the request through this call; outputs are ours.
            unsafe {
                (plugin.open)(request.host.record(), packed.record.start().cast(), &raw mut raw, err.start().cast())
            }
        };
        let kept = if request.fleeting {
            packed.bury();
            None
        } else {
            Some(packed)
        };
        if status != status::OK {
            return Ok(Err(Refusal { status, text: Text::of(&err) }));
        }
        if raw.is_null() {
            return Err(fail("a loss", "status 0, but NULL for a loss"));
        }
        // SAFETY: an open loss of this plugin, closed by nobody else.
        let handle = unsafe { Handle::adopt(plugin, raw, request.host.clone()) };
        Ok(Ok(Opened::new(self, handle, request.host.clone(), extensions, kept)))
    }
}

/// `mpass_open` and everything it leads to.
pub(super) struct Packed {
    record: Region,
    /// Arrays of pointers, then the texts they point to.
    texts: Region,
}

impl Packed {
    fn new(request: &Request) -> Option<Packed> {
        let keys = request.options.iter().map(|(key, _)| key);
        let values = request.options.iter().map(|(_, value)| value);
        let words: Vec<&String> = keys.chain(values).chain(&request.model).collect();
        // The pointers first: they are aligned, and the last text ends at the wall but for the rounding.
        let pointers = size_of::<*const c_char>() * words.len();
        let len = pointers + words.iter().map(|word| word.len() + 1).sum::<usize>();
        let mut texts = Region::new(len.next_multiple_of(align_of::<*const c_char>()), 0, request.fence)?;
        texts.bytes_mut().fill(0);
        let (mut at, mut places) = (pointers, Vec::new());
        for word in &words {
            texts.bytes_mut()[at..at + word.len()].copy_from_slice(word.as_bytes());
            places.push(texts.start().wrapping_add(at).cast_const().cast::<c_char>());
            at += word.len() + 1;
        }
        let lists = texts.start().cast::<*const c_char>();
        // SAFETY: room for that many pointers, at the aligned start of the region.
        unsafe { std::ptr::copy_nonoverlapping(places.as_ptr(), lists, places.len()) };
        let n = request.options.len();
        let record = abi::Open {
            device: request.device,
            max_threads: request.max_threads,
            n_options: n as u32,
            model: request.model.as_ref().and_then(|_| places.last().copied()).unwrap_or(std::ptr::null()),
            keys: lists.cast_const(),
            values: lists.wrapping_add(n).cast_const(),
            repeatable: request.repeatable.into(),
            ..abi::Open::zeroed()
        };
        let record = Region::record(&record, request.size.unwrap_or(abi::Open::SIZE as usize), request.fence)?;
        Some(match request.fence {
            Fence::Room => Packed { record, texts },
            Fence::Wall => Packed { record: record.read_only(), texts: texts.read_only() },
        })
    }

    fn bury(self) {
        self.record.bury();
        self.texts.bury();
    }
}
