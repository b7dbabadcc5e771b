//! What the engine offers to a backend: parallel work, cancellation, the log.

use crate::abi;
use crate::panic::message;
use std::ffi::{CString, c_void};
use std::marker::PhantomData;

/// The engine's services, for the length of one call.
///
/// `open`, `eval` and `eval_metrics` are given one each. It cannot be kept: the engine's promise ends when the loss is
/// closed, and a loss that is being dropped, or a thread that it left behind, would call into nothing.
///
/// ```compile_fail
/// use mountainpass_sdk::Host;
/// fn keep(host: Host<'_>) -> Host<'static> {
///     host // lifetime may not live long enough
/// }
/// ```
///
/// So a loss that wants workers in `eval` takes them from the call:
///
/// ```
/// use mountainpass_sdk::{Error, Eval};
/// fn eval(eval: Eval<'_>) -> Result<(), Error> {
///     let theta = eval.theta;
///     eval.host.for_each(eval.loss, |loss, row, _worker| *loss = theta.row_f64(row).iter().sum());
///     Ok(())
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Host<'a> {
    record: &'a abi::Host,
}

// SAFETY: every slot of `mpass_host` is tagged [many] and the record is constant while it is borrowed.
unsafe impl Send for Host<'_> {}
// SAFETY: as above.
unsafe impl Sync for Host<'_> {}

impl Host<'static> {
    /// A host that offers nothing: work runs in line, nothing is ever cancelled. For tests and direct use.
    pub fn none() -> Host<'static> {
        const NOTHING: &abi::Host = &abi::Host::zeroed();
        Host { record: NOTHING }
    }
}

impl<'a> Host<'a> {
    /// What an engine offers.
    ///
    /// # Safety
    /// For the life 'a the slots of the record may be called as `mpass_host` says.
    pub(crate) unsafe fn of(record: &'a abi::Host) -> Host<'a> {
        Host { record }
    }

    /// Copies what an engine offers; a service that it lacks, or that came after its time, is none.
    ///
    /// # Safety
    /// `raw` is NULL or a live `mpass_host`.
    pub(crate) unsafe fn read(raw: *const abi::Host) -> abi::Host {
        let zero = abi::Host::zeroed();
        // SAFETY: forwarded: not NULL, so a sized record.
        if raw.is_null() { zero } else { unsafe { abi::sized(raw, zero) } }
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
        let (n, items) = (items.len() as u64, items.as_mut_ptr());
        let task = Task { items, body: &body, panic: std::sync::Mutex::new(None), life: PhantomData };
        let user = (&raw const task).cast_mut().cast::<c_void>();
        // SAFETY: mpass_host.parallel, "body for 0..n-1 on the engine's pool; returns when all are done": every `&mut T`
        // is unique, and `task` outlives its uses.
        let status = unsafe { parallel(self.record.ctx, n, Some(Task::<T, F>::run), user) };
        if let Some(payload) = task.panic.into_inner().unwrap_or(None) {
            std::panic::resume_unwind(payload);
        }
        assert_eq!(status, abi::status::OK, "the host could not run parallel work");
    }

    /// # Safety
    /// `token` is NULL or that of an eval which has not returned.
    pub(crate) unsafe fn cancelled(&self, token: *const c_void) -> bool {
        match self.record.cancelled {
            // SAFETY: [many]; the token is forwarded.
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
    life: PhantomData<&'a mut [T]>,
}

impl<T: Send, F: Fn(&mut T, usize, usize) + Sync> Task<'_, T, F> {
    unsafe extern "C" fn run(user: *mut c_void, i: u64, worker: u32) {
        // SAFETY: `user` is the task of the running `for_each`.
        let task = unsafe { &*user.cast::<Self>() };
        // SAFETY: index i is below the number of items and comes exactly once, so that nobody else holds this one.
        let item = unsafe { &mut *task.items.wrapping_add(i as usize) };
        let call = std::panic::AssertUnwindSafe(|| (task.body)(item, i as usize, worker as usize));
        if let Err(payload) = std::panic::catch_unwind(call) {
            let mut slot = task.panic.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            match &*slot {
                None => *slot = Some(payload),
                Some(_) => drop(message(payload)), // Nobody would catch what its own drop does.
            }
        }
    }
}
