//! Lists of arrays, of lengths that are known when the file is read.

use super::super::lowering::{Call, Lowering, Results, Value};
use super::super::tensors::KnownArray;
use super::known::{LIST_MAX, sizes};
use super::parts::{join, split_into};
use crate::graph::op::Shape;
use mountainpass_sdk::Error;

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
    let all = listed(c)?;
    let at = l.number(c, 1)?.ok_or_else(|| Error::argument("the position is missing"))?;
    let at = c.axis(at as i64, all.len())?;
    Ok(vec![all[at].clone()])
}

fn listed<'c>(c: &'c Call<'_>) -> Result<&'c [Value], Error> {
    match c.input(0)? {
        Value::List(all) => Ok(all),
        _ => Err(Error::argument("argument 0 is no list")),
    }
}

/// A list of arrays, or of none.
pub(super) fn construct(_: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    Ok(vec![Value::List(c.inputs.iter().flatten().cloned().collect())])
}

/// A list with one more, or one less; at the end if no place is given.
pub(super) fn change(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let mut all = listed(c)?.to_vec();
    let is_more = c.op() == "SequenceInsert";
    let at = l.number(c, if is_more { 2 } else { 1 })?;
    if is_more {
        if all.len() >= LIST_MAX {
            return Err(c.refuse(format!("a list of more than {LIST_MAX} arrays")));
        }
        let at = at.map_or(Ok(all.len()), |at| c.axis(at as i64, all.len() + 1))?;
        all.insert(at, c.input(1)?.clone());
    } else {
        let at = c.axis(at.unwrap_or(-1.0) as i64, all.len())?;
        all.remove(at);
    }
    Ok(vec![Value::List(all)])
}

/// How many arrays a list has.
pub(super) fn length(_: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let count = KnownArray { shape: Vec::new(), ..KnownArray::wholes(vec![listed(c)?.len() as i64]) };
    Ok(vec![Value::Known(count)])
}

/// All arrays of a list one behind the other, or side by side along a new axis.
pub(super) fn joined(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let axis = c.int("axis").ok_or_else(|| Error::argument("the axis is missing"))?;
    Ok(vec![join(l, c, listed(c)?, (axis, c.is_on("new_axis")))?])
}
