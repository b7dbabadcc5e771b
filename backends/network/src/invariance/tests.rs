//! Random elements of every symmetry found, on whole networks; and what should be found.

use super::{Seen, symmetries};
use crate::build::Built;
use crate::graph::Graph;
use crate::graph::evaluate::{Sources, evaluate};
use crate::graph::op::{Element, Op, Stride, Values};
use crate::model::{Feature, Model};
use crate::onnx::{OnnxModel, Options};
use crate::{Activation, Mlp};
use mountainpass_sdk::{Symmetry, SymmetryKind};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::Path;

fn of(spec: &str, seen: Seen) -> Vec<Symmetry> {
    let network = Built::parse(spec).unwrap().network(1).unwrap();
    symmetries(&network.graph, network.output, seen).unwrap()
}

/// How many permutations, signs, scales and mixings.
fn counts(spec: &str) -> [usize; 4] {
    let all = of(spec, Seen::Nothing);
    let count = |is: &dyn Fn(&SymmetryKind) -> bool| all.iter().filter(|s| is(&s.kind)).count();
    [
        count(&|k| *k == SymmetryKind::Permutation),
        count(&|k| *k == SymmetryKind::Sign),
        count(&|k| matches!(k, SymmetryKind::Scale { .. })),
        count(&|k| matches!(k, SymmetryKind::Mixing { .. })),
    ]
}

fn outputs(graph: &Graph, output: crate::graph::Id, inputs: &[Values], theta: &[f64]) -> Vec<f64> {
    let sources = Sources { inputs, theta, direction: &[] };
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
        SymmetryKind::Conjugation { split } => {
            let (split, n) = (split as usize, blocks.len());
            let mut order: Vec<usize> = (0..n).collect();
            (1..n).rev().for_each(|i| order.swap(i, (rng.next_u64() % (i as u64 + 1)) as usize));
            for (to, from) in blocks.iter().zip(&order) {
                for (k, to) in to.iter().enumerate() {
                    let k = if k < split { k } else { k - (k - split) % n + order[(k - split) % n] };
                    moved[*to as usize] = theta[blocks[*from][k] as usize];
                }
            }
        }
        SymmetryKind::Mixing { split } => {
            let (up, down) = blocks.split_at(split as usize);
            // Shears, with their inverses turned over, make up any matrix of determinant 1; plane rotations are orthogonal.
            for _ in 0..8 {
                let [i, j] = [0, 1].map(|_| (rng.next_u64() % blocks[0].len() as u64) as usize);
                let a = 0.2 + (rng.next_u64() % 1000) as f64 / 2000.0;
                let rows = [[1.0, a], [0.0, 1.0]];
                let over = [[1.0, 0.0], [-a, 1.0]];
                let round = [[a.cos(), -a.sin()], [a.sin(), a.cos()]];
                let (first, second) = if split == 0 { (round, round) } else { (rows, over) };
                for (points, m) in [(up, first), (down, second)] {
                    for point in points.iter().filter(|_| i != j) {
                        let [x, y] = [i, j].map(|k| moved[point[k] as usize]);
                        [i, j].iter().zip(m).for_each(|(k, row)| moved[point[*k] as usize] = row[0] * x + row[1] * y);
                    }
                }
            }
        }
        _ => panic!("{symmetry:?}"),
    }
    moved
}

fn exported(name: &str) -> OnnxModel {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}.onnx"));
    OnnxModel::open(&path, &Options::default()).unwrap_or_else(|e| panic!("{name}: {}", e.text))
}

/// Moves random parameters by random elements of every symmetry; how many units each permutation has, how many are negated
/// and scaled, and how many each mixing has.
fn exact(name: &str, model: &dyn Model) -> (Vec<usize>, [usize; 2], Vec<usize>) {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let n = model.only().map_or(2, |(only, _)| only);
    let network = model.network(n).unwrap();
    let value = |feature: &Feature| {
        let count = n * feature.shape.iter().product::<usize>();
        match feature.element {
            Element::Real => Values::Real((0..count).map(|i| ((i * 29) % 37) as f64 / 18.0 - 1.0).collect()),
            Element::Index => Values::Index((0..count as i64).map(|i| (i * 5) % 6).collect()),
        }
    };
    let inputs: Vec<Values> = model.features().iter().map(value).collect();
    // Every parameter its own number: where biases are all alike, a wrong permutation could go unseen.
    let p = model.start(2).unwrap().len();
    let theta: Vec<f64> = (0..p).map(|_| (rng.next_u64() % 2001) as f64 / 1000.0 - 1.0).collect();
    let truth = outputs(&network.graph, network.output, &inputs, &theta);
    let size = truth.iter().map(|x| x.abs()).fold(0.0, f64::max);
    let all = [Seen::Squares, Seen::Nothing].map(|seen| symmetries(&network.graph, network.output, seen).unwrap());
    let of = |blocks: &[u64], theta: &[f64]| blocks.iter().map(|i| theta[*i as usize].powi(2)).sum::<f64>();
    for (symmetry, seen) in
        all.iter().zip([Seen::Squares, Seen::Nothing]).flat_map(|(all, s)| all.iter().map(move |x| (x, s)))
    {
        let there = moved(&theta, symmetry, &mut rng);
        let moved = outputs(&network.graph, network.output, &inputs, &there);
        let error = truth.iter().zip(&moved).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        // Sums in another order, through up to 14 layers.
        assert!(error <= 1e-11 * size, "{name}: {:?} moves the output by {error}", symmetry.kind);
        for parameter in model.parameters().iter().filter(|_| seen == Seen::Squares) {
            let count = parameter.shape.iter().product::<u64>();
            let entries: Vec<u64> = (parameter.offset..parameter.offset + count).collect();
            let (before, after) = (of(&entries, &theta), of(&entries, &there));
            assert!((before - after).abs() < 1e-11 * before, "{name}: {:?} moves {}", symmetry.kind, parameter.name);
        }
    }
    let [_, symmetries] = all;
    let count = |is: &dyn Fn(&SymmetryKind) -> bool| -> usize {
        symmetries.iter().filter(|s| is(&s.kind)).map(|s| s.blocks.len()).sum()
    };
    let is_permutation = |s: &&Symmetry| matches!(s.kind, SymmetryKind::Permutation | SymmetryKind::Conjugation { .. });
    (
        symmetries.iter().filter(is_permutation).map(|s| s.blocks.len()).collect(),
        [count(&|k| *k == SymmetryKind::Sign), count(&|k| matches!(k, SymmetryKind::Scale { .. }))],
        symmetries
            .iter()
            .filter(|s| matches!(s.kind, SymmetryKind::Mixing { split: 1.. }))
            .map(|s| s.blocks[0].len())
            .collect(),
    )
}

#[test]
fn exported_networks_have_the_symmetries_of_the_modules_they_were() {
    // Units of every permutation; negated and scaled units; units of every mixing, those of embeddings before sequences too.
    type Case<'a> = (&'a str, &'a [usize], [usize; 2], &'a [usize]);
    let cases: [Case<'_>; 11] = [
        // Both directions of two layers; all states are odd, and odd in what they are computed from.
        ("stack", &[4, 4, 4, 4], [16, 0], &[3]),
        ("gates", &[4, 4, 4, 4], [16, 0], &[3]),
        ("lstm", &[4, 4, 4, 4], [16, 0], &[3]),
        ("gru", &[4], [4, 0], &[3]),
        // A rectifier scales its state.
        ("rnn", &[4], [0, 4], &[3]),
        // Two heads; in each three units of queries and keys, and three of values.
        ("heads", &[2], [0, 0], &[3, 3, 3, 3]),
        ("multihead", &[2, 6], [6, 0], &[3, 3, 3, 3]),
        ("causal", &[2, 2, 2], [0, 0], &[4, 2, 2]),
        ("sdpa", &[2], [0, 0], &[2, 2, 2, 2]),
        // Three groups; in each two inputs and three outputs, which are groups of one input and two outputs each.
        ("groups", &[2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3], [0, 48], &[]),
        // What is joined, with the data between, keeps its units apart; part of it is joined again.
        ("joined", &[2, 4, 5], [9, 2], &[]),
    ];
    for (name, permutations, signed, mixed) in cases {
        for kind in ["old", "plain", "new"] {
            let name = format!("{name}-{kind}");
            let (mut found, counts, widths) = exact(&name, &exported(&name));
            found.sort_unstable();
            assert_eq!((&found[..], counts, &widths[..]), (permutations, signed, mixed), "{name}");
        }
    }
}

#[test]
fn random_elements_leave_the_output_of_every_exported_network_unchanged() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| Some(entry.unwrap().file_name().to_str()?.strip_suffix(".onnx")?.to_owned()))
        .collect();
    names.sort();
    assert!(names.len() > 60);
    for name in names {
        println!("{name}: {:?}", exact(&name, &exported(&name)));
    }
}

const SPECIFICATIONS: [&str; 17] = [
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
    "mlp:3-1-2:tanh",
];

#[test]
fn random_elements_leave_the_output_unchanged() {
    for spec in SPECIFICATIONS {
        exact(spec, &Built::parse(spec).unwrap());
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
        for seen in [Seen::Squares, Seen::Nothing] {
            let spec = format!("mlp:4-5-6-3:{activation}");
            let by_hand = of_perceptron(&Mlp::parse(&spec).unwrap(), seen == Seen::Nothing);
            assert_eq!(of(&spec, seen), by_hand, "{spec}");
        }
    }
}

#[test]
fn the_symmetries_of_known_architectures_are_all_found() {
    // Two hidden layers of channels; relu scales them through maxima and convolutions.
    assert_eq!(counts("cnn:5x4x2-3-4-3:relu"), [2, 0, 2, 0]);
    // A maximum of 2x2 is not odd: only signs behind the last one could pass, and there is one behind each layer here.
    assert_eq!(counts("cnn:1x4x2-3-4-3:tanh"), [2, 2, 0, 0]);
    assert_eq!(counts("cnn:5x4x2-3-4-3:tanh"), [2, 0, 0, 0]);
    // A normalisation forgets the sign of what comes before it (its scale up to epsilon only), and the relu behind it
    // passes the scale of its own weights.
    assert_eq!(counts("cnn:4x4x1-3-3:relu:batchnorm"), [1, 1, 1, 0]);
    // Three streams and the inside of each of six blocks, of which those that change the width have no stream.
    assert_eq!(counts("resnet14:4x4x1-3"), [9, 0, 9, 0]);
    // The heads, the perceptron's units, the residual stream. Signs and scales: the weights of three normalisations against
    // what reads those. Mixed are, in each of two heads, the directions in which queries meet keys and those in which
    // values leave.
    assert_eq!(counts("transformer:vocabulary=7:context=4:width=6:heads=2:layers=1"), [3, 3, 3, 4]);
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
        assert_eq!(symmetries(&g, y, Seen::Sizes).unwrap().len(), usize::from(!told_apart));
    }
    let mut g = Graph::new();
    let x = g.input(0, vec![2, 3], Element::Real).unwrap();
    let w = g.parameter(0, vec![3, 4]).unwrap();
    let h = g.matmul(x, w).unwrap();
    let along = vec![Stride { start: 0, step: 1 }, Stride { start: 1, step: 1 }];
    let part = g.push(Op::Slice { along, shape: vec![2, 2] }, &[h]).unwrap();
    let y = g.sum(part, &[1]).unwrap();
    assert_eq!(symmetries(&g, y, Seen::Sizes).unwrap(), []);
}

#[test]
fn layers_of_one_width_share_no_constant() {
    // Their epsilons are one node of the graph: each layer's units still move on their own.
    // A sign before a normalisation is undone by its scale.
    assert_eq!(counts("cnn:8x8x1-4-4-4-10:relu:batchnorm"), [3, 3, 3, 0]);
    assert_eq!(counts("cnn:8x8x1-4-4-10:leaky_relu"), [2, 0, 2, 0]);
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
    let found = symmetries(&g, y, Seen::Nothing).unwrap();
    assert_eq!(found.len(), 1);
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let theta: Vec<f64> = (0..30).map(|i| ((i * 37) % 101) as f64 / 50.0 - 1.0).collect();
    let data = Values::Real((0..24).map(|i| ((i * 29) % 31) as f64 / 15.0 - 1.0).collect());
    let data = [data];
    let (here, there) = (outputs(&g, y, &data, &theta), outputs(&g, y, &data, &moved(&theta, &found[0], &mut rng)));
    // The same products added in another order.
    assert!(here.iter().zip(&there).all(|(a, b)| (a - b).abs() < 1e-14), "{here:?} {there:?}");
    // The largest units themselves, and which they were: their order tells them apart.
    let at = g.push(Op::TopK { count: 2 }, &[h]).unwrap();
    let number = g.push(Op::ToReal, &[at]).unwrap();
    let top = g.push(Op::Gather { axis: 2, shared: 2 }, &[h, at]).unwrap();
    let y = g.mul(top, number).unwrap();
    assert_eq!(symmetries(&g, y, Seen::Nothing).unwrap(), []);
}
