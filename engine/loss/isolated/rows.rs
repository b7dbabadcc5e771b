//! Calls that ask for rows: losses and derivatives, metrics, and the start of a seed, which is one row. A row that is
//! lost can be left out: its numbers are NaN then, and whoever asked knows what that means.

#![forbid(unsafe_code)]

use super::message::{BatchShape, Call};
use super::served::{Answer, Asked, Served};
use crate::error::Error;
use crate::loss::{Batch, Split};
use crate::run::Cancel;
use std::ops::Range;

/// A call for rows, which are asked for together and, where that is lost, one by one.
pub trait RowCall {
    /// Which it is.
    const CALL: Call;
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
}

impl RowCall for EvalCall<'_, '_> {
    const CALL: Call = Call::Eval;

    fn count(&self) -> usize {
        self.batch.loss.len()
    }

    fn ask(&mut self, served: &mut Served, rows: Range<usize>, cancel: &Cancel) -> Asked<()> {
        let EvalCall { batch, p } = self;
        let (n, p) = (rows.len(), *p);
        let (grad, hvp) = (batch.grad.is_some(), batch.hvp.is_some());
        let shape = BatchShape { n, p, ids: batch.ids.map(<[u64]>::len), grad, hvp };
        let (_, answered) = shape.words().ok_or_else(|| Error::Argument("a batch larger than any memory".into()))?;
        served.room(answered.iter().sum())?;
        let cells = rows.start * p..rows.end * p;
        let dir = batch.hvp.as_ref().map_or(&[][..], |(dir, _)| &dir[cells.clone()]);
        let asked = [words(&batch.theta[cells.clone()]), batch.ids.unwrap_or_default(), words(dir)];
        let Answer::Done = served.ask(Call::Eval, &shape.arguments(), &asked, cancel)? else {
            return Err(served.scribbled());
        };
        let mut fine = vec![0; n];
        let loss = &mut batch.loss[rows.clone()];
        let grad = batch.grad.as_deref_mut().map_or(&mut [][..], |grad| &mut grad[cells.clone()]);
        let hvp = batch.hvp.as_mut().map_or(&mut [][..], |(_, hvp)| &mut hvp[cells]);
        served.numbers(&mut [words_mut(loss), &mut fine, words_mut(grad), words_mut(hvp)])?;
        for (i, ok) in batch.ok[rows].iter_mut().enumerate() {
            *ok = fine[i] == 1;
            let finite = |values: &[f64]| values.iter().skip(i * p).take(p).all(|value| value.is_finite());
            if *ok && !(loss[i].is_finite() && finite(grad) && finite(hvp)) {
                return Err(served.scribbled()); // The adapter over there has looked at every number.
            }
        }
        Ok(())
    }

    fn mark(&mut self, row: usize) -> [String; 2] {
        let EvalCall { batch, p } = self;
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
    const CALL: Call = Call::Metrics;

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
    const CALL: Call = Call::Start;

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

fn words(values: &[f64]) -> &[u64] {
    bytemuck::cast_slice(values)
}

fn words_mut(values: &mut [f64]) -> &mut [u64] {
    bytemuck::cast_slice_mut(values)
}

/// Where a row lies, as far as a line has room for it.
fn position(theta: &[f64]) -> String {
    let mut first: Vec<String> = theta.iter().take(4).map(f64::to_string).collect();
    first.extend((theta.len() > 4).then(|| "...".to_owned()));
    format!("theta = {}", first.join(", "))
}
