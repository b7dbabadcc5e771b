//! `mpass run` and `mpass show` from outside: known barcodes, the files that are left, the same bytes again.
#![cfg(all(feature = "cli", feature = "faer", feature = "surfaces"))]

mod built;
mod mpass;

use mpass::{assert_bars, bars, bytes, contents, file, folder, run, succeeds};
use std::path::Path;

/// Runs `examples/<name>.toml` into a folder of its own and returns its `barcode.json`.
fn example(name: &str) -> serde_json::Value {
    let folder = folder(name);
    let config = built::root().join("examples").join(format!("{name}.toml"));
    succeeds(&folder, &["run", config.to_str().unwrap(), "--out", "out"]);
    mpass::barcode(&folder.join("out"))
}

/// The known answers (docs/mathematics.md#known-answers) to 1e-6: the camel's are given to ten digits, the paths find
/// 1e-9 or better.
#[test]
fn the_examples_with_known_barcodes_have_them() {
    let pass = Some(0.877_361_557_8);
    assert_bars(&example("three-hump-camel"), &[(0.0, None), (0.298_638_442_2, pass), (0.298_638_442_2, pass)], 1e-6);
    let (deep, middle, shallow) = (-146.699_517_209_954, -108.166_724_116_852_4, -80.767_818_129_659_03);
    let (low, high) = (-72.248_940_112_325_23, -40.664_843_508_657_4);
    assert_bars(&example("mueller-brown"), &[(deep, None), (middle, Some(high)), (shallow, Some(low))], 1e-6);
    let passes = [13.311_926_270_405_59, 67.719_150_087_526_13, 104.015_162_917_558_1].map(Some);
    assert_bars(&example("himmelblau"), &[(0.0, passes[0]), (0.0, passes[1]), (0.0, passes[2]), (0.0, None)], 1e-6);
}

/// Energies of an enumeration of all critical points of its own: see `backends/surfaces/src/lennard_jones.rs`.
#[test]
fn seven_atoms_have_four_minima_and_three_bars_on_any_number_of_threads() {
    let known = [
        (-16.505_384_168_012, None),
        (-15.935_043_060_489, Some(-15.444_733_799_819)),
        (-15.593_210_938_193, Some(-15.319_864_440_861)),
        (-15.533_060_054_575, Some(-15.283_421_275_350)),
    ];
    assert_bars(&example("lj7"), &known, 1e-9); // The energies are printed to twelve decimals.
    let folder = folder("lj7-threads");
    let config = built::root().join("examples/lj7.toml");
    for threads in ["1", "3"] {
        succeeds(&folder, &["run", config.to_str().unwrap(), "--threads", threads, "--out", threads]);
    }
    assert_same_results(&folder.join("1"), &folder.join("3"));
}

#[test]
fn copies_a_period_apart_are_one_minimum() {
    assert_eq!(bars(&example("torus")).len(), 1);
    assert_bars(&example("torus"), &[(-2.0, None)], 1e-12); // The loss is flat to second order there.
}

const CAMEL: &str = "[loss]\nbackend = \"surfaces\"\nmodel = \"three-hump-camel\"\n[minima]\nstarts = 24\n";
/// Small enough for a second, large enough for way-stations, symmetric copies and several tiles of work.
const DIGITS: &str = "[loss]\nbackend = \"faer\"\nmodel = \"mlp:64-2-10:tanh\"\ndata = \"digits\"\nlimit = 100\nl2 = 1e-2\n\
                      [minima]\nstarts = 3\n[paths]\nvisits = 4\n";

#[test]
fn a_run_writes_every_file_and_a_second_one_changes_none() {
    let folder = folder("files");
    file(&folder, "camel.toml", CAMEL);
    let first = succeeds(&folder, &["run", "camel.toml"]);
    let out = folder.join("camel"); // The configuration's name, beside it.
    let left = contents(&out);
    let names: Vec<&str> = left.iter().map(|(name, _)| name.as_str()).collect();
    let promised = [
        "barcode.csv",
        "barcode.json",
        "barcode.svg",
        "landscape.sqlite",
        "pairs.csv",
        "paths.svg",
        "report.html",
        "summary.json",
        "tree.svg",
    ];
    assert_eq!(names, promised);
    assert!(left.iter().all(|(name, bytes)| !bytes.is_empty() || panic!("{name} is empty")));
    assert!(first.stderr.ends_with("written to camel\n"), "{}", first.stderr);

    for arguments in [&["run", "camel.toml"][..], &["run", "camel.toml", "--resume", "--threads", "1"]] {
        let second = succeeds(&folder, arguments);
        assert_eq!((second.stderr.as_str(), &second.stdout), ("already complete: camel\n", &first.stdout));
        assert!(contents(&out) == left, "{arguments:?} changed a file");
    }
    // What is missing of a complete run's report is written again.
    std::fs::remove_file(out.join("report.html")).unwrap();
    succeeds(&folder, &["run", "camel.toml"]);
    assert!(contents(&out) == left);

    let json = succeeds(&folder, &["show", "camel", "--json"]);
    assert_eq!(json.stdout.as_bytes(), bytes(&out, "barcode.json"));
    assert_eq!(succeeds(&folder, &["show", "camel/landscape.sqlite"]).stdout, first.stdout);
    assert!(contents(&out) == left, "show changed a file");
    succeeds(&folder, &["run", "camel.toml", "--force"]);
    assert_eq!(bytes(&out, "barcode.json"), json.stdout.as_bytes());
}

/// The files that carry neither a time nor a machine.
fn assert_same_results(a: &Path, b: &Path) {
    for name in ["barcode.json", "barcode.csv", "pairs.csv", "barcode.svg", "tree.svg", "paths.svg", "report.html"] {
        assert!(bytes(a, name) == bytes(b, name), "{name} differs between {} and {}", a.display(), b.display());
    }
}

#[test]
fn threads_change_no_byte() {
    let folder = folder("threads");
    file(&folder, "digits.toml", DIGITS);
    for threads in ["1", "2"] {
        succeeds(&folder, &["run", "digits.toml", "--threads", threads, "--out", threads]);
    }
    let [one, two] = ["1", "2"].map(|name| folder.join(name));
    assert!(bars(&mpass::barcode(&one)).len() > 1, "nothing was compared");
    assert_same_results(&one, &two);
    let show = |out: &str| succeeds(&folder, &["show", out, "--json"]).stdout;
    assert_eq!(show("1"), show("2"));
}

#[test]
fn a_linked_backend_and_the_same_one_from_a_file_give_the_same_bytes() {
    let folder = folder("from-a-file");
    let plugin = built::cdylib("mountainpass-faer-so");
    file(&folder, "linked.toml", DIGITS);
    file(&folder, "loaded.toml", DIGITS.replace("[loss]", &format!("[loss]\nplugin = {plugin:?}")));
    succeeds(&folder, &["run", "linked.toml"]);
    succeeds(&folder, &["run", "loaded.toml"]);
    let [mut linked, mut loaded] = ["linked", "loaded"].map(|name| mpass::barcode(&folder.join(name)));
    // The configurations differ, and so do their hashes; nothing else may.
    let hash = |json: &mut serde_json::Value| json["provenance"]["config_hash"].take();
    assert_ne!(hash(&mut linked), hash(&mut loaded));
    assert_eq!(linked, loaded);
    assert_eq!(bytes(&folder.join("linked"), "barcode.csv"), bytes(&folder.join("loaded"), "barcode.csv"));
}

#[test]
fn a_plugin_in_c_has_the_barcode_of_its_closed_form() {
    let folder = folder("quad-well");
    built::c_plugin("quad_well.c", &[], &folder, "mine");
    let config = "[loss]\nplugin = \"./mine.so\"\nmodel = \"double-well\"\noptions = { n = 3 }\n";
    file(&folder, "well.toml", config);
    succeeds(&folder, &["run", "well.toml"]);
    // (x^2 - 1)^2 + y^2 + z^2: minima of 0 at x = -1 and 1, the pass of 1 at 0.
    assert_bars(&mpass::barcode(&folder.join("well")), &[(0.0, Some(1.0)), (0.0, None)], 1e-9);
    let listed = succeeds(&folder, &["backends", "--load", "mine.so"]).stdout;
    let backends: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(backends, ["faer", "quad-well", "surfaces"]);
}

#[test]
fn a_start_that_is_not_finite_is_reported_and_fails_no_other() {
    let folder = folder("hole");
    // Not a number where x > 1.5: an eighth of the box.
    built::c_plugin("quad_well.c", &["HOLE=1.5"], &folder, "hole");
    file(&folder, "hole.toml", "[loss]\nplugin = \"hole.so\"\nmodel = \"double-well\"\n[minima]\nstarts = 24\n");
    let ended = succeeds(&folder, &["run", "hole.toml"]);
    let skipped = ended.stderr.lines().filter(|l| l.ends_with(": the loss is not finite there; skipped")).count();
    assert!((1..24).contains(&skipped), "{}", ended.stderr);
    assert_bars(&mpass::barcode(&folder.join("hole")), &[(0.0, Some(1.0)), (0.0, None)], 1e-9);
    let summary: serde_json::Value = serde_json::from_slice(&bytes(&folder.join("hole"), "summary.json")).unwrap();
    assert_eq!((&summary["failed"], &summary["minima"]), (&skipped.into(), &2.into()));
}

#[test]
fn where_every_start_fails_nothing_is_pretended() {
    let folder = folder("no-minimum");
    built::c_plugin("quad_well.c", &["HOLE=-3"], &folder, "void");
    file(&folder, "void.toml", "[loss]\nplugin = \"void.so\"\nmodel = \"double-well\"\n[minima]\nstarts = 3\n");
    for arguments in [&["run", "void.toml"][..], &["run", "void.toml", "--resume"]] {
        let ended = run(&folder, arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{}", ended.stderr);
        let last = ended.stderr.lines().last().unwrap();
        assert_eq!(last, "mpass: no minimum found: of 3 starts 0 left the domain and 3 were not finite");
        let left = contents(&folder.join("void"));
        assert_eq!(left.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["landscape.sqlite"]);
    }
}

#[test]
fn a_reader_that_goes_away_stops_no_run() {
    let folder = folder("no-reader");
    file(&folder, "camel.toml", CAMEL);
    let mut child = mpass::mpass(&folder, ["run", "camel.toml"]).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take())); // `mpass run camel.toml 2>&1 | head -0`
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(folder.join("camel/report.html").exists());
}
