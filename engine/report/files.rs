//! A report as a folder of files.

use super::findings::Findings;
use super::json::BarcodeFile;
use super::svg::Drawing;
use super::{barcode, csv, html, paths, summary, tree};
use crate::error::{Error, Result};
use crate::machine::durable;
use std::path::{Path, PathBuf};

/// The names of a report's files, in the order in which they are written.
pub const FILES: [&str; 8] =
    ["barcode.json", "barcode.csv", "pairs.csv", "summary.json", "barcode.svg", "tree.svg", "paths.svg", "report.html"];

/// Writes all files of a report into a folder and returns their paths; what is there already is left as it is. Where there
/// is no tree or no path to draw, the drawing says so.
pub fn write(findings: &Findings<'_>, folder: &Path) -> Result<Vec<PathBuf>> {
    durable::make_folder(folder)?;
    let (tree, paths) = (tree::draw(findings), paths::draw(findings));
    let or_nothing = |drawing: Option<&Drawing>, what: &str| match drawing {
        Some(drawing) => drawing.file(),
        None => Drawing::saying(&format!("There is no {what} to draw.")).file(),
    };
    let texts = [
        BarcodeFile::of_findings(findings)?.to_json()?,
        csv::barcode(findings),
        csv::pairs(findings),
        summary::write(findings)?,
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
