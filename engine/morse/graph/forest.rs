//! The minimum spanning forest of a function on a graph: how its basins join, which minimum each joins, and the lowest
//! paths between vertices.
//!
//! Steepest descent within basins and the passes between them are together the minimum spanning forest of the whole graph,
//! edges being in one total order. So the path in it between two vertices is the lowest one, on every stretch of it.

use super::basin::Basins;
use super::function::Graph;
use super::rank::Ranks;
use crate::machine::pool::Pool;
use crate::morse::labels::NOWHERE;
use crate::order::packed;
use crate::union_find::UnionFind;
use std::borrow::Cow;
use std::collections::HashSet;

/// Minima, their basins, and the passes that join them. Borrows or owns its graph.
#[derive(Clone, Debug)]
pub struct Forest<'a> {
    graph: Cow<'a, Graph>,
    ranks: Ranks,
    basins: Basins,
    passes: Vec<Pass>,
    ways: Vec<Way>,
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
pub struct LowestPath {
    /// From the one to the other.
    pub vertices: Vec<u32>,
    /// The highest cell on it.
    pub top: u64,
}

/// An edge that joins nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cycle {
    /// The cell at which the cycle begins, a vertex or n + e.
    pub cell: u64,
    /// The later end of the edge, and the other.
    pub ends: [u32; 2],
}

impl Graph {
    /// Minima, basins and the passes between them. O(n log n + m) for a smooth function; 30 bytes a vertex besides the
    /// graph and 16 for each edge between basins. The same for any number of threads and any order of edges.
    pub fn forest(&self, pool: &Pool) -> Forest<'_> {
        Forest::new(Cow::Borrowed(self), pool)
    }

    /// The spanning forest of the graph, which it then owns.
    pub fn into_forest(self, pool: &Pool) -> Forest<'static> {
        Forest::new(Cow::Owned(self), pool)
    }
}

impl<'a> Forest<'a> {
    fn new(graph: Cow<'a, Graph>, pool: &Pool) -> Forest<'a> {
        let ranks = Ranks::new(&graph, pool);
        let basins = Basins::new(&graph, &ranks, pool);
        let bridges = basins.bridges(&graph, &ranks, pool);
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
        let ways = ways(&basins, &passes);
        Forest { graph, ranks, basins, passes, ways }
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
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

    /// The surviving basin that each basin belongs to when all bars shorter than `shortest` are cancelled: it then drains
    /// over the pass at which it died, as in ToMATo (Chazal, Guibas, Oudot, Skraba 2013).
    pub fn simplified(&self, shortest: f64) -> Vec<u32> {
        let mut clusters = UnionFind::new(self.basins.minima.len());
        for pass in self.passes.iter().filter(|pass| self.length(pass) < shortest) {
            // The eldest of a cluster is the one that survives: whoever is elder and dies later is longer.
            let [a, b] = pass.ends.map(|v| self.basins.of[v as usize]);
            clusters.merge(a, b);
        }
        (0..self.basins.minima.len() as u32).map(|basin| clusters.eldest(basin)).collect()
    }

    /// The minimum that each vertex belongs to when all bars shorter than `shortest` are cancelled; -1 for vertices in no
    /// sublevel set.
    pub fn labels(&self, shortest: f64) -> Vec<i64> {
        let survivors = self.simplified(shortest);
        let label = |&basin: &u32| match basin {
            NOWHERE => -1,
            basin => self.basins.minima[survivors[basin as usize] as usize].into(),
        };
        self.basins.of.iter().map(label).collect()
    }

    /// The path between two vertices whose highest cell is lowest, on every stretch of it; `None` where no sublevel set
    /// joins them. As long as the way of both to the first basin that both pass, or less.
    pub fn path(&self, from: u32, to: u32) -> Option<LowestPath> {
        let basin = |v: u32| self.basins.of.get(v as usize).copied().filter(|&basin| basin != NOWHERE);
        let passes = self.between(basin(from)?, basin(to)?)?;
        let (mut at, mut top) = (from, self.ranks.of[from as usize]);
        let mut vertices = Vec::new();
        for pass in passes {
            let [a, b] = self.passes[pass].ends;
            let (near, far) = if basin(a) == basin(at) { (a, b) } else { (b, a) };
            self.walk(at, near, &mut vertices);
            top = top.max(self.ranks.of[self.passes[pass].cell as usize]);
            at = far;
        }
        self.walk(at, to, &mut vertices);
        let top = vertices.iter().map(|&v| self.ranks.of[v as usize]).fold(top, u32::max);
        Some(LowestPath { vertices, top: self.ranks.cells[top as usize].into() })
    }

    /// The passes from one basin to another, as indices of `passes`.
    fn between(&self, first: u32, last: u32) -> Option<Vec<usize>> {
        let (mut a, mut b) = (first, last);
        let (mut up, mut down) = (Vec::new(), Vec::new());
        while a != b {
            // The deeper of the two goes up, so that they meet at the first basin above both.
            let deeper = if self.ways[a as usize].depth >= self.ways[b as usize].depth {
                (&mut a, &mut up)
            } else {
                (&mut b, &mut down)
            };
            let (pass, above) = self.ways[*deeper.0 as usize].up?;
            *deeper.0 = above;
            deeper.1.push(pass);
        }
        Some(up.into_iter().chain(down.into_iter().rev()).collect())
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

    /// The edges that join nothing, lowest first: each closes one cycle with the lowest path between its ends, and those
    /// are a basis of all cycles. Of repeated edges the lowest counts. O(m log m).
    pub fn cycles(&self) -> Vec<Cycle> {
        let (ranks, graph) = (&self.ranks, self.graph());
        let mut edges: Vec<(u64, u32)> = Vec::new();
        for (e, &[a, b]) in graph.edges.iter().enumerate().filter(|(_, [a, b])| a != b) {
            let (i, j) = (ranks.of[a as usize], ranks.of[b as usize]);
            let own = if graph.own.is_empty() { 0 } else { ranks.of[graph.n + e] };
            let height = i.max(j).max(own);
            if height < ranks.present {
                edges.push((packed(i.max(j), i.min(j)), height));
            }
        }
        edges.sort_unstable();
        edges.dedup_by_key(|edge| edge.0);
        let ends = |edge: u64| [(edge >> 32) as u32, edge as u32].map(|rank| ranks.cells[rank as usize]);
        let bridges: HashSet<[u32; 2]> = self.passes.iter().map(|pass| sorted(pass.ends)).collect();
        edges.retain(|&(edge, height)| {
            let [high, low] = ends(edge);
            let is_descent = self.basins.down[high as usize] == low && height == ranks.of[high as usize];
            !is_descent && !bridges.contains(&sorted([high, low]))
        });
        edges.sort_by_key(|&(_, height)| height);
        let cycle = |(edge, height): (u64, u32)| Cycle { cell: ranks.cells[height as usize].into(), ends: ends(edge) };
        edges.into_iter().map(cycle).collect()
    }
}

/// The way of a basin to the root of its tree.
#[derive(Clone, Copy, Debug, Default)]
struct Way {
    depth: u32,
    /// The pass to the next basin, and that basin; `None` at the root.
    up: Option<(usize, u32)>,
}

/// The ways from all basins; each tree is rooted at its eldest.
fn ways(basins: &Basins, passes: &[Pass]) -> Vec<Way> {
    let sides = |pass: &Pass| pass.ends.map(|v| basins.of[v as usize]);
    let mut first = vec![0_u32; basins.minima.len() + 1];
    passes.iter().flat_map(sides).for_each(|basin| first[basin as usize + 1] += 1);
    (1..first.len()).for_each(|basin| first[basin] += first[basin - 1]);
    let mut next = first.clone();
    let mut at = vec![0_u32; 2 * passes.len()];
    for (pass, basin) in passes.iter().enumerate().flat_map(|(i, pass)| sides(pass).map(|basin| (i, basin))) {
        at[next[basin as usize] as usize] = pass as u32;
        next[basin as usize] += 1;
    }
    let mut ways: Vec<Option<Way>> = vec![None; basins.minima.len()];
    let mut queue = Vec::new();
    for root in 0..basins.minima.len() as u32 {
        if ways[root as usize].is_none() {
            ways[root as usize] = Some(Way::default());
            queue.push((root, 0));
        }
        while let Some((basin, depth)) = queue.pop() {
            for &pass in &at[first[basin as usize] as usize..first[basin as usize + 1] as usize] {
                let [a, b] = sides(&passes[pass as usize]);
                let other = if a == basin { b } else { a };
                if ways[other as usize].is_none() {
                    ways[other as usize] = Some(Way { depth: depth + 1, up: Some((pass as usize, basin)) });
                    queue.push((other, depth + 1));
                }
            }
        }
    }
    ways.into_iter().flatten().collect()
}

fn sorted([a, b]: [u32; 2]) -> [u32; 2] {
    [a.min(b), a.max(b)]
}
