//! An engine: backends, a pool of threads, hooks.

use super::abi::{self, BackendInfo};
use super::argument::{handle, optional_text, options, out_pointer, text};
use super::backend::Listed;
use super::barrier::{Exclusive, give, take};
use super::hooks::Hooks;
use crate::error::{Error, Result};
use crate::loss::{Isolation, Limits, Registry};
use crate::machine::pool::Pool;
use mountainpass_sdk::abi::Backend;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ffi::{c_char, c_void};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What `mpass_engine` holds. No backend is linked in: the library finds all of them by file or registration.
pub struct EngineState {
    pub(super) registry: Registry,
    pub(super) pool: Arc<Pool>,
    pub(super) hooks: Arc<Hooks>,
    /// The records handed out so far, by the backend's index.
    pub(super) listed: BTreeMap<u64, Box<Listed>>,
}

/// `mpass_engine`.
pub type Engine = Exclusive<EngineState>;

/// major << 16 | minor of the library.
#[unsafe(no_mangle)]
pub extern "C" fn mpass_version() -> u32 {
    abi::VERSION
}

export! {
    /// Makes an engine.
    fn mpass_engine_new(given: *const abi::EngineOptions, out: *mut *mut Engine) {
        let out = out_pointer(out, "out")?;
        // SAFETY: NULL or the caller's options.
        let given = unsafe { options(given, abi::EngineOptions::zeroed(), "mpass_engine_options") }?;
        // SAFETY: NULL or the hooks in them.
        let hooks = unsafe { options(given.hooks, abi::Hooks::zeroed(), "mpass_hooks") }?;
        // SAFETY: NULL or the caller's text.
        let isolation = unsafe { isolation(&given) }?;
        let hooks = Hooks::new(hooks);
        let mut registry = Registry::with_log(hooks.backend_log());
        if let Some(isolation) = isolation {
            registry = registry.isolated(Arc::new(isolation));
        }
        let pool = Arc::new(Pool::new(given.threads as usize));
        // SAFETY: checked above.
        unsafe { give(out, Exclusive::new("engine", EngineState { registry, pool, hooks, listed: BTreeMap::new() })) };
        Ok(())
    }
}

/// How the options isolate backends.
///
/// # Safety
/// `server` is NULL or a text.
unsafe fn isolation(given: &abi::EngineOptions) -> Result<Option<Isolation>> {
    let abi::EngineOptions { isolate, reserved, isolate_seconds, isolate_memory, .. } = *given;
    let wrong = |text: String| Err(Error::Argument(format!("mpass_engine_options.{text}")));
    // SAFETY: forwarded from the caller.
    let server = unsafe { optional_text(given.server, "mpass_engine_options.server") }?.map(PathBuf::from);
    match isolate {
        _ if reserved != 0 => return wrong(format!("reserved is {reserved}, and must be 0")),
        0 if isolate_seconds != 0.0 || isolate_memory != 0 || server.is_some() => {
            return wrong("isolate is 0: isolate_seconds, isolate_memory and server belong to 1".into());
        }
        0 => return Ok(None),
        1 => {}
        other => return wrong(format!("isolate is {other}, neither 0 nor 1")),
    }
    let mut limits = Limits::default();
    if isolate_seconds != 0.0 {
        let Ok(call) = Duration::try_from_secs_f64(isolate_seconds) else {
            return wrong(format!("isolate_seconds is {isolate_seconds}: a positive number is needed"));
        };
        limits.call = call;
    }
    if isolate_memory != 0 {
        limits.memory = isolate_memory;
    }
    let Some(server) = server.or_else(Isolation::server) else {
        return wrong("server is NULL, and there is no program mpass beside the library or the program".into());
    };
    Isolation::new(server, limits).map(Some)
}

export! {
    /// Frees an engine; its losses keep what they need of it.
    fn mpass_engine_free(engine: *mut Engine) -> (), else (); {
        // SAFETY: the caller gives it up.
        unsafe { take(engine) };
        Ok(())
    }
}

export! {
    /// Loads a plugin file.
    fn mpass_backend_load(engine: *mut Engine, path: *const c_char) {
        // SAFETY: the caller's handle.
        let engine = unsafe { handle(engine, "engine") }?.lock()?;
        // SAFETY: the caller's text.
        let path = unsafe { text(path, "path") }?;
        engine.registry.load(Path::new(&path))?;
        Ok(())
    }
}

export! {
    /// One backend.
    fn mpass_engine_backend(engine: *mut Engine, index: u64) -> *const BackendInfo, else std::ptr::null(); {
        // SAFETY: the caller's handle.
        let mut engine = unsafe { handle(engine, "engine") }?.lock()?;
        let EngineState { registry, listed, .. } = &mut *engine;
        let known = registry.known();
        let found = usize::try_from(index).ok().and_then(|index| known.get(index));
        let found = found.ok_or_else(|| Error::Argument(format!("there is no backend {index} of {}", known.len())))?;
        let listed = match listed.entry(index) {
            Entry::Occupied(listed) => listed.into_mut(),
            Entry::Vacant(place) => place.insert(Box::new(Listed::new(found, &registry.devices(&found.name)?))),
        };
        Ok(&raw const listed.record)
    }
}

export! {
    /// Adds a backend of the caller's process.
    fn mpass_backend_register(
        engine: *mut Engine,
        table: *const Backend,
        user: *mut c_void,
        drop: Option<unsafe extern "C" fn(*mut c_void)>,
    ) {
        // SAFETY: the caller's handle.
        let engine = unsafe { handle(engine, "engine") }?.lock()?;
        // SAFETY: a table of the contract, valid until `drop`, as the header asks.
        unsafe { engine.registry.register_callback(table, user, drop) }
    }
}
