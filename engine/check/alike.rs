//! When two answers about the same row count as the same.
//!
//! A loss that claims MPASS_CAP_REPEATABLE is held to its bits. Another one may differ by the noise it states, or, where
//! it states none, by what its repeats show, and by the rounding of sums that are taken in another order.

#![forbid(unsafe_code)]

use super::call::{Answer, Call};
use super::opened::Opened;
use super::verdict::{Outcome, fail};
use mountainpass_sdk::abi::cap;

/// A sum in another order differs by this many roundings at most, unless its terms cancel wildly.
const ROUNDINGS: f64 = 1e3;

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

impl Alike {
    /// For the rows of `theta`, and others like them.
    pub fn of(loss: &Opened<'_>, theta: &[f64]) -> Outcome<Alike> {
        let (exact, epsilon) = (loss.has(cap::REPEATABLE)?, loss.epsilon()?);
        let mut alike = Alike { exact, spread: loss.spread(theta)?, relative: ROUNDINGS * epsilon, epsilon };
        if !exact && loss.has(cap::GRAD)? {
            let first = loss.eval(&Call::of(theta).grad())?.accepted()?;
            let mut widest = 0.0_f64;
            for _ in 0..3 {
                let again = loss.eval(&Call::of(theta).grad())?.accepted()?;
                for row in (0..first.n()).filter(|&row| first.good(row) && again.good(row)) {
                    let pairs = first.grad(row).iter().zip(again.grad(row));
                    let difference = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                    widest = widest.max(difference / largest(first.grad(row)).max(f64::MIN_POSITIVE));
                }
            }
            alike.relative += 10.0 * widest;
        }
        Ok(alike)
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

    /// Fails unless row `got.1` of an answer has the loss of row `expected.1` of another one; `how` says what sets the
    /// two apart, as "in a batch of 7".
    pub fn hold_loss(&self, expected: (&Answer, usize), got: (&Answer, usize), how: &str) -> Outcome {
        if let Some(flaw) = got.0.flaw(got.1) {
            return Err(fail("finite numbers and row_status 0, as before", format!("{flaw} {how}")).at(got.1));
        }
        let (a, b) = (expected.0.loss[expected.1], got.0.loss[got.1]);
        if self.losses(a, b, 0.0) {
            return Ok(());
        }
        Err(fail(format!("the loss {a:?}"), format!("{b:?} {how}, a difference of {:.1e}", b - a)).at(got.1))
    }

    /// The same for every output that both answers have.
    pub fn hold(&self, expected: (&Answer, usize), got: (&Answer, usize), how: &str) -> Outcome {
        self.hold_loss(expected, got, how)?;
        type Rows = fn(&Answer, usize) -> &[f64];
        let outputs: [(&str, bool, Rows); 2] = [
            ("gradient", !expected.0.grad.is_empty() && !got.0.grad.is_empty(), Answer::grad),
            ("hvp", !expected.0.hvp.is_empty() && !got.0.hvp.is_empty(), Answer::hvp),
        ];
        for (name, _, rows) in outputs.into_iter().filter(|(_, both, _)| *both) {
            let (a, b) = (rows(expected.0, expected.1), rows(got.0, got.1));
            if let Some(at) = self.differ(a, b, 0.0) {
                let text = format!("{:?} {how}, a difference of {:.1e}", b[at], b[at] - a[at]);
                return Err(fail(format!("{name}[{at}] = {:?}", a[at]), text).at(got.1));
            }
        }
        Ok(())
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
