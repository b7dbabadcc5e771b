//! Softmax of the rows of an array and its logarithm: one of them, or both, which look at the same powers.

use super::reduce::{ABREAST, NARROW, sum, sums, turn};
use crate::real::{Real, vectorised};

/// What is computed of rows of `n`: logarithms are written first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Softmax {
    pub n: usize,
    pub log: bool,
    pub plain: bool,
}

/// Rows side by side: loops run along the rows.
struct Columns<T> {
    x: [[T; ABREAST]; NARROW],
    powers: [[T; ABREAST]; NARROW],
}

impl Softmax {
    /// Whether both together cost less than each alone.
    pub(crate) fn is_narrow(n: usize) -> bool {
        n <= NARROW
    }

    /// Writes what is asked for to `out`, each as long as `x`.
    pub(crate) fn run<T: Real>(&self, x: &[T], out: &mut [Vec<T>]) {
        let mut out = out.iter_mut().map(|out| &mut out[..x.len()]);
        let mut next = |asked: bool| if asked { out.next() } else { None }.unwrap_or_default();
        let (logs, shares) = (next(self.log), next(self.plain));
        vectorised(
            #[inline(always)]
            || self.all(x, logs, shares),
        );
    }

    #[inline(always)]
    fn all<T: Real>(&self, x: &[T], logs: &mut [T], shares: &mut [T]) {
        let n = self.n;
        let narrow = if Softmax::is_narrow(n) { x.len() - x.len() % (ABREAST * n) } else { 0 };
        let mut columns = Columns { x: [[T::ZERO; ABREAST]; NARROW], powers: [[T::ZERO; ABREAST]; NARROW] };
        for first in (0..narrow).step_by(ABREAST * n) {
            let rows = first..first + ABREAST * n;
            let [logs, shares] = [&mut *logs, &mut *shares].map(|out| out.get_mut(rows.clone()).unwrap_or_default());
            self.abreast(&x[rows], logs, shares, &mut columns);
        }
        for first in (narrow..x.len()).step_by(n) {
            let row = first..first + n;
            let [logs, shares] = [&mut *logs, &mut *shares].map(|out| out.get_mut(row.clone()).unwrap_or_default());
            self.one(&x[row], logs, shares);
        }
    }

    #[inline(always)]
    fn one<T: Real>(&self, x: &[T], logs: &mut [T], shares: &mut [T]) {
        let mut top = x[0];
        x.iter().for_each(|x| top = if *x > top { *x } else { top });
        let powers = if self.plain { &mut *shares } else { &mut *logs };
        powers.iter_mut().zip(x).for_each(
            #[inline(always)]
            |(power, x)| *power = (*x - top).exp_pair().1,
        );
        let total = sum(powers);
        if self.plain {
            let scale = T::ONE / total;
            shares.iter_mut().for_each(|share| *share *= scale);
        }
        if self.log {
            let shift = total.log();
            logs.iter_mut().zip(x).for_each(|(log, x)| *log = *x - top - shift);
        }
    }

    /// The same of rows side by side, with the same bits.
    #[inline(always)]
    fn abreast<T: Real>(&self, x: &[T], logs: &mut [T], shares: &mut [T], columns: &mut Columns<T>) {
        let n = self.n;
        turn(x, n, &mut columns.x);
        let (x, powers) = (&mut columns.x[..n], &mut columns.powers[..n]);
        let mut top = x[0];
        for column in &x[1..] {
            top.iter_mut().zip(column).for_each(|(top, x)| *top = if *x > *top { *x } else { *top });
        }
        for (power, x) in powers.iter_mut().zip(&mut *x) {
            for ((power, x), top) in power.iter_mut().zip(x).zip(top) {
                *x = *x - top;
                *power = x.exp_pair().1;
            }
        }
        let total = sums(powers);
        if self.log {
            let mut shift = total;
            shift.iter_mut().for_each(|shift| *shift = shift.log());
            x.iter_mut().for_each(|x| x.iter_mut().zip(shift).for_each(|(x, shift)| *x = *x - shift));
            turn_back(x, logs);
        }
        if self.plain {
            let mut scale = total;
            scale.iter_mut().for_each(|scale| *scale = T::ONE / *scale);
            powers.iter_mut().for_each(|power| power.iter_mut().zip(scale).for_each(|(power, scale)| *power *= scale));
            turn_back(powers, shares);
        }
    }
}

/// Columns become rows.
#[inline(always)]
fn turn_back<T: Real>(columns: &[[T; ABREAST]], rows: &mut [T]) {
    for (r, row) in rows.chunks_exact_mut(columns.len()).enumerate() {
        row.iter_mut().zip(columns).for_each(|(x, column)| *x = column[r]);
    }
}
