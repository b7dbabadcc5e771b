//! `landscape.sqlite`: findings in, one transaction each; the whole [`Landscape`] out, equal bit for bit.
//!
//! While findings are written the database is in WAL mode without a sync per transaction: a killed process loses
//! nothing that was committed (a power failure may cost the last findings, never the file). A clean close folds the
//! log back, so that the folder holds one plain file, which can be read from a read-only folder too.
//!
//! Every minimum and every pass is a row of `cells`, where a saddle that tops no path has its place as well.
//! Identifiers are stored as SQLite's signed integers, bit for bit.

use super::Provenance;
use super::exact::{Exact, ExactEvidence, Floats, bytes};
use crate::error::{Error, Result};
use crate::search::{Evidence, Finding, Journal, Landscape, Minimum, Pass, Path as Curve, Profile, Tally};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use serde::{Serialize, de::DeserializeOwned};
use std::path::{Path, PathBuf};

/// The version of the tables; another one is refused.
pub const SCHEMA_VERSION: i32 = 1;

/// "mpas": tells our files from other SQLite databases.
const APPLICATION: i32 = i32::from_be_bytes(*b"mpas");

// Columns of floats have no type: REAL would lose -0 and NaN (exact.rs).
const SCHEMA: &str = "
CREATE TABLE provenance (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE cells (
    id INTEGER PRIMARY KEY,
    degree INTEGER NOT NULL,
    kind TEXT NOT NULL,          -- minimum, path maximum, verified saddle
    value NOT NULL,              -- the loss; of a pass, its height
    theta BLOB NOT NULL,         -- p little-endian f64, as all blobs
    evidence TEXT                -- JSON; of a saddle, with the ends of both descents
);
CREATE TABLE minima (
    position INTEGER PRIMARY KEY,
    cell INTEGER NOT NULL UNIQUE REFERENCES cells,
    origin TEXT NOT NULL,        -- JSON
    descent TEXT NOT NULL,
    same_as INTEGER,
    metrics TEXT NOT NULL,       -- JSON, pairs of name and value
    evaluations INTEGER NOT NULL
);
CREATE TABLE paths (
    position INTEGER PRIMARY KEY,
    id INTEGER NOT NULL UNIQUE,
    end_a INTEGER NOT NULL,
    end_b INTEGER NOT NULL,
    state TEXT NOT NULL,
    visits INTEGER NOT NULL,
    pass INTEGER NOT NULL REFERENCES cells,
    pass_error NOT NULL,
    pass_arc NOT NULL,
    pass_reason TEXT,            -- why it is no verified saddle
    knots BLOB NOT NULL,
    arc BLOB NOT NULL,           -- the profile
    loss BLOB NOT NULL,
    slope BLOB NOT NULL
);
CREATE TABLE evaluations (
    position INTEGER PRIMARY KEY,
    stage TEXT NOT NULL UNIQUE,
    loss INTEGER NOT NULL,
    gradient INTEGER NOT NULL,
    hessian_product INTEGER NOT NULL
);
";

/// The values of a sampled loss. Made with the first of them: a run that samples nothing has no such table.
const VALUES: &str = "CREATE TABLE IF NOT EXISTS sample_values (first INTEGER PRIMARY KEY, value BLOB NOT NULL)";

/// An open landscape database.
#[derive(Debug)]
pub struct Store {
    db: Connection,
    path: PathBuf,
    writing: bool,
}

impl Store {
    /// Starts a database at a path where there is none (an empty file, left by a run killed at once, counts as none).
    pub fn create(path: impl Into<PathBuf>, provenance: &Provenance) -> Result<Store> {
        let path = path.into();
        if std::fs::metadata(&path).is_ok_and(|file| file.len() > 0) {
            let text = "exists already; open it to resume, or name another folder".to_owned();
            return Err(Error::Store { path, text });
        }
        let mut db = Connection::open(&path).map_err(|e| fault(&path, e))?;
        let fields = match serde_json::to_value(provenance) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => return Err(Error::Internal("the provenance is no JSON object".to_owned())),
        };
        // Not yet in WAL mode: until the tables are there the file stays empty.
        within(&mut db, &path, |t| {
            t.execute_batch(SCHEMA)?;
            t.pragma_update(None, "application_id", APPLICATION)?;
            t.pragma_update(None, "user_version", SCHEMA_VERSION)?;
            let mut insert = t.prepare("INSERT INTO provenance VALUES (?, ?)")?;
            fields.iter().try_for_each(|(key, value)| insert.execute(params![key, value.to_string()]).map(drop))
        })?;
        Ok(Store { db, path, writing: false })
    }

    /// Opens a database to read or to resume. A file that is none, is damaged or has another version is refused.
    pub fn open(path: impl Into<PathBuf>) -> Result<Store> {
        let path = path.into();
        let length = std::fs::metadata(&path).map_err(|e| Error::io(&path, e))?.len();
        let refuse = |text: String| Err(Error::Store { path: path.clone(), text });
        // Below the smallest page SQLite takes any bytes for an empty database.
        if length < 512 {
            return refuse("empty or cut short; remove it and run again".to_owned());
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&path, flags).map_err(|e| fault(&path, e))?;
        let pragma = |name| db.pragma_query_value(None, name, |row| row.get::<_, i32>(0)).map_err(|e| fault(&path, e));
        if pragma("application_id")? != APPLICATION {
            return refuse("a SQLite database, but not one of mountainpass".to_owned());
        }
        let version = pragma("user_version")?;
        if version != SCHEMA_VERSION {
            return refuse(format!(
                "schema version {version}, but this mountainpass reads version {SCHEMA_VERSION}; use the mountainpass \
                 that wrote it, or run again in another folder"
            ));
        }
        Ok(Store { db, path, writing: false })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the database was made from.
    pub fn provenance(&self) -> Result<Provenance> {
        let rows = self.rows("SELECT key, value FROM provenance", |row| {
            Ok((row.get::<_, String>(0)?, parse::<serde_json::Value>(row, 1)?))
        })?;
        serde_json::from_value(rows.into_iter().collect())
            .map_err(|e| Error::Store { path: self.path.clone(), text: format!("its provenance does not read: {e}") })
    }

    /// Everything found so far, minima and paths in the order in which they were first put.
    pub fn landscape(&self) -> Result<Landscape> {
        // One read transaction: a run that is still writing must not slip in between the tables.
        self.db.execute_batch("BEGIN").map_err(|e| fault(&self.path, e))?;
        let landscape = self.read();
        self.db.execute_batch("COMMIT").map_err(|e| fault(&self.path, e))?;
        landscape
    }

    /// Keeps what belongs together: all of it or, when the process dies before this returns, nothing.
    pub fn commit(&mut self, findings: &[Finding<'_>]) -> Result<()> {
        if !self.writing {
            // Only on the first write: who opens to read leaves every byte of the file as it is.
            let wal = self.db.pragma_update(None, "journal_mode", "WAL");
            let wal = wal.and_then(|()| self.db.pragma_update(None, "synchronous", "NORMAL"));
            wal.map_err(|e| fault(&self.path, e))?;
            self.writing = true;
        }
        within(&mut self.db, &self.path, |t| findings.iter().try_for_each(|finding| put(t, finding)))
    }

    /// Keeps one minimum, new or changed.
    pub fn put_minimum(&mut self, minimum: &Minimum) -> Result<()> {
        self.commit(&[Finding::Minimum(minimum)])
    }

    /// Keeps one path with its pass, new or changed.
    pub fn put_path(&mut self, path: &Curve) -> Result<()> {
        self.commit(&[Finding::Path(path)])
    }

    /// Keeps what every stage has spent so far.
    pub fn put_evaluations(&mut self, stages: &[(String, Tally)]) -> Result<()> {
        let findings: Vec<Finding> = stages.iter().map(|(stage, tally)| Finding::Evaluations(stage, *tally)).collect();
        self.commit(&findings)
    }

    /// Keeps a word of the caller's own.
    pub fn set_meta(&mut self, key: &str, value: &str) -> Result<()> {
        self.commit(&[Finding::Meta(key, value)])
    }

    /// A word kept by [`set_meta`](Store::set_meta).
    pub fn get_meta(&self, key: &str) -> Result<Option<String>> {
        let query = "SELECT value FROM meta WHERE key = ?";
        self.db.query_row(query, [key], |row| row.get(0)).optional().map_err(|e| fault(&self.path, e))
    }

    /// Closes, leaving one file. Dropping does the same, without telling of errors.
    pub fn close(mut self) -> Result<()> {
        self.settle()
    }

    fn settle(&mut self) -> Result<()> {
        if std::mem::take(&mut self.writing) {
            let folded = self.db.pragma_update(None, "journal_mode", "DELETE");
            // Somebody else is reading: then the last one to close folds the log, or the next writer.
            let shared = [Some(ErrorCode::DatabaseBusy), Some(ErrorCode::DatabaseLocked)];
            match folded {
                Err(e) if !shared.contains(&e.sqlite_error_code()) => return Err(fault(&self.path, e)),
                _ => {}
            }
        }
        Ok(())
    }

    fn rows<T>(&self, query: &str, read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>) -> Result<Vec<T>> {
        let rows = self.db.prepare(query).and_then(|mut query| query.query_map([], read)?.collect());
        rows.map_err(|e| fault(&self.path, e))
    }

    fn read(&self) -> Result<Landscape> {
        let minima = "SELECT cell, origin, descent, same_as, metrics, evaluations, value, theta, evidence \
                      FROM minima JOIN cells ON cell = id ORDER BY position";
        let paths = "SELECT paths.id, end_a, end_b, state, visits, knots, arc, loss, slope, pass, kind, value, \
                     pass_error, pass_arc, theta, evidence, pass_reason \
                     FROM paths JOIN cells ON pass = cells.id ORDER BY position";
        let evaluations = "SELECT stage, loss, gradient, hessian_product FROM evaluations ORDER BY position";
        Ok(Landscape {
            minima: self.rows(minima, minimum)?,
            paths: self.rows(paths, curve)?,
            evaluations: self.rows(evaluations, |row| {
                let (loss, gradient, hessian_product) = (number(row, 1)?, number(row, 2)?, number(row, 3)?);
                Ok((row.get(0)?, Tally { loss, gradient, hessian_product }))
            })?,
            values: self.values()?,
        })
    }

    /// The values of a sampled loss, which follow one another without a gap.
    fn values(&self) -> Result<Vec<f64>> {
        let there = self.db.table_exists(None, "sample_values").map_err(|e| fault(&self.path, e))?;
        if !there {
            return Ok(Vec::new());
        }
        let mut all: Vec<f64> = Vec::new();
        for (first, values) in self.rows("SELECT first, value FROM sample_values ORDER BY first", |row| {
            Ok((number(row, 0)?, floats(row, 1)?))
        })? {
            if first != all.len() as u64 {
                let text =
                    format!("damaged: of its samples {} to {first} are missing; run again with --force", all.len());
                return Err(Error::Store { path: self.path.clone(), text });
            }
            all.extend(values);
        }
        Ok(all)
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

/// One transaction; taken for writing at once, so that it cannot fail for a lock half-way.
fn within(db: &mut Connection, path: &Path, body: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>) -> Result<()> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate);
    transaction.and_then(|t| body(&t).and_then(|()| t.commit())).map_err(|e| fault(path, e))
}

fn put(t: &Transaction<'_>, finding: &Finding<'_>) -> rusqlite::Result<()> {
    match finding {
        Finding::Minimum(m) => {
            put_cell(t, m.cell, 0, "minimum", m.loss, &m.theta, Some(&m.evidence))?;
            let metrics: Vec<(&str, Exact)> = m.metrics.iter().map(|(name, x)| (name.as_str(), Exact(*x))).collect();
            t.prepare_cached(
                "INSERT INTO minima (cell, origin, descent, same_as, metrics, evaluations) VALUES (?, ?, ?, ?, ?, ?) \
                 ON CONFLICT (cell) DO UPDATE SET origin = excluded.origin, descent = excluded.descent, \
                 same_as = excluded.same_as, metrics = excluded.metrics, evaluations = excluded.evaluations",
            )?
            .execute(params![
                m.cell.cast_signed(),
                json(&m.origin)?,
                word(&m.descent)?,
                m.same_as.map(u64::cast_signed),
                json(&metrics)?,
                m.evaluations.cast_signed()
            ])?;
        }
        Finding::Path(p) => {
            let pass = &p.pass;
            put_cell(t, pass.cell, 1, &word(&pass.kind)?, pass.height, &pass.theta, pass.evidence.as_ref())?;
            t.prepare_cached(
                "INSERT INTO paths (id, end_a, end_b, state, visits, pass, pass_error, pass_arc, pass_reason, knots, \
                 arc, loss, slope) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
                 ON CONFLICT (id) DO UPDATE SET end_a = excluded.end_a, end_b = excluded.end_b, \
                 state = excluded.state, visits = excluded.visits, pass = excluded.pass, \
                 pass_error = excluded.pass_error, pass_arc = excluded.pass_arc, pass_reason = excluded.pass_reason, \
                 knots = excluded.knots, arc = excluded.arc, loss = excluded.loss, slope = excluded.slope",
            )?
            .execute(params![
                p.id.cast_signed(),
                p.ends.0.cast_signed(),
                p.ends.1.cast_signed(),
                word(&p.state)?,
                p.visits,
                pass.cell.cast_signed(),
                Exact(pass.error),
                Exact(pass.arc),
                pass.reason,
                bytes(&p.knots),
                bytes(&p.profile.arc),
                bytes(&p.profile.loss),
                bytes(&p.profile.slope)
            ])?;
        }
        Finding::Evaluations(stage, tally) => {
            t.prepare_cached(
                "INSERT INTO evaluations (stage, loss, gradient, hessian_product) VALUES (?, ?, ?, ?) \
                 ON CONFLICT (stage) DO UPDATE SET loss = excluded.loss, gradient = excluded.gradient, \
                 hessian_product = excluded.hessian_product",
            )?
            .execute(params![
                stage,
                tally.loss.cast_signed(),
                tally.gradient.cast_signed(),
                tally.hessian_product.cast_signed()
            ])?;
        }
        Finding::Values(first, values) => {
            t.execute_batch(VALUES)?;
            t.prepare_cached("INSERT INTO sample_values VALUES (?, ?)")?
                .execute(params![first.cast_signed(), bytes(values)])?;
        }
        Finding::Meta(key, value) => {
            t.prepare_cached("INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value")?
                .execute([key, value])?;
        }
    }
    Ok(())
}

fn put_cell(
    t: &Transaction<'_>,
    id: u64,
    degree: u32,
    kind: &str,
    value: f64,
    theta: &[f64],
    evidence: Option<&Evidence>,
) -> rusqlite::Result<()> {
    let evidence = evidence.map(|e| json(&ExactEvidence::from(e))).transpose()?;
    t.prepare_cached(
        "INSERT INTO cells VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET degree = excluded.degree, \
         kind = excluded.kind, value = excluded.value, theta = excluded.theta, evidence = excluded.evidence",
    )?
    .execute(params![id.cast_signed(), degree, kind, Exact(value), bytes(theta), evidence])?;
    Ok(())
}

fn minimum(row: &Row<'_>) -> rusqlite::Result<Minimum> {
    Ok(Minimum {
        cell: number(row, 0)?,
        origin: parse(row, 1)?,
        descent: parse_word(row, 2)?,
        same_as: row.get::<_, Option<i64>>(3)?.map(i64::cast_unsigned),
        metrics: parse::<Vec<(String, Exact)>>(row, 4)?.into_iter().map(|(name, x)| (name, x.0)).collect(),
        evaluations: number(row, 5)?,
        loss: float(row, 6)?,
        theta: floats(row, 7)?,
        evidence: parse::<ExactEvidence>(row, 8)?.into(),
    })
}

fn curve(row: &Row<'_>) -> rusqlite::Result<Curve> {
    Ok(Curve {
        id: number(row, 0)?,
        ends: (number(row, 1)?, number(row, 2)?),
        state: parse_word(row, 3)?,
        visits: row.get(4)?,
        knots: floats(row, 5)?,
        profile: Profile { arc: floats(row, 6)?, loss: floats(row, 7)?, slope: floats(row, 8)? },
        pass: Pass {
            cell: number(row, 9)?,
            kind: parse_word(row, 10)?,
            height: float(row, 11)?,
            error: float(row, 12)?,
            arc: float(row, 13)?,
            theta: floats(row, 14)?,
            evidence: match row.get_ref(15)? {
                rusqlite::types::ValueRef::Null => None,
                _ => Some(parse::<ExactEvidence>(row, 15)?.into()),
            },
            reason: row.get(16)?,
        },
    })
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(i64::cast_unsigned)
}

fn float(row: &Row<'_>, column: usize) -> rusqlite::Result<f64> {
    row.get::<_, Exact>(column).map(|x| x.0)
}

fn floats(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<f64>> {
    row.get::<_, Floats>(column).map(|x| x.0)
}

fn json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))
}

/// The name of an enum value without data, as serde writes it.
fn word(value: &impl Serialize) -> rusqlite::Result<String> {
    json(value).map(|quoted| quoted.trim_matches('"').to_owned())
}

fn parse<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|e| unreadable(column, e))
}

fn parse_word<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let word: String = row.get(column)?;
    serde_json::from_value(word.into()).map_err(|e| unreadable(column, e))
}

fn unreadable(column: usize, error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
}

/// One line that names the file and what was expected of it.
fn fault(path: &Path, error: rusqlite::Error) -> Error {
    let text = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            format!("not a landscape database (SQLite, schema version {SCHEMA_VERSION}, is expected)")
        }
        Some(ErrorCode::DatabaseCorrupt) => {
            format!("damaged or cut short ({error}); restore it from a copy, or run again in another folder")
        }
        Some(ErrorCode::DatabaseBusy) => "in use by another process; wait until its run has ended".to_owned(),
        Some(ErrorCode::ReadOnly) => "cannot be written; mind the permissions of the file and its folder".to_owned(),
        Some(ErrorCode::DiskFull) => "the disk is full; what was kept before is safe".to_owned(),
        _ => error.to_string(),
    };
    Error::Store { path: path.to_owned(), text }
}
