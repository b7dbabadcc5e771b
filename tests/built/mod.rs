//! Shared libraries for tests: cdylib members of the workspace built by Cargo, and plugins in C.
//!
//! `cargo test` builds no cdylib member, so a test that loads one asks for it here and takes the path that Cargo
//! prints: no test guesses a path or takes a stale file.
#![allow(dead_code)] // Every test that includes this module uses a part of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder for what one test makes, below the target folder.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Builds a cdylib member with the running test's profile and target folder; returns its file.
pub fn cdylib(package: &str) -> PathBuf {
    shared_library(&["build", "-p", package])
}

/// Builds libmountainpass.so, what C programs link, without the parts they do not use; returns its file.
pub fn engine() -> PathBuf {
    // One crate type at a time: the manifest names none, so that `cargo test` builds no .so.
    shared_library(&["rustc", "--lib", "--crate-type", "cdylib", "-p", "mountainpass", "--no-default-features"])
}

/// Runs Cargo, with the running test's profile and target folder, and returns the shared library that it made last.
fn shared_library(command: &[&str]) -> PathBuf {
    let exe = std::env::current_exe().unwrap(); // <target>/<profile>/deps/<test>
    let profile_folder = exe.parent().and_then(Path::parent).unwrap();
    let profile = match profile_folder.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        other => other,
    };
    let output = Command::new(env!("CARGO"))
        .args(command)
        .args(["--offline", "--message-format=json", "--profile", profile, "--target-dir"])
        .arg(profile_folder.parent().unwrap())
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stdout = String::from_utf8(output.stdout).unwrap();
    let messages = stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let artifact = |message: serde_json::Value| {
        let is_cdylib = message["target"]["crate_types"].as_array()?.iter().any(|kind| kind == "cdylib");
        let files = message["filenames"].as_array().filter(|_| is_cdylib)?;
        let file = |file: &serde_json::Value| Some(PathBuf::from(file.as_str()?));
        files
            .iter()
            .filter_map(file)
            .find(|file| file.extension().is_some_and(|end| end == std::env::consts::DLL_EXTENSION))
    };
    messages.filter_map(artifact).next_back().unwrap_or_else(|| panic!("cargo {command:?} made no shared library"))
}

/// The C compiler, with our headers.
pub fn cc() -> Command {
    cc_with(&root().join("include"))
}

/// The C compiler, with the headers of a folder.
fn cc_with(headers: &Path) -> Command {
    let mut cc = Command::new(std::env::var_os("CC").unwrap_or("cc".into()));
    cc.arg("-I").arg(headers);
    cc
}

/// The C++ compiler.
pub fn cxx() -> Command {
    let mut cxx = Command::new(std::env::var_os("CXX").unwrap_or("c++".into()));
    cxx.arg("-I").arg(root().join("include"));
    cxx
}

/// Compiles a program of the repository, warnings being errors, and links it with libmountainpass.so.
pub fn linked(source: &str, library: &Path) -> PathBuf {
    let (source, folder) = (root().join(source), folder("capi"));
    let binary = folder.join(source.file_stem().unwrap());
    let is_c = source.extension().unwrap() == "c";
    let mut compiler = if is_c { cc() } else { cxx() };
    compiler.arg(if is_c { "-std=c99" } else { "-std=c++11" });
    compiler.args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-g"]).arg(source).arg("-o").arg(&binary);
    let libraries = library.parent().unwrap();
    compiler.arg("-L").arg(libraries).args(["-lmountainpass", "-lm", "-pthread"]);
    run(compiler.arg(format!("-Wl,-rpath,{}", libraries.display())));
    binary
}

/// Runs a program that must succeed; what it printed.
pub fn printed(binary: &Path, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = Command::new(binary).args(arguments).output().unwrap();
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8_lossy(&stderr).into_owned());
    assert!(status.success(), "{status}\n{stdout}{stderr}");
    assert_eq!(stderr, "", "the library prints nothing");
    stdout
}

/// A Python that knows `examples/python`, the library and numpy: that of MPASS_PYTHON, or python3. `None`, and a line that
/// says so, where it has no numpy, unless MPASS_REQUIRE_PYTHON=1.
pub fn python() -> Option<Command> {
    static LIBRARY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let interpreter = std::env::var_os("MPASS_PYTHON").unwrap_or("python3".into());
    let library = LIBRARY.get_or_init(|| {
        let found = Command::new(&interpreter).args(["-c", "import numpy"]).output();
        if found.is_ok_and(|output| output.status.success()) {
            return Some(engine());
        }
        let needed = std::env::var_os("MPASS_REQUIRE_PYTHON").is_some_and(|value| value == "1");
        assert!(!needed, "{interpreter:?} has no numpy, and MPASS_REQUIRE_PYTHON asks for it");
        eprintln!("Python is not tested: {interpreter:?} has no numpy; name one that has it by MPASS_PYTHON");
        None
    });
    let mut python = Command::new(interpreter);
    python.env("MPASS_LIBRARY", library.as_ref()?).env("PYTHONDONTWRITEBYTECODE", "1");
    python.env("PYTHONPATH", root().join("examples/python")).env("OPENBLAS_NUM_THREADS", "1");
    Some(python)
}

/// A header without its comments.
pub fn code(header: &str) -> String {
    header.split("/*").map(|part| part.split_once("*/").map_or(part, |(_, code)| code)).collect()
}

/// Runs a compiler; its complaints are the test's.
pub fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// Compiles `tests/plugins/<source>` with `defines` into `<folder>/<name>.so`.
pub fn c_plugin(source: &str, defines: &[&str], folder: &Path, name: &str) -> PathBuf {
    c_plugin_with(&root().join("include"), source, defines, folder, name)
}

/// The same against the headers of another folder.
pub fn c_plugin_with(headers: &Path, source: &str, defines: &[&str], folder: &Path, name: &str) -> PathBuf {
    let file = folder.join(format!("{name}{}", std::env::consts::DLL_SUFFIX));
    let mut cc = cc_with(headers);
    cc.args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O1", "-shared", "-fPIC", "-fvisibility=hidden"]);
    cc.args(defines.iter().map(|define| format!("-D{define}")));
    run(cc.arg(root().join("tests/plugins").join(source)).arg("-o").arg(&file).arg("-lm"));
    file
}
