//! `mpass run`: one configuration, one folder.
//!
//! The folder belongs to its configuration: the same one again says "already complete" or, with `--resume`, goes on
//! where it stopped; another one is refused.

use super::open::{opened, threads};
use super::progress::Teller;
use super::serve;
use super::show::{Results, print_table};
use super::theta::{self, Statistics};
use mountainpass::config::Config;
use mountainpass::explore::{Ended, Method, explore};
use mountainpass::loss::{Dtype, Loss};
use mountainpass::pool::Pool;
use mountainpass::run::Cancel;
use mountainpass::search::{Finding, Landscape, Minimum, Origin};
use mountainpass::store::{Provenance, Store};
use mountainpass::{Error, Result, report};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

#[derive(clap::Args)]
pub struct Run {
    /// The configuration, a TOML file
    config: PathBuf,
    /// Where results go [default: the configuration's name, beside it]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Goes on where an earlier run of the same configuration stopped
    #[arg(long)]
    resume: bool,
    /// Throws away what is in the folder and begins again
    #[arg(long, conflicts_with = "resume")]
    force: bool,
    /// Worker threads [default: one a core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    #[command(flatten)]
    isolate: serve::Isolate,
}

impl Run {
    /// Runs, or says that there is nothing left to do.
    pub fn go(self) -> Result<ExitCode> {
        let mut config = Config::read(&self.config)?;
        let folder = self.out.clone().unwrap_or_else(|| self.config.with_extension(""));
        if folder == self.config {
            return Err(Error::Argument(format!(
                "{}: this is the configuration itself: name a folder for the results with --out",
                folder.display()
            )));
        }
        let isolation = self.isolate.asked()?;
        let pool = Arc::new(Pool::new(threads(self.threads)?));
        // Given minima are part of what makes a folder's results, and only the loss tells where their tensors go.
        let (mut early, mut statistics) = (None, Statistics::default());
        if !config.theta.is_empty() {
            let loss = opened(&config, pool.clone(), isolation.clone())?;
            statistics = theta::give(&mut config, &*loss)?;
            early = Some(loss);
        }
        let database = folder.join("landscape.sqlite");
        let claimed = if folder.is_dir() { claim(&folder)? } else { None };
        // An empty file is what a run killed at once leaves.
        let begun = !self.force && std::fs::metadata(&database).is_ok_and(|file| file.len() > 0);
        let known = if begun { Some(self.open_known(&database, &config, &folder)?) } else { None };
        if let Some(store) = known.as_ref().filter(|store| ended(store).is_ok_and(|e| e.as_deref() == Some("complete")))
        {
            tell!("already complete: {}", folder.display());
            let results = Results::read(store)?;
            // A run killed between its last finding and the last file of its report did not write them all.
            if !report::FILES.iter().all(|name| folder.join(name).is_file()) {
                report::write(&results.findings(), &folder)?;
            }
            print_table(&results)?;
            return Ok(ExitCode::SUCCESS);
        }

        let strange = || report::FILES.iter().find(|name| folder.join(name).exists());
        if let Some(name) = strange().filter(|_| known.is_none() && !self.force) {
            return Err(Error::Argument(format!(
                "{} holds a {name} but no landscape.sqlite: choose another --out, or --force to replace it",
                folder.display()
            )));
        }

        let mut loss = match early {
            Some(loss) => loss,
            None => opened(&config, pool.clone(), isolation.clone())?,
        };
        config.plan.check(&*loss)?;
        let provenance = config.provenance(&*loss)?;
        std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e).into_usage())?;
        let _claim = if claimed.is_some() { claimed } else { claim(&folder)? };
        let mut store = match known {
            Some(store) => self.same_loss(store, &provenance)?,
            None => {
                // Only now, when the loss has opened, are old results given up.
                if self.force {
                    remove(&folder)?;
                }
                Store::create(&database, &provenance).map_err(Error::into_usage)?
            }
        };
        // Until here Ctrl-C ends the process at once: nothing is there to be kept, and no call needs to hear of it.
        let cancel = catch_interrupts()?;
        let known: Landscape = store.landscape()?;
        let is_known = |i: usize| {
            let is = |m: &Minimum| matches!(m.origin, Origin::Given { index, .. } if index == i as u64);
            known.minima.iter().any(is)
        };
        statistics.compare(&mut config, is_known, (&pool, isolation.as_ref()), &cancel);
        drop(statistics);
        let results = search(&config, &mut *loss, known, &mut store, &cancel, &pool);
        drop(loss);
        if let Some(marked @ 1..) = isolation.map(|isolation| isolation.marked()) {
            tell!("rows that the backend did not survive and that count as not finite: {marked}");
        }
        let results = results?;
        store.close()?;
        let found = results.found();
        if found {
            report::write(&results.findings(), &folder)?;
            print_table(&results)?;
            tell!("written to {}", folder.display());
        }
        let what = match results.ended.as_str() {
            "cancelled" => "stopped; what was found is kept. Go on",
            "budget" if found => "a budget is spent; raise it and go on",
            "budget" if config.plan.method == Method::Paths => {
                "a budget was spent before the first minimum was found; raise it and go on"
            }
            "budget" => {
                "a budget was spent before every sample had its value; what was computed is kept. Raise it and go on"
            }
            _ => return Ok(ExitCode::SUCCESS),
        };
        let out = self.out.as_ref().map_or(String::new(), |out| format!("--out {} ", out.display()));
        tell!("{what} with: mpass run {} {out}--resume", self.config.display());
        Ok(if found && results.ended == "budget" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// The database of an earlier run, if it may be used.
    fn open_known(&self, database: &Path, config: &Config, folder: &Path) -> Result<Store> {
        let store = Store::open(database).map_err(Error::into_usage)?;
        if store.provenance()?.config_hash != config.hash {
            return Err(Error::Argument(format!(
                "{} holds the results of another configuration: choose another --out, or --force to replace them",
                folder.display()
            )));
        }
        let complete = ended(&store)?.as_deref() == Some("complete");
        if !complete && !self.resume {
            return Err(Error::Argument(format!(
                "{} holds an unfinished run: go on with --resume, or begin again with --force",
                folder.display()
            )));
        }
        Ok(store)
    }

    fn same_loss(&self, store: Store, now: &Provenance) -> Result<Store> {
        let then = store.provenance()?;
        let changed = [
            ("backend", &then.backend, &now.backend),
            ("backend version", &then.backend_version, &now.backend_version),
            ("model", &then.model_hash, &now.model_hash),
            ("data", &then.data_hash, &now.data_hash),
        ];
        match changed.into_iter().find(|(_, then, now)| then != now) {
            None => Ok(store),
            Some((what, then, now)) => Err(Error::Argument(format!(
                "{}: the {what} has changed since (was {then}, is {now}): begin again with --force",
                store.path().display()
            ))),
        }
    }
}

/// How the last run on a database ended.
fn ended(store: &Store) -> Result<Option<String>> {
    store.get_meta("ended")
}

/// Removes what an earlier run left in a folder, and nothing else.
fn remove(folder: &Path) -> Result<()> {
    let database = ["landscape.sqlite", "landscape.sqlite-wal", "landscape.sqlite-shm"];
    for file in database.iter().chain(&report::FILES).map(|name| folder.join(name)) {
        match std::fs::remove_file(&file) {
            // Nothing there, or a file where the folder should be: the run itself says so.
            Err(e) if !matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
                return Err(Error::io(file, e));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Keeps other runs out of the folder as long as the handle lives; `None` where a folder cannot be locked.
fn claim(folder: &Path) -> Result<Option<std::fs::File>> {
    let Ok(handle) = std::fs::File::open(folder) else { return Ok(None) };
    match handle.try_lock() {
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(Error::Argument(format!("another run is writing to {}: wait for it", folder.display())))
        }
        Err(_) => Ok(None),
        Ok(()) => Ok(Some(handle)),
    }
}

/// A token that Ctrl-C fires; a second Ctrl-C ends the process.
fn catch_interrupts() -> Result<Cancel> {
    let cancel = Cancel::default();
    let token = cancel.clone();
    let handler = move || {
        if token.fired() {
            std::process::exit(130);
        }
        tell!("stopping; once more to stop at once");
        token.fire();
    };
    ctrlc::set_handler(handler).map_err(|e| Error::Internal(format!("no handler for Ctrl-C: {e}")))?;
    Ok(cancel)
}

/// Explores, keeping every finding, and reads back what there is.
fn search(
    config: &Config,
    loss: &mut dyn Loss,
    known: Landscape,
    store: &mut Store,
    cancel: &Cancel,
    pool: &Pool,
) -> Result<Results> {
    let begun = Instant::now();
    if loss.info().dtype == Dtype::F32 {
        tell!("parameters travel in single precision: bars below 1e-6 of the loss are noise");
    }
    let title = config.title.clone().unwrap_or_else(|| config.loss.model.clone().unwrap_or_default());
    store.set_meta("title", &title)?;
    let mut teller = Teller::new();
    let mut oracle = config.plan.oracle(loss, None, cancel, config.budget)?;
    let explored = explore(&mut oracle, &config.plan, known, store, &mut teller);
    teller.finish();
    let explored = explored?;
    // That of samples is kept: to make it again would take all their values.
    let sampled = explored.sampled.map(|sampled| {
        let notes = json(&sampled.notes)?;
        Ok::<_, Error>([json(&sampled.barcode(pool)?)?, notes])
    });
    let sampled = sampled.transpose()?;
    let before: f64 = store.get_meta("seconds")?.and_then(|text| text.parse().ok()).unwrap_or(0.0);
    let seconds = (before + begun.elapsed().as_secs_f64()).to_string();
    let ended = match explored.ended {
        Ended::Complete => "complete",
        Ended::Budget => "budget",
        Ended::Cancelled => "cancelled",
    };
    let noise = explored.noise.to_string();
    let mut words = vec![Finding::Meta("seconds", &seconds), Finding::Meta("noise", &noise)];
    words.extend(
        sampled.iter().flat_map(|[barcode, notes]| [Finding::Meta("barcode", barcode), Finding::Meta("notes", notes)]),
    );
    words.push(Finding::Meta("ended", ended));
    store.commit(&words)?;
    Results::read(store)
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::Internal(format!("JSON: {e}")))
}
