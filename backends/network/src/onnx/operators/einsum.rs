//! Einstein sums: products of lettered arrays, summed over the letters that the result lacks.

use super::super::lowering::{Call, Lowering, Results, real};
use crate::graph::Id;
use crate::graph::op::{Op, Shape, Stride};
use mountainpass_sdk::Error;
use std::collections::HashMap;

/// Sums over the letters that the result lacks, of products of any number of arrays. A letter twice in a term is its diagonal,
/// and dots are the axes that the other letters leave.
pub(super) fn einsum(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let equation: String = c.text("equation", "").chars().filter(|ch| !ch.is_whitespace()).collect();
    let unclear = || c.refuse(format!("the equation {equation:?}"));
    // Letters are compared with one another.
    if equation.len() > 256 {
        return Err(c.refuse("an equation of more than 256 letters"));
    }
    let (left, right) = equation.split_once("->").map_or((&equation[..], None), |(left, right)| (left, Some(right)));
    let terms: Vec<&str> = left.split(',').collect();
    if terms.len() != c.inputs.len() {
        return Err(unclear());
    }
    let mut arrays = Vec::with_capacity(terms.len());
    for (k, term) in terms.iter().enumerate() {
        arrays.push(lettered(l, c, k, term)?.ok_or_else(unclear)?);
    }
    let dots = arrays
        .iter()
        .flat_map(|(_, letters)| letters)
        .filter(|ch| is_dot(**ch))
        .max()
        .map_or(0, |ch| dot_number(*ch) + 1);
    let all_dots = (0..dots).rev().map(dot);
    let out: Vec<char> = match right {
        Some(right) => match right.split_once("...") {
            Some((before, behind)) => before.chars().chain(all_dots).chain(behind.chars()).collect(),
            None => right.chars().collect(),
        },
        // What stands once, in the order of letters.
        None => {
            let mut once: Vec<char> =
                left.chars().filter(|ch| ch.is_alphabetic() && left.matches(*ch).count() == 1).collect();
            once.sort_unstable();
            all_dots.chain(once).collect()
        }
    };
    let is_once = |(i, ch): (usize, &char)| (ch.is_alphabetic() || is_dot(*ch)) && !out[..i].contains(ch);
    if !out.iter().enumerate().all(is_once) {
        return Err(unclear());
    }
    stretched(l, &mut arrays)?;
    for k in 0..arrays.len() {
        // Letters of this term alone are summed first.
        let (x, letters) = arrays[k].clone();
        let alone = |ch: &char| !out.contains(ch) && arrays.iter().filter(|(_, of)| of.contains(ch)).count() == 1;
        let axes: Vec<usize> = (0..letters.len()).filter(|i| alone(&letters[*i])).collect();
        let kept: Vec<char> = letters.iter().copied().filter(|ch| !alone(ch)).collect();
        let sum = l.graph.sum(x, &axes)?;
        let shape = (0..letters.len()).filter(|i| !axes.contains(i)).map(|i| l.graph.shape(x)[i]).collect();
        arrays[k] = (l.graph.reshape(sum, shape)?, kept);
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

/// Letters of nobody's own, for the axes that dots stand for, counted from the last.
fn dot(number: usize) -> char {
    char::from_u32(DOTS + number as u32).unwrap_or('?')
}

const DOTS: u32 = 0xE000;

fn is_dot(ch: char) -> bool {
    (DOTS..DOTS + 64).contains(&(ch as u32))
}

fn dot_number(ch: char) -> usize {
    (ch as u32 - DOTS) as usize
}

/// An argument with a letter for each of its axes, each once; `None` where the term does not fit it.
fn lettered(l: &mut Lowering<'_>, c: &Call<'_>, k: usize, term: &str) -> Result<Option<(Id, Vec<char>)>, Error> {
    let mut x = l.real(c.input(k)?)?;
    let rank = l.graph.shape(x).len();
    let mut letters: Vec<char> = match term.split_once("...") {
        Some((before, behind)) => {
            let Some(rest) = rank.checked_sub(before.chars().count() + behind.chars().count()) else { return Ok(None) };
            before.chars().chain((0..rest).rev().map(dot)).chain(behind.chars()).collect()
        }
        None => term.chars().collect(),
    };
    if letters.len() != rank || letters.iter().any(|ch| !ch.is_alphabetic() && !is_dot(*ch)) {
        return Ok(None);
    }
    while let Some(second) = (0..letters.len()).find(|i| letters[..*i].contains(&letters[*i])) {
        let first = letters.iter().position(|ch| *ch == letters[second]).unwrap_or(0);
        let size = l.graph.shape(x)[first];
        if l.graph.shape(x)[second] != size {
            return Ok(None);
        }
        // Of n x n numbers in a row every n + 1st stands on the diagonal.
        let perm: Vec<usize> =
            (0..letters.len()).filter(|i| *i != first && *i != second).chain([first, second]).collect();
        let turned = l.graph.transpose(x, &perm)?;
        let mut shape = l.graph.shape(turned)[..perm.len() - 2].to_vec();
        shape.push(size * size);
        let row = l.graph.reshape(turned, shape.clone())?;
        let mut along = vec![Stride { start: 0, step: 1 }; shape.len()];
        let last = shape.len() - 1;
        (shape[last], along[last].step) = (size, if size > 1 { size as isize + 1 } else { 1 });
        x = l.graph.push(Op::Slice { along, shape }, &[row])?;
        letters = perm[..perm.len() - 1].iter().map(|i| letters[*i]).collect();
    }
    Ok(Some((x, letters)))
}

/// Takes out the axes of size 1 that dots of another term repeat.
fn stretched(l: &mut Lowering<'_>, arrays: &mut [(Id, Vec<char>)]) -> Result<(), Error> {
    let mut largest: HashMap<char, usize> = HashMap::new();
    for (x, letters) in arrays.iter() {
        for (ch, size) in letters.iter().zip(l.graph.shape(*x)) {
            let most = largest.entry(*ch).or_insert(0);
            *most = (*most).max(*size);
        }
    }
    for (x, letters) in arrays {
        let shape = l.graph.shape(*x).to_vec();
        let stays = |i: &usize| !(is_dot(letters[*i]) && shape[*i] == 1 && largest[&letters[*i]] > 1);
        let kept: Vec<usize> = (0..letters.len()).filter(stays).collect();
        *x = l.graph.reshape(*x, kept.iter().map(|i| shape[*i]).collect())?;
        *letters = kept.iter().map(|i| letters[*i]).collect();
    }
    Ok(())
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
