//! Derivatives against finite differences, operator by operator, and what graphs promise of themselves.

use super::evaluate::{Sources, evaluate};
use super::op::{Binary, Element, Number, Op, Stride, Unary, Values, Window};
use super::{Graph, Id};
use mountainpass_sdk::Error;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

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

fn windows() -> Vec<Window> {
    vec![
        Window::new([1, 1]),
        window([3, 3], [1, 1], [1, 1], [1, 1], [1, 1]),
        window([3, 3], [2, 2], [1, 1], [1, 1], [1, 1]),
        window([2, 3], [1, 2], [2, 1], [0, 2], [1, 0]),
        window([2, 2], [3, 3], [1, 1], [0, 0], [0, 0]),
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
    cases.push(case("Gather one of each", &[&[2, 3, 4]], (-1.0, 1.0), |g, x| {
        let at = g.constant(vec![2, 3], Values::Index(vec![3, 0, -1, 3, 1, 1]))?;
        g.push(Op::Gather { axis: 2, shared: 2 }, &[x[0], at])
    }));
    cases.push(case("Scatter along", &[&[2, 3, 2, 2]], (-1.0, 1.0), |g, x| {
        let at = g.constant(vec![2, 2], Values::Index(vec![3, 0, 3, 3]))?;
        g.push(Op::Scatter { axis: 2, size: 4, shared: 1 }, &[x[0], at])
    }));
    cases.push(case("the largest, sorted", &[&[3, 5]], (-1.0, 1.0), |g, x| {
        let at = g.push(Op::TopK { count: 3 }, &[x[0]])?;
        g.push(Op::Gather { axis: 1, shared: 1 }, &[x[0], at])
    }));
    cases.push(case("places as numbers", &[&[3, 5]], (-1.0, 1.0), |g, x| {
        let at = g.push(Op::TopK { count: 5 }, &[x[0]])?;
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
        let (x, y) = ([2, 5, 6, 2], [2, window.places(0, 5), window.places(1, 6), 2]);
        cases.push(op("SumPool", &[&x], Op::SumPool(window)));
        cases.push(op("SumUnpool", &[&y], Op::SumUnpool { window, size: [5, 6] }));
        cases.push(case(format!("MaxPool {window:?}"), &[&x], (-1.0, 1.0), move |g, x| g.max_pool(x[0], window)));
        cases.push(op("PickMax", &[&x, &x], Op::PickMax(window)));
        cases.push(op("PlaceMax", &[&x, &y], Op::PlaceMax(window)));
        for outside in [false, true] {
            cases.push(case("average pool", &[&x], (-1.0, 1.0), move |g, x| g.average_pool(x[0], window, outside)));
        }
    }
    cases
}

fn reals(values: &Values) -> &[f64] {
    match values {
        Values::Real(values) => values,
        Values::Index(_) => panic!("indices"),
    }
}

/// A scalar function of theta: a weighted sum of sin over the operator's result, so that second derivatives show.
struct Function {
    graph: Graph,
    loss: Id,
    gradient: Vec<Option<Id>>,
    rates: Vec<Option<Id>>,
    blocks: Vec<(usize, usize)>,
    p: usize,
}

fn function(case: &Case) -> Function {
    let mut graph = Graph::new();
    let (mut p, mut blocks, mut by) = (0, Vec::new(), Vec::new());
    for shape in &case.shapes {
        by.push(graph.parameter(p, shape.clone()).unwrap());
        let count: usize = shape.iter().product();
        blocks.push((p, count));
        p += count;
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
    Function { graph, loss, gradient, rates, blocks, p }
}

impl Function {
    fn vector(&self, ids: &[Option<Id>], theta: &[f64], direction: &[f64]) -> Vec<f64> {
        let sources = Sources { inputs: &[], theta, direction };
        let present: Vec<Id> = ids.iter().flatten().copied().collect();
        let mut found = evaluate(&self.graph, sources, &present).unwrap().into_iter();
        let mut all = vec![0.0; self.p];
        for (id, (offset, count)) in ids.iter().zip(&self.blocks) {
            if id.is_some() {
                all[*offset..offset + count].copy_from_slice(reals(&found.next().unwrap()));
            }
        }
        all
    }

    fn value(&self, theta: &[f64]) -> f64 {
        reals(&evaluate(&self.graph, Sources { theta, ..Sources::default() }, &[self.loss]).unwrap()[0])[0]
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn gradients_and_hessian_products_are_those_of_central_differences() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for case in cases() {
        let f = function(&case);
        let mut uniform = |a: f64, b: f64| a + (b - a) * (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let theta: Vec<f64> = (0..f.p).map(|_| uniform(case.range.0, case.range.1)).collect();
        let v: Vec<f64> = (0..f.p).map(|_| uniform(-1.0, 1.0)).collect();
        // So small that no kink lies in between for these seeds; differences then err by h^2 and by 1e-16 / h.
        let h = 1e-5;
        let moved = |s: f64| theta.iter().zip(&v).map(|(t, v)| t + s * v).collect::<Vec<f64>>();
        let slope = (f.value(&moved(h)) - f.value(&moved(-h))) / (2.0 * h);
        let gradient = f.vector(&f.gradient, &theta, &[]);
        let error = (dot(&gradient, &v) - slope).abs() / (1.0 + slope.abs());
        assert!(error < 1e-8, "{}: gradient {} against {slope}", case.name, dot(&gradient, &v));
        let [up, down] = [h, -h].map(|s| f.vector(&f.gradient, &moved(s), &[]));
        let product = f.vector(&f.rates, &theta, &v);
        for (i, hv) in product.iter().enumerate() {
            let slope = (up[i] - down[i]) / (2.0 * h);
            let error = (hv - slope).abs() / (1.0 + slope.abs());
            assert!(error < 1e-7, "{}: entry {i} of the Hessian product is {hv}, differences say {slope}", case.name);
        }
    }
}

#[test]
fn equal_operators_are_one_node_and_trivial_ones_none() {
    let mut g = Graph::new();
    let x = g.parameter(0, vec![2, 3]).unwrap();
    let y = g.parameter(6, vec![2, 3]).unwrap();
    assert_eq!(g.add(x, y).unwrap(), g.add(y, x).unwrap());
    let before = g.nodes().len();
    let zero = g.fill_like(0.0, x).unwrap();
    assert_eq!(g.add(x, zero).unwrap(), x);
    assert_eq!(g.mul(zero, x).unwrap(), zero);
    assert_eq!(g.scale(x, 1.0).unwrap(), x);
    let t = g.transpose(x, &[1, 0]).unwrap();
    assert_eq!(g.transpose(t, &[1, 0]).unwrap(), x);
    let r = g.reshape(x, vec![6]).unwrap();
    assert_eq!(g.reshape(r, vec![2, 3]).unwrap(), x);
    let n = g.neg(x).unwrap();
    assert_eq!(g.neg(n).unwrap(), x);
    // zero, one, the transposition, the reshape, the negative.
    assert_eq!(g.nodes().len(), before + 5);
}

#[test]
fn constants_that_are_turned_settle() {
    let mut g = Graph::new();
    let c = g.constant(vec![2, 3], Values::Real((0..6).map(f64::from).collect())).unwrap();
    let d = g.constant(vec![3, 2], Values::Real((0..6).map(f64::from).collect())).unwrap();
    let turned = g.transpose(c, &[1, 0]).unwrap();
    let sum = g.add(turned, d).unwrap();
    assert_eq!(reals(&evaluate(&g, Sources::default(), &[sum]).unwrap()[0]), [0.0, 4.0, 3.0, 7.0, 6.0, 10.0]);
}

#[test]
fn a_pruned_graph_computes_the_same_with_what_is_needed() {
    let case = case("", &[&[2, 3], &[3, 2]], (-1.0, 1.0), |g, x| g.matmul(x[0], x[1]));
    let f = function(&case);
    let theta: Vec<f64> = (0..12).map(|i| f64::from(i) / 10.0).collect();
    let (pruned, outputs) = f.graph.pruned(&[f.loss]);
    assert!(pruned.nodes().len() < f.graph.nodes().len());
    let sources = Sources { theta: &theta, ..Sources::default() };
    let values = evaluate(&pruned, sources, &outputs).unwrap();
    assert_eq!(reals(&values[0])[0].to_bits(), f.value(&theta).to_bits());
}

#[test]
fn faults_name_the_operator_and_the_shapes() {
    let mut g = Graph::new();
    let x = g.parameter(0, vec![2, 3]).unwrap();
    let y = g.parameter(6, vec![2, 3]).unwrap();
    let text = |result: Result<Id, Error>| result.unwrap_err().text;
    assert_eq!(text(g.push(Op::MatMul, &[x, y])), "MatMul of [[2, 3], [2, 3]]: the sizes do not match");
    assert_eq!(text(g.reshape(x, vec![4])), "Reshape of [[2, 3]]: [4] holds another number of elements");
    let z = g.parameter(12, vec![2, 4]).unwrap();
    assert_eq!(text(g.add(x, z)), "[[2, 3], [2, 4]] cannot be repeated to one shape");
    let labels = g.input(0, vec![2], Element::Index).unwrap();
    assert!(text(g.neg(labels)).contains("argument 0 holds indices"));
    assert!(text(g.narrow(x, 1, 2, 2)).contains("leave"));
    assert!(text(g.push(Op::Broadcast(vec![usize::MAX, 3]), &[x])).contains("Broadcast"));
    let one = g.parameter(0, vec![1, 1]).unwrap();
    assert!(text(g.push(Op::Broadcast(vec![1 << 30, 1 << 30]), &[one])).contains("too large"));
}

#[test]
fn channels_first_is_computed_channels_last() {
    // Two convolutions as ONNX has them, each between transpositions, with bias, scale, relu and a residual addition.
    let mut g = Graph::new();
    let x = g.input(0, vec![2, 3, 5, 5], Element::Real).unwrap();
    let (first, last) = ([0, 2, 3, 1], [0, 3, 1, 2]);
    let mut image = x;
    let mut offset = 0;
    for inputs in [3, 4, 4] {
        let w = g.parameter(offset, vec![3, 3, inputs, 4]).unwrap();
        let bias = g.parameter(offset + 36 * inputs, vec![4, 1, 1]).unwrap();
        offset += 36 * inputs + 4;
        let nhwc = g.transpose(image, &first).unwrap();
        let y = g.convolve(nhwc, w, window([3, 3], [1, 1], [1, 1], [1, 1], [1, 1]), 1).unwrap();
        let y = g.transpose(y, &last).unwrap();
        let y = g.add(y, bias).unwrap();
        let y = g.unary(Unary::Relu, y).unwrap();
        image = if inputs == 4 { g.add(y, image).unwrap() } else { y };
    }
    let mean = g.mean(image, &[2, 3]).unwrap();
    let logits = g.reshape(mean, vec![2, 4]).unwrap();
    let is_turned = |node: &&super::Node| matches!(node.op, Op::Transpose(_));
    // What is left turns the input once.
    let (pruned, _) = g.pruned(&[logits]);
    assert_eq!(pruned.nodes().iter().filter(is_turned).count(), 1);
    let labels = g.input(1, vec![2], Element::Index).unwrap();
    let loss = g.cross_entropy(logits, labels).unwrap();
    let seed = g.fill_like(0.5, loss).unwrap();
    let w = g.parameter(0, vec![3, 3, 3, 4]).unwrap();
    let gradient = g.gradient(loss, seed, &[w]).unwrap();
    let (pruned, _) = g.pruned(&[gradient[0].unwrap()]);
    assert_eq!(pruned.nodes().iter().filter(is_turned).count(), 1);
}

#[test]
fn moving_transpositions_changes_no_value() {
    // Random chains of element-wise and reducing operators under random transpositions, against the plain road.
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    for _ in 0..200 {
        let mut pick = |n: usize| (rng.next_u64() % n as u64) as usize;
        let mut g = Graph::new();
        let theta: Vec<f64> = (0..24 + 3 + 24).map(|i| ((i * 37) % 101) as f64 / 50.0 - 1.0).collect();
        let perms = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        let mut x = g.parameter(0, vec![2, 3, 4]).unwrap();
        // The plain road: values and shape, moved by hand.
        let mut plain: (Vec<f64>, Vec<usize>) = (theta[..24].to_vec(), vec![2, 3, 4]);
        let alone = |plain: &(Vec<f64>, Vec<usize>), f: &dyn Fn(&mut Graph, Id) -> Id| {
            let mut g = Graph::new();
            let x = g.parameter(0, plain.1.clone()).unwrap();
            let y = f(&mut g, x);
            let values = evaluate(&g, Sources { theta: &plain.0, ..Sources::default() }, &[y]).unwrap();
            (reals(&values[0]).to_vec(), g.shape(y).to_vec())
        };
        for _ in 0..6 {
            let (kind, perm, axis) = (pick(6), perms[pick(6)], pick(3));
            let step = move |g: &mut Graph, x: Id| match kind {
                0 | 1 => g.transpose(x, &perm).unwrap(),
                2 => g.unary(Unary::Sin, x).unwrap(),
                3 => {
                    let sum = g.sum(x, &[axis]).unwrap();
                    g.sub(x, sum).unwrap()
                }
                4 => {
                    let part = g.narrow(x, axis, 0, 1).unwrap();
                    g.push(Op::Concat(axis), &[x, part]).unwrap()
                }
                _ => {
                    let last = g.shape(x)[2];
                    let row = (0..last).map(|i| i as f64 * 0.5 + 0.1).collect();
                    let row = g.constant(vec![last], Values::Real(row)).unwrap();
                    g.mul(x, row).unwrap()
                }
            };
            plain = alone(&plain, &step);
            x = step(&mut g, x);
        }
        let values = evaluate(&g, Sources { theta: &theta, ..Sources::default() }, &[x]).unwrap();
        assert_eq!(g.shape(x), plain.1);
        // Sums may be taken in another order: 1e-13 is some 500 roundings of numbers up to a few.
        let error = reals(&values[0]).iter().zip(&plain.0).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(error < 1e-13, "{error}");
    }
}

#[test]
fn taps_that_see_nothing_are_cut_off_and_change_nothing() {
    let wide = window([3, 3], [1, 1], [1, 1], [1, 1], [1, 1]);
    let slow = window([3, 5], [2, 3], [2, 1], [2, 2], [2, 2]);
    // Image, window, and the taps that stay.
    let cases = [([1, 1], wide, [1, 1]), ([1, 4], wide, [1, 3]), ([2, 2], wide, [3, 3]), ([1, 2], slow, [1, 2])];
    for (size, window, stays) in cases {
        let shapes = [[2, size[0], size[1], 2], [window.kernel[0], window.kernel[1], 2, 3]];
        let shapes: Vec<&[usize]> = shapes.iter().map(|shape| &shape[..]).collect();
        let cut = function(&case("cut", &shapes, (-1.0, 1.0), move |g, a| g.convolve(a[0], a[1], window, 1)));
        let whole = function(&op("whole", &shapes, Op::Convolve { window, groups: 1 }));
        for node in cut.graph.nodes() {
            if let Op::Convolve { window: seeing, .. } = node.op {
                assert_eq!(seeing.kernel, stays, "{size:?} {window:?}");
            }
        }
        let theta: Vec<f64> = (0..cut.p).map(|i| (i as f64 * 0.7).sin()).collect();
        assert_eq!(cut.value(&theta), whole.value(&theta), "{size:?} {window:?}");
        assert_eq!(cut.vector(&cut.gradient, &theta, &[]), whole.vector(&whole.gradient, &theta, &[]));
    }
}
