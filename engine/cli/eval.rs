//! `mpass eval`: a run's loss at given parameters, or at the model's own: its value, derivatives and metrics.

use super::apart::apart;
use super::builtin::checkpoint::vectors;
use super::open::{Threads, opened};
use super::output::{self, print, print_json};
use super::serve;
use super::theta::{self, Statistics};
use mountainpass::config::Config;
use mountainpass::loss::{Batch, Loss};
use mountainpass::machine::durable;
use mountainpass::machine::memory;
use mountainpass::npy::{self, Array, Wide};
use mountainpass::report::number::counted;
use mountainpass::run::Cancel;
use mountainpass::search::PARTS;
use mountainpass::{Error, Result};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// The options of `mpass eval`.
#[derive(clap::Args)]
pub struct Eval {
    /// The configuration of a run, a TOML file; only its loss and its seed are looked at
    config: PathBuf,
    /// Parameters: p or n x p values in a .npy file, or a checkpoint (.safetensors, .npz, .onnx) [default: the model's own,
    /// or its start for the run's seed]
    #[arg(long, value_name = "FILE")]
    theta: Option<PathBuf>,
    /// Writes the gradient, in the shape of the parameters
    #[arg(long, value_name = "G.npy")]
    grad: Option<PathBuf>,
    /// Multiplies the Hessian by a vector (or by one for each row) and writes the product
    #[arg(long, num_args = 2, value_names = ["V.npy", "OUT.npy"])]
    hvp: Option<Vec<PathBuf>>,
    /// Takes loss and derivatives over these samples, counted from 0, repeats allowed [default: all]
    #[arg(long, value_name = "I.npy")]
    ids: Option<PathBuf>,
    /// Takes metrics of this part of the data only [default: of both]
    #[arg(long, value_name = "train|test")]
    split: Option<Part>,
    /// Prints JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    isolate: serve::Isolate,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Part {
    Train,
    Test,
}

/// So many stretches of rows are named.
const MOST_RUNS: usize = 8;

/// What was computed, row by row.
struct Evaluated {
    loss: Vec<f64>,
    /// The loss with the running statistics that the checkpoint has, where it was not taken with them.
    with_own: Option<f64>,
    /// By split: its name, the metrics' names, and their values, rows x names.
    metrics: Vec<(&'static str, Vec<String>, Vec<f64>)>,
    /// Whether one vector was given, not a list of them.
    is_single: bool,
}

impl Eval {
    /// Evaluates, writes the files asked for, and prints.
    pub fn go(self) -> Result<ExitCode> {
        let config = Config::read(&self.config)?;
        let (dir, hvp) = match self.hvp.as_deref() {
            Some([dir, out]) => (Some(dir), Some(out)),
            _ => (None, None),
        };
        let inputs = [&self.config].into_iter().chain(&self.theta).chain(dir).chain(&self.ids);
        apart(inputs.map(PathBuf::as_path), self.grad.iter().chain(hvp).map(PathBuf::as_path))?;
        let pool = Arc::new(self.threads.pool()?);
        let isolation = self.isolate.asked()?;
        let mut loss = opened(&config, pool.clone(), isolation.clone())?;
        let p = loss.info().params;
        let (theta, has_axis, statistics) = match &self.theta {
            Some(file) => theta::rows(file, &config, &*loss)?,
            None => (own(&*loss, config.plan.seed)?, false, Statistics::default()),
        };
        let is_single = !has_axis;
        let n = theta.len() / p;
        let direction = match self.hvp.as_deref() {
            Some([file, _]) => Some(repeated(rows(file, p)?, n * p, file)?),
            _ => None,
        };
        let ids = self.ids.as_deref().map(ids).transpose()?;
        let (mut values, mut ok) = (vec![f64::NAN; n], vec![true; n]);
        let room = |option: &str| {
            memory::filled(f64::NAN, n * p)
                .map_err(|shortage| Error::Argument(format!("{option}: {n} x {p} {shortage}")))
        };
        let mut grad = self.grad.as_ref().map(|_| room("--grad")).transpose()?;
        let mut hvp = direction.as_ref().map(|_| room("--hvp")).transpose()?;
        let cancel = Cancel::default();
        loss.eval(Batch {
            theta: &theta,
            ids: ids.as_deref(),
            loss: &mut values,
            grad: grad.as_deref_mut(),
            hvp: direction.as_deref().zip(hvp.as_deref_mut()),
            ok: &mut ok,
            cancel: &cancel,
        })?;
        let shape = if is_single { vec![p] } else { vec![n, p] };
        let outputs = [(self.grad.as_ref(), grad), (self.hvp.as_ref().map(|files| &files[1]), hvp)];
        for (file, values) in outputs {
            if let (Some(file), Some(values)) = (file, values) {
                let array = Array { shape: shape.clone(), values: values.into() };
                durable::fill(file, |mut out| npy::write(&array, &mut out)).map_err(Error::into_usage)?;
            }
        }
        let mut metrics = Vec::new();
        for (part, (split, name)) in [Part::Train, Part::Test].into_iter().zip(PARTS) {
            if self.split.is_none_or(|wanted| wanted == part) {
                let names = loss.metric_names(split)?;
                if !names.is_empty() {
                    let values = loss.metrics(split, &theta)?;
                    metrics.push((name, names, values));
                }
            }
        }
        // A file with statistics is a state of a network: one vector.
        let with_own = match is_single {
            true => {
                let opening = (&pool, isolation.as_ref());
                let loss = statistics.loss(0, (&theta, ids.as_deref()), &config.loss, opening, &cancel);
                loss.unwrap_or_else(|error| {
                    tell!("no loss with the checkpoint's own statistics: {error}");
                    None
                })
            }
            false => None,
        };
        let evaluated = Evaluated { loss: values, with_own, metrics, is_single };
        if self.json {
            print_json(&evaluated.json(&*loss)?)?
        } else {
            print(&evaluated.text(&*loss)?)?
        }
        match strange(&ok) {
            None => Ok(ExitCode::SUCCESS),
            Some(rows) => Err(Error::Numeric(rows)),
        }
    }
}

/// The model's own parameters.
fn own(loss: &dyn Loss, seed: u64) -> Result<Vec<f64>> {
    let start = loss.start(seed)?;
    start.ok_or_else(|| Error::Argument("the loss has no parameters of its own: give some with --theta".into()))
}

/// What is said of the rows that are not finite, if there are any: the numbers of them, neighbours as `3 to 5`.
fn strange(ok: &[bool]) -> Option<String> {
    let mut runs: Vec<[usize; 2]> = Vec::new();
    for row in (0..ok.len()).filter(|row| !ok[*row]) {
        match runs.last_mut() {
            Some([_, last]) if *last + 1 == row => *last = row,
            _ => runs.push([row, row]),
        }
    }
    let rows = runs.iter().map(|[first, last]| last - first + 1).sum::<usize>() as u64;
    let run =
        |&[first, last]: &[usize; 2]| if first == last { first.to_string() } else { format!("{first} to {last}") };
    let mut list: Vec<String> = runs.iter().take(MOST_RUNS).map(run).collect();
    let more = runs.iter().skip(MOST_RUNS).map(|[first, last]| last - first + 1).sum::<usize>();
    if more > 0 {
        list.push(format!("and {more} more"));
    }
    (rows > 0).then(|| format!("{} not finite: {}", counted(rows, "row is", "rows are"), list.join(", ")))
}

/// The rows of a .npy file.
fn rows(file: &Path, p: usize) -> Result<Vec<f64>> {
    let Wide { shape, values, .. } = npy::widened(file)?;
    let (rows, _) = vectors(&shape, values, p).map_err(|text| Error::Config { path: file.to_owned(), text })?;
    Ok(rows)
}

/// One vector for all rows, or one for each.
fn repeated(values: Vec<f64>, length: usize, file: &Path) -> Result<Vec<f64>> {
    match values.len() {
        count if count == length => Ok(values),
        count if length.is_multiple_of(count) => {
            let all = memory::collected(length, values.iter().copied().cycle());
            all.map_err(|shortage| Error::Config { path: file.to_owned(), text: format!("a copy a row {shortage}") })
        }
        count => Err(Error::Config { path: file.to_owned(), text: format!("{count} values for {length} of theta") }),
    }
}

/// Sample numbers.
fn ids(file: &Path) -> Result<Vec<u64>> {
    let Wide { shape, values, is_real } = npy::widened(file)?;
    let wrong = |text: String| Error::Config { path: file.to_owned(), text };
    if shape.len() != 1 || is_real {
        let of = if is_real { "reals" } else { "whole numbers" };
        return Err(wrong(format!("an array of shape {shape:?} of {of}: wants whole numbers in a row")));
    }
    let id = |x: f64| if x >= 0.0 { Ok(x as u64) } else { Err(wrong(format!("sample {x}: samples count from 0"))) };
    // In the memory of the values: both are of eight bytes.
    values.into_iter().map(id).collect()
}

impl Evaluated {
    fn json(&self, loss: &dyn Loss) -> Result<String> {
        // Numbers that are not finite become null.
        let of = |values: &mut dyn Iterator<Item = f64>| -> Value {
            let mut values: Vec<f64> = values.collect();
            if self.is_single { json!(values.pop()) } else { json!(values) }
        };
        let mut splits = Map::new();
        for (split, names, values) in &self.metrics {
            let column = |k: usize| of(&mut values.iter().skip(k).step_by(names.len()).copied());
            let columns: Map<String, Value> = names.iter().enumerate().map(|(k, n)| (n.clone(), column(k))).collect();
            splits.insert((*split).to_owned(), columns.into());
        }
        let parameters: Vec<Value> = loss
            .parameters()?
            .iter()
            .map(|block| json!({ "name": block.name, "shape": block.shape, "offset": block.offset }))
            .collect();
        let mut all = json!({
            "loss": of(&mut self.loss.iter().copied()),
            "metrics": splits,
            "n_parameters": loss.info().params,
            "parameters": parameters,
        });
        let notes = loss.identity()?.notes;
        if !notes.is_empty() {
            all["notes"] = notes.lines().collect();
        }
        if let Some(loss) = self.with_own {
            all["loss_with_own_statistics"] = json!(loss);
        }
        output::json(&all)
    }

    fn text(&self, loss: &dyn Loss) -> Result<String> {
        use std::fmt::Write;
        let mut text = String::new();
        let blocks = loss.parameters()?;
        let parameters = counted(loss.info().params as u64, "parameter", "parameters");
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{parameters} in {}", counted(blocks.len() as u64, "block", "blocks"));
        for (row, value) in self.loss.iter().enumerate() {
            let which = if self.is_single { String::new() } else { format!("row {row}: ") };
            let _ = writeln!(text, "{which}loss {value}");
            if let Some(loss) = self.with_own {
                let _ = writeln!(text, "loss with the checkpoint's own statistics {loss}");
            }
            for (split, names, values) in &self.metrics {
                let own = &values[row * names.len()..(row + 1) * names.len()];
                let list: Vec<String> = names.iter().zip(own).map(|(name, value)| format!("{name} {value}")).collect();
                let _ = writeln!(text, "{which}{split}: {}", list.join(", "));
            }
        }
        Ok(text)
    }
}
