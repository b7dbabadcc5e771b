//! Convolutions of any number of axes, and their adjoints.
//!
//! Images come channels first and are computed channels last; the graph cancels the transpositions between layers.
//! One-dimensional convolutions are two-dimensional ones of height 1; those of volumes are sums of two-dimensional ones, one
//! for every tap along the axes before the last two.

use super::super::lowering::{Call, Lowering, Results, real};
use super::pools::{Side, each, ends, images, sides, spatial, to_first, to_last, window_of};
use crate::graph::Id;
use crate::graph::op::{Number, Op, Stride, Values, Window};
use mountainpass_sdk::Error;

/// The kernel of a file, `[outputs, inputs, ..., width]`, as `[..., width, inputs, outputs]`, and its taps.
fn kernel(l: &mut Lowering<'_>, c: &Call<'_>) -> Result<(Id, Vec<usize>), Error> {
    let w = l.real(c.input(1)?)?;
    let rank = l.graph.shape(w).len();
    if rank < 3 {
        return Err(c.refuse(format!("a kernel of {:?}", l.graph.shape(w))));
    }
    let perm: Vec<usize> = (2..rank).chain([1, 0]).collect();
    let mut w = l.graph.transpose(w, &perm)?;
    if let &[width, inputs, outputs] = l.graph.shape(w) {
        w = l.graph.reshape(w, vec![1, width, inputs, outputs])?;
    }
    let shape = l.graph.shape(w);
    Ok((w, shape[..shape.len() - 2].to_vec()))
}

fn groups(c: &Call<'_>) -> Result<usize, Error> {
    let groups = c.int("group").unwrap_or(1);
    usize::try_from(groups).ok().filter(|g| *g > 0).ok_or_else(|| Error::argument(format!("group = {groups}")))
}

fn biased(l: &mut Lowering<'_>, c: &Call<'_>, y: Id) -> Result<Id, Error> {
    match c.optional(2) {
        Some(bias) => {
            let bias = l.real(bias)?;
            // torch 2.15 writes for a Conv3d without one zeros of the shape [outputs, inputs].
            match &l.graph.node(bias).op {
                Op::Fill(number, _) if number.get() == 0.0 => Ok(y),
                _ => l.graph.add(y, bias),
            }
        }
        None => Ok(y),
    }
}

/// Convolutions.
pub(super) fn conv(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let rank = images(l, c)?;
    let (w, taps) = kernel(l, c)?;
    let x = l.real(c.input(0)?)?;
    let x = to_last(l, x)?;
    let size = spatial(l, x);
    let sides: Vec<Side> = sides(c, &taps, &size)?.into_iter().map(|(side, _)| side).collect();
    let places: Vec<usize> = sides.iter().zip(&size).map(|(side, size)| side.alone().places(0, *size)).collect();
    let y = moved(l, (x, w), &sides, &places, groups(c)?, Way::Onto)?;
    let y = biased(l, c, y)?;
    real(to_first(l, y, rank)?)
}

/// Transposed convolutions: the adjoint of the convolution with the same kernel.
pub(super) fn conv_transpose(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let rank = images(l, c)?;
    let (w, kernel) = kernel(l, c)?;
    let x = l.real(c.input(0)?)?;
    let x = to_last(l, x)?;
    let from = spatial(l, x);
    let axes = from.len();
    if kernel.len() != axes {
        return Err(c.refuse(format!("a kernel of {kernel:?}")));
    }
    let (strides, dilations) = (each(c, "strides", axes, 1, 1)?, each(c, "dilations", axes, 1, 1)?);
    let extra = each(c, "output_padding", axes, 0, 0)?;
    let same = c.text("auto_pad", "NOTSET");
    let [mut begin, mut end] = ends(c, axes)?;
    let (mut size, mut sides) = (vec![0; axes], Vec::with_capacity(axes));
    for axis in 0..axes {
        let reach = (kernel[axis] - 1) * dilations[axis] + 1;
        let mut full = strides[axis] * (from[axis] - 1) + extra[axis] + reach;
        let asked = match (c.ints("output_shape"), same) {
            (Some(shape), _) => {
                let at = (axis + shape.len()).checked_sub(axes).and_then(|i| shape.get(i));
                Some(at.map_or(1, |d| usize::try_from(*d).unwrap_or(0)))
            }
            (None, "SAME_UPPER" | "SAME_LOWER") => Some(from[axis] * strides[axis]),
            _ => None,
        };
        if let Some(asked) = asked {
            full = full.max(asked);
            let total = full - asked;
            let half = total / 2;
            (begin[axis], end[axis]) = if same == "SAME_UPPER" { (half, total - half) } else { (total - half, half) };
        }
        size[axis] = full.checked_sub(begin[axis] + end[axis]).filter(|size| *size > 0).ok_or_else(|| {
            Error::argument(format!("pads {begin:?} and {end:?} leave nothing of {full} rows or columns"))
        })?;
        let (stride, dilation) = (strides[axis], dilations[axis]);
        sides.push(Side { kernel: kernel[axis], stride, dilation, begin: begin[axis], end: end[axis] });
    }
    let y = moved(l, (x, w), &sides, &size, groups(c)?, Way::Back)?;
    let y = biased(l, c, y)?;
    real(to_first(l, y, rank)?)
}

/// From an image to what a kernel sees, or the adjoint of that.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Onto,
    Back,
}

/// `x` by the kernel `w`, to results of these sizes.
fn moved(
    l: &mut Lowering<'_>,
    (x, w): (Id, Id),
    sides: &[Side],
    to: &[usize],
    groups: usize,
    way: Way,
) -> Result<Id, Error> {
    if let ([rows, columns], &[height, width]) = (sides, to) {
        let window = window_of(rows, columns);
        return match way {
            Way::Onto => l.graph.convolve(x, w, window, groups),
            Way::Back => {
                let size = [height, width];
                l.graph.push(Op::ConvolveImage { window, groups, size }, &[x, w])
            }
        };
    }
    let ([side, sides @ ..], [count, rest @ ..]) = (sides, to) else { return Ok(x) };
    let (from, taps) = (l.graph.shape(x).to_vec(), l.graph.shape(w).to_vec());
    // Of the places of results and the rows of images, which are on this side.
    let (places, size) = if way == Way::Onto { (*count, from[1]) } else { (from[1], *count) };
    let mut sum = None;
    for tap in 0..side.kernel {
        let Some((first, seen)) = reach(&side.alone(), tap, places, size) else { continue };
        let row = Stride { start: seen[0], step: side.stride as isize };
        let place = Stride { start: first, step: 1 };
        let (take, put) = if way == Way::Onto { (row, place) } else { (place, row) };
        let part = along(l, x, take, seen.len())?;
        let part = l.graph.reshape(part, [&[from[0] * seen.len()], &from[2..]].concat())?;
        let kernel = l.graph.narrow(w, 0, tap, 1)?;
        let kernel = l.graph.reshape(kernel, taps[1..].to_vec())?;
        let y = moved(l, (part, kernel), sides, rest, groups, way)?;
        let shape = l.graph.shape(y).to_vec();
        let y = l.graph.reshape(y, [&[from[0], seen.len()], &shape[1..]].concat())?;
        let shape = [&[from[0], *count], &shape[1..]].concat();
        let mut strides = vec![Stride { start: 0, step: 1 }; shape.len()];
        strides[1] = if seen.len() == 1 { Stride { step: 1, ..put } } else { put };
        let y = l.graph.push(Op::Place { along: strides, shape }, &[y])?;
        sum = Some(match sum {
            Some(sum) => l.graph.add(sum, y)?,
            None => y,
        });
    }
    match sum {
        Some(sum) => Ok(sum),
        // The kernel sees nothing but what was added around the image.
        None => {
            let channels = match way {
                Way::Onto => taps[taps.len() - 1],
                Way::Back => taps[taps.len() - 2] * groups,
            };
            l.graph.push(Op::Fill(Number::new(0.0), [&[from[0]], to, &[channels]].concat()), &[])
        }
    }
}

/// The first place from which a tap sees a row of the image, and the rows that it sees from there on.
fn reach(side: &Window, tap: usize, places: usize, size: usize) -> Option<(usize, Vec<usize>)> {
    let first = (0..places).find(|place| side.sees(0, *place, tap, size).is_some())?;
    Some((first, (first..places).map_while(|place| side.sees(0, place, tap, size)).collect()))
}

/// A part of the first axis behind the batch.
fn along(l: &mut Lowering<'_>, x: Id, by: Stride, count: usize) -> Result<Id, Error> {
    let mut shape = l.graph.shape(x).to_vec();
    let mut along = vec![Stride { start: 0, step: 1 }; shape.len()];
    shape[1] = count;
    along[1] = if count == 1 { Stride { step: 1, ..by } } else { by };
    l.graph.push(Op::Slice { along, shape }, &[x])
}

/// Blocks back to where they were cut out, added up where they overlap: the adjoint of a convolution whose kernel has one
/// channel for each tap.
pub(super) fn col2im(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let listed = |k: usize| l.wholes(c, k)?.ok_or_else(|| Error::argument(format!("argument {k} is missing")));
    let (size, block) = (super::known::sizes(&listed(1)?)?, super::known::sizes(&listed(2)?)?);
    let x = l.real(c.input(0)?)?;
    let from = l.graph.shape(x).to_vec();
    let wrong = || Error::argument(format!("blocks {from:?} of {block:?} in an image of {size:?}"));
    let &[n, all, count] = &from[..] else { return Err(wrong()) };
    if size.len() < 2 || size.len() != block.len() {
        return Err(c.refuse(format!("an image of {size:?} from blocks of {block:?}")));
    }
    let sides: Vec<Side> = sides(c, &block, &size)?.into_iter().map(|(side, _)| side).collect();
    let places: Vec<usize> = sides.iter().zip(&size).map(|(side, size)| side.alone().places(0, *size)).collect();
    let taps: usize = block.iter().product();
    if all % taps != 0 || places.iter().product::<usize>() != count {
        return Err(wrong());
    }
    // Kernel [..., columns, 1, channels * taps]: tap t of a channel goes to its own place alone.
    let own = (0..l.modest(taps * all)?).map(|i| f64::from(u8::from(i / all == i % taps))).collect();
    let kernel = l.graph.constant([&block[..], &[1, all]].concat(), Values::Real(own))?;
    let x = l.graph.reshape(x, [&[n, all], &places[..]].concat())?;
    let x = to_last(l, x)?;
    let y = moved(l, (x, kernel), &sides, &size, all / taps, Way::Back)?;
    real(to_first(l, y, size.len() + 2)?)
}
