//! Sampled functions through `include/mountainpass.h`: a C program tells all it reads of them, and the library, asked in
//! Rust about the same numbers, must say the same.

mod built;

use mountainpass::machine::pool::Pool;
use mountainpass::morse::basin::Components;
use mountainpass::morse::cloud::Cloud;
use mountainpass::morse::complex::MorseComplex;
use mountainpass::morse::graph::Graph;
use mountainpass::morse::grid::{Construction, Grid, Sampling};
use mountainpass::npy::{Array, Values};
use mountainpass::persistence::{Barcode, of_graph, of_grid};
use mountainpass::report::BarcodeFile;
use serde_json::{Value, json, to_value};
use std::collections::BTreeMap;

/// The generator of `sampled.c`.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn many(&mut self, count: usize, n: u64) -> Vec<u64> {
        (0..count).map(|_| self.below(n)).collect()
    }
}

/// What the C program told, by name.
struct Told(BTreeMap<String, String>);

impl Told {
    fn new() -> Told {
        let text = built::printed(&built::linked("tests/capi/sampled.c", &built::engine()), &[]);
        let record = |record: &str| record.split_once('\n').map(|(name, text)| (name.to_owned(), text.to_owned()));
        Told(text.split('@').filter_map(record).collect())
    }

    fn value(&mut self, name: &str) -> Value {
        let text = self.0.remove(name).unwrap_or_else(|| panic!("nothing told of {name}"));
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    fn same_barcode(&mut self, name: &str, known: &Barcode, superlevel: bool) {
        let file = BarcodeFile::parse(&self.0.remove(name).unwrap()).unwrap();
        assert_eq!(file.superlevel, superlevel, "{name}");
        assert_eq!((&*file.bars, &*file.cells), (&*known.bars, &*known.cells), "{name}");
        let cycles: Vec<_> = known.bars.iter().map(|bar| &bar.cycle).collect();
        assert_eq!(self.value(&format!("{name} cycles")), to_value(cycles).unwrap(), "{name}");
    }

    fn same_grid(
        &mut self,
        name: &str,
        array: Array,
        periodic: &[usize],
        construction: Construction,
        superlevel: bool,
    ) -> Barcode {
        let sampling = Sampling { periodic, construction, superlevel, max_degree: None };
        let (grid, pool) = (Grid::new(array, sampling).unwrap(), Pool::new(1));
        let found = of_grid::canonical(&grid, of_grid::Wanted { cycles: true, ..Default::default() }, &pool);
        let barcode = found.barcode(&grid);
        assert!(barcode.bars.iter().any(|bar| bar.degree > 0 || grid.shape.axes() == 1), "{name} tests something");
        self.same_barcode(name, &barcode, superlevel);
        let labels = Components::of(&grid, &pool).labels();
        assert_eq!(self.value(&format!("{name} labels")), to_value(labels).unwrap(), "{name}");
        let complex = MorseComplex::of(&grid, true, &pool).unwrap().cells;
        assert!(complex.iter().any(|cell| !cell.paths.is_empty()), "{name} tests something");
        let known = to_value(complex).unwrap();
        // Numbers are compared as numbers: C prints 1 where JSON has 1.0.
        let plain = |cells: &Value| -> Value {
            let cell = |cell: &Value| {
                let mut cell = cell.clone();
                cell["value"] = json!(cell["value"].as_f64());
                cell
            };
            cells.as_array().unwrap().iter().map(cell).collect()
        };
        assert_eq!(plain(&self.value(&format!("{name} complex"))), plain(&known), "{name}");
        barcode
    }

    fn same_graph(&mut self, name: &str, graph: &Graph, shortest: f64) {
        let forest = graph.forest(&Pool::new(1));
        let labels = self.value(&format!("{name} labels"));
        assert_eq!(labels, to_value(forest.labels(shortest)).unwrap(), "{name}");
        let path = |to| match forest.path(0, to) {
            Some(path) => json!({ "vertices": path.vertices, "top": path.top }),
            None => json!({ "vertices": [], "top": u64::MAX }),
        };
        let paths: Vec<Value> = (0..graph.vertices() as u32).map(path).collect();
        assert_eq!(self.value(&format!("{name} paths")), Value::from(paths), "{name}");
        let wanted = of_graph::Wanted { degree_1: true, zero_length: true, shortest, cycles: true };
        self.same_barcode(name, &of_graph::canonical(&forest, wanted).barcode(graph), graph.superlevel());
    }
}

fn array<T>(shape: &[usize], values: impl Iterator<Item = T>) -> Array
where
    Values: From<Vec<T>>,
{
    let values: Vec<T> = values.take(shape.iter().product()).collect();
    Array { shape: shape.to_vec(), values: values.into() }
}

#[test]
fn c_reads_of_sampled_functions_what_rust_does() {
    use Construction::{TopCell, Vertex};
    let mut told = Told::new();
    let drawn = Draw(7).many(120, 40);
    let f64s = || drawn.iter().map(|&v| if v == 39 { f64::INFINITY } else { v as f64 / 8.0 });
    let f32s = || drawn.iter().map(|&v| v as f32 - 20.0);
    let i32s = || drawn.iter().map(|&v| v as i32 - 20);
    let brain = drawn.iter().map(|&v| f32::from_bits((0x3f80 + v as u32) << 16));
    let (line, plane, solid, four) = ([60], [8, 9], [4, 5, 6], [3, 3, 3, 4]);
    told.same_grid("line", array(&line, f64s()), &[], Vertex, false);
    told.same_grid("plane", array(&plane, f64s()), &[], Vertex, false);
    told.same_grid("torus", array(&plane, f32s()), &[0, 1], Vertex, false);
    told.same_grid("maxima", array(&plane, f32s()), &[], Vertex, true);
    let wide = array(&solid, drawn.iter().map(|&v| (1_i64 << 53) + v as i64));
    let wide = told.same_grid("wide", wide, &[], Vertex, false);
    let told_apart_as_integers_only = wide.bars.iter().any(|bar| bar.death() == Some(bar.birth));
    assert!(told_apart_as_integers_only, "{wide:?}");
    told.same_grid("large", array(&solid, drawn.iter().map(|&v| u64::MAX - v)), &[2], TopCell, true);
    told.same_grid("narrow", array(&four, i32s()), &[], TopCell, false);
    told.same_grid("bytes", array(&solid, drawn.iter().map(|&v| v as u8)), &[], TopCell, false);
    told.same_grid("brain", array(&plane, brain), &[], Vertex, false);
    let values: Vec<i32> = i32s().collect();
    told.same_grid("fortran", array(&plane, (0..72).map(|i| values[i % 9 * 8 + i / 9])), &[], Vertex, false);
    told.same_grid("backwards", array(&plane, (0..72).map(|i| values[71 - i])), &[], Vertex, false);

    let mut draw = Draw(11);
    let mut wide = |count| array(&[count], draw.many(count, 30).into_iter().map(|v| (1_i64 << 60) + v as i64)).values;
    let values = wide(40);
    let ends = draw.many(180, 40);
    let mut wide = |count| array(&[count], draw.many(count, 30).into_iter().map(|v| (1_i64 << 60) + v as i64)).values;
    let own = wide(90);
    let edges: Vec<[u32; 2]> = ends.chunks_exact(2).map(|ends| [ends[0] as u32, ends[1] as u32]).collect();
    let points = array(&[40, 3], draw.many(120, 1000).into_iter().map(|v| v as f64));
    let v = || values.clone();
    told.same_graph("graph", &Graph::new(v(), edges.clone(), None, false).unwrap(), 0.0);
    told.same_graph("weighted", &Graph::new(v(), edges, Some(own), true).unwrap(), 0.0);
    let values = Array { shape: vec![40], values: v() };
    let cloud = Cloud::of_array(&points).unwrap();
    let cloud = Graph::on_cloud(&cloud, values, 4, Some(300.0), false, &Pool::new(1)).unwrap();
    told.same_graph("cloud", &cloud, 512.0);
    told.same_graph("alone", &Graph::new(v(), Vec::new(), None, false).unwrap(), 0.0);
    assert!(told.0.is_empty(), "{:?}", told.0.keys());
}
