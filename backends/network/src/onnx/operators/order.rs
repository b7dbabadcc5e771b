//! What the order of numbers decides: the largest and where they stand; and sums of all that come before.
//!
//! Where something stands changes in jumps only: values are differentiated at the places they were found at.

use super::super::lowering::{Call, Lowering, Results, Value, real};
use super::super::tensors::ValueKind;
use crate::graph::Id;
use crate::graph::op::Op;
use mountainpass_sdk::Error;

/// The k largest or smallest along an axis, in order, and where they stand.
pub(super) fn top_k(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let value = c.input(0)?;
    let shape = l.shape(value);
    let axis = c.axis(c.int("axis").unwrap_or(-1), shape.len())?;
    let count = l.number(c, 1)?.filter(|k| *k >= 1.0 && *k <= shape[axis] as f64);
    let count = count.ok_or_else(|| Error::argument(format!("k is no number from 1 to {}", shape[axis])))? as usize;
    let x = l.real(value)?;
    let last = last(l, x, axis)?;
    let places = places(l, last, count, c.int("largest") == Some(0))?;
    let by = shape.len() - 1;
    let found = l.graph.push(Op::Gather { axis: by, shared: by }, &[last, places])?;
    let perm = swapped(shape.len(), axis);
    let kind = l.kind(value);
    Ok(vec![
        Value::Node(l.graph.transpose(found, &perm)?, kind),
        Value::Node(l.graph.transpose(places, &perm)?, ValueKind::Whole),
    ])
}

/// Where the largest or the smallest along an axis stands: of equals the first, or the last.
pub(super) fn arg(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let shape = l.shape(c.input(0)?);
    let axis = c.axis(c.int("axis").unwrap_or(0), shape.len())?;
    let x = l.real(c.input(0)?)?;
    let mut last = last(l, x, axis)?;
    let is_last = c.is_on("select_last_index");
    if is_last {
        last = reversed(l, last, shape.len() - 1)?;
    }
    let mut places = places(l, last, 1, c.op() == "ArgMin")?;
    if is_last {
        let number = l.graph.push(Op::ToReal, &[places])?;
        let down = l.graph.neg(number)?;
        places = l.graph.shift(down, shape[axis] as f64 - 1.0)?;
    }
    let mut y = l.graph.transpose(places, &swapped(shape.len(), axis))?;
    if c.int("keepdims").unwrap_or(1) == 0 {
        let rest = shape.iter().enumerate().filter(|(i, _)| *i != axis).map(|(_, d)| *d).collect();
        y = l.graph.reshape(y, rest)?;
    }
    Ok(vec![Value::Node(y, ValueKind::Whole)])
}

fn places(l: &mut Lowering<'_>, x: Id, count: usize, smallest: bool) -> Result<Id, Error> {
    let x = if smallest { l.graph.neg(x)? } else { x };
    l.graph.push(Op::TopK { count }, &[x])
}

/// 1 at the largest along an axis, of equals at the first, 0 elsewhere.
pub(super) fn hardmax(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let shape = l.shape(c.input(0)?);
    // Over all axes from one on before opset 13.
    let axis = c.axis(c.int("axis").unwrap_or(if c.opset < 13 { 1 } else { -1 }), shape.len())?;
    let x = l.real(c.input(0)?)?;
    let (perm, inner) = match c.opset < 13 {
        true => ((0..shape.len()).collect(), shape[axis..].iter().product()),
        false => (swapped(shape.len(), axis), shape[axis]),
    };
    let turned: Id = l.graph.transpose(x, &perm)?;
    let to = l.graph.shape(turned).to_vec();
    let rows = l.graph.reshape(turned, vec![to.iter().product::<usize>() / inner, inner])?;
    let at = places(l, rows, 1, false)?;
    let hot = l.graph.push(Op::OneHot { classes: inner }, &[at])?;
    let hot = l.graph.reshape(hot, to)?;
    real(l.graph.transpose(hot, &perm)?)
}

/// The order of axes in which this one and the last change places.
fn swapped(rank: usize, axis: usize) -> Vec<usize> {
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(axis, rank - 1);
    perm
}

fn last(l: &mut Lowering<'_>, x: Id, axis: usize) -> Result<Id, Error> {
    let perm = swapped(l.graph.shape(x).len(), axis);
    l.graph.transpose(x, &perm)
}

/// The other way round along an axis.
fn reversed(l: &mut Lowering<'_>, x: Id, axis: usize) -> Result<Id, Error> {
    let shape = l.graph.shape(x).to_vec();
    let mut along = vec![crate::graph::op::Stride { start: 0, step: 1 }; shape.len()];
    if shape[axis] > 1 {
        along[axis] = crate::graph::op::Stride { start: shape[axis] - 1, step: -1 };
    }
    l.graph.push(Op::Slice { along, shape }, &[x])
}

/// The sum of all up to each place along an axis, with or without its own, from either end: every step adds what stands
/// twice as far back (Hillis and Steele 1986).
pub(super) fn cumulative(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let shape = l.shape(c.input(0)?);
    let axis = l.number(c, 1)?.ok_or_else(|| Error::argument("the axis is missing"))?;
    let axis = c.axis(axis as i64, shape.len())?;
    let (size, kind) = (shape[axis], l.kind(c.input(0)?));
    let mut y = l.real(c.input(0)?)?;
    let is_reverse = c.is_on("reverse");
    // What stands `by` places back, zeros before the first.
    let shifted = |l: &mut Lowering<'_>, x: Id, by: usize| {
        let (start, before) = if is_reverse { (by, 0) } else { (0, by) };
        if by >= size {
            return l.graph.fill_like(0.0, x);
        }
        let part = l.graph.narrow(x, axis, start, size - by)?;
        super::resize::along(l, part, axis, before as i64, size as i64, 0.0)
    };
    if c.is_on("exclusive") {
        y = shifted(l, y, 1)?;
    }
    let mut by = 1;
    while by < size {
        let back = shifted(l, y, by)?;
        y = l.graph.add(y, back)?;
        by *= 2;
    }
    match kind {
        ValueKind::Real => real(y),
        kind => Ok(vec![Value::Node(y, kind)]),
    }
}
