//! The last error of each thread.

use crate::error::Error;
use mountainpass_sdk::abi;
use std::cell::UnsafeCell;

thread_local! {
    /// In the thread's own memory, which `mpass_last_error` hands out; has no destructor to run before other threads'
    /// locals do.
    static LAST: UnsafeCell<abi::Error> = const { UnsafeCell::new(abi::Error::NONE) };
}

/// Forgets the last error, on entry.
pub(super) fn reset() {
    // SAFETY: no reference to the record outlives a line like this one, and no other thread sees it.
    LAST.with(|last| unsafe { (*last.get()).set(abi::status::OK, "") });
}

/// Keeps an error for `mpass_last_error`.
pub(super) fn keep(error: &Error) {
    // SAFETY: as above.
    LAST.with(|last| unsafe { (*last.get()).set(error.code(), &error.to_string()) });
}

/// What went wrong in this thread's latest call.
#[unsafe(no_mangle)]
pub extern "C" fn mpass_last_error() -> *const abi::Error {
    LAST.with(|last| last.get().cast_const())
}
