//! Words for building graphs: arithmetic that repeats as numpy does, and what networks are made of.

use super::op::{Binary, Constant, Element, Number, Op, Shape, Stride, Unary, Values, Window};
use super::shape::{elements, joint};
use super::{Graph, Id};
use mountainpass_sdk::{Error, memory};
use std::sync::Arc;

impl Graph {
    /// What the data supplies in `slot`.
    pub fn input(&mut self, slot: usize, shape: Shape, element: Element) -> Result<Id, Error> {
        self.push(Op::Input { slot, shape, element }, &[])
    }

    /// A block of theta.
    pub fn parameter(&mut self, offset: usize, shape: Shape) -> Result<Id, Error> {
        self.push(Op::Parameter { offset, shape }, &[])
    }

    /// Known numbers; one number throughout becomes a `Fill`.
    pub fn constant(&mut self, shape: Shape, values: Values) -> Result<Id, Error> {
        match &values {
            Values::Real(all) if elements(&shape) == Some(all.len()) => match all.split_first() {
                Some((first, rest)) if rest.iter().all(|x| x.to_bits() == first.to_bits()) => {
                    self.push(Op::Fill(Number::new(*first), shape), &[])
                }
                _ => self.push(Op::Constant(Constant { shape, values: Arc::new(values) }), &[]),
            },
            _ => self.push(Op::Constant(Constant { shape, values: Arc::new(values) }), &[]),
        }
    }

    /// One number in the shape of an array.
    pub fn fill_like(&mut self, value: f64, like: Id) -> Result<Id, Error> {
        let shape = self.shape(like).to_vec();
        self.push(Op::Fill(Number::new(value), shape), &[])
    }

    /// A function of every element.
    pub fn unary(&mut self, f: Unary, x: Id) -> Result<Id, Error> {
        self.push(Op::Unary(f), &[x])
    }

    /// A function of two arrays, repeated to their common shape as in numpy.
    pub fn binary(&mut self, f: Binary, a: Id, b: Id) -> Result<Id, Error> {
        let [a, b] = self.together([a, b])?;
        self.push(Op::Binary(f), &[a, b])
    }

    /// Arrays repeated to their common shape.
    pub fn together<const N: usize>(&mut self, of: [Id; N]) -> Result<[Id; N], Error> {
        let mut shape = Shape::new();
        for id in of {
            shape = joint(&shape, self.shape(id)).ok_or_else(|| {
                let shapes: Vec<&[usize]> = of.iter().map(|id| self.shape(*id)).collect();
                Error::argument(format!("{shapes:?} cannot be repeated to one shape"))
            })?;
        }
        let mut repeated = of;
        for id in &mut repeated {
            *id = self.repeat(*id, &shape)?;
        }
        Ok(repeated)
    }

    /// Repeats an array to a shape of as many axes or more, aligned at the last.
    pub fn repeat(&mut self, x: Id, shape: &[usize]) -> Result<Id, Error> {
        let from = self.shape(x);
        let mut padded = vec![1; shape.len().saturating_sub(from.len())];
        padded.extend_from_slice(from);
        let x = self.reshape(x, padded)?;
        self.push(Op::Broadcast(shape.to_vec()), &[x])
    }

    /// a + b.
    pub fn add(&mut self, a: Id, b: Id) -> Result<Id, Error> {
        self.binary(Binary::Add, a, b)
    }

    /// a - b.
    pub fn sub(&mut self, a: Id, b: Id) -> Result<Id, Error> {
        self.binary(Binary::Sub, a, b)
    }

    /// a b, element by element.
    pub fn mul(&mut self, a: Id, b: Id) -> Result<Id, Error> {
        self.binary(Binary::Mul, a, b)
    }

    /// a / b.
    pub fn div(&mut self, a: Id, b: Id) -> Result<Id, Error> {
        self.binary(Binary::Div, a, b)
    }

    /// -x.
    pub fn neg(&mut self, x: Id) -> Result<Id, Error> {
        self.unary(Unary::Neg, x)
    }

    /// c x.
    pub fn scale(&mut self, x: Id, c: f64) -> Result<Id, Error> {
        let c = self.fill_like(c, x)?;
        self.mul(x, c)
    }

    /// x + c.
    pub fn shift(&mut self, x: Id, c: f64) -> Result<Id, Error> {
        let c = self.fill_like(c, x)?;
        self.add(x, c)
    }

    /// The same elements in another shape.
    pub fn reshape(&mut self, x: Id, shape: Shape) -> Result<Id, Error> {
        self.push(Op::Reshape(shape), &[x])
    }

    /// Axis i of the result is axis `perm[i]` of x.
    pub fn transpose(&mut self, x: Id, perm: &[usize]) -> Result<Id, Error> {
        self.push(Op::Transpose(perm.to_vec()), &[x])
    }

    /// The last two axes change places.
    pub fn flip(&mut self, x: Id) -> Result<Id, Error> {
        let rank = self.shape(x).len();
        let mut perm: Vec<usize> = (0..rank).collect();
        if rank >= 2 {
            perm.swap(rank - 2, rank - 1);
        }
        self.transpose(x, &perm)
    }

    /// The sum over axes, which stay with size 1.
    pub fn sum(&mut self, x: Id, axes: &[usize]) -> Result<Id, Error> {
        let mut axes: Vec<usize> = axes.to_vec();
        // An axis of size 1 is its own sum.
        axes.retain(|&axis| self.shape(x).get(axis) != Some(&1));
        axes.sort_unstable();
        axes.dedup();
        self.push(Op::Sum(axes), &[x])
    }

    /// The mean over axes, which stay with size 1.
    pub fn mean(&mut self, x: Id, axes: &[usize]) -> Result<Id, Error> {
        let sum = self.sum(x, axes)?;
        let count = elements(self.shape(x)).unwrap_or(1) as f64 / elements(self.shape(sum)).unwrap_or(1) as f64;
        self.scale(sum, count.recip())
    }

    /// Sums whatever was repeated: the adjoint of [`repeat`](Graph::repeat).
    pub fn unrepeat(&mut self, x: Id, shape: &[usize]) -> Result<Id, Error> {
        let from = self.shape(x).to_vec();
        let more = from.len().saturating_sub(shape.len());
        let axes: Vec<usize> = (0..from.len()).filter(|&i| i < more || shape[i - more] != from[i]).collect();
        let sum = self.sum(x, &axes)?;
        self.reshape(sum, shape.to_vec())
    }

    /// The elements from `start` on by 1, `count` of them, along one axis.
    pub fn narrow(&mut self, x: Id, axis: usize, start: usize, count: usize) -> Result<Id, Error> {
        let mut shape = self.shape(x).to_vec();
        let mut along = vec![Stride { start: 0, step: 1 }; shape.len()];
        match (shape.get_mut(axis), along.get_mut(axis)) {
            (Some(size), Some(by)) => (*size, by.start) = (count, start),
            _ => return Err(Error::argument(format!("{shape:?} has no axis {axis}"))),
        }
        self.push(Op::Slice { along, shape }, &[x])
    }

    /// The product of matrices in the last two axes; the axes before are repeated as in numpy.
    pub fn matmul(&mut self, a: Id, b: Id) -> Result<Id, Error> {
        let ([before @ .., m, k], [others @ .., l, n]) = (self.shape(a), self.shape(b)) else {
            let (a, b) = (self.shape(a), self.shape(b));
            return Err(Error::argument(format!("MatMul of {a:?} and {b:?}: wants two or more axes")));
        };
        let (m, k, l, n) = (*m, *k, *l, *n);
        // One matrix for all rows of the batch is one tall product.
        if others.iter().all(|size| *size == 1) && others.len() <= before.len() && k == l {
            let shape: Shape = before.iter().copied().chain([m, n]).collect();
            let rows = elements(before).unwrap_or(1) * m;
            let (tall, matrix) = (self.reshape(a, vec![rows, k])?, self.reshape(b, vec![k, n])?);
            let product = self.push(Op::MatMul, &[tall, matrix])?;
            return self.reshape(product, shape);
        }
        let batch = joint(before, others).ok_or_else(|| {
            Error::argument(format!("MatMul of {:?} and {:?}: the batches differ", self.shape(a), self.shape(b)))
        })?;
        let a = self.repeat(a, &[&batch[..], &[m, k]].concat())?;
        let b = self.repeat(b, &[&batch[..], &[l, n]].concat())?;
        self.push(Op::MatMul, &[a, b])
    }

    /// The convolution of an image `[n, h, w, c]` with a kernel `[kh, kw, c / groups, outputs]`. Taps that see zeros around
    /// the image from every place, as those of deep layers do, are cut off: neither they nor their derivatives, which are 0,
    /// take part.
    pub fn convolve(&mut self, x: Id, mut kernel: Id, mut window: Window, groups: usize) -> Result<Id, Error> {
        if let (&[_, height, width, _], 4) = (self.shape(x), self.shape(kernel).len()) {
            for (axis, size) in [height, width].into_iter().enumerate() {
                if let Some((first, seeing)) = window.seeing(axis, size) {
                    kernel = self.narrow(kernel, axis, first, seeing.kernel[axis])?;
                    window = seeing;
                }
            }
        }
        self.push(Op::Convolve { window, groups }, &[x, kernel])
    }

    /// The largest of every window.
    pub fn max_pool(&mut self, x: Id, window: Window) -> Result<Id, Error> {
        self.push(Op::PickMax(window), &[x, x])
    }

    /// The mean of every window; of the elements inside the image only, or of all taps with zeros outside.
    pub fn average_pool(&mut self, x: Id, window: Window, count_outside: bool) -> Result<Id, Error> {
        let sum = self.push(Op::SumPool(window), &[x])?;
        let &[_, height, width, _] = self.shape(x) else {
            return Err(Error::argument(format!("an average pool of {:?}: wants 4 axes", self.shape(x))));
        };
        let size = [height, width];
        let inside = |axis: usize, place: usize| {
            (0..window.kernel[axis]).filter(|&tap| window.sees(axis, place, tap, size[axis]).is_some()).count()
        };
        let &[_, rows, columns, _] = self.shape(sum) else { return Ok(sum) };
        let weight = |i: usize| {
            let (row, column) = (i / columns, i % columns);
            let taps = if count_outside { window.kernel.iter().product() } else { inside(0, row) * inside(1, column) };
            // A window that sees nothing has the mean 0.
            (taps.max(1) as f64).recip()
        };
        let weights = memory::collected(rows * columns, (0..rows * columns).map(weight))?;
        let weights = self.constant(vec![1, rows, columns, 1], Values::Real(weights))?;
        self.mul(sum, weights)
    }

    /// z Phi(z), with the normal distribution function or its approximation by a tanh.
    pub fn gelu(&mut self, z: Id, by_tanh: bool) -> Result<Id, Error> {
        let cdf = if by_tanh {
            // Hendrycks and Gimpel 2016: (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3))) / 2 = sigmoid of twice that.
            let cube = self.unary(Unary::Power(Number::new(3.0)), z)?;
            let bend = self.scale(cube, 0.044715)?;
            let inner = self.add(z, bend)?;
            let twice = self.scale(inner, 2.0 * (2.0 / std::f64::consts::PI).sqrt())?;
            self.unary(Unary::Sigmoid, twice)?
        } else {
            self.unary(Unary::NormalCdf, z)?
        };
        self.mul(z, cdf)
    }

    /// z for z > 0, else slope z.
    pub fn leaky_relu(&mut self, z: Id, slope: f64) -> Result<Id, Error> {
        let positive = self.unary(Unary::Relu, z)?;
        let down = self.neg(z)?;
        let negative = self.unary(Unary::Relu, down)?;
        let negative = self.scale(negative, -slope)?;
        self.add(positive, negative)
    }

    /// The cross-entropy -log softmax(z)_y of every row of logits `[n, classes]`, `[n, 1]`.
    pub fn cross_entropy(&mut self, z: Id, labels: Id) -> Result<Id, Error> {
        let &[_, classes] = self.shape(z) else {
            return Err(Error::argument(format!("a cross-entropy of {:?}: wants samples x classes", self.shape(z))));
        };
        let log = self.push(Op::LogSoftmax, &[z])?;
        let hot = self.push(Op::OneHot { classes }, &[labels])?;
        let picked = self.mul(log, hot)?;
        let sum = self.sum(picked, &[1])?;
        self.neg(sum)
    }
}
