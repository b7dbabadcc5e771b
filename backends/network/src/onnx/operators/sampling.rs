//! Images seen through a grid of places (Jaderberg et al. 2015).
//!
//! The cell that a place falls into changes in jumps; what is differentiated is the weight of its corners.

use super::super::lowering::{Call, Lowering, Results, real};
use crate::graph::Id;
use crate::graph::op::{Binary, Number, Op, Shape, Unary, Values};
use mountainpass_sdk::Error;

/// What is seen at every place of the grid, whose last axis names the image's axes from the last on.
pub(super) fn grid_sample(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let shape = l.shape(c.input(0)?);
    let axes = shape.len().saturating_sub(2);
    let to = l.shape(c.input(1)?);
    let fits = axes > 0 && to.len() == shape.len() && to[0] == shape[0] && to[to.len() - 1] == axes;
    if !fits {
        return Err(Error::argument(format!("a grid of {to:?} over {shape:?}")));
    }
    let (n, channels, count) = (shape[0], shape[1], to[1..to.len() - 1].iter().product::<usize>());
    let x = l.real(c.input(0)?)?;
    let perm: Vec<usize> = std::iter::once(0).chain(2..shape.len()).chain([1]).collect();
    let pixels = l.graph.transpose(x, &perm)?;
    let pixels = l.graph.reshape(pixels, vec![n, shape[2..].iter().product(), channels])?;
    let grid = l.real(c.input(1)?)?;
    let grid = l.graph.reshape(grid, vec![n, count, axes])?;
    let taps = match c.text("mode", "linear") {
        "linear" | "bilinear" => 2,
        "nearest" => 1,
        "cubic" | "bicubic" => 4,
        other => return Err(c.refuse(format!("mode = {other:?}"))),
    };
    let border = Border::of(c)?;
    // Of every axis, the rows that count and by how much.
    let mut rows: Vec<Vec<Tap>> = Vec::new();
    for (axis, &size) in shape[2..].iter().enumerate() {
        let at = l.graph.narrow(grid, 2, axes - 1 - axis, 1)?;
        let at = l.graph.reshape(at, vec![n, count])?;
        rows.push(border.taps(l, at, size, taps)?);
    }
    let mut sum = None;
    for corner in 0..taps.pow(axes as u32) {
        let (mut place, mut weight, mut rest) =
            (l.graph.push(Op::Fill(Number::new(0.0), vec![n, count]), &[])?, None, corner);
        for (axis, taps) in rows.iter().enumerate() {
            let tap = &taps[rest % taps.len()];
            rest /= taps.len();
            let outer = l.graph.scale(place, shape[2 + axis] as f64)?;
            place = l.graph.add(outer, tap.row)?;
            weight = Some(match weight {
                Some(weight) => l.graph.mul(weight, tap.weight)?,
                None => tap.weight,
            });
        }
        let at = l.graph.push(Op::ToIndex, &[place])?;
        let seen = l.graph.push(Op::Gather { axis: 1, shared: 1 }, &[pixels, at])?;
        let weight = weight.unwrap_or(place);
        let weight = l.graph.reshape(weight, vec![n, count, 1])?;
        let part = l.graph.mul(seen, weight)?;
        sum = Some(match sum {
            Some(sum) => l.graph.add(sum, part)?,
            None => part,
        });
    }
    let y = sum.ok_or_else(|| Error::argument("nothing to sample"))?;
    let y = l.graph.reshape(y, [&[n], &to[1..to.len() - 1], &[channels]].concat())?;
    let perm: Vec<usize> = [0, shape.len() - 1].into_iter().chain(1..shape.len() - 1).collect();
    real(l.graph.transpose(y, &perm)?)
}

/// A row of an image, inside of it, and its weight; both as reals, one for every place.
struct Tap {
    row: Id,
    weight: Id,
}

/// What stands around an image.
struct Border {
    is_aligned: bool,
    /// Rows outside are those inside that a mirror, or the next edge, shows.
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Zeros,
    Edge,
    Mirror,
}

impl Border {
    fn of(c: &Call<'_>) -> Result<Border, Error> {
        let kind = match c.text("padding_mode", "zeros") {
            "zeros" => Kind::Zeros,
            "border" => Kind::Edge,
            "reflection" => Kind::Mirror,
            other => return Err(c.refuse(format!("padding_mode = {other:?}"))),
        };
        Ok(Border { is_aligned: c.is_on("align_corners"), kind })
    }

    /// The rows around every place from -1 to 1 along an axis of `size`.
    fn taps(&self, l: &mut Lowering<'_>, at: Id, size: usize, taps: usize) -> Result<Vec<Tap>, Error> {
        let last = size as f64 - 1.0;
        let (factor, shift) = if self.is_aligned { (last / 2.0, last / 2.0) } else { (size as f64 / 2.0, last / 2.0) };
        let at = l.graph.scale(at, factor)?;
        let mut at = l.graph.shift(at, shift)?;
        // Places move inside before they are rounded; of a cubic curve the rows do.
        if taps != 4 {
            at = self.inside(l, at, size)?;
        }
        if taps == 1 {
            let row = l.graph.unary(Unary::Round, at)?;
            let one = l.graph.fill_like(1.0, row)?;
            return Ok(vec![self.tap(l, row, one, size)?]);
        }
        let floor = l.graph.unary(Unary::Floor, at)?;
        let rest = l.graph.sub(at, floor)?;
        let mut all = Vec::new();
        for tap in 0..taps {
            let ahead = tap as f64 - (taps / 2 - 1) as f64;
            let row = l.graph.shift(floor, ahead)?;
            let weight = if taps == 2 { linear(l, rest, tap)? } else { cubic(l, rest, ahead)? };
            let row = if taps == 4 { self.inside(l, row, size)? } else { row };
            all.push(self.tap(l, row, weight, size)?);
        }
        Ok(all)
    }

    /// A row that may be outside still, where it weighs nothing.
    fn tap(&self, l: &mut Lowering<'_>, row: Id, weight: Id, size: usize) -> Result<Tap, Error> {
        let inside = clamped(l, row, 0.0, size as f64 - 1.0)?;
        let same = l.graph.binary(Binary::Equal, row, inside)?;
        let zero = l.graph.fill_like(0.0, weight)?;
        let weight = l.graph.push(Op::Select, &[same, weight, zero])?;
        Ok(Tap { row: inside, weight })
    }

    /// Places by the rule for those outside.
    fn inside(&self, l: &mut Lowering<'_>, x: Id, size: usize) -> Result<Id, Error> {
        let last = size as f64 - 1.0;
        match self.kind {
            Kind::Zeros => Ok(x),
            Kind::Edge => clamped(l, x, 0.0, last),
            Kind::Mirror => {
                // The mirrors stand at the centres of the outer pixels, or at their far edges.
                let (low, span) = if self.is_aligned { (0.0, last) } else { (-0.5, size as f64) };
                if span == 0.0 {
                    return l.graph.fill_like(0.0, x);
                }
                let from = l.graph.shift(x, -low)?;
                let away = l.graph.unary(Unary::Abs, from)?;
                // |((d + span) mod 2 span) - span| is d, there and back.
                let ahead = l.graph.shift(away, span)?;
                let turns = l.graph.scale(ahead, (2.0 * span).recip())?;
                let turns = l.graph.unary(Unary::Floor, turns)?;
                let turned = l.graph.scale(turns, 2.0 * span)?;
                let left = l.graph.sub(away, turned)?;
                let size = l.graph.unary(Unary::Abs, left)?;
                let back = l.graph.shift(size, low)?;
                clamped(l, back, 0.0, last)
            }
        }
    }
}

fn clamped(l: &mut Lowering<'_>, x: Id, low: f64, high: f64) -> Result<Id, Error> {
    super::elementwise::bounded(l, x, Some(low), Some(high))
}

/// 1 - rest, and rest.
fn linear(l: &mut Lowering<'_>, rest: Id, tap: usize) -> Result<Id, Error> {
    if tap == 1 {
        return Ok(rest);
    }
    let down = l.graph.neg(rest)?;
    l.graph.shift(down, 1.0)
}

/// The curve of Keys (1981) with a = -3/4, `ahead` rows from the cell that a place is in.
fn cubic(l: &mut Lowering<'_>, rest: Id, ahead: f64) -> Result<Id, Error> {
    let a = -0.75;
    let down = l.graph.neg(rest)?;
    let away = l.graph.shift(down, ahead)?;
    let d = l.graph.unary(Unary::Abs, away)?;
    let coefficients =
        if ahead == 0.0 || ahead == 1.0 { [1.0, 0.0, -(a + 3.0), a + 2.0] } else { [-4.0 * a, 8.0 * a, -5.0 * a, a] };
    let [c0, c1, c2, c3] = coefficients;
    let mut y = l.graph.scale(d, c3)?;
    for c in [c2, c1] {
        let sum = l.graph.shift(y, c)?;
        y = l.graph.mul(sum, d)?;
    }
    l.graph.shift(y, c0)
}

/// The places of an image that an affine map makes of a regular grid.
pub(super) fn affine_grid(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let size: Shape = super::known::sizes(&l.wholes(c, 1)?.ok_or_else(|| Error::argument("the size is missing"))?)?;
    let [n, _, to @ ..] = &size[..] else { return Err(Error::argument(format!("an image of {size:?}"))) };
    let axes = to.len();
    let theta = l.real(c.input(0)?)?;
    let count = l.modest(to.iter().product::<usize>().saturating_mul(axes + 1))? / (axes + 1);
    let is_aligned = c.is_on("align_corners");
    let place = |i: usize, size: usize| match (is_aligned, size) {
        (true, 1) => 0.0,
        (true, size) => 2.0 * i as f64 / (size as f64 - 1.0) - 1.0,
        (false, size) => (2.0 * i as f64 + 1.0) / size as f64 - 1.0,
    };
    let mut all = Vec::with_capacity(count * (axes + 1));
    for at in 0..count {
        let mut rest = at;
        for size in to.iter().rev() {
            all.push(place(rest % size, *size));
            rest /= size;
        }
        all.push(1.0);
    }
    let regular = l.graph.constant(vec![1, count, axes + 1], Values::Real(all))?;
    let turned = l.graph.flip(theta)?;
    let grid = l.graph.matmul(regular, turned)?;
    real(l.graph.reshape(grid, [&[*n], to, &[axes]].concat())?)
}
