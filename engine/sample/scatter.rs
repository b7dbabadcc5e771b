//! The samples of a cloud: random points of a box round the minima of a loss, the minima before them.
//!
//! The way of Barannikov et al., "Barcodes as summary of loss functions' topology" (arXiv 1912.00043), as their public
//! code goes it, with these differences: the box of the minima is scaled, not their convex hull, which has no volume
//! where they lie on a line or are few; neighbours are exact and edges go both ways; a point above the threshold stays
//! where it is, in no sublevel set, where theirs is drawn anew, so that no edge leaps over the hole it leaves; and bars
//! are cancelled by their length, not by the number of points in them.

use super::plan::{CloudPlan, refused};
use crate::counted::counted;
use crate::error::Result;
use crate::loss::Loss;
use crate::search::start::uniform;
use crate::search::{CellId, Landscape, Minimum};

/// The stream of random numbers: that of the starts is 0.
const STREAM: u64 = 1;
/// A box is flat along a parameter where the minima differ by less than this fraction of their widest difference.
const FLAT: f64 = 1e-6;

/// Points with the minima before them.
#[derive(Clone, Debug)]
pub struct Scatter {
    /// As which they were asked for.
    pub plan: CloudPlan,
    /// The box that points were drawn from.
    pub region: Vec<[f64; 2]>,
    /// Number and loss of each minimum.
    pub minima: Vec<(CellId, f64)>,
    /// A sample a row, the minima first.
    pub coordinates: Vec<f64>,
    /// The cell of the first point that is no minimum; the others follow.
    first: CellId,
}

impl Scatter {
    /// Draws points round the minima of a landscape.
    pub fn new(plan: &CloudPlan, seed: u64, landscape: &Landscape, loss: &dyn Loss) -> Result<Scatter> {
        let minima: Vec<&Minimum> = landscape.minima.iter().filter(|m| m.counts()).collect();
        let region = region(plan, &minima, loss)?;
        let mut coordinates: Vec<f64> = minima.iter().flat_map(|m| &m.theta).copied().collect();
        coordinates.reserve_exact(plan.points * region.len());
        let mut unit = uniform(seed, STREAM);
        for _ in 0..plan.points {
            coordinates.extend(region.iter().map(|[low, high]| low + (high - low) * unit()));
        }
        let minima = minima.iter().map(|m| (m.cell, m.loss)).collect();
        Ok(Scatter { plan: plan.clone(), region, minima, coordinates, first: landscape.next_cell() })
    }

    /// The number of parameters.
    pub fn params(&self) -> usize {
        self.region.len()
    }

    /// How many nearest samples each is joined with.
    pub fn neighbours(&self) -> usize {
        self.plan.neighbours(self.params())
    }

    /// The parameters of a sample.
    pub fn position(&self, sample: usize) -> &[f64] {
        &self.coordinates[sample * self.params()..][..self.params()]
    }

    /// Appends the parameters of a point, the minima not counted.
    pub fn point(&self, point: usize, to: &mut Vec<f64>) {
        to.extend_from_slice(self.position(self.minima.len() + point));
    }

    /// The cell of a sample. Minima keep their numbers, which ascend.
    pub fn cell(&self, sample: u64) -> CellId {
        match self.minima.get(sample as usize) {
            Some((cell, _)) => *cell,
            None => self.first + (sample - self.minima.len() as u64),
        }
    }
}

/// The box: that of the minima, scaled about its middle, within that of the loss.
fn region(plan: &CloudPlan, minima: &[&Minimum], loss: &dyn Loss) -> Result<Vec<[f64; 2]>> {
    if let Some(ranges) = &plan.ranges {
        return Ok(ranges.clone());
    }
    let along = |i: usize| minima.iter().map(move |m| m.theta[i]);
    let hull = |i: usize| [along(i).fold(f64::INFINITY, f64::min), along(i).fold(f64::NEG_INFINITY, f64::max)];
    let hull: Vec<[f64; 2]> = (0..loss.info().params).map(hull).collect();
    let widest = hull.iter().map(|[low, high]| high - low).fold(0.0, f64::max);
    if let Some(flat) = hull.iter().position(|[low, high]| high - low <= FLAT * widest) {
        let found = counted(minima.len() as u64, "minimum spans", "minima span");
        return Err(refused(format!(
            "box: the {found} nothing along parameter {flat}: say where to sample, box = [[-1, 1], ...], or take \
             more starts"
        )));
    }
    let bounds = loss.bounds()?;
    let scaled = hull.iter().enumerate().map(|(i, [low, high])| {
        let (middle, half) = (0.5 * (low + high), 0.5 * plan.scale * (high - low));
        let [low, high] = [middle - half, middle + half];
        bounds.as_ref().map_or([low, high], |b| [low.max(b.lower[i]), high.min(b.upper[i])])
    });
    Ok(scaled.collect())
}
