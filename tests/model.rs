//! `mpass model`: what it prints of a network, and the ONNX files it writes.

mod mpass;

use mountainpass::npy;
use mpass::{folder, run, succeeds};
use serde_json::{Value, json};

#[test]
fn parameters_and_inputs_are_listed() {
    let here = folder("model_list");
    let ended = succeeds(&here, &["model", "mlp:64-8-10:tanh"]);
    let text = "610 parameters in 4 blocks\n  layers.0.weight  at 0        8 x 64\n  layers.0.bias    at 512      8\n  \
                layers.1.weight  at 520      10 x 8\n  layers.1.bias    at 600      10\ninput x: 64 reals a sample\n";
    assert_eq!(ended.stdout, text);
    let ended = succeeds(&here, &["model", "cnn:4x5x1-2-3", "--json"]);
    let all: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(all["n_parameters"], 20 + 9);
    assert_eq!(all["inputs"], json!([{ "name": "x", "shape": [4, 5, 1], "kind": "real" }]));
    let first = json!({ "name": "conv1.weight", "shape": [2, 1, 3, 3], "offset": 0, "is_weight": true });
    assert_eq!(all["parameters"][0], first);
}

#[test]
fn a_written_file_is_the_network() {
    let here = folder("model_write");
    let named = succeeds(&here, &["model", "cnn:8x8x1-3-4-10:relu:batchnorm", "--out", "m.onnx", "--dtype", "f64"]);
    let read = succeeds(&here, &["model", "m.onnx"]);
    assert_eq!((&read.stdout, &*read.stderr), (&named.stdout, ""));
    // One seed, one start; another seed, another.
    let write = |file: &str, seed: &str| {
        succeeds(&here, &["model", "mlp:64-8-10:tanh", "--seed", seed, "--out", file]);
        mpass::bytes(&here, file)
    };
    let first = write("a.onnx", "1");
    assert_eq!(first, write("b.onnx", "1"));
    assert_ne!(first, write("c.onnx", "2"));
}

#[test]
fn a_written_perceptron_has_the_loss_of_the_named_one() {
    let here = folder("model_loss");
    let line = ["model", "mlp:64-8-10:tanh", "--seed", "4", "--out", "m.onnx", "--dtype", "f64"];
    succeeds(&here, &line);
    let evaluated = |model: &str, grad: &str| {
        let text = format!(
            "[minima]\nseed = 4\n[loss]\nbackend = \"faer\"\nmodel = \"{model}\"\ndata = \"digits\"\nl2 = 1e-3\n"
        );
        mpass::file(&here, "run.toml", text);
        let ended = succeeds(&here, &["eval", "run.toml", "--json", "--grad", grad]);
        let all: Value = serde_json::from_str(&ended.stdout).unwrap();
        (all["loss"].as_f64().unwrap(), npy::read(&here.join(grad)).unwrap().values.to_f64())
    };
    let (named, gradient) = evaluated("mlp:64-8-10:tanh", "a.npy");
    let (read, other) = evaluated("m.onnx", "b.npy");
    // The kernels of perceptrons are chosen by what a model computes: one path, the same bits.
    assert_eq!((named, gradient), (read, other));
}

#[test]
fn what_cannot_be_meant_is_refused_in_one_line() {
    let here = folder("model_refusals");
    let refused = |arguments: &[&str], message: &str| {
        let ended = run(&here, arguments);
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (Some(2), format!("mpass: {message}\n").as_str()),
            "{arguments:?}"
        );
    };
    refused(&["model", "m.onnx"], "model \"m.onnx\": no such file");
    refused(&["model", "m.onnx", "--out", "b.onnx"], "--out: \"m.onnx\" is an ONNX file already");
    mpass::file(&here, "bad.onnx", "text");
    let ended = run(&here, &["model", "bad.onnx"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.starts_with("mpass: model \"bad.onnx\": no ONNX file, or a broken one: "), "{}", ended.stderr);
    let line = ["model", "cnn:8x8-10"];
    refused(&line, "network \"cnn:8x8-10\": the image is \"8x8\", expected HxWxC as in cnn:28x28x1-16-32-10:relu");
    let ended = run(&here, &["model", "mlp:2-2:relu", "--out", "missing/m.onnx"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.starts_with("mpass: ") && ended.stderr.contains("missing/m.onnx"), "{}", ended.stderr);
}

#[cfg(feature = "faer")]
#[test]
fn what_was_decided_in_reading_is_told_by_all_commands_and_kept() {
    let here = folder("model_notes");
    succeeds(&here, &["model", "mlp:64-10:tanh", "--out", "plain.onnx"]);
    // A name of as many bytes that torch's exporter gives to what it computed.
    let (own, made) = (b"layers.0.weight", b"onnx::Gemm_0000");
    let mut bytes = mpass::bytes(&here, "plain.onnx");
    for at in 0..bytes.len() - own.len() {
        if bytes[at..].starts_with(own) {
            bytes[at..at + own.len()].copy_from_slice(made);
        }
    }
    mpass::file(&here, "net.onnx", bytes);
    let loss = "[loss]\nbackend = \"faer\"\nmodel = \"net.onnx\"\ndata = \"digits\"\nlimit = 20\nl2 = 1.0\n";
    mpass::file(&here, "r.toml", format!("{loss}[minima]\nstarts = 1\n"));
    let note = "theta has onnx::Gemm_0000, which the exporter made";
    let told = |arguments: &[&str]| {
        let ended = succeeds(&here, arguments);
        // Lines are broken at the width of a terminal.
        assert!(
            ended.stderr.split_whitespace().collect::<Vec<_>>().join(" ").contains(note),
            "{arguments:?}: {}",
            ended.stderr
        );
        ended.stdout
    };
    told(&["model", "net.onnx"]);
    let all: Value = serde_json::from_str(&told(&["eval", "r.toml", "--json"])).unwrap();
    assert!(all["notes"][0].as_str().unwrap().starts_with(note));
    told(&["run", "r.toml", "--threads", "1"]);
    // Through a process of its own as well.
    told(&["eval", "r.toml", "--isolate"]);
    let summary: Value = serde_json::from_slice(&mpass::bytes(&here.join("r"), "summary.json")).unwrap();
    let notes: Vec<&str> = summary["notes"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(notes.iter().any(|kept| kept.starts_with(&format!("The backend says: {note}"))), "{notes:?}");
}

#[cfg(feature = "faer")]
#[test]
fn targets_that_nothing_looks_at_are_told() {
    let here = folder("model_targets");
    succeeds(&here, &["model", "mlp:64-1:tanh", "--out", "loss.onnx"]);
    let notes = |objective: &str| {
        let loss = "[loss]\nbackend = \"faer\"\nmodel = \"loss.onnx\"\ndata = \"digits\"\nlimit = 20\n";
        mpass::file(&here, "r.toml", format!("{loss}{objective}"));
        let all: Value = serde_json::from_str(&succeeds(&here, &["eval", "r.toml", "--json"]).stdout).unwrap();
        all["notes"].as_array().cloned().unwrap_or_default()
    };
    let told = notes("objective = \"model\"\noutput_kind = \"loss\"\n");
    let is_told = |note: &Value| note.as_str().unwrap().starts_with("the targets (y) of digits are not looked at");
    assert!(told.iter().any(is_told), "{told:?}");
    let told = notes("objective = \"mse\"\n");
    assert!(!told.iter().any(is_told), "{told:?}");
}

#[cfg(feature = "faer")]
#[test]
fn a_list_of_a_runs_file_is_one_of_the_backends() {
    let here = folder("model_lists");
    succeeds(&here, &["model", "mlp:64-4-10:tanh", "--out", "net.onnx"]);
    let loss = "[loss]\nbackend = \"faer\"\nmodel = \"net.onnx\"\ndata = \"digits\"\n";
    let eval = |more: &str| {
        mpass::file(&here, "r.toml", format!("{loss}{more}"));
        run(&here, &["eval", "r.toml", "--json"])
    };
    let all = |more: &str| -> Value { serde_json::from_str(&eval(more).stdout).unwrap() };
    let weights = [1.0, 2.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 3.0].map(|weight: f64| weight.to_string());
    let list = format!("frozen = [\"layers.0.*\", \"layers.1.bias\"]\nclass_weights = [{}]\n", weights.join(", "));
    let text = format!("frozen = \"layers.0.*,layers.1.bias\"\nclass_weights = \"{}\"\n", weights.join(","));
    assert_eq!(all(&list)["loss"], all(&text)["loss"]);
    assert_ne!(all(&list)["loss"], all("")["loss"]);
    let names: Vec<Value> = all(&list)["parameters"].as_array().unwrap().iter().map(|p| p["name"].clone()).collect();
    assert_eq!(names, ["layers.1.weight"]);
    let refused = eval("limit = [20]\n");
    assert_eq!(
        (refused.code, refused.stderr.as_str()),
        (Some(2), "mpass: r.toml: [loss] limit takes one value, not a list\n")
    );
}
