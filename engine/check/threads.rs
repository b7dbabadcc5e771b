//! Group `threads`: losses in several threads, and the host's workers.
//!
//! Calls that shall overlap are let go together by a [`Gate`], hundreds of times. At most two losses are open at a time.

#![forbid(unsafe_code)]

use super::alike::Alike;
use super::call::room;
use super::gate::Gate;
use super::process::Held;
use super::value::{everything, places};
use super::{Answer, Call, Host, Opened, Outcome, Random, Subject, Test, fail, skip};
use mountainpass_sdk::abi::cap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The group's part of the list.
pub(super) const TESTS: &[Test] = &[
    Test::new(
        "threads.losses",
        "Several losses evaluate at once, each as if it were alone.",
        "calls on the same object never overlap; [many] may overlap; different objects always may.",
        &["value.answers", "minibatch.state"],
        losses,
    ),
    Test::new(
        "threads.calls",
        "Where MPASS_CAP_MANY is claimed, one loss answers many threads at once.",
        "eval on one loss is [many]",
        &["value.answers", "minibatch.state"],
        calls,
    ),
    Test::new(
        "threads.moves",
        "A loss may be called from one thread now and from another later.",
        "eval must run on the thread that called the engine",
        &["value.answers"],
        moves,
    ),
    Test::new(
        "threads.workers",
        "The answer does not depend on the number of workers, and host->parallel is used as the header says.",
        "same row, same ids: same bits, whatever n, the position, the threads",
        &["value.answers"],
        workers,
    ),
    Test::new(
        "threads.none-left",
        "No thread is left running after close.",
        "whatever open makes, close unmakes, threads included.",
        &["value.answers"],
        none_left,
    ),
];

/// How long calls are let go together, if they are quick, and how often at least and at most.
const TOGETHER: Duration = Duration::from_millis(1500);
const ROUNDS: std::ops::RangeInclusive<u64> = 6..=1500;

/// Batches and the answers to them that were computed while nobody else was at work.
struct Work {
    batches: Vec<(Vec<f64>, Vec<f64>)>,
    answers: Vec<Answer>,
    alike: Alike,
}

impl Work {
    fn new(loss: &Opened<'_>, random: &mut Random) -> Outcome<Work> {
        let p = loss.p()?;
        let (mut batches, mut answers) = (Vec::new(), Vec::new());
        for n in [3, 1] {
            let n = loss.rows(n)?;
            let (theta, dir) = (places(loss, n, random)?, random.normals(n * p));
            answers.push(loss.eval(&everything(loss, &theta, &dir)?)?.numbers()?);
            batches.push((theta, dir));
        }
        let alike = Alike::of(loss, &batches[1].0)?;
        Ok(Work { batches, answers, alike })
    }

    /// Evaluates one of the batches again, with all others if there is a gate.
    fn again(&self, loss: &Opened<'_>, turn: usize, gate: Option<&Gate>, how: &str) -> Outcome {
        let which = turn % self.batches.len();
        let (theta, dir) = &self.batches[which];
        let answer = loss.eval(&Call { gate, ..everything(loss, theta, dir)? })?.accepted()?;
        (0..answer.n()).try_for_each(|row| self.alike.hold((&self.answers[which], row), (&answer, row), how))
    }

    /// The longest of its calls, in microseconds.
    fn micros(&self) -> u64 {
        self.answers.iter().map(|answer| answer.took.as_micros() as u64).max().unwrap_or(0)
    }
}

/// How often calls that take that long by themselves are let go together.
fn rounds(threads: usize, micros: u64) -> u64 {
    let each = (micros + 50) * threads as u64;
    (TOGETHER.as_micros() as u64 / each).clamp(*ROUNDS.start(), *ROUNDS.end())
}

/// Runs a body on several threads; the first failure, by thread.
fn on_threads(n: usize, gate: &Gate, body: impl Fn(usize) -> Outcome + Sync) -> Outcome {
    let (body, mut outcomes) = (&body, Vec::new());
    std::thread::scope(|scope| {
        let run = |i| {
            move || {
                let outcome = body(i);
                if outcome.is_err() {
                    gate.break_open();
                }
                outcome
            }
        };
        let threads: Vec<_> = (0..n).map(|i| scope.spawn(run(i))).collect();
        outcomes.extend(threads.into_iter().map(joined));
    });
    outcomes.into_iter().collect()
}

fn joined(thread: std::thread::ScopedJoinHandle<'_, Outcome>) -> Outcome {
    thread.join().unwrap_or_else(|_| Err(skip("a thread of the checker panicked")))
}

fn losses(subject: &Subject, random: &mut Random) -> Outcome {
    let (n, request) = (2, subject.request()?);
    let (gate, turn, slowest) = (Gate::new(n), Mutex::new(()), AtomicU64::new(0));
    let seeds: Vec<u64> = (0..n).map(|_| random.bits()).collect();
    on_threads(n, &gate, |i| {
        // Opened, alone, by the thread that uses it.
        let alone = turn.lock();
        let loss = subject.opened(&request)?;
        let work = Work::new(&loss, &mut Random::new(seeds[i], "threads.losses"))?;
        drop(alone);
        slowest.fetch_max(work.micros(), Ordering::SeqCst);
        gate.wait();
        for round in 0..rounds(n, slowest.load(Ordering::SeqCst)) {
            let how = format!("while another loss evaluates (round {round})");
            work.again(&loss, round as usize, Some(&gate), &how)?;
        }
        gate.wait();
        Ok(())
    })
}

fn calls(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    loss.requires(cap::MANY, "MPASS_CAP_MANY")?;
    let n = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 4);
    let works = (0..n).map(|_| Work::new(&loss, random)).collect::<Outcome<Vec<_>>>()?;
    let rounds = rounds(n, works.iter().map(Work::micros).max().unwrap_or(0));
    let gate = Gate::new(n);
    on_threads(n, &gate, |i| {
        let how = |round| format!("while {} other calls run on the same loss (round {round})", n - 1);
        (0..rounds).try_for_each(|round| works[i].again(&loss, round as usize, Some(&gate), &how(round)))
    })
}

fn moves(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    if loss.has(cap::CALLER_THREAD)? {
        return Err(skip("MPASS_CAP_CALLER_THREAD is claimed"));
    }
    let work = Work::new(&loss, random)?;
    let elsewhere = |turn| {
        std::thread::scope(|scope| {
            joined(scope.spawn(|| work.again(&loss, turn, None, "on another thread than before")))
        })
    };
    (0..2).try_for_each(elsewhere)?;
    work.again(&loss, 0, None, "back on the first thread")?;
    std::thread::scope(|scope| {
        let close = move || {
            loss.close();
            Ok(())
        };
        joined(scope.spawn(close))
    })
}

fn workers(subject: &Subject, random: &mut Random) -> Outcome {
    let hosts = [1, 4].map(|n| room(Host::new(n)));
    let [one, four] = hosts;
    let hosts = [one?, four?];
    let [first, second] =
        [0, 1].map(|i: usize| subject.request_on(&hosts[i]).and_then(|request| subject.opened(&request)));
    let (first, second) = (first?, second?);
    let p = first.p()?;
    for n in [1, 5, 40] {
        let n = first.rows(n)?;
        let (theta, dir) = (places(&first, n.min(5), random)?, random.normals(n * p));
        let theta: Vec<f64> = theta.iter().cycle().take(n * p).copied().collect();
        let alike = Alike::of(&first, &theta[..p])?;
        let one = first.eval(&everything(&first, &theta, &dir)?)?.numbers()?;
        let many = second.eval(&everything(&second, &theta, &dir)?)?.accepted()?;
        let how = format!("on {} workers, not 1", hosts[1].workers());
        (0..n).try_for_each(|row| alike.hold((&one, row), (&many, row), &how))?;
    }
    let faults = hosts.iter().flat_map(|host| host.faults());
    match faults.into_iter().find(|fault| fault.starts_with("parallel")) {
        None => Ok(()),
        Some(fault) => {
            Err(fail("host->parallel used as the header says", fault).rule("body for 0..n-1 on the engine's pool;"))
        }
    }
}

/// How long threads that were told to end may take for it.
const ENDING: Duration = Duration::from_secs(3);

fn none_left(subject: &Subject, random: &mut Random) -> Outcome {
    // The host has threads of its own, which are there before.
    subject.table()?;
    let request = subject.request()?;
    let before = Held::now().threads;
    if before == 0 {
        return Err(skip("this system does not say how many threads there are"));
    }
    let losses = [subject.opened(&request)?, subject.opened(&request)?];
    for loss in &losses {
        let n = loss.rows(64)?;
        let theta = loss.points(n, random)?;
        let dir = random.normals(theta.len());
        loss.eval(&everything(loss, &theta, &dir)?)?.accepted()?;
    }
    drop(losses);
    let left = Held::settled(before, ENDING).threads.saturating_sub(before);
    match left {
        0 => Ok(()),
        _ => Err(fail(format!("{before} threads after close, as before open"), format!("{left} more"))),
    }
}
