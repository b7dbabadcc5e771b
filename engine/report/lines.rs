//! Small multiples of pairs: the loss along the straight line between two checkpoints, after alignment, and along the best
//! path, over the fraction of the length.

use super::checkpoints::{Checkpoints, Curve};
use super::scale::Scale;
use super::svg::{Drawing, width};
use crate::search::{Along, Pair};

const WIDTH: f64 = 960.0;
const COLUMNS: usize = 4;
const PANEL: (f64, f64) = (224.0, 150.0);
const GAP: f64 = 21.3;
/// At most so many panels; the others stand in the table.
const MOST: usize = 24;

/// Draws them, or nothing where no pair has a finite loss.
pub fn draw(given: &Checkpoints<'_>) -> Option<Drawing> {
    let pairs: Vec<&Pair> = given.pairs.iter().copied().filter(|pair| !values(pair).is_empty()).take(MOST).collect();
    if pairs.is_empty() {
        return None;
    }
    let mut drawing = Drawing::new(WIDTH, "The loss between checkpoints");
    for (i, pair) in pairs.iter().enumerate() {
        let (column, row) = ((i % COLUMNS) as f64, (i / COLUMNS) as f64);
        panel(&mut drawing, &given.between(pair), pair, (column * (PANEL.0 + GAP), row * (PANEL.1 + GAP)));
    }
    let y = pairs.len().div_ceil(COLUMNS) as f64 * (PANEL.1 + GAP) + 8.0;
    let mut x = 0.0;
    for curve in given.curves() {
        drawing.line((x, y - 4.0), (x + 24.0, y - 4.0), class(curve));
        drawing.text((x + 30.0, y), "muted small", curve.name());
        x += 48.0 + width(curve.name());
    }
    drawing.crop(y + 6.0);
    Some(drawing)
}

fn class(curve: Curve) -> &'static str {
    match curve {
        Curve::Raw => "thin doubt",
        Curve::Aligned => "thin",
        Curve::Path => "thin best",
    }
}

fn panel(drawing: &mut Drawing, title: &str, pair: &Pair, (left, top): (f64, f64)) {
    let (x0, x1, y0, y1) = (left + 56.0, left + PANEL.0 - 4.0, top + PANEL.1 - 20.0, top + 24.0);
    let (up, along) = (Scale::of(&values(pair), y0, y1), Scale::window(0.0, 1.0, x0, x1));
    let room = ((PANEL.0 - 8.0) / width("x")) as usize;
    let title = match title.chars().count() > room {
        true => title.chars().take(room - 1).chain(['…']).collect(),
        false => title.to_owned(),
    };
    drawing.text((left, top + 12.0), "head", &title);
    for (value, label) in up.ticks(3) {
        drawing.line((x0, up.at(value)), (x1, up.at(value)), "rule");
        drawing.text((x0 - 8.0, up.at(value) + 4.0), "muted small end", &label);
    }
    drawing.text((x0, y0 + 15.0), "muted small", "0");
    drawing.text((x1, y0 + 15.0), "muted small end", "1");
    for curve in Curve::ALL {
        let Some(told) = curve.of(pair) else { continue };
        for piece in samples(told).split(|(_, loss)| !loss.is_finite()).filter(|piece| piece.len() > 1) {
            let piece: Vec<(f64, f64)> = piece.iter().map(|(t, loss)| (along.at(*t), up.at(*loss))).collect();
            drawing.polyline(&piece, class(curve));
        }
    }
}

/// Fractions and losses, the worst place among them. A way of no length is a level line.
fn samples(along: &Along) -> Vec<(f64, f64)> {
    if let [loss] = along.loss[..] {
        return vec![(0.0, loss), (1.0, loss)];
    }
    let last = along.loss.len().saturating_sub(1) as f64;
    let mut all: Vec<(f64, f64)> = (0..).zip(&along.loss).map(|(i, loss)| (f64::from(i) / last, *loss)).collect();
    all.push((along.worst.t, along.worst.loss));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all
}

fn values(pair: &Pair) -> Vec<f64> {
    let all = Curve::ALL.into_iter().filter_map(|curve| curve.of(pair)).flat_map(samples).map(|(_, loss)| loss);
    all.filter(|loss| loss.is_finite()).collect()
}
