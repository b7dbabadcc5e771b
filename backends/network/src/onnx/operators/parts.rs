//! Parts of arrays and joins: what picks elements by places that are known.

use super::super::lowering::{Call, Lowering, Results, Value, real};
use super::super::tensors::{KnownArray, ValueKind};
use super::known::sizes;
use super::shape::same;
use crate::graph::Id;
use crate::graph::op::{Element, Op, Stride, Values};
use mountainpass_sdk::Error;
use std::sync::Arc;

/// Arrays one behind the other; known ones without elements add nothing.
pub(super) fn concat(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let empty = |value: &&Value| matches!(value, Value::Known(tensor) if tensor.values.is_empty());
    let all: Vec<&Value> = c.inputs.iter().flatten().filter(|value| !empty(value)).collect();
    let Some(first) = all.first() else { return Ok(vec![c.input(0)?.clone()]) };
    let axis = c.axis(c.int("axis").unwrap_or(0), l.shape(first).len())?;
    Ok(vec![behind(l, &all, axis)?])
}

/// All of a list one behind the other along an axis, or side by side along a new one.
pub(in super::super) fn join(
    l: &mut Lowering<'_>,
    c: &Call<'_>,
    all: &[Value],
    (axis, is_new): (i64, bool),
) -> Result<Value, Error> {
    let first = all.first().ok_or_else(|| c.refuse("a list of no arrays"))?;
    let rank = l.shape(first).len();
    let axis = c.axis(axis, rank + usize::from(is_new))?;
    if !is_new {
        return behind(l, &all.iter().collect::<Vec<&Value>>(), axis);
    }
    let mut rows = Vec::with_capacity(all.len());
    for value in all {
        let (mut shape, kind, id) = (l.shape(value), l.kind(value), l.array(value)?);
        shape.insert(axis, 1);
        rows.push(Value::Node(l.graph.reshape(id, shape)?, kind));
    }
    behind(l, &rows.iter().collect::<Vec<&Value>>(), axis)
}

fn behind(l: &mut Lowering<'_>, all: &[&Value], axis: usize) -> Result<Value, Error> {
    let kind = all.first().map_or(ValueKind::Real, |value| l.kind(value));
    // Whole numbers that were computed stand as reals, and others beside them do so too.
    let is_real = |value: &&Value| matches!(value, Value::Node(id, _) if l.graph.element(*id) == Element::Real);
    let mixed = kind == ValueKind::Whole && all.iter().any(is_real);
    let of = |value: &Value| if mixed { l.real(value) } else { l.array(value) };
    let arrays = all.iter().copied().map(of).collect::<Result<Vec<Id>, Error>>()?;
    Ok(Value::Node(l.graph.push(Op::Concat(axis), &arrays)?, kind))
}

/// Consecutive parts along an axis, of given lengths or of equal ones, the last perhaps shorter.
pub(super) fn split(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let from = l.shape(c.input(0)?);
    let axis = c.axis(c.int("axis").unwrap_or(0), from.len())?;
    let given = match c.ints("split") {
        Some(lengths) => Some(lengths.to_vec()),
        None => l.wholes(c, 1)?,
    };
    let parts = c.node.output.len().max(1);
    let lengths = match given {
        Some(lengths) => sizes(&lengths)?,
        None => {
            let each = from[axis].div_ceil(parts);
            (0..parts).map(|i| from[axis].saturating_sub(i * each).min(each)).collect()
        }
    };
    if lengths.len() != parts {
        return Err(Error::argument(format!("{parts} parts of lengths {lengths:?}")));
    }
    split_into(l, c, axis, &lengths)
}

pub(super) fn split_into(l: &mut Lowering<'_>, c: &Call<'_>, axis: usize, lengths: &[usize]) -> Results {
    let from = l.shape(c.input(0)?);
    if lengths.iter().try_fold(0usize, |n, d| n.checked_add(*d)) != Some(from[axis]) {
        return Err(Error::argument(format!("lengths {lengths:?} along axis {axis} of {from:?}")));
    }
    let (x, kind) = (l.array(c.input(0)?)?, l.kind(c.input(0)?));
    let mut start = 0;
    let mut part = |length: &usize| {
        let part = l.graph.narrow(x, axis, start, *length).map(|id| Value::Node(id, kind));
        start += length;
        part
    };
    lengths.iter().map(&mut part).collect()
}

/// A part, by steps that may walk back.
pub(super) fn slice(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let from = l.shape(c.input(0)?);
    let listed = |k: usize| l.wholes(c, k)?.ok_or_else(|| Error::argument(format!("argument {k} is missing")));
    let (starts, ends) = (listed(1)?, listed(2)?);
    let axes = l.wholes(c, 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = l.wholes(c, 4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(Error::argument(format!("starts {starts:?}, ends {ends:?}, axes {axes:?}, steps {steps:?}")));
    }
    let mut along = vec![Stride { start: 0, step: 1 }; from.len()];
    let mut shape = from.clone();
    for (((start, end), axis), step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
        let axis = c.axis(*axis, from.len())?;
        let size = from[axis] as i64;
        let counted = |at: i64| if at < 0 { at.saturating_add(size) } else { at };
        // Cut as in numpy: a walk forwards stays in 0..size, one backwards in -1..size-1.
        let (first, last, count) = match *step {
            0 => return Err(Error::argument("a step of 0")),
            step if step > 0 => {
                let (first, last) = (counted(*start).clamp(0, size), counted(*end).clamp(0, size));
                (first, last, (last - first).max(0).div_euclid(step) + i64::from((last - first).max(0) % step != 0))
            }
            step => {
                let (first, last) = (counted(*start).clamp(-1, size - 1), counted(*end).clamp(-1, size - 1));
                let walk = (first - last).max(0);
                let by = step.checked_neg().unwrap_or(i64::MAX);
                (first, last, walk / by + i64::from(walk % by != 0))
            }
        };
        debug_assert!(first.abs() <= size && last.abs() <= size);
        shape[axis] = count as usize;
        let step = if count > 1 { *step as isize } else { 1 };
        along[axis] = Stride { start: first.max(0) as usize, step };
    }
    if let (true, Value::Known(tensor)) = (shape.contains(&0), c.input(0)?) {
        let none = if tensor.kind == ValueKind::Whole { Values::Index(Vec::new()) } else { Values::Real(Vec::new()) };
        return Ok(vec![Value::Known(KnownArray { shape, kind: tensor.kind, values: Arc::new(none) })]);
    }
    let x = l.array(c.input(0)?)?;
    let y = l.graph.push(Op::Slice { along, shape }, &[x])?;
    same(l, c, y)
}

/// The upper or lower triangle of matrices, zeros in the other.
pub(super) fn trilu(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let from = l.shape(c.input(0)?);
    let &[.., rows, columns] = &from[..] else { return Err(Error::argument(format!("of {from:?}"))) };
    let k = l.number(c, 1)?.unwrap_or(0.0);
    let is_upper = c.int("upper").unwrap_or(1) != 0;
    let count = l.modest(rows.saturating_mul(columns))?;
    let kept = |i: usize| {
        let along = (i % columns) as f64 - (i / columns) as f64;
        f64::from(u8::from(if is_upper { along >= k } else { along <= k }))
    };
    let mask = l.graph.constant(vec![rows, columns], Values::Real((0..count).map(kept).collect()))?;
    let x = l.real(c.input(0)?)?;
    let zero = l.graph.fill_like(0.0, x)?;
    let all = l.graph.together([mask, x, zero])?;
    let y = l.graph.push(Op::Select, &all)?;
    match l.kind(c.input(0)?) {
        ValueKind::Real => real(y),
        kind => Ok(vec![Value::Node(y, kind)]),
    }
}
