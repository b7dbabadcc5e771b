//! Every operator against the plain interpreter: value, gradient and Hessian product, in both types.

use super::{Input, Memory, Plan, Sources};
use crate::real::Real;
use mountainpass_network::graph::evaluate::{self, evaluate};
use mountainpass_network::graph::op::{Binary, Number, Op, Stride, Unary, Values, Window};
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
        g.push(Op::Gather { axis: 1 }, &[x[0], at])
    }));
    cases.push(case("Scatter", &[&[3, 2, 2, 2]], (-1.0, 1.0), |g, x| {
        let at = g.constant(vec![2, 2], Values::Index(vec![3, 0, 3, 1]))?;
        g.push(Op::Scatter { axis: 1, size: 4 }, &[x[0], at])
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
