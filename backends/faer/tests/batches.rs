//! Bits do not depend on neighbours, threads or order; minibatches average; bad rows and cancellation stay contained.

mod caller;
mod together;

use caller::{Answer, Call, Loss, Numbers, data, dot, shifted};
use mountainpass_faer::Faer;
use mountainpass_sdk::{Scalar, abi};
use proptest::prelude::*;
use std::sync::atomic::AtomicI32;

const DIGITS: [(&str, &str); 2] = [("data", "digits"), ("l2", "1e-4")];

fn digits(workers: usize) -> Loss {
    Loss::open(workers, "mlp:64-8-10:tanh", &DIGITS, None).unwrap()
}

fn bits<T: Scalar>(answer: &Answer<T>) -> (Vec<u64>, Vec<u64>, Vec<u64>) {
    let of = |x: &[T]| x.iter().map(|x| x.to_f64().to_bits()).collect();
    (answer.loss.iter().map(|x| x.to_bits()).collect(), of(&answer.grad), of(&answer.hvp))
}

fn rows<T: Scalar>(n: usize, p: usize, seed: u64) -> Vec<T> {
    Numbers(seed).vector(n * p, 0.5).into_iter().map(T::from_f64).collect()
}

/// Five rows in one call on one worker, and each alone on 1, 2, 3 and 8 workers, must give the same bits.
fn rows_and_threads_leave_bits<T: Scalar>(spec: &str, options: &[(&str, &str)], ids: Option<&[u64]>) {
    let open = |workers| Loss::open(workers, spec, options, None).unwrap();
    let p = open(1).p;
    let (theta, dir) = (rows::<T>(5, p, 3), rows::<T>(5, p, 4));
    let call = Call { ids, dir: Some(&dir), ..Call::new(&theta) };
    let reference = open(1).eval(call).unwrap();
    for workers in [1, 2, 3, 8] {
        let mut loss = open(workers);
        assert_eq!(bits(&loss.eval(call).unwrap()), bits(&reference), "{workers} workers, five rows");
        for row in 0..5 {
            let part = row * p..(row + 1) * p;
            let alone = Call { theta: &theta[part.clone()], dir: Some(&dir[part.clone()]), ..call };
            let alone = loss.eval(alone).unwrap();
            let expected = Answer {
                loss: vec![reference.loss[row]],
                grad: reference.grad[part.clone()].to_vec(),
                hvp: reference.hvp[part].to_vec(),
                status: vec![0],
            };
            assert_eq!(bits(&alone), bits(&expected), "{workers} workers, row {row} alone");
        }
    }
}

#[test]
fn rows_and_threads_leave_the_bits_alone_in_double() {
    rows_and_threads_leave_bits::<f64>("mlp:64-8-10:tanh", &DIGITS, None);
}

#[test]
fn rows_and_threads_leave_the_bits_alone_in_single() {
    rows_and_threads_leave_bits::<f32>("mlp:64-8-10:tanh", &DIGITS, None);
}

#[test]
fn rows_and_threads_leave_the_bits_alone_for_other_shapes() {
    let options = [("data", "digits"), ("objective", "mse"), ("limit", "700")];
    rows_and_threads_leave_bits::<f64>("mlp:64-100-70-30-10:gelu", &options, None);
    rows_and_threads_leave_bits::<f32>("mlp:64-129-33-10:relu", &options, None);
    let ids: Vec<u64> = (0..600).map(|i| i * 7 % 700).collect();
    rows_and_threads_leave_bits::<f64>("mlp:64-31-10:softplus", &options, Some(&ids));
}

#[test]
fn rows_and_threads_leave_the_bits_alone_of_other_networks() {
    let options = [("data", "digits"), ("limit", "90"), ("l2", "1e-3"), ("l2_on", "weights")];
    rows_and_threads_leave_bits::<f64>("cnn:8x8x1-4-5-10:gelu", &options, None);
    rows_and_threads_leave_bits::<f32>("cnn:8x8x1-4-5-10:relu", &options, Some(&[3, 3, 80, 41, 7]));
    rows_and_threads_leave_bits::<f32>("resnet9:8x8x1-10:relu:batchnorm", &options, None);
    // Several pieces, which one worker adds up as it goes and several hand over.
    let options = [("data", "digits"), ("limit", "300")];
    rows_and_threads_leave_bits::<f64>("cnn:8x8x1-3-4-10:tanh", &options, None);
    rows_and_threads_leave_bits::<f32>("cnn:8x8x1-3-4-10:relu", &options, None);
    // One piece, whose steps have many parts.
    rows_and_threads_leave_bits::<f64>("cnn:8x8x1-7-5-10:gelu:batchnorm", &options, None);
}

/// A network so large that partial sums of all tiles at once would not fit: they come in waves of one per worker.
#[test]
fn waves_of_tiles_leave_the_bits_alone() {
    let open = |workers| {
        let options = [("data", "digits"), ("limit", "230"), ("objective", "mse")];
        Loss::open(workers, "mlp:64-1500-1400-10:tanh", &options, None).unwrap()
    };
    let (theta, dir) = (rows::<f32>(1, open(1).p, 3), rows::<f32>(1, open(1).p, 4));
    let call = Call { dir: Some(&dir), ..Call::new(&theta) };
    assert_eq!(bits(&open(3).eval(call).unwrap()), bits(&open(1).eval(call).unwrap()));
}

#[test]
fn gradients_do_not_depend_on_what_else_is_asked() {
    let mut loss = digits(1);
    let (theta, dir) = (rows::<f64>(1, loss.p, 3), rows::<f64>(1, loss.p, 4));
    let all = loss.eval(Call { dir: Some(&dir), ..Call::new(&theta) }).unwrap();
    let grad = loss.eval(Call::new(&theta)).unwrap();
    assert_eq!((&all.grad, &all.loss), (&grad.grad, &grad.loss));
    assert_eq!(loss.value(&theta), all.loss[0]);
}

#[test]
fn singletons_average_to_the_whole() {
    let mut loss =
        Loss::open(2, "mlp:64-8-10:tanh", &[("data", "digits"), ("limit", "300"), ("l2", "0.01")], None).unwrap();
    let theta = rows::<f64>(1, loss.p, 3);
    let whole = loss.eval(Call::new(&theta)).unwrap();
    let (mut value, mut grad) = (0.0, vec![0.0; loss.p]);
    for id in 0..300 {
        let one = loss.eval(Call { ids: Some(&[id]), ..Call::new(&theta) }).unwrap();
        value += one.loss[0] / 300.0;
        grad = shifted(&grad, 1.0 / 300.0, &one.grad);
    }
    // Rounding of 300 terms of order 1.
    assert!((value - whole.loss[0]).abs() < 1e-13 * value);
    let gap = shifted(&grad, -1.0, &whole.grad);
    assert!(dot(&gap, &gap).sqrt() < 1e-13);
}

proptest! {
    #![proptest_config(caller::cases(20))]

    #[test]
    fn a_minibatch_is_the_mean_with_repeats(ids in prop::collection::vec(0u64..50, 1..20)) {
        let data = data(50, 3, 2, 9);
        let mut loss = Loss::open(1, "mlp:3-4-2:sigmoid", &[("l2", "0.1")], Some(&data)).unwrap();
        let theta = rows::<f64>(1, loss.p, 3);
        let batch = loss.eval(Call { ids: Some(&ids), ..Call::new(&theta) }).unwrap().loss[0];
        let single = |id: &u64| loss.eval(Call { ids: Some(&[*id]), ..Call::new(&theta) }).unwrap().loss[0];
        let mean = ids.iter().map(single).sum::<f64>() / ids.len() as f64;
        prop_assert!((batch - mean).abs() < 1e-14); // Rounding of twenty terms of order 1.
    }
}

#[test]
fn calls_leave_no_state_behind() {
    let mut loss = digits(2);
    let (a, b) = (rows::<f64>(3, loss.p, 1), rows::<f64>(1, loss.p, 2));
    let first = loss.eval(Call::new(&a)).unwrap();
    loss.eval(Call { ids: Some(&[3, 1, 4]), dir: Some(&b), ..Call::new(&b) }).unwrap();
    loss.eval(Call::new(&rows::<f32>(2, loss.p, 5))).unwrap();
    assert_eq!(loss.eval(Call::new(&a)).unwrap(), first);
}

#[test]
fn bad_sample_ids_are_refused() {
    let mut loss = digits(1);
    let theta = rows::<f64>(1, loss.p, 1);
    let mut text = |ids: &[u64]| loss.eval(Call { ids: Some(ids), ..Call::new(&theta) }).unwrap_err();
    assert_eq!(text(&[0, 1437]), "sample id 1437 at place 1, but there are 1437 samples");
    assert_eq!(text(&[]), "the minibatch has no samples");
}

#[test]
fn a_row_that_is_not_finite_does_not_fail_its_neighbours() {
    for spec in ["mlp:64-8-10:tanh", "mlp:64-8-10:relu", "mlp:64-8-10:gelu", "mlp:64-10:relu"] {
        // No penalty: a relu unit with the bias -inf is silent, and the loss alone would not show it.
        let mut loss = Loss::open(2, spec, &DIGITS[..1], None).unwrap();
        let p = loss.p;
        let good = rows::<f64>(3, p, 1);
        let reference = loss.eval(Call::new(&good)).unwrap();
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e200] {
            for at in [0, p / 2, 64 * 8, p - 1] {
                let mut theta = good.clone();
                theta[p + at] = bad;
                let answer = loss.eval(Call::new(&theta)).unwrap();
                let numeric = !bad.is_finite() || !answer.loss[1].is_finite();
                let flagged = if numeric { abi::status::NUMERIC } else { abi::status::OK };
                assert_eq!(answer.status, [0, flagged, 0], "{spec}: {bad} at {at}: loss {}", answer.loss[1]);
                for row in [0, 2] {
                    assert_eq!(answer.loss[row], reference.loss[row]);
                    assert_eq!(answer.grad[row * p..(row + 1) * p], reference.grad[row * p..(row + 1) * p]);
                }
            }
        }
    }
}

#[test]
fn a_fired_token_cancels_within_one_tile_a_worker() {
    for (workers, n) in [(1, 4), (3, 1), (2, 4)] {
        let mut loss = digits(workers);
        let theta = rows::<f64>(n, loss.p, 1);
        let never = AtomicI32::new(i32::MAX);
        assert!(loss.eval(Call { cancel: Some(&never), ..Call::new(&theta) }).is_ok());
        let third = AtomicI32::new(3);
        assert_eq!(loss.eval(Call { cancel: Some(&third), ..Call::new(&theta) }).unwrap_err(), "cancelled");
        let polls_after = -third.into_inner();
        assert!(polls_after <= workers as i32, "{polls_after} polls after it fired");
        assert!(loss.eval(Call::new(&theta)).is_ok());
    }
}

#[test]
fn no_rows_is_no_work() {
    let mut loss = digits(2);
    let answer = loss.eval(Call::<f64>::new(&[])).unwrap();
    assert!(answer.loss.is_empty() && answer.grad.is_empty());
}

#[test]
fn calls_of_several_threads_say_what_each_says_alone() {
    let options = [("data", "digits"), ("limit", "600"), ("l1", "1e-4")];
    for spec in ["mlp:64-8-10:relu", "mlp:64-6-5-10:leaky_relu", "cnn:8x8x1-3-4-10:relu"] {
        together::calls_at_once_say_what_each_says_alone::<Faer>(spec, &options);
    }
}
