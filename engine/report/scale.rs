//! Axes: where a value lies on the paper, and which values are worth a tick.

use super::number::{minus, power, short};

/// A monotone map from values to a stretch of the paper.
#[derive(Clone, Debug)]
pub struct Scale {
    spacing: Spacing,
    /// The ends of the axis on the paper; `to` may lie before `from`.
    from: f64,
    to: f64,
}

#[derive(Clone, Debug)]
enum Spacing {
    Linear(f64, f64),
    /// Of whole decades.
    Log(i32, i32),
    /// Values in their order, equally far apart: for what no measure can show.
    Rank(Vec<f64>),
}

impl Scale {
    /// An axis for these values: logarithmic where all are clearly positive and two decades or more apart.
    pub fn of(values: &[f64], from: f64, to: f64) -> Scale {
        let (low, high) = range(values);
        // What is so far below the greatest is a zero with rounding errors.
        if low > 1e-12 * high && high / low > 200.0 {
            Scale::log(values, from, to)
        } else {
            Scale::linear(low, high, from, to)
        }
    }

    /// An even axis with a little room at both ends.
    pub fn linear(low: f64, high: f64, from: f64, to: f64) -> Scale {
        let room = if high > low { 0.04 * (high - low) } else { 0.0 };
        // Equal values, or so near that the axis would count units in the last place.
        let least = 1e-12 * low.abs().max(high.abs());
        let room = if room > least {
            room
        } else if low == 0.0 {
            1.0
        } else {
            0.1 * low.abs()
        };
        Scale { spacing: Spacing::Linear(low - room, high + room), from, to }
    }

    /// Exactly these ends.
    pub fn window(low: f64, high: f64, from: f64, to: f64) -> Scale {
        Scale { spacing: Spacing::Linear(low, high), from, to }
    }

    /// A logarithmic axis of whole decades round the positive ones among the values.
    pub fn log(values: &[f64], from: f64, to: f64) -> Scale {
        let positive: Vec<f64> = values.iter().copied().filter(|x| *x > 0.0).collect();
        let (low, high) = if positive.is_empty() { (1.0, 1.0) } else { range(&positive) };
        let (low, high) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        Scale { spacing: Spacing::Log(low, high.max(low + 1)), from, to }
    }

    /// Values in their order, equally far apart.
    pub fn rank(values: &[f64], from: f64, to: f64) -> Scale {
        let mut values: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        Scale { spacing: Spacing::Rank(values), from, to }
    }

    /// Where a value lies, kept on the axis; always finite.
    pub fn at(&self, value: f64) -> f64 {
        let share = match &self.spacing {
            Spacing::Linear(low, high) => (value - low) / (high - low),
            Spacing::Log(low, high) => (value.log10() - f64::from(*low)) / f64::from(high - low),
            Spacing::Rank(values) => {
                // Half a step of room at both ends.
                (values.partition_point(|x| *x < value) as f64 + 0.5) / values.len().max(1) as f64
            }
        };
        // NaN comes of values that are none or, on a logarithmic axis, negative.
        let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
        self.from + share * (self.to - self.from)
    }

    /// True for a logarithmic axis.
    pub fn is_log(&self) -> bool {
        matches!(self.spacing, Spacing::Log(..))
    }

    /// Up to about `most` round values with their labels.
    pub fn ticks(&self, most: usize) -> Vec<(f64, String)> {
        let most = most.max(2);
        match &self.spacing {
            Spacing::Linear(low, high) => linear_ticks(*low, *high, most),
            Spacing::Log(low, high) => {
                let every = ((high - low) as usize).div_ceil(most).max(1);
                (*low..=*high).step_by(every).map(|e| (10f64.powi(e), power(e))).collect()
            }
            Spacing::Rank(values) => {
                let every = values.len().div_ceil(most).max(1);
                let chosen: Vec<f64> = values.iter().copied().step_by(every).collect();
                let labels = super::number::column(&chosen, 4);
                chosen.into_iter().zip(labels).collect()
            }
        }
    }
}

/// The least and the greatest of the finite values; (0, 1) when there are none.
pub fn range(values: &[f64]) -> (f64, f64) {
    let finite = || values.iter().copied().filter(|x| x.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    if low <= high { (low, high) } else { (0.0, 1.0) }
}

fn linear_ticks(low: f64, high: f64, most: usize) -> Vec<(f64, String)> {
    let rough = (high - low) / most as f64;
    if !(rough.is_finite() && rough > 0.0) {
        return Vec::new();
    }
    let decade = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|k| k * decade).into_iter().find(|step| *step >= 0.8 * rough).unwrap_or(rough);
    let decimals = (-step.log10() + 1e-9).ceil().max(0.0) as usize;
    let largest = low.abs().max(high.abs());
    let (first, last) = ((low / step).ceil(), (high / step).floor());
    // More than 2^53 steps from zero a step is below the last place of the values.
    let n = if last.abs().max(first.abs()) < 1e15 { (last - first).max(-1.0) as i64 } else { -1 };
    (0..=n)
        .map(|i| {
            let value = (first + i as f64) * step;
            // Small values far from zero keep their decimals, small values near it get a power of ten.
            let decimal = largest < 1e5 && (decimals <= 4 || largest >= 1e-2);
            let label = match decimal {
                _ if value == 0.0 => "0".to_owned(),
                true => minus(format!("{value:.decimals$}")),
                false => trimmed(short(value)),
            };
            (value, label)
        })
        .collect()
}

/// `5×10⁻⁶` for `5.00×10⁻⁶`.
fn trimmed(label: String) -> String {
    match label.split_once('×') {
        Some((mantissa, power)) if mantissa.contains('.') => {
            format!("{}×{power}", mantissa.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => label,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let labels = |scale: Scale, n| -> Vec<String> { scale.ticks(n).into_iter().map(|t| t.1).collect() };
        assert_eq!(labels(Scale::linear(-146.7, -40.7, 0.0, 1.0), 6), ["−140", "−120", "−100", "−80", "−60", "−40"]);
        assert_eq!(labels(Scale::log(&[3e-7, 2e-3], 0.0, 1.0), 9), ["10⁻⁷", "10⁻⁶", "10⁻⁵", "10⁻⁴", "10⁻³", "10⁻²"]);
        assert_eq!(labels(Scale::window(0.0, 1.1e-5, 0.0, 1.0), 3), ["0", "5×10⁻⁶", "1×10⁻⁵"]);
    }

    #[test]
    fn every_value_lies_on_the_paper() {
        let odd = [f64::NAN, f64::INFINITY, -f64::INFINITY, 0.0, -1.0, 1e308, 5e-324];
        let axes: [&[f64]; 5] = [&[], &[0.0], &[2.0, 2.0], &[1e-300, 1e300], &[-1e308, 1e308]];
        for values in axes {
            for scale in
                [Scale::of(values, 10.0, 20.0), Scale::log(values, 10.0, 20.0), Scale::rank(values, 10.0, 20.0)]
            {
                assert!(odd.iter().all(|x| (10.0..=20.0).contains(&scale.at(*x))), "{scale:?}");
                assert!(scale.ticks(6).len() <= 12, "{scale:?}");
            }
        }
    }
}
