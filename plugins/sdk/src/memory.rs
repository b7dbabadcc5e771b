//! Memory that a file or an option decides about is asked for before it is taken.
//!
//! A system that promises more memory than it has ends the process for it later, and one with a limit refuses, whereupon
//! vectors abort. So a size is first compared with what is left, of the machine and of every limit that this process
//! stands under, and then the vector is asked for; either refusal is a [`Shortage`], one sentence. All readers of files
//! and all arrays of a size that somebody wrote down come through here; small arrays need not.

#![forbid(unsafe_code)]

use crate::Error;
use crate::abi::status;
use std::fmt;
use std::fs::{File, read_to_string};
use std::io::{self, Read};
use std::path::Path;

/// Below this many bytes what is left is not looked up: that costs some files of the system.
const SMALL: u64 = 1 << 23;
/// Kept back for all that is small.
const RESERVE: u64 = 1 << 25;
/// Bytes that are read at once.
pub const BLOCK: usize = 1 << 17;

/// More memory is needed than is to be had. `Display` is the end of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// In bytes; `None` where they cannot be counted.
    needed: Option<u64>,
    left: u64,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = size(self.left);
        match self.needed {
            Some(needed) => write!(f, "needs {} of memory, and {left} are left", size(needed)),
            None => write!(f, "needs more memory than can be counted, and {left} are left"),
        }
    }
}

impl From<Shortage> for String {
    fn from(shortage: Shortage) -> String {
        shortage.to_string()
    }
}

impl From<Shortage> for io::Error {
    fn from(shortage: Shortage) -> io::Error {
        io::Error::new(io::ErrorKind::OutOfMemory, shortage.to_string())
    }
}

impl From<Shortage> for Error {
    fn from(shortage: Shortage) -> Error {
        Error { code: status::MEMORY, text: shortage.to_string() }
    }
}

/// Bytes in words a person reads.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..=104_857_600 => format!("{} MiB", bytes.div_ceil(1 << 20)),
        _ => format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64),
    }
}

/// How many bytes `n` elements take.
pub fn bytes_of<T>(n: usize) -> Option<u64> {
    n.checked_mul(size_of::<T>()).map(|bytes| bytes as u64)
}

/// Fails where so many bytes, `None` for more than can be counted, are not to be had.
pub fn afford(bytes: Option<u64>) -> Result<(), Shortage> {
    match bytes {
        Some(bytes) if bytes < SMALL => Ok(()),
        needed => {
            let left = available();
            let fits = needed.is_some_and(|bytes| bytes.saturating_add(RESERVE) <= left);
            if fits { Ok(()) } else { Err(Shortage { needed, left }) }
        }
    }
}

/// An empty vector with room for exactly `n`.
pub fn room<T>(n: usize) -> Result<Vec<T>, Shortage> {
    let mut room = Vec::new();
    reserve(&mut room, n)?;
    Ok(room)
}

/// Makes room for exactly `more` behind what a vector holds; where that moves it, both lie in memory for a while.
pub fn reserve<T>(to: &mut Vec<T>, more: usize) -> Result<(), Shortage> {
    if to.capacity() - to.len() >= more {
        return Ok(());
    }
    let needed = to.len().checked_add(more).and_then(bytes_of::<T>);
    afford(needed)?;
    to.try_reserve_exact(more).map_err(|_| Shortage { needed, left: available() })
}

/// Makes room for `more` behind what a vector holds, twice what it has if that is more, but never for more than `most`
/// in all: for what is read piece by piece.
pub fn extend<T>(to: &mut Vec<T>, more: usize, most: usize) -> Result<(), Shortage> {
    if to.capacity() - to.len() >= more {
        return Ok(());
    }
    let doubled = to.len().saturating_mul(2).min(most).saturating_sub(to.len());
    reserve(to, more.max(doubled)).or_else(|_| reserve(to, more))
}

/// Lengthens a vector to at least `n`; it grows by default values.
pub fn grow<T: Clone + Default>(vector: &mut Vec<T>, n: usize) -> Result<(), Shortage> {
    if vector.len() < n {
        reserve(vector, n - vector.len())?;
        vector.resize(n, T::default());
    }
    Ok(())
}

/// `n` copies of a value.
pub fn filled<T: Clone>(value: T, n: usize) -> Result<Vec<T>, Shortage> {
    let mut all = room(n)?;
    all.resize(n, value);
    Ok(all)
}

/// Everything of an iterator of at most `n` elements.
pub fn collected<T>(n: usize, values: impl IntoIterator<Item = T>) -> Result<Vec<T>, Shortage> {
    let mut all = room(n)?;
    all.extend(values.into_iter().take(n));
    Ok(all)
}

/// Everything of an iterator of at most `n` elements that may fail; the first failure is handed on.
pub fn try_collected<T, E: From<Shortage>>(
    n: usize,
    values: impl IntoIterator<Item = Result<T, E>>,
) -> Result<Vec<T>, E> {
    let mut all = room(n)?;
    values.into_iter().take(n).try_for_each(|value| value.map(|value| all.push(value)))?;
    Ok(all)
}

/// The bytes of a file. A shortage is an error of the kind `OutOfMemory` whose text says so.
pub fn contents(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = length(&file)?.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    rest(&mut file, length, usize::MAX)
}

/// How long a file is; `None` of a pipe or a device.
pub fn length(file: &File) -> io::Result<Option<u64>> {
    let data = file.metadata()?;
    Ok(data.is_file().then_some(data.len()))
}

/// What is left to read, of a `length` that is known, or believed to be no more than `most`.
pub fn rest(from: &mut impl Read, length: Option<usize>, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = room(length.unwrap_or(0))?;
    let mut block = vec![0; BLOCK];
    loop {
        match fill(from, &mut block)? {
            0 => return Ok(bytes),
            n => {
                extend(&mut bytes, n, most)?;
                bytes.extend_from_slice(&block[..n]);
            }
        }
    }
}

/// Fills a block as far as what is read goes; how far that is.
pub fn fill(from: &mut impl Read, block: &mut [u8]) -> io::Result<usize> {
    let mut full = 0;
    while full < block.len() {
        match from.read(&mut block[full..]) {
            Ok(0) => break,
            Ok(n) => full += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(full)
}

/// A copy.
pub fn copied<T: Copy>(values: &[T]) -> Result<Vec<T>, Shortage> {
    collected(values.len(), values.iter().copied())
}

/// The memory there is: of the machine, or the least that a limit leaves of it. The largest number where the system does
/// not say.
pub fn total() -> u64 {
    let machine = kib(&read("/proc/meminfo"), "MemTotal:");
    let limits = limits().map(|limit| limit.most);
    limits.chain(machine).min().unwrap_or(u64::MAX)
}

/// What a new array may take without driving others out, and without meeting a limit.
pub fn available() -> u64 {
    let machine = kib(&read("/proc/meminfo"), "MemAvailable:");
    let limits = limits().map(|limit| limit.most.saturating_sub(limit.used));
    limits.chain(machine).min().unwrap_or_else(total)
}

/// A limit and how much of it is used.
struct Limit {
    most: u64,
    used: u64,
}

fn limits() -> impl Iterator<Item = Limit> {
    own_limits().into_iter().flatten().chain(groups())
}

/// The limits of this process that arrays count for: RLIMIT_AS and RLIMIT_DATA.
fn own_limits() -> [Option<Limit>; 2] {
    let (limits, status) = (read("/proc/self/limits"), read("/proc/self/status"));
    [("Max address space", "VmSize:"), ("Max data size", "VmData:")].map(|(name, used)| {
        let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
        // The soft limit; "unlimited" is no number.
        let most = line.split_whitespace().next()?.parse().ok()?;
        Some(Limit { most, used: kib(&status, used).unwrap_or(0) })
    })
}

/// The limits of the control groups that this process is in, from its own to the outermost that it sees: of version 2,
/// and of version 1 where memory has a hierarchy of its own.
fn groups() -> Vec<Limit> {
    let mut all = Vec::new();
    for line in read("/proc/self/cgroup").lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (root, most, used) = match parts.next() {
            Some("") => ("/sys/fs/cgroup", "memory.max", "memory.current"),
            Some("memory") => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
            _ => continue,
        };
        let own = Path::new(root).join(parts.next().unwrap_or("").trim_start_matches('/'));
        for group in own.ancestors().take_while(|group| group.starts_with(root)) {
            let number = |name: &str| read(group.join(name)).trim().parse::<u64>().ok();
            let Some(most) = number(most) else { continue };
            let used = number(used).unwrap_or(0).saturating_sub(reclaimable(&read(group.join("memory.stat"))));
            all.push(Limit { most, used });
        }
    }
    all
}

/// What a group holds of files: that goes when memory is needed.
fn reclaimable(stat: &str) -> u64 {
    let number = |name: &str| stat.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    number("active_file ").unwrap_or(0) + number("inactive_file ").unwrap_or(0)
}

fn read(path: impl AsRef<Path>) -> String {
    read_to_string(path).unwrap_or_default()
}

/// The number behind a name, in bytes.
fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kib| kib.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_available_is_a_part_of_what_there_is() {
        assert!(1 << 20 < available() && available() <= total());
        assert_eq!((size(3 << 29), size(3 << 19)), ("1.5 GiB".into(), "2 MiB".into()));
    }

    #[test]
    fn what_no_machine_has_is_refused_in_a_sentence() {
        let text = room::<f64>(1 << 58).unwrap_err().to_string();
        assert!(text.starts_with("needs 2147483648.0 GiB of memory, and "), "{text}");
        let text = filled(0.0, usize::MAX).unwrap_err().to_string();
        assert!(text.starts_with("needs more memory than can be counted, and "), "{text}");
        assert_eq!(afford(Some(total())).unwrap_err().needed, Some(total()));
    }

    #[test]
    fn what_is_read_piece_by_piece_never_takes_more_room_than_the_whole() {
        let mut all = Vec::new();
        for piece in 0..10 {
            extend(&mut all, 1000, 9500).unwrap();
            all.extend(std::iter::repeat_n(piece, 1000.min(9500 - all.len())));
            assert!(all.capacity() <= 10_000);
        }
        assert_eq!((all.len(), collected(3, 0..9).unwrap()), (9500, vec![0, 1, 2]));
    }
}
