//! What `mpass grid`, `graph` and `cloud` end with: the barcode of a sampled function as a table and as `barcode.json`.

use super::print;
use super::show::print_findings;
use mountainpass::persistence::{Barcode, Score};
use mountainpass::report::{BarcodeFile, Findings, write_file};
use mountainpass::search::Landscape;
use mountainpass::store::Provenance;
use mountainpass::{Error, Result};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The barcode of a sampled function.
pub struct Sampled {
    pub title: String,
    pub barcode: Barcode,
    pub superlevel: bool,
    /// `grid`, `graph` or `cloud`.
    pub method: &'static str,
    /// What the values stand for: `exact` where they are the function itself, else what a reader must know.
    pub heights: &'static str,
    /// The files that it was read from.
    pub files: Vec<PathBuf>,
    pub seconds: f64,
    pub notes: Vec<String>,
}

impl Sampled {
    /// Prints the table, or with `--json -` the file; with `--json FILE` both, the file into FILE.
    pub fn tell(self, json: Option<&Path>) -> Result<ExitCode> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let provenance = Provenance {
            version: version.clone(),
            data_hash: hash(&self.files)?,
            method: self.method.to_owned(),
            heights: self.heights.to_owned(),
            ..Provenance::default()
        };
        let findings = Findings {
            title: &self.title,
            landscape: &Landscape::default(),
            barcode: &self.barcode,
            score: &Score::of(&self.barcode, 0),
            provenance: &provenance,
            superlevel: self.superlevel,
            complete: true,
            seconds: &[(self.method.to_owned(), self.seconds)],
            versions: &[("mountainpass".to_owned(), version)],
            notes: &self.notes,
        };
        let text = || BarcodeFile::of(&findings).to_json();
        match json {
            Some(file) if file == Path::new("-") => print(&text()?)?,
            Some(file) => {
                write_file(file, text()?.as_bytes()).map_err(Error::into_usage)?;
                print_findings(&findings)?;
            }
            None => print_findings(&findings)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// SHA-256 over the bytes of some files.
fn hash(files: &[PathBuf]) -> Result<String> {
    let mut digest = Sha256::new();
    for file in files {
        let mut reader = std::fs::File::open(file).map_err(|e| Error::io(file, e).into_usage())?;
        let mut block = vec![0; 1 << 20];
        loop {
            match reader.read(&mut block).map_err(|e| Error::io(file, e))? {
                0 => break,
                n => digest.update(&block[..n]),
            }
        }
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
