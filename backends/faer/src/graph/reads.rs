//! What stands behind the views of a step: what the caller gives, known numbers, and what earlier steps wrote.

use super::view::{Storage, View};
use mountainpass_network::graph::op::Values;
use std::sync::Arc;

/// What stands behind an input slot.
#[derive(Clone, Copy, Debug)]
pub enum SlotValues<'a, T> {
    /// Numbers.
    Real(&'a [T]),
    /// Rows of a table.
    Index(&'a [i64]),
}

/// What stands behind the sources of a plan.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a, T> {
    /// By slot.
    pub inputs: &'a [SlotValues<'a, T>],
    /// The parameters.
    pub theta: &'a [T],
    /// Of a Hessian product; empty where there is none.
    pub direction: &'a [T],
}

/// Known numbers.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    Number(f64),
    Array(Arc<Values>),
}

/// The arrays that a step reads.
pub(crate) struct Reads<'a, T> {
    pub views: &'a [View],
    pub lengths: &'a [usize],
    pub sources: Sources<'a, T>,
    pub reals: &'a [Vec<T>],
    pub indices: &'a [Vec<i64>],
    pub constants: &'a [Vec<T>],
    pub known: &'a [Known],
}

impl<'a, T> Reads<'a, T> {
    /// The array behind read `k` and where the view begins in it.
    #[inline(always)]
    pub(crate) fn get(&self, k: usize) -> (&'a [T], usize) {
        let View { storage, offset, .. } = self.views[k];
        let from = match storage {
            Storage::Theta => self.sources.theta,
            Storage::Direction => self.sources.direction,
            Storage::Value(buffer) => &self.reals[buffer],
            Storage::Constant(i) => &self.constants[i],
            Storage::Input(slot) => match self.sources.inputs[slot] {
                SlotValues::Real(values) => values,
                SlotValues::Index(_) => &[],
            },
        };
        (from, offset)
    }

    /// All of a dense read.
    pub(crate) fn dense(&self, k: usize) -> &'a [T] {
        let (from, offset) = self.get(k);
        &from[offset..offset + self.lengths[k]]
    }

    /// The array of indices behind read `k`.
    pub(crate) fn indices(&self, k: usize) -> (&'a [i64], usize) {
        let View { storage, offset, .. } = self.views[k];
        let from: &[i64] = match storage {
            Storage::Value(buffer) => &self.indices[buffer],
            Storage::Constant(i) => match &self.known[i] {
                Known::Array(values) => match &**values {
                    Values::Index(values) => values,
                    Values::Real(_) => &[],
                },
                Known::Number(_) => &[],
            },
            Storage::Input(slot) => match self.sources.inputs[slot] {
                SlotValues::Index(values) => values,
                SlotValues::Real(_) => &[],
            },
            Storage::Theta | Storage::Direction => &[],
        };
        (from, offset)
    }

    pub(crate) fn dense_indices(&self, k: usize) -> &'a [i64] {
        let (from, offset) = self.indices(k);
        &from[offset..offset + self.lengths[k]]
    }
}
