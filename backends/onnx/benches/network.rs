//! What a network costs by ONNX Runtime and by the faer executor: opening, and one loss with its gradient.
//!
//! `cargo bench -p mountainpass-onnx --bench network`: medians of fifteen in milliseconds, by the clock and
//! of the processor, all threads together; ORT_DYLIB_PATH or the installed library is taken. `... -- cuda:0` adds a device, `... -- transformer` takes networks of
//! that name alone; `... -- rows` tells what a row costs by how many a run takes; `... -- write FILE SPEC SAMPLES` writes the model that a session is made of; with `peer` it
//! serves `benches/peers/network.py --onnx`.

#[path = "../../faer/tests/caller/mod.rs"]
mod caller;
#[path = "../../faer/benches/clock/mod.rs"]
mod clock;
#[path = "../../faer/benches/peer/mod.rs"]
mod peer;

use caller::{Array, Call, Loss};
use clock::clock;
use mountainpass_faer::Faer;
use mountainpass_network::DataTerm;
use mountainpass_network::build::Built;
use mountainpass_network::graph::Id;
use mountainpass_network::onnx::{Precision, Program};
use mountainpass_network::problem::{Aim, Problem};
use mountainpass_onnx::Onnx;
use mountainpass_sdk::{Backend, Scalar};
use std::time::Instant;

const NETWORKS: [(&str, u64); 5] = [
    ("mlp:64-8-10:tanh", 256),
    ("mlp:784-512-512-10:relu", 256),
    ("resnet9:32x32x3-10:relu", 128),
    ("resnet20:32x32x3-10:relu", 64),
    ("transformer:vocabulary=96:context=64:width=128:heads=4:layers=2", 16),
];

const ROUNDS: usize = 15;

/// Samples of any values, for whatever the network takes.
fn arrays(spec: &str, n: u64) -> (Vec<u64>, Vec<f64>, Vec<u64>, Vec<f64>) {
    let of = |shape: &[u64], modulus: u64| -> Vec<f64> {
        (0..shape.iter().product::<u64>()).map(|i| (i * i * 7 % modulus) as f64).collect()
    };
    let (shape, classes) = match spec.split(':').next().unwrap() {
        "transformer" => (vec![n, 64], 96),
        "mlp" => (vec![n, spec[4..].split('-').next().unwrap().parse().unwrap()], 10),
        _ => (vec![n, 32, 32, 3], 10),
    };
    let labels = if classes == 96 { shape.clone() } else { vec![n] };
    let x = of(&shape, 96).into_iter().map(|x| if classes == 96 { x } else { x / 96.0 }).collect();
    let y = of(&labels, classes);
    (shape, x, labels, y)
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Milliseconds of opening, and of a loss with its gradient: by the clock, and of the processor.
fn cost<B: Backend>(threads: usize, spec: &str, n: u64, options: &[(&str, &str)]) -> Result<[f64; 3], String> {
    let (shape, x, labels, y) = arrays(spec, n);
    let arrays = [Array::reals(c"x", &shape, &x), Array::reals(c"y", &labels, &y)];
    let began = Instant::now();
    let mut loss = Loss::open_of::<B>(threads, spec, options, &arrays)?;
    let opened = began.elapsed().as_secs_f64() * 1e3;
    let theta: Vec<f32> = loss.start(1).into_iter().map(|x| x as f32).collect();
    let mut out = loss.buffers(1);
    loss.run(&Call::new(&theta), &mut out);
    let once = |_| {
        let (began, used) = (Instant::now(), clock());
        loss.run(&Call::new(&theta), &mut out);
        (began.elapsed().as_secs_f64() * 1e3, (clock() - used) * 1e3)
    };
    let (wall, used): (Vec<f64>, Vec<f64>) = (0..ROUNDS).map(once).unzip();
    Ok([opened, median(wall), median(used)])
}

/// Small networks, for a few samples and for as many as a chunk has.
const SMALL: [(&str, u64); 6] = [
    ("mlp:2-4-10:tanh", 4),
    ("mlp:4-8-10:tanh", 100),
    ("mlp:64-8-10:tanh", 40),
    ("mlp:64-8-10:tanh", 256),
    ("mlp:64-8-10:tanh", 1437),
    ("mlp:784-32-10:tanh", 256),
];
/// Rows of a call, and how many of them a run takes.
const CALL: usize = 64;
const A_RUN: [&str; 6] = ["1", "2", "4", "8", "16", "32"];

/// The least microseconds of the processor that a row with its gradient took, one worker alone.
fn a_row<B: Backend, T: Scalar>(spec: &str, n: u64, options: &[(&str, &str)]) -> f64 {
    let (shape, x, labels, y) = arrays(spec, n);
    let arrays = [Array::reals(c"x", &shape, &x), Array::reals(c"y", &labels, &y)];
    let mut loss = Loss::open_of::<B>(1, spec, options, &arrays).expect("it opens");
    let theta: Vec<T> = (0..CALL as u64).flat_map(|seed| loss.start(seed)).map(T::from_f64).collect();
    let mut out = loss.buffers(CALL);
    loss.run(&Call::new(&theta), &mut out);
    let once = |_| {
        let used = clock();
        loss.run(&Call::new(&theta), &mut out);
        (clock() - used) * 1e6 / CALL as f64
    };
    (0..4 * ROUNDS).map(once).fold(f64::INFINITY, f64::min)
}

/// What a row costs by faer, and by how many of them a run takes.
fn rows<T: Scalar>() {
    for (spec, n) in SMALL {
        let of = |rows| format!("{:8.1}", a_row::<Onnx, T>(spec, n, &[("rows_per_run", rows)]));
        let all = A_RUN.map(of).join("");
        println!("{:<20}{n:>5} f{}{:8.1} |{all}", spec, 8 * size_of::<T>(), a_row::<Faer, T>(spec, n, &[]));
    }
}

/// The model that sessions are made of, for so many samples: a file for the profilers of others.
fn write(file: &str, spec: &str, n: usize) {
    let model = Built::parse(spec).expect("a specification");
    let problem = Problem::new(&model, &DataTerm::CrossEntropy.into(), (Aim::Classes, None), n).expect("a problem");
    let outputs: Vec<Id> = std::iter::once(problem.losses).chain(problem.gradient).collect();
    let program = Program::new(&problem.graph, &outputs, Precision::Single).expect("it is written");
    std::fs::write(file, program.bytes).expect("the file can be written");
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let words: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let count = |text: &str| text.parse().expect("a number");
    match words[..] {
        ["rows"] => {
            println!("microseconds of the processor a row: faer | rows_per_run = {}", A_RUN.join(", "));
            rows::<f32>();
            return rows::<f64>();
        }
        ["write", file, spec, n] => return write(file, spec, count(n)),
        ["peer", folder, spec, n, workers, rows, _] => {
            return peer::peer::<Onnx, f32>(folder, spec, count(n), count(workers), count(rows));
        }
        _ => {}
    }
    let (devices, names): (Vec<&String>, Vec<&String>) = wanted.iter().partition(|word| word.starts_with("cuda"));
    let is_wanted = |spec: &str| names.is_empty() || names.iter().any(|name| spec.starts_with(name.as_str()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{threads} threads; milliseconds: opened, loss and gradient by the clock, of the processor");
    for (spec, n) in NETWORKS.into_iter().filter(|(spec, _)| is_wanted(spec)) {
        let faer = cost::<Faer>(threads, spec, n, &[]).unwrap();
        println!("{spec} x {n}\n  faer      {:9.1} {:9.2} {:9.2}", faer[0], faer[1], faer[2]);
        for device in std::iter::once("cpu").chain(devices.iter().map(|device| device.as_str())) {
            match cost::<Onnx>(threads, spec, n, &[("device", device)]) {
                Ok([opened, each, used]) => println!(
                    "  {device:<9} {opened:9.1} {each:9.2} {used:9.2}   {:.2}, {:.2} of faer",
                    each / faer[1],
                    used / faer[2]
                ),
                Err(text) => println!("  {device:<9} {text}"),
            }
        }
    }
}
