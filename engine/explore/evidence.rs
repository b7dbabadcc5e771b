//! What speaks for the bars of a landscape: a bar itself says what it is, not why we believe it.

use crate::persistence::Bar;
use crate::search::{CellId, Evidence, Landscape, Minimum, Path, PathId};
use std::collections::HashMap;

/// For each bar the evidence of its pass, in degrees above 0 of the critical point that ends it, where there is any, or
/// else of its birth; none where a function was sampled.
pub fn evidence<'a>(landscape: &'a Landscape, bars: &[Bar]) -> Vec<Option<&'a Evidence>> {
    let minima: HashMap<CellId, &Minimum> = landscape.minima.iter().map(|m| (m.cell, m)).collect();
    let paths: HashMap<PathId, &Path> = landscape.paths.iter().map(|path| (path.id, path)).collect();
    let saddles: HashMap<CellId, &Evidence> =
        landscape.listed().filter_map(|path| Some((path.pass.cell, path.pass.evidence.as_ref()?))).collect();
    let higher: HashMap<CellId, &Evidence> = landscape.critical.iter().map(|c| (c.cell, &c.evidence)).collect();
    let critical = |cell: CellId| higher.get(&cell).or_else(|| saddles.get(&cell)).copied();
    let of = |bar: &Bar| {
        bar.searched?;
        if bar.degree > 0 {
            return bar.death_cell().and_then(critical).or_else(|| critical(bar.birth_cell));
        }
        let pass = bar.top().and_then(|top| paths.get(&top.path?)?.pass.evidence.as_ref());
        pass.or_else(|| Some(&minima.get(&bar.birth_cell)?.evidence))
    };
    bars.iter().map(of).collect()
}
