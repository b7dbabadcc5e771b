//! Whether units are seen in products only, so that any matrix may mix them.
//!
//! Let the units of a class be the coordinates of vectors. Where operators do nothing but add such vectors, multiply them
//! by numbers and take their scalar products, all may be multiplied by one orthogonal matrix: the directions in which
//! queries meet keys and in which values leave a head, an embedding before a matrix, the units of a linear layer.

use super::fibres::Units;
use super::labels::Labels;
use super::scaling::{self, Columns};
use crate::graph::Node;
use crate::graph::op::{Binary, Op, Unary};

/// Wider vectors are not mixed: what it takes to compare two points grows with the cube of it.
const WIDTH_MAX: usize = 32;

/// Whether nothing sees more of the units than products.
pub fn is_linear(labels: &Labels<'_>, units: &Units) -> bool {
    let [class] = units.of[..] else { return false };
    let once = |id| labels.at(id).occurrences.iter().filter(|o| o.class == class).count() == 1;
    let parameters =
        labels.carrying(class).iter().filter(|id| matches!(labels.graph.node(**id).op, Op::Parameter { .. }));
    labels.axes.size(class) <= WIDTH_MAX
        && parameters.copied().all(once)
        && labels.using(class).iter().all(|id| {
            let node = labels.graph.node(*id);
            scaling::by_letter(labels, *id, class).is_some_and(|all| all.iter().all(|columns| passes(node, columns)))
        })
}

/// Whether an operator does the same whatever matrix multiplies the vectors, along one letter.
fn passes(node: &Node, (own, args): &Columns) -> bool {
    let given: Vec<bool> = args.iter().map(Option::is_some).collect();
    match (&node.op, own.is_some()) {
        (Op::Parameter { .. }, _) => true,
        // Numbers that the units do not have in common may multiply them.
        (Op::Binary(Binary::Mul), true) => given.iter().filter(|is_vector| **is_vector).count() == 1,
        (Op::Binary(Binary::Div), true) => given == [true, false],
        (Op::Select, true) => given == [false, true, true],
        (Op::MatMul | Op::Convolve { .. } | Op::ConvolveImage { .. }, is_own) => {
            given.iter().filter(|is_vector| **is_vector).count() == if is_own { 1 } else { 2 }
        }
        (
            Op::Unary(Unary::Neg)
            | Op::Binary(Binary::Add | Binary::Sub)
            | Op::Concat(_)
            | Op::Reshape(_)
            | Op::Transpose(_)
            | Op::Broadcast(_)
            | Op::Slice { .. }
            | Op::Sum(_),
            true,
        ) => given.iter().all(|is_vector| *is_vector),
        (Op::Gather { .. }, true) => given == [true, false],
        _ => false,
    }
}
