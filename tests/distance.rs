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
    assert_eq!(lines[3], "degree 0: (1, 7) of B, which stays alone, decides");
    assert_eq!(lines[4], "degree 1: 1 half-line cannot be matched with 0: the distance is infinite");
    let order_2 = ["distance", "a.json", "b.pers", "--metric", "wasserstein", "--order", "2", "--json"];
    let found = json(&folder, &order_2);
    // One half-line by 1/2, and two bars that are nearer to the diagonal than to one another.
    assert_eq!(found["degrees"][0]["distance"], (0.25_f64 + 1.0 + 9.0).sqrt());
    assert_eq!((&found["degrees"][1]["distance"], &found["order"]), (&Value::Null, &Value::from(2.0)));
    let other = json(&folder, &["distance", "a.json", "b.pers", "--degree", "7", "--json"]);
    assert_eq!((other["degrees"].as_array().unwrap().len(), &other["degrees"][0]["distance"]), (1, &Value::from(0.0)));
    assert_eq!(other["degrees"][0]["reason"], "neither has a bar of this degree");
}

#[test]
fn the_matching_is_written_and_the_deciding_pair_told() {
    let folder = folder("matching");
    file(&folder, "a.pers", "0 0 inf\n0 1 3\n0 5 5.5\n0 2 2\n");
    file(&folder, "b.csv", "degree,birth,death\n0,1,4.5\n0,0.25,inf\n");
    for (metric, decides) in [("bottleneck", true), ("wasserstein", false)] {
        let arguments = ["distance", "a.pers", "b.csv", "--metric", metric, "--matching", "m.csv"];
        let table = succeeds(&folder, &arguments).stdout;
        let rows = "degree,a,b,cost,birth_a,death_a,birth_b,death_b\n\
                    0,0,1,0.25,0,inf,0.25,inf\n0,1,0,1.5,1,3,1,4.5\n0,2,-1,0.25,5,5.5,,\n";
        assert_eq!(String::from_utf8(bytes(&folder, "m.csv")).unwrap(), rows);
        assert_eq!(table.contains("degree 0: (1, 3) of A and (1, 4.5) of B decide"), decides, "{table}");
    }
    let found = json(&folder, &["distance", "a.pers", "b.csv", "--json"]);
    assert_eq!(found["degrees"][0]["decides"], serde_json::json!({ "a": [1.0, 3.0], "b": [1.0, 4.5] }));
    let alone = json(&folder, &["distance", "a.pers", "b.csv", "--internal-p", "1", "--half-lines", "drop", "--json"]);
    assert_eq!((&alone["ground"], &alone["degrees"][0]["distance"]), (&Value::from("sum"), &Value::from(1.5)));
    let ended = run(&folder, &["distance", "a.pers", "b.csv", "--matching", "./a.pers"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
}

#[test]
fn half_lines_may_be_cut_or_left_out() {
    let folder = folder("half-lines");
    file(&folder, "a.pers", "0 0 inf\n0 1 inf\n");
    file(&folder, "b.pers", "0 0 inf\n0 4 9\n");
    let of = |how: &[&str]| {
        let found =
            json(&folder, &[&["distance", "a.pers", "b.pers", "--metric", "wasserstein", "--json"], how].concat());
        found["degrees"][0]["distance"].as_f64()
    };
    // (0, 9) and (1, 9) to (0, 9) and (4, 9): 3; without them (4, 9) alone.
    assert_eq!([of(&[]), of(&["--half-lines", "cut=9"]), of(&["--half-lines", "drop"])], [None, Some(3.0), Some(2.5)]);
    let ended = run(&folder, &["distance", "a.pers", "b.pers", "--half-lines", "cut=inf"]);
    assert!(
        ended.code == Some(2) && ended.stderr.contains("cut=VALUE with a finite value, or drop"),
        "{}",
        ended.stderr
    );
}

#[test]
fn more_than_two_barcodes_make_a_symmetric_table() {
    use mountainpass::npy;
    let folder = folder("table");
    file(&folder, "a.pers", "0 0 4\n");
    file(&folder, "b.csv", "0,1,4\n");
    file(&folder, "c.npy", npy::bytes(&npy::Array { shape: vec![1, 2], values: vec![0.0, 1.7e308].into() }));
    let table = succeeds(&folder, &["distance", "a.pers", "b.csv", "c.npy"]).stdout;
    let words: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0], ["degree", "0:", "bottleneck"], "{table}");
    assert_eq!(words[2], ["1", "0", "1", "8.5e307", "a.pers"], "{table}");
    assert_eq!(words[3], ["2", "1", "0", "8.5e307", "b.csv"], "{table}");
    let found =
        json(&folder, &["distance", "a.pers", "b.csv", "c.npy", "--metric", "wasserstein", "--order", "2", "--json"]);
    let degree = &found["degrees"][0];
    assert_eq!((&degree["distances"][0][1], &degree["distances"][1][0]), (&Value::from(1.0), &Value::from(1.0)));
    assert_eq!((&found["files"][2], &degree["exact"]), (&Value::from("c.npy"), &Value::from(true)));
    let ended = run(&folder, &["distance", "a.pers", "b.csv", "c.npy", "--matching", "m.csv"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(2), "mpass: --matching is of two barcodes, not of more\n"));
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
    let made = |construction: &str, most: u32| {
        OURS.replace(r#""space""#, &format!(r#""construction": "{construction}", "max_degree": {most}, "space""#))
    };
    file(&folder, "v.json", made("V", 1));
    file(&folder, "t.json", made("T", 1));
    file(&folder, "cut.json", made("V", 0));
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
        (vec!["distance", "t.json", "v.json"], "one barcode is of construction T, the other of V"),
        (vec!["distance", "v.json", "cut.json"], "one barcode goes up to degree 1, the other to 0"),
        (vec!["distance", "v.json", "cut.json", "--degree", "1"], "--degree 1: cut.json goes up to degree 0"),
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
