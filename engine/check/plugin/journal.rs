//! Which calls of the plugin are under way, written where the watching process can read it after a death.
//!
//! Every call takes a lane for its time. The lanes lie in a file that both processes map: what a process wrote there
//! stays when it dies, and writing is a few stores, cheap enough for every call.

#![forbid(unsafe_code)]

use super::shared::Shared;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

/// Calls under way at once that can be told apart; more of them go unwritten.
const LANES: usize = 32;
/// Bytes of a lane: whether it is taken, then its text, cut to fit and filled with zeros.
const LANE: usize = 120;

/// The lanes of one process.
pub struct Journal(Option<Shared>);

/// A call under way; dropping it ends the entry.
pub struct Lane<'a>(Option<&'a [AtomicU8]>);

impl Journal {
    /// A journal that nobody reads.
    pub fn none() -> Journal {
        Journal(None)
    }

    /// The file of a journal, empty, as the watching process makes it.
    pub fn create(path: &Path) -> std::io::Result<()> {
        File::create(path)?.set_len((LANES * LANE) as u64)
    }

    /// The journal of this process.
    pub fn open(path: &Path) -> std::io::Result<Journal> {
        let file = File::options().read(true).write(true).open(path)?;
        Ok(Journal(Some(Shared::map(&file, LANES * LANE)?)))
    }

    /// Notes that a call begins.
    pub fn enter(&self, text: &str) -> Lane<'_> {
        let lanes = self.0.as_ref().map(|shared| shared.bytes().chunks_exact(LANE)).into_iter().flatten();
        for lane in lanes {
            if lane[0].compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                let text = text.bytes().chain(std::iter::repeat(0));
                lane[1..].iter().zip(text).for_each(|(cell, byte)| cell.store(byte, Ordering::Relaxed));
                return Lane(Some(lane));
            }
        }
        Lane(None)
    }

    /// What was under way when the process of a journal ended, in words: "in eval (3 rows)".
    pub fn last(path: &Path) -> String {
        let bytes = std::fs::read(path).unwrap_or_default();
        let taken = bytes.chunks_exact(LANE).filter(|lane| lane[0] == 1);
        let mut calls: Vec<String> = taken
            .map(|lane| String::from_utf8_lossy(&lane[1..]).trim_end_matches(['\0', '\u{fffd}']).to_owned())
            .collect();
        calls.sort();
        calls.dedup();
        if calls.is_empty() { "between two calls".into() } else { format!("in {}", calls.join(" and ")) }
    }
}

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        if let Some(lane) = self.0 {
            lane[0].store(0, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_way_can_be_read_from_outside() {
        let path = std::env::temp_dir().join(format!("mpass-journal-{}", std::process::id()));
        Journal::create(&path).unwrap();
        let journal = Journal::open(&path).unwrap();
        assert_eq!(Journal::last(&path), "between two calls");
        let eval = journal.enter("eval (3 rows)");
        let info = journal.enter("info");
        assert_eq!(Journal::last(&path), "in eval (3 rows) and info");
        drop(eval);
        assert_eq!(Journal::last(&path), "in info");
        drop(info);
        let many: Vec<Lane<'_>> = (0..LANES + 5).map(|_| journal.enter(&"x".repeat(500))).collect();
        assert_eq!(Journal::last(&path), format!("in {}", "x".repeat(LANE - 1)));
        drop(many);
        drop(Journal::none().enter("anything"));
        std::fs::remove_file(&path).unwrap();
    }
}
