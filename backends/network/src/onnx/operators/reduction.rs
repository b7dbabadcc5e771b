//! Sums, means and maxima over axes, and what is made of them.

use super::super::lowering::{Call, Lowering, Results, Value, real};
use super::super::tensors::{KnownArray, ValueKind};
use super::shape::axes;
use crate::graph::op::{Binary, Number, Op, Unary};
use crate::graph::{Graph, Id};
use mountainpass_sdk::Error;

/// A product is written factor by factor, so many at most.
const FACTORS_MAX: usize = 1 << 10;

/// Reductions; the axes are an attribute (old) or an argument (new).
pub(super) fn reduce(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let shape = l.shape(c.input(0)?);
    let listed = axes(l, c, 1)?.filter(|axes| !axes.is_empty());
    let axes = match listed {
        Some(axes) => c.axes(&axes, shape.len())?,
        None if c.is_on("noop_with_empty_axes") => return Ok(vec![c.input(0)?.clone()]),
        None => (0..shape.len()).collect(),
    };
    let kind = l.kind(c.input(0)?);
    if let (Value::Known(tensor), "ReduceProd") = (c.input(0)?, c.op()) {
        // Of no number at all: the element count of a scalar's shape.
        if tensor.values.is_empty() {
            return Ok(vec![Value::Known(KnownArray::real(1.0).cast(kind))]);
        }
    }
    let x = l.real(c.input(0)?)?;
    let reduced = reduced(l, c, x, &axes)?;
    let y = if c.int("keepdims").unwrap_or(1) != 0 {
        reduced
    } else {
        let rest = shape.iter().enumerate().filter(|(i, _)| !axes.contains(i)).map(|(_, d)| *d).collect();
        l.graph.reshape(reduced, rest)?
    };
    Ok(vec![Value::Node(y, kind)])
}

fn reduced(l: &mut Lowering<'_>, c: &Call<'_>, x: Id, axes: &[usize]) -> Result<Id, Error> {
    let g = &mut l.graph;
    match c.op() {
        "ReduceSum" => g.sum(x, axes),
        "ReduceMean" => g.mean(x, axes),
        "ReduceMax" => g.push(Op::Largest(axes.to_vec()), &[x]),
        "ReduceMin" => {
            let down = g.neg(x)?;
            let largest = g.push(Op::Largest(axes.to_vec()), &[down])?;
            g.neg(largest)
        }
        "ReduceL1" => {
            let size = g.unary(Unary::Abs, x)?;
            g.sum(size, axes)
        }
        "ReduceSumSquare" | "ReduceL2" => {
            let square = g.mul(x, x)?;
            let sum = g.sum(square, axes)?;
            if c.op() == "ReduceL2" { root(g, sum, 2.0) } else { Ok(sum) }
        }
        "ReduceLogSum" => {
            let sum = g.sum(x, axes)?;
            g.unary(Unary::Log, sum)
        }
        "ReduceLogSumExp" => {
            let top = g.push(Op::Largest(axes.to_vec()), &[x])?;
            let below = g.sub(x, top)?;
            let exp = g.unary(Unary::Exp, below)?;
            let sum = g.sum(exp, axes)?;
            let log = g.unary(Unary::Log, sum)?;
            g.add(top, log)
        }
        _ => {
            let mut product = x;
            for axis in axes {
                if g.shape(x)[*axis] > FACTORS_MAX {
                    return Err(c.refuse(format!("a product of more than {FACTORS_MAX} numbers along an axis")));
                }
                let factors =
                    (0..g.shape(x)[*axis]).map(|i| g.narrow(product, *axis, i, 1)).collect::<Result<Vec<Id>, _>>()?;
                let mut factors = factors.into_iter();
                let first = factors.next().unwrap_or(product);
                product = factors.try_fold(first, |product, factor| g.mul(product, factor))?;
            }
            Ok(product)
        }
    }
}

/// The root of a sum of powers. Of zeros alone it is 0 with the derivative 0, as torch's norms have it: the formula has none.
pub(super) fn root(g: &mut Graph, sum: Id, p: f64) -> Result<Id, Error> {
    if p == 1.0 {
        return Ok(sum);
    }
    let zero = g.fill_like(0.0, sum)?;
    let is_zero = g.binary(Binary::Equal, sum, zero)?;
    let above = g.add(sum, is_zero)?;
    let f = if p == 2.0 { Unary::Sqrt } else { Unary::Power(Number::new(p.recip())) };
    let root = g.unary(f, above)?;
    g.sub(root, is_zero)
}

/// Softmax and its logarithm: over one axis since opset 13, over all from `axis` on before.
pub(super) fn softmax(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let shape = l.shape(c.input(0)?);
    let rank = shape.len();
    let x = l.real(c.input(0)?)?;
    let op = if c.op() == "Softmax" { Op::Softmax } else { Op::LogSoftmax };
    if c.opset < 13 {
        let axis = match c.int("axis").unwrap_or(1) {
            axis if axis == rank as i64 => rank,
            axis => c.axis(axis, rank)?,
        };
        if axis + 1 != rank {
            let flat = l.graph.reshape(x, vec![shape[..axis].iter().product(), shape[axis..].iter().product()])?;
            let y = l.graph.push(op, &[flat])?;
            return real(l.graph.reshape(y, shape)?);
        }
        return real(l.graph.push(op, &[x])?);
    }
    let axis = c.axis(c.int("axis").unwrap_or(-1), rank)?;
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(axis, rank - 1);
    let turned = l.graph.transpose(x, &perm)?;
    let y = l.graph.push(op, &[turned])?;
    Ok(vec![Value::Node(l.graph.transpose(y, &perm)?, ValueKind::Real)])
}
