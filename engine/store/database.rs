//! `landscape.sqlite`: findings in, one transaction each; the whole [`Landscape`] out, equal bit for bit.
//!
//! While findings are written the database is in WAL mode without a sync per transaction: a killed process loses
//! nothing that was committed (a power failure may cost the last findings, never the file). A clean close folds the
//! log back, so that the folder holds one plain file, which can be read from a read-only folder too.
//!
//! Who opens a database reads every byte of it once: its structure, its tables and every row's checksum are looked at
//! before anything is believed, and until the first finding is kept nothing on the disk changes (`reading.rs`).
//!
//! Every minimum and every pass is a row of `cells`, where a saddle that tops no path has its place as well.
//! Identifiers are stored as SQLite's signed integers, bit for bit.

use super::census::{Census, Pen};
use super::reading::{Access, BESIDE, Reading, damaged, fault, is_claimed, located, with_end};
use super::rows::{self, put};
use super::tables::{self, META, PROVENANCE};
use super::{Kept, Provenance, RunRecord};
use crate::error::{Error, Result};
use crate::machine::durable;
use crate::search::{Finding, Journal, Landscape};
use rusqlite::{Connection, ErrorCode, OpenFlags, Row, Transaction, TransactionBehavior};
use std::io::Read;
use std::path::{Path, PathBuf};

/// An open landscape database.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    held: Held,
}

#[derive(Debug)]
enum Held {
    Reading(Reading),
    Writing(Connection, Census),
    /// Between the two, and after a failed change from one to the other.
    Nothing,
}

impl Store {
    /// Starts a database at a path where there is none (an empty file, left by a run killed at once, counts as none).
    /// It is there with all its tables, or not at all.
    pub fn create(path: impl Into<PathBuf>, provenance: &Provenance) -> Result<Store> {
        let path = path.into();
        let refuse = |text: String| Err(Error::Store { path: path.clone(), text });
        let plain = located(&path)?;
        if std::fs::metadata(&plain).is_ok_and(|file| !file.is_file() || file.len() > 0) {
            return refuse("exists already; open it to resume, or name another folder".to_owned());
        }
        // A log may hold findings of a database that somebody took away; of one that never was there is nothing to keep.
        let [log, ..] = BESIDE.map(|end| with_end(&plain, end));
        if std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
            let log = log.file_name().unwrap_or_default().display().to_string();
            return refuse(format!("its log {log} is there without it: put the database back, or remove the log"));
        }
        Store::replace(path, provenance)
    }

    /// Starts a database in place of whatever is there, which is given up when the new one is whole.
    pub fn replace(path: impl Into<PathBuf>, provenance: &Provenance) -> Result<Store> {
        let path = path.into();
        let plain = located(&path)?;
        let part = durable::part(&plain, None).map_err(|e| Error::io(&path, e))?;
        fill(part.path(), provenance).map_err(|e| fault(&path, e))?;
        for end in BESIDE {
            let left = with_end(&plain, end);
            match std::fs::remove_file(&left) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::io(left, e)),
                _ => {}
            }
        }
        durable::settle(part, &plain).map_err(|e| Error::io(&path, e))?;
        Store::resume(path)
    }

    /// Opens a database to read or to resume. A file that is none, is damaged anywhere or has another version is
    /// refused.
    pub fn open(path: impl Into<PathBuf>) -> Result<Store> {
        let path = path.into();
        let state = if is_claimed(&path) { Access::Shared } else { Access::Alone };
        Store::opened(path, state)
    }

    /// Opens a database whose folder the caller has locked, so that nobody else is writing there.
    pub fn resume(path: impl Into<PathBuf>) -> Result<Store> {
        Store::opened(path.into(), Access::Alone)
    }

    fn opened(path: PathBuf, state: Access) -> Result<Store> {
        let reading = Reading::open(&path, state)?;
        reading.verify()?;
        Ok(Store { path, held: Held::Reading(reading) })
    }

    /// Whether a file is somebody else's: no file, or a database that is not one of ours, however old or damaged.
    pub fn is_foreign(path: &Path) -> std::io::Result<bool> {
        if !std::fs::metadata(path)?.is_file() {
            return Ok(true); // A pipe would not even be opened before somebody writes to it.
        }
        let (mut head, mut file) = ([0; 72], std::fs::File::open(path)?);
        // Shorter than a database: what is left of one, if anything.
        let whole = file.read_exact(&mut head).is_ok();
        Ok(whole && head.starts_with(b"SQLite format 3\0") && head[68..72] != tables::APPLICATION.to_be_bytes())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn db(&self) -> Result<&Connection> {
        match &self.held {
            Held::Reading(reading) => Ok(reading.db()),
            Held::Writing(db, _) => Ok(db),
            Held::Nothing => Err(Error::Store { path: self.path.clone(), text: "could not be opened to write".into() }),
        }
    }

    /// What the database was made from.
    pub fn provenance(&self) -> Result<Provenance> {
        provenance(&self.words(PROVENANCE.name)?).map_err(|text| damaged(&self.path, &text))
    }

    /// What it says of the run itself.
    pub fn record(&self) -> Result<RunRecord> {
        let of = RunRecord::of(&self.words(META.name)?);
        of.map_err(|text| damaged(&self.path, &format!("its record of the run does not read: {text}")))
    }

    /// Everything found so far, minima and paths in the order in which they were first put. Each is as it was put; what
    /// they are to each other, [`Landscape::flaw`] looks at.
    pub fn landscape(&self) -> Result<Landscape> {
        // One read transaction: a run that is still writing must not slip in between the tables.
        self.db()?.execute_batch("BEGIN").map_err(|e| fault(&self.path, e))?;
        let landscape = self.read();
        self.db()?.execute_batch("COMMIT").map_err(|e| fault(&self.path, e))?;
        landscape
    }

    /// The values of a sampled loss so far, in the order of the samples, which follow one another without a gap.
    pub fn values(&self) -> Result<Vec<f64>> {
        let there = self.db()?.table_exists(None, tables::VALUES.name).map_err(|e| fault(&self.path, e))?;
        if !there {
            return Ok(Vec::new()); // A file of version 1 without samples.
        }
        let mut all: Vec<f64> = Vec::new();
        for (first, values) in self.rows(&format!("{} ORDER BY first", rows::A_BLOCK), rows::block)? {
            if first != all.len() as u64 {
                return Err(damaged(&self.path, &format!("of its samples {} to {first} are missing", all.len())));
            }
            all.extend(values);
        }
        Ok(all)
    }

    /// The whole run. Refuses what no landscape can be.
    pub fn kept(&self) -> Result<Kept> {
        let (landscape, provenance, record) = (self.landscape()?, self.provenance()?, self.record()?);
        let kept = Kept { landscape, provenance, record };
        let params = usize::try_from(kept.provenance.parameters).unwrap_or(0);
        match kept.landscape.flaw(params, kept.noise()) {
            Some(flaw) => Err(Error::Store { path: self.path.clone(), text: format!("damaged: {flaw}") }),
            None => Ok(kept),
        }
    }

    /// Keeps what belongs together: all of it or, when the process dies before this returns, nothing.
    pub fn commit(&mut self, findings: &[Finding<'_>]) -> Result<()> {
        self.write(|pen| findings.iter().try_for_each(|finding| put(pen, finding)))
    }

    /// Keeps a whole landscape.
    pub fn put_landscape(&mut self, landscape: &Landscape) -> Result<()> {
        let mut findings: Vec<Finding> = landscape.minima.iter().map(Finding::Minimum).collect();
        findings.extend(landscape.paths.iter().map(Finding::Path));
        findings.extend(landscape.critical.iter().map(Finding::Critical));
        findings.extend(landscape.evaluations.iter().map(|(stage, tally)| Finding::Evaluations(*stage, *tally)));
        self.commit(&findings)
    }

    /// Keeps the record of the run in place of the one before.
    pub fn put_record(&mut self, record: &RunRecord) -> Result<()> {
        let words = record.words().map_err(|e| Error::Internal(format!("JSON: {e}")))?;
        self.write(|pen| {
            pen.clear(&META)?;
            words.iter().try_for_each(|(key, word)| pen.put(&META, &[key, word]))
        })
    }

    /// Folds in the log that a killed writer left, if it did.
    pub fn fold(&mut self) -> Result<()> {
        let plain = located(&self.path)?;
        if BESIDE.iter().any(|end| with_end(&plain, end).exists()) {
            self.write(|_| Ok(()))?;
            self.settle()?;
        }
        Ok(())
    }

    /// Closes, leaving one file. Dropping does the same, without telling of errors.
    pub fn close(mut self) -> Result<()> {
        self.settle()
    }

    /// One transaction; the first one opens the file for writing. Who opens to read leaves every byte as it is.
    fn write(&mut self, body: impl FnOnce(&mut Pen<'_>) -> rusqlite::Result<()>) -> Result<()> {
        if let Held::Reading(reading) = &self.held {
            let version = reading.version();
            self.held = Held::Nothing; // A private copy goes before the file is touched.
            let (db, census) = self.writer(version)?;
            self.held = Held::Writing(db, census);
        }
        let Held::Writing(db, census) = &mut self.held else { return self.db().map(drop) };
        *census = within(db, |t| Pen::write(t, census, body)).map_err(|e| fault(&self.path, e))?;
        Ok(())
    }

    /// A connection that writes, to tables of the newest version, and what they hold.
    fn writer(&self, version: i32) -> Result<(Connection, Census)> {
        let fault = |e| fault(&self.path, e);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut db = Connection::open_with_flags(located(&self.path)?, flags).map_err(fault)?;
        tables::learn(&db).map_err(fault)?;
        if version < tables::VERSION {
            let salt = tables::new_salt();
            tables::teach(&db, salt.clone()).map_err(fault)?;
            within(&mut db, |t| {
                tables::ALL.iter().try_for_each(|table| table.upgrade(t))?;
                tables::put_salt(t, &salt)?;
                PROVENANCE.put(t, &[&tables::SALT, &salt])?;
                Census::take(t)?.put(t, &Census::default())?;
                t.pragma_update(None, "user_version", tables::VERSION)
            })
            .map_err(fault)?;
        }
        db.pragma_update(None, "journal_mode", "WAL").map_err(fault)?;
        db.pragma_update(None, "synchronous", "NORMAL").map_err(fault)?;
        let census = Census::kept(&db).map_err(fault)?;
        Ok((db, census))
    }

    fn settle(&mut self) -> Result<()> {
        let Held::Writing(db, _) = std::mem::replace(&mut self.held, Held::Nothing) else { return Ok(()) };
        let folded = db.pragma_update(None, "journal_mode", "DELETE");
        // Somebody else is reading: then the last one to close folds the log, or the next writer.
        let shared = [Some(ErrorCode::DatabaseBusy), Some(ErrorCode::DatabaseLocked)];
        match folded {
            Err(e) if !shared.contains(&e.sqlite_error_code()) => Err(fault(&self.path, e)),
            _ => Ok(()),
        }
    }

    fn rows<T>(&self, query: &str, read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>) -> Result<Vec<T>> {
        let rows = self.db()?.prepare(query).and_then(|mut query| query.query_map([], read)?.collect());
        rows.map_err(|e| fault(&self.path, e))
    }

    /// The words of a table of words, by key.
    fn words(&self, table: &str) -> Result<Vec<(String, String)>> {
        self.rows(&format!("SELECT key, value FROM {table} ORDER BY key"), |row| Ok((row.get(0)?, row.get(1)?)))
    }

    fn read(&self) -> Result<Landscape> {
        Ok(Landscape {
            minima: self.rows(&format!("{} ORDER BY position", rows::A_MINIMUM), rows::minimum)?,
            paths: self.rows(&format!("{} ORDER BY position", rows::A_PATH), rows::curve)?,
            evaluations: self.rows(&format!("{} ORDER BY position", rows::A_TALLY), rows::tally)?,
            critical: self.rows(&format!("{} WHERE degree > 1 ORDER BY id", rows::A_CRITICAL), rows::critical)?,
        })
    }
}

impl Journal for Store {
    fn commit(&mut self, findings: &[Finding<'_>]) -> Result<()> {
        Store::commit(self, findings)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Nobody is left to be told; what stays behind is a log that the next opening folds in.
        let _ = self.settle();
    }
}

/// Makes an empty file a database with all its tables and its provenance.
fn fill(file: &Path, provenance: &Provenance) -> rusqlite::Result<()> {
    let mut db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let salt = tables::new_salt();
    tables::teach(&db, salt.clone())?;
    within(&mut db, |t| {
        tables::create(t, tables::VERSION)?;
        tables::put_salt(t, &salt)?;
        t.pragma_update(None, "application_id", tables::APPLICATION)?;
        t.pragma_update(None, "user_version", tables::VERSION)?;
        let fields = serde_json::to_value(provenance).unwrap_or_default();
        Pen::write(t, &Census::default(), |pen| {
            let fields = fields.as_object().into_iter().flatten();
            fields.into_iter().try_for_each(|(key, value)| pen.put(&PROVENANCE, &[key, &value.to_string()]))?;
            pen.put(&PROVENANCE, &[&tables::SALT, &salt])
        })
    })?;
    db.close().map_err(|(_, e)| e)
}

/// One transaction; taken for writing at once, so that it cannot fail for a lock half-way.
fn within<T>(db: &mut Connection, body: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    let t = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let came = body(&t)?;
    t.commit()?;
    Ok(came)
}

/// A provenance of its words; what is amiss, if anything is.
pub fn provenance(words: &[(String, String)]) -> std::result::Result<Provenance, String> {
    let words = words.iter().filter(|(key, _)| key != tables::SALT);
    let read = words.map(|(key, word)| Ok((key.clone(), serde_json::from_str(word)?)));
    let fields: serde_json::Map<String, serde_json::Value> =
        read.collect::<serde_json::Result<_>>().map_err(|e| format!("its provenance does not read: {e}"))?;
    let whole = serde_json::to_value(Provenance::default()).unwrap_or_default();
    let missing = whole.as_object().into_iter().flatten().find(|(key, _)| !fields.contains_key(*key));
    match missing {
        Some((key, _)) => Err(format!("its provenance lacks {key}")),
        None => serde_json::from_value(fields.into()).map_err(|e| format!("its provenance does not read: {e}")),
    }
}
