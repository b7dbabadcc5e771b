//! Nodes as the lowering changes them: what nobody needs is left out, some are written in a form that runs better.

use mountainpass_network::graph::op::{Element, Op, Shape, Unary};
use std::collections::HashMap;

/// A node of the graph as the plan changes it: arguments are places in the list of all nodes.
#[derive(Clone, Debug)]
pub(crate) struct Local {
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
    pub(crate) fn is_each(&self) -> bool {
        matches!(self.op, Op::Unary(_) | Op::Binary(_) | Op::Select)
    }
}

/// Marks what the outputs need.
pub(crate) fn mark(nodes: &mut [Local], outputs: &[usize]) {
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
pub(crate) fn rewrite(nodes: &mut [Local], outputs: &[usize]) {
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
