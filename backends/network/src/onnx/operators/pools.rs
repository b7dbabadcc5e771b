//! Pools, and the windows that pools and convolutions move over images of any number of axes.
//!
//! The graph's own windows have two axes. A row is an image of height 1; of a volume the last two axes are the image, and
//! each axis before them is taken on its own: a maximum or a sum over a box is one over its sides, one after the other.

use super::super::lowering::{Call, Lowering, Results, Value, real};
use super::super::tensors::ValueKind;
use super::reduction::root;
use crate::graph::Id;
use crate::graph::op::{Number, Op, Shape, Unary, Values, Window};
use mountainpass_sdk::Error;

/// No window is larger; it keeps every product below inside 64 bits.
const WINDOW_MAX: i64 = 1 << 20;

/// The axes of the first argument, if it is a batch of rows, images or volumes.
pub(super) fn images(l: &Lowering<'_>, c: &Call<'_>) -> Result<usize, Error> {
    let shape = l.shape(c.input(0)?);
    match shape.len() {
        0..3 => Err(c.refuse(format!("an array of {shape:?}, other than [n, channels, ..., width],"))),
        rank => Ok(rank),
    }
}

/// Channels last, with a height of 1 where there is none.
pub(super) fn to_last(l: &mut Lowering<'_>, x: Id) -> Result<Id, Error> {
    let rank = l.graph.shape(x).len();
    let perm: Vec<usize> = std::iter::once(0).chain(2..rank).chain([1]).collect();
    let turned = l.graph.transpose(x, &perm)?;
    match *l.graph.shape(turned) {
        [n, width, channels] => l.graph.reshape(turned, vec![n, 1, width, channels]),
        _ => Ok(turned),
    }
}

/// Channels first again, in `rank` axes.
pub(super) fn to_first(l: &mut Lowering<'_>, y: Id, rank: usize) -> Result<Id, Error> {
    let row = match *l.graph.shape(y) {
        [n, _, width, channels] if rank == 3 => l.graph.reshape(y, vec![n, width, channels])?,
        _ => y,
    };
    let perm: Vec<usize> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
    l.graph.transpose(row, &perm)
}

/// The sizes between batch and channels of an image with channels last.
pub(super) fn spatial(l: &Lowering<'_>, x: Id) -> Shape {
    let shape = l.graph.shape(x);
    shape[1..shape.len() - 1].to_vec()
}

/// An attribute with a number for each of `axes` axes, of which a row's first is not said.
pub(super) fn each(c: &Call<'_>, name: &str, axes: usize, default: usize, least: i64) -> Result<Vec<usize>, Error> {
    let Some(given) = c.ints(name) else { return Ok(vec![default; axes]) };
    let size = |i: &i64| if (least..=WINDOW_MAX).contains(i) { Some(*i as usize) } else { None };
    let all = given.iter().map(size).collect::<Option<Vec<usize>>>();
    let all = all.map(|all| [vec![default; usize::from(axes == 2 && all.len() == 1)], all].concat());
    all.filter(|all| all.len() == axes).ok_or_else(|| c.refuse(format!("{name} = {given:?}")))
}

/// The attribute `pads`: rows and columns before, and behind.
pub(super) fn ends(c: &Call<'_>, axes: usize) -> Result<[Vec<usize>; 2], Error> {
    let Some(given) = c.ints("pads") else { return Ok([vec![0; axes], vec![0; axes]]) };
    if given.iter().any(|i| !(0..=WINDOW_MAX).contains(i)) {
        return Err(c.refuse(format!("pads = {given:?}")));
    }
    let (before, behind) = given.split_at(given.len() / 2);
    let side = |side: &[i64]| -> Vec<usize> {
        let rest = axes - side.len().min(axes);
        std::iter::repeat_n(0, rest).chain(side.iter().map(|i| *i as usize)).collect()
    };
    match before.len() == behind.len() && (before.len() == axes || (axes == 2 && before.len() == 1)) {
        true => Ok([side(before), side(behind)]),
        false => Err(c.refuse(format!("pads = {given:?}"))),
    }
}

/// How a kernel moves along one axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side {
    pub kernel: usize,
    pub stride: usize,
    pub dilation: usize,
    pub begin: usize,
    pub end: usize,
}

impl Side {
    /// The same as a window of the graph, of one column.
    pub fn alone(&self) -> Window {
        window_of(self, &Side { kernel: 1, stride: 1, dilation: 1, begin: 0, end: 0 })
    }
}

/// Two sides as a window of the graph.
pub(super) fn window_of(rows: &Side, columns: &Side) -> Window {
    Window {
        kernel: [rows.kernel, columns.kernel],
        strides: [rows.stride, columns.stride],
        dilations: [rows.dilation, columns.dilation],
        begin: [rows.begin, columns.begin],
        end: [rows.end, columns.end],
    }
}

/// How a kernel moves over images of `size`, axis by axis, and the end of the padding that counts; a ceiling extends the
/// window beyond it.
pub(super) fn sides(c: &Call<'_>, kernel: &[usize], size: &[usize]) -> Result<Vec<(Side, usize)>, Error> {
    let axes = size.len();
    if kernel.len() != axes || kernel.iter().any(|k| *k == 0 || *k as i64 > WINDOW_MAX) {
        return Err(c.refuse(format!("a kernel of {kernel:?}")));
    }
    let (strides, dilations) = (each(c, "strides", axes, 1, 1)?, each(c, "dilations", axes, 1, 1)?);
    let [before, behind] = ends(c, axes)?;
    let auto = c.text("auto_pad", "NOTSET");
    let side = |axis: usize| {
        let (size, stride, reach) = (size[axis], strides[axis], (kernel[axis] - 1) * dilations[axis] + 1);
        let (begin, counted) = match auto {
            "NOTSET" => (before[axis], behind[axis]),
            "VALID" => (0, 0),
            "SAME_UPPER" | "SAME_LOWER" => {
                let last = (size.div_ceil(stride) - 1) * stride;
                let total = (last + reach).saturating_sub(size);
                let half = total / 2;
                if auto == "SAME_UPPER" { (half, total - half) } else { (total - half, half) }
            }
            other => return Err(c.refuse(format!("auto_pad = {other:?}"))),
        };
        let mut end = counted;
        if c.is_on("ceil_mode") {
            let before = size + begin;
            let steps = (before + end).saturating_sub(reach).div_ceil(stride);
            // No window starts behind the image.
            let steps = if steps * stride >= before { steps.saturating_sub(1) } else { steps };
            end = (steps * stride + reach).saturating_sub(before);
        }
        Ok((Side { kernel: kernel[axis], stride, dilation: dilations[axis], begin, end }, counted))
    };
    (0..axes).map(side).collect()
}

/// `pool` over every axis between batch and channels, the last two together and first: of equals the first then counts in
/// the order of the axes.
pub(super) fn pooled(
    l: &mut Lowering<'_>,
    x: Id,
    sides: &[Side],
    pool: &dyn Fn(&mut Lowering<'_>, Id, Window) -> Result<Id, Error>,
) -> Result<Id, Error> {
    let [early @ .., rows, columns] = sides else { return Ok(x) };
    let over = |l: &mut Lowering<'_>, x: Id, at: usize, count: usize, window: Window| {
        // The axes before belong to the batch, those behind are columns.
        let shape = l.graph.shape(x).to_vec();
        let (outer, rest) = (shape[..at].iter().product(), &shape[at + count..shape.len() - 1]);
        let image = match count {
            2 => vec![outer, shape[at], shape[at + 1], shape[shape.len() - 1]],
            _ => vec![outer, shape[at], rest.iter().product(), shape[shape.len() - 1]],
        };
        let image = l.graph.reshape(x, image)?;
        let y = pool(l, image, window)?;
        let places = l.graph.shape(y)[1..1 + count].to_vec();
        l.graph.reshape(y, [&shape[..at], &places, &shape[at + count..]].concat())
    };
    let mut y = over(l, x, early.len() + 1, 2, window_of(rows, columns))?;
    for (axis, side) in early.iter().enumerate().rev() {
        y = over(l, y, axis + 1, 1, side.alone())?;
    }
    Ok(y)
}

/// The largest, the mean or the p-norm of every window.
pub(super) fn pool(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let rank = images(l, c)?;
    let given = c.ints("kernel_shape").map_or(0, <[i64]>::len);
    if given + 2 != rank {
        return Err(Error::argument(format!("a kernel of {given} sizes for {:?}", l.shape(c.input(0)?))));
    }
    let x = l.real(c.input(0)?)?;
    let x = to_last(l, x)?;
    let size = spatial(l, x);
    let kernel = each(c, "kernel_shape", size.len(), 1, 1)?;
    let (sides, counted): (Vec<Side>, Vec<usize>) = sides(c, &kernel, &size)?.into_iter().unzip();
    match c.op() {
        "MaxPool" => {
            let y = pooled(l, x, &sides, &|l, x, window| l.graph.max_pool(x, window))?;
            let mut results = real(to_first(l, y, rank)?)?;
            if c.node.output.get(1).is_some_and(|name| !name.is_empty()) {
                let places = largest_places(l, c, x, &sides, rank)?;
                results.push(Value::Node(places, ValueKind::Whole));
            }
            Ok(results)
        }
        "LpPool" => {
            let p = c.int("p").unwrap_or(2) as f64;
            let powers = powers(l, x, p)?;
            let sum = summed(l, powers, &sides)?;
            let y = root(&mut l.graph, sum, p)?;
            real(to_first(l, y, rank)?)
        }
        _ => {
            let sum = summed(l, x, &sides)?;
            let weights = weights(l, c, (&sides, &counted), &size)?;
            let y = l.graph.mul(sum, weights)?;
            real(to_first(l, y, rank)?)
        }
    }
}

/// The sum in every window.
pub(super) fn summed(l: &mut Lowering<'_>, x: Id, sides: &[Side]) -> Result<Id, Error> {
    pooled(l, x, sides, &|l, x, window| l.graph.push(Op::SumPool(window), &[x]))
}

/// |x|^p.
fn powers(l: &mut Lowering<'_>, x: Id, p: f64) -> Result<Id, Error> {
    let size = l.graph.unary(Unary::Abs, x)?;
    if p == 1.0 { Ok(size) } else { l.graph.unary(Unary::Power(Number::new(p)), size) }
}

/// One by how many numbers count in every window: a product of one factor an axis.
fn weights(
    l: &mut Lowering<'_>,
    c: &Call<'_>,
    (sides, counted): (&[Side], &[usize]),
    size: &[usize],
) -> Result<Id, Error> {
    let outside = c.is_on("count_include_pad");
    let axes = size.len();
    let mut all = l.graph.push(Op::Fill(Number::new(1.0), vec![1; axes + 2]), &[])?;
    for (axis, side) in sides.iter().enumerate() {
        let window = side.alone();
        let counts = |place: usize, tap: usize| match outside {
            true => place * side.stride + tap * side.dilation < size[axis] + side.begin + counted[axis],
            false => window.sees(0, place, tap, size[axis]).is_some(),
        };
        let places = window.places(0, size[axis]);
        if places > WINDOW_MAX as usize {
            return Err(c.refuse("an image of more than 2^20 rows"));
        }
        let count = |place: usize| (0..side.kernel).filter(|tap| counts(place, *tap)).count();
        // A window that sees nothing has the mean 0.
        let factors = (0..l.modest(places)?).map(|place| (count(place).max(1) as f64).recip()).collect();
        let mut shape = vec![1; axes + 2];
        shape[axis + 1] = places;
        let factors = l.graph.constant(shape, Values::Real(factors))?;
        all = l.graph.mul(all, factors)?;
    }
    Ok(all)
}

/// Where the largest of every window stands in the whole array, as ONNX counts.
fn largest_places(l: &mut Lowering<'_>, c: &Call<'_>, x: Id, sides: &[Side], rank: usize) -> Result<Id, Error> {
    let [rows, columns] = sides else { return Err(c.refuse("the places of maxima of volumes")) };
    let is_by_columns = c.is_on("storage_order");
    let shape = l.graph.shape(x).to_vec();
    let &[n, height, width, channels] = &shape[..] else { return Err(c.refuse(format!("an array of {shape:?}"))) };
    let count = l.modest(shape.iter().product())?;
    let at = |i: usize| {
        let (channel, column, row, sample) =
            (i % channels, i / channels % width, i / channels / width % height, i / channels / width / height);
        let inside = if is_by_columns { column * height + row } else { row * width + column };
        ((sample * channels + channel) * height * width + inside) as f64
    };
    let places = l.graph.constant(vec![n, height, width, channels], Values::Real((0..count).map(at).collect()))?;
    let y = l.graph.push(Op::PickMax(window_of(rows, columns)), &[x, places])?;
    to_first(l, y, rank)
}

/// The mean, the largest or the p-norm of a whole image.
pub(super) fn global(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let x = l.real(c.input(0)?)?;
    let axes: Vec<usize> = (2..l.graph.shape(x).len()).collect();
    real(match c.op() {
        "GlobalMaxPool" => l.graph.push(Op::Largest(axes), &[x])?,
        "GlobalLpPool" => {
            let p = c.int("p").unwrap_or(2) as f64;
            let powers = powers(l, x, p)?;
            let sum = l.graph.sum(powers, &axes)?;
            root(&mut l.graph, sum, p)?
        }
        _ => l.graph.mean(x, &axes)?,
    })
}
