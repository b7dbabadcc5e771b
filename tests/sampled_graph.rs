//! `mpass graph` and `mpass cloud` as a user meets them.

mod mpass;

use mountainpass::npy::{self, Array, Values};
use mpass::{assert_bars, bytes, contents, file, folder, run, succeeds};
use serde_json::Value;
use std::path::Path;

fn save(folder: &Path, name: &str, shape: &[usize], values: impl Into<Values>) {
    file(folder, name, npy::bytes(&Array { shape: shape.to_vec(), values: values.into() }));
}

/// A path of five vertices with a chord, both directions of an edge, a self-loop, and a vertex alone.
fn graph(folder: &Path) {
    save(folder, "v.npy", &[6], vec![0.0, 3.0, 1.0, 4.0, 2.0, 9.0]);
    save(folder, "e.npy", &[7, 2], vec![0_i64, 1, 1, 0, 1, 2, 2, 2, 2, 3, 3, 4, 0, 4]);
}

/// Points of a spiral and a function with many minima on it, the same on every machine.
fn cloud(folder: &Path) {
    let angle = |i: usize| i as f64 / 20.0;
    let points: Vec<f64> = (0..400).flat_map(|i| [angle(i) * angle(i).cos(), angle(i) * angle(i).sin()]).collect();
    save(folder, "x.npy", &[400, 2], points);
    save(folder, "v.npy", &[400], (0..400).map(|i| i * i % 83).collect::<Vec<i32>>());
}

#[test]
fn a_graph_has_bars_tree_path_and_labels() {
    let folder = folder("graph");
    graph(&folder);
    let flags = ["--degree1", "--tree", "--path", "2", "4", "--labels", "l.npy", "--json", "b.json"];
    let said = succeeds(&folder, &[&["graph", "--values", "v.npy", "--edges", "e.npy"][..], &flags].concat()).stdout;
    let json: Value = serde_json::from_slice(&bytes(&folder, "b.json")).unwrap();
    assert_eq!(json["provenance"]["method"], "graph");
    // 0 and 4 are neighbours, so 4 is no minimum and the cycle closes at the highest vertex of 0 1 2 3 4.
    assert_bars(&json, &[(0.0, None), (1.0, Some(3.0)), (4.0, None), (9.0, None)], 1e-9); // Integers, exact.
    assert_eq!((&json["bars"][1]["death_cell"], &json["bars"][1]["elder"]), (&1.into(), &0.into()));
    assert_eq!((&json["bars"][3]["degree"], &json["bars"][3]["birth_cell"]), (&1.into(), &3.into()));
    assert!(said.contains("└─ 2  born at 1.00, dies at 3.00 in cell 1"), "{said}");
    assert!(said.contains("lowest path, its highest value 3 in cell 1, 4 vertices:\n2 1 0 4\n"), "{said}");
    for note in ["1 edge from a vertex to itself has no effect", "1 edge repeats", "1 vertex has no edge"] {
        assert!(said.contains(note), "{said}");
    }
    let labels = npy::read(&folder.join("l.npy")).unwrap();
    assert_eq!(labels.values, vec![0_i64, 0, 2, 2, 0, 5].into());
    let simplified = ["graph", "--values", "v.npy", "--edges", "e.npy", "--simplify", "2.5", "--labels", "l.npy"];
    succeeds(&folder, &simplified);
    assert_eq!(npy::read(&folder.join("l.npy")).unwrap().values, vec![0_i64, 0, 0, 0, 0, 5].into());
}

#[test]
fn a_cloud_gives_the_same_bytes_for_any_number_of_threads() {
    let folder = folder("cloud");
    cloud(&folder);
    let ask = |threads: &str, k: &str| {
        let cloud = ["cloud", "--points", "x.npy", "--values", "v.npy", "--k", k, "--radius", "0.9"];
        let flags = ["--degree1", "--cycles", "--json", "-", "--labels", "l.npy", "--threads", threads];
        let json = succeeds(&folder, &[&cloud[..], &flags].concat()).stdout;
        (json, bytes(&folder, "l.npy"))
    };
    let one = ask("1", "4");
    assert_eq!(ask("3", "4"), one);
    let json: Value = serde_json::from_str(&one.0).unwrap();
    assert_eq!(json["provenance"]["heights"], "as sampled");
    assert_ne!(ask("1", "5").0, one.0);
}

#[test]
fn bad_input_is_one_line_and_leaves_no_file() {
    let folder = folder("graph-refusals");
    graph(&folder);
    save(&folder, "x.npy", &[6, 1], vec![0.0_f32, 1.0, 2.0, 3.0, 4.0, 5.0]);
    save(&folder, "nan.npy", &[6], vec![0.0, 1.0, 2.0, f64::NAN, 4.0, 5.0]);
    save(&folder, "low.npy", &[6], vec![0.0, 1.0, 2.0, f64::NEG_INFINITY, 4.0, 5.0]);
    save(&folder, "none.npy", &[0], Vec::<f64>::new());
    save(&folder, "five.npy", &[5], vec![0.0; 5]);
    save(&folder, "far.npy", &[1, 2], vec![0_u8, 6]);
    let whole = bytes(&folder, "v.npy");
    file(&folder, "torn.npy", &whole[..whole.len() - 1]);
    let header = String::from_utf8_lossy(&whole[..128]).replace("<f8", "|O ");
    file(&folder, "object.npy", [&whole[..10], &header.as_bytes()[header.len() - 118..], &whole[128..]].concat());
    let before = contents(&folder);
    let graph = |values: &str, edges: &str, more: &[&str]| {
        let flags = ["graph", "--values", values, "--edges", edges, "--labels", "l.npy", "--json", "b.json"];
        run(&folder, &[&flags[..], more].concat())
    };
    let cloud = |points: &str, values: &str, k: &str| {
        let flags =
            ["cloud", "--points", points, "--values", values, "--k", k, "--labels", "l.npy", "--json", "b.json"];
        run(&folder, &flags)
    };
    for (ended, line) in [
        (graph("nan.npy", "e.npy", &[]), "the value of vertex 3 is NaN"),
        (graph("low.npy", "e.npy", &[]), "the value of vertex 3 is -inf"),
        (graph("none.npy", "e.npy", &[]), "there are no values"),
        (graph("five.npy", "e.npy", &["--path", "0", "5"]), "--path 5: the vertices are 0 to 4"),
        (graph("v.npy", "far.npy", &[]), "edge 0 joins 0 and 6: the vertices are 0 to 5"),
        (graph("v.npy", "e.npy", &["--edge-values", "five.npy"]), "there are 7 edges but 5 edge values"),
        (graph("torn.npy", "e.npy", &[]), "torn.npy: is cut off"),
        (graph("object.npy", "e.npy", &[]), "object.npy: has elements of type \"O"),
        (graph("absent.npy", "e.npy", &[]), "absent.npy: No such file"),
        (graph("v.npy", "e.npy", &["--simplify", "-1"]), "--simplify -1: a length of zero or more"),
        (cloud("x.npy", "five.npy", "2"), "there are 6 points but 5 values"),
        (cloud("x.npy", "v.npy", "6"), "k is 6, but 6 points have 5 neighbours each"),
        (cloud("nan.npy", "v.npy", "2"), "coordinate 0 of point 3 is NaN"),
        (cloud("x.npy", "nan.npy", "2"), "the value of vertex 3 is NaN"),
    ] {
        assert_eq!(ended.code, Some(2), "{line}: {}", ended.stderr);
        assert!(ended.stderr.contains(line) && ended.stderr.lines().count() == 1, "{line}: {}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
    assert_eq!(contents(&folder), before);
}
