//! Nearest neighbours by a k-d tree over the distinct points.
//!
//! The tree sums squares in an order of its own and does not order points at equal distance, so it is asked for one more
//! than needed, and for twice as many where the last one is not clearly farther: one kind of query, since every kind is compiled
//! for every dimension.

use super::points::{Cloud, Near};
use crate::error::{Error, Result};
use crate::machine::pool::Pool;
use kiddo::{ImmutableKdTree, SquaredEuclidean};
use std::cmp::Ordering;
use std::num::NonZero;

/// Points that a worker takes at a time.
const TILE: usize = if cfg!(test) { 16 } else { 1 << 10 };
/// More than the tree's sums of at most eight squares can be off.
const CLEARLY: f64 = 1.0 + 1e-13;

/// The k nearest others of each point; see [`Cloud::neighbours`]. D is the cloud's dimension and 0 < k < n.
pub(super) fn neighbours<const D: usize>(cloud: &Cloud, k: usize, pool: &Pool) -> Result<Vec<u32>> {
    let (points, _) = cloud.coordinates.as_chunks::<D>();
    let sets = Sets::new(points);
    let tree = ImmutableKdTree::<f64, D>::new_from_slice(&sets.points);
    let tree = tree.map_err(|error| Error::Internal(format!("k-d tree: {error}")))?;
    // In the order of the leaves, so that one search finds in the cache what the last one read.
    let order: Vec<u32> = tree.iter().map(|(set, _)| set).collect();
    let search = Search { cloud, sets: &sets, tree: &tree, k };
    let found = pool.map(order.len().div_ceil(TILE), &|i| {
        let sets = &order[i * TILE..order.len().min((i + 1) * TILE)];
        sets.iter().map(|&set| search.around(set)).collect::<Vec<Vec<u32>>>()
    });
    let mut all = vec![0; cloud.n * k];
    for (&set, nearest) in order.iter().zip(found.iter().flatten()) {
        for &point in sets.members(set) {
            let others = nearest.iter().filter(|&&other| other != point).take(k);
            all[point as usize * k..][..k].iter_mut().zip(others).for_each(|(to, &other)| *to = other);
        }
    }
    Ok(all)
}

struct Search<'a, const D: usize> {
    cloud: &'a Cloud,
    sets: &'a Sets<D>,
    tree: &'a ImmutableKdTree<f64, D>,
    k: usize,
}

impl<const D: usize> Search<'_, D> {
    /// The k + 1 points nearest to those of a set, they themselves among them.
    fn around(&self, set: u32) -> Vec<u32> {
        let at = &self.sets.points[set as usize];
        let wanted = self.k + 1;
        let mut asked = NonZero::<usize>::MIN.saturating_add(wanted);
        let found = loop {
            let found = self.tree.query(at).nearest_n::<SquaredEuclidean<f64>>(asked).execute();
            let mut enough = 0;
            let last = found.iter().find(|near| {
                enough += self.sets.members(near.item).len();
                enough >= wanted
            });
            // Squares that vanish are equal.
            let reach = last.map_or(f64::INFINITY, |near| near.distance * CLEARLY + f64::MIN_POSITIVE);
            let near = found.partition_point(|near| near.distance <= reach);
            if near < found.len() || found.len() == self.sets.points.len() {
                break found.into_iter().take(near);
            }
            asked = asked.saturating_add(asked.get());
        };
        let here = self.sets.members(set)[0];
        let mut nearest = Vec::with_capacity(found.len());
        for near in found {
            let members = self.sets.members(near.item);
            let distance = self.cloud.distance(here, members[0]);
            // Of equal points only the first can be among those wanted.
            nearest.extend(members.iter().take(wanted).map(|&point| Near { distance, point }));
        }
        nearest.sort_unstable_by(Near::order);
        nearest.truncate(wanted);
        nearest.into_iter().map(|near| near.point).collect()
    }
}

/// The distinct points, and which points they stand for: a tree of equal points would be slow, or worse.
struct Sets<const D: usize> {
    points: Vec<[f64; D]>,
    /// The numbers of all points, set by set, ascending in each.
    members: Vec<u32>,
    /// Where each set begins, and the end.
    first: Vec<usize>,
}

impl<const D: usize> Sets<D> {
    fn new(points: &[[f64; D]]) -> Sets<D> {
        let order = |a: &[f64; D], b: &[f64; D]| {
            let axes = a.iter().zip(b).map(|(x, y)| (x + 0.0).total_cmp(&(y + 0.0))); // -0 is 0.
            axes.fold(Ordering::Equal, Ordering::then)
        };
        let mut members: Vec<u32> = (0..points.len() as u32).collect();
        members.sort_unstable_by(|&a, &b| order(&points[a as usize], &points[b as usize]).then(a.cmp(&b)));
        let (mut first, mut distinct) = (Vec::new(), Vec::new());
        let alike = |a: &u32, b: &u32| order(&points[*a as usize], &points[*b as usize]).is_eq();
        let mut at = 0;
        for set in members.chunk_by(alike) {
            first.push(at);
            distinct.push(points[set[0] as usize]);
            at += set.len();
        }
        first.push(at);
        Sets { points: distinct, members, first }
    }

    fn members(&self, set: u32) -> &[u32] {
        &self.members[self.first[set as usize]..self.first[set as usize + 1]]
    }
}
