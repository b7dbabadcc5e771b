//! What is kept beside the loss of a point: what a number is and of which data, with the word that files have for it.

use crate::loss::Split;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The parts of the data, and their words.
pub const PARTS: [(Split, &str); 2] = [(Split::Train, "train"), (Split::Test, "test")];

/// Those that are no metric of the loss, and their words.
const BESIDE: [(Metric, &str); 3] = [
    (Metric::LossBefore, "loss before polishing"),
    (Metric::GradientBefore, "gradient norm before polishing"),
    (Metric::OwnStatistics, "loss with own statistics"),
];

/// What a number beside the loss is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum Metric {
    /// One of the loss's own, by its name, over a part of the data.
    Of(Split, String),
    /// The loss before a descent from where a training or a file had left the point.
    LossBefore,
    /// The norm of the gradient there.
    GradientBefore,
    /// The loss with the running statistics of the point's own checkpoint, where the loss of the run recomputes them.
    OwnStatistics,
    /// What only a file names.
    Other(String),
}

impl Metric {
    /// Whether it tells how often a network is right about what it has not seen.
    pub fn is_unseen_accuracy(&self) -> bool {
        matches!(self, Metric::Of(Split::Test, name) if name.starts_with("accuracy"))
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |split| PARTS.into_iter().find(|(part, _)| *part == split).map_or("", |(_, word)| word);
        match self {
            Metric::Of(split, name) => write!(f, "{} {name}", part(*split)),
            Metric::Other(word) => f.write_str(word),
            beside => f.write_str(BESIDE.iter().find(|(known, _)| known == beside).map_or("", |(_, word)| word)),
        }
    }
}

impl From<Metric> for String {
    fn from(metric: Metric) -> String {
        metric.to_string()
    }
}

impl From<String> for Metric {
    fn from(word: String) -> Metric {
        let of = |(split, part): (Split, &str)| {
            let name = word.strip_prefix(part)?.strip_prefix(' ')?;
            Some(Metric::Of(split, name.to_owned()))
        };
        let beside = BESIDE.into_iter().find(|(_, known)| *known == word).map(|(metric, _)| metric);
        beside.or_else(|| PARTS.into_iter().find_map(of)).unwrap_or(Metric::Other(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_comes_back_from_its_word() {
        let own = [(Split::Train, "loss"), (Split::Test, "accuracy of 2"), (Split::Test, "")];
        let all = own.map(|(split, name)| Metric::Of(split, name.to_owned())).into_iter();
        let all = all.chain(BESIDE.map(|(metric, _)| metric)).chain([Metric::Other("trainer".to_owned())]);
        for metric in all {
            assert_eq!(Metric::from(metric.to_string()), metric);
        }
        let word = |word: &str| Metric::from(word.to_owned());
        assert!(word("test accuracy").is_unseen_accuracy() && !word("train accuracy").is_unseen_accuracy());
    }
}
