//! Points of the plane in a k-d tree, each with a weight that may change: which of them is near, and how near?
//!
//! A point of infinite weight is not there: that is how points are taken out, and put back. Every inner node knows the
//! box of its points and their least weight, so whole branches are passed over. Equal points are no special case: a
//! node's points are split by count, not by value. The same calls give the same answers, whatever the order of memory.

use super::ground::{Ground, Point};

/// Points of a leaf, about.
const LEAF: usize = 6;

#[derive(Clone, Copy)]
struct Node {
    low: Point,
    high: Point,
    /// The least weight below.
    least: f64,
}

impl Node {
    /// The distance of the nearest point of the box. Rounding is monotone, so no point of the box is nearer.
    fn distance(&self, from: Point, ground: Ground) -> f64 {
        let axis = |i: usize| (self.low[i] - from[i]).max(from[i] - self.high[i]).max(0.0);
        ground.norm(axis(0), axis(1))
    }
}

/// The tree. Points are called by their index in the slice it was built of.
#[derive(Clone)]
pub struct KdTree {
    ground: Ground,
    /// In a heap's order: the root is 1, the children of i are 2 i and 2 i + 1, the leaves come last.
    nodes: Vec<Node>,
    leaves: usize,
    /// By slot, leaf by leaf.
    points: Vec<Point>,
    weights: Vec<f64>,
    index: Vec<u32>,
    /// The slot of each index.
    slot: Vec<u32>,
}

/// The two smallest of (cost of the distance) + weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Best {
    /// The point that has the smallest; `None` when none is below the bound.
    pub first: Option<usize>,
    /// Its sum.
    pub value: f64,
    /// The second smallest sum, or the bound.
    pub second: f64,
}

impl KdTree {
    /// Builds the tree of points with weight 0. O(n log n).
    pub fn new(points: &[Point], ground: Ground) -> KdTree {
        let n = points.len();
        let leaves = n.div_ceil(LEAF).next_power_of_two();
        let mut index: Vec<u32> = (0..n as u32).collect();
        split(points, &mut index, 0, leaves, leaves);
        let mut slot = vec![0; n];
        index.iter().enumerate().for_each(|(at, &i)| slot[i as usize] = at as u32);
        let nothing = Node { low: [f64::INFINITY; 2], high: [f64::NEG_INFINITY; 2], least: f64::INFINITY };
        let points: Vec<Point> = index.iter().map(|&i| points[i as usize]).collect();
        let mut tree =
            KdTree { ground, nodes: vec![nothing; 2 * leaves], leaves, weights: vec![0.0; n], points, index, slot };
        for node in (1..2 * leaves).rev() {
            let (mut low, mut high) = (nothing.low, nothing.high);
            let mut grow = |a: Point, b: Point| {
                low = [low[0].min(a[0]), low[1].min(a[1])];
                high = [high[0].max(b[0]), high[1].max(b[1])];
            };
            if node < leaves {
                let (left, right) = (tree.nodes[2 * node], tree.nodes[2 * node + 1]);
                grow(left.low, left.high);
                grow(right.low, right.high);
            } else {
                tree.leaf(node).for_each(|at| grow(tree.points[at], tree.points[at]));
            }
            (tree.nodes[node].low, tree.nodes[node].high) = (low, high);
        }
        tree.set_all(|_| 0.0);
        tree
    }

    /// Gives a point a weight.
    pub fn set(&mut self, index: usize, weight: f64) {
        let at = self.slot[index] as usize;
        self.weights[at] = weight;
        // The leaf l holds the slots from l n / leaves on: this inverts that division.
        let mut node = self.leaves + ((at + 1) * self.leaves - 1) / self.points.len();
        let mut least = self.leaf(node).map(|at| self.weights[at]).fold(f64::INFINITY, f64::min);
        while self.nodes[node].least != least {
            self.nodes[node].least = least;
            if node == 1 {
                break;
            }
            node /= 2;
            least = self.nodes[2 * node].least.min(self.nodes[2 * node + 1].least);
        }
    }

    /// Gives every point a weight. O(n).
    pub fn set_all(&mut self, weight: impl Fn(usize) -> f64) {
        self.weights.iter_mut().zip(&self.index).for_each(|(w, &i)| *w = weight(i as usize));
        for node in (1..2 * self.leaves).rev() {
            self.nodes[node].least = match node < self.leaves {
                true => self.nodes[2 * node].least.min(self.nodes[2 * node + 1].least),
                false => self.leaf(node).map(|at| self.weights[at]).fold(f64::INFINITY, f64::min),
            };
        }
    }

    /// Takes out a point within `radius`, if there is one.
    pub fn take_within(&mut self, from: Point, radius: f64) -> Option<usize> {
        let found = self.within(1, from, radius)?;
        self.set(found, f64::INFINITY);
        Some(found)
    }

    /// Takes out a point of least weight within `radius`, if there is one.
    pub fn take_least_within(&mut self, from: Point, radius: f64) -> Option<usize> {
        let mut best = (None, f64::INFINITY);
        self.least_within(1, from, radius, &mut best);
        self.set(best.0?, f64::INFINITY);
        best.0
    }

    /// The two points of least cost(distance) + weight below `bound`. `cost` does not fall.
    pub fn best(&self, from: Point, cost: impl Fn(f64) -> f64 + Copy, bound: f64) -> Best {
        let mut best = Best { first: None, value: bound, second: bound };
        let mut found = |index, sum| {
            if sum < best.value {
                best = Best { first: Some(index), value: sum, second: best.value };
            } else if sum < best.second {
                best.second = sum;
            }
            best.second
        };
        self.visit(1, from, cost, &mut { bound }, &mut found);
        best
    }

    /// Calls `found` with each point whose cost(distance) + weight is below the bound, and that sum. Its answer is the
    /// bound from then on.
    pub fn below(
        &self,
        from: Point,
        cost: impl Fn(f64) -> f64 + Copy,
        bound: f64,
        mut found: impl FnMut(usize, f64) -> f64,
    ) {
        self.visit(1, from, cost, &mut { bound }, &mut found);
    }

    fn visit(
        &self,
        node: usize,
        from: Point,
        cost: impl Fn(f64) -> f64 + Copy,
        bound: &mut f64,
        found: &mut impl FnMut(usize, f64) -> f64,
    ) {
        if node >= self.leaves {
            for at in self.leaf(node) {
                let sum = cost(self.ground.between(from, self.points[at])) + self.weights[at];
                if sum < *bound {
                    *bound = found(self.index[at] as usize, sum);
                }
            }
            return;
        }
        let least = |child: usize| cost(self.nodes[child].distance(from, self.ground)) + self.nodes[child].least;
        let (left, right) = ((2 * node, least(2 * node)), (2 * node + 1, least(2 * node + 1)));
        let (near, far) = if right.1 < left.1 { (right, left) } else { (left, right) };
        for (child, least) in [near, far] {
            if least < *bound {
                self.visit(child, from, cost, bound, found);
            }
        }
    }

    fn within(&self, node: usize, from: Point, radius: f64) -> Option<usize> {
        if node >= self.leaves {
            let near =
                |&at: &usize| self.weights[at] < f64::INFINITY && self.ground.between(from, self.points[at]) <= radius;
            return self.leaf(node).find(near).map(|at| self.index[at] as usize);
        }
        let [left, right] = [2 * node, 2 * node + 1].map(|child| {
            let Node { least, .. } = self.nodes[child];
            (child, if least < f64::INFINITY { self.nodes[child].distance(from, self.ground) } else { f64::INFINITY })
        });
        let (near, far) = if right.1 < left.1 { (right, left) } else { (left, right) };
        let mut children = [near, far].into_iter().filter(|(_, distance)| *distance <= radius);
        children.find_map(|(child, _)| self.within(child, from, radius))
    }

    fn least_within(&self, node: usize, from: Point, radius: f64, best: &mut (Option<usize>, f64)) {
        if node >= self.leaves {
            for at in self.leaf(node) {
                if self.weights[at] < best.1 && self.ground.between(from, self.points[at]) <= radius {
                    *best = (Some(self.index[at] as usize), self.weights[at]);
                }
            }
            return;
        }
        let (left, right) = (2 * node, 2 * node + 1);
        let (one, other) = if self.nodes[right].least < self.nodes[left].least { (right, left) } else { (left, right) };
        for child in [one, other] {
            if self.nodes[child].least < best.1 && self.nodes[child].distance(from, self.ground) <= radius {
                self.least_within(child, from, radius, best);
            }
        }
    }

    /// The slots of a leaf.
    fn leaf(&self, node: usize) -> std::ops::Range<usize> {
        let (leaf, n) = (node - self.leaves, self.points.len());
        leaf * n / self.leaves..(leaf + 1) * n / self.leaves
    }
}

/// Orders `index`, the slots of the leaves from `first` on, so that each leaf's points lie together.
fn split(points: &[Point], index: &mut [u32], first: usize, leaves: usize, all: usize) {
    if leaves <= 1 {
        return;
    }
    let range = |axis: usize| {
        let values = index.iter().map(|&i| points[i as usize][axis]);
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
        high - low
    };
    let axis = usize::from(range(1) > range(0));
    let (n, half) = (points.len(), leaves / 2);
    let middle = (first + half) * n / all - first * n / all;
    if middle < index.len() {
        let by = |a: &u32, b: &u32| points[*a as usize][axis].total_cmp(&points[*b as usize][axis]).then(a.cmp(b));
        index.select_nth_unstable_by(middle, by);
    }
    let (left, right) = index.split_at_mut(middle);
    split(points, left, first, half, all);
    split(points, right, first + half, half, all);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn points() -> impl Strategy<Value = Vec<Point>> {
        // Few values, so that many are equal.
        prop::collection::vec([0_u8..9, 0_u8..9].prop_map(|p| p.map(f64::from)), 0..80)
    }

    fn grounds() -> impl Strategy<Value = Ground> {
        prop_oneof![Just(Ground::Sup), Just(Ground::Euclidean), Just(Ground::Sum)]
    }

    proptest! {
        #[test]
        fn the_two_best_are_those_of_a_list(points in points(), weights in prop::collection::vec(-3_i8..4, 80),
                                            from in [0_u8..9, 0_u8..9], ground in grounds(), bound in -2_i8..9) {
            let (from, bound) = (from.map(f64::from), f64::from(bound));
            let mut tree = KdTree::new(&points, ground);
            (0..points.len()).for_each(|i| tree.set(i, f64::from(weights[i])));
            let sum = |i: usize| ground.between(from, points[i]).powi(2) + f64::from(weights[i]);
            let mut sums: Vec<f64> = (0..points.len()).map(sum).filter(|s| *s < bound).collect();
            sums.sort_by(f64::total_cmp);
            sums.extend([bound, bound]);
            let best = tree.best(from, |d| d * d, bound);
            prop_assert_eq!((best.value, best.second), (sums[0], sums[1]));
            prop_assert_eq!(best.first.map(sum), Some(sums[0]).filter(|s| *s < bound));
            let mut found = Vec::new();
            tree.below(from, |d| d * d, bound, |i, s| { assert_eq!(sum(i), s); found.push(s); bound });
            found.sort_by(f64::total_cmp);
            prop_assert_eq!(&found[..], &sums[..sums.len() - 2]);
        }

        #[test]
        fn points_are_taken_until_none_is_within_reach(points in points(), from in [0_u8..9, 0_u8..9], ground in grounds(), radius in 0_u8..5) {
            let (from, radius) = (from.map(f64::from), f64::from(radius));
            let mut tree = KdTree::new(&points, ground);
            let mut taken: Vec<usize> = std::iter::from_fn(|| tree.take_within(from, radius)).collect();
            taken.sort_unstable();
            let known: Vec<usize> = (0..points.len()).filter(|&i| ground.between(from, points[i]) <= radius).collect();
            prop_assert_eq!(taken, known);
        }
    }
}
