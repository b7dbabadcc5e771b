//! What an exploration tells while it goes on: facts, of which `report` makes words.

use crate::search::{Descent, Origin, PathId, Stage};

/// Who is told how far an exploration has come: one call at a time, from the thread that runs it.
pub trait Progress {
    /// `done` of about `total` units of `stage` are finished; `doing` is what it is at.
    fn at(&mut self, stage: Stage, done: u64, total: u64, doing: Doing);
    /// Something a person may want to know now.
    fn note(&mut self, _: Notice<'_>) {}
}

/// Progress that nobody watches.
pub struct Silent;

impl Progress for Silent {
    fn at(&mut self, _: Stage, _: u64, _: u64, _: Doing) {}
}

/// What a stage is at.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Doing {
    /// The next of its units.
    Next,
    /// Descents, the slowest of which has this gradient norm.
    Descents {
        /// The norm.
        gradient_norm: f64,
    },
    /// A descent of a walk that hops.
    Hop {
        /// Which hop, from 0.
        hop: u64,
        /// The norm of the gradient there.
        gradient_norm: f64,
    },
    /// Training in minibatches.
    Training {
        /// From the start of this seed.
        seed: u64,
        /// Of all epochs the one that has ended.
        epoch: u64,
        /// How many there are.
        epochs: u64,
        /// Over the epoch.
        mean_loss: f64,
    },
    /// A visit to a path.
    Path {
        /// Which path.
        id: PathId,
        /// Of its pass.
        height: f64,
        /// How many others are worked on beside it.
        others: usize,
    },
    /// Climbs along one mode of each minimum.
    Climbs {
        /// Which mode, the lowest is 1.
        mode: u32,
        /// How many saddles are known.
        saddles: usize,
    },
}

/// Something that has come up.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// A declared symmetry of this kind identifies no points.
    Ignored(&'a str),
    /// A descent has ended.
    Ended {
        /// Where it began.
        origin: &'a Origin,
        /// How it ended.
        descent: Descent,
        /// The norm of the gradient there.
        gradient_norm: f64,
    },
    /// All saddles were asked for, and this program has no eigensolver to find them with.
    NoEigensolver,
}
