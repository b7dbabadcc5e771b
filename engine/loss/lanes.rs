//! Searches side by side: each runs as if it were alone, and what they want of the loss at the same time is one batch.
//!
//! A search is a straight line of code that asks its oracle for a few rows at a time. Here every search has a thread and
//! an oracle of its own, which hands what it is asked to the caller's thread; that one alone calls the loss, once all
//! searches still under way want something. No two threads ever run at the same time: the others are where each search
//! waits, no more. Rows of a batch do not see each other, so every search gets the numbers that it would have got alone,
//! whatever runs beside it.

#![forbid(unsafe_code)]

use super::loss::{Batch, Bounds, Identity, Info, Loss, Parameter, Split, Symmetry};
use super::oracle::Oracle;
use crate::error::{Error, Result};
use crate::run::Budget;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// Runs searches side by side; what each came to, in their order. All of them stop at the first error of the oracle, its
/// budget's end among them.
pub fn side_by_side<T: Send>(
    oracle: &mut Oracle<'_>,
    searches: Vec<impl FnOnce(&mut Oracle<'_>) -> Result<T> + Send>,
) -> Result<Vec<T>> {
    if searches.len() < 2 {
        return searches.into_iter().map(|search| search(oracle)).collect();
    }
    let (info, cancel) = (oracle.info().clone(), oracle.cancel().clone());
    let (noise, length) = (oracle.noise(), oracle.length());
    thread::scope(|scope| {
        let (mut threads, mut lanes) = (Vec::new(), Vec::new());
        for search in searches {
            let (wishes, wished) = channel();
            let (mut lane, cancel) = (Lane { info: info.clone(), wishes }, cancel.clone());
            let body = move || {
                let mut oracle = Oracle::of_values(&mut lane, None, &cancel, Budget::default());
                oracle.set_noise(noise);
                oracle.set_length(length);
                search(&mut oracle)
            };
            let thread = thread::Builder::new().name("mpass-lane".into()).spawn_scoped(scope, body);
            threads.push(thread.map_err(|error| Error::Internal(format!("no thread for a search: {error}")))?);
            // The first wish is waited for, so that no two run at the same time.
            lanes.push(Waiting { wish: wished.recv().ok(), wished });
        }
        serve(oracle, lanes)?;
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// A search that waits for an answer; without a wish it has ended.
struct Waiting {
    wish: Option<Wish>,
    wished: Receiver<Wish>,
}

/// What a search wants of the loss.
enum Wish {
    /// Something that is no batch.
    Alone(Box<dyn FnOnce(&mut dyn Loss) + Send>),
    Rows(Rows),
}

/// Rows to be evaluated, and who is told.
struct Rows {
    kind: Kind,
    theta: Vec<f64>,
    directions: Vec<f64>,
    answer: Sender<Numbers>,
}

/// What is wanted of rows: those of one kind are joined.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Values,
    Gradients,
    Products,
}

/// Losses, NaN where a row is not finite, and the derivative that was wanted.
struct Numbers {
    loss: Vec<f64>,
    derivative: Vec<f64>,
}

impl Wish {
    fn kind(&self) -> Option<Kind> {
        match self {
            Wish::Alone(_) => None,
            Wish::Rows(rows) => Some(rows.kind),
        }
    }
}

/// Answers until all have ended.
///
/// One kind of wish at a time, in the order of [`Kind`]: who wants Hessian products waits until all do. Searches for
/// saddles ask for hundreds of them, one at a time, so that is how they come to be joined.
fn serve(oracle: &mut Oracle<'_>, mut lanes: Vec<Waiting>) -> Result<()> {
    while let Some(kind) = lanes.iter().flat_map(|lane| &lane.wish).map(Wish::kind).min() {
        let (mut asked, mut rows) = (Vec::new(), Vec::new());
        for lane in lanes.iter_mut() {
            match lane.wish.take_if(|wish| wish.kind() == kind) {
                Some(Wish::Alone(question)) => question(oracle.loss()),
                Some(Wish::Rows(wanted)) => rows.push(wanted),
                None => continue,
            }
            asked.push(lane);
        }
        let answers = joined(oracle, &rows)?;
        let told = rows.into_iter().zip(answers);
        // Whoever has ended meanwhile wants to know nothing.
        let mut told = told.map(|(rows, numbers)| _ = rows.answer.send(numbers));
        for lane in asked {
            told.next();
            lane.wish = lane.wished.recv().ok();
        }
    }
    Ok(())
}

/// The numbers for rows of one kind, from one batch.
fn joined(oracle: &mut Oracle<'_>, rows: &[Rows]) -> Result<Vec<Numbers>> {
    let Some(kind) = rows.first().map(|rows| rows.kind) else { return Ok(Vec::new()) };
    let all = |of: fn(&Rows) -> &Vec<f64>| rows.iter().flat_map(|rows| of(rows)).copied().collect::<Vec<f64>>();
    let theta = all(|rows| &rows.theta);
    let (loss, derivative) = match kind {
        Kind::Values => (oracle.values(&theta)?, Vec::new()),
        Kind::Gradients => oracle.gradients(&theta)?,
        Kind::Products => oracle.products_at(&theta, &all(|rows| &rows.directions))?,
    };
    let (p, mut first) = (oracle.params(), 0);
    let part = |rows: &Rows| {
        let some = first..first + rows.theta.len() / p;
        first = some.end;
        let cells = if kind == Kind::Values { 0..0 } else { some.start * p..some.end * p };
        Numbers { loss: loss[some].to_vec(), derivative: derivative[cells].to_vec() }
    };
    Ok(rows.iter().map(part).collect())
}

/// The loss as one of several searches sees it.
struct Lane {
    info: Info,
    wishes: Sender<Wish>,
}

impl Lane {
    /// Hands over what is wanted and waits for the answer. None comes once the caller has stopped.
    fn wish<T>(&self, wish: impl FnOnce(Sender<T>) -> Wish) -> Result<T> {
        let (answer, answered) = channel();
        self.wishes.send(wish(answer)).map_err(|_| Error::Cancelled)?;
        answered.recv().map_err(|_| Error::Cancelled)
    }

    fn ask<T: Send + 'static>(&self, question: impl FnOnce(&mut dyn Loss) -> Result<T> + Send + 'static) -> Result<T> {
        self.wish(|answer| Wish::Alone(Box::new(move |loss| _ = answer.send(question(loss)))))?
    }
}

impl Loss for Lane {
    fn info(&self) -> &Info {
        &self.info
    }

    fn eval(&mut self, batch: Batch<'_>) -> Result<()> {
        let (kind, directions, out) = match (batch.grad, batch.hvp) {
            (None, None) => (Kind::Values, Vec::new(), None),
            (Some(grad), None) => (Kind::Gradients, Vec::new(), Some(grad)),
            (None, Some((directions, out))) => (Kind::Products, directions.to_vec(), Some(out)),
            (Some(_), Some(_)) => return Err(Error::Internal("gradients and products of one batch".into())),
        };
        if batch.ids.is_some() {
            return Err(Error::Internal("a minibatch beside other searches".into()));
        }
        let theta = batch.theta.to_vec();
        let numbers = self.wish(|answer| Wish::Rows(Rows { kind, theta, directions, answer }))?;
        batch.loss.copy_from_slice(&numbers.loss);
        batch.ok.iter_mut().zip(&numbers.loss).for_each(|(ok, loss)| *ok = !loss.is_nan());
        out.into_iter().for_each(|out| out.copy_from_slice(&numbers.derivative));
        Ok(())
    }

    fn parameters(&self) -> Result<Vec<Parameter>> {
        self.ask(|loss| loss.parameters())
    }

    fn start(&self, seed: u64) -> Result<Option<Vec<f64>>> {
        self.ask(move |loss| loss.start(seed))
    }

    fn bounds(&self) -> Result<Option<Bounds>> {
        self.ask(|loss| loss.bounds())
    }

    fn metric_names(&self, split: Split) -> Result<Vec<String>> {
        self.ask(move |loss| loss.metric_names(split))
    }

    fn metrics(&mut self, split: Split, theta: &[f64]) -> Result<Vec<f64>> {
        let theta = theta.to_vec();
        self.ask(move |loss| loss.metrics(split, &theta))
    }

    fn symmetries(&self) -> Result<Vec<Symmetry>> {
        self.ask(|loss| loss.symmetries())
    }

    fn identity(&self) -> Result<Identity> {
        self.ask(|loss| loss.identity())
    }
}
