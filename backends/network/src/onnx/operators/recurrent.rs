//! Recurrent layers, unrolled: one step of the graph for every step of the sequence.
//!
//! All inputs meet their weights in one product before the first step, and the batch is the first axis of every array,
//! so that samples stay apart. Gates stand in ONNX's order: i o f c for LSTM (Hochreiter and Schmidhuber 1997), z r h
//! for GRU (Cho et al. 2014).

use super::super::lowering::{Call, Lowering, Results, Value};
use super::super::tensors::ValueKind;
use super::elementwise::{bounded, elu, hard_sigmoid, softsign, thresholded};
use crate::graph::Id;
use crate::graph::op::{Number, Op, Unary};
use mountainpass_sdk::Error;

/// Longer sequences are refused: each step adds some thirty nodes to the graph and its derivatives.
const STEPS_MAX: usize = 4096;

/// What a step weighs among all that a file may ask to be written down.
const STEP_WEIGHT: usize = 1 << 10;

/// A whole layer, in one or two directions.
pub(super) fn recurrent(l: &mut Lowering<'_>, c: &Call<'_>) -> Results {
    let gates = match c.op() {
        "LSTM" => 4,
        "GRU" => 3,
        _ => 1,
    };
    let is_batch_first = c.is_on("layout");
    let directions: &[bool] = match c.text("direction", "forward") {
        "forward" => &[false],
        "reverse" => &[true],
        "bidirectional" => &[false, true],
        other => return Err(c.refuse(format!("direction = {other:?}"))),
    };
    let &[first, second, width] = &l.shape(c.input(0)?)[..] else {
        return Err(Error::argument(format!("X is {:?}, expected three axes", l.shape(c.input(0)?))));
    };
    let &[_, _, hidden] = &l.shape(c.input(2)?)[..] else {
        return Err(Error::argument(format!("R is {:?}, expected three axes", l.shape(c.input(2)?))));
    };
    let (batch, steps) = if is_batch_first { (first, second) } else { (second, first) };
    if steps > STEPS_MAX {
        return Err(c.refuse(format!("a sequence of {steps} steps (at most {STEPS_MAX})")));
    }
    l.modest(steps * directions.len() * STEP_WEIGHT)?;
    if let Some(lengths) = l.wholes(c, 4)?
        && lengths.iter().any(|length| usize::try_from(*length) != Ok(steps))
    {
        return Err(c.refuse(format!("sequence_lens {lengths:?} of {steps} steps")));
    }
    let n = directions.len();
    let w = weights(l, c, 1, "W", &[n, gates * hidden, width])?;
    let r = weights(l, c, 2, "R", &[n, gates * hidden, hidden])?;
    let b = weights(l, c, 3, "B", &[n, 2 * gates * hidden])?;
    let p = weights(l, c, 7, "P", &[n, 3 * hidden])?;
    let state = if is_batch_first { [batch, n, hidden] } else { [n, batch, hidden] };
    let mut first = [weights(l, c, 5, "initial_h", &state)?, weights(l, c, 6, "initial_c", &state)?];
    let mut x = l.real(c.input(0)?)?;
    if !is_batch_first {
        x = l.graph.transpose(x, &[1, 0, 2])?;
        for state in first.iter_mut().flatten() {
            *state = l.graph.transpose(*state, &[1, 0, 2])?;
        }
    }
    let activations = activations(c, n)?;
    let (mut sequences, mut last) = (Vec::new(), [Vec::new(), Vec::new()]);
    for (k, is_reverse) in directions.iter().enumerate() {
        let (Some(w), Some(r)) = (w, r) else { return Err(Error::argument("W or R is missing")) };
        let cell = RecurrentCell {
            hidden,
            recurrence: matrix(l, r, k)?,
            peephole: p.map(|p| row(l, p, k, 0, 3 * hidden)).transpose()?,
            inner: b.map(|b| row(l, b, k, (2 * gates - 1) * hidden, hidden)).transpose()?,
            is_reset_late: c.is_on("linear_before_reset"),
            is_coupled: c.is_on("input_forget"),
            clip: Some(c.float("clip", 0.0)).filter(|clip| *clip > 0.0),
            activations: activations[k].clone(),
        };
        let weight = matrix(l, w, k)?;
        let mut inputs = l.graph.matmul(x, weight)?;
        if let Some(b) = b {
            let bias = row(l, b, k, 0, gates * hidden)?;
            // The bias of a candidate that is reset late is reset with it.
            let own = if c.op() == "GRU" && cell.is_reset_late { 2 * hidden } else { gates * hidden };
            let mut more = row(l, b, k, gates * hidden, own)?;
            if own < gates * hidden {
                let rest = l.graph.push(Op::Fill(Number::new(0.0), vec![1, gates * hidden - own]), &[])?;
                more = l.graph.push(Op::Concat(1), &[more, rest])?;
            }
            let bias = l.graph.add(bias, more)?;
            inputs = l.graph.add(inputs, bias)?;
        }
        let mut state = [l.graph.push(Op::Fill(Number::new(0.0), vec![batch, hidden]), &[])?; 2];
        for (state, given) in state.iter_mut().zip(first) {
            if let Some(given) = given {
                let part = l.graph.narrow(given, 1, k, 1)?;
                *state = l.graph.reshape(part, vec![batch, hidden])?;
            }
        }
        let mut outputs = vec![state[0]; steps];
        for i in 0..steps {
            let t = if *is_reverse { steps - 1 - i } else { i };
            let input = l.graph.narrow(inputs, 1, t, 1)?;
            let input = l.graph.reshape(input, vec![batch, gates * hidden])?;
            state = match c.op() {
                "LSTM" => cell.long_short(l, input, state)?,
                "GRU" => [cell.gated(l, input, state[0])?, state[1]],
                _ => [cell.plain(l, input, state[0])?, state[1]],
            };
            outputs[t] = state[0];
        }
        for output in &mut outputs {
            *output = l.graph.reshape(*output, vec![batch, 1, 1, hidden])?;
        }
        sequences.push(l.graph.push(Op::Concat(1), &outputs)?);
        for (last, state) in last.iter_mut().zip(state) {
            last.push(l.graph.reshape(state, vec![batch, 1, hidden])?);
        }
    }
    let mut results = vec![l.graph.push(Op::Concat(2), &sequences)?];
    for last in last.iter().take(if c.op() == "LSTM" { 2 } else { 1 }) {
        results.push(l.graph.push(Op::Concat(1), last)?);
    }
    if !is_batch_first {
        for (k, result) in results.iter_mut().enumerate() {
            let perm: &[usize] = if k == 0 { &[1, 2, 0, 3] } else { &[1, 0, 2] };
            *result = l.graph.transpose(*result, perm)?;
        }
    }
    Ok(results.into_iter().map(|id| Value::Node(id, ValueKind::Real)).collect())
}

/// An argument that must have this shape where it is given.
fn weights(l: &mut Lowering<'_>, c: &Call<'_>, k: usize, name: &str, wanted: &[usize]) -> Result<Option<Id>, Error> {
    let Some(value) = c.optional(k) else { return Ok(None) };
    if l.shape(value) != wanted {
        return Err(Error::argument(format!("{name} is {:?}, expected {wanted:?}", l.shape(value))));
    }
    l.real(value).map(Some)
}

/// The weights of one direction, turned round: what a row of inputs is multiplied by.
fn matrix(l: &mut Lowering<'_>, all: Id, k: usize) -> Result<Id, Error> {
    let shape = l.graph.shape(all)[1..].to_vec();
    let one = l.graph.narrow(all, 0, k, 1)?;
    let one = l.graph.reshape(one, shape)?;
    l.graph.flip(one)
}

/// A part of the biases of one direction, `[1, count]`.
fn row(l: &mut Lowering<'_>, all: Id, k: usize, start: usize, count: usize) -> Result<Id, Error> {
    let one = l.graph.narrow(all, 0, k, 1)?;
    l.graph.narrow(one, 1, start, count)
}

/// What a step computes with.
struct RecurrentCell {
    hidden: usize,
    /// `[hidden, gates * hidden]`.
    recurrence: Id,
    /// Of the gates i, o and f, `[1, 3 * hidden]`.
    peephole: Option<Id>,
    /// The bias of the last gate's recurrent part.
    inner: Option<Id>,
    is_reset_late: bool,
    is_coupled: bool,
    clip: Option<f64>,
    activations: Vec<GateActivation>,
}

impl RecurrentCell {
    /// h = f(x + R h).
    fn plain(&self, l: &mut Lowering<'_>, x: Id, h: Id) -> Result<Id, Error> {
        let recurrent = l.graph.matmul(h, self.recurrence)?;
        let sum = l.graph.add(x, recurrent)?;
        self.bent(l, 0, sum)
    }

    /// h = (1 - z) n + z h with the candidate n = g(x + R (r h)), or g(x + r (R h)).
    fn gated(&self, l: &mut Lowering<'_>, x: Id, h: Id) -> Result<Id, Error> {
        let two = 2 * self.hidden;
        let narrow = |l: &mut Lowering<'_>, x: Id, start: usize, count: usize| l.graph.narrow(x, 1, start, count);
        let early = narrow(l, self.recurrence, 0, two)?;
        let recurrent = l.graph.matmul(h, early)?;
        let gates = narrow(l, x, 0, two)?;
        let gates = l.graph.add(gates, recurrent)?;
        let gates = self.bent(l, 0, gates)?;
        let (z, r) = (narrow(l, gates, 0, self.hidden)?, narrow(l, gates, self.hidden, self.hidden)?);
        let late = narrow(l, self.recurrence, two, self.hidden)?;
        let recurrent = if self.is_reset_late {
            let mut all = l.graph.matmul(h, late)?;
            if let Some(inner) = self.inner {
                all = l.graph.add(all, inner)?;
            }
            l.graph.mul(r, all)?
        } else {
            let kept = l.graph.mul(r, h)?;
            l.graph.matmul(kept, late)?
        };
        let candidate = narrow(l, x, two, self.hidden)?;
        let candidate = l.graph.add(candidate, recurrent)?;
        let candidate = self.bent(l, 1, candidate)?;
        let back = l.graph.sub(h, candidate)?;
        let back = l.graph.mul(z, back)?;
        l.graph.add(candidate, back)
    }

    /// c = f c + i g(..), h = o h(c).
    fn long_short(&self, l: &mut Lowering<'_>, x: Id, [h, c]: [Id; 2]) -> Result<[Id; 2], Error> {
        let recurrent = l.graph.matmul(h, self.recurrence)?;
        let all = l.graph.add(x, recurrent)?;
        let gate = |l: &mut Lowering<'_>, k: usize, c: Id| {
            let mut sum = l.graph.narrow(all, 1, k * self.hidden, self.hidden)?;
            if let Some(peephole) = self.peephole {
                let seen = l.graph.narrow(peephole, 1, k * self.hidden, self.hidden)?;
                let seen = l.graph.mul(seen, c)?;
                sum = l.graph.add(sum, seen)?;
            }
            self.bent(l, 0, sum)
        };
        let input = gate(l, 0, c)?;
        let forget = if self.is_coupled {
            let one = l.graph.fill_like(1.0, input)?;
            l.graph.sub(one, input)?
        } else {
            gate(l, 2, c)?
        };
        let candidate = l.graph.narrow(all, 1, 3 * self.hidden, self.hidden)?;
        let candidate = self.bent(l, 1, candidate)?;
        let (kept, new) = (l.graph.mul(forget, c)?, l.graph.mul(input, candidate)?);
        let c = l.graph.add(kept, new)?;
        let output = gate(l, 1, c)?;
        let seen = self.activations[2].of(l, c)?;
        Ok([l.graph.mul(output, seen)?, c])
    }

    /// An activation of what was clipped.
    fn bent(&self, l: &mut Lowering<'_>, k: usize, x: Id) -> Result<Id, Error> {
        let x = bounded(l, x, self.clip.map(|clip| -clip), self.clip)?;
        self.activations[k].of(l, x)
    }
}

/// An activation with its settings.
#[derive(Clone)]
struct GateActivation {
    name: String,
    alpha: f64,
    beta: f64,
}

impl GateActivation {
    fn of(&self, l: &mut Lowering<'_>, x: Id) -> Result<Id, Error> {
        let g = &mut l.graph;
        match self.name.as_str() {
            "Relu" => g.unary(Unary::Relu, x),
            "Tanh" => g.unary(Unary::Tanh, x),
            "Sigmoid" => g.unary(Unary::Sigmoid, x),
            "Softplus" => g.unary(Unary::Softplus, x),
            "Softsign" => softsign(g, x),
            "LeakyRelu" => g.leaky_relu(x, self.alpha),
            "ThresholdedRelu" => thresholded(g, x, self.alpha),
            "Elu" => elu(g, x, self.alpha, 1.0),
            "HardSigmoid" => hard_sigmoid(l, x, self.alpha, self.beta),
            "Affine" => {
                let line = g.scale(x, self.alpha)?;
                g.shift(line, self.beta)
            }
            "ScaledTanh" => {
                let inner = g.scale(x, self.beta)?;
                let bent = g.unary(Unary::Tanh, inner)?;
                g.scale(bent, self.alpha)
            }
            other => Err(Error::unsupported(format!("the activation {other:?} is not supported"))),
        }
    }
}

/// The activations of every direction. Settings are listed for those alone that have them.
fn activations(c: &Call<'_>, directions: usize) -> Result<Vec<Vec<GateActivation>>, Error> {
    let usual: &[&str] = match c.op() {
        "LSTM" => &["Sigmoid", "Tanh", "Tanh"],
        "GRU" => &["Sigmoid", "Tanh"],
        _ => &["Tanh"],
    };
    let mut names = c.texts("activations");
    if names.is_empty() {
        names = usual.repeat(directions);
    }
    if names.len() != usual.len() * directions {
        return Err(Error::argument(format!("activations {names:?}, expected {}", usual.len() * directions)));
    }
    let settings = |name: &str| c.floats(name).unwrap_or_default().iter().map(|x| f64::from(*x));
    let (mut alphas, mut betas) = (settings("activation_alpha"), settings("activation_beta"));
    let activation = |name: &&str| {
        let (alpha, beta) = match *name {
            "LeakyRelu" => (Some(0.01), None),
            "ThresholdedRelu" | "Elu" => (Some(1.0), None),
            "HardSigmoid" => (Some(f64::from(0.2f32)), Some(0.5)),
            "Affine" => (Some(1.0), Some(0.0)),
            "ScaledTanh" => (Some(1.0), Some(1.0)),
            _ => (None, None),
        };
        let alpha = alpha.map_or(0.0, |usual| alphas.next().unwrap_or(usual));
        let beta = beta.map_or(0.0, |usual| betas.next().unwrap_or(usual));
        GateActivation { name: (*name).to_owned(), alpha, beta }
    };
    let all: Vec<GateActivation> = names.iter().map(activation).collect();
    Ok(all.chunks(usual.len()).map(<[GateActivation]>::to_vec).collect())
}
