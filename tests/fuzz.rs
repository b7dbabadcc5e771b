//! Broken files of every format that is read: each is read, or refused in one line; nothing panics, nothing ends the
//! process.
//!
//! `cargo test --test fuzz` looks at some hundred files of each kind. `cargo fuzz-files` (`.cargo/config.toml`) looks
//! as long as `MPASS_FUZZ_SECONDS` says at each kind, from `MPASS_FUZZ_SEED` on, at one kind alone if `MPASS_FUZZ_ONLY`
//! names it, and prints how many it saw. ONNX files have a fuzzer of their own, which knows their messages:
//! `PROPTEST_CASES=100000 cargo test -p mountainpass-network --test onnx_fuzz`; plugins have `mpass check fuzz`.
#![cfg(all(feature = "cli", feature = "surfaces"))]

#[path = "../backends/network/tests/archive/mod.rs"]
mod archive;
mod built;

use archive::zip;
use mountainpass::config::Config;
use mountainpass::report::{self, diagram};
use mountainpass::search::{Descent, Evidence, Finding, Minimum, Origin};
use mountainpass::store::{Provenance, Store, salvage};
use mountainpass::{npy, plain};
use mountainpass_network::Dataset;
use mountainpass_network::checkpoint::Checkpoint;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What reads a file; the fault, if any, as its line.
type Reader = fn(&Path) -> Result<(), String>;

/// A kind of file: its name, good files, what reads it.
struct Kind {
    name: &'static str,
    seeds: Vec<Vec<u8>>,
    /// The name that a file has.
    file: &'static str,
    read: Reader,
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

fn dataset(file: &Path) -> Result<(), String> {
    Dataset::open(file.to_str().unwrap_or_default()).map(drop).map_err(|error| error.text)
}

fn tokens(file: &Path) -> Result<(), String> {
    let options = [("data", file.to_str().unwrap_or_default()), ("context", "2")];
    let mut request = mountainpass_sdk::Open::new("a model", &options);
    Dataset::from_options(&mut request).map(drop).map_err(|error| error.text)
}

/// A data set in a folder whose other files are whole.
fn folder_of(file: &Path) -> Result<(), String> {
    dataset(file.parent().unwrap_or(file))
}

fn checkpoint(file: &Path) -> Result<(), String> {
    let read = Checkpoint::read(file).map_err(|error| error.text)?;
    let block = |name: &str, shape: &[u64], offset| mountainpass_sdk::Parameter {
        name: name.to_owned(),
        shape: shape.to_vec(),
        offset,
    };
    read.theta(&[block("w", &[2, 3], 0), block("b", &[3], 6)], 9, None).map(drop)
}

/// A database that opens is read to its end, and so is what can be saved of one that does not.
fn landscape(file: &Path) -> Result<(), String> {
    let saved = file.with_extension("saved");
    let _ = std::fs::remove_file(&saved);
    let salvaged = salvage(file, &saved).map_err(text);
    if salvaged.is_ok() {
        let store = Store::open(&saved).map_err(|e| format!("what was saved does not open: {e}"))?;
        let found = store.landscape().map_err(text)?;
        assert_eq!(found.flaw(2, 0.0), None, "what was saved is whole");
    }
    let store = Store::open(file).map_err(text)?;
    let (found, _, _) =
        (store.landscape().map_err(text)?, store.provenance().map_err(text)?, store.record().map_err(text)?);
    found.flaw(2, 0.0).map_or(Ok(()), |flaw| Err(flaw.to_string()))
}

fn arrays() -> Vec<Vec<u8>> {
    let array = |shape: &[usize], values: npy::Values| npy::bytes(&npy::Array { shape: shape.to_vec(), values });
    let mut seeds = vec![
        array(&[9], (0..9).map(f64::from).collect::<Vec<f64>>().into()),
        array(&[3, 4], (0..12).map(f64::from).collect::<Vec<f64>>().into()),
        array(&[0], Vec::<f64>::new().into()),
    ];
    let fortran = String::from_utf8_lossy(&seeds[1]).contains("'fortran_order': False");
    if fortran {
        let bytes = seeds[1].clone();
        let at = bytes.windows(5).position(|window| window == b"False").unwrap_or(0);
        seeds.push([&bytes[..at], b"True ", &bytes[at + 5..]].concat());
    }
    seeds
}

fn safetensors() -> Vec<u8> {
    let head = br#"{"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"F64","shape":[3],"data_offsets":[24,48]}}"#;
    [&(head.len() as u64).to_le_bytes()[..], head, &[63; 48]].concat()
}

fn idx(dims: &[u32], bytes: &[u8]) -> Vec<u8> {
    let head = [0, 0, 8, dims.len() as u8].into_iter().chain(dims.iter().flat_map(|n| n.to_be_bytes()));
    head.chain(bytes.iter().copied()).collect()
}

fn database(scratch: &Path) -> Vec<u8> {
    let file = scratch.join("seed.sqlite");
    let _ = std::fs::remove_file(&file);
    let mut store = Store::create(&file, &Provenance { parameters: 2, ..Provenance::default() }).unwrap();
    let minima: Vec<Minimum> = (0..12)
        .map(|cell| Minimum {
            cell,
            origin: Origin::Start { seed: cell },
            descent: Descent::Converged,
            theta: vec![cell as f64, 0.5],
            loss: cell as f64,
            evidence: Evidence::default(),
            same_as: None,
            metrics: vec![("train accuracy".to_owned().into(), 0.5)],
            evaluations: 3,
        })
        .collect();
    store.commit(&minima.iter().map(Finding::Minimum).collect::<Vec<_>>()).unwrap();
    store.commit(&[Finding::Values(0, &[1.0, 2.0]), Finding::Noise(1e-9)]).unwrap();
    store.close().unwrap();
    std::fs::read(file).unwrap()
}

fn examples() -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(built::root().join("examples")).unwrap();
    let files = entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "toml"));
    let mut files: Vec<PathBuf> = files.collect();
    files.sort();
    files.into_iter().map(|file| std::fs::read(file).unwrap()).collect()
}

fn kinds(scratch: &Path) -> Vec<Kind> {
    let json = br#"{"format": "mountainpass.barcode", "version": 1, "space": "raw", "superlevel": false,
        "coefficients": "Z/2", "bars": [{"degree":0,"birth":0.5,"death":null,"birth_cell":3,"death_cell":null,
        "death_kind":null},{"degree":1,"birth":0.5,"death":2.25,"birth_cell":4,"death_cell":9,"death_kind":"cell"}]}"#;
    let dipha: Vec<u8> = [8_067_171_840_i64, 2, 1, 0, 0.25_f64.to_bits() as i64, 9_f64.to_bits() as i64]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    let labels = npy::Array { shape: vec![3], values: npy::Values::I64(vec![0, 1, 2]) };
    let ids = npy::bytes(&npy::Array { shape: vec![9], values: npy::Values::I64((0..9).collect()) });
    let data = zip(&[("x.npy", arrays().remove(1)), ("y.npy", npy::bytes(&labels))], false);
    let reals = |shape: &[usize]| {
        let n = shape.iter().product::<usize>();
        npy::bytes(&npy::Array { shape: shape.to_vec(), values: vec![0.5; n].into() })
    };
    let tensors = zip(&[("w.npy", reals(&[2, 3])), ("b.npy", reals(&[3]))], false);
    let images = idx(&[3, 2, 2], &[7; 12]);
    std::fs::create_dir_all(scratch.join("mnist")).unwrap();
    std::fs::write(scratch.join("mnist/train-labels-idx1-ubyte"), idx(&[3], &[0, 1, 2])).unwrap();
    let kind = |name, file, read, seeds| Kind { name, seeds, file, read };
    vec![
        kind("config", "run.toml", |file| Config::read(file).map(drop).map_err(text), examples()),
        kind("npy", "a.npy", |file| npy::read(file).map(drop).map_err(text), arrays()),
        kind(
            "barcode",
            "b",
            |file| diagram::read(file).map(drop).map_err(text),
            vec![json.to_vec(), b"# bars\n0 0.5 1\n1 2 inf\n".to_vec(), dipha],
        ),
        kind(
            "barcode.json",
            "barcode.json",
            |file| report::BarcodeFile::read(file).map(drop).map_err(text),
            vec![json.to_vec()],
        ),
        kind("landscape", "landscape.sqlite", landscape, vec![database(scratch)]),
        kind("npz data", "d.npz", dataset, vec![data]),
        kind("tokens", "t.npy", tokens, vec![ids]),
        kind("mnist", "mnist/train-images-idx3-ubyte", folder_of, vec![images]),
        kind("theta.npz", "t.npz", checkpoint, vec![tensors]),
        kind("theta.npy", "c.npy", checkpoint, arrays()),
        kind("safetensors", "t.safetensors", checkpoint, vec![safetensors()]),
    ]
}

/// Another file made of good ones.
fn broken(seeds: &[Vec<u8>], random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut below = |n: usize| (random.next_u64() % n.max(1) as u64) as usize;
    let mut bytes = seeds[below(seeds.len())].clone();
    for _ in 0..1 + below(4) {
        let at = below(bytes.len().max(1)).min(bytes.len());
        let most = bytes.len() - at;
        match below(8) {
            0 if most > 0 => bytes[at] ^= 1 << below(8),
            1 if most > 0 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'9', b'-', b'"', b'[', b'\n'][below(10)],
            // Numbers that sizes are made of.
            2 if most >= 8 => {
                let odd = [0, 1, u64::MAX, 1 << 31, 1 << 32, 1 << 62, i64::MAX as u64, 0x7ff8 << 48][below(8)];
                let (wide, big) = (below(2) == 0, below(2) == 0);
                let number = if big { odd.to_be_bytes() } else { odd.to_le_bytes() };
                let n = if wide { 8 } else { 4 };
                bytes[at..at + n].copy_from_slice(&number[..n]);
            }
            3 => bytes.truncate(at),
            4 => {
                let n = below(most.min(64) + 1);
                bytes.drain(at..at + n);
            }
            5 => {
                let n = below(most.min(64) + 1);
                let again = bytes[at..at + n].to_vec();
                bytes.splice(at..at, again);
            }
            // Digits: the sizes of what is written as text.
            6 => {
                if let Some(digit) = bytes[at..].iter().position(u8::is_ascii_digit) {
                    let odd = ["99999999999999999999", "-1", "0", "1e999", "2147483648", "4294967296", "nan"][below(7)];
                    bytes.splice(at + digit..at + digit + 1, odd.bytes());
                }
            }
            _ => {
                let other = &seeds[below(seeds.len())];
                let from = below(other.len().max(1)).min(other.len());
                bytes.truncate(at);
                bytes.extend(&other[from..]);
            }
        }
    }
    bytes
}

/// Tells which file it was when a reader panics, and keeps it.
struct Blame<'a> {
    kind: &'a str,
    file: &'a Path,
    seed: u64,
}

impl Drop for Blame<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{} from MPASS_FUZZ_SEED={}: {} is what was read", self.kind, self.seed, self.file.display());
        }
    }
}

#[test]
fn whatever_is_in_a_file_it_is_read_or_refused_in_one_line() {
    let scratch = built::folder("fuzz");
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (seconds, only) = (number("MPASS_FUZZ_SECONDS"), std::env::var("MPASS_FUZZ_ONLY").ok());
    for kind in kinds(&scratch) {
        if only.as_ref().is_some_and(|only| only != kind.name) {
            continue;
        }
        let file = scratch.join(kind.file);
        let (begun, mut seed) = (Instant::now(), number("MPASS_FUZZ_SEED").unwrap_or(26));
        let (mut count, mut fine) = (0u64, 0u64);
        let goes_on = |count: u64| match seconds {
            Some(seconds) => begun.elapsed() < Duration::from_secs(seconds),
            None => count < 200,
        };
        for good in &kind.seeds {
            std::fs::write(&file, good).unwrap();
            let read = (kind.read)(&file);
            fine += u64::from(read.is_ok());
        }
        assert!(fine > 0, "{}: no good file is read", kind.name);
        while goes_on(count) {
            let bytes = broken(&kind.seeds, &mut ChaCha8Rng::seed_from_u64(seed));
            std::fs::write(&file, bytes).unwrap();
            let blame = Blame { kind: kind.name, file: &file, seed };
            match (kind.read)(&file) {
                Ok(()) => fine += 1,
                Err(line) => assert!(!line.is_empty() && !plain::lines(&line).contains('\n'), "{line:?}"),
            }
            drop(blame);
            (count, seed) = (count + 1, seed + 1);
        }
        println!("{:<13} {count} files, {fine} of them read", kind.name);
    }
}
