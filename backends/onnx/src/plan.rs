//! A graph as an executor's plan: written as ONNX once for each type of numbers, with a session for every worker.

use crate::raw::{self, Lent};
use crate::runtime::{Runtime, runtime};
use crate::settings::Settings;
use mountainpass_mean::real::Real;
use mountainpass_mean::{Executor, Input, Outcome, Plan, Sources};
use mountainpass_network::graph::op::Op;
use mountainpass_network::graph::{Graph, Id};
use mountainpass_network::onnx::{Origin, Precision, Program, Source};
use mountainpass_sdk::abi::{dtype, status};
use mountainpass_sdk::{Error, Host, Open, memory};
use ort::memory::MemoryInfo;
use ort::session::{RunOptions, Session};
use std::ffi::CString;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// ONNX Runtime, as it was asked for.
pub struct Sessions {
    pub(crate) runtime: &'static Runtime,
    pub(crate) settings: Arc<Settings>,
}

impl Sessions {
    /// Sessions of one thread on the CPU, by this file of ONNX Runtime.
    pub fn on_cpu(library: &str) -> Result<Sessions, Error> {
        let settings = Settings::of(&mut Open::new("", &[("library", library)]))?;
        Ok(Sessions { runtime: runtime(&settings)?, settings: Arc::new(settings) })
    }
}

/// A graph made ready for sessions.
pub struct SessionPlan {
    number: u64,
    numbers: usize,
    graph: Graph,
    outputs: Vec<Id>,
    runtime: &'static Runtime,
    settings: Arc<Settings>,
    /// As f32 and as f64, each once it is wanted.
    programs: [Mutex<Option<Arc<Program>>>; 2],
}

impl Executor for Sessions {
    type Plan = SessionPlan;

    fn rows(&self) -> usize {
        self.settings.rows_per_run
    }

    fn plan(&self, graph: &Graph, outputs: &[Id]) -> Result<SessionPlan, Error> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let (graph, outputs) = graph.pruned(outputs);
        Ok(SessionPlan {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            numbers: live(&graph, &outputs).saturating_add(Program::beside(&graph)),
            graph,
            outputs,
            runtime: self.runtime,
            settings: self.settings.clone(),
            programs: Default::default(),
        })
    }
}

/// The most numbers that live at one time, if every array is dropped behind its last reader.
fn live(graph: &Graph, outputs: &[Id]) -> usize {
    let size = |i: usize| graph.shape(graph.id(i)).iter().fold(1usize, |all, axis| all.saturating_mul(*axis));
    let mut last: Vec<usize> = (0..graph.nodes().len()).collect();
    for (i, node) in graph.nodes().iter().enumerate() {
        node.args.iter().for_each(|arg| last[arg.index()] = i);
    }
    outputs.iter().for_each(|id| last[id.index()] = usize::MAX);
    let (mut now, mut most) = (0usize, 0);
    for (i, node) in graph.nodes().iter().enumerate() {
        now = now.saturating_add(size(i));
        most = most.max(now);
        let mut dropped: Vec<usize> = node.args.iter().map(|arg| arg.index()).filter(|arg| last[*arg] == i).collect();
        dropped.sort_unstable();
        dropped.dedup();
        now -= dropped.into_iter().map(size).fold(0usize, usize::saturating_add).min(now);
    }
    most
}

/// A session with the arrays of its outputs.
struct Ready<T> {
    plan: u64,
    session: Session,
    options: RunOptions,
    info: MemoryInfo<'static>,
    sources: Vec<(Source, Vec<i64>)>,
    names: [Vec<CString>; 2],
    outputs: Vec<Vec<T>>,
    shapes: Vec<Vec<i64>>,
    /// What the last run took.
    took: Option<Duration>,
}

/// What a worker keeps of one plan.
pub struct Kept<T>(Option<Ready<T>>);

impl<T> Default for Kept<T> {
    fn default() -> Kept<T> {
        Kept(None)
    }
}

impl<T: Real> Outcome<T> for Kept<T> {
    fn output(&self, k: usize) -> &[T] {
        self.0.as_ref().and_then(|ready| ready.outputs.get(k)).map_or(&[], Vec::as_slice)
    }
}

impl SessionPlan {
    fn program(&self, is_double: bool) -> Result<Arc<Program>, Error> {
        let mut program = self.programs[usize::from(is_double)].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(program) = &*program {
            return Ok(program.clone());
        }
        let precision = if is_double { Precision::Double } else { Precision::Single };
        let written = Arc::new(Program::new(&self.graph, &self.outputs, precision)?);
        *program = Some(written.clone());
        Ok(written)
    }

    /// Whether ONNX Runtime has every kernel for a type; if not, which is missing.
    pub fn check<T: Real>(&self) -> Result<(), Error> {
        let is_double = T::DTYPE == dtype::F64;
        let program = self.program(is_double)?;
        self.runtime.check(&program.bytes, &self.settings).map_err(|error| refused(&error, is_double))
    }

    fn ready<T: Real>(&self) -> Result<Ready<T>, Error> {
        let is_double = T::DTYPE == dtype::F64;
        let program = self.program(is_double)?;
        memory::afford(memory::bytes_of::<T>(self.numbers))?;
        let session = self
            .runtime
            .session(&program.bytes, &self.settings, is_double)
            .map_err(|error| refused(&error, is_double))?;
        let wide = |shape: &[usize]| shape.iter().map(|size| *size as i64).collect::<Vec<i64>>();
        let name = |name: &str| CString::new(name).map_err(|_| Error::argument("a name with a zero byte"));
        let inputs = program.sources.iter().map(|source| name(&source.name)).collect::<Result<_, Error>>()?;
        let outputs = program.outputs.iter().map(|(output, _)| name(output)).collect::<Result<_, Error>>()?;
        let arrays = program.outputs.iter().map(|(_, shape)| memory::filled(T::ZERO, shape.iter().product()));
        Ok(Ready {
            plan: self.number,
            session,
            options: RunOptions::new().map_err(|error| failed(&error))?,
            info: raw::cpu().map_err(|error| failed(&error))?,
            sources: program.sources.iter().map(|source| (source.clone(), wide(&source.shape))).collect(),
            names: [inputs, outputs],
            outputs: arrays.collect::<Result<_, _>>()?,
            shapes: program.outputs.iter().map(|(_, shape)| wide(shape)).collect(),
            took: None,
        })
    }
}

/// A model that no session is made for. Where a kernel is missing that is said of the operator and its type.
fn refused(error: &ort::Error, is_double: bool) -> Error {
    let text = error.message();
    let missing = text.split_once("Could not find an implementation for ").map(|(_, rest)| rest);
    match missing.and_then(|rest| rest.split(['(', ' ']).next()) {
        Some(op) => {
            let of = if is_double { "f64" } else { "f32" };
            Error::unsupported(format!("ONNX Runtime has no kernel for {op} of {of} on this device"))
        }
        None => failed(error),
    }
}

fn failed(error: &ort::Error) -> Error {
    Error { code: status::BACKEND, text: format!("ONNX Runtime: {}", error.message().replace(char::is_control, " ")) }
}

impl Plan for SessionPlan {
    type Memory<T: Real> = Kept<T>;

    fn number(&self) -> u64 {
        self.number
    }

    fn numbers(&self) -> usize {
        self.numbers
    }

    fn reads(&self, slot: usize) -> bool {
        self.graph.nodes().iter().any(|node| matches!(node.op, Op::Input { slot: of, .. } if of == slot))
    }

    fn run<T: Real>(
        &self,
        _: Option<Host<'_>>,
        memory: &mut Kept<T>,
        sources: Sources<'_, T>,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), Error> {
        if stop() {
            return Err(Error::cancelled());
        }
        if memory.0.as_ref().is_none_or(|ready| ready.plan != self.number) {
            memory.0 = None;
            memory.0 = Some(self.ready()?);
        }
        match &mut memory.0 {
            Some(ready) => ready.run(sources, stop),
            None => Ok(()),
        }
    }
}

/// Shorter runs are over before anyone would have stopped them.
const SHORT: Duration = Duration::from_millis(20);
/// How often a long one is asked about.
const POLL: Duration = Duration::from_millis(10);

impl<T: Real> Ready<T> {
    fn run(&mut self, sources: Sources<'_, T>, stop: &(dyn Fn() -> bool + Sync)) -> Result<(), Error> {
        let Ready { session, options, info, sources: wanted, names, outputs, shapes, .. } = self;
        let inputs = wanted.iter().map(|(source, shape)| lent(info, source, shape, sources));
        let inputs = inputs.collect::<Result<Vec<Lent<'_>>, Error>>()?;
        let results = outputs.iter_mut().zip(shapes).map(|(array, shape)| Lent::results(info, array, shape));
        let results = results.collect::<ort::Result<Vec<Lent<'_>>>>().map_err(|error| failed(&error))?;
        let [input_names, output_names] = names;
        let began = Instant::now();
        let mut go = || raw::run(session, options, (input_names, &inputs), (output_names, &results));
        let (ended, was_stopped) = match self.took {
            Some(took) if took < SHORT => (go(), false),
            _ => watched(options, stop, go),
        };
        self.took = Some(began.elapsed());
        match ended {
            _ if was_stopped => {
                options.unterminate().map_err(|error| failed(&error))?;
                Err(Error::cancelled())
            }
            ended => ended.map_err(|error| failed(&error)),
        }
    }
}

/// Runs while another thread asks whether to stop; whether it did.
fn watched<R>(options: &RunOptions, stop: &(dyn Fn() -> bool + Sync), run: impl FnOnce() -> R) -> (R, bool) {
    let (is_over, was_stopped) = (AtomicBool::new(false), AtomicBool::new(false));
    let result = std::thread::scope(|scope| {
        let asking = || {
            while !is_over.load(Ordering::Acquire) {
                std::thread::park_timeout(POLL);
                if !is_over.load(Ordering::Acquire) && stop() {
                    was_stopped.store(true, Ordering::Release);
                    // It cannot fail but for a missing handle; a run that goes on would end by itself.
                    let _ = options.terminate();
                    return;
                }
            }
        };
        // Where there is no room for a thread the run is not watched; a panic there would want more room.
        let watch = std::thread::Builder::new().spawn_scoped(scope, asking).ok();
        let result = run();
        is_over.store(true, Ordering::Release);
        if let Some(watch) = watch {
            watch.thread().unpark();
            // Not the scope's end, which waits for what it does and not until it is gone.
            let _ = watch.join();
        }
        result
    });
    (result, was_stopped.into_inner())
}

/// What stands behind a source, as it lies there.
fn lent<'a, T: Real>(
    info: &MemoryInfo<'_>,
    source: &Source,
    shape: &[i64],
    given: Sources<'a, T>,
) -> Result<Lent<'a>, Error> {
    let count: usize = source.shape.iter().product();
    let missing = || Error::argument(format!("{:?} does not hold {count} values of its kind", source.origin));
    let block = |of: &'a [T], first: usize| of.get(first..first + count).ok_or_else(missing);
    let made = match source.origin {
        Origin::Theta(first) => Lent::reals(info, block(given.theta, first)?, shape),
        Origin::Direction(first) => Lent::reals(info, block(given.direction, first)?, shape),
        Origin::Slot(slot) => match given.inputs.get(slot) {
            Some(Input::Real(values)) if values.len() == count => Lent::reals(info, values, shape),
            Some(Input::Index(values)) if values.len() == count => Lent::indices(info, values, shape),
            _ => return Err(missing()),
        },
    };
    made.map_err(|error| failed(&error))
}
