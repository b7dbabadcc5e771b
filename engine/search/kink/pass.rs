//! Passes on kinks: the saddle of a widely smoothed loss, followed as the smoothing narrows, until Newton's method ends on a
//! certified point of index 1.
//!
//! Smoothed, a pass has a direction of negative curvature also where the loss itself has only an edge that bends downwards.
//! Narrower, it may turn into a pass of another kind, or meet another saddle and end: then a smaller step of the width is
//! tried, and the search given up after a few.

use super::super::climb::climb;
use super::super::critical::{Near, Saddle, Verdict};
use super::super::following;
use super::super::landscape::Evidence;
use super::super::rejected::Rejected;
use super::super::tangents::Tangents;
use super::edges::Edges;
use super::polish::{Polished, polish};
use crate::error::Result;
use crate::loss::oracle::{Oracle, View};

/// The widest from which Newton's method is tried, and the narrowest.
const NARROW: f64 = 1.2e-4;
const NARROWEST: f64 = 1e-5;
/// The gradient norm of a critical point where steps may have a unit of length: it is near where curvatures are 1e-5.
const FINE: f64 = 1e-6;
/// By how much the width is narrowed at once, and the least of it.
const FACTOR: f64 = 0.5;
const SLOWEST: f64 = 0.9;

/// A pass near the top of a path, certified on the loss itself, or the reason why there is none.
pub fn find(oracle: &mut Oracle<'_>, symmetry: &Tangents, near: Near<'_>, widest: f64) -> Result<Verdict> {
    let near = Near { tolerance: near.tolerance.min(FINE * near.reach), ..near };
    let wide = match oracle.seen(View::Smoothed(widest), |oracle| climb(oracle, symmetry, near))? {
        Ok(saddle) => saddle,
        Err(rejected) => return Ok(Err(rejected)),
    };
    let Saddle { mut theta, mut mode, trail, .. } = wide;
    let (mut width, mut factor, mut before): (_, _, Option<(Vec<f64>, f64)>) = (widest, FACTOR, None);
    while width > NARROWEST {
        let next = factor * width;
        let ahead = before.as_ref().map_or_else(|| theta.clone(), |before| narrowed(before, (&theta, width), next));
        let there = Near { top: &ahead, along: &mode, ..near };
        match oracle.seen(View::Smoothed(next), |oracle| following::reach(oracle, symmetry, there))? {
            Ok(reached) => {
                before = Some((std::mem::replace(&mut theta, reached.end.theta), width));
                (mode, width, factor) = (reached.mode, next, FACTOR);
            }
            Err(_) if factor < SLOWEST => {
                factor = factor.sqrt();
                continue;
            }
            Err(rejected) => return Ok(Err(rejected)),
        }
        if width > NARROW {
            continue;
        }
        let polished = polish(oracle, &theta, width, symmetry)?;
        if let Some(pass) = polished.filter(|polished| polished.certified.certificate.index() == Some(1)) {
            return Ok(saddle(oracle, pass, trail, near.reach)?.ok_or(Rejected::Slid));
        }
    }
    Ok(Err(Rejected::Slid))
}

/// Where a saddle will be at the next width, by where it was at two: it moves with the width, in the end in proportion.
fn narrowed((before, wide): &(Vec<f64>, f64), (now, width): (&[f64], f64), next: f64) -> Vec<f64> {
    let part = (width - next) / (wide - width);
    now.iter().zip(before).map(|(now, before)| now + part * (now - before)).collect()
}

/// A certified point of index 1 as a saddle: along the direction of negative curvature, or across its inverted kink.
fn saddle(oracle: &mut Oracle<'_>, polished: Polished, trail: Vec<f64>, reach: f64) -> Result<Option<Saddle>> {
    let Polished { theta, certified, .. } = polished;
    let loss = oracle.values(&theta)?[0];
    let (certificate, Some(lowest)) = (certified.certificate, certified.lowest) else { return Ok(None) };
    let edges = Edges::of(oracle, &theta, &certificate)?;
    let mode = edges.across().unwrap_or_else(|| lowest.vector.clone());
    let beside = match certificate.active.is_empty() {
        true => None,
        false => Some([
            edges.clone().down(oracle, (&theta, loss), &mode, reach)?,
            edges.down(oracle, (&theta, loss), &mode, -reach)?,
        ]),
    };
    let kinks = Some(Box::new(certificate));
    let evidence = Evidence { kinks, ..lowest.evidence(0.0) };
    Ok(Some(Saddle { theta, loss, mode, evidence, beside, trail }))
}
