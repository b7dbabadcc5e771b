//! The token that stops a run. It is `run::Cancel` itself; what was given one holds a clone.

use super::barrier::take;
use crate::run::Cancel;

export! {
    /// A token that has not fired.
    fn mpass_cancel_new() -> *mut Cancel, else std::ptr::null_mut(); {
        Ok(Box::into_raw(Box::default()))
    }
}

/// Fires a token: one atomic store, no barrier and no last error, so that a signal handler may call it.
///
/// # Safety
/// `cancel` is NULL or a live token.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mpass_cancel_fire(cancel: *mut Cancel) {
    // SAFETY: forwarded from the caller; other threads may read and fire the token at the same time.
    if let Some(cancel) = unsafe { cancel.cast_const().as_ref() } {
        cancel.fire();
    }
}

export! {
    /// Frees a token.
    fn mpass_cancel_free(cancel: *mut Cancel) -> (), else (); {
        // SAFETY: the caller gives it up.
        unsafe { take(cancel) };
        Ok(())
    }
}
