//! The backend onnx as a file: the contract, the main job beside faer, and the command that fetches its library.

mod built;
#[path = "../backends/onnx/tests/library/mod.rs"]
mod library;
mod mpass;

use library::library;
use mpass::{Ended, bars, end, file, folder, mpass, run, succeeds};
use serde_json::Value;
use std::path::Path;

/// A run of eight minima's little sister, by a backend.
fn digits(backend: &str, options: &str) -> String {
    format!(
        "[loss]\n{backend}\nmodel = \"mlp:64-2-10:tanh\"\ndata = \"digits\"\nlimit = 100\nl2 = 1e-2\n\
         [loss.options]\n{options}\n[minima]\nstarts = 3\n[paths]\nvisits = 4\n"
    )
}

#[test]
fn one_word_changed_gives_the_same_barcode() {
    let Some(library) = library() else { return };
    let (folder, plugin) = (folder("onnx-digits"), built::cdylib("mountainpass-onnx-so"));
    file(&folder, "faer.toml", digits("backend = \"faer\"", ""));
    file(&folder, "onnx.toml", digits(&format!("plugin = {plugin:?}"), &format!("library = {library:?}")));
    succeeds(&folder, &["run", "faer.toml"]);
    succeeds(&folder, &["run", "onnx.toml"]);
    succeeds(&folder, &["run", "onnx.toml", "--isolate", "--out", "isolated"]);
    let [faer, onnx, isolated] = ["faer", "onnx", "isolated"].map(|name| mpass::barcode(&folder.join(name)));
    assert_eq!(bars(&onnx), bars(&isolated), "isolation changes no number");
    let (faer, onnx) = (faer["bars"].as_array().unwrap(), onnx["bars"].as_array().unwrap());
    assert!(faer.len() > 1 && faer.len() == onnx.len(), "{faer:#?} {onnx:#?}");
    let mut compared = 0;
    for (found, wanted) in onnx.iter().zip(faer) {
        assert_eq!(found["death_kind"], wanted["death_kind"]);
        let apart = |key: &str| (found[key].as_f64().unwrap() - wanted[key].as_f64().unwrap()).abs();
        // Points of gradient 1e-8 are right to its square; values differ by rounding.
        assert!(apart("birth") < 1e-12, "{found} {wanted}");
        // The top of a string that found no saddle lies where rounding led it.
        if found["death_kind"] == "verified saddle" {
            assert!(apart("death") < 1e-12, "{found} {wanted}");
            compared += 1;
        }
    }
    assert!(compared > 1);
}

/// `mpass check` on the file: nothing may be remarkable.
fn keeps_the_contract(library: &str, model: &str, only: &[&str]) {
    let (folder, plugin) = (folder(&format!("onnx-check-{}", model.len())), built::cdylib("mountainpass-onnx-so"));
    let option = format!("library={library}");
    let mut arguments = vec!["check", plugin.to_str().unwrap(), "--json", "--model", model, "--option", &option];
    arguments.extend(["--option", "data=digits", "--option", "limit=12", "--option", "l2=0.01"]);
    arguments.extend(only.iter().flat_map(|name| ["--only", name]));
    let ended = run(&folder, &arguments);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {ended:?}"));
    let tests = report["tests"].as_array().unwrap();
    let is_remarkable = |test: &&Value| !["pass", "skip"].contains(&test["verdict"].as_str().unwrap());
    // Rust ends the process when it gets no memory, which is worth a warning and cannot be helped on stable.
    let remarkable: Vec<&Value> =
        tests.iter().filter(is_remarkable).filter(|test| test["name"] != "memory.huge").collect();
    assert!(remarkable.is_empty(), "{model}: {remarkable:#?}");
    assert_eq!(ended.code, Some(0));
    assert_eq!(report["plugin"]["name"], "onnx");
}

#[test]
fn a_perceptron_keeps_the_contract() {
    let Some(library) = library() else { return };
    keeps_the_contract(&library, "mlp:64-3-10:tanh", &[]);
}

#[test]
fn images_with_batch_statistics_keep_what_they_promise_of_numbers() {
    let Some(library) = library() else { return };
    let only = ["value.answers", "value.neighbours", "gradient.batch", "hvp", "threads.workers"];
    keeps_the_contract(&library, "cnn:8x8x1-2-10:relu:batchnorm", &only);
}

#[test]
fn it_is_installed_once_and_where_it_is_is_printed() {
    let Some(library) = library() else { return };
    let folder = folder("onnx-install");
    let into = Path::new(&library).parent().unwrap().to_str().unwrap();
    let told = succeeds(&folder, &["onnxruntime", "install", "--dir", into]);
    assert_eq!(told.stdout.trim(), library);
}

/// Installing with this for python3, and for nothing where there is none.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn installed_by(name: &str, python: Option<&str>, flags: &[&str]) -> (Ended, bool) {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder(&format!("onnx-pip-{name}"));
    if let Some(script) = python {
        let path = file(&folder, "python3", format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = mpass(&folder, [&["onnxruntime", "install", "--dir", "into"], flags].concat());
    command.env("PATH", if python.is_some() { format!("{}:/usr/bin:/bin", folder.display()) } else { String::new() });
    (end(command), folder.join("into").exists())
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn what_pip_does_not_fetch_or_fetches_of_others_is_refused_and_nothing_is_left() {
    let refuses = "echo 'ERROR: No matching distribution found' >&2; exit 1";
    let fetches =
        "while [ $# -gt 0 ]; do [ \"$1\" = --dest ] && mkdir -p \"$2\" && echo else > \"$2/a.whl\"; shift; done";
    for (flags, package) in [(&[][..], "onnxruntime"), (&["--gpu"][..], "onnxruntime-gpu")] {
        for (name, python, wanted) in [
            ("none", None, "python3 is not installed: it fetches ONNX Runtime, by pip".to_owned()),
            (
                "refuses",
                Some(refuses),
                format!("python3 could not fetch {package}==1.28.0: ERROR: No matching distribution found"),
            ),
            ("others", Some(fetches), format!("{package} 1.28.0 has the SHA-256 ")),
        ] {
            let (ended, is_there) = installed_by(&format!("{name}-{package}"), python, flags);
            assert!(ended.code == Some(2) && ended.stderr.contains(&wanted), "{name}: {ended:?}");
            assert!(!is_there, "{name}: {ended:?}");
        }
    }
}

#[test]
fn a_library_that_is_missing_or_another_is_an_error_with_the_command() {
    let (folder, plugin) = (folder("onnx-missing"), built::cdylib("mountainpass-onnx-so"));
    let told = |name: &str, library: &str| {
        file(&folder, name, digits(&format!("plugin = {plugin:?}"), &format!("library = {library:?}")));
        let ended = run(&folder, &["eval", name]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        ended.stderr
    };
    let missing = told("missing.toml", "no-such-file.so");
    assert!(missing.contains("no-such-file.so: cannot open shared object file"), "{missing}");
    assert!(missing.contains("Install it: mpass onnxruntime install"), "{missing}");
    let other = told("other.toml", plugin.to_str().unwrap());
    assert!(other.contains("not that of ONNX Runtime: mpass onnxruntime install installs it"), "{other}");
    file(&folder, "text.so", "no library");
    let text = told("text.toml", "text.so");
    assert!(text.contains("mpass onnxruntime install"), "{text}");
}

#[test]
fn options_of_the_device_are_read_before_anything_is_loaded() {
    let (folder, plugin) = (folder("onnx-options"), built::cdylib("mountainpass-onnx-so"));
    for (options, wanted) in [
        ("device = \"gpu\"", "option device: \"gpu\", expected cpu, or cuda:N"),
        ("device = \"cuda:x\"", "option device: \"cuda:x\", expected cpu, or cuda:N"),
        ("threads = 0", "option threads: 0, expected 1 to 1024"),
        ("tf32 = true", "option tf32: the CPU has no such type"),
    ] {
        file(&folder, "options.toml", digits(&format!("plugin = {plugin:?}"), options));
        let ended = run(&folder, &["eval", "options.toml"]);
        assert!(ended.code == Some(2) && ended.stderr.contains(wanted), "{ended:?}");
    }
}

/// The CPU's build has no CUDA: asked for, it fails in the provider's own words, and never computes elsewhere.
#[test]
fn a_device_that_is_not_there_is_the_providers_error() {
    let Some(library) = library() else { return };
    let (folder, plugin) = (folder("onnx-cuda"), built::cdylib("mountainpass-onnx-so"));
    let options = format!("library = {library:?}\ndevice = \"cuda:0\"");
    file(&folder, "cuda.toml", digits(&format!("plugin = {plugin:?}"), &options));
    let ended = run(&folder, &["eval", "cuda.toml"]);
    assert!(ended.code == Some(2) && ended.stderr.to_lowercase().contains("cuda"), "{ended:?}");
}
