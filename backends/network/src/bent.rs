//! A problem whose kinks are bent: the losses of its samples and their derivatives, those by the kinks among them.

use crate::Objective;
use crate::graph::kinks::{Bend, Bent, Kink};
use crate::graph::op::{Element, Number, Op};
use crate::graph::samples::BatchAxis;
use crate::graph::{Graph, Id};
use crate::model::Model;
use crate::problem::{Aim, Terms, blocks, or_zeros};
use mountainpass_sdk::Error;

/// A problem whose kinks are bent, for one batch size.
#[derive(Clone, Debug)]
pub struct BentProblem {
    /// Of all that is listed below.
    pub graph: Graph,
    /// As in [`Problem`](crate::problem::Problem).
    pub losses: Id,
    /// Likewise.
    pub gradient: Vec<Id>,
    /// Likewise.
    pub product: Vec<Id>,
    /// One operation after the other.
    pub kinks: Vec<Kink>,
    /// The gradient of the sum of the losses by each kink's h.
    pub deltas: Vec<Id>,
    /// The gradient of a sum of all kinks' z, weighted by what stands behind the slots of the bend, block after block: a
    /// slot for each kink, of z's shape. Of linear kinks only.
    pub rows: Vec<Id>,
}

impl BentProblem {
    /// The problem of `n` samples that do not see each other, its kinks bent.
    pub fn new(
        model: &dyn Model,
        objective: &Objective,
        aim: (Aim, Option<usize>),
        n: usize,
        bend: Bend,
    ) -> Result<BentProblem, Error> {
        let Terms { graph, losses, is_joint, .. } = Terms::new(model, objective, aim, n)?;
        if is_joint {
            return Err(Error::unsupported("samples see each other: no kink is one sample's"));
        }
        let Bent { mut graph, of: losses, kinks } = graph.bent(losses, bend)?;
        let blocks = blocks(&mut graph, model)?;
        let seed = graph.fill_like(1.0, losses)?;
        let hs: Vec<Id> = kinks.iter().map(|kink| kink.h).collect();
        let found = graph.gradient(losses, seed, &[&blocks[..], &hs].concat())?;
        let (gradient, deltas) = found.split_at(blocks.len());
        let gradient = or_zeros(&mut graph, &blocks, gradient)?;
        let deltas = or_zeros(&mut graph, &hs, deltas)?;
        let rates = graph.rates(&gradient)?;
        let product = or_zeros(&mut graph, &blocks, &rates)?;
        let rows = match bend {
            Bend::Linear(_) => weighted(&mut graph, &kinks, weights(&kinks), &blocks)?,
            _ => Vec::new(),
        };
        Ok(BentProblem { graph, losses, gradient, product, kinks, deltas, rows })
    }
}

/// Where the kinks of one operation stand in its array.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Site {
    /// The slope below 0.
    pub alpha: f64,
    /// How many a sample has; those that no sample enters are all samples' together.
    pub each: usize,
    /// How many stand behind each other for a sample, before another sample's do.
    pub run: usize,
    /// Whether no sample enters.
    pub is_shared: bool,
}

impl Site {
    /// Where its element `e` of sample `i` of `n` stands.
    pub fn at(&self, n: usize, i: usize, e: usize) -> usize {
        if self.is_shared { e } else { (e / self.run * n + i) * self.run + e % self.run }
    }

    /// How many numbers its array holds for `n` samples.
    pub fn count(&self, n: usize) -> usize {
        if self.is_shared { self.each } else { self.each * n }
    }
}

impl BentProblem {
    /// Where the kinks of a problem of `n` samples stand; their bend is that of kinks which are kept.
    pub fn sites(&self, n: usize) -> Result<Vec<Site>, Error> {
        let mut has_samples: Vec<bool> = Vec::with_capacity(self.graph.nodes().len());
        for node in self.graph.nodes() {
            let has = matches!(node.op, Op::Input { .. }) || node.args.iter().any(|id| has_samples[id.index()]);
            has_samples.push(has);
        }
        let site = |kink: &Kink| {
            let count = self.graph.shape(kink.z).iter().product::<usize>();
            let is_shared = !has_samples[kink.z.index()];
            if is_shared || n == 1 {
                return Ok(Site { alpha: kink.alpha, each: count, run: count.max(1), is_shared });
            }
            let (graph, of) = self.graph.pruned(&[kink.z]);
            let place = of.first().and_then(|of| Some((graph.batch_axis_of(*of, n)?, graph.shape(*of))));
            let Some((BatchAxis { axis, before }, shape)) = place else {
                return Err(Error::unsupported("kinks that cannot be told apart by samples"));
            };
            let outer = shape[..axis].iter().product::<usize>() * before;
            Ok(Site { alpha: kink.alpha, each: count / n, run: (count / n / outer).max(1), is_shared })
        };
        self.kinks.iter().map(site).collect()
    }
}

/// The slot of the first kink's weights, behind all slopes; those of the others follow in order.
pub fn weights(kinks: &[Kink]) -> usize {
    kinks.last().map_or(0, |kink| kink.slot + 1)
}

/// The gradient of the sum of all z, weighted by what stands in the slots from `first` on.
fn weighted(graph: &mut Graph, kinks: &[Kink], first: usize, blocks: &[Id]) -> Result<Vec<Id>, Error> {
    let mut sum = graph.push(Op::Fill(Number::new(0.0), vec![1]), &[])?;
    for (slot, kink) in (first..).zip(kinks) {
        let weight = graph.input(slot, graph.shape(kink.z).to_vec(), Element::Real)?;
        let product = graph.mul(weight, kink.z)?;
        let axes: Vec<usize> = (0..graph.shape(product).len()).collect();
        let total = graph.sum(product, &axes)?;
        let total = graph.reshape(total, vec![1])?;
        sum = graph.add(sum, total)?;
    }
    let seed = graph.fill_like(1.0, sum)?;
    let found = graph.gradient(sum, seed, blocks)?;
    or_zeros(graph, blocks, &found)
}
