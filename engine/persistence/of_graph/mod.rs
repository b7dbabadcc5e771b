//! The canonical form of a function on a graph: degree 0 from its minimum spanning forest, and degree 1, which counts the
//! edges that join nothing. A graph has no cells that could fill a cycle, so every bar of degree 1 is a half-line.

#[cfg(test)]
mod tests;

use super::pairs::{self, Pair};
use super::{Barcode, CellKind};
use crate::morse::graph::{Forest, Graph};

/// What to compute of a graph.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Whether degree 1 is computed too, in O(m log m).
    pub degree_1: bool,
    /// Whether bars of equal birth and death are kept.
    pub zero_length: bool,
    /// Bars of degree 0 that are shorter are left out; what swallows one that stays, stays.
    pub shortest: f64,
    /// A representative of every bar.
    pub cycles: bool,
}

/// Pairs, and where they were asked for, what represents them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Canonical {
    /// By degree; degree 0 by birth, degree 1 by the vertex or the edge (n + e) that closes the cycle.
    pub pairs: Vec<Pair>,
    /// With each pair of `pairs`, in degree 0 the lowest path from its birth to its elder, a vertex in each list; in degree
    /// 1 the edges of a cycle. Empty for half-lines of degree 0.
    pub cycles: Vec<Vec<Vec<u32>>>,
}

impl Canonical {
    /// The barcode. Edges with a value of their own are saddles.
    pub fn barcode(&self, graph: &Graph) -> Barcode {
        let mut barcode = pairs::barcode(&self.pairs, &self.cycles, |cell| graph.value(cell));
        let edges = barcode.cells.iter_mut().filter(|cell| cell.id >= graph.vertices() as u64);
        edges.for_each(|cell| cell.kind = CellKind::Saddle);
        barcode
    }
}

/// The canonical form of a function on a graph.
pub fn canonical(forest: &Forest<'_>, wanted: Wanted) -> Canonical {
    let graph = forest.graph();
    let vertex = |basin: u32| u64::from(forest.minima()[basin as usize]);
    let minima = forest.minima().iter();
    let mut bars: Vec<Option<Pair>> =
        minima.map(|&v| Some(Pair { degree: 0, birth: v.into(), death: None, elder: None })).collect();
    for pass in forest.passes() {
        let (birth, death) = (vertex(pass.dead), pass.cell);
        let short = forest.length(pass) < wanted.shortest || (!wanted.zero_length && graph.same_level(birth, death));
        let pair = Pair { degree: 0, birth, death: Some(death), elder: Some(vertex(pass.elder)) };
        bars[pass.dead as usize] = (!short).then_some(pair);
    }
    let mut found = Canonical { pairs: bars.into_iter().flatten().collect(), cycles: Vec::new() };
    let path = |from: u32, to: u32| forest.path(from, to).map(|path| path.vertices).unwrap_or_default();
    if wanted.cycles {
        let ends = found.pairs.iter().map(|pair| pair.elder.map(|elder| path(pair.birth as u32, elder as u32)));
        found.cycles = ends.map(|path| path.unwrap_or_default().into_iter().map(|v| vec![v]).collect()).collect();
    }
    if wanted.degree_1 {
        let cycles = forest.cycles();
        if wanted.cycles {
            let closed = cycles.iter().map(|cycle| {
                let [high, low] = cycle.ends;
                let mut round = path(high, low);
                round.push(high);
                round.windows(2).map(<[u32]>::to_vec).collect()
            });
            found.cycles.extend(closed);
        }
        let pair = |birth| Pair { degree: 1, birth, death: None, elder: None };
        found.pairs.extend(cycles.into_iter().map(|cycle| pair(cycle.cell)));
    }
    found
}
