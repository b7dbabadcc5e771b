//! The adjoint of lookups: elements and rows put to indices, which may be known, or depend on the inputs.

use super::super::lowering::{Call, Lowering, Results, Value};
use super::lookup::{Several, elementwise, inverse, several};
use super::shape::same;
use crate::graph::Id;
use crate::graph::op::{Binary, Number, Op, Stride};
use mountainpass_sdk::Error;
use std::collections::HashMap;

/// A product is written factor by factor, so many at most.
const FACTORS_MAX: usize = 1 << 10;

/// Single elements put to numbers along one axis.
pub(super) fn scatter_elements(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let (to, at) = (l.shape(c.input(0)?), l.shape(c.input(1)?));
    let axis = c.axis(c.int("axis").unwrap_or(0), to.len())?;
    if at.contains(&0) {
        return Ok(vec![c.input(0)?.clone()]);
    }
    if l.shape(c.input(2)?) != at {
        return Err(Error::argument(format!("updates of {:?} for indices of {at:?}", l.shape(c.input(2)?))));
    }
    let own = elementwise(l, c.input(1)?, (&to, &at), axis)?;
    let data = l.real(c.input(0)?)?;
    let part = partial(l, data, &at, axis)?;
    let updates = l.real(c.input(2)?)?;
    let [part, updates] = [l.graph.transpose(part, &own.order)?, l.graph.transpose(updates, &own.order)?];
    let y = put(l, c, part, (own.at, own.shared), updates)?;
    let y = l.graph.transpose(y, &inverse(&own.order))?;
    // What the indices leave out stays as it is.
    let y = surrounded(l, data, y)?;
    same(l, c, y)
}

/// The first places of an array along every axis but one.
fn partial(l: &mut Lowering<'_>, x: Id, at: &[usize], axis: usize) -> Result<Id, Error> {
    let mut part = x;
    for i in (0..at.len()).filter(|i| *i != axis) {
        part = l.graph.narrow(part, i, 0, at[i])?;
    }
    Ok(part)
}

/// An array with its first places taken by another.
fn surrounded(l: &mut Lowering<'_>, x: Id, part: Id) -> Result<Id, Error> {
    let shape = l.graph.shape(x).to_vec();
    if l.graph.shape(part) == shape {
        return Ok(part);
    }
    let place = Op::Place { along: vec![Stride { start: 0, step: 1 }; shape.len()], shape };
    let one = l.graph.fill_like(1.0, part)?;
    let (inside, placed) = (l.graph.push(place.clone(), &[one])?, l.graph.push(place, &[part])?);
    l.graph.push(Op::Select, &[inside, placed, x])
}

/// Rows put to the numbers of several axes at once.
pub(super) fn scatter_nd(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let (to, at) = (l.shape(c.input(0)?), l.shape(c.input(1)?));
    if at.contains(&0) {
        return Ok(vec![c.input(0)?.clone()]);
    }
    let Several { shared, at: rows, size, end } = several(l, c.input(1)?, (&to, &at), 0)?;
    let wanted = [&at[..at.len() - 1], &to[end..]].concat();
    if l.shape(c.input(2)?) != wanted {
        return Err(Error::argument(format!("updates of {:?}, expected {wanted:?}", l.shape(c.input(2)?))));
    }
    let (data, updates) = (l.real(c.input(0)?)?, l.real(c.input(2)?)?);
    // Where every place stands for itself there is one row for each.
    let rows = match rows {
        Some(rows) => rows,
        None => {
            let one = to[..shared].to_vec();
            let count = one.iter().product();
            l.indices(one, vec![0; count])?
        }
    };
    let part = l.graph.reshape(data, [&to[..shared], &[size], &to[end..]].concat())?;
    let y = put(l, c, part, (rows, shared), updates)?;
    let y = l.graph.reshape(y, to)?;
    same(l, c, y)
}

/// `updates` put to rows of `data` behind the shared axes, `[shared.., size, inner..]` by `[shared.., own..]`.
fn put(l: &mut Lowering<'_>, c: &Call<'_>, data: Id, (at, shared): (Id, usize), updates: Id) -> Result<Id, Error> {
    let size = l.graph.shape(data)[shared];
    let op = Op::Scatter { axis: shared, size, shared };
    match c.text("reduction", "none") {
        "none" => {
            let updates = last_ones(l, (at, shared), updates, size)?;
            let sum = l.graph.push(op.clone(), &[updates.0, updates.1])?;
            let one = l.graph.fill_like(1.0, updates.0)?;
            let count = l.graph.push(op, &[one, updates.1])?;
            // Known indices name every place once.
            if let Some(known) = l.constant(count)?.filter(|known| known.numbers().all(|count| count <= 1.0)) {
                let is_there = l.array(&Value::Known(known))?;
                return l.graph.push(Op::Select, &[is_there, sum, data]);
            }
            // Which of several for one place counts is not defined: of equals their mean is each of them.
            let one = l.graph.fill_like(1.0, count)?;
            let divisor = l.graph.binary(Binary::Max, count, one)?;
            let mean = l.graph.div(sum, divisor)?;
            l.graph.push(Op::Select, &[count, mean, data])
        }
        "add" => {
            let sum = l.graph.push(op, &[updates, at])?;
            l.graph.add(data, sum)
        }
        reduction => {
            let all = spread(l, c, (data, at, shared), updates, reduction)?;
            match reduction {
                "max" => l.graph.push(Op::Largest(vec![shared]), &[all]),
                "min" => {
                    let down = l.graph.neg(all)?;
                    let largest = l.graph.push(Op::Largest(vec![shared]), &[down])?;
                    l.graph.neg(largest)
                }
                _ => {
                    let count = l.graph.shape(all)[shared];
                    if count > FACTORS_MAX {
                        return Err(c.refuse(format!("a product of more than {FACTORS_MAX} numbers for one place")));
                    }
                    let mut product = l.graph.narrow(all, shared, 0, 1)?;
                    for k in 1..count {
                        let factor = l.graph.narrow(all, shared, k, 1)?;
                        product = l.graph.mul(product, factor)?;
                    }
                    Ok(product)
                }
            }
            .and_then(|y| {
                let shape = l.graph.shape(data).to_vec();
                l.graph.reshape(y, shape)
            })
        }
    }
}

/// Of known indices that name a place more than once the last, with its update.
fn last_ones(l: &mut Lowering<'_>, (at, shared): (Id, usize), updates: Id, size: usize) -> Result<(Id, Id), Error> {
    let (Some(known), 0) = (l.constant(at)?, shared) else { return Ok((updates, at)) };
    let rows: Vec<i64> = known.indices().iter().map(|row| if *row < 0 { row + size as i64 } else { *row }).collect();
    let last: HashMap<i64, usize> = rows.iter().enumerate().map(|(i, row)| (*row, i)).collect();
    let kept: Vec<i64> = (0..rows.len()).filter(|i| last[&rows[*i]] == *i).map(|i| i as i64).collect();
    let (shape, own) = (l.graph.shape(updates).to_vec(), known.shape.len());
    if kept.len() == rows.len() {
        return Ok((updates, at));
    }
    let inner = shape[own..].to_vec();
    let rowed = l.graph.reshape(updates, [&[rows.len()], &inner[..]].concat())?;
    let places = kept.iter().map(|i| rows[*i as usize]).collect();
    let (count, picked) = (kept.len(), l.indices(vec![kept.len()], kept)?);
    let updates = l.graph.push(Op::Gather { axis: 0, shared: 0 }, &[rowed, picked])?;
    Ok((updates, l.indices(vec![count], places)?))
}

/// Every row of `data` and every update for it, along the axis `shared`, in front of the rows: what is for another row is the
/// number that changes nothing.
fn spread(
    l: &mut Lowering<'_>,
    c: &Call<'_>,
    (data, at, shared): (Id, Id, usize),
    updates: Id,
    reduction: &str,
) -> Result<Id, Error> {
    let neutral = match reduction {
        "max" => f64::NEG_INFINITY,
        "min" => f64::INFINITY,
        "mul" => 1.0,
        other => return Err(c.refuse(format!("reduction = {other:?}"))),
    };
    let to = l.graph.shape(data).to_vec();
    let (first, size, inner) = (&to[..shared], to[shared], &to[shared + 1..]);
    let count = l.graph.shape(at)[shared..].iter().product::<usize>();
    let at = l.graph.reshape(at, [first, &[count]].concat())?;
    let hot = l.graph.push(Op::OneHot { classes: size }, &[at])?;
    let ones = vec![1; inner.len()];
    let hot = l.graph.reshape(hot, [first, &[count, size], &ones].concat())?;
    let updates = l.graph.reshape(updates, [first, &[count, 1], inner].concat())?;
    let other = l.graph.push(Op::Fill(Number::new(neutral), vec![1; to.len() + 1]), &[])?;
    let all = l.graph.together([hot, updates, other])?;
    let all = l.graph.push(Op::Select, &all)?;
    let own = l.graph.reshape(data, [first, &[1, size], inner].concat())?;
    l.graph.push(Op::Concat(shared), &[own, all])
}
