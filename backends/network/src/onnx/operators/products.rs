//! Products of matrices.

use super::super::lowering::{Call, Lowering, Results, real};
use crate::graph::Id;
use mountainpass_sdk::Error;

/// As numpy's: vectors are a row in front and a column behind.
pub(super) fn matmul(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let (a, b) = (l.real(c.input(0)?)?, l.real(c.input(1)?)?);
    real(product(l, a, b)?)
}

pub(super) fn product(l: &mut Lowering<'_>, a: Id, b: Id) -> Result<Id, Error> {
    let (left, right) = (l.graph.shape(a).to_vec(), l.graph.shape(b).to_vec());
    let row = if left.len() == 1 { l.graph.reshape(a, vec![1, left[0]])? } else { a };
    let column = if right.len() == 1 { l.graph.reshape(b, vec![right[0], 1])? } else { b };
    let y = l.graph.matmul(row, column)?;
    let mut shape = l.graph.shape(y).to_vec();
    if right.len() == 1 {
        shape.pop();
    }
    if left.len() == 1 {
        shape.remove(shape.len() - if right.len() == 1 { 1 } else { 2 });
    }
    l.graph.reshape(y, shape)
}

/// alpha A B + beta C, A and B perhaps transposed.
pub(super) fn gemm(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let (mut a, mut b) = (l.real(c.input(0)?)?, l.real(c.input(1)?)?);
    if c.is_on("transA") {
        a = l.graph.flip(a)?;
    }
    if c.is_on("transB") {
        b = l.graph.flip(b)?;
    }
    let product = l.graph.matmul(a, b)?;
    let mut y = l.graph.scale(product, c.float("alpha", 1.0))?;
    if let Some(bias) = c.optional(2) {
        let bias = l.real(bias)?;
        let bias = l.graph.scale(bias, c.float("beta", 1.0))?;
        y = l.graph.add(y, bias)?;
    }
    real(y)
}
