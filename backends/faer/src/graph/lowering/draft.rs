//! A plan in the making: where every node is seen, and the steps so far.

use super::node::Node;
use crate::graph::kernels::copy::Walk;
use crate::graph::reads::Known;
use crate::graph::step::{Kernel, Step};
use crate::graph::view::{Storage, View};
use mountainpass_network::graph::op::Element;
use mountainpass_sdk::Error;

pub(crate) struct Draft<'a> {
    pub(crate) nodes: &'a [Node],
    pub(crate) users: Vec<Vec<usize>>,
    /// Nodes that every chain computes for itself.
    pub(crate) recomputed: Vec<bool>,
    /// Of every node that is lowered.
    pub(crate) views: Vec<Option<View>>,
    pub(crate) steps: Vec<Step>,
    /// Elements and kind of what steps write; places are numbers of values until buffers are shared out.
    pub(crate) values: Vec<(usize, Element)>,
    pub(crate) constants: Vec<Known>,
    pub(crate) inputs: Vec<(usize, usize, Element)>,
    pub(crate) theta: usize,
    pub(crate) direction: usize,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(nodes: &'a [Node]) -> Draft<'a> {
        let mut users = vec![Vec::new(); nodes.len()];
        for (i, node) in nodes.iter().enumerate().filter(|(_, node)| node.needed) {
            node.args.iter().for_each(|arg| users[*arg].push(i));
        }
        Draft {
            nodes,
            users,
            recomputed: Vec::new(),
            views: vec![None; nodes.len()],
            steps: Vec::new(),
            values: Vec::new(),
            constants: Vec::new(),
            inputs: Vec::new(),
            theta: 0,
            direction: 0,
        }
    }

    pub(crate) fn view(&self, i: usize) -> Result<View, Error> {
        self.views[i].clone().ok_or_else(|| Error::argument(format!("node {i} is used before it is computed")))
    }

    /// Copies the view of a node into a value of its own, which stands for the node from now on.
    pub(crate) fn copied(&mut self, i: usize) -> Result<usize, Error> {
        let view = self.view(i)?;
        let kernel = Kernel::Copy(Walk::new(&self.nodes[i].shape, &view.strides));
        Ok(self.step(&[i], kernel, vec![view]))
    }

    /// Adds a step that computes nodes, each into a value of its own, and returns the first of these. What is dense of
    /// `reads` are the first node's arguments.
    pub(crate) fn step(&mut self, of: &[usize], kernel: Kernel, reads: Vec<View>) -> usize {
        let nodes = self.nodes;
        let Node { element, args, .. } = &nodes[of[0]];
        let lengths = args.iter().map(|arg| nodes[*arg].shape.iter().product()).collect();
        let first = self.values.len();
        for &i in of {
            let shape = &nodes[i].shape;
            self.views[i] = Some(View::dense(Storage::Value(self.values.len()), 0, shape));
            self.values.push((shape.iter().product(), *element));
        }
        let writes = (first..self.values.len()).map(|value| (value, self.values[value].0)).collect();
        self.steps.push(Step { kernel, element: *element, reads, lengths, writes });
        first
    }

    /// The node in C order, copied if it is not.
    pub(crate) fn dense(&mut self, i: usize) -> Result<View, Error> {
        if !self.view(i)?.is_dense(&self.nodes[i].shape) {
            self.copied(i)?;
        }
        self.view(i)
    }
}
