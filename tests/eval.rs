//! `mpass eval` against closed forms, its own derivatives and the files it reads.

mod mpass;

use mountainpass::npy::{self, Array, Values};
use mpass::{Ended, file, folder, run};
use serde_json::Value;
use std::path::Path;

const ROSENBROCK: &str = "[loss]\nbackend = \"surfaces\"\nmodel = \"rosenbrock\"\noptions = { n = 3 }\n";
const DIGITS: &str = "[loss]\nbackend = \"faer\"\nmodel = \"mlp:64-4-10:tanh\"\ndata = \"digits\"\nl2 = 1e-3\n";

fn write(folder: &Path, name: &str, shape: &[usize], values: impl Into<Values>) {
    file(folder, name, npy::bytes(&Array { shape: shape.to_vec(), values: values.into() }));
}

fn json(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

fn read(folder: &Path, name: &str) -> Array {
    npy::read(&folder.join(name)).unwrap()
}

#[test]
fn values_gradients_and_products_are_those_of_the_closed_form() {
    let here = folder("eval_closed_form");
    file(&here, "r.toml", ROSENBROCK);
    // sum 100 (y - x^2)^2 + (1 - x)^2 over neighbours.
    let rows = [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 2.0, 3.0];
    write(&here, "t.npy", &[3, 3], rows.to_vec());
    write(&here, "v.npy", &[3], vec![1.0, 0.0, 0.0]);
    let line = ["eval", "r.toml", "--theta", "t.npy", "--grad", "g.npy", "--hvp", "v.npy", "hv.npy", "--json"];
    let all = json(&run(&here, &line));
    let f = |x: &[f64]| x.windows(2).map(|w| 100.0 * (w[1] - w[0] * w[0]).powi(2) + (1.0 - w[0]).powi(2)).sum::<f64>();
    let losses: Vec<f64> = rows.chunks(3).map(f).collect();
    assert_eq!(all["loss"], serde_json::json!(losses));
    assert_eq!(all["n_parameters"], 3);
    let gradient = read(&here, "g.npy");
    assert_eq!(gradient.shape, [3, 3]);
    assert_eq!(gradient.values.to_f64()[3..6], [-2.0, -2.0, 0.0]);
    // The first column of the Hessian: 1200 x^2 - 400 y + 2, -400 x, 0.
    assert_eq!(read(&here, "hv.npy").values.to_f64(), [802.0, -400.0, 0.0, 2.0, 0.0, 0.0, 402.0, 400.0, 0.0]);
}

#[test]
fn more_rows_than_are_evaluated_at_once_are_those_of_the_closed_form() {
    let here = folder("eval_many_rows");
    file(&here, "r.toml", ROSENBROCK.replace("n = 3", "n = 2"));
    // Of two numbers 2^18 rows at once; two directions in turn, the first coordinate and the second.
    let n = 600_002;
    let point = |i: usize| [(i % 1000) as f64 / 256.0 - 2.0, (i % 777) as f64 / 128.0 - 3.0];
    let rows: Vec<f64> = (0..n).flat_map(point).collect();
    write(&here, "t.npy", &[n, 2], rows);
    write(&here, "v.npy", &[2, 2], vec![1.0, 0.0, 0.0, 1.0]);
    let line = ["eval", "r.toml", "--theta", "t.npy", "--grad", "g.npy", "--hvp", "v.npy", "hv.npy", "--json"];
    let losses = json(&run(&here, &line))["loss"].as_array().unwrap().clone();
    let [grad, product] = ["g.npy", "hv.npy"].map(|name| read(&here, name).values.to_f64());
    assert_eq!([losses.len(), grad.len(), product.len()], [n, 2 * n, 2 * n]);
    for i in [0, 1, (1 << 18) - 1, 1 << 18, (1 << 19) + 1, n - 1] {
        let [x, y] = point(i);
        let loss = 100.0 * (y - x * x).powi(2) + (1.0 - x).powi(2);
        let slope = [-400.0 * x * (y - x * x) - 2.0 * (1.0 - x), 200.0 * (y - x * x)];
        let column = if i % 2 == 0 { [1200.0 * x * x - 400.0 * y + 2.0, -400.0 * x] } else { [-400.0 * x, 200.0] };
        let found = [losses[i].as_f64().unwrap(), grad[2 * i], grad[2 * i + 1], product[2 * i], product[2 * i + 1]];
        for (found, wanted) in found.into_iter().zip([loss, slope[0], slope[1], column[0], column[1]]) {
            // Some roundings of numbers up to 10,000.
            assert!((found - wanted).abs() < 1e-10, "row {i}: {found}, not {wanted}");
        }
    }
}

#[test]
fn a_network_is_told_with_its_metrics_and_blocks() {
    let here = folder("eval_network");
    file(&here, "d.toml", DIGITS);
    let own = json(&run(&here, &["eval", "d.toml", "--grad", "g.npy", "--json"]));
    assert_eq!(own["n_parameters"], 64 * 4 + 4 + 40 + 10);
    assert_eq!(own["parameters"][1], serde_json::json!({ "name": "layers.0.bias", "shape": [4], "offset": 256 }));
    // The objective is that of all train samples.
    assert_eq!(own["metrics"]["train"]["loss"], own["loss"]);
    assert!(own["metrics"]["test"]["accuracy"].as_f64().unwrap() < 0.5);
    assert_eq!(read(&here, "g.npy").shape, [310]);
    let train = json(&run(&here, &["eval", "d.toml", "--split", "train", "--json"]));
    assert_eq!(train["metrics"].as_object().unwrap().len(), 1);
    // The mean over single samples is the loss over them.
    let of = |ids: Vec<i64>| {
        write(&here, "i.npy", &[ids.len()], ids);
        json(&run(&here, &["eval", "d.toml", "--ids", "i.npy", "--json"]))["loss"].as_f64().unwrap()
    };
    let (a, b, both) = (of(vec![3]), of(vec![8]), of(vec![3, 8]));
    assert!(((a + b) / 2.0 - both).abs() < 1e-14 * both);
    let text = run(&here, &["eval", "d.toml"]).stdout;
    assert!(text.starts_with("310 parameters in 4 blocks\nloss 2."), "{text}");
    assert!(text.contains("\ntrain: loss 2.") && text.contains("\ntest: loss 2."), "{text}");
}

#[test]
fn rows_that_are_not_finite_are_told_and_end_with_1() {
    let here = folder("eval_not_finite");
    // A perceptron has kernels of its own, a convolutional network the graph's.
    let cnn = DIGITS.replace("mlp:64-4-10:tanh", "cnn:8x8x1-2-10:relu");
    for (name, toml) in [("mlp.toml", DIGITS), ("cnn.toml", &cnn)] {
        file(&here, name, toml);
        let p = json(&run(&here, &["eval", name, "--json"]))["n_parameters"].as_u64().unwrap() as usize;
        write(&here, "nan.npy", &[p], vec![f64::NAN; p]);
        let one = run(&here, &["eval", name, "--theta", "nan.npy"]);
        assert_eq!((one.code, one.stderr.as_str()), (Some(1), "mpass: 1 row is not finite: 0\n"), "{name}");
        assert!(one.stdout.contains("\nloss NaN\ntrain: loss NaN, accuracy 0\n"), "{}", one.stdout);
        let rows = [0.1, f64::NAN, f64::NAN, 0.1, f64::NEG_INFINITY];
        write(&here, "five.npy", &[5, p], rows.iter().flat_map(|x| vec![*x; p]).collect::<Vec<f64>>());
        let five = run(&here, &["eval", name, "--theta", "five.npy", "--grad", "g.npy", "--json"]);
        assert_eq!((five.code, five.stderr.as_str()), (Some(1), "mpass: 3 rows are not finite: 1 to 2, 4\n"), "{name}");
        let all: Value = serde_json::from_str(&five.stdout).unwrap();
        let column = |of: &Value| of.as_array().unwrap().iter().map(|x| x.as_f64()).collect::<Vec<Option<f64>>>();
        assert_eq!(
            column(&all["loss"]).iter().map(Option::is_some).collect::<Vec<bool>>(),
            [true, false, false, true, false]
        );
        for split in ["train", "test"] {
            let accuracy = column(&all["metrics"][split]["accuracy"]);
            assert!(accuracy[0].unwrap() > 0.0 && accuracy[0] == accuracy[3], "{name}: {accuracy:?}");
            assert_eq!([accuracy[1], accuracy[2], accuracy[4]], [Some(0.0); 3], "{name}: {split}");
        }
        assert!(read(&here, "g.npy").values.to_f64()[..p].iter().all(|x| x.is_finite()));
    }
}

#[test]
fn bad_input_is_one_line_and_exit_2() {
    let here = folder("eval_bad_input");
    file(&here, "r.toml", ROSENBROCK);
    file(&here, "d.toml", DIGITS);
    write(&here, "four.npy", &[4], vec![0.0; 4]);
    write(&here, "none.npy", &[0, 3], Vec::<f64>::new());
    write(&here, "half.npy", &[1], vec![0.5]);
    write(&here, "minus.npy", &[1], vec![-1_i64]);
    write(&here, "far.npy", &[1], vec![1_000_000_i64]);
    file(&here, "text.npy", "no array");
    let cases: [(&[&str], &str); 9] = [
        (&["r.toml", "--theta", "four.npy"], "an array of shape [4]; the loss has 3 parameters: wants (3,) or (n, 3)"),
        (&["r.toml", "--theta", "none.npy"], "an array of shape [0, 3]"),
        (&["r.toml", "--theta", "text.npy"], "text.npy"),
        (&["r.toml", "--theta", "gone.npy"], "gone.npy"),
        (&["r.toml", "--ids", "half.npy"], "wants whole numbers in a row"),
        (&["r.toml", "--ids", "minus.npy"], "samples count from 0"),
        (&["r.toml", "--ids", "far.npy"], "MPASS_CAP_MINIBATCH"),
        (&["d.toml", "--ids", "far.npy"], "sample 1000000 of a data set"),
        (&["r.toml", "--threads", "0"], "at least one thread"),
    ];
    for (arguments, expected) in cases {
        let ended = run(&here, &[&["eval"], arguments].concat());
        assert!(ended.stderr.contains(expected), "{arguments:?}: {}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert!(ended.code == Some(2) && ended.stdout.is_empty(), "{arguments:?}: {:?}", ended.code);
    }
}
