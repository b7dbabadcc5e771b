//! Samples of a part of the data, laid out once and read by all calls.
//!
//! Whoever comes while another lays them out waits, and asks meanwhile whether to stop. Once all are laid out nobody writes
//! any more.

use mountainpass_sdk::{Cancel, Error, Host};
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError, TryLockResult};
use std::time::Duration;

/// Who lays out samples, and until when.
#[derive(Clone, Copy)]
pub struct Hands<'a> {
    /// The workers.
    pub host: Host<'a>,
    /// Who may stop them.
    pub cancel: Option<Cancel<'a>>,
}

impl Hands<'_> {
    /// Whether they are to stop.
    pub fn stopped(&self) -> bool {
        self.cancel.is_some_and(|cancel| cancel.fired())
    }
}

/// Samples laid out.
#[derive(Default)]
pub(crate) struct Part<L> {
    /// How many; 0 until all are there, though some of a trunk's values may be.
    pub n: usize,
    pub laid: L,
}

/// A part for all calls.
#[derive(Default)]
pub struct Kept<L>(RwLock<Part<L>>);

/// How often whoever waits looks again.
const PATIENCE: Duration = Duration::from_micros(200);

impl<L> Kept<L> {
    pub(crate) fn read(&self, hands: Hands<'_>) -> Result<RwLockReadGuard<'_, Part<L>>, Error> {
        patiently(hands, || self.0.try_read())
    }

    pub(crate) fn write(&self, hands: Hands<'_>) -> Result<RwLockWriteGuard<'_, Part<L>>, Error> {
        patiently(hands, || self.0.try_write())
    }

    /// All `n` samples, laid out by the first who asks.
    pub(crate) fn all(
        &self,
        n: usize,
        hands: Hands<'_>,
        lay_out: impl FnOnce(&mut L) -> Result<(), Error>,
    ) -> Result<RwLockReadGuard<'_, Part<L>>, Error> {
        let part = self.read(hands)?;
        if part.n > 0 {
            return Ok(part);
        }
        drop(part);
        let mut part = self.write(hands)?;
        if part.n == 0 {
            lay_out(&mut part.laid)?;
            part.n = n;
        }
        drop(part);
        self.read(hands)
    }
}

fn patiently<G>(hands: Hands<'_>, mut attempt: impl FnMut() -> TryLockResult<G>) -> Result<G, Error> {
    loop {
        match attempt() {
            Ok(guard) => return Ok(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if hands.stopped() => return Err(Error::cancelled()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(PATIENCE),
        }
    }
}
