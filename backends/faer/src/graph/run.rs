//! Running a plan: steps one after the other, on memory that is kept between runs. Where workers are free to share the steps
//! (see [`Crew`]), large ones are cut into parts, whose sums are added in order.

use super::crew::{Crew, Work};
use super::kernels::{copy, reduce};
use super::plan::Plan;
use super::reads::{Reads, Source};
use super::step::{Kernel, Pooling, Step};
use crate::real::Real;
use mountainpass_mean::{Input, Sources};
use mountainpass_network::graph::op::{Element, Values};
use mountainpass_sdk::memory::{self, Shortage};
use mountainpass_sdk::{Error, Host};
use std::sync::Mutex;

/// What one worker keeps between runs: only the first run of a plan allocates.
#[derive(Debug, Default)]
pub struct Memory<T> {
    /// Of which plan the arrays are.
    plan: u64,
    reals: Vec<Vec<T>>,
    indices: Vec<Vec<i64>>,
    constants: Vec<Vec<T>>,
    taken: Vec<Vec<T>>,
    work: Work<T>,
    crew: Vec<Mutex<Work<T>>>,
    outputs: Vec<(usize, usize)>,
}

impl<T: Real> Memory<T> {
    /// The array of output `k` of the last run.
    pub fn output(&self, k: usize) -> &[T] {
        let output = self.outputs.get(k).and_then(|(buffer, len)| self.reals.get(*buffer)?.get(..*len));
        output.unwrap_or_default()
    }

    /// How many bytes are kept.
    pub fn bytes(&self) -> usize {
        let all = self.reals.iter().chain(&self.constants).chain(&self.work.blocks).chain(&self.work.pair);
        all.map(|array| array.len() * size_of::<T>()).sum::<usize>()
            + self.indices.iter().map(|array| array.len() * size_of::<i64>()).sum::<usize>()
    }

    /// Makes the arrays of a plan, unless they are there. What they take together, with the kernels' scratch, is asked for
    /// before the first is made.
    fn prepare(&mut self, plan: &Plan) -> Result<(), Shortage> {
        if self.plan == plan.number {
            return Ok(());
        }
        self.plan = 0;
        [&mut self.reals, &mut self.constants].into_iter().for_each(Vec::clear);
        self.indices.clear();
        memory::afford(memory::bytes_of::<T>(plan.taken()))?;
        self.reals = plan.reals.iter().map(|len| memory::filled(T::ZERO, *len)).collect::<Result<_, _>>()?;
        self.indices = plan.indices.iter().map(|len| memory::filled(0, *len)).collect::<Result<_, _>>()?;
        let constant = |source: &Source| match source {
            Source::Number(number) => Ok(vec![T::of(*number)]),
            Source::Array(values) => match &**values {
                Values::Real(values) => memory::collected(values.len(), values.iter().map(|x| T::of(*x))),
                Values::Index(_) => Ok(Vec::new()),
            },
        };
        self.constants = plan.constants.iter().map(constant).collect::<Result<_, _>>()?;
        self.outputs.clone_from(&plan.outputs);
        self.plan = plan.number;
        Ok(())
    }
}

impl Plan {
    /// Computes the outputs, which are then found in `memory`. `stop` is asked before every step.
    ///
    /// Errors: a source that is missing, holds the other kind of element or has another length; an index out of range;
    /// cancelled, once `stop` says so. Never allocates after the first run on one memory.
    pub fn run<T: Real>(
        &self,
        memory: &mut Memory<T>,
        sources: Sources<'_, T>,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        self.run_on(None, memory, sources, stop)
    }

    /// The same with workers that share large steps; results are those of one worker, but may differ in rounding from
    /// those of [`run`](Plan::run). Lists of parts are allocated.
    pub fn run_on<T: Real>(
        &self,
        host: Option<Host<'_>>,
        memory: &mut Memory<T>,
        sources: Sources<'_, T>,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        self.check(&sources)?;
        memory.prepare(self)?;
        let workers = host.map_or(0, |host| host.workers()).max(memory.crew.len());
        memory.crew.resize_with(workers, Mutex::default);
        for step in &self.steps {
            if stop() {
                return Err(Error::cancelled());
            }
            match step.element {
                Element::Real => self.step(step, host, memory, sources)?,
                Element::Index => self.index_step(step, memory, sources)?,
            }
        }
        Ok(())
    }

    fn check<T>(&self, sources: &Sources<'_, T>) -> Result<(), Error> {
        for &(slot, count, element) in &self.inputs {
            let (n, of) = match sources.inputs.get(slot) {
                Some(Input::Real(values)) => (values.len(), Element::Real),
                Some(Input::Index(values)) => (values.len(), Element::Index),
                None => return Err(Error::argument(format!("input {slot} is missing"))),
            };
            if (n, of) != (count, element) {
                return Err(Error::argument(format!(
                    "input {slot}: {n} values ({of:?}), expected {count} ({element:?})"
                )));
            }
        }
        let vectors = [("theta", sources.theta, self.theta), ("the direction", sources.direction, self.direction)];
        for (what, vector, end) in vectors {
            if vector.len() < end {
                return Err(Error::argument(format!("{what} ends before element {end}")));
            }
        }
        Ok(())
    }

    fn step<T: Real>(
        &self,
        step: &Step,
        host: Option<Host<'_>>,
        memory: &mut Memory<T>,
        sources: Sources<'_, T>,
    ) -> Result<(), Error> {
        let Memory { reals, indices, constants, taken, work, crew, .. } = memory;
        let crew = host.map(|host| Crew { host, works: crew });
        // What a step writes is taken out of memory while it reads the rest.
        taken.extend(step.writes.iter().map(|(buffer, _)| std::mem::take(&mut reals[*buffer])));
        let (views, lengths, known) = (&step.reads, &step.lengths, &self.constants);
        let reads = Reads { views, lengths, sources, reals, indices, constants, known };
        let done = match &step.kernel {
            Kernel::Chain(chain) => {
                chain.run(&reads, taken, &mut work.blocks, crew.as_ref());
                Ok(())
            }
            kernel => {
                let len = step.writes[0].1;
                kernel.run(&reads, &mut taken[0][..len], work, crew.as_ref())
            }
        };
        step.writes.iter().zip(taken.drain(..)).for_each(|((buffer, _), array)| reals[*buffer] = array);
        done
    }

    /// Indices only move.
    fn index_step<T: Real>(&self, step: &Step, memory: &mut Memory<T>, sources: Sources<'_, T>) -> Result<(), Error> {
        let Memory { reals, indices, constants, .. } = memory;
        let (buffer, len) = step.writes[0];
        let mut taken = std::mem::take(&mut indices[buffer]);
        let (views, lengths, known) = (&step.reads, &step.lengths, &self.constants);
        let reads = Reads { views, lengths, sources, reals, indices, constants, known };
        let out = &mut taken[..len];
        let done = match &step.kernel {
            Kernel::Copy(walk) => {
                let (from, offset) = reads.indices(0);
                walk.gather(from, offset, out);
                Ok(())
            }
            Kernel::Concat(walks) => {
                for (k, (walk, offset)) in walks.iter().enumerate() {
                    walk.scatter(reads.dense_indices(k), *offset, out);
                }
                Ok(())
            }
            Kernel::Gather(lookup) => lookup.gather(reads.dense_indices(0), reads.dense_indices(1), out),
            Kernel::ToIndex => copy::to_index(reads.dense(0), out),
            Kernel::TopK(count, size) => {
                copy::largest(reads.dense(0), *size, *count, out);
                Ok(())
            }
            other => Err(Error::unsupported(format!("{other:?} of indices"))),
        };
        indices[buffer] = taken;
        done
    }
}

impl Kernel {
    fn run<T: Real>(
        &self,
        reads: &Reads<'_, T>,
        out: &mut [T],
        work: &mut Work<T>,
        crew: Option<&Crew<'_, T>>,
    ) -> Result<(), Error> {
        let dense = |k: usize| reads.dense(k);
        let Work { pair, .. } = work;
        match self {
            Kernel::Chain(_) => {}
            Kernel::Product(product) => product.run([reads.get(0), reads.get(1)], out),
            Kernel::Convolve(convolution, wanted) => match crew {
                Some(crew) => convolution.shared(*wanted, [dense(0), dense(1)], out, pair, crew),
                None => convolution.run(*wanted, [dense(0), dense(1)], out, pair),
            },
            Kernel::Reduce(reduction) => reduction.run(dense(0), out, pair),
            Kernel::Softmax(n, log) => reduce::softmax(dense(0), *n, *log, out),
            Kernel::Copy(walk) => {
                let (from, offset) = reads.get(0);
                walk.gather(from, offset, out);
            }
            Kernel::Place(walk, offset) => {
                out.fill(T::ZERO);
                walk.scatter(dense(0), *offset, out);
            }
            Kernel::Concat(walks) => {
                walks.iter().enumerate().for_each(|(k, (walk, offset))| walk.scatter(dense(k), *offset, out));
            }
            Kernel::Gather(lookup) => return lookup.gather(dense(0), reads.dense_indices(1), out),
            Kernel::Scatter(lookup) => return lookup.scatter(dense(0), reads.dense_indices(1), out),
            Kernel::ToReal => copy::to_real(reads.dense_indices(0), out),
            // What gives indices is no step of reals.
            Kernel::ToIndex | Kernel::TopK(..) => {}
            Kernel::OneHot(classes) => return copy::one_hot(reads.dense_indices(0), *classes, out),
            Kernel::Pool(pool, Pooling::Sum) => pool.sum(dense(0), out),
            Kernel::Pool(pool, Pooling::Unpool) => pool.unpool(dense(0), out),
            Kernel::Pool(pool, Pooling::Pick) => pool.pick(dense(0), dense(1), out, &mut pair[0]),
            Kernel::Pool(pool, Pooling::Place) => pool.place(dense(0), dense(1), out, pair),
        }
        Ok(())
    }
}
