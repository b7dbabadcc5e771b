//! The q-Wasserstein distance of two finite parts: by alignment where all bars share one end, otherwise by an auction,
//! and for an exact distance augmenting paths from its prices.

use super::auction::Auction;
use super::augment::augment;
use super::ground::{Ground, Point, power_of_two};
use super::line;
use super::market::{Cost, Market};

/// Above [`EXACT`](super::EXACT) bars, the relative error unless another one is asked for.
pub const RELATIVE_ERROR: f64 = 0.01;

/// How much is done for it.
#[derive(Clone, Copy)]
pub struct Effort {
    /// How far off the distance may be; 0 for an exact one.
    pub relative_error: f64,
    /// Steps after which an exact one is given up, for one with [`RELATIVE_ERROR`] at most.
    pub patience: u64,
}

/// Above this order a matching's cost is divided by the bottleneck distance itself before it is raised to the power;
/// below, by a power of two, so that whole numbers stay whole.
const STEEP: f64 = 64.0;
/// A relative error below this is had sooner by computing exactly.
const FINE: f64 = 1e-3;

/// Prices whose sum is so near the matching's cost prove it optimal: what is missing is rounding.
const ROUNDING: f64 = 1e-9;
/// So little is not worth an augmenting path.
const NOTHING: f64 = 1e-12;

/// A matching and what it proves.
pub struct Found {
    /// What the matching costs.
    pub value: f64,
    /// The distance is no less.
    pub lower: f64,
    /// The partners of the first side.
    pub mate: Vec<Option<u32>>,
}

impl Found {
    /// With the partners of the second side, of `n` bars, in the place of those of the first.
    pub fn turned(self, n: usize) -> Found {
        let mut mate = vec![None; n];
        self.mate
            .iter()
            .enumerate()
            .filter_map(|(i, j)| Some((i, (*j)?)))
            .for_each(|(i, j)| mate[j as usize] = Some(i as u32));
        Found { mate, ..self }
    }
}

/// The distance of two sides that are sorted. `shifts` are the distances of the pairs there are besides, `bottleneck` is
/// that of all together.
pub fn wasserstein(
    sides: [&[Point]; 2],
    shifts: &[f64],
    ground: Ground,
    q: f64,
    bottleneck: f64,
    effort: Effort,
) -> Found {
    let cost = Cost { ground, q, unit: if q <= STEEP { power_of_two(bottleneck) } else { bottleneck } };
    let rest: f64 = shifts.iter().map(|&shift| cost.of(shift)).sum();
    let mut market = Market::new(sides[0], sides[1], cost);
    // The matching of the bottleneck distance costs no more.
    market.cap(cost.of(bottleneck) * (sides[0].len() + sides[1].len()) as f64);
    if line::align(&mut market) {
        let value = cost.root(market.total() + rest);
        return Found { value, lower: value, mate: market.into_partners() };
    }
    let rough = effort.relative_error >= FINE;
    let error = if rough { effort.relative_error } else { RELATIVE_ERROR };
    let near = q * error.ln_1p(); // (1 + error)^q - 1 is no less than that.
    let mut auction = Auction::new(&market);
    let (mut tried, mut spent) = (0, 0);
    let (total, bound) = loop {
        let bound = auction.round(&mut market) + rest;
        let (total, over) = (market.total() + rest, auction.is_over());
        let gap = total - bound;
        if !over && gap > near * bound {
            continue;
        }
        let left = effort.patience.saturating_sub(auction.work + spent);
        if rough || left == 0 || gap <= NOTHING * total || over && gap <= ROUNDING * total {
            break (total, bound);
        }
        // How much the prices leave to augmenting paths is not to be told from the gap: where few bars are dear it may
        // be small and the others' prices worthless. So paths are tried, for twice as long as the auction took, and
        // again once it has taken twice as long.
        if over || auction.work >= 2 * tried {
            let mut attempt = market.clone();
            attempt.cap(total - rest);
            let most = if over { left } else { 2 * auction.work };
            if augment(&mut attempt, most) {
                market = attempt;
                break (market.total() + rest, market.bound() + rest);
            }
            tried = auction.work;
            spent += most;
        }
    };
    let proven = total - bound <= ROUNDING * total;
    let value = cost.root(total);
    let lower = if proven { value } else { cost.root(bound.max(0.0)).min(value) };
    Found { value, lower, mate: market.into_partners() }
}
