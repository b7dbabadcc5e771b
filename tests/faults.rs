//! A run whose disk fails, or that is killed, at any of its calls and at any instant: nothing that was found is lost,
//! and what goes on ends in the bytes of a run that nothing stopped.
#![cfg(all(feature = "cli", feature = "surfaces", target_os = "linux"))]

mod built;
mod mpass;

use mpass::{Ended, bytes, contents, file, folder, mpass, succeeds};
use rand::{Rng, SeedableRng};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Minima, copies of them, way-stations, a verified saddle: all that is kept, in some milliseconds.
const CAMEL: &str = "[loss]\nbackend = \"surfaces\"\nmodel = \"three-hump-camel\"\n[minima]\nstarts = 4\n";

/// A library to preload, which makes calls fail.
fn injector() -> PathBuf {
    let library = built::folder("faults").join("injector.so");
    let mut cc = Command::new(std::env::var_os("CC").unwrap_or("cc".into()));
    cc.args(["-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC"]);
    built::run(cc.arg(built::root().join("tests/faults/injector.c")).arg("-o").arg(&library).arg("-ldl"));
    library
}

/// Runs the camel into `out`, with a fault at one of the calls that change a file there.
fn faulty(folder: &Path, injector: &Path, fault: &str, at: u64) -> Ended {
    let mut command = mpass(folder, ["run", "run.toml", "--out", "out", "--threads", "1"]);
    command.env("LD_PRELOAD", injector).env("FAULT_IN", folder.join("out")).env("FAULT", fault);
    command.env("FAULT_AT", at.to_string()).env("FAULT_COUNT", folder.join("count"));
    mpass::end(command)
}

/// An empty folder with the camel, and the barcode of a run that nothing stopped.
fn camel(name: &str) -> (PathBuf, Vec<u8>) {
    let folder = folder(name);
    file(&folder, "run.toml", CAMEL);
    succeeds(&folder, &["run", "run.toml", "--out", "whole"]);
    let expected = bytes(&folder.join("whole"), "barcode.json");
    (folder, expected)
}

/// Goes on with whatever is left in `out`, which must end well and whole.
fn goes_on(folder: &Path, expected: &[u8], after: &str) {
    let ended = mpass::run(folder, &["run", "run.toml", "--out", "out", "--resume", "--threads", "1"]);
    assert_eq!(ended.code, Some(0), "{after}: {}", ended.stderr);
    let out = folder.join("out");
    assert!(bytes(&out, "barcode.json") == expected, "{after}");
    let names: Vec<String> = contents(&out).into_iter().map(|(name, _)| name).collect();
    let whole: Vec<String> = contents(&folder.join("whole")).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, whole, "{after}");
    std::fs::remove_dir_all(&out).unwrap();
}

#[test]
fn a_run_that_fails_at_any_call_goes_on() {
    let (folder, expected) = camel("faults-calls");
    let injector = injector();
    let ended = faulty(&folder, &injector, "none", 0);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    std::fs::remove_dir_all(folder.join("out")).unwrap();
    let calls: u64 = String::from_utf8(bytes(&folder, "count")).unwrap().trim().parse().unwrap();
    assert!(calls > 50, "only {calls} calls were seen");
    for at in 1..=calls {
        // Every call kills; the other faults take turns.
        let other = ["torn", "eio", "enospc", "short"][at as usize % 4];
        for fault in ["kill", other] {
            let ended = faulty(&folder, &injector, fault, at);
            let after = format!("{fault} at call {at} of {calls}");
            match ended.code {
                None => {}
                Some(0) => {}
                Some(1 | 2) => {
                    let last = ended.stderr.lines().last().unwrap_or_default();
                    assert!(last.starts_with("mpass: ") && !last.contains("internal error"), "{after}: {last}");
                }
                other => panic!("{after}: {other:?} {}", ended.stderr),
            }
            goes_on(&folder, &expected, &after);
        }
    }
}

#[test]
fn a_run_killed_at_any_instant_goes_on() {
    let (folder, expected) = camel("faults-instants");
    let seed: u64 = std::env::var("MPASS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(26);
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    // About as long as a run takes: shortened where one ends before it is killed, lengthened where not.
    let (mut span, mut kills) = (0.05, 0);
    for round in 0..2000 {
        // Some are killed again while they go on.
        for _ in 0..1 + round % 2 {
            let instant = span * f64::from(random.next_u32()) / f64::from(u32::MAX);
            let mut command = mpass(&folder, ["run", "run.toml", "--out", "out", "--resume", "--threads", "1"]);
            let mut child = command.spawn().unwrap();
            std::thread::sleep(Duration::from_secs_f64(instant));
            child.kill().unwrap();
            let killed = child.wait().unwrap().code().is_none();
            span *= if killed { 1.05 } else { 0.8 };
            kills += u32::from(killed);
        }
        goes_on(&folder, &expected, &format!("seed {seed}, round {round}"));
        if kills >= 200 {
            return;
        }
    }
    panic!("only {kills} runs were killed before they ended");
}
