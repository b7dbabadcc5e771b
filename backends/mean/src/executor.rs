//! Who runs graphs: a plan is made once of a graph, and run for many parameters.

use crate::real::Real;
use mountainpass_network::graph::{Graph, Id};
use mountainpass_sdk::{Error, Host};

/// What stands behind an input slot.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a, T> {
    /// Numbers.
    Real(&'a [T]),
    /// Rows of a table.
    Index(&'a [i64]),
}

/// What stands behind the sources of a plan.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a, T> {
    /// By slot.
    pub inputs: &'a [Input<'a, T>],
    /// The parameters.
    pub theta: &'a [T],
    /// Of a Hessian product; empty where there is none.
    pub direction: &'a [T],
}

/// Makes plans of graphs.
pub trait Executor: Send + Sync + 'static {
    /// What is made of a graph.
    type Plan: Plan;

    /// How many rows of an evaluation one run is to take, where the graph can.
    fn rows(&self) -> usize {
        1
    }

    /// Makes a graph ready for the computation of some of its nodes.
    fn plan(&self, graph: &Graph, outputs: &[Id]) -> Result<Self::Plan, Error>;
}

/// A graph made ready; one worker runs it on one memory at a time.
pub trait Plan: Send + Sync + 'static {
    /// What a worker keeps between runs.
    type Memory<T: Real>: Outcome<T>;

    /// Tells plans apart, for as long as the process lives.
    fn number(&self) -> u64;

    /// About how many numbers a run holds at one time.
    fn numbers(&self) -> usize;

    /// Whether an input slot is read.
    fn reads(&self, slot: usize) -> bool;

    /// Computes the outputs, which are then found in `memory`, with the workers of the host where one is given. Cancelled
    /// soon after `stop` says so; whether it is asked on this thread or on another is the plan's affair.
    fn run<T: Real>(
        &self,
        host: Option<Host<'_>>,
        memory: &mut Self::Memory<T>,
        sources: Sources<'_, T>,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), Error>;
}

/// Where the outputs of a run are found.
pub trait Outcome<T>: Default + Send {
    /// The array of output `k` of the last run.
    fn output(&self, k: usize) -> &[T];
}
