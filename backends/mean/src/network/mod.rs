//! Any network: its samples cut into chunks of one size, each run through a plan of the whole problem, from the inputs
//! to the losses and their derivatives.
//!
//! The size of a chunk depends on the network only: as many samples as keep a worker's arrays near the cache. Of a network
//! whose samples see each other all samples are one chunk. What depends on inputs alone is a [`Trunk`]'s: the plans are then
//! those of the rest, cut into the chunks of the whole, so that the bits are those of the whole.

mod bent;
mod kinks;
mod plans;
mod programs;
mod rows;
mod slots;
#[cfg(test)]
mod tests;
mod trunk;

use crate::batch::{Ask, Mean, Outputs, Piece, Verdict, Wanted};
use crate::executor::{Executor, Input, Outcome, Plan, Sources};
use crate::kept::{Hands, Kept};
use crate::real::Real;
use crate::sums::add_scaled_to;
pub(crate) use kinks::{Asked, Found, Way};
use kinks::{Bend, Sites};
use mountainpass_network::hoist::Hoisted;
use mountainpass_network::judge::{Judge, is_largest, is_on_side};
use mountainpass_network::model::Model;
use mountainpass_network::problem::Aim;
use mountainpass_network::{DataTerm, Dataset, Objective, Samples};
use mountainpass_sdk::Error;
use mountainpass_sdk::memory::{self, Shortage};
use programs::{Memories, MemoryOf, Programs};
use slots::{From, Laid, SLOTS_MAX, Slots};
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use trunk::Trunk;

/// The buffers of a chunk hold no more numbers than this, if more than one sample stands in it.
const CHUNK_NUMBERS: usize = 1 << 21;
const CHUNK_MAX: usize = 256;
/// How many times smaller the arrays of the samples may be than those of many parameters.
const SAMPLES_PART: usize = 4;
const GRADIENT: Wanted = Wanted::Derivatives { grad: true, hvp: false };
const ALL: Wanted = Wanted::Derivatives { grad: true, hvp: true };

/// Says of which network, and of what of it, there is too much.
pub(crate) fn short(who: &str, what: &str, shortage: Shortage) -> Error {
    let Error { code, text } = shortage.into();
    Error { code, text: format!("{who}: {what} {text}") }
}

/// A network with its objective and what feeds it. Those of other ways share all else.
pub struct Network<E: Executor> {
    executor: Arc<E>,
    /// The rest of it, where it has a trunk.
    model: Arc<dyn Model>,
    trunk: Option<Arc<Trunk<E::Plan>>>,
    objective: Arc<Objective>,
    slots: Arc<Slots>,
    /// Samples a chunk; `None` where all are one.
    chunk: Option<usize>,
    /// Rows a run.
    rows: usize,
    /// Parts of theta, block by block.
    blocks: Arc<[Range<usize>]>,
    programs: Arc<Programs<E::Plan>>,
    /// What is run in passes.
    pub(crate) way: Way,
    /// Where its kinks stand, once that was asked.
    sites: Arc<OnceLock<Arc<Sites>>>,
}

impl<E: Executor> Network<E> {
    /// Whether nothing looks at the targets.
    pub(crate) fn leaves_targets(&self) -> bool {
        self.slots.aim == Aim::Nothing && self.slots.place(|from| matches!(from, From::Targets)).is_none()
    }

    /// Matches a model with its data; messages call it `who`. What depends on inputs alone is left to a trunk.
    pub(crate) fn new(
        who: &str,
        executor: E,
        model: Arc<dyn Model>,
        objective: Objective,
        data: &mut Dataset,
    ) -> Result<Network<E>, Error> {
        let (mut network, numbers) = Network::whole(who, executor, model, objective, data)?;
        network.hoist(data)?;
        network.rows = network.taken_rows()?;
        let numbers = numbers.max(network.trunk.as_ref().map_or(0, |trunk| trunk.numbers()));
        // As f32, and as few samples as it can be run for: who asks for more is told when it is.
        memory::afford(memory::bytes_of::<f32>(numbers)).map_err(|shortage| short(who, "a step of it", shortage))?;
        Ok(network)
    }

    /// The network without a trunk, and how many numbers a step of it holds.
    fn whole(
        who: &str,
        executor: E,
        model: Arc<dyn Model>,
        objective: Objective,
        data: &mut Dataset,
    ) -> Result<(Network<E>, usize), Error> {
        let few = model.only().map_or(2, |(only, _)| only);
        let example = model.network(few)?;
        let is_joint = example.is_joint;
        if let Some((only, reason)) = model.only().filter(|(only, _)| is_joint && *only != data.train.n) {
            let (name, n) = (&data.name, data.train.n);
            return Err(Error::unsupported(format!(
                "{who} was exported for batches of {only}, but {name} has {n} samples; take limit = {only}, or export it \
                 with a dynamic first axis ({reason})"
            )));
        }
        let slots = Slots::matched(who, (&*model, &example), &objective, data)?;
        let block = |start: u64, shape: &[u64]| start as usize..(start + shape.iter().product::<u64>()) as usize;
        let blocks = model.parameters().iter().map(|block_| block(block_.offset, &block_.shape)).collect();
        let is_single = few == 1 && !is_joint;
        let mut network = Network {
            executor: Arc::new(executor),
            model,
            trunk: None,
            objective: Arc::new(objective),
            slots: Arc::new(slots),
            chunk: None,
            rows: 1,
            blocks,
            programs: Arc::default(),
            way: Way::Plain,
            sites: Arc::default(),
        };
        let numbers = if is_joint {
            network.planned((few, 1), GRADIENT)?.plan.numbers()
        } else if is_single {
            network.chunk = Some(1);
            network.planned((1, 1), GRADIENT)?.plan.numbers()
        } else {
            let (chunk, numbers) = network.fitting()?;
            network.chunk = Some(chunk);
            numbers
        };
        Ok((network, numbers))
    }

    /// Leaves what depends on inputs alone to a trunk, where that is worth it.
    fn hoist(&mut self, data: &Dataset) -> Result<(), Error> {
        let features = self.model.features().len();
        let Some(rest) = Hoisted::new(self.model.clone())? else { return Ok(()) };
        if self.slots.all.len() + rest.kept().len() > SLOTS_MAX {
            return Ok(());
        }
        self.trunk = Trunk::new(&*self.executor, &rest, self.chunk, data)?.map(Arc::new);
        if let (Some(_), Some(slots)) = (&self.trunk, Arc::get_mut(&mut self.slots)) {
            let few = self.model.only().map_or(2, |(only, _)| only);
            slots.insert(features, rest.kept(), &rest.network(few)?.graph);
            self.model = Arc::new(rest);
        }
        Ok(())
    }

    /// How many rows a run takes.
    pub fn rows_a_run(&self) -> usize {
        self.rows
    }

    /// The number of samples of an example.
    fn few(&self) -> usize {
        self.model.only().map_or(2, |(only, _)| only)
    }

    /// What targets are.
    pub(crate) fn aim(&self) -> Aim {
        self.slots.aim
    }

    /// Whether predictions can be right or wrong.
    pub(crate) fn has_accuracy(&self) -> bool {
        self.slots.aim == Aim::Classes || self.objective.data == DataTerm::BinaryCrossEntropy
    }

    /// The largest power of two whose arrays stay near the cache, at least 1, and how many numbers they then hold. Where
    /// parameters alone fill the cache, so many that these are not read for every sample: samples get a part of the room
    /// that parameters take.
    fn fitting(&self) -> Result<(usize, usize), Error> {
        let [few, more] = [2, 4].map(|n| self.planned((n, 1), GRADIENT).map(|program| program.plan.numbers()));
        let (few, more) = (few?, more?);
        let each = (more.saturating_sub(few) / 2).max(1);
        let fixed = few.saturating_sub(2 * each);
        let room = CHUNK_NUMBERS.saturating_sub(fixed).max(fixed / SAMPLES_PART);
        let count = (room / each).clamp(1, CHUNK_MAX);
        let chunk = 1 << count.ilog2();
        Ok((chunk, fixed.saturating_add(each.saturating_mul(chunk))))
    }

    /// A plan of a few samples with every derivative, to be tried before data are seen.
    pub fn example(&self) -> Result<E::Plan, Error> {
        Ok(self.planned((self.few(), 1), ALL)?.plan)
    }

    /// The same network, run in another way.
    pub(crate) fn in_way(&self, way: Way) -> Network<E> {
        Network {
            executor: self.executor.clone(),
            model: self.model.clone(),
            trunk: self.trunk.clone(),
            objective: self.objective.clone(),
            slots: self.slots.clone(),
            chunk: self.chunk,
            rows: self.rows,
            blocks: self.blocks.clone(),
            programs: self.programs.clone(),
            way,
            sites: self.sites.clone(),
        }
    }

    fn chunk(&self, n: usize) -> usize {
        self.chunk.unwrap_or(n).max(1)
    }

    /// The first sample of piece `t` of `n`, and how many there are.
    fn samples(&self, n: usize, t: usize) -> (usize, usize) {
        let first = t * self.chunk(n);
        (first, self.chunk(n).min(n - first))
    }

    /// Whether some plan reads a slot: where the rest could not be told from the trunk in the graph of so many samples, the
    /// plan is that of the whole.
    fn reads(&self, slot: usize) -> bool {
        self.slots.all[slot].is_read || self.programs.reads(slot)
    }

    /// Runs the plan of piece `t` and hands on its results.
    fn run<'a, T: Real>(
        &self,
        Piece { laid, n, t, host, .. }: Piece<'_, Laid<T>>,
        (wanted, rows): (Wanted, usize),
        memories: &'a mut Memories<<E::Plan as Plan>::Memory<T>>,
        (theta, direction): (&[T], &[T]),
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<&'a <E::Plan as Plan>::Memory<T>, Error> {
        let (first, count) = self.samples(n, t);
        let program = self.prepared((count, rows), wanted)?;
        let plan = &program.plan;
        let inputs = laid.inputs(&self.slots, first..first + count);
        let inputs = &inputs[..self.slots.all.len()];
        let memory = memories.of(plan);
        // Samples that see each other are one piece: whoever is free shares its steps.
        let host = self.chunk.is_none().then_some(host);
        let bent: Vec<Vec<T>>;
        let mut all: Vec<Input<'_, T>>;
        let inputs = match &self.way {
            Way::Plain => inputs,
            way => {
                bent = way.inputs(first..first + count, n);
                all = inputs.to_vec();
                all.extend(bent.iter().map(|values| Input::Real(values)));
                &all
            }
        };
        plan.run(host, memory, Sources { inputs, theta, direction }, stop)?;
        Ok(memory)
    }

    /// `out` becomes, or grows by, `scale` times the outputs from `first` on, which are blocks of theta.
    fn collect<T: Real>(&self, memory: &impl Outcome<T>, first: usize, scale: f64, add: bool, out: &mut [T]) {
        self.collect_row(memory, (first, 0), scale, add, out);
    }

    /// The same of one row of several.
    fn collect_row<T: Real>(
        &self,
        memory: &impl Outcome<T>,
        (first, row): (usize, usize),
        scale: f64,
        add: bool,
        out: &mut [T],
    ) {
        for (k, range) in self.blocks.iter().enumerate() {
            let its = row * range.len()..(row + 1) * range.len();
            add_scaled_to(&mut out[range.clone()], add, scale, &memory.output(first + k)[its]);
        }
    }

    /// Hands on the derivatives of a row of a run; the first output behind them.
    fn derivatives<T: Real>(
        &self,
        memory: &impl Outcome<T>,
        row: usize,
        scale: f64,
        Outputs { grad, hvp, add }: Outputs<'_, T>,
    ) -> usize {
        let mut first = 1;
        for out in grad.into_iter().chain(hvp.map(|(_, hvp)| hvp)) {
            self.collect_row(memory, (first, row), scale, add, out);
            first += self.blocks.len();
        }
        first
    }
}

/// A mean that is a network's, whoever computes it.
pub trait Graphed: Mean {
    /// Who runs the network's graph.
    type Executor: Executor;

    /// The network: kinks are asked of it.
    fn network(&self) -> &Network<Self::Executor>;
}

impl<E: Executor> Graphed for Network<E> {
    type Executor = E;

    fn network(&self) -> &Network<E> {
        self
    }
}

impl<E: Executor> Mean for Network<E> {
    type Laid<T: Real> = Laid<T>;
    type Scratch<T: Real> = MemoryOf<E, T>;

    fn prepare(&self, n: usize, wanted: Wanted) -> Result<(), Error> {
        let chunk = self.chunk(n);
        let mut counts = [chunk.min(n), n % chunk].into_iter().filter(|count| *count > 0);
        counts.try_for_each(|count| self.prepared((count, 1), wanted).map(drop))
    }

    fn lay_out<T: Real>(&self, samples: &Samples, hands: Hands<'_>, laid: &mut Laid<T>) -> Result<(), Error> {
        if let Some(trunk) = &self.trunk {
            trunk.know((&self.slots, samples), None, hands, laid)?;
        }
        self.slots.fill((samples, |i| i), |slot| self.reads(slot), hands.host, samples.n, laid)
    }

    fn choose<T: Real>(
        &self,
        (samples, ids): (&Samples, &[u64]),
        hands: Hands<'_>,
        whole: &Kept<Laid<T>>,
        laid: &mut Laid<T>,
    ) -> Result<(), Error> {
        self.slots.fill((samples, |i| ids[i] as usize), |slot| self.reads(slot), hands.host, ids.len(), laid)?;
        let Some(trunk) = &self.trunk else { return Ok(()) };
        let known = whole.read(hands)?;
        if trunk.knows(samples.n, ids, &known.laid) {
            return self.slots.gather(ids, &known.laid, laid);
        }
        drop(known);
        trunk.know((&self.slots, samples), Some(ids), hands, &mut whole.write(hands)?.laid)?;
        self.slots.gather(ids, &whole.read(hands)?.laid, laid)
    }

    fn pieces(&self, n: usize) -> usize {
        n.div_ceil(self.chunk(n))
    }

    fn pass<T: Real>(
        &self,
        piece: Piece<'_, Laid<T>>,
        scratch: &mut MemoryOf<E, T>,
        theta: &[T],
        out: Outputs<'_, T>,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<f64, Error> {
        let (row, t, n) = (piece.row, piece.t, piece.n);
        let samples = self.samples(n, t);
        let scale = 1.0 / n as f64;
        let wanted = Wanted::Derivatives { grad: out.grad.is_some(), hvp: out.hvp.is_some() };
        let direction = out.hvp.as_ref().map_or(&[][..], |(direction, _)| direction);
        let memory = self.run(piece, (wanted, 1), &mut scratch.memories, (theta, direction), stop)?;
        let first = self.derivatives(memory, 0, scale, out);
        if let Way::Linear(asked) = &self.way {
            asked.take((row, t), (samples, n), scale, |k| f64s(memory.output(first + k)));
        }
        Ok(total(memory.output(0)))
    }

    fn at_once(&self) -> usize {
        if self.way.bend() == Bend::None { self.rows } else { 1 }
    }

    fn pass_rows<T: Real>(
        &self,
        piece: Piece<'_, Laid<T>>,
        scratch: &mut MemoryOf<E, T>,
        rows: Vec<Ask<'_, T>>,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), Error> {
        // Fewer than half are not worth a run of all.
        if 2 * rows.len() > self.rows {
            return self.pass_together(piece, scratch, rows, stop);
        }
        for Ask { theta, out, sum } in rows {
            *sum += self.pass(piece, scratch, theta, out, stop)?;
        }
        Ok(())
    }

    fn judge<T: Real>(
        &self,
        piece: Piece<'_, Laid<T>>,
        scratch: &mut MemoryOf<E, T>,
        theta: &[T],
    ) -> Result<Verdict, Error> {
        let Piece { laid, n, t, .. } = piece;
        let memory = self.run(piece, (Wanted::Verdict, 1), &mut scratch.memories, (theta, &[]), &|| false)?;
        let (first, count) = self.samples(n, t);
        let judge = self.prepared((count, 1), Wanted::Verdict)?.judge;
        let place = |is: fn(&From) -> bool| self.slots.place(is).map(|at| (self.slots.all[at].size, &laid.arrays[at]));
        let aims = place(|from| matches!(from, From::Targets));
        let (Some(judge), Some((size, aims))) = (judge, aims) else {
            return Ok(Verdict { loss: total(memory.output(0)), correct: 0, predictions: 0 });
        };
        let (range, scores) = (first * size..(first + count) * size, memory.output(1));
        // What counts for nothing is no prediction either.
        let factors = place(|from| matches!(from, From::Factors));
        let counts = |i: usize| factors.is_none_or(|(each, factors)| factors.reals[i * each / size].to_f64() != 0.0);
        let mut all = range.clone().zip(0..).filter(|(i, _)| counts(*i));
        let is_right = |(i, k): (usize, usize)| match judge {
            Judge::Largest { classes } => {
                let row = scores[k * classes..(k + 1) * classes].iter().map(|x| x.to_f64());
                is_largest(row, aims.indices[i] as usize)
            }
            Judge::Side { threshold } => is_on_side(scores[k].to_f64(), threshold, aims.reals[i].to_f64()),
        };
        let (mut correct, mut predictions) = (0, 0);
        all.by_ref().for_each(|at| {
            predictions += 1;
            correct += usize::from(is_right(at));
        });
        Ok(Verdict { loss: total(memory.output(0)), correct, predictions })
    }
}

/// As f64, where they are not.
fn f64s<T: Real>(values: &[T]) -> Vec<f64> {
    values.iter().map(|x| x.to_f64()).collect()
}

fn total<T: Real>(values: &[T]) -> f64 {
    values.iter().map(|x| x.to_f64()).sum()
}
