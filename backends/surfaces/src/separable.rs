//! Sums of one function of one variable, f = sum_i g(x_i): their derivatives, and their known answers as products.
//!
//! The sublevel filtration of such a sum is a tensor product of filtered complexes, so its barcode follows from that of
//! g (Kuenneth's formula): a point whose coordinates are all minima of g is a minimum, its birth the sum of their
//! births, and it dies where its shortest coordinate does, the others kept.

use crate::{Answers, CriticalPoint, Surface};
use mountainpass_sdk::Bounds;
use std::marker::PhantomData;

/// The function of one variable. Its extrema lie apart by more than a 20,000th of the box.
pub trait Curve: Send + Sync + 'static {
    /// The box.
    const RANGE: [f64; 2];
    /// Whether g is twice differentiable in the box.
    const SMOOTH: bool;
    /// g(x).
    fn value(x: f64) -> f64;
    /// g'(x); from the right where the two sides differ.
    fn slope(x: f64) -> f64;
    /// g''(x); from the right where the two sides differ.
    fn curvature(x: f64) -> f64;
}

/// sum_i g(x_i) over `n` variables.
pub struct Separable<C> {
    n: usize,
    curve: PhantomData<C>,
}

/// No more critical points than this are listed.
const LISTED: usize = 4096;

impl<C: Curve> Separable<C> {
    pub fn new(n: usize) -> Separable<C> {
        Separable { n, curve: PhantomData }
    }
}

impl<C: Curve> Surface for Separable<C> {
    fn n(&self) -> usize {
        self.n
    }

    fn value(&self, x: &[f64]) -> f64 {
        x.iter().map(|&x| C::value(x)).sum()
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        out.iter_mut().zip(x).for_each(|(out, &x)| *out = C::slope(x));
    }

    fn product(&self, x: &[f64], v: &[f64], out: &mut [f64]) {
        out.iter_mut().zip(x).zip(v).for_each(|((out, &x), v)| *out = C::curvature(x) * v);
    }

    fn smooth(&self) -> bool {
        C::SMOOTH
    }

    fn bounds(&self) -> Option<Bounds> {
        let [lower, upper] = C::RANGE;
        Some(Bounds { lower: vec![lower; self.n], upper: vec![upper; self.n] })
    }

    /// The critical points inside the open box, and the bars of the minima among them: those on its faces are not
    /// critical points of f. Up to 4096 of each are listed.
    fn known(&self) -> Answers {
        let extrema = extrema(C::RANGE, 20_000, C::slope);
        let line = Line { bars: bars(&extrema, C::value), extrema };
        products(&vec![&line; self.n], |x| self.value(x))
    }

    fn options(&self) -> String {
        format!("n = {}\n", self.n)
    }
}

/// What is known of a function of one variable.
pub struct Line {
    pub extrema: Vec<Extremum>,
    /// For every minimum, where it is and the maximum at which it dies.
    pub bars: Vec<(f64, Option<f64>)>,
}

/// Every choice of one of `of` for each line, the last coordinate running fastest; none if they are too many.
fn choices<'e>(lines: &[&'e Line], of: fn(&Extremum) -> bool) -> Vec<Vec<&'e Extremum>> {
    let each: Vec<Vec<&Extremum>> = lines.iter().map(|line| line.extrema.iter().filter(|e| of(e)).collect()).collect();
    let listed = each.iter().try_fold(1_usize, |all, some| all.checked_mul(some.len()));
    if listed.is_none_or(|count| count > LISTED) {
        return Vec::new();
    }
    let longer = |found: Vec<Vec<&'e Extremum>>, some: &Vec<&'e Extremum>| {
        found.iter().flat_map(|x| some.iter().map(move |&e| [&x[..], &[e]].concat())).collect()
    };
    each.iter().fold(vec![Vec::new()], longer)
}

/// The critical points and bars of a sum of functions of one coordinate each, whose sum is `value`. Up to 4096 of each.
pub fn products(lines: &[&Line], value: impl Fn(&[f64]) -> f64) -> Answers {
    let place = |choice: &[&Extremum]| choice.iter().map(|e| e.x).collect::<Vec<f64>>();
    let point = |choice: &Vec<&Extremum>| {
        let x = place(choice);
        let index = choice.iter().filter(|e| !e.minimum).count();
        CriticalPoint { value: value(&x), x, index }
    };
    let bar = |choice: &Vec<&Extremum>| {
        let mut x = place(choice);
        let birth = value(&x);
        let mut death = f64::INFINITY;
        for (i, line) in lines.iter().enumerate() {
            let Some(&(minimum, Some(pass))) = line.bars.iter().find(|(born, _)| *born == x[i]) else { continue };
            x[i] = pass;
            death = death.min(value(&x));
            x[i] = minimum;
        }
        (birth, death)
    };
    let mut bars: Vec<(f64, f64)> = choices(lines, |e| e.minimum).iter().map(bar).collect();
    bars.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    Answers { critical: choices(lines, |_| true).iter().map(point).collect(), bars }
}

/// A minimum or a maximum of a function of one variable.
#[derive(Clone, Copy)]
pub struct Extremum {
    pub x: f64,
    pub minimum: bool,
}

/// The extrema inside a range, in order: sign changes of the slope from point to point of an even grid, bisected to the last
/// bit. A kink is found like any other.
pub fn extrema([lower, upper]: [f64; 2], points: usize, slope: impl Fn(f64) -> f64) -> Vec<Extremum> {
    // Half a spacing off the ends: neither an end nor the middle of the range is a point of the grid.
    let at = |i: usize| lower + (upper - lower) * (i as f64 + 0.5) / points as f64;
    let bisected = |i: usize| {
        let (mut low, mut high) = (at(i - 1), at(i));
        let rising = slope(high) > 0.0;
        loop {
            let middle = 0.5 * (low + high);
            if middle <= low || middle >= high {
                break;
            }
            if (slope(middle) > 0.0) == rising { high = middle } else { low = middle }
        }
        // Of two neighbours the flatter one; at a kink the right one, whose slope is the one-sided slope.
        let x = if slope(low).abs() < slope(high).abs() { low } else { high };
        Extremum { x, minimum: rising }
    };
    (1..points).filter(|&i| (slope(at(i - 1)) > 0.0) != (slope(at(i)) > 0.0)).map(bisected).collect()
}

/// For every minimum, where it is and the maximum at which it dies, by the elder rule; `None` for the lowest.
pub fn bars(extrema: &[Extremum], value: impl Fn(f64) -> f64) -> Vec<(f64, Option<f64>)> {
    let minimum = extrema.iter().filter(|e| e.minimum).map(|e| e.x);
    // Components in order, each by its elder, and the maxima between them.
    let mut elders: Vec<f64> = minimum.collect();
    let first = extrema.iter().position(|e| e.minimum).unwrap_or(0);
    let mut walls: Vec<f64> = extrema[first..].iter().filter(|e| !e.minimum).map(|e| e.x).collect();
    walls.truncate(elders.len().saturating_sub(1));
    let mut bars = Vec::new();
    while let Some(lowest) = (0..walls.len()).min_by(|&a, &b| value(walls[a]).total_cmp(&value(walls[b]))) {
        let wall = walls.remove(lowest);
        let dead = if value(elders[lowest]) <= value(elders[lowest + 1]) { lowest + 1 } else { lowest };
        bars.push((elders.remove(dead), Some(wall)));
    }
    bars.extend(elders.into_iter().map(|elder| (elder, None)));
    bars
}
