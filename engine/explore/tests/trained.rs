//! Claims about points that were given, or trained.

use crate::explore::{Ended, Explored, Given, MergeTree, Plan, Silent, Way, explore};
use crate::loss::closed_form::{ClosedForm, three_hump_camel};
use crate::loss::oracle::Oracle;
use crate::run::{Budget, Cancel};
use crate::search::training::Training;
use crate::search::training::schedule::Schedule;
use crate::search::vector::norm;
use crate::search::{Descent, Finding, Journal, Landscape, Metric, Minimum, Origin, Unrecorded};

const SIDE: [f64; 2] = [-1.74755, 0.87378]; // A minimum, as far as six digits name it.

fn explored(plan: &Plan, known: Landscape, evaluations: Option<u64>) -> Explored {
    kept(plan, known, evaluations, &mut Unrecorded)
}

fn kept(plan: &Plan, known: Landscape, evaluations: Option<u64>, journal: &mut dyn Journal) -> Explored {
    let mut loss = ClosedForm::new(2, None, three_hump_camel);
    loss.start = Some(vec![1.9, -0.8]);
    let budget = Budget { evaluations, seconds: None };
    let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), budget).unwrap();
    explore(&mut oracle, plan, known, journal, &mut Silent).unwrap()
}

fn given(polish: bool) -> Plan {
    let point = |name: &str, theta: [f64; 2]| Given { name: name.into(), theta: theta.to_vec(), ..Given::default() };
    Plan {
        way: Way::Given(vec![point("deep", [0.0; 2]), point("side", SIDE), point("off", [1.7, -0.9])]),
        polish,
        ..Plan::default()
    }
}

fn ends(minima: &[Minimum]) -> Vec<(&Origin, Descent)> {
    minima.iter().filter(|m| m.is_sampled()).map(|m| (&m.origin, m.descent)).collect()
}

#[test]
fn what_is_given_stands_where_it_was_and_is_flagged_if_it_is_no_minimum() {
    let plan = given(false);
    let found = explored(&plan, Landscape::default(), None).landscape;
    let sampled: Vec<&Minimum> = found.minima.iter().filter(|m| m.is_sampled()).collect();
    for ((m, given), index) in sampled.iter().zip(plan.given()).zip(0..) {
        assert_eq!(m.origin, Origin::Given { index, name: given.name.clone() });
        assert_eq!((&m.theta, m.evaluations), (&given.theta, 1));
        assert!(m.metrics.is_empty() && m.counts());
    }
    let descents: Vec<Descent> = sampled.iter().map(|m| m.descent).collect();
    assert_eq!(descents, [Descent::Converged, Descent::Unconverged, Descent::Unconverged]);
}

/// Every minimum as it was put, in order.
#[derive(Default)]
struct Put(Vec<Minimum>);

impl Journal for Put {
    fn commit(&mut self, findings: &[Finding<'_>]) -> crate::Result<()> {
        self.0.extend(findings.iter().filter_map(|finding| match finding {
            Finding::Minimum(m) => Some((*m).clone()),
            _ => None,
        }));
        Ok(())
    }
}

#[test]
#[cfg(feature = "dense")]
fn a_point_is_kept_before_its_spectrum_and_one_on_a_slope_has_none() {
    let (plan, mut put) = (given(false), Put::default());
    let whole = kept(&plan, Landscape::default(), None, &mut put).landscape;
    let told: Vec<(u64, bool)> = put.0.iter().map(|m| (m.cell, m.evidence.spectrum.is_some())).collect();
    assert_eq!(told[..4], [(0, false), (0, true), (1, false), (2, false)]);
    // Stopped between the two.
    let known = Landscape { minima: vec![put.0[0].clone()], ..Landscape::default() };
    assert_eq!(explored(&plan, known, None).landscape.minima, whole.minima);
}

#[test]
fn polished_it_keeps_what_it_was_beside() {
    let plan = given(true);
    let found = explored(&plan, Landscape::default(), None).landscape;
    let sampled: Vec<&Minimum> = found.minima.iter().filter(|m| m.is_sampled()).collect();
    assert!(sampled.iter().all(|m| m.descent == Descent::Converged));
    assert_eq!(sampled[0].theta, [0.0; 2]);
    for (m, given) in sampled.iter().zip(plan.given()) {
        let mut gradient = [0.0; 2];
        let loss = three_hump_camel(&given.theta, &mut gradient);
        let known = [(Metric::LossBefore, loss), (Metric::GradientBefore, norm(&gradient))];
        assert_eq!(m.metrics, known);
        assert!(m.loss <= loss);
    }
    assert!((sampled[2].loss - 0.2986384422).abs() < 1e-10); // The digits known.
}

#[test]
fn a_point_above_its_minimum_keeps_its_bar() {
    let Explored { landscape, noise, .. } = explored(&given(false), Landscape::default(), None);
    let barcode = MergeTree::of(&landscape).barcode(noise);
    // From (1.7, -0.9) up to the pass at 0.8773615578, as from the other side.
    let mut bars: Vec<(f64, f64)> = barcode.bars.iter().filter_map(|bar| Some((bar.birth, bar.death()?))).collect();
    bars.sort_by(|a, b| a.0.total_cmp(&b.0));
    let births = [SIDE, [1.7, -0.9]].map(|point| three_hump_camel(&point, &mut [0.0; 2]));
    assert_eq!(bars.iter().map(|bar| bar.0).collect::<Vec<_>>(), births);
    assert!(bars.iter().all(|bar| (bar.1 - 0.8773615578).abs() < 1e-8), "{bars:?}"); // The schedule's precision.
    assert!(landscape.minima.iter().all(Minimum::is_sampled));
}

#[test]
fn a_stop_anywhere_changes_nothing_in_the_end() {
    let training = Training::with_momentum(40, 3, 0.5, Schedule::Straight(vec![(0.0, 0.02), (40.0, 0.01)]));
    let trained = Plan { starts: 3, way: Way::Training(training), polish: true, ..Plan::default() };
    for (plan, stops) in [(given(true), [1, 5, 30]), (trained, [20, 70, 110])] {
        let whole = explored(&plan, Landscape::default(), None);
        assert_eq!(whole.ended, Ended::Complete);
        for most in stops {
            let part = explored(&plan, Landscape::default(), Some(most));
            assert_eq!(part.ended, Ended::Budget, "{most}");
            let rest = explored(&plan, part.landscape, None);
            assert_eq!(rest.landscape.minima, whole.landscape.minima, "{most}");
        }
    }
}

#[test]
fn a_start_is_trained_the_same_whatever_else_is() {
    let training = Training::with_momentum(20, 4, 0.9, Schedule::constant(1e-3));
    let plan = |seed, starts| Plan { seed, starts, way: Way::Training(training.clone()), ..Plan::default() };
    let many = explored(&plan(3, 4), Landscape::default(), None).landscape;
    let one = explored(&plan(5, 1), Landscape::default(), None).landscape;
    assert_eq!(ends(&many.minima).len(), 4);
    assert_eq!(many.minima[2].theta, one.minima[0].theta);
    assert_eq!((one.minima[0].descent, one.minima[0].evaluations), (Descent::Unconverged, 21));
}

#[test]
fn what_no_loss_can_take_is_refused_before_anything_is_computed() {
    let mut loss = ClosedForm::new(2, None, three_hump_camel);
    let mut fault = |plan: &Plan| {
        let fault = plan.check(&loss).unwrap_err().to_string();
        loss.info.samples = 0;
        fault
    };
    let point = |theta: Vec<f64>| Plan {
        way: Way::Given(vec![Given { name: "a.npy".into(), theta, ..Given::default() }]),
        ..Plan::default()
    };
    assert_eq!(fault(&point(vec![1.0])), "a.npy: 1 values; the loss has 2 parameters");
    assert_eq!(fault(&point(vec![1.0, f64::NAN])), "a.npy: value 1 is NaN: no point of the loss");
    assert_eq!(
        fault(&Plan { way: Way::Training(Training::annealed()), ..Plan::default() }),
        "closed form: has no samples, and a recipe of minibatches needs them: leave it out"
    );
}
