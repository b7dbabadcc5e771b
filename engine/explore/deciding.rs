//! Which path is worked on next: the merge tree of what has been found, kept from one visit to the next.
//!
//! A visit changes one path and may add others. What a path was found to be is kept here by number; the lowest edges
//! that join everything (the minimum spanning forest) are joined anew with what changed, unless one of them rose or
//! was split: only then are all paths looked at. Costs O(n) a visit for n minima, with a small constant.

use crate::order::by_value;
use crate::persistence::merge_tree::{Ages, Edge, Merge, Vertex, merges};
use crate::search::connect::Schedule;
use crate::search::{CellId, Landscape, Path, PathState};
use std::collections::HashMap;

/// What decides which path is next.
#[derive(Default)]
pub struct Deciding {
    /// The minima that count, as vertices, and whether each is sampled.
    vertices: Vec<Vertex>,
    sampled: Vec<bool>,
    ages: Ages,
    /// Vertices by cell; a copy is the minimum that it is a copy of.
    places: HashMap<CellId, usize>,
    /// Minima and paths that are known here.
    seen: (usize, usize),
    paths: Vec<Known>,
    /// The paths at each vertex.
    around: Vec<Vec<usize>>,
    /// When a path at each vertex last changed.
    touched: Vec<u64>,
    now: u64,
    merges: Vec<Merge>,
    /// The most visits that a split path between two cells, the lower first, had.
    split: HashMap<(CellId, CellId), u32>,
    /// Dead vertices whose components have no alternative left to try: how many vertices a component had, and when.
    exhausted: HashMap<usize, (usize, u64)>,
}

/// A path, as far as it decides.
struct Known {
    edge: Edge,
    /// It has two ends that count, and was not split.
    stands: bool,
    /// It may be worked on further.
    is_open: bool,
    /// It has had its coarse visits.
    is_tried: bool,
}

/// A path to work on, and how far the search has come.
pub struct Next {
    /// Its place in the landscape; `None` when all is settled.
    pub path: Option<usize>,
    pub settled: usize,
    pub targets: usize,
}

impl Deciding {
    /// All that is known of a landscape.
    pub fn new(landscape: &Landscape, schedule: &Schedule) -> Deciding {
        let mut deciding = Deciding::default();
        deciding.catch_up(landscape, schedule, None);
        deciding
    }

    /// Learns what is new in a landscape, and what became of the path that was worked on.
    pub fn catch_up(&mut self, landscape: &Landscape, schedule: &Schedule, changed: Option<usize>) {
        self.now += 1;
        let (minima, paths) = self.seen;
        for minimum in &landscape.minima[minima..] {
            let place = match minimum.same_as {
                Some(own) => self.places.get(&own).copied(),
                None => minimum.counts().then(|| {
                    self.vertices.push(Vertex { value: minimum.loss, cell: minimum.cell });
                    self.sampled.push(minimum.is_sampled());
                    self.around.push(Vec::new());
                    self.touched.push(0);
                    self.vertices.len() - 1
                }),
            };
            self.places.extend(place.map(|place| (minimum.cell, place)));
        }
        if landscape.minima.len() > minima {
            self.ages = Ages::of(&self.vertices);
        }
        let mut lowest = changed.is_some() || paths > 0;
        if let Some(at) = changed {
            let (was, now) = (self.height(at), self.known(&landscape.paths[at], schedule));
            let edge = now.edge;
            let stands = now.stands;
            self.paths[at] = now;
            let rose = !stands || by_value((was, edge.cell), (self.height(at), edge.cell)).is_lt();
            lowest &= !rose;
            self.touch(&landscape.paths[at], at);
        }
        for (at, path) in landscape.paths.iter().enumerate().skip(paths) {
            let known = self.known(path, schedule);
            let ends = known.edge.ends;
            if self.places.contains_key(&path.ends.0) && self.places.contains_key(&path.ends.1) {
                self.around[ends.0].push(at);
                self.around[ends.1].push(at);
            }
            self.paths.push(known);
            self.touch(path, at);
        }
        self.seen = (landscape.minima.len(), landscape.paths.len());
        let mut candidates: Vec<usize> = match lowest {
            true => self.merges.iter().map(|merge| merge.edge).chain(changed).chain(paths..self.paths.len()).collect(),
            false => (0..self.paths.len()).collect(),
        };
        candidates.retain(|&at| self.paths[at].stands);
        let edges: Vec<Edge> = candidates.iter().map(|&at| self.paths[at].edge).collect();
        self.merges = merges(&self.vertices, &self.ages, &edges);
        self.merges.iter_mut().for_each(|merge| merge.edge = candidates[merge.edge]);
    }

    fn height(&self, at: usize) -> f64 {
        let edge = &self.paths[at].edge;
        edge.height.max(self.vertices[edge.ends.0].value).max(self.vertices[edge.ends.1].value)
    }

    fn known(&self, path: &Path, schedule: &Schedule) -> Known {
        let ends = [path.ends.0, path.ends.1].map(|end| self.places.get(&end).copied());
        let settled = path.state == PathState::Converged;
        Known {
            edge: Edge {
                height: path.pass.height,
                cell: path.pass.cell,
                ends: (ends[0].unwrap_or(0), ends[1].unwrap_or(0)),
            },
            stands: ends.iter().all(Option::is_some) && path.state != PathState::Split,
            is_open: !settled && path.visits < schedule.visits,
            is_tried: settled || path.visits as usize >= schedule.knots.len() - 1,
        }
    }

    /// Notes that something is new at the ends of a path.
    fn touch(&mut self, path: &Path, at: usize) {
        let (a, b) = self.paths[at].edge.ends;
        for end in [a, b] {
            if let Some(touched) = self.touched.get_mut(end) {
                *touched = self.now;
            }
        }
        if path.state == PathState::Split {
            let most = self.split.entry(pair(path.ends)).or_default();
            *most = path.visits.max(*most);
        }
    }

    /// The most visits that a path between two cells had before it was split; 0 if none was.
    pub fn visits_before_split(&self, ends: (CellId, CellId)) -> u32 {
        self.split.get(&pair(ends)).copied().unwrap_or(0)
    }

    /// The path to work on: the highest one that decides a sampled minimum's bar and is not settled; when all are,
    /// the lowest alternative to a deciding path that nobody has tried, unless enough were.
    pub fn next(&mut self, alternatives: usize) -> Next {
        let is_target = |merge: &&Merge| self.sampled[merge.dead];
        let targets = self.merges.iter().filter(is_target).count();
        let settled = self.merges.iter().filter(is_target).filter(|merge| !self.paths[merge.edge].is_open).count();
        let open = |merge: &&Merge| self.sampled[merge.dead] && self.paths[merge.edge].is_open;
        let deciding = self.merges.iter().rev().find(open).map(|merge| merge.edge);
        let path = deciding.or_else(|| self.alternative(alternatives));
        Next { path, settled, targets }
    }

    fn alternative(&mut self, enough: usize) -> Option<usize> {
        let components = Components::of(&self.merges, &self.touched);
        let mut inside = vec![usize::MAX; self.vertices.len()];
        for k in (0..self.merges.len()).rev().filter(|&k| self.sampled[self.merges[k].dead]) {
            let (dead, (size, touched)) = (self.merges[k].dead, components.ended[k]);
            // Untouched and as large, it is the same component, and the paths that leave it are the same: a vertex more
            // would have come over a path at a member that changed; so would one elder.
            if self.exhausted.get(&dead).is_some_and(|&(then, when)| then == size && touched <= when) {
                continue;
            }
            let members = components.members(&self.merges, k);
            members.iter().for_each(|&vertex| inside[vertex] = k);
            match self.untried(&members, |vertex| inside[vertex] == k, self.merges[k].edge, enough) {
                None => self.exhausted.insert(dead, (size, self.now)),
                path => return path,
            };
        }
        None
    }

    /// The lowest path that leaves a component and has not had its coarse visits, unless enough others have.
    fn untried(
        &self,
        members: &[usize],
        inside: impl Fn(usize) -> bool,
        deciding: usize,
        enough: usize,
    ) -> Option<usize> {
        let around = members.iter().flat_map(|&vertex| self.around[vertex].iter().copied());
        let leaves = |&at: &usize| {
            let Known { edge: Edge { ends: (a, b), .. }, stands, .. } = self.paths[at];
            stands && at != deciding && inside(a) != inside(b)
        };
        let (mut tried, mut lowest) = (0, None);
        for at in around.filter(leaves) {
            let path = &self.paths[at];
            if path.is_tried {
                tried += 1;
            } else if path.edge.height.is_finite() {
                let lower = |best: usize| by_value(self.rank(at), self.rank(best)).is_lt();
                lowest = Some(lowest.filter(|&best| !lower(best)).unwrap_or(at));
            }
        }
        lowest.filter(|_| tried < enough)
    }

    /// Paths by their own heights; the earlier one first.
    fn rank(&self, at: usize) -> (f64, u64) {
        (self.paths[at].edge.height, at as u64)
    }
}

fn pair((a, b): (CellId, CellId)) -> (CellId, CellId) {
    (a.min(b), a.max(b))
}

/// The components that merges end, each as it was just before.
struct Components {
    /// Of each merge: how many vertices the component has, and when one of them was last touched.
    ended: Vec<(usize, u64)>,
    /// The last merge into each vertex's component, and the one before each merge into the same.
    last: Vec<usize>,
    before: Vec<usize>,
}

impl Components {
    fn of(merges: &[Merge], touched: &[u64]) -> Components {
        let mut growing: Vec<(usize, u64)> = touched.iter().map(|&touched| (1, touched)).collect();
        let (mut last, mut before) = (vec![usize::MAX; touched.len()], Vec::with_capacity(merges.len()));
        let mut ended = Vec::with_capacity(merges.len());
        for (k, merge) in merges.iter().enumerate() {
            let dead = growing[merge.dead];
            let elder = &mut growing[merge.elder];
            *elder = (elder.0 + dead.0, elder.1.max(dead.1));
            ended.push(dead);
            before.push(std::mem::replace(&mut last[merge.elder], k));
        }
        Components { ended, last, before }
    }

    /// The vertices of the component that a merge ends.
    fn members(&self, merges: &[Merge], merge: usize) -> Vec<usize> {
        let mut members = vec![merges[merge].dead];
        let mut at = 0;
        while let Some(&vertex) = members.get(at) {
            let mut into = self.last[vertex];
            while into != usize::MAX {
                members.push(merges[into].dead);
                into = self.before[into];
            }
            at += 1;
        }
        members
    }
}
