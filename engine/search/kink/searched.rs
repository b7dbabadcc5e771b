//! What the searches find of random functions, all of whose critical points were enumerated.

use super::super::critical::Near;
use super::super::domain::Domain;
use super::super::kinked::Certificate;
use super::super::landscape::Descent;
use super::super::minima::Recipe;
use super::super::tangents::Tangents;
use super::super::vector::{axpy, distance};
use super::edges::Edges;
use super::random::{critical, oracle, random};
use super::{minimum, pass};

fn of_index(points: &[(Vec<f64>, Certificate)], index: usize) -> Vec<&(Vec<f64>, Certificate)> {
    points.iter().filter(|(_, certificate)| certificate.index() == Some(index)).collect()
}

#[test]
fn descents_end_in_certified_minima_that_were_enumerated() {
    let (mut asked, mut converged) = (0, 0);
    for seed in 0..60 {
        let mut loss = random(seed);
        let (points, undecided) = critical(&mut loss);
        if undecided > 0 {
            continue;
        }
        let mut oracle = oracle(&mut loss);
        let domain = Domain::new(None, &[], oracle.params(), None, 2.0);
        let starts = [-1.5, 0.3, 1.1].map(|x| (0..oracle.params()).map(|i| x + 0.2 * i as f64).collect()).into();
        let (ends, stop) = minimum::descend(&mut oracle, starts, &Recipe::POLISH, &domain, |_, _| {});
        stop.unwrap();
        for end in ends.into_iter().flatten() {
            asked += 1;
            if end.descent == Descent::Converged {
                converged += 1;
                let known = of_index(&points, 0).iter().any(|(theta, _)| distance(theta, &end.theta) < 1e-7);
                assert!(known && end.evidence.kinks.is_some(), "seed {seed}: {:?}", end.theta);
            }
        }
    }
    assert!(asked > 150 && converged * 100 >= 95 * asked, "{converged} of {asked}");
}

#[test]
fn a_point_that_is_to_stand_is_not_moved() {
    for seed in 0..20 {
        let mut loss = random(seed);
        let (points, _) = critical(&mut loss);
        let mut oracle = oracle(&mut loss);
        let domain = Domain::new(None, &[], oracle.params(), None, 2.0);
        for (theta, _) in of_index(&points, 0) {
            let beside: Vec<f64> = theta.iter().map(|x| x + 1e-5).collect();
            let points = vec![theta.clone(), beside.clone()];
            let recipe = Recipe::POLISH.standing();
            let (ends, stop) = minimum::descend(&mut oracle, points, &recipe, &domain, |_, _| {});
            stop.unwrap();
            let ends: Vec<_> = ends.into_iter().flatten().collect();
            assert_eq!([&ends[0].theta, &ends[1].theta], [theta, &beside]);
            assert_eq!([ends[0].descent, ends[1].descent], [Descent::Converged, Descent::Unconverged], "seed {seed}");
        }
    }
}

#[test]
fn ways_down_from_points_of_index_one_fall_on_either_side() {
    let (mut on_kinks, mut inverted) = (0, 0);
    for seed in 0..60 {
        let mut loss = random(seed);
        let (points, _) = critical(&mut loss);
        let mut oracle = oracle(&mut loss);
        for (theta, certificate) in of_index(&points, 1) {
            let edges = Edges::of(&mut oracle, theta, certificate).unwrap();
            let Some(mode) = edges.across() else { continue };
            (on_kinks, inverted) = (on_kinks + 1, inverted + certificate.inverted.len());
            let top = oracle.values(theta).unwrap()[0];
            for length in [0.2, -0.2] {
                let way = edges.clone().down(&mut oracle, (theta, top), &mode, length).unwrap();
                let losses = oracle.values(&way).unwrap();
                let falls = std::iter::once(&top).chain(&losses).zip(&losses).all(|(before, after)| after < before);
                assert!(falls, "seed {seed}: {top} {losses:?}");
            }
        }
    }
    assert!(on_kinks > 50 && on_kinks == inverted, "{on_kinks} {inverted}");
}

#[test]
fn passes_found_from_nearby_are_points_of_index_one_that_were_enumerated() {
    let (mut asked, mut found) = (0, 0);
    for seed in 0..60 {
        let mut loss = random(seed);
        let (points, undecided) = critical(&mut loss);
        if undecided > 0 {
            continue;
        }
        let mut oracle = oracle(&mut loss);
        for (theta, certificate) in of_index(&points, 1) {
            let Some(mode) = Edges::of(&mut oracle, theta, certificate).unwrap().across() else { continue };
            let mut top = theta.clone();
            axpy(&mut top, 0.02, &mode);
            let near = Near { top: &top, along: &mode, reach: 0.2, tolerance: 1e-9, null: 0 };
            asked += 1;
            if let Ok(saddle) = pass::find(&mut oracle, &Tangents::none(), near, 0.1).unwrap() {
                found += 1;
                let known = of_index(&points, 1).iter().any(|(theta, _)| distance(theta, &saddle.theta) < 1e-7);
                assert!(known && saddle.evidence.kinks.is_some(), "seed {seed}: {:?}", saddle.theta);
            }
        }
    }
    eprintln!("{found} of {asked}");
    assert!(asked > 50 && found * 2 >= asked, "{found} of {asked}");
}
