//! Networks by name or from files, loss and gradient on random samples.
//!
//! `cargo bench -p mountainpass-faer --bench network -- steps SPEC SAMPLES [f64]` times every step of the plan of so many
//! samples, in f32 unless it says otherwise, and prints the slowest; with `peer FOLDER SPEC SAMPLES WORKERS ROWS DTYPE` it serves
//! `benches/peers/network.py` (see [`peer`]).

#[path = "../tests/caller/mod.rs"]
mod caller;
mod clock;

use caller::{Array, Call, Loss, Numbers};
use clock::clock;
use mountainpass_faer::Real;
use mountainpass_faer::graph::{Input, Memory, Plan, Sources};
use mountainpass_network::DataTerm;
use mountainpass_network::build::Built;
use mountainpass_network::graph::op::Element;
use mountainpass_network::model::Model;
use mountainpass_network::onnx::{self, OnnxModel};
use mountainpass_network::problem::{Aim, Problem};
use std::hint::black_box;

/// Samples of a network and what they should lead to.
struct Batch {
    x: Vec<f64>,
    shape: Vec<u64>,
    y: Vec<f64>,
    labels: Vec<u64>,
}

/// A network by name, or a file.
fn model(spec: &str) -> Box<dyn Model> {
    match onnx::file(spec) {
        Some(path) => Box::new(OnnxModel::open(path, &onnx::Options::default()).expect("a file of a network")),
        None => Box::new(Built::parse(spec).expect("a specification")),
    }
}

/// Images are uniform on [-1, 1); tokens, and labels, are i * i * 7 mod their number.
fn batch(model: &dyn Model, n: usize) -> Batch {
    let feature = &model.features()[0];
    let shape: Vec<u64> = [n].iter().chain(&feature.shape).map(|d| *d as u64).collect();
    let count: usize = shape.iter().product::<u64>() as usize;
    let network = model.network(n).expect("the network is built");
    let output = network.graph.shape(network.output);
    let labels: Vec<u64> = output[..output.len() - 1].iter().map(|d| *d as u64).collect();
    let token = |i: usize, of: usize| (i * i * 7 % of) as f64;
    let classes = output[output.len() - 1];
    let x = match feature.element {
        Element::Real => Numbers(2).vector(count, 1.0).into_iter().map(|x| f64::from(x as f32)).collect(),
        Element::Index => (0..count).map(|i| token(i + 3, classes)).collect(),
    };
    let y = (0..labels.iter().product::<u64>() as usize).map(|i| token(i, classes)).collect();
    Batch { x, shape, y, labels }
}

/// Kibibytes of this process by the name of a line of its status; 0 where the system tells none.
fn resident(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    line.and_then(|line| line.trim_start_matches(':').trim().split(' ').next()?.parse().ok()).unwrap_or(0)
}

/// The side of a peer's script. It writes `x`, `y` and `theta` (f64) to `folder`, then answers lines: `grad` and `exact`
/// write the gradient and, behind it, the loss, computed in `T` and in f64, to `grad` (f64); `time` evaluates so many
/// rows in one call and prints wall and processor time in seconds; `memory` prints the kibibytes by which the first evaluation raised the
/// peak of the process.
fn peer<T: Real>(folder: &str, spec: &str, n: usize, workers: usize, rows: usize) {
    let Batch { x, shape, y, labels } = batch(&*model(spec), n);
    let arrays = [Array::reals(c"x", &shape, &x), Array::reals(c"y", &labels, &y)];
    let mut loss = Loss::open_arrays(workers, spec, &[], &arrays).expect("the network opens");
    let wide: Vec<f64> = loss.start(0).into_iter().map(|x| f64::from(x as f32)).collect();
    let theta: Vec<T> = wide.iter().map(|x| T::of(*x)).collect();
    let write = |name: &str, values: &[f64]| {
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        std::fs::write(std::path::Path::new(folder).join(name), bytes).expect("the folder can be written");
    };
    write("x", &x);
    write("y", &y);
    write("theta", &wide);
    let mut buffers = loss.buffers::<T>(1);
    let before = resident("VmRSS");
    loss.run(black_box(&Call::new(&theta)), &mut buffers);
    let grown = resident("VmHWM").saturating_sub(before);
    let path = theta.repeat(rows);
    let mut along = loss.buffers::<T>(rows);
    println!("ready {}", loss.p);
    for line in std::io::stdin().lines() {
        match line.expect("text").as_str() {
            "grad" => {
                let answer = loss.eval(Call::new(&theta)).expect("an answer");
                let grad: Vec<f64> = answer.grad.iter().map(|x| x.to_f64()).chain(answer.loss).collect();
                write("grad", &grad);
                println!("done");
            }
            "exact" => {
                let answer = loss.eval(Call::new(&wide)).expect("an answer");
                write("grad", &[answer.grad, answer.loss].concat());
                println!("done");
            }
            "time" => {
                let (wall, start) = (std::time::Instant::now(), clock());
                loss.run(black_box(&Call::new(&path)), &mut along);
                println!("{} {}", wall.elapsed().as_secs_f64(), clock() - start);
            }
            "memory" => println!("{grown}"),
            other => panic!("unknown command {other:?}"),
        }
    }
}

/// Median times of all steps of one plan, the slowest first.
fn steps<T: Real>(spec: &str, n: usize) {
    let model = model(spec);
    let Batch { x, y, .. } = batch(&*model, n);
    let problem = Problem::new(&*model, &DataTerm::CrossEntropy.into(), (Aim::Classes, None), n).expect("a problem");
    let outputs: Vec<_> = std::iter::once(problem.losses).chain(problem.gradient).collect();
    let plan = Plan::new(&problem.graph, &outputs).expect("a plan");
    let narrow = |x: &[f64]| x.iter().map(|x| T::of(*x)).collect::<Vec<T>>();
    let whole = |x: &[f64]| x.iter().map(|x| *x as i64).collect::<Vec<i64>>();
    let (reals, indices, labels) = (narrow(&x), whole(&x), whole(&y));
    let first = match model.features()[0].element {
        Element::Real => Input::Real(&reals),
        Element::Index => Input::Index(&indices),
    };
    let inputs = [first, Input::Index(&labels)];
    let theta = narrow(&model.start(0).expect("a start"));
    let mut memory = Memory::default();
    let sources = Sources { inputs: &inputs, theta: &theta, direction: &[] };
    const ROUNDS: usize = 11;
    let mut seen = vec![Vec::new(); plan.steps()];
    for _ in 0..ROUNDS {
        let starts = std::cell::RefCell::new(Vec::with_capacity(plan.steps() + 1));
        let stop = || {
            starts.borrow_mut().push(clock());
            false
        };
        plan.run(&mut memory, sources, &stop).expect("the plan runs");
        stop();
        let starts = starts.into_inner();
        starts.windows(2).zip(&mut seen).for_each(|(pair, seen)| seen.push(pair[1] - pair[0]));
    }
    let median = |(k, seen): (usize, &mut Vec<f64>)| {
        seen.sort_by(f64::total_cmp);
        (seen[ROUNDS / 2], k)
    };
    let mut medians: Vec<(f64, usize)> = seen.iter_mut().enumerate().map(median).collect();
    medians.sort_by(|a, b| b.0.total_cmp(&a.0));
    let total: f64 = medians.iter().map(|(time, _)| time).sum();
    let arrays = memory.bytes() as f64 / 1e6;
    println!("{spec}, {n} samples: {:.2} ms in {} steps, {arrays:.1} MB", 1e3 * total, plan.steps());
    for (time, k) in medians.iter().filter(|(time, _)| *time > total / 2000.0) {
        println!("{:8.3} ms {:5.1} %  step {k}: {}", 1e3 * time, 100.0 * time / total, plan.describe(*k));
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let count = |text: &str| text.parse().expect("a number");
    match arguments[..] {
        ["peer", folder, spec, n, workers, rows, dtype] => match dtype {
            "f64" => peer::<f64>(folder, spec, count(n), count(workers), count(rows)),
            _ => peer::<f32>(folder, spec, count(n), count(workers), count(rows)),
        },
        ["steps", spec, n] => steps::<f32>(spec, count(n)),
        ["steps", spec, n, "f64"] => steps::<f64>(spec, count(n)),
        _ => [
            ("resnet9:32x32x3-10:relu", 16),
            ("resnet9:32x32x3-10:relu:batchnorm", 128),
            ("transformer:vocabulary=96:context=64:width=128:heads=4:layers=2", 8),
        ]
        .into_iter()
        .for_each(|(spec, n)| steps::<f32>(spec, n)),
    }
}
