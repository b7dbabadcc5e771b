//! The degree-0 barcode of what a search has found: every minimum that counts is born at its loss and dies at the
//! lowest pass to a better one, over the graph of all measured paths.

use super::vertices::Vertices;
use crate::persistence::merge_tree::{Ages, Edge, Merge, merges};
use crate::persistence::{Bar, Barcode, CellKind, Death, DeathAt, NamedCell, Searched, Top};
use crate::search::{CellId, Descent, Landscape, Minimum, Pass, PassKind, Path};

/// A landscape read as a graph, with its merges.
pub struct MergeTree<'a> {
    /// The minima that count, as the vertices.
    pub minima: Vec<&'a Minimum>,
    /// The paths that stand, as the edges.
    pub paths: Vec<&'a Path>,
    /// Lowest first; `dead`, `elder` and `edge` index the two vectors above.
    pub merges: Vec<Merge>,
    vertices: Vertices,
}

impl<'a> MergeTree<'a> {
    /// That of all paths. Copies stand for the minimum they are copies of; escapes and failures take no part.
    pub fn of(landscape: &'a Landscape) -> MergeTree<'a> {
        let mut vertices = Vertices::default();
        let minima = vertices.catch_up(&landscape.minima);
        let standing = landscape.paths.iter().filter_map(|path| Some((path, vertices.edge(path)?)));
        let (paths, edges): (Vec<&Path>, Vec<Edge>) = standing.unzip();
        let merges = merges(&vertices.all, &Ages::of(&vertices.all), &edges);
        MergeTree { minima, paths, merges, vertices }
    }

    /// The minima at the ends of a path, by their places; `None` where one of them does not count.
    pub fn ends(&self, path: &Path) -> Option<(usize, usize)> {
        self.vertices.ends(path)
    }

    /// The minimum of a cell, or of which that is a copy, by its place; `None` where it does not count.
    pub fn vertex(&self, cell: CellId) -> Option<usize> {
        self.vertices.of_cell(cell)
    }

    /// The barcode: one bar a minimum, zero-length bars left out and counted. `noise` is what two evaluations of one loss may
    /// differ by; shorter bars are flagged.
    pub fn barcode(&self, noise: f64) -> Barcode {
        let mut ends: Vec<Option<&Merge>> = vec![None; self.minima.len()];
        self.merges.iter().for_each(|merge| ends[merge.dead] = Some(merge));
        let (mut bars, mut cells, mut zero): (Vec<Bar>, Vec<NamedCell>, u64) = Default::default();
        for (minimum, merge) in self.minima.iter().zip(ends) {
            let end = merge.map(|merge| self.death(minimum, merge, noise));
            if end.is_some_and(|end| end.value == minimum.loss) {
                zero += u64::from(minimum.is_sampled());
                continue;
            }
            let (transit, unconverged) = (!minimum.is_sampled(), minimum.descent != Descent::Converged);
            bars.push(Bar {
                degree: 0,
                birth: minimum.loss,
                birth_cell: minimum.cell,
                end,
                searched: Some(Searched { transit, unconverged }),
                cycle: Vec::new(),
            });
            cells.push(cell(minimum.cell, 0, minimum.loss, CellKind::Minimum));
            cells.extend(merge.map(|merge| {
                let Pass { cell: id, height, kind, .. } = self.paths[merge.edge].pass;
                let kind = match kind {
                    PassKind::VerifiedSaddle | PassKind::VerifiedKinkSaddle => CellKind::Saddle,
                    PassKind::PathMaximum => CellKind::PathMaximum,
                };
                cell(id, 1, height, kind)
            }));
        }
        Barcode::new(bars, cells, zero)
    }

    fn death(&self, minimum: &Minimum, merge: &Merge, noise: f64) -> Death {
        let path = self.paths[merge.edge];
        // A path's two ends lie on it, so a death below a birth can only be rounding.
        let value = path.pass.height.max(minimum.loss);
        let top = Top {
            path: Some(path.id),
            error: path.pass.error,
            kind: path.pass.kind,
            below_noise: value - minimum.loss <= noise,
        };
        Death { value, cell: path.pass.cell, elder: Some(self.minima[merge.elder].cell), at: DeathAt::Top(top) }
    }
}

fn cell(id: CellId, degree: u32, value: f64, kind: CellKind) -> NamedCell {
    NamedCell { id, degree, value, kind, position: Vec::new() }
}
