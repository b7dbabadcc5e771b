//! What objectives make of outputs and targets: closed forms beside the loss, and differences beside its derivatives.
//!
//! The network is one affine map whose weights are 0 where values are looked at: its outputs are its biases for every
//! sample, so that only labels and factors tell samples apart. Values are torch's definitions, written out.

mod caller;

use caller::{Array, Call, Loss, derivatives_are_right};
use mountainpass_network::build::Built;
use mountainpass_network::model::Model;
use mountainpass_sdk::abi;

const MODEL: &str = "mlp:2-3:tanh";
const Z: [f64; 3] = [0.3, -1.1, 0.8];

fn log_softmax() -> [f64; 3] {
    let sum: f64 = Z.iter().map(|z| z.exp()).sum();
    Z.map(|z| z - sum.ln())
}

/// Five samples, their targets, and a weight for each.
fn open(options: &[(&str, &str)], y: &[f64]) -> Result<Loss, String> {
    let x = [0.5, -1.0, 0.25, 2.0, -0.75, 0.0, 1.5, 1.0, -0.5, 0.125];
    let w = [1.0, 0.0, 2.5, 0.5, 3.0];
    let y = Array::reals(c"y", &[5, y.len() as u64 / 5], y);
    let mut arrays = vec![Array::reals(c"x", &[5, 2], &x), y];
    if options.iter().any(|(key, _)| *key == "sample_weights") {
        arrays.push(Array::reals(c"w", &[5], &w));
    }
    Loss::open_arrays(2, MODEL, options, &arrays)
}

/// The loss where the outputs are Z, if its derivatives are right.
fn value(options: &[(&str, &str)], y: &[f64]) -> f64 {
    let mut loss = open(options, y).unwrap();
    derivatives_are_right(&format!("{options:?}"), &mut loss, 3, 0.7);
    let theta = [&[0.0; 6][..], &Z].concat();
    loss.value(&theta)
}

fn close(found: f64, wanted: f64) {
    assert!((found - wanted).abs() < 1e-14, "{found}, expected {wanted}");
}

const LABELS: [f64; 5] = [0.0, 1.0, 2.0, 1.0, 1.0];
const WEIGHTS: [f64; 3] = [0.5, 2.0, 1.25];

#[test]
fn class_weights_are_those_of_the_mean_too() {
    let log = log_softmax();
    let of = |y: &f64| (WEIGHTS[*y as usize] * -log[*y as usize], WEIGHTS[*y as usize]);
    let (sum, all) = LABELS.iter().map(of).fold((0.0, 0.0), |(sum, all), (term, weight)| (sum + term, all + weight));
    close(value(&[("class_weights", "0.5, 2, 1.25")], &LABELS), sum / all);
    let fault = open(&[("class_weights", "1,2")], &LABELS).err().unwrap();
    assert!(fault.ends_with("option class_weights has 2 factors, but mlp:2-3:tanh has 3 classes"), "{fault}");
}

#[test]
fn smoothed_labels_are_distributions() {
    let log = log_softmax();
    let all: f64 = log.iter().sum();
    let mean = LABELS.iter().map(|y| -0.9 * log[*y as usize] - 0.1 / 3.0 * all).sum::<f64>() / 5.0;
    close(value(&[("label_smoothing", "0.1")], &LABELS), mean);
    let soft: Vec<f64> =
        LABELS.iter().flat_map(|y| (0..3).map(move |k| 0.1 / 3.0 + if k as f64 == *y { 0.9 } else { 0.0 })).collect();
    close(value(&[], &soft), mean);
    let fault = open(&[], &soft.iter().map(|q| 1.1 * q).collect::<Vec<f64>>()).err().unwrap();
    assert!(fault.contains("no distribution: their sum is 1.1"), "{fault}");
    // Unit vectors are classes, and have an accuracy.
    let hot: Vec<f64> = LABELS.iter().flat_map(|y| (0..3).map(move |k| f64::from(u8::from(k as f64 == *y)))).collect();
    let [loss, accuracy] = open(&[], &hot).unwrap().metrics(abi::split::TRAIN, &[&[0.0; 6][..], &Z].concat());
    close(loss, LABELS.iter().map(|y| -log[*y as usize]).sum::<f64>() / 5.0);
    assert_eq!(accuracy, 0.2);
}

#[test]
fn ignored_labels_are_not_there() {
    let log = log_softmax();
    let labels = [0.0, -100.0, 2.0, -100.0, 1.0];
    let mean = -(log[0] + log[2] + log[1]) / 3.0;
    close(value(&[("ignore_index", "-100")], &labels), mean);
    let mut loss = open(&[("ignore_index", "-100")], &labels).unwrap();
    let [_, accuracy] = loss.metrics(abi::split::TRAIN, &[&[0.0; 6][..], &Z].concat());
    assert_eq!(accuracy, 1.0 / 3.0);
    assert!(open(&[], &labels).err().unwrap().contains("label -100"));
    let fault = open(&[("ignore_index", "1")], &[1.0; 5]).err().unwrap();
    assert!(fault.ends_with("no train label counts for anything"), "{fault}");
}

#[test]
fn samples_count_by_their_weights_whatever_the_objective() {
    let (log, w) = (log_softmax(), [1.0, 0.0, 2.5, 0.5, 3.0]);
    let with = ("sample_weights", "w");
    let mean = LABELS.iter().zip(w).map(|(y, w)| -w * log[*y as usize]).sum::<f64>() / 5.0;
    close(value(&[with], &LABELS), mean);
    let targets: Vec<f64> = (0..15).map(|i| f64::from(i % 4) / 4.0).collect();
    let mean = |term: fn(f64, f64) -> f64| {
        let of = |t: &[f64]| t.iter().zip(Z).map(|(t, z)| term(*t, z)).sum::<f64>();
        targets.chunks(3).zip(w).map(|(t, w)| w * of(t)).sum::<f64>() / 5.0
    };
    close(value(&[with, ("objective", "mse")], &targets), mean(|t, z| (z - t) * (z - t)));
    close(value(&[with, ("objective", "binary_cross_entropy")], &targets), mean(|t, z| z.exp().ln_1p() - t * z));
    let fault = open(&[("sample_weights", "v")], &LABELS).err().unwrap();
    assert!(fault.contains("array \"w\" feeds nothing") || fault.contains("there is no array \"v\""), "{fault}");
}

#[test]
fn errors_are_summed_or_averaged_over_outputs() {
    let targets: Vec<f64> = (0..15).map(|i| f64::from(i % 4) / 4.0).collect();
    let sum = |term: fn(f64) -> f64| {
        targets.chunks(3).map(|t| t.iter().zip(Z).map(|(t, z)| term(z - t)).sum::<f64>()).sum::<f64>() / 5.0
    };
    close(value(&[("objective", "mse")], &targets), sum(|r| r * r));
    close(value(&[("objective", "mse"), ("reduction", "mean")], &targets), sum(|r| r * r) / 3.0);
    close(value(&[("objective", "mae"), ("reduction", "mean")], &targets), sum(f64::abs) / 3.0);
    assert_eq!(open(&[("objective", "mae")], &targets).unwrap().caps() & abi::cap::SMOOTH, 0);
    assert_ne!(open(&[("objective", "mse")], &targets).unwrap().caps() & abi::cap::SMOOTH, 0);
}

#[test]
fn penalties_see_the_parameters_of_their_names() {
    let theta: Vec<f64> = (0..9).map(|i| f64::from(i) / 2.0 - 2.0).collect();
    let of = |options: &[(&str, &str)]| open(options, &LABELS).unwrap();
    let plain = of(&[]).value(&theta);
    let built = Built::parse(MODEL).unwrap();
    let blocks: Vec<&str> = built.parameters().iter().map(|block| block.name.as_str()).collect();
    let own = [("l2", "0.5"), ("l1", "0.25"), ("penalised", blocks[0])];
    let mut loss = of(&own);
    let wanted = theta[..6].iter().map(|x| 0.25 * x * x + 0.25 * x.abs()).sum::<f64>();
    close(loss.value(&theta) - plain, wanted);
    let others = [("l1", "0.25"), ("penalised", &*format!("!{}", blocks[0]))];
    close(of(&others).value(&theta) - plain, theta[6..].iter().map(|x| 0.25 * x.abs()).sum());
    let grad = |loss: &mut Loss| loss.eval(Call::new(&theta)).unwrap().grad;
    let (with, without) = (grad(&mut loss), grad(&mut of(&[])));
    for i in 0..9 {
        let sign = if theta[i] == 0.0 { 0.0 } else { theta[i].signum() };
        close(with[i] - without[i], if i < 6 { 0.5 * theta[i] + 0.25 * sign } else { 0.0 });
    }
    assert_eq!(loss.caps() & abi::cap::SMOOTH, 0);
    // The scale of a unit is seen by any penalty.
    assert!(of(&[("l1", "0.25")]).symmetries().iter().all(|(kind, ..)| *kind != abi::symmetry::SCALE));
}

#[test]
fn one_output_has_no_cross_entropy() {
    let (x, y) = ([0.5, -1.0], [0.0, 0.0]);
    let arrays = [Array::reals(c"x", &[2, 1], &x), Array::reals(c"y", &[2], &y)];
    let fault = Loss::open_arrays(1, "mlp:1-1:tanh", &[], &arrays).err().unwrap();
    assert!(fault.contains("cross_entropy is 0 whatever theta is"), "{fault}");
}
