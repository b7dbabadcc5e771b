//! The degree-0 barcode of what a search has found: every minimum that counts is born at its loss and dies at the
//! lowest pass to a better one, over the graph of all measured paths.

use super::merge_tree::{Ages, Edge, Merge, Vertex, merges};
use super::{Bar, Barcode, Cell, CellKind};
use crate::order::by_value;
use crate::search::{Descent, Landscape, Minimum, PassKind, Path, PathState};
use std::collections::HashMap;

/// A landscape read as a graph, with its merges.
pub struct Tree<'a> {
    /// The minima that count, as the vertices.
    pub minima: Vec<&'a Minimum>,
    /// The paths that stand, as the edges.
    pub paths: Vec<&'a Path>,
    /// Lowest first; `dead`, `elder` and `edge` index the two vectors above.
    pub merges: Vec<Merge>,
}

/// Builds the merge tree. Copies stand for the minimum they are copies of; escapes and failures take no part.
pub fn tree(landscape: &Landscape) -> Tree<'_> {
    let minima: Vec<&Minimum> = landscape.minima.iter().filter(|m| m.counts()).collect();
    let paths: Vec<&Path> = landscape.paths.iter().filter(|p| p.state != PathState::Split).collect();
    let places: HashMap<u64, usize> = minima.iter().zip(0..).map(|(m, i)| (m.cell, i)).collect();
    let copies: HashMap<u64, u64> = landscape.minima.iter().filter_map(|m| Some((m.cell, m.same_as?))).collect();
    let index = |cell: u64| places.get(copies.get(&cell).unwrap_or(&cell)).copied();
    let vertices: Vec<Vertex> = minima.iter().map(|m| Vertex { value: m.loss, cell: m.cell }).collect();
    let joined: Vec<(&Path, (usize, usize))> =
        paths.iter().filter_map(|&p| Some((p, (index(p.ends.0)?, index(p.ends.1)?)))).collect();
    let edges: Vec<Edge> =
        joined.iter().map(|(p, ends)| Edge { height: p.pass.height, cell: p.pass.cell, ends: *ends }).collect();
    let merges = merges(&vertices, &Ages::of(&vertices), &edges);
    let paths = joined.into_iter().map(|(path, _)| path).collect();
    Tree { minima, paths, merges }
}

impl<'a> Tree<'a> {
    /// The barcode: one bar a minimum, zero-length bars left out. `noise` is what two evaluations of one loss may
    /// differ by; shorter bars are flagged.
    pub fn barcode(&self, noise: f64) -> Barcode {
        let mut bars: Vec<Bar> = Vec::with_capacity(self.minima.len());
        let mut ends: Vec<Option<&Merge>> = vec![None; self.minima.len()];
        self.merges.iter().for_each(|merge| ends[merge.dead] = Some(merge));
        let mut cells: Vec<Cell> = Vec::new();
        for (i, minimum) in self.minima.iter().enumerate() {
            let merge = ends[i];
            let path = merge.map(|m| self.paths[m.edge]);
            // A path's two ends lie on it, so a death below a birth can only be rounding.
            let death = path.map(|p| p.pass.height.max(minimum.loss));
            if death == Some(minimum.loss) {
                continue;
            }
            bars.push(Bar {
                degree: 0,
                birth: minimum.loss,
                death,
                death_error: path.map(|p| p.pass.error),
                birth_cell: minimum.cell,
                death_cell: path.map(|p| p.pass.cell),
                elder: merge.map(|m| self.minima[m.elder].cell),
                path: path.map(|p| p.id),
                death_kind: path.map(|p| p.pass.kind.into()),
                transit: (!minimum.is_sampled()).then_some(true),
                below_noise: death.map(|death| death - minimum.loss <= noise),
                unconverged: Some(minimum.descent != Descent::Converged),
                evidence: Some(path.and_then(|p| p.pass.evidence.clone()).unwrap_or_else(|| minimum.evidence.clone())),
                cycle: Vec::new(),
            });
            cells.push(Cell {
                id: minimum.cell,
                degree: 0,
                value: minimum.loss,
                kind: CellKind::Minimum,
                position: Vec::new(),
            });
            cells.extend(path.map(|p| Cell {
                id: p.pass.cell,
                degree: 1,
                value: p.pass.height,
                kind: match p.pass.kind {
                    PassKind::VerifiedSaddle => CellKind::Saddle,
                    PassKind::PathMaximum => CellKind::PathMaximum,
                },
                position: Vec::new(),
            }));
        }
        bars.sort_by(|a, b| by_value((a.birth, a.birth_cell), (b.birth, b.birth_cell)));
        cells.sort_by_key(|cell| cell.id);
        Barcode { bars, cells }
    }
}
