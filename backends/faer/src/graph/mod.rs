//! Runs a [`Graph`](mountainpass_network::graph::Graph), on one thread or shared by a `crew`.
//!
//! In: a graph, the outputs wanted of it, and what stands behind its sources. Out: the outputs' arrays. Left to right: `view`
//! and `reads` say where numbers stand, `kernels` compute them, a `step` is a kernel with what it reads and writes, a `plan`
//! a list of steps. `lowering` makes a plan of a graph, once; `run` walks its steps.

mod crew;
mod kernels;
mod lowering;
mod plan;
mod reads;
mod run;
mod step;
#[cfg(test)]
mod tests;
mod view;

pub use mountainpass_mean::{Input, Sources};
pub use plan::Plan;
pub use run::Memory;

use crate::real::Real;
use mountainpass_mean::{Executor, Outcome};
use mountainpass_network::graph::{Graph, Id};
use mountainpass_sdk::{Error, Host};

/// Runs graphs by the kernels of this crate.
pub struct Kernels;

impl Executor for Kernels {
    type Plan = Plan;

    fn plan(&self, graph: &Graph, outputs: &[Id]) -> Result<Plan, Error> {
        Plan::new(graph, outputs)
    }
}

impl mountainpass_mean::Plan for Plan {
    type Memory<T: Real> = Memory<T>;

    fn number(&self) -> u64 {
        Plan::number(self)
    }

    fn numbers(&self) -> usize {
        Plan::numbers(self)
    }

    fn reads(&self, slot: usize) -> bool {
        Plan::reads(self, slot)
    }

    fn run<T: Real>(
        &self,
        host: Option<Host<'_>>,
        memory: &mut Memory<T>,
        sources: Sources<'_, T>,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), Error> {
        self.run_on(host, memory, sources, stop)
    }
}

impl<T: Real> Outcome<T> for Memory<T> {
    fn output(&self, k: usize) -> &[T] {
        Memory::output(self, k)
    }
}
