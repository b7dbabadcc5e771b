//! Derivatives against Taylor's theorem, and the known answers against the functions they belong to.

use mountainpass_sdk::{Backend, Host, Loss, Open};
use mountainpass_surfaces::{CriticalPoint, MODELS, Surface, Surfaces, surface};

/// Every model, those of any dimension in several.
fn surfaces() -> Vec<(String, Box<dyn Surface>)> {
    let variants: [(&str, &[(&str, &str)]); 30] = [
        ("three-hump-camel", &[]),
        ("mueller-brown", &[]),
        ("himmelblau", &[]),
        ("quadratic", &[("n", "1")]),
        ("quadratic", &[("n", "5"), ("condition", "1000")]),
        ("torus", &[("n", "1")]),
        ("torus", &[]),
        ("torus", &[("n", "6")]),
        ("six-hump-camel", &[]),
        ("rastrigin", &[("n", "1")]),
        ("rastrigin", &[]),
        ("schwefel", &[("n", "1")]),
        ("schwefel", &[]),
        ("schwefel", &[("n", "3")]),
        ("alpine01", &[("n", "1")]),
        ("alpine01", &[]),
        ("xin-she-yang-4", &[("n", "1")]),
        ("xin-she-yang-4", &[("n", "4")]),
        ("rosenbrock", &[]),
        ("rosenbrock", &[("n", "4")]),
        ("rosenbrock", &[("n", "5")]),
        ("rosenbrock", &[("n", "6")]),
        ("lennard-jones", &[("atoms", "4")]),
        ("lennard-jones", &[("atoms", "13")]),
        ("p-spin", &[("spins", "3")]),
        ("p-spin", &[]),
        ("kinked", &[("n", "1")]),
        ("kinked", &[]),
        ("kinked", &[("n", "3")]),
        ("kinked", &[("n", "6")]),
    ];
    for model in MODELS {
        assert!(variants.iter().any(|(name, _)| *name == model), "{model} is not tested");
    }
    variants.iter().map(|(model, options)| (format!("{model} {options:?}"), open(model, options))).collect()
}

fn open(model: &str, options: &[(&str, &str)]) -> Box<dyn Surface> {
    surface(&mut Open::new(model, options)).unwrap()
}

/// Points inside the box, the same on every run; without a box, starts.
fn points(surface: &dyn Surface, count: usize) -> Vec<Vec<f64>> {
    let mut k = 0_u32;
    let mut uniform = || {
        k += 1;
        (f64::from(k) * 0.618_033_988_749_894_9).fract()
    };
    (0..count).map(|_| surface.start(&mut uniform)).collect()
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

/// Whether a step from `x` to `y` stays clear of every kink: of those that are told, or of x = 0, and for Alpine's function
/// of its zeros.
fn is_clear((name, surface): (&str, &dyn Surface), x: &[f64], y: &[f64]) -> bool {
    if let Some(kinks) = surface.kinks() {
        return (0..kinks.count()).all(|id| kinks.figures(id, x).0 * kinks.figures(id, y).0 > 0.0);
    }
    let h = |x: f64| if name.starts_with("alpine") { x.sin() + 0.1 } else { 1.0 };
    // Ten steps off: Schwefel's and Xin-She Yang's functions bend ever more near zero.
    x.iter().zip(y).all(|(&x, &y)| x.abs() > 10.0 * (y - x).abs() && h(x) * h(y) > 0.0)
}

#[test]
fn gradients_and_hessian_products_pass_the_taylor_test() {
    for (name, surface) in surfaces() {
        let surface = &*surface;
        let mut tested = 0;
        for (x, v) in points(surface, 20).iter().zip(points(surface, 21).iter().skip(1)) {
            let v = &moved(&vec![0.0; x.len()], 1.0 / dot(v, v).sqrt(), v);
            if !surface.smooth() && !is_clear((&name, surface), x, &moved(x, 1e-3, v)) {
                continue;
            }
            tested += 1;
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
        assert!(tested >= 10, "{name}: only {tested} points were tested");
    }
}

#[test]
fn derivatives_at_kinks_are_those_from_the_right() {
    // Only the first power of the step is left of the remainder where the curvature jumps or is infinite.
    for (model, x) in [("alpine01", 0.0), ("alpine01", -(0.1_f64).asin()), ("xin-she-yang-4", 0.0), ("schwefel", 0.0)] {
        let surface = open(model, &[("n", "1")]);
        let slope = |x| gradient(&*surface, &[x])[0];
        // h = x (sin x + 0.1) is zero at its kinks up to rounding: just right of one is on its right side.
        let x: f64 = x + 1e-12 * f64::from(u8::from(x != 0.0));
        assert!((slope(x) - slope(x + 1e-8)).abs() < 1e-3, "{model} at {x}: {} and {}", slope(x), slope(x + 1e-8));
        let jumps = (slope(x) - slope(x - 1e-8)).abs() > 0.1;
        assert_eq!(jumps, model != "schwefel", "{model} at {x}: {} from the left", slope(x - 1e-8));
        let mut curvature = [0.0];
        surface.product(&[x], &[1.0], &mut curvature);
        if model == "schwefel" {
            assert!(curvature[0].is_infinite());
        } else {
            let difference = (slope(x + 1e-6) - slope(x)) / 1e-6;
            assert!((curvature[0] - difference).abs() < 1e-4, "{model} at {x}: {curvature:?} and {difference}");
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
    // A congruence keeps the signs (Sylvester) and leaves no pivot zero that only symmetry made so.
    for k in 1..h.len() {
        let (mix, below) = (0.37 + 0.11 * k as f64, h[k].clone());
        h[k - 1].iter_mut().zip(&below).for_each(|(entry, other)| *entry += mix * other);
        h.iter_mut().for_each(|row| row[k - 1] += mix * row[k]);
    }
    for k in 0..h.len() {
        let pivot = h[k].clone();
        for row in &mut h[k + 1..] {
            let factor = row[k] / pivot[k];
            row.iter_mut().zip(&pivot).for_each(|(entry, above)| *entry -= factor * above);
        }
    }
    (0..h.len()).filter(|&k| h[k][k] < 0.0).count()
}

/// The number of coordinates along which a point is a maximum; along all others it is a minimum. Enough for a sum of
/// functions of one variable each.
fn downhill(surface: &dyn Surface, x: &[f64]) -> usize {
    let value = |i: usize, step: f64| {
        let mut y = x.to_vec();
        y[i] += step;
        if i == 0 && surface.kinks().is_some() {
            // The other coordinates of `kinked` are x_i + |x_1|.
            let fold = y[0].abs() - x[0].abs();
            y[1..].iter_mut().for_each(|other| *other -= fold);
        }
        surface.value(&y) - surface.value(x)
    };
    let falls = |&i: &usize| {
        let sides = [1e-3, -1e-3].map(|step| value(i, step) < 0.0);
        assert_eq!(sides[0], sides[1], "no extremum along coordinate {i} of {x:?}");
        sides[0]
    };
    (0..surface.n()).filter(falls).count()
}

/// Adds t t^T to a Hessian for each translation and rotation t: their eigenvalue is zero, and positive afterwards.
fn without_rigid_motions(x: &[f64], h: &mut [Vec<f64>]) {
    for k in 0..3 {
        let shift: Vec<f64> = (0..x.len()).map(|i| f64::from(u8::from(i % 3 == k))).collect();
        let (a, b) = ((k + 1) % 3, (k + 2) % 3);
        let turn: Vec<f64> = x
            .chunks(3)
            .flat_map(|point| {
                let mut t = [0.0; 3];
                (t[a], t[b]) = (-point[b], point[a]);
                t
            })
            .collect();
        for t in [shift, turn] {
            for (row, a) in h.iter_mut().zip(&t) {
                row.iter_mut().zip(&t).for_each(|(entry, b)| *entry += 100.0 * a * b);
            }
        }
    }
}

#[test]
fn known_critical_points_are_critical_and_have_their_value_and_index() {
    for (name, surface) in surfaces() {
        let known = surface.known();
        assert!(!known.critical.is_empty() || name.starts_with("p-spin"));
        for CriticalPoint { x, value, index: expected } in known.critical {
            assert!(surface.bounds().is_none_or(|b| {
                x.iter().zip(&b.lower).all(|(x, l)| x >= l) && x.iter().zip(&b.upper).all(|(x, u)| x <= u)
            }));
            if !surface.smooth() {
                assert!((surface.value(&x) - value).abs() <= 1e-10, "{name}: {} at {x:?}", surface.value(&x));
                assert_eq!(downhill(&*surface, &x), expected, "{name} at {x:?}");
                continue;
            }
            let mut h = hessian(&*surface, &x);
            if name.starts_with("lennard-jones") {
                without_rigid_motions(&x, &mut h);
            }
            if name.starts_with("p-spin") {
                // The same for the direction in which only the length grows.
                h.iter_mut().zip(&x).for_each(|(row, a)| row.iter_mut().zip(&x).for_each(|(entry, b)| *entry += a * b));
            }
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
        if known.bars.is_empty() || name.starts_with("lennard-jones") {
            continue; // Not all critical points are listed.
        }
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
    // Global minima of Lennard-Jones clusters (Hoare and Pal 1971; the Cambridge Cluster Database).
    for (atoms, published) in [("2", -1.0), ("3", -3.0), ("4", -6.0), ("6", -12.712062), ("13", -44.326801)] {
        let known = open("lennard-jones", &[("atoms", atoms)]).known();
        assert!((known.critical[0].value - published).abs() < 6e-7, "{atoms} atoms"); // Six decimals are printed.
    }
    let camel = values("three-hump-camel");
    assert!((camel[1] - 0.2986384422).abs() < 6e-11 && (camel[3] - 0.8773615578).abs() < 6e-11);
}

#[test]
fn starts_lie_in_the_box_and_depend_on_the_seed_alone() {
    for model in MODELS {
        let open = || Surfaces::open(Host::none(), Open::new(model, &[])).unwrap();
        let (one, other) = (open(), open());
        for seed in 0..50 {
            let start = one.start(seed).unwrap();
            assert_eq!(start, other.start(seed).unwrap());
            assert_ne!(start, one.start(seed + 1).unwrap());
            let Some(bounds) = one.bounds() else { continue };
            assert!(start.iter().zip(&bounds.lower).all(|(x, l)| x >= l), "{model} {start:?}");
            assert!(start.iter().zip(&bounds.upper).all(|(x, u)| x < u), "{model} {start:?}");
        }
    }
}

#[test]
fn clusters_begin_close_together_but_not_on_one_another() {
    for atoms in ["2", "13", "200"] {
        let loss = Surfaces::open(Host::none(), Open::new("lennard-jones", &[("atoms", atoms)])).unwrap();
        for seed in 0..20 {
            let start = loss.start(seed).unwrap();
            let points: Vec<&[f64]> = start.chunks(3).collect();
            let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
            let radius = (points.len() as f64).cbrt();
            for (i, a) in points.iter().enumerate() {
                assert!(distance(a, &[0.0; 3]) <= radius);
                assert!(points[..i].iter().all(|b| distance(a, b) >= 0.9), "{atoms} atoms, seed {seed}");
            }
        }
    }
}

#[test]
fn separable_functions_have_the_critical_points_counted_by_hand() {
    let counts = |model: &str, n: &str| {
        let known = open(model, &[("n", n)]).known();
        let of = |index| known.critical.iter().filter(|c| c.index == index).count();
        (of(0), of(1), known.bars.len())
    };
    // m minima and k maxima along each axis: m^n minima, n k m^(n-1) passes (mathematics of the project, section 6).
    assert_eq!(counts("rastrigin", "2"), (121, 2 * 10 * 11, 121));
    assert_eq!(counts("schwefel", "2"), (49, 2 * 7 * 7, 49));
    assert_eq!(counts("schwefel", "3"), (343, 3 * 7 * 49, 343));
    // Passes between two free minima: those whose maximum is not the outermost, at x = -420.97.
    let between = |c: &&CriticalPoint| c.index == 1 && c.x.iter().zip([0, 1]).all(|(x, _)| *x > -400.0);
    let schwefel = open("schwefel", &[]).known();
    assert_eq!(schwefel.critical.iter().filter(between).count(), 84);
    assert!((schwefel.bars[0].0 + 2.0 * 418.982_887_272_433_8).abs() < 1e-9);
}

#[test]
fn bars_of_a_separable_function_are_those_of_a_grid() {
    // An algorithm of its own, good to the curvature times the spacing squared, at kinks to the slope times the spacing.
    for (model, range, tolerance) in [
        ("rastrigin", [-5.12, 5.12], 0.02),
        ("alpine01", [-10.0, 10.0], 0.2),
        // From the outermost maximum on: beyond it f falls again, to a constrained minimum.
        ("schwefel", [-420.9, 450.0], 0.2),
        // Minima are samples; a diagonal step passes over an edge by its two sides.
        ("kinked", [-4.0, 4.0], 0.02),
    ] {
        let surface = open(model, &[]);
        let n = 1025;
        let at = |i: usize| range[0] + (range[1] - range[0]) * i as f64 / (n - 1) as f64;
        let values: Vec<f64> = (0..n * n).map(|v| surface.value(&[at(v / n), at(v % n)])).collect();
        let found = grid_bars(&values, n);
        let mut known = surface.known().bars;
        known.retain(|(birth, death)| death - birth > 4.0 * tolerance);
        let long: Vec<&(f64, f64)> = found.iter().filter(|(birth, death)| death - birth > 4.0 * tolerance).collect();
        // Equal births come in any order: lengths are compared as sorted, too.
        assert_eq!(long.len(), known.len(), "{model}");
        let sorted = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            values
        };
        let births = |bars: &[(f64, f64)]| sorted(bars.iter().map(|b| b.0).collect());
        let deaths = |bars: &[(f64, f64)]| sorted(bars.iter().map(|b| b.1).filter(|d| d.is_finite()).collect());
        let long: Vec<(f64, f64)> = long.into_iter().copied().collect();
        for (ours, theirs) in [(births(&known), births(&long)), (deaths(&known), deaths(&long))] {
            for (a, b) in ours.iter().zip(&theirs) {
                assert!((a - b).abs() < tolerance, "{model}: {a} and {b}");
            }
        }
    }
}

/// Bars of degree 0 on an n by n grid with 8 neighbours, by union-find and the elder rule.
fn grid_bars(values: &[f64], n: usize) -> Vec<(f64, f64)> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]).then(a.cmp(&b)));
    let mut root = vec![usize::MAX; values.len()];
    fn find(root: &mut [usize], mut a: usize) -> usize {
        while root[a] != a {
            root[a] = root[root[a]];
            a = root[a];
        }
        a
    }
    let mut bars = Vec::new();
    for v in order {
        root[v] = v;
        for i in (v / n).saturating_sub(1)..=(v / n + 1).min(n - 1) {
            for j in (v % n).saturating_sub(1)..=(v % n + 1).min(n - 1) {
                if root[i * n + j] == usize::MAX {
                    continue;
                }
                let (a, b) = (find(&mut root, v), find(&mut root, i * n + j));
                if a != b {
                    // A component's root is its lowest point.
                    let (elder, dead) = if values[a] <= values[b] { (a, b) } else { (b, a) };
                    bars.push((values[dead], values[v]));
                    root[dead] = elder;
                }
            }
        }
    }
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    bars.push((lowest, f64::INFINITY));
    bars
}

#[test]
fn what_cannot_be_opened_says_why() {
    let refused = |model, options| Surfaces::open(Host::none(), Open::new(model, options)).err().unwrap().text;
    assert_eq!(refused("himelblau", &[]), "unknown model \"himelblau\"; the nearest is \"himmelblau\"");
    assert_eq!(refused("torus", &[("m", "3")]), "unknown option \"m\"; the nearest is \"n\"");
    assert_eq!(refused("himmelblau", &[("n", "3")]), "unknown option \"n\": there are none");
    assert_eq!(refused("torus", &[("n", "0")]), "option n: 0 is not a number of dimensions from 1 to 1000000");
    assert_eq!(refused("torus", &[("n", "two")]), "option n: cannot read \"two\"");
    let pairs = "option n: rosenbrock joins pairs of coordinates and needs at least 2";
    assert_eq!(refused("rosenbrock", &[("n", "1")]), pairs);
    assert_eq!(refused("lennard-jones", &[("atoms", "1")]), "option atoms: 1 is not a number of atoms from 2 to 3000");
    assert_eq!(refused("lennard-jones", &[("n", "7")]), "unknown option \"n\"; the nearest is \"atoms\"");
    assert_eq!(refused("quadratic", &[("condition", "-1")]), "option condition: -1 is not a number from 1 to 1e300");
}
