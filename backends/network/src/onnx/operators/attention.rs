//! Scaled dot-product attention as one operator (Vaswani et al. 2017), with shared heads of keys and values (Ainslie et
//! al. 2023) and what was attended to before.

use super::super::lowering::{Call, Lowering, Results, Value};
use super::super::tensors::ValueKind;
use super::resize::along;
use crate::graph::Id;
use crate::graph::op::{Binary, Op, Unary, Values};
use mountainpass_sdk::Error;

/// softmax(scale Q K' + mask) V, and the keys and values with those of the past.
pub(super) fn attention(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    if c.optional(6).is_some() {
        return Err(c.refuse("nonpad_kv_seqlen"));
    }
    // How far back and ahead a query sees; without end where it is not said.
    let reach = |name: &str| c.int(name).and_then(|n| usize::try_from(n).ok());
    let (back, ahead) = (reach("left_window_size"), reach("right_window_size"));
    let ahead = if c.is_on("is_causal") { Some(0) } else { ahead };
    let is_flat = l.shape(c.input(0)?).len() == 3;
    let [q, mut k, mut v] =
        [heads(l, c, 0, "q_num_heads")?, heads(l, c, 1, "kv_num_heads")?, heads(l, c, 2, "kv_num_heads")?];
    let mut past = 0;
    for (part, argument) in [(&mut k, 4), (&mut v, 5)] {
        if let Some(before) = c.optional(argument) {
            past = l.shape(before).get(2).copied().unwrap_or(0);
            let before = l.real(before)?;
            *part = l.graph.push(Op::Concat(2), &[before, *part])?;
        }
    }
    let (&[_, count, rows, width], &[_, shared, columns, _]) = (l.graph.shape(q), l.graph.shape(k)) else {
        return Err(Error::argument("Q, K and V have four axes, or three and a number of heads"));
    };
    if shared == 0 || count % shared != 0 {
        return Err(Error::argument(format!("{count} heads of queries for {shared} of keys")));
    }
    let present = [k, v];
    let [k, v] = [spread(l, k, count / shared)?, spread(l, v, count / shared)?];
    let turned = l.graph.flip(k)?;
    let scores = l.graph.matmul(q, turned)?;
    let scores = l.graph.scale(scores, c.float("scale", (width as f64).sqrt().recip()))?;
    let softcap = c.float("softcap", 0.0);
    let scores = if softcap == 0.0 {
        scores
    } else {
        let small = l.graph.scale(scores, softcap.recip())?;
        let bent = l.graph.unary(Unary::Tanh, small)?;
        l.graph.scale(bent, softcap)?
    };
    let mut mask = c.optional(3).map(|mask| bias(l, mask, columns)).transpose()?;
    // Only a given mask, or a window that begins behind the last key, can leave a query without any.
    let is_given = mask.is_some() || back.is_some();
    if back.is_some() || ahead.is_some() {
        let count = l.modest(rows.saturating_mul(columns))?;
        let sees = |at: usize| {
            let (query, key) = (at / columns + past, at % columns);
            back.is_none_or(|back| key.saturating_add(back) >= query)
                && ahead.is_none_or(|ahead| key <= query.saturating_add(ahead))
        };
        let window = (0..count).map(|at| if sees(at) { 0.0 } else { f64::NEG_INFINITY }).collect();
        let window = l.graph.constant(vec![rows, columns], Values::Real(window))?;
        mask = Some(match mask {
            Some(mask) => l.graph.add(mask, window)?,
            None => window,
        });
    }
    let chances = match mask {
        None => l.graph.push(Op::Softmax, &[scores])?,
        Some(mask) if is_given => open_rows(l, scores, mask)?,
        Some(mask) => {
            let masked = l.graph.add(scores, mask)?;
            l.graph.push(Op::Softmax, &[masked])?
        }
    };
    let mut y = l.graph.matmul(chances, v)?;
    if is_flat {
        y = merged(l, y)?;
    }
    Ok([y, present[0], present[1]].map(|id| Value::Node(id, ValueKind::Real)).to_vec())
}

/// What a mask adds to the scores; keys behind its end are masked.
fn bias(l: &mut Lowering<'_>, mask: &Value, columns: usize) -> Result<Id, Error> {
    let (kind, mut mask) = (l.kind(mask), l.real(mask)?);
    let axis = l.graph.shape(mask).len().saturating_sub(1);
    let outside = if kind == ValueKind::Truth { 0.0 } else { f64::NEG_INFINITY };
    if l.graph.shape(mask).last().is_some_and(|size| *size < columns) {
        mask = along(l, mask, axis, 0, columns as i64, outside)?;
    }
    if kind != ValueKind::Truth {
        return Ok(mask);
    }
    let (zero, out) = (l.graph.fill_like(0.0, mask)?, l.graph.fill_like(f64::NEG_INFINITY, mask)?);
    l.graph.push(Op::Select, &[mask, zero, out])
}

/// The softmax of masked scores; 0 where a query sees nothing at all.
fn open_rows(l: &mut Lowering<'_>, scores: Id, mask: Id) -> Result<Id, Error> {
    let largest = l.graph.push(Op::Largest(vec![l.graph.shape(mask).len() - 1]), &[mask])?;
    let never = l.graph.fill_like(f64::NEG_INFINITY, largest)?;
    let is_blind = l.graph.binary(Binary::Equal, largest, never)?;
    let zero = l.graph.fill_like(0.0, mask)?;
    let all = l.graph.together([is_blind, zero, mask])?;
    let mask = l.graph.push(Op::Select, &all)?;
    let masked = l.graph.add(scores, mask)?;
    let chances = l.graph.push(Op::Softmax, &[masked])?;
    let zero = l.graph.fill_like(0.0, chances)?;
    let all = l.graph.together([is_blind, zero, chances])?;
    l.graph.push(Op::Select, &all)
}

/// An argument as `[batch, heads, sequence, width]`.
fn heads(l: &mut Lowering<'_>, c: &Call<'_>, k: usize, count: &str) -> Result<Id, Error> {
    let x = l.real(c.input(k)?)?;
    in_heads(l, x, c.int(count).and_then(|n| usize::try_from(n).ok()).unwrap_or(0), count)
}

/// `[batch, sequence, heads width]` as `[batch, heads, sequence, width]`; `count` names the number of heads.
pub(super) fn in_heads(l: &mut Lowering<'_>, x: Id, heads: usize, count: &str) -> Result<Id, Error> {
    let &[batch, rows, all] = l.graph.shape(x) else { return Ok(x) };
    if heads == 0 || !all.is_multiple_of(heads) {
        return Err(Error::argument(format!("{count} for {:?}", l.graph.shape(x))));
    }
    let x = l.graph.reshape(x, vec![batch, rows, heads, all / heads])?;
    l.graph.transpose(x, &[0, 2, 1, 3])
}

/// The same back.
pub(super) fn merged(l: &mut Lowering<'_>, x: Id) -> Result<Id, Error> {
    let x = l.graph.transpose(x, &[0, 2, 1, 3])?;
    let &[batch, rows, heads, width] = l.graph.shape(x) else { return Ok(x) };
    l.graph.reshape(x, vec![batch, rows, heads * width])
}

/// Every head `times` times in a row.
fn spread(l: &mut Lowering<'_>, x: Id, times: usize) -> Result<Id, Error> {
    let &[batch, heads, rows, width] = l.graph.shape(x) else {
        return Err(Error::argument("Q, K and V have four axes, or three and a number of heads"));
    };
    let x = l.graph.reshape(x, vec![batch, heads, 1, rows, width])?;
    let x = l.graph.repeat(x, &[batch, heads, times, rows, width])?;
    l.graph.reshape(x, vec![batch, heads * times, rows, width])
}
