//! Every operator against the plain interpreter: value, gradient and Hessian product, in both types.

use super::{Input, Memory, Plan, Sources};
use crate::real::Real;
use mountainpass_network::graph::evaluate::{self, evaluate};
use mountainpass_network::graph::op::{Binary, Element, Number, Op, Stride, Unary, Values, Window};
use mountainpass_network::graph::{Graph, Id};
use mountainpass_sdk::Error;

/// Builds a node from blocks of theta of the given shapes.
type Build = Box<dyn Fn(&mut Graph, &[Id]) -> Result<Id, Error>>;

struct Case {
    name: String,
    shapes: Vec<Vec<usize>>,
    /// Where elements of theta are drawn.
    range: (f64, f64),
    build: Build,
}

fn case(
    name: impl Into<String>,
    shapes: &[&[usize]],
    range: (f64, f64),
    build: impl Fn(&mut Graph, &[Id]) -> Result<Id, Error> + 'static,
) -> Case {
    let shapes = shapes.iter().map(|s| s.to_vec()).collect();
    Case { name: name.into(), shapes, range, build: Box::new(build) }
}

fn op(name: &str, shapes: &[&[usize]], op: Op) -> Case {
    case(name, shapes, (-1.0, 1.0), move |g, args| g.push(op.clone(), args))
}

fn window(
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
    begin: [usize; 2],
    end: [usize; 2],
) -> Window {
    Window { kernel, strides, dilations, begin, end }
}

/// Tiles images of even sizes.
const SQUARES: Window = Window { kernel: [2, 2], strides: [2, 2], dilations: [1, 1], begin: [0, 0], end: [0, 0] };

fn windows() -> Vec<Window> {
    vec![
        Window::new([1, 1]),
        window([3, 3], [1, 1], [1, 1], [1, 1], [1, 1]),
        window([3, 3], [2, 2], [1, 1], [1, 1], [1, 1]),
        window([2, 3], [1, 2], [2, 1], [0, 2], [1, 0]),
        window([2, 2], [3, 3], [1, 1], [0, 0], [0, 0]),
        SQUARES,
    ]
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let anywhere = [
        Unary::Neg,
        Unary::Abs,
        Unary::Sign,
        Unary::Step,
        Unary::Relu,
        Unary::Exp,
        Unary::Expm1,
        Unary::Tanh,
        Unary::Sigmoid,
        Unary::Softplus,
        Unary::Erf,
        Unary::NormalCdf,
        Unary::Sin,
        Unary::Cos,
        Unary::Atan,
        Unary::Floor,
        Unary::Round,
        Unary::Power(Number::new(2.0)),
        Unary::Power(Number::new(3.0)),
        Unary::Power(Number::new(0.0)),
        Unary::Power(Number::new(1.0)),
    ];
    let positive = [Unary::Log, Unary::Sqrt, Unary::Reciprocal, Unary::Power(Number::new(-0.5))];
    let of = |f: Unary, range| case(format!("{f:?}"), &[&[2, 3]], range, move |g, x| g.unary(f, x[0]));
    cases.extend(anywhere.into_iter().map(|f| of(f, (-2.0, 2.0))));
    cases.extend(positive.into_iter().map(|f| of(f, (0.5, 2.0))));
    for f in [Binary::Add, Binary::Sub, Binary::Mul, Binary::Div, Binary::Max, Binary::Min, Binary::Less] {
        let range = if f == Binary::Div { (0.5, 2.0) } else { (-1.0, 1.0) };
        cases.push(case(format!("{f:?} repeated"), &[&[2, 3], &[3]], range, move |g, x| g.binary(f, x[0], x[1])));
    }
    let flip = [Stride { start: 3, step: -2 }, Stride { start: 1, step: 1 }];
    cases.push(op("Reshape", &[&[2, 3]], Op::Reshape(vec![3, 2])));
    cases.push(op("Transpose", &[&[2, 3, 4]], Op::Transpose(vec![2, 0, 1])));
    cases.push(op("Broadcast", &[&[2, 1, 3]], Op::Broadcast(vec![2, 4, 3])));
    cases.push(op("Slice", &[&[4, 3]], Op::Slice { along: flip.to_vec(), shape: vec![2, 2] }));
    cases.push(op("Place", &[&[2, 2]], Op::Place { along: flip.to_vec(), shape: vec![4, 3] }));
    cases.push(op("Concat", &[&[2, 3], &[2, 1], &[2, 2]], Op::Concat(1)));
    cases.push(op("Sum", &[&[2, 3, 2]], Op::Sum(vec![0, 2])));
    cases.push(op("Largest", &[&[2, 3, 2]], Op::Largest(vec![1])));
    cases.push(op("Softmax", &[&[2, 4]], Op::Softmax));
    cases.push(op("LogSoftmax", &[&[2, 4]], Op::LogSoftmax));
    cases.push(op("MatMul", &[&[2, 3, 4], &[2, 4, 2]], Op::MatMul));
    cases.push(case("one matrix for all", &[&[2, 3, 4], &[4, 2]], (-1.0, 1.0), |g, x| g.matmul(x[0], x[1])));
    cases.push(case("a batch of matrices", &[&[3, 4], &[2, 4, 2]], (-1.0, 1.0), |g, x| g.matmul(x[0], x[1])));
    cases.push(op("Select", &[&[2, 3], &[2, 3], &[2, 3]], Op::Select));
    cases.push(case("Gather", &[&[3, 4, 2]], (-1.0, 1.0), |g, x| {
        let at = g.constant(vec![2, 2], Values::Index(vec![3, 0, -1, 3]))?;
        g.push(Op::Gather { axis: 1, shared: 0 }, &[x[0], at])
    }));
    cases.push(case("Scatter", &[&[3, 2, 2, 2]], (-1.0, 1.0), |g, x| {
        let at = g.constant(vec![2, 2], Values::Index(vec![3, 0, 3, 1]))?;
        g.push(Op::Scatter { axis: 1, size: 4, shared: 0 }, &[x[0], at])
    }));
    cases.push(case("Gather along", &[&[2, 3, 4, 2]], (-1.0, 1.0), |g, x| {
        let at = g.constant(vec![2, 3], Values::Index(vec![3, 0, -1, 3, 1, 1]))?;
        g.push(Op::Gather { axis: 2, shared: 1 }, &[x[0], at])
    }));
    cases.push(case("Scatter along", &[&[2, 3, 2, 2]], (-1.0, 1.0), |g, x| {
        let at = g.constant(vec![2, 2], Values::Index(vec![3, 0, 3, 3]))?;
        g.push(Op::Scatter { axis: 2, size: 4, shared: 1 }, &[x[0], at])
    }));
    cases.push(case("the largest, sorted", &[&[3, 5]], (-1.0, 1.0), |g, x| {
        let at = g.push(Op::TopK { count: 3 }, &[x[0]])?;
        let number = g.push(Op::ToReal, &[at])?;
        let back = g.push(Op::ToIndex, &[number])?;
        let sorted = g.push(Op::Gather { axis: 1, shared: 1 }, &[x[0], back])?;
        g.mul(sorted, number)
    }));
    cases.push(case("gelu", &[&[2, 3]], (-3.0, 3.0), |g, x| g.gelu(x[0], false)));
    cases.push(case("gelu by tanh", &[&[2, 3]], (-3.0, 3.0), |g, x| g.gelu(x[0], true)));
    cases.push(case("leaky relu", &[&[2, 3]], (-3.0, 3.0), |g, x| g.leaky_relu(x[0], 0.1)));
    cases.push(case("cross-entropy", &[&[2, 3]], (-3.0, 3.0), |g, x| {
        let labels = g.constant(vec![2], Values::Index(vec![2, 0]))?;
        g.cross_entropy(x[0], labels)
    }));
    for window in windows() {
        for groups in [1, 2] {
            let [kh, kw] = window.kernel;
            let (x, w) = ([2, 5, 6, 4], [kh, kw, 4 / groups, 6]);
            let y = [2, window.places(0, 5), window.places(1, 6), 6];
            let convolve = Op::Convolve { window, groups };
            let image = Op::ConvolveImage { window, groups, size: [5, 6] };
            let kernel = Op::ConvolveKernel { window, groups };
            for (shapes, of) in [([x, w], convolve), ([y, w], image), ([x, y], kernel)] {
                let shapes = [&shapes[0][..], &shapes[1][..]];
                cases.push(case(format!("{of:?}"), &shapes, (-1.0, 1.0), move |g, args| g.push(of.clone(), args)));
            }
        }
        let height = if window == SQUARES { 4 } else { 5 };
        let c = if window == SQUARES { 19 } else { 2 };
        let (x, y) = ([2, height, 6, c], [2, window.places(0, height), window.places(1, 6), c]);
        cases.push(op("SumPool", &[&x], Op::SumPool(window)));
        cases.push(op("SumUnpool", &[&y], Op::SumUnpool { window, size: [height, 6] }));
        cases.push(case(format!("MaxPool {window:?}"), &[&x], (-1.0, 1.0), move |g, x| g.max_pool(x[0], window)));
        cases.push(case(format!("MaxPool of equals {window:?}"), &[&x], (-1.0, 1.0), move |g, x| {
            let y = g.unary(Unary::Relu, x[0])?;
            g.max_pool(y, window)
        }));
        cases.push(op("PickMax", &[&x, &x], Op::PickMax(window)));
        cases.push(op("PlaceMax", &[&x, &y], Op::PlaceMax(window)));
        for outside in [false, true] {
            cases.push(case("average pool", &[&x], (-1.0, 1.0), move |g, x| g.average_pool(x[0], window, outside)));
        }
    }
    cases
}

/// A scalar function of theta: a weighted sum of sin over the operator's result, so that second derivatives show.
struct Function {
    graph: Graph,
    loss: Id,
    gradient: Vec<Option<Id>>,
    rates: Vec<Option<Id>>,
    p: usize,
}

fn function(case: &Case) -> Function {
    let mut graph = Graph::new();
    let (mut p, mut by) = (0, Vec::new());
    for shape in &case.shapes {
        by.push(graph.parameter(p, shape.clone()).unwrap());
        p += shape.iter().product::<usize>();
    }
    let y = (case.build)(&mut graph, &by).unwrap();
    let sin = graph.unary(Unary::Sin, y).unwrap();
    let shape = graph.shape(y).to_vec();
    let count: usize = shape.iter().product();
    let weights = (0..count).map(|i| 1.0 + 0.3 * i as f64 / count as f64).collect();
    let weights = graph.constant(shape, Values::Real(weights)).unwrap();
    let gradient = graph.gradient(sin, weights, &by).unwrap();
    let weighted = graph.mul(sin, weights).unwrap();
    let axes: Vec<usize> = (0..graph.shape(y).len()).collect();
    let loss = graph.sum(weighted, &axes).unwrap();
    let outputs: Vec<Id> = std::iter::once(loss).chain(gradient.iter().flatten().copied()).collect();
    let mut rates = graph.rates(&outputs).unwrap();
    rates.resize(outputs.len(), None);
    let mut found = rates[1..].iter();
    let rates = gradient.iter().map(|g| g.and_then(|_| found.next().copied().flatten())).collect();
    Function { graph, loss, gradient, rates, p }
}

fn reals(values: &Values) -> &[f64] {
    match values {
        Values::Real(values) => values,
        Values::Index(_) => panic!("indices"),
    }
}

/// Numbers in a range, the same on every run.
struct Draw(u64);

impl Draw {
    fn next(&mut self, (a, b): (f64, f64)) -> f64 {
        // Knuth's linear congruence; its high bits.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        a + (b - a) * (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn go() -> bool {
    false
}

/// The largest distance of what a plan computes from the interpreter, relative to the largest number of each array.
fn distance<T: Real>(graph: &Graph, outputs: &[Id], theta: &[f64], direction: &[f64], inputs: &[Values]) -> f64 {
    let exact = evaluate(graph, evaluate::Sources { inputs, theta, direction }, outputs).unwrap();
    let round = |x: &[f64]| x.iter().map(|x| T::of(*x)).collect::<Vec<T>>();
    let (theta, direction) = (round(theta), round(direction));
    let rounded: Vec<Vec<T>> = inputs
        .iter()
        .map(|values| match values {
            Values::Real(values) => round(values),
            Values::Index(_) => Vec::new(),
        })
        .collect();
    let inputs: Vec<Input<'_, T>> = inputs
        .iter()
        .zip(&rounded)
        .map(|(values, rounded)| match values {
            Values::Real(_) => Input::Real(rounded),
            Values::Index(values) => Input::Index(values),
        })
        .collect();
    let plan = Plan::new(graph, outputs).unwrap();
    let mut memory = Memory::<T>::default();
    let sources = Sources { inputs: &inputs, theta: &theta, direction: &direction };
    plan.run(&mut memory, sources, &go).unwrap();
    let first: Vec<Vec<T>> = (0..outputs.len()).map(|k| memory.output(k).to_vec()).collect();
    // Again, on memory that is full of the first run.
    plan.run(&mut memory, sources, &go).unwrap();
    let mut worst = 0.0f64;
    for (k, exact) in exact.iter().enumerate() {
        assert_eq!(memory.output(k), first[k], "a second run gives other bits");
        let exact = reals(exact);
        assert_eq!(first[k].len(), exact.len());
        let scale = exact.iter().fold(1.0f64, |top, x| top.max(x.abs()));
        for (x, y) in first[k].iter().zip(exact) {
            let gap = (x.to_f64() - y).abs() / scale;
            worst = if gap.is_nan() { f64::INFINITY } else { worst.max(gap) };
        }
    }
    worst
}

#[test]
fn every_operator_agrees_with_the_plain_interpreter() {
    let mut draw = Draw(1);
    for case in cases() {
        let f = function(&case);
        // Exact in f32, so that both types see the same kinks.
        let theta: Vec<f64> = (0..f.p).map(|_| f64::from(draw.next(case.range) as f32)).collect();
        let v: Vec<f64> = (0..f.p).map(|_| f64::from(draw.next((-1.0, 1.0)) as f32)).collect();
        let outputs: Vec<Id> = [f.loss].into_iter().chain(f.gradient.into_iter().chain(f.rates).flatten()).collect();
        // A hundred roundings; elementary functions err by a few each.
        let error = distance::<f64>(&f.graph, &outputs, &theta, &v, &[]);
        assert!(error < 1e-12, "{}: f64 errs by {error:.1e}", case.name);
        let error = distance::<f32>(&f.graph, &outputs, &theta, &v, &[]);
        assert!(error < 1e-5, "{}: f32 errs by {error:.1e}", case.name);
    }
}

#[test]
fn direct_convolutions_agree_with_the_plain_interpreter() {
    let mut draw = Draw(2);
    let bounds = [([1, 1], [1, 1]), ([0, 0], [0, 0]), ([0, 2], [2, 1])];
    let sizes = [
        (5, 7, 16, 16),
        (3, 9, 32, 48),
        (4, 18, 16, 32),
        (6, 6, 14, 64),
        (2, 13, 64, 8),
        (5, 5, 40, 20),
        (6, 9, 3, 16),
        (4, 12, 1, 32),
    ];
    for (height, width, c, o) in sizes {
        for (begin, end) in bounds {
            let window = window([3, 3], [1, 1], [1, 1], begin, end);
            let (rows, columns) = (window.places(0, height), window.places(1, width));
            if rows == 0 {
                continue;
            }
            let mut g = Graph::new();
            let [mut p, n] = [0, 2];
            let mut parameter = |g: &mut Graph, shape: Vec<usize>| {
                let id = g.parameter(p, shape.clone()).unwrap();
                p += shape.iter().product::<usize>();
                id
            };
            let x = parameter(&mut g, vec![n, height, width, c]);
            let w = parameter(&mut g, vec![3, 3, c, o]);
            let dy = parameter(&mut g, vec![n, rows, columns, o]);
            let y = g.convolve(x, w, window, 1).unwrap();
            let size = [height, width];
            let dx = g.push(Op::ConvolveImage { window, groups: 1, size }, &[dy, w]).unwrap();
            let dw = g.push(Op::ConvolveKernel { window, groups: 1 }, &[x, dy]).unwrap();
            let theta: Vec<f64> = (0..p).map(|_| f64::from(draw.next((-1.0, 1.0)) as f32)).collect();
            let name = format!("{height}x{width}, {c} to {o}, {begin:?} {end:?}");
            // Sums of some hundred products.
            let error = distance::<f64>(&g, &[y, dx, dw], &theta, &[], &[]);
            assert!(error < 1e-13, "{name}: f64 errs by {error:.1e}");
            let error = distance::<f32>(&g, &[y, dx, dw], &theta, &[], &[]);
            assert!(error < 1e-5, "{name}: f32 errs by {error:.1e}");
        }
    }
}

/// A network of `build`'s loss with gradient and Hessian product, both types.
fn agrees(name: &str, p: usize, inputs: &[Values], build: impl Fn(&mut Graph, Id) -> Result<Id, Error>) {
    let mut g = Graph::new();
    let theta = g.parameter(0, vec![p]).unwrap();
    let loss = build(&mut g, theta).unwrap();
    let seed = g.fill_like(0.5, loss).unwrap();
    let gradient = g.gradient(loss, seed, &[theta]).unwrap()[0].unwrap();
    let rate = g.rates(&[gradient]).unwrap()[0].unwrap();
    let mut draw = Draw(3);
    let values: Vec<f64> = (0..p).map(|_| f64::from(draw.next((-0.7, 0.7)) as f32)).collect();
    let along: Vec<f64> = (0..p).map(|_| f64::from(draw.next((-1.0, 1.0)) as f32)).collect();
    let error = distance::<f64>(&g, &[loss, gradient, rate], &values, &along, inputs);
    assert!(error < 1e-11, "{name}: f64 errs by {error:.1e}");
    let error = distance::<f32>(&g, &[loss, gradient, rate], &values, &along, inputs);
    // Rounding of a network's many layers, relative to the largest entry.
    assert!(error < 1e-4, "{name}: f32 errs by {error:.1e}");
}

/// Cuts theta into blocks.
struct Blocks(Id, usize);

impl Blocks {
    fn next(&mut self, g: &mut Graph, shape: &[usize]) -> Result<Id, Error> {
        let count = shape.iter().product();
        let part = g.narrow(self.0, 0, self.1, count)?;
        self.1 += count;
        g.reshape(part, shape.to_vec())
    }
}

#[test]
fn a_perceptron_wider_than_blocks_agrees() {
    let inputs = [
        Values::Real((0..70 * 5).map(|i| f64::from(((i * 37) % 100) as f32 / 50.0 - 1.0)).collect()),
        Values::Index((0..70).map(|i| i % 3).collect()),
    ];
    agrees("perceptron", 5 * 33 + 33 + 33 * 3 + 3, &inputs, |g, theta| {
        let mut blocks = Blocks(theta, 0);
        let x = g.input(0, vec![70, 5], Element::Real)?;
        let labels = g.input(1, vec![70], Element::Index)?;
        let mut y = x;
        for (from, to) in [(5, 33), (33, 3)] {
            let w = blocks.next(g, &[to, from])?;
            let bias = blocks.next(g, &[to])?;
            let w = g.flip(w)?;
            let z = g.matmul(y, w)?;
            let z = g.add(z, bias)?;
            y = if to == 3 { z } else { g.unary(Unary::Tanh, z)? };
        }
        let losses = g.cross_entropy(y, labels)?;
        g.mean(losses, &[0])
    });
}

#[test]
fn a_normalised_convolutional_network_agrees() {
    let n = 3;
    let pixels = n * 8 * 8 * 2;
    let inputs = [
        Values::Real((0..pixels).map(|i| f64::from(((i * 37) % 101) as f32 / 50.0 - 1.0)).collect()),
        Values::Index(vec![1, 0, 2]),
    ];
    let p = 9 * 2 * 16 + 2 * 16 + 9 * 16 * 16 + 2 * 16 + 16 * 3;
    agrees("convolutions", p, &inputs, |g, theta| {
        let mut blocks = Blocks(theta, 0);
        let x = g.input(0, vec![2 + 1, 8, 8, 2], Element::Real)?;
        let labels = g.input(1, vec![3], Element::Index)?;
        let mut y = x;
        for from in [2, 16] {
            let w = blocks.next(g, &[3, 3, from, 16])?;
            let [scale, shift] = [blocks.next(g, &[16])?, blocks.next(g, &[16])?];
            let z = g.convolve(y, w, window([3, 3], [1, 1], [1, 1], [1, 1], [1, 1]), 1)?;
            // Batch normalisation with the statistics of this batch.
            let mean = g.mean(z, &[0, 1, 2])?;
            let centred = g.sub(z, mean)?;
            let square = g.mul(centred, centred)?;
            let variance = g.mean(square, &[0, 1, 2])?;
            let variance = g.shift(variance, 1e-5)?;
            let rate = g.unary(Unary::Power(Number::new(-0.5)), variance)?;
            let z = g.mul(centred, rate)?;
            let z = g.mul(z, scale)?;
            let z = g.add(z, shift)?;
            let z = g.unary(Unary::Softplus, z)?;
            let z = if from == 16 { g.add(z, y)? } else { z };
            y = g.average_pool(z, window([2, 2], [2, 2], [1, 1], [0, 0], [0, 0]), true)?;
            y = if from == 16 { y } else { z };
        }
        let mean = g.mean(y, &[1, 2])?;
        let mean = g.reshape(mean, vec![3, 16])?;
        let w = blocks.next(g, &[16, 3])?;
        let logits = g.matmul(mean, w)?;
        let losses = g.cross_entropy(logits, labels)?;
        g.mean(losses, &[0])
    });
}

#[test]
fn attention_agrees() {
    let (n, t, heads, d) = (2, 5, 2, 4);
    let width = heads * d;
    let inputs = [Values::Index(vec![3, 1, 4, 1, 5, 2, 6, 5, 3, 5]), Values::Index(vec![1, 0])];
    agrees("attention", 7 * width + 3 * width * width + width * 3, &inputs, |g, theta| {
        let mut blocks = Blocks(theta, 0);
        let tokens = g.input(0, vec![n, t], Element::Index)?;
        let labels = g.input(1, vec![n], Element::Index)?;
        let table = blocks.next(g, &[7, width])?;
        let x = g.push(Op::Gather { axis: 0, shared: 0 }, &[table, tokens])?;
        let w = blocks.next(g, &[width, 3 * width])?;
        let all = g.matmul(x, w)?;
        let all = g.reshape(all, vec![n, t, 3, heads, d])?;
        let mut parts = Vec::new();
        for k in 0..3 {
            let part = g.narrow(all, 2, k, 1)?;
            let part = g.reshape(part, vec![n, t, heads, d])?;
            parts.push(g.transpose(part, &[0, 2, 1, 3])?);
        }
        let keys = g.flip(parts[1])?;
        let scores = g.matmul(parts[0], keys)?;
        let scores = g.scale(scores, 0.5)?;
        // The future is hidden.
        let mask = (0..t * t).map(|i| if i % t > i / t { -1e9 } else { 0.0 }).collect();
        let mask = g.constant(vec![t, t], Values::Real(mask))?;
        let scores = g.add(scores, mask)?;
        let weights = g.push(Op::Softmax, &[scores])?;
        let y = g.matmul(weights, parts[2])?;
        let y = g.transpose(y, &[0, 2, 1, 3])?;
        let y = g.reshape(y, vec![n, t, width])?;
        let y = g.add(y, x)?;
        let y = g.gelu(y, false)?;
        let y = g.mean(y, &[1])?;
        let y = g.reshape(y, vec![n, width])?;
        let w = blocks.next(g, &[width, 3])?;
        let logits = g.matmul(y, w)?;
        let losses = g.cross_entropy(logits, labels)?;
        g.mean(losses, &[0])
    });
}

#[test]
fn bad_sources_are_named() {
    let mut g = Graph::new();
    let x = g.input(0, vec![3], Element::Real).unwrap();
    let labels = g.input(1, vec![3], Element::Index).unwrap();
    let w = g.parameter(2, vec![3]).unwrap();
    let hot = g.push(Op::OneHot { classes: 2 }, &[labels]).unwrap();
    let y = g.mul(x, w).unwrap();
    let plan = Plan::new(&g, &[y, hot]).unwrap();
    let mut memory = Memory::<f64>::default();
    let mut text = |inputs: &[Input<'_, f64>], theta: &[f64]| {
        plan.run(&mut memory, Sources { inputs, theta, direction: &[] }, &go).map_err(|e| e.text)
    };
    let (x, good, bad) = (Input::Real(&[1.0, 2.0, 3.0]), Input::Index(&[0, 1, -1]), Input::Index(&[0, 2, 1]));
    assert_eq!(text(&[x, good], &[0.0; 5]), Ok(()));
    assert_eq!(text(&[x, good], &[0.0; 4]), Err("theta ends before element 5".into()));
    assert_eq!(text(&[x], &[0.0; 5]), Err("input 1 is missing".into()));
    assert_eq!(text(&[good, good], &[0.0; 5]), Err("input 0: 3 values (Index), expected 3 (Real)".into()));
    assert_eq!(text(&[x, bad], &[0.0; 5]), Err("index 2 is outside of 0..2".into()));
    // After an error the same memory serves again.
    assert_eq!(text(&[x, good], &[1.0; 5]), Ok(()));
    assert_eq!(memory.output(0), [1.0, 2.0, 3.0]);
    assert_eq!(memory.output(1), [1.0, 0.0, 0.0, 1.0, 0.0, 1.0]);
    let stopped = plan.run(&mut memory, Sources { inputs: &[x, good], theta: &[1.0; 5], direction: &[] }, &|| true);
    assert_eq!(stopped, Err(Error::cancelled()));
    assert!(Plan::new(&g, &[labels]).is_err());
}
