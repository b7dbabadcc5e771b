//! The child's side: a process that holds one backend and one loss, and answers calls until the engine ends it.
//!
//! It opens the loss through the same registry and adapter as everybody, so that every check of foreign numbers happens
//! here, where a wild pointer breaks nobody else. Its own faults (a message that does not add up, memory that it cannot
//! follow) are [`Error::Internal`] here and a death of the backend's process for the engine: foreign code lives in it.

#![forbid(unsafe_code)]

use super::message::{self, Fault, Loaded, Op, SCRIBBLED, Shape, Told, answer};
use super::process::{self, Current, Streams};
use super::shared::{HEAD, Patience, Region, sum};
use crate::error::{Error, Result};
use crate::loss::{Batch, Log, Loss, OpenRequest, Registry, Split};
use crate::machine::pool::Pool;
use crate::run::Cancel;
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
        let Streams { region, log } = Streams::take()?;
        let region = Region::attach(region)?;
        process::limit(self.memory);
        let current = Current::default();
        process::watch(region.header().clone(), current.clone())?;
        let told: Arc<Log> = Arc::new(move |level, text: &str| {
            // One write a line: the lines of two threads do not mix. Who reads is gone only when the engine is.
            let line = format!("{level} {}\n", text.replace('\n', " "));
            let _ = (&log).write_all(line.as_bytes());
        });
        let pool = Arc::new(Pool::new(self.threads));
        let mut server = Server {
            region,
            current,
            pool,
            backend: None,
            loss: None,
            inbox: Vec::new(),
            outbox: Vec::new(),
            text: Text::default(),
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

/// What was answered.
enum Answer {
    /// With the numbers in the outbox.
    Done,
    Nothing,
    Text(Vec<u8>),
    /// With more of the text before.
    More,
}

/// A text on its way, in pieces of the payload's size.
#[derive(Default)]
struct Text {
    kind: u64,
    bytes: Vec<u8>,
    sent: usize,
}

struct Server {
    region: Region,
    current: Current,
    pool: Arc<Pool>,
    backend: Option<(Registry, String)>,
    loss: Option<Box<dyn Loss>>,
    /// The payloads of a call and of its answer, where no backend finds the memory that is shared.
    inbox: Vec<u64>,
    outbox: Vec<u64>,
    text: Text,
    patience: Patience,
}

impl Server {
    /// Waits for the turn after this one.
    fn next(&mut self, last: u32) -> u32 {
        let request = &self.region.header().request;
        if !request.spin(&mut self.patience, |turn| turn != last) {
            while !request.sleep(|turn| turn != last, Duration::from_secs(3600)) {}
        }
        request.turn()
    }

    /// Takes one turn.
    fn turn(&mut self, turn: u32, load: &mut Option<impl FnOnce() -> Result<(Registry, String)>>) -> Result<Answer> {
        self.region.follow()?;
        let request = &self.region.header().request;
        let (_, len) = self.region.peek(request).ok_or_else(scribbled)?;
        self.inbox.resize(len, 0);
        let received = self.region.receive(request, turn, &mut [&mut self.inbox]);
        let (head, total) = received.ok_or_else(scribbled)?;
        let [word, arguments @ ..] = head;
        let answer = match Op::of(word) {
            Some(Op::Load) => self.load(load.take().ok_or_else(out_of_turn)?)?,
            Some(op) => self.answer(op, arguments)?,
            None => return Err(out_of_turn()),
        };
        // What a backend is given to read is as it was, or no number of the answer can be trusted.
        if sum(turn, &head, &self.inbox) != total {
            return Err(scribbled());
        }
        if word == Op::Open as u64 {
            self.inbox = Vec::new(); // It held the data set.
        }
        Ok(answer)
    }

    fn load(&mut self, load: impl FnOnce() -> Result<(Registry, String)>) -> Result<Answer> {
        let (registry, backend) = self.backend.insert(load()?);
        let version = registry.version(backend)?;
        json(&Loaded { backend: backend.clone(), version })
    }

    fn answer(&mut self, op: Op, arguments: [u64; HEAD - 1]) -> Result<Answer> {
        let [first, second, third, _] = arguments;
        let split = if first == 0 { Split::Train } else { Split::Test };
        match op {
            Op::Hello => json(&env!("CARGO_PKG_VERSION")),
            Op::Load => Err(out_of_turn()),
            Op::Devices => {
                let (registry, backend) = self.backend.as_ref().ok_or_else(out_of_turn)?;
                let devices = registry.devices(backend)?;
                json(&devices.into_iter().map(|d| (d.name, d.memory, d.memory_bytes)).collect::<Vec<_>>())
            }
            Op::Options => {
                let (registry, backend) = self.backend.as_ref().ok_or_else(out_of_turn)?;
                json(&registry.options(backend)?.into_iter().map(message::option).collect::<Vec<_>>())
            }
            Op::Open => self.open(),
            Op::Eval => self.eval([first, second, third]),
            Op::Start => match self.loss()?.start(first)? {
                None => Ok(Answer::Nothing),
                Some(theta) => Ok(self.numbers(&theta)),
            },
            Op::Metrics => self.metrics(split, second, third),
            Op::Bounds => match self.loss()?.bounds()? {
                None => Ok(Answer::Nothing),
                Some(bounds) => json(&(bounds.lower, bounds.upper)),
            },
            Op::Parameters => json(&self.loss()?.parameters()?.into_iter().map(message::block).collect::<Vec<_>>()),
            Op::MetricNames => json(&self.loss()?.metric_names(split)?),
            Op::Symmetries => json(&self.loss()?.symmetries()?.into_iter().map(message::generator).collect::<Vec<_>>()),
            Op::Identity => {
                let identity = self.loss()?.identity()?;
                json(&(identity.model_hash, identity.data_hash, identity.options))
            }
            Op::More => Ok(Answer::More),
            Op::Close => {
                self.loss = None;
                Ok(self.numbers(&[]))
            }
        }
    }

    fn loss(&self) -> Result<&dyn Loss> {
        self.loss.as_deref().ok_or_else(out_of_turn)
    }

    /// Numbers as an answer.
    fn numbers(&mut self, values: &[f64]) -> Answer {
        self.outbox.clear();
        self.outbox.extend_from_slice(bytemuck::cast_slice(values));
        Answer::Done
    }

    fn open(&mut self) -> Result<Answer> {
        let (registry, backend) = self.backend.as_ref().ok_or_else(out_of_turn)?;
        let open = |request: &OpenRequest<'_>| registry.open(backend, request, self.pool.clone());
        let loss = self.loss.insert(message::unpack(&self.inbox, open)?);
        json(&Told::of(loss.info()))
    }

    fn eval(&mut self, arguments: [u64; 3]) -> Result<Answer> {
        let Server { loss, inbox, outbox, .. } = self;
        let loss = loss.as_mut().ok_or_else(out_of_turn)?;
        let shape = Shape::of(arguments, loss.info().params);
        let (asked, answered) = shape.words().ok_or_else(out_of_turn)?;
        let [theta, ids, dir] = message::parts(inbox, asked).ok_or_else(out_of_turn)?;
        outbox.resize(answered.iter().sum(), 0);
        let [values, fine, grad, hvp] = message::parts_mut(outbox, answered);
        let cancel = Cancel::default();
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = cancel.clone();
        let mut ok = vec![true; shape.n];
        loss.eval(Batch {
            theta: bytemuck::cast_slice(theta),
            ids: shape.ids.map(|_| ids),
            loss: bytemuck::cast_slice_mut(values),
            grad: shape.grad.then(|| bytemuck::cast_slice_mut(grad)),
            hvp: shape.hvp.then(|| (bytemuck::cast_slice(dir), bytemuck::cast_slice_mut(hvp))),
            ok: &mut ok,
            cancel: &cancel,
        })?;
        fine.iter_mut().zip(ok).for_each(|(fine, ok)| *fine = ok.into());
        Ok(Answer::Done)
    }

    fn metrics(&mut self, split: Split, n: u64, columns: u64) -> Result<Answer> {
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

    fn reply(&mut self, turn: u32, answered: Result<Answer>) {
        let (kind, bytes) = match answered {
            Ok(Answer::Nothing) => return self.send(turn, [answer::NOTHING, 0, 0], &[]),
            // The engine has made room for all numbers that it has asked for.
            Ok(Answer::Done) if self.outbox.len() <= self.region.room() => {
                return self.send(turn, [answer::DONE, 0, 0], &self.outbox);
            }
            Ok(Answer::Done) => fault(scribbled()),
            Ok(Answer::Text(bytes)) => (answer::TEXT, bytes),
            Ok(Answer::More) => return self.more(turn),
            Err(error) => fault(error),
        };
        self.text = Text { kind, bytes, sent: 0 };
        self.more(turn);
    }

    /// Sends the next piece of the text.
    fn more(&mut self, turn: u32) {
        let Text { kind, bytes, sent } = &mut self.text;
        let left = &bytes[*sent..];
        let piece = &left[..left.len().min(8 * self.region.room())];
        let (words, head) = (message::words(piece), [*kind, piece.len() as u64, (piece.len() < left.len()).into()]);
        *sent += piece.len();
        self.send(turn, head, &words);
    }

    fn send(&self, turn: u32, [kind, length, more]: [u64; 3], words: &[u64]) {
        self.region.send(&self.region.header().reply, turn, [kind, length, more, 0, 0], &[words]);
    }
}

/// What an error is sent as.
fn fault(error: Error) -> (u64, Vec<u8>) {
    (answer::FAULT, serde_json::to_vec(&Fault::of(error)).unwrap_or_default())
}

fn json(value: &impl Serialize) -> Result<Answer> {
    let bytes = serde_json::to_vec(value).map_err(|e| Error::Internal(format!("an answer has no JSON: {e}")))?;
    Ok(Answer::Text(bytes))
}
