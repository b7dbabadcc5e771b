//! An open loss of the plugin under test: what it says about itself, points to evaluate, and evaluations.

use super::call::{Answer, Arguments, Call, Text, room};
use super::host::Host;
use super::memory::{Fence, Matrix, Region};
use super::process::Scarcity;
use super::random::Random;
use super::subject::{Packed, Subject};
use super::verdict::{Ending, Outcome, fail, skip};
use crate::error::Error;
use crate::loss::extension::{Extensions, code};
use crate::loss::table::Handle;
use crate::loss::{Bounds, Identity, Parameter, Split, Symmetry, foreign};
use mountainpass_sdk::abi::{self, cap, dtype, status};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

/// So many vectors of p values a test may hold at a time.
const GRADIENTS: u64 = 8;

/// An open loss; dropping it closes it, unless its last call failed: closing it then is what errors.close is about. Its
/// methods take `&self`, so that a test may call from several threads: which calls may overlap is for the test to know.
pub struct Opened<'a> {
    subject: &'a Subject,
    handle: Option<Handle>,
    raw: *mut std::ffi::c_void,
    host: Arc<Host>,
    extensions: Extensions,
    info: OnceLock<abi::LossInfo>,
    attic: Mutex<Attic>,
    /// The last call failed.
    spoiled: AtomicBool,
    _request: Option<Packed>,
}

// SAFETY: the handle is a pointer that the plugin gave; which thread may use it when is what tests are about.
unsafe impl Send for Opened<'_> {}
// SAFETY: as above.
unsafe impl Sync for Opened<'_> {}

/// The arguments of past calls, kept so that a plugin that kept a pointer is found by the test that looks for it and
/// not by all others. The oldest go when there are too many.
#[derive(Default)]
struct Attic {
    calls: VecDeque<(Arguments, Region)>,
    bytes: usize,
}

/// What the attic may hold.
const ATTIC: usize = 256 << 20;

/// A start as the plugin wrote it.
pub struct Start {
    /// `p` values; NaN where nothing was written.
    pub theta: Vec<f64>,
    /// What outside theta was written to.
    pub strayed: Option<String>,
}

impl<'a> Opened<'a> {
    pub(super) fn new(
        subject: &'a Subject,
        handle: Handle,
        host: Arc<Host>,
        extensions: Extensions,
        request: Option<Packed>,
    ) -> Opened<'a> {
        let raw = handle.raw;
        let (info, attic, spoiled) = (OnceLock::new(), Mutex::default(), AtomicBool::new(false));
        Opened { subject, handle: Some(handle), raw, host, extensions, info, attic, spoiled, _request: request }
    }

    /// The host it was opened on.
    pub fn host(&self) -> &Arc<Host> {
        &self.host
    }

    fn handle(&self) -> Outcome<&Handle> {
        self.handle.as_ref().ok_or_else(|| skip("the loss is closed"))
    }

    /// Asks for the info anew; `Err` where it cannot be read.
    pub fn read_info(&self) -> Outcome<abi::LossInfo> {
        let handle = self.handle()?;
        let _lane = self.subject.journal().enter("info");
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

    /// The most rows of a call, if there is a limit.
    pub fn rows_max(&self) -> Outcome<Option<usize>> {
        let most = self.info()?.rows_max;
        Ok((most != 0 && most <= 1 << 40).then_some(most as usize))
    }

    /// `n` clipped to what a call may have.
    pub fn rows(&self, n: usize) -> Outcome<usize> {
        Ok(self.rows_max()?.map_or(n, |most| n.min(most)))
    }

    /// `n` points where a search might begin, `n x p`, exact in theta's element type: the plugin's starts, else
    /// uniform in the box, else normal.
    pub fn points(&self, n: usize, random: &mut Random) -> Outcome<Vec<f64>> {
        let p = self.p()?;
        let bounds = self.bounds().ok().flatten();
        let mut points = Vec::with_capacity(n * p);
        for _ in 0..n {
            let start = self.start(random.bits()).ok().flatten().map(|start| start.theta);
            let point = start.filter(|theta| theta.iter().all(|x| x.is_finite()));
            points.extend(point.unwrap_or_else(|| match &bounds {
                Some(b) => b.lower.iter().zip(&b.upper).map(|(low, high)| low + (high - low) * random.unit()).collect(),
                None => random.normals(p),
            }));
        }
        if !self.is_double()? {
            points.iter_mut().for_each(|x| *x = f64::from(*x as f32));
        }
        Ok(points)
    }

    /// Evaluates, and says what came back, whatever it is. Ends early only for want of memory, or of f32 where the
    /// call asks for it.
    pub fn eval(&self, call: &Call<'_>) -> Outcome<Answer> {
        let (p, handle) = (self.p()?, self.handle()?);
        if call.single && !self.offers(dtype::F32)? {
            return Err(skip("f32 is not offered"));
        }
        let arguments = Arguments::of(call, p, !call.single && self.is_double()?)?;
        // A record of a length of its own ends at a wall; the others are fenced like their arguments.
        let fence = if call.size.is_some() { Fence::Wall } else { call.fence };
        let size = call.size.unwrap_or(abi::Eval::SIZE as usize);
        let record = room(Region::record(&arguments.record(call), size, fence))?;
        let record = if fence == Fence::Wall { record.read_only() } else { record };
        let err = Text::room()?;
        let (status, when) = {
            let _lane = self.subject.journal().enter(&call.title(call.theta.len() / p));
            let _visit = self.host.visit(call.cancel);
            let _scarce = call.scarce.then(Scarcity::begin);
            call.gate.iter().for_each(|gate| gate.together());
            let began = Instant::now();
            // SAFETY: a live handle; every view covers its elements and outlives the call.
            let status = unsafe { (handle.plugin.eval)(self.raw, record.start().cast(), err.start().cast()) };
            (status, (began, began.elapsed()))
        };
        self.spoiled.store(status != status::OK, Ordering::Relaxed);
        let answer = arguments.answer(status, Text::of(&err), when);
        if call.fleeting {
            arguments.bury();
            record.bury();
        } else {
            let mut attic = self.attic.lock().unwrap_or_else(PoisonError::into_inner);
            attic.keep(arguments, record);
        }
        Ok(answer)
    }

    /// The losses of `n x p` values; fails unless all of them are numbers.
    pub fn losses(&self, theta: &[f64]) -> Outcome<Vec<f64>> {
        Ok(self.eval(&Call::of(theta))?.numbers()?.loss)
    }

    /// How far two losses of one row may differ and still count as equal: nothing where MPASS_CAP_REPEATABLE is
    /// claimed, else the stated noise, else ten times what repeats of these rows show and a thousand roundings.
    pub fn spread(&self, theta: &[f64]) -> Outcome<f64> {
        let info = self.info()?;
        if info.caps & cap::REPEATABLE != 0 {
            return Ok(0.0);
        }
        if info.noise > 0.0 {
            return Ok(info.noise);
        }
        let first = self.losses(theta)?;
        let mut widest = 0.0_f64;
        for _ in 0..15 {
            let again = self.losses(theta)?;
            widest = first.iter().zip(&again).map(|(a, b)| (a - b).abs()).fold(widest, f64::max);
        }
        let largest = first.iter().fold(1.0_f64, |largest, value| largest.max(value.abs()));
        Ok(10.0 * widest + 1e3 * self.epsilon()? * largest)
    }

    /// The named blocks of theta; none where there is no such extension.
    pub fn parameters(&self) -> Outcome<Vec<Parameter>> {
        self.ask("parameters list", |extensions, handle, p| extensions.parameters(handle, p))
    }

    /// The box.
    pub fn bounds(&self) -> Outcome<Option<Bounds>> {
        self.ask("box", |extensions, handle, p| extensions.bounds(handle, p))
    }

    /// The names of a split's metrics.
    pub fn metric_names(&self, split: Split) -> Outcome<Vec<String>> {
        self.ask("metrics names", |extensions, handle, _| extensions.metric_names(handle, split))
    }

    /// The declared symmetries.
    pub fn symmetries(&self) -> Outcome<Vec<Symmetry>> {
        self.ask("symmetry list", |extensions, handle, p| extensions.symmetries(handle, p))
    }

    /// Hashes and options.
    pub fn identity(&self) -> Outcome<Identity> {
        self.ask("identity", |extensions, handle, _| extensions.identity(handle))
    }

    fn ask<T>(&self, what: &str, get: impl Fn(&Extensions, &Handle, usize) -> crate::Result<T>) -> Outcome<T> {
        let (handle, p) = (self.handle()?, self.p()?);
        let _lane = self.subject.journal().enter(what);
        let _visit = self.host.visit(None);
        get(&self.extensions, handle, p).map_err(ending)
    }

    /// The start for a seed; `None` where the plugin has none.
    pub fn start(&self, seed: u64) -> Outcome<Option<Start>> {
        let Some(slot) = self.extensions.start.and_then(|extension| extension.start) else { return Ok(None) };
        let theta = room(Matrix::filled(f64::NAN, (1, self.p()?), 0, dtype::F64, Fence::Room))?;
        let (err, _handle) = (Text::room()?, self.handle()?);
        let _lane = self.subject.journal().enter("start");
        let _visit = self.host.visit(None);
        // SAFETY: a live handle; room for p values.
        match unsafe { slot(self.raw, seed, theta.view().data.cast(), err.start().cast()) } {
            status::OK => Ok(Some(Start { theta: theta.read(), strayed: theta.strayed("theta") })),
            status::UNSUPPORTED => Ok(None),
            code => Err(fail("a start", format!("start: status {code}: {}", Text::of(&err).shown()))),
        }
    }

    /// The metrics of `n x p` values, `n x count`; NaN where nothing was written.
    pub fn metrics(&self, split: Split, theta: &[f64], count: usize) -> Outcome<Vec<f64>> {
        let Some(slot) = self.extensions.metrics.and_then(|extension| extension.eval) else { return Ok(Vec::new()) };
        let p = self.p()?;
        let arguments = Arguments::of(&Call::of(theta), p, self.is_double()?)?;
        let out = room(Matrix::filled(f64::NAN, (theta.len() / p, count), 0, dtype::F64, Fence::Room))?;
        let (view, err, _handle) = (arguments.record(&Call::of(theta)).theta, Text::room()?, self.handle()?);
        let _lane = self.subject.journal().enter("metrics eval");
        let _visit = self.host.visit(None);
        // SAFETY: a live handle, one call at a time; theta is n x p, `out` holds n x count values.
        let status =
            unsafe { slot(self.raw, code(split), &raw const view, out.view().data.cast(), err.start().cast()) };
        match (status, out.strayed("the metrics")) {
            (status::OK, None) => Ok(out.read()),
            (status::OK, Some(text)) => Err(fail("nothing written outside the metrics", format!("wrote {text}"))),
            (code, _) => Err(fail("status 0", format!("metrics eval: status {code}: {}", Text::of(&err).shown()))),
        }
    }

    /// Closes the loss, whatever became of its last call.
    pub fn close(self) {
        self.spoiled.store(false, Ordering::Relaxed);
    }
}

impl Attic {
    fn keep(&mut self, arguments: Arguments, record: Region) {
        self.bytes += arguments.weight();
        self.calls.push_back((arguments, record));
        while self.bytes > ATTIC {
            let Some((oldest, _)) = self.calls.pop_front() else { break };
            self.bytes -= oldest.weight();
        }
    }
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        if self.spoiled.load(Ordering::Relaxed) {
            // Left open, and so are its host and what it was given.
            std::mem::forget((self.handle.take(), self.host.clone(), self._request.take()));
            return;
        }
        let _lane = self.subject.journal().enter("close");
        let _visit = self.host.visit(None);
        self.handle = None;
    }
}

/// What the engine would refuse, as a failure.
fn ending(error: Error) -> Ending {
    match error {
        Error::Backend { slot, text, .. } => fail("an answer that makes sense", format!("{slot}: {text}")),
        Error::Refused { slot, code, text, .. } => fail("status 0", format!("{slot}: status {code}: {text}")),
        other => fail("an answer that makes sense", other.to_string()),
    }
}
