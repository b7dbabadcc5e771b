//! Attention of the domain com.microsoft, and positions as angles (Su et al. 2021), of that domain and of ONNX's own.

use super::super::lowering::{Call, Lowering, Results, Value, real};
use super::super::messages::MICROSOFT;
use super::super::tensors::ValueKind;
use super::attention::{in_heads, merged};
use super::fused::rows;
use crate::graph::Id;
use crate::graph::op::{Binary, Op, Values};
use mountainpass_sdk::Error;

/// What a masked key's score is moved by, where a node does not say it.
const FILTER: f64 = -10_000.0;

/// Attention of what one matrix makes of the inputs.
pub(super) fn attention(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    refuse_given(c, 6, "past_sequence_length")?;
    refuse_set(c, &["do_rotary", "past_present_share_buffer"])?;
    let [q, mut k, mut v] = projected(l, c)?;
    if let Some(past) = c.optional(4) {
        let past = l.real(past)?;
        k = behind(l, (past, 0), k)?;
        v = behind(l, (past, 1), v)?;
    }
    let y = attended(l, c, [q, k, v], (c.optional(3), c.optional(5)))?;
    let present = together(l, [k, v])?;
    Ok([Some(y), present].into_iter().flatten().map(|id| Value::Node(id, ValueKind::Real)).collect())
}

/// Queries, keys and values, `[batch, heads, sequence, width]`, side by side in one product.
fn projected(l: &mut Lowering<'_>, c: &Call<'_>) -> Result<[Id; 3], Error> {
    let (x, weight) = (l.real(c.input(0)?)?, l.real(c.input(1)?)?);
    let mut all = l.graph.matmul(x, weight)?;
    if let Some(bias) = c.optional(2) {
        let bias = l.real(bias)?;
        all = l.graph.add(all, bias)?;
    }
    let width = l.graph.shape(all).last().copied().unwrap_or(0);
    let sizes: Vec<usize> = match c.ints("qkv_hidden_sizes") {
        Some(sizes) => sizes.iter().map(|size| usize::try_from(*size).unwrap_or(0)).collect(),
        None => vec![width / 3; 3],
    };
    if sizes.len() != 3 || sizes.iter().fold(0, |sum: usize, size| sum.saturating_add(*size)) != width {
        return Err(Error::argument(format!("qkv_hidden_sizes {sizes:?} of {width}")));
    }
    let heads = number_of_heads(c)?;
    let (mut start, mut parts) = (0, [all; 3]);
    for (part, size) in parts.iter_mut().zip(sizes) {
        let own = l.graph.narrow(all, 2, start, size)?;
        *part = in_heads(l, own, heads, "num_heads")?;
        start += size;
    }
    Ok(parts)
}

/// Keys and values in one array, for whoever goes on from here; only where both are as wide.
fn together(l: &mut Lowering<'_>, mut parts: [Id; 2]) -> Result<Option<Id>, Error> {
    if l.graph.shape(parts[0]) != l.graph.shape(parts[1]) {
        return Ok(None);
    }
    for part in &mut parts {
        let shape = [&[1], l.graph.shape(*part)].concat();
        *part = l.graph.reshape(*part, shape)?;
    }
    l.graph.push(Op::Concat(0), &parts).map(Some)
}

/// Keys or values behind those of the past, which stand together in one array.
fn behind(l: &mut Lowering<'_>, (past, which): (Id, usize), now: Id) -> Result<Id, Error> {
    let part = l.graph.narrow(past, 0, which, 1)?;
    let shape = l.graph.shape(past).get(1..).unwrap_or_default().to_vec();
    let part = l.graph.reshape(part, shape)?;
    l.graph.push(Op::Concat(2), &[part, now])
}

/// Attention of queries, keys and values that are given, apart or together.
pub(super) fn multi_head(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    refuse_given(c, 8, "past_sequence_length")?;
    refuse_given(c, 9, "cache_indirection")?;
    let heads = number_of_heads(c)?;
    let [q, mut k, mut v] = parts(l, c, heads)?;
    for (part, argument) in [(&mut k, 6), (&mut v, 7)] {
        if let Some(past) = c.optional(argument) {
            let past = l.real(past)?;
            *part = l.graph.push(Op::Concat(2), &[past, *part])?;
        }
    }
    let y = attended(l, c, [q, k, v], (c.optional(4), c.optional(5)))?;
    Ok([y, k, v].map(|id| Value::Node(id, ValueKind::Real)).to_vec())
}

/// Queries, keys and values as `[batch, heads, sequence, width]`.
fn parts(l: &mut Lowering<'_>, c: &Call<'_>, heads: usize) -> Result<[Id; 3], Error> {
    let first = l.real(c.input(0)?)?;
    // Those that stand together stand so along the axis before the last.
    let mut flat = match l.graph.shape(first).len() {
        5 => apart(l, first, 3)?,
        _ => vec![first],
    };
    if let Some(keys) = c.optional(1) {
        let keys = l.real(keys)?;
        match l.graph.shape(keys).len() {
            5 => flat.extend(apart(l, keys, 2)?),
            _ => flat.extend([keys, l.real(c.input(2)?)?]),
        }
    }
    let [mut q, mut k, mut v] = flat[..] else { return Err(Error::argument("it has no keys or no values")) };
    if let Some(bias) = c.optional(3) {
        let bias = l.real(bias)?;
        let mut start = 0;
        for part in [&mut q, &mut k, &mut v] {
            // Keys and values that are in heads already have their biases.
            if let &[_, _, width] = l.graph.shape(*part) {
                let own = l.graph.narrow(bias, 0, start, width)?;
                *part = l.graph.add(*part, own)?;
                start += width;
            }
        }
    }
    let mut in_order = [q, k, v];
    for part in &mut in_order {
        *part = in_heads(l, *part, heads, "num_heads")?;
    }
    Ok(in_order)
}

/// `[batch, sequence, heads, count, width]` as `count` arrays `[batch, sequence, heads width]`.
fn apart(l: &mut Lowering<'_>, x: Id, count: usize) -> Result<Vec<Id>, Error> {
    let &[batch, length, heads, there, width] = l.graph.shape(x) else { return Ok(vec![x]) };
    if there != count {
        return Err(Error::argument(format!("{there} arrays together, where {count} are wanted")));
    }
    let one = |i: usize| {
        let part = l.graph.narrow(x, 3, i, 1)?;
        l.graph.reshape(part, vec![batch, length, heads * width])
    };
    (0..count).map(one).collect()
}

fn refuse_given(c: &Call<'_>, k: usize, name: &str) -> Result<(), Error> {
    if c.optional(k).is_some() { Err(c.refuse(name)) } else { Ok(()) }
}

fn refuse_set(c: &Call<'_>, names: &[&str]) -> Result<(), Error> {
    names.iter().find(|name| c.is_on(name)).map_or(Ok(()), |name| Err(c.refuse(format!("{name} = 1"))))
}

fn number_of_heads(c: &Call<'_>) -> Result<usize, Error> {
    let heads = c.int("num_heads").and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    heads.ok_or_else(|| Error::argument("num_heads is no positive number"))
}

/// softmax(scale Q K' + what masks and biases add) V, heads side by side.
fn attended(
    l: &mut Lowering<'_>,
    c: &Call<'_>,
    [q, k, v]: [Id; 3],
    (mask, bias): (Option<&Value>, Option<&Value>),
) -> Result<Id, Error> {
    let (&[batch, _, rows, width], &[_, _, columns, _]) = (l.graph.shape(q), l.graph.shape(k)) else {
        return Err(Error::argument("queries and keys have four axes"));
    };
    let scale = Some(c.float("scale", 0.0)).filter(|scale| *scale != 0.0);
    let turned = l.graph.flip(k)?;
    let scores = l.graph.matmul(q, turned)?;
    let mut scores = l.graph.scale(scores, scale.unwrap_or((width as f64).sqrt().recip()))?;
    let masked = mask.map(|mask| filtered(l, c, mask, (batch, columns))).transpose()?;
    let causal = c.is_on("unidirectional").then(|| causal(l, rows, columns)).transpose()?;
    let bias = bias.map(|bias| l.real(bias)).transpose()?;
    for more in [masked, causal, bias].into_iter().flatten() {
        scores = l.graph.add(scores, more)?;
    }
    let chances = l.graph.push(Op::Softmax, &[scores])?;
    let y = l.graph.matmul(chances, v)?;
    merged(l, y)
}

/// What a mask of keys, by their numbers or by how many there are, adds to scores.
fn filtered(l: &mut Lowering<'_>, c: &Call<'_>, mask: &Value, (batch, columns): (usize, usize)) -> Result<Id, Error> {
    let shape = l.shape(mask);
    let mask = l.real(mask)?;
    let keeps = match shape[..] {
        [n, keys] if keys == columns => l.graph.reshape(mask, vec![n, 1, 1, keys])?,
        [n, queries, keys] if keys == columns => l.graph.reshape(mask, vec![n, 1, queries, keys])?,
        [n] if n == batch => {
            let numbers = (0..l.modest(columns)?).map(|key| key as f64).collect();
            let keys = l.graph.constant(vec![columns], Values::Real(numbers))?;
            let count = l.graph.reshape(mask, vec![n, 1, 1, 1])?;
            l.graph.binary(Binary::Less, keys, count)?
        }
        _ => return Err(c.refuse(format!("a mask of {shape:?} for {columns} keys"))),
    };
    let zero = l.graph.fill_like(0.0, keeps)?;
    let is_kept = l.graph.binary(Binary::Less, zero, keeps)?;
    let out = l.graph.fill_like(c.float("mask_filter_value", FILTER), is_kept)?;
    l.graph.push(Op::Select, &[is_kept, zero, out])
}

/// Hides keys behind a query; the last query stands at the last key.
fn causal(l: &mut Lowering<'_>, rows: usize, columns: usize) -> Result<Id, Error> {
    let count = l.modest(rows.saturating_mul(columns))?;
    let before = columns.saturating_sub(rows);
    let sees = |at: usize| at % columns <= at / columns + before;
    let window = (0..count).map(|at| if sees(at) { 0.0 } else { f64::NEG_INFINITY }).collect();
    l.graph.constant(vec![rows, columns], Values::Real(window))
}

/// Pairs of numbers turned by angles that grow with the place.
pub(super) fn rotary(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    refuse_set(c, &["is_packed_batching"])?;
    let is_own = c.node.domain() == MICROSOFT;
    if is_own && c.float("scale", 1.0) != 1.0 {
        return Err(c.refuse("a scale"));
    }
    let [cos, sin, at] = if is_own { [2, 3, 1] } else { [1, 2, 3] };
    let shape = l.shape(c.input(0)?);
    let wide = |name: &str| c.int(name).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    let pairs = l.shape(c.input(cos)?).last().copied().unwrap_or(0);
    let (x, length) = match shape[..] {
        [_, length, width] => {
            let heads = wide("num_heads").unwrap_or(width / (2 * pairs).max(1));
            let x = l.real(c.input(0)?)?;
            (in_heads(l, x, heads, "num_heads")?, length)
        }
        [_, _, length, _] => (l.real(c.input(0)?)?, length),
        _ => return Err(Error::argument(format!("of {shape:?}: wants three axes or four"))),
    };
    let width = l.graph.shape(x).last().copied().unwrap_or(0);
    let turning = wide("rotary_embedding_dim").unwrap_or(width);
    if turning > width || turning != 2 * pairs {
        return Err(Error::argument(format!("{pairs} angles for {turning} of {width} numbers")));
    }
    let (cos, sin) = (angles(l, c, cos, (at, length))?, angles(l, c, sin, (at, length))?);
    let y = turned(l, x, (turning, c.is_on("interleaved")), (cos, sin))?;
    real(if shape.len() == 3 { merged(l, y)? } else { y })
}

/// The cosines or sines of every place, `[.., sequence, pairs]`, for all heads.
fn angles(l: &mut Lowering<'_>, c: &Call<'_>, k: usize, (at, length): (usize, usize)) -> Result<Id, Error> {
    let table = c.input(k)?;
    let all = match c.optional(at) {
        Some(at) if l.shape(at).len() < 2 => {
            let first = l.known(at)?.indices().first().map_or(0, |first| usize::try_from(*first).unwrap_or(usize::MAX));
            let table = l.real(table)?;
            return l.graph.narrow(table, 0, first, length);
        }
        Some(at) => rows(l, table, at)?,
        None => l.real(table)?,
    };
    let &[batch, length, pairs] = l.graph.shape(all) else {
        return Err(Error::argument(format!("angles of {:?}", l.graph.shape(all))));
    };
    l.graph.reshape(all, vec![batch, 1, length, pairs])
}

/// The first `turning` numbers of every head turned: those of the two halves together, or neighbours.
fn turned(
    l: &mut Lowering<'_>,
    x: Id,
    (turning, are_neighbours): (usize, bool),
    (cos, sin): (Id, Id),
) -> Result<Id, Error> {
    let &[batch, heads, length, width] = l.graph.shape(x) else { return Ok(x) };
    let g = &mut l.graph;
    let part = g.narrow(x, 3, 0, turning)?;
    // The axis of the two numbers of a pair, and the shape that it stands in.
    let (axis, apart) = match are_neighbours {
        true => (4, vec![batch, heads, length, turning / 2, 2]),
        false => (3, vec![batch, heads, length, 2, turning / 2]),
    };
    let pairs = g.reshape(part, apart.clone())?;
    let flat = vec![batch, heads, length, turning / 2];
    let mut both = [0, 1].map(|_| pairs);
    for (i, one) in both.iter_mut().enumerate() {
        let half = g.narrow(pairs, axis, i, 1)?;
        *one = g.reshape(half, flat.clone())?;
    }
    let [a, b] = both;
    let (ac, bs, a_s, bc) = (g.mul(a, cos)?, g.mul(b, sin)?, g.mul(a, sin)?, g.mul(b, cos)?);
    let mut turned = [g.sub(ac, bs)?, g.add(a_s, bc)?];
    for one in &mut turned {
        let mut shape = apart.clone();
        shape[axis] = 1;
        *one = g.reshape(*one, shape)?;
    }
    let joined = g.push(Op::Concat(axis), &turned)?;
    let joined = g.reshape(joined, vec![batch, heads, length, turning])?;
    if turning == width {
        return Ok(joined);
    }
    let rest = g.narrow(x, 3, turning, width - turning)?;
    g.push(Op::Concat(3), &[joined, rest])
}
