//! Files that the ONNX writer makes, read back: the same parameters, losses and gradients, for any batch size.

use mountainpass_network::DataTerm;
use mountainpass_network::build::{Built, perceptron};
use mountainpass_network::graph::evaluate::{Sources, evaluate};
use mountainpass_network::graph::op::{Element, Number, Op, Stride, Unary, Values};
use mountainpass_network::graph::{Graph, Id};
use mountainpass_network::model::{Feature, Model, Network, OutputKind};
use mountainpass_network::onnx::messages::ModelProto;
use mountainpass_network::onnx::{OnnxModel, Options, Precision, write};
use mountainpass_network::problem::{Aim, Problem};
use mountainpass_sdk::{Error, Parameter};
use prost::Message;

const SPECIFICATIONS: [&str; 14] = [
    "mlp:4-5-3:relu",
    "mlp:4-3:tanh",
    "mlp:6-5-4-3:gelu",
    "mlp:4-5-3:leaky_relu",
    "mlp:4-5-3:sigmoid",
    "cnn:5x4x2-3-4-3:softplus",
    "cnn:6x6x1-2-3:relu:batchnorm",
    "cnn:1x1x3-2-3:tanh",
    "resnet9:8x8x1-3",
    "resnet9:5x7x3-3:batchnorm:gelu",
    "resnet14:4x4x1-3:tanh",
    "resnet20:4x4x1-3:batchnorm:width=2",
    "transformer:vocabulary=7:context=4:width=6:heads=2:layers=2",
    "transformer:vocabulary=7:context=4:width=6:heads=3:layers=1:classes=3",
];

fn read(bytes: Vec<u8>) -> OnnxModel {
    OnnxModel::read(bytes.into(), None, &Options::default()).unwrap()
}

/// The sum of the losses of `n` samples, and its gradient.
fn loss_and_gradient(model: &dyn Model, theta: &[f64], n: usize) -> Vec<f64> {
    let problem = Problem::new(model, &DataTerm::CrossEntropy.into(), (Aim::Classes, None), n).unwrap();
    let Feature { shape, element, .. } = &model.features()[0];
    let count = n * shape.iter().product::<usize>();
    let x = match element {
        Element::Real => Values::Real((0..count).map(|i| ((i * 29) % 37) as f64 / 18.0 - 1.0).collect()),
        Element::Index => Values::Index((0..count as i64).map(|i| (i * 5) % 7).collect()),
    };
    let network = model.network(n).unwrap();
    let rows = network.graph.shape(network.output).split_last().unwrap().1.iter().product::<usize>();
    let classes = network.graph.shape(network.output).last().map_or(1, |d| *d as i64);
    let labels = Values::Index((0..rows as i64).map(|i| i % classes).collect());
    let inputs = [x, labels];
    let sources = Sources { inputs: &inputs, theta, direction: &[] };
    let wanted: Vec<_> = std::iter::once(problem.losses).chain(problem.gradient).collect();
    let all = evaluate(&problem.graph, sources, &wanted).unwrap().into_iter().map(|values| match values {
        Values::Real(values) => values,
        Values::Index(_) => panic!("indices"),
    });
    all.flatten().collect()
}

#[test]
fn a_perceptron_is_known_by_what_it_computes() {
    for spec in SPECIFICATIONS {
        let built = Built::parse(spec).unwrap();
        let file = read(write(&built, &built.start(1).unwrap(), Precision::Double).unwrap());
        for model in [&built as &dyn Model, &file] {
            let found = perceptron(model).unwrap().map(|mlp| mlp.to_string());
            // Of one layer there is no activation to tell.
            let wanted = spec.starts_with("mlp:").then(|| spec.replace("4-3:tanh", "4-3:relu"));
            assert_eq!(found, wanted, "{spec}");
        }
    }
}

#[test]
fn a_file_reads_back_to_the_same_losses_and_gradients() {
    for spec in SPECIFICATIONS {
        let built = Built::parse(spec).unwrap();
        let theta = built.start(3).unwrap();
        let file = read(write(&built, &theta, Precision::Double).unwrap());
        assert_eq!(file.parameters(), built.parameters(), "{spec}");
        assert_eq!(file.is_weight(), built.is_weight(), "{spec}");
        assert_eq!(file.features(), built.features(), "{spec}");
        assert_eq!(file.start(0).unwrap(), theta, "{spec}");
        assert_eq!(file.kind(), OutputKind::Logits, "{spec}");
        assert!(file.notes().is_empty(), "{spec}: {:?}", file.notes());
        for n in [1, 2, 4] {
            let joint = |model: &dyn Model| model.network(n).unwrap().is_joint;
            assert_eq!(joint(&file), joint(&built), "{spec}");
            let (a, b) = (loss_and_gradient(&built, &theta, n), loss_and_gradient(&file, &theta, n));
            // The same operators on the same numbers; sums may run in another order.
            let scale = a.iter().fold(1e-3, |m: f64, x| m.max(x.abs()));
            let error = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(a.len() == b.len() && error < 1e-13 * scale, "{spec}, {n} samples: {error} of {scale}");
        }
    }
}

#[test]
fn a_file_that_was_read_is_written_again() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    for name in ["mlp", "cnn", "lenet", "attention", "sdpa", "decoder", "lstm", "gru", "rnn", "zoom"] {
        let path = folder.join(format!("{name}-old.onnx"));
        let first = OnnxModel::open(&path, &Options::default()).unwrap();
        let theta = first.start(0).unwrap();
        let bytes = write(&first, &theta, Precision::Double).unwrap_or_else(|e| panic!("{name}: {}", e.text));
        let second = read(bytes);
        assert_eq!(second.start(0).unwrap(), theta, "{name}");
        for n in [2, 3] {
            let (a, b) = (loss_and_gradient(&first, &theta, n), loss_and_gradient(&second, &theta, n));
            let scale = a.iter().fold(1e-3, |m: f64, x| m.max(x.abs()));
            let error = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(a.len() == b.len() && error < 1e-13 * scale, "{name}, {n} samples: {error} of {scale}");
        }
    }
}

#[test]
fn single_precision_rounds_theta_and_nothing_else() {
    for spec in SPECIFICATIONS {
        let built = Built::parse(spec).unwrap();
        let theta = built.start(3).unwrap();
        let file = read(write(&built, &theta, Precision::Single).unwrap());
        assert_eq!(file.parameters(), built.parameters(), "{spec}");
        let rounded: Vec<f64> = theta.iter().map(|x| f64::from(*x as f32)).collect();
        assert_eq!(file.start(0).unwrap(), rounded, "{spec}");
        let (a, b) = (loss_and_gradient(&built, &theta, 3), loss_and_gradient(&file, &theta, 3));
        let scale = a.iter().fold(1e-3, |m: f64, x| m.max(x.abs()));
        // Constants (the epsilon of a normalisation, a scale of attention) are rounded to 6e-8 in the file.
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5 * scale), "{spec}");
    }
}

#[test]
fn initializers_are_the_parameters_and_nothing_else() {
    for spec in SPECIFICATIONS {
        let built = Built::parse(spec).unwrap();
        let bytes = write(&built, &built.start(0).unwrap(), Precision::Single).unwrap();
        let graph = ModelProto::decode(&bytes[..]).unwrap().graph.unwrap();
        let names: Vec<&str> = graph.initializer.iter().map(|t| t.name()).collect();
        let wanted: Vec<&str> = built.parameters().iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, wanted, "{spec}");
        assert_eq!(graph.output[0].name(), "logits");
        let dims = &graph.input[0].r#type.as_ref().unwrap().tensor_type.as_ref().unwrap().shape.as_ref().unwrap().dim;
        assert_eq!(dims[0].dim_param(), "n", "{spec}");
    }
}

/// A model of one parameter whose output is made by a function.
struct Made(fn(&mut Graph, usize) -> Result<Id, Error>, [Parameter; 1], [Feature; 1]);

impl Model for Made {
    fn parameters(&self) -> &[Parameter] {
        &self.1
    }
    fn features(&self) -> &[Feature] {
        &self.2
    }
    fn is_weight(&self) -> &[bool] {
        &[true]
    }
    fn network(&self, n: usize) -> Result<Network, Error> {
        let mut graph = Graph::new();
        let output = (self.0)(&mut graph, n)?;
        Ok(Network { graph, output, kind: OutputKind::Logits, is_joint: false })
    }
    fn start(&self, _seed: u64) -> Result<Vec<f64>, Error> {
        Ok(vec![0.5, -0.25])
    }
    fn hash(&self) -> String {
        String::new()
    }
}

fn made(make: fn(&mut Graph, usize) -> Result<Id, Error>) -> Made {
    let parameter = Parameter { name: "w".into(), shape: vec![2], offset: 0 };
    Made(make, [parameter], [Feature { name: "x".into(), shape: vec![2], element: Element::Real }])
}

#[test]
fn what_cannot_be_written_is_refused_in_one_line() {
    let curve = made(|graph, n| {
        let x = graph.input(0, vec![n, 2], Element::Real)?;
        let w = graph.parameter(0, vec![2])?;
        let y = graph.mul(x, w)?;
        graph.unary(Unary::NormalCdf, y)
    });
    let text = |made: &Made, theta: &[f64]| write(made, theta, Precision::Double).unwrap_err().text;
    assert_eq!(text(&curve, &[0.0, 1.0]), "NormalCdf of the shape [n, 2]: it is not written as ONNX");
    assert_eq!(text(&curve, &[0.0]), "1 numbers for 2 parameters");
    let counts = made(|graph, n| {
        let x = graph.input(0, vec![n, 2], Element::Real)?;
        let w = graph.parameter(0, vec![2])?;
        let y = graph.mul(x, w)?;
        graph.scale(y, n as f64 + 1.0)
    });
    assert_eq!(text(&counts, &[0.0, 1.0]), "Mul of the shape [n, 2]: a number in it depends on the batch size");
    let first = made(|graph, n| {
        let x = graph.input(0, vec![n, 2], Element::Real)?;
        let w = graph.parameter(0, vec![2])?;
        let y = graph.mul(x, w)?;
        if n > 11 { graph.push(Op::Softmax, &[y]) } else { Ok(y) }
    });
    assert_eq!(text(&first, &[0.0, 1.0]), "its graph differs between batch sizes in more than an axis");
    let repeats = made(|graph, n| {
        let w = graph.parameter(0, vec![2])?;
        let rows = graph.repeat(w, &[n, 2])?;
        let x = graph.input(0, vec![n, 2], Element::Real)?;
        graph.push(Op::Concat(1), &[rows, x])
    });
    let message = "Broadcast of the shape [n, 2]: it repeats an array as often as there are samples";
    assert_eq!(text(&repeats, &[0.0, 1.0]), message);
}

#[test]
fn parts_lookups_and_reversals_are_written() {
    let model = made(|graph, n| {
        let x = graph.input(0, vec![n, 2], Element::Real)?;
        let w = graph.parameter(0, vec![2])?;
        let back = graph.push(
            Op::Slice { along: vec![Stride { start: 0, step: 1 }, Stride { start: 1, step: -1 }], shape: vec![n, 2] },
            &[x],
        )?;
        let y = graph.mul(back, w)?;
        let at = graph.constant(vec![3], Values::Index(vec![1, 0, 1]))?;
        let picked = graph.push(Op::Gather { axis: 1, shared: 0 }, &[y, at])?;
        let three = graph.unary(Unary::Power(Number::new(3.0)), picked)?;
        let largest = graph.push(Op::Largest(vec![1]), &[three])?;
        let joined = graph.push(Op::Concat(1), &[three, largest])?;
        let along = vec![Stride { start: 0, step: 1 }, Stride { start: 1, step: 1 }];
        let bordered = graph.push(Op::Place { along, shape: vec![n, 6] }, &[joined])?;
        let (bent, step) = (graph.unary(Unary::Expm1, bordered)?, graph.unary(Unary::Step, bordered)?);
        let sum = graph.add(bent, step)?;
        graph.push(Op::LogSoftmax, &[sum])
    });
    let theta = model.start(0).unwrap();
    let options = Options { output_kind: Some(OutputKind::Probabilities), ..Options::default() };
    let file = OnnxModel::read(write(&model, &theta, Precision::Double).unwrap().into(), None, &options).unwrap();
    let output = |model: &dyn Model| {
        let network = model.network(3).unwrap();
        let inputs = [Values::Real(vec![0.3, -0.7, 1.1, 0.2, -0.4, 0.9])];
        evaluate(&network.graph, Sources { inputs: &inputs, theta: &theta, direction: &[] }, &[network.output]).unwrap()
    };
    assert_eq!(output(&file), output(&model));
}
