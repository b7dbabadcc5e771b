//! What is asked for: which grid, or which cloud.

use crate::error::{Error, Result};
use crate::loss::Loss;
use crate::machine::memory;
use crate::morse::cloud::Cloud;

/// What grid to take.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GridPlan {
    /// The parameters that vary; all of them where there are few.
    pub axes: Option<Vec<usize>>,
    /// Where the others stand, p numbers; the start of the seed unless given.
    pub at: Option<Vec<f64>>,
    /// The lowest and highest value of each axis; the loss's own box unless given.
    pub ranges: Option<Vec<[f64; 2]>>,
    /// Samples of each axis, one number for all of them, or none: as many as suit the number of axes.
    pub samples: Vec<usize>,
    /// The highest degree to compute; all unless given.
    pub max_degree: Option<usize>,
    /// Shorter bars are left out.
    pub simplify: f64,
}

/// What cloud to take.
#[derive(Clone, Debug, PartialEq)]
pub struct CloudPlan {
    /// The number of random points.
    pub points: usize,
    /// How much wider than the minima the box is, about its middle.
    pub scale: f64,
    /// The box itself, p intervals, in place of that of the minima.
    pub ranges: Option<Vec<[f64; 2]>>,
    /// Points above it are in no sublevel set.
    pub threshold: Option<f64>,
    /// The nearest points that each is joined with; 4 p unless given.
    pub k: Option<usize>,
    /// Whether degree 1 is computed too: the cycles of the graph, all half-lines.
    pub degree_1: bool,
    /// Bars of degree 0 that are shorter are cancelled.
    pub simplify: f64,
}

impl Default for CloudPlan {
    fn default() -> CloudPlan {
        CloudPlan {
            points: 100_000,
            scale: 2.0,
            ranges: None,
            threshold: None,
            k: None,
            degree_1: false,
            simplify: 0.0,
        }
    }
}

impl CloudPlan {
    /// Refuses what does not fit the loss, and clouds that no memory holds.
    pub fn check(&self, loss: &dyn Loss) -> Result<()> {
        let (p, points) = (loss.info().params, self.points as u64);
        let k = self.neighbours(p);
        if let Some(ranges) = self.ranges.as_ref().filter(|ranges| ranges.len() != p) {
            return Err(refused(format!("box: {} intervals, but the loss has {p} parameters", ranges.len())));
        }
        if points >= 1 << 31 {
            return Err(refused(format!("points = {points}: 2^31 or more")));
        }
        if k as u64 >= points {
            let others = points.max(1) - 1;
            return Err(refused(format!("k: {points} points have {others} neighbours each, and {k} are wanted")));
        }
        fits(Cloud::work(self.points, p, k), &format!("points: a cloud of {points} points in {p} dimensions"))
    }

    /// How many nearest points each is joined with in p dimensions.
    pub fn neighbours(&self, p: usize) -> usize {
        self.k.unwrap_or(4 * p)
    }
}

/// A plan that does not fit the loss or the machine.
pub(super) fn refused(text: String) -> Error {
    Error::Argument(text)
}

/// Refuses what needs more memory than there is, instead of being killed for it half-way.
pub(super) fn fits(bytes: u64, what: &str) -> Result<()> {
    memory::afford(Some(bytes)).map_err(|shortage| refused(format!("{what} {shortage}: take fewer")))
}
