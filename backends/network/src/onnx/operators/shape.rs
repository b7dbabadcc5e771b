//! The same elements under another shape, in another order, or several times.

use super::super::lowering::{Call, Lowering, Results, Value};
use super::super::tensors::KnownArray;
use super::known::sizes;
use crate::graph::Id;
use crate::graph::op::{Number, Op, Shape};
use crate::graph::shape::elements;
use mountainpass_sdk::Error;

/// A known argument without elements stays one: shapes of scalars are such.
fn emptied(c: &Call<'_>, shape: Shape) -> Option<Results> {
    match c.optional(0) {
        Some(Value::Known(tensor)) if tensor.values.is_empty() => {
            Some(Ok(vec![Value::Known(KnownArray { shape, ..tensor.clone() })]))
        }
        _ => None,
    }
}

/// One result of the kind of the first argument.
pub(super) fn same(l: &Lowering<'_>, c: &Call<'_>, id: Id) -> Results {
    Ok(vec![Value::Node(id, l.kind(c.input(0)?))])
}

/// The axes that an attribute (old) or an argument (new) lists.
pub(super) fn axes(l: &Lowering<'_>, c: &Call<'_>, k: usize) -> Result<Option<Vec<i64>>, Error> {
    match c.ints("axes") {
        Some(axes) => Ok(Some(axes.to_vec())),
        None => l.wholes(c, k),
    }
}

/// Another shape; 0 keeps an axis, -1 is whatever is left.
pub(super) fn reshape(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let data = c.input(0)?;
    let from = l.shape(data);
    let target = l.wholes(c, 1)?.ok_or_else(|| Error::argument("the shape is missing"))?;
    if let Some(empty) = emptied(c, vec![0]) {
        return empty;
    }
    let mut shape = Shape::new();
    let mut rest = None;
    for (i, size) in target.iter().enumerate() {
        shape.push(match *size {
            0 if !c.is_on("allowzero") => {
                *from.get(i).ok_or_else(|| Error::argument(format!("{target:?} keeps axis {i} of {from:?}")))?
            }
            -1 if rest.replace(i).is_none() => 1,
            size => *sizes(&[size])?.first().unwrap_or(&0),
        });
    }
    // A shape that fits as it is was computed from the input's.
    let fits = rest.is_none() && elements(&shape) == elements(&from);
    if let (Some(baked), Value::Node(id, _), false) = (l.baked, data, fits) {
        let name = c.node.output.first().map_or("", String::as_str);
        let known = l.batch_axes.get(name).copied();
        if let Some(axis) = known.or_else(|| batch_axis(l, *id, baked, &target, &shape)) {
            shape[axis] = (shape[axis] / baked).saturating_mul(l.batch);
            l.batch_axes.insert(name.to_owned(), axis);
        }
    }
    if let Some(i) = rest {
        let (all, known) = (elements(&from).unwrap_or(0), elements(&shape).unwrap_or(0));
        if known == 0 || !all.is_multiple_of(known) {
            return Err(Error::argument(format!("{from:?} cannot take the shape {target:?}")));
        }
        shape[i] = all / known;
    }
    let x = l.array(data)?;
    let y = l.graph.reshape(x, shape)?;
    same(l, c, y)
}

/// The axis of a shape that was written for batches of `baked` which is another for those wanted: the one that starts where
/// the samples do. Whether that was right is proved in the end, on the graph.
fn batch_axis(l: &Lowering<'_>, data: Id, baked: usize, target: &[i64], shape: &[usize]) -> Option<usize> {
    let place = l.graph.batch_axis(data)?;
    let outer = l.graph.shape(data)[..place.axis].iter().product::<usize>() * place.before;
    let mut above = 1usize;
    for (axis, (size, asked)) in shape.iter().zip(target).enumerate() {
        // What is left over gets the right size anyway.
        if *asked < 0 || above > outer {
            return None;
        }
        let inside = (outer / above).saturating_mul(baked);
        if (above == outer && *size % baked == 0) || above.saturating_mul(*size) > outer {
            return (*asked > 0 && *size % inside.max(1) == 0).then_some(axis);
        }
        above = above.saturating_mul(*size);
    }
    None
}

/// Two axes: those before `axis` and the others.
pub(super) fn flatten(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let from = l.shape(c.input(0)?);
    let axis = match c.int("axis").unwrap_or(1) {
        axis if axis == from.len() as i64 => from.len(),
        axis => c.axis(axis, from.len())?,
    };
    let x = l.array(c.input(0)?)?;
    let y = l.graph.reshape(x, vec![from[..axis].iter().product(), from[axis..].iter().product()])?;
    same(l, c, y)
}

/// Axes of size 1 leave or come.
pub(super) fn squeeze(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let from = l.shape(c.input(0)?);
    let axes = axes(l, c, 1)?;
    if let Some(empty) = emptied(c, vec![0]) {
        return empty;
    }
    let shape = if c.op() == "Squeeze" {
        let leave = match axes {
            Some(axes) => c.axes(&axes, from.len())?,
            None => (0..from.len()).filter(|i| from[*i] == 1).collect(),
        };
        if let Some(axis) = leave.iter().find(|axis| from[**axis] != 1) {
            return Err(Error::argument(format!("axis {axis} of {from:?} is not 1")));
        }
        from.iter().enumerate().filter(|(i, _)| !leave.contains(i)).map(|(_, d)| *d).collect()
    } else {
        let axes = axes.ok_or_else(|| Error::argument("the axes are missing"))?;
        let rank = from.len() + axes.len();
        let come = c.axes(&axes, rank)?;
        let mut old = from.iter();
        (0..rank).map(|i| if come.contains(&i) { 1 } else { old.next().copied().unwrap_or(1) }).collect::<Shape>()
    };
    let x = l.array(c.input(0)?)?;
    let y = l.graph.reshape(x, shape)?;
    same(l, c, y)
}

/// Another order of axes; the reverse if none is given.
pub(super) fn transpose(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let rank = l.shape(c.input(0)?).len();
    let perm = match c.ints("perm") {
        Some(perm) => perm.iter().map(|axis| c.axis(*axis, rank)).collect::<Result<Vec<usize>, Error>>()?,
        None => (0..rank).rev().collect(),
    };
    let x = l.array(c.input(0)?)?;
    let y = l.graph.transpose(x, &perm)?;
    same(l, c, y)
}

/// Repeats to the common shape of the array and the one asked for.
pub(super) fn expand(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let mut shape = sizes(&l.wholes(c, 1)?.ok_or_else(|| Error::argument("the shape is missing"))?)?;
    if let (Some(baked), Some(first)) = (l.baked, shape.first_mut())
        && *first == baked
        && baked > 1
    {
        *first = l.batch;
    }
    let x = l.array(c.input(0)?)?;
    let like = l.graph.push(Op::Fill(Number::new(0.0), shape), &[])?;
    let [y, _] = l.graph.together([x, like])?;
    same(l, c, y)
}

/// The whole array several times along every axis.
pub(super) fn tile(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let from = l.shape(c.input(0)?);
    let times = sizes(&l.wholes(c, 1)?.ok_or_else(|| Error::argument("the repeats are missing"))?)?;
    if times.len() != from.len() {
        return Err(Error::argument(format!("repeats {times:?} of {from:?}")));
    }
    let pairs = |first: &dyn Fn(usize) -> usize| (0..from.len()).flat_map(|i| [first(i), from[i]]).collect::<Shape>();
    let x = l.array(c.input(0)?)?;
    let apart = l.graph.reshape(x, pairs(&|_| 1))?;
    let repeated = l.graph.push(Op::Broadcast(pairs(&|i| times[i])), &[apart])?;
    let shape = times.iter().zip(&from).map(|(t, d)| t.saturating_mul(*d)).collect();
    let y = l.graph.reshape(repeated, shape)?;
    same(l, c, y)
}

/// Channels to pixels of blocks, and back.
pub(super) fn depth(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let from = l.shape(c.input(0)?);
    let block =
        c.int("blocksize").and_then(|b| usize::try_from(b).ok()).filter(|b| (1..=1 << 20).contains(b)).unwrap_or(0);
    let &[n, channels, height, width] = &from[..] else { return Err(c.refuse(format!("an array of {from:?}"))) };
    let fits = match c.op() {
        "DepthToSpace" => block > 0 && channels.is_multiple_of(block * block),
        _ => block > 0 && height.is_multiple_of(block) && width.is_multiple_of(block),
    };
    if !fits {
        return Err(Error::argument(format!("blocks of {block} of {from:?}")));
    }
    let x = l.array(c.input(0)?)?;
    let (apart, perm, shape) = if c.op() == "DepthToSpace" {
        let rest = channels / (block * block);
        let shape = vec![n, rest, height * block, width * block];
        match c.text("mode", "DCR") {
            "DCR" => (vec![n, block, block, rest, height, width], [0, 3, 4, 1, 5, 2], shape),
            "CRD" => (vec![n, rest, block, block, height, width], [0, 1, 4, 2, 5, 3], shape),
            other => return Err(c.refuse(format!("mode = {other:?}"))),
        }
    } else {
        let apart = vec![n, channels, height / block, block, width / block, block];
        let shape = vec![n, channels * block * block, height / block, width / block];
        match c.text("mode", "DCR") {
            "DCR" => (apart, [0, 3, 5, 1, 2, 4], shape),
            "CRD" => (apart, [0, 1, 3, 5, 2, 4], shape),
            other => return Err(c.refuse(format!("mode = {other:?}"))),
        }
    };
    let apart = l.graph.reshape(x, apart)?;
    let turned = l.graph.transpose(apart, &perm)?;
    let y = l.graph.reshape(turned, shape)?;
    same(l, c, y)
}
