//! A panic of the author's code, caught before it leaves for C.

use crate::{Error, abi};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs author's code; a panic becomes the error outside.
pub(crate) fn caught<T>(body: impl FnOnce() -> T) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(body))
        .map_err(|payload| Error { code: abi::status::INTERNAL, text: format!("panic: {}", message(payload)) })
}

/// What a panic said. A payload that is no text is left alone for ever: its drop may panic in turn.
pub(crate) fn message(payload: Box<dyn Any + Send>) -> String {
    let payload = match payload.downcast::<String>() {
        Ok(text) => return *text,
        Err(payload) => payload,
    };
    match payload.downcast::<&str>() {
        Ok(text) => (*text).to_owned(),
        Err(payload) => {
            std::mem::forget(payload);
            "no message".into()
        }
    }
}
