//! From the top of a path to a true saddle of index 1, and back into the path.

pub use super::critical::{Near, Saddle, Verdict};
use super::height::{Care, measure};
use super::landscape::{Path, PathState};
use super::polyline::Polyline;
use super::rejected::Rejected;
#[cfg(not(feature = "dense"))]
use super::signs::NoSpectrum;
use super::tangents::Tangents;
#[cfg(feature = "dense")]
use super::{climb::climb, kink};
use crate::error::Result;
use crate::loss::oracle::{Oracle, View};

/// Knots that the way down a side of a saddle keeps at most: the few that it bends most at, or where these cut a corner more.
const WAY: [usize; 2] = [15, 90];
/// The same where it follows edges of kinks.
const EDGES: [usize; 2] = [60, 400];

/// A saddle near the top of a path, or the reason why there is none ([`climb`](super::climb)); where the loss supplies its
/// kinks, one that may lie on them.
#[cfg_attr(not(feature = "dense"), allow(unused_variables))]
pub fn refine(oracle: &mut Oracle<'_>, symmetry: &Tangents, near: Near<'_>, view: &View) -> Result<Verdict> {
    #[cfg(feature = "dense")]
    return match view {
        View::Smoothed(width) => kink::pass::find(oracle, symmetry, near, *width),
        _ if oracle.is_smooth() => climb(oracle, symmetry, near),
        _ => Ok(Err(Rejected::Kink)),
    };
    #[cfg(not(feature = "dense"))]
    Ok(Err(if oracle.is_smooth() { Rejected::NoSpectrum(NoSpectrum::NotBuilt) } else { Rejected::Kink }))
}

/// The path led over the saddle, if that makes its height the saddle's: everything else on it stays below
/// ([`Rejected::Above`] otherwise).
///
/// On either side it leaves the saddle along the mode and joins the old path where that has fallen by one of several
/// fractions of its climb.
pub fn lead_over(oracle: &mut Oracle<'_>, path: &Path, saddle: &Saddle) -> Result<std::result::Result<Path, Rejected>> {
    let p = oracle.params();
    let (arc, loss) = (&path.profile.arc, &path.profile.loss);
    // Beside kinks it falls along a curve: a straight way over the saddle rises.
    if saddle.loss < loss[0].max(loss[loss.len() - 1]) || saddle.beside.is_some() {
        return Ok(Err(Rejected::Above));
    }
    let line = Polyline::new(path.knots.clone(), p);
    let arcs = line.arcs();
    let climb = path.pass.height - loss[0].max(loss[loss.len() - 1]);
    let peak = arc.partition_point(|&a| a < path.pass.arc);
    for fall in [0.01, 0.1, 0.3, 0.6] {
        let level = saddle.loss.min(path.pass.height) - fall * climb;
        let left = (0..peak).rev().find(|&i| loss[i] < level).map_or(0.0, |i| arc[i]);
        let right = (peak..arc.len()).find(|&i| loss[i] < level).map_or(arcs[arcs.len() - 1], |i| arc[i]);
        let Some(over) = crossing(saddle, &line.at(&arcs, left), &line.at(&arcs, right)) else { continue };
        let whole = line.part(0.0, left).then(&over).then(&line.part(right, arcs[arcs.len() - 1]));
        if let Some(led) = below(oracle, path, saddle, whole)? {
            return Ok(Ok(led));
        }
    }
    Ok(Err(Rejected::Above))
}

/// A path over the saddle alone, down the ways that descents from its two sides took, if all of it stays below. For the
/// rest it is like `path`.
pub fn own_path(
    oracle: &mut Oracle<'_>,
    path: &Path,
    saddle: &Saddle,
    sides: &[Vec<f64>; 2],
    ways: [&[f64]; 2],
) -> Result<Option<Path>> {
    let p = saddle.theta.len();
    let side = |k: usize| Polyline::new([&saddle.theta[..], &sides[k]].concat(), p);
    let over = side(0).reversed().then(&side(1));
    let mut last = None;
    for most in if saddle.beside.is_some() { EDGES } else { WAY } {
        let foot = |k: usize| &sides[k][sides[k].len() - p..];
        let way = |k: usize| Polyline::new([foot(k), ways[k]].concat(), p).fewer(most);
        let curve = way(0).reversed().then(&over).then(&way(1));
        if last.as_ref() == Some(&curve) {
            break;
        }
        let led = below(oracle, path, saddle, curve.clone())?;
        if led.is_some() {
            return Ok(led);
        }
        last = Some(curve);
    }
    Ok(None)
}

/// A curve over a saddle as a path with that for its pass, if the rest of it stays below.
fn below(oracle: &mut Oracle<'_>, path: &Path, saddle: &Saddle, curve: Polyline) -> Result<Option<Path>> {
    let measured = measure(oracle, &curve, Care::CLOSE)?;
    let loss = &measured.profile.loss;
    let climb = saddle.loss - loss[0].max(loss[loss.len() - 1]);
    let slack = 1e-9 * climb + 16.0 * f64::EPSILON * saddle.loss.abs();
    if measured.height + measured.error > saddle.loss + slack {
        return Ok(None);
    }
    let pass = saddle.pass(path.pass.cell, &measured);
    let (state, knots, profile) = (PathState::Converged, curve.into_knots(), measured.profile);
    Ok(Some(Path { state, knots, profile, pass, ..path.clone() }))
}

/// From one place to another over the saddle, along its mode; `None` when they lie on the same side of it.
fn crossing(saddle: &Saddle, from: &[f64], to: &[f64]) -> Option<Polyline> {
    let towards = |place: &[f64]| -> f64 {
        place.iter().zip(&saddle.theta).zip(&saddle.mode).map(|((x, s), m)| (x - s) * m).sum()
    };
    let (back, ahead) = (towards(from), towards(to));
    if (back < 0.0) == (ahead < 0.0) {
        return None;
    }
    let mut knots = from.to_vec();
    for along in [0.5 * back, 0.0, 0.5 * ahead] {
        knots.extend(saddle.theta.iter().zip(&saddle.mode).map(|(s, m)| s + along * m));
    }
    knots.extend_from_slice(to);
    Some(Polyline::new(knots, from.len()))
}

#[cfg(all(test, feature = "dense"))]
mod tests {
    use super::super::landscape::{Pass, PassKind};
    use super::*;
    use crate::loss::closed_form::{ClosedForm, mueller_brown};
    use crate::loss::{Symmetry, SymmetryKind};
    use crate::run::{Budget, Cancel};

    /// A search that knows nothing of the path.
    fn search(oracle: &mut Oracle<'_>, symmetry: &Tangents, top: &[f64], reach: f64) -> Verdict {
        let along = vec![1.0; top.len()];
        let near = Near { top, along: &along, reach, tolerance: 1e-8, null: 0 };
        refine(oracle, symmetry, near, &View::Itself).unwrap()
    }

    fn near(top: [f64; 2]) -> Verdict {
        let mut loss = ClosedForm::new(2, None, mueller_brown);
        let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
        search(&mut oracle, &Tangents::none(), &top, 0.1)
    }

    #[test]
    fn both_saddles_of_mueller_and_brown_are_found() {
        for (top, height) in [([-0.8, 0.65], -40.6648435), ([0.2, 0.3], -72.2489401)] {
            let saddle = near(top).unwrap();
            assert!((saddle.loss - height).abs() < 1e-6); // The digits known.
            assert!(saddle.evidence.gradient_norm <= 1e-8);
            assert!(saddle.evidence.eigenvalues[0] < 0.0 && saddle.evidence.eigenvalues[1] > 0.0);
        }
    }

    #[test]
    fn a_saddle_of_points_that_turn_freely_is_decided() {
        // Three points of a line that may bend, f = (|a - b|^2 - 1)^2 + (|c - b|^2 - 1)^2 + (w^2 - 1/4)^2 with w twice
        // the area of the triangle a b c: straight, it is a saddle between its two bends.
        let f = |x: &[f64], g: &mut [f64]| {
            let (u, v) = ([x[0] - x[2], x[1] - x[3]], [x[4] - x[2], x[5] - x[3]]);
            let (p, q) = (u[0] * u[0] + u[1] * u[1] - 1.0, v[0] * v[0] + v[1] * v[1] - 1.0);
            let w = u[0] * v[1] - u[1] * v[0];
            let bend = 4.0 * w * (w * w - 0.25);
            let (du, dv) = (
                [4.0 * p * u[0] + bend * v[1], 4.0 * p * u[1] - bend * v[0]],
                [4.0 * q * v[0] - bend * u[1], 4.0 * q * v[1] + bend * u[0]],
            );
            (g[0], g[1], g[4], g[5]) = (du[0], du[1], dv[0], dv[1]);
            (g[2], g[3]) = (-du[0] - dv[0], -du[1] - dv[1]);
            p * p + q * q + (w * w - 0.25).powi(2)
        };
        let mut loss = ClosedForm::new(6, None, f);
        let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
        let blocks = vec![vec![0, 1], vec![2, 3], vec![4, 5]];
        let rigid = Tangents::new(&[Symmetry { kind: SymmetryKind::Rigid, blocks }]);
        let top = [-1.05, 0.1, 0.0, 0.02, 0.98, -0.03];
        let saddle = search(&mut oracle, &rigid, &top, 0.2).unwrap();
        assert!((saddle.loss - 0.0625).abs() < 1e-12 && saddle.evidence.projected == 3);
        let free = search(&mut oracle, &Tangents::none(), &saddle.theta, 0.2);
        assert_eq!(free.unwrap_err(), Rejected::Degenerate(3));
    }

    #[test]
    fn a_path_that_only_touches_a_saddle_is_not_led_over_it() {
        // f = y^2 - x^2 on a path that stays at x > 0: it has a bump at (0.3, +-0.6) but no pass.
        let f = |x: &[f64], g: &mut [f64]| {
            (g[0], g[1]) = (-2.0 * x[0], 2.0 * x[1]);
            x[1] * x[1] - x[0] * x[0]
        };
        let mut loss = ClosedForm::new(2, None, f);
        let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
        let line = Polyline::new(vec![2.0, -1.0, 0.3, -0.6, 0.3, 0.6, 2.0, 1.0], 2);
        let m = measure(&mut oracle, &line, Care::CLOSE).unwrap();
        let pass = Pass {
            cell: 2,
            kind: PassKind::PathMaximum,
            height: m.height,
            error: m.error,
            arc: m.arc,
            theta: m.theta,
            evidence: None,
            reason: None,
        };
        let (knots, profile) = (line.into_knots(), m.profile);
        let path = Path { id: 0, ends: (0, 1), state: PathState::Relaxed, knots, profile, pass, visits: 3 };
        let saddle = search(&mut oracle, &Tangents::none(), &[0.1, 0.1], 1.0).unwrap();
        assert!(saddle.loss.abs() < 1e-15);
        assert_eq!(lead_over(&mut oracle, &path, &saddle).unwrap(), Err(Rejected::Above));
    }

    #[test]
    fn a_degenerate_point_is_not_taken_for_a_saddle() {
        // f = y^2 - x^4: differences of the gradient see a curvature of about -h^2 along x.
        let f = |x: &[f64], g: &mut [f64]| {
            (g[0], g[1]) = (-4.0 * x[0].powi(3), 2.0 * x[1]);
            x[1].powi(2) - x[0].powi(4)
        };
        let mut loss = ClosedForm::new(2, None, f);
        let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
        let found = search(&mut oracle, &Tangents::none(), &[0.0, 0.0], 0.1);
        assert!(matches!(found, Err(Rejected::Degenerate(_))), "{found:?}");
    }

    #[test]
    fn a_slope_of_a_small_loss_is_not_taken_for_a_saddle() {
        // All gradients of this loss are below the tolerance; at (0.5, 0.5) it is no critical point.
        let f = |x: &[f64], g: &mut [f64]| {
            (g[0], g[1]) = (-2e-12 * x[0], 2e-12 * x[1]);
            1e-12 * (x[1].powi(2) - x[0].powi(2))
        };
        let mut loss = ClosedForm::new(2, None, f);
        let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
        let found = search(&mut oracle, &Tangents::none(), &[0.5, 0.5], 0.1);
        assert!(matches!(found, Err(Rejected::Flat { .. })), "{found:?}");
    }

    #[test]
    fn a_minimum_is_not_taken_for_a_saddle() {
        // Known to five digits, it has a slope, which is climbed until the minimum is too far away.
        assert_eq!(near([-0.55822, 1.44173]).unwrap_err(), Rejected::WalkedAway);
    }
}
