//! `mpass eval`: a run's loss at given parameters, or at the model's own: its value, derivatives and metrics.
//!
//! Rows are read, evaluated and written some at a time, in memory that is there already: of many long rows most of the time
//! would else go into pages that are touched once.

use super::apart::apart;
use super::builtin::checkpoint::vectors;
use super::open::{Threads, opened};
use super::output::{self, print, print_json};
use super::serve;
use super::theta::Rows;
use mountainpass::config::Config;
use mountainpass::loss::{Batch, Loss, Split};
use mountainpass::machine::durable::Filling;
use mountainpass::machine::memory;
use mountainpass::npy::{self, Wide};
use mountainpass::report::number::counted;
use mountainpass::run::Cancel;
use mountainpass::search::PARTS;
use mountainpass::{Error, Result};
use serde_json::{Map, Value, json};
use std::ops::Range;
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

/// So many numbers of theta are evaluated at once, which with their derivatives stay in the last cache, unless there are
/// workers for more rows.
const AT_ONCE: usize = 1 << 19;

/// What was computed, row by row.
struct Evaluated {
    loss: Vec<f64>,
    ok: Vec<bool>,
    /// The loss with the running statistics that the checkpoint has, where it was not taken with them.
    with_own: Option<f64>,
    metrics: Vec<Metrics>,
    /// Whether one vector was given, not a list of them.
    is_single: bool,
}

/// Metrics of a part of the data: their names and their values, rows x names.
struct Metrics {
    split: Split,
    part: &'static str,
    names: Vec<String>,
    values: Vec<f64>,
}

/// Rows that are evaluated at once, and what is wanted of them beside the loss.
struct Work {
    theta: Vec<f64>,
    dir: Vec<f64>,
    grad: Option<Derivative>,
    hvp: Option<Derivative>,
}

/// The vectors that Hessians are multiplied by: one for all rows, or as many as go into them.
struct Directions {
    values: Vec<f64>,
}

/// A file of derivatives, and those of the rows at hand.
struct Derivative {
    file: Filling,
    path: PathBuf,
    rows: Vec<f64>,
}

impl Eval {
    /// Evaluates, writes the files asked for, and prints.
    pub fn go(self) -> Result<ExitCode> {
        let config = Config::read(&self.config)?;
        let (dir, hvp) = match self.hvp.as_deref() {
            Some([dir, out]) => (Some(dir.as_path()), Some(out.as_path())),
            _ => (None, None),
        };
        let inputs = [&self.config].into_iter().chain(&self.theta).chain(&self.ids).map(PathBuf::as_path).chain(dir);
        apart(inputs, self.grad.as_deref().into_iter().chain(hvp))?;
        let pool = Arc::new(self.threads.pool()?);
        let isolation = self.isolate.asked()?;
        let mut loss = opened(&config, pool.clone(), isolation.clone())?;
        let p = loss.info().params;
        let mut theta = match &self.theta {
            Some(file) => Rows::open(file, &config, &*loss)?,
            None => Rows::of(own(&*loss, config.plan.seed)?),
        };
        let n = theta.n;
        let directions = dir.map(|file| Directions::read(file, n, p)).transpose()?;
        let ids = self.ids.as_deref().map(ids).transpose()?;
        let shape = if theta.has_axis { vec![n, p] } else { vec![p] };
        let (grad, hvp) = (Derivative::begin(self.grad.as_deref(), &shape), Derivative::begin(hvp, &shape));
        let mut work = Work { theta: Vec::new(), dir: Vec::new(), grad: grad?, hvp: hvp? };
        let mut evaluated = Evaluated::begin(&theta, self.split, &*loss)?;
        let cancel = Cancel::default();
        let at_once = (AT_ONCE / p.max(1)).max(pool.workers()).max(loss.info().rows_best).min(n);
        for first in (0..n).step_by(at_once) {
            let rows = first..n.min(first + at_once);
            work.take(&mut theta, directions.as_ref(), rows.clone(), p)?;
            evaluated.take(&mut work, rows, &mut *loss, (ids.as_deref(), &cancel))?;
        }
        [work.grad, work.hvp].into_iter().flatten().try_for_each(Derivative::finish)?;
        // A file with statistics is a state of a network: one vector.
        if evaluated.is_single {
            let opening = (&pool, isolation.as_ref());
            let own = theta.statistics.loss(0, (&work.theta, ids.as_deref()), &config.loss, opening, &cancel);
            evaluated.with_own = own.unwrap_or_else(|error| {
                tell!("no loss with the checkpoint's own statistics: {error}");
                None
            });
        }
        if self.json {
            print_json(&evaluated.json(&*loss)?)?
        } else {
            print(&evaluated.text(&*loss)?)?
        }
        match strange(&evaluated.ok) {
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

impl Directions {
    fn read(file: &Path, n: usize, p: usize) -> Result<Directions> {
        let values = rows(file, p)?;
        match (n * p).is_multiple_of(values.len()) {
            true => Ok(Directions { values }),
            false => {
                let text = format!("{} values for {} of theta", values.len(), n * p);
                Err(Error::Config { path: file.to_owned(), text })
            }
        }
    }

    /// That of a row.
    fn of(&self, row: usize, p: usize) -> &[f64] {
        let first = row % (self.values.len() / p) * p;
        &self.values[first..first + p]
    }
}

impl Derivative {
    /// Begins a file for derivatives of this shape, if one is wanted.
    fn begin(path: Option<&Path>, shape: &[usize]) -> Result<Option<Derivative>> {
        let Some(path) = path else { return Ok(None) };
        let mut file = Filling::begin(path).map_err(Error::into_usage)?;
        npy::write_start(shape, &mut file).map_err(|error| Error::io(path, error).into_usage())?;
        Ok(Some(Derivative { file, path: path.to_owned(), rows: Vec::new() }))
    }

    fn write(&mut self) -> Result<()> {
        npy::write_reals(&self.rows, &mut self.file).map_err(|error| Error::io(&self.path, error).into_usage())
    }

    fn finish(self) -> Result<()> {
        self.file.finish().map_err(Error::into_usage)
    }
}

/// Makes a vector as long as rows at hand need it.
fn sized(room: &mut Vec<f64>, n: usize, p: usize) -> Result<()> {
    room.truncate(n * p);
    memory::grow(room, n * p).map_err(|shortage| Error::Argument(format!("{n} x {p} parameters: it {shortage}")))
}

impl Work {
    /// Takes the next rows, with room for what is wanted of them.
    fn take(&mut self, theta: &mut Rows, dirs: Option<&Directions>, rows: Range<usize>, p: usize) -> Result<()> {
        sized(&mut self.theta, rows.len(), p)?;
        theta.take(&mut self.theta)?;
        if let Some(dirs) = dirs {
            sized(&mut self.dir, rows.len(), p)?;
            self.dir.chunks_exact_mut(p).zip(rows.clone()).for_each(|(dir, row)| dir.copy_from_slice(dirs.of(row, p)));
        }
        let wanted = self.grad.iter_mut().chain(&mut self.hvp);
        wanted.into_iter().try_for_each(|wanted| sized(&mut wanted.rows, rows.len(), p))
    }
}

impl Evaluated {
    /// Nothing yet, with room for as many values as there are rows.
    fn begin(theta: &Rows, part: Option<Part>, loss: &dyn Loss) -> Result<Evaluated> {
        let n = theta.n;
        let short = |shortage| Error::Argument(format!("--theta: what is computed of {n} rows {shortage}"));
        let mut metrics = Vec::new();
        for (of, (split, name)) in [Part::Train, Part::Test].into_iter().zip(PARTS) {
            if part.is_none_or(|wanted| wanted == of) {
                let names = loss.metric_names(split)?;
                let values = memory::room(n * names.len()).map_err(short)?;
                metrics.push(Metrics { split, part: name, names, values });
            }
        }
        metrics.retain(|of| !of.names.is_empty());
        let (loss, ok) = (memory::filled(f64::NAN, n).map_err(short)?, memory::filled(true, n).map_err(short)?);
        Ok(Evaluated { loss, ok, with_own: None, metrics, is_single: !theta.has_axis })
    }

    /// Evaluates the rows at hand, and writes what files are for.
    fn take(
        &mut self,
        work: &mut Work,
        rows: Range<usize>,
        loss: &mut dyn Loss,
        (ids, cancel): (Option<&[u64]>, &Cancel),
    ) -> Result<()> {
        let Work { theta, dir, grad, hvp } = work;
        loss.eval(Batch {
            theta,
            ids,
            loss: &mut self.loss[rows.clone()],
            grad: grad.as_mut().map(|grad| &mut grad.rows[..]),
            hvp: hvp.as_mut().map(|hvp| (&dir[..], &mut hvp.rows[..])),
            ok: &mut self.ok[rows],
            cancel,
        })?;
        grad.iter_mut().chain(hvp).try_for_each(Derivative::write)?;
        self.metrics.iter_mut().try_for_each(|of| {
            of.values.extend(loss.metrics(of.split, theta)?);
            Ok(())
        })
    }

    fn json(&self, loss: &dyn Loss) -> Result<String> {
        // Numbers that are not finite become null.
        let of = |values: &mut dyn Iterator<Item = f64>| -> Value {
            let mut values: Vec<f64> = values.collect();
            if self.is_single { json!(values.pop()) } else { json!(values) }
        };
        let mut splits = Map::new();
        for Metrics { part, names, values, .. } in &self.metrics {
            let column = |k: usize| of(&mut values.iter().skip(k).step_by(names.len()).copied());
            let columns: Map<String, Value> = names.iter().enumerate().map(|(k, n)| (n.clone(), column(k))).collect();
            splits.insert((*part).to_owned(), columns.into());
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
            for Metrics { part, names, values, .. } in &self.metrics {
                let own = &values[row * names.len()..(row + 1) * names.len()];
                let list: Vec<String> = names.iter().zip(own).map(|(name, value)| format!("{name} {value}")).collect();
                let _ = writeln!(text, "{which}{part}: {}", list.join(", "));
            }
        }
        Ok(text)
    }
}
