//! The bottleneck distance of two finite parts, exactly: the least radius at which all bars longer than twice the radius
//! find a partner within it.
//!
//! At a radius r the bars of length above 2r must be matched, the others may stay with the diagonal. By the theorem of
//! Mendelsohn and Dulmage (1958) such a matching exists if each side's long bars can be matched into the other side,
//! the two sides looked at *independently*: no copy of the diagonal is ever made, and short bars are never looked at.
//! Each of the two questions is one for Hopcroft and Karp, with a k-d tree in place of edges (Efrat, Itai, Katz 2001).
//!
//! The radius is found by bisection from both sides with candidates in the place of numbers: a radius that suffices
//! falls to the longest edge in use; one that does not rises to the least at which the set of bars that had too few
//! partners (Hall) gets another. When the two meet, their value is the distance, to the last bit.

use super::tree::{Point, Tree, half, sup};

const NONE: u32 = u32::MAX;

/// The bottleneck distance of finite bars with the sup metric. Memory O(n); about n^1.5 log n for each of the radii
/// tried, some tens.
pub fn bottleneck(a: &[Point], b: &[Point]) -> f64 {
    let mut halves: Vec<f64> = a.iter().chain(b).map(|&p| half(p)).collect();
    halves.sort_by(f64::total_cmp);
    let mut sides = [Side::new(a, b), Side::new(b, a)];
    // Every bar goes to its nearest partner or to the diagonal: a bound from below, and often the answer.
    let mut low = sides.iter().map(Side::least).fold(0.0, f64::max);
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

/// The question whether the long bars of one side find partners on the other. Matchings are kept from one radius to
/// the next.
struct Side<'a> {
    own: &'a [Point],
    other: &'a [Point],
    /// Of the other side's points.
    tree: Tree,
    mate: Vec<u32>,
    mate_of_other: Vec<u32>,
}

impl<'a> Side<'a> {
    fn new(own: &'a [Point], other: &'a [Point]) -> Side<'a> {
        let (mate, mate_of_other) = (vec![NONE; own.len()], vec![NONE; other.len()]);
        Side { own, other, tree: Tree::new(other), mate, mate_of_other }
    }

    /// A radius that is needed: that at which the worst-off bar reaches a partner or the diagonal.
    fn least(&self) -> f64 {
        self.own.iter().map(|&p| self.tree.best(p, |d| d, half(p)).value).fold(0.0, f64::max)
    }

    /// Matches all bars longer than 2 `radius` within `radius`; the longest edge in use, or the next radius at which
    /// that may be possible.
    fn cover(&mut self, radius: f64) -> Result<f64, f64> {
        for i in 0..self.own.len() {
            let j = self.mate[i];
            if j != NONE && !(half(self.own[i]) > radius && sup(self.own[i], self.other[j as usize]) <= radius) {
                (self.mate[i], self.mate_of_other[j as usize]) = (NONE, NONE);
            }
        }
        loop {
            let free = |&i: &u32| half(self.own[i as usize]) > radius && self.mate[i as usize] == NONE;
            let free: Vec<u32> = (0..self.own.len() as u32).filter(free).collect();
            if free.is_empty() {
                let edges = self.own.iter().zip(&self.mate).filter(|(_, j)| **j != NONE);
                return Ok(edges.map(|(&p, &j)| sup(p, self.other[j as usize])).fold(0.0, f64::max));
            }
            let (layers, shortest) = self.layers(&free, radius);
            if !shortest {
                return Err(free.iter().take(ROOTS).map(|&root| self.next(root, radius)).fold(0.0, f64::max));
            }
            self.augment(&free, layers, radius);
        }
    }

    /// Hopcroft and Karp's layers of the other side's points, by the length of alternating paths from the free ones;
    /// the last holds the first unmatched ones, if the answer's second part is true.
    fn layers(&mut self, free: &[u32], radius: f64) -> (Vec<Vec<u32>>, bool) {
        self.tree.set_all(|_| 0.0);
        let mut layers: Vec<Vec<u32>> = Vec::new();
        let mut front = free.to_vec();
        let mut ended = false;
        while !front.is_empty() && !ended {
            let mut layer = Vec::new();
            for &i in &front {
                while let Some(j) = self.tree.take_within(self.own[i as usize], radius) {
                    layer.push(j as u32);
                }
            }
            ended = layer.iter().any(|&j| self.mate_of_other[j as usize] == NONE);
            front = layer.iter().map(|&j| self.mate_of_other[j as usize]).filter(|&i| i != NONE).collect();
            layers.push(layer);
        }
        (layers, ended)
    }

    /// A largest set of disjoint shortest alternating paths, found depth first, and their exchange.
    fn augment(&mut self, free: &[u32], layers: Vec<Vec<u32>>, radius: f64) {
        let mut trees: Vec<(Tree, Vec<u32>)> = layers
            .into_iter()
            .map(|layer| (Tree::new(&layer.iter().map(|&j| self.other[j as usize]).collect::<Vec<_>>()), layer))
            .collect();
        // A path under way: each of its bars, and the partner it wants; the last wants none yet.
        let mut path: Vec<(u32, u32)> = Vec::new();
        for &root in free {
            path.clear();
            path.push((root, NONE));
            while let Some(&(i, _)) = path.last() {
                let at = path.len() - 1;
                let (tree, layer) = &mut trees[at];
                let Some(found) = tree.take_within(self.own[i as usize], radius) else {
                    path.pop();
                    continue;
                };
                let j = layer[found];
                path[at].1 = j;
                match self.mate_of_other[j as usize] {
                    NONE => {
                        for &(i, j) in &path {
                            (self.mate[i as usize], self.mate_of_other[j as usize]) = (j, i);
                        }
                        break;
                    }
                    // Only the last layer holds unmatched points; the matched ones in it lead nowhere.
                    next if at + 1 < trees.len() => path.push((next, NONE)),
                    _ => {}
                }
            }
        }
    }

    /// The bars that `root` reaches by alternating paths have one partner too few. The next radius at which one of them
    /// may stay with the diagonal, or reaches a further partner.
    fn next(&mut self, root: u32, radius: f64) -> f64 {
        self.tree.set_all(|_| 0.0);
        let mut reached = vec![root];
        let mut done = 0;
        while done < reached.len() {
            while let Some(j) = self.tree.take_within(self.own[reached[done] as usize], radius) {
                reached.push(self.mate_of_other[j]);
            }
            done += 1;
        }
        let further = |&i: &u32| self.tree.best(self.own[i as usize], |d| d, half(self.own[i as usize])).value;
        reached.iter().map(further).fold(f64::INFINITY, f64::min)
    }
}

/// So many bars without a partner are asked for the next radius; the highest answer counts.
const ROOTS: usize = 4;
