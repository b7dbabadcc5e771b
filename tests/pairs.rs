//! What lies between checkpoints, as a user of a network meets it: terminal, page and summary.json, after stops and kills.
#![cfg(all(feature = "cli", feature = "faer"))]

mod mpass;

use mountainpass::npy::{self, Array};
use mpass::{bytes, file, folder, run, succeeds};
use serde_json::Value;
use std::path::Path;

const DIGITS: &str =
    "[loss]\nbackend = \"faer\"\nmodel = \"mlp:64-3-10:tanh\"\ndata = \"digits\"\nlimit = 40\nl2 = 1e-2\n";
const P: usize = 3 * 64 + 3 + 30 + 10;

fn write(folder: &Path, name: &str, theta: &[f64]) {
    file(folder, name, npy::bytes(&Array { shape: vec![P], values: theta.to_vec().into() }));
}

fn summary(folder: &Path) -> Value {
    serde_json::from_slice(&bytes(folder, "summary.json")).unwrap()
}

/// The minimum that a start leads to.
fn trained(folder: &Path, seed: u64) -> Vec<f64> {
    file(folder, "start.toml", format!("{DIGITS}[minima]\nstarts = 1\nseed = {seed}\n"));
    succeeds(folder, &["run", "start.toml", "--force"]);
    let store = mountainpass::store::Store::open(folder.join("start/landscape.sqlite")).unwrap();
    store.landscape().unwrap().minima.remove(0).theta
}

/// The same network: its units moved on by one, and one of them negated.
fn copy(theta: &[f64]) -> Vec<f64> {
    let (first, rest) = theta.split_at(3 * 64);
    let (bias, rest) = rest.split_at(3);
    let (second, last) = rest.split_at(30);
    let sign = |unit: usize| if unit == 0 { -1.0 } else { 1.0 };
    let from = |unit: usize| (unit + 1) % 3;
    let mut all: Vec<f64> = (0..3).flat_map(|u| (0..64).map(move |i| sign(u) * first[64 * from(u) + i])).collect();
    all.extend((0..3).map(|u| sign(u) * bias[from(u)]));
    all.extend((0..10).flat_map(|out| (0..3).map(move |u| sign(u) * second[3 * out + from(u)])));
    all.extend(last);
    all
}

/// Two trained networks and a copy of each.
fn checkpoints(folder: &Path) {
    for (name, seed) in [("a", 26), ("b", 27)] {
        let theta = trained(folder, seed);
        write(folder, &format!("{name}.npy"), &theta);
        write(folder, &format!("{name}-copy.npy"), &copy(&theta));
    }
}

const RUN: &str =
    "[minima]\ntheta = [\"a.npy\", \"a-copy.npy\", \"b.npy\", \"b-copy.npy\"]\n[paths]\nvisits = 1\nalternatives = 0\n";

fn number(of: &Value, at: &str) -> f64 {
    of.pointer(at).and_then(Value::as_f64).unwrap_or_else(|| panic!("{at} of {of}"))
}

#[test]
fn a_permuted_copy_has_a_barrier_as_it_is_and_none_after_alignment() {
    let here = folder("pairs_copies");
    checkpoints(&here);
    file(&here, "run.toml", format!("{DIGITS}{RUN}"));
    let ended = succeeds(&here, &["run", "run.toml", "--threads", "1"]);
    let told = summary(&here.join("run"));
    let pairs = told["pairs"].as_array().unwrap();
    let between: Vec<(&str, &str)> =
        pairs.iter().map(|p| (p["between"][0].as_str().unwrap(), p["between"][1].as_str().unwrap())).collect();
    let all = ["a.npy", "a-copy.npy", "b.npy", "b-copy.npy"];
    assert_eq!(between, [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)].map(|(i, j)| (all[i], all[j])));
    for pair in [&pairs[0], &pairs[5]] {
        assert!(number(pair, "/raw/barrier") > 0.05, "{pair}");
        assert!(number(pair, "/aligned/barrier") < 1e-9 && number(pair, "/aligned/climb") < 1e-9, "{pair}");
        assert_eq!(pair["path"]["minima"][0], pair["path"]["minima"][1]);
    }
    // The same in a table.
    let table = String::from_utf8(bytes(&here.join("run"), "pairs.csv")).unwrap();
    let (head, rows) = table.split_once('\n').unwrap();
    assert_eq!(head, "first,second,curve,length,height,climb,barrier,worst_at,worst_loss");
    let rows: Vec<Vec<&str>> = rows.lines().map(|row| row.split(',').collect()).collect();
    let mut told_there = pairs.iter().flat_map(|pair| ["raw", "aligned", "path"].map(|curve| (pair, curve)));
    for row in &rows {
        let (pair, curve) = told_there.find(|(pair, curve)| pair.get(*curve).is_some() && *curve == row[2]).unwrap();
        assert_eq!([row[0], row[1]], [0, 1].map(|k| pair["between"][k].as_str().unwrap()));
        for (k, name) in [(3, "length"), (4, "height"), (5, "climb"), (6, "barrier")] {
            assert_eq!(row[k].parse::<f64>().unwrap(), number(pair, &format!("/{curve}/{name}")), "{row:?}");
        }
    }
    assert_eq!((rows.len(), told_there.find(|(pair, curve)| pair.get(*curve).is_some())), (18, None));
    // What is a copy of either has the same way between, which is no higher than the line after alignment.
    let height = |pair: &Value| number(pair, "/path/height");
    for pair in &pairs[1..5] {
        assert_eq!(height(pair), height(&pairs[1]));
        assert!(height(pair) <= number(pair, "/aligned/height") + 1e-9, "{pair}");
        for curve in ["raw", "aligned", "path"] {
            let [loss, train] = ["/loss", "/metrics/train loss"].map(|of| {
                let list = pair[curve].pointer(of).and_then(Value::as_array).unwrap();
                list.iter().map(|x| x.as_f64().unwrap()).collect::<Vec<f64>>()
            });
            assert_eq!(loss.len(), 25);
            assert!(loss.iter().zip(&train).all(|(a, b)| (a - b).abs() < 1e-12), "{curve}");
            for metric in ["train accuracy", "test loss", "test accuracy"] {
                assert_eq!(pair[curve]["metrics"][metric].as_array().unwrap().len(), 25);
                assert!(pair[curve]["worst"]["metrics"][metric].is_f64());
            }
            // Above the chord of the 25 losses, between two of which it may be.
            let chord = |t: f64| (1.0 - t) * loss[0] + t * loss[24];
            let sampled = (0..25).map(|i| loss[i] - chord(i as f64 / 24.0)).fold(0.0, f64::max);
            let barrier = number(&pair[curve], "/barrier");
            assert!(sampled <= barrier + 1e-9 && barrier <= 1.2 * sampled + 1e-9, "{curve}: {sampled} {barrier}");
        }
    }
    // The ends are the checkpoints, as `mpass eval` has them.
    let eval = succeeds(&here, &["eval", "run.toml", "--theta", "b.npy", "--json"]).stdout;
    let known = number(&serde_json::from_str::<Value>(&eval).unwrap(), "/loss");
    assert!((number(&pairs[1], "/raw/loss/24") - known).abs() < 1e-12);
    // Two basins or one, as the best path between the two networks climbs or not; each with its copy.
    let basins = if number(&pairs[1], "/path/climb") > 1e-9 { 2 } else { 1 };
    assert_eq!(told["basins"], basins);
    let of: Vec<&Value> = told["checkpoints"].as_array().unwrap().iter().map(|one| &one["basin"]).collect();
    assert!(of[0] == of[1] && of[2] == of[3] && (of[0] == of[2]) == (basins == 1), "{of:?}");
    let headline = told["headline"].as_str().unwrap();
    assert!(headline.starts_with(&format!("4 checkpoints, {basins} basin")), "{headline}");
    let page = String::from_utf8(bytes(&here.join("run"), "report.html")).unwrap();
    assert!(ended.stdout.contains(headline) && page.contains("<h2>Pairs of checkpoints</h2>"), "{}", ended.stdout);
    assert!(page.contains("<td>a – b-copy</td>") && ended.stdout.contains("a – b-copy"), "{}", ended.stdout);
    assert_eq!(succeeds(&here, &["show", "run"]).stdout, ended.stdout);
    let planned = succeeds(&here, &["run", "run.toml", "--plan"]).stdout;
    assert!(planned.contains("  6 pairs of checkpoints  about 510 evaluations"), "{planned}");
}

#[test]
fn pairs_are_the_same_for_any_number_of_threads_and_after_stops() {
    let here = folder("pairs_stops");
    checkpoints(&here);
    let config = format!("{DIGITS}{RUN}");
    file(&here, "run.toml", &config);
    succeeds(&here, &["run", "run.toml", "--threads", "1", "--out", "one"]);
    succeeds(&here, &["run", "run.toml", "--threads", "2", "--out", "two"]);
    let told = |out: &str| {
        let summary = summary(&here.join(out));
        (summary["pairs"].clone(), summary["evaluations"]["pairs"].clone(), bytes(&here.join(out), "barcode.json"))
    };
    let whole = told("one");
    assert!(told("two") == whole);
    let spent = summary(&here.join("one"));
    let (all, of_pairs) =
        (number(&spent, "/evaluations_in_all"), number(&whole.1, "/loss") + number(&whole.1, "/gradient"));
    // Before the first pair, between two of them, and between the lines of the last; a batch is measured whole.
    for left in [of_pairs + 1.0, (0.6 * of_pairs).floor(), 40.0] {
        file(&here, "run.toml", format!("{config}[budget]\nevaluations = {}\n", all - left));
        let ended = run(&here, &["run", "run.toml", "--out", "part", "--force"]);
        assert!(ended.stderr.contains("a budget is spent"), "{}", ended.stderr);
        let before = summary(&here.join("part"))["pairs"].as_array().map_or(0, Vec::len);
        assert!(before < 6, "{left}");
        file(&here, "run.toml", &config);
        succeeds(&here, &["run", "run.toml", "--out", "part", "--resume"]);
        assert!(told("part").0 == whole.0 && told("part").2 == whole.2, "{left}");
    }
    // The number of places is no part of the results.
    file(&here, "run.toml", format!("{config}[report]\npairs = 0\n"));
    succeeds(&here, &["run", "run.toml", "--out", "none"]);
    assert!(summary(&here.join("none")).get("pairs").is_none());
    assert_eq!(bytes(&here.join("none"), "barcode.json"), bytes(&here.join("one"), "barcode.json"));
    file(&here, "run.toml", format!("{config}[report]\npairs = 2\n"));
    let refused = run(&here, &["run", "run.toml", "--out", "bad"]);
    let line = "mpass: run.toml: [report] pairs = 2: wants 0, or a number of places from 3 to 10000\n";
    assert_eq!((refused.code, refused.stderr.as_str()), (Some(2), line));
}

#[test]
#[cfg(feature = "surfaces")]
fn three_checkpoints_in_one_basin_are_said_to_be_in_one_basin() {
    let here = folder("pairs_basin");
    // On the slopes of one well of Himmelblau's function, and one in another well.
    for (name, x) in [("a", [3.1, 2.1]), ("b", [2.8, 1.9]), ("c", [3.2, 1.8]), ("d", [-2.7, 3.2])] {
        file(&here, &format!("{name}.npy"), npy::bytes(&Array { shape: vec![2], values: x.to_vec().into() }));
    }
    let surface = "[loss]\nbackend = \"surfaces\"\nmodel = \"himmelblau\"\n[minima]\n";
    for (polish, files) in [(false, "[abc]"), (true, "[abc]"), (false, "[abd]"), (true, "[abd]")] {
        let basins =
            if files == "[abc]" { "3 checkpoints, 1 basin; " } else { "3 checkpoints, 2 basins; to leave minimum " };
        file(&here, "run.toml", format!("{surface}theta = \"{files}.npy\"\npolish = {polish}\n"));
        let ended = succeeds(&here, &["run", "run.toml", "--force"]);
        let (told, page) = (summary(&here.join("run")), bytes(&here.join("run"), "report.html"));
        let headline = told["headline"].as_str().unwrap();
        assert!(headline.starts_with(basins), "{headline}");
        assert!(
            ended.stdout.replace('\n', " ").contains(headline) && String::from_utf8(page).unwrap().contains(headline),
            "{}",
            ended.stdout
        );
        if files == "[abc]" {
            assert!(told["to_score"].as_object().unwrap().iter().all(|(name, x)| match name.as_str() {
                "degree" | "bars" | "zero" | "doubtful" | "without_doubtful" => true,
                _ => x.as_f64().unwrap().to_bits() == 0,
            }));
            assert!(!ended.stdout.contains("mean "), "{}", ended.stdout);
        }
        let fell = told["checkpoints"]
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one.get("loss_as_given").is_some_and(|before| before.as_f64() > one["loss"].as_f64()));
        assert_eq!(fell, polish);
    }
}
