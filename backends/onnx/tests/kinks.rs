//! What is told of kinks by ONNX Runtime and by the faer executor: where they stand, the smoothed and the linear losses, the
//! gradients of z.

mod library;

use library::library;
use mountainpass_faer::Faer;
use mountainpass_onnx::Onnx;
use mountainpass_sdk::{
    Backend, Cancel, Eval, Figures, Host, Kink, Loss, Matrix, MatrixMut, Open, Rows, RowsMut, Slope,
};

/// Of values, gradients, products, z, delta and rows, beside the largest number of each: sums of other orders.
const TOLERANCE: f64 = 1e-12;

fn open<B: Backend>(model: &str, options: &[(&str, &str)]) -> B::Loss {
    let all = [&[("data", "digits"), ("limit", "100")], options].concat();
    B::open(Host::none(), Open::new(model, &all)).unwrap()
}

/// The loss, its gradient and a Hessian product of one row, by whichever call.
fn evaluated(theta: &[f64], dir: &[f64], call: impl FnOnce(Eval<'_>)) -> [Vec<f64>; 3] {
    let p = theta.len();
    let (mut loss, mut grad, mut hvp, mut status) = (vec![0.0], vec![0.0; p], vec![0.0; p], [0]);
    call(Eval {
        theta: Matrix::F64(Rows::new(theta, p)),
        ids: None,
        loss: &mut loss,
        grad: Some(MatrixMut::F64(RowsMut::new(&mut grad, p))),
        hvp: Some((Matrix::F64(Rows::new(dir, p)), MatrixMut::F64(RowsMut::new(&mut hvp, p)))),
        row_status: &mut status,
        cancel: Cancel::never(),
        host: Host::none(),
    });
    assert_eq!(status, [0]);
    [loss, grad, hvp]
}

fn linear(loss: &impl Loss, theta: &[f64], dir: &[f64], slopes: &[Slope]) -> [Vec<f64>; 5] {
    let (mut z, mut delta) = (vec![0.0; slopes.len()], vec![0.0; slopes.len()]);
    let figures = Figures { z: Some(&mut z), delta: Some(&mut delta) };
    let [value, grad, hvp] = evaluated(theta, dir, |eval| loss.eval_linear(slopes, eval, figures).unwrap());
    [value, grad, hvp, z, delta]
}

fn rows(loss: &impl Loss, theta: &[f64], slopes: &[Slope]) -> Vec<f64> {
    let mut out = vec![f64::NAN; slopes.len() * theta.len()];
    loss.kink_rows(Host::none(), theta, slopes, &mut out).unwrap();
    out
}

fn agree(what: &str, found: &[f64], wanted: &[f64]) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let top = wanted.iter().fold(1e-3f64, |top, x| top.max(x.abs()));
    let gap = found.iter().zip(wanted).map(|(a, b)| (a - b).abs() / top).fold(0.0, f64::max);
    assert!(gap < TOLERANCE, "{what}: {gap:.1e} apart");
}

/// Of every kind of operation some that matter, each with a slope between its sides.
fn slopes(kinks: &[Kink]) -> Vec<Slope> {
    let live: Vec<&Kink> = kinks.iter().filter(|kink| kink.delta != 0.0).collect();
    let few = live.iter().step_by(live.len().div_ceil(9).max(1));
    few.map(|kink| Slope { id: kink.id, t: kink.alpha + 0.3 * (1.0 - kink.alpha) }).collect()
}

/// ReLU perceptrons, with the corners of a penalty too; a convolutional network whose pools choose the largest.
#[test]
fn kinks_agree() {
    let Some(library) = library() else { return };
    let networks: [(&str, &[(&str, &str)]); 4] = [
        ("mlp:64-8-10:relu", &[("l2", "0.001")]),
        ("mlp:64-5-4-10:leaky_relu", &[("l1", "0.002")]),
        ("cnn:8x8x1-3-4-10:relu", &[]),
        ("mlp:64-4-10:tanh", &[("objective", "mae")]),
    ];
    for (model, options) in networks {
        let faer = open::<Faer>(model, options);
        let onnx = open::<Onnx>(model, &[options, &[("library", library.as_str())]].concat());
        assert_eq!(onnx.kinks().unwrap(), faer.kinks().unwrap(), "{model}");
        let theta = faer.start(7).unwrap();
        let dir: Vec<f64> = (0..theta.len()).map(|i| ((i * 37 + 11) % 23) as f64 / 23.0 - 0.5).collect();
        let smoothed = |loss: &dyn Fn(Eval<'_>)| evaluated(&theta, &dir, loss);
        let found = smoothed(&|eval| onnx.eval_smoothed(0.05, eval).unwrap());
        let wanted = smoothed(&|eval| faer.eval_smoothed(0.05, eval).unwrap());
        (0..3).for_each(|k| agree(&format!("{model}, smoothed, {k}"), &found[k], &wanted[k]));

        let [found, wanted] = [near(&onnx, &theta), near(&faer, &theta)];
        let ids = |kinks: &[Kink]| kinks.iter().map(|kink| (kink.id, kink.alpha.to_bits())).collect::<Vec<_>>();
        assert_eq!(ids(&found), ids(&wanted), "{model}");
        let of = |kinks: &[Kink], number: fn(&Kink) -> f64| kinks.iter().map(number).collect::<Vec<f64>>();
        agree(&format!("{model}, z"), &of(&found, |kink| kink.z), &of(&wanted, |kink| kink.z));
        agree(&format!("{model}, delta"), &of(&found, |kink| kink.delta), &of(&wanted, |kink| kink.delta));

        let slopes = slopes(&wanted);
        assert!(slopes.len() >= 5, "{model}: {} slopes", slopes.len());
        let [found, wanted] = [linear(&onnx, &theta, &dir, &slopes), linear(&faer, &theta, &dir, &slopes)];
        (0..5).for_each(|k| agree(&format!("{model}, linear, {k}"), &found[k], &wanted[k]));
        agree(&format!("{model}, rows"), &rows(&onnx, &theta, &slopes), &rows(&faer, &theta, &slopes));
    }
}

fn near(loss: &impl Loss, theta: &[f64]) -> Vec<Kink> {
    loss.kinks_near(Host::none(), theta, f64::INFINITY).unwrap()
}

/// A loss that is not there in f64 tells nothing, and says why.
#[test]
fn kinks_of_a_loss_in_single_only_are_refused() {
    let Some(library) = library() else { return };
    let options = [("objective", "mae"), ("library", library.as_str())];
    let error = open::<Onnx>("cnn:8x8x1-3-4-10:gelu", &options).kinks().unwrap_err();
    assert_eq!(error.text, "kinks are told in f64, in which this loss cannot be computed");
}
