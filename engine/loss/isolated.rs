//! A loss in a process of its own: whatever a backend does there, crash, hang or eat memory, is an error here.
//!
//! The process is `mpass serve-loss` (`server.rs`), which opens the loss through the same registry and adapter as
//! everybody; this side sends it batches through shared memory (`shared.rs`) and waits for the answer, the end of the
//! process or the end of its patience (`served.rs`). Healthy rows have the same bits as without isolation.
//!
//! **Recovery.** A batch that ends in a death, in silence or for want of memory is repeated row by row in a fresh
//! process. A row whose own call fails is tried once more in another one; where that fails too, the row is *marked*: not
//! ok, all outputs NaN, a line in the log; and the run goes on. After [`MOST_MARKED`] marked rows without a good one
//! between them it is the backend that is broken, not the rows, and the loss gives up.

#![deny(unsafe_code)] // Two files of this room allow it.

mod message;
mod process;
mod served;
mod server;
mod shared;

use self::message::{Block, Generator, Loaded, Op, Shape, Told};
use self::served::{Answer, Asked, Served, Trouble};
use super::batch::check;
use super::host::Log;
use super::loss::{Batch, Bounds, Identity, Info, Loss, Parameter, Split, Symmetry};
use super::plugin::afford;
use super::registry::Device;
use super::request::OpenRequest;
use crate::error::{Error, Result};
use crate::memory;
use mountainpass_sdk::abi::{log, status};
use serde::de::DeserializeOwned;
pub use server::Service;
use std::cell::RefCell;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// So many marked rows without a good one between them, and the loss gives up.
const MOST_MARKED: u32 = 32;

/// What an isolated backend may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// The longest that one call may take; a backend that is still silent then is killed.
    pub call: Duration,
    /// The bytes that its process may allocate.
    pub memory: u64,
}

impl Default for Limits {
    /// A minute a call, and the memory of the machine.
    fn default() -> Limits {
        Limits { call: Duration::from_secs(60), memory: memory::total() }
    }
}

/// How backends are isolated, and what came of it.
#[derive(Debug)]
pub struct Isolation {
    server: PathBuf,
    limits: Limits,
    marked: AtomicU64,
}

impl Isolation {
    /// Backends run in `server`, which is this version's program `mpass`. Linux only.
    pub fn new(server: PathBuf, limits: Limits) -> Result<Isolation> {
        if !cfg!(target_os = "linux") {
            let text = "isolation needs Linux: memory files that are sealed, and futexes".to_owned();
            return Err(Error::Unsupported { backend: "this system".into(), text });
        }
        Ok(Isolation { server, limits, marked: AtomicU64::new(0) })
    }

    /// The program `mpass` that lies beside the engine's library or the program, if there is one.
    pub fn server() -> Option<PathBuf> {
        super::loader::server()
    }

    /// The rows that were marked so far, of all losses.
    pub fn marked(&self) -> u64 {
        self.marked.load(Ordering::Relaxed)
    }
}

/// Where a server has its backend from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    File(PathBuf),
    /// Linked into the server.
    Linked(String),
}

impl Source {
    fn file(&self) -> Option<&Path> {
        match self {
            Source::File(file) => Some(file),
            Source::Linked(_) => None,
        }
    }

    /// A call without an answer, before the name of the backend is known.
    fn error(&self, trouble: Trouble, slot: &'static str) -> Error {
        match (trouble, self) {
            (Trouble::Failed(error), _) => error,
            (Trouble::Lost(how), Source::File(path)) => {
                Error::Plugin { path: path.clone(), code: status::BACKEND, text: format!("{slot}: {how}") }
            }
            (Trouble::Lost(text), Source::Linked(name)) => Error::Lost { backend: name.clone(), slot, text },
        }
    }

    /// Loads the backend in a process of its own: name and version.
    pub fn load(&self, isolation: &Isolation, log: &Arc<Log>) -> Result<(String, String)> {
        let (_, Loaded { backend, version }) =
            Served::start(isolation, self, 1, log).map_err(|trouble| self.error(trouble, "load"))?;
        Ok((backend, version))
    }

    /// The devices of the backend.
    pub fn devices(&self, isolation: &Isolation, log: &Arc<Log>) -> Result<Vec<Device>> {
        let listed = Served::start(isolation, self, 1, log).and_then(|(mut served, _)| {
            let answer = served.ask(Op::Devices, &[], None)?;
            served.read::<Vec<(String, u32, u64)>>(answer)
        });
        let devices = listed.map_err(|trouble| self.error(trouble, "probe"))?.into_iter();
        Ok(devices.map(|(name, memory, memory_bytes)| Device { name, memory, memory_bytes }).collect())
    }
}

/// A loss whose backend runs in another process.
pub(super) struct IsolatedLoss {
    isolation: Arc<Isolation>,
    source: Source,
    log: Arc<Log>,
    threads: usize,
    /// The request, packed, with copies of its arrays: a fresh process opens the loss again.
    request: Vec<u8>,
    info: Info,
    /// `None` after a death, until the next call.
    served: RefCell<Option<Served>>,
    /// Rows marked since the last good one.
    marked: u32,
}

impl IsolatedLoss {
    /// Opens a loss in a process of its own, with a pool of `threads` for its backend.
    pub fn open(
        isolation: Arc<Isolation>,
        source: Source,
        request: &OpenRequest<'_>,
        threads: usize,
        log: Arc<Log>,
    ) -> Result<IsolatedLoss> {
        let request = message::pack(request)?;
        let (served, told) = start(&isolation, &source, threads, &log, &request)?;
        let info = told.into_info();
        afford(&info.backend, info.params as u64)?;
        let served = RefCell::new(Some(served));
        Ok(IsolatedLoss { isolation, source, log, threads, request, info, served, marked: 0 })
    }

    /// How messages call the backend.
    fn title(&self) -> String {
        format!("{} {}", self.info.backend, self.info.version)
    }

    fn warn(&self, text: &str) {
        (self.log)(log::WARN, &format!("{}: {text}", self.title()));
    }

    /// Calls the server, a fresh one if there is none; after a death there is none.
    fn with<T>(&self, call: impl FnOnce(&mut Served) -> Asked<T>) -> Asked<T> {
        let mut slot = self.served.borrow_mut();
        if slot.is_none() {
            let (served, told) = start(&self.isolation, &self.source, self.threads, &self.log, &self.request)?;
            if told != Told::of(&self.info) {
                let text = "the loss is another one when it is opened again".into();
                return Err(Error::Backend { backend: self.title(), slot: "open", text }.into());
            }
            *slot = Some(served);
        }
        let Some(served) = slot.as_mut() else { return Err(Error::Internal("no server".into()).into()) };
        let called = call(served);
        // Whoever ran out of memory is replaced as well; so is one that was killed because it would not stop.
        let lost = match &called {
            Err(Trouble::Lost(_) | Trouble::Failed(Error::Cancelled)) => true,
            Err(Trouble::Failed(error)) => out_of_memory(error),
            Ok(_) => false,
        };
        if lost {
            *slot = None;
        }
        called
    }

    fn error(&self, trouble: Trouble, slot: &'static str) -> Error {
        match trouble {
            Trouble::Failed(error) => error,
            Trouble::Lost(text) => Error::Lost { backend: self.title(), slot, text },
        }
    }

    /// A call that is answered with a text, or with nothing.
    fn told<T: DeserializeOwned>(&self, op: Op, arguments: &[u64]) -> Result<Option<T>> {
        let asked = self.with(|served| match served.ask(op, arguments, None)? {
            Answer::Nothing => Ok(None),
            answer => served.read(answer).map(Some),
        });
        asked.map_err(|trouble| self.error(trouble, op.slot()))
    }

    /// Evaluates some rows of a checked batch in one call.
    fn rows(&self, batch: &mut Batch<'_>, rows: Range<usize>) -> Asked<()> {
        let (n, p) = (rows.len(), self.info.params);
        let (grad, hvp) = (batch.grad.is_some(), batch.hvp.is_some());
        let shape = Shape { n, p, ids: batch.ids.map(<[u64]>::len), grad, hvp };
        let (parts, sum) = shape.words().ok_or_else(|| Error::Argument("a batch larger than any memory".into()))?;
        let cells = rows.start * p..rows.end * p;
        self.with(|served| {
            served.region.grow(sum)?;
            let mut room = served.region.words();
            put(&mut room, bytemuck::cast_slice(&batch.theta[cells.clone()]));
            put(&mut room, batch.ids.unwrap_or_default());
            put(&mut room, batch.hvp.as_ref().map_or(&[], |(dir, _)| bytemuck::cast_slice(&dir[cells.clone()])));
            let Answer::Done = served.ask(Op::Eval, &shape.arguments(), Some(batch.cancel))? else {
                return Err(served.scribbled());
            };
            let mut room = &served.region.words()[parts[..3].iter().sum()..];
            get(&mut room, &mut batch.loss[rows.clone()]);
            let (fine, behind) = room.split_at(n);
            room = behind;
            for out in [batch.grad.as_deref_mut(), batch.hvp.as_mut().map(|(_, out)| &mut **out)].into_iter().flatten()
            {
                get(&mut room, &mut out[cells.clone()]);
            }
            let finite = |values: &[f64]| values.iter().all(|value| value.is_finite());
            for (i, row) in rows.enumerate() {
                let cells = row * p..(row + 1) * p;
                let numbers = batch.loss[row].is_finite()
                    && batch.grad.as_deref().is_none_or(|grad| finite(&grad[cells.clone()]))
                    && batch.hvp.as_ref().is_none_or(|(_, hvp)| finite(&hvp[cells]));
                batch.ok[row] = fine[i].load(Ordering::Relaxed) == 1;
                if batch.ok[row] && !numbers {
                    return Err(served.scribbled()); // The adapter over there has looked at every number.
                }
            }
            Ok(())
        })
    }

    /// Evaluates one row that was lost, in at most so many calls; marks it if all fail.
    fn row(&mut self, batch: &mut Batch<'_>, row: usize, calls: u32) -> Result<()> {
        let (n, p) = (batch.loss.len(), self.info.params);
        let mut how = String::new();
        for _ in 0..calls {
            how = match self.rows(batch, row..row + 1) {
                Ok(()) => {
                    self.marked = 0;
                    return Ok(());
                }
                Err(trouble) => self.survive(trouble)?,
            };
        }
        batch.loss[row] = f64::NAN;
        batch.ok[row] = false;
        let outputs = [batch.grad.as_deref_mut(), batch.hvp.as_mut().map(|(_, out)| &mut **out)];
        outputs.into_iter().flatten().for_each(|out| out[row * p..(row + 1) * p].fill(f64::NAN));
        self.isolation.marked.fetch_add(1, Ordering::Relaxed);
        self.marked += 1;
        let theta = &batch.theta[row * p..(row + 1) * p];
        let mut place: Vec<String> = theta.iter().take(4).map(f64::to_string).collect();
        place.extend((p > 4).then(|| "...".to_owned()));
        let place = place.join(", ");
        self.warn(&format!("row {row} of {n} is marked as not finite: {how}, twice, at theta = {place}"));
        match self.marked {
            MOST_MARKED.. => {
                let text = format!("{MOST_MARKED} rows were lost and none came through; the last: {how}");
                Err(Error::Lost { backend: self.title(), slot: "eval", text })
            }
            _ => Ok(()),
        }
    }

    /// What became of a call, where a fresh process may do better.
    fn survive(&self, trouble: Trouble) -> Result<String> {
        match trouble {
            Trouble::Lost(how) => Ok(how),
            Trouble::Failed(Error::Refused { text, code: status::MEMORY, .. }) => {
                let limit = memory::gib(self.isolation.limits.memory);
                Ok(format!("ran out of memory ({text}; its process has {limit})"))
            }
            Trouble::Failed(error) => Err(error),
        }
    }
}

impl Loss for IsolatedLoss {
    fn info(&self) -> &Info {
        &self.info
    }

    fn eval(&mut self, mut batch: Batch<'_>) -> Result<()> {
        check(&self.info, &batch)?;
        let n = batch.loss.len();
        let how = match self.rows(&mut batch, 0..n) {
            Ok(()) => {
                self.marked = if n > 0 { 0 } else { self.marked };
                return Ok(());
            }
            Err(trouble) => self.survive(trouble)?,
        };
        let calls = if n == 1 { 1 } else { 2 };
        let what = if n == 1 { "its row is tried once more" } else { "its batch is repeated row by row" };
        self.warn(&format!("eval: {how}; {what} in a fresh process"));
        (0..n).try_for_each(|row| {
            if batch.cancel.fired() {
                return Err(Error::Cancelled);
            }
            self.row(&mut batch, row, calls)
        })
    }

    fn parameters(&self) -> Result<Vec<Parameter>> {
        let blocks = self.told::<Vec<Block>>(Op::Parameters, &[])?.unwrap_or_default();
        Ok(blocks.into_iter().map(message::parameter).collect())
    }

    fn start(&self, seed: u64) -> Result<Option<Vec<f64>>> {
        let mut theta = vec![f64::NAN; self.info.params];
        let asked = self.with(|served| {
            served.region.grow(theta.len())?;
            match served.ask(Op::Start, &[seed], None)? {
                Answer::Done => get(&mut served.region.words(), &mut theta),
                Answer::Nothing => return Ok(false),
                Answer::Text(_) => return Err(served.scribbled()),
            }
            Ok(true)
        });
        asked.map(|given| given.then_some(theta)).map_err(|trouble| self.error(trouble, "start"))
    }

    fn bounds(&self) -> Result<Option<Bounds>> {
        Ok(self.told(Op::Bounds, &[])?.map(message::bounds))
    }

    fn metric_names(&self, split: Split) -> Result<Vec<String>> {
        Ok(self.told(Op::MetricNames, &[split as u64])?.unwrap_or_default())
    }

    fn metrics(&mut self, split: Split, theta: &[f64]) -> Result<Vec<f64>> {
        let (p, columns) = (self.info.params, self.metric_names(split)?.len());
        if !theta.len().is_multiple_of(p) {
            return Err(Error::Argument(format!("theta has {} values, which is no multiple of {p}", theta.len())));
        }
        let n = theta.len() / p;
        let mut values = vec![f64::NAN; n * columns];
        let asked = self.with(|served| {
            served.region.grow(theta.len() + values.len())?;
            put(&mut served.region.words(), bytemuck::cast_slice(theta));
            let Answer::Done = served.ask(Op::Metrics, &[split as u64, n as u64, columns as u64], None)? else {
                return Err(served.scribbled());
            };
            get(&mut &served.region.words()[theta.len()..], &mut values);
            Ok(())
        });
        asked.map(|()| values).map_err(|trouble| self.error(trouble, "metrics"))
    }

    fn symmetries(&self) -> Result<Vec<Symmetry>> {
        let generators = self.told::<Vec<Generator>>(Op::Symmetries, &[])?.unwrap_or_default();
        Ok(generators.into_iter().map(message::symmetry).collect())
    }

    fn identity(&self) -> Result<Identity> {
        Ok(self.told(Op::Identity, &[])?.map_or_else(Identity::default, message::identity))
    }
}

impl Drop for IsolatedLoss {
    fn drop(&mut self) {
        if let Some(Err(how)) = self.served.take().map(Served::close) {
            self.warn(&format!("close: {how}"));
        }
    }
}

/// A server with an open loss.
fn start(
    isolation: &Isolation,
    source: &Source,
    threads: usize,
    log: &Arc<Log>,
    request: &[u8],
) -> Result<(Served, Told)> {
    let (mut served, _) =
        Served::start(isolation, source, threads, log).map_err(|trouble| source.error(trouble, "load"))?;
    let mut open = || {
        served.region.grow(request.len().div_ceil(8))?;
        let mut room = served.region.words();
        let (words, rest) = request.as_chunks::<8>();
        for bytes in words {
            put(&mut room, &[u64::from_ne_bytes(*bytes)]);
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        put(&mut room, if rest.is_empty() { &[] } else { std::slice::from_ref(bytemuck::cast_ref(&last)) });
        let answer = served.ask(Op::Open, &[request.len() as u64], None)?;
        served.read::<Told>(answer)
    };
    let told = open().map_err(|trouble| source.error(trouble, "open"))?;
    Ok((served, told))
}

fn out_of_memory(error: &Error) -> bool {
    matches!(error, Error::Refused { code: status::MEMORY, .. })
}

/// Writes values where the room begins, and moves its beginning behind them.
fn put(room: &mut &[AtomicU64], values: &[u64]) {
    let (part, behind) = room.split_at(values.len());
    part.iter().zip(values).for_each(|(word, &value)| word.store(value, Ordering::Relaxed));
    *room = behind;
}

/// Reads values from where the room begins, and moves its beginning behind them.
fn get(room: &mut &[AtomicU64], values: &mut [f64]) {
    let (part, behind) = room.split_at(values.len());
    part.iter().zip(values).for_each(|(word, value)| *value = f64::from_bits(word.load(Ordering::Relaxed)));
    *room = behind;
}
