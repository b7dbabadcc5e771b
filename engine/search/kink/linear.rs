//! The loss with active kinks made linear, whole at one theta: gradient, Hessian, rows, and their system.

use super::super::vector::{dot, norm};
use super::super::{hessian, tangents};
use crate::error::Result;
use crate::loss::Slope;
use crate::loss::oracle::{Linearised, Oracle};
use faer::linalg::solvers::Solve;

/// What an orthogonalised row may lose of its length before it counts as dependent.
const DEPENDENT: f64 = 1e-12;

/// Everything of second order at one theta. O(p^2) of memory.
pub struct System {
    /// Loss, gradient, z and delta of the kinks with slopes.
    pub at: Linearised,
    /// `p x p`.
    pub hessian: Vec<f64>,
    /// The gradients of z, one a slope.
    pub rows: Vec<Vec<f64>>,
}

impl System {
    /// Asks for p products, the rows and one gradient.
    pub fn at(oracle: &mut Oracle<'_>, theta: &[f64], slopes: &[Slope]) -> Result<System> {
        let p = theta.len();
        let at = oracle.linear(theta, slopes)?;
        let rows = oracle.kink_rows(theta, slopes)?.chunks_exact(p).map(<[f64]>::to_vec).collect();
        let hessian = hessian::whole(p, |directions| oracle.linear_products(theta, slopes, directions))?;
        Ok(System { at, hessian, rows })
    }

    /// The length of (gradient, z of the active kinks).
    pub fn residual(&self, active: &[usize]) -> f64 {
        let z = active.iter().map(|&a| self.at.z[a].powi(2)).sum::<f64>();
        (dot(&self.at.grad, &self.at.grad) + z).sqrt()
    }

    /// [[H, J'], [J, 0]], with directions that move nothing made stiff.
    pub fn matrix(&self, active: &[usize], held: &[Vec<f64>]) -> faer::Mat<f64> {
        let p = self.at.grad.len();
        let stiff = self.hessian.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        faer::Mat::from_fn(p + active.len(), p + active.len(), |i, j| match (i < p, j < p) {
            (true, true) => {
                let symmetric = 0.5 * (self.hessian[i * p + j] + self.hessian[j * p + i]);
                symmetric + stiff * held.iter().map(|t| t[i] * t[j]).sum::<f64>()
            }
            (true, false) => self.rows[active[j - p]][i],
            (false, true) => self.rows[active[i - p]][j],
            (false, false) => 0.0,
        })
    }

    /// Newton's step: of theta, and what is added to delta t of the active kinks.
    pub fn step(&self, active: &[usize], held: &[Vec<f64>]) -> Vec<f64> {
        let p = self.at.grad.len();
        let right = |i: usize| if i < p { -self.at.grad[i] } else { -self.at.z[active[i - p]] };
        let right = faer::Mat::from_fn(p + active.len(), 1, |i, _| right(i));
        let solved = self.matrix(active, held).partial_piv_lu().solve(&right);
        solved.col(0).iter().copied().collect()
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
