//! From the table of a backend to [`Loss`]: the one adapter, and the only place that checks foreign numbers.
//!
//! Whatever a backend answers is copied and looked at, here and in what this file calls: sizes, NULL slots, counts,
//! finiteness against `row_status`, canaries round the outputs. A broken promise of an evaluation becomes
//! [`Error::Backend`] and poisons the loss, because a backend that lied once may have written anywhere: every later
//! evaluation repeats the first fault.
//!
//! Threads: the engine evaluates a loss only from the thread that drives its exploration, one call at a time, so
//! MPASS_CAP_CALLER_THREAD holds by construction, and a loss may move to another thread between calls.

use super::batch::{Buffers, EvalFault, check, input};
use super::extension::Extensions;
use super::foreign;
use super::host::Log;
use super::loss::{Batch, Bounds, Dtype, Identity, Info, Kink, Linear, Loss, Parameter, Slope, Split, Symmetry};
use super::request::OpenRequest;
use super::table::{Handle, Plugin};
use crate::error::{Error, Result};
use crate::machine::memory;
use crate::machine::pool::Pool;
use crate::run::Cancel;
use mountainpass_sdk::Caps;
use mountainpass_sdk::abi::{self, status};
use std::sync::Arc;

/// More rows than any call has: a larger count says "any number".
const MOST_ROWS: u64 = 1 << 40;
/// Below this many parameters a loss runs in f64 unless asked otherwise.
const SMALL: u64 = 100_000;

/// One loss opened through a table.
pub(super) struct PluginLoss {
    pub handle: Handle,
    pub info: Info,
    pub extensions: Extensions,
    pub buffers: TypedBuffers,
    fault: Option<String>,
}

/// Buffers of either element type.
pub(super) enum TypedBuffers {
    F32(Buffers<f32>),
    F64(Buffers<f64>),
}

impl PluginLoss {
    /// Opens a loss and checks what it says about itself.
    pub fn open(plugin: Arc<Plugin>, request: &OpenRequest<'_>, pool: Arc<Pool>, log: Arc<Log>) -> Result<PluginLoss> {
        plugin.understands(request)?;
        let handle = Handle::open(plugin, request, pool, log)?;
        let info = info(&handle, request.dtype)?;
        if request.repeatable && !info.caps.repeatable {
            let text = "repeatable: this loss does not promise to repeat its values bit for bit: leave it out";
            return Err(handle.plugin.unsupported(text));
        }
        let extensions = Extensions::of(&handle.plugin).map_err(|text| handle.plugin.broken("extension", text))?;
        let buffers = match info.dtype {
            Dtype::F32 => TypedBuffers::F32(Buffers::new()),
            Dtype::F64 => TypedBuffers::F64(Buffers::new()),
        };
        Ok(PluginLoss { handle, info, extensions, buffers, fault: None })
    }

    /// Fails once a promise was broken.
    pub fn trusted(&self) -> Result<()> {
        match &self.fault {
            Some(fault) => Err(self.handle.plugin.broken("eval", format!("no longer trusted since {fault}"))),
            None => Ok(()),
        }
    }

    /// What a slot's answer comes to; a broken promise is kept in mind.
    pub fn answered<T>(
        &mut self,
        slot: &'static str,
        answer: std::result::Result<T, EvalFault>,
        cancel: &Cancel,
    ) -> Result<T> {
        answer.map_err(|fault| match fault {
            EvalFault::Failed(Error::Refused { code: status::CANCELLED, .. }) if cancel.fired() => Error::Cancelled,
            EvalFault::Failed(error) => error,
            EvalFault::Broken(text) => {
                self.fault = Some(text.clone());
                self.handle.plugin.broken(slot, text)
            }
        })
    }
}

impl Loss for PluginLoss {
    fn info(&self) -> &Info {
        &self.info
    }

    fn eval(&mut self, mut batch: Batch<'_>) -> Result<()> {
        self.trusted()?;
        check(&self.info, &batch)?;
        let evaluated = match &mut self.buffers {
            TypedBuffers::F32(buffers) => buffers.eval(&self.handle, &self.info, &mut batch),
            TypedBuffers::F64(buffers) => buffers.eval(&self.handle, &self.info, &mut batch),
        };
        self.answered("eval", evaluated, batch.cancel)
    }

    fn parameters(&self) -> Result<Vec<Parameter>> {
        self.extensions.parameters(&self.handle, self.info.params)
    }

    fn start(&self, seed: u64) -> Result<Option<Vec<f64>>> {
        self.extensions.start(&self.handle, self.info.params, seed)
    }

    fn bounds(&self) -> Result<Option<Bounds>> {
        self.extensions.bounds(&self.handle, self.info.params)
    }

    fn metric_names(&self, split: Split) -> Result<Vec<String>> {
        self.extensions.metric_names(&self.handle, split)
    }

    fn metrics(&mut self, split: Split, theta: &[f64]) -> Result<Vec<f64>> {
        let (p, most) = (self.info.params, self.info.rows_max);
        if !theta.len().is_multiple_of(p) {
            return Err(Error::Argument(format!("theta has {} values, which is no multiple of {p}", theta.len())));
        }
        let step = if most == 0 { theta.len().max(p) } else { most * p };
        let mut values = Vec::new();
        for theta in theta.chunks(step) {
            let short = |shortage| self.handle.plugin.short("metrics", shortage);
            values.extend(match &mut self.buffers {
                TypedBuffers::F32(buffers) => {
                    let theta = input(theta, &mut buffers.theta).map_err(short)?;
                    self.extensions.metrics(&self.handle, split, p, theta)?
                }
                TypedBuffers::F64(buffers) => {
                    let theta = input(theta, &mut buffers.theta).map_err(short)?;
                    self.extensions.metrics(&self.handle, split, p, theta)?
                }
            });
        }
        Ok(values)
    }

    fn symmetries(&self) -> Result<Vec<Symmetry>> {
        self.extensions.symmetries(&self.handle, self.info.params)
    }

    fn identity(&self) -> Result<Identity> {
        self.extensions.identity(&self.handle)
    }

    fn kinks(&self) -> Result<u64> {
        self.count_kinks()
    }

    fn eval_smoothed(&mut self, eps: f64, batch: Batch<'_>) -> Result<()> {
        self.smoothed(eps, batch)
    }

    fn kinks_near(&mut self, theta: &[f64], width: f64) -> Result<Vec<Kink>> {
        self.near(theta, width)
    }

    fn eval_linear(&mut self, slopes: &[Slope], batch: Batch<'_>, out: Linear<'_>) -> Result<()> {
        self.linear(slopes, batch, out)
    }

    fn kink_rows(&mut self, theta: &[f64], slopes: &[Slope], out: &mut [f64]) -> Result<()> {
        self.rows(theta, slopes, out)
    }
}

/// Refuses a count of parameters that makes no sense, or of which this machine cannot hold one gradient.
pub(super) fn afford(backend: &str, params: u64) -> Result<()> {
    let memory = memory::total();
    match params.checked_mul(8) {
        Some(0) => Err(Error::Backend { backend: backend.to_owned(), slot: "info", text: "params is 0".into() }),
        Some(gradient) if gradient <= memory => Ok(()),
        gradient => {
            let gradient = gradient.map_or_else(|| "more than can be counted".into(), memory::gib);
            let (backend, memory) = (backend.to_owned(), memory::gib(memory));
            let text = format!("one gradient of {params} parameters takes {gradient}, and there are {memory}");
            Err(Error::Unsupported { backend, text })
        }
    }
}

/// Reads and checks `mpass_loss_info`, and settles the element type.
fn info(handle: &Handle, wanted: Option<Dtype>) -> Result<Info> {
    let plugin = &handle.plugin;
    let broken = |text: String| plugin.broken("info", text);
    // SAFETY: a live handle.
    let raw = unsafe { (plugin.info)(handle.raw) };
    // SAFETY: mpass_loss_info, "plugin-owned, constant until close".
    let raw = unsafe { foreign::record(raw, abi::LossInfo::zeroed(), "mpass_loss_info") }.map_err(broken)?;
    afford(&plugin.title(), raw.params)?;
    if !(raw.noise.is_finite() && raw.noise >= 0.0) {
        return Err(broken(format!("noise is {}", raw.noise)));
    }
    if raw.rows_max != 0 && raw.rows_best > raw.rows_max {
        return Err(broken(format!("rows_best is {}, above rows_max, which is {}", raw.rows_best, raw.rows_max)));
    }
    let has = |bits: u32, code: u32| bits & (1 << code) != 0;
    let (single, double) = (has(raw.dtypes, abi::dtype::F32), has(raw.dtypes, abi::dtype::F64));
    if !has(raw.memories, abi::memory::HOST) || !(single || double) {
        return Err(broken("f32 or f64 in host memory is required".into()));
    }
    let lacks = |text: &str| plugin.unsupported(format!("dtype {text}: leave dtype out"));
    let dtype = match wanted {
        Some(Dtype::F32) if !single => return Err(lacks("f32 is not offered for this loss, only f64")),
        Some(Dtype::F64) if !double => return Err(lacks("f64 is not offered for this loss, only f32")),
        Some(dtype) => dtype,
        None if double && (raw.params < SMALL || !single) => Dtype::F64,
        None => Dtype::F32,
    };
    let rows = |count: u64| if count > MOST_ROWS { 0 } else { count as usize };
    Ok(Info {
        backend: plugin.name.clone(),
        version: plugin.version.clone(),
        params: raw.params as usize,
        samples: raw.samples,
        rows_best: rows(raw.rows_best),
        rows_max: rows(raw.rows_max),
        caps: Caps::from_bits(raw.caps),
        noise: raw.noise,
        dtype,
    })
}
