//! The memory an engine shares with the process of an isolated backend: a header with one line for each direction, then
//! the payload, an array of 8-byte words. The one file of shared memory.
//!
//! The memory is a file without a name that is sealed against shrinking, so that no access can fault whatever the other
//! side does to it. The engine reads and writes it in atomic words and takes every size from its own side: a backend
//! that scribbles here can cost an answer and nothing else. Only the engine grows it; the server follows.
//!
//! A line is a turn, a flag and seven words on one cache line. Who sends stores the words, then the turn, and wakes the
//! other side only if it sleeps: both spin for a moment first, as the threads of the pool do.

#![allow(unsafe_code)]

use crate::error::{Error, Result};
use crate::memory::{self, gib};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Where the payload begins: behind the page of the header.
const PAYLOAD: usize = 4096;
/// The first payload in bytes: enough for small losses and for most answers in text.
const FIRST: usize = 1 << 18;
/// What the header begins with; the last digit counts the layouts of header and messages.
const MAGIC: u64 = u64::from_be_bytes(*b"mpserve1");
/// How long a side spins before it sleeps. A round trip takes half a microsecond where both spin, six where both sleep.
const SPIN: Duration = Duration::from_micros(20);
/// Words of a line.
pub const WORDS: usize = 7;

/// One direction.
#[repr(C, align(64))]
pub struct Line {
    turn: AtomicU32,
    asleep: AtomicU32,
    words: [AtomicU64; WORDS],
}

/// What a side has learned of spinning.
#[derive(Default)]
pub struct Patience {
    /// Waits to come without spinning, and how many there were after the last spin in vain.
    skip: u32,
    vain: u32,
}

impl Line {
    /// Sends words as a turn.
    pub fn send(&self, turn: u32, words: [u64; WORDS]) {
        for (slot, word) in self.words.iter().zip(words) {
            slot.store(word, Ordering::Relaxed);
        }
        // In the one order of all sequentially consistent accesses either this side sees the sleeper, or the sleeper
        // sees the turn.
        self.turn.store(turn, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) != 0 {
            sys::wake(&self.turn);
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
            sys::wait(&self.turn, seen, most);
        }
        self.asleep.store(0, Ordering::Relaxed);
        awaited(self.turn())
    }
}

/// What both sides see at one fixed place.
#[repr(C)]
pub struct Header {
    magic: AtomicU64,
    /// Of the payload, in bytes.
    size: AtomicU64,
    /// The number of the engine's process.
    pub engine: AtomicU32,
    /// Not 0: the engine wants the call to stop.
    pub cancel: AtomicU32,
    pub request: Line,
    pub reply: Line,
}

/// A part of the file in the memory of this process.
struct Mapping {
    base: NonNull<u8>,
    size: usize,
}

// SAFETY: a mapping is memory like any other; nothing about it belongs to a thread.
unsafe impl Send for Mapping {}
// SAFETY: shared references lead to atomics only (`Page`, `Region::words`).
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(file: &File, from: usize, size: usize) -> Result<Mapping> {
        let (protection, offset) = (libc::PROT_READ | libc::PROT_WRITE, from as libc::off_t);
        // SAFETY: a new mapping at an address that the system chooses touches nothing that exists.
        let base =
            unsafe { libc::mmap(std::ptr::null_mut(), size, protection, libc::MAP_SHARED, file.as_raw_fd(), offset) };
        match NonNull::new(base.cast::<u8>()).filter(|_| base != libc::MAP_FAILED) {
            Some(base) => Ok(Mapping { base, size }),
            None => Err(fault()),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, and no reference outlives its owner.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.size) };
    }
}

/// The header, shared by threads.
#[derive(Clone)]
pub struct Page(Arc<Mapping>);

impl std::ops::Deref for Page {
    type Target = Header;

    fn deref(&self) -> &Header {
        // SAFETY: the mapping is a page, aligned and longer than a header, of which any bytes are atomics.
        unsafe { self.0.base.cast().as_ref() }
    }
}

/// The whole of it.
pub struct Region {
    file: File,
    header: Page,
    payload: Mapping,
}

impl Region {
    /// New memory; the engine's side.
    pub fn create() -> Result<Region> {
        let file = sys::memory_file()?;
        sys::reserve(&file, PAYLOAD + FIRST)?;
        let region = Region::of(file)?;
        region.header.magic.store(MAGIC, Ordering::Relaxed);
        region.header.size.store(FIRST as u64, Ordering::Relaxed);
        region.header.engine.store(std::process::id(), Ordering::Relaxed);
        Ok(region)
    }

    /// The memory behind an inherited file; the server's side. Copies of this process made by fork get a copy of it.
    pub fn attach(file: File) -> Result<Region> {
        let stranger = || Error::Argument("serve-loss is started by `mpass run --isolate`, never by hand".into());
        if !file.metadata().is_ok_and(|file| file.len() > PAYLOAD as u64) {
            return Err(stranger());
        }
        let region = Region::of(file).map_err(|_| stranger())?;
        if region.header.magic.load(Ordering::Relaxed) != MAGIC {
            return Err(stranger());
        }
        copies::note(&region);
        // SAFETY: the handler calls nothing but mmap and _exit.
        unsafe { libc::pthread_atfork(None, None, Some(copies::part)) };
        Ok(region)
    }

    fn of(file: File) -> Result<Region> {
        let size = file.metadata().map_err(|e| Error::io("shared memory", e))?.len() as usize;
        let header = Page(Arc::new(Mapping::new(&file, 0, PAYLOAD)?));
        let payload = Mapping::new(&file, PAYLOAD, size - PAYLOAD)?;
        Ok(Region { file, header, payload })
    }

    /// The header.
    pub fn header(&self) -> &Page {
        &self.header
    }

    /// A descriptor of the file, for the server to inherit.
    pub fn descriptor(&self) -> Result<OwnedFd> {
        self.file.try_clone().map(OwnedFd::from).map_err(|e| Error::io("shared memory", e))
    }

    /// The words of the payload, for the engine.
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned, as long as it says, and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.payload.base.cast().as_ptr(), self.payload.size / 8) }
    }

    /// The words of the payload, for the server while it has the turn: the engine leaves them alone then.
    pub fn words_mut(&mut self) -> &mut [u64] {
        // SAFETY: as for `words`; the one other party keeps out, and in this process only `self` leads here.
        unsafe { std::slice::from_raw_parts_mut(self.payload.base.cast().as_ptr(), self.payload.size / 8) }
    }

    /// Makes room for a payload of `words`; the engine's side. An error where there is no such memory.
    pub fn grow(&mut self, words: usize) -> Result<()> {
        if words <= self.payload.size / 8 {
            return Ok(());
        }
        // A quarter more than asked, so that slowly growing batches grow it a few times only.
        let bytes = words.checked_mul(8).and_then(|bytes| bytes.checked_add(bytes / 4));
        let size = bytes.and_then(|bytes| bytes.checked_next_multiple_of(PAYLOAD)).unwrap_or(usize::MAX / 2);
        let more = (size - self.payload.size) as u64;
        if more > memory::available() {
            let text = format!("a batch needs {} more, and {} are left", gib(more), gib(memory::available()));
            return Err(Error::io("shared memory", std::io::Error::new(std::io::ErrorKind::OutOfMemory, text)));
        }
        sys::reserve(&self.file, PAYLOAD + size)?;
        self.payload = Mapping::new(&self.file, PAYLOAD, size)?;
        self.header.size.store(size as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Follows the engine where it has grown the file; the server's side.
    pub fn follow(&mut self) -> Result<()> {
        let size = self.header.size.load(Ordering::Relaxed) as usize;
        if size != self.payload.size {
            self.payload = Mapping::new(&self.file, PAYLOAD, size)?;
            copies::note(self);
        }
        Ok(())
    }
}

fn fault() -> Error {
    Error::io("shared memory", std::io::Error::last_os_error())
}

/// A backend that forks and returns twice must not answer twice: a copy of the server sees the memory as it was, and
/// what it writes stays its own.
mod copies {
    use super::*;

    static FILE: AtomicI32 = AtomicI32::new(-1);
    static HEADER: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
    static BASE: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
    static SIZE: AtomicUsize = AtomicUsize::new(0);

    /// Notes where the memory lies: there is one server in a process.
    pub fn note(region: &Region) {
        FILE.store(region.file.as_raw_fd(), Ordering::Relaxed);
        HEADER.store(region.header.0.base.as_ptr(), Ordering::Relaxed);
        BASE.store(region.payload.base.as_ptr(), Ordering::Relaxed);
        SIZE.store(region.payload.size, Ordering::Relaxed);
    }

    /// Runs in the copy, before fork returns there.
    pub unsafe extern "C" fn part() {
        let (file, private) = (FILE.load(Ordering::Relaxed), libc::MAP_PRIVATE | libc::MAP_FIXED);
        let (header, base) = (HEADER.load(Ordering::Relaxed), BASE.load(Ordering::Relaxed));
        for (at, size, from) in [(header, PAYLOAD, 0), (base, SIZE.load(Ordering::Relaxed), PAYLOAD)] {
            let (protection, from) = (libc::PROT_READ | libc::PROT_WRITE, from as libc::off_t);
            // SAFETY: replaces our own two mappings by private ones of the same bytes; both calls are safe after fork.
            unsafe {
                if libc::mmap(at.cast(), size, protection, private, file, from) == libc::MAP_FAILED {
                    libc::_exit(1);
                }
            }
        }
    }
}

/// What only Linux has.
#[cfg(target_os = "linux")]
mod sys {
    use super::*;
    use std::os::fd::FromRawFd;

    /// An empty file in memory that can grow and never shrink.
    pub fn memory_file() -> Result<File> {
        // SAFETY: the calls take a terminated text, a descriptor of our own, and flags.
        unsafe {
            let descriptor = libc::memfd_create(c"mpass".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING);
            if descriptor < 0 {
                return Err(fault());
            }
            let file = File::from_raw_fd(descriptor);
            match libc::fcntl(descriptor, libc::F_ADD_SEALS, libc::F_SEAL_SHRINK | libc::F_SEAL_SEAL) {
                0 => Ok(file),
                _ => Err(fault()),
            }
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
}

/// Elsewhere there is no such memory, and isolation is refused.
#[cfg(not(target_os = "linux"))]
mod sys {
    use super::*;

    pub fn memory_file() -> Result<File> {
        let text = "isolation needs Linux: sealed memory files and futexes".to_owned();
        Err(Error::Unsupported { backend: "this system".into(), text })
    }
    pub fn reserve(_: &File, _: usize) -> Result<()> {
        Ok(())
    }
    pub fn wait(_: &AtomicU32, _: u32, most: Duration) {
        std::thread::sleep(most.min(Duration::from_millis(1)));
    }
    pub fn wake(_: &AtomicU32) {}
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_server_follows_where_the_engine_grows_and_nobody_can_shrink() {
        let mut engine = Region::create().unwrap();
        let file = File::from(engine.descriptor().unwrap());
        let mut server = Region::of(file.try_clone().unwrap()).unwrap();
        engine.words()[7].store(70, Ordering::Relaxed);
        assert_eq!(server.words_mut()[7], 70);
        engine.grow(1 << 17).unwrap();
        let last = engine.words().len() - 1;
        engine.words()[last].store(9, Ordering::Relaxed);
        server.follow().unwrap();
        assert_eq!((server.words_mut()[7], server.words_mut()[last]), (70, 9));
        assert!(file.set_len(100).is_err(), "a file that shrinks takes memory away from under the engine");
        let error = engine.grow(1 << 60).unwrap_err().to_string();
        assert!(error.starts_with("shared memory: "), "{error}");
        assert_eq!(engine.words().len(), last + 1, "a failed growth changes nothing");
    }

    #[test]
    fn a_turn_wakes_a_sleeper_and_brings_its_words() {
        let (engine, rounds) = (Region::create().unwrap(), 2000);
        let header = engine.header().clone();
        let other = std::thread::spawn(move || {
            for turn in 1..=rounds {
                while !header.request.sleep(|now| now == turn, Duration::from_secs(1)) {}
                let mut words = header.request.words();
                words[6] += 1;
                header.reply.send(turn, words);
            }
        });
        let header = engine.header();
        for turn in 1..=rounds {
            header.request.send(turn, [u64::from(turn); WORDS]);
            while !header.reply.sleep(|now| now == turn, Duration::from_secs(1)) {}
            assert_eq!(header.reply.words()[6], u64::from(turn) + 1);
        }
        other.join().unwrap();
        assert!(!header.reply.sleep(|now| now == 0, Duration::from_millis(1)), "nobody sends");
    }

    #[test]
    fn a_file_that_is_no_region_is_refused() {
        let null = File::open("/dev/null").unwrap();
        assert!(Region::attach(null).err().unwrap().to_string().contains("never by hand"));
    }
}
