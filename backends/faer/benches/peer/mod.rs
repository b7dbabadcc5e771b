//! Our side of `benches/peers/network.py`, by any backend.

use crate::caller::{Array, Call, Loss, Numbers};
use crate::clock::clock;
use mountainpass_faer::Real;
use mountainpass_network::build::Built;
use mountainpass_network::graph::op::Element;
use mountainpass_network::model::Model;
use mountainpass_network::onnx::{self, OnnxModel};
use mountainpass_sdk::Backend;
use std::hint::black_box;

/// Samples of a network and what they should lead to.
pub struct Batch {
    pub x: Vec<f64>,
    shape: Vec<u64>,
    pub y: Vec<f64>,
    labels: Vec<u64>,
}

/// A network by name, or a file.
pub fn model(spec: &str) -> Box<dyn Model> {
    match onnx::file(spec) {
        Some(path) => Box::new(OnnxModel::open(path, &onnx::Options::default()).expect("a file of a network")),
        None => Box::new(Built::parse(spec).expect("a specification")),
    }
}

/// Images are uniform on [-1, 1); tokens, and labels, are i * i * 7 mod their number.
pub fn batch(model: &dyn Model, n: usize) -> Batch {
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
pub fn peer<B: Backend, T: Real>(folder: &str, spec: &str, n: usize, workers: usize, rows: usize) {
    let Batch { x, shape, y, labels } = batch(&*model(spec), n);
    let arrays = [Array::reals(c"x", &shape, &x), Array::reals(c"y", &labels, &y)];
    let mut loss = Loss::open_of::<B>(workers, spec, &[], &arrays).expect("the network opens");
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
