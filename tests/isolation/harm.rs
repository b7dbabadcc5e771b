//! What a plugin does to the process that it runs in and to the memory that this shares with the engine: a death like
//! another, or nothing; never a wrong number, and never an error of the engine's own.

use crate::engine::{Engine, POINTS, eval, hasty, healthy, here, limits};
use mountainpass::error::Error;
use mountainpass::loss::Limits;
use mountainpass::run::Cancel;

const SCRIBBLED: &str = "wrote over the memory that its process shares with the engine";

#[test]
fn whatever_ends_the_process_marks_its_own_row_and_says_how() {
    let known = healthy();
    let segv = "was killed by SIGSEGV, an access to memory that is not its own";
    let silent = "gave no answer within 1 s";
    let sins = [
        ("unmap", limits(), segv),
        ("child-answers", limits(), "exited with status 9"),
        ("scribble-in", limits(), SCRIBBLED),
        ("fire", limits(), SCRIBBLED),
        ("stop", hasty(), silent),
        ("leave-group", hasty(), silent),
        ("flood", hasty(), silent),
        ("raise-the-limit", limits(), "was killed by SIGABRT, abort"),
        ("share", limits(), "took more memory than the 0.2 GiB of its process, some of it shared"),
    ];
    let commit = &|(model, limits, how): (&str, Limits, &str)| {
        let engine = Engine::new(limits);
        let mut loss = engine.open(model).unwrap();
        assert_eq!(eval(&mut *loss, &POINTS, &Cancel::default()).unwrap(), known, "{model}");
        let mut lines = engine.lines();
        lines.retain(|line| !line.ends_with(": and on"));
        let expected = [
            format!("hostile 1.0: eval: {how}; its batch is repeated row by row in a fresh process"),
            format!("hostile 1.0: eval: row 1 of 3 is marked as not finite: {how}, twice, at theta = 0.1, 1.75"),
        ];
        assert_eq!(lines, expected, "{model}");
    };
    // Side by side, because three of them wait for the end of their time.
    std::thread::scope(|scope| {
        for sin in sins {
            scope.spawn(move || commit(sin));
        }
    });
}

#[test]
fn what_a_process_needs_no_more_may_be_taken_from_it() {
    let known = eval(&mut *here(""), &POINTS, &Cancel::default()).unwrap();
    let more: Vec<f64> = (0..2 << 16).map(|i| f64::from(i).sin()).collect(); // More than there is room for at first.
    for model in ["close-all", "write-all", "no-files", "flood-and-go-on"] {
        let engine = Engine::new(limits());
        let mut loss = engine.open(model).unwrap();
        for _ in 0..3 {
            assert_eq!(eval(&mut *loss, &POINTS, &Cancel::default()).unwrap(), known, "{model}");
        }
        assert_eq!(eval(&mut *loss, &more, &Cancel::default()).unwrap().2, [true; 1 << 16], "{model}");
        drop(loss);
        let lines = engine.lines();
        assert!(!lines.iter().any(|line| line.contains("fresh process")), "{model}: {lines:?}");
    }
}

/// The next call finds what the last one has done.
#[test]
fn a_message_that_was_written_over_costs_a_process_and_no_number() {
    let known = eval(&mut *here(""), &POINTS, &Cancel::default()).unwrap();
    let more: Vec<f64> = (0..2 << 16).map(|i| f64::from(i).sin()).collect();
    for model in ["fill", "punch", "turn-on", "no-room"] {
        let engine = Engine::new(limits());
        let mut loss = engine.open(model).unwrap();
        for _ in 0..3 {
            let found = eval(&mut *loss, &POINTS, &Cancel::default()).unwrap();
            let good = (0..3).filter(|&row| found.2[row]);
            good.for_each(|row| assert_eq!(found.0[row], known.0[row], "{model}"));
            assert!(found.2[0] && found.2[2], "{model}: rows without a sin are as ever");
        }
        assert_eq!(eval(&mut *loss, &more, &Cancel::default()).unwrap().2, [true; 1 << 16], "{model}");
        let lines = engine.lines();
        // A turn that is passed on early is seen by who looks just then; who sleeps through it is woken when all is well.
        let is_seen = !lines.is_empty() || model == "turn-on";
        assert!(is_seen && lines.iter().all(|line| line.starts_with("hostile 1.0: eval: ")), "{model}: {lines:?}");
        assert!(!lines.iter().any(|line| line.contains("internal")), "{model}: {lines:?}");
    }
}

#[test]
fn a_thread_that_writes_over_all_messages_makes_none_that_is_believed() {
    let known = eval(&mut *here(""), &POINTS, &Cancel::default()).unwrap();
    let engine = Engine::new(limits());
    let mut loss = engine.open("haunt-shared").unwrap();
    let mut lines = Vec::new();
    // Until the thread has hit a message on its way: most calls are too short for it.
    while !lines.iter().any(|line: &String| line.contains(SCRIBBLED)) {
        match eval(&mut *loss, &POINTS, &Cancel::default()) {
            Ok((value, grad, ok)) => (0..3).filter(|&row| ok[row]).for_each(|row| {
                let cells = 2 * row..2 * row + 2;
                assert_eq!((value[row], &grad[cells.clone()]), (known.0[row], &known.1[cells]));
            }),
            Err(error) => assert!(matches!(error, Error::Lost { .. } | Error::Plugin { .. }), "{error}"),
        }
        lines.append(&mut engine.lines());
    }
    assert!(!lines.iter().any(|line| line.contains("internal")), "{lines:?}");
}

/// A little with every call, each too short to be looked at.
#[test]
fn memory_that_a_process_shares_is_counted() {
    let engine = Engine::new(Limits { memory: 128 << 20, ..limits() });
    let mut loss = engine.open("share-slowly").unwrap();
    for _ in 0..100 {
        eval(&mut *loss, &POINTS, &Cancel::default()).unwrap();
    }
    let lines = engine.lines();
    let how = "took more memory than the 0.1 GiB of its process, some of it shared";
    let line = format!("hostile 1.0: eval: {how}; its batch is repeated row by row in a fresh process");
    assert!(lines.contains(&line), "{lines:?}");
}
