//! Polylines in parameter space: the shape of every path.

use super::vector::{axpy, distance};

/// A curve through `knots`, straight in between; at least two knots of `p` coordinates each.
#[derive(Clone, Debug, PartialEq)]
pub struct Polyline {
    p: usize,
    knots: Vec<f64>,
}

impl Polyline {
    /// A polyline through knots given row after row.
    pub fn new(knots: Vec<f64>, p: usize) -> Polyline {
        debug_assert!(knots.len().is_multiple_of(p) && knots.len() >= 2 * p);
        Polyline { p, knots }
    }

    /// The straight line between two points.
    pub fn straight(a: &[f64], b: &[f64]) -> Polyline {
        Polyline { p: a.len(), knots: [a, b].concat() }
    }

    /// The number of coordinates.
    pub fn params(&self) -> usize {
        self.p
    }

    /// The number of knots, both ends included.
    pub fn n(&self) -> usize {
        self.knots.len() / self.p
    }

    /// Knot `i`.
    pub fn knot(&self, i: usize) -> &[f64] {
        &self.knots[i * self.p..(i + 1) * self.p]
    }

    /// All knots, row after row.
    pub fn knots(&self) -> &[f64] {
        &self.knots
    }

    /// All knots, to be moved.
    pub fn knots_mut(&mut self) -> &mut [f64] {
        &mut self.knots
    }

    /// The knots, given up.
    pub fn into_knots(self) -> Vec<f64> {
        self.knots
    }

    /// The arc length at every knot, from 0 to the length.
    pub fn arcs(&self) -> Vec<f64> {
        let mut arcs = vec![0.0; self.n()];
        for i in 1..self.n() {
            arcs[i] = arcs[i - 1] + distance(self.knot(i), self.knot(i - 1));
        }
        arcs
    }

    /// The whole length.
    pub fn length(&self) -> f64 {
        self.arcs()[self.n() - 1]
    }

    /// The point at an arc length, clamped to the ends; `arcs` is [`arcs()`](Polyline::arcs).
    pub fn at(&self, arcs: &[f64], arc: f64) -> Vec<f64> {
        let i = arcs.partition_point(|&a| a <= arc).clamp(1, self.n() - 1);
        let width = arcs[i] - arcs[i - 1];
        let u = if width > 0.0 { ((arc - arcs[i - 1]) / width).clamp(0.0, 1.0) } else { 0.0 };
        // The exact end for u = 1: ends are minima, whose bits matter.
        if u == 1.0 {
            return self.knot(i).to_vec();
        }
        let mut point: Vec<f64> = self.knot(i - 1).iter().map(|x| (1.0 - u) * x).collect();
        axpy(&mut point, u, self.knot(i));
        point
    }

    /// Nearly this curve, through `n` evenly spaced knots; the ends stay.
    pub fn respaced(&self, n: usize) -> Polyline {
        let arcs = self.arcs();
        let length = arcs[self.n() - 1];
        let mut knots = Vec::with_capacity(n * self.p);
        knots.extend_from_slice(self.knot(0));
        for i in 1..n - 1 {
            knots.extend(self.at(&arcs, length * i as f64 / (n - 1) as f64));
        }
        knots.extend_from_slice(self.knot(self.n() - 1));
        Polyline { p: self.p, knots }
    }

    /// Nearly this curve, without the knots that lie within a fraction of its length of the line between those kept.
    pub fn thinned(&self, fraction: f64) -> Polyline {
        let near = fraction * self.length();
        let mut knots = self.knot(0).to_vec();
        let mut last = 0;
        for next in 2..self.n() {
            if (last + 1..next).any(|i| self.beside(last, next, i) > near) {
                last = next - 1;
                knots.extend_from_slice(self.knot(last));
            }
        }
        knots.extend_from_slice(self.knot(self.n() - 1));
        Polyline { p: self.p, knots }
    }

    /// Nearly this curve, with so many knots (two or more) at most: those that it bends most at.
    pub fn fewer(&self, most: usize) -> Polyline {
        let mut fraction = 1e-3;
        loop {
            let line = self.thinned(fraction);
            if line.n() <= most {
                return line;
            }
            fraction *= 2.0;
        }
    }

    /// How far knot `i` lies from the line between two others.
    fn beside(&self, from: usize, to: usize, i: usize) -> f64 {
        let (a, b, x) = (self.knot(from), self.knot(to), self.knot(i));
        let along: f64 = x.iter().zip(a).zip(b).map(|((x, a), b)| (x - a) * (b - a)).sum();
        let length = distance(a, b).powi(2);
        let u = if length > 0.0 { (along / length).clamp(0.0, 1.0) } else { 0.0 };
        let foot: Vec<f64> = a.iter().zip(b).map(|(a, b)| a + u * (b - a)).collect();
        distance(&foot, x)
    }

    /// The curve half-way to another one of as many knots.
    pub fn half_way_to(&self, other: &Polyline) -> Polyline {
        let knots = self.knots.iter().zip(&other.knots).map(|(a, b)| 0.5 * a + 0.5 * b).collect();
        Polyline { p: self.p, knots }
    }

    /// The part between two arc lengths, with all knots inside it.
    pub fn part(&self, from: f64, to: f64) -> Polyline {
        let arcs = self.arcs();
        let mut knots = self.at(&arcs, from);
        for (i, _) in arcs.iter().enumerate().filter(|&(_, &arc)| arc > from && arc < to) {
            knots.extend_from_slice(self.knot(i));
        }
        knots.extend(self.at(&arcs, to));
        Polyline { p: self.p, knots }
    }

    /// This curve, backwards.
    pub fn reversed(&self) -> Polyline {
        Polyline { p: self.p, knots: self.knots.chunks_exact(self.p).rev().flatten().copied().collect() }
    }

    /// This curve and then that one; the joint is kept once when the ends are equal.
    pub fn then(mut self, next: &Polyline) -> Polyline {
        let joined = self.knot(self.n() - 1) == next.knot(0);
        self.knots.extend_from_slice(&next.knots[if joined { self.p } else { 0 }..]);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn respacing_is_even_and_keeps_the_ends() {
        let line = Polyline::new(vec![0.0, 0.0, 3.0, 0.0, 3.0, 1.0], 2).respaced(5);
        assert_eq!(line.arcs(), vec![0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!((line.knot(0), line.knot(4)), (&[0.0, 0.0][..], &[3.0, 1.0][..]));
    }

    #[test]
    fn a_thinned_curve_keeps_its_bends() {
        let line = Polyline::new(vec![0.0, 0.0, 1.0, 0.0, 2.0, 1e-6, 3.0, 0.0, 3.0, 1.0, 3.0, 2.0], 2).thinned(1e-3);
        assert_eq!(line.knots(), [0.0, 0.0, 3.0, 0.0, 3.0, 2.0]);
    }

    #[test]
    fn a_curve_of_few_knots_keeps_its_greatest_bends() {
        let quarter = |k: usize| [100.0 * (0.1 * k as f64).sin(), 100.0 * (0.1 * k as f64).cos()];
        let arc: Vec<f64> = (0..16).flat_map(quarter).chain([100.0, -100.0]).collect();
        let few = Polyline::new(arc.clone(), 2).fewer(6);
        assert!(few.n() <= 6 && few.n() > 3, "{}", few.n());
        assert!(few.knots().chunks_exact(2).any(|knot| knot == quarter(15)), "the corner is gone");
    }

    #[test]
    fn the_parts_make_the_whole() {
        let line = Polyline::new(vec![0.0, 0.0, 3.0, 0.0, 3.0, 1.0], 2);
        let whole = line.part(0.0, 2.0).then(&line.part(2.0, 4.0));
        assert_eq!(whole.length(), 4.0);
        assert_eq!(whole.n(), 4);
    }
}
