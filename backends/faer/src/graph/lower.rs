//! Nodes become views or steps, one unit after the other, and steps' arrays become buffers.

use super::convolve::{Convolution, Wanted};
use super::copy::Walk;
use super::group::{is_sink, recomputed, units};
use super::plan::{Local, Plan, Source};
use super::pool::Pool;
use super::product::{Product, takes};
use super::reduce::{Kind, Reduction};
use super::run::{Kernel, Pooling, Step};
use super::view::{Place, View, steps};
use mountainpass_network::graph::op::{Element, Op, Stride, Window};
use mountainpass_sdk::Error;

pub(super) struct Lowering<'a> {
    pub(super) nodes: &'a [Local],
    pub(super) users: Vec<Vec<usize>>,
    /// Nodes that every chain computes for itself.
    pub(super) recomputed: Vec<bool>,
    /// Of every node that is lowered.
    pub(super) views: Vec<Option<View>>,
    pub(super) steps: Vec<Step>,
    /// Elements and kind of what steps write; places are numbers of values until buffers are shared out.
    pub(super) values: Vec<(usize, Element)>,
    constants: Vec<Source>,
    inputs: Vec<(usize, usize, Element)>,
    theta: usize,
    direction: usize,
}

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

impl<'a> Lowering<'a> {
    pub(super) fn new(nodes: &'a [Local]) -> Lowering<'a> {
        let mut users = vec![Vec::new(); nodes.len()];
        for (i, node) in nodes.iter().enumerate().filter(|(_, node)| node.needed) {
            node.args.iter().for_each(|arg| users[*arg].push(i));
        }
        Lowering {
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

    /// Lowers every unit, then shares out the buffers.
    pub(super) fn plan(mut self, outputs: &[usize], number: u64) -> Result<Plan, Error> {
        let mut wanted = vec![false; self.nodes.len()];
        outputs.iter().for_each(|i| wanted[*i] = true);
        self.recomputed = recomputed(self.nodes, &self.users, &wanted);
        for unit in units(self.nodes) {
            match unit[..] {
                [i] if !self.nodes[i].is_each() && !is_sink(self.nodes, i) => self.node(i)?,
                _ => self.chain(&unit, &wanted)?,
            }
        }
        let mut values = Vec::with_capacity(outputs.len());
        for &i in outputs {
            let Local { shape, element, .. } = &self.nodes[i];
            if *element == Element::Index {
                return Err(Error::argument("an output of indices: only reals can be computed for"));
            }
            // An output is a whole buffer: what is seen elsewhere, or inside of an array, is copied.
            let view = self.view(i)?;
            let len = shape.iter().product();
            let value = match view.place {
                Place::Value(value) if view.is_dense(shape) && self.values[value].0 == len => value,
                _ => self.copied(i)?,
            };
            values.push((value, len));
        }
        Ok(self.shared_out(values, number))
    }

    pub(super) fn view(&self, i: usize) -> Result<View, Error> {
        self.views[i].clone().ok_or_else(|| Error::argument(format!("node {i} is used before it is computed")))
    }

    /// A new value.
    pub(super) fn value(&mut self, shape: &[usize], element: Element) -> usize {
        self.values.push((shape.iter().product(), element));
        self.values.len() - 1
    }

    /// Copies the view of a node into a value of its own, which stands for the node from now on.
    fn copied(&mut self, i: usize) -> Result<usize, Error> {
        let Local { shape, element, .. } = &self.nodes[i];
        let view = self.view(i)?;
        let kernel = Kernel::Copy(Walk::new(shape, &view.strides));
        Ok(self.step(i, kernel, *element, vec![view]))
    }

    /// Adds a step that computes a node.
    fn step(&mut self, i: usize, kernel: Kernel, element: Element, reads: Vec<View>) -> usize {
        let value = self.value(&self.nodes[i].shape, element);
        let len = self.values[value].0;
        self.views[i] = Some(View::dense(Place::Value(value), 0, &self.nodes[i].shape));
        let lengths = self.nodes[i].args.iter().map(|arg| self.nodes[*arg].shape.iter().product()).collect();
        self.steps.push(Step { kernel, element, reads, lengths, writes: vec![(value, len)] });
        value
    }

    /// The node in C order, copied if it is not.
    pub(super) fn dense(&mut self, i: usize) -> Result<View, Error> {
        if !self.view(i)?.is_dense(&self.nodes[i].shape) {
            self.copied(i)?;
        }
        self.view(i)
    }

    /// A node that is no chain.
    fn node(&mut self, i: usize) -> Result<(), Error> {
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
            Op::Gather { axis } => Kernel::Gather(from(0)[*axis], inner(0, *axis)),
            Op::Scatter { axis, size } => Kernel::Scatter(*size, shape[axis + 1..].iter().product()),
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
            let seen = |of: &Lowering<'_>| -> Result<(Vec<usize>, View), Error> {
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

    /// Gives every value a buffer; values that are never alive together may share one.
    fn shared_out(mut self, outputs: Vec<(usize, usize)>, number: u64) -> Plan {
        let mut last = vec![0; self.values.len()];
        for (s, step) in self.steps.iter().enumerate() {
            for view in &step.reads {
                if let Place::Value(value) = view.place {
                    last[value] = s;
                }
            }
            // What nobody reads lives for its own step.
            step.writes.iter().for_each(|(value, _)| last[*value] = s);
        }
        outputs.iter().for_each(|(value, _)| last[*value] = usize::MAX);
        let mut buffers: [Buffers; 2] = Default::default();
        let kind = |element: Element| usize::from(element == Element::Index);
        let mut buffer = vec![0; self.values.len()];
        for (s, step) in self.steps.iter_mut().enumerate() {
            let all = &mut buffers[kind(step.element)];
            // An array that is read for the last time makes room for one that is written.
            let mut shared = Vec::new();
            for (k, (value, len)) in step.writes.iter().enumerate() {
                let last_read = |read: &usize| match step.reads[*read].place {
                    Place::Value(value) => {
                        let alone = step.reads.iter().filter(|view| view.place == Place::Value(value)).count() == 1;
                        let fits = self.values[value].0 == *len && !shared.contains(&value);
                        alone && fits && last[value] == s
                    }
                    _ => false,
                };
                let read = match &step.kernel {
                    Kernel::Chain(chain) => (0..step.reads.len()).find(|i| chain.may_share(*i) && last_read(i)),
                    _ => None,
                };
                if let (Some(read), Kernel::Chain(chain)) = (read, &mut step.kernel)
                    && let Place::Value(from) = step.reads[read].place
                {
                    chain.share(read, k);
                    shared.push(from);
                    buffer[*value] = buffer[from];
                } else {
                    buffer[*value] = all.take(*len);
                }
            }
            let read = step.reads.iter().filter_map(|view| match view.place {
                Place::Value(value) => Some(value),
                _ => None,
            });
            let mut over: Vec<usize> = read.chain(step.writes.iter().map(|(value, _)| *value)).collect();
            over.sort_unstable();
            over.dedup();
            for value in over.into_iter().filter(|value| last[*value] == s && !shared.contains(value)) {
                buffers[kind(self.values[value].1)].free.push(buffer[value]);
            }
            for view in &mut step.reads {
                if let Place::Value(value) = &mut view.place {
                    *value = buffer[*value];
                }
            }
            step.writes.iter_mut().for_each(|(value, _)| *value = buffer[*value]);
        }
        let [reals, indices] = buffers.map(|all| all.sizes);
        let Lowering { steps, constants, inputs, theta, direction, .. } = self;
        let outputs = outputs.into_iter().map(|(value, len)| (buffer[value], len)).collect();
        Plan { number, steps, reals, indices, constants, inputs, theta, direction, outputs }
    }
}

/// Buffers of one kind.
#[derive(Default)]
struct Buffers {
    sizes: Vec<usize>,
    free: Vec<usize>,
}

impl Buffers {
    /// The smallest free buffer that is large enough, else the largest made larger, else a new one.
    fn take(&mut self, len: usize) -> usize {
        let fits = |buffer: &usize| self.sizes[*buffer] >= len;
        let size = |(_, buffer): &(usize, &usize)| (self.sizes[**buffer], **buffer);
        let all = || self.free.iter().enumerate();
        let best = all().filter(|(_, buffer)| fits(buffer)).min_by_key(size).or_else(|| all().max_by_key(size));
        match best.map(|(i, _)| i) {
            Some(i) => {
                let buffer = self.free.swap_remove(i);
                self.sizes[buffer] = self.sizes[buffer].max(len);
                buffer
            }
            None => {
                self.sizes.push(len);
                self.sizes.len() - 1
            }
        }
    }
}
