//! From a critical point up to one of the next index: eigenvector following on the whole Hessian (Cerjan and Miller 1981;
//! Doye and Wales 2002), for few parameters.
//!
//! The directions that the walk goes up are followed by their likeness from step to step: those in which the loss falls
//! from where it began, and one more. In all others it goes down. Newton's steps, no longer than a radius that grows while
//! the gradient changes as the Hessian says.

use super::hessian::Hessian;
use super::landscape::{Critical, Evidence, Spectrum};
use super::minima::Domain;
use super::uphill::{FIRST, skewed, trusted};
use super::vector::{axpy, distance, dot, norm};
use crate::error::Result;
use crate::loss::oracle::Oracle;

/// The most parameters for which points of index 2 and above are looked for: each step costs a whole Hessian.
pub const MOST: usize = 50;
const STEPS: usize = 80;

/// Where a walk begins, and which way it goes.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// A critical point.
    pub theta: &'a [f64],
    /// Its index: so many modes are climbed already.
    pub index: usize,
    /// The mode that is climbed besides, the lowest is 0; no lower than `index`.
    pub mode: usize,
    /// To which side of it, 1 or -1.
    pub side: f64,
    /// A length on which the landscape changes.
    pub reach: f64,
}

/// A critical point of the next index, of a gradient norm up to `tolerance`; `None` where the walk finds none. Costs a
/// gradient and p Hessian products a step.
pub fn next_index(
    oracle: &mut Oracle<'_>,
    from: Start<'_>,
    domain: &Domain,
    tolerance: f64,
) -> Result<Option<Critical>> {
    let p = from.theta.len();
    let Ok(hessian) = Hessian::at(oracle, from.theta, domain.tangents())? else { return Ok(None) };
    let modes = |h: &Hessian| h.vectors.chunks_exact(p).map(<[f64]>::to_vec).collect::<Vec<Vec<f64>>>();
    let all = modes(&hessian);
    let Some(mode) = all.get(from.mode) else { return Ok(None) };
    let mut up: Vec<Vec<f64>> = all[..from.index].to_vec();
    let ahead: Vec<f64> = mode.iter().map(|x| from.side * x).collect();
    up.push(ahead.clone());
    let mut theta = from.theta.to_vec();
    axpy(&mut theta, FIRST * from.reach, &skewed(&ahead));
    let (mut radius, most) = (FIRST * from.reach, 0.2 * from.reach);
    let mut forecast: Option<Vec<f64>> = None;
    for _step in 0..STEPS {
        let (losses, gradient) = oracle.gradients(&theta)?;
        let size = norm(&gradient);
        if !size.is_finite() || !domain.contains(&theta, 0.0) || distance(&theta, from.theta) > 50.0 * from.reach {
            return Ok(None);
        }
        let Ok(hessian) = Hessian::at(oracle, &theta, domain.tangents())? else { return Ok(None) };
        if size <= tolerance {
            return Ok(of_index(&hessian, theta, losses[0], size, from.index + 1));
        }
        if let Some(forecast) = &forecast {
            let miss = distance(&gradient, forecast) / size.max(f64::MIN_POSITIVE);
            radius = trusted(radius, miss, [0.3, 1.0]).min(most);
        }
        let all = modes(&hessian);
        up = likest(&all, &up);
        let mut step = vec![0.0; p];
        let mut change = gradient.clone();
        for (value, vector) in hessian.values.iter().zip(&all) {
            let along = dot(&gradient, vector);
            let goes_up = up.iter().any(|u| dot(u, vector).abs() > 0.5);
            let newton = along / value.abs().max(hessian.tau).max(f64::MIN_POSITIVE);
            let length = match (goes_up, *value < 0.0) {
                (true, true) => newton,
                (true, false) => radius * along.signum(),
                (false, _) => -newton,
            };
            axpy(&mut step, length, vector);
        }
        let length = norm(&step);
        if length > radius {
            step.iter_mut().for_each(|x| *x *= radius / length);
        }
        for (value, vector) in hessian.values.iter().zip(&all) {
            axpy(&mut change, value * dot(&step, vector), vector);
        }
        forecast = Some(change);
        axpy(&mut theta, 1.0, &step);
    }
    Ok(None)
}

/// Of some modes as many as there were, those most like them.
fn likest(all: &[Vec<f64>], before: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let likeness = |mode: &Vec<f64>| before.iter().map(|u| dot(u, mode).powi(2)).sum::<f64>();
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by(|&a, &b| likeness(&all[b]).total_cmp(&likeness(&all[a])).then(a.cmp(&b)));
    order.into_iter().take(before.len()).map(|k| all[k].clone()).collect()
}

/// What a Hessian says of a critical point, if it is of the index wanted beyond doubt.
fn of_index(hessian: &Hessian, theta: Vec<f64>, loss: f64, gradient_norm: f64, index: usize) -> Option<Critical> {
    let tau = hessian.tau;
    let negative = hessian.values.iter().filter(|&&v| v < -tau).count();
    if negative != index || hessian.values.iter().any(|v| v.abs() <= tau) {
        return None;
    }
    let evidence = Evidence {
        gradient_norm,
        eigenvalues: hessian.values.iter().copied().take(index + 1).collect(),
        tau: Some(tau),
        spectrum: Some(Spectrum::Dense),
        projected: hessian.projected,
        ..Evidence::default()
    };
    Some(Critical { cell: 0, index, theta, loss, evidence })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::closed_form::ClosedForm;
    use crate::run::{Budget, Cancel};

    #[test]
    fn from_a_saddle_of_cosines_a_walk_leads_to_their_top() {
        let f = |x: &[f64], g: &mut [f64]| {
            g.iter_mut().zip(x).for_each(|(g, x)| *g = -x.sin());
            x.iter().map(|x| x.cos()).sum()
        };
        let mut loss = ClosedForm::new(3, None, f);
        let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
        let domain = Domain::new(None, &[], 3, Some(1e6), 1.0);
        let pi = std::f64::consts::PI;
        for mode in [1, 2] {
            let from = Start { theta: &[0.0, pi, pi], index: 1, mode, side: 1.0, reach: 1.0 };
            let top = next_index(&mut oracle, from, &domain, 1e-8).unwrap().unwrap();
            assert_eq!(top.index, 2);
            assert!((top.loss - 1.0).abs() < 1e-12, "{top:?}");
        }
    }
}
