//! Operators on what is known when the file is read: shapes, ranges, rounding.

use super::super::lowering::{Call, Lowering, Results, Value};
use super::super::tensors::{self, AXES_MAX, KnownArray, ValueKind};
use crate::graph::op::{Number, Op, Shape, Values};
use mountainpass_sdk::Error;
use std::sync::Arc;

/// Numbers in the file.
pub(super) fn constant(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let tensor = if let Some(tensor) = c.tensor("value") {
        tensors::read(tensor, l.folder)?
    } else if let Some(i) = c.int("value_int") {
        KnownArray { shape: Vec::new(), ..KnownArray::wholes(vec![i]) }
    } else if let Some(ints) = c.ints("value_ints") {
        KnownArray::wholes(ints.to_vec())
    } else if let Some(floats) = c.floats("value_floats") {
        let values = Values::Real(floats.iter().map(|x| f64::from(*x)).collect());
        KnownArray { kind: ValueKind::Real, shape: vec![floats.len()], values: Arc::new(values) }
    } else if c.node.attribute.iter().any(|a| a.name() == "value_float") {
        KnownArray::real(c.float("value_float", 0.0))
    } else {
        return Err(c.refuse("a constant without numbers"));
    };
    Ok(vec![Value::Known(tensor)])
}

/// Longer lists of sizes are a fault of the file.
pub(super) const LIST_MAX: usize = 1 << 16;

/// Sizes of axes, none of them negative.
pub(super) fn sizes(of: &[i64]) -> Result<Shape, Error> {
    // Lists of lengths are checked by it too: a sequence may have many.
    if of.len() > LIST_MAX {
        return Err(Error::argument(format!("a list of {} sizes", of.len())));
    }
    let size = |d: &i64| usize::try_from(*d).map_err(|_| Error::argument(format!("the shape {of:?}")));
    of.iter().map(size).collect()
}

/// One number in a known shape.
pub(super) fn constant_of_shape(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let shape = sizes(&l.known(c.input(0)?)?.indices())?;
    let value = c.tensor("value").map(|tensor| tensors::read(tensor, l.folder)).transpose()?;
    let value = value.unwrap_or_else(|| KnownArray::real(0.0));
    let [number] = value.reals()[..] else {
        return Err(Error::argument("its value is not one number"));
    };
    if shape.contains(&0) && shape.len() <= AXES_MAX {
        return Ok(vec![Value::Known(KnownArray { shape, ..KnownArray::wholes(Vec::new()).cast(value.kind) })]);
    }
    Ok(vec![Value::Node(l.graph.push(Op::Fill(Number::new(number), shape), &[])?, value.kind)])
}

/// The sizes of axes, or their product.
pub(super) fn shape(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let shape: Vec<i64> = l.shape(c.input(0)?).iter().map(|d| *d as i64).collect();
    if c.op() == "Size" {
        // Of an array without elements the other axes may be of any size.
        let product = if shape.contains(&0) { 0 } else { shape.iter().product() };
        let size = KnownArray { shape: Vec::new(), ..KnownArray::wholes(vec![product]) };
        return Ok(vec![Value::Known(size)]);
    }
    // Since opset 15 a part of them may be asked for, cut to what there is.
    let rank = shape.len() as i64;
    let cut = |at: i64| (if at < 0 { at.saturating_add(rank) } else { at }).clamp(0, rank) as usize;
    let (start, end) = (cut(c.int("start").unwrap_or(0)), cut(c.int("end").unwrap_or(rank)));
    Ok(vec![Value::Known(KnownArray::wholes(shape.get(start..end).unwrap_or_default().to_vec()))])
}

/// start, start + delta, ... before limit.
pub(super) fn range(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let kind = l.kind(c.input(0)?);
    let mut numbers = [0.0; 3];
    for (k, number) in numbers.iter_mut().enumerate() {
        *number = l.number(c, k)?.ok_or_else(|| Error::argument(format!("argument {k} is missing")))?;
    }
    let [start, limit, delta] = numbers;
    let count = ((limit - start) / delta).ceil().max(0.0);
    if !count.is_finite() {
        return Err(Error::argument(format!("from {start} to {limit} by {delta}")));
    }
    let values: Vec<f64> = (0..l.modest(count as usize)?).map(|i| start + i as f64 * delta).collect();
    let tensor =
        KnownArray { kind: ValueKind::Real, shape: vec![values.len()], values: Arc::new(Values::Real(values)) };
    Ok(vec![Value::Known(tensor.cast(kind))])
}

/// A matrix with ones along a diagonal.
pub(super) fn eye(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let shape = l.shape(c.input(0)?);
    let &[rows, columns] = &shape[..] else { return Err(Error::argument(format!("a matrix like {shape:?}"))) };
    let k = c.int("k").unwrap_or(0);
    let kind = match c.int("dtype").map(|of| i32::try_from(of).unwrap_or_default()) {
        Some(of) => tensors::kind(of).ok_or_else(|| c.refuse(format!("dtype = {}", tensors::type_name(of))))?,
        None => l.kind(c.input(0)?),
    };
    let count = l.modest(rows.saturating_mul(columns))?;
    let one = |i: usize| f64::from(u8::from((i % columns) as i64 - (i / columns) as i64 == k));
    let values = Arc::new(Values::Real((0..count).map(one).collect()));
    let tensor = KnownArray { kind: ValueKind::Real, shape, values };
    Ok(vec![Value::Known(tensor.cast(kind))])
}

/// Where known numbers are not 0: one row of indices for every axis.
pub(super) fn non_zero(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let unknown = || {
        Error::unsupported("how many there are depends on the inputs: multiply by the mask, or choose with torch.where")
    };
    let tensor = l.known(c.input(0)?).map_err(|_| unknown())?;
    let at: Vec<usize> = tensor.reals().iter().enumerate().filter(|(_, x)| **x != 0.0).map(|(i, _)| i).collect();
    let rank = tensor.shape.len();
    let step = |axis: usize| tensor.shape[axis + 1..].iter().product::<usize>();
    let row = |axis: usize| {
        let (step, size) = (step(axis), tensor.shape[axis]);
        at.iter().map(|i| (i / step % size) as i64).collect::<Vec<i64>>()
    };
    l.modest(rank.saturating_mul(at.len()))?;
    let values: Vec<i64> = (0..rank).flat_map(row).collect();
    Ok(vec![Value::Known(KnownArray { shape: vec![rank, at.len()], ..KnownArray::wholes(values) })])
}
