//! The plans of the smooth networks round a network's kinks, and the gradients of z.

use super::kinks::{Bend, Sites};
use super::programs::MemoryOf;
use super::{GRADIENT, Laid, Network};
use crate::batch::Wanted;
use crate::executor::{Executor, Input, Plan, Sources};
use crate::shelf::Shelf;
use mountainpass_network::bent::{BentProblem, Site, weights};
use mountainpass_network::graph::kinks;
use mountainpass_sdk::{Error, Host, Slope};
use std::sync::Arc;

impl<E: Executor> Network<E> {
    /// Where its kinks stand; an error where it jumps, or samples see each other.
    pub(crate) fn sites(&self) -> Result<Arc<Sites>, Error> {
        if let Some(sites) = self.sites.get() {
            return Ok(sites.clone());
        }
        let few = self.model.only().map_or(2, |(only, _)| only);
        let sites = Arc::new(self.found_sites(few)?);
        Ok(self.sites.get_or_init(|| sites).clone())
    }

    fn found_sites(&self, n: usize) -> Result<Sites, Error> {
        let sites = self.bent_problem(n, kinks::Bend::Kept)?.sites(n)?;
        let linear = self.bent_problem(n, kinks::Bend::Linear(self.slots.all.len()))?;
        let own = self.slots.all.len();
        let total =
            |is_shared: bool| sites.iter().filter(|site| site.is_shared == is_shared).map(|site| site.each).sum();
        Ok(Sites {
            each: total(false),
            shared: total(true),
            slots: weights(&linear.kinks).saturating_sub(own),
            all: linear.kinks.iter().map(|kink| kink.slot - own).zip(sites.iter().copied()).collect(),
        })
    }

    fn bent_problem(&self, n: usize, bend: kinks::Bend) -> Result<BentProblem, Error> {
        BentProblem::new(&*self.model, &self.objective, (self.slots.aim, self.slots.factors), n, bend)
    }

    /// The plan of a bent problem: losses, gradient and product; of linear kinks also every z, and every derivative by h.
    pub(super) fn bent_plan(&self, n: usize, wanted: Wanted, bend: Bend) -> Result<E::Plan, Error> {
        let own = self.slots.all.len();
        let problem = match bend {
            Bend::Smoothed => self.bent_problem(n, kinks::Bend::Smoothed(own))?,
            _ => self.bent_problem(n, kinks::Bend::Linear(own))?,
        };
        let mut outputs = vec![problem.losses];
        if let Wanted::Derivatives { grad, hvp } = wanted {
            outputs.extend(problem.gradient.iter().filter(|_| grad));
            outputs.extend(problem.product.iter().filter(|_| hvp));
        }
        match bend {
            Bend::Rows => outputs = problem.rows.clone(),
            Bend::Linear => {
                outputs.extend(problem.kinks.iter().map(|kink| kink.z));
                outputs.extend(&problem.deltas);
            }
            Bend::None | Bend::Smoothed => {}
        }
        if bend != Bend::Smoothed {
            self.fits(&problem, n)?;
        }
        self.executor.plan(&problem.graph, &outputs)
    }

    /// Whether the problem of so many samples has the kinks of the others.
    fn fits(&self, problem: &BentProblem, n: usize) -> Result<(), Error> {
        let Some(sites) = self.sites.get() else { return Ok(()) };
        let size = |k: usize| problem.graph.shape(problem.kinks[k].z).iter().product::<usize>();
        let is_same = problem.kinks.len() == sites.all.len()
            && sites.all.iter().enumerate().all(|(k, (_, site))| size(k) == site.count(n));
        match is_same {
            true => Ok(()),
            false => Err(Error::unsupported(format!("the kinks of {n} samples are others than those of few"))),
        }
    }

    /// The gradients of z of `slopes`, row by row, where all kinks of `n` samples have them; what is run is [`Way::Rows`].
    pub(crate) fn rows(
        &self,
        (host, scratch): (Host<'_>, &Shelf<MemoryOf<E, f64>>),
        (laid, n): (&Laid<f64>, usize),
        theta: &[f64],
        slopes: &[Slope],
        out: &mut [f64],
    ) -> Result<(), Error> {
        let sites = self.sites()?;
        let program = self.prepared((1, 1), GRADIENT)?;
        let mut rows: Vec<(&mut [f64], Result<(), Error>)> =
            out.chunks_exact_mut(theta.len()).map(|row| (row, Ok(()))).collect();
        host.for_each(&mut rows, |(row, done), i, _| {
            *done = scratch.with(|scratch| {
                let memory = scratch.memories.of(&program.plan);
                self.row((&program.plan, memory), &sites, (laid, n), theta, (slopes, i), row)
            });
        });
        rows.into_iter().try_for_each(|(_, done)| done)
    }

    /// The row of slope `i`, in the network of its sample.
    fn row(
        &self,
        (plan, memory): (&E::Plan, &mut <E::Plan as Plan>::Memory<f64>),
        sites: &Sites,
        (laid, n): (&Laid<f64>, usize),
        theta: &[f64],
        (slopes, i): (&[Slope], usize),
        row: &mut [f64],
    ) -> Result<(), Error> {
        let unknown = || Error::argument(format!("there is no kink {}", slopes[i].id));
        let at = sites.place(slopes[i].id, n).ok_or_else(unknown)?;
        let samples = at.sample..at.sample + 1;
        let bent: Vec<Vec<f64>> = sites.slopes(slopes, samples.clone(), n);
        let weight = |k: usize, site: &Site| {
            let mut weight = vec![0.0; site.count(1)];
            if k == at.site {
                weight[at.element] = 1.0;
            }
            weight
        };
        let weights: Vec<Vec<f64>> = sites.all.iter().enumerate().map(|(k, (_, site))| weight(k, site)).collect();
        let inputs = laid.inputs(&self.slots, samples);
        let mut inputs = inputs[..self.slots.all.len()].to_vec();
        inputs.extend(bent.iter().chain(&weights).map(|values| Input::Real(values)));
        plan.run(None, memory, Sources { inputs: &inputs, theta, direction: &[] }, &|| false)?;
        self.collect(memory, 0, 1.0, false, row);
        Ok(())
    }
}
