//! The pairs of given points: the straight line between the two as they are and after alignment, and the lowest way that
//! was found between the minima that they are, or lead to; with the loss's metrics along each.
//!
//! A line depends on its two points alone and is measured once. A way is told anew where a resumed run has found a lower
//! one. One pair is one commit.

use super::basins::own;
use super::explorer::Explorer;
use super::minima::metrics;
use super::progress::Doing;
use super::tree::MergeTree;
use super::ways::{Leg, Ways};
use crate::error::{Error, Result};
use crate::loss::oracle::Oracle;
use crate::search::height::{OverChord, over_chord};
use crate::search::polyline::Polyline;
use crate::search::{Along, Finding, Metric, Minimum, Origin, Pair, PathId, Place, Profile, Stage, Way};
use crate::union_find::UnionFind;

/// Of more points than these only the pairs that lie next to each other in the merge tree are told.
pub const ALL_PAIRS: usize = 20;

/// How many pairs of so many points are told.
pub fn pairs_of(points: usize) -> usize {
    match points {
        n if n <= ALL_PAIRS => n * n.saturating_sub(1) / 2,
        n => n - 1,
    }
}

/// The lowest way between two minima: their cells, and its paths, each with whether it is walked from its second end.
struct Route {
    minima: (u64, u64),
    legs: Vec<(PathId, bool)>,
}

/// Two of the given points, and the lowest way between the minima that they are or lead to.
struct Wanted {
    given: (u64, u64),
    route: Option<Route>,
}

impl Explorer<'_, '_> {
    /// The stage of pairs.
    pub(super) fn pairs(&mut self) -> Result<()> {
        let wanted = self.wanted();
        self.pairs.retain(|pair| wanted.iter().any(|wanted| wanted.given == pair.given));
        let total = wanted.len() as u64;
        for (done, Wanted { given, route }) in (0..).zip(wanted) {
            self.progress.at(Stage::Pairs, done, total, Doing::Next);
            let known =
                self.pairs.iter().position(|pair| pair.given == given && pair.raw.loss.len() == self.plan.along);
            if known.is_none_or(|at| !self.is_told(&self.pairs[at], route.as_ref())) {
                let lines = known.map(|at| (self.pairs[at].raw.clone(), self.pairs[at].aligned.clone()));
                let pair = self.pair(given, route, lines)?;
                self.pairs.retain(|known| known.given != given);
                self.pairs.push(pair);
            }
        }
        self.pairs.sort_by_key(|pair| pair.given);
        self.progress.at(Stage::Pairs, total, total, Doing::Next);
        Ok(())
    }

    /// Measures what is not known of a pair, and keeps it.
    fn pair(&mut self, given: (u64, u64), route: Option<Route>, lines: Option<(Along, Option<Along>)>) -> Result<Pair> {
        let (raw, aligned) = match lines {
            Some(known) => known,
            None => self.lines_between(given)?,
        };
        let path = route.map(|route| self.way(route)).transpose()?;
        let pair = Pair { given, raw, aligned, path };
        let tally = self.count(Stage::Pairs);
        self.journal.commit(&[Finding::Pair(&pair), Finding::Evaluations(Stage::Pairs, tally)])?;
        Ok(pair)
    }

    /// Whether the lowest way of a pair is the one that is kept already.
    fn is_told(&self, pair: &Pair, route: Option<&Route>) -> bool {
        match (&pair.path, route) {
            (None, None) => true,
            (Some(Way { minima, paths, along }), Some(route)) => {
                let paths_of = || route.legs.iter().map(|(id, _)| *id);
                let tops = paths_of().filter_map(|id| self.landscape.path(id)).map(|path| path.pass.height);
                let is_as_high = tops.reduce(f64::max).is_none_or(|top| top == along.height);
                *minima == route.minima && paths.iter().copied().eq(paths_of()) && is_as_high
            }
            _ => false,
        }
    }

    /// The pairs to be told, in the order of the points.
    fn wanted(&self) -> Vec<Wanted> {
        let tree = MergeTree::of(&self.landscape);
        let ways = Ways::of(&tree);
        let vertices: Vec<Option<usize>> = (0..self.plan.given().len() as u64)
            .map(|i| self.landscape.minima.iter().find(|m| is_given(m, i)).and_then(|m| tree.vertex(own(m))))
            .collect();
        let n = vertices.len();
        let pairs = if n <= ALL_PAIRS { all_pairs(n) } else { adjacent(&tree, &vertices) };
        let named = |Leg { path, is_reversed }: Leg| (tree.paths[path].id, is_reversed);
        let route = |(i, j): (usize, usize)| {
            let (a, b) = (vertices[i]?, vertices[j]?);
            let legs = ways.between(&tree, (a, b))?;
            let minima = (tree.minima[a].cell, tree.minima[b].cell);
            Some(Route { minima, legs: legs.into_iter().map(named).collect() })
        };
        pairs.into_iter().map(|(i, j)| Wanted { given: (i as u64, j as u64), route: route((i, j)) }).collect()
    }

    /// The straight lines between two points as they are, and to the nearest copy of the second.
    fn lines_between(&mut self, (i, j): (u64, u64)) -> Result<(Along, Option<Along>)> {
        let plan = self.plan;
        let [a, b] = [i, j].map(|i| plan.given()[i as usize].theta.as_slice());
        let raw = line(self.oracle, &Polyline::straight(a, b), plan.along)?;
        if self.alignment.is_trivial() {
            return Ok((raw, None));
        }
        let copy = self.alignment.nearest(a, b);
        Ok((raw, Some(line(self.oracle, &Polyline::straight(a, &copy), plan.along)?)))
    }

    /// The lowest way between two minima, leg by leg.
    fn way(&mut self, Route { minima, legs }: Route) -> Result<Way> {
        let Explorer { oracle, landscape, plan, .. } = self;
        let ends = [minima.0, minima.1].map(|cell| landscape.minimum(cell));
        let mut laid = Laid::default();
        for (id, is_reversed) in &legs {
            if let Some(path) = landscape.path(*id) {
                let line = Polyline::new(path.knots.clone(), oracle.params());
                laid.add(line, &path.profile, (path.pass.arc, path.pass.height), *is_reversed);
            }
        }
        let along = match ends {
            [Some(a), Some(_)] if laid.legs.is_empty() => at_rest(a),
            [Some(a), Some(b)] => laid.along(oracle, (a.loss, b.loss), plan.along)?,
            _ => return Err(Error::Internal(format!("a way between {minima:?} has no ends"))),
        };
        Ok(Way { minima, paths: legs.iter().map(|(id, _)| *id).collect(), along })
    }
}

fn is_given(m: &Minimum, i: u64) -> bool {
    matches!(m.origin, Origin::Given { index, .. } if index == i)
}

fn all_pairs(n: usize) -> Vec<(usize, usize)> {
    (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))).collect()
}

/// Pairs that join what the merge tree joins: where two parts of it meet that both have points, the lowest point of each;
/// and of points that are one minimum, each with the first.
fn adjacent(tree: &MergeTree<'_>, vertices: &[Option<usize>]) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    // The point that speaks for each part, by the eldest vertex of the part.
    let mut speaker: Vec<Option<usize>> = vec![None; tree.minima.len()];
    for (i, vertex) in vertices.iter().enumerate() {
        let Some(vertex) = *vertex else { continue };
        match speaker[vertex] {
            Some(first) => pairs.push((first, i)),
            None => speaker[vertex] = Some(i),
        }
    }
    let mut parts = UnionFind::new(tree.minima.len());
    for merge in &tree.merges {
        let [dead, elder] = [merge.dead, merge.elder].map(|v| parts.eldest(v as u32) as usize);
        let both = (speaker[dead], speaker[elder]);
        parts.merge(dead as u32, elder as u32);
        let one = parts.eldest(dead as u32) as usize;
        speaker[one] = match both {
            (Some(a), Some(b)) => {
                pairs.push((a.min(b), a.max(b)));
                let loss = |i: usize| vertices[i].map_or(f64::INFINITY, |v| tree.minima[v].loss);
                Some(if loss(a) < loss(b) { a } else { b })
            }
            (a, b) => a.or(b),
        };
    }
    pairs.sort_unstable();
    pairs
}

/// A way of no length.
fn at_rest(m: &Minimum) -> Along {
    let own = m.metrics.iter().filter(|(metric, _)| matches!(metric, Metric::Of(..)));
    let own: Vec<(Metric, f64)> = own.map(|(metric, x)| (metric.clone(), or_infinite(*x))).collect();
    Along {
        length: 0.0,
        height: m.loss,
        climb: 0.0,
        barrier: 0.0,
        loss: vec![m.loss],
        metrics: own.iter().map(|(metric, x)| (metric.clone(), vec![*x])).collect(),
        worst: Place { t: 0.0, loss: m.loss, metrics: own },
    }
}

/// The loss and its metrics along a straight line.
fn line(oracle: &mut Oracle<'_>, line: &Polyline, places: usize) -> Result<Along> {
    let OverChord { height, even, barrier, at, loss } = over_chord(oracle, line, places)?;
    let (arcs, length, last) = (line.arcs(), line.length(), even.len() - 1);
    let mut columns = Columns::default();
    for i in 0..=last {
        let arc = if i == last { length } else { length * i as f64 / last as f64 };
        columns.add(metrics(oracle, &line.at(&arcs, arc))?);
    }
    let worst = Place {
        t: if length > 0.0 { at / length } else { 0.0 },
        loss: or_infinite(loss),
        metrics: finite_or_infinite(metrics(oracle, &line.at(&arcs, at))?),
    };
    let climb = or_infinite((height - even[0].max(even[last])).max(0.0));
    Ok(Along {
        length,
        height: or_infinite(height),
        climb: if even[0].is_finite() && even[last].is_finite() { climb } else { f64::INFINITY },
        barrier: or_infinite(barrier),
        worst,
        loss: even.into_iter().map(or_infinite).collect(),
        metrics: columns.0,
    })
}

/// Metrics, one list each.
#[derive(Default)]
struct Columns(Vec<(Metric, Vec<f64>)>);

impl Columns {
    fn add(&mut self, row: Vec<(Metric, f64)>) {
        if self.0.is_empty() {
            self.0 = row.iter().map(|(metric, _)| (metric.clone(), Vec::new())).collect();
        }
        self.0.iter_mut().zip(row).for_each(|((_, column), (_, x))| column.push(or_infinite(x)));
    }
}

/// Paths laid end to end, each in its own frame: where two meet they meet in copies of one minimum.
#[derive(Default)]
struct Laid {
    legs: Vec<LaidLeg>,
    length: f64,
    /// Arc lengths of the whole and losses there, as they were measured.
    known: Vec<(f64, f64)>,
    height: f64,
}

struct LaidLeg {
    line: Polyline,
    /// The arc length before it, and its own.
    before: f64,
    length: f64,
    is_reversed: bool,
}

impl Laid {
    fn add(&mut self, line: Polyline, profile: &Profile, top: (f64, f64), is_reversed: bool) {
        let leg = LaidLeg { before: self.length, length: line.length(), line, is_reversed };
        let measured = profile.arc.iter().copied().zip(profile.loss.iter().copied()).chain([top]);
        self.known.extend(measured.map(|(arc, loss)| (leg.before + leg.turned(arc), loss)));
        self.height = if self.legs.is_empty() { top.1 } else { self.height.max(top.1) };
        self.length += leg.length;
        self.legs.push(leg);
    }

    fn point(&self, arc: f64) -> Vec<f64> {
        let at = self.legs.iter().rposition(|leg| leg.before <= arc).unwrap_or(0);
        let leg = &self.legs[at];
        leg.line.at(&leg.line.arcs(), leg.turned((arc - leg.before).clamp(0.0, leg.length)))
    }

    /// The loss and its metrics along the whole, between ends of these losses.
    fn along(&self, oracle: &mut Oracle<'_>, ends: (f64, f64), places: usize) -> Result<Along> {
        let last = places.max(2) - 1;
        let arc = |i: usize| if i == last { self.length } else { self.length * i as f64 / last as f64 };
        let (mut loss, mut columns, mut known) = (Vec::new(), Columns::default(), self.known.clone());
        for i in 0..=last {
            let point = self.point(arc(i));
            let value = or_infinite(oracle.values(&point)?[0]);
            known.push((arc(i), value));
            loss.push(value);
            columns.add(metrics(oracle, &point)?);
        }
        let share = |arc: f64| if self.length > 0.0 { arc / self.length } else { 0.0 };
        let above = |&(arc, loss): &(f64, f64)| loss - ((1.0 - share(arc)) * ends.0 + share(arc) * ends.1);
        let highest = |best: (f64, f64), next: (f64, f64)| if above(&next) > above(&best) { next } else { best };
        let top = known.into_iter().fold((0.0, ends.0), highest);
        let worst = Place {
            t: share(top.0),
            loss: or_infinite(top.1),
            metrics: finite_or_infinite(metrics(oracle, &self.point(top.0))?),
        };
        Ok(Along {
            length: self.length,
            height: or_infinite(self.height),
            climb: or_infinite((self.height - ends.0.max(ends.1)).max(0.0)),
            barrier: or_infinite(above(&top).max(0.0)),
            worst,
            loss,
            metrics: columns.0,
        })
    }
}

impl LaidLeg {
    /// The arc length in the frame of the path of one along the way, and back.
    fn turned(&self, arc: f64) -> f64 {
        if self.is_reversed { self.length - arc } else { arc }
    }
}

fn finite_or_infinite(mut row: Vec<(Metric, f64)>) -> Vec<(Metric, f64)> {
    row.iter_mut().for_each(|(_, x)| *x = or_infinite(*x));
    row
}

fn or_infinite(x: f64) -> f64 {
    if x.is_finite() { x } else { f64::INFINITY }
}
