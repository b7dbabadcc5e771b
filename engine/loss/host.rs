//! What the engine offers to an open loss: `mpass_host` over the engine's pool, log and cancel flags.

use crate::machine::pool::Pool;
use mountainpass_sdk::abi::{self, Status, status};
use std::ffi::{CStr, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// Who hears what backends write to the log: a level of [`abi::log`] and one line. Called from any thread.
pub type Log = dyn Fn(i32, &str) + Send + Sync;

/// The services of one loss. In an `Arc`, because the backend keeps the address until its loss is closed.
pub(super) struct Host {
    record: abi::Host,
    pool: Arc<Pool>,
    log: Arc<Log>,
}

// SAFETY: the raw pointer in `record` is the address of this very host; everything it leads to is Send and Sync.
unsafe impl Send for Host {}
// SAFETY: as above; every slot of mpass_host is tagged [many].
unsafe impl Sync for Host {}

impl Host {
    /// A host whose workers are those of `pool`.
    pub fn new(pool: Arc<Pool>, log: Arc<Log>) -> Arc<Host> {
        Arc::new_cyclic(|here: &Weak<Host>| {
            let record = abi::Host {
                struct_size: abi::Host::SIZE,
                abi_minor: abi::MINOR,
                ctx: here.as_ptr().cast_mut().cast(),
                log: Some(log_line),
                cancelled: Some(cancelled),
                parallel: Some(parallel),
                extension: Some(extension),
                workers: pool.workers() as u32,
                reserved: 0,
            };
            Host { record, pool, log }
        })
    }

    /// What `open` and the entry symbol are given; valid while the host lives.
    pub fn record(&self) -> *const abi::Host {
        &raw const self.record
    }
}

/// # Safety
/// `ctx` is the context of a live [`Host`].
unsafe fn host<'a>(ctx: *mut c_void) -> Option<&'a Host> {
    // SAFETY: mpass_host is valid until close returns, and ctx came with it.
    unsafe { ctx.cast::<Host>().as_ref() }
}

unsafe extern "C" fn log_line(ctx: *mut c_void, level: i32, text: *const c_char) {
    // SAFETY: a live host; all text is NUL-terminated.
    let (Some(host), false) = (unsafe { host(ctx) }, text.is_null()) else { return };
    // SAFETY: as above.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    let told = catch_unwind(AssertUnwindSafe(|| (host.log)(level, &text)));
    if let Err(payload) = told {
        std::mem::forget(payload); // A log that panics loses its line and nothing else.
    }
}

unsafe extern "C" fn cancelled(_: *mut c_void, token: *const c_void) -> i32 {
    // SAFETY: the token is NULL or the flag of the `Cancel` that this eval was given, which outlives the call.
    let flag = unsafe { token.cast::<AtomicBool>().as_ref() };
    flag.is_some_and(|flag| flag.load(Ordering::Relaxed)).into()
}

unsafe extern "C" fn parallel(ctx: *mut c_void, n: u64, body: Option<abi::ParallelBody>, user: *mut c_void) -> Status {
    // SAFETY: a live host.
    let (Some(host), Some(body)) = (unsafe { host(ctx) }, body) else { return status::ARGUMENT };
    // SAFETY: forwarded.
    unsafe { share_out(&host.pool, n, body, user) }
}

/// Calls `body` for 0..n-1 on the workers of a pool, as `mpass_host.parallel` says.
///
/// # Safety
/// `body` may be called with `user` from several threads at a time.
pub(crate) unsafe fn share_out(pool: &Pool, n: u64, body: abi::ParallelBody, user: *mut c_void) -> Status {
    /// The backend's pointer, on its way to the workers.
    struct User(*mut c_void);
    // SAFETY: `body` is called from several threads by contract; sharing `user` is what the backend asked for.
    unsafe impl Sync for User {}
    impl User {
        fn get(&self) -> *mut c_void {
            self.0
        }
    }
    let user = User(user);
    // SAFETY: mpass_host.parallel: body(user, i, worker) for i below n, all of them before this returns.
    let run = || pool.run(n as usize, &|i, worker| unsafe { body(user.get(), i as u64, worker as u32) });
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(()) => status::OK,
        Err(payload) => {
            std::mem::forget(payload); // Its drop may panic in turn.
            status::INTERNAL
        }
    }
}

/// The engine offers no extensions yet.
unsafe extern "C" fn extension(_: *mut c_void, _: *const c_char) -> *const c_void {
    std::ptr::null()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Cancel;
    use std::sync::Mutex;

    #[test]
    #[allow(clippy::multiple_unsafe_ops_per_block, reason = "a backend's life, one call after the other")]
    fn a_backend_reaches_log_flag_and_pool_through_the_table() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let heard = lines.clone();
        let host = Host::new(
            Arc::new(Pool::new(2)),
            Arc::new(move |level, text: &str| heard.lock().unwrap().push((level, text.to_owned()))),
        );
        let cancel = Cancel::default();
        let token = std::ptr::from_ref(cancel.flag()).cast();
        unsafe extern "C" fn square(user: *mut c_void, i: u64, worker: u32) {
            assert!(worker < 2);
            // SAFETY: `user` points to ten values and i is below ten, each once.
            unsafe { user.cast::<u64>().wrapping_add(i as usize).write(i * i) };
        }
        let mut squares = [0_u64; 10];
        // SAFETY: the record is read as a backend reads it.
        unsafe {
            let raw = &*host.record();
            raw.log.unwrap()(raw.ctx, abi::log::WARN, c"careful".as_ptr());
            assert_eq!(raw.cancelled.unwrap()(raw.ctx, token), 0);
            cancel.fire();
            assert_eq!(raw.cancelled.unwrap()(raw.ctx, token), 1);
            assert_eq!(raw.cancelled.unwrap()(raw.ctx, std::ptr::null()), 0);
            let status = raw.parallel.unwrap()(raw.ctx, 10, Some(square), squares.as_mut_ptr().cast());
            assert_eq!((status, raw.workers), (status::OK, 2));
            assert_eq!(raw.parallel.unwrap()(raw.ctx, 10, None, std::ptr::null_mut()), status::ARGUMENT);
            assert!(raw.extension.unwrap()(raw.ctx, c"org.name/1".as_ptr()).is_null());
        }
        assert_eq!(squares, [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]);
        assert_eq!(*lines.lock().unwrap(), [(abi::log::WARN, "careful".to_owned())]);
    }
}
