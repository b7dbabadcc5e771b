//! Networks that torch wrote, with units of theirs permuted by hand: a copy is the minimum that it is a copy of.
#![cfg(all(feature = "cli", feature = "faer"))]

#[allow(dead_code)] // Only its archives are wanted.
mod large;
mod mpass;

use large::archive;
use mountainpass::npy::{self, Array};
use mpass::{bytes, file, folder, succeeds};
use serde_json::Value;
use std::path::Path;

/// Along an axis of a parameter: which place each gets its numbers from, and which are negated then.
#[derive(Clone)]
struct Move(&'static str, usize, Vec<usize>, Vec<usize>);

fn along(name: &'static str, axis: usize, from: &[usize]) -> Move {
    Move(name, axis, from.to_vec(), Vec::new())
}

/// The same units in each of several stacked gates.
fn gates(count: usize, from: &[usize]) -> Vec<usize> {
    (0..count).flat_map(|gate| from.iter().map(move |k| gate * from.len() + k)).collect()
}

/// The hidden units of one direction of a recurrent layer, and what reads them.
fn recurrent(names: [&'static str; 4], count: usize, readers: &[&'static str], first: usize) -> Vec<Move> {
    let units = [2, 0, 3, 1];
    let read: Vec<usize> = (0..8).map(|k| if k / 4 == first / 4 { first + units[k % 4] } else { k }).collect();
    let mut moves: Vec<Move> = names.iter().map(|name| along(name, 0, &gates(count, &units))).collect();
    moves.push(along(names[1], 1, &units));
    moves.extend(readers.iter().map(|name| along(name, 1, &read)));
    moves
}

struct Block {
    name: String,
    shape: Vec<usize>,
    offset: usize,
}

fn moved(theta: &[f64], blocks: &[Block], moves: &[Move]) -> Vec<f64> {
    let mut theta = theta.to_vec();
    for Move(name, axis, from, negated) in moves {
        let block = blocks.iter().find(|block| block.name == *name).unwrap_or_else(|| panic!("no {name}"));
        let (size, inner) = (block.shape[*axis], block.shape[axis + 1..].iter().product::<usize>());
        assert_eq!(size, from.len(), "{name}");
        let before = theta.clone();
        for i in 0..block.shape.iter().product() {
            let place = i / inner % size;
            let given = before[block.offset + i - place * inner + from[place] * inner];
            theta[block.offset + i] = if negated.contains(&place) { -given } else { given };
        }
    }
    theta
}

/// A network with data, and numbers for its parameters.
fn prepared(name: &str, model: &str, x: (&[usize], bool)) -> (std::path::PathBuf, Vec<Block>, Vec<f64>) {
    let here = folder(name);
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("backends/network/tests/fixtures");
    std::fs::copy(fixtures.join(model).with_extension("onnx"), here.join("m.onnx")).unwrap();
    let n = 6;
    let (shape, is_whole) = ([&[n], x.0].concat(), x.1);
    let count: usize = shape.iter().product();
    let values: Vec<f64> = match is_whole {
        true => (0..count).map(|i| ((i * i + 3 * i) % 7) as f64).collect(),
        false => (0..count).map(|i| ((i * 29) % 37) as f64 / 18.0 - 1.0).collect(),
    };
    let x = npy::bytes(&Array { shape, values: values.into() });
    let y = npy::bytes(&Array { shape: vec![n], values: (0..n).map(|i| (i % 2) as f64).collect::<Vec<f64>>().into() });
    file(&here, "d.npz", archive(&[("x.npy", &x), ("y.npy", &y)]));
    file(&here, "e.toml", LOSS);
    let ended = succeeds(&here, &["eval", "e.toml", "--json"]);
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    let whole = |value: &Value| value.as_u64().unwrap() as usize;
    let block = |of: &Value| Block {
        name: of["name"].as_str().unwrap().to_owned(),
        shape: of["shape"].as_array().unwrap().iter().map(whole).collect(),
        offset: whole(&of["offset"]),
    };
    let blocks: Vec<Block> = told["parameters"].as_array().unwrap().iter().map(block).collect();
    let p: usize = blocks.iter().map(|block| block.shape.iter().product::<usize>()).sum();
    let theta = (0..p).map(|i| ((i * 7919 + 104_729) % 1009) as f64 / 1009.0 - 0.5).collect();
    (here, blocks, theta)
}

const LOSS: &str = "[loss]\nbackend = \"faer\"\nmodel = \"m.onnx\"\ndata = \"d.npz\"\nl2 = 1e-2\n";

/// The same without a penalty.
const FREE: &str = "[loss]\nbackend = \"faer\"\nmodel = \"m.onnx\"\ndata = \"d.npz\"\n";

/// How many minima and how many copies a run knows of two points.
fn counted(here: &Path, points: [&[f64]; 2]) -> [u64; 2] {
    counted_under(LOSS, here, points)
}

fn counted_under(loss: &str, here: &Path, points: [&[f64]; 2]) -> [u64; 2] {
    for (name, theta) in ["a.npy", "b.npy"].iter().zip(points) {
        file(here, name, npy::bytes(&Array { shape: vec![1, theta.len()], values: theta.to_vec().into() }));
    }
    file(here, "r.toml", format!("{loss}[minima]\ntheta = [\"a.npy\", \"b.npy\"]\n[paths]\nvisits = 1\n"));
    succeeds(here, &["run", "r.toml", "--force", "--threads", "1"]);
    let summary: Value = serde_json::from_slice(&bytes(&here.join("r"), "summary.json")).unwrap();
    ["minima", "copies"].map(|name| summary[name].as_u64().unwrap())
}

/// Each by itself, then all after one another.
fn copies_are_one(name: &str, model: &str, x: (&[usize], bool), all: &[Vec<Move>]) {
    let (here, blocks, theta) = prepared(name, model, x);
    let together = all.concat();
    for moves in all.iter().chain([&together]) {
        let copy = moved(&theta, &blocks, moves);
        assert_ne!(copy, theta);
        let names: Vec<&str> = moves.iter().map(|Move(name, ..)| *name).collect();
        assert_eq!(counted(&here, [&theta, &copy]), [1, 1], "{model}: {names:?}");
    }
    // No copy: one parameter of several that move together.
    let copy = moved(&theta, &blocks, &all[0][..1]);
    assert_eq!(counted(&here, [&theta, &copy])[1], 0, "{model}");
}

fn heads() -> Vec<Vec<Move>> {
    let qk = |from: &[usize]| ["q.weight", "q.bias", "k.weight", "k.bias"].map(|name| along(name, 0, from)).to_vec();
    let v = |from: &[usize]| vec![along("v.weight", 0, from), along("v.bias", 0, from), along("out.weight", 1, from)];
    let negated = |name| Move(name, 0, (0..6).collect(), vec![1, 3]);
    vec![
        // Units of queries and keys in one head, units of values in one head, both in both with the heads exchanged.
        qk(&[2, 0, 1, 3, 4, 5]),
        v(&[0, 1, 2, 4, 5, 3]),
        [qk(&[4, 3, 5, 0, 2, 1]), v(&[5, 3, 4, 2, 1, 0])].concat(),
        ["q.weight", "q.bias", "k.weight", "k.bias"].map(negated).to_vec(),
    ]
}

#[test]
fn units_within_heads_are_told_whichever_head_they_are_in() {
    copies_are_one("units_heads", "heads-plain", (&[3, 4], false), &heads());
}

#[test]
fn units_of_a_stacked_projection_are_told() {
    // Queries, keys and values in one array: heads exchanged, units within permuted, other ones of values.
    let (qk, v) = ([4, 3, 5, 0, 2, 1], [5, 3, 4, 2, 1, 0]);
    let all: Vec<usize> = [qk, qk.map(|k| k + 6), v.map(|k| k + 12)].concat();
    let (weight, bias) = ("attention.in_proj_weight", "attention.in_proj_bias");
    let moves = vec![along(weight, 0, &all), along(bias, 0, &all), along("attention.out_proj.weight", 1, &v)];
    copies_are_one("units_multihead", "multihead-plain", (&[3, 3], false), &[moves]);
}

#[test]
fn states_of_recurrent_layers_are_told_in_either_direction() {
    let forward = ["layer.weight_ih_l0", "layer.weight_hh_l0", "layer.bias_ih_l0", "layer.bias_hh_l0"];
    let back = [
        "layer.weight_ih_l0_reverse",
        "layer.weight_hh_l0_reverse",
        "layer.bias_ih_l0_reverse",
        "layer.bias_hh_l0_reverse",
    ];
    let second = ["layer.weight_ih_l1", "layer.weight_hh_l1", "layer.bias_ih_l1", "layer.bias_hh_l1"];
    let readers = ["layer.weight_ih_l1", "layer.weight_ih_l1_reverse"];
    for (model, gates, length) in [("stack-plain", 1, 3), ("gates-plain", 3, 3), ("lstm-plain", 4, 5)] {
        let all = [
            recurrent(forward, gates, &readers, 0),
            recurrent(back, gates, &readers, 4),
            recurrent(second, gates, &["out.weight"], 0),
        ];
        copies_are_one(&format!("units_{model}"), model, (&[length], true), &all);
    }
}

#[test]
fn channels_within_groups_are_told_and_groups_too() {
    let pairs = |from: &[usize]| -> Vec<usize> { from.iter().flat_map(|k| [2 * k, 2 * k + 1]).collect() };
    let out = |from: &[usize]| {
        let pairs = pairs(from);
        vec![
            along("c2.weight", 0, from),
            along("c2.bias", 0, from),
            along("c3.weight", 0, &pairs),
            along("c3.bias", 0, &pairs),
            along("c4.weight", 1, &pairs),
        ]
    };
    let exchanged = [2, 3, 0, 1, 4, 5];
    let groups =
        [vec![along("c1.weight", 0, &exchanged), along("c1.bias", 0, &exchanged)], out(&[3, 4, 5, 0, 1, 2, 6, 7, 8])];
    let all = [out(&[0, 1, 2, 3, 4, 5, 8, 6, 7]), groups.concat()];
    copies_are_one("units_groups", "groups-plain", (&[2, 5, 5], false), &all);
}

/// Rows of numbers.
type Matrix = [[f64; 3]; 3];

/// Three places of an axis of a parameter, from `first` on, multiplied by a matrix.
fn mixed(theta: &mut [f64], blocks: &[Block], (name, axis, first): (&str, usize, usize), by: &Matrix) {
    let block = blocks.iter().find(|block| block.name == name).unwrap_or_else(|| panic!("no {name}"));
    let (size, inner) = (block.shape[axis], block.shape[axis + 1..].iter().product::<usize>());
    let count: usize = block.shape.iter().product();
    for start in (0..count).filter(|i| i / inner % size == first) {
        let at = |k: usize| block.offset + start + k * inner;
        let given = [0, 1, 2].map(|k| theta[at(k)]);
        (0..3).for_each(|k| theta[at(k)] = (0..3).map(|j| by[k][j] * given[j]).sum());
    }
}

/// A matrix of three plane rotations, stretched along one axis between them; and the inverse of its transpose.
fn matrix(angle: f64, stretch: f64) -> [Matrix; 2] {
    let of = |stretch: f64| {
        let mut m = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        for (i, j, angle) in [(0, 1, angle), (1, 2, 1.3 * angle), (0, 2, 0.6 - angle)] {
            let (sin, cos) = angle.sin_cos();
            for row in &mut m {
                (row[i], row[j]) = (cos * row[i] - sin * row[j], sin * row[i] + cos * row[j]);
                row[i] *= stretch;
            }
        }
        m
    };
    [of(stretch), of(1.0 / stretch)]
}

#[test]
fn heads_are_told_whatever_matrix_mixes_their_directions() {
    let (here, blocks, theta) = prepared("units_mixed", "heads-plain", (&[3, 4], false));
    // Queries and keys of a head, by one angle; values and what reads them, by another.
    let copy = |theta: &[f64], stretch: f64| {
        let mut copy = theta.to_vec();
        for first in [0, 3] {
            let [by, over] = matrix(0.7 + first as f64, stretch);
            ["q.weight", "q.bias"].iter().for_each(|name| mixed(&mut copy, &blocks, (name, 0, first), &by));
            ["k.weight", "k.bias"].iter().for_each(|name| mixed(&mut copy, &blocks, (name, 0, first), &over));
            let [by, over] = matrix(2.9 - first as f64, stretch);
            ["v.weight", "v.bias"].iter().for_each(|name| mixed(&mut copy, &blocks, (name, 0, first), &by));
            mixed(&mut copy, &blocks, ("out.weight", 1, first), &over);
        }
        copy
    };
    let exchanged = moved(&theta, &blocks, &heads()[2]);
    for theta_or_copy in [&theta, &exchanged] {
        assert_eq!(counted(&here, [&theta, &copy(theta_or_copy, 1.0)]), [1, 1]);
        assert_eq!(counted_under(FREE, &here, [&theta, &copy(theta_or_copy, 1.6)]), [1, 1]);
    }
    // A penalty sees what is stretched.
    assert_eq!(counted(&here, [&theta, &copy(&theta, 1.6)])[1], 0);
}

#[test]
fn separate_descents_of_a_network_with_attention_end_as_one_minimum() {
    let (here, _, theta) = prepared("units_descents", "heads-plain", (&[3, 4], false));
    file(&here, "r.toml", format!("{LOSS}[minima]\nstarts = 4\n[paths]\nvisits = 1\n"));
    succeeds(&here, &["run", "r.toml", "--force", "--threads", "1"]);
    let summary: Value = serde_json::from_slice(&bytes(&here.join("r"), "summary.json")).unwrap();
    assert_eq!(["minima", "copies"].map(|name| summary[name].as_u64().unwrap()), [1, 3]);
    // Every one was told by its distance: no motion was looked for along directions without curvature, which are none.
    let spent = |name: &str| summary["evaluations"]["minima"][name].as_u64().unwrap();
    let p = theta.len() as u64;
    assert!(spent("hessian_product") <= 5 * p, "{} for {p} parameters", spent("hessian_product"));
}
