//! Which of the given points lie in one basin: those that a way joins on which nothing is climbed beyond the noise.

use super::tree::MergeTree;
use crate::search::{CellId, Landscape, Minimum, Origin};
use crate::union_find::UnionFind;

/// Given points by their basins.
#[derive(Clone, Debug, PartialEq)]
pub struct Basins<'a> {
    /// What became of every point that was given, in their order, and its basin, counted from 1 in the order in which they
    /// come up; `None` where the point is no minimum and leads to none.
    pub of: Vec<(&'a Minimum, Option<usize>)>,
    /// How many basins there are.
    pub count: usize,
}

impl<'a> Basins<'a> {
    /// Those of a landscape, one at most where nothing is climbed by more than `noise`; `None` where no point was given.
    pub fn of(landscape: &'a Landscape, noise: f64) -> Option<Basins<'a>> {
        let given = |m: &'a Minimum| match m.origin {
            Origin::Given { index, .. } => Some((index, m)),
            _ => None,
        };
        let mut points: Vec<(u64, &Minimum)> = landscape.minima.iter().filter_map(given).collect();
        if points.is_empty() {
            return None;
        }
        points.sort_by_key(|(index, _)| *index);
        let tree = MergeTree::of(landscape);
        let mut joined = UnionFind::new(tree.minima.len());
        for merge in &tree.merges {
            let birth = tree.minima[merge.dead].loss;
            if tree.paths[merge.edge].pass.height.max(birth) - birth <= noise {
                joined.merge(merge.dead as u32, merge.elder as u32);
            }
        }
        let mut seen: Vec<u32> = Vec::new();
        let mut basin = |m: &Minimum| {
            let eldest = joined.eldest(tree.vertex(own(m))? as u32);
            let known = seen.iter().position(|other| *other == eldest);
            Some(
                1 + known.unwrap_or_else(|| {
                    seen.push(eldest);
                    seen.len() - 1
                }),
            )
        };
        let of = points.into_iter().map(|(_, m)| (m, basin(m))).collect();
        Some(Basins { of, count: seen.len() })
    }

    /// Where nothing is climbed between any two of two points or more, all of which lie in one basin.
    pub fn is_one(&self) -> bool {
        self.of.len() > 1 && self.count == 1 && self.of.iter().all(|(_, basin)| basin.is_some())
    }
}

/// The minimum that a point stands for.
pub fn own(m: &Minimum) -> CellId {
    m.same_as.unwrap_or(m.cell)
}
