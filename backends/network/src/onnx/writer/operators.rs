//! Each operator of a graph as ONNX's.

use super::super::messages::AttributeProto;
use super::nodes::{Nodes, int, ints};
use super::pair::{AxisSize, FIRST, KERNEL, Pair};
use super::precision::Precision;
use crate::graph::op::{Binary, Op, Stride, Unary, Values, Window};
use crate::graph::shape::name;
use crate::graph::{Graph, Id};
use crate::model::Model;
use mountainpass_sdk::Error;
use std::collections::{HashMap, HashSet};

/// From channels first to channels last.
pub(super) const LAST: [usize; 4] = [0, 2, 3, 1];

/// The state of writing: two graphs of one network, and the nodes so far.
pub(super) struct Writer<'g> {
    pub pair: Pair<'g>,
    pub precision: Precision,
    pub nodes: Nodes,
    /// The name of each value that is written already.
    names: HashMap<Id, String>,
    /// The same values with their axes in another order.
    turned: HashMap<(Id, Vec<usize>), String>,
    /// Names of parameters by offset.
    parameters: HashMap<usize, (&'g str, &'g [u64])>,
    features: Vec<&'g str>,
    /// Names of the sources of a graph that is written for a runtime, not for a file.
    pub sources: Option<HashMap<Id, String>>,
}

impl<'g> Writer<'g> {
    /// Nothing is written yet.
    pub fn new(pair: Pair<'g>, model: &'g dyn Model, precision: Precision) -> Writer<'g> {
        let parameters: HashMap<usize, (&str, &[u64])> =
            model.parameters().iter().map(|p| (p.offset as usize, (p.name.as_str(), &p.shape[..]))).collect();
        let features: Vec<&str> = model.features().iter().map(|feature| feature.name.as_str()).collect();
        let given = parameters.values().map(|(name, _)| *name).chain(features.iter().copied());
        let given = given.chain(["logits", "probabilities", "loss"]).map(str::to_owned);
        let nodes = Nodes::new(precision, given.collect());
        Writer {
            pair,
            precision,
            nodes,
            names: HashMap::new(),
            turned: HashMap::new(),
            parameters,
            features,
            sources: None,
        }
    }

    /// A graph of one size, whose sources have these names.
    pub fn of_graph(graph: &'g Graph, sources: HashMap<Id, String>, precision: Precision) -> Writer<'g> {
        Writer {
            pair: Pair { small: graph, large: graph },
            precision,
            nodes: Nodes::new(precision, HashSet::new()),
            names: HashMap::new(),
            turned: HashMap::new(),
            parameters: HashMap::new(),
            features: Vec::new(),
            sources: Some(sources),
        }
    }

    /// Writes whatever `output` needs.
    pub fn all(&mut self, outputs: &[Id]) -> Result<(), Error> {
        self.pair.check()?;
        for id in self.pair.needed(outputs) {
            let value = self.operator(id).map_err(|error| {
                let op = name(&self.pair.small.node(id).op);
                Error { text: format!("{op} of the shape {:?}: {}", self.pair.axes(id), error.text), ..error }
            })?;
            self.names.insert(id, value);
        }
        Ok(())
    }

    /// The parameter of an offset and a shape.
    fn parameter(&self, offset: usize, shape: &[usize]) -> Result<String, Error> {
        let found =
            self.parameters.get(&offset).filter(|(_, of)| of.iter().map(|d| *d as usize).eq(shape.iter().copied()));
        let found = found.map(|(name, _)| (*name).to_owned());
        found.ok_or_else(|| Error::unsupported(format!("the numbers from {offset} on are no whole parameter")))
    }

    /// Writes an operator; the name of its result.
    fn operator(&mut self, id: Id) -> Result<String, Error> {
        if let Some(name) = self.sources.as_ref().and_then(|sources| sources.get(&id)) {
            return Ok(name.clone());
        }
        if let Some(name) = self.sized(id)? {
            return Ok(name);
        }
        let of = self.pair.small.node(id);
        let args = of.args.clone();
        match &of.op {
            Op::Input { slot, .. } => {
                let name = self.features.get(*slot).map(|name| (*name).to_owned());
                name.ok_or_else(|| Error::unsupported(format!("the model has no input in slot {slot}")))
            }
            Op::Parameter { offset, shape } => self.parameter(*offset, shape),
            Op::Constant(constant) => Ok(self.nodes.array(&constant.shape, &constant.values)),
            Op::Fill(..) => {
                let number = self.number(id)?;
                let shape = self.target(id, None)?;
                Ok(self.nodes.push("Expand", vec![number, shape], Vec::new()))
            }
            Op::Unary(f) => self.unary(*f, args[0]),
            Op::Binary(f) => self.binary(*f, id),
            Op::Select => {
                let [condition, a, b] = self.elementwise::<3>(id)?;
                let condition = self.nodes.push("Cast", vec![condition], vec![int("to", 9)]);
                Ok(self.nodes.push("Where", vec![condition, a, b], Vec::new()))
            }
            Op::Reshape(_) => {
                let shape = self.reshaped(args[0], id)?;
                Ok(self.nodes.push("Reshape", vec![self.value(args[0])?, shape], Vec::new()))
            }
            Op::Transpose(perm) => self.transposed(args[0], perm.clone()),
            Op::Broadcast(_) => {
                let shape = self.target(id, Some(args[0]))?;
                Ok(self.nodes.push("Expand", vec![self.value(args[0])?, shape], Vec::new()))
            }
            Op::Slice { along, .. } => self.slice(args[0], along, id),
            Op::Place { along, .. } => self.place(args[0], along, id),
            Op::Concat(axis) => {
                let all = args.iter().map(|arg| self.value(*arg)).collect::<Result<Vec<String>, Error>>()?;
                Ok(self.nodes.push("Concat", all, vec![int("axis", *axis as i64)]))
            }
            Op::Gather { axis, shared: 0 } => {
                let both = vec![self.value(args[0])?, self.value(args[1])?];
                Ok(self.nodes.push("Gather", both, vec![int("axis", *axis as i64)]))
            }
            Op::OneHot { classes } => {
                let depth = self.nodes.wholes(vec![*classes as i64]);
                let off_on = Values::Real(vec![0.0, 1.0]);
                let values = self.nodes.array(&[2], &off_on);
                Ok(self.nodes.push("OneHot", vec![self.value(args[0])?, depth, values], Vec::new()))
            }
            Op::Sum(axes) => self.reduced("ReduceSum", args[0], axes),
            Op::Largest(axes) => self.reduced("ReduceMax", args[0], axes),
            Op::Softmax => Ok(self.nodes.push("Softmax", vec![self.value(args[0])?], vec![int("axis", -1)])),
            Op::LogSoftmax => Ok(self.nodes.push("LogSoftmax", vec![self.value(args[0])?], vec![int("axis", -1)])),
            Op::MatMul => {
                let both = self.pair.factors(id).map(|factor| self.value(factor));
                Ok(self.nodes.push("MatMul", both.into_iter().collect::<Result<_, Error>>()?, Vec::new()))
            }
            Op::Convolve { window, groups } => {
                let (x, w) = (self.transposed(args[0], FIRST.to_vec())?, self.transposed(args[1], KERNEL.to_vec())?);
                let mut attributes = windowed(window);
                attributes.push(int("group", *groups as i64));
                self.image(id, "Conv", vec![x, w], attributes)
            }
            Op::ConvolveImage { window, groups, size } => {
                let (x, w) = (self.transposed(args[0], FIRST.to_vec())?, self.transposed(args[1], KERNEL.to_vec())?);
                // Rows that no place of the window reaches.
                let rest = |axis: usize| {
                    let reach = (window.kernel[axis] - 1) * window.dilations[axis] + 1;
                    let full = window.strides[axis] * (self.pair.small.shape(args[0])[axis + 1] - 1) + reach;
                    (size[axis] + window.begin[axis] + window.end[axis]).saturating_sub(full)
                };
                // ONNX leaves rows away, or has no more of them than fit between two places: others are zeros.
                let (rest, end) = ([rest(0), rest(1)], window.end);
                let window = Window { end: [0, 1].map(|axis| end[axis].saturating_sub(rest[axis])), ..*window };
                let behind = [0, 1].map(|axis| rest[axis].saturating_sub(end[axis]));
                let mut attributes = windowed(&window);
                attributes.push(int("group", *groups as i64));
                if behind == [0; 2] {
                    return self.image(id, "ConvTranspose", vec![x, w], attributes);
                }
                let reached = self.nodes.push("ConvTranspose", vec![x, w], attributes);
                let pads = [0, 0, 0, 0, 0, 0, behind[0] as i64, behind[1] as i64];
                let pads = self.nodes.wholes(pads.to_vec());
                self.image(id, "Pad", vec![reached, pads], Vec::new())
            }
            Op::PickMax(window) if args[0] == args[1] => {
                let x = self.transposed(args[0], FIRST.to_vec())?;
                self.image(id, "MaxPool", vec![x], windowed(window))
            }
            Op::SumPool(window) => {
                let x = self.transposed(args[0], FIRST.to_vec())?;
                let mut attributes = windowed(window);
                attributes.push(int("count_include_pad", 1));
                let mean = self.nodes.push("AveragePool", vec![x], attributes);
                let taps = self.nodes.number(window.kernel.iter().product::<usize>() as f64);
                self.image(id, "Mul", vec![mean, taps], Vec::new())
            }
            _ => Err(Error::unsupported("it is not written as ONNX")),
        }
    }

    /// A value that is written already.
    pub fn value(&self, id: Id) -> Result<String, Error> {
        self.names.get(&id).cloned().ok_or_else(|| Error::unsupported("an argument of it is not written as ONNX"))
    }

    /// That number, which must not depend on the batch size.
    fn number(&mut self, id: Id) -> Result<String, Error> {
        match (&self.pair.small.node(id).op, &self.pair.large.node(id).op) {
            (Op::Fill(a, _), Op::Fill(b, _)) if a == b => Ok(self.nodes.number(a.get())),
            _ => Err(Error::unsupported("a number in it depends on the batch size")),
        }
    }

    /// The names of the operands.
    fn elementwise<const N: usize>(&mut self, id: Id) -> Result<[String; N], Error> {
        let mut names = Vec::with_capacity(N);
        for operand in self.pair.operands(id) {
            names.push(if self.pair.is_number(operand) { self.number(operand)? } else { self.value(operand)? });
        }
        names.try_into().map_err(|_| Error::unsupported("it has another number of arguments"))
    }

    fn unary(&mut self, f: Unary, x: Id) -> Result<String, Error> {
        let x = self.value(x)?;
        let op = match f {
            Unary::Neg => "Neg",
            Unary::Abs => "Abs",
            Unary::Sign => "Sign",
            Unary::Relu => "Relu",
            Unary::Exp => "Exp",
            Unary::Log => "Log",
            Unary::Sqrt => "Sqrt",
            Unary::Reciprocal => "Reciprocal",
            Unary::Tanh => "Tanh",
            Unary::Sigmoid => "Sigmoid",
            Unary::Softplus => "Softplus",
            Unary::Erf => "Erf",
            Unary::Sin => "Sin",
            Unary::Cos => "Cos",
            Unary::Atan => "Atan",
            Unary::Floor => "Floor",
            Unary::Round => "Round",
            Unary::Power(exponent) => {
                let exponent = self.nodes.number(exponent.get());
                return Ok(self.nodes.push("Pow", vec![x, exponent], Vec::new()));
            }
            Unary::Step => {
                let zero = self.nodes.number(0.0);
                let truth = self.nodes.push("Greater", vec![x, zero], Vec::new());
                let to = i64::from(self.precision.data_type());
                return Ok(self.nodes.push("Cast", vec![truth], vec![int("to", to)]));
            }
            // exp(x) - 1 = tanh(x / 2) (exp(x) + 1), which keeps all digits near 0.
            Unary::Expm1 => {
                let (half, one) = (self.nodes.number(0.5), self.nodes.number(1.0));
                let half = self.nodes.push("Mul", vec![x.clone(), half], Vec::new());
                let (tanh, exp) =
                    (self.nodes.push("Tanh", vec![half], Vec::new()), self.nodes.push("Exp", vec![x], Vec::new()));
                let above = self.nodes.push("Add", vec![exp, one], Vec::new());
                return Ok(self.nodes.push("Mul", vec![tanh, above], Vec::new()));
            }
            // ONNX would lose the digits for whose sake it exists, so that a file has none: whoever runs it has tails of 0.
            Unary::NormalCdf if self.sources.is_some() => {
                let [root, one, half] = [0.5f64.sqrt(), 1.0, 0.5].map(|x| self.nodes.number(x));
                let z = self.nodes.push("Mul", vec![x, root], Vec::new());
                let erf = self.nodes.push("Erf", vec![z], Vec::new());
                let above = self.nodes.push("Add", vec![erf, one], Vec::new());
                return Ok(self.nodes.push("Mul", vec![above, half], Vec::new()));
            }
            Unary::NormalCdf => {
                return Err(Error::unsupported("it is not written as ONNX"));
            }
        };
        Ok(self.nodes.push(op, vec![x], Vec::new()))
    }

    fn binary(&mut self, f: Binary, id: Id) -> Result<String, Error> {
        if let Some(x) = self.pair.mean(id) {
            // A mean keeps the axes that the sum keeps.
            let args = self.pair.small.node(id).args.clone();
            let sum = args.into_iter().find_map(|arg| match &self.pair.small.node(arg).op {
                Op::Sum(axes) => Some(axes.clone()),
                _ => None,
            });
            return self.reduced("ReduceMean", x, &sum.unwrap_or_default());
        }
        if let Some(z) = self.pair.gelu(id) {
            return Ok(self.nodes.push("Gelu", vec![self.value(z)?], Vec::new()));
        }
        let both = self.elementwise::<2>(id)?.to_vec();
        let op = match f {
            Binary::Add => "Add",
            Binary::Sub => "Sub",
            Binary::Mul => "Mul",
            Binary::Div => "Div",
            Binary::Max => "Max",
            Binary::Min => "Min",
            Binary::Less | Binary::Equal => {
                let truth = self.nodes.push(if f == Binary::Less { "Less" } else { "Equal" }, both, Vec::new());
                let to = i64::from(self.precision.data_type());
                return Ok(self.nodes.push("Cast", vec![truth], vec![int("to", to)]));
            }
        };
        Ok(self.nodes.push(op, both, Vec::new()))
    }

    /// The shape of a `Reshape`: fixed sizes, what stays as it is, and one size that is left over.
    fn reshaped(&mut self, from: Id, to: Id) -> Result<String, Error> {
        let (from, to) = (self.pair.axes(from), self.pair.axes(to));
        let mut left_over = None;
        let size = |(i, axis): (usize, &AxisSize)| match axis {
            AxisSize::Fixed(size) => Ok(*size as i64),
            AxisSize::Batch if from.get(i) == Some(&AxisSize::Batch) => Ok(0),
            _ if left_over.replace(i).is_none() => Ok(-1),
            _ => Err(Error::unsupported("several of its axes depend on the batch size")),
        };
        let sizes = to.iter().enumerate().map(size).collect::<Result<Vec<i64>, Error>>()?;
        Ok(self.nodes.wholes(sizes))
    }

    /// The shape of an `Expand`, in which 1 leaves an axis of the argument as it is.
    fn target(&mut self, to: Id, from: Option<Id>) -> Result<String, Error> {
        let from = from.map(|from| self.pair.axes(from)).unwrap_or_default();
        let size = |(i, axis): (usize, AxisSize)| match axis {
            AxisSize::Fixed(size) => Ok(size as i64),
            other if from.get(i) == Some(&other) => Ok(1),
            _ => Err(Error::unsupported("it repeats an array as often as there are samples")),
        };
        let sizes = self.pair.axes(to).into_iter().enumerate().map(size).collect::<Result<Vec<i64>, Error>>()?;
        Ok(self.nodes.wholes(sizes))
    }

    fn slice(&mut self, x: Id, along: &[Stride], id: Id) -> Result<String, Error> {
        let (mut starts, mut ends, mut axes, mut steps) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (i, (by, axis)) in along.iter().zip(self.pair.axes(id)).enumerate() {
            if self.pair.axes(x)[i] == axis && *by == (Stride { start: 0, step: 1 }) {
                continue;
            }
            let AxisSize::Fixed(count) = axis else {
                return Err(Error::unsupported("a part of the batch is taken"));
            };
            let end = by.start as i64 + by.step as i64 * count as i64;
            starts.push(by.start as i64);
            // Behind the first element there is nothing to walk back to; -1 would be the last.
            ends.push(if end < 0 { i64::MIN } else { end });
            axes.push(i as i64);
            steps.push(by.step as i64);
        }
        let lists = [starts, ends, axes, steps].map(|list| self.nodes.wholes(list));
        Ok(self.nodes.push("Slice", std::iter::once(self.value(x)?).chain(lists).collect(), Vec::new()))
    }

    fn place(&mut self, x: Id, along: &[Stride], id: Id) -> Result<String, Error> {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for ((by, from), to) in along.iter().zip(self.pair.axes(x)).zip(self.pair.axes(id)) {
            let rest = match (from, to) {
                (from, to) if from == to && *by == (Stride { start: 0, step: 1 }) => 0,
                (AxisSize::Fixed(from), AxisSize::Fixed(to)) if by.step == 1 || from == 1 => to - from - by.start,
                _ => return Err(Error::unsupported("zeros between elements, or in place of samples")),
            };
            before.push(by.start as i64);
            after.push(rest as i64);
        }
        let pads = self.nodes.wholes([before, after].concat());
        Ok(self.nodes.push("Pad", vec![self.value(x)?, pads], Vec::new()))
    }

    fn reduced(&mut self, op: &str, x: Id, axes: &[usize]) -> Result<String, Error> {
        let axes = self.nodes.wholes(axes.iter().map(|axis| *axis as i64).collect());
        Ok(self.nodes.push(op, vec![self.value(x)?, axes], vec![int("keepdims", 1)]))
    }

    /// A value with its axes in another order.
    pub fn transposed(&mut self, id: Id, perm: Vec<usize>) -> Result<String, Error> {
        let (id, perm) = self.pair.through(id, &perm);
        if perm.iter().copied().eq(0..perm.len()) {
            return self.value(id);
        }
        let key = (id, perm);
        if let Some(name) = self.turned.get(&key) {
            return Ok(name.clone());
        }
        let name = match self.sources {
            Some(_) => self.permuted(self.value(id)?, self.pair.small.shape(id), &key.1),
            None => self.nodes.push("Transpose", vec![self.value(id)?], vec![ints("perm", key.1.iter().copied())]),
        };
        self.turned.insert(key, name.clone());
        Ok(name)
    }

    /// An operator on images with channels first; its result with channels last.
    pub fn image(
        &mut self,
        id: Id,
        op: &str,
        inputs: Vec<String>,
        attributes: Vec<AttributeProto>,
    ) -> Result<String, Error> {
        let first = self.nodes.push(op, inputs, attributes);
        Ok(self.channels_last(id, first))
    }

    /// The value `first`, which has channels first, with channels last.
    pub fn channels_last(&mut self, id: Id, first: String) -> String {
        self.turned.insert((id, FIRST.to_vec()), first.clone());
        self.nodes.push("Transpose", vec![first], vec![ints("perm", LAST)])
    }
}

pub(super) fn windowed(window: &Window) -> Vec<AttributeProto> {
    let Window { kernel, strides, dilations, begin, end } = window;
    vec![
        ints("kernel_shape", *kernel),
        ints("strides", *strides),
        ints("dilations", *dilations),
        ints("pads", begin.iter().chain(end).copied()),
    ]
}
