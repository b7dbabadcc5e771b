//! Functions of single elements: activations, arithmetic, comparisons and changes of type.

use super::super::lowering::{Call, Lowering, Results, Value, real};
use super::super::tensors::{self, ValueKind};
use crate::graph::op::{Binary, Number, Op, Unary};
use crate::graph::{Graph, Id};
use mountainpass_sdk::Error;

/// Elementary functions.
pub(super) fn unary(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let f = match c.op() {
        "Relu" => Unary::Relu,
        "Sigmoid" => Unary::Sigmoid,
        "Tanh" => Unary::Tanh,
        "Exp" => Unary::Exp,
        "Log" => Unary::Log,
        "Sqrt" => Unary::Sqrt,
        "Neg" => Unary::Neg,
        "Abs" => Unary::Abs,
        "Reciprocal" => Unary::Reciprocal,
        "Sign" => Unary::Sign,
        "Softplus" => Unary::Softplus,
        "Erf" => Unary::Erf,
        "Sin" => Unary::Sin,
        _ => Unary::Cos,
    };
    let x = l.real(c.input(0)?)?;
    Ok(vec![Value::Node(l.graph.unary(f, x)?, l.kind(c.input(0)?))])
}

/// What is the identity (or 0) above a threshold and something else below.
pub(super) fn rectifier(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let x = l.real(c.input(0)?)?;
    let g = &mut l.graph;
    let y = match c.op() {
        "LeakyRelu" => g.leaky_relu(x, c.float("alpha", 0.01))?,
        "ThresholdedRelu" => thresholded(g, x, c.float("alpha", 1.0))?,
        "PRelu" => {
            let slope = l.real(c.input(1)?)?;
            let g = &mut l.graph;
            let (positive, negative) = halves(g, x)?;
            let bent = g.mul(slope, negative)?;
            g.add(positive, bent)?
        }
        "Celu" => {
            let alpha = c.float("alpha", 1.0);
            let inner = g.scale(x, alpha.recip())?;
            let bent = elu(g, inner, 1.0, 1.0)?;
            g.scale(bent, alpha)?
        }
        "Selu" => elu(g, x, c.float("alpha", 1.673_263_192_176_818_8), c.float("gamma", 1.050_701_022_148_132_3))?,
        _ => elu(g, x, c.float("alpha", 1.0), 1.0)?,
    };
    real(y)
}

/// gamma x above 0 and gamma alpha (exp(x) - 1) below.
pub(super) fn elu(g: &mut Graph, x: Id, alpha: f64, gamma: f64) -> Result<Id, Error> {
    let (positive, negative) = halves(g, x)?;
    let below = g.unary(Unary::Expm1, negative)?;
    let below = g.scale(below, alpha)?;
    let sum = g.add(positive, below)?;
    g.scale(sum, gamma)
}

/// x above alpha, else 0.
pub(super) fn thresholded(g: &mut Graph, x: Id, alpha: f64) -> Result<Id, Error> {
    let shifted = g.shift(x, -alpha)?;
    let step = g.unary(Unary::Step, shifted)?;
    g.mul(x, step)
}

/// x / (1 + |x|).
pub(super) fn softsign(g: &mut Graph, x: Id) -> Result<Id, Error> {
    let size = g.unary(Unary::Abs, x)?;
    let below = g.shift(size, 1.0)?;
    g.div(x, below)
}

/// max(x, 0) and min(x, 0).
fn halves(g: &mut Graph, x: Id) -> Result<(Id, Id), Error> {
    let positive = g.unary(Unary::Relu, x)?;
    let down = g.neg(x)?;
    let negative = g.unary(Unary::Relu, down)?;
    Ok((positive, g.neg(negative)?))
}

/// Curves made of elementary functions.
pub(super) fn curve(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let x = l.real(c.input(0)?)?;
    let g = &mut l.graph;
    let y = match c.op() {
        "Gelu" => match c.text("approximate", "none") {
            "none" => g.gelu(x, false)?,
            "tanh" => g.gelu(x, true)?,
            other => return Err(c.refuse(format!("approximate = {other:?}"))),
        },
        "HardSigmoid" => hard_sigmoid(l, x, c.float("alpha", f64::from(0.2f32)), c.float("beta", 0.5))?,
        "HardSwish" => {
            let gate = hard_sigmoid(l, x, 1.0 / 6.0, 0.5)?;
            l.graph.mul(x, gate)?
        }
        "Softsign" => softsign(g, x)?,
        "Mish" => {
            let soft = g.unary(Unary::Softplus, x)?;
            let gate = g.unary(Unary::Tanh, soft)?;
            g.mul(x, gate)?
        }
        _ => {
            let inner = g.scale(x, c.float("alpha", 1.0))?;
            let gate = g.unary(Unary::Sigmoid, inner)?;
            g.mul(x, gate)?
        }
    };
    real(y)
}

/// alpha x + beta, cut to 0 and 1.
pub(super) fn hard_sigmoid(l: &mut Lowering<'_>, x: Id, alpha: f64, beta: f64) -> Result<Id, Error> {
    let line = l.graph.scale(x, alpha)?;
    let line = l.graph.shift(line, beta)?;
    bounded(l, line, Some(0.0), Some(1.0))
}

/// min(max(x, low), high).
pub(super) fn bounded(l: &mut Lowering<'_>, x: Id, low: Option<f64>, high: Option<f64>) -> Result<Id, Error> {
    let mut y = x;
    for (f, bound) in [(Binary::Max, low), (Binary::Min, high)] {
        if let Some(bound) = bound {
            let bound = l.graph.fill_like(bound, y)?;
            y = l.graph.binary(f, y, bound)?;
        }
    }
    Ok(y)
}

/// Functions of two numbers, or of any number of them.
pub(super) fn arithmetic(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let f = match c.op() {
        "Sub" => Binary::Sub,
        "Mul" => Binary::Mul,
        "Div" => Binary::Div,
        "Max" => Binary::Max,
        "Min" => Binary::Min,
        _ => Binary::Add,
    };
    let mut y = l.real(c.input(0)?)?;
    for k in 1..c.inputs.len() {
        let x = l.real(c.input(k)?)?;
        y = l.graph.binary(f, y, x)?;
    }
    if c.op() == "Mean" {
        y = l.graph.scale(y, (c.inputs.len() as f64).recip())?;
    }
    Ok(vec![Value::Node(y, l.kind(c.input(0)?))])
}

/// x^c; where the exponent is no single known number, exp(c log x).
pub(super) fn power(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let (base, exponent) = (c.input(0)?, c.input(1)?);
    let single = match exponent {
        Value::Known(tensor) => match tensor.reals().split_first() {
            Some((first, rest)) if rest.iter().all(|x| x == first) => Some((*first, tensor.shape.clone())),
            _ => None,
        },
        _ => None,
    };
    let x = l.real(base)?;
    let y = match single {
        Some((exponent, shape)) => {
            let like = l.graph.push(Op::Fill(Number::new(0.0), shape), &[])?;
            let [x, _] = l.graph.together([x, like])?;
            match exponent {
                1.0 => x,
                0.5 => l.graph.unary(Unary::Sqrt, x)?,
                -1.0 => l.graph.unary(Unary::Reciprocal, x)?,
                _ => l.graph.unary(Unary::Power(Number::new(exponent)), x)?,
            }
        }
        None => {
            let exponent = match exponent {
                Value::Known(tensor) => l.real(&Value::Known(tensor.cast(ValueKind::Real)))?,
                other => l.real(other)?,
            };
            let log = l.graph.unary(Unary::Log, x)?;
            let product = l.graph.mul(exponent, log)?;
            l.graph.unary(Unary::Exp, product)?
        }
    };
    Ok(vec![Value::Node(y, l.kind(base))])
}

/// min(max(x, low), high).
pub(super) fn clip(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let x = l.real(c.input(0)?)?;
    let (low, high) = (l.number(c, 1)?, l.number(c, 2)?);
    Ok(vec![Value::Node(bounded(l, x, low, high)?, l.kind(c.input(0)?))])
}

/// Comparisons, 1 where they hold.
pub(super) fn compare(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let (a, b) = (l.real(c.input(0)?)?, l.real(c.input(1)?)?);
    let g = &mut l.graph;
    let less = match c.op() {
        "Less" | "LessOrEqual" => g.binary(Binary::Less, a, b)?,
        "Equal" => g.binary(Binary::Equal, a, b)?,
        _ => g.binary(Binary::Less, b, a)?,
    };
    let y = if c.op().ends_with("OrEqual") {
        // Not the other way round, or it would hold for NaN.
        let equal = g.binary(Binary::Equal, a, b)?;
        g.add(less, equal)?
    } else {
        less
    };
    Ok(vec![Value::Node(y, ValueKind::Truth)])
}

/// Of truths as 1 and 0.
pub(super) fn logic(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let x = l.real(c.input(0)?)?;
    let y = match c.op() {
        "Not" | "IsNaN" => {
            let holds = if c.op() == "Not" { x } else { l.graph.binary(Binary::Equal, x, x)? };
            let one = l.graph.fill_like(1.0, x)?;
            l.graph.sub(one, holds)?
        }
        op => {
            let other = l.real(c.input(1)?)?;
            match op {
                "And" => l.graph.mul(x, other)?,
                "Or" => l.graph.binary(Binary::Max, x, other)?,
                _ => {
                    let difference = l.graph.sub(x, other)?;
                    l.graph.unary(Unary::Abs, difference)?
                }
            }
        }
    };
    Ok(vec![Value::Node(y, ValueKind::Truth)])
}

/// Where(condition, a, b).
pub(super) fn choose(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let [condition, a, b] = [l.real(c.input(0)?)?, l.real(c.input(1)?)?, l.real(c.input(2)?)?];
    let all = l.graph.together([condition, a, b])?;
    Ok(vec![Value::Node(l.graph.push(Op::Select, &all)?, l.kind(c.input(1)?))])
}

/// Changes of type; between reals of different widths there is nothing to do.
pub(super) fn cast(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let value = c.input(0)?;
    let to = match c.op() {
        "Cast" => {
            let to = c.int("to").and_then(|to| i32::try_from(to).ok()).unwrap_or_default();
            tensors::kind(to).ok_or_else(|| c.refuse(format!("a cast to {}", tensors::type_name(to))))?
        }
        _ => l.kind(c.input(1)?),
    };
    Ok(vec![match (value, l.kind(value), to) {
        (Value::Known(tensor), ..) => Value::Known(tensor.cast(to)),
        (value, from, to) if from == to => value.clone(),
        (Value::Node(id, _), ValueKind::Truth, ValueKind::Real) => Value::Node(*id, ValueKind::Real),
        (value, ValueKind::Real, ValueKind::Truth) => {
            let x = l.real(value)?;
            let zero = l.graph.fill_like(0.0, x)?;
            let is_zero = l.graph.binary(Binary::Equal, x, zero)?;
            let one = l.graph.fill_like(1.0, x)?;
            Value::Node(l.graph.sub(one, is_zero)?, ValueKind::Truth)
        }
        (_, from, to) => return Err(c.refuse(format!("a cast from {from:?} to {to:?} of what depends on the inputs"))),
    }])
}

/// What is there already; a dropout drops nothing after training.
pub(super) fn identity(_: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    Ok(vec![c.input(0)?.clone()])
}
