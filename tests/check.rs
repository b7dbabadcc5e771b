//! `mpass check` as an author meets it: verdicts on plugins good and bad, the list, and what replays a failure.

mod built;
mod mpass;

use mountainpass::npy::{self, Array};
use mpass::{file, folder, run};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// `mpass check FILE --json ARGUMENTS`: exit status and report.
fn check(file: &Path, arguments: &[&str]) -> (i32, Value) {
    // Emptied once: others are at work in it.
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| folder("check"));
    let folder = &FOLDER;
    let arguments: Vec<&str> = ["check", file.to_str().unwrap(), "--json"].iter().chain(arguments).copied().collect();
    let ended = run(folder, &arguments);
    let report = serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {ended:?}"));
    (ended.code.unwrap(), report)
}

/// Name and verdict of every test that is neither passed nor skipped.
fn remarkable(report: &Value) -> Vec<(String, String)> {
    let text = |test: &Value, key: &str| test[key].as_str().unwrap().to_owned();
    let tests = report["tests"].as_array().unwrap();
    let remarkable = tests.iter().filter(|test| !["pass", "skip"].contains(&test["verdict"].as_str().unwrap()));
    remarkable.map(|test| (text(test, "name"), text(test, "verdict"))).collect()
}

fn test<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["tests"].as_array().unwrap().iter().find(|test| test["name"] == name).unwrap()
}

#[test]
fn our_surfaces_keep_the_contract() {
    let file = built::cdylib("mountainpass-surfaces-so");
    let (code, report) = check(&file, &["--model", "three-hump-camel"]);
    let mut remarkable = remarkable(&report);
    // Rust ends the process when it gets no memory, which is worth a warning and cannot be helped on stable.
    remarkable.retain(|(name, verdict)| (&**name, &**verdict) != ("memory.huge", "warn"));
    assert_eq!((code, remarkable), (0, vec![]), "{report:#}");
    assert_eq!((report["plugin"]["name"].as_str(), report["plugin"]["minor"].as_u64()), (Some("surfaces"), Some(1)));
}

/// A folder of 12 square images of three classes, in MNIST's format. Small, since a check opens its data a thousand times.
fn images(size: u8) -> PathBuf {
    let folder = folder(&format!("check-images-{size}"));
    let pixels = (0..12 * u32::from(size).pow(2)).map(|i| (i * i * 7 % 251) as u8);
    let axes = [12, size, size].into_iter().flat_map(|axis| u32::from(axis).to_be_bytes());
    let bytes: Vec<u8> = [0, 0, 8, 3].into_iter().chain(axes).chain(pixels).collect();
    file(&folder, "train-images-idx3-ubyte", bytes);
    let labels: Vec<u8> = [0, 0, 8, 1, 0, 0, 0, 12].into_iter().chain((0..12).map(|i| i % 3)).collect();
    file(&folder, "train-labels-idx1-ubyte", labels);
    folder
}

/// Checks the faer backend, of which nothing may be remarkable; models side by side.
fn keep_the_contract(models: &[&str], options: &[&str], only: &[&str]) {
    let backend = &built::cdylib("mountainpass-faer-so");
    let options: Vec<&str> = options.iter().flat_map(|option| ["--option", option]).collect();
    let only: Vec<&str> = only.iter().flat_map(|name| ["--only", name]).collect();
    std::thread::scope(|scope| {
        for model in models {
            let arguments = [&["--model", model][..], &options, &only].concat();
            scope.spawn(move || {
                let (code, report) = check(backend, &arguments);
                let mut remarkable = remarkable(&report);
                remarkable.retain(|(name, verdict)| (&**name, &**verdict) != ("memory.huge", "warn"));
                assert_eq!((code, remarkable), (0, vec![]), "{model}: {report:#}");
            });
        }
    });
}

#[test]
fn our_networks_of_images_keep_the_contract() {
    let data = format!("data={}", images(8).display());
    let models = ["mlp:64-3-3:tanh", "cnn:8x8x1-2-3:tanh:average", "cnn:8x8x1-2-3:relu:batchnorm"];
    keep_the_contract(&models, &[&data, "l2=0.01"], &[]);
}

#[test]
fn our_networks_of_tokens_keep_the_contract() {
    let tokens = (0..40).map(|i| i * i % 7).collect::<Vec<i64>>();
    let file =
        file(&folder("check-tokens"), "tokens.npy", npy::bytes(&Array { shape: vec![40], values: tokens.into() }));
    let data = format!("data={}", file.display());
    let models = ["transformer:vocabulary=8:context=5:width=4:heads=2:layers=1"];
    keep_the_contract(&models, &[&data, "context=5"], &[]);
}

#[test]
fn our_deep_networks_keep_what_they_promise_of_values_and_derivatives() {
    // Their 77,000 parameters make every test slow: these are the ones that look at numbers.
    let data = format!("data={}", images(4).display());
    let only = ["value.answers", "value.neighbours", "gradient.batch", "hvp", "minibatch.mean", "threads.workers"];
    keep_the_contract(&["resnet9:4x4x1-3:relu", "resnet9:4x4x1-3:tanh:batchnorm"], &[&data, "limit=3"], &only);
}

#[test]
fn our_kinks_are_what_differences_say() {
    let data = format!("data={}", images(4).display());
    let options = [&data, "l1=0.01", "l2=0.01"];
    keep_the_contract(&["mlp:16-3-3-3:relu", "mlp:16-3-2-3:leaky_relu"], &options, &["kinks"]);
    let file = built::cdylib("mountainpass-surfaces-so");
    let (code, report) = check(&file, &["--model", "kinked", "--option", "n=4", "--only", "kinks"]);
    assert_eq!((code, remarkable(&report)), (0, vec![]), "{report:#}");
    // What tells of no kinks is not asked.
    for (model, reason) in
        [("himmelblau", "kinks are not told: himmelblau tells of no kinks"), ("torus", "kinks are not")]
    {
        let (code, report) = check(&file, &["--model", model, "--only", "kinks"]);
        assert_eq!((code, remarkable(&report)), (0, vec![]), "{report:#}");
        assert!(test(&report, "kinks.near")["reason"].as_str().unwrap().starts_with(reason), "{report:#}");
    }
}

/// The files of `backends/network/tests/fixtures/kinks.gz`, which `kinks.py` there makes: networks of one operator each.
fn networks_that_bend() -> Vec<PathBuf> {
    let packed = std::fs::File::open(built::root().join("backends/network/tests/fixtures/kinks.gz")).unwrap();
    let (folder, mut all) = (folder("check-operators"), Vec::new());
    std::io::copy(&mut flate2::read::GzDecoder::new(packed), &mut all).unwrap();
    // Each is a field of a message: its tag, its length in sevens of bits, itself.
    let (mut at, mut files) = (0, Vec::new());
    while at < all.len() {
        let (mut size, mut bits) = (0, 0);
        loop {
            at += 1;
            size |= usize::from(all[at] & 127) << bits;
            bits += 7;
            if all[at] < 128 {
                break;
            }
        }
        at += 1;
        files.push(file(&folder, &format!("{}.onnx", files.len()), &all[at..at + size]));
        at += size;
    }
    files
}

#[test]
fn kinks_of_every_operator_that_bends_are_what_differences_say() {
    let (data, files) = (format!("data={}", images(4).display()), networks_that_bend());
    let models: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
    let (bend, jump) = models.split_at(21);
    assert_eq!(jump.len(), 6);
    keep_the_contract(bend, &[&data, "limit=3"], &["kinks"]);
    let (_, report) =
        check(&built::cdylib("mountainpass-faer-so"), &["--model", bend[2], "--option", &data, "--only", "kinks"]);
    assert!(report["tests"].as_array().unwrap().iter().all(|test| test["verdict"] == "pass"), "{report:#}");
    let (_, report) =
        check(&built::cdylib("mountainpass-faer-so"), &["--model", jump[0], "--option", &data, "--only", "kinks"]);
    let reason = "kinks are not told: the loss jumps: Sign of what depends on theta";
    assert_eq!(test(&report, "kinks.jump")["reason"], reason, "{report:#}");
}

#[test]
fn the_smallest_backend_of_our_tests_keeps_the_contract() {
    let file = built::c_plugin("quad_well.c", &[], &built::folder("check"), "libmpass_quad-well");
    let (code, report) = check(&file, &["--model", "double-well"]);
    assert_eq!((code, remarkable(&report)), (0, vec![]), "{report:#}");
}

#[test]
fn a_file_that_is_no_plugin_is_a_verdict_and_one_that_is_not_there_is_usage() {
    let (code, report) = check(&built::root().join("Cargo.toml"), &[]);
    assert_eq!((code, remarkable(&report)), (1, vec![("load.opens".into(), "fail".into())]));
    let opens = test(&report, "load.opens");
    assert_eq!(opens["got"], "invalid ELF header");
    assert_eq!(opens["rule"], "A plugin is one shared library");
    assert_eq!(test(&report, "value.answers")["reason"], "needs load.opens, which failed");
    let ended = run(&folder("check-usage"), &["check", "no such file.so"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert_eq!(ended.stderr, "mpass: no such file.so: No such file or directory (os error 2)\n");
}

#[test]
fn the_list_is_the_specification() {
    let folder = folder("check-list");
    let ended = run(&folder, &["check", "--list"]);
    assert_eq!(ended.code, Some(0));
    let list: Value = serde_json::from_str(&run(&folder, &["check", "--list", "--json"]).stdout).unwrap();
    let tests = list["tests"].as_array().unwrap();
    assert_eq!(tests.len(), ended.stdout.lines().count());
    for (line, test) in ended.stdout.lines().zip(tests) {
        let (name, claim) = line.split_once(' ').unwrap();
        assert_eq!((name, claim.trim()), (test["name"].as_str().unwrap(), test["claim"].as_str().unwrap()));
    }
}

#[test]
fn a_death_and_a_hang_are_verdicts_that_name_the_call() {
    let fate = |define: &str| {
        let file = built::c_plugin("fates.c", &[define], &built::folder("check"), define);
        let (code, report) = check(&file, &["--only", "open.info", "--seconds", "2"]);
        assert_eq!(code, 1);
        assert_eq!(test(&report, "open.info")["reason"].as_str().unwrap()[..16], *"needs open.opens");
        test(&report, "open.opens").clone()
    };
    for (define, reason) in [
        ("ABORTS", "was killed by SIGABRT, abort, in open; it printed \"farewell\""),
        ("EXITS", "exited with status 0, in open; it printed \"farewell\""),
    ] {
        let died = fate(define);
        assert_eq!((died["verdict"].as_str(), died["reason"].as_str()), (Some("crash"), Some(reason)));
    }
    let hung = fate("SPINS");
    assert_eq!((hung["verdict"].as_str(), hung["expected"].as_str()), (Some("fail"), Some("an answer within 2 s")));
    assert_eq!(hung["got"], "none, in open");
}

#[test]
fn a_loss_too_large_for_this_machine_fails_and_is_not_opened_further() {
    if mountainpass::machine::memory::total() >= 8 << 35 {
        return;
    }
    let file = built::c_plugin("hostile.c", &[], &built::folder("check"), "large");
    let (code, report) = check(&file, &["--model", "2^32", "--only", "value.answers"]);
    assert_eq!((code, remarkable(&report)), (1, vec![("open.info".into(), "fail".into())]), "{report:#}");
    assert_eq!(test(&report, "open.info")["got"], "params is 4294967296");
}

#[test]
fn what_is_wrong_with_a_plugin_is_said_in_lines_and_in_one_process_too() {
    let file = built::c_plugin("quad_well.c", &["ANY_DEVICE"], &built::folder("check"), "any-device");
    let arguments = ["check", file.to_str().unwrap(), "--model", "quadratic", "--only", "open.bad-device"];
    let folder = folder("check-lines");
    let apart = run(&folder, &arguments);
    let here = run(&folder, &[&arguments[..], &["--in-process"]].concat());
    assert_eq!((apart.code, here.code), (Some(1), Some(1)));
    // All but the last line, which has the time.
    let verdicts = |text: &str| text.rsplit_once("quad-well 1.0: ").unwrap().0.to_owned();
    assert_eq!(verdicts(&apart.stdout), verdicts(&here.stdout));
    for line in ["open.opens       pass", "open.bad-device  FAIL   seed 1", "    got       it is opened"] {
        assert!(apart.stdout.lines().any(|found| squeezed(found) == squeezed(line)), "{line:?} in {}", apart.stdout);
    }
}

/// With single spaces: columns grow with the longest name.
fn squeezed(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_plugin_that_refuses_and_says_why_has_done_nothing_wrong() {
    let file = built::c_plugin("bad.c", &["REFUSES"], &built::folder("check"), "refuses");
    let (code, report) = check(&file, &[]);
    assert_eq!((code, remarkable(&report)), (0, vec![("load.table".into(), "warn".into())]));
    assert_eq!(test(&report, "value.answers")["reason"], "the entry symbol refuses: no licence for this machine");
    assert!(report["plugin"]["name"].is_null());
}

#[test]
fn a_loss_is_chosen_by_model_and_options() {
    let file = built::cdylib("mountainpass-surfaces-so");
    let only = ["--only", "value.answers", "--model", "quadratic"];
    let (code, report) = check(&file, &[&only[..], &["--option", "n=7"]].concat());
    assert_eq!(code, 0, "{report:#}");
    let (code, report) = check(&file, &[&only[..], &["--option", "n=x"]].concat());
    assert_eq!((code, remarkable(&report)), (1, vec![("open.opens".into(), "fail".into())]));
    let folder = folder("check-options");
    for (arguments, says) in [
        (["--option", "n"], "--option \"n\": KEY=VALUE is expected"),
        (["--only", "valu"], "unknown test or group \"valu\"; the nearest is \"value\""),
        (["--seconds", "0"], "--seconds 0: a positive number is expected"),
    ] {
        let ended = run(&folder, &[&["check", file.to_str().unwrap()][..], &arguments[..]].concat());
        assert_eq!((ended.code, ended.stderr), (Some(2), format!("mpass: {says}\n")));
    }
}
