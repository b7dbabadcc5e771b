//! Determinants, by Laplace's expansion: the minors of the first rows, from those of one row less. Unlike an elimination it
//! has no pivots to choose, so that it is one polynomial everywhere, singular matrices and all.

use super::super::lowering::{Call, Lowering, Results, real};
use crate::graph::Id;
use crate::graph::op::Op;
use mountainpass_sdk::Error;

/// So many rows have a few hundred minors at the most.
const ROWS_MAX: usize = 10;

/// The determinant of every matrix in the last two axes.
pub(super) fn det(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let shape = l.shape(c.input(0)?);
    let (&[rows, columns], outer) = match shape.split_last_chunk::<2>() {
        Some((outer, last)) => (last, outer.to_vec()),
        None => return Err(Error::argument(format!("of {shape:?}: wants matrices"))),
    };
    if rows != columns || rows == 0 {
        return Err(Error::argument(format!("of {shape:?}: wants matrices with as many rows as columns")));
    }
    if rows > ROWS_MAX {
        return Err(c.refuse(format!("a matrix of more than {ROWS_MAX} rows")));
    }
    let x = l.real(c.input(0)?)?;
    let x = l.graph.reshape(x, vec![outer.iter().product(), rows, rows])?;
    let mut minors = row(l, x, 0)?;
    for k in 1..rows {
        let row = row(l, x, k)?;
        minors = expanded(l, row, minors, (k, rows))?;
    }
    real(l.graph.reshape(minors, outer)?)
}

/// A row of every matrix, `[matrices, columns]`.
fn row(l: &mut Lowering<'_>, x: Id, k: usize) -> Result<Id, Error> {
    let part = l.graph.narrow(x, 1, k, 1)?;
    let &[matrices, _, columns] = l.graph.shape(x) else { return Ok(part) };
    l.graph.reshape(part, vec![matrices, columns])
}

/// The minors of `k + 1` rows, for every choice of as many columns, from those of `k` rows and the row behind them.
fn expanded(l: &mut Lowering<'_>, row: Id, minors: Id, (k, columns): (usize, usize)) -> Result<Id, Error> {
    let (before, now) = (choices(columns, k), choices(columns, k + 1));
    let mut sum: Option<Id> = None;
    for i in 0..=k {
        let column = |choice: &u32| (0..columns).filter(|j| choice >> j & 1 == 1).nth(i).unwrap_or(0);
        let rest = |choice: &u32| choice & !(1 << column(choice));
        let place = |choice: &u32| before.iter().position(|known| *known == rest(choice)).unwrap_or(0) as i64;
        let factor = picked(l, row, now.iter().map(|choice| column(choice) as i64).collect())?;
        let minor = picked(l, minors, now.iter().map(place).collect())?;
        let term = l.graph.mul(factor, minor)?;
        sum = Some(match sum {
            None if (k + i) % 2 == 1 => l.graph.neg(term)?,
            None => term,
            Some(sum) if (k + i) % 2 == 1 => l.graph.sub(sum, term)?,
            Some(sum) => l.graph.add(sum, term)?,
        });
    }
    sum.ok_or_else(|| Error::argument("a determinant of no rows"))
}

/// All choices of `k` columns, as bits.
fn choices(columns: usize, k: usize) -> Vec<u32> {
    (0..1u32 << columns).filter(|choice| choice.count_ones() as usize == k).collect()
}

/// Columns by their numbers.
fn picked(l: &mut Lowering<'_>, x: Id, at: Vec<i64>) -> Result<Id, Error> {
    let at = l.indices(vec![at.len()], at)?;
    l.graph.push(Op::Gather { axis: 1, shared: 0 }, &[x, at])
}
