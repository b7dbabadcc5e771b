//! The lowest eigenvalues of the Hessian at a point: the index check of a critical point.
//!
//! Up to [`DENSE`] parameters the Hessian is formed from p products and all eigenvalues are taken, so the index is
//! exact up to tau, the measured error; above, Lanczos with full reorthogonalisation from a seeded random vector gives
//! the lowest pair with its residual, labelled iterative (docs/mathematics.md#the-spectrum). Tangents of declared
//! continuous symmetries are projected out of either: all that is said is said of their complement.

use super::landscape::Spectrum;
use super::tangents::{self, Tangents};
use super::vector::{axpy, dot, norm};
use crate::error::Result;
use crate::loss::oracle::Oracle;
use rand::{Rng, SeedableRng};
use std::fmt;

/// The largest p for which the whole Hessian is formed.
pub const DENSE: usize = 2000;
const LANCZOS_STEPS: usize = 60;

/// The lower end of a spectrum.
#[derive(Clone, Debug)]
pub struct Lowest {
    /// Eigenvalues, ascending: all up to and including the first that is positive beyond tau.
    pub values: Vec<f64>,
    /// A unit eigenvector of `values[0]`.
    pub vector: Vec<f64>,
    /// Eigenvalues within tau of zero are undecided.
    pub tau: f64,
    /// How they were computed.
    pub method: Spectrum,
    /// The number of tangents that were projected out.
    pub projected: usize,
}

/// Why there is no spectrum at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSpectrum {
    /// A product of the Hessian is not finite.
    NotFinite,
    /// The eigensolver spent its iterations.
    NotConverged,
}

impl fmt::Display for NoSpectrum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoSpectrum::NotFinite => "the Hessian is not finite",
            NoSpectrum::NotConverged => "the Hessian has no eigenvalues: NoConvergence",
        })
    }
}

/// What was computed, or why it cannot be.
type Found<T> = std::result::Result<T, NoSpectrum>;

impl Lowest {
    /// How many eigenvalues are clearly negative.
    pub fn index(&self) -> usize {
        self.values.iter().filter(|&&v| v < -self.tau).count()
    }
}

/// The lowest eigenvalues at theta. Costs p Hessian products (dense) or up to 60 (iterative).
pub fn lowest(oracle: &mut Oracle<'_>, theta: &[f64], symmetry: &Tangents, seed: u64) -> Result<Found<Lowest>> {
    #[cfg(feature = "dense")]
    if theta.len() <= DENSE {
        return Ok(Hessian::at(oracle, theta, symmetry)?.map(|hessian| hessian.lowest()));
    }
    lanczos(oracle, theta, symmetry, seed)
}

/// All eigenpairs of a Hessian in the complement of the tangents of continuous symmetries.
#[cfg(feature = "dense")]
pub struct Hessian {
    /// The eigenvalues, ascending.
    pub values: Vec<f64>,
    /// `values x p`, one eigenvector per row.
    pub vectors: Vec<f64>,
    /// The largest of the asymmetry of the products, their own error and the rounding of the eigensolver.
    pub tau: f64,
    /// The number of tangents that were projected out.
    pub projected: usize,
}

#[cfg(feature = "dense")]
impl Hessian {
    /// Forms the Hessian at theta from p products and decomposes it.
    pub fn at(oracle: &mut Oracle<'_>, theta: &[f64], symmetry: &Tangents) -> Result<Found<Hessian>> {
        let p = theta.len();
        let mut h = Vec::with_capacity(p * p);
        const ROWS: usize = 64;
        for first in (0..p).step_by(ROWS) {
            let rows = ROWS.min(p - first);
            let mut directions = vec![0.0; rows * p];
            (0..rows).for_each(|r| directions[r * p + first + r] = 1.0);
            h.extend(oracle.hessian_products(theta, &directions)?);
        }
        if h.iter().any(|x| !x.is_finite()) {
            return Ok(Err(NoSpectrum::NotFinite));
        }
        let asymmetry =
            (0..p).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| (h[i * p + j] - h[j * p + i]).powi(2));
        let asymmetry = asymmetry.sum::<f64>().sqrt();
        let mut matrix = faer::Mat::from_fn(p, p, |i, j| 0.5 * (h[i * p + j] + h[j * p + i]));
        let tangents = symmetry.at(theta);
        let lifted = lift(&mut matrix, &tangents);
        let kept = p - tangents.len();
        let Ok(eigen) = matrix.self_adjoint_eigen(faer::Side::Lower) else {
            return Ok(Err(NoSpectrum::NotConverged));
        };
        let values: Vec<f64> = eigen.S().column_vector().iter().copied().take(kept).collect();
        let vectors = (0..kept).flat_map(|k| eigen.U().col(k).iter().copied().collect::<Vec<_>>()).collect();
        let largest = values.iter().fold(lifted, |m: f64, v| m.max(v.abs()));
        // A symmetric eigensolver is backward stable: each value is off by at most a modest multiple of eps |H|.
        let tau = asymmetry.max(f64::EPSILON * largest * (p as f64).sqrt() * 4.0).max(oracle.product_error() * largest);
        Ok(Ok(Hessian { values, vectors, tau, projected: tangents.len() }))
    }

    /// The lower end of the spectrum: all eigenvalues up to the first clearly positive one.
    pub fn lowest(&self) -> Lowest {
        let n = self.values.len();
        let end = self.values.iter().position(|&v| v > self.tau).map_or(n, |k| k + 1);
        Lowest {
            values: self.values[..end].to_vec(),
            vector: self.vectors.get(..self.vectors.len() / n.max(1)).unwrap_or_default().to_vec(),
            tau: self.tau,
            method: Spectrum::Dense,
            projected: self.projected,
        }
    }
}

/// Makes tangents eigenvectors of a matrix, of an eigenvalue above all others, which it returns: they then come last. The
/// rest is the matrix projected onto their complement.
#[cfg(feature = "dense")]
fn lift(matrix: &mut faer::Mat<f64>, tangents: &[Vec<f64>]) -> f64 {
    let p = matrix.nrows();
    if tangents.is_empty() {
        return 0.0;
    }
    // No eigenvalue is larger than the largest sum along a row.
    let bound = (0..p).map(|i| (0..p).map(|j| matrix[(i, j)].abs()).sum::<f64>()).fold(0.0, f64::max);
    let lifted = 2.0 * bound.max(f64::MIN_POSITIVE);
    for t in tangents {
        // (1 - t t^T) M (1 - t t^T) + lifted t t^T, for one tangent after the other: they are orthonormal.
        let image: Vec<f64> = (0..p).map(|i| (0..p).map(|j| matrix[(i, j)] * t[j]).sum()).collect();
        let own = dot(&image, t) + lifted;
        for j in 0..p {
            for i in 0..p {
                matrix[(i, j)] += own * t[i] * t[j] - image[i] * t[j] - t[i] * image[j];
            }
        }
    }
    lifted
}

/// The lowest eigenpair by Lanczos; `tau` is the residual of the pair.
pub fn lanczos(oracle: &mut Oracle<'_>, theta: &[f64], symmetry: &Tangents, seed: u64) -> Result<Found<Lowest>> {
    let p = theta.len();
    let held = symmetry.at(theta);
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut v: Vec<f64> = (0..p).map(|_| f64::from(random.next_u32()) / f64::from(u32::MAX) - 0.5).collect();
    tangents::remove(&held, &mut v);
    let steps = LANCZOS_STEPS.min(p - held.len()).max(1);
    let (mut basis, mut alphas, mut betas): (Vec<Vec<f64>>, Vec<f64>, Vec<f64>) = Default::default();
    loop {
        let size = norm(&v);
        v.iter_mut().for_each(|x| *x /= size);
        let mut w = oracle.hessian_products(theta, &v)?;
        if w.iter().any(|x| !x.is_finite()) {
            return Ok(Err(NoSpectrum::NotFinite));
        }
        alphas.push(dot(&w, &v));
        basis.push(std::mem::take(&mut v));
        for _ in 0..2 {
            // Twice is enough (Parlett): rounding would otherwise bring back directions already found.
            tangents::remove(&held, &mut w);
            for b in &basis {
                let along = dot(&w, b);
                axpy(&mut w, -along, b);
            }
        }
        let beta = norm(&w);
        let (value, weights) = lowest_of_tridiagonal(&alphas, &betas);
        let residual = beta * weights.last().map_or(0.0, |x| x.abs());
        let scale = alphas.iter().fold(0.0, |m: f64, a| m.max(a.abs()));
        if basis.len() == steps || !beta.is_finite() || beta <= 1e-12 * scale || residual <= 1e-6 * value.abs() {
            let mut vector = vec![0.0; p];
            basis.iter().zip(&weights).for_each(|(b, &weight)| axpy(&mut vector, weight, b));
            let (values, method) = (vec![value], Spectrum::Iterative);
            return Ok(Ok(Lowest { values, vector, tau: residual, method, projected: held.len() }));
        }
        betas.push(beta);
        v = w;
    }
}

/// The lowest eigenpair of a symmetric tridiagonal matrix, `off` not negative: bisection on Sturm counts, then inverse
/// iteration.
fn lowest_of_tridiagonal(diagonal: &[f64], off: &[f64]) -> (f64, Vec<f64>) {
    let n = diagonal.len();
    let radius = |i: usize| (if i > 0 { off[i - 1].abs() } else { 0.0 }) + (if i + 1 < n { off[i].abs() } else { 0.0 });
    let mut low = (0..n).map(|i| diagonal[i] - radius(i)).fold(f64::INFINITY, f64::min);
    let mut high = diagonal.iter().copied().fold(f64::INFINITY, f64::min);
    let below = |x: f64| {
        let mut q = diagonal[0] - x;
        (1..n).any(|i| {
            let negative = q < 0.0;
            q = diagonal[i] - x - off[i - 1] * off[i - 1] / if q == 0.0 { f64::MIN_POSITIVE } else { q };
            negative
        }) || q < 0.0
    };
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if below(middle) { high = middle } else { low = middle }
    }
    // A shift just below the eigenvalue keeps T - shift positive definite, so elimination needs no pivots.
    let shift = low - f64::EPSILON * (low.abs() + off.iter().fold(0.0, |m: f64, b| m.max(b.abs())));
    // With off >= 0 the lowest eigenvector alternates in sign (Perron-Frobenius), so a start that alternates is never
    // orthogonal to it. A constant one is, where the diagonal is: only rounding led away from the wrong eigenvector then.
    let mut x: Vec<f64> = (0..n).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 } / (n as f64).sqrt()).collect();
    for _ in 0..3 {
        let mut pivots = vec![0.0; n];
        for i in 0..n {
            let back = if i > 0 { off[i - 1] / pivots[i - 1] } else { 0.0 };
            let pivot = diagonal[i] - shift - if i > 0 { back * off[i - 1] } else { 0.0 };
            pivots[i] = if pivot.abs() < f64::MIN_POSITIVE { f64::EPSILON } else { pivot };
            if i > 0 {
                x[i] -= back * x[i - 1];
            }
        }
        for i in (0..n).rev() {
            let next = if i + 1 < n { off[i] * x[i + 1] } else { 0.0 };
            x[i] = (x[i] - next) / pivots[i];
        }
        let size = norm(&x);
        x.iter_mut().for_each(|v| *v /= size);
    }
    (high, x)
}

#[cfg(all(test, feature = "dense"))]
mod tests {
    use super::*;
    use crate::loss::closed_form::ClosedForm;
    use crate::loss::{Symmetry, SymmetryKind};
    use crate::run::{Budget, Cancel};
    use proptest::prelude::*;

    /// The lowest eigenvalue by faer, and the pair's residual, both as fractions of the matrix's size.
    fn compare(diagonal: &[f64], off: &[f64]) -> (f64, f64) {
        let n = diagonal.len();
        let entry = |i: usize, j: usize| match i.abs_diff(j) {
            0 => diagonal[i],
            1 => off[i.min(j)],
            _ => 0.0,
        };
        let eigen = faer::Mat::from_fn(n, n, entry).self_adjoint_eigen(faer::Side::Lower).unwrap();
        let (value, x) = lowest_of_tridiagonal(diagonal, off);
        let residual = (0..n).map(|i| (0..n).map(|j| entry(i, j) * x[j]).sum::<f64>() - value * x[i]);
        let size = diagonal.iter().chain(off).fold(f64::MIN_POSITIVE, |m, v| m.max(v.abs()));
        assert!((norm(&x) - 1.0).abs() < 1e-12);
        ((value - eigen.S().column_vector()[0]).abs() / size, residual.map(|r| r * r).sum::<f64>().sqrt() / size)
    }

    proptest! {
        #[test]
        fn the_lowest_pair_of_a_tridiagonal_matrix_is_that_of_faer(
            n in 1usize..20,
            diagonal in prop::collection::vec(prop_oneof![-1.0f64..1.0, Just(0.0), Just(0.5)], 20),
            off in prop::collection::vec(prop_oneof![0.0f64..1.0, 0.0f64..1e-9, Just(0.25)], 20),
            scale in -12i32..13,
        ) {
            let scaled = |x: &[f64]| x.iter().map(|x| x * 10f64.powi(scale)).collect::<Vec<f64>>();
            let (value, residual) = compare(&scaled(&diagonal[..n]), &scaled(&off[..n - 1]));
            prop_assert!(value < 1e-13, "value {value:e}");
            prop_assert!(residual < 1e-12, "residual {residual:e}");
        }
    }

    #[test]
    fn equal_diagonals_give_the_lowest_pair_too() {
        // Eigenvalues 1e-10 apart.
        let close = (vec![0.5; 2], vec![4.6544534075950465e-11]);
        for (diagonal, off) in [(vec![0.0; 2], vec![1.0]), (vec![0.5; 4], vec![0.25; 3]), (vec![-3.0], vec![]), close] {
            let (value, residual) = compare(&diagonal, &off);
            assert!(value < 1e-13 && residual < 1e-12, "{diagonal:?} {off:?} {value:e} {residual:e}");
        }
    }

    #[test]
    fn rigid_motions_are_projected_out() {
        // Two points of the plane at their distance of rest, f = (d^2 - 1)^2: only stretching costs anything, with a
        // curvature of 16 along the unit vector that moves both.
        let f = |x: &[f64], g: &mut [f64]| {
            let (dx, dy) = (x[0] - x[2], x[1] - x[3]);
            let off = dx * dx + dy * dy - 1.0;
            (g[0], g[1], g[2], g[3]) = (4.0 * off * dx, 4.0 * off * dy, -4.0 * off * dx, -4.0 * off * dy);
            off * off
        };
        let mut loss = ClosedForm::new(4, None, f);
        let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
        let theta = [0.3, -0.2, 0.9, 0.6];
        let blocks = vec![vec![0, 1], vec![2, 3]];
        let rigid = Tangents::new(&[Symmetry { kind: SymmetryKind::Rigid, blocks }]);
        let whole = lowest(&mut oracle, &theta, &Tangents::none(), 0).unwrap().unwrap();
        assert_eq!((whole.values.len(), whole.projected), (4, 0));
        assert!(whole.values[2].abs() <= whole.tau, "{whole:?}");
        for found in [lowest(&mut oracle, &theta, &rigid, 0), lanczos(&mut oracle, &theta, &rigid, 0)] {
            let found = found.unwrap().unwrap();
            assert_eq!((found.values.len(), found.projected), (1, 3));
            assert!((found.values[0] - 16.0).abs() < 1e-6); // Differences of gradients are good to about 1e-9.
            let stretch = [-0.6, -0.8, 0.6, 0.8].map(|x| x / 2.0_f64.sqrt());
            assert!(dot(&found.vector, &stretch).abs() > 1.0 - 1e-9);
        }
    }

    #[test]
    fn lanczos_and_the_whole_hessian_agree_on_the_lowest_eigenvalue() {
        // f = sum_i a_i x_i^2 / 2 + x_0 x_1 x_2 at x = (1, ..., 1): one clearly negative eigenvalue.
        let f = |x: &[f64], g: &mut [f64]| {
            let a = |i: usize| if i == 0 { -3.0 } else { i as f64 };
            let cubic = [x[1] * x[2], x[0] * x[2], x[0] * x[1]];
            for i in 0..x.len() {
                g[i] = a(i) * x[i] + cubic.get(i).unwrap_or(&0.0);
            }
            (0..x.len()).map(|i| 0.5 * a(i) * x[i] * x[i]).sum::<f64>() + x[0] * x[1] * x[2]
        };
        let mut loss = ClosedForm::new(30, None, f);
        let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
        let theta = vec![1.0; 30];
        let dense = Hessian::at(&mut oracle, &theta, &Tangents::none()).unwrap().unwrap().lowest();
        let krylov = lanczos(&mut oracle, &theta, &Tangents::none(), 7).unwrap().unwrap();
        // Products are differences of gradients here, good to about 1e-9.
        assert!((dense.values[0] - krylov.values[0]).abs() < 1e-6, "{} {}", dense.values[0], krylov.values[0]);
        assert!(dot(&dense.vector, &krylov.vector).abs() > 1.0 - 1e-6);
        assert_eq!((dense.index(), krylov.index()), (1, 1));
    }
}
