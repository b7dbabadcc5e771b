//! What a loss says of its kinks, asked through the raw slots of `mountainpass.kinks/1` with outputs between fences.

use super::answer::EvalAnswer;
use super::call::Call;
use super::loss::{Evaluated, OpenLoss};
use super::matrix::GuardedMatrix;
use super::refusal::ErrorText;
use super::region::Fence;
use crate::check::verdict::{Outcome, fail, skip};
use crate::loss::{Kink, Slope};
use mountainpass_sdk::abi::{self, Status, dtype, status};

/// The slots of the extension, of a loss that tells of its kinks.
pub struct Kinks<'a> {
    loss: &'a OpenLoss<'a>,
    table: abi::ExtKinks,
    /// How many kinks there are.
    pub count: u64,
}

/// Kinks that were listed, and how many there were said to be.
pub struct Listed {
    pub kinks: Vec<Kink>,
    pub count: u64,
}

/// What `eval_linear` left.
pub struct Linearised {
    pub answer: EvalAnswer,
    /// `n x slopes`.
    pub z: Vec<f64>,
    pub delta: Vec<f64>,
}

impl OpenLoss<'_> {
    /// Its kinks; skips where it tells of none, says that it cannot, or there are none.
    pub fn kinks(&self) -> Outcome<Kinks<'_>> {
        let Some(table) = self.extensions.kinks else { return Err(skip("mountainpass.kinks/1 is not offered")) };
        if !self.is_double()? {
            return Err(skip("kinks are told in f64, which is not offered"));
        }
        let slot = table.count.ok_or_else(|| skip("mountainpass.kinks/1 has no count"))?;
        let mut count = 0;
        // SAFETY: a live handle; the output is ours.
        match self.call("kinks count", |err| unsafe { slot(self.raw, &raw mut count, err) })? {
            (status::OK, _) if count == 0 => Err(skip("there are no kinks")),
            (status::OK, _) => Ok(Kinks { loss: self, table, count }),
            (status::UNSUPPORTED, text) => Err(skip(format!("kinks are not told: {}", text.shown()))),
            (code, text) => Err(fail("a count, or status 4 (unsupported)", format!("status {code}: {}", text.shown()))),
        }
    }

    /// A call of a slot: its status, and what the error says.
    fn call(&self, name: &str, slot: impl FnOnce(*mut abi::Error) -> Status) -> Outcome<(Status, ErrorText)> {
        let (err, _open) = (ErrorText::room()?, self.handle()?);
        let _lane = self.journal.enter(name);
        let _visit = self.host.visit(None);
        let status = slot(err.start().cast());
        Ok((status, ErrorText::of(&err)))
    }
}

/// A slot that is there, or a test to skip.
fn slot<T>(slot: Option<T>, name: &str) -> Outcome<T> {
    slot.ok_or_else(|| skip(format!("mountainpass.kinks/1 has no {name}")))
}

/// Fails unless a call was answered and wrote where it should.
fn sound(name: &str, (code, text): (Status, ErrorText), outputs: &[(&str, &GuardedMatrix)]) -> Outcome {
    if code != status::OK {
        return Err(fail("status 0", format!("{name}: status {code}: {}", text.shown())));
    }
    match outputs.iter().find_map(|(name, matrix)| matrix.strayed(name)) {
        Some(text) => Err(fail("nothing written outside the outputs", format!("{name} wrote {text}"))),
        None => Ok(()),
    }
}

fn records(slopes: &[Slope]) -> Vec<abi::Slope> {
    slopes.iter().map(|slope| abi::Slope { id: slope.id, t: slope.t }).collect()
}

fn output(rows: usize, cols: usize) -> Outcome<GuardedMatrix> {
    GuardedMatrix::filled(f64::NAN, (rows, cols), 0, dtype::F64, Fence::Room)
}

impl Kinks<'_> {
    /// The loss that they are of.
    pub fn loss(&self) -> &OpenLoss<'_> {
        self.loss
    }

    /// The kinks nearer than `width`, in the room for so many.
    pub fn near(&self, theta: &[f64], width: f64, room: usize) -> Outcome<Listed> {
        let near = slot(self.table.near, "near")?;
        let theta = GuardedMatrix::input(theta, theta.len(), 0, dtype::F64, Fence::Room)?;
        // A record is four numbers of eight bytes.
        let (out, mut count) = (output(room, 4)?, 0);
        let at = (theta.view().data.cast::<f64>(), out.view().data.cast::<abi::Kink>());
        // SAFETY: a live handle; p values, `room` records, and a count of ours.
        let called = self.loss.call("kinks near", |err| unsafe {
            near(self.loss.raw, at.0, width, at.1, room as u64, &raw mut count, err)
        })?;
        sound("near", called, &[("out", &out)])?;
        let record = |raw: &[f64]| Kink { id: raw[0].to_bits(), z: raw[1], alpha: raw[2], delta: raw[3] };
        let written = room.min(usize::try_from(count).unwrap_or(room));
        let kinks = out.read::<f64>().chunks_exact(4).take(written).map(record).collect();
        Ok(Listed { kinks, count })
    }

    /// The loss smoothed at a width.
    pub fn smoothed(&self, eps: f64, call: &Call<'_>) -> Outcome<EvalAnswer> {
        let smoothed = slot(self.table.eval_smoothed, "eval_smoothed")?;
        // SAFETY: a live handle; every view covers its elements and outlives the call.
        let slot = |record, err| unsafe { smoothed(self.loss.raw, eps, record, err) };
        self.loss.eval_by("kinks eval_smoothed", call, slot)
    }

    /// The loss with these slopes, with z and delta of their kinks.
    pub fn linear(&self, slopes: &[Slope], call: &Call<'_>) -> Outcome<Linearised> {
        let linear = slot(self.table.eval_linear, "eval_linear")?;
        let n = call.theta.len() / self.loss.p()?;
        let (given, z, delta) = (records(slopes), output(n, slopes.len())?, output(n, slopes.len())?);
        let at = (given.as_ptr(), z.view().data.cast::<f64>(), delta.view().data.cast::<f64>());
        // SAFETY: a live handle; every view covers its elements and outlives the call; so many slopes, and an output for
        // each of them and each row.
        let slot = |record, err| unsafe { linear(self.loss.raw, at.0, given.len() as u64, record, at.1, at.2, err) };
        let answer = self.loss.eval_by("kinks eval_linear", call, slot)?;
        let said = (answer.status, answer.text.clone());
        sound("eval_linear", said, &[("z", &z), ("delta", &delta)])?;
        Ok(Linearised { answer, z: z.read(), delta: delta.read() })
    }

    /// The gradients of z of these kinks in that loss, one after the other.
    pub fn rows(&self, theta: &[f64], slopes: &[Slope]) -> Outcome<Vec<f64>> {
        let rows = slot(self.table.rows, "rows")?;
        let (given, out) = (records(slopes), output(slopes.len(), theta.len())?);
        let theta = GuardedMatrix::input(theta, theta.len(), 0, dtype::F64, Fence::Room)?;
        let at = (theta.view().data.cast::<f64>(), out.view().data.cast::<f64>());
        // SAFETY: a live handle; p values, so many slopes, and p values for each of them.
        let called = self.loss.call("kinks rows", |err| unsafe {
            rows(self.loss.raw, at.0, given.as_ptr(), given.len() as u64, at.1, err)
        })?;
        sound("rows", called, &[("out", &out)])?;
        Ok(out.read())
    }
}

/// A smooth loss that stands for one with kinks.
pub enum Bent<'a> {
    /// Smoothed at a width.
    Smoothed(&'a Kinks<'a>, f64),
    /// With slopes.
    Linear(&'a Kinks<'a>, &'a [Slope]),
}

impl Evaluated for Bent<'_> {
    fn open(&self) -> &OpenLoss<'_> {
        match self {
            Bent::Smoothed(kinks, _) | Bent::Linear(kinks, _) => kinks.loss,
        }
    }

    fn evaluate(&self, call: &Call<'_>) -> Outcome<EvalAnswer> {
        match self {
            Bent::Smoothed(kinks, eps) => kinks.smoothed(*eps, call),
            Bent::Linear(kinks, slopes) => kinks.linear(slopes, call).map(|found| found.answer),
        }
    }
}
