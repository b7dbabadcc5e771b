//! Normalisations: by stored statistics, by those of the batch, or by those of every sample.

use super::super::lowering::{Call, Lowering, Results, Value, real};
use super::super::messages::NodeProto;
use super::super::tensors::ValueKind;
use super::reduction::root;
use crate::graph::Id;
use crate::graph::op::{Binary, Number, Op, Unary, Values, Window};
use mountainpass_sdk::Error;

/// BatchNormalization (Ioffe and Szegedy 2015) over axis 1: by the file's statistics, or by those of all samples, as the
/// run asks, or else the file.
pub(super) fn batch(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let shape = l.shape(c.input(0)?);
    let &[_, channels, ..] = &shape[..] else {
        return Err(Error::argument(format!("of {shape:?}: there is no axis 1")));
    };
    let epsilon = c.float("epsilon", f64::from(1e-5f32));
    let x = l.real(c.input(0)?)?;
    let (scale, bias) = (l.real(c.input(1)?)?, l.real(c.input(2)?)?);
    if l.recomputed.unwrap_or_else(|| in_training(c.node, c.opset)) {
        let axes: Vec<usize> = (0..shape.len()).filter(|axis| *axis != 1).collect();
        let y = normalised(l, x, &axes, epsilon, true)?.y;
        return real(scaled(l, y, (scale, Some(bias)), channels)?);
    }
    let mut by_file = [0; 2].map(|_| bias);
    for (k, statistic) in by_file.iter_mut().enumerate() {
        let value = match c.input(3 + k)? {
            Value::Weight(i) => Value::Known(l.known(&Value::Weight(*i))?),
            other => other.clone(),
        };
        *statistic = match (k, &value) {
            (1, Value::Known(variance)) => {
                let numbers = variance.reals().iter().map(|v| (v + epsilon).sqrt().recip()).collect();
                l.graph.constant(variance.shape.clone(), Values::Real(numbers))?
            }
            (1, other) => {
                let variance = l.real(other)?;
                let shifted = l.graph.shift(variance, epsilon)?;
                l.graph.unary(Unary::Power(Number::new(-0.5)), shifted)?
            }
            (_, other) => l.real(other)?,
        };
    }
    let [mean, inverse] = by_file;
    // One product and one sum for every element: x factor + (bias - mean factor).
    let factor = l.graph.mul(scale, inverse)?;
    let moved = l.graph.mul(mean, factor)?;
    let offset = l.graph.sub(bias, moved)?;
    real(scaled(l, x, (factor, Some(offset)), channels)?)
}

/// Whether the file itself asks for the statistics of the samples. Before opset 14, more results than one are those of
/// training.
pub fn in_training(node: &NodeProto, opset: i64) -> bool {
    let is_on = node.attribute.iter().any(|a| a.name() == "training_mode" && a.i() != 0);
    is_on || (opset < 14 && node.output.iter().skip(1).any(|o| !o.is_empty()))
}

/// x scale + bias with one number of each for every channel, axis 1.
fn scaled(l: &mut Lowering<'_>, x: Id, (scale, bias): (Id, Option<Id>), channels: usize) -> Result<Id, Error> {
    let mut shape = vec![1; l.graph.shape(x).len() - 1];
    shape[0] = channels;
    let scale = l.graph.reshape(scale, shape.clone())?;
    let y = l.graph.mul(x, scale)?;
    let Some(bias) = bias else { return Ok(y) };
    let bias = l.graph.reshape(bias, shape)?;
    l.graph.add(y, bias)
}

/// What was normalised, the mean that was taken from it, and the factor behind.
pub(super) struct Normal {
    pub y: Id,
    pub mean: Id,
    pub inverse: Id,
}

/// (x - mean) / sqrt(variance + epsilon) over axes; without the mean, x / sqrt(mean square + epsilon).
fn normalised(l: &mut Lowering<'_>, x: Id, axes: &[usize], epsilon: f64, centred: bool) -> Result<Normal, Error> {
    let g = &mut l.graph;
    let mean = g.mean(x, axes)?;
    let (centred, mean) = if centred { (g.sub(x, mean)?, mean) } else { (x, g.fill_like(0.0, mean)?) };
    let square = g.mul(centred, centred)?;
    let variance = g.mean(square, axes)?;
    let shifted = g.shift(variance, epsilon)?;
    let inverse = g.unary(Unary::Power(Number::new(-0.5)), shifted)?;
    Ok(Normal { y: g.mul(centred, inverse)?, mean, inverse })
}

/// The same, then a factor and perhaps a summand for each number of a vector.
pub(super) fn vectors(
    l: &mut Lowering<'_>,
    x: Id,
    (axes, epsilon, centred): (&[usize], f64, bool),
    (scale, bias): (&Value, Option<&Value>),
) -> Result<Normal, Error> {
    let normal = normalised(l, x, axes, epsilon, centred)?;
    let scale = l.real(scale)?;
    let mut y = l.graph.mul(normal.y, scale)?;
    if let Some(bias) = bias {
        let bias = l.real(bias)?;
        y = l.graph.add(y, bias)?;
    }
    Ok(Normal { y, ..normal })
}

/// LayerNormalization (Ba et al. 2016) and its form without a mean, over all axes from `axis` on.
pub(super) fn layer(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let rank = l.shape(c.input(0)?).len();
    let axis = c.axis(c.int("axis").unwrap_or(-1), rank)?;
    let axes: Vec<usize> = (axis..rank).collect();
    let x = l.real(c.input(0)?)?;
    let is_layer = c.op() == "LayerNormalization";
    let how = (&axes[..], c.float("epsilon", f64::from(1e-5f32)), is_layer);
    let Normal { y, mean, inverse } = vectors(l, x, how, (c.input(1)?, c.optional(2).filter(|_| is_layer)))?;
    let results = if is_layer { vec![y, mean, inverse] } else { vec![y, inverse] };
    Ok(results.into_iter().map(|id| Value::Node(id, ValueKind::Real)).collect())
}

/// Normalisation of every sample's channels, one by one or in groups (Wu and He 2018).
pub(super) fn groups(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let shape = l.shape(c.input(0)?);
    let &[n, channels, ..] = &shape[..] else {
        return Err(Error::argument(format!("of {shape:?}: there is no axis 1")));
    };
    let groups = match c.op() {
        "InstanceNormalization" => channels,
        _ => c.int("num_groups").and_then(|g| usize::try_from(g).ok()).unwrap_or(0),
    };
    if groups == 0 || !channels.is_multiple_of(groups) {
        return Err(Error::argument(format!("{channels} channels in {groups} groups")));
    }
    let x = l.real(c.input(0)?)?;
    let inner = shape[1..].iter().product::<usize>() / groups;
    let grouped = l.graph.reshape(x, vec![n, groups, inner])?;
    let y = normalised(l, grouped, &[2], c.float("epsilon", f64::from(1e-5f32)), true)?.y;
    let (scale, bias) = (l.real(c.input(1)?)?, l.real(c.input(2)?)?);
    // Up to opset 20 a group has one scale, later every channel.
    if groups != channels && l.graph.shape(scale) == [groups] {
        let y = scaled(l, y, (scale, Some(bias)), groups)?;
        return real(l.graph.reshape(y, shape)?);
    }
    let y = l.graph.reshape(y, shape)?;
    real(scaled(l, y, (scale, Some(bias)), channels)?)
}

/// Division by a power of what the channels around have (Krizhevsky et al. 2012).
pub(super) fn local(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let shape = l.shape(c.input(0)?);
    let &[n, channels, ..] = &shape[..] else {
        return Err(Error::argument(format!("of {shape:?}: there is no axis 1")));
    };
    let size = c.int("size").and_then(|s| usize::try_from(s).ok()).filter(|s| (1..=1 << 20).contains(s));
    let size = size.ok_or_else(|| Error::argument("size is no positive number"))?;
    let x = l.real(c.input(0)?)?;
    let rows = l.graph.reshape(x, vec![n, channels, shape[2..].iter().product(), 1])?;
    let square = l.graph.mul(rows, rows)?;
    let window = Window { begin: [(size - 1) / 2, 0], end: [size / 2, 0], ..Window::new([size, 1]) };
    let sum = l.graph.push(Op::SumPool(window), &[square])?;
    let part = l.graph.scale(sum, c.float("alpha", f64::from(1e-4f32)) / size as f64)?;
    let below = l.graph.shift(part, c.float("bias", 1.0))?;
    let factor = l.graph.unary(Unary::Power(Number::new(-c.float("beta", 0.75))), below)?;
    let y = l.graph.mul(rows, factor)?;
    real(l.graph.reshape(y, shape)?)
}

/// (x - mean) / (deviation + 1e-9) over axes, or x / |x| along one.
pub(super) fn whole(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let rank = l.shape(c.input(0)?).len();
    let x = l.real(c.input(0)?)?;
    if c.op() == "MeanVarianceNormalization" {
        let axes = c.axes(c.ints("axes").unwrap_or(&[0, 2, 3]), rank)?;
        let mean = l.graph.mean(x, &axes)?;
        let centred = l.graph.sub(x, mean)?;
        let square = l.graph.mul(centred, centred)?;
        let variance = l.graph.mean(square, &axes)?;
        let deviation = root(&mut l.graph, variance, 2.0)?;
        let below = l.graph.shift(deviation, 1e-9)?;
        return real(l.graph.div(centred, below)?);
    }
    let axis = c.axis(c.int("axis").unwrap_or(-1), rank)?;
    let norm = match c.int("p").unwrap_or(2) {
        1 => {
            let size = l.graph.unary(Unary::Abs, x)?;
            l.graph.sum(size, &[axis])?
        }
        2 => {
            let square = l.graph.mul(x, x)?;
            let sum = l.graph.sum(square, &[axis])?;
            root(&mut l.graph, sum, 2.0)?
        }
        p => return Err(c.refuse(format!("p = {p}"))),
    };
    // Of zeros alone it leaves zeros.
    let zero = l.graph.fill_like(0.0, norm)?;
    let is_zero = l.graph.binary(Binary::Equal, norm, zero)?;
    let below = l.graph.add(norm, is_zero)?;
    real(l.graph.div(x, below)?)
}
