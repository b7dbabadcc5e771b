//! Group `threads`: losses in several threads, and the host's workers.
//!
//! Calls that shall overlap are let go together by a [`Gate`], hundreds of times. At most two losses are open at a time.

use crate::check::judge::alike::Alike;
use crate::check::plugin::process::ProcessUsage;
use crate::check::plugin::{Call, EvalAnswer, Gate, Host, OpenLoss, shown};
use crate::check::test::{Outcome, Random, Subject, Test, fail, skip};
use mountainpass_sdk::abi::cap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The group's part of the list.
pub const TESTS: &[Test] = &[
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
        "threads.info",
        "What a loss says about itself is the same while it evaluates.",
        "What is [many] may overlap what is [one], too.",
        &["open.info", "value.answers"],
        info,
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

/// So many calls must have overlapped, whatever the time, and so long calls are let go together, unless that many more
/// have; a machine that is too busy for it gets no more than the last.
const ENOUGH: u64 = 24;
const TOGETHER: Duration = Duration::from_millis(800);
const PLENTY: u64 = 400;
const PATIENCE: Duration = Duration::from_secs(8);
/// Calls shall last this long, so that they overlap.
const LASTING: Duration = Duration::from_micros(100);
/// So many numbers make a call long, whatever the loss.
const LONG: usize = 1 << 14;

/// Batches and the answers to them that were computed while nobody else was at work.
struct Work {
    batches: Vec<(Vec<f64>, Vec<f64>)>,
    answers: Vec<EvalAnswer>,
    alike: Alike,
}

impl Work {
    fn new(loss: &OpenLoss<'_>, random: &mut Random) -> Outcome<Work> {
        let (p, points) = (loss.p()?, loss.good_points(3, random)?);
        let one = loss.eval(&Call::of(&points[..p]))?.numbers()?;
        let many = (LASTING.as_secs_f64() / one.took.as_secs_f64().max(1e-7)) as usize;
        let (mut batches, mut answers) = (Vec::new(), Vec::new());
        // They begin with different rows.
        for (n, skipped) in [(loss.rows(many.clamp(3, 64))?, 0), (1, p)] {
            let theta: Vec<f64> = points.iter().cycle().skip(skipped).take(n * p).copied().collect();
            let dir = random.normals(n * p);
            answers.push(loss.eval(&loss.everything(&theta, &dir)?)?.numbers()?);
            batches.push((theta, dir));
        }
        let alike = loss.alike(&points[..p])?;
        Ok(Work { batches, answers, alike })
    }

    /// Evaluates one of the batches again, with all others if there is a gate; when that was.
    fn again(&self, loss: &OpenLoss<'_>, turn: usize, gate: Option<&Gate>, how: &str) -> Outcome<(Instant, Instant)> {
        let which = turn % self.batches.len();
        let (theta, dir) = &self.batches[which];
        let answer = loss.eval(&Call { gate, ..loss.everything(theta, dir)? })?.accepted()?;
        (0..answer.n()).try_for_each(|row| self.alike.hold(self.answers[which].row(row), answer.row(row), how))?;
        Ok((answer.began, answer.began + answer.took))
    }
}

/// Calls of several threads that are let go together until enough of them have overlapped.
struct Rounds {
    gate: Gate,
    over: AtomicBool,
    /// The last call of each thread, by round.
    last: Mutex<Vec<Option<(usize, Instant, Instant)>>>,
    overlaps: AtomicU64,
}

impl Rounds {
    fn new(threads: usize) -> Rounds {
        let last = Mutex::new(vec![None; threads]);
        Rounds { gate: Gate::new(threads), over: AtomicBool::new(false), last, overlaps: AtomicU64::new(0) }
    }

    /// The part of one thread; thread 0 says when it is over.
    fn run(&self, thread: usize, loss: &OpenLoss<'_>, work: &Work, how: &str) -> Outcome {
        let since = Instant::now();
        for round in (0..).take_while(|_| self.goes_on(thread, since)) {
            let when = work.again(loss, round, Some(&self.gate), &format!("{how} (round {round})"))?;
            self.note(thread, round, when);
        }
        self.end()
    }

    /// Waits for the others; false once it is over, or another thread has failed.
    fn goes_on(&self, thread: usize, since: Instant) -> bool {
        if thread == 0 {
            self.over.store(self.is_over(since.elapsed()), Ordering::Release);
        }
        self.gate.wait();
        !self.gate.is_broken() && !self.over.load(Ordering::Acquire)
    }

    fn end(&self) -> Outcome {
        match self.overlaps.load(Ordering::Acquire) {
            _ if self.gate.is_broken() => Ok(()), // The thread that failed says it all.
            0 => Err(skip("the machine is too busy for calls to overlap")),
            _ => Ok(()),
        }
    }

    fn is_over(&self, elapsed: Duration) -> bool {
        match self.overlaps.load(Ordering::Acquire) {
            ..ENOUGH => elapsed > PATIENCE,
            ENOUGH..PLENTY => elapsed > TOGETHER,
            _ => true,
        }
    }

    /// Counts a call that overlaps one of the same round.
    fn note(&self, thread: usize, round: usize, (begin, end): (Instant, Instant)) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let overlaps = |other: &(usize, Instant, Instant)| other.0 == round && other.1 < end && begin < other.2;
        if last.iter().flatten().any(overlaps) {
            self.overlaps.fetch_add(1, Ordering::AcqRel);
        }
        last[thread] = Some((round, begin, end));
    }
}

/// Runs a body on several threads, the first of which is this one; the first failure, by thread.
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
        let others: Vec<_> = (1..n).map(|i| scope.spawn(run(i))).collect();
        outcomes.push(run(0)());
        outcomes.extend(others.into_iter().map(joined));
    });
    outcomes.into_iter().collect()
}

fn joined(thread: std::thread::ScopedJoinHandle<'_, Outcome>) -> Outcome {
    thread.join().unwrap_or_else(|_| Err(skip("a thread of the checker panicked")))
}

fn losses(subject: &Subject, random: &mut Random) -> Outcome {
    let (n, request) = (2, subject.open_call()?);
    let (rounds, turn) = (Rounds::new(n), Mutex::new(()));
    let seeds: Vec<u64> = (0..n).map(|_| random.bits()).collect();
    on_threads(n, &rounds.gate, |i| {
        // Opened, alone, by the thread that uses it.
        let alone = turn.lock();
        let loss = subject.opened(&request)?;
        let work = Work::new(&loss, &mut Random::new(seeds[i], "threads.losses"))?;
        drop(alone);
        rounds.run(i, &loss, &work, "while another loss evaluates")?;
        // None is closed while another one is at work.
        rounds.gate.wait();
        Ok(())
    })
}

fn calls(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    loss.requires(cap::MANY, "MPASS_CAP_MANY")?;
    let n = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 4);
    let works = (0..n).map(|_| Work::new(&loss, random)).collect::<Outcome<Vec<_>>>()?;
    let rounds = Rounds::new(n);
    on_threads(n, &rounds.gate, |i| rounds.run(i, &loss, &works[i], "while other calls run on the same loss"))
}

fn info(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    let (p, said) = (loss.p()?, shown(&loss.info()?));
    // As many rows as make a call long.
    let n = loss.rows((LONG / p).clamp(1, 1024))?;
    let theta: Vec<f64> = loss.points(1, random)?.into_iter().cycle().take(n * p).collect();
    let dir = random.normals(n * p);
    let (rounds, answered, since) = (Rounds::new(2), AtomicU64::new(0), Instant::now());
    let evaluate = |round: u64| {
        loss.eval(&Call { gate: Some(&rounds.gate), ..loss.everything(&theta, &dir)? })?;
        answered.store(round, Ordering::Release);
        Ok(())
    };
    let read = |round: u64| {
        let is_under_way = || answered.load(Ordering::Acquire) < round && !rounds.gate.is_broken();
        let mut overlaps = false;
        rounds.gate.together();
        while is_under_way() {
            let now = shown(&loss.read_info()?);
            if now != said {
                return Err(fail(said.clone(), format!("{now}, while it evaluates")));
            }
            overlaps |= is_under_way();
        }
        rounds.overlaps.fetch_add(overlaps.into(), Ordering::AcqRel);
        Ok(())
    };
    // This thread evaluates: the loss may know no other one.
    on_threads(2, &rounds.gate, |thread| {
        let mut numbers = (1..).take_while(|_| rounds.goes_on(thread, since));
        numbers.try_for_each(|round| if thread == 0 { evaluate(round) } else { read(round) })?;
        rounds.end()
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
            joined(scope.spawn(|| work.again(&loss, turn, None, "on another thread than before").map(drop)))
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
    let hosts = [Host::new(1)?, Host::new(4)?];
    let [first, second] = hosts.each_ref().map(|host| subject.opened(&subject.open_call_on(host)));
    let (first, second) = (first?, second?);
    let p = first.p()?;
    for n in [1, 5, 40] {
        let n = first.rows(n)?;
        let (theta, dir) = (first.good_points(n.min(5), random)?, random.normals(n * p));
        let theta: Vec<f64> = theta.iter().cycle().take(n * p).copied().collect();
        let alike = first.alike(&theta[..p])?;
        let one = first.eval(&first.everything(&theta, &dir)?)?.numbers()?;
        let many = second.eval(&second.everything(&theta, &dir)?)?.accepted()?;
        let how = format!("on {} workers, not 1", hosts[1].workers());
        (0..n).try_for_each(|row| alike.hold(one.row(row), many.row(row), &how))?;
    }
    match hosts.iter().flat_map(|host| host.faults()).next() {
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
    let request = subject.open_call()?;
    let before = ProcessUsage::now().threads;
    if before == 0 {
        return Err(skip("this system does not say how many threads there are"));
    }
    let losses = [subject.opened(&request)?, subject.opened(&request)?];
    for loss in &losses {
        let n = loss.rows(64)?;
        let theta = loss.points(n, random)?;
        let dir = random.normals(theta.len());
        loss.eval(&loss.everything(&theta, &dir)?)?.accepted()?;
    }
    drop(losses);
    let left = ProcessUsage::settled(before, ENDING).threads.saturating_sub(before);
    match left {
        0 => Ok(()),
        _ => Err(fail(format!("{before} threads after close, as before open"), format!("{left} more"))),
    }
}
