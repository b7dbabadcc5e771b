//! How many rows every table holds, and what their checksums come to together: a row that is gone without a trace, as
//! where an old page came back, is missed here. It is kept with every transaction, and costs as much as one row more.

use super::tables::{self, IDENTITY, Table};
use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension, Result, Transaction};
use std::collections::BTreeMap;

/// Counts and exclusive ors by table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census(BTreeMap<&'static str, (u64, i64)>);

impl Census {
    /// What there is.
    pub fn take(db: &Connection) -> Result<Census> {
        let mut census = Census::default();
        for table in tables::counted() {
            let mut sums = db.prepare(&format!("SELECT sum FROM {}", table.name))?;
            let all = sums.query_map([], |row| row.get::<_, i64>(0))?;
            let all = all.map(|sum| Ok((1, sum?))).collect::<Result<Vec<(u64, i64)>>>()?;
            census.0.insert(table.name, all.iter().fold((0, 0), |(n, or), (one, sum)| (n + one, or ^ sum)));
        }
        Ok(census)
    }

    /// What is said to be there; tables of which nothing is said are empty.
    pub fn kept(db: &Connection) -> Result<Census> {
        let mut census = Census::default();
        for table in tables::counted() {
            let query = format!("SELECT value FROM {} WHERE key = ?", IDENTITY.name);
            let word: Option<String> = db.query_row(&query, [table.name], |row| row.get(0)).optional()?;
            let (count, or) = word.as_deref().and_then(|word| word.split_once(' ')).unwrap_or(("0", "0"));
            census.0.insert(table.name, (count.parse().unwrap_or(0), or.parse().unwrap_or(0)));
        }
        Ok(census)
    }

    /// How many rows a table has.
    pub fn rows(&self, table: &Table) -> u64 {
        self.0.get(table.name).map_or(0, |(count, _)| *count)
    }

    /// A table that differs from what another census says.
    pub fn differs(&self, other: &Census) -> Option<&'static str> {
        self.0.iter().find(|(name, found)| other.0.get(*name) != Some(found)).map(|(name, _)| *name)
    }

    /// Keeps what is new since an earlier one.
    pub fn put(&self, t: &Transaction<'_>, before: &Census) -> Result<()> {
        let new = self.0.iter().filter(|(name, found)| before.0.get(*name) != Some(found));
        new.into_iter().try_for_each(|(name, (count, or))| IDENTITY.put(t, &[name, &format!("{count} {or}")]).map(drop))
    }
}

/// A transaction that writes, and counts what it writes.
pub struct Pen<'a> {
    t: &'a Transaction<'a>,
    census: Census,
}

impl Pen<'_> {
    /// Runs a body that writes; the census that it leaves is kept with the rest.
    pub fn write(
        t: &Transaction<'_>,
        before: &Census,
        body: impl FnOnce(&mut Pen<'_>) -> Result<()>,
    ) -> Result<Census> {
        let mut pen = Pen { t, census: before.clone() };
        body(&mut pen)?;
        pen.census.put(t, before)?;
        Ok(pen.census)
    }

    /// Keeps a row in place of the one with its key, values in the order of the columns.
    pub fn put(&mut self, table: &Table, row: &[&dyn ToSql]) -> Result<()> {
        let (old, new) = (table.sum(self.t, row[0])?, table.put(self.t, row)?);
        let (count, or) = self.census.0.entry(table.name).or_default();
        *count += u64::from(old.is_none());
        *or ^= old.unwrap_or(0) ^ new;
        Ok(())
    }

    /// Empties a table.
    pub fn clear(&mut self, table: &Table) -> Result<()> {
        self.t.execute(&format!("DELETE FROM {}", table.name), [])?;
        self.census.0.insert(table.name, (0, 0));
        Ok(())
    }
}
