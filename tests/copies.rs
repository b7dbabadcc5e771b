//! The units of the user change nothing: a loss times a number, shifted, stretched or turned has the same minima, bars and
//! verdicts, for at most twice the evaluations.

mod closed_form;

use closed_form::{Function, mueller_brown};
use mountainpass::Result;
use mountainpass::explore::{Ended, MergeTree, Plan, Silent, explore};
use mountainpass::loss::oracle::Oracle;
use mountainpass::loss::{Batch, Info, Loss};
use mountainpass::persistence::DeathKind;
use mountainpass::run::{Budget, Cancel};
use mountainpass::search::start::uniform;
use mountainpass::search::{Descent, Landscape, Unrecorded};

/// f'(t) = a f(R^T t / s) + c, whose starts move along.
struct Copy {
    info: Info,
    f: Function,
    /// Where the starts of f lie.
    corners: [[f64; 2]; 2],
    by: By,
}

#[derive(Clone, Copy, Debug)]
struct By {
    factor: f64,
    shift: f64,
    stretch: f64,
    turn: f64,
}

const PLAIN: By = By { factor: 1.0, shift: 0.0, stretch: 1.0, turn: 0.0 };

fn turned([x, y]: [f64; 2], by: f64) -> [f64; 2] {
    let (sin, cos) = by.sin_cos();
    [cos * x - sin * y, sin * x + cos * y]
}

impl Loss for Copy {
    fn info(&self) -> &Info {
        &self.info
    }

    fn eval(&mut self, batch: Batch<'_>) -> Result<()> {
        let By { factor, shift, stretch, turn } = self.by;
        let mut grad = batch.grad;
        for (i, theta) in batch.theta.chunks_exact(2).enumerate() {
            let mut g = [0.0; 2];
            let value = (self.f)(&turned([theta[0] / stretch, theta[1] / stretch], -turn), &mut g);
            batch.loss[i] = factor * value + shift;
            batch.ok[i] = batch.loss[i].is_finite();
            if let Some(grad) = grad.as_deref_mut() {
                let back = turned(g, turn).map(|g| factor * g / stretch);
                grad[2 * i..2 * i + 2].copy_from_slice(&back);
            }
        }
        Ok(())
    }

    fn start(&self, seed: u64) -> Result<Option<Vec<f64>>> {
        let mut unit = uniform(seed, 0);
        let [low, high] = self.corners;
        let inside = [0, 1].map(|k| low[k] + (high[k] - low[k]) * unit());
        Ok(Some(turned(inside, self.by.turn).map(|x| self.by.stretch * x).to_vec()))
    }
}

/// Himmelblau's function.
fn himmelblau(x: &[f64], g: &mut [f64]) -> f64 {
    let (a, b) = (x[0] * x[0] + x[1] - 11.0, x[0] + x[1] * x[1] - 7.0);
    (g[0], g[1]) = (4.0 * x[0] * a + 2.0 * b, 2.0 * a + 4.0 * x[1] * b);
    a * a + b * b
}

/// The six-hump camel, in powers that cancel: a thousandfold, its minima are small differences of large numbers.
fn six_hump_camel(x: &[f64], g: &mut [f64]) -> f64 {
    let (x, y) = (x[0], x[1]);
    g[0] = 8.0 * x - 8.4 * x.powi(3) + 2.0 * x.powi(5) + y;
    g[1] = x - 8.0 * y + 16.0 * y.powi(3);
    (4.0 * x * x - 2.1 * x.powi(4) + x.powi(6) / 3.0) + x * y + (4.0 * y.powi(4) - 4.0 * y * y) + 0.25
}

/// What must not change: births and lengths in units of the plain loss, and how the deaths are known.
#[derive(Debug)]
struct Seen {
    births: Vec<f64>,
    lengths: Vec<f64>,
    verified: usize,
    unconverged: usize,
    evaluations: u64,
}

fn seen(f: Function, corners: [[f64; 2]; 2], by: By) -> Seen {
    let info = closed_form::closed_form(2, None, f).info;
    let mut loss = Copy { info, f, corners, by };
    let budget = Budget { evaluations: Some(100_000), ..Budget::default() };
    let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), budget).unwrap();
    let plan = Plan { starts: 60, ..Plan::default() };
    let found = explore(&mut oracle, &plan, Landscape::default(), &mut Unrecorded, &mut Silent).unwrap();
    assert_eq!(found.ended, Ended::Complete, "{by:?}");
    let barcode = MergeTree::of(&found.landscape).barcode(found.noise);
    let sorted = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values
    };
    let deaths = barcode.bars.iter().filter_map(|bar| Some((bar.death()? - bar.birth) / by.factor));
    Seen {
        births: sorted(barcode.bars.iter().map(|bar| (bar.birth - by.shift) / by.factor).collect()),
        lengths: sorted(deaths.collect()),
        verified: barcode.bars.iter().filter(|bar| bar.death_kind() == Some(DeathKind::VerifiedSaddle)).count(),
        unconverged: found.landscape.minima.iter().filter(|m| m.descent != Descent::Converged).count(),
        evaluations: found.landscape.evaluations.iter().map(|(_, tally)| tally.total()).sum(),
    }
}

fn copies_agree(f: Function, corners: [[f64; 2]; 2], bars: usize) {
    let plain = seen(f, corners, PLAIN);
    assert_eq!((plain.births.len(), plain.lengths.len(), plain.verified, plain.unconverged), (bars + 1, bars, bars, 0));
    let span = plain.lengths[bars - 1];
    let factors = [1e-6, 1e-3, 1e3, 1e6].map(|factor| By { factor, ..PLAIN });
    let stretches = [1e-3, 1e3].map(|stretch| By { stretch, ..PLAIN });
    let shifts = [-1e6, 1e6].map(|shift| By { shift, ..PLAIN });
    let turns = [0.5, 2.0, 4.0].map(|turn| By { turn, ..PLAIN });
    let all = By { factor: 1e3, shift: 250.0, stretch: 1e-3, turn: 1.0 };
    for by in factors.into_iter().chain(stretches).chain(shifts).chain(turns).chain([all]) {
        let copy = seen(f, corners, by);
        let apart = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert_eq!((copy.births.len(), copy.lengths.len()), (bars + 1, bars), "{by:?}: {copy:?}");
        assert_eq!((copy.verified, copy.unconverged), (bars, 0), "{by:?}: {copy:?}");
        // Of a shifted loss only so many digits are left; else the precision of heights.
        let digits = 1e-9 * span + 1e-15 * (by.shift / by.factor).abs();
        let apart = apart(&copy.births, &plain.births).max(apart(&copy.lengths, &plain.lengths));
        assert!(apart <= digits, "{by:?}: {apart:e} apart, {copy:?}, {plain:?}");
        assert!(copy.evaluations <= 2 * plain.evaluations, "{by:?}: {} for {}", copy.evaluations, plain.evaluations);
    }
}

#[test]
fn copies_of_mueller_and_browns_surface_agree() {
    copies_agree(mueller_brown, [[-1.5, -0.2], [1.2, 2.0]], 2);
}

#[test]
fn copies_of_the_six_hump_camel_agree() {
    copies_agree(six_hump_camel, [[-3.0, -2.0], [3.0, 2.0]], 5);
}

#[test]
fn copies_of_himmelblaus_function_agree() {
    copies_agree(himmelblau, [[-6.0, -6.0], [6.0, 6.0]], 3);
}
