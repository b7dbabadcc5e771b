//! The panic barrier around every entry, and the handles it guards.
//!
//! A panic is caught, its payload forgotten (dropping it may panic in turn), and answered with MPASS_E_INTERNAL. A
//! handle that was being changed stays poisoned, because nobody knows what the panic left of it.

use super::error;
use crate::error::{Error, Result};
use mountainpass_sdk::abi::Status;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, TryLockError};

/// Declares an entry of the header. The body is a closure's that returns a [`Result`]; its error becomes the thread's
/// last error. An entry without a return type answers with a status, another one with what stands for failure.
macro_rules! export {
    ($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// Every argument is as `include/mountainpass.h` asks.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($arg: $type),*) -> mountainpass_sdk::abi::Status {
            match $crate::capi::barrier::enter(|| $body) {
                Ok(()) => mountainpass_sdk::abi::status::OK,
                Err(status) => status,
            }
        }
    };
    ($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),* $(,)?) -> $out:ty, else $failed:expr; $body:block) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// Every argument is as `include/mountainpass.h` asks.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($arg: $type),*) -> $out {
            $crate::capi::barrier::enter(|| $body).unwrap_or($failed)
        }
    };
}

/// Runs the body of an entry and keeps its error for `mpass_last_error`; a panic is an internal error.
pub(super) fn enter<T>(body: impl FnOnce() -> Result<T>) -> std::result::Result<T, Status> {
    error::reset();
    let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        std::mem::forget(payload);
        Err(Error::Internal("a panic, whose message went to standard error".into()))
    });
    result.map_err(|error| {
        error::keep(&error);
        error.code()
    })
}

/// A handle that changes: one call at a time, and none after a panic.
pub struct Exclusive<T> {
    what: &'static str,
    state: Mutex<T>,
}

impl<T> Exclusive<T> {
    /// `what` is how messages call it.
    pub(super) fn new(what: &'static str, state: T) -> Exclusive<T> {
        Exclusive { what, state: Mutex::new(state) }
    }

    /// The state, for one call.
    pub(super) fn lock(&self) -> Result<MutexGuard<'_, T>> {
        self.state.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Error::Busy(self.what),
            TryLockError::Poisoned(_) => Error::Poisoned(self.what),
        })
    }

    /// An error once poisoned; for what is read beside the state.
    pub(super) fn check(&self) -> Result<()> {
        if self.state.is_poisoned() { Err(Error::Poisoned(self.what)) } else { Ok(()) }
    }
}

/// Gives a new handle to the caller.
///
/// # Safety
/// `out` is valid for a write.
pub(super) unsafe fn give<T>(out: *mut *mut T, handle: T) {
    // SAFETY: forwarded from the caller.
    unsafe { out.write(Box::into_raw(Box::new(handle))) };
}

/// Takes a handle back and drops it; nothing for NULL.
///
/// # Safety
/// `handle` is NULL or came from [`give`] and is given up.
pub(super) unsafe fn take<T>(handle: *mut T) {
    if !handle.is_null() {
        // SAFETY: forwarded from the caller.
        drop(unsafe { Box::from_raw(handle) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mountainpass_sdk::abi::status;

    #[test]
    fn a_panic_is_an_internal_error_and_poisons_what_it_held() {
        let handle = Exclusive::new("loss", 1);
        let panics = || {
            let _state = handle.lock()?;
            std::panic::resume_unwind(Box::new(7)) // Without the hook's message.
        };
        assert_eq!(enter::<()>(panics), Err(status::INTERNAL));
        assert_eq!(enter(|| handle.lock().map(|state| *state)), Err(status::POISONED));
        assert_eq!(enter(|| handle.check()), Err(status::POISONED));
    }

    #[test]
    fn a_handle_in_use_is_busy() {
        let handle = Exclusive::new("loss", 1);
        let state = handle.lock();
        assert_eq!(enter(|| handle.lock().map(|state| *state)), Err(status::BUSY));
        drop(state);
        assert_eq!(enter(|| handle.lock().map(|state| *state)), Ok(1));
    }
}
