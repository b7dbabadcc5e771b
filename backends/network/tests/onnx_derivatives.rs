//! Derivatives of every operator that is read, in the settings of the onnx package's own tests and more: the gradient
//! against central differences of the values, the Hessian product against those of the gradient, in f64.

mod bundle;

use bundle::reals;
use mountainpass_network::graph::Id;
use mountainpass_network::graph::evaluate::{Sources, evaluate};
use mountainpass_network::graph::op::{Element, Values};
use mountainpass_network::model::{Model, Network};
use mountainpass_network::onnx::{OnnxModel, name, names};
use std::collections::BTreeSet;

/// What is constant almost everywhere, holds whole numbers or truths, or only says how others work.
const WITHOUT: &[&str] = &[
    "And",
    "ArgMax",
    "ArgMin",
    "Ceil",
    "Constant",
    "ConstantOfShape",
    "Equal",
    "EyeLike",
    "Floor",
    "Greater",
    "GreaterOrEqual",
    "Hardmax",
    "IsInf",
    "IsNaN",
    "Less",
    "LessOrEqual",
    "Mod",
    "NonZero",
    "Not",
    "OneHot",
    "Or",
    "Range",
    "Round",
    "SequenceLength",
    "Shape",
    "Sign",
    "Size",
    "Xor",
];

/// Numbers from -1/2 to 1/2 (SplitMix64).
fn noise(seed: u64, count: usize) -> Vec<f64> {
    let number = |i: u64| {
        let mut z = (seed << 32 | i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as f64 / u64::MAX as f64 - 0.5
    };
    (0..count as u64).map(number).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).filter(|(_, y)| **y != 0.0).map(|(x, y)| x * y).sum()
}

/// The size of the gradient that was found right, or what was wrong.
fn check(model: &OnnxModel, network: Network, inputs: &[Values]) -> Result<f64, String> {
    let Network { mut graph, output, .. } = network;
    // Away from the ties and kinks that tests are fond of.
    let start = model.start(0).unwrap();
    let theta: Vec<f64> = start.iter().zip(noise(1, start.len())).map(|(x, e)| x + 0.02 * e).collect();
    if graph.element(output) != Element::Real || theta.is_empty() {
        return Ok(0.0);
    }
    let value = |graph: &_, theta: &[f64], v: &[f64], ids: &[Id]| -> Vec<f64> {
        let sources = Sources { inputs, theta, direction: v };
        evaluate(graph, sources, ids).unwrap().iter().flat_map(|a| reals(a).to_vec()).collect()
    };
    let at = value(&graph, &theta, &[], &[output]);
    let weights: Vec<f64> =
        noise(2, at.len()).into_iter().zip(&at).map(|(w, y)| if y.is_finite() { w } else { 0.0 }).collect();
    let shape = graph.shape(output).to_vec();
    let seed = graph.constant(shape, Values::Real(weights.clone())).map_err(|e| e.text)?;
    let parameters = model.parameters();
    let blocks: Vec<Id> = parameters
        .iter()
        .map(|p| graph.parameter(p.offset as usize, p.shape.iter().map(|d| *d as usize).collect()).unwrap())
        .collect();
    let gradients = graph.gradient(output, seed, &blocks).map_err(|e| e.text)?;
    let entering: Vec<usize> = (0..blocks.len()).filter(|i| gradients[*i].is_some()).collect();
    let slopes: Vec<Id> = gradients.iter().flatten().copied().collect();
    let v = noise(3, theta.len());
    // The directions of whatever has a gradient, in the order of the gradients.
    let part = |all: &[f64]| -> Vec<f64> {
        let of = |i: &usize| {
            let (start, shape) = (parameters[*i].offset as usize, &parameters[*i].shape);
            all[start..start + shape.iter().product::<u64>() as usize].to_vec()
        };
        entering.iter().flat_map(of).collect()
    };
    let h = 1e-6;
    let moved = |by: f64| -> Vec<f64> { theta.iter().zip(&v).map(|(x, v)| x + by * v).collect() };
    let (up, down) = (moved(h), moved(-h));
    let agree = |what: &str, by_rule: f64, by_difference: f64, scale: f64| {
        let is_near = (by_rule - by_difference).abs() <= 2e-6 * (scale + by_difference.abs()) + 1e-8;
        if is_near { Ok(()) } else { Err(format!("{what} {by_rule} against {by_difference}")) }
    };
    let gradient = value(&graph, &theta, &[], &slopes);
    let size = |all: &[f64]| all.iter().map(|x| x.abs()).sum::<f64>();
    let difference = |of: &dyn Fn(&[f64]) -> f64| (of(&up) - of(&down)) / (2.0 * h);
    let along = difference(&|theta| dot(&value(&graph, theta, &[], &[output]), &weights));
    agree("slope", dot(&gradient, &part(&v)), along, size(&gradient) + 1e-3 * size(&at))?;
    let rates: Vec<Option<Id>> = graph.rates(&slopes).map_err(|e| e.text)?;
    let u = part(&noise(4, theta.len()));
    let product: Vec<f64> = slopes
        .iter()
        .zip(&rates)
        .flat_map(|(slope, rate)| match rate {
            Some(rate) => value(&graph, &theta, &v, &[*rate]),
            None => vec![0.0; graph.shape(*slope).iter().product()],
        })
        .collect();
    let along = difference(&|theta| dot(&value(&graph, theta, &[], &slopes), &u));
    agree("curvature", dot(&product, &u), along, size(&product) + size(&gradient))?;
    Ok(size(&gradient))
}

#[test]
fn derivatives_are_limits_of_differences() {
    let (mut failed, mut right, mut seen) = (Vec::new(), BTreeSet::new(), 0);
    for model in bundle::models() {
        let graph = model.graph.as_ref().unwrap();
        for output in bundle::outputs(&model) {
            let Ok(read) = bundle::open(&model, &output) else { continue };
            let (n, inputs) = bundle::inputs(&model, &read);
            let Ok(network) = read.network(n) else { continue };
            match check(&read, network, &inputs) {
                Ok(size) if size > 0.0 => {
                    seen += 1;
                    right.extend(graph.node.iter().map(name));
                }
                Ok(_) => (),
                Err(text) => failed.push(format!("{}: {output}: {text}", graph.name())),
            }
        }
    }
    assert!(failed.is_empty(), "{seen} right, {} wrong:\n{}", failed.len(), failed.join("\n"));
    let is_bare = |name: &String| !right.contains(name) && !WITHOUT.contains(&name.as_str());
    let bare: Vec<String> = names().into_iter().filter(is_bare).collect();
    assert!(bare.is_empty(), "{seen} right; no case has a derivative of {bare:?}");
}

#[test]
fn norms_of_zeros_alone_have_derivatives() {
    let mut seen = BTreeSet::new();
    for mut proto in bundle::models() {
        let graph = proto.graph.as_mut().unwrap();
        let [node] = &graph.node[..] else { continue };
        let op = node.op_type().to_owned();
        let is_norm = ["LpPool", "GlobalLpPool", "ReduceL2"].contains(&op.as_str());
        if !is_norm && !["LpNormalization", "MeanVarianceNormalization"].contains(&op.as_str()) {
            continue;
        }
        let x = graph.initializer.iter_mut().find(|tensor| tensor.name() == node.input[0]).unwrap();
        x.raw_data = x.raw_data.as_ref().map(|raw| vec![0; raw.len()].into());
        let model = bundle::open(&proto, &bundle::outputs(&proto)[0]).unwrap();
        let Network { mut graph, output, .. } = model.network(1).unwrap();
        let theta = model.start(0).unwrap();
        if theta.is_empty() {
            continue;
        }
        let seed = graph.fill_like(1.0, output).unwrap();
        let shape = model.parameters()[0].shape.iter().map(|d| *d as usize).collect();
        let block = graph.parameter(0, shape).unwrap();
        let slope = graph.gradient(output, seed, &[block]).unwrap()[0].unwrap();
        let rate = graph.rates(&[slope]).unwrap()[0];
        let sources = Sources { inputs: &[], theta: &theta, direction: &vec![1.0; theta.len()] };
        let found = evaluate(&graph, sources, &[output, slope, rate.unwrap_or(slope)]).unwrap();
        assert!(found.iter().all(|array| reals(array).iter().all(|x| x.is_finite())), "{op}: {found:?}");
        assert!(!is_norm || reals(&found[1]).iter().all(|g| *g == 0.0), "{op}: {:?}", found[1]);
        seen.insert(op);
    }
    assert_eq!(seen.len(), 5, "{seen:?}");
}
