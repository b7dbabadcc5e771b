//! The discrete Fourier transform along an axis, as a product with a matrix of angles.

use super::super::lowering::{Call, Lowering, Results, real};
use crate::graph::Id;
use crate::graph::op::Values;
use mountainpass_sdk::Error;

/// Real or complex numbers (the last axis holds one or two) to complex ones, of which the first half may be all that is asked
/// for; the inverse of a half gives reals.
pub(super) fn dft(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let shape = l.shape(c.input(0)?);
    let rank = shape.len();
    let Some(&parts @ 1..=2) = shape.last() else {
        return Err(Error::argument(format!("of {shape:?}: the last axis holds one or two numbers")));
    };
    // Since opset 20 the axis is an argument.
    let axis = match c.int("axis") {
        Some(axis) => axis,
        None => l.number(c, 2)?.map_or(if c.opset < 20 { 1 } else { -2 }, |axis| axis as i64),
    };
    let axis = c.axis(axis, rank)?;
    if axis + 1 == rank {
        return Err(Error::argument("the last axis holds the parts of numbers"));
    }
    let (is_inverse, is_half) = (c.is_on("inverse"), c.is_on("onesided"));
    let given = shape[axis];
    let whole = if is_inverse && is_half { 2 * given.saturating_sub(1) } else { given };
    let length = l.number(c, 1)?.map_or(whole, |length| length as usize);
    if length == 0 || length > 1 << 16 {
        return Err(c.refuse(format!("a transform of {length} numbers")));
    }
    let to = if is_half && !is_inverse { length / 2 + 1 } else { length };
    // What is beyond the length is cut, what is missing is zero.
    let from = given.min(if is_inverse && is_half { length / 2 + 1 } else { length });
    let x = l.real(c.input(0)?)?;
    let x = l.graph.narrow(x, axis, 0, from)?;
    // [.., parts, from] by [from, to].
    let perm: Vec<usize> = (0..rank).filter(|i| *i != axis).chain([axis]).collect();
    let turned = l.graph.transpose(x, &perm)?;
    let count = l.modest(from.saturating_mul(to))?;
    let sign = if is_inverse { 1.0 } else { -1.0 };
    let factor = if is_inverse { (length as f64).recip() } else { 1.0 };
    // Of a half the others are the conjugates: all but the first, and the middle one, count twice.
    let weight = |k: usize| match is_inverse && is_half {
        true if k == 0 || 2 * k == length => factor,
        true => 2.0 * factor,
        false => factor,
    };
    let mut table = |part: fn(f64) -> f64, sign: f64| {
        let at = |i: usize| {
            let (k, n) = (i / to, i % to);
            weight(k) * part(sign * std::f64::consts::TAU * ((k * n) % length) as f64 / length as f64)
        };
        l.graph.constant(vec![from, to], Values::Real((0..count).map(at).collect()))
    };
    let (cos, sin) = (table(f64::cos, sign)?, table(f64::sin, sign)?);
    let part = |l: &mut Lowering<'_>, k: usize| l.graph.narrow(turned, rank - 2, k, 1);
    let re = part(l, 0)?;
    let (mut up, mut across) = (l.graph.matmul(re, cos)?, l.graph.matmul(re, sin)?);
    if parts == 2 {
        let im = part(l, 1)?;
        let (down, along) = (l.graph.matmul(im, sin)?, l.graph.matmul(im, cos)?);
        up = l.graph.sub(up, down)?;
        across = l.graph.add(across, along)?;
    }
    let all: Vec<Id> = if is_inverse && is_half { vec![up] } else { vec![up, across] };
    let y = l.graph.push(crate::graph::op::Op::Concat(rank - 2), &all)?;
    let mut back = vec![0; rank];
    perm.iter().enumerate().for_each(|(i, axis)| back[*axis] = i);
    real(l.graph.transpose(y, &back)?)
}
