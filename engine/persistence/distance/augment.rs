//! From good prices to the optimum: shortest augmenting paths, the last stage of the Hungarian method (Kuhn 1955; Jonker
//! and Volgenant 1987), with k-d trees in place of the cost matrix.
//!
//! The prices are made feasible, every bar takes a partner whose constraint is met with equality where one is left, and
//! each bar that is then neither matched nor at the price of being alone gets a shortest augmenting path: Dijkstra's
//! algorithm on reduced costs, whose end is a bar without a partner, or one that may as well stay alone. Prices stay
//! feasible and matched pairs stay tight, so the end is optimal.

use super::market::{Market, Side};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Makes the matching optimal, whatever it was, and says so; or stops, somewhere on the way, where that takes more than so
/// many steps: queries of the trees, and every four bars found by them. The better the prices of side 1, the less there
/// is to do.
pub fn augment(market: &mut Market, most_work: u64) -> bool {
    // Feasible prices first; the matching is made anew of tight pairs.
    market.bound();
    market.sides.iter_mut().for_each(|side| side.mate.fill(None));
    let cost = market.cost;
    for from in [0, 1] {
        let (from, to) = market.facing(from);
        to.show();
        // A price may rise until its constraint is tight.
        for i in 0..from.points.len() {
            if from.mate[i].is_none() {
                let best = to.tree.best(from.points[i], |d| cost.of(d), from.alone[i]);
                from.price[i] = best.value;
                if let Some(j) = best.first.filter(|&j| to.mate[j].is_none()) {
                    (from.mate[i], to.mate[j]) = (Some(j as u32), Some(i as u32));
                }
            }
        }
    }
    let longest = market.sides[0].points.len().max(market.sides[1].points.len());
    let mut search = Search { labels: vec![Label::default(); longest], seen: Vec::new(), heap: BinaryHeap::new() };
    let mut work = 0;
    for from in [0, 1] {
        let (from, to) = market.facing(from);
        to.show();
        for root in 0..from.points.len() {
            if from.mate[root].is_none() && from.price[root] < from.alone[root] {
                work += search.path(from, to, root, |d| cost.of(d));
                if work > most_work {
                    return false;
                }
            }
        }
    }
    true
}

/// What Dijkstra's algorithm knows of a bar of the other side.
#[derive(Clone, Copy)]
struct Label {
    distance: f64,
    /// The bar it was reached from.
    parent: u32,
}

impl Default for Label {
    fn default() -> Label {
        Label { distance: f64::INFINITY, parent: 0 }
    }
}

/// Scratch of the searches.
struct Search {
    /// Of the bars of the other side.
    labels: Vec<Label>,
    /// Those of them that are not as new.
    seen: Vec<u32>,
    heap: BinaryHeap<Reverse<Reached>>,
}

/// A bar of the other side and its distance, nearest first, equal ones by index.
#[derive(Clone, Copy, PartialEq)]
struct Reached(f64, u32);

impl Eq for Reached {}

impl PartialOrd for Reached {
    fn partial_cmp(&self, other: &Reached) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Reached {
    fn cmp(&self, other: &Reached) -> Ordering {
        self.0.total_cmp(&other.0).then(self.1.cmp(&other.1))
    }
}

/// Where a path ends.
#[derive(Clone, Copy)]
enum End {
    /// A bar of the root's side stays alone.
    Alone(usize),
    /// A bar of the other side had no partner.
    Single(usize),
}

impl Search {
    /// Finds a shortest augmenting path from `root` and exchanges it. The steps that took.
    fn path(&mut self, from: &mut Side, to: &mut Side, root: usize, cost: impl Fn(f64) -> f64 + Copy) -> u64 {
        let (mut end, mut length) = (End::Alone(root), from.alone[root] - from.price[root]);
        // The bars of the root's side that the search has come to, each with its distance.
        let mut settled = vec![(root, 0.0)];
        let mut next = 0;
        let mut found = 0;
        loop {
            while next < settled.len() {
                let (i, distance) = settled[next];
                next += 1;
                if distance + (from.alone[i] - from.price[i]) < length {
                    (end, length) = (End::Alone(i), distance + (from.alone[i] - from.price[i]));
                }
                let base = distance - from.price[i];
                to.tree.below(from.points[i], cost, length - base, |j, sum| {
                    found += 1;
                    let label = &mut self.labels[j];
                    let reached = (base + sum).max(distance); // Reduced costs are below zero by rounding only.
                    if reached < label.distance && reached < length {
                        if label.distance == f64::INFINITY {
                            self.seen.push(j as u32);
                        }
                        *label = Label { distance: reached, parent: i as u32 };
                        if to.mate[j].is_none() {
                            (end, length) = (End::Single(j), reached);
                        } else {
                            self.heap.push(Reverse(Reached(reached, j as u32)));
                        }
                    }
                    length - base
                });
            }
            let Some(Reverse(Reached(distance, j))) = self.heap.pop() else { break };
            if distance >= length {
                break;
            }
            // An entry that a shorter way has overtaken is passed over.
            if distance == self.labels[j as usize].distance
                && let Some(i) = to.mate[j as usize]
            {
                settled.push((i as usize, distance));
            }
        }
        self.settle(from, to, &settled, length);
        self.exchange(from, to, end);
        self.seen.drain(..).for_each(|j| self.labels[j as usize] = Label::default());
        self.heap.clear();
        settled.len() as u64 + found / 4
    }

    /// Changes prices so that the path becomes tight.
    fn settle(&self, from: &mut Side, to: &mut Side, settled: &[(usize, f64)], length: f64) {
        for &(i, distance) in settled {
            let rise = length - distance;
            from.price[i] = (from.price[i] + rise).min(from.alone[i]);
            if let Some(j) = from.mate[i] {
                to.set(j as usize, to.price[j as usize] - rise);
            }
        }
    }

    /// Exchanges the pairs along the path that ends there.
    fn exchange(&self, from: &mut Side, to: &mut Side, end: End) {
        let mut free = match end {
            End::Single(j) => Some(j as u32),
            End::Alone(i) => {
                from.price[i] = from.alone[i];
                from.mate[i].take()
            }
        };
        while let Some(j) = free {
            let i = self.labels[j as usize].parent;
            to.mate[j as usize] = Some(i);
            free = from.mate[i as usize].replace(j);
        }
    }
}
