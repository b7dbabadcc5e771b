//! Hidden units that are split or collapsed, on networks small enough to know what the answer is.

use super::super::domain::Domain;
use super::super::kinked::{Certificate, Doubt};
use super::super::landscape::Descent;
use super::super::minima::Recipe;
use super::super::tangents::Tangents;
use super::slide::slide;
use super::small::settle;
use super::{certify, minimum};
use crate::loss::oracle::Oracle;
use crate::loss::{Elements, Loss, NamedArray, OpenRequest, Registry};
use crate::machine::pool::Pool;
use crate::run::{Budget, Cancel};
use std::sync::Arc;

const X: [f64; 6] = [-1.0, -0.6, -0.2, 0.3, 0.7, 1.1];

/// y(x) learnt by `units` relu units, a penalty on every weight.
fn network(units: usize, y: [f64; 6], l2: &str) -> Box<dyn Loss> {
    let registry = Registry::new();
    registry.register::<mountainpass_faer::Faer>().unwrap();
    let array = |name, values| NamedArray { name, shape: &[6, 1], values: Elements::F64(values) };
    let request = OpenRequest {
        model: format!("mlp:1-{units}-1:relu"),
        options: [("objective", "mse"), ("l2", l2)].map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        data: vec![array("x", &X), array("y", &y)],
        ..OpenRequest::default()
    };
    registry.open("faer", &request, Arc::new(Pool::new(1))).unwrap()
}

/// (w, b, v) of every unit and the last bias, as the network has them.
fn theta(units: &[[f64; 3]], last: f64) -> Vec<f64> {
    let part = |k: usize| units.iter().map(move |unit| unit[k]);
    (0..3).flat_map(part).chain([last]).collect()
}

/// The certified minimum of one unit, as (w, b, v) and the last bias.
fn one_unit(y: [f64; 6], l2: &str) -> ([f64; 3], f64) {
    let mut loss = network(1, y, l2);
    let mut oracle = Oracle::new(&mut *loss, None, &Cancel::default(), Budget::default()).unwrap();
    let domain = Domain::new(None, &[], 4, None, 2.0);
    let start = vec![vec![1.0, 0.1, 1.0, 0.0]];
    let (ends, stop) = minimum::descend(&mut oracle, start, &Recipe::POLISH, &domain, |_, _| {});
    stop.unwrap();
    let end = ends.into_iter().flatten().next().unwrap();
    assert_eq!(end.descent, Descent::Converged);
    ([end.theta[0], end.theta[1], end.theta[2]], end.theta[3])
}

fn certified(loss: &mut dyn Loss, theta: &[f64], symmetry: &Tangents) -> Certificate {
    let mut oracle = Oracle::new(loss, None, &Cancel::default(), Budget::default()).unwrap();
    certify(&mut oracle, theta, &[], symmetry, 1e-3).unwrap().certificate
}

/// Steep on the right, so that no sample is at the edge of the unit.
const RAMP: [f64; 6] = [0.0, 0.0, 0.1, 0.9, 1.7, 2.5];

#[test]
fn units_of_one_direction_leave_their_arc_out() {
    let (unit, last) = one_unit(RAMP, "1e-2");
    let split = |phi: f64| theta(&[unit.map(|x| phi.cos() * x), unit.map(|x| phi.sin() * x)], last);
    let mut loss = network(2, RAMP, "1e-2");
    let symmetry = Tangents::new(&loss.symmetries().unwrap());
    for phi in [0.3, 0.8, 1.2] {
        let seen = certified(&mut *loss, &split(phi), &symmetry);
        assert_eq!((seen.index(), seen.split_units), (Some(0), 1), "{seen:?}");
        // Without the arc an eigenvalue is zero.
        let flat = certified(&mut *loss, &split(phi), &Tangents::none());
        assert_eq!((flat.index(), flat.split_units, flat.doubts.contains(&Doubt::Flat)), (None, 0, true), "{flat:?}");
    }
    // Units that are no more than near one another are none.
    let [w, b, v] = unit.map(|x| 0.8 * x);
    let bent = theta(&[unit.map(|x| 0.6 * x), [w, b + 1e-3, v]], last);
    assert_eq!(certified(&mut *loss, &bent, &symmetry).split_units, 0);
}

#[test]
fn a_unit_on_its_way_to_nothing_grows_where_that_pays_and_shares_the_work_of_another_where_not() {
    // One unit cannot do both arms; of a line no second unit does more.
    let both = [1.0, 0.6, 0.2, 0.3, 0.7, 1.1];
    let line = X.map(|x| 1.5 + x);
    for (y, grows) in [(both, true), (line, false)] {
        let (unit, last) = one_unit(y, "1e-2");
        let mut loss = network(2, y, "1e-2");
        let symmetry = Tangents::new(&loss.symmetries().unwrap());
        let mut oracle = Oracle::new(&mut *loss, None, &Cancel::default(), Budget::default()).unwrap();
        for small in [0.0, 1e-3] {
            let bare = oracle.values(&theta(&[unit, [0.0; 3]], last)).unwrap()[0];
            let mut point = theta(&[unit, [small, -small, small]], last);
            assert!(settle(&mut oracle, &mut point, &symmetry).unwrap());
            let loss = oracle.values(&point).unwrap()[0];
            match grows {
                true => assert!(loss < bare - 1e-4, "{loss} {bare}"),
                false => {
                    assert!((loss - bare).abs() < 1e-15, "{loss} {bare}");
                    let seen = slide(&mut oracle, &point, 1e-5, &symmetry).unwrap().unwrap().certified.certificate;
                    assert_eq!((seen.index(), seen.split_units), (Some(0), 1), "{seen:?}");
                }
            }
        }
    }
}
