//! Up from a minimum along one of its modes to a saddle: min-mode following (Cerjan and Miller 1981; Munro and Wales 1999).
//!
//! The mode is followed by its likeness to what it was a step before, in a Krylov subspace of few dimensions. Along it the
//! walk climbs, at first by steps that lengthen while the slope changes as the curvature says, then, once the loss curves
//! down that way, by Newton's; across it L-BFGS descends. Where the gradient has become small the top is handed over, to
//! be made a saddle by `saddle.rs`.

use super::lbfgs::Lbfgs;
use super::minima::Domain;
use super::start::uniform;
use super::subspace::Subspace;
use super::tangents;
use super::vector::{axpy, distance, dot, norm};
use crate::error::Result;
use crate::loss::oracle::Oracle;

/// Where a climb begins, and which way.
#[derive(Clone, Copy, Debug)]
pub struct Climb<'a> {
    /// The minimum.
    pub minimum: &'a [f64],
    /// A unit vector, followed to the side it points to.
    pub mode: &'a [f64],
    /// A length on which the landscape changes: that of the way to another minimum, say. No step is longer than a fifth
    /// of it.
    pub reach: f64,
}

/// The most steps of a climb.
const STEPS: usize = 150;
/// Dimensions in which the mode is looked for again.
const DIMENSIONS: usize = 4;
/// The first step, in reaches. (From exactly along a mode a symmetric loss would lead to a point of higher index.)
pub(super) const FIRST: f64 = 0.01;
const SKEW: f64 = 0.02;
const MEMORY: usize = 10;
/// A climb that has come so many reaches far goes up what rises for ever, a penalty of the size of theta for one. (The
/// saddles of networks and of clusters lay within four and a half.)
const FAR: f64 = 12.0;

/// The point near a saddle that a climb comes to and the mode there, or `None` where it leaves the domain, finds no end, or returns. Costs a
/// gradient and up to four Hessian products a step.
pub fn climb(oracle: &mut Oracle<'_>, from: Climb<'_>, domain: &Domain) -> Result<Option<(Vec<f64>, Vec<f64>)>> {
    let mut mode = from.mode.to_vec();
    let mut theta = from.minimum.to_vec();
    axpy(&mut theta, FIRST * from.reach, &skewed(&mode));
    let (mut radius, most) = (FIRST * from.reach, 0.2 * from.reach);
    let mut across = Across::new();
    let mut highest = 0.0_f64;
    let mut forecast: Option<f64> = None;
    for _step in 0..STEPS {
        let (losses, gradient) = oracle.gradients(&theta)?;
        if !losses[0].is_finite() || !domain.contains(&theta, 0.0) {
            return Ok(None);
        }
        let held = domain.tangents().at(&theta);
        tangents::remove(&held, &mut mode);
        let Some(space) = Subspace::of(oracle, &theta, &mode, &held, DIMENSIONS)? else { return Ok(None) };
        let Some((curvature, turned)) = space.likest() else { return Ok(None) };
        mode = turned;
        let slope = dot(&gradient, &mode);
        let mut down = gradient.clone();
        axpy(&mut down, -slope, &mode);
        let (size, aside) = (norm(&gradient), norm(&down));
        highest = highest.max(size);
        // Near a saddle the slope is what the curvature makes of a short way.
        if curvature < 0.0 && size <= (0.02 * highest).min(-curvature * from.reach) {
            return Ok(Some((theta, mode)));
        }
        // How well the last forecast was kept says how far to go.
        if let Some(forecast) = forecast {
            let miss = (slope - forecast).abs() / size.max(f64::MIN_POSITIVE);
            radius = trusted(radius, miss, [0.2, 0.6]).min(most);
        }
        let along = match curvature < 0.0 {
            true => (slope / curvature.abs()).clamp(-radius, radius),
            // A steep fall beside is gone down first.
            false => radius * (slope.abs() / aside.max(f64::MIN_POSITIVE)).clamp(0.1, 1.0),
        };
        forecast = Some(slope + curvature * along);
        let mut step = across.step(&theta, &down, &mode, radius);
        axpy(&mut step, along, &mode);
        axpy(&mut theta, 1.0, &step);
        if distance(&theta, from.minimum) > FAR * from.reach {
            return Ok(None);
        }
    }
    Ok(None)
}

/// How far to go after a step whose forecast was missed by a part of the gradient: further where by less than the first
/// bound, less far where by more than the second.
pub(super) fn trusted(radius: f64, miss: f64, [little, much]: [f64; 2]) -> f64 {
    match (miss < little, miss > much) {
        (true, _) => 1.5 * radius,
        (_, true) => 0.5 * radius,
        _ => radius,
    }
}

/// A direction that is nearly the mode, off every plane of symmetry.
pub(super) fn skewed(mode: &[f64]) -> Vec<f64> {
    let mut unit = uniform(0, 1);
    let noise: Vec<f64> = mode.iter().map(|_| 2.0 * unit() - 1.0).collect();
    let mut out = mode.to_vec();
    axpy(&mut out, SKEW / norm(&noise).max(f64::MIN_POSITIVE), &noise);
    out
}

/// The descent across the mode.
struct Across {
    memory: Lbfgs,
    before: Option<(Vec<f64>, Vec<f64>)>,
}

impl Across {
    fn new() -> Across {
        Across { memory: Lbfgs::new(MEMORY), before: None }
    }

    /// A step down the part of the gradient across the mode, no longer than the radius.
    fn step(&mut self, theta: &[f64], down: &[f64], mode: &[f64], radius: f64) -> Vec<f64> {
        if let Some((point, slope)) = self.before.take() {
            let across = |a: &[f64], b: &[f64]| {
                let mut change: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
                let along = dot(&change, mode);
                axpy(&mut change, -along, mode);
                change
            };
            self.memory.remember(across(theta, &point), across(down, &slope));
        }
        self.before = Some((theta.to_vec(), down.to_vec()));
        let mut step = self.memory.direction(down);
        let along = dot(&step, mode);
        axpy(&mut step, -along, mode);
        let length = norm(&step);
        if length > radius {
            step.iter_mut().for_each(|x| *x *= radius / length);
        }
        step
    }
}
