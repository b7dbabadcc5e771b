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
        "Atan" => Unary::Atan,
        "Floor" => Unary::Floor,
        "Round" => Unary::Round,
        _ => Unary::Cos,
    };
    let x = l.real(c.input(0)?)?;
    Ok(vec![Value::Node(l.graph.unary(f, x)?, l.kind(c.input(0)?))])
}

/// The smallest whole number that is not below x.
pub(super) fn ceil(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let x = l.real(c.input(0)?)?;
    let down = l.graph.neg(x)?;
    let floor = l.graph.unary(Unary::Floor, down)?;
    Ok(vec![Value::Node(l.graph.neg(floor)?, l.kind(c.input(0)?))])
}

/// The whole part of x, towards zero.
pub(super) fn truncated(g: &mut Graph, x: Id) -> Result<Id, Error> {
    let (sign, size) = (g.unary(Unary::Sign, x)?, g.unary(Unary::Abs, x)?);
    let whole = g.unary(Unary::Floor, size)?;
    g.mul(sign, whole)
}

/// What is left of a division, with the sign of the divisor, or of the dividend if that is asked for.
pub(super) fn modulo(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let (a, b) = (l.real(c.input(0)?)?, l.real(c.input(1)?)?);
    if l.kind(c.input(0)?) == ValueKind::Whole && l.constant(b)?.is_some_and(|b| b.numbers().any(|b| b == 0.0)) {
        return Err(Error::argument("a division by 0"));
    }
    let ratio = l.graph.div(a, b)?;
    let times = if c.is_on("fmod") { truncated(&mut l.graph, ratio)? } else { l.graph.unary(Unary::Floor, ratio)? };
    let part = l.graph.mul(times, b)?;
    Ok(vec![Value::Node(l.graph.sub(a, part)?, l.kind(c.input(0)?))])
}

/// Functions of angles, and those of hyperbolas, by exponentials and logarithms.
pub(super) fn angle(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let x = l.real(c.input(0)?)?;
    let g = &mut l.graph;
    real(match c.op() {
        "Tan" => {
            let (sin, cos) = (g.unary(Unary::Sin, x)?, g.unary(Unary::Cos, x)?);
            g.div(sin, cos)?
        }
        "Asin" => arc_sine(g, x)?,
        "Acos" => {
            let arc = arc_sine(g, x)?;
            let down = g.neg(arc)?;
            g.shift(down, std::f64::consts::FRAC_PI_2)?
        }
        "Sinh" | "Cosh" => {
            let down = g.neg(x)?;
            let (up, down) = (g.unary(Unary::Expm1, x)?, g.unary(Unary::Expm1, down)?);
            let twice = if c.op() == "Sinh" { g.sub(up, down)? } else { g.add(up, down)? };
            let once = g.scale(twice, 0.5)?;
            if c.op() == "Sinh" { once } else { g.shift(once, 1.0)? }
        }
        // Of |x|, so that nothing cancels.
        "Asinh" => {
            let (sign, size) = (g.unary(Unary::Sign, x)?, g.unary(Unary::Abs, x)?);
            let side = hypotenuse(g, size, 1.0)?;
            let sum = g.add(size, side)?;
            let log = g.unary(Unary::Log, sum)?;
            g.mul(sign, log)?
        }
        "Acosh" => {
            let side = hypotenuse(g, x, -1.0)?;
            let sum = g.add(x, side)?;
            g.unary(Unary::Log, sum)?
        }
        _ => {
            let down = g.neg(x)?;
            let (above, below) = (g.shift(x, 1.0)?, g.shift(down, 1.0)?);
            let ratio = g.div(above, below)?;
            let log = g.unary(Unary::Log, ratio)?;
            g.scale(log, 0.5)?
        }
    })
}

/// sqrt(x^2 + c).
fn hypotenuse(g: &mut Graph, x: Id, c: f64) -> Result<Id, Error> {
    let square = g.mul(x, x)?;
    let sum = g.shift(square, c)?;
    g.unary(Unary::Sqrt, sum)
}

/// atan(x / sqrt(1 - x^2)).
fn arc_sine(g: &mut Graph, x: Id) -> Result<Id, Error> {
    let square = g.mul(x, x)?;
    let down = g.neg(square)?;
    let rest = g.shift(down, 1.0)?;
    let other = g.unary(Unary::Sqrt, rest)?;
    let ratio = g.div(x, other)?;
    g.unary(Unary::Atan, ratio)
}

/// What is the identity (or 0) above a threshold and something else below.
pub(super) fn rectifier(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let x = l.real(c.input(0)?)?;
    let g = &mut l.graph;
    let y = match c.op() {
        "LeakyRelu" => g.leaky_relu(x, c.float("alpha", 0.01))?,
        "ThresholdedRelu" => thresholded(g, x, c.float("alpha", 1.0))?,
        "Shrink" => {
            // Towards 0 by the bias beyond the threshold, 0 within.
            let (threshold, bias) = (c.float("lambd", 0.5), c.float("bias", 0.0));
            let down = g.neg(x)?;
            if bias == threshold {
                // Soft: it bends, and jumps nowhere.
                let (above, below) = (g.shift(x, -bias)?, g.shift(down, -bias)?);
                let (above, below) = (g.unary(Unary::Relu, above)?, g.unary(Unary::Relu, below)?);
                return real(g.sub(above, below)?);
            }
            let above = thresholded(g, x, threshold)?;
            let below = thresholded(g, down, threshold)?;
            let all = g.sub(above, below)?;
            let sign = g.unary(Unary::Sign, all)?;
            let bias = g.scale(sign, bias)?;
            g.sub(all, bias)?
        }
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
    if f == Binary::Div && l.kind(c.input(0)?) == ValueKind::Whole {
        y = truncated(&mut l.graph, y)?;
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
        "IsInf" => {
            let size = l.graph.unary(Unary::Abs, x)?;
            let all = l.graph.fill_like(f64::INFINITY, x)?;
            let is_one = l.graph.binary(Binary::Equal, size, all)?;
            let (zero, of) = (l.graph.fill_like(0.0, x)?, ["detect_negative", "detect_positive"]);
            let [down, up] = of.map(|name| c.int(name).unwrap_or(1) != 0);
            let is_negative = l.graph.binary(Binary::Less, x, zero)?;
            match (down, up) {
                (true, true) => is_one,
                (true, false) => l.graph.mul(is_one, is_negative)?,
                (false, true) => {
                    let one = l.graph.fill_like(1.0, x)?;
                    let is_positive = l.graph.sub(one, is_negative)?;
                    l.graph.mul(is_one, is_positive)?
                }
                (false, false) => zero,
            }
        }
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
        (value, ValueKind::Truth | ValueKind::Whole, ValueKind::Real) => Value::Node(l.real(value)?, ValueKind::Real),
        (value, ValueKind::Truth, ValueKind::Whole) => Value::Node(l.real(value)?, ValueKind::Whole),
        (value, ValueKind::Real, ValueKind::Whole) => {
            let x = l.real(value)?;
            Value::Node(truncated(&mut l.graph, x)?, ValueKind::Whole)
        }
        (value, ValueKind::Real | ValueKind::Whole, ValueKind::Truth) => {
            let x = l.real(value)?;
            let zero = l.graph.fill_like(0.0, x)?;
            let is_zero = l.graph.binary(Binary::Equal, x, zero)?;
            let one = l.graph.fill_like(1.0, x)?;
            Value::Node(l.graph.sub(one, is_zero)?, ValueKind::Truth)
        }
        (value, ..) => value.clone(),
    }])
}

/// What is there already; a dropout drops nothing after training.
pub(super) fn identity(_: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    Ok(vec![c.input(0)?.clone()])
}
