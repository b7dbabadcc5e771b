//! What the table costs: a function called directly, and as a registered backend through [`Loss::eval`].
//!
//! `cargo bench --no-default-features --bench table` prints nanoseconds a call: medians over rounds in which both ways
//! take turns, so that whatever else the machine does falls on both. With the canaries of debug builds:
//! `CARGO_PROFILE_BENCH_DEBUG_ASSERTIONS=true` before it.

use mountainpass::loss::{Batch, Loss, OpenRequest, Registry};
use mountainpass::machine::pool::Pool;
use mountainpass::run::Cancel;
use mountainpass_sdk::abi::{self, Status, cap, dtype, memory, status};
use std::ffi::c_void;
use std::hint::black_box;
use std::ptr::null;
use std::sync::Arc;
use std::time::Instant;

/// Odd, for a median.
const ROUNDS: usize = 101;
/// Calls a round: a round of one row lasts about a millisecond.
const CALLS: usize = 10_000;

/// The sum of x^4/4 - x^2/2, and its gradient where one is wanted.
fn quartic(x: &[f64], gradient: Option<&mut [f64]>) -> f64 {
    if let Some(gradient) = gradient {
        gradient.iter_mut().zip(x).for_each(|(g, x)| *g = x * x * x - x);
    }
    x.iter().map(|x| x * x * (x * x / 4.0 - 0.5)).sum()
}

unsafe extern "C" fn probe(_: u32) -> *const abi::Device {
    null()
}

unsafe extern "C" fn open(
    _: *const abi::Host,
    request: *const abi::Open,
    out: *mut *mut c_void,
    _: *mut abi::Error,
) -> Status {
    // SAFETY: the request is live; `user` is the record of `register`, which outlives every loss.
    let user = unsafe { (*request).user };
    // SAFETY: the engine's memory.
    unsafe { out.write(user) };
    status::OK
}

unsafe extern "C" fn info(loss: *const c_void) -> *const abi::LossInfo {
    loss.cast()
}

unsafe extern "C" fn eval(_: *mut c_void, call: *const abi::Eval, _: *mut abi::Error) -> Status {
    // SAFETY: the engine's call.
    let call = unsafe { &*call };
    let (n, p) = (call.theta.rows as usize, call.theta.cols as usize);
    let row_of = |view: &abi::View, row| view.data.cast::<f64>().wrapping_add(row * p);
    for row in 0..n {
        // SAFETY: views of the contract: n x p, f64, on the host.
        let x = unsafe { std::slice::from_raw_parts(row_of(&call.theta, row), p) };
        // SAFETY: as above.
        let gradient = || unsafe { std::slice::from_raw_parts_mut(row_of(&call.grad, row), p) };
        let value = quartic(x, (!call.grad.data.is_null()).then(gradient));
        // SAFETY: mpass_eval.loss, "out n".
        unsafe { call.loss.wrapping_add(row).write(value) };
    }
    status::OK
}

unsafe extern "C" fn close(_: *mut c_void) {}

/// The quartic of `p` variables as a backend that a caller registers.
fn through_the_table(p: usize) -> Box<dyn Loss> {
    let info_of_p = abi::LossInfo {
        struct_size: abi::LossInfo::SIZE,
        caps: cap::GRAD | cap::REPEATABLE | cap::SMOOTH,
        params: p as u64,
        dtypes: 1 << dtype::F64,
        memories: 1 << memory::HOST,
        ..abi::LossInfo::zeroed()
    };
    let table = abi::Backend {
        struct_size: abi::Backend::SIZE,
        abi_minor: abi::MINOR,
        name: c"quartic".as_ptr(),
        version: c"1".as_ptr(),
        probe: Some(probe),
        open: Some(open),
        info: Some(info),
        eval: Some(eval),
        close: Some(close),
        ..abi::Backend::zeroed()
    };
    let registry = Registry::new();
    let user: *mut abi::LossInfo = Box::leak(Box::new(info_of_p));
    // SAFETY: a table of the contract, its texts static, its user pointer leaked.
    unsafe { registry.register_callback(&raw const table, user.cast(), None) }.expect("the table is complete");
    registry.open("quartic", &OpenRequest::default(), Arc::new(Pool::new(1))).expect("the loss opens")
}

/// Nanoseconds a call of both, as medians, and the median of their differences.
fn beside(calls: usize, mut direct: impl FnMut(), mut table: impl FnMut()) -> [f64; 3] {
    let time = |call: &mut dyn FnMut(usize)| {
        let since = Instant::now();
        call(calls);
        since.elapsed().as_secs_f64() * 1e9 / calls as f64
    };
    let rounds: Vec<[f64; 3]> = (0..ROUNDS)
        .map(|_| {
            let direct = time(&mut |calls| (0..calls).for_each(|_| direct()));
            let table = time(&mut |calls| (0..calls).for_each(|_| table()));
            [direct, table, table - direct]
        })
        .collect();
    [0, 1, 2].map(|column| {
        let mut values: Vec<f64> = rounds.iter().map(|round| round[column]).collect();
        values.sort_by(f64::total_cmp);
        values[ROUNDS / 2]
    })
}

fn main() {
    let canaries = if cfg!(debug_assertions) { "with" } else { "without" };
    println!("nanoseconds a call, medians of {ROUNDS} rounds, {canaries} canaries");
    println!("{:28}{:>10}{:>10}{:>12}", "", "direct", "table", "difference");
    for (n, p) in [(1, 1), (1, 100), (64, 1), (64, 100)] {
        let (x, cancel) = (vec![0.3; n * p], Cancel::default());
        let mut loss = through_the_table(p);
        for wanted in [false, true] {
            let (mut values, mut grad, mut ok) = (vec![0.0; n], vec![0.0; n * p], vec![true; n]);
            let (mut table_values, mut table_grad) = (values.clone(), grad.clone());
            let function: fn(&[f64], Option<&mut [f64]>) -> f64 = black_box(quartic);
            let direct = || {
                for (row, value) in values.iter_mut().enumerate() {
                    let at = row * p..(row + 1) * p;
                    *value = function(black_box(&x[at.clone()]), wanted.then(|| &mut grad[at]));
                }
                black_box((&values, &grad));
            };
            let table = || {
                let batch = Batch {
                    theta: black_box(&x),
                    ids: None,
                    loss: &mut table_values,
                    grad: wanted.then_some(&mut table_grad),
                    hvp: None,
                    ok: &mut ok,
                    cancel: &cancel,
                };
                loss.eval(batch).expect("the quartic is finite");
                black_box((&table_values, &table_grad));
            };
            let [direct, table, more] = beside((CALLS / (n * p)).max(100), direct, table);
            assert_eq!((&values, &grad), (&table_values, &table_grad), "both ways compute the same");
            let what = if wanted { "loss + gradient" } else { "loss" };
            println!("{:28}{direct:>10.1}{table:>10.1}{more:>12.1}", format!("{n} x {p}, {what}"));
        }
    }
}
