//! `mpass merge`: the landscapes of several runs of one loss as one, to be shown and gone on with.

use super::folder::Folder;
use super::open::{Threads, Whence, database, opened};
use super::serve;
use super::show::{Results, print_table};
use mountainpass::explore::{Merged, merge};
use mountainpass::report::number::counted;
use mountainpass::run::{Budget, Cancel};
use mountainpass::search::Landscape;
use mountainpass::store::{Provenance, RunRecord, Store};
use mountainpass::{Error, Result, report};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// The options of `mpass merge`.
#[derive(clap::Args)]
pub struct MergeCommand {
    /// The landscape.sqlite of a run, or the folder it is in; the first one's configuration becomes that of all
    a: PathBuf,
    /// The others, of the same loss
    #[arg(required = true)]
    b: Vec<PathBuf>,
    /// The folder that the merged landscape goes to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    whence: Whence,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    isolate: serve::Isolate,
}

/// A run as it was kept.
struct Kept {
    name: String,
    file: PathBuf,
    landscape: Landscape,
    provenance: Provenance,
    record: RunRecord,
}

impl Kept {
    fn read(path: &Path) -> Result<Kept> {
        let file = database(path);
        let store = Store::open(&file).map_err(Error::into_usage)?;
        let Results { landscape, provenance, .. } = Results::read(&store).map_err(Error::into_usage)?;
        let (name, record) = (path.display().to_string(), store.record()?);
        if provenance.is_sampled() {
            let text = format!(
                "{name}: a sampled loss (method {:?}): only searches are merged",
                provenance.method.to_string()
            );
            return Err(Error::Argument(text));
        }
        Ok(Kept { name, file, landscape, provenance, record })
    }

    /// Refuses another one of another loss.
    fn fits(&self, other: &Kept) -> Result<()> {
        match self.provenance.differs(&other.provenance) {
            None => Ok(()),
            Some((what, here, there)) => {
                let word = |text: String| if text.is_empty() { "none".to_owned() } else { text };
                let (a, b, here, there) = (&self.name, &other.name, word(here), word(there));
                Err(Error::Argument(format!("{a} and {b} are not of one loss: the {what} differs ({here}, {there})")))
            }
        }
    }
}

impl MergeCommand {
    /// Merges, writes the folder and its report, and prints what there is.
    pub fn go(self) -> Result<ExitCode> {
        let mut first = Kept::read(&self.a)?;
        let others: Vec<Kept> = self.b.iter().map(|path| Kept::read(path)).collect::<Result<_>>()?;
        others.iter().try_for_each(|other| first.fits(other))?;
        let mut folder = Folder::enter(self.out)?;
        folder.is_free()?;
        let config = self.whence.config(&first.file, &first.provenance)?;
        let (pool, cancel) = (Arc::new(self.threads.pool()?), Cancel::default());
        let mut loss = opened(&config, pool, self.isolate.asked()?)?;
        if let Some((what, then, now)) = first.provenance.differs(&config.provenance(&*loss)?) {
            let text = format!("{}: the {what} has changed since (was {then}, is {now})", first.name);
            return Err(Error::Argument(text));
        }
        let mut oracle = config.plan.oracle(&mut *loss, None, &cancel, Budget::default())?;
        for other in others {
            let noise = [first.record.noise, other.record.noise].into_iter().flatten().reduce(f64::max);
            oracle.set_noise(noise.unwrap_or(0.0).max(oracle.noise()));
            let landscapes = (std::mem::take(&mut first.landscape), other.landscape);
            let (minima, paths) = (landscapes.1.minima.iter().filter(|m| m.counts()).count(), landscapes.1.paths.len());
            let Merged { landscape, known, shift } =
                merge(&mut oracle, &config.plan, landscapes, (&first.name, &other.name))?;
            first.landscape = landscape;
            first.provenance = first.provenance.merged_with(other.provenance);
            first.record.seconds += other.record.seconds;
            first.record.noise = noise;
            let (minima, paths) = (counted(minima as u64, "minimum", "minima"), counted(paths as u64, "path", "paths"));
            tell!("{}: {minima}, {known} of them known; {paths}; its cell k is now cell k + {shift}", other.name);
        }
        folder.make()?;
        let mut store = folder.begin(&first.provenance, super::folder::Intent::Begin)?;
        store.put_landscape(&first.landscape)?;
        // Between the minima of one and those of another there is no path yet.
        store.put_record(&RunRecord { ended: None, notes: Vec::new(), passes: Vec::new(), ..first.record })?;
        let results = Results::read(&store)?;
        store.close()?;
        report::write(&results.findings(), &folder.path)?;
        print_table(&results)?;
        let path = folder.path.display();
        tell!(
            "written to {path}; join them with the first one's configuration: mpass run CONFIG --out {path} --resume"
        );
        Ok(ExitCode::SUCCESS)
    }
}
