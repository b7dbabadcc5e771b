//! The goal `all` on surfaces whose critical points are known: every minimum and every saddle of index 1, each once.
#![cfg(all(feature = "surfaces", feature = "dense"))]

mod closed_form;

use closed_form::closed_form;
use mountainpass::explore::{
    Catches, Ended, Explored, Found, Goal, MergeTree, Method, MorseComplex, Plan, Silent, barcode, explore,
};
use mountainpass::loss::oracle::Oracle;
use mountainpass::loss::{Loss, OpenRequest, Registry};
use mountainpass::machine::pool::Pool;
use mountainpass::persistence::{Bar, DeathKind};
use mountainpass::run::{Budget, Cancel};
use mountainpass::sample::GridPlan;
use mountainpass::search::{Finding, Journal, Landscape, Unrecorded};
use mountainpass_surfaces::Surfaces;
use std::collections::BTreeMap;
use std::sync::Arc;

type Options<'a> = &'a [(&'a str, &'a str)];

fn explored(model: &str, options: Options<'_>, plan: &Plan) -> Explored {
    resumed(model, options, plan, Budget::default(), Landscape::default(), &mut Unrecorded)
}

fn resumed(
    model: &str,
    options: Options<'_>,
    plan: &Plan,
    budget: Budget,
    known: Landscape,
    journal: &mut dyn Journal,
) -> Explored {
    let registry = Registry::new();
    registry.register::<Surfaces>().unwrap();
    let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let request = OpenRequest { model: model.to_owned(), options, ..OpenRequest::default() };
    let mut loss = registry.open("surfaces", &request, Arc::new(Pool::new(1))).unwrap();
    let mut oracle = Oracle::new(&mut *loss, None, &Cancel::default(), budget).unwrap();
    explore(&mut oracle, plan, known, journal, &mut Silent).unwrap()
}

/// Keeps what a database would.
#[derive(Default)]
struct Kept(Landscape);

impl Journal for Kept {
    fn commit(&mut self, findings: &[Finding<'_>]) -> mountainpass::Result<()> {
        for finding in findings {
            match finding {
                Finding::Minimum(m) => match self.0.minima.iter_mut().find(|known| known.cell == m.cell) {
                    Some(known) => *known = (*m).clone(),
                    None => self.0.minima.push((*m).clone()),
                },
                Finding::Path(p) => match self.0.paths.iter_mut().find(|known| known.id == p.id) {
                    Some(known) => *known = (*p).clone(),
                    None => self.0.paths.push((*p).clone()),
                },
                Finding::Critical(c) => match self.0.critical.iter_mut().find(|known| known.cell == c.cell) {
                    Some(known) => *known = (*c).clone(),
                    None => self.0.critical.push((*c).clone()),
                },
                _ => {}
            }
        }
        Ok(())
    }
}

/// Minima and different verified saddles.
fn counts(found: &Explored) -> (usize, usize) {
    (found.landscape.minima.iter().filter(|m| m.counts()).count(), found.landscape.listed().count())
}

#[test]
fn every_saddle_of_the_known_surfaces_is_found_once() {
    for (model, options, known) in [
        ("mueller-brown", &[][..], (3, 2)),
        ("six-hump-camel", &[], (6, 7)),
        ("himmelblau", &[], (4, 4)),
        ("torus", &[], (1, 2)),
        ("torus", &[("n", "3")], (1, 3)),
    ] {
        for seed in 0..5 {
            let plan = Plan { seed, goal: Goal::All, ..Plan::default() };
            let found = explored(model, options, &plan);
            assert_eq!(found.ended, Ended::Complete);
            assert_eq!(counts(&found), known, "{model} {options:?}, seed {seed}");
        }
    }
}

#[test]
fn schwefels_49_minima_and_84_saddles_are_found_from_8_starts() {
    for seed in 1..=10 {
        let found = explored("schwefel", &[], &Plan { seed, goal: Goal::All, ..Plan::default() });
        assert_eq!(counts(&found), (49, 84), "seed {seed}");
        // Their lines of flow make a lattice of 7 by 7: each of its 36 meshes is a cycle.
        let complex = MorseComplex::of(&found.landscape);
        assert_eq!((complex.ended(), complex.betti()), (vec![48, 0], vec![1, 36]), "seed {seed}");
        assert_eq!(complex.undecided().count(), 0);
        assert!(Catches::of(&found.landscape).unwrap().missed < 0.5);
    }
}

#[test]
fn so_are_its_343_and_882_in_three_dimensions() {
    let found = explored("schwefel", &[("n", "3")], &Plan { goal: Goal::All, ..Plan::default() });
    assert_eq!(counts(&found), (343, 882));
}

#[test]
fn a_resumed_search_for_all_ends_as_the_uninterrupted_one() {
    let plan = Plan { goal: Goal::All, ..Plan::default() };
    let whole = explored("six-hump-camel", &[], &plan).landscape;
    let spent: u64 = whole.evaluations.iter().map(|(_, tally)| tally.total()).sum();
    for tenths in 1..10 {
        let (budget, mut kept) =
            (Budget { evaluations: Some(spent * tenths / 10), ..Budget::default() }, Kept::default());
        resumed("six-hump-camel", &[], &plan, budget, Landscape::default(), &mut kept);
        let known = kept.0.clone();
        let found = resumed("six-hump-camel", &[], &plan, Budget::default(), known, &mut kept).landscape;
        assert!(found.minima == whole.minima && found.paths == whole.paths, "{tenths} tenths");
    }
}

#[test]
fn a_torus_has_binomial_numbers_of_cells_and_all_of_them_last() {
    for (n, known) in [("2", vec![1, 2, 1]), ("3", vec![1, 3, 3, 1])] {
        let plan = Plan { goal: Goal::All, index: 3, ..Plan::default() };
        let found = explored("torus", &[("n", n)], &plan);
        let complex = MorseComplex::of(&found.landscape);
        assert_eq!((complex.counts(), complex.betti()), (known.clone(), known.clone()));
        assert_eq!(complex.undecided().count(), 0);
        let bars = barcode(&found.landscape, found.noise).bars;
        assert!(bars.len() == known.iter().sum::<usize>() && bars.iter().all(|bar| bar.death().is_none()), "{bars:?}");
        // The inequalities are those of a torus; a box without periods would have other cells.
        assert_eq!(complex.lacks(found.domain.as_ref().unwrap()), None);
        assert_eq!(complex.lacks(&[1, 4]), Some(1));
    }
}

#[test]
fn three_spins_on_a_sphere_have_its_cells() {
    let plan = Plan { goal: Goal::All, index: 2, starts: 24, ..Plan::default() };
    let found = explored("p-spin", &[("spins", "3")], &plan);
    let complex = MorseComplex::of(&found.landscape);
    assert_eq!((complex.counts(), complex.ended(), complex.betti()), (vec![4, 6, 4], vec![3, 3, 0], vec![1, 0, 1]));
    assert_eq!(found.domain, Some(vec![1, 0, 1]));
    assert_eq!(complex.lacks(&[1, 0, 1]), None);
    let bars = barcode(&found.landscape, found.noise);
    assert!(
        bars.bars.iter().filter_map(|bar| bar.length()).all(|length| (length - bars.bars[0].birth.abs()).abs() < 1e-9)
    );
    assert!(found.landscape.listed().all(|path| path.pass.evidence.as_ref().unwrap().projected == 1));
}

#[test]
fn where_only_the_direction_counts_copies_are_one_and_passes_verified() {
    let found = explored("p-spin", &[("spins", "8")], &Plan { starts: 24, ..Plan::default() });
    let bars = MergeTree::of(&found.landscape).barcode(found.noise).bars;
    let deaths: Vec<_> = bars.iter().filter(|bar| !bar.is_transit()).filter_map(|bar| bar.death_kind()).collect();
    assert!(deaths.len() > 2 && deaths.iter().all(|kind| *kind == DeathKind::VerifiedSaddle), "{bars:?}");
}

/// The bars of degree 1 and 0 that a search finds and those of a grid over the box.
fn beside_a_grid(loss: &mut dyn Loss, ranges: [[f64; 2]; 2], plan: &Plan) -> [Vec<(u32, f64, Option<f64>)>; 2] {
    let of = |bars: &[Bar]| -> Vec<_> {
        let long = bars.iter().filter(|bar| bar.length().is_none_or(|length| length > 0.01));
        long.map(|bar| (bar.degree, bar.birth, bar.death())).collect()
    };
    let run = |loss: &mut dyn Loss, plan: &Plan| {
        let mut oracle = plan.oracle(loss, None, &Cancel::default(), Budget::default()).unwrap();
        explore(&mut oracle, plan, Landscape::default(), &mut Unrecorded, &mut Silent).unwrap()
    };
    let found = run(loss, plan);
    let complex = MorseComplex::of(&found.landscape);
    assert!(complex.torn.is_empty() && complex.undecided().count() == 0, "{:?}", complex.cells);
    let grid = GridPlan { ranges: Some(ranges.to_vec()), samples: vec![801], ..GridPlan::default() };
    let sampled = match run(loss, &Plan { method: Method::Grid(grid), ..plan.clone() }).found {
        Found::Samples(samples) => samples.barcode(&Pool::new(1)).unwrap(),
        _ => panic!("no grid"),
    };
    [of(&barcode(&found.landscape, found.noise).bars), of(&sampled.bars)]
}

#[test]
fn bars_of_degree_1_are_those_of_a_grid() {
    // A ring with two wells, a hill inside and hills beyond: f = (r^2 - 1)^2 + x y / 2 + x / 10; and a crate of eggs on a bowl.
    let ring = |x: &[f64], g: &mut [f64]| {
        let u = x[0] * x[0] + x[1] * x[1] - 1.0;
        (g[0], g[1]) = (4.0 * u * x[0] + 0.5 * x[1] + 0.1, 4.0 * u * x[1] + 0.5 * x[0]);
        u * u + 0.5 * x[0] * x[1] + 0.1 * x[0]
    };
    let crate_of_eggs = |x: &[f64], g: &mut [f64]| {
        let bowl = |t: f64| 0.02 * t * t + 0.11 * t;
        (g[0], g[1]) = (2.0 * (2.0 * x[0]).sin() + 0.04 * x[0] + 0.11, 2.0 * (2.0 * x[1]).sin() + 0.04 * x[1] + 0.11);
        bowl(x[0]) + bowl(x[1]) - (2.0 * x[0]).cos() - (2.0 * x[1]).cos()
    };
    type Function = fn(&[f64], &mut [f64]) -> f64;
    // Between the hills beyond the box wells of the crate go on; inside 3 by 3 lie within 4.6.
    for (f, half, wells, loops) in [(ring as Function, 2.0, 2, 1), (crate_of_eggs as Function, 4.6, 9, 4)] {
        let plan = Plan { goal: Goal::All, index: 2, starts: 12, ..Plan::default() };
        let mut loss = closed_form(2, Some([-half, half]), f);
        let [ours, grid] = beside_a_grid(&mut loss, [[-half, half]; 2], &plan);
        let count = |bars: &[(u32, f64, Option<f64>)], degree| bars.iter().filter(|bar| bar.0 == degree).count();
        assert_eq!((count(&ours, 0), count(&ours, 1)), (wells, loops), "{ours:?}");
        assert_eq!(ours.len(), grid.len(), "{ours:?} {grid:?}");
        // A grid of spacing h is off by at most h^2 times the curvature, here 17.
        let near = |a: f64, b: f64| (a - b).abs() < 17.0 * (half / 400.0_f64).powi(2);
        let same = |a: &(u32, f64, Option<f64>), b: &(u32, f64, Option<f64>)| {
            a.0 == b.0
                && near(a.1, b.1)
                && a.2.is_some() == b.2.is_some()
                && a.2.zip(b.2).is_none_or(|(a, b)| near(a, b))
        };
        assert!(ours.iter().all(|bar| grid.iter().any(|other| same(bar, other))), "{ours:?} {grid:?}");
    }
}

#[cfg(feature = "store")]
#[test]
fn all_that_was_found_comes_back_from_its_database() {
    use mountainpass::store::{Provenance, Store};
    let plan = Plan { goal: Goal::All, index: 2, ..Plan::default() };
    let found = explored("himmelblau", &[], &plan).landscape;
    assert!(!found.critical.is_empty());
    let folder = std::env::temp_dir().join(format!("mpass-all-saddles-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut store = Store::create(folder.join("landscape.sqlite"), &Provenance::default()).unwrap();
    store.put_landscape(&found).unwrap();
    assert!(store.landscape().unwrap() == found);
    drop(store);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_boundary_of_a_boundary_is_nothing() {
    let plan = Plan { goal: Goal::All, index: 2, ..Plan::default() };
    for (model, tops) in [("himmelblau", 1), ("six-hump-camel", 2), ("schwefel", 36)] {
        let complex = MorseComplex::of(&explored(model, &[], &plan).landscape);
        assert!(complex.counts()[2] >= tops, "{model}: {:?}", complex.counts());
        // A mesh of four saddles round each maximum inside.
        assert!(complex.ended()[1] >= tops, "{model}: {:?}", complex.cells);
        assert!(complex.torn.is_empty(), "{model}: {:?}", complex.cells);
    }
}

#[test]
fn clusters_have_the_minima_and_saddles_that_others_found() {
    // Seven atoms: four minima, and eleven saddles at least.
    let found = explored("lennard-jones", &[], &Plan { goal: Goal::All, ..Plan::default() });
    let (minima, saddles) = counts(&found);
    assert!(minima == 4 && saddles >= 11, "{minima} and {saddles}");
    // Thirteen, within a budget: pele's example lists 27 and 34.
    let saddles_budget = Budget { evaluations: Some(100_000), ..Budget::default() };
    let plan = Plan { goal: Goal::All, saddles_budget, ..Plan::default() };
    let (minima, saddles) = counts(&explored("lennard-jones", &[("atoms", "13")], &plan));
    assert!(minima >= 27 && saddles >= 34, "{minima} and {saddles}");
}

#[test]
fn the_barcode_only_gains() {
    for (model, seed) in [("six-hump-camel", 3), ("mueller-brown", 3), ("himmelblau", 3)] {
        let plan = Plan { seed, ..Plan::default() };
        let [few, all] = [Goal::Barcode, Goal::All].map(|goal| explored(model, &[], &Plan { goal, ..plan.clone() }));
        let all = MergeTree::of(&all.landscape).barcode(all.noise);
        for bar in MergeTree::of(&few.landscape).barcode(few.noise).bars {
            let same = all.bars.iter().find(|b| b.birth_cell == bar.birth_cell).unwrap();
            let error = bar.top().map_or(0.0, |top| top.error) + 1e-9;
            assert!(same.death().unwrap_or(f64::INFINITY) <= bar.death().unwrap_or(f64::INFINITY) + error, "{model}");
        }
    }
}

#[test]
fn the_boundary_of_verified_saddles_has_the_same_bars() {
    for model in ["six-hump-camel", "mueller-brown", "himmelblau"] {
        let found = explored(model, &[], &Plan { goal: Goal::All, ..Plan::default() });
        let complex = MorseComplex::of(&found.landscape);
        assert_eq!(complex.undecided().count(), 0, "{model}");
        let tree = MergeTree::of(&found.landscape);
        let of_tree = tree.merges.iter().map(|m| (tree.minima[m.dead].cell, tree.paths[m.edge].pass.height));
        let height = |cell: u64| complex.cells.iter().find(|saddle| saddle.id == cell).unwrap().value;
        let ended = complex.pairs.iter().filter(|pair| pair.degree == 0);
        let of_flow = ended.filter_map(|pair| Some((pair.birth, height(pair.death?))));
        let (of_tree, of_flow): (BTreeMap<u64, f64>, BTreeMap<u64, f64>) = (of_tree.collect(), of_flow.collect());
        assert!(of_tree.keys().eq(of_flow.keys()), "{model}");
        // Of two paths over one saddle either may be the lower, in the last bits.
        assert!(of_tree.values().zip(of_flow.values()).all(|(a, b)| (a - b).abs() <= 1e-9), "{model}");
    }
}
