//! `mpass run` with `[complex] method = "grid"` and `"cloud"`: known barcodes, stops and resumption, bad input.
#![cfg(all(feature = "cli", feature = "faer", feature = "surfaces"))]

mod built;
mod mpass;

use mpass::{assert_bars, bytes, contents, file, folder, mpass, run, succeeds};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Command;

fn surface(model: &str, complex: &str) -> String {
    format!("[loss]\nbackend = \"surfaces\"\nmodel = \"{model}\"\n{complex}")
}

/// Runs a configuration and returns its `barcode.json`.
fn barcode(folder: &Path, toml: &str) -> Value {
    file(folder, "run.toml", toml);
    succeeds(folder, &["run", "run.toml", "--out", "out", "--force"]);
    mpass::barcode(&folder.join("out"))
}

/// Births and deaths of one degree.
fn bars(barcode: &Value, degree: u64) -> Vec<mpass::Bar> {
    let bars = barcode["bars"].as_array().unwrap().iter().filter(|bar| bar["degree"] == degree);
    bars.map(|bar| (bar["birth"].as_f64().unwrap(), bar["death"].as_f64())).collect()
}

/// Lengths of the finite bars of degree 0, longest first.
fn lengths(barcode: &Value) -> Vec<f64> {
    let mut lengths: Vec<f64> = bars(barcode, 0).iter().filter_map(|bar| Some(bar.1? - bar.0)).collect();
    lengths.sort_by(|a, b| b.total_cmp(a));
    lengths
}

#[test]
fn the_camel_on_a_grid_has_its_three_bars() {
    let folder = folder("grid-camel");
    let complex = "[complex]\nmethod = \"grid\"\nbox = [[-3, 3], [-2, 2]]\nsamples = [601, 401]\n";
    let found = barcode(&folder, &surface("three-hump-camel", complex));
    // Spacing h = 0.01, |Hessian| < 11 at the critical points: values at the nearest samples are off by 11 h^2 / 4.
    let pass = Some(0.877_361_557_8);
    assert_bars(&found, &[(0.0, None), (0.298_638_442_2, pass), (0.298_638_442_2, pass)], 3e-4);
    assert_eq!(
        (&found["provenance"]["method"], &found["provenance"]["heights"]),
        (&"grid".into(), &"as sampled".into())
    );
    assert_eq!(found["space"], "raw");
    // A cell is the flat index of its sample, and says where that lies.
    for cell in found["cells"].as_array().unwrap() {
        let id = cell["id"].as_u64().unwrap();
        let at = [-3.0 + 0.01 * (id / 401) as f64, -2.0 + 0.01 * (id % 401) as f64];
        let told: Vec<f64> = cell["position"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
        assert!(told.iter().zip(at).all(|(a, b)| (a - b).abs() < 1e-12), "{cell}");
    }
}

#[test]
fn a_kinked_loss_on_a_grid_has_the_bars_of_its_closed_form() {
    let folder = folder("grid-kinked");
    // Spacing 1/64: minima are samples, but a diagonal step passes over an edge of slope 1 by its two sides.
    let complex = "[complex]\nmethod = \"grid\"\nsamples = 385\nmax_degree = 0\nsimplify = 0.02\n";
    let found = barcode(&folder, &surface("kinked", complex));
    let part = |birth: f64, death: f64| (birth / 32.0, Some(death / 32.0));
    let known = [(-21.0 / 32.0, None), part(-13.0, 7.0), part(-5.0, 4.0), part(3.0, 12.0)];
    assert_bars(&found, &known, 1.0 / 64.0);
}

#[test]
fn mueller_brown_on_a_grid_has_its_three_bars() {
    let complex = "[complex]\nmethod = \"grid\"\nbox = [[-1.5, 1.2], [-0.2, 2]]\nsamples = 541\nsimplify = 0.1\n";
    let found = barcode(&folder("grid-mb"), &surface("mueller-brown", complex));
    let known = [(-146.6995, None), (-108.1667, Some(-40.6648)), (-80.7678, Some(-72.2489))];
    assert_bars(&found, &known, 0.05); // Spacing 0.005, Hessians up to some 4,000: 4,000 h^2 / 4. Along the narrow valley as much is between samples.
}

#[test]
fn schwefel_on_its_closed_box_has_64_components_and_49_cycles() {
    let found =
        barcode(&folder("grid-schwefel"), &surface("schwefel", "[complex]\nmethod = \"grid\"\nsamples = 201\n"));
    assert_eq!((bars(&found, 0).len(), bars(&found, 1).len()), (64, 49));
}

#[test]
fn cosines_on_the_torus_have_as_many_half_lines_as_binomials_say() {
    for (n, samples, binomials) in [(1, 64, vec![1, 1]), (2, 32, vec![1, 2, 1]), (3, 16, vec![1, 3, 3, 1])] {
        let complex = format!("options = {{ n = {n} }}\n[complex]\nmethod = \"grid\"\nsamples = {samples}\n");
        let found = barcode(&folder("grid-torus"), &surface("torus", &complex));
        for (degree, &half_lines) in binomials.iter().enumerate() {
            let bars = bars(&found, degree as u64);
            // Samples meet every critical point, and k of n coordinates stand at their maximum there.
            let value = 2.0 * degree as f64 - n as f64;
            let known = bars.iter().all(|bar| (bar.0 - value).abs() < 1e-12 && bar.1.is_none());
            assert!(bars.len() == half_lines && known, "n = {n}, degree {degree}: {bars:?}");
        }
    }
}

/// 32 parameters, of which two vary.
const DIGITS: &str = "[loss]\nbackend = \"faer\"\nmodel = \"mlp:64-2-10:tanh\"\ndata = \"digits\"\nlimit = 60\nl2 = 1e-2\n\
                      [complex]\nmethod = \"grid\"\naxes = [3, 140]\nbox = [[-2, 2], [-2, 2]]\nsamples = 9\n";

#[test]
fn more_than_four_axes_have_degree_0() {
    let complex = "options = { n = 5 }\n[complex]\nmethod = \"grid\"\nmax_degree = 0\nsamples = 13\naxes = [0, 1, 2, 3, 4]\n\
                   box = [[-1.5, 1.5], [-1.5, 1.5], [-1.5, 1.5], [-1.5, 1.5], [-1.5, 1.5]]\n";
    let found = barcode(&folder("grid-five"), &surface("rastrigin", complex));
    // x^2 - 10 cos(2 pi x) + 10 has the minima 0 and 1, twice, at these samples, and 20.25 between them: a minimum dies
    // where the first of its coordinates that are not 0 has climbed from 1 to 20.25.
    let bars = bars(&found, 0);
    let known = bars.iter().all(|bar| bar.1.is_none_or(|death| (death - bar.0 - 19.25).abs() < 1e-9));
    assert!(bars.len() == 3_usize.pow(5) && known, "{} bars", bars.len());
}

#[test]
fn two_parameters_of_a_network_vary_and_the_others_stand_where_they_are_told() {
    let folder = folder("grid-digits");
    // All others at zero, one row of a .npy file: the loss there has no output but the biases'.
    let zero = mountainpass::npy::Array { shape: vec![1, 160], values: vec![0.0_f64; 160].into() };
    file(&folder, "zero.npy", mountainpass::npy::bytes(&zero));
    let found = barcode(&folder, &format!("{DIGITS}at = \"zero.npy\"\n"));
    // Without hidden activity the first weight matters only through its square in the l2 term: one minimum, no cycle.
    assert_eq!((bars(&found, 0).len(), bars(&found, 1).len()), (1, 0));
    let lowest = &found["cells"][0];
    assert_eq!(lowest["position"][0], 0.0, "{lowest}");
    // The start of the seed, another one with another seed; the same bytes on any number of threads.
    let here = barcode(&folder, DIGITS);
    assert_ne!(here["bars"], barcode(&folder, &format!("{DIGITS}[minima]\nseed = 27\n"))["bars"]);
    file(&folder, "run.toml", DIGITS);
    for threads in ["1", "2"] {
        succeeds(&folder, &["run", "run.toml", "--out", threads, "--threads", threads]);
        for name in ["barcode.json", "barcode.csv", "barcode.svg", "tree.svg", "report.html"] {
            assert!(bytes(&folder.join("1"), name) == bytes(&folder.join(threads), name), "{name}");
        }
    }
    // What a point's file says is part of the configuration.
    file(&folder, "run.toml", format!("{DIGITS}at = \"zero.npy\"\n"));
    succeeds(&folder, &["run", "run.toml", "--out", "at"]);
    let one = mountainpass::npy::Array { shape: vec![160], values: vec![1.0_f64; 160].into() };
    file(&folder, "zero.npy", mountainpass::npy::bytes(&one));
    let other = run(&folder, &["run", "run.toml", "--out", "at"]);
    assert!(other.code == Some(2) && other.stderr.contains("another configuration"), "{}", other.stderr);
}

const HIMMELBLAU: &str = "[minima]\nstarts = 24\n[complex]\nmethod = \"cloud\"\npoints = 20_000\nscale = 1.6\n";

#[test]
fn a_cloud_agrees_with_the_grid_and_with_the_known_passes() {
    let folder = folder("cloud");
    let cloud = barcode(&folder, &surface("himmelblau", HIMMELBLAU));
    let grid = barcode(&folder, &surface("himmelblau", "[complex]\nmethod = \"grid\"\nsimplify = 1\n"));
    let known = [13.311_926_3, 67.719_150_1, 104.015_162_9];
    // Points are some 0.07 apart and passes met within that: Hessians there are below 100, half of 100 * 0.07^2, and on
    // the cloud edges leap as far. On the grid h = 0.06 and the nearest sample is within h / 2 along each axis.
    for (road, tolerance) in [(&cloud, 1.0), (&grid, 0.5)] {
        // The four minima; what else is born is higher.
        let mut deaths: Vec<f64> = bars(road, 0).iter().filter(|bar| bar.0 < 0.5).filter_map(|bar| bar.1).collect();
        deaths.sort_by(f64::total_cmp);
        let near = known.iter().zip(&deaths).all(|(a, b)| (a - b).abs() < tolerance);
        assert!(deaths.len() == 3 && near, "{deaths:?}");
    }
    // The minima that descents found are born as themselves, not at the nearest point, under their own numbers.
    let births: Vec<f64> = bars(&cloud, 0).iter().take(4).map(|bar| bar.0).collect();
    assert!(births.iter().all(|birth| *birth < 1e-12), "{births:?}");
    let minima = cloud["cells"].as_array().unwrap().iter().filter(|cell| cell["kind"] == "minimum");
    assert_eq!(minima.filter(|cell| cell["id"].as_u64() < Some(24)).count(), 4);
    let html = String::from_utf8(bytes(&folder.join("out"), "report.html")).unwrap();
    assert!(
        html.contains("Where the longest bars lie")
            && !html.contains("upper bound.")
            && html.contains("neither an upper nor a lower bound")
    );
}

#[test]
fn a_threshold_hides_what_lies_above_and_short_bars_are_cancelled_on_demand() {
    let folder = folder("cloud-threshold");
    let cloud = |more: &str| barcode(&folder, &surface("himmelblau", &format!("{HIMMELBLAU}{more}")));
    let low = cloud("threshold = 50\nsimplify = 5\n");
    // Below 50 the pass of 13.3 alone is open: three components are left.
    assert_eq!((lengths(&low).len(), bars(&low, 0).iter().filter(|bar| bar.1.is_none()).count()), (1, 3));
    let cycles = cloud("simplify = 5\ndegree1 = true\nk = 3\n");
    assert!(!bars(&cycles, 1).is_empty() && bars(&cycles, 1).iter().all(|bar| bar.1.is_none()));
    assert_eq!(bytes(&folder.join("out"), "barcode.json"), {
        succeeds(&folder, &["run", "run.toml", "--out", "again", "--threads", "1"]);
        bytes(&folder.join("again"), "barcode.json")
    });
}

#[test]
fn a_stopped_sampling_keeps_its_values_and_goes_on_to_the_same_bytes() {
    let folder = folder("sampled-resume");
    let grid = surface("six-hump-camel", "[complex]\nmethod = \"grid\"\n");
    let cloud = surface("six-hump-camel", "[minima]\nstarts = 12\n[complex]\nmethod = \"cloud\"\npoints = 9000\n");
    for toml in [grid, cloud] {
        file(&folder, "run.toml", &toml);
        succeeds(&folder, &["run", "run.toml", "--out", "whole", "--force"]);
        let whole = bytes(&folder.join("whole"), "barcode.json");
        let spent = |out: &str| {
            let summary: Value = serde_json::from_slice(&bytes(&folder.join(out), "summary.json")).unwrap();
            summary["evaluations_in_all"].as_u64().unwrap()
        };
        file(&folder, "run.toml", format!("{toml}[budget]\nevaluations = 5000\n"));
        let ended = run(&folder, &["run", "run.toml", "--out", "out", "--force"]);
        let line = "a budget was spent before every sample had its value; what was computed is kept. Raise it and go on \
                    with: mpass run run.toml --out out --resume\n";
        assert!(ended.code == Some(1) && ended.stderr.ends_with(line), "{}", ended.stderr);
        assert!(!folder.join("out/barcode.json").exists(), "half a grid has no barcode");
        assert!(succeeds(&folder, &["show", "out"]).stdout.contains("before every sample had its value"));
        file(&folder, "run.toml", &toml);
        let refused = run(&folder, &["run", "run.toml", "--out", "out"]);
        assert!(refused.code == Some(2) && refused.stderr.contains("go on with --resume"), "{}", refused.stderr);
        succeeds(&folder, &["run", "run.toml", "--out", "out", "--resume"]);
        assert!(bytes(&folder.join("out"), "barcode.json") == whole);
        // Nothing was computed twice.
        assert_eq!(spent("out"), spent("whole"));
        let left = contents(&folder.join("out"));
        let again = succeeds(&folder, &["run", "run.toml", "--out", "out"]);
        assert_eq!(again.stderr, "already complete: out\n");
        assert!(contents(&folder.join("out")) == left);
        file(&folder, "run.toml", toml.replace("[complex]", "[complex]\nbox = [[-2, 2], [-1, 1]]"));
        let other = run(&folder, &["run", "run.toml", "--out", "out"]);
        assert!(other.code == Some(2) && other.stderr.contains("another configuration"), "{}", other.stderr);
    }
}

#[test]
fn an_interrupted_grid_goes_on() {
    let folder = folder("grid-interrupt");
    let slow = DIGITS.replace("limit = 60", "limit = 1000").replace("samples = 9", "samples = 141");
    file(&folder, "run.toml", slow);
    let mut child = mpass(&folder, ["run", "run.toml", "--out", "out", "--threads", "1"]).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.starts_with("grid: ") {
        said.clear();
        assert!(stderr.read_line(&mut said).unwrap() > 0, "the run ended before");
    }
    assert!(Command::new("kill").arg("-INT").arg(child.id().to_string()).status().unwrap().success());
    stderr.read_to_string(&mut said).unwrap();
    let ended = mpass::ended(child);
    assert!(ended.code == Some(1) && said.contains("stopped; what was found is kept"), "{said}");
    succeeds(&folder, &["run", "run.toml", "--out", "out", "--resume"]);
    succeeds(&folder, &["run", "run.toml", "--out", "whole"]);
    assert!(bytes(&folder.join("out"), "barcode.json") == bytes(&folder.join("whole"), "barcode.json"));
}

#[test]
fn where_the_loss_is_not_finite_there_is_no_sublevel_set() {
    let folder = folder("grid-walls");
    // Far out the loss overflows: a box of 1e200 has nothing finite but its middle.
    let complex = "[complex]\nmethod = \"grid\"\nbox = [[-1e200, 1e200], [-1, 1]]\nsamples = 3\n";
    let found = barcode(&folder, &surface("three-hump-camel", complex));
    assert_eq!(mpass::bars(&found), [(0.0, None)]);
    let told = succeeds(&folder, &["show", "out"]).stdout;
    assert!(told.replace('\n', " ").contains("not finite, at 6 samples, it counts as in no sublevel set"), "{told}");
    file(&folder, "run.toml", surface("three-hump-camel", &complex.replace("samples = 3", "samples = 2")));
    let ended = run(&folder, &["run", "run.toml", "--out", "none"]);
    assert_eq!(
        (ended.code, ended.stderr.lines().last()),
        (Some(1), Some("mpass: the loss is finite at none of the 4 samples"))
    );
}

#[test]
fn bad_input_is_one_line_and_leaves_no_folder() {
    let folder = folder("sampled-refusals");
    let camel = |complex: &str| surface("three-hump-camel", complex);
    let grid = |keys: &str| camel(&format!("[complex]\nmethod = \"grid\"\n{keys}\n"));
    let cloud = |keys: &str| camel(&format!("[complex]\nmethod = \"cloud\"\n{keys}\n"));
    let digits = |keys: &str| DIGITS.split("axes").next().unwrap().to_owned() + keys + "\n";
    for (toml, line) in [
        (camel("[complex]\nsamples = 3\n"), "samples: a key of method = \"grid\"; the method here is \"paths\""),
        (
            camel("[complex]\nbox = [[0, 1]]\n"),
            "box: a key of method = \"grid\" and \"cloud\"; the method here is \"paths\"",
        ),
        (grid("points = 3"), "points: a key of method = \"cloud\"; the method here is \"grid\""),
        (grid("sample = 3"), "unknown key \"sample\"; the nearest is \"samples\""),
        (camel("[complex]\nmethod = \"gird\"\n"), "method: unknown value \"gird\"; the nearest is \"grid\""),
        (grid("samples = 1"), "samples: axis 0 has 1; 2 or more are needed"),
        (grid("samples = [5, 5, 5]"), "samples: 3 numbers for 2 axes; one for each, or one for all, is needed"),
        (grid("samples = 50000"), "samples: a grid of 50000 x 50000 has 2^31 samples or more: take fewer"),
        (grid("axes = [2]"), "axes: 2 is no parameter; they are 0 to 1"),
        (grid("axes = [1, 1]"), "axes: parameter 1 stands there twice"),
        (
            digits("axes = [0, 1, 2, 3, 4]\nbox = [[0, 1], [0, 1], [0, 1], [0, 1], [0, 1]]"),
            "axes: 5 parameters vary; 1 to 4 may; with max_degree = 0 up to 16",
        ),
        (grid("axes = []"), "axes: 0 parameters vary; 1 to 4 may"),
        (grid("box = [[1, 0], [0, 1]]"), "box = [[1, 0], [0, 1]]: wants a list of intervals [[lowest, highest], ...]"),
        (grid("box = [[0, 1]]"), "box: 1 intervals for 2 axes; one for each is needed"),
        (grid("axes = [0]\nat = [1]"), "at: 1 numbers, but the loss has 2 parameters"),
        (grid("axes = [0]\nat = [1, nan]"), "at = [1, nan]: wants a list of finite numbers"),
        (digits(""), "axes: the loss has 160 parameters; say which vary, axes = [0, 1], 4 at most"),
        (
            digits("axes = [0, 1]"),
            "box: the loss declares no box; say where to sample, box = [[-1, 1], [-1, 1]] or the like",
        ),
        (cloud("points = 8"), "k: 8 points have 7 neighbours each, and 8 are wanted"),
        (cloud("k = 0"), "k = 0: at least one neighbour is needed"),
        (cloud("simplify = -1"), "simplify = -1: a length of zero or more is needed"),
        (cloud("box = [[0, 1]]"), "box: 1 intervals, but the loss has 2 parameters"),
        (cloud("box = [[0, 1], [0, 1]]\nscale = 2"), "scale: box is given: there is nothing to scale"),
        (cloud("points = 9_000_000_000"), "points = 9000000000: 2^31 or more"),
    ] {
        let said = refused(&folder, &toml);
        assert!(said.ends_with(&format!("[complex] {line}")), "{said}\n{line}");
    }
    for (beside, line) in [
        ("[paths]\nknots = [3]\n", "[paths] knots: method = \"grid\" measures no paths: leave this table out"),
        (
            "[symmetry]\nalign = true\n",
            "[symmetry] align = true: method = \"grid\" takes points as they are: leave this out",
        ),
        (
            "[minima]\nstarts = 3\n",
            "[minima] starts: method = \"grid\" looks for no minima; of this table only seed counts, for where parameters stand still",
        ),
    ] {
        assert_eq!(refused(&folder, &(grid("") + beside)), format!("run.toml: {line}"));
    }
    let missing = refused(&folder, &grid("axes = [0]\nat = \"none.npy\""));
    assert!(missing.contains("none.npy: No such file"), "{missing}");
}

fn refused(folder: &Path, toml: &str) -> String {
    file(folder, "run.toml", toml);
    let ended = run(folder, &["run", "run.toml"]);
    assert!(ended.code == Some(2) && ended.stderr.lines().count() == 1, "{ended:?}");
    assert!(!folder.join("run").exists(), "a refused run left a folder: {}", ended.stderr);
    ended.stderr.trim_end().strip_prefix("mpass: ").unwrap().to_owned()
}

#[test]
fn the_examples_run() {
    let folder = folder("sampled-examples");
    for (name, most) in [("schwefel-grid", 113), ("himmelblau-cloud", 4)] {
        let config = built::root().join("examples").join(format!("{name}.toml"));
        succeeds(&folder, &["run", config.to_str().unwrap(), "--out", name]);
        assert_eq!(mpass::bars(&mpass::barcode(&folder.join(name))).len(), most, "{name}");
    }
}
