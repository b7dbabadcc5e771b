//! Running tests: each in a process of its own with a time limit, prerequisites first.
//!
//! The child is this very command with a hidden argument. It leaves its verdict in a file of the folder that it is
//! given, and notes its calls in the journal beside it; a child without a verdict is a crash, and the journal says in
//! which call. What the plugin prints goes to a third file.

#![forbid(unsafe_code)]

use super::groups::tests;
use super::plugin::{Facts, Journal, Subject, Trial, process};
use super::test::Test;
use super::verdict::{Finished, Verdict};
use crate::machine::child::{Child, End};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How tests are run.
#[derive(Clone, Debug)]
pub enum Runner {
    /// In children of this program, which answers to `check FILE ... --child NAME`; each may take that long.
    Children {
        /// This program.
        program: PathBuf,
        /// For one test.
        limit: Duration,
    },
    /// In this process, for a debugger: no limit, and a death is a death.
    InProcess,
}

/// What a check came to.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What was asked for.
    pub trial: Trial,
    /// Who the plugin says it is; `None` where its table could not be read.
    pub facts: Option<Facts>,
    /// In the order of the list.
    pub finished: Vec<Finished>,
}

impl Checked {
    /// How many tests have a verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.finished.iter().filter(|finished| finished.verdict == verdict).count()
    }

    /// True if nothing failed or died.
    pub fn is_good(&self) -> bool {
        !self.finished.iter().any(|finished| finished.verdict.is_bad())
    }
}

/// What a child leaves behind.
#[derive(Serialize, Deserialize)]
struct Left {
    finished: Finished,
    facts: Option<Facts>,
}

/// Runs the chosen tests and what they need, telling each verdict as it comes.
pub fn run(
    trial: &Trial,
    runner: &Runner,
    chosen: &[&'static Test],
    mut tell: impl FnMut(&Finished),
) -> Result<Checked> {
    let mut facts = None;
    let mut execute = |test: &'static Test| {
        let left = runner.execute(trial, test)?;
        facts = facts.take().or(left.facts);
        Ok(left.finished)
    };
    let mut judged = HashMap::new();
    for test in chosen {
        judge(test, trial.seed, &mut judged, &mut execute, &mut tell)?;
    }
    let finished = tests().filter_map(|test| judged.remove(test.name)).map(|judged| judged.finished).collect();
    Ok(Checked { trial: trial.clone(), facts, finished })
}

/// Runs one test without what it needs, which has been seen to hold.
pub fn run_alone(trial: &Trial, runner: &Runner, test: &'static Test) -> Result<Checked> {
    let Left { finished, facts } = runner.execute(trial, test)?;
    Ok(Checked { trial: trial.clone(), facts, finished: vec![finished] })
}

impl Runner {
    /// Runs one test.
    fn execute(&self, trial: &Trial, test: &Test) -> Result<Left> {
        let since = Instant::now();
        let mut left = match self {
            Runner::InProcess if test.mild || test.ends => {
                let reason = Some("a death of the plugin would be that of this process".to_owned());
                Left {
                    finished: Finished { reason, ..Finished::new(test.name, Verdict::Skip, trial.seed) },
                    facts: None,
                }
            }
            Runner::InProcess => here(trial, test, Journal::none()),
            Runner::Children { program, limit } => child(trial, test, program, *limit, &ScratchFolder::new()?.0)?,
        };
        left.finished.seconds = since.elapsed().as_secs_f64();
        Ok(left)
    }
}

/// A test with its verdict, and the test that is to blame where it could not be run.
struct Judged {
    finished: Finished,
    blame: Option<(&'static str, Verdict)>,
}

/// Runs a test unless it has been, what it needs before it.
fn judge(
    test: &'static Test,
    seed: u64,
    judged: &mut HashMap<&'static str, Judged>,
    execute: &mut impl FnMut(&'static Test) -> Result<Finished>,
    tell: &mut impl FnMut(&Finished),
) -> Result<()> {
    if judged.contains_key(test.name) {
        return Ok(());
    }
    let mut blame = None;
    for need in tests().filter(|other| test.needs.contains(&other.name)) {
        judge(need, seed, judged, execute, tell)?;
        blame = blame.or_else(|| judged.get(need.name).and_then(|need| need.blame));
    }
    let finished = match blame {
        None => execute(test)?,
        Some((name, verdict)) => {
            let how = if verdict == Verdict::Crash { "crashed" } else { "failed" };
            let reason = Some(format!("needs {name}, which {how}"));
            Finished { reason, ..Finished::new(test.name, Verdict::Skip, seed) }
        }
    };
    if finished.verdict.is_bad() {
        blame = Some((test.name, finished.verdict));
    }
    tell(&finished);
    judged.insert(test.name, Judged { finished, blame });
    Ok(())
}

fn here(trial: &Trial, test: &Test, journal: Journal) -> Left {
    let subject = Subject::new(trial.clone(), journal);
    Left { finished: test.run(&subject), facts: subject.facts() }
}

/// The names of the files in a child's folder.
const JOURNAL: &str = "journal";
const VERDICT: &str = "verdict";
const OUTPUT: &str = "output";

/// The body of a child: runs one test, leaves its verdict in `folder`, and ends the process.
pub fn run_child(trial: &Trial, name: &str, folder: &Path, limit: Duration) -> Result<()> {
    process::settle_in(limit);
    let named = tests().find(|test| test.name == name);
    let test = named.ok_or_else(|| Error::unknown("test", name, tests().map(|test| test.name)))?;
    let journal = || Journal::open(&folder.join(JOURNAL)).map_err(|e| Error::io(folder, e));
    let left = here(trial, test, journal()?);
    let text = serde_json::to_vec(&left).map_err(|e| Error::Internal(e.to_string()))?;
    // Under another name until it is whole.
    let (whole, part) = (folder.join(VERDICT), folder.join("part"));
    fs::write(&part, text).and_then(|()| fs::rename(&part, &whole)).map_err(|e| Error::io(&whole, e))?;
    let journal = journal()?;
    let _lane = test.ends.then(|| journal.enter("exit"));
    process::leave(test.ends)
}

/// Runs one test in a child.
fn child(trial: &Trial, test: &Test, program: &Path, limit: Duration, folder: &Path) -> Result<Left> {
    let io = |e| Error::io(folder, e);
    let [journal, verdict, output] = [JOURNAL, VERDICT, OUTPUT].map(|name| folder.join(name));
    Journal::create(&journal).map_err(io)?;
    let _ = fs::remove_file(&verdict);
    let printed = File::create(&output).map_err(io)?;
    let mut command = Command::new(program);
    command.arg("check").arg(&trial.file).arg("--seed").arg(trial.seed.to_string());
    command.arg("--seconds").arg(limit.as_secs_f64().to_string());
    command.args(trial.model.iter().map(|model| format!("--model={model}")));
    command.args(trial.options.iter().map(|(key, value)| format!("--option={key}={value}")));
    command.arg("--child").arg(test.name).arg("--scratch").arg(folder);
    command.stdin(Stdio::null()).stdout(printed.try_clone().map_err(io)?).stderr(printed);
    let mut child = Child::spawn(&mut command)?;
    let end = child.wait_until(Instant::now() + limit);
    child.kill();
    let left: Option<Left> = fs::read(&verdict).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let rule = Some(test.rule.to_owned());
    let without_verdict = |finished| Left { finished, facts: None };
    Ok(match (end, left) {
        (Some(end), Some(left)) if !test.ends || end == End::Exit(0) || left.finished.verdict.is_bad() => left,
        (Some(end), _) => {
            let verdict = if test.mild { Verdict::Warn } else { Verdict::Crash };
            let reason = Some(death(end, &Journal::last(&journal), &output));
            without_verdict(Finished { reason, rule, ..Finished::new(test.name, verdict, trial.seed) })
        }
        (None, _) => without_verdict(Finished {
            expected: Some(format!("an answer within {} s", limit.as_secs_f64())),
            got: Some(format!("none, {}", Journal::last(&journal))),
            rule,
            ..Finished::new(test.name, Verdict::Fail, trial.seed)
        }),
    })
}

/// How a child died, in words, with the first lines it printed: what a runtime says of a death it caused itself.
fn death(end: End, call: &str, output: &Path) -> String {
    let printed = fs::read(output).unwrap_or_default();
    let printed = String::from_utf8_lossy(&printed);
    let lines: Vec<&str> = printed.lines().map(str::trim).filter(|line| !line.is_empty()).take(3).collect();
    let said: String = lines.join("; ").chars().take(300).collect();
    let said = if said.is_empty() { said } else { format!("; it printed {said:?}") };
    format!("{end}, {call}{said}")
}

/// A folder for the children's files, removed when it is dropped.
struct ScratchFolder(PathBuf);

impl ScratchFolder {
    fn new() -> Result<ScratchFolder> {
        use std::os::unix::fs::DirBuilderExt;
        let name = |n: u32| std::env::temp_dir().join(format!("mpass-check-{}-{n}", std::process::id()));
        // A folder that is there already may be somebody else's.
        for n in 0..1000 {
            match fs::DirBuilder::new().mode(0o700).create(name(n)) {
                Ok(()) => return Ok(ScratchFolder(name(n))),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Error::io(name(n), e)),
            }
        }
        Err(Error::io(name(0), std::io::ErrorKind::AlreadyExists.into()))
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod order_tests {
    use super::*;

    /// Judges all tests, those named being bad, and returns what was run and what became of each.
    fn judged(bad: &[(&str, Verdict)]) -> (Vec<&'static str>, HashMap<&'static str, Finished>) {
        let (mut ran, mut all) = (Vec::new(), HashMap::new());
        let mut execute = |test: &'static Test| {
            ran.push(test.name);
            let verdict =
                bad.iter().find(|(name, _)| *name == test.name).map_or(Verdict::Pass, |(_, verdict)| *verdict);
            Ok(Finished::new(test.name, verdict, 0))
        };
        for test in tests() {
            judge(test, 0, &mut all, &mut execute, &mut |_| {}).unwrap();
        }
        (ran, all.into_iter().map(|(name, judged)| (name, judged.finished)).collect())
    }

    #[test]
    fn a_test_runs_once_and_after_what_it_needs() {
        let (ran, all) = judged(&[]);
        assert_eq!(ran.len(), tests().count());
        let place = |name: &str| ran.iter().position(|ran| *ran == name).unwrap();
        for test in tests() {
            assert!(test.needs.iter().all(|need| place(need) < place(test.name)), "{}", test.name);
        }
        assert!(all.values().all(|finished| finished.verdict == Verdict::Pass));
    }

    #[test]
    fn the_first_failure_is_blamed_for_all_that_cannot_run() {
        let (ran, all) = judged(&[("open.opens", Verdict::Crash)]);
        let skipped = &all["value.answers"];
        assert_eq!(skipped.verdict, Verdict::Skip);
        assert_eq!(skipped.reason.as_deref(), Some("needs open.opens, which crashed"));
        assert!(ran.contains(&"load.texts") && !ran.contains(&"open.info"));
    }

    #[test]
    fn what_does_not_apply_keeps_nobody_from_running() {
        let (ran, _) = judged(&[("open.opens", Verdict::Skip), ("load.sizes", Verdict::Warn)]);
        assert_eq!(ran.len(), tests().count());
    }
}
