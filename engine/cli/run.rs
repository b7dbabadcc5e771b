//! `mpass run`: one configuration, one folder.
//!
//! The folder belongs to its configuration: the same one again says "already complete" or, with `--resume`, goes on
//! where it stopped; another one is refused.

use super::folder::{self, Folder, Intent};
use super::open::{Threads, opened};
use super::plan::print_plan;
use super::progress::Teller;
use super::serve;
use super::show::print_findings;
use super::theta::{self, Statistics};
use mountainpass::config::Config;
use mountainpass::explore::{Explored, Found, Known, Method, explore};
use mountainpass::loss::{Dtype, Isolation, Loss};
use mountainpass::machine::child::is_ignored;
use mountainpass::machine::pool::Pool;
use mountainpass::report::{self, Results};
use mountainpass::run::{Cancel, Ended};
use mountainpass::search::{Minimum, Origin};
use mountainpass::store::{RunRecord, Store};
use mountainpass::{Error, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
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
    /// Says what the run is going to take, from three timed evaluations, and writes nothing
    #[arg(long, conflicts_with_all = ["out", "resume", "force"])]
    plan: bool,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    isolate: serve::Isolate,
}

impl Run {
    /// Runs, or says that there is nothing left to do.
    pub fn go(self) -> Result<ExitCode> {
        let mut config = Config::read(&self.config)?;
        let path = folder::of(&self.config, self.out.as_deref())?;
        let isolation = self.isolate.asked()?;
        let ground = Ground { pool: Arc::new(self.threads.pool()?), isolation };
        // Given minima are part of what makes a folder's results, and only the loss tells where their tensors go.
        let early = if config.theta.is_empty() { None } else { Some(ground.given(&mut config)?) };
        if self.plan {
            let mut loss = early.map_or_else(|| ground.open(&config), |(loss, _)| Ok(loss))?;
            return print_plan(&config, &mut *loss);
        }
        let mut folder = Folder::enter(path)?;
        let known = match folder.known(&config, self.intent())? {
            Some(store) if store.record()?.ended == Some(Ended::Complete) => return again(store, &folder.path),
            known => known,
        };
        let (loss, statistics) = match early {
            Some(early) => early,
            None => (ground.open(&config)?, Statistics::default()),
        };
        let mut store = self.claim(&mut folder, known, &config, &*loss)?;
        let results = ground.run(&mut config, loss, statistics, &mut store)?;
        store.close()?;
        if results.found() {
            report::write(&results.findings(), &folder.path)?;
            print_findings(&results.findings())?;
            tell!("written to {}", folder.path.display());
        }
        Ok(self.farewell(&config, &results))
    }

    /// The database that findings go to, in a folder made for it. Only now, when the loss has opened and fits the plan,
    /// are old results given up.
    fn claim(&self, folder: &mut Folder, known: Option<Store>, config: &Config, loss: &dyn Loss) -> Result<Store> {
        config.check(loss)?;
        let provenance = config.provenance(loss)?;
        folder.make()?;
        match known {
            Some(store) => folder::same_loss(store, &provenance),
            None => folder.begin(&provenance, self.intent()),
        }
    }

    fn intent(&self) -> Intent {
        match (self.force, self.resume) {
            (true, _) => Intent::Replace,
            (false, true) => Intent::Resume,
            (false, false) => Intent::Begin,
        }
    }

    /// Says how to go on, where there is something left to do.
    fn farewell(&self, config: &Config, results: &Results) -> ExitCode {
        let found = results.found();
        let what = match results.ended() {
            Some(Ended::Complete) => return ExitCode::SUCCESS,
            Some(Ended::Cancelled) | None => "stopped; what was found is kept. Go on",
            Some(Ended::Budget) if found => "a budget is spent; raise it and go on",
            Some(Ended::Budget) if config.plan.method == Method::Paths => {
                "a budget was spent before the first minimum was found; raise it and go on"
            }
            Some(Ended::Budget) => {
                "a budget was spent before every sample had its value; what was computed is kept. Raise it and go on"
            }
        };
        let out = self.out.as_ref().map_or(String::new(), |out| format!("--out {} ", out.display()));
        tell!("{what} with: mpass run {} {out}--resume", self.config.display());
        if found && results.ended() == Some(Ended::Budget) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// What a loss runs on.
struct Ground {
    pool: Arc<Pool>,
    isolation: Option<Arc<Isolation>>,
}

impl Ground {
    fn open(&self, config: &Config) -> Result<Box<dyn Loss>> {
        opened(config, self.pool.clone(), self.isolation.clone())
    }

    /// The loss, opened to read the minima that the configuration names; with what goes beside them.
    fn given(&self, config: &mut Config) -> Result<(Box<dyn Loss>, Statistics)> {
        let loss = self.open(config)?;
        let statistics = theta::give(config, &*loss)?;
        Ok((loss, statistics))
    }

    /// Goes on from what a database holds, to the end or a stop; everything there is then.
    fn run(
        &self,
        config: &mut Config,
        mut loss: Box<dyn Loss>,
        statistics: Statistics,
        store: &mut Store,
    ) -> Result<Results> {
        // Until here Ctrl-C ends the process at once: nothing is there to be kept, and no call needs to hear of it.
        let cancel = catch_interrupts()?;
        let known =
            || Ok(Known { landscape: store.landscape()?, values: store.values()?, pairs: store.record()?.pairs });
        let known: Known = known().map_err(Error::into_usage)?;
        let is_known = |i: usize| {
            let is = |m: &Minimum| matches!(m.origin, Origin::Given { index, .. } if index == i as u64);
            known.landscape.minima.iter().any(is)
        };
        statistics.compare(config, is_known, (&self.pool, self.isolation.as_ref()), &cancel);
        drop(statistics);
        let results = search(config, &mut *loss, known, store, &cancel, &self.pool);
        drop(loss);
        if let Some(marked @ 1..) = self.isolation.as_ref().map(|isolation| isolation.marked()) {
            tell!("rows that the backend did not survive and that count as not finite: {marked}");
        }
        results
    }
}

/// Says that a run is complete, and mends its report: a run killed behind its last finding did not write all of it.
fn again(mut store: Store, folder: &Path) -> Result<ExitCode> {
    let results = Results::of(store.kept().map_err(Error::into_usage)?);
    tell!("already complete: {}", folder.display());
    store.fold()?;
    report::write(&results.findings(), folder)?;
    print_findings(&results.findings())?;
    Ok(ExitCode::SUCCESS)
}

/// A token that Ctrl-C, a hang-up or a request to end fires, once; the second one ends the process. Who started the
/// process with one of them ignored (`nohup`) means it.
fn catch_interrupts() -> Result<Cancel> {
    let caught = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !is_ignored(*signal));
    let mut signals = Signals::new(caught).map_err(|e| Error::Internal(format!("no handler for Ctrl-C: {e}")))?;
    let cancel = Cancel::default();
    let token = cancel.clone();
    std::thread::spawn(move || {
        for _ in signals.forever() {
            if token.fired() {
                std::process::exit(130);
            }
            tell!("stopping; once more to stop at once");
            token.fire();
        }
    });
    Ok(cancel)
}

/// Explores, keeping every finding, and reads back what there is.
fn search(
    config: &Config,
    loss: &mut dyn Loss,
    known: Known,
    store: &mut Store,
    cancel: &Cancel,
    pool: &Pool,
) -> Result<Results> {
    let begun = Instant::now();
    if loss.info().dtype == Dtype::F32 {
        tell!("parameters travel in single precision: bars below 1e-6 of the loss are noise");
    }
    let before = store.record()?;
    store.put_record(&RunRecord { title: config.title(), ended: None, ..before.clone() })?;
    let mut teller = Teller::new();
    let mut oracle = config.plan.oracle(loss, None, cancel, config.budget)?;
    let explored = explore(&mut oracle, &config.plan, known, store, &mut teller);
    teller.finish();
    let explored = explored?;
    keep(store, explored, before.seconds, begun, pool)?;
    Ok(Results::of(store.kept()?))
}

/// Keeps what an exploration came to beside its findings, and how long it took after the seconds `before`.
fn keep(store: &mut Store, explored: Explored, before: f64, begun: Instant, pool: &Pool) -> Result<()> {
    let mut record = store.record()?;
    record.notes = report::notes(&explored);
    if let Found::Samples(samples) = explored.found {
        // To make it again would take all values.
        record.barcode = Some(samples.barcode(pool)?);
    }
    record.noise = Some(explored.noise);
    record.passes = explored.passes;
    record.pairs = explored.pairs;
    record.ended = Some(explored.ended);
    record.seconds = before + begun.elapsed().as_secs_f64();
    store.put_record(&record)
}
