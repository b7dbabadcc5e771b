//! Derivatives against Taylor's theorem, and the known answers against the functions they belong to.

use mountainpass_sdk::{Backend, Host, Loss, Open};
use mountainpass_surfaces::{Critical, MODELS, Surface, Surfaces, surface};

/// Every model, those of any dimension in several.
fn surfaces() -> Vec<(String, Box<dyn Surface>)> {
    let variants: [(&str, &[(&str, &str)]); 8] = [
        (MODELS[0], &[]),
        (MODELS[1], &[]),
        (MODELS[2], &[]),
        (MODELS[3], &[("n", "1")]),
        (MODELS[3], &[("n", "5"), ("condition", "1000")]),
        (MODELS[4], &[("n", "1")]),
        (MODELS[4], &[]),
        (MODELS[4], &[("n", "6")]),
    ];
    let open = |(model, options): &(&str, &[(&str, &str)])| {
        (format!("{model} {options:?}"), surface(&mut Open::new(model, options)).unwrap())
    };
    variants.iter().map(open).collect()
}

/// Points inside the box, the same on every run.
fn points(surface: &dyn Surface, count: usize) -> Vec<Vec<f64>> {
    let bounds = surface.bounds();
    let coordinate = |k: usize, i: usize| {
        let fraction = ((k * surface.n() + i + 1) as f64 * 0.618_033_988_749_894_9).fract();
        bounds.lower[i] + (bounds.upper[i] - bounds.lower[i]) * fraction
    };
    (0..count).map(|k| (0..surface.n()).map(|i| coordinate(k, i)).collect()).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn moved(x: &[f64], h: f64, v: &[f64]) -> Vec<f64> {
    x.iter().zip(v).map(|(x, v)| x + h * v).collect()
}

fn gradient(surface: &dyn Surface, x: &[f64]) -> Vec<f64> {
    let mut out = vec![f64::NAN; surface.n()];
    surface.gradient(x, &mut out);
    out
}

fn hessian(surface: &dyn Surface, x: &[f64]) -> Vec<Vec<f64>> {
    let n = surface.n();
    let column = |j: usize| {
        let unit: Vec<f64> = (0..n).map(|i| f64::from(u8::from(i == j))).collect();
        let mut out = vec![f64::NAN; n];
        surface.product(x, &unit, &mut out);
        out
    };
    (0..n).map(column).collect()
}

/// The order of a remainder that should fall like h^2, from two steps; 1.8 leaves room for the next term and rounding.
fn order(remainder: impl Fn(f64) -> f64, scale: f64) -> f64 {
    let (coarse, fine) = (remainder(1e-3).abs(), remainder(1e-4).abs());
    // Exactly linear along this direction, up to rounding: as good as any order.
    if coarse < 1e-11 * scale { 2.0 } else { (coarse / fine).log10() }
}

#[test]
fn gradients_and_hessian_products_pass_the_taylor_test() {
    for (name, surface) in surfaces() {
        let surface = &*surface;
        for (x, v) in points(surface, 20).iter().zip(points(surface, 21).iter().skip(1)) {
            let (f, g) = (surface.value(x), gradient(surface, x));
            let mut hv = vec![f64::NAN; surface.n()];
            surface.product(x, v, &mut hv);
            let scale = f.abs() + g.iter().chain(&hv).map(|d| d.abs()).sum::<f64>() + 1.0;
            let first = order(|h| surface.value(&moved(x, h, v)) - f - h * dot(&g, v), scale);
            assert!(first > 1.8, "{name}: the gradient at {x:?} has a remainder of order {first}");
            for i in 0..surface.n() {
                let second = order(|h| gradient(surface, &moved(x, h, v))[i] - g[i] - h * hv[i], scale);
                assert!(second > 1.8, "{name}: row {i} of the Hessian at {x:?} has a remainder of order {second}");
            }
        }
    }
}

#[test]
fn hessians_are_symmetric() {
    for (name, surface) in surfaces() {
        for x in points(&*surface, 5) {
            let h = hessian(&*surface, &x);
            for (i, row) in h.iter().enumerate() {
                for (j, &entry) in row.iter().enumerate() {
                    assert!((entry - h[j][i]).abs() <= 1e-12 * entry.abs().max(1.0), "{name} at {x:?}");
                }
            }
        }
    }
}

/// The number of negative pivots of Gaussian elimination without exchanges: by Sylvester's law, the index.
fn index(mut h: Vec<Vec<f64>>) -> usize {
    for k in 0..h.len() {
        let pivot = h[k].clone();
        for row in &mut h[k + 1..] {
            let factor = row[k] / pivot[k];
            row.iter_mut().zip(&pivot).for_each(|(entry, above)| *entry -= factor * above);
        }
    }
    (0..h.len()).filter(|&k| h[k][k] < 0.0).count()
}

#[test]
fn known_critical_points_are_critical_and_have_their_value_and_index() {
    for (name, surface) in surfaces() {
        let bounds = surface.bounds();
        let known = surface.known();
        assert!(!known.critical.is_empty());
        for Critical { x, value, index: expected } in known.critical {
            assert!(
                x.iter().zip(&bounds.lower).all(|(x, l)| x >= l) && x.iter().zip(&bounds.upper).all(|(x, u)| x <= u)
            );
            let h = hessian(&*surface, &x);
            let size = h.iter().flatten().fold(1.0_f64, |most, entry| most.max(entry.abs()));
            let g = gradient(&*surface, &x).iter().fold(0.0_f64, |most, g| most.max(g.abs()));
            // x is good to 1e-12, so the gradient is good to that times the Hessian.
            assert!(g <= 1e-12 * size, "{name}: the gradient at {x:?} is {g}");
            assert!((surface.value(&x) - value).abs() <= 1e-10, "{name}: {} at {x:?}", surface.value(&x));
            assert_eq!(index(h), expected, "{name} at {x:?}");
        }
    }
}

#[test]
fn bars_are_born_at_minima_and_die_at_passes() {
    for (name, surface) in surfaces() {
        let known = surface.known();
        let has = |value: f64, index: usize| known.critical.iter().any(|c| c.index == index && c.value == value);
        let minima = known.critical.iter().filter(|c| c.index == 0).count();
        assert_eq!(known.bars.len(), minima, "{name}: one bar for each minimum");
        assert_eq!(known.bars.iter().filter(|(_, death)| death.is_infinite()).count(), 1, "{name}");
        for &(birth, death) in &known.bars {
            assert!(has(birth, 0) && (death.is_infinite() || has(death, 1)), "{name}: ({birth}, {death})");
        }
    }
}

#[test]
fn published_digits_are_met() {
    // Mathematics of the project, section 6; Mueller and Brown 1979.
    let values = |model: &str| -> Vec<f64> {
        surface(&mut Open::new(model, &[])).unwrap().known().critical.iter().map(|c| c.value).collect()
    };
    for (value, published) in values("mueller-brown").iter().zip([-146.6995, -108.1667, -80.7678, -72.2489, -40.6648]) {
        assert!((value - published).abs() < 6e-5); // Four decimals are printed.
    }
    let camel = values("three-hump-camel");
    assert!((camel[1] - 0.2986384422).abs() < 6e-11 && (camel[3] - 0.8773615578).abs() < 6e-11);
}

#[test]
fn starts_lie_in_the_box_and_depend_on_the_seed_alone() {
    for model in MODELS {
        let open = || Surfaces::open(Host::none(), Open::new(model, &[])).unwrap();
        let (one, other) = (open(), open());
        let bounds = one.bounds().unwrap();
        for seed in 0..50 {
            let start = one.start(seed).unwrap();
            assert_eq!(start, other.start(seed).unwrap());
            assert_ne!(start, one.start(seed + 1).unwrap());
            assert!(start.iter().zip(&bounds.lower).all(|(x, l)| x >= l), "{model} {start:?}");
            assert!(start.iter().zip(&bounds.upper).all(|(x, u)| x < u), "{model} {start:?}");
        }
    }
}

#[test]
fn what_cannot_be_opened_says_why() {
    let refused = |model, options| Surfaces::open(Host::none(), Open::new(model, options)).err().unwrap().text;
    assert_eq!(refused("himelblau", &[]), "unknown model \"himelblau\"; the nearest is \"himmelblau\"");
    assert_eq!(refused("torus", &[("m", "3")]), "unknown option \"m\"; the nearest is \"n\"");
    assert_eq!(refused("himmelblau", &[("n", "3")]), "unknown option \"n\": there are none");
    assert_eq!(refused("torus", &[("n", "0")]), "option n: 0 is not a number of dimensions from 1 to 1000000");
    assert_eq!(refused("torus", &[("n", "two")]), "option n: cannot read \"two\"");
    assert_eq!(refused("quadratic", &[("condition", "-1")]), "option condition: -1 is not a number from 1 to 1e300");
}
