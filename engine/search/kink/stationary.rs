//! How far from critical a point near kinks is: the least norm of a gradient with slopes chosen for the kinks nearby.
//!
//! A descent that stalls beside kinks has gradients that jump, of any norm, where this is small. Slopes are chosen as if no
//! kink nearby fed another one: exact where none does. Slopes that are found give an upper bound of the least norm, and so
//! do those of the nearest kinks where there is no room for all.

use super::super::vector::{axpy, dot, norm};
use super::linear::{on_side, room};
use crate::error::Result;
use crate::loss::Slope;
use crate::loss::oracle::Oracle;

/// Passes over all slopes, one at a time.
const SWEEPS: usize = 1000;
/// A pass that lowers the square of the norm by less than this part is the last.
const LITTLE: f64 = 1e-12;

/// The least norm at theta with the kinks nearer than `width` on slopes. Costs three gradients.
pub fn stationarity(oracle: &mut Oracle<'_>, theta: &[f64], width: f64) -> Result<f64> {
    let mut near = oracle.kinks_near(theta, width)?;
    if near.len() > room(theta.len()) {
        near.sort_by(|a, b| a.z.abs().total_cmp(&b.z.abs()));
        near.truncate(room(theta.len()));
        near.sort_by_key(|kink| kink.id);
    }
    let slopes: Vec<Slope> = near.iter().map(on_side).collect();
    let at = oracle.linear(theta, &slopes)?;
    let rows = oracle.kink_rows(theta, &slopes)?;
    let mut bends: Vec<Bend> = Vec::new();
    for ((kink, &delta), row) in near.iter().zip(&at.delta).zip(rows.chunks_exact(theta.len())) {
        let direction: Vec<f64> = row.iter().map(|x| delta * x).collect();
        let square = dot(&direction, &direction);
        if square > 0.0 {
            bends.push(Bend { direction, square, t: on_side(kink).t, alpha: kink.alpha });
        }
    }
    Ok(least(at.grad, &mut bends))
}

/// What a slope adds to the gradient.
struct Bend {
    direction: Vec<f64>,
    square: f64,
    t: f64,
    alpha: f64,
}

/// Least squares in a box, one slope at a time: no step makes the norm larger.
fn least(mut gradient: Vec<f64>, bends: &mut [Bend]) -> f64 {
    let mut before = f64::INFINITY;
    for _ in 0..SWEEPS {
        let square = dot(&gradient, &gradient);
        if square.is_nan() || before - square <= LITTLE * square {
            break;
        }
        before = square;
        for bend in bends.iter_mut() {
            let t = (bend.t - dot(&gradient, &bend.direction) / bend.square).clamp(bend.alpha, 1.0);
            axpy(&mut gradient, t - bend.t, &bend.direction);
            bend.t = t;
        }
    }
    norm(&gradient)
}
