//! When two answers about the same row count as the same.
//!
//! A loss that claims MPASS_CAP_REPEATABLE is held to its bits. Another one may differ by the noise it states, or, where
//! it states none, by what its repeats show, and by the rounding of sums that are taken in another order.

use crate::check::verdict::{Outcome, fail};
use mountainpass_sdk::abi::{Status, status};

/// Values may differ by this many times what a rounding of their arguments does to them.
pub const MEASURED: f64 = 30.0;
/// A sum in another order differs by this many roundings at most, unless its terms cancel wildly.
pub const ROUNDINGS: f64 = 1e3;

/// How far answers may differ.
#[derive(Clone, Copy, Debug)]
pub struct Alike {
    exact: bool,
    /// Of a loss, beside rounding.
    spread: f64,
    /// Of a component of a gradient or product, relative to the largest one.
    relative: f64,
    epsilon: f64,
}

/// What an evaluation says of one row.
#[derive(Clone, Copy, Debug)]
pub struct RowValues<'a> {
    /// Its place in the batch.
    pub row: usize,
    /// `MPASS_OK`, or a flag.
    pub status: Status,
    /// Its loss.
    pub loss: f64,
    /// Empty when not asked for.
    pub grad: &'a [f64],
    /// Empty when not asked for.
    pub hvp: &'a [f64],
}

impl Alike {
    /// Bits if `exact`. Else losses may be `spread` apart, beside rounding of relative size `epsilon`.
    pub fn new(exact: bool, spread: f64, epsilon: f64) -> Alike {
        Alike { exact, spread, relative: ROUNDINGS * epsilon, epsilon }
    }

    /// The same where repeats of gradients were seen this far apart, relative to their largest component.
    pub fn repeating(self, apart: f64) -> Alike {
        Alike { relative: self.relative + 10.0 * apart, ..self }
    }

    /// The same where theta travels as f32.
    pub fn single(self) -> Alike {
        let epsilon = f64::from(f32::EPSILON);
        Alike { epsilon, relative: self.relative.max(ROUNDINGS * epsilon), ..self }
    }

    /// The same, but sums may be taken in any order.
    pub fn rounded(self) -> Alike {
        Alike { exact: false, ..self }
    }

    /// True if two losses of a row are the same; `scale`: the size of the terms they are sums of, where it is more than
    /// their own.
    pub fn losses(&self, a: f64, b: f64, scale: f64) -> bool {
        let size = scale.max(a.abs()).max(b.abs());
        match self.exact {
            true => a.to_bits() == b.to_bits(),
            false => (a - b).abs() <= self.spread + ROUNDINGS * self.epsilon * size,
        }
    }

    /// The first component where two gradients or products of a row are not the same.
    pub fn differ(&self, a: &[f64], b: &[f64], scale: f64) -> Option<usize> {
        let size = scale.max(largest(a)).max(largest(b));
        let same = |(a, b): (&f64, &f64)| match self.exact {
            true => a.to_bits() == b.to_bits(),
            false => (a - b).abs() <= self.relative * size,
        };
        if a.len() != b.len() {
            return Some(a.len().min(b.len()));
        }
        a.iter().zip(b).position(|pair| !same(pair))
    }

    /// Fails unless a row has the loss that is expected; `how` says what sets the two apart, as "in a batch of 7".
    pub fn hold_loss(&self, expected: RowValues<'_>, got: RowValues<'_>, how: &str) -> Outcome {
        if let Some(flaw) = got.flaw() {
            return Err(fail("finite numbers and row_status 0, as before", format!("{flaw} {how}")).at(got.row));
        }
        let (a, b) = (expected.loss, got.loss);
        if self.losses(a, b, 0.0) {
            return Ok(());
        }
        Err(fail(format!("the loss {a:?}"), format!("{b:?} {how}, a difference of {:.1e}", b - a)).at(got.row))
    }

    /// The same for every output that both rows have.
    pub fn hold(&self, expected: RowValues<'_>, got: RowValues<'_>, how: &str) -> Outcome {
        self.hold_loss(expected, got, how)?;
        let outputs = [("gradient", expected.grad, got.grad), ("hvp", expected.hvp, got.hvp)];
        for (name, a, b) in outputs.into_iter().filter(|(_, a, b)| !a.is_empty() && !b.is_empty()) {
            if let Some(at) = self.differ(a, b, 0.0) {
                let text = format!("{:?} {how}, a difference of {:.1e}", b[at], b[at] - a[at]);
                return Err(fail(format!("{name}[{at}] = {:?}", a[at]), text).at(got.row));
            }
        }
        Ok(())
    }
}

impl RowValues<'_> {
    /// What keeps the row from being good, in words: a flag, or what is not finite.
    pub fn flaw(&self) -> Option<String> {
        if self.status != status::OK {
            return Some(format!("row_status {}", self.status));
        }
        if !self.loss.is_finite() {
            return Some(format!("loss {}", self.loss));
        }
        [("grad", self.grad), ("hvp", self.hvp)].into_iter().find_map(|(name, values)| {
            let at = values.iter().position(|value| !value.is_finite())?;
            Some(format!("{name}[{at}] = {}", values[at]))
        })
    }
}

/// The largest absolute value.
pub fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, value| value.abs().max(largest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_where_they_are_claimed_and_rounding_where_they_are_not() {
        let next = 1.0 + f64::EPSILON;
        let exact = Alike { exact: true, spread: 0.0, relative: 1e-13, epsilon: f64::EPSILON };
        assert!(exact.losses(1.0, 1.0, 0.0) && !exact.losses(1.0, next, 0.0));
        assert_eq!(exact.differ(&[1.0, 1.0], &[1.0, next], 0.0), Some(1));
        let rounded = exact.rounded();
        assert!(rounded.losses(1.0, next, 0.0) && !rounded.losses(1.0, 1.0 + 1e-9, 0.0));
        assert!(rounded.losses(1e-9, 2e-9, 1e6) && !rounded.losses(1.0, f64::NAN, 0.0));
        assert_eq!(rounded.differ(&[1e-16, 1.0], &[0.0, next], 0.0), None);
        assert!(rounded.single().losses(1.0, 1.0 + 1e-5, 0.0));
    }
}
