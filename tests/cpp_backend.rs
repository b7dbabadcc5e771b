//! `include/mountainpass_backend.hpp` through the whole way in: arrays of any layout, workers, element types, exceptions.

mod built;

use mountainpass::error::Error;
use mountainpass::loss::{Batch, Dtype, Elements, Foreign, Kind, Loss, NamedArray, OpenRequest, Registry};
use mountainpass::machine::pool::Pool;
use mountainpass::run::Cancel;
use std::sync::{Arc, OnceLock};

/// The registry with tests/plugins/least_squares.cpp in it, compiled once.
fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let file = built::folder("cpp_backend").join("least_squares.so");
        let mut compiler = built::cxx();
        compiler.args(["-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror", "-O1"]);
        compiler.args(["-D_GLIBCXX_ASSERTIONS", "-shared", "-fPIC", "-fvisibility=hidden"]);
        built::run(compiler.arg(built::root().join("tests/plugins/least_squares.cpp")).arg("-o").arg(&file));
        let registry = Registry::new();
        registry.load(&file).unwrap();
        registry
    })
}

fn open(request: &OpenRequest<'_>, workers: usize) -> Result<Box<dyn Loss>, Error> {
    registry().open("least-squares", request, Arc::new(Pool::new(workers)))
}

fn with_option(key: &str, value: &str) -> OpenRequest<'static> {
    OpenRequest { options: vec![(key.into(), value.into())], ..OpenRequest::default() }
}

/// Losses and gradients.
fn eval(loss: &mut dyn Loss, theta: &[f64], ids: Option<&[u64]>) -> Result<(Vec<f64>, Vec<f64>), Error> {
    let n = theta.len() / loss.info().params;
    let (mut values, mut grad, mut ok) = (vec![7.5; n], vec![7.5; theta.len()], vec![false; n]);
    let cancel = Cancel::default();
    loss.eval(Batch { theta, ids, loss: &mut values, grad: Some(&mut grad), hvp: None, ok: &mut ok, cancel: &cancel })?;
    assert!(ok.iter().all(|ok| *ok));
    Ok((values, grad))
}

/// The closed form, for C-ordered x.
fn expected(x: &[f64], y: &[f64], theta: &[f64], ids: &[u64]) -> f64 {
    let p = theta.len();
    let miss = |i: usize| x[i * p..(i + 1) * p].iter().zip(theta).map(|(x, t)| x * t).sum::<f64>() - y[i];
    ids.iter().map(|&i| miss(i as usize).powi(2)).sum::<f64>() / ids.len() as f64
}

#[test]
fn arrays_of_any_layout_and_type_are_read_as_they_are_meant() {
    // 3 x 2, as bytes backwards: the last element comes first, and rows and columns are exchanged.
    let (x, y) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, -1.0, 2.0]);
    let stored = [6_u8, 4, 2, 5, 3, 1];
    let strides = [-1, -3];
    let last = stored.as_ptr().wrapping_add(5).cast();
    // SAFETY: from the last byte the strides reach all six.
    let foreign = unsafe { Foreign::new(last, Some(&strides), mountainpass_sdk::abi::dtype::U8) };
    let data = vec![
        NamedArray { name: "x", shape: &[3, 2], values: Elements::Foreign(foreign) },
        NamedArray { name: "y", shape: &[3], values: Elements::I32(&[1, -1, 2]) },
    ];
    let mut loss = open(&OpenRequest { data, ..OpenRequest::default() }, 2).unwrap();
    assert_eq!((loss.info().params, loss.info().samples), (2, 3));
    let theta = [0.5, -0.25, 1.0, 2.0];
    for ids in [&[0, 1, 2][..], &[2], &[1, 1, 0]] {
        let (values, _) = eval(&mut *loss, &theta, Some(ids)).unwrap();
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12 * b.abs(), "{a}, but {b}"); // Orders of addition.
        near(values[0], expected(&x, &y, &theta[..2], ids));
        near(values[1], expected(&x, &y, &theta[2..], ids));
    }
    assert_eq!(loss.start(41).unwrap(), Some(vec![41.0, 42.0]));
    assert!(loss.bounds().unwrap().is_none());
}

#[test]
fn the_bits_do_not_depend_on_the_workers() {
    // 40 x 50 x 60 is work enough to be spread.
    let (m, p, n) = (40_u64, 50_u64, 60);
    let (matrix, column) = ([m, p], [m]);
    let x: Vec<f64> = (0..m * p).map(|i| ((i * 7919) % 1000) as f64 / 999.0 - 0.5).collect();
    let y: Vec<f64> = (0..m).map(|i| (i % 7) as f64).collect();
    let theta: Vec<f64> = (0..n * p).map(|i| ((i * 104_729) % 1000) as f64 / 333.0 - 1.5).collect();
    for dtype in [Dtype::F64, Dtype::F32] {
        let answers = [1, 3].map(|workers| {
            let data = vec![
                NamedArray { name: "x", shape: &matrix, values: Elements::F64(&x) },
                NamedArray { name: "y", shape: &column, values: Elements::F64(&y) },
            ];
            let request = OpenRequest { data, dtype: Some(dtype), ..OpenRequest::default() };
            eval(&mut *open(&request, workers).unwrap(), &theta, None).unwrap()
        });
        assert_eq!(answers[0], answers[1]);
        let ids: Vec<u64> = (0..m).collect();
        let loss = expected(&x, &y, &theta[..p as usize], &ids);
        // Theta rounded to f32 moves the loss by some 1e-7 of it.
        let tolerance = if dtype == Dtype::F32 { 1e-5 } else { 1e-12 };
        assert!((answers[0].0[0] - loss).abs() < tolerance * loss, "{} {loss}", answers[0].0[0]);
    }
}

#[test]
fn an_exception_becomes_a_status_and_a_text() {
    let refused = |request: &OpenRequest<'_>| open(request, 3).err().unwrap().to_string();
    let long = refused(&with_option("fault", "open"));
    assert_eq!(long, format!("least-squares 1.0: open: {}", "o".repeat(507)));
    assert_eq!(refused(&with_option("fault", "parallel")), "least-squares 1.0: open: in a parallel body");
    for (fault, text) in [("loss", "in a row"), ("unknown", "an exception of no known type")] {
        let mut loss = open(&with_option("fault", fault), 2).unwrap();
        for _ in 0..2 {
            let error = eval(&mut *loss, &[1.0, 2.0], None).unwrap_err().to_string();
            assert_eq!(error, format!("least-squares 1.0: eval: {text}"));
        }
    }
}

#[test]
fn what_a_class_declares_is_told() {
    let options = registry().options("least-squares").unwrap();
    let told: Vec<_> = options.iter().map(|o| (o.name.as_str(), o.kind, o.default.as_deref(), o.words.len())).collect();
    assert_eq!(told, [("fault", Kind::Text, None, 5), ("cubes", Kind::Integer, Some("1"), 0)]);
}

#[test]
fn what_nobody_asked_for_is_refused_by_name() {
    let refused = |request: OpenRequest<'_>| open(&request, 1).err().unwrap().to_string();
    let lines = [
        (with_option("l3", "1"), "no option \"l3\": there is fault"),
        (with_option("cubes", "1"), "option \"cubes\" says nothing about this model: leave it out"),
        (with_option("fault", "hidden"), "the option \"hidden\" is asked for and not declared"),
        (OpenRequest { model: "cubes".into(), ..OpenRequest::default() }, "no model \"cubes\": give none"),
        (OpenRequest { device: 1, ..OpenRequest::default() }, "no device 1: there is 0, the CPU"),
    ];
    for (request, line) in lines {
        assert_eq!(refused(request), format!("least-squares 1.0: open: {line}"));
    }
    let data = vec![NamedArray { name: "z", shape: &[1], values: Elements::F64(&[1.0]) }];
    let line = refused(OpenRequest { data, ..OpenRequest::default() });
    assert_eq!(line, "least-squares 1.0: open: no array \"z\": there is x, y");
}
