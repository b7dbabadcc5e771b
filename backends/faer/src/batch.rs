//! A batch of parameter rows on many pieces of the samples: who computes what, in an order that leaves the bits alone.
//!
//! With at least as many rows as workers, a worker takes a row through all pieces. With fewer, rows go one after the
//! other and workers take pieces, whose partial sums are added in order. Both add the same numbers in the same
//! order, so bits depend on neither threads nor rows.

use crate::network::{Memories, Network};
use crate::pass::{Derivatives, Piece, Verdict};
use crate::real::Real;
use crate::slots::Laid;
use crate::sums::{add_scaled_to, add_to, is_finite, square_norm};
use mountainpass_sdk::{Cancel, Error, Host, abi::status, memory};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One row: what comes in and where results go.
pub(crate) struct Row<'a, T> {
    pub theta: &'a [T],
    pub loss: &'a mut f64,
    pub grad: Option<&'a mut [T]>,
    pub hvp: Option<(&'a [T], &'a mut [T])>,
    pub status: &'a mut i32,
}

/// `l2 / 2` times the sum of squares over some parts of theta.
pub(crate) struct Penalty {
    pub l2: f64,
    pub ranges: Vec<Range<usize>>,
}

/// Memory of the workers, kept between calls.
#[derive(Default)]
pub(crate) struct Workers<T> {
    memories: Vec<Mutex<Memories<T>>>,
    partials: Vec<Partial<T>>,
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

impl<T: Real> Workers<T> {
    fn reserve(&mut self, host: Host<'_>) {
        let workers = host.workers().max(self.memories.len());
        self.memories.resize_with(workers, Mutex::default);
    }

    /// The memory of one worker; never contended, as a worker runs one body at a time.
    fn own(memories: &[Mutex<Memories<T>>], worker: usize) -> MutexGuard<'_, Memories<T>> {
        memories[worker].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Evaluates every row on all samples laid out, for which the network has been prepared.
    pub(crate) fn evaluate(
        &mut self,
        (network, penalty): (&Network, &Penalty),
        laid: &Laid<T>,
        rows: &mut [Row<'_, T>],
        host: Host<'_>,
        cancel: Cancel<'_>,
    ) -> Result<(), Error> {
        self.reserve(host);
        let stop = Stop { cancel, stopped: AtomicBool::new(false), failure: Mutex::new(None) };
        let (scale, pieces) = (1.0 / laid.n as f64, network.pieces(laid.n));
        if rows.len() >= host.workers() || pieces == 1 {
            let memories = &self.memories;
            host.for_each(rows, |row, _, worker| {
                let mut own = Self::own(memories, worker);
                let mut sum = 0.0;
                for t in 0..pieces {
                    if stop.asked() {
                        return;
                    }
                    let out = Derivatives {
                        grad: row.grad.as_deref_mut(),
                        hvp: row.hvp.as_mut().map(|(dir, hvp)| (*dir, &mut **hvp)),
                        add: t > 0,
                    };
                    sum += stop.note(network.pass(Piece { laid, t }, &mut own, row.theta, out, &|| stop.asked()));
                }
                penalty.finish(row, sum * scale);
            });
        } else {
            for row in rows {
                let sum = self.over_pieces(network, laid, row, host, &stop);
                penalty.finish(row, sum * scale);
            }
        }
        stop.end()
    }

    /// One row with the pieces shared out among the workers; returns the sum of losses.
    fn over_pieces(
        &mut self,
        network: &Network,
        laid: &Laid<T>,
        row: &mut Row<'_, T>,
        host: Host<'_>,
        stop: &Stop<'_>,
    ) -> f64 {
        let p = row.theta.len();
        let pieces = network.pieces(laid.n);
        let (grad, hvp) = (row.grad.is_some(), row.hvp.is_some());
        let wave = pieces.min((PARTIAL_NUMBERS / p.max(1)).max(host.workers()));
        self.partials.resize_with(self.partials.len().max(wave), Partial::default);
        let (theta, dir) = (row.theta, row.hvp.as_ref().map(|(dir, _)| *dir));
        let mut sum = 0.0;
        for first in (0..pieces).step_by(wave) {
            let count = wave.min(pieces - first);
            let partials = &mut self.partials[..count];
            let memories = &self.memories;
            host.for_each(partials, |partial, i, worker| {
                let mut own = Self::own(memories, worker);
                let mut pass = || {
                    memory::grow(&mut partial.grad, if grad { p } else { 0 })?;
                    memory::grow(&mut partial.hvp, if hvp { p } else { 0 })?;
                    let out = Derivatives {
                        grad: grad.then_some(&mut partial.grad[..]),
                        hvp: dir.map(|dir| (dir, &mut partial.hvp[..])),
                        add: false,
                    };
                    network.pass(Piece { laid, t: first + i }, &mut own, theta, out, &|| stop.asked())
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

    /// Fills the verdict of every row over the samples laid out, for which the network has been prepared; penalties do not
    /// enter.
    pub(crate) fn judge(
        &mut self,
        network: &Network,
        laid: &Laid<T>,
        rows: &mut [(&[T], Verdict)],
        host: Host<'_>,
    ) -> Result<(), Error> {
        self.reserve(host);
        let memories = &self.memories;
        let failure = Mutex::new(None);
        host.for_each(rows, |(theta, sum), _, worker| {
            let mut own = Self::own(memories, worker);
            for t in 0..network.pieces(laid.n) {
                match network.judge(Piece { laid, t }, &mut own, theta) {
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

impl Penalty {
    /// The penalty at theta.
    pub(crate) fn at<T: Real>(&self, theta: &[T]) -> f64 {
        self.ranges.iter().map(|range| 0.5 * self.l2 * square_norm(&theta[range.clone()])).sum()
    }

    /// Adds its derivative, or, of a direction, its Hessian product.
    fn add<T: Real>(&self, to: &mut [T], by: &[T]) {
        self.ranges.iter().for_each(|range| add_scaled_to(&mut to[range.clone()], true, self.l2, &by[range.clone()]));
    }

    /// Adds the penalty to a row, and flags it if anything is not finite.
    fn finish<T: Real>(&self, row: &mut Row<'_, T>, mean: f64) {
        *row.loss = mean + self.at(row.theta);
        let mut finite = row.loss.is_finite() && is_finite(row.theta);
        if let Some(grad) = &mut row.grad {
            self.add(grad, row.theta);
            finite &= is_finite(grad);
        }
        if let Some((dir, hvp)) = &mut row.hvp {
            self.add(hvp, dir);
            finite &= is_finite(hvp);
        }
        *row.status = if finite { status::OK } else { status::NUMERIC };
    }
}
