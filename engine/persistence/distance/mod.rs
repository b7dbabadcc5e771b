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

use super::Diagram;
use crate::error::{Error, Result};
use auction::Auction;
use market::{Cost, Market};

/// Up to so many finite bars on either side a Wasserstein distance is exact unless an error is asked for.
pub const EXACT: usize = 10_000;
/// Above, its relative error unless another one is asked for.
pub const RELATIVE_ERROR: f64 = 0.01;

/// Which distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Metric {
    /// The largest cost of a best matching, always exact.
    Bottleneck,
    /// (sum cost^order)^(1/order), order from 1 to infinity, where it is the bottleneck distance. `relative_error` may
    /// be 0 for an exact distance of any size; `None` is 0 up to [`EXACT`] bars, [`RELATIVE_ERROR`] above.
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
    let standard = if a.len().max(b.len()) <= EXACT { 0.0 } else { RELATIVE_ERROR };
    Ok(made(wasserstein(&a, &b, &shifts, order, bottleneck, relative_error.unwrap_or(standard))))
}

/// Above this order a matching's cost is divided by the bottleneck distance itself before it is raised to the power;
/// below, by a power of two, so that whole numbers stay whole.
const STEEP: f64 = 64.0;
/// From where on the auction may leave the rest of an exact computation to augmenting paths: a relative gap of the powers'
/// sums.
const HANDOVER: f64 = 0.01;
/// A relative error below this is had sooner by computing exactly.
const FINE: f64 = 1e-3;

/// Prices whose sum is so near the matching's cost prove it optimal: what is missing is rounding.
const ROUNDING: f64 = 1e-10;
/// So little is not worth an augmenting path.
const NOTHING: f64 = 1e-12;

/// The distance and its bound from below.
fn wasserstein(a: &[[f64; 2]], b: &[[f64; 2]], shifts: &[f64], q: f64, bottleneck: f64, error: f64) -> (f64, f64) {
    // All but the mantissa's bits of a normal number is the power of two below it.
    let power_of_two = f64::from_bits(bottleneck.to_bits() & (0x7ff << 52)).max(f64::MIN_POSITIVE);
    let cost = Cost { q, unit: if q <= STEEP { power_of_two } else { bottleneck } };
    let rest: f64 = shifts.iter().map(|&shift| cost.of(shift)).sum();
    let mut market = Market::new(a, b, cost);
    // The matching of the bottleneck distance costs no more.
    market.cap(cost.of(bottleneck) * (a.len() + b.len()) as f64);
    if line::align(&mut market) {
        let value = cost.root(market.total() + rest);
        return (value, value);
    }
    let rough = error >= FINE;
    let gap = if rough { q * error.ln_1p() } else { HANDOVER }; // (1 + error)^q - 1 is no less than that.
    let mut auction = Auction::new(&market);
    let mut tried = 0;
    let (total, bound) = loop {
        let bound = auction.round(&mut market) + rest;
        let (total, over) = (market.total() + rest, auction.is_over());
        if !over && total > (1.0 + gap) * bound {
            continue;
        }
        if rough || total - bound <= NOTHING * total || over && total - bound <= ROUNDING * total {
            break (total, bound);
        }
        // How much the prices leave to augmenting paths is not to be told from the gap: where few bars are dear it may be
        // small and the others' prices worthless. So paths are tried, for as long as the auction took, and again once it
        // has taken twice as long.
        if over || auction.work >= 2 * tried {
            let mut attempt = market.clone();
            attempt.cap(total - rest);
            if augment::augment(&mut attempt, if over { u64::MAX } else { auction.work }) {
                break (attempt.total() + rest, attempt.bound() + rest);
            }
            tried = auction.work;
        }
    };
    let proven = !rough && total - bound <= ROUNDING * total;
    let value = cost.root(total);
    (value, if proven { value } else { cost.root(bound.max(0.0)).min(value) })
}

#[cfg(test)]
mod tests;
