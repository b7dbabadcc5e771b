//! Motions that change nothing and that no loss declared: along the directions in which a critical point has no curvature.
//!
//! From one critical point a motion leads, step by step, to where it comes nearest to another: a step along those
//! directions, then Newton's steps across them, back into the valley. Under a group of rotations the distance has no other
//! minimum than the nearest point, for almost every start: a copy by such a motion is reached, and what is not reached is
//! none. That the curvatures of the two agree is asked first: it costs least.

use super::align::Alignment;
use super::hessian::{DENSE, Hessian};
use super::tangents::Tangents;
use super::vector::{axpy, distance, dot, norm};
use crate::error::Result;
use crate::loss::oracle::Oracle;

const STEPS: usize = 60;
/// Curvatures of copies agree to this part of the largest: both points are critical as far as descents go only.
const ALIKE: f64 = 1e-4;
/// Of the way that is left, a step along the valley shorter than this part leads nowhere. (Turned by nearly half a turn, a
/// copy has first steps that are short.)
const LEAST: f64 = 1e-4;

/// Where motions along directions without curvature bring a critical point nearest to another, or to its nearest declared
/// copy; `None` where it has none such, or is no copy. Costs two Hessians, and one a step.
pub fn nearest(
    oracle: &mut Oracle<'_>,
    from: &[f64],
    to: &[f64],
    alignment: &Alignment,
    symmetry: &Tangents,
) -> Result<Option<Vec<f64>>> {
    if from.len() > DENSE {
        return Ok(None);
    }
    let (Ok(mut hessian), Ok(other)) = (Hessian::at(oracle, from, symmetry)?, Hessian::at(oracle, to, symmetry)?)
    else {
        return Ok(None);
    };
    let largest = hessian.values.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    // Where a descent ended a little early, some of its directions seem to have curvature.
    let flat = undecided(&hessian).max(undecided(&other));
    let agree = hessian.values.iter().zip(&other.values).all(|(a, b)| (a - b).abs() <= ALIKE * largest);
    if flat == 0 || hessian.values.len() != other.values.len() || !agree {
        return Ok(None);
    }
    let (mut here, mut most) = (from.to_vec(), f64::INFINITY);
    for _step in 0..STEPS {
        let target = alignment.nearest(&here, to);
        let left = distance(&here, &target);
        let (along, across) = split(&hessian, flat);
        let mut step = vec![0.0; here.len()];
        for v in &along {
            let part: f64 = v.iter().zip(target.iter().zip(&here)).map(|(v, (t, x))| v * (t - x)).sum();
            axpy(&mut step, part, v);
        }
        let length = norm(&step);
        if length <= LEAST * left {
            break;
        }
        let shorter = (most / length).min(1.0);
        step.iter_mut().for_each(|x| *x *= shorter);
        let mut there = here.clone();
        axpy(&mut there, 1.0, &step);
        let slope = settle(oracle, &mut there, &across)?;
        if slope <= 1e-3 * largest * norm(&step) && distance(&there, &alignment.nearest(&there, to)) < left {
            (here, most) = (there, 2.0 * norm(&step));
            let Ok(next) = Hessian::at(oracle, &here, symmetry)? else { return Ok(None) };
            hessian = next;
            // The slope that is left is what rounding leaves, once the curvatures are those of the place.
            let (_, across) = split(&hessian, flat);
            settle(oracle, &mut here, &across)?;
        } else if norm(&step) <= LEAST * left {
            break;
        } else {
            most = 0.5 * norm(&step);
        }
    }
    Ok(Some(here))
}

fn undecided(hessian: &Hessian) -> usize {
    hessian.values.iter().filter(|value| value.abs() <= hessian.tau).count()
}

/// A curvature and the direction that has it.
type Mode<'a> = (f64, &'a [f64]);

/// The modes of the least curvatures by size, so many, and all others with their curvatures.
fn split(hessian: &Hessian, flat: usize) -> (Vec<&[f64]>, Vec<Mode<'_>>) {
    let p = hessian.vectors.len() / hessian.values.len().max(1);
    let mut modes: Vec<Mode<'_>> = hessian.values.iter().copied().zip(hessian.vectors.chunks_exact(p)).collect();
    modes.sort_by(|a, b| a.0.abs().total_cmp(&b.0.abs()));
    let across = modes.split_off(flat);
    (modes.into_iter().map(|(_, mode)| mode).collect(), across)
}

/// Newton's steps across the valley; the slope that is left.
fn settle(oracle: &mut Oracle<'_>, theta: &mut [f64], across: &[Mode<'_>]) -> Result<f64> {
    let mut slope = f64::INFINITY;
    for _ in 0..3 {
        let (_, gradient) = oracle.gradients(theta)?;
        let (size, before) = (norm(&gradient), slope);
        slope = size;
        if size.is_nan() || size >= before {
            break;
        }
        across.iter().for_each(|(value, mode)| axpy(theta, -dot(&gradient, mode) / value, mode));
    }
    Ok(slope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::closed_form::ClosedForm;
    use crate::run::{Budget, Cancel};

    /// Four points of the plane that want to be corners of a triangle and its centre, by distances to each other alone.
    fn frame(x: &[f64], g: &mut [f64]) -> f64 {
        let rest = [1.0, 1.3, 1.1, 0.7, 0.8, 0.9];
        let (mut sum, mut pair) = (0.0, 0);
        g.fill(0.0);
        for i in (0..8).step_by(2) {
            for j in (0..i).step_by(2) {
                let d = [x[i] - x[j], x[i + 1] - x[j + 1]];
                let off = d[0] * d[0] + d[1] * d[1] - rest[pair];
                sum += off * off;
                for k in 0..2 {
                    g[i + k] += 4.0 * off * d[k];
                    g[j + k] -= 4.0 * off * d[k];
                }
                pair += 1;
            }
        }
        sum
    }

    #[test]
    fn a_turned_and_shifted_copy_is_reached_and_a_mirrored_one_is_not() {
        let mut loss = ClosedForm::new(8, None, frame);
        let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
        let mut rest = vec![0.0, 0.0, 1.0, 0.1, 0.3, 0.9, 0.5, 0.4];
        for _ in 0..100_000 {
            let (_, gradient) = oracle.gradients(&rest).unwrap();
            axpy(&mut rest, -0.02, &gradient);
        }
        let none = (Alignment::none(), Tangents::none());
        let reached = |oracle: &mut Oracle<'_>, copy: &[f64]| {
            let here = nearest(oracle, &rest, copy, &none.0, &none.1).unwrap().unwrap();
            distance(&here, copy)
        };
        for angle in [0.4_f64, 1.5, 2.9] {
            let (s, c) = angle.sin_cos();
            let turned: Vec<f64> =
                rest.chunks_exact(2).flat_map(|p| [c * p[0] - s * p[1] + 0.4, s * p[0] + c * p[1] - 2.0]).collect();
            assert!(reached(&mut oracle, &turned) < 1e-5, "{angle}");
            let mirrored: Vec<f64> = turned.chunks_exact(2).flat_map(|p| [-p[0], p[1]]).collect();
            assert!(reached(&mut oracle, &mirrored) > 0.1, "{angle}");
        }
        let other: Vec<f64> = rest.iter().map(|x| 1.1 * x).collect();
        assert!(nearest(&mut oracle, &rest, &other, &none.0, &none.1).unwrap().is_none());
    }
}
