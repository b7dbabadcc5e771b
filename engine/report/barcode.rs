//! The barcode as a drawing: left every bar where it lies on the axis of the loss, right its length on a logarithmic
//! axis, because bars may be a ten-thousandth of the spread of their births (docs/decisions.md#search).

use super::findings::Findings;
use super::number::{counted, short, significant};
use super::scale::Scale;
use super::svg::{Drawing, Mark};
use super::words;
use crate::persistence::{Bar, DeathKind};

/// At most so many bars of a degree are drawn, the longest; all of them are in `barcode.csv`.
const MOST: usize = 120;

const WIDTH: f64 = 960.0;
const LEFT: (f64, f64) = (104.0, 540.0);
const RIGHT: (f64, f64) = (590.0, 868.0);

/// Draws all degrees, one below the other.
pub fn draw(findings: &Findings<'_>) -> Drawing {
    let mut drawing = Drawing::new(WIDTH, &format!("Barcode of {}", findings.title));
    let mut y = 6.0;
    let degrees = findings.barcode.degrees();
    for degree in &degrees {
        if degrees.len() > 1 {
            y += if *degree == degrees[0] { 14.0 } else { 34.0 };
            drawing.text((0.0, y), "head", &format!("Degree {degree}"));
            y += 6.0;
        }
        y = degree_panel(&mut drawing, findings, *degree, y);
    }
    let bars: Vec<&Bar> = degrees.iter().flat_map(|degree| findings.barcode.counted(*degree)).collect();
    y = drawing.legend(LEFT.0, y + 18.0, &legend(&bars));
    drawing.crop(y);
    drawing
}

fn degree_panel(drawing: &mut Drawing, findings: &Findings<'_>, degree: u32, top: f64) -> f64 {
    let all: Vec<&Bar> = findings.barcode.counted(degree).filter(|bar| bar.birth.is_finite()).collect();
    let bars = longest(&all, MOST);
    let ends: Vec<f64> = bars.iter().flat_map(|bar| [Some(bar.birth), bar.death()]).flatten().collect();
    let lengths: Vec<f64> = bars.iter().filter_map(|bar| bar.length()).map(f64::abs).collect();
    let (across, along) = (Scale::of(&ends, LEFT.0, LEFT.1), Scale::log(&lengths, RIGHT.0, RIGHT.1));
    let row = if bars.len() <= 14 {
        24.0
    } else if bars.len() <= 30 {
        19.0
    } else {
        15.0
    };
    let (first, bottom) = (top + 44.0, top + 44.0 + row * bars.len() as f64);

    let axis_kind = if across.is_log() { " (log axis)" } else { "" };
    drawing.text((LEFT.0, top + 14.0), "head", &format!("{}{axis_kind}", words::value_name(findings)));
    if !lengths.is_empty() {
        let what = format!("{} (log axis)", words::length_name(findings, degree));
        drawing.text((RIGHT.0, top + 14.0), "head", &what);
    }
    for i in (0..bars.len()).step_by(2) {
        drawing.rect((0.0, first + row * i as f64), (WIDTH, row), "zebra");
    }
    axis(drawing, &across, 6, top + 32.0, first, bottom);
    if !lengths.is_empty() {
        axis(drawing, &along, 7, top + 32.0, first, bottom);
    }
    for (i, bar) in bars.iter().enumerate() {
        let y = first + row * (i as f64 + 0.5);
        drawing.open(&hint(findings, bar));
        drawing.text((LEFT.0 - 14.0, y + 4.0), "end", &name(findings, bar, bars.len() > 30));
        left_bar(drawing, &across, bar, findings.superlevel, y);
        right_bar(drawing, findings, &along, bar, y);
        drawing.close();
    }
    if bars.len() < all.len() {
        let left_out = format!("The {} longest of {}; all are in barcode.csv.", bars.len(), all.len());
        drawing.text((LEFT.0, bottom + 16.0), "muted small", &left_out);
        return bottom + 22.0;
    }
    bottom
}

/// Where there are more than `most`, the half-lines and the longest, in the order of the barcode.
pub fn longest<'a>(all: &[&'a Bar], most: usize) -> Vec<&'a Bar> {
    let length = |i: usize| all[i].length().map_or(f64::INFINITY, f64::abs);
    let mut chosen: Vec<usize> = (0..all.len()).collect();
    chosen.sort_by(|a, b| length(*b).total_cmp(&length(*a)));
    chosen.truncate(most);
    chosen.sort_unstable();
    chosen.into_iter().map(|i| all[i]).collect()
}

fn axis(drawing: &mut Drawing, scale: &Scale, most: usize, labels: f64, top: f64, bottom: f64) {
    for (value, label) in scale.ticks(most) {
        let x = scale.at(value);
        drawing.text((x, labels), "muted small mid", &label);
        drawing.line((x, top - 6.0), (x, bottom), "rule");
    }
}

fn left_bar(drawing: &mut Drawing, scale: &Scale, bar: &Bar, superlevel: bool, y: f64) {
    let from = scale.at(bar.birth);
    match bar.death().zip(bar.death_kind()) {
        Some((death, kind)) => {
            let to = scale.at(death);
            drawing.line((from, y), (to, y), bar_class(bar));
            // Shorter than the marks are wide: the right panel has the pass.
            if (to - from).abs() > 9.0 {
                drawing.mark((to, y), death_mark(kind), false);
            }
        }
        None => {
            let (to, way) = if superlevel { (LEFT.0 - 4.0, -1.0) } else { (LEFT.1 + 4.0, 1.0) };
            drawing.line((from, y), (to - 6.0 * way, y), bar_class(bar));
            drawing.arrow((to, y), (way, 0.0));
        }
    }
    drawing.mark((from, y), birth_mark(bar), false);
}

fn right_bar(drawing: &mut Drawing, findings: &Findings<'_>, scale: &Scale, bar: &Bar, y: f64) {
    let Some((length, kind)) = bar.length().map(f64::abs).zip(bar.death_kind()) else {
        let text =
            if bar.degree == 0 && findings.searched() { "never dies: nothing lower was found" } else { "never dies" };
        drawing.text((RIGHT.0, y + 4.0), "muted small", text);
        return;
    };
    let to = scale.at(length);
    drawing.line((RIGHT.0, y), (to, y), bar_class(bar));
    drawing.mark((to, y), death_mark(kind), false);
    drawing.text((to + 10.0, y + 4.0), "", &short(length));
}

/// What a bar is called: its minimum, or on grids and graphs its cell.
fn name(findings: &Findings<'_>, bar: &Bar, brief: bool) -> String {
    match (findings.searched(), bar.degree, brief) {
        (true, 0, false) => format!("minimum {}", bar.birth_cell),
        (true, 0, true) => format!("min. {}", bar.birth_cell),
        (true, 1, false) => format!("saddle {}", bar.birth_cell),
        _ => format!("cell {}", bar.birth_cell),
    }
}

fn hint(findings: &Findings<'_>, bar: &Bar) -> String {
    let mut text = format!("{}: born at {}", name(findings, bar, false), significant(bar.birth, 8));
    if let (Some(death), Some(length)) = (bar.death(), bar.length()) {
        text += &format!(", dies at {}, length {}", significant(death, 8), significant(length.abs(), 5));
    }
    if let Some(error) = bar.top().map(|top| top.error).filter(|error| *error > 0.0) {
        text += &format!(" (at most {} more)", short(error));
    }
    if let Some(elder) = bar.elder() {
        text += &format!(", swallowed by {elder}");
    }
    text
}

/// How a bar is drawn: faintly where it is below noise.
fn bar_class(bar: &Bar) -> &'static str {
    if bar.is_below_noise() { "bar doubt" } else { "bar" }
}

/// How a birth is drawn: open where it has not converged.
pub fn birth_mark(bar: &Bar) -> Mark {
    if bar.is_unconverged() { Mark::OpenBirth } else { Mark::Birth }
}

/// How a death is drawn: open where it is the maximum of a path.
pub fn death_mark(kind: DeathKind) -> Mark {
    match kind {
        DeathKind::VerifiedSaddle | DeathKind::VerifiedKinkSaddle | DeathKind::Cell => Mark::Saddle,
        DeathKind::PathMaximum => Mark::Top,
        DeathKind::CriticalPoint => Mark::Higher,
    }
}

/// The marks these bars use, and what they mean.
pub fn legend(bars: &[&Bar]) -> Vec<(Mark, &'static str)> {
    let any = |what: &dyn Fn(&Bar) -> bool| bars.iter().any(|bar| what(bar));
    let born = |mark| (mark, any(&|bar| birth_mark(bar) == mark));
    let died = |kind| (death_mark(kind), any(&|bar| bar.death_kind() == Some(kind)));
    let with = |(mark, used), text| (mark, text, used);
    let all = [
        with(born(Mark::Birth), "birth"),
        with(born(Mark::OpenBirth), "birth, not converged"),
        with(died(DeathKind::VerifiedSaddle), "death: a verified saddle"),
        with(died(DeathKind::VerifiedKinkSaddle), "death: a verified kink saddle"),
        with(died(DeathKind::Cell), "death: a critical cell"),
        with(died(DeathKind::CriticalPoint), "death: a point of higher index"),
        with(died(DeathKind::PathMaximum), "death: the maximum of a path"),
        (Mark::Doubt, "below the noise of the loss", any(&|bar| bar.is_below_noise())),
        (Mark::HalfLine, "half-line: never dies", any(&|bar| bar.death().is_none())),
    ];
    all.into_iter().filter(|(_, _, used)| *used).map(|(mark, text, _)| (mark, text)).collect()
}

/// `7 bars, 1 half-line`, for captions.
pub fn tally(bars: &[&Bar]) -> String {
    let endless = bars.iter().filter(|bar| bar.death().is_none()).count() as u64;
    let finite = counted(bars.len() as u64 - endless, "finite bar", "finite bars");
    format!("{finite}, {}", counted(endless, "half-line", "half-lines"))
}
