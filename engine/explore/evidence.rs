//! What speaks for the bars of a landscape: a bar itself says what it is, not why we believe it.

use crate::persistence::Bar;
use crate::search::{CellId, Evidence, Landscape, Minimum, Path, PathId};
use std::collections::HashMap;

/// For each bar the evidence of its pass, where there is any, or else of its birth; none where a function was sampled.
pub fn evidence<'a>(landscape: &'a Landscape, bars: &[Bar]) -> Vec<Option<&'a Evidence>> {
    let minima: HashMap<CellId, &Minimum> = landscape.minima.iter().map(|m| (m.cell, m)).collect();
    let paths: HashMap<PathId, &Path> = landscape.paths.iter().map(|path| (path.id, path)).collect();
    let of = |bar: &Bar| {
        bar.searched?;
        let pass = bar.top().and_then(|top| paths.get(&top.path)?.pass.evidence.as_ref());
        pass.or_else(|| Some(&minima.get(&bar.birth_cell)?.evidence))
    };
    bars.iter().map(of).collect()
}
