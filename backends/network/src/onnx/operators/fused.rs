//! Operators of the domain com.microsoft, which ONNX Runtime makes of several others when it optimises a file: each is
//! written out as what it was made of. Its attentions stand in `heads.rs`.

use super::super::lowering::{Call, Lowering, Results, Value, real};
use super::super::tensors::ValueKind;
use super::normalisation::{Normal, vectors};
use super::{convolutions, products};
use crate::graph::Id;
use crate::graph::op::{Number, Op, Unary};
use mountainpass_sdk::Error;

/// Forms of x Phi(x) behind a sum.
pub(super) fn curve(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let x = summed(l, c, 0..c.inputs.len())?;
    let g = &mut l.graph;
    real(match c.op() {
        "BiasAdd" => x,
        "FastGelu" => g.gelu(x, true)?,
        "QuickGelu" => {
            let inner = g.scale(x, c.float("alpha", f64::from(1.702f32)))?;
            let gate = g.unary(Unary::Sigmoid, inner)?;
            g.mul(x, gate)?
        }
        "BiasSplitGelu" => {
            let axis = g.shape(x).len().saturating_sub(1);
            let half = g.shape(x).last().map_or(0, |size| size / 2);
            let (left, right) = (g.narrow(x, axis, 0, half)?, g.narrow(x, axis, half, half)?);
            let gate = g.gelu(right, false)?;
            g.mul(left, gate)?
        }
        _ => g.gelu(x, false)?,
    })
}

/// The sum of those of some arguments that are there; the first must be.
fn summed(l: &mut Lowering<'_>, c: &Call<'_>, arguments: impl IntoIterator<Item = usize>) -> Result<Id, Error> {
    let mut arguments = arguments.into_iter();
    let mut sum = l.real(c.input(arguments.next().unwrap_or(0))?)?;
    for more in arguments.filter_map(|k| c.optional(k)) {
        let more = l.real(more)?;
        sum = l.graph.add(sum, more)?;
    }
    Ok(sum)
}

/// alpha A B, with A and B perhaps transposed, and their first axis perhaps that of rows.
pub(super) fn matmul(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let a = turned(l, c, 0, ["transBatchA", "transA"])?;
    let b = turned(l, c, 1, ["transBatchB", "transB"])?;
    let product = products::product(l, a, b)?;
    real(l.graph.scale(product, c.float("alpha", 1.0))?)
}

fn turned(l: &mut Lowering<'_>, c: &Call<'_>, k: usize, [by_batch, by_rows]: [&str; 2]) -> Result<Id, Error> {
    let mut x = l.real(c.input(k)?)?;
    let rank = l.graph.shape(x).len();
    if c.is_on(by_batch) && rank > 2 {
        let perm: Vec<usize> = (1..rank - 1).chain([0, rank - 1]).collect();
        x = l.graph.transpose(x, &perm)?;
    }
    if c.is_on(by_rows) { l.graph.flip(x) } else { Ok(x) }
}

/// A convolution, to which something may be added.
pub(super) fn conv(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let results = convolutions::conv(l, c)?;
    let (Some(more), Some(y)) = (c.optional(3), results.first()) else { return Ok(results) };
    let (y, more) = (l.real(y)?, l.real(more)?);
    real(l.graph.add(y, more)?)
}

/// What ONNX Runtime adds to variances where a node does not say it.
fn epsilon(c: &Call<'_>) -> f64 {
    c.float("epsilon", f64::from(1e-12f32))
}

/// Normalisation of a sum, with or without its mean; the sum is a result, too.
pub(super) fn skip_layer(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let is_layer = c.op() == "SkipLayerNormalization";
    let (bias, shift) = if is_layer { (4, c.optional(3)) } else { (3, None) };
    let sum = summed(l, c, [0, 1, bias])?;
    let last = l.graph.shape(sum).len().saturating_sub(1);
    let Normal { y, mean, inverse } = vectors(l, sum, (&[last], epsilon(c), is_layer), (c.input(2)?, shift))?;
    Ok([y, mean, inverse, sum].map(|id| Value::Node(id, ValueKind::Real)).to_vec())
}

/// The normalised sum of what tables have for tokens, places and segments; how many tokens count, and the sum.
pub(super) fn embedding(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let &[batch, length] = &l.shape(c.input(0)?)[..] else {
        return Err(Error::argument(format!("tokens of {:?}: wants a batch of sequences", l.shape(c.input(0)?))));
    };
    let words = rows(l, c.input(2)?, c.input(0)?)?;
    let places = match c.optional(8) {
        Some(at) => rows(l, c.input(3)?, at)?,
        None => {
            let table = l.real(c.input(3)?)?;
            l.graph.narrow(table, 0, 0, length)?
        }
    };
    let mut sum = l.graph.add(words, places)?;
    if let (Some(at), Some(table)) = (c.optional(1), c.optional(4)) {
        let segments = rows(l, table, at)?;
        sum = l.graph.add(sum, segments)?;
    }
    let Normal { y, .. } = vectors(l, sum, (&[2], epsilon(c), true), (c.input(5)?, Some(c.input(6)?)))?;
    let counts = match c.optional(7).filter(|_| c.int("mask_index_type") != Some(0)) {
        Some(mask) => {
            let mask = l.real(mask)?;
            let count = l.graph.sum(mask, &[1])?;
            l.graph.reshape(count, vec![batch])?
        }
        None => l.graph.push(Op::Fill(Number::new(0.0), vec![batch]), &[])?,
    };
    Ok(vec![Value::Node(y, ValueKind::Real), Value::Node(counts, ValueKind::Whole), Value::Node(sum, ValueKind::Real)])
}

/// Rows of a table.
pub(super) fn rows(l: &mut Lowering<'_>, table: &Value, at: &Value) -> Result<Id, Error> {
    let (table, at) = (l.real(table)?, l.index(at)?);
    l.graph.push(Op::Gather { axis: 0, shared: 0 }, &[table, at])
}
