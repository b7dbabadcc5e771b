//! Any network: its samples cut into chunks of one size, each run through a plan of the whole problem, from the inputs
//! to the losses and their derivatives.
//!
//! The size of a chunk depends on the network only: as many samples as keep a worker's arrays near the cache. Of a network
//! whose samples see each other all samples are one chunk.

use crate::graph::{Memory, Plan, SlotValues, Sources};
use crate::pass::{Derivatives, Piece, Verdict, Wanted};
use crate::real::Real;
use crate::slots::{Laid, Slots};
use crate::sums::add_scaled_to;
use mountainpass_network::judge::{Judge, is_largest, is_on_side};
use mountainpass_network::model::Model;
use mountainpass_network::problem::{Aim, Problem};
use mountainpass_network::{DataTerm, Dataset, Samples};
use mountainpass_sdk::memory::{self, Shortage};
use mountainpass_sdk::{Error, Host};
use std::ops::Range;
use std::sync::Arc;

/// The buffers of a chunk hold no more numbers than this, if more than one sample stands in it.
const CHUNK_NUMBERS: usize = 1 << 21;
/// Where derivatives by theta alone are more, samples may add a part of that: they read all weights together.
const SHARE: usize = 4;
/// Plans that are kept, and how many of them a worker keeps the arrays of.
const PLANS_MAX: usize = 24;
const MEMORIES_MAX: usize = 6;

const GRADIENT: Wanted = Wanted::Derivatives { grad: true, hvp: false };

/// Says of which network, and of what of it, there is too much.
pub(crate) fn short(who: &str, what: &str, shortage: Shortage) -> Error {
    let Error { code, text } = shortage.into();
    Error { code, text: format!("{who}: {what} {text}") }
}

/// A network with its objective and what feeds it.
pub(crate) struct Network {
    model: Arc<dyn Model>,
    term: DataTerm,
    slots: Slots,
    /// Samples a chunk; `None` where all are one.
    chunk: Option<usize>,
    /// Parts of theta, block by block.
    blocks: Vec<Range<usize>>,
    programs: Vec<Program>,
}

/// A plan for so many samples.
struct Program {
    n: usize,
    wanted: Wanted,
    judge: Option<Judge>,
    plan: Plan,
}

/// The arrays of the plans that a worker ran last.
#[derive(Default)]
pub(crate) struct Memories<T> {
    all: Vec<(u64, Memory<T>)>,
}

impl<T: Real> Memories<T> {
    fn of(&mut self, plan: &Plan) -> &mut Memory<T> {
        let number = plan.number();
        let found = self.all.iter().position(|(of, _)| *of == number);
        let index = found.unwrap_or_else(|| {
            if self.all.len() == MEMORIES_MAX {
                self.all.remove(0);
            }
            self.all.push((number, Memory::default()));
            self.all.len() - 1
        });
        &mut self.all[index].1
    }
}

impl Network {
    /// Matches a model with its data; messages call it `who`.
    pub(crate) fn new(who: &str, model: Arc<dyn Model>, term: DataTerm, data: &mut Dataset) -> Result<Network, Error> {
        let example = model.network(2)?;
        let slots = Slots::matched(who, &*model, &example, term, data)?;
        let block = |start: u64, shape: &[u64]| start as usize..(start + shape.iter().product::<u64>()) as usize;
        let blocks = model.parameters().iter().map(|of| block(of.offset, &of.shape)).collect();
        let mut network = Network { model, term, slots, chunk: None, blocks, programs: Vec::new() };
        let numbers = if example.is_joint {
            network.program(2, GRADIENT)?.plan.numbers()
        } else {
            let (chunk, numbers) = network.fitting()?;
            network.chunk = Some(chunk);
            numbers
        };
        // As f32, and as few samples as it can be run for: who asks for more is told when it is.
        memory::afford(memory::bytes_of::<f32>(numbers)).map_err(|shortage| short(who, "a step of it", shortage))?;
        Ok(network)
    }

    /// Whether predictions can be right or wrong.
    pub(crate) fn has_accuracy(&self) -> bool {
        self.slots.aim == Aim::Classes || self.term == DataTerm::BinaryCrossEntropy
    }

    /// The largest power of two whose arrays stay near the cache, at least 1, and how many numbers they then hold.
    fn fitting(&self) -> Result<(usize, usize), Error> {
        let [few, more] = [2, 4].map(|n| self.program(n, GRADIENT).map(|program| program.plan.numbers()));
        let (few, more) = (few?, more?);
        let each = (more.saturating_sub(few) / 2).max(1);
        let fixed = few.saturating_sub(2 * each);
        let room = CHUNK_NUMBERS.saturating_sub(fixed).max(fixed / SHARE);
        let count = (room / each).clamp(1, self.most());
        let chunk = 1 << count.ilog2();
        Ok((chunk, fixed.saturating_add(each.saturating_mul(chunk))))
    }

    /// The most samples a chunk: long columns for the products, but two chunks of a usual minibatch, for two workers, and so
    /// few samples that one layer of one chunk takes well below the 100 ms between polls of the cancel token.
    fn most(&self) -> usize {
        match self.blocks.iter().map(Range::len).max() {
            Some(weights) if weights > 1 << 22 => 32,
            Some(weights) if weights > 1 << 20 => 64,
            Some(weights) if weights > 1 << 16 => 128,
            _ => 256,
        }
    }

    fn program(&self, n: usize, wanted: Wanted) -> Result<Program, Error> {
        let Problem { graph, losses, judged, gradient, product, .. } =
            Problem::new(&*self.model, self.term, self.slots.aim, n)?;
        let mut outputs = vec![losses];
        match wanted {
            Wanted::Derivatives { grad, hvp } => {
                outputs.extend(gradient.into_iter().filter(|_| grad));
                outputs.extend(product.into_iter().filter(|_| hvp));
            }
            Wanted::Verdict => outputs.extend(judged.map(|(predictions, _)| predictions)),
        }
        Ok(Program { n, wanted, judge: judged.map(|(_, judge)| judge), plan: Plan::new(&graph, &outputs)? })
    }

    fn chunk(&self, n: usize) -> usize {
        self.chunk.unwrap_or(n).max(1)
    }

    /// The samples of piece `t` of `n`.
    fn samples(&self, n: usize, t: usize) -> Range<usize> {
        let first = t * self.chunk(n);
        first..n.min(first + self.chunk(n))
    }

    fn prepared(&self, count: usize, wanted: Wanted) -> Result<&Program, Error> {
        let found = self.programs.iter().find(|program| program.n == count && program.wanted == wanted);
        found.ok_or_else(|| Error::argument("not prepared for this many samples"))
    }

    /// Lays out the samples `ids`, or all; memory of an earlier filling is reused.
    pub(crate) fn lay_out<T: Real>(
        &self,
        samples: &Samples,
        ids: Option<&[u64]>,
        host: Host<'_>,
        laid: &mut Laid<T>,
    ) -> Result<(), Error> {
        self.slots.lay_out(samples, ids, host, laid)
    }

    /// Makes ready for passes over `n` samples laid out.
    pub(crate) fn prepare(&mut self, n: usize, wanted: Wanted) -> Result<(), Error> {
        let chunk = self.chunk(n);
        for count in [chunk.min(n), n % chunk] {
            let is_there = |program: &Program| program.n == count && program.wanted == wanted;
            if count == 0 || self.programs.iter().any(is_there) {
                continue;
            }
            if self.programs.len() == PLANS_MAX {
                self.programs.remove(0);
            }
            let program = self.program(count, wanted)?;
            self.programs.push(program);
        }
        Ok(())
    }

    /// Into how many pieces `n` samples are cut; this depends on the network only.
    pub(crate) fn pieces(&self, n: usize) -> usize {
        n.div_ceil(self.chunk(n))
    }

    /// Runs the plan of a piece and hands on its results.
    fn run<'a, T: Real>(
        &self,
        Piece { laid, t }: Piece<'_, T>,
        wanted: Wanted,
        memories: &'a mut Memories<T>,
        (theta, direction): (&[T], &[T]),
        stop: &dyn Fn() -> bool,
    ) -> Result<&'a Memory<T>, Error> {
        let samples = self.samples(laid.n, t);
        let plan = &self.prepared(samples.len(), wanted)?.plan;
        let inputs = self.slots.inputs(laid, samples);
        let memory = memories.of(plan);
        plan.run(memory, Sources { inputs: inputs.all(), theta, direction }, stop)?;
        Ok(memory)
    }

    /// `out` becomes, or grows by, `scale` times the outputs from `first` on, which are blocks of theta.
    fn collect<T: Real>(&self, memory: &Memory<T>, first: usize, scale: f64, add: bool, out: &mut [T]) {
        for (k, range) in self.blocks.iter().enumerate() {
            add_scaled_to(&mut out[range.clone()], add, scale, memory.output(first + k));
        }
    }

    /// The sum of losses over a piece; derivatives of that sum over all samples go to `out`. Cancelled once `stop` says so.
    pub(crate) fn pass<T: Real>(
        &self,
        piece: Piece<'_, T>,
        memories: &mut Memories<T>,
        theta: &[T],
        out: Derivatives<'_, T>,
        stop: &dyn Fn() -> bool,
    ) -> Result<f64, Error> {
        let scale = 1.0 / piece.laid.n as f64;
        let direction = out.hvp.as_ref().map_or(&[][..], |(direction, _)| direction);
        let memory = self.run(piece, out.wanted(), memories, (theta, direction), stop)?;
        let mut first = 1;
        if let Some(grad) = out.grad {
            self.collect(memory, first, scale, out.add, grad);
            first += self.blocks.len();
        }
        if let Some((_, hvp)) = out.hvp {
            self.collect(memory, first, scale, out.add, hvp);
        }
        Ok(total(memory.output(0)))
    }

    /// How well a piece is met.
    pub(crate) fn judge<T: Real>(
        &self,
        Piece { laid, t }: Piece<'_, T>,
        memories: &mut Memories<T>,
        theta: &[T],
    ) -> Result<Verdict, Error> {
        let memory = self.run(Piece { laid, t }, Wanted::Verdict, memories, (theta, &[]), &|| false)?;
        let samples = self.samples(laid.n, t);
        let judge = self.prepared(samples.len(), Wanted::Verdict)?.judge;
        let (loss, scores) = (total(memory.output(0)), memory.output(1));
        // Behind the features stand labels or targets, where there are predictions to judge.
        let inputs = self.slots.inputs(laid, samples);
        let (correct, predictions) = match (judge, inputs.all().last()) {
            (Some(Judge::Largest { classes }), Some(SlotValues::Index(labels))) => {
                let rows = scores.chunks_exact(classes).zip(*labels);
                let is_right = |(row, label): (&[T], &i64)| is_largest(row.iter().map(|x| x.to_f64()), *label as usize);
                (rows.filter(|(row, label)| is_right((row, label))).count(), labels.len())
            }
            (Some(Judge::Side { threshold }), Some(SlotValues::Real(targets))) => {
                let is_right = |x: &T, target: &T| is_on_side(x.to_f64(), threshold, target.to_f64());
                (scores.iter().zip(*targets).filter(|(x, target)| is_right(x, target)).count(), targets.len())
            }
            _ => (0, 0),
        };
        Ok(Verdict { loss, correct, predictions })
    }
}

fn total<T: Real>(values: &[T]) -> f64 {
    values.iter().map(|x| x.to_f64()).sum()
}
