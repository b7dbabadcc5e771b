//! The kinks of a loss: what a backend tells of them, read and checked.
//!
//! Ids ascend and are kinks of the loss, |z| is below the width asked for, slopes below 0 are below 1, every number is
//! finite where its row is, and outputs stand between canaries. A loss whose parameters travel as f32 has no kinks to
//! tell: at f32 none is ever at 0.

use super::batch::{EvalFault, check};
use super::foreign::Output;
use super::loss::{Batch, Dtype, Info, Kink, Linear, Loss, Slope};
use super::plugin::{PluginLoss, TypedBuffers};
use crate::error::{Error, Result};
use crate::run::Cancel;
use mountainpass_sdk::abi;
use std::cell::Cell;

/// A value no backend writes by chance.
const CANARY: f64 = -2.468e-29;
/// Kinks that are asked for at first; where there are more, as many as there are.
const ROOM: usize = 1 << 10;

type Checked<T> = std::result::Result<T, String>;

/// Slopes as the contract has them, after a look at the caller's own.
fn records(slopes: &[Slope], kinks: u64) -> Result<Vec<abi::Slope>> {
    if slopes.windows(2).any(|pair| pair[0].id >= pair[1].id) {
        return Err(Error::Argument("slopes are given by id, each kink once".into()));
    }
    match slopes.iter().find(|slope| slope.id >= kinks || !slope.t.is_finite()) {
        Some(slope) => {
            Err(Error::Argument(format!("slope {} of kink {}, of which there are {kinks}", slope.t, slope.id)))
        }
        None => Ok(slopes.iter().map(|slope| abi::Slope { id: slope.id, t: slope.t }).collect()),
    }
}

/// Kinks as a backend has told them, where they can be.
pub(super) fn told(all: Vec<Kink>, kinks: u64, width: f64) -> Checked<Vec<Kink>> {
    if let Some(pair) = all.windows(2).find(|pair| pair[0].id >= pair[1].id) {
        return Err(format!("kink {} stands before kink {}: ids must ascend", pair[0].id, pair[1].id));
    }
    let sound = |&Kink { id, z, alpha, delta }: &Kink| match () {
        () if id >= kinks => Err(format!("kink {id}, but count is {kinks}")),
        () if z.is_nan() || z.abs() >= width => {
            Err(format!("kink {id}: z is {z}, which is not below the width {width}"))
        }
        () if !(alpha.is_finite() && alpha < 1.0) => Err(format!("kink {id}: alpha is {alpha}, expected below 1")),
        () if !delta.is_finite() => Err(format!("kink {id}: delta is {delta}")),
        () => Ok(()),
    };
    all.iter().try_for_each(sound)?;
    Ok(all)
}

/// Refuses a batch that is not of the loss over all samples.
pub(super) fn whole(info: &Info, batch: &Batch<'_>) -> Result<()> {
    check(info, batch)?;
    match batch.ids {
        None => Ok(()),
        Some(_) => Err(Error::Argument("kinks are those of all samples: ids are given".into())),
    }
}

/// Refuses what is no theta.
pub(super) fn point(info: &Info, theta: &[f64]) -> Result<()> {
    match theta.len() == info.params {
        true => Ok(()),
        false => Err(Error::Argument(format!("theta has {} values, expected {}", theta.len(), info.params))),
    }
}

/// Refuses outputs that are not z and delta of `n` rows of `count` kinks.
pub(super) fn room(n: usize, count: usize, out: &Linear<'_>) -> Result<()> {
    match n.checked_mul(count) {
        Some(cells) if [out.z.len(), out.delta.len()] == [cells; 2] => Ok(()),
        _ => Err(Error::Argument(format!("z and delta of {n} rows of {count} kinks are not as long"))),
    }
}

/// Refuses an output that is not a row for each slope.
pub(super) fn room_of_rows(info: &Info, slopes: &[Slope], out: &[f64]) -> Result<()> {
    match slopes.len().checked_mul(info.params) == Some(out.len()) {
        true => Ok(()),
        false => Err(Error::Argument(format!("rows of {} kinks in {} values", slopes.len(), out.len()))),
    }
}

impl PluginLoss {
    /// The table of kinks, for a loss in f64 that is still trusted.
    fn kink_table(&self) -> Result<abi::ExtKinks> {
        self.trusted()?;
        match (self.info.dtype, self.extensions.kinks) {
            (Dtype::F64, Some(table)) => Ok(table),
            (Dtype::F32, Some(_)) => Err(self
                .handle
                .plugin
                .unsupported("kinks are told in f64, and this loss runs in f32: set dtype = \"f64\"")),
            _ => Err(self.no_kinks()),
        }
    }

    /// How many kinks there are.
    pub(super) fn count_kinks(&self) -> Result<u64> {
        let count = self.kink_table()?.count.ok_or_else(|| self.no_kinks())?;
        let (plugin, mut kinks) = (&self.handle.plugin, 0);
        // SAFETY: a live handle; the output is ours.
        plugin.call("kinks.count", |err| unsafe { count(self.handle.raw, &raw mut kinks, err) })?;
        Ok(kinks)
    }

    /// The loss smoothed at a width.
    pub(super) fn smoothed(&mut self, eps: f64, mut batch: Batch<'_>) -> Result<()> {
        let slot = self.kink_table()?.eval_smoothed.ok_or_else(|| self.no_kinks())?;
        if !(eps > 0.0 && eps.is_finite()) {
            return Err(Error::Argument(format!("a loss smoothed at width {eps}")));
        }
        whole(&self.info, &batch)?;
        let handle = &self.handle;
        // SAFETY: a live handle, one call at a time; the record is whole for the call.
        let call = |call: *const abi::Eval, err: *mut abi::Error| unsafe { slot(handle.raw, eps, call, err) };
        let TypedBuffers::F64(buffers) = &mut self.buffers else { return Err(Error::Argument("f32".into())) };
        let answer = buffers.eval_by(handle, &self.info, &mut batch, &("kinks.eval_smoothed", &call));
        self.answered("kinks.eval_smoothed", answer, batch.cancel)
    }

    /// The kinks nearer than `width`, by id.
    pub(super) fn near(&mut self, theta: &[f64], width: f64) -> Result<Vec<Kink>> {
        let near = self.kink_table()?.near.ok_or_else(|| self.no_kinks())?;
        point(&self.info, theta)?;
        let kinks = self.count_kinks()?;
        let mut room = ROOM.min(usize::try_from(kinks).unwrap_or(ROOM));
        loop {
            let plugin = &self.handle.plugin;
            let (mut bytes, mut count) = (Output::new(CANARY.to_bits()), 0);
            // A record is four numbers of eight bytes.
            let out =
                bytes.open(4 * room, f64::NAN.to_bits()).map_err(|shortage| plugin.short("kinks.near", shortage))?;
            // SAFETY: a live handle; theta is p values, `out` holds `room` records.
            plugin.call("kinks.near", |err| unsafe {
                near(self.handle.raw, theta.as_ptr(), width, out.cast(), room as u64, &raw mut count, err)
            })?;
            let read = bytes.close("out").and_then(|values| match count {
                count if count > kinks => Err(format!("count is {count}, but there are {kinks} kinks at all")),
                count if count > room as u64 => Ok(None),
                count => {
                    let number = f64::from_bits;
                    let record = |raw: &[u64]| Kink {
                        id: raw[0],
                        z: number(raw[1]),
                        alpha: number(raw[2]),
                        delta: number(raw[3]),
                    };
                    told(values.chunks_exact(4).take(count as usize).map(record).collect(), kinks, width).map(Some)
                }
            });
            match self.answered("kinks.near", read.map_err(EvalFault::Broken), &Cancel::default())? {
                Some(kinks) => return Ok(kinks),
                // There is room for all there are from here on.
                None => room = usize::try_from(kinks).map_err(|_| Error::Argument("too many kinks".into()))?,
            }
        }
    }

    /// The loss with slopes given, the rows of a batch side by side.
    pub(super) fn linear(&mut self, slopes: &[Slope], mut batch: Batch<'_>, out: Linear<'_>) -> Result<()> {
        let slot = self.kink_table()?.eval_linear.ok_or_else(|| self.no_kinks())?;
        whole(&self.info, &batch)?;
        let (n, count) = (batch.loss.len(), slopes.len());
        room(n, count, &out)?;
        let records = records(slopes, self.count_kinks()?)?;
        let (mut z, mut delta) = (Output::new(CANARY), Output::new(CANARY));
        let short = |shortage| self.handle.plugin.short("kinks.eval_linear", shortage);
        let zs = z.open(n * count, f64::NAN).map_err(short)?;
        let deltas = delta.open(n * count, f64::NAN).map_err(short)?;
        // A batch may take several calls.
        let (handle, given, done) = (&self.handle, records.as_ptr(), Cell::new(0));
        let call = |call: *const abi::Eval, err: *mut abi::Error| {
            // SAFETY: the record of this call.
            let rows = unsafe { (*call).theta.rows } as usize;
            let first = count * done.replace(done.get() + rows);
            let (z, delta) = (zs.wrapping_add(first), deltas.wrapping_add(first));
            // SAFETY: a live handle, one call at a time; n slopes, and an output for each of them and each row, of which the
            // calls before have had theirs.
            unsafe { slot(handle.raw, given, count as u64, call, z, delta, err) }
        };
        let TypedBuffers::F64(buffers) = &mut self.buffers else { return Err(Error::Argument("f32".into())) };
        let answer = buffers.eval_by(handle, &self.info, &mut batch, &("kinks.eval_linear", &call));
        let read = answer.and_then(|()| {
            for (name, values, out) in [("z", &z, out.z), ("delta", &delta, out.delta)] {
                let values = values.close(name)?;
                for row in 0..n {
                    let cells = row * count..(row + 1) * count;
                    figures(name, &values[cells.clone()], batch.ok[row], &mut out[cells])?;
                }
            }
            Ok(())
        });
        self.answered("kinks.eval_linear", read, batch.cancel)
    }

    /// The gradients of z, one for each slope.
    pub(super) fn rows(&mut self, theta: &[f64], slopes: &[Slope], out: &mut [f64]) -> Result<()> {
        let rows = self.kink_table()?.rows.ok_or_else(|| self.no_kinks())?;
        point(&self.info, theta)?;
        room_of_rows(&self.info, slopes, out)?;
        let records = records(slopes, self.count_kinks()?)?;
        let plugin = &self.handle.plugin;
        let mut values = Output::new(CANARY);
        let room = values.open(out.len(), f64::NAN).map_err(|shortage| plugin.short("kinks.rows", shortage))?;
        // SAFETY: a live handle; p values, n slopes, and n x p values for the rows.
        plugin.call("kinks.rows", |err| unsafe {
            rows(self.handle.raw, theta.as_ptr(), records.as_ptr(), records.len() as u64, room, err)
        })?;
        let read = values.close("out").and_then(|values| figures("out", values, true, out));
        self.answered("kinks.rows", read.map_err(EvalFault::Broken), &Cancel::default())
    }
}

/// Copies the numbers of a row; all are finite where it is.
fn figures(name: &str, values: &[f64], is_good: bool, out: &mut [f64]) -> Checked<()> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) if is_good => Err(format!("{name}[{at}] is {}", values[at])),
        _ if is_good => {
            out.copy_from_slice(values);
            Ok(())
        }
        _ => {
            out.fill(f64::NAN);
            Ok(())
        }
    }
}
