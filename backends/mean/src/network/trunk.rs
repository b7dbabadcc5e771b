//! A network's trunk, which depends on the inputs alone: computed once a sample, for as long as the loss is open.
//!
//! A sample's values are those of the chunk that it stands in among all samples of its part, whatever it is asked for with,
//! and they are computed when one of them is first asked for: neither minibatches nor their order change a bit.

use super::slots::{Array, Laid, Slots};
use crate::executor::{Executor, Outcome, Plan, Sources};
use crate::kept::Hands;
use crate::real::Real;
use mountainpass_network::hoist::Hoisted;
use mountainpass_network::model::Model;
use mountainpass_network::{Dataset, Samples};
use mountainpass_sdk::{Error, Host, memory};
use std::sync::{Mutex, PoisonError};

/// Of all samples of a part so many numbers are kept, 1 GiB of f64; where it would be more the network is computed whole.
const KEPT_MAX: usize = 1 << 27;
/// Samples a chunk where the rest takes all at once.
const CHUNK: usize = 32;

/// The trunk's plans.
pub(crate) struct Trunk<P> {
    /// Samples a chunk, if the rest does not take all at once.
    chunk: Option<usize>,
    plans: Vec<(usize, P)>,
}

/// A chunk that is to be computed: its first sample and how many there are, and where its values go.
struct Missing<'a, T> {
    first: usize,
    count: usize,
    outputs: Vec<&'a mut [T]>,
    done: Result<(), Error>,
}

/// What a worker computes chunks with.
#[derive(Default)]
struct Scratch<T, M> {
    laid: Laid<T>,
    memory: M,
}

impl<P: Plan> Trunk<P> {
    /// Plans the trunk of a network that runs in chunks of so many samples, or all at once; `None` where it is not kept.
    pub(crate) fn new(
        executor: &impl Executor<Plan = P>,
        hoisted: &Hoisted,
        chunk: Option<usize>,
        data: &Dataset,
    ) -> Result<Option<Trunk<P>>, Error> {
        let only = hoisted.only().map(|(only, _)| only);
        let mut trunk = Trunk { chunk: chunk.or(only), plans: Vec::new() };
        // Of a model for one number of samples no other part is ever evaluated.
        let is_asked = |n: &usize| chunk.is_some() || only.is_none_or(|only| only == *n);
        for n in [data.train.n, data.test.n].into_iter().filter(is_asked) {
            if n.saturating_mul(hoisted.numbers()) > KEPT_MAX {
                return Ok(None);
            }
            for count in [trunk.chunk(n).min(n), n % trunk.chunk(n)] {
                if count == 0 || trunk.plan(count).is_ok() {
                    continue;
                }
                let Some((graph, outputs)) = hoisted.trunk(count)? else { return Ok(None) };
                trunk.plans.push((count, executor.plan(&graph, &outputs)?));
            }
        }
        Ok(Some(trunk))
    }

    /// How many numbers a step of it holds.
    pub(crate) fn numbers(&self) -> usize {
        self.plans.iter().map(|(_, plan)| plan.numbers()).max().unwrap_or(0)
    }

    /// Samples a chunk of `n`. A product of one row has bits of its own, so that none is left alone that would not be alone
    /// in the whole network.
    fn chunk(&self, n: usize) -> usize {
        self.chunk.unwrap_or_else(|| (CHUNK..).find(|chunk| n % chunk != 1 || n == 1).unwrap_or(n)).max(1)
    }

    fn plan(&self, count: usize) -> Result<&P, Error> {
        let found = self.plans.iter().find(|(of, _)| *of == count).map(|(_, plan)| plan);
        found.ok_or_else(|| Error::argument("a trunk not planned for this many samples"))
    }

    /// Whether the values of these of `n` samples are known.
    pub(crate) fn knows<T>(&self, n: usize, ids: &[u64], laid: &Laid<T>) -> bool {
        let chunk = self.chunk(n);
        ids.iter().all(|id| laid.known.get(*id as usize / chunk).is_some_and(|known| *known))
    }

    /// Computes what is not known yet of the samples `ids`, or of all.
    pub(crate) fn know<T: Real>(
        &self,
        (slots, samples): (&Slots, &Samples),
        ids: Option<&[u64]>,
        hands: Hands<'_>,
        laid: &mut Laid<T>,
    ) -> Result<(), Error> {
        let (n, chunk) = (samples.n, self.chunk(samples.n));
        laid.arrays.resize_with(slots.all.len(), Array::default);
        laid.known.resize(n.div_ceil(chunk), false);
        let mut is_asked = vec![ids.is_none(); laid.known.len()];
        ids.into_iter().flatten().for_each(|id| is_asked[*id as usize / chunk] = true);
        let first = |t: usize| t * chunk;
        let count = |t: usize| chunk.min(n - first(t));
        let missing = |t: &usize| is_asked[*t] && !laid.known[*t];
        let of = |t| Missing { first: first(t), count: count(t), outputs: Vec::new(), done: Ok(()) };
        let mut all: Vec<Missing<'_, T>> = (0..laid.known.len()).filter(missing).map(of).collect();
        if all.is_empty() {
            return Ok(());
        }
        for (slot, array) in slots.all.iter().zip(&mut laid.arrays).filter(|(slot, _)| slot.is_kept()) {
            memory::grow(&mut array.reals, n * slot.size)?;
            let mut chunks = array.reals.chunks_mut(chunk * slot.size).enumerate();
            for missing in &mut all {
                let its = chunks.find(|(t, _)| first(*t) == missing.first);
                missing.outputs.extend(its.map(|(_, values)| &mut values[..missing.count * slot.size]));
            }
        }
        let scratch: Vec<Mutex<Scratch<T, P::Memory<T>>>> =
            (0..hands.host.workers().max(1)).map(|_| Mutex::default()).collect();
        hands.host.for_each(&mut all, |missing, _, worker| {
            // Never contended, as a worker runs one body at a time.
            let mut scratch = scratch[worker].lock().unwrap_or_else(PoisonError::into_inner);
            missing.done =
                self.compute((slots, samples), missing.first, missing.count, hands, &mut scratch).map(|()| {
                    let outputs = missing.outputs.iter_mut().enumerate();
                    outputs.for_each(|(k, out)| out.copy_from_slice(scratch.memory.output(k)));
                });
        });
        let done: Vec<(usize, Result<(), Error>)> = all.into_iter().map(|of| (of.first / chunk, of.done)).collect();
        done.iter().for_each(|(t, done)| laid.known[*t] = done.is_ok());
        done.into_iter().try_for_each(|(_, done)| done)
    }

    /// Runs a chunk's plan on its samples.
    fn compute<T: Real>(
        &self,
        (slots, samples): (&Slots, &Samples),
        first: usize,
        count: usize,
        hands: Hands<'_>,
        Scratch { laid, memory }: &mut Scratch<T, P::Memory<T>>,
    ) -> Result<(), Error> {
        let plan = self.plan(count)?;
        slots.fill((samples, |i| first + i), |slot| plan.reads(slot), Host::none(), count, laid)?;
        let inputs = laid.inputs(slots, 0..count);
        let sources = Sources { inputs: &inputs[..slots.all.len()], theta: &[], direction: &[] };
        plan.run(None, memory, sources, &|| hands.stopped())
    }
}
