//! The canonical form of a function on a graph: degree 0 from its minimum spanning forest, and degree 1, which counts the
//! edges that join nothing. A graph has no cells that could fill a cycle, so every bar of degree 1 is a half-line.

#[cfg(test)]
mod tests;

use super::Pair;
use crate::morse::graph::Forest;

/// What to compute of a graph.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Also degree 1, O(m log m).
    pub cycles: bool,
    /// Also the bars of equal birth and death.
    pub zero_length: bool,
    /// Leaves out the bars of degree 0 that are shorter; what swallows one that stays, stays.
    pub threshold: f64,
}

/// The pairs of a graph, by degree: degree 0 by birth, degree 1 by the vertex or the edge (n + e) that closes the cycle.
pub fn canonical(forest: &Forest<'_>, wanted: Wanted) -> Vec<Pair> {
    let graph = forest.graph();
    let vertex = |basin: u32| u64::from(forest.minima()[basin as usize]);
    let minima = forest.minima().iter();
    let mut pairs: Vec<Option<Pair>> =
        minima.map(|&v| Some(Pair { degree: 0, birth: v.into(), death: None, elder: None })).collect();
    for pass in forest.passes() {
        let (birth, death) = (vertex(pass.dead), pass.cell);
        let short = forest.length(pass) < wanted.threshold || (!wanted.zero_length && graph.same_level(birth, death));
        let pair = Pair { degree: 0, birth, death: Some(death), elder: Some(vertex(pass.elder)) };
        pairs[pass.dead as usize] = (!short).then_some(pair);
    }
    let mut pairs: Vec<Pair> = pairs.into_iter().flatten().collect();
    if wanted.cycles {
        let cycle = |birth| Pair { degree: 1, birth, death: None, elder: None };
        pairs.extend(forest.cycles().into_iter().flat_map(|(cell, count)| std::iter::repeat_n(cycle(cell), count)));
    }
    pairs
}
