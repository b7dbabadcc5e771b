//! How fast graphs run on one core: a perceptron beside the specialised path, convolutions, and a small residual network,
//! beside the peak of one large matrix product in the same run.
//!
//! `cargo bench -p mountainpass-faer --bench graph` prints a table; with the arguments `peer FOLDER` it serves
//! `benches/peers/conv.py` instead (see [`peer`]).

#[path = "../tests/caller/mod.rs"]
mod caller;
mod clock;

use caller::{Call, Data, Loss, Numbers};
use clock::clock;
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};
use mountainpass_faer::graph::{Input, Memory, Plan, Sources};
use mountainpass_network::graph::op::{Element, Op, Unary, Window};
use mountainpass_network::graph::{Graph, Id};
use mountainpass_network::model::Model;
use mountainpass_network::onnx::{Precision, write};
use mountainpass_sdk::Error;
use std::hint::black_box;

const BATCH: usize = 256;

/// Median processor times in seconds of calls taken in turn.
fn times<const N: usize>(rounds: usize, calls: &mut [&mut dyn FnMut(); N]) -> [f64; N] {
    calls.iter_mut().for_each(|call| call());
    let mut seen = [const { Vec::new() }; N];
    for _ in 0..rounds {
        for (call, seen) in calls.iter_mut().zip(&mut seen) {
            let start = clock();
            call();
            seen.push(clock() - start);
        }
    }
    seen.map(|mut seen| {
        seen.sort_by(f64::total_cmp);
        seen[seen.len() / 2]
    })
}

/// A 1024^3 product on one core; what the machine gives right now.
fn yardstick() -> impl FnMut() {
    let mut numbers = Numbers(1);
    let mut random = || Mat::<f32>::from_fn(1024, 1024, |_, _| numbers.next() as f32);
    let (a, b) = (random(), random());
    let mut c = Mat::<f32>::zeros(1024, 1024);
    move || matmul(&mut c, Accum::Replace, &a, &b, 1.0, Par::Seq)
}

/// A loss and its gradient by blocks of theta.
struct Built {
    plan: Plan,
    /// Offsets of the blocks of theta in the order of the outputs, behind the loss.
    blocks: Vec<usize>,
    p: usize,
}

/// Collects parameters while a graph is built.
struct Builder {
    graph: Graph,
    blocks: Vec<(usize, Id)>,
    p: usize,
}

impl Builder {
    fn new() -> Builder {
        Builder { graph: Graph::new(), blocks: Vec::new(), p: 0 }
    }

    fn parameter(&mut self, shape: Vec<usize>) -> Result<Id, Error> {
        let count: usize = shape.iter().product();
        let id = self.graph.parameter(self.p, shape)?;
        self.blocks.push((self.p, id));
        self.p += count;
        Ok(id)
    }

    /// Convolution of 3x3, bias, relu.
    fn layer(&mut self, x: Id, from: usize, to: usize) -> Result<Id, Error> {
        let w = self.parameter(vec![3, 3, from, to])?;
        let bias = self.parameter(vec![to])?;
        let y = self.graph.convolve(x, w, WINDOW, 1)?;
        let y = self.graph.add(y, bias)?;
        self.graph.unary(Unary::Relu, y)
    }

    /// The mean cross-entropy and its gradient.
    fn finish(mut self, logits: Id, labels: Id) -> Result<Built, Error> {
        let g = &mut self.graph;
        let losses = g.cross_entropy(logits, labels)?;
        let seed = g.fill_like(1.0 / g.shape(losses)[0] as f64, losses)?;
        let by: Vec<Id> = self.blocks.iter().map(|(_, id)| *id).collect();
        let gradient = g.gradient(losses, seed, &by)?;
        let weighted = g.mul(losses, seed)?;
        let loss = g.sum(weighted, &[0, 1])?;
        let outputs: Vec<Id> = std::iter::once(loss).chain(gradient.into_iter().flatten()).collect();
        let plan = Plan::new(g, &outputs)?;
        Ok(Built { plan, blocks: self.blocks.iter().map(|(offset, _)| *offset).collect(), p: self.p })
    }
}

impl Built {
    /// Runs it and lays the gradient out as theta is.
    fn run(&self, memory: &mut Memory<f32>, inputs: &[Input<'_, f32>], theta: &[f32], grad: &mut [f32]) {
        let sources = Sources { inputs, theta, direction: &[] };
        self.plan.run(memory, black_box(sources), &|| false).expect("the plan runs");
        for (k, offset) in self.blocks.iter().enumerate() {
            let block = memory.output(k + 1);
            grad[*offset..offset + block.len()].copy_from_slice(block);
        }
    }
}

fn mlp() -> Result<Built, Error> {
    let mut b = Builder::new();
    let mut x = b.graph.input(0, vec![BATCH, 784], Element::Real)?;
    let labels = b.graph.input(1, vec![BATCH], Element::Index)?;
    for (from, to) in [(784, 512), (512, 512), (512, 10)] {
        let w = b.parameter(vec![to, from])?;
        let bias = b.parameter(vec![to])?;
        let w = b.graph.flip(w)?;
        let z = b.graph.matmul(x, w)?;
        let z = b.graph.add(z, bias)?;
        x = if to == 10 { z } else { b.graph.unary(Unary::Relu, z)? };
    }
    b.finish(x, labels)
}

const WINDOW: Window = Window { kernel: [3, 3], strides: [1, 1], dilations: [1, 1], begin: [1, 1], end: [1, 1] };

/// Images of 32x32x3: a layer of `width`, then a pool and a layer of twice the channels with a residual block of two, twice.
fn resnet9(n: usize, width: usize) -> Result<Built, Error> {
    let mut b = Builder::new();
    let x = b.graph.input(0, vec![n, 32, 32, 3], Element::Real)?;
    let labels = b.graph.input(1, vec![n], Element::Index)?;
    let half = Window { strides: [2, 2], ..Window::new([2, 2]) };
    let mut y = b.layer(x, 3, width)?;
    for (from, to, residual) in [(width, 2 * width, true), (2 * width, 4 * width, false), (4 * width, 4 * width, true)]
    {
        y = b.layer(y, from, to)?;
        y = b.graph.max_pool(y, half)?;
        if residual {
            let z = b.layer(y, to, to)?;
            let z = b.layer(z, to, to)?;
            y = b.graph.add(y, z)?;
        }
    }
    let mean = b.graph.mean(y, &[1, 2])?;
    let mean = b.graph.reshape(mean, vec![n, 4 * width])?;
    let w = b.parameter(vec![10, 4 * width])?;
    let bias = b.parameter(vec![10])?;
    let w = b.graph.flip(w)?;
    let logits = b.graph.matmul(mean, w)?;
    let logits = b.graph.add(logits, bias)?;
    b.finish(logits, labels)
}

/// The three products of one convolution of 3x3, `c` channels to `c`: theta holds the image, the kernel and the result's
/// derivative.
fn convolution(n: usize, size: usize, c: usize) -> Result<(Plan, usize), Error> {
    let mut g = Graph::new();
    let pixels = n * size * size * c;
    let x = g.parameter(0, vec![n, size, size, c])?;
    let dy = g.parameter(pixels, vec![n, size, size, c])?;
    let w = g.parameter(2 * pixels, vec![3, 3, c, c])?;
    let y = g.convolve(x, w, WINDOW, 1)?;
    let dx = g.push(Op::ConvolveImage { window: WINDOW, groups: 1, size: [size; 2] }, &[dy, w])?;
    let dw = g.push(Op::ConvolveKernel { window: WINDOW, groups: 1 }, &[x, dy])?;
    Ok((Plan::new(&g, &[y, dx, dw])?, 2 * pixels + 9 * c * c))
}

fn random(count: usize, scale: f64) -> Vec<f32> {
    Numbers(2).vector(count, scale).into_iter().map(|x| x as f32).collect()
}

fn perceptron() {
    let x: Vec<f32> = random(BATCH * 784, 1.0);
    let labels: Vec<i64> = (0..BATCH as i64).map(|i| i * 7 % 10).collect();
    let wide = x.iter().map(|x| f64::from(*x)).collect();
    let data = Data { features: 784, x: wide, y: labels.iter().map(|y| *y as i32).collect() };
    let mut loss = Loss::open(1, "mlp:784-512-512-10:relu", &[], Some(&data)).expect("the network opens");
    let theta: Vec<f32> = loss.start(0).into_iter().map(|x| x as f32).collect();
    let mut buffers = loss.buffers::<f32>(1);
    let exact = loss.eval(Call::new(&theta)).expect("an answer").grad;
    let built = mlp().expect("the graph is built");
    let (mut memory, mut grad) = (Memory::default(), vec![0.0; built.p]);
    let inputs = [Input::Real(&x), Input::Index(&labels)];
    built.run(&mut memory, &inputs, &theta, &mut grad);
    let gap = grad.iter().zip(&exact).fold(0.0f32, |top, (a, b)| top.max((a - b).abs()));
    println!("gradients differ by {gap:.1e}; {} steps, {:.1} MB", built.plan.steps(), memory.bytes() as f64 / 1e6);
    let [ours, theirs, peak] = times(
        15,
        &mut [
            &mut || (0..4).for_each(|_| built.run(&mut memory, &inputs, &theta, &mut grad)),
            &mut || (0..4).for_each(|_| loss.run(black_box(&Call::new(&theta)), &mut buffers)),
            &mut yardstick(),
        ],
    );
    let work = 2.0 * BATCH as f64 * (3.0 * (784.0 * 512.0 + 512.0 * 512.0 + 5120.0) - 784.0 * 512.0);
    let share = work * 4.0 / ours / (2.0 * 1024f64.powi(3) / peak);
    println!(
        "784-512-512-10, {BATCH} samples, loss + gradient: graph {:.2} ms ({:.0} % of the peak), specialised {:.2} ms",
        1e3 * ours / 4.0,
        100.0 * share,
        1e3 * theirs / 4.0
    );
}

/// Least processor times in seconds of calls taken in turn, in short blocks: on a shared machine what is least is least disturbed.
fn least<const N: usize>(blocks: usize, calls: usize, each: &mut [&mut dyn FnMut(); N]) -> [f64; N] {
    let mut least = [f64::INFINITY; N];
    for _ in 0..blocks {
        for (call, least) in each.iter_mut().zip(&mut least) {
            let start = clock();
            (0..calls).for_each(|_| call());
            *least = least.min((clock() - start) / calls as f64);
        }
    }
    least
}

/// Small perceptrons by name and as a file of theirs, on the embedded digits.
fn small() {
    let folder = std::env::temp_dir().join(format!("mountainpass-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    for spec in
        ["mlp:64-8-10:tanh", "mlp:64-8-10:relu", "mlp:64-8-10:gelu", "mlp:64-16-16-10:tanh", "mlp:64-100-10:tanh"]
    {
        let model = mountainpass_network::build::Built::parse(spec).expect("a network");
        let theta = model.start(1).expect("a start");
        let dir = model.start(2).expect("a direction");
        let file = folder.join("it.onnx");
        std::fs::write(&file, write(&model, &theta, Precision::Double).expect("a file")).expect("a file");
        let data = [("data", "digits")];
        let mut named = Loss::open(1, spec, &data, None).expect("it opens");
        let mut filed = Loss::open(1, file.to_str().expect("text"), &data, None).expect("it opens");
        let (mut one, mut two) = (named.buffers::<f64>(1), named.buffers::<f64>(1));
        let calls = [
            ("loss", Call { grad: false, ..Call::new(&theta) }),
            ("loss + gradient", Call::new(&theta)),
            ("loss + Hessian product", Call { grad: false, dir: Some(&dir), ..Call::new(&theta) }),
        ];
        for (what, call) in calls {
            let run = &mut || named.run(black_box(&call), &mut one);
            let [by_name, by_file] = least(200, 4, &mut [run, &mut || filed.run(black_box(&call), &mut two)]);
            println!(
                "{spec} f64, {what}: by name {:.4} ms, as a file {:.4} ms, {:.2} of it",
                1e3 * by_name,
                1e3 * by_file,
                by_file / by_name
            );
        }
    }
    std::fs::remove_dir_all(folder).expect("the folder goes");
}

fn convolutions() {
    for (size, c) in [(32, 16), (16, 32), (8, 64)] {
        let (plan, count) = convolution(128, size, c).expect("the graph is built");
        let theta = random(count, 1.0);
        let mut memory = Memory::<f32>::default();
        let sources = Sources { inputs: &[], theta: &theta, direction: &[] };
        let mut run = || plan.run(&mut memory, sources, &|| false).expect("the plan runs");
        let [ours, peak] = times(11, &mut [&mut run, &mut yardstick()]);
        let work = 3.0 * 2.0 * (128 * size * size * 9 * c * c) as f64;
        let share = work / ours / (2.0 * 1024f64.powi(3) / peak);
        println!(
            "3x3, {c} channels, {size}x{size}, 128 images: all three {:.2} ms ({:.0} % of the peak)",
            1e3 * ours,
            100.0 * share
        );
    }
}

fn residual() {
    let n = 128;
    let built = resnet9(n, 16).expect("the graph is built");
    let (x, theta) = (random(n * 32 * 32 * 3, 1.0), random(built.p, 0.1));
    let labels: Vec<i64> = (0..n as i64).map(|i| i * 7 % 10).collect();
    let inputs = [Input::Real(&x), Input::Index(&labels)];
    let (mut memory, mut grad) = (Memory::default(), vec![0.0; built.p]);
    let [ours, _] = times(9, &mut [&mut || built.run(&mut memory, &inputs, &theta, &mut grad), &mut yardstick()]);
    println!(
        "ResNet9 16-32-64, {n} images: {:.1} ms; {} steps, {:.1} MB",
        1e3 * ours,
        built.plan.steps(),
        memory.bytes() as f64 / 1e6
    );
}

/// The side of a peer's script. It writes `x` and `theta` (f32) for the residual network to `folder`, then answers
/// lines: `net` writes its loss and gradient to `grad`; `time net` and `time SIZE CHANNELS` (a convolution and its adjoints) run
/// once and print wall and processor time in seconds. Labels are i * 7 mod 10.
fn peer(folder: &str) {
    let n = 128;
    let built = resnet9(n, 16).expect("the graph is built");
    let (x, theta) = (random(n * 32 * 32 * 3, 1.0), random(built.p, 0.1));
    let write = |name: &str, values: &[f32]| {
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        std::fs::write(std::path::Path::new(folder).join(name), bytes).expect("the folder can be written");
    };
    write("x", &x);
    write("theta", &theta);
    println!("ready {}", built.p);
    let labels: Vec<i64> = (0..n as i64).map(|i| i * 7 % 10).collect();
    let inputs = [Input::Real(&x), Input::Index(&labels)];
    let (mut memory, mut grad) = (Memory::default(), vec![0.0; built.p]);
    let mut known: Vec<(String, Plan, Vec<f32>, Memory<f32>)> = Vec::new();
    let timed = |run: &mut dyn FnMut()| {
        let (wall, start) = (std::time::Instant::now(), clock());
        run();
        println!("{} {}", wall.elapsed().as_secs_f64(), clock() - start);
    };
    for line in std::io::stdin().lines() {
        let line = line.expect("text");
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["net"] => {
                built.run(&mut memory, &inputs, &theta, &mut grad);
                write("grad", &[&grad[..], memory.output(0)].concat());
                println!("done");
            }
            ["time", "net"] => timed(&mut || built.run(&mut memory, &inputs, &theta, &mut grad)),
            ["time", size, channels] => {
                let at = known.iter().position(|(name, ..)| *name == line).unwrap_or_else(|| {
                    let (size, channels) = (size.parse().expect("a size"), channels.parse().expect("channels"));
                    let (plan, count) = convolution(n, size, channels).expect("the graph is built");
                    known.push((line.clone(), plan, random(count, 1.0), Memory::default()));
                    known.len() - 1
                });
                let (_, plan, theta, memory) = &mut known[at];
                let sources = Sources { inputs: &[], theta, direction: &[] };
                timed(&mut || plan.run(memory, sources, &|| false).expect("the plan runs"));
            }
            _ => panic!("unknown command {line:?}"),
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    match &arguments[..] {
        [command, folder] if command == "peer" => peer(folder),
        [command] if command == "small" => small(),
        _ => {
            small();
            perceptron();
            convolutions();
            residual();
        }
    }
}
