//! The child's side: a process that holds one backend and one loss, and answers calls until the engine ends it.
//!
//! It opens the loss through the same registry and adapter as everybody, so that every check of foreign numbers happens
//! here, where a wild pointer breaks nobody else.

#![forbid(unsafe_code)]

use super::message::{self, Fault, Loaded, Op, Shape, Told, answer};
use super::process::{self, Current, Streams};
use super::shared::{Patience, Region, WORDS};
use crate::error::{Error, Result};
use crate::loss::{Batch, Log, Loss, OpenRequest, Registry, Split};
use crate::pool::Pool;
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
    /// serving. `load` makes a registry
    /// whose backends write to the given log, and says which of them is served; it runs when the engine asks for it.
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
            text: Text::default(),
            patience: Patience::default(),
        };
        let mut load = Some(move || load(told));
        let mut turn = 0;
        loop {
            turn = server.next(turn);
            let words = server.region.header().request.words();
            let op = Op::of(words[0]);
            let answered = match op {
                Some(Op::Load) => load.take().ok_or_else(out_of_turn).and_then(|load| server.load(load)),
                Some(op) => server.answer(op, &words[1..]),
                None => Err(out_of_turn()),
            };
            server.reply(turn, answered);
        }
    }
}

/// A call that no engine of this version makes.
fn out_of_turn() -> Error {
    Error::Internal("a call out of turn".into())
}

/// What was answered.
enum Answer {
    Done,
    Nothing,
    Text(Vec<u8>),
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

    fn load(&mut self, load: impl FnOnce() -> Result<(Registry, String)>) -> Result<Answer> {
        let (registry, backend) = self.backend.insert(load()?);
        let version = registry.version(backend)?;
        json(&Loaded { backend: backend.clone(), version })
    }

    fn answer(&mut self, op: Op, words: &[u64]) -> Result<Answer> {
        self.region.follow()?;
        let split = |word: u64| if word == 0 { Split::Train } else { Split::Test };
        match op {
            Op::Hello => json(&env!("CARGO_PKG_VERSION")),
            Op::Load => Err(out_of_turn()),
            Op::Devices => {
                let (registry, backend) = self.backend.as_ref().ok_or_else(out_of_turn)?;
                let devices = registry.devices(backend)?;
                json(&devices.into_iter().map(|d| (d.name, d.memory, d.memory_bytes)).collect::<Vec<_>>())
            }
            Op::Open => self.open(words[0] as usize),
            Op::Eval => self.eval([words[0], words[1], words[2]]),
            Op::Start => match self.loss()?.start(words[0])? {
                None => Ok(Answer::Nothing),
                Some(theta) => {
                    bytemuck::cast_slice_mut(self.region.words_mut())[..theta.len()].copy_from_slice(&theta);
                    Ok(Answer::Done)
                }
            },
            Op::Metrics => {
                let loss = self.loss.as_mut().ok_or_else(out_of_turn)?;
                let (p, n, columns) = (loss.info().params, words[1] as usize, words[2] as usize);
                let (theta, rest) = self.region.words_mut().split_at_mut(n * p);
                let values = loss.metrics(split(words[0]), bytemuck::cast_slice(theta))?;
                match values.len() == n * columns {
                    true => bytemuck::cast_slice_mut(rest)[..values.len()].copy_from_slice(&values),
                    false => return Err(Error::Internal("the number of metrics has changed".into())),
                }
                Ok(Answer::Done)
            }
            Op::Bounds => match self.loss()?.bounds()? {
                None => Ok(Answer::Nothing),
                Some(bounds) => json(&(bounds.lower, bounds.upper)),
            },
            Op::Parameters => json(&self.loss()?.parameters()?.into_iter().map(message::block).collect::<Vec<_>>()),
            Op::MetricNames => json(&self.loss()?.metric_names(split(words[0]))?),
            Op::Symmetries => json(&self.loss()?.symmetries()?.into_iter().map(message::generator).collect::<Vec<_>>()),
            Op::Identity => {
                let identity = self.loss()?.identity()?;
                json(&(identity.model_hash, identity.data_hash, identity.options))
            }
            Op::More => Ok(Answer::Text(Vec::new())),
            Op::Close => {
                self.loss = None;
                Ok(Answer::Done)
            }
        }
    }

    fn loss(&self) -> Result<&dyn Loss> {
        self.loss.as_deref().ok_or_else(out_of_turn)
    }

    fn open(&mut self, len: usize) -> Result<Answer> {
        let (registry, backend) = self.backend.as_ref().ok_or_else(out_of_turn)?;
        let packed: &[u8] = bytemuck::cast_slice(self.region.words_mut());
        let packed = packed.get(..len).ok_or_else(out_of_turn)?;
        let open = |request: &OpenRequest<'_>| registry.open(backend, request, self.pool.clone());
        let loss = self.loss.insert(message::unpack(packed, open)?);
        json(&Told::of(loss.info()))
    }

    fn eval(&mut self, arguments: [u64; 3]) -> Result<Answer> {
        let loss = self.loss.as_mut().ok_or_else(out_of_turn)?;
        let shape = Shape::of(arguments, loss.info().params);
        let (parts, sum) = shape.words().ok_or_else(out_of_turn)?;
        let mut rest = self.region.words_mut().get_mut(..sum).ok_or_else(out_of_turn)?;
        let [theta, ids, dir, values, fine, grad, hvp] = parts.map(|len| {
            let (part, behind) = std::mem::take(&mut rest).split_at_mut(len);
            rest = behind;
            part
        });
        let cancel = Cancel::default();
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = cancel.clone();
        let mut ok = vec![true; shape.n];
        loss.eval(Batch {
            theta: bytemuck::cast_slice(theta),
            ids: shape.ids.map(|_| &*ids),
            loss: bytemuck::cast_slice_mut(values),
            grad: shape.grad.then(|| bytemuck::cast_slice_mut(grad)),
            hvp: shape.hvp.then(|| (bytemuck::cast_slice(dir), bytemuck::cast_slice_mut(hvp))),
            ok: &mut ok,
            cancel: &cancel,
        })?;
        fine.iter_mut().zip(ok).for_each(|(fine, ok)| *fine = ok.into());
        Ok(Answer::Done)
    }

    fn reply(&mut self, turn: u32, answered: Result<Answer>) {
        let mut words = [0; WORDS];
        words[0] = match answered {
            Ok(Answer::Done) => answer::DONE,
            Ok(Answer::Nothing) => answer::NOTHING,
            // More of the text before.
            Ok(Answer::Text(bytes)) if bytes.is_empty() => self.text.kind,
            Ok(Answer::Text(bytes)) => {
                self.text = Text { kind: answer::TEXT, bytes, sent: 0 };
                answer::TEXT
            }
            Err(error) => {
                let bytes = serde_json::to_vec(&Fault::of(error)).unwrap_or_default();
                self.text = Text { kind: answer::FAULT, bytes, sent: 0 };
                answer::FAULT
            }
        };
        if matches!(words[0], answer::TEXT | answer::FAULT) {
            let left = &self.text.bytes[self.text.sent..];
            let room: &mut [u8] = bytemuck::cast_slice_mut(self.region.words_mut());
            let len = left.len().min(room.len());
            room[..len].copy_from_slice(&left[..len]);
            self.text.sent += len;
            words[1] = len as u64;
            words[2] = (self.text.sent < self.text.bytes.len()).into();
        }
        self.region.header().reply.send(turn, words);
    }
}

fn json(value: &impl Serialize) -> Result<Answer> {
    let bytes = serde_json::to_vec(value).map_err(|e| Error::Internal(format!("an answer has no JSON: {e}")))?;
    Ok(Answer::Text(bytes))
}
