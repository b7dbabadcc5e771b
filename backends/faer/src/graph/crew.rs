//! Workers that share the steps of one run.

use mountainpass_sdk::Host;
use std::sync::{Mutex, PoisonError};

/// Scratch of the kernels.
#[derive(Debug, Default)]
pub(crate) struct Work<T> {
    pub blocks: Vec<Vec<T>>,
    pub pair: [Vec<T>; 2],
}

/// Whoever is free to share a step, with scratch for each. Which parts a step has must not depend on how many there are.
pub(crate) struct Crew<'a, T> {
    pub host: Host<'a>,
    pub works: &'a [Mutex<Work<T>>],
}

impl<T: Send> Crew<'_, T> {
    /// Runs `body` once for every part.
    pub(crate) fn each<P: Send>(&self, parts: impl Iterator<Item = P>, body: impl Fn(P, &mut Work<T>) + Sync) {
        let mut parts: Vec<Option<P>> = parts.map(Some).collect();
        self.host.for_each(&mut parts, |part, _, worker| {
            // Never contended, as a worker runs one body at a time.
            let mut work = self.works[worker].lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(part) = part.take() {
                body(part, &mut work);
            }
        });
    }
}
