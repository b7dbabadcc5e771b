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
mod ground;
mod line;
mod market;
mod tree;
mod wasserstein;

use super::diagram::{Diagram, Parts};
use crate::error::{Error, Result};
use ground::Point;
use std::cmp::Ordering;
use wasserstein::{Effort, Found};

pub use ground::Ground;
pub use wasserstein::RELATIVE_ERROR;

/// Up to so many finite bars on either side a Wasserstein distance is exact unless an error is asked for.
pub const EXACT: usize = 10_000;
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

/// The distance of the bars of one degree, of the sup metric. Bottleneck: memory O(n), seconds for 50,000 bars.
/// Wasserstein: memory O(n), but O(n^2) bits where all bars share one end.
pub fn distance(a: &Diagram, b: &Diagram, degree: u32, metric: Metric) -> Result<Distance> {
    Ok(compare(a, b, degree, metric, Ground::Sup, false)?.0)
}

/// Two bars that are matched, or one that stays alone: indices into the intervals of either barcode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// Of the first barcode; `None` where that of the second stays alone.
    pub a: Option<usize>,
    /// Of the second.
    pub b: Option<usize>,
    /// The distance of the two, or of the one from the diagonal.
    pub cost: f64,
}

/// As [`distance`], of any ground, with a matching that has this distance: no bar of positive length is left out, and
/// those of the first barcode come first, in its order. There is none where the distance is infinite. Of a bottleneck
/// distance only the largest cost is the least there is.
pub fn matching(
    a: &Diagram,
    b: &Diagram,
    degree: u32,
    metric: Metric,
    ground: Ground,
) -> Result<(Distance, Vec<Match>)> {
    compare(a, b, degree, metric, ground, true)
}

/// The distance, and the matching if it is wanted.
fn compare(
    a: &Diagram,
    b: &Diagram,
    degree: u32,
    metric: Metric,
    ground: Ground,
    matched: bool,
) -> Result<(Distance, Vec<Match>)> {
    check(a, b, metric)?;
    let (order, relative_error) = metric.parameters();
    let parts = [a.parts(degree), b.parts(degree)];
    let kinds = || parts[0].ends.iter().zip(&parts[1].ends);
    let count = |part: &Parts| part.ends.iter().map(Vec::len).sum();
    let (bars, half_lines) = (parts.each_ref().map(|part| part.bars.len()), parts.each_ref().map(count));
    let made = |value, lower| Distance { value, lower, bars, half_lines };
    if kinds().any(|(x, y)| x.len() != y.len()) {
        return Ok((made(f64::INFINITY, f64::INFINITY), Vec::new()));
    }
    let pairs = || kinds().flat_map(|(x, y)| x.iter().zip(y)).map(|(x, y)| (x.1, y.1, (x.0 - y.0).abs()));
    let shifts: Vec<f64> = pairs().map(|(_, _, shift)| shift).collect();
    // Powers of two: nothing is lost.
    let unit = ground.unit(parts.iter().flat_map(|part| &part.bars).flat_map(|bar| bar.0));
    let [one, other] =
        parts.each_ref().map(|part| part.bars.iter().map(|bar| bar.0.map(|x| x / unit)).collect::<Vec<_>>());
    let shifts: Vec<f64> = shifts.iter().map(|shift| shift / unit).collect();
    let bottleneck = shifts.iter().copied().fold(bottleneck::bottleneck(&one, &other, ground), f64::max);
    let found = if order == f64::INFINITY || bottleneck == 0.0 || bottleneck == f64::INFINITY {
        let mate = if matched { bottleneck::matching(&one, &other, ground, bottleneck) } else { Vec::new() };
        Found { value: bottleneck, lower: bottleneck, mate }
    } else {
        let effort = match relative_error {
            Some(relative_error) => Effort { relative_error, patience: u64::MAX },
            None if one.len().max(other.len()) <= EXACT => Effort { relative_error: 0.0, patience: PATIENCE },
            None => Effort { relative_error: RELATIVE_ERROR, patience: u64::MAX },
        };
        let way = |sides| wasserstein::wasserstein(sides, &shifts, ground, order, bottleneck, effort);
        // The sides are no equals to the auction: in an order of their own, both ways give the same bits.
        match precedes(&other, &one) {
            true => way([&other, &one]).turned(one.len()),
            false => way([&one, &other]),
        }
    };
    let distance = made(found.value * unit, found.lower * unit);
    if !matched {
        return Ok((distance, Vec::new()));
    }
    let mut list: Vec<Match> = pairs().map(|(i, j, cost)| Match { a: Some(i), b: Some(j), cost }).collect();
    let index = parts.each_ref().map(|part| part.bars.iter().map(|bar| bar.1).collect::<Vec<_>>());
    let finite = matches([&one, &other], &found.mate, ground);
    list.extend(finite.map(|Match { a, b, cost }| Match {
        a: a.map(|i| index[0][i]),
        b: b.map(|j| index[1][j]),
        cost: unit * cost,
    }));
    list.sort_by_key(|found| (found.a.is_none(), found.a, found.b));
    Ok((distance, list))
}

/// A matching as it is told: the pairs and single bars of the first side, then who is left of the second.
fn matches<'a>(sides: [&'a [Point]; 2], mate: &'a [Option<u32>], ground: Ground) -> impl Iterator<Item = Match> + 'a {
    let mut single = vec![true; sides[1].len()];
    mate.iter().flatten().for_each(|&j| single[j as usize] = false);
    let of_first = sides[0].iter().zip(mate).enumerate().map(move |(i, (&bar, mate))| {
        let b = mate.map(|j| j as usize);
        Match { a: Some(i), b, cost: b.map_or(ground.alone(bar), |j| ground.between(bar, sides[1][j])) }
    });
    let left = (0..single.len()).filter(move |&j| single[j]);
    of_first.chain(left.map(move |j| Match { a: None, b: Some(j), cost: ground.alone(sides[1][j]) }))
}

/// Whether sorted bars come first: those that are fewer, or else begin with less.
fn precedes(a: &[Point], b: &[Point]) -> bool {
    let ends = |bars: &[Point]| bars.concat();
    let differ = || ends(a).iter().zip(&ends(b)).map(|(x, y)| x.total_cmp(y)).find(|order| order.is_ne());
    a.len().cmp(&b.len()).then_with(|| differ().unwrap_or(Ordering::Equal)).is_lt()
}

#[cfg(test)]
mod tests;
