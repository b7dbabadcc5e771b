//! Whether the samples of a batch see each other: the batch's axis, followed from the inputs to the output.
//!
//! The answer is a proof or none: what cannot be followed counts as seen. It decides whether a batch may be cut into
//! pieces, and whether a file that was written for one batch size may be read for another.

use super::op::{Op, Stride};
use super::{Graph, Id, Node};

/// Where the samples of a batch stand in an array.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trace {
    /// The array is the same for every batch.
    Without,
    Along(BatchAxis),
    /// Somewhere, or mixed.
    Mixed,
}

/// An axis whose places are counted by (outer, sample, inner): `before` is how many outer ones there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchAxis {
    pub axis: usize,
    pub before: usize,
}

impl Graph {
    /// Whether the first axis of `of` is that of all inputs, and no sample's part depends on another sample. Inputs of
    /// one sample prove nothing: ask for batches of two or more.
    pub fn is_samplewise(&self, of: Id) -> bool {
        let is_batch = |node: &Node| match &node.op {
            Op::Input { shape, .. } => shape.first() == self.shape(of).first(),
            _ => true,
        };
        self.batch_axis(of) == Some(BatchAxis { axis: 0, before: 1 }) && self.nodes().iter().all(is_batch)
    }

    /// Where in `of` the samples of all inputs stand, if nothing before it mixed them.
    pub(crate) fn batch_axis(&self, of: Id) -> Option<BatchAxis> {
        match self.traces(of)?[of.index()] {
            Trace::Along(place) => Some(place),
            _ => None,
        }
    }

    /// For every node up to `of` whether each sample's numbers stand together, sample after sample, and depend on no other.
    pub(crate) fn sample_first(&self, of: Id) -> Vec<bool> {
        let is_first = |trace: &Trace| *trace == Trace::Along(BatchAxis { axis: 0, before: 1 });
        let is_alone = self.nodes().iter().all(|node| match &node.op {
            Op::Input { shape, .. } => shape.first() == Some(&1),
            _ => true,
        });
        match self.traces(of) {
            Some(traces) => traces.iter().map(is_first).collect(),
            // One sample is the first and the last.
            None => vec![is_alone; of.index() + 1],
        }
    }

    /// The same for `n` samples, of which an input may hold several places each.
    pub(crate) fn batch_axis_of(&self, of: Id, n: usize) -> Option<BatchAxis> {
        let holds = |node: &Node| match &node.op {
            Op::Input { shape, .. } => shape.first().is_some_and(|size| size.is_multiple_of(n)),
            _ => true,
        };
        match self.nodes()[..=of.index()].iter().all(holds).then(|| self.followed(of, n))?[of.index()] {
            Trace::Along(place) => Some(place),
            _ => None,
        }
    }

    /// The samples of all inputs, followed up to `of`; `None` where inputs differ in their number, or have one.
    fn traces(&self, of: Id) -> Option<Vec<Trace>> {
        let size = |node: &Node| match &node.op {
            Op::Input { shape, .. } => Some(shape.first().copied().unwrap_or(0)),
            _ => None,
        };
        let mut sizes = self.nodes().iter().filter_map(size);
        let n = sizes.next().filter(|n| *n > 1)?;
        if sizes.any(|m| m != n) {
            return None;
        }
        Some(self.followed(of, n))
    }

    /// `n` samples, followed from the inputs, each of which holds them.
    fn followed(&self, of: Id, n: usize) -> Vec<Trace> {
        let mut traces: Vec<Trace> = Vec::with_capacity(of.index() + 1);
        for node in &self.nodes()[..=of.index()] {
            let trace = self.batch(node, &traces, n);
            traces.push(trace);
        }
        traces
    }

    fn batch(&self, node: &Node, known: &[Trace], n: usize) -> Trace {
        let args: Vec<Trace> = node.args.iter().map(|id| known[id.index()]).collect();
        if matches!(node.op, Op::Input { .. }) {
            return Trace::Along(BatchAxis { axis: 0, before: 1 });
        }
        if args.iter().all(|b| *b == Trace::Without) {
            return Trace::Without;
        }
        if args.contains(&Trace::Mixed) {
            return Trace::Mixed;
        }
        let from = |k: usize| self.shape(node.args[k]);
        // All that have the batch have it in one place.
        let mut places = args.iter().filter_map(|b| if let Trace::Along(place) = b { Some(*place) } else { None });
        let Some(BatchAxis { axis, before }) = places.next() else { return Trace::Mixed };
        let is_one = places.all(|other| other == BatchAxis { axis, before });
        let when =
            |holds: bool, axis: usize| if holds { Trace::Along(BatchAxis { axis, before }) } else { Trace::Mixed };
        let first = matches!(args.first(), Some(Trace::Along(_)));
        let second = matches!(args.get(1), Some(Trace::Along(_)));
        match &node.op {
            Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Broadcast(_) => when(is_one, axis),
            Op::OneHot { .. } | Op::ToReal | Op::ToIndex => when(true, axis),
            Op::Reshape(shape) => {
                let outer = from(0)[..axis].iter().product::<usize>() * before;
                let mut above = 1;
                for (axis, size) in shape.iter().enumerate() {
                    // The axis in which the outer places end holds the samples, all of them or none.
                    if above * size > outer {
                        let before = outer / above;
                        let fits = outer.is_multiple_of(above) && size.is_multiple_of(before * n);
                        return if fits { Trace::Along(BatchAxis { axis, before }) } else { Trace::Mixed };
                    }
                    above *= size;
                }
                Trace::Mixed
            }
            Op::Transpose(perm) => {
                perm.iter().position(|from| *from == axis).map_or(Trace::Mixed, |axis| when(true, axis))
            }
            Op::Slice { along, shape } => when(is_whole(&along[axis]) && shape[axis] == from(0)[axis], axis),
            Op::Place { along, shape } => when(is_whole(&along[axis]) && shape[axis] == from(0)[axis], axis),
            Op::Concat(by) => when(is_one && axis != *by, axis),
            &Op::Gather { axis: by, shared } => match (first, second) {
                (true, false) if axis < by => when(true, axis),
                (true, false) if axis > by => when(true, axis + from(1).len() - shared - 1),
                (false, true) if axis < shared => when(true, axis),
                (false, true) => when(true, by + axis - shared),
                (true, true) => when(is_one && axis < shared, axis),
                _ => Trace::Mixed,
            },
            &Op::Scatter { axis: by, shared, .. } => {
                let end = by + from(1).len() - shared;
                match (first, second) {
                    (true, true) => when(is_one && axis < shared, axis),
                    (true, false) if axis < by => when(true, axis),
                    (true, false) if axis >= end => when(true, axis + 1 - (end - by)),
                    (false, true) if axis < shared => when(true, axis),
                    _ => Trace::Mixed,
                }
            }
            Op::Sum(over) | Op::Largest(over) => when(!over.contains(&axis), axis),
            Op::Softmax | Op::LogSoftmax | Op::TopK { .. } => when(axis + 1 != from(0).len(), axis),
            Op::MatMul => {
                let rank = node.of.shape.len();
                let inner = (first && axis + 1 == rank) || (second && axis + 2 == rank);
                let both = first && second;
                when(is_one && !inner && (!both || axis + 2 < rank), axis)
            }
            Op::Convolve { .. } | Op::ConvolveImage { .. } => when(axis == 0 && !second, axis),
            Op::SumPool(_) | Op::SumUnpool { .. } | Op::PickMax(_) | Op::PlaceMax(_) => {
                when(is_one && (axis == 0 || axis == 3), axis)
            }
            _ => Trace::Mixed,
        }
    }
}

fn is_whole(by: &Stride) -> bool {
    *by == Stride { start: 0, step: 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::op::{Element, Values};
    use mountainpass_sdk::Error;

    /// Whether what `build` makes of an input of this shape treats its samples apart.
    fn apart(shape: &[usize], build: impl Fn(&mut Graph, Id) -> Result<Id, Error>) -> bool {
        let mut g = Graph::new();
        let x = g.input(0, shape.to_vec(), Element::Real).unwrap();
        let y = build(&mut g, x).unwrap();
        g.is_samplewise(y)
    }

    #[test]
    fn what_mixes_samples_is_told_from_what_does_not() {
        let heads = |g: &mut Graph, x: Id| {
            // [n, 4, 6] to [4, n * 2, 3] and back, as attention does.
            let turned = g.transpose(x, &[1, 0, 2])?;
            let merged = g.reshape(turned, vec![4, 6, 3])?;
            let apart = g.transpose(merged, &[1, 0, 2])?;
            let scores = g.flip(apart)?;
            let scores = g.matmul(apart, scores)?;
            let p = g.push(Op::Softmax, &[scores])?;
            let y = g.matmul(p, apart)?;
            let y = g.transpose(y, &[1, 0, 2])?;
            let y = g.reshape(y, vec![4, 3, 6])?;
            g.transpose(y, &[1, 0, 2])
        };
        assert!(apart(&[3, 4, 6], heads));
        // Places of a sample's own, and rows by them.
        let largest = |g: &mut Graph, x: Id| {
            let at = g.push(Op::TopK { count: 2 }, &[x])?;
            g.push(Op::Gather { axis: 2, shared: 2 }, &[x, at])
        };
        assert!(apart(&[3, 4, 6], largest));
        assert!(apart(&[3, 4, 6], |g, x| {
            let row = g.narrow(x, 2, 0, 1).and_then(|row| g.reshape(row, vec![3, 4]))?;
            let at = g.push(Op::ToIndex, &[row])?;
            let rows = g.push(Op::Gather { axis: 1, shared: 1 }, &[x, at])?;
            g.push(Op::Scatter { axis: 1, size: 5, shared: 1 }, &[rows, at])
        }));
        let constant = |g: &mut Graph, values: &[i64]| g.constant(vec![values.len()], Values::Index(values.to_vec()));
        assert!(apart(&[3, 4], |g, x| {
            let at = constant(g, &[1, 0, 3, 3])?;
            g.push(Op::Scatter { axis: 1, size: 5, shared: 0 }, &[x, at])
        }));
        assert!(!apart(&[3, 4], |g, x| {
            let at = constant(g, &[1, 0, 2])?;
            g.push(Op::Gather { axis: 0, shared: 0 }, &[x, at])
        }));
        assert!(!apart(&[3, 4], |g, x| {
            let at = constant(g, &[1, 0, 2])?;
            g.push(Op::Scatter { axis: 0, size: 3, shared: 0 }, &[x, at])
        }));
        assert!(!apart(&[3, 3], |g, x| g
            .flip(x)
            .and_then(|x| g.push(Op::TopK { count: 3 }, &[x]))
            .and_then(|at| { g.push(Op::ToReal, &[at]) })));
        assert!(!apart(&[3, 4], |g, x| g.sum(x, &[0]).and_then(|s| g.add(x, s))));
        assert!(!apart(&[3, 4], |g, x| g.flip(x).and_then(|t| g.matmul(x, t))));
        assert!(!apart(&[3, 4], |g, x| g.reshape(x, vec![4, 3])));
        assert!(!apart(&[3, 4], |g, x| g.flip(x).and_then(|t| g.push(Op::Softmax, &[t])).and_then(|t| g.flip(t))));
        assert!(!apart(&[3, 4], |g, x| g.narrow(x, 0, 1, 2)));
        assert!(!apart(&[3, 4], |g, x| g.reshape(x, vec![1, 12])));
        // Rows of a product, the samples in the middle: [4, n, 6] as [4 n, 6].
        assert!(apart(&[3, 4, 6], |g, x| {
            let turned = g.transpose(x, &[1, 0, 2])?;
            let w = g.parameter(0, vec![6, 2])?;
            let y = g.matmul(turned, w)?;
            g.transpose(y, &[1, 0, 2])
        }));
        assert!(!apart(&[3, 4, 6], |g, x| {
            let turned = g.transpose(x, &[1, 0, 2])?;
            g.reshape(turned, vec![3, 4, 6])
        }));
        assert!(apart(&[3, 4], |g, x| g.reshape(x, vec![3, 2, 2]).and_then(|y| g.sum(y, &[2]))));
    }
}
