//! All of the memory that is shared: the page of the header, the payload behind it, and messages in both.

use super::channel::{Channel, WORDS};
use super::mapping::{Mapping, fault};
use super::system;
use crate::error::{Error, Result};
use crate::machine::memory::{self, gib};
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Where the payload begins: behind the page of the header.
const PAYLOAD: usize = 4096;
/// The first payload in bytes: enough for small losses and for most answers in text.
const FIRST: usize = 1 << 18;
/// What the header begins with; the last digit counts the layouts of header and messages.
const MAGIC: u64 = u64::from_be_bytes(*b"mpserve2");
/// Words of a head: the others are the length of the payload and the sum.
pub const HEAD: usize = WORDS - 2;

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
    pub request: Channel,
    pub reply: Channel,
}

/// The header, shared by threads.
#[derive(Clone)]
pub struct Page(Arc<Mapping>);

impl std::ops::Deref for Page {
    type Target = Header;

    fn deref(&self) -> &Header {
        // SAFETY: the mapping is a page, aligned and longer than a header, of which any bytes are atomics.
        unsafe { self.0.base().cast().as_ref() }
    }
}

/// The whole of it.
pub struct SharedMemory {
    header: Page,
    payload: Mapping,
}

impl SharedMemory {
    /// New memory and its file; the engine's side.
    pub fn create() -> Result<(SharedMemory, File)> {
        let file = system::memory_file().map_err(fault)?;
        system::reserve(&file, PAYLOAD + FIRST).map_err(fault)?;
        let shared = SharedMemory::of(&file)?;
        shared.header.magic.store(MAGIC, Ordering::Relaxed);
        shared.header.size.store(FIRST as u64, Ordering::Relaxed);
        shared.header.engine.store(std::process::id(), Ordering::Relaxed);
        Ok((shared, file))
    }

    /// The memory behind an inherited file, which is closed; the server's side. Copies of this process made by fork go
    /// without: a backend that returns twice must not answer twice.
    pub fn attach(file: File) -> Result<SharedMemory> {
        let stranger = || Error::Argument("serve-loss is started by `mpass run --isolate`, never by hand".into());
        if !file.metadata().is_ok_and(|file| file.len() > PAYLOAD as u64) {
            return Err(stranger());
        }
        let shared = SharedMemory::of(&file).map_err(|_| stranger())?;
        if shared.header.magic.load(Ordering::Relaxed) != MAGIC {
            return Err(stranger());
        }
        [&*shared.header.0, &shared.payload].into_iter().try_for_each(Mapping::keep_from_copies)?;
        Ok(shared)
    }

    fn of(file: &File) -> Result<SharedMemory> {
        let size = file.metadata().map_err(fault)?.len() as usize;
        let header = Page(Arc::new(Mapping::new(file, 0, PAYLOAD)?));
        let payload = Mapping::new(file, PAYLOAD, size - PAYLOAD)?;
        Ok(SharedMemory { header, payload })
    }

    /// The header.
    pub fn header(&self) -> &Page {
        &self.header
    }

    /// Words that the payload has room for.
    pub fn room(&self) -> usize {
        self.payload.size() / 8
    }

    /// The size of all of it in bytes.
    pub fn size(&self) -> u64 {
        (PAYLOAD + self.payload.size()) as u64
    }

    fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned, as long as it says, and lives as long as `self`; any bytes are atomics.
        unsafe { std::slice::from_raw_parts(self.payload.base().cast().as_ptr(), self.room()) }
    }

    /// Sends a message as a turn: its head, and parts that follow each other in the payload, which has [`room`] for them.
    ///
    /// [`room`]: SharedMemory::room
    pub fn send(&self, channel: &Channel, turn: u32, head: [u64; HEAD], parts: &[&[u64]]) {
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
        channel.send(turn, words);
    }

    /// The head of the latest message, not yet added up, and the words that it has in the payload. `None` for more than
    /// there is room for.
    pub fn peek(&self, channel: &Channel) -> Option<([u64; HEAD], usize)> {
        self.outline(channel).map(|(head, len, _)| (head, len))
    }

    /// Head, length and sum of the latest message.
    fn outline(&self, channel: &Channel) -> Option<([u64; HEAD], usize, u64)> {
        let [a, b, c, d, e, len, sum] = channel.words();
        let len = usize::try_from(len).ok().filter(|len| *len <= self.room())?;
        Some(([a, b, c, d, e], len, sum))
    }

    /// Reads the message that was sent as a turn into parts that follow each other in the payload, and returns its head
    /// and its sum. `None` where it has another length, or does not add up.
    pub fn receive(&self, channel: &Channel, turn: u32, parts: &mut [&mut [u64]]) -> Option<([u64; HEAD], u64)> {
        let (head, len, total) = self.outline(channel)?;
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
        let more = (size - self.payload.size()) as u64;
        if more > memory::available() {
            let text = format!("a batch needs {} more, and {} are left", gib(more), gib(memory::available()));
            return Err(Error::io("shared memory", std::io::Error::new(std::io::ErrorKind::OutOfMemory, text)));
        }
        system::reserve(file, PAYLOAD + size).map_err(fault)?;
        self.payload.stretch(size)?;
        self.header.size.store(size as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Follows the engine where it has grown the file; the server's side.
    pub fn follow(&mut self) -> Result<()> {
        match self.header.size.load(Ordering::Relaxed) as usize {
            size if size > self.payload.size() => self.payload.stretch(size),
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_server_follows_where_the_engine_grows_and_nobody_can_shrink() {
        let (mut engine, file) = SharedMemory::create().unwrap();
        let mut server = SharedMemory::attach(file.try_clone().unwrap()).unwrap();
        let arrives = |engine: &SharedMemory, server: &SharedMemory, words: &[u64]| {
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
        let (shared, _file) = SharedMemory::create().unwrap();
        let channel = &shared.header().reply;
        let sent = [7, 0, 0, 1 << 63];
        let mut found = [0; 4];
        shared.send(channel, 1, [2; HEAD], &[&sent]);
        let read = |found: &mut [u64]| shared.receive(channel, 1, &mut [found]);
        assert_eq!((read(&mut found), found), (Some(([2; HEAD], sum(1, &[2; HEAD], &sent))), sent));
        assert_eq!(read(&mut [0; 3]), None, "another length");
        assert_eq!(read(&mut [0; 5]), None, "another length");
        assert_eq!(shared.receive(channel, 2, &mut [&mut found]), None, "another turn");
        for (at, value) in [(0, 6), (1, 1), (3, 0)] {
            shared.words()[at].store(value, Ordering::Relaxed);
            assert_eq!(read(&mut found), None, "word {at}");
            shared.words()[at].store(sent[at], Ordering::Relaxed);
        }
        shared.words()[0].store(0, Ordering::Relaxed);
        shared.words()[1].store(7, Ordering::Relaxed);
        assert_eq!(read(&mut found), None, "two words have changed places");
        for at in 0..WORDS {
            shared.send(channel, 1, [2; HEAD], &[&sent]);
            channel.words[at].fetch_xor(1, Ordering::Relaxed);
            assert_eq!(read(&mut found), None, "word {at} of the channel");
        }
        channel.words[HEAD].store(u64::MAX, Ordering::Relaxed);
        assert_eq!(shared.peek(channel), None, "more than there is room for");
        channel.words.iter().chain(shared.words()).for_each(|word| word.store(0, Ordering::Relaxed));
        assert_eq!(shared.receive(channel, 1, &mut []), None, "a hole");
    }

    #[test]
    fn a_turn_wakes_a_sleeper_and_brings_its_words() {
        let ((engine, _file), rounds) = (SharedMemory::create().unwrap(), 2000);
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
        assert!(SharedMemory::attach(null).err().unwrap().to_string().contains("never by hand"));
    }
}
