//! What can be saved of a damaged database: every row that is still what was written, and that refers to no row that is
//! not. A run goes on from there and finds the rest anew.

use super::census::Census;
use super::database::{Store, provenance};
use super::reading::{Access, Reading};
use super::rows::{self, block, curve, minimum, tally};
use super::tables::{CELLS, EVALUATIONS, META, MINIMA, PATHS, PROVENANCE, Table, VALUES};
use super::{Provenance, RunRecord};
use crate::error::{Error, Result};
use crate::machine::durable;
use crate::search::{Finding, Landscape, Path, PathState};
use crate::union_find::UnionFind;
use rusqlite::Row;
use rusqlite::types::Value;
use std::collections::BTreeMap;
use std::path::Path as File;

/// What came of a damaged database.
#[derive(Debug)]
pub struct Salvaged {
    /// Of what there was.
    pub counts: Vec<Saved>,
    /// Whether all of it was saved.
    pub whole: bool,
}

/// How much of one kind was saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Of what.
    pub what: &'static str,
    /// How many were.
    pub saved: usize,
    /// How many were not.
    pub lost: usize,
}

/// Writes what is whole of the database at `from` into a new one at `to`. Without its provenance nothing can be used.
pub fn salvage(from: &File, to: &File) -> Result<Salvaged> {
    let reading = Reading::open(from, Access::Damaged)?;
    let wreck = Wreck { reading: &reading, kept: Census::kept(reading.db()).unwrap_or_default() };
    let (words, lost) = wreck.words(&PROVENANCE);
    let nothing = |text: String| Error::Store { path: from.to_owned(), text: format!("nothing can be saved: {text}") };
    let provenance = provenance(&words).map_err(nothing)?;
    // Rows may be gone without a trace of their own.
    let mut salvaged = Salvaged { counts: Vec::new(), whole: lost == 0 && reading.verify().is_ok() };
    let (words, lost) = wreck.words(&META);
    salvaged.count("words about the run", words.len(), lost);
    let mut record = RunRecord::of(&words).unwrap_or_default();
    let (landscape, values) = wreck.found(&provenance, record.noise.unwrap_or(0.0), &mut salvaged);
    if !salvaged.whole {
        // It has to be gone on with, and what was made of the whole is made again.
        record = RunRecord { ended: None, barcode: None, notes: Vec::new(), passes: Vec::new(), ..record };
    }
    durable::make_folder(durable::folder(to))?;
    let mut store = Store::create(to, &provenance)?;
    store.put_landscape(&landscape)?;
    if !values.is_empty() {
        store.commit(&[Finding::Values(0, &values)])?;
    }
    store.put_record(&record)?;
    store.close()?;
    Ok(salvaged)
}

impl Salvaged {
    fn count(&mut self, what: &'static str, saved: usize, lost: usize) {
        self.whole &= lost == 0;
        if saved + lost > 0 {
            self.counts.push(Saved { what, saved, lost });
        }
    }
}

struct Wreck<'a> {
    reading: &'a Reading,
    /// What there was, if that still reads.
    kept: Census,
}

impl Wreck<'_> {
    /// What is whole of the landscape, and the values of samples.
    fn found(&self, provenance: &Provenance, noise: f64, salvaged: &mut Salvaged) -> (Landscape, Vec<f64>) {
        let of_cell = |cell: &str| format!("(SELECT {} FROM cells c WHERE c.id = {cell})", self.sound(&CELLS, "c."));
        let (minima, lost_minima) = self.each(&MINIMA, rows::A_MINIMUM, Some(&of_cell("minima.cell")), minimum);
        let (paths, lost_paths) = self.each(&PATHS, rows::A_PATH, Some(&of_cell("paths.pass")), curve);
        let (evaluations, lost) = self.each(&EVALUATIONS, rows::A_TALLY, None, tally);
        let (blocks, mut lost_blocks) = self.each(&VALUES, rows::A_BLOCK, None, block);
        let (critical, _) = self.each(&CELLS, rows::A_CRITICAL, Some("degree > 1"), rows::critical);
        let mut landscape = Landscape { minima, paths, evaluations, critical };
        let (minima, paths) = (landscape.minima.len(), landscape.paths.len());
        landscape.keep_whole(usize::try_from(provenance.parameters).unwrap_or(0), noise);
        let dropped = (minima - landscape.minima.len(), paths - landscape.paths.len());
        salvaged.count("minima", landscape.minima.len(), lost_minima + dropped.0);
        salvaged.count("paths", landscape.paths.len(), lost_paths + dropped.1);
        salvaged.count("evaluations of stages", landscape.evaluations.len(), lost);
        // Values go on from where they end: what lies behind a gap is computed again.
        let mut values = Vec::new();
        for (first, block) in blocks {
            match first == values.len() as u64 {
                true => values.extend(block),
                false => lost_blocks += 1,
            }
        }
        salvaged.count("values", values.len(), lost_blocks);
        if !salvaged.whole {
            unsplit(&mut landscape);
        }
        (landscape, values)
    }

    /// The words of a table that are whole, and how many are not.
    fn words(&self, table: &Table) -> (Vec<(String, String)>, usize) {
        let query = format!("SELECT key, value FROM {}", table.name);
        self.each(table, &query, None, |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// The condition that a row is what was written.
    fn sound(&self, table: &Table, of: &str) -> String {
        if self.reading.version() > 1 { table.sound(of) } else { "1".to_owned() }
    }

    /// The rows of a table that are what was written and read, in their order, and how many are not.
    fn each<T>(
        &self,
        table: &Table,
        query: &str,
        also: Option<&str>,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> (Vec<T>, usize) {
        let key = table.order();
        let sound = self.sound(table, &format!("{}.", table.name));
        let query = format!("{query} WHERE {}.{key} = ? AND {sound} AND {}", table.name, also.unwrap_or("1"));
        let keys = self.keys(table);
        let one = |key: &Value| self.reading.db().query_row(&query, [key], &read).ok();
        let whole: Vec<T> = keys.iter().filter_map(one).collect();
        let said = usize::try_from(self.kept.rows(table)).unwrap_or(0);
        let lost = keys.len().max(said).saturating_sub(whole.len());
        (whole, lost)
    }

    /// The keys of a table, in their order: from both ends, since a broken page ends a scan.
    fn keys(&self, table: &Table) -> Vec<Value> {
        let (name, key) = (table.name, table.order());
        let mut all = BTreeMap::new();
        for way in ["ASC", "DESC"] {
            let query = format!("SELECT {key} FROM {name} ORDER BY {key} {way}");
            let Ok(mut scan) = self.reading.db().prepare(&query) else { continue };
            let Ok(keys) = scan.query_map([], |row| row.get::<_, Value>(0)) else { continue };
            // A loop of pages would never end by itself.
            for key in keys.map_while(rusqlite::Result::ok).take(1 << 24) {
                let (number, text) = match &key {
                    Value::Integer(n) => (*n, String::new()),
                    Value::Text(text) => (0, text.clone()),
                    _ => continue,
                };
                all.insert((number, text), key);
            }
        }
        all.into_values().collect()
    }
}

/// A path that was split stands for its pieces. Where some of them are lost it stands for itself again, as the upper
/// bound that it is.
fn unsplit(landscape: &mut Landscape) {
    let vertex: BTreeMap<u64, u32> = landscape.minima.iter().map(|m| m.cell).zip(0..).collect();
    let ends = |path: &Path| Some((*vertex.get(&path.ends.0)?, *vertex.get(&path.ends.1)?));
    let mut standing: Vec<&Path> = landscape.paths.iter().filter(|path| path.state != PathState::Split).collect();
    standing.sort_by(|a, b| a.pass.height.total_cmp(&b.pass.height));
    let are_joined = |split: &Path| {
        let mut joined = UnionFind::new(vertex.len());
        let bound = split.pass.height + split.pass.error;
        let low = standing.iter().take_while(|path| path.pass.height <= bound + path.pass.error);
        low.filter_map(|path| ends(path)).for_each(|(a, b)| _ = joined.merge(a, b));
        ends(split).is_some_and(|(a, b)| joined.eldest(a) == joined.eldest(b))
    };
    let split = landscape.paths.iter().enumerate().filter(|(_, path)| path.state == PathState::Split);
    let lost: Vec<usize> = split.filter(|(_, path)| !are_joined(path)).map(|(at, _)| at).collect();
    lost.into_iter().for_each(|at| landscape.paths[at].state = PathState::Relaxed);
}
