//! `examples/python` against the shared library, in numpy alone.
//!
//! They need a python3 that has numpy: the one of MPASS_PYTHON, or python3. Without it the tests say so and pass, unless
//! MPASS_REQUIRE_PYTHON=1, as `.ci/run` sets it.

mod built;

use built::python;
use mountainpass::capi::abi as callers;
use mountainpass_sdk::abi;
use std::path::Path;
use std::process::{Command, Output};

/// What a program printed to its output and its errors; `wanted` is its exit status.
fn printed(command: &mut Command, wanted: i32) -> (String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
    assert_eq!(status.code(), Some(wanted), "{stdout}{stderr}");
    (stdout, stderr)
}

/// What a script prints that ends well.
fn script(text: &str) -> Option<String> {
    let (stdout, stderr) = printed(python()?.arg("-c").arg(text), 0);
    assert_eq!(stderr, "");
    Some(stdout)
}

/// The bars that an example prints.
fn bars(example: &str) -> Option<Vec<(f64, f64)>> {
    let file = built::root().join("examples/python").join(example);
    let (stdout, stderr) = printed(python()?.arg(file), 0);
    assert_eq!(stderr, "");
    let bar = |line: &str| {
        let (birth, death) = line.strip_prefix("born at ")?.split_once(", dies at ")?;
        Some((birth.parse().ok()?, death.split_whitespace().next()?.parse().ok()?))
    };
    Some(stdout.lines().filter_map(bar).collect())
}

fn assert_close(found: &[(f64, f64)], known: &[(f64, f64)]) {
    assert_eq!(found.len(), known.len(), "{found:?}");
    for (found, known) in found.iter().zip(known) {
        // Six decimals are printed; a death is bracketed to 1e-6 of its height above the birth.
        let close = |a: f64, b: f64| a == b || (a - b).abs() < 1e-6 + 2e-6 * b.abs();
        assert!(close(found.0, known.0) && close(found.1, known.1), "{found:?} where {known:?} is known");
    }
}

#[test]
fn himmelblau_in_numpy_has_its_known_barcode() {
    let Some(mut found) = bars("himmelblau.py") else { return };
    found.sort_by(|a, b| a.1.total_cmp(&b.1)); // All births are 0.
    // The saddles of Himmelblau's function, from the polynomials of its stationary points: see backends/surfaces.
    assert_close(&found, &[(0.0, 13.311926), (0.0, 67.719150), (0.0, 104.015163), (0.0, f64::INFINITY)]);
}

#[test]
fn a_unit_and_its_negative_are_parted_by_the_zero_function() {
    // v tanh(w x) fits its data with two signs of (w, v); on the way one of the two is 0, and the output with it.
    let Some(found) = bars("network.py") else { return };
    let teacher = (0..41).map(|i| 0.8 * (1.5 * (-2.0 + 0.1 * f64::from(i))).tanh());
    let power = teacher.map(|y| y * y).sum::<f64>() / 41.0;
    assert_close(&found, &[(0.0, f64::INFINITY), (0.0, power)]);
}

#[test]
fn rows_are_read_only_views_and_starts_and_boxes_arrive() {
    let text = "
import mpass, numpy as np
seeds = []
def start(seed):
    seeds.append(seed)
    return [0.5, -0.5][seed % 2], 3
def f(x):
    assert not x.flags.owndata and not x.flags.writeable and x.dtype == float and x.shape == (2,)
    try: x[0] = 1
    except ValueError: pass
    else: raise AssertionError('the engine\\'s memory can be written')
    a, b = x
    return np.array(a**4 / 4 - a**2 / 2 + (b - 1)**2), [a**3 - a, 2 * (b - 1)]
found = mpass.barcode(f, 2, box=(-2, [2, 2]), starts=3, seed=7, start=start)
# Seeds 0 to 8 tell the unit of length.
print(seeds[:9] == list(range(9)), seeds[9:], found.complete, [round(bar.death, 5) + 0 for bar in found])
print(sorted(bar.theta.round(6).tolist() for bar in found))
";
    let Some(text) = script(text) else { return };
    assert_eq!(text, "True [7, 8, 9] True [inf, 0.0]\n[[-1.0, 1.0], [1.0, 1.0]]\n");
}

#[test]
fn what_python_raises_is_one_line_and_the_cause() {
    let run = |f: &str, call: &str| {
        let text =
            format!("import mpass, numpy as np\ncalls = []\ndef f(x):\n    {f}\n    return x @ x, 2 * x\n{call}\n");
        Some(printed(python()?.arg("-c").arg(text), 1).1)
    };
    let cases = [
        (
            "calls.append(1); calls[20:] and {}['weights']",
            "mpass.barcode(f, 2)",
            "KeyError: 'weights'\n",
            "mpass.Error: python 1: eval: KeyError: 'weights'\n",
        ),
        (
            "return 0, np.ones(3)",
            "mpass.barcode(f, 2)",
            "ValueError: the gradient has 3 entries where there are 2 parameters\n",
            "mpass.Error: python 1: eval: ValueError: the gradient has 3 entries where there are 2 parameters\n",
        ),
        (
            "return 1",
            "mpass.barcode(f, 2)",
            "TypeError: cannot unpack non-iterable int object\n",
            "mpass.Error: python 1: eval: TypeError: cannot unpack non-iterable int object\n",
        ),
        (
            "pass",
            "mpass.barcode(f, 2, start=lambda seed: [seed])",
            "ValueError: start(1) has 1 entries where there are 2 parameters\n",
            "mpass.Error: python 1: start: ValueError: start(1) has 1 entries where there are 2 parameters\n",
        ),
        (
            "pass",
            "mpass.barcode(f, 2, starts=0)",
            "",
            "mpass.Error: [minima] starts = 0: at least one start is needed\n",
        ),
        ("pass", "mpass.barcode(f, 2, library='/nowhere/lib.so')", "", "mpass.Error: /nowhere/lib.so: "),
    ];
    for (f, call, cause, line) in cases {
        let Some(said) = run(f, call) else { return };
        assert!(said.contains(cause) && said.contains(line), "{f}, {call}:\n{said}");
        assert!(said.lines().last().unwrap().len() < 250, "{said}");
    }
}

#[test]
fn an_interrupt_keeps_what_was_found_and_a_second_one_stops_the_function() {
    let text = "
import mpass, os, signal
from himmelblau import himmelblau
calls, often = 0, 1
def f(x):
    global calls
    calls += 1
    if calls == 3000:
        os.kill(os.getpid(), signal.SIGINT)
        if often == 2:
            # Two signals that come before the first is answered are one.
            while signal.getsignal(signal.SIGINT) is not before: pass
            os.kill(os.getpid(), signal.SIGINT)
    return himmelblau(x)
before = signal.getsignal(signal.SIGINT)
first = mpass.barcode(f, 2, box=(-6, 6), starts=20)
print(first.complete, str(first).splitlines()[-1], calls < 6000, signal.getsignal(signal.SIGINT) is before)
calls, often = 0, 2
try: mpass.barcode(f, 2, box=(-6, 6), starts=20)
except KeyboardInterrupt: print('interrupted')
calls, often = 2999, 1
try: mpass.barcode(f, 2, box=(-6, 6), starts=20)
except KeyboardInterrupt: print('interrupted before a minimum')
";
    let Some(text) = script(text) else { return };
    let known =
        "False stopped early: this is what had been found True True\ninterrupted\ninterrupted before a minimum\n";
    assert_eq!(text, known);
}

#[test]
fn two_functions_in_two_threads_each_have_their_own() {
    let text = "
import mpass, threading
def well(k, floor):
    own = threading.get_ident
    def f(x):
        seen.add((k, own()))
        a, b = x
        return k * (a**4 / 4 - a**3 / 3 - a**2) + b * b + floor, [k * (a**3 - a**2 - 2 * a), 2 * b]
    return f
seen, found, idents = set(), {}, set()
def run(k):
    idents.add((k, threading.get_ident()))
    found[k] = mpass.barcode(well(k, 10 * k), 2)
threads = [threading.Thread(target=run, args=(k,)) for k in (1, 3)]
[t.start() for t in threads]; [t.join() for t in threads]
print(seen == idents)
for k in (1, 3):
    print([(round(bar.birth - 10 * k + 8 * k / 3, 6) + 0, round(bar.death - 10 * k, 5) + 0) for bar in found[k]])
";
    let Some(text) = script(text) else { return };
    assert_eq!(text, "True\n[(0.0, inf), (2.25, 0.0)]\n[(0.0, inf), (6.75, 0.0)]\n"); // 8k/3 - 5k/12
}

#[test]
fn the_records_of_the_example_are_those_of_the_headers() {
    let text = "
import mpass, ctypes
for record in vars(mpass).values():
    if isinstance(record, type) and issubclass(record, ctypes.Structure):
        print(record.__name__, ctypes.sizeof(record), ' '.join(name for name, _ in record._fields_))
";
    let Some(text) = script(text) else { return };
    let sizes = [
        ("mpass_error", size_of::<abi::Error>()),
        ("mpass_view", size_of::<abi::View>()),
        ("mpass_loss_info", size_of::<abi::LossInfo>()),
        ("mpass_eval", size_of::<abi::Eval>()),
        ("mpass_backend", size_of::<abi::Backend>()),
        ("mpass_ext_start", size_of::<abi::ExtStart>()),
        ("mpass_run_options", size_of::<callers::RunOptions>()),
        ("mpass_landscape_info", size_of::<callers::LandscapeInfo>()),
        ("mpass_minimum", size_of::<callers::Minimum>()),
        ("mpass_bar", size_of::<callers::Bar>()),
    ];
    let include = ["mountainpass_base.h", "mountainpass_backend.h", "mountainpass.h"];
    let headers: String = include.map(|name| built::code(&read(&built::root().join("include").join(name)))).concat();
    for line in text.lines() {
        let (name, rest) = line.split_once(' ').unwrap();
        let (size, fields) = rest.split_once(' ').unwrap();
        // The options of an engine may grow: the first fields are enough, by the size rule.
        if let Some((_, known)) = sizes.iter().find(|(record, _)| *record == name) {
            assert_eq!(size.parse::<usize>().unwrap(), *known, "{name}");
        } else {
            assert_eq!(name, "mpass_engine_options");
        }
        // The same fields in the header's order: with no padding anywhere, size and order are the layout.
        let body = headers.split_once(&format!("typedef struct {name} {{")).unwrap().1.split_once("\n}").unwrap().0;
        let mut rest = body;
        for field in fields.split(' ') {
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let at = rest
                .match_indices(field)
                .find(|(at, found)| !rest[..*at].ends_with(word) && !rest[at + found.len()..].starts_with(word));
            let Some((at, _)) = at else { panic!("{name}.{field} is not where the header has it") };
            rest = &rest[at + field.len()..];
        }
    }
    assert_eq!(text.lines().count(), sizes.len() + 1);
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap()
}
