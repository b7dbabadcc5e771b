//! `mpass run --isolate`, as a user meets it.

use crate::engine::{POINTS, hostile};
use crate::mpass::{self, Bar, bars, bytes, file, folder, run, succeeds};
use mountainpass::npy::{self, Array, Values};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::time::Duration;

const RUN: &str = "[loss]\nplugin = \"PLUGIN\"\nmodel = \"MODEL\"\noptions = { in = \"PLACE\" }\n\
                   [minima]\nstarts = 8\nseed = 1\n";

/// A configuration of the hostile plugin in `folder`, with a sin in eval.
fn config(folder: &Path, model: &str) -> String {
    config_in(folder, model, "eval")
}

/// The same with the sin in another place.
fn config_in(folder: &Path, model: &str, place: &str) -> String {
    let name = if place == "eval" { format!("{model}.toml") } else { format!("{model}-in-{place}.toml") };
    let plugin = hostile().to_str().unwrap();
    file(folder, &name, RUN.replace("PLUGIN", plugin).replace("MODEL", model).replace("PLACE", place));
    name
}

#[test]
fn a_run_goes_on_past_rows_that_end_the_process() {
    let folder = folder("past-crashes");
    succeeds(&folder, &["run", &config(&folder, "nan")]);
    let known = mpass::barcode(&folder.join("nan"));
    assert_eq!(bars(&known).len(), 2);
    for model in ["crash", "exit"] {
        let ended = succeeds(&folder, &["run", &config(&folder, model), "--isolate", "--isolate-seconds", "30"]);
        let barcode = mpass::barcode(&folder.join(model));
        for what in ["bars", "scores", "minima"] {
            assert_eq!(barcode[what], known[what], "{model}");
        }
        let marked = ended.stderr.matches("is marked as not finite").count();
        let summary = format!("rows that the backend did not survive and that count as not finite: {marked}\n");
        assert!(marked > 0 && ended.stderr.contains(&summary), "{}", ended.stderr);
    }
    let ended = run(&folder, &["run", &config_in(&folder, "abort", "open"), "--isolate"]);
    let line = format!("plugin {}: open: was killed by SIGABRT, abort", hostile().display());
    let lines = format!("{line}; asked once more in a fresh process\nmpass: {line}, twice\n");
    assert_eq!((ended.code, ended.stderr), (Some(2), lines));
    let ended = run(&folder, &["run", &config(&folder, "always"), "--isolate"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
}

/// What nobody survives but the run: metrics decide nothing, and there are other starts.
#[test]
fn a_run_goes_on_without_metrics_and_without_a_start() {
    let folder = folder("past-calls");
    succeeds(&folder, &["run", &config(&folder, "none")]);
    let known = mpass::barcode(&folder.join("none"));
    let ended = succeeds(&folder, &["run", &config_in(&folder, "crash", "all-metrics"), "--isolate"]);
    let barcode = mpass::barcode(&folder.join("crash-in-all-metrics"));
    assert_eq!((&barcode["bars"], &barcode["scores"]), (&known["bars"], &known["scores"]));
    let line = "hostile 1.0: metrics: row 0 of 1 has no metrics: was killed by SIGSEGV";
    assert!(ended.stderr.contains(line), "{}", ended.stderr);
    let ended = succeeds(&folder, &["run", &config_in(&folder, "exit", "start"), "--isolate"]);
    let barcode = mpass::barcode(&folder.join("exit-in-start"));
    // The unit of length is that of the other starts: the last bits of the minima's places.
    let (found, known) = (bars(&barcode), bars(&known));
    let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
    let same = |a: &Bar, b: &Bar| near(a.0, b.0) && a.1.zip(b.1).map_or(a.1 == b.1, |(a, b)| near(a, b));
    assert!(found.len() == known.len() && found.iter().zip(&known).all(|(a, b)| same(a, b)), "{found:?} {known:?}");
    for line in
        ["start: seed 3 has no start: exited with status 3, twice", "start 3: the loss is not finite there; skipped"]
    {
        assert!(ended.stderr.contains(line), "{}", ended.stderr);
    }
    // Neither is asked again by a run that goes on.
    let again = succeeds(&folder, &["run", "exit-in-start.toml", "--isolate", "--resume"]);
    assert!(again.stderr.contains("already complete"), "{}", again.stderr);
}

#[test]
fn eval_tells_of_the_rows_that_a_plugin_survives() {
    let folder = folder("eval");
    let config = config(&folder, "crash");
    let npy = Array { shape: vec![3, 2], values: Values::F64(POINTS.to_vec()) };
    file(&folder, "theta.npy", npy::bytes(&npy));
    let arguments = ["eval", &config, "--theta", "theta.npy", "--json"];
    assert_eq!(run(&folder, &arguments).code, None, "without isolation the plugin takes the command with it");
    let ended = run(&folder, &[&arguments[..], &["--isolate", "--isolate-seconds", "30"]].concat());
    assert_eq!(ended.code, Some(1), "a row is not finite: {}", ended.stderr);
    let told: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((told["loss"][0].as_f64(), told["loss"][1].is_null()), (Some(0.625), true), "{told}");
    assert!(ended.stderr.contains("row 1 of 3 is marked as not finite: was killed by SIGSEGV"), "{}", ended.stderr);
}

#[test]
fn ctrl_c_is_heard_during_every_call() {
    let folder = folder("ctrl-c");
    let interrupted = |place: &str| {
        let config = config_in(&folder, "hang-and-say", place);
        let mut run = mpass::mpass(&folder, ["run", &config, "--isolate", "--isolate-seconds", "600"]).spawn().unwrap();
        let mut stderr = BufReader::new(run.stderr.take().unwrap());
        let process = number_behind("process", &mut stderr);
        // SAFETY: a signal to our own child, which has not been waited for.
        unsafe { libc::kill(run.id() as i32, libc::SIGINT) };
        let mut rest = String::new();
        let ended = run.wait().unwrap();
        assert!(is_gone(&process), "{place}: a server outlives its engine");
        stderr.read_to_string(&mut rest).unwrap();
        (ended.code(), rest.contains("stopped; what was found is kept"))
    };
    // There is nothing to keep before the loss is open.
    assert_eq!(interrupted("open"), (None, false));
    assert_eq!(interrupted("start"), (Some(1), true));
    assert_eq!(interrupted("all-metrics"), (Some(1), true));
}

/// A shell, or a program that embeds the library, may have told the system to forget its children.
#[test]
fn a_death_is_seen_where_the_system_keeps_no_ends() {
    let folder = folder("no-ends");
    let mut command = mpass::mpass(&folder, ["run", &config(&folder, "exit"), "--isolate", "--isolate-seconds", "30"]);
    // What is ignored stays ignored in the program that it starts.
    let forget = || {
        // SAFETY: takes two numbers.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        Ok(())
    };
    // SAFETY: one call that is safe in a copy of this process.
    unsafe { command.pre_exec(forget) };
    let ended = mpass::end(command);
    let seen = ended.stderr.contains("is marked as not finite: ended, twice");
    assert!(ended.code == Some(0) && seen, "{}", ended.stderr);
}

#[test]
fn isolation_changes_no_byte_of_a_barcode() {
    let folder = folder("isolated-bytes");
    file(&folder, "camel.toml", "[loss]\nbackend = \"surfaces\"\nmodel = \"three-hump-camel\"\n[minima]\nstarts = 8\n");
    let digits = "[loss]\nbackend = \"faer\"\nmodel = \"mlp:64-2-10:tanh\"\ndata = \"digits\"\nlimit = 60\nl2 = 1e-2\n\
                  [minima]\nstarts = 2\n[paths]\nvisits = 2\n";
    file(&folder, "digits.toml", digits);
    config(&folder, "print");
    for name in ["camel", "digits", "print"] {
        let config = format!("{name}.toml");
        let here = succeeds(&folder, &["run", &config, "--out", "here", "--force"]);
        let apart = succeeds(&folder, &["run", &config, "--out", "apart", "--force", "--isolate"]);
        for file in ["barcode.json", "barcode.csv", "report.html"] {
            assert!(bytes(&folder.join("here"), file) == bytes(&folder.join("apart"), file), "{name}: {file}");
        }
        // What a plugin prints is no result.
        assert!(!apart.stdout.contains("hello"));
        assert_eq!(name == "print", here.stdout.contains("hello") && apart.stderr.contains("hello from call 1\n"));
        // One folder, with and without isolation.
        assert!(succeeds(&folder, &["run", &config, "--out", "here", "--isolate"]).stderr.contains("already complete"));
    }
}

#[test]
fn bad_limits_are_refused() {
    let folder = folder("bad-limits");
    let config = config(&folder, "nan");
    for (seconds, line) in [
        ("0", "mpass: --isolate-seconds 0: a positive number is needed\n"),
        ("nan", "mpass: --isolate-seconds NaN: a positive number is needed\n"),
    ] {
        let ended = run(&folder, &["run", &config, "--isolate", "--isolate-seconds", seconds]);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(2), line));
    }
    let ended = run(&folder, &["run", &config, "--isolate-memory", "100"]);
    assert!(ended.code == Some(2) && ended.stderr.contains("--isolate"), "{}", ended.stderr);
    let ended = run(&folder, &["run", &config, "--isolate", "--isolate-memory", "1"]);
    assert!(ended.code != Some(0) && !ended.stderr.contains("panicked"), "{}", ended.stderr);
}

/// Waits until a process is no more, or only waits for its parent to take notice.
fn is_gone(process: &str) -> bool {
    let gone = || {
        let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        status.rsplit(") ").next().is_none_or(|rest| rest.is_empty() || rest.starts_with(['Z', 'X']))
    };
    (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        gone()
    })
}

/// The number behind a word on standard error.
fn number_behind(word: &str, from: impl BufRead) -> String {
    let lines = from.lines().map_while(Result::ok);
    let found = lines.filter_map(|line| Some(line.strip_prefix(word)?.trim().to_owned())).next();
    found.unwrap_or_else(|| panic!("no line begins with {word}"))
}

#[test]
fn processes_end_with_the_engine_and_with_the_backend_that_started_them() {
    let folder = folder("ends");
    let mut command = mpass::mpass(&folder, ["run", &config(&folder, "slow"), "--isolate"]);
    let mut run = command.spawn().unwrap();
    let process = number_behind("process", BufReader::new(run.stderr.take().unwrap()));
    run.kill().unwrap(); // SIGKILL: nothing of ours runs any more.
    run.wait().unwrap();
    assert!(is_gone(&process), "a server outlives its engine");

    let mut run = mpass::mpass(&folder, ["run", &config(&folder, "family"), "--isolate"]).spawn().unwrap();
    let child = number_behind("child", BufReader::new(run.stderr.take().unwrap()));
    assert!(run.wait().unwrap().success());
    assert!(is_gone(&child), "a child of a plugin outlives its server");
}
