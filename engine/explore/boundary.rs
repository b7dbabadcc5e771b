//! The Morse complex of the loss in its whole space as far as it was found: minima, saddles of index 1, and the boundary
//! of each saddle, the two minima in which the gradient flow from it ends.
//!
//! Filtered by the loss, the saddles kill minima by the elder rule; a saddle whose two lines end in one component kills
//! none: a cycle is born there, a bar of degree 1 whose death would need points of index 2.

use super::vertices::Vertices;
use crate::order::by_value;
use crate::persistence::merge_tree::{Ages, Edge, merges};
use crate::search::{CellId, Critical, Landscape, Minimum};
use serde::Serialize;
use std::collections::BTreeSet;

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
    /// Points of index 2 and above: cell, index, and the boundary modulo 2 where it is known.
    pub higher: Vec<(CellId, usize, Option<Vec<CellId>>)>,
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
        let faces = |c: &Critical| (c.cell, c.index, c.evidence.survey.faces.clone());
        complex.higher = landscape.critical.iter().map(faces).collect();
        complex
    }

    /// How many cells there are of each index, of none where the last are not looked for.
    pub fn counts(&self) -> Vec<usize> {
        let highest = self.higher.iter().map(|(_, index, _)| *index).max().unwrap_or(1);
        let saddles = self.saddles.len() + self.undecided.len();
        let of = |index: usize| self.higher.iter().filter(|(_, other, _)| *other == index).count();
        [self.minima, saddles].into_iter().chain((2..=highest).map(of)).collect()
    }

    /// Whether the boundary of every boundary that is known is nothing, modulo 2.
    pub fn is_closed(&self) -> bool {
        let odd = |cells: &mut BTreeSet<CellId>, cell: CellId| {
            if !cells.remove(&cell) {
                cells.insert(cell);
            }
        };
        self.higher.iter().filter_map(|(_, _, faces)| faces.as_ref()).all(|faces| {
            let mut rest = BTreeSet::new();
            for face in faces {
                if let Some(saddle) = self.saddles.iter().find(|saddle| saddle.cell == *face) {
                    odd(&mut rest, saddle.ends.0);
                    odd(&mut rest, saddle.ends.1);
                }
                let point = self.higher.iter().find(|(cell, _, _)| cell == face);
                point.and_then(|p| p.2.as_ref()).into_iter().flatten().for_each(|&cell| odd(&mut rest, cell));
            }
            rest.is_empty()
        })
    }
}
