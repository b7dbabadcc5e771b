//! Who hears of a run: the caller's log and progress.

use super::abi;
use crate::explore::{Doing, Notice, Progress};
use crate::loss::Log;
use crate::report::progress;
use crate::search::Stage;
use mountainpass_sdk::abi::log;
use std::ffi::CString;
use std::sync::{Arc, Mutex, PoisonError};

/// The caller's hooks, shared by an engine and its losses.
pub(super) struct Hooks {
    raw: abi::Hooks,
    /// Held while progress is told: losses of one engine may be explored by several threads.
    telling: Mutex<()>,
}

impl Hooks {
    /// Hooks as the caller gave them; a level of 0 is MPASS_LOG_WARN.
    pub fn new(raw: abi::Hooks) -> Arc<Hooks> {
        let log_level = if raw.log_level == 0 { log::WARN } else { raw.log_level };
        Arc::new(Hooks { raw: abi::Hooks { log_level, ..raw }, telling: Mutex::new(()) })
    }

    /// Tells a line of the log.
    pub fn log(&self, level: i32, text: &str) {
        if let Some(log) = self.raw.log.filter(|_| level <= self.raw.log_level) {
            let text = c_text(text);
            // SAFETY: mpass_hooks: `user` lives as long as the engine and its losses; log is called from any thread.
            unsafe { log(self.raw.user, level, text.as_ptr()) };
        }
    }

    /// The log that backends write to.
    pub fn backend_log(self: &Arc<Hooks>) -> Arc<Log> {
        let hooks = self.clone();
        Arc::new(move |level, text: &str| hooks.log(level, text))
    }
}

/// A text without the NULs that C would take for its end.
pub(super) fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', " ")).unwrap_or_default()
}

/// Progress as the caller's hook hears it; notes go to the log.
pub(super) struct Teller<'a>(pub &'a Hooks);

impl Progress for Teller<'_> {
    fn at(&mut self, stage: Stage, done: u64, total: u64, doing: Doing) {
        let Some(hook) = self.0.raw.progress else { return };
        let (stage, detail) = (c_text(stage.name()), c_text(&progress::doing(doing)));
        let _one_at_a_time = self.0.telling.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: as for the log; the lock keeps the calls of several threads apart.
        unsafe { hook(self.0.raw.user, stage.as_ptr(), done, total, detail.as_ptr()) };
    }

    fn note(&mut self, notice: Notice<'_>) {
        if let Some(text) = progress::notice(notice) {
            self.0.log(log::INFO, &text);
        }
    }
}
