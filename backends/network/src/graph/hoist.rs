//! What depends on the inputs alone, cut off from the rest: it is computed once a sample and not again for another theta.
//!
//! In: a graph and its output. Out: the nodes to cut it at, which stand for all before them. Cut is where a node that
//! depends on inputs and not on theta meets one that depends on theta, if the node's values are worth their memory: a
//! sample's stand together, apart from those of other samples, and the computing that they save is [`WORTH`]
//! operations for every number of them. Where a node is not, what it is made of is looked at in its place: behind a
//! frozen trunk that ends in a repetition the array before that is kept, of an image that is only turned nothing.

use super::op::{Element, Op, Unary};
use super::{Graph, Id};

/// Fewer operations than these are done again sooner than a number is read from memory.
const WORTH: usize = 16;
/// What an exponential or its like counts.
const FUNCTION: usize = 8;
/// Whoever is made of more nodes than these is worth keeping.
const NODES_MAX: usize = 1 << 10;

impl Graph {
    /// The nodes to cut at, in order; none where nothing before theta is worth keeping. A graph of one sample proves
    /// nothing about others: ask for two or more where there will be.
    pub fn cuts(&self, output: Id) -> Vec<Id> {
        let mut cutting = Cutting::new(self, output);
        let mut cuts: Vec<Id> =
            (0..self.nodes().len()).rev().filter(|i| cutting.keeps(*i)).map(|i| self.id(i)).collect();
        cuts.reverse();
        cuts
    }

    /// For every node whether it depends on inputs and on no parameter.
    pub fn of_inputs(&self) -> Vec<bool> {
        // What it depends on: inputs, theta.
        let mut of: Vec<[bool; 2]> = Vec::with_capacity(self.nodes().len());
        for node in self.nodes() {
            of.push(match node.op {
                Op::Input { .. } => [true, false],
                Op::Parameter { .. } | Op::Direction { .. } => [false, true],
                _ => node.args.iter().fold([false; 2], |all, arg| {
                    let arg = of[arg.index()];
                    [all[0] || arg[0], all[1] || arg[1]]
                }),
            });
        }
        of.iter().map(|of| *of == [true, false]).collect()
    }

    /// About how many operations a node takes; none where it only says where numbers stand.
    fn work(&self, i: usize) -> usize {
        let node = &self.nodes()[i];
        let count = |shape: &[usize]| shape.iter().product::<usize>();
        let (out, from) = (count(&node.of.shape), |k: usize| count(self.shape(node.args[k])));
        match &node.op {
            Op::Unary(Unary::Neg | Unary::Abs | Unary::Sign | Unary::Step | Unary::Relu) => out,
            Op::Unary(_) => FUNCTION.saturating_mul(out),
            Op::Binary(_) | Op::Select => out,
            Op::Sum(_) | Op::Largest(_) => from(0),
            Op::Softmax | Op::LogSoftmax | Op::TopK { .. } => FUNCTION.saturating_mul(from(0)),
            // As many products as one side has numbers for each row of the other.
            Op::MatMul => (2 * out).saturating_mul(self.shape(node.args[0]).last().copied().unwrap_or(1)),
            Op::Convolve { window, .. } => {
                let [.., inputs, _] = self.shape(node.args[1]) else { return 0 };
                (2 * out).saturating_mul(window.kernel.iter().product::<usize>() * inputs)
            }
            Op::ConvolveImage { window, .. } => {
                let [.., inputs, _] = self.shape(node.args[1]) else { return 0 };
                (2 * from(0)).saturating_mul(window.kernel.iter().product::<usize>() * inputs)
            }
            Op::ConvolveKernel { .. } => (2 * from(1)).saturating_mul(out),
            Op::SumPool(window) | Op::PickMax(window) => out.saturating_mul(window.kernel.iter().product()),
            Op::SumUnpool { window, .. } | Op::PlaceMax(window) => out.saturating_mul(window.kernel.iter().product()),
            _ => 0,
        }
    }
}

/// Whether an operator computes, or takes a part: for any number of samples it is a node, where one that only moves may
/// vanish.
pub(crate) fn computes(op: &Op) -> bool {
    !matches!(
        op,
        Op::Input { .. }
            | Op::Parameter { .. }
            | Op::Direction { .. }
            | Op::Constant(_)
            | Op::Fill(..)
            | Op::Reshape(_)
            | Op::Transpose(_)
            | Op::Broadcast(_)
    )
}

/// The nodes of a graph as they are looked at, from the last to the first.
struct Cutting<'a> {
    graph: &'a Graph,
    of_inputs: Vec<bool>,
    is_sample_first: Vec<bool>,
    /// What stands at the border, or is what something there is made of.
    wanted: Vec<bool>,
    /// By whom it was seen last.
    seen: Vec<usize>,
}

impl Cutting<'_> {
    fn new(graph: &Graph, output: Id) -> Cutting<'_> {
        let (of_inputs, needed) = (graph.of_inputs(), graph.needed(&[output]));
        let mut wanted = vec![false; needed.len()];
        wanted[output.index()] = of_inputs[output.index()];
        let behind = graph.nodes().iter().enumerate().filter(|(i, _)| needed[*i] && !of_inputs[*i]);
        for (_, node) in behind {
            node.args.iter().for_each(|arg| wanted[arg.index()] |= of_inputs[arg.index()]);
        }
        let is_sample_first = graph.sample_first(output);
        Cutting { graph, of_inputs, is_sample_first, wanted, seen: vec![usize::MAX; needed.len()] }
    }

    /// Whether a node is cut at; else what it is made of is wanted.
    fn keeps(&mut self, i: usize) -> bool {
        let keeps = self.wanted[i] && self.is_whole(i) && self.is_worth(i);
        if self.wanted[i] && !keeps {
            let args = &self.graph.nodes()[i].args;
            args.iter().for_each(|arg| self.wanted[arg.index()] |= self.of_inputs[arg.index()]);
        }
        keeps
    }

    /// Whether every sample has its numbers in one place.
    fn is_whole(&self, i: usize) -> bool {
        let node = &self.graph.nodes()[i];
        node.of.element == Element::Real && computes(&node.op) && self.is_sample_first[i]
    }

    /// Whether a node takes enough computing, not counting what is looked at for itself.
    fn is_worth(&mut self, node: usize) -> bool {
        let asked = WORTH.saturating_mul(self.graph.nodes()[node].of.shape.iter().product());
        let (mut done, mut count, mut stack) = (0usize, 0, vec![node]);
        while let Some(i) = stack.pop() {
            done = done.saturating_add(self.graph.work(i));
            count += 1;
            if done >= asked || count == NODES_MAX {
                return true;
            }
            for arg in self.graph.nodes()[i].args.iter().map(|arg| arg.index()) {
                let is_apart = self.wanted[arg] && self.is_whole(arg);
                if self.of_inputs[arg] && !is_apart && self.seen[arg] != node {
                    self.seen[arg] = node;
                    stack.push(arg);
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::evaluate::{Sources, evaluate};
    use crate::graph::op::{Stride, Values};
    use mountainpass_sdk::Error;

    /// Samples of each graph.
    const N: usize = 3;

    fn known(g: &mut Graph, shape: &[usize]) -> Result<Id, Error> {
        let count = shape.iter().product::<usize>();
        g.constant(shape.to_vec(), Values::Real((0..count).map(|i| (i * i % 7) as f64 - 3.0).collect()))
    }

    /// An input of 8 numbers through a product with known weights.
    fn trunk(g: &mut Graph, outputs: usize) -> Result<Id, Error> {
        let x = g.input(0, vec![N, 8], Element::Real)?;
        let weights = known(g, &[8, outputs])?;
        g.matmul(x, weights)
    }

    /// A product of theta with what depends on inputs.
    fn head(g: &mut Graph, x: Id) -> Result<Id, Error> {
        let w = g.parameter(0, vec![g.shape(x)[1], 2])?;
        g.matmul(x, w)
    }

    /// The graph that `build` writes, its output, and the operators that it is cut at.
    fn cut(build: impl Fn(&mut Graph) -> Result<Id, Error>) -> (Graph, Id, Vec<Op>) {
        let mut g = Graph::new();
        let output = build(&mut g).unwrap();
        let cuts = g.cuts(output).iter().map(|id| g.node(*id).op.clone()).collect();
        (g, output, cuts)
    }

    #[test]
    fn a_trunk_is_cut_behind_the_last_that_theta_does_not_enter() {
        let (.., cuts) = cut(|g| {
            let z = trunk(g, 4)?;
            let y = g.unary(Unary::Relu, z)?;
            head(g, y)
        });
        assert_eq!(cuts, [Op::Unary(Unary::Relu)]);
    }

    #[test]
    fn what_is_as_cheap_as_reading_it_is_not_kept() {
        let moved = |g: &mut Graph| {
            let x = g.input(0, vec![N, 8], Element::Real)?;
            let x = g.reshape(x, vec![N, 2, 4]).and_then(|x| g.transpose(x, &[0, 2, 1]))?;
            let x = g.scale(x, 0.5).and_then(|x| g.shift(x, -1.0))?;
            let x = g.reshape(x, vec![N, 8])?;
            head(g, x)
        };
        let chosen = |g: &mut Graph| {
            let x = g.input(0, vec![N], Element::Index)?;
            let x = g.push(Op::OneHot { classes: 5 }, &[x])?;
            head(g, x)
        };
        let alone = |g: &mut Graph| {
            let x = g.input(0, vec![N, 8], Element::Real)?;
            head(g, x)
        };
        assert_eq!([cut(moved).2, cut(chosen).2, cut(alone).2], [const { Vec::new() }; 3]);
    }

    #[test]
    fn an_array_is_kept_before_it_is_repeated_and_behind_what_takes_a_part() {
        let repeated = |g: &mut Graph| {
            let z = trunk(g, 1)?;
            let z = g.repeat(z, &[N, 6])?;
            head(g, z)
        };
        assert_eq!(cut(repeated).2, [Op::MatMul]);
        let part = Op::Slice { along: vec![Stride { start: 0, step: 1 }; 2], shape: vec![N, 2] };
        let parted = |g: &mut Graph| {
            let z = trunk(g, 9)?;
            let z = g.push(part.clone(), &[z])?;
            head(g, z)
        };
        assert_eq!(cut(parted).2, std::slice::from_ref(&part));
    }

    #[test]
    fn what_is_cheap_beside_what_is_kept_anyway_is_computed_again() {
        let (.., cuts) = cut(|g| {
            let z = trunk(g, 4)?;
            let square = g.mul(z, z)?;
            let (a, b) = (head(g, z)?, head(g, square)?);
            g.add(a, b)
        });
        assert_eq!(cuts, [Op::MatMul]);
    }

    #[test]
    fn samples_that_see_each_other_stay_behind_the_cut() {
        let (g, output, cuts) = cut(|g| {
            let z = trunk(g, 4)?;
            let mean = g.sum(z, &[0])?;
            let z = g.sub(z, mean)?;
            let weights = known(g, &[4, 4])?;
            let z = g.matmul(z, weights)?;
            head(g, z)
        });
        assert_eq!(cuts, [Op::MatMul]);
        // The first of the two products, not the second.
        assert_eq!(g.shape(g.node(g.cuts(output)[0]).args[0]), [N, 8]);
    }

    #[test]
    fn both_parts_compute_what_the_whole_does() {
        let (g, output, _) = cut(|g| {
            let z = trunk(g, 4)?;
            let y = g.unary(Unary::Tanh, z)?;
            let x = g.input(0, vec![N, 8], Element::Real)?;
            let (a, b) = (head(g, y)?, head(g, x)?);
            g.add(a, b)
        });
        let x = Values::Real((0..N * 8).map(|i| (i as f64).sin()).collect());
        let theta: Vec<f64> = (0..16).map(|i| (i as f64).cos()).collect();
        let run = |g: &Graph, inputs: &[Values], outputs: &[Id]| {
            evaluate(g, Sources { inputs, theta: &theta, direction: &[] }, outputs).unwrap()
        };
        let cuts = g.cuts(output);
        let (before, kept) = g.pruned(&cuts);
        let (behind, outputs) = g.behind(&cuts, 1, &[output]);
        let kept = run(&before, std::slice::from_ref(&x), &kept);
        let inputs = [&[x.clone()][..], &kept].concat();
        assert_eq!(cuts.len(), 1);
        assert_eq!(run(&behind, &inputs, &outputs), run(&g, &[x], &[output]));
        assert!(behind.nodes().iter().all(|node| node.op != Op::Unary(Unary::Tanh)));
    }
}
