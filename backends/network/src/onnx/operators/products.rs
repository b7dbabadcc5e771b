//! Products of matrices, and Einstein sums.

use super::super::lowering::{Call, Lowering, Results, real};
use crate::graph::Id;
use crate::graph::op::Shape;
use mountainpass_sdk::Error;

/// As numpy's: vectors are a row in front and a column behind.
pub(super) fn matmul(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let (a, b) = (l.real(c.input(0)?)?, l.real(c.input(1)?)?);
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
    real(l.graph.reshape(y, shape)?)
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

/// Sums over the letters that the result lacks, of products of any number of arrays.
pub(super) fn einsum(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let equation: String = c.text("equation", "").chars().filter(|ch| !ch.is_whitespace()).collect();
    let unclear = || c.refuse(format!("the equation {equation:?}"));
    // Letters are compared with one another.
    if equation.len() > 256 {
        return Err(c.refuse("an equation of more than 256 letters"));
    }
    let (left, out) = equation.split_once("->").ok_or_else(unclear)?;
    let terms: Vec<Vec<char>> = left.split(',').map(|term| term.chars().collect()).collect();
    let out: Vec<char> = out.chars().collect();
    let once =
        |term: &[char]| term.iter().all(|ch| ch.is_alphabetic() && term.iter().filter(|d| *d == ch).count() == 1);
    if terms.len() != c.inputs.len() || !terms.iter().chain([&out]).all(|term| once(term)) {
        return Err(unclear());
    }
    let mut arrays = Vec::new();
    for (k, term) in terms.iter().enumerate() {
        let x = l.real(c.input(k)?)?;
        if l.graph.shape(x).len() != term.len() {
            return Err(Error::argument(format!("{:?} for the letters {term:?}", l.graph.shape(x))));
        }
        // Letters of this term alone are summed first.
        let alone = |ch: &char| !out.contains(ch) && terms.iter().filter(|t| t.contains(ch)).count() == 1;
        let axes: Vec<usize> = (0..term.len()).filter(|i| alone(&term[*i])).collect();
        let kept: Vec<char> = term.iter().copied().filter(|ch| !alone(ch)).collect();
        let sum = l.graph.sum(x, &axes)?;
        let shape = (0..term.len()).filter(|i| !axes.contains(i)).map(|i| l.graph.shape(x)[i]).collect();
        arrays.push((l.graph.reshape(sum, shape)?, kept));
    }
    // From left to right; a letter that a later term has stays until then.
    let mut rest = arrays.into_iter();
    let (mut y, mut letters) = rest.next().ok_or_else(unclear)?;
    while let Some((x, other)) = rest.next() {
        let later: Vec<char> = rest.as_slice().iter().flat_map(|(_, term)| term.clone()).chain(out.clone()).collect();
        (y, letters) = product(l, (y, &letters), (x, &other), &later)?;
    }
    let perm: Option<Vec<usize>> = out.iter().map(|ch| letters.iter().position(|d| d == ch)).collect();
    real(l.graph.transpose(y, &perm.ok_or_else(unclear)?)?)
}

/// The product of two lettered arrays as one of matrices: common letters, then the left's own, then the right's.
fn product(
    l: &mut Lowering<'_>,
    (a, left): (Id, &[char]),
    (b, right): (Id, &[char]),
    out: &[char],
) -> Result<(Id, Vec<char>), Error> {
    let of =
        |from: &[char], test: &dyn Fn(&char) -> bool| from.iter().copied().filter(|ch| test(ch)).collect::<Vec<char>>();
    let batch = of(left, &|ch| right.contains(ch) && out.contains(ch));
    let inner = of(left, &|ch| right.contains(ch) && !out.contains(ch));
    let rows = of(left, &|ch| !right.contains(ch));
    let columns = of(right, &|ch| !left.contains(ch));
    let mut arranged = |x: Id, letters: &[char], order: [&[char]; 3]| {
        let place = |ch: &char| letters.iter().position(|d| d == ch).unwrap_or(0);
        let sizes =
            |l: &Lowering<'_>, part: &[char]| part.iter().map(|ch| l.graph.shape(x)[place(ch)]).collect::<Shape>();
        let whole = order.map(|part| sizes(l, part));
        let perm: Vec<usize> = order.concat().iter().map(place).collect();
        let turned = l.graph.transpose(x, &perm)?;
        let matrices = whole.iter().map(|part| part.iter().product()).collect();
        Ok::<_, Error>((l.graph.reshape(turned, matrices)?, whole))
    };
    let (a, [first, middle, _]) = arranged(a, left, [&batch, &rows, &inner])?;
    let (b, [.., last]) = arranged(b, right, [&batch, &inner, &columns])?;
    let y = l.graph.matmul(a, b)?;
    let y = l.graph.reshape(y, [first, middle, last].concat())?;
    Ok((y, [batch, rows, columns].concat()))
}
