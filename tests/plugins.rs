//! Plugins in C through the whole way in: file, entry symbol, table, loss; and every bad one gives its one clear line.

mod built;

use mountainpass::error::Error;
use mountainpass::loss::{Batch, Dtype, Kind, Loss, OpenRequest, Registry};
use mountainpass::machine::pool::Pool;
use mountainpass::run::Cancel;
use mountainpass_sdk::abi;
use std::ffi::{CStr, c_char, c_void};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn pool() -> Arc<Pool> {
    Arc::new(Pool::new(2))
}

fn request(model: &str, options: &[(&str, &str)]) -> OpenRequest<'static> {
    let options = options.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    OpenRequest { model: model.into(), options, ..OpenRequest::default() }
}

/// Losses, gradients where the loss has one, and which rows are good.
struct Answer {
    loss: Vec<f64>,
    grad: Vec<f64>,
    ok: Vec<bool>,
}

fn eval(loss: &mut dyn Loss, theta: &[f64]) -> Result<Answer, Error> {
    let n = theta.len() / loss.info().params;
    // Neither zeros nor NaN: what is not written shows.
    let mut answer = Answer { loss: vec![7.5; n], grad: vec![7.5; theta.len()], ok: vec![false; n] };
    let grad = loss.info().caps.grad;
    loss.eval(Batch {
        theta,
        ids: None,
        loss: &mut answer.loss,
        grad: grad.then_some(&mut answer.grad),
        hvp: None,
        ok: &mut answer.ok,
        cancel: &Cancel::default(),
    })?;
    Ok(answer)
}

/// A registry with `tests/plugins/<source>` loaded, and the name of its backend.
fn loaded(source: &str, define: &[&str], file: &str) -> Result<(Registry, String), Error> {
    let path = built::c_plugin(source, define, &built::folder("plugins"), file);
    let registry = Registry::new();
    let name = registry.load(&path)?;
    Ok((registry, name))
}

#[test]
fn a_plugin_in_c_loads_and_evaluates() {
    let (registry, name) = loaded("quad_well.c", &[], "libmpass_quad-well").unwrap();
    assert_eq!((name.as_str(), registry.names()), ("quad-well", vec!["quad-well".to_owned()]));
    assert_eq!(registry.devices("quad-well").unwrap()[0].name, "cpu");
    let mut loss = registry.open("quad-well", &request("double-well", &[("n", "3")]), pool()).unwrap();
    drop(registry); // An open loss needs it no more.
    let info = loss.info();
    assert_eq!((info.params, info.rows_max, info.dtype, info.version.as_str()), (3, 8, Dtype::F64, "1.0"));

    // 20 rows in calls of at most 8.
    let theta: Vec<f64> = (0..60).map(|i| f64::from(i) / 7.0 - 4.0).collect();
    let answer = eval(&mut *loss, &theta).unwrap();
    for (row, x) in theta.chunks(3).enumerate() {
        let wall = x[0] * x[0] - 1.0;
        // Equal up to the order of additions.
        assert!(
            (answer.loss[row] - (wall * wall + x[1] * x[1] + x[2] * x[2])).abs() < 1e-12 * answer.loss[row].max(1.0)
        );
        assert_eq!(answer.grad[3 * row..3 * row + 3], [4.0 * x[0] * wall, 2.0 * x[1], 2.0 * x[2]]);
    }
    assert!(answer.ok.iter().all(|&ok| ok));

    let (start, bounds) = (loss.start(26).unwrap().unwrap(), loss.bounds().unwrap().unwrap());
    assert_eq!((bounds.lower, bounds.upper), (vec![-2.0; 3], vec![2.0; 3]));
    assert!(start.iter().all(|x| (-2.0..2.0).contains(x)));
    assert!(loss.parameters().unwrap().is_empty() && loss.symmetries().unwrap().is_empty());
    assert!(loss.metric_names(mountainpass::loss::Split::Train).unwrap().is_empty());
}

#[test]
fn a_row_that_overflows_is_flagged_and_fails_no_other() {
    let (registry, _) = loaded("quad_well.c", &[], "libmpass_overflow").unwrap();
    let mut loss = registry.open("quad-well", &request("quadratic", &[]), pool()).unwrap();
    let answer = eval(&mut *loss, &[1.0, 2.0, 1e200, 0.0, 3.0, 4.0]).unwrap();
    assert_eq!((answer.ok, answer.loss[0], answer.loss[2]), (vec![true, false, true], 2.5, 12.5));
    assert!(answer.loss[1].is_nan() && answer.grad[2].is_nan());
}

#[test]
fn what_a_backend_refuses_is_said_in_its_own_words() {
    let (registry, _) = loaded("quad_well.c", &[], "libmpass_refuses").unwrap();
    let refused = |request: OpenRequest<'_>| registry.open("quad-well", &request, pool()).err().unwrap();
    for (request, line) in [
        (request("tripple-well", &[]), "open: no model \"tripple-well\": there are quadratic and double-well"),
        (request("quadratic", &[("m", "3")]), "open: no option \"m\": there is n"),
        (request("quadratic", &[("n", "0")]), "open: n = \"0\" is not from 1 to 1000000"),
    ] {
        let error = refused(request);
        assert_eq!((error.to_string(), error.is_usage()), (format!("quad-well 1.0: {line}"), true));
    }
    let single = OpenRequest { dtype: Some(Dtype::F32), ..request("quadratic", &[]) };
    let line = "quad-well 1.0: dtype f32 is not offered for this loss, only f64: leave dtype out";
    assert_eq!(refused(single).to_string(), line);
    let error = registry.open("quad-wel", &request("quadratic", &[]), pool()).err().unwrap();
    assert_eq!(error.to_string(), "unknown backend \"quad-wel\"; the nearest is \"quad-well\"");
    let mut loss = registry.open("quad-well", &request("quadratic", &[]), pool()).unwrap();
    let (theta, mut values, mut hvp, mut ok) = ([1.0; 2], [0.0; 1], [0.0; 2], [false]);
    let cancel = Cancel::default();
    let batch = Batch {
        theta: &theta,
        ids: None,
        loss: &mut values,
        grad: None,
        hvp: Some((&theta, &mut hvp)),
        ok: &mut ok,
        cancel: &cancel,
    };
    let line = "quad-well: the loss has no Hessian-vector product (MPASS_CAP_HVP is not claimed)";
    assert_eq!(loss.eval(batch).unwrap_err().to_string(), line);
}

#[test]
fn every_file_that_is_no_plugin_gives_one_clear_line() {
    let folder = built::folder("bad");
    let text = folder.join("text.so");
    std::fs::write(&text, "I am not a shared library.\n").unwrap();
    let bad = |define: &str| built::c_plugin("bad.c", &[define], &folder, &define.replace('=', "-"));
    for (path, line) in [
        (
            bad("mpass_backend_entry_v0=something_else"),
            "exports no mpass_backend_entry_v0: it is no mountainpass plugin",
        ),
        (
            bad("mpass_backend_entry_v0=mpass_backend_entry_v7"),
            "speaks version 7 of the plugin contract, this engine speaks version 0: rebuild the plugin against this \
             engine's headers",
        ),
        (bad("REFUSES"), "refuses: no licence for this machine"),
        (bad("SILENT"), "refuses to load and does not say why"),
        (bad("NULL_EVAL"), "its table breaks the contract: slot eval is NULL"),
        (bad("SHORT_TABLE"), "its table breaks the contract: slot close is NULL"),
        (
            bad("SIZE_ZERO"),
            "its table breaks the contract: struct_size of mpass_backend is 0: it must be sizeof(mpass_backend)",
        ),
        (folder.join("absent.so"), "No such file or directory (os error 2)"),
    ] {
        let error = Registry::new().load(&path).unwrap_err();
        assert_eq!(error.to_string(), format!("plugin {}: {line}", path.display()));
    }
    // The rest of this line is the system loader's.
    let error = Registry::new().load(&text).unwrap_err().to_string();
    let said = error.strip_prefix(&format!("plugin {}: ", text.display())).unwrap();
    assert!(!said.is_empty() && !said.contains(['\n', '/']), "{error}");
}

#[test]
fn a_backend_that_nobody_registered_is_found_by_its_name() {
    let folder = built::folder("search");
    built::c_plugin("quad_well.c", &[], &folder, "libmpass_quad-well");
    built::c_plugin("quad_well.c", &[], &folder, "libmpass_renamed");
    // The environment of a process of its own: this one has threads.
    let child = |path: &std::path::Path| {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "child_opens_by_name", "--ignored", "--nocapture"]).env("MPASS_BACKEND_PATH", path);
        String::from_utf8(child.current_dir(&folder).output().unwrap().stdout).unwrap()
    };
    let found = child(&folder);
    assert!(found.contains("quad-well: opened"), "{found}");
    let renamed = folder.join("libmpass_renamed.so");
    let line = "calls its backend \"quad-well\", not \"renamed\": rename the file";
    assert!(found.contains(&format!("renamed: plugin {}: {line}", renamed.display())), "{found}");
    let lost = child(Path::new("."));
    assert!(lost.contains("quad-well: unknown backend \"quad-well\"; there is no libmpass_quad-well.so in "), "{lost}");
}

#[test]
#[ignore = "run by a_backend_that_nobody_registered_is_found_by_its_name"]
fn child_opens_by_name() {
    for name in ["quad-well", "renamed"] {
        match Registry::new().open(name, &request("quadratic", &[]), pool()) {
            Ok(_) => println!("{name}: opened"),
            Err(error) => println!("{name}: {error}"),
        }
    }
}

#[test]
fn a_table_of_a_later_minor_is_welcome_and_a_file_may_be_loaded_twice() {
    let path = built::c_plugin("bad.c", &["FUTURE"], &built::folder("future"), "future");
    let registry = Registry::new();
    assert_eq!(registry.load(&path).unwrap(), "future");
    assert_eq!(registry.load(&path).unwrap(), "future");
    assert_eq!(registry.version("future").unwrap(), "9.0");
    let copy = path.with_file_name("copy.so");
    std::fs::copy(&path, &copy).unwrap();
    let error = registry.load(&copy).unwrap_err().to_string();
    assert!(error.starts_with("there is a backend \"future\" already, from "), "{error}");
}

/// The answer of bad.c to 64 rows whose first entry is `sin`.
fn sin(registry: &Registry, sin: u32) -> Result<Answer, Error> {
    let mut loss = registry.open("bad", &OpenRequest::default(), pool()).unwrap();
    let mut theta = vec![0.0; 128];
    theta[0] = f64::from(sin);
    let first = eval(&mut *loss, &theta);
    theta[0] = 0.0;
    let trusted = !matches!(first, Err(Error::Backend { .. }));
    assert_eq!(eval(&mut *loss, &theta).is_ok(), trusted, "a broken promise poisons the loss, nothing else does");
    first
}

#[test]
fn a_broken_promise_is_named_with_backend_slot_and_row() {
    let (registry, _) = loaded("bad.c", &[], "bad").unwrap();
    let breaks = "(the backend breaks the contract)";
    for (number, line) in [
        (1, format!("bad 1.0: eval: row 3 of 64: loss is NaN but row_status is 0 {breaks}")),
        (3, format!("bad 1.0: eval: row 1 of 64: row_status is 99, neither 0 nor MPASS_E_NUMERIC {breaks}")),
        (4, format!("bad 1.0: eval: row 2 of 64: grad[1] is inf but row_status is 0 {breaks}")),
        (6, format!("bad 1.0: eval: {} (unknown status 77)", "x".repeat(508))),
        (7, "bad 1.0: eval: status 6 without a text".into()),
    ] {
        assert_eq!(sin(&registry, number).err().unwrap().to_string(), line);
    }
    let flagged = sin(&registry, 2).unwrap();
    assert_eq!(flagged.ok.iter().position(|ok| !ok), Some(3));
    assert_eq!(flagged.ok.iter().filter(|ok| !**ok).count(), 1);
    if cfg!(debug_assertions) {
        let line = format!("bad 1.0: eval: wrote past the end of loss (64 values) {breaks}");
        assert_eq!(sin(&registry, 5).err().unwrap().to_string(), line);
    }
}

/// A backend of this very process: the loss of one parameter whose minimum is the registered number.
struct Captured {
    minimum: f64,
    dropped: Arc<AtomicUsize>,
}

unsafe extern "C" fn probe(_: u32) -> *const abi::Device {
    std::ptr::null()
}

unsafe extern "C" fn open(
    _: *const abi::Host,
    open: *const abi::Open,
    out: *mut *mut c_void,
    _: *mut abi::Error,
) -> abi::Status {
    // SAFETY: the engine's request.
    let user = unsafe { (*open).user };
    // SAFETY: the engine's memory.
    unsafe { out.write(user) };
    abi::status::OK
}

unsafe extern "C" fn info(_: *const c_void) -> *const abi::LossInfo {
    static INFO: abi::LossInfo = abi::LossInfo {
        struct_size: abi::LossInfo::SIZE,
        params: 1,
        dtypes: 1 << abi::dtype::F32,
        memories: 1 << abi::memory::HOST,
        ..abi::LossInfo::zeroed()
    };
    &raw const INFO
}

unsafe extern "C" fn squared_distance(loss: *mut c_void, call: *const abi::Eval, _: *mut abi::Error) -> abi::Status {
    // SAFETY: the handle is the registered `Captured`.
    let captured = unsafe { &*loss.cast::<Captured>() };
    // SAFETY: the engine's call.
    let call = unsafe { &*call };
    for row in 0..call.theta.rows as usize {
        // SAFETY: rows of one f32.
        let x = unsafe { *call.theta.data.cast::<f32>().wrapping_add(row) };
        let distance = f64::from(x) - captured.minimum;
        // SAFETY: mpass_eval.loss, "out n".
        unsafe { call.loss.wrapping_add(row).write(distance * distance) };
    }
    abi::status::OK
}

unsafe extern "C" fn close(_: *mut c_void) {}

unsafe extern "C" fn drop_captured(user: *mut c_void) {
    // SAFETY: the box that was registered, once.
    let captured = unsafe { Box::from_raw(user.cast::<Captured>()) };
    captured.dropped.fetch_add(1, Ordering::SeqCst);
}

fn callback(name: &'static CStr) -> abi::Backend {
    abi::Backend {
        struct_size: abi::Backend::SIZE,
        abi_minor: abi::MINOR,
        name: name.as_ptr().cast::<c_char>(),
        version: c"0".as_ptr(),
        probe: Some(probe),
        open: Some(open),
        info: Some(info),
        eval: Some(squared_distance),
        close: Some(close),
        extension: None,
    }
}

#[test]
fn two_callbacks_with_different_captures_live_in_one_registry() {
    let (registry, dropped) = (Registry::new(), Arc::new(AtomicUsize::new(0)));
    let captured = |minimum| Box::into_raw(Box::new(Captured { minimum, dropped: dropped.clone() })).cast();
    // SAFETY: tables of the contract with static texts and slots; every pointer is a boxed `Captured`.
    let register = |name, user| unsafe { registry.register_callback(&callback(name), user, Some(drop_captured)) };
    register(c"three", captured(3.0)).unwrap();
    register(c"five", captured(5.0)).unwrap();
    let third = captured(7.0);
    let error = register(c"five", third).unwrap_err();
    assert_eq!(error.to_string(), "there is a backend \"five\" already");
    assert_eq!(dropped.load(Ordering::SeqCst), 0, "after an error the pointer stays the caller's");
    // SAFETY: it stayed ours.
    unsafe { drop_captured(third) };

    let mut three = registry.open("three", &OpenRequest::default(), pool()).unwrap();
    let mut five = registry.open("five", &OpenRequest::default(), pool()).unwrap();
    drop(registry);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    assert_eq!(three.info().dtype, Dtype::F32);
    assert_eq!(eval(&mut *three, &[3.0, 4.0, 0.1]).unwrap().loss, [0.0, 1.0, (f64::from(0.1_f32) - 3.0).powi(2)]);
    assert_eq!(eval(&mut *five, &[3.0, 4.0]).unwrap().loss, [4.0, 1.0]);
    drop(three);
    assert_eq!(dropped.load(Ordering::SeqCst), 2, "a pointer goes with the last loss of its backend");
    drop(five);
    assert_eq!(dropped.load(Ordering::SeqCst), 3);
}

#[test]
fn a_parameter_that_is_no_number_makes_a_bad_row_not_a_broken_promise() {
    let registry = Registry::new();
    let minimum = Box::into_raw(Box::new(Captured { minimum: 0.0, dropped: Arc::default() }));
    // SAFETY: as above.
    unsafe { registry.register_callback(&callback(c"zero"), minimum.cast(), Some(drop_captured)) }.unwrap();
    let mut loss = registry.open("zero", &OpenRequest::default(), pool()).unwrap();
    // 1e300 is no f32 but infinity.
    assert_eq!(eval(&mut *loss, &[1.0, f64::NAN, 2.0, 1e300]).unwrap().ok, [true, false, true, false]);
}

#[test]
fn options_that_a_backend_declares_are_read() {
    let (registry, name) = loaded("declares.c", &[], "declares").unwrap();
    let [points, mask, scale] = &registry.options(&name).unwrap()[..] else { panic!("three options") };
    assert_eq!((points.name.as_str(), points.kind, &points.default), ("points", Kind::Path, &None));
    assert_eq!((mask.about.as_str(), mask.words.len()), ("A file of weights.", 0));
    assert_eq!(
        (scale.default.as_deref(), &scale.words[..]),
        (Some("linear"), &["linear", "log"].map(str::to_owned)[..])
    );
    assert!(points.is_path("none.csv") && !points.is_path("none") && !scale.is_path("none.csv"));
    for (source, define) in [("declares.c", "SILENT"), ("quad_well.c", "NDEBUG")] {
        let (registry, name) = loaded(source, &[define], "declares-nothing").unwrap();
        assert_eq!(registry.options(&name).unwrap(), []);
    }
}

#[test]
fn an_option_whose_record_is_broken_is_one_line() {
    let option = |name: &str, about: &str, default: &str, words: &str, kind: &str| {
        let text = |text: &str| if text == "NULL" { text.to_owned() } else { format!("\"{text}\"") };
        let [name, about, default, words] = [name, about, default, words].map(text);
        format!("BROKEN={{ {name}, {about}, {default}, {words}, {kind}, 0 }}")
    };
    for (i, (broken, line)) in [
        (option("NULL", "b", "NULL", "NULL", "1"), "option 3: it has no name"),
        (option("", "b", "NULL", "NULL", "1"), "option 3: it has no name"),
        (option("gr\\xFCn", "b", "NULL", "NULL", "1"), "option 3: its name is not UTF-8"),
        (option("mask", "b", "NULL", "NULL", "1"), "\"mask\" is declared twice"),
        (option("a", "NULL", "NULL", "NULL", "1"), "option 3: \"a\": it has no sentence"),
        (option("a", "b", "NULL", "NULL", "0"), "option 3: \"a\": unknown kind 0"),
        (option("a", "b", "\\xFC", "NULL", "1"), "option 3: \"a\": its default is not UTF-8"),
        (option("a", "b", "c", "d e", "1"), "option 3: \"a\": its default \"c\" is none of its values"),
        (option("a", "b", "1.5", "NULL", "2"), "option 3: \"a\": its default \"1.5\" is none of its values"),
        (option("a", "b", "yes", "NULL", "4"), "option 3: \"a\": its default \"yes\" is none of its values"),
        (option("a", "b", "d,f", "d e", "6"), "option 3: \"a\": its default \"d,f\" is none of its values"),
    ]
    .into_iter()
    .enumerate()
    {
        let (registry, name) = loaded("declares.c", &[&broken], &format!("declares-{i}")).unwrap();
        let said = registry.options(&name).err().map(|error| error.to_string());
        assert_eq!(said, Some(format!("declares 1.0: options: {line} (the backend breaks the contract)")), "{broken}");
    }
}

/// quad_well.c against other headers than ours.
fn of_headers(headers: &Path, name: &str) -> Registry {
    let path = built::c_plugin_with(headers, "quad_well.c", &[], &built::folder(name), "libmpass_quad-well");
    let registry = Registry::new();
    registry.load(&path).unwrap();
    registry
}

fn answers(registry: &Registry, request: &OpenRequest<'_>) -> Vec<f64> {
    let mut loss = registry.open("quad-well", request, pool()).unwrap();
    eval(&mut *loss, &[1.0, 2.0, -3.0, 0.5]).unwrap().loss
}

#[test]
fn a_plugin_built_against_an_older_header_loads_and_is_not_asked_what_it_cannot_know() {
    let old = of_headers(&built::root().join("tests/plugins/minor-0"), "older");
    let plain = request("quadratic", &[]);
    assert_eq!(answers(&old, &plain), [2.5, 4.625]);
    let repeatable = OpenRequest { repeatable: true, ..plain };
    let line = "quad-well 1.0: mpass_open.repeatable came with minor 1 of the contract and this plugin speaks minor 0: \
                leave it out, or rebuild the plugin";
    let refused = old.open("quad-well", &repeatable, pool()).err().unwrap();
    assert_eq!((refused.to_string().as_str(), refused.code()), (line, abi::status::UNSUPPORTED));
    let new = of_headers(&built::root().join("include"), "present");
    assert_eq!(answers(&new, &repeatable), [2.5, 4.625]);
}

#[test]
fn a_plugin_built_against_a_longer_header_loads() {
    let folder = built::folder("longer");
    for name in ["mountainpass_base.h", "mountainpass_backend.h"] {
        let mut text = std::fs::read_to_string(built::root().join("include").join(name)).unwrap();
        let sized = ["mpass_open", "mpass_host", "mpass_device", "mpass_loss_info", "mpass_eval", "mpass_backend"];
        for end in sized.map(|record| format!("}} {record};")) {
            text = text.replace(&end, &format!("  uint64_t later[5];\n{end}"));
        }
        text = text.replace("MPASS_BACKEND_MINOR 1u", "MPASS_BACKEND_MINOR 9u");
        std::fs::write(folder.join(name), text).unwrap();
    }
    assert_eq!(answers(&of_headers(&folder, "longer"), &request("quadratic", &[])), [2.5, 4.625]);
}
