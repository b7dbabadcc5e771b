//! The engine's side of an isolated loss: a process that holds it, and a fresh one whenever that is lost.

#![forbid(unsafe_code)]

use super::message::Call;
use super::packed;
use super::rows::{EvalCall, Form, MetricsCall, RowCall, StartCall, words, words_mut};
use super::served::{Answer, Asked, Served, Trouble, insist, survive, twice};
use super::terms::{BackendSource, Isolation, Terms};
use super::told::{self, ToldInfo, ToldKink, ToldParameter, ToldSymmetry};
use crate::error::{Error, Result};
use crate::loss::batch::check;
use crate::loss::extension::{self, MOST_METRICS};
use crate::loss::kinks;
use crate::loss::plugin::afford;
use crate::loss::{
    Batch, Bounds, Identity, Info, Kink, Linear, Log, Loss, OpenRequest, Parameter, Slope, Split, Symmetry,
};
use crate::run::Cancel;
use mountainpass_sdk::abi::{log, status};
use serde::de::DeserializeOwned;
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// So many marked rows without a good one between them, and the loss gives up.
const MOST_MARKED: u32 = 32;

/// A loss whose backend runs in another process.
pub struct IsolatedLoss {
    isolation: Arc<Isolation>,
    source: BackendSource,
    log: Arc<Log>,
    threads: usize,
    /// The request, packed, with copies of its arrays: a fresh process opens the loss again.
    request: Vec<u64>,
    info: Info,
    /// `None` after a death, until the next call.
    served: RefCell<Option<Served>>,
    /// Rows marked since the last good one.
    marked: Cell<u32>,
    /// Stops the calls that are given no token of their own.
    cancel: Cancel,
}

impl IsolatedLoss {
    /// Opens a loss in a process of its own, with a pool of `threads` for its backend.
    pub fn open(
        isolation: Arc<Isolation>,
        source: BackendSource,
        request: &OpenRequest<'_>,
        threads: usize,
        log: Arc<Log>,
    ) -> Result<IsolatedLoss> {
        let request = packed::pack(request)?;
        let cancel = Cancel::default();
        let terms = Terms { isolation: &isolation, threads, log: &log, cancel: &cancel };
        let (served, told) = source.open(&terms, &request)?;
        let info = told.into_info();
        afford(&info.backend, info.params as u64)?;
        let (served, marked) = (RefCell::new(Some(served)), Cell::new(0));
        Ok(IsolatedLoss { isolation, source, log, threads, request, info, served, marked, cancel })
    }

    /// How messages call the backend.
    fn title(&self) -> String {
        format!("{} {}", self.info.backend, self.info.version)
    }

    fn warn(&self, call: Call, text: &str) {
        (self.log)(log::WARN, &format!("{}: {}: {text}", self.title(), call.slot()));
    }

    fn lost(&self, call: Call, text: String) -> Error {
        Error::Lost { backend: self.title(), slot: call.slot(), text }
    }

    /// Calls the server, a fresh one if there is none; after a death there is none.
    fn with<T>(&self, cancel: &Cancel, call: impl FnOnce(&mut Served) -> Asked<T>) -> Asked<T> {
        let mut slot = self.served.borrow_mut();
        let mut served = match slot.take() {
            Some(served) => served,
            None => self.fresh(cancel)?,
        };
        let called = call(&mut served);
        // Whoever ran out of memory is replaced as well; so is one that was killed because it would not stop.
        let lost = match &called {
            Err(Trouble::Lost(_) | Trouble::Failed(Error::Cancelled)) => true,
            Err(Trouble::Failed(error)) => matches!(error, Error::Refused { code: status::MEMORY, .. }),
            Ok(_) => false,
        };
        *slot = Some(served).filter(|_| !lost);
        called
    }

    /// The same loss in a process of its own.
    fn fresh(&self, cancel: &Cancel) -> Result<Served> {
        let terms = Terms { isolation: &self.isolation, threads: self.threads, log: &self.log, cancel };
        let (served, told) = self.source.open(&terms, &self.request)?;
        if told == ToldInfo::of(&self.info) {
            return Ok(served);
        }
        let text = "the loss is another one when it is opened again".into();
        Err(Error::Backend { backend: self.title(), slot: "open", text })
    }

    /// A call that is answered with a text of which `read` makes sense, or with nothing.
    fn told<T: DeserializeOwned, U>(&self, call: Call, first: u64, read: impl Fn(T) -> Option<U>) -> Result<Option<U>> {
        self.told_of(call, first, &[], read)
    }

    /// The same of a point.
    fn told_of<T: DeserializeOwned, U>(
        &self,
        call: Call,
        first: u64,
        theta: &[f64],
        read: impl Fn(T) -> Option<U>,
    ) -> Result<Option<U>> {
        self.insisted(call, |served| match served.ask(call, &[first], &[words(theta)], &self.cancel)? {
            Answer::Nothing => Ok(None),
            answer => read(served.read(answer)?).map(Some).ok_or_else(|| served.scribbled()),
        })
    }

    /// A call whose answer cannot be left out.
    fn insisted<T>(&self, call: Call, mut ask: impl FnMut(&mut Served) -> Asked<T>) -> Result<T> {
        let tell = |how: &str| self.warn(call, how);
        let asked = insist(self.isolation.limits, || self.with(&self.cancel, &mut ask), tell);
        asked.map_err(|trouble| match trouble {
            Trouble::Failed(error) => error,
            Trouble::Lost(how) => self.lost(call, how),
        })
    }

    /// Asks for rows, as many a call as the backend takes: each is another call of its slot, with a time of its own.
    fn rows(&self, rows: &mut impl RowCall, cancel: &Cancel) -> Result<()> {
        let n = rows.count();
        let most = if self.info.rows_max == 0 { n } else { self.info.rows_max };
        let mut first = 0_usize;
        loop {
            let end = n.min(first.saturating_add(most));
            self.some(rows, first..end, cancel)?;
            if end == n {
                return Ok(());
            }
            if cancel.fired() {
                return Err(Error::Cancelled);
            }
            first = end;
        }
    }

    /// Asks for some rows in one call and, where that is lost, one by one.
    fn some<R: RowCall>(&self, rows: &mut R, range: Range<usize>, cancel: &Cancel) -> Result<()> {
        let Some(how) = self.try_rows(rows, range.clone(), cancel)? else { return Ok(()) };
        let alone = range.len() == 1;
        let again = if alone { "asked once more" } else { "its batch is repeated row by row" };
        self.warn(rows.call(), &format!("{how}; {again} in a fresh process"));
        range.into_iter().try_for_each(|row| {
            if cancel.fired() {
                return Err(Error::Cancelled);
            }
            let first = if alone { Some(how.clone()) } else { self.try_rows(rows, row..row + 1, cancel)? };
            let Some(first) = first else { return Ok(()) };
            let Some(second) = self.try_rows(rows, row..row + 1, cancel)? else { return Ok(()) };
            self.mark(rows, row, &twice(&first, &second))
        })
    }

    /// One call for some rows; how it was lost, if it was.
    fn try_rows<R: RowCall>(&self, rows: &mut R, range: Range<usize>, cancel: &Cancel) -> Result<Option<String>> {
        let some = !range.is_empty();
        match self.with(cancel, |served| rows.ask(served, range, cancel)) {
            Ok(()) => {
                self.marked.set(if some { 0 } else { self.marked.get() });
                Ok(None)
            }
            Err(trouble) => survive(self.isolation.limits, trouble).map(Some),
        }
    }

    /// Evaluates a checked batch.
    fn form(&self, batch: &mut Batch<'_>, form: Form<'_>) -> Result<()> {
        let (cancel, p) = (batch.cancel, self.info.params);
        self.rows(&mut EvalCall { batch, p, form }, cancel)
    }

    fn mark<R: RowCall>(&self, rows: &mut R, row: usize, how: &str) -> Result<()> {
        let [which, so] = rows.mark(row);
        self.warn(rows.call(), &format!("{which}: {how}{so}"));
        self.isolation.marked.fetch_add(1, Ordering::Relaxed);
        self.marked.set(self.marked.get() + 1);
        if self.marked.get() < MOST_MARKED {
            return Ok(());
        }
        Err(self.lost(rows.call(), format!("{MOST_MARKED} rows were lost and none came through; the last: {how}")))
    }
}

impl Loss for IsolatedLoss {
    fn info(&self) -> &Info {
        &self.info
    }

    fn heed(&mut self, cancel: &Cancel) {
        self.cancel = cancel.clone();
    }

    fn kinks(&self) -> Result<u64> {
        self.told(Call::Kinks, 0, Some).map(Option::unwrap_or_default)
    }

    fn eval_smoothed(&mut self, eps: f64, mut batch: Batch<'_>) -> Result<()> {
        kinks::whole(&self.info, &batch)?;
        self.form(&mut batch, Form::Smoothed(eps))
    }

    fn kinks_near(&mut self, theta: &[f64], width: f64) -> Result<Vec<Kink>> {
        kinks::point(&self.info, theta)?;
        let read = |all: Vec<ToldKink>| kinks::told(all.into_iter().map(told::kink).collect(), u64::MAX, width).ok();
        self.told_of(Call::Near, width.to_bits(), theta, read).map(Option::unwrap_or_default)
    }

    fn eval_linear(&mut self, slopes: &[Slope], mut batch: Batch<'_>, out: Linear<'_>) -> Result<()> {
        kinks::whole(&self.info, &batch)?;
        kinks::room(batch.loss.len(), slopes.len(), &out)?;
        let (kinks, slopes) = slopes.iter().map(|slope| (slope.id, slope.t)).unzip();
        self.form(&mut batch, Form::Linear { kinks, slopes, out })
    }

    fn kink_rows(&mut self, theta: &[f64], slopes: &[Slope], out: &mut [f64]) -> Result<()> {
        kinks::point(&self.info, theta)?;
        kinks::room_of_rows(&self.info, slopes, out)?;
        let (ids, ts): (Vec<u64>, Vec<f64>) = slopes.iter().map(|slope| (slope.id, slope.t)).unzip();
        let count = [slopes.len() as u64];
        self.insisted(Call::KinkRows, |served| {
            served.room(out.len())?;
            let Answer::Done = served.ask(Call::KinkRows, &count, &[words(theta), &ids, words(&ts)], &self.cancel)?
            else {
                return Err(served.scribbled());
            };
            served.numbers(&mut [words_mut(out)])?;
            // The adapter over there has looked at every number.
            if out.iter().all(|value| value.is_finite()) { Ok(()) } else { Err(served.scribbled()) }
        })
    }

    fn eval(&mut self, mut batch: Batch<'_>) -> Result<()> {
        check(&self.info, &batch)?;
        self.form(&mut batch, Form::Plain)
    }

    fn parameters(&self) -> Result<Vec<Parameter>> {
        let read = |blocks: Vec<ToldParameter>| {
            let blocks = blocks.into_iter().map(told::parameter).collect();
            extension::cover(blocks, self.info.params as u64).ok()
        };
        self.told(Call::Parameters, 0, read).map(Option::unwrap_or_default)
    }

    fn start(&self, seed: u64) -> Result<Option<Vec<f64>>> {
        let mut theta = vec![f64::NAN; self.info.params];
        let mut start = StartCall { seed, theta: &mut theta, given: false };
        self.rows(&mut start, &self.cancel)?;
        Ok(start.given.then_some(theta))
    }

    fn bounds(&self) -> Result<Option<Bounds>> {
        self.told(Call::Bounds, 0, |sides| extension::sides(told::bounds(sides), self.info.params).ok())
    }

    fn metric_names(&self, split: Split) -> Result<Vec<String>> {
        let read = |names: Vec<String>| Some(names).filter(|names| names.len() as u64 <= MOST_METRICS);
        self.told(Call::MetricNames, split as u64, read).map(Option::unwrap_or_default)
    }

    fn metrics(&mut self, split: Split, theta: &[f64]) -> Result<Vec<f64>> {
        let (p, columns) = (self.info.params, self.metric_names(split)?.len());
        if !theta.len().is_multiple_of(p) {
            return Err(Error::Argument(format!("theta has {} values, which is no multiple of {p}", theta.len())));
        }
        let mut values = vec![f64::NAN; theta.len() / p * columns];
        if !values.is_empty() {
            self.rows(&mut MetricsCall { split, theta, p, values: &mut values, columns }, &self.cancel)?;
        }
        Ok(values)
    }

    fn symmetries(&self) -> Result<Vec<Symmetry>> {
        let p = self.info.params as u64;
        let read = |generators: Vec<ToldSymmetry>| {
            let checked = |generator| extension::sound(told::symmetry(generator)?, p).ok();
            generators.into_iter().map(checked).collect()
        };
        self.told(Call::Symmetries, 0, read).map(Option::unwrap_or_default)
    }

    fn identity(&self) -> Result<Identity> {
        let told = self.told(Call::Identity, 0, |identity| Some(told::identity(identity)))?;
        Ok(told.unwrap_or_default())
    }
}

impl Drop for IsolatedLoss {
    fn drop(&mut self) {
        if let Some(Err(how)) = self.served.take().map(Served::close) {
            self.warn(Call::Close, &how);
        }
    }
}
