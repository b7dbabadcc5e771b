//! The child's side: a process that holds one backend and one loss, and answers calls until the engine ends it.
//!
//! It opens the loss through the same registry and adapter as everybody, so that every check of foreign numbers happens
//! here, where a wild pointer breaks nobody else. Its own faults (a message that does not add up, memory that it cannot
//! follow) are [`Error::Internal`] here and a death of the backend's process for the engine: foreign code lives in it.

#![deny(unsafe_code)] // Only process.rs allows it.

mod process;

use super::host::Log;
use super::isolated::message::{self, BatchShape, Call, SCRIBBLED, answer};
use super::isolated::packed;
use super::isolated::shared::{HEAD, Patience, SharedMemory, sum};
use super::isolated::told::{self, Loaded, ToldError, ToldInfo};
use super::loss::{Batch, Linear, Loss, Slope, Split};
use super::registry::Registry;
use super::request::OpenRequest;
use crate::error::{Error, Result};
use crate::machine::pool::Pool;
use crate::run::Cancel;
use process::{Current, Streams};
use serde::Serialize;
use std::convert::Infallible;
use std::io::Write;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// What a server is told when it is started.
pub struct Service {
    /// Threads of the pool it lends to the backend.
    pub threads: usize,
    /// Bytes that this process may allocate.
    pub memory: u64,
}

impl Service {
    /// Serves the engine that has started this process, until it ends the process. Returns only what keeps it from
    /// serving. `load` makes a registry whose backends write to the given log, and says which of them is served; it runs
    /// when the engine asks for it.
    pub fn run(self, load: impl FnOnce(Arc<Log>) -> Result<(Registry, String)>) -> Result<Infallible> {
        let Streams { shared, log } = Streams::take()?;
        let shared = SharedMemory::attach(shared)?;
        process::limit(self.memory);
        let current = Current::default();
        process::watch(shared.header().clone(), current.clone())?;
        let told: Arc<Log> = Arc::new(move |level, text: &str| {
            // One write a line: the lines of two threads do not mix. Who reads is gone only when the engine is.
            let line = format!("{level} {}\n", text.replace('\n', " "));
            let _ = (&log).write_all(line.as_bytes());
        });
        let pool = Arc::new(Pool::new(self.threads));
        let mut server = Server {
            shared,
            current,
            pool,
            backend: None,
            loss: None,
            inbox: Vec::new(),
            outbox: Vec::new(),
            text: Outgoing::default(),
            patience: Patience::default(),
        };
        let mut load = Some(move || load(told));
        let mut turn = 0;
        loop {
            turn = server.next(turn);
            let answered = server.turn(turn, &mut load);
            server.reply(turn, answered);
        }
    }
}

/// A call that no engine of this version makes.
fn out_of_turn() -> Error {
    Error::Internal("was called out of turn".into())
}

/// A message that does not add up, or does no more after the call.
fn scribbled() -> Error {
    Error::Internal(SCRIBBLED.into())
}

/// What the server replies.
enum Reply {
    /// With the numbers in the outbox.
    Done,
    Nothing,
    Text(Vec<u8>),
    /// With more of the text before.
    More,
}

/// A text on its way, in pieces of the payload's size.
#[derive(Default)]
struct Outgoing {
    kind: u64,
    bytes: Vec<u8>,
    sent: usize,
}

struct Server {
    shared: SharedMemory,
    current: Current,
    pool: Arc<Pool>,
    backend: Option<(Registry, String)>,
    loss: Option<Box<dyn Loss>>,
    /// The payloads of a call and of its answer, where no backend finds the memory that is shared.
    inbox: Vec<u64>,
    outbox: Vec<u64>,
    text: Outgoing,
    patience: Patience,
}

impl Server {
    /// Waits for the turn after this one.
    fn next(&mut self, last: u32) -> u32 {
        let request = &self.shared.header().request;
        if !request.spin(&mut self.patience, |turn| turn != last) {
            while !request.sleep(|turn| turn != last, Duration::from_secs(3600)) {}
        }
        request.turn()
    }

    /// Takes one turn.
    fn turn(&mut self, turn: u32, load: &mut Option<impl FnOnce() -> Result<(Registry, String)>>) -> Result<Reply> {
        self.shared.follow()?;
        let request = &self.shared.header().request;
        let (_, len) = self.shared.peek(request).ok_or_else(scribbled)?;
        self.inbox.resize(len, 0);
        let received = self.shared.receive(request, turn, &mut [&mut self.inbox]);
        let (head, total) = received.ok_or_else(scribbled)?;
        let [word, arguments @ ..] = head;
        let answer = match Call::of(word) {
            Some(Call::Load) => self.load(load.take().ok_or_else(out_of_turn)?)?,
            Some(call) => self.answer(call, arguments)?,
            None => return Err(out_of_turn()),
        };
        // What a backend is given to read is as it was, or no number of the answer can be trusted.
        if sum(turn, &head, &self.inbox) != total {
            return Err(scribbled());
        }
        if word == Call::Open as u64 {
            self.inbox = Vec::new(); // It held the data set.
        }
        Ok(answer)
    }

    fn load(&mut self, load: impl FnOnce() -> Result<(Registry, String)>) -> Result<Reply> {
        let (registry, backend) = self.backend.insert(load()?);
        let version = registry.version(backend)?;
        json(&Loaded { backend: backend.clone(), version })
    }

    fn answer(&mut self, call: Call, arguments: [u64; HEAD - 1]) -> Result<Reply> {
        let [first, second, third, _] = arguments;
        let split = if first == 0 { Split::Train } else { Split::Test };
        match call {
            Call::Hello => json(&env!("CARGO_PKG_VERSION")),
            Call::Load => Err(out_of_turn()),
            Call::Devices => {
                let (registry, backend) = self.backend.as_ref().ok_or_else(out_of_turn)?;
                let devices = registry.devices(backend)?;
                json(&devices.into_iter().map(|d| (d.name, d.memory, d.memory_bytes)).collect::<Vec<_>>())
            }
            Call::Options => {
                let (registry, backend) = self.backend.as_ref().ok_or_else(out_of_turn)?;
                json(&registry.options(backend)?.into_iter().map(told::option_told).collect::<Vec<_>>())
            }
            Call::Open => self.open(),
            Call::Eval | Call::Smoothed | Call::Linear => self.eval(call, arguments),
            Call::Start => match self.loss()?.start(first)? {
                None => Ok(Reply::Nothing),
                Some(theta) => Ok(self.numbers(&theta)),
            },
            Call::Metrics => self.metrics(split, second, third),
            Call::Bounds => match self.loss()?.bounds()? {
                None => Ok(Reply::Nothing),
                Some(bounds) => json(&(bounds.lower, bounds.upper)),
            },
            Call::Parameters => {
                json(&self.loss()?.parameters()?.into_iter().map(told::parameter_told).collect::<Vec<_>>())
            }
            Call::MetricNames => json(&self.loss()?.metric_names(split)?),
            Call::Symmetries => {
                json(&self.loss()?.symmetries()?.into_iter().map(told::symmetry_told).collect::<Vec<_>>())
            }
            Call::Identity => {
                let identity = self.loss()?.identity()?;
                json(&[identity.model_hash, identity.data_hash, identity.options, identity.notes])
            }
            Call::Kinks => json(&self.loss()?.kinks()?),
            Call::Near => self.near(f64::from_bits(first)),
            Call::KinkRows => self.kink_rows(first as usize),
            Call::More => Ok(Reply::More),
            Call::Close => {
                self.loss = None;
                Ok(self.numbers(&[]))
            }
        }
    }

    fn loss(&self) -> Result<&dyn Loss> {
        self.loss.as_deref().ok_or_else(out_of_turn)
    }

    /// Numbers as an answer.
    fn numbers(&mut self, values: &[f64]) -> Reply {
        self.outbox.clear();
        self.outbox.extend_from_slice(bytemuck::cast_slice(values));
        Reply::Done
    }

    fn open(&mut self) -> Result<Reply> {
        let (registry, backend) = self.backend.as_ref().ok_or_else(out_of_turn)?;
        let open = |request: &OpenRequest<'_>| registry.open(backend, request, self.pool.clone());
        let loss = self.loss.insert(packed::unpack(&self.inbox, open)?);
        json(&ToldInfo::of(loss.info()))
    }

    fn near(&mut self, width: f64) -> Result<Reply> {
        let loss = self.loss.as_mut().ok_or_else(out_of_turn)?;
        let kinks = loss.kinks_near(bytemuck::cast_slice(&self.inbox), width)?;
        json(&kinks.into_iter().map(told::kink_told).collect::<Vec<_>>())
    }

    fn kink_rows(&mut self, count: usize) -> Result<Reply> {
        let Server { loss, inbox, outbox, .. } = self;
        let loss = loss.as_mut().ok_or_else(out_of_turn)?;
        let p = loss.info().params;
        let [theta, kinks, given] = message::parts(inbox, [p, count, count]).ok_or_else(out_of_turn)?;
        outbox.resize(count.checked_mul(p).ok_or_else(out_of_turn)?, 0);
        loss.kink_rows(bytemuck::cast_slice(theta), &slopes(kinks, given), bytemuck::cast_slice_mut(outbox))?;
        Ok(Reply::Done)
    }

    fn eval(&mut self, call: Call, [n, ids, flags, last]: [u64; HEAD - 1]) -> Result<Reply> {
        let Server { loss, inbox, outbox, .. } = self;
        let loss = loss.as_mut().ok_or_else(out_of_turn)?;
        let count = if call == Call::Linear { last as usize } else { 0 };
        let shape = BatchShape::of([n, ids, flags], loss.info().params, count);
        let (asked, answered) = shape.words().ok_or_else(out_of_turn)?;
        let [theta, ids, dir, kinks, given] = message::parts(inbox, asked).ok_or_else(out_of_turn)?;
        outbox.resize(answered.iter().sum(), 0);
        let [values, fine, grad, hvp, z, delta] = message::parts_mut(outbox, answered);
        let cancel = Cancel::default();
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = cancel.clone();
        let mut ok = vec![true; shape.n];
        let batch = Batch {
            theta: bytemuck::cast_slice(theta),
            ids: shape.ids.map(|_| ids),
            loss: bytemuck::cast_slice_mut(values),
            grad: shape.grad.then(|| bytemuck::cast_slice_mut(grad)),
            hvp: shape.hvp.then(|| (bytemuck::cast_slice(dir), bytemuck::cast_slice_mut(hvp))),
            ok: &mut ok,
            cancel: &cancel,
        };
        match call {
            Call::Smoothed => loss.eval_smoothed(f64::from_bits(last), batch)?,
            Call::Linear => {
                let out = Linear { z: bytemuck::cast_slice_mut(z), delta: bytemuck::cast_slice_mut(delta) };
                loss.eval_linear(&slopes(kinks, given), batch, out)?;
            }
            _ => loss.eval(batch)?,
        }
        fine.iter_mut().zip(ok).for_each(|(fine, ok)| *fine = ok.into());
        Ok(Reply::Done)
    }

    fn metrics(&mut self, split: Split, n: u64, columns: u64) -> Result<Reply> {
        let loss = self.loss.as_mut().ok_or_else(out_of_turn)?;
        let values = loss.metrics(split, bytemuck::cast_slice(&self.inbox))?;
        let (found, wanted) = (values.len() as u64, n.saturating_mul(columns));
        if found != wanted {
            let backend = format!("{} {}", loss.info().backend, loss.info().version);
            let text = format!("{found} values where {n} rows of {columns} names were announced");
            return Err(Error::Backend { backend, slot: "metrics", text });
        }
        Ok(self.numbers(&values))
    }

    fn reply(&mut self, turn: u32, answered: Result<Reply>) {
        let (kind, bytes) = match answered {
            Ok(Reply::Nothing) => return self.send(turn, [answer::NOTHING, 0, 0], &[]),
            // The engine has made room for all numbers that it has asked for.
            Ok(Reply::Done) if self.outbox.len() <= self.shared.room() => {
                return self.send(turn, [answer::DONE, 0, 0], &self.outbox);
            }
            Ok(Reply::Done) => fault(scribbled()),
            Ok(Reply::Text(bytes)) => (answer::TEXT, bytes),
            Ok(Reply::More) => return self.more(turn),
            Err(error) => fault(error),
        };
        self.text = Outgoing { kind, bytes, sent: 0 };
        self.more(turn);
    }

    /// Sends the next piece of the text.
    fn more(&mut self, turn: u32) {
        let Outgoing { kind, bytes, sent } = &mut self.text;
        let left = &bytes[*sent..];
        let piece = &left[..left.len().min(8 * self.shared.room())];
        let (words, head) = (message::words(piece), [*kind, piece.len() as u64, (piece.len() < left.len()).into()]);
        *sent += piece.len();
        self.send(turn, head, &words);
    }

    fn send(&self, turn: u32, [kind, length, more]: [u64; 3], words: &[u64]) {
        self.shared.send(&self.shared.header().reply, turn, [kind, length, more, 0, 0], &[words]);
    }
}

/// Slopes of kinks, as they travel.
fn slopes(kinks: &[u64], given: &[u64]) -> Vec<Slope> {
    kinks.iter().zip(given).map(|(id, t)| Slope { id: *id, t: f64::from_bits(*t) }).collect()
}

/// What an error is sent as.
fn fault(error: Error) -> (u64, Vec<u8>) {
    (answer::ERROR, serde_json::to_vec(&ToldError::of(error)).unwrap_or_default())
}

fn json(value: &impl Serialize) -> Result<Reply> {
    let bytes = serde_json::to_vec(value).map_err(|e| Error::Internal(format!("an answer has no JSON: {e}")))?;
    Ok(Reply::Text(bytes))
}
