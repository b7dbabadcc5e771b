//! Where the arguments of an `eval` lie, and for how long.

#![forbid(unsafe_code)]

use super::answer::EvalAnswer;
use super::call::Call;
use super::matrix::GuardedMatrix;
use super::refusal::ErrorText;
use super::region::GuardedRegion;
use crate::check::verdict::Outcome;
use mountainpass_sdk::abi::{self, Status, dtype, status};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The memory of a call: what the record points to, and what is left of it afterwards.
pub struct EvalMemory {
    theta: GuardedMatrix,
    ids: Option<GuardedMatrix>,
    dir: Option<GuardedMatrix>,
    loss: GuardedMatrix,
    grad: Option<GuardedMatrix>,
    hvp: Option<GuardedMatrix>,
    row_status: GuardedMatrix,
    double: bool,
    p: usize,
}

impl EvalMemory {
    /// Places the arguments of a call on a loss of `p` parameters.
    pub fn of(call: &Call<'_>, p: usize, double: bool) -> Outcome<EvalMemory> {
        let n = call.theta.len() / p.max(1);
        let Call { gap, fence, .. } = *call;
        let input = |values: &[f64]| match double {
            true => GuardedMatrix::input(values, p, gap, dtype::F64, fence),
            false => {
                let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
                GuardedMatrix::input(&values, p, gap, dtype::F32, fence)
            }
        };
        let output = || match double {
            true => GuardedMatrix::filled(f64::NAN, (n, p), gap, dtype::F64, fence),
            false => GuardedMatrix::filled(f32::NAN, (n, p), gap, dtype::F32, fence),
        };
        let ids = |ids: &[u64]| GuardedMatrix::input(ids, ids.len(), 0, dtype::U64, fence);
        Ok(EvalMemory {
            theta: input(call.theta)?,
            ids: call.ids.map(ids).transpose()?,
            dir: call.dir.map(input).transpose()?,
            loss: GuardedMatrix::filled(f64::NAN, (n, 1), 0, dtype::F64, fence)?,
            grad: call.grad.then(output).transpose()?,
            hvp: call.dir.map(|_| output()).transpose()?,
            row_status: GuardedMatrix::filled(status::OK, (n, 1), 0, dtype::I32, fence)?,
            double,
            p,
        })
    }

    /// Takes them away for good; see [`GuardedRegion::bury`].
    pub fn bury(self) {
        let some = [self.ids, self.dir, self.grad, self.hvp].into_iter().flatten();
        some.chain([self.theta, self.loss, self.row_status]).for_each(GuardedMatrix::bury);
    }

    /// The size of all of them, for a budget.
    pub fn weight(&self) -> usize {
        let some = [&self.ids, &self.dir, &self.grad, &self.hvp].into_iter().flatten();
        let all = some.chain([&self.theta, &self.loss, &self.row_status]);
        all.map(GuardedMatrix::weight).sum()
    }

    /// The record that leads to them.
    pub fn record(&self, call: &Call<'_>) -> abi::Eval {
        let view = |matrix: &Option<GuardedMatrix>| matrix.as_ref().map_or(abi::View::NONE, GuardedMatrix::view);
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
    pub fn answer(&self, status: Status, text: ErrorText, (began, took): (Instant, Duration)) -> EvalAnswer {
        let widened = |matrix: &Option<GuardedMatrix>| match matrix {
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
        EvalAnswer {
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

/// The arguments of past calls, kept so that a plugin that kept a pointer is found by the test that looks for it and
/// not by all others. The oldest go when there are too many.
#[derive(Default)]
pub struct Attic {
    calls: VecDeque<(EvalMemory, GuardedRegion)>,
    bytes: usize,
}

/// What the attic may hold.
const ATTIC: usize = 256 << 20;

impl Attic {
    /// Keeps the arguments of a call, and the record that led to them.
    pub fn keep(&mut self, arguments: EvalMemory, record: GuardedRegion) {
        self.bytes += arguments.weight();
        self.calls.push_back((arguments, record));
        while self.bytes > ATTIC {
            let Some((oldest, _)) = self.calls.pop_front() else { break };
            self.bytes -= oldest.weight();
        }
    }
}
