//! Minima: descents from many starts in lockstep, one batched call a round, each ending with its evidence.
//!
//! L-BFGS ([`Walk`](super::walk); no Wolfe search, no Adam first: docs/decisions.md#search) until the gradient is small in
//! the loss's own units, because bars can be far shorter than the loss is high. Then the lowest eigenvalues: a negative
//! one is stepped along and the descent goes on. Rows of a batch do not see each other, so a descent ends in the same
//! bits whatever runs beside it.

use super::landscape::Descent;
use super::noise::noise;
use super::spectrum::{self, NoSpectrum};
use super::vector::norm;
use super::walk::{Grain, Walk};
use crate::error::Result;
use crate::loss::oracle::Oracle;

pub use super::domain::{Domain, unit_of_length};
pub use super::walk::{Keeps, Quenched, Recipe, SMALL, memory};

/// Descends from every start. When the run is stopped, what had converged by then is returned beside the error;
/// the others are `None`. Memory: 100 vectors a start, up to 800 where they fit into 64 MB.
pub fn descend(
    oracle: &mut Oracle<'_>,
    starts: Vec<Vec<f64>>,
    recipe: &Recipe,
    domain: &Domain,
    mut on_round: impl FnMut(usize, f64),
) -> (Vec<Option<Quenched>>, Result<()>) {
    // Not what was measured meanwhile: the first descents and those of a resumed run have to end alike.
    let grain = Grain { noise: oracle.info().noise, rounding: oracle.rounding() };
    let mut descents: Vec<Walk> =
        starts.into_iter().map(|theta| Walk::new(theta, *recipe, grain, domain.length())).collect();
    let mut done: Vec<Option<Quenched>> = vec![None; descents.len()];
    let stop = loop {
        let active: Vec<usize> = (0..descents.len()).filter(|&i| done[i].is_none()).collect();
        if active.is_empty() {
            break Ok(());
        }
        if let Err(stop) = round(oracle, &mut descents, &active, &mut done, domain) {
            break Err(stop);
        }
        let slowest = active.iter().map(|&i| descents[i].gradient_norm).fold(0.0, f64::max);
        on_round(done.iter().flatten().count(), slowest);
    };
    (done, stop)
}

fn round(
    oracle: &mut Oracle<'_>,
    descents: &mut [Walk],
    active: &[usize],
    done: &mut [Option<Quenched>],
    domain: &Domain,
) -> Result<()> {
    let p = oracle.params();
    let trials: Vec<f64> = active.iter().flat_map(|&i| descents[i].trial.iter().copied()).collect();
    let (losses, gradients) = oracle.gradients(&trials)?;
    for (row, &i) in active.iter().enumerate() {
        let walk = &mut descents[i];
        let Some(end) = walk.tell(losses[row], &gradients[row * p..(row + 1) * p], domain) else { continue };
        if end == Descent::NotFinite || end == Descent::Escaped {
            done[i] = Some(walk.end(end, None));
            continue;
        }
        let Some(end) = judged(oracle, walk, end, domain)? else { continue };
        // A slope has no index.
        let is_slope = end == Descent::Unconverged && walk.is_new();
        if !walk.recipe.check || is_slope {
            done[i] = Some(walk.end(if domain.contains(&walk.theta, 1e-9) { end } else { Descent::Escaped }, None));
            continue;
        }
        let lowest = match spectrum::lowest(oracle, &walk.theta, domain.tangents(), None)? {
            Ok(lowest) => lowest,
            Err(none) => {
                let end = if none == NoSpectrum::NotBuilt { end } else { Descent::Unconverged };
                done[i] = Some(walk.end(if domain.contains(&walk.theta, 1e-9) { end } else { Descent::Escaped }, None));
                continue;
            }
        };
        let may_go_on = walk.pushes < 5 && walk.evaluations < walk.recipe.evaluations;
        if end == Descent::Converged && lowest.index() > 0 && may_go_on {
            walk.push_off(&lowest.vector, domain.length());
            continue;
        }
        let end = if lowest.index() > 0 { Descent::Unconverged } else { end };
        let end = if domain.contains(&walk.theta, 1e-9) { end } else { Descent::Escaped };
        done[i] = Some(walk.end(end, Some(lowest)));
    }
    Ok(())
}

/// How a descent ended that may have been held up by noise, or begun at its end; `None` where it goes on.
fn judged(oracle: &mut Oracle<'_>, walk: &mut Walk, end: Descent, domain: &Domain) -> Result<Option<Descent>> {
    if end != Descent::Unconverged {
        return Ok(Some(end));
    }
    // Where no step was of use none told the curvature.
    if walk.is_new() && walk.stands(curvature_along(oracle, walk)?, domain.length()) {
        return Ok(Some(Descent::Converged));
    }
    // At a kink what is left to fall seems nothing, too.
    if walk.evaluations < walk.recipe.evaluations && oracle.is_smooth() {
        let noise = noise(oracle, &walk.theta, domain.length())?;
        if walk.heed(noise, domain.length()) {
            return Ok(None);
        }
        return Ok(Some(if walk.is_level() { Descent::Converged } else { end }));
    }
    Ok(Some(end))
}

/// The curvature along the gradient.
fn curvature_along(oracle: &mut Oracle<'_>, walk: &Walk) -> Result<f64> {
    if walk.gradient_norm == 0.0 {
        return Ok(0.0);
    }
    let unit: Vec<f64> = walk.gradient.iter().map(|g| g / walk.gradient_norm).collect();
    Ok(norm(&oracle.hessian_products(&walk.theta, &unit)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::closed_form::{ClosedForm, three_hump_camel};
    use crate::run::{Budget, Cancel};
    use crate::search::vector::{distance, dot};

    fn ends(f: fn(&[f64], &mut [f64]) -> f64, starts: Vec<Vec<f64>>, range: Option<[f64; 2]>) -> Vec<Quenched> {
        let mut loss = ClosedForm::new(starts[0].len(), range, f);
        let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
        let bounds = oracle.loss().bounds().unwrap();
        let domain = Domain::new(bounds, &[], starts[0].len(), None, 2.0);
        let (found, stop) = descend(&mut oracle, starts, &Recipe::POLISH, &domain, |_, _| {});
        stop.unwrap();
        found.into_iter().flatten().collect()
    }

    #[test]
    fn descents_end_in_the_camels_minima() {
        let starts = vec![vec![0.3, 0.4], vec![2.0, -1.0], vec![-2.0, 1.0]];
        let found = ends(three_hump_camel, starts, Some([-2.5, 2.5]));
        for (end, known) in found.iter().zip([0.0, 0.2986384422, 0.2986384422]) {
            assert_eq!(end.descent, Descent::Converged);
            assert!((end.loss - known).abs() < 1e-10); // The digits known.
            assert!(end.evidence.gradient_norm <= 1e-8 && end.evidence.eigenvalues[0] > 0.0);
        }
    }

    #[test]
    fn a_start_at_a_minimum_is_one() {
        let found = ends(three_hump_camel, vec![vec![0.3, 0.4], vec![2.0, -1.0]], Some([-2.5, 2.5]));
        let starts: Vec<Vec<f64>> = found.iter().map(|end| end.theta.clone()).chain([vec![0.0, 0.0]]).collect();
        for again in ends(three_hump_camel, starts, Some([-2.5, 2.5])) {
            assert_eq!(again.descent, Descent::Converged, "{again:?}");
        }
    }

    #[test]
    fn a_start_on_a_saddle_goes_on_downhill() {
        // f = x^4 - x^2 + y^2 has an exact saddle at the origin, minima at x = +-1/sqrt 2.
        let f = |x: &[f64], g: &mut [f64]| {
            (g[0], g[1]) = (4.0 * x[0].powi(3) - 2.0 * x[0], 2.0 * x[1]);
            x[0].powi(4) - x[0].powi(2) + x[1].powi(2)
        };
        let found = ends(f, vec![vec![0.0, 0.0]], None);
        assert_eq!(found[0].descent, Descent::Converged);
        assert!((found[0].loss + 0.25).abs() < 1e-12);
    }

    #[test]
    fn bad_starts_are_told_apart() {
        let f = |x: &[f64], g: &mut [f64]| {
            g[0] = -1.0;
            if x[0] < 0.0 { f64::NAN } else { -x[0] }
        };
        let found = ends(f, vec![vec![-1.0], vec![1.0]], Some([-2.0, 2.0]));
        assert_eq!(found[0].descent, Descent::NotFinite);
        assert_eq!(found[1].descent, Descent::Escaped);
    }

    #[test]
    fn a_descent_does_not_see_its_neighbours() {
        let starts = vec![vec![0.3, 0.4], vec![2.0, -1.0]];
        let together = ends(three_hump_camel, starts.clone(), None);
        for (start, end) in starts.into_iter().zip(together) {
            let alone = ends(three_hump_camel, vec![start], None).remove(0);
            assert_eq!((alone.theta, alone.evaluations), (end.theta, end.evaluations));
        }
    }

    #[test]
    fn nor_does_the_evidence_of_a_large_one() {
        // More parameters than the whole Hessian is formed for.
        let f = |x: &[f64], g: &mut [f64]| {
            (0..x.len()).for_each(|i| g[i] = (1.0 + i as f64) * x[i]);
            0.5 * dot(x, g)
        };
        let starts = vec![vec![0.0; 301]; 2];
        let together = ends(f, starts.clone(), None);
        let alone = ends(f, vec![starts[1].clone()], None);
        assert_eq!(alone[0].evidence, together[1].evidence);
    }

    #[test]
    fn a_trail_falls_and_its_points_lie_apart() {
        let mut loss = ClosedForm::new(2, Some([-2.5, 2.5]), three_hump_camel);
        let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
        let domain = Domain::new(None, &[], 2, None, 2.0);
        let recipe = Recipe { trail: Some(0.1), step: Some(0.05), ..Recipe::POLISH };
        let (ends, stop) = descend(&mut oracle, vec![vec![2.2, -1.5]], &recipe, &domain, |_, _| {});
        stop.unwrap();
        let end = ends.into_iter().flatten().next().unwrap();
        let points: Vec<&[f64]> = end.trail.chunks_exact(2).chain([&end.theta[..]]).collect();
        assert!(points.len() > 5);
        assert!(points[..points.len() - 1].windows(2).all(|pair| distance(pair[0], pair[1]) >= 0.1));
        let losses: Vec<f64> = points.iter().map(|x| three_hump_camel(x, &mut [0.0; 2])).collect();
        assert!(losses.windows(2).all(|pair| pair[1] < pair[0]), "{losses:?}");
    }

    #[test]
    fn what_has_no_minimum_is_left_soon() {
        // f = x + y^2 falls for ever, ever in the same way: only strides that grow come far.
        let f = |x: &[f64], g: &mut [f64]| {
            (g[0], g[1]) = (1.0, 2.0 * x[1]);
            x[0] + x[1] * x[1]
        };
        let found = ends(f, vec![vec![0.3, -0.7], vec![-1.0, 1e-3], vec![2.0, 0.0]], None);
        assert!(found.iter().all(|end| end.descent == Descent::Escaped && end.evaluations <= 200), "{found:?}");
    }

    #[test]
    fn a_start_at_an_enormous_loss_ends_in_a_minimum_too() {
        // Two atoms on a line, 1e-2 to 0.3 apart where 2^(1/6) is best: losses from 1e24 to 1e6.
        let f = |x: &[f64], g: &mut [f64]| {
            let r = x[0] - x[1];
            let sixth = r.powi(-6);
            let slope = 4.0 * (-12.0 * sixth * sixth + 6.0 * sixth) / r + 2e-3 * r;
            (g[0], g[1]) = (slope + 2e-3 * x[0], -slope + 2e-3 * x[1]);
            4.0 * (sixth * sixth - sixth) + 1e-3 * (r * r + x[0] * x[0] + x[1] * x[1])
        };
        for apart in [1e-2, 0.03, 0.1, 0.3] {
            let found = ends(f, vec![vec![apart, 0.0]], None);
            let Quenched { descent, loss, theta, .. } = &found[0];
            assert_eq!(
                (*descent, (loss + 0.998).abs() < 2e-3),
                (Descent::Converged, true),
                "{apart}: {loss} {theta:?}"
            );
        }
    }

    #[test]
    fn single_precision_ends_at_what_it_allows() {
        // Curvatures from 1e-3 to 1, and a quartic; value and gradient are known to seven digits.
        let f = |x: &[f64], g: &mut [f64]| {
            let mut sum = 0.5;
            for (i, (x, g)) in x.iter().zip(g.iter_mut()).enumerate() {
                let c = 10f64.powf(-0.15 * i as f64);
                sum += 0.5 * c * (x - 0.3).powi(2) + 0.1 * c * (x - 0.3).powi(4);
                *g = f64::from((c * (x - 0.3) + 0.4 * c * (x - 0.3).powi(3) + 1.0) as f32) - 1.0;
            }
            f64::from(sum as f32)
        };
        let mut loss = ClosedForm::new(20, None, f);
        loss.info.dtype = crate::loss::Dtype::F32;
        let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
        let domain = Domain::new(None, &[], 20, None, 2.0);
        let quick = Recipe { check: false, ..Recipe::POLISH };
        let (found, stop) = descend(&mut oracle, vec![vec![1.3; 20], vec![-0.4; 20]], &quick, &domain, |_, _| {});
        stop.unwrap();
        for end in found.into_iter().flatten() {
            assert_eq!(end.descent, Descent::Converged, "gradient norm {:e}", end.evidence.gradient_norm);
            assert!(end.loss - 0.5 < 1e-6 && end.evaluations < 2000, "{} after {}", end.loss, end.evaluations);
        }
    }
}
