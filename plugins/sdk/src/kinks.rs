//! The slots of `mountainpass.kinks/1`: kinks told, and the smooth losses round them evaluated.
//!
//! Outputs are as long as the caller says, whatever the author's code answers; ids and slopes are refused here where they
//! make no sense, so that an author sees ascending ids and finite slopes only.

use crate::batch::Eval;
use crate::handle::Handle;
use crate::loss::{Backend, Figures, Loss, Slope};
use crate::table::Table;
use crate::{Error, Matrix, abi};
use abi::Status;
use std::ffi::c_void;

impl<B: Backend> Table<B> {
    pub(crate) const KINKS: &'static abi::ExtKinks = &abi::ExtKinks {
        struct_size: abi::ExtKinks::SIZE,
        reserved: 0,
        count: Some(Self::kinks),
        eval_smoothed: Some(Self::eval_smoothed),
        near: Some(Self::kinks_near),
        eval_linear: Some(Self::eval_linear),
        rows: Some(Self::kink_rows),
    };

    unsafe extern "C" fn kinks(loss: *const c_void, out: *mut u64, err: *mut abi::Error) -> Status {
        let body = |handle: &Handle<B::Loss>| {
            let count = handle.loss.kinks()?;
            // SAFETY: out is the caller's memory.
            unsafe { out.write(count) };
            Ok(())
        };
        // SAFETY: a live handle; err is the caller's memory.
        unsafe { Self::with(loss, err, body) }
    }

    unsafe extern "C" fn eval_smoothed(
        loss: *mut c_void,
        eps: f64,
        raw: *const abi::Eval,
        err: *mut abi::Error,
    ) -> Status {
        let body = |handle: &Handle<B::Loss>| {
            if !(eps > 0.0 && eps.is_finite()) {
                return Err(Error::argument(format!("eps is {eps}, expected a width above 0")));
            }
            // SAFETY: an mpass_eval, as for eval.
            match unsafe { asked(raw, handle) }? {
                Some(eval) => handle.loss.eval_smoothed(eps, eval),
                None => Ok(()),
            }
        };
        // SAFETY: a live handle; err is the caller's memory.
        unsafe { Self::with(loss, err, body) }
    }

    unsafe extern "C" fn kinks_near(
        loss: *mut c_void,
        theta: *const f64,
        width: f64,
        out: *mut abi::Kink,
        room: u64,
        count: *mut u64,
        err: *mut abi::Error,
    ) -> Status {
        let body = |handle: &Handle<B::Loss>| {
            // SAFETY: "theta (p values)".
            let theta = unsafe { slice(theta, handle.records.info.params as usize, "theta") }?;
            let found = handle.loss.kinks_near(handle.host(), theta, width)?;
            let room = if out.is_null() { 0 } else { room };
            let written = found.len().min(usize::try_from(room).unwrap_or(usize::MAX));
            for (i, kink) in found[..written].iter().enumerate() {
                let record = abi::Kink { id: kink.id, z: kink.z, alpha: kink.alpha, delta: kink.delta };
                // SAFETY: "the first `room` of them are written".
                unsafe { out.wrapping_add(i).write(record) };
            }
            // SAFETY: count is the caller's memory.
            unsafe { count.write(found.len() as u64) };
            Ok(())
        };
        // SAFETY: a live handle; err is the caller's memory.
        unsafe { Self::with(loss, err, body) }
    }

    unsafe extern "C" fn eval_linear(
        loss: *mut c_void,
        slopes: *const abi::Slope,
        n: u64,
        raw: *const abi::Eval,
        z: *mut f64,
        delta: *mut f64,
        err: *mut abi::Error,
    ) -> Status {
        let body = |handle: &Handle<B::Loss>| {
            // SAFETY: "n slopes given".
            let slopes = unsafe { read(slopes, n) }?;
            // SAFETY: an mpass_eval, as for eval.
            let Some(eval) = (unsafe { asked(raw, handle) })? else { return Ok(()) };
            let cells = eval.n().checked_mul(slopes.len()).ok_or_else(|| Error::argument("more slopes than fit"))?;
            // SAFETY: "z and delta of these kinks, rows x n, where not NULL".
            let figures =
                |out: *mut f64| (!out.is_null()).then(|| unsafe { std::slice::from_raw_parts_mut(out, cells) });
            let figures = Figures { z: figures(z), delta: figures(delta) };
            handle.loss.eval_linear(&slopes, eval, figures)
        };
        // SAFETY: a live handle; err is the caller's memory.
        unsafe { Self::with(loss, err, body) }
    }

    unsafe extern "C" fn kink_rows(
        loss: *mut c_void,
        theta: *const f64,
        slopes: *const abi::Slope,
        n: u64,
        out: *mut f64,
        err: *mut abi::Error,
    ) -> Status {
        let body = |handle: &Handle<B::Loss>| {
            let p = handle.records.info.params as usize;
            // SAFETY: p values.
            let theta = unsafe { slice(theta, p, "theta") }?;
            // SAFETY: "the n kinks".
            let slopes = unsafe { read(slopes, n) }?;
            if slopes.is_empty() {
                return Ok(());
            }
            if out.is_null() {
                return Err(Error::argument("out is missing"));
            }
            let cells = slopes.len().checked_mul(p).ok_or_else(|| Error::argument("more rows than fit"))?;
            // SAFETY: "n x p".
            let out = unsafe { std::slice::from_raw_parts_mut(out, cells) };
            handle.loss.kink_rows(handle.host(), theta, &slopes, out)
        };
        // SAFETY: a live handle; err is the caller's memory.
        unsafe { Self::with(loss, err, body) }
    }
}

/// A call of the C table on all samples in f64; `None` where there are no rows.
///
/// # Safety
/// `raw` obeys the contract of `mpass_eval` for the duration of 'a.
unsafe fn asked<L: Loss>(raw: *const abi::Eval, handle: &Handle<L>) -> Result<Option<Eval<'_>>, Error> {
    // SAFETY: an mpass_eval says how large it is (THE SIZE RULE).
    let raw = unsafe { abi::sized(raw, abi::Eval::zeroed()) };
    // SAFETY: forwarded.
    let eval = unsafe { Eval::from_abi(&raw, &handle.records.info, handle.host()) }?;
    match &eval {
        Some(Eval { ids: Some(_), .. }) => Err(Error::argument("kinks are those of all samples: ids is given")),
        Some(Eval { theta: Matrix::F32(_), .. }) => Err(Error::argument("kinks are told in f64: theta is f32")),
        _ => Ok(eval),
    }
}

/// # Safety
/// `from` is NULL or points to `count` values that stay for 'a.
unsafe fn slice<'a>(from: *const f64, count: usize, name: &str) -> Result<&'a [f64], Error> {
    match from.is_null() {
        true => Err(Error::argument(format!("{name} is missing"))),
        // SAFETY: forwarded.
        false => Ok(unsafe { std::slice::from_raw_parts(from, count) }),
    }
}

/// Slopes in the order of their ids, each kink once.
///
/// # Safety
/// `from` points to `n` slopes.
unsafe fn read(from: *const abi::Slope, n: u64) -> Result<Vec<Slope>, Error> {
    if n > 0 && from.is_null() {
        return Err(Error::argument("slopes are missing"));
    }
    // SAFETY: forwarded.
    let one = |i: u64| unsafe { from.wrapping_add(i as usize).read() };
    let slopes: Vec<Slope> = (0..n).map(one).map(|raw| Slope { id: raw.id, t: raw.t }).collect();
    if let Some(pair) = slopes.windows(2).find(|pair| pair[0].id >= pair[1].id) {
        return Err(Error::argument(format!("slopes of kinks {} and {}: ids must ascend", pair[0].id, pair[1].id)));
    }
    match slopes.iter().find(|slope| !slope.t.is_finite()) {
        Some(slope) => Err(Error::argument(format!("the slope of kink {} is {}", slope.id, slope.t))),
        None => Ok(slopes),
    }
}
