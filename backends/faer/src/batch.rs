//! A batch of parameter rows on many tiles: who computes what, in an order that leaves the bits alone.
//!
//! With at least as many rows as workers, a worker takes a row through all tiles. With fewer, rows go one after the
//! other and workers take tiles, whose partial sums are added in tile order. Both add the same numbers in the same
//! order, so bits depend on neither threads nor rows.

use crate::pass::{Outputs, Piece, forward, pass};
use crate::real::Real;
use crate::scratch::{Scratch, grow};
use crate::sums::{add_scaled, add_to, is_finite, square_norm};
use crate::tiles::Tiles;
use mountainpass_network::{Mlp, Objective};
use mountainpass_sdk::{Cancel, Error, Host, abi::status};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The function that is evaluated.
pub(crate) struct Function {
    pub mlp: Mlp,
    pub objective: Objective,
    /// The parts of theta that the penalty sees.
    pub penalised: Vec<Range<usize>>,
}

/// One row: what comes in and where results go.
pub(crate) struct Row<'a, T> {
    pub theta: &'a [T],
    pub loss: &'a mut f64,
    pub grad: Option<&'a mut [T]>,
    pub hvp: Option<(&'a [T], &'a mut [T])>,
    pub status: &'a mut i32,
}

/// Memory of the workers, kept between calls.
#[derive(Default)]
pub(crate) struct Workers<T> {
    scratch: Vec<Mutex<Scratch<T>>>,
    partials: Vec<Partial<T>>,
}

/// The share of one tile in a row's results.
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

impl<T: Real> Workers<T> {
    fn reserve(&mut self, host: &Host) {
        let workers = host.workers().max(self.scratch.len());
        self.scratch.resize_with(workers, Mutex::default);
    }

    /// The memory of one worker; never contended, as a worker runs one body at a time.
    fn scratch(scratch: &[Mutex<Scratch<T>>], worker: usize) -> MutexGuard<'_, Scratch<T>> {
        scratch[worker].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Evaluates every row on all samples of `tiles`.
    pub(crate) fn evaluate(
        &mut self,
        f: &Function,
        tiles: &Tiles<T>,
        rows: &mut [Row<'_, T>],
        host: &Host,
        cancel: Cancel<'_>,
    ) -> Result<(), Error> {
        self.reserve(host);
        let stopped = AtomicBool::new(false);
        let stop = || {
            // Once one worker has seen the token fire, all stop.
            let stop = stopped.load(Ordering::Relaxed) || cancel.fired();
            stopped.fetch_or(stop, Ordering::Relaxed);
            stop
        };
        let scale = 1.0 / tiles.samples() as f64;
        if rows.len() >= host.workers() || tiles.count() == 1 {
            let scratch = &self.scratch;
            host.for_each(rows, |row, _, worker| {
                let mut scratch = Self::scratch(scratch, worker);
                let mut sum = 0.0;
                for t in 0..tiles.count() {
                    let out = Outputs {
                        grad: row.grad.as_deref_mut(),
                        hvp: row.hvp.as_mut().map(|(dir, hvp)| (*dir, &mut **hvp)),
                        add: t > 0,
                    };
                    let Some(loss) = pass(f.piece(tiles, t), &mut scratch, row.theta, out, &stop) else { return };
                    sum += loss;
                }
                f.finish(row, sum * scale);
            });
        } else {
            for row in rows {
                let sum = self.over_tiles(f, tiles, row, host, &stop);
                f.finish(row, sum * scale);
            }
        }
        if stopped.into_inner() { Err(Error::cancelled()) } else { Ok(()) }
    }

    /// One row with the tiles shared out among the workers; returns the sum of losses.
    fn over_tiles(
        &mut self,
        f: &Function,
        tiles: &Tiles<T>,
        row: &mut Row<'_, T>,
        host: &Host,
        stop: &(impl Fn() -> bool + Sync),
    ) -> f64 {
        let p = row.theta.len();
        let (grad, hvp) = (row.grad.is_some(), row.hvp.is_some());
        let wave = tiles.count().min((PARTIAL_NUMBERS / p).max(host.workers()));
        self.partials.resize_with(self.partials.len().max(wave), Partial::default);
        let (theta, dir) = (row.theta, row.hvp.as_ref().map(|(dir, _)| *dir));
        let mut sum = 0.0;
        for first in (0..tiles.count()).step_by(wave) {
            let count = wave.min(tiles.count() - first);
            let partials = &mut self.partials[..count];
            let scratch = &self.scratch;
            host.for_each(partials, |partial, i, worker| {
                let mut scratch = Self::scratch(scratch, worker);
                grow(&mut partial.grad, if grad { p } else { 0 });
                grow(&mut partial.hvp, if hvp { p } else { 0 });
                let out = Outputs {
                    grad: grad.then_some(&mut partial.grad[..]),
                    hvp: dir.map(|dir| (dir, &mut partial.hvp[..])),
                    add: false,
                };
                let loss = pass(f.piece(tiles, first + i), &mut scratch, theta, out, stop);
                partial.loss = loss.unwrap_or(f64::NAN); // Of no interest once stopped.
            });
            partials.iter().for_each(|partial| sum += partial.loss);
            if let Some(grad) = &mut row.grad {
                add_in_order(grad, first > 0, partials, |partial| &partial.grad, host);
            }
            if let Some((_, hvp)) = &mut row.hvp {
                add_in_order(hvp, first > 0, partials, |partial| &partial.hvp, host);
            }
        }
        sum
    }

    /// For every row: the mean loss over `tiles`, without penalty, and the share of samples classified rightly.
    pub(crate) fn judge(&mut self, f: &Function, tiles: &Tiles<T>, thetas: &mut [(&[T], f64, f64)], host: &Host) {
        self.reserve(host);
        let scratch = &self.scratch;
        let n = tiles.samples() as f64;
        host.for_each(thetas, |(theta, loss, accuracy), _, worker| {
            let mut scratch = Self::scratch(scratch, worker);
            let (mut sum, mut correct) = (0.0, 0);
            for t in 0..tiles.count() {
                let tile = tiles.get(t);
                scratch.reserve(&f.mlp, tile.labels.len(), false, false);
                forward(&f.mlp, &mut scratch, theta, tile, 0, &|| false);
                correct += scratch.head.correct(tile.labels);
                sum += scratch.head.losses(f.objective.data, tile.labels);
            }
            (*loss, *accuracy) = (sum * (1.0 / n), correct as f64 / n);
        });
    }
}

/// `sum` becomes (or grows by) the partial sums, in their order, block by block in parallel.
fn add_in_order<T: Real>(
    sum: &mut [T],
    add: bool,
    partials: &[Partial<T>],
    part: impl Fn(&Partial<T>) -> &Vec<T> + Sync,
    host: &Host,
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

impl Function {
    fn piece<'a, T: Real>(&'a self, tiles: &'a Tiles<T>, t: usize) -> Piece<'a, T> {
        let scale = 1.0 / tiles.samples() as f64;
        Piece { mlp: &self.mlp, term: self.objective.data, tile: tiles.get(t), scale }
    }

    /// The penalty at theta.
    pub(crate) fn penalty<T: Real>(&self, theta: &[T]) -> f64 {
        self.penalised.iter().map(|range| 0.5 * self.objective.l2 * square_norm(&theta[range.clone()])).sum()
    }

    /// Adds the penalty to a row, and flags it if anything is not finite.
    fn finish<T: Real>(&self, row: &mut Row<'_, T>, mean: f64) {
        *row.loss = mean + self.penalty(row.theta);
        let mut finite = row.loss.is_finite() && is_finite(row.theta);
        if let Some(grad) = &mut row.grad {
            add_scaled(grad, self.objective.l2, row.theta, &self.penalised);
            finite &= is_finite(grad);
        }
        if let Some((dir, hvp)) = &mut row.hvp {
            add_scaled(hvp, self.objective.l2, dir, &self.penalised);
            finite &= is_finite(hvp);
        }
        *row.status = if finite { status::OK } else { status::NUMERIC };
    }
}
