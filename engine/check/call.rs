//! One `eval` as a test describes it, and what came back.

#![forbid(unsafe_code)]

use super::gate::Gate;
use super::memory::{Fence, Matrix, Region};
use super::verdict::{Outcome, fail, skip};
use crate::run::Cancel;
use mountainpass_sdk::abi::{self, Status, dtype, status};
use std::time::{Duration, Instant};

/// A call of `eval`: `Call::of(&theta)` asks for losses, the methods for more.
#[derive(Clone, Copy, Default)]
pub struct Call<'a> {
    /// `n x p` values, rounded to the element type they travel as.
    pub theta: &'a [f64],
    /// The chosen samples; `None` for all.
    pub ids: Option<&'a [u64]>,
    /// Whether gradients are wanted.
    pub grad: bool,
    /// Directions, `n x p`, where Hessian-vector products are wanted.
    pub dir: Option<&'a [f64]>,
    /// Theta as f32, even where f64 is offered.
    pub single: bool,
    /// Elements between the end of a row and the next one, in every matrix.
    pub gap: usize,
    /// [`Fence::Wall`]: every argument ends where a page ends, and inputs are on read-only pages.
    pub fence: Fence,
    /// The arguments are gone when the call has returned. Else they stay until the loss is closed.
    pub fleeting: bool,
    /// Hardly any memory is left for the time of the call.
    pub scarce: bool,
    /// Where the call waits for others at the last moment, so that they overlap.
    pub gate: Option<&'a Gate>,
    /// The token to poll; NULL without.
    pub cancel: Option<&'a Cancel>,
    /// The bytes of `mpass_eval` that exist, when they are not those of this checker's minor; a wall stands behind them.
    pub size: Option<usize>,
    /// Changes the record at the last moment: a call of a wrong shape.
    pub edit: Option<fn(&mut abi::Eval)>,
}

impl<'a> Call<'a> {
    /// The losses of `n x p` values.
    pub fn of(theta: &'a [f64]) -> Call<'a> {
        Call { theta, ..Call::default() }
    }

    /// And the gradients.
    pub fn grad(self) -> Call<'a> {
        Call { grad: true, ..self }
    }

    /// And the Hessian-vector products along directions, `n x p`.
    pub fn hvp(self, dir: &'a [f64]) -> Call<'a> {
        Call { dir: Some(dir), ..self }
    }

    /// Over these samples.
    pub fn ids(self, ids: &'a [u64]) -> Call<'a> {
        Call { ids: Some(ids), ..self }
    }

    /// With rows that many elements apart.
    pub fn gap(self, gap: usize) -> Call<'a> {
        Call { gap, ..self }
    }

    /// With walls behind every argument, and inputs read-only.
    pub fn walled(self) -> Call<'a> {
        Call { fence: Fence::Wall, ..self }
    }

    /// With nothing left of its arguments afterwards.
    pub fn fleeting(self) -> Call<'a> {
        Call { fleeting: true, ..self }
    }

    /// With a record of `mpass_eval` of another length.
    pub fn sized(self, size: usize) -> Call<'a> {
        Call { size: Some(size), ..self }
    }

    /// With a change to the record: a call of a wrong shape.
    pub fn edit(self, edit: fn(&mut abi::Eval)) -> Call<'a> {
        Call { edit: Some(edit), ..self }
    }

    /// With theta as f32.
    pub fn single(self) -> Call<'a> {
        Call { single: true, ..self }
    }

    /// With a token to poll.
    pub fn cancel(self, cancel: &'a Cancel) -> Call<'a> {
        Call { cancel: Some(cancel), ..self }
    }

    /// How the journal and messages call it, `n` being its rows.
    pub(super) fn title(&self, n: usize) -> String {
        let rows = if n == 1 { "1 row".to_owned() } else { format!("{n} rows") };
        let ids = self.ids.map_or(String::new(), |ids| format!(", {} ids", ids.len()));
        let grad = if self.grad { ", grad" } else { "" };
        let hvp = if self.dir.is_some() { ", hvp" } else { "" };
        let single = if self.single { ", f32" } else { "" };
        let gap = if self.gap > 0 { format!(", rows {} apart", self.gap) } else { String::new() };
        format!("eval ({rows}{ids}{grad}{hvp}{single}{gap})")
    }
}

/// What came back, whatever it is: a test says what it holds it to.
#[derive(Clone, Debug)]
pub struct Answer {
    /// As it came back.
    pub status: Status,
    /// What the error says.
    pub text: Text,
    /// `n` values; NaN where nothing was written.
    pub loss: Vec<f64>,
    /// `n x p`, empty when not asked for.
    pub grad: Vec<f64>,
    /// `n x p`, empty when not asked for.
    pub hvp: Vec<f64>,
    /// `n` codes, `MPASS_OK` preset.
    pub row_status: Vec<Status>,
    /// What outside the outputs was written to, as the end of "wrote ...".
    pub strayed: Option<String>,
    /// When the plugin was called.
    pub began: Instant,
    /// How long the call took.
    pub took: Duration,
    p: usize,
}

impl Answer {
    /// The number of rows.
    pub fn n(&self) -> usize {
        self.loss.len()
    }

    /// The gradient of a row.
    pub fn grad(&self, row: usize) -> &[f64] {
        &self.grad[row * self.p..(row + 1) * self.p]
    }

    /// The Hessian-vector product of a row.
    pub fn hvp(&self, row: usize) -> &[f64] {
        &self.hvp[row * self.p..(row + 1) * self.p]
    }

    /// Fails unless the call was answered.
    pub fn accepted(self) -> Outcome<Answer> {
        match self.status {
            status::OK => Ok(self),
            code => Err(fail("status 0", format!("status {code}: {}", self.text.shown()))),
        }
    }

    /// Fails unless the call was answered with finite numbers in every row.
    pub fn numbers(self) -> Outcome<Answer> {
        let answer = self.accepted()?;
        for row in 0..answer.n() {
            if let Some(text) = answer.flaw(row) {
                return Err(fail("finite numbers and row_status 0", text).at(row));
            }
        }
        Ok(answer)
    }

    /// True for a row that was computed: not flagged, and finite in all its outputs.
    pub fn good(&self, row: usize) -> bool {
        self.flaw(row).is_none()
    }

    /// What keeps a row from being good, in words.
    pub fn flaw(&self, row: usize) -> Option<String> {
        if self.row_status[row] != status::OK {
            return Some(format!("row_status {}", self.row_status[row]));
        }
        let cells = row * self.p..(row + 1) * self.p;
        let outputs = [
            ("loss", &self.loss[row..=row]),
            ("grad", self.grad.get(cells.clone()).unwrap_or_default()),
            ("hvp", self.hvp.get(cells).unwrap_or_default()),
        ];
        outputs.iter().find_map(|(name, values)| {
            let at = values.iter().position(|value| !value.is_finite())?;
            Some(if *name == "loss" {
                format!("loss {}", values[at])
            } else {
                format!("{name}[{at}] = {}", values[at])
            })
        })
    }
}

/// `mpass_error.text` as it was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// Nobody wrote to it.
    Untouched,
    /// No NUL within the field; what is there.
    Unterminated(String),
    /// Terminated, but no UTF-8.
    Foreign(String),
    /// As it should be; may be empty.
    Text(String),
}

impl Text {
    /// No text begins with it: it is no UTF-8.
    const PRESET: u8 = 0xFE;

    /// The memory for a status and a text, as a plugin is given it.
    pub(super) fn room() -> Outcome<Region> {
        let mut region = room(Region::new(size_of::<abi::Error>(), 0, Fence::Room))?;
        region.bytes_mut().fill(Text::PRESET);
        region.bytes_mut()[..4].fill(0);
        Ok(region)
    }

    /// What was written there.
    pub(super) fn of(region: &Region) -> Text {
        let text = &region.bytes()[4..];
        if text.iter().all(|&byte| byte == Text::PRESET) {
            return Text::Untouched;
        }
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match text.iter().position(|&byte| byte == 0) {
            None => Text::Unterminated(shown(text)),
            Some(end) => match std::str::from_utf8(&text[..end]) {
                Ok(text) => Text::Text(text.to_owned()),
                Err(_) => Text::Foreign(shown(&text[..end])),
            },
        }
    }

    /// The text, however it was left, in one line for a message.
    pub fn shown(&self) -> String {
        match self {
            Text::Untouched => "no text".into(),
            Text::Text(text) if text.is_empty() => "an empty text".into(),
            Text::Text(text) | Text::Foreign(text) | Text::Unterminated(text) => {
                let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
                line.chars().take(200).collect()
            }
        }
    }

    /// True if there is something to read.
    pub fn says_something(&self) -> bool {
        match self {
            Text::Untouched => false,
            Text::Text(text) | Text::Foreign(text) | Text::Unterminated(text) => !text.trim().is_empty(),
        }
    }
}

/// Memory for an argument, or a reason to skip.
pub(super) fn room<T>(memory: Option<T>) -> Outcome<T> {
    memory.ok_or_else(|| skip("this machine has not enough memory for the test"))
}

/// The memory of a call: what the record points to, and what is left of it afterwards.
pub(super) struct Arguments {
    theta: Matrix,
    ids: Option<Matrix>,
    dir: Option<Matrix>,
    loss: Matrix,
    grad: Option<Matrix>,
    hvp: Option<Matrix>,
    row_status: Matrix,
    double: bool,
    p: usize,
}

impl Arguments {
    /// Places the arguments of a call on a loss of `p` parameters.
    pub fn of(call: &Call<'_>, p: usize, double: bool) -> Outcome<Arguments> {
        let n = call.theta.len() / p.max(1);
        let Call { gap, fence, .. } = *call;
        let input = |values: &[f64]| match double {
            true => Matrix::input(values, p, gap, dtype::F64, fence),
            false => {
                let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
                Matrix::input(&values, p, gap, dtype::F32, fence)
            }
        };
        let output = || match double {
            true => Matrix::filled(f64::NAN, (n, p), gap, dtype::F64, fence),
            false => Matrix::filled(f32::NAN, (n, p), gap, dtype::F32, fence),
        };
        let ids = |ids: &[u64]| Matrix::input(ids, ids.len(), 0, dtype::U64, fence);
        Ok(Arguments {
            theta: room(input(call.theta))?,
            ids: call.ids.map(|chosen| room(ids(chosen))).transpose()?,
            dir: call.dir.map(|dir| room(input(dir))).transpose()?,
            loss: room(Matrix::filled(f64::NAN, (n, 1), 0, dtype::F64, fence))?,
            grad: call.grad.then(|| room(output())).transpose()?,
            hvp: call.dir.map(|_| room(output())).transpose()?,
            row_status: room(Matrix::filled(status::OK, (n, 1), 0, dtype::I32, fence))?,
            double,
            p,
        })
    }

    /// Takes them away for good; see [`Region::bury`].
    pub fn bury(self) {
        let some = [self.ids, self.dir, self.grad, self.hvp].into_iter().flatten();
        some.chain([self.theta, self.loss, self.row_status]).for_each(Matrix::bury);
    }

    /// The size of all of them, for a budget.
    pub fn weight(&self) -> usize {
        let some = [&self.ids, &self.dir, &self.grad, &self.hvp].into_iter().flatten();
        let all = some.chain([&self.theta, &self.loss, &self.row_status]);
        all.map(Matrix::weight).sum()
    }

    /// The record that leads to them.
    pub fn record(&self, call: &Call<'_>) -> abi::Eval {
        let view = |matrix: &Option<Matrix>| matrix.as_ref().map_or(abi::View::NONE, Matrix::view);
        let mut record = abi::Eval {
            struct_size: 0, // Stamped by the region.
            theta: self.theta.view(),
            ids: view(&self.ids),
            loss: self.loss.view().data.cast(),
            grad: view(&self.grad),
            dir: view(&self.dir),
            hvp: view(&self.hvp),
            row_status: self.row_status.view().data.cast(),
            cancel: call.cancel.map_or(std::ptr::null(), |cancel| std::ptr::from_ref(cancel.flag()).cast()),
            ..abi::Eval::zeroed()
        };
        if let Some(edit) = call.edit {
            edit(&mut record);
        }
        record
    }

    /// What a plugin left in them.
    pub fn answer(&self, status: Status, text: Text, (began, took): (Instant, Duration)) -> Answer {
        let widened = |matrix: &Option<Matrix>| match matrix {
            None => Vec::new(),
            Some(matrix) if self.double => matrix.read(),
            Some(matrix) => matrix.read::<f32>().into_iter().map(f64::from).collect(),
        };
        let outputs = [
            ("loss", Some(&self.loss)),
            ("grad", self.grad.as_ref()),
            ("hvp", self.hvp.as_ref()),
            ("row_status", Some(&self.row_status)),
        ];
        Answer {
            status,
            text,
            loss: self.loss.read(),
            grad: widened(&self.grad),
            hvp: widened(&self.hvp),
            row_status: self.row_status.read(),
            strayed: outputs.iter().find_map(|(name, matrix)| matrix.as_ref()?.strayed(name)),
            began,
            took,
            p: self.p,
        }
    }
}
