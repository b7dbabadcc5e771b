//! The elder rule: components of a growing graph, each known by its eldest member; when two meet, the younger dies.

#![forbid(unsafe_code)]

/// Disjoint sets whose representative is the *eldest* (lowest in the total order) member.
///
/// Members are numbered in that order: smaller is elder.
#[derive(Clone, Debug)]
pub struct UnionFind {
    parent: Vec<u32>,
}

impl UnionFind {
    /// `n` components of one member each.
    pub fn new(n: usize) -> UnionFind {
        UnionFind { parent: (0..n as u32).collect() }
    }

    /// The eldest member of the component of `i`. Amortised almost constant (path halving).
    pub fn eldest(&mut self, mut i: u32) -> u32 {
        while self.parent[i as usize] != i {
            let grandparent = self.parent[self.parent[i as usize] as usize];
            self.parent[i as usize] = grandparent;
            i = grandparent;
        }
        i
    }

    /// Joins two components; returns `(dead, elder)`, the two eldest members, or `None` if they were one already.
    pub fn merge(&mut self, i: u32, j: u32) -> Option<(u32, u32)> {
        let (a, b) = (self.eldest(i), self.eldest(j));
        if a == b {
            return None;
        }
        let (elder, dead) = (a.min(b), a.max(b));
        self.parent[dead as usize] = elder;
        Some((dead, elder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_younger_component_dies_into_the_elder() {
        let mut sets = UnionFind::new(4);
        assert_eq!(sets.merge(2, 3), Some((3, 2)));
        assert_eq!(sets.merge(3, 1), Some((2, 1)));
        assert_eq!(sets.merge(2, 1), None);
        assert_eq!(sets.eldest(3), 1);
        assert_eq!(sets.eldest(0), 0);
    }
}
