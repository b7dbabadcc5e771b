//! Paths between the same two minima, by the published procedures and by this search, at equal gradients.
//!
//! `cargo bench --bench baselines`: digits, 64-8-10 tanh, l2 1e-3, ten pairs of minima, the second turned into the nearest
//! copy of the first. A climb is the highest value of the path (bracketed) above its higher end. First the search settles
//! the pair and its gradients are counted, Hessian products as gradients; every procedure then gets as many, at two
//! rates, the better of which is shown; and last the search gets a fifth. `-- 0-1 5-6 search` takes these pairs only, and
//! leaves the published procedures out.
//!
//! - AutoNEB (Draxler et al. 2018, arXiv 1803.00885): 14 cycles as in the public configuration for CIFAR, steps scaled to
//!   the budget; 3 pivots, up to 2 more a cycle where the line misses by a tenth; momentum 0.9; evenly spaced.
//! - Bezier (Garipov et al. 2018, arXiv 1802.10026): one bend, momentum 0.9 on the loss at uniform places.
//! - Halves (Barannikov et al., arXiv 2012.15834, their public code): 10 to 20 knots, from the gradient half of what lies
//!   along either neighbour taken off.

use mountainpass::explore::{Given, Plan, Silent, Way, explore};
use mountainpass::loss::oracle::Oracle;
use mountainpass::loss::{Loss, OpenRequest, Registry};
use mountainpass::machine::pool::Pool;
use mountainpass::run::{Budget, Cancel};
use mountainpass::search::align::Alignment;
use mountainpass::search::height::{Care, measure};
use mountainpass::search::polyline::Polyline;
use mountainpass::search::{Landscape, Minimum, Stage, Unrecorded};
use std::sync::Arc;

const RATES: [f64; 2] = [0.3, 0.03];
const PAIRS: [(usize, usize); 10] = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (0, 2), (1, 3), (2, 4)];

fn main() {
    let registry = Registry::default();
    registry.register::<mountainpass_faer::Faer>().expect("the name is free");
    let options = [("data", "digits"), ("l2", "1e-3")].map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let request = OpenRequest { model: "mlp:64-8-10:tanh".into(), options, ..OpenRequest::default() };
    let mut loss = registry.open("faer", &request, Arc::new(Pool::new(2))).expect("the loss opens");
    let minima = minima(&mut *loss);
    let symmetries = loss.symmetries().expect("symmetries");
    let alignment = Alignment::new(&symmetries);
    println!(
        "{:>5} {:>9} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "pair", "gradients", "search", "a fifth", "AutoNEB", "Bezier", "halves"
    );
    let asked: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_search = asked.iter().any(|word| word == "search");
    let named: Vec<&String> = asked.iter().filter(|word| *word != "search").collect();
    let is_asked = |(i, j): &(usize, usize)| named.is_empty() || named.contains(&&format!("{i}-{j}"));
    for (i, j) in PAIRS.into_iter().filter(is_asked) {
        let (a, b) = (&minima[i].theta, alignment.nearest(&minima[i].theta, &minima[j].theta));
        let (settled, gradients) = ours(&mut *loss, a, &b, None);
        let (fifth, _) = ours(&mut *loss, a, &b, Some(gradients / 5));
        print!("{i:>3}-{j} {gradients:>9} {settled:>10.2e} {fifth:>10.2e}");
        if !is_search {
            published(&mut *loss, a, &b, gradients);
        }
        println!();
    }
}

/// The climbs of the published procedures.
fn published(loss: &mut dyn Loss, a: &[f64], b: &[f64], gradients: u64) {
    let mut oracle = Oracle::new(loss, None, &Cancel::default(), Budget::default()).expect("an oracle");
    for procedure in [autoneb, bezier, halves] {
        let climbs = RATES.map(|rate| {
            let line = procedure(&mut oracle, a, b, rate, gradients);
            climb(&mut oracle, &line)
        });
        print!(" {:>10.2e}", climbs[0].min(climbs[1]));
    }
}

fn minima(loss: &mut dyn Loss) -> Vec<Minimum> {
    let plan = Plan { paths_budget: Budget { evaluations: Some(1), ..Budget::default() }, ..Plan::default() };
    let mut oracle = Oracle::new(loss, None, &Cancel::default(), Budget::default()).expect("an oracle");
    let found = explore(&mut oracle, &plan, Landscape::default(), &mut Unrecorded, &mut Silent).expect("minima");
    found.landscape.minima
}

/// The climb that the search finds between two points within a budget, and what it spent.
fn ours(loss: &mut dyn Loss, a: &[f64], b: &[f64], budget: Option<u64>) -> (f64, u64) {
    let given = [a, b].map(|theta| Given { name: "end".into(), theta: theta.to_vec(), metrics: Vec::new() }).to_vec();
    let plan = Plan {
        way: Way::Given(given),
        align: false,
        paths_budget: Budget { evaluations: budget, ..Budget::default() },
        ..Plan::default()
    };
    let mut oracle = Oracle::new(loss, None, &Cancel::default(), Budget::default()).expect("an oracle");
    let found = explore(&mut oracle, &plan, Landscape::default(), &mut Unrecorded, &mut Silent).expect("a landscape");
    let landscape = found.landscape;
    let ends = [landscape.minima[0].loss, landscape.minima[1].loss];
    let spent =
        landscape.evaluations.iter().find(|(stage, _)| *stage == Stage::Paths).map_or(0, |(_, tally)| tally.total());
    (minimax(&landscape) - ends[0].max(ends[1]), spent)
}

/// The height at which the first two minima are joined, over whatever paths.
fn minimax(landscape: &Landscape) -> f64 {
    let mut paths: Vec<_> = landscape.paths.iter().filter(|path| path.pass.height.is_finite()).collect();
    paths.sort_by(|a, b| (a.pass.height + a.pass.error).total_cmp(&(b.pass.height + b.pass.error)));
    let mut of: std::collections::HashMap<u64, u64> = landscape.minima.iter().map(|m| (m.cell, m.cell)).collect();
    for path in paths {
        let (from, to) = (of[&path.ends.0], of[&path.ends.1]);
        of.values_mut().filter(|cell| **cell == from).for_each(|cell| *cell = to);
        if of[&landscape.minima[0].cell] == of[&landscape.minima[1].cell] {
            return path.pass.height + path.pass.error;
        }
    }
    f64::INFINITY
}

fn climb(oracle: &mut Oracle<'_>, line: &Polyline) -> f64 {
    let measured = measure(oracle, line, Care::CLOSE).expect("a height");
    let loss = &measured.profile.loss;
    measured.height + measured.error - loss[0].max(loss[loss.len() - 1])
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn towards(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut unit: Vec<f64> = b.iter().zip(a).map(|(x, y)| x - y).collect();
    let length = dot(&unit, &unit).sqrt().max(f64::MIN_POSITIVE);
    unit.iter_mut().for_each(|x| *x /= length);
    unit
}

fn remove(gradient: &mut [f64], unit: &[f64], part: f64) {
    let along = part * dot(gradient, unit);
    gradient.iter_mut().zip(unit).for_each(|(g, u)| *g -= along * u);
}

/// So many steps, of this rate, with the knots spaced evenly before each or left where they are.
struct Descent {
    steps: u64,
    rate: f64,
    is_even: bool,
}

/// Knots that go down against forces of their own, with momentum; ends stay.
fn descend(
    oracle: &mut Oracle<'_>,
    line: &mut Polyline,
    Descent { steps, rate, is_even }: Descent,
    force: impl Fn(&Polyline, &[f64], usize, &mut [f64]),
) {
    let (p, n) = (line.params(), line.n());
    let mut speed = vec![0.0; (n - 2) * p];
    let ends = oracle.values(&[line.knot(0), line.knot(n - 1)].concat()).expect("values");
    for _ in 0..steps {
        if is_even {
            *line = line.respaced(n);
        }
        let (inner, mut gradients) = oracle.gradients(&line.knots()[p..(n - 1) * p]).expect("gradients");
        let losses: Vec<f64> = [&ends[..1], &inner, &ends[1..]].concat();
        for (i, gradient) in gradients.chunks_exact_mut(p).enumerate() {
            force(line, &losses, i + 1, gradient);
        }
        speed.iter_mut().zip(&gradients).for_each(|(v, g)| *v = 0.9 * *v + g);
        line.knots_mut()[p..(n - 1) * p].iter_mut().zip(&speed).for_each(|(x, v)| *x -= rate * v);
    }
}

/// Across the upwind tangent of Henkelman and Jonsson (2000).
fn across(line: &Polyline, losses: &[f64], i: usize, gradient: &mut [f64]) {
    let (back, ahead) = (towards(line.knot(i - 1), line.knot(i)), towards(line.knot(i), line.knot(i + 1)));
    let (down, up) = ((losses[i - 1] - losses[i]).abs(), (losses[i + 1] - losses[i]).abs());
    let tangent = match (losses[i - 1] < losses[i], losses[i] < losses[i + 1]) {
        (true, true) => ahead,
        (false, false) => back,
        _ => {
            let (large, small) = (down.max(up), down.min(up));
            let (w, v) = if losses[i + 1] > losses[i - 1] { (large, small) } else { (small, large) };
            let origin = vec![0.0; back.len()];
            towards(&origin, &ahead.iter().zip(&back).map(|(a, b)| w * a + v * b).collect::<Vec<f64>>())
        }
    };
    remove(gradient, &tangent, 1.0);
}

fn autoneb(oracle: &mut Oracle<'_>, a: &[f64], b: &[f64], rate: f64, gradients: u64) -> Polyline {
    let cycles: Vec<(u64, f64)> = [(4, 1000, 1.0), (2, 2000, 1.0), (4, 1000, 0.1), (4, 1000, 0.01)]
        .map(|(n, steps, part)| vec![(steps, part); n])
        .concat();
    // As if every cycle gained its two pivots.
    let cost: u64 = cycles.iter().zip(0..).map(|((steps, _), cycle)| steps * (3 + 2 * cycle)).sum();
    let mut line = Polyline::straight(a, b).respaced(5);
    for (cycle, (steps, part)) in cycles.into_iter().enumerate() {
        if cycle > 0 {
            line = inserted(oracle, &line);
        }
        descend(
            oracle,
            &mut line,
            Descent { steps: (steps * gradients / cost).max(1), rate: rate * part, is_even: true },
            across,
        );
    }
    line
}

/// One more pivot in each of the two segments whose values lie furthest above the line between their ends.
fn inserted(oracle: &mut Oracle<'_>, line: &Polyline) -> Polyline {
    const INSIDE: usize = 9;
    let p = line.params();
    let between = |i: usize, k: usize| {
        let u = k as f64 / (INSIDE + 1) as f64;
        line.knot(i).iter().zip(line.knot(i + 1)).map(|(a, b)| (1.0 - u) * a + u * b).collect::<Vec<f64>>()
    };
    let points: Vec<f64> =
        (0..line.n() - 1).flat_map(|i| (0..=INSIDE).flat_map(move |k| between(i, k)).collect::<Vec<f64>>()).collect();
    let mut losses = oracle.values(&points).expect("values");
    losses.extend(oracle.values(line.knot(line.n() - 1)).expect("a value"));
    let (low, high) = losses.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &x| (l.min(x), h.max(x)));
    let mut gaps: Vec<(f64, usize, usize)> = (0..line.n() - 1)
        .filter_map(|i| {
            let (from, to) = (losses[i * (INSIDE + 1)], losses[(i + 1) * (INSIDE + 1)]);
            let off = |k: usize| {
                let u = k as f64 / (INSIDE + 1) as f64;
                (losses[i * (INSIDE + 1) + k] - (1.0 - u) * from - u * to) / (high - low)
            };
            (1..=INSIDE).map(|k| (off(k), i, k)).max_by(|a, b| a.0.total_cmp(&b.0))
        })
        .collect();
    gaps.sort_by(|a, b| b.0.total_cmp(&a.0));
    gaps.truncate(2);
    gaps.retain(|gap| gap.0 > 0.1);
    let mut knots = Vec::new();
    for i in 0..line.n() {
        knots.extend_from_slice(line.knot(i));
        if let Some(&(_, _, k)) = gaps.iter().find(|gap| gap.1 == i) {
            knots.extend(between(i, k));
        }
    }
    Polyline::new(knots, p)
}

fn bezier(oracle: &mut Oracle<'_>, a: &[f64], b: &[f64], rate: f64, gradients: u64) -> Polyline {
    let mut bend: Vec<f64> = a.iter().zip(b).map(|(x, y)| 0.5 * (x + y)).collect();
    let at = |bend: &[f64], t: f64| -> Vec<f64> {
        let (u, v, w) = ((1.0 - t) * (1.0 - t), 2.0 * t * (1.0 - t), t * t);
        a.iter().zip(b).zip(bend).map(|((x, y), m)| u * x + v * m + w * y).collect()
    };
    let mut speed = vec![0.0; bend.len()];
    // The golden ratio's multiples are as uniform as a generator, and need none.
    for k in 0..gradients {
        let t = (0.618_033_988_749_895 * (k + 1) as f64).fract();
        let (_, gradient) = oracle.gradients(&at(&bend, t)).expect("a gradient");
        let part = 2.0 * t * (1.0 - t);
        speed.iter_mut().zip(&gradient).for_each(|(v, g)| *v = 0.9 * *v + part * g);
        bend.iter_mut().zip(&speed).for_each(|(x, v)| *x -= rate * v);
    }
    let points: Vec<f64> = (0..=60).flat_map(|i| at(&bend, f64::from(i) / 60.0)).collect();
    Polyline::new(points, a.len())
}

fn halves(oracle: &mut Oracle<'_>, a: &[f64], b: &[f64], rate: f64, gradients: u64) -> Polyline {
    let half = |line: &Polyline, _: &[f64], i: usize, gradient: &mut [f64]| {
        let (back, ahead) = (towards(line.knot(i), line.knot(i - 1)), towards(line.knot(i), line.knot(i + 1)));
        let whole = gradient.to_vec();
        let parts = [&back, &ahead].map(|unit| 0.5 * dot(&whole, unit));
        gradient.iter_mut().zip(back.iter().zip(&ahead)).for_each(|(g, (x, y))| *g -= parts[0] * x + parts[1] * y);
    };
    // Ten knots, and two more five times over.
    let mut line = Polyline::straight(a, b).respaced(12);
    for _ in 0..6 {
        let inner = (line.n() - 2) as u64;
        descend(oracle, &mut line, Descent { steps: gradients / 6 / inner, rate, is_even: false }, half);
        if line.n() < 22 {
            line = midpoints(oracle, &line);
        }
    }
    line
}

/// Midpoints in the two segments with the highest values inside.
fn midpoints(oracle: &mut Oracle<'_>, line: &Polyline) -> Polyline {
    let middle = |i: usize| line.knot(i).iter().zip(line.knot(i + 1)).map(|(a, b)| 0.5 * (a + b)).collect::<Vec<f64>>();
    let losses = oracle.values(&(0..line.n() - 1).flat_map(middle).collect::<Vec<f64>>()).expect("values");
    let mut order: Vec<usize> = (0..losses.len()).collect();
    order.sort_by(|&a, &b| losses[b].total_cmp(&losses[a]));
    let mut knots = Vec::new();
    for i in 0..line.n() {
        knots.extend_from_slice(line.knot(i));
        if order[..2].contains(&i) {
            knots.extend(middle(i));
        }
    }
    Polyline::new(knots, line.params())
}
