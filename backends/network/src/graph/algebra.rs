//! What never becomes a node: operators whose result is known, or is an array that is there already.
//!
//! A product with zero is zero, whatever the other factor holds: derivatives of unused parts vanish so.

use super::elementary::{binary, unary};
use super::op::{Binary, Number, Op, Stride, Unary};
use super::shape::{Type, elements, infer};
use super::{Graph, Id};
use mountainpass_sdk::Error;

impl Graph {
    /// Adds an operator, or finds the node that computes the same. The error names operator and shapes.
    pub fn push(&mut self, op: Op, args: &[Id]) -> Result<Id, Error> {
        // Refused before it is simplified: x + 0 wants equal shapes too.
        let types: Vec<&Type> = args.iter().map(|id| &self.node(*id).of).collect();
        let of = infer(&op, &types)?;
        if let Some(id) = simpler(self, &op, args, &of)? {
            return Ok(id);
        }
        let (op, args) = ordered(op, args.to_vec());
        self.add_node(op, args, of)
    }
}

/// The node that already computes the operator, perhaps made of simpler ones; `None` where it needs one of its own.
fn simpler(graph: &mut Graph, op: &Op, args: &[Id], of: &Type) -> Result<Option<Id>, Error> {
    let number = |id: Id| match graph.node(id).op {
        Op::Fill(number, _) => Some(number.get()),
        _ => None,
    };
    let fill = |value: f64| (Op::Fill(Number::new(value), of.shape.clone()), Vec::new());
    let numbers: Vec<Option<f64>> = args.iter().map(|id| number(*id)).collect();
    let unchanged = |id: Id| graph.node(id).of == *of;
    let (op, args) = match (op, args, &numbers[..]) {
        (Op::Unary(f), _, [Some(x)]) => fill(unary(*f, *x)),
        (Op::Binary(f), _, [Some(a), Some(b)]) => fill(binary(*f, *a, *b)),
        (Op::Unary(Unary::Neg), &[x], _) if graph.node(x).op == Op::Unary(Unary::Neg) => {
            return Ok(Some(graph.node(x).args[0]));
        }
        (Op::Binary(Binary::Add), &[x, _], [_, Some(0.0)]) => return Ok(Some(x)),
        (Op::Binary(Binary::Add), &[_, x], [Some(0.0), _]) => return Ok(Some(x)),
        (Op::Binary(Binary::Sub), &[x, _], [_, Some(0.0)]) => return Ok(Some(x)),
        (Op::Binary(Binary::Sub), &[_, x], [Some(0.0), _]) => (Op::Unary(Unary::Neg), vec![x]),
        (Op::Binary(Binary::Mul), &[x, _], [_, Some(1.0)]) => return Ok(Some(x)),
        (Op::Binary(Binary::Mul), &[_, x], [Some(1.0), _]) => return Ok(Some(x)),
        (Op::Binary(Binary::Mul), _, [_, Some(0.0)] | [Some(0.0), _]) => fill(0.0),
        (Op::Binary(Binary::Div), &[x, _], [_, Some(1.0)]) => return Ok(Some(x)),
        (Op::Binary(Binary::Div), _, [Some(0.0), _]) => fill(0.0),
        (Op::Select, &[_, a, b], _) if a == b => return Ok(Some(a)),
        (Op::Select, &[_, a, b], [Some(c), ..]) => return Ok(Some(if *c != 0.0 { a } else { b })),
        // Moving elements that are all alike changes their number only.
        (
            Op::Reshape(_) | Op::Transpose(_) | Op::Broadcast(_) | Op::Slice { .. } | Op::Gather { .. },
            _,
            [Some(x), ..],
        ) => fill(*x),
        (Op::Concat(_), _, [Some(x), rest @ ..]) if rest.iter().all(|y| *y == Some(*x)) => fill(*x),
        (Op::Place { .. } | Op::Scatter { .. } | Op::SumUnpool { .. }, _, [Some(0.0), ..]) => fill(0.0),
        (Op::PickMax(_) | Op::PlaceMax(_), _, [_, Some(0.0)]) => fill(0.0),
        (Op::SumPool(_), _, [Some(0.0)]) => fill(0.0),
        (
            Op::MatMul | Op::Convolve { .. } | Op::ConvolveImage { .. } | Op::ConvolveKernel { .. },
            _,
            [_, Some(0.0)] | [Some(0.0), _],
        ) => fill(0.0),
        (Op::Sum(_), &[x], [Some(value)]) => {
            let count = elements(graph.shape(x)).unwrap_or(1) / elements(&of.shape).unwrap_or(1);
            fill(value * count as f64)
        }
        (Op::Largest(_), _, [Some(value)]) => fill(*value),
        (Op::Reshape(_) | Op::Broadcast(_) | Op::Sum(_) | Op::Largest(_) | Op::Concat(_), &[x], _) if unchanged(x) => {
            return Ok(Some(x));
        }
        (Op::Slice { along, .. } | Op::Place { along, .. }, &[x], _) if unchanged(x) => {
            match along.iter().zip(&of.shape).all(|(by, size)| by.step == 1 || *size == 1) {
                true => return Ok(Some(x)),
                false => return Ok(None),
            }
        }
        (Op::Slice { along, .. }, &[x], _) if matches!(graph.node(x).op, Op::Concat(_)) => {
            match part_of_joined(graph, x, along, &of.shape) {
                Some((id, along)) => (Op::Slice { along, shape: of.shape.clone() }, vec![id]),
                None => return floated(graph, op, args, of),
            }
        }
        (Op::Reshape(shape), &[x], _) => match &graph.node(x).op {
            Op::Reshape(_) => (Op::Reshape(shape.clone()), graph.node(x).args.clone()),
            _ => return Ok(None),
        },
        (Op::Broadcast(shape), &[x], _) => match &graph.node(x).op {
            Op::Broadcast(_) => (Op::Broadcast(shape.clone()), graph.node(x).args.clone()),
            _ => return Ok(None),
        },
        (Op::Transpose(perm), &[x], _) => match (&graph.node(x).op, graph.shape(x)) {
            _ if perm.iter().copied().eq(0..perm.len()) => return Ok(Some(x)),
            (Op::Transpose(first), _) => {
                let both = perm.iter().map(|&axis| first[axis]).collect();
                (Op::Transpose(both), graph.node(x).args.clone())
            }
            // Axes of size 1 may move anywhere without moving an element.
            (_, shape) if keeps_order(perm, shape) => (Op::Reshape(of.shape.clone()), vec![x]),
            _ => return Ok(None),
        },
        _ => return floated(graph, op, args, of),
    };
    graph.push(op, &args).map(Some)
}

/// The one of the joined arrays that a part lies in, and how it lies there.
fn part_of_joined(graph: &Graph, joined: Id, along: &[Stride], part: &[usize]) -> Option<(Id, Vec<Stride>)> {
    let node = graph.node(joined);
    let Op::Concat(axis) = node.op else { return None };
    let Stride { start, step } = along[axis];
    let last = start.checked_add_signed(step * (part[axis] as isize - 1))?;
    let mut before = 0;
    for id in &node.args {
        let end = before + graph.shape(*id)[axis];
        if (before..end).contains(&start) {
            let mut along = along.to_vec();
            along[axis].start = start - before;
            return (before..end).contains(&last).then_some((*id, along));
        }
        before = end;
    }
    None
}

/// Moves transpositions of arguments behind the operator, where they meet their inverse: what was imported with channels
/// first is computed with channels last, and no image is copied between one layer and the next. `None` where the
/// operator looks at the places of its elements.
fn floated(graph: &mut Graph, op: &Op, args: &[Id], of: &Type) -> Result<Option<Id>, Error> {
    // Of a constant it costs nothing where it is; one would be moved to and fro between two of them for ever.
    let is_constant = |graph: &Graph, id: Id| matches!(graph.node(id).op, Op::Constant(_));
    let perm = |graph: &Graph, id: Id| match &graph.node(id).op {
        Op::Transpose(perm) if !is_constant(graph, graph.node(id).args[0]) => Some(perm.clone()),
        _ => None,
    };
    let Some(perm) = args.iter().find_map(|id| perm(graph, *id)) else { return Ok(None) };
    let before = |shape: &[usize]| {
        let mut before = vec![0; shape.len()];
        perm.iter().zip(shape).for_each(|(axis, size)| before[*axis] = *size);
        before
    };
    let op = match op {
        Op::Unary(_) | Op::Binary(_) | Op::Select => op.clone(),
        Op::Broadcast(shape) => Op::Broadcast(before(shape)),
        Op::Sum(axes) => Op::Sum(axes.iter().map(|axis| perm[*axis]).collect()),
        Op::Largest(axes) => Op::Largest(axes.iter().map(|axis| perm[*axis]).collect()),
        Op::Concat(axis) => Op::Concat(perm[*axis]),
        Op::Slice { along, .. } => {
            let mut moved = along.clone();
            perm.iter().zip(along).for_each(|(axis, by)| moved[*axis] = *by);
            Op::Slice { along: moved, shape: before(&of.shape) }
        }
        Op::Place { along, .. } => {
            let mut moved = along.clone();
            perm.iter().zip(along).for_each(|(axis, by)| moved[*axis] = *by);
            Op::Place { along: moved, shape: before(&of.shape) }
        }
        _ => return Ok(None),
    };
    let mut inverse = vec![0; perm.len()];
    perm.iter().enumerate().for_each(|(i, axis)| inverse[*axis] = i);
    // Another argument is transposed back only if that costs nothing, or next to it.
    if !args.iter().all(|id| turns(graph, *id, &perm)) {
        return Ok(None);
    }
    let mut turned = Vec::with_capacity(args.len());
    for id in args {
        turned.push(turn(graph, *id, &inverse)?);
    }
    let result = graph.push(op, &turned)?;
    graph.push(Op::Transpose(perm), &[result]).map(Some)
}

/// Whether undoing `perm` on an array copies no more than one row or one number of a batch's.
fn turns(graph: &Graph, id: Id, perm: &[usize]) -> bool {
    match &graph.node(id).op {
        Op::Transpose(own) => own == perm,
        Op::Fill(..) | Op::Constant(_) => true,
        Op::Broadcast(_) => {
            let from = graph.node(id).args[0];
            graph.shape(from).iter().filter(|size| **size > 1).count() <= 1 || turns(graph, from, perm)
        }
        _ => graph.shape(id).iter().filter(|size| **size > 1).count() <= 1,
    }
}

/// The transposition of an array, taken before it is repeated.
fn turn(graph: &mut Graph, id: Id, inverse: &[usize]) -> Result<Id, Error> {
    let node = graph.node(id);
    let Op::Broadcast(shape) = &node.op else {
        return graph.push(Op::Transpose(inverse.to_vec()), &[id]);
    };
    let (shape, from) = (inverse.iter().map(|axis| shape[*axis]).collect(), node.args[0]);
    let from = turn(graph, from, inverse)?;
    graph.push(Op::Broadcast(shape), &[from])
}

/// Whether the axes longer than 1 stay in their order.
fn keeps_order(perm: &[usize], shape: &[usize]) -> bool {
    perm.iter().filter(|axis| shape[**axis] > 1).is_sorted()
}

/// Sums and products of two are written with the earlier argument first.
fn ordered(op: Op, mut args: Vec<Id>) -> (Op, Vec<Id>) {
    if matches!(op, Op::Binary(Binary::Add | Binary::Mul | Binary::Equal)) {
        args.sort_unstable();
    }
    (op, args)
}
