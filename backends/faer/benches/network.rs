//! Networks by name or from files, loss and gradient on random samples.
//!
//! `cargo bench -p mountainpass-faer --bench network -- steps SPEC SAMPLES [f64]` times every step of the plan of so many
//! samples, in f32 unless it says otherwise, and prints the slowest; with `peer FOLDER SPEC SAMPLES WORKERS ROWS DTYPE` it serves
//! `benches/peers/network.py` (see [`peer()`]).

#[path = "../tests/caller/mod.rs"]
mod caller;
mod clock;
mod peer;

use clock::clock;
use mountainpass_faer::Faer;
use mountainpass_faer::Real;
use mountainpass_faer::graph::{Input, Memory, Plan, Sources};
use mountainpass_network::DataTerm;
use mountainpass_network::graph::op::Element;
use mountainpass_network::problem::{Aim, Problem};
use peer::{Batch, batch, model, peer};

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
            "f64" => peer::<Faer, f64>(folder, spec, count(n), count(workers), count(rows)),
            _ => peer::<Faer, f32>(folder, spec, count(n), count(workers), count(rows)),
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
