//! The numbers of one input, in the type in which its file has them.

use super::input::Normalise;
use mountainpass_sdk::memory::{self, Shortage};
use sha2::{Digest, Sha256};

/// Numbers as a file has them, one sample after the other.
#[derive(Clone, Debug, PartialEq)]
pub enum Stored {
    /// Whole numbers below 256.
    Bytes(Vec<u8>),
    /// Finite.
    Singles(Vec<f32>),
    /// Finite.
    Reals(Vec<f64>),
    /// Token ids and other whole numbers.
    Indices(Vec<u32>),
}

/// Applies one expression to the vector of any element type.
macro_rules! each {
    ($values:expr, $vec:ident => $result:expr) => {
        match $values {
            Stored::Bytes($vec) => $result,
            Stored::Singles($vec) => $result,
            Stored::Reals($vec) => $result,
            Stored::Indices($vec) => $result,
        }
    };
}

fn wide<T: Copy + Into<f64>>(value: &T) -> f64 {
    (*value).into()
}

impl Stored {
    /// How many there are.
    pub fn len(&self) -> usize {
        each!(self, values => values.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Value `i`, before normalisation.
    pub fn get(&self, i: usize) -> f64 {
        each!(self, values => wide(&values[i]))
    }

    /// The first value that fails.
    pub(super) fn position(&self, fails: impl Fn(f64) -> bool) -> Option<usize> {
        each!(self, values => values.iter().position(|v| fails(wide(v))))
    }

    /// The samples `ids`, of `size` values each.
    pub(super) fn select(&self, size: usize, ids: impl Iterator<Item = usize> + Clone) -> Result<Stored, Shortage> {
        Ok(match self {
            Stored::Bytes(values) => Stored::Bytes(gather(values, size, ids)?),
            Stored::Singles(values) => Stored::Singles(gather(values, size, ids)?),
            Stored::Reals(values) => Stored::Reals(gather(values, size, ids)?),
            Stored::Indices(values) => Stored::Indices(gather(values, size, ids)?),
        })
    }

    /// Whole numbers from 0 as such; `None` if one is none, or is too large.
    pub(super) fn indices(&self) -> Result<Option<Vec<u32>>, Shortage> {
        let index = |v: f64| v as u32;
        match self.position(|v| f64::from(index(v)) != v) {
            None => memory::collected(self.len(), (0..self.len()).map(|i| index(self.get(i)))).map(Some),
            Some(_) => Ok(None),
        }
    }

    /// All as reals, which stay where they are if they are such.
    pub(super) fn reals(self) -> Result<Vec<f64>, Shortage> {
        match self {
            Stored::Reals(values) => Ok(values),
            other => memory::collected(other.len(), (0..other.len()).map(|i| other.get(i))),
        }
    }

    /// Bytes as they are; everything else as f64, so that equal numbers of any type have one hash.
    pub(super) fn hash_into(&self, normalise: &Normalise, hash: &mut Sha256) {
        match self {
            Stored::Bytes(values) => {
                hash.update(format!(" bytes {normalise};"));
                hash.update(values);
            }
            other => {
                match normalise.is_identity() {
                    true => hash.update(" reals;"),
                    false => hash.update(format!(" reals {normalise};")),
                }
                each!(other, values => values.iter().for_each(|v| hash.update(wide(v).to_le_bytes())));
            }
        }
    }
}

/// The parts `ids`, of `size` numbers each, one after the other.
pub(super) fn gather<T: Copy>(
    values: &[T],
    size: usize,
    ids: impl Iterator<Item = usize> + Clone,
) -> Result<Vec<T>, Shortage> {
    let mut all = memory::room(ids.clone().count().saturating_mul(size))?;
    ids.for_each(|id| all.extend_from_slice(&values[id * size..(id + 1) * size]));
    Ok(all)
}
