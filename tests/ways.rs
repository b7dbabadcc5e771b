//! Ways to minima and what is said of a run beside its barcode: hops, plans, metrics at passes.

mod mpass;

use mpass::{barcode, bars, bytes, file, folder, run, succeeds};
use serde_json::Value;
use std::path::Path;

const CLUSTER: &str = "[loss]\nbackend = \"surfaces\"\nmodel = \"lennard-jones\"\noptions = { atoms = 13 }\n";
const HOP: &str = "recipe = \"hop\"\nstep = 0.4\ntemperature = 0.8\n";

fn summary(folder: &Path, name: &str) -> Value {
    serde_json::from_slice(&bytes(&folder.join(name), "summary.json")).unwrap()
}

fn lowest(folder: &Path, name: &str) -> f64 {
    bars(&barcode(&folder.join(name))).into_iter().map(|(birth, _)| birth).fold(f64::INFINITY, f64::min)
}

#[test]
fn a_stopped_walk_goes_on_to_the_same_minima() {
    let folder = folder("hop_resumed");
    let of = |minima: &str| format!("{CLUSTER}[minima]\nstarts = 12\n{HOP}{minima}[paths]\nevaluations = 1\n");
    file(&folder, "whole.toml", of(""));
    succeeds(&folder, &["run", "whole.toml", "--threads", "1"]);
    let spent = summary(&folder, "whole")["evaluations"]["minima"]["gradient"].as_u64().unwrap();
    file(&folder, "parts.toml", of(&format!("evaluations = {}\n", spent / 2)));
    succeeds(&folder, &["run", "parts.toml", "--threads", "1"]);
    assert!(summary(&folder, "parts")["minima"].as_u64() < summary(&folder, "whole")["minima"].as_u64());
    file(&folder, "parts.toml", of(""));
    succeeds(&folder, &["run", "parts.toml", "--threads", "2", "--resume"]);
    let cells = |name: &str| barcode(&folder.join(name))["bars"].clone();
    assert_eq!(cells("parts"), cells("whole"));
    let notes = summary(&folder, "whole")["notes"].to_string();
    assert!(notes.contains("Minima were got by basin hopping (step 0.4, temperature 0.8)."), "{notes}");
}

#[test]
fn a_plan_says_what_a_run_takes_and_leaves_nothing() {
    let folder = folder("plan");
    file(&folder, "a.toml", format!("{CLUSTER}[minima]\nstarts = 3\n[budget]\nevaluations = 500\n"));
    let said = succeeds(&folder, &["run", "a.toml", "--plan"]).stdout;
    for part in
        ["39 parameters in double precision", "3 straight lines", "paths of 2 bars", "500 evaluations", "memory"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!folder.join("a").exists());
    file(&folder, "b.toml", "[loss]\nbackend = \"surfaces\"\nmodel = \"himmelblau\"\n[complex]\nmethod = \"grid\"\n");
    assert_eq!(run(&folder, &["run", "b.toml", "--plan"]).code, Some(2));
    assert_eq!(run(&folder, &["run", "a.toml", "--plan", "--resume"]).code, Some(2));
}

#[test]
fn metrics_stand_at_the_passes_as_at_the_minima() {
    let folder = folder("at_passes");
    let text = "[loss]\nbackend = \"faer\"\nmodel = \"mlp:64-2-10:tanh\"\ndata = \"digits\"\nlimit = 60\nl2 = 1e-2\n\
                [minima]\nstarts = 3\n";
    file(&folder, "run.toml", text);
    succeeds(&folder, &["run", "run.toml", "--threads", "1"]);
    let (summary, barcode) = (summary(&folder, "run"), barcode(&folder.join("run")));
    let passes = summary["at_passes"].as_array().unwrap();
    let dead: Vec<&Value> = barcode["bars"].as_array().unwrap().iter().filter(|bar| !bar["death"].is_null()).collect();
    let targets: Vec<&&Value> = dead.iter().filter(|bar| bar["transit"] != true).collect();
    assert!(!targets.is_empty());
    for bar in targets {
        let pass = passes.iter().find(|pass| pass["cell"] == bar["death_cell"]).unwrap();
        assert_eq!((&pass["kind"], &pass["loss"]), (&bar["death_kind"], &bar["death"]));
        // The same numbers as mpass eval has for the point.
        let cell = pass["cell"].to_string();
        succeeds(&folder, &["export", "run", "--saddle", &cell, "--to", "theta.npy"]);
        let said = succeeds(&folder, &["eval", "run.toml", "--theta", "theta.npy", "--json"]).stdout;
        let eval: Value = serde_json::from_str(&said).unwrap();
        for (split, metrics) in eval["metrics"].as_object().unwrap() {
            for (name, value) in metrics.as_object().unwrap() {
                assert_eq!(&pass["metrics"][format!("{split} {name}")], value, "{split} {name}");
            }
        }
    }
    assert!(String::from_utf8(bytes(&folder.join("run"), "report.html")).unwrap().contains("<h2>Passes</h2>"));
}

#[test]
fn ends_that_are_one_point_are_refused() {
    let folder = folder("one_point");
    file(&folder, "a.toml", "[loss]\nbackend = \"surfaces\"\nmodel = \"himmelblau\"\n[minima]\nstarts = 1\n");
    succeeds(&folder, &["run", "a.toml"]);
    for name in ["x.npy", "y.npy"] {
        succeeds(&folder, &["export", "a", "--minimum", "0", "--to", name]);
    }
    let text = "[loss]\nbackend = \"surfaces\"\nmodel = \"himmelblau\"\n[minima]\ntheta = [\"x.npy\", \"y.npy\"]\n";
    file(&folder, "b.toml", text);
    let ended = run(&folder, &["run", "b.toml"]);
    assert_eq!(ended.stderr, "mpass: x.npy and y.npy are the same point: a path needs two different ends\n");
    assert_eq!(ended.code, Some(2));
}

#[test]
fn a_walk_finds_what_plain_starts_do_not_at_equal_evaluations() {
    let folder = folder("hop");
    let cluster = CLUSTER.replace("13", "38");
    for (name, recipe) in [("starts", ""), ("walk", HOP)] {
        let minima = format!("[minima]\nstarts = 60\n{recipe}evaluations = 5000\n");
        file(&folder, &format!("{name}.toml"), format!("{cluster}{minima}[paths]\nevaluations = 1\n"));
        succeeds(&folder, &["run", &format!("{name}.toml"), "--threads", "1"]);
    }
    let (starts, walk) = (lowest(&folder, "starts"), lowest(&folder, "walk"));
    assert!(walk < starts - 0.1, "{walk} {starts}");
}
