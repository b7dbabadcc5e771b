//! The goal `all` on surfaces whose critical points are known: every minimum and every saddle of index 1, each once.
#![cfg(all(feature = "surfaces", feature = "dense"))]

use mountainpass::explore::{Catches, Ended, Explored, Goal, MergeTree, MorseComplex, Plan, Silent, explore};
use mountainpass::loss::oracle::Oracle;
use mountainpass::loss::{OpenRequest, Registry};
use mountainpass::machine::pool::Pool;
use mountainpass::run::{Budget, Cancel};
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
        assert_eq!((complex.pairs.len(), complex.births.len(), complex.undecided.len()), (48, 36, 0), "seed {seed}");
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
fn a_torus_has_binomial_numbers_of_cells_and_no_boundaries() {
    for (n, known) in [("2", vec![1, 2, 1]), ("3", vec![1, 3, 3, 1])] {
        let plan = Plan { goal: Goal::All, index: 3, ..Plan::default() };
        let complex = MorseComplex::of(&explored("torus", &[("n", n)], &plan).landscape);
        assert_eq!(complex.counts(), known);
        assert!(complex.saddles.iter().all(|saddle| saddle.ends.0 == saddle.ends.1));
        assert!(complex.higher.iter().all(|(_, _, faces)| *faces == Some(Vec::new())), "{:?}", complex.higher);
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
        let known = complex.higher.iter().filter(|(_, _, faces)| faces.as_ref().is_some_and(|faces| !faces.is_empty()));
        assert!(known.count() >= tops, "{model}: {:?}", complex.higher);
        assert!(complex.is_closed(), "{model}: {:?}", complex.higher);
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
        assert!(complex.undecided.is_empty(), "{model}");
        let tree = MergeTree::of(&found.landscape);
        let of_tree = tree.merges.iter().map(|m| (tree.minima[m.dead].cell, tree.paths[m.edge].pass.height));
        let height = |cell: u64| complex.saddles.iter().find(|saddle| saddle.cell == cell).unwrap().value;
        let of_flow = complex.pairs.iter().map(|&(dead, saddle)| (dead, height(saddle)));
        let (of_tree, of_flow): (BTreeMap<u64, f64>, BTreeMap<u64, f64>) = (of_tree.collect(), of_flow.collect());
        assert!(of_tree.keys().eq(of_flow.keys()), "{model}");
        // Of two paths over one saddle either may be the lower, in the last bits.
        assert!(of_tree.values().zip(of_flow.values()).all(|(a, b)| (a - b).abs() <= 1e-9), "{model}");
    }
}
