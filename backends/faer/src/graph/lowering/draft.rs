//! A plan in the making: where every node is seen, and the steps so far.

use super::node::Local;
use crate::graph::kernels::copy::Walk;
use crate::graph::reads::Source;
use crate::graph::step::{Kernel, Step};
use crate::graph::view::{Place, View};
use mountainpass_network::graph::op::Element;
use mountainpass_sdk::Error;

pub(crate) struct Draft<'a> {
    pub(crate) nodes: &'a [Local],
    pub(crate) users: Vec<Vec<usize>>,
    /// Nodes that every chain computes for itself.
    pub(crate) recomputed: Vec<bool>,
    /// Of every node that is lowered.
    pub(crate) views: Vec<Option<View>>,
    pub(crate) steps: Vec<Step>,
    /// Elements and kind of what steps write; places are numbers of values until buffers are shared out.
    pub(crate) values: Vec<(usize, Element)>,
    pub(crate) constants: Vec<Source>,
    pub(crate) inputs: Vec<(usize, usize, Element)>,
    pub(crate) theta: usize,
    pub(crate) direction: usize,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(nodes: &'a [Local]) -> Draft<'a> {
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

    /// A new value.
    pub(crate) fn value(&mut self, shape: &[usize], element: Element) -> usize {
        self.values.push((shape.iter().product(), element));
        self.values.len() - 1
    }

    /// Copies the view of a node into a value of its own, which stands for the node from now on.
    pub(crate) fn copied(&mut self, i: usize) -> Result<usize, Error> {
        let Local { shape, element, .. } = &self.nodes[i];
        let view = self.view(i)?;
        let kernel = Kernel::Copy(Walk::new(shape, &view.strides));
        Ok(self.step(i, kernel, *element, vec![view]))
    }

    /// Adds a step that computes a node.
    pub(crate) fn step(&mut self, i: usize, kernel: Kernel, element: Element, reads: Vec<View>) -> usize {
        let value = self.value(&self.nodes[i].shape, element);
        let len = self.values[value].0;
        self.views[i] = Some(View::dense(Place::Value(value), 0, &self.nodes[i].shape));
        let lengths = self.nodes[i].args.iter().map(|arg| self.nodes[*arg].shape.iter().product()).collect();
        self.steps.push(Step { kernel, element, reads, lengths, writes: vec![(value, len)] });
        value
    }

    /// The node in C order, copied if it is not.
    pub(crate) fn dense(&mut self, i: usize) -> Result<View, Error> {
        if !self.view(i)?.is_dense(&self.nodes[i].shape) {
            self.copied(i)?;
        }
        self.view(i)
    }
}
