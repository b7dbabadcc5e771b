//! Continuous symmetries that a loss has and does not declare: found by the directions without curvature that they leave.

mod closed_form;

use closed_form::ClosedForm;
use mountainpass::explore::{Explored, Plan, Silent, explore};
use mountainpass::loss::oracle::Oracle;
use mountainpass::run::{Budget, Cancel};
use mountainpass::search::{Descent, Landscape, Path, Unrecorded};

/// Atoms that know nothing of being alike, or of rigid motions.
fn lennard_jones(x: &[f64], g: &mut [f64]) -> f64 {
    let mut energy = 0.0;
    g.fill(0.0);
    for i in (0..x.len()).step_by(3) {
        for j in (0..i).step_by(3) {
            let d = [0, 1, 2].map(|k| x[i + k] - x[j + k]);
            let inverse = 1.0 / d.iter().map(|d| d * d).sum::<f64>();
            let cubed = inverse.powi(3);
            energy += 4.0 * (cubed * cubed - cubed);
            let slope = 8.0 * inverse * cubed * (3.0 - 6.0 * cubed);
            for k in 0..3 {
                g[i + k] += slope * d[k];
                g[j + k] -= slope * d[k];
            }
        }
    }
    energy
}

fn explored(atoms: usize, plan: &Plan) -> Explored {
    let mut loss = ClosedForm::new(3 * atoms, None, lennard_jones);
    let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).unwrap();
    explore(&mut oracle, plan, Landscape::default(), &mut Unrecorded, &mut Silent).unwrap()
}

fn minima(found: &Explored) -> Vec<f64> {
    let minima = found.landscape.minima.iter().filter(|m| m.counts() && m.descent == Descent::Converged);
    minima.map(|m| m.loss).collect()
}

#[test]
fn four_atoms_that_turn_freely_have_two_minima_and_one_pass() {
    // The two are mirror images, for atoms are told apart: no rotation leads from one to the other. Between them lies the
    // rhombus, 0.927 above. (Without a look at motions there were a thousand minima, and ten million evaluations.)
    let found = explored(4, &Plan { starts: 16, seed: 1, ..Plan::default() });
    assert_eq!(minima(&found).len(), 2, "{:?}", minima(&found));
    assert!(minima(&found).iter().all(|loss| (loss + 6.0).abs() < 1e-9));
    let bar = |path: &&Path| path.is_listed() && (path.pass.height + 5.0734).abs() < 1e-3;
    let saddle = found.landscape.paths.iter().find(bar).and_then(|path| path.pass.evidence.clone()).unwrap();
    assert_eq!((saddle.negative(), saddle.undecided(), saddle.projected), (1, 6, 0));
    let spent: u64 = found.landscape.evaluations.iter().map(|(_, tally)| tally.total()).sum();
    assert!(spent < 200_000, "{spent}");
}
