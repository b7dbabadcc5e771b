//! Any network: its samples cut into chunks of one size, each run through a plan of the whole problem, from the inputs
//! to the losses and their derivatives.
//!
//! The size of a chunk depends on the network only: as many samples as keep a worker's arrays near the cache. Of a network
//! whose samples see each other all samples are one chunk.

use crate::batch::{Mean, Outputs, Piece, Verdict, Wanted};
use crate::graph::{Input, Memory, Plan, Sources};
use crate::real::Real;
use crate::sums::add_scaled_to;
use mountainpass_network::graph::op::{Element, Op, Values};
use mountainpass_network::graph::{Graph, Id, evaluate};
use mountainpass_network::judge::{Judge, is_largest, is_on_side};
use mountainpass_network::model::{Feature, Model};
use mountainpass_network::problem::{Aim, Problem};
use mountainpass_network::{DataTerm, Dataset, Feed, Layout, Objective, Samples, Targets};
use mountainpass_sdk::memory::{self, Shortage};
use mountainpass_sdk::{Error, Host};
use std::ops::Range;
use std::sync::Arc;

/// The buffers of a chunk hold no more numbers than this, if more than one sample stands in it.
const CHUNK_NUMBERS: usize = 1 << 21;
const CHUNK_MAX: usize = 256;
/// How many times smaller the arrays of the samples may be than those of many parameters.
const SAMPLES_PART: usize = 4;
/// Inputs and targets together.
const SLOTS_MAX: usize = 16;
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
    objective: Objective,
    aim: Aim,
    /// How many factors a sample has, if it has any.
    factors: Option<usize>,
    slots: Vec<Slot>,
    /// Samples a chunk; `None` where all are one.
    chunk: Option<usize>,
    /// Parts of theta, block by block.
    blocks: Vec<Range<usize>>,
    programs: Vec<Program>,
}

/// What stands in one input of the graph.
struct Slot {
    from: From,
    element: Element,
    /// Of one sample.
    size: usize,
}

enum From {
    Feed(Feed),
    Targets,
    Factors,
}

/// A plan for so many samples.
struct Program {
    n: usize,
    wanted: Wanted,
    judge: Option<Judge>,
    plan: Plan,
}

impl Network {
    /// Whether nothing looks at the targets.
    pub(crate) fn leaves_targets(&self) -> bool {
        self.aim == Aim::Nothing && !self.slots.iter().any(|slot| matches!(slot.from, From::Targets))
    }

    /// Matches a model with its data; messages call it `who`.
    pub(crate) fn new(
        who: &str,
        model: Arc<dyn Model>,
        objective: Objective,
        data: &mut Dataset,
    ) -> Result<Network, Error> {
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
        let output = example.graph.shape(example.output);
        let aim = data.aim(who, &objective, output.get(1..).unwrap_or_default())?;
        let features = model.features();
        // A loss with an input that no array feeds takes the targets there.
        let is_target = |feature: &Feature| {
            let is_lone = aim == Aim::Nothing && features.len() > 1 && data.train.targets.is_some();
            is_lone && data.inputs.iter().all(|input| input.name != feature.name)
        };
        let fed: Vec<Feature> = features.iter().filter(|feature| !is_target(feature)).cloned().collect();
        let mut feeds = data.feeds(who, &fed)?.into_iter();
        let mut slots = Vec::new();
        for feature in features {
            let size = feature.shape.iter().product();
            let from = match is_target(feature) {
                true => From::Targets,
                false => From::Feed(feeds.next().ok_or_else(|| Error::argument("an input without data"))?),
            };
            slots.push(Slot { from, element: feature.element, size });
        }
        let targets = data.train.targets.as_ref().map_or(0, Targets::per_sample);
        if let Some(slot) = slots.iter().find(|slot| matches!(slot.from, From::Targets) && slot.size != targets) {
            let size = slot.size;
            return Err(Error::argument(format!(
                "{who} takes {size} targets a sample, but {} has {targets}",
                data.name
            )));
        }
        if let Some(feature) = features.iter().find(|feature| is_target(feature)) {
            data.lie_as(who, &feature.shape)?;
        }
        match aim {
            Aim::Nothing => {}
            Aim::Classes => slots.push(Slot { from: From::Targets, element: Element::Index, size: targets }),
            Aim::Numbers => slots.push(Slot { from: From::Targets, element: Element::Real, size: targets }),
        }
        let factors = data.train.factors.as_ref().map(|factors| factors.len() / data.train.n.max(1));
        slots.extend(factors.map(|size| Slot { from: From::Factors, element: Element::Real, size }));
        if slots.len() > SLOTS_MAX {
            return Err(Error::unsupported(format!("{who} has more than {} inputs", SLOTS_MAX - 1)));
        }
        check_tables(&example.graph, who, &slots, data)?;
        let block = |start: u64, shape: &[u64]| start as usize..(start + shape.iter().product::<u64>()) as usize;
        let blocks = model.parameters().iter().map(|block_| block(block_.offset, &block_.shape)).collect();
        let is_single = few == 1 && !is_joint;
        let mut network = Network { model, objective, aim, factors, slots, chunk: None, blocks, programs: Vec::new() };
        let numbers = if is_joint {
            network.program(few, GRADIENT)?.plan.numbers()
        } else if is_single {
            network.chunk = Some(1);
            network.program(1, GRADIENT)?.plan.numbers()
        } else {
            let (chunk, numbers) = network.fitting()?;
            network.chunk = Some(chunk);
            numbers
        };
        // As f32, and as few samples as it can be run for: who asks for more is told when it is.
        memory::afford(memory::bytes_of::<f32>(numbers)).map_err(|shortage| short(who, "a step of it", shortage))?;
        Ok(network)
    }

    /// What targets are.
    pub(crate) fn aim(&self) -> Aim {
        self.aim
    }

    /// Whether predictions can be right or wrong.
    pub(crate) fn has_accuracy(&self) -> bool {
        self.aim == Aim::Classes || self.objective.data == DataTerm::BinaryCrossEntropy
    }

    /// The largest power of two whose arrays stay near the cache, at least 1, and how many numbers they then hold. Where
    /// parameters alone fill the cache, so many that these are not read for every sample: samples get a part of the room
    /// that parameters take.
    fn fitting(&self) -> Result<(usize, usize), Error> {
        let [few, more] = [2, 4].map(|n| self.program(n, GRADIENT).map(|program| program.plan.numbers()));
        let (few, more) = (few?, more?);
        let each = (more.saturating_sub(few) / 2).max(1);
        let fixed = few.saturating_sub(2 * each);
        let room = CHUNK_NUMBERS.saturating_sub(fixed).max(fixed / SAMPLES_PART);
        let count = (room / each).clamp(1, CHUNK_MAX);
        let chunk = 1 << count.ilog2();
        Ok((chunk, fixed.saturating_add(each.saturating_mul(chunk))))
    }

    fn program(&self, n: usize, wanted: Wanted) -> Result<Program, Error> {
        let Problem { graph, losses, judged, gradient, product, .. } =
            Problem::new(&*self.model, &self.objective, (self.aim, self.factors), n)?;
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

    /// The first sample of piece `t` of `n`, and how many there are.
    fn samples(&self, n: usize, t: usize) -> (usize, usize) {
        let first = t * self.chunk(n);
        (first, self.chunk(n).min(n - first))
    }

    fn prepared(&self, count: usize, wanted: Wanted) -> Result<&Program, Error> {
        let found = self.programs.iter().find(|program| program.n == count && program.wanted == wanted);
        found.ok_or_else(|| Error::argument("not prepared for this many samples"))
    }

    /// Runs the plan of piece `t` and hands on its results.
    fn run<'a, T: Real>(
        &self,
        Piece { laid, n, t, host }: Piece<'_, Laid<T>>,
        wanted: Wanted,
        scratch: &'a mut Scratch<T>,
        (theta, direction): (&[T], &[T]),
        stop: &dyn Fn() -> bool,
    ) -> Result<&'a Memory<T>, Error> {
        let (first, count) = self.samples(n, t);
        let plan = &self.prepared(count, wanted)?.plan;
        let mut inputs = [Input::Real(&[][..]); SLOTS_MAX];
        for ((input, slot), array) in inputs.iter_mut().zip(&self.slots).zip(&laid.arrays) {
            let range = first * slot.size..(first + count) * slot.size;
            *input = match slot.element {
                Element::Real => Input::Real(&array.reals[range]),
                Element::Index => Input::Index(&array.indices[range]),
            };
        }
        let memory = scratch.of(plan);
        // Samples that see each other are one piece: whoever is free shares its steps.
        let host = self.chunk.is_none().then_some(host);
        plan.run_on(host, memory, Sources { inputs: &inputs[..self.slots.len()], theta, direction }, stop)?;
        Ok(memory)
    }

    /// `out` becomes, or grows by, `scale` times the outputs from `first` on, which are blocks of theta.
    fn collect<T: Real>(&self, memory: &Memory<T>, first: usize, scale: f64, add: bool, out: &mut [T]) {
        for (k, range) in self.blocks.iter().enumerate() {
            add_scaled_to(&mut out[range.clone()], add, scale, memory.output(first + k));
        }
    }
}

/// Refuses indices in the data that are no rows of the tables they go to.
fn check_tables(graph: &Graph, who: &str, slots: &[Slot], data: &Dataset) -> Result<(), Error> {
    // Whether it depends on the samples, and then for how many the graph is: an axis of so many may be theirs.
    let mut samples: Vec<Option<usize>> = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        samples.push(match &node.op {
            Op::Input { shape, .. } => shape.first().copied(),
            _ => node.args.iter().find_map(|id| samples[id.index()]),
        });
        let Op::Gather { axis, .. } = node.op else { continue };
        if samples[node.args[0].index()] == Some(graph.shape(node.args[0])[axis]) {
            continue;
        }
        let slot = source(graph, node.args[1]).and_then(|slot| Some((slot, slots.get(slot)?)));
        if let Some((slot, Slot { from: From::Feed(feed), size, .. })) = slot {
            let places = reached(graph, node.args[1], slot, *size)?;
            data.check_rows((feed, &places), who, graph.shape(node.args[0])[axis])?;
        }
    }
    Ok(())
}

/// The slot that indices come from unchanged.
fn source(graph: &Graph, id: Id) -> Option<usize> {
    let node = graph.node(id);
    match node.op {
        Op::Input { slot, .. } => Some(slot),
        Op::Reshape(_) | Op::Transpose(_) | Op::Slice { .. } | Op::Broadcast(_) => source(graph, node.args[0]),
        // A known choice among them; what indices choose is not.
        Op::Gather { .. } if matches!(graph.node(node.args[1]).op, Op::Constant(_)) => source(graph, node.args[0]),
        _ => None,
    }
}

/// Which numbers of a sample get to a node that takes them from a slot unchanged: with its place for every number, the
/// graph itself says.
fn reached(graph: &Graph, id: Id, slot: usize, size: usize) -> Result<Vec<bool>, Error> {
    let mut inputs = vec![Values::Index(Vec::new()); slot + 1];
    let count = graph.nodes().iter().find_map(|node| match &node.op {
        Op::Input { slot: of, shape, .. } if *of == slot => Some(shape.iter().product::<usize>()),
        _ => None,
    });
    inputs[slot] = Values::Index((0..count.unwrap_or(0) as i64).collect());
    let sources = evaluate::Sources { inputs: &inputs, theta: &[], direction: &[] };
    let mut is_reached = memory::filled(false, size)?;
    if let [Values::Index(places)] = &evaluate::evaluate(graph, sources, &[id])?[..] {
        places.iter().for_each(|place| is_reached[*place as usize % size] = true);
    }
    Ok(is_reached)
}

/// Samples one after the other, slot by slot.
#[derive(Default)]
pub(crate) struct Laid<T> {
    arrays: Vec<Array<T>>,
}

/// The one of both that the slot wants.
#[derive(Default)]
struct Array<T> {
    reals: Vec<T>,
    indices: Vec<i64>,
}

/// The arrays of the plans that a worker ran last.
#[derive(Default)]
pub(crate) struct Scratch<T> {
    memories: Vec<(u64, Memory<T>)>,
}

impl<T: Real> Scratch<T> {
    fn of(&mut self, plan: &Plan) -> &mut Memory<T> {
        let number = plan.number();
        let found = self.memories.iter().position(|(of, _)| *of == number);
        let index = found.unwrap_or_else(|| {
            if self.memories.len() == MEMORIES_MAX {
                self.memories.remove(0);
            }
            self.memories.push((number, Memory::default()));
            self.memories.len() - 1
        });
        &mut self.memories[index].1
    }
}

impl Mean for Network {
    type Laid<T: Real> = Laid<T>;
    type Scratch<T: Real> = Scratch<T>;

    fn lay_out<T: Real>(
        &self,
        samples: &Samples,
        ids: Option<&[u64]>,
        host: Host<'_>,
        laid: &mut Laid<T>,
    ) -> Result<(), Error> {
        let n = ids.map_or(samples.n, <[u64]>::len);
        let id = |i: usize| ids.map_or(i, |ids| ids[i] as usize);
        laid.arrays.resize_with(self.slots.len(), Array::default);
        for (slot, array) in self.slots.iter().zip(&mut laid.arrays) {
            match slot.element {
                Element::Real => fill(slot, samples, id, T::from_f64, host, n, &mut array.reals)?,
                Element::Index => fill(slot, samples, id, |value| value as i64, host, n, &mut array.indices)?,
            }
        }
        Ok(())
    }

    fn prepare(&mut self, n: usize, wanted: Wanted) -> Result<(), Error> {
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

    fn pieces(&self, n: usize) -> usize {
        n.div_ceil(self.chunk(n))
    }

    fn pass<T: Real>(
        &self,
        piece: Piece<'_, Laid<T>>,
        scratch: &mut Scratch<T>,
        theta: &[T],
        out: Outputs<'_, T>,
        stop: &dyn Fn() -> bool,
    ) -> Result<f64, Error> {
        let scale = 1.0 / piece.n as f64;
        let wanted = Wanted::Derivatives { grad: out.grad.is_some(), hvp: out.hvp.is_some() };
        let direction = out.hvp.as_ref().map_or(&[][..], |(direction, _)| direction);
        let memory = self.run(piece, wanted, scratch, (theta, direction), stop)?;
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

    fn judge<T: Real>(
        &self,
        Piece { laid, n, t, host }: Piece<'_, Laid<T>>,
        scratch: &mut Scratch<T>,
        theta: &[T],
    ) -> Result<Verdict, Error> {
        let memory = self.run(Piece { laid, n, t, host }, Wanted::Verdict, scratch, (theta, &[]), &|| false)?;
        let (first, count) = self.samples(n, t);
        let judge = self.prepared(count, Wanted::Verdict)?.judge;
        let place = |from: fn(&From) -> bool| self.slots.iter().position(|slot| from(&slot.from));
        let aims = place(|from| matches!(from, From::Targets)).map(|at| (self.slots[at].size, &laid.arrays[at]));
        let (Some(judge), Some((size, aims))) = (judge, aims) else {
            return Ok(Verdict { loss: total(memory.output(0)), correct: 0, predictions: 0 });
        };
        let (range, scores) = (first * size..(first + count) * size, memory.output(1));
        // What counts for nothing is no prediction either.
        let factors =
            place(|from| matches!(from, From::Factors)).map(|at| (self.slots[at].size, &laid.arrays[at].reals));
        let counts = |i: usize| factors.is_none_or(|(each, factors)| factors[i * each / size].to_f64() != 0.0);
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

fn total<T: Real>(values: &[T]) -> f64 {
    values.iter().map(|x| x.to_f64()).sum()
}

/// Lays out `n` samples of a slot in parallel.
fn fill<T: Copy + Default + Send>(
    slot: &Slot,
    samples: &Samples,
    id: impl Fn(usize) -> usize + Sync,
    from: impl Fn(f64) -> T + Sync,
    host: Host<'_>,
    n: usize,
    out: &mut Vec<T>,
) -> Result<(), Error> {
    const BLOCK: usize = 256;
    memory::grow(out, n.saturating_mul(slot.size))?;
    let mut blocks: Vec<&mut [T]> = out[..n * slot.size].chunks_mut(BLOCK * slot.size.max(1)).collect();
    host.for_each(&mut blocks, |block, b, _| match (&slot.from, &samples.targets) {
        (From::Feed(feed), _) => feed.fill(samples, |i| id(b * BLOCK + i), Layout::Samples, &from, block),
        (From::Targets, Some(targets)) => {
            for (i, out) in block.chunks_exact_mut(slot.size).enumerate() {
                let first = id(b * BLOCK + i) * slot.size;
                out.iter_mut().enumerate().for_each(|(k, out)| *out = from(targets.get(first + k)));
            }
        }
        (From::Factors, _) => {
            let Some(factors) = &samples.factors else { return };
            for (i, out) in block.chunks_exact_mut(slot.size).enumerate() {
                let first = id(b * BLOCK + i) * slot.size;
                out.iter_mut().zip(&factors[first..]).for_each(|(out, factor)| *out = from(*factor));
            }
        }
        (From::Targets, None) => {}
    });
    Ok(())
}
