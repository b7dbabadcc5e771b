//! One batch through a backend's `eval`: rounding in, widening out, and every number looked at on the way.
//!
//! Inputs that are f64 already travel in place. Outputs are written to buffers of our own, filled with NaN so that
//! what a backend forgets to write is noticed, and copied while they are checked.

use super::foreign::{self, Output};
use super::loss::{Batch, Info};
use super::table::Handle;
use crate::error::{Error, Result};
use crate::machine::memory::{self, Shortage};
use mountainpass_sdk::Scalar;
use mountainpass_sdk::abi::{self, Status, status};
use std::ops::Range;

/// What the engine itself asks for: shapes, capabilities, sample ids.
pub(super) fn check(info: &Info, batch: &Batch<'_>) -> Result<()> {
    let (n, p) = (batch.loss.len(), info.params);
    let unsupported = |text: &str| Error::Unsupported { backend: info.backend.clone(), text: text.into() };
    let cells = |name: &str, len: usize, each: usize| match n.checked_mul(each) {
        Some(needed) if needed == len => Ok(()),
        _ => Err(Error::Argument(format!("{name} has {len} values where {n} rows of {each} are needed"))),
    };
    cells("theta", batch.theta.len(), p)?;
    cells("ok", batch.ok.len(), 1)?;
    if let Some(grad) = &batch.grad {
        if !info.caps.grad {
            return Err(unsupported("the loss has no gradient (MPASS_CAP_GRAD is not claimed)"));
        }
        cells("grad", grad.len(), p)?;
    }
    if let Some((dir, out)) = &batch.hvp {
        if !info.caps.hvp {
            return Err(unsupported("the loss has no Hessian-vector product (MPASS_CAP_HVP is not claimed)"));
        }
        cells("dir", dir.len(), p)?;
        cells("hvp", out.len(), p)?;
    }
    match batch.ids {
        None => Ok(()),
        Some(_) if !info.caps.minibatch => {
            Err(unsupported("the loss cannot be taken over chosen samples (MPASS_CAP_MINIBATCH is not claimed)"))
        }
        Some([]) => Err(Error::Argument("a loss over no samples has no value: ids is empty".into())),
        Some(ids) => match ids.iter().find(|&&id| id >= info.samples) {
            Some(id) => Err(Error::Argument(format!("sample {id} of a data set of {}", info.samples))),
            None => Ok(()),
        },
    }
}

/// Why a batch has no numbers.
pub(super) enum EvalFault {
    /// A promise was broken; the end of a sentence.
    Broken(String),
    /// Something else.
    Failed(Error),
}

impl From<String> for EvalFault {
    fn from(text: String) -> EvalFault {
        EvalFault::Broken(text)
    }
}

/// Numbers of the rows of one call, unless these are few.
const NEAR: usize = 1 << 22;
/// Rows that are not too many for one call, however long they are.
const ROWS: usize = 16;

/// The name of a slot, and the call of it with a record that is whole for the call.
pub(super) type Slot<'a> = (&'static str, &'a dyn Fn(*const abi::Eval, *mut abi::Error) -> Status);

/// Inputs as the backend takes them and outputs as it writes them; kept, so that only the first call allocates.
pub(super) struct Buffers<T> {
    pub theta: Vec<T>,
    dir: Vec<T>,
    loss: Output<f64>,
    grad: Output<T>,
    hvp: Output<T>,
    status: Output<Status>,
}

/// Rounds to the backend's element type; f64 travels as it is.
pub(super) fn input<'a, T: Scalar>(values: &'a [f64], room: &'a mut Vec<T>) -> std::result::Result<&'a [T], Shortage> {
    if T::DTYPE == abi::dtype::F64 {
        return Ok(bytemuck::cast_slice(values));
    }
    room.clear();
    memory::reserve(room, values.len())?;
    room.extend(values.iter().map(|&value| T::from_f64(value)));
    Ok(room)
}

/// Widens into the engine's memory; the first entry that is not finite, if any.
fn output<T: Scalar>(values: &[T], out: &mut [f64]) -> Option<usize> {
    let mut finite = true;
    for (out, value) in out.iter_mut().zip(values) {
        *out = value.to_f64();
        finite &= out.is_finite();
    }
    if finite { None } else { out.iter().position(|value| !value.is_finite()) }
}

impl<T: Scalar> Buffers<T> {
    pub fn new() -> Buffers<T> {
        const CANARY: f64 = -2.468e-29; // In range of f32, and no loss or derivative by chance.
        Buffers {
            theta: Vec::new(),
            dir: Vec::new(),
            loss: Output::new(CANARY),
            grad: Output::new(T::from_f64(CANARY)),
            hvp: Output::new(T::from_f64(CANARY)),
            status: Output::new(-0x5afe),
        }
    }

    /// Evaluates a checked batch by the table's `eval`.
    pub fn eval(&mut self, handle: &Handle, info: &Info, batch: &mut Batch<'_>) -> std::result::Result<(), EvalFault> {
        let plugin = &handle.plugin;
        // SAFETY: a live handle, one call at a time; the record is a call's (`rows`).
        self.eval_by(handle, info, batch, &("eval", &|call, err| unsafe { (plugin.eval)(handle.raw, call, err) }))
    }

    /// Evaluates a checked batch by a slot that takes an `mpass_eval`, in calls of at most `rows_max` rows, and of not many more numbers than stay near: what is
    /// copied of long rows then goes through memory that is there already.
    pub fn eval_by(
        &mut self,
        handle: &Handle,
        info: &Info,
        batch: &mut Batch<'_>,
        slot: &Slot<'_>,
    ) -> std::result::Result<(), EvalFault> {
        let n = batch.loss.len();
        let near = (NEAR / info.params.max(1)).max(info.rows_best).max(ROWS);
        let most = if info.rows_max == 0 { near } else { info.rows_max.min(near) };
        let rows = |first: usize| first..n.min(first + most);
        (0..n).step_by(most).try_for_each(|first| self.rows((handle, slot), info.params, batch, rows(first)))
    }

    /// Evaluates some of a batch's rows in one call.
    fn rows(
        &mut self,
        (handle, (name, slot)): (&Handle, &Slot<'_>),
        p: usize,
        batch: &mut Batch<'_>,
        rows: Range<usize>,
    ) -> std::result::Result<(), EvalFault> {
        let n = rows.len();
        let cells = rows.start * p..rows.end * p;
        let nan = T::from_f64(f64::NAN);
        let plugin = &handle.plugin;
        let short = |shortage| EvalFault::Failed(plugin.short(name, shortage));
        let theta = input(&batch.theta[cells.clone()], &mut self.theta).map_err(short)?;
        let dir = batch.hvp.as_ref().map(|(dir, _)| input(&dir[cells.clone()], &mut self.dir));
        let dir = dir.transpose().map_err(short)?;
        let given = |values: &[T]| foreign::view(values.as_ptr().cast_mut().cast(), n, p, T::DTYPE);
        let wanted = |out: &mut Output<T>, yes: bool| match yes {
            true => out.open(n * p, nan).map(|room| foreign::view(room.cast(), n, p, T::DTYPE)).map_err(short),
            false => Ok(abi::View::NONE),
        };
        let call = abi::Eval {
            struct_size: abi::Eval::SIZE,
            theta: given(theta),
            ids: batch.ids.map_or(abi::View::NONE, |ids| {
                foreign::view(ids.as_ptr().cast_mut().cast(), 1, ids.len(), abi::dtype::U64)
            }),
            loss: self.loss.open(n, f64::NAN).map_err(short)?,
            grad: wanted(&mut self.grad, batch.grad.is_some())?,
            dir: dir.map_or(abi::View::NONE, given),
            hvp: wanted(&mut self.hvp, dir.is_some())?,
            row_status: self.status.open(n, status::OK).map_err(short)?,
            cancel: std::ptr::from_ref(batch.cancel.flag()).cast(),
            ..abi::Eval::zeroed()
        };
        // Every view covers n x p elements and outlives the call.
        let answer = plugin.call(name, |err| slot(&raw const call, err));
        // Canaries first: an overrun is worth knowing of a call that failed, too.
        let (loss, status) = (self.loss.close("loss")?, self.status.close("row_status")?);
        let grad = batch.grad.is_some().then(|| self.grad.close("grad")).transpose()?;
        let hvp = dir.map(|_| self.hvp.close("hvp")).transpose()?;
        answer.map_err(EvalFault::Failed)?;

        let answered = Answered { p, theta, dir, loss, status, grad, hvp };
        rows.enumerate().try_for_each(|(i, row)| answered.take(i, row, batch))
    }
}

/// What one call was given and has answered, rows behind each other.
struct Answered<'a, T> {
    p: usize,
    theta: &'a [T],
    dir: Option<&'a [T]>,
    loss: &'a [f64],
    status: &'a [Status],
    grad: Option<&'a [T]>,
    hvp: Option<&'a [T]>,
}

impl<T: Scalar> Answered<'_, T> {
    /// Copies the answer for its row `i` to `row` of the batch, and judges it.
    fn take(&self, i: usize, row: usize, batch: &mut Batch<'_>) -> std::result::Result<(), EvalFault> {
        let (p, total) = (self.p, batch.loss.len());
        let (near, far) = (i * p..(i + 1) * p, row * p..(row + 1) * p);
        let fault = |text: String| EvalFault::Broken(format!("row {row} of {total}: {text}"));
        let mut bad = None; // The first output that is not finite, by name and value.
        batch.loss[row] = self.loss[i];
        if !self.loss[i].is_finite() {
            bad = Some(format!("loss is {}", self.loss[i]));
        }
        let mut copy = |name: &str, values: Option<&[T]>, out: Option<&mut [f64]>| {
            if let (Some(values), Some(out)) = (values, out) {
                let out = &mut out[far.clone()];
                if let Some(at) = output(&values[near.clone()], out) {
                    bad.get_or_insert_with(|| format!("{name}[{at}] is {}", out[at]));
                }
            }
        };
        copy("grad", self.grad, batch.grad.as_deref_mut());
        copy("hvp", self.hvp, batch.hvp.as_mut().map(|(_, out)| &mut **out));
        // A row that was not finite on the way in may come out as it likes.
        let senseless = |values: &[T]| values[near.clone()].iter().any(|value| !value.to_f64().is_finite());
        batch.ok[row] = match (self.status[i], bad) {
            (status::OK, None) => true,
            (status::NUMERIC, _) => false,
            (status::OK, Some(_)) if senseless(self.theta) || self.dir.is_some_and(senseless) => false,
            (status::OK, Some(text)) => return Err(fault(format!("{text} but row_status is 0"))),
            (code, _) => return Err(fault(format!("row_status is {code}, neither 0 nor MPASS_E_NUMERIC"))),
        };
        if !batch.ok[row] {
            batch.loss[row] = f64::NAN;
            batch.grad.iter_mut().for_each(|out| out[far.clone()].fill(f64::NAN));
            batch.hvp.iter_mut().for_each(|(_, out)| out[far.clone()].fill(f64::NAN));
        }
        Ok(())
    }
}
