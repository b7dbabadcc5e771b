//! Lookups: elements and rows by indices, which may be known, or depend on the inputs.
//!
//! All are one operator of the graph: rows of `[shared.., size, inner..]` by `[shared.., own..]`. An axis along which the
//! indices do not change is no shared one: whole rows are then moved, and the samples of a batch stay apart.

use super::super::lowering::{Call, Lowering, Results, Value};
use super::super::tensors::{KnownArray, ValueKind};
use super::shape::same;
use crate::graph::op::{Binary, Op, Shape};
use crate::graph::{Graph, Id};
use mountainpass_sdk::Error;

/// Rows by their numbers.
pub(super) fn gather(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let (data, rows) = (c.input(0)?, c.input(1)?);
    let from = l.shape(data);
    let axis = c.axis(c.int("axis").unwrap_or(0), from.len())?;
    if let Value::Known(rows) = rows {
        let at = inside(&rows.indices(), from[axis], axis, &from)?;
        let shape = from[..axis].iter().chain(&rows.shape).chain(&from[axis + 1..]).copied().collect::<Shape>();
        if shape.contains(&0) {
            return nothing(l, c, shape);
        }
        let x = l.array(data)?;
        // One row is a part; a part moves through the graph more freely than a lookup.
        if let [row] = at[..] {
            let part = l.graph.narrow(x, axis, row as usize, 1)?;
            let y = l.graph.reshape(part, shape)?;
            return same(l, c, y);
        }
        let at = l.indices(rows.shape.clone(), at)?;
        let y = l.graph.push(Op::Gather { axis, shared: 0 }, &[x, at])?;
        return same(l, c, y);
    }
    let (x, at) = (l.array(data)?, l.index(rows)?);
    let y = l.graph.push(Op::Gather { axis, shared: 0 }, &[x, at])?;
    same(l, c, y)
}

/// A known array without elements.
fn nothing(l: &Lowering<'_>, c: &Call<'_>, shape: Shape) -> Results {
    let none = KnownArray { shape, ..KnownArray::wholes(Vec::new()) };
    Ok(vec![Value::Known(none.cast(l.kind(c.input(0)?)))])
}

/// Known numbers of rows, counted from the front.
fn inside(rows: &[i64], size: usize, axis: usize, of: &[usize]) -> Result<Vec<i64>, Error> {
    let counted = |row: &i64| if *row < 0 { row.saturating_add(size as i64) } else { *row };
    let all: Vec<i64> = rows.iter().map(counted).collect();
    match all.iter().find(|row| !(0..size as i64).contains(*row)) {
        Some(row) => Err(Error::argument(format!("row {row} along axis {axis} of {of:?}"))),
        None => Ok(all),
    }
}

/// Single elements by numbers along one axis.
pub(super) fn gather_elements(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let (from, at) = (l.shape(c.input(0)?), l.shape(c.input(1)?));
    let axis = c.axis(c.int("axis").unwrap_or(0), from.len())?;
    let own = elementwise(l, c.input(1)?, (&from, &at), axis)?;
    let mut x = l.array(c.input(0)?)?;
    // Indices may leave places of the data out.
    for i in (0..from.len()).filter(|i| *i != axis && at[*i] < from[*i]) {
        x = l.graph.narrow(x, i, 0, at[i])?;
    }
    let x = l.graph.transpose(x, &own.order)?;
    let y = l.graph.push(Op::Gather { axis: own.shared, shared: own.shared }, &[x, own.at])?;
    let y = l.graph.transpose(y, &inverse(&own.order))?;
    same(l, c, y)
}

/// Indices of single elements as those of rows: the shared axes first, then the one that is looked along, then those along
/// which the indices do not change.
pub(super) struct Own {
    /// `[shared.., count]`.
    pub at: Id,
    pub shared: usize,
    pub order: Vec<usize>,
}

pub(super) fn elementwise(
    l: &mut Lowering<'_>,
    indices: &Value,
    (from, at): (&[usize], &[usize]),
    axis: usize,
) -> Result<Own, Error> {
    let fits = at.len() == from.len() && (0..from.len()).all(|i| i == axis || at[i] <= from[i]);
    if !fits || at.contains(&0) {
        return Err(Error::argument(format!("indices of {at:?} into {from:?}")));
    }
    let slim = match indices {
        Value::Known(known) => {
            let rows = inside(&known.indices(), from[axis], axis, from)?;
            let (shape, rows) = unrepeated(&known.shape, rows, axis);
            l.indices(shape, rows)?
        }
        other => {
            let id = l.array(other)?;
            let slim = unbroadcast(&mut l.graph, id, axis)?;
            let kind = ValueKind::Whole;
            l.index(&Value::Node(slim, kind))?
        }
    };
    let kept = l.graph.shape(slim).to_vec();
    let is_shared = |i: &usize| *i != axis && kept[*i] == at[*i];
    let shared: Vec<usize> = (0..at.len()).filter(is_shared).collect();
    let inner = (0..at.len()).filter(|i| *i != axis && !is_shared(i));
    let order: Vec<usize> = shared.iter().copied().chain([axis]).chain(inner).collect();
    let turned = l.graph.transpose(slim, &order)?;
    let shape = order[..=shared.len()].iter().map(|i| kept[*i]).collect();
    Ok(Own { at: l.graph.reshape(turned, shape)?, shared: shared.len(), order })
}

/// The same numbers with size 1 along every axis but one along which they do not change.
fn unrepeated(shape: &[usize], mut all: Vec<i64>, axis: usize) -> (Shape, Vec<i64>) {
    let mut shape = shape.to_vec();
    for i in (0..shape.len()).filter(|i| *i != axis) {
        let inner = shape[i + 1..].iter().product::<usize>();
        let block = shape[i] * inner;
        if all.chunks_exact(block).all(|block| block.chunks_exact(inner).all(|row| row == &block[..inner])) {
            all = all.chunks_exact(block).flat_map(|block| block[..inner].to_vec()).collect();
            shape[i] = 1;
        }
    }
    (shape, all)
}

/// What was repeated along other axes than this, before that; axes keep their places.
fn unbroadcast(graph: &mut Graph, id: Id, axis: usize) -> Result<Id, Error> {
    let node = graph.node(id).clone();
    match &node.op {
        Op::Broadcast(shape) => {
            let from = graph.shape(node.args[0]).to_vec();
            match from[axis] == shape[axis] {
                true => unbroadcast(graph, node.args[0], axis),
                false => {
                    let mut kept = from;
                    kept[axis] = shape[axis];
                    graph.push(Op::Broadcast(kept), &node.args)
                }
            }
        }
        Op::Transpose(perm) => {
            let slim = unbroadcast(graph, node.args[0], perm[axis])?;
            graph.transpose(slim, perm)
        }
        Op::ToIndex | Op::ToReal => {
            let slim = unbroadcast(graph, node.args[0], axis)?;
            graph.push(node.op, &[slim])
        }
        _ => Ok(id),
    }
}

pub(super) fn inverse(order: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; order.len()];
    order.iter().enumerate().for_each(|(i, axis)| inverse[*axis] = i);
    inverse
}

/// Rows by the numbers of several axes at once.
pub(super) fn gather_nd(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let (from, at) = (l.shape(c.input(0)?), l.shape(c.input(1)?));
    let batch = c.int("batch_dims").and_then(|b| usize::try_from(b).ok()).unwrap_or(0);
    if at.contains(&0) {
        let count = at.last().copied().unwrap_or(0);
        let rest = from.get((batch + count).min(from.len())..).unwrap_or_default();
        return nothing(l, c, [&at[..at.len().saturating_sub(1)], rest].concat());
    }
    let Several { shared, at: rows, size, end } = several(l, c.input(1)?, (&from, &at), batch)?;
    let x = l.array(c.input(0)?)?;
    let result = [&at[..at.len() - 1], &from[end..]].concat();
    let y = match rows {
        Some(rows) => {
            let x = l.graph.reshape(x, [&from[..shared], &[size], &from[end..]].concat())?;
            l.graph.push(Op::Gather { axis: shared, shared }, &[x, rows])?
        }
        None => x,
    };
    let y = l.graph.reshape(y, result)?;
    same(l, c, y)
}

/// Numbers of several axes as those of one: `size` rows, in place of the axes from `shared` to `end`.
pub(super) struct Several {
    pub shared: usize,
    /// `[shared.., own..]`; `None` where every place stands for itself.
    pub at: Option<Id>,
    pub size: usize,
    pub end: usize,
}

pub(super) fn several(
    l: &mut Lowering<'_>,
    indices: &Value,
    (from, at): (&[usize], &[usize]),
    batch: usize,
) -> Result<Several, Error> {
    let wrong = || Error::argument(format!("indices of {at:?} into {from:?}"));
    let (own, count) = at.split_last().map(|(count, own)| (own, *count)).ok_or_else(wrong)?;
    let end = batch + count;
    if end > from.len() || batch > own.len() || from.get(..batch) != own.get(..batch) {
        return Err(wrong());
    }
    let mut columns = Vec::with_capacity(count);
    for k in 0..count {
        columns.push(column(l, indices, k)?);
    }
    // What counts the places along an axis that it leads to, as `arange(n)` does, says that the axis is shared.
    let mut shared = batch;
    while let Some(Column::Known(known)) = columns.get(shared - batch) {
        let is_own = shared < own.len() && own[shared] == from[shared] && counts(known, own, shared);
        if !is_own {
            break;
        }
        shared += 1;
    }
    let rest = &columns[shared - batch..];
    let size = from[shared..end].iter().product();
    let rows = match rest {
        [] if shared == own.len() => return Ok(Several { shared, at: None, size: 1, end }),
        [] => return Err(wrong()),
        [Column::Computed(id)] => l.index(&Value::Node(*id, ValueKind::Whole))?,
        columns => joined(l, columns, from, shared)?,
    };
    Ok(Several { shared, at: Some(l.graph.reshape(rows, own.to_vec())?), size, end })
}

/// The numbers for one axis, at every place.
enum Column {
    Known(Vec<i64>),
    Computed(Id),
}

fn column(l: &mut Lowering<'_>, indices: &Value, k: usize) -> Result<Column, Error> {
    let shape = l.shape(indices);
    let count = shape[shape.len() - 1];
    if let Value::Known(known) = indices {
        return Ok(Column::Known(known.indices().into_iter().skip(k).step_by(count).collect()));
    }
    let all = l.array(indices)?;
    let part = l.graph.narrow(all, shape.len() - 1, k, 1)?;
    let part = l.graph.reshape(part, shape[..shape.len() - 1].to_vec())?;
    Ok(match l.constant(part)? {
        Some(known) => Column::Known(known.indices()),
        None => Column::Computed(part),
    })
}

/// Whether the numbers at places of `own` axes are those of the places along `axis`.
fn counts(known: &[i64], own: &[usize], axis: usize) -> bool {
    let inner: usize = own[axis + 1..].iter().product();
    known.iter().enumerate().all(|(i, at)| *at == (i / inner % own[axis]) as i64)
}

/// Numbers of axes from `first` on as the number of a row. A number that is outside of its axis leads outside of all.
fn joined(l: &mut Lowering<'_>, columns: &[Column], from: &[usize], first: usize) -> Result<Id, Error> {
    let sizes = &from[first..first + columns.len()];
    let known: Option<Vec<&Vec<i64>>> =
        columns.iter().map(|column| if let Column::Known(known) = column { Some(known) } else { None }).collect();
    if let Some(known) = known {
        let mut rows = vec![0; known.first().map_or(0, |column| column.len())];
        for (k, (column, size)) in known.iter().zip(sizes).enumerate() {
            let at = inside(column, *size, first + k, from)?;
            rows.iter_mut().zip(at).for_each(|(row, at)| *row = *row * *size as i64 + at);
        }
        return l.indices(vec![rows.len()], rows);
    }
    let (mut row, mut outside): (Option<Id>, Option<Id>) = (None, None);
    for (column, size) in columns.iter().zip(sizes) {
        let at = match column {
            Column::Computed(id) => l.real(&Value::Node(*id, ValueKind::Whole))?,
            Column::Known(known) => {
                let shape = columns.iter().find_map(|other| match other {
                    Column::Computed(id) => Some(l.graph.shape(*id).to_vec()),
                    Column::Known(_) => None,
                });
                let known = KnownArray::wholes(known.clone());
                l.real(&Value::Known(KnownArray { shape: shape.unwrap_or_default(), ..known }))?
            }
        };
        let g = &mut l.graph;
        let (zero, last) = (g.fill_like(0.0, at)?, g.fill_like(*size as f64 - 1.0, at)?);
        let is_back = g.binary(Binary::Less, at, zero)?;
        let back = g.scale(is_back, *size as f64)?;
        let at = g.add(at, back)?;
        let (below, above) = (g.binary(Binary::Less, at, zero)?, g.binary(Binary::Less, last, at)?);
        let wrong = g.add(below, above)?;
        outside = Some(match outside {
            Some(before) => g.add(before, wrong)?,
            None => wrong,
        });
        row = Some(match row {
            Some(row) => {
                let outer = g.scale(row, *size as f64)?;
                g.add(outer, at)?
            }
            None => at,
        });
    }
    let (Some(row), Some(outside)) = (row, outside) else { return Err(Error::argument("no axis to look along")) };
    let beyond = l.graph.fill_like(sizes.iter().product::<usize>() as f64, row)?;
    let row = l.graph.push(Op::Select, &[outside, beyond, row])?;
    l.graph.push(Op::ToIndex, &[row])
}

/// Indices to unit vectors along a new axis.
pub(super) fn one_hot(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let classes = l.number(c, 1)?.filter(|d| *d >= 1.0 && *d <= (1u64 << 31) as f64);
    let classes = classes.ok_or_else(|| Error::argument("the number of classes is no positive number"))? as usize;
    let [off, on] = l.known(c.input(2)?)?.reals()[..] else {
        return Err(Error::argument("its values are not two"));
    };
    let at = l.index(c.input(0)?)?;
    let hot = l.graph.push(Op::OneHot { classes }, &[at])?;
    let rank = l.graph.shape(hot).len();
    let axis = c.axis(c.int("axis").unwrap_or(-1), rank)?;
    let mut perm: Vec<usize> = (0..rank - 1).collect();
    perm.insert(axis, rank - 1);
    let hot = l.graph.transpose(hot, &perm)?;
    let scaled = l.graph.scale(hot, on - off)?;
    let y = l.graph.shift(scaled, off)?;
    Ok(vec![Value::Node(y, l.kind(c.input(2)?))])
}
