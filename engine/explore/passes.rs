//! What the metrics are where it matters beside the minima: at verified saddles, and at the tops of the paths that
//! decide a bar.

use super::explorer::Explorer;
use super::tree::MergeTree;
use crate::error::Result;
use crate::search::{CellId, Metric};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The metrics at a pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AtPass {
    /// Its cell.
    pub cell: CellId,
    /// Those that are finite.
    pub metrics: Vec<(Metric, f64)>,
}

impl Explorer<'_, '_> {
    /// The metrics at the passes, in the order of their cells; nothing where the loss has none.
    pub(super) fn at_passes(&mut self) -> Result<Vec<AtPass>> {
        let tree = MergeTree::of(&self.landscape);
        let sampled = tree.merges.iter().filter(|merge| tree.minima[merge.dead].is_sampled());
        let deciding = sampled.map(|merge| tree.paths[merge.edge]);
        let verified = tree.paths.iter().copied().filter(|path| path.pass.kind.is_verified());
        let cells: BTreeSet<CellId> = deciding.chain(verified).map(|path| path.pass.cell).collect();
        let mut all = Vec::new();
        for cell in cells {
            let path = self.landscape.paths.iter().find(|path| path.pass.cell == cell);
            let Some(theta) = path.map(|path| path.pass.theta.clone()) else { continue };
            let mut metrics = self.metrics(&theta)?;
            metrics.retain(|(_, value)| value.is_finite());
            if metrics.is_empty() {
                break;
            }
            all.push(AtPass { cell, metrics });
        }
        Ok(all)
    }
}
