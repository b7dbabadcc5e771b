//! The loss with active kinks made linear, at one theta: gradient, rows, and Newton's step onto the point where the gradient
//! and the z of active kinks vanish.
//!
//! The step is taken apart: onto the active set by the rows alone, and along it, in their kernel, by a Krylov space of the
//! Hessian. There the stiff directions across kinks are gone, and no Hessian is formed.

use super::super::krylov::{self, Grown, Space};
use super::super::tangents;
use super::super::vector::{axpy, dot, norm};
use crate::error::Result;
use crate::loss::oracle::{Linearised, Oracle, View};
use crate::loss::{Kink, Slope};

/// What an orthogonalised row may lose of its length before it counts as dependent.
const DEPENDENT: f64 = 1e-12;
/// The most directions of a step along the active set, far from a minimum and else, and directions between two looks at what
/// is left.
const FEW: usize = 50;
const DIRECTIONS: usize = 400;
const LOOK: usize = 10;
/// What a step down leaves of the gradient that it is to undo, far from a minimum and near.
const ROUGHLY: f64 = 0.1;
const LEFT: f64 = 1e-3;

/// Numbers that the rows of one system may hold.
const NUMBERS: usize = 1 << 26;

/// How many rows of `p` parameters a system may have.
pub fn room(p: usize) -> usize {
    NUMBERS / p.max(1)
}

/// What is known of the linearised loss at one theta.
pub struct System {
    /// Loss, gradient, z and delta of the kinks with slopes.
    pub at: Linearised,
    /// The gradients of z, one a slope.
    pub rows: Vec<Vec<f64>>,
    slopes: Vec<Slope>,
}

/// Where a step is to lead.
#[derive(Clone, Copy, PartialEq)]
pub enum Toward {
    /// To a critical point of whatever index, so near that this part of the gradient is `left`.
    Critical {
        /// The part.
        left: f64,
    },
    /// Down, also where the loss bends downwards, by a step no longer than this one.
    Minimum {
        /// The longest step.
        radius: f64,
        /// Whether it is near, and the step worth its price.
        near: bool,
    },
}

impl Toward {
    /// The most directions, and the part of the gradient that is left.
    fn effort(self) -> (usize, f64) {
        match self {
            Toward::Critical { left } => (DIRECTIONS, left),
            Toward::Minimum { near: true, .. } => (DIRECTIONS, LEFT),
            Toward::Minimum { near: false, .. } => (FEW, ROUGHLY),
        }
    }
}

/// Newton's step.
pub struct Step {
    /// Of theta.
    pub theta: Vec<f64>,
    /// What is added to delta t of the active kinks.
    pub multipliers: Vec<f64>,
}

impl System {
    /// Asks for one gradient and the rows.
    pub fn at(oracle: &mut Oracle<'_>, theta: &[f64], slopes: Vec<Slope>) -> Result<System> {
        let at = oracle.linear(theta, &slopes)?;
        let rows = oracle.kink_rows(theta, &slopes)?.chunks_exact(theta.len()).map(<[f64]>::to_vec).collect();
        Ok(System { at, rows, slopes })
    }

    /// The length of (gradient, z of the active kinks).
    pub fn residual(&self, active: &[usize]) -> f64 {
        let z = active.iter().map(|&a| self.at.z[a].powi(2)).sum::<f64>();
        (dot(&self.at.grad, &self.at.grad) + z).sqrt()
    }

    /// Newton's step, in the complement of `held` directions that move nothing, solved along the active set until so much of
    /// the right side is left; `None` where the rows are dependent or the Hessian is singular.
    pub fn step(
        &self,
        oracle: &mut Oracle<'_>,
        theta: &[f64],
        active: &[usize],
        held: &[Vec<f64>],
        left: f64,
    ) -> Result<Option<Step>> {
        let factors = self.factors(active);
        let z: Vec<f64> = active.iter().map(|&a| self.at.z[a]).collect();
        self.solve(oracle, theta, &factors, held, (&self.at.grad, &z), Toward::Critical { left })
    }

    /// The rows of active kinks taken apart.
    pub fn factors(&self, active: &[usize]) -> Factors {
        Factors::of(self.at.grad.len(), active.iter().map(|&a| &self.rows[a]))
    }

    /// What takes this gradient and these z to zero, to first order, as [`System::step`] takes the system's own.
    pub fn solve(
        &self,
        oracle: &mut Oracle<'_>,
        theta: &[f64],
        factors: &Factors,
        held: &[Vec<f64>],
        (gradient, z): (&[f64], &[f64]),
        toward: Toward,
    ) -> Result<Option<Step>> {
        let onto = factors.onto(&z.iter().map(|z| -z).collect::<Vec<_>>());
        if onto.iter().any(|x| !x.is_finite()) {
            return Ok(None);
        }
        let view = View::Linear(self.slopes.clone());
        oracle.seen(view, |oracle| {
            let before = moved(oracle, theta, gradient, &onto)?;
            let held = orthonormal(factors.span.clone(), held.iter().cloned());
            let Some(along) = along(oracle, theta, &held, &before, toward)? else { return Ok(None) };
            let mut step = onto;
            axpy(&mut step, 1.0, &along);
            let multipliers = factors.multipliers(&moved(oracle, theta, gradient, &step)?);
            let is_finite = step.iter().chain(&multipliers).all(|x| x.is_finite());
            Ok(is_finite.then_some(Step { theta: step, multipliers }))
        })
    }
}

/// A gradient a step away, to first order.
fn moved(oracle: &mut Oracle<'_>, theta: &[f64], gradient: &[f64], step: &[f64]) -> Result<Vec<f64>> {
    let mut gradient = gradient.to_vec();
    if step.iter().any(|x| *x != 0.0) {
        axpy(&mut gradient, 1.0, &oracle.hessian_products(theta, step)?);
    }
    Ok(gradient)
}

/// The slope of a kink on the side where it is.
pub fn on_side(kink: &Kink) -> Slope {
    Slope { id: kink.id, t: if kink.z < 0.0 { kink.alpha } else { 1.0 } }
}

/// Rows J taken apart: J' = Q R.
#[derive(Clone)]
pub struct Factors {
    p: usize,
    /// The columns of Q: an orthonormal basis of the span of the rows.
    pub span: Vec<Vec<f64>>,
    r: faer::Mat<f64>,
}

impl Factors {
    pub fn of<'a>(p: usize, rows: impl ExactSizeIterator<Item = &'a Vec<f64>>) -> Factors {
        let mut columns = faer::Mat::zeros(p, rows.len());
        rows.enumerate().for_each(|(a, row)| (0..p).for_each(|i| columns[(i, a)] = row[i]));
        let qr = columns.qr();
        let q = qr.compute_thin_Q();
        let span = (0..q.ncols()).map(|a| q.col(a).iter().copied().collect()).collect();
        Factors { p, span, r: qr.thin_R().to_owned() }
    }

    /// The shortest d with J d = z: R' y = z, d = Q y. Not finite where rows are dependent.
    pub fn onto(&self, z: &[f64]) -> Vec<f64> {
        let mut d = vec![0.0; self.p];
        let mut y: Vec<f64> = Vec::with_capacity(z.len());
        for i in 0..z.len() {
            let before: f64 = (0..i).map(|j| self.r[(j, i)] * y[j]).sum();
            y.push((z[i] - before) / self.r[(i, i)]);
            axpy(&mut d, y[i], &self.span[i]);
        }
        d
    }

    /// The mu with J' mu nearest to minus a gradient: R mu = -Q' gradient.
    pub fn multipliers(&self, gradient: &[f64]) -> Vec<f64> {
        let mut mu = vec![0.0; self.span.len()];
        for i in (0..mu.len()).rev() {
            let behind: f64 = (i + 1..mu.len()).map(|j| self.r[(i, j)] * mu[j]).sum();
            mu[i] = (-dot(&self.span[i], gradient) - behind) / self.r[(i, i)];
        }
        mu
    }
}

/// The step in the complement of some directions that takes a gradient there to zero.
fn along(
    oracle: &mut Oracle<'_>,
    theta: &[f64],
    held: &[Vec<f64>],
    gradient: &[f64],
    toward: Toward,
) -> Result<Option<Vec<f64>>> {
    let mut wanted: Vec<f64> = gradient.iter().map(|g| -g).collect();
    for _ in 0..2 {
        tangents::remove(held, &mut wanted);
    }
    let (directions, left) = toward.effort();
    let (goal, room) = (left * norm(&wanted), krylov::room(theta.len(), directions));
    let mut space = Space::new(theta, held);
    let mut grown = space.join(oracle, vec![wanted.clone()])?;
    loop {
        if grown == Grown::NotFinite {
            return Ok(None);
        }
        if space.len() == 0 {
            return Ok(Some(wanted));
        }
        for _ in 0..LOOK {
            if matches!(grown, Grown::By(1..)) && space.len() < room {
                grown = space.grow(oracle)?;
            }
        }
        let solved = space.solved(&wanted);
        let is_near = solved.as_ref().is_none_or(|(_, off)| *off <= goal);
        if is_near || grown == Grown::By(0) || space.len() >= room {
            return Ok(match toward {
                Toward::Critical { .. } => solved.map(|(step, _)| step),
                Toward::Minimum { radius, .. } => space.solved_down(&wanted, radius),
            });
        }
    }
}

/// An orthonormal basis of the span of rows, appended to `basis`; dependent rows add nothing.
pub fn orthonormal(mut basis: Vec<Vec<f64>>, rows: impl Iterator<Item = Vec<f64>>) -> Vec<Vec<f64>> {
    for mut row in rows {
        let before = norm(&row);
        // Twice is enough (Kahan, Parlett).
        for _ in 0..2 {
            tangents::remove(&basis, &mut row);
        }
        let after = norm(&row);
        if after > DEPENDENT * before {
            row.iter_mut().for_each(|x| *x /= after);
            basis.push(row);
        }
    }
    basis
}
