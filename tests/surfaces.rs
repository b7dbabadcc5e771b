//! Closed-form surfaces through the plugin table: the same numbers in every batch, element type and number of threads,
//! and explorations that end in their known bars.
#![cfg(all(feature = "surfaces", feature = "dense"))]

use mountainpass::explore::{Ended, Explored, MergeTree, Plan, Silent, evidence, explore};
use mountainpass::loss::oracle::Oracle;
use mountainpass::loss::{Batch, Declared, Dtype, Loss, OpenRequest, Registry};
use mountainpass::machine::pool::Pool;
use mountainpass::persistence::DeathKind;
use mountainpass::run::{Budget, Cancel};
use mountainpass::search::align::Alignment;
use mountainpass::search::connect::Schedule;
use mountainpass::search::kink::polish;
use mountainpass::search::tangents::Tangents;
use mountainpass::search::{Landscape, Unrecorded};
use mountainpass_sdk::Open;
use mountainpass_surfaces::{MODELS, Surfaces, surface};
use std::sync::Arc;

type Options<'a> = &'a [(&'a str, &'a str)];

fn open(model: &str, options: Options<'_>, dtype: Dtype, threads: usize) -> Box<dyn Loss> {
    let registry = Registry::new();
    registry.register::<Surfaces>().unwrap();
    let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let request = OpenRequest { model: model.to_owned(), options, dtype: Some(dtype), ..OpenRequest::default() };
    registry.open("surfaces", &request, Arc::new(Pool::new(threads))).unwrap()
}

/// Losses, gradients and Hessian products in batches of `rows`.
fn evaluated(loss: &mut dyn Loss, theta: &[f64], dir: &[f64], rows: usize) -> [Vec<f64>; 3] {
    let p = loss.info().params;
    let mut out = [vec![f64::NAN; theta.len() / p], vec![f64::NAN; theta.len()], vec![f64::NAN; theta.len()]];
    let [losses, grads, products] = &mut out;
    let outputs = losses.chunks_mut(rows).zip(grads.chunks_mut(rows * p)).zip(products.chunks_mut(rows * p));
    for (((loss_out, grad), hvp), (theta, dir)) in outputs.zip(theta.chunks(rows * p).zip(dir.chunks(rows * p))) {
        let mut ok = vec![false; loss_out.len()];
        let (grad, hvp, cancel) = (Some(grad), Some((dir, hvp)), &Cancel::default());
        loss.eval(Batch { theta, ids: None, loss: loss_out, grad, hvp, ok: &mut ok, cancel }).unwrap();
        assert!(ok.iter().all(|&ok| ok));
    }
    out
}

#[test]
fn every_option_that_is_declared_is_read_by_a_model_and_unknown_to_none() {
    let registry = Registry::new();
    registry.register::<Surfaces>().unwrap();
    let declared = registry.options("surfaces").unwrap();
    assert_eq!(declared.len(), 5);
    for Declared { name, default, .. } in declared {
        let default = default.unwrap();
        let opened = MODELS.map(|model| {
            let options = vec![(name.clone(), default.clone())];
            let request = OpenRequest { model: model.into(), options, ..OpenRequest::default() };
            let (refused, plain) = match registry.open("surfaces", &request, Arc::new(Pool::new(1))) {
                Err(error) => (error.to_string(), None),
                Ok(loss) => (String::new(), Some(loss.identity().unwrap())),
            };
            let useless =
                refused.ends_with(&format!("open: option {name:?} says nothing about this model: leave it out"));
            assert!(plain.is_some() || useless, "{model}: {refused}");
            // The default is what is taken without.
            let same = plain.as_ref().is_none_or(|told| *told == open(model, &[], Dtype::F64, 1).identity().unwrap());
            assert!(same, "{model}: {name} = {default}");
            plain.is_some()
        });
        assert!(opened.contains(&true) && opened.contains(&false), "{name}");
    }
}

/// Enough rows to wake other threads up.
fn starts(loss: &dyn Loss, rows: u64) -> Vec<f64> {
    (0..rows).flat_map(|seed| loss.start(seed).unwrap().unwrap()).collect()
}

#[test]
fn rows_have_the_same_bits_in_every_batch_and_on_every_thread() {
    for model in MODELS {
        let mut alone = open(model, &[], Dtype::F64, 1);
        let rows = 4200 / alone.info().params as u64;
        let (theta, dir) = (starts(&*alone, rows), starts(&*alone, rows + 1));
        let dir = &dir[alone.info().params..];
        let known = evaluated(&mut *alone, &theta, dir, 1);
        for threads in [1, 3] {
            let mut loss = open(model, &[], Dtype::F64, threads);
            assert!(evaluated(&mut *loss, &theta, dir, rows as usize) == known, "{model} on {threads} threads");
        }
    }
}

#[test]
fn single_precision_is_double_precision_rounded() {
    for model in MODELS {
        let (mut single, mut double) = (open(model, &[], Dtype::F32, 2), open(model, &[], Dtype::F64, 2));
        let p = single.info().params;
        // Points and directions that both types hold.
        let round = |x: Vec<f64>| x.into_iter().map(|x| f64::from(x as f32)).collect::<Vec<f64>>();
        let (theta, dir) = (round(starts(&*double, 50)), round(starts(&*double, 51)));
        let [losses, grads, products] = evaluated(&mut *single, &theta, &dir[p..], 50);
        let [known_losses, known_grads, known_products] = evaluated(&mut *double, &theta, &dir[p..], 50);
        assert_eq!(losses, known_losses, "{model}"); // Losses travel as f64.
        assert_eq!((grads, products), (round(known_grads), round(known_products)), "{model}");
    }
}

#[test]
fn points_without_a_number_spoil_no_other_row() {
    let mut loss = open("lennard-jones", &[("atoms", "2")], Dtype::F64, 1);
    // Two atoms on one spot, and two at their distance of rest.
    let theta = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0_f64.powf(1.0 / 6.0), 0.0, 0.0];
    let (mut losses, mut ok, cancel) = ([0.0; 2], [true; 2], &Cancel::default());
    loss.eval(Batch { theta: &theta, ids: None, loss: &mut losses, grad: None, hvp: None, ok: &mut ok, cancel })
        .unwrap();
    assert_eq!(ok, [false, true]);
    assert!((losses[1] + 1.0).abs() < 1e-15);
}

fn explored(model: &str, options: Options<'_>, starts: u64) -> Explored {
    let mut loss = open(model, options, Dtype::F64, 2);
    let mut oracle = Oracle::new(&mut *loss, None, &Cancel::default(), Budget::default()).unwrap();
    let plan = Plan { starts, ..Plan::default() };
    let found = explore(&mut oracle, &plan, Landscape::default(), &mut Unrecorded, &mut Silent).unwrap();
    assert_eq!(found.ended, Ended::Complete);
    found
}

/// The bars of what was found, and of what is known; by birth, then death.
fn bars(found: &Explored, model: &str, options: Options<'_>) -> [Vec<(f64, f64)>; 2] {
    let found = MergeTree::of(&found.landscape).barcode(found.noise);
    let targets = found.bars.iter().filter(|bar| !bar.is_transit());
    let found = targets.map(|bar| (bar.birth, bar.death().unwrap_or(f64::INFINITY))).collect();
    let known = surface(&mut Open::new(model, options)).unwrap().known().bars;
    [found, known].map(|mut bars: Vec<(f64, f64)>| {
        // Births of symmetric pairs are equal but for rounding.
        bars.sort_by(|a, b| ((a.0 * 1e9).round(), a.1).partial_cmp(&((b.0 * 1e9).round(), b.1)).unwrap());
        bars
    })
}

fn assert_known_bars(model: &str, options: Options<'_>, starts: u64) -> Explored {
    let explored = explored(model, options, starts);
    let [found, known] = bars(&explored, model, options);
    assert_eq!(found.len(), known.len(), "{model} {options:?}: {found:?}");
    for (a, b) in found.iter().zip(&known) {
        // The known ones are good to 1e-12; a gradient norm of 1e-8 leaves no more than that in a loss.
        assert!((a.0 - b.0).abs() < 1e-10 && (a.1 == b.1 || (a.1 - b.1).abs() < 1e-9), "{model}: {found:?}");
    }
    explored
}

#[test]
fn surfaces_have_their_known_barcodes() {
    assert_known_bars("six-hump-camel", &[], 64);
    assert_known_bars("rastrigin", &[("n", "1")], 96);
    assert_known_bars("rosenbrock", &[("n", "5")], 24);
}

#[test]
fn certificates_on_kinks_know_the_points_that_are_known() {
    for n in ["1", "2", "3", "6"] {
        let options: Options<'_> = &[("n", n)];
        let known = surface(&mut Open::new("kinked", options)).unwrap().known();
        let mut loss = open("kinked", options, Dtype::F64, 1);
        let mut oracle = Oracle::new(&mut *loss, None, &Cancel::default(), Budget::default()).unwrap();
        for point in &known.critical {
            let near: Vec<f64> = point.x.iter().zip(0..).map(|(x, i)| x + 1e-5 * f64::from(i + 1)).collect();
            let polished = polish(&mut oracle, &near, 1e-4, &Tangents::none()).unwrap().unwrap();
            let (found, at) = (&polished.certified.certificate, &point.x);
            let off = polished.theta.iter().zip(at).fold(0.0_f64, |most, (a, b)| most.max((a - b).abs()));
            assert!(off < 1e-12 && (found.loss - point.value).abs() < 1e-12, "{at:?}: {off} {found:?}");
            assert_eq!(found.index(), Some(point.index), "{at:?}: {found:?}");
            // Only the third coordinate's top is smooth.
            assert_eq!(found.negative, usize::from(at.get(2).is_some_and(|x| x + at[0].abs() == 0.0)), "{at:?}");
            assert_eq!(found.active[0], u64::from(at[0] != 0.0), "{at:?}: {:?}", found.active);
        }
    }
}

#[test]
fn small_clusters_have_their_known_barcodes_by_verified_saddles() {
    for (atoms, starts, minima) in [("2", 8, 1), ("4", 8, 1), ("5", 16, 1), ("6", 24, 2), ("7", 48, 4)] {
        let found = assert_known_bars("lennard-jones", &[("atoms", atoms)], starts);
        let symmetries = open("lennard-jones", &[("atoms", atoms)], Dtype::F64, 1).symmetries().unwrap();
        assert!(!Plan::default().alignment(&symmetries).is_trivial());
        assert_eq!(found.landscape.minima.iter().filter(|m| m.counts() && m.is_sampled()).count(), minima);
        // Three translations and three rotations; of two atoms only two turn anything.
        let tangents = if atoms == "2" { 5 } else { 6 };
        for minimum in found.landscape.minima.iter().filter(|m| m.counts()) {
            assert_eq!(minimum.evidence.projected, tangents);
            assert!(minimum.evidence.eigenvalues[0] > 1.0, "{:?}", minimum.evidence);
        }
        let barcode = MergeTree::of(&found.landscape).barcode(found.noise);
        let evidence = evidence(&found.landscape, &barcode.bars);
        for (bar, evidence) in barcode.bars.iter().zip(evidence).filter(|(bar, _)| bar.end.is_some()) {
            let evidence = evidence.unwrap();
            assert_eq!((bar.death_kind(), evidence.projected), (Some(DeathKind::VerifiedSaddle), 6));
            assert!(evidence.eigenvalues[0] < -1.0 && evidence.eigenvalues[1] > 1.0, "{evidence:?}");
        }
    }
}

#[test]
fn eight_atoms_have_their_lowest_passes_whatever_the_knots() {
    // In the order of births; 400 starts from ten seeds agree on them.
    const DEATHS: [f64; 7] = [-19.28124, -18.71055, -18.69471, -18.70753, -18.64583, -18.59664, -18.59735];
    let mut loss = open("lennard-jones", &[("atoms", "8")], Dtype::F64, 1);
    for knots in [&[3, 7, 15][..], &[3], &[5], &[9], &[15], &[31], &[100]] {
        let steps = knots.iter().map(|k| (10 * k).clamp(40, 400)).collect();
        let schedule = Schedule { knots: knots.to_vec(), steps, ..Schedule::default() };
        let plan = Plan { starts: 200, seed: 1, schedule, ..Plan::default() };
        let mut oracle = Oracle::new(&mut *loss, None, &Cancel::default(), Budget::default()).unwrap();
        let found = explore(&mut oracle, &plan, Landscape::default(), &mut Unrecorded, &mut Silent).unwrap();
        let barcode = MergeTree::of(&found.landscape).barcode(found.noise);
        let deaths: Vec<f64> =
            barcode.bars.iter().filter(|bar| !bar.is_transit()).filter_map(|bar| bar.death()).collect();
        let same = deaths.len() == DEATHS.len() && deaths.iter().zip(DEATHS).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(same, "{knots:?}: {deaths:?}");
    }
}

#[test]
fn copies_of_a_cluster_are_found_whatever_was_exchanged_turned_or_reflected() {
    let loss = open("lennard-jones", &[("atoms", "13")], Dtype::F64, 1);
    let alignment = Alignment::new(&loss.symmetries().unwrap());
    assert!(alignment.ignored().is_empty());
    for seed in 0..20 {
        let theta = loss.start(seed).unwrap().unwrap();
        // A quarter turn, a reflection, a shift and the list of atoms read backwards.
        let copy: Vec<f64> = theta.chunks(3).rev().flat_map(|p| [p[1] + 1.0, p[0] - 2.0, p[2]]).collect();
        let distance = alignment.distance(&theta, &copy);
        assert!(distance < 1e-12, "seed {seed}: {distance}");
    }
}
