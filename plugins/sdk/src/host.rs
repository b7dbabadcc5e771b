//! What the engine offers to a backend: parallel work, cancellation, the log.

use crate::abi;
use std::ffi::{CString, c_void};

/// The engine's services; valid until the loss it was given to is closed.
#[derive(Clone, Copy)]
pub struct Host {
    record: abi::Host,
}

// SAFETY: every slot of `mpass_host` is tagged [many] and the record is constant while a loss lives.
unsafe impl Send for Host {}
unsafe impl Sync for Host {}

impl Host {
    /// A host that offers nothing: work runs in line, nothing is ever cancelled. For tests and direct use.
    pub fn none() -> Host {
        Host { record: abi::Host::zeroed() }
    }

    /// What an engine offers; a service that it lacks, or that came after its time, is none.
    ///
    /// # Safety
    /// `raw` is NULL or a live `mpass_host`.
    pub(crate) unsafe fn from_raw(raw: *const abi::Host) -> Host {
        let zero = abi::Host::zeroed();
        // SAFETY: a sized record.
        Host { record: if raw.is_null() { zero } else { unsafe { abi::sized(raw, zero) } } }
    }

    /// How many workers may run a parallel body: worker numbers are below this.
    pub fn workers(&self) -> usize {
        self.record.workers.max(1) as usize
    }

    /// Runs `body(item, i, worker)` once for every item on the engine's workers and returns when all are done.
    ///
    /// Which worker runs which item is not determined: a result must not depend on it. A panic in `body` is
    /// resumed here after all items are done.
    pub fn for_each<T: Send, F: Fn(&mut T, usize, usize) + Sync>(&self, items: &mut [T], body: F) {
        let Some(parallel) = self.record.parallel.filter(|_| items.len() > 1) else {
            items.iter_mut().enumerate().for_each(|(i, item)| body(item, i, 0));
            return;
        };
        let task = Task { items: items.as_mut_ptr(), body: &body, panic: std::sync::Mutex::new(None) };
        // SAFETY: `parallel` calls `run` once for each index below n and returns when all calls have returned
        // (mpass_host.parallel), so every `&mut T` is unique and `task` outlives its uses.
        let status = unsafe {
            parallel(
                self.record.ctx,
                items.len() as u64,
                Some(Task::<T, F>::run),
                (&raw const task).cast_mut().cast::<c_void>(),
            )
        };
        if let Some(payload) = task.panic.into_inner().unwrap_or(None) {
            std::panic::resume_unwind(payload);
        }
        assert_eq!(status, abi::status::OK, "the host could not run parallel work");
    }

    pub(crate) fn cancelled(&self, token: *const c_void) -> bool {
        match self.record.cancelled {
            // SAFETY: [many], and the token is the one this eval was given.
            Some(cancelled) if !token.is_null() => unsafe { cancelled(self.record.ctx, token) != 0 },
            _ => false,
        }
    }

    /// Writes one line to the engine's log; levels are in [`abi::log`].
    pub fn log(&self, level: i32, text: &str) {
        if let Some(log) = self.record.log {
            let text = CString::new(text.replace('\0', " ")).unwrap_or_default();
            // SAFETY: [many]; the text lives through the call.
            unsafe { log(self.record.ctx, level, text.as_ptr()) };
        }
    }
}

struct Task<'a, T, F> {
    items: *mut T,
    body: &'a F,
    panic: std::sync::Mutex<Option<Box<dyn std::any::Any + Send>>>,
}

impl<T: Send, F: Fn(&mut T, usize, usize) + Sync> Task<'_, T, F> {
    unsafe extern "C" fn run(user: *mut c_void, i: u64, worker: u32) {
        // SAFETY: `user` is the task of the running `for_each`, and index i comes exactly once.
        let (task, item) = unsafe {
            let task = &*user.cast::<Self>();
            (task, &mut *task.items.add(i as usize))
        };
        let call = std::panic::AssertUnwindSafe(|| (task.body)(item, i as usize, worker as usize));
        if let Err(payload) = std::panic::catch_unwind(call) {
            let mut slot = task.panic.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            slot.get_or_insert(payload);
        }
    }
}
