//! An open loss of the plugin under test: what it says about itself, and evaluations.
//!
//! What its extensions say is asked for in `extensions.rs`; `points.rs` has what most tests begin with.

use super::answer::EvalAnswer;
use super::call::Call;
use super::eval_memory::{Attic, EvalMemory};
use super::host::Host;
use super::journal::Journal;
use super::open_call::PackedCall;
use super::process::Scarcity;
use super::refusal::ErrorText;
use super::region::{Fence, GuardedRegion};
use crate::check::verdict::{Outcome, fail, skip};
use crate::loss::extension::Extensions;
use crate::loss::foreign;
use crate::loss::table::Handle;
use mountainpass_sdk::abi::{self, cap, dtype, status};
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

/// So many vectors of p values a test may hold at a time.
const GRADIENTS: u64 = 8;

/// An open loss; dropping it closes it, unless its last call failed: closing it then is what errors.close is about. Its
/// methods take `&self`, so that a test may call from several threads: which calls may overlap is for the test to know.
pub struct OpenLoss<'a> {
    pub(super) journal: &'a Journal,
    handle: Option<Handle>,
    pub(super) raw: *mut c_void,
    pub(super) host: Arc<Host>,
    pub(super) extensions: Extensions,
    info: OnceLock<abi::LossInfo>,
    attic: Mutex<Attic>,
    /// The last call failed.
    spoiled: AtomicBool,
    request: Option<PackedCall>,
}

// SAFETY: the handle is a pointer that the plugin gave; which thread may use it when is what tests are about.
unsafe impl Send for OpenLoss<'_> {}
// SAFETY: as above.
unsafe impl Sync for OpenLoss<'_> {}

impl<'a> OpenLoss<'a> {
    /// A loss that the plugin has opened on a host; what it was opened with is kept as long as it, unless it is gone.
    pub(super) fn new(
        journal: &'a Journal,
        handle: Handle,
        host: Arc<Host>,
        extensions: Extensions,
        request: Option<PackedCall>,
    ) -> OpenLoss<'a> {
        let raw = handle.raw;
        let (info, attic, spoiled) = (OnceLock::new(), Mutex::default(), AtomicBool::new(false));
        OpenLoss { journal, handle: Some(handle), raw, host, extensions, info, attic, spoiled, request }
    }

    /// The host it was opened on.
    pub fn host(&self) -> &Host {
        &self.host
    }

    pub(super) fn handle(&self) -> Outcome<&Handle> {
        self.handle.as_ref().ok_or_else(|| skip("the loss is closed"))
    }

    /// Asks for the info anew; `Err` where it cannot be read.
    pub fn read_info(&self) -> Outcome<abi::LossInfo> {
        let handle = self.handle()?;
        let _lane = self.journal.enter("info");
        // SAFETY: a live handle.
        let raw = unsafe { (handle.plugin.info)(self.raw) };
        // SAFETY: mpass_loss_info, "plugin-owned, constant until close".
        let record = unsafe { foreign::record(raw, abi::LossInfo::zeroed(), "mpass_loss_info") };
        record.map_err(|text| fail("a record of a sensible size", text))
    }

    /// The info, as it was at first; fails where it cannot be worked with.
    pub fn info(&self) -> Outcome<abi::LossInfo> {
        if let Some(info) = self.info.get() {
            return Ok(*info);
        }
        let info = self.read_info()?;
        // Beyond it the checker itself would die for want of memory, in the name of the plugin.
        let most = crate::machine::memory::total() / size_of::<f64>() as u64 / GRADIENTS;
        if !(1..=most).contains(&info.params) {
            let expected = format!("between 1 and {most} parameters, so that this machine holds {GRADIENTS} gradients");
            return Err(fail(expected, format!("params is {}", info.params)));
        }
        Ok(*self.info.get_or_init(|| info))
    }

    /// The number of parameters.
    pub fn p(&self) -> Outcome<usize> {
        Ok(self.info()?.params as usize)
    }

    /// True if a capability, a bit of [`cap`], is claimed.
    pub fn has(&self, bit: u32) -> Outcome<bool> {
        Ok(self.info()?.caps & bit != 0)
    }

    /// Skips where a capability is not claimed; `name` as in the header: "MPASS_CAP_HVP".
    pub fn requires(&self, bit: u32, name: &str) -> Outcome {
        if self.has(bit)? { Ok(()) } else { Err(skip(format!("{name} is not claimed"))) }
    }

    /// True if theta may travel as this element type, a code of [`dtype`].
    pub fn offers(&self, code: u32) -> Outcome<bool> {
        Ok(self.info()?.dtypes & (1 << code) != 0)
    }

    /// True if calls travel as f64 unless they ask otherwise.
    pub fn is_double(&self) -> Outcome<bool> {
        self.offers(dtype::F64)
    }

    /// The relative error of one rounding in the arithmetic of theta's element type.
    pub fn epsilon(&self) -> Outcome<f64> {
        Ok(if self.is_double()? { f64::EPSILON } else { f32::EPSILON.into() })
    }

    /// The size of the data set; 0 where there are no minibatches.
    pub fn samples(&self) -> Outcome<u64> {
        Ok(if self.has(cap::MINIBATCH)? { self.info()?.samples } else { 0 })
    }

    /// `n` clipped to the rows that a call may have.
    pub fn rows(&self, n: usize) -> Outcome<usize> {
        let most = self.info()?.rows_max;
        Ok(if most == 0 { n } else { n.min(usize::try_from(most).unwrap_or(n)) })
    }

    /// The rows of a call whose theta has so many bytes in f64; one at least.
    pub fn rows_within(&self, bytes: usize) -> Outcome<usize> {
        self.rows((bytes / (size_of::<f64>() * self.p()?)).max(1))
    }

    /// Evaluates, and says what came back, whatever it is. Ends early only for want of memory, or of f32 where the
    /// call asks for it.
    pub fn eval(&self, call: &Call<'_>) -> Outcome<EvalAnswer> {
        let eval = self.handle()?.plugin.eval;
        // SAFETY: a live handle; every view covers its elements and outlives the call.
        self.eval_by("eval", call, |record, err| unsafe { eval(self.raw, record, err) })
    }

    /// The same by another slot, which gets the record and the error.
    pub(super) fn eval_by(
        &self,
        name: &str,
        call: &Call<'_>,
        slot: impl FnOnce(*const abi::Eval, *mut abi::Error) -> abi::Status,
    ) -> Outcome<EvalAnswer> {
        let (p, _open) = (self.p()?, self.handle()?);
        if call.single && !self.offers(dtype::F32)? {
            return Err(skip("f32 is not offered"));
        }
        let arguments = EvalMemory::of(call, p, !call.single && self.is_double()?)?;
        // A record of a length of its own ends at a guard page; the others are fenced like their arguments.
        let fence = if call.size.is_some() { Fence::Guard } else { call.fence };
        let size = call.size.unwrap_or(abi::Eval::SIZE as usize);
        let record = GuardedRegion::record(&arguments.record(call), size, fence)?;
        let record = if fence == Fence::Guard { record.read_only() } else { record };
        let err = ErrorText::room()?;
        let (status, when) = {
            let _lane = self.journal.enter(&call.title(name, call.theta.len() / p));
            let _visit = self.host.visit(call.cancel);
            let _scarce = call.scarce.then(Scarcity::begin);
            call.gate.iter().for_each(|gate| gate.together());
            let began = Instant::now();
            let status = slot(record.start().cast(), err.start().cast());
            (status, (began, began.elapsed()))
        };
        self.spoiled.store(status != status::OK, Ordering::Relaxed);
        let answer = arguments.answer(status, ErrorText::of(&err), when);
        if call.fleeting {
            arguments.bury();
            record.bury();
        } else {
            self.attic.lock().unwrap_or_else(PoisonError::into_inner).keep(arguments, record);
        }
        Ok(answer)
    }

    /// Closes the loss, whatever became of its last call.
    pub fn close(self) {
        self.spoiled.store(false, Ordering::Relaxed);
    }
}

impl Drop for OpenLoss<'_> {
    fn drop(&mut self) {
        if self.spoiled.load(Ordering::Relaxed) {
            // Left open, and so are its host and what it was given.
            std::mem::forget((self.handle.take(), self.host.clone(), self.request.take()));
            return;
        }
        let _lane = self.journal.enter("close");
        let _visit = self.host.visit(None);
        self.handle = None;
    }
}

/// What is evaluated as a loss is: the loss itself, or one that stands for it.
pub trait Evaluated {
    /// The loss that it is, or is made of.
    fn open(&self) -> &OpenLoss<'_>;
    /// Evaluates, as [`OpenLoss::eval`] does.
    fn evaluate(&self, call: &Call<'_>) -> Outcome<EvalAnswer>;
}

impl Evaluated for OpenLoss<'_> {
    fn open(&self) -> &OpenLoss<'_> {
        self
    }

    fn evaluate(&self, call: &Call<'_>) -> Outcome<EvalAnswer> {
        self.eval(call)
    }
}

/// All that a loss says about itself, in one line.
pub fn shown(info: &abi::LossInfo) -> String {
    let abi::LossInfo { caps, params, samples, rows_best, rows_max, dtypes, memories, noise, .. } = *info;
    format!(
        "caps {caps:#x}, params {params}, samples {samples}, rows_best {rows_best}, rows_max {rows_max}, dtypes \
         {dtypes:#b}, memories {memories:#b}, noise {noise}"
    )
}
