//! What the extensions of an open loss say.

use super::call::Call;
use super::eval_memory::EvalMemory;
use super::loss::OpenLoss;
use super::matrix::GuardedMatrix;
use super::refusal::ErrorText;
use super::region::Fence;
use crate::check::verdict::{Ending, Outcome, fail};
use crate::error::Error;
use crate::loss::extension::{Extensions, code};
use crate::loss::table::Handle;
use crate::loss::{Bounds, Identity, Parameter, Split, Symmetry};
use mountainpass_sdk::abi::{dtype, status};

/// A start as the plugin wrote it.
pub struct WrittenStart {
    /// `p` values; NaN where nothing was written.
    pub theta: Vec<f64>,
    /// What outside theta was written to.
    pub strayed: Option<String>,
}

impl OpenLoss<'_> {
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
        let _lane = self.journal.enter(what);
        let _visit = self.host.visit(None);
        get(&self.extensions, handle, p).map_err(ending)
    }

    /// The start for a seed; `None` where the plugin has none.
    pub fn start(&self, seed: u64) -> Outcome<Option<WrittenStart>> {
        let Some(slot) = self.extensions.start.and_then(|extension| extension.start) else { return Ok(None) };
        let theta = GuardedMatrix::filled(f64::NAN, (1, self.p()?), 0, dtype::F64, Fence::Room)?;
        let (err, _handle) = (ErrorText::room()?, self.handle()?);
        let _lane = self.journal.enter("start");
        let _visit = self.host.visit(None);
        // SAFETY: a live handle; room for p values.
        match unsafe { slot(self.raw, seed, theta.view().data.cast(), err.start().cast()) } {
            status::OK => Ok(Some(WrittenStart { theta: theta.read(), strayed: theta.strayed("theta") })),
            status::UNSUPPORTED => Ok(None),
            code => Err(fail("a start", format!("start: status {code}: {}", ErrorText::of(&err).shown()))),
        }
    }

    /// The metrics of `n x p` values, `n x count`; NaN where nothing was written.
    pub fn metrics(&self, split: Split, theta: &[f64], count: usize) -> Outcome<Vec<f64>> {
        let Some(slot) = self.extensions.metrics.and_then(|extension| extension.eval) else { return Ok(Vec::new()) };
        let p = self.p()?;
        let arguments = EvalMemory::of(&Call::of(theta), p, self.is_double()?)?;
        let out = GuardedMatrix::filled(f64::NAN, (theta.len() / p, count), 0, dtype::F64, Fence::Room)?;
        let (view, err, _handle) = (arguments.record(&Call::of(theta)).theta, ErrorText::room()?, self.handle()?);
        let _lane = self.journal.enter("metrics eval");
        let _visit = self.host.visit(None);
        // SAFETY: a live handle, one call at a time; theta is n x p, `out` holds n x count values.
        let status =
            unsafe { slot(self.raw, code(split), &raw const view, out.view().data.cast(), err.start().cast()) };
        match (status, out.strayed("the metrics")) {
            (status::OK, None) => Ok(out.read()),
            (status::OK, Some(text)) => Err(fail("nothing written outside the metrics", format!("wrote {text}"))),
            (code, _) => Err(fail("status 0", format!("metrics eval: status {code}: {}", ErrorText::of(&err).shown()))),
        }
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
