//! TO-scores: norms of the finite bars, all of them distances from the ideal barcode, one half-line.
//!
//! The definitions are ours (the paper's formula could not be read): see docs/mathematics.md#the-score.

use super::Barcode;
use serde::{Deserialize, Serialize};

/// The TO-score of one degree. `mean` is the headline number; it compares only at equal numbers of minima, recipe
/// and budget.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The degree whose bars are scored.
    pub degree: u32,
    /// m, the number of finite bars that count: all but those of way-stations, whose deaths nobody refined. Of a search
    /// that joined everything this is the number of sampled minima less one.
    pub bars: u64,
    /// How many of them have no length beyond the noise, which count as 0; those of a sampled function are not counted.
    #[serde(default)]
    pub zero: u64,
    /// (1/m) sum of lengths; 0 without finite bars.
    pub mean: f64,
    /// The sum of lengths.
    pub total: f64,
    /// The largest length.
    pub max: f64,
    /// max / 2: the bottleneck distance to the ideal barcode.
    pub bottleneck: f64,
    /// (sum (l/2)^q)^(1/q) for q = 1: the Wasserstein distance with the sup ground metric, half-lines matched.
    pub wasserstein_1: f64,
    /// (sum (l/2)^2)^(1/2): the Wasserstein distance of order 2 to the ideal barcode.
    pub wasserstein_2: f64,
    /// Finite bars that are below noise or whose birth has not converged.
    pub doubtful: u64,
    /// The score without them, when there are any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub without_doubtful: Option<Box<Score>>,
}

impl Score {
    /// The score of the bars of one degree. Superlevel bars count by the absolute value of their length.
    pub fn of(barcode: &Barcode, degree: u32) -> Score {
        let finite = || barcode.counted(degree).filter(|bar| bar.length().is_some());
        let all = lengths(barcode, degree);
        let sure: Vec<f64> =
            finite().filter(|bar| !bar.is_doubtful()).filter_map(|bar| Some(bar.length()?.abs())).collect();
        // What has no length is below any noise.
        let zero = (finite().count() - all.len()) as u64 + if degree == 0 { barcode.zero } else { 0 };
        let mut score = Score::of_lengths(&all, degree, zero);
        score.doubtful = score.bars - sure.len() as u64;
        score.without_doubtful = (score.doubtful > 0).then(|| Box::new(Score::of_lengths(&sure, degree, 0)));
        score
    }

    /// `(sum (l/2)^q)^(1/q)` over the finite bars of one degree that count; `None` unless q is in [1, inf].
    pub fn wasserstein(barcode: &Barcode, degree: u32, q: f64) -> Option<f64> {
        let lengths = lengths(barcode, degree);
        let max = lengths.iter().copied().fold(0.0, f64::max);
        match q {
            q if q == f64::INFINITY || (q >= 1.0 && max == 0.0) => Some(max / 2.0),
            // Scaled by the largest, so that powers neither overflow nor vanish.
            q if q >= 1.0 => Some(max / 2.0 * lengths.iter().map(|l| (l / max).powf(q)).sum::<f64>().powf(1.0 / q)),
            _ => None,
        }
    }

    /// That of some lengths and `zero` more that are 0.
    fn of_lengths(lengths: &[f64], degree: u32, zero: u64) -> Score {
        let bars = lengths.len() as u64 + zero;
        // The sum of none is -0.
        let total = lengths.iter().fold(0.0, |sum, length| sum + length);
        let max = lengths.iter().copied().fold(0.0, f64::max);
        Score {
            degree,
            bars,
            zero,
            mean: if bars == 0 { 0.0 } else { total / bars as f64 },
            total,
            max,
            bottleneck: max / 2.0,
            wasserstein_1: total / 2.0,
            // Scaled by the largest, so that squares neither overflow nor vanish.
            wasserstein_2: if max == 0.0 {
                0.0
            } else {
                max / 2.0 * lengths.iter().map(|l| (l / max).powi(2)).sum::<f64>().sqrt()
            },
            doubtful: 0,
            without_doubtful: None,
        }
    }
}

/// The lengths of the finite bars of one degree that count, but for those below the noise.
fn lengths(barcode: &Barcode, degree: u32) -> Vec<f64> {
    let beyond = barcode.counted(degree).filter(|bar| !bar.is_below_noise());
    beyond.filter_map(|bar| Some(bar.length()?.abs())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pass::PassKind;
    use crate::persistence::{Bar, Death, DeathAt, Top};

    #[test]
    fn the_distance_of_order_q_is_that_of_the_score_where_both_are_defined() {
        let bar = |length: Option<f64>| Bar {
            degree: 0,
            birth: 1.0,
            birth_cell: 0,
            end: length.map(|length| Death { value: 1.0 + length, cell: 1, elder: None, at: DeathAt::Cell }),
            searched: None,
            cycle: Vec::new(),
        };
        let barcode = Barcode { bars: [None, Some(3.0), Some(4.0)].map(bar).to_vec(), cells: Vec::new(), zero: 0 };
        let (score, of) = (Score::of(&barcode, 0), |q| Score::wasserstein(&barcode, 0, q));
        assert_eq!((of(1.0), of(2.0), of(f64::INFINITY)), (Some(3.5), Some(2.5), Some(2.0)));
        assert_eq!((score.wasserstein_1, score.wasserstein_2, score.bottleneck), (3.5, 2.5, 2.0));
        assert_eq!((of(0.5), of(f64::NAN)), (None, None));
        assert_eq!(Score::wasserstein(&barcode, 1, 2.0), Some(0.0));
    }

    #[test]
    fn bars_of_no_length_count_for_the_mean_alone() {
        let bar = Bar {
            degree: 0,
            birth: 1.0,
            birth_cell: 0,
            end: Some(Death { value: 4.0, cell: 1, elder: None, at: DeathAt::Cell }),
            searched: None,
            cycle: Vec::new(),
        };
        let of = |zero| Score::of(&Barcode { bars: vec![bar.clone()], cells: Vec::new(), zero }, 0);
        let (without, with) = (of(0), of(2));
        assert_eq!((without.bars, without.mean, without.zero, without.doubtful), (1, 3.0, 0, 0));
        assert_eq!((with.bars, with.mean, with.zero, with.doubtful), (3, 1.0, 2, 2));
        assert_eq!((with.total, with.max, with.wasserstein_2), (without.total, without.max, without.wasserstein_2));
        let sure = with.without_doubtful.unwrap();
        assert_eq!((sure.bars, sure.mean), (1, 3.0));
    }

    #[test]
    fn a_bar_below_the_noise_has_no_length() {
        let bar = |below_noise| {
            let top = Top { path: Some(0), error: 0.0, kind: PassKind::PathMaximum, below_noise };
            let end = Some(Death { value: 1.0 + 4e-16, cell: 1, elder: None, at: DeathAt::Top(top) });
            Bar { degree: 0, birth: 1.0, birth_cell: 0, end, searched: None, cycle: Vec::new() }
        };
        let of = |bars: &[Bar]| Score::of(&Barcode { bars: bars.to_vec(), cells: Vec::new(), zero: 0 }, 0);
        let one = of(&[bar(true)]);
        assert_eq!((one.bars, one.zero, one.doubtful), (1, 1, 1));
        let numbers = |score: &Score| {
            let Score { mean, total, max, bottleneck, wasserstein_1, wasserstein_2, .. } = *score;
            [mean, total, max, bottleneck, wasserstein_1, wasserstein_2].map(f64::to_bits)
        };
        assert_eq!(numbers(&one), [0; 6]); // And none of them is -0.
        assert_eq!(numbers(&of(&[])), [0; 6]);
        assert!(of(&[bar(false), bar(true)]).mean > 0.0);
    }
}
