//! Pools, and the windows that pools and convolutions move over images.

use super::super::lowering::{Call, Lowering, Results, real};
use crate::graph::Id;
use crate::graph::op::{Op, Values, Window};
use mountainpass_sdk::Error;

/// No window is larger; it keeps every product below inside 64 bits.
const WINDOW_MAX: i64 = 1 << 20;

/// The axes of the first argument, if it is a batch of images or of rows.
pub(super) fn images(l: &Lowering<'_>, c: &Call<'_>) -> Result<usize, Error> {
    let shape = l.shape(c.input(0)?);
    match shape.len() {
        rank @ (3 | 4) => Ok(rank),
        _ => Err(c.refuse(format!("an array of {shape:?}, other than [n, channels, (height,) width],"))),
    }
}

/// Channels last, with a height of 1 where there is none.
pub(super) fn to_last(l: &mut Lowering<'_>, x: Id) -> Result<Id, Error> {
    if l.graph.shape(x).len() == 4 {
        return l.graph.transpose(x, &[0, 2, 3, 1]);
    }
    let turned = l.graph.transpose(x, &[0, 2, 1])?;
    let shape = l.graph.shape(turned);
    let shape = vec![shape[0], 1, shape[1], shape[2]];
    l.graph.reshape(turned, shape)
}

/// Channels first again, in `rank` axes.
pub(super) fn to_first(l: &mut Lowering<'_>, y: Id, rank: usize) -> Result<Id, Error> {
    if rank == 4 {
        return l.graph.transpose(y, &[0, 3, 1, 2]);
    }
    let shape = l.graph.shape(y);
    let shape = vec![shape[0], shape[2], shape[3]];
    let row = l.graph.reshape(y, shape)?;
    l.graph.transpose(row, &[0, 2, 1])
}

/// An attribute with a number for height and width, or for the width only.
pub(super) fn pairs(c: &Call<'_>, name: &str, default: usize, least: i64) -> Result<[usize; 2], Error> {
    let Some(given) = c.ints(name) else { return Ok([default; 2]) };
    let size = |i: i64| if (least..=WINDOW_MAX).contains(&i) { Some(i as usize) } else { None };
    let pair = match *given {
        [width] => size(width).map(|width| [default, width]),
        [height, width] => size(height).zip(size(width)).map(|(height, width)| [height, width]),
        _ => None,
    };
    pair.ok_or_else(|| c.refuse(format!("{name} = {given:?}")))
}

/// The attribute `pads`: rows and columns before, and behind.
pub(super) fn ends(c: &Call<'_>) -> Result<[[usize; 2]; 2], Error> {
    let Some(given) = c.ints("pads") else { return Ok([[0; 2]; 2]) };
    if given.iter().any(|i| !(0..=WINDOW_MAX).contains(i)) {
        return Err(c.refuse(format!("pads = {given:?}")));
    }
    match *given {
        [before, after] => Ok([[0, before as usize], [0, after as usize]]),
        [top, left, bottom, right] => Ok([[top as usize, left as usize], [bottom as usize, right as usize]]),
        _ => Err(c.refuse(format!("pads = {given:?}"))),
    }
}

/// The window over images of `size`, and the end of the padding that counts; a ceiling extends the window beyond it.
pub(super) fn window(c: &Call<'_>, kernel: [usize; 2], size: [usize; 2]) -> Result<(Window, [usize; 2]), Error> {
    let strides = pairs(c, "strides", 1, 1)?;
    let dilations = pairs(c, "dilations", 1, 1)?;
    if kernel.iter().any(|k| *k == 0 || *k as i64 > WINDOW_MAX) {
        return Err(c.refuse(format!("a kernel of {kernel:?}")));
    }
    let [mut begin, mut end] = ends(c)?;
    let auto = c.text("auto_pad", "NOTSET");
    let reach = |axis: usize| (kernel[axis] - 1) * dilations[axis] + 1;
    for axis in 0..2 {
        match auto {
            "NOTSET" => {}
            "VALID" => (begin[axis], end[axis]) = (0, 0),
            "SAME_UPPER" | "SAME_LOWER" => {
                let last = (size[axis].div_ceil(strides[axis]) - 1) * strides[axis];
                let total = (last + reach(axis)).saturating_sub(size[axis]);
                let half = total / 2;
                (begin[axis], end[axis]) =
                    if auto == "SAME_UPPER" { (half, total - half) } else { (total - half, half) };
            }
            other => return Err(c.refuse(format!("auto_pad = {other:?}"))),
        }
    }
    let counted = end;
    if c.is_on("ceil_mode") {
        for axis in 0..2 {
            let before = size[axis] + begin[axis];
            let steps = (before + end[axis]).saturating_sub(reach(axis)).div_ceil(strides[axis]);
            // No window starts behind the image.
            let steps = if steps * strides[axis] >= before { steps.saturating_sub(1) } else { steps };
            end[axis] = (steps * strides[axis] + reach(axis)).saturating_sub(before);
        }
    }
    Ok((Window { kernel, strides, dilations, begin, end }, counted))
}

/// The largest or the mean of every window.
pub(super) fn pool(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let rank = images(l, c)?;
    let given = c.ints("kernel_shape").map_or(0, <[i64]>::len);
    if given + 2 != rank {
        return Err(Error::argument(format!("a kernel of {given} sizes for {:?}", l.shape(c.input(0)?))));
    }
    let kernel = pairs(c, "kernel_shape", 1, 1)?;
    let x = l.real(c.input(0)?)?;
    let x = to_last(l, x)?;
    let size = [l.graph.shape(x)[1], l.graph.shape(x)[2]];
    let (window, end) = window(c, kernel, size)?;
    if c.op() == "MaxPool" {
        let y = l.graph.max_pool(x, window)?;
        return real(to_first(l, y, rank)?);
    }
    let sum = l.graph.push(Op::SumPool(window), &[x])?;
    let places = [l.graph.shape(sum)[1], l.graph.shape(sum)[2]];
    let outside = c.is_on("count_include_pad");
    let counts = [0, 1].map(|axis| {
        let counted = |place: usize, tap: usize| match outside {
            true => {
                let at = place * window.strides[axis] + tap * window.dilations[axis];
                at < size[axis] + window.begin[axis] + end[axis]
            }
            false => window.sees(axis, place, tap, size[axis]).is_some(),
        };
        let count = |place: usize| (0..window.kernel[axis]).filter(|tap| counted(place, *tap)).count();
        (places[axis] <= WINDOW_MAX as usize).then(|| (0..places[axis]).map(count).collect::<Vec<usize>>())
    });
    let [Some(rows), Some(columns)] = counts else { return Err(c.refuse("an image of more than 2^20 rows")) };
    l.modest(rows.len().saturating_mul(columns.len()))?;
    let weight = |row: usize, column: usize| ((row * column).max(1) as f64).recip();
    let weights = rows.iter().flat_map(|row| columns.iter().map(|column| weight(*row, *column))).collect();
    let weights = l.graph.constant(vec![1, rows.len(), columns.len(), 1], Values::Real(weights))?;
    let y = l.graph.mul(sum, weights)?;
    real(to_first(l, y, rank)?)
}

/// The mean or the largest of a whole image.
pub(super) fn global(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let x = l.real(c.input(0)?)?;
    let axes: Vec<usize> = (2..l.graph.shape(x).len()).collect();
    real(match c.op() {
        "GlobalMaxPool" => l.graph.push(Op::Largest(axes), &[x])?,
        _ => l.graph.mean(x, &axes)?,
    })
}
