//! A batch of parameter rows on many pieces of the samples: who computes what, in an order that leaves the bits alone.
//!
//! With at least as many rows as workers, a worker takes a row through all pieces. With fewer, rows go one after the
//! other and workers take pieces, whose partial sums are added in order, or share the only one. All add the same numbers in
//! the same order, so bits depend on neither threads nor rows.

use crate::penalty::Penalty;
use crate::real::Real;
use crate::row::Row;
use crate::sums::add_to;
use mountainpass_network::Samples;
use mountainpass_sdk::{Cancel, Error, Host, memory};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A mean over samples, computed piece by piece by workers that share nothing.
pub trait Mean: Send + Sync + 'static {
    /// Samples in the order and the type that passes want.
    type Laid<T: Real>: Default + Send + Sync;
    /// What a worker keeps between passes.
    type Scratch<T: Real>: Default + Send;

    /// Makes ready for passes over `n` samples; they are laid out afterwards.
    fn prepare(&mut self, n: usize, wanted: Wanted) -> Result<(), Error>;

    /// Lays out all samples of a part.
    fn lay_out<T: Real>(&self, samples: &Samples, hands: Hands<'_>, laid: &mut Self::Laid<T>) -> Result<(), Error>;

    /// Lays out the `chosen` samples of a part; memory of an earlier filling is reused. What is known of the part's samples for
    /// good is kept in `whole`, where all of them are, or will be, laid out.
    fn choose<T: Real>(
        &self,
        chosen: (&Samples, &[u64]),
        hands: Hands<'_>,
        whole: &mut Self::Laid<T>,
        laid: &mut Self::Laid<T>,
    ) -> Result<(), Error>;

    /// Into how many pieces `n` samples are cut; this depends on the network only.
    fn pieces(&self, n: usize) -> usize;

    /// The sum of losses over piece `t`; derivatives of that sum over `n` go to `out`. Cancelled once `stop` says so.
    fn pass<T: Real>(
        &self,
        piece: Piece<'_, Self::Laid<T>>,
        scratch: &mut Self::Scratch<T>,
        theta: &[T],
        out: Outputs<'_, T>,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<f64, Error>;

    /// How well piece `t` is met.
    fn judge<T: Real>(
        &self,
        piece: Piece<'_, Self::Laid<T>>,
        scratch: &mut Self::Scratch<T>,
        theta: &[T],
    ) -> Result<Verdict, Error>;
}

/// Who lays out samples, and until when.
#[derive(Clone, Copy)]
pub struct Hands<'a> {
    /// The workers.
    pub host: Host<'a>,
    /// Who may stop them.
    pub cancel: Option<Cancel<'a>>,
}

impl Hands<'_> {
    /// Whether they are to stop.
    pub fn stopped(&self) -> bool {
        self.cancel.is_some_and(|cancel| cancel.fired())
    }
}

/// Piece `t` of `n` samples for one row of the batch, and who may share it.
pub struct Piece<'a, L> {
    /// Which row.
    pub row: usize,
    /// All that is laid out.
    pub laid: &'a L,
    /// How many samples that is.
    pub n: usize,
    /// Which piece of them.
    pub t: usize,
    /// Whose workers may share it.
    pub host: Host<'a>,
}

/// Which derivatives are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Losses and their derivatives.
    Derivatives {
        /// Whether the gradient is.
        grad: bool,
        /// Whether a Hessian product is.
        hvp: bool,
    },
    /// Losses and how many samples are met.
    Verdict,
}

/// Where a pass leaves derivatives: slices of length p.
pub struct Outputs<'a, T> {
    /// Where the gradient goes.
    pub grad: Option<&'a mut [T]>,
    /// The direction and where the Hessian product goes.
    pub hvp: Option<(&'a [T], &'a mut [T])>,
    /// Whether they are added to what is there.
    pub add: bool,
}

/// Sums over samples.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verdict {
    /// Of the losses.
    pub loss: f64,
    /// Of so many predictions so many are right.
    pub correct: usize,
    /// How many there are.
    pub predictions: usize,
}

/// Samples laid out.
#[derive(Default)]
pub(crate) struct Part<L> {
    pub n: usize,
    pub laid: L,
}

/// Memory of the workers, kept between calls.
pub(crate) struct Workers<T, S> {
    scratch: Vec<Mutex<S>>,
    partials: Vec<Partial<T>>,
}

impl<T, S> Default for Workers<T, S> {
    fn default() -> Workers<T, S> {
        Workers { scratch: Vec::new(), partials: Vec::new() }
    }
}

/// The share of one piece in a row's results.
#[derive(Default)]
struct Partial<T> {
    loss: f64,
    grad: Vec<T>,
    hvp: Vec<T>,
}

/// Partial sums together stay below this many numbers, but there is one per worker.
const PARTIAL_NUMBERS: usize = 1 << 22;
/// Partial sums are added in blocks of this many parameters, one worker a block.
const BLOCK: usize = 1 << 14;

/// The first failure of any worker stops all.
struct Stop<'a> {
    cancel: Cancel<'a>,
    stopped: AtomicBool,
    failure: Mutex<Option<Error>>,
}

impl Stop<'_> {
    fn asked(&self) -> bool {
        // Once one worker has seen the token fire, all stop.
        let stop = self.stopped.load(Ordering::Relaxed) || self.cancel.fired();
        self.stopped.fetch_or(stop, Ordering::Relaxed);
        stop
    }

    /// The loss, NaN if there is none.
    fn note(&self, result: Result<f64, Error>) -> f64 {
        result.unwrap_or_else(|error| {
            self.stopped.store(true, Ordering::Relaxed);
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            f64::NAN
        })
    }

    fn end(self) -> Result<(), Error> {
        match self.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None if self.stopped.into_inner() => Err(Error::cancelled()),
            None => Ok(()),
        }
    }
}

impl<T: Real, S: Default + Send> Workers<T, S> {
    fn reserve(&mut self, host: Host<'_>) {
        let workers = host.workers().max(self.scratch.len());
        self.scratch.resize_with(workers, Mutex::default);
    }

    /// The memory of one worker; never contended, as a worker runs one body at a time.
    fn scratch(scratch: &[Mutex<S>], worker: usize) -> MutexGuard<'_, S> {
        scratch[worker].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Evaluates every row on all samples of `part`, for which `mean` has been prepared.
    pub fn evaluate<M: Mean<Scratch<T> = S>>(
        &mut self,
        (mean, penalty): (&M, &Penalty),
        part: &Part<M::Laid<T>>,
        rows: &mut [Row<'_, T>],
        host: Host<'_>,
        cancel: Cancel<'_>,
    ) -> Result<(), Error> {
        self.reserve(host);
        let stop = Stop { cancel, stopped: AtomicBool::new(false), failure: Mutex::new(None) };
        let Part { n, laid } = part;
        let (scale, pieces) = (1.0 / *n as f64, mean.pieces(*n));
        if rows.len() >= host.workers() || pieces == 1 {
            let scratch = &self.scratch;
            let through = |(i, row): (usize, &mut Row<'_, T>), worker: usize, host: Host<'_>| {
                let mut scratch = Self::scratch(scratch, worker);
                let mut sum = 0.0;
                for t in 0..pieces {
                    if stop.asked() {
                        return;
                    }
                    let out = Outputs {
                        grad: row.grad.as_deref_mut(),
                        hvp: row.hvp.as_mut().map(|(dir, hvp)| (*dir, &mut **hvp)),
                        add: t > 0,
                    };
                    let piece = Piece { row: i, laid, n: *n, t, host };
                    sum += stop.note(mean.pass(piece, &mut scratch, row.theta, out, &|| stop.asked()));
                }
                penalty.finish(row, sum * scale);
            };
            match rows.len() >= host.workers() {
                true => host.for_each(rows, |row, i, worker| through((i, row), worker, Host::none())),
                false => rows.iter_mut().enumerate().for_each(|row| through(row, 0, host)),
            }
        } else {
            for (i, row) in rows.iter_mut().enumerate() {
                let sum = self.over_pieces(mean, part, (i, &mut *row), host, &stop);
                penalty.finish(row, sum * scale);
            }
        }
        stop.end()
    }

    /// One row with the pieces shared out among the workers; returns the sum of losses.
    fn over_pieces<M: Mean<Scratch<T> = S>>(
        &mut self,
        mean: &M,
        part: &Part<M::Laid<T>>,
        (at, row): (usize, &mut Row<'_, T>),
        host: Host<'_>,
        stop: &Stop<'_>,
    ) -> f64 {
        let p = row.theta.len();
        let pieces = mean.pieces(part.n);
        let (grad, hvp) = (row.grad.is_some(), row.hvp.is_some());
        let wave = pieces.min((PARTIAL_NUMBERS / p.max(1)).max(host.workers()));
        self.partials.resize_with(self.partials.len().max(wave), Partial::default);
        let (theta, dir) = (row.theta, row.hvp.as_ref().map(|(dir, _)| *dir));
        let mut sum = 0.0;
        for first in (0..pieces).step_by(wave) {
            let count = wave.min(pieces - first);
            let partials = &mut self.partials[..count];
            let scratch = &self.scratch;
            host.for_each(partials, |partial, i, worker| {
                let mut scratch = Self::scratch(scratch, worker);
                let mut pass = || {
                    memory::grow(&mut partial.grad, if grad { p } else { 0 })?;
                    memory::grow(&mut partial.hvp, if hvp { p } else { 0 })?;
                    let out = Outputs {
                        grad: grad.then_some(&mut partial.grad[..]),
                        hvp: dir.map(|dir| (dir, &mut partial.hvp[..])),
                        add: false,
                    };
                    let piece = Piece { row: at, laid: &part.laid, n: part.n, t: first + i, host: Host::none() };
                    mean.pass(piece, &mut scratch, theta, out, &|| stop.asked())
                };
                partial.loss = stop.note(pass());
            });
            partials.iter().for_each(|partial| sum += partial.loss);
            if stop.stopped.load(Ordering::Relaxed) {
                // Some have no derivatives to add, or no room for them.
                break;
            }
            if let Some(grad) = &mut row.grad {
                add_in_order(grad, first > 0, partials, |partial| &partial.grad, host);
            }
            if let Some((_, hvp)) = &mut row.hvp {
                add_in_order(hvp, first > 0, partials, |partial| &partial.hvp, host);
            }
        }
        sum
    }

    /// Fills the verdict of every row over `part`, for which `mean` has been prepared; penalties do not enter.
    pub fn judge<M: Mean<Scratch<T> = S>>(
        &mut self,
        mean: &M,
        part: &Part<M::Laid<T>>,
        rows: &mut [(&[T], Verdict)],
        host: Host<'_>,
    ) -> Result<(), Error> {
        self.reserve(host);
        let scratch = &self.scratch;
        let failure = Mutex::new(None);
        host.for_each(rows, |(theta, sum), row, worker| {
            let mut scratch = Self::scratch(scratch, worker);
            for t in 0..mean.pieces(part.n) {
                let piece = Piece { row, laid: &part.laid, n: part.n, t, host: Host::none() };
                match mean.judge(piece, &mut scratch, theta) {
                    Ok(Verdict { loss, correct, predictions }) => {
                        sum.loss += loss;
                        sum.correct += correct;
                        sum.predictions += predictions;
                    }
                    Err(error) => {
                        failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        return;
                    }
                }
            }
        });
        failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }
}

/// `sum` becomes (or grows by) the partial sums, in their order, block by block in parallel.
fn add_in_order<T: Real>(
    sum: &mut [T],
    add: bool,
    partials: &[Partial<T>],
    part: impl Fn(&Partial<T>) -> &Vec<T> + Sync,
    host: Host<'_>,
) {
    let mut blocks: Vec<&mut [T]> = sum.chunks_mut(BLOCK).collect();
    host.for_each(&mut blocks, |block, i, _| {
        let range = i * BLOCK..i * BLOCK + block.len();
        for (k, partial) in partials.iter().enumerate() {
            let part = &part(partial)[range.clone()];
            match add || k > 0 {
                true => add_to(block, part),
                false => block.copy_from_slice(part),
            }
        }
    });
}
