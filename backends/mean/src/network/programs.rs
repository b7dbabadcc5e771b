//! Plans, each for so many samples and rows and what is wanted of them, shared by all calls; and what a worker keeps of them.

use super::kinks::Bend;
use crate::batch::Wanted;
use crate::executor::{Executor, Plan};
use mountainpass_network::judge::Judge;
use mountainpass_sdk::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Plans that are kept, and of how many a worker keeps the arrays.
const PLANS_MAX: usize = 24;
const MEMORIES_MAX: usize = 6;

/// Those that were asked for last.
pub(super) struct Programs<P>(Mutex<Vec<Arc<Program<P>>>>);

/// A plan for so many samples and rows.
pub(super) struct Program<P> {
    pub of: Key,
    /// How predictions are judged.
    pub judge: Option<Judge>,
    pub plan: P,
}

/// What tells plans of one network apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub samples: usize,
    pub rows: usize,
    pub wanted: Wanted,
    pub bend: Bend,
}

impl<P> Default for Programs<P> {
    fn default() -> Programs<P> {
        Programs(Mutex::new(Vec::new()))
    }
}

impl<P: Plan> Programs<P> {
    fn all(&self) -> MutexGuard<'_, Vec<Arc<Program<P>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one of them reads an input slot.
    pub fn reads(&self, slot: usize) -> bool {
        self.all().iter().any(|program| program.plan.reads(slot))
    }

    /// The one asked for, made unless it is there. Others wait for it: they may want the same.
    pub fn get(&self, key: Key, make: impl FnOnce() -> Result<Program<P>, Error>) -> Result<Arc<Program<P>>, Error> {
        let mut programs = self.all();
        if let Some(found) = programs.iter().find(|program| program.of == key) {
            return Ok(found.clone());
        }
        if programs.len() == PLANS_MAX {
            programs.remove(0);
        }
        let program = Arc::new(make()?);
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
