//! Recipes of training end where torch.optim ends: `tests/recipes/make.py` has made the numbers.

mod closed_form;

use closed_form::closed_form;
use mountainpass::config::Config;
use mountainpass::explore::Way;
use mountainpass::loss::oracle::Oracle;
use mountainpass::run::{Budget, Cancel};
use mountainpass::search::training::train;

/// Of four parameters, with terms of every pair of neighbours.
fn quartic(x: &[f64], g: &mut [f64]) -> f64 {
    for (g, x) in g.iter_mut().zip(x) {
        *g = x * x * x - x;
    }
    g[0] += 0.3 * x[1];
    g[1] += 0.3 * x[0] + 0.2 * x[2] * x[2];
    g[2] += 0.4 * x[1] * x[2] - 0.1 * x[3];
    g[3] -= 0.1 * x[2];
    let wells: f64 = x.iter().map(|x| x.powi(4) / 4.0 - x * x / 2.0).sum();
    wells + 0.3 * x[0] * x[1] + 0.2 * x[1] * x[2] * x[2] - 0.1 * x[2] * x[3]
}

#[test]
fn every_optimiser_and_schedule_ends_where_torch_ends() {
    let lines: Vec<&str> = include_str!("recipes/torch.txt").lines().collect();
    assert_eq!(lines.len(), 39);
    for line in lines {
        let (keys, known) = line.split_once(" | ").unwrap();
        // Ten samples in fives are two steps an epoch; of this loss all samples are alike.
        let config = Config::parse_opened(&format!("[minima]\nrecipe = {{ epochs = 10, batch = 5, {keys} }}")).unwrap();
        let Way::Training(training) = config.plan.way else { panic!("{keys}") };
        let (mut loss, cancel) = (closed_form(4, None, quartic), Cancel::default());
        let mut oracle = Oracle::new(&mut loss, None, &cancel, Budget::default()).unwrap();
        let start = vec![1.9, -0.8, 0.3, -1.4];
        let trained = train(&mut oracle, start, &training, 1, |_, _| {}).unwrap();
        let known: Vec<f64> = known.split(' ').map(|x| x.parse().unwrap()).collect();
        assert!(trained.is_finite && known.len() == 4, "{line}");
        for (x, known) in trained.theta.iter().zip(&known) {
            // Twenty steps in another order of additions, and torch's schedules are multiplied from step to step.
            assert!((x - known).abs() < 1e-12, "{keys}: {:?}, torch {known:?}", trained.theta);
        }
    }
}
