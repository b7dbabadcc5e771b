//! What only Linux has: memory files that are sealed, mappings that stay out of copies, futexes.

use std::fs::File;
use std::io::{Error, Result};
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// An empty file in memory that can grow and never shrink.
pub fn memory_file() -> Result<File> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: a terminated text and flags.
    let descriptor = unsafe { libc::memfd_create(c"mpass".as_ptr(), flags) };
    if descriptor < 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: a new descriptor that nobody else has.
    let file = unsafe { File::from_raw_fd(descriptor) };
    // SAFETY: a descriptor of our own and flags.
    match unsafe { libc::fcntl(descriptor, libc::F_ADD_SEALS, libc::F_SEAL_SHRINK | libc::F_SEAL_SEAL) } {
        0 => Ok(file),
        _ => Err(Error::last_os_error()),
    }
}

/// Grows a file to `size` bytes that are there: without them a later access would end the process.
pub fn reserve(file: &File, size: usize) -> Result<()> {
    // SAFETY: a descriptor of our own and two numbers.
    match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, size as libc::off_t) } {
        0 => Ok(()),
        code => Err(Error::from_raw_os_error(code)),
    }
}

/// A mapping of `size` bytes at `base` with another size, wherever it lies then.
///
/// # Safety
/// It is a mapping of the caller's, to all of which there are no references. Where this fails it stays as it is.
pub unsafe fn stretch(base: NonNull<u8>, size: usize, other: usize) -> *mut libc::c_void {
    // SAFETY: forwarded.
    unsafe { libc::mremap(base.as_ptr().cast(), size, other, libc::MREMAP_MAYMOVE) }
}

/// Leaves a mapping of `size` bytes at `base` out of copies of this process.
///
/// # Safety
/// It is a mapping of the caller's.
pub unsafe fn keep_from_copies(base: NonNull<u8>, size: usize) -> Result<()> {
    // SAFETY: forwarded; nothing of it changes in this process.
    match unsafe { libc::madvise(base.as_ptr().cast(), size, libc::MADV_DONTFORK) } {
        0 => Ok(()),
        _ => Err(Error::last_os_error()),
    }
}

/// Sleeps while the word is `seen`, at most for a time.
pub fn wait(word: &AtomicU32, seen: u32, most: Duration) {
    let time = libc::timespec {
        tv_sec: most.as_secs().min(1 << 30) as libc::time_t,
        tv_nsec: most.subsec_nanos() as libc::c_long,
    };
    // SAFETY: the word lives through the call; a wait that fails is one that ends early.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, seen, &raw const time) };
}

/// Wakes who sleeps on the word.
pub fn wake(word: &AtomicU32) {
    // SAFETY: as for `wait`.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) };
}
