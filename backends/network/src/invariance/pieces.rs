//! Parameters cut into the pieces that a network uses: each gate of a recurrent layer, the queries, keys and values of a
//! projection are parameters of their own, whatever one array an exporter stacked them in.
//!
//! Slices are brought forward through the operators to the parameters they are slices of, `(x W + b)[.., :n]` becomes
//! `x W[:, :n] + b[:n]`; what was joined to be reshaped is reshaped and joined. The graph computes the same, and is for
//! reading only: it may compute much twice.

use crate::graph::op::{Op, Shape, Stride};
use crate::graph::{Graph, Id};
use mountainpass_sdk::{Error, memory};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Bytes a node, in two copies of the graph, with what slices were and what axes are called.
const NODE: u64 = 1 << 10;

/// A graph whose parameters are pieces of theta.
pub struct Pieces {
    pub graph: Graph,
    pub output: Id,
    /// Of every element of the graph's parameters its place in theta.
    pub places: Vec<u64>,
}

impl Pieces {
    /// The pieces of what `output` needs.
    pub fn of(graph: &Graph, output: Id) -> Result<Pieces, Error> {
        memory::afford((graph.nodes().len() as u64).checked_mul(NODE))?;
        let (sliced, end) = sliced(graph, output)?;
        cut(&sliced, end)
    }
}

/// The same with slices brought forward.
fn sliced(graph: &Graph, output: Id) -> Result<(Graph, Id), Error> {
    let needed = graph.needed(&[output]);
    let room = 4 * graph.nodes().len() + (1 << 12);
    let mut forward = Forward { graph: Graph::new(), known: HashMap::new(), room };
    let mut now: Vec<Option<Id>> = vec![None; graph.nodes().len()];
    for (i, node) in graph.nodes().iter().enumerate().filter(|(i, _)| needed[*i]) {
        let args: Vec<Id> = node.args.iter().filter_map(|arg| now[arg.index()]).collect();
        now[i] = Some(match &node.op {
            Op::Slice { along, shape } => forward.slice(args[0], along, shape)?,
            Op::Reshape(shape) => forward.reshape(args[0], shape)?,
            op => forward.graph.push(op.clone(), &args)?,
        });
    }
    let end = now[output.index()].ok_or_else(|| Error::argument("an output that nothing computes"))?;
    Ok((forward.graph, end))
}

struct Forward {
    graph: Graph,
    /// Slices that were brought forward before.
    known: HashMap<(Id, Vec<Stride>, Shape), Id>,
    /// A graph of more nodes gets no slice forward.
    room: usize,
}

impl Forward {
    /// A slice, as far forward as it goes.
    fn slice(&mut self, x: Id, along: &[Stride], shape: &[usize]) -> Result<Id, Error> {
        let key = (x, along.to_vec(), shape.to_vec());
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        let is_plain = along.iter().zip(shape).all(|(by, count)| by.step == 1 || *count == 1);
        let has_room = self.graph.nodes().len() < self.room;
        let before = match is_plain && has_room {
            true => self.before(x, along, shape)?.map_or_else(|| self.in_part(x, along, shape), |id| Ok(Some(id)))?,
            false => None,
        };
        let id = match before {
            Some(id) => id,
            None => self.graph.push(Op::Slice { along: along.to_vec(), shape: shape.to_vec() }, &[x])?,
        };
        self.known.insert(key, id);
        Ok(id)
    }

    /// What can be brought forward of a slice along several axes, and the others sliced of that.
    fn in_part(&mut self, x: Id, along: &[Stride], shape: &[usize]) -> Result<Option<Id>, Error> {
        let whole = self.graph.shape(x).to_vec();
        let narrowed: Vec<usize> = (0..shape.len()).filter(|&axis| shape[axis] < whole[axis]).collect();
        if narrowed.len() < 2 {
            return Ok(None);
        }
        for &axis in &narrowed {
            let mut first = (vec![Stride { start: 0, step: 1 }; shape.len()], whole.clone());
            (first.0[axis], first.1[axis]) = (along[axis], shape[axis]);
            if let Some(id) = self.before(x, &first.0, &first.1)? {
                let mut rest = along.to_vec();
                rest[axis].start = 0;
                return self.slice(id, &rest, shape).map(Some);
            }
        }
        Ok(None)
    }

    /// The slice taken of the arguments; `None` where it cannot be.
    fn before(&mut self, x: Id, along: &[Stride], shape: &[usize]) -> Result<Option<Id>, Error> {
        let node = self.graph.node(x).clone();
        let whole = &node.of.shape[..];
        let is_whole = |axis: usize| shape[axis] == whole[axis];
        let rank = shape.len();
        let start = |axis: usize| along[axis].start;
        // Of an argument, along its axes: (start, count).
        let part = |forward: &mut Forward, k: usize, ranges: &[(usize, usize)]| {
            let along: Vec<Stride> = ranges.iter().map(|(start, _)| Stride { start: *start, step: 1 }).collect();
            let shape: Vec<usize> = ranges.iter().map(|(_, count)| *count).collect();
            forward.slice(node.args[k], &along, &shape)
        };
        let own: Vec<(usize, usize)> = (0..rank).map(|axis| (start(axis), shape[axis])).collect();
        let sizes: Vec<Shape> = node.args.iter().map(|arg| self.graph.shape(*arg).to_vec()).collect();
        let all = |k: usize, axis: usize| (0, sizes[k][axis]);
        let (op, args) = match &node.op {
            Op::Unary(_) | Op::Binary(_) | Op::Select => {
                let args = (0..node.args.len()).map(|k| part(self, k, &own)).collect::<Result<Vec<Id>, Error>>()?;
                (node.op.clone(), args)
            }
            Op::Softmax | Op::LogSoftmax if is_whole(rank - 1) => (node.op.clone(), vec![part(self, 0, &own)?]),
            Op::Broadcast(_) => {
                let ranges = (0..rank).map(|axis| if sizes[0][axis] == 1 { (0, 1) } else { own[axis] });
                let arg = part(self, 0, &ranges.collect::<Vec<_>>())?;
                (Op::Broadcast(shape.to_vec()), vec![arg])
            }
            Op::Transpose(perm) => {
                let mut ranges = vec![(0, 1); rank];
                perm.iter().zip(&own).for_each(|(axis, range)| ranges[*axis] = *range);
                (node.op.clone(), vec![part(self, 0, &ranges)?])
            }
            Op::Reshape(_) => {
                let Some(ranges) = unshaped(&sizes[0], whole, &own) else { return Ok(None) };
                let arg = part(self, 0, &ranges)?;
                return self.reshape(arg, shape).map(Some);
            }
            Op::Slice { along: first, .. } if first.iter().all(|by| by.step == 1) => {
                let ranges = own.iter().zip(first).map(|((start, count), by)| (start + by.start, *count));
                return part(self, 0, &ranges.collect::<Vec<_>>()).map(Some);
            }
            Op::Concat(axis) => {
                let (from, to) = (start(*axis), start(*axis) + shape[*axis]);
                let (mut end, mut args) = (0, Vec::new());
                for (k, size) in sizes.iter().enumerate() {
                    let begin = end;
                    end += size[*axis];
                    let (from, to) = (from.max(begin), to.min(end));
                    if from < to {
                        let mut ranges = own.clone();
                        ranges[*axis] = (from - begin, to - from);
                        args.push(part(self, k, &ranges)?);
                    }
                }
                (node.op.clone(), args)
            }
            Op::MatMul => {
                let (mut a, mut b) = (own.clone(), own.clone());
                (a[rank - 1], b[rank - 2]) = (all(0, rank - 1), all(1, rank - 2));
                (Op::MatMul, vec![part(self, 0, &a)?, part(self, 1, &b)?])
            }
            Op::Sum(over) | Op::Largest(over) => {
                let ranges = (0..rank).map(|axis| if over.contains(&axis) { all(0, axis) } else { own[axis] });
                (node.op.clone(), vec![part(self, 0, &ranges.collect::<Vec<_>>())?])
            }
            Op::Gather { axis, shared: 0 } => {
                let more = sizes[1].len();
                let data = [&own[..*axis], &[all(0, *axis)], &own[axis + more..]].concat();
                let indices = own[*axis..axis + more].to_vec();
                (node.op.clone(), vec![part(self, 0, &data)?, part(self, 1, &indices)?])
            }
            Op::Convolve { window, groups } if is_whole(1) && is_whole(2) => {
                let (each, within) = (whole[3] / groups, sizes[0][3] / groups);
                let ((from, count), mut image) = (own[3], vec![own[0], all(0, 1), all(0, 2), all(0, 3)]);
                let mut left = *groups;
                if *groups > 1 {
                    if from % each > 0 || count % each > 0 {
                        return Ok(None);
                    }
                    left = count / each;
                    image[3] = (from / each * within, left * within);
                }
                let kernel = [all(1, 0), all(1, 1), all(1, 2), own[3]];
                (Op::Convolve { window: *window, groups: left }, vec![part(self, 0, &image)?, part(self, 1, &kernel)?])
            }
            Op::SumPool(_) | Op::PickMax(_) if is_whole(1) && is_whole(2) => {
                let mut args = Vec::new();
                for k in 0..node.args.len() {
                    args.push(part(self, k, &[own[0], all(k, 1), all(k, 2), own[3]])?);
                }
                (node.op.clone(), args)
            }
            _ => return Ok(None),
        };
        self.graph.push(op, &args).map(Some)
    }

    /// Another shape; of joined arrays one of each, joined, where their elements stay together.
    fn reshape(&mut self, x: Id, shape: &[usize]) -> Result<Id, Error> {
        if let Some((axis, parts)) = self.joined(x)? {
            let from = self.graph.shape(x);
            let before: usize = from[..axis].iter().product();
            let mut places =
                (0..shape.len()).filter(|&at| shape[at] > 1 && shape[..at].iter().product::<usize>() == before);
            let inner = |at: usize| shape[at + 1..].iter().product::<usize>();
            let size = |part: &Id| self.graph.shape(*part)[axis..].iter().product::<usize>();
            let at = places.next_back().filter(|at| parts.iter().all(|part| size(part).is_multiple_of(inner(*at))));
            if let Some(at) = at {
                let shapes: Vec<Shape> = parts
                    .iter()
                    .map(|part| {
                        let mut shape = shape.to_vec();
                        shape[at] = size(part) / inner(at);
                        shape
                    })
                    .collect();
                let parts = parts.iter().zip(shapes).map(|(part, shape)| self.reshape(*part, &shape));
                let parts = parts.collect::<Result<Vec<Id>, Error>>()?;
                return self.graph.push(Op::Concat(at), &parts);
            }
        }
        self.graph.push(Op::Reshape(shape.to_vec()), &[x])
    }

    /// Arrays joined along an axis, perhaps transposed since.
    fn joined(&mut self, x: Id) -> Result<Option<(usize, Vec<Id>)>, Error> {
        let node = self.graph.node(x).clone();
        let (perm, from) = match &node.op {
            Op::Transpose(perm) => (Some(perm), self.graph.node(node.args[0]).clone()),
            _ => (None, node.clone()),
        };
        let Op::Concat(axis) = from.op else { return Ok(None) };
        let Some(perm) = perm else { return Ok(Some((axis, from.args))) };
        let parts =
            from.args.iter().map(|part| self.graph.transpose(*part, perm)).collect::<Result<Vec<Id>, Error>>()?;
        Ok(perm.iter().position(|from| *from == axis).map(|axis| (axis, parts)))
    }
}

/// The part of an array, (start, count) along every axis, that is a part of its reshaped form.
fn unshaped(from: &[usize], to: &[usize], part: &[(usize, usize)]) -> Option<Vec<(usize, usize)>> {
    let mut ranges = Vec::with_capacity(from.len());
    let (mut i, mut j) = (0, 0);
    while i < from.len() || j < to.len() {
        // The fewest axes on either side with the same elements.
        let (first, other) = (i, j);
        let (mut a, mut b) = (1, 1);
        while a != b || i == first && i < from.len() || j == other && j < to.len() {
            if i < from.len() && (a <= b || j == to.len()) {
                a *= from[i];
                i += 1;
            } else {
                b *= *to.get(j)?;
                j += 1;
            }
        }
        let (start, count) = stretch(&to[other..j], &part[other..j])?;
        ranges.extend(block(&from[first..i], start, count)?);
    }
    Some(ranges)
}

/// A part of some axes as (start, count) of their elements in C order, if these follow one another.
fn stretch(sizes: &[usize], part: &[(usize, usize)]) -> Option<(usize, usize)> {
    let (mut start, mut count, mut inner) = (0, 1, 1);
    for (size, (from, many)) in sizes.iter().zip(part).rev() {
        if *many > 1 && count != inner {
            return None;
        }
        start += from * inner;
        count *= many;
        inner *= size;
    }
    Some((start, count))
}

/// Elements that follow one another as a part of some axes.
fn block(sizes: &[usize], mut start: usize, mut count: usize) -> Option<Vec<(usize, usize)>> {
    let mut ranges = Vec::with_capacity(sizes.len());
    let mut inner: usize = sizes.iter().product();
    for size in sizes {
        inner /= size;
        let from = start / inner;
        start %= inner;
        if count.is_multiple_of(inner) && start == 0 {
            ranges.push((from, count / inner));
            if from + count / inner > *size {
                return None;
            }
            count = inner;
        } else if start + count <= inner {
            ranges.push((from, 1));
        } else {
            return None;
        }
    }
    Some(ranges)
}

/// The same with every piece of a parameter a parameter, where pieces do not overlap.
fn cut(graph: &Graph, output: Id) -> Result<Pieces, Error> {
    let views = Views::of(graph, output);
    let pieces = views.pieces();
    let is_cut = |id: Id| views.parameter[id.index()].is_some_and(|parameter| pieces.contains_key(&parameter));
    let mut new = Pieces { graph: Graph::new(), output, places: Vec::new() };
    let mut now: Vec<Option<Id>> = vec![None; graph.nodes().len()];
    for (i, node) in graph.nodes().iter().enumerate().filter(|(i, _)| views.needed[*i]) {
        let id = graph.id(i);
        let offset = new.places.len();
        now[i] = if is_cut(id) {
            let Some(places) = views.parameter[i].and_then(|parameter| pieces[&parameter].get(&id)) else { continue };
            new.places.extend(places);
            Some(new.graph.parameter(offset, node.of.shape.clone())?)
        } else if let Op::Parameter { offset: first, shape } = &node.op {
            let count: usize = shape.iter().product();
            new.places.extend(*first as u64..(*first + count) as u64);
            Some(new.graph.parameter(offset, shape.clone())?)
        } else {
            let args: Vec<Id> = node.args.iter().filter_map(|arg| now[arg.index()]).collect();
            Some(new.graph.push(node.op.clone(), &args)?)
        };
    }
    new.output = now[output.index()].ok_or_else(|| Error::argument("an output that nothing computes"))?;
    Ok(new)
}

/// What only moves elements of a parameter.
struct Views<'a> {
    graph: &'a Graph,
    needed: Vec<bool>,
    /// By node: the parameter that it is a view of.
    parameter: Vec<Option<Id>>,
    /// By node: whether it is a part of it.
    is_part: Vec<bool>,
    /// Views that something computes with.
    used: BTreeSet<Id>,
}

impl Views<'_> {
    fn of(graph: &Graph, output: Id) -> Views<'_> {
        let count = graph.nodes().len();
        let needed = graph.needed(&[output]);
        let mut views =
            Views { graph, needed, parameter: vec![None; count], is_part: vec![false; count], used: BTreeSet::new() };
        for (i, node) in graph.nodes().iter().enumerate() {
            let first = node.args.first().map(|arg| arg.index());
            match (&node.op, first) {
                (Op::Parameter { .. }, _) => views.parameter[i] = Some(graph.id(i)),
                (Op::Reshape(_) | Op::Transpose(_) | Op::Slice { .. }, Some(arg)) => {
                    views.parameter[i] = views.parameter[arg];
                    views.is_part[i] = views.is_part[arg] || matches!(node.op, Op::Slice { .. });
                }
                _ if views.needed[i] => views.used.extend(&node.args),
                _ => {}
            }
        }
        views.used.insert(output);
        views
    }

    /// Of every parameter that is used in several pieces those pieces, and where their elements lie in theta.
    fn pieces(&self) -> BTreeMap<Id, BTreeMap<Id, Vec<u64>>> {
        let mut used: BTreeMap<Id, Vec<Id>> = BTreeMap::new();
        for id in &self.used {
            if let Some(parameter) = self.parameter[id.index()] {
                used.entry(parameter).or_default().push(*id);
            }
        }
        let are_parts = |ids: &Vec<Id>| ids.len() > 1 && ids.iter().all(|id| self.is_part[id.index()]);
        let cut = used.into_iter().filter(|(_, ids)| are_parts(ids)).filter_map(|(parameter, ids)| {
            let pieces: BTreeMap<Id, Vec<u64>> = ids.into_iter().map(|id| (id, self.places(id))).collect();
            let mut all: Vec<u64> = pieces.values().flatten().copied().collect();
            all.sort_unstable();
            all.windows(2).all(|pair| pair[0] != pair[1]).then_some((parameter, pieces))
        });
        cut.collect()
    }

    /// Where the elements of a view lie in theta.
    fn places(&self, id: Id) -> Vec<u64> {
        let node = self.graph.node(id);
        let (from, strides): (Vec<u64>, Vec<isize>) = match &node.op {
            Op::Parameter { offset, shape } => {
                let count: usize = shape.iter().product();
                return (*offset as u64..(*offset + count) as u64).collect();
            }
            Op::Transpose(perm) => {
                let inner = strides(self.graph.shape(node.args[0]));
                (self.places(node.args[0]), perm.iter().map(|axis| inner[*axis]).collect())
            }
            Op::Slice { along, .. } => {
                let inner = strides(self.graph.shape(node.args[0]));
                let start: isize = along.iter().zip(&inner).map(|(by, inner)| by.start as isize * inner).sum();
                let from = self.places(node.args[0]);
                // The first element is that of the start; a negative step walks back from it.
                let strides: Vec<isize> = along.iter().zip(&inner).map(|(by, inner)| by.step * inner).collect();
                return walked(&from, start, &node.of.shape, &strides);
            }
            _ => return self.places(node.args[0]),
        };
        walked(&from, 0, &node.of.shape, &strides)
    }
}

/// From one place to the next along every axis, in C order.
fn strides(shape: &[usize]) -> Vec<isize> {
    (0..shape.len()).map(|axis| shape[axis + 1..].iter().product::<usize>() as isize).collect()
}

/// The elements of an array from `start` on by strides.
fn walked(from: &[u64], start: isize, shape: &[usize], strides: &[isize]) -> Vec<u64> {
    let mut places = vec![start];
    for (size, stride) in shape.iter().zip(strides) {
        places = places.iter().flat_map(|place| (0..*size as isize).map(move |k| place + k * stride)).collect();
    }
    places.into_iter().map(|place| from[place as usize]).collect()
}
