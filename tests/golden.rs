//! The bars of small arrays are those that GUDHI found: `tests/golden/make.py` has made both.

use mountainpass::machine::pool::Pool;
use mountainpass::morse::grid::{Construction, Grid, Sampling};
use mountainpass::npy;
use mountainpass::persistence::of_grid::{Wanted, canonical};
use std::path::Path;

#[test]
fn bars_of_small_arrays_are_those_of_gudhi() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let arrays: Vec<_> = files.filter(|file| file.extension().is_some_and(|extension| extension == "npy")).collect();
    assert_eq!(arrays.len(), 13);
    for file in arrays {
        let text = std::fs::read_to_string(file.with_extension("txt")).unwrap();
        let (head, lines) = text.split_once('\n').unwrap();
        let construction = if head.starts_with('T') { Construction::TopCell } else { Construction::Vertex };
        let periodic: Vec<usize> = head[1..].trim().split(',').filter_map(|axis| axis.parse().ok()).collect();
        let known: Vec<Vec<f64>> =
            lines.lines().map(|line| line.split(' ').map(|number| number.parse().unwrap()).collect()).collect();
        let grid =
            Grid::new(npy::read(&file).unwrap(), Sampling { periodic: &periodic, construction, ..Sampling::default() });
        let grid = grid.unwrap();
        for reduction in [false, true] {
            let found = canonical(&grid, Wanted { reduction, ..Wanted::default() }, &Pool::new(2)).pairs;
            let value = |cell: Option<u64>| cell.map_or(f64::INFINITY, |cell| grid.value(cell));
            let bar = |pair: &mountainpass::persistence::Pair| {
                vec![pair.degree.into(), value(Some(pair.birth)), value(pair.death)]
            };
            let mut bars: Vec<Vec<f64>> = found.iter().map(bar).collect();
            bars.sort_by(|a, b| a.partial_cmp(b).unwrap());
            assert_eq!(bars, known, "{}, reduction: {reduction}", file.display());
        }
    }
}
