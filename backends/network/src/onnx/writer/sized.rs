//! What derivatives are made of, as ONNX's operators: for graphs whose every axis is known.
//!
//! A window is taken apart into its taps (one strided part of the image for each) wherever ONNX has no operator: for the
//! gradient by a kernel, and for whatever ONNX Runtime computes in f32 only.

use super::columns::Sight;
use super::nodes::{int, ints};
use super::operators::Writer;
use super::precision::Precision;
use crate::graph::Id;
use crate::graph::op::{Op, Stride, Unary, Window};
use mountainpass_sdk::Error;

/// A lookup as `[shared, outer, size, inner]` by `[shared, own]`.
struct Rows {
    shared: usize,
    outer: usize,
    size: usize,
    inner: usize,
    own: usize,
}

impl Rows {
    /// Of an array whose axis of `size` stands between `before` and `after`.
    fn new(size: usize, shared: usize, [before, after, indices]: [&[usize]; 3]) -> Rows {
        let count = |axes: &[usize]| axes.iter().product();
        let (outer, own) = (count(&before[shared..]), count(&indices[shared..]));
        Rows { shared: count(&before[..shared]), outer, size, inner: count(after), own }
    }
}

/// Whether a window may see nothing but what was added: ONNX Runtime has no such pools.
fn is_far(window: &Window) -> bool {
    (0..2).any(|axis| window.begin[axis].max(window.end[axis]) >= window.kernel[axis])
}

impl Writer<'_> {
    /// An operator that only a graph of one size can be written with; `None` for all others.
    pub fn sized(&mut self, id: Id) -> Result<Option<String>, Error> {
        if self.sources.is_none() {
            return Ok(None);
        }
        let graph = self.pair.small;
        let node = graph.node(id);
        let args = &node.args;
        let is_single = self.precision == Precision::Single;
        let name = match &node.op {
            Op::Sum(axes) | Op::Largest(axes) if axes.is_empty() => self.value(args[0])?,
            Op::Unary(Unary::Softplus) if !is_single => {
                let x = self.value(args[0])?;
                self.softplus(x)
            }
            // Its kernel for f64 looks past what is not a number, as that of Softmax does not.
            Op::LogSoftmax if !is_single => {
                let (x, zero) = (self.value(args[0])?, self.nodes.number(0.0));
                let mut last = |op: &str| self.nodes.push(op, vec![x.clone()], vec![int("axis", -1)]);
                let (log, softmax) = (last("LogSoftmax"), last("Softmax"));
                let nothing = self.nodes.push("Mul", vec![softmax, zero], Vec::new());
                self.nodes.push("Add", vec![log, nothing], Vec::new())
            }
            // There is a kernel of the sine.
            Op::Unary(Unary::Cos) if !is_single => {
                let quarter = self.nodes.number(std::f64::consts::FRAC_PI_2);
                let ahead = self.nodes.push("Add", vec![self.value(args[0])?, quarter], Vec::new());
                self.nodes.push("Sin", vec![ahead], Vec::new())
            }
            Op::OneHot { classes } => self.hot(args[0], *classes)?,
            Op::Place { along, .. } if along.iter().any(|by| by.step != 1) => {
                let x = self.value(args[0])?;
                self.placed(x, graph.shape(args[0]), along, graph.shape(id))
            }
            Op::Gather { axis, shared } if *shared > 0 => {
                let shape = graph.shape(args[0]);
                let sides = [&shape[..*axis], &shape[axis + 1..], graph.shape(args[1])];
                let rows = Rows::new(shape[*axis], *shared, sides);
                self.gathered(args, &rows, graph.shape(id))?
            }
            Op::Scatter { axis, size, shared } => {
                let out = graph.shape(id);
                let rows = Rows::new(*size, *shared, [&out[..*axis], &out[axis + 1..], graph.shape(args[1])]);
                self.scattered(args, &rows, out)?
            }
            Op::ToReal => self.cast(args[0], i64::from(self.precision.data_type()))?,
            Op::ToIndex => self.cast(args[0], 7)?,
            Op::TopK { count } => {
                let count = self.nodes.wholes(vec![*count as i64]);
                let [_, places] = self.nodes.pair("TopK", vec![self.value(args[0])?, count], Vec::new());
                places
            }
            Op::Convolve { window, groups } => match self.convolved(args, window, *groups, graph.shape(id))? {
                None if is_single => return Ok(None),
                None => self.products(args, window, *groups, graph.shape(id))?,
                Some(name) => name,
            },
            Op::ConvolveImage { window, groups, .. } => {
                match self.image_convolved(args, window, *groups, graph.shape(id))? {
                    None if is_single => return Ok(None),
                    None => self.image_products(args, window, *groups, graph.shape(id))?,
                    Some(name) => name,
                }
            }
            Op::ConvolveKernel { window, groups } => self.kernel_products(args, window, *groups, graph.shape(id))?,
            Op::SumPool(window) if !is_single || is_far(window) => {
                let places = &graph.shape(id)[1..3];
                let taps = self.taps(args[0], window, [places[0], places[1]], None)?;
                self.total(taps)
            }
            Op::SumUnpool { window, .. } => {
                let y = self.value(args[0])?;
                let taps = (0..window.kernel.iter().product()).map(|_| y.clone()).collect();
                self.untapped(taps, graph.shape(args[0]), window, graph.shape(id))
            }
            Op::Largest(axes) => self.largest(args[0], axes)?,
            Op::PickMax(window) => self.picked(args, window, &graph.shape(id)[1..3])?,
            Op::PlaceMax(window) => self.picked_placed(args, window, graph.shape(id))?,
            _ => return Ok(None),
        };
        Ok(Some(name))
    }

    /// A value with its own axes, though it may not be written but for others.
    pub(super) fn straight(&mut self, x: Id) -> Result<String, Error> {
        self.transposed(x, (0..self.pair.small.shape(x).len()).collect())
    }

    pub(super) fn reshape(&mut self, x: String, shape: &[usize]) -> String {
        let shape = self.nodes.wholes(shape.iter().map(|size| *size as i64).collect());
        self.nodes.once("Reshape", vec![x, shape], Vec::new())
    }

    fn expand(&mut self, x: String, shape: &[usize]) -> String {
        let shape = self.nodes.wholes(shape.iter().map(|size| *size as i64).collect());
        self.nodes.once("Expand", vec![x, shape], Vec::new())
    }

    pub(super) fn turn(&mut self, x: String, perm: &[usize]) -> String {
        self.nodes.once("Transpose", vec![x], vec![ints("perm", perm.iter().copied())])
    }

    /// `x` with zeros around it.
    pub(super) fn pad(&mut self, x: String, before: &[usize], after: &[usize]) -> String {
        if before.iter().chain(after).all(|pad| *pad == 0) {
            return x;
        }
        let pads = self.nodes.wholes(before.iter().chain(after).map(|pad| *pad as i64).collect());
        self.nodes.once("Pad", vec![x, pads], Vec::new())
    }

    /// Along axes from `first` on: (start, end, step) of each.
    pub(super) fn part(&mut self, x: String, first: usize, along: &[[i64; 3]]) -> String {
        let list = |k: usize| along.iter().map(|by| by[k]).collect::<Vec<i64>>();
        let axes = (first..first + along.len()).map(|axis| axis as i64).collect();
        let lists = [list(0), list(1), axes, list(2)].map(|list| self.nodes.wholes(list));
        self.nodes.once("Slice", std::iter::once(x).chain(lists).collect(), Vec::new())
    }

    pub(super) fn product(&mut self, a: String, b: String) -> String {
        self.nodes.push("MatMul", vec![a, b], Vec::new())
    }

    /// The sum of arrays of one shape. ONNX's `Sum` would do, but is no faster and less widely fused.
    fn total(&mut self, all: Vec<String>) -> String {
        let sum = all.into_iter().reduce(|sum, next| self.nodes.push("Add", vec![sum, next], Vec::new()));
        sum.unwrap_or_default()
    }

    /// max(x, 0) + log(1 + e) with e = exp(-|x|), where log(1 + e) is e log(u) / (u - 1) of the rounded u = 1 + e (Kahan), and e
    /// where u is 1.
    fn softplus(&mut self, x: String) -> String {
        let one = self.nodes.number(1.0);
        let mut apply = |op: &str, inputs: &[&String]| {
            self.nodes.push(op, inputs.iter().map(|name| (*name).clone()).collect(), Vec::new())
        };
        let size = apply("Abs", &[&x]);
        let down = apply("Neg", &[&size]);
        let (e, above) = (apply("Exp", &[&down]), apply("Relu", &[&x]));
        let u = apply("Add", &[&e, &one]);
        let (log, rounded) = (apply("Log", &[&u]), apply("Sub", &[&u, &one]));
        let scaled = apply("Mul", &[&e, &log]);
        let (exact, is_one) = (apply("Div", &[&scaled, &rounded]), apply("Equal", &[&u, &one]));
        let log = apply("Where", &[&is_one, &e, &exact]);
        apply("Add", &[&above, &log])
    }

    fn cast(&mut self, x: Id, to: i64) -> Result<String, Error> {
        let x = self.value(x)?;
        Ok(self.nodes.push("Cast", vec![x], vec![int("to", to)]))
    }

    /// Unit vectors: through whole numbers, of which there is a kernel whatever the type of reals.
    fn hot(&mut self, x: Id, classes: usize) -> Result<String, Error> {
        let (depth, values) = (self.nodes.wholes(vec![classes as i64]), self.nodes.wholes(vec![0, 1]));
        let whole = self.nodes.push("OneHot", vec![self.value(x)?, depth, values], Vec::new());
        let to = i64::from(self.precision.data_type());
        Ok(self.nodes.push("Cast", vec![whole], vec![int("to", to)]))
    }

    /// The adjoint of a part with any steps: zeros come between elements, then around them.
    fn placed(&mut self, mut x: String, from: &[usize], along: &[Stride], to: &[usize]) -> String {
        let (mut shape, mut before, mut after) = (from.to_vec(), Vec::new(), Vec::new());
        for (axis, by) in along.iter().enumerate() {
            let (count, mut start, step) = (from[axis], by.start, by.step.unsigned_abs());
            if by.step < 0 && count > 1 {
                x = self.part(x, axis, &[[-1, i64::MIN, -1]]);
                start = by.start - step * (count - 1);
            }
            if step > 1 && count > 1 {
                let mut apart = shape.clone();
                apart.insert(axis + 1, 1);
                x = self.reshape(x, &apart);
                let mut zeros = vec![0; apart.len()];
                let none = zeros.clone();
                zeros[axis + 1] = step - 1;
                x = self.pad(x, &none, &zeros);
                shape[axis] = count * step;
                x = self.reshape(x, &shape);
                shape[axis] = (count - 1) * step + 1;
                x = self.part(x, axis, &[[0, shape[axis] as i64, 1]]);
            }
            before.push(start);
            after.push(to[axis] - start - shape[axis]);
        }
        self.pad(x, &before, &after)
    }

    /// Indices for every element of `[shared, outer, own, inner]`.
    fn everywhere(&mut self, indices: Id, rows: &Rows) -> Result<String, Error> {
        let at = self.reshape(self.value(indices)?, &[rows.shared, 1, rows.own, 1]);
        Ok(self.expand(at, &[rows.shared, rows.outer, rows.own, rows.inner]))
    }

    fn gathered(&mut self, args: &[Id], rows: &Rows, out: &[usize]) -> Result<String, Error> {
        let x = self.reshape(self.value(args[0])?, &[rows.shared, rows.outer, rows.size, rows.inner]);
        let at = self.everywhere(args[1], rows)?;
        let found = self.nodes.push("GatherElements", vec![x, at], vec![int("axis", 2)]);
        Ok(self.reshape(found, out))
    }

    fn scattered(&mut self, args: &[Id], rows: &Rows, out: &[usize]) -> Result<String, Error> {
        let x = self.reshape(self.value(args[0])?, &[rows.shared, rows.outer, rows.own, rows.inner]);
        let at = self.everywhere(args[1], rows)?;
        let zero = self.nodes.number(0.0);
        let zeros = self.expand(zero, &[rows.shared, rows.outer, rows.size, rows.inner]);
        let how = vec![int("axis", 2), super::nodes::text("reduction", "add")];
        let sum = self.nodes.push("ScatterElements", vec![zeros, at, x], how);
        Ok(self.reshape(sum, out))
    }

    /// What each tap of a window sees of an image from all `places`; `outside` of it, zeros unless it is given.
    pub(super) fn taps(
        &mut self,
        x: Id,
        window: &Window,
        places: [usize; 2],
        outside: Option<f64>,
    ) -> Result<Vec<String>, Error> {
        let Window { kernel, strides, dilations, begin, end } = *window;
        let x = self.straight(x)?;
        let around = [[0, begin[0], begin[1], 0], [0, end[0], end[1], 0]];
        let padded = match outside.filter(|_| around != [[0; 4]; 2]) {
            Some(outside) => {
                let pads = self.nodes.wholes(around.concat().into_iter().map(|pad| pad as i64).collect());
                let outside = self.nodes.number(outside);
                self.nodes.once("Pad", vec![x, pads, outside], Vec::new())
            }
            None => self.pad(x, &around[0], &around[1]),
        };
        let mut taps = Vec::with_capacity(kernel[0] * kernel[1]);
        for tap in (0..kernel[0]).flat_map(|i| (0..kernel[1]).map(move |j| [i, j])) {
            let along = [0, 1].map(|k| {
                let (start, step) = (tap[k] * dilations[k], strides[k]);
                [start as i64, (start + (places[k] - 1) * step + 1) as i64, step as i64]
            });
            taps.push(self.part(padded.clone(), 1, &along));
        }
        Ok(taps)
    }

    /// The adjoint: the sum of what every tap gives back, `y` being the axes of one.
    pub(super) fn untapped(&mut self, taps: Vec<String>, y: &[usize], window: &Window, x: &[usize]) -> String {
        let Window { kernel, strides, dilations, begin, end } = *window;
        let whole = [x[0], x[1] + begin[0] + end[0], x[2] + begin[1] + end[1], x[3]];
        let still = Stride { start: 0, step: 1 };
        let mut all = Vec::with_capacity(taps.len());
        for (k, tap) in taps.into_iter().enumerate() {
            let at = [k / kernel[1], k % kernel[1]];
            let by = [0, 1].map(|k| Stride { start: at[k] * dilations[k], step: strides[k] as isize });
            all.push(self.placed(tap, y, &[still, by[0], by[1], still], &whole));
        }
        let sum = self.total(all);
        if begin == [0; 2] && end == [0; 2] {
            return sum;
        }
        let along = [0, 1].map(|k| [begin[k] as i64, (begin[k] + x[k + 1]) as i64, 1]);
        self.part(sum, 1, &along)
    }

    /// `[places, groups c]` as `[groups, places, c]`.
    fn grouped(&mut self, x: String, places: usize, [groups, each]: [usize; 2]) -> String {
        let apart = self.reshape(x, &[places, groups, each]);
        self.turn(apart, &[1, 0, 2])
    }

    /// The kernel of one tap as `[groups, inputs, outputs / groups]`.
    fn tap_of(&mut self, kernel: &str, shape: &[usize], tap: usize, groups: usize) -> String {
        let flat = self.reshape(kernel.to_owned(), &[shape[0] * shape[1], shape[2], groups, shape[3] / groups]);
        let one = self.part(flat, 0, &[[tap as i64, tap as i64 + 1, 1]]);
        let one = self.reshape(one, &[shape[2], groups, shape[3] / groups]);
        self.turn(one, &[1, 0, 2])
    }

    /// A convolution as a sum of products, one a tap.
    fn products(&mut self, args: &[Id], window: &Window, groups: usize, out: &[usize]) -> Result<String, Error> {
        let (kernel, places) = (self.pair.small.shape(args[1]), out[0] * out[1] * out[2]);
        let w = self.straight(args[1])?;
        let mut all = Vec::new();
        for (k, tap) in self.taps(args[0], window, [out[1], out[2]], None)?.into_iter().enumerate() {
            let x = self.grouped(tap, places, [groups, kernel[2]]);
            let w = self.tap_of(&w, kernel, k, groups);
            all.push(self.product(x, w));
        }
        let sum = self.total(all);
        let sum = self.turn(sum, &[1, 0, 2]);
        Ok(self.reshape(sum, out))
    }

    /// Its adjoint by the image.
    fn image_products(&mut self, args: &[Id], window: &Window, groups: usize, out: &[usize]) -> Result<String, Error> {
        let graph = self.pair.small;
        let (y, kernel) = (graph.shape(args[0]), graph.shape(args[1]));
        let places = y[0] * y[1] * y[2];
        let (w, given) = (self.straight(args[1])?, self.straight(args[0])?);
        let x = self.grouped(given, places, [groups, kernel[3] / groups]);
        let seen = [y[0], y[1], y[2], groups * kernel[2]];
        let mut taps = Vec::new();
        for k in 0..kernel[0] * kernel[1] {
            let w = self.tap_of(&w, kernel, k, groups);
            let w = self.turn(w, &[0, 2, 1]);
            let tap = self.product(x.clone(), w);
            let tap = self.turn(tap, &[1, 0, 2]);
            taps.push(self.reshape(tap, &seen));
        }
        Ok(self.untapped(taps, &seen, window, out))
    }

    /// Its adjoint by the kernel: a convolution with samples and channels swapped is slow, a product for each tap is not.
    fn kernel_products(&mut self, args: &[Id], window: &Window, groups: usize, out: &[usize]) -> Result<String, Error> {
        let y = self.pair.small.shape(args[1]).to_vec();
        let places = y[0] * y[1] * y[2];
        let (inputs, each) = (out[2], out[3] / groups);
        let g = self.value(args[1])?;
        if groups == 1
            && let Some(columns) = self.columns(args[0], &Sight::of(window), [y[1], y[2]])?
        {
            let g = self.reshape(g, &[places, each]);
            let sum = self.nodes.push("Gemm", vec![columns, g], vec![int("transA", 1)]);
            return Ok(self.reshape(sum, out));
        }
        let mut rows = Vec::new();
        for tap in self.taps(args[0], window, [y[1], y[2]], None)? {
            let row = if groups == 1 {
                let (x, g) = (self.reshape(tap, &[places, inputs]), self.reshape(g.clone(), &[places, each]));
                self.nodes.push("Gemm", vec![x, g], vec![int("transA", 1)])
            } else if inputs == 1 && each == 1 {
                let both = self.nodes.push("Mul", vec![tap, g.clone()], Vec::new());
                let axes = self.nodes.wholes(vec![0, 1, 2]);
                self.nodes.push("ReduceSum", vec![both, axes], Vec::new())
            } else {
                let x = self.grouped(tap, places, [groups, inputs]);
                let (x, g) = (self.turn(x, &[0, 2, 1]), self.grouped(g.clone(), places, [groups, each]));
                let product = self.product(x, g);
                self.turn(product, &[1, 0, 2])
            };
            rows.push(self.reshape(row, &[1, inputs, out[3]]));
        }
        let all = if rows.len() == 1 { rows.remove(0) } else { self.nodes.push("Concat", rows, vec![int("axis", 0)]) };
        Ok(self.reshape(all, out))
    }
}
