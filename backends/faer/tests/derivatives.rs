//! Values against a plain evaluation, derivatives against differences, for every activation and objective.

mod caller;

use caller::{Call, Data, Loss, Numbers, data, dot, shifted};
use mountainpass_network::{Activation, Mlp};
use proptest::prelude::*;

const OBJECTIVES: [&str; 2] = ["cross_entropy", "mse"];
const L2: f64 = 0.01;

/// Whether it has no kink.
fn is_smooth(activation: Activation) -> bool {
    !matches!(activation, Activation::Relu | Activation::LeakyRelu)
}

/// The objective by plain loops and the standard library, and the sign of every hidden pre-activation.
fn plain(mlp: &Mlp, objective: &str, l2: f64, data: &Data, theta: &[f64]) -> (f64, Vec<bool>) {
    let (mut total, mut signs) = (0.0, Vec::new());
    for (x, y) in data.x.chunks_exact(data.features).zip(&data.y) {
        let mut a = x.to_vec();
        for (l, layer) in mlp.layers().iter().enumerate() {
            let row = |k: usize| &theta[layer.weight + k * layer.inputs..][..layer.inputs];
            a = (0..layer.outputs).map(|k| dot(row(k), &a) + theta[layer.bias + k]).collect();
            if l + 1 < mlp.layers().len() {
                signs.extend(a.iter().map(|z| *z > 0.0));
                a.iter_mut().for_each(|z| *z = activation(mlp.activation(), *z));
            }
        }
        total += match objective {
            // One output is compared with the number, several with the unit vector.
            "mse" if a.len() == 1 => (a[0] - *y as f64).powi(2),
            "mse" => a.iter().enumerate().map(|(k, z)| (z - f64::from(k == *y as usize)).powi(2)).sum::<f64>(),
            _ => a.iter().map(|z| z.exp()).sum::<f64>().ln() - a[*y as usize],
        };
    }
    (total / data.y.len() as f64 + l2 / 2.0 * dot(theta, theta), signs)
}

fn activation(kind: Activation, z: f64) -> f64 {
    match kind {
        Activation::Relu => z.max(0.0),
        Activation::LeakyRelu => z.max(0.01 * z),
        Activation::Tanh => z.tanh(),
        Activation::Sigmoid => 1.0 / (1.0 + (-z).exp()),
        Activation::Softplus => z.exp().ln_1p(),
        Activation::Gelu => {
            // Phi by its all-positive series phi(z) (z + z^3/3 + z^5/15 + ...), good for the |z| < 6 seen here.
            let (mut term, mut sum, mut k) = (z, 0.0, 1.0);
            while term != 0.0 && f64::abs(term) > 1e-18 * f64::abs(sum) {
                sum += term;
                k += 2.0;
                term *= z * z / k;
            }
            z * (0.5 + sum * (-z * z / 2.0).exp() * 0.398_942_280_401_432_7)
        }
    }
}

/// A loss, a base point and a unit direction; along the steps the tests take, no pre-activation changes sign if kinks matter.
fn case(kind: Activation, objective: &str) -> (Loss, Vec<f64>, Vec<f64>) {
    let spec = format!("mlp:4-5-6-3:{}", kind.name());
    let (mlp, data) = (Mlp::parse(&spec).unwrap(), data(12, 4, 3, 1));
    let options = [("objective", objective), ("l2", &L2.to_string())];
    let loss = Loss::open(1, &spec, &options, Some(&data)).unwrap();
    for seed in 0..1000 {
        let mut numbers = Numbers(seed);
        let (theta, dir) = (numbers.vector(loss.p, 0.8), numbers.vector(loss.p, 1.0));
        let dir = shifted(&vec![0.0; loss.p], 1.0 / dot(&dir, &dir).sqrt(), &dir);
        let signs = |h: f64| plain(&mlp, objective, L2, &data, &shifted(&theta, h, &dir)).1;
        if is_smooth(kind) || (-8..=8).all(|i| signs(f64::from(i) * STEP / 8.0) == signs(0.0)) {
            return (loss, theta, dir);
        }
    }
    panic!("no base point without kinks");
}

/// The longest step.
const STEP: f64 = 0.02;

/// How fast remainders fall: log2 of the ratio for steps halved, at the three longest steps.
fn orders(remainder: impl Fn(f64) -> f64) -> Vec<f64> {
    let remainders: Vec<f64> = (0..4).map(|k| remainder(STEP / f64::from(1 << k))).collect();
    remainders.windows(2).map(|r| (r[0] / r[1]).log2()).collect()
}

fn each(mut claim: impl FnMut(Activation, &str)) {
    for kind in Activation::ALL {
        for objective in OBJECTIVES {
            claim(kind, objective);
        }
    }
}

#[test]
fn gradients_are_central_differences() {
    each(|kind, objective| {
        let (mut loss, theta, dir) = case(kind, objective);
        let slope = dot(&loss.eval(Call::new(&theta)).unwrap().grad, &dir);
        let h = 1e-4;
        let difference = (loss.value(&shifted(&theta, h, &dir)) - loss.value(&shifted(&theta, -h, &dir))) / (2.0 * h);
        // h^2/6 times a third derivative of order 1, and rounding 1e-16 / h.
        assert!((difference - slope).abs() < 1e-8, "{kind:?} {objective}: {difference} {slope}");
    });
}

#[test]
fn every_partial_derivative_is_a_central_difference() {
    each(|kind, objective| {
        let (mut loss, theta, _) = case(kind, objective);
        let grad = loss.eval(Call::new(&theta)).unwrap().grad;
        for i in 0..loss.p {
            let mut unit = vec![0.0; loss.p];
            unit[i] = 1.0;
            let h = 1e-6; // So short that no unit of these base points crosses its kink.
            let difference =
                (loss.value(&shifted(&theta, h, &unit)) - loss.value(&shifted(&theta, -h, &unit))) / (2.0 * h);
            // Rounding of a loss of order 1: 1e-16 / h with a margin of 30.
            assert!((difference - grad[i]).abs() < 3e-9, "{kind:?} {objective} {i}: {difference} {}", grad[i]);
        }
    });
}

#[test]
fn first_order_remainder_falls_quadratically() {
    each(|kind, objective| {
        let (mut loss, theta, dir) = case(kind, objective);
        let at = loss.eval(Call::new(&theta)).unwrap();
        let (value, slope) = (at.loss[0], dot(&at.grad, &dir));
        let loss = std::cell::RefCell::new(loss);
        let remainder = |h: f64| (loss.borrow_mut().value(&shifted(&theta, h, &dir)) - value - h * slope).abs();
        // The next term changes the order by O(h): 0.15 is generous for h <= 0.02.
        assert!(
            orders(remainder).iter().all(|o| (o - 2.0).abs() < 0.15),
            "{kind:?} {objective}: {:?}",
            orders(remainder)
        );
    });
}

#[test]
fn hessian_products_differentiate_the_gradient() {
    each(|kind, objective| {
        let (mut loss, theta, dir) = case(kind, objective);
        let at = loss.eval(Call { dir: Some(&dir), ..Call::new(&theta) }).unwrap();
        let alone = loss.eval(Call { dir: Some(&dir), grad: false, ..Call::new(&theta) }).unwrap();
        assert_eq!(at.hvp, alone.hvp);
        let loss = std::cell::RefCell::new(loss);
        let remainder = |h: f64| {
            let moved = loss.borrow_mut().eval(Call::new(&shifted(&theta, h, &dir))).unwrap().grad;
            let rest = shifted(&shifted(&moved, -1.0, &at.grad), -h, &at.hvp);
            dot(&rest, &rest).sqrt()
        };
        let quadratic = |o: &f64| (o - 2.0).abs() < 0.15;
        // Squared error of a piecewise linear net is a polynomial in h of higher degree: also O(h^2) or better.
        assert!(orders(remainder).iter().all(quadratic), "{kind:?} {objective}: {:?}", orders(remainder));
    });
}

#[test]
fn hessian_products_are_symmetric_and_linear() {
    each(|kind, objective| {
        let (mut loss, theta, u) = case(kind, objective);
        let v = Numbers(77).vector(loss.p, 1.0);
        let sum = shifted(&u, 2.0, &v);
        let mut product = |dir: &[f64]| loss.eval(Call { dir: Some(dir), ..Call::new(&theta) }).unwrap().hvp;
        let (hu, hv, hsum) = (product(&u), product(&v), product(&sum));
        // Both by rounding: products of order 1 with p = 81 terms.
        assert!((dot(&u, &hv) - dot(&v, &hu)).abs() < 1e-12, "{kind:?} {objective}");
        let gap = shifted(&shifted(&hsum, -1.0, &hu), -2.0, &hv);
        assert!(dot(&gap, &gap).sqrt() < 1e-12, "{kind:?} {objective}");
    });
}

#[test]
fn single_precision_follows_double() {
    each(|kind, objective| {
        let (mut loss, theta, dir) = case(kind, objective);
        let round = |x: &[f64]| x.iter().map(|x| *x as f32).collect::<Vec<f32>>();
        let (theta, dir) = (round(&theta), round(&dir));
        let widen = |x: &[f32]| x.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
        let single = loss.eval(Call { dir: Some(&dir), ..Call::new(&theta) }).unwrap();
        let (theta, dir) = (widen(&theta), widen(&dir));
        let double = loss.eval(Call { dir: Some(&dir), ..Call::new(&theta) }).unwrap();
        // f32 rounds at 6e-8; sums of about ten terms of order 1.
        assert!((single.loss[0] - double.loss[0]).abs() < 1e-6 * double.loss[0].abs(), "{kind:?} {objective}");
        for (single, double) in [(&single.grad, &double.grad), (&single.hvp, &double.hvp)] {
            let gap = shifted(&widen(single), -1.0, double);
            assert!(dot(&gap, &gap).sqrt() < 2e-6 * dot(double, double).sqrt(), "{kind:?} {objective}");
        }
    });
}

proptest! {
    #![proptest_config(caller::cases(60))]

    /// Any depth, width and number of samples: around the vector widths and several tiles.
    #[test]
    fn any_shape_has_the_right_value_and_slope(
        widths in prop::collection::vec(1usize..24, 2..5),
        n in prop_oneof![1usize..40, 250usize..520],
        kind in 0usize..6,
        mse in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let kind = Activation::ALL[kind];
        // Of one output cross-entropy is refused: it is 0.
        let objective = OBJECTIVES[usize::from(mse || widths[widths.len() - 1] == 1)];
        let texts: Vec<String> = widths.iter().map(usize::to_string).collect();
        let spec = format!("mlp:{}:{}", texts.join("-"), kind.name());
        let mlp = Mlp::parse(&spec).unwrap();
        let data = data(n, widths[0], widths[widths.len() - 1], seed);
        let mut loss = Loss::open(1, &spec, &[("objective", objective), ("l2", "0.01")], Some(&data)).unwrap();
        let mut numbers = Numbers(seed ^ 1);
        let (theta, dir) = (numbers.vector(loss.p, 0.7), numbers.vector(loss.p, 0.5));
        let at = loss.eval(Call { dir: Some(&dir), ..Call::new(&theta) }).unwrap();
        let truth = plain(&mlp, objective, L2, &data, &theta).0;
        // Sums of at most a few hundred terms, rounded at 1e-16.
        prop_assert!((at.loss[0] - truth).abs() < 1e-12 * truth.abs().max(1.0), "{} {}", at.loss[0], truth);
        let h = 1e-5;
        let (low, high) = (shifted(&theta, -h, &dir), shifted(&theta, h, &dir));
        let (value_low, signs_low) = plain(&mlp, objective, L2, &data, &low);
        let (value_high, signs_high) = plain(&mlp, objective, L2, &data, &high);
        if is_smooth(kind) || signs_low == signs_high {
            let slope = dot(&at.grad, &dir);
            // Rounding 1e-15 / h and h^2 times a third derivative below 1e4 at these widths.
            prop_assert!(((value_high - value_low) / (2.0 * h) - slope).abs() < 1e-6 * slope.abs().max(1.0));
            let moved = [low, high].map(|theta| loss.eval(Call::new(&theta)).unwrap().grad);
            let difference = shifted(&vec![0.0; loss.p], 1.0 / (2.0 * h), &shifted(&moved[1], -1.0, &moved[0]));
            let gap = shifted(&difference, -1.0, &at.hvp);
            prop_assert!(dot(&gap, &gap).sqrt() < 1e-6 * dot(&at.hvp, &at.hvp).sqrt().max(1.0));
        }
    }
}
