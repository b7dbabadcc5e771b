//! The plain interpreter: every operator as its definition says, in f64, one element after the other.
//!
//! It is what executors are tested against and what folds constants; its cost is that of the definitions, and it keeps
//! every array until the end.

use super::elementary::{binary, unary};
use super::op::{Element, Op, Stride, Values, Window};
use super::shape::elements;
use super::{Graph, Id, Node};
use mountainpass_sdk::Error;

/// What stands behind the sources of a graph.
#[derive(Clone, Copy, Default)]
pub struct Sources<'a> {
    /// By slot.
    pub inputs: &'a [Values],
    /// The parameters.
    pub theta: &'a [f64],
    /// Of a Hessian product; empty where there is none.
    pub direction: &'a [f64],
}

/// The arrays of `outputs`. Errors: a source that is missing or has another length, an index out of range.
pub fn evaluate(graph: &Graph, sources: Sources<'_>, outputs: &[Id]) -> Result<Vec<Values>, Error> {
    let needed = graph.needed(outputs);
    let mut arrays: Vec<Values> = Vec::with_capacity(graph.nodes().len());
    for (i, node) in graph.nodes().iter().enumerate() {
        arrays.push(match needed[i] {
            true => node_values(graph, node, sources, &arrays)?,
            false => Values::Real(Vec::new()),
        });
    }
    Ok(outputs.iter().map(|id| arrays[id.index()].clone()).collect())
}

fn node_values(graph: &Graph, node: &Node, sources: Sources<'_>, arrays: &[Values]) -> Result<Values, Error> {
    let arg = |k: usize| &arrays[node.args[k].index()];
    let shape = |k: usize| graph.shape(node.args[k]);
    let reals = |k: usize| match arg(k) {
        Values::Real(values) => &values[..],
        Values::Index(_) => &[],
    };
    let count = elements(&node.of.shape).unwrap_or(0);
    let out = &node.of.shape[..];
    let values = match &node.op {
        Op::Input { slot, element, .. } => return input(sources.inputs, *slot, count, *element),
        Op::Parameter { offset, .. } => block(sources.theta, *offset, count, "theta")?,
        Op::Direction { offset, .. } => block(sources.direction, *offset, count, "the direction")?,
        Op::Constant(constant) => return Ok((*constant.values).clone()),
        Op::Fill(number, _) => vec![number.get(); count],
        Op::Unary(f) => reals(0).iter().map(|x| unary(*f, *x)).collect(),
        Op::Binary(f) => reals(0).iter().zip(reals(1)).map(|(a, b)| binary(*f, *a, *b)).collect(),
        Op::Select => (0..count).map(|i| if reals(0)[i] != 0.0 { reals(1)[i] } else { reals(2)[i] }).collect(),
        Op::Reshape(_) => return Ok(arg(0).clone()),
        Op::Transpose(perm) => {
            let from = steps(shape(0));
            let by: Vec<isize> = perm.iter().map(|axis| from[*axis]).collect();
            return Ok(picked(arg(0), positions(out, 0, &by)));
        }
        Op::Broadcast(_) => {
            let from = steps(shape(0));
            let by: Vec<isize> = from.iter().zip(shape(0)).map(|(s, size)| if *size == 1 { 0 } else { *s }).collect();
            return Ok(picked(arg(0), positions(out, 0, &by)));
        }
        Op::Slice { along, .. } => return Ok(picked(arg(0), part(along, out, shape(0)))),
        Op::Place { along, .. } => {
            let mut all = vec![0.0; count];
            part(along, shape(0), out).zip(reals(0)).for_each(|(at, x)| all[at] = *x);
            all
        }
        Op::Concat(axis) => return Ok(concat(graph, node, *axis, arrays)),
        Op::Gather { axis, shared } => {
            let rows = Rows::of(arg(1), shape(0)[*axis], *shared, &shape(0)[..*axis], &shape(0)[axis + 1..])?;
            return Ok(picked(arg(0), rows.places()));
        }
        Op::Scatter { axis, size, shared } => {
            let rows = Rows::of(arg(1), *size, *shared, &out[..*axis], &out[axis + 1..])?;
            let mut all = vec![0.0; count];
            rows.places().zip(reals(0)).for_each(|(at, x)| all[at] += x);
            all
        }
        Op::OneHot { classes } => {
            let mut all = vec![0.0; count];
            rows(arg(0), *classes)?.into_iter().enumerate().for_each(|(i, class)| all[i * classes + class] = 1.0);
            all
        }
        Op::ToReal => match arg(0) {
            Values::Index(values) => values.iter().map(|i| *i as f64).collect(),
            Values::Real(_) => Vec::new(),
        },
        Op::ToIndex => return whole(reals(0)),
        Op::TopK { count } => {
            let size = shape(0).last().copied().unwrap_or(1);
            return Ok(Values::Index(reals(0).chunks_exact(size).flat_map(|row| largest(row, *count)).collect()));
        }
        Op::Sum(axes) => reduced(reals(0), shape(0), axes, out, 0.0, |a, x| a + x),
        Op::Largest(axes) => {
            reduced(reals(0), shape(0), axes, out, f64::NEG_INFINITY, |a, x| if x > a || x.is_nan() { x } else { a })
        }
        Op::Softmax => last_axis(reals(0), out, |row, top, log| row.iter().map(|x| (x - top - log).exp()).collect()),
        Op::LogSoftmax => last_axis(reals(0), out, |row, top, log| row.iter().map(|x| x - top - log).collect()),
        Op::MatMul => {
            let [.., m, n] = *out else { return Ok(Values::Real(Vec::new())) };
            let k = shape(0)[out.len() - 1];
            let element = |i: usize| {
                let (b, row, column) = (i / (m * n), i / n % m, i % n);
                (0..k).map(|j| reals(0)[(b * m + row) * k + j] * reals(1)[(b * k + j) * n + column]).sum()
            };
            (0..count).map(element).collect()
        }
        Op::Convolve { window, groups } => {
            let mut y = vec![0.0; count];
            taps(window, *groups, [shape(0), out, shape(1)], |x, at, w| y[at] += reals(0)[x] * reals(1)[w]);
            y
        }
        Op::ConvolveImage { window, groups, .. } => {
            let mut x = vec![0.0; count];
            taps(window, *groups, [out, shape(0), shape(1)], |at, y, w| x[at] += reals(0)[y] * reals(1)[w]);
            x
        }
        Op::ConvolveKernel { window, groups } => {
            let mut w = vec![0.0; count];
            taps(window, *groups, [shape(0), shape(1), out], |x, y, at| w[at] += reals(0)[x] * reals(1)[y]);
            w
        }
        Op::SumPool(window) => {
            let mut y = vec![0.0; count];
            windows(window, shape(0), out, |at, seen| y[at] = seen.iter().map(|x| reals(0)[*x]).sum());
            y
        }
        Op::SumUnpool { window, .. } => {
            let mut x = vec![0.0; count];
            windows(window, out, shape(0), |y, seen| seen.iter().for_each(|at| x[*at] += reals(0)[y]));
            x
        }
        Op::PickMax(window) => {
            let mut y = vec![0.0; count];
            windows(window, shape(0), out, |at, seen| {
                y[at] = first_largest(reals(0), seen).map_or(f64::NEG_INFINITY, |x| reals(1)[x]);
            });
            y
        }
        Op::PlaceMax(window) => {
            let mut x = vec![0.0; count];
            windows(window, out, shape(1), |y, seen| {
                if let Some(at) = first_largest(reals(0), seen) {
                    x[at] += reals(1)[y];
                }
            });
            x
        }
    };
    Ok(Values::Real(values))
}

fn input(inputs: &[Values], slot: usize, count: usize, element: Element) -> Result<Values, Error> {
    let values = inputs.get(slot).ok_or_else(|| Error::argument(format!("input {slot} is missing")))?;
    if (values.len(), values.element()) != (count, element) {
        let (n, of) = (values.len(), values.element());
        return Err(Error::argument(format!("input {slot}: {n} values ({of:?}), expected {count} ({element:?})")));
    }
    Ok(values.clone())
}

fn block(vector: &[f64], offset: usize, count: usize, what: &str) -> Result<Vec<f64>, Error> {
    let end = offset.saturating_add(count);
    let block = vector.get(offset..end);
    block.map(<[f64]>::to_vec).ok_or_else(|| Error::argument(format!("{what} ends before element {end}")))
}

/// How far apart neighbours along each axis are, in C order.
fn steps(shape: &[usize]) -> Vec<isize> {
    (0..shape.len()).map(|axis| shape[axis + 1..].iter().product::<usize>() as isize).collect()
}

/// `start + sum by[i] index[i]` for every index of `shape`, in C order.
fn positions<'a>(shape: &'a [usize], start: usize, by: &'a [isize]) -> impl Iterator<Item = usize> + 'a {
    let count: usize = shape.iter().product();
    (0..count).map(move |mut i| {
        let mut at = start as isize;
        for (size, by) in shape.iter().zip(by).rev() {
            at += (i % size) as isize * by;
            i /= size;
        }
        at as usize
    })
}

/// Where the elements of a part stand in the whole.
fn part<'a>(along: &[Stride], part: &'a [usize], whole: &[usize]) -> impl Iterator<Item = usize> + 'a {
    let steps = steps(whole);
    let start = along.iter().zip(&steps).map(|(by, step)| by.start * *step as usize).sum();
    let by: Vec<isize> = along.iter().zip(&steps).map(|(by, step)| by.step * step).collect();
    let at: Vec<usize> = positions(part, start, &by).collect();
    at.into_iter()
}

fn picked(from: &Values, at: impl Iterator<Item = usize>) -> Values {
    match from {
        Values::Real(values) => Values::Real(at.map(|i| values[i]).collect()),
        Values::Index(values) => Values::Index(at.map(|i| values[i]).collect()),
    }
}

fn concat(graph: &Graph, node: &Node, axis: usize, arrays: &[Values]) -> Values {
    let inner = |id: &Id| graph.shape(*id)[axis..].iter().product::<usize>();
    let outer: usize = node.of.shape[..axis].iter().product();
    let pieces = (0..outer)
        .flat_map(|o| node.args.iter().map(move |id| (&arrays[id.index()], o * inner(id)..(o + 1) * inner(id))));
    match node.of.element {
        Element::Real => Values::Real(
            pieces
                .flat_map(|(of, range)| match of {
                    Values::Real(values) => values[range].to_vec(),
                    Values::Index(_) => Vec::new(),
                })
                .collect(),
        ),
        Element::Index => Values::Index(
            pieces
                .flat_map(|(of, range)| match of {
                    Values::Index(values) => values[range].to_vec(),
                    Values::Real(_) => Vec::new(),
                })
                .collect(),
        ),
    }
}

/// Which rows of an array a lookup takes: `[shared, outer, size, inner]` by `[shared, own]`.
struct Rows {
    at: Vec<usize>,
    own: usize,
    outer: usize,
    size: usize,
    inner: usize,
}

impl Rows {
    fn of(at: &Values, size: usize, shared: usize, before: &[usize], after: &[usize]) -> Result<Rows, Error> {
        let at = rows(at, size)?;
        let own = at.len() / before[..shared].iter().product::<usize>().max(1);
        Ok(Rows { at, own, outer: before[shared..].iter().product(), size, inner: after.iter().product() })
    }

    /// The places of all elements that are taken, in order.
    fn places(&self) -> impl Iterator<Item = usize> + '_ {
        let Rows { at, own, outer, size, inner } = self;
        let row = move |(block, row): (usize, &usize)| (block * size + row) * inner;
        let block = move |(s, at): (usize, &'_ [usize])| {
            let at = at.to_vec();
            (0..*outer).flat_map(move |o| at.clone().into_iter().map(move |at| row((s * outer + o, &at))))
        };
        at.chunks_exact((*own).max(1)).enumerate().flat_map(block).flat_map(move |first| first..first + inner)
    }
}

/// No whole number beyond is told from its neighbours.
const WHOLE_MAX: f64 = (1u64 << 53) as f64;

/// Reals as indices.
fn whole(x: &[f64]) -> Result<Values, Error> {
    let index = |x: &f64| match x.abs() <= WHOLE_MAX {
        true => Ok(*x as i64),
        false => Err(Error::argument(format!("{x} is no index"))),
    };
    x.iter().map(index).collect::<Result<Vec<i64>, Error>>().map(Values::Index)
}

/// Where the largest stand, of equals the first; NaN counts as larger than all numbers.
fn largest(row: &[f64], count: usize) -> Vec<i64> {
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|a, b| descending(row[*a], row[*b]));
    order.into_iter().take(count).map(|i| i as i64).collect()
}

fn descending(a: f64, b: f64) -> std::cmp::Ordering {
    b.partial_cmp(&a).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// Indices as row numbers below `size`; those below 0 count from the end, as in ONNX.
fn rows(indices: &Values, size: usize) -> Result<Vec<usize>, Error> {
    let Values::Index(indices) = indices else { return Ok(Vec::new()) };
    let row = |&i: &i64| {
        let row = if i < 0 { i.checked_add(size as i64) } else { Some(i) };
        let row = row.and_then(|row| usize::try_from(row).ok()).filter(|row| *row < size);
        row.ok_or_else(|| Error::argument(format!("index {i} is outside of 0..{size}")))
    };
    indices.iter().map(row).collect()
}

fn reduced(x: &[f64], from: &[usize], axes: &[usize], to: &[usize], first: f64, f: fn(f64, f64) -> f64) -> Vec<f64> {
    let mut all = vec![first; to.iter().product()];
    let mut by = steps(to);
    axes.iter().for_each(|axis| by[*axis] = 0);
    positions(from, 0, &by).zip(x).for_each(|(at, x)| all[at] = f(all[at], *x));
    all
}

/// `f(row, largest, log sum exp(row - largest))` for every row of the last axis.
fn last_axis(x: &[f64], shape: &[usize], f: impl Fn(&[f64], f64, f64) -> Vec<f64>) -> Vec<f64> {
    let size = shape.last().copied().unwrap_or(1);
    let row = |row: &[f64]| {
        let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        f(row, top, row.iter().map(|x| (x - top).exp()).sum::<f64>().ln())
    };
    x.chunks_exact(size).flat_map(row).collect()
}

/// Calls `f(image, result, kernel)` with the places of every product of a convolution of these shapes.
fn taps(window: &Window, groups: usize, [x, y, w]: [&[usize]; 3], mut f: impl FnMut(usize, usize, usize)) {
    let ([height, width, channels], [rows, columns, outputs]) = ([x[1], x[2], x[3]], [y[1], y[2], y[3]]);
    let (inputs, each) = (w[2], outputs / groups);
    for (place, tap) in places_and_taps(x[0], [rows, columns], window.kernel) {
        let [n, row, column] = place;
        let seen = [window.sees(0, row, tap[0], height), window.sees(1, column, tap[1], width)];
        let [Some(i), Some(j)] = seen else { continue };
        for o in 0..outputs {
            for c in 0..inputs {
                let channel = o / each * inputs + c;
                f(
                    ((n * height + i) * width + j) * channels + channel,
                    ((n * rows + row) * columns + column) * outputs + o,
                    ((tap[0] * window.kernel[1] + tap[1]) * inputs + c) * outputs + o,
                );
            }
        }
    }
}

fn places_and_taps(n: usize, places: [usize; 2], kernel: [usize; 2]) -> impl Iterator<Item = ([usize; 3], [usize; 2])> {
    let [rows, columns] = places;
    (0..n * rows * columns).flat_map(move |at| {
        let place = [at / columns / rows, at / columns % rows, at % columns];
        (0..kernel[0] * kernel[1]).map(move |tap| (place, [tap / kernel[1], tap % kernel[1]]))
    })
}

/// Calls `f(place, what its window sees)` for every place and channel, row by row.
fn windows(window: &Window, x: &[usize], y: &[usize], mut f: impl FnMut(usize, &[usize])) {
    let [height, width, channels] = [x[1], x[2], x[3]];
    let mut seen = Vec::new();
    for at in 0..y.iter().product() {
        let channel = at % channels;
        let (n, row, column) = (at / channels / y[2] / y[1], at / channels / y[2] % y[1], at / channels % y[2]);
        seen.clear();
        for tap in 0..window.kernel[0] * window.kernel[1] {
            let (i, j) = (tap / window.kernel[1], tap % window.kernel[1]);
            if let (Some(i), Some(j)) = (window.sees(0, row, i, height), window.sees(1, column, j, width)) {
                seen.push(((n * height + i) * width + j) * channels + channel);
            }
        }
        f(at, &seen);
    }
}

/// The first place with the largest value; NaN counts as larger than all numbers.
fn first_largest(x: &[f64], seen: &[usize]) -> Option<usize> {
    seen.iter()
        .copied()
        .reduce(|best, at| if x[at] > x[best] || (x[at].is_nan() && !x[best].is_nan()) { at } else { best })
}
