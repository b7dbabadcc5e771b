//! One network at two batch sizes: what of its graphs is the network's, and what the batch's.
//!
//! Here is also read what a graph spells out and ONNX has an operator for: means, gelus, repeated operands,
//! transpositions around images.

use crate::graph::op::{Binary, Op, Unary};
use crate::graph::shape::elements;
use crate::graph::{Graph, Id, Node};
use mountainpass_sdk::Error;

/// Two batch sizes that no axis of a network is usually a multiple of.
pub(super) const TRIALS: [usize; 2] = [11, 13];
/// The name of the batch's axis.
pub(super) const BATCH: &str = "n";

/// From channels last to channels first.
pub(super) const FIRST: [usize; 4] = [0, 3, 1, 2];
/// From a kernel as `[height, width, inputs, outputs]` to ONNX's `[outputs, inputs, height, width]`.
pub(super) const KERNEL: [usize; 4] = [3, 2, 0, 1];

/// How long an axis of a value is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AxisSize {
    Fixed(usize),
    /// As long as the batch.
    Batch,
    /// Longer with it.
    Varying,
}

impl std::fmt::Debug for AxisSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AxisSize::Fixed(size) => size.fmt(f),
            AxisSize::Batch => f.write_str(BATCH),
            AxisSize::Varying => f.write_str("?"),
        }
    }
}

/// The two graphs.
#[derive(Clone, Copy)]
pub(super) struct Pair<'g> {
    /// For the smaller batch.
    pub small: &'g Graph,
    /// For the larger one.
    pub large: &'g Graph,
}

impl Pair<'_> {
    /// Refuses graphs that differ in more than sizes.
    pub fn check(&self) -> Result<(), Error> {
        if std::ptr::eq(self.small, self.large) {
            return Ok(());
        }
        let (a, b) = (self.small.nodes(), self.large.nodes());
        match a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b)) {
            true => Ok(()),
            false => Err(Error::unsupported("its graph differs between batch sizes in more than an axis")),
        }
    }

    /// What is written for `output`, in the order of computation.
    pub fn needed(&self, outputs: &[Id]) -> Vec<Id> {
        let mut needed = vec![false; self.small.nodes().len()];
        outputs.iter().for_each(|output| needed[output.index()] = true);
        for i in (0..needed.len()).rev() {
            if needed[i] {
                self.arguments(self.small.id(i)).into_iter().for_each(|id| needed[id.index()] = true);
            }
        }
        (0..needed.len()).filter(|i| needed[*i]).map(|i| self.small.id(i)).collect()
    }

    /// The axes of a value, as the two graphs show them.
    pub fn axes(&self, id: Id) -> Vec<AxisSize> {
        let axis = |(a, b): (&usize, &usize)| match (*a, *b) {
            (a, b) if a == b => AxisSize::Fixed(a),
            (a, b) if [a, b] == TRIALS => AxisSize::Batch,
            _ => AxisSize::Varying,
        };
        self.small.shape(id).iter().zip(self.large.shape(id)).map(axis).collect()
    }

    /// The values that an operator is written with: what ONNX repeats, averages or transposes by itself is looked
    /// through.
    fn arguments(&self, id: Id) -> Vec<Id> {
        let node = self.small.node(id);
        let args = match &node.op {
            Op::Binary(_) if self.mean(id).is_some() => self.mean(id).into_iter().collect(),
            Op::Binary(_) if self.gelu(id).is_some() => self.gelu(id).into_iter().collect(),
            Op::Binary(_) | Op::Select => self.operands(id),
            Op::MatMul => self.factors(id).to_vec(),
            Op::Convolve { .. } | Op::ConvolveImage { .. } => {
                vec![self.through(node.args[0], &FIRST).0, self.through(node.args[1], &KERNEL).0]
            }
            Op::SumPool(_) => vec![self.through(node.args[0], &FIRST).0],
            Op::PickMax(_) => node.args.iter().map(|x| self.through(*x, &FIRST).0).collect(),
            _ => node.args.clone(),
        };
        let spelled = |id: &Id| !(self.is_number(*id) && matches!(node.op, Op::Binary(_) | Op::Select));
        args.into_iter().filter(spelled).collect()
    }

    /// One number for all elements.
    pub fn is_number(&self, id: Id) -> bool {
        matches!(self.small.node(id).op, Op::Fill(..))
    }

    /// What is averaged, where a sum is divided by the number of what it sums.
    pub fn mean(&self, id: Id) -> Option<Id> {
        let of = |graph: &Graph| {
            let node = graph.node(id);
            let (Op::Binary(Binary::Mul), &[a, b]) = (&node.op, &node.args[..]) else { return None };
            let (sum, factor) = match (&graph.node(a).op, &graph.node(b).op) {
                (Op::Sum(_), Op::Fill(factor, _)) => (a, factor),
                (Op::Fill(factor, _), Op::Sum(_)) => (b, factor),
                _ => return None,
            };
            let x = graph.node(sum).args[0];
            let count = elements(graph.shape(x))? as f64 / elements(graph.shape(sum))? as f64;
            (factor.get() == count.recip()).then_some((x, sum))
        };
        let found = of(self.small)?;
        (of(self.large)? == found).then_some(found.0)
    }

    /// z, where the node is z times its normal distribution function.
    pub fn gelu(&self, id: Id) -> Option<Id> {
        if std::ptr::eq(self.small, self.large) {
            // Written for a runtime: its derivative wants the function itself.
            return None;
        }
        let node = self.small.node(id);
        let (Op::Binary(Binary::Mul), &[a, b]) = (&node.op, &node.args[..]) else { return None };
        let is_of = |cdf: Id, z: Id| {
            let cdf = self.small.node(cdf);
            cdf.op == Op::Unary(Unary::NormalCdf) && cdf.args[0] == z
        };
        if is_of(a, b) { Some(b) } else { is_of(b, a).then_some(a) }
    }

    /// The axes behind leading ones, in both graphs.
    fn trimmed(&self, id: Id) -> (&[usize], &[usize]) {
        let (a, b) = (self.small.shape(id), self.large.shape(id));
        let ones = a.iter().zip(b).take_while(|(a, b)| **a == 1 && **b == 1).count();
        (&a[ones..], &b[ones..])
    }

    /// The value that ONNX repeats to the same.
    fn repeated(&self, id: Id) -> Id {
        let mut x = id;
        if let Op::Broadcast(_) = self.small.node(x).op {
            x = self.small.node(x).args[0];
        }
        match (&self.small.node(x).op, self.small.node(x).args.first()) {
            (Op::Reshape(_), Some(from)) if self.trimmed(*from) == self.trimmed(x) => *from,
            _ => x,
        }
    }

    /// The operands of an operator element by element, as little repeated as ONNX allows.
    pub fn operands(&self, id: Id) -> Vec<Id> {
        let args = &self.small.node(id).args;
        // With more axes than the result it would make one of more.
        let fits = |x: &Id| self.small.shape(*x).len() <= self.small.shape(id).len();
        let least = |arg: &Id| Some(self.repeated(*arg)).filter(fits).unwrap_or(*arg);
        let mut all: Vec<Id> = args.iter().map(least).collect();
        let reaches = |all: &[Id]| {
            // Numbers have no axes in the file.
            let arrays: Vec<&[usize]> =
                all.iter().filter(|x| !self.is_number(**x)).map(|x| self.small.shape(*x)).collect();
            let of = self.small.shape(id);
            let axis = |k: usize| {
                arrays.iter().any(|shape| shape.len() >= of.len() - k && shape[shape.len() + k - of.len()] == of[k])
            };
            (0..of.len()).all(axis)
        };
        for k in 0..all.len() {
            if reaches(&all) {
                break;
            }
            all[k] = args[k];
        }
        all
    }

    /// The factors of a product, one of them not repeated along the axes before the last two if ONNX repeats it to the same.
    pub fn factors(&self, id: Id) -> [Id; 2] {
        let args = &self.small.node(id).args;
        let least = |x: Id| {
            let least = self.repeated(x);
            let is_same_matrix = |graph: &Graph| {
                let (from, to) = (graph.shape(least), graph.shape(x));
                let last = from.iter().rev().zip(to.iter().rev()).take(2);
                (2..=to.len()).contains(&from.len()) && last.into_iter().all(|(a, b)| a == b)
            };
            if is_same_matrix(self.small) && is_same_matrix(self.large) { least } else { x }
        };
        match (args[0], args[1]) {
            (a, b) if least(a) != a => [least(a), b],
            (a, b) => [a, least(b)],
        }
    }

    /// What a value is a transposition of, and by which order of axes the value in another order is one of it.
    pub fn through(&self, id: Id, perm: &[usize]) -> (Id, Vec<usize>) {
        match (&self.small.node(id).op, self.small.node(id).args.first()) {
            (Op::Transpose(first), Some(from)) => (*from, perm.iter().map(|axis| first[*axis]).collect()),
            _ => (id, perm.to_vec()),
        }
    }
}

/// Whether two nodes differ in nothing but sizes, and in numbers that the writer looks at again.
fn alike(a: &Node, b: &Node) -> bool {
    let same = match (&a.op, &b.op) {
        (Op::Input { slot: s, .. }, Op::Input { slot: t, .. }) => s == t,
        (Op::Fill(..), Op::Fill(..)) | (Op::Reshape(_), Op::Reshape(_)) | (Op::Broadcast(_), Op::Broadcast(_)) => true,
        (Op::Slice { along: s, .. }, Op::Slice { along: t, .. })
        | (Op::Place { along: s, .. }, Op::Place { along: t, .. }) => s == t,
        (Op::Constant(s), Op::Constant(t)) => s.shape == t.shape && s.values == t.values,
        (s, t) => s == t,
    };
    same && a.args == b.args && a.of.shape.len() == b.of.shape.len() && a.of.element == b.of.element
}
