//! TO-scores: norms of the finite bars, all of them distances from the ideal barcode, one half-line.
//!
//! The definitions are ours (the paper's formula could not be read): see ARCHITECTURE.md.

use super::Barcode;
use serde::{Deserialize, Serialize};

/// The TO-score of one degree. `mean` is the headline number; it compares only at equal numbers of minima, recipe
/// and budget.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    pub degree: u32,
    /// The number of finite bars that count: all but those of way-stations, whose deaths nobody refined.
    pub bars: u64,
    /// (1/m) sum of lengths; 0 without finite bars.
    pub mean: f64,
    pub total: f64,
    pub max: f64,
    /// max / 2: the bottleneck distance to the ideal barcode.
    pub bottleneck: f64,
    /// (sum (l/2)^q)^(1/q) for q = 1: the Wasserstein distance with the sup ground metric, half-lines matched.
    pub wasserstein_1: f64,
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
        let finite = || barcode.counted(degree).filter_map(|bar| Some((bar, bar.length()?.abs())));
        let doubtful = |bar: &super::Bar| bar.below_noise == Some(true) || bar.unconverged == Some(true);
        let all: Vec<f64> = finite().map(|(_, length)| length).collect();
        let sure: Vec<f64> = finite().filter(|(bar, _)| !doubtful(bar)).map(|(_, length)| length).collect();
        let mut score = Score::of_lengths(&all, degree);
        score.doubtful = (all.len() - sure.len()) as u64;
        score.without_doubtful = (score.doubtful > 0).then(|| Box::new(Score::of_lengths(&sure, degree)));
        score
    }

    fn of_lengths(lengths: &[f64], degree: u32) -> Score {
        let total: f64 = lengths.iter().sum();
        let max = lengths.iter().copied().fold(0.0, f64::max);
        Score {
            degree,
            bars: lengths.len() as u64,
            mean: if lengths.is_empty() { 0.0 } else { total / lengths.len() as f64 },
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
