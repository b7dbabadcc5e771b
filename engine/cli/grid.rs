//! `mpass grid`: the barcode of an n-dimensional array, in all degrees.

use super::answer::{Answer, Outputs};
use super::apart::apart;
use super::open::Threads;
use mountainpass::machine::durable;
use mountainpass::machine::memory;
use mountainpass::morse::complex::MorseComplex;
use mountainpass::morse::grid::{Construction, Grid, Sampling};
use mountainpass::npy::{self, Array};
use mountainpass::persistence::of_grid::{Wanted, canonical};
use mountainpass::store::By;
use mountainpass::{Error, Result};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// The options of `mpass grid`.
#[derive(clap::Args)]
pub struct GridCommand {
    /// An array of 1 to 4 axes, with --max-degree 0 and construction V up to 16, a .npy file; +inf means "in no sublevel set"
    file: PathBuf,
    /// The highest degree to compute [default: all]
    #[arg(long, value_name = "K")]
    max_degree: Option<usize>,
    /// Superlevel sets: components are born at maxima
    #[arg(long)]
    superlevel: bool,
    /// Axes of at least 3 samples that close up, counted from 0: 0,1
    #[arg(long, value_name = "AXES", value_delimiter = ',')]
    periodic: Vec<usize>,
    /// Samples are vertices (V) or cells of full dimension (T)
    #[arg(long, value_name = "V|T", default_value = "V")]
    construction: Samples,
    /// Writes the basin of every sample, the index of its minimum, -1 where there is none
    #[arg(long, value_name = "FILE.npy")]
    labels: Option<PathBuf>,
    /// A cycle for every bar: in degree 0 the path through its saddle, above the cells of a cycle
    #[arg(long)]
    cycles: bool,
    /// Writes the discrete Morse complex: critical cells, boundaries, descending manifolds
    #[arg(long, value_name = "FILE.json")]
    complex: Option<PathBuf>,
    /// Keeps bars of length zero
    #[arg(long)]
    zero_length: bool,
    #[command(flatten)]
    outputs: Outputs,
    #[command(flatten)]
    threads: Threads,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Samples {
    #[value(name = "V")]
    V,
    #[value(name = "T")]
    T,
}

impl GridCommand {
    /// Computes and prints the barcode.
    pub fn go(self) -> Result<ExitCode> {
        let construction = match self.construction {
            Samples::V => Construction::Vertex,
            Samples::T => Construction::TopCell,
        };
        let in_file = |error: Error| match error {
            Error::Argument(text) => Error::Config { path: self.file.clone(), text },
            other => other,
        };
        let beside = [&self.labels, &self.complex].into_iter().flatten().map(PathBuf::as_path);
        apart([self.file.as_path()], self.outputs.files().chain(beside))?;
        let pool = self.threads.pool()?;
        let array = npy::read(&self.file)?;
        let work = Grid::work(&array, self.max_degree);
        memory::afford(Some(work)).map_err(|shortage| in_file(Error::Argument(format!("its barcode {shortage}"))))?;
        let begun = Instant::now();
        let (periodic, superlevel, max_degree) = (&self.periodic[..], self.superlevel, self.max_degree);
        let grid = Grid::new(array, Sampling { periodic, construction, superlevel, max_degree }).map_err(in_file)?;
        let wanted = Wanted { zero_length: self.zero_length, cycles: self.cycles, ..Wanted::default() };
        let found = canonical(&grid, wanted, &pool);
        let seconds = begun.elapsed().as_secs_f64();
        if let Some(file) = &self.labels {
            let labels = Array { shape: grid.shape.sizes.clone(), values: found.components.labels().into() };
            durable::fill(file, |mut out| npy::write(&labels, &mut out)).map_err(Error::into_usage)?;
        }
        if let Some(file) = &self.complex {
            let complex = MorseComplex::of(&grid, true, &pool)?;
            let text = serde_json::to_vec(&complex).map_err(|e| Error::Internal(format!("JSON: {e}")))?;
            durable::write(file, &text).map_err(Error::into_usage)?;
        }
        let shape: Vec<String> = grid.shape.sizes.iter().map(ToString::to_string).collect();
        let answer = Answer {
            title: format!("{}, {} samples", self.file.display(), shape.join(" x ")),
            barcode: found.barcode(&grid),
            superlevel: self.superlevel,
            method: By::Grid,
            files: vec![self.file],
            seconds,
            notes: Vec::new(),
        };
        answer.tell(&self.outputs)
    }
}
