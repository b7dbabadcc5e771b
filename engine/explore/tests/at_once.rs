//! Claims about rounds of several tasks: nothing but the order in which the loss is asked depends on them.

use super::{Watch, bars, bent, close, ring};
use crate::explore::Silent;
use crate::explore::{Explored, Given, MergeTree, Plan, Way, explore};
use crate::loss::closed_form::{ClosedForm, mueller_brown, three_hump_camel};
use crate::loss::oracle::Oracle;
use crate::run::{Budget, Cancel};
use crate::search::{Landscape, PathState};

fn run(seed: u64, at_once: usize, most: u64, known: Landscape, watch: &mut Watch) -> Explored {
    let mut loss = ClosedForm::new(2, Some([-4.0, 4.0]), bent(seed, 6, 0.5));
    let budget = Budget { evaluations: Some(most), ..Budget::default() };
    let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), budget).unwrap();
    explore(&mut oracle, &Plan { starts: 10, at_once, ..Plan::default() }, known, watch, &mut Silent).unwrap()
}

#[test]
fn a_stop_in_a_round_keeps_whole_rounds_and_the_resumed_run_ends_as_the_uninterrupted_one() {
    for (seed, at_once) in [(1, 4), (55, 4), (12, 3)] {
        let mut all = Watch::default();
        let whole = run(seed, at_once, 200_000, Landscape::default(), &mut all).landscape;
        assert!(all.landscape.minima == whole.minima && all.landscape.paths == whole.paths);
        let spent: u64 = whole.evaluations.iter().map(|(_, tally)| tally.total()).sum();
        for tenths in 1..10 {
            let mut watch = Watch::default();
            let stopped = run(seed, at_once, spent * tenths / 10, Landscape::default(), &mut watch).landscape;
            // What is told is what was kept.
            assert!(watch.landscape.minima == stopped.minima && watch.landscape.paths == stopped.paths);
            let known = watch.landscape.clone();
            let resumed = run(seed, at_once, 200_000, known, &mut watch).landscape;
            assert!(resumed.minima == whole.minima && resumed.paths == whole.paths, "seed {seed}, {tenths} tenths");
            assert!(watch.landscape.minima == whole.minima && watch.landscape.paths == whole.paths);
        }
    }
}

#[test]
fn known_deaths_are_found_whatever_is_done_at_once() {
    for at_once in [2, 4, 8] {
        let plan = Plan { starts: 24, at_once, ..Plan::default() };
        let pass = Some(0.8773615578);
        let camel = bars(2, [-2.5, 2.5], three_hump_camel, &plan);
        close(&camel, &[(0.0, None), (0.2986384422, pass), (0.2986384422, pass)], 1e-6);
        let known = [(-146.6995, None), (-108.1667, Some(-40.6648)), (-80.7678, Some(-72.2489))];
        close(&bars(2, [-1.5, 2.0], mueller_brown, &plan), &known, 1e-4); // The digits known.
        let one = bars(2, [-2.0, 2.0], ring, &Plan { at_once: 1, ..plan.clone() });
        close(&bars(2, [-2.0, 2.0], ring, &plan), &one, 1e-6);
    }
}

#[cfg(feature = "dense")]
#[test]
fn every_saddle_is_found_whatever_is_done_at_once() {
    let himmelblau = |x: &[f64], g: &mut [f64]| {
        let (a, b) = (x[0] * x[0] + x[1] - 11.0, x[0] + x[1] * x[1] - 7.0);
        (g[0], g[1]) = (4.0 * x[0] * a + 2.0 * b, 2.0 * a + 4.0 * x[1] * b);
        a * a + b * b
    };
    for at_once in [1, 4] {
        let mut loss = ClosedForm::new(2, Some([-6.0, 6.0]), himmelblau);
        let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
        let plan = Plan { goal: crate::explore::Goal::All, at_once, ..Plan::default() };
        let found = explore(&mut oracle, &plan, Landscape::default(), &mut Watch::default(), &mut Silent).unwrap();
        assert_eq!((MergeTree::of(&found.landscape).minima.len(), found.landscape.listed().count()), (4, 4));
    }
}

/// Three wells round a fourth that no start leads to; every path between two of them is led through it.
fn star(x: &[f64], g: &mut [f64]) -> f64 {
    let at = |k: f64| [1.6 * (std::f64::consts::TAU * k / 3.0).cos(), 1.6 * (std::f64::consts::TAU * k / 3.0).sin()];
    let wells = [(at(0.0), 1.0), (at(1.0), 1.01), (at(2.0), 1.02), ([0.0, 0.0], 0.8)];
    let mut f = 0.05 * (x[0] * x[0] + x[1] * x[1]);
    (g[0], g[1]) = (0.1 * x[0], 0.1 * x[1]);
    for ([a, b], depth) in wells {
        let (dx, dy) = (x[0] - a, x[1] - b);
        let e = -depth * (-(dx * dx + dy * dy) / 0.5).exp();
        f += e;
        g[0] -= e * dx / 0.25;
        g[1] -= e * dy / 0.25;
    }
    f
}

#[test]
fn a_minimum_that_two_paths_lead_to_at_once_is_one() {
    let found = |at_once: usize| {
        let mut loss = ClosedForm::new(2, Some([-3.0, 3.0]), star);
        let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
        let given = [[1.5, 0.0], [-0.8, 1.3], [-0.8, -1.3]];
        let given = given.map(|theta| Given { name: "well".into(), theta: theta.to_vec(), metrics: Vec::new() });
        let plan = Plan { way: Way::Given(given.into()), polish: true, at_once, ..Plan::default() };
        explore(&mut oracle, &plan, Landscape::default(), &mut Watch::default(), &mut Silent).unwrap()
    };
    let (one, four) = (found(1), found(4));
    let split =
        |found: &Explored| found.landscape.paths.iter().filter(|p| p.state == PathState::Split && p.id < 3).count();
    assert!(split(&four) >= 2, "no two paths were split at the well between");
    assert_eq!(four.landscape.minima.len(), 4);
    let deaths =
        |found: &Explored| MergeTree::of(&found.landscape).barcode(0.0).bars.into_iter().map(|b| (b.birth, b.death()));
    close(&deaths(&four).collect::<Vec<_>>(), &deaths(&one).collect::<Vec<_>>(), 1e-6);
}
