//! What came back from an `eval`.

#![forbid(unsafe_code)]

use super::refusal::ErrorText;
use crate::check::judge::alike::RowValues;
use crate::check::verdict::{Outcome, fail};
use mountainpass_sdk::abi::{Status, status};
use std::time::{Duration, Instant};

/// What came back, whatever it is: a test says what it holds it to.
#[derive(Clone, Debug)]
pub struct EvalAnswer {
    /// As it came back.
    pub status: Status,
    /// What the error says.
    pub text: ErrorText,
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
    /// Parameters.
    pub(super) p: usize,
}

impl EvalAnswer {
    /// The number of rows.
    pub fn n(&self) -> usize {
        self.loss.len()
    }

    /// The numbers of a row.
    pub fn row(&self, row: usize) -> RowValues<'_> {
        let cells = row * self.p..(row + 1) * self.p;
        RowValues {
            row,
            status: self.row_status[row],
            loss: self.loss[row],
            grad: self.grad.get(cells.clone()).unwrap_or_default(),
            hvp: self.hvp.get(cells).unwrap_or_default(),
        }
    }

    /// The gradient of a row.
    pub fn grad(&self, row: usize) -> &[f64] {
        self.row(row).grad
    }

    /// The Hessian-vector product of a row.
    pub fn hvp(&self, row: usize) -> &[f64] {
        self.row(row).hvp
    }

    /// Fails unless the call was answered.
    pub fn accepted(self) -> Outcome<EvalAnswer> {
        match self.status {
            status::OK => Ok(self),
            code => Err(fail("status 0", format!("status {code}: {}", self.text.shown()))),
        }
    }

    /// Fails unless the call was answered with finite numbers in every row.
    pub fn numbers(self) -> Outcome<EvalAnswer> {
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
        self.row(row).flaw()
    }
}
