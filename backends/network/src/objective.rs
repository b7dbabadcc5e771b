//! The objective: a mean over samples, plus an L2 penalty.
//!
//! With outputs z_i of sample i, label y_i and n samples (repeats counted):
//! cross-entropy is (1/n) sum_i [log sum_k exp z_ik - z_i,y_i]; mse is (1/n) sum_i sum_k (z_ik - t_ik)^2, where the
//! target t_i is the unit vector of y_i (a sum, not a mean, over outputs, and no factor 1/2).
//! The penalty is (l2/2) |theta|^2 over all parameters or over the weights only.

use crate::Mlp;
use mountainpass_sdk::{Error, Open};
use std::ops::Range;

/// What is averaged over samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataTerm {
    /// Softmax cross-entropy against the label.
    CrossEntropy,
    /// Squared error, summed over outputs, against the unit vector of the label.
    Mse,
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

const TERMS: [&str; 2] = ["cross_entropy", "mse"];
const PENALISED: [&str; 2] = ["all", "weights"];

impl Objective {
    /// Reads the options `objective` (cross_entropy), `l2` (0) and `l2_on` (all); defaults in brackets.
    pub fn from_options(open: &mut Open<'_>) -> Result<Objective, Error> {
        let data = match open.option("objective") {
            None | Some("cross_entropy") => DataTerm::CrossEntropy,
            Some("mse") => DataTerm::Mse,
            Some(other) => return Err(Error::unknown("objective", other, &TERMS)),
        };
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
    pub fn penalised(&self, mlp: &Mlp) -> Vec<Range<usize>> {
        match self.l2_on {
            _ if self.l2 == 0.0 => Vec::new(),
            Penalised::All => std::iter::once(0..mlp.params()).collect(),
            Penalised::Weights => mlp.layers().iter().map(|l| l.weight..l.bias).collect(),
        }
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
