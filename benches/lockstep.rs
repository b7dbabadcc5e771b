//! What visits side by side cost and save: `cargo bench --bench lockstep [CASE]`.
//!
//! The same search with 1, 2, 4 and 8 paths at once. `calls` and `rows` are what the loss is asked in the stage of paths,
//! Hessian products among them (`products`, `rows` of those); `waste` is evaluations beyond those of one at a time. Bars
//! are of sampled minima: how many are finite and die at a verified saddle, their sum, and the largest amount by which one
//! is longer or shorter than with one at a time.

use mountainpass::Result;
use mountainpass::explore::{Doing, MergeTree, Plan, Progress, explore};
use mountainpass::loss::oracle::Oracle;
use mountainpass::loss::{Batch, Bounds, Identity, Info, Loss, OpenRequest, Registry, Split, Symmetry};
use mountainpass::machine::pool::Pool;
use mountainpass::persistence::DeathKind;
use mountainpass::run::{Budget, Cancel};
use mountainpass::search::{Landscape, Stage, Unrecorded};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Name, backend, model, options, starts.
type Case = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)], u64);

const CASES: [Case; 6] = [
    ("mueller-brown", "surfaces", "mueller-brown", &[], 24),
    ("six-hump", "surfaces", "six-hump-camel", &[], 48),
    ("lj8", "surfaces", "lennard-jones", &[("atoms", "8")], 200),
    ("digits-8", "faer", "mlp:64-8-10:tanh", &[("data", "digits"), ("l2", "1e-3")], 8),
    ("digits-16", "faer", "mlp:64-16-10:tanh", &[("data", "digits"), ("l2", "1e-3")], 8),
    ("digits-8-soft", "faer", "mlp:64-8-10:tanh", &[("data", "digits"), ("l2", "1e-4")], 8),
];

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let registry = Registry::default();
    registry.register::<mountainpass_faer::Faer>().expect("the name is free");
    registry.register::<mountainpass_surfaces::Surfaces>().expect("the name is free");
    println!(
        "{:>14} {:>7} {:>11} {:>6} {:>8} {:>6} {:>9} {:>6} {:>9} {:>12} {:>9}",
        "case",
        "at once",
        "evaluations",
        "waste",
        "calls",
        "rows",
        "products",
        "rows",
        "verified",
        "sum of bars",
        "change"
    );
    for case in CASES.iter().filter(|case| asked.is_empty() || asked.iter().any(|name| name == case.0)) {
        let mut alone: Option<Told> = None;
        for at_once in [1, 2, 4, 8] {
            let told = told(&registry, case, at_once);
            let one = alone.get_or_insert_with(|| told.clone());
            let waste = 100.0 * (told.evaluations as f64 / one.evaluations as f64 - 1.0);
            let change = told.bars.iter().zip(&one.bars).map(|(a, b)| a - b);
            let change = change.fold(0.0, |most: f64, by| if by.abs() > most.abs() { by } else { most });
            let rows = |[calls, rows]: [u64; 2]| rows as f64 / calls.max(1) as f64;
            println!(
                "{:>14} {at_once:>7} {:>11} {waste:>5.1}% {:>8} {:>6.1} {:>9} {:>6.2} {:>9} {:>12.6e} {change:>9.1e}",
                case.0,
                told.evaluations,
                told.curves[0],
                rows(told.curves),
                told.products[0],
                rows(told.products),
                format!("{} of {}", told.verified, told.bars.len()),
                told.bars.iter().sum::<f64>(),
            );
        }
    }
}

/// What a search came to.
#[derive(Clone)]
struct Told {
    evaluations: u64,
    /// Calls for losses and gradients, and their rows; the same for Hessian products.
    curves: [u64; 2],
    products: [u64; 2],
    verified: usize,
    /// Of sampled minima, in the order of their births.
    bars: Vec<f64>,
}

fn told(registry: &Registry, &(_, backend, model, options, starts): &Case, at_once: usize) -> Told {
    let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let request = OpenRequest { model: model.into(), options, ..OpenRequest::default() };
    let loss = registry.open(backend, &request, Arc::new(Pool::new(1))).expect("the loss opens");
    let counts = Arc::new(Counts::default());
    let mut loss = Counted { loss, counts: counts.clone() };
    let plan = Plan { starts, at_once, ..Plan::default() };
    let mut oracle = Oracle::new(&mut loss, None, &Cancel::default(), Budget::default()).expect("an oracle");
    let mut watch = Watch { counts: counts.clone(), before: None };
    let found = explore(&mut oracle, &plan, Landscape::default(), &mut Unrecorded, &mut watch).expect("a landscape");
    let before = watch.before.expect("paths");
    let [a, b, c, d] = [0, 1, 2, 3].map(|i| counts.now()[i] - before[i]);
    let mut bars = MergeTree::of(&found.landscape).barcode(found.noise).bars;
    bars.retain(|bar| bar.length().is_some() && !bar.is_transit());
    bars.sort_by(|a, b| a.birth.total_cmp(&b.birth));
    let verified = bars.iter().filter(|bar| bar.death_kind() == Some(DeathKind::VerifiedSaddle)).count();
    let paths = found.landscape.evaluations.iter().find(|(stage, _)| *stage == Stage::Paths);
    Told {
        evaluations: paths.map_or(0, |(_, tally)| tally.total()),
        curves: [a, b],
        products: [c, d],
        verified,
        bars: bars.iter().filter_map(|bar| bar.length()).collect(),
    }
}

/// Calls for curves, their rows, calls for Hessian products, their rows.
#[derive(Default)]
struct Counts([AtomicU64; 4]);

impl Counts {
    fn now(&self) -> [u64; 4] {
        [0, 1, 2, 3].map(|i| self.0[i].load(Ordering::Relaxed))
    }
}

/// Remembers the counts at the begin of the stage of paths.
struct Watch {
    counts: Arc<Counts>,
    before: Option<[u64; 4]>,
}

impl Progress for Watch {
    fn at(&mut self, stage: Stage, _: u64, _: u64, _: Doing) {
        if stage != Stage::Minima {
            self.before.get_or_insert_with(|| self.counts.now());
        }
    }
}

/// A loss whose calls are counted.
struct Counted {
    loss: Box<dyn Loss>,
    counts: Arc<Counts>,
}

impl Loss for Counted {
    fn info(&self) -> &Info {
        self.loss.info()
    }
    fn eval(&mut self, batch: Batch<'_>) -> Result<()> {
        let first = if batch.hvp.is_some() { 2 } else { 0 };
        self.counts.0[first].fetch_add(1, Ordering::Relaxed);
        self.counts.0[first + 1].fetch_add(batch.loss.len() as u64, Ordering::Relaxed);
        self.loss.eval(batch)
    }
    fn start(&self, seed: u64) -> Result<Option<Vec<f64>>> {
        self.loss.start(seed)
    }
    fn bounds(&self) -> Result<Option<Bounds>> {
        self.loss.bounds()
    }
    fn symmetries(&self) -> Result<Vec<Symmetry>> {
        self.loss.symmetries()
    }
    fn identity(&self) -> Result<Identity> {
        self.loss.identity()
    }
    fn metric_names(&self, _: Split) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}
