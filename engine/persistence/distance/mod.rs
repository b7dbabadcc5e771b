//! Distances between barcodes, one degree at a time: bottleneck and q-Wasserstein.
//!
//! The convention is the sup metric on (birth, death), so that leaving a bar alone costs half its length, as in GUDHI's
//! bottleneck distance and in hera with `internal_p = inf`; the q-Wasserstein distance is (sum cost^q)^(1/q). Half-lines
//! go to half-lines in the order of their births; different numbers of them are infinitely far apart. Zero-length bars
//! count for nothing. Both kinds bound how far functions are apart: bottleneck(f, g) <= sup |f - g|.
//!
//! One thread computes it, from sorted bars: the same two multisets give the same bits.

mod auction;
mod augment;
mod bottleneck;
mod line;
mod market;
mod tree;
mod wasserstein;

use super::Diagram;
use crate::error::{Error, Result};
use std::cmp::Ordering;
use tree::Point;
use wasserstein::Effort;

/// Up to so many finite bars on either side a Wasserstein distance is exact unless an error is asked for.
pub const EXACT: usize = 10_000;
/// Above, its relative error unless another one is asked for.
pub const RELATIVE_ERROR: f64 = 0.01;
/// An exact distance that nobody has asked for is given up after so many steps, for one with [`RELATIVE_ERROR`] at most.
/// A million take about a second. Steps are counted, not seconds: the same barcodes have the same distance everywhere.
pub const PATIENCE: u64 = 50_000_000;

/// Which distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Metric {
    /// The largest cost of a best matching, always exact.
    Bottleneck,
    /// (sum cost^order)^(1/order), order from 1 to infinity, where it is the bottleneck distance. `relative_error` may
    /// be 0 for an exact distance of any size; `None` is 0 up to [`EXACT`] bars (but see [`PATIENCE`]),
    /// [`RELATIVE_ERROR`] above.
    Wasserstein {
        /// From 1 to infinity.
        order: f64,
        /// How far off it may be.
        relative_error: Option<f64>,
    },
}

impl Metric {
    /// Its order and the relative error asked for.
    fn parameters(self) -> (f64, Option<f64>) {
        match self {
            Metric::Bottleneck => (f64::INFINITY, None),
            Metric::Wasserstein { order, relative_error } => (order, relative_error),
        }
    }
}

/// A distance, and what it was taken of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distance {
    /// The cost of a matching; infinite where the half-lines differ in number.
    pub value: f64,
    /// The distance is no less than this: proven by a dual solution. Equal to `value` where that is exact.
    pub lower: f64,
    /// Finite bars of positive length, and half-lines, of the first and of the second.
    pub bars: [usize; 2],
    /// Half-lines, alike.
    pub half_lines: [usize; 2],
}

impl Distance {
    /// True where `value` is the distance itself, but for the rounding of its sum.
    pub fn is_exact(&self) -> bool {
        self.value == self.lower
    }
}

/// Refuses what has no distance: numbers of the metric that make no sense, sublevel sets beside superlevel sets.
pub fn check(a: &Diagram, b: &Diagram, metric: Metric) -> Result<()> {
    let (order, relative_error) = metric.parameters();
    if order.is_nan() || order < 1.0 {
        return Err(Error::Argument(format!("the order of a Wasserstein distance is from 1 to inf: {order} is not")));
    }
    if let Some(error) = relative_error.filter(|error| !(0.0..1.0).contains(error)) {
        return Err(Error::Argument(format!("a relative error is from 0 to below 1: {error} is not")));
    }
    if let (Some(one), Some(other)) = (a.superlevel(), b.superlevel())
        && one != other
    {
        let text = "one barcode is of superlevel sets, the other of sublevel sets: no distance is defined between them";
        return Err(Error::Argument(text.to_owned()));
    }
    Ok(())
}

/// The distance of the bars of one degree. Bottleneck: memory O(n), seconds for 50,000 bars. Wasserstein: memory O(n).
pub fn distance(a: &Diagram, b: &Diagram, degree: u32, metric: Metric) -> Result<Distance> {
    check(a, b, metric)?;
    let (order, relative_error) = metric.parameters();
    let ((a, births_a), (b, births_b)) = (a.parts(degree), b.parts(degree));
    let (bars, half_lines) = ([a.len(), b.len()], [births_a.len(), births_b.len()]);
    let made = |(value, lower)| Distance { value, lower, bars, half_lines };
    if births_a.len() != births_b.len() {
        return Ok(made((f64::INFINITY, f64::INFINITY)));
    }
    let shifts: Vec<f64> = births_a.iter().zip(&births_b).map(|(x, y)| (x - y).abs()).collect();
    let bottleneck = shifts.iter().copied().fold(bottleneck::bottleneck(&a, &b), f64::max);
    if order == f64::INFINITY || bottleneck == 0.0 || bottleneck == f64::INFINITY {
        return Ok(made((bottleneck, bottleneck)));
    }
    let effort = match relative_error {
        Some(relative_error) => Effort { relative_error, patience: u64::MAX },
        None if a.len().max(b.len()) <= EXACT => Effort { relative_error: 0.0, patience: PATIENCE },
        None => Effort { relative_error: RELATIVE_ERROR, patience: u64::MAX },
    };
    // The sides are no equals to the auction: in an order of their own, both ways give the same bits.
    let (one, other) = if precedes(&b, &a) { (&b, &a) } else { (&a, &b) };
    Ok(made(wasserstein::wasserstein(one, other, &shifts, order, bottleneck, effort)))
}

/// Whether sorted bars come first: those that are fewer, or else begin with less.
fn precedes(a: &[Point], b: &[Point]) -> bool {
    let ends = |bars: &[Point]| bars.concat();
    let differ = || ends(a).iter().zip(&ends(b)).map(|(x, y)| x.total_cmp(y)).find(|order| order.is_ne());
    a.len().cmp(&b.len()).then_with(|| differ().unwrap_or(Ordering::Equal)).is_lt()
}

#[cfg(test)]
mod tests;
