//! What `examples/torch/export.py` wrote of three trained networks, against the losses and gradients that torch computed.
//!
//! The fixtures are `python examples/torch/export.py --example --out backends/network/tests/fixtures/export` with the
//! versions in `examples/torch/requirements.txt`.
#![cfg(feature = "faer")]

mod mpass;

use mountainpass::npy;
use mountainpass_network::npz;
use mpass::{bytes, folder, run, succeeds};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn exported(name: &str) -> PathBuf {
    let here = folder(name);
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("backends/network/tests/fixtures/export");
    for entry in std::fs::read_dir(fixtures).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, here.join(path.file_name().unwrap())).unwrap();
    }
    here
}

#[test]
fn checkpoints_have_torchs_losses_and_gradients() {
    let here = exported("torch_export_values");
    let torch = npz::read(&here.join("torch.npz")).unwrap();
    let of = |name: &str| torch.iter().find(|(key, _)| key == name).unwrap().1.values.to_f64();
    for seed in 0..3 {
        let theta = format!("seed-{seed}.safetensors");
        let ended = succeeds(&here, &["eval", "run.toml", "--theta", &theta, "--grad", "g.npy", "--json"]);
        let all: Value = serde_json::from_str(&ended.stdout).unwrap();
        let (loss, wanted) = (all["loss"].as_f64().unwrap(), of(&format!("loss/seed-{seed}"))[0]);
        // Both compute in f64 with the same rounded weights; the epsilon of the normalisation is rounded alike.
        assert!((loss - wanted).abs() < 1e-10 * wanted, "seed {seed}: {loss}, torch {wanted}");
        let (own, wanted) = (all["loss_with_own_statistics"].as_f64().unwrap(), of(&format!("own/seed-{seed}"))[0]);
        assert!((own - wanted).abs() < 1e-10 * wanted, "seed {seed}: {own}, torch in evaluation mode {wanted}");
        let gradient = npy::read(&here.join("g.npy")).unwrap().values.to_f64();
        let blocks = all["parameters"].as_array().unwrap();
        let name = |block: &Value| format!("gradient/seed-{seed}/{}", block["name"].as_str().unwrap());
        let wanted: Vec<f64> = blocks.iter().flat_map(|block| of(&name(block))).collect();
        let scale = wanted.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        assert_eq!(gradient.len(), wanted.len());
        assert!(gradient.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-9 * scale), "seed {seed}");
    }
    // The file itself has the weights of the first.
    let own = succeeds(&here, &["eval", "run.toml", "--json"]);
    let own: Value = serde_json::from_str(&own.stdout).unwrap();
    let wanted = of("loss/seed-0")[0];
    assert!((own["loss"].as_f64().unwrap() - wanted).abs() < 1e-10 * wanted);
}

#[test]
fn a_run_shows_each_checkpoints_loss_with_its_own_statistics_beside_the_loss_used() {
    let here = exported("torch_export_run");
    let torch = npz::read(&here.join("torch.npz")).unwrap();
    let of = |name: &str| torch.iter().find(|(key, _)| key == name).unwrap().1.values.to_f64()[0];
    let text = std::fs::read_to_string(here.join("run.toml")).unwrap();
    let two = text.replace(", \"seed-2.safetensors\"", "");
    assert!(two.contains("\"seed-1.safetensors\"]"), "{two}");
    mpass::file(&here, "run.toml", &two);
    let whole = succeeds(&here, &["run", "run.toml", "--threads", "1"]);
    let out = here.join("run");
    let summary: Value = serde_json::from_slice(&bytes(&out, "summary.json")).unwrap();
    let checkpoints = summary["checkpoints"].as_array().unwrap();
    let (report, shown) = (String::from_utf8(bytes(&out, "report.html")).unwrap(), succeeds(&here, &["show", "run"]));
    assert_eq!((checkpoints.len(), &shown.stdout), (2, &whole.stdout));
    assert!(shown.stdout.contains("  own statistics  "), "{}", shown.stdout);
    assert_eq!(report.matches("<th class=\"n\">Loss with own statistics</th>").count(), 1);
    for (checkpoint, seed) in checkpoints.iter().zip(0..) {
        assert_eq!(checkpoint["name"], format!("seed-{seed}.safetensors"));
        for (key, wanted) in [("loss", "loss"), ("loss_with_own_statistics", "own")] {
            let (value, wanted) = (checkpoint[key].as_f64().unwrap(), of(&format!("{wanted}/seed-{seed}")));
            assert!((value - wanted).abs() < 1e-10 * wanted, "{seed} {key}: {value}, torch {wanted}");
            // Six digits of one column, four of the other; the larger loss has all of them.
            let digits = format!("{value:.*}", 5);
            assert!(
                seed == 0 || shown.stdout.contains(&digits) && report.contains(&digits),
                "{digits}: {}",
                shown.stdout
            );
        }
    }
    // A stop on the way, and a process of the loss's own, change nothing.
    mpass::file(&here, "run.toml", format!("{two}[budget]\nevaluations = 2\n"));
    run(&here, &["run", "run.toml", "--out", "part"]);
    mpass::file(&here, "run.toml", &two);
    let isolated = ["run", "run.toml", "--out", "part", "--resume", "--isolate"];
    let resumed = if cfg!(target_os = "linux") { &isolated[..] } else { &isolated[..5] };
    succeeds(&here, resumed);
    assert_eq!(bytes(&here.join("part"), "barcode.json"), bytes(&out, "barcode.json"));
    let other: Value = serde_json::from_slice(&bytes(&here.join("part"), "summary.json")).unwrap();
    assert_eq!(other["checkpoints"], summary["checkpoints"]);
}

#[test]
fn frozen_statistics_that_differ_are_refused_whichever_case_the_models_name_is_in() {
    let here = exported("torch_export_frozen");
    let text = std::fs::read_to_string(here.join("run.toml")).unwrap();
    assert!(text.contains("batchnorm = \"recomputed\"") && text.contains("\"model.onnx\""), "{text}");
    std::fs::copy(here.join("model.onnx"), here.join("NET.ONNX")).unwrap();
    for name in ["model.onnx", "NET.ONNX"] {
        let frozen = text.replace("batchnorm = \"recomputed\"", "").replace("model.onnx", name);
        mpass::file(&here, "run.toml", frozen);
        let ended = run(&here, &["run", "run.toml"]);
        assert_eq!(ended.code, Some(2), "{name}: {}", ended.stderr);
        let line = ended.stderr.lines().last().unwrap();
        let is_said = line.contains("1.running_mean, 1.running_var") && line.contains("batchnorm = \"recomputed\"");
        assert!(is_said, "{name}: {line}");
    }
}

/// The model's file with its normalisation in training: an attribute of as many bytes stands where the momentum stood, so no
/// length in the file changes.
fn put_in_training(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let (was, is) = (b"\n\x08momentum\x15fff?\xa0\x01\x01", b"\n\x0dtraining_mode\x18\x81\x00");
    let at = bytes.windows(was.len()).position(|window| window == was).unwrap();
    bytes[at..at + is.len()].copy_from_slice(is);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_file_in_training_takes_the_statistics_of_the_samples_unasked_and_a_checkpoints_own_beside() {
    let here = exported("torch_export_training");
    let torch = npz::read(&here.join("torch.npz")).unwrap();
    let of = |name: &str| torch.iter().find(|(key, _)| key == name).unwrap().1.values.to_f64()[0];
    put_in_training(&here.join("model.onnx"));
    let text = std::fs::read_to_string(here.join("run.toml")).unwrap();
    // Frozen is heeded there too: it takes the model's statistics, which are not those of the checkpoint.
    mpass::file(&here, "run.toml", text.replace("batchnorm = \"recomputed\"", "batchnorm = \"frozen\""));
    let ended = run(&here, &["eval", "run.toml", "--theta", "seed-1.safetensors"]);
    assert!(ended.code == Some(2) && ended.stderr.contains("running statistics differ"), "{}", ended.stderr);
    for batchnorm in ["", "batchnorm = \"recomputed\""] {
        mpass::file(&here, "run.toml", text.replace("batchnorm = \"recomputed\"", batchnorm));
        let ended = succeeds(&here, &["eval", "run.toml", "--theta", "seed-1.safetensors", "--json"]);
        let all: Value = serde_json::from_str(&ended.stdout).unwrap();
        for (key, wanted) in [("loss", of("loss/seed-1")), ("loss_with_own_statistics", of("own/seed-1"))] {
            let value = all[key].as_f64().unwrap();
            // As in the file out of training.
            assert!((value - wanted).abs() < 1e-10 * wanted, "{batchnorm}: {key} {value}, torch {wanted}");
        }
    }
}

/// Needs a Python with `examples/torch/requirements.txt`: that of MPASS_TORCH_PYTHON, or python3. Without it the test says so
/// and passes: torch is too large for every run of the suite.
#[test]
fn the_script_computes_what_torch_does_for_modules_and_checkpoints_of_every_kind() {
    let interpreter = std::env::var_os("MPASS_TORCH_PYTHON").unwrap_or("python3".into());
    let python = |arguments: &[&std::ffi::OsStr]| {
        std::process::Command::new(&interpreter).args(arguments).env("PYTHONDONTWRITEBYTECODE", "1").output()
    };
    let needed = "import numpy, onnx, onnxscript, safetensors, torch";
    if !python(&["-c".as_ref(), needed.as_ref()]).is_ok_and(|output| output.status.success()) {
        eprintln!("export.py is not tested: {interpreter:?} cannot {needed}; name one that can by MPASS_TORCH_PYTHON");
        return;
    }
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exporter/cases.py");
    let here = folder("torch_export_script");
    let mpass = env!("CARGO_BIN_EXE_mpass");
    let ended = python(&[cases.as_os_str(), mpass.as_ref(), here.as_os_str()]).unwrap();
    let [stdout, stderr] = [ended.stdout, ended.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(ended.status.success(), "{stdout}{stderr}");
    assert_eq!(stdout.lines().filter(|line| line.ends_with(" ok")).count(), 5, "{stdout}{stderr}");
}
