//! Claims about pairs of given points, on two wells f = (x^2 - 1)^2 + y^2 whose barriers are known.

use crate::explore::{Basins, Ended, Explored, Given, Known, Plan, Silent, Way, explore};
use crate::loss::closed_form::ClosedForm;
use crate::loss::oracle::Oracle;
use crate::loss::{Split, Symmetry, SymmetryKind};
use crate::run::{Budget, Cancel};
use crate::search::{Along, Finding, Journal, Landscape, Metric, Pair, Stage};

fn wells(x: &[f64], g: &mut [f64]) -> f64 {
    (g[0], g[1]) = (4.0 * x[0] * (x[0] * x[0] - 1.0), 2.0 * x[1]);
    (x[0] * x[0] - 1.0).powi(2) + x[1] * x[1]
}

/// How many of ten it gets right, in the left well more.
fn accuracy(x: &[f64]) -> f64 {
    0.9 - 0.1 * x[0].max(0.0)
}

/// The two wells and a point above the left one.
const POINTS: [[f64; 2]; 3] = [[-1.0, 0.0], [1.0, 0.0], [-1.0, 1.0]];

fn plan(points: &[[f64; 2]]) -> Plan {
    let given =
        |(i, theta): (usize, &[f64; 2])| Given { name: format!("{i}"), theta: theta.to_vec(), ..Given::default() };
    Plan { way: Way::Given(points.iter().enumerate().map(given).collect()), ..Plan::default() }
}

/// Keeps what was found, as a database does.
#[derive(Default)]
struct Kept(Known);

impl Journal for Kept {
    fn commit(&mut self, findings: &[Finding<'_>]) -> crate::Result<()> {
        let Known { landscape, pairs, .. } = &mut self.0;
        for finding in findings {
            match *finding {
                Finding::Minimum(m) => put(&mut landscape.minima, m, |m| m.cell),
                Finding::Path(p) => put(&mut landscape.paths, p, |p| p.id),
                Finding::Pair(p) => put(pairs, p, |p| p.given.0 * 1000 + p.given.1),
                Finding::Evaluations(stage, tally) => {
                    landscape.evaluations.retain(|(other, _)| *other != stage);
                    landscape.evaluations.push((stage, tally));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn put<T: Clone>(all: &mut Vec<T>, one: &T, key: fn(&T) -> u64) {
    match all.iter_mut().find(|known| key(known) == key(one)) {
        Some(known) => *known = one.clone(),
        None => all.push(one.clone()),
    }
}

fn explored(plan: &Plan, is_mirrored: bool, known: Known, most: Option<u64>, kept: &mut Kept) -> Explored {
    let mut loss = ClosedForm::new(2, None, wells);
    loss.accuracy = Some(accuracy);
    if is_mirrored {
        loss.symmetries = vec![Symmetry { kind: SymmetryKind::Sign, blocks: vec![vec![0]] }];
    }
    let budget = Budget { evaluations: most, ..Budget::default() };
    let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), budget).unwrap();
    explore(&mut oracle, plan, known, kept, &mut Silent).unwrap()
}

fn whole(plan: &Plan, is_mirrored: bool) -> Explored {
    explored(plan, is_mirrored, Known::default(), None, &mut Kept::default())
}

fn near(found: f64, known: f64) {
    assert!((found - known).abs() < 1e-9, "{found} is not {known}");
}

#[test]
fn barriers_and_climbs_are_those_known() {
    let found = whole(&plan(&POINTS), false);
    let given: Vec<(u64, u64)> = found.pairs.iter().map(|pair| pair.given).collect();
    assert_eq!(given, [(0, 1), (0, 2), (1, 2)]);
    let [across, down, aside] = &found.pairs[..] else { panic!("{}", found.pairs.len()) };
    // Along the first line (4 t (1 - t))^2: 1 in the middle, above ends of 0. There is no lower way.
    for along in [&across.raw, &across.path.as_ref().unwrap().along] {
        let known = [(along.barrier, 1.0), (along.climb, 1.0), (along.height, 1.0), (along.worst.t, 0.5)];
        known.into_iter().for_each(|(x, y)| near(x, y));
    }
    let bend = |t: f64| (4.0 * t * (1.0 - t)).powi(2);
    assert_eq!(across.raw.loss.len(), 25);
    (0..25).for_each(|i| near(across.raw.loss[i], bend(i as f64 / 24.0)));
    // A parabola rises above no chord of its own, and (1 - t)^2 to no climb.
    assert_eq!((down.raw.barrier, down.raw.climb), (0.0, 0.0));
    // Along the third bend(t) + t^2, whose chord is t: 3/4 above it, in the middle again, where the slope is not 0.
    near(aside.raw.barrier, 0.75);
    near(aside.raw.worst.t, 0.5);
    let highest = (0..=1_000_000).map(|i| f64::from(i) / 1e6).map(|t| bend(t) + t * t).fold(0.0, f64::max);
    assert!((aside.raw.climb - (highest - 1.0)).abs() < 1e-3 * highest, "{} {highest}", aside.raw.climb);
    // The best way leads over the pass of height 1, which the point above the well stands as high as.
    let path = &aside.path.as_ref().unwrap().along;
    [(path.height, 1.0), (path.climb, 0.0)].into_iter().for_each(|(x, y)| near(x, y));
    assert!(found.pairs.iter().all(|pair| pair.aligned.is_none()));
}

#[test]
fn metrics_are_told_at_the_ends_at_the_worst_and_along() {
    let found = whole(&plan(&POINTS), false);
    let accuracy = Metric::Of(Split::Test, "accuracy".to_owned());
    let Along { metrics, worst, .. } = &found.pairs[0].raw;
    assert_eq!(metrics.len(), 1);
    let (metric, values) = &metrics[0];
    assert_eq!((metric, values.len(), values[0], values[24]), (&accuracy, 25, 0.9, 0.8));
    assert_eq!(worst.metrics, [(accuracy.clone(), 0.9)]);
    assert_eq!(found.pairs[0].raw.range(&accuracy), Some((0.8, 0.9)));
    // Back along the same path: the ends are exchanged.
    let swapped = whole(&plan(&[POINTS[1], POINTS[0]]), false);
    let along = |found: &Explored| found.pairs[0].path.clone().unwrap().along;
    let (mut there, back) = (along(&found), along(&swapped));
    there.metrics[0].1.reverse();
    there.metrics[0].1.iter().zip(&back.metrics[0].1).for_each(|(a, b)| near(*a, *b));
}

#[test]
fn a_mirrored_point_is_one_with_its_copy_after_alignment_alone() {
    let found = whole(&plan(&POINTS[..2]), true);
    let pair = &found.pairs[0];
    near(pair.raw.barrier, 1.0);
    assert_eq!(pair.aligned.as_ref().map(|along| (along.barrier, along.climb)), Some((0.0, 0.0)));
    let path = pair.path.as_ref().unwrap();
    assert_eq!((path.minima, path.paths.len(), path.along.climb), ((0, 0), 0, 0.0));
    assert_eq!(path.along.metrics[0].1, [0.9]);
}

/// How many basins the points lie in, and in which each of them.
fn basins(points: &[[f64; 2]], polish: bool) -> (usize, Vec<Option<usize>>) {
    let Explored { landscape, noise, .. } = whole(&Plan { polish, ..plan(points) }, false);
    let Basins { of, count } = Basins::of(&landscape, noise).unwrap();
    (count, of.into_iter().map(|(_, basin)| basin).collect())
}

#[test]
fn points_between_which_nothing_is_climbed_lie_in_one_basin() {
    assert_eq!(basins(&POINTS, false), (2, vec![Some(1), Some(2), Some(1)]));
    let left = [[-1.1, 0.2], [-1.0, 1.0], [-0.9, -0.4]];
    assert_eq!(basins(&left, false), (1, vec![Some(1); 3]));
    assert_eq!(basins(&left, true), (1, vec![Some(1); 3]));
    assert_eq!(basins(&[[1.2, 0.3], [-1.0, 0.4], [0.9, 0.0]], true), (2, vec![Some(1), Some(2), Some(1)]));
}

#[test]
fn polished_points_are_compared_as_they_were_given_and_by_the_minima_they_lead_to() {
    let found = whole(&Plan { polish: true, ..plan(&[[-1.0, 1.0], [1.0, 2.0]]) }, false);
    let (pair, minima) = (&found.pairs[0], &found.landscape.minima);
    assert_eq!((pair.raw.loss[0], pair.raw.loss[24]), (1.0, 4.0));
    let path = pair.path.as_ref().unwrap();
    assert_eq!(path.minima, (minima[0].cell, minima[1].cell));
    near(path.along.climb, 1.0);
    near(path.along.loss[0], 0.0);
}

#[test]
fn a_stop_anywhere_leaves_the_same_pairs_and_measures_no_line_twice() {
    let (plan, mut kept) = (plan(&POINTS), Kept::default());
    let found = explored(&plan, false, Known::default(), None, &mut kept);
    assert_eq!(kept.0.pairs, found.pairs);
    let spent = |landscape: &Landscape, stage: Stage| {
        let of = landscape.evaluations.iter().find(|(other, _)| *other == stage);
        of.map_or(0, |(_, tally)| tally.total())
    };
    let all: u64 = found.landscape.evaluations.iter().map(|(_, tally)| tally.total()).sum();
    let of_pairs = spent(&found.landscape, Stage::Pairs);
    for most in [all - 1, all - of_pairs / 3, all - of_pairs / 2, all - of_pairs, all / 2, 3] {
        let mut kept = Kept::default();
        let part = explored(&plan, false, Known::default(), Some(most), &mut kept);
        assert_eq!(part.ended, Ended::Budget, "{most} of {all}");
        let known = kept.0.clone();
        let rest = explored(&plan, false, known, None, &mut kept);
        assert_eq!((&rest.pairs, rest.landscape.minima), (&found.pairs, found.landscape.minima.clone()), "{most}");
    }
    let again = explored(&plan, false, kept.0.clone(), None, &mut Kept::default());
    assert_eq!((&again.pairs, spent(&again.landscape, Stage::Pairs)), (&found.pairs, of_pairs));
}

#[test]
fn a_lower_way_that_a_resumed_run_finds_takes_the_place_of_the_one_before() {
    let plan = plan(&POINTS[..2]);
    let mut kept = Kept::default();
    let found = explored(&plan, false, Known::default(), None, &mut kept);
    // As a run left it whose budget for paths ended early.
    let path = kept.0.pairs[0].path.as_mut().unwrap();
    (path.along.height, path.along.climb) = (2.0, 2.0);
    let again = explored(&plan, false, kept.0.clone(), None, &mut Kept::default());
    assert_eq!(again.pairs, found.pairs);
}

#[test]
fn of_many_points_those_next_to_each_other_in_the_merge_tree_are_told() {
    // Eleven in each well.
    let points: Vec<[f64; 2]> = (0..22).map(|i| [if i % 2 == 0 { -1.0 } else { 1.0 }, 0.04 * f64::from(i)]).collect();
    let plan = Plan { alternatives: 0, along: 3, ..plan(&points) };
    let pairs = whole(&plan, false).pairs;
    assert_eq!(pairs.len(), 21);
    let across: Vec<&Pair> = pairs.iter().filter(|pair| pair.given.0 % 2 != pair.given.1 % 2).collect();
    assert_eq!(across.iter().map(|pair| pair.given).collect::<Vec<_>>(), [(0, 1)]);
    assert_eq!(across[0].raw.loss.len(), 3);
    assert_eq!(plan.forecast(&ClosedForm::new(2, None, wells).info).unwrap().stages.len(), 4);
}

#[test]
fn who_wants_no_pairs_has_none() {
    let found = whole(&Plan { along: 0, ..plan(&POINTS) }, false);
    assert!(found.pairs.is_empty() && found.landscape.evaluations.iter().all(|(stage, _)| *stage != Stage::Pairs));
    assert!(whole(&plan(&POINTS[..1]), false).pairs.is_empty());
}

#[test]
fn a_line_on_which_the_loss_is_not_finite_has_no_barrier_that_is_a_number() {
    let f = |x: &[f64], g: &mut [f64]| if x[0].abs() < 0.1 && x[1].abs() < 0.5 { f64::NAN } else { wells(x, g) };
    let mut loss = ClosedForm::new(2, None, f);
    let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
    let found =
        explore(&mut oracle, &plan(&POINTS[..2]), Landscape::default(), &mut Kept::default(), &mut Silent).unwrap();
    let Pair { raw, .. } = &found.pairs[0];
    assert_eq!((raw.barrier, raw.climb, raw.height), (f64::INFINITY, f64::INFINITY, f64::INFINITY));
    assert!(raw.loss[0].is_finite() && raw.loss[12].is_infinite());
}
