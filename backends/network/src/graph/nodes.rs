//! The nodes of a graph, in the order of computation, equal ones once.

use super::op::{Element, Op};
use super::shape::Type;
use mountainpass_sdk::{Error, memory};
use std::collections::HashMap;

/// A node of one graph, and the array it computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(u32);

impl Id {
    /// Its place in [`Graph::nodes`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// An operator on earlier nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What is done.
    pub op: Op,
    /// To what.
    pub args: Vec<Id>,
    /// What comes of it.
    pub of: Type,
}

/// Operators in the order of computation.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    known: HashMap<(Op, Vec<Id>), Id>,
}

/// More nodes than any network has: unrolled recurrences are where they come from.
const NODES_MAX: usize = 1 << 22;
/// About what one takes with its lists, its entry among those known, and what an executor makes of it.
const NODE_BYTES: u64 = 1 << 10;

impl Graph {
    /// An empty graph.
    pub fn new() -> Graph {
        Graph::default()
    }

    /// All nodes; arguments stand before their users.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// One node.
    pub fn node(&self, id: Id) -> &Node {
        &self.nodes[id.index()]
    }

    /// The node at a place of [`nodes`](Graph::nodes).
    pub fn id(&self, index: usize) -> Id {
        debug_assert!(index < self.nodes.len());
        Id(index as u32)
    }

    /// The sizes of a node's array.
    pub fn shape(&self, id: Id) -> &[usize] {
        &self.node(id).of.shape
    }

    /// What a node's array holds.
    pub fn element(&self, id: Id) -> Element {
        self.node(id).of.element
    }

    /// Adds a node, or finds the one that does the same to the same.
    pub(super) fn add_node(&mut self, op: Op, args: Vec<Id>, of: Type) -> Result<Id, Error> {
        if let Some(id) = self.known.get(&(op.clone(), args.clone())) {
            return Ok(*id);
        }
        if self.nodes.len() >= NODES_MAX {
            return Err(Error::unsupported(format!("a network of more than {NODES_MAX} operators")));
        }
        self.room()?;
        let id = Id(self.nodes.len() as u32);
        self.known.insert((op.clone(), args.clone()), id);
        self.nodes.push(Node { op, args, of });
        Ok(id)
    }

    /// Asks for the memory of the nodes to come, wherever their list is about to double.
    fn room(&mut self) -> Result<(), Error> {
        if self.nodes.len() == self.nodes.capacity() {
            let more = self.nodes.len().max(1 << 10);
            memory::afford(Some(NODE_BYTES * (self.nodes.len() + more) as u64))?;
            memory::reserve(&mut self.nodes, more)?;
        }
        Ok(())
    }

    /// For every node whether one of `outputs` needs it.
    pub fn needed(&self, outputs: &[Id]) -> Vec<bool> {
        self.needed_behind(&vec![None; self.nodes.len()], outputs)
    }

    /// The same where some nodes are given.
    fn needed_behind(&self, given: &[Option<usize>], outputs: &[Id]) -> Vec<bool> {
        let mut needed = vec![false; self.nodes.len()];
        outputs.iter().for_each(|id| needed[id.index()] = true);
        for (i, node) in self.nodes.iter().enumerate().rev() {
            if needed[i] && given[i].is_none() {
                node.args.iter().for_each(|id| needed[id.index()] = true);
            }
        }
        needed
    }

    /// The same graph with nothing but what `outputs` need, and the outputs in it.
    pub fn pruned(&self, outputs: &[Id]) -> (Graph, Vec<Id>) {
        self.behind(&[], 0, outputs)
    }

    /// What `outputs` need once the nodes `cuts` are given, as inputs in the slots from `first` on; and the outputs in it.
    pub fn behind(&self, cuts: &[Id], first: usize, outputs: &[Id]) -> (Graph, Vec<Id>) {
        let mut given = vec![None; self.nodes.len()];
        cuts.iter().zip(first..).for_each(|(cut, slot)| given[cut.index()] = Some(slot));
        let needed = self.needed_behind(&given, outputs);
        let mut kept = Graph::new();
        let mut now = vec![Id(u32::MAX); self.nodes.len()];
        for (i, node) in self.nodes.iter().enumerate().filter(|(i, _)| needed[*i]) {
            let (op, args) = match given[i] {
                Some(slot) => {
                    let Type { shape, element } = node.of.clone();
                    (Op::Input { slot, shape, element }, Vec::new())
                }
                None => (node.op.clone(), node.args.iter().map(|arg| now[arg.index()]).collect()),
            };
            let id = Id(kept.nodes.len() as u32);
            now[i] = id;
            kept.known.insert((op.clone(), args.clone()), id);
            kept.nodes.push(Node { op, args, of: node.of.clone() });
        }
        (kept, outputs.iter().map(|id| now[id.index()]).collect())
    }
}
