//! What stands in the inputs of a network's graph: its data matched with it, and samples laid out slot by slot.
//!
//! Slots are the model's features (the last of them a trunk's values, where there is one), then the targets, then the
//! factors of the losses.

use crate::executor::Input;
use crate::real::Real;
use mountainpass_network::graph::op::{Element, Op, Values};
use mountainpass_network::graph::{Graph, Id, evaluate};
use mountainpass_network::model::{Feature, Model, Network};
use mountainpass_network::problem::Aim;
use mountainpass_network::{Dataset, Feed, Layout, Objective, Samples, Targets};
use mountainpass_sdk::{Error, Host, memory};
use std::ops::Range;

/// Inputs, what is kept of them, targets and factors together.
pub(crate) const SLOTS_MAX: usize = 64;
/// Samples that one worker lays out at once.
const BLOCK: usize = 256;

/// What stands in one input of the graph.
pub(crate) struct Slot {
    pub from: From,
    pub element: Element,
    /// Of one sample.
    pub size: usize,
    /// Whether the network reads it; a trunk may do so instead.
    pub is_read: bool,
}

pub(crate) enum From {
    Feed(Feed),
    /// What a trunk computes of the features.
    Trunk,
    Targets,
    Factors,
}

/// All slots of a network.
pub(crate) struct Slots {
    pub all: Vec<Slot>,
    /// What targets are.
    pub aim: Aim,
    /// How many factors a sample has, if it has any.
    pub factors: Option<usize>,
}

impl Slots {
    /// Matches a model, its network for a few samples, with its data; messages call it `who`.
    pub(crate) fn matched(
        who: &str,
        (model, example): (&dyn Model, &Network),
        objective: &Objective,
        data: &mut Dataset,
    ) -> Result<Slots, Error> {
        let output = example.graph.shape(example.output);
        let aim = data.aim(who, objective, output.get(1..).unwrap_or_default())?;
        let features = model.features();
        // A loss with an input that no array feeds takes the targets there.
        let is_target = |feature: &Feature| {
            let is_lone = aim == Aim::Nothing && features.len() > 1 && data.train.targets.is_some();
            is_lone && data.inputs.iter().all(|input| input.name != feature.name)
        };
        let fed: Vec<Feature> = features.iter().filter(|feature| !is_target(feature)).cloned().collect();
        let mut feeds = data.feeds(who, &fed)?.into_iter();
        let slot = |from: From, element: Element, size: usize| Slot { from, element, size, is_read: true };
        let mut all = Vec::new();
        for feature in features {
            let from = match is_target(feature) {
                true => From::Targets,
                false => From::Feed(feeds.next().ok_or_else(|| Error::argument("an input without data"))?),
            };
            all.push(slot(from, feature.element, feature.shape.iter().product()));
        }
        let targets = data.train.targets.as_ref().map_or(0, Targets::per_sample);
        if let Some(slot) = all.iter().find(|slot| matches!(slot.from, From::Targets) && slot.size != targets) {
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
            Aim::Classes => all.push(slot(From::Targets, Element::Index, targets)),
            Aim::Numbers => all.push(slot(From::Targets, Element::Real, targets)),
        }
        let factors = data.train.factors.as_ref().map(|factors| factors.len() / data.train.n.max(1));
        all.extend(factors.map(|size| slot(From::Factors, Element::Real, size)));
        if all.len() > SLOTS_MAX {
            return Err(Error::unsupported(format!("{who} has more than {} inputs", SLOTS_MAX - 1)));
        }
        check_tables(&example.graph, who, &all, data)?;
        Ok(Slots { all, aim, factors })
    }

    /// Puts a trunk's values behind the features, of which the rest of the network reads what it still reads.
    pub(crate) fn insert(&mut self, features: usize, kept: &[Feature], rest: &Graph) {
        let reads =
            |slot: usize| rest.nodes().iter().any(|node| matches!(node.op, Op::Input { slot: of, .. } if of == slot));
        (0..features).for_each(|slot| self.all[slot].is_read = reads(slot));
        let slot = |of: &Feature| Slot {
            from: From::Trunk,
            element: of.element,
            size: of.shape.iter().product(),
            is_read: true,
        };
        self.all.splice(features..features, kept.iter().map(slot));
    }

    /// Lays out `n` samples in parallel, `id` of each its number among `samples`, in the slots that are `wanted`; what a
    /// trunk computes is left to it.
    pub(crate) fn fill<T: Real>(
        &self,
        (samples, id): (&Samples, impl Fn(usize) -> usize + Sync),
        wanted: impl Fn(usize) -> bool,
        host: Host<'_>,
        n: usize,
        laid: &mut Laid<T>,
    ) -> Result<(), Error> {
        laid.arrays.resize_with(self.all.len(), Array::default);
        let given = |k: usize, slot: &Slot| wanted(k) && !slot.is_kept();
        for (k, (slot, array)) in self.all.iter().zip(&mut laid.arrays).enumerate() {
            match slot.element {
                _ if !given(k, slot) => {}
                Element::Real => slot.fill(samples, &id, T::from_f64, host, n, &mut array.reals)?,
                Element::Index => slot.fill(samples, &id, |value| value as i64, host, n, &mut array.indices)?,
            }
        }
        Ok(())
    }

    /// Takes a trunk's values of some samples from where those of all are.
    pub(crate) fn gather<T: Real>(&self, ids: &[u64], whole: &Laid<T>, laid: &mut Laid<T>) -> Result<(), Error> {
        for (k, slot) in self.all.iter().enumerate().filter(|(_, slot)| slot.is_kept()) {
            let (from, to) = (&whole.arrays[k].reals, &mut laid.arrays[k].reals);
            memory::grow(to, ids.len().saturating_mul(slot.size))?;
            for (id, out) in ids.iter().zip(to.chunks_exact_mut(slot.size)) {
                let first = *id as usize * slot.size;
                out.copy_from_slice(&from[first..first + slot.size]);
            }
        }
        Ok(())
    }

    /// The slot of the targets, or of the factors.
    pub(crate) fn place(&self, is: fn(&From) -> bool) -> Option<usize> {
        self.all.iter().position(|slot| is(&slot.from))
    }
}

impl Slot {
    /// Whether a trunk fills it.
    pub(crate) fn is_kept(&self) -> bool {
        matches!(self.from, From::Trunk)
    }

    /// Lays out `n` samples.
    fn fill<T: Copy + Default + Send>(
        &self,
        samples: &Samples,
        id: impl Fn(usize) -> usize + Sync,
        from: impl Fn(f64) -> T + Sync,
        host: Host<'_>,
        n: usize,
        out: &mut Vec<T>,
    ) -> Result<(), Error> {
        memory::grow(out, n.saturating_mul(self.size))?;
        let mut blocks: Vec<&mut [T]> = out[..n * self.size].chunks_mut(BLOCK * self.size.max(1)).collect();
        host.for_each(&mut blocks, |block, b, _| {
            let id = |i: usize| id(b * BLOCK + i);
            match (&self.from, &samples.targets, &samples.factors) {
                (From::Feed(feed), ..) => feed.fill(samples, id, Layout::Samples, &from, block),
                (From::Targets, Some(targets), _) => self.copy(block, id, |at| from(targets.get(at))),
                (From::Factors, _, Some(factors)) => self.copy(block, id, |at| from(factors[at])),
                _ => {}
            }
        });
        Ok(())
    }

    /// Sample after sample, number by number.
    fn copy<T>(&self, block: &mut [T], id: impl Fn(usize) -> usize, number: impl Fn(usize) -> T) {
        for (i, out) in block.chunks_exact_mut(self.size).enumerate() {
            let first = id(i) * self.size;
            out.iter_mut().zip(first..).for_each(|(out, at)| *out = number(at));
        }
    }
}

/// Samples one after the other, slot by slot.
#[derive(Default)]
pub struct Laid<T> {
    pub(super) arrays: Vec<Array<T>>,
    /// Of which chunks of a trunk the values are there.
    pub(super) known: Vec<bool>,
}

/// The one of both that the slot wants.
#[derive(Default)]
pub(crate) struct Array<T> {
    pub reals: Vec<T>,
    pub indices: Vec<i64>,
}

impl<T: Real> Laid<T> {
    /// What a plan reads of some samples; of slots that are not laid out, nothing.
    pub(crate) fn inputs(&self, slots: &Slots, samples: Range<usize>) -> [Input<'_, T>; SLOTS_MAX] {
        let mut inputs = [Input::Real(&[][..]); SLOTS_MAX];
        for ((input, slot), array) in inputs.iter_mut().zip(&slots.all).zip(&self.arrays) {
            let range = samples.start * slot.size..samples.end * slot.size;
            *input = match slot.element {
                Element::Real => Input::Real(array.reals.get(range).unwrap_or_default()),
                Element::Index => Input::Index(array.indices.get(range).unwrap_or_default()),
            };
        }
        inputs
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
