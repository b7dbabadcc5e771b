//! Surfaces that tell of their kinks: what they say against differences of themselves, with kinks smoothed and linear.

use mountainpass_sdk::{Open, Slope};
use mountainpass_surfaces::{Bend, Kinks, Surface, surface};

fn kinked(n: &str) -> Box<dyn Surface> {
    surface(&mut Open::new("kinked", &[("n", n)])).unwrap()
}

/// A point near many kinks, and a direction.
fn point(n: usize) -> [Vec<f64>; 2] {
    let spread = |i: usize| (i as f64 * 0.618_033_988_749_894_9).fract() - 0.5;
    [
        (0..n).map(|i| 0.2 * spread(i + 1) - f64::from(u8::from(i > 0)) * 0.05).collect(),
        (7..7 + n).map(spread).collect(),
    ]
}

fn moved(x: &[f64], h: f64, v: &[f64]) -> Vec<f64> {
    x.iter().zip(v).map(|(x, v)| x + h * v).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn filled(n: usize, fill: impl FnOnce(&mut [f64])) -> Vec<f64> {
    let mut out = vec![f64::NAN; n];
    fill(&mut out);
    out
}

/// A slope for every kink.
fn slopes(kinks: &dyn Kinks) -> Vec<Slope> {
    (0..kinks.count()).map(|id| Slope { id, t: 0.3 - 0.1 * id as f64 }).collect()
}

#[test]
fn bent_surfaces_are_smooth_and_have_their_derivatives() {
    for n in 1..=6 {
        let own = kinked(&n.to_string());
        let kinks = own.kinks().unwrap();
        let [x, v] = point(n);
        for bend in [Bend::Smoothed(0.1), Bend::Linear(slopes(kinks))] {
            let bent = kinks.bent(bend.clone());
            let gradient = |x: &[f64]| filled(n, |out| bent.gradient(x, out));
            let (g, hv) = (gradient(&x), filled(n, |out| bent.product(&x, &v, out)));
            let h = 1e-5;
            let [up, down] = [h, -h].map(|h| moved(&x, h, &v));
            let slope = (bent.value(&up) - bent.value(&down)) / (2.0 * h);
            // Curvatures are up to 5 at this width, third derivatives up to 100 (times h^2).
            assert!((slope - dot(&g, &v)).abs() < 1e-8, "{n} {bend:?}: {slope}");
            for ((up, down), hv) in gradient(&up).iter().zip(gradient(&down)).zip(&hv) {
                assert!(((up - down) / (2.0 * h) - hv).abs() < 1e-6, "{n} {bend:?}: {hv}");
            }
        }
    }
}

#[test]
fn smoothing_goes_as_the_width_does() {
    let own = kinked("5");
    let [x, _] = point(5);
    let off = |eps: f64| own.kinks().unwrap().bent(Bend::Smoothed(eps)).value(&x) - own.value(&x);
    // At the edge of every kink of weight 1 a smoothing is 2 eps ln 2 above it; far from all, as good as exact.
    assert!(off(1e-1).abs() < 5.0 * 0.2 * 2_f64.ln() && off(1e-1).abs() > 1e-3 && off(1e-5).abs() < 1e-12);
}

#[test]
fn z_delta_and_rows_are_what_differences_say() {
    for n in 1..=6 {
        let own = kinked(&n.to_string());
        let kinks = own.kinks().unwrap();
        let ([x, v], given) = (point(n), slopes(kinks));
        let bent = kinks.bent(Bend::Linear(given.clone()));
        let bent = bent.kinks().unwrap();
        for (k, slope) in given.iter().enumerate() {
            let (z, delta) = bent.figures(slope.id, &x);
            let row = filled(n, |out| bent.row(slope.id, &x, out));
            let h = 1e-6;
            let [up, down] = [h, -h].map(|h| bent.figures(slope.id, &moved(&x, h, &v)).0);
            assert!(((up - down) / (2.0 * h) - dot(&row, &v)).abs() < 1e-9, "{n}: kink {}", slope.id);
            // h = t z: by t, f changes by delta z.
            let [up, down] = [h, -h].map(|h| {
                let mut other = given.clone();
                other[k].t += h;
                kinks.bent(Bend::Linear(other)).value(&x)
            });
            assert!(((up - down) / (2.0 * h) - delta * z).abs() < 1e-9, "{n}: kink {}", slope.id);
        }
    }
}

#[test]
fn at_zero_a_kink_is_on_its_right_side() {
    let own = kinked("2");
    let kinks = own.kinks().unwrap();
    let right: Vec<Slope> = (0..3).map(|id| Slope { id, t: if id == 1 { -1.0 } else { 1.0 } }).collect();
    let right = kinks.bent(Bend::Linear(right));
    let gradient = |surface: &dyn Surface| filled(2, |out| surface.gradient(&[0.0, 0.0], out));
    assert_eq!(gradient(&*own), gradient(&*right));
}
