//! The kinks of real networks through the table and the adapter: what is told of them against the plain loss and
//! differences, for networks of one layer and more, pools, shortcuts and an L1 penalty; of a surface in a process of its own, and of a loss in C.
#![cfg(all(feature = "faer", feature = "surfaces", feature = "dense"))]

mod built;

use mountainpass::loss::oracle::Oracle;
use mountainpass::loss::{Batch, Isolation, Kink, Limits, Linear, Loss, OpenRequest, Registry, Slope};
use mountainpass::machine::pool::Pool;
use mountainpass::run::{Budget, Cancel};
use mountainpass::search::kink::polish;
use mountainpass::search::tangents::Tangents;
use mountainpass_faer::Faer;
use std::sync::Arc;

const NETWORKS: [(&str, &[(&str, &str)]); 5] = [
    ("mlp:64-8-10:relu", &[("l2", "0.001")]),
    ("mlp:64-4-3-10:relu", &[("l1", "0.002")]),
    ("mlp:64-4-10:tanh", &[("objective", "mae")]),
    ("cnn:8x8x1-3-4-10:relu", &[]),
    ("cnn:8x8x1-3-4-10:leaky_relu", &[]),
];

fn open(model: &str, options: &[(&str, &str)], threads: usize) -> Box<dyn Loss> {
    open_in(&Registry::new(), model, options, threads)
}

fn open_in(registry: &Registry, model: &str, options: &[(&str, &str)], threads: usize) -> Box<dyn Loss> {
    registry.register::<Faer>().unwrap();
    let all = [&[("data", "digits"), ("limit", "300")], options].concat();
    let options = all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let request = OpenRequest { model: model.into(), options, ..OpenRequest::default() };
    registry.open("faer", &request, Arc::new(Pool::new(threads))).unwrap()
}

/// Value, gradient and product.
type Found = (f64, Vec<f64>, Vec<f64>);

fn found(theta: &[f64], dir: &[f64], eval: impl FnOnce(Batch<'_>)) -> Found {
    let p = theta.len();
    let (mut loss, mut grad, mut hvp, mut ok) = ([0.0], vec![0.0; p], vec![0.0; p], [false]);
    let cancel = Cancel::default();
    eval(Batch {
        theta,
        ids: None,
        loss: &mut loss,
        grad: Some(&mut grad),
        hvp: Some((dir, &mut hvp)),
        ok: &mut ok,
        cancel: &cancel,
    });
    assert!(ok[0]);
    (loss[0], grad, hvp)
}

fn plain(loss: &mut dyn Loss, theta: &[f64], dir: &[f64]) -> Found {
    found(theta, dir, |batch| loss.eval(batch).unwrap())
}

fn smoothed(loss: &mut dyn Loss, eps: f64, theta: &[f64], dir: &[f64]) -> Found {
    found(theta, dir, |batch| loss.eval_smoothed(eps, batch).unwrap())
}

fn linear(loss: &mut dyn Loss, slopes: &[Slope], theta: &[f64], dir: &[f64]) -> (Found, Vec<f64>, Vec<f64>) {
    let (mut z, mut delta) = (vec![0.0; slopes.len()], vec![0.0; slopes.len()]);
    let out = Linear { z: &mut z, delta: &mut delta };
    let found = found(theta, dir, |batch| loss.eval_linear(slopes, batch, out).unwrap());
    (found, z, delta)
}

fn rows(loss: &mut dyn Loss, slopes: &[Slope], theta: &[f64]) -> Vec<Vec<f64>> {
    let mut out = vec![0.0; slopes.len() * theta.len()];
    loss.kink_rows(theta, slopes, &mut out).unwrap();
    out.chunks(theta.len()).map(<[f64]>::to_vec).collect()
}

fn direction(p: usize) -> Vec<f64> {
    (0..p).map(|i| ((i * 37 + 11) % 23) as f64 / 23.0 - 0.5).collect()
}

fn moved(theta: &[f64], by: f64, dir: &[f64]) -> Vec<f64> {
    theta.iter().zip(dir).map(|(x, d)| x + by * d).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

fn gap(a: &[f64], b: &[f64]) -> f64 {
    norm(&moved(a, -1.0, b))
}

/// A few kinks near theta of which each matters, far apart in the list.
fn few(kinks: &[Kink], t: f64) -> Vec<Slope> {
    let live: Vec<&Kink> = kinks.iter().filter(|kink| kink.delta != 0.0).collect();
    live.iter().step_by(live.len().div_ceil(7).max(1)).map(|kink| Slope { id: kink.id, t }).collect()
}

#[test]
fn without_slopes_the_linear_loss_is_the_plain_one_and_every_kink_is_told() {
    for (model, options) in NETWORKS {
        let mut loss = open(model, options, 1);
        let theta = loss.start(3).unwrap().unwrap();
        let dir = direction(theta.len());
        let count = loss.kinks().unwrap();
        let all = loss.kinks_near(&theta, f64::INFINITY).unwrap();
        assert_eq!(all.len() as u64, count, "{model}");
        assert!(count >= 300, "{model}: {count} kinks");
        let (near, _) = (loss.kinks_near(&theta, 0.05).unwrap(), ());
        let expected: Vec<Kink> = all.iter().filter(|kink| kink.z.abs() < 0.05).copied().collect();
        assert!(!near.is_empty() && near == expected, "{model}");
        let (value, grad, hvp) = plain(&mut *loss, &theta, &dir);
        let ((bent, slope, product), _, _) = linear(&mut *loss, &[], &theta, &dir);
        // Sums in another order.
        assert!((bent - value).abs() < 1e-12 * value, "{model}: {bent}, not {value}");
        assert!(gap(&slope, &grad) < 1e-11 * norm(&grad), "{model}");
        assert!(gap(&product, &hvp) < 1e-10 * norm(&hvp), "{model}");
    }
}

#[test]
fn linear_losses_have_their_derivatives_and_tell_z_delta_and_rows() {
    for (model, options) in NETWORKS {
        let mut loss = open(model, options, 1);
        let theta = loss.start(5).unwrap().unwrap();
        let dir = direction(theta.len());
        // Slopes of every kink: a smooth loss everywhere.
        let all = loss.kinks_near(&theta, f64::INFINITY).unwrap();
        let every: Vec<Slope> = all.iter().map(|kink| Slope { id: kink.id, t: 0.4 + 0.1 * kink.alpha }).collect();
        let ((_, grad, hvp), z, delta) = linear(&mut *loss, &every, &theta, &dir);
        let h = 1e-5;
        let [up, down] = [h, -h].map(|h| linear(&mut *loss, &every, &moved(&theta, h, &dir), &dir));
        let slope = (up.0.0 - down.0.0) / (2.0 * h);
        assert!((slope - dot(&grad, &dir)).abs() < 1e-7 * norm(&dir), "{model}: {slope}"); // h^2
        let bend: Vec<f64> = moved(&up.0.1, -1.0, &down.0.1).iter().map(|x| x / (2.0 * h)).collect();
        assert!(gap(&bend, &hvp) < 1e-6 * norm(&hvp).max(1.0), "{model}: {}", gap(&bend, &hvp)); // h^2
        for at in (0..every.len()).step_by(every.len() / 6) {
            let slopes = &every[at..=at];
            // Rows want the slopes of the others too: ask for all that are before it in the list of its sample.
            let row = &rows(&mut *loss, slopes, &theta)[0];
            let [up, down] = [h, -h].map(|h| linear(&mut *loss, slopes, &moved(&theta, h, &dir), &dir).1[0]);
            let told = dot(row, &dir);
            assert!(((up - down) / (2.0 * h) - told).abs() < 1e-6 * told.abs().max(1.0), "{model}: kink {at}");
            // Of the slope itself: h = t z.
            let mut other = every.clone();
            let by = 1e-4;
            other[at].t += by;
            let high = linear(&mut *loss, &other, &theta, &dir).0.0;
            other[at].t -= 2.0 * by;
            let low = linear(&mut *loss, &other, &theta, &dir).0.0;
            let told = delta[at] * z[at];
            assert!(
                ((high - low) / (2.0 * by) - told).abs() < 1e-9,
                "{model}: kink {at}: {}",
                (high - low) / (2.0 * by)
            );
        }
    }
}

#[test]
fn the_gradient_jumps_by_delta_times_the_row_where_z_is_0() {
    for (model, options) in NETWORKS {
        let mut loss = open(model, options, 1);
        let theta = loss.start(7).unwrap().unwrap();
        let dir = direction(theta.len());
        let all = loss.kinks_near(&theta, f64::INFINITY).unwrap();
        for slope in few(&all, 0.5) {
            let alpha = all.iter().find(|kink| kink.id == slope.id).unwrap().alpha;
            let mut at = theta.clone();
            for _ in 0..40 {
                let row = &rows(&mut *loss, &[slope], &at)[0];
                let z = linear(&mut *loss, &[slope], &at, &dir).1[0];
                at = moved(&at, -z / dot(row, row).max(1e-300), row);
            }
            let mut with = |t: f64| linear(&mut *loss, &[Slope { t, ..slope }], &at, &dir);
            let (low, high) = (with(alpha), with(1.0));
            if low.1[0].abs() > 1e-12 {
                continue; // Something before it cut it off on the way.
            }
            assert!((low.0.0 - high.0.0).abs() < 1e-12, "{model}: the loss depends on the slope where z is 0");
            let row = &rows(&mut *loss, &[slope], &at)[0];
            let jump = moved(&high.0.1, -1.0, &low.0.1);
            let told: Vec<f64> = row.iter().map(|x| (1.0 - alpha) * low.2[0] * x).collect();
            assert!(gap(&jump, &told) < 1e-9 * norm(&jump).max(1e-3), "{model}: {} {}", norm(&jump), norm(&told));
        }
    }
}

#[test]
fn smoothed_losses_have_their_derivatives_and_come_near() {
    for (model, options) in NETWORKS {
        let mut loss = open(model, options, 1);
        let theta = loss.start(2).unwrap().unwrap();
        let dir = direction(theta.len());
        let value = plain(&mut *loss, &theta, &dir).0;
        let off = |loss: &mut dyn Loss, eps: f64| (smoothed(loss, eps, &theta, &dir).0 - value).abs();
        let [wide, narrow, sharp] = [1e-1, 1e-3, 1e-9].map(|eps| off(&mut *loss, eps));
        assert!(wide > 1e-6 && narrow < 0.02 * wide && sharp < 1e-7, "{model}: {wide} {narrow} {sharp}");
        let (_, grad, hvp) = smoothed(&mut *loss, 0.1, &theta, &dir);
        let h = 1e-5;
        let [up, down] = [h, -h].map(|h| smoothed(&mut *loss, 0.1, &moved(&theta, h, &dir), &dir));
        let slope = (up.0 - down.0) / (2.0 * h);
        assert!((slope - dot(&grad, &dir)).abs() < 1e-6, "{model}: {slope}, not {}", dot(&grad, &dir)); // h^2
        let bend: Vec<f64> = moved(&up.1, -1.0, &down.1).iter().map(|x| x / (2.0 * h)).collect();
        assert!(gap(&bend, &hvp) < 1e-5 * norm(&hvp).max(1.0), "{model}: {}", gap(&bend, &hvp)); // h^2
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let (model, options) = NETWORKS[1];
    let told = |threads: usize| {
        let mut loss = open(model, options, threads);
        let theta = loss.start(3).unwrap().unwrap();
        let dir = direction(theta.len());
        let near = loss.kinks_near(&theta, 0.1).unwrap();
        let slopes = few(&near, 0.3);
        let bent = linear(&mut *loss, &slopes, &theta, &dir);
        (near, bent, smoothed(&mut *loss, 0.01, &theta, &dir), rows(&mut *loss, &slopes, &theta))
    };
    let (one, many) = (told(1), told(4));
    let parts = [one.0 == many.0, one.1 == many.1, one.2 == many.2, one.3 == many.3];
    let network = |threads: usize| {
        let mut loss = open("cnn:8x8x1-3-4-10:relu", &[], threads);
        let theta = loss.start(3).unwrap().unwrap();
        plain(&mut *loss, &theta, &direction(theta.len()))
    };
    assert_eq!((parts, network(1) == network(4)), ([true; 4], true), "near, linear, smoothed, rows; the plain network");
}

#[test]
fn rows_of_a_batch_have_the_bits_that_they_have_alone() {
    for ((model, options), threads) in [(NETWORKS[1], 1), (NETWORKS[1], 3), (NETWORKS[3], 2)] {
        let mut loss = open(model, options, threads);
        let p = loss.info().params;
        let theta = loss.start(3).unwrap().unwrap();
        let dir = direction(p);
        let slopes = few(&loss.kinks_near(&theta, 0.1).unwrap(), 0.3);
        let count = slopes.len();
        // One of them is no point.
        let rows: Vec<Vec<f64>> =
            (0..9).map(|i| moved(&theta, if i == 4 { f64::NAN } else { 0.01 * f64::from(i) }, &dir)).collect();
        let (mut value, mut grad, mut hvp) = (vec![0.0; 9], vec![0.0; 9 * p], vec![0.0; 9 * p]);
        let (mut z, mut delta, mut ok) = (vec![0.0; 9 * count], vec![0.0; 9 * count], vec![true; 9]);
        let batch = Batch {
            theta: &rows.concat(),
            ids: None,
            loss: &mut value,
            grad: Some(&mut grad),
            hvp: Some((&dir.repeat(9), &mut hvp)),
            ok: &mut ok,
            cancel: &Cancel::default(),
        };
        loss.eval_linear(&slopes, batch, Linear { z: &mut z, delta: &mut delta }).unwrap();
        assert!(count > 2 && z[4 * count..5 * count].iter().all(|z| z.is_nan()), "{model}: {count}");
        for (i, theta) in rows.iter().enumerate() {
            assert_eq!(ok[i], i != 4, "{model}: row {i}");
            if ok[i] {
                let cut = |all: &[f64], each: usize| all[i * each..(i + 1) * each].to_vec();
                let here = ((value[i], cut(&grad, p), cut(&hvp, p)), cut(&z, count), cut(&delta, count));
                assert_eq!(here, linear(&mut *loss, &slopes, theta, &dir), "{model}: row {i} on {threads} threads");
            }
        }
    }
}

#[test]
fn a_loss_without_kinks_has_none_and_one_whose_samples_see_each_other_says_so() {
    assert_eq!(open("mlp:64-4-10:tanh", &[], 1).kinks().unwrap(), 0);
    let joint = open("cnn:8x8x1-3-4-10:relu:batchnorm", &[], 1);
    assert!(joint.kinks().unwrap_err().to_string().contains("samples see each other"));
}

/// Count, kinks, the linear loss with z and delta, the smoothed loss, rows.
type AllTold = (u64, Vec<Kink>, (Found, Vec<f64>, Vec<f64>), Found, Vec<Vec<f64>>);

/// All that a loss tells of kinks at the start of a seed.
fn all_told(loss: &mut dyn Loss) -> AllTold {
    let theta = loss.start(3).unwrap().unwrap();
    let dir = direction(theta.len());
    let near = loss.kinks_near(&theta, 0.1).unwrap();
    let slopes = few(&near, 0.3);
    assert!(slopes.len() > 2, "{} slopes", slopes.len());
    let bent = linear(loss, &slopes, &theta, &dir);
    (loss.kinks().unwrap(), near, bent, smoothed(loss, 0.01, &theta, &dir), rows(loss, &slopes, &theta))
}

#[test]
#[cfg(target_os = "linux")]
fn an_isolated_loss_tells_the_same_bits_and_refuses_by_the_same_words() {
    let isolated = |model: &str, options: &[(&str, &str)]| {
        let isolation = Isolation::new(env!("CARGO_BIN_EXE_mpass").into(), Limits::default()).unwrap();
        open_in(&Registry::new().isolated(Arc::new(isolation)), model, options, 2)
    };
    for (model, options) in [NETWORKS[1], NETWORKS[4]] {
        assert_eq!(all_told(&mut *isolated(model, options)), all_told(&mut *open(model, options, 2)), "{model}");
    }
    let model = "cnn:8x8x1-3-4-10:relu:batchnorm";
    let [there, here] = [isolated(model, &[]), open(model, &[], 2)].map(|loss| loss.kinks().unwrap_err().to_string());
    assert_eq!(there, here);
    let mut there = isolated("mlp:64-4-10:relu", &[]);
    let theta = there.start(3).unwrap().unwrap();
    let slope = Slope { id: u64::MAX, t: 0.5 };
    let refused = there.kink_rows(&theta, &[slope], &mut vec![0.0; theta.len()]).unwrap_err().to_string();
    assert!(refused.contains("of which there are 1200"), "{refused}");
}

#[test]
fn a_loss_written_in_c_tells_of_its_kinks_as_far_as_to_the_certificate() {
    let registry = Registry::new();
    let plugin = built::c_plugin("corner.c", &["PLUGIN"], &built::folder("kinks"), "corner");
    assert_eq!(registry.load(&plugin).unwrap(), "corner");
    let mut loss = registry.open("corner", &OpenRequest::default(), Arc::new(Pool::new(1))).unwrap();
    // f = |x| - |y| + x^2 + y^2.
    let theta = [0.25, -0.5];
    let kink = |id: u64, z: f64, delta: f64| Kink { id, z, alpha: -1.0, delta };
    let [x, y] = [kink(0, 0.25, 1.0), kink(1, -0.5, -1.0)];
    assert_eq!(loss.kinks_near(&theta, 0.3).unwrap(), [x]);
    assert_eq!(loss.kinks_near(&theta, 1.0).unwrap(), [x, y]);
    let slopes = [Slope { id: 0, t: 0.5 }, Slope { id: 1, t: -0.5 }];
    let told = linear(&mut *loss, &slopes, &theta, &[1.0, 2.0]);
    assert_eq!(told, ((0.1875, vec![1.0, -0.5], vec![2.0, 4.0]), vec![0.25, -0.5], vec![1.0, -1.0]));
    assert_eq!(rows(&mut *loss, &slopes, &theta), [[1.0, 0.0], [0.0, 1.0]]);
    let smooth = smoothed(&mut *loss, 1e-3, &theta, &[1.0, 2.0]);
    assert!((smooth.0 - 0.0625).abs() < 1e-15 && gap(&smooth.1, &[1.5, 0.0]) < 1e-15, "{smooth:?}");
    let mut oracle = Oracle::new(&mut *loss, None, &Cancel::default(), Budget::default()).unwrap();
    for (near, at, index, value) in [([1e-5; 2], [0.0, 0.0], 1, 0.0), ([1e-5, 0.4], [0.0, 0.5], 0, -0.25)] {
        let found = polish(&mut oracle, &near, 1e-3, &Tangents::none()).unwrap().unwrap();
        assert!(gap(&found.theta, &at) < 1e-14, "{found:?}");
        assert_eq!(
            (found.certified.certificate.index(), found.certified.certificate.loss),
            (Some(index), value),
            "{found:?}"
        );
    }
}

#[test]
#[cfg(target_os = "linux")]
fn an_isolated_surface_tells_the_same_bits() {
    let opened = |registry: &Registry| {
        registry.register::<mountainpass_surfaces::Surfaces>().unwrap();
        let options = vec![("n".to_owned(), "40".to_owned())];
        let request = OpenRequest { model: "kinked".into(), options, ..OpenRequest::default() };
        registry.open("surfaces", &request, Arc::new(Pool::new(2))).unwrap()
    };
    let isolation = Isolation::new(env!("CARGO_BIN_EXE_mpass").into(), Limits::default()).unwrap();
    let (mut there, mut here) = (opened(&Registry::new().isolated(Arc::new(isolation))), opened(&Registry::new()));
    let theta: Vec<f64> = direction(40).into_iter().map(|x| 0.2 * x - 0.05).collect();
    let all = |loss: &mut dyn Loss| {
        let near = loss.kinks_near(&theta, 1.0).unwrap();
        let slopes: Vec<Slope> = near.iter().map(|kink| Slope { id: kink.id, t: 0.25 }).collect();
        assert!(slopes.len() > 10, "{near:?}");
        let bent = linear(loss, &slopes, &theta, &direction(40));
        (loss.kinks().unwrap(), near, bent, smoothed(loss, 0.01, &theta, &direction(40)), rows(loss, &slopes, &theta))
    };
    assert_eq!(all(&mut *there), all(&mut *here));
}
