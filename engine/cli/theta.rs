//! Parameters that were trained elsewhere: the files of `[minima] theta` and of `mpass eval --theta`, on a loss.

use super::builtin::checkpoint::{Checkpoint, ModelFile, differing};
use mountainpass::config::Config;
use mountainpass::explore::Given;
use mountainpass::loss::Loss;
use mountainpass::{Error, Result};
use std::path::{Path, PathBuf};

/// What a file holds.
struct Read {
    name: String,
    rows: Vec<Vec<f64>>,
    /// Whether it has an axis for them.
    has_axis: bool,
}

/// Gives a run the minima of the files that its configuration names.
pub fn give(config: &mut Config, loss: &dyn Loss) -> Result<()> {
    let mut files: Vec<(String, PathBuf)> = Vec::new();
    for pattern in &config.theta {
        for file in matching(pattern, &config.folder)? {
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
    let mut given = Vec::new();
    for Read { name, rows, has_axis } in read(&files, config, loss)? {
        let name_of = |i| if has_axis { format!("{name} row {i}") } else { name.clone() };
        given.extend(rows.into_iter().enumerate().map(|(i, theta)| Given { name: name_of(i), theta }));
    }
    config.give(given)
}

/// The vectors of one file, one after the other, and whether there is one alone, without an axis for it.
pub fn rows(file: &Path, config: &Config, loss: &dyn Loss) -> Result<(Vec<f64>, bool)> {
    let read = read(&[(file.display().to_string(), file.to_owned())], config, loss)?;
    let has_axis = read.iter().any(|read| read.has_axis);
    Ok((read.into_iter().flat_map(|read| read.rows).flatten().collect(), !has_axis))
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

/// Reads files, given with the names that messages have for them.
fn read(files: &[(String, PathBuf)], config: &Config, loss: &dyn Loss) -> Result<Vec<Read>> {
    let (parameters, params) = (loss.parameters()?, loss.info().params);
    let wrong = |name: &str, text: String| Error::Config { path: name.into(), text };
    let checkpoints = files.iter().map(|(name, path)| Checkpoint::read(path).map_err(|error| wrong(name, error.text)));
    let checkpoints: Vec<Checkpoint> = checkpoints.collect::<Result<_>>()?;
    let model = config.loss.model.as_deref().filter(|model| model.ends_with(".onnx"));
    let model = match model {
        Some(file) => Some(ModelFile::read(Path::new(file)).map_err(|error| wrong(file, error.text))?),
        None => None,
    };
    agree(&checkpoints, model.as_ref(), config)?;
    let theta = checkpoints.iter().zip(files).map(|(checkpoint, (name, _))| {
        let (rows, has_axis) =
            checkpoint.theta(&parameters, params, model.as_ref()).map_err(|text| wrong(name, text))?;
        Ok(Read { name: name.clone(), rows, has_axis })
    });
    theta.collect()
}

/// Refuses checkpoints with running statistics of their own where the loss takes those of the model's file.
fn agree(checkpoints: &[Checkpoint], model: Option<&ModelFile>, config: &Config) -> Result<()> {
    let option = config.loss.options.iter().find(|(key, _)| key == "batchnorm").map(|(_, value)| value.as_str());
    let is_frozen = option.map_or(model.is_some(), |option| option == "frozen");
    if !is_frozen {
        return Ok(());
    }
    let own = model.map(ModelFile::statistics).unwrap_or_default();
    let files: Vec<_> = checkpoints.iter().map(Checkpoint::tensors).chain([own.as_slice()]).collect();
    let names = differing(&files);
    if names.is_empty() {
        return Ok(());
    }
    let names = names.join(", ");
    Err(Error::Argument(format!(
        "the checkpoints' running statistics differ, from each other or from the model's ({names}), but a loss of frozen \
         statistics has one set of them: set [loss] batchnorm = \"recomputed\""
    )))
}
