//! The bytes of a file of samples, unpacked where it is gzip, whatever its name. No file fills more than [`MOST`].

use mountainpass_sdk::Error;
use std::io::Read;
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

/// The bytes of a file.
pub(crate) fn contents(path: &Path) -> Result<Vec<u8>, Error> {
    let raw = std::fs::read(path).map_err(|error| Error::not_found(format!("{}: {error}", path.display())))?;
    if !raw.starts_with(&[0x1f, 0x8b]) {
        return Ok(raw);
    }
    let mut bytes = Vec::new();
    match flate2::read::MultiGzDecoder::new(&raw[..]).take(MOST + 1).read_to_end(&mut bytes) {
        Ok(n) if n as u64 > MOST => {
            Err(Error::unsupported(format!("{}: unpacks to more than {MOST} bytes", path.display())))
        }
        Ok(_) => Ok(bytes),
        Err(error) => {
            let (file, n) = (path.display(), bytes.len());
            Err(Error::argument(format!("{file}: offset {n} unpacked: expected more gzip data, found: {error}")))
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
    pub(crate) struct Folder(pub PathBuf);

    impl Folder {
        pub(crate) fn new(test: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("mountainpass-data-{}-{test}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Folder(path)
        }
        pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> &Folder {
            std::fs::write(self.0.join(name), bytes).unwrap();
            self
        }
        pub(crate) fn path(&self, name: &str) -> String {
            self.0.join(name).display().to_string()
        }
    }

    impl Drop for Folder {
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
