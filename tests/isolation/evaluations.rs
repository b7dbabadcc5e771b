//! Losses and gradients of a plugin that does its worst: the other rows are as they would have been.

use crate::engine::{Engine, POINTS, eval, hasty, healthy, here, limits};
use mountainpass::error::Error;
use mountainpass::loss::Limits;
use mountainpass::run::Cancel;
use std::time::Duration;

#[test]
fn a_row_that_ends_the_process_twice_is_marked_and_the_others_are_as_ever() {
    let known = healthy();
    assert_eq!(known.2, [true, false, true]);
    for (model, how) in [
        ("crash", "was killed by SIGSEGV, an access to memory that is not its own"),
        ("abort", "was killed by SIGABRT, abort"),
        ("exit", "exited with status 3"),
        ("hang", "gave no answer within 1 s"),
        ("eat", "was killed by SIGABRT, abort"),
        ("eat-and-say", "ran out of memory (4 MiB more were not to be had; its process has 0.2 GiB)"),
        ("scribble", "was killed by SIGSEGV, an access to memory that is not its own"),
    ] {
        let (limits, rounds) = if model == "hang" { (hasty(), 1) } else { (limits(), 2) };
        let engine = Engine::new(limits);
        let mut loss = engine.open(model).unwrap();
        for round in 1..=rounds {
            assert_eq!(eval(&mut *loss, &POINTS, &Cancel::default()).unwrap(), known, "{model}");
            let expected = [
                format!("hostile 1.0: eval: {how}; its batch is repeated row by row in a fresh process"),
                format!("hostile 1.0: eval: row 1 of 3 is marked as not finite: {how}, twice, at theta = 0.1, 1.75"),
            ];
            assert_eq!(engine.lines(), expected, "{model}");
            assert_eq!(engine.isolation.marked(), round);
        }
    }
}

#[test]
fn a_batch_of_one_row_is_tried_once_more() {
    let engine = Engine::new(limits());
    let mut loss = engine.open("exit").unwrap();
    let (value, _, ok) = eval(&mut *loss, &POINTS[2..4], &Cancel::default()).unwrap();
    assert!(f64::from_bits(value[0]).is_nan() && !ok[0]);
    let expected = [
        "hostile 1.0: eval: exited with status 3; asked once more in a fresh process",
        "hostile 1.0: eval: row 0 of 1 is marked as not finite: exited with status 3, twice, at theta = 0.1, 1.75",
    ];
    assert_eq!(engine.lines(), expected);
}

#[test]
fn what_harms_nobody_else_changes_no_number() {
    let here = eval(&mut *here(""), &POINTS, &Cancel::default()).unwrap();
    for model in ["", "print", "chdir", "return-twice", "family", "haunt", "closed-streams", "rows-2^32"] {
        let engine = Engine::new(limits());
        let mut loss = engine.open(model).unwrap();
        for call in 0..20 {
            assert_eq!(eval(&mut *loss, &POINTS, &Cancel::default()).unwrap(), here, "{model}");
            if call == 10 {
                std::thread::sleep(Duration::from_millis(60)); // The server's watch looks about three times.
            }
        }
        drop(loss);
        assert_eq!(engine.lines(), [""; 0], "{model}");
    }
}

#[test]
fn a_backend_that_never_comes_through_is_given_up() {
    let engine = Engine::new(limits());
    let mut loss = engine.open("always").unwrap();
    let theta = [0.5; 80];
    let error = eval(&mut *loss, &theta, &Cancel::default()).unwrap_err();
    let line = "hostile 1.0: eval: 32 rows were lost and none came through; the last: was killed by SIGSEGV, an access to \
                memory that is not its own, twice";
    assert_eq!((error.to_string().as_str(), error.is_usage(), engine.isolation.marked()), (line, false, 32));
}

/// The engine cannot know how long a batch takes, only how long a call may.
#[test]
fn the_longest_call_is_one_of_the_backend_however_many_make_a_batch() {
    let engine = Engine::new(hasty());
    let mut loss = engine.open("one-by-one").unwrap(); // A quarter of a second for each of eight rows.
    let theta = [0.5; 16];
    assert_eq!(eval(&mut *loss, &theta, &Cancel::default()).unwrap().2, [true; 8]);
    assert_eq!(engine.lines(), [""; 0]);
}

#[test]
fn a_broken_promise_is_the_same_error_as_in_this_process() {
    for (model, line) in [
        ("overrun", "hostile 1.0: eval: wrote past the end of loss (3 values) (the backend breaks the contract)"),
        ("lie", "hostile 1.0: eval: row 1 of 3: loss is NaN but row_status is 0 (the backend breaks the contract)"),
    ] {
        let mut loss = Engine::new(limits()).open(model).unwrap();
        assert_eq!(eval(&mut *loss, &POINTS, &Cancel::default()).unwrap_err().to_string(), line);
        let again = eval(&mut *loss, &POINTS[..2], &Cancel::default()).unwrap_err().to_string();
        assert!(again.starts_with("hostile 1.0: eval: no longer trusted since"), "{again}");
    }
}

#[test]
fn a_cancelled_call_ends_whether_the_backend_listens_or_not() {
    for model in ["wait", "hang", "ignore"] {
        let engine = Engine::new(Limits { call: Duration::from_secs(600), ..limits() });
        let mut loss = engine.open(model).unwrap();
        let cancel = Cancel::default();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                cancel.fire();
            });
            assert!(matches!(eval(&mut *loss, &POINTS, &cancel), Err(Error::Cancelled)), "{model}");
        });
        // The loss is there for a call that nobody cancels.
        eval(&mut *loss, &POINTS[..2], &Cancel::default()).unwrap();
    }
}

#[test]
fn a_batch_may_be_larger_than_every_one_before() {
    let engine = Engine::new(Limits { memory: 2 << 30, ..Limits::default() });
    let mut loss = engine.open("").unwrap();
    for n in [1, 100_000, 10, 1_000_000] {
        let theta: Vec<f64> = (0..2 * n).map(|i| (i as f64).sin()).collect();
        let (value, grad, ok) = eval(&mut *loss, &theta, &Cancel::default()).unwrap();
        let last = 2.0 * theta[2 * n - 1];
        assert_eq!((value.len(), f64::from_bits(grad[2 * n - 1]), ok), (n, last, vec![true; n]));
    }
    assert_eq!(engine.lines(), [""; 0]);
}
