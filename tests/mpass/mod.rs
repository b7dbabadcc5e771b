//! The command as a user meets it: the built binary, a folder of its own for each test, and what a run leaves there.
#![allow(dead_code)] // Every test that includes this module uses a part of it.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What a command came to.
#[derive(Debug)]
pub struct Ended {
    /// The exit status; `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// An empty folder for one test, below the target folder.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mpass").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Writes `<folder>/<name>` and returns its path.
pub fn file(folder: &Path, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// `mpass ARGUMENTS`, ready to run in `folder`.
pub fn mpass<S: AsRef<std::ffi::OsStr>>(folder: &Path, arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mpass"));
    command.args(arguments).current_dir(folder).env_remove("MPASS_BACKEND_PATH").env("COLUMNS", "100");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command to its end.
pub fn end(mut command: Command) -> Ended {
    ended(command.spawn().unwrap())
}

/// Waits for a started command.
pub fn ended(child: Child) -> Ended {
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// `mpass ARGUMENTS` in `folder`, to its end.
pub fn run(folder: &Path, arguments: &[&str]) -> Ended {
    end(mpass(folder, arguments))
}

/// Runs `mpass run`, which must succeed.
pub fn succeeds(folder: &Path, arguments: &[&str]) -> Ended {
    let ended = run(folder, arguments);
    assert_eq!(ended.code, Some(0), "{arguments:?}\n{}", ended.stderr);
    ended
}

/// The bytes of a file in a folder.
pub fn bytes(folder: &Path, name: &str) -> Vec<u8> {
    let path = folder.join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// `barcode.json` of a folder.
pub fn barcode(folder: &Path) -> Value {
    serde_json::from_slice(&bytes(folder, "barcode.json")).unwrap()
}

/// Birth and death; a half-line has none.
pub type Bar = (f64, Option<f64>);

/// Birth and death of every bar of a `barcode.json`.
pub fn bars(barcode: &Value) -> Vec<Bar> {
    let bars = barcode["bars"].as_array().unwrap();
    bars.iter().map(|bar| (bar["birth"].as_f64().unwrap(), bar["death"].as_f64())).collect()
}

/// Bars equal the known ones, in order of birth, deaths ascending between equal births.
pub fn assert_bars(barcode: &Value, known: &[Bar], tolerance: f64) {
    let mut found = bars(barcode);
    // Equal births differ in their last bits: round them before sorting.
    let key = |bar: &Bar| ((bar.0 * 1e6).round(), bar.1.unwrap_or(f64::INFINITY));
    found.sort_by(|a, b| key(a).partial_cmp(&key(b)).unwrap());
    let near = |a: f64, b: f64| (a - b).abs() < tolerance;
    let same = |(a, b): (&Bar, &Bar)| {
        near(a.0, b.0) && a.1.is_some() == b.1.is_some() && near(a.1.unwrap_or(0.0), b.1.unwrap_or(0.0))
    };
    assert!(found.len() == known.len() && found.iter().zip(known).all(same), "{found:?}, but {known:?} is known");
}

/// Every file of a folder with its bytes, sorted by name.
pub fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<(String, Vec<u8>)> = entries
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap_or_default()))
        .collect();
    files.sort();
    files
}
