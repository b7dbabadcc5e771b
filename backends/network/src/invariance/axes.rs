//! Which axes must be permuted together.
//!
//! An axis is a product of factors, outer first: a reshape may split `width` into `heads x each`. Every factor belongs to
//! a class; operators unite classes, split them, or freeze them where they tell places apart. What is frozen too often
//! only costs a symmetry, never makes a wrong one.

use crate::graph::op::{Op, Stride};
use crate::graph::{Graph, Id, Node};

/// A set of axes (or factors of axes) of one size that are permuted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class(usize);

/// The factors of one axis.
type Factors = Vec<Class>;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Freedom {
    Free,
    Frozen,
    /// United with another class.
    Same(Class),
    /// The product of two, outer first.
    Split(Class, Class),
}

/// The classes of all axes of a graph.
pub struct AxisClasses {
    /// Size and freedom of every class.
    classes: Vec<(usize, Freedom)>,
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
        let mut axes =
            AxisClasses { classes: Vec::new(), nodes: Vec::with_capacity(count), uniform: Vec::with_capacity(count) };
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
        axes.nodes[output.index()].clone().iter().for_each(|axis| axes.freeze(axis));
        axes
    }

    /// Classes that may be permuted, of two units or more, in the order in which they appeared.
    pub fn hidden(&self) -> Vec<Class> {
        let is_hidden = |i: &usize| matches!(self.classes[*i], (2.., Freedom::Free));
        (0..self.classes.len()).filter(is_hidden).map(Class).collect()
    }

    /// The number of units.
    pub fn size(&self, class: Class) -> usize {
        self.classes[class.0].0
    }

    /// The factors of every axis of a node, down to classes that are neither united nor split.
    pub fn factors(&self, node: usize) -> Vec<Factors> {
        self.nodes[node].iter().map(|axis| self.leaves(axis)).collect()
    }

    /// Whether any axis of a node has a factor in the class.
    pub fn carries(&self, node: Id, class: Class) -> bool {
        self.nodes[node.index()].iter().any(|axis| self.leaves(axis).contains(&class))
    }

    fn leaves(&self, axis: &[Class]) -> Factors {
        let mut leaves = Vec::new();
        for &class in axis {
            match self.classes[class.0].1 {
                Freedom::Free | Freedom::Frozen => leaves.push(class),
                Freedom::Same(other) => leaves.extend(self.leaves(&[other])),
                Freedom::Split(outer, inner) => leaves.extend(self.leaves(&[outer, inner])),
            }
        }
        leaves
    }

    fn class(&mut self, size: usize, freedom: Freedom) -> Factors {
        if size == 1 {
            return Vec::new();
        }
        self.classes.push((size, freedom));
        vec![Class(self.classes.len() - 1)]
    }

    fn freeze(&mut self, axis: &[Class]) {
        for class in self.leaves(axis) {
            self.classes[class.0].1 = Freedom::Frozen;
        }
    }

    /// Splits a leaf into `outer x inner`.
    fn split(&mut self, class: Class, outer: usize) {
        let (size, freedom) = self.classes[class.0];
        let parts = [outer, size / outer].map(|size| {
            self.classes.push((size, freedom));
            Class(self.classes.len() - 1)
        });
        self.classes[class.0].1 = Freedom::Split(parts[0], parts[1]);
    }

    /// Makes two axes of one size the same, factor by factor.
    fn unite(&mut self, a: &[Class], b: &[Class]) {
        loop {
            let (left, right) = (self.leaves(a), self.leaves(b));
            let differ = left.iter().zip(&right).find(|(l, r)| l != r);
            let Some((&l, &r)) = differ else {
                return;
            };
            let (small, large) = if self.size(l) <= self.size(r) { (l, r) } else { (r, l) };
            let (m, n) = (self.size(small), self.size(large));
            if m == n {
                let frozen = [l, r].iter().any(|class| self.classes[class.0].1 == Freedom::Frozen);
                self.classes[large.0].1 = Freedom::Same(small);
                if frozen {
                    self.classes[small.0].1 = Freedom::Frozen;
                }
            } else if n.is_multiple_of(m) {
                self.split(large, m);
            } else {
                // Two grids that do not fit: nothing may be permuted along either.
                self.freeze(a);
                self.freeze(b);
                return;
            }
        }
    }

    /// Cuts a list of factors so that the first of them multiply to `size`; `None` where no cut does.
    fn cut(&mut self, factors: &[Class], size: usize) -> Option<(Factors, Factors)> {
        let mut left = size;
        let mut leaves = self.leaves(factors);
        for i in 0..leaves.len() {
            if left == 1 {
                return Some((leaves[..i].to_vec(), leaves[i..].to_vec()));
            }
            let own = self.size(leaves[i]);
            if left.is_multiple_of(own) {
                left /= own;
            } else if own.is_multiple_of(left) {
                self.split(leaves[i], left);
                leaves = self.leaves(&leaves);
                return Some((leaves[..=i].to_vec(), leaves[i + 1..].to_vec()));
            } else {
                return None;
            }
        }
        (left == 1).then_some((leaves, Vec::new()))
    }

    fn reshaped(&mut self, from: &[Factors], shape: &[usize]) -> Vec<Factors> {
        let mut rest: Factors = from.concat();
        let mut axes = Vec::with_capacity(shape.len());
        for &size in shape {
            match self.cut(&rest, size) {
                Some((axis, behind)) => {
                    axes.push(axis);
                    rest = behind;
                }
                None => {
                    self.freeze(&from.concat());
                    return self.fresh(shape, Freedom::Frozen);
                }
            }
        }
        axes
    }

    fn fresh(&mut self, shape: &[usize], freedom: Freedom) -> Vec<Factors> {
        shape.iter().map(|size| self.class(*size, freedom)).collect()
    }

    /// The part of an axis: all of it, or a whole stretch of `count` out of several, or places that are told apart.
    fn part(&mut self, axis: &[Class], size: usize, by: Stride, count: usize) -> Factors {
        if by.step == 1 && count == size {
            return axis.to_vec();
        }
        let is_stretch = by.step == 1 && size.is_multiple_of(count) && by.start.is_multiple_of(count);
        if let Some((stretches, inner)) = is_stretch.then(|| self.cut(axis, size / count)).flatten() {
            self.freeze(&stretches);
            return inner;
        }
        self.freeze(axis);
        self.class(count, Freedom::Frozen)
    }

    /// The axes of a node's array.
    fn result(&mut self, graph: &Graph, node: &Node) -> Vec<Factors> {
        let shape = &node.of.shape[..];
        let of = |axes: &mut AxisClasses, k: usize| match node.args[k] {
            arg if axes.uniform[arg.index()] => axes.fresh(graph.shape(arg), Freedom::Free),
            arg => axes.nodes[arg.index()].clone(),
        };
        match &node.op {
            // Values that are alike along an axis do not tell its places apart.
            Op::Parameter { .. } | Op::Fill(..) => self.fresh(shape, Freedom::Free),
            Op::Input { .. } | Op::Constant(_) | Op::Direction { .. } => self.fresh(shape, Freedom::Frozen),
            Op::Unary(_) | Op::Binary(_) | Op::Select => {
                let first = of(self, 0);
                for k in 1..node.args.len() {
                    let other = of(self, k);
                    first.iter().zip(&other).for_each(|(a, b)| self.unite(a, b));
                }
                first
            }
            Op::Softmax | Op::LogSoftmax => of(self, 0),
            Op::Reshape(shape) => {
                let from = of(self, 0);
                self.reshaped(&from, shape)
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
                    false => self.class(to, Freedom::Free),
                };
                from.into_iter().zip(sizes.into_iter().zip(shape.iter().copied())).map(repeated).collect()
            }
            Op::Slice { along, shape } => {
                let sizes = graph.shape(node.args[0]).to_vec();
                let from = of(self, 0);
                let parts = from.iter().zip(sizes).zip(along.iter().zip(shape));
                parts.map(|((axis, size), (by, count))| self.part(axis, size, *by, *count)).collect()
            }
            Op::Place { shape, .. } => {
                let sizes = graph.shape(node.args[0]).to_vec();
                let from = of(self, 0);
                let placed = |(axis, (from, to)): (&Factors, (usize, usize))| match from == to {
                    true => axis.clone(),
                    false => {
                        self.freeze(axis);
                        self.class(to, Freedom::Frozen)
                    }
                };
                from.iter().zip(sizes.into_iter().zip(shape.iter().copied())).map(placed).collect()
            }
            Op::Concat(axis) => {
                let mut first = of(self, 0);
                for k in 0..node.args.len() {
                    let other = of(self, k);
                    self.freeze(&other[*axis]);
                    for (i, (a, b)) in first.iter().zip(&other).enumerate() {
                        if i != *axis {
                            self.unite(a, b);
                        }
                    }
                }
                first[*axis] = self.class(shape[*axis], Freedom::Frozen);
                first
            }
            // Indices tell the places along the shared axes and their own apart; along all others whole rows move.
            Op::Gather { axis, shared } => {
                let (data, indices) = (of(self, 0), of(self, 1));
                self.freeze(&data[*axis]);
                data[..*shared].iter().chain(&indices[..*shared]).for_each(|axis| self.freeze(axis));
                [&data[..*axis], &indices[*shared..], &data[axis + 1..]].concat()
            }
            Op::Scatter { axis, size, shared } => {
                let (data, indices) = (of(self, 0), of(self, 1));
                let end = axis + indices.len() - shared;
                data[..*shared].iter().chain(&data[*axis..end]).for_each(|axis| self.freeze(axis));
                indices.iter().for_each(|axis| self.freeze(axis));
                [&data[..*axis], &[self.class(*size, Freedom::Frozen)], &data[end..]].concat()
            }
            Op::ToReal | Op::ToIndex => of(self, 0),
            Op::TopK { count } => {
                let mut axes = of(self, 0);
                if let Some(last) = axes.pop() {
                    self.freeze(&last);
                }
                axes.push(self.class(*count, Freedom::Frozen));
                axes
            }
            Op::OneHot { classes } => {
                let mut axes = of(self, 0);
                axes.push(self.class(*classes, Freedom::Frozen));
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
                (0..last - 1).for_each(|i| self.unite(&a[i], &b[i]));
                self.unite(&a[last], &b[last - 1]);
                [&a[..last], &b[last..]].concat()
            }
            Op::Convolve { groups, .. } | Op::ConvolveImage { groups, .. } => {
                let (x, w) = (of(self, 0), of(self, 1));
                self.convolved(x, w, *groups, shape, matches!(node.op, Op::Convolve { .. }))
            }
            Op::ConvolveKernel { .. } => {
                let (x, y) = (of(self, 0), of(self, 1));
                x.iter().chain(&y).for_each(|axis| self.freeze(axis));
                self.fresh(shape, Freedom::Frozen)
            }
            Op::SumPool(_) | Op::SumUnpool { .. } => {
                let image = of(self, 0);
                self.image(&image, shape)
            }
            Op::PickMax(_) | Op::PlaceMax(_) => {
                let (x, v) = (of(self, 0), of(self, 1));
                [0, 3].into_iter().for_each(|axis| self.unite(&x[axis], &v[axis]));
                [1, 2].into_iter().for_each(|axis| self.freeze(&v[axis]));
                self.image(&x, shape)
            }
        }
    }

    /// Batch and channels stay; rows and columns have their places.
    fn image(&mut self, x: &[Factors], shape: &[usize]) -> Vec<Factors> {
        [1, 2].into_iter().for_each(|axis| self.freeze(&x[axis]));
        let [rows, columns] = [1, 2].map(|axis| self.class(shape[axis], Freedom::Frozen));
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
        [0, 1].into_iter().for_each(|axis| self.freeze(&w[axis]));
        let mut result = self.image(&x, shape);
        let (inputs, outputs) = (w[2].clone(), w[3].clone());
        let Some((group, each)) = self.cut(&outputs, groups) else {
            [&x[3], &inputs, &outputs].into_iter().for_each(|axis| self.freeze(axis));
            result[3] = self.class(shape[3], Freedom::Frozen);
            return result;
        };
        let within = [group.clone(), inputs].concat();
        if onward {
            self.unite(&x[3], &within);
            result[3] = [group, each].concat();
        } else {
            self.unite(&x[3], &[group, each].concat());
            result[3] = within;
        }
        result
    }
}
