//! Plugins that do their worst in a process of their own: every sin is a sentence here, and the other rows are as they
//! would have been.
#![cfg(all(target_os = "linux", feature = "cli", feature = "faer", feature = "surfaces"))]

mod built;
mod mpass;

use mountainpass::error::Error;
use mountainpass::loss::{Array, Batch, Isolation, Limits, Log, Loss, OpenRequest, Registry, Values};
use mountainpass::pool::Pool;
use mountainpass::run::Cancel;
use mpass::{bars, bytes, file, folder, run, succeeds};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// The hostile plugin, built once.
fn hostile() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| built::c_plugin("hostile.c", &[], &built::folder("isolation"), "hostile"))
}

/// An engine that isolates, and what it has heard.
struct Engine {
    registry: Registry,
    isolation: Arc<Isolation>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Engine {
    fn new(limits: Limits) -> Engine {
        let isolation = Arc::new(Isolation::new(env!("CARGO_BIN_EXE_mpass").into(), limits).unwrap());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let heard = lines.clone();
        let log: Arc<Log> = Arc::new(move |_, line: &str| heard.lock().unwrap().push(line.to_owned()));
        Engine { registry: Registry::with_log(log).isolated(isolation.clone()), isolation, lines }
    }

    fn open(&self, model: &str) -> Result<Box<dyn Loss>, Error> {
        let name = self.registry.load(hostile())?;
        open(&self.registry, &name, model)
    }

    fn lines(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().unwrap())
    }
}

fn open(registry: &Registry, name: &str, model: &str) -> Result<Box<dyn Loss>, Error> {
    registry.open(name, &OpenRequest { model: model.into(), ..OpenRequest::default() }, Arc::new(Pool::new(2)))
}

/// Little memory, and time for a machine that is busy.
fn limits() -> Limits {
    Limits { call: Duration::from_secs(60), memory: 256 << 20 }
}

/// For what never answers: short enough for a test, long enough for everything else.
fn hasty() -> Limits {
    Limits { call: Duration::from_secs(1), ..limits() }
}

/// Losses and gradients as bits, and which rows are good.
type Numbers = (Vec<u64>, Vec<u64>, Vec<bool>);

fn eval(loss: &mut dyn Loss, theta: &[f64], cancel: &Cancel) -> Result<Numbers, Error> {
    let n = theta.len() / 2;
    let (mut value, mut grad, mut ok) = (vec![7.5; n], vec![7.5; 2 * n], vec![false; n]);
    let batch = Batch { theta, ids: None, loss: &mut value, grad: Some(&mut grad), hvp: None, ok: &mut ok, cancel };
    loss.eval(batch)?;
    let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect();
    Ok((bits(value), bits(grad), ok))
}

/// The second of three points is where plugins sin.
const POINTS: [f64; 6] = [0.5, 0.25, 0.1, 1.75, -1.5, 0.75];

/// What a loss that only has no number there answers, in this process.
fn healthy() -> Numbers {
    let registry = Registry::new();
    registry.load(hostile()).unwrap();
    eval(&mut *open(&registry, "hostile", "nan").unwrap(), &POINTS, &Cancel::default()).unwrap()
}

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
                format!("hostile 1.0: row 1 of 3 is marked as not finite: {how}, twice, at theta = 0.1, 1.75"),
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
        "hostile 1.0: eval: exited with status 3; its row is tried once more in a fresh process",
        "hostile 1.0: row 0 of 1 is marked as not finite: exited with status 3, twice, at theta = 0.1, 1.75",
    ];
    assert_eq!(engine.lines(), expected);
}

#[test]
fn what_harms_nobody_else_changes_no_number() {
    let registry = Registry::new();
    registry.load(hostile()).unwrap();
    let here = eval(&mut *open(&registry, "hostile", "").unwrap(), &POINTS, &Cancel::default()).unwrap();
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
                memory that is not its own";
    assert_eq!((error.to_string().as_str(), error.is_usage(), engine.isolation.marked()), (line, false, 32));
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
fn an_end_before_or_after_the_evaluations_is_named_by_its_slot() {
    let engine = Engine::new(limits());
    let refused = |model: &str| engine.open(model).err().unwrap().to_string();
    let plugin = |what: &str| format!("plugin {}: {what}", hostile().display());
    assert_eq!(refused("abort-in-open"), plugin("open: was killed by SIGABRT, abort"));
    let error = Engine::new(hasty()).open("no-exit-from-open").err().unwrap();
    assert_eq!(error.to_string(), plugin("open: gave no answer within 1 s"));
    assert_eq!(refused("no-parameters"), "hostile 1.0: info: params is 0 (the backend breaks the contract)",);
    let huge = refused("2^63");
    assert!(huge.starts_with("hostile 1.0: one gradient of 9223372036854775808 parameters takes more"), "{huge}");
    if mountainpass::memory::total() < 8 << 32 {
        let large = refused("2^32");
        assert!(large.starts_with("hostile 1.0: one gradient of 4294967296 parameters takes 32.0 GiB, and"), "{large}");
    }
    let loss = engine.open("crash-in-start").unwrap();
    let error = loss.start(26).unwrap_err().to_string();
    assert_eq!(error, "hostile 1.0: start: was killed by SIGSEGV, an access to memory that is not its own");
    assert!(loss.bounds().unwrap().is_some(), "a fresh process answers what the dead one did not");
    drop(loss);
    assert_eq!(engine.lines(), [""; 0]);
    drop(engine.open("abort-in-close").unwrap());
    assert_eq!(engine.lines(), ["hostile 1.0: close: was killed by SIGABRT, abort"]);
    drop(engine.open("loud").unwrap());
    assert_eq!(engine.lines(), ["hostile 1.0: a line of a log"]);
}

#[test]
fn files_that_are_no_plugin_are_refused_in_the_words_of_this_process() {
    let folder = built::folder("isolation");
    let text = folder.join("text.so");
    std::fs::write(&text, "I am not a shared library.\n").unwrap();
    // An ELF file like our own, but for machine 0x28: 32-bit ARM.
    let mut foreign = std::fs::read(hostile()).unwrap();
    foreign[18..20].copy_from_slice(&[0x28, 0]);
    let arm = folder.join("arm.so");
    std::fs::write(&arm, foreign).unwrap();
    let bad = |define: &str, name: &str| built::c_plugin("bad.c", &[define], &folder, name);
    let name = built::c_plugin("hostile.c", &["NAME=\"gr\\xfcn\""], &folder, "latin");
    let files = [text, arm, bad("NULL_EVAL", "null"), bad("SIZE_ZERO", "zero"), bad("REFUSES", "refuses"), name];
    for file in files.into_iter().chain([folder.join("absent.so")]) {
        let here = Registry::new().load(&file).unwrap_err();
        let apart = Engine::new(limits()).registry.load(&file).unwrap_err();
        assert_eq!((apart.to_string(), apart.code()), (here.to_string(), here.code()));
    }
    let crash = built::c_plugin("hostile.c", &["CRASH_IN_ENTRY"], &folder, "entry");
    let error = Engine::new(limits()).registry.load(&crash).unwrap_err().to_string();
    let line = "load: was killed by SIGSEGV, an access to memory that is not its own";
    assert_eq!(error, format!("plugin {}: {line}", crash.display()));
}

/// Whoever lists what a file holds does not trust it yet.
#[test]
fn a_list_of_backends_outlives_the_plugins_in_it() {
    let folder = folder("list");
    let listed = |define: &str| {
        built::c_plugin("hostile.c", &[define], &folder, "mine");
        let ended = run(&folder, &["backends", "--load", "mine.so"]);
        (ended.code, ended.stdout, ended.stderr)
    };
    let path = folder.join("mine.so").canonicalize().unwrap_or_else(|_| folder.join("mine.so"));
    let refused = |text: &str| (Some(2), String::new(), format!("mpass: plugin {}: {text}\n", path.display()));
    let crash = "load: was killed by SIGSEGV, an access to memory that is not its own";
    assert_eq!(listed("CRASH_ON_LOAD"), refused(crash));
    assert_eq!(listed("CRASH_IN_ENTRY"), refused(crash));
    assert_eq!(listed("EXIT_ON_LOAD"), refused("load: exited with status 0"));
    assert_eq!(listed("ABORT_IN_PROBE"), refused("probe: was killed by SIGABRT, abort"));
    assert_eq!(listed("DECENT").1.lines().filter(|line| line.starts_with("hostile ")).count(), 1);
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
fn a_plugin_that_writes_over_the_shared_memory_harms_its_own_batch_only() {
    let (engine, known) = (Engine::new(limits()), healthy());
    let mut loss = engine.open("scribble-in").unwrap();
    for _ in 0..5 {
        let (value, _, ok) = eval(&mut *loss, &POINTS, &Cancel::default()).unwrap();
        assert_eq!(
            (&value[..1], &ok[..]),
            (&known.0[..1], &[true, true, false][..]),
            "the third theta is no number now"
        );
        let good = [POINTS[0], POINTS[1], POINTS[4], POINTS[5]];
        let (value, _, ok) = eval(&mut *loss, &good, &Cancel::default()).unwrap();
        assert_eq!((value, ok), (vec![known.0[0], known.0[2]], vec![true; 2]));
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

#[test]
fn other_programs_are_no_servers() {
    for (program, says) in [
        ("/bin/true", "/bin/true exited with status 0: to isolate backends it must be mpass "),
        ("/nowhere/mpass", "/nowhere/mpass: No such file or directory"),
    ] {
        let isolation = Isolation::new(program.into(), limits()).unwrap();
        let error = Registry::new().isolated(Arc::new(isolation)).load(hostile()).unwrap_err().to_string();
        assert!(error.starts_with(says), "{error}");
    }
    let ended = run(&folder("by-hand"), &["serve-loss", "--threads", "1", "--memory", "1", "--backend", "faer"]);
    let line = "mpass: serve-loss is started by `mpass run --isolate`, never by hand\n";
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(2), line));
}

#[test]
fn every_answer_of_a_network_arrives_as_it_was() {
    use mountainpass::loss::Split;
    let x: Vec<f64> = (0..60).map(|i| f64::from(i * 7 % 13) / 13.0).collect();
    let y: Vec<u64> = (0..20).map(|i| i % 3).collect();
    let data = [
        Array { name: "x", shape: &[20, 3], values: Values::F64(&x) },
        Array { name: "y", shape: &[20], values: Values::U64(&y) },
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
    assert_eq!(engine.registry.devices("faer").unwrap(), Engine::new(limits()).devices_here());
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

impl Engine {
    fn devices_here(&self) -> Vec<mountainpass::loss::Device> {
        let registry = Registry::new();
        registry.register::<mountainpass_faer::Faer>().unwrap();
        registry.devices("faer").unwrap()
    }
}

const RUN: &str = "[loss]\nplugin = \"PLUGIN\"\nmodel = \"MODEL\"\n[minima]\nstarts = 8\nseed = 1\n";

/// A configuration of the hostile plugin in `folder`.
fn config(folder: &Path, model: &str) -> String {
    let name = format!("{model}.toml");
    file(folder, &name, RUN.replace("PLUGIN", hostile().to_str().unwrap()).replace("MODEL", model));
    name
}

#[test]
fn a_run_goes_on_past_rows_that_end_the_process() {
    let folder = folder("past-crashes");
    succeeds(&folder, &["run", &config(&folder, "nan")]);
    let known = mpass::barcode(&folder.join("nan"));
    assert_eq!(bars(&known).len(), 2);
    for model in ["crash", "exit"] {
        let ended = succeeds(&folder, &["run", &config(&folder, model), "--isolate", "--isolate-seconds", "30"]);
        let barcode = mpass::barcode(&folder.join(model));
        for what in ["bars", "scores", "minima"] {
            assert_eq!(barcode[what], known[what], "{model}");
        }
        let marked = ended.stderr.matches("is marked as not finite").count();
        let summary = format!("rows that the backend did not survive and that count as not finite: {marked}\n");
        assert!(marked > 0 && ended.stderr.contains(&summary), "{}", ended.stderr);
    }
    let ended = run(&folder, &["run", &config(&folder, "abort-in-open"), "--isolate"]);
    let line = format!("mpass: plugin {}: open: was killed by SIGABRT, abort\n", hostile().display());
    assert_eq!((ended.code, ended.stderr), (Some(2), line));
    let ended = run(&folder, &["run", &config(&folder, "always"), "--isolate"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
}

#[test]
fn isolation_changes_no_byte_of_a_barcode() {
    let folder = folder("isolated-bytes");
    file(&folder, "camel.toml", "[loss]\nbackend = \"surfaces\"\nmodel = \"three-hump-camel\"\n[minima]\nstarts = 8\n");
    let digits = "[loss]\nbackend = \"faer\"\nmodel = \"mlp:64-2-10:tanh\"\ndata = \"digits\"\nlimit = 60\nl2 = 1e-2\n\
                  [minima]\nstarts = 2\n[paths]\nvisits = 2\n";
    file(&folder, "digits.toml", digits);
    config(&folder, "print");
    for name in ["camel", "digits", "print"] {
        let config = format!("{name}.toml");
        let here = succeeds(&folder, &["run", &config, "--out", "here", "--force"]);
        let apart = succeeds(&folder, &["run", &config, "--out", "apart", "--force", "--isolate"]);
        for file in ["barcode.json", "barcode.csv", "report.html"] {
            assert!(bytes(&folder.join("here"), file) == bytes(&folder.join("apart"), file), "{name}: {file}");
        }
        // What a plugin prints is no result.
        assert!(!apart.stdout.contains("hello"));
        assert_eq!(name == "print", here.stdout.contains("hello") && apart.stderr.contains("hello from call 1\n"));
        // One folder, with and without isolation.
        assert!(succeeds(&folder, &["run", &config, "--out", "here", "--isolate"]).stderr.contains("already complete"));
    }
}

#[test]
fn bad_limits_are_refused() {
    let folder = folder("bad-limits");
    let config = config(&folder, "nan");
    for (seconds, line) in [
        ("0", "mpass: --isolate-seconds 0: a positive number is needed\n"),
        ("nan", "mpass: --isolate-seconds NaN: a positive number is needed\n"),
    ] {
        let ended = run(&folder, &["run", &config, "--isolate", "--isolate-seconds", seconds]);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(2), line));
    }
    let ended = run(&folder, &["run", &config, "--isolate-memory", "100"]);
    assert!(ended.code == Some(2) && ended.stderr.contains("--isolate"), "{}", ended.stderr);
    let ended = run(&folder, &["run", &config, "--isolate", "--isolate-memory", "1"]);
    assert!(ended.code != Some(0) && !ended.stderr.contains("panicked"), "{}", ended.stderr);
}

/// Waits until a process is no more, or only waits for its parent to take notice.
fn is_gone(process: &str) -> bool {
    let gone = || {
        let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        status.rsplit(") ").next().is_none_or(|rest| rest.is_empty() || rest.starts_with(['Z', 'X']))
    };
    (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        gone()
    })
}

/// The number behind a word on standard error.
fn number_behind(word: &str, from: impl std::io::Read) -> String {
    let lines = BufReader::new(from).lines().map_while(Result::ok);
    let found = lines.filter_map(|line| Some(line.strip_prefix(word)?.trim().to_owned())).next();
    found.unwrap_or_else(|| panic!("no line begins with {word}"))
}

#[test]
fn processes_end_with_the_engine_and_with_the_backend_that_started_them() {
    let folder = folder("ends");
    let mut command = mpass::mpass(&folder, ["run", &config(&folder, "slow"), "--isolate"]);
    let mut run = command.spawn().unwrap();
    let process = number_behind("process", run.stderr.take().unwrap());
    run.kill().unwrap(); // SIGKILL: nothing of ours runs any more.
    run.wait().unwrap();
    assert!(is_gone(&process), "a server outlives its engine");

    let mut run = mpass::mpass(&folder, ["run", &config(&folder, "family"), "--isolate"]).spawn().unwrap();
    let child = number_behind("child", run.stderr.take().unwrap());
    assert!(run.wait().unwrap().success());
    assert!(is_gone(&child), "a child of a plugin outlives its server");
}
