//! The bottleneck distance of two finite parts, exactly: the least radius at which all bars longer than twice the radius
//! find a partner within it.
//!
//! At a radius r the bars of length above 2r must be matched, the others may stay with the diagonal. By the theorem of
//! Mendelsohn and Dulmage (1958) such a matching exists if each side's long bars can be matched into the other side,
//! the two sides looked at *independently*: no copy of the diagonal is ever made, and short bars are never looked at.
//! Each of the two questions is answered by augmenting paths, many disjoint ones a phase, with k-d trees in the place of
//! edges (Efrat, Itai, Katz 2001). Hopcroft and Karp's phases take shortest paths only; where a few bars are left whose
//! partners are far away they find a handful each. Here a search backwards from the unmatched partners tells how far
//! they are, and depth-first searches follow that but may also go round what others have taken: for two samples of a
//! square, 50,000 bars each, 61 phases for all radii together in the place of 556.
//!
//! The radius is found by bisection from both sides with candidates in the place of numbers: a radius that suffices
//! falls to the longest edge in use; one that does not rises to the least at which the set of bars that had too few
//! partners (Hall) gets another. When the two meet, their value is the distance, to the last bit.

use super::ground::{Ground, Point};
use super::tree::KdTree;

const NONE: u32 = u32::MAX;

/// The bottleneck distance of finite bars with the sup metric. Memory O(n). Some twenty radii are tried, each in a few
/// phases of O(n) queries.
pub fn bottleneck(a: &[Point], b: &[Point], ground: Ground) -> f64 {
    let mut halves: Vec<f64> = a.iter().chain(b).map(|&p| ground.alone(p)).collect();
    halves.sort_by(f64::total_cmp);
    let mut sides = [Covering::new(a, b, ground), Covering::new(b, a, ground)];
    // Every bar goes to its nearest partner or to the diagonal: a bound from below, and often the answer.
    let mut low = sides.iter().map(Covering::least).fold(0.0, f64::max);
    let mut high = halves.last().copied().unwrap_or(0.0);
    let mut step = 0.0;
    while low < high {
        // First `low` itself, then further up by doubling steps, and by bisection once that is past the middle.
        let middle = 0.5 * low + 0.5 * high;
        let radius = (low + step).min(middle).clamp(low, high);
        step = (2.0 * step).max(low / 64.0).max(high / 4096.0);
        let radius = if radius < high { radius } else { low };
        match sides.iter_mut().try_fold(0.0, |longest: f64, side| side.cover(radius).map(|edge| longest.max(edge))) {
            Ok(longest) => {
                let short = halves.partition_point(|h| *h <= radius);
                high = halves[..short].last().map_or(longest, |h| h.max(longest));
            }
            Err(next) => low = next,
        }
    }
    high
}

/// Partners of the first side's bars in a matching of such a bottleneck distance. Bars that may stay alone mostly do.
pub fn matching(a: &[Point], b: &[Point], ground: Ground, distance: f64) -> Vec<Option<u32>> {
    let mut sides = [Covering::new(a, b, ground), Covering::new(b, a, ground)];
    // Both are matched: that is what the distance says.
    let _ = sides.each_mut().map(|side| side.cover(distance));
    let [mut of_a, of_b] = sides;
    // The long bars of both are made to be matched at once (Mendelsohn and Dulmage): one of b that is left over takes the
    // partner it has in the other matching, and who loses that one by it does the same.
    for left_over in 0..b.len() {
        let mut next = left_over;
        while of_a.mate_of_other[next] == NONE && of_b.mate[next] != NONE {
            let i = of_b.mate[next] as usize;
            let loser = std::mem::replace(&mut of_a.mate[i], next as u32);
            of_a.mate_of_other[next] = i as u32;
            if loser == NONE {
                break;
            }
            of_a.mate_of_other[loser as usize] = NONE;
            next = loser as usize;
        }
    }
    of_a.mate.iter().map(|&j| (j != NONE).then_some(j)).collect()
}

/// The question whether the long bars of one side find partners on the other. Matchings are kept from one radius to
/// the next.
struct Covering<'a> {
    ground: Ground,
    own: &'a [Point],
    other: &'a [Point],
    own_tree: KdTree,
    other_tree: KdTree,
    mate: Vec<u32>,
    mate_of_other: Vec<u32>,
}

impl<'a> Covering<'a> {
    fn new(own: &'a [Point], other: &'a [Point], ground: Ground) -> Covering<'a> {
        let (own_tree, other_tree) = (KdTree::new(own, ground), KdTree::new(other, ground));
        let (mate, mate_of_other) = (vec![NONE; own.len()], vec![NONE; other.len()]);
        Covering { ground, own, other, own_tree, other_tree, mate, mate_of_other }
    }

    /// Whether a bar must be matched.
    fn is_long(&self, i: usize, radius: f64) -> bool {
        self.ground.alone(self.own[i]) > radius
    }

    /// The distance of a bar from the nearest partner that is there, or from the diagonal.
    fn reach(&self, i: usize) -> f64 {
        self.other_tree.best(self.own[i], |d| d, self.ground.alone(self.own[i])).value
    }

    /// A radius that is needed: that at which the worst-off bar reaches a partner or the diagonal.
    fn least(&self) -> f64 {
        (0..self.own.len()).map(|i| self.reach(i)).fold(0.0, f64::max)
    }

    /// Matches all bars longer than 2 `radius` within `radius`; the longest edge in use, or the next radius at which
    /// that may be possible.
    fn cover(&mut self, radius: f64) -> Result<f64, f64> {
        for i in 0..self.own.len() {
            let j = self.mate[i];
            let near = |j: u32| self.ground.between(self.own[i], self.other[j as usize]) <= radius;
            if j != NONE && !(self.is_long(i, radius) && near(j)) {
                (self.mate[i], self.mate_of_other[j as usize]) = (NONE, NONE);
            }
        }
        loop {
            let (mut free, steps) = (Vec::new(), self.steps(radius));
            for i in 0..self.own.len() {
                if self.mate[i] == NONE && self.is_long(i, radius) {
                    if steps.of_own[i] == f64::INFINITY {
                        return Err(self.next(i, radius));
                    }
                    free.push(i as u32);
                }
            }
            if free.is_empty() {
                let edges = self.own.iter().zip(&self.mate).filter(|(_, j)| **j != NONE);
                return Ok(edges.map(|(&p, &j)| self.ground.between(p, self.other[j as usize])).fold(0.0, f64::max));
            }
            self.other_tree.set_all(|j| steps.of_other[j]);
            free.iter().for_each(|&root| self.augment(root, radius));
        }
    }

    /// How many pairs an alternating path from each bar to an unmatched partner passes, at least. A bar that reaches
    /// none now will reach none when others are matched.
    fn steps(&mut self, radius: f64) -> Steps {
        let (own, ground) = (self.own, self.ground);
        self.own_tree.set_all(|i| if ground.alone(own[i]) > radius { 0.0 } else { f64::INFINITY });
        let unmatched = |&j: &u32| self.mate_of_other[j as usize] == NONE;
        let mut front: Vec<u32> = (0..self.other.len() as u32).filter(unmatched).collect();
        let infinite = |n: usize| vec![f64::INFINITY; n];
        let mut steps = Steps { of_own: infinite(self.own.len()), of_other: infinite(self.other.len()) };
        front.iter().for_each(|&j| steps.of_other[j as usize] = 0.0);
        let mut count = 0.0;
        while !front.is_empty() {
            let mut next = Vec::new();
            for &j in &front {
                while let Some(i) = self.own_tree.take_within(self.other[j as usize], radius) {
                    steps.of_own[i] = count;
                    if self.mate[i] != NONE {
                        steps.of_other[self.mate[i] as usize] = count + 1.0;
                        next.push(self.mate[i]);
                    }
                }
            }
            front = next;
            count += 1.0;
        }
        steps
    }

    /// Looks for an alternating path from `root` to an unmatched partner, depth first and towards the nearest, through
    /// nothing that an earlier one has tried; exchanges it.
    fn augment(&mut self, root: u32, radius: f64) {
        // Each bar of the path, and the partner it wants; the last wants none yet.
        let mut path = vec![(root, NONE)];
        while let Some(last) = path.last_mut() {
            let Some(j) = self.other_tree.take_least_within(self.own[last.0 as usize], radius) else {
                path.pop();
                continue;
            };
            last.1 = j as u32;
            match self.mate_of_other[j] {
                NONE => break,
                next => path.push((next, NONE)),
            }
        }
        for (i, j) in path {
            (self.mate[i as usize], self.mate_of_other[j as usize]) = (j, i);
        }
    }

    /// The bars that `root` reaches by alternating paths, none of which ends, have one partner too few. The next radius
    /// at which one of them may stay with the diagonal, or reaches a further partner.
    fn next(&mut self, root: usize, radius: f64) -> f64 {
        self.other_tree.set_all(|_| 0.0);
        let mut reached = vec![root];
        let mut done = 0;
        while done < reached.len() {
            while let Some(j) = self.other_tree.take_within(self.own[reached[done]], radius) {
                reached.push(self.mate_of_other[j] as usize);
            }
            done += 1;
        }
        reached.iter().map(|&i| self.reach(i)).fold(f64::INFINITY, f64::min)
    }
}

/// Steps to an unmatched partner; infinite where there is no path.
struct Steps {
    of_own: Vec<f64>,
    of_other: Vec<f64>,
}
