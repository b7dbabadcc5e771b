//! The same losses by ONNX Runtime and by the faer executor: values, gradients, Hessian products and metrics.

#[path = "../../faer/tests/caller/mod.rs"]
mod caller;
mod library;

#[path = "../../network/tests/bundle/mod.rs"]
mod bundle;

use caller::{Array, Call, Loss, Numbers};
use library::library;
use mountainpass_faer::Faer;
use mountainpass_network::onnx::messages::{ModelProto, TensorProto};
use mountainpass_onnx::Onnx;
use mountainpass_sdk::{Scalar, abi};
use prost::Message;
use std::ffi::CString;

/// A loss of both backends.
struct Both {
    what: String,
    faer: Loss,
    onnx: Loss,
}

fn open(library: &str, model: &str, options: &[(&str, &str)], arrays: &[Array]) -> Both {
    let own = [options, &[("library", library)]].concat();
    Both {
        what: format!("{model} {options:?}"),
        faer: Loss::open_of::<Faer>(2, model, options, arrays).unwrap(),
        onnx: Loss::open_of::<Onnx>(2, model, &own, arrays).unwrap(),
    }
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// The distance of two vectors beside the length of the second.
fn apart<T: Scalar>(found: &[T], wanted: &[T]) -> f64 {
    let gap: Vec<f64> = found.iter().zip(wanted).map(|(a, b)| a.to_f64() - b.to_f64()).collect();
    norm(&gap) / (1e-6 + norm(&wanted.iter().map(|x| x.to_f64()).collect::<Vec<f64>>()))
}

impl Both {
    /// Three rows at once, on all samples and on some, to a relative `tolerance`.
    fn agree<T: Scalar>(&mut self, tolerance: f64) {
        let p = self.faer.p;
        let rows = |loss: &mut Loss, spread: f64, seed| -> Vec<T> {
            let starts = (0..3).flat_map(|row| loss.start(row + 1)).collect::<Vec<f64>>();
            let noise = Numbers(seed).vector(3 * p, spread);
            starts.iter().zip(noise).map(|(x, e)| T::from_f64(x + e)).collect()
        };
        let (theta, dir) = (rows(&mut self.faer, 0.1, 5), rows(&mut self.faer, 0.3, 9));
        let some: Vec<u64> = (0..self.faer.samples()).step_by(2).chain([0]).collect();
        for ids in [None, Some(&some[..])] {
            let call = Call { ids, dir: Some(&dir), ..Call::new(&theta) };
            let wide = |x: &[T]| x.iter().map(|x| x.to_f64()).collect::<Vec<f64>>();
            let (exact_theta, exact_dir) = (wide(&theta), wide(&dir));
            let exact = self.faer.eval(Call { ids, dir: Some(&exact_dir), ..Call::new(&exact_theta) }).unwrap();
            let wanted = self.faer.eval(call).unwrap();
            let found = self.onnx.eval(call).unwrap_or_else(|error| panic!("{}: {error}", self.what));
            assert_eq!(found.status, wanted.status, "{}", self.what);
            for (kind, found, wanted) in
                [("gradient", &found.grad, &wanted.grad), ("Hessian product", &found.hvp, &wanted.hvp)]
            {
                for row in 0..3 {
                    let part = row * p..(row + 1) * p;
                    let (found, wanted) = (&found[part.clone()], &wanted[part.clone()]);
                    let gap = apart(found, wanted);
                    // Where f32 itself is farther off, as far off as the other in f32.
                    let truth = if kind == "gradient" { &exact.grad[part] } else { &exact.hvp[part] };
                    let own = apart(wanted, &truth.iter().map(|x| T::from_f64(*x)).collect::<Vec<T>>());
                    assert!(gap < tolerance.max(3.0 * own), "{}: the {kind} of row {row} is {gap} apart", self.what);
                }
            }
            assert!(apart(&found.loss, &wanted.loss) < tolerance, "{}: {:?}, {:?}", self.what, found.loss, wanted.loss);
        }
    }

    fn agree_in_both(&mut self) {
        self.agree::<f32>(1e-5);
        assert!(self.onnx.has_double(), "{}: {}", self.what, self.onnx.notes());
        self.agree::<f64>(1e-12);
    }
}

/// Two samples of whatever a specification takes stand for all of them.
const DIGITS: [(&str, &str); 3] = [("data", "digits"), ("limit", "40"), ("l2", "0.01")];

#[test]
fn perceptrons_agree() {
    let Some(library) = library() else { return };
    for activation in ["relu", "leaky_relu", "tanh", "sigmoid", "softplus"] {
        let spec = format!("mlp:64-8-10:{activation}");
        open(&library, &spec, &DIGITS, &[]).agree_in_both();
    }
}

#[test]
fn images_agree() {
    let Some(library) = library() else { return };
    for spec in [
        "cnn:8x8x1-3-4-10:tanh",
        "cnn:8x8x1-3-4-10:softplus:batchnorm",
        "cnn:8x8x1-3-4-10:tanh:average",
        "resnet9:8x8x1-10:tanh",
        "resnet9:8x8x1-10:tanh:batchnorm",
    ] {
        open(&library, spec, &[("data", "digits"), ("limit", "9")], &[]).agree_in_both();
    }
    // Of a network with kinks both see the same side of each.
    open(&library, "cnn:8x8x1-3-4-10:relu", &DIGITS, &[]).agree_in_both();
}

#[test]
fn what_has_no_kernel_in_double_is_said_and_agrees_in_single() {
    let Some(library) = library() else { return };
    let (x, y): (Vec<f64>, Vec<f64>) = (
        (0..40).map(|i| f64::from(i * i % 11)).collect(),
        (0..40).map(|i| f64::from((i + 1) * (i + 1) % 11)).collect(),
    );
    let arrays = [Array::reals(c"x", &[5, 8], &x), Array::reals(c"y", &[5, 8], &y)];
    let spec = "transformer:vocabulary=11:context=8:width=8:heads=2:layers=2";
    let mut both = open(&library, spec, &[], &arrays);
    both.agree::<f32>(1e-5);
    assert!(!both.onnx.has_double());
    assert_eq!(both.onnx.notes(), "computed in f32 only: ONNX Runtime has no kernel for Erf of f64 on this device");
}

#[test]
fn objectives_agree() {
    let Some(library) = library() else { return };
    let x: Vec<f64> = (0..18).map(|i| f64::from(i % 7) / 3.0 - 1.0).collect();
    let y = [0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.25, 0.75];
    let w = [1.0, 0.0, 2.5, 0.5, 3.0, 1.0];
    let numbers = [Array::reals(c"x", &[6, 3], &x), Array::reals(c"y", &[6, 2], &y)];
    for term in ["mse", "mae", "binary_cross_entropy"] {
        open(&library, "mlp:3-4-2:tanh", &[("objective", term), ("reduction", "mean")], &numbers).agree_in_both();
    }
    let labels = [0.0, 1.0, 1.0, 0.0, 1.0, 0.0];
    let weighed = [Array::reals(c"x", &[6, 3], &x), Array::reals(c"y", &[6], &labels), Array::reals(c"w", &[6], &w)];
    let options = [("sample_weights", "w"), ("class_weights", "1,2"), ("label_smoothing", "0.1"), ("l1", "0.01")];
    open(&library, "mlp:3-4-2:tanh", &options, &weighed).agree_in_both();
}

#[test]
#[ignore = "it needs an NVIDIA device: benches/cuda.sh"]
fn an_nvidia_device_agrees_and_repeats_its_bits() {
    let library = std::env::var("ORT_DYLIB_PATH").expect("benches/cuda.sh names the library");
    for spec in ["mlp:64-8-10:tanh", "cnn:8x8x1-3-4-10:tanh", "resnet9:8x8x1-10:tanh:batchnorm"] {
        let options = [("data", "digits"), ("limit", "9"), ("device", "cuda:0")];
        let own = [&options[..], &[("library", library.as_str())]].concat();
        let mut both = Both {
            what: spec.to_owned(),
            faer: Loss::open_of::<Faer>(2, spec, &options[..2], &[]).unwrap(),
            onnx: Loss::open_of::<Onnx>(1, spec, &own, &[]).unwrap(),
        };
        both.agree::<f32>(1e-5);
        let theta: Vec<f32> = both.faer.start(1).into_iter().map(|x| x as f32).collect();
        let once = both.onnx.eval(Call::new(&theta)).unwrap();
        (0..3).for_each(|_| assert_eq!(both.onnx.eval(Call::new(&theta)).unwrap(), once, "{spec}"));
    }
}

/// A specification, options, and samples.
type Spec<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [Array]);

/// Three rows and more in a run, with rows left over that run alone and rows that fill a run with copies.
#[test]
fn rows_in_one_run_agree() {
    let Some(library) = library() else { return };
    let tokens: Vec<f64> = (0..40).map(|i| f64::from(i * i % 11)).collect();
    let next: Vec<f64> = (1..41).map(|i| f64::from(i * i % 11)).collect();
    let arrays = [Array::reals(c"x", &[5, 8], &tokens), Array::reals(c"y", &[5, 8], &next)];
    let transformer = "transformer:vocabulary=11:context=8:width=8:heads=2:layers=1";
    let cases: [Spec<'_>; 5] = [
        ("mlp:64-8-10:tanh", &DIGITS, &[]),
        ("mlp:64-5-4-10:relu", &[("data", "digits"), ("limit", "600"), ("l1", "0.001")], &[]),
        ("mlp:64-4-10:softplus", &[("data", "digits"), ("limit", "100"), ("label_smoothing", "0.1")], &[]),
        ("mlp:64-4-10:tanh", &[("data", "digits"), ("limit", "100"), ("objective", "mae")], &[]),
        (transformer, &[], &arrays),
    ];
    for (spec, options, arrays) in cases {
        for rows in ["2", "3", "4", "8"] {
            let own = [options, &[("library", library.as_str()), ("rows_per_run", rows)]].concat();
            let plain = [options, &[("library", library.as_str())]].concat();
            let what = format!("{spec}, {rows} rows");
            let mut many = Loss::open_of::<Onnx>(2, spec, &own, arrays).unwrap();
            let mut one = Loss::open_of::<Onnx>(2, spec, &plain, arrays).unwrap();
            assert_eq!(many.notes(), one.notes(), "{what}");
            assert_eq!([many.caps(), one.caps()].map(|caps| caps & abi::cap::REPEATABLE != 0), [false, true]);
            for n in [1, 2, 3, 5, 13] {
                rows_agree::<f32>(&what, (&mut many, &mut one), n, 1e-6);
                if one.has_double() {
                    rows_agree::<f64>(&what, (&mut many, &mut one), n, 1e-12);
                }
            }
        }
    }
}

/// `n` rows of two losses, all samples and some, to a relative tolerance.
fn rows_agree<T: Scalar>(what: &str, (many, one): (&mut Loss, &mut Loss), n: usize, tolerance: f64) {
    let p = one.p;
    let vector = |seed, spread| Numbers(seed).vector(n * p, spread).into_iter().map(T::from_f64).collect::<Vec<T>>();
    let (theta, dir) = (vector(5, 0.4), vector(9, 0.3));
    let some: Vec<u64> = (0..one.samples()).step_by(2).chain([0]).collect();
    for (ids, dir) in [(None, Some(&dir[..])), (Some(&some[..]), None)] {
        let call = Call { ids, dir, ..Call::new(&theta) };
        let (found, wanted) = (many.eval(call).unwrap(), one.eval(call).unwrap());
        assert_eq!(found.status, wanted.status, "{what}");
        assert!(apart(&found.loss, &wanted.loss) < tolerance, "{what}: {:?}, {:?}", found.loss, wanted.loss);
        for (kind, found, wanted) in [("gradient", &found.grad, &wanted.grad), ("product", &found.hvp, &wanted.hvp)] {
            for (row, (found, wanted)) in found.chunks(p).zip(wanted.chunks(p)).enumerate() {
                let gap = apart(found, wanted);
                assert!(gap < tolerance, "{what}, {n} at once: the {kind} of row {row} is {gap} apart");
            }
        }
        // Not bit for bit in another batch, but in the same one.
        assert_eq!(many.eval(call).unwrap(), found, "{what}");
    }
}

#[test]
fn a_row_that_is_not_finite_spoils_no_other_of_its_run() {
    let Some(library) = library() else { return };
    let options = [&DIGITS[..], &[("library", library.as_str()), ("rows_per_run", "4")]].concat();
    let mut loss = Loss::open_of::<Onnx>(1, "mlp:64-8-10:tanh", &options, &[]).unwrap();
    let p = loss.p;
    let mut theta: Vec<f64> = (1..5).flat_map(|seed| loss.start(seed)).collect();
    let whole = loss.eval(Call::new(&theta)).unwrap();
    theta[2 * p + 3] = f64::NAN;
    let found = loss.eval(Call::new(&theta)).unwrap();
    assert_eq!(
        found.status.iter().map(|status| *status != abi::status::OK).collect::<Vec<_>>(),
        [false, false, true, false]
    );
    for row in [0, 1, 3] {
        assert_eq!(found.loss[row], whole.loss[row]);
        assert_eq!(found.grad[row * p..(row + 1) * p], whole.grad[row * p..(row + 1) * p]);
    }
}

#[test]
fn rows_are_taken_alone_where_the_network_cannot_take_more() {
    let Some(library) = library() else { return };
    let options = [&DIGITS[..], &[("library", library.as_str()), ("rows_per_run", "8")]].concat();
    let mut both = Both {
        what: "a convolution".into(),
        faer: Loss::open_of::<Faer>(2, "cnn:8x8x1-3-4-10:tanh", &DIGITS, &[]).unwrap(),
        onnx: Loss::open_of::<Onnx>(2, "cnn:8x8x1-3-4-10:tanh", &options, &[]).unwrap(),
    };
    assert!(both.onnx.notes().contains("one row a run"), "{}", both.onnx.notes());
    assert!(both.onnx.caps() & abi::cap::REPEATABLE != 0);
    both.agree::<f32>(1e-5);
    let refused = |rows: &str| {
        let options = [&DIGITS[..], &[("library", library.as_str()), ("rows_per_run", rows)]].concat();
        Loss::open_of::<Onnx>(1, "mlp:64-8-10:tanh", &options, &[]).err().unwrap()
    };
    assert_eq!(refused("0"), "option rows_per_run: 0, expected 1 to 1024");
}

#[test]
fn metrics_agree() {
    let Some(library) = library() else { return };
    let mut both = open(&library, "mlp:64-8-10:tanh", &[("data", "digits")], &[]);
    let theta = both.faer.start(3);
    for split in 0..2 {
        let ([wanted, right], [found, met]) = (both.faer.metrics(split, &theta), both.onnx.metrics(split, &theta));
        assert!((found - wanted).abs() < 1e-12 * wanted, "{found} {wanted}");
        assert_eq!(met, right);
    }
}

/// Files of torch, Keras and scikit-learn, with whatever the tests of the importer know of their inputs.
#[test]
fn exports_agree() {
    let Some(library) = library() else { return };
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../network/tests/fixtures");
    let names = [
        "mlp-new",
        "cnn-new",
        "cnn-plain",
        "lenet-new",
        "lenet-plain",
        "attention-new",
        "causal-new",
        "sdpa-new",
        "decoder-new",
        "rows-new",
        "lstm-old",
        "gru-old",
        "rnn-old",
        "zoom-new",
        "keras",
        "sklearn",
    ];
    for name in names {
        let file = format!("{fixtures}/{name}.onnx");
        let stored = values(&format!("{fixtures}/{name}.values"));
        let inputs: Vec<&(CString, Vec<u64>, Vec<f64>)> =
            stored.iter().filter(|(name, ..)| name.to_str().unwrap() != "y").collect();
        let n = inputs[0].1[0];
        let mut arrays: Vec<Array> =
            inputs.iter().map(|(name, shape, data)| Array::reals(leaked(name), shape, data)).collect();
        let output = &stored.iter().find(|(name, ..)| name.to_str().unwrap() == "y").unwrap().1;
        let each: u64 = output[1..].iter().product();
        let y: Vec<f64> = (0..n * each).map(|i| (i % 5) as f64 / 4.0).collect();
        arrays.push(Array::reals(c"y", &[n, each], &y));
        // Squared errors take outputs of any shape.
        let mut both = open(&library, &file, &[("objective", "mse")], &arrays);
        both.agree::<f32>(1e-5);
        if both.onnx.has_double() {
            both.agree::<f64>(1e-12);
        }
    }
}

fn leaked(name: &CString) -> &'static std::ffi::CStr {
    Box::leak(name.clone().into_boxed_c_str())
}

/// Inputs by their names, and the output as `y`: name, axes, numbers.
fn values(file: &str) -> Vec<(CString, Vec<u64>, Vec<f64>)> {
    let model = ModelProto::decode(&std::fs::read(file).unwrap()[..]).unwrap();
    let stored = model.graph.unwrap().initializer;
    let of = |tensor: &TensorProto| {
        let name = match tensor.name() {
            "output" => "y",
            other => other.strip_prefix("input/")?,
        };
        let (shape, all) = bundle::numbers(tensor);
        Some((CString::new(name).unwrap(), shape.iter().map(|size| *size as u64).collect(), all))
    };
    stored.iter().filter_map(of).collect()
}
