//! A mapping: a part of a file in the memory of this process, for as long as it lives.

use super::system;
use crate::error::{Error, Result};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

/// A part of a file in the memory of this process.
pub struct Mapping {
    base: NonNull<u8>,
    size: usize,
}

// SAFETY: a mapping is memory like any other; nothing about it belongs to a thread.
unsafe impl Send for Mapping {}
// SAFETY: shared references lead to atomics only (`memory.rs`).
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `size` bytes of a file from an offset on.
    pub fn new(file: &File, from: usize, size: usize) -> Result<Mapping> {
        let (protection, offset) = (libc::PROT_READ | libc::PROT_WRITE, from as libc::off_t);
        // SAFETY: a new mapping at an address that the system chooses touches nothing that exists.
        let base =
            unsafe { libc::mmap(std::ptr::null_mut(), size, protection, libc::MAP_SHARED, file.as_raw_fd(), offset) };
        mapped(base).map(|base| Mapping { base, size })
    }

    /// Follows the file where it has grown; the mapping may move.
    pub fn stretch(&mut self, size: usize) -> Result<()> {
        // SAFETY: all of our own mapping, to which there are no other references; where this fails it stays as it is.
        self.base = mapped(unsafe { system::stretch(self.base, self.size, size) })?;
        self.size = size;
        Ok(())
    }

    /// Leaves it out of copies of this process.
    pub fn keep_from_copies(&self) -> Result<()> {
        // SAFETY: all of our own mapping, of which nothing changes in this process.
        unsafe { system::keep_from_copies(self.base, self.size) }.map_err(fault)
    }

    /// Its first byte.
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Its length in bytes.
    pub fn size(&self) -> usize {
        self.size
    }
}

fn mapped(base: *mut libc::c_void) -> Result<NonNull<u8>> {
    NonNull::new(base.cast::<u8>())
        .filter(|_| base != libc::MAP_FAILED)
        .ok_or_else(|| fault(std::io::Error::last_os_error()))
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, and no reference outlives its owner.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.size) };
    }
}

/// What the system says of memory that is shared.
pub fn fault(error: std::io::Error) -> Error {
    Error::io("shared memory", error)
}
