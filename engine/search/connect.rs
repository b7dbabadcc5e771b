//! Connections: which pairs of minima get a path, how a path is worked on, and where it falls apart into pieces.
//!
//! A visit relaxes a path (first as a whole, then ever closer round its top), measures it and keeps the lower of old
//! and new. A path that dips into a basin of its own on the way is no single pass: its valleys are handed back, to be
//! quenched, and the path is replaced by its pieces (docs/mathematics.md#way-stations).

use super::align::Alignment;
use super::begin::path;
use super::height::{Care, Measured, measure};
use super::kinked::PATHS;
use super::landscape::{CellId, Minimum, Path, PathState, Profile};
use super::path::{Relax, Relaxed, relax, relax_below};
use super::polyline::Polyline;
use crate::error::Result;
use crate::loss::oracle::{Oracle, View};

pub use super::begin::{Ids, bent, straight};

/// How paths are worked on.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Inner knots of the bands of a first visit, coarse to fine.
    pub knots: Vec<usize>,
    /// Steps of each.
    pub steps: Vec<usize>,
    /// A path is settled when a visit lowers its top by less than this fraction of its climb.
    pub tolerance: f64,
    /// The most visits to one path.
    pub visits: u32,
    /// Every minimum is joined to this many nearest ones, and to the best.
    pub neighbours: usize,
}

impl Default for Schedule {
    fn default() -> Schedule {
        let (knots, steps) = (Vec::new(), Vec::new());
        Schedule { knots, steps, tolerance: 1e-3, visits: 12, neighbours: 10 }.with(vec![3, 7, 15])
    }
}

impl Schedule {
    /// This schedule with bands of so many inner knots; finer ones get more steps.
    pub fn with(self, knots: Vec<usize>) -> Schedule {
        let steps = knots.iter().map(|k| (25 * k).saturating_sub(55) / 2).map(|steps| steps.clamp(40, 400)).collect();
        Schedule { knots, steps, ..self }
    }

    /// The visits that a rival's coarse relaxation stands for.
    pub fn coarse(&self) -> u32 {
        let [_, (finest, _)] = RIVAL;
        self.knots.iter().take_while(|&&knots| knots <= finest).count().max(1) as u32
    }
}

/// Inner knots and steps of a rival, coarse to fine.
const RIVAL: [(usize, usize); 2] = [(3, 40), (7, 60)];
/// Knots see the top of their curve when no more than this fraction of its climb is hidden between them.
const HIDDEN: f64 = 0.1;
/// The most inner knots that a band gets to see it with.
const FINEST: usize = 63;
/// How often a curve is drawn back half-way from where the loss is not finite.
const DRAWN_BACK: usize = 4;
/// Places of a curve where smoothings are compared, and the part of its climb that is to be seen of one that serves.
const LOOKED_AT: usize = 30;
const SEEN: f64 = 0.5;
/// Smoothings that a search for a saddle tries.
const TRIED: usize = 3;
/// Visits to a path's top before it may settle. (Settling after the first left Mueller-Brown 4e-4 too high.)
const LOOKS: usize = 3;
/// Inner knots of a window round a path's top.
const WINDOW: usize = 7;
/// Knots that a curve keeps at most on either side of a window: every window adds some, and a path of a large network is
/// as large as all its knots.
const SIDE: usize = 12;
/// Knots of a path at most, once its top was looked at closer; where no valley is bent, twice `SIDE` and a window.
pub const KNOTS: usize = 3 * FINEST;
/// A profile that climbs by this fraction of the top's climb has left a valley.
const VALLEY: f64 = 0.1;

/// The pairs of minima worth a first look: each with its nearest and with the best one. Indices into `minima`,
/// smaller first, in order.
pub fn pairs(minima: &[&Minimum], alignment: &Alignment, neighbours: usize) -> Vec<(usize, usize)> {
    let n = minima.len();
    let best = (0..n).min_by(|&a, &b| minima[a].loss.total_cmp(&minima[b].loss));
    let mut wanted = std::collections::BTreeSet::new();
    // Of all pairs, each once: alignment costs far more than the rest.
    let apart = |i: usize, j: usize| alignment.distance(&minima[i].theta, &minima[j].theta);
    let near = n.saturating_sub(1) <= neighbours;
    let distances: Vec<Vec<f64>> =
        (0..n).map(|i| (0..if near { 0 } else { i }).map(|j| apart(i, j)).collect()).collect();
    for i in 0..n {
        let mut others: Vec<usize> = (0..n).filter(|&j| j != i).collect();
        if !near {
            let mut far: Vec<(f64, usize)> = others.iter().map(|&j| (distances[i.max(j)][i.min(j)], j)).collect();
            far.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            others = far.into_iter().take(neighbours).map(|(_, j)| j).chain(best.filter(|&b| b != i)).collect();
        }
        wanted.extend(others.into_iter().map(|j| (i.min(j), i.max(j))));
    }
    wanted.into_iter().collect()
}

/// Works on a path once. It never gets worse: a higher result is thrown away. Settled, or to be looked at.
pub fn visit(oracle: &mut Oracle<'_>, path: &Path, schedule: &Schedule) -> Result<Path> {
    let stage = path.visits as usize;
    let bands = &schedule.knots;
    let last = schedule.steps.last().copied().unwrap_or_default();
    let window = match stage.checked_sub(bands.len()) {
        None => Some(Window::whole(path, Relax::whole(bands[stage], schedule.steps[stage]))),
        Some(closeness) => match unseen(path) {
            // A window round a top that its knots do not see would not be round the right one.
            Some(more) => Some(Window::whole(path, Relax::whole(more, last))),
            None => Window::round_top(path, closeness),
        },
    };
    let Some(window) = window else {
        return Ok(Path { visits: path.visits + 1, state: PathState::Converged, ..path.clone() });
    };
    let before = path.pass.height + path.pass.error;
    // The saddle is looked for first: whoever finds it needs no more knots.
    let may_double = stage >= bands.len();
    let mut next = resolved(oracle, path, window, may_double)?;
    next.visits += 1;
    let lowered = before - (next.pass.height + next.pass.error);
    // A relaxation of the whole path is never the last word: its knots are too far apart at the top; nor are the first
    // windows round the top, which are hardly finer.
    let little = schedule.tolerance * climb(&next) + 2.0 * next.pass.error + oracle.noise();
    let settled = stage >= bands.len() + LOOKS && lowered <= little;
    next.state = if settled { PathState::Converged } else { PathState::Fresh };
    Ok(next)
}

/// How a loss with kinks is seen from afar.
pub fn widest(oracle: &Oracle<'_>) -> View {
    if oracle.has_kinks() { View::Smoothed(PATHS[0]) } else { View::Itself }
}

/// How a curve is seen that moves by gradients: smoothed as widely as may be. It is measured as it is.
fn seen_along(oracle: &mut Oracle<'_>, line: &Polyline) -> Result<View> {
    Ok(views(oracle, line, 1)?.remove(0))
}

/// The ways to see a curve so that it has a top between its ends, so many at most: a loss with kinks, where it supplies them,
/// is smoothed, ever less widely.
fn views(oracle: &mut Oracle<'_>, line: &Polyline, most: usize) -> Result<Vec<View>> {
    if !oracle.has_kinks() {
        return Ok(vec![View::Itself]);
    }
    let (arcs, length) = (line.arcs(), line.length());
    let points: Vec<f64> = (0..=LOOKED_AT).flat_map(|k| line.at(&arcs, length * k as f64 / LOOKED_AT as f64)).collect();
    let mut climb = |view| {
        let loss = oracle.seen(view, |oracle| oracle.values(&points))?;
        Ok(loss.iter().copied().fold(f64::NEG_INFINITY, f64::max) - loss[0].max(loss[LOOKED_AT]))
    };
    let (whole, mut views) = (climb(View::Itself)?, Vec::new());
    for (k, width) in PATHS.into_iter().map(View::Smoothed).enumerate() {
        if views.len() < most && (climb(width.clone())? >= SEEN * whole || k + 1 == PATHS.len()) {
            views.push(width);
        }
    }
    Ok(views)
}

/// The lowest of a path and what a window of it is relaxed to, with twice the knots again and again until they see the
/// top: else a band lies low at its knots and cuts the corners of a bent valley between them.
fn resolved(oracle: &mut Oracle<'_>, path: &Path, mut window: Window, may_double: bool) -> Result<Path> {
    let mut lowest = path.clone();
    loop {
        let view = seen_along(oracle, &window.line)?;
        let relaxed = oracle.seen(view, |oracle| relax(oracle, &window.line, window.how))?;
        window.line = relaxed.last.clone();
        let (lower, hidden) = lower_of(oracle, &lowest, relaxed.map(|line| window.within(line)))?;
        lowest = lower;
        window.how.knots = 2 * window.how.knots + 1;
        let is_seen = !hidden.is_finite() || hidden <= HIDDEN * climb(&lowest);
        if is_seen || !may_double || window.how.knots > FINEST {
            return Ok(lowest);
        }
    }
}

/// Relaxes a path coarsely, in case it comes to lie below a height; the finer bands are given up once they fall too slowly
/// for that. Whatever `knots` a schedule has, all rivals have the same.
pub fn rival(oracle: &mut Oracle<'_>, path: &Path, schedule: &Schedule, below: f64) -> Result<Path> {
    let mut lowest = Path { visits: path.visits.max(schedule.coarse()), ..path.clone() };
    let mut line = Polyline::new(path.knots.clone(), oracle.params());
    let [(coarse, few), (mut knots, steps)] = RIVAL;
    let inner = line.n() - 2;
    let view = seen_along(oracle, &line)?;
    if inner < coarse {
        line = oracle.seen(view.clone(), |oracle| relax(oracle, &line, Relax::whole(coarse, few)))?.last;
    }
    while inner < knots && knots <= FINEST {
        let how = Relax::whole(knots, steps);
        let band = oracle.seen(view.clone(), |oracle| relax_below(oracle, &line, how, below))?;
        let Some(relaxed) = band else { break };
        line = relaxed.last.clone();
        let (lower, hidden) = lower_of(oracle, &lowest, relaxed)?;
        lowest = lower;
        // More knots are for those that have come low enough at these.
        if lowest.pass.height < below || lowest.pass.height - hidden >= below || !hidden.is_finite() {
            break;
        }
        knots = 2 * knots + 1;
    }
    if lowest.pass.height < below {
        lowest.state = PathState::Fresh;
    }
    Ok(lowest)
}

/// A path, or what it was relaxed to: the one whose height is bounded lowest; and what of the top its last knots do not see.
fn lower_of(oracle: &mut Oracle<'_>, path: &Path, relaxed: Relaxed) -> Result<(Path, f64)> {
    let id = Ids { path: path.id, cell: path.pass.cell };
    let old = Polyline::new(path.knots.clone(), oracle.params());
    let (mut line, mut measured) = finite(oracle, &old, relaxed.last)?;
    let hidden = hidden(&line, &measured.profile, (measured.arc, measured.height));
    if let Some(lowest) = relaxed.lowest {
        let other = measure(oracle, &lowest, Care::CLOSE)?;
        if other.height + other.error < measured.height + measured.error {
            (line, measured) = (lowest, other);
        }
    }
    let new =
        |line, measured| Path { visits: path.visits, ..self::path(id, path.ends, PathState::Relaxed, line, measured) };
    // Bounds are compared: a rough measurement must not win by its own error.
    if measured.height + measured.error < path.pass.height + path.pass.error {
        return Ok((new(line, measured), hidden));
    }
    if path.state == PathState::Straight {
        // A glance may have missed what a close look would see.
        let measured = measure(oracle, &old, Care::CLOSE)?;
        return Ok((new(old, measured), hidden));
    }
    Ok((path.clone(), hidden))
}

/// The inner knots of a band that may see the top of a path which those it has do not.
fn unseen(path: &Path) -> Option<usize> {
    let line = Polyline::new(path.knots.clone(), path.pass.theta.len());
    let more = 2 * (line.n() - 2) + 1;
    let hidden = hidden(&line, &path.profile, (path.pass.arc, path.pass.height));
    (hidden.is_finite() && hidden > HIDDEN * climb(path) && more <= FINEST).then_some(more)
}

/// How far the top of a curve lies above the higher of the two knots round it.
fn hidden(line: &Polyline, Profile { arc, loss, .. }: &Profile, (top, height): (f64, f64)) -> f64 {
    let arcs = line.arcs();
    let ahead = arcs.partition_point(|&arc| arc <= top).clamp(1, arcs.len() - 1);
    let at = |knot: usize| loss[arc.partition_point(|&arc| arc < arcs[knot]).min(loss.len() - 1)];
    height - at(ahead - 1).max(at(ahead))
}

/// A relaxed curve, measured; where the loss is not finite on it, drawn back towards the curve it was.
fn finite(oracle: &mut Oracle<'_>, old: &Polyline, relaxed: Polyline) -> Result<(Polyline, Measured)> {
    let mut measured = measure(oracle, &relaxed, Care::CLOSE)?;
    let mut line = relaxed;
    for _halving in 0..DRAWN_BACK {
        if measured.height.is_finite() {
            break;
        }
        line = line.half_way_to(&old.respaced(line.n()));
        measured = measure(oracle, &line, Care::CLOSE)?;
    }
    Ok((line, measured))
}

/// How far the top of a path lies above its higher end.
fn climb(path: &Path) -> f64 {
    let ends = (path.profile.loss.first(), path.profile.loss.last());
    path.pass.height - ends.0.copied().unwrap_or(f64::NAN).max(ends.1.copied().unwrap_or(f64::NAN))
}

/// A part of a path that is relaxed, and the knots on either side of it that stay. Those where it was cut do not: an end
/// that has moved across the path would be a fold beside the cut.
struct Window {
    line: Polyline,
    how: Relax,
    sides: [Vec<f64>; 2],
}

impl Window {
    fn whole(path: &Path, how: Relax) -> Window {
        Window { line: Polyline::new(path.knots.clone(), path.pass.theta.len()), how, sides: Default::default() }
    }

    /// Where the path lies above a level that rises from visit to visit; `None` when nothing is left to resolve.
    fn round_top(path: &Path, closeness: usize) -> Option<Window> {
        let line = Polyline::new(path.knots.clone(), path.pass.theta.len());
        let depth = 0.5 * 0.25_f64.powi(closeness as i32) * climb(path);
        let level = path.pass.height - depth;
        let (arc, loss) = (&path.profile.arc, &path.profile.loss);
        let peak = arc.partition_point(|&a| a < path.pass.arc);
        let left = (0..peak).rev().find(|&i| loss[i] < level).map_or(arc[0], |i| arc[i]);
        let right = (peak..arc.len()).find(|&i| loss[i] < level).map_or(arc[arc.len() - 1], |i| arc[i]);
        let length = arc[arc.len() - 1];
        if right - left <= 1e-9 * length || depth <= 8.0 * f64::EPSILON * path.pass.height.abs() {
            return None;
        }
        // A window that reaches an end of the path keeps it: ends are minima.
        let free_ends = left > 0.0 && right < length;
        let how = Relax { tolerance: 1e-4, free_ends, ..Relax::whole(WINDOW, 60) };
        // Whoever has more knots than windows leave wanted them, for a bent valley.
        let most = if line.n() > 2 * SIDE + WINDOW { FINEST } else { SIDE };
        let side = |from: f64, to: f64| match from < to {
            true => line.part(from, to).fewer(most).into_knots(),
            false => Vec::new(),
        };
        let p = line.params();
        let (mut before, mut after) = (side(0.0, left), side(right, length));
        before.truncate(before.len().saturating_sub(p));
        after.drain(..p.min(after.len()));
        let sides = [before, after];
        Some(Window { line: line.part(left, right), how, sides })
    }

    /// The whole path with this in the place of the window.
    fn within(&self, line: Polyline) -> Polyline {
        let [left, right] = &self.sides;
        Polyline::new([left, line.knots(), right].concat(), line.params())
    }
}

/// The arc lengths of the valleys on either side of the top that belong to neither end, if any. Rises within twice the
/// noise bound none.
pub fn valleys(path: &Path, noise: f64) -> Vec<f64> {
    let (arc, loss) = (&path.profile.arc, &path.profile.loss);
    if !path.pass.height.is_finite() {
        return Vec::new();
    }
    let peak = arc.partition_point(|&a| a < path.pass.arc).min(arc.len() - 1);
    let leave = (VALLEY * climb(path)).max(2.0 * noise);
    let side = |samples: &mut dyn Iterator<Item = usize>, end: usize| -> Option<f64> {
        let mut lowest = peak;
        for i in samples {
            if loss[i] < loss[lowest] {
                lowest = i;
            } else if loss[i] > loss[lowest] + leave {
                break;
            }
        }
        let at_end = loss[lowest] >= loss[end] - 1e-3 * leave && arc[lowest] == arc[end];
        (!at_end && lowest != peak && loss[lowest] < path.pass.height - leave).then_some(arc[lowest])
    };
    let left = side(&mut (0..peak).rev(), 0);
    let right = side(&mut (peak + 1..loss.len()), loss.len() - 1);
    left.into_iter().chain(right).collect()
}

/// How far a search for the saddle may step at once, by the length of the path; it may walk five times as far.
pub fn reach(path: &Path) -> f64 {
    0.05 * path.profile.arc.last().copied().unwrap_or(0.0)
}

/// Whether a path leads from the one to the other, or back.
pub fn are_ends(path: &Path, a: CellId, b: CellId) -> bool {
    path.ends == (a, b) || path.ends == (b, a)
}

/// The two sides of a path, as knots from its top to either end.
pub fn sides(path: &Path) -> [Vec<f64>; 2] {
    let line = Polyline::new(path.knots.clone(), path.pass.theta.len());
    let (top, length) = (path.pass.arc, line.length());
    [line.part(0.0, top).reversed(), line.part(top, length)].map(Polyline::into_knots)
}

/// Where on a path a search for the saddle begins.
pub struct Top {
    /// The arc length.
    pub arc: f64,
    /// The point.
    pub theta: Vec<f64>,
    /// The direction of the path there.
    pub along: Vec<f64>,
    /// How the loss is seen on whose top it is.
    pub view: View,
}

/// How the top of a path may be seen, the likeliest way first.
pub fn views_of_top(oracle: &mut Oracle<'_>, path: &Path) -> Result<Vec<View>> {
    views(oracle, &Polyline::new(path.knots.clone(), path.pass.theta.len()), TRIED)
}

/// The top of a path, as it is seen.
pub fn top(oracle: &mut Oracle<'_>, path: &Path, view: View) -> Result<Top> {
    let line = Polyline::new(path.knots.clone(), path.pass.theta.len());
    let (arc, theta) = match view {
        View::Itself => (path.pass.arc, path.pass.theta.clone()),
        _ => {
            let measured = oracle.seen(view.clone(), |oracle| measure(oracle, &line, Care::GLANCE))?;
            (measured.arc, measured.theta)
        }
    };
    let arcs = line.arcs();
    let aside = 1e-3 * arcs[arcs.len() - 1];
    let (back, ahead) = (line.at(&arcs, arc - aside), line.at(&arcs, arc + aside));
    let along = ahead.iter().zip(&back).map(|(a, b)| a - b).collect();
    Ok(Top { arc, theta, along, view })
}

/// The point of a path at an arc length.
pub fn point(path: &Path, arc: f64) -> Vec<f64> {
    let p = path.pass.theta.len();
    let line = Polyline::new(path.knots.clone(), p);
    line.at(&line.arcs(), arc)
}

/// A place where a path is cut: the minimum found there, in the path's own frame.
#[derive(Clone, Debug)]
pub struct Cut {
    /// Where on the path it was cut.
    pub arc: f64,
    /// The cell of the way-station.
    pub cell: CellId,
    /// Knots from beside the path to the way-station, which is the last of them.
    pub way: Vec<f64>,
}

/// The pieces of a path between its ends and the cuts, if any, measured; pieces that return to their own start are dropped.
pub fn pieces(
    oracle: &mut Oracle<'_>,
    path: &Path,
    cuts: &[Cut],
    schedule: &Schedule,
    first: Ids,
) -> Result<Vec<Path>> {
    let line = Polyline::new(path.knots.clone(), oracle.params());
    let length = line.length();
    let ends = [(0.0, path.ends.0, line.knot(0)), (length, path.ends.1, line.knot(line.n() - 1))];
    let mut stations = vec![ends[0]];
    stations.extend(cuts.iter().map(|cut| (cut.arc, cut.cell, cut.way.as_slice())));
    stations.push(ends[1]);
    let mut pieces = Vec::new();
    if cuts.is_empty() {
        return Ok(pieces);
    }
    for pair in stations.windows(2) {
        let ((from, a, back), (to, b, on)) = (pair[0], pair[1]);
        if a == b {
            continue;
        }
        let whole = joined(back, line.part(from, to), on);
        let whole = if whole.n() > KNOTS { whole.fewer(KNOTS) } else { whole };
        let measured = measure(oracle, &whole, Care::CLOSE)?;
        let id = Ids { path: first.path + pieces.len() as u64, cell: first.cell + pieces.len() as u64 };
        // A piece that already has the knots of a stage need not go through it again.
        let knots = whole.n() - 2;
        let visits = schedule.knots.iter().take_while(|&&stage| stage < knots).count() as u32;
        pieces.push(Path { visits, ..self::path(id, (a, b), PathState::Relaxed, whole, measured) });
    }
    Ok(pieces)
}

/// A part of a path, prolonged by the ways from its ends to the minima there.
fn joined(back: &[f64], part: Polyline, on: &[f64]) -> Polyline {
    let p = part.params();
    let way = |knots: &[f64], end: &[f64]| Polyline::new([end, knots].concat(), p);
    let (first, last) = (part.knot(0).to_vec(), part.knot(part.n() - 1).to_vec());
    let mut whole = part;
    if back != first {
        whole = way(back, &first).reversed().then(&whole);
    }
    if on != last {
        whole = whole.then(&way(on, &last));
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::closed_form::ClosedForm;
    use crate::run::{Budget, Cancel};
    use crate::search::{Descent, Evidence, Origin};

    #[test]
    fn a_ridge_that_a_glance_misses_is_seen_by_the_first_visit() {
        // On one coordinate there is no way round: the pass is the ridge, thinner than a glance's spacing.
        let f = |x: &[f64], g: &mut [f64]| {
            let u = (x[0] - 0.47) / 0.015;
            let inside = (1.0 - u * u).max(0.0);
            g[0] = -4.0 * u / 0.015 * inside;
            inside * inside
        };
        let mut loss = ClosedForm::new(1, None, f);
        let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
        let [a, b] = [0.0, 1.0].map(|x| Minimum {
            cell: x as u64,
            origin: Origin::Start { seed: 0 },
            descent: Descent::Converged,
            theta: vec![x],
            loss: 0.0,
            evidence: Evidence::default(),
            same_as: None,
            metrics: Vec::new(),
            evaluations: 0,
        });
        let line = straight(&mut oracle, &a, &b, &Alignment::none(), Ids { path: 0, cell: 2 }).unwrap();
        assert!(line.pass.height < 0.5, "this ridge is no test: a glance saw {}", line.pass.height);
        let visited = visit(&mut oracle, &line, &Schedule::default()).unwrap();
        assert!(visited.pass.height + visited.pass.error > 1.0 - 1e-9, "{}", visited.pass.height);
    }

    #[test]
    fn a_piece_leads_by_the_way_to_its_way_station() {
        let f = |x: &[f64], g: &mut [f64]| {
            (g[0], g[1]) = (-2.0 * x[0], -2.0 * x[1]);
            -x[0] * x[0] - x[1] * x[1]
        };
        let mut loss = ClosedForm::new(2, None, f);
        let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
        let line = Polyline::straight(&[-1.0, 0.0], &[1.0, 0.0]);
        let measured = measure(&mut oracle, &line, Care::CLOSE).unwrap();
        let whole = path(Ids { path: 0, cell: 2 }, (0, 1), PathState::Relaxed, line, measured);
        let cut = Cut { arc: 1.0, cell: 3, way: vec![0.0, 1.0, 0.0, 2.0] };
        let cut = pieces(&mut oracle, &whole, &[cut], &Schedule::default(), Ids { path: 1, cell: 4 }).unwrap();
        assert_eq!([cut[0].ends, cut[1].ends], [(0, 3), (3, 1)]);
        assert_eq!(cut[0].knots, [-1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 2.0]);
        assert_eq!(cut[1].knots, [0.0, 2.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
    }
}
