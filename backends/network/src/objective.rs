//! The objective: a mean over samples, plus an L2 penalty.
//!
//! With outputs z_i of sample i, label y_i and n samples (repeats counted):
//! cross-entropy is (1/n) sum_i [log sum_k exp z_ik - z_i,y_i], where a sample with several labels (tokens) counts
//! with their mean; mse is (1/n) sum_i sum_k (z_ik - t_ik)^2, where t_i are the targets or the unit vector of y_i (a
//! sum, not a mean, over outputs, and no factor 1/2); binary cross-entropy is
//! (1/n) sum_i sum_k [log(1 + exp z_ik) - t_ik z_ik] with targets from 0 to 1. Of probabilities p = softmax(z) or
//! sigmoid(z) the same is taken through log p. The penalty is (l2/2) |theta|^2 over all parameters or the weights only.

use crate::model::{Model, OutputKind};
use mountainpass_sdk::{Declared, Error, Kind, Open};
use std::ops::Range;

/// What is averaged over samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataTerm {
    /// Softmax cross-entropy against the label.
    CrossEntropy,
    /// Squared error, summed over outputs, against targets or the unit vector of the label.
    Mse,
    /// Sigmoid cross-entropy, summed over outputs, against targets from 0 to 1.
    BinaryCrossEntropy,
    /// What the network computes is the loss.
    Model,
}

impl DataTerm {
    /// What the option `objective` says, if it is given.
    pub fn asked(open: &mut Open<'_>) -> Result<Option<DataTerm>, Error> {
        open.option("objective").map(DataTerm::parse).transpose()
    }

    fn parse(text: &str) -> Result<DataTerm, Error> {
        match text {
            "cross_entropy" => Ok(DataTerm::CrossEntropy),
            "mse" => Ok(DataTerm::Mse),
            "binary_cross_entropy" => Ok(DataTerm::BinaryCrossEntropy),
            "model" => Ok(DataTerm::Model),
            other => Err(Error::unknown("objective", other, &TERMS)),
        }
    }
}

/// Which parameters the L2 penalty sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Penalised {
    /// All of theta.
    All,
    /// Not the biases.
    Weights,
}

/// A data term and its penalty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Objective {
    /// The mean over samples.
    pub data: DataTerm,
    /// The penalty is `l2 / 2` times the sum of squares.
    pub l2: f64,
    /// Whose squares.
    pub l2_on: Penalised,
}

const TERMS: [&str; 4] = ["cross_entropy", "mse", "binary_cross_entropy", "model"];
const PENALISED: [&str; 2] = ["all", "weights"];

impl Objective {
    /// The options that [`from_options`](Objective::from_options) reads.
    pub const OPTIONS: [Declared; 3] = [
        Declared::new(
            c"objective",
            Kind::Text,
            c"What is averaged over samples: cross_entropy, or model if the network computes a loss.",
        )
        .words(c"cross_entropy mse binary_cross_entropy model"),
        Declared::new(c"l2", Kind::Number, c"The penalty is l2 / 2 times a sum of squares.").default(c"0"),
        Declared::new(c"l2_on", Kind::Text, c"Whose squares: all parameters, or matrices and kernels alone.")
            .words(c"all weights")
            .default(c"all"),
    ];

    /// Reads the options `objective`, `l2` and `l2_on`.
    pub fn from_options(open: &mut Open<'_>, kind: OutputKind) -> Result<Objective, Error> {
        let is_loss = kind == OutputKind::Loss;
        let default = if is_loss { DataTerm::Model } else { DataTerm::CrossEntropy };
        let data = DataTerm::asked(open)?.unwrap_or(default);
        if is_loss != (data == DataTerm::Model) {
            let term = TERMS[data as usize];
            return Err(Error::argument(match is_loss {
                true => {
                    format!("objective {term} wants outputs, but the model's output is a loss: choose another output")
                }
                false => {
                    "objective model wants a loss, but the model's output is none: say output_kind = \"loss\"".into()
                }
            }));
        }
        let l2 = open.parsed::<f64>("l2")?.unwrap_or(0.0);
        if !(l2.is_finite() && l2 >= 0.0) {
            return Err(Error::argument(format!("option l2: {l2} is not a finite number >= 0")));
        }
        let l2_on = match open.option("l2_on") {
            None | Some("all") => Penalised::All,
            Some("weights") => Penalised::Weights,
            Some(other) => return Err(Error::unknown("value of l2_on", other, &PENALISED)),
        };
        Ok(Objective { data, l2, l2_on })
    }

    /// The parts of theta that the penalty sees; empty when `l2` is 0.
    pub fn penalised(&self, model: &dyn Model) -> Vec<Range<usize>> {
        if self.l2 == 0.0 {
            return Vec::new();
        }
        let blocks = model.parameters().iter().zip(model.is_weight());
        let blocks = blocks.filter(|(_, is_weight)| **is_weight || self.l2_on == Penalised::All);
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for (block, _) in blocks {
            let start = block.offset as usize;
            let end = start + block.shape.iter().product::<u64>() as usize;
            match ranges.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => ranges.push(start..end),
            }
        }
        ranges
    }
}

impl std::fmt::Display for Objective {
    /// The options in effect, one `key = value` line each.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "objective = {}", TERMS[self.data as usize])?;
        writeln!(f, "l2 = {}", self.l2)?;
        writeln!(f, "l2_on = {}", PENALISED[self.l2_on as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_declared_are_those_read() {
        let words = |i: usize| Objective::OPTIONS[i].words.unwrap().to_str().unwrap();
        assert_eq!((words(0), words(2)), (&*TERMS.join(" "), &*PENALISED.join(" ")));
    }
}
