//! The known faults of the published code (docs/decisions.md#trained-minima), each shown to be absent.
//!
//! Losses are closed forms; what is claimed is checked against a second way to the same number: dense scans, a grid
//! with a union-find, or the old rule itself.

mod closed_form;

use closed_form::{ClosedForm, DEEP, Function, HIGH, MIDDLE, closed_form, double_well, horseshoe, mueller_brown};
use mountainpass::config::Config;
use mountainpass::explore::{Ended, Explored, MergeTree, Plan, Silent, evidence, explore};
use mountainpass::loss::oracle::Oracle;
use mountainpass::loss::{Batch, Info, Loss, Symmetry, SymmetryKind};
use mountainpass::persistence::DeathKind;
use mountainpass::run::{Budget, Cancel};
use mountainpass::search::align::Alignment;
use mountainpass::search::connect::{self, Ids, Schedule};
use mountainpass::search::height::{Care, measure};
use mountainpass::search::minima::Recipe;
use mountainpass::search::path::{Relax, relax};
use mountainpass::search::polyline::Polyline;
use mountainpass::search::{
    CellId, Descent, Evidence, Landscape, Minimum, Origin, Path, PathState, Spectrum, Unrecorded,
};
use mountainpass::store::Space;
use mountainpass::union_find::UnionFind;

fn oracle(loss: &mut ClosedForm) -> Oracle<'_> {
    Oracle::new(loss, None, &Cancel::default(), Budget::default()).unwrap()
}

fn explored(loss: &mut ClosedForm, plan: &Plan) -> Explored {
    explore(&mut oracle(loss), plan, Landscape::default(), &mut Unrecorded, &mut Silent).unwrap()
}

/// A minimum known beforehand.
fn known(cell: CellId, theta: &[f64], f: Function) -> Minimum {
    Minimum {
        cell,
        origin: Origin::Start { seed: cell },
        descent: Descent::Converged,
        theta: theta.to_vec(),
        loss: f(theta, &mut vec![0.0; theta.len()]),
        evidence: Evidence::default(),
        same_as: None,
        metrics: Vec::new(),
        evaluations: 0,
    }
}

/// Lengths of the segments of a polyline, and the cosines of its turns.
fn segments(line: &Polyline) -> (Vec<f64>, Vec<f64>) {
    let steps: Vec<Vec<f64>> =
        (1..line.n()).map(|i| line.knot(i).iter().zip(line.knot(i - 1)).map(|(a, b)| a - b).collect()).collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let lengths: Vec<f64> = steps.iter().map(|s| dot(s, s).sqrt()).collect();
    let turns = (1..steps.len()).map(|i| dot(&steps[i - 1], &steps[i]) / (lengths[i - 1] * lengths[i])).collect();
    (lengths, turns)
}

/// The old rule, g - (<g, t-> t- + <g, t+> t+) / 2 with unit vectors to both neighbours, is no projection at a bend.
#[test]
fn a_gradient_along_the_band_moves_no_knot_at_a_corner() {
    // The gradient at the corner is (1, 1), along its bisector; both neighbours are equally high.
    fn f(x: &[f64], g: &mut [f64]) -> f64 {
        (g[0], g[1]) = (1.0 - 2.0 * x[0], 1.0 - 6.0 * x[1]);
        x[0] + x[1] - x[0] * x[0] - 3.0 * x[1] * x[1]
    }
    let (back, corner, ahead) = ([-1.0, 0.0], [0.0, 0.0], [0.0, 1.0]);
    let mut g = [0.0; 2];
    assert_eq!((f(&back, &mut g), f(&ahead, &mut g), f(&corner, &mut g), g), (-2.0, -2.0, 0.0, [1.0, 1.0]));
    let old: Vec<f64> =
        (0..2).map(|k| g[k] - 0.5 * ((g[0] * back[0]) * back[k] + (g[1] * ahead[1]) * ahead[k])).collect();
    assert_eq!(old, [0.5, 0.5]);

    let mut loss = closed_form(2, None, f);
    let line = Polyline::new([back, corner, ahead].concat(), 2);
    let how = Relax::whole(1, 1);
    let relaxed = relax(&mut oracle(&mut loss), &line, how).unwrap().last;
    assert!(relaxed.knot(1).iter().all(|x| x.abs() < 1e-15), "{:?}", relaxed.knot(1)); // A rounding of a unit vector.
}

#[test]
fn knots_stay_evenly_spaced_and_one_of_them_on_the_pass() {
    let mut loss = closed_form(2, None, mueller_brown);
    let mut line = Polyline::straight(&DEEP, &MIDDLE);
    for knots in [3, 7, 15, 31] {
        let how = Relax { tolerance: 1e-5, ..Relax::whole(knots, 200) };
        line = relax(&mut oracle(&mut loss), &line, how).unwrap().last;
        let (lengths, turns) = segments(&line);
        let (short, long) = lengths.iter().fold((f64::MAX, 0.0), |(a, b): (f64, f64), &l| (a.min(l), b.max(l)));
        // Even along the curve; chords across a bend are a little shorter.
        assert!(long < 1.3 * short, "{knots} knots: segments from {short} to {long}");
        assert!(turns.iter().all(|&cosine| cosine > 0.0), "{knots} knots: folded, {turns:?}");
    }
    let value = |x: &[f64]| mueller_brown(x, &mut [0.0; 2]);
    let top = line.knots().chunks(2).map(value).fold(f64::MIN, f64::max);
    // Knots that slide into the basins leave the pass uncovered and cut the barrier; 31 knots see it to a few units
    // of the 106 that it rises above the deep minimum.
    assert!((top - HIGH).abs() < 3.0, "the highest knot is at {top}");
}

#[test]
fn refining_a_path_never_folds_it_back() {
    let mut loss = closed_form(2, None, mueller_brown);
    let (a, b) = (known(0, &DEEP, mueller_brown), known(1, &MIDDLE, mueller_brown));
    let schedule = Schedule { tolerance: 1e-9, ..Schedule::default() };
    let ids = Ids { path: 0, cell: 2 };
    let mut path = connect::straight(&mut oracle(&mut loss), &a, &b, &Alignment::none(), ids).unwrap();
    let mut bound = path.pass.height + path.pass.error;
    while path.state != PathState::Converged && path.visits < schedule.visits {
        path = connect::visit(&mut oracle(&mut loss), &path, &schedule).unwrap();
        let line = Polyline::new(path.knots.clone(), 2);
        let (lengths, turns) = segments(&line);
        assert!(lengths.iter().all(|&l| l > 0.0), "visit {}: knots on one another", path.visits);
        // BarcodesDNN's midpoints went into the wrong segments, which turns a path by 180 degrees. Where a relaxed window
        // joins the rest of its path there is an angle too, but not such a one.
        let sharpest = turns.iter().copied().fold(1.0, f64::min);
        assert!(sharpest > -0.7, "visit {}: a turn with cosine {sharpest}", path.visits);
        let knot_arcs = line.arcs();
        assert!(knot_arcs.is_sorted() && path.profile.arc.is_sorted());
        assert_eq!((line.knot(0), line.knot(line.n() - 1)), (&DEEP[..], &MIDDLE[..]));
        let now = path.pass.height + path.pass.error;
        assert!(now <= bound, "visit {} raised the bound from {bound} to {now}", path.visits);
        bound = now;
    }
    assert!((path.pass.height - HIGH).abs() < 1e-6, "{} after {} visits", path.pass.height, path.visits);
}

/// Deaths of degree 0 on a grid over a square with 8 neighbours: birth and death of every finite bar longer than
/// `least`. An algorithm and a discretisation of their own; values are off by about the square of the spacing.
fn grid_bars(f: Function, [low, high]: [f64; 2], n: usize, least: f64) -> Vec<(f64, f64)> {
    let at = |i: usize| low + (high - low) * i as f64 / (n - 1) as f64;
    let values: Vec<f64> = (0..n * n).map(|v| f(&[at(v / n), at(v % n)], &mut [0.0; 2])).collect();
    let mut by_age: Vec<usize> = (0..n * n).collect();
    by_age.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut age = vec![u32::MAX; n * n];
    let (mut components, mut bars) = (UnionFind::new(n * n), Vec::new());
    for (rank, &v) in by_age.iter().enumerate() {
        age[v] = rank as u32;
        for i in (v / n).saturating_sub(1)..=(v / n + 1).min(n - 1) {
            for j in (v % n).saturating_sub(1)..=(v % n + 1).min(n - 1) {
                let other = age[i * n + j];
                if other == u32::MAX {
                    continue;
                }
                if let Some((dead, _)) = components.merge(other, rank as u32) {
                    let birth = values[by_age[dead as usize]];
                    if values[v] - birth > least {
                        bars.push((birth, values[v]));
                    }
                }
            }
        }
    }
    bars.sort_by(|a, b| a.0.total_cmp(&b.0));
    bars
}

#[test]
fn a_death_may_take_a_route_of_many_hops() {
    const BOX: [f64; 2] = [-3.0, 3.0];
    let mut loss = closed_form(2, Some(BOX), horseshoe);
    let found = explored(&mut loss, &Plan { starts: 60, ..Plan::default() });
    assert_eq!(found.ended, Ended::Complete);
    let barcode = MergeTree::of(&found.landscape).barcode(found.noise);
    let finite: Vec<(f64, f64)> = barcode.bars.iter().filter_map(|b| Some((b.birth, b.death()?))).collect();
    let expected = grid_bars(horseshoe, BOX, 601, 1e-3);
    // Curvatures are below 20, so a grid of spacing 0.01 is off by at most 20 (0.005)^2 at a minimum or a pass.
    let near = |a: &(f64, f64), b: &(f64, f64)| (a.0 - b.0).abs() < 1e-3 && (a.1 - b.1).abs() < 1e-3;
    let same = finite.len() == expected.len() && finite.iter().zip(&expected).all(|(a, b)| near(a, b));
    assert!(same, "{finite:?}, but the grid has {expected:?}");

    // The same from the straight lines alone, so that only the merge can find the way round: the second lowest minimum
    // reaches the lowest over three others, all higher than itself, and not by the line that joins the two.
    let mut minima: Vec<Minimum> = found.landscape.minima.into_iter().filter(|m| m.counts()).collect();
    minima.sort_by(|a, b| a.loss.total_cmp(&b.loss));
    assert_eq!(minima.len(), 6);
    let mut lines = Vec::new();
    for (i, a) in minima.iter().enumerate() {
        for b in &minima[..i] {
            let ids = Ids { path: lines.len() as u64, cell: 1000 + lines.len() as u64 };
            lines.push(connect::straight(&mut oracle(&mut loss), a, b, &Alignment::none(), ids).unwrap());
        }
    }
    let [lowest, second] = [minima[0].cell, minima[1].cell];
    let landscape = Landscape { minima, paths: lines, ..Landscape::default() };
    let barcode = MergeTree::of(&landscape).barcode(0.0);
    let bar = barcode.bars.iter().find(|bar| bar.birth_cell == second).unwrap();
    assert_eq!(bar.elder(), Some(lowest));
    let height = |a: CellId, b: CellId| {
        let joins = |p: &&Path| p.ends == (a, b) || p.ends == (b, a);
        landscape.paths.iter().find(joins).unwrap().pass.height
    };
    let two_hops = landscape.minima[2..].iter().map(|m| height(second, m.cell).max(height(m.cell, lowest)));
    let shorter = two_hops.fold(height(second, lowest), f64::min);
    assert!(bar.death().unwrap() < shorter, "{bar:?}, over at most one other {shorter}");
    assert!(landscape.minima[2..].iter().all(|m| m.loss > bar.birth));
}

#[test]
fn most_pairs_are_never_optimised() {
    fn eggs(x: &[f64], g: &mut [f64]) -> f64 {
        let tilt = [0.05, 0.07];
        (0..2).for_each(|k| g[k] = tilt[k] - (x[k]).sin());
        (0..2).map(|k| x[k].cos() + tilt[k] * x[k]).sum()
    }
    // Minima at odd multiples of pi, four in each direction.
    let mut loss = closed_form(2, Some([0.0, 8.0 * std::f64::consts::PI]), eggs);
    let found = explored(&mut loss, &Plan { starts: 80, ..Plan::default() });
    let minima: Vec<&Minimum> = found.landscape.minima.iter().filter(|m| m.counts() && m.is_sampled()).collect();
    assert_eq!((minima.len(), found.ended), (16, Ended::Complete));
    // Straight lines come first; the other paths are pieces of them.
    let lines = connect::pairs(&minima, &Alignment::none(), Schedule::default().neighbours).len();
    let worked_on = found.landscape.paths[..lines].iter().filter(|p| p.visits > 0).count();
    assert!((1..120 / 3).contains(&worked_on), "{worked_on} of the 120 pairs");
}

#[test]
fn a_height_is_that_of_the_whole_curve() {
    // The straight line between the two deepest minima: 12 knots see 10.65, a fine scan 12.68 (docs/mathematics.md#heights).
    let mut loss = closed_form(2, None, mueller_brown);
    let line = Polyline::straight(&DEEP, &MIDDLE);
    let scan = |n: usize| {
        let point = |i: usize| line.at(&line.arcs(), line.length() * i as f64 / (n - 1) as f64);
        (0..n).map(|i| mueller_brown(&point(i), &mut [0.0; 2])).fold(f64::MIN, f64::max)
    };
    let (knots, truth) = (scan(12), scan(200_001));
    assert!((knots - 10.65).abs() < 0.01 && (truth - 12.68).abs() < 0.01, "{knots} {truth}");
    for samples in [3, 7, 12, 48] {
        let measured = measure(&mut oracle(&mut loss), &line, Care { samples, precision: 1e-9 }).unwrap();
        // The scan itself is below the maximum by less than 1e-7: a spacing of 1e-5, a curvature of some hundreds.
        assert!((measured.height - truth).abs() <= measured.error + 1e-7, "{samples}: {measured:?}");
        assert!(measured.error < 1e-6);
    }
}

#[test]
fn every_value_is_taken_over_the_same_samples() {
    let ids = [1, 4, 7];
    for ids in [None, Some(&ids[..])] {
        let mut loss = closed_form(2, Some([-2.0, 2.0]), double_well);
        let mut oracle = Oracle::new(&mut loss, ids, &Cancel::default(), Budget::default()).unwrap();
        let found = explore(&mut oracle, &Plan::default(), Landscape::default(), &mut Unrecorded, &mut Silent).unwrap();
        assert!(found.landscape.paths.iter().any(|path| path.visits > 0));
        assert_eq!(loss.ids, [ids.map(<[u64]>::to_vec)]);
    }
}

#[test]
#[cfg(feature = "faer")]
fn the_penalty_is_that_of_the_single_net() {
    use mountainpass::loss::{Loss, OpenRequest, Registry};
    use mountainpass::machine::pool::Pool;
    use std::sync::Arc;
    let registry = Registry::new();
    registry.register::<mountainpass_faer::Faer>().unwrap();
    let open = |l2: &str| {
        let options = [("data", "digits"), ("limit", "50"), ("l2", l2)];
        let options = options.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        let request = OpenRequest { model: "mlp:64-3-10:tanh".into(), options, ..OpenRequest::default() };
        registry.open("faer", &request, Arc::new(Pool::new(1))).unwrap()
    };
    let (mut bare, mut penalised) = (open("0"), open("0.3"));
    let rows: Vec<Vec<f64>> = (26..29).map(|seed| bare.start(seed).unwrap().unwrap()).collect();
    let values = |loss: &mut dyn Loss, theta: &[f64]| {
        Oracle::new(loss, None, &Cancel::default(), Budget::default()).unwrap().values(theta).unwrap()
    };
    let stacked = rows.concat();
    let (data, whole) = (values(&mut *bare, &stacked), values(&mut *penalised, &stacked));
    for (row, theta) in rows.iter().enumerate() {
        let penalty = 0.15 * theta.iter().map(|x| x * x).sum::<f64>();
        // Sums of a few hundred squares: rounding.
        assert!((whole[row] - data[row] - penalty).abs() < 1e-12 * whole[row], "row {row}");
        // Nor does a row know of its neighbours.
        assert_eq!(values(&mut *penalised, theta), whole[row..=row]);
    }
}

#[test]
fn a_start_on_a_saddle_does_not_end_there() {
    // 2,100 parameters are above the limit of the dense check.
    for (params, spectrum) in [(2, Spectrum::Dense), (2100, Spectrum::Iterative)] {
        let mut loss = closed_form(params, None, double_well);
        loss.start = Some(vec![0.0; params]);
        let plan = Plan { starts: 1, ..Plan::default() };
        let found = explored(&mut loss, &plan).landscape;
        let minimum = &found.minima[0];
        assert_eq!((found.minima.len(), minimum.descent), (1, Descent::Converged));
        assert!((minimum.theta[0].abs() - 1.0).abs() < 1e-8 && minimum.loss < 1e-15, "{:?}", minimum.theta[0]);
        assert_eq!(minimum.evidence.spectrum, Some(spectrum));
    }
}

#[test]
fn every_minimum_has_its_hessian_checked() {
    for (range, f) in [([-2.0, 2.0], double_well as Function), ([-3.0, 3.0], horseshoe), ([-1.4, 1.9], mueller_brown)] {
        let recipe = Recipe { tolerance: Some(1e-8), ..Recipe::POLISH };
        let found = explored(&mut closed_form(2, Some(range), f), &Plan { starts: 24, recipe, ..Plan::default() });
        let mut seen = 0;
        for minimum in found.landscape.minima.iter().filter(|m| m.counts()) {
            let Evidence { gradient_norm, eigenvalues, tau, spectrum, .. } = &minimum.evidence;
            assert!(*gradient_norm <= 1e-8);
            // Up to the first positive one, which is here the first.
            assert!(eigenvalues.len() == 1 && eigenvalues[0] > tau.unwrap() && *spectrum == Some(Spectrum::Dense));
            seen += 1;
        }
        assert!(seen > 1);
    }
}

#[test]
fn a_death_is_a_verified_saddle_only_with_its_evidence() {
    // A ridge with a kink: the pass at x = 0 has height 1 and no gradient, so it is no saddle.
    fn kinked(x: &[f64], g: &mut [f64]) -> f64 {
        let wall = x[0].abs() - 1.0;
        (g[0], g[1]) = (2.0 * wall * x[0].signum(), 2.0 * x[1]);
        wall * wall + x[1] * x[1]
    }
    let plan = Plan { starts: 8, ..Plan::default() };
    for (f, smooth) in [(double_well as Function, true), (kinked, false)] {
        let mut loss = closed_form(2, Some([-2.0, 2.0]), f);
        loss.info.caps.smooth = smooth;
        let found = explored(&mut loss, &plan);
        let barcode = MergeTree::of(&found.landscape).barcode(found.noise);
        let bars: Vec<_> = barcode.bars.iter().filter(|bar| bar.end.is_some()).collect();
        assert_eq!(bars.len(), 1);
        let (death, error) = (bars[0].death().unwrap(), bars[0].top().unwrap().error);
        assert!(death + error >= 1.0 && death <= 1.0 + 1e-3, "{death} within {error}"); // The paths' tolerance.
        match bars[0].death_kind() {
            Some(DeathKind::VerifiedSaddle) => {
                let evidence = evidence(&found.landscape, &[bars[0].clone()])[0].unwrap();
                let tau = evidence.tau.unwrap();
                let negative = evidence.eigenvalues.iter().filter(|&&v| v < -tau).count();
                assert!(smooth, "a kink is no saddle");
                assert!(negative == 1 && evidence.eigenvalues.iter().all(|v| v.abs() > tau) && evidence.ends.is_some());
            }
            kind => assert_eq!(kind, Some(DeathKind::PathMaximum)),
        }
    }
}

/// A well with one symmetry.
struct Declaring(ClosedForm, Symmetry);

impl Loss for Declaring {
    fn info(&self) -> &Info {
        self.0.info()
    }
    fn eval(&mut self, batch: Batch<'_>) -> mountainpass::Result<()> {
        self.0.eval(batch)
    }
    fn symmetries(&self) -> mountainpass::Result<Vec<Symmetry>> {
        Ok(vec![self.1.clone()])
    }
}

#[test]
fn a_run_is_aligned_only_where_some_declared_symmetry_is_matched() {
    let space = |kind, align| {
        let well = closed_form(8, None, |x, g| {
            g.copy_from_slice(x);
            x.iter().map(|x| x * x / 2.0).sum()
        });
        let loss = Declaring(well, Symmetry { kind, blocks: vec![vec![0, 1, 2, 3], vec![4, 5, 6, 7]] });
        Config::parse_opened(&format!("[symmetry]\nalign = {align}")).unwrap().provenance(&loss).unwrap().space
    };
    assert_eq!(space(SymmetryKind::Permutation, true), Space::Aligned);
    assert_eq!(space(SymmetryKind::Permutation, false), Space::Raw);
    assert_eq!(space(SymmetryKind::Scale { split: 1 }, true), Space::Aligned);
    // Points of four coordinates are not turned.
    assert_eq!(space(SymmetryKind::Rigid, true), Space::Raw);
}
