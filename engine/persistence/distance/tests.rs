//! Distances against all matchings of tiny barcodes, against one another, and against their axioms.

use super::ground::{Ground, Point};
use super::market::{Cost, Market, Side};
use super::*;
use crate::persistence::Interval;
use proptest::prelude::*;

const BOTTLENECK: Metric = Metric::Bottleneck;

fn exact(order: f64) -> Metric {
    Metric::Wasserstein { order, relative_error: Some(0.0) }
}

fn diagram(finite: &[[f64; 2]], births: &[f64]) -> Diagram {
    let bar = |&[birth, death]: &[f64; 2]| Interval { degree: 0, birth, death: Some(death) };
    let half_line = |&birth: &f64| Interval { degree: 0, birth, death: None };
    Diagram::new(finite.iter().map(bar).chain(births.iter().map(half_line)).collect(), Some(false)).unwrap()
}

/// The finite bars as distances see them.
fn sorted(diagram: &Diagram) -> Vec<Point> {
    diagram.parts(0).bars.into_iter().map(|(bar, _)| bar).collect()
}

fn value(a: &Diagram, b: &Diagram, metric: Metric) -> f64 {
    distance(a, b, 0, metric).unwrap().value
}

/// Bars on a coarse lattice (many equal ones, many equal distances) or anywhere.
fn bars(most: usize) -> impl Strategy<Value = Vec<[f64; 2]>> {
    let coarse = (0_u8..6, 0_u8..5).prop_map(|(birth, length)| [f64::from(birth), f64::from(birth + length)]);
    let fine = (0.0..1.0, 0.0..0.5).prop_map(|(birth, length)| [birth, birth + length]);
    prop_oneof![prop::collection::vec(coarse, 0..most), prop::collection::vec(fine, 0..most)]
}

/// The distance of two points, by its definition.
fn apart(a: Point, b: Point, ground: Ground) -> f64 {
    let [x, y] = [0, 1].map(|end| (a[end] - b[end]).abs());
    match ground {
        Ground::Sup => x.max(y),
        Ground::Euclidean => x.hypot(y),
        Ground::Sum => x + y,
    }
}

/// The distance from the diagonal: that of the nearest point, which on every ground is the one in the middle.
fn diagonal(a: Point, ground: Ground) -> f64 {
    let half = (a[1] - a[0]) / 2.0; // Not from the middle itself, which is rounded.
    apart([half, half], [0.0, 0.0], ground)
}

/// The least (sum or maximum of) costs^q over all matchings, one bar after another.
fn brute(a: &[Point], b: &mut Vec<Option<Point>>, ground: Ground, q: f64) -> f64 {
    let alone = |p: Point| diagonal(p, ground).powf(q);
    let Some((&first, rest)) = a.split_first() else { return b.iter().flatten().map(|&p| alone(p)).sum() };
    let mut least = alone(first) + brute(rest, b, ground, q);
    for j in 0..b.len() {
        if let Some(p) = b[j].take() {
            let cost = apart(first, p, ground).powf(q);
            least = least.min(cost + brute(rest, b, ground, q));
            b[j] = Some(p);
        }
    }
    least
}

/// The same with the maximum.
fn brute_bottleneck(a: &[Point], b: &mut Vec<Option<Point>>, ground: Ground) -> f64 {
    let alone = |p: Point| diagonal(p, ground);
    let Some((&first, rest)) = a.split_first() else {
        return b.iter().flatten().map(|&p| alone(p)).fold(0.0, f64::max);
    };
    let mut least = alone(first).max(brute_bottleneck(rest, b, ground));
    for j in 0..b.len() {
        if let Some(p) = b[j].take() {
            let cost = apart(first, p, ground);
            least = least.min(cost.max(brute_bottleneck(rest, b, ground)));
            b[j] = Some(p);
        }
    }
    least
}

/// The same by Kuhn's algorithm on the square problem, diagonal copies and all, over every candidate radius.
fn square_bottleneck(a: &[[f64; 2]], b: &[[f64; 2]]) -> f64 {
    let half = |p: [f64; 2]| (p[1] - p[0]) / 2.0;
    let (n, m) = (a.len(), b.len());
    // Row i < n is a bar of a, the others are the diagonal's copies of b; columns likewise.
    let cost = |i: usize, j: usize| match (i < n, j < m) {
        (true, true) => (a[i][0] - b[j][0]).abs().max((a[i][1] - b[j][1]).abs()),
        (true, false) => half(a[i]),
        (false, true) => half(b[j]),
        (false, false) => 0.0,
    };
    let grows = |mate: &mut Vec<Option<usize>>, i: usize, radius: f64| {
        fn grow(
            mate: &mut Vec<Option<usize>>,
            seen: &mut [bool],
            i: usize,
            near: &dyn Fn(usize, usize) -> bool,
        ) -> bool {
            (0..mate.len()).any(|j| {
                let free = near(i, j) && !std::mem::replace(&mut seen[j], true);
                let free = free && mate[j].is_none_or(|other| grow(mate, seen, other, near));
                if free {
                    mate[j] = Some(i);
                }
                free
            })
        }
        grow(mate, &mut vec![false; n + m], i, &|i, j| cost(i, j) <= radius)
    };
    let suffices = |radius: f64| {
        let mut mate = vec![None; n + m];
        (0..n + m).all(|i| grows(&mut mate, i, radius))
    };
    let mut radii: Vec<f64> =
        (0..n + m).flat_map(|i| (0..n + m).map(move |j| (i, j))).map(|(i, j)| cost(i, j)).collect();
    radii.sort_by(f64::total_cmp);
    radii[radii.partition_point(|&radius| !suffices(radius)).min(radii.len().saturating_sub(1))]
}

/// Equal but for the rounding of sums, roots and powers of less than a hundred terms.
fn near(x: f64, y: f64) -> bool {
    (x - y).abs() <= 1e-12 * x.abs().max(y.abs())
}

/// How far pairs and single bars are from meeting their constraints with equality, at most; 0 but for rounding when
/// the matching is optimal.
fn slack(market: &Market) -> f64 {
    let [a, b] = &market.sides;
    let alone = |side: &Side| side.single().map(|i| side.alone[i] - side.price[i]).fold(0.0, f64::max);
    let pair = |i: usize| {
        let j = a.mate[i]? as usize;
        Some((market.cost.between(a.points[i], b.points[j]) - a.price[i] - b.price[j]).abs())
    };
    (0..a.points.len()).filter_map(pair).fold(alone(a).max(alone(b)), f64::max)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn bottleneck_is_the_least_of_all_matchings_to_the_bit(a in bars(6), b in bars(6)) {
        let known = brute_bottleneck(&a, &mut b.iter().copied().map(Some).collect(), Ground::Sup);
        // Halving before or after subtracting rounds alike.
        prop_assert_eq!(value(&diagram(&a, &[]), &diagram(&b, &[]), BOTTLENECK), known);
    }

    #[test]
    fn bottleneck_needs_no_copies_of_the_diagonal(a in bars(40), b in bars(40), longer in 0.0..1.0) {
        // Longer bars must be matched; without any, most stay alone.
        let [a, b] = [a, b].map(|bars| bars.iter().map(|p| [p[0], p[1] + longer]).collect::<Vec<_>>());
        prop_assume!(a.len() + b.len() > 0);
        prop_assert_eq!(value(&diagram(&a, &[]), &diagram(&b, &[]), BOTTLENECK), square_bottleneck(&a, &b));
    }

    #[test]
    fn wasserstein_is_the_least_of_all_matchings(a in bars(6), b in bars(6), q in prop_oneof![Just(1.0), Just(2.0), 1.0..5.0]) {
        let known = brute(&a, &mut b.iter().copied().map(Some).collect(), Ground::Sup, q).powf(1.0 / q);
        let found = distance(&diagram(&a, &[]), &diagram(&b, &[]), 0, exact(q)).unwrap();
        prop_assert!(near(found.value, known) && found.is_exact(), "{found:?} where {known} is the least");
    }

    #[test]
    fn the_auction_keeps_its_word_against_augmenting_paths(a in bars(60), b in bars(60), q in 1.0..4.0, error in 0.001..0.3) {
        let (a, b) = (diagram(&a, &[0.0]), diagram(&b, &[0.1]));
        let known = value(&a, &b, exact(q));
        let found = distance(&a, &b, 0, Metric::Wasserstein { order: q, relative_error: Some(error) }).unwrap();
        let rounding = 1.0 + 1e-12;
        prop_assert!(found.lower <= known * rounding && known <= found.value * rounding, "{found:?} and {known}");
        prop_assert!(found.value <= found.lower * (1.0 + error) * rounding, "{found:?}");
    }

    #[test]
    fn bars_that_share_an_end_are_aligned_to_the_optimum(a in bars(60), b in bars(60), q in prop_oneof![Just(1.0), Just(3.0), 1.0..6.0], deaths: bool) {
        let one_end = |bars: &[[f64; 2]]| -> Vec<[f64; 2]> {
            let bars = bars.iter().filter(|p| p[1] > p[0]);
            let mut bars: Vec<[f64; 2]> = bars.map(|p| if deaths { [p[0], 11.0] } else { [-1.0, p[1]] }).collect();
            bars.sort_by(|x, y| x[0].total_cmp(&y[0]).then(x[1].total_cmp(&y[1])));
            bars
        };
        let [mut aligned, mut augmented] = [(); 2].map(|()| Market::new(&one_end(&a), &one_end(&b), Cost { ground: Ground::Sup, q, unit: 1.0 }));
        prop_assert!(line::align(&mut aligned) && augment::augment(&mut augmented, u64::MAX));
        let (found, known) = (aligned.total(), augmented.total());
        prop_assert!(near(found, known), "{found} where {known} is the least");
        prop_assert!(aligned.sides[0].mate.iter().flatten().is_sorted());
    }

    #[test]
    fn few_dear_bars_do_not_hide_the_many(a in bars(60), b in bars(60), q in 1.0..4.0, dear in 1_usize..4) {
        let crowd = |bars: &[[f64; 2]], dear: usize| {
            let cheap = bars.iter().map(|p| p.map(|x| 1e-3 * x));
            diagram(&cheap.chain(std::iter::repeat_n([0.0, 100.0], dear)).collect::<Vec<_>>(), &[])
        };
        let (a, b) = (crowd(&a, 1), crowd(&b, dear));
        let found = distance(&a, &b, 0, exact(q)).unwrap();
        let mut market = Market::new(&sorted(&a), &sorted(&b), Cost { ground: Ground::Sup, q, unit: 1.0 });
        augment::augment(&mut market, u64::MAX);
        let known = market.total().powf(q.recip());
        prop_assert!(near(found.value, known) && found.is_exact(), "{found:?} where {known} is the least");
    }

    #[test]
    fn without_patience_a_bound_is_told(a in bars(60), b in bars(60), q in 1.0..4.0) {
        let [a, b] = [a, b].map(|bars| sorted(&diagram(&bars, &[])));
        let bottleneck = bottleneck::bottleneck(&a, &b, Ground::Sup);
        prop_assume!(bottleneck > 0.0);
        let found = |patience| wasserstein::wasserstein([&a, &b], &[], Ground::Sup, q, bottleneck, Effort { relative_error: 0.0, patience });
        let (Found { value, lower, .. }, known) = (found(0), found(u64::MAX).value);
        let rounding = 1.0 + 1e-12;
        prop_assert!(lower <= known * rounding && known <= value * rounding, "{lower} {known} {value}");
        prop_assert!(value <= lower * (1.0 + RELATIVE_ERROR) * rounding, "{lower} {value}");
    }

    #[test]
    fn prices_prove_the_optimum(a in bars(60), b in bars(60), q in 1.0..3.0) {
        let [a, b] = [a, b].map(|bars| sorted(&diagram(&bars, &[])));
        let mut market = Market::new(&a, &b, Cost { ground: Ground::Sup, q, unit: 1.0 });
        prop_assert!(augment::augment(&mut market, u64::MAX));
        let (total, slack) = (market.total(), slack(&market));
        prop_assert!(slack <= 1e-12 * (1.0 + total), "a constraint of the matching is off by {slack}");
        let bound = market.bound();
        prop_assert!((total - bound).abs() <= 1e-12 * (1.0 + total), "{total} against a bound of {bound}");
    }

    #[test]
    fn distances_are_symmetric_and_zero_only_between_equals(a in bars(40), b in bars(40), q in 1.0..4.0) {
        let (a, b) = (diagram(&a, &[0.5]), diagram(&b, &[0.25]));
        let (one, other) = (value(&a, &b, exact(q)), value(&b, &a, exact(q)));
        prop_assert_eq!(one, other);
        let rough = Metric::Wasserstein { order: q, relative_error: Some(0.1) };
        prop_assert_eq!(value(&a, &b, rough), value(&b, &a, rough));
        prop_assert_eq!(value(&a, &b, BOTTLENECK), value(&b, &a, BOTTLENECK));
        prop_assert_eq!((value(&a, &a, exact(q)), value(&a, &a, BOTTLENECK)), (0.0, 0.0));
        prop_assert!(one >= 0.25);
    }

    #[test]
    fn the_triangle_inequality_holds(a in bars(12), b in bars(12), c in bars(12), q in 1.0..4.0) {
        let [a, b, c] = [a, b, c].map(|finite| diagram(&finite, &[]));
        for metric in [BOTTLENECK, exact(q)] {
            let (ab, bc, ac) = (value(&a, &b, metric), value(&b, &c, metric), value(&a, &c, metric));
            prop_assert!(ac <= (ab + bc) * (1.0 + 1e-12), "{ac} > {ab} + {bc}");
        }
    }

    #[test]
    fn the_order_of_the_bars_changes_no_bit(a in bars(40), b in bars(40), seed: u64, q in 1.0..4.0) {
        let mut shuffled = a.clone();
        for i in (1..a.len()).rev() {
            shuffled.swap(i, (seed.rotate_left(i as u32) % (i as u64 + 1)) as usize);
        }
        for metric in [BOTTLENECK, exact(q)] {
            let (one, other) = (diagram(&a, &[]), diagram(&shuffled, &[]));
            prop_assert_eq!(value(&one, &diagram(&b, &[]), metric), value(&other, &diagram(&b, &[]), metric));
        }
    }

    #[test]
    fn wasserstein_falls_to_the_bottleneck_as_its_order_grows(a in bars(30), b in bars(30)) {
        let (a, b) = (diagram(&a, &[]), diagram(&b, &[]));
        let limit = value(&a, &b, BOTTLENECK);
        let mut last = f64::INFINITY;
        for q in [1.0, 1.5, 2.0, 5.0, 20.0, 100.0, 1000.0] {
            let distance = distance(&a, &b, 0, exact(q)).unwrap();
            let found = distance.value;
            prop_assert!(distance.is_exact(), "{distance:?} at q = {q}");
            prop_assert!(found <= last * (1.0 + 1e-12) && found >= limit * (1.0 - 1e-12), "{found} at q = {q}");
            last = found;
        }
        // Sixty costs of at most the limit: their 1000-norm is within 60^(1/1000) of it.
        prop_assert!(last <= limit * 1.0042, "{last} and {limit}");
        prop_assert_eq!(value(&a, &b, exact(f64::INFINITY)), limit);
    }

    #[test]
    fn a_superlevel_barcode_is_as_far_as_that_of_the_negated_function(a in bars(20), b in bars(20), q in 1.0..3.0) {
        let negated = |finite: &[[f64; 2]]| {
            let bar = |p: &[f64; 2]| Interval { degree: 0, birth: -p[0], death: Some(-p[1]) };
            let half_line = Interval { degree: 0, birth: -0.5, death: None };
            Diagram::new(finite.iter().map(bar).chain([half_line]).collect(), Some(true)).unwrap()
        };
        for metric in [BOTTLENECK, exact(q)] {
            let plain = value(&diagram(&a, &[0.5]), &diagram(&b, &[0.5]), metric);
            prop_assert_eq!(value(&negated(&a), &negated(&b), metric), plain);
        }
    }

    #[test]
    fn a_unit_changes_nothing(a in bars(20), b in bars(20), q in 1.0..3.0, power in -900_i32..900) {
        let scale = 2_f64.powi(power);
        let scaled = |finite: &[[f64; 2]]| diagram(&finite.iter().map(|p| p.map(|x| x * scale)).collect::<Vec<_>>(), &[]);
        prop_assert_eq!(value(&scaled(&a), &scaled(&b), BOTTLENECK), scale * value(&diagram(&a, &[]), &diagram(&b, &[]), BOTTLENECK));
        let (found, known) = (value(&scaled(&a), &scaled(&b), exact(q)), scale * value(&diagram(&a, &[]), &diagram(&b, &[]), exact(q)));
        prop_assert!(near(found, known), "{found} and {known}");
    }
}

/// The degree-0 barcode of a function on a path graph.
fn of_path(values: &[f64]) -> Diagram {
    use crate::persistence::merge_tree::{Ages, Edge, Vertex, merges};
    let vertices: Vec<Vertex> = values.iter().enumerate().map(|(i, &value)| Vertex { value, cell: i as u64 }).collect();
    let edge = |i: usize| Edge { height: values[i].max(values[i + 1]), cell: i as u64, ends: (i, i + 1) };
    let edges: Vec<Edge> = (0..values.len() - 1).map(edge).collect();
    let mut death = vec![None; values.len()];
    merges(&vertices, &Ages::of(&vertices), &edges).iter().for_each(|m| death[m.dead] = Some(edges[m.edge].height));
    let bars = death.iter().zip(values).map(|(&death, &birth)| Interval { degree: 0, birth, death });
    Diagram::new(bars.collect(), Some(false)).unwrap()
}

proptest! {
    #[test]
    fn bars_move_no_more_than_the_function(values in prop::collection::vec((0.0..1.0, -1.0..1.0), 2..300), most in 0.0..0.3) {
        let moved: Vec<f64> = values.iter().map(|(value, by)| value + most * by).collect();
        let values: Vec<f64> = values.into_iter().map(|(value, _)| value).collect();
        let apart = values.iter().zip(&moved).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
        // Both ends of a difference are rounded values themselves: equal to the last bit.
        prop_assert!(value(&of_path(&values), &of_path(&moved), BOTTLENECK) <= apart);
    }
}

fn grounds() -> impl Strategy<Value = Ground> {
    prop_oneof![Just(Ground::Sup), Just(Ground::Euclidean), Just(Ground::Sum)]
}

proptest! {
    #[test]
    fn a_matching_has_the_distance_and_holds_everybody_once(
        a in bars(40), b in bars(40), ground in grounds(), q in prop_oneof![Just(1.0), Just(f64::INFINITY), 1.0..4.0],
        error in prop_oneof![Just(0.0), 0.01..0.3], births in prop::collection::vec([0.0..1.0, 0.0..1.0], 0..3),
    ) {
        let [one, other] = [0, 1].map(|side| births.iter().map(|birth| birth[side]).collect::<Vec<f64>>());
        let (one, other) = (diagram(&a, &one), diagram(&b, &other));
        let metric = Metric::Wasserstein { order: q, relative_error: Some(error) };
        let (found, matches) = matching(&one, &other, 0, metric, ground).unwrap();
        let costs = matches.iter().map(|found| found.cost);
        let known = match q.is_finite() {
            true => costs.map(|cost| cost.powf(q)).sum::<f64>().powf(q.recip()),
            false => costs.fold(0.0, f64::max),
        };
        prop_assert!(near(found.value, known), "{found:?}, and {known} of the matching");
        let long = |diagram: &Diagram| {
            let bars = diagram.intervals().iter().enumerate();
            bars.filter(|(_, bar)| bar.death != Some(bar.birth)).map(|(at, _)| at).collect::<Vec<_>>()
        };
        let sides = [|found: &Match| found.a, |found: &Match| found.b];
        let [mut of_a, mut of_b] = sides.map(|side| matches.iter().filter_map(side).collect::<Vec<_>>());
        [&mut of_a, &mut of_b].into_iter().for_each(|side| side.sort_unstable());
        prop_assert_eq!((of_a, of_b), (long(&one), long(&other)));
        for Match { a, b, cost } in matches {
            let [a, b] = [a.map(|a| one.intervals()[a]), b.map(|b| other.intervals()[b])];
            let point = |bar: Interval| Some([bar.birth, bar.death?]);
            let known = match (a, b) {
                (Some(a), Some(b)) => match point(a).zip(point(b)) {
                    Some((a, b)) => ground.between(a, b),
                    None => (a.birth - b.birth).abs(),
                },
                (bar, None) | (None, bar) => ground.alone(bar.and_then(point).unwrap()),
            };
            prop_assert!(near(cost, known), "{a:?} and {b:?}: {cost}, not {known}");
        }
    }

    #[test]
    fn on_any_ground_the_least_of_all_matchings_is_found(a in bars(6), b in bars(6), ground in grounds(), q in 1.0..4.0) {
        let known = brute(&a, &mut b.iter().copied().map(Some).collect(), ground, q).powf(1.0 / q);
        let largest = brute_bottleneck(&a, &mut b.iter().copied().map(Some).collect(), ground);
        let (a, b) = (diagram(&a, &[]), diagram(&b, &[]));
        let value = |metric| matching(&a, &b, 0, metric, ground).unwrap().0.value;
        prop_assert!(near(value(exact(q)), known), "{} where {known} is the least", value(exact(q)));
        prop_assert!(near(value(BOTTLENECK), largest), "{} where {largest} is the least", value(BOTTLENECK));
    }
}

#[test]
fn bars_that_were_always_there_meet_among_themselves() {
    let bar = |birth, death| Interval { degree: 0, birth, death };
    let infinite = f64::NEG_INFINITY;
    let of = |deaths: [f64; 2]| Diagram::new(deaths.map(|death| bar(infinite, Some(death))).to_vec(), None).unwrap();
    let (a, b) = (of([5.0, 1.0]), of([2.0, 9.0]));
    assert_eq!((value(&a, &b, BOTTLENECK), value(&a, &b, exact(1.0)), a.superlevel()), (4.0, 5.0, Some(false)));
    let never = Diagram::new(vec![bar(1.0, None), bar(infinite, None)], None).unwrap();
    assert_eq!((value(&a, &never, BOTTLENECK), value(&never, &never, exact(2.0))), (f64::INFINITY, 0.0));
    let fell = Diagram::new(vec![bar(-infinite, Some(3.0)), bar(-infinite, None)], None).unwrap();
    assert_eq!((fell.superlevel(), value(&fell, &fell, BOTTLENECK)), (Some(true), 0.0));
    let fault = Diagram::new(vec![bar(infinite, Some(3.0)), bar(-infinite, None)], None).unwrap_err().1;
    assert_eq!(fault, "a bar of sublevel sets dies at -inf, before its birth at inf");
}

#[test]
fn half_lines_are_cut_or_left_out() {
    let infinite = f64::INFINITY;
    let bar = |birth, death| Interval { degree: 0, birth, death };
    let bars =
        vec![bar(0.0, Some(1.0)), bar(0.5, None), bar(4.0, None), bar(-infinite, Some(2.0)), bar(-infinite, None)];
    let all = Diagram::new(bars, None).unwrap();
    let cut = all.cut(3.0).intervals().iter().map(|bar| bar.death.unwrap()).collect::<Vec<_>>();
    assert_eq!(cut, [1.0, 3.0, 4.0, 2.0, 3.0]);
    let known = diagram(&[[0.0, 1.0]], &[]);
    assert_eq!(value(&all.without_half_lines(), &known, BOTTLENECK), 0.0);
    assert_eq!(all.without_half_lines().intervals().len(), 5);
    let falling = Diagram::new(vec![bar(1.0, None), bar(3.0, Some(2.0))], None).unwrap();
    assert_eq!(falling.cut(0.25).intervals()[0].death, Some(0.25));
}

#[test]
fn half_lines_meet_in_the_order_of_their_births() {
    let (a, b) = (diagram(&[], &[5.0, 0.0]), diagram(&[[0.0, 1.0]], &[1.0, 7.0]));
    assert_eq!((value(&a, &b, BOTTLENECK), value(&a, &b, exact(1.0))), (2.0, 3.5));
    let found = distance(&a, &diagram(&[], &[0.0]), 0, BOTTLENECK).unwrap();
    assert_eq!((found.value, found.lower, found.half_lines), (f64::INFINITY, f64::INFINITY, [2, 1]));
    assert_eq!(distance(&a, &b, 1, exact(2.0)).unwrap().value, 0.0, "a degree that neither has");
}

#[test]
fn whole_numbers_give_whole_distances() {
    let a = diagram(&[[0.0, 6.0], [1.0, 9.0], [3.0, 5.0]], &[]);
    let b = diagram(&[[1.0, 6.0], [4.0, 9.0]], &[]);
    // 6 - 0 to 6 - 1 costs 1, 9 - 1 to 9 - 4 costs 3, the short one 1 alone.
    assert_eq!((value(&a, &b, exact(1.0)), value(&a, &b, BOTTLENECK)), (5.0, 3.0));
}

#[test]
fn what_makes_no_sense_is_refused_in_a_sentence() {
    let (a, up) = (diagram(&[[0.0, 1.0]], &[]), Some(true));
    let falling = Diagram::new(vec![Interval { degree: 0, birth: 1.0, death: Some(0.0) }], None).unwrap();
    assert_eq!(falling.superlevel(), up);
    let refused = |a: &Diagram, b: &Diagram, metric| distance(a, b, 0, metric).unwrap_err().to_string();
    let text = "one barcode is of superlevel sets, the other of sublevel sets: no distance is defined between them";
    assert_eq!(refused(&a, &falling, BOTTLENECK), text);
    assert_eq!(refused(&a, &a, exact(0.5)), "the order of a Wasserstein distance is from 1 to inf: 0.5 is not");
    let error = Metric::Wasserstein { order: 1.0, relative_error: Some(f64::NAN) };
    assert_eq!(refused(&a, &a, error), "a relative error is from 0 to below 1: NaN is not");
    let bar = |birth, death| vec![Interval { degree: 0, birth, death }];
    let fault = |bars, superlevel| Diagram::new(bars, superlevel).unwrap_err().1;
    assert_eq!(fault(bar(f64::NAN, None), None), "a bar is born at NaN");
    assert_eq!(fault(bar(2.0, Some(1.0)), Some(false)), "a bar of sublevel sets dies at 1, before its birth at 2");
    assert_eq!(fault(bar(1.0, Some(2.0)), up), "a bar of superlevel sets dies at 2, after its birth at 1");
}

#[test]
fn the_distance_to_one_half_line_is_the_score() {
    use crate::persistence::{Pair, Score, pairs};
    let pair = |birth, death| Pair { degree: 0, birth, death, elder: None };
    let values = [0.0, 1.0, 0.5, 2.0, 0.25, 3.0];
    let barcode = pairs::barcode(&[pair(0, None), pair(2, Some(1)), pair(4, Some(5))], &[], |id| values[id as usize]);
    let found = Diagram::of(&barcode.bars, false).unwrap();
    for q in [1.0, 2.0, 3.5, f64::INFINITY] {
        let (found, score) = (value(&found, &diagram(&[], &[0.0]), exact(q)), Score::wasserstein(&barcode, 0, q));
        assert!(near(found, score.unwrap()), "{found} and {score:?} at q = {q}");
    }
}
