//! `mpass check`: does a plugin keep the contract?
//!
//! `--json` prints one object, whose format stays:
//! ```text
//! { "format": "mountainpass.check", "version": 1,
//!   "plugin": { "file": text, "name": text or null, "version": text or null, "minor": number or null },
//!   "seed": number,
//!   "tests": [ { "name": text, "verdict": "pass" | "warn" | "skip" | "fail" | "crash", "seconds": number,
//!                "reason": text or null,         why it was skipped, warned of or died
//!                "seed": number,                 what replays it
//!                "row": number or null,          of the batch, where a failure was seen
//!                "expected": text or null, "got": text or null,
//!                "rule": text or null }, ... ],  the sentence of the header that is broken
//!   "passed": n, "failed": n, "crashed": n, "warned": n, "skipped": n }
//! ```
//! `--list --json` prints `{ "format": "mountainpass.check-list", "version": 1, "tests": [ { "name", "claim", "rule",
//! "needs" }, ... ] }`.

use super::output::{print, print_json};
use clap::{Args, Subcommand};
use mountainpass::check::{self, Checked, Runner, Trial, Verdict, report};
use mountainpass::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Check {
    /// The plugin
    #[arg(required_unless_present = "list")]
    file: Option<PathBuf>,
    #[command(flatten)]
    loss: LossChoice,
    /// Only this test or group, and what it needs; may be repeated
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Prints JSON instead of lines
    #[arg(long)]
    json: bool,
    /// What every random choice follows from
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Runs everything in this process, for a debugger
    #[arg(long)]
    in_process: bool,
    /// How long a test may take
    #[arg(long, value_name = "S", default_value_t = 20.0)]
    seconds: f64,
    /// Lists every test with its claim: the specification
    #[arg(long)]
    list: bool,
    /// This process is a child that runs one test
    #[arg(long, hide = true, requires = "scratch")]
    child: Option<String>,
    /// Where a child leaves its verdict
    #[arg(long, hide = true)]
    scratch: Option<PathBuf>,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Args)]
struct LossChoice {
    /// The model to open
    #[arg(long, value_name = "M")]
    model: Option<String>,
    /// An option to open it with; may be repeated
    #[arg(long = "option", value_name = "KEY=VALUE")]
    options: Vec<String>,
}

#[derive(Subcommand)]
enum Action {
    /// Random legal sequences of calls, each from the seed after the last, until one fails
    Fuzz {
        /// The plugin
        file: PathBuf,
        #[command(flatten)]
        loss: LossChoice,
        /// The first seed
        #[arg(long, value_name = "S", default_value_t = 1)]
        seed: u64,
        /// How many sequences
        #[arg(long, value_name = "N", default_value_t = 100)]
        rounds: u64,
        /// How long a sequence may take
        #[arg(long, value_name = "S", default_value_t = 20.0)]
        seconds: f64,
    },
}

impl Check {
    /// Checks, lists, or is a child.
    pub fn go(self) -> Result<ExitCode> {
        if let Some(Action::Fuzz { file, loss, seed, rounds, seconds }) = &self.action {
            return fuzz(&loss.trial(file, *seed)?, *rounds, limit(*seconds)?);
        }
        let Some(file) = &self.file else {
            if self.json {
                print_json(&report::list_json())?
            } else {
                print(&report::list())?
            }
            return Ok(ExitCode::SUCCESS);
        };
        let (trial, limit) = (self.loss.trial(file, self.seed)?, limit(self.seconds)?);
        if let (Some(name), Some(scratch)) = (&self.child, &self.scratch) {
            check::run_child(&trial, name, scratch, limit)?;
        }
        let runner = if self.in_process { Runner::InProcess } else { children(limit)? };
        let chosen = check::select(&self.only)?;
        let checked = check::run(&trial, &runner, &chosen, |finished| {
            if !self.json {
                let _ = print(&report::line(finished)); // A reader who went away is told of nothing.
            }
        })?;
        if self.json {
            print_json(&report::json(&checked))?
        } else {
            print(&report::summary(&checked))?
        }
        Ok(status(&checked))
    }
}

impl LossChoice {
    fn trial(&self, file: &Path, seed: u64) -> Result<Trial> {
        // A full path, or the system's loader would search its own folders; what is not there is no plugin to judge.
        let file = file.canonicalize().map_err(|e| Error::io(file, e).into_usage())?;
        let option = |text: &String| match text.split_once('=') {
            Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
            None => Err(Error::Argument(format!("--option {text:?}: KEY=VALUE is expected"))),
        };
        let options = self.options.iter().map(option).collect::<Result<_>>()?;
        Ok(Trial { file, model: self.model.clone(), options, seed })
    }
}

/// Sequence after sequence, each with a seed of its own, which is all that replays it.
fn fuzz(trial: &Trial, rounds: u64, limit: Duration) -> Result<ExitCode> {
    let (runner, chosen) = (children(limit)?, check::select(&["fuzz.calls".to_owned()])?);
    // What one sequence needs need not be shown again for every seed.
    for round in 0..rounds {
        let trial = Trial { seed: trial.seed.wrapping_add(round), ..trial.clone() };
        let checked = match round {
            0 => check::run(&trial, &runner, &chosen, |_| {})?,
            _ => check::run_alone(&trial, &runner, chosen[0])?,
        };
        let applies = checked.finished.iter().any(|f| f.name == "fuzz.calls" && f.verdict != Verdict::Skip);
        if !checked.is_good() || !applies {
            for finished in checked.finished.iter().filter(|f| f.verdict.is_bad() || f.verdict == Verdict::Skip) {
                print(&report::line(finished))?;
            }
            return Ok(status(&checked));
        }
    }
    print(&format!("{rounds} sequences from seed {} kept every promise\n", trial.seed))?;
    Ok(ExitCode::SUCCESS)
}

fn children(limit: Duration) -> Result<Runner> {
    let program = std::env::current_exe().map_err(|e| Error::io("mpass", e))?;
    Ok(Runner::Children { program, limit })
}

fn limit(seconds: f64) -> Result<Duration> {
    match Duration::try_from_secs_f64(seconds) {
        Ok(limit) if !limit.is_zero() => Ok(limit),
        _ => Err(Error::Argument(format!("--seconds {seconds}: a positive number is expected"))),
    }
}

fn status(checked: &Checked) -> ExitCode {
    if checked.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
