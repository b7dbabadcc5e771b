//! The Hessian at a point as one direction sees it: its Krylov space of few dimensions, and functions of the Hessian on it.
//!
//! Where the space is the whole one, or the direction lies in an invariant one, everything said of it is exact.

use super::krylov::{Grown, Space};
use super::tangents;
use super::vector::{axpy, dot};
use crate::error::Result;
use crate::loss::oracle::Oracle;

/// What a direction sees of a Hessian.
#[derive(Clone, Debug)]
pub struct Subspace {
    /// The eigenvalues of the Hessian on the subspace, ascending.
    pub values: Vec<f64>,
    /// Of each its unit eigenvector.
    vectors: Vec<Vec<f64>>,
    /// The direction's part along each.
    along: Vec<f64>,
}

impl Subspace {
    /// The subspace of up to `most` dimensions from a direction that is not zero; `None` where a product is not finite.
    /// Directions in `held` are kept out of it. Costs a Hessian product a dimension.
    pub fn of(
        oracle: &mut Oracle<'_>,
        theta: &[f64],
        direction: &[f64],
        held: &[Vec<f64>],
        most: usize,
    ) -> Result<Option<Subspace>> {
        let mut space = Space::new(theta, held);
        let mut grown = space.join(oracle, vec![direction.to_vec()])?;
        while matches!(grown, Grown::By(1..)) && space.len() < most.min(theta.len()) {
            grown = space.grow(oracle)?;
        }
        let Some(ritz) = space.ritz().filter(|_| grown != Grown::NotFinite) else { return Ok(None) };
        let vectors: Vec<Vec<f64>> = (0..ritz.values.len()).map(|k| space.vector(&ritz, k)).collect();
        let along = vectors.iter().map(|vector| dot(vector, direction)).collect();
        Ok(Some(Subspace { values: ritz.values, vectors, along }))
    }

    /// The eigenvector of the subspace that is most like the direction, pointing the same way, and its eigenvalue; `None`
    /// in a space of no dimension.
    pub fn likest(&self) -> Option<(f64, Vec<f64>)> {
        let alike = |k: &usize| self.along[*k].abs();
        let k = (0..self.values.len()).max_by(|a, b| alike(a).total_cmp(&alike(b)))?;
        let sign = if self.along[k] < 0.0 { -1.0 } else { 1.0 };
        Some((self.values[k], self.vectors[k].iter().map(|x| sign * x).collect()))
    }

    /// The lowest eigenvalue on the subspace, of those that are no zero with an error of this part of the largest: a
    /// direction without curvature, a symmetry that nobody declared, leads nowhere.
    pub fn lowest(&self, error: f64) -> f64 {
        let largest = self.values.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
        let sure = self.values.iter().copied().filter(|value| value.abs() > error * largest);
        sure.fold(f64::INFINITY, f64::min)
    }

    /// A function of the Hessian, applied to the direction; `p` is its length.
    pub fn apply(&self, p: usize, f: impl Fn(f64) -> f64) -> Vec<f64> {
        self.weighed(p, &self.along, f)
    }

    /// A function of the Hessian applied to the part of a vector that lies in the subspace, and the part that does not.
    pub fn apply_to(&self, vector: &[f64], f: impl Fn(f64) -> f64) -> (Vec<f64>, Vec<f64>) {
        let inside: Vec<f64> = self.vectors.iter().map(|v| dot(v, vector)).collect();
        let mut outside = vector.to_vec();
        tangents::remove(&self.vectors, &mut outside);
        (self.weighed(vector.len(), &inside, f), outside)
    }

    fn weighed(&self, p: usize, along: &[f64], f: impl Fn(f64) -> f64) -> Vec<f64> {
        let mut out = vec![0.0; p];
        for ((value, vector), along) in self.values.iter().zip(&self.vectors).zip(along) {
            axpy(&mut out, f(*value) * along, vector);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::closed_form::ClosedForm;
    use crate::run::{Budget, Cancel};
    use crate::search::vector::norm;

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
        let inverse = space.apply(4, |value| 1.0 / value);
        let a = [[1.0, 0.5, 0.0, 0.0], [0.5, 2.0, 0.5, 0.0], [0.0, 0.5, 3.0, 0.5], [0.0, 0.0, 0.5, 4.0]];
        let back: Vec<f64> = a.iter().map(|row| dot(row, &inverse)).collect();
        // Products are differences of gradients here.
        assert!(back.iter().zip([1.0, -2.0, 0.5, 3.0]).all(|(b, x)| (b - x).abs() < 1e-7), "{back:?}");
        let trace: f64 = space.values.iter().sum();
        assert!((trace - 10.0).abs() < 1e-7, "{trace}");
    }

    #[test]
    fn a_mode_is_followed_by_its_likeness() {
        let (value, mode) = seen(&[0.05, 0.1, 1.0, 0.1], 4).likest().unwrap();
        assert!((2.5..3.2).contains(&value) && mode[2] > 0.7, "{value} {mode:?}");
        assert!((norm(&mode) - 1.0).abs() < 1e-12);
    }
}
