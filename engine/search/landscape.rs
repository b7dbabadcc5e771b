//! What a search has found: minima, paths between them, and on each path its pass.
//!
//! Every minimum and every pass is a cell of the Morse complex and has one number, in the order of discovery; the
//! same numbers stand in the database, in `barcode.json` and in the report.

use super::kinked::Certificate;
use super::metric::Metric;
use super::pair::Pair;
use crate::loss::oracle::Tally;
pub use crate::pass::PassKind;
use crate::spelled::spelled;
use serde::{Deserialize, Serialize};

/// The number of a cell: a minimum or a pass.
pub type CellId = u64;
/// The number of a path; paths are numbered by themselves.
pub type PathId = u64;

spelled! {
    /// A stage of an exploration, by the word under which what it evaluates is kept and told.
    pub enum Stage {
        /// Starts become minima.
        Minima = "minima",
        /// Straight lines between minima are measured; what that takes counts among the paths.
        Lines = "lines",
        /// The paths that decide bars are worked on.
        Paths = "paths",
        /// All saddles are looked for.
        Saddles = "saddles",
        /// The samples of a grid get their values.
        Grid = "grid",
        /// The samples of a cloud get theirs.
        Cloud = "cloud",
        /// Two landscapes become one.
        Merge = "merge",
        /// What lies between given points is measured.
        Pairs = "pairs",
    }
}

/// Where a minimum comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Descent from the backend's start for a seed: a *sampled* minimum, whose bar is a target.
    Start {
        /// Of the start.
        seed: u64,
    },
    /// One of the points that the caller gave, by its place among them; `name` is the file it came from, or what the
    /// caller calls it. Sampled, too.
    Given {
        /// Its place among them.
        index: u64,
        /// Its file, or what the caller calls it.
        name: String,
    },
    /// Found on the way between two others: a way-station and a lower point, never a target.
    Transit {
        /// The path it was found on.
        path: PathId,
    },
}

/// How a descent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Descent {
    /// The gradient norm is below tolerance and no eigenvalue is clearly negative.
    Converged,
    /// The budget of the descent ended first; the bar is flagged.
    Unconverged,
    /// It left the box or passed the radius; it decides no bar.
    Escaped,
    /// The loss was not finite at the start; nothing was found.
    NotFinite,
}

/// How eigenvalues were computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spectrum {
    /// All of them, of the whole Hessian.
    Dense,
    /// The lowest few, by Lanczos: no proof that none is lower.
    Iterative,
}

/// Why we believe that a critical point is one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// At its end.
    pub gradient_norm: f64,
    /// The lowest eigenvalues of the Hessian, up to the first positive one; empty when none were computed.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub eigenvalues: Vec<f64>,
    /// Eigenvalues within tau of zero are undecided.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tau: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    /// How they were computed.
    pub spectrum: Option<Spectrum>,
    /// The number of tangents of declared continuous symmetries that were projected out of the Hessian.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub projected: usize,
    /// The minima in which the two descents from a saddle end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ends: Option<(CellId, CellId)>,
    /// What is known of the kinks that are at their edge there; of a loss that bends, then, gradient and eigenvalues are those
    /// along them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kinks: Option<Box<Certificate>>,
    /// What the search for all saddles knows of it.
    #[serde(skip_serializing_if = "Survey::is_none", default)]
    pub survey: Survey,
}

/// What the search for all saddles knows of a minimum, or of a saddle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Survey {
    /// How many climbs began at the point: two along each mode, the lowest modes first.
    #[serde(skip_serializing_if = "is_nought")]
    pub climbs: u32,
    /// How many climbs led to the saddle.
    #[serde(skip_serializing_if = "is_nought")]
    pub found: u32,
    /// Along which mode the first of them went, the lowest is 1; 0 where a path found the saddle.
    #[serde(skip_serializing_if = "is_nought")]
    pub mode: u32,
    /// Whether it was asked if an earlier path leads over the same saddle.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub looked: bool,
    /// An earlier path does: that one lists the saddle.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub copy: bool,
    /// Whether the gradient flow from the saddle was followed after a path had found it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub flowed: bool,
    /// The minima in which the gradient flow from the saddle ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boundary: Option<(CellId, CellId)>,
    /// Of a point of index 2 and above its boundary modulo 2: the points one index lower to which an odd number of lines of
    /// flow run. `None` where that was not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub faces: Option<Vec<CellId>>,
}

impl Survey {
    /// Where nobody asked for all saddles.
    pub fn is_none(&self) -> bool {
        *self == Survey::default()
    }
}

fn is_nought(count: &u32) -> bool {
    *count == 0
}

impl Evidence {
    /// How many of the eigenvalues are surely below zero.
    pub fn negative(&self) -> usize {
        let tau = self.tau.unwrap_or(0.0);
        self.eigenvalues.iter().filter(|value| **value < -tau).count()
    }

    /// How many kinks are at their edge there.
    pub fn edges(&self) -> u64 {
        self.kinks.as_ref().map_or(0, |kinks| kinks.active.len() as u64)
    }

    /// How many of the eigenvalues may have either sign.
    pub fn undecided(&self) -> usize {
        let tau = self.tau.unwrap_or(0.0);
        self.eigenvalues.iter().filter(|value| value.abs() <= tau).count()
    }
}

/// Most losses have no continuous symmetry: nothing is written then.
pub(crate) fn is_zero(projected: &usize) -> bool {
    *projected == 0
}

/// One minimum, or what a descent left that is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Minimum {
    /// The number of its cell; minima and passes are numbered together.
    pub cell: CellId,
    /// Where it comes from.
    pub origin: Origin,
    /// How its descent ended.
    pub descent: Descent,
    /// The point.
    pub theta: Vec<f64>,
    /// The loss there.
    pub loss: f64,
    /// What speaks for its being a minimum.
    pub evidence: Evidence,
    /// The minimum this one is a copy of (under the declared symmetries when aligned); it then decides nothing.
    pub same_as: Option<CellId>,
    /// The loss's own metrics, in the backend's order, and what else is known beside the loss.
    pub metrics: Vec<(Metric, f64)>,
    /// Evaluations the descent cost.
    pub evaluations: u64,
}

impl Minimum {
    /// True for minima that stand for themselves: converged or flagged, but no copy, escape or failure.
    pub fn counts(&self) -> bool {
        self.same_as.is_none() && matches!(self.descent, Descent::Converged | Descent::Unconverged)
    }

    /// The seed of its start, if it came from one.
    pub fn seed(&self) -> Option<u64> {
        match self.origin {
            Origin::Start { seed } => Some(seed),
            Origin::Given { .. } | Origin::Transit { .. } => None,
        }
    }

    /// True when its bar is a target of the search.
    pub fn is_sampled(&self) -> bool {
        !matches!(self.origin, Origin::Transit { .. })
    }
}

/// The loss along a path: arc lengths, values and slopes (derivatives by arc length) at the samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// Arc lengths, ascending from 0.
    pub arc: Vec<f64>,
    /// The loss at each.
    pub loss: Vec<f64>,
    /// The derivative of the loss along the path, at each sample.
    pub slope: Vec<f64>,
}

/// How far the search has gone on a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathState {
    /// A straight line, or one with its middle moved aside, measured.
    Straight,
    /// Optimised, not converged.
    Relaxed,
    /// The same, but neither its valleys nor its top have been looked at since its last visit.
    Fresh,
    /// Optimised until its top no longer moved.
    Converged,
    /// Runs through an intermediate minimum and was replaced by its pieces.
    Split,
}

/// The highest point of a path.
#[derive(Clone, Debug, PartialEq)]
pub struct Pass {
    /// The number of its cell; minima and passes are numbered together.
    pub cell: CellId,
    /// What is known of it.
    pub kind: PassKind,
    /// The bracketed maximum: an upper bound on the lowest pass between the path's ends.
    pub height: f64,
    /// How far the true maximum of this path may lie above `height`.
    pub error: f64,
    /// The arc length from the path's begin to the pass.
    pub arc: f64,
    /// The point.
    pub theta: Vec<f64>,
    /// Set once the pass is a verified saddle, or tells why it is none.
    pub evidence: Option<Evidence>,
    /// Why it is not a verified saddle, when that was tried: [`Rejected`](super::Rejected) in words, as a database keeps
    /// it. Nothing depends on it.
    pub reason: Option<String>,
}

impl Pass {
    /// What the search for all saddles knows of it, if it is a verified saddle.
    pub fn survey(&self) -> Option<&Survey> {
        let verified = self.kind.is_verified();
        self.evidence.as_ref().filter(|_| verified).map(|evidence| &evidence.survey)
    }
}

/// A measured curve between two minima.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// Which path it is.
    pub id: PathId,
    /// The cells of the minima at its ends.
    pub ends: (CellId, CellId),
    /// How far the search has come with it.
    pub state: PathState,
    /// The polyline, ends included, `knots x p`, already in the space of `ends` (alignment applied to the second).
    pub knots: Vec<f64>,
    /// What was measured along it.
    pub profile: Profile,
    /// Its highest point.
    pub pass: Pass,
    /// How often the search has worked on it.
    pub visits: u32,
}

/// A critical point of index 2 or above.
#[derive(Clone, Debug, PartialEq)]
pub struct Critical {
    /// The number of its cell.
    pub cell: CellId,
    /// How many eigenvalues are negative.
    pub index: usize,
    /// The point.
    pub theta: Vec<f64>,
    /// The loss there.
    pub loss: f64,
    /// What speaks for its being one.
    pub evidence: Evidence,
}

impl Path {
    /// True where its pass is a verified saddle, and no earlier path's is known to be the same one.
    pub fn is_listed(&self) -> bool {
        self.pass.kind.is_verified() && !self.pass.survey().is_some_and(|survey| survey.copy)
    }
}

/// Everything found so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Landscape {
    /// In the order they were found.
    pub minima: Vec<Minimum>,
    /// In the order they were begun.
    pub paths: Vec<Path>,
    /// Evaluations by stage, in the order the stages first ran.
    pub evaluations: Vec<(Stage, Tally)>,
    /// Critical points of index 2 and above, where they were asked for.
    pub critical: Vec<Critical>,
}

impl Landscape {
    /// Adds what was spent to a stage; the stage's total.
    pub fn spend(&mut self, stage: Stage, spent: Tally) -> Tally {
        let stages = &mut self.evaluations;
        let at = stages.iter().position(|(known, _)| *known == stage).unwrap_or_else(|| {
            stages.push((stage, Tally::default()));
            stages.len() - 1
        });
        let total = &mut stages[at].1;
        total.loss += spent.loss;
        total.gradient += spent.gradient;
        total.hessian_product += spent.hessian_product;
        *total
    }

    /// The number of the next cell: behind the newest ones, whether or not all before them are still there.
    pub fn next_cell(&self) -> CellId {
        let newest = [
            self.minima.last().map(|m| m.cell),
            self.paths.last().map(|p| p.pass.cell),
            self.critical.last().map(|c| c.cell),
        ];
        newest.into_iter().flatten().max().map_or(0, |cell| cell + 1)
    }

    /// The number of the next path.
    pub fn next_path(&self) -> PathId {
        self.paths.last().map_or(0, |p| p.id + 1)
    }

    /// The minimum with this cell number.
    pub fn minimum(&self, cell: CellId) -> Option<&Minimum> {
        self.minima.iter().find(|m| m.cell == cell)
    }

    /// The paths over verified saddles, one for each saddle.
    pub fn listed(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter().filter(|path| path.is_listed())
    }

    /// The path with this number.
    pub fn path(&self, id: PathId) -> Option<&Path> {
        self.paths.iter().find(|p| p.id == id)
    }
}

/// Something found, to be kept. A finding whose number is already kept replaces it.
#[derive(Clone, Copy, Debug)]
pub enum Finding<'a> {
    /// A minimum, new or changed.
    Minimum(&'a Minimum),
    /// A path, new or changed.
    Path(&'a Path),
    /// A critical point of index 2 or above, new or changed.
    Critical(&'a Critical),
    /// What one stage has spent so far.
    Evaluations(Stage, Tally),
    /// Values of a sampled loss, from this sample on; they follow those that are kept already.
    Values(u64, &'a [f64]),
    /// What two evaluations of one loss may differ by.
    Noise(f64),
    /// What lies between two given points.
    Pair(&'a Pair),
}

/// Where findings are kept as they are made; the landscape database is one.
pub trait Journal {
    /// Keeps findings that belong together: all of them or none.
    fn commit(&mut self, findings: &[Finding<'_>]) -> crate::Result<()>;
}

/// Keeps nothing.
pub struct Unrecorded;

impl Journal for Unrecorded {
    fn commit(&mut self, _: &[Finding<'_>]) -> crate::Result<()> {
        Ok(())
    }
}
