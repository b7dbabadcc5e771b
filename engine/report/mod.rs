//! The report: what was found, as files for programs (JSON, CSV), drawings (SVG), one page (HTML) and a terminal.
//!
//! `barcode.json`, `barcode.csv`, the drawings and the page are the same bytes for the same findings: no time and no
//! machine is in them. Times stand in `summary.json` and on the terminal. Every file is written whole or not at all.
#![forbid(unsafe_code)]

mod barcode;
mod checkpoints;
mod columns;
mod compact;
mod csv;
pub mod diagram;
mod files;
mod findings;
mod html;
mod json;
mod lines;
pub mod number;
mod paths;
pub mod progress;
mod results;
mod samples;
mod scale;
mod summary;
mod svg;
pub mod terminal;
mod tree;
mod way;
mod words;

pub use files::{FILES, write};
pub use findings::{Findings, RunFindings};
pub use json::{BarcodeFile, BarcodeProvenance};
pub use results::Results;
pub use samples::{cancelled, notes};
pub use way::way;
