//! The loop over all stages.

use super::births::Births;
use super::explored::{Explored, Found};
use super::explorer::Explorer;
use super::plan::{Method, Plan};
use crate::error::{Error, Result};
use crate::loss::Symmetry;
use crate::loss::oracle::Oracle;
use crate::run::{Budget, Ended, Progress};
use crate::sample::Sampled;
use crate::search::align::Alignment;
use crate::search::minima::{Domain, unit_of_length};
use crate::search::{Descent, Journal, Landscape, Minimum};

/// Explores a loss from what is known so far (empty at first). A stop is no error; see [`Ended`].
pub fn explore(
    oracle: &mut Oracle<'_>,
    plan: &Plan,
    known: Landscape,
    journal: &mut dyn Journal,
    progress: &mut dyn Progress,
) -> Result<Explored> {
    let symmetries: Vec<Symmetry> = oracle.loss().symmetries()?;
    let bounds = oracle.loss().bounds()?;
    let alignment = if plan.align { Alignment::new(&symmetries) } else { Alignment::none() };
    for kind in alignment.ignored() {
        progress.note(&format!("declared symmetry not used to identify points: {kind}"));
    }
    let length = unit_of_length(oracle.loss());
    oracle.set_length(length);
    let domain = Domain::new(bounds, &symmetries, oracle.params(), plan.radius, length);
    let aligned = !alignment.is_trivial();
    let (births, curvature, ended) = (Births::default(), None, Ended::Complete);
    let mut explorer =
        Explorer { oracle, plan, alignment, domain, landscape: known, births, curvature, ended, journal, progress };
    let sampled = match explorer.all() {
        Ok(sampled) => sampled,
        Err(Error::Cancelled) => explorer.stopped(Ended::Cancelled),
        Err(Error::Budget(_)) => explorer.stopped(Ended::Budget),
        Err(error) => return Err(error),
    };
    let found = match (&plan.method, sampled) {
        (Method::Paths, _) => Found::Paths,
        (_, Some(sampled)) => Found::Sampled(sampled),
        (_, None) => Found::Unfinished,
    };
    let Explorer { oracle, landscape, ended, .. } = explorer;
    Ok(Explored { landscape, ended, noise: oracle.noise(), aligned, found })
}

impl Explorer<'_, '_> {
    /// All stages of the method; what was sampled, if that was asked for and came to an end.
    fn all(&mut self) -> Result<Option<Sampled>> {
        let plan = self.plan;
        if let Method::Grid(grid) = &plan.method {
            return self.stage("grid", Budget::default(), |explorer| explorer.grid(grid));
        }
        self.stage("minima", plan.minima_budget, Self::minima)?;
        if !self.landscape.minima.iter().any(Minimum::counts) {
            return if self.ended == Ended::Budget { Ok(None) } else { Err(self.nothing_found()) };
        }
        match &plan.method {
            // The box is that of all minima: without them there is none yet.
            Method::Cloud(_) if self.ended == Ended::Budget => Ok(None),
            Method::Cloud(cloud) => self.stage("cloud", Budget::default(), |explorer| explorer.cloud(cloud)),
            _ => self.stage("paths", plan.paths_budget, Self::paths).map(|_| None),
        }
    }

    fn minima(&mut self) -> Result<()> {
        match self.plan.training.is_some() || !self.plan.given.is_empty() {
            true => self.trained(),
            false => self.descents(),
        }
    }

    fn nothing_found(&self) -> Error {
        let tried = self.landscape.minima.len();
        let escaped = self.landscape.minima.iter().filter(|m| m.descent == Descent::Escaped).count();
        let strays = tried - escaped;
        Error::Numeric(format!(
            "no minimum found: of {tried} starts {escaped} left the domain and {strays} were not finite"
        ))
    }

    fn stopped(&mut self, by: Ended) -> Option<Sampled> {
        self.ended = by;
        None
    }
}
