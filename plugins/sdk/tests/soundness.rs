//! Safe authors' code at its worst, called through the C table as an engine calls it.
//!
//! No answer of a loss makes the table write where there is no room or read what is not there, and no calls that overlap
//! harm each other. `cargo miri-sdk` runs this file; what Miri alone would see is said at the test.

mod caller;

use caller::{Opened, view};
use mountainpass_sdk::abi::{dtype, status};
use mountainpass_sdk::{
    Backend, Bounds, Caps, Dtypes, Error, Eval, Host, Info, Loss, Matrix, Open, Parameter, Split, Symmetry,
    SymmetryKind,
};
use std::ffi::CStr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A loss of two parameters that counts its calls and has one thing to hide.
struct Author {
    vice: String,
    calls: AtomicU64,
    asked: AtomicU64,
}

struct Authors;

impl Backend for Authors {
    const NAME: &'static CStr = c"authors";
    const VERSION: &'static CStr = c"1";
    type Loss = Author;

    fn open(_: Host<'_>, mut request: Open<'_>) -> Result<Author, Error> {
        let vice = request.option("vice").unwrap_or_default().to_owned();
        request.finish()?;
        Ok(Author { vice, calls: AtomicU64::new(0), asked: AtomicU64::new(0) })
    }
}

impl Author {
    fn is(&self, vice: &str) -> bool {
        self.vice == vice
    }

    /// `first` until it was asked for `honest` times, then `later`.
    fn fickle(&self, honest: u64, first: usize, later: usize) -> usize {
        if self.asked.fetch_add(1, Ordering::Relaxed) < honest { first } else { later }
    }
}

/// Where a test and an evaluation of it meet.
static UNDER_WAY: [Barrier; 2] = [Barrier::new(2), Barrier::new(2)];

/// Its drop panics, too.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("once more");
    }
}

impl Loss for Author {
    fn info(&self) -> Info {
        let params = if self.is("grows") { self.fickle(1, 2, 7) } else { 2 };
        let caps = Caps { many: true, ..Caps::default() };
        Info { caps, params: params as u64, dtypes: Dtypes { f64: true, f32: false }, ..Info::default() }
    }

    fn eval(&self, eval: Eval<'_>) -> Result<(), Error> {
        let calls = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if self.is("slow") {
            for barrier in &UNDER_WAY {
                barrier.wait();
            }
        }
        if self.is("panics") && eval.theta.row_f64(0)[0] < 0.0 {
            panic!("below zero");
        }
        if self.is("bombs") {
            eval.host.for_each(&mut [0; 4], |_, _, _| std::panic::panic_any(Bomb));
        }
        eval.loss.fill(calls as f64);
        Ok(())
    }

    fn parameters(&self) -> Vec<Parameter> {
        let block = |name: &str, offset| Parameter { name: name.into(), shape: vec![1, 1], offset };
        vec![block("first", 0), block("second", 1)]
    }

    fn start(&self, _: u64) -> Result<Vec<f64>, Error> {
        let n = if self.is("grows") || self.is("long start") { 7 } else { 2 };
        Ok(vec![0.5; n])
    }

    fn bounds(&self) -> Option<Bounds> {
        let n = if self.is("short box") { 1 } else { 2 };
        Some(Bounds { lower: vec![-1.0; 2], upper: vec![1.0; n] })
    }

    fn metrics(&self, _: Split) -> Vec<String> {
        let n = if self.is("many metrics") { self.fickle(2, 1, 4) } else { 1 };
        vec!["metric".into(); n]
    }

    fn eval_metrics(&self, _: Host<'_>, _: Split, _: Matrix<'_>, out: &mut [f64]) -> Result<(), Error> {
        out.fill(1.5);
        Ok(())
    }

    fn symmetries(&self) -> Vec<Symmetry> {
        let ragged = vec![vec![0, 1], vec![1]];
        let blocks = if self.is("ragged blocks") { ragged } else { vec![vec![0], vec![1]] };
        vec![Symmetry { kind: SymmetryKind::Permutation, blocks }]
    }
}

fn open(vice: &str) -> Opened {
    Opened::open::<Authors>(&[("vice", vice)]).unwrap()
}

/// Room for `n` values and what lies behind it.
fn room(n: usize) -> (Vec<f64>, impl Fn(&[f64]) -> bool) {
    (vec![f64::MAX; n + 16], move |room: &[f64]| room[n..].iter().all(|x| *x == f64::MAX))
}

const THREADS: u64 = 4;
const CALLS: u64 = if cfg!(miri) { 8 } else { 20_000 };

#[test]
fn calls_that_overlap_are_all_answered_and_none_is_lost() {
    let (loss, together) = (open(""), Barrier::new(THREADS as usize));
    let mut values: Vec<f64> = std::thread::scope(|scope| {
        let calls = || {
            together.wait();
            (0..CALLS).map(|_| loss.eval(&[1.0, 2.0]).unwrap()[0]).collect::<Vec<f64>>()
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(calls)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    values.sort_by(f64::total_cmp);
    let each_once: Vec<f64> = (1..=THREADS * CALLS).map(|call| call as f64).collect();
    assert_eq!(values, each_once);
}

/// To Miri it is undefined behaviour if the evaluation holds the handle for itself alone.
#[test]
fn what_is_many_may_be_asked_while_an_evaluation_runs() {
    let loss = open("slow");
    std::thread::scope(|scope| {
        let evaluated = scope.spawn(|| loss.eval(&[1.0, 2.0]));
        UNDER_WAY[0].wait();
        assert_eq!((loss.info().params, loss.blocks().len(), loss.metric_names()), (2, 2, 1));
        UNDER_WAY[1].wait();
        assert_eq!(evaluated.join().unwrap().unwrap(), [1.0]);
    });
}

#[test]
fn a_panic_spoils_the_loss_for_all_threads_and_harms_none() {
    let (loss, together, any_panicked) = (open("panics"), Barrier::new(2), AtomicBool::new(false));
    let calls = |panics: bool| {
        together.wait();
        for call in 0..CALLS {
            let x = if panics && call == CALLS / 2 { -1.0 } else { 1.0 };
            any_panicked.fetch_or(x < 0.0, Ordering::SeqCst);
            match loss.eval(&[x, 0.0]) {
                Ok(values) => assert!(x > 0.0 && values[0] > 0.0),
                Err((status::INTERNAL, text)) => assert_eq!((x, &*text), (-1.0, "panic: below zero")),
                Err(refusal) => {
                    assert!(refusal.0 == status::POISONED && any_panicked.load(Ordering::SeqCst), "{refusal:?}")
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| calls(true));
        calls(false);
        other.join().unwrap();
    });
    assert_eq!(loss.eval(&[1.0, 0.0]).unwrap_err().0, status::POISONED);
}

#[test]
fn panics_of_workers_whose_payloads_panic_are_one_error() {
    let (code, text) = open("bombs").eval(&[1.0, 0.0]).unwrap_err();
    assert_eq!((code, &*text), (status::INTERNAL, "panic: no message"));
}

#[test]
fn metrics_fill_the_room_of_the_names_that_were_announced() {
    let loss = open("many metrics");
    assert_eq!(loss.metric_names(), 1);
    let (mut out, is_intact) = room(1);
    loss.metrics(&view(&[1.0, 2.0], 2, dtype::F64), &mut out).unwrap();
    assert!(is_intact(&out), "{out:?}");
    assert_eq!(out[0], 1.5);
}

#[test]
fn metrics_of_rows_of_another_length_are_refused() {
    let (loss, (mut out, _)) = (open(""), room(1));
    let (code, text) = loss.metrics(&view(&[1.0, 2.0, 3.0], 3, dtype::F64), &mut out).unwrap_err();
    assert_eq!((code, &*text), (status::ARGUMENT, "theta has 3 columns, and the loss 2 parameters"));
    assert_eq!(loss.metrics(&view(&[1.0_f32, 2.0], 2, dtype::F32), &mut out).unwrap_err().0, status::UNSUPPORTED);
}

#[test]
fn a_start_of_another_length_than_announced_is_an_error() {
    for vice in ["grows", "long start"] {
        let loss = open(vice);
        assert_eq!(loss.info().params, 2);
        let (mut out, is_intact) = room(2);
        let refused = loss.start(&mut out);
        assert!(is_intact(&out), "{vice}: {out:?}");
        assert_eq!(refused.unwrap_err(), (status::BACKEND, "a start of 7 values for 2 parameters".into()));
        loss.eval(&[1.0, 2.0]).unwrap(); // It is not poisoned.
    }
}

#[test]
fn what_does_not_fit_together_is_not_opened() {
    for (vice, says) in [
        ("short box", "2 lower and 1 upper bounds of 2 parameters"),
        ("ragged blocks", "the blocks of a symmetry differ in length"),
    ] {
        let refused = Opened::open::<Authors>(&[("vice", vice)]).err().unwrap();
        assert_eq!(refused, (status::BACKEND, says.into()));
    }
    // The same without a vice is read as it was meant.
    let loss = open("");
    assert_eq!(loss.lower().unwrap(), [-1.0, -1.0]);
    assert_eq!(loss.blocks(), [("first".into(), vec![1, 1]), ("second".into(), vec![1, 1])]);
}

#[test]
fn theta_where_no_number_can_be_read_is_refused() {
    let (loss, theta) = (open(""), [1.0, 2.0, 3.0]);
    let mut odd = view(&theta[..2], 2, dtype::F64);
    odd.data = odd.data.wrapping_byte_add(4);
    assert_eq!(loss.eval_of(odd).unwrap_err().0, status::ARGUMENT);
    // A kind of memory that came after our time.
    let mut later = view(&theta[..2], 2, dtype::F64);
    later.memory = 7;
    assert_eq!(loss.eval_of(later).unwrap_err(), (status::UNSUPPORTED, "device memory".into()));
}
