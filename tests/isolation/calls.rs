//! Every call of a backend: answered as in this process, lost once, and lost twice.

use crate::built;
use crate::engine::{Engine, POINTS, hasty, here, hostile, limits};
use mountainpass::error::Error;
use mountainpass::loss::{Batch, Elements, Limits, Loss, NamedArray, OpenRequest, Registry, Split};
use mountainpass::machine::pool::Pool;
use mountainpass::run::Cancel;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const SEGV: &str = "was killed by SIGSEGV, an access to memory that is not its own";

/// The calls of an open loss whose answer cannot be left out, by the option that names them, and their slots.
const CALLS: [(&str, &str); 5] = [
    ("names", "metrics"),
    ("parameters", "parameters"),
    ("box", "box"),
    ("symmetry", "symmetry"),
    ("identity", "identity"),
];

/// A file that is not there, for the first sinner to make.
fn once(name: &str) -> PathBuf {
    let file = built::folder("isolation").join(format!("once-{name}"));
    let _ = std::fs::remove_file(&file);
    file
}

/// Everything that a loss answers beside values.
fn answers(loss: &mut dyn Loss) -> Result<String, Error> {
    let (metrics, start) = (loss.metrics(Split::Train, &POINTS)?, loss.start(3)?);
    let names = [loss.metric_names(Split::Train)?, loss.metric_names(Split::Test)?];
    let (blocks, bounds) = (loss.parameters()?, loss.bounds()?);
    Ok(format!("{metrics:?} {start:?} {names:?} {blocks:?} {bounds:?} {:?} {:?}", loss.symmetries()?, loss.identity()?))
}

fn metrics_of_rows(rows: &[usize]) -> Vec<f64> {
    let metrics = |row: &usize| [POINTS[2 * row] + POINTS[2 * row + 1], POINTS[2 * row] * POINTS[2 * row + 1]];
    rows.iter().flat_map(metrics).collect()
}

#[test]
fn the_options_that_a_backend_declares_are_the_same_in_a_process_of_its_own() {
    let folder = built::folder("isolation");
    for (name, define) in [("declares", "NDEBUG"), ("broken", "BROKEN={ \"mask\", \"Again.\", NULL, NULL, 5, 0 }")] {
        let plugin = built::c_plugin("declares.c", &[define], &folder, name);
        let options = |registry: &Registry| {
            registry.load(&plugin).unwrap();
            registry.options("declares").map_err(|error| error.to_string())
        };
        let (here, apart) = (options(&Registry::new()), options(&Engine::new(limits()).registry));
        assert_eq!(here, apart);
        assert_eq!(here.map(|options| options.len()).ok(), (name == "declares").then_some(3));
    }
}

#[test]
fn a_call_that_is_lost_once_is_answered_by_a_fresh_process() {
    let known = answers(&mut *here("")).unwrap();
    for (place, slot) in CALLS.into_iter().chain([("start", "start"), ("all-metrics", "metrics")]) {
        let (engine, file) = (Engine::new(limits()), once(place));
        let mut loss = engine.open_with("crash", &[("in", place), ("once", file.to_str().unwrap())]).unwrap();
        assert_eq!(answers(&mut *loss).unwrap(), known, "{place}");
        let again = if place == "all-metrics" { "its batch is repeated row by row" } else { "asked once more" };
        assert_eq!(engine.lines(), [format!("hostile 1.0: {slot}: {SEGV}; {again} in a fresh process")], "{place}");
        assert_eq!(engine.isolation.marked(), 0);
    }
    let (engine, file) = (Engine::new(limits()), once("open"));
    let mut loss = engine.open_with("crash", &[("in", "open"), ("once", file.to_str().unwrap())]).unwrap();
    assert_eq!(answers(&mut *loss).unwrap(), known);
    let line = format!("plugin {}: open: {SEGV}; asked once more in a fresh process", hostile().display());
    assert_eq!(engine.lines(), [line]);
}

#[test]
fn so_is_silence_and_want_of_memory() {
    let known = answers(&mut *here("")).unwrap();
    let memory = "ran out of memory (4 MiB more were not to be had; its process has 0.2 GiB)";
    for (model, limits, how) in [("hang", hasty(), "gave no answer within 1 s"), ("eat-and-say", limits(), memory)] {
        for (place, slot) in [("symmetry", "symmetry"), ("start", "start")] {
            let (engine, file) = (Engine::new(limits), once(&format!("{model}-{place}")));
            let mut loss = engine.open_with(model, &[("in", place), ("once", file.to_str().unwrap())]).unwrap();
            assert_eq!(answers(&mut *loss).unwrap(), known, "{model} in {place}");
            assert_eq!(engine.lines(), [format!("hostile 1.0: {slot}: {how}; asked once more in a fresh process")]);
        }
    }
}

#[test]
fn a_call_that_is_lost_twice_is_an_error_that_names_it() {
    for (place, slot) in CALLS {
        let engine = Engine::new(limits());
        let mut loss = engine.open_with("crash", &[("in", place)]).unwrap();
        let error = answers(&mut *loss).unwrap_err();
        assert_eq!(error.to_string(), format!("hostile 1.0: {slot}: {SEGV}, twice"));
        assert!(matches!(error, Error::Lost { .. }) && !error.is_usage());
        assert!(loss.start(3).unwrap().is_some(), "a fresh process answers what the dead ones did not");
    }
}

#[test]
fn metrics_of_a_row_that_is_lost_twice_are_not_numbers_and_the_others_are_as_ever() {
    let engine = Engine::new(limits());
    let mut loss = engine.open_with("crash", &[("in", "metrics")]).unwrap();
    let (first, last) = (metrics_of_rows(&[0]), metrics_of_rows(&[2]));
    for round in 1..=2 {
        let found = loss.metrics(Split::Train, &POINTS).unwrap();
        assert_eq!((&found[..2], &found[4..]), (&first[..], &last[..]));
        assert!(found[2..4].iter().all(|value| value.is_nan()), "{found:?}");
        let expected = [
            format!("hostile 1.0: metrics: {SEGV}; its batch is repeated row by row in a fresh process"),
            format!("hostile 1.0: metrics: row 1 of 3 has no metrics: {SEGV}, twice, at theta = 0.1, 1.75"),
        ];
        assert_eq!(engine.lines(), expected);
        assert_eq!(engine.isolation.marked(), round);
    }
    assert!(
        loss.metrics(Split::Test, &POINTS).unwrap().is_empty() && loss.metrics(Split::Train, &[]).unwrap().is_empty()
    );
    let error = loss.metrics(Split::Train, &[1.75; 80]).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("hostile 1.0: metrics: 32 rows were lost and none came through; the last: {SEGV}, twice")
    );
}

#[test]
fn a_start_that_is_lost_twice_is_none_to_search_from() {
    let engine = Engine::new(limits());
    let loss = engine.open_with("exit", &[("in", "start")]).unwrap();
    assert!(loss.start(3).unwrap().unwrap().iter().all(|value| value.is_nan()));
    let expected = [
        "hostile 1.0: start: exited with status 3; asked once more in a fresh process",
        "hostile 1.0: start: seed 3 has no start: exited with status 3, twice; a search skips it",
    ];
    assert_eq!(engine.lines(), expected);
    assert_eq!(loss.start(4).unwrap(), here("").start(4).unwrap());
}

#[test]
fn a_process_that_dies_on_its_way_to_an_open_loss_is_started_once_more() {
    let folder = built::folder("isolation");
    let plugin = |what: &str, name: &str| {
        let define = format!("{what}=\"{}\"", once(name).display());
        built::c_plugin("hostile.c", &[&define], &folder, name)
    };
    let (engine, file) = (Engine::new(limits()), plugin("CRASH_ONCE_ON_LOAD", "crash-once-on-load"));
    assert_eq!(engine.registry.load(&file).unwrap(), "hostile");
    let line = format!("plugin {}: load: {SEGV}; asked once more in a fresh process", file.display());
    assert_eq!(engine.lines(), [line]);
    let (engine, file) = (Engine::new(limits()), plugin("ABORT_ONCE_IN_PROBE", "abort-once-in-probe"));
    engine.registry.load(&file).unwrap();
    assert_eq!(engine.registry.devices("hostile").unwrap().len(), 1);
    let how = "was killed by SIGABRT, abort";
    let line = format!("plugin {}: probe: {how}; asked once more in a fresh process", file.display());
    assert_eq!(engine.lines(), [line]);
}

#[test]
fn an_end_before_or_after_the_evaluations_is_named_by_its_slot() {
    let engine = Engine::new(limits());
    let plugin = |what: &str| format!("plugin {}: {what}", hostile().display());
    for (engine, model, how) in [
        (Engine::new(limits()), "abort", "was killed by SIGABRT, abort"),
        (Engine::new(hasty()), "hang", "gave no answer within 1 s"),
    ] {
        let error = engine.open_with(model, &[("in", "open")]).err().unwrap();
        assert_eq!(error.to_string(), plugin(&format!("open: {how}, twice")));
    }
    let refused = |model: &str| engine.open(model).err().unwrap().to_string();
    assert_eq!(refused("no-parameters"), "hostile 1.0: info: params is 0 (the backend breaks the contract)",);
    let huge = refused("2^63");
    assert!(huge.starts_with("hostile 1.0: one gradient of 9223372036854775808 parameters takes more"), "{huge}");
    if mountainpass::machine::memory::total() < 8 << 32 {
        let large = refused("2^32");
        assert!(large.starts_with("hostile 1.0: one gradient of 4294967296 parameters takes 32.0 GiB, and"), "{large}");
    }
    assert_eq!(engine.lines(), [""; 0]);
    drop(engine.open_with("abort", &[("in", "close")]).unwrap());
    assert_eq!(engine.lines(), ["hostile 1.0: close: was killed by SIGABRT, abort"]);
    drop(engine.open("loud").unwrap());
    assert_eq!(engine.lines(), ["hostile 1.0: a line of a log"]);
}

#[test]
fn a_run_that_is_stopped_waits_for_no_call() {
    let engine = Engine::new(Limits { call: Duration::from_secs(600), ..limits() });
    type Call = fn(&mut dyn Loss) -> Result<(), Error>;
    let calls: [(&str, Call); 3] = [
        ("metrics", |loss| loss.metrics(Split::Train, &POINTS).map(drop)),
        ("start", |loss| loss.start(3).map(drop)),
        ("symmetry", |loss| loss.symmetries().map(drop)),
    ];
    for (place, call) in calls {
        let mut loss = engine.open_with("hang", &[("in", place)]).unwrap();
        let cancel = Cancel::default();
        loss.heed(&cancel);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                cancel.fire();
            });
            assert!(matches!(call(&mut *loss), Err(Error::Cancelled)), "{place}");
        });
        loss.heed(&Cancel::default());
        assert!(loss.bounds().unwrap().is_some(), "the loss is there for a call that nobody cancels");
    }
}

#[test]
fn every_answer_of_a_network_arrives_as_it_was() {
    let x: Vec<f64> = (0..60).map(|i| f64::from(i * 7 % 13) / 13.0).collect();
    let y: Vec<u64> = (0..20).map(|i| i % 3).collect();
    let data = [
        NamedArray { name: "x", shape: &[20, 3], values: Elements::F64(&x) },
        NamedArray { name: "y", shape: &[20], values: Elements::U64(&y) },
    ];
    let open = |registry: &Registry| {
        registry.register::<mountainpass_faer::Faer>().unwrap();
        let request = OpenRequest {
            model: "mlp:3-4-3:tanh".into(),
            data: data.to_vec(),
            repeatable: true,
            ..OpenRequest::default()
        };
        registry.open("faer", &request, Arc::new(Pool::new(2))).unwrap()
    };
    let engine = Engine::new(limits());
    let (mut here, mut apart) = (open(&Registry::new()), open(&engine.registry));
    assert_eq!(format!("{:?}", here.info()), format!("{:?}", apart.info()));
    assert_eq!(here.parameters().unwrap(), apart.parameters().unwrap());
    assert_eq!(here.symmetries().unwrap(), apart.symmetries().unwrap());
    assert_eq!(here.identity().unwrap(), apart.identity().unwrap());
    assert_eq!(here.bounds().unwrap(), apart.bounds().unwrap());
    let theta = here.start(26).unwrap();
    assert_eq!(theta, apart.start(26).unwrap());
    let theta = theta.unwrap().repeat(2);
    for split in [Split::Train, Split::Test] {
        assert_eq!(here.metric_names(split).unwrap(), apart.metric_names(split).unwrap());
        assert_eq!(here.metrics(split, &theta).unwrap(), apart.metrics(split, &theta).unwrap());
    }
    assert!(!here.metric_names(Split::Train).unwrap().is_empty() && !here.symmetries().unwrap().is_empty());
    let devices_here = || {
        let registry = Registry::new();
        registry.register::<mountainpass_faer::Faer>().unwrap();
        registry.devices("faer").unwrap()
    };
    assert_eq!(engine.registry.devices("faer").unwrap(), devices_here());
    let dir: Vec<f64> = theta.iter().rev().copied().collect();
    let all = |loss: &mut dyn Loss| {
        let (mut value, mut grad, mut hvp, mut ok) =
            ([0.0; 2], vec![0.0; theta.len()], vec![0.0; theta.len()], [false; 2]);
        loss.eval(Batch {
            theta: &theta,
            ids: Some(&[3, 3, 19]),
            loss: &mut value,
            grad: Some(&mut grad),
            hvp: Some((&dir, &mut hvp)),
            ok: &mut ok,
            cancel: &Cancel::default(),
        })
        .unwrap();
        (value, grad, hvp, ok)
    };
    assert_eq!(all(&mut *here), all(&mut *apart));
}
