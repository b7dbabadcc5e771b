//! Points at the edge of a kink, found by Newton's method on its z.

#![forbid(unsafe_code)]

use super::call::Call;
use super::kinks::Kinks;
use crate::check::verdict::Outcome;
use crate::loss::{Kink, Slope};

/// So far on the way from alpha to 1.
pub fn part(kink: &Kink, part: f64) -> Slope {
    Slope { id: kink.id, t: kink.alpha + part * (1.0 - kink.alpha) }
}

/// A kink among others that are on their way between their sides (not half way: of |z| that is 0, and hides what z is of).
pub struct Bending {
    pub kink: Kink,
    pub others: Vec<Kink>,
}

impl Bending {
    /// Slopes of this kink, so far from alpha to 1, and of the others; with the place of this one.
    pub fn with(&self, own: f64) -> (Vec<Slope>, usize) {
        let mut all: Vec<Slope> = self.others.iter().map(|kink| part(kink, 0.7)).collect();
        let at = all.partition_point(|slope| slope.id < self.kink.id);
        all.insert(at, part(&self.kink, own));
        (all, at)
    }

    /// Newton's method along the row of the kink, from a point to where its z is 0.
    fn edge(self, kinks: &Kinks<'_>, theta: &[f64]) -> Outcome<Option<AtEdge>> {
        let (mut theta, (slopes, at)) = (theta.to_vec(), self.with(0.5));
        for _ in 0..40 {
            let (rows, found) = (kinks.rows(&theta, &slopes)?, kinks.linear(&slopes, &Call::of(&theta))?);
            let (z, row) = (found.z[at], &rows[at * theta.len()..(at + 1) * theta.len()]);
            let size = dot(row, row);
            if !(found.answer.good(0) && size > 0.0 && size.is_finite()) {
                return Ok(None);
            }
            if z.abs() <= 1e-13 * (size * dot(&theta, &theta)).sqrt() {
                return Ok(Some(AtEdge { theta, bending: self, z }));
            }
            theta.iter_mut().zip(row).for_each(|(x, r)| *x -= z * r / size);
        }
        Ok(None)
    }
}

/// A point where z of a kink is 0 in the loss with its slopes.
pub struct AtEdge {
    pub theta: Vec<f64>,
    pub bending: Bending,
    pub z: f64,
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Points beside `theta`, each at the edge of one of those kinks near it that matter most, in the company of so many others.
pub fn edges(kinks: &Kinks<'_>, theta: &[f64], found: &[Kink], company: usize) -> Outcome<Vec<AtEdge>> {
    let mut nearest: Vec<Kink> = found.iter().filter(|kink| kink.delta != 0.0).copied().collect();
    nearest.sort_by(|a, b| a.z.abs().total_cmp(&b.z.abs()));
    nearest.truncate(64);
    let others: Vec<Kink> = nearest.iter().take(company).copied().collect();
    nearest.sort_by(|a, b| b.delta.abs().total_cmp(&a.delta.abs()));
    let mut all = Vec::new();
    for kink in nearest.into_iter().take(6) {
        let mut others: Vec<Kink> = others.iter().filter(|other| other.id != kink.id).copied().collect();
        others.sort_by_key(|other| other.id);
        all.extend(Bending { kink, others }.edge(kinks, theta)?);
    }
    Ok(all)
}
