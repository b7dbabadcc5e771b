//! A network's kinks: where they stand, and what the smooth networks round them tell of each.
//!
//! The kink of element e of operation k of sample s has the number s * (kinks of a sample) + (those of the operations
//! before) + e; kinks that no sample enters come behind those of all samples. A pass of linear kinks looks at one
//! piece, so what it found is kept piece by piece and told in the order of ids, whoever ran it.

use crate::real::Real;
use mountainpass_network::bent::Site;
use mountainpass_network::graph::kinks::OWN_SIDE;
use mountainpass_sdk::Slope;
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
    pub(super) all: Vec<(usize, Site)>,
    /// Slots of slopes.
    pub(super) slots: usize,
    /// Kinks of a sample.
    pub(super) each: usize,
    /// Kinks that no sample enters.
    pub(super) shared: usize,
}

/// A kink, found.
pub(super) struct Place {
    pub site: usize,
    pub sample: usize,
    pub element: usize,
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

    pub(super) fn place(&self, id: u64, n: usize) -> Option<Place> {
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
    pub(super) fn slopes<T: Real>(&self, given: &[Slope], samples: Range<usize>, n: usize) -> Vec<Vec<T>> {
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
    pieces: usize,
    /// Row by row, and piece by piece.
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
    pub fn new(sites: Arc<Sites>, slopes: Vec<Slope>, width: Option<f64>, (rows, pieces): (usize, usize)) -> Asked {
        let found = (0..rows * pieces).map(|_| Mutex::default()).collect();
        Asked { sites, slopes, width, pieces, found }
    }

    /// Looks at what the pass of piece `t` of a row has left: every z, then every derivative by h.
    pub(super) fn take(
        &self,
        (row, t): (usize, usize),
        ((first, count), n): ((usize, usize), usize),
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
        if let Some(found) = self.found.get(row * self.pieces + t) {
            *found.lock().unwrap_or_else(PoisonError::into_inner) = all;
        }
    }

    /// All that was found in each row, by id; what no sample enters is worth what it is to all pieces together.
    pub fn found(self) -> Vec<Vec<Found>> {
        let all = self.found.into_iter().map(|piece| piece.into_inner().unwrap_or_else(PoisonError::into_inner));
        let all: Vec<Vec<Found>> = all.collect();
        all.chunks(self.pieces.max(1)).map(|pieces| joined(pieces.concat())).collect()
    }
}

/// What pieces found, by id.
fn joined(mut all: Vec<Found>) -> Vec<Found> {
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
