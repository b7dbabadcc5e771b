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
mod scale;
mod svg;
pub mod terminal;
mod tree;
mod words;

pub use json::{BarcodeFile, Source};

use crate::error::{Error, Result};
use crate::persistence::{Barcode, Score};
use crate::search::Landscape;
use crate::store::Provenance;
use std::path::{Path, PathBuf};

/// Everything a report tells of.
#[derive(Clone, Copy, Debug)]
pub struct Findings<'a> {
    pub title: &'a str,
    /// Minima and paths; empty where the barcode comes of a grid or a graph.
    pub landscape: &'a Landscape,
    pub barcode: &'a Barcode,
    /// The score of degree 0.
    pub score: &'a Score,
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
        !self.landscape.minima.is_empty()
    }
}

/// The names of a report's files, in the order in which they are written.
pub const FILES: [&str; 7] =
    ["barcode.json", "barcode.csv", "summary.json", "barcode.svg", "tree.svg", "paths.svg", "report.html"];

/// Writes all files of a report into a folder and returns their paths. Where there is no tree or no path to draw, the
/// drawing says so.
pub fn write(findings: &Findings<'_>, folder: &Path) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    let (tree, paths) = (tree::draw(findings), paths::draw(findings));
    let or_nothing = |drawing: Option<&svg::Drawing>, what: &str| match drawing {
        Some(drawing) => drawing.file(),
        None => svg::Drawing::saying(&format!("There is no {what} to draw.")).file(),
    };
    let texts = [
        BarcodeFile::of(findings).to_json()?,
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
            write_file(&path, text.as_bytes())?;
            Ok(path)
        })
        .collect()
}

/// Writes a file so that whoever looks sees the old one or the new one, never half of it.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let Some(name) = path.file_name() else {
        return Err(Error::Argument(format!("{}: not the name of a file", path.display())));
    };
    let temporary = path.with_file_name(format!(".{}.{}.part", name.to_string_lossy(), std::process::id()));
    let done = std::fs::write(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, path));
    done.map_err(|e| {
        // The error of interest is the one above.
        let _ = std::fs::remove_file(&temporary);
        Error::io(path, e)
    })
}
