//! A space of directions at a point, what the Hessian makes of them, and the best eigenpairs in it (Rayleigh and Ritz).
//!
//! It grows by what the Hessian made of the newest directions, as Lanczos's does, from several vectors at once if wanted;
//! it is orthogonalised in full, twice; and where it has become too large it is restarted from its lowest pairs (thick
//! restart, Wu and Simon 2000). Memory: two vectors a direction.

use super::tangents;
use super::vector::{axpy, dot, norm};
use crate::error::Result;
use crate::loss::oracle::Oracle;
use faer::linalg::solvers::Solve;
use faer::{Mat, Side};

/// Numbers that the vectors of a space may hold together, and the fewest directions there is room for.
const NUMBERS: usize = 1 << 26;
const FEWEST: usize = 24;

/// How many directions a space of `p` parameters may have.
pub fn room(p: usize, wanted: usize) -> usize {
    wanted.min((NUMBERS / (2 * p.max(1))).max(FEWEST)).min(p)
}

/// An orthonormal basis and its images under the Hessian at one point.
pub struct Space<'a> {
    theta: &'a [f64],
    /// Orthonormal directions that it keeps out of.
    held: &'a [Vec<f64>],
    basis: Vec<Vec<f64>>,
    images: Vec<Vec<f64>>,
    /// basis . images, the lower triangle row by row.
    table: Vec<Vec<f64>>,
    /// The images of the newest directions: where it grows next.
    front: Vec<Vec<f64>>,
}

/// The eigenpairs of a space, values ascending.
pub struct Ritz {
    /// The values.
    pub values: Vec<f64>,
    /// Of each, the vector's coordinates in the basis.
    weights: Vec<Vec<f64>>,
}

/// What came of a wish to grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grown {
    /// By so many directions.
    By(usize),
    /// A product is not finite.
    NotFinite,
}

impl<'a> Space<'a> {
    /// No directions yet.
    pub fn new(theta: &'a [f64], held: &'a [Vec<f64>]) -> Space<'a> {
        Space { theta, held, basis: Vec::new(), images: Vec::new(), table: Vec::new(), front: Vec::new() }
    }

    /// The number of directions.
    pub fn len(&self) -> usize {
        self.basis.len()
    }

    /// Adds what is new in some vectors: one product each, in one batch. It grows from these next.
    pub fn join(&mut self, oracle: &mut Oracle<'_>, vectors: Vec<Vec<f64>>) -> Result<Grown> {
        let known = self.basis.len();
        for vector in vectors {
            if self.basis.len() + self.held.len() < self.theta.len() {
                self.basis.extend(self.new_in(vector));
            }
        }
        let new = self.basis[known..].concat();
        if new.is_empty() {
            return Ok(Grown::By(0));
        }
        let mut images = oracle.hessian_products(self.theta, &new)?;
        if images.iter().any(|x| !x.is_finite()) {
            self.basis.truncate(known);
            return Ok(Grown::NotFinite);
        }
        for image in images.chunks_exact_mut(self.theta.len()) {
            tangents::remove(self.held, image);
            self.images.push(image.to_vec());
        }
        for i in known..self.basis.len() {
            // As symmetric as the products are exact.
            let entry = |j: usize| 0.5 * (dot(&self.basis[i], &self.images[j]) + dot(&self.basis[j], &self.images[i]));
            self.table.push((0..=i).map(entry).collect());
        }
        self.front = self.images[known..].to_vec();
        Ok(Grown::By(self.basis.len() - known))
    }

    /// Adds the images of the newest directions.
    pub fn grow(&mut self, oracle: &mut Oracle<'_>) -> Result<Grown> {
        let front = std::mem::take(&mut self.front);
        self.join(oracle, front)
    }

    /// The unit vector of what is new in a vector, if anything is.
    fn new_in(&self, mut vector: Vec<f64>) -> Option<Vec<f64>> {
        let whole = norm(&vector);
        for _ in 0..2 {
            // Twice is enough (Parlett): rounding would otherwise bring back directions already found.
            tangents::remove(self.held, &mut vector);
            tangents::remove(&self.basis, &mut vector);
        }
        let left = norm(&vector);
        let is_new = left.is_finite() && left > 1e-12 * whole;
        vector.iter_mut().for_each(|x| *x /= left);
        is_new.then_some(vector)
    }

    /// The eigenpairs of the Hessian as far as the space sees it; `None` if it has no direction, or the eigensolver spends its
    /// iterations.
    pub fn ritz(&self) -> Option<Ritz> {
        let n = self.basis.len();
        if n == 0 {
            return None;
        }
        let matrix = Mat::from_fn(n, n, |i, j| self.table[i.max(j)][i.min(j)]);
        let eigen = matrix.self_adjoint_eigen(Side::Lower).ok()?;
        let values = eigen.S().column_vector().iter().copied().collect();
        let weights = (0..n).map(|k| eigen.U().col(k).iter().copied().collect()).collect();
        Some(Ritz { values, weights })
    }

    /// The vector of the space whose image comes near to `wanted` (all that is left is orthogonal to the space), and how
    /// much is left; `None` where the Hessian is singular on the space.
    pub fn solved(&self, wanted: &[f64]) -> Option<(Vec<f64>, f64)> {
        let n = self.basis.len();
        let table = Mat::from_fn(n, n, |i, j| self.table[i.max(j)][i.min(j)]);
        let right = Mat::from_fn(n, 1, |i, _| dot(&self.basis[i], wanted));
        let weights: Vec<f64> = table.partial_piv_lu().solve(&right).col(0).iter().copied().collect();
        let mut rest = wanted.to_vec();
        self.images.iter().zip(&weights).for_each(|(image, weight)| axpy(&mut rest, -weight, image));
        let off = norm(&rest);
        off.is_finite().then(|| (combined(&self.basis, &weights), off))
    }

    /// The step down that is wanted: as [`Space::solved`], but with the curvatures' absolute values, and none smaller than
    /// keeps it shorter than a radius. `None` without eigenvalues.
    pub fn solved_down(&self, wanted: &[f64], radius: f64) -> Option<Vec<f64>> {
        let ritz = self.ritz()?;
        let least = norm(wanted) / radius;
        let mut weights = vec![0.0; self.basis.len()];
        let right: Vec<f64> = self.basis.iter().map(|vector| dot(vector, wanted)).collect();
        for (value, pair) in ritz.values.iter().zip(&ritz.weights) {
            axpy(&mut weights, dot(pair, &right) / value.abs().max(least), pair);
        }
        Some(combined(&self.basis, &weights))
    }

    /// The unit vector of a pair.
    pub fn vector(&self, ritz: &Ritz, k: usize) -> Vec<f64> {
        combined(&self.basis, &ritz.weights[k])
    }

    /// How far a pair is from an eigenpair: an eigenvalue of the Hessian is no further from its value than this.
    pub fn residual(&self, ritz: &Ritz, k: usize) -> f64 {
        let mut rest = combined(&self.images, &ritz.weights[k]);
        axpy(&mut rest, -ritz.values[k], &self.vector(ritz, k));
        norm(&rest)
    }

    /// Keeps the lowest pairs only, and where it was about to grow.
    pub fn restart(&mut self, ritz: &Ritz, kept: usize) {
        let front = std::mem::take(&mut self.front);
        self.front = front.into_iter().filter_map(|vector| self.new_in(vector)).collect();
        let kept = &ritz.weights[..kept.min(ritz.weights.len())];
        self.images = kept.iter().map(|weights| combined(&self.images, weights)).collect();
        self.basis = kept.iter().map(|weights| combined(&self.basis, weights)).collect();
        let row = |i: usize| (0..=i).map(|j| if i == j { ritz.values[i] } else { 0.0 }).collect();
        self.table = (0..kept.len()).map(row).collect();
    }
}

fn combined(vectors: &[Vec<f64>], weights: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; vectors.first().map_or(0, Vec::len)];
    vectors.iter().zip(weights).for_each(|(vector, &weight)| axpy(&mut sum, weight, vector));
    sum
}
