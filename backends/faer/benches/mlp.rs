//! How fast a perceptron is evaluated on one core, beside the peak of one large matrix product in the same run.
//!
//! `cargo bench -p mountainpass-faer --bench mlp` prints a table; with the arguments `peer FOLDER WORKERS` it serves
//! `benches/peers/mlp.py` instead (see [`peer`]).

#[path = "../tests/caller/mod.rs"]
mod caller;
mod clock;

use caller::{Call, Data, Loss, Numbers};
use clock::clock;
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};
use mountainpass_sdk::Scalar;
use std::hint::black_box;

const WIDE: &str = "mlp:784-512-512-10:relu";
const BATCH: usize = 256;

/// The median processor time of a call in seconds, and of a product that stands for the peak, measured in turn.
fn time(calls: usize, mut call: impl FnMut(), mut yardstick: impl FnMut()) -> (f64, f64) {
    const ROUNDS: usize = 9;
    call();
    let (mut ours, mut peaks) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = clock();
        yardstick();
        let middle = clock();
        (0..calls).for_each(|_| call());
        ours.push((clock() - middle) / calls as f64);
        peaks.push(middle - start);
    }
    ours.sort_by(f64::total_cmp);
    peaks.sort_by(f64::total_cmp);
    (ours[ROUNDS / 2], peaks[ROUNDS / 2])
}

/// An n^3 product on one core; what the machine gives right now.
fn yardstick<T: Scalar + faer::traits::ComplexField>(n: usize) -> impl FnMut() {
    let mut numbers = Numbers(1);
    let mut random = || Mat::<T>::from_fn(n, n, |_, _| T::from_f64(numbers.next()));
    let (a, b) = (random(), random());
    let mut c = Mat::<T>::zeros(n, n);
    move || matmul(&mut c, Accum::Replace, &a, &b, T::from_f64(1.0), Par::Seq)
}

/// Flops of the products of one loss and gradient: three per weight and sample, two in the first layer.
fn flops(widths: &[usize], samples: usize) -> f64 {
    let weights: Vec<f64> = widths.windows(2).map(|w| (w[0] * w[1]) as f64).collect();
    2.0 * samples as f64 * (3.0 * weights.iter().sum::<f64>() - weights[0])
}

fn wide(workers: usize) -> (Loss, Vec<f32>) {
    let mut numbers = Numbers(2);
    let x = numbers.vector(BATCH * 784, 1.0).into_iter().map(|x| f64::from(x as f32)).collect();
    let data = Data { features: 784, x, y: (0..BATCH as i32).map(|i| i * 7 % 10).collect() };
    let mut loss = Loss::open(workers, WIDE, &[], Some(&data)).expect("the network opens");
    let theta = (0..20).flat_map(|seed| loss.start(seed)).map(|x| x as f32).collect();
    (loss, theta)
}

fn report(name: &str, (ours, peak): (f64, f64), flops: f64, n: usize) {
    let (speed, peak) = (flops / ours / 1e9, 2.0 * (n as f64).powi(3) / peak / 1e9);
    let share = 100.0 * speed / peak;
    println!("{name:<56} {:9.3} ms {speed:7.1} GFLOP/s {share:6.1} % of the peak {peak:.1}", 1e3 * ours);
}

fn table() {
    println!("one core, processor time, medians; the peak is a 2048^3 (f32) or 1024^3 (f64) product in turn");
    let (mut loss, theta) = wide(1);
    let p = loss.p;
    let work = flops(&[784, 512, 512, 10], BATCH);
    let mut buffers = loss.buffers::<f32>(20);
    let mut peak = yardstick::<f32>(2048);
    let one = time(4, || loss.run(black_box(&Call::new(&theta[..p])), &mut buffers), &mut peak);
    report("784-512-512-10 relu f32, 256 samples, 1 row", one, work, 2048);
    let many = time(1, || loss.run(black_box(&Call::new(&theta)), &mut buffers), &mut peak);
    report("the same, 20 rows", many, 20.0 * work, 2048);
    let ids: Vec<u64> = (0..BATCH as u64).rev().collect();
    let many = time(1, || loss.run(black_box(&Call { ids: Some(&ids), ..Call::new(&theta) }), &mut buffers), &mut peak);
    report("the same, 20 rows on one gathered minibatch", many, 20.0 * work, 2048);
    let one = time(8, || loss.run(black_box(&Call { grad: false, ..Call::new(&theta[..p]) }), &mut buffers), &mut peak);
    let forward = 2.0 * (BATCH * (784 * 512 + 512 * 512 + 5120)) as f64;
    report("the same, 1 row, loss alone", one, forward, 2048);

    let mut peak = yardstick::<f64>(1024);
    for activation in ["tanh", "relu", "gelu", "softplus"] {
        let spec = format!("mlp:64-8-10:{activation}");
        let mut loss = Loss::open(1, &spec, &[("data", "digits")], None).expect("the digits open");
        let (theta, dir) = (loss.start(1), loss.start(2));
        let mut buffers = loss.buffers::<f64>(1);
        let work = flops(&[64, 8, 10], 1437);
        let eval = time(50, || loss.run(black_box(&Call::new(&theta)), &mut buffers), &mut peak);
        report(&format!("digits 64-8-10 {activation} f64, loss + gradient"), eval, work, 1024);
        let call = Call { grad: false, dir: Some(&dir), ..Call::new(&theta) };
        let hvp = time(50, || loss.run(black_box(&call), &mut buffers), &mut peak);
        report(&format!("digits 64-8-10 {activation} f64, loss + Hessian product"), hvp, 2.0 * work, 1024);
    }
}

/// The side of a peer's script: writes samples, labels and parameter vectors to `x`, `theta` (f32) in `folder`, then
/// answers lines: `grad` evaluates all rows and writes `grad`; `time` evaluates them once and prints the wall and the
/// processor time in seconds. Labels are i * 7 mod 10.
fn peer(folder: &str, workers: usize) {
    let (mut loss, theta) = wide(workers);
    let p = loss.p;
    let write = |name: &str, values: &[f32]| {
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        std::fs::write(std::path::Path::new(folder).join(name), bytes).expect("the folder can be written");
    };
    let x: Vec<f32> = Numbers(2).vector(BATCH * 784, 1.0).into_iter().map(|x| x as f32).collect();
    write("x", &x);
    write("theta", &theta);
    println!("ready {p}");
    let mut buffers = loss.buffers::<f32>(theta.len() / p);
    for line in std::io::stdin().lines() {
        match line.expect("text").as_str() {
            "grad" => {
                write("grad", &loss.eval(Call::new(&theta)).expect("an answer").grad);
                println!("done");
            }
            "time" => {
                let (wall, start) = (std::time::Instant::now(), clock());
                loss.run(black_box(&Call::new(&theta)), &mut buffers);
                println!("{} {}", wall.elapsed().as_secs_f64(), clock() - start);
            }
            other => panic!("unknown command {other:?}"),
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    match &arguments[..] {
        [command, folder, workers] if command == "peer" => peer(folder, workers.parse().expect("a number of workers")),
        _ => table(),
    }
}
