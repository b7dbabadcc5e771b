//! A unit of element-wise nodes, and of sums of what they compute, as one chain.

use super::draft::Draft;
use super::group::{Unit, unit_shape};
use crate::graph::kernels::chain::{Block, Chain, Function, Instruction, Sink};
use crate::graph::step::{Kernel, Step};
use crate::graph::view::{Place, View};
use mountainpass_network::graph::op::{Element, Op};
use mountainpass_sdk::Error;
use std::collections::{HashMap, HashSet};

/// The unit's nodes and what they recompute, in order, and which of them are kept.
struct Members {
    all: Vec<usize>,
    stored: HashSet<usize>,
}

impl Draft<'_> {
    /// Lowers a unit to one step; to none if other chains recompute all of it.
    pub(crate) fn chain(&mut self, unit: &Unit, wanted: &[bool]) -> Result<(), Error> {
        let nodes = self.nodes;
        let shape = unit_shape(nodes, unit[0]);
        let Members { all, stored } = self.members(unit, wanted);
        let mut last_use: HashMap<usize, usize> = HashMap::new();
        for &i in &all {
            // Sums are taken when the whole block is there.
            let until = if nodes[i].is_each() { i } else { usize::MAX };
            nodes[i].args.iter().for_each(|arg| {
                let last = last_use.entry(*arg).or_insert(until);
                *last = until.max(*last);
            });
        }
        let (mut reads, mut read_of): (Vec<View>, HashMap<usize, usize>) = (Vec::new(), HashMap::new());
        let mut code = Vec::with_capacity(all.len());
        let mut place: HashMap<usize, Block> = HashMap::new();
        let (mut free, mut scratch) = (Vec::new(), 0);
        let (mut outputs, mut sinks, mut sums) = (Vec::new(), Vec::new(), Vec::new());
        for &i in &all {
            let mut args = [Block::Read(0); 3];
            for (slot, arg) in args.iter_mut().zip(&nodes[i].args) {
                *slot = match (place.get(arg), read_of.get(arg)) {
                    (Some(block), _) => *block,
                    (None, Some(k)) => Block::Read(*k),
                    (None, None) => {
                        reads.push(self.seen(*arg, shape)?);
                        read_of.insert(*arg, reads.len() - 1);
                        Block::Read(reads.len() - 1)
                    }
                };
            }
            let f = match nodes[i].op {
                Op::Unary(f) => Function::Unary(f),
                Op::Binary(f) => Function::Binary(f),
                Op::Select => Function::Select,
                _ => {
                    sinks.push(Sink { from: args[0], count: nodes[i].shape.iter().product() });
                    sums.push(i);
                    continue;
                }
            };
            let to = if stored.contains(&i) {
                outputs.push(i);
                Block::Output(outputs.len() - 1)
            } else {
                Block::Scratch(free.pop().unwrap_or_else(|| {
                    scratch += 1;
                    scratch - 1
                }))
            };
            code.push(Instruction { f, to, args });
            place.insert(i, to);
            let mut done: Vec<usize> = nodes[i].args.iter().copied().filter(|arg| last_use[arg] == i).collect();
            done.sort_unstable();
            done.dedup();
            for arg in done {
                if let Some(Block::Scratch(k)) = place.get(&arg) {
                    free.push(*k);
                }
            }
        }
        if outputs.is_empty() && sinks.is_empty() {
            return Ok(());
        }
        let chain = Chain::new(shape, &reads, code, scratch, sinks);
        let mut writes = Vec::with_capacity(outputs.len() + sums.len());
        for i in outputs.into_iter().chain(sums) {
            let value = self.value(&nodes[i].shape, Element::Real);
            writes.push((value, self.values[value].0));
            self.views[i] = Some(View::dense(Place::Value(value), 0, &nodes[i].shape));
        }
        let (kernel, element) = (Kernel::Chain(chain), Element::Real);
        self.steps.push(Step { kernel, element, reads, lengths: Vec::new(), writes });
        Ok(())
    }

    /// What is kept of a unit, and all that this takes.
    fn members(&self, unit: &Unit, wanted: &[bool]) -> Members {
        let nodes = self.nodes;
        let is_inside = |i: usize| unit.binary_search(&i).is_ok();
        let is_kept =
            |i: &usize| !self.recomputed[*i] && nodes[*i].is_each() && (wanted[*i] || self.is_read(*i, &is_inside));
        let stored: HashSet<usize> = unit.iter().copied().filter(is_kept).collect();
        let mut stack: Vec<usize> =
            unit.iter().copied().filter(|i| stored.contains(i) || !nodes[*i].is_each()).collect();
        let mut all: HashSet<usize> = HashSet::new();
        while let Some(i) = stack.pop() {
            if all.insert(i) {
                stack.extend(nodes[i].args.iter().filter(|arg| is_inside(**arg) || self.recomputed[**arg]));
            }
        }
        let mut all: Vec<usize> = all.into_iter().collect();
        all.sort_unstable();
        Members { all, stored }
    }

    /// Whether something outside reads the node, or computes what reads it again.
    fn is_read(&self, i: usize, is_inside: &impl Fn(usize) -> bool) -> bool {
        self.users[i].iter().any(|user| !is_inside(*user) || self.recomputed[*user] && self.is_read(*user, is_inside))
    }

    /// An argument as a chain of the shape reads it: a transposed array is turned once, in squares, rather than picked
    /// number by number.
    fn seen(&mut self, arg: usize, shape: &[usize]) -> Result<View, Error> {
        let view = self.view(arg)?;
        let first = view.strides.iter().rev().zip(shape.iter().rev()).find(|(_, size)| **size > 1);
        match first.map_or(1, |(stride, _)| *stride) {
            0 | 1 => Ok(view),
            _ => self.dense(arg),
        }
    }
}
