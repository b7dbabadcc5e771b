//! Gradients as graphs: the reverse mode as a transformation (Griewank and Walther 2008, chapter 3).
//!
//! Nodes are visited from the last to the first; each hands what it received on to its arguments, multiplied by its
//! transposed Jacobian. Only nodes between the wanted ones and the output take part.

use super::op::{Binary, Element, Number, Op, Unary};
use super::{Graph, Id};
use mountainpass_sdk::Error;

impl Graph {
    /// The gradient of the sum of all elements of `of`, weighted by `seed` (of its shape), by each node of `by`; a node
    /// that does not enter has none.
    pub fn gradient(&mut self, of: Id, seed: Id, by: &[Id]) -> Result<Vec<Option<Id>>, Error> {
        let active = self.active(of, by);
        let mut received: Vec<Vec<Id>> = vec![Vec::new(); of.index() + 1];
        received[of.index()].push(seed);
        for i in (0..=of.index()).rev().filter(|i| active[*i]) {
            let Some(g) = self.gathered(&received[i])? else { continue };
            received[i] = vec![g];
            let node = self.node(self.id(i)).clone();
            for (k, arg) in node.args.iter().enumerate().filter(|(_, arg)| active[arg.index()]) {
                if let Some(part) = self.transposed(self.id(i), &node.op, &node.args, k, g)? {
                    received[arg.index()].push(part);
                }
            }
        }
        by.iter().map(|id| received.get(id.index()).map_or(Ok(None), |parts| self.gathered(parts))).collect()
    }

    /// The sum of arrays of one shape, in order. Those that stand side by side in zeros, as the gradients of the parts of
    /// an array do, are joined: sums of as many whole arrays would take quadratic time.
    fn gathered(&mut self, parts: &[Id]) -> Result<Option<Id>, Error> {
        let mut rest = parts.to_vec();
        let mut joined = Vec::new();
        for axis in 0..parts.first().map_or(0, |id| self.shape(*id).len()) {
            let mut placed: Vec<(usize, Id)> = Vec::new();
            rest.iter().for_each(|id| placed.extend(self.placed(*id, axis).map(|start| (start, *id))));
            placed.sort_by_key(|(start, _)| *start);
            let size = |graph: &Graph, id: Id| graph.shape(graph.node(id).args[0])[axis];
            let is_apart = placed.windows(2).all(|pair| pair[0].0 + size(self, pair[0].1) <= pair[1].0);
            if placed.len() < 2 || !is_apart {
                continue;
            }
            rest.retain(|id| placed.iter().all(|(_, other)| other != id));
            let shape = self.shape(placed[0].1).to_vec();
            let (mut row, mut end) = (Vec::new(), 0);
            let gap = |graph: &mut Graph, count: usize| {
                let mut shape = shape.clone();
                shape[axis] = count;
                graph.push(Op::Fill(Number::new(0.0), shape), &[])
            };
            for (start, id) in placed {
                if start > end {
                    row.push(gap(self, start - end)?);
                }
                end = start + size(self, id);
                row.push(self.node(id).args[0]);
            }
            if end < shape[axis] {
                row.push(gap(self, shape[axis] - end)?);
            }
            joined.push(self.push(Op::Concat(axis), &row)?);
        }
        let mut sum = None;
        for part in rest.into_iter().chain(joined) {
            sum = Some(match sum {
                Some(before) => self.add(before, part)?,
                None => part,
            });
        }
        Ok(sum)
    }

    /// Where along an axis an array stands in zeros, if it fills all other axes.
    fn placed(&self, id: Id, axis: usize) -> Option<usize> {
        let node = self.node(id);
        let Op::Place { along, shape } = &node.op else { return None };
        let from = self.shape(node.args[0]);
        let fills = |i: usize| i == axis || from[i] == shape[i];
        let is_part = along[axis].step == 1 && from[axis] < shape[axis] && (0..shape.len()).all(fills);
        is_part.then_some(along[axis].start)
    }

    /// Nodes up to `of` that depend on one of `by`.
    fn active(&self, of: Id, by: &[Id]) -> Vec<bool> {
        let mut active = vec![false; self.nodes().len()];
        by.iter().for_each(|id| active[id.index()] = true);
        for (i, node) in self.nodes().iter().enumerate().take(of.index() + 1) {
            active[i] |= node.of.element == Element::Real && node.args.iter().any(|arg| active[arg.index()]);
        }
        active
    }

    /// What argument `k` receives where the node receives `g`; `None` is zero.
    fn transposed(&mut self, node: Id, op: &Op, args: &[Id], k: usize, g: Id) -> Result<Option<Id>, Error> {
        let shape = |graph: &Graph, i: usize| graph.shape(args[i]).to_vec();
        let part = match op {
            Op::Input { .. } | Op::Parameter { .. } | Op::Direction { .. } | Op::Constant(_) | Op::Fill(..) => {
                return Ok(None);
            }
            Op::Unary(f) => match self.slope(*f, args[0], node)? {
                Some(slope) => self.mul(g, slope)?,
                None => return Ok(None),
            },
            Op::Binary(f) => match self.slope_of_two(*f, args[0], args[1], k)? {
                Some(slope) => self.mul(g, slope)?,
                None => return Ok(None),
            },
            Op::Select if k == 0 => return Ok(None),
            Op::Select => {
                let zero = self.fill_like(0.0, g)?;
                let sides = if k == 1 { [g, zero] } else { [zero, g] };
                self.push(Op::Select, &[args[0], sides[0], sides[1]])?
            }
            Op::Reshape(_) => self.reshape(g, shape(self, 0))?,
            Op::Transpose(perm) => {
                let mut inverse = vec![0; perm.len()];
                perm.iter().enumerate().for_each(|(i, axis)| inverse[*axis] = i);
                self.transpose(g, &inverse)?
            }
            Op::Broadcast(_) => self.unrepeat(g, &shape(self, 0))?,
            Op::Slice { along, .. } => self.push(Op::Place { along: along.clone(), shape: shape(self, 0) }, &[g])?,
            Op::Place { along, .. } => self.push(Op::Slice { along: along.clone(), shape: shape(self, 0) }, &[g])?,
            Op::Concat(axis) => {
                let start = args[..k].iter().map(|arg| self.shape(*arg)[*axis]).sum();
                let count = self.shape(args[k])[*axis];
                self.narrow(g, *axis, start, count)?
            }
            &Op::Gather { axis, shared } => {
                let size = self.shape(args[0])[axis];
                self.push(Op::Scatter { axis, size, shared }, &[g, args[1]])?
            }
            &Op::Scatter { axis, shared, .. } => self.push(Op::Gather { axis, shared }, &[g, args[1]])?,
            Op::OneHot { .. } | Op::ToReal | Op::ToIndex | Op::TopK { .. } => return Ok(None),
            Op::Sum(_) => self.repeat(g, &shape(self, 0))?,
            Op::Largest(axes) => {
                // Equals share: the subgradient that does not depend on their order.
                let share = self.share(args[0], node, axes)?;
                self.mul(g, share)?
            }
            Op::Softmax => self.softmax_along(node, g)?,
            Op::LogSoftmax => {
                let last = self.shape(node).len() - 1;
                let p = self.push(Op::Softmax, &[args[0]])?;
                let sum = self.sum(g, &[last])?;
                let mean = self.mul(p, sum)?;
                self.sub(g, mean)?
            }
            Op::MatMul if k == 0 => {
                let b = self.flip(args[1])?;
                self.push(Op::MatMul, &[g, b])?
            }
            Op::MatMul => {
                let a = self.flip(args[0])?;
                self.push(Op::MatMul, &[a, g])?
            }
            &Op::Convolve { window, groups } if k == 0 => {
                let size = self.size(args[0]);
                self.push(Op::ConvolveImage { window, groups, size }, &[g, args[1]])?
            }
            &Op::Convolve { window, groups } => self.push(Op::ConvolveKernel { window, groups }, &[args[0], g])?,
            &Op::ConvolveImage { window, groups, .. } if k == 0 => {
                self.push(Op::Convolve { window, groups }, &[g, args[1]])?
            }
            &Op::ConvolveImage { window, groups, .. } => {
                self.push(Op::ConvolveKernel { window, groups }, &[g, args[0]])?
            }
            &Op::ConvolveKernel { window, groups } if k == 0 => {
                let size = self.size(args[0]);
                self.push(Op::ConvolveImage { window, groups, size }, &[args[1], g])?
            }
            &Op::ConvolveKernel { window, groups } => self.push(Op::Convolve { window, groups }, &[args[0], g])?,
            &Op::SumPool(window) => {
                let size = self.size(args[0]);
                self.push(Op::SumUnpool { window, size }, &[g])?
            }
            Op::SumUnpool { window, .. } => self.push(Op::SumPool(*window), &[g])?,
            // A maximum's own derivative is the pick of the second argument; which one is picked has none.
            Op::PickMax(_) | Op::PlaceMax(_) if k == 0 => return Ok(None),
            Op::PickMax(window) => self.push(Op::PlaceMax(*window), &[args[0], g])?,
            Op::PlaceMax(window) => self.push(Op::PickMax(*window), &[args[0], g])?,
        };
        Ok(Some(part))
    }

    /// Height and width of an image.
    fn size(&self, image: Id) -> [usize; 2] {
        let shape = self.shape(image);
        [shape[1], shape[2]]
    }

    /// Of y = softmax(x): y (v - sum y v), which is its own adjoint.
    pub(super) fn softmax_along(&mut self, y: Id, v: Id) -> Result<Id, Error> {
        let last = self.shape(y).len() - 1;
        let weighted = self.mul(y, v)?;
        let sum = self.sum(weighted, &[last])?;
        let mean = self.mul(y, sum)?;
        self.sub(weighted, mean)
    }

    /// 1 / m at the m largest elements along the axes, 0 elsewhere.
    pub(super) fn share(&mut self, x: Id, largest: Id, axes: &[usize]) -> Result<Id, Error> {
        let is_largest = self.binary(Binary::Equal, x, largest)?;
        let count = self.sum(is_largest, axes)?;
        self.div(is_largest, count)
    }

    /// The derivative f'(x) of y = f(x); `None` is zero.
    pub(super) fn slope(&mut self, f: Unary, x: Id, y: Id) -> Result<Option<Id>, Error> {
        let slope = match f {
            Unary::Sign | Unary::Step | Unary::Floor | Unary::Round => return Ok(None),
            Unary::Neg => self.fill_like(-1.0, x)?,
            Unary::Abs => self.unary(Unary::Sign, x)?,
            Unary::Relu => self.unary(Unary::Step, x)?,
            Unary::Exp => y,
            Unary::Expm1 => self.shift(y, 1.0)?,
            Unary::Log => self.unary(Unary::Reciprocal, x)?,
            Unary::Sqrt => {
                let reciprocal = self.unary(Unary::Reciprocal, y)?;
                self.scale(reciprocal, 0.5)?
            }
            Unary::Reciprocal => {
                let square = self.mul(y, y)?;
                self.neg(square)?
            }
            Unary::Tanh => {
                let square = self.mul(y, y)?;
                let one = self.fill_like(1.0, x)?;
                self.sub(one, square)?
            }
            Unary::Sigmoid => {
                let square = self.mul(y, y)?;
                self.sub(y, square)?
            }
            Unary::Softplus => self.unary(Unary::Sigmoid, x)?,
            Unary::Erf => self.bell(x, -1.0, 2.0 / std::f64::consts::PI.sqrt())?,
            Unary::NormalCdf => self.bell(x, -0.5, (2.0 * std::f64::consts::PI).sqrt().recip())?,
            Unary::Sin => self.unary(Unary::Cos, x)?,
            Unary::Cos => {
                let sin = self.unary(Unary::Sin, x)?;
                self.neg(sin)?
            }
            Unary::Atan => {
                let square = self.mul(x, x)?;
                let below = self.shift(square, 1.0)?;
                self.unary(Unary::Reciprocal, below)?
            }
            Unary::Power(c) => match c.get() {
                0.0 => return Ok(None),
                1.0 => self.fill_like(1.0, x)?,
                2.0 => self.scale(x, 2.0)?,
                c => {
                    let power = self.unary(Unary::Power(Number::new(c - 1.0)), x)?;
                    self.scale(power, c)?
                }
            },
        };
        Ok(Some(slope))
    }

    /// factor exp(sharpness x^2).
    fn bell(&mut self, x: Id, sharpness: f64, factor: f64) -> Result<Id, Error> {
        let square = self.mul(x, x)?;
        let exponent = self.scale(square, sharpness)?;
        let bell = self.unary(Unary::Exp, exponent)?;
        self.scale(bell, factor)
    }

    /// The derivative of f(a, b) by a (k = 0) or b; `None` is zero.
    pub(super) fn slope_of_two(&mut self, f: Binary, a: Id, b: Id, k: usize) -> Result<Option<Id>, Error> {
        let slope = match (f, k) {
            (Binary::Add, _) | (Binary::Sub, 0) => self.fill_like(1.0, a)?,
            (Binary::Sub, _) => self.fill_like(-1.0, a)?,
            (Binary::Mul, 0) => b,
            (Binary::Mul, _) => a,
            (Binary::Div, 0) => self.unary(Unary::Reciprocal, b)?,
            (Binary::Div, _) => {
                let square = self.mul(b, b)?;
                let ratio = self.div(a, square)?;
                self.neg(ratio)?
            }
            (Binary::Max, _) | (Binary::Min, _) => {
                // 1 where the second wins, which wants it to be strictly better.
                let sides = if f == Binary::Max { [a, b] } else { [b, a] };
                let second = self.push(Op::Binary(Binary::Less), &sides)?;
                if k == 1 {
                    second
                } else {
                    let one = self.fill_like(1.0, a)?;
                    self.sub(one, second)?
                }
            }
            (Binary::Less | Binary::Equal, _) => return Ok(None),
        };
        Ok(Some(slope))
    }
}
