//! A function along a line, and whether its slope at the base point is zero.
//!
//! What comes in are values at the base and on both sides of it, at steps that fall by a factor of three. Differences
//! over large steps are spoilt by curvature, over small ones by rounding; the best lie between, and how far off they
//! may be is told by their own changes from step to step (Ridders 1982) and by the rounding that fourth differences over
//! a short stretch show (Hamming; Moré and Wild, "Estimating computational noise", 2011). Where a tested derivative has
//! been subtracted from the function, a slope that is not zero within that is a wrong derivative.

/// Each step is the one before it divided by this.
const FALL: f64 = 3.0;
/// A slope may be off by this many times its estimated error. Both estimates are on the safe side already, the one of
/// curvature by 2 to 8, the one of rounding by 2.
const SAFETY: f64 = 4.0;

/// Values of a function on both sides of a base point.
pub struct Line {
    /// From the longest to the shortest.
    pub steps: Vec<f64>,
    pub base: f64,
    /// At the base plus each step; NaN where there is no value.
    pub right: Vec<f64>,
    /// At the base minus each step.
    pub left: Vec<f64>,
}

/// What can be said about the slope at the base.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Slope {
    /// It is zero as far as differences tell, which is up to this.
    Zero { within: f64 },
    /// It is this and no less, up to an error.
    Some { value: f64, error: f64, step: f64 },
    /// The two sides have different slopes.
    Kink,
    /// Too few of the values are numbers.
    Unknown,
}

/// The steps of a line: from 0.3 `size` down to where rounding of a number of that size leaves a few digits.
pub fn steps(size: f64, epsilon: f64) -> Vec<f64> {
    let longest = 0.3 * size;
    let shortest = size * epsilon.powf(0.55);
    std::iter::successors(Some(longest), |step| Some(step / FALL)).take_while(|&step| step >= shortest).collect()
}

/// The offsets at which [`noise`] wants its values: so near to each other that fourth differences of a smooth function
/// vanish beside rounding, and few kinks lie between them; many roundings of the argument apart all the same.
pub fn stretch(size: f64, epsilon: f64) -> [f64; 9] {
    std::array::from_fn(|i| (i + 1) as f64 * size * epsilon.powf(0.45))
}

/// The rounding in values taken at equal distances: the root mean square of one of them. `None` if one is no number.
pub fn noise(values: &[f64]) -> Option<f64> {
    let mut differences = values.to_vec();
    for _ in 0..4 {
        differences = differences.windows(2).map(|pair| pair[1] - pair[0]).collect();
    }
    // The fourth difference of independent errors has 1 + 16 + 36 + 16 + 1 = 70 times their variance.
    let mean = differences.iter().map(|d| d * d).sum::<f64>() / (70 * differences.len()) as f64;
    (values.len() > 4 && mean.is_finite()).then(|| mean.sqrt())
}

/// A difference quotient at one step, and how far it may be off.
#[derive(Clone, Copy)]
struct Estimate {
    value: f64,
    error: f64,
    step: f64,
}

impl Line {
    /// Judges the slope. Values are off by `noise`, and a slope up to `allowance` counts as zero. The slope of a function
    /// that is not `smooth` is taken from each side by itself.
    pub fn slope(&self, noise: f64, allowance: f64, smooth: bool) -> Slope {
        let sides = self.steps.iter().zip(self.right.iter().zip(&self.left));
        let zero = |within| Slope::Zero { within };
        if smooth {
            let quotients: Vec<f64> = sides.map(|(h, (right, left))| (right - left) / (2.0 * h)).collect();
            let all = self.estimates(&quotients, noise, FALL * FALL);
            let Some(best) = best(&all) else { return Slope::Unknown };
            let within = SAFETY * best.error + allowance;
            return match best.value.abs() <= within || is_refuted(&all, best) {
                true => zero(within),
                false => Slope::Some { value: best.value, error: within, step: best.step },
            };
        }
        let quotients: Vec<f64> =
            self.steps.iter().zip(&self.right).map(|(h, right)| (right - self.base) / h).collect();
        let rights = self.estimates(&quotients, noise, FALL);
        let quotients: Vec<f64> = self.steps.iter().zip(&self.left).map(|(h, left)| (self.base - left) / h).collect();
        let lefts = self.estimates(&quotients, noise, FALL);
        let (Some(right), Some(left)) = (best(&rights), best(&lefts)) else { return Slope::Unknown };
        let within = SAFETY * (right.error + left.error) + allowance;
        let value = (right.value + left.value) / 2.0;
        if (right.value - left.value).abs() > within {
            Slope::Kink
        } else if value.abs() <= within || is_refuted(&rights, right) || is_refuted(&lefts, left) {
            zero(within)
        } else {
            Slope::Some { value, error: within, step: right.step.min(left.step) }
        }
    }

    /// The power of the step as which the difference of the two sides falls, around a step: 1 along a slope, 3 where
    /// there is none. (The function itself moves by the square, but on both sides alike.)
    pub fn order(&self, step: f64) -> f64 {
        let at = self.steps.iter().position(|&h| h <= step).unwrap_or(0).max(2);
        let moved = |k: usize| (self.right[k] - self.left[k]).abs();
        if at < self.steps.len() { (moved(at - 2) / moved(at)).ln() / (FALL * FALL).ln() } else { f64::NAN }
    }

    /// From difference quotients, whose error falls by `order` from step to step once steps are short.
    fn estimates(&self, quotients: &[f64], noise: f64, order: f64) -> Vec<Estimate> {
        let estimate = |k: usize| {
            let (step, value) = (self.steps[k], quotients[k]);
            let [last, before] = [k, k - 1].map(|k| (quotients[k] - quotients[k - 1]).abs());
            // Two changes, since one may vanish by chance.
            Estimate { value, error: last.max(before / order) + 3.0 * noise / step, step }
        };
        let finite = |k: &usize| quotients[k - 2..=*k].iter().all(|q| q.is_finite());
        (2..quotients.len()).filter(finite).map(estimate).collect()
    }
}

fn best(estimates: &[Estimate]) -> Option<Estimate> {
    estimates.iter().copied().min_by(|a, b| a.error.total_cmp(&b.error))
}

/// True if shorter steps show that the slope is less than half of an estimate: what looked settled was the slope of
/// something larger, with ripples on it.
fn is_refuted(all: &[Estimate], found: Estimate) -> bool {
    let shorter = all.iter().filter(|other| other.step < found.step);
    shorter.into_iter().any(|other| other.value.abs() + SAFETY * other.error < found.value.abs() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(f: impl Fn(f64) -> f64) -> Line {
        let steps = steps(1.0, f64::EPSILON);
        let [right, left] = [1.0, -1.0].map(|side| steps.iter().map(|h| f(side * h)).collect());
        Line { base: f(0.0), steps, right, left }
    }

    fn slope(smooth: bool, f: impl Fn(f64) -> f64) -> Slope {
        line(f).slope(f64::EPSILON, 0.0, smooth)
    }

    fn is_zero(slope: Slope) -> bool {
        matches!(slope, Slope::Zero { within } if within < 1e-5)
    }

    #[test]
    fn a_slope_is_found_behind_curvature() {
        for smooth in [true, false] {
            assert!(is_zero(slope(smooth, |x| 1.0 + x * x + x.powi(3))));
            assert!(is_zero(slope(smooth, |x| (1.0 + x).exp() - 1_f64.exp() * x)));
            let Slope::Some { value, error, .. } = slope(smooth, |x| x.cos() + 1e-4 * x) else { panic!() };
            assert!((value - 1e-4).abs() <= error && error < 3e-6, "{value} {error}");
        }
        // The third derivative is 1e9: the best step is a thousandth of what it usually is.
        assert!(is_zero(slope(true, |x| (1e3 * x).sin() - 1e3 * x)));
        assert!(matches!(slope(true, |x| (1e3 * x).sin()), Slope::Some { .. }));
    }

    #[test]
    fn kinks_are_told_from_slopes() {
        assert_eq!(slope(false, f64::abs), Slope::Kink);
        assert_eq!(slope(false, |x| x.max(0.0)), Slope::Kink);
        // A kink nearby is no kink here, and hides nothing.
        assert!(is_zero(slope(false, |x| (x - 1e-4).abs() + x)));
        assert!(matches!(slope(false, |x| (x - 1e-4).abs()), Slope::Some { value, .. } if (value + 1.0).abs() < 1e-6));
    }

    #[test]
    fn ripples_shorter_than_the_long_steps_are_seen() {
        let ripple = |x: f64| 1e-4 * (x / 1e-4).sin();
        assert!(is_zero(slope(true, |x| ripple(x) - x)));
        assert!(matches!(slope(true, ripple), Slope::Some { value, .. } if (value - 1.0).abs() < 1e-4));
    }

    #[test]
    fn noise_is_measured_and_no_slope_is_made_of_it() {
        // As good as random, uniform in +- 1e-6, of root mean square 0.6e-6.
        let rough =
            |x: f64| 1e-6 * ((x.to_bits().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64 / 2_f64.powi(23) - 1.0);
        let values = stretch(1.0, f64::EPSILON).map(|x| 1.0 + x + 5.0 * x * x + rough(x));
        let measured = noise(&values).unwrap();
        assert!((1e-7..3e-6).contains(&measured), "{measured}");
        let rough = line(|x| x * x + rough(x));
        assert!(matches!(rough.slope(measured, 0.0, true), Slope::Zero { within } if within < 0.1));
        assert_eq!(noise(&[1.0, f64::NAN, 1.0, 1.0, 1.0]), None);
        assert!(noise(&values.map(|x| x - rough.base)).is_some());
    }

    #[test]
    fn the_order_of_a_remainder_is_one_along_a_slope_and_three_without() {
        assert!((line(|x| x * x + x.powi(3)).order(1e-3) - 3.0).abs() < 1e-6);
        assert!((line(|x| x * x + x).order(1e-6) - 1.0).abs() < 1e-3);
    }

    #[test]
    fn where_there_are_no_numbers_nothing_is_said() {
        assert_eq!(slope(true, |_| f64::NAN), Slope::Unknown);
        // Long steps may leave the domain.
        assert!(is_zero(slope(true, |x| if x.abs() > 0.05 { f64::NAN } else { x * x })));
    }
}
