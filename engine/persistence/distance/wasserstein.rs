//! The q-Wasserstein distance of two finite parts: by alignment where all bars share one end, otherwise by an auction,
//! and for an exact distance augmenting paths from its prices.

use super::RELATIVE_ERROR;
use super::auction::Auction;
use super::augment::augment;
use super::line;
use super::market::{Cost, Market};
use super::tree::Point;

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
const ROUNDING: f64 = 1e-10;
/// So little is not worth an augmenting path.
const NOTHING: f64 = 1e-12;

/// The distance and its bound from below. `shifts` are the distances of the pairs there are besides, `bottleneck` that of
/// all together.
pub fn wasserstein(a: &[Point], b: &[Point], shifts: &[f64], q: f64, bottleneck: f64, effort: Effort) -> (f64, f64) {
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
        // How much the prices leave to augmenting paths is not to be told from the gap: where few bars are dear it may be
        // small and the others' prices worthless. So paths are tried, for as long as the auction took, and again once it
        // has taken twice as long.
        if over || auction.work >= 2 * tried {
            let mut attempt = market.clone();
            attempt.cap(total - rest);
            let most = if over { left } else { auction.work };
            if augment(&mut attempt, most) {
                break (attempt.total() + rest, attempt.bound() + rest);
            }
            tried = auction.work;
            spent += most;
        }
    };
    let proven = total - bound <= ROUNDING * total;
    let value = cost.root(total);
    (value, if proven { value } else { cost.root(bound.max(0.0)).min(value) })
}
