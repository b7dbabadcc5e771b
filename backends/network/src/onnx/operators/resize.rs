//! Images of another size: borders added or cut, rows repeated or interpolated.

use super::super::lowering::{Call, Lowering, Results, Value, real};
use super::shape::axes;
use crate::graph::Id;
use crate::graph::op::{Number, Op, Stride, Values};
use mountainpass_sdk::Error;

/// Adds borders, or cuts them where they are negative.
pub(super) fn pad(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let shape = l.shape(c.input(0)?);
    let rank = shape.len();
    let pads = l.wholes(c, 1)?.ok_or_else(|| Error::argument("the pads are missing"))?;
    let which = l.wholes(c, 3)?.unwrap_or_else(|| (0..rank as i64).collect());
    if pads.len() != 2 * which.len() {
        return Err(Error::argument(format!("pads {pads:?} for {} axes", which.len())));
    }
    let value = l.number(c, 2)?.unwrap_or(0.0);
    let kind = l.kind(c.input(0)?);
    let mode = c.text("mode", "constant");
    let mut x = if mode == "constant" { l.real(c.input(0)?)? } else { l.array(c.input(0)?)? };
    let (mut before, mut after) = (vec![0; rank], vec![0; rank]);
    for (i, axis) in which.iter().enumerate() {
        let axis = c.axis(*axis, rank)?;
        (before[axis], after[axis]) = (pads[i], pads[which.len() + i]);
    }
    for axis in 0..rank {
        let size = shape[axis] as i64;
        let total = size.checked_add(before[axis]).and_then(|n| n.checked_add(after[axis])).filter(|n| *n >= 1);
        let total = total.ok_or_else(|| Error::argument(format!("pads {pads:?} of {shape:?} leave nothing")))?;
        if (before[axis], after[axis]) == (0, 0) {
            continue;
        }
        x = match mode {
            "constant" => along(l, x, axis, before[axis], total, value)?,
            "reflect" | "edge" | "wrap" => {
                // What is cut is gone before anything is repeated.
                let (first, end) = ((-before[axis]).max(0), size - (-after[axis]).max(0));
                let left = end - first;
                if left < 1 {
                    return Err(Error::argument(format!("pads {pads:?} of {shape:?} leave nothing")));
                }
                let row = |i: i64| {
                    let at = i - before[axis] - first;
                    let at = match mode {
                        "edge" => at.clamp(0, left - 1),
                        "wrap" => at.rem_euclid(left),
                        _ if left == 1 => 0,
                        _ => {
                            let turn = at.rem_euclid(2 * (left - 1));
                            turn.min(2 * (left - 1) - turn)
                        }
                    };
                    first + at
                };
                let rows: Vec<i64> = (0..l.modest(total as usize)? as i64).map(row).collect();
                let rows = l.indices(vec![rows.len()], rows)?;
                l.graph.push(Op::Gather { axis, shared: 0 }, &[x, rows])?
            }
            other => return Err(c.refuse(format!("mode = {other:?}"))),
        };
    }
    Ok(vec![Value::Node(x, kind)])
}

/// Borders of one number along one axis.
pub(super) fn along(
    l: &mut Lowering<'_>,
    x: Id,
    axis: usize,
    before: i64,
    total: i64,
    value: f64,
) -> Result<Id, Error> {
    let mut shape = l.graph.shape(x).to_vec();
    let size = shape[axis] as i64;
    let (first, last) = ((-before).max(0), (total - before).min(size));
    if first >= last {
        shape[axis] = total as usize;
        return l.graph.push(Op::Fill(Number::new(value), shape), &[]);
    }
    let part = l.graph.narrow(x, axis, first as usize, (last - first) as usize)?;
    let mut strides = vec![Stride { start: 0, step: 1 }; shape.len()];
    strides[axis].start = before.max(0) as usize;
    shape[axis] = total as usize;
    let place = Op::Place { along: strides, shape: shape.clone() };
    let placed = l.graph.push(place.clone(), &[part])?;
    if value == 0.0 || total == last - first {
        return Ok(placed);
    }
    // Infinite borders are usual before a maximum: chosen, as sums would make NaN of them.
    let one = l.graph.fill_like(1.0, part)?;
    let inside = l.graph.push(place, &[one])?;
    let border = l.graph.push(Op::Fill(Number::new(value), shape), &[])?;
    l.graph.push(Op::Select, &[inside, placed, border])
}

/// Rows of the old image for every row of the new one: the nearest, or a weighted sum of those around it.
pub(super) fn resize(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let shape = l.shape(c.input(0)?);
    let listed = match axes(l, c, usize::MAX)? {
        Some(axes) => axes.iter().map(|axis| c.axis(*axis, shape.len())).collect::<Result<Vec<usize>, Error>>()?,
        None => (0..shape.len()).collect(),
    };
    let is_nearest = c.text("mode", "nearest") == "nearest";
    let scales = c.optional(2).map(|value| l.known(value)).transpose()?.map(|t| t.reals()).filter(|s| !s.is_empty());
    let new = l.wholes(c, 3)?.filter(|s| !s.is_empty());
    let given = scales.as_ref().map_or_else(|| new.as_ref().map_or(0, Vec::len), Vec::len);
    if given != listed.len() {
        return Err(Error::argument(format!("{given} scales or sizes for {} axes", listed.len())));
    }
    // One scale for all axes, so that none is larger, or smaller, than asked for.
    let ratios = new.iter().flatten().zip(&listed).map(|(new, axis)| *new as f64 / shape[*axis] as f64);
    let common = match c.text("keep_aspect_ratio_policy", "stretch") {
        "stretch" => None,
        "not_larger" => ratios.reduce(f64::min),
        "not_smaller" => ratios.reduce(f64::max),
        other => return Err(c.refuse(format!("keep_aspect_ratio_policy = {other:?}"))),
    };
    let mut x = l.real(c.input(0)?)?;
    for (i, &axis) in listed.iter().enumerate() {
        let size = shape[axis];
        let (scale, count) = match (&scales, &new) {
            (Some(scales), _) => (scales[i], (size as f64 * scales[i]).floor()),
            (None, Some(_)) if common.is_some() => {
                let scale = common.unwrap_or(1.0);
                (scale, (size as f64 * scale).round())
            }
            (None, Some(new)) => (new[i] as f64 / size as f64, new[i] as f64),
            (None, None) => return Err(Error::argument("neither scales nor sizes are given")),
        };
        if !(count >= 1.0 && count <= (1u64 << 31) as f64) {
            return Err(Error::argument(format!("axis {axis} of {shape:?} times {scale}")));
        }
        let count = l.modest(count as usize)?;
        if (scale, count) != (1.0, size) {
            let at = coordinates(c, size, count, scale)?;
            x = if is_nearest { nearest(l, c, x, axis, &at)? } else { between(l, c, x, axis, &at, scale)? };
        }
    }
    real(x)
}

/// Where every new row stands among the old ones.
fn coordinates(c: &Call<'_>, size: usize, count: usize, scale: f64) -> Result<Vec<f64>, Error> {
    // The new size before it is cut to a whole number, but for one of the modes.
    let (size, cut) = (size as f64, count as f64);
    let mode = c.text("coordinate_transformation_mode", "half_pixel");
    let n = if mode == "half_pixel_symmetric" { cut } else { size * scale };
    let at: fn(f64, f64, f64, f64) -> f64 = match mode {
        "half_pixel" => |i, _, _, scale| (i + 0.5) / scale - 0.5,
        "asymmetric" => |i, _, _, scale| i / scale,
        "align_corners" => |i, size, n, _| if n == 1.0 { 0.0 } else { i * (size - 1.0) / (n - 1.0) },
        "pytorch_half_pixel" => |i, _, n, scale| if n == 1.0 { 0.0 } else { (i + 0.5) / scale - 0.5 },
        "half_pixel_symmetric" => |i, size, n, scale| {
            let adjusted = size / 2.0 * (1.0 - n / (size * scale));
            adjusted + (i + 0.5) / scale - 0.5
        },
        other => return Err(c.refuse(format!("coordinate_transformation_mode = {other:?}"))),
    };
    Ok((0..count).map(|i| at(i as f64, size, n, scale)).collect())
}

fn nearest(l: &mut Lowering<'_>, c: &Call<'_>, x: Id, axis: usize, at: &[f64]) -> Result<Id, Error> {
    let last = l.graph.shape(x)[axis] as f64 - 1.0;
    let round: fn(f64) -> f64 = match c.text("nearest_mode", "round_prefer_floor") {
        "round_prefer_floor" => |x| (x - 0.5).ceil(),
        "round_prefer_ceil" => |x| (x + 0.5).floor(),
        "floor" => f64::floor,
        "ceil" => f64::ceil,
        other => return Err(c.refuse(format!("nearest_mode = {other:?}"))),
    };
    let rows: Vec<i64> = at.iter().map(|at| round(*at).clamp(0.0, last) as i64).collect();
    let rows = l.indices(vec![rows.len()], rows)?;
    l.graph.push(Op::Gather { axis, shared: 0 }, &[x, rows])
}

/// A weighted sum of the rows around every place; rows beyond the ends repeat the last ones.
///
/// The weights are samples of a curve of width `reach` to either side, stretched where an image is made smaller
/// without aliases. The cubic curve is that of Keys (1981), of which `cubic_coeff_a` is the free parameter.
fn between(l: &mut Lowering<'_>, c: &Call<'_>, x: Id, axis: usize, at: &[f64], scale: f64) -> Result<Id, Error> {
    let a = c.float("cubic_coeff_a", -0.75);
    let cubic = |d: f64| match d {
        d if d <= 1.0 => ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0,
        d if d < 2.0 => ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a,
        _ => 0.0,
    };
    let (reach, curve): (f64, &dyn Fn(f64) -> f64) = match c.text("mode", "nearest") {
        "linear" => (1.0, &|d| (1.0 - d).max(0.0)),
        "cubic" => (2.0, &cubic),
        other => return Err(c.refuse(format!("mode = {other:?}"))),
    };
    let antialias = c.is_on("antialias");
    let stretch = if antialias { scale.min(1.0) } else { 1.0 };
    let half = (reach / stretch).ceil();
    let taps = l.modest((2.0 * half) as usize)?;
    l.modest(taps.saturating_mul(at.len()))?;
    let rank = l.graph.shape(x).len();
    let last = l.graph.shape(x)[axis] as f64 - 1.0;
    let row = |at: f64, tap: usize| at.floor() + 1.0 - half + tap as f64;
    let excluded = c.is_on("exclude_outside");
    let weight = |at: f64, tap: usize| match row(at, tap) {
        row if excluded && !(0.0..=last).contains(&row) => 0.0,
        row => curve((row - at).abs() * stretch),
    };
    let total = |at: f64| match excluded || antialias {
        true => (0..taps).map(|tap| weight(at, tap)).sum::<f64>(),
        false => 1.0,
    };
    let totals: Vec<f64> = at.iter().map(|at| total(*at)).collect();
    let mut sum = None;
    for tap in 0..taps {
        let rows = at.iter().map(|at| row(*at, tap).clamp(0.0, last) as i64).collect();
        let rows = l.indices(vec![at.len()], rows)?;
        let rows = l.graph.push(Op::Gather { axis, shared: 0 }, &[x, rows])?;
        let mut shape = vec![1; rank];
        shape[axis] = at.len();
        let weights = at.iter().zip(&totals).map(|(at, total)| weight(*at, tap) / total).collect();
        let weights = l.graph.constant(shape, Values::Real(weights))?;
        let part = l.graph.mul(rows, weights)?;
        sum = Some(match sum {
            Some(sum) => l.graph.add(sum, part)?,
            None => part,
        });
    }
    sum.ok_or_else(|| Error::argument("nothing to interpolate"))
}
