//! `mpass merge`: the landscapes of several runs of one loss as one, to be shown and gone on with.

use super::folder::Folder;
use super::open::{Threads, Whence, database, opened};
use super::serve;
use super::show::print_findings;
use mountainpass::explore::{Merged, merge};
use mountainpass::report::number::counted;
use mountainpass::report::{self, Results};
use mountainpass::run::{Budget, Cancel};
use mountainpass::store::{Kept, RunRecord, Store};
use mountainpass::{Error, Result};
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

/// One of the runs, and what messages call it.
struct Part {
    name: String,
    file: PathBuf,
    kept: Kept,
}

impl Part {
    fn read(path: &Path) -> Result<Part> {
        let (name, file) = (path.display().to_string(), database(path));
        let kept = Store::open(&file).and_then(|store| store.kept()).map_err(Error::into_usage)?;
        if kept.provenance.is_of_samples() {
            let method = kept.provenance.method.name();
            let text = format!("{name}: a sampled loss (method {method:?}): only searches are merged");
            return Err(Error::Argument(text));
        }
        Ok(Part { name, file, kept })
    }

    /// Refuses another one of another loss.
    fn fits(&self, other: &Part) -> Result<()> {
        match self.kept.provenance.differs(&other.kept.provenance) {
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
        let first = Part::read(&self.a)?;
        let others: Vec<Part> = self.b.iter().map(|path| Part::read(path)).collect::<Result<_>>()?;
        others.iter().try_for_each(|other| first.fits(other))?;
        let mut folder = Folder::enter(self.out)?;
        folder.is_free()?;
        let Part { name, file, kept: mut all } = first;
        let config = self.whence.config(&file, &all.provenance)?;
        let (pool, cancel) = (Arc::new(self.threads.pool()?), Cancel::default());
        let mut loss = opened(&config, pool, self.isolate.asked()?)?;
        if let Some((what, then, now)) = all.provenance.differs(&config.provenance(&*loss)?) {
            return Err(Error::Argument(format!("{name}: the {what} has changed since (was {then}, is {now})")));
        }
        let mut oracle = config.plan.oracle(&mut *loss, None, &cancel, Budget::default())?;
        for Part { name: theirs, kept: other, .. } in others {
            let noise = [all.record.noise, other.record.noise].into_iter().flatten().reduce(f64::max);
            oracle.set_noise(noise.unwrap_or(0.0).max(oracle.noise()));
            let landscapes = (std::mem::take(&mut all.landscape), other.landscape);
            let (minima, paths) = (landscapes.1.minima.iter().filter(|m| m.counts()).count(), landscapes.1.paths.len());
            let Merged { landscape, known, shift } = merge(&mut oracle, &config.plan, landscapes, (&name, &theirs))?;
            all.landscape = landscape;
            all.provenance = all.provenance.merged_with(other.provenance);
            all.record.seconds += other.record.seconds;
            all.record.noise = noise;
            let (minima, paths) = (counted(minima as u64, "minimum", "minima"), counted(paths as u64, "path", "paths"));
            tell!("{theirs}: {minima}, {known} of them known; {paths}; its cell k is now cell k + {shift}");
        }
        folder.make()?;
        let mut store = folder.begin(&all.provenance, super::folder::Intent::Begin)?;
        store.put_landscape(&all.landscape)?;
        // Between the minima of one and those of another there is no path yet.
        let (notes, passes, pairs) = Default::default();
        store.put_record(&RunRecord { ended: None, notes, passes, pairs, ..all.record })?;
        let results = Results::of(store.kept()?);
        store.close()?;
        report::write(&results.findings(), &folder.path)?;
        print_findings(&results.findings())?;
        let path = folder.path.display();
        tell!(
            "written to {path}; join them with the first one's configuration: mpass run CONFIG --out {path} --resume"
        );
        Ok(ExitCode::SUCCESS)
    }
}
