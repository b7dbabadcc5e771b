//! The report: what was found, as files for programs (JSON, CSV), drawings (SVG), one page (HTML) and a terminal.
//!
//! `barcode.json`, `barcode.csv`, the drawings and the page are the same bytes for the same findings: no time and no
//! machine is in them. Times stand in `summary.json` and on the terminal. Every file is written whole or not at all.
#![forbid(unsafe_code)]

mod barcode;
mod csv;
pub mod diagram;
mod html;
mod json;
pub mod number;
mod paths;
mod samples;
mod scale;
mod svg;
pub mod terminal;
mod tree;
mod words;

pub use json::{BarcodeFile, Source};
pub use samples::notes;
pub use words::OWN_STATISTICS;

use crate::error::{Error, Result};
use crate::machine::durable;
use crate::persistence::{Barcode, Score};
use crate::search::Landscape;
use crate::store::Provenance;
use std::path::{Path, PathBuf};

/// Everything a report tells of.
#[derive(Clone, Copy, Debug)]
pub struct Findings<'a> {
    /// What the report is called.
    pub title: &'a str,
    /// Minima and paths; empty where the barcode comes of a grid or a graph.
    pub landscape: &'a Landscape,
    /// The bars, of all degrees.
    pub barcode: &'a Barcode,
    /// The score of degree 0.
    pub score: &'a Score,
    /// Where they come from.
    pub provenance: &'a Provenance,
    /// Bars of superlevel sets: death <= birth, half-lines end at minus infinity.
    pub superlevel: bool,
    /// False when a budget or a signal ended the search.
    pub complete: bool,
    /// Wall-clock seconds by stage.
    pub seconds: &'a [(String, f64)],
    /// Versions of what took part, by name.
    pub versions: &'a [(String, String)],
    /// What a reader should know besides, a sentence each.
    pub notes: &'a [String],
}

impl Findings<'_> {
    /// True when the barcode comes of a search for minima, not of a grid or a graph.
    fn searched(&self) -> bool {
        !self.landscape.minima.is_empty() && !self.provenance.is_sampled()
    }
}

/// The names of a report's files, in the order in which they are written.
pub const FILES: [&str; 7] =
    ["barcode.json", "barcode.csv", "summary.json", "barcode.svg", "tree.svg", "paths.svg", "report.html"];

/// Writes all files of a report into a folder and returns their paths; what is there already is left as it is. Where there is no tree or no path to draw, the
/// drawing says so.
pub fn write(findings: &Findings<'_>, folder: &Path) -> Result<Vec<PathBuf>> {
    durable::make_folder(folder)?;
    let (tree, paths) = (tree::draw(findings), paths::draw(findings));
    let or_nothing = |drawing: Option<&svg::Drawing>, what: &str| match drawing {
        Some(drawing) => drawing.file(),
        None => svg::Drawing::saying(&format!("There is no {what} to draw.")).file(),
    };
    let texts = [
        BarcodeFile::of(findings)?.to_json()?,
        csv::barcode(findings.barcode),
        json::summary(findings)?,
        barcode::draw(findings).file(),
        or_nothing(tree.as_ref(), "merge tree"),
        or_nothing(paths.as_ref(), "path"),
        html::page(findings, tree.as_ref(), paths.as_ref()),
    ];
    FILES
        .into_iter()
        .zip(texts)
        .map(|(name, text)| {
            let path = folder.join(name);
            if std::fs::metadata(&path).is_ok_and(|there| !there.is_file()) {
                return Err(Error::Argument(format!("{}: not a file: move it away", path.display())));
            }
            if !is(&path, text.as_bytes()) {
                durable::write(&path, text.as_bytes())?;
            }
            Ok(path)
        })
        .collect()
}

/// Whether a file holds these bytes.
fn is(path: &Path, bytes: &[u8]) -> bool {
    let there = std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() == bytes.len() as u64);
    there && std::fs::read(path).is_ok_and(|found| found == bytes)
}
