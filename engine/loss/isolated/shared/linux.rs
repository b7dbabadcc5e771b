//! What only Linux has: memory files that are sealed, mappings that stay out of copies, futexes.

use super::*;
use std::os::fd::FromRawFd;

/// An empty file in memory that can grow and never shrink.
pub fn memory_file() -> Result<File> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: a terminated text and flags.
    let descriptor = unsafe { libc::memfd_create(c"mpass".as_ptr(), flags) };
    if descriptor < 0 {
        return Err(fault());
    }
    // SAFETY: a new descriptor that nobody else has.
    let file = unsafe { File::from_raw_fd(descriptor) };
    // SAFETY: a descriptor of our own and flags.
    match unsafe { libc::fcntl(descriptor, libc::F_ADD_SEALS, libc::F_SEAL_SHRINK | libc::F_SEAL_SEAL) } {
        0 => Ok(file),
        _ => Err(fault()),
    }
}

/// Grows a file to `size` bytes that are there: without them a later access would end the process.
pub fn reserve(file: &File, size: usize) -> Result<()> {
    // SAFETY: a descriptor of our own and two numbers.
    match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, size as libc::off_t) } {
        0 => Ok(()),
        code => Err(Error::io("shared memory", std::io::Error::from_raw_os_error(code))),
    }
}

/// The mapping with another size, wherever it lies then.
pub fn stretch(mapping: &mut Mapping, size: usize) -> *mut libc::c_void {
    // SAFETY: all of our own mapping, to which there are no other references; where this fails it stays as it is.
    unsafe { libc::mremap(mapping.base.as_ptr().cast(), mapping.size, size, libc::MREMAP_MAYMOVE) }
}

/// Leaves a mapping out of copies of this process.
pub fn keep_from_copies(mapping: &Mapping) -> Result<()> {
    // SAFETY: all of our own mapping, of which nothing changes in this process.
    match unsafe { libc::madvise(mapping.base.as_ptr().cast(), mapping.size, libc::MADV_DONTFORK) } {
        0 => Ok(()),
        _ => Err(fault()),
    }
}

pub fn wait(word: &AtomicU32, seen: u32, most: Duration) {
    let time = libc::timespec {
        tv_sec: most.as_secs().min(1 << 30) as libc::time_t,
        tv_nsec: most.subsec_nanos() as libc::c_long,
    };
    // SAFETY: the word lives through the call; a wait that fails is one that ends early.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, seen, &raw const time) };
}

pub fn wake(word: &AtomicU32) {
    // SAFETY: as for `wait`.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) };
}
