//! A database opened to be read: nothing on the disk changes, and nothing is believed before it was looked at.
//!
//! A file whose last writer was killed has a log or a roll-back beside it, and SQLite can take these in only by
//! writing. Then a private copy of the files is what is read, unless a run has claimed the folder: its log is shared.

use super::census::Census;
use super::tables;
use crate::error::{Error, Result};
use crate::machine::durable;
use crate::plain;
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::Read;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What a database is called in the folder of its run.
pub const DATABASE: &str = "landscape.sqlite";
/// What SQLite keeps beside a database while it is written, and a killed process leaves there.
pub const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// What is known of a database before it is opened.
#[derive(Clone, Copy, PartialEq)]
pub enum Access {
    /// A run may be writing it now.
    Shared,
    /// Nobody is.
    Alone,
    /// Nobody is, and what there is is to be read whatever else is amiss.
    Damaged,
}

/// A database that is only read.
#[derive(Debug)]
pub struct Reading {
    db: Connection,
    path: PathBuf,
    version: i32,
    /// Where the private copy is, if there is one.
    _copy: Option<TempDir>,
}

impl Reading {
    /// Opens a file that claims to be a landscape of a known version.
    pub fn open(path: &Path, state: Access) -> Result<Reading> {
        let refuse = |text: String| Err(Error::Store { path: path.to_owned(), text });
        let file = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
        if !file.is_file() {
            return refuse("not a file".to_owned());
        }
        // Below the smallest page SQLite takes any bytes for an empty database.
        if file.len() < 512 {
            return refuse("empty or cut short; remove it and run again".to_owned());
        }
        let plain = located(path)?;
        for left in BESIDE.map(|end| with_end(&plain, end)) {
            // SQLite would wait for whoever writes to a pipe.
            if std::fs::symlink_metadata(&left).is_ok_and(|left| !left.is_file()) {
                return refuse(format!("{} beside it is no file: move it away", left.display()));
            }
        }
        let (db, copy) = read_only(path, &plain, state)?;
        let pragma = |name| db.pragma_query_value(None, name, |row| row.get::<_, i32>(0)).map_err(|e| fault(path, e));
        if pragma("application_id")? != tables::APPLICATION {
            return refuse("a SQLite database, but not one of mountainpass".to_owned());
        }
        let version = pragma("user_version")?;
        if !(1..=tables::VERSION).contains(&version) {
            return refuse(format!(
                "schema version {version}, but this mountainpass reads version 1 to {}; use the mountainpass that wrote \
                 it, or run again in another folder",
                tables::VERSION
            ));
        }
        tables::learn(&db).map_err(|e| fault(path, e))?;
        Ok(Reading { db, path: path.to_owned(), version, _copy: copy })
    }

    /// The connection.
    pub fn db(&self) -> &Connection {
        &self.db
    }

    /// The version of its tables.
    pub fn version(&self) -> i32 {
        self.version
    }

    /// Refuses a database that is damaged: its pages, its tables, or a row that is not what was written.
    pub fn verify(&self) -> Result<()> {
        let text = match self.amiss() {
            Ok(None) => return Ok(()),
            Ok(Some(text)) => text,
            Err(e) => return Err(fault(&self.path, e)),
        };
        Err(damaged(&self.path, &text))
    }

    fn amiss(&self) -> rusqlite::Result<Option<String>> {
        // One look at one state: a run may be writing.
        self.db.execute_batch("BEGIN")?;
        let amiss = self.structure().and_then(|amiss| if amiss.is_some() { Ok(amiss) } else { self.rows() });
        self.db.execute_batch("COMMIT")?;
        amiss
    }

    fn structure(&self) -> rusqlite::Result<Option<String>> {
        let pages: String = self.db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        if pages != "ok" {
            let first = pages.lines().find(|line| !line.starts_with("***")).unwrap_or(&pages);
            return Ok(Some(first.trim().to_owned()));
        }
        let model = Connection::open_in_memory()?;
        tables::create(&model, self.version)?;
        let (found, mut wanted) = (tables::layout(&self.db)?, tables::layout(&model)?);
        if found != wanted && self.version == 1 {
            model.execute_batch(&tables::VALUES.create(1))?;
            wanted = tables::layout(&model)?;
        }
        let odd = found.iter().find(|part| !wanted.contains(part)).or(wanted.iter().find(|part| !found.contains(part)));
        Ok(odd.map(|(kind, name, column)| match column {
            Some(column) => format!("its {kind} {name} is another one (at {column})"),
            None => format!("its {kind} {name} is another one"),
        }))
    }

    fn rows(&self) -> rusqlite::Result<Option<String>> {
        if self.version == 1 {
            return Ok(None); // It had no checksums.
        }
        let mut all = Vec::new();
        for table in tables::ALL {
            let keys: Vec<String> = table.damaged(&self.db)?.into_iter().map(written).collect();
            if !keys.is_empty() {
                let (few, more) = (keys[..keys.len().min(5)].join(", "), if keys.len() > 5 { ", ..." } else { "" });
                all.push(format!("{} {few}{more}", table.name));
            }
        }
        if !all.is_empty() {
            return Ok(Some(format!("{}: not what was written", all.join("; "))));
        }
        let differs = Census::take(&self.db)?.differs(&Census::kept(&self.db)?);
        Ok(differs.map(|name| format!("{name}: rows are missing, or older than the rest")))
    }
}

/// A key in a message.
fn written(key: Value) -> String {
    match key {
        Value::Integer(n) => n.cast_unsigned().to_string(),
        Value::Text(text) => text,
        other => format!("{other:?}"),
    }
}

/// A connection that changes nothing on the disk, and the copy that it reads if that needs one.
fn read_only(path: &Path, plain: &Path, state: Access) -> Result<(Connection, Option<TempDir>)> {
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let reads = |db: Connection| {
        if state == Access::Damaged {
            db.pragma_update(None, "writable_schema", true)?; // Or one fault in the schema hides all of it.
        }
        db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(db)
    };
    let left = ["-wal", "-journal"].map(|end| with_end(plain, end));
    let is_left = left.iter().any(|left| std::fs::metadata(left).is_ok_and(|file| file.len() > 0));
    if state == Access::Shared || !is_left && !is_logged(plain) {
        match Connection::open_with_flags(plain, flags | OpenFlags::SQLITE_OPEN_READ_ONLY).and_then(reads) {
            Ok(db) => return Ok((db, None)),
            // It cannot be read without a write first.
            Err(e) if matches!(e.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)) => {}
            Err(e) => return Err(fault(path, e)),
        }
    }
    let io = |e| Error::io(path, e);
    let folder = tempfile::tempdir().map_err(io)?;
    let copy = folder.path().join(DATABASE);
    std::fs::copy(plain, &copy).map_err(io)?;
    for (end, left) in ["-wal", "-journal"].into_iter().zip(left).filter(|(_, left)| left.exists()) {
        std::fs::copy(left, with_end(&copy, end)).map_err(io)?;
    }
    let db = Connection::open_with_flags(&copy, flags | OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(reads);
    Ok((db.map_err(|e| fault(path, e))?, Some(folder)))
}

/// Whether the file says that its changes are in a log: SQLite makes one even to read it.
fn is_logged(plain: &Path) -> bool {
    let mut head = [0; 20];
    File::open(plain).and_then(|mut file| file.read_exact(&mut head)).is_ok() && head[18..20] != [1, 1]
}

/// Whether a run has locked the folder of a database.
pub fn is_claimed(path: &Path) -> bool {
    let folder = File::open(durable::folder(path));
    folder.is_ok_and(|folder| matches!(folder.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Where a database is in truth: a path that SQLite takes for nothing but a path (no name of its own for memory, no
/// address), links followed, as SQLite does for what it keeps beside.
pub fn located(path: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(path);
    let absolute =
        absolute.map_err(|e| Error::Argument(format!("{:?} names no file: {e}", path.display().to_string())))?;
    match std::fs::symlink_metadata(&absolute) {
        Ok(there) if there.is_symlink() => std::fs::canonicalize(&absolute).map_err(|e| Error::io(path, e)),
        _ => Ok(absolute),
    }
}

/// A path with something behind its name.
pub fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

/// A database that is not what was written, and what can be done.
pub fn damaged(path: &Path, what: &str) -> Error {
    let plain = located(path).unwrap_or_else(|_| path.to_owned());
    let left = BESIDE.into_iter().map(|end| with_end(&plain, end)).filter(|file| file.exists());
    let names: Vec<String> = left.filter_map(|file| Some(file.file_name()?.display().to_string())).collect();
    let log = match names.is_empty() {
        true => String::new(),
        false => format!(" (if it was put back from a copy, remove {} first)", names.join(" and ")),
    };
    let text = format!(
        "damaged: {}; restore it from a copy{log}, save what is whole with mpass show --salvage, or run again in \
         another folder",
        plain::line(what)
    );
    Error::Store { path: path.to_owned(), text }
}

/// One line that names the file and what was expected of it.
pub fn fault(path: &Path, error: rusqlite::Error) -> Error {
    let text = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            format!("not a landscape database (SQLite, schema version {}, is expected)", tables::VERSION)
        }
        Some(ErrorCode::DatabaseCorrupt) => return damaged(path, &format!("its pages do not read ({error})")),
        Some(ErrorCode::DatabaseBusy) => "in use by another process; wait until its run has ended".to_owned(),
        Some(ErrorCode::ReadOnly) => "cannot be written; mind the permissions of the file and its folder".to_owned(),
        Some(ErrorCode::DiskFull) => "the disk is full; what was kept before is safe".to_owned(),
        None => return damaged(path, &error.to_string()), // A value that cannot be one.
        _ => plain::line(&error.to_string()),
    };
    Error::Store { path: path.to_owned(), text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_means_more_to_sqlite_than_a_path() {
        // What it would take for memory, or for an address, begins otherwise.
        for name in [":memory:", "file:x?mode=memory", "file:///etc/passwd", "x"] {
            let plain = located(Path::new(name)).unwrap();
            assert!(plain.is_absolute() && plain.ends_with(name), "{}", plain.display());
        }
        let error = located(Path::new("")).unwrap_err();
        assert!(matches!(error, Error::Argument(_)) && error.to_string().contains("names no file"), "{error}");
    }
}
