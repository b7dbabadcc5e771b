//! The plans of a network: each for so many samples and rows, and what is wanted of them. All calls share them; what a worker
//! keeps of one is its own.

use super::Network;
use super::kinks::Bend;
use crate::batch::Wanted;
use crate::executor::{Executor, Plan};
use mountainpass_network::judge::Judge;
use mountainpass_network::problem::Problem;
use mountainpass_sdk::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Plans that are kept, and of how many a worker keeps the arrays.
const PLANS_MAX: usize = 24;
const MEMORIES_MAX: usize = 6;

/// Those that were asked for last.
pub(super) type Programs<P> = Mutex<Vec<Arc<Program<P>>>>;

/// A plan for so many samples.
pub(super) struct Program<P> {
    n: usize,
    rows: usize,
    wanted: Wanted,
    bend: Bend,
    pub judge: Option<Judge>,
    pub plan: P,
}

impl<P> Program<P> {
    fn is(&self, (n, rows): (usize, usize), wanted: Wanted, bend: Bend) -> bool {
        (self.n, self.rows, self.wanted, self.bend) == (n, rows, wanted, bend)
    }
}

impl<E: Executor> Network<E> {
    /// The program for so many samples and rows.
    pub(super) fn planned(&self, size: (usize, usize), wanted: Wanted) -> Result<Program<E::Plan>, Error> {
        let none = || Error::argument("this network takes one row at a time");
        self.program(size, wanted)?.ok_or_else(none)
    }

    /// The same; `None` where the graph takes no more rows than one.
    pub(super) fn program(&self, (n, rows): (usize, usize), wanted: Wanted) -> Result<Option<Program<E::Plan>>, Error> {
        let bend = self.way.bend();
        if bend != Bend::None {
            return Ok(Some(Program { n, rows, wanted, bend, judge: None, plan: self.bent_plan(n, wanted, bend)? }));
        }
        let Problem { graph, losses, judged, gradient, product, .. } =
            Problem::new(&*self.model, &self.objective, (self.slots.aim, self.slots.factors), n)?;
        let mut outputs = vec![losses];
        match wanted {
            Wanted::Derivatives { grad, hvp } => {
                outputs.extend(gradient.into_iter().filter(|_| grad));
                outputs.extend(product.into_iter().filter(|_| hvp));
            }
            Wanted::Verdict => outputs.extend(judged.map(|(predictions, _)| predictions)),
        }
        let judge = judged.map(|(_, judge)| judge);
        let program = |plan| Some(Program { n, rows, wanted, bend, judge, plan });
        if rows == 1 {
            return self.executor.plan(&graph, &outputs).map(program);
        }
        match graph.in_rows(&outputs, rows)?.filter(|_| self.is_in_blocks(&graph)) {
            Some((graph, outputs)) => self.executor.plan(&graph, &outputs).map(program),
            None => Ok(None),
        }
    }

    pub(super) fn programs(&self) -> MutexGuard<'_, Vec<Arc<Program<E::Plan>>>> {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The program for so many samples and rows, made unless it is there. Others wait for it: they may want the same.
    pub(super) fn prepared(&self, size: (usize, usize), wanted: Wanted) -> Result<Arc<Program<E::Plan>>, Error> {
        let mut programs = self.programs();
        if let Some(found) = programs.iter().find(|program| program.is(size, wanted, self.way.bend())) {
            return Ok(found.clone());
        }
        if programs.len() == PLANS_MAX {
            programs.remove(0);
        }
        let program = Arc::new(self.planned(size, wanted)?);
        programs.push(program.clone());
        Ok(program)
    }
}

/// What a worker keeps.
pub struct Scratch<T, M> {
    pub(super) memories: Memories<M>,
    /// Of several rows theta and the direction, block by block.
    pub(super) stacked: [Vec<T>; 2],
}

/// The arrays of the plans that ran last.
pub(super) struct Memories<M>(Vec<(u64, M)>);

/// What a worker keeps of an executor's plans.
pub(super) type MemoryOf<E, T> = Scratch<T, <<E as Executor>::Plan as Plan>::Memory<T>>;

impl<T, M> Default for Scratch<T, M> {
    fn default() -> Scratch<T, M> {
        Scratch { memories: Memories(Vec::new()), stacked: [Vec::new(), Vec::new()] }
    }
}

impl<M: Default> Memories<M> {
    pub(super) fn of(&mut self, plan: &impl Plan) -> &mut M {
        let number = plan.number();
        let found = self.0.iter().position(|(of, _)| *of == number);
        let index = found.unwrap_or_else(|| {
            if self.0.len() == MEMORIES_MAX {
                self.0.remove(0);
            }
            self.0.push((number, M::default()));
            self.0.len() - 1
        });
        &mut self.0[index].1
    }
}
