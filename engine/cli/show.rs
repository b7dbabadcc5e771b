//! `mpass show`: what a landscape database holds, as the table that a run ends with or as `barcode.json`.

use super::open::database;
use super::output::{print, write};
use mountainpass::explore::{self, AtPass};
use mountainpass::persistence::Barcode;
use mountainpass::report::{self, BarcodeFile, Findings, RunFindings};
use mountainpass::run::Ended;
use mountainpass::search::{Landscape, Minimum};
use mountainpass::store::{self, DATABASE, Provenance, Store};
use mountainpass::{Error, Result};
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

/// Everything a report is made of, read from a database.
pub struct Results {
    pub landscape: Landscape,
    pub barcode: Barcode,
    pub provenance: Provenance,
    pub title: String,
    /// `None` while a run has not ended.
    pub ended: Option<Ended>,
    seconds: Vec<(String, f64)>,
    versions: Vec<(String, String)>,
    notes: Vec<String>,
    passes: Vec<AtPass>,
}

impl Results {
    /// Reads a database; the barcode is computed anew from its minima and paths.
    pub fn read(store: &Store) -> Result<Results> {
        let (landscape, provenance, record) = (store.landscape()?, store.provenance()?, store.record()?);
        let (sampled, noise) = (provenance.is_sampled(), record.noise.unwrap_or(0.0));
        if let Some(flaw) = landscape.flaw(usize::try_from(provenance.parameters).unwrap_or(0), noise) {
            return Err(Error::Store { path: store.path().to_owned(), text: format!("damaged: {flaw}") });
        }
        let barcode = match record.barcode {
            Some(barcode) => barcode,
            None if sampled => Barcode::default(),
            None => explore::barcode(&landscape, noise),
        };
        let before = if sampled { "every sample had its value" } else { "every deciding path was settled" };
        let notes = match record.ended {
            Some(Ended::Complete) => record.notes,
            Some(Ended::Budget) => vec![format!("A budget was spent before {before}.")],
            Some(Ended::Cancelled) | None => vec![format!("The run was stopped before {before}.")],
        };
        Ok(Results {
            barcode,
            title: record.title,
            ended: record.ended,
            seconds: vec![("run".to_owned(), record.seconds)],
            versions: vec![
                ("mountainpass".to_owned(), provenance.version.clone()),
                (provenance.backend.clone(), provenance.backend_version.clone()),
            ],
            landscape,
            provenance,
            notes,
            passes: record.passes,
        })
    }

    /// Whether there is a barcode to report of. Without a minimum there is none, and an empty one would pretend that
    /// there is; that of samples is there once all of them are.
    pub fn found(&self) -> bool {
        !self.barcode.bars.is_empty()
            || !self.provenance.is_sampled() && self.landscape.minima.iter().any(Minimum::counts)
    }

    /// The results as the report borrows them.
    pub fn findings(&self) -> Findings<'_> {
        Findings {
            title: &self.title,
            barcode: &self.barcode,
            provenance: &self.provenance,
            superlevel: false,
            seconds: &self.seconds,
            notes: &self.notes,
            run: Some(RunFindings {
                landscape: &self.landscape,
                complete: self.ended == Some(Ended::Complete),
                versions: &self.versions,
                passes: &self.passes,
            }),
        }
    }
}

/// Prints a database, or saves what is whole of a damaged one.
pub fn show(landscape: &Path, json: bool, salvage: Option<&Path>) -> Result<ExitCode> {
    let file = database(landscape);
    if let Some(folder) = salvage {
        return save(&file, folder);
    }
    let results = Store::open(file).and_then(|store| Results::read(&store)).map_err(Error::into_usage)?;
    if json {
        print_barcode(&results.findings())?;
    } else {
        print_table(&results)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes what is whole of a database into a folder of its own.
fn save(file: &Path, folder: &Path) -> Result<ExitCode> {
    let salvaged = store::salvage(file, &folder.join(DATABASE)).map_err(Error::into_usage)?;
    salvaged.lines.iter().try_for_each(|line| print(&format!("{line}\n")))?;
    let next = match salvaged.whole {
        true => "nothing was lost".to_owned(),
        false => format!("find the rest anew with: mpass run CONFIG.toml --out {} --resume", folder.display()),
    };
    tell!("{next}");
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
    let table = report::terminal::table(findings, width, colour);
    write(|out| out.write_all(table.as_bytes()))
}

/// Prints `barcode.json`, bar by bar.
pub fn print_barcode(findings: &Findings<'_>) -> Result<()> {
    let file = BarcodeFile::of_findings(findings)?;
    write(|out| file.write(out))
}
