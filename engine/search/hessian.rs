//! The Hessian at a point, whole or as a Krylov space sees it.
//!
//! Up to [`DENSE`] parameters it is formed from p products and all eigenvalues are taken, so an index is exact up to tau,
//! the measured error; above, a Krylov space from a seeded random vector gives the lowest pairs with their residuals,
//! labelled iterative. It grows until every sign that is told is three times as large as its residual, or says that it
//! is not. Tangents of continuous symmetries are projected out of either.

use super::krylov::{self, Grown, Ritz, Space};
use super::landscape::Spectrum;
use super::noise::direction;
use super::signs::{Found, Lowest, NoSpectrum};
use super::tangents::Tangents;
use super::vector::dot;
use crate::error::Result;
use crate::loss::oracle::Oracle;

/// The largest p for which the whole Hessian is formed: a Krylov space needs 70 to 130 products on networks of 600 to
/// 1,200 parameters.
pub const DENSE: usize = 300;
/// The most products of an iterative check.
const PRODUCTS: usize = 400;
/// Products of one batch, where the whole Hessian is formed.
const ROWS: usize = 64;
/// Directions held at once, products between two looks at the pairs, and pairs kept at a restart.
const DIRECTIONS: usize = 120;
const LOOK: usize = 6;
const KEPT: usize = 24;
/// Directions of the space of a Newton step.
const STEP: usize = 80;
/// Products that tell the size of a Hessian.
const SIZED: usize = 12;
/// A value whose residual is at most this part of it has its sign.
const DECIDED: f64 = 1.0 / 3.0;

/// The lowest eigenvalues at theta in the complement of orthonormal directions.
pub fn lowest(
    oracle: &mut Oracle<'_>,
    theta: &[f64],
    held: &[Vec<f64>],
    known: Option<&[f64]>,
) -> Result<Found<Lowest>> {
    match theta.len() <= DENSE {
        true => Ok(Hessian::beside(oracle, theta, held)?.map(|hessian| hessian.lowest())),
        false => iterative(oracle, theta, held, known),
    }
}

/// All eigenpairs of a Hessian in the complement of the tangents of continuous symmetries.
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

impl Hessian {
    /// Forms the Hessian at theta from p products and decomposes it.
    pub fn at(oracle: &mut Oracle<'_>, theta: &[f64], symmetry: &Tangents) -> Result<Found<Hessian>> {
        Hessian::beside(oracle, theta, &symmetry.at(theta))
    }

    /// The same in the complement of orthonormal directions.
    fn beside(oracle: &mut Oracle<'_>, theta: &[f64], held: &[Vec<f64>]) -> Result<Found<Hessian>> {
        let h = whole(oracle, theta)?;
        Ok(Hessian::of(&h, held, oracle.product_error()))
    }

    /// Decomposes a matrix of products, `p x p`, in the complement of orthonormal vectors.
    fn of(h: &[f64], held: &[Vec<f64>], product_error: f64) -> Found<Hessian> {
        if h.iter().any(|x| !x.is_finite()) {
            return Err(NoSpectrum::NotFinite);
        }
        let p = h.len().isqrt();
        let asymmetry =
            (0..p).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| (h[i * p + j] - h[j * p + i]).powi(2));
        let asymmetry = asymmetry.sum::<f64>().sqrt();
        let mut matrix = faer::Mat::from_fn(p, p, |i, j| 0.5 * (h[i * p + j] + h[j * p + i]));
        let lifted = lift(&mut matrix, held);
        let kept = p - held.len();
        let Ok(eigen) = matrix.self_adjoint_eigen(faer::Side::Lower) else {
            return Err(NoSpectrum::NotConverged);
        };
        let values: Vec<f64> = eigen.S().column_vector().iter().copied().take(kept).collect();
        let vectors = (0..kept).flat_map(|k| eigen.U().col(k).iter().copied().collect::<Vec<_>>()).collect();
        let largest = values.iter().fold(lifted, |m: f64, v| m.max(v.abs()));
        // A symmetric eigensolver is backward stable: each value is off by at most a modest multiple of eps |H|.
        let tau = asymmetry.max(f64::EPSILON * largest * (p as f64).sqrt() * 4.0).max(product_error * largest);
        Ok(Hessian { values, vectors, tau, projected: held.len() })
    }

    /// All eigenpairs where p is small; of more parameters those of the space that a gradient and a low mode begin:
    /// what a Newton step needs. Costs as many products as there are pairs.
    pub fn seen_from(
        oracle: &mut Oracle<'_>,
        theta: &[f64],
        symmetry: &Tangents,
        seeds: [Vec<f64>; 2],
    ) -> Result<Found<Hessian>> {
        if theta.len() <= DENSE {
            return Hessian::at(oracle, theta, symmetry);
        }
        let held = symmetry.at(theta);
        let mut space = Space::new(theta, &held);
        let room = krylov::room(theta.len(), STEP);
        let mut grown = space.join(oracle, seeds.into())?;
        while matches!(grown, Grown::By(1..)) && space.len() + 1 < room {
            grown = space.grow(oracle)?;
        }
        if grown == Grown::NotFinite {
            return Ok(Err(NoSpectrum::NotFinite));
        }
        let Some(ritz) = space.ritz() else { return Ok(Err(NoSpectrum::NotConverged)) };
        let tau = rounding(&ritz, theta.len());
        let vectors = (0..ritz.values.len()).flat_map(|k| space.vector(&ritz, k)).collect();
        Ok(Ok(Hessian { values: ritz.values, vectors, tau, projected: held.len() }))
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

/// A Hessian from its products with all unit vectors, some at a time: `p x p`.
pub fn whole(oracle: &mut Oracle<'_>, theta: &[f64]) -> Result<Vec<f64>> {
    let p = theta.len();
    let mut h = Vec::with_capacity(p * p);
    for first in (0..p).step_by(ROWS) {
        let rows = ROWS.min(p - first);
        let mut directions = vec![0.0; rows * p];
        (0..rows).for_each(|r| directions[r * p + first + r] = 1.0);
        h.extend(oracle.hessian_products(theta, &directions)?);
    }
    Ok(h)
}

/// Makes tangents eigenvectors of a matrix, of an eigenvalue above all others, which it returns: they then come last. The
/// rest is the matrix projected onto their complement.
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

/// The lowest pairs by a Krylov space.
pub fn iterative(
    oracle: &mut Oracle<'_>,
    theta: &[f64],
    held: &[Vec<f64>],
    known: Option<&[f64]>,
) -> Result<Found<Lowest>> {
    let mut space = Space::new(theta, held);
    let room = krylov::room(theta.len(), DIRECTIONS);
    let mut grown = space.join(oracle, known.map(<[f64]>::to_vec).into_iter().collect())?;
    if grown != Grown::NotFinite {
        // Always the same vector: what a check finds depends on nothing beside the point.
        grown = space.join(oracle, vec![direction(theta.len())])?;
    }
    let mut products = space.len();
    loop {
        for _ in 0..LOOK.min(room - space.len()) {
            grown = if matches!(grown, Grown::By(1..)) { space.grow(oracle)? } else { break };
            products += 1;
        }
        if grown == Grown::NotFinite {
            return Ok(Err(NoSpectrum::NotFinite));
        }
        let Some(ritz) = space.ritz() else { return Ok(Err(NoSpectrum::NotConverged)) };
        let (values, tau) = signs(&space, &ritz, oracle.product_error());
        let least = values.iter().fold(f64::INFINITY, |least, value| value.abs().min(least));
        let is_rounding = tau <= rounding(&ritz, theta.len());
        if tau <= DECIDED * least || is_rounding || grown == Grown::By(0) || products >= PRODUCTS {
            let vector = space.vector(&ritz, 0);
            return Ok(Ok(Lowest { values, vector, tau, method: Spectrum::Iterative, projected: held.len() }));
        }
        if space.len() >= room {
            space.restart(&ritz, KEPT.min(room / 2));
        }
    }
}

/// About the largest curvature at theta, from above: a Krylov space sees it first. Costs 12 products.
pub fn size(oracle: &mut Oracle<'_>, theta: &[f64]) -> Result<f64> {
    let mut space = Space::new(theta, &[]);
    let mut grown = space.join(oracle, vec![direction(theta.len())])?;
    while matches!(grown, Grown::By(1..)) && space.len() < SIZED {
        grown = space.grow(oracle)?;
    }
    let Some(ritz) = space.ritz().filter(|_| grown != Grown::NotFinite) else { return Ok(f64::INFINITY) };
    let end = |k: usize| ritz.values[k].abs() + space.residual(&ritz, k);
    Ok(end(0).max(end(ritz.values.len() - 1)))
}

/// The lowest values up to the first that is positive beyond its residual, and the largest of their residuals.
fn signs(space: &Space<'_>, ritz: &Ritz, product_error: f64) -> (Vec<f64>, f64) {
    let largest = ritz.values.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    let (mut values, mut tau) = (Vec::new(), (product_error * largest).max(rounding(ritz, 1)));
    for (k, &value) in ritz.values.iter().enumerate() {
        tau = space.residual(ritz, k).max(tau);
        values.push(value);
        // Behind one that is not known nothing is.
        if value > 0.0 || tau > DECIDED * value.abs() {
            break;
        }
    }
    (values, tau)
}

/// What a residual is not smaller than, whatever is computed.
fn rounding(ritz: &Ritz, p: usize) -> f64 {
    let largest = ritz.values.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    4.0 * f64::EPSILON * largest * (p as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::closed_form::ClosedForm;
    use crate::loss::{Symmetry, SymmetryKind};
    use crate::run::{Budget, Cancel};

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
        let held = Tangents::new(&[Symmetry { kind: SymmetryKind::Rigid, blocks }]).at(&theta);
        let whole = lowest(&mut oracle, &theta, &[], None).unwrap().unwrap();
        assert_eq!((whole.values.len(), whole.projected), (4, 0));
        assert!(whole.values[2].abs() <= whole.tau, "{whole:?}");
        for found in [lowest(&mut oracle, &theta, &held, None), iterative(&mut oracle, &theta, &held, None)] {
            let found = found.unwrap().unwrap();
            assert_eq!((found.values.len(), found.projected), (1, 3));
            assert!((found.values[0] - 16.0).abs() < 1e-6); // Differences of gradients are good to about 1e-9.
            let stretch = [-0.6, -0.8, 0.6, 0.8].map(|x| x / 2.0_f64.sqrt());
            assert!(dot(&found.vector, &stretch).abs() > 1.0 - 1e-9);
        }
    }

    #[test]
    fn a_krylov_space_and_the_whole_hessian_agree_on_the_lowest_eigenvalue() {
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
        let krylov = iterative(&mut oracle, &theta, &[], None).unwrap().unwrap();
        // Products are differences of gradients here, good to about 1e-9.
        assert!((dense.values[0] - krylov.values[0]).abs() < 1e-6, "{} {}", dense.values[0], krylov.values[0]);
        assert!(dot(&dense.vector, &krylov.vector).abs() > 1.0 - 1e-6);
        assert_eq!((dense.index(), krylov.index()), (1, 1));
    }

    /// f = sum of c_i x_i^2 / 2, with the Hessian's products exact.
    fn quadratic(curvatures: Vec<f64>) -> ClosedForm<impl FnMut(&[f64], &mut [f64]) -> f64 + Send> {
        let p = curvatures.len();
        ClosedForm::new(p, None, move |x: &[f64], g: &mut [f64]| {
            for i in 0..x.len() {
                g[i] = curvatures[i] * x[i];
            }
            0.5 * dot(x, g)
        })
    }

    fn signs_of(curvatures: Vec<f64>) -> Lowest {
        let theta = vec![0.0; curvatures.len()];
        let mut loss = quadratic(curvatures);
        let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
        let lowest = iterative(&mut oracle, &theta, &[], None).unwrap().unwrap();
        // Each product is two gradients here.
        assert!(oracle.take_tally().total() <= 2 * (PRODUCTS + LOOK) as u64);
        lowest
    }

    #[test]
    fn signs_are_decided_where_the_condition_is_bad() {
        // As those of networks are: a few large, all others low. They need more directions than there is room for.
        let low = |least: f64, i: u32| least + 1e-2 * (f64::from(i) / 2000.0).powi(4);
        let spread = |least: f64| {
            (0..2000).map(|i| if i < 30 { 0.1 + 0.03 * f64::from(i) } else { low(least, i) }).collect::<Vec<f64>>()
        };
        let minimum = signs_of(spread(1e-4));
        assert!(
            minimum.index() == 0 && minimum.values.len() == 1 && minimum.values[0] > 3.0 * minimum.tau,
            "{minimum:?}"
        );
        let mut saddle = spread(1e-4);
        saddle[77] = -1e-4;
        let saddle = signs_of(saddle);
        assert_eq!((saddle.index(), saddle.values.len()), (1, 2));
        assert!(saddle.values.iter().all(|value| value.abs() >= 3.0 * saddle.tau));
    }

    #[test]
    fn a_curvature_of_zero_stays_undecided() {
        let mut flat: Vec<f64> = (0..600).map(|i| 0.01 + f64::from(i)).collect();
        flat[5] = 0.0;
        let lowest = signs_of(flat);
        assert!(lowest.index() == 0 && lowest.values[0].abs() <= lowest.tau, "{lowest:?}");
    }
}
