//! Networks of every kind under every objective: values against the graph's interpreter, derivatives against differences
//! of values, and what opening refuses.

mod caller;

use caller::{Array, Call, Loss, Numbers, derivatives_are_right, dot, shifted};
use mountainpass_network::build::Built;
use mountainpass_network::graph::evaluate::{Sources, evaluate};
use mountainpass_network::graph::op::{Element, Values};
use mountainpass_network::model::Model;
use mountainpass_network::problem::{Aim, Problem};
use mountainpass_network::{DataTerm, Dataset, Layout};
use mountainpass_sdk::abi;

const DIGITS: [(&str, &str); 3] = [("data", "digits"), ("limit", "50"), ("l2", "0.01")];

#[test]
fn every_kind_of_network_has_its_derivatives() {
    for spec in [
        "cnn:8x8x1-3-4-10:tanh",
        "cnn:8x8x1-3-4-10:softplus:batchnorm",
        "resnet9:8x8x1-10:gelu",
        "resnet9:8x8x1-10:tanh:batchnorm",
    ] {
        for term in ["cross_entropy", "mse"] {
            let options = [&DIGITS[..], &[("objective", term)]].concat();
            let mut loss = Loss::open(2, spec, &options, None).unwrap();
            derivatives_are_right(&format!("{spec} {term}"), &mut loss, 5, 0.0);
        }
    }
}

/// 40 tokens below 11, in windows of 8.
fn tokens() -> Vec<f64> {
    (0..40).map(|i| f64::from(i * i % 11)).collect()
}

#[test]
fn a_transformer_is_differentiated_from_its_tokens_on() {
    let (x, y) = (tokens(), (0..40).map(|i| f64::from((i + 1) * (i + 1) % 11)).collect::<Vec<f64>>());
    let arrays = [Array::reals(c"x", &[5, 8], &x), Array::reals(c"y", &[5, 8], &y)];
    let spec = "transformer:vocabulary=11:context=8:width=8:heads=2:layers=1";
    let mut loss = Loss::open_arrays(2, spec, &[], &arrays).unwrap();
    derivatives_are_right("it", &mut loss, 3, 0.5);
    let few = format!("{}:classes=3", spec.replace("11", "9"));
    let arrays = [Array::reals(c"x", &[5, 8], &x), Array::reals(c"y", &[5], &[0.0, 1.0, 2.0, 1.0, 0.0])];
    let fault = Loss::open_arrays(2, &few, &[], &arrays).err().unwrap();
    assert!(fault.starts_with("memory: train sample ") && fault.contains("knows 9 (they count from 0)"), "{fault}");
}

#[test]
fn values_are_those_of_the_interpreter() {
    let digits = Dataset::open("digits").unwrap();
    for (spec, options) in [("cnn:8x8x1-3-4-10:relu", &DIGITS[..2]), ("resnet9:8x8x1-10:relu", &DIGITS[..2])] {
        let model = Built::parse(spec).unwrap();
        let problem = Problem::new(&model, &DataTerm::CrossEntropy.into(), (Aim::Classes, None), 50).unwrap();
        let feed = digits.feeds(spec, model.features()).unwrap().remove(0);
        let mut x = vec![0.0; 50 * 64];
        feed.fill(&digits.train, |i| i, Layout::Samples, |v| v, &mut x);
        let labels = digits.train.labels()[..50].iter().map(|y| i64::from(*y)).collect();
        let inputs = [Values::Real(x), Values::Index(labels)];
        let mut loss = Loss::open(2, spec, options, None).unwrap();
        let theta = loss.start(4);
        let dir = Numbers(8).vector(loss.p, 1.0);
        let sources = Sources { inputs: &inputs, theta: &theta, direction: &dir };
        let outputs: Vec<_> = [&[problem.losses][..], &problem.gradient, &problem.product].concat();
        let mut values = evaluate(&problem.graph, sources, &outputs).unwrap().into_iter().map(|v| match v {
            Values::Real(values) => values,
            Values::Index(_) => panic!("indices"),
        });
        let mean = values.next().unwrap().iter().sum::<f64>() / 50.0;
        let blocks: Vec<f64> = values.flatten().map(|g| g / 50.0).collect();
        let (grad, hvp) = blocks.split_at(loss.p);
        let found = loss.eval(Call { dir: Some(&dir), ..Call::new(&theta) }).unwrap();
        assert!((found.loss[0] - mean).abs() < 1e-13 * mean, "{spec}");
        for (found, wanted) in [(&found.grad, grad), (&found.hvp, hvp)] {
            let gap = shifted(found, -1.0, wanted);
            assert!(dot(&gap, &gap).sqrt() < 1e-12 * dot(wanted, wanted).sqrt(), "{spec}");
        }
    }
}

/// Six samples of three numbers with two targets each.
fn targets(y: &[f64]) -> (Vec<f64>, Vec<f64>) {
    ((0..18).map(|i| f64::from(i % 7) / 3.0 - 1.0).collect(), y.to_vec())
}

#[test]
fn numbers_are_fitted() {
    let (x, y) = targets(&[0.5, -1.0, 2.0, 0.25, 1.5, 0.0, -0.5, 3.0, 1.0, 1.25, 0.75, -2.0]);
    let arrays = [Array::reals(c"x", &[6, 3], &x), Array::reals(c"y", &[6, 2], &y)];
    let mut loss = Loss::open_arrays(1, "mlp:3-4-2:tanh", &[("objective", "mse")], &arrays).unwrap();
    derivatives_are_right("it", &mut loss, 3, 0.7);
    // Outputs 0: the mean of the sums of squares.
    let zero = loss.value(&vec![0.0; loss.p]);
    assert!((zero - y.iter().map(|y| y * y).sum::<f64>() / 6.0).abs() < 1e-14, "{zero}");
    assert!(loss.metrics(0, &vec![0.0; loss.p])[1].is_nan(), "there is no accuracy");
    let fault =
        Loss::open_arrays(1, "mlp:3-4-2:tanh", &[("objective", "binary_cross_entropy")], &arrays).err().unwrap();
    assert!(
        fault.contains("train sample 0 has target -1, but binary_cross_entropy takes numbers from 0 to 1"),
        "{fault}"
    );
}

#[test]
fn binary_targets_are_judged() {
    let (x, y) = targets(&[0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.25, 0.75]);
    let arrays = [Array::reals(c"x", &[6, 3], &x), Array::reals(c"y", &[6, 2], &y)];
    let mut loss = Loss::open_arrays(1, "mlp:3-4-2:tanh", &[("objective", "binary_cross_entropy")], &arrays).unwrap();
    derivatives_are_right("it", &mut loss, 3, 0.7);
    let mut theta = vec![0.0; loss.p];
    assert!((loss.value(&theta) - 2.0 * std::f64::consts::LN_2).abs() < 1e-14);
    // Biases of the last layer alone: no to the first, yes to the second output.
    let (p, z) = (loss.p, 3.0_f64);
    (theta[p - 2], theta[p - 1]) = (-z, z);
    let cost = |t: f64, z: f64| z.exp().ln_1p() - t * z;
    let wanted = y.chunks(2).map(|t| cost(t[0], -z) + cost(t[1], z)).sum::<f64>() / 6.0;
    assert!((loss.value(&theta) - wanted).abs() < 1e-13);
    let right = y.chunks(2).map(|t| usize::from(t[0] <= 0.5) + usize::from(t[1] > 0.5)).sum::<usize>();
    assert_eq!(loss.metrics(0, &theta)[1], right as f64 / 12.0);
}

#[test]
fn batch_statistics_are_of_the_whole_batch() {
    let options = [("data", "digits"), ("limit", "300")];
    let mut loss = Loss::open(2, "cnn:8x8x1-3-4-10:relu:batchnorm", &options, None).unwrap();
    assert_ne!(loss.caps() & abi::cap::JOINT, 0);
    let theta = loss.start(1);
    let whole = loss.value(&theta);
    let mut half = |from: u64| {
        let ids: Vec<u64> = (from..from + 150).collect();
        loss.eval(Call { ids: Some(&ids), ..Call::new(&theta) }).unwrap().loss[0]
    };
    let mean = (half(0) + half(150)) / 2.0;
    assert!((whole - mean).abs() > 1e-6, "no mean over samples: {whole} {mean}");
    let fault = Loss::open(1, "cnn:8x8x1-3-10:relu:batchnorm", &[("data", "digits"), ("batchnorm", "frozen")], None);
    assert!(fault.err().unwrap().ends_with("has no statistics that could be frozen"));
}

#[test]
fn what_is_for_files_is_refused_elsewhere() {
    let fault = |model: &str, options: &[(&str, &str)]| Loss::open(1, model, options, None).err().unwrap();
    let digits = ("data", "digits");
    assert_eq!(
        fault("mlp:64-10:relu", &[digits, ("output", "z")]),
        "option output is for .onnx files; model is mlp:64-10:relu"
    );
    assert!(fault("nowhere.onnx", &[digits]).contains("no such file"));
    assert_eq!(
        fault("net.pt", &[digits]),
        "model \"net.pt\" is a pickle of torch's: examples/torch/export.py makes an .onnx file of it"
    );
    assert!(fault("mlp:64-10:relu", &[digits, ("objective", "model")]).contains("say output_kind = \"loss\""));
    assert!(fault("mlp:64-10:relu", &[digits, ("batchnorm", "on")]).starts_with("unknown value of batchnorm \"on\""));
}

#[test]
fn a_slot_of_indices_is_no_slot_of_reals() {
    let model = Built::parse("transformer:vocabulary=11:context=8:width=8:heads=2:layers=1").unwrap();
    assert_eq!(model.features()[0].element, Element::Index);
    let half = vec![0.5; 16];
    let arrays = [Array::reals(c"x", &[2, 8], &half), Array::reals(c"y", &[2, 8], &half)];
    let spec = model.to_string();
    assert!(Loss::open_arrays(1, &spec, &[], &arrays).err().unwrap().contains("whole number"));
}

#[test]
fn no_prediction_is_right_that_is_not_finite() {
    // Perceptrons with labels have kernels of their own, all others the graph's.
    for (spec, last) in [("mlp:64-6-10:relu", 10), ("cnn:8x8x1-2-10:relu", 10), ("mlp:64-6-10:tanh", 10)] {
        for term in ["cross_entropy", "mse"] {
            let mut loss = Loss::open(2, spec, &[("data", "digits"), ("objective", term)], None).unwrap();
            let start = loss.start(1);
            assert!(loss.metrics(abi::split::TRAIN, &start)[1] > 0.0);
            for strange in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let all = vec![strange; loss.p];
                let mut bias = start.clone();
                bias[loss.p - last] = strange;
                for (theta, what) in [(all, "all"), (bias, "a bias")] {
                    let [_, accuracy] = loss.metrics(abi::split::TRAIN, &theta);
                    // A class that is ruled out, as by a mask, leaves the others.
                    let is_mask = what == "a bias" && strange == f64::NEG_INFINITY;
                    assert_eq!(accuracy > 0.0, is_mask, "{spec} {term}: {what} {strange}");
                }
            }
        }
    }
}

#[test]
fn no_binary_prediction_is_right_that_is_not_finite() {
    let (x, y) = ([0.5, -0.5, 1.0, 2.0], [0.0, 1.0]);
    let data = [Array::reals(c"x", &[2, 2], &x), Array::reals(c"y", &[2, 1], &y)];
    let mut loss = Loss::open_arrays(1, "mlp:2-1:relu", &[("objective", "binary_cross_entropy")], &data).unwrap();
    for (bias, accuracy) in [(9.0, 0.5), (-9.0, 0.5), (f64::NAN, 0.0), (f64::INFINITY, 0.0), (f64::NEG_INFINITY, 0.0)] {
        assert_eq!(loss.metrics(abi::split::TRAIN, &[0.0, 0.0, bias])[1], accuracy, "{bias}");
    }
}
