//! Sizes that a file or an option gives: whatever they ask for, under a limit of memory a command says in one line that
//! there is not so much, and ends as it ends for any other bad input.
#![cfg(all(target_os = "linux", feature = "cli", feature = "faer", feature = "surfaces"))]

mod large;
mod mpass;

use large::*;
use mpass::{Ended, file, folder, mpass};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

/// What a command may take of address space: enough for anything that the tests' small inputs need.
const LIMIT: u64 = 1 << 28;
/// Much more than that.
const LARGE: u64 = 1 << 31;

/// `mpass ARGUMENTS` under the limit, on one thread where that can be said.
fn limited(folder: &Path, arguments: &[&str]) -> Ended {
    let plain = mpass(folder, arguments);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -v {}; exec \"$0\" \"$@\"", LIMIT >> 10)]).arg(plain.get_program());
    command.args(plain.get_args()).current_dir(folder).env_remove("MPASS_BACKEND_PATH").env("RUST_BACKTRACE", "0");
    command.stdin(std::process::Stdio::null());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    if matches!(arguments[0], "run" | "eval" | "grid" | "graph" | "cloud") {
        command.args(["--threads", "1"]);
    }
    let output = command.output().unwrap();
    assert_eq!(output.status.signal(), None, "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A command must be refused in one line that holds a text.
fn refused(folder: &Path, arguments: &[&str], part: &str) {
    let Ended { code, stdout, stderr } = limited(folder, arguments);
    let is_line = stderr.starts_with("mpass: ") && stderr.lines().count() == 1;
    assert!(is_line && stderr.contains(part), "{arguments:?}: wanted {part:?}, found {stderr:?}");
    assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?}: {stderr}");
}

/// The configuration of a network.
fn network(model: &str, data: &str) -> String {
    format!("[loss]\nbackend = \"faer\"\nmodel = \"{model}\"\ndata = \"{data}\"\n")
}

const ROSENBROCK: &str = "[loss]\nbackend = \"surfaces\"\nmodel = \"rosenbrock\"\noptions = { n = 2 }\n";

#[test]
fn arrays_of_more_than_there_is_are_refused() {
    let here = folder("sizes_arrays");
    array(&here, "large.npy", "<f8", &[LARGE / 8]);
    array(&here, "rows.npy", "<f8", &[LARGE / 16, 2]);
    array(&here, "bytes.npy", "|u1", &[LARGE / 16, 2]);
    array(&here, "wholes.npy", "<i8", &[LARGE / 8]);
    array(&here, "small.npy", "<f8", &[4]);
    array(&here, "ends.npy", "<i8", &[3, 2]);
    array(&here, "ids.npy", "<i8", &[1]);
    array(&here, "two.npy", "<f8", &[2]);
    file(&here, "r.toml", ROSENBROCK);
    file(&here, "at.toml", format!("{ROSENBROCK}[complex]\nmethod = \"grid\"\naxes = [0]\nat = \"large.npy\"\n"));
    file(&here, "given.toml", format!("{ROSENBROCK}[minima]\ntheta = [\"rows.npy\"]\n"));
    let needs = "needs 2.0 GiB of memory, and ";
    for (arguments, part) in [
        (&["grid", "large.npy"][..], needs),
        (&["grid", "large.npy", "--max-degree", "0"], needs),
        (&["graph", "--values", "large.npy", "--edges", "ends.npy"], needs),
        (&["graph", "--values", "small.npy", "--edges", "rows.npy"], needs),
        (&["graph", "--values", "small.npy", "--edges", "ends.npy", "--edge-values", "large.npy"], needs),
        (&["cloud", "--points", "rows.npy", "--values", "small.npy", "--k", "1"], needs),
        // A byte a number in the file, eight in memory.
        (&["cloud", "--points", "bytes.npy", "--values", "small.npy", "--k", "1"], needs),
        // Rows are read as they are evaluated; there is a value for each.
        (&["eval", "r.toml", "--theta", "rows.npy"], "needs 1.0 GiB of memory, and "),
        (&["eval", "r.toml", "--theta", "bytes.npy"], "needs 1.0 GiB of memory, and "),
        (&["eval", "r.toml", "--theta", "two.npy", "--hvp", "rows.npy", "out.npy"], needs),
        (&["eval", "r.toml", "--ids", "wholes.npy", "--theta", "two.npy"], needs),
        (&["run", "at.toml"], needs),
        (&["run", "given.toml"], needs),
    ] {
        refused(&here, arguments, part);
    }
    // The limit leaves room for what is small.
    array(&here, "plane.npy", "<f8", &[300, 300]);
    for arguments in [&["grid", "plane.npy"][..], &["eval", "r.toml", "--theta", "two.npy", "--grad", "g.npy"]] {
        assert_eq!(limited(&here, arguments).code, Some(0), "{arguments:?}");
    }
}

#[test]
fn an_array_that_the_limit_holds_but_not_what_is_made_of_it_is_refused() {
    let here = folder("sizes_work");
    let bytes = LIMIT / 2;
    array(&here, "half.npy", "<f4", &[1 << 13, bytes >> 15]);
    array(&here, "narrow.npy", "|u1", &[1 << 14, bytes >> 14]);
    array(&here, "values.npy", "<f4", &[bytes >> 4]);
    array(&here, "ends.npy", "<i4", &[bytes >> 4, 2]);
    array(&here, "points.npy", "<f8", &[bytes >> 5, 2]);
    array(&here, "each.npy", "<f4", &[bytes >> 5]);
    for arguments in [
        &["grid", "half.npy"][..],
        &["grid", "half.npy", "--max-degree", "0"],
        &["grid", "narrow.npy"],
        &["graph", "--values", "values.npy", "--edges", "ends.npy"],
        &["cloud", "--points", "points.npy", "--values", "each.npy", "--k", "4"],
    ] {
        refused(&here, arguments, " of memory, and ");
    }
}

#[test]
fn files_that_are_longer_or_shorter_than_they_say_are_refused() {
    let here = folder("sizes_lengths");
    file(&here, "r.toml", ROSENBROCK);
    for (name, bytes, says) in [
        ("long.npy", 24, "is too long: shape [2] needs 16 bytes of data, there are 24"),
        ("short.npy", 15, "is cut off: shape [2] needs 16 bytes of data, there are 15"),
    ] {
        sparse(&here, name, &header("<f8", "(2,)"), bytes);
        let says = format!("{name}: {says}");
        refused(&here, &["grid", name], &says);
        refused(&here, &["graph", "--values", name, "--edges", name], &says);
        refused(&here, &["cloud", "--points", name, "--values", name, "--k", "1"], &says);
        refused(&here, &["eval", "r.toml", "--theta", name], &says);
        sparse(&here, "tokens.npy", &header("<i8", "(2,)"), bytes);
        file(
            &here,
            "t.toml",
            network("transformer:vocabulary=3:context=1:width=2:heads=1:layers=1", "tokens.npy")
                + "options = { context = 1 }\n",
        );
        refused(&here, &["eval", "t.toml"], &says.replace(&format!("{name}:"), "tokens.npy: the file"));
        let member = [header("<f8", "(2,)"), vec![0; bytes as usize]].concat();
        file(&here, "d.npz", zip("x.npy", &packed(&member, 0, false), member.len() as u64));
        file(&here, "n.toml", network("mlp:1-2:relu", "d.npz"));
        refused(&here, &["eval", "n.toml"], &says.replace(&format!("{name}:"), "d.npz: array x"));
        refused(&here, &["eval", "r.toml", "--theta", "d.npz"], &says.replace(&format!("{name}:"), "d.npz: array x"));
    }
    let tensors = |zeros: u64| {
        let text = "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}";
        sparse(&here, "w.safetensors", &[&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat(), zeros);
    };
    for zeros in [7, 9] {
        tensors(zeros);
        let says =
            format!("w.safetensors: a safetensors file whose header tells of 8 bytes of data, but there are {zeros}");
        refused(&here, &["eval", "r.toml", "--theta", "w.safetensors"], &says);
    }
    std::fs::create_dir(here.join("images")).unwrap();
    file(&here, "i.toml", network("mlp:4-2:relu", "images"));
    sparse(&here, "images/train-labels-idx1-ubyte", &idx(&[2]), 2);
    for (zeros, says) in
        [(9, "expected 8 bytes of shape [2, 2, 2] and the end, found 1 bytes more"), (7, "found the end")]
    {
        let (name, bytes) = ("images/train-images-idx3-ubyte", [idx(&[2, 2, 2]), vec![0; zeros]].concat());
        // Packed, with a right sum.
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&bytes).unwrap();
        for (name, bytes) in [(name.to_owned(), bytes), (format!("{name}.gz"), encoder.finish().unwrap())] {
            let path = file(&here, &name, bytes);
            refused(&here, &["eval", "i.toml"], says);
            std::fs::remove_file(path).unwrap();
        }
    }
    std::fs::create_dir(here.join("cifar")).unwrap();
    file(&here, "c.toml", network("mlp:3072-10:relu", "cifar"));
    sparse(&here, "cifar/cifar10_train.bin", &[], 3074);
    refused(&here, &["eval", "c.toml"], "3074 bytes are 1 records of 3073 bytes and a rest");
}

#[test]
fn samples_of_more_than_there_is_are_refused() {
    let here = folder("sizes_samples");
    let put = |name: &str, bytes: &[u8]| {
        std::fs::create_dir_all(here.join(name).parent().unwrap()).unwrap();
        file(&here, name, bytes);
    };
    // Nine megabytes that say they unpack to two gigabytes.
    let start = header("<f8", &format!("({}, 2)", LARGE / 16));
    put("bomb.npz", &zip("x.npy", &packed(&start, LARGE, false), LARGE + start.len() as u64));
    put("lie.npz", &zip("x.npy", &packed(&start, 0, false), LARGE + start.len() as u64));
    let pixels = [idx(&[LARGE as u32 / 4, 2, 2]), vec![]].concat();
    put("idx/train-images-idx3-ubyte.gz", &gzip(&pixels, LARGE));
    put("idx/train-labels-idx1-ubyte", &idx(&[1]));
    std::fs::create_dir(here.join("plain")).unwrap();
    sparse(&here, "plain/train-images-idx3-ubyte", &pixels, LARGE);
    put("plain/train-labels-idx1-ubyte", &idx(&[1]));
    std::fs::create_dir(here.join("cifar")).unwrap();
    sparse(&here, "cifar/cifar10_train.bin", &[], 3073 * (LARGE / 3073));
    put("packed/cifar10_train.bin.gz", &gzip(&[], LARGE));
    // A compressed element that says it is an array of two gigabytes.
    let element = packed(&[&14_u32.to_le_bytes()[..], &(LARGE as u32 - 8).to_le_bytes()].concat(), LARGE, true);
    let mut mat = b"MATLAB 5.0 MAT-file".to_vec();
    mat.resize(124, b' ');
    mat.extend([0, 1, b'I', b'M']);
    mat.extend([&15_u32.to_le_bytes()[..], &(element.len() as u32).to_le_bytes(), &element].concat());
    put("svhn/train_32x32.mat", &mat);
    array(&here, "tokens.npy", "<u2", &[LARGE / 2]);
    // An eighth of the limit in the file; as numbers more than all of it.
    let n = LIMIT as u32 / 32;
    std::fs::create_dir(here.join("bytes")).unwrap();
    sparse(&here, "bytes/train-images-idx3-ubyte", &idx(&[n, 2, 2]), u64::from(4 * n));
    sparse(&here, "bytes/train-labels-idx1-ubyte", &idx(&[n]), u64::from(n));
    for (data, model, says) in [
        ("bomb.npz", "mlp:2-2:relu", "bomb.npz: array x needs 2.0 GiB of memory, and "),
        ("lie.npz", "mlp:2-2:relu", "lie.npz: array x is spoilt: "),
        ("idx", "mlp:4-2:relu", "needs "),
        ("plain", "mlp:4-2:relu", "train-images-idx3-ubyte: needs 2.0 GiB of memory, and "),
        ("cifar", "mlp:3072-10:relu", "cifar: holding it needs 2.0 GiB of memory, and "),
        ("packed", "mlp:3072-10:relu", "packed: holding it needs "),
        ("svhn", "mlp:3072-10:relu", "train_32x32.mat: the file needs "),
        ("tokens.npy", "mlp:3072-10:relu", "tokens.npy: the file needs 2.0 GiB of memory, and "),
    ] {
        file(&here, "n.toml", network(model, data));
        refused(&here, &["eval", "n.toml"], says);
    }
    // What is laid out for a step is asked for when it is made: the data themselves can be held.
    file(&here, "n.toml", network("mlp:4-2:relu", "bytes"));
    let Ended { code, stderr, .. } = limited(&here, &["eval", "n.toml"]);
    let is_line = stderr.starts_with("mpass: faer 0.1.0: eval: ") && stderr.lines().count() == 1;
    assert!(code == Some(1) && is_line && stderr.contains(" of memory, and "), "{stderr}");
}

#[test]
fn no_node_makes_more_of_a_small_file_than_there_is() {
    let here = folder("sizes_nodes");
    array(&here, "x.npy", "<f4", &[3, 6]);
    let member = std::fs::read(here.join("x.npy")).unwrap();
    let y = [header("<i8", "(3,)"), vec![0; 24]].concat();
    file(&here, "d.npz", archive(&[("x.npy", &member), ("y.npy", &y)]));
    file(&here, "n.toml", network("m.onnx", "d.npz"));
    let chain = |op: &str, times: usize| -> Vec<Vec<u8>> {
        let name = |i: usize| if i == times { "big".to_owned() } else { format!("c{i}") };
        let link = |i: usize| node(op, &[&name(i), &name(i)], &name(i + 1), &[("axis", 0)]);
        (0..times).map(link).collect()
    };
    let exp = |of: &str| node("Exp", &[of], "big", &[]);
    let zeros = |shape: &[i64]| [wholes("s", shape), node("ConstantOfShape", &["s"], "e", &[])].concat();
    let whole = |name: &str, value: i64| tensor(name, 7, &[], &value.to_le_bytes());
    let off_on = tensor("v", 1, &[2], &[0, 0, 0, 0, 0, 0, 128, 63]);
    let layer = |i: usize| {
        let [w, r, y] = ["w", "r", "y"].map(|name| format!("{name}{i}"));
        let run = node("LSTM", &["e", &w, &r], &y, &[("hidden_size", 2)]);
        [reals(&w, &[1, 8, 6]), reals(&r, &[1, 8, 2]), run].concat()
    };
    let layers = (0..14).map(layer).collect::<Vec<_>>().concat();
    let sum: Vec<u8> = (1..14)
        .flat_map(|i| {
            let [before, own, sum] = [format!("z{}", i - 1), format!("y{i}"), format!("z{i}")];
            node("Add", &[if i == 1 { "y0" } else { &before }, &own], if i == 13 { "big" } else { &sum }, &[])
        })
        .collect();
    let step = "m.onnx: a step of it needs ";
    let table = "it needs a table of ";
    for (parts, says) in [
        // Of a depth of 2^31 two rows are sixteen gigabytes.
        (
            vec![
                wholes("i", &[0, 1]),
                whole("d", 1 << 31),
                off_on,
                node("OneHot", &["i", "d", "v"], "e", &[]),
                exp("e"),
            ],
            step,
        ),
        (vec![reals("c", &[3, 1]), wholes("s", &[3, 1 << 30]), node("Expand", &["c", "s"], "e", &[]), exp("e")], step),
        (vec![reals("c", &[3, 2]), wholes("s", &[1 << 15; 2]), node("Tile", &["c", "s"], "e", &[]), exp("e")], step),
        (vec![zeros(&[1 << 31]), reals("c", &[2, 1]), node("Add", &["e", "c"], "f", &[]), exp("f")], step),
        (
            vec![
                whole("a", 0),
                whole("b", 1 << 31),
                whole("c", 1),
                node("Range", &["a", "b", "c"], "e", &[]),
                node("Cast", &["e"], "big", &[("to", 1)]),
            ],
            table,
        ),
        (
            vec![
                reals("c", &[1, 1, 2, 2]),
                wholes("s", &[1, 1, 1 << 15, 1 << 16]),
                node("Resize", &["c", "", "", "s"], "e", &[]),
                exp("e"),
            ],
            step,
        ),
        (
            vec![
                reals("c", &[2, 3]),
                wholes("s", &[0, 0, 1 << 15, 1 << 16]),
                node("Pad", &["c", "s"], "e", &[]),
                exp("e"),
            ],
            step,
        ),
        (vec![zeros(&[1 << 16; 2]), node("Trilu", &["e"], "big", &[])], table),
        ([vec![reals("c0", &[4, 2])], chain("Concat", 29)].concat(), step),
        ([vec![reals("c0", &[4, 2])], chain("Concat", 60)].concat(), "the result would be too large"),
        (
            vec![reals("a", &[1 << 16, 1]), reals("b", &[1, 1 << 16]), node("MatMul", &["a", "b"], "e", &[]), exp("e")],
            step,
        ),
        (
            vec![
                reals("c", &[2, 1 << 16]),
                wholes("i", &[1; 1 << 14]),
                node("Gather", &["c", "i"], "e", &[]),
                exp("e"),
            ],
            step,
        ),
        (
            vec![
                wholes("s", &[1, 1, 1 << 30]),
                wholes("a", &[2]),
                node("Unsqueeze", &["x", "a"], "u", &[]),
                node("Expand", &["u", "s"], "e", &[]),
                exp("e"),
            ],
            step,
        ),
        // Fourteen layers of 4096 steps are some two million nodes.
        (
            vec![
                wholes("s", &[4096, 1, 1]),
                wholes("a", &[0]),
                node("Unsqueeze", &["x", "a"], "u", &[]),
                node("Expand", &["u", "s"], "e", &[]),
                layers,
                sum,
            ],
            " of memory, and ",
        ),
        (vec![tensor("big", 1, &[1 << 40, 1 << 40], &[])], "has more than 2 GB"),
        (vec![tensor("big", 1, &[1 << 14, 1 << 14], &[])], "has 0 bytes, but [16384, 16384] wants 1073741824"),
    ] {
        file(&here, "m.onnx", model(&parts));
        refused(&here, &["eval", "n.toml"], says);
    }
    // Empty nodes of two bytes each, which are hundreds in memory; and packed numbers of one byte.
    file(&here, "m.onnx", model(&[field(1, &[]).repeat(10 << 20)]));
    refused(&here, &["eval", "n.toml"], " of memory, and ");
    let numbers = [number(1, 1 << 26), number(2, 7), field(8, b"big"), field(7, &vec![1; 1 << 26])].concat();
    file(&here, "m.onnx", model(&[field(5, &numbers)]));
    refused(&here, &["eval", "n.toml"], " of memory, and ");
    refused(&here, &["eval", "n.toml", "--theta", "m.onnx"], " of memory, and ");
    // Numbers beside the file.
    let entry = |key: &[u8], value: &[u8]| field(13, &[field(1, key), field(2, value)].concat());
    let beside =
        [number(1, 400 << 20), number(2, 1), field(8, b"big"), entry(b"location", b"w"), number(14, 1)].concat();
    sparse(&here, "w", &[], 4 * (400 << 20));
    file(&here, "m.onnx", model(&[field(5, &beside)]));
    refused(&here, &["eval", "n.toml"], "tensor \"big\": cannot read \"w\": needs 1.6 GiB of memory, and ");
    // The limit leaves room for a network that is none of all this.
    file(&here, "m.onnx", model(&[reals("big", &[3])]));
    assert_eq!(limited(&here, &["eval", "n.toml"]).code, Some(0));
}

#[test]
fn numbers_of_a_configuration_that_ask_for_more_than_there_is_are_refused() {
    let here = folder("sizes_options");
    for (model, says) in [
        ("mlp:64-99999999-99999999-10:tanh", "more than 2^32 parameters"),
        ("mlp:64-8000000-10:tanh", "mlp:64-8000000-10:tanh: what is known of 600000010 parameters needs "),
        ("mlp:64-4000000:relu", "mlp:64-4000000:relu: "),
        ("transformer:vocabulary=17:context=1000000:width=4:heads=1:layers=1", " of memory, and "),
        ("cnn:65536x65536x1-2-10:relu:average", " of memory, and "),
        ("cnn:8x8x1-1000000-10:relu", "cnn:8x8x1-1000000-10:relu: "),
        ("resnet9:1024x1024x1-10:width=64", " of memory, and "),
    ] {
        file(&here, "n.toml", network(model, "digits"));
        refused(&here, &["eval", "n.toml"], says);
        refused(&here, &["run", "n.toml"], says);
    }
    refused(&here, &["model", "mlp:64-8000000-10:tanh", "--out", "m.onnx"], " of memory, and ");
    let of = |more: &str| file(&here, "r.toml", format!("{ROSENBROCK}{more}\n"));
    for (more, says) in [
        (
            "[complex]\nmethod = \"grid\"\nbox = [[-2, 2], [-2, 2]]\nsamples = [40000, 40000]",
            "needs 59.6 GiB of memory, and ",
        ),
        ("[complex]\nmethod = \"grid\"\nbox = [[-2, 2], [-2, 2]]\nsamples = 10000000000", "2^31 samples or more"),
        ("[complex]\nmethod = \"cloud\"\npoints = 1000000000", " of memory, and "),
        ("[complex]\nmethod = \"cloud\"\npoints = 10000000\nk = 9999999", " of memory, and "),
        ("[minima]\nstarts = 1000000000000", "at most 1000000"),
    ] {
        of(more);
        refused(&here, &["run", "r.toml"], says);
    }
    sparse(&here, "large.toml", ROSENBROCK.as_bytes(), LARGE);
    refused(&here, &["run", "large.toml"], "large.toml: needs 2.0 GiB of memory, and ");
    sparse(&here, "longer.toml", ROSENBROCK.as_bytes(), 1 << 26);
    refused(&here, &["eval", "longer.toml"], "longer.toml: 65 MiB of text: a configuration has less");
}

#[test]
fn barcodes_of_more_than_there_is_are_refused() {
    let here = folder("sizes_barcodes");
    file(&here, "a.pers", "0 1 2\n");
    let words = |n: u64| [8_067_171_840, 2, n].iter().flat_map(|word: &u64| word.to_le_bytes()).collect::<Vec<u8>>();
    let n = LARGE / 24;
    sparse(&here, "large.dipha", &words(n), 24 * n);
    sparse(&here, "half.dipha", &words(n / 16), 24 * (n / 16));
    sparse(&here, "lie.dipha", &words(1 << 60), 24);
    sparse(&here, "long.dipha", &words(1), 25);
    file(&here, "lines.pers", "1 2\n".repeat(LIMIT as usize >> 5));
    file(&here, "bars.json", format!("{{\"bars\": [{}]}}", "{},".repeat(LIMIT as usize >> 6)));
    for (name, says) in [
        ("large.dipha", "large.dipha: needs 2.0 GiB of memory, and "),
        ("half.dipha", "half.dipha: what it holds needs "),
        ("lie.dipha", "is a DIPHA diagram of 1152921504606846976 bars in a file of 48 bytes"),
        ("long.dipha", "is a DIPHA diagram of 1 bars in a file of 49 bytes"),
        ("lines.pers", "lines.pers: what it holds needs "),
        ("bars.json", "bars.json: what it holds needs "),
    ] {
        refused(&here, &["distance", "a.pers", name], says);
        refused(&here, &["export", name, "--to", "b.pers"], says);
    }
}
