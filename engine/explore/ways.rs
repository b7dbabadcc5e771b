//! The lowest way between any two minima: over the edges of the merge tree's forest, which Kruskal chose, no way has a
//! lower top.

use super::tree::MergeTree;

/// The forest, hung up.
pub struct Ways {
    /// The next vertex towards the root, and the edge that leads there.
    up: Vec<Option<(usize, usize)>>,
    depth: Vec<usize>,
}

/// A path of the tree, by its place, and whether it is walked from its second end to its first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    pub path: usize,
    pub is_reversed: bool,
}

impl Ways {
    /// Those of a tree: O(minima).
    pub fn of(tree: &MergeTree<'_>) -> Ways {
        let n = tree.minima.len();
        let mut beside: Vec<Vec<(usize, usize)>> = vec![Vec::new(); n];
        for merge in &tree.merges {
            let Some((a, b)) = tree.ends(tree.paths[merge.edge]) else { continue };
            beside[a].push((b, merge.edge));
            beside[b].push((a, merge.edge));
        }
        let (mut up, mut depth, mut seen) = (vec![None; n], vec![0; n], vec![false; n]);
        for root in 0..n {
            let mut waiting = if seen[root] { Vec::new() } else { vec![root] };
            while let Some(at) = waiting.pop() {
                seen[at] = true;
                for &(next, edge) in beside[at].iter().filter(|(next, _)| !seen[*next]) {
                    (up[next], depth[next]) = (Some((at, edge)), depth[at] + 1);
                    waiting.push(next);
                }
            }
        }
        Ways { up, depth }
    }

    /// The way from one vertex to another; `None` where none was found.
    pub fn between(&self, tree: &MergeTree<'_>, (mut from, mut to): (usize, usize)) -> Option<Vec<Leg>> {
        let (mut ahead, mut back) = (Vec::new(), Vec::new());
        let leg = |path: usize, from: usize| {
            let is_reversed = tree.ends(tree.paths[path]).is_some_and(|(begin, _)| begin != from);
            Leg { path, is_reversed }
        };
        while from != to {
            if self.depth[from] >= self.depth[to] {
                let (next, edge) = self.up[from]?;
                ahead.push(leg(edge, from));
                from = next;
            } else {
                let (next, edge) = self.up[to]?;
                back.push(leg(edge, next));
                to = next;
            }
        }
        ahead.extend(back.into_iter().rev());
        Some(ahead)
    }
}
