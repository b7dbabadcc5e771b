//! Which axes of an operator's arguments and result run together, as the letters of an einsum say it.
//!
//! A matrix product is `bmk, bkn -> bmn`: along `m` the result is the first argument's, along `k` both are summed up.
//! Every factor of every axis gets the letter that it runs under; what a symmetry demands is then asked letter by letter.

use super::axes::AxisClasses;
use super::classes::{Class, Occurrence};
use crate::graph::op::Op;
use crate::graph::{Graph, Id};
use std::collections::BTreeMap;

/// A letter: an axis, and which of several that share it.
pub type Letter = (usize, usize);

/// An operator's array and arguments, by the factors of their axes.
#[derive(Default)]
pub struct Lettered {
    /// The factors of the array that it computes.
    pub occurrences: Vec<Occurrence>,
    /// The letter of each.
    pub own: Vec<Letter>,
    /// The letters of the factors of each argument.
    pub args: Vec<Vec<Letter>>,
}

/// A graph with the classes of its axes and the letters of its operators.
pub struct Labels<'a> {
    pub graph: &'a Graph,
    pub axes: AxisClasses,
    nodes: Vec<Lettered>,
    /// By class: the nodes whose arrays carry it, and those that compute with such arrays.
    users: BTreeMap<Class, (Vec<Id>, Vec<Id>)>,
}

impl<'a> Labels<'a> {
    /// Of everything that `output` needs.
    pub fn of(graph: &'a Graph, output: Id) -> Labels<'a> {
        let axes = AxisClasses::of(graph, output);
        let needed = graph.needed(&[output]);
        let mut labels = Labels { graph, axes, nodes: Vec::new(), users: BTreeMap::new() };
        for (i, needed) in needed.into_iter().enumerate() {
            let lettered = if needed { labels.lettered(graph.id(i)) } else { Lettered::default() };
            labels.nodes.push(lettered);
            if needed {
                labels.use_at(graph.id(i));
            }
        }
        labels
    }

    /// A node's factors and letters.
    pub fn at(&self, id: Id) -> &Lettered {
        &self.nodes[id.index()]
    }

    /// The arrays that carry a class.
    pub fn carrying(&self, class: Class) -> &[Id] {
        self.users.get(&class).map_or(&[], |(carrying, _)| carrying)
    }

    /// The operators that make such an array or take one.
    pub fn using(&self, class: Class) -> &[Id] {
        self.users.get(&class).map_or(&[], |(_, using)| using)
    }

    /// The letters, in one array, under which a class runs there.
    pub fn letters<'s>(
        occurrences: &'s [Occurrence],
        letters: &'s [Letter],
        class: Class,
    ) -> impl Iterator<Item = Letter> + 's {
        let both = occurrences.iter().zip(letters);
        both.filter(move |(occurrence, _)| occurrence.class == class).map(|(_, letter)| *letter)
    }

    fn use_at(&mut self, id: Id) {
        let own = self.nodes[id.index()].occurrences.iter().map(|o| o.class);
        let args = self.graph.node(id).args.iter().flat_map(|arg| &self.nodes[arg.index()].occurrences);
        let (own, args): (Vec<Class>, Vec<Class>) = (own.collect(), args.map(|o| o.class).collect());
        for class in &own {
            push_once(&mut self.users.entry(*class).or_default().0, id);
        }
        for class in own.into_iter().chain(args) {
            push_once(&mut self.users.entry(class).or_default().1, id);
        }
    }

    fn lettered(&self, id: Id) -> Lettered {
        let (axes, node) = (&self.axes, self.graph.node(id));
        let occurrences = axes.occurrences(id);
        let given = |k: usize| &self.nodes[node.args[k].index()].occurrences;
        let rank = node.of.shape.len();
        // The outer factors of channels are the groups of a convolution, those within are inputs or outputs.
        let channel =
            |of: Id, o: &Occurrence, groups: usize, within: usize| match o.factor() < axes.outer(of, 3, groups) {
                true => (3, 0),
                false => (3, within),
            };
        let letter = |k: Option<usize>, o: &Occurrence| -> Letter {
            match (&node.op, k, o.axis) {
                (Op::Reshape(_), ..) => (0, 0),
                (Op::Transpose(perm), None, axis) => (perm[axis], 0),
                (Op::Concat(joined), None, axis) if axis == *joined => (axis, 1 + self.joined(id, axis, o)),
                (Op::Concat(joined), Some(k), axis) if axis == *joined => (axis, 1 + k),
                (Op::Gather { axis: along, shared }, k, axis) => {
                    let more = self.graph.shape(node.args[1]).len() - shared;
                    match k {
                        Some(0) => (axis, usize::from(axis == *along)),
                        Some(_) => (axis, if axis < *shared { 0 } else { 2 }),
                        None if axis < *along => (axis, 0),
                        None if axis < along + more => (axis - along + shared, 2),
                        None => (axis + 1 - more, 0),
                    }
                }
                (Op::Scatter { axis: along, shared, .. }, k, axis) => {
                    let more = self.graph.shape(node.args[1]).len() - shared;
                    match k {
                        Some(0) => (axis, 0),
                        Some(_) => (axis, 2),
                        None if axis <= *along => (axis, usize::from(axis == *along)),
                        None => (axis - 1 + more, 0),
                    }
                }
                (Op::MatMul, Some(0), axis) if axis + 1 == rank => (rank, 0),
                (Op::MatMul, Some(1), axis) if axis + 2 == rank => (rank, 0),
                (Op::Convolve { .. } | Op::ConvolveImage { .. }, Some(1), axis @ 0..=1) => (4 + axis, 0),
                (Op::Convolve { .. } | Op::ConvolveImage { .. }, Some(1), 2) => (3, 1),
                (Op::Convolve { groups, .. } | Op::ConvolveImage { groups, .. }, Some(1), _) => {
                    channel(node.args[1], o, *groups, 2)
                }
                (Op::Convolve { groups, .. }, Some(_), 3) => channel(node.args[0], o, *groups, 1),
                (Op::Convolve { groups, .. }, None, 3) => channel(id, o, *groups, 2),
                (Op::ConvolveImage { groups, .. }, Some(_), 3) => channel(node.args[0], o, *groups, 2),
                (Op::ConvolveImage { groups, .. }, None, 3) => channel(id, o, *groups, 1),
                (_, _, axis) => (axis, 0),
            }
        };
        let own = occurrences.iter().map(|o| letter(None, o)).collect();
        let args = (0..node.args.len()).map(|k| given(k).iter().map(|o| letter(Some(k), o)).collect()).collect();
        Lettered { occurrences, own, args }
    }

    /// Which argument a part of a joined axis comes from.
    fn joined(&self, id: Id, axis: usize, o: &Occurrence) -> usize {
        let starts = self.axes.starts(id, axis);
        let start = o.part().and_then(|part| starts.get(part).copied()).unwrap_or(0);
        let mut end = 0;
        let ends = self.graph.node(id).args.iter().map(|arg| {
            end += self.graph.shape(*arg)[axis];
            end
        });
        ends.take_while(|end| *end <= start).count()
    }
}

fn push_once(ids: &mut Vec<Id>, id: Id) {
    if ids.last() != Some(&id) {
        ids.push(id);
    }
}
