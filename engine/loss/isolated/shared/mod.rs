//! The memory an engine shares with the process of an isolated backend: a header with one line for each direction, then
//! the payload, an array of 8-byte words.
//!
//! The memory is a file without a name that is sealed against shrinking: whatever the other side does, nothing that the
//! engine maps lies beyond its end, and a hole that is torn into it reads as zeros. Only the engine keeps the file, and
//! grows it. The server maps it, closes it and follows, so that there is no descriptor for a backend to close or to
//! write to; copies of the server that a backend forks have no mapping of it.
//!
//! A message is a head of a few words, what lies in the payload, and the sum of both ([`sum`]). Each side copies what it
//! reads into memory of its own, in atomic words, and takes every size from there: what was written over on the way does
//! not add up, and costs that answer and nothing else.
//!
//! A line is a turn, a flag and seven words on one cache line. Who sends stores the words, then the turn, and wakes the
//! other side only if it sleeps: both spin for a moment first, as the threads of the pool do.

#![allow(unsafe_code)]

use crate::error::{Error, Result};
use crate::machine::memory::{self, gib};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Where the payload begins: behind the page of the header.
const PAYLOAD: usize = 4096;
/// The first payload in bytes: enough for small losses and for most answers in text.
const FIRST: usize = 1 << 18;
/// What the header begins with; the last digit counts the layouts of header and messages.
const MAGIC: u64 = u64::from_be_bytes(*b"mpserve2");
/// How long a side spins before it sleeps. A round trip takes half a microsecond where both spin, six where both sleep.
const SPIN: Duration = Duration::from_micros(20);
/// Words of a line.
const WORDS: usize = 7;
/// Words of a head: the others are the length of the payload and the sum.
pub const HEAD: usize = WORDS - 2;

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
    fn send(&self, turn: u32, words: [u64; WORDS]) {
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
    fn words(&self) -> [u64; WORDS] {
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
        mapped(base).map(|base| Mapping { base, size })
    }

    /// Follows the file where it has grown; the mapping may move.
    fn stretch(&mut self, size: usize) -> Result<()> {
        self.base = mapped(sys::stretch(self, size))?;
        self.size = size;
        Ok(())
    }
}

fn mapped(base: *mut libc::c_void) -> Result<NonNull<u8>> {
    NonNull::new(base.cast::<u8>()).filter(|_| base != libc::MAP_FAILED).ok_or_else(fault)
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
    header: Page,
    payload: Mapping,
}

impl Region {
    /// New memory and its file; the engine's side.
    pub fn create() -> Result<(Region, File)> {
        let file = sys::memory_file()?;
        sys::reserve(&file, PAYLOAD + FIRST)?;
        let region = Region::of(&file)?;
        region.header.magic.store(MAGIC, Ordering::Relaxed);
        region.header.size.store(FIRST as u64, Ordering::Relaxed);
        region.header.engine.store(std::process::id(), Ordering::Relaxed);
        Ok((region, file))
    }

    /// The memory behind an inherited file, which is closed; the server's side. Copies of this process made by fork go
    /// without: a backend that returns twice must not answer twice.
    pub fn attach(file: File) -> Result<Region> {
        let stranger = || Error::Argument("serve-loss is started by `mpass run --isolate`, never by hand".into());
        if !file.metadata().is_ok_and(|file| file.len() > PAYLOAD as u64) {
            return Err(stranger());
        }
        let region = Region::of(&file).map_err(|_| stranger())?;
        if region.header.magic.load(Ordering::Relaxed) != MAGIC {
            return Err(stranger());
        }
        [&region.header.0, &region.payload].into_iter().try_for_each(sys::keep_from_copies)?;
        Ok(region)
    }

    fn of(file: &File) -> Result<Region> {
        let size = file.metadata().map_err(|e| Error::io("shared memory", e))?.len() as usize;
        let header = Page(Arc::new(Mapping::new(file, 0, PAYLOAD)?));
        let payload = Mapping::new(file, PAYLOAD, size - PAYLOAD)?;
        Ok(Region { header, payload })
    }

    /// The header.
    pub fn header(&self) -> &Page {
        &self.header
    }

    /// Words that the payload has room for.
    pub fn room(&self) -> usize {
        self.payload.size / 8
    }

    /// The size of all of it in bytes.
    pub fn size(&self) -> u64 {
        (PAYLOAD + self.payload.size) as u64
    }

    fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned, as long as it says, and lives as long as `self`; any bytes are atomics.
        unsafe { std::slice::from_raw_parts(self.payload.base.cast().as_ptr(), self.room()) }
    }

    /// Sends a message as a turn: its head, and parts that follow each other in the payload, which has [`room`] for them.
    ///
    /// [`room`]: Region::room
    pub fn send(&self, line: &Line, turn: u32, head: [u64; HEAD], parts: &[&[u64]]) {
        let (mut room, mut sum, mut len) = (self.words(), Sum::of(turn, &head), 0);
        for part in parts {
            let (here, behind) = room.split_at(part.len());
            for (word, &value) in here.iter().zip(*part) {
                word.store(value, Ordering::Relaxed);
                sum.add(value);
            }
            (room, len) = (behind, len + part.len());
        }
        let mut words = [0; WORDS];
        words[..HEAD].copy_from_slice(&head);
        words[HEAD..].copy_from_slice(&[len as u64, sum.total()]);
        line.send(turn, words);
    }

    /// The head of the latest message, not yet added up, and the words that it has in the payload. `None` for more than
    /// there is room for.
    pub fn peek(&self, line: &Line) -> Option<([u64; HEAD], usize)> {
        self.outline(line).map(|(head, len, _)| (head, len))
    }

    /// Head, length and sum of the latest message.
    fn outline(&self, line: &Line) -> Option<([u64; HEAD], usize, u64)> {
        let [a, b, c, d, e, len, sum] = line.words();
        let len = usize::try_from(len).ok().filter(|len| *len <= self.room())?;
        Some(([a, b, c, d, e], len, sum))
    }

    /// Reads the message that was sent as a turn into parts that follow each other in the payload, and returns its head
    /// and its sum. `None` where it has another length, or does not add up.
    pub fn receive(&self, line: &Line, turn: u32, parts: &mut [&mut [u64]]) -> Option<([u64; HEAD], u64)> {
        let (head, len, total) = self.outline(line)?;
        let (mut room, mut sum) = (&self.words()[..len], Sum::of(turn, &head));
        for part in parts {
            let (here, behind) = room.split_at_checked(part.len())?;
            for (word, value) in here.iter().zip(&mut **part) {
                *value = word.load(Ordering::Relaxed);
                sum.add(*value);
            }
            room = behind;
        }
        (room.is_empty() && total == sum.total()).then_some((head, total))
    }

    /// Makes room for a payload of `words`; the engine's side, whose `file` it is. An error where there is no such memory.
    pub fn grow(&mut self, file: &File, words: usize) -> Result<()> {
        if words <= self.room() {
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
        sys::reserve(file, PAYLOAD + size)?;
        self.payload.stretch(size)?;
        self.header.size.store(size as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Follows the engine where it has grown the file; the server's side.
    pub fn follow(&mut self) -> Result<()> {
        match self.header.size.load(Ordering::Relaxed) as usize {
            size if size > self.payload.size => self.payload.stretch(size),
            _ => Ok(()),
        }
    }
}

/// The sum of a message: of its turn, its head and its payload, each word counting by its place too.
pub fn sum(turn: u32, head: &[u64; HEAD], payload: &[u64]) -> u64 {
    let mut sum = Sum::of(turn, head);
    payload.iter().for_each(|&word| sum.add(word));
    sum.total()
}

/// Fletcher's checksum on 64-bit words: two additions a word, which hide behind the copying.
struct Sum {
    plain: u64,
    placed: u64,
}

impl Sum {
    fn of(turn: u32, head: &[u64; HEAD]) -> Sum {
        let mut sum = Sum { plain: MAGIC, placed: turn.into() };
        head.iter().for_each(|&word| sum.add(word));
        sum
    }

    fn add(&mut self, word: u64) {
        self.plain = self.plain.wrapping_add(word);
        self.placed = self.placed.wrapping_add(self.plain);
    }

    fn total(&self) -> u64 {
        self.placed ^ self.plain.rotate_left(32)
    }
}

fn fault() -> Error {
    Error::io("shared memory", std::io::Error::last_os_error())
}

#[cfg(not(target_os = "linux"))]
#[path = "elsewhere.rs"]
mod sys;
#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod sys;

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_server_follows_where_the_engine_grows_and_nobody_can_shrink() {
        let (mut engine, file) = Region::create().unwrap();
        let mut server = Region::attach(file.try_clone().unwrap()).unwrap();
        let arrives = |engine: &Region, server: &Region, words: &[u64]| {
            let mut found = vec![0; words.len()];
            engine.send(&engine.header().request, 3, [5; HEAD], &[&words[..1], &words[1..]]);
            let head = server.receive(&server.header().request, 3, &mut [&mut found]);
            assert_eq!((head.map(|(head, _)| head), found == words), (Some([5; HEAD]), true));
        };
        arrives(&engine, &server, &[1, 2, 3]);
        let long: Vec<u64> = (0..1 << 17).collect();
        engine.grow(&file, long.len()).unwrap();
        server.follow().unwrap();
        arrives(&engine, &server, &long);
        assert!(file.set_len(100).is_err(), "a file that shrinks takes memory away from under the engine");
        let (room, error) = (engine.room(), engine.grow(&file, 1 << 60).unwrap_err().to_string());
        assert!(error.starts_with("shared memory: "), "{error}");
        assert_eq!(engine.room(), room, "a failed growth changes nothing");
    }

    #[test]
    fn a_message_that_was_written_over_does_not_add_up() {
        let (region, _file) = Region::create().unwrap();
        let line = &region.header().reply;
        let sent = [7, 0, 0, 1 << 63];
        let mut found = [0; 4];
        region.send(line, 1, [2; HEAD], &[&sent]);
        let read = |found: &mut [u64]| region.receive(line, 1, &mut [found]);
        assert_eq!((read(&mut found), found), (Some(([2; HEAD], sum(1, &[2; HEAD], &sent))), sent));
        assert_eq!(read(&mut [0; 3]), None, "another length");
        assert_eq!(read(&mut [0; 5]), None, "another length");
        assert_eq!(region.receive(line, 2, &mut [&mut found]), None, "another turn");
        for (at, value) in [(0, 6), (1, 1), (3, 0)] {
            region.words()[at].store(value, Ordering::Relaxed);
            assert_eq!(read(&mut found), None, "word {at}");
            region.words()[at].store(sent[at], Ordering::Relaxed);
        }
        region.words()[0].store(0, Ordering::Relaxed);
        region.words()[1].store(7, Ordering::Relaxed);
        assert_eq!(read(&mut found), None, "two words have changed places");
        for at in 0..WORDS {
            region.send(line, 1, [2; HEAD], &[&sent]);
            line.words[at].fetch_xor(1, Ordering::Relaxed);
            assert_eq!(read(&mut found), None, "word {at} of the line");
        }
        line.words[HEAD].store(u64::MAX, Ordering::Relaxed);
        assert_eq!(region.peek(line), None, "more than there is room for");
        line.words.iter().chain(region.words()).for_each(|word| word.store(0, Ordering::Relaxed));
        assert_eq!(region.receive(line, 1, &mut []), None, "a hole");
    }

    #[test]
    fn a_turn_wakes_a_sleeper_and_brings_its_words() {
        let ((engine, _file), rounds) = (Region::create().unwrap(), 2000);
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
