//! The merge tree of what has been found, kept from one visit to the next.
//!
//! A visit changes one path and may add others. What a path was found to be is kept here by number; the lowest edges
//! that join everything (the minimum spanning forest) are joined anew with what changed, unless one of them rose or
//! was split: only then are all paths looked at. Costs O(n) a visit for n minima, with a small constant.

use super::vertices::Vertices;
use crate::order::by_value;
use crate::persistence::merge_tree::{Ages, Edge, Merge, merges};
use crate::search::connect::Schedule;
use crate::search::{CellId, Landscape, Path, PathState};
use std::collections::HashMap;

/// Minima and paths, as far as they decide.
#[derive(Default)]
pub struct Forest {
    vertices: Vertices,
    /// Whether each is sampled.
    sampled: Vec<bool>,
    ages: Ages,
    paths: Vec<Candidate>,
    /// Those that are edges, the lowest first.
    order: Vec<usize>,
    /// The paths at each vertex.
    around: Vec<Vec<usize>>,
    /// When a path at each vertex last changed.
    touched: Vec<u64>,
    now: u64,
    merges: Vec<Merge>,
    /// The most visits that a split path between two cells, the lower first, had.
    split: HashMap<(CellId, CellId), u32>,
    /// The paths between two vertices, the lower first.
    between: HashMap<(usize, usize), Vec<usize>>,
}

/// A path, as far as it decides.
pub struct Candidate {
    /// `None` once it was split, or where an end of it does not count.
    pub edge: Option<Edge>,
    /// Of its top, whether or not it is an edge.
    pub height: f64,
    /// It may be worked on further.
    pub is_open: bool,
    /// It has had its coarse visits.
    pub is_tried: bool,
}

impl Forest {
    /// Learns what is new in a landscape, and what became of the paths that were worked on.
    pub fn catch_up(&mut self, landscape: &Landscape, schedule: &Schedule, changed: &[usize]) {
        self.now += 1;
        let born = self.vertices.catch_up(&landscape.minima);
        if !born.is_empty() {
            self.ages = Ages::of(&self.vertices.all);
            self.sampled.extend(born.iter().map(|minimum| minimum.is_sampled()));
            self.around.resize(self.sampled.len(), Vec::new());
            self.touched.resize(self.sampled.len(), 0);
        }
        let mut rose = false;
        for &at in changed {
            let was = self.rank(at);
            self.take_out(at);
            self.paths[at] = self.candidate(&landscape.paths[at], schedule);
            rose |= match (was, self.rank(at)) {
                (Some(was), Some(is)) => by_value(was, is).is_lt(),
                (_, is) => is.is_none(),
            };
            self.put_in(at);
            self.touch(&landscape.paths[at]);
        }
        let known = self.paths.len();
        for (at, path) in landscape.paths.iter().enumerate().skip(known) {
            if let Some((a, b)) = self.vertices.ends(path) {
                self.around[a].push(at);
                self.around[b].push(at);
                self.between.entry((a.min(b), a.max(b))).or_default().push(at);
            }
            self.paths.push(self.candidate(path, schedule));
            self.put_in(at);
            self.touch(path);
        }
        // Sorted already, but for what is new.
        let new = changed.iter().copied().chain(known..self.paths.len());
        let among: Vec<usize> = match rose {
            true => self.order.clone(),
            false => self.merges.iter().map(|merge| merge.edge).chain(new).collect(),
        };
        let edges = among.into_iter().filter_map(|at| Some((at, self.paths[at].edge?)));
        let (places, edges): (Vec<usize>, Vec<Edge>) = edges.unzip();
        self.merges = merges(&self.vertices.all, &self.ages, &edges);
        self.merges.iter_mut().for_each(|merge| merge.edge = places[merge.edge]);
    }

    /// How often something was learned.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// The merges of two components, in order; their edges are paths by number.
    pub fn merges(&self) -> &[Merge] {
        &self.merges
    }

    /// The merges that end the bars of sampled minima, by their places, the highest first.
    pub fn targets(&self) -> impl Iterator<Item = usize> {
        (0..self.merges.len()).rev().filter(|&k| self.sampled[self.merges[k].dead])
    }

    /// How many minima there are.
    pub fn vertices(&self) -> usize {
        self.sampled.len()
    }

    /// What is known of a path.
    pub fn path(&self, at: usize) -> &Candidate {
        &self.paths[at]
    }

    /// The paths at a vertex.
    pub fn around(&self, vertex: usize) -> &[usize] {
        &self.around[vertex]
    }

    /// The paths between two vertices, in the order in which they were begun.
    pub fn between(&self, a: usize, b: usize) -> &[usize] {
        self.between.get(&(a.min(b), a.max(b))).map_or(&[], Vec::as_slice)
    }

    /// The components that merges end.
    pub fn swallowed(&self) -> Swallowed {
        Swallowed::of(&self.merges, &self.touched)
    }

    /// Where a path acts in the order of merges: no lower than its ends.
    pub fn rank(&self, at: usize) -> Option<(f64, u64)> {
        let Edge { height, cell, ends: (a, b) } = self.paths[at].edge?;
        let birth = |vertex: usize| self.vertices.all[vertex].value;
        Some((height.max(birth(a)).max(birth(b)), cell))
    }

    /// The loss of the higher end of a path.
    pub fn higher_end(&self, at: usize) -> f64 {
        let ends = self.paths[at].edge.map(|edge| [edge.ends.0, edge.ends.1].map(|end| self.vertices.all[end].value));
        ends.map_or(f64::NEG_INFINITY, |[a, b]| a.max(b))
    }

    /// The most visits that a path between two cells had before it was split; 0 if none was.
    pub fn visits_before_split(&self, ends: (CellId, CellId)) -> u32 {
        self.split.get(&pair(ends)).copied().unwrap_or(0)
    }

    /// Where a path of this rank is in the order, or belongs.
    fn place_of(&self, rank: (f64, u64)) -> usize {
        let before = |&other: &usize| self.rank(other).is_some_and(|other| by_value(other, rank).is_lt());
        self.order.partition_point(before)
    }

    fn put_in(&mut self, at: usize) {
        if let Some(rank) = self.rank(at) {
            self.order.insert(self.place_of(rank), at);
        }
    }

    fn take_out(&mut self, at: usize) {
        if let Some(rank) = self.rank(at) {
            self.order.remove(self.place_of(rank));
        }
    }

    fn candidate(&self, path: &Path, schedule: &Schedule) -> Candidate {
        let settled = path.state == PathState::Converged;
        let fresh = path.state == PathState::Fresh;
        Candidate {
            edge: self.vertices.edge(path),
            height: path.pass.height,
            is_open: !settled && (fresh || path.visits < schedule.visits),
            is_tried: settled || !fresh && path.visits >= schedule.coarse(),
        }
    }

    /// Notes that something is new at the ends of a path.
    fn touch(&mut self, path: &Path) {
        for end in self.vertices.ends(path).into_iter().flat_map(|(a, b)| [a, b]) {
            self.touched[end] = self.now;
        }
        if path.state == PathState::Split {
            let most = self.split.entry(pair(path.ends)).or_default();
            *most = path.visits.max(*most);
        }
    }
}

pub(super) fn pair((a, b): (CellId, CellId)) -> (CellId, CellId) {
    (a.min(b), a.max(b))
}

/// The components that merges end, each as it was just before.
pub struct Swallowed {
    /// Of each merge: how many vertices the component has, and when one of them was last touched.
    pub ended: Vec<(usize, u64)>,
    /// The last merge into each vertex's component, and the one before each merge into the same.
    last: Vec<usize>,
    before: Vec<usize>,
}

impl Swallowed {
    fn of(merges: &[Merge], touched: &[u64]) -> Swallowed {
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
        Swallowed { ended, last, before }
    }

    /// The vertices of the component that a merge ends.
    pub fn members(&self, merges: &[Merge], merge: usize) -> Vec<usize> {
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
