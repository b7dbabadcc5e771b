//! Products: matrices, convolutions, Einstein sums.
//!
//! Images come channels first and are computed channels last; the graph cancels the transpositions between layers.
//! One-dimensional convolutions are two-dimensional ones of height 1.

use super::super::lowering::{Call, Lowering, Results, real};
use super::pools::{images, pairs, to_first, to_last, window};
use crate::graph::Id;
use crate::graph::op::{Op, Shape, Window};
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

/// The kernel of a file, `[outputs, inputs, (height,) width]`, as `[height, width, inputs, outputs]`, and its taps.
fn kernel(l: &mut Lowering<'_>, c: &Call<'_>) -> Result<(Id, [usize; 2]), Error> {
    let w = l.real(c.input(1)?)?;
    let shape = l.graph.shape(w).to_vec();
    let w = match shape[..] {
        [outputs, inputs, width] => {
            let turned = l.graph.transpose(w, &[2, 1, 0])?;
            l.graph.reshape(turned, vec![1, width, inputs, outputs])?
        }
        [_, _, _, _] => l.graph.transpose(w, &[2, 3, 1, 0])?,
        _ => return Err(c.refuse(format!("a kernel of {shape:?}"))),
    };
    let taps = [l.graph.shape(w)[0], l.graph.shape(w)[1]];
    Ok((w, taps))
}

fn groups(c: &Call<'_>) -> Result<usize, Error> {
    let groups = c.int("group").unwrap_or(1);
    usize::try_from(groups).ok().filter(|g| *g > 0).ok_or_else(|| Error::argument(format!("group = {groups}")))
}

fn biased(l: &mut Lowering<'_>, c: &Call<'_>, y: Id) -> Result<Id, Error> {
    match c.optional(2) {
        Some(bias) => {
            let bias = l.real(bias)?;
            l.graph.add(y, bias)
        }
        None => Ok(y),
    }
}

/// Convolutions of one or two dimensions.
pub(super) fn conv(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let rank = images(l, c)?;
    let (w, taps) = kernel(l, c)?;
    let x = l.real(c.input(0)?)?;
    let x = to_last(l, x)?;
    let size = [l.graph.shape(x)[1], l.graph.shape(x)[2]];
    let (window, _) = window(c, taps, size)?;
    let y = l.graph.convolve(x, w, window, groups(c)?)?;
    let y = biased(l, c, y)?;
    real(to_first(l, y, rank)?)
}

/// Transposed convolutions: the adjoint of the convolution with the same kernel.
pub(super) fn conv_transpose(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let rank = images(l, c)?;
    let (w, kernel) = kernel(l, c)?;
    let x = l.real(c.input(0)?)?;
    let x = to_last(l, x)?;
    let strides = pairs(c, "strides", 1, 1)?;
    let dilations = pairs(c, "dilations", 1, 1)?;
    let extra = pairs(c, "output_padding", 0, 0)?;
    let same = c.text("auto_pad", "NOTSET");
    let [mut begin, mut end] = super::pools::ends(c)?;
    let mut size = [0; 2];
    for axis in 0..2 {
        let reach = (kernel[axis] - 1) * dilations[axis] + 1;
        let mut full = strides[axis] * (l.graph.shape(x)[axis + 1] - 1) + extra[axis] + reach;
        let asked = match (c.ints("output_shape"), same) {
            (Some(shape), _) => {
                let at = (axis + shape.len()).checked_sub(2).and_then(|i| shape.get(i));
                Some(at.map_or(1, |d| usize::try_from(*d).unwrap_or(0)))
            }
            (None, "SAME_UPPER" | "SAME_LOWER") => Some(l.graph.shape(x)[axis + 1] * strides[axis]),
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
    }
    let window = Window { kernel, strides, dilations, begin, end };
    let y = l.graph.push(Op::ConvolveImage { window, groups: groups(c)?, size }, &[x, w])?;
    let y = biased(l, c, y)?;
    real(to_first(l, y, rank)?)
}

/// Sums over the letters that the result lacks, of one array or of two.
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
    let (y, letters) = match &arrays[..] {
        [(x, letters)] => (*x, letters.clone()),
        [a, b] => product(l, (a.0, &a.1), (b.0, &b.1), &out)?,
        _ => return Err(unclear()),
    };
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
