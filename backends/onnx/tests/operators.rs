//! Every operator that files are made of, by ONNX Runtime and by the graph's plain interpreter: the output of each case of the
//! onnx package, its gradient, and that gradient's rate along a direction.

#[path = "../../network/tests/bundle/mod.rs"]
mod bundle;
mod library;

use library::library;
use mountainpass_faer::graph::Kernels;
use mountainpass_mean::real::Real;
use mountainpass_mean::{Executor, Input, Outcome, Plan, Sources};
use mountainpass_network::graph::evaluate::{self, evaluate};
use mountainpass_network::graph::op::{Element, Op, Values};
use mountainpass_network::graph::{Graph, Id};
use mountainpass_network::model::{Model, Network};
use mountainpass_network::onnx::messages::ModelProto;
use mountainpass_onnx::Sessions;

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

fn found<T: Real>(executor: &impl Executor, case: &Case) -> Result<Vec<Vec<f64>>, String> {
    let plan = executor.plan(&case.graph, &case.outputs).map_err(|error| error.text)?;
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
    let mut memory = Default::default();
    let sources = Sources { inputs: &inputs, theta: &theta, direction: &direction };
    plan.run(None, &mut memory, sources, &|| false).map_err(|error| error.text)?;
    Ok((0..case.outputs.len()).map(|k| Outcome::<T>::output(&memory, k).iter().map(|x| x.to_f64()).collect()).collect())
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
const REFUSED: [&str; 2] = ["no kernel for Erf of f64", "no kernel for Atan of f64"];
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
                        let of =
                            |all: &[Vec<f64>]| all.iter().zip(&wanted).map(|(a, b)| apart(a, b)).fold(0.0, f64::max);
                        let gap = of(&found);
                        // Steps that amplify what f32 rounds: no farther off than the other executor's.
                        let own = |case| self::found::<f32>(&Kernels, case).map_or(0.0, |all| of(&all));
                        if gap > tolerance && (which == 1 || gap > 3.0 * own(&case)) {
                            faults.push(format!("{} [{which}]: {gap:.1e} apart", case.name));
                        }
                    }
                    Err(text) => match REFUSED.iter().any(|known| text.contains(known)) {
                        true => *refused.entry(text).or_insert(0) += 1,
                        false => faults.push(format!("{} [{which}]: {text}", case.name)),
                    },
                };
            // Beside the interpreter's f64. Of the tanh some units in the last place are wrong, and 1 - tanh^2 near 1 makes more of them.
            let nodes = format!("{:?}", proto.graph.as_ref().unwrap().node);
            let tolerance = if nodes.contains("Tanh") { 3e-5 } else { 1e-5 };
            judge(0, found::<f32>(&sessions, &case), wanted::<f32>(&case), tolerance);
            judge(1, found::<f64>(&sessions, &case), wanted::<f64>(&case), 1e-12);
        }
    }
    println!("{compared:?} compared, {refused:#?}");
    assert!(compared.iter().all(|count| *count > 200), "{compared:?}");
    assert!(faults.is_empty(), "{} of {compared:?}:\n{}", faults.len(), faults.join("\n"));
}

impl Case {
    /// The same graph for two rows, the second of which has its parameters and direction turned round; and the second alone. `None` where it
    /// takes no rows.
    fn of_two(&self) -> Option<(Case, Case)> {
        let (graph, outputs) = self.graph.in_rows(&self.outputs, 2).unwrap()?;
        let turned = |x: &[f64]| x.iter().rev().copied().collect::<Vec<f64>>();
        let other = Case {
            name: self.name.clone(),
            graph: self.graph.clone(),
            outputs: self.outputs.clone(),
            inputs: self.inputs.clone(),
            theta: turned(&self.theta),
            direction: turned(&self.direction),
        };
        let stacked = |one: &[f64], other: &[f64]| {
            let mut all = [one, other].concat();
            for node in self.graph.nodes() {
                if let Op::Parameter { offset, shape } = &node.op {
                    let its = *offset..offset + shape.iter().product::<usize>();
                    all[2 * its.start..2 * its.end].copy_from_slice(&[&one[its.clone()], &other[its]].concat());
                }
            }
            all
        };
        let both = Case {
            name: format!("{} of two rows", self.name),
            graph,
            outputs,
            inputs: self.inputs.clone(),
            theta: stacked(&self.theta, &other.theta),
            direction: stacked(&self.direction, &other.direction),
        };
        Some((both, other))
    }
}

/// Two rows in one run, of whatever takes them, and each by the interpreter: sums may come in another order.
#[test]
fn operators_take_rows() {
    let Some(library) = library() else { return };
    let sessions = Sessions::on_cpu(&library).unwrap();
    let (mut faults, mut taken, mut alone) = (Vec::new(), 0, 0);
    for proto in bundle::models().step_by(STEP) {
        for case in bundle::outputs(&proto).iter().filter_map(|output| case(&proto, output)) {
            let Some((both, other)) = case.of_two() else {
                alone += 1;
                continue;
            };
            // Where numbers turned round are outside of an operator's domain nothing is learnt.
            let (one, two) = (wanted::<f64>(&case), wanted::<f64>(&other));
            let is_finite = |all: &[Vec<f64>]| all.iter().flatten().all(|x| x.is_finite());
            if !is_finite(&one) || !is_finite(&two) {
                continue;
            }
            taken += 1;
            let expected: Vec<Vec<f64>> = one.iter().zip(&two).map(|(a, b)| [&a[..], b].concat()).collect();
            let gap = |found: &[Vec<f64>]| found.iter().zip(&expected).map(|(a, b)| apart(a, b)).fold(0.0, f64::max);
            let mut judge = |found: Result<Vec<Vec<f64>>, String>| match found {
                Ok(found) if gap(&found) > 1e-12 => faults.push(format!("{}: {:.1e} apart", both.name, gap(&found))),
                Err(text) if !REFUSED.iter().any(|known| text.contains(known)) => {
                    faults.push(format!("{}: {text}", both.name));
                }
                _ => {}
            };
            judge(Ok(wanted::<f64>(&both)));
            judge(found::<f64>(&sessions, &both));
        }
    }
    println!("{taken} of two rows, {alone} alone");
    assert!(taken > 150 && alone < taken / 4, "{taken}, {alone}");
    assert!(faults.is_empty(), "{} of {taken}:\n{}", faults.len(), faults.join("\n"));
}

/// Operators that look for the largest, or for a side.
const CHOOSING: [&str; 6] = ["Max", "Relu", "Clip", "Min", "Sign", "Softmax"];

/// With one parameter that is no number: wherever the interpreter says that an output is none, it is none here. ONNX Runtime's own
/// `MaxPool` and `ReduceMax` look past it.
#[test]
fn what_is_no_number_stays_none() {
    let Some(library) = library() else { return };
    let sessions = Sessions::on_cpu(&library).unwrap();
    let (mut faults, mut compared) = (Vec::new(), 0);
    let chooses = |proto: &ModelProto| {
        let nodes = &proto.graph.as_ref().unwrap().node;
        nodes.iter().any(|node| CHOOSING.iter().any(|op| node.op_type().contains(op)))
    };
    for proto in bundle::models().filter(chooses) {
        for mut case in bundle::outputs(&proto).iter().filter_map(|output| case(&proto, output)) {
            case.outputs.truncate(1);
            let theta = case.theta.clone();
            // The first one, too: a window's last tap was told by chance.
            for at in [0, theta.len() / 2].into_iter().filter(|at| *at < theta.len()) {
                case.theta.clone_from(&theta);
                case.theta[at] = f64::NAN;
                let expected = wanted::<f32>(&case);
                for found in [found::<f32>(&sessions, &case), found::<f64>(&sessions, &case)].into_iter().flatten() {
                    compared += usize::from(expected[0].iter().any(|x| x.is_nan()));
                    if found[0].iter().zip(&expected[0]).any(|(found, wanted)| wanted.is_nan() && !found.is_nan()) {
                        faults.push(case.name.clone());
                    }
                }
            }
        }
    }
    assert!(compared > 100, "{compared}");
    assert!(faults.is_empty(), "{} of {compared}: {faults:?}", faults.len());
}
