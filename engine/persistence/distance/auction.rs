//! The auction algorithm with epsilon scaling (Bertsekas 1988), forward and reverse (Bertsekas and Castanon 1992), with
//! k-d trees to find the best offers (Kerber, Morozov, Nigmetov 2017): a matching and prices with a proven gap.
//!
//! A bar that is single takes its best partner and outbids all others by epsilon, or stays alone where that is as good.
//! Forward, the bars of side 0 bid until all are content. Then those of side 1 that nobody took, though their price asks
//! for less than being alone, bid in turn; since a bid only swaps the partners of side 0 for cheaper ones, all are
//! content in the end: the matching is within epsilon a bar of the optimum. Sides without a perfect matching need no
//! diagonal copies this way. How near it truly is, the bound of the prices says.

use super::market::{Cost, Market, Side};

/// Epsilon falls by this factor from round to round.
const FALL: f64 = 0.2;

/// Rounds of bids, each with a smaller epsilon than the last.
pub struct Auction {
    epsilon: f64,
    /// Smaller ones are lost in rounding.
    least: f64,
    /// Queries of the trees until now.
    pub work: u64,
}

impl Auction {
    /// None has bid yet.
    pub fn new(market: &Market) -> Auction {
        let most = market.sides.iter().flat_map(|side| &side.alone).copied().fold(0.0, f64::max);
        Auction { epsilon: 0.25 * most, least: 1e-15 * most, work: 0 }
    }

    /// Whether further rounds would only move rounding about.
    pub fn is_over(&self) -> bool {
        self.epsilon < self.least
    }

    /// One round: everybody single, prices of side 1 as they are; ends with everybody content up to epsilon. The bound
    /// of the optimum from below.
    pub fn round(&mut self, market: &mut Market) -> f64 {
        market.sides.iter_mut().for_each(|side| side.mate.fill(None));
        let cost = market.cost;
        for from in [0, 1] {
            let (from, to) = market.facing(from);
            to.show();
            let mut waiting: Vec<usize> = from.single().collect();
            waiting.reverse();
            while let Some(i) = waiting.pop() {
                waiting.extend(bid(from, to, i, self.epsilon, cost));
                self.work += 1;
            }
        }
        self.epsilon *= FALL;
        self.work += market.sides[0].points.len() as u64;
        market.bound()
    }
}

/// A bid; the bar that loses its partner by it.
fn bid(from: &mut Side, to: &mut Side, i: usize, epsilon: f64, cost: Cost) -> Option<usize> {
    let best = to.tree.best(from.points[i], |d| cost.of(d), from.alone[i]);
    let Some(j) = best.first else {
        from.price[i] = from.alone[i];
        return None;
    };
    from.price[i] = best.second + epsilon;
    to.set(j, cost.between(from.points[i], to.points[j]) - from.price[i]);
    from.mate[i] = Some(j as u32);
    let loser = to.mate[j].replace(i as u32)?;
    from.mate[loser as usize] = None;
    Some(loser as usize)
}
