//! Minima from files: `[minima] theta` and `mpass eval --theta` with checkpoints of all kinds, and recipes of training.
#![cfg(all(feature = "cli", feature = "faer"))]

mod mpass;

use mountainpass::npy::{self, Array};
use mpass::{barcode, bars, bytes, file, folder, run, succeeds};
use serde_json::Value;
use std::path::{Path, PathBuf};

const DIGITS: &str =
    "[loss]\nbackend = \"faer\"\nmodel = \"mlp:64-3-10:tanh\"\ndata = \"digits\"\nlimit = 120\nl2 = 1e-2\n";
/// The blocks of its theta.
const BLOCKS: [(&str, &[usize]); 4] =
    [("layers.0.weight", &[3, 64]), ("layers.0.bias", &[3]), ("layers.1.weight", &[10, 3]), ("layers.1.bias", &[10])];
const P: usize = 3 * 64 + 3 + 30 + 10;

type Tensors<'a> = Vec<(&'a str, &'a [usize], Vec<f64>)>;

/// A .safetensors file of doubles, after the format's description.
fn safetensors(tensors: &Tensors<'_>) -> Vec<u8> {
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    for (name, shape, values) in tensors {
        let from = data.len();
        data.extend(values.iter().flat_map(|x| x.to_le_bytes()));
        let to = data.len();
        entries.push(format!("{name:?}:{{\"dtype\":\"F64\",\"shape\":{shape:?},\"data_offsets\":[{from},{to}]}}"));
    }
    let header = format!("{{{}}}", entries.join(","));
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

/// Theta cut into the tensors of its blocks.
fn tensors(theta: &[f64]) -> Tensors<'static> {
    let mut rest = theta;
    let cut = |(name, shape): &(&'static str, &'static [usize])| {
        let (own, after) = rest.split_at(shape.iter().product());
        rest = after;
        (*name, *shape, own.to_vec())
    };
    BLOCKS.iter().map(cut).collect()
}

fn array(shape: &[usize], values: Vec<f64>) -> Vec<u8> {
    npy::bytes(&Array { shape: shape.to_vec(), values: values.into() })
}

/// Numbers in no particular order.
fn theta(seed: usize) -> Vec<f64> {
    (0..P).map(|i| ((i * 7919 + seed * 104_729) % 1000) as f64 / 1000.0 - 0.5).collect()
}

fn loss(folder: &Path, config: &str, checkpoint: &str) -> f64 {
    let ended = succeeds(folder, &["eval", config, "--theta", checkpoint, "--json"]);
    serde_json::from_str::<Value>(&ended.stdout).unwrap()["loss"].as_f64().unwrap()
}

/// One line on stderr, exit status 2, no folder of results; returns the line.
fn refused(folder: &Path, arguments: &[&str]) -> String {
    let ended = run(folder, arguments);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", ended.stderr);
    assert!(!folder.join("bad").exists());
    let line = ended.stderr.strip_prefix("mpass: ").and_then(|line| line.strip_suffix('\n'));
    line.filter(|line| !line.contains('\n')).unwrap_or_else(|| panic!("not one line: {}", ended.stderr)).to_owned()
}

#[test]
fn every_kind_of_file_gives_the_same_loss() {
    let here = folder("checkpoint_kinds");
    file(&here, "d.toml", DIGITS);
    let own = theta(1);
    file(&here, "a.npy", array(&[P], own.clone()));
    file(&here, "a.safetensors", safetensors(&tensors(&own)));
    file(&here, "whole.safetensors", safetensors(&vec![("theta", &[P], own.clone())]));
    let known = loss(&here, "d.toml", "a.npy");
    assert_eq!(loss(&here, "d.toml", "a.safetensors"), known);
    assert_eq!(loss(&here, "d.toml", "whole.safetensors"), known);
}

#[test]
fn an_onnx_file_is_a_checkpoint_of_the_network_it_was_written_from() {
    let here = folder("checkpoint_onnx");
    file(&here, "d.toml", DIGITS.to_owned() + "[minima]\nseed = 5\n");
    succeeds(&here, &["model", "mlp:64-3-10:tanh", "--out", "m.onnx", "--seed", "5"]);
    let own = succeeds(&here, &["eval", "d.toml", "--json"]).stdout;
    let known = serde_json::from_str::<Value>(&own).unwrap()["loss"].as_f64().unwrap();
    // The file may hold single precision.
    assert!((loss(&here, "d.toml", "m.onnx") - known).abs() < 1e-6 * known);
}

/// The minima of three runs of starts, kept in files of two kinds.
fn checkpoints(folder: &Path) -> Vec<f64> {
    std::fs::create_dir_all(folder.join("ckpt")).unwrap();
    let mut losses = Vec::new();
    for (i, seed) in [26, 27, 28].into_iter().enumerate() {
        file(folder, "start.toml", format!("{DIGITS}[minima]\nstarts = 1\nseed = {seed}\n"));
        succeeds(folder, &["run", "start.toml", "--force"]);
        let store = mountainpass::store::Store::open(folder.join("start/landscape.sqlite")).unwrap();
        let minimum = store.landscape().unwrap().minima.remove(0);
        let theta = minimum.theta;
        match i {
            2 => file(folder, "ckpt/c.npy", array(&[1, P], theta)),
            _ => file(folder, &format!("ckpt/{}.safetensors", ["b", "a"][i]), safetensors(&tensors(&theta))),
        };
        losses.push(minimum.loss);
    }
    losses
}

#[test]
fn minima_in_files_are_the_minima_of_a_run_and_the_report_names_them() {
    let here = folder("checkpoint_run");
    let losses = checkpoints(&here);
    let config = format!(
        "{DIGITS}[minima]\ntheta = [\"ckpt/*.safetensors\", \"ckpt/c.npy\", \"ckpt/c.*\"]\n[paths]\nvisits = 3\n"
    );
    file(&here, "given.toml", &config);
    succeeds(&here, &["run", "given.toml", "--threads", "1"]);
    let out = here.join("given");
    let mut births: Vec<f64> = bars(&barcode(&out)).iter().map(|bar| bar.0).collect();
    births.retain(|birth| losses.contains(birth));
    assert_eq!(births.len(), 3, "{births:?}, {losses:?}");
    let report = String::from_utf8(bytes(&out, "report.html")).unwrap();
    for name in ["ckpt/a.safetensors", "ckpt/b.safetensors", "ckpt/c.npy row 0"] {
        // In the table of checkpoints and in that of minima.
        assert_eq!(report.matches(&format!("<td>{name}</td>")).count(), 2, "{name}");
    }
    // Another number of threads, and a stop on the way, change nothing.
    let expected = bytes(&out, "barcode.json");
    succeeds(&here, &["run", "given.toml", "--out", "two", "--threads", "2"]);
    assert_eq!(bytes(&here.join("two"), "barcode.json"), expected);
    for budget in [2, 500] {
        file(&here, "given.toml", format!("{config}[budget]\nevaluations = {budget}\n"));
        run(&here, &["run", "given.toml", "--out", "part"]);
        file(&here, "given.toml", &config);
        succeeds(&here, &["run", "given.toml", "--out", "part", "--resume"]);
        assert_eq!(bytes(&here.join("part"), "barcode.json"), expected, "{budget}");
        std::fs::remove_dir_all(here.join("part")).unwrap();
    }
    // What is in the files is part of the configuration.
    file(&here, "ckpt/c.npy", array(&[1, P], theta(2)));
    let line = "given holds the results of another configuration: choose another --out, or --force to replace them";
    assert_eq!(refused(&here, &["run", "given.toml"]), line);
}

#[test]
fn files_that_do_not_fit_are_refused_in_one_line() {
    let here = folder("checkpoint_faults");
    let own = theta(1);
    let run_of = |files: &str| {
        file(&here, "bad.toml", format!("{DIGITS}[minima]\ntheta = {files}\n"));
        refused(&here, &["run", "bad.toml"])
    };
    let fix = ": give them the loss's names and shapes (mpass eval --json lists them), or export model and checkpoints \
               with examples/torch/export.py";
    let mut renamed = tensors(&own);
    (renamed[0].0, renamed[1].0) = ("fc.weight", "fc.bias");
    file(&here, "renamed.safetensors", safetensors(&renamed));
    assert_eq!(
        run_of("\"renamed.safetensors\""),
        format!(
            "renamed.safetensors: its tensors are not the loss's parameters; the loss has, the file has not: \
             layers.0.weight [3, 64], layers.0.bias [3]; the file has, the loss has not: fc.bias [3], fc.weight [3, 64]{fix}"
        )
    );
    let mut flat = tensors(&own);
    flat[2].1 = &[30];
    file(&here, "flat.safetensors", safetensors(&flat));
    assert_eq!(
        run_of("\"flat.safetensors\""),
        format!(
            "flat.safetensors: its tensors are not the loss's parameters; of another shape: layers.1.weight [30], not \
             [10, 3]{fix}"
        )
    );
    file(&here, "short.npy", array(&[7], vec![0.0; 7]));
    let shape = "short.npy: an array of shape [7]; the loss has 235 parameters: wants (235,) or (n, 235)";
    assert_eq!(run_of("\"short.npy\""), shape);
    assert_eq!(refused(&here, &["eval", "bad.toml", "--theta", "short.npy"]), shape);
    file(&here, "nan.npy", array(&[2, P], [own.clone(), vec![f64::NAN; P]].concat()));
    assert_eq!(run_of("\"nan.npy\""), "nan.npy row 1: value 0 is NaN: no point of the loss");
    file(&here, "a.pt", "");
    let pickle = "a.pt: a pickle of torch's, which is not read (it may run anything): write it as .safetensors with \
                  examples/torch/export.py";
    assert_eq!(run_of("\"a.pt\""), pickle);
    assert_eq!(refused(&here, &["eval", "bad.toml", "--theta", "a.pt"]), pickle);
    file(&here, "a.h5", "");
    assert_eq!(run_of("\"a.h5\""), "a.h5: no kind of checkpoint: .safetensors, .npz, .npy and .onnx are read");
    assert_eq!(run_of("\"ckpt/*.npy\""), "[minima] theta: \"ckpt/*.npy\" names no file");
    file(&here, "cut.safetensors", &safetensors(&tensors(&own))[..100]);
    assert!(run_of("\"cut.safetensors\"").starts_with("cut.safetensors: no safetensors file, or a broken one: "));
}

#[test]
fn checkpoints_with_statistics_of_their_own_need_a_loss_that_recomputes_them() {
    let here = folder("checkpoint_statistics");
    let model = "[loss]\nbackend = \"faer\"\nmodel = \"mlp:64-3-10:tanh\"\ndata = \"digits\"\nlimit = 120\n";
    let with = |mean: f64| {
        let mut all = tensors(&theta(1 + mean as usize)); // Of one point alone no path could be made.
        all.push(("norm.running_mean", &[1], vec![mean]));
        safetensors(&all)
    };
    file(&here, "a.safetensors", with(0.0));
    file(&here, "b.safetensors", with(1.0));
    let tail = "[minima]\ntheta = \"*.safetensors\"\n[budget]\nevaluations = 1\n";
    file(&here, "bad.toml", format!("{model}batchnorm = \"frozen\"\n{tail}"));
    assert_eq!(
        refused(&here, &["run", "bad.toml"]),
        "the checkpoints' running statistics differ, from each other or from the model's (norm.running_mean), but a loss \
         of frozen statistics has one set of them: set [loss] batchnorm = \"recomputed\""
    );
    file(&here, "good.toml", format!("{model}{tail}"));
    let ended = run(&here, &["run", "good.toml"]);
    assert!(
        ended.stderr.contains("a budget is spent") || ended.stderr.contains("a budget was spent"),
        "{}",
        ended.stderr
    );
}

/// A folder with the run `one`, after the same for another number of threads and after a stop.
fn trained_alike(name: &str, recipe: &str) -> PathBuf {
    let here = folder(name);
    let minima = format!("recipe = {{ epochs = 20, batch = 32, {recipe} }}\nstarts = 3\npolish = true\n");
    let config = format!("{DIGITS}[minima]\n{minima}[paths]\nvisits = 2\n");
    file(&here, "r.toml", &config);
    succeeds(&here, &["run", "r.toml", "--out", "one", "--threads", "1"]);
    succeeds(&here, &["run", "r.toml", "--out", "two", "--threads", "2"]);
    let expected = bytes(&here.join("one"), "barcode.json");
    assert_eq!(bytes(&here.join("two"), "barcode.json"), expected);
    file(&here, "r.toml", format!("{config}[budget]\nevaluations = 150\n"));
    run(&here, &["run", "r.toml", "--out", "part"]);
    file(&here, "r.toml", &config);
    succeeds(&here, &["run", "r.toml", "--out", "part", "--resume"]);
    assert_eq!(bytes(&here.join("part"), "barcode.json"), expected);
    here
}

#[test]
fn adam_trains_the_same_for_any_number_of_threads_and_after_a_stop() {
    let recipe = "optimiser = \"adamw\", rate = 0.01, clip_norm = 1, schedule = \"one-cycle\"";
    let here = trained_alike("recipe_adamw", recipe);
    let report = String::from_utf8(bytes(&here.join("one"), "report.html")).unwrap();
    assert!(report.contains("20 epochs in minibatches of 32 with AdamW"));
}

#[test]
fn a_recipe_trains_the_same_for_any_number_of_threads_and_after_a_stop() {
    let here = trained_alike("recipe", "rate = [[0, 0.2], [15, 0.02]]");
    let report = String::from_utf8(bytes(&here.join("one"), "report.html")).unwrap();
    assert!(report.contains("Loss before polishing") && report.contains("Gradient norm before polishing"));
    let store = mountainpass::store::Store::open(here.join("one/landscape.sqlite")).unwrap();
    for minimum in store.landscape().unwrap().minima.iter().filter(|m| m.is_sampled()) {
        let before = |name: &str| minimum.metrics.iter().find(|(known, _)| known.to_string() == name).unwrap().1;
        let (loss, norm) = (before("loss before polishing"), before("gradient norm before polishing"));
        // Trained: below the 2.3 of a start, and yet no minimum.
        assert!(minimum.loss < loss && loss < 2.0 && norm > 1e-4, "{loss}, {norm}");
    }
}

#[test]
#[cfg(feature = "surfaces")]
fn a_recipe_needs_samples() {
    let here = folder("recipe_faults");
    file(&here, "bad.toml", "[loss]\nbackend = \"surfaces\"\nmodel = \"torus\"\n[minima]\nrecipe = \"annealed\"\n");
    assert_eq!(
        refused(&here, &["run", "bad.toml"]),
        "surfaces: has no samples, and a recipe of minibatches needs them: leave it out"
    );
}
