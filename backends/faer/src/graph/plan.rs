//! What was made of a graph: steps, the buffers they share and what they read.

use super::reads::Source;
use super::step::Step;
use mountainpass_network::graph::op::Element;

/// A graph made ready for running: an order of steps and the buffers they share.
///
/// Plans are independent of the element type and of threads; one worker runs one plan on one
/// [`Memory`](super::Memory).
#[derive(Debug)]
pub struct Plan {
    /// Tells plans apart.
    pub(crate) number: u64,
    pub(crate) steps: Vec<Step>,
    /// Sizes of the buffers of each kind.
    pub(crate) reals: Vec<usize>,
    pub(crate) indices: Vec<usize>,
    pub(crate) constants: Vec<Source>,
    /// Slot, number of elements, kind.
    pub(crate) inputs: Vec<(usize, usize, Element)>,
    /// The elements of theta and of the direction that are read.
    pub(crate) theta: usize,
    pub(crate) direction: usize,
    /// Buffer and number of elements of every output.
    pub(crate) outputs: Vec<(usize, usize)>,
}

impl Plan {
    /// Tells plans apart, for as long as the process lives.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether an input is read.
    pub(crate) fn reads(&self, slot: usize) -> bool {
        self.inputs.iter().any(|(of, ..)| *of == slot)
    }

    /// How many numbers the buffers of a run hold.
    pub fn numbers(&self) -> usize {
        self.reals.iter().fold(0, |all, len| all.saturating_add(*len))
    }

    /// How many numbers a run takes in all: also known ones, and the kernels' scratch.
    pub(crate) fn taken(&self) -> usize {
        let known = self.constants.iter().map(|source| match source {
            Source::Number(_) => 1,
            Source::Array(values) => values.len(),
        });
        let scratch = self.steps.iter().map(|step| step.kernel.scratch()).max().unwrap_or(0);
        known.chain([scratch, self.numbers()]).fold(0, usize::saturating_add)
    }

    /// What step `k` computes, in a few words; empty behind the last.
    pub fn describe(&self, k: usize) -> String {
        self.steps.get(k).map_or(String::new(), Step::describe)
    }

    /// The number of steps of a run.
    pub fn steps(&self) -> usize {
        self.steps.len()
    }
}
