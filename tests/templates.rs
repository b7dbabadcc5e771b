//! The templates of a backend, built as an author builds them: every conformance test passes, the run finds its barcode,
//! and what is handed over in memory is what is fitted.

mod built;
mod mpass;

use mountainpass::error::Error;
use mountainpass::loss::{Batch, Elements, Loss, NamedArray, OpenRequest, Registry};
use mountainpass::machine::pool::Pool;
use mountainpass::run::Cancel;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// A copy of a template's folder outside the tree, built there with `make`; returns the folder.
fn made(template: &str, name: &str) -> PathBuf {
    let folder = mpass::folder(name);
    for entry in std::fs::read_dir(built::root().join("plugins").join(template)).unwrap() {
        let path = entry.unwrap().path();
        let is_source = path.is_file() && path.extension().is_none_or(|end| end != "so");
        if is_source {
            std::fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
        }
    }
    built::run(&mut make(&folder));
    folder
}

/// `make` in a folder, with our headers and command, and no warning let through.
fn make(folder: &Path) -> Command {
    let strict = "FLAGS=-O1 -Wall -Wextra -Wpedantic -Wshadow -Werror";
    let mut make = Command::new("make");
    make.args([format!("C{strict}"), format!("CXX{strict}")]);
    make.arg(format!("INCLUDE={}", built::root().join("include").display()));
    make.arg(format!("MPASS={}", env!("CARGO_BIN_EXE_mpass"))).current_dir(folder);
    make
}

/// The Rust template, as Cargo builds it.
fn rust() -> PathBuf {
    built::cdylib("mountainpass-template")
}

/// Every conformance test runs, and passes or is skipped for a reason.
fn passes(plugin: &Path, folder: &Path) {
    let json =
        |arguments: &[&str]| -> Value { serde_json::from_str(&mpass::succeeds(folder, arguments).stdout).unwrap() };
    let listed = json(&["check", "--list", "--json"]);
    let checked = json(&["check", plugin.to_str().unwrap(), "--json", "--seed", "1"]);
    let tests = checked["tests"].as_array().unwrap();
    let verdict = |test: &&Value| test["verdict"] == "pass" || test["verdict"] == "skip" && test["reason"].is_string();
    let worse: Vec<&Value> = tests.iter().filter(|test| !verdict(test)).collect();
    assert!(worse.is_empty(), "{}: {worse:#?}", plugin.display());
    assert_eq!(tests.len(), listed["tests"].as_array().unwrap().len());
}

/// The number of finite bars that a run leaves in its folder, each of which dies at a verified saddle.
fn finite_bars(folder: &Path) -> usize {
    let barcode = mpass::barcode(folder);
    let bars = barcode["bars"].as_array().unwrap().iter();
    let finite: Vec<&Value> = bars.filter(|bar| !bar["death"].is_null() && bar["transit"] != true).collect();
    assert!(finite.iter().all(|bar| bar["death_kind"] == "verified saddle"), "{finite:#?}");
    finite.len()
}

#[test]
fn the_c_template_keeps_the_contract() {
    let folder = made("template-c", "template-c-check");
    passes(&folder.join("libmpass_mine.so"), &folder);
}

#[test]
fn the_cpp_template_keeps_the_contract() {
    let folder = made("template-cpp", "template-cpp-check");
    passes(&folder.join("libmpass_mine.so"), &folder);
}

#[test]
fn the_rust_template_keeps_the_contract() {
    passes(&rust(), &mpass::folder("template-rust-check"));
}

/// What each declares it reads, and its default is what it takes without.
#[test]
fn the_templates_declare_their_options() {
    let [c, cpp] = ["template-c", "template-cpp"].map(|name| made(name, &format!("{name}-options")));
    for (plugin, declared) in [
        (c.join("libmpass_mine.so"), &["l2"][..]),
        (cpp.join("libmpass_mine.so"), &["n", "coupling", "tilt"]),
        (rust(), &["units", "l2"]),
    ] {
        let registry = Registry::new();
        registry.load(&plugin).unwrap();
        let options = registry.options("mine").unwrap();
        assert_eq!(options.iter().map(|option| option.name.as_str()).collect::<Vec<_>>(), declared);
        for option in options {
            let given = vec![(option.name, option.default.unwrap())];
            let mut losses_of = [OpenRequest { options: given, ..OpenRequest::default() }, OpenRequest::default()]
                .map(|request| open(&plugin, &request).unwrap());
            let theta = vec![0.5; losses_of[1].info().params];
            let [with, without] = losses_of.each_mut().map(|loss| losses(&mut **loss, &theta, None));
            assert_eq!(with, without);
        }
    }
}

/// What the sdk and the C template promise, that one loss answers many threads at once, is looked at.
#[test]
fn the_templates_that_claim_many_answer_many_threads() {
    let folder = made("template-c", "template-c-threads");
    for plugin in [rust(), folder.join("libmpass_mine.so")] {
        let arguments = ["check", plugin.to_str().unwrap(), "--json", "--only", "threads"];
        let checked: Value = serde_json::from_str(&mpass::succeeds(&folder, &arguments).stdout).unwrap();
        let tests = checked["tests"].as_array().unwrap();
        for test in tests {
            // Nothing is left out for want of a claim; a machine that has no two cores to spare is another matter.
            let busy = test["reason"].as_str().is_some_and(|reason| reason.contains("too busy"));
            assert!(test["verdict"] == "pass" || busy, "{}: {test}", plugin.display());
        }
        assert!(tests.iter().any(|test| test["name"] == "threads.calls"), "{tests:?}");
    }
}

/// What the page says of a loss without data, done to the C template.
#[test]
fn the_c_template_without_data_keeps_the_contract() {
    let folder = made("template-c", "template-c-no-data");
    let mut text = std::fs::read_to_string(folder.join("mine.c")).unwrap();
    for (from, to) in [("m->info.samples = t.shape[0]", "m->info.samples = 0"), ("MPASS_CAP_MINIBATCH | ", "")] {
        assert!(text.contains(from));
        text = text.replace(from, to);
    }
    mpass::file(&folder, "mine.c", text);
    built::run(make(&folder).arg("-B"));
    passes(&folder.join("libmpass_mine.so"), &folder);
}

#[test]
fn make_run_computes_a_barcode() {
    for (template, bars) in [("template-c", 7), ("template-cpp", 7)] {
        let folder = made(template, &format!("{template}-run"));
        built::run(make(&folder).arg("run"));
        built::run(make(&folder).arg("run")); // The loss may be a new one: nothing is "already complete".
        assert_eq!(finite_bars(&folder.join("mine")), bars, "{template}");
    }
}

#[test]
fn the_rust_template_runs() {
    let folder = mpass::folder("template-rust-run");
    let text = std::fs::read_to_string(built::root().join("plugins/template-rust/mine.toml")).unwrap();
    let in_tree = "../../target/release/libmpass_mine.so";
    assert!(text.contains(in_tree));
    mpass::file(&folder, "mine.toml", text.replace(in_tree, rust().to_str().unwrap()));
    mpass::succeeds(&folder, &["run", "mine.toml"]);
    assert_eq!(finite_bars(&folder.join("mine")), 2);
}

/// Without a word about headers, as `make` alone is typed in the tree.
#[test]
fn in_the_tree_make_finds_the_headers() {
    let folder = built::root().join("plugins/template-c");
    built::run(Command::new("make").args(["-B", "libmpass_mine.so"]).current_dir(&folder));
    assert!(folder.join("libmpass_mine.so").is_file());
}

fn open(plugin: &Path, request: &OpenRequest<'_>) -> Result<Box<dyn Loss>, Error> {
    let registry = Registry::new();
    registry.load(plugin).unwrap();
    registry.open("mine", request, Arc::new(Pool::new(2)))
}

fn losses(loss: &mut dyn Loss, theta: &[f64], ids: Option<&[u64]>) -> Vec<f64> {
    let n = theta.len() / loss.info().params;
    let (mut values, mut ok) = (vec![0.0; n], vec![false; n]);
    let cancel = Cancel::default();
    loss.eval(Batch { theta, ids, loss: &mut values, grad: None, hvp: None, ok: &mut ok, cancel: &cancel }).unwrap();
    assert!(ok.iter().all(|ok| *ok));
    values
}

fn array<'a>(name: &'a str, shape: &'a [u64], values: Elements<'a>) -> NamedArray<'a> {
    NamedArray { name, shape, values }
}

#[test]
fn points_handed_over_in_memory_replace_the_embedded_ones() {
    let c = made("template-c", "template-c-data").join("libmpass_mine.so");
    for (plugin, theta, of) in [
        // a sin(w t) at (2, 3), and a tanh(b t + c) twice at (2, 3, 0.5) and (1, 0, 0).
        (c, vec![2.0, 3.0], (|t| 2.0 * (3.0 * t).sin()) as fn(f64) -> f64),
        (rust(), vec![2.0, 3.0, 0.5, 1.0, 0.0, 0.0], |t| 2.0 * (3.0 * t + 0.5).tanh()),
    ] {
        let (t, y) = ([0.5, -1.0, 2.0], [0.25_f32, 1.5, -0.75]);
        let data = vec![array("t", &[3], Elements::F64(&t)), array("y", &[3], Elements::F32(&y))];
        let options = vec![("l2".into(), "0.25".into())];
        let mut loss = open(&plugin, &OpenRequest { data, options, ..OpenRequest::default() }).unwrap();
        assert_eq!(loss.info().samples, 3);
        let square = theta.iter().map(|x| x * x).sum::<f64>();
        let each: Vec<f64> = t.iter().zip(y).map(|(&t, y)| (of(t) - f64::from(y)).powi(2) + 0.25 * square).collect();
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-13 * b.abs(), "{a}, but {b}"); // Orders of addition.
        near(losses(&mut *loss, &theta, None)[0], each.iter().sum::<f64>() / 3.0);
        near(losses(&mut *loss, &theta, Some(&[2, 0, 2]))[0], (2.0 * each[2] + each[0]) / 3.0);

        let refused = |data: Vec<NamedArray<'_>>| {
            open(&plugin, &OpenRequest { data, ..OpenRequest::default() }).err().unwrap().to_string()
        };
        assert!(refused(vec![array("x", &[3], Elements::F64(&t))]).contains("\"x\""));
        assert!(refused(vec![array("t", &[3], Elements::F64(&t))]).contains("3 t and 24 y"));
    }
}
