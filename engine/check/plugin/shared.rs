//! Memory that the process of a test shares with the one that watches it, and that outlives it.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::atomic::AtomicU8;

/// The bytes of a file, mapped.
pub struct Shared {
    base: *const AtomicU8,
    len: usize,
}

// SAFETY: the page is atomic bytes.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// Maps the first `len` bytes of a file that is that long.
    pub fn map(file: &File, len: usize) -> std::io::Result<Shared> {
        // SAFETY: a mapping of its own; the descriptor is open.
        let base = unsafe {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            libc::mmap(std::ptr::null_mut(), len, protection, libc::MAP_SHARED, file.as_raw_fd(), 0)
        };
        if base == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        Ok(Shared { base: base.cast_const().cast(), len })
    }

    /// The bytes, to be read and written by any thread of either process.
    pub fn bytes(&self) -> &[AtomicU8] {
        // SAFETY: mapped until dropped, and touched as atomic bytes only.
        unsafe { std::slice::from_raw_parts(self.base, self.len) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the mapping of this value, which nothing refers to any more.
        unsafe { libc::munmap(self.base.cast_mut().cast(), self.len) };
    }
}
