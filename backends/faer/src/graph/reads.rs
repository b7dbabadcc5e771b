//! What stands behind the views of a step: what the caller gives, known numbers, and what earlier steps wrote.

use super::view::{Place, View};
use mountainpass_mean::{Input, Sources};
use mountainpass_network::graph::op::Values;
use std::sync::Arc;

/// Known numbers.
#[derive(Clone, Debug)]
pub(crate) enum Source {
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
    pub known: &'a [Source],
}

impl<'a, T> Reads<'a, T> {
    /// The array behind read `k` and where the view begins in it.
    #[inline(always)]
    pub(crate) fn get(&self, k: usize) -> (&'a [T], usize) {
        let View { place, offset, .. } = self.views[k];
        let from = match place {
            Place::Theta => self.sources.theta,
            Place::Direction => self.sources.direction,
            Place::Value(buffer) => &self.reals[buffer],
            Place::Constant(i) => &self.constants[i],
            Place::Input(slot) => match self.sources.inputs[slot] {
                Input::Real(values) => values,
                Input::Index(_) => &[],
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
        let View { place, offset, .. } = self.views[k];
        let from: &[i64] = match place {
            Place::Value(buffer) => &self.indices[buffer],
            Place::Constant(i) => match &self.known[i] {
                Source::Array(values) => match &**values {
                    Values::Index(values) => values,
                    Values::Real(_) => &[],
                },
                Source::Number(_) => &[],
            },
            Place::Input(slot) => match self.sources.inputs[slot] {
                Input::Index(values) => values,
                Input::Real(_) => &[],
            },
            Place::Theta | Place::Direction => &[],
        };
        (from, offset)
    }

    pub(crate) fn dense_indices(&self, k: usize) -> &'a [i64] {
        let (from, offset) = self.indices(k);
        &from[offset..offset + self.lengths[k]]
    }
}
