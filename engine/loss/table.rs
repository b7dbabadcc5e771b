//! A backend's table, read and checked, and the losses that are open through it.
//!
//! Every required slot is there, texts are UTF-8, and a status other than 0 becomes [`Error::Refused`] with the
//! backend's own text. What a slot answers beside its status is looked at where it is asked for: `batch.rs`,
//! `extension.rs`, `plugin.rs`.

use super::foreign;
use super::host::{Host, Log};
use super::request::{OpenRequest, RawRequest};
use crate::error::{Error, Result};
use crate::machine::memory::Shortage;
use crate::machine::pool::Pool;
use crate::plain;
use mountainpass_sdk::abi::{self, Status, status};
use std::ffi::{c_char, c_void};
use std::sync::Arc;

/// More devices than a backend can mean.
const MOST_DEVICES: u32 = 256;

/// A place a backend can compute on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The device's name, as the backend gives it.
    pub name: String,
    /// A code of [`abi::memory`].
    pub memory: u32,
    /// The size of its memory; 0 = unknown.
    pub memory_bytes: u64,
}

/// A checked table: what [`abi::Backend`] promises, with no slot missing, and the caller's pointer for `open`.
pub(crate) struct Plugin {
    pub name: String,
    pub version: String,
    minor: u32,
    pub user: UserPointer,
    pub probe: unsafe extern "C" fn(u32) -> *const abi::Device,
    pub open: unsafe extern "C" fn(*const abi::Host, *const abi::Open, *mut *mut c_void, *mut abi::Error) -> Status,
    pub info: unsafe extern "C" fn(*const c_void) -> *const abi::LossInfo,
    pub eval: unsafe extern "C" fn(*mut c_void, *const abi::Eval, *mut abi::Error) -> Status,
    close: unsafe extern "C" fn(*mut c_void),
    pub extension: Option<unsafe extern "C" fn(*const c_char) -> *const c_void>,
}

impl Plugin {
    /// Reads a table; the fault, if any, is the end of a sentence.
    ///
    /// # Safety
    /// `table` is NULL or a table of the contract whose slots stay callable for the life of the program.
    pub unsafe fn read(table: *const abi::Backend) -> std::result::Result<Plugin, String> {
        // SAFETY: forwarded from the caller.
        let table = unsafe { foreign::record(table, abi::Backend::zeroed(), "mpass_backend") }?;
        // SAFETY: mpass_backend.name and version, "static text".
        let name = unsafe { foreign::text(table.name, "name") }?;
        // SAFETY: as above.
        let version = unsafe { foreign::text(table.version, "version") }?;
        let name = name.ok_or("name is NULL")?;
        if !is_name(&name) {
            return Err(format!("name {name:?} is not made of 1 to 64 letters, digits and any of - _ ."));
        }
        Plugin::of(&table, name, version.ok_or("version is NULL")?)
    }

    /// A table whose texts have been read: every required slot must be there.
    pub fn of(table: &abi::Backend, name: String, version: String) -> std::result::Result<Plugin, String> {
        let missing = |slot: &str| format!("slot {slot} is NULL");
        Ok(Plugin {
            name,
            version,
            minor: table.abi_minor,
            user: UserPointer::NONE,
            probe: table.probe.ok_or_else(|| missing("probe"))?,
            open: table.open.ok_or_else(|| missing("open"))?,
            info: table.info.ok_or_else(|| missing("info"))?,
            eval: table.eval.ok_or_else(|| missing("eval"))?,
            close: table.close.ok_or_else(|| missing("close"))?,
            extension: table.extension,
        })
    }

    /// The places this backend can compute on, as its table lists them.
    pub fn devices(&self) -> Result<Vec<Device>> {
        let mut devices = Vec::new();
        for index in 0..MOST_DEVICES {
            // SAFETY: probe is [many]; NULL ends the list.
            let raw = unsafe { (self.probe)(index) };
            if raw.is_null() {
                break;
            }
            // SAFETY: probe returns a constant record of its own.
            let device = unsafe { foreign::record(raw, abi::Device::zeroed(), "mpass_device") }.and_then(|raw| {
                // SAFETY: as above.
                let name = unsafe { foreign::text(raw.name, "the name of a device") }?.unwrap_or_default();
                Ok(Device { name, memory: raw.memory, memory_bytes: raw.memory_bytes })
            });
            devices.push(device.map_err(|text| self.broken("probe", text))?);
        }
        Ok(devices)
    }

    /// How messages call this backend.
    pub fn title(&self) -> String {
        format!("{} {}", self.name, self.version)
    }

    /// A promise of the contract that was not kept.
    pub fn broken(&self, slot: &'static str, text: impl Into<String>) -> Error {
        Error::Backend { backend: self.title(), slot, text: text.into() }
    }

    /// Fails where a request needs a field that a plugin of this age has never heard of: to leave it out would answer
    /// another question than the one asked.
    pub fn understands(&self, request: &OpenRequest<'_>) -> Result<()> {
        let asked = [("mpass_open.repeatable", request.repeatable, 1)];
        match asked.into_iter().find(|(_, asked, minor)| *asked && *minor > self.minor) {
            None => Ok(()),
            Some((field, _, minor)) => Err(self.unsupported(format!(
                "{field} came with minor {minor} of the contract and this plugin speaks minor {}: leave it out, or \
                 rebuild the plugin",
                self.minor
            ))),
        }
    }

    /// Something that makes sense, but not with this backend.
    pub fn unsupported(&self, text: impl Into<String>) -> Error {
        Error::Unsupported { backend: self.title(), text: text.into() }
    }

    /// There is no memory for what a slot takes or gives.
    pub fn short(&self, slot: &'static str, shortage: Shortage) -> Error {
        Error::Refused { backend: self.title(), slot, code: status::MEMORY, text: shortage.to_string() }
    }

    /// Calls a slot that answers with a status.
    pub fn call(&self, slot: &'static str, body: impl FnOnce(*mut abi::Error) -> Status) -> Result<()> {
        let mut err = abi::Error::NONE;
        match body(&raw mut err) {
            status::OK => Ok(()),
            code => {
                let (code, text) = refusal(code, &err);
                Err(Error::Refused { backend: self.title(), slot, code, text })
            }
        }
    }
}

/// The code and the one line of a call that failed; a code this engine does not know means an internal error.
pub(super) fn refusal(code: Status, err: &abi::Error) -> (Status, String) {
    let known = (status::ARGUMENT..=status::INTERNAL).contains(&code);
    let mut text = plain::line(&err.message().split_whitespace().collect::<Vec<_>>().join(" "));
    if text.is_empty() {
        text = format!("status {code} without a text");
    } else if !known {
        text = format!("{text} (unknown status {code})");
    }
    (if known { code } else { status::INTERNAL }, text)
}

/// True for names that can stand in a file name and a configuration.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// The pointer a caller registered with its table, handed to `open`; released with the last loss of the backend.
pub(crate) struct UserPointer {
    pointer: *mut c_void,
    drop: Option<unsafe extern "C" fn(*mut c_void)>,
}

// SAFETY: the engine never looks behind the pointer; `open`, which receives it, is tagged [many].
unsafe impl Send for UserPointer {}
// SAFETY: as above.
unsafe impl Sync for UserPointer {}

impl UserPointer {
    /// What linked and loaded backends have.
    pub const NONE: UserPointer = UserPointer { pointer: std::ptr::null_mut(), drop: None };

    /// Takes over `pointer`; `drop` is called once, on any thread.
    pub fn new(pointer: *mut c_void, drop: Option<unsafe extern "C" fn(*mut c_void)>) -> UserPointer {
        UserPointer { pointer, drop }
    }
}

impl Drop for UserPointer {
    fn drop(&mut self) {
        if let Some(drop) = self.drop {
            // SAFETY: mpass_backend_register: called once, when nothing can reach the pointer any more.
            unsafe { drop(self.pointer) };
        }
    }
}

/// An open loss of a backend, closed on drop; keeps the table, the caller's pointer and the host alive.
pub(crate) struct Handle {
    pub plugin: Arc<Plugin>,
    pub raw: *mut c_void,
    _host: Arc<dyn Send + Sync>,
}

// SAFETY: [one] slots are called through one owner at a time; which thread that is does not matter (module docs).
unsafe impl Send for Handle {}

impl Handle {
    /// Opens a loss of a plugin, with a host of its own.
    pub fn open(plugin: Arc<Plugin>, request: &OpenRequest<'_>, pool: Arc<Pool>, log: Arc<Log>) -> Result<Handle> {
        let title = plugin.title();
        let host = Host::new(pool, Arc::new(move |level, text: &str| log(level, &format!("{title}: {text}"))));
        let request = RawRequest::new(request)?;
        let raw_request = request.record(plugin.user.pointer);
        let mut raw = std::ptr::null_mut();
        let (record, asked) = (host.record(), &raw const raw_request);
        // SAFETY: the host lives as long as the handle, the request through this call; outputs are ours.
        plugin.call("open", |err| unsafe { (plugin.open)(record, asked, &raw mut raw, err) })?;
        if raw.is_null() {
            return Err(plugin.broken("open", "status is 0 but there is no loss"));
        }
        Ok(Handle { plugin, raw, _host: host })
    }

    /// Takes over what the plugin's `open` has returned; `host` owns the record that it was given.
    ///
    /// # Safety
    /// `raw` is an open loss of `plugin` that nobody else closes.
    #[cfg(feature = "cli")]
    pub unsafe fn adopt(plugin: Arc<Plugin>, raw: *mut c_void, host: Arc<dyn Send + Sync>) -> Handle {
        Handle { plugin, raw, _host: host }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle came from open, is closed once, and its host is still alive.
        unsafe { (self.plugin.close)(self.raw) };
    }
}
