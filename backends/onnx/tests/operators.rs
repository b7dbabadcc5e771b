//! Every operator that files are made of, by ONNX Runtime and by the graph's plain interpreter: the output of each case of the
//! onnx package, its gradient, and that gradient's rate along a direction.

#[path = "../../network/tests/bundle/mod.rs"]
mod bundle;
mod library;

use library::library;
use mountainpass_mean::real::Real;
use mountainpass_mean::{Executor, Input, Outcome, Plan, Sources};
use mountainpass_network::graph::evaluate::{self, evaluate};
use mountainpass_network::graph::op::{Element, Values};
use mountainpass_network::graph::{Graph, Id};
use mountainpass_network::model::{Model, Network};
use mountainpass_network::onnx::messages::ModelProto;
use mountainpass_onnx::{Kept, Sessions};

/// A graph, what is wanted of it, and what it reads.
struct Case {
    name: String,
    graph: Graph,
    outputs: Vec<Id>,
    inputs: Vec<Values>,
    theta: Vec<f64>,
    direction: Vec<f64>,
}

/// The output and its derivatives, of a file that computes reals of parameters.
fn case(proto: &ModelProto, output: &str) -> Option<Case> {
    let name = format!("{} {output}", proto.graph.as_ref().unwrap().name());
    let model = bundle::open(proto, output).ok()?;
    let (n, inputs) = bundle::inputs(proto, &model);
    let Network { mut graph, output, .. } = model.network(n).ok()?;
    if graph.element(output) != Element::Real {
        return None;
    }
    let blocks: Vec<Id> = model
        .parameters()
        .iter()
        .map(|p| graph.parameter(p.offset as usize, p.shape.iter().map(|d| *d as usize).collect()).unwrap())
        .collect();
    let seed = graph.fill_like(1.0, output).unwrap();
    let mut outputs = vec![output];
    let gradient: Vec<Id> = graph.gradient(output, seed, &blocks).unwrap().into_iter().flatten().collect();
    let rates: Vec<Id> = graph.rates(&gradient).unwrap().into_iter().flatten().collect();
    outputs.extend(gradient.iter().chain(&rates));
    let theta = model.start(0).unwrap();
    let direction = theta.iter().enumerate().map(|(i, _)| ((i * 7) % 5) as f64 / 2.0 - 1.0).collect();
    Some(Case { name, graph, outputs, inputs, theta, direction })
}

/// What the interpreter makes of the numbers that a type can hold.
fn wanted<T: Real>(case: &Case) -> Vec<Vec<f64>> {
    let rounded = |x: &[f64]| x.iter().map(|x| T::of(*x).to_f64()).collect::<Vec<f64>>();
    let inputs = case.inputs.iter().map(|values| match values {
        Values::Real(values) => Values::Real(rounded(values)),
        Values::Index(values) => Values::Index(values.clone()),
    });
    let (inputs, theta, direction) = (inputs.collect::<Vec<Values>>(), rounded(&case.theta), rounded(&case.direction));
    let sources = evaluate::Sources { inputs: &inputs, theta: &theta, direction: &direction };
    let all = evaluate(&case.graph, sources, &case.outputs).unwrap();
    all.iter().map(|values| bundle::reals(values).to_vec()).collect()
}

fn found<T: Real>(sessions: &Sessions, case: &Case) -> Result<Vec<Vec<f64>>, String> {
    let plan = sessions.plan(&case.graph, &case.outputs).map_err(|error| error.text)?;
    let reals = |x: &[f64]| x.iter().map(|x| T::of(*x)).collect::<Vec<T>>();
    let inputs: Vec<Vec<T>> = case
        .inputs
        .iter()
        .map(|values| match values {
            Values::Real(values) => reals(values),
            Values::Index(_) => Vec::new(),
        })
        .collect();
    let inputs: Vec<Input<'_, T>> = case
        .inputs
        .iter()
        .zip(&inputs)
        .map(|(values, reals)| match values {
            Values::Real(_) => Input::Real(reals),
            Values::Index(values) => Input::Index(values),
        })
        .collect();
    let (theta, direction) = (reals(&case.theta), reals(&case.direction));
    let mut memory = Kept::<T>::default();
    let sources = Sources { inputs: &inputs, theta: &theta, direction: &direction };
    plan.run(None, &mut memory, sources, &|| false).map_err(|error| error.text)?;
    Ok((0..case.outputs.len()).map(|k| memory.output(k).iter().map(|x| x.to_f64()).collect()).collect())
}

/// The largest difference beside the largest number; what is not finite is the same in both.
fn apart(found: &[f64], wanted: &[f64]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    let top = wanted.iter().filter(|x| x.is_finite()).fold(1.0f64, |top, x| top.max(x.abs()));
    let gap = |(a, b): (&f64, &f64)| match (a.is_finite(), b.is_finite()) {
        (true, true) => (a - b).abs() / top,
        (false, false) if a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()) => 0.0,
        _ => f64::INFINITY,
    };
    found.iter().zip(wanted).map(gap).fold(0.0, f64::max)
}

/// What ONNX Runtime cannot, said in opening.
const REFUSED: [&str; 3] = ["no kernel for Erf of f64", "no kernel for Atan of f64", "no window of it may lie outside"];
/// All 2,100 cases take half a minute: every so-many-th stands for them, all with MPASS_OPERATORS_STEP=1.
const STEP: usize = 7;

#[test]
fn operators_of_files_agree() {
    let Some(library) = library() else { return };
    let sessions = Sessions::on_cpu(&library).unwrap();
    let (mut faults, mut compared, mut refused) = (Vec::new(), [0, 0], std::collections::BTreeMap::new());
    let step: usize = std::env::var("MPASS_OPERATORS_STEP").map_or(STEP, |step| step.parse().unwrap());
    for proto in bundle::models().step_by(step) {
        for case in bundle::outputs(&proto).iter().filter_map(|output| case(&proto, output)) {
            let mut judge =
                |which: usize, found: Result<Vec<Vec<f64>>, String>, wanted: Vec<Vec<f64>>, tolerance| match found {
                    Ok(found) => {
                        compared[which] += 1;
                        let gap = found.iter().zip(&wanted).map(|(a, b)| apart(a, b)).fold(0.0, f64::max);
                        if gap > tolerance {
                            faults.push(format!("{} [{which}]: {gap:.1e} apart", case.name));
                        }
                    }
                    Err(text) => match REFUSED.iter().any(|known| text.contains(known)) {
                        true => *refused.entry(text).or_insert(0) += 1,
                        false => faults.push(format!("{} [{which}]: {text}", case.name)),
                    },
                };
            // Beside the interpreter's f64: f32 loses some digits in products of 20 steps.
            judge(0, found::<f32>(&sessions, &case), wanted::<f32>(&case), 5e-5);
            judge(1, found::<f64>(&sessions, &case), wanted::<f64>(&case), 1e-12);
        }
    }
    println!("{compared:?} compared, {refused:#?}");
    assert!(compared.iter().all(|count| *count > 200), "{compared:?}");
    assert!(faults.is_empty(), "{} of {compared:?}:\n{}", faults.len(), faults.join("\n"));
}
