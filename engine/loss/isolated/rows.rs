//! Calls that ask for rows: losses and derivatives, metrics, and the start of a seed, which is one row. A row that is
//! lost can be left out: its numbers are NaN then, and whoever asked knows what that means.

#![forbid(unsafe_code)]

use super::message::{BatchShape, Call};
use super::served::{Answer, Asked, Served};
use crate::error::Error;
use crate::loss::{Batch, Linear, Split};
use crate::run::Cancel;
use std::ops::Range;

/// A call for rows, which are asked for together and, where that is lost, one by one.
pub trait RowCall {
    /// Which it is.
    fn call(&self) -> Call;
    /// How many there are.
    fn count(&self) -> usize;
    /// Asks for some of them.
    fn ask(&mut self, served: &mut Served, rows: Range<usize>, cancel: &Cancel) -> Asked<()>;
    /// Leaves one without numbers; which one, and what that means, in words.
    fn mark(&mut self, row: usize) -> [String; 2];
}

/// A checked batch of rows of `p` parameters.
pub struct EvalCall<'a, 'b> {
    pub batch: &'a mut Batch<'b>,
    pub p: usize,
    pub form: Form<'a>,
}

/// What of a loss is evaluated.
pub enum Form<'a> {
    /// Itself.
    Plain,
    /// Smoothed at a width.
    Smoothed(f64),
    /// With slopes of kinks given; checked to be of one length, and the outputs as long in every row.
    Linear { kinks: Vec<u64>, slopes: Vec<f64>, out: Linear<'a> },
}

impl Form<'_> {
    /// The argument behind those of the batch.
    fn argument(&self) -> u64 {
        match self {
            Form::Plain => 0,
            Form::Smoothed(width) => width.to_bits(),
            Form::Linear { kinks, .. } => kinks.len() as u64,
        }
    }

    fn given(&self) -> (&[u64], &[f64]) {
        match self {
            Form::Linear { kinks, slopes, .. } => (kinks, slopes),
            Form::Plain | Form::Smoothed(_) => (&[], &[]),
        }
    }

    /// Where z and delta of some rows go.
    fn told(&mut self, rows: Range<usize>) -> [&mut [f64]; 2] {
        match self {
            Form::Linear { kinks, out, .. } => {
                let cells = rows.start * kinks.len()..rows.end * kinks.len();
                [&mut out.z[cells.clone()], &mut out.delta[cells]]
            }
            Form::Plain | Form::Smoothed(_) => [&mut [], &mut []],
        }
    }
}

impl RowCall for EvalCall<'_, '_> {
    fn call(&self) -> Call {
        match self.form {
            Form::Plain => Call::Eval,
            Form::Smoothed(_) => Call::Smoothed,
            Form::Linear { .. } => Call::Linear,
        }
    }

    fn count(&self) -> usize {
        self.batch.loss.len()
    }

    fn ask(&mut self, served: &mut Served, rows: Range<usize>, cancel: &Cancel) -> Asked<()> {
        let call = self.call();
        let EvalCall { batch, p, form } = self;
        let (n, p, (kinks, slopes)) = (rows.len(), *p, form.given());
        let (grad, hvp) = (batch.grad.is_some(), batch.hvp.is_some());
        let shape = BatchShape { n, p, ids: batch.ids.map(<[u64]>::len), grad, hvp, slopes: kinks.len() };
        let (_, answered) = shape.words().ok_or_else(|| Error::Argument("a batch larger than any memory".into()))?;
        served.room(answered.iter().sum())?;
        let cells = rows.start * p..rows.end * p;
        let dir = batch.hvp.as_ref().map_or(&[][..], |(dir, _)| &dir[cells.clone()]);
        let theta = words(&batch.theta[cells.clone()]);
        let asked = [theta, batch.ids.unwrap_or_default(), words(dir), kinks, words(slopes)];
        let [count, ids, flags] = shape.arguments();
        let Answer::Done = served.ask(call, &[count, ids, flags, form.argument()], &asked, cancel)? else {
            return Err(served.scribbled());
        };
        let mut fine = vec![0; n];
        let loss = &mut batch.loss[rows.clone()];
        let grad = batch.grad.as_deref_mut().map_or(&mut [][..], |grad| &mut grad[cells.clone()]);
        let hvp = batch.hvp.as_mut().map_or(&mut [][..], |(_, hvp)| &mut hvp[cells]);
        let [z, delta] = form.told(rows.clone());
        served.numbers(&mut [
            words_mut(loss),
            &mut fine,
            words_mut(grad),
            words_mut(hvp),
            words_mut(z),
            words_mut(delta),
        ])?;
        for (i, ok) in batch.ok[rows].iter_mut().enumerate() {
            *ok = fine[i] == 1;
            let finite = |values: &[f64]| {
                let width = values.len() / n;
                values[i * width..][..width].iter().all(|value| value.is_finite())
            };
            if *ok && !(loss[i].is_finite() && [&*grad, hvp, z, delta].into_iter().all(finite)) {
                return Err(served.scribbled()); // The adapter over there has looked at every number.
            }
        }
        Ok(())
    }

    fn mark(&mut self, row: usize) -> [String; 2] {
        let EvalCall { batch, p, form } = self;
        form.told(row..row + 1).into_iter().for_each(|out| out.fill(f64::NAN));
        let cells = row * *p..(row + 1) * *p;
        batch.loss[row] = f64::NAN;
        batch.ok[row] = false;
        let outputs = [batch.grad.as_deref_mut(), batch.hvp.as_mut().map(|(_, out)| &mut **out)];
        outputs.into_iter().flatten().for_each(|out| out[cells.clone()].fill(f64::NAN));
        let which = format!("row {row} of {} is marked as not finite", batch.loss.len());
        [which, format!(", at {}", position(&batch.theta[cells]))]
    }
}

/// The metrics of rows of `p` parameters, `columns` values each.
pub struct MetricsCall<'a> {
    pub split: Split,
    pub theta: &'a [f64],
    pub p: usize,
    pub values: &'a mut [f64],
    pub columns: usize,
}

impl RowCall for MetricsCall<'_> {
    fn call(&self) -> Call {
        Call::Metrics
    }

    fn count(&self) -> usize {
        self.theta.len() / self.p
    }

    fn ask(&mut self, served: &mut Served, rows: Range<usize>, cancel: &Cancel) -> Asked<()> {
        let theta = &self.theta[rows.start * self.p..rows.end * self.p];
        let values = &mut self.values[rows.start * self.columns..rows.end * self.columns];
        served.room(values.len())?;
        let arguments = [self.split as u64, rows.len() as u64, self.columns as u64];
        match served.ask(Call::Metrics, &arguments, &[words(theta)], cancel)? {
            Answer::Done => served.numbers(&mut [words_mut(values)]),
            _ => Err(served.scribbled()),
        }
    }

    fn mark(&mut self, row: usize) -> [String; 2] {
        let (p, columns) = (self.p, self.columns);
        self.values[row * columns..(row + 1) * columns].fill(f64::NAN);
        let which = format!("row {row} of {} has no metrics", self.count());
        [which, format!(", at {}", position(&self.theta[row * p..(row + 1) * p]))]
    }
}

/// The start of a seed; `theta` has room for it.
pub struct StartCall<'a> {
    pub seed: u64,
    pub theta: &'a mut [f64],
    /// Whether the backend has starts at all.
    pub given: bool,
}

impl RowCall for StartCall<'_> {
    fn call(&self) -> Call {
        Call::Start
    }

    fn count(&self) -> usize {
        1
    }

    fn ask(&mut self, served: &mut Served, _: Range<usize>, cancel: &Cancel) -> Asked<()> {
        served.room(self.theta.len())?;
        let answer = served.ask(Call::Start, &[self.seed], &[], cancel)?;
        self.given = matches!(answer, Answer::Done);
        match answer {
            Answer::Done => served.numbers(&mut [words_mut(self.theta)]),
            Answer::Nothing => Ok(()),
            Answer::Text(_) => Err(served.scribbled()),
        }
    }

    fn mark(&mut self, _: usize) -> [String; 2] {
        self.given = true;
        self.theta.fill(f64::NAN);
        [format!("seed {} has no start", self.seed), "; a search skips it".into()]
    }
}

pub fn words(values: &[f64]) -> &[u64] {
    bytemuck::cast_slice(values)
}

pub fn words_mut(values: &mut [f64]) -> &mut [u64] {
    bytemuck::cast_slice_mut(values)
}

/// Where a row lies, as far as a line has room for it.
fn position(theta: &[f64]) -> String {
    let mut first: Vec<String> = theta.iter().take(4).map(f64::to_string).collect();
    first.extend((theta.len() > 4).then(|| "...".to_owned()));
    format!("theta = {}", first.join(", "))
}
