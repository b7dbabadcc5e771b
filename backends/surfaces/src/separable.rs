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

    /// Every choice of `n` of the extrema, the last coordinate running fastest; none if they are too many.
    fn choices<'e>(&self, extrema: &[&'e Extremum]) -> Vec<Vec<&'e Extremum>> {
        let listed = u32::try_from(self.n).ok().and_then(|n| extrema.len().checked_pow(n));
        if listed.is_none_or(|count| count > LISTED) {
            return Vec::new();
        }
        let longer = |found: Vec<Vec<&'e Extremum>>, _| {
            found.iter().flat_map(|x| extrema.iter().map(move |&e| [&x[..], &[e]].concat())).collect()
        };
        (0..self.n).fold(vec![Vec::new()], longer)
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
        let bars = bars(&extrema, C::value);
        let place = |choice: &[&Extremum]| choice.iter().map(|e| e.x).collect::<Vec<f64>>();
        let point = |choice: &Vec<&Extremum>| {
            let x = place(choice);
            let index = choice.iter().filter(|e| !e.minimum).count();
            CriticalPoint { value: self.value(&x), x, index }
        };
        let all: Vec<&Extremum> = extrema.iter().collect();
        let critical = self.choices(&all).iter().map(point).collect();

        let minima: Vec<&Extremum> = extrema.iter().filter(|e| e.minimum).collect();
        let bar = |choice: &Vec<&Extremum>| {
            let mut x = place(choice);
            let birth = self.value(&x);
            let lengths = choice.iter().enumerate().filter_map(|(i, minimum)| {
                let &(_, pass) = bars.iter().find(|(born, _)| *born == minimum.x)?;
                pass.map(|pass| (C::value(pass) - C::value(minimum.x), i, pass))
            });
            let Some((_, i, pass)) = lengths.min_by(|a, b| a.0.total_cmp(&b.0)) else {
                return (birth, f64::INFINITY);
            };
            x[i] = pass;
            (birth, self.value(&x))
        };
        let mut bars: Vec<(f64, f64)> = self.choices(&minima).iter().map(bar).collect();
        bars.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        Answers { critical, bars }
    }

    fn options(&self) -> String {
        format!("n = {}\n", self.n)
    }
}

/// A minimum or a maximum of a function of one variable.
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
