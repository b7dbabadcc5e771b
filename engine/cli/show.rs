//! `mpass show`: what a landscape database holds, as the table that a run ends with or as `barcode.json`.

use super::print;
use mountainpass::persistence::{Barcode, Score, tree};
use mountainpass::report::{self, Findings};
use mountainpass::search::{Landscape, Minimum};
use mountainpass::store::{Provenance, Store};
use mountainpass::{Error, Result};
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

/// Everything a report is made of, read from a database.
pub struct Results {
    pub landscape: Landscape,
    pub barcode: Barcode,
    pub score: Score,
    pub provenance: Provenance,
    pub title: String,
    /// `complete`, `budget`, `cancelled`, or empty while a run has not ended.
    pub ended: String,
    seconds: Vec<(String, f64)>,
    versions: Vec<(String, String)>,
    notes: Vec<String>,
}

impl Results {
    /// Reads a database; the barcode is computed anew from its minima and paths.
    pub fn read(store: &Store) -> Result<Results> {
        let landscape = store.landscape()?;
        let provenance = store.provenance()?;
        let number =
            |key| -> Result<f64> { Ok(store.get_meta(key)?.and_then(|text| text.parse().ok()).unwrap_or(0.0)) };
        let sampled = provenance.is_sampled();
        let barcode = match store.get_meta("barcode")? {
            Some(text) => parse(store, &text)?,
            None if sampled => Barcode::default(),
            None => tree(&landscape).barcode(number("noise")?),
        };
        let ended = store.get_meta("ended")?.unwrap_or_default();
        let before = if sampled { "every sample had its value" } else { "every deciding path was settled" };
        let notes = match ended.as_str() {
            "complete" => store.get_meta("notes")?.map_or(Ok(Vec::new()), |text| parse(store, &text))?,
            "budget" => vec![format!("A budget was spent before {before}.")],
            _ => vec![format!("The run was stopped before {before}.")],
        };
        Ok(Results {
            score: Score::of(&barcode, 0),
            barcode,
            title: store.get_meta("title")?.unwrap_or_default(),
            seconds: vec![("run".to_owned(), number("seconds")?)],
            versions: vec![
                ("mountainpass".to_owned(), provenance.version.clone()),
                (provenance.backend.clone(), provenance.backend_version.clone()),
            ],
            landscape,
            provenance,
            ended,
            notes,
        })
    }

    /// Whether there is a barcode to report of. Without a minimum there is none, and an empty one would pretend that
    /// there is; that of samples is there once all of them are.
    pub fn found(&self) -> bool {
        !self.barcode.bars.is_empty()
            || !self.provenance.is_sampled() && self.landscape.minima.iter().any(Minimum::counts)
    }

    /// The same, borrowed by the report.
    pub fn findings(&self) -> Findings<'_> {
        Findings {
            title: &self.title,
            landscape: &self.landscape,
            barcode: &self.barcode,
            score: &self.score,
            provenance: &self.provenance,
            superlevel: false,
            complete: self.ended == "complete",
            seconds: &self.seconds,
            versions: &self.versions,
            notes: &self.notes,
        }
    }
}

/// What a run keeps as JSON beside its findings.
fn parse<T: serde::de::DeserializeOwned>(store: &Store, text: &str) -> Result<T> {
    let damaged = |e| Error::Store { path: store.path().to_owned(), text: format!("its barcode does not read: {e}") };
    serde_json::from_str(text).map_err(damaged)
}

/// Prints a database.
pub fn show(landscape: &Path, json: bool) -> Result<ExitCode> {
    let file = if landscape.is_dir() { landscape.join("landscape.sqlite") } else { landscape.to_owned() };
    let results = Results::read(&Store::open(file).map_err(Error::into_usage)?)?;
    if json {
        print(&report::BarcodeFile::of(&results.findings()).to_json()?)?;
    } else {
        print_table(&results)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the table of a run.
pub fn print_table(results: &Results) -> Result<()> {
    print_findings(&results.findings())
}

/// Prints a table, as wide as the terminal and in colour if it is one.
pub fn print_findings(findings: &Findings<'_>) -> Result<()> {
    let terminal = std::io::stdout().is_terminal();
    let width = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).unwrap_or(100);
    let colour = terminal && std::env::var_os("NO_COLOR").is_none();
    print(&report::terminal::table(findings, width, colour))
}
