//! The minimum spanning forest of a function on a graph: how its basins join, which minimum each joins, and the lowest
//! paths between vertices.
//!
//! Steepest descent within basins and the passes between them are together the minimum spanning forest of the whole graph,
//! edges being in one total order. So the path in it between two vertices is the lowest one, on every stretch of it.

use super::basin::Basins;
use super::rank::Ranks;
use super::{Graph, NOWHERE};
use crate::pool::Pool;
use crate::union_find::UnionFind;

/// Minima, their basins, and the passes that join them. Borrows its graph.
#[derive(Clone, Debug)]
pub struct Forest<'a> {
    graph: &'a Graph,
    ranks: Ranks,
    basins: Basins,
    passes: Vec<Pass>,
}

/// Where a component dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// The cell at which it dies, a vertex or n + e.
    pub cell: u64,
    /// The edge between two basins that joins them there.
    pub ends: [u32; 2],
    /// The basin of its eldest vertex.
    pub dead: u32,
    /// The basin of the eldest vertex of what swallows it, once all that meets at `cell` has joined.
    pub elder: u32,
}

/// The lowest path between two vertices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// From the one to the other.
    pub vertices: Vec<u32>,
    /// The highest cell on it.
    pub top: u64,
}

impl<'a> Forest<'a> {
    pub(super) fn new(graph: &'a Graph, pool: &Pool) -> Forest<'a> {
        let ranks = Ranks::new(graph, pool);
        let basins = Basins::new(graph, &ranks, pool);
        let bridges = basins.bridges(graph, &ranks, pool);
        let mut components = UnionFind::new(basins.minima.len());
        let mut passes: Vec<Pass> = Vec::with_capacity(bridges.len());
        for bridge in bridges {
            let cell = ranks.cells[bridge.height as usize];
            let ends = match (cell as usize).checked_sub(graph.n) {
                None => [cell, ranks.cells[bridge.low as usize]],
                Some(edge) => graph.edges[edge],
            };
            let (a, b) = bridge.basins;
            if let Some((dead, elder)) = components.merge(a, b) {
                passes.push(Pass { cell: cell.into(), ends, dead, elder });
            }
        }
        // An elder may itself have died where its younger one did, later in the list: what swallowed it counts.
        let mut swallowed = vec![None; basins.minima.len()];
        for pass in passes.iter_mut().rev() {
            if let Some((_, elder)) = swallowed[pass.elder as usize].filter(|&(cell, _)| cell == pass.cell) {
                pass.elder = elder;
            }
            swallowed[pass.dead as usize] = Some((pass.cell, pass.elder));
        }
        Forest { graph, ranks, basins, passes }
    }

    /// The graph.
    pub fn graph(&self) -> &'a Graph {
        self.graph
    }

    /// The vertices that are minima, eldest first. A basin is known by its place here.
    pub fn minima(&self) -> &[u32] {
        &self.basins.minima
    }

    /// The basin of each vertex, or [`NOWHERE`].
    pub fn basins(&self) -> &[u32] {
        &self.basins.of
    }

    /// Every pass at which a component dies, lowest first. Minima that die at none are half-lines.
    pub fn passes(&self) -> &[Pass] {
        &self.passes
    }

    /// The length of the bar that a pass ends; never negative.
    pub fn length(&self, pass: &Pass) -> f64 {
        let birth = self.graph.value(self.basins.minima[pass.dead as usize].into());
        (self.graph.value(pass.cell) - birth).abs()
    }

    /// The surviving basin that each basin belongs to when all bars shorter than `threshold` are cancelled: it then drains
    /// over the pass at which it died, as in ToMATo (Chazal, Guibas, Oudot, Skraba 2013).
    pub fn simplified(&self, threshold: f64) -> Vec<u32> {
        let mut clusters = UnionFind::new(self.basins.minima.len());
        for pass in self.passes.iter().filter(|pass| self.length(pass) < threshold) {
            // The eldest of a cluster is the one that survives: whoever is elder and dies later is longer.
            let [a, b] = pass.ends.map(|v| self.basins.of[v as usize]);
            clusters.merge(a, b);
        }
        (0..self.basins.minima.len() as u32).map(|basin| clusters.eldest(basin)).collect()
    }

    /// The minimum that each vertex belongs to when all bars shorter than `threshold` are cancelled; -1 for vertices in no
    /// sublevel set.
    pub fn labels(&self, threshold: f64) -> Vec<i64> {
        let survivors = self.simplified(threshold);
        let label = |&basin: &u32| match basin {
            NOWHERE => -1,
            basin => self.basins.minima[survivors[basin as usize] as usize].into(),
        };
        self.basins.of.iter().map(label).collect()
    }

    /// The path between two vertices whose highest cell is lowest, on every stretch of it; `None` where no sublevel set
    /// joins them. O(basins and the path's length).
    pub fn path(&self, from: u32, to: u32) -> Option<Path> {
        let basin = |v: u32| self.basins.of.get(v as usize).copied().filter(|&basin| basin != NOWHERE);
        let (first, last) = (basin(from)?, basin(to)?);
        let mut vertices = Vec::new();
        let mut at = from;
        let mut top = self.ranks.of[from as usize];
        for pass in self.between(first, last)? {
            let [a, b] = self.passes[pass].ends;
            let (near, far) = if basin(a) == basin(at) { (a, b) } else { (b, a) };
            self.walk(at, near, &mut vertices);
            top = top.max(self.ranks.of[self.passes[pass].cell as usize]);
            at = far;
        }
        self.walk(at, to, &mut vertices);
        let top = vertices.iter().map(|&v| self.ranks.of[v as usize]).fold(top, u32::max);
        Some(Path { vertices, top: self.ranks.cells[top as usize].into() })
    }

    /// The passes from one basin to another, as indices of `passes`, in order.
    fn between(&self, first: u32, last: u32) -> Option<Vec<usize>> {
        let mut next: Vec<Vec<usize>> = vec![Vec::new(); self.basins.minima.len()];
        let sides = |pass: usize| self.passes[pass].ends.map(|v| self.basins.of[v as usize]);
        for pass in 0..self.passes.len() {
            sides(pass).into_iter().for_each(|basin| next[basin as usize].push(pass));
        }
        // From the last basin, so that the steps back are in order.
        let mut came = vec![None; next.len()];
        let mut queue = vec![last];
        while let Some(basin) = queue.pop() {
            for &pass in &next[basin as usize] {
                let [a, b] = sides(pass);
                let other = if a == basin { b } else { a };
                if other != last && came[other as usize].is_none() {
                    came[other as usize] = Some((pass, basin));
                    queue.push(other);
                }
            }
        }
        let (mut at, mut passes) = (first, Vec::new());
        while at != last {
            let (pass, basin) = came[at as usize]?;
            passes.push(pass);
            at = basin;
        }
        Some(passes)
    }

    /// Appends the way between two vertices of one basin: down from the one until the other's way is met, and up it.
    fn walk(&self, from: u32, to: u32, vertices: &mut Vec<u32>) {
        let way = |from: u32| {
            std::iter::successors(Some(from), |&v| Some(self.basins.down[v as usize]).filter(|&next| next != v))
        };
        let (mut down, mut up): (Vec<u32>, Vec<u32>) = (way(from).collect(), way(to).collect());
        let mut lowest = None;
        while let (Some(&a), Some(&b)) = (down.last(), up.last()) {
            if a != b {
                break;
            }
            lowest = Some(a);
            down.pop();
            up.pop();
        }
        vertices.extend(down.into_iter().chain(lowest).chain(up.into_iter().rev()));
    }

    /// How many cycles each cell closes, in order: as many as edges enter with it, less those that join two components.
    pub fn cycles(&self) -> Vec<(u64, usize)> {
        let (ranks, graph) = (&self.ranks, self.graph);
        let mut edges: Vec<u128> = Vec::new();
        for (e, &[a, b]) in graph.edges.iter().enumerate().filter(|(_, [a, b])| a != b) {
            let (i, j) = (ranks.of[a as usize], ranks.of[b as usize]);
            let own = if graph.levels.own.is_empty() { 0 } else { ranks.of[graph.n + e] };
            let height = i.max(j).max(own);
            if height < ranks.present {
                edges.push(u128::from(i.max(j)) << 64 | u128::from(i.min(j)) << 32 | u128::from(height));
            }
        }
        // Of repeated edges the lowest counts.
        edges.sort_unstable();
        edges.dedup_by_key(|edge| *edge >> 32);
        let mut begun = vec![0_usize; ranks.cells.len()];
        edges.iter().for_each(|&edge| begun[edge as u32 as usize] += 1);
        self.passes.iter().for_each(|pass| begun[ranks.of[pass.cell as usize] as usize] -= 1);
        for v in (0..graph.n).filter(|&v| self.basins.down[v] != v as u32) {
            begun[ranks.of[v] as usize] -= 1; // The edge that joins it to its lowest neighbour.
        }
        let cell = |rank: usize| u64::from(ranks.cells[rank]);
        begun.into_iter().enumerate().filter(|&(_, count)| count > 0).map(|(rank, count)| (cell(rank), count)).collect()
    }
}
