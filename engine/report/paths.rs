//! Small multiples of path profiles: the loss along each path that decides a bar, its pass marked.
//!
//! A panel shows the climb: where a path falls far below its higher end the panel cuts it off there, since a pass may
//! rise a thousandth of what lies behind it.

use super::barcode::death_mark;
use super::findings::Findings;
use super::number::{counted, short};
use super::scale::{Scale, range};
use super::svg::{Drawing, Mark};
use crate::search::{PassKind, Path, PathState};

const WIDTH: f64 = 960.0;
const COLUMNS: usize = 4;
const PANEL: (f64, f64) = (224.0, 176.0);
const GAP: f64 = 21.3;

/// At most so many panels: the paths of the longest bars come first.
const MOST: usize = 32;

/// The paths worth a panel: those that decide a bar, else all that were not replaced by their pieces.
pub fn chosen<'a>(findings: &Findings<'a>) -> Vec<&'a Path> {
    let mut deciding: Vec<_> = findings.barcode.counted(0).filter(|bar| bar.top().is_some()).collect();
    let length = |bar: &&crate::persistence::Bar| bar.length().unwrap_or(0.0);
    deciding.sort_by(|a, b| length(b).total_cmp(&length(a)).then(a.birth_cell.cmp(&b.birth_cell)));
    let mut paths: Vec<&Path> = Vec::new();
    for path in deciding.iter().filter_map(|bar| findings.run?.landscape.path(bar.top()?.path?)) {
        if !paths.iter().any(|known| known.id == path.id) {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        paths = findings.paths().iter().filter(|path| path.state != PathState::Split).collect();
    }
    paths.retain(|path| usable(path));
    paths.truncate(MOST);
    paths
}

/// Draws them, or nothing where there are none.
pub fn draw(findings: &Findings<'_>) -> Option<Drawing> {
    let paths = chosen(findings);
    if paths.is_empty() {
        return None;
    }
    let mut drawing = Drawing::new(WIDTH, &format!("Path profiles of {}", findings.title));
    for (i, path) in paths.iter().enumerate() {
        let (column, row) = ((i % COLUMNS) as f64, (i / COLUMNS) as f64);
        panel(&mut drawing, findings, path, (column * (PANEL.0 + GAP), row * (PANEL.1 + GAP)));
    }
    let kinds = |kind| paths.iter().any(|path| path.pass.kind == kind);
    let marks = [
        (Mark::Birth, "end: a minimum", true),
        (Mark::Saddle, "verified saddle", kinds(PassKind::VerifiedSaddle)),
        (Mark::Saddle, "verified kink saddle", kinds(PassKind::VerifiedKinkSaddle)),
        (Mark::Top, "maximum of the path", kinds(PassKind::PathMaximum)),
    ];
    let marks: Vec<(Mark, &str)> = marks.into_iter().filter(|m| m.2).map(|m| (m.0, m.1)).collect();
    let below = paths.len().div_ceil(COLUMNS) as f64 * (PANEL.1 + GAP);
    let y = drawing.legend(0.0, below + 8.0, &marks);
    drawing.crop(y);
    Some(drawing)
}

fn usable(path: &Path) -> bool {
    let n = path.profile.arc.len();
    n >= 2 && path.profile.loss.len() == n && path.profile.arc.iter().any(|s| *s > path.profile.arc[0])
}

fn panel(drawing: &mut Drawing, findings: &Findings<'_>, path: &Path, (left, top): (f64, f64)) {
    let points = samples(path);
    let ends = [points[0], points[points.len() - 1]];
    let base = ends[0].1.max(ends[1].1);
    let climb = path.pass.height - base;
    let (lowest, highest) = range(&points.iter().map(|p| p.1).collect::<Vec<_>>());
    let highest = highest.max(if path.pass.height.is_finite() { path.pass.height } else { highest });
    // Everything where that shows the climb, else the climb alone.
    let cut = climb > 0.0 && highest - lowest > 5.0 * climb;
    let floor = if cut { base - 0.7 * climb } else { lowest };
    let room = 0.08 * (highest - floor).max(f64::MIN_POSITIVE);
    let (x0, x1, y0, y1) = (left + 56.0, left + PANEL.0 - 4.0, top + PANEL.1 - 20.0, top + 42.0);
    let (low, high) = (floor - if cut { 0.0 } else { room }, highest + room);
    let up = if high > low { Scale::window(low - base, high - base, y0, y1) } else { Scale::linear(0.0, 0.0, y0, y1) };
    let (from, to) = stretch(&points, low, cut);
    let along = Scale::window(from, to, x0, x1);

    drawing.open(&hint(path, climb));
    drawing.text((left, top + 12.0), "head", &format!("{} – {}", path.ends.0, path.ends.1));
    let decides: Vec<String> = (findings.barcode.degree(0))
        .filter(|bar| bar.top().is_some_and(|top| top.path == Some(path.id)))
        .map(|bar| bar.birth_cell.to_string())
        .collect();
    let decides = match decides.len() {
        0 => String::new(),
        1 => format!(", decides minimum {}", decides[0]),
        _ => format!(", decides minima {}", decides.join(" ")),
    };
    drawing.text((left, top + 26.0), "muted small", &format!("climb {}{decides}", short(climb.max(0.0))));
    for (value, label) in up.ticks(3) {
        drawing.line((x0, up.at(value)), (x1, up.at(value)), "rule");
        drawing.text((x0 - 8.0, up.at(value) + 4.0), "muted small end", &label);
    }
    drawing.text((x0, y0 + 15.0), "muted small", &short(from));
    drawing.text((x1, y0 + 15.0), "muted small end", &short(to));

    for piece in visible(&points, (from, to), low) {
        let piece: Vec<(f64, f64)> = piece.iter().map(|(s, f)| (along.at(*s), up.at(f - base))).collect();
        drawing.polyline(&piece, "thin");
    }
    for (s, f) in ends {
        if f >= low && (from..=to).contains(&s) {
            drawing.mark((along.at(s), up.at(f - base)), Mark::Birth, false);
        }
    }
    if path.pass.height.is_finite() && path.pass.arc.is_finite() {
        let at = (along.at(path.pass.arc), up.at(path.pass.height - base));
        drawing.mark(at, death_mark(path.pass.kind.into()), false);
    }
    drawing.close();
}

/// The samples with, between any two, points of the cubic that has their slopes.
fn samples(path: &Path) -> Vec<(f64, f64)> {
    let profile = &path.profile;
    let finite: Vec<usize> =
        (0..profile.arc.len()).filter(|i| profile.arc[*i].is_finite() && profile.loss[*i].is_finite()).collect();
    // A cubic through samples too far apart overshoots; the bracketed maximum is known to be the highest.
    let highest = finite.iter().map(|i| profile.loss[*i]).fold(path.pass.height, f64::max);
    let mut points = Vec::new();
    for pair in finite.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let (h, fa, fb) = (profile.arc[b] - profile.arc[a], profile.loss[a], profile.loss[b]);
        points.push((profile.arc[a], fa));
        let slopes = (profile.slope.get(a), profile.slope.get(b));
        if let (Some(ga), Some(gb)) = slopes
            && ga.is_finite()
            && gb.is_finite()
            && h > 0.0
        {
            for t in [0.25, 0.5, 0.75] {
                let (u, v) = (1.0 - t, t);
                let value = u * u * (1.0 + 2.0 * v) * fa + v * v * (1.0 + 2.0 * u) * fb + u * v * h * (u * ga - v * gb);
                points.push((profile.arc[a] + t * h, value.min(highest)));
            }
        }
    }
    points.extend(finite.last().map(|i| (profile.arc[*i], profile.loss[*i])));
    points.retain(|(_, f)| f.is_finite());
    if points.is_empty() { vec![(0.0, 0.0), (1.0, 0.0)] } else { points }
}

/// The arc lengths to show: all, or of a path that is cut, what is left of it.
fn stretch(points: &[(f64, f64)], low: f64, cut: bool) -> (f64, f64) {
    let (start, end) = (points[0].0, points[points.len() - 1].0);
    let inside = || points.iter().filter(|(_, f)| *f >= low).map(|p| p.0);
    let (from, to) = (inside().fold(f64::INFINITY, f64::min), inside().fold(f64::NEG_INFINITY, f64::max));
    let room = 0.15 * (to - from);
    let whole = (start, if end > start { end } else { start + 1.0 });
    if !cut || to <= from {
        return whole;
    }
    ((from - room).max(start), (to + room).min(end))
}

/// The pieces of a curve that lie inside the panel, cut where they leave it.
fn visible(points: &[(f64, f64)], (from, to): (f64, f64), low: f64) -> Vec<Vec<(f64, f64)>> {
    let inside = |p: &(f64, f64)| p.1 >= low && p.0 >= from && p.0 <= to;
    let mut pieces: Vec<Vec<(f64, f64)>> = vec![Vec::new()];
    for pair in points.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        // The share of the segment at which it crosses the floor.
        let crossing = || {
            let t = ((low - a.1) / (b.1 - a.1)).clamp(0.0, 1.0);
            (a.0 + t * (b.0 - a.0), low)
        };
        let piece = match pieces.last_mut() {
            Some(piece) => piece,
            None => return pieces,
        };
        match (inside(&a), inside(&b)) {
            (true, true) => {
                if piece.is_empty() {
                    piece.push(a);
                }
                piece.push(b);
            }
            (true, false) => {
                if piece.is_empty() {
                    piece.push(a);
                }
                if b.1 < low {
                    piece.push(crossing());
                }
                pieces.push(Vec::new());
            }
            (false, true) => piece.extend(if a.1 < low { vec![crossing(), b] } else { vec![b] }),
            (false, false) => {}
        }
    }
    pieces.retain(|piece| piece.len() > 1);
    pieces
}

fn hint(path: &Path, climb: f64) -> String {
    let kind = match path.pass.kind {
        PassKind::VerifiedSaddle => "a verified saddle",
        PassKind::VerifiedKinkSaddle => "a verified kink saddle",
        PassKind::PathMaximum => "the maximum of the path",
    };
    let edges = path.pass.evidence.as_ref().map_or(0, |evidence| evidence.edges());
    let edges = if edges > 0 { format!(" on {}", counted(edges, "kink", "kinks")) } else { String::new() };
    let reason = path.pass.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let (a, b) = path.ends;
    let (height, climb) = (super::number::significant(path.pass.height, 8), short(climb));
    format!("Path {} from {a} to {b}: {kind}{edges}{reason} at {height}, {climb} above the higher end", path.id)
}
