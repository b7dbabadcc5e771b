//! A loss with the kinks of a network and answers in closed form: minima on kinks, passes on kinks, one kink inside others.
//!
//! f = ||x_1| - 1| + x_1^2 / 4 + x_1 / 8 + g_2(s_2) + .. + g_n(s_n) with s_i = x_i + |x_1|, where
//! g_2 = s^2 / 2 + s / 4 - |s|, g_3 = s^4 / 4 - s^3 / 6 - 3 s^2 / 4, and g_i = |s| + s / 2 + s^2 / 2 from the fourth on.
//!
//! (x_1, s_2, .., s_n) are continuous coordinates, in which f is a sum of functions of one variable each: critical points
//! are products of theirs. Along x_1 two minima lie on kinks, with a kink that bends downwards between them; along s_2 only
//! the top is on a kink; g_3 is smooth, so its top is a pass with a negative eigenvalue, on the kinks of x_1; from the
//! fourth on the only critical point is a minimum on a kink. At a kink derivatives are those from z = +0.

use crate::bend::Bend;
use crate::separable::{Extremum, Line, products};
use crate::surface::dimensions;
use crate::{Answers, Kinks, Surface};
use mountainpass_sdk::{Bounds, Error, Open};
use std::iter::once;

pub struct Kinked {
    n: usize,
    bend: Bend,
}

impl Kinked {
    /// Option: `n` (2).
    pub fn open(request: &mut Open<'_>) -> Result<Kinked, Error> {
        Ok(Kinked { n: dimensions(request)?, bend: Bend::Own })
    }

    /// What stands for |x_1| and for its distance from 1, with derivatives by z.
    fn inner(&self, x: &[f64]) -> [[f64; 3]; 2] {
        let fold = self.bend.at(0, x[0]);
        [fold, self.bend.at(1, fold[0] - 1.0)]
    }

    /// g of coordinate i, counted from 0, with two derivatives.
    fn part(&self, i: usize, s: f64) -> [f64; 3] {
        let kink = |id: usize| self.bend.at(id as u64, s);
        match i {
            1 => {
                let [h, slope, bend] = kink(2);
                [s * (0.5 * s + 0.25) - h, s + 0.25 - slope, 1.0 - bend]
            }
            2 => [s * s * (s * (0.25 * s - 1.0 / 6.0) - 0.75), s * (s + 1.0) * (s - 1.5), s * (3.0 * s - 1.0) - 1.5],
            _ => {
                let [h, slope, bend] = kink(i);
                [s * (0.5 * s + 0.5) + h, s + 0.5 + slope, 1.0 + bend]
            }
        }
    }

    /// The parts of all s_i.
    fn parts(&self, fold: f64, x: &[f64]) -> impl Iterator<Item = [f64; 3]> {
        x.iter().enumerate().skip(1).map(move |(i, x)| self.part(i, x + fold))
    }

    /// The derivative by what stands for |x_1|.
    fn by_fold(&self, [fold, outer]: [[f64; 3]; 2], x: &[f64]) -> f64 {
        outer[1] + self.parts(fold[0], x).map(|part| part[1]).sum::<f64>()
    }
}

/// The coordinate, counted from 0, whose s is z of a kink beyond the first two.
fn coordinate(id: u64) -> usize {
    if id == 2 { 1 } else { id as usize }
}

/// A minimum, or a higher one, a maximum and the lowest.
fn line(low: f64, rest: Option<[f64; 2]>) -> Line {
    let extremum = |(x, minimum)| Extremum { x, minimum };
    let all = [Some((low, true)), rest.map(|[top, _]| (top, false)), rest.map(|[_, high]| (high, true))];
    let dies = rest.map(|[top, high]| (high, Some(top)));
    Line {
        extrema: all.into_iter().flatten().map(extremum).collect(),
        bars: [Some((low, None)), dies].into_iter().flatten().collect(),
    }
}

impl Surface for Kinked {
    fn n(&self) -> usize {
        self.n
    }

    fn value(&self, x: &[f64]) -> f64 {
        let [fold, outer] = self.inner(x);
        outer[0] + x[0] * (0.25 * x[0] + 0.125) + self.parts(fold[0], x).map(|part| part[0]).sum::<f64>()
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        let inner = self.inner(x);
        out[0] = inner[0][1] * self.by_fold(inner, x) + 0.5 * x[0] + 0.125;
        out[1..].iter_mut().zip(self.parts(inner[0][0], x)).for_each(|(out, part)| *out = part[1]);
    }

    fn product(&self, x: &[f64], v: &[f64], out: &mut [f64]) {
        let inner @ [fold, outer] = self.inner(x);
        let moved = fold[1] * v[0];
        for ((out, v), part) in out[1..].iter_mut().zip(&v[1..]).zip(self.parts(fold[0], x)) {
            *out = part[2] * (v + moved);
        }
        let bent = outer[2] * moved + out[1..].iter().sum::<f64>();
        out[0] = fold[1] * bent + fold[2] * v[0] * self.by_fold(inner, x) + 0.5 * v[0];
    }

    fn smooth(&self) -> bool {
        false
    }

    fn bounds(&self) -> Option<Bounds> {
        Some(Bounds { lower: vec![-3.0; self.n], upper: vec![3.0; self.n] })
    }

    /// Three critical points along each of the first three coordinates; listed up to n = 4096.
    fn known(&self) -> Answers {
        if self.n > 4096 {
            return Answers::default();
        }
        let x_1 = line(-1.0, Some([0.0, 1.0]));
        let others = [line(-1.25, Some([0.0, 0.75])), line(1.5, Some([0.0, -1.0])), line(0.0, None)];
        let lines: Vec<&Line> = once(&x_1).chain((1..self.n).map(|i| &others[(i - 1).min(2)])).collect();
        let place = |s: &[f64]| once(s[0]).chain(s[1..].iter().map(|x| x - s[0].abs())).collect::<Vec<f64>>();
        let mut known = products(&lines, |s| self.value(&place(s)));
        known.critical.iter_mut().for_each(|point| point.x = place(&point.x));
        known
    }

    fn kinks(&self) -> Option<&dyn Kinks> {
        Some(self)
    }

    fn options(&self) -> String {
        format!("n = {}\n", self.n)
    }
}

impl Kinks for Kinked {
    /// Two of x_1, and one of every other coordinate but the third.
    fn count(&self) -> u64 {
        self.n as u64 + u64::from(self.n < 3)
    }

    fn bent(&self, bend: Bend) -> Box<dyn Surface> {
        Box::new(Kinked { n: self.n, bend })
    }

    fn figures(&self, id: u64, x: &[f64]) -> (f64, f64) {
        let inner @ [fold, _] = self.inner(x);
        match id {
            0 => (x[0], self.by_fold(inner, x)),
            1 => (fold[0] - 1.0, 1.0),
            _ => (x[coordinate(id)] + fold[0], if id == 2 { -1.0 } else { 1.0 }),
        }
    }

    fn row(&self, id: u64, x: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        let [fold, _] = self.inner(x);
        out[0] = if id == 0 { 1.0 } else { fold[1] };
        if id > 1 {
            out[coordinate(id)] = 1.0;
        }
    }
}
