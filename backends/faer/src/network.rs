//! Any network: its samples cut into chunks of one size, each run through a plan of the whole problem, from the inputs
//! to the losses and their derivatives.
//!
//! The size of a chunk depends on the network only: as many samples as keep a worker's arrays near the cache. Of a network
//! whose samples see each other all samples are one chunk. What depends on inputs alone is a [`Trunk`]'s: the plans are then
//! those of the rest, cut into the chunks of the whole, so that the bits are those of the whole.

use crate::batch::{Hands, Mean, Outputs, Piece, Verdict, Wanted};
use crate::graph::{Memory, Plan, Sources};
use crate::real::Real;
use crate::slots::{From, Laid, SLOTS_MAX, Slots};
use crate::sums::add_scaled_to;
use crate::trunk::Trunk;
use mountainpass_network::hoist::Hoisted;
use mountainpass_network::judge::{Judge, is_largest, is_on_side};
use mountainpass_network::model::Model;
use mountainpass_network::problem::{Aim, Problem};
use mountainpass_network::{DataTerm, Dataset, Objective, Samples};
use mountainpass_sdk::Error;
use mountainpass_sdk::memory::{self, Shortage};
use std::ops::Range;
use std::sync::Arc;

/// The buffers of a chunk hold no more numbers than this, if more than one sample stands in it.
const CHUNK_NUMBERS: usize = 1 << 21;
const CHUNK_MAX: usize = 256;
/// How many times smaller the arrays of the samples may be than those of many parameters.
const SAMPLES_PART: usize = 4;
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
    /// The rest of it, where it has a trunk.
    model: Arc<dyn Model>,
    trunk: Option<Trunk>,
    objective: Objective,
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

impl Network {
    /// Matches a model with its data; messages call it `who`. What depends on inputs alone is left to a trunk.
    pub(crate) fn new(
        who: &str,
        model: Arc<dyn Model>,
        objective: Objective,
        data: &mut Dataset,
    ) -> Result<Network, Error> {
        let (mut network, numbers) = Network::whole(who, model, objective, data)?;
        network.hoist(data)?;
        let numbers = numbers.max(network.trunk.as_ref().map_or(0, Trunk::numbers));
        // As f32, and as few samples as it can be run for: who asks for more is told when it is.
        memory::afford(memory::bytes_of::<f32>(numbers)).map_err(|shortage| short(who, "a step of it", shortage))?;
        Ok(network)
    }

    /// The network without a trunk, and how many numbers a step of it holds.
    fn whole(
        who: &str,
        model: Arc<dyn Model>,
        objective: Objective,
        data: &mut Dataset,
    ) -> Result<(Network, usize), Error> {
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
        let mut network = Network { model, trunk: None, objective, slots, chunk: None, blocks, programs: Vec::new() };
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
        Ok((network, numbers))
    }

    /// Leaves what depends on inputs alone to a trunk, where that is worth it.
    fn hoist(&mut self, data: &Dataset) -> Result<(), Error> {
        let features = self.model.features().len();
        let Some(rest) = Hoisted::new(self.model.clone())? else { return Ok(()) };
        if self.slots.all.len() + rest.kept().len() > SLOTS_MAX {
            return Ok(());
        }
        self.trunk = Trunk::new(&rest, self.chunk, data)?;
        if self.trunk.is_some() {
            let few = self.model.only().map_or(2, |(only, _)| only);
            self.slots.insert(features, rest.kept(), &rest.network(few)?.graph);
            self.model = Arc::new(rest);
        }
        Ok(())
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
            Problem::new(&*self.model, &self.objective, (self.slots.aim, self.slots.factors), n)?;
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
        let inputs = laid.inputs(&self.slots, first..first + count);
        let memory = scratch.of(plan);
        // Samples that see each other are one piece: whoever is free shares its steps.
        let host = self.chunk.is_none().then_some(host);
        plan.run_on(host, memory, Sources { inputs: &inputs[..self.slots.all.len()], theta, direction }, stop)?;
        Ok(memory)
    }

    /// `out` becomes, or grows by, `scale` times the outputs from `first` on, which are blocks of theta.
    fn collect<T: Real>(&self, memory: &Memory<T>, first: usize, scale: f64, add: bool, out: &mut [T]) {
        for (k, range) in self.blocks.iter().enumerate() {
            add_scaled_to(&mut out[range.clone()], add, scale, memory.output(first + k));
        }
    }
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

    fn lay_out<T: Real>(&self, samples: &Samples, hands: Hands<'_>, laid: &mut Laid<T>) -> Result<(), Error> {
        if let Some(trunk) = &self.trunk {
            trunk.know((&self.slots, samples), None, hands, laid)?;
        }
        self.slots.fill((samples, |i| i), |slot| self.slots.all[slot].is_read, hands.host, samples.n, laid)
    }

    fn choose<T: Real>(
        &self,
        (samples, ids): (&Samples, &[u64]),
        hands: Hands<'_>,
        whole: &mut Laid<T>,
        laid: &mut Laid<T>,
    ) -> Result<(), Error> {
        // Where the rest could not be told from the trunk in the graph of so many, the plan is that of the whole.
        let read = |slot: usize| self.slots.all[slot].is_read || self.programs.iter().any(|of| of.plan.reads(slot));
        self.slots.fill((samples, |i| ids[i] as usize), read, hands.host, ids.len(), laid)?;
        match &self.trunk {
            Some(trunk) => {
                trunk.know((&self.slots, samples), Some(ids), hands, whole)?;
                self.slots.gather(ids, whole, laid)
            }
            None => Ok(()),
        }
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

fn total<T: Real>(values: &[T]) -> f64 {
    values.iter().map(|x| x.to_f64()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mountainpass_network::graph::Graph;
    use mountainpass_network::graph::op::{Element, Op, Unary, Values, Window};
    use mountainpass_network::model::{Feature, OutputKind};
    use mountainpass_sdk::{Host, Parameter};

    /// An 8 x 8 image through a known convolution, relu, and products with theta; `is_joint`: its batch's mean taken off.
    struct Frozen {
        is_joint: bool,
        features: Vec<Feature>,
        parameters: Vec<Parameter>,
    }

    const CHANNELS: usize = 3;
    const WIDTH: usize = 64 * CHANNELS;
    const P: usize = WIDTH * 10;

    fn frozen(is_joint: bool) -> Arc<dyn Model> {
        let features = vec![Feature { name: "x".into(), shape: vec![64], element: Element::Real }];
        let shape = vec![WIDTH as u64, 10];
        let parameters = vec![Parameter { name: "w".into(), shape, offset: 0 }];
        Arc::new(Frozen { is_joint, features, parameters })
    }

    impl Model for Frozen {
        fn parameters(&self) -> &[Parameter] {
            &self.parameters
        }

        fn features(&self) -> &[Feature] {
            &self.features
        }

        fn is_weight(&self) -> &[bool] {
            &[true]
        }

        fn network(&self, n: usize) -> Result<mountainpass_network::model::Network, Error> {
            let mut graph = Graph::new();
            let x = graph.input(0, vec![n, 64], Element::Real)?;
            let x = graph.reshape(x, vec![n, 8, 8, 1])?;
            let taps = (0..9 * CHANNELS).map(|i| (i as f64).sin()).collect();
            let taps = graph.constant(vec![3, 3, 1, CHANNELS], Values::Real(taps))?;
            let window = Window { begin: [1; 2], end: [1; 2], ..Window::new([3; 2]) };
            let y = graph.push(Op::Convolve { window, groups: 1 }, &[x, taps])?;
            let y = graph.unary(Unary::Relu, y)?;
            let mut y = graph.reshape(y, vec![n, WIDTH])?;
            if self.is_joint {
                let mean = graph.mean(y, &[0])?;
                y = graph.sub(y, mean)?;
            }
            let w = graph.parameter(0, vec![WIDTH, 10])?;
            let output = graph.matmul(y, w)?;
            Ok(mountainpass_network::model::Network {
                graph,
                output,
                kind: OutputKind::Logits,
                is_joint: self.is_joint,
            })
        }

        fn start(&self, _: u64) -> Result<Vec<f64>, Error> {
            Ok((0..P).map(|i| (i as f64).cos() / 9.0).collect())
        }

        fn hash(&self) -> String {
            String::new()
        }
    }

    fn digits(limit: usize) -> Dataset {
        let mut data = Dataset::open("digits").unwrap();
        data.train.n = limit;
        data
    }

    /// The network whole, and with its trunk apart.
    fn both(is_joint: bool, data: &mut Dataset) -> [Network; 2] {
        let objective = || Objective::from(DataTerm::CrossEntropy);
        let (whole, _) = Network::whole("it", frozen(is_joint), objective(), data).unwrap();
        let apart = Network::new("it", frozen(is_joint), objective(), data).unwrap();
        assert!(apart.trunk.is_some() && whole.trunk.is_none());
        [whole, apart]
    }

    /// Loss, gradient and Hessian product, by their bits, and what is known of the trunk then.
    fn bits(network: &mut Network, data: &Dataset, ids: Option<&[u64]>) -> (Vec<u32>, Vec<bool>) {
        let n = ids.map_or(data.train.n, <[u64]>::len);
        network.prepare(n, Wanted::Derivatives { grad: true, hvp: true }).unwrap();
        let hands = Hands { host: Host::none(), cancel: None };
        let (mut whole, mut laid) = (Laid::default(), Laid::default());
        match ids {
            Some(ids) => network.choose((&data.train, ids), hands, &mut whole, &mut laid).unwrap(),
            None => network.lay_out(&data.train, hands, &mut laid).unwrap(),
        }
        let known = if ids.is_some() { whole.known } else { laid.known.clone() };
        let theta: Vec<f32> = network.model.start(0).unwrap().into_iter().map(|x| x as f32).collect();
        let (mut grad, mut hvp, mut scratch) = (vec![0.0; P], vec![0.0; P], Scratch::default());
        let mut loss = 0.0;
        for t in 0..network.pieces(n) {
            let piece = Piece { laid: &laid, n, t, host: Host::none() };
            let out = Outputs { grad: Some(&mut grad), hvp: Some((&theta, &mut hvp)), add: t > 0 };
            loss += network.pass(piece, &mut scratch, &theta, out, &|| false).unwrap();
        }
        let all = [loss as f32].into_iter().chain(grad).chain(hvp);
        (all.map(f32::to_bits).collect(), known)
    }

    #[test]
    fn a_trunk_apart_leaves_the_bits_alone() {
        let mut data = digits(1437);
        let [mut whole, mut apart] = both(false, &mut data);
        let (chunk, n) = (apart.chunk.unwrap(), data.train.n);
        assert!(n > chunk && n % chunk > 1, "several pieces, the last a part");
        assert_eq!(bits(&mut whole, &data, None).0, bits(&mut apart, &data, None).0);
        let ids: Vec<u64> = (0..2 * chunk as u64 + 5).map(|i| i * i % n as u64).collect();
        assert_eq!(bits(&mut whole, &data, Some(&ids)).0, bits(&mut apart, &data, Some(&ids)).0);
        // 33 would leave one sample alone.
        for n in [33, 100] {
            let mut data = digits(n);
            let [mut whole, mut apart] = both(true, &mut data);
            assert_eq!(bits(&mut whole, &data, None).0, bits(&mut apart, &data, None).0);
        }
    }

    #[test]
    fn a_minibatch_asks_the_trunk_for_no_more_than_its_chunks() {
        let mut data = digits(1437);
        let [_, mut apart] = both(false, &mut data);
        let chunk = apart.chunk.unwrap();
        let known = bits(&mut apart, &data, Some(&[2 * chunk as u64, 1, 3])).1;
        assert_eq!(known.iter().enumerate().filter(|(_, known)| **known).map(|(t, _)| t).collect::<Vec<_>>(), [0, 2]);
        // Nor for more than fits: then there is none.
        data.train.n = 1 << 27;
        assert!(Network::new("it", frozen(false), DataTerm::CrossEntropy.into(), &mut data).unwrap().trunk.is_none());
    }
}
