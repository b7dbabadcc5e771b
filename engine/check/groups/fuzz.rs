//! Group `fuzz`: random legal sequences of calls.
//!
//! A sequence opens and closes losses on hosts of several sizes, evaluates random rows of a few points with random
//! outputs, samples, strides, types and fences, and asks for extensions in between. Whatever was computed once must come
//! out the same ever after, whoever computes it; `needs` names the tests of each promise by itself, so that a failure
//! here is one of their interplay.

use crate::check::judge::alike::Alike;
use crate::check::plugin::{Call, EvalAnswer, Host, OpenCall, OpenLoss};
use crate::check::test::{Outcome, Random, Subject, Test, fail};
use crate::check::verdict::Ending;
use crate::loss::{Bounds, Identity, Parameter, Split, Symmetry};
use crate::run::Cancel;
use mountainpass_sdk::abi::{LossInfo, cap, dtype, status};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The group's part of the list.
pub const TESTS: &[Test] = &[Test::new(
    "fuzz.calls",
    "Random legal sequences of calls on several losses keep every promise above.",
    "Life: entry > probe* > open > (info, eval, extensions)* > close.",
    &[
        "open.info",
        "open.process",
        "open.extensions",
        "value.finite",
        "value.neighbours",
        "value.strides",
        "value.bounds",
        "value.inputs",
        "value.rows",
        "value.outputs",
        "value.single",
        "noise.within",
        "noise.repeatable",
        "gradient.batch",
        "minibatch.state",
        "threads.workers",
        "cancel.after",
        "memory.kept",
    ],
    calls,
)];

/// Calls of a sequence, and how long it may take; a slow loss gets fewer.
const CALLS: usize = 120;
const PATIENCE: Duration = Duration::from_secs(6);
/// Losses open at a time, points, lists of samples, and rows of a call.
const LOSSES: usize = 4;
const POINTS: usize = 6;
const LISTS: usize = 3;
const ROWS: u64 = 12;

/// What an evaluation is of: everything that its numbers may depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    point: usize,
    list: Option<usize>,
    single: bool,
}

/// What came out when something was computed first.
#[derive(Default)]
struct Seen {
    loss: Option<f64>,
    grad: Option<Vec<f64>>,
    hvp: Option<Vec<f64>>,
}

/// What a loss says about itself through its extensions.
#[derive(Clone, Debug, PartialEq)]
struct Said {
    parameters: Vec<Parameter>,
    bounds: Option<Bounds>,
    symmetries: Vec<Symmetry>,
    metrics: Vec<Vec<String>>,
    identity: Identity,
    start: Option<Vec<u64>>,
}

/// A sequence under way.
struct Sequence<'a> {
    subject: &'a Subject,
    requests: Vec<OpenCall>,
    losses: Vec<OpenLoss<'a>>,
    alike: Alike,
    p: usize,
    /// `POINTS x p` each.
    points: Vec<f64>,
    dirs: Vec<f64>,
    /// None where there are no minibatches.
    lists: Vec<Vec<u64>>,
    seen: HashMap<Key, Seen>,
    said: Said,
    seed_of_start: u64,
    /// The last calls, for a message.
    trail: Vec<String>,
}

fn calls(subject: &Subject, random: &mut Random) -> Outcome {
    let since = Instant::now();
    let mut sequence = Sequence::begin(subject, random)?;
    for i in 0..CALLS {
        if since.elapsed() > PATIENCE {
            break;
        }
        sequence.step(random).map_err(|ending| sequence.traced(ending, i))?;
    }
    Ok(())
}

impl<'a> Sequence<'a> {
    fn begin(subject: &'a Subject, random: &mut Random) -> Outcome<Sequence<'a>> {
        let requests = [2, 1, 3].into_iter().map(|workers| Ok(subject.open_call_on(&Host::new(workers)?)));
        let requests = requests.collect::<Outcome<Vec<_>>>()?;
        let loss = subject.opened(&requests[0])?;
        let (p, points) = (loss.p()?, loss.good_points(POINTS, random)?);
        let alike = loss.alike(&points[..p])?;
        let samples = loss.samples()?;
        let mut list = |_| (0..1 + random.below(9)).map(|_| random.below(samples)).collect::<Vec<u64>>();
        let lists = if samples > 0 { (0..LISTS).map(&mut list).collect() } else { Vec::new() };
        let (dirs, seed_of_start) = (random.normals(points.len()), random.bits());
        let said = Said::of(&loss, seed_of_start)?;
        let (losses, seen, trail) = (vec![loss], HashMap::new(), Vec::new());
        Ok(Sequence { subject, requests, losses, alike, p, points, dirs, lists, seen, said, seed_of_start, trail })
    }

    /// One call: an evaluation mostly.
    fn step(&mut self, random: &mut Random) -> Outcome {
        let open = self.losses.len();
        match random.below(10) {
            0 | 1 if open < LOSSES => {
                self.trail.push("open".into());
                let request = random.pick(&self.requests).clone();
                self.losses.push(self.subject.opened(&request)?);
                Ok(())
            }
            2 if open > 1 => {
                let which = random.below(open as u64) as usize;
                self.trail.push(format!("close of loss {which}"));
                drop(self.losses.remove(which));
                Ok(())
            }
            3 => {
                let which = random.below(open as u64) as usize;
                self.trail.push(format!("extensions of loss {which}"));
                self.ask(which)
            }
            _ => self.evaluate(random.below(open as u64) as usize, random),
        }
    }

    /// Info and extensions say what they said before.
    fn ask(&self, which: usize) -> Outcome {
        let loss = &self.losses[which];
        let words = |info: LossInfo| format!("caps {:#x}, params {}, samples {}", info.caps, info.params, info.samples);
        let (before, now) = (words(loss.info()?), words(loss.read_info()?));
        if before != now {
            return Err(fail(before, now));
        }
        let said = Said::of(loss, self.seed_of_start)?;
        if said == self.said {
            return Ok(());
        }
        Err(fail(format!("extensions that say {:?}", self.said), format!("{said:?}")))
    }

    fn evaluate(&mut self, which: usize, random: &mut Random) -> Outcome {
        let loss = &self.losses[which];
        let n = loss.rows(random.below(ROWS + 1) as usize)?;
        // A point, or a row that is no number.
        let rows: Vec<Option<usize>> =
            (0..n).map(|_| (random.below(12) > 0).then(|| random.below(POINTS as u64) as usize)).collect();
        let bad = *random.pick(&[f64::NAN, f64::INFINITY, 1e300]);
        let gather = |from: &[f64], bad: f64| -> Vec<f64> {
            let row =
                |row: &Option<usize>| row.map_or(vec![bad; self.p], |i| from[i * self.p..(i + 1) * self.p].to_vec());
            rows.iter().flat_map(row).collect()
        };
        let (theta, dir) = (gather(&self.points, bad), gather(&self.dirs, 1.0));
        let list = (!self.lists.is_empty() && random.below(3) == 0).then(|| random.below(LISTS as u64) as usize);
        let both = loss.offers(dtype::F32)? && loss.offers(dtype::F64)?;
        let token = Cancel::default();
        let mut call = Call {
            ids: list.map(|list| self.lists[list].as_slice()),
            grad: loss.has(cap::GRAD)? && random.below(2) == 0,
            dir: (loss.has(cap::HVP)? && random.below(3) == 0).then_some(dir.as_slice()),
            single: both && random.below(4) == 0,
            gap: [0, 0, 1, 5][random.below(4) as usize],
            fleeting: random.below(3) == 0,
            ..Call::of(&theta)
        };
        if random.below(3) == 0 {
            call = call.walled();
        }
        if random.below(4) == 0 {
            call = call.cancel(&token);
            if random.below(3) == 0 {
                token.fire();
            }
        }
        let fired = if token.fired() { ", its token fired" } else { "" };
        self.trail.push(format!("{} of loss {which}{fired}", call.title("eval", n)));
        let single = call.single;
        let answer = loss.eval(&call)?;
        if token.fired() && answer.status == status::CANCELLED {
            return Ok(());
        }
        let answer = answer.accepted()?;
        if let Some(place) = &answer.strayed {
            return Err(fail("nothing written outside the outputs", format!("wrote {place}")));
        }
        for (row, point) in rows.iter().enumerate() {
            match point {
                Some(point) => self.compare(&answer, row, Key { point: *point, list, single })?,
                None if answer.good(row) || answer.row_status[row] == status::NUMERIC => {}
                None => {
                    let got = answer.flaw(row).unwrap_or_default();
                    return Err(fail(format!("a row of {bad} finite or flagged"), got).at(row));
                }
            }
        }
        Ok(())
    }

    /// Holds a row against what was computed before, or keeps it.
    fn compare(&mut self, answer: &EvalAnswer, row: usize, key: Key) -> Outcome {
        let alike = if key.single { self.alike.single() } else { self.alike };
        if let Some(flaw) = answer.flaw(row) {
            // In f32 a good point may be a bad one; then it is one every time.
            let known = self.seen.get(&key).is_some_and(|seen| seen.loss.is_some());
            if key.single && !known && answer.row_status[row] == status::NUMERIC {
                return Ok(());
            }
            return Err(fail(format!("finite numbers at point {}, as before", key.point), flaw).at(row));
        }
        let seen = self.seen.entry(key).or_default();
        let before = *seen.loss.get_or_insert(answer.loss[row]);
        if !alike.losses(before, answer.loss[row], 0.0) {
            let expected = format!("the loss {before:?} of point {}, as before", key.point);
            return Err(fail(expected, format!("{:?}", answer.loss[row])).at(row));
        }
        let outputs = [("gradient", &mut seen.grad, answer.grad(row)), ("hvp", &mut seen.hvp, answer.hvp(row))];
        for (name, seen, now) in outputs.into_iter().filter(|(.., now)| !now.is_empty()) {
            let before = seen.get_or_insert_with(|| now.to_vec());
            if let Some(at) = alike.differ(before, now, 0.0) {
                let expected = format!("{name}[{at}] = {:?} at point {}, as before", before[at], key.point);
                return Err(fail(expected, format!("{:?}", now[at])).at(row));
            }
        }
        Ok(())
    }

    /// Adds to a failure what led to it.
    fn traced(&self, ending: Ending, i: usize) -> Ending {
        let Ending::Fail(mut failure) = ending else { return ending };
        let last = self.trail[self.trail.len().saturating_sub(4)..].join("; ");
        failure.got =
            format!("{}, in call {i} of the sequence, {} losses being open: {last}", failure.got, self.losses.len());
        Ending::Fail(failure)
    }
}

impl Said {
    fn of(loss: &OpenLoss<'_>, seed: u64) -> Outcome<Said> {
        let start = loss.start(seed)?.map(|start| start.theta.iter().map(|x| x.to_bits()).collect());
        let metrics = [Split::Train, Split::Test].map(|split| loss.metric_names(split));
        Ok(Said {
            parameters: loss.parameters()?,
            bounds: loss.bounds()?,
            symmetries: loss.symmetries()?,
            metrics: metrics.into_iter().collect::<Outcome<_>>()?,
            identity: loss.identity()?,
            start,
        })
    }
}
