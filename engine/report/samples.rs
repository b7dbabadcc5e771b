//! What a reader should know of a sampled loss, a sentence each: they stand in its database and in its report.

use super::number::counted;
use super::words::cells;
use crate::explore::{Explored, Found};
use crate::sample::{Axes, Layout, SHOWN, Samples, Scatter};
use std::fmt::Display;

/// What is kept of an exploration as sentences: what would be known of it no more once its samples, or the space that its
/// points are compared in, are not at hand.
pub fn notes(explored: &Explored) -> Vec<String> {
    match &explored.found {
        Found::Samples(samples) => of_samples(samples),
        Found::Paths => cells(&explored.landscape, explored.domain.as_deref()).into_iter().collect(),
        Found::Unfinished => Vec::new(),
    }
}

/// To see the same samples, and to judge them.
fn of_samples(samples: &Samples) -> Vec<String> {
    let mut notes = match &samples.layout {
        Layout::Grid(axes) => grid(axes),
        Layout::Cloud(scatter) => cloud(scatter),
    };
    if samples.not_finite > 0 {
        let which = counted(samples.not_finite, "sample", "samples");
        notes.push(format!("Where the loss is not finite, at {which}, it counts as in no sublevel set."));
    }
    notes
}

fn grid(axes: &Axes) -> Vec<String> {
    let axis = |i: usize| {
        let periodic = if axes.periodic.contains(&i) { ", periodic" } else { "" };
        format!("{} of parameter {} in {}{periodic}", axes.sizes[i], axes.parameters[i], interval(axes.ranges[i]))
    };
    let each: Vec<String> = (0..axes.sizes.len()).map(axis).collect();
    let fixed = if axes.at.len() > axes.parameters.len() { "; the other parameters stand still" } else { "" };
    let mut notes = vec![format!("The samples: {}{fixed}.", each.join(", "))];
    if axes.simplify > 0.0 {
        notes.push(format!("Bars shorter than {} are left out.", axes.simplify));
    }
    notes
}

fn cloud(scatter: &Scatter) -> Vec<String> {
    let sides: Vec<String> = scatter.region.iter().map(|&side| interval(side)).collect();
    let sides = if sides.len() <= SHOWN { format!(" {}", sides.join(" x ")) } else { String::new() };
    let minima = counted(scatter.minima.len() as u64, "minimum", "minima");
    let drawn = counted(scatter.plan.points as u64, "point", "points");
    let k = scatter.neighbours();
    let mut notes =
        vec![format!("The samples: {minima} and {drawn} of the box{sides}, each joined with its {k} nearest.")];
    notes.extend(scatter.plan.threshold.map(|most| format!("Points above {most} are in no sublevel set.")));
    if scatter.plan.simplify > 0.0 {
        notes.push(cancelled(scatter.plan.simplify));
    }
    notes
}

/// That short bars of a graph are none.
pub fn cancelled(length: impl Display) -> String {
    format!("Bars of degree 0 shorter than {length} are cancelled.")
}

/// An interval in six digits.
fn interval(ends: [f64; 2]) -> String {
    let [low, high] = ends.map(|x| format!("{x:.5e}").parse().unwrap_or(x));
    format!("[{low}, {high}]")
}
