//! The bytes of a file of samples, unpacked where it is gzip, whatever its name. No file fills more than [`MOST`].

use mountainpass_sdk::abi::status;
use mountainpass_sdk::{Error, memory};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Packed data may grow a thousandfold: beyond this many bytes a file is refused rather than unpacked.
pub(crate) const MOST: u64 = 1 << 33;

/// The file of this name in a folder, plain or with `.gz`.
pub(crate) fn find(folder: &Path, stem: &str) -> Option<PathBuf> {
    [folder.join(stem), folder.join(format!("{stem}.gz"))].into_iter().find(|path| path.is_file())
}

/// [`find`], or an error that names both.
pub(crate) fn need(folder: &Path, stem: &str) -> Result<PathBuf, Error> {
    find(folder, stem).ok_or_else(|| Error::not_found(format!("{}: no file {stem} or {stem}.gz", folder.display())))
}

/// A file that is read from its start to its end, unpacked if it is gzip. Its errors of reading say where.
pub(crate) struct Contents {
    from: Box<dyn Read>,
    file: String,
    /// How many bytes are left; unknown of packed ones.
    left: Option<u64>,
    /// How many have been read.
    at: u64,
}

impl Contents {
    /// Opens a file.
    pub(crate) fn open(path: &Path) -> Result<Contents, Error> {
        let failed = |error: io::Error| Error::not_found(format!("{}: {error}", path.display()));
        let mut file = File::open(path).map_err(failed)?;
        let left = memory::length(&file).map_err(failed)?;
        let mut start = [0; 2];
        let count = memory::fill(&mut file, &mut start).map_err(failed)?;
        let whole = io::Cursor::new(start).take(count as u64).chain(file);
        let (from, left): (Box<dyn Read>, _) = match start {
            [0x1f, 0x8b] => (Box::new(flate2::read::MultiGzDecoder::new(whole)), None),
            _ => (Box::new(whole), left),
        };
        Ok(Contents { from, file: path.display().to_string(), left, at: 0 })
    }

    /// How many bytes are left, where that is known before they are read.
    pub(crate) fn left(&self) -> Option<u64> {
        self.left
    }

    /// An error of reading, with the file.
    pub(crate) fn failed(&self, error: io::Error) -> Error {
        let text = format!("{}: {error}", self.file);
        match error.kind() {
            io::ErrorKind::OutOfMemory => Error { code: status::MEMORY, text },
            _ => Error::argument(text),
        }
    }

    /// The `size` bytes that should be left, or how many there are.
    pub(crate) fn exactly(&mut self, size: usize) -> io::Result<Result<Vec<u8>, u64>> {
        if let Some(left) = self.left.filter(|left| *left != size as u64) {
            return Ok(Err(left));
        }
        let known = self.left.map(|_| size);
        let bytes = memory::rest(&mut self.by_ref().take(size as u64), known, size)?;
        let more = io::copy(self, &mut io::sink())?;
        Ok(if bytes.len() == size && more == 0 { Ok(bytes) } else { Err(bytes.len() as u64 + more) })
    }

    /// All that is left.
    pub(crate) fn rest(mut self) -> Result<Vec<u8>, Error> {
        let known = self.left.map(|left| usize::try_from(left).unwrap_or(usize::MAX));
        memory::rest(&mut self, known, usize::MAX).map_err(|error| self.failed(error))
    }
}

impl Read for Contents {
    fn read(&mut self, block: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(block).map_err(|error| match self.left {
            _ if error.kind() == io::ErrorKind::Interrupted => error,
            Some(_) => io::Error::other(format!("offset {}: {error}", self.at)),
            None => io::Error::other(format!("offset {} unpacked: expected more gzip data, found: {error}", self.at)),
        })?;
        self.at += n as u64;
        self.left = self.left.map(|left| left.saturating_sub(n as u64));
        match self.left {
            None if self.at > MOST => Err(io::Error::other(format!("unpacks to more than {MOST} bytes"))),
            _ => Ok(n),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;
    use std::path::PathBuf;

    pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// A folder of its own for one test, removed at the end.
    pub(crate) struct TempFolder(pub PathBuf);

    impl TempFolder {
        pub(crate) fn new(test: &str) -> TempFolder {
            let path = std::env::temp_dir().join(format!("mountainpass-data-{}-{test}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            TempFolder(path)
        }
        pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> &TempFolder {
            std::fs::write(self.0.join(name), bytes).unwrap();
            self
        }
        pub(crate) fn path(&self, name: &str) -> String {
            self.0.join(name).display().to_string()
        }
    }

    impl Drop for TempFolder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// Spoils of a file: cut off anywhere, bytes changed, bytes inserted.
    pub(crate) fn spoilt(good: &[u8], cut: usize, changes: &[(usize, u8)], tail: &[u8]) -> Vec<u8> {
        let mut bytes = good[..cut % (good.len() + 1)].to_vec();
        for (at, byte) in changes.iter().filter(|_| !good.is_empty()) {
            let n = bytes.len().max(1);
            if let Some(place) = bytes.get_mut(at % n) {
                *place = *byte;
            }
        }
        bytes.extend(tail);
        bytes
    }
}
