//! C and C++ programs against `include/mountainpass.h` and the shared library, as an embedder builds them.

mod built;

use built::printed;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The shared library, built once.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(built::engine)
}

/// Compiles a program and links it with the library.
fn program(source: &str) -> PathBuf {
    built::linked(source, library())
}

/// The numbers of a line.
fn numbers(line: &str) -> Vec<f64> {
    line.split_whitespace().filter_map(|word| word.trim_end_matches(',').parse().ok()).collect()
}

fn assert_close(found: &[f64], known: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), known.len(), "{what}");
    for (a, b) in found.iter().zip(known) {
        assert!(a == b || (a - b).abs() < tolerance, "{what}: {a} where {b} is known");
    }
}

#[test]
fn two_lambdas_with_different_captures_have_their_own_barcodes() {
    let text = printed(&program("tests/capi/callbacks.cpp"), &[]);
    let lines: Vec<&str> = text.lines().collect();
    // k (x^4/4 - x^3/3 - x^2) + y^2 + floor with k = 1, floor = 0 and with k = 3, floor = 10.
    let known = [(1.0, 0.0, "shallow"), (3.0, 10.0, "deep")];
    for ((k, floor, name), lines) in known.into_iter().zip(lines.chunks(2)) {
        let (deep, shallow, pass) = (floor - 8.0 * k / 3.0, floor - 5.0 * k / 12.0, floor);
        assert!(lines.iter().all(|line| line.starts_with(name)), "{text}");
        // Births have a gradient below 1e-8; a death is bracketed to 1e-6 of its height above the birth.
        assert_close(&numbers(lines[0]), &[deep, f64::INFINITY], 1e-9, lines[0]);
        assert_close(&numbers(lines[1]), &[shallow, pass], 1e-5, lines[1]);
    }
    let rest = [
        "throws: 6 throws 1: eval: the framework is out of memory",
        "dropped 3",
        "stage lines",
        "stage minima",
        "stage paths",
    ];
    assert_eq!(lines[4..9], rest);
}

#[test]
fn what_a_landscape_and_a_barcode_tell_is_consistent() {
    let json = printed(&program("tests/capi/read.c"), &[]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["format"], "mountainpass.barcode");
    assert_eq!(
        (json["provenance"]["backend"].as_str(), json["provenance"]["seed"].as_u64()),
        (Some("well"), Some(100))
    );
    assert_eq!(json["bars"].as_array().unwrap().len(), 2);
}

#[test]
fn every_misuse_has_its_status_and_its_line() {
    let plugin = built::cdylib("mountainpass-surfaces-so");
    let text = printed(&program("tests/capi/misuse.c"), &[plugin.to_str().unwrap()]);
    assert_eq!(text, "every misuse answered\n");
}

#[test]
fn losses_of_one_engine_run_in_threads_of_their_own_and_stop_on_a_signal() {
    assert_eq!(printed(&program("tests/capi/threads.c"), &[]), "threads agree\n");
}

#[test]
fn every_slot_runs_on_the_thread_that_called_however_many_workers_there_are() {
    assert_eq!(printed(&program("tests/capi/caller_thread.cpp"), &[]), "13 slots ran on their callers' threads\n");
}

#[test]
fn a_registered_loss_is_asked_for_its_kinks() {
    assert_eq!(printed(&program("tests/capi/kinks.c"), &[]), "kinks were asked for\n");
}

#[test]
fn a_request_arrives_as_made_and_a_run_keeps_to_the_chosen_samples() {
    assert_eq!(printed(&program("tests/capi/samples.c"), &[]), "samples are as chosen\n");
}

#[cfg(all(feature = "cli", target_os = "linux"))]
#[test]
fn an_engine_that_isolates_outlives_a_plugin_that_crashes() {
    let plugin = built::c_plugin("hostile.c", &[], &built::folder("capi"), "hostile");
    let text = printed(&program("tests/capi/isolate.c"), &[env!("CARGO_BIN_EXE_mpass"), plugin.to_str().unwrap()]);
    let crash = "was killed by SIGSEGV, an access to memory that is not its own";
    let lines = [
        format!("hostile 1.0: eval: {crash}; its batch is repeated row by row in a fresh process"),
        format!("hostile 1.0: eval: row 1 of 2 is marked as not finite: {crash}, twice, at theta = 0.1, 1.75"),
    ];
    assert_eq!(text.lines().take(2).collect::<Vec<_>>(), lines);
}

#[test]
fn the_example_prints_the_known_barcode_of_a_backend_found_by_its_name() {
    let plugin = built::cdylib("mountainpass-surfaces-so");
    assert_eq!(plugin.parent(), library().parent(), "a backend is looked for beside the library");
    let example = program("examples/c/barcode.c");
    let text = printed(&example, &[]);
    // From the polynomial whose roots are the stationary points: see backends/surfaces.
    let known = [(0.0, f64::INFINITY), (0.298638, 0.877362), (0.298638, 0.877362)];
    assert_eq!(text.lines().count(), known.len(), "{text}");
    for (line, (birth, death)) in text.lines().zip(known) {
        assert_close(&numbers(line), &[birth, death], 2e-6, line); // Six decimals are printed.
    }
    let failed = Command::new(example).args(["surfaces", "three-hump-cammel"]).output().unwrap();
    let line = "open: unknown model \"three-hump-cammel\"; the nearest is \"three-hump-camel\"\n";
    let said = String::from_utf8(failed.stderr).unwrap();
    assert!(said.ends_with(line) && failed.status.code() == Some(1), "{said}");
}

#[test]
fn the_example_of_a_grid_prints_its_bars_and_basins() {
    let text = printed(&program("examples/c/grid.c"), &[]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "degree 0, born at -1.000 in (118, 0), dies at inf, basin of 7608 samples");
    let samples = |line: &&str| line.split_once("basin of ").map(|(_, rest)| numbers(rest)[0]);
    assert_eq!(lines.iter().filter_map(samples).sum::<f64>(), 200.0 * 300.0, "{text}");
    assert!(lines.iter().any(|line| line.starts_with("degree 1")), "{text}");
}

#[test]
fn every_misuse_of_a_sampled_function_has_its_status_and_its_line() {
    let binary = program("tests/capi/sampled_misuse.c");
    assert_eq!(printed(&binary, &[]), "every misuse answered\n");
    // Where valgrind is at hand it watches the same program.
    let valgrind = || Command::new("valgrind");
    if valgrind().arg("--version").output().is_ok_and(|output| output.status.success()) {
        // (What the standard library keeps of a thread is only possibly lost.)
        let leaks = ["--leak-check=full", "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"];
        let watched = valgrind().args(["-q", "--error-exitcode=9"]).args(leaks).arg(binary).output().unwrap();
        assert!(watched.status.success(), "{}", String::from_utf8_lossy(&watched.stderr));
    }
}

#[test]
fn the_library_exports_the_functions_of_the_header_and_nothing_else() {
    let nm = Command::new("nm").args(["-D", "--defined-only"]).arg(library()).output().unwrap();
    assert!(nm.status.success(), "{}", String::from_utf8_lossy(&nm.stderr));
    let nm = String::from_utf8(nm.stdout).unwrap();
    let exported: BTreeSet<&str> = nm.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    let header = std::fs::read_to_string(built::root().join("include/mountainpass.h")).unwrap();
    // Outside comments, a word before `(` is a function (hooks are in parentheses themselves).
    let code = built::code(&header);
    let before = code.match_indices('(').map(|(at, _)| &code[..at]);
    let word = |text: &'_ str| text.rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).map_or(0, |at| at + 1);
    let declared: BTreeSet<&str> =
        before.map(|text| &text[word(text)..]).filter(|name| name.starts_with("mpass_")).collect();
    assert!(declared.len() > 20, "{declared:?}");
    assert_eq!(exported, declared);
}
