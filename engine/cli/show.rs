//! `mpass show`: what a landscape database holds, as the table that a run ends with or as `barcode.json`.

use super::open::database;
use super::output::{print, write};
use mountainpass::report::{self, BarcodeFile, Findings, Results};
use mountainpass::store::{self, DATABASE, Saved, Store};
use mountainpass::{Error, Result};
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

/// Prints a database, or saves what is whole of a damaged one.
pub fn show(landscape: &Path, json: bool, salvage: Option<&Path>) -> Result<ExitCode> {
    let file = database(landscape);
    if let Some(folder) = salvage {
        return save(&file, folder);
    }
    let results = Results::of(Store::open(file).and_then(|store| store.kept()).map_err(Error::into_usage)?);
    if json {
        print_barcode(&results.findings())?;
    } else {
        print_findings(&results.findings())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes what is whole of a database into a folder of its own.
fn save(file: &Path, folder: &Path) -> Result<ExitCode> {
    let salvaged = store::salvage(file, &folder.join(DATABASE)).map_err(Error::into_usage)?;
    for Saved { what, saved, lost } in salvaged.counts {
        let lost = if lost > 0 { format!(", {lost} lost") } else { String::new() };
        print(&format!("{what}: {saved} saved{lost}\n"))?;
    }
    let next = match salvaged.whole {
        true => "nothing was lost".to_owned(),
        false => format!("find the rest anew with: mpass run CONFIG.toml --out {} --resume", folder.display()),
    };
    tell!("{next}");
    Ok(ExitCode::SUCCESS)
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
