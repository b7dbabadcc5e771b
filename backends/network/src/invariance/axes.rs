//! Which axes must be permuted together.
//!
//! Operators unite classes, split them, or freeze them where they tell places apart. What is frozen too often only costs
//! a symmetry, never makes a wrong one.

use super::classes::{Class, Classes, Factors, Freedom, Occurrence};
use crate::graph::op::Op;
use crate::graph::{Graph, Id, Node};

/// The classes of all axes of a graph.
pub struct AxisClasses {
    classes: Classes,
    /// By node, by axis.
    nodes: Vec<Vec<Factors>>,
    /// By node: whether it holds one known number everywhere. Such an array belongs to nobody: equal ones are one
    /// node, wherever they are used, and must not tie their users together.
    uniform: Vec<bool>,
}

impl AxisClasses {
    /// Follows the axes of everything that `output` needs.
    pub fn of(graph: &Graph, output: Id) -> AxisClasses {
        let count = graph.nodes().len();
        let mut axes = AxisClasses {
            classes: Classes::default(),
            nodes: Vec::with_capacity(count),
            uniform: Vec::with_capacity(count),
        };
        let needed = graph.needed(&[output]);
        for (node, needed) in graph.nodes().iter().zip(needed) {
            let is_uniform = match node.op {
                Op::Fill(..) => true,
                Op::Reshape(_) | Op::Broadcast(_) | Op::Transpose(_) => axes.uniform[node.args[0].index()],
                _ => false,
            };
            axes.uniform.push(is_uniform);
            let own = if needed { axes.result(graph, node) } else { Vec::new() };
            axes.nodes.push(own);
        }
        axes.nodes[output.index()].clone().iter().for_each(|axis| axes.classes.freeze(axis));
        axes
    }

    /// Classes that may be permuted, of two units or more, in the order in which they appeared.
    pub fn hidden(&self) -> Vec<Class> {
        self.classes.hidden()
    }

    /// The number of units.
    pub fn size(&self, class: Class) -> usize {
        self.classes.size(class)
    }

    /// All factors of a node's axes, in order, down to classes that are neither united, split nor sums.
    pub fn occurrences(&self, node: Id) -> Vec<Occurrence> {
        let mut found = Vec::new();
        for (axis, factors) in self.nodes[node.index()].iter().enumerate() {
            self.classes.occurring(factors, axis, &[], &mut found);
        }
        found
    }

    /// Which unit of which occurrence a place of an axis is; occurrences are numbered from `number` on, which is moved past
    /// those of the axis.
    pub fn units(&self, node: Id, axis: usize, place: usize, number: &mut usize) -> Vec<(usize, usize)> {
        let mut units = Vec::new();
        self.classes.numbered(&self.nodes[node.index()][axis], Some(place), number, &mut units);
        units
    }

    /// Where the parts of an axis that is a sum begin.
    pub fn starts(&self, node: Id, axis: usize) -> Vec<usize> {
        self.classes.starts(&self.nodes[node.index()][axis])
    }

    /// How many factors of a node's axis, its outer ones, make up `size`.
    pub fn outer(&self, node: Id, axis: usize, size: usize) -> usize {
        let leaves = self.classes.leaves(&self.nodes[node.index()][axis]);
        let mut product = 1;
        leaves
            .iter()
            .take_while(|class| {
                product *= self.classes.size(**class);
                product <= size
            })
            .count()
    }

    /// The axes of an argument. Along those where it is repeated it belongs to whoever uses it, as a uniform one does.
    fn given(&mut self, graph: &Graph, arg: Id) -> Vec<Factors> {
        let mut axes = self.nodes[arg.index()].clone();
        let node = graph.node(arg);
        if let Op::Broadcast(shape) = &node.op {
            let repeated = graph.shape(node.args[0]).iter().zip(shape).map(|(from, to)| from != to);
            for ((axis, size), _) in axes.iter_mut().zip(shape).zip(repeated).filter(|(_, is_repeated)| *is_repeated) {
                *axis = self.classes.class(*size, Freedom::Free);
            }
        }
        axes
    }

    /// The axes of a node's array.
    fn result(&mut self, graph: &Graph, node: &Node) -> Vec<Factors> {
        let shape = &node.of.shape[..];
        let of = |axes: &mut AxisClasses, k: usize| match node.args[k] {
            arg if axes.uniform[arg.index()] => axes.classes.fresh(graph.shape(arg), Freedom::Free),
            arg => axes.given(graph, arg),
        };
        match &node.op {
            // Values that are alike along an axis do not tell its places apart.
            Op::Parameter { .. } | Op::Fill(..) => self.classes.fresh(shape, Freedom::Free),
            Op::Input { .. } | Op::Constant(_) | Op::Direction { .. } => self.classes.fresh(shape, Freedom::Frozen),
            Op::Unary(_) | Op::Binary(_) | Op::Select => {
                let first = of(self, 0);
                for k in 1..node.args.len() {
                    let other = of(self, k);
                    first.iter().zip(&other).for_each(|(a, b)| self.classes.unite(a, b));
                }
                first
            }
            Op::Softmax | Op::LogSoftmax => of(self, 0),
            Op::Reshape(shape) => {
                let from = of(self, 0);
                self.classes.reshaped(&from, shape)
            }
            Op::Transpose(perm) => {
                let from = of(self, 0);
                perm.iter().map(|axis| from[*axis].clone()).collect()
            }
            Op::Broadcast(shape) => {
                let sizes = graph.shape(node.args[0]).to_vec();
                let from = of(self, 0);
                let repeated = |(axis, (from, to)): (Factors, (usize, usize))| match from == to {
                    true => axis,
                    false => self.classes.class(to, Freedom::Free),
                };
                from.into_iter().zip(sizes.into_iter().zip(shape.iter().copied())).map(repeated).collect()
            }
            Op::Slice { along, shape } => {
                let sizes = graph.shape(node.args[0]).to_vec();
                let from = of(self, 0);
                let parts = from.iter().zip(sizes).zip(along.iter().zip(shape));
                parts.map(|((axis, size), (by, count))| self.classes.part(axis, size, *by, *count)).collect()
            }
            Op::Place { shape, .. } => {
                let sizes = graph.shape(node.args[0]).to_vec();
                let from = of(self, 0);
                let placed = |(axis, (from, to)): (&Factors, (usize, usize))| match from == to {
                    true => axis.clone(),
                    false => {
                        self.classes.freeze(axis);
                        self.classes.class(to, Freedom::Frozen)
                    }
                };
                from.iter().zip(sizes.into_iter().zip(shape.iter().copied())).map(placed).collect()
            }
            Op::Concat(axis) => {
                let all: Vec<Vec<Factors>> = (0..node.args.len()).map(|k| of(self, k)).collect();
                let mut first = all[0].clone();
                for other in &all {
                    for (_, (a, b)) in first.iter().zip(other).enumerate().filter(|(i, _)| i != axis) {
                        self.classes.unite(a, b);
                    }
                }
                let parts: Vec<Factors> = all.into_iter().map(|mut of| of.swap_remove(*axis)).collect();
                first[*axis] = self.classes.joined(parts, shape[*axis]);
                first
            }
            // Indices tell the places along the shared axes and their own apart; along all others whole rows move.
            Op::Gather { axis, shared } => {
                let (data, indices) = (of(self, 0), of(self, 1));
                self.classes.freeze(&data[*axis]);
                data[..*shared].iter().chain(&indices[..*shared]).for_each(|axis| self.classes.freeze(axis));
                [&data[..*axis], &indices[*shared..], &data[axis + 1..]].concat()
            }
            Op::Scatter { axis, size, shared } => {
                let (data, indices) = (of(self, 0), of(self, 1));
                let end = axis + indices.len() - shared;
                data[..*shared].iter().chain(&data[*axis..end]).for_each(|axis| self.classes.freeze(axis));
                indices.iter().for_each(|axis| self.classes.freeze(axis));
                [&data[..*axis], &[self.classes.class(*size, Freedom::Frozen)], &data[end..]].concat()
            }
            Op::ToReal | Op::ToIndex => of(self, 0),
            Op::TopK { count } => {
                let mut axes = of(self, 0);
                if let Some(last) = axes.pop() {
                    self.classes.freeze(&last);
                }
                axes.push(self.classes.class(*count, Freedom::Frozen));
                axes
            }
            Op::OneHot { classes } => {
                let mut axes = of(self, 0);
                axes.push(self.classes.class(*classes, Freedom::Frozen));
                axes
            }
            Op::Sum(over) | Op::Largest(over) => {
                let mut axes = of(self, 0);
                over.iter().for_each(|axis| axes[*axis].clear());
                axes
            }
            Op::MatMul => {
                let (a, b) = (of(self, 0), of(self, 1));
                let last = a.len() - 1;
                (0..last - 1).for_each(|i| self.classes.unite(&a[i], &b[i]));
                self.classes.unite(&a[last], &b[last - 1]);
                [&a[..last], &b[last..]].concat()
            }
            Op::Convolve { groups, .. } | Op::ConvolveImage { groups, .. } => {
                let (x, w) = (of(self, 0), of(self, 1));
                self.convolved(x, w, *groups, shape, matches!(node.op, Op::Convolve { .. }))
            }
            Op::ConvolveKernel { .. } => {
                let (x, y) = (of(self, 0), of(self, 1));
                x.iter().chain(&y).for_each(|axis| self.classes.freeze(axis));
                self.classes.fresh(shape, Freedom::Frozen)
            }
            Op::SumPool(_) | Op::SumUnpool { .. } => {
                let image = of(self, 0);
                self.image(&image, shape)
            }
            Op::PickMax(_) | Op::PlaceMax(_) => {
                let (x, v) = (of(self, 0), of(self, 1));
                [0, 3].into_iter().for_each(|axis| self.classes.unite(&x[axis], &v[axis]));
                [1, 2].into_iter().for_each(|axis| self.classes.freeze(&v[axis]));
                self.image(&x, shape)
            }
        }
    }

    /// Batch and channels stay; rows and columns have their places.
    fn image(&mut self, x: &[Factors], shape: &[usize]) -> Vec<Factors> {
        [1, 2].into_iter().for_each(|axis| self.classes.freeze(&x[axis]));
        let [rows, columns] = [1, 2].map(|axis| self.classes.class(shape[axis], Freedom::Frozen));
        vec![x[0].clone(), rows, columns, x[3].clone()]
    }

    /// An image by a kernel: from inputs to outputs, or back.
    fn convolved(
        &mut self,
        x: Vec<Factors>,
        w: Vec<Factors>,
        groups: usize,
        shape: &[usize],
        onward: bool,
    ) -> Vec<Factors> {
        [0, 1].into_iter().for_each(|axis| self.classes.freeze(&w[axis]));
        let mut result = self.image(&x, shape);
        let (inputs, outputs) = (w[2].clone(), w[3].clone());
        let Some((group, each)) = self.classes.cut(&outputs, groups) else {
            [&x[3], &inputs, &outputs].into_iter().for_each(|axis| self.classes.freeze(axis));
            result[3] = self.classes.class(shape[3], Freedom::Frozen);
            return result;
        };
        let within = [group.clone(), inputs].concat();
        if onward {
            self.classes.unite(&x[3], &within);
            result[3] = [group, each].concat();
        } else {
            self.classes.unite(&x[3], &[group, each].concat());
            result[3] = within;
        }
        result
    }
}
