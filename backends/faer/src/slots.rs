//! What stands in the inputs of a network's graph: samples, and behind them what they should lead to.

use crate::graph::SlotValues;
use crate::real::Real;
use mountainpass_network::graph::op::{Element, Op};
use mountainpass_network::graph::{Graph, Id};
use mountainpass_network::model::{Feature, Model, Network};
use mountainpass_network::problem::Aim;
use mountainpass_network::{DataTerm, Dataset, Feed, Layout, Samples, Targets};
use mountainpass_sdk::{Error, Host, memory};
use std::ops::Range;

/// Inputs and targets together.
pub(crate) const SLOTS_MAX: usize = 16;

/// The inputs of a network's graph in their order, and what the network is to do with the last.
pub(crate) struct Slots {
    pub aim: Aim,
    all: Vec<Slot>,
}

struct Slot {
    filler: Filler,
    element: Element,
    /// Of one sample.
    size: usize,
}

enum Filler {
    Feed(Feed),
    Targets,
}

/// Samples one after the other, slot by slot.
#[derive(Default)]
pub(crate) struct Laid<T> {
    /// How many.
    pub n: usize,
    arrays: Vec<LaidArray<T>>,
}

/// The one of both that the slot wants.
#[derive(Default)]
struct LaidArray<T> {
    reals: Vec<T>,
    indices: Vec<i64>,
}

impl Slots {
    /// Matches a model, of which `example` is a network, with its data; messages call it `who`.
    pub(crate) fn matched(
        who: &str,
        model: &dyn Model,
        example: &Network,
        term: DataTerm,
        data: &mut Dataset,
    ) -> Result<Slots, Error> {
        let output = example.graph.shape(example.output);
        let aim = data.aim(who, term, output.get(1..).unwrap_or_default())?;
        let features = model.features();
        // A loss with an input that no array feeds takes the targets there.
        let is_target = |feature: &Feature| {
            let is_lone = aim == Aim::Nothing && features.len() > 1 && data.train.targets.is_some();
            is_lone && data.inputs.iter().all(|input| input.name != feature.name)
        };
        let fed: Vec<Feature> = features.iter().filter(|feature| !is_target(feature)).cloned().collect();
        let mut feeds = data.feeds(who, &fed)?.into_iter();
        let mut all = Vec::new();
        for feature in features {
            let size = feature.shape.iter().product();
            let filler = match is_target(feature) {
                true => Filler::Targets,
                false => Filler::Feed(feeds.next().ok_or_else(|| Error::argument("an input without data"))?),
            };
            all.push(Slot { filler, element: feature.element, size });
        }
        let targets = data.train.targets.as_ref().map_or(0, Targets::per_sample);
        if let Some(slot) = all.iter().find(|slot| matches!(slot.filler, Filler::Targets) && slot.size != targets) {
            let size = slot.size;
            return Err(Error::argument(format!(
                "{who} takes {size} targets a sample, but {} has {targets}",
                data.name
            )));
        }
        match aim {
            Aim::Nothing => {}
            Aim::Classes => all.push(Slot { filler: Filler::Targets, element: Element::Index, size: targets }),
            Aim::Numbers => all.push(Slot { filler: Filler::Targets, element: Element::Real, size: targets }),
        }
        if all.len() > SLOTS_MAX {
            return Err(Error::unsupported(format!("{who} has more than {} inputs", SLOTS_MAX - 1)));
        }
        let slots = Slots { aim, all };
        slots.check_tables(&example.graph, who, data)?;
        Ok(slots)
    }

    /// Refuses indices in the data that are no rows of the tables they go to.
    fn check_tables(&self, graph: &Graph, who: &str, data: &Dataset) -> Result<(), Error> {
        for node in graph.nodes() {
            let Op::Gather { axis } = node.op else { continue };
            let slot = source(graph, node.args[1]).and_then(|slot| self.all.get(slot));
            if let Some(Slot { filler: Filler::Feed(feed), .. }) = slot {
                data.check_rows(feed, who, graph.shape(node.args[0])[axis])?;
            }
        }
        Ok(())
    }

    /// Lays out the samples `ids`, or all; memory of an earlier filling is reused.
    pub(crate) fn lay_out<T: Real>(
        &self,
        samples: &Samples,
        ids: Option<&[u64]>,
        host: Host<'_>,
        laid: &mut Laid<T>,
    ) -> Result<(), Error> {
        let n = ids.map_or(samples.n, <[u64]>::len);
        let id = |i: usize| ids.map_or(i, |ids| ids[i] as usize);
        laid.arrays.resize_with(self.all.len(), LaidArray::default);
        for (slot, array) in self.all.iter().zip(&mut laid.arrays) {
            match slot.element {
                Element::Real => slot.fill(samples, id, T::from_f64, host, n, &mut array.reals)?,
                Element::Index => slot.fill(samples, id, |value| value as i64, host, n, &mut array.indices)?,
            }
        }
        laid.n = n;
        Ok(())
    }

    /// What a graph for these samples reads.
    pub(crate) fn inputs<'a, T: Real>(&self, laid: &'a Laid<T>, samples: Range<usize>) -> Inputs<'a, T> {
        let mut arrays = [SlotValues::Real(&[][..]); SLOTS_MAX];
        for ((input, slot), array) in arrays.iter_mut().zip(&self.all).zip(&laid.arrays) {
            let range = samples.start * slot.size..samples.end * slot.size;
            *input = match slot.element {
                Element::Real => SlotValues::Real(&array.reals[range]),
                Element::Index => SlotValues::Index(&array.indices[range]),
            };
        }
        Inputs { arrays, count: self.all.len() }
    }
}

/// By slot.
pub(crate) struct Inputs<'a, T> {
    arrays: [SlotValues<'a, T>; SLOTS_MAX],
    count: usize,
}

impl<'a, T> Inputs<'a, T> {
    pub(crate) fn all(&self) -> &[SlotValues<'a, T>] {
        &self.arrays[..self.count]
    }
}

impl Slot {
    /// Lays out `n` samples in parallel.
    fn fill<T: Copy + Default + Send>(
        &self,
        samples: &Samples,
        id: impl Fn(usize) -> usize + Sync,
        from: impl Fn(f64) -> T + Sync,
        host: Host<'_>,
        n: usize,
        out: &mut Vec<T>,
    ) -> Result<(), Error> {
        const BLOCK: usize = 256;
        memory::grow(out, n.saturating_mul(self.size))?;
        let mut blocks: Vec<&mut [T]> = out[..n * self.size].chunks_mut(BLOCK * self.size.max(1)).collect();
        host.for_each(&mut blocks, |block, b, _| match (&self.filler, &samples.targets) {
            (Filler::Feed(feed), _) => feed.fill(samples, |i| id(b * BLOCK + i), Layout::Samples, &from, block),
            (Filler::Targets, Some(targets)) => {
                for (i, out) in block.chunks_exact_mut(self.size).enumerate() {
                    let first = id(b * BLOCK + i) * self.size;
                    out.iter_mut().enumerate().for_each(|(k, out)| *out = from(targets.get(first + k)));
                }
            }
            (Filler::Targets, None) => {}
        });
        Ok(())
    }
}

/// The slot that indices come from unchanged.
fn source(graph: &Graph, id: Id) -> Option<usize> {
    let node = graph.node(id);
    match node.op {
        Op::Input { slot, .. } => Some(slot),
        Op::Reshape(_) | Op::Transpose(_) | Op::Slice { .. } => source(graph, node.args[0]),
        _ => None,
    }
}
