//! The loss of a run: its backend loaded, asked for by name, opened on a pool.

use super::builtin;
use mountainpass::config::{Config, LossConfig};
use mountainpass::loss::{Isolation, Loss, OpenRequest, Registry};
use mountainpass::machine::pool::Pool;
use mountainpass::store::{DATABASE, Provenance};
use mountainpass::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many threads work: the same words for every command.
#[derive(clap::Args)]
pub struct Threads {
    /// Worker threads [default: one a core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

impl Threads {
    /// A pool of so many.
    pub fn pool(&self) -> Result<Pool> {
        match self.threads {
            Some(0) => Err(Error::Argument("--threads 0: at least one thread is needed".into())),
            asked => Ok(Pool::new(asked.unwrap_or(0))), // 0 is one a core.
        }
    }
}

/// Where the configuration of a kept run is read again.
#[derive(clap::Args)]
pub struct Whence {
    /// Where relative paths in the run's configuration start [default: the folder that its folder is in]
    #[arg(long, value_name = "DIR")]
    relative_to: Option<PathBuf>,
}

impl Whence {
    /// The configuration that a database keeps.
    pub fn config(&self, database: &Path, provenance: &Provenance) -> Result<Config> {
        let beside = || std::path::absolute(database).ok()?.parent()?.parent().map(Path::to_owned);
        let folder = self.relative_to.clone().or_else(beside).unwrap_or_default();
        Config::parse(&provenance.config, &folder).map_err(|error| error.of_file(database))
    }
}

/// The database of a run, given itself or by its folder.
pub fn database(run: &Path) -> PathBuf {
    if run.is_dir() { run.join(DATABASE) } else { run.to_owned() }
}

/// Opens the loss that a configuration names, and tells what its backend says of it.
pub fn opened(config: &Config, pool: Arc<Pool>, isolation: Option<Arc<Isolation>>) -> Result<Box<dyn Loss>> {
    let loss = open(&config.loss, None, pool, isolation)?;
    loss.identity()?.notes.lines().for_each(|note| tell!("{note}"));
    Ok(loss)
}

/// Opens the loss of a table, with a model in memory if there is one in place of the table's.
pub fn open(
    table: &LossConfig,
    model: Option<&[u8]>,
    pool: Arc<Pool>,
    isolation: Option<Arc<Isolation>>,
) -> Result<Box<dyn Loss>> {
    let mut registry = Registry::with_log(builtin::warnings());
    if let Some(isolation) = isolation {
        registry = registry.isolated(isolation);
    }
    let (registry, loaded) = builtin::fill(registry, table.plugin.as_slice())?;
    let backend = match (&table.backend, loaded.into_iter().next()) {
        (Some(backend), Some(loaded)) if *backend != loaded => {
            return Err(Error::Argument(format!(
                "[loss] backend is {backend:?}, but its plugin calls itself {loaded:?}: leave one of the two out"
            )));
        }
        (Some(backend), _) => backend.clone(),
        (None, Some(loaded)) => loaded,
        (None, None) => return Err(Error::Argument("[loss] names no backend and no plugin".into())),
    };
    // Where no option is given, there is nothing to ask for.
    let declared = if table.options.is_empty() { Vec::new() } else { registry.options(&backend)? };
    let request = OpenRequest {
        model: table.model.clone().filter(|_| model.is_none()).unwrap_or_default(),
        model_bytes: model,
        options: table.told(&declared)?,
        device: builtin::device(&registry, &backend, table.device.as_deref())?,
        dtype: table.dtype,
        repeatable: table.repeatable,
        ..OpenRequest::default()
    };
    registry.open(&backend, &request, pool)
}
