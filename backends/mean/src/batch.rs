//! A batch of parameter rows on many pieces of the samples: who computes what, in an order that leaves the bits alone.
//!
//! With at least as many rows as workers, a worker takes a row through all pieces. With fewer, rows go one after the
//! other and workers take pieces, whose partial sums are added in order, or share the only one. All add the same numbers in
//! the same order, so bits depend on neither threads nor rows. Where a pass takes several rows at once, groups of them stand
//! in the place of rows: which rows are one depends on their order in the batch alone.

use crate::kept::{Hands, Kept, Part};
use crate::penalty::Penalty;
use crate::real::Real;
use crate::row::Row;
use crate::shelf::Shelf;
use crate::sums::add_to;
use mountainpass_network::Samples;
use mountainpass_sdk::{Cancel, Error, Host, memory};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// A mean over samples, computed piece by piece by workers that share nothing.
pub trait Mean: Send + Sync + 'static {
    /// Samples in the order and the type that passes want.
    type Laid<T: Real>: Default + Send + Sync;
    /// What a worker keeps between passes.
    type Scratch<T: Real>: Default + Send;

    /// Makes ready for passes over `n` samples; they are laid out afterwards.
    fn prepare(&self, n: usize, wanted: Wanted) -> Result<(), Error>;

    /// Lays out all samples of a part.
    fn lay_out<T: Real>(&self, samples: &Samples, hands: Hands<'_>, laid: &mut Self::Laid<T>) -> Result<(), Error>;

    /// Lays out the `chosen` samples of a part; memory of an earlier filling is reused. What is known of the part's samples for
    /// good is kept in `whole`, where all of them are, or will be, laid out.
    fn choose<T: Real>(
        &self,
        chosen: (&Samples, &[u64]),
        hands: Hands<'_>,
        whole: &Kept<Self::Laid<T>>,
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

    /// How many rows are passed over at once, where there are so many.
    fn at_once(&self) -> usize {
        1
    }

    /// [`pass`](Mean::pass) for each of some rows, at most [`at_once`](Mean::at_once); the sums are added to theirs.
    fn pass_rows<T: Real>(
        &self,
        piece: Piece<'_, Self::Laid<T>>,
        scratch: &mut Self::Scratch<T>,
        rows: Vec<Ask<'_, T>>,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), Error> {
        for Ask { theta, out, sum } in rows {
            *sum += self.pass(piece, scratch, theta, out, stop)?;
        }
        Ok(())
    }

    /// How well piece `t` is met.
    fn judge<T: Real>(
        &self,
        piece: Piece<'_, Self::Laid<T>>,
        scratch: &mut Self::Scratch<T>,
        theta: &[T],
    ) -> Result<Verdict, Error>;
}

/// Piece `t` of `n` samples for rows of the batch, and who may share it.
pub struct Piece<'a, L> {
    /// The first of the rows.
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

impl<L> Clone for Piece<'_, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L> Copy for Piece<'_, L> {}

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

/// A row of a pass.
pub struct Ask<'a, T> {
    /// The parameters.
    pub theta: &'a [T],
    /// Where derivatives go.
    pub out: Outputs<'a, T>,
    /// What the sum of losses is added to.
    pub sum: &'a mut f64,
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

/// Memory of the workers and of calls, kept between these.
pub(crate) struct Workers<T, S> {
    pub scratch: Shelf<S>,
    partials: Shelf<Vec<Partial<T>>>,
}

impl<T, S> Default for Workers<T, S> {
    fn default() -> Workers<T, S> {
        Workers { scratch: Shelf::default(), partials: Shelf::default() }
    }
}

/// The share of one piece in the results of a group of rows, one row after the other.
#[derive(Default)]
struct Partial<T> {
    losses: Vec<f64>,
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

    fn note(&self, result: Result<(), Error>) {
        if let Err(error) = result {
            self.stopped.store(true, Ordering::Relaxed);
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
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
    /// Evaluates every row on all samples of `part`, for which `mean` has been prepared.
    pub fn evaluate<M: Mean<Scratch<T> = S>>(
        &self,
        (mean, penalty): (&M, &Penalty),
        part: &Part<M::Laid<T>>,
        rows: &mut [Row<'_, T>],
        host: Host<'_>,
        cancel: Cancel<'_>,
    ) -> Result<(), Error> {
        let stop = Stop { cancel, stopped: AtomicBool::new(false), failure: Mutex::new(None) };
        let Part { n, laid } = part;
        let pieces = mean.pieces(*n);
        let at_once = mean.at_once().max(1);
        let mut groups: Vec<&mut [Row<'_, T>]> = rows.chunks_mut(at_once).collect();
        if groups.len() >= host.workers() || pieces == 1 {
            let through = |(i, group): (usize, &mut [Row<'_, T>]), scratch: &mut S, host: Host<'_>| {
                group.iter_mut().for_each(|row| *row.loss = 0.0);
                for t in 0..pieces {
                    if stop.asked() {
                        return;
                    }
                    let piece = Piece { row: i * at_once, laid, n: *n, t, host };
                    stop.note(passed(mean, piece, scratch, group.iter_mut().map(|row| row.asked(t > 0)), &stop));
                }
                penalty.finish_all(group, *n);
            };
            match groups.len() >= host.workers() {
                true => {
                    host.for_each(&mut groups, |group, i, _| {
                        self.scratch.with(|own| through((i, group), own, Host::none()))
                    });
                }
                false => self
                    .scratch
                    .with(|own| groups.iter_mut().enumerate().for_each(|(i, group)| through((i, group), own, host))),
            }
        } else {
            self.partials.with(|partials| {
                for (i, group) in groups.into_iter().enumerate() {
                    self.over_pieces(mean, (part, partials), (i * at_once, &mut *group), host, &stop);
                    penalty.finish_all(group, *n);
                }
            });
        }
        stop.end()
    }

    /// A group of rows with the pieces shared out among the workers.
    fn over_pieces<M: Mean<Scratch<T> = S>>(
        &self,
        mean: &M,
        (part, partials): (&Part<M::Laid<T>>, &mut Vec<Partial<T>>),
        (row, group): (usize, &mut [Row<'_, T>]),
        host: Host<'_>,
        stop: &Stop<'_>,
    ) {
        let (k, p) = (group.len(), group.first().map_or(0, |row| row.theta.len()));
        let pieces = mean.pieces(part.n);
        let (grad, hvp) = group.first().map_or((false, false), |row| (row.grad.is_some(), row.hvp.is_some()));
        let wave = pieces.min((PARTIAL_NUMBERS / (k * p).max(1)).max(host.workers()));
        partials.resize_with(partials.len().max(wave), Partial::default);
        group.iter_mut().for_each(|row| *row.loss = 0.0);
        for first in (0..pieces).step_by(wave) {
            let count = wave.min(pieces - first);
            let partials = &mut partials[..count];
            let rows = &*group;
            host.for_each(partials, |partial, i, _| {
                let pass = |scratch: &mut S| {
                    let piece = Piece { row, laid: &part.laid, n: part.n, t: first + i, host: Host::none() };
                    passed(mean, piece, scratch, partial.asked(rows, (grad, hvp))?, stop)
                };
                stop.note(self.scratch.with(pass));
            });
            if stop.stopped.load(Ordering::Relaxed) {
                // Some have no derivatives to add, or no room for them.
                break;
            }
            for (j, row) in group.iter_mut().enumerate() {
                partials.iter().for_each(|partial| *row.loss += partial.losses[j]);
                let its = j * p..(j + 1) * p;
                if let Some(grad) = &mut row.grad {
                    add_in_order(grad, first > 0, partials, |partial| &partial.grad[its.clone()], host);
                }
                if let Some((_, hvp)) = &mut row.hvp {
                    add_in_order(hvp, first > 0, partials, |partial| &partial.hvp[its.clone()], host);
                }
            }
        }
    }

    /// Fills the verdict of every row over `part`, for which `mean` has been prepared; penalties do not enter.
    pub fn judge<M: Mean<Scratch<T> = S>>(
        &self,
        mean: &M,
        part: &Part<M::Laid<T>>,
        rows: &mut [(&[T], Verdict)],
        host: Host<'_>,
    ) -> Result<(), Error> {
        let failure = Mutex::new(None);
        let judged = |(row, theta): (usize, &[T]), sum: &mut Verdict, scratch: &mut S| {
            for t in 0..mean.pieces(part.n) {
                let piece = Piece { row, laid: &part.laid, n: part.n, t, host: Host::none() };
                let Verdict { loss, correct, predictions } = mean.judge(piece, scratch, theta)?;
                sum.loss += loss;
                sum.correct += correct;
                sum.predictions += predictions;
            }
            Ok(())
        };
        host.for_each(rows, |(theta, sum), row, _| {
            if let Err(error) = self.scratch.with(|own| judged((row, theta), sum, own)) {
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        });
        failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }
}

/// One pass for all rows of a group. A lone one makes no list.
fn passed<'a, T: Real, M: Mean>(
    mean: &M,
    piece: Piece<'_, M::Laid<T>>,
    scratch: &mut M::Scratch<T>,
    mut rows: impl ExactSizeIterator<Item = Ask<'a, T>>,
    stop: &Stop<'_>,
) -> Result<(), Error> {
    let stop = || stop.asked();
    match (rows.len(), rows.next()) {
        (1, Some(Ask { theta, out, sum })) => {
            *sum += mean.pass(piece, scratch, theta, out, &stop)?;
            Ok(())
        }
        (_, first) => mean.pass_rows(piece, scratch, first.into_iter().chain(rows).collect(), &stop),
    }
}

impl<'a, T: Real> Row<'a, T> {
    /// The row in a pass, whose results are added to what is there.
    fn asked(&mut self, add: bool) -> Ask<'_, T> {
        let out = Outputs {
            grad: self.grad.as_deref_mut(),
            hvp: self.hvp.as_mut().map(|(dir, hvp)| (*dir, &mut **hvp)),
            add,
        };
        Ask { theta: self.theta, out, sum: self.loss }
    }
}

impl<T: Real> Partial<T> {
    /// Some rows in a pass, whose results come here.
    fn asked<'a>(
        &'a mut self,
        rows: &'a [Row<'_, T>],
        (grad, hvp): (bool, bool),
    ) -> Result<impl ExactSizeIterator<Item = Ask<'a, T>>, Error> {
        let (k, p) = (rows.len(), rows.first().map_or(0, |row| row.theta.len()));
        self.losses.clear();
        memory::grow(&mut self.losses, k)?;
        memory::grow(&mut self.grad, if grad { k * p } else { 0 })?;
        memory::grow(&mut self.hvp, if hvp { k * p } else { 0 })?;
        let (mut grads, mut hvps) = (self.grad.chunks_exact_mut(p.max(1)), self.hvp.chunks_exact_mut(p.max(1)));
        Ok(rows.iter().zip(&mut self.losses).map(move |(row, sum)| {
            let hvp = row.hvp.as_ref().filter(|_| hvp).and_then(|(dir, _)| Some((*dir, hvps.next()?)));
            let out = Outputs { grad: grads.next().filter(|_| grad), hvp, add: false };
            Ask { theta: row.theta, out, sum }
        }))
    }
}

/// `sum` becomes (or grows by) the partial sums, in their order, block by block in parallel.
fn add_in_order<T: Real>(
    sum: &mut [T],
    add: bool,
    partials: &[Partial<T>],
    part: impl Fn(&Partial<T>) -> &[T] + Sync,
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
