//! Random elements of every symmetry found, on whole networks; and what should be found.

use super::symmetries;
use crate::build::Built;
use crate::graph::Graph;
use crate::graph::evaluate::{Sources, evaluate};
use crate::graph::op::{Element, Op, Stride, Values};
use crate::model::Model;
use crate::{Activation, Mlp};
use mountainpass_sdk::{Symmetry, SymmetryKind};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn of(spec: &str, scales: bool) -> Vec<Symmetry> {
    let network = Built::parse(spec).unwrap().network(1).unwrap();
    symmetries(&network.graph, network.output, scales)
}

/// How many permutations, signs and scales.
fn counts(spec: &str) -> [usize; 3] {
    let all = of(spec, true);
    let count = |is: &dyn Fn(&SymmetryKind) -> bool| all.iter().filter(|s| is(&s.kind)).count();
    [
        count(&|k| *k == SymmetryKind::Permutation),
        count(&|k| *k == SymmetryKind::Sign),
        count(&|k| matches!(k, SymmetryKind::Scale { .. })),
    ]
}

fn outputs(graph: &Graph, output: crate::graph::Id, x: &Values, theta: &[f64]) -> Vec<f64> {
    let sources = Sources { inputs: std::slice::from_ref(x), theta, direction: &[] };
    match evaluate(graph, sources, &[output]).unwrap().remove(0) {
        Values::Real(values) => values,
        Values::Index(_) => panic!("indices"),
    }
}

fn moved(theta: &[f64], symmetry: &Symmetry, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let mut moved = theta.to_vec();
    let blocks = &symmetry.blocks;
    match symmetry.kind {
        SymmetryKind::Permutation => {
            let mut order: Vec<usize> = (0..blocks.len()).collect();
            (1..order.len()).rev().for_each(|i| order.swap(i, (rng.next_u64() % (i as u64 + 1)) as usize));
            for (to, from) in blocks.iter().zip(order) {
                to.iter().zip(&blocks[from]).for_each(|(to, from)| moved[*to as usize] = theta[*from as usize]);
            }
        }
        SymmetryKind::Sign => {
            for block in blocks.iter().filter(|_| rng.next_u64().is_multiple_of(2)) {
                block.iter().for_each(|i| moved[*i as usize] = -theta[*i as usize]);
            }
        }
        SymmetryKind::Scale { split } => {
            for block in blocks {
                let a = 0.5 + (rng.next_u64() % 1000) as f64 / 500.0;
                for (k, i) in block.iter().enumerate() {
                    moved[*i as usize] *= if (k as u64) < split { a } else { 1.0 / a };
                }
            }
        }
        _ => panic!("{symmetry:?}"),
    }
    moved
}

const SPECIFICATIONS: [&str; 16] = [
    "mlp:4-5-3:tanh",
    "mlp:4-5-6-3:relu",
    "mlp:4-5-3:gelu",
    "cnn:5x4x2-3-4-3:relu",
    "cnn:5x4x2-3-4-3:tanh",
    "cnn:5x4x2-3-4-3:leaky_relu",
    "cnn:4x4x1-3-3:relu:batchnorm",
    "cnn:4x4x1-3-3:tanh:batchnorm",
    "resnet9:8x8x1-3",
    "resnet14:4x4x1-3",
    "resnet14:4x4x1-3:tanh",
    "resnet14:4x4x1-3:batchnorm",
    "cnn:5x4x2-3-3-3-3:leaky_relu:average",
    "resnet9:8x8x1-3:gelu:batchnorm",
    "transformer:vocabulary=7:context=4:width=6:heads=2:layers=2",
    "transformer:vocabulary=7:context=4:width=6:heads=3:layers=1:classes=3",
];

#[test]
fn random_elements_leave_the_output_unchanged() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for spec in SPECIFICATIONS {
        let model = Built::parse(spec).unwrap();
        let network = model.network(2).unwrap();
        let feature = &model.features()[0];
        let count = 2 * feature.shape.iter().product::<usize>();
        let x = match feature.element {
            Element::Real => Values::Real((0..count).map(|i| ((i * 29) % 37) as f64 / 18.0 - 1.0).collect()),
            Element::Index => Values::Index((0..count as i64).map(|i| (i * 5) % 7).collect()),
        };
        // Every parameter its own number: where biases are all alike, a wrong permutation could go unseen.
        let theta: Vec<f64> =
            model.start(2).unwrap().iter().zip(model.start(9).unwrap()).map(|(a, b)| a + b / 3.0).collect();
        let theta: Vec<f64> = theta.iter().enumerate().map(|(i, t)| t + ((i * 31) % 97) as f64 / 970.0).collect();
        let truth = outputs(&network.graph, network.output, &x, &theta);
        for symmetry in of(spec, true) {
            let seen = outputs(&network.graph, network.output, &x, &moved(&theta, &symmetry, &mut rng));
            let size = truth.iter().map(|x| x.abs()).fold(0.0, f64::max);
            let error = truth.iter().zip(&seen).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            // Sums in another order, through up to 14 layers.
            assert!(error <= 1e-11 * size, "{spec}: {:?} moves the output by {error}", symmetry.kind);
        }
    }
}

/// Per hidden layer: units may be permuted; with an odd activation each may be negated; with a piecewise linear one and no
/// penalty each may be scaled up before and down behind the activation. The block of a unit is its incoming row, its
/// bias, then its outgoing column: the numbers that weight matching (Ainsworth et al. 2022) compares.
fn of_perceptron(mlp: &Mlp, scales: bool) -> Vec<Symmetry> {
    let mut symmetries = Vec::new();
    for pair in mlp.layers().windows(2) {
        let (layer, next) = (pair[0], pair[1]);
        let block = |unit: usize| -> Vec<u64> {
            let row = layer.weight + unit * layer.inputs;
            let incoming = (row..row + layer.inputs).chain([layer.bias + unit]);
            let outgoing = (0..next.outputs).map(|k| next.weight + k * next.inputs + unit);
            incoming.chain(outgoing).map(|i| i as u64).collect()
        };
        let blocks: Vec<Vec<u64>> = (0..layer.outputs).map(block).collect();
        let mut declare = |kind| symmetries.push(Symmetry { kind, blocks: blocks.clone() });
        declare(SymmetryKind::Permutation);
        if mlp.activation() == Activation::Tanh {
            declare(SymmetryKind::Sign);
        }
        if scales && matches!(mlp.activation(), Activation::Relu | Activation::LeakyRelu) {
            declare(SymmetryKind::Scale { split: layer.inputs as u64 + 1 });
        }
    }
    symmetries
}

#[test]
fn a_perceptron_has_the_symmetries_that_were_written_by_hand() {
    for activation in Activation::NAMES {
        for scales in [false, true] {
            let spec = format!("mlp:4-5-6-3:{activation}");
            assert_eq!(of(&spec, scales), of_perceptron(&Mlp::parse(&spec).unwrap(), scales), "{spec}");
        }
    }
}

#[test]
fn the_symmetries_of_known_architectures_are_all_found() {
    // Two hidden layers of channels; relu scales them through maxima and convolutions.
    assert_eq!(counts("cnn:5x4x2-3-4-3:relu"), [2, 0, 2]);
    // A maximum of 2x2 is not odd: only signs behind the last one could pass, and there is one behind each layer here.
    assert_eq!(counts("cnn:1x4x2-3-4-3:tanh"), [2, 2, 0]);
    assert_eq!(counts("cnn:5x4x2-3-4-3:tanh"), [2, 0, 0]);
    // A normalisation forgets the sign of what comes before it (its scale up to epsilon only), and the relu behind it
    // passes the scale of its own weights.
    assert_eq!(counts("cnn:4x4x1-3-3:relu:batchnorm"), [1, 1, 1]);
    // Three streams and the inside of each of six blocks, of which those that change the width have no stream.
    assert_eq!(counts("resnet14:4x4x1-3"), [9, 0, 9]);
    // The heads, the directions in which queries meet keys and values leave, the perceptron's units, the residual stream.
    // Signs and scales: queries against keys and values against what reads them, once by heads and once by directions,
    // and the weights of three normalisations against what reads those.
    assert_eq!(counts("transformer:vocabulary=7:context=4:width=6:heads=2:layers=1"), [5, 7, 7]);
}

#[test]
fn places_that_are_told_apart_are_not_permuted() {
    // A sum over half of the units, and a constant that differs from unit to unit.
    for told_apart in [false, true] {
        let mut g = Graph::new();
        let x = g.input(0, vec![2, 3], Element::Real).unwrap();
        let w = g.parameter(0, vec![3, 4]).unwrap();
        let h = g.matmul(x, w).unwrap();
        let weights = if told_apart { vec![1.0, 2.0, 3.0, 4.0] } else { vec![2.0; 4] };
        let weights = g.constant(vec![1, 4], Values::Real(weights)).unwrap();
        let h = g.mul(h, weights).unwrap();
        let y = g.sum(h, &[1]).unwrap();
        assert_eq!(symmetries(&g, y, false).len(), usize::from(!told_apart));
    }
    let mut g = Graph::new();
    let x = g.input(0, vec![2, 3], Element::Real).unwrap();
    let w = g.parameter(0, vec![3, 4]).unwrap();
    let h = g.matmul(x, w).unwrap();
    let along = vec![Stride { start: 0, step: 1 }, Stride { start: 1, step: 1 }];
    let part = g.push(Op::Slice { along, shape: vec![2, 2] }, &[h]).unwrap();
    let y = g.sum(part, &[1]).unwrap();
    assert_eq!(symmetries(&g, y, false), []);
}

#[test]
fn layers_of_one_width_share_no_constant() {
    // Their epsilons are one node of the graph: each layer's units still move on their own.
    // A sign before a normalisation is undone by its scale.
    assert_eq!(counts("cnn:8x8x1-4-4-4-10:relu:batchnorm"), [3, 3, 3]);
    assert_eq!(counts("cnn:8x8x1-4-4-10:leaky_relu"), [2, 0, 2]);
    // The residual stream of each width, and the inner channels of four blocks.
    assert_eq!(counts("resnet9:8x8x1-10:relu:batchnorm")[0], counts("resnet9:8x8x1-10:relu")[0]);
}

#[test]
fn units_move_with_rows_that_are_looked_up_but_not_past_their_order() {
    // Rows of every sample's own, put to other places; hidden units stand along the axis that no index looks along.
    let mut g = Graph::new();
    let x = g.input(0, vec![2, 3, 4], Element::Real).unwrap();
    let (w, v) = (g.parameter(0, vec![4, 5]).unwrap(), g.parameter(20, vec![5, 2]).unwrap());
    let h = g.matmul(x, w).unwrap();
    let row = g.narrow(x, 2, 0, 1).and_then(|row| g.reshape(row, vec![2, 3])).unwrap();
    let at = g.push(Op::TopK { count: 2 }, &[row]).unwrap();
    let rows = g.push(Op::Gather { axis: 1, shared: 1 }, &[h, at]).unwrap();
    let placed = g.push(Op::Scatter { axis: 1, size: 3, shared: 1 }, &[rows, at]).unwrap();
    let bent = g.unary(crate::graph::op::Unary::Sigmoid, placed).unwrap();
    let y = g.matmul(bent, v).unwrap();
    let found = symmetries(&g, y, true);
    assert_eq!(found.len(), 1);
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let theta: Vec<f64> = (0..30).map(|i| ((i * 37) % 101) as f64 / 50.0 - 1.0).collect();
    let data = Values::Real((0..24).map(|i| ((i * 29) % 31) as f64 / 15.0 - 1.0).collect());
    let (here, there) = (outputs(&g, y, &data, &theta), outputs(&g, y, &data, &moved(&theta, &found[0], &mut rng)));
    // The same products added in another order.
    assert!(here.iter().zip(&there).all(|(a, b)| (a - b).abs() < 1e-14), "{here:?} {there:?}");
    // The largest units themselves, and which they were: their order tells them apart.
    let at = g.push(Op::TopK { count: 2 }, &[h]).unwrap();
    let number = g.push(Op::ToReal, &[at]).unwrap();
    let top = g.push(Op::Gather { axis: 2, shared: 2 }, &[h, at]).unwrap();
    let y = g.mul(top, number).unwrap();
    assert_eq!(symmetries(&g, y, true), []);
}
