//! A loss: opened, evaluated on batches of rows, described, explored (`landscape.rs`).

use super::argument::{check_output, handle, ids, options, out_pointer, read_rows, text, write_rows};
use super::barrier::{Exclusive, give, take};
use super::engine::Engine;
use super::hooks::Hooks;
use super::request::Request;
use crate::error::{Error, Result};
use crate::loss::{Batch, Info};
use crate::run::Cancel;
use mountainpass_sdk::abi::{self, Eval, LossInfo, Open, dtype, memory, status};
use std::ffi::c_char;
use std::sync::Arc;

/// `mpass_loss`.
pub struct Loss {
    info: LossInfo,
    pub(super) state: Exclusive<LossState>,
}

/// The part of a loss that one call at a time works on.
pub struct LossState {
    pub(super) loss: Box<dyn crate::loss::Loss>,
    /// The model as it was asked for; empty where there was none.
    pub(super) model: String,
    pub(super) hooks: Arc<Hooks>,
    buffers: Buffers,
}

/// Buffers of `mpass_loss_eval`, kept, so that only the first call allocates.
#[derive(Default)]
struct Buffers {
    theta: Vec<f64>,
    dir: Vec<f64>,
    loss: Vec<f64>,
    grad: Vec<f64>,
    hvp: Vec<f64>,
    ok: Vec<bool>,
}

impl Loss {
    fn new(loss: Box<dyn crate::loss::Loss>, model: String, hooks: Arc<Hooks>) -> Loss {
        let info = record(loss.info());
        Loss { info, state: Exclusive::new("loss", LossState { loss, model, hooks, buffers: Buffers::default() }) }
    }
}

/// What the engine knows of a loss, for callers: it takes either element type and passes on what the backend wants.
fn record(info: &Info) -> LossInfo {
    LossInfo {
        struct_size: LossInfo::SIZE,
        caps: info.caps.bits(),
        params: info.params as u64,
        samples: info.samples,
        rows_best: info.rows_best as u64,
        rows_max: 0, // Larger batches are split.
        dtypes: 1 << dtype::F32 | 1 << dtype::F64,
        memories: 1 << memory::HOST | 1 << memory::HOST_PINNED,
        noise: info.noise,
    }
}

export! {
    /// Opens a loss.
    fn mpass_loss_open(engine: *mut Engine, backend: *const c_char, request: *const Open, out: *mut *mut Loss) {
        let out = out_pointer(out, "out")?;
        // SAFETY: the caller's handle.
        let engine = unsafe { handle(engine, "engine") }?.lock()?;
        // SAFETY: the caller's text.
        let backend = unsafe { text(backend, "backend") }?;
        // SAFETY: NULL or the caller's request.
        let request = unsafe { Request::read(request) }?;
        // SAFETY: this is still the call that the request was handed to.
        let loss = engine.registry.open(&backend, &unsafe { request.borrow() }, engine.pool.clone())?;
        // SAFETY: checked above.
        unsafe { give(out, Loss::new(loss, request.model.clone(), engine.hooks.clone())) };
        Ok(())
    }
}

export! {
    /// Computes a batch of rows.
    fn mpass_loss_eval(loss: *mut Loss, call: *const Eval) {
        // SAFETY: the caller's handle.
        let mut opened = unsafe { handle(loss, "loss") }?.state.lock()?;
        let LossState { loss, buffers, .. } = &mut *opened;
        // SAFETY: the caller's batch.
        unsafe { buffers.eval(&mut **loss, call) }
    }
}

export! {
    /// What a loss is.
    fn mpass_loss_get_info(loss: *const Loss) -> *const LossInfo, else std::ptr::null(); {
        // SAFETY: the caller's handle.
        let loss = unsafe { handle(loss, "loss") }?;
        loss.state.check()?;
        Ok(&raw const loss.info)
    }
}

export! {
    /// Closes and frees a loss.
    fn mpass_loss_free(loss: *mut Loss) -> (), else (); {
        // SAFETY: the caller gives it up.
        unsafe { take(loss) };
        Ok(())
    }
}

impl Buffers {
    /// # Safety
    /// `call` is NULL or a batch whose views are what they say.
    unsafe fn eval(&mut self, loss: &mut dyn crate::loss::Loss, call: *const Eval) -> Result<()> {
        out_pointer(call.cast_mut(), "call")?;
        // SAFETY: forwarded, here and below.
        let call = unsafe { options(call, Eval::zeroed(), "mpass_eval") }?;
        let (n, p) = (call.theta.rows as usize, loss.info().params);
        if call.reserved != 0 || !call.stream.is_null() {
            return Err(Error::Argument(
                "mpass_eval: reserved must be 0 and stream NULL: all memory is the host's".into(),
            ));
        }
        if call.theta.cols != p as u64 {
            return Err(Error::Argument(format!("theta has {} columns, and the loss {p} parameters", call.theta.cols)));
        }
        out_pointer(call.loss, "mpass_eval.loss")?;
        let wanted = |view: &abi::View, name| match view.data.is_null() {
            true => Ok(false),
            false => check_output(view, n, p, name).map(|()| true),
        };
        let (grad, hvp) = (wanted(&call.grad, "grad")?, wanted(&call.hvp, "hvp")?);
        if hvp == call.dir.data.is_null() {
            return Err(Error::Argument("dir and hvp belong together: one of them is NULL".into()));
        }
        self.theta.clear();
        self.dir.clear();
        // SAFETY: as above.
        unsafe { read_rows(&call.theta, "theta", &mut self.theta) }?;
        if hvp {
            check_output(&call.dir, n, p, "dir")?;
            // SAFETY: as above.
            unsafe { read_rows(&call.dir, "dir", &mut self.dir) }?;
        }
        // SAFETY: as above.
        let ids = unsafe { ids(&call.ids, "ids") }?;
        // SAFETY: NULL or a live token, as mpass_loss_eval asks.
        let cancel = unsafe { call.cancel.cast::<Cancel>().as_ref() }.cloned().unwrap_or_default();
        if cancel.fired() {
            return Err(Error::Cancelled);
        }
        for (buffer, each, wanted) in [(&mut self.loss, 1, true), (&mut self.grad, p, grad), (&mut self.hvp, p, hvp)] {
            buffer.clear();
            buffer.resize(if wanted { n * each } else { 0 }, f64::NAN);
        }
        self.ok.clear();
        self.ok.resize(n, true);
        loss.eval(Batch {
            theta: &self.theta,
            ids: ids.as_deref(),
            loss: &mut self.loss,
            grad: grad.then_some(&mut self.grad),
            hvp: hvp.then_some((&self.dir, &mut self.hvp)),
            ok: &mut self.ok,
            cancel: &cancel,
        })?;
        for (i, (&value, &ok)) in self.loss.iter().zip(&self.ok).enumerate() {
            let (value, status) = if ok { (value, status::OK) } else { (f64::NAN, status::NUMERIC) };
            // SAFETY: mpass_eval.loss, "out n".
            unsafe { call.loss.wrapping_add(i).write_unaligned(value) };
            if !call.row_status.is_null() {
                // SAFETY: mpass_eval.row_status, "out n".
                unsafe { call.row_status.wrapping_add(i).write_unaligned(status) };
            }
        }
        if grad {
            // SAFETY: the caller's memory, of the shape checked above.
            unsafe { write_rows(&call.grad, &self.grad) };
        }
        if hvp {
            // SAFETY: as above.
            unsafe { write_rows(&call.hvp, &self.hvp) };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capi::abi::Hooks as RawHooks;
    use crate::loss::closed_form::ClosedForm;

    #[test]
    #[allow(clippy::multiple_unsafe_ops_per_block, reason = "a caller's program, one call after the other")]
    fn a_loss_that_panicked_answers_poisoned_to_everything_but_free() {
        let panics = |_: &[f64], _: &mut [f64]| std::panic::resume_unwind(Box::new(()));
        let loss = Box::new(ClosedForm::new(1, None, panics));
        let loss = Box::into_raw(Box::new(Loss::new(loss, String::new(), Hooks::new(RawHooks::zeroed()))));
        let (mut theta, mut value) = ([1.0], 5.0);
        let theta = abi::View {
            data: theta.as_mut_ptr().cast(),
            rows: 1,
            cols: 1,
            row_stride: 1,
            dtype: dtype::F64,
            ..abi::View::NONE
        };
        let call = Eval { struct_size: Eval::SIZE, theta, loss: &raw mut value, ..Eval::zeroed() };
        // SAFETY: a live loss and a batch of one row.
        unsafe {
            assert!(!mpass_loss_get_info(loss).is_null());
            assert_eq!(mpass_loss_eval(loss, &raw const call), status::INTERNAL);
            assert_eq!(mpass_loss_eval(loss, &raw const call), status::POISONED);
            assert!(mpass_loss_get_info(loss).is_null());
            let text = (*crate::capi::mpass_last_error()).message();
            assert_eq!(text, "this loss failed inside the library before: only free it");
            mpass_loss_free(loss);
        }
        assert_eq!(value, 5.0);
    }
}
