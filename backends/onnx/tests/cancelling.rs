//! A long run is stopped in its middle, and the session is good for the next one; losses come and go.

#[path = "../../faer/tests/caller/mod.rs"]
mod caller;
mod library;

use caller::{Call, Loss};
use library::library;
use mountainpass_onnx::Onnx;
use std::sync::atomic::AtomicI32;

#[test]
fn a_run_is_stopped_in_its_middle_and_the_next_is_whole() {
    let Some(library) = library() else { return };
    // Samples that see each other are one run, of a good second here: it is asked twice before it begins.
    let options = [("data", "digits"), ("library", &library)];
    let mut loss = Loss::open_of::<Onnx>(1, "resnet9:8x8x1-10:relu:batchnorm", &options, &[]).unwrap();
    let theta: Vec<f32> = loss.start(1).into_iter().map(|x| x as f32).collect();
    let some: Vec<u64> = (0..600).collect();
    let call = Call { ids: Some(&some), ..Call::new(&theta) };
    for polls in [0, 3] {
        let token = AtomicI32::new(polls);
        assert_eq!(loss.eval(Call { cancel: Some(&token), ..call }).unwrap_err(), "cancelled");
    }
    let token = AtomicI32::new(i32::MAX);
    let whole = loss.eval(Call { cancel: Some(&token), ..call }).unwrap();
    assert!(whole.loss[0].is_finite() && whole.grad.iter().any(|x| *x != 0.0));
    assert_eq!(whole, loss.eval(call).unwrap());
}

#[test]
fn two_losses_live_side_by_side() {
    let Some(library) = library() else { return };
    let options = [("data", "digits"), ("limit", "20"), ("library", &library)];
    let open = || Loss::open_of::<Onnx>(2, "mlp:64-4-10:tanh", &options, &[]).unwrap();
    let (mut one, mut other) = (open(), open());
    let theta = one.start(1);
    let first = one.eval(Call::new(&theta)).unwrap();
    let from_other = std::thread::scope(|scope| {
        let other = scope.spawn(|| (0..50).map(|_| other.value(&theta)).collect::<Vec<f64>>());
        let own: Vec<f64> = (0..50).map(|_| one.value(&theta)).collect();
        assert!(own.iter().all(|value| *value == first.loss[0]));
        other.join().unwrap()
    });
    assert!(from_other.iter().all(|value| *value == first.loss[0]));
}
