//! Which path is worked on next: the merge tree of what has been found, kept from one visit to the next.
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

/// What decides which path is next.
#[derive(Default)]
pub struct Deciding {
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
    /// Dead vertices whose components have no rival left to try: how many vertices a component had, and when.
    exhausted: HashMap<usize, (usize, u64)>,
}

/// A rival is worth a closer look if it climbs no more than a deciding path and this fraction of its climb.
const CLOSER: f64 = 1.0;

/// A path, as far as it decides.
struct Candidate {
    /// `None` once it was split, or where an end of it does not count.
    edge: Option<Edge>,
    /// Of its top, whether or not it is an edge.
    height: f64,
    /// It may be worked on further.
    is_open: bool,
    /// It has had its coarse visits.
    is_tried: bool,
}

/// What to do, and how far the search has come.
pub struct Next {
    /// `None` when all is settled.
    pub task: Option<Task>,
    pub settled: usize,
    pub targets: usize,
}

/// Work on a path, by its place in the landscape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Task {
    /// It decides a bar.
    Visit(usize),
    /// A rival of one that does, worth a closer look if it comes below this height.
    Rival(usize, f64),
    /// Its ends want another path, begun aside; how many there were besides it.
    Bend(usize, u64),
}

/// When a death has had rivals enough.
#[derive(Clone, Copy, Debug)]
pub struct Enough {
    /// Other paths out of the component that dies, tried and not lower.
    pub others: usize,
    /// Paths in a row between the ends of the deciding one that lowered its climb by less than the tolerance.
    pub bent: usize,
    /// A fraction of the climb.
    pub tolerance: f64,
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
        let born = self.vertices.catch_up(&landscape.minima);
        if !born.is_empty() {
            self.ages = Ages::of(&self.vertices.all);
            self.sampled.extend(born.iter().map(|minimum| minimum.is_sampled()));
            self.around.resize(self.sampled.len(), Vec::new());
            self.touched.resize(self.sampled.len(), 0);
        }
        let mut rose = false;
        if let Some(at) = changed {
            let was = self.rank(at);
            self.take_out(at);
            self.paths[at] = self.candidate(&landscape.paths[at], schedule);
            rose = match (was, self.rank(at)) {
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
        let new = changed.into_iter().chain(known..self.paths.len());
        let among: Vec<usize> = match rose {
            true => self.order.clone(),
            false => self.merges.iter().map(|merge| merge.edge).chain(new).collect(),
        };
        let edges = among.into_iter().filter_map(|at| Some((at, self.paths[at].edge?)));
        let (places, edges): (Vec<usize>, Vec<Edge>) = edges.unzip();
        self.merges = merges(&self.vertices.all, &self.ages, &edges);
        self.merges.iter_mut().for_each(|merge| merge.edge = places[merge.edge]);
    }

    /// Where a path acts in the order of merges: no lower than its ends.
    fn rank(&self, at: usize) -> Option<(f64, u64)> {
        let Edge { height, cell, ends: (a, b) } = self.paths[at].edge?;
        let birth = |vertex: usize| self.vertices.all[vertex].value;
        Some((height.max(birth(a)).max(birth(b)), cell))
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

    /// The most visits that a path between two cells had before it was split; 0 if none was.
    pub fn visits_before_split(&self, ends: (CellId, CellId)) -> u32 {
        self.split.get(&pair(ends)).copied().unwrap_or(0)
    }

    /// What to do: work on the highest path that decides a sampled minimum's bar and is not settled; when all are, on a
    /// rival of one that decides, unless it has had enough.
    pub fn next(&mut self, enough: Enough) -> Next {
        let is_target = |merge: &&Merge| self.sampled[merge.dead];
        let targets = self.merges.iter().filter(is_target).count();
        let settled = self.merges.iter().filter(is_target).filter(|merge| !self.paths[merge.edge].is_open).count();
        let open = |merge: &&Merge| self.sampled[merge.dead] && self.paths[merge.edge].is_open;
        let deciding = self.merges.iter().rev().find(open).map(|merge| Task::Visit(merge.edge));
        let task = deciding.or_else(|| self.rival(enough));
        Next { task, settled, targets }
    }

    fn rival(&mut self, enough: Enough) -> Option<Task> {
        let components = Swallowed::of(&self.merges, &self.touched);
        let mut inside = vec![usize::MAX; self.sampled.len()];
        for k in (0..self.merges.len()).rev().filter(|&k| self.sampled[self.merges[k].dead]) {
            let (dead, (size, touched)) = (self.merges[k].dead, components.ended[k]);
            // Untouched and as large, it is the same component, and the paths that leave it are the same: a vertex more
            // would have come over a path at a member that changed; so would one elder.
            if self.exhausted.get(&dead).is_some_and(|&(then, when)| then == size && touched <= when) {
                continue;
            }
            let members = components.members(&self.merges, k);
            members.iter().for_each(|&vertex| inside[vertex] = k);
            let edge = self.merges[k].edge;
            let below = self.within(edge);
            let other = self.untried(&members, |vertex| inside[vertex] == k, edge, enough.others);
            match other.map(|at| Task::Rival(at, below)).or_else(|| self.bend(edge, below, enough)) {
                None => self.exhausted.insert(dead, (size, self.now)),
                task => return task,
            };
        }
        None
    }

    /// The height below which a rival of a deciding path is worth a closer look: such a one may fall further, or break
    /// at a way-station.
    fn within(&self, deciding: usize) -> f64 {
        let Some((height, _)) = self.rank(deciding) else { return f64::INFINITY };
        height + CLOSER * (height - self.higher_end(deciding))
    }

    /// The loss of the higher end of a path.
    fn higher_end(&self, at: usize) -> f64 {
        let ends = self.paths[at].edge.map(|edge| [edge.ends.0, edge.ends.1].map(|end| self.vertices.all[end].value));
        ends.map_or(f64::NEG_INFINITY, |[a, b]| a.max(b))
    }

    /// Another path between the ends of a deciding one, unless enough in a row were of no use.
    fn bend(&self, deciding: usize, below: f64, enough: Enough) -> Option<Task> {
        let Edge { ends: (a, b), .. } = self.paths[deciding].edge?;
        let all = self.between.get(&(a.min(b), a.max(b)))?;
        let is_new = |&at: &usize| self.paths[at].edge.is_some() && self.paths[at].height.is_finite();
        if let Some(at) = all.iter().copied().filter(is_new).find(|&at| !self.paths[at].is_tried) {
            return Some(Task::Rival(at, below));
        }
        let birth = self.higher_end(deciding);
        let (mut lowest, mut in_a_row) = (f64::INFINITY, 0);
        for at in all {
            let height = self.paths[*at].height;
            let lowers = lowest - height > enough.tolerance * (height - birth);
            in_a_row = if lowers { 0 } else { in_a_row + 1 };
            lowest = lowest.min(height);
        }
        (in_a_row < enough.bent).then_some(Task::Bend(deciding, all.len() as u64 - 1))
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
        let edges = around.filter_map(|at| Some((at, self.paths[at].edge?)));
        let leaving = edges.filter(|&(at, Edge { ends: (a, b), .. })| at != deciding && inside(a) != inside(b));
        let (mut tried, mut lowest) = (0, None);
        for (at, Edge { height, .. }) in leaving {
            if self.paths[at].is_tried {
                tried += 1;
            } else if height.is_finite() {
                // By its own height; of two equal ones the earlier.
                let own = (height, at as u64);
                lowest = Some(lowest.filter(|&best| by_value(best, own).is_le()).unwrap_or(own));
            }
        }
        lowest.map(|(_, at)| at as usize).filter(|_| tried < enough)
    }
}

fn pair((a, b): (CellId, CellId)) -> (CellId, CellId) {
    (a.min(b), a.max(b))
}

/// The components that merges end, each as it was just before.
struct Swallowed {
    /// Of each merge: how many vertices the component has, and when one of them was last touched.
    ended: Vec<(usize, u64)>,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::MergeTree;
    use crate::search::{Descent, Evidence, Minimum, Origin, Pass, PassKind, PathId, Profile};
    use crate::union_find::UnionFind;
    use proptest::prelude::*;

    fn minimum(cell: CellId, loss: f64, sampled: bool, same_as: Option<CellId>) -> Minimum {
        let origin = if sampled { Origin::Start { seed: cell } } else { Origin::Transit { path: 0 } };
        let (theta, evidence, metrics) = (Vec::new(), Evidence::default(), Vec::new());
        Minimum { cell, origin, descent: Descent::Converged, theta, loss, evidence, same_as, metrics, evaluations: 0 }
    }

    fn path(id: PathId, cell: CellId, ends: (CellId, CellId), height: f64) -> Path {
        let (kind, theta) = (PassKind::PathMaximum, Vec::new());
        let pass = Pass { cell, kind, height, error: 0.0, arc: 0.0, theta, evidence: None, reason: None };
        Path { id, ends, state: PathState::Straight, knots: Vec::new(), profile: Profile::default(), pass, visits: 0 }
    }

    /// The same from scratch, by the words of the definition.
    fn by_hand(landscape: &Landscape, schedule: &Schedule, enough: Enough) -> Option<Task> {
        let tree = MergeTree::of(landscape);
        let fresh = |p: &Path| p.state == PathState::Fresh;
        let open = |p: &Path| p.state != PathState::Converged && (fresh(p) || p.visits < schedule.visits);
        let tried = |p: &Path| p.state == PathState::Converged || !fresh(p) && p.visits >= schedule.coarse();
        let place = |id: PathId| landscape.paths.iter().position(|p| p.id == id).unwrap();
        let targets = || (0..tree.merges.len()).rev().filter(|&k| tree.minima[tree.merges[k].dead].is_sampled());
        let path_of = |k: usize| tree.paths[tree.merges[k].edge];
        let own = |cell| landscape.minimum(cell).and_then(|m| m.same_as).unwrap_or(cell);
        let vertex = |cell| tree.minima.iter().position(|m| m.cell == own(cell)).unwrap() as u32;
        let alternative = |k: usize| {
            let mut components = UnionFind::new(tree.minima.len());
            tree.merges[..k].iter().for_each(|m| _ = components.merge(m.dead as u32, m.elder as u32));
            let dead = components.eldest(tree.merges[k].dead as u32);
            let mut inside = |cell| components.eldest(vertex(cell)) == dead;
            let leaves = |p: &&&Path| p.id != path_of(k).id && inside(p.ends.0) != inside(p.ends.1);
            let leaving: Vec<&Path> = tree.paths.iter().filter(leaves).copied().collect();
            let all = leaving.iter().filter(|p| !tried(p) && p.pass.height.is_finite());
            let lowest = all.min_by(|a, b| by_value((a.pass.height, a.id), (b.pass.height, b.id)));
            let lowest = lowest.filter(|_| leaving.iter().filter(|p| tried(p)).count() < enough.others);
            let ends = |p: &Path| pair((own(p.ends.0), own(p.ends.1)));
            let known =
                |p: &Path| [p.ends.0, p.ends.1].iter().all(|&end| tree.minima.iter().any(|m| m.cell == own(end)));
            let same: Vec<&Path> = landscape.paths.iter().filter(|p| known(p) && ends(p) == ends(path_of(k))).collect();
            let birth = [path_of(k).ends.0, path_of(k).ends.1].map(|end| landscape.minimum(own(end)).unwrap().loss);
            let height = path_of(k).pass.height.max(birth[0]).max(birth[1]);
            let below = height + CLOSER * (height - birth[0].max(birth[1]));
            let new = |p: &&&Path| p.state != PathState::Split && p.pass.height.is_finite() && !tried(p);
            let rival = lowest.copied().or_else(|| same.iter().find(new).copied());
            let useful = |&i: &usize| {
                let lowest = same[..i].iter().map(|p| p.pass.height).fold(f64::INFINITY, f64::min);
                let height = same[i].pass.height;
                lowest - height > enough.tolerance * (height - birth[0].max(birth[1]))
            };
            let last = (0..same.len()).rev().find(useful).map_or(0, |i| i + 1);
            let bend =
                (same.len() - last < enough.bent).then(|| Task::Bend(place(path_of(k).id), same.len() as u64 - 1));
            rival.map(|p| Task::Rival(place(p.id), below)).or(bend)
        };
        let deciding = targets().map(path_of).find(|p| open(p)).map(|p| Task::Visit(place(p.id)));
        deciding.or_else(|| targets().find_map(alternative))
    }

    /// What a search may do at a visit: the path falls, rises, converges or is split, minima and paths come in.
    #[derive(Clone, Debug)]
    struct Visit {
        which: prop::sample::Index,
        height: f64,
        state: u8,
        minima: Vec<(f64, bool, bool)>,
        paths: Vec<(prop::sample::Index, prop::sample::Index, f64)>,
    }

    fn visits() -> impl Strategy<Value = Vec<Visit>> {
        let height = || prop_oneof![9 => (0..40).prop_map(|h| f64::from(h) / 8.0), 1 => Just(f64::INFINITY)];
        let minima =
            prop::collection::vec(((0..20).prop_map(|l| f64::from(l) / 8.0), any::<bool>(), any::<bool>()), 0..3);
        let paths = prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), height()), 0..6);
        let visit = (any::<prop::sample::Index>(), height(), 0..8u8, minima, paths)
            .prop_map(|(which, height, state, minima, paths)| Visit { which, height, state, minima, paths });
        prop::collection::vec(visit, 1..60)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_kept_decides_as_what_is_made_anew(
            visits in visits(), others in 0usize..3, bent in 0usize..3, coarse in 1usize..4,
        ) {
            let enough = Enough { others, bent, tolerance: 0.1 };
            let schedule = Schedule { knots: vec![3; coarse], visits: 4, ..Schedule::default() };
            let mut landscape = Landscape { minima: vec![minimum(0, 1.0, true, None)], ..Landscape::default() };
            let mut deciding = Deciding::new(&landscape, &schedule);
            for Visit { which, height, state, minima, paths } in visits {
                let changed = (!landscape.paths.is_empty()).then(|| {
                    // Mostly what a search would do, sometimes anything.
                    let next = deciding.next(enough).task.filter(|_| state < 6).map(|task| match task {
                        Task::Visit(at) | Task::Rival(at, _) | Task::Bend(at, _) => at,
                    });
                    let at = next.unwrap_or_else(|| which.index(landscape.paths.len()));
                    let path = &mut landscape.paths[at];
                    if path.state == PathState::Split {
                        return at; // It never comes back.
                    }
                    path.visits += 1;
                    path.pass.height = if state % 2 == 0 { path.pass.height.min(height) } else { height };
                    let states = [PathState::Relaxed, PathState::Fresh, PathState::Converged, PathState::Split];
                    path.state = states[usize::from(state) / 2];
                    at
                });
                for (loss, sampled, copy) in minima {
                    let copied = landscape.minima.iter().rev().find(|m| m.same_as.is_none()).map(|m| m.cell);
                    let cell = landscape.next_cell();
                    landscape.minima.push(minimum(cell, loss, sampled, copied.filter(|_| copy)));
                }
                for (a, b, height) in paths {
                    let [a, b] = [a, b].map(|i| landscape.minima[i.index(landscape.minima.len())].cell);
                    let (id, cell) = (landscape.next_path(), landscape.next_cell());
                    landscape.paths.push(path(id, cell, (a, b), height));
                }
                deciding.catch_up(&landscape, &schedule, changed);
                let next = deciding.next(enough).task;
                prop_assert_eq!(next, by_hand(&landscape, &schedule, enough));
                let merges: Vec<_> = MergeTree::of(&landscape).merges.iter().map(|m| (m.dead, m.elder)).collect();
                prop_assert_eq!(deciding.merges.iter().map(|m| (m.dead, m.elder)).collect::<Vec<_>>(), merges);
                let split = landscape.paths.iter().filter(|p| p.state == PathState::Split);
                for p in split.clone() {
                    let same = split.clone().filter(|q| pair(q.ends) == pair(p.ends)).map(|q| q.visits).max();
                    prop_assert_eq!(Some(deciding.visits_before_split(p.ends)), same);
                }
            }
        }
    }
}
