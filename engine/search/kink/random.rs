//! Random functions with kinks in two nested layers, all of whose critical points can be enumerated:
//! f = |U h2 + W h1 - y|^2 / 2 + l |theta|^2 / 2, h = max(z, alpha z), z1 = A theta + a, z2 = B h1 + C theta + c.

use super::super::kinked::{Certificate, Doubt};
use super::super::tangents::Tangents;
use super::super::vector::{axpy, distance, dot, norm};
use super::certificate::certify;
use super::linear::System;
use super::polish::polish;
use super::stationary::stationarity;
use crate::Result;
use crate::loss::closed_form::ClosedForm;
use crate::loss::oracle::Oracle;
use crate::loss::{Batch, Info, Kink, Linear, Loss, Slope};
use crate::run::{Budget, Cancel};

pub struct Kinked {
    info: Info,
    alpha: f64,
    /// Kinks of the first layer; the others are of the second.
    first: usize,
    /// A row a kink: by theta, its constant, and by the kinks of the first layer.
    by_theta: Vec<Vec<f64>>,
    constant: Vec<f64>,
    by_kink: Vec<Vec<f64>>,
    /// A row an output: by each kink; and targets.
    out: Vec<Vec<f64>>,
    target: Vec<f64>,
    l: f64,
}

/// The function with every kink on some slope (it is quadratic) or smoothed.
struct Smooth {
    loss: f64,
    grad: Vec<f64>,
    z: Vec<f64>,
    delta: Vec<f64>,
    rows: Vec<Vec<f64>>,
    residuals: Vec<Vec<f64>>,
    /// Of each kink by its z, where it is smoothed.
    curvature: Vec<f64>,
}

impl Kinked {
    fn smooth(&self, theta: &[f64], slopes: &[Slope], width: f64) -> Smooth {
        let n = self.constant.len();
        let given = |k: usize| slopes.iter().find(|slope| slope.id == k as u64).map(|slope| slope.t);
        let (mut z, mut h, mut t, mut curvature): (Vec<f64>, Vec<f64>, Vec<f64>, Vec<f64>) = Default::default();
        let mut rows: Vec<Vec<f64>> = Vec::new();
        for k in 0..n {
            let (mut row, mut value) = (self.by_theta[k].clone(), dot(&self.by_theta[k], theta) + self.constant[k]);
            for (j, &weight) in self.by_kink[k].iter().enumerate() {
                value += weight * h[j];
                axpy(&mut row, weight * t[j], &rows[j]);
            }
            let bend = 1.0 - self.alpha;
            if width > 0.0 {
                let part = 1.0 / (1.0 + (-value / width).exp());
                let softplus = value.max(0.0) + width * (-(value / width).abs()).exp().ln_1p();
                t.push(self.alpha + bend * part);
                h.push(self.alpha * value + bend * softplus);
                curvature.push(bend * part * (1.0 - part) / width);
            } else {
                t.push(given(k).unwrap_or(if value < 0.0 { self.alpha } else { 1.0 }));
                h.push(t[k] * value);
                curvature.push(0.0);
            }
            z.push(value);
            rows.push(row);
        }
        let (mut loss, mut grad) = (0.5 * self.l * dot(theta, theta), vec![0.0; theta.len()]);
        axpy(&mut grad, self.l, theta);
        let (mut delta, mut residuals) = (vec![0.0; n], Vec::new());
        for (weights, y) in self.out.iter().zip(&self.target) {
            let r = dot(weights, &h) - y;
            let mut row = vec![0.0; theta.len()];
            (0..n).for_each(|k| axpy(&mut row, weights[k] * t[k], &rows[k]));
            axpy(&mut grad, r, &row);
            axpy(&mut delta, r, weights);
            residuals.push(row);
            loss += 0.5 * r * r;
        }
        for k in self.first..n {
            for j in 0..self.first {
                delta[j] += self.by_kink[k][j] * t[k] * delta[k];
            }
        }
        Smooth { loss, grad, z, delta, rows, residuals, curvature }
    }

    fn write(&self, (slopes, width): (&[Slope], f64), batch: Batch<'_>, out: Option<Linear<'_>>) {
        let p = self.info.params;
        let (mut grad, mut hvp, mut out) = (batch.grad, batch.hvp, out);
        for (i, theta) in batch.theta.chunks_exact(p).enumerate() {
            let at = self.smooth(theta, slopes, width);
            (batch.loss[i], batch.ok[i]) = (at.loss, at.loss.is_finite());
            if let Some(grad) = &mut grad {
                grad[i * p..(i + 1) * p].copy_from_slice(&at.grad);
            }
            if let Some((v, product)) = &mut hvp {
                let (v, product) = (&v[i * p..(i + 1) * p], &mut product[i * p..(i + 1) * p]);
                product.fill(0.0);
                axpy(product, self.l, v);
                at.residuals.iter().for_each(|row| axpy(product, dot(row, v), row));
                for (k, row) in at.rows.iter().enumerate() {
                    axpy(product, at.delta[k] * at.curvature[k] * dot(row, v), row);
                }
            }
            if let Some(out) = &mut out {
                for (j, slope) in slopes.iter().enumerate() {
                    out.z[i * slopes.len() + j] = at.z[slope.id as usize];
                    out.delta[i * slopes.len() + j] = at.delta[slope.id as usize];
                }
            }
        }
    }
}

impl Loss for Kinked {
    fn info(&self) -> &Info {
        &self.info
    }

    fn eval(&mut self, batch: Batch<'_>) -> Result<()> {
        self.write((&[], 0.0), batch, None);
        Ok(())
    }

    fn kinks(&self) -> Result<u64> {
        Ok(self.constant.len() as u64)
    }

    fn eval_smoothed(&mut self, eps: f64, batch: Batch<'_>) -> Result<()> {
        self.write((&[], eps), batch, None);
        Ok(())
    }

    fn kinks_near(&mut self, theta: &[f64], width: f64) -> Result<Vec<Kink>> {
        let at = self.smooth(theta, &[], 0.0);
        let kink = |k: usize| Kink { id: k as u64, z: at.z[k], alpha: self.alpha, delta: at.delta[k] };
        Ok((0..at.z.len()).map(kink).filter(|kink| kink.z.abs() < width).collect())
    }

    fn eval_linear(&mut self, slopes: &[Slope], batch: Batch<'_>, out: Linear<'_>) -> Result<()> {
        self.write((slopes, 0.0), batch, Some(out));
        Ok(())
    }

    fn kink_rows(&mut self, theta: &[f64], slopes: &[Slope], out: &mut [f64]) -> Result<()> {
        let at = self.smooth(theta, slopes, 0.0);
        let rows = out.chunks_exact_mut(theta.len());
        rows.zip(slopes).for_each(|(out, slope)| out.copy_from_slice(&at.rows[slope.id as usize]));
        Ok(())
    }
}

/// Numbers in -1 .. 1 (a linear congruence of Knuth's).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    fn row(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.next()).collect()
    }
}

fn info(p: usize) -> Info {
    let mut info = ClosedForm::new(p, None, |_, _| 0.0).info;
    (info.caps.hvp, info.caps.smooth) = (true, false);
    info
}

pub fn random(seed: u64) -> Kinked {
    let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1);
    numbers.row(8);
    let (p, nested, alpha) = (2 + seed as usize % 2, seed % 4 < 2, [0.0, 0.1, -1.0][seed as usize % 3]);
    let (n, outputs) = (5, 3);
    let first = if nested { 3 } else { n };
    Kinked {
        info: info(p),
        alpha,
        first,
        by_theta: (0..n).map(|_| numbers.row(p)).collect(),
        constant: numbers.row(n),
        by_kink: (0..n).map(|k| if k < first { Vec::new() } else { numbers.row(first) }).collect(),
        out: (0..outputs).map(|_| numbers.row(n)).collect(),
        target: numbers.row(outputs).into_iter().map(|y| 2.0 * y).collect(),
        l: 0.1,
    }
}

pub fn oracle(loss: &mut Kinked) -> Oracle<'_> {
    Oracle::new(loss, None, &Cancel::default(), Budget::default()).unwrap()
}

/// What stands on a stratum: every kink below, at or above its edge. The point is the only one critical along it.
fn on(oracle: &mut Oracle<'_>, alpha: f64, pattern: &[usize]) -> Option<(Vec<f64>, Certificate)> {
    let p = oracle.params();
    let active: Vec<usize> = (0..pattern.len()).filter(|&k| pattern[k] == 1).collect();
    if active.len() > p {
        return None;
    }
    let fits = |z: &[f64]| pattern.iter().zip(z).all(|(kind, z)| [*z < 0.0, z.abs() < 1e-9, *z > 0.0][*kind]);
    let t = |kind: usize| [alpha, 0.5 * (1.0 + alpha), 1.0][kind];
    let mut slopes: Vec<Slope> = (0..pattern.len()).map(|k| Slope { id: k as u64, t: t(pattern[k]) }).collect();
    let mut theta = vec![0.0; p];
    // The first step is onto the point, whatever the slopes; they follow layer by layer.
    for step in 0..4 {
        let system = System::at(oracle, &theta, slopes.clone()).unwrap();
        if step > 0 && !fits(&system.at.z) {
            return None;
        }
        let step = system.step(oracle, &theta, &active, &[], 0.0).unwrap()?;
        axpy(&mut theta, 1.0, &step.theta);
        let delta = oracle.linear(&theta, &slopes).unwrap().delta;
        active.iter().zip(&step.multipliers).for_each(|(&a, mu)| slopes[a].t += mu / delta[a]);
    }
    let z = oracle.linear(&theta, &slopes).unwrap().z;
    let known: Vec<(Kink, f64)> =
        active.iter().map(|&a| (Kink { id: a as u64, z: z[a], alpha, delta: 0.0 }, slopes[a].t)).collect();
    fits(&z).then(|| (theta.clone(), certify(oracle, &theta, &known, &Tangents::none(), 10.0).unwrap().certificate))
}

/// All critical points, with their certificates, and how many strata were undecided. Where a slope is outside by its margin
/// none is critical, however well the point is known.
pub fn critical(loss: &mut Kinked) -> (Vec<(Vec<f64>, Certificate)>, usize) {
    let (n, alpha) = (loss.constant.len(), loss.alpha);
    let mut oracle = oracle(loss);
    let patterns = (0..3_usize.pow(n as u32)).map(|code| (0..n).map(|k| code / 3_usize.pow(k as u32) % 3).collect());
    let found = patterns.filter_map(|pattern: Vec<usize>| on(&mut oracle, alpha, &pattern));
    let (certified, other): (Vec<_>, Vec<_>) = found.partition(|(_, c)| c.index().is_some());
    (certified, other.iter().filter(|(_, c)| !c.doubts.contains(&Doubt::Regular)).count())
}

#[test]
fn the_indices_of_all_critical_points_add_up_to_that_of_a_ball() {
    let (mut decided, mut inverted) = (0, 0);
    for seed in 0..1000 {
        let (points, undecided) = critical(&mut random(seed));
        if undecided > 0 {
            continue;
        }
        let sum: i32 = points.iter().map(|(_, c)| if c.index().unwrap() % 2 == 0 { 1 } else { -1 }).sum();
        assert_eq!(sum, 1, "seed {seed}");
        decided += 1;
        inverted += points.iter().filter(|(_, c)| !c.inverted.is_empty()).count();
    }
    // Undecided are a few whose slopes are beyond 1e4: delta is nearly zero, and K nearly singular.
    assert!(decided >= 980 && inverted >= 1000, "{decided} {inverted}");
}

#[test]
fn polishing_from_nearby_ends_on_the_point() {
    let (mut asked, mut reached) = (0, 0);
    for seed in 0..100 {
        let mut loss = random(seed);
        let (points, _) = critical(&mut loss);
        let mut oracle = oracle(&mut loss);
        for (theta, certificate) in points {
            let near: Vec<f64> = theta.iter().map(|x| x + 1e-5).collect();
            asked += 1;
            let polished = polish(&mut oracle, &near, 3e-5, &Tangents::none()).unwrap();
            reached += usize::from(polished.is_some_and(|polished| {
                distance(&polished.theta, &theta) < 1e-8
                    && polished.certified.certificate.index() == certificate.index()
            }));
        }
    }
    assert!(asked > 100 && reached * 100 >= asked * 98, "{reached} of {asked}");
}

/// c |x| + d |y| + bx + x^2 + y^2 would need no squares of kinks: kinks enter a square beside a large target.
fn edges(weights: [f64; 2], tilt: f64) -> Kinked {
    // (w h - y)^2 / 2 has slope -y w at h = 0: with y = -1 it is w.
    Kinked {
        info: info(2),
        alpha: -1.0,
        first: 2,
        by_theta: vec![vec![1.0, 0.0], vec![0.0, 1.0]],
        constant: vec![0.0, 0.0],
        by_kink: vec![Vec::new(), Vec::new()],
        out: vec![weights.to_vec()],
        target: vec![tilt],
        l: 3.0,
    }
}

fn at_the_corner(weights: [f64; 2], t: [f64; 2]) -> Certificate {
    let mut loss = edges(weights, -1.0);
    let kink = |id: u64| Kink { id, z: 0.0, alpha: -1.0, delta: 0.0 };
    let active = [(kink(0), t[0]), (kink(1), t[1])];
    certify(&mut oracle(&mut loss), &[0.0; 2], &active, &Tangents::none(), 1.0).unwrap().certificate
}

#[test]
fn a_kink_that_bends_downwards_adds_to_the_index_without_a_negative_eigenvalue() {
    let index = |weights| at_the_corner(weights, [0.0; 2]).index();
    assert_eq!([index([1.0, 1.0]), index([1.0, -1.0]), index([-1.0, -1.0])], [Some(0), Some(1), Some(2)]);
    assert_eq!(at_the_corner([1.0, -1.0], [0.0; 2]).negative, 0);
}

#[test]
fn what_is_not_critical_or_does_not_bend_is_refused() {
    assert_eq!(at_the_corner([1.0, 1.0], [0.5, 0.0]).doubts, [Doubt::Residual, Doubt::Slope]);
    assert_eq!(at_the_corner([1.0, 0.0], [0.0; 2]).doubts, [Doubt::Slope]);
}

#[test]
fn two_kinks_in_one_are_dependent() {
    let mut loss = edges([1.0, 1.0], -1.0);
    loss.by_theta[1] = vec![1.0, 0.0];
    let kink = |id: u64| (Kink { id, z: 0.0, alpha: -1.0, delta: 0.0 }, 0.0);
    let seen = certify(&mut oracle(&mut loss), &[0.0; 2], &[kink(0), kink(1)], &Tangents::none(), 1.0);
    assert!(seen.unwrap().certificate.doubts.contains(&Doubt::Dependent));
}

#[test]
fn an_inflection_and_a_kink_on_the_edge_are_refused() {
    let mut flat = edges([0.0, 1.0], -1.0);
    flat.l = 0.0;
    let kink = |id: u64| (Kink { id, z: 0.0, alpha: -1.0, delta: 0.0 }, 0.0);
    let seen = certify(&mut oracle(&mut flat), &[0.5, 0.0], &[kink(1)], &Tangents::none(), 1e-3).unwrap().certificate;
    assert!(seen.doubts.contains(&Doubt::Flat), "{seen:?}");
    let mut edge = edges([1.0, 1.0], -1.0);
    let seen = certify(&mut oracle(&mut edge), &[0.0; 2], &[kink(1)], &Tangents::none(), 1.0).unwrap().certificate;
    assert!(seen.doubts.contains(&Doubt::Side), "{seen:?}");
}

#[test]
fn beside_a_critical_point_the_least_norm_is_small_where_the_gradient_is_not() {
    let mut asked = 0;
    for seed in (0..200).filter(|seed| seed % 4 >= 2) {
        // One layer: no kink feeds another.
        let mut loss = random(seed);
        let (points, _) = critical(&mut loss);
        let mut oracle = oracle(&mut loss);
        for (theta, _) in points.iter().filter(|(_, certificate)| !certificate.active.is_empty()) {
            let near: Vec<f64> = theta.iter().map(|x| x + 1e-7).collect();
            let gradient = norm(&oracle.gradients(&near).unwrap().1);
            // The gradient changes by the curvature, of 1e2 at most, times 1e-7.
            let least = stationarity(&mut oracle, &near, 1e-5).unwrap();
            assert!(least < 1e-5 && least <= gradient, "seed {seed}: {least} {gradient}");
            asked += usize::from(gradient > 1e-2);
        }
    }
    assert!(asked > 50, "{asked}");
}

#[test]
fn where_no_slope_helps_the_least_norm_is_that_of_the_nearest_slopes() {
    for (weights, expected) in [([1.0, 1.0], 0.02_f64.sqrt()), ([-1.0, 1.0], 0.02_f64.sqrt()), ([2.0, 0.0], 0.2)] {
        // Slopes of 0.1 to 1 times the weights: 0 is not among them.
        let mut loss = Kinked { alpha: 0.1, ..edges(weights, -1.0) };
        let least = stationarity(&mut oracle(&mut loss), &[0.0; 2], 1.0).unwrap();
        assert!((least - expected).abs() < 1e-15, "{least} {expected}");
    }
}

#[test]
fn where_the_loss_is_not_finite_nothing_is_certified() {
    // Its square overflows, in an output that moves with nothing: gradient and products are those of the minimum.
    let mut loss = edges([1.0, 1.0], -1.0);
    loss.out.push(vec![0.0; 2]);
    loss.target.push(1e200);
    let kink = |id: u64| (Kink { id, z: 0.0, alpha: -1.0, delta: 0.0 }, 0.0);
    let mut oracle = oracle(&mut loss);
    let seen = certify(&mut oracle, &[0.0; 2], &[kink(0), kink(1)], &Tangents::none(), 1.0).unwrap().certificate;
    assert_eq!((seen.index(), seen.doubts.first()), (None, Some(&Doubt::Residual)));
    assert!(polish(&mut oracle, &[1e-6; 2], 1e-4, &Tangents::none()).unwrap().is_none());
    assert!(stationarity(&mut oracle, &[1e-6; 2], 1e-4).unwrap().is_nan());
}
