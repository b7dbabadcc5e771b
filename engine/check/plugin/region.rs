//! Pages of our own that a plugin is given: what it writes outside shows, what it must not touch cannot be touched.
//!
//! A [`GuardedRegion`] has the bytes of one argument in its middle. Between [`Fence::Room`]s there is room on both sides, so
//! that a plugin that strays harms nobody and only the test that looks at [`GuardedRegion::strayed`] says so. Against a
//! [`Fence::Guard`] the bytes end where a page ends that is not mapped: reading on is a segmentation fault. A region that
//! is buried leaves a hole: a pointer that was kept leads nowhere then.

use crate::check::verdict::{Outcome, skip};

/// What lies round the bytes of a region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fence {
    /// Writable pages full of canaries, before and behind.
    #[default]
    Room,
    /// Canaries before; behind the last byte a page that cannot be read.
    Guard,
}

/// What no plugin writes by chance, four times in a row at least.
pub(super) const CANARY: u8 = 0xC5;
/// The least room on either side; behind matrices there is room for another row, too.
const ROOM: usize = 4096;

/// Mapped pages with `len` bytes of use in the middle.
pub struct GuardedRegion {
    base: *mut u8,
    mapped: usize,
    start: usize,
    len: usize,
    /// The mapped, readable bytes: all but a guard page.
    readable: usize,
}

// SAFETY: a region owns its pages like a `Box<[u8]>`; whoever is handed the pointer answers for its use.
unsafe impl Send for GuardedRegion {}
// SAFETY: as above; shared references only read.
unsafe impl Sync for GuardedRegion {}

impl GuardedRegion {
    /// `len` bytes full of canaries; `room` bytes or more on either side where there is room. Costs a system call and
    /// the pages it fills. Skips where the system has no memory.
    pub fn new(len: usize, room: usize, fence: Fence) -> Outcome<GuardedRegion> {
        GuardedRegion::map(len, room, fence).ok_or_else(|| skip("this machine has not enough memory for the test"))
    }

    fn map(len: usize, room: usize, fence: Fence) -> Option<GuardedRegion> {
        let page = page();
        let up = |bytes: usize| bytes.checked_next_multiple_of(page);
        let side = up(room.max(ROOM))?;
        let (start, readable, mapped) = match fence {
            Fence::Room => {
                let all = up(len)?.checked_add(side.checked_mul(2)?)?;
                (side, all, all)
            }
            Fence::Guard => {
                let readable = up(len)?.checked_add(page)?;
                (readable - len, readable, readable.checked_add(page)?)
            }
        };
        // SAFETY: fresh anonymous pages, owned by the region.
        let base = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            libc::mmap(std::ptr::null_mut(), mapped, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        if base == libc::MAP_FAILED {
            return None;
        }
        let mut region = GuardedRegion { base: base.cast(), mapped, start, len, readable };
        if fence == Fence::Guard {
            region.protect(readable, mapped, libc::PROT_NONE);
        }
        region.outside().for_each(|bytes| bytes.fill(CANARY));
        Some(region)
    }

    /// A record of the contract as someone with another idea of its size hands it out: `size` bytes of it, zeros behind
    /// what we know, and `size` stamped into its first field.
    pub fn record<T: Copy>(record: &T, size: usize, fence: Fence) -> Outcome<GuardedRegion> {
        let mut region = GuardedRegion::new(size, 0, fence)?;
        region.bytes_mut().fill(0);
        let known = size.min(size_of::<T>());
        // SAFETY: both are that large; a copy of bytes keeps the pointers inside as they are.
        unsafe { std::ptr::copy_nonoverlapping(std::ptr::from_ref(record).cast(), region.start(), known) };
        region.bytes_mut()[..4].copy_from_slice(&(size as u32).to_ne_bytes());
        Ok(region)
    }

    /// The size of its memory, for a budget.
    pub fn weight(&self) -> usize {
        self.mapped
    }

    /// The first byte of use; never NULL, even of an empty region.
    pub fn start(&self) -> *mut u8 {
        self.base.wrapping_add(self.start)
    }

    /// The bytes of use.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: mapped, readable pages of our own; bytes have no invalid values.
        unsafe { std::slice::from_raw_parts(self.start(), self.len) }
    }

    /// The bytes of use, to fill them before a plugin sees them.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and writable until `read_only`, which takes the region.
        unsafe { std::slice::from_raw_parts_mut(self.start(), self.len) }
    }

    /// The same region, not to be written to any more: whoever does dies of a segmentation fault.
    pub fn read_only(mut self) -> GuardedRegion {
        self.protect(0, self.readable, libc::PROT_READ);
        self
    }

    /// Takes the bytes away for good: whoever kept a pointer to them dies of a segmentation fault. The addresses are not
    /// given to anybody else, as they would be if the pages were merely unmapped.
    pub fn bury(mut self) {
        self.protect(0, self.mapped, libc::PROT_NONE);
        // SAFETY: the pages of this region, which nobody may touch any more.
        unsafe { libc::madvise(self.base.cast(), self.mapped, libc::MADV_DONTNEED) };
        std::mem::forget(self);
    }

    /// Which side of the bytes of use was written to, if any.
    pub fn strayed(&self) -> Option<&'static str> {
        // SAFETY: readable pages of our own.
        let all = unsafe { std::slice::from_raw_parts(self.base, self.readable) };
        let intact = |bytes: &[u8]| bytes.iter().all(|&byte| byte == CANARY);
        if !intact(&all[..self.start]) {
            Some("before the start")
        } else if !intact(&all[self.start + self.len..]) {
            Some("past the end")
        } else {
            None
        }
    }

    fn outside(&mut self) -> impl Iterator<Item = &mut [u8]> {
        // SAFETY: pages of our own, writable at this time.
        let all = unsafe { std::slice::from_raw_parts_mut(self.base, self.readable) };
        let (before, rest) = all.split_at_mut(self.start);
        [before, &mut rest[self.len..]].into_iter()
    }

    fn protect(&mut self, from: usize, to: usize, how: i32) {
        let first = self.base.wrapping_add(from);
        // SAFETY: whole pages of this region.
        unsafe { libc::mprotect(first.cast(), to - from, how) };
    }
}

impl Drop for GuardedRegion {
    fn drop(&mut self) {
        // SAFETY: the pages of this region, which nothing of ours refers to any more.
        unsafe { libc::munmap(self.base.cast(), self.mapped) };
    }
}

/// The bytes of a page of memory.
pub(super) fn page() -> usize {
    // SAFETY: asks the system for a constant.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::verdict::Ending;

    #[test]
    fn a_wall_stands_right_behind_the_last_byte() {
        let region = GuardedRegion::new(24, 0, Fence::Guard).unwrap();
        assert!((region.start().addr() + 24).is_multiple_of(page()));
        assert_eq!(region.bytes().len(), 24);
        // Asked of the system, which does not fault: the byte behind the last is not there.
        let (_reader, writer) = std::io::pipe().unwrap();
        let written = |at: usize| {
            let byte = region.start().wrapping_add(at);
            // SAFETY: write(2) answers EFAULT for memory that cannot be read.
            unsafe { libc::write(std::os::fd::AsRawFd::as_raw_fd(&writer), byte.cast(), 1) }
        };
        assert_eq!((written(23), written(24)), (1, -1));
        let at = region.start().addr();
        region.bury();
        let after: Vec<GuardedRegion> = (0..8).map(|_| GuardedRegion::new(24, 0, Fence::Guard).unwrap()).collect();
        assert!(after.iter().all(|region| region.start().addr() != at), "the addresses stay empty");
    }

    #[test]
    fn more_than_there_is_ends_the_test() {
        assert!(matches!(GuardedRegion::new(usize::MAX - 10, 0, Fence::Room), Err(Ending::Skip(_))));
    }
}
