//! What an exploration is asked to do.

use super::given::{self, Given};
use crate::error::{Error, Result};
use crate::loss::oracle::Oracle;
use crate::loss::{Loss, Symmetry};
use crate::machine::memory;
use crate::run::{Budget, Cancel};
use crate::sample::{Axes, CloudPlan, GridPlan};
use crate::search::align::Alignment;
use crate::search::connect::Schedule;
use crate::search::hop::Hop;
use crate::search::minima::Recipe;
use crate::search::training::Training;

/// What an exploration is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// How the landscape is explored.
    pub method: Method,
    /// What of it is looked for.
    pub goal: Goal,
    /// The way to the first minima.
    pub way: Way,
    /// The number of starts, from seeds `seed`, `seed + 1`, ...
    pub starts: u64,
    /// The seed of the first start.
    pub seed: u64,
    /// Whether what was given or trained is then descended from by `recipe`; else it is taken as it is.
    pub polish: bool,
    /// How a descent is made.
    pub recipe: Recipe,
    /// When two points count as one.
    pub identify: Identify,
    /// Descents that pass this distance from zero have escaped; unless given, a million units of length from their start.
    pub radius: Option<f64>,
    /// Whether points are compared modulo the declared symmetries.
    pub align: bool,
    /// How paths are refined.
    pub schedule: Schedule,
    /// For every bar, so many paths beside the deciding one are relaxed too, in case one of them is lower, and then bent
    /// starts between its ends.
    pub alternatives: usize,
    /// So many of the paths that are next are worked on at once, each as if it were alone, and what they want of the loss
    /// is one batch. Part of the result: what the later ones come to may no longer be wanted.
    pub at_once: usize,
    /// Once so many way-stations are known, paths are no longer broken at new ones: a rough loss has no end of them.
    pub way_stations: usize,
    /// The highest index of the critical points that the search for all saddles looks for.
    pub index: usize,
    /// Along so many modes of a minimum at the most the search for all saddles climbs.
    pub modes: usize,
    /// At so many places the lines and ways between given points are told, both ends among them; 0 leaves pairs out. Part
    /// of no other result.
    pub along: usize,
    /// The budget of the stage of minima.
    pub minima_budget: Budget,
    /// The budget of the stage of paths.
    pub paths_budget: Budget,
    /// The budget of the search for all saddles.
    pub saddles_budget: Budget,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            method: Method::Paths,
            goal: Goal::Barcode,
            way: Way::Descents,
            starts: 8,
            seed: 26,
            polish: false,
            recipe: Recipe::POLISH,
            identify: Identify { loss: None },
            radius: None,
            align: true,
            schedule: Schedule::default(),
            alternatives: 4,
            at_once: 1,
            way_stations: 1000,
            index: 1,
            modes: usize::MAX,
            along: 25,
            minima_budget: Budget::default(),
            paths_budget: Budget::default(),
            saddles_budget: Budget::default(),
        }
    }
}

impl Plan {
    /// What points are matched by; a run is aligned where that is anything.
    pub fn alignment(&self, symmetries: &[Symmetry]) -> Alignment {
        if self.align { Alignment::new(symmetries) } else { Alignment::none() }
    }

    /// The oracle that the method needs, over `ids`: for a grid values are enough.
    pub fn oracle<'a>(
        &self,
        loss: &'a mut dyn Loss,
        ids: Option<&'a [u64]>,
        cancel: &Cancel,
        budget: Budget,
    ) -> Result<Oracle<'a>> {
        match self.method {
            Method::Grid(_) => Ok(Oracle::of_values(loss, ids, cancel, budget)),
            Method::Paths | Method::Cloud(_) => Oracle::new(loss, ids, cancel, budget),
        }
    }

    /// The points that were given, if any were.
    pub fn given(&self) -> &[Given] {
        if let Way::Given(points) = &self.way { points } else { &[] }
    }

    /// Whether points are taken as a training or a file has left them, above the minima below.
    pub fn leaves_points_as_they_are(&self) -> bool {
        !self.polish && matches!(self.way, Way::Training(_) | Way::Given(_))
    }

    /// Refuses what does not fit a loss, before anything is computed of it.
    pub fn check(&self, loss: &dyn Loss) -> Result<()> {
        self.check_way(loss)?;
        self.check_samples(loss)
    }

    /// Refuses a way to minima, or a search, that does not fit a loss.
    pub fn check_way(&self, loss: &dyn Loss) -> Result<()> {
        self.given().iter().try_for_each(|given| given.check(loss))?;
        given::check_ends(self.given())?;
        let info = loss.info();
        if let Some(needed) = self.forecast(info).map(|forecast| forecast.memory).filter(|n| *n > memory::total()) {
            let (needed, there) = (memory::gib(needed), memory::gib(memory::total()));
            let text = format!(
                "minima and their paths may need {needed} of memory, and this machine has {there}: take fewer \
                 starts, or visit each path less often"
            );
            return Err(Error::Argument(text));
        }
        if matches!(self.way, Way::Training(_)) && (info.samples == 0 || !info.caps.minibatch) {
            let why = if info.samples == 0 { "has no samples" } else { "takes no lists of samples" };
            let text = format!("{why}, and a recipe of minibatches needs them: leave it out");
            return Err(Error::Unsupported { backend: info.backend.clone(), text });
        }
        Ok(())
    }

    /// Refuses samples that a loss cannot have.
    pub fn check_samples(&self, loss: &dyn Loss) -> Result<()> {
        match &self.method {
            Method::Paths => Ok(()),
            Method::Grid(grid) => Axes::new(grid, self.seed, loss).map(drop),
            Method::Cloud(cloud) => cloud.check(loss),
        }
    }
}

/// The way to the first minima.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Way {
    /// A descent from each start, none of each other's business.
    #[default]
    Descents,
    /// One walk that hops from minimum to minimum, so often as there are starts.
    Hops(Hop),
    /// Each start is trained.
    Training(Training),
    /// Points in the place of starts.
    Given(Vec<Given>),
}

/// Where the complex comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Method {
    /// Minima and the lowest passes that paths between them find, in the whole space.
    #[default]
    Paths,
    /// A grid over a box of few parameters.
    Grid(GridPlan),
    /// Points in a box round the minima, and the graph of their nearest neighbours.
    Cloud(CloudPlan),
}

/// What of a landscape is looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Goal {
    /// What decides the bars of the sampled minima.
    #[default]
    Barcode,
    /// Every saddle between neighbouring basins.
    All,
}

/// When two minima are one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Identify {
    /// Losses further apart than this (times max(1, |loss|)) are not even compared; unless given, a small fraction of
    /// the landscape's unit. The rest is decided without any scale: two points are one minimum where the straight line
    /// between them, the nearest copies, does not rise.
    pub loss: Option<f64>,
}
