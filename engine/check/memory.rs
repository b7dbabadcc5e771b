//! Pages of our own that a plugin is given: what it writes outside shows, what it must not touch cannot be touched.
//!
//! A [`Region`] has the bytes of one argument in its middle. Between [`Fence::Room`]s there is room on both sides, so
//! that a plugin that strays harms nobody and only the test that looks at [`Region::strayed`] says so. Against a
//! [`Fence::Wall`] the bytes end where a page ends that is not mapped: reading on is a segmentation fault. A region that
//! is buried leaves a hole: a pointer that was kept leads nowhere then.

use mountainpass_sdk::abi;
use std::sync::atomic::AtomicU8;

/// What lies round the bytes of a region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fence {
    /// Writable pages full of canaries, before and behind.
    #[default]
    Room,
    /// Canaries before; behind the last byte a page that cannot be read.
    Wall,
}

/// What no plugin writes by chance, four times in a row at least.
const CANARY: u8 = 0xC5;
/// The least room on either side; behind matrices there is room for another row, too.
const ROOM: usize = 4096;

/// Mapped pages with `len` bytes of use in the middle.
pub struct Region {
    base: *mut u8,
    mapped: usize,
    start: usize,
    len: usize,
    /// The mapped, readable bytes: all but a wall.
    readable: usize,
}

// SAFETY: a region owns its pages like a `Box<[u8]>`; whoever is handed the pointer answers for its use.
unsafe impl Send for Region {}
// SAFETY: as above; shared references only read.
unsafe impl Sync for Region {}

impl Region {
    /// `len` bytes full of canaries; `room` bytes or more on either side where there is room. Costs a system call and
    /// the pages it fills. `None` where the system has no memory.
    pub fn new(len: usize, room: usize, fence: Fence) -> Option<Region> {
        let page = page();
        let up = |bytes: usize| bytes.checked_next_multiple_of(page);
        let side = up(room.max(ROOM))?;
        let (start, readable, mapped) = match fence {
            Fence::Room => {
                let all = up(len)?.checked_add(side.checked_mul(2)?)?;
                (side, all, all)
            }
            Fence::Wall => {
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
        let mut region = Region { base: base.cast(), mapped, start, len, readable };
        if fence == Fence::Wall {
            region.protect(readable, mapped, libc::PROT_NONE);
        }
        region.outside().for_each(|bytes| bytes.fill(CANARY));
        Some(region)
    }

    /// A record of the contract as someone with another idea of its size hands it out: `size` bytes of it, zeros behind
    /// what we know, and `size` stamped into its first field.
    pub fn record<T: Copy>(record: &T, size: usize, fence: Fence) -> Option<Region> {
        let mut region = Region::new(size, 0, fence)?;
        region.bytes_mut().fill(0);
        let known = size.min(size_of::<T>());
        // SAFETY: both are that large; a copy of bytes keeps the pointers inside as they are.
        unsafe { std::ptr::copy_nonoverlapping(std::ptr::from_ref(record).cast(), region.start(), known) };
        region.bytes_mut()[..4].copy_from_slice(&(size as u32).to_ne_bytes());
        Some(region)
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
    pub fn read_only(mut self) -> Region {
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

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the pages of this region, which nothing of ours refers to any more.
        unsafe { libc::munmap(self.base.cast(), self.mapped) };
    }
}

fn page() -> usize {
    // SAFETY: asks the system for a constant.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// A row-major matrix in a region, with gaps between its rows, as a plugin is given it.
pub struct Matrix {
    region: Region,
    rows: usize,
    cols: usize,
    stride: usize,
    /// Bytes of an element.
    size: usize,
    dtype: u32,
}

impl Matrix {
    /// A matrix whose every element is `preset`; its gaps are canaries.
    pub fn filled<T: bytemuck::Pod>(
        preset: T,
        (rows, cols): (usize, usize),
        gap: usize,
        dtype: u32,
        fence: Fence,
    ) -> Option<Matrix> {
        let (size, stride) = (size_of::<T>(), cols.checked_add(gap)?);
        let elements = match rows {
            0 => 0,
            _ => (rows - 1).checked_mul(stride)?.checked_add(cols)?,
        };
        let region = Region::new(elements.checked_mul(size)?, stride.checked_mul(size)?, fence)?;
        let mut matrix = Matrix { region, rows, cols, stride, size, dtype };
        if gap > 0 {
            matrix.region.bytes_mut().fill(CANARY);
        }
        for row in 0..rows {
            let cells = matrix.cells(row);
            bytemuck::cast_slice_mut::<u8, T>(&mut matrix.region.bytes_mut()[cells]).fill(preset);
        }
        Some(matrix)
    }

    /// A matrix of `values`, which a plugin may read only.
    pub fn input<T: bytemuck::Pod>(values: &[T], cols: usize, gap: usize, dtype: u32, fence: Fence) -> Option<Matrix> {
        let rows = values.len().checked_div(cols).unwrap_or(1);
        let mut matrix = Matrix::filled(T::zeroed(), (rows, cols), gap, dtype, fence)?;
        for (row, values) in values.chunks_exact(cols.max(1)).enumerate() {
            let cells = matrix.cells(row);
            matrix.region.bytes_mut()[cells].copy_from_slice(bytemuck::cast_slice(values));
        }
        // Room is for those who stray, and what they break there is another test's to find.
        if fence == Fence::Wall {
            matrix.region = matrix.region.read_only();
        }
        Some(matrix)
    }

    /// The view a plugin is given; it lives as long as the matrix.
    pub fn view(&self) -> abi::View {
        abi::View {
            data: self.region.start().cast(),
            rows: self.rows as u64,
            cols: self.cols as u64,
            row_stride: self.stride as u64,
            dtype: self.dtype,
            memory: abi::memory::HOST,
            device: 0,
            reserved: 0,
        }
    }

    /// Takes the matrix away for good; see [`Region::bury`].
    pub fn bury(self) {
        self.region.bury();
    }

    /// The size of its memory, for a budget.
    pub fn weight(&self) -> usize {
        self.region.mapped
    }

    /// The elements, gaps left out.
    pub fn read<T: bytemuck::Pod>(&self) -> Vec<T> {
        let rows = (0..self.rows).map(|row| bytemuck::cast_slice(&self.region.bytes()[self.cells(row)]));
        rows.collect::<Vec<&[T]>>().concat()
    }

    /// Where outside its elements something was written, as the end of "wrote ...".
    pub fn strayed(&self, name: &str) -> Option<String> {
        let gap = |row: &usize| self.region.bytes()[self.cells(*row).end..self.cells(row + 1).start].to_vec();
        let torn = |row: &usize| gap(row).iter().any(|&byte| byte != CANARY);
        match self.region.strayed() {
            Some(side) => Some(format!("{side} of {name} ({} x {})", self.rows, self.cols)),
            None if self.stride == self.cols => None,
            None => {
                let row = (0..self.rows.saturating_sub(1)).find(torn)?;
                Some(format!("into the gap behind row {row} of {name}"))
            }
        }
    }

    /// The bytes of a row.
    fn cells(&self, row: usize) -> std::ops::Range<usize> {
        let start = row * self.stride * self.size;
        start..start + self.cols * self.size
    }
}

/// A page that this process shares with the one that watches it, over a file.
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
    pub fn map(file: &std::fs::File, len: usize) -> std::io::Result<Shared> {
        use std::os::fd::AsRawFd;
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

#[cfg(test)]
mod tests {
    use super::*;
    use abi::dtype::F64;

    #[test]
    fn elements_lie_a_stride_apart_and_gaps_are_canaries() {
        let values: Vec<f64> = (0..6).map(f64::from).collect();
        for fence in [Fence::Room, Fence::Wall] {
            let matrix = Matrix::input(&values, 2, 3, F64, fence).unwrap();
            let view = matrix.view();
            assert_eq!((view.rows, view.cols, view.row_stride), (3, 2, 5));
            // SAFETY: the second row of three.
            assert_eq!(unsafe { *view.data.cast::<f64>().wrapping_add(5) }, 2.0);
            assert_eq!(matrix.read::<f64>(), values);
            assert_eq!(matrix.strayed("theta"), None);
        }
    }

    #[test]
    fn whoever_strays_is_told_where() {
        for (at, says) in [
            (-1, Some("before the start of grad (2 x 2)")),
            (0, None),
            (1, None),
            (2, Some("into the gap behind row 0 of grad")),
            (3, None),
            (4, None),
            (5, Some("past the end of grad (2 x 2)")),
            (500, Some("past the end of grad (2 x 2)")),
        ] {
            let matrix = Matrix::filled(f64::NAN, (2, 2), 1, F64, Fence::Room).unwrap();
            // SAFETY: a page and more lies on either side of the elements.
            unsafe { matrix.view().data.cast::<f64>().wrapping_offset(at).write(1.0) };
            assert_eq!(matrix.strayed("grad").as_deref(), says);
        }
    }

    #[test]
    fn a_wall_stands_right_behind_the_last_byte() {
        let region = Region::new(24, 0, Fence::Wall).unwrap();
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
        let after: Vec<Region> = (0..8).map(|_| Region::new(24, 0, Fence::Wall).unwrap()).collect();
        assert!(after.iter().all(|region| region.start().addr() != at), "the addresses stay empty");
    }

    #[test]
    fn nothing_is_as_good_as_anything() {
        for fence in [Fence::Room, Fence::Wall] {
            let matrix = Matrix::filled(0.0, (0, 3), 0, F64, fence).unwrap();
            assert!(!matrix.view().data.is_null() && matrix.read::<f64>().is_empty());
            assert_eq!(matrix.strayed("loss"), None);
        }
        assert!(Region::new(usize::MAX - 10, 0, Fence::Room).is_none());
    }
}
