//! Which paths are worked on next: the highest that decide bars and are not settled; when all are, their rivals.

use super::forest::Forest;
use crate::order::by_value;
use crate::persistence::merge_tree::Edge;
use crate::search::connect::Schedule;
use crate::search::{CellId, Landscape};
use std::collections::HashMap;

/// What decides which paths are next.
#[derive(Default)]
pub struct Deciding {
    forest: Forest,
    /// Dead vertices whose components have no rival left to try: how many vertices a component had, and when.
    exhausted: HashMap<usize, (usize, u64)>,
}

/// A rival is worth a closer look if it climbs no more than a deciding path and this fraction of its climb.
const CLOSER: f64 = 1.0;

/// What to do, and how far the search has come.
pub struct Next {
    /// None of them waits for another; none when all is settled.
    pub tasks: Vec<Task>,
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

impl Task {
    /// The path.
    pub fn at(&self) -> usize {
        match *self {
            Task::Visit(at) | Task::Rival(at, _) | Task::Bend(at, _) => at,
        }
    }
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
        deciding.catch_up(landscape, schedule, &[]);
        deciding
    }

    /// Learns what is new in a landscape, and what became of the paths that were worked on.
    pub fn catch_up(&mut self, landscape: &Landscape, schedule: &Schedule, changed: &[usize]) {
        self.forest.catch_up(landscape, schedule, changed);
    }

    /// The most visits that a path between two cells had before it was split; 0 if none was.
    pub fn visits_before_split(&self, ends: (CellId, CellId)) -> u32 {
        self.forest.visits_before_split(ends)
    }

    /// What to do, `most` things at once: work on the highest paths that decide sampled minima's bars and are not
    /// settled; when all are, on rivals of those that decide, one each, unless they have had enough.
    pub fn next(&mut self, enough: Enough, most: usize) -> Next {
        let decides = |k: usize| self.forest.merges()[k].edge;
        let is_open = |at: &usize| self.forest.path(*at).is_open;
        let targets = self.forest.targets().count();
        let open: Vec<usize> = self.forest.targets().map(decides).filter(is_open).collect();
        let settled = targets - open.len();
        let tasks = match open.is_empty() {
            false => open.into_iter().take(most).map(Task::Visit).collect(),
            true => self.rivals(enough, most),
        };
        Next { tasks, settled, targets }
    }

    fn rivals(&mut self, enough: Enough, most: usize) -> Vec<Task> {
        let components = self.forest.swallowed();
        let mut inside = vec![usize::MAX; self.forest.vertices()];
        let mut tasks: Vec<Task> = Vec::new();
        for k in self.forest.targets() {
            if tasks.len() == most {
                break;
            }
            let merge = self.forest.merges()[k];
            let (size, touched) = components.ended[k];
            // Untouched and as large, it is the same component, and the paths that leave it are the same: a vertex more
            // would have come over a path at a member that changed; so would one elder.
            if self.exhausted.get(&merge.dead).is_some_and(|&(then, when)| then == size && touched <= when) {
                continue;
            }
            let members = components.members(self.forest.merges(), k);
            members.iter().for_each(|&vertex| inside[vertex] = k);
            let below = self.within(merge.edge);
            let other = self.untried(&members, |vertex| inside[vertex] == k, merge.edge, enough.others);
            match other.map(|at| Task::Rival(at, below)).or_else(|| self.bend(merge.edge, below, enough)) {
                None => _ = self.exhausted.insert(merge.dead, (size, self.forest.now())),
                // One path may leave two components.
                Some(task) if tasks.iter().any(|other| other.at() == task.at()) => {}
                Some(task) => tasks.push(task),
            }
        }
        tasks
    }

    /// The height below which a rival of a deciding path is worth a closer look: such a one may fall further, or break
    /// at a way-station.
    fn within(&self, deciding: usize) -> f64 {
        let Some((height, _)) = self.forest.rank(deciding) else { return f64::INFINITY };
        height + CLOSER * (height - self.forest.higher_end(deciding))
    }

    /// Another path between the ends of a deciding one, unless enough in a row were of no use.
    fn bend(&self, deciding: usize, below: f64, enough: Enough) -> Option<Task> {
        let Edge { ends: (a, b), .. } = self.forest.path(deciding).edge?;
        let all = self.forest.between(a, b);
        let is_new = |&at: &usize| {
            let path = self.forest.path(at);
            path.edge.is_some() && path.height.is_finite() && !path.is_tried
        };
        if let Some(at) = all.iter().copied().find(is_new) {
            return Some(Task::Rival(at, below));
        }
        let birth = self.forest.higher_end(deciding);
        let (mut lowest, mut in_a_row) = (f64::INFINITY, 0);
        for at in all {
            let height = self.forest.path(*at).height;
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
        let around = members.iter().flat_map(|&vertex| self.forest.around(vertex).iter().copied());
        let edges = around.filter_map(|at| Some((at, self.forest.path(at).edge?)));
        let leaving = edges.filter(|&(at, Edge { ends: (a, b), .. })| at != deciding && inside(a) != inside(b));
        let (mut tried, mut lowest) = (0, None);
        for (at, Edge { height, .. }) in leaving {
            if self.forest.path(at).is_tried {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::MergeTree;
    use crate::explore::forest::pair;
    use crate::search::{Descent, Evidence, Minimum, Origin, Pass, PassKind, Path, PathId, PathState, Profile};
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
    fn by_hand(landscape: &Landscape, schedule: &Schedule, enough: Enough, most: usize) -> Vec<Task> {
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
        let deciding = targets().map(path_of).filter(|p| open(p)).map(|p| Task::Visit(place(p.id)));
        let mut tasks: Vec<Task> = deciding.collect();
        if tasks.is_empty() {
            for task in targets().filter_map(alternative) {
                tasks.extend((tasks.iter().all(|other| other.at() != task.at())).then_some(task));
            }
        }
        tasks.truncate(most);
        tasks
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
            visits in visits(), others in 0usize..3, bent in 0usize..3, coarse in 1usize..4, most in 1usize..4,
        ) {
            let enough = Enough { others, bent, tolerance: 0.1 };
            let schedule = Schedule { knots: vec![3; coarse], visits: 4, ..Schedule::default() };
            let mut landscape = Landscape { minima: vec![minimum(0, 1.0, true, None)], ..Landscape::default() };
            let mut deciding = Deciding::new(&landscape, &schedule);
            for Visit { which, height, state, minima, paths } in visits {
                // Mostly what a search would do, sometimes anything.
                let mut changed: Vec<usize> = deciding.next(enough, most).tasks.iter().map(Task::at).collect();
                if (state >= 6 || changed.is_empty()) && !landscape.paths.is_empty() {
                    changed = vec![which.index(landscape.paths.len())];
                }
                for (nth, &at) in changed.iter().enumerate() {
                    let path = &mut landscape.paths[at];
                    if path.state == PathState::Split {
                        continue; // It never comes back.
                    }
                    let fate = usize::from(state) + nth;
                    path.visits += 1;
                    path.pass.height = if fate % 2 == 0 { path.pass.height.min(height) } else { height };
                    let states = [PathState::Relaxed, PathState::Fresh, PathState::Converged, PathState::Split];
                    path.state = states[fate / 2 % 4];
                }
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
                deciding.catch_up(&landscape, &schedule, &changed);
                let next = deciding.next(enough, most).tasks;
                prop_assert_eq!(next, by_hand(&landscape, &schedule, enough, most));
                let merges: Vec<_> = MergeTree::of(&landscape).merges.iter().map(|m| (m.dead, m.elder)).collect();
                prop_assert_eq!(deciding.forest.merges().iter().map(|m| (m.dead, m.elder)).collect::<Vec<_>>(), merges);
                let split = landscape.paths.iter().filter(|p| p.state == PathState::Split);
                for p in split.clone() {
                    let same = split.clone().filter(|q| pair(q.ends) == pair(p.ends)).map(|q| q.visits).max();
                    prop_assert_eq!(Some(deciding.visits_before_split(p.ends)), same);
                }
            }
        }
    }
}
