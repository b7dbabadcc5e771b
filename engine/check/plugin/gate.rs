//! A gate that opens when everybody has come, so that calls of several threads begin within a microsecond, on a busy
//! machine too.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// For a fixed number of threads, again and again.
pub struct Gate {
    parties: usize,
    waiting: AtomicUsize,
    opened: AtomicUsize,
    broken: AtomicBool,
}

/// Whoever waits longer than this may share a core with those who are to come: a few of the scheduler's turns.
const SPIN: Duration = Duration::from_millis(10);

impl Gate {
    /// A gate for that many threads.
    pub fn new(parties: usize) -> Gate {
        let (waiting, opened) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Gate { parties, waiting, opened, broken: AtomicBool::new(false) }
    }

    /// Lets all go while all of them run: who came first may have lost its core by the time the last one comes, so
    /// everybody is asked twice more.
    pub fn together(&self) {
        (0..3).for_each(|_| self.wait());
    }

    /// Waits for all others. Sleeping would tear apart what is to begin together, so it spins, for a while at least.
    pub fn wait(&self) {
        let turn = self.opened.load(Ordering::Acquire);
        if self.waiting.fetch_add(1, Ordering::AcqRel) + 1 == self.parties {
            self.waiting.store(0, Ordering::Release);
            self.opened.fetch_add(1, Ordering::AcqRel);
            return;
        }
        let since = Instant::now();
        while self.opened.load(Ordering::Acquire) == turn && !self.is_broken() {
            if since.elapsed() < SPIN { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
    }

    /// True once nobody is held any more.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Holds nobody any more: one of the threads will not come.
    pub fn break_open(&self) {
        self.broken.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_passes_before_everybody_has_come() {
        let (gate, counter) = (Gate::new(3), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for round in 1..=200 {
                        counter.fetch_add(1, Ordering::SeqCst);
                        gate.together();
                        assert!(counter.load(Ordering::SeqCst) >= 3 * round);
                        gate.wait();
                    }
                });
            }
        });
        gate.break_open();
        gate.wait(); // Alone, and not for ever.
    }
}
