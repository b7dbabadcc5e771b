//! When a prediction is right: the one definition, whoever computes the outputs. Nothing that is not finite is right.

/// How the predictions of a problem are judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Judge {
    /// Rows of so many scores, each against a label.
    Largest {
        /// How many scores a sample has.
        classes: usize,
    },
    /// Numbers, each against a target from 0 to 1; this one lies between the two sides.
    Side {
        /// What lies above it is true.
        threshold: f64,
    },
}

/// Whether the largest of some scores, the first of equals, is that of the label, and finite. A class may be ruled out by a
/// score of -inf, as masks do; NaN and inf say nothing of the others.
pub fn is_largest(scores: impl Iterator<Item = f64>, label: usize) -> bool {
    let mut best: Option<(usize, f64)> = None;
    for (class, score) in scores.enumerate() {
        if score.is_nan() || score == f64::INFINITY {
            return false;
        }
        if score > best.map_or(f64::NEG_INFINITY, |(_, largest)| largest) {
            best = Some((class, score));
        }
    }
    best.is_some_and(|(class, _)| class == label)
}

/// Whether a finite number lies on that side of the threshold on which the target lies of 1/2; both thresholds belong to
/// the lower side.
pub fn is_on_side(number: f64, threshold: f64, target: f64) -> bool {
    number.is_finite() && (number > threshold) == (target > 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_scores_the_first_is_the_answer() {
        for (scores, first) in [(&[1.0, 1.0, 0.0][..], 0), (&[0.0, 2.0, 2.0], 1), (&[-0.0, 0.0], 0)] {
            let right = (0..scores.len()).filter(|label| is_largest(scores.iter().copied(), *label));
            assert_eq!(right.collect::<Vec<usize>>(), [first]);
        }
        assert!(!is_largest(std::iter::empty(), 0));
    }

    #[test]
    fn nothing_that_is_not_finite_is_right() {
        for strange in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for (place, label) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let mut scores = [0.5, 0.25];
                scores[place] = strange;
                let is_ruled_out = strange == f64::NEG_INFINITY && place != label;
                assert_eq!(is_largest(scores.into_iter(), label), is_ruled_out, "{scores:?} {label}");
            }
            assert!(!is_largest([strange; 2].into_iter(), 0));
            assert!(!is_on_side(strange, 0.0, 0.0) && !is_on_side(strange, 0.0, 1.0));
        }
        assert!(is_on_side(0.1, 0.0, 1.0) && is_on_side(0.0, 0.0, 0.5) && !is_on_side(0.1, 0.5, 1.0));
    }
}
