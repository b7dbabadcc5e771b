//! One direction of a conversation: a turn, whether somebody sleeps on it, and a few words, all on one cache line.
//!
//! Who sends stores the words, then the turn, and wakes the other side only if it sleeps: both spin for a moment first,
//! as the threads of the pool do.

use super::system;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a side spins before it sleeps. A round trip takes half a microsecond where both spin, six where both sleep.
const SPIN: Duration = Duration::from_micros(20);
/// Words of a channel.
pub const WORDS: usize = 7;

/// One direction between two processes.
#[repr(C, align(64))]
pub struct Channel {
    turn: AtomicU32,
    asleep: AtomicU32,
    pub(super) words: [AtomicU64; WORDS],
}

/// What a side has learned of spinning.
#[derive(Default)]
pub struct Patience {
    /// Waits to come without spinning, and how many there were after the last spin in vain.
    skip: u32,
    vain: u32,
}

impl Channel {
    /// Sends words as a turn.
    pub fn send(&self, turn: u32, words: [u64; WORDS]) {
        for (slot, word) in self.words.iter().zip(words) {
            slot.store(word, Ordering::Relaxed);
        }
        // In the one order of all sequentially consistent accesses either this side sees the sleeper, or the sleeper
        // sees the turn.
        self.turn.store(turn, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) != 0 {
            system::wake(&self.turn);
        }
    }

    /// The latest turn; what was written before it is visible.
    pub fn turn(&self) -> u32 {
        self.turn.load(Ordering::Acquire)
    }

    /// The words of the latest turn.
    pub fn words(&self) -> [u64; WORDS] {
        std::array::from_fn(|i| self.words[i].load(Ordering::Relaxed))
    }

    /// Looks for a moment whether a turn has come that `awaited` is true for. After spinning in vain it does so more
    /// rarely: the call is a long one, or both sides share one core, where nothing comes while this one holds it.
    /// (Yielding instead gives the core to whoever else wants it, for milliseconds.)
    pub fn spin(&self, patience: &mut Patience, awaited: impl Fn(u32) -> bool) -> bool {
        if patience.skip > 0 {
            patience.skip -= 1;
            return awaited(self.turn());
        }
        let since = Instant::now();
        while since.elapsed() < SPIN {
            for _ in 0..16 {
                if awaited(self.turn()) {
                    patience.vain = 0;
                    return true;
                }
                std::hint::spin_loop();
            }
        }
        patience.vain = (2 * patience.vain + 1).min(63);
        patience.skip = patience.vain;
        false
    }

    /// Sleeps until a turn has come that `awaited` is true for, at most for a time; whether it has.
    pub fn sleep(&self, awaited: impl Fn(u32) -> bool, most: Duration) -> bool {
        self.asleep.store(1, Ordering::SeqCst);
        let seen = self.turn.load(Ordering::SeqCst);
        if !awaited(seen) {
            system::wait(&self.turn, seen, most);
        }
        self.asleep.store(0, Ordering::Relaxed);
        awaited(self.turn())
    }
}
