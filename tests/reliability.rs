//! What breakers found once: a terminal that goes away, files that are empty, damaged or in the way, names that mean
//! more than names.
#![cfg(all(feature = "cli", feature = "surfaces", unix))]

mod mpass;

use mpass::{bytes, contents, file, folder, mpass, run, succeeds};
use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

const CAMEL: &str = "[loss]\nbackend = \"surfaces\"\nmodel = \"three-hump-camel\"\n[minima]\nstarts = 4\n";
/// Work for some seconds.
const LONG: &str =
    "[loss]\nbackend = \"surfaces\"\nmodel = \"rastrigin\"\noptions = { n = 4 }\n[minima]\nstarts = 400\n";

fn kill(signal: &str, process: u32) {
    assert!(Command::new("kill").arg(signal).arg(process.to_string()).status().unwrap().success());
}

#[test]
fn signals_that_were_ignored_at_the_start_stay_ignored() {
    let folder = folder("ignored-signals");
    file(&folder, "long.toml", LONG);
    for (ignored, sent, ends) in [("HUP", "-HUP", false), ("INT", "-INT", false), ("HUP", "-TERM", true)] {
        // What `nohup` does, and a shell that starts a job in the background.
        let mut command = Command::new("sh");
        command.args(["-c", &format!("trap '' {ignored}; exec \"$0\" run long.toml --force --threads 1")]);
        command.arg(env!("CARGO_BIN_EXE_mpass")).current_dir(&folder).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        kill(sent, child.id());
        if ends {
            let said: Vec<String> = stderr.lines().map_while(Result::ok).collect();
            assert!(said.iter().any(|line| line.contains("stopping")), "{said:?}");
            assert_eq!(child.wait().unwrap().code(), Some(1));
        } else {
            std::thread::sleep(std::time::Duration::from_millis(300));
            assert_eq!(child.try_wait().unwrap(), None, "{sent} ended a run that ignores {ignored}");
            child.kill().unwrap();
            assert_eq!(child.wait().unwrap().signal(), Some(9));
        }
    }
}

#[test]
fn a_complete_run_mends_whatever_is_amiss_in_its_report() {
    let folder = folder("mended-report");
    file(&folder, "camel.toml", CAMEL);
    succeeds(&folder, &["run", "camel.toml"]);
    let out = folder.join("camel");
    let whole = contents(&out);
    for (name, bytes) in whole.iter().filter(|(name, _)| name != "landscape.sqlite") {
        let path = out.join(name);
        for wrong in [None, Some(&b""[..]), Some(&bytes[..bytes.len() / 2]), Some(b"something else")] {
            match wrong {
                None => std::fs::remove_file(&path).unwrap(),
                Some(wrong) => std::fs::write(&path, wrong).unwrap(),
            }
            succeeds(&folder, &["run", "camel.toml"]);
            assert!(contents(&out) == whole, "{name}");
        }
    }
}

#[test]
fn an_empty_file_is_no_barcode() {
    let folder = folder("empty-barcode");
    file(&folder, "barcode.json", "");
    file(&folder, "blank.pers", "\n \n");
    for arguments in [&["distance", ".", "."][..], &["distance", "blank.pers", "."], &["export", ".", "--to", "x.pers"]]
    {
        let ended = run(&folder, arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?} {}", ended.stderr);
        assert!(ended.stderr.contains("is empty and is no barcode"), "{}", ended.stderr);
    }
    // No bars at all are written as what they are.
    file(&folder, "all.npy", npy(&[f64::INFINITY; 3]));
    succeeds(&folder, &["grid", "all.npy", "--pers", "none.pers", "--json", "none.json"]);
    let same = succeeds(&folder, &["distance", "none.pers", "none.json"]);
    assert!(!same.stdout.contains("inf"), "{}", same.stdout);
}

/// A .npy file of one axis.
fn npy(values: &[f64]) -> Vec<u8> {
    mountainpass::npy::bytes(&mountainpass::npy::Array { shape: vec![values.len()], values: values.to_vec().into() })
}

#[test]
fn a_flipped_bit_of_a_height_is_seen() {
    let folder = folder("one-bit");
    file(&folder, "camel.toml", CAMEL);
    succeeds(&folder, &["run", "camel.toml"]);
    let database = folder.join("camel/landscape.sqlite");
    let whole = std::fs::read(&database).unwrap();
    let barcode = mpass::barcode(&folder.join("camel"));
    let height = mpass::bars(&barcode).iter().find_map(|bar| bar.1).unwrap();
    let at: Vec<usize> =
        whole.windows(8).enumerate().filter(|(_, bytes)| *bytes == height.to_be_bytes()).map(|(at, _)| at).collect();
    assert!(!at.is_empty());
    let mut bytes = whole.clone();
    at.iter().for_each(|at| bytes[at + 1] ^= 2);
    std::fs::write(&database, &bytes).unwrap();
    std::fs::remove_file(folder.join("camel/barcode.csv")).unwrap();
    for arguments in [&["run", "camel.toml"][..], &["run", "camel.toml", "--resume"], &["show", "camel"]] {
        let ended = run(&folder, arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?} {}", ended.stderr);
        assert!(ended.stderr.contains("damaged: cells "), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
    assert_eq!(std::fs::read(&database).unwrap(), bytes, "nobody touches what is damaged");
    assert!(!folder.join("camel/barcode.csv").exists());

    // What is whole goes on to the bars of the run that nothing damaged.
    let saved = succeeds(&folder, &["show", "camel", "--salvage", "saved"]);
    assert!(saved.stdout.contains(" lost\n"), "{}", saved.stdout);
    assert_eq!(saved.stderr, "find the rest anew with: mpass run CONFIG.toml --out saved --resume\n");
    succeeds(&folder, &["run", "camel.toml", "--out", "saved", "--resume"]);
    mpass::assert_bars(&mpass::barcode(&folder.join("saved")), &mpass::bars(&barcode), 1e-9);
}

#[test]
fn a_log_of_another_database_is_named_and_nothing_is_written() {
    let folder = folder("stale-log");
    file(&folder, "long.toml", LONG);
    file(&folder, "camel.toml", CAMEL);
    succeeds(&folder, &["run", "camel.toml"]);
    let mut child = mpass(&folder, ["run", "long.toml", "--out", "out"]).spawn().unwrap();
    let log = folder.join("out/landscape.sqlite-wal");
    while !std::fs::metadata(&log).is_ok_and(|log| log.len() > 200_000) {
        assert_eq!(child.try_wait().unwrap(), None, "the run ended before it had a log");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // Somebody puts a copy back, and does not know of the log.
    std::fs::copy(folder.join("camel/landscape.sqlite"), folder.join("out/landscape.sqlite")).unwrap();
    let before = contents(&folder.join("out"));
    let ended = run(&folder, &["show", "out"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stdout);
    assert!(ended.stderr.contains("remove landscape.sqlite-wal and landscape.sqlite-shm first"), "{}", ended.stderr);
    assert_eq!(run(&folder, &["run", "camel.toml", "--out", "out", "--resume"]).code, Some(2));
    assert!(contents(&folder.join("out")) == before);
    for name in ["landscape.sqlite-wal", "landscape.sqlite-shm"] {
        std::fs::remove_file(folder.join("out").join(name)).unwrap();
    }
    assert_eq!(succeeds(&folder, &["show", "out"]).stdout, succeeds(&folder, &["show", "camel"]).stdout);
}

#[test]
fn a_killed_run_is_shown_without_a_trace() {
    let folder = folder("killed-shown");
    file(&folder, "long.toml", LONG);
    let mut child = mpass(&folder, ["run", "long.toml", "--out", "out"]).spawn().unwrap();
    let log = folder.join("out/landscape.sqlite-wal");
    while !std::fs::metadata(&log).is_ok_and(|log| log.len() > 100_000) {
        assert_eq!(child.try_wait().unwrap(), None, "the run ended before it had a log");
    }
    // It can be looked at while it goes on, and after.
    assert!(succeeds(&folder, &["show", "out"]).stdout.contains("stopped early"));
    child.kill().unwrap();
    child.wait().unwrap();
    let before = contents(&folder.join("out"));
    let shown = succeeds(&folder, &["show", "out"]).stdout;
    assert!(contents(&folder.join("out")) == before);
    // The shared part of the log is not needed, and not made.
    std::fs::remove_file(folder.join("out/landscape.sqlite-shm")).unwrap();
    assert_eq!(succeeds(&folder, &["show", "out"]).stdout, shown);
    assert_eq!(contents(&folder.join("out")).len(), before.len() - 1);
}

#[test]
fn nothing_that_a_terminal_obeys_is_printed() {
    let folder = folder("escapes");
    let title = "a\\u001b]0;pwned\\u0007\\u001b[31m\\u009b2J\\u202e";
    file(&folder, "e.toml", format!("{CAMEL}[report]\ntitle = \"{title}\"\n"));
    file(&folder, "bad\u{1b}[31m.npy", "not an array");
    file(&folder, "\u{9b}2J.npy", npy(&[1.0, 0.0, 2.0]));
    for arguments in [
        &["run", "e.toml"][..],
        &["show", "e"],
        &["show", "e", "--json"],
        &["grid", "bad\u{1b}[31m.npy"],
        &["grid", "\u{9b}2J.npy"],
        &["model", "mlp:\u{1b}[31m"],
        &["run", "\u{1b}[2J.toml"],
    ] {
        let ended = run(&folder, arguments);
        let printed = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!printed.is_empty());
        let obeyed = printed.chars().find(|c| *c != '\n' && (c.is_control() || *c == '\u{202e}'));
        assert_eq!(obeyed, None, "{arguments:?}: {printed:?}");
    }
}

#[test]
fn nobody_is_led_to_write_elsewhere() {
    let folder = folder("planted");
    file(&folder, "a.npy", npy(&[1.0, 0.0, 2.0]));
    file(&folder, "precious", "precious\n");
    let fixed = folder.join("o.json");
    // As names were made once: of the file's and the process's.
    let mut child = mpass(&folder, ["grid", "a.npy", "--json", "o.json"]);
    let child = child.stdin(Stdio::piped()).spawn().unwrap();
    for process in child.id()..child.id() + 50 {
        let _ = symlink("precious", folder.join(format!(".o.json.{process}.part")));
    }
    assert_eq!(mpass::ended(child).code, Some(0));
    assert_eq!(bytes(&folder, "precious"), b"precious\n");
    // A link of the user's own is followed, and modes are kept.
    std::fs::set_permissions(&fixed, Permissions::from_mode(0o600)).unwrap();
    symlink("o.json", folder.join("link.json")).unwrap();
    let before = bytes(&folder, "o.json");
    std::fs::write(&fixed, "").unwrap();
    succeeds(&folder, &["grid", "a.npy", "--json", "link.json"]);
    assert_eq!(bytes(&folder, "o.json"), before);
    assert!(std::fs::symlink_metadata(folder.join("link.json")).unwrap().is_symlink());
    assert_eq!(std::fs::metadata(&fixed).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_folder_may_have_any_name() {
    let folder = folder("odd-names");
    file(&folder, "camel.toml", CAMEL);
    succeeds(&folder, &["run", "camel.toml", "--out", "plain"]);
    let expected: Vec<String> = contents(&folder.join("plain")).into_iter().map(|(name, _)| name).collect();
    let odd = std::ffi::OsStr::from_encoded(b"a\xffb");
    let long = "long".repeat(63);
    let names = ["file:zz", ":memory:", "a b?c#d%41&mode=memory", &long].map(std::ffi::OsStr::new);
    for name in names.into_iter().chain([odd]) {
        let arguments = ["run", "camel.toml", "--out"].map(std::ffi::OsStr::new);
        let ended = mpass::end(mpass(&folder, arguments.into_iter().chain([name])));
        assert_eq!(ended.code, Some(0), "{name:?} {}", ended.stderr);
        let found: Vec<String> = contents(&folder.join(name)).into_iter().map(|(name, _)| name).collect();
        assert_eq!(found, expected, "{name:?}");
        let ended = mpass::end(mpass(&folder, [std::ffi::OsStr::new("show"), name]));
        assert_eq!(ended.code, Some(0), "{name:?} {}", ended.stderr);
    }
    assert!(!folder.join("zz").exists() && !folder.join("landscape.sqlite").exists());
    let too_long = run(&folder, &["run", "camel.toml", "--out", &"long".repeat(64)]);
    assert_eq!((too_long.code, too_long.stderr.lines().count()), (Some(2), 1), "{}", too_long.stderr);
}

/// Names of any bytes.
trait Encoded {
    fn from_encoded(bytes: &[u8]) -> &Self;
}

impl Encoded for std::ffi::OsStr {
    fn from_encoded(bytes: &[u8]) -> &std::ffi::OsStr {
        std::os::unix::ffi::OsStrExt::from_bytes(bytes)
    }
}

#[test]
fn a_database_may_lie_elsewhere_behind_a_link() {
    let folder = folder("linked-database");
    file(&folder, "camel.toml", CAMEL);
    std::fs::create_dir_all(folder.join("large-disk")).unwrap();
    std::fs::create_dir_all(folder.join("camel")).unwrap();
    succeeds(&folder, &["run", "camel.toml", "--out", "plain"]);
    std::fs::rename(folder.join("plain/landscape.sqlite"), folder.join("large-disk/kept.sqlite")).unwrap();
    symlink("../large-disk/kept.sqlite", folder.join("camel/landscape.sqlite")).unwrap();
    for arguments in [&["show", "camel"][..], &["run", "camel.toml"], &["run", "camel.toml", "--force"]] {
        succeeds(&folder, arguments);
        assert!(std::fs::symlink_metadata(folder.join("camel/landscape.sqlite")).unwrap().is_symlink());
        let there: Vec<String> = contents(&folder.join("large-disk")).into_iter().map(|(name, _)| name).collect();
        assert_eq!(there, ["kept.sqlite"], "{arguments:?}");
    }
    std::fs::remove_file(folder.join("large-disk/kept.sqlite")).unwrap();
    let ended = run(&folder, &["run", "camel.toml", "--force"]);
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 1), "{}", ended.stderr);
}

#[test]
fn nothing_is_written_over_what_is_read() {
    let folder = folder("apart");
    let names = ["a.npy", "e.npy", "t.npy", "run.toml"];
    let e = mountainpass::npy::Array { shape: vec![1, 2], values: mountainpass::npy::Values::I64(vec![0, 1]) };
    file(&folder, "a.npy", npy(&[1.0, 0.0, 2.0]));
    file(&folder, "e.npy", mountainpass::npy::bytes(&e));
    file(&folder, "t.npy", npy(&[1.0, 0.0]));
    file(&folder, "run.toml", CAMEL);
    symlink("a.npy", folder.join("link.npy")).unwrap();
    let before = names.map(|name| bytes(&folder, name));
    for arguments in [
        &["grid", "a.npy", "--json", "a.npy"][..],
        &["grid", "link.npy", "--labels", "./a.npy"],
        &["grid", "a.npy", "--json", "new", "--pers", "../apart/new"],
        &["graph", "--values", "a.npy", "--edges", "e.npy", "--labels", "e.npy"],
        &["cloud", "--points", "a.npy", "--values", "a.npy", "--k", "1", "--dipha", "a.npy"],
        &["eval", "run.toml", "--theta", "t.npy", "--grad", "t.npy"],
        &["eval", "run.toml", "--hvp", "t.npy", "t.npy"],
        &["eval", "run.toml", "--grad", "run.toml"],
    ] {
        let ended = run(&folder, arguments);
        assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 1), "{arguments:?} {}", ended.stderr);
        assert!(ended.stderr.ends_with(": name another file\n"), "{}", ended.stderr);
    }
    assert!(names.map(|name| bytes(&folder, name)) == before && !folder.join("new").exists());
    succeeds(&folder, &["grid", "a.npy", "--json", "/dev/null", "--pers", "/dev/null"]);
}

#[test]
fn what_lies_beside_a_database_and_is_no_file_is_refused() {
    let folder = folder("beside-database");
    file(&folder, "camel.toml", CAMEL);
    succeeds(&folder, &["run", "camel.toml"]);
    for name in ["camel/landscape.sqlite-journal", "camel/landscape.sqlite-wal", "camel/tree.svg"] {
        let _ = std::fs::remove_file(folder.join(name));
        assert!(Command::new("mkfifo").arg(folder.join(name)).status().unwrap().success());
        let ended = run(&folder, &["run", "camel.toml"]);
        assert_eq!(ended.code, Some(2), "{name} {}", ended.stderr);
        let last = ended.stderr.lines().last().unwrap();
        assert!(last.contains(name.rsplit('/').next().unwrap()) && last.contains("move it away"), "{last}");
        std::fs::remove_file(folder.join(name)).unwrap();
    }
    succeeds(&folder, &["run", "camel.toml"]);
    // One whose log was taken away is read all the same, and nothing is made beside it.
    let database = folder.join("camel/landscape.sqlite");
    rusqlite::Connection::open(&database).unwrap().pragma_update(None, "journal_mode", "WAL").unwrap();
    let before = contents(&folder.join("camel"));
    succeeds(&folder, &["show", "camel"]);
    assert!(contents(&folder.join("camel")) == before);
}

#[test]
fn a_file_that_may_not_grow_is_an_error_of_one_line() {
    let folder = folder("may-not-grow");
    file(&folder, "camel.toml", CAMEL);
    let limited = format!("ulimit -f 8; exec {} run camel.toml", env!("CARGO_BIN_EXE_mpass"));
    let ended = Command::new("sh").args(["-c", &limited]).current_dir(&folder).output().unwrap();
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.code().is_some_and(|code| code > 0), "{:?}", ended.status);
    assert!(stderr.lines().last().is_some_and(|line| line.starts_with("mpass: ")), "{stderr}");
    succeeds(&folder, &["run", "camel.toml", "--resume"]);
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let folder = folder("no-files");
    file(&folder, "camel.toml", CAMEL);
    for name in ["pipe", "out/landscape.sqlite"] {
        let _ = std::fs::create_dir(folder.join("out"));
        assert!(Command::new("mkfifo").arg(folder.join(name)).status().unwrap().success());
    }
    std::fs::create_dir_all(folder.join("dir/landscape.sqlite")).unwrap();
    for arguments in [
        &["show", "pipe"][..],
        &["show", "out"],
        &["show", "dir"],
        &["run", "camel.toml", "--out", "out"],
        &["run", "camel.toml", "--out", "out", "--force"],
        &["run", "camel.toml", "--out", "dir"],
        &["run", "camel.toml", "--out", "dir", "--force"],
    ] {
        let mut child = mpass(&folder, arguments).spawn().unwrap();
        let begun = std::time::Instant::now();
        while child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed().as_secs() < 60, "{arguments:?} waits for ever");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let ended = mpass::ended(child);
        assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 1), "{arguments:?} {}", ended.stderr);
    }
}

#[test]
fn an_array_may_come_through_a_pipe() {
    let folder = folder("pipes");
    file(&folder, "a.npy", npy(&[1.0, 0.0, 2.0, 0.5]));
    assert!(Command::new("mkfifo").arg(folder.join("pipe")).status().unwrap().success());
    let mut writer = Command::new("sh").args(["-c", "cat a.npy > pipe"]).current_dir(&folder).spawn().unwrap();
    let piped = succeeds(&folder, &["grid", "pipe", "--json", "-"]).stdout;
    assert!(writer.wait().unwrap().success());
    let plain = succeeds(&folder, &["grid", "a.npy", "--json", "-"]).stdout;
    let bars = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap()["bars"].clone();
    assert_eq!(bars(&piped), bars(&plain));
    assert!(!piped.contains("data_hash"), "bytes that are gone have no hash");
}

#[test]
fn force_gives_up_the_old_run_when_the_new_one_is_there_and_no_stranger() {
    let folder = folder("force-old");
    file(&folder, "camel.toml", CAMEL);
    succeeds(&folder, &["run", "camel.toml"]);
    let out = folder.join("camel");
    let before = contents(&out);
    // A loss that does not open gives nothing up; neither does a database that cannot be made.
    file(&folder, "broken.toml", CAMEL.replace("three-hump-camel", "no-hump-camel"));
    assert_eq!(run(&folder, &["run", "broken.toml", "--out", "camel", "--force"]).code, Some(2));
    assert!(contents(&out) == before);
    let limit = format!("ulimit -f 8; exec {} run camel.toml --force", env!("CARGO_BIN_EXE_mpass"));
    let ended = Command::new("sh").args(["-c", &limit]).current_dir(&folder).output().unwrap();
    assert!(!ended.status.success(), "a database fits into 8 blocks");
    assert!(contents(&out).iter().filter(|(name, _)| !name.starts_with(".mpass-")).eq(before.iter()));
    succeeds(&folder, &["run", "camel.toml", "--force"]);
    assert_eq!(contents(&out).len(), before.len(), "what was left of the attempt is swept");

    rusqlite::Connection::open(folder.join("theirs.sqlite")).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    std::fs::create_dir(folder.join("theirs")).unwrap();
    std::fs::rename(folder.join("theirs.sqlite"), folder.join("theirs/landscape.sqlite")).unwrap();
    let theirs = contents(&folder.join("theirs"));
    let ended = run(&folder, &["run", "camel.toml", "--out", "theirs", "--force"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("not a landscape database: it is not replaced"), "{}", ended.stderr);
    assert!(contents(&folder.join("theirs")) == theirs);
}

#[test]
fn one_rule_for_threads() {
    let folder = folder("threads");
    file(&folder, "camel.toml", CAMEL);
    file(&folder, "a.npy", npy(&[1.0, 0.0, 2.0]));
    let e = mountainpass::npy::Array { shape: vec![1, 2], values: vec![0.0, 1.0].into() };
    file(&folder, "e.npy", mountainpass::npy::bytes(&e));
    let commands: [&[&str]; 5] = [
        &["run", "camel.toml"],
        &["eval", "camel.toml"],
        &["grid", "a.npy"],
        &["graph", "--values", "a.npy", "--edges", "e.npy"],
        &["cloud", "--points", "a.npy", "--values", "a.npy", "--k", "1"],
    ];
    for command in commands {
        let ended = run(&folder, &[command, &["--threads", "0"]].concat());
        let line = "mpass: --threads 0: at least one thread is needed\n";
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(2), line), "{command:?}");
        let help = run(&folder, &[command[0], "--help"]).stdout;
        let about = help.lines().filter(|line| line.contains("Worker threads")).collect::<Vec<_>>().join("");
        assert_eq!(about.matches("[default").count(), 1, "{about}");
    }
}

#[test]
fn a_data_folder_is_found_beside_the_configuration() {
    let folder = folder("beside");
    std::fs::create_dir_all(folder.join("cfg/mine")).unwrap();
    let idx = |dims: &[u32], bytes: &[u8]| {
        let head = [0, 0, 8, dims.len() as u8].into_iter().chain(dims.iter().flat_map(|n| n.to_be_bytes()));
        head.chain(bytes.iter().copied()).collect::<Vec<u8>>()
    };
    for (name, bytes) in [
        ("train-images-idx3-ubyte", idx(&[3, 2, 2], &[0, 9, 200, 3, 4, 100, 6, 7, 8, 90, 10, 255])),
        ("train-labels-idx1-ubyte", idx(&[3], &[0, 1, 2])),
    ] {
        file(&folder, &format!("cfg/mine/{name}"), bytes);
    }
    let toml = "[loss]\nbackend = \"faer\"\nmodel = \"mlp:4-3:tanh\"\ndata = \"mine\"\nobjective = \"cross_entropy\"\n";
    file(&folder, "cfg/run.toml", toml);
    let from_outside = succeeds(&folder, &["eval", "cfg/run.toml"]).stdout;
    assert_eq!(succeeds(&folder.join("cfg"), &["eval", "run.toml"]).stdout, from_outside);
}
