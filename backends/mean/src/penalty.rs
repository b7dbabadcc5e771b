//! What is laid on top of a mean: squares, and absolute values, whose corners may be bent as a network's kinks are.

use crate::real::Real;
use crate::row::Row;
use crate::sums::{absolute_sum, add_scaled, add_signs, is_finite, square_norm};
use mountainpass_sdk::abi::status;
use std::ops::Range;

/// `l2 / 2` times the sum of squares over some parts of theta, and `l1` times the sum of absolute values.
#[derive(Clone)]
pub(crate) struct Penalty {
    pub l2: f64,
    pub l1: f64,
    pub ranges: Vec<Range<usize>>,
    pub corners: Corners,
}

/// What becomes of |x|.
#[derive(Clone)]
pub(crate) enum Corners {
    /// It stays.
    Sharp,
    /// -x + 2 w log(1 + exp(x / w)) of this width.
    Smoothed(f64),
    /// t x at these places of theta, by place; elsewhere the side of x.
    Linear(Vec<(usize, f64)>),
}

impl Penalty {
    /// The places of theta whose absolute values count: each is a kink.
    pub fn places(&self) -> impl Iterator<Item = usize> + '_ {
        self.ranges.iter().filter(|_| self.l1 > 0.0).cloned().flatten()
    }

    /// The penalty at theta.
    pub fn at<T: Real>(&self, theta: &[T]) -> f64 {
        let of = |range: &Range<usize>| {
            let part = &theta[range.clone()];
            let absolute = match self.corners {
                _ if self.l1 <= 0.0 => 0.0,
                Corners::Sharp => absolute_sum(part),
                _ => range.clone().map(|i| self.bent_size(i, theta[i].to_f64()).value).sum(),
            };
            0.5 * self.l2 * square_norm(part) + self.l1 * absolute
        };
        self.ranges.iter().map(of).sum()
    }

    /// Makes losses of sums over `n` samples, penalties included.
    pub fn finish_all<T: Real>(&self, rows: &mut [Row<'_, T>], n: usize) {
        let scale = 1.0 / n as f64;
        rows.iter_mut().for_each(|row| self.finish(row, *row.loss * scale));
    }

    /// Adds the penalty to a row, and flags it if anything is not finite.
    pub fn finish<T: Real>(&self, row: &mut Row<'_, T>, mean: f64) {
        *row.loss = mean + self.at(row.theta);
        let mut finite = row.loss.is_finite() && is_finite(row.theta);
        if let Some(grad) = &mut row.grad {
            add_scaled(grad, self.l2, row.theta, &self.ranges);
            match self.corners {
                Corners::Sharp if self.l1 > 0.0 => add_signs(grad, self.l1, row.theta, &self.ranges),
                Corners::Sharp => {}
                _ => self.places().for_each(|i| {
                    grad[i] += T::from_f64(self.l1 * self.bent_size(i, row.theta[i].to_f64()).slope);
                }),
            }
            finite &= is_finite(grad);
        }
        if let Some((dir, hvp)) = &mut row.hvp {
            add_scaled(hvp, self.l2, dir, &self.ranges);
            if let Corners::Smoothed(_) = self.corners {
                self.places().for_each(|i| {
                    let curvature = self.bent_size(i, row.theta[i].to_f64()).curvature;
                    hvp[i] += T::from_f64(self.l1 * curvature * dir[i].to_f64());
                });
            }
            finite &= is_finite(hvp);
        }
        *row.status = if finite { status::OK } else { status::NUMERIC };
    }

    /// What stands for |x| at a place of theta.
    fn bent_size(&self, place: usize, x: f64) -> Bent {
        match &self.corners {
            Corners::Smoothed(width) => {
                let slope = (0.5 * x / width).tanh();
                let value = x.abs() + 2.0 * width * (-x.abs() / width).exp().ln_1p();
                Bent { value, slope, curvature: 0.5 * (1.0 - slope * slope) / width }
            }
            Corners::Linear(slopes) => {
                let own = if x > 0.0 { 1.0 } else { -1.0 };
                let given = slopes.binary_search_by_key(&place, |(place, _)| *place);
                let slope = given.map_or(own, |k| slopes[k].1);
                Bent { value: slope * x, slope, curvature: 0.0 }
            }
            Corners::Sharp => Bent { value: x.abs(), slope: 0.0, curvature: 0.0 },
        }
    }
}

/// A function of one number with its derivatives.
struct Bent {
    value: f64,
    slope: f64,
    curvature: f64,
}
