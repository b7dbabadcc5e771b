//! The objective: a mean over samples, plus penalties.
//!
//! With outputs z_i of sample i, label y_i and n samples (repeats counted):
//! cross-entropy is (1/n) sum_i [log sum_k exp z_ik - z_i,y_i], where a sample with several labels (tokens) counts
//! with their mean; mse is (1/n) sum_i sum_k (z_ik - t_ik)^2, where t_i are the targets or the unit vector of y_i (a
//! sum, not a mean, over outputs unless `reduction` says so, and no factor 1/2), and mae the same of |z_ik - t_ik|; binary
//! cross-entropy is (1/n) sum_i sum_k [log(1 + exp z_ik) - t_ik z_ik] with targets from 0 to 1. Of probabilities p =
//! softmax(z) or sigmoid(z) the same is taken through log p.
//!
//! Cross-entropy has what torch's has: targets may be distributions q_i, -sum_k q_ik log p_ik; label smoothing by e puts
//! (1 - e) q + e / classes in place of q; class weights w multiply the terms of class k by w_k, and the mean over labels is
//! then one by the weights w of the labels, of all of a part; labels of `ignore_index` count as if they were not there.
//! With `sample_weights` s the loss of sample i is s_i times what it was.

use crate::model::OutputKind;
use crate::penalty::Penalties;
use mountainpass_sdk::{Declared, Error, Kind, Open, joined};

/// What is averaged over samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataTerm {
    /// Softmax cross-entropy against the label.
    CrossEntropy,
    /// Squared error, summed over outputs, against targets or the unit vector of the label.
    Mse,
    /// Absolute error, likewise.
    Mae,
    /// Sigmoid cross-entropy, summed over outputs, against targets from 0 to 1.
    BinaryCrossEntropy,
    /// What the network computes is the loss.
    Model,
}

/// A data term, how it is taken, and penalties.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// The mean over samples.
    pub data: DataTerm,
    /// The axis of the output along which classes are, the batch counted, from the end where negative; found out if left
    /// out.
    pub class_axis: Option<i64>,
    /// A factor for each class.
    pub class_weights: Option<Vec<f64>>,
    /// The share of a label that goes to all classes alike.
    pub label_smoothing: f64,
    /// The label that counts for nothing.
    pub ignore_index: Option<i64>,
    /// Whether errors are averaged, not summed, over the outputs of a sample.
    pub is_mean: bool,
    /// On theta.
    pub penalties: Penalties,
}

const TERMS: [&str; 5] = ["cross_entropy", "mse", "mae", "binary_cross_entropy", "model"];
const REDUCTIONS: [&str; 2] = ["sum", "mean"];

impl DataTerm {
    /// What the option `objective` says, if it is given.
    pub fn asked(open: &mut Open<'_>) -> Result<Option<DataTerm>, Error> {
        open.option("objective").map(DataTerm::parse).transpose()
    }

    fn parse(text: &str) -> Result<DataTerm, Error> {
        match text {
            "cross_entropy" => Ok(DataTerm::CrossEntropy),
            "mse" => Ok(DataTerm::Mse),
            "mae" => Ok(DataTerm::Mae),
            "binary_cross_entropy" => Ok(DataTerm::BinaryCrossEntropy),
            "model" => Ok(DataTerm::Model),
            other => Err(Error::unknown("objective", other, &TERMS)),
        }
    }

    /// The word for it.
    pub fn name(self) -> &'static str {
        TERMS[self as usize]
    }
}

impl From<DataTerm> for Objective {
    /// As it is taken where nothing more is said.
    fn from(data: DataTerm) -> Objective {
        Objective {
            data,
            class_axis: None,
            class_weights: None,
            label_smoothing: 0.0,
            ignore_index: None,
            is_mean: false,
            penalties: Penalties::default(),
        }
    }
}

impl Objective {
    const OWN: [Declared; 6] = [
        Declared::new(
            c"objective",
            Kind::Text,
            c"What is averaged over samples: cross_entropy, or model if the network computes a loss.",
        )
        .words(c"cross_entropy mse mae binary_cross_entropy model"),
        Declared::new(
            c"reduction",
            Kind::Text,
            c"What mse, mae and binary_cross_entropy take over the outputs of a sample.",
        )
        .words(c"sum mean")
        .default(c"sum"),
        Declared::new(
            c"class_axis",
            Kind::Integer,
            c"The axis of the output along which classes are: the last unless given; 1 in torch's layout.",
        ),
        Declared::new(
            c"class_weights",
            Kind::List,
            c"A factor for each class in cross_entropy, whose mean is then one by the weights of the labels.",
        ),
        Declared::new(c"label_smoothing", Kind::Number, c"The share of a label that goes to all classes alike.")
            .default(c"0"),
        Declared::new(c"ignore_index", Kind::Integer, c"The label that counts for nothing in cross_entropy."),
    ];

    /// The options that [`from_options`](Objective::from_options) reads.
    pub const OPTIONS: [Declared; 10] = joined(&[&Objective::OWN, &Penalties::OPTIONS]);

    /// Reads the options of an objective.
    pub fn from_options(open: &mut Open<'_>, kind: OutputKind) -> Result<Objective, Error> {
        let is_loss = kind == OutputKind::Loss;
        let default = if is_loss { DataTerm::Model } else { DataTerm::CrossEntropy };
        let data = DataTerm::asked(open)?.unwrap_or(default);
        if is_loss != (data == DataTerm::Model) {
            let term = data.name();
            return Err(Error::argument(match is_loss {
                true => {
                    format!("objective {term} wants outputs, but the model's output is a loss: choose another output")
                }
                false => {
                    "objective model wants a loss, but the model's output is none: say output_kind = \"loss\"".into()
                }
            }));
        }
        let is_mean = match open.option("reduction") {
            None => false,
            Some("sum") => false,
            Some("mean") => true,
            Some(other) => return Err(Error::unknown("value of reduction", other, &REDUCTIONS)),
        };
        let objective = Objective {
            data,
            class_axis: open.parsed("class_axis")?,
            class_weights: weights(open.option("class_weights"))?,
            label_smoothing: open.parsed("label_smoothing")?.unwrap_or(0.0),
            ignore_index: open.parsed("ignore_index")?,
            is_mean,
            penalties: Penalties::from_options(open)?,
        };
        let given = ["reduction", "class_axis", "class_weights", "label_smoothing", "ignore_index"];
        let given = given.map(|key| open.option(key).is_some().then_some(key));
        objective.checked(given)
    }

    /// Refuses what the term does not know of the options in [`OWN`](Objective::OWN), behind the first.
    fn checked(self, given: [Option<&str>; 5]) -> Result<Objective, Error> {
        let [reduction, class_axis, rest @ ..] = given;
        let of_classes = rest.into_iter().flatten().next();
        let vain = match self.data {
            DataTerm::CrossEntropy => reduction,
            DataTerm::Mse | DataTerm::Mae => of_classes,
            DataTerm::BinaryCrossEntropy => class_axis.or(of_classes),
            DataTerm::Model => reduction.or(class_axis).or(of_classes),
        };
        if let Some(key) = vain {
            return Err(Error::argument(format!("option {key} is not for objective {}", self.data.name())));
        }
        if !(0.0..=1.0).contains(&self.label_smoothing) {
            return Err(Error::argument(format!(
                "option label_smoothing: {} is not from 0 to 1",
                self.label_smoothing
            )));
        }
        Ok(self)
    }

    /// Whether labels are taken as they are: what kernels of perceptrons know.
    pub fn is_plain(&self) -> bool {
        matches!(self.data, DataTerm::CrossEntropy | DataTerm::Mse)
            && (self.class_weights.is_none() && self.label_smoothing == 0.0 && !self.is_mean)
    }

    /// Whether it has no kinks of its own.
    pub fn is_smooth(&self) -> bool {
        self.data != DataTerm::Mae && self.penalties.l1 == 0.0
    }

    /// The axis of classes among the axes of an output, the batch the first of them.
    pub(crate) fn classes(&self, output: &[usize]) -> Result<usize, Error> {
        let rank = output.len() as i64;
        let given = self.class_axis.unwrap_or(-1);
        let axis = if given < 0 { given + rank } else { given };
        match axis >= 1 && axis < rank {
            true => Ok(axis as usize),
            false => Err(Error::argument(match self.class_axis {
                Some(given) => format!("option class_axis: {given}, but the output has the axes 1 to {}", rank - 1),
                None => format!("the output has shape {output:?}, expected samples first, scores last"),
            })),
        }
    }
}

/// The option `class_weights`.
fn weights(text: Option<&str>) -> Result<Option<Vec<f64>>, Error> {
    let Some(text) = text else { return Ok(None) };
    let weight = |item: &str| match item.trim().parse::<f64>() {
        Ok(weight) if weight.is_finite() && weight >= 0.0 => Ok(weight),
        _ => Err(Error::argument(format!("option class_weights: {item:?} is not a finite number >= 0"))),
    };
    text.split(',').map(weight).collect::<Result<_, Error>>().map(Some)
}

impl std::fmt::Display for Objective {
    /// The options in effect, one `key = value` line each; what says nothing is left out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "objective = {}", self.data.name())?;
        self.penalties.fmt(f)?;
        if self.is_mean {
            writeln!(f, "reduction = mean")?;
        }
        // Of networks by name it is the last, whatever is said.
        if let Some(axis) = self.class_axis.filter(|axis| *axis != -1) {
            writeln!(f, "class_axis = {axis}")?;
        }
        if let Some(weights) = &self.class_weights {
            let weights: Vec<String> = weights.iter().map(f64::to_string).collect();
            writeln!(f, "class_weights = {}", weights.join(","))?;
        }
        if self.label_smoothing > 0.0 {
            writeln!(f, "label_smoothing = {}", self.label_smoothing)?;
        }
        match self.ignore_index {
            Some(index) => writeln!(f, "ignore_index = {index}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_declared_are_those_read() {
        let words = |i: usize| Objective::OPTIONS[i].words.unwrap().to_str().unwrap();
        assert_eq!((words(0), words(1)), (&*TERMS.join(" "), &*REDUCTIONS.join(" ")));
    }

    #[test]
    fn what_a_term_does_not_know_is_refused() {
        let fault = |objective: &str, key: &str, value: &str| {
            let mut open = Open::new("", &[("objective", objective), (key, value)]);
            Objective::from_options(&mut open, OutputKind::Logits).err().map(|error| error.text)
        };
        let of = |key: &str, term: &str| Some(format!("option {key} is not for objective {term}"));
        assert_eq!(fault("mse", "class_weights", "1,2"), of("class_weights", "mse"));
        assert_eq!(fault("cross_entropy", "reduction", "mean"), of("reduction", "cross_entropy"));
        assert_eq!(fault("binary_cross_entropy", "class_axis", "1"), of("class_axis", "binary_cross_entropy"));
        assert_eq!(fault("mae", "ignore_index", "-100"), of("ignore_index", "mae"));
        assert_eq!(fault("mse", "reduction", "mean"), None);
        assert!(fault("cross_entropy", "label_smoothing", "2").unwrap().contains("not from 0 to 1"));
        assert!(fault("cross_entropy", "class_weights", "1,-2").unwrap().contains("\"-2\" is not a finite number"));
    }
}
