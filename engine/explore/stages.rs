//! The loop over all stages.

use super::explored::{Explored, Found};
use super::explorer::Explorer;
use super::known::Known;
use super::plan::{Goal, Method, Plan, Way};
#[cfg(not(feature = "dense"))]
use super::progress::Notice;
use super::progress::Progress;
use crate::error::{Error, Result};
use crate::loss::oracle::Oracle;
use crate::run::{Budget, Ended};
use crate::sample::Samples;
use crate::search::{Descent, Journal, Minimum, Stage};

/// Explores a loss from what is known so far (empty at first). A stop is no error; see [`Ended`].
pub fn explore(
    oracle: &mut Oracle<'_>,
    plan: &Plan,
    known: impl Into<Known>,
    journal: &mut dyn Journal,
    progress: &mut dyn Progress,
) -> Result<Explored> {
    let mut explorer = Explorer::new(oracle, plan, known.into(), journal, progress)?;
    let samples = match explorer.all() {
        Ok(samples) => samples,
        Err(Error::Cancelled) => explorer.stopped(Ended::Cancelled),
        Err(Error::Budget(_)) => explorer.stopped(Ended::Budget),
        Err(error) => return Err(error),
    };
    let found = match (&plan.method, samples) {
        (Method::Paths, _) => Found::Paths,
        (_, Some(samples)) => Found::Samples(samples),
        (_, None) => Found::Unfinished,
    };
    // Who is asked to stop asks the loss nothing more.
    let passes = if explorer.ended == Ended::Cancelled { Vec::new() } else { explorer.at_passes()? };
    let Explorer { oracle, alignment, landscape, pairs, ended, .. } = explorer;
    let domain = alignment.betti(oracle.params());
    Ok(Explored { landscape: landscape.into_own(), ended, noise: oracle.noise(), found, passes, pairs, domain })
}

impl Explorer<'_, '_> {
    /// All stages of the method; what was sampled, if that was asked for and came to an end.
    fn all(&mut self) -> Result<Option<Samples>> {
        let plan = self.plan;
        if let Method::Grid(grid) = &plan.method {
            return self.stage(Stage::Grid, Budget::default(), |explorer| explorer.grid(grid));
        }
        self.stage(Stage::Minima, plan.minima_budget, Self::minima)?;
        if !self.landscape.minima.iter().any(Minimum::counts) {
            return if self.ended == Ended::Budget { Ok(None) } else { Err(self.nothing_found()) };
        }
        match &plan.method {
            // The box is that of all minima: without them there is none yet.
            Method::Cloud(_) if self.ended == Ended::Budget => Ok(None),
            Method::Cloud(cloud) => self.stage(Stage::Cloud, Budget::default(), |explorer| explorer.cloud(cloud)),
            _ => {
                // The search for all of them comes back to the paths by itself, at a place that a resumed run must not
                // come to earlier.
                let is_climbing = self.landscape.minima.iter().any(|minimum| minimum.evidence.survey.climbs > 0);
                if !is_climbing {
                    self.stage(Stage::Paths, plan.paths_budget, Self::paths)?;
                }
                #[cfg(feature = "dense")]
                if plan.goal == Goal::All {
                    self.stage(Stage::Saddles, plan.saddles_budget, Self::all_saddles)?;
                }
                #[cfg(not(feature = "dense"))]
                if plan.goal == Goal::All {
                    self.progress.note(Notice::NoEigensolver);
                }
                if plan.given().len() > 1 && plan.along > 0 {
                    self.stage(Stage::Pairs, Budget::default(), Self::pairs)?;
                }
                Ok(None)
            }
        }
    }

    fn minima(&mut self) -> Result<()> {
        match &self.plan.way {
            Way::Descents => self.descents(),
            Way::Hops(hop) => self.hops(hop),
            Way::Training(_) | Way::Given(_) => self.trained(),
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

    fn stopped(&mut self, by: Ended) -> Option<Samples> {
        self.ended = by;
        None
    }
}
