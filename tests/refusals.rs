//! Bad input: one line on stderr that names the place, exit status 2, and no folder of results.
#![cfg(all(feature = "cli", feature = "faer", feature = "surfaces"))]

mod built;
mod mpass;

use mpass::{file, folder, run};
use std::path::Path;

/// Runs a configuration that must be refused; returns what is said after `mpass: `.
fn refused(folder: &Path, toml: &str) -> String {
    file(folder, "bad.toml", toml);
    refused_command(folder, &["run", "bad.toml"])
}

/// Runs a command that must be refused.
fn refused_command(folder: &Path, arguments: &[&str]) -> String {
    let ended = run(folder, arguments);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", ended.stderr);
    assert!(!folder.join("bad").exists(), "a refused run left a folder: {}", ended.stderr);
    let line = ended.stderr.strip_prefix("mpass: ").and_then(|line| line.strip_suffix('\n'));
    let line = line.filter(|line| !line.contains('\n')).unwrap_or_else(|| panic!("not one line: {}", ended.stderr));
    line.to_owned()
}

const CAMEL: &str = "[loss]\nbackend = \"surfaces\"\nmodel = \"three-hump-camel\"\n";

#[test]
fn an_unknown_key_of_any_section_names_the_nearest() {
    let folder = folder("keys");
    for (section, key, nearest) in [
        ("loss", "modle", "model"),
        ("budget", "second", "seconds"),
        ("minima", "start", "starts"),
        ("complex", "methods", "method"),
        ("symmetry", "aline", "align"),
        ("paths", "knot", "knots"),
        ("report", "titel", "title"),
    ] {
        let toml = match section {
            "loss" => format!("{CAMEL}{key} = 1\n"),
            _ => format!("{CAMEL}[{section}]\n{key} = 1\n"),
        };
        let line = format!("bad.toml: [{section}] unknown key {key:?}; the nearest is {nearest:?}");
        assert_eq!(refused(&folder, &toml), line);
    }
    let line = "bad.toml: unknown key \"minimum\"; the nearest is \"minima\"";
    assert_eq!(refused(&folder, &format!("{CAMEL}[minimum]\nstarts = 3\n")), line);
    let twice = format!("{CAMEL}l2 = 1\noptions = {{ l2 = 2 }}\n");
    assert_eq!(refused(&folder, &twice), "bad.toml: [loss] l2 stands in options too: give it once");
}

#[test]
fn an_unknown_name_names_the_nearest() {
    let folder = folder("names");
    let mlp = |model: &str, more: &str| format!("[loss]\nbackend = \"faer\"\nmodel = \"{model}\"\n{more}\n");
    let digits = "data = \"digits\"";
    for (toml, line) in [
        (CAMEL.replace("surfaces", "surface"), "unknown backend \"surface\"; the nearest is \"surfaces\""),
        (
            CAMEL.replace("three", "tree"),
            "surfaces 0.1.0: open: unknown model \"tree-hump-camel\"; the nearest is \"three-hump-camel\"",
        ),
        (format!("{CAMEL}options = {{ m = 3 }}"), "surfaces 0.1.0: open: unknown option \"m\": there are none"),
        (
            CAMEL.replace("three-hump-camel", "torus") + "options = { m = 3 }",
            "surfaces 0.1.0: open: unknown option \"m\"; the nearest is \"n\"",
        ),
        (format!("{CAMEL}n = 3"), "surfaces 0.1.0: open: option \"n\" says nothing about this model: leave it out"),
        (
            mlp("mlp:64-3-10:tanh", "data = \"digits\"\nl3 = 1"),
            "bad.toml: [loss] unknown key \"l3\"; the nearest is \"l1\"",
        ),
        (format!("{CAMEL}device = \"cuda:0\""), "unknown device \"cuda:0\"; the nearest is \"cpu\""),
        (mlp("mpl:64-3-10:tanh", digits), "faer 0.1.0: open: unknown kind of network \"mpl\"; the nearest is \"mlp\""),
        (mlp("mlp:64-3-10:tan", digits), "faer 0.1.0: open: unknown activation \"tan\"; the nearest is \"tanh\""),
        (
            mlp("mlp:64-3-10:tanh", "data = \"digit\""),
            "faer 0.1.0: open: unknown data set \"digit\"; the nearest is \"digits\", and no such folder exists",
        ),
        (
            mlp("mlp:64-3-10:tanh", "data = \"digits\"\nobjective = \"cross-entropy\""),
            "faer 0.1.0: open: unknown objective \"cross-entropy\"; the nearest is \"cross_entropy\"",
        ),
        (
            mlp("mlp:64-3-10:tanh", "data = \"digits\"\noptions = { l3 = 1 }"),
            "faer 0.1.0: open: unknown option \"l3\"; the nearest is \"l2\"",
        ),
        (
            mlp("mlp:64-3-10:tanh", "data = \"digits\"\nl2 = -1"),
            "faer 0.1.0: open: option l2: -1 is not a finite number >= 0",
        ),
        (
            mlp("mlp:63-3-10:tanh", digits),
            "faer 0.1.0: open: digits: samples have shape [8, 8], but mlp:63-3-10:tanh takes [63] as x",
        ),
        (
            format!("{CAMEL}[minima]\nrecipe = \"polsh\""),
            "bad.toml: [minima] recipe: unknown value \"polsh\"; the nearest is \"polish\"",
        ),
        (
            format!("{CAMEL}[complex]\nmethod = \"path\""),
            "bad.toml: [complex] method: unknown value \"path\"; the nearest is \"paths\"",
        ),
        (
            format!("{CAMEL}[complex]\ngoal = \"bar code\""),
            "bad.toml: [complex] goal: unknown value \"bar code\"; the nearest is \"barcode\"",
        ),
        (format!("{CAMEL}dtype = \"f16\""), "bad.toml: [loss] dtype: unknown value \"f16\"; the nearest is \"f32\""),
    ] {
        assert_eq!(refused(&folder, &toml), line);
    }
}

#[test]
fn a_wrong_value_says_what_is_wanted() {
    let folder = folder("values");
    for (more, line) in [
        ("[minima]\nstarts = 0", "[minima] starts = 0: at least one start is needed"),
        ("[minima]\nstarts = -3", "[minima] starts = -3: wants a whole number from 0"),
        ("[minima]\nstarts = \"a\\nb\"", "[minima] starts = \"a\\nb\": wants a whole number from 0"),
        ("[minima]\nstarts = 1000000000000", "[minima] starts = 1000000000000: at most 1000000"),
        ("[minima]\ntolerance = nan", "[minima] tolerance = nan: wants a positive number"),
        ("[budget]\nseconds = 0", "[budget] seconds = 0: wants a positive number"),
        ("[budget]\nseconds = inf", "[budget] seconds = inf: wants a positive number"),
        ("[paths]\nknots = []", "[paths] knots = []: wants one or more numbers from 1 to 10000"),
        ("[paths]\nknots = [3, 0]", "[paths] knots = [3, 0]: wants one or more numbers from 1 to 10000"),
        ("[paths]\nknots = 7", "[paths] knots = 7: wants a list of whole numbers"),
        ("[symmetry]\nalign = 1", "[symmetry] align = 1: wants true or false"),
        ("[report]\ntitle = 3", "[report] title = 3: wants a text"),
        ("[minima.starts]\nn = 3", "[minima] starts = { n = 3 }: wants a whole number from 0"),
    ] {
        assert_eq!(refused(&folder, &format!("{CAMEL}{more}\n")), format!("bad.toml: {line}"));
    }
    assert_eq!(refused(&folder, "loss = 3\n"), "bad.toml: loss = 3: wants a table");
    assert_eq!(refused(&folder, ""), "bad.toml: [loss] names no backend and no plugin");
    // Enough for a wall-clock budget that no clock can hold.
    file(&folder, "long.toml", format!("{CAMEL}[budget]\nseconds = 1e300\n"));
    mpass::succeeds(&folder, &["run", "long.toml"]);
}

#[test]
fn a_file_that_does_not_read_is_named() {
    let folder = folder("files-that-do-not-read");
    let absent = "absent.toml: No such file or directory (os error 2)";
    assert_eq!(refused_command(&folder, &["run", "absent.toml"]), absent);
    std::fs::create_dir(folder.join("dir.toml")).unwrap();
    assert_eq!(refused_command(&folder, &["run", "dir.toml"]), "dir.toml: Is a directory (os error 21)");
    file(&folder, "bytes.toml", b"[loss]\nmodel = \"\xff\"");
    let said = refused_command(&folder, &["run", "bytes.toml"]);
    assert_eq!(said, "bytes.toml: stream did not contain valid UTF-8");
    let said = refused(&folder, "[loss]\nbackend = \"surfaces\"\nmodel = three-hump-camel\n");
    assert!(said.starts_with("bad.toml: line 3: "), "{said}");
    let said = refused(&folder, "[loss]\nbackend = \"a\"\nbackend = \"b\"\n");
    assert!(said.starts_with("bad.toml: line 3: duplicate key"), "{said}");
    assert_eq!(refused_command(&folder, &["show", "."]), "./landscape.sqlite: No such file or directory (os error 2)");
    file(&folder, "text.sqlite", "text, and more of it than SQLite's smallest page would need: ".repeat(20));
    let said = refused_command(&folder, &["show", "text.sqlite"]);
    assert_eq!(said, "text.sqlite: not a landscape database (SQLite, schema version 2, is expected)");
}

#[test]
fn a_damaged_data_file_is_named_with_the_offset() {
    let folder = folder("idx");
    let toml = "[loss]\nbackend = \"faer\"\nmodel = \"mlp:4-2-2:tanh\"\ndata = \"./images\"\n";
    let line = |said: &str| format!("faer 0.1.0: open: {said}");
    assert_eq!(refused(&folder, toml), line("data \"./images\": no such folder or file"));
    std::fs::create_dir(folder.join("images")).unwrap();
    let stem = "train-images-idx3-ubyte";
    let known = "MNIST's IDX files (train-images-idx3-ubyte), CIFAR-10's binary files (data_batch_1.bin), CIFAR-100's \
                 binary files (train.bin), SVHN's cropped digits (train_32x32.mat)";
    assert_eq!(refused(&folder, toml), line(&format!("./images: no samples of a known format: {known}")));
    std::fs::write(folder.join("images/train-labels-idx1-ubyte"), []).unwrap();
    assert_eq!(refused(&folder, toml), line(&format!("./images: no file {stem} or {stem}.gz")));
    let idx = |shape: &[u32], values: &[u8]| -> Vec<u8> {
        let header = std::iter::once(0x0800 | shape.len() as u32).chain(shape.iter().copied());
        header.flat_map(u32::to_be_bytes).chain(values.iter().copied()).collect()
    };
    let (images, labels) = (idx(&[2, 2, 2], &[0, 1, 2, 3, 4, 5, 6, 7]), idx(&[2], &[0, 1]));
    let put = |name: &str, bytes: &[u8]| file(&folder.join("images"), name, bytes);
    put("train-labels-idx1-ubyte", &labels);
    put(stem, &images[..20]);
    let said = format!("./images/{stem}: offset 20: expected 8 bytes of shape [2, 2, 2] and the end, found the end");
    assert_eq!(refused(&folder, toml), line(&said));
    put(stem, &labels);
    let said = format!("./images/{stem}: offset 0: expected the magic number 0x00000803, found 0x00000801");
    assert_eq!(refused(&folder, toml), line(&said));
    put(stem, &images);
    put("train-labels-idx1-ubyte", &idx(&[2], &[0, 2]));
    let said = "./images: train sample 1 has label 2, but mlp:4-2-2:tanh has 2 outputs (labels count from 0)";
    assert_eq!(refused(&folder, toml), line(said));
}

#[test]
fn a_plugin_that_cannot_be_used_is_named() {
    let folder = folder("plugins");
    let bad = |define: &str, name: &str| built::c_plugin("bad.c", &[define], &folder, name);
    bad("mpass_backend_entry_v0=something_else", "stranger");
    bad("mpass_backend_entry_v0=mpass_backend_entry_v7", "later");
    bad("REFUSES", "refuses");
    bad("NULL_EVAL", "hollow");
    bad("FUTURE", "future");
    file(&folder, "text.so", "I am not a shared library.\n");
    let said = |name: &str| refused(&folder, &format!("[loss]\nplugin = \"{name}.so\"\n"));
    for (name, line) in [
        ("stranger", "exports no mpass_backend_entry_v0: it is no mountainpass plugin"),
        (
            "later",
            "speaks version 7 of the plugin contract, this engine speaks version 0: rebuild the plugin against this \
             engine's headers",
        ),
        ("refuses", "refuses: no licence for this machine"),
        ("hollow", "its table breaks the contract: slot eval is NULL"),
        ("absent", "No such file or directory (os error 2)"),
    ] {
        assert_eq!(said(name), format!("plugin {name}.so: {line}"));
    }
    // The rest of this line is the system loader's.
    assert!(said("text").starts_with("plugin text.so: "), "{}", said("text"));
    let line = "[loss] backend is \"futur\", but its plugin calls itself \"future\": leave one of the two out";
    assert_eq!(refused(&folder, "[loss]\nplugin = \"future.so\"\nbackend = \"futur\"\n"), line);
    // Looked at in a child, which is told where the file is.
    let full = folder.canonicalize().unwrap().join("refuses.so");
    assert_eq!(
        refused_command(&folder, &["backends", "--load", "refuses.so"]),
        format!("plugin {}: refuses: no licence for this machine", full.display())
    );
}

#[test]
fn options_reach_a_backend_as_it_declares_them() {
    let folder = folder("declared");
    for name in ["sub", "sub/points", "sub/none", "points"] {
        std::fs::create_dir(folder.join(name)).unwrap();
    }
    built::c_plugin("declares.c", &[], &folder.join("sub"), "declares");
    built::c_plugin("declares.c", &["SILENT"], &folder.join("sub"), "silent");
    let twice = r#"{ "gr\xC3\xBCn", "One too many.", NULL, NULL, 9, 0 }"#;
    built::c_plugin("declares.c", &[&format!("BROKEN={twice}")], &folder.join("sub"), "broken");
    let said = |plugin: &str, more: &str| {
        file(&folder, "sub/bad.toml", format!("[loss]\nplugin = \"{plugin}.so\"\n{more}\n"));
        refused_command(&folder, &["run", "sub/bad.toml", "--out", "bad"])
    };
    let told = |plugin: &str, more: &str| {
        let said = said(plugin, more);
        said.strip_prefix("declares 1.0: open: told ").unwrap_or_else(|| panic!("{said}")).to_owned()
    };
    for (more, line) in [
        ("points = \"points\"\nscale = \"points\"", "points = sub/points, scale = points"),
        ("points = \"none\"", "points = none"),
        ("mask = \"none\"", "mask = sub/none"),
        ("mask = \"../m.csv\"\npoints = \"nowhere\"", "mask = sub/../m.csv, points = nowhere"),
        ("options = { mask = \"m.npy\", other = \"m.npy\" }", "mask = sub/m.npy, other = m.npy"),
        ("options = { model = \"m.npy\", scale = 0.5 }", "model = m.npy, scale = 0.5"),
    ] {
        assert_eq!(told("declares", more), line);
        assert_eq!(told("declares", &format!("{more}\n[minima]\nseed = 3")), line);
    }
    // One that declares nothing is given everything as it stands.
    let more = "points = \"points\"\nmodle = \"../m.npy\"\noptions = { mask = \"./m\" }";
    assert_eq!(told("silent", more), "modle = ../m.npy, points = points, mask = ./m");
    for (key, nearest) in [("modle", "model"), ("point", "points"), ("masks", "mask"), ("otions", "options")] {
        let line = format!("sub/bad.toml: [loss] unknown key {key:?}; the nearest is {nearest:?}");
        assert_eq!(said("declares", &format!("{key} = 1")), line);
    }
    let line = "declares 1.0: options: option 3: \"grün\": unknown kind 9 (the backend breaks the contract)";
    file(&folder, "sub/bad.toml", "[loss]\nplugin = \"broken.so\"\nscale = 1\n");
    let ended = run(&folder, &["run", "sub/bad.toml", "--out", "bad"]);
    assert_eq!((ended.code, ended.stderr), (Some(1), format!("mpass: {line}\n")));
}

#[test]
fn the_options_of_a_backend_are_listed() {
    let folder = folder("options");
    built::c_plugin("declares.c", &[], &folder, "declares");
    built::c_plugin("declares.c", &["SILENT"], &folder, "silent");
    let listed = |more: &[&str]| mpass::succeeds(&folder, &[&["backends", "--options"], more].concat()).stdout;
    let table = "points  path  -       A file of points, or the measured ones. (no path: measured, none)\n\
                 mask    path  -       A file of weights.\n\
                 scale   text  linear  How points are scaled. (linear, log)\n";
    assert_eq!(listed(&["declares", "--load", "declares.so"]), table);
    assert_eq!(listed(&["declares", "--load", "silent.so"]), "declares declares no options\n");
    let surfaces = listed(&["surfaces"]);
    let rows: Vec<Vec<&str>> = surfaces.lines().map(|line| line.split_whitespace().take(3).collect()).collect();
    let named: Vec<String> = rows.iter().map(|row| row.join(" ")).collect();
    let wanted = ["n integer 2", "spins integer 8", "seed integer 5", "condition number 10", "atoms integer 7"];
    assert_eq!(named, wanted);
    let faer = listed(&["faer"]);
    assert!(faer.contains("\nl2 ") && faer.lines().count() == 23, "{faer}");
    let unknown = refused_command(&folder, &["backends", "--options", "fear"]);
    assert_eq!(unknown, "unknown backend \"fear\"; the nearest is \"faer\"");
}

#[test]
fn a_folder_that_cannot_be_used_is_refused() {
    let folder = folder("folders");
    file(&folder, "camel.toml", CAMEL);
    file(&folder, "a-file", "");
    for out in ["a-file", "a-file/below", "/dev/null/below"] {
        let said = refused_command(&folder, &["run", "camel.toml", "--out", out]);
        assert!(said.starts_with(&format!("{out}: ")), "{said}");
        let forced = refused_command(&folder, &["run", "camel.toml", "--force", "--out", out]);
        assert_eq!(forced, said);
    }
    file(&folder, "camel", CAMEL);
    let line = "camel: this is the configuration itself: name a folder for the results with --out";
    assert_eq!(refused_command(&folder, &["run", "camel"]), line);
    let line = "--threads 0: at least one thread is needed";
    assert_eq!(refused_command(&folder, &["run", "camel.toml", "--threads", "0", "--out", "bad"]), line);

    mpass::succeeds(&folder, &["run", "camel.toml", "--out", "out"]);
    let left = mpass::contents(&folder.join("out"));
    file(&folder, "other.toml", CAMEL.replace("three-hump-camel", "himmelblau"));
    let line = "out holds the results of another configuration: choose another --out, or --force to replace them";
    for arguments in [&["run", "other.toml", "--out", "out"][..], &["run", "other.toml", "--out", "out", "--resume"]] {
        assert_eq!(refused_command(&folder, arguments), line);
    }
    assert!(mpass::contents(&folder.join("out")) == left, "a refused run changed a file");
}

#[test]
fn what_clap_refuses_ends_with_status_2() {
    let folder = folder("usage");
    file(&folder, "camel.toml", CAMEL);
    for arguments in [
        &["climb"][..],
        &["run"],
        &["run", "camel.toml", "--outt", "x"],
        &["run", "camel.toml", "--threads", "many"],
        &["run", "camel.toml", "--threads", "-1"],
        &["run", "camel.toml", "--resume", "--force"],
        &["show"],
        &[],
    ] {
        let ended = run(&folder, arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        let said = ended.stderr.contains("Usage: mpass") || ended.stderr.starts_with("error: invalid value");
        assert!(said, "{arguments:?}: {}", ended.stderr);
    }
    assert!(!folder.join("camel").exists());
    assert_eq!(run(&folder, &["--version"]).stdout, concat!("mpass ", env!("CARGO_PKG_VERSION"), "\n"));
}
