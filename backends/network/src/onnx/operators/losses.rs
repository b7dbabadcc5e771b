//! Losses against classes as operators of a file: a cross-entropy, and the same of logarithms that are there already.

use super::super::lowering::{Call, Lowering, Results, Value};
use super::super::messages::entry;
use super::super::tensors::ValueKind;
use crate::graph::Id;
use crate::graph::op::{Binary, Number, Op};
use mountainpass_sdk::Error;

/// -w log p at each label, with the weight of its class, 0 where the label is one to be ignored; all of them, their sum, or
/// that by the sum of the weights. Classes are axis 1.
pub(super) fn likelihood(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let shape = l.shape(c.input(0)?);
    let Some(&classes) = shape.get(1) else {
        return Err(Error::argument(format!("of {shape:?}: there is no axis 1 for classes")));
    };
    let scores = l.real(c.input(0)?)?;
    let rank = shape.len();
    let last: Vec<usize> = std::iter::once(0).chain(2..rank).chain([1]).collect();
    let mut log = l.graph.transpose(scores, &last)?;
    if c.op() == "SoftmaxCrossEntropyLoss" {
        log = l.graph.push(Op::LogSoftmax, &[log])?;
    }
    // torch's exporter writes chances in place of labels where that is what a module takes.
    if l.kind(c.input(1)?) == ValueKind::Real && l.shape(c.input(1)?) == shape {
        return soft(l, c, log, &last);
    }
    let Labels { at, counted } = labels(l, c, classes)?;
    if l.graph.shape(at) != &l.graph.shape(log)[..rank - 1] {
        return Err(Error::argument(format!("labels of {:?} for scores of {shape:?}", l.graph.shape(at))));
    }
    let picked = l.graph.push(Op::Gather { axis: rank - 1, shared: rank - 1 }, &[log, at])?;
    let own = l.graph.neg(picked)?;
    let weight = match (c.optional(2), counted) {
        (Some(weights), counted) => {
            let weights = l.real(weights)?;
            let own = l.graph.push(Op::Gather { axis: 0, shared: 0 }, &[weights, at])?;
            Some(match counted {
                Some(counted) => l.graph.mul(own, counted)?,
                None => own,
            })
        }
        (None, counted) => counted,
    };
    let losses = match (weight, counted) {
        // Chosen, as a product would make NaN of an infinite loss that does not count.
        (Some(weight), Some(counted)) => {
            let zero = l.graph.fill_like(0.0, own)?;
            let own = l.graph.push(Op::Select, &[counted, own, zero])?;
            l.graph.mul(own, weight)?
        }
        (Some(weight), None) => l.graph.mul(own, weight)?,
        (None, _) => own,
    };
    let losses = match smoothing(c)? {
        None => losses,
        Some(part) => {
            // The mean over classes of what each would cost; where a label does not count, nothing does.
            let mut all = log;
            if let Some(weights) = c.optional(2) {
                let weights = l.real(weights)?;
                all = l.graph.mul(all, weights)?;
            }
            let mean = l.graph.mean(all, &[rank - 1])?;
            let places = l.graph.shape(losses).to_vec();
            let mean = l.graph.reshape(mean, places)?;
            let mut smooth = l.graph.scale(mean, -part)?;
            if let Some(counted) = counted {
                let zero = l.graph.fill_like(0.0, smooth)?;
                smooth = l.graph.push(Op::Select, &[counted, smooth, zero])?;
            }
            let own = l.graph.scale(losses, 1.0 - part)?;
            l.graph.add(own, smooth)?
        }
    };
    let axes: Vec<usize> = (0..rank - 1).collect();
    let one = |l: &mut Lowering<'_>, x: Id| {
        let sum = l.graph.sum(x, &axes)?;
        l.graph.reshape(sum, Vec::new())
    };
    let y = match (c.text("reduction", "mean"), weight) {
        ("none", _) => losses,
        ("sum", _) => one(l, losses)?,
        ("mean", Some(weight)) => {
            let (sum, all) = (one(l, losses)?, one(l, weight)?);
            l.graph.div(sum, all)?
        }
        ("mean", None) => {
            let mean = l.graph.mean(losses, &axes)?;
            l.graph.reshape(mean, Vec::new())?
        }
        (other, _) => return Err(c.refuse(format!("reduction = {other:?}"))),
    };
    let back: Vec<usize> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
    let log = l.graph.transpose(log, &back)?;
    Ok([y, log].map(|id| Value::Node(id, ValueKind::Real)).to_vec())
}

/// The label smoothing of the module: torch's exporter leaves it out of the operator, which has no setting for it, but says
/// what the operator stands for.
fn smoothing(c: &Call<'_>) -> Result<Option<f64>, Error> {
    let of = entry(&c.node.metadata_props, "pkg.torch.onnx.fx_node").unwrap_or_default();
    let Some((_, call)) = of.split_once("aten.cross_entropy_loss.default](args = (") else { return Ok(None) };
    let (listed, named) = call.split_once(')').unwrap_or((call, ""));
    let named = named.split_once("label_smoothing: ").map(|(_, rest)| rest.split([',', '}']).next().unwrap_or(rest));
    match listed.split(", ").nth(5).or(named).map(|text| (text, text.trim().parse::<f64>())) {
        None => Ok(None),
        Some((_, Ok(part))) => Ok(Some(part).filter(|part| *part != 0.0)),
        Some((text, _)) => Err(c.refuse(format!("the label_smoothing {text:?}, which the file mentions alone,"))),
    }
}

/// -sum w t log p with a chance t for every class; the mean is over places.
fn soft(l: &mut Lowering<'_>, c: &Call<'_>, log: Id, last: &[usize]) -> Results {
    if smoothing(c)?.is_some() {
        return Err(c.refuse("the label_smoothing of chances"));
    }
    let chances = l.real(c.input(1)?)?;
    let chances = l.graph.transpose(chances, last)?;
    let mut own = l.graph.mul(chances, log)?;
    if let Some(weights) = c.optional(2) {
        let weights = l.real(weights)?;
        own = l.graph.mul(own, weights)?;
    }
    let axis = last.len() - 1;
    let sum = l.graph.sum(own, &[axis])?;
    let losses = l.graph.neg(sum)?;
    let places = l.graph.shape(losses)[..axis].to_vec();
    let axes: Vec<usize> = (0..=axis).collect();
    let (y, shape) = match c.text("reduction", "mean") {
        "none" => (losses, places),
        "sum" => (l.graph.sum(losses, &axes)?, Vec::new()),
        "mean" => (l.graph.mean(losses, &axes)?, Vec::new()),
        other => return Err(c.refuse(format!("reduction = {other:?}"))),
    };
    let y = l.graph.reshape(y, shape)?;
    Ok(vec![Value::Node(y, ValueKind::Real)])
}

/// Labels as indices, and 1 where they count, 0 elsewhere; `None` where all do.
struct Labels {
    at: Id,
    counted: Option<Id>,
}

fn labels(l: &mut Lowering<'_>, c: &Call<'_>, classes: usize) -> Result<Labels, Error> {
    let Some(ignored) = c.int("ignore_index") else {
        return Ok(Labels { at: l.index(c.input(1)?)?, counted: None });
    };
    let number = l.real(c.input(1)?)?;
    let never = l.graph.fill_like(ignored as f64, number)?;
    let is_ignored = l.graph.binary(Binary::Equal, number, never)?;
    let one = l.graph.fill_like(1.0, number)?;
    let counted = Some(l.graph.sub(one, is_ignored)?);
    if (0..classes as i64).contains(&ignored) {
        return Ok(Labels { at: l.index(c.input(1)?)?, counted });
    }
    // An ignored label is no class; any will do in its place.
    let shape = l.graph.shape(number).to_vec();
    let first = l.graph.push(Op::Fill(Number::new(0.0), shape), &[])?;
    let some = l.graph.push(Op::Select, &[is_ignored, first, number])?;
    Ok(Labels { at: l.graph.push(Op::ToIndex, &[some])?, counted })
}
