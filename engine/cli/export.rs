//! `mpass export`: a barcode as other programs read it, or the parameters of a minimum or a saddle as a file.

use super::apart::apart;
use super::builtin::checkpoint::write_safetensors;
use super::model::{self, Precision};
use super::open::{Threads, Whence, database, opened};
use mountainpass::machine::durable;
use mountainpass::npy::{self, Array};
use mountainpass::report::diagram::{self, ExportFormat};
use mountainpass::search::{CellId, Landscape, PassKind};
use mountainpass::store::Store;
use mountainpass::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// The options of `mpass export`.
#[derive(clap::Args)]
pub struct ExportCommand {
    /// A barcode.json (or a folder with one), a GUDHI .pers or a DIPHA diagram; with --minimum or --saddle a
    /// landscape.sqlite (or a folder with one)
    from: PathBuf,
    /// The file to write: FILE.pers for GUDHI, FILE.dipha for DIPHA; parameters as FILE.npy, .safetensors or .onnx
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// The parameters of minimum K
    #[arg(long, value_name = "K", conflicts_with = "saddle")]
    minimum: Option<CellId>,
    /// The parameters of the pass with number K, a saddle or the maximum of a path
    #[arg(long, value_name = "K")]
    saddle: Option<CellId>,
    /// How a FILE.onnx holds the reals of a network that has no file: f64 is theta as it is
    #[arg(long, value_name = "f32|f64", default_value = "f32")]
    dtype: Precision,
    #[command(flatten)]
    whence: Whence,
    #[command(flatten)]
    threads: Threads,
}

impl ExportCommand {
    /// Writes the file asked for.
    pub fn go(self) -> Result<ExitCode> {
        let which = match (self.minimum, self.saddle) {
            (Some(cell), _) => Which::Minimum(cell),
            (_, Some(cell)) => Which::Pass(cell),
            _ => return barcode(&self.from, &self.to),
        };
        let file = database(&self.from);
        apart([&*file], [&*self.to])?;
        let store = Store::open(&file).map_err(Error::into_usage)?;
        let (landscape, provenance) = (store.landscape()?, store.provenance()?);
        let theta = which.theta(&landscape).map_err(|text| Error::Argument(format!("{}: {text}", file.display())))?;
        let extension = self.to.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        let config = || self.whence.config(&file, &provenance);
        let wrong = |text: String| Error::Config { path: self.to.clone(), text };
        let bytes = match extension.as_str() {
            "npy" => npy::bytes(&Array { shape: vec![theta.len()], values: theta.into() }),
            "safetensors" => {
                let loss = opened(&config()?, Arc::new(self.threads.pool()?), None)?;
                write_safetensors(&loss.parameters()?, &theta).map_err(wrong)?
            }
            "onnx" => match config()?.loss.model {
                Some(model) => model::with_parameters(&model, &theta, self.dtype)?,
                None => return Err(wrong("the run's configuration names no model".to_owned())),
            },
            _ => return Err(wrong("parameters are written as .npy, .safetensors or .onnx".to_owned())),
        };
        durable::write(&self.to, &bytes).map_err(Error::into_usage)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A point of a landscape.
#[derive(Clone, Copy)]
enum Which {
    Minimum(CellId),
    Pass(CellId),
}

impl Which {
    /// Its parameters; the nearest numbers that there are, where this one is not.
    fn theta(self, landscape: &Landscape) -> std::result::Result<Vec<f64>, String> {
        match self {
            Which::Minimum(cell) => match landscape.minimum(cell) {
                Some(minimum) => Ok(minimum.theta.clone()),
                None => Err(missing("minimum", cell, landscape.minima.iter().map(|m| m.cell))),
            },
            Which::Pass(cell) => match landscape.paths.iter().find(|path| path.pass.cell == cell) {
                Some(path) => {
                    if path.pass.kind == PassKind::PathMaximum {
                        tell!("cell {cell} is the maximum of path {}, not a verified saddle", path.id);
                    }
                    Ok(path.pass.theta.clone())
                }
                None => Err(missing("pass", cell, landscape.paths.iter().map(|path| path.pass.cell))),
            },
        }
    }
}

/// That there is no such number, and which are the next below and above.
fn missing(what: &str, cell: CellId, known: impl Iterator<Item = CellId> + Clone) -> String {
    let below = known.clone().filter(|other| *other < cell).max();
    let above = known.filter(|other| *other > cell).min();
    match (below, above) {
        (Some(below), Some(above)) => format!("no {what} has the number {cell}; the nearest are {below} and {above}"),
        (Some(nearest), None) | (None, Some(nearest)) => {
            format!("no {what} has the number {cell}; the nearest is {nearest}")
        }
        (None, None) => format!("no {what} has the number {cell}: there is none at all"),
    }
}

/// Writes a barcode as a GUDHI .pers or a DIPHA diagram.
fn barcode(barcode: &Path, to: &Path) -> Result<ExitCode> {
    let format = ExportFormat::of(to).ok_or_else(|| {
        let to = to.display();
        Error::Argument(format!(
            "--to {to}: a barcode is written as .pers (GUDHI) or .dipha; for parameters name --minimum K or --saddle K"
        ))
    })?;
    apart([barcode], [to])?;
    format.write(to, &diagram::read(barcode)?)?;
    Ok(ExitCode::SUCCESS)
}
