//! The rivals of the paths that decide bars, read off a landscape: how many were tried, and what the last was worth.

use super::tree::MergeTree;
use crate::search::{Landscape, Path, PathId, PathState};
use crate::union_find::UnionFind;
use std::collections::HashSet;

/// What was tried besides the paths that decide the bars of sampled minima.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rivals {
    /// Other paths that were worked on, out of a component that dies or between the ends of the path at which it does.
    pub tried: u64,
    /// By how much the last path between the ends of a deciding one lowered what those before it had come to; 0 where
    /// none did.
    pub last_lowered_by: f64,
}

impl Rivals {
    /// Those of all sampled minima that die.
    pub fn of(landscape: &Landscape) -> Rivals {
        let tree = MergeTree::of(landscape);
        let ends = |path: &Path| tree.ends(path).map(|(a, b)| (a as u32, b as u32));
        let tried = landscape.paths.iter().filter(|path| path.visits > 0);
        let tried: Vec<(&Path, (u32, u32))> = tried.filter_map(|path| Some((path, ends(path)?))).collect();
        let mut components = UnionFind::new(tree.minima.len());
        let (mut rivals, mut last): (HashSet<PathId>, Option<(PathId, f64)>) = Default::default();
        for merge in &tree.merges {
            let deciding = tree.paths[merge.edge];
            if tree.minima[merge.dead].is_sampled()
                && let Some((a, b)) = ends(deciding)
            {
                let dead = components.eldest(merge.dead as u32);
                let mut is_dead = |vertex| components.eldest(vertex) == dead;
                let same: Vec<&Path> = (tried.iter().filter(|(_, (c, d))| (*c, *d) == (a, b) || (*c, *d) == (b, a)))
                    .map(|(path, _)| *path)
                    .collect();
                let leaves = |(path, (c, d)): &&(&Path, (u32, u32))| {
                    path.state != PathState::Split && is_dead(*c) != is_dead(*d)
                };
                rivals.extend(tried.iter().filter(leaves).map(|(path, _)| path.id));
                rivals.extend(same.iter().map(|path| path.id));
                last = last.into_iter().chain(last_lowered(&same)).max_by_key(|(id, _)| *id);
            }
            components.merge(merge.dead as u32, merge.elder as u32);
        }
        tree.merges.iter().for_each(|merge| _ = rivals.remove(&tree.paths[merge.edge].id));
        Rivals { tried: rivals.len() as u64, last_lowered_by: last.map_or(0.0, |(_, by)| by) }
    }
}

/// The last of some paths, in the order in which they were begun, that lies lower than all before it by more than it is
/// known, and by how much.
fn last_lowered(paths: &[&Path]) -> Option<(PathId, f64)> {
    let (mut lowest, mut last) = (f64::INFINITY, None);
    for path in paths {
        let by = lowest - path.pass.height;
        if by.is_finite() && by > path.pass.error {
            last = Some((path.id, by));
        }
        lowest = lowest.min(path.pass.height);
    }
    last
}
