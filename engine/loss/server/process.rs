//! What a server does to its own process before it loads foreign code: streams, limits, and a watch on the engine.

#![allow(unsafe_code)]

use crate::error::{Error, Result};
use crate::loss::isolated::shared::Page;
use crate::run::Cancel;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::parent_id;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often the watch looks whether the engine has gone or wants a call to stop.
const WATCH: Duration = Duration::from_millis(20);

/// What a server is started with: the memory as standard input, the log as standard output.
pub struct Streams {
    pub shared: File,
    pub log: File,
}

impl Streams {
    /// Takes both away from the backend, which then reads nothing and whose prints go to standard error.
    pub fn take() -> Result<Streams> {
        let fault = |e| Error::io("standard streams", e);
        let shared = std::io::stdin().as_fd().try_clone_to_owned().map_err(fault)?.into();
        let log = std::io::stdout().as_fd().try_clone_to_owned().map_err(fault)?.into();
        let null = File::open("/dev/null").map_err(fault)?;
        for (from, to) in [(null.as_raw_fd(), 0), (2, 1)] {
            // SAFETY: descriptors of this process; nothing has used these yet.
            unsafe { libc::dup2(from, to) };
        }
        Ok(Streams { shared, log })
    }
}

/// Limits what this process may allocate, for good, and offers it first to a system that runs out of memory. No core
/// files: a backend that crashes at a thousand points would fill the disk.
pub fn limit(memory: u64) {
    let set = |resource, most: u64| {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: fills the one record.
        if unsafe { libc::getrlimit(resource, &raw mut limit) } == 0 {
            // Both, or a backend could raise the one to the other.
            limit.rlim_max = limit.rlim_max.min(most as libc::rlim_t);
            limit.rlim_cur = limit.rlim_max;
            // SAFETY: reads the one record. A limit that cannot be set leaves the system's own.
            unsafe { libc::setrlimit(resource, &raw const limit) };
        }
    };
    set(libc::RLIMIT_DATA, memory);
    set(libc::RLIMIT_CORE, 0);
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}

/// The token of the call that is being computed.
pub type Current = Arc<Mutex<Cancel>>;

/// Starts the watch: it fires the token when the engine says so, and ends this process with all it has started when the
/// engine is gone. (PR_SET_PDEATHSIG would follow the engine's thread, not the engine.)
pub fn watch(header: Page, current: Current) -> Result<()> {
    let engine = header.engine.load(Ordering::Relaxed); // Before a backend can write over it.
    let look = move || {
        loop {
            std::thread::sleep(WATCH);
            if parent_id() != engine {
                end();
            }
            // The lock keeps an old call's word from firing a new call's token.
            let token = current.lock().unwrap_or_else(PoisonError::into_inner);
            if header.cancel.load(Ordering::Acquire) != 0 {
                token.fire();
            }
        }
    };
    let watch = std::thread::Builder::new().name("mpass-watch".into()).spawn(look);
    watch.map(|_| ()).map_err(|e| Error::io("the watch of a server", e))
}

/// Ends this process with all it has started.
fn end() -> ! {
    // SAFETY: reads a number of this process.
    if unsafe { libc::getpgrp() }.unsigned_abs() == std::process::id() {
        // SAFETY: signals this process's own group, which the engine has made for it.
        unsafe { libc::kill(0, libc::SIGKILL) };
    }
    // SAFETY: ends this process, whatever state it is in.
    unsafe { libc::_exit(1) }
}
