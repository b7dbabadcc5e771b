//! The Morse complex of the loss in its whole space as far as it was found: minima, saddles of index 1, and the boundary
//! of each saddle, the two minima in which the gradient flow from it ends.
//!
//! Filtered by the loss, the saddles kill minima by the elder rule; a saddle whose two lines end in one component kills
//! none: a cycle is born there, a bar of degree 1 whose death would need points of index 2.

use super::vertices::Vertices;
use crate::order::by_value;
use crate::persistence::merge_tree::{Ages, Edge, merges};
use crate::search::{CellId, Landscape, Minimum};
use serde::Serialize;

/// A saddle and its boundary, modulo 2: nothing where both lines end in one minimum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Boundary {
    /// The saddle.
    pub cell: CellId,
    /// Its loss.
    pub value: f64,
    /// The minima in which its two lines of gradient flow end.
    pub ends: (CellId, CellId),
}

/// Cells of index 0 and 1 with their boundary.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MorseComplex {
    /// The number of minima.
    pub minima: usize,
    /// Saddles, the lowest first.
    pub saddles: Vec<Boundary>,
    /// Saddles whose lines of flow did not both come to a minimum.
    pub undecided: Vec<CellId>,
    /// (minimum, saddle): the bars of degree 0 that end.
    pub pairs: Vec<(CellId, CellId)>,
    /// Saddles at which a bar of degree 1 is born.
    pub births: Vec<CellId>,
}

impl MorseComplex {
    /// Of the verified saddles of a landscape, each once.
    pub fn of(landscape: &Landscape) -> MorseComplex {
        let mut vertices = Vertices::default();
        let minima: Vec<&Minimum> = vertices.catch_up(&landscape.minima);
        let mut complex = MorseComplex { minima: minima.len(), ..MorseComplex::default() };
        let mut edges: Vec<(Boundary, Edge)> = Vec::new();
        for path in landscape.listed() {
            let (cell, value) = (path.pass.cell, path.pass.height);
            let ends = path.pass.survey().and_then(|survey| survey.boundary);
            match ends.and_then(|ends| Some((ends, vertices.of_cells(ends)?))) {
                Some((ends, places)) => {
                    edges.push((Boundary { cell, value, ends }, Edge { height: value, cell, ends: places }));
                }
                None => complex.undecided.push(cell),
            }
        }
        edges.sort_by(|a, b| by_value((a.0.value, a.0.cell), (b.0.value, b.0.cell)));
        let (saddles, edges): (Vec<Boundary>, Vec<Edge>) = edges.into_iter().unzip();
        let merged = merges(&vertices.all, &Ages::of(&vertices.all), &edges);
        complex.pairs = merged.iter().map(|m| (minima[m.dead].cell, saddles[m.edge].cell)).collect();
        let mut kills = vec![false; saddles.len()];
        merged.iter().for_each(|merge| kills[merge.edge] = true);
        complex.births = saddles.iter().zip(kills).filter(|(_, kills)| !kills).map(|(s, _)| s.cell).collect();
        complex.saddles = saddles;
        complex
    }
}
