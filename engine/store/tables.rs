//! The tables of `landscape.sqlite`, and the checksum that every row carries.
//!
//! A checksum covers all columns of its row and is made and compared by SQLite itself, through one function of ours. It
//! begins with the salt of its database, so that rows of another one, which a forgotten log may bring in, are told from
//! its own. Version 1 of the tables had none; files of it are read as they are, and get theirs with the next finding.

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, Result, ToSql, Transaction};
use sha2::{Digest, Sha256};
use std::hash::{BuildHasher, Hasher};

/// The version of the tables.
pub const VERSION: i32 = 2;

/// "mpas": tells our files from other SQLite databases.
pub const APPLICATION: i32 = i32::from_be_bytes(*b"mpas");

/// One table: its columns with what they hold.
pub struct Table {
    pub name: &'static str,
    /// The column that identifies a row: what is put again under its key replaces the old row.
    pub key: &'static str,
    columns: &'static [(&'static str, &'static str)],
    /// Whether rows keep the order in which their keys were first put.
    ordered: bool,
}

// Columns of floats have no type: REAL would lose -0 and NaN (exact.rs). Blobs are little-endian f64.
/// The salt, and what the other tables should hold (`census.rs`).
pub const IDENTITY: Table = words("identity");
pub const PROVENANCE: Table = words("provenance");
pub const META: Table = words("meta");
pub const CELLS: Table = Table {
    name: "cells",
    key: "id",
    columns: &[
        ("id", "INTEGER PRIMARY KEY"),
        ("degree", "INTEGER NOT NULL"),
        ("kind", "TEXT NOT NULL"),  // minimum, path maximum, verified saddle, critical point
        ("value", "NOT NULL"),      // the loss; of a pass, its height
        ("theta", "BLOB NOT NULL"), // p values
        ("evidence", "TEXT"),       // JSON; of a saddle, with the ends of both descents
    ],
    ordered: false,
};
pub const MINIMA: Table = Table {
    name: "minima",
    key: "cell",
    columns: &[
        ("cell", "INTEGER NOT NULL UNIQUE REFERENCES cells"),
        ("origin", "TEXT NOT NULL"), // JSON
        ("descent", "TEXT NOT NULL"),
        ("same_as", "INTEGER"),
        ("metrics", "TEXT NOT NULL"), // JSON, pairs of name and value
        ("evaluations", "INTEGER NOT NULL"),
    ],
    ordered: true,
};
pub const PATHS: Table = Table {
    name: "paths",
    key: "id",
    columns: &[
        ("id", "INTEGER NOT NULL UNIQUE"),
        ("end_a", "INTEGER NOT NULL"),
        ("end_b", "INTEGER NOT NULL"),
        ("state", "TEXT NOT NULL"),
        ("visits", "INTEGER NOT NULL"),
        ("pass", "INTEGER NOT NULL REFERENCES cells"),
        ("pass_error", "NOT NULL"),
        ("pass_arc", "NOT NULL"),
        ("pass_reason", "TEXT"), // why it is no verified saddle
        ("knots", "BLOB NOT NULL"),
        ("arc", "BLOB NOT NULL"), // the profile
        ("loss", "BLOB NOT NULL"),
        ("slope", "BLOB NOT NULL"),
    ],
    ordered: true,
};
pub const EVALUATIONS: Table = Table {
    name: "evaluations",
    key: "stage",
    columns: &[
        ("stage", "TEXT NOT NULL UNIQUE"),
        ("loss", "INTEGER NOT NULL"),
        ("gradient", "INTEGER NOT NULL"),
        ("hessian_product", "INTEGER NOT NULL"),
    ],
    ordered: true,
};
/// The values of a sampled loss, in blocks that follow one another. Version 1 made it with the first of them.
pub const VALUES: Table = Table {
    name: "sample_values",
    key: "first",
    columns: &[("first", "INTEGER PRIMARY KEY"), ("value", "BLOB NOT NULL")],
    ordered: false,
};

/// All of them; what is referred to comes first.
pub const ALL: [&Table; 8] = [&IDENTITY, &PROVENANCE, &META, &CELLS, &MINIMA, &PATHS, &EVALUATIONS, &VALUES];

/// Those whose rows are counted.
pub fn counted() -> impl Iterator<Item = &'static Table> {
    ALL.into_iter().filter(|table| table.name != IDENTITY.name)
}

const fn words(name: &'static str) -> Table {
    const COLUMNS: &[(&str, &str)] = &[("key", "TEXT PRIMARY KEY"), ("value", "TEXT NOT NULL")];
    Table { name, key: "key", columns: COLUMNS, ordered: false }
}

impl Table {
    fn names(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    /// The statement that makes it.
    pub fn create(&self, version: i32) -> String {
        let position = if self.ordered { "position INTEGER PRIMARY KEY, " } else { "" };
        let columns: Vec<String> = self.columns.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
        let sum = if version > 1 { ", sum INTEGER NOT NULL" } else { "" };
        let options = if self.columns[0].1.starts_with("TEXT PRIMARY") { " WITHOUT ROWID" } else { "" };
        format!("CREATE TABLE {} ({position}{}{sum}){options}", self.name, columns.join(", "))
    }

    /// Keeps a row with its checksum, values in the order of the columns, and returns the checksum.
    pub fn put(&self, t: &Transaction<'_>, row: &[&dyn ToSql]) -> Result<i64> {
        let values: Vec<String> = (1..=row.len()).map(|i| format!("?{i}")).collect();
        let values = values.join(", ");
        // Not the key: a parent whose key is set has its children looked for, row by row.
        let others = self.columns.iter().filter(|(name, _)| *name != self.key);
        let set: Vec<String> = others.map(|(name, _)| format!("{name} = excluded.{name}")).collect();
        let statement = format!(
            "INSERT INTO {} ({}, sum) VALUES ({values}, checksum({values})) ON CONFLICT ({}) DO UPDATE SET {}, \
             sum = excluded.sum RETURNING sum",
            self.name,
            self.names(),
            self.key,
            set.join(", ")
        );
        t.prepare_cached(&statement)?.query_row(row, |row| row.get(0))
    }

    /// The checksum of the row with a key, which is that of the first column.
    pub fn sum(&self, t: &Transaction<'_>, key: &dyn ToSql) -> Result<Option<i64>> {
        let statement = format!("SELECT sum FROM {} WHERE {} = ?", self.name, self.key);
        t.prepare_cached(&statement)?.query_row([key], |row| row.get(0)).optional()
    }

    /// The column that rows are in the order of.
    pub fn order(&self) -> &'static str {
        if self.ordered { "position" } else { self.key }
    }

    /// The condition that a row is what was written; `of` names the table before every column, `cells.` or nothing.
    pub fn sound(&self, of: &str) -> String {
        let columns: Vec<String> = self.columns.iter().map(|(name, _)| format!("{of}{name}")).collect();
        format!("{of}sum IS checksum({})", columns.join(", "))
    }

    /// The keys of the rows that are not what was written.
    pub fn damaged(&self, db: &Connection) -> Result<Vec<Value>> {
        let statement = format!("SELECT {} FROM {} WHERE NOT ({})", self.key, self.name, self.sound(""));
        db.prepare(&statement)?.query_map([], |row| row.get(0))?.collect()
    }

    /// Gives the rows of a table of version 1 their checksums.
    pub fn upgrade(&self, t: &Transaction<'_>) -> Result<()> {
        if !t.table_exists(None, self.name)? {
            return t.execute_batch(&self.create(VERSION));
        }
        let (name, columns) = (self.name, self.names());
        t.execute_batch(&format!(
            "ALTER TABLE {name} ADD COLUMN sum INTEGER NOT NULL DEFAULT 0; UPDATE {name} SET sum = checksum({columns})"
        ))
    }
}

/// Makes all tables of a version.
pub fn create(db: &Connection, version: i32) -> Result<()> {
    ALL.iter().filter(|table| version > 1 || ![IDENTITY.name, VALUES.name].contains(&table.name)).try_for_each(
        |table| {
            let statement = table.create(version);
            db.execute_batch(&statement)
        },
    )
}

/// What there is in a database, in words that two of them may be compared by: tables and their columns, indices, and
/// whatever else somebody put there.
pub fn layout(db: &Connection) -> Result<Vec<(String, String, Option<String>)>> {
    let query = "SELECT s.type, s.name, c.name || ' ' || c.type || ' ' || c.\"notnull\" || ' ' || c.pk \
                 FROM sqlite_schema s LEFT JOIN pragma_table_info(s.name) c ON s.type = 'table' \
                 ORDER BY 1 DESC, 2, c.cid";
    db.prepare(query)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

/// The key of the salt: in `identity`, and again among the provenance, since without it no row can be told from others.
pub const SALT: &str = "salt";

/// Finds the salt of a database, the first that is as it was written, and teaches the connection its checksums with it.
/// None where it is of version 1, or lost.
pub fn learn(db: &Connection) -> Result<()> {
    for table in [&IDENTITY, &PROVENANCE] {
        let query = format!("SELECT value FROM {} WHERE key = ?", table.name);
        let Ok(salt) = db.query_row(&query, [SALT], |row| row.get::<_, String>(0)) else { continue };
        teach(db, salt)?;
        let query = format!("SELECT count(*) FROM {} WHERE key = ? AND {}", table.name, table.sound(""));
        if db.query_row(&query, [SALT], |row| row.get::<_, i64>(0)) == Ok(1) {
            return Ok(());
        }
    }
    teach(db, String::new())
}

/// Gives a database its salt, which is its own and nothing else's.
pub fn put_salt(t: &Transaction<'_>, salt: &str) -> Result<()> {
    IDENTITY.put(t, &[&SALT, &salt]).map(drop)
}

/// A salt that no other database has.
pub fn new_salt() -> String {
    let random = || std::hash::RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

/// Teaches a connection the function `checksum`, for rows of a database with this salt.
pub fn teach(db: &Connection, salt: String) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_DIRECTONLY;
    db.create_scalar_function("checksum", -1, flags, move |row| Ok(checksum(&salt, row)))
}

/// Eight bytes of the SHA-256 of what a row holds, kinds and lengths included.
fn checksum(salt: &str, row: &Context<'_>) -> i64 {
    let mut digest = Sha256::new_with_prefix(salt);
    for i in 0..row.len() {
        let (kind, bytes) = match row.get_raw(i) {
            ValueRef::Null => (0, &[][..]),
            ValueRef::Integer(n) => (1, &n.to_le_bytes()[..]),
            ValueRef::Real(x) => (2, &x.to_bits().to_le_bytes()[..]),
            ValueRef::Text(text) => (3, text),
            ValueRef::Blob(bytes) => (4, bytes),
        };
        digest.update([kind]);
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(bytes);
    }
    let digest: [u8; 32] = digest.finalize().into();
    digest.first_chunk().copied().map_or(0, i64::from_le_bytes)
}
