//! Train and test samples in memory, each with the numbers of one or more inputs and a label or targets.

use super::input::{Input, Normalise};
use super::stored::{Stored, gather};
use crate::hex::hex;
use mountainpass_sdk::memory::Shortage;
use sha2::{Digest, Sha256};

/// What a sample should lead to: `per_sample` numbers for each, in C order.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// Class numbers from 0: one for each sample, or one for each token of a window.
    Classes {
        /// Sample by sample.
        values: Vec<u32>,
        /// How many each sample has.
        per_sample: usize,
    },
    /// Finite numbers.
    Reals {
        /// Sample by sample.
        values: Vec<f64>,
        /// How many each sample has.
        per_sample: usize,
    },
}

impl Targets {
    /// The numbers of one sample.
    pub fn per_sample(&self) -> usize {
        match self {
            Targets::Classes { per_sample, .. } | Targets::Reals { per_sample, .. } => *per_sample,
        }
    }

    /// Number `i`, class or not.
    pub fn get(&self, i: usize) -> f64 {
        match self {
            Targets::Classes { values, .. } => f64::from(values[i]),
            Targets::Reals { values, .. } => values[i],
        }
    }

    fn select(&self, ids: impl Iterator<Item = usize> + Clone) -> Result<Targets, Shortage> {
        Ok(match self {
            Targets::Classes { values, per_sample } => {
                Targets::Classes { values: gather(values, *per_sample, ids)?, per_sample: *per_sample }
            }
            Targets::Reals { values, per_sample } => {
                Targets::Reals { values: gather(values, *per_sample, ids)?, per_sample: *per_sample }
            }
        })
    }

    fn hash_into(&self, hash: &mut Sha256) {
        match self {
            Targets::Classes { values, per_sample } => {
                if *per_sample != 1 {
                    hash.update(format!("{per_sample} classes;"));
                }
                values.iter().for_each(|y| hash.update(y.to_le_bytes()));
            }
            Targets::Reals { values, per_sample } => {
                hash.update(format!("{per_sample} targets;"));
                values.iter().for_each(|y| hash.update(y.to_le_bytes()));
            }
        }
    }
}

/// Samples with what they should lead to.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    /// How many there are.
    pub n: usize,
    /// For each input of the data set, `n` times its size values.
    pub inputs: Vec<Stored>,
    /// `None` for a data set of a model that computes its own loss.
    pub targets: Option<Targets>,
    /// What each sample counts for; 1 where none are given.
    pub weights: Option<Vec<f64>>,
    /// What an objective makes of them and of the labels: the factor of each sample, or of each label.
    pub factors: Option<Vec<f64>>,
}

impl Samples {
    /// Samples that all count alike.
    pub(super) fn new(n: usize, inputs: Vec<Stored>, targets: Option<Targets>) -> Samples {
        Samples { n, inputs, targets, weights: None, factors: None }
    }

    /// One class for each sample; empty where there are none such.
    pub fn labels(&self) -> &[u32] {
        match &self.targets {
            Some(Targets::Classes { values, per_sample: 1 }) => values,
            _ => &[],
        }
    }

    /// The samples `ids`, in this order.
    pub(crate) fn select(&self, ids: impl Iterator<Item = usize> + Clone) -> Result<Samples, Shortage> {
        let inputs = self.inputs.iter().map(|v| v.select(v.len() / self.n.max(1), ids.clone()));
        let inputs = inputs.collect::<Result<_, Shortage>>()?;
        let targets = self.targets.as_ref().map(|targets| targets.select(ids.clone())).transpose()?;
        let part = |values: &Option<Vec<f64>>| {
            let each = |values: &Vec<f64>| gather(values, values.len() / self.n.max(1), ids.clone());
            values.as_ref().map(each).transpose()
        };
        let (weights, factors) = (part(&self.weights)?, part(&self.factors)?);
        Ok(Samples { n: ids.count(), inputs, targets, weights, factors })
    }

    /// No samples of the same kind.
    pub(super) fn none(&self) -> Result<Samples, Shortage> {
        self.select(0..0)
    }
}

/// Train and test samples; `test` may be empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// What it was opened by: `digits`, a file or folder, or `memory`.
    pub name: String,
    /// What a sample consists of; at least one input.
    pub inputs: Vec<Input>,
    /// The axes of the targets of a sample, where the file says them.
    pub aims: Option<Vec<usize>>,
    /// What losses are taken over; at least one sample.
    pub train: Samples,
    /// What metrics may also be taken over.
    pub test: Samples,
    /// The options that shaped it beside `data` and `limit`, as `key = value` lines; empty where none was given.
    pub choices: String,
}

impl Dataset {
    /// A data set of one input, `x`.
    pub(super) fn of_one(
        name: String,
        shape: &[usize],
        divisor: f64,
        train: Samples,
        test: Option<Samples>,
    ) -> Result<Dataset, Shortage> {
        let normalise = Normalise::by(divisor);
        let input = Input { name: "x".into(), shape: shape.to_vec(), channels: None, normalise };
        let test = test.map_or_else(|| train.none(), Ok)?;
        Ok(Dataset { name, inputs: vec![input], aims: None, train, test, choices: String::new() })
    }

    pub(super) fn splits(&self) -> [(&'static str, &Samples); 2] {
        [("train", &self.train), ("test", &self.test)]
    }

    /// SHA-256 over shapes, values, normalisation and labels of both parts, in hexadecimal; the name does not enter.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for (_, samples) in self.splits() {
            for (input, values) in self.inputs.iter().zip(&samples.inputs) {
                if self.inputs.len() > 1 {
                    hash.update(format!("{:?}: ", input.name));
                }
                hash.update(format!("{} x {}", samples.n, input.size()));
                if let Some(channels) = input.channels {
                    hash.update(format!(" {:?} channels {channels}", input.shape));
                }
                values.hash_into(&input.normalise, &mut hash);
            }
            if let Some(targets) = &samples.targets {
                targets.hash_into(&mut hash);
            }
            if let Some(weights) = &samples.weights {
                hash.update("weights;");
                weights.iter().for_each(|weight| hash.update(weight.to_le_bytes()));
            }
        }
        hex(hash.finalize().as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Channels;
    use super::*;

    #[test]
    fn the_hash_of_the_digits_is_the_one_that_landscapes_were_stored_under() {
        // Written down before data sets had shapes; it enters every stored run's provenance.
        let hash = "172c9879b7b24abd97eddf373a2d30171ba4802c1e115e42fd32606ee4bdd43a";
        assert_eq!(Dataset::open("digits").unwrap().hash(), hash);
    }

    #[test]
    fn whatever_changes_a_number_changes_the_hash() {
        let digits = Dataset::open("digits").unwrap();
        let changed = |change: fn(&mut Dataset)| {
            let mut set = digits.clone();
            change(&mut set);
            set.hash()
        };
        let hashes = [
            digits.hash(),
            changed(|set| set.inputs[0].normalise.divisor = 15.0),
            changed(|set| set.inputs[0].normalise.mean = vec![0.5]),
            changed(|set| set.inputs[0].channels = Some(Channels::First)),
            changed(|set| set.inputs[0].channels = Some(Channels::Last)),
            changed(|set| set.train.targets = None),
            changed(|set| set.test = set.train.none().unwrap()),
        ];
        let distinct: std::collections::BTreeSet<&String> = hashes.iter().collect();
        assert_eq!(distinct.len(), hashes.len());
        assert_eq!(changed(|set| set.name = "other".into()), hashes[0]);
    }
}
