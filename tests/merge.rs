//! `mpass merge` and `mpass export`: landscapes of one loss joined, and their points as files.

mod mpass;

use mpass::{barcode, bars, bytes, file, folder, run, succeeds};
use serde_json::Value;
use std::path::Path;

fn search(folder: &Path, name: &str, model: &str, starts: u64, seed: u64) {
    let text =
        format!("[loss]\nbackend = \"surfaces\"\nmodel = \"{model}\"\n[minima]\nstarts = {starts}\nseed = {seed}");
    file(folder, &format!("{name}.toml"), text);
    succeeds(folder, &["run", &format!("{name}.toml"), "--threads", "1"]);
}

fn network(folder: &Path, name: &str, keys: &str) {
    let text = format!(
        "[loss]\nbackend = \"faer\"\nmodel = \"mlp:64-2-10:tanh\"\ndata = \"digits\"\n{keys}\n\
         [minima]\nstarts = 2\nevaluations_each = 40\n[budget]\nevaluations = 300"
    );
    file(folder, &format!("{name}.toml"), text);
    succeeds(folder, &["run", &format!("{name}.toml"), "--threads", "1"]);
}

fn summary(folder: &Path, name: &str) -> Value {
    serde_json::from_slice(&bytes(&folder.join(name), "summary.json")).unwrap()
}

fn refused(folder: &Path, arguments: &[&str]) -> String {
    let ended = run(folder, arguments);
    assert_eq!(ended.code, Some(2), "{arguments:?}\n{}", ended.stderr);
    assert_eq!(ended.stderr.trim_end().lines().count(), 1, "{}", ended.stderr);
    ended.stderr.trim_end().trim_start_matches("mpass: ").to_owned()
}

#[test]
fn merged_runs_go_on_to_the_barcode_of_one_run_of_all_their_starts() {
    let folder = folder("merged_runs");
    search(&folder, "a", "himmelblau", 3, 26);
    search(&folder, "b", "himmelblau", 3, 29);
    search(&folder, "all", "himmelblau", 6, 26);
    let said = succeeds(&folder, &["merge", "a", "b", "--out", "both", "--threads", "1"]);
    assert!(said.stderr.contains("known"), "{}", said.stderr);
    let (a, b, both) = (summary(&folder, "a"), summary(&folder, "b"), summary(&folder, "both"));
    let own: u64 = both["evaluations"]["merge"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    let spent = |of: &Value| of["evaluations_in_all"].as_u64().unwrap();
    assert_eq!(spent(&both) - own, spent(&a) + spent(&b));
    assert_eq!(both["complete"], false);
    assert!(both["notes"].to_string().contains("Merged from 2 runs (first seeds 26, 29)"));
    assert_eq!(barcode(&folder.join("both"))["provenance"]["merged"].as_array().unwrap().len(), 1);
    assert_eq!(
        succeeds(&folder, &["show", "both", "--json"]).stdout.as_bytes(),
        bytes(&folder.join("both"), "barcode.json")
    );
    succeeds(&folder, &["run", "a.toml", "--out", "both", "--resume", "--threads", "1"]);
    assert_eq!(summary(&folder, "both")["complete"], true);
    let (found, wanted) = (bars(&barcode(&folder.join("both"))), bars(&barcode(&folder.join("all"))));
    assert_eq!(found.len(), wanted.len());
    for ((birth, death), (other, pass)) in found.into_iter().zip(wanted) {
        // Two descents into one minimum end within their tolerance of 1e-8.
        assert!((birth - other).abs() < 1e-9 && (death.unwrap_or(0.0) - pass.unwrap_or(0.0)).abs() < 1e-6);
    }
}

#[test]
fn a_run_merged_with_itself_is_itself() {
    let folder = folder("merged_with_itself");
    search(&folder, "a", "six-hump-camel", 5, 26);
    succeeds(&folder, &["merge", "a", "a", "--out", "twice"]);
    let [once, twice] = ["a", "twice"].map(|name| barcode(&folder.join(name)));
    assert_eq!((&once["bars"], &once["cells"]), (&twice["bars"], &twice["cells"]));
    let [once, twice] = ["a", "twice"].map(|name| summary(&folder, name));
    assert_eq!(
        (&once["minima"], &once["paths"], &once["copies"]),
        (&twice["minima"], &twice["paths"], &twice["copies"])
    );
}

#[test]
fn runs_of_different_losses_are_not_merged_and_what_differs_is_said() {
    let folder = folder("not_merged");
    search(&folder, "a", "himmelblau", 2, 26);
    search(&folder, "b", "six-hump-camel", 2, 26);
    network(&folder, "l2", "limit = 30\nl2 = 1e-3");
    network(&folder, "more", "limit = 30\nl2 = 1e-2");
    network(&folder, "data", "limit = 31\nl2 = 1e-3");
    let merge = |a, b| refused(&folder, &["merge", a, b, "--out", "both"]);
    assert!(merge("a", "l2").starts_with("a and l2 are not of one loss: the backend differs (surfaces, faer)"));
    assert!(merge("l2", "data").contains("the data differs ("));
    for (a, b) in [("a", "b"), ("l2", "more")] {
        let said = merge(a, b);
        assert!(said.starts_with(&format!("{b}: minimum ")) && said.ends_with(": another loss"), "{said}");
    }
    assert!(merge("a", "none").contains("none"));
    assert!(!folder.join("both").exists());
}

#[test]
fn a_point_exported_in_any_format_has_its_loss() {
    let folder = folder("exported");
    network(&folder, "run", "limit = 30\ndtype = \"f64\"");
    let wanted = barcode(&folder.join("run"))["bars"][0].clone();
    let cell = wanted["birth_cell"].to_string();
    let loss = |file: &str, config: &str| -> f64 {
        let said = succeeds(&folder, &["eval", config, "--theta", file, "--json"]);
        serde_json::from_str::<Value>(&said.stdout).unwrap()["loss"].as_f64().unwrap()
    };
    for name in ["theta.npy", "theta.safetensors", "theta.onnx"] {
        succeeds(&folder, &["export", "run", "--minimum", &cell, "--to", name, "--dtype", "f64"]);
        assert_eq!(loss(name, "run.toml"), wanted["birth"].as_f64().unwrap(), "{name}");
    }
    // The same network from a file takes them back in single precision, as the file holds them.
    succeeds(&folder, &["model", "mlp:64-2-10:tanh", "--out", "net.onnx"]);
    let text = std::fs::read_to_string(folder.join("run.toml")).unwrap().replace("mlp:64-2-10:tanh", "net.onnx");
    file(&folder, "net.toml", text);
    succeeds(&folder, &["run", "net.toml", "--threads", "1"]);
    let wanted = barcode(&folder.join("net"))["bars"][0].clone();
    succeeds(&folder, &["export", "net", "--minimum", &wanted["birth_cell"].to_string(), "--to", "back.onnx"]);
    assert!((loss("back.onnx", "net.toml") - wanted["birth"].as_f64().unwrap()).abs() < 1e-5);
}

#[test]
fn a_number_that_is_not_there_names_the_nearest() {
    let folder = folder("no_such_cell");
    search(&folder, "a", "himmelblau", 2, 26);
    let export = |option, number, to| refused(&folder, &["export", "a", option, number, "--to", to]);
    assert!(export("--minimum", "999", "x.npy").contains("no minimum has the number 999; the nearest is "));
    assert!(export("--saddle", "0", "x.npy").contains("no pass has the number 0; the nearest is "));
    assert!(export("--minimum", "0", "x.txt").ends_with("parameters are written as .npy, .safetensors or .onnx"));
    assert!(refused(&folder, &["export", "a", "--to", "x.npy"]).ends_with("name --minimum K or --saddle K"));
}

#[test]
fn points_on_slopes_are_said_to_be_and_their_bars_of_no_length_are_counted() {
    let folder = folder("slopes");
    let text = "[loss]\nbackend = \"faer\"\nmodel = \"mlp:64-2-10:tanh\"\ndata = \"digits\"\nlimit = 60\n\
                [minima]\nstarts = 3\nrecipe = { epochs = 3, rate = 0.05 }";
    file(&folder, "run.toml", text);
    let said = succeeds(&folder, &["run", "run.toml", "--threads", "1"]);
    let summary = summary(&folder, "run");
    let score = &summary["to_score"];
    assert_eq!((&score["bars"], &score["mean"]), (&Value::from(2), &Value::from(0.0)), "{summary}");
    assert_eq!(score["zero"], 2);
    for text in [
        said.stdout,
        summary["notes"].to_string(),
        String::from_utf8(bytes(&folder.join("run"), "report.html")).unwrap(),
    ] {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("3 points lie on slopes and not at minima") && text.contains("polish = true"), "{text}");
    }
}
