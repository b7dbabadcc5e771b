//! Nodes that are no chains: views of other arrays, or one kernel each.

use super::draft::Draft;
use super::node::Local;
use crate::graph::kernels::convolve::{Convolution, Wanted};
use crate::graph::kernels::copy::{Lookup, Walk};
use crate::graph::kernels::pool::Pool;
use crate::graph::kernels::product::{Product, takes};
use crate::graph::kernels::reduce::{Kind, Reduction};
use crate::graph::reads::Source;
use crate::graph::step::{Kernel, Pooling};
use crate::graph::view::{Place, View, steps};
use mountainpass_network::graph::op::{Element, Op, Stride, Window};
use mountainpass_sdk::Error;

/// Where the elements of a part stand in the whole.
fn part(along: &[Stride], whole: &[usize]) -> (usize, Vec<isize>) {
    let steps = steps(whole);
    let start = along.iter().zip(&steps).map(|(by, step)| by.start * *step as usize).sum();
    (start, along.iter().zip(&steps).map(|(by, step)| by.step * step).collect())
}

/// The four sizes of an image.
fn image(shape: &[usize]) -> Result<[usize; 4], Error> {
    shape.try_into().map_err(|_| Error::argument(format!("{shape:?} is no image")))
}

impl Draft<'_> {
    /// A node that is no chain.
    pub(crate) fn node(&mut self, i: usize) -> Result<(), Error> {
        let Local { op, args, shape, element, turned, .. } = &self.nodes[i];
        let count: usize = shape.iter().product();
        let from = |k: usize| &self.nodes[args[k]].shape[..];
        let view = match op {
            Op::Input { slot, .. } => {
                self.inputs.push((*slot, count, *element));
                View::dense(Place::Input(*slot), 0, shape)
            }
            Op::Parameter { offset, .. } => {
                self.theta = self.theta.max(offset + count);
                View::dense(Place::Theta, *offset, shape)
            }
            Op::Direction { offset, .. } => {
                self.direction = self.direction.max(offset + count);
                View::dense(Place::Direction, *offset, shape)
            }
            Op::Constant(constant) => {
                self.constants.push(Source::Array(constant.values.clone()));
                View::dense(Place::Constant(self.constants.len() - 1), 0, shape)
            }
            Op::Fill(number, _) => {
                self.constants.push(Source::Number(number.get()));
                let place = Place::Constant(self.constants.len() - 1);
                View { place, offset: 0, strides: vec![0; shape.len()] }
            }
            Op::Reshape(_) => match self.view(args[0])?.reshaped(from(0), shape) {
                Some(view) => view,
                None => {
                    let View { place, offset, .. } = self.dense(args[0])?;
                    View::dense(place, offset, shape)
                }
            },
            Op::Transpose(perm) => {
                let of = self.view(args[0])?;
                View { strides: perm.iter().map(|axis| of.strides[*axis]).collect(), ..of }
            }
            Op::Broadcast(_) => {
                let of = self.view(args[0])?;
                let sizes = from(0).iter().zip(&of.strides);
                View { strides: sizes.map(|(size, stride)| if *size == 1 { 0 } else { *stride }).collect(), ..of }
            }
            Op::Slice { along, .. } => {
                let of = self.view(args[0])?;
                let strides = along.iter().zip(&of.strides);
                let start: isize = strides.clone().map(|(by, stride)| by.start as isize * stride).sum();
                let offset = of.offset.wrapping_add_signed(start);
                View { place: of.place, offset, strides: strides.map(|(by, stride)| by.step * stride).collect() }
            }
            Op::MatMul => return self.product(i, *turned),
            _ => {
                let kernel = self.kernel(op, args, shape)?;
                let reads = args.iter().map(|arg| self.dense(*arg)).collect::<Result<Vec<View>, Error>>()?;
                self.step(i, kernel, *element, reads);
                return Ok(());
            }
        };
        self.views[i] = Some(view);
        Ok(())
    }

    /// The kernel of an operator whose arguments are dense.
    fn kernel(&self, op: &Op, args: &[usize], shape: &[usize]) -> Result<Kernel, Error> {
        let from = |k: usize| &self.nodes[args[k]].shape[..];
        let convolution = |window: &Window, groups: usize, x: &[usize], y: &[usize]| -> Result<Convolution, Error> {
            let [_, rows, columns, channels] = image(y)?;
            Ok(Convolution { window: *window, groups, image: image(x)?, result: [rows, columns, channels] })
        };
        let pool = |window: &Window, x: &[usize], y: &[usize]| -> Result<Pool, Error> {
            let [_, rows, columns, _] = image(y)?;
            Ok(Pool { window: *window, image: image(x)?, places: [rows, columns] })
        };
        let inner = |k: usize, axis: usize| from(k)[axis + 1..].iter().product::<usize>();
        Ok(match op {
            Op::Place { along, .. } => {
                let (start, strides) = part(along, shape);
                Kernel::Place(Walk::new(from(0), &strides), start)
            }
            Op::Concat(axis) => {
                let by = steps(shape);
                let mut offset = 0;
                let walk = |arg: &usize| {
                    let walk = (Walk::new(&self.nodes[*arg].shape, &by), offset);
                    offset += self.nodes[*arg].shape[*axis] * by[*axis] as usize;
                    walk
                };
                Kernel::Concat(args.iter().map(walk).collect())
            }
            Op::Gather { axis, shared } => {
                let shared = from(0)[..*shared].iter().product();
                Kernel::Gather(Lookup { shared, size: from(0)[*axis], inner: inner(0, *axis) })
            }
            Op::Scatter { axis, size, shared } => {
                let (shared, inner) = (shape[..*shared].iter().product(), shape[axis + 1..].iter().product());
                Kernel::Scatter(Lookup { shared, size: *size, inner })
            }
            Op::ToReal => Kernel::ToReal,
            Op::ToIndex => Kernel::ToIndex,
            Op::TopK { count } => Kernel::TopK(*count, from(0)[from(0).len() - 1]),
            Op::OneHot { classes } => Kernel::OneHot(*classes),
            Op::Sum(axes) => Kernel::Reduce(Reduction::new(Kind::Sum, from(0), axes)),
            Op::Largest(axes) => Kernel::Reduce(Reduction::new(Kind::Largest, from(0), axes)),
            Op::Softmax => Kernel::Softmax(shape[shape.len() - 1], false),
            Op::LogSoftmax => Kernel::Softmax(shape[shape.len() - 1], true),
            Op::Convolve { window, groups } => {
                Kernel::Convolve(convolution(window, *groups, from(0), shape)?, Wanted::Result)
            }
            Op::ConvolveImage { window, groups, .. } => {
                Kernel::Convolve(convolution(window, *groups, shape, from(0))?, Wanted::Image)
            }
            Op::ConvolveKernel { window, groups } => {
                Kernel::Convolve(convolution(window, *groups, from(0), from(1))?, Wanted::Kernel)
            }
            Op::SumPool(window) => Kernel::Pool(pool(window, from(0), shape)?, Pooling::Sum),
            Op::SumUnpool { window, .. } => Kernel::Pool(pool(window, shape, from(0))?, Pooling::Unpool),
            Op::PickMax(window) => Kernel::Pool(pool(window, from(0), shape)?, Pooling::Pick),
            Op::PlaceMax(window) => Kernel::Pool(pool(window, from(0), from(1))?, Pooling::Place),
            other => return Err(Error::unsupported(format!("{other:?}"))),
        })
    }

    /// A product; `turned` if the factors' last two axes are exchanged.
    fn product(&mut self, i: usize, turned: bool) -> Result<(), Error> {
        let args = &self.nodes[i].args;
        let mut factors = Vec::with_capacity(2);
        for &arg in args {
            let seen = |of: &Draft<'_>| -> Result<(Vec<usize>, View), Error> {
                let (mut shape, mut view) = (of.nodes[arg].shape.clone(), of.view(arg)?);
                if turned && shape.len() >= 2 {
                    let rank = shape.len();
                    shape.swap(rank - 2, rank - 1);
                    view.strides.swap(rank - 2, rank - 1);
                }
                Ok((shape, view))
            };
            let (shape, view) = seen(self)?;
            if !takes(&shape, &view) {
                self.copied(arg)?;
            }
            factors.push(seen(self)?);
        }
        let [(a, left), (b, right)] = &factors[..] else {
            return Err(Error::argument("a product wants two factors"));
        };
        let product = Product::new([a, b], [left, right]);
        let product = product.ok_or_else(|| Error::argument(format!("{a:?} by {b:?} is no product")))?;
        let reads = vec![left.clone(), right.clone()];
        self.step(i, Kernel::Product(product), Element::Real, reads);
        Ok(())
    }
}
