//! Opening: options and their faults, metrics, identity, and the declared symmetries of the whole objective.

mod caller;

use caller::{Call, Loss, Numbers, data};
use mountainpass_sdk::{Backend, Declared, Kind, abi};

fn fault(model: &str, options: &[(&str, &str)]) -> String {
    Loss::open(1, model, options, None).err().expect("opening should fail")
}

const TANH: &str = "mlp:64-8-10:tanh";

#[test]
fn faults_of_options_name_what_is_wrong_and_the_nearest() {
    let with = |key, value| fault(TANH, &[("data", "digits"), (key, value)]);
    assert_eq!(with("objectve", "mse"), "unknown option \"objectve\"; the nearest is \"objective\"");
    assert_eq!(with("objective", "mean"), "unknown objective \"mean\"; the nearest is \"mae\"");
    assert_eq!(with("l2", "much"), "option l2: cannot read \"much\"");
    assert_eq!(with("l2", "-1"), "option l2: -1 is not a finite number >= 0");
    assert_eq!(with("l2", "NaN"), "option l2: NaN is not a finite number >= 0");
    assert_eq!(with("l2_on", "weight"), "unknown value of l2_on \"weight\"; the nearest is \"weights\"");
    assert_eq!(with("limit", "0"), "option limit: 0 samples, expected at least 1");
    assert!(fault(TANH, &[]).starts_with("option data is missing"));
    assert!(fault(TANH, &[("data", "digit")]).contains("nearest is \"digits\""));
    assert!(fault("mlp:64-8-10:tan", &[("data", "digits")]).contains("nearest is \"tanh\""));
    assert!(fault("mlp:60-8-10:tanh", &[("data", "digits")]).contains("takes [60] as x"));
    assert!(fault("mlp:64-8-5:tanh", &[("data", "digits")]).contains("has 5 outputs"));
    let both = Loss::open(1, TANH, &[("data", "digits")], Some(&data(3, 64, 10, 1))).err().unwrap();
    assert!(both.contains("arrays were given too"));
}

/// That no option is read which is not declared, every opening proves (`Open::finish`); here, that all declared are.
#[test]
fn every_option_that_is_declared_is_read() {
    let sample = |option: &Declared| match (option.words, option.kind) {
        (Some(words), _) => words.to_str().unwrap().split(' ').map(str::to_owned).collect(),
        (None, Kind::Integer | Kind::Number) => vec!["1".to_owned(), "-1".into(), "x".into()],
        (None, _) => vec!["x".to_owned()],
    };
    for option in <mountainpass_faer::Faer as Backend>::OPTIONS {
        let name = option.name.to_str().unwrap();
        for value in sample(option) {
            let data = [("data", "digits")].into_iter().filter(|_| name != "data");
            let options: Vec<(&str, &str)> = data.chain([(name, value.as_str())]).collect();
            let refused = Loss::open(1, TANH, &options, None).err().unwrap_or_default();
            // Refused for its value, perhaps, or by the data: never as a name or a word that nobody knows.
            assert!(!refused.contains("unknown") && !refused.contains("says nothing"), "{name} = {value}: {refused}");
        }
    }
    assert!(fault(TANH, &[("data", "digits"), ("size", "n=1")]).starts_with("unknown option \"size\""));
}

#[test]
fn it_says_what_it_can_do() {
    use abi::cap::*;
    let all = GRAD | HVP | MINIBATCH | MANY | REPEATABLE | CANCEL;
    let caps = |activation: &str| {
        let loss =
            Loss::open(1, &format!("mlp:64-8-10:{activation}"), &[("data", "digits"), ("limit", "7")], None).unwrap();
        assert_eq!(loss.samples(), 7);
        loss.caps()
    };
    for smooth in ["tanh", "sigmoid", "gelu", "softplus"] {
        assert_eq!(caps(smooth), all | SMOOTH);
    }
    for kinked in ["relu", "leaky_relu"] {
        assert_eq!(caps(kinked), all);
    }
}

#[test]
fn metrics_are_the_objective_on_train_and_plain_on_test() {
    let open = |l2: &str| Loss::open(2, TANH, &[("data", "digits"), ("l2", l2)], None).unwrap();
    let (mut loss, mut plain) = (open("0.01"), open("0"));
    let theta = loss.start(1);
    let ([train, accuracy], [test, _]) = (loss.metrics(0, &theta), loss.metrics(1, &theta));
    assert_eq!(train, loss.value(&theta));
    assert_eq!(test, plain.metrics(1, &theta)[0]);
    assert!((plain.metrics(0, &theta)[0] - plain.value(&theta)).abs() < 1e-15);
    // An untrained net guesses: ten classes, 1,437 samples.
    assert!((0.0..0.35).contains(&accuracy), "{accuracy}");
    // Weights that copy pixel 21 to class 1 make every answer 1 or (ties) 0: shares known from the data.
    let mut one = Loss::open(1, "mlp:64-10:relu", &[("data", "digits")], None).unwrap();
    let mut theta = vec![0.0; one.p];
    theta[640 + 1] = 1.0;
    let ones = 146.0; // grep -c ',1$' of the first 1,437 lines.
    assert_eq!(one.metrics(0, &theta)[1], ones / 1437.0);
    theta[640 + 1] = 0.0;
    let zeros = 143.0; // All outputs equal: the first class is the answer.
    assert_eq!(one.metrics(0, &theta)[1], zeros / 1437.0);
}

#[test]
fn descent_learns_the_digits() {
    let mut loss = Loss::open(2, "mlp:64-16-10:relu", &[("data", "digits")], None).unwrap();
    let mut theta = loss.start(3);
    for _ in 0..400 {
        let grad = loss.eval(Call::new(&theta)).unwrap().grad;
        theta.iter_mut().zip(&grad).for_each(|(x, g)| *x -= 0.5 * g);
    }
    // Any sound perceptron passes 85 % on these test images within 400 full steps.
    let [_, accuracy] = loss.metrics(1, &theta);
    assert!(accuracy > 0.85, "{accuracy}");
}

#[test]
fn identity_tells_models_data_and_options_apart() {
    let of = |model: &str, options: &[(&str, &str)]| Loss::open(1, model, options, None).unwrap().identity();
    let base = of(TANH, &[("data", "digits")]);
    assert_eq!(base[2], "data = digits\nlimit = 1437\nobjective = cross_entropy\nl2 = 0\nl2_on = all\n");
    assert!(base[..2].iter().all(|hash| hash.len() == 64));
    assert_eq!(of(TANH, &[("data", "digits"), ("limit", "5000")]), base);
    let limited = of(TANH, &[("data", "digits"), ("limit", "9")]);
    assert_eq!(limited[0], base[0]);
    assert_ne!(limited[1], base[1]);
    assert_ne!(of("mlp:64-9-10:tanh", &[("data", "digits")])[0], base[0]);
}

#[test]
fn a_penalty_on_weights_leaves_biases_free() {
    let open = |options: &[(&str, &str)]| Loss::open(1, "mlp:64-10:relu", options, None).unwrap();
    let (mut all, mut weights, mut none) = (
        open(&[("data", "digits"), ("l2", "2")]),
        open(&[("data", "digits"), ("l2", "2"), ("l2_on", "weights")]),
        open(&[("data", "digits")]),
    );
    let mut theta = vec![0.0; all.p];
    theta[3] = 2.0;
    theta[640] = 1.0;
    let value = none.value(&theta);
    // (l2/2) |theta|^2 = 4 + 1.
    assert!((all.value(&theta) - value - 5.0).abs() < 1e-14);
    assert!((weights.value(&theta) - value - 4.0).abs() < 1e-14);
    let grad = |loss: &mut Loss| loss.eval(Call::new(&theta)).unwrap().grad;
    let (a, w, n) = (grad(&mut all), grad(&mut weights), grad(&mut none));
    assert!((a[640] - n[640] - 2.0).abs() < 1e-14 && w[640] == n[640]);
    assert!((w[3] - n[3] - 4.0).abs() < 1e-14);
}

/// A random element of a declared symmetry group, applied to theta.
fn transform(theta: &mut [f64], kind: u32, blocks: &[Vec<usize>], split: usize, numbers: &mut Numbers) {
    match kind {
        abi::symmetry::PERMUTATION => {
            for i in (1..blocks.len()).rev() {
                let j = ((numbers.next() + 1.0) / 2.0 * (i + 1) as f64) as usize;
                blocks[i].iter().zip(&blocks[j]).for_each(|(a, b)| theta.swap(*a, *b));
            }
        }
        abi::symmetry::SIGN => {
            let flips: Vec<bool> = blocks.iter().map(|_| numbers.next() > 0.0).collect();
            for block in blocks.iter().zip(&flips).filter(|(_, flip)| **flip).map(|(block, _)| block) {
                block.iter().for_each(|i| theta[*i] = -theta[*i]);
            }
        }
        abi::symmetry::SCALE => {
            for block in blocks {
                let a = numbers.next().exp();
                block.iter().enumerate().for_each(|(k, i)| theta[*i] *= if k < split { a } else { 1.0 / a });
            }
        }
        other => panic!("kind {other}"),
    }
}

#[test]
fn every_declared_symmetry_leaves_the_whole_objective_unchanged() {
    use abi::symmetry::*;
    for (activation, l2, kinds) in [
        ("tanh", "0", vec![PERMUTATION, SIGN]),
        ("tanh", "1e-4", vec![PERMUTATION, SIGN]),
        ("relu", "0", vec![PERMUTATION, SCALE]),
        ("relu", "1e-4", vec![PERMUTATION]),
        ("leaky_relu", "0", vec![PERMUTATION, SCALE]),
        ("gelu", "1e-4", vec![PERMUTATION]),
    ] {
        for hidden in ["8", "9-7-6"] {
            let spec = format!("mlp:64-{hidden}-10:{activation}");
            let mut loss = Loss::open(1, &spec, &[("data", "digits"), ("limit", "100"), ("l2", l2)], None).unwrap();
            let symmetries = loss.symmetries();
            let layers = hidden.split('-').count();
            assert_eq!(symmetries.iter().map(|s| s.0).collect::<Vec<u32>>(), kinds.repeat(layers));
            let mut numbers = Numbers(5);
            let theta = numbers.vector(loss.p, 0.5);
            let value = loss.value(&theta);
            let mut moved = theta.clone();
            for (kind, blocks, split) in &symmetries {
                let before = moved.clone();
                transform(&mut moved, *kind, blocks, *split, &mut numbers);
                assert_ne!(moved, before, "{spec}: a random element that moves nothing proves nothing");
                // Sums in another order: rounding of a loss of order 1.
                assert!((loss.value(&moved) - value).abs() < 1e-13, "{spec} l2 = {l2} kind {kind}");
            }
            // The test can fail: an exchange of two numbers of different blocks is no symmetry.
            let (a, b) = (symmetries[0].1[0][64], symmetries[0].1[1][64]);
            moved.swap(a, b);
            assert!((loss.value(&moved) - value).abs() > 1e-9);
        }
    }
}
