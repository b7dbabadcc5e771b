//! `mpass distance` and `mpass export` as a user meets them.
#![cfg(feature = "cli")]

mod mpass;

use mpass::{bytes, file, folder, run, succeeds};
use serde_json::Value;

const OURS: &str = r#"{ "format": "mountainpass.barcode", "version": 1, "space": "raw", "coefficients": "Z/2", "bars": [
  { "degree": 0, "birth": 0.0, "death": null, "birth_cell": 0, "death_cell": null, "death_kind": null },
  { "degree": 0, "birth": 1.0, "death": 3.0, "birth_cell": 1, "death_cell": 2, "death_kind": "cell" },
  { "degree": 0, "birth": 9.0, "death": 99.0, "birth_cell": 5, "death_cell": 6, "death_kind": "path maximum", "transit": true },
  { "degree": 1, "birth": 3.5, "death": null, "birth_cell": 3, "death_cell": null, "death_kind": null } ] }"#;

fn json(folder: &std::path::Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&succeeds(folder, arguments).stdout).unwrap()
}

#[test]
fn the_three_formats_of_one_barcode_are_at_distance_zero() {
    let folder = folder("formats");
    file(&folder, "barcode.json", OURS);
    succeeds(&folder, &["export", "barcode.json", "--to", "a.pers"]);
    assert_eq!(bytes(&folder, "a.pers"), b"0 0 inf\n0 1 3\n1 3.5 inf\n", "way-stations are left out");
    succeeds(&folder, &["export", "a.pers", "--to", "a.dipha"]);
    succeeds(&folder, &["export", "a.dipha", "--to", "b.pers"]);
    assert_eq!(bytes(&folder, "a.pers"), bytes(&folder, "b.pers"));
    for other in [".", "a.pers", "a.dipha"] {
        for metric in ["bottleneck", "wasserstein"] {
            let found = json(&folder, &["distance", "barcode.json", other, "--metric", metric, "--json"]);
            let degrees = found["degrees"].as_array().unwrap();
            assert_eq!(degrees.len(), 2);
            assert!(degrees.iter().all(|d| d["distance"] == 0.0 && d["exact"] == true), "{found}");
        }
    }
}

#[test]
fn distances_are_told_degree_by_degree_and_infinity_with_its_reason() {
    let folder = folder("told");
    file(&folder, "a.json", OURS);
    file(&folder, "b.pers", "0 0.5 inf\n0 1 7\n");
    let table = succeeds(&folder, &["distance", "a.json", "b.pers"]).stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[1].split_whitespace().collect::<Vec<_>>(), ["0", "1", "1", "1", "1", "3"], "{table}");
    assert_eq!(lines[2].split_whitespace().collect::<Vec<_>>(), ["1", "0", "0", "1", "0", "inf"], "{table}");
    assert_eq!(lines[3], "degree 1: 1 half-line cannot be matched with 0: the distance is infinite");
    let order_2 = ["distance", "a.json", "b.pers", "--metric", "wasserstein", "--order", "2", "--json"];
    let found = json(&folder, &order_2);
    // One half-line by 1/2, and two bars that are nearer to the diagonal than to one another.
    assert_eq!(found["degrees"][0]["distance"], (0.25_f64 + 1.0 + 9.0).sqrt());
    assert_eq!((&found["degrees"][1]["distance"], &found["order"]), (&Value::Null, &Value::from(2.0)));
    let other = json(&folder, &["distance", "a.json", "b.pers", "--degree", "7", "--json"]);
    assert_eq!((other["degrees"].as_array().unwrap().len(), &other["degrees"][0]["distance"]), (1, &Value::from(0.0)));
}

#[test]
fn above_the_exact_size_the_error_is_stated_and_kept() {
    let folder = folder("stated");
    let bars = |step: u64| -> String {
        let bar = |i: u64| (i * step % 10_007, 1 + i * i % step % 997);
        (0..10_100).map(bar).map(|(birth, length)| format!("0 {birth} {}\n", birth + length)).collect()
    };
    file(&folder, "a.pers", bars(5_003));
    file(&folder, "b.pers", bars(7_919));
    let of = |more: &[&str]| {
        let arguments = [&["distance", "a.pers", "b.pers", "--metric", "wasserstein", "--json"][..], more].concat();
        let degree = json(&folder, &arguments)["degrees"][0].clone();
        (degree["distance"].as_f64().unwrap(), degree["lower_bound"].as_f64().unwrap(), degree["exact"] == true)
    };
    let ((exact, _, is_exact), (value, lower, _)) = (of(&["--relative-error", "0"]), of(&[]));
    assert!(is_exact && lower <= exact && exact <= value && value <= 1.01 * lower, "{lower} {exact} {value}");
    let table = succeeds(&folder, &["distance", "a.pers", "b.pers", "--metric", "wasserstein"]).stdout;
    assert!(table.contains(" % above the distance, which is at least "), "{table}");
}

#[test]
fn bad_input_is_one_line_and_exit_status_2() {
    let folder = folder("bad-distance");
    file(&folder, "a.pers", "0 1 2\n");
    file(&folder, "up.pers", "0 2 1\n");
    file(&folder, "nan.pers", "0 nan 1\n");
    file(&folder, "minus.json", OURS.replace("\"death\": 3.0", "\"death\": 0.5"));
    file(&folder, "huge.json", OURS.replace("\"death\": 3.0", "\"death\": 1e999"));
    file(&folder, "image.png", b"\x89PNG\r\n\x1a\n");
    let cut = [8_067_171_840_i64, 2, 5].iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    file(&folder, "cut.dipha", cut);
    let wasserstein = |order| vec!["distance", "a.pers", "a.pers", "--metric", "wasserstein", "--order", order];
    for (arguments, said) in [
        (vec!["distance", "a.pers", "up.pers"], "one barcode is of superlevel sets, the other of sublevel sets"),
        (vec!["distance", "a.pers", "nan.pers"], "nan.pers: line 1: a bar is born at NaN"),
        (
            vec!["distance", "minus.json", "a.pers"],
            "minus.json: a bar of sublevel sets dies at 0.5, before its birth at 1",
        ),
        (vec!["distance", "huge.json", "a.pers"], "huge.json: number out of range"),
        (vec!["distance", "image.png", "a.pers"], "image.png: is no barcode"),
        (vec!["distance", "a.pers", "cut.dipha"], "cut.dipha: is a DIPHA diagram of 5 bars in a file of 24 bytes"),
        (vec!["distance", "a.pers", "none.pers"], "none.pers: "),
        (vec!["distance", "a.pers", "a.pers", "--order", "2"], "--order and --relative-error belong to --metric"),
        (wasserstein("0.5"), "the order of a Wasserstein distance is from 1 to inf: 0.5 is not"),
        (wasserstein("nan"), "the order of a Wasserstein distance is from 1 to inf: NaN is not"),
        (vec!["export", "a.pers", "--to", "b.csv"], "--to b.csv: a barcode is written as .pers (GUDHI) or .dipha"),
        (vec!["export", "nan.pers", "--to", "b.pers"], "nan.pers: line 1: a bar is born at NaN"),
    ] {
        let ended = run(&folder, &arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", ended.stderr);
        assert!(
            ended.stderr.starts_with(&format!("mpass: {said}")) && ended.stderr.lines().count() == 1,
            "{}",
            ended.stderr
        );
    }
    assert!(!folder.join("b.pers").exists() && !folder.join("b.csv").exists());
}

#[test]
fn a_sampled_barcode_is_written_in_every_format_and_superlevel_bars_fall() {
    use mountainpass::npy;
    let folder = folder("sampled-formats");
    let values: Vec<f64> = vec![0.0, 3.0, 1.0, 4.0, -2.0, 0.5];
    file(&folder, "v.npy", npy::bytes(&npy::Array { shape: vec![6], values: values.into() }));
    let outputs = ["--json", "a.json", "--pers", "a.pers", "--dipha", "a.dipha"];
    succeeds(&folder, &[&["grid", "v.npy"][..], &outputs].concat());
    assert_eq!(bytes(&folder, "a.pers"), b"0 -2 inf\n0 0 4\n0 1 3\n");
    for other in ["a.pers", "a.dipha"] {
        let found = json(&folder, &["distance", "a.json", other, "--json"]);
        assert_eq!(
            (found["degrees"][0]["distance"].as_f64(), found["degrees"].as_array().unwrap().len()),
            (Some(0.0), 1)
        );
    }
    succeeds(&folder, &[&["grid", "v.npy", "--superlevel"][..], &outputs].concat());
    assert_eq!(bytes(&folder, "a.pers"), b"0 0.5 -2\n0 3 1\n0 4 -inf\n");
    for other in ["a.pers", "a.dipha"] {
        let found = json(&folder, &["distance", other, "a.json", "--metric", "wasserstein", "--json"]);
        assert_eq!(found["degrees"][0]["distance"], 0.0);
    }
    let ended = run(&folder, &["grid", "v.npy", "--pers", "none/a.pers"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{}", ended.stderr);
}
