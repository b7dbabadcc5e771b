//! Files that are there whole, or not at all: neither a kill nor a power failure leaves half of one.
//!
//! A file is filled under a name of its own in the folder where it belongs, its bytes are brought to the disk, then it
//! takes its place, and then the folder is brought to the disk. The temporary name is random and new, so that nobody
//! can lay a link where it is going to be; what a killed process leaves of it is removed by [`sweep`].

#![forbid(unsafe_code)]

use crate::error::{Error, Result};
use std::fs::{File, Metadata, Permissions};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use tempfile::{Builder, NamedTempFile};

const PREFIX: &str = ".mpass-";
const SUFFIX: &str = ".part";

/// Writes a file in one go.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fill(path, |file| file.write_all(bytes))
}

/// Writes a file as `body` fills it.
pub fn fill(path: &Path, body: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
    let mut filling = Filling::begin(path)?;
    body(&mut filling).map_err(|e| Error::io(path, e))?;
    filling.finish()
}

/// A file that is being filled. Whoever looks sees the old file or, once it is finished, the new one; a link is followed, and
/// the mode of the old file is kept. What is there and no regular file (a pipe, /dev/null) is written to, not replaced.
pub struct Filling {
    path: PathBuf,
    to: To,
}

enum To {
    Stream(BufWriter<File>),
    /// Which is then brought to its place.
    Part(BufWriter<NamedTempFile>, PathBuf),
}

impl Filling {
    /// Begins a file.
    pub fn begin(path: &Path) -> Result<Filling> {
        let io = |e| Error::io(path, e);
        let there = std::fs::metadata(path).ok();
        let to = match there.as_ref().is_some_and(|there| !there.is_file() && !there.is_dir()) {
            true => To::Stream(BufWriter::new(File::options().write(true).open(path).map_err(io)?)),
            false => {
                let target = target(path)?;
                To::Part(BufWriter::new(part(&target, there.as_ref()).map_err(io)?), target)
            }
        };
        Ok(Filling { path: path.to_owned(), to })
    }

    /// Brings it to its place, whole.
    pub fn finish(self) -> Result<()> {
        let done = match self.to {
            To::Stream(mut stream) => stream.flush(),
            To::Part(part, target) => {
                part.into_inner().map_err(|e| e.into_error()).and_then(|part| settle(part, &target))
            }
        };
        done.map_err(|e| Error::io(&self.path, e))
    }
}

impl Write for Filling {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match &mut self.to {
            To::Stream(stream) => stream.write(bytes),
            To::Part(part, _) => part.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match &mut self.to {
            To::Stream(stream) => stream.flush(),
            To::Part(part, _) => part.flush(),
        }
    }
}

/// A new, empty file beside `path`, to become it by [`settle`]; it is gone when it is dropped.
pub fn part(path: &Path, replaced: Option<&Metadata>) -> std::io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(Permissions::from_mode(0o666)); // Less the umask, as for any new file.
    }
    let part = builder.tempfile_in(folder(path))?;
    if let Some(replaced) = replaced {
        part.as_file().set_permissions(replaced.permissions())?;
    }
    Ok(part)
}

/// Brings a part to the disk and then to its place, replacing what is there.
pub fn settle(part: NamedTempFile, path: &Path) -> std::io::Result<()> {
    part.as_file().sync_all()?;
    part.persist(path).map_err(|e| e.error)?;
    sync(folder(path))
}

/// Makes a folder with all that lead to it, on the disk too.
pub fn make_folder(path: &Path) -> Result<()> {
    let new: Vec<&Path> =
        path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists()).collect();
    std::fs::create_dir_all(path).map_err(|e| Error::io(path, e))?;
    new.into_iter().try_for_each(|made| sync(folder(made)).map_err(|e| Error::io(made, e)))
}

/// Brings the names in a folder to the disk, where the system can.
fn sync(folder: &Path) -> std::io::Result<()> {
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        // Some file systems have no such call, and some folders may be written to but not read.
        Err(e)
            if matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported | ErrorKind::PermissionDenied) =>
        {
            Ok(())
        }
        other => other,
    }
}

/// Removes the parts that a killed process left in a folder. Only for who has the folder to himself.
pub fn sweep(folder: &Path) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_part = name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.contains(SUFFIX));
        if is_part {
            std::fs::remove_file(entry.path()).map_err(|e| Error::io(entry.path(), e))?;
        }
    }
    Ok(())
}

/// Where a file is in truth: links are followed.
fn target(path: &Path) -> Result<PathBuf> {
    let is_link = std::fs::symlink_metadata(path).is_ok_and(|there| there.is_symlink());
    match path.file_name() {
        None => Err(Error::Argument(format!("{}: not the name of a file", path.display()))),
        Some(_) if is_link => std::fs::canonicalize(path).map_err(|e| Error::io(path, e)),
        Some(_) => Ok(path.to_owned()),
    }
}

/// The folder that a file is in.
pub fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_pipe_is_written_to_and_stays_a_pipe() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || {
                let mut text = String::new();
                File::open(pipe).unwrap().read_to_string(&mut text).unwrap();
                text
            }
        });
        write(&pipe, b"bars").unwrap();
        // Checked before the reader is waited for: a pipe that was replaced would leave it waiting.
        let is_pipe = std::fs::metadata(&pipe).unwrap().file_type().is_fifo();
        assert!(is_pipe);
        assert_eq!(reader.join().unwrap(), "bars");
    }

    #[test]
    fn a_link_is_followed_and_the_mode_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link, lost] = ["file", "link", "lost"].map(|name| folder.path().join(name));
        std::fs::write(&file, "old").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        symlink("file", &link).unwrap();
        write(&link, b"new").unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        symlink("nowhere", &lost).unwrap();
        assert!(write(&lost, b"new").is_err(), "a link to nothing names no file");
        assert_eq!(names(folder.path()), ["file", "link", "lost"]);
    }

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f".repeat(255)); // The longest name that there is has room for no more.
        write(&file, b"old").unwrap();
        let fails = |out: &mut dyn Write| out.write_all(b"half").and(Err(ErrorKind::StorageFull.into()));
        assert!(fill(&file, fails).is_err());
        assert_eq!(std::fs::read(&file).unwrap(), b"old");
        assert_eq!(names(folder.path()).len(), 1);
    }

    #[test]
    fn a_folder_is_made_with_all_that_lead_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b/c");
        make_folder(&deep).unwrap();
        make_folder(&deep).unwrap();
        assert!(deep.is_dir());
        write(&folder.path().join("file"), b"").unwrap();
        let error = make_folder(&folder.path().join("file/x")).unwrap_err().to_string();
        assert!(error.starts_with(&folder.path().join("file/x").display().to_string()), "{error}");
    }

    #[test]
    fn what_a_killed_process_left_is_swept_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (_, left) = part(&folder.path().join("x"), None).unwrap().keep().unwrap();
        std::fs::write(folder.path().join("mine.part"), "").unwrap();
        assert!(left.exists());
        sweep(folder.path()).unwrap();
        assert_eq!(names(folder.path()), ["mine.part"]);
    }
}
