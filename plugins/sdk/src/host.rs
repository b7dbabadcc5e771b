//! What the engine offers to a backend: parallel work, cancellation, the log.

use crate::abi;
use std::ffi::{CString, c_void};

/// The engine's services; valid until the loss it was given to is closed.
#[derive(Clone, Copy)]
pub struct Host {
    raw: *const abi::Host,
}

// SAFETY: every slot of `mpass_host` is tagged [many] and the record is constant while a loss lives.
unsafe impl Send for Host {}
unsafe impl Sync for Host {}

impl Host {
    /// A host that offers nothing: work runs in line, nothing is ever cancelled. For tests and direct use.
    pub fn none() -> Host {
        Host { raw: std::ptr::null() }
    }

    pub(crate) fn from_raw(raw: *const abi::Host) -> Host {
        Host { raw }
    }

    fn get(&self) -> Option<&abi::Host> {
        // SAFETY: mpass_host is valid until close returns, and a backend keeps `Host` inside its loss.
        unsafe { self.raw.as_ref() }
    }

    /// How many workers may run a parallel body: worker numbers are below this.
    pub fn workers(&self) -> usize {
        const END: usize = std::mem::offset_of!(abi::Host, workers) + 4;
        self.get().filter(|h| h.struct_size as usize >= END).map_or(1, |h| h.workers.max(1) as usize)
    }

    /// Runs `body(item, i, worker)` once for every item on the engine's workers and returns when all are done.
    ///
    /// Which worker runs which item is not determined: a result must not depend on it. A panic in `body` is
    /// resumed here after all items are done.
    pub fn for_each<T: Send, F: Fn(&mut T, usize, usize) + Sync>(&self, items: &mut [T], body: F) {
        let parallel = self.get().and_then(|h| h.parallel.map(|f| (f, h.ctx)));
        let Some((parallel, ctx)) = parallel.filter(|_| items.len() > 1) else {
            items.iter_mut().enumerate().for_each(|(i, item)| body(item, i, 0));
            return;
        };
        let task = Task { items: items.as_mut_ptr(), body: &body, panic: std::sync::Mutex::new(None) };
        // SAFETY: `parallel` calls `run` once for each index below n and returns when all calls have returned
        // (mpass_host.parallel), so every `&mut T` is unique and `task` outlives its uses.
        let status = unsafe {
            parallel(ctx, items.len() as u64, Some(Task::<T, F>::run), (&raw const task).cast_mut().cast::<c_void>())
        };
        if let Some(payload) = task.panic.into_inner().unwrap_or(None) {
            std::panic::resume_unwind(payload);
        }
        assert_eq!(status, abi::status::OK, "the host could not run parallel work");
    }

    pub(crate) fn cancelled(&self, token: *const c_void) -> bool {
        match self.get().and_then(|h| h.cancelled.map(|f| (f, h.ctx))) {
            // SAFETY: [many], and the token is the one this eval was given.
            Some((cancelled, ctx)) if !token.is_null() => unsafe { cancelled(ctx, token) != 0 },
            _ => false,
        }
    }

    /// Writes one line to the engine's log; levels are in [`abi::log`].
    pub fn log(&self, level: i32, text: &str) {
        if let Some((log, ctx)) = self.get().and_then(|h| h.log.map(|f| (f, h.ctx))) {
            let text = CString::new(text.replace('\0', " ")).unwrap_or_default();
            // SAFETY: [many]; the text lives through the call.
            unsafe { log(ctx, level, text.as_ptr()) };
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
