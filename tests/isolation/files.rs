//! What is a plugin, what is a server, and what is neither.

use crate::built;
use crate::engine::{Engine, hostile, limits};
use crate::mpass::{folder, run};
use mountainpass::loss::{Isolation, Registry};
use std::sync::Arc;

#[test]
fn files_that_are_no_plugin_are_refused_in_the_words_of_this_process() {
    let folder = built::folder("isolation");
    let text = folder.join("text.so");
    std::fs::write(&text, "I am not a shared library.\n").unwrap();
    // An ELF file like our own, but for machine 0x28: 32-bit ARM.
    let mut foreign = std::fs::read(hostile()).unwrap();
    foreign[18..20].copy_from_slice(&[0x28, 0]);
    let arm = folder.join("arm.so");
    std::fs::write(&arm, foreign).unwrap();
    let bad = |define: &str, name: &str| built::c_plugin("bad.c", &[define], &folder, name);
    let name = built::c_plugin("hostile.c", &["NAME=\"gr\\xfcn\""], &folder, "latin");
    let files = [text, arm, bad("NULL_EVAL", "null"), bad("SIZE_ZERO", "zero"), bad("REFUSES", "refuses"), name];
    for file in files.into_iter().chain([folder.join("absent.so")]) {
        let here = Registry::new().load(&file).unwrap_err();
        let apart = Engine::new(limits()).registry.load(&file).unwrap_err();
        assert_eq!((apart.to_string(), apart.code()), (here.to_string(), here.code()));
    }
    let crash = built::c_plugin("hostile.c", &["CRASH_IN_ENTRY"], &folder, "entry");
    let error = Engine::new(limits()).registry.load(&crash).unwrap_err().to_string();
    let line = "load: was killed by SIGSEGV, an access to memory that is not its own";
    assert_eq!(error, format!("plugin {}: {line}, twice", crash.display()));
}

/// Whoever lists what a file holds does not trust it yet.
#[test]
fn a_list_of_backends_outlives_the_plugins_in_it() {
    let folder = folder("list");
    let listed = |define: &str| {
        built::c_plugin("hostile.c", &[define], &folder, "mine");
        let ended = run(&folder, &["backends", "--load", "mine.so"]);
        (ended.code, ended.stdout, ended.stderr)
    };
    let path = folder.join("mine.so").canonicalize().unwrap_or_else(|_| folder.join("mine.so"));
    let refused = |text: &str| {
        let plugin = format!("plugin {}: {text}", path.display());
        let lines = format!("{plugin}; asked once more in a fresh process\nmpass: {plugin}, twice\n");
        (Some(2), String::new(), lines)
    };
    let crash = "load: was killed by SIGSEGV, an access to memory that is not its own";
    assert_eq!(listed("CRASH_ON_LOAD"), refused(crash));
    assert_eq!(listed("CRASH_IN_ENTRY"), refused(crash));
    assert_eq!(listed("EXIT_ON_LOAD"), refused("load: exited with status 0"));
    assert_eq!(listed("ABORT_IN_PROBE"), refused("probe: was killed by SIGABRT, abort"));
    assert_eq!(listed("DECENT").1.lines().filter(|line| line.starts_with("hostile ")).count(), 1);
}

#[test]
fn other_programs_are_no_servers() {
    for (program, says) in [
        ("/bin/true", "/bin/true exited with status 0: to isolate backends it must be mpass "),
        ("/nowhere/mpass", "/nowhere/mpass: No such file or directory"),
    ] {
        let isolation = Isolation::new(program.into(), limits()).unwrap();
        let error = Registry::new().isolated(Arc::new(isolation)).load(hostile()).unwrap_err().to_string();
        assert!(error.starts_with(says), "{error}");
    }
    let ended = run(&folder("by-hand"), &["serve-loss", "--threads", "1", "--memory", "1", "--backend", "faer"]);
    let line = "mpass: serve-loss is started by `mpass run --isolate`, never by hand\n";
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(2), line));
}
