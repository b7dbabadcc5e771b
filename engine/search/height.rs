//! The height of a path: the maximum of the loss over the whole continuous curve, by bracketing.
//!
//! A maximum over samples is no bound: a pass between two of them is missed. Here every piece between two samples
//! whose values and slopes allow a maximum inside is refined at the peak of its cubic until the peaks and the
//! evaluated values agree (mathematics.md 4). What then remains is stored as the height's error.

use super::landscape::Profile;
use super::lbfgs::dot;
use super::polyline::Polyline;
use crate::error::Result;
use crate::loss::oracle::Oracle;

/// What is known of the loss along a curve.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Arc length, loss and slope at every sample, in order; a knot stands twice, with its slope on either side.
    pub profile: Profile,
    /// The largest value found; `INFINITY` when the loss is not finite somewhere.
    pub height: f64,
    /// An estimate of how far the curve's true maximum may lie above it.
    pub error: f64,
    /// Where: arc length and point.
    pub arc: f64,
    pub theta: Vec<f64>,
}

/// How carefully to measure.
#[derive(Clone, Copy, Debug)]
pub struct Care {
    /// Samples along the curve, evenly spaced, beside its knots, before refinement.
    pub samples: usize,
    /// Refine until peaks agree to this fraction of (height - higher end).
    pub precision: f64,
}

#[derive(Clone, Copy)]
struct Sample {
    arc: f64,
    piece: usize,
    loss: f64,
    slope: f64,
}

/// How many rows of p numbers are evaluated at once: enough to fill every worker, little enough to stay in memory.
fn rows_at_once(p: usize) -> usize {
    (4_000_000 / p).clamp(8, 512)
}

/// Measures the loss along a curve. Cost: about `samples` gradients, one a knot, and a dozen more round the top.
pub fn measure(oracle: &mut Oracle<'_>, line: &Polyline, care: Care) -> Result<Measured> {
    let arcs = line.arcs();
    let mut samples = sample(oracle, line, &arcs, &first_places(&arcs, care.samples))?;
    let (start, end) = (samples[0], samples[samples.len() - 1]);
    let places = near_ends(&samples, start.loss, end.loss);
    samples.extend(sample(oracle, line, &arcs, &places)?);
    for _round in 0..40 {
        samples.sort_by(|a, b| a.piece.cmp(&b.piece).then(a.arc.total_cmp(&b.arc)));
        let height = samples.iter().map(|s| s.loss).fold(f64::NEG_INFINITY, f64::max);
        let climb = height - start.loss.max(end.loss);
        let tolerance = (care.precision * climb).max(4.0 * f64::EPSILON * height.abs()).max(oracle.noise());
        let mut peaks: Vec<(f64, usize, f64)> = brackets(&samples)
            .filter(|(bound, piece, arc)| *bound > height + tolerance && resolvable(&samples, *piece, *arc))
            .collect();
        if peaks.is_empty() {
            break;
        }
        peaks.sort_by(|a, b| b.0.total_cmp(&a.0));
        peaks.truncate(32);
        let places: Vec<(usize, f64)> = peaks.iter().map(|&(_, piece, arc)| (piece, arc)).collect();
        samples.extend(sample(oracle, line, &arcs, &places)?);
    }
    samples.sort_by(|a, b| a.piece.cmp(&b.piece).then(a.arc.total_cmp(&b.arc)));
    Ok(summary(&samples, line, &arcs))
}

/// Both ends of every piece, and evenly spaced places inside those longer than the spacing.
fn first_places(arcs: &[f64], samples: usize) -> Vec<(usize, f64)> {
    let spacing = arcs[arcs.len() - 1] / (samples + 1) as f64;
    let inside = |piece: usize| {
        let (from, to) = (arcs[piece], arcs[piece + 1]);
        let steps = ((to - from) / spacing).ceil().clamp(1.0, (samples + 1) as f64) as usize;
        (0..=steps).map(move |i| (piece, if i == steps { to } else { from + (to - from) * i as f64 / steps as f64 }))
    };
    (0..arcs.len() - 1).flat_map(inside).collect()
}

/// A path leaves a minimum uphill, perhaps for a short while only: where the sample next to an end is lower than the
/// end, samples close in on it by quarters until the rise shows.
fn near_ends(samples: &[Sample], start: f64, end: f64) -> Vec<(usize, f64)> {
    let n = samples.len();
    let mut places = Vec::new();
    let mut close_in = |at: Sample, next: Sample, level: f64| {
        if next.loss < level && next.piece == at.piece {
            let fractions = (1..=12).map(|k| 0.25_f64.powi(k));
            places.extend(fractions.map(|u| (at.piece, at.arc + u * (next.arc - at.arc))));
        }
    };
    close_in(samples[0], samples[1], start);
    close_in(samples[n - 1], samples[n - 2], end);
    places
}

fn sample(oracle: &mut Oracle<'_>, line: &Polyline, arcs: &[f64], places: &[(usize, f64)]) -> Result<Vec<Sample>> {
    let p = line.params();
    let mut samples = Vec::with_capacity(places.len());
    for places in places.chunks(rows_at_once(p)) {
        let mut points = Vec::with_capacity(places.len() * p);
        places.iter().for_each(|&(_, arc)| points.extend(line.at(arcs, arc)));
        let (losses, gradients) = oracle.gradients(&points)?;
        for (k, &(piece, arc)) in places.iter().enumerate() {
            let width = arcs[piece + 1] - arcs[piece];
            let gradient = &gradients[k * p..(k + 1) * p];
            let along = dot(gradient, line.knot(piece + 1)) - dot(gradient, line.knot(piece));
            let slope = if width > 0.0 { along / width } else { 0.0 };
            // A wall is infinitely high and says nothing about slopes.
            let loss = if losses[k].is_finite() { losses[k] } else { f64::INFINITY };
            samples.push(Sample { arc, piece, loss, slope: if slope.is_finite() { slope } else { 0.0 } });
        }
    }
    Ok(samples)
}

/// For every interval that may hide a maximum: a bound on it, its piece, and where the cubic peaks.
fn brackets(samples: &[Sample]) -> impl Iterator<Item = (f64, usize, f64)> + '_ {
    samples.windows(2).filter(|w| w[0].piece == w[1].piece && w[1].arc > w[0].arc).filter_map(|w| {
        let (arc, peak) = hermite_peak(&w[0], &w[1])?;
        let overshoot = peak - w[0].loss.max(w[1].loss);
        // The cubic itself is wrong by an order of h^4; a quarter of its own overshoot stands for that.
        (overshoot > 0.0).then_some((peak + 0.25 * overshoot, w[0].piece, arc))
    })
}

/// False when a place is already sampled to the last bits.
fn resolvable(samples: &[Sample], piece: usize, arc: f64) -> bool {
    samples.iter().filter(|s| s.piece == piece).all(|s| (s.arc - arc).abs() > 1e-12 * (1.0 + arc.abs()))
}

/// The inner maximum of the cubic through two values and slopes: place and value.
fn hermite_peak(a: &Sample, b: &Sample) -> Option<(f64, f64)> {
    let h = b.arc - a.arc;
    let (f0, f1, d0, d1) = (a.loss, b.loss, a.slope * h, b.slope * h);
    if !f0.is_finite() || !f1.is_finite() {
        return None;
    }
    // f(u) = f0 + d0 u + c2 u^2 + c3 u^3 on [0, 1].
    let c2 = 3.0 * (f1 - f0) - 2.0 * d0 - d1;
    let c3 = 2.0 * (f0 - f1) + d0 + d1;
    let discriminant = c2 * c2 - 3.0 * c3 * d0;
    if discriminant < 0.0 {
        return None;
    }
    // The root where f'' = 2 c2 + 6 c3 u = -2 sqrt(discriminant) is the maximum; written without cancellation.
    let root = discriminant.sqrt();
    let u = if c2 <= 0.0 { d0 / (root - c2) } else { (-c2 - root) / (3.0 * c3) };
    (u > 0.0 && u < 1.0).then_some((a.arc + u * h, f0 + u * (d0 + u * (c2 + u * c3))))
}

fn summary(samples: &[Sample], line: &Polyline, arcs: &[f64]) -> Measured {
    let top = samples.iter().copied().reduce(|best, s| if s.loss > best.loss { s } else { best });
    let top = top.unwrap_or(Sample { arc: 0.0, piece: 0, loss: f64::INFINITY, slope: 0.0 });
    let bound = brackets(samples).map(|(bound, ..)| bound).fold(top.loss, f64::max);
    Measured {
        profile: Profile {
            arc: samples.iter().map(|s| s.arc).collect(),
            loss: samples.iter().map(|s| s.loss).collect(),
            slope: samples.iter().map(|s| s.slope).collect(),
        },
        height: top.loss,
        // Values are known to a few units of rounding at best.
        error: (bound - top.loss).max(4.0 * f64::EPSILON * top.loss.abs()),
        arc: top.arc,
        theta: line.at(arcs, top.arc),
    }
}
