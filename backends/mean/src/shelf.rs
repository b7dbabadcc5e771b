//! What a call works with: taken, and put back for the next one.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// As many as were ever in use at one time; which of them is taken decides no number.
pub(crate) struct Shelf<S>(Mutex<Vec<S>>);

impl<S> Default for Shelf<S> {
    fn default() -> Shelf<S> {
        Shelf(Mutex::new(Vec::new()))
    }
}

impl<S: Default> Shelf<S> {
    /// Lends the one that was put back last, or a new one.
    pub fn with<R>(&self, body: impl FnOnce(&mut S) -> R) -> R {
        let spare = self.spare().pop();
        let mut taken = spare.unwrap_or_default();
        let result = body(&mut taken);
        self.spare().push(taken);
        result
    }

    fn spare(&self) -> MutexGuard<'_, Vec<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
