//! Parts of arrays, joins and lookups: what picks elements by their places.

use super::super::lowering::{Call, Lowering, Results, Value, real};
use super::super::tensors::{KnownArray, ValueKind};
use super::known::{LIST_MAX, sizes};
use super::shape::same;
use crate::graph::Id;
use crate::graph::op::{Op, Shape, Stride, Values};
use mountainpass_sdk::Error;
use std::sync::Arc;

/// Arrays one behind the other; known ones without elements add nothing.
pub(super) fn concat(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let empty = |value: &&Value| matches!(value, Value::Known(tensor) if tensor.values.is_empty());
    let all: Vec<&Value> = c.inputs.iter().flatten().filter(|value| !empty(value)).collect();
    let Some(first) = all.first() else { return Ok(vec![c.input(0)?.clone()]) };
    let rank = l.shape(first).len();
    let axis = c.axis(c.int("axis").unwrap_or(0), rank)?;
    let kind = l.kind(first);
    let arrays = all.into_iter().map(|value| l.array(value)).collect::<Result<Vec<Id>, Error>>()?;
    Ok(vec![Value::Node(l.graph.push(Op::Concat(axis), &arrays)?, kind)])
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

fn split_into(l: &mut Lowering<'_>, c: &Call<'_>, axis: usize, lengths: &[usize]) -> Results {
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

/// The same as a list: of parts of one length, of given lengths, or of single rows.
pub(super) fn split_to_sequence(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let from = l.shape(c.input(0)?);
    let axis = c.axis(c.int("axis").unwrap_or(0), from.len())?;
    let given = c.optional(1).map(|value| l.known(value)).transpose()?;
    let all = from[axis];
    let lengths = match &given {
        Some(lengths) if !lengths.shape.is_empty() => sizes(&lengths.indices())?,
        other => {
            let each =
                other.as_ref().map_or(Ok(1), |t| sizes(&t.indices()).map(|s| s.first().copied().unwrap_or(0)))?;
            if each == 0 {
                return Err(Error::argument("parts of length 0"));
            }
            let parts = all.div_ceil(each);
            if parts > LIST_MAX {
                return Err(c.refuse(format!("a list of {parts} arrays")));
            }
            (0..parts).map(|i| (all - i * each).min(each)).collect()
        }
    };
    let mut parts = split_into(l, c, axis, &lengths)?;
    if given.is_none() && c.int("keepdims") == Some(0) {
        let row: Shape = from.iter().enumerate().filter(|(i, _)| *i != axis).map(|(_, d)| *d).collect();
        for part in &mut parts {
            if let Value::Node(id, _) = part {
                *id = l.graph.reshape(*id, row.clone())?;
            }
        }
    }
    Ok(vec![Value::List(parts)])
}

/// One element of a list.
pub(super) fn sequence_at(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let Value::List(all) = c.input(0)? else { return Err(Error::argument("argument 0 is no list")) };
    let at = l.number(c, 1)?.ok_or_else(|| Error::argument("the position is missing"))?;
    let at = c.axis(at as i64, all.len())?;
    Ok(vec![all[at].clone()])
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

/// Rows by their numbers.
pub(super) fn gather(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let (data, rows) = (c.input(0)?, c.input(1)?);
    let from = l.shape(data);
    let axis = c.axis(c.int("axis").unwrap_or(0), from.len())?;
    if let Value::Known(rows) = rows {
        let size = from[axis] as i64;
        let at: Vec<i64> = rows.indices().iter().map(|i| if *i < 0 { i.saturating_add(size) } else { *i }).collect();
        if let Some(row) = at.iter().find(|row| !(0..size).contains(*row)) {
            return Err(Error::argument(format!("row {row} along axis {axis} of {from:?}")));
        }
        let x = l.array(data)?;
        // One row is a part; a part moves through the graph more freely than a lookup.
        if let [row] = at[..] {
            let part = l.graph.narrow(x, axis, row as usize, 1)?;
            let shape = from[..axis].iter().chain(&rows.shape).chain(&from[axis + 1..]).copied().collect();
            let y = l.graph.reshape(part, shape)?;
            return same(l, c, y);
        }
        let at = l.indices(rows.shape.clone(), at)?;
        let y = l.graph.push(Op::Gather { axis }, &[x, at])?;
        return same(l, c, y);
    }
    let (x, at) = (l.array(data)?, l.array(rows)?);
    let y = l.graph.push(Op::Gather { axis }, &[x, at])?;
    same(l, c, y)
}

/// Single elements by known numbers along one axis.
pub(super) fn gather_elements(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let from = l.shape(c.input(0)?);
    let at = l.known(c.input(1)?)?;
    let axis = c.axis(c.int("axis").unwrap_or(0), from.len())?;
    let fits = at.shape.len() == from.len() && (0..from.len()).all(|i| i == axis || at.shape[i] <= from[i]);
    if !fits {
        return Err(Error::argument(format!("indices of {:?} into {from:?}", at.shape)));
    }
    let steps: Vec<usize> = (0..from.len()).map(|i| from[i + 1..].iter().product()).collect();
    let flat = |(mut i, row): (usize, &i64)| {
        let size = from[axis] as i64;
        let row = if *row < 0 { row.saturating_add(size) } else { *row };
        if !(0..size).contains(&row) {
            return Err(Error::argument(format!("index {row} along axis {axis} of {from:?}")));
        }
        let mut place = row as usize * steps[axis];
        for k in (0..from.len()).rev() {
            place += if k == axis { 0 } else { i % at.shape[k] * steps[k] };
            i /= at.shape[k];
        }
        Ok(place as i64)
    };
    let places = at.indices().iter().enumerate().map(flat).collect::<Result<Vec<i64>, Error>>()?;
    let x = l.array(c.input(0)?)?;
    let row = l.graph.reshape(x, vec![from.iter().product()])?;
    let at = l.indices(at.shape.clone(), places)?;
    let y = l.graph.push(Op::Gather { axis: 0 }, &[row, at])?;
    same(l, c, y)
}

/// Indices to unit vectors along a new axis.
pub(super) fn one_hot(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let classes = l.number(c, 1)?.filter(|d| *d >= 1.0 && *d <= (1u64 << 31) as f64);
    let classes = classes.ok_or_else(|| Error::argument("the number of classes is no positive number"))? as usize;
    let [off, on] = l.known(c.input(2)?)?.reals()[..] else {
        return Err(Error::argument("its values are not two"));
    };
    let at = match c.input(0)? {
        Value::Known(tensor) => Value::Known(tensor.cast(ValueKind::Whole)),
        other => other.clone(),
    };
    let at = l.array(&at)?;
    let hot = l.graph.push(Op::OneHot { classes }, &[at])?;
    let rank = l.graph.shape(hot).len();
    let axis = c.axis(c.int("axis").unwrap_or(-1), rank)?;
    let mut perm: Vec<usize> = (0..rank - 1).collect();
    perm.insert(axis, rank - 1);
    let hot = l.graph.transpose(hot, &perm)?;
    let scaled = l.graph.scale(hot, on - off)?;
    let y = l.graph.shift(scaled, off)?;
    Ok(vec![Value::Node(y, l.kind(c.input(2)?))])
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
