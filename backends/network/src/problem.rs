//! A model under an objective, for one batch size: the losses of its samples, their gradient and Hessian product.
//!
//! Everything is a sum over the batch, so that batches may be cut into pieces and their parts added; whoever adds them
//! divides by the number of all samples. The penalty is no part of it: it needs no network.

use crate::graph::op::{Element, Op, Unary, Values};
use crate::graph::{Graph, Id};
use crate::judge::Judge;
use crate::model::{Model, Network, OutputKind};
use crate::{DataTerm, Objective};
use mountainpass_sdk::{Error, Parameter};

/// What the slot behind a model's features holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// A class for each row of outputs.
    Classes,
    /// A number for each output.
    Numbers,
    /// The model's own loss looks at nothing else.
    Nothing,
}

/// One graph for all that is asked of a batch; executors prune it to what they are asked for.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Of all that is listed below.
    pub graph: Graph,
    /// Data term of every sample, `[n, 1]`; of a model that computes its own mean, n times that, one number.
    pub losses: Id,
    /// The predictions and how they are judged; `None` for numbers that are only near or far.
    pub judged: Option<(Id, Judge)>,
    /// The gradient of the sum of the losses, block after block of the parameters, in their shapes.
    pub gradient: Vec<Id>,
    /// The Hessian of that sum times the direction, likewise.
    pub product: Vec<Id>,
    /// Whether the batch must not be cut.
    pub is_joint: bool,
}

impl Problem {
    /// The problem of `n` samples; what they should lead to is expected in the slot behind the features, and behind that
    /// the factors of losses, if so many are given for each sample.
    pub fn new(
        model: &dyn Model,
        objective: &Objective,
        (aim, factors): (Aim, Option<usize>),
        n: usize,
    ) -> Result<Problem, Error> {
        let Terms { mut graph, losses, judged, is_joint } = Terms::new(model, objective, (aim, factors), n)?;
        let blocks = blocks(&mut graph, model)?;
        let seed = graph.fill_like(1.0, losses)?;
        let found = graph.gradient(losses, seed, &blocks)?;
        let gradient = or_zeros(&mut graph, &blocks, &found)?;
        let rates = graph.rates(&gradient)?;
        let product = or_zeros(&mut graph, &blocks, &rates)?;
        Ok(Problem { graph, losses, judged, gradient, product, is_joint })
    }
}

/// What is asked of a batch before anything is differentiated.
pub(crate) struct Terms {
    pub graph: Graph,
    pub losses: Id,
    pub judged: Option<(Id, Judge)>,
    pub is_joint: bool,
}

impl Terms {
    pub fn new(
        model: &dyn Model,
        objective: &Objective,
        (aim, factors): (Aim, Option<usize>),
        n: usize,
    ) -> Result<Terms, Error> {
        let Network { mut graph, output, kind, is_joint } = model.network(n)?;
        let slot = model.features().len();
        let factors = match factors {
            Some(each) => {
                let slot = slot + usize::from(aim != Aim::Nothing);
                Some(graph.input(slot, vec![n * each, 1], Element::Real)?)
            }
            None => None,
        };
        let (losses, judged) = match aim {
            Aim::Classes => classified(&mut graph, (output, kind), objective, (slot, factors), n)?,
            Aim::Numbers => fitted(&mut graph, (output, kind), objective, (slot, factors), n)?,
            Aim::Nothing => (own(&mut graph, output, factors, n)?, None),
        };
        Ok(Terms { graph, losses, judged, is_joint })
    }
}

/// The blocks of theta.
pub(crate) fn blocks(graph: &mut Graph, model: &dyn Model) -> Result<Vec<Id>, Error> {
    let block = |Parameter { shape, offset, .. }: &Parameter| {
        graph.parameter(*offset as usize, shape.iter().map(|d| *d as usize).collect())
    };
    model.parameters().iter().map(block).collect()
}

/// Zeros of a block's shape where there is no derivative.
pub(crate) fn or_zeros(graph: &mut Graph, blocks: &[Id], found: &[Option<Id>]) -> Result<Vec<Id>, Error> {
    blocks.iter().zip(found).map(|(block, found)| found.map_or_else(|| graph.fill_like(0.0, *block), Ok)).collect()
}

/// The model's loss for each sample, or `n` times its mean.
fn own(graph: &mut Graph, output: Id, factors: Option<Id>, n: usize) -> Result<Id, Error> {
    let count = graph.shape(output).iter().product::<usize>();
    let losses = graph.reshape(output, vec![count, 1])?;
    match (count, factors) {
        (1, Some(_)) if n > 1 => {
            Err(Error::argument("sample_weights want the loss of each sample, but the model's own is one for all"))
        }
        (1, None) => graph.scale(losses, n as f64),
        _ if count == n => weighed(graph, losses, factors),
        _ => Err(Error::argument(format!("the model's own loss has {count} values for {n} samples"))),
    }
}

/// Losses times their factors.
fn weighed(graph: &mut Graph, losses: Id, factors: Option<Id>) -> Result<Id, Error> {
    factors.map_or(Ok(losses), |factors| graph.mul(losses, factors))
}

/// The mean of the places of each of `n` samples.
fn means(graph: &mut Graph, losses: Id, n: usize) -> Result<Id, Error> {
    let places = graph.shape(losses)[0];
    let rows = graph.reshape(losses, vec![n, places / n])?;
    graph.mean(rows, &[1])
}

/// Outputs, or targets of their shape, as rows of classes.
fn rows(graph: &mut Graph, output: Id, objective: &Objective) -> Result<Id, Error> {
    let shape = graph.shape(output).to_vec();
    let axis = objective.classes(&shape)?;
    let mut order: Vec<usize> = (0..shape.len()).filter(|other| *other != axis).collect();
    order.push(axis);
    let output = if axis + 1 == shape.len() { output } else { graph.transpose(output, &order)? };
    let classes = shape[axis];
    graph.reshape(output, vec![shape.iter().product::<usize>() / classes.max(1), classes])
}

/// Losses against classes.
fn classified(
    graph: &mut Graph,
    (output, kind): (Id, OutputKind),
    objective: &Objective,
    (slot, factors): (usize, Option<Id>),
    n: usize,
) -> Result<(Id, Option<(Id, Judge)>), Error> {
    let shape = graph.shape(output).to_vec();
    if shape.first() != Some(&n) {
        return Err(Error::argument(format!("the output has shape {shape:?}, expected samples first, scores last")));
    }
    let z = rows(graph, output, objective)?;
    let (places, classes) = (graph.shape(z)[0], graph.shape(z)[1]);
    let labels = graph.input(slot, vec![places], Element::Index)?;
    let hot = graph.push(Op::OneHot { classes }, &[labels])?;
    let losses = match (objective.data, kind) {
        (DataTerm::CrossEntropy, _) if !objective.is_plain() => entropies(graph, (z, kind), hot, objective)?,
        (DataTerm::CrossEntropy, OutputKind::Probabilities) => {
            let picked = graph.mul(z, hot)?;
            let own = graph.sum(picked, &[1])?;
            let log = graph.unary(Unary::Log, own)?;
            graph.neg(log)?
        }
        (DataTerm::CrossEntropy, _) => graph.cross_entropy(z, labels)?,
        _ => distances(graph, z, hot, objective)?,
    };
    // The loss of a sample of several places is their mean; factors are given by place, or by sample.
    let by_place = factors.filter(|factors| graph.shape(*factors)[0] == places);
    let losses = weighed(graph, losses, by_place)?;
    let losses = means(graph, losses, n)?;
    let losses = weighed(graph, losses, factors.filter(|_| by_place.is_none()))?;
    Ok((losses, Some((z, Judge::Largest { classes }))))
}

/// Losses against numbers, or against distributions over classes.
fn fitted(
    graph: &mut Graph,
    (output, kind): (Id, OutputKind),
    objective: &Objective,
    (slot, factors): (usize, Option<Id>),
    n: usize,
) -> Result<(Id, Option<(Id, Judge)>), Error> {
    let each = graph.shape(output).iter().product::<usize>() / n;
    if objective.data == DataTerm::CrossEntropy {
        let shape = graph.shape(output).to_vec();
        let t = graph.input(slot, shape, Element::Real)?;
        let (z, t) = (rows(graph, output, objective)?, rows(graph, t, objective)?);
        let losses = entropies(graph, (z, kind), t, objective)?;
        let losses = means(graph, losses, n)?;
        return Ok((weighed(graph, losses, factors)?, None));
    }
    let z = graph.reshape(output, vec![n, each])?;
    let t = graph.input(slot, vec![n, each], Element::Real)?;
    if objective.data != DataTerm::BinaryCrossEntropy {
        let losses = distances(graph, z, t, objective)?;
        return Ok((weighed(graph, losses, factors)?, None));
    }
    let (losses, threshold) = if kind == OutputKind::Probabilities {
        // -t log p - (1 - t) log(1 - p)
        let log = graph.unary(Unary::Log, z)?;
        let yes = graph.mul(t, log)?;
        let down = graph.neg(z)?;
        let other = graph.shift(down, 1.0)?;
        let log = graph.unary(Unary::Log, other)?;
        let down = graph.neg(t)?;
        let rest = graph.shift(down, 1.0)?;
        let no = graph.mul(rest, log)?;
        let both = graph.add(yes, no)?;
        (graph.neg(both)?, 0.5)
    } else {
        let all = graph.unary(Unary::Softplus, z)?;
        let own = graph.mul(t, z)?;
        (graph.sub(all, own)?, 0.0)
    };
    let losses = over_outputs(graph, losses, objective)?;
    Ok((weighed(graph, losses, factors)?, Some((z, Judge::Side { threshold }))))
}

/// -sum_k w_k q_k log p_k of rows, of targets `t` smoothed to q.
fn entropies(
    graph: &mut Graph,
    (z, kind): (Id, OutputKind),
    t: Id,
    Objective { label_smoothing, class_weights, .. }: &Objective,
) -> Result<Id, Error> {
    let log = match kind {
        OutputKind::Probabilities => graph.unary(Unary::Log, z)?,
        _ => graph.push(Op::LogSoftmax, &[z])?,
    };
    let classes = graph.shape(z)[1];
    let mut q = t;
    if *label_smoothing > 0.0 {
        let own = graph.scale(t, 1.0 - label_smoothing)?;
        q = graph.shift(own, label_smoothing / classes as f64)?;
    }
    if let Some(weights) = class_weights {
        let weights = graph.constant(vec![1, weights.len()], Values::Real(weights.clone()))?;
        q = graph.mul(q, weights)?;
    }
    let terms = graph.mul(log, q)?;
    let sum = graph.sum(terms, &[1])?;
    graph.neg(sum)
}

/// The sums, or means, over rows of (z - t)^2 or |z - t|.
fn distances(graph: &mut Graph, z: Id, t: Id, objective: &Objective) -> Result<Id, Error> {
    let residual = graph.sub(z, t)?;
    let errors = match objective.data {
        DataTerm::Mae => graph.unary(Unary::Abs, residual)?,
        _ => graph.mul(residual, residual)?,
    };
    over_outputs(graph, errors, objective)
}

/// Sums, or means, of rows.
fn over_outputs(graph: &mut Graph, errors: Id, objective: &Objective) -> Result<Id, Error> {
    if objective.is_mean { graph.mean(errors, &[1]) } else { graph.sum(errors, &[1]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::Built;
    use crate::graph::evaluate::{Sources, evaluate};
    use crate::graph::op::Values;

    struct Batch {
        x: Values,
        labels: Vec<i64>,
        n: usize,
    }

    fn batch(spec: &str, n: usize) -> Batch {
        let feature = &Built::parse(spec).unwrap().features()[0].clone();
        let count = n * feature.shape.iter().product::<usize>();
        match feature.element {
            Element::Real => Batch {
                x: Values::Real((0..count).map(|i| ((i * 29) % 37) as f64 / 18.0 - 1.0).collect()),
                labels: (0..n as i64).map(|i| i % 3).collect(),
                n,
            },
            Element::Index => {
                let tokens: Vec<i64> = (0..count as i64).map(|i| (i * 5) % 7).collect();
                let each = if spec.contains("classes") { n } else { count };
                Batch { x: Values::Index(tokens), labels: (0..each as i64).map(|i| i % 3).collect(), n }
            }
        }
    }

    fn vectors(problem: &Problem, batch: &Batch, theta: &[f64], direction: &[f64], ids: &[Id]) -> Vec<f64> {
        let inputs = [batch.x.clone(), Values::Index(batch.labels.clone())];
        let values = evaluate(&problem.graph, Sources { inputs: &inputs, theta, direction }, ids).unwrap();
        let reals = values.into_iter().map(|v| match v {
            Values::Real(values) => values,
            Values::Index(_) => panic!("indices"),
        });
        reals.flatten().collect()
    }

    const SMOOTH: [&str; 6] = [
        "mlp:4-5-3:tanh",
        "cnn:5x4x2-3-4-3:softplus",
        "cnn:4x4x1-3-3:gelu:batchnorm",
        "resnet14:4x4x1-3:tanh",
        "transformer:vocabulary=7:context=4:width=6:heads=2:layers=2",
        "transformer:vocabulary=7:context=4:width=6:heads=3:layers=1:classes=3",
    ];

    #[test]
    fn whole_networks_pass_taylor_tests_of_first_and_second_order() {
        for spec in SMOOTH {
            for term in [DataTerm::CrossEntropy, DataTerm::Mse] {
                let model = Built::parse(spec).unwrap();
                let batch = batch(spec, 3);
                let problem = Problem::new(&model, &term.into(), (Aim::Classes, None), batch.n).unwrap();
                let theta: Vec<f64> = model.start(2).unwrap();
                let v: Vec<f64> = model.start(3).unwrap().iter().map(|x| x / 3.0).collect();
                let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
                let at = |s: f64| theta.iter().zip(&v).map(|(t, v)| t + s * v).collect::<Vec<f64>>();
                let loss = |s: f64| vectors(&problem, &batch, &at(s), &[], &[problem.losses]).iter().sum::<f64>();
                let slope = |s: f64| dot(&vectors(&problem, &batch, &at(s), &[], &problem.gradient), &v);
                let curvature = dot(&vectors(&problem, &batch, &theta, &v, &problem.product), &v);
                let h = 1e-4;
                // Central differences err by h^2 times the third derivative, some 1e-8 relative here.
                let (seen, exact) = ((loss(h) - loss(-h)) / (2.0 * h), slope(0.0));
                assert!((seen - exact).abs() < 1e-6 * (1.0 + exact.abs()), "{spec}: slope {exact}, seen {seen}");
                let seen = (slope(h) - slope(-h)) / (2.0 * h);
                assert!((seen - curvature).abs() < 1e-6 * (1.0 + seen.abs()), "{spec}: {curvature}, seen {seen}");
            }
        }
    }

    #[test]
    fn a_batch_is_the_sum_of_its_pieces() {
        let spec = "cnn:5x4x2-3-4-3:relu";
        let (model, whole) = (Built::parse(spec).unwrap(), batch(spec, 4));
        let theta = model.start(1).unwrap();
        let of = |batch: &Batch| {
            let problem = Problem::new(&model, &DataTerm::CrossEntropy.into(), (Aim::Classes, None), batch.n).unwrap();
            vectors(&problem, batch, &theta, &[], &problem.gradient)
        };
        let Values::Real(x) = &whole.x else { panic!("indices") };
        let piece = |range: std::ops::Range<usize>| Batch {
            x: Values::Real(x[range.start * 40..range.end * 40].to_vec()),
            labels: whole.labels[range.clone()].to_vec(),
            n: range.len(),
        };
        let (a, b) = (of(&piece(0..3)), of(&piece(3..4)));
        let sum: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
        // Sums of the same terms in another order.
        assert!(of(&whole).iter().zip(&sum).all(|(a, b)| (a - b).abs() < 1e-13 * (1.0 + a.abs())));
    }
}
