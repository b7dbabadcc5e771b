//! What the checker offers to a loss, `mpass_host`: the engine's pool, and notes of how it is used.

use super::region::{Fence, GuardedRegion};
use crate::check::verdict::Outcome;
use crate::loss::host::share_out;
use crate::machine::pool::Pool;
use crate::run::Cancel;
use mountainpass_sdk::abi::{self, Status, status};
use std::ffi::{CStr, c_char, c_void};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The services of one or several losses, in an `Arc`: they must outlive every one of them.
pub struct Host {
    record: GuardedRegion,
    context: Box<HostContext>,
}

/// How `cancelled` was polled.
#[derive(Clone, Copy, Debug)]
pub struct Polls {
    /// How many there were.
    pub count: u64,
    /// The longest time without a poll while an eval ran; from the eval's begin and up to its end, too.
    pub longest: Duration,
    last: Instant,
}

/// What the callbacks reach through `ctx`.
struct HostContext {
    pool: Pool,
    faults: Mutex<Vec<&'static str>>,
    polls: Mutex<Polls>,
    tokens: Mutex<Vec<usize>>,
    /// Calls into the plugin that are under way on losses of this host.
    busy: AtomicU64,
}

/// A call into the plugin; while it lasts, the plugin may use the host.
pub struct Visit<'a> {
    context: &'a HostContext,
    token: usize,
}

impl Host {
    /// A host with that many workers. Skips where the system has no memory.
    pub fn new(workers: usize) -> Outcome<Arc<Host>> {
        Host::sized(workers, abi::Host::SIZE as usize, Fence::Room)
    }

    /// A host whose record is `size` bytes long: shorter than the plugin knows, or longer.
    pub fn sized(workers: usize, size: usize, fence: Fence) -> Outcome<Arc<Host>> {
        let pool = Pool::new(workers.max(1));
        let workers = pool.workers() as u32;
        let context = Box::new(HostContext {
            pool,
            faults: Mutex::default(),
            polls: Mutex::new(Polls::none()),
            tokens: Mutex::default(),
            busy: AtomicU64::new(0),
        });
        let record = abi::Host {
            struct_size: 0, // Stamped below.
            abi_minor: abi::MINOR,
            ctx: (&raw const *context).cast_mut().cast(),
            log: Some(log),
            cancelled: Some(cancelled),
            parallel: Some(parallel),
            extension: Some(extension),
            workers,
            reserved: 0,
        };
        Ok(Arc::new(Host { record: GuardedRegion::record(&record, size, fence)?, context }))
    }

    /// What `open` and the entry symbol are given.
    pub(super) fn record(&self) -> *const abi::Host {
        self.record.start().cast_const().cast()
    }

    /// The number of workers: worker numbers are below it.
    pub fn workers(&self) -> usize {
        self.context.pool.workers()
    }

    /// Uses of `parallel` that the header does not allow, each a sentence of its own.
    pub fn faults(&self) -> Vec<&'static str> {
        lock(&self.context.faults).clone()
    }

    /// How `cancelled` was polled since the last [`forget_polls`](Host::forget_polls).
    pub fn polls(&self) -> Polls {
        *lock(&self.context.polls)
    }

    /// Counts polls from zero.
    pub fn forget_polls(&self) {
        *lock(&self.context.polls) = Polls::none();
    }

    /// A call into the plugin begins, with the cancel token that it is given.
    pub(super) fn visit(&self, cancel: Option<&Cancel>) -> Visit<'_> {
        let token = cancel.map_or(0, |cancel| std::ptr::from_ref(cancel.flag()).addr());
        lock(&self.context.tokens).push(token);
        self.context.busy.fetch_add(1, Ordering::SeqCst);
        lock(&self.context.polls).last = Instant::now();
        Visit { context: &self.context, token }
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        lock(&self.context.polls).pass();
        self.context.busy.fetch_sub(1, Ordering::SeqCst);
        let mut tokens = lock(&self.context.tokens);
        if let Some(at) = tokens.iter().position(|&token| token == self.token) {
            tokens.swap_remove(at);
        }
    }
}

impl Polls {
    fn none() -> Polls {
        Polls { count: 0, longest: Duration::ZERO, last: Instant::now() }
    }

    fn pass(&mut self) {
        let now = Instant::now();
        self.longest = self.longest.max(now - self.last);
        self.last = now;
    }
}

impl HostContext {
    fn fault(&self, text: &'static str) {
        let mut faults = lock(&self.faults);
        if !faults.contains(&text) {
            faults.push(text);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// # Safety
/// `ctx` is NULL or the context of a live [`Host`].
unsafe fn context<'a>(ctx: *mut c_void) -> Option<&'a HostContext> {
    // SAFETY: mpass_host is valid until close returns, and ctx came with it.
    unsafe { ctx.cast::<HostContext>().as_ref() }
}

/// Reads a text of the plugin to its end, as a host that prints it does.
///
/// # Safety
/// `text` is NULL or NUL-terminated.
unsafe fn read(text: *const c_char) {
    if !text.is_null() {
        // SAFETY: forwarded.
        std::hint::black_box(unsafe { CStr::from_ptr(text) });
    }
}

unsafe extern "C" fn log(_: *mut c_void, _: i32, line: *const c_char) {
    // SAFETY: all text is NUL-terminated.
    unsafe { read(line) }
}

unsafe extern "C" fn cancelled(ctx: *mut c_void, token: *const c_void) -> i32 {
    // SAFETY: a live host.
    let Some(context) = (unsafe { context(ctx) }) else { return 0 };
    let mut polls = lock(&context.polls);
    polls.count += 1;
    polls.pass();
    drop(polls);
    // A token of no call under way may lead nowhere: it is not looked behind.
    if !token.is_null() && !lock(&context.tokens).contains(&token.addr()) {
        return 0;
    }
    // SAFETY: NULL, or the flag of a call that has not returned.
    unsafe { token.cast::<AtomicBool>().as_ref() }.is_some_and(|flag| flag.load(Ordering::Relaxed)).into()
}

unsafe extern "C" fn parallel(ctx: *mut c_void, n: u64, body: Option<abi::ParallelBody>, user: *mut c_void) -> Status {
    // SAFETY: a live host.
    let Some(context) = (unsafe { context(ctx) }) else { return status::ARGUMENT };
    let Some(body) = body else {
        context.fault("parallel was called with NULL for a body");
        return status::ARGUMENT;
    };
    if context.busy.load(Ordering::SeqCst) == 0 {
        context.fault("parallel was called while no call into the plugin was under way");
    }
    // SAFETY: mpass_host.parallel: it is what the plugin asked for.
    unsafe { share_out(&context.pool, n, body, user) }
}

unsafe extern "C" fn extension(_: *mut c_void, id: *const c_char) -> *const c_void {
    // SAFETY: all text is NUL-terminated.
    unsafe { read(id) };
    std::ptr::null()
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" fn nothing(_: *mut c_void, _: u64, _: u32) {}

    #[test]
    #[allow(clippy::multiple_unsafe_ops_per_block, reason = "a plugin's life, one call after the other")]
    fn what_a_plugin_may_not_ask_of_its_host_is_noted() {
        let host = Host::new(2).unwrap();
        // SAFETY: the record is read as a plugin reads it.
        unsafe {
            let raw = &*host.record();
            assert_eq!((raw.struct_size, raw.workers), (abi::Host::SIZE, 2));
            raw.log.unwrap()(raw.ctx, 0, c"hm".as_ptr());
            raw.log.unwrap()(raw.ctx, 0, std::ptr::null());
            let parallel = |body| raw.parallel.unwrap()(raw.ctx, 3, body, std::ptr::null_mut());
            assert_eq!((parallel(None), parallel(Some(nothing))), (status::ARGUMENT, status::OK));
            let cancel = Cancel::default();
            cancel.fire();
            let token = std::ptr::from_ref(cancel.flag()).cast();
            let visit = host.visit(Some(&cancel));
            assert_eq!(raw.cancelled.unwrap()(raw.ctx, token), 1);
            drop(visit);
            assert_eq!(raw.cancelled.unwrap()(raw.ctx, token), 0); // Its call has returned.
            assert_eq!(host.polls().count, 2);
        }
        assert_eq!(
            host.faults(),
            [
                "parallel was called with NULL for a body",
                "parallel was called while no call into the plugin was under way"
            ]
        );
    }
}
