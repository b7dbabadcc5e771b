//! Parameters that were trained elsewhere: the files of `[minima] theta` and of `mpass eval --theta`, on a loss.

use super::builtin::checkpoint::{Checkpoint, ModelFile, Tensor, agree, freeze, is_frozen};
use super::builtin::onnx;
use super::open::open;
use mountainpass::config::{Config, LossConfig};
use mountainpass::explore::{Given, Way};
use mountainpass::loss::{Batch, Isolation, Loss};
use mountainpass::machine::memory;
use mountainpass::machine::pool::Pool;
use mountainpass::npy;
use mountainpass::run::Cancel;
use mountainpass::search::Metric;
use mountainpass::{Error, Result};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a file holds.
struct Read {
    name: String,
    /// One after the other.
    rows: Vec<f64>,
    /// Whether it has an axis for them.
    has_axis: bool,
}

/// Running statistics of checkpoints, where the loss takes others in their place: those of the samples.
#[derive(Default)]
pub struct Statistics {
    /// Where the loss recomputes its statistics and a file of its model has some.
    model: Option<(PathBuf, ModelFile)>,
    /// Of each point; none where its file has none.
    own: Vec<Vec<Tensor>>,
}

impl Statistics {
    /// The loss at point `i` with the statistics that its file has: that of the same network, opened once more, which takes
    /// them as they are. `None` where there are none, or it is not finite.
    pub fn loss(
        &self,
        i: usize,
        (theta, ids): (&[f64], Option<&[u64]>),
        table: &LossConfig,
        (pool, isolation): (&Arc<Pool>, Option<&Arc<Isolation>>),
        cancel: &Cancel,
    ) -> Result<Option<f64>> {
        let (Some((path, model)), Some(own)) = (&self.model, self.own.get(i)) else { return Ok(None) };
        let bytes = model.with_statistics(path, own).map_err(|error| wrong(&path.display().to_string(), error.text))?;
        let Some(bytes) = bytes else { return Ok(None) };
        let mut table = table.clone();
        freeze(&mut table.options);
        let mut loss = open(&table, Some(&bytes), pool.clone(), isolation.cloned())?;
        if loss.info().params != theta.len() {
            let text = format!("{} parameters with frozen statistics, {} without", loss.info().params, theta.len());
            return Err(wrong(&path.display().to_string(), text));
        }
        let (mut value, mut ok) = ([f64::NAN], [true]);
        loss.eval(Batch { theta, ids, loss: &mut value, grad: None, hvp: None, ok: &mut ok, cancel })?;
        Ok(Some(value[0]).filter(|value| ok[0] && value.is_finite()))
    }

    /// Puts that loss beside each of a run's points but those that `is_known` says are kept already. What cannot be had
    /// is said, and hinders nothing.
    pub fn compare(
        &self,
        config: &mut Config,
        is_known: impl Fn(usize) -> bool,
        run: (&Arc<Pool>, Option<&Arc<Isolation>>),
        cancel: &Cancel,
    ) {
        let Way::Given(points) = &mut config.plan.way else { return };
        for (i, given) in points.iter_mut().enumerate().filter(|(i, _)| !is_known(*i)) {
            match self.loss(i, (&given.theta, None), &config.loss, run, cancel) {
                Ok(loss) => given.metrics.extend(loss.map(|loss| (Metric::OwnStatistics, loss))),
                Err(error) => tell!("{}: no loss with its own statistics: {error}", given.name),
            }
        }
    }
}

/// Gives a run the minima of the files that its configuration names.
pub fn give(config: &mut Config, loss: &dyn Loss) -> Result<Statistics> {
    let mut files: Vec<(String, PathBuf)> = Vec::new();
    for pattern in &config.theta {
        for file in matching(pattern, &config.folder)? {
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
    let mut given = Vec::new();
    let (read, statistics) = read(&files, config, loss)?;
    for Read { name, rows, has_axis } in read {
        let name_of = |i| if has_axis { format!("{name} row {i}") } else { name.clone() };
        for (i, theta) in rows.chunks_exact(loss.info().params).enumerate() {
            let theta = memory::copied(theta).map_err(|shortage| wrong(&name, shortage.to_string()))?;
            given.push(Given { name: name_of(i), theta, ..Given::default() });
        }
    }
    config.give(given)?;
    Ok(statistics)
}

/// The parameters that are evaluated, row after row.
pub struct Rows {
    /// How many rows there are.
    pub n: usize,
    /// Whether they are a list; else there is one.
    pub has_axis: bool,
    /// What goes with each row.
    pub statistics: Statistics,
    from: Source,
}

enum Source {
    /// All values, and how many were taken.
    Held(Vec<f64>, usize),
    /// A file of rows, of which no more is read than is asked for.
    File(PathBuf, npy::Stream<File>),
}

impl Rows {
    /// One vector.
    pub fn of(theta: Vec<f64>) -> Rows {
        Rows { n: 1, has_axis: false, statistics: Statistics::default(), from: Source::Held(theta, 0) }
    }

    /// Those of a file.
    pub fn open(file: &Path, config: &Config, loss: &dyn Loss) -> Result<Rows> {
        if let Some(rows) = Rows::stream(file, loss.info().params)? {
            return Ok(rows);
        }
        let (read, statistics) = read(&[(file.display().to_string(), file.to_owned())], config, loss)?;
        // One file was asked for.
        let (rows, has_axis) = read.into_iter().next().map_or((Vec::new(), false), |read| (read.rows, read.has_axis));
        Ok(Rows { n: rows.len() / loss.info().params, has_axis, statistics, from: Source::Held(rows, 0) })
    }

    /// Those of a .npy file with a row for each vector; what is otherwise goes the way of checkpoints.
    fn stream(file: &Path, p: usize) -> Result<Option<Rows>> {
        if !file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy")) || !file.is_file() {
            return Ok(None);
        }
        let stream = npy::stream(file)?;
        let &[n, length] = stream.shape() else { return Ok(None) };
        let is_list = length == p && n > 0 && stream.is_in_order();
        let from = Source::File(file.to_owned(), stream);
        Ok(is_list.then(|| Rows { n, has_axis: true, statistics: Statistics::default(), from }))
    }

    /// Takes the next rows.
    pub fn take(&mut self, out: &mut [f64]) -> Result<()> {
        match &mut self.from {
            Source::Held(values, taken) => {
                out.copy_from_slice(&values[*taken..*taken + out.len()]);
                *taken += out.len();
                Ok(())
            }
            Source::File(path, stream) => npy::fill(stream, path, out),
        }
    }
}

/// The files that a pattern names, sorted, with their names relative to the configuration's folder.
fn matching(pattern: &str, folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let wrong = |text: String| Error::Argument(format!("[minima] theta: {pattern:?} {text}"));
    let named =
        |path: PathBuf| (path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned(), path.clone());
    let literal = folder.join(pattern);
    if literal.is_file() {
        return Ok(vec![named(literal)]);
    }
    let escaped = Path::new(&glob::Pattern::escape(&folder.to_string_lossy())).join(pattern);
    let found = glob::glob(&escaped.to_string_lossy()).map_err(|error| wrong(format!("is no pattern: {error}")))?;
    let mut files = Vec::new();
    for path in found {
        let path = path.map_err(|error| Error::io(error.path().to_owned(), error.into()).into_usage())?;
        if path.is_file() {
            files.push(named(path));
        }
    }
    match files.is_empty() {
        true => Err(wrong("names no file".to_owned())),
        false => Ok(files),
    }
}

fn wrong(name: &str, text: String) -> Error {
    Error::Config { path: name.into(), text }
}

/// Reads files, given with the names that messages have for them, and the statistics that go with each of their rows.
fn read(files: &[(String, PathBuf)], config: &Config, loss: &dyn Loss) -> Result<(Vec<Read>, Statistics)> {
    let (parameters, params) = (loss.parameters()?, loss.info().params);
    let checkpoints = files.iter().map(|(name, path)| Checkpoint::read(path).map_err(|error| wrong(name, error.text)));
    let checkpoints: Vec<Checkpoint> = checkpoints.collect::<Result<_>>()?;
    let file = config.loss.model.as_deref().and_then(onnx::file);
    let of_file = |path: &Path| ModelFile::read(path).map_err(|error| wrong(&path.display().to_string(), error.text));
    let model = file.map(of_file).transpose()?;
    let is_frozen = is_frozen(&config.loss.options, model.as_ref());
    if is_frozen {
        let own = model.as_ref().map(ModelFile::statistics).unwrap_or_default();
        let files = checkpoints.iter().map(|checkpoint| checkpoint.statistics(model.as_ref())).chain([own]);
        agree(&files.collect::<Vec<_>>()).map_err(Error::Argument)?;
    }
    let (mut read, mut own) = (Vec::new(), Vec::new());
    for (checkpoint, (name, _)) in checkpoints.into_iter().zip(files) {
        let statistics = checkpoint.statistics(model.as_ref());
        let found = checkpoint.theta(&parameters, params, model.as_ref()).map_err(|text| wrong(name, text));
        let (rows, has_axis) = found?;
        own.resize(own.len() + rows.len() / params, statistics);
        read.push(Read { name: name.clone(), rows, has_axis });
    }
    let model = file.map(Path::to_owned).zip(model).filter(|_| !is_frozen);
    Ok((read, Statistics { model, own }))
}
