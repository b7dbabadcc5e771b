//! The degree-0 barcode of what a search has found: every minimum that counts is born at its loss and dies at the
//! lowest pass to a better one, over the graph of all measured paths.

use super::vertices::Vertices;
use crate::order::by_value;
use crate::persistence::merge_tree::{Ages, Edge, Merge, merges};
use crate::persistence::{Bar, Barcode, Cell, CellKind};
use crate::search::{Descent, Landscape, Minimum, PassKind, Path};

/// A landscape read as a graph, with its merges.
pub struct MergeTree<'a> {
    /// The minima that count, as the vertices.
    pub minima: Vec<&'a Minimum>,
    /// The paths that stand, as the edges.
    pub paths: Vec<&'a Path>,
    /// Lowest first; `dead`, `elder` and `edge` index the two vectors above.
    pub merges: Vec<Merge>,
}

impl<'a> MergeTree<'a> {
    /// That of all paths. Copies stand for the minimum they are copies of; escapes and failures take no part.
    pub fn of(landscape: &'a Landscape) -> MergeTree<'a> {
        let mut vertices = Vertices::default();
        let minima = vertices.catch_up(&landscape.minima);
        let standing = landscape.paths.iter().filter_map(|path| Some((path, vertices.edge(path)?)));
        let (paths, edges): (Vec<&Path>, Vec<Edge>) = standing.unzip();
        let merges = merges(&vertices.all, &Ages::of(&vertices.all), &edges);
        MergeTree { minima, paths, merges }
    }

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
