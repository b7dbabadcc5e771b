//! The stage of a cloud: the loss at random points of a box round its minima, the minima among them, and the barcode of
//! the graph that joins each point with its nearest.
//!
//! The way of Barannikov et al., "Barcodes as summary of loss functions' topology" (arXiv 1912.00043), as their public
//! code goes it, with these differences: the box of the minima is scaled, not their convex hull, which has no volume
//! where they lie on a line or are few; neighbours are exact and edges go both ways; a point above the threshold stays
//! where it is, in no sublevel set, where theirs is drawn anew, so that no edge leaps over the hole it leaves; and bars
//! are cancelled by their length, not by the number of points in them.

use super::sampled::{Complex, fits, interval};
use super::{Explorer, Method, minima};
use crate::error::{Error, Result};
use crate::loss::Loss;
use crate::machine::pool::Pool;
use crate::morse::cloud::Cloud;
use crate::morse::graph::Graph;
use crate::npy::Array;
use crate::persistence::of_graph::{Wanted, canonical};
use crate::persistence::{Barcode, CellKind};
use crate::report::number::counted;
use crate::search::{CellId, Minimum};

/// Cells of more parameters than this are named without them.
const SHOWN: usize = 16;
/// The stream of random numbers: that of the starts is 0.
const STREAM: u64 = 1;
/// A box is flat along a parameter where the minima differ by less than this fraction of their widest difference.
const FLAT: f64 = 1e-6;

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
    /// Also degree 1: the cycles of the graph, all half-lines.
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
        let refuse = |text: String| Err(Error::Argument(format!("[complex] {text}")));
        if let Some(ranges) = self.ranges.as_ref().filter(|ranges| ranges.len() != p) {
            return refuse(format!("box: {} intervals, but the loss has {p} parameters", ranges.len()));
        }
        if points >= 1 << 31 {
            return refuse(format!("points = {points}: 2^31 or more"));
        }
        if k as u64 >= points {
            return refuse(format!(
                "k: {points} points have {} neighbours each, and {k} are wanted",
                points.max(1) - 1
            ));
        }
        fits(Cloud::work(self.points, p, k), &format!("points: a cloud of {points} points in {p} dimensions"))
    }

    fn neighbours(&self, p: usize) -> usize {
        self.k.unwrap_or(4 * p)
    }

    /// The box: that of the minima, scaled about its middle, within that of the loss.
    fn region(&self, minima: &[&Minimum], loss: &dyn Loss) -> Result<Vec<[f64; 2]>> {
        if let Some(ranges) = &self.ranges {
            return Ok(ranges.clone());
        }
        let along = |i: usize| minima.iter().map(move |m| m.theta[i]);
        let hull = |i: usize| [along(i).fold(f64::INFINITY, f64::min), along(i).fold(f64::NEG_INFINITY, f64::max)];
        let hull: Vec<[f64; 2]> = (0..loss.info().params).map(hull).collect();
        let widest = hull.iter().map(|[low, high]| high - low).fold(0.0, f64::max);
        if let Some(flat) = hull.iter().position(|[low, high]| high - low <= FLAT * widest) {
            let found = counted(minima.len() as u64, "minimum spans", "minima span");
            return Err(Error::Argument(format!(
                "[complex] box: the {found} nothing along parameter {flat}: say where to sample, box = [[-1, 1], ...], \
                 or raise [minima] starts"
            )));
        }
        let bounds = loss.bounds()?;
        let scaled = hull.iter().enumerate().map(|(i, [low, high])| {
            let (middle, half) = (0.5 * (low + high), 0.5 * self.scale * (high - low));
            let [low, high] = [middle - half, middle + half];
            bounds.as_ref().map_or([low, high], |b| [low.max(b.lower[i]), high.min(b.upper[i])])
        });
        Ok(scaled.collect())
    }
}

/// Points with the minima before them.
pub struct Points {
    /// A point a row.
    coordinates: Vec<f64>,
    params: usize,
    /// Number and loss of each minimum.
    minima: Vec<(CellId, f64)>,
    /// The cell of the first point that is no minimum; the others follow.
    first: CellId,
    k: usize,
    threshold: f64,
    wanted: Wanted,
}

impl Points {
    /// The cell of a vertex of the graph. Minima keep their numbers, which ascend.
    fn cell(&self, vertex: u64) -> CellId {
        match self.minima.get(vertex as usize) {
            Some((cell, _)) => *cell,
            None => self.first + (vertex - self.minima.len() as u64),
        }
    }

    /// The parameters of a vertex.
    fn place(&self, vertex: usize) -> &[f64] {
        &self.coordinates[vertex * self.params..][..self.params]
    }

    /// The barcode of the minima and of values at the other points.
    pub fn barcode(&self, values: Vec<f64>, pool: &Pool) -> Result<Barcode> {
        let within = |value: f64| if value > self.threshold { f64::INFINITY } else { value };
        let minima = self.minima.iter().map(|(_, loss)| *loss);
        let values: Vec<f64> = minima.chain(values).map(within).collect();
        let n = values.len();
        let cloud = Cloud::of_array(&Array { shape: vec![n, self.params], values: self.coordinates.clone().into() })?;
        let values = Array { shape: vec![n], values: values.into() };
        let graph = Graph::on_cloud(&cloud, values, self.k, None, false, pool)?;
        drop(cloud);
        let mut barcode = canonical(&graph.forest(pool), self.wanted).barcode(&graph);
        for bar in &mut barcode.bars {
            bar.birth_cell = self.cell(bar.birth_cell);
            if let Some(end) = &mut bar.end {
                end.cell = self.cell(end.cell);
                end.elder = end.elder.map(|elder| self.cell(elder));
            }
        }
        for cell in &mut barcode.cells {
            let vertex = cell.id as usize;
            if vertex < self.minima.len() && cell.degree == 0 {
                cell.kind = CellKind::Minimum;
            }
            if self.params <= SHOWN {
                cell.position = self.place(vertex).to_vec();
            }
            cell.id = self.cell(cell.id);
        }
        Ok(barcode)
    }
}

impl Explorer<'_, '_> {
    pub(super) fn cloud(&mut self) -> Result<()> {
        let Method::Cloud(plan) = &self.plan.method else { return Ok(()) };
        let minima: Vec<&Minimum> = self.landscape.minima.iter().filter(|m| m.counts()).collect();
        let region = plan.region(&minima, self.oracle.loss())?;
        let (params, k) = (self.oracle.params(), plan.neighbours(self.oracle.params()));
        let mut coordinates: Vec<f64> = minima.iter().flat_map(|m| &m.theta).copied().collect();
        let before = coordinates.len();
        let mut unit = minima::uniform(self.plan.seed, STREAM);
        coordinates.reserve_exact(plan.points * params);
        for _ in 0..plan.points {
            coordinates.extend(region.iter().map(|[low, high]| low + (high - low) * unit()));
        }
        let points = Points {
            params,
            minima: minima.iter().map(|m| (m.cell, m.loss)).collect(),
            first: self.landscape.next_cell(),
            k,
            threshold: plan.threshold.unwrap_or(f64::INFINITY),
            wanted: Wanted { degree_1: plan.degree_1, threshold: plan.simplify, ..Wanted::default() },
            coordinates,
        };
        let sides: Vec<String> = region.iter().map(|&side| interval(side)).collect();
        let sides = if params <= SHOWN { format!(" {}", sides.join(" x ")) } else { String::new() };
        let (drawn, minima) =
            (counted(plan.points as u64, "point", "points"), counted(minima.len() as u64, "minimum", "minima"));
        let mut notes =
            vec![format!("The samples: {minima} and {drawn} of the box{sides}, each joined with its {k} nearest.")];
        notes.extend(plan.threshold.map(|most| format!("Points above {} are in no sublevel set.", most)));
        if plan.simplify > 0.0 {
            notes.push(format!("Bars of degree 0 shorter than {} are cancelled.", plan.simplify));
        }
        self.values("cloud", plan.points, |sample, batch| {
            batch.extend(&points.coordinates[before + sample * params..][..params]);
        })?;
        self.sample(Complex::Cloud(points), notes)
    }
}
