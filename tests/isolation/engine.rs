//! An engine that isolates the hostile plugin, and what it has heard.

use crate::built;
use mountainpass::error::Error;
use mountainpass::loss::{Batch, Isolation, Limits, Log, Loss, OpenRequest, Registry};
use mountainpass::machine::pool::Pool;
use mountainpass::run::Cancel;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// The hostile plugin, built once.
pub fn hostile() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| built::c_plugin("hostile.c", &[], &built::folder("isolation"), "hostile"))
}

/// An engine that isolates, and what it has heard.
pub struct Engine {
    pub registry: Registry,
    pub isolation: Arc<Isolation>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Engine {
    pub fn new(limits: Limits) -> Engine {
        let isolation = Arc::new(Isolation::new(env!("CARGO_BIN_EXE_mpass").into(), limits).unwrap());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let heard = lines.clone();
        let log: Arc<Log> = Arc::new(move |_, line: &str| heard.lock().unwrap().push(line.to_owned()));
        Engine { registry: Registry::with_log(log).isolated(isolation.clone()), isolation, lines }
    }

    /// The hostile plugin, with a sin in eval.
    pub fn open(&self, model: &str) -> Result<Box<dyn Loss>, Error> {
        self.open_with(model, &[])
    }

    /// The same with options: where the sin is committed, and whether once only.
    pub fn open_with(&self, model: &str, options: &[(&str, &str)]) -> Result<Box<dyn Loss>, Error> {
        self.registry.load(hostile())?;
        open_with(&self.registry, model, options)
    }

    pub fn lines(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().unwrap())
    }
}

/// The hostile plugin of a registry.
pub fn open_with(registry: &Registry, model: &str, options: &[(&str, &str)]) -> Result<Box<dyn Loss>, Error> {
    let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let request = OpenRequest { model: model.into(), options, ..OpenRequest::default() };
    registry.open("hostile", &request, Arc::new(Pool::new(2)))
}

/// The hostile plugin in this process.
pub fn here(model: &str) -> Box<dyn Loss> {
    let registry = Registry::new();
    registry.load(hostile()).unwrap();
    open_with(&registry, model, &[]).unwrap()
}

/// Little memory, and time for a machine that is busy.
pub fn limits() -> Limits {
    Limits { call: Duration::from_secs(60), memory: 256 << 20 }
}

/// For what never answers: short enough for a test, long enough for everything else.
pub fn hasty() -> Limits {
    Limits { call: Duration::from_secs(1), ..limits() }
}

/// Losses and gradients as bits, and which rows are good.
pub type Numbers = (Vec<u64>, Vec<u64>, Vec<bool>);

pub fn eval(loss: &mut dyn Loss, theta: &[f64], cancel: &Cancel) -> Result<Numbers, Error> {
    let n = theta.len() / 2;
    let (mut value, mut grad, mut ok) = (vec![7.5; n], vec![7.5; 2 * n], vec![false; n]);
    let batch = Batch { theta, ids: None, loss: &mut value, grad: Some(&mut grad), hvp: None, ok: &mut ok, cancel };
    loss.eval(batch)?;
    let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect();
    Ok((bits(value), bits(grad), ok))
}

/// The second of three points is where plugins sin.
pub const POINTS: [f64; 6] = [0.5, 0.25, 0.1, 1.75, -1.5, 0.75];

/// What a loss that only has no number there answers, in this process.
pub fn healthy() -> Numbers {
    eval(&mut *here("nan"), &POINTS, &Cancel::default()).unwrap()
}
