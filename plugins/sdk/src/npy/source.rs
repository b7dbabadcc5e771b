//! The bytes of a file, from its start to its end.

use super::fault::Fault;
use crate::memory;
use std::io::Read;

/// A file being read.
pub(super) struct Source<R> {
    from: R,
    /// Bytes that are left, where that is known.
    pub left: Option<u64>,
}

impl<R: Read> Source<R> {
    /// A file of `length` bytes.
    pub fn new(from: R, length: Option<u64>) -> Source<R> {
        Source { from, left: length }
    }

    /// Fills a block as far as the file goes; how far that is.
    pub fn fill(&mut self, block: &mut [u8]) -> Result<usize, Fault> {
        let full = memory::fill(&mut self.from, block).map_err(Fault::Source)?;
        self.left = self.left.map(|left| left.saturating_sub(full as u64));
        Ok(full)
    }
}
