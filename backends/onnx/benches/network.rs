//! What a network costs by ONNX Runtime and by the faer executor: opening, and one loss with its gradient.
//!
//! `cargo bench -p mountainpass-onnx --bench network`: medians of nine, in milliseconds of this machine's clock, as all
//! threads of both are waited for; ORT_DYLIB_PATH or the installed library is taken. `... -- cuda:0` adds a device.

#[path = "../../faer/tests/caller/mod.rs"]
mod caller;

use caller::{Array, Call, Loss};
use mountainpass_faer::Faer;
use mountainpass_onnx::Onnx;
use mountainpass_sdk::Backend;
use std::time::Instant;

const NETWORKS: [(&str, u64); 5] = [
    ("mlp:64-8-10:tanh", 256),
    ("mlp:784-512-512-10:relu", 256),
    ("resnet9:32x32x3-10:relu", 128),
    ("resnet20:32x32x3-10:relu", 64),
    ("transformer:vocabulary=96:context=64:width=128:heads=4:layers=2", 16),
];

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

/// Milliseconds of opening, and of a loss with its gradient.
fn cost<B: Backend>(threads: usize, spec: &str, n: u64, options: &[(&str, &str)]) -> Result<[f64; 2], String> {
    let (shape, x, labels, y) = arrays(spec, n);
    let arrays = [Array::reals(c"x", &shape, &x), Array::reals(c"y", &labels, &y)];
    let began = Instant::now();
    let mut loss = Loss::open_of::<B>(threads, spec, options, &arrays)?;
    let opened = began.elapsed().as_secs_f64() * 1e3;
    let theta: Vec<f32> = loss.start(1).into_iter().map(|x| x as f32).collect();
    let mut out = loss.buffers(1);
    loss.run(&Call::new(&theta), &mut out);
    let once = |_| {
        let began = Instant::now();
        loss.run(&Call::new(&theta), &mut out);
        began.elapsed().as_secs_f64() * 1e3
    };
    Ok([opened, median((0..9).map(once).collect())])
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let devices: Vec<&String> = wanted.iter().filter(|word| word.starts_with("cuda")).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{threads} threads; milliseconds: opened, loss and gradient");
    for (spec, n) in NETWORKS {
        let faer = cost::<Faer>(threads, spec, n, &[]).unwrap();
        println!("{spec} x {n}\n  faer      {:9.1} {:9.2}", faer[0], faer[1]);
        for device in std::iter::once("cpu").chain(devices.iter().map(|device| device.as_str())) {
            match cost::<Onnx>(threads, spec, n, &[("device", device)]) {
                Ok([opened, each]) => println!("  {device:<9} {opened:9.1} {each:9.2}   {:.2} of faer", each / faer[1]),
                Err(text) => println!("  {device:<9} {text}"),
            }
        }
    }
}
