//! What the checker offers to a loss, `mpass_host`: the engine's pool, and a log of every call with its thread.

use super::memory::{Fence, Region};
use crate::machine::pool::Pool;
use crate::run::Cancel;
use mountainpass_sdk::abi::{self, Status, status};
use std::ffi::{CStr, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

/// The services of one or several losses, in an `Arc`: they must outlive every one of them.
pub struct Host {
    record: Region,
    state: Box<State>,
}

/// One call from a plugin to its host.
#[derive(Clone, Debug)]
pub struct Event {
    /// Who asked.
    pub thread: ThreadId,
    /// What was asked.
    pub what: What,
}

/// What a plugin asked of its host; polls are counted in [`Polls`].
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A line for the log.
    Log {
        /// As it was given.
        level: i32,
        /// The line.
        text: String,
    },
    /// Parallel work.
    Parallel {
        /// How many bodies.
        n: u64,
    },
    /// An extension of the host.
    Extension {
        /// Its name.
        id: String,
    },
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
struct State {
    pool: Pool,
    events: Mutex<Vec<Event>>,
    faults: Mutex<Vec<String>>,
    polls: Mutex<Polls>,
    tokens: Mutex<Vec<usize>>,
    /// Calls into the plugin that are under way on losses of this host.
    busy: AtomicU64,
}

/// A call into the plugin; while it lasts, the plugin may use the host.
pub struct Visit<'a> {
    state: &'a State,
    token: usize,
}

impl Host {
    /// A host with that many workers. `None` where the system has no memory.
    pub fn new(workers: usize) -> Option<Arc<Host>> {
        Host::sized(workers, abi::Host::SIZE as usize, Fence::Room)
    }

    /// A host whose record is `size` bytes long: shorter than the plugin knows, or longer.
    pub fn sized(workers: usize, size: usize, fence: Fence) -> Option<Arc<Host>> {
        let pool = Pool::new(workers.max(1));
        let workers = pool.workers() as u32;
        let polls = Polls { count: 0, longest: Duration::ZERO, last: Instant::now() };
        let state = Box::new(State {
            pool,
            events: Mutex::default(),
            faults: Mutex::default(),
            polls: Mutex::new(polls),
            tokens: Mutex::default(),
            busy: AtomicU64::new(0),
        });
        let record = abi::Host {
            struct_size: 0, // Stamped below.
            abi_minor: abi::MINOR,
            ctx: (&raw const *state).cast_mut().cast(),
            log: Some(log),
            cancelled: Some(cancelled),
            parallel: Some(parallel),
            extension: Some(extension),
            workers,
            reserved: 0,
        };
        Some(Arc::new(Host { record: Region::record(&record, size, fence)?, state }))
    }

    /// What `open` and the entry symbol are given.
    pub(super) fn record(&self) -> *const abi::Host {
        self.record.start().cast_const().cast()
    }

    /// The number of workers: worker numbers are below it.
    pub fn workers(&self) -> usize {
        self.state.pool.workers()
    }

    /// Every call so far, polls left out.
    pub fn events(&self) -> Vec<Event> {
        lock(&self.state.events).clone()
    }

    /// Uses of the host that the header does not allow, each a sentence of its own.
    pub fn faults(&self) -> Vec<String> {
        lock(&self.state.faults).clone()
    }

    /// How `cancelled` was polled since the last [`forget_polls`](Host::forget_polls).
    pub fn polls(&self) -> Polls {
        *lock(&self.state.polls)
    }

    /// Counts polls from zero.
    pub fn forget_polls(&self) {
        *lock(&self.state.polls) = Polls { count: 0, longest: Duration::ZERO, last: Instant::now() };
    }

    /// A call into the plugin begins, with the cancel token that it is given.
    pub(super) fn visit(&self, cancel: Option<&Cancel>) -> Visit<'_> {
        let token = cancel.map_or(0, |cancel| std::ptr::from_ref(cancel.flag()).addr());
        lock(&self.state.tokens).push(token);
        self.state.busy.fetch_add(1, Ordering::SeqCst);
        lock(&self.state.polls).last = Instant::now();
        Visit { state: &self.state, token }
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        lock(&self.state.polls).pass();
        self.state.busy.fetch_sub(1, Ordering::SeqCst);
        let mut tokens = lock(&self.state.tokens);
        if let Some(at) = tokens.iter().position(|&token| token == self.token) {
            tokens.swap_remove(at);
        }
    }
}

impl Polls {
    fn pass(&mut self) {
        let now = Instant::now();
        self.longest = self.longest.max(now - self.last);
        self.last = now;
    }
}

impl State {
    fn note(&self, what: What) {
        lock(&self.events).push(Event { thread: std::thread::current().id(), what });
    }

    fn fault(&self, text: impl Into<String>) {
        let mut faults = lock(&self.faults);
        let text = text.into();
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
unsafe fn state<'a>(ctx: *mut c_void) -> Option<&'a State> {
    // SAFETY: mpass_host is valid until close returns, and ctx came with it.
    unsafe { ctx.cast::<State>().as_ref() }
}

/// A text of the plugin; `None` for NULL.
///
/// # Safety
/// `text` is NULL or NUL-terminated.
unsafe fn text(text: *const c_char) -> Option<String> {
    // SAFETY: forwarded.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

unsafe extern "C" fn log(ctx: *mut c_void, level: i32, line: *const c_char) {
    // SAFETY: a live host; all text is NUL-terminated.
    let (Some(state), line) = (unsafe { state(ctx) }, unsafe { text(line) }) else { return };
    let Some(text) = line else { return state.fault("log was called with NULL for a text") };
    if !(abi::log::ERROR..=abi::log::DEBUG).contains(&level) {
        state.fault(format!("log was called with the level {level}"));
    }
    state.note(What::Log { level, text });
}

unsafe extern "C" fn cancelled(ctx: *mut c_void, token: *const c_void) -> i32 {
    // SAFETY: a live host.
    let Some(state) = (unsafe { state(ctx) }) else { return 0 };
    let mut polls = lock(&state.polls);
    polls.count += 1;
    polls.pass();
    drop(polls);
    // A token of no call under way may lead nowhere: it is not looked behind.
    if !token.is_null() && !lock(&state.tokens).contains(&token.addr()) {
        state.fault("cancelled was called with a token of no call under way");
        return 0;
    }
    // SAFETY: NULL, or the flag of a call that has not returned.
    unsafe { token.cast::<AtomicBool>().as_ref() }.is_some_and(|flag| flag.load(Ordering::Relaxed)).into()
}

unsafe extern "C" fn parallel(ctx: *mut c_void, n: u64, body: Option<abi::ParallelBody>, user: *mut c_void) -> Status {
    /// The plugin's pointer, on its way to the workers.
    struct User(*mut c_void);
    // SAFETY: `body` is called from several threads by contract; sharing `user` is what the plugin asked for.
    unsafe impl Sync for User {}
    impl User {
        fn get(&self) -> *mut c_void {
            self.0
        }
    }
    // SAFETY: a live host.
    let Some(state) = (unsafe { state(ctx) }) else { return status::ARGUMENT };
    state.note(What::Parallel { n });
    let Some(body) = body else {
        state.fault("parallel was called with NULL for a body");
        return status::ARGUMENT;
    };
    if state.busy.load(Ordering::SeqCst) == 0 {
        state.fault("parallel was called while no call into the plugin was under way");
    }
    let user = User(user);
    // SAFETY: mpass_host.parallel: body(user, i, worker) for i below n, all of them before this returns.
    let run = || state.pool.run(n as usize, &|i, worker| unsafe { body(user.get(), i as u64, worker as u32) });
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(()) => status::OK,
        Err(payload) => {
            std::mem::forget(payload); // Its drop may panic in turn.
            status::INTERNAL
        }
    }
}

unsafe extern "C" fn extension(ctx: *mut c_void, id: *const c_char) -> *const c_void {
    // SAFETY: a live host; all text is NUL-terminated.
    if let (Some(state), id) = (unsafe { state(ctx) }, unsafe { text(id) }) {
        match id {
            Some(id) => state.note(What::Extension { id }),
            None => state.fault("extension was called with NULL for an id"),
        }
    }
    std::ptr::null()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::multiple_unsafe_ops_per_block, reason = "a plugin's life, one call after the other")]
    fn what_a_plugin_asks_of_its_host_is_written_down() {
        let host = Host::new(2).unwrap();
        // SAFETY: the record is read as a plugin reads it.
        unsafe {
            let raw = &*host.record();
            assert_eq!((raw.struct_size, raw.workers), (abi::Host::SIZE, 2));
            raw.log.unwrap()(raw.ctx, 9, c"hm".as_ptr());
            assert_eq!(raw.parallel.unwrap()(raw.ctx, 3, None, std::ptr::null_mut()), status::ARGUMENT);
            let cancel = Cancel::default();
            cancel.fire();
            let token = std::ptr::from_ref(cancel.flag()).cast();
            let visit = host.visit(Some(&cancel));
            assert_eq!(raw.cancelled.unwrap()(raw.ctx, token), 1);
            drop(visit);
            assert_eq!(raw.cancelled.unwrap()(raw.ctx, token), 0); // Its call has returned.
            assert_eq!(host.polls().count, 2);
        }
        let what: Vec<What> = host.events().into_iter().map(|event| event.what).collect();
        assert_eq!(what, [What::Log { level: 9, text: "hm".into() }, What::Parallel { n: 3 }]);
        assert_eq!(
            host.faults(),
            [
                "log was called with the level 9",
                "parallel was called with NULL for a body",
                "cancelled was called with a token of no call under way"
            ]
        );
    }
}
