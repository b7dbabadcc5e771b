//! The Hessian at a point as one direction sees it: its Krylov subspace of few dimensions, and functions of the Hessian
//! on it.
//!
//! Lanczos with full reorthogonalisation; the small tridiagonal matrix is decomposed by Jacobi's rotations. Where the
//! subspace is the whole space, or the direction lies in an invariant one, everything said of it is exact.

use super::tangents;
use super::vector::{axpy, dot, norm};
use crate::error::Result;
use crate::loss::oracle::Oracle;

/// What a direction sees of a Hessian.
#[derive(Clone, Debug)]
pub struct Subspace {
    /// Orthonormal, the direction itself first.
    basis: Vec<Vec<f64>>,
    /// The length of the direction.
    length: f64,
    /// The eigenvalues of the Hessian on the subspace, in no order.
    pub values: Vec<f64>,
    /// Of each its eigenvector, in terms of the basis.
    vectors: Vec<Vec<f64>>,
}

impl Subspace {
    /// The subspace of up to `most` dimensions from a direction that is not zero; `None` where a product is not finite.
    /// Directions in `held` are taken out of it. Costs a Hessian product a dimension.
    pub fn of(
        oracle: &mut Oracle<'_>,
        theta: &[f64],
        direction: &[f64],
        held: &[Vec<f64>],
        most: usize,
    ) -> Result<Option<Subspace>> {
        let length = norm(direction);
        let mut v: Vec<f64> = direction.iter().map(|x| x / length).collect();
        let (mut basis, mut diagonal, mut off): (Vec<Vec<f64>>, Vec<f64>, Vec<f64>) = Default::default();
        let most = most.clamp(1, theta.len().saturating_sub(held.len()).max(1));
        loop {
            let mut w = oracle.hessian_products(theta, &v)?;
            if w.iter().any(|x| !x.is_finite()) {
                return Ok(None);
            }
            diagonal.push(dot(&w, &v));
            let size = norm(&w);
            basis.push(v);
            for _ in 0..2 {
                // Twice is enough (Parlett).
                tangents::remove(held, &mut w);
                tangents::remove(&basis, &mut w);
            }
            let beta = norm(&w);
            if basis.len() == most || beta <= 1e-10 * size {
                break;
            }
            off.push(beta);
            w.iter_mut().for_each(|x| *x /= beta);
            v = w;
        }
        let (values, vectors) = decomposed(&diagonal, &off);
        Ok(Some(Subspace { basis, length, values, vectors }))
    }

    /// The eigenvector of the subspace that is most like the direction, pointing the same way, and its eigenvalue.
    pub fn likest(&self) -> (f64, Vec<f64>) {
        let alike = |k: &usize| self.vectors[*k][0].abs();
        let k = (0..self.values.len()).max_by(|a, b| alike(a).total_cmp(&alike(b))).unwrap_or(0);
        let sign = if self.vectors[k][0] < 0.0 { -1.0 } else { 1.0 };
        (self.values[k], self.lifted(&self.vectors[k].iter().map(|x| sign * x).collect::<Vec<f64>>()))
    }

    /// The lowest eigenvalue on the subspace.
    pub fn lowest(&self) -> f64 {
        self.values.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// A function of the Hessian, applied to the direction.
    pub fn apply(&self, f: impl Fn(f64) -> f64) -> Vec<f64> {
        let mut first = vec![0.0; self.basis.len()];
        first[0] = self.length;
        self.lifted(&self.weighed(&first, f))
    }

    /// A function of the Hessian applied to the part of a vector that lies in the subspace, and the part that does not.
    pub fn apply_to(&self, vector: &[f64], f: impl Fn(f64) -> f64) -> (Vec<f64>, Vec<f64>) {
        let inside: Vec<f64> = self.basis.iter().map(|b| dot(b, vector)).collect();
        let mut outside = vector.to_vec();
        tangents::remove(&self.basis, &mut outside);
        (self.lifted(&self.weighed(&inside, f)), outside)
    }

    fn weighed(&self, small: &[f64], f: impl Fn(f64) -> f64) -> Vec<f64> {
        let mut out = vec![0.0; small.len()];
        for (value, vector) in self.values.iter().zip(&self.vectors) {
            axpy(&mut out, f(*value) * dot(vector, small), vector);
        }
        out
    }

    fn lifted(&self, small: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.basis[0].len()];
        self.basis.iter().zip(small).for_each(|(b, x)| axpy(&mut out, *x, b));
        out
    }
}

/// The eigenvalues of a symmetric tridiagonal matrix with their unit eigenvectors.
fn decomposed(diagonal: &[f64], off: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let n = diagonal.len();
    let mut a = vec![vec![0.0; n]; n];
    let mut vectors: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for i in 0..n {
        a[i][i] = diagonal[i];
        if i + 1 < n {
            (a[i][i + 1], a[i + 1][i]) = (off[i], off[i]);
        }
    }
    let pairs = || (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j)));
    let largest = diagonal.iter().chain(off).fold(0.0, |m: f64, x| m.max(x.abs()));
    for _sweep in 0..50 {
        if pairs().all(|(i, j)| a[i][j].abs() <= 1e-16 * largest) {
            break;
        }
        for (i, j) in pairs() {
            rotate(&mut a, &mut vectors, i, j);
        }
    }
    ((0..n).map(|i| a[i][i]).collect(), vectors)
}

/// Makes a[i][j] zero by a rotation; the rows of `vectors` turn with it.
fn rotate(a: &mut [Vec<f64>], vectors: &mut [Vec<f64>], i: usize, j: usize) {
    if a[i][j] == 0.0 {
        return;
    }
    let ratio = (a[j][j] - a[i][i]) / (2.0 * a[i][j]);
    let t = if ratio < 0.0 { -1.0 } else { 1.0 } / (ratio.abs() + (ratio * ratio + 1.0).sqrt());
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    for row in a.iter_mut() {
        (row[i], row[j]) = (c * row[i] - s * row[j], s * row[i] + c * row[j]);
    }
    for k in 0..a.len() {
        (a[i][k], a[j][k]) = (c * a[i][k] - s * a[j][k], s * a[i][k] + c * a[j][k]);
        (vectors[i][k], vectors[j][k]) = (c * vectors[i][k] - s * vectors[j][k], s * vectors[i][k] + c * vectors[j][k]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::closed_form::ClosedForm;
    use crate::run::{Budget, Cancel};

    /// x.A x / 2 with A = diag(1, ..., p) but for a coupling of 0.5 between neighbours.
    fn seen(direction: &[f64], most: usize) -> Subspace {
        let f = |x: &[f64], g: &mut [f64]| {
            for i in 0..x.len() {
                let before = if i > 0 { x[i - 1] } else { 0.0 };
                let after = x.get(i + 1).copied().unwrap_or(0.0);
                g[i] = (i + 1) as f64 * x[i] + 0.5 * (before + after);
            }
            0.5 * dot(x, g)
        };
        let mut loss = ClosedForm::new(direction.len(), None, f);
        let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
        Subspace::of(&mut oracle, &vec![0.0; direction.len()], direction, &[], most).unwrap().unwrap()
    }

    #[test]
    fn on_the_whole_space_functions_of_the_hessian_are_exact() {
        let space = seen(&[1.0, -2.0, 0.5, 3.0], 4);
        let inverse = space.apply(|value| 1.0 / value);
        let a = [[1.0, 0.5, 0.0, 0.0], [0.5, 2.0, 0.5, 0.0], [0.0, 0.5, 3.0, 0.5], [0.0, 0.0, 0.5, 4.0]];
        let back: Vec<f64> = a.iter().map(|row| dot(row, &inverse)).collect();
        // Products are differences of gradients here.
        assert!(back.iter().zip([1.0, -2.0, 0.5, 3.0]).all(|(b, x)| (b - x).abs() < 1e-7), "{back:?}");
        let trace: f64 = space.values.iter().sum();
        assert!((trace - 10.0).abs() < 1e-7, "{trace}");
    }

    #[test]
    fn a_mode_is_followed_by_its_likeness() {
        let (value, mode) = seen(&[0.05, 0.1, 1.0, 0.1], 4).likest();
        assert!((2.5..3.2).contains(&value) && mode[2] > 0.8, "{value} {mode:?}");
        assert!((norm(&mode) - 1.0).abs() < 1e-12);
    }
}
