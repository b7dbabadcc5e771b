//! Where minima are looked for, and the unit that lengths have there: steps, differences and escapes are fractions or
//! multiples of it, so that the user's units of the parameters change nothing.

use super::start::start;
use super::tangents::Tangents;
use super::vector::{distance, norm};
use crate::error::Error;
use crate::loss::{Bounds, Loss, Symmetry, SymmetryKind};

/// Where minima are looked for, and how long a way is there.
#[derive(Clone, Debug)]
pub struct Domain {
    bounds: Option<Bounds>,
    periodic: Vec<bool>,
    tangents: Tangents,
    radius: Option<f64>,
    length: f64,
}

/// Descents that come so many units of length away from their start have escaped, unless a radius is given.
const FAR: f64 = 1e6;

impl Domain {
    /// A box, if the loss has one, with its periodic coordinates left free; a ball of `radius` round zero, if given;
    /// and the unit of length.
    pub fn new(
        bounds: Option<Bounds>,
        symmetries: &[Symmetry],
        params: usize,
        radius: Option<f64>,
        length: f64,
    ) -> Domain {
        let mut periodic = vec![false; params];
        for symmetry in symmetries.iter().filter(|s| matches!(s.kind, SymmetryKind::Period(_))) {
            symmetry.blocks.iter().flatten().for_each(|&i| periodic[i as usize] = true);
        }
        Domain { bounds, periodic, tangents: Tangents::new(symmetries), radius, length }
    }

    /// The continuous symmetries, which no index sees.
    pub fn tangents(&self) -> &Tangents {
        &self.tangents
    }

    /// The unit of length.
    pub fn length(&self) -> f64 {
        self.length
    }

    /// True inside the box widened by `slack` box widths, and inside the ball.
    pub fn contains(&self, theta: &[f64], slack: f64) -> bool {
        let inside = self.bounds.as_ref().is_none_or(|b| {
            theta.iter().zip(b.lower.iter().zip(&b.upper)).zip(&self.periodic).all(|((x, (low, high)), periodic)| {
                let margin = slack * (high - low);
                *periodic || (low - margin..=high + margin).contains(x)
            })
        });
        inside && self.radius.is_none_or(|radius| norm(theta) <= radius)
    }

    /// True where a descent that began somewhere need not go on.
    pub fn is_left(&self, theta: &[f64], begin: &[f64]) -> bool {
        !self.contains(theta, 1.0) || (self.radius.is_none() && distance(theta, begin) > FAR * self.length)
    }
}

/// Seeds whose starts tell the unit of length: the same whatever the run's own seeds are.
const SEEDS: std::ops::RangeInclusive<u64> = 0..=8;

/// The unit of length of a loss: how far other starts lie from the first (the median; where they are one point, how far
/// that is from zero). It moves with the user's units, and costs no evaluation.
pub fn unit_of_length(loss: &dyn Loss) -> f64 {
    // Whoever gives points of his own needs no starts: one that fails is no fault. Who is stopped asks for no more.
    let answers = SEEDS.map(|seed| start(loss, seed)).take_while(|answer| !matches!(answer, Err(Error::Cancelled)));
    let mut starts = answers.filter_map(crate::Result::ok);
    let Some(first) = starts.next() else { return 1.0 };
    let mut apart: Vec<f64> = starts.map(|other| distance(&first, &other)).collect();
    apart.sort_by(f64::total_cmp);
    let lengths = [apart.get(apart.len() / 2).copied().unwrap_or(0.0), norm(&first)];
    lengths.into_iter().find(|length| length.is_finite() && *length > 0.0).unwrap_or(1.0)
}
