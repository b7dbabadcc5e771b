//! From a graph to steps: what moves elements becomes a view, what works element by element a chain, the rest a kernel
//! each; buffers are shared by arrays that are never alive together.

use super::lower::Lowering;
use super::run::Step;
use mountainpass_network::graph::op::{Element, Op, Shape, Unary, Values};
use mountainpass_network::graph::{Graph, Id};
use mountainpass_sdk::Error;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A graph made ready for running: an order of steps and the buffers they share.
///
/// Plans are independent of the element type and of threads; one worker runs one plan on one
/// [`Memory`](super::Memory).
#[derive(Debug)]
pub struct Plan {
    /// Tells plans apart.
    pub(super) number: u64,
    pub(super) steps: Vec<Step>,
    /// Sizes of the buffers of each kind.
    pub(super) reals: Vec<usize>,
    pub(super) indices: Vec<usize>,
    pub(super) constants: Vec<Source>,
    /// Slot, number of elements, kind.
    pub(super) inputs: Vec<(usize, usize, Element)>,
    /// The elements of theta and of the direction that are read.
    pub(super) theta: usize,
    pub(super) direction: usize,
    /// Buffer and number of elements of every output.
    pub(super) outputs: Vec<(usize, usize)>,
}

/// Known numbers.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Number(f64),
    Array(Arc<Values>),
}

/// A node of the graph as the plan changes it: arguments are places in the list of all nodes.
#[derive(Clone, Debug)]
pub(super) struct Local {
    pub op: Op,
    pub args: Vec<usize>,
    pub shape: Shape,
    pub element: Element,
    pub needed: bool,
    /// A product whose arguments are seen with their last two axes exchanged.
    pub turned: bool,
}

impl Local {
    /// Whether it works element by element.
    pub(super) fn is_each(&self) -> bool {
        matches!(self.op, Op::Unary(_) | Op::Binary(_) | Op::Select)
    }
}

impl Plan {
    /// Plans the computation of `outputs`, which hold reals.
    pub fn new(graph: &Graph, outputs: &[Id]) -> Result<Plan, Error> {
        static PLANS: AtomicU64 = AtomicU64::new(1);
        let outputs: Vec<usize> = outputs.iter().map(|id| id.index()).collect();
        let mut nodes: Vec<Local> = graph
            .nodes()
            .iter()
            .map(|node| Local {
                op: node.op.clone(),
                args: node.args.iter().map(|id| id.index()).collect(),
                shape: node.of.shape.clone(),
                element: node.of.element,
                needed: false,
                turned: false,
            })
            .collect();
        mark(&mut nodes, &outputs);
        rewrite(&mut nodes, &outputs);
        mark(&mut nodes, &outputs);
        let number = PLANS.fetch_add(1, Ordering::Relaxed);
        Lowering::new(&nodes).plan(&outputs, number)
    }

    /// Tells plans apart, for as long as the process lives.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How many numbers the buffers of a run hold.
    pub fn numbers(&self) -> usize {
        self.reals.iter().fold(0, |all, len| all.saturating_add(*len))
    }

    /// How many numbers a run takes in all: also known ones, and the kernels' scratch.
    pub(super) fn taken(&self) -> usize {
        let known = self.constants.iter().map(|source| match source {
            Source::Number(_) => 1,
            Source::Array(values) => values.len(),
        });
        let scratch = self.steps.iter().map(|step| step.kernel.scratch()).max().unwrap_or(0);
        known.chain([scratch, self.numbers()]).fold(0, usize::saturating_add)
    }

    /// What step `k` computes, in a few words; empty behind the last.
    pub fn describe(&self, k: usize) -> String {
        self.steps.get(k).map_or(String::new(), Step::describe)
    }

    /// The number of steps of a run.
    pub fn steps(&self) -> usize {
        self.steps.len()
    }
}

/// Marks what the outputs need.
fn mark(nodes: &mut [Local], outputs: &[usize]) {
    nodes.iter_mut().for_each(|node| node.needed = false);
    outputs.iter().for_each(|i| nodes[*i].needed = true);
    for i in (0..nodes.len()).rev() {
        if nodes[i].needed {
            for arg in nodes[i].args.clone() {
                nodes[arg].needed = true;
            }
        }
    }
}

/// Writes the same values in a form that runs better.
fn rewrite(nodes: &mut [Local], outputs: &[usize]) {
    let mut relus: HashMap<usize, usize> = HashMap::new();
    let mut users = vec![0usize; nodes.len()];
    outputs.iter().for_each(|i| users[*i] += 1);
    for (i, node) in nodes.iter().enumerate().filter(|(_, node)| node.needed) {
        node.args.iter().for_each(|arg| users[*arg] += 1);
        if node.op == Op::Unary(Unary::Relu) {
            relus.insert(node.args[0], i);
        }
    }
    for i in (0..nodes.len()).filter(|i| nodes[*i].needed).collect::<Vec<usize>>() {
        match nodes[i].op.clone() {
            // relu(x) > 0 where x > 0: then x itself need not be kept for the way back.
            Op::Unary(Unary::Step) => {
                if let Some(relu) = relus.get(&nodes[i].args[0]).filter(|relu| **relu < i) {
                    nodes[i].args[0] = *relu;
                }
            }
            // (A B)' = B' A', written where it is wanted.
            Op::Transpose(perm) => {
                let product = nodes[i].args[0];
                let rank = perm.len();
                let flips = rank >= 2
                    && perm[..rank - 2].iter().copied().eq(0..rank - 2)
                    && perm[rank - 2..] == [rank - 1, rank - 2];
                if flips && nodes[product].op == Op::MatMul && users[product] == 1 {
                    let args = nodes[product].args.clone();
                    // The factors are then seen transposed.
                    nodes[i].op = Op::MatMul;
                    nodes[i].args = vec![args[1], args[0]];
                    nodes[i].turned = true;
                }
            }
            _ => {}
        }
    }
}
