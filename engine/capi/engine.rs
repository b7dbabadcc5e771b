//! An engine: backends, a pool of threads, hooks.

use super::abi;
use super::argument::{handle, options, out_pointer, text};
use super::backend::Listed;
use super::barrier::{Exclusive, give, take};
use super::hooks::Hooks;
use crate::loss::Registry;
use crate::pool::Pool;
use mountainpass_sdk::abi::Backend;
use std::collections::BTreeMap;
use std::ffi::{c_char, c_void};
use std::path::Path;
use std::sync::Arc;

/// What `mpass_engine` holds. No backend is linked in: the library finds all of them by file or registration.
pub struct State {
    pub(super) registry: Registry,
    pub(super) pool: Arc<Pool>,
    pub(super) hooks: Arc<Hooks>,
    /// The records handed out so far, by the backend's index.
    pub(super) listed: BTreeMap<u64, Box<Listed>>,
}

/// `mpass_engine`.
pub type Engine = Exclusive<State>;

/// major << 16 | minor of the library.
#[unsafe(no_mangle)]
pub extern "C" fn mpass_version() -> u32 {
    abi::VERSION
}

export! {
    /// Makes an engine.
    fn mpass_engine_new(given: *const abi::EngineOptions, out: *mut *mut Engine) {
        let out = out_pointer(out, "out")?;
        // SAFETY: NULL or the caller's options, and hooks in them.
        let (given, hooks) = unsafe {
            let given = options(given, abi::EngineOptions::zeroed(), "mpass_engine_options")?;
            (given, options(given.hooks, abi::Hooks::zeroed(), "mpass_hooks")?)
        };
        let hooks = Hooks::new(hooks);
        let registry = Registry::with_log(hooks.backend_log());
        let pool = Arc::new(Pool::new(given.threads as usize));
        // SAFETY: checked above.
        unsafe { give(out, Exclusive::new("engine", State { registry, pool, hooks, listed: BTreeMap::new() })) };
        Ok(())
    }
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
        // SAFETY: the caller's handle and text.
        let (engine, path) = unsafe { (handle(engine, "engine")?.lock()?, text(path, "path")?) };
        engine.registry.load(Path::new(&path))?;
        Ok(())
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
