//! The perfect Morse function of the torus, f = sum_i cos x_i with x_i of period 2 pi: C(n, k) critical points of
//! index k, every one of them a half-line.

use crate::surface::dimensions;
use crate::{Answers, CriticalPoint, Surface};
use mountainpass_sdk::{Bounds, Error, Open, Symmetry, SymmetryKind};
use std::f64::consts::{PI, TAU};

pub struct Torus {
    n: usize,
}

impl Torus {
    /// Option: `n` (2).
    pub fn open(request: &mut Open<'_>) -> Result<Torus, Error> {
        Ok(Torus { n: dimensions(request)? })
    }
}

impl Surface for Torus {
    fn n(&self) -> usize {
        self.n
    }

    fn value(&self, x: &[f64]) -> f64 {
        x.iter().map(|x| x.cos()).sum()
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        out.iter_mut().zip(x).for_each(|(out, x)| *out = -x.sin());
    }

    fn product(&self, x: &[f64], v: &[f64], out: &mut [f64]) {
        out.iter_mut().zip(x).zip(v).for_each(|((out, x), v)| *out = -x.cos() * v);
    }

    fn bounds(&self) -> Option<Bounds> {
        Some(Bounds { lower: vec![0.0; self.n], upper: vec![TAU; self.n] })
    }

    /// The 2^n critical points are listed up to n = 10.
    fn known(&self) -> Answers {
        let n = self.n;
        let point = |at_zero: u32| {
            let x = (0..n).map(|i| if at_zero >> i & 1 == 1 { 0.0 } else { PI }).collect();
            let index = at_zero.count_ones() as usize;
            CriticalPoint { x, value: 2.0 * index as f64 - n as f64, index }
        };
        let critical = if n <= 10 { (0..1 << n).map(point).collect() } else { Vec::new() };
        Answers { critical, bars: vec![(-(n as f64), f64::INFINITY)] }
    }

    fn symmetries(&self) -> Vec<Symmetry> {
        vec![Symmetry { kind: SymmetryKind::Period(TAU), blocks: (0..self.n as u64).map(|i| vec![i]).collect() }]
    }

    fn options(&self) -> String {
        format!("n = {}\n", self.n)
    }
}
