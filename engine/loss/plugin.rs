//! From the table of a backend to [`Loss`]: the one adapter, and the only place that checks foreign numbers.
//!
//! Whatever a backend answers is copied and looked at here: sizes, NULL slots, counts, finiteness against
//! `row_status`, canaries round the outputs. A status other than 0 becomes [`Error::Refused`] with
//! the backend's own text; a broken promise becomes [`Error::Backend`] and poisons the loss, because a backend that
//! lied once may have written anywhere: every later evaluation repeats the first fault.
//!
//! Threads: the engine evaluates a loss only from the thread that drives its exploration, one call at a time, so
//! MPASS_CAP_CALLER_THREAD holds by construction, and a loss may move to another thread between calls.

use super::batch::{Buffers, Fault, check, input};
use super::extension::Extensions;
use super::foreign;
use super::host::{Host, Log};
use super::loss::{Batch, Bounds, Dtype, Identity, Info, Loss, Parameter, Split, Symmetry};
use super::request::{OpenRequest, RawRequest};
use crate::error::{Error, Result};
use crate::machine::memory::{self, Shortage};
use crate::machine::pool::Pool;
use crate::plain;
use mountainpass_sdk::Caps;
use mountainpass_sdk::abi::{self, Status, status};
use std::ffi::{c_char, c_void};
use std::sync::Arc;

/// More rows than any call has: a larger count says "any number".
const MOST_ROWS: u64 = 1 << 40;
/// Below this many parameters a loss runs in f64 unless asked otherwise.
const SMALL: u64 = 100_000;

/// A checked table: what [`abi::Backend`] promises, with no slot missing, and the caller's pointer for `open`.
pub(crate) struct Plugin {
    pub name: String,
    pub version: String,
    minor: u32,
    pub user: User,
    pub probe: unsafe extern "C" fn(u32) -> *const abi::Device,
    pub open: unsafe extern "C" fn(*const abi::Host, *const abi::Open, *mut *mut c_void, *mut abi::Error) -> Status,
    pub info: unsafe extern "C" fn(*const c_void) -> *const abi::LossInfo,
    pub eval: unsafe extern "C" fn(*mut c_void, *const abi::Eval, *mut abi::Error) -> Status,
    pub close: unsafe extern "C" fn(*mut c_void),
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
            user: User::NONE,
            probe: table.probe.ok_or_else(|| missing("probe"))?,
            open: table.open.ok_or_else(|| missing("open"))?,
            info: table.info.ok_or_else(|| missing("info"))?,
            eval: table.eval.ok_or_else(|| missing("eval"))?,
            close: table.close.ok_or_else(|| missing("close"))?,
            extension: table.extension,
        })
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
    fn understands(&self, request: &OpenRequest<'_>) -> Result<()> {
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
    fn unsupported(&self, text: impl Into<String>) -> Error {
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
pub(crate) struct User {
    pointer: *mut c_void,
    drop: Option<unsafe extern "C" fn(*mut c_void)>,
}

// SAFETY: the engine never looks behind the pointer; `open`, which receives it, is tagged [many].
unsafe impl Send for User {}
// SAFETY: as above.
unsafe impl Sync for User {}

impl User {
    /// What linked and loaded backends have.
    pub const NONE: User = User { pointer: std::ptr::null_mut(), drop: None };

    /// Takes over `pointer`; `drop` is called once, on any thread.
    pub fn new(pointer: *mut c_void, drop: Option<unsafe extern "C" fn(*mut c_void)>) -> User {
        User { pointer, drop }
    }
}

impl Drop for User {
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
    fn open(plugin: Arc<Plugin>, request: &OpenRequest<'_>, pool: Arc<Pool>, log: Arc<Log>) -> Result<Handle> {
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

/// One loss opened through a table.
pub(super) struct PluginLoss {
    handle: Handle,
    info: Info,
    extensions: Extensions,
    rows: Rows,
    fault: Option<String>,
}

/// Buffers of either element type.
enum Rows {
    F32(Buffers<f32>),
    F64(Buffers<f64>),
}

impl PluginLoss {
    /// Opens a loss and checks what it says about itself.
    pub fn open(plugin: Arc<Plugin>, request: &OpenRequest<'_>, pool: Arc<Pool>, log: Arc<Log>) -> Result<PluginLoss> {
        plugin.understands(request)?;
        let handle = Handle::open(plugin, request, pool, log)?;
        let info = info(&handle, request.dtype)?;
        if request.repeatable && !info.caps.repeatable {
            let text = "repeatable: this loss does not promise to repeat its values bit for bit: leave it out";
            return Err(handle.plugin.unsupported(text));
        }
        let extensions = Extensions::of(&handle.plugin).map_err(|text| handle.plugin.broken("extension", text))?;
        let rows = match info.dtype {
            Dtype::F32 => Rows::F32(Buffers::new()),
            Dtype::F64 => Rows::F64(Buffers::new()),
        };
        Ok(PluginLoss { handle, info, extensions, rows, fault: None })
    }
}

impl Loss for PluginLoss {
    fn info(&self) -> &Info {
        &self.info
    }

    fn eval(&mut self, mut batch: Batch<'_>) -> Result<()> {
        if let Some(fault) = &self.fault {
            return Err(self.handle.plugin.broken("eval", format!("no longer trusted since {fault}")));
        }
        check(&self.info, &batch)?;
        let evaluated = match &mut self.rows {
            Rows::F32(rows) => rows.eval(&self.handle, &self.info, &mut batch),
            Rows::F64(rows) => rows.eval(&self.handle, &self.info, &mut batch),
        };
        match evaluated {
            Ok(()) => Ok(()),
            Err(Fault::Failed(Error::Refused { code: status::CANCELLED, .. })) if batch.cancel.fired() => {
                Err(Error::Cancelled)
            }
            Err(Fault::Failed(error)) => Err(error),
            Err(Fault::Broken(text)) => {
                self.fault = Some(text.clone());
                Err(self.handle.plugin.broken("eval", text))
            }
        }
    }

    fn parameters(&self) -> Result<Vec<Parameter>> {
        self.extensions.parameters(&self.handle, self.info.params)
    }

    fn start(&self, seed: u64) -> Result<Option<Vec<f64>>> {
        self.extensions.start(&self.handle, self.info.params, seed)
    }

    fn bounds(&self) -> Result<Option<Bounds>> {
        self.extensions.bounds(&self.handle, self.info.params)
    }

    fn metric_names(&self, split: Split) -> Result<Vec<String>> {
        self.extensions.metric_names(&self.handle, split)
    }

    fn metrics(&mut self, split: Split, theta: &[f64]) -> Result<Vec<f64>> {
        let (p, most) = (self.info.params, self.info.rows_max);
        if !theta.len().is_multiple_of(p) {
            return Err(Error::Argument(format!("theta has {} values, which is no multiple of {p}", theta.len())));
        }
        let step = if most == 0 { theta.len().max(p) } else { most * p };
        let mut values = Vec::new();
        for theta in theta.chunks(step) {
            let short = |shortage| self.handle.plugin.short("metrics", shortage);
            values.extend(match &mut self.rows {
                Rows::F32(rows) => {
                    let theta = input(theta, &mut rows.theta).map_err(short)?;
                    self.extensions.metrics(&self.handle, split, p, theta)?
                }
                Rows::F64(rows) => {
                    let theta = input(theta, &mut rows.theta).map_err(short)?;
                    self.extensions.metrics(&self.handle, split, p, theta)?
                }
            });
        }
        Ok(values)
    }

    fn symmetries(&self) -> Result<Vec<Symmetry>> {
        self.extensions.symmetries(&self.handle, self.info.params)
    }

    fn identity(&self) -> Result<Identity> {
        self.extensions.identity(&self.handle)
    }
}

/// Refuses a count of parameters that makes no sense, or of which this machine cannot hold one gradient.
pub(super) fn afford(backend: &str, params: u64) -> Result<()> {
    let memory = memory::total();
    match params.checked_mul(8) {
        Some(0) => Err(Error::Backend { backend: backend.to_owned(), slot: "info", text: "params is 0".into() }),
        Some(gradient) if gradient <= memory => Ok(()),
        gradient => {
            let gradient = gradient.map_or_else(|| "more than can be counted".into(), memory::gib);
            let (backend, memory) = (backend.to_owned(), memory::gib(memory));
            let text = format!("one gradient of {params} parameters takes {gradient}, and there are {memory}");
            Err(Error::Unsupported { backend, text })
        }
    }
}

/// Reads and checks `mpass_loss_info`, and settles the element type.
fn info(handle: &Handle, wanted: Option<Dtype>) -> Result<Info> {
    let plugin = &handle.plugin;
    let broken = |text: String| plugin.broken("info", text);
    // SAFETY: a live handle.
    let raw = unsafe { (plugin.info)(handle.raw) };
    // SAFETY: mpass_loss_info, "plugin-owned, constant until close".
    let raw = unsafe { foreign::record(raw, abi::LossInfo::zeroed(), "mpass_loss_info") }.map_err(broken)?;
    afford(&plugin.title(), raw.params)?;
    if !(raw.noise.is_finite() && raw.noise >= 0.0) {
        return Err(broken(format!("noise is {}", raw.noise)));
    }
    if raw.rows_max != 0 && raw.rows_best > raw.rows_max {
        return Err(broken(format!("rows_best is {}, above rows_max, which is {}", raw.rows_best, raw.rows_max)));
    }
    let has = |bits: u32, code: u32| bits & (1 << code) != 0;
    let (single, double) = (has(raw.dtypes, abi::dtype::F32), has(raw.dtypes, abi::dtype::F64));
    if !has(raw.memories, abi::memory::HOST) || !(single || double) {
        return Err(broken("f32 or f64 in host memory is required".into()));
    }
    let lacks = |text: &str| plugin.unsupported(format!("dtype {text}: leave dtype out"));
    let dtype = match wanted {
        Some(Dtype::F32) if !single => return Err(lacks("f32 is not offered for this loss, only f64")),
        Some(Dtype::F64) if !double => return Err(lacks("f64 is not offered for this loss, only f32")),
        Some(dtype) => dtype,
        None if double && (raw.params < SMALL || !single) => Dtype::F64,
        None => Dtype::F32,
    };
    let rows = |count: u64| if count > MOST_ROWS { 0 } else { count as usize };
    Ok(Info {
        backend: plugin.name.clone(),
        version: plugin.version.clone(),
        params: raw.params as usize,
        samples: raw.samples,
        rows_best: rows(raw.rows_best),
        rows_max: rows(raw.rows_max),
        caps: Caps::from_bits(raw.caps),
        noise: raw.noise,
        dtype,
    })
}
