//! A network's kinks: where they stand, the plans of the smooth networks round them, and what these tell of each kink.
//!
//! The kink of element e of operation k of sample s has the number s * (kinks of a sample) + (those of the operations
//! before) + e; kinks that no sample enters come behind those of all samples. A pass of linear kinks looks at one
//! piece, so what it found is kept piece by piece and told in the order of ids, whoever ran it.

use super::Network;
use crate::batch::{Mean, Wanted};
use crate::executor::{Executor, Input, Plan, Sources};
use crate::real::Real;
use mountainpass_network::bent::{BentProblem, Site, weights};
use mountainpass_network::graph::kinks::{self, OWN_SIDE};
use mountainpass_sdk::{Error, Host, Slope};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// What is run in passes.
pub(crate) enum Way {
    /// The network.
    Plain,
    /// The network smoothed at a width.
    Smoothed(f64),
    /// The network with linear kinks, which tells of them.
    Linear(Asked),
    /// The gradients of z, a sample at a time.
    Rows,
}

/// Of which of them a plan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bend {
    None,
    Smoothed,
    Linear,
    Rows,
}

impl Way {
    pub(super) fn bend(&self) -> Bend {
        match self {
            Way::Plain => Bend::None,
            Way::Smoothed(_) => Bend::Smoothed,
            Way::Linear(_) => Bend::Linear,
            Way::Rows => Bend::Rows,
        }
    }

    /// What stands in the slots behind the network's own, for some of `n` samples.
    pub(super) fn inputs<T: Real>(&self, samples: Range<usize>, n: usize) -> Vec<Vec<T>> {
        match self {
            Way::Smoothed(width) => vec![vec![T::from_f64(*width)]],
            Way::Linear(asked) => asked.sites.slopes(&asked.slopes, samples, n),
            Way::Plain | Way::Rows => Vec::new(),
        }
    }
}

/// Where the kinks of a network stand.
pub(crate) struct Sites {
    /// With the slot of its slopes, behind the network's own.
    all: Vec<(usize, Site)>,
    /// Slots of slopes.
    slots: usize,
    /// Kinks of a sample.
    each: usize,
    /// Kinks that no sample enters.
    shared: usize,
}

/// A kink, found.
struct Place {
    site: usize,
    sample: usize,
    element: usize,
}

impl Sites {
    /// How many kinks there are for `n` samples.
    pub fn count(&self, n: usize) -> u64 {
        self.each as u64 * n as u64 + self.shared as u64
    }

    /// The id of a site's first kink in a sample.
    fn first(&self, k: usize, sample: usize, n: usize) -> u64 {
        let is_shared = self.all[k].1.is_shared;
        let before = self.all[..k].iter().filter(|(_, site)| site.is_shared == is_shared);
        let before = before.map(|(_, site)| site.each as u64).sum::<u64>();
        if is_shared { self.each as u64 * n as u64 + before } else { sample as u64 * self.each as u64 + before }
    }

    fn place(&self, id: u64, n: usize) -> Option<Place> {
        let own = self.each as u64 * n as u64;
        let is_shared = id >= own;
        let (sample, mut element) = if is_shared {
            (0, usize::try_from(id - own).ok()?)
        } else {
            ((id / self.each as u64) as usize, (id % self.each as u64) as usize)
        };
        for (k, (_, site)) in self.all.iter().enumerate().filter(|(_, (_, site))| site.is_shared == is_shared) {
            if element < site.each {
                return Some(Place { site: k, sample, element });
            }
            element -= site.each;
        }
        None
    }

    /// The slopes of some samples, slot by slot: those given, and elsewhere none.
    fn slopes<T: Real>(&self, given: &[Slope], samples: Range<usize>, n: usize) -> Vec<Vec<T>> {
        let mut slots = vec![Vec::new(); self.slots];
        let count = samples.len();
        self.all.iter().for_each(|(slot, site)| slots[*slot] = vec![T::from_f64(OWN_SIDE); site.count(count)]);
        for slope in self.of(given, &samples, n) {
            if let Some(Place { site, sample, element }) = self.place(slope.id, n) {
                let (slot, site) = &self.all[site];
                slots[*slot][site.at(count, sample.saturating_sub(samples.start), element)] = T::from_f64(slope.t);
            }
        }
        slots
    }

    /// The slopes that some samples see, of all by id.
    fn of<'a>(
        &self,
        given: &'a [Slope],
        samples: &Range<usize>,
        n: usize,
    ) -> impl Iterator<Item = &'a Slope> + use<'a> {
        let from = |sample: usize| {
            let first = sample as u64 * self.each as u64;
            given.partition_point(|slope| slope.id < first)
        };
        given[from(samples.start)..from(samples.end)].iter().chain(&given[from(n)..])
    }
}

/// Which kinks a pass of linear ones is to tell of, and what it found.
pub(crate) struct Asked {
    sites: Arc<Sites>,
    /// By id.
    slopes: Vec<Slope>,
    /// The kinks nearer than this; without it those that have slopes.
    width: Option<f64>,
    /// Piece by piece.
    found: Vec<Mutex<Vec<Found>>>,
}

/// A kink in a pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Found {
    pub id: u64,
    pub z: f64,
    pub alpha: f64,
    pub delta: f64,
}

impl Asked {
    pub fn new(sites: Arc<Sites>, slopes: Vec<Slope>, width: Option<f64>, pieces: usize) -> Asked {
        let found = (0..pieces).map(|_| Mutex::default()).collect();
        Asked { sites, slopes, width, found }
    }

    /// Looks at what the pass of piece `t` has left: every z, then every derivative by h.
    pub(super) fn take(
        &self,
        (t, (first, count), n): (usize, (usize, usize), usize),
        scale: f64,
        output: impl Fn(usize) -> Vec<f64>,
    ) {
        let sites = &self.sites.all;
        let arrays: Vec<[Vec<f64>; 2]> = (0..sites.len()).map(|k| [output(k), output(sites.len() + k)]).collect();
        let found = |k: usize, sample: usize, element: usize| {
            let site = &sites[k].1;
            let at = site.at(count, sample, element);
            let id = self.sites.first(k, first + sample, n) + element as u64;
            Found { id, z: arrays[k][0][at], alpha: site.alpha, delta: scale * arrays[k][1][at] }
        };
        let mut all = Vec::new();
        match self.width {
            None => {
                let places = self.sites.of(&self.slopes, &(first..first + count), n);
                let places = places.filter_map(|slope| self.sites.place(slope.id, n));
                all.extend(places.map(|at| found(at.site, at.sample.saturating_sub(first), at.element)));
            }
            Some(width) => {
                for (k, (_, site)) in sites.iter().enumerate() {
                    let samples = if site.is_shared { 1 } else { count };
                    let kinks = (0..samples).flat_map(|i| (0..site.each).map(move |e| (i, e)));
                    all.extend(kinks.map(|(i, e)| found(k, i, e)).filter(|kink| kink.z.abs() < width));
                }
            }
        }
        if let Some(found) = self.found.get(t) {
            *found.lock().unwrap_or_else(PoisonError::into_inner) = all;
        }
    }

    /// All that was found, by id; what no sample enters is worth what it is to all pieces together.
    pub fn found(self) -> Vec<Found> {
        let pieces = self.found.into_iter().map(|piece| piece.into_inner().unwrap_or_else(PoisonError::into_inner));
        let mut all: Vec<Found> = pieces.flatten().collect();
        all.sort_by_key(|found| found.id);
        let mut joined: Vec<Found> = Vec::with_capacity(all.len());
        for found in all {
            match joined.last_mut() {
                Some(last) if last.id == found.id => last.delta += found.delta,
                _ => joined.push(found),
            }
        }
        joined
    }
}

impl<E: Executor> Network<E> {
    /// Where its kinks stand; an error where it jumps, or samples see each other.
    pub(crate) fn sites(&mut self) -> Result<Arc<Sites>, Error> {
        if let Some(sites) = &self.sites {
            return Ok(sites.clone());
        }
        let few = self.model.only().map_or(2, |(only, _)| only);
        let sites = Arc::new(self.found_sites(few)?);
        self.sites = Some(sites.clone());
        Ok(sites)
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
        let Some(sites) = &self.sites else { return Ok(()) };
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
        &mut self,
        host: Host<'_>,
        (laid, n): (&super::Laid<f64>, usize),
        theta: &[f64],
        slopes: &[Slope],
        out: &mut [f64],
    ) -> Result<(), Error> {
        let sites = self.sites()?;
        self.prepare(1, super::GRADIENT)?;
        let network = &*self;
        let plan = &network.prepared(1, super::GRADIENT)?.plan;
        let scratch: Vec<Mutex<super::MemoryOf<E, f64>>> =
            (0..host.workers().max(1)).map(|_| Mutex::default()).collect();
        let mut rows: Vec<(&mut [f64], Result<(), Error>)> =
            out.chunks_exact_mut(theta.len()).map(|row| (row, Ok(()))).collect();
        host.for_each(&mut rows, |(row, done), i, worker| {
            // Never contended, as a worker runs one body at a time.
            let mut scratch = scratch[worker].lock().unwrap_or_else(PoisonError::into_inner);
            let memory = scratch.of(plan);
            *done = network.row((plan, memory), &sites, (laid, n), theta, (slopes, i), row);
        });
        rows.into_iter().try_for_each(|(_, done)| done)
    }

    /// The row of slope `i`, in the network of its sample.
    fn row(
        &self,
        (plan, memory): (&E::Plan, &mut <E::Plan as Plan>::Memory<f64>),
        sites: &Sites,
        (laid, n): (&super::Laid<f64>, usize),
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
