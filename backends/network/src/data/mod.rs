//! Data sets: train and test samples in memory, each with the numbers of one or more inputs and a label or targets.
//!
//! `data/open.rs` reads them from what the option `data` names; `data/feed.rs` hands them to a model. Values are kept
//! as the file has them, bytes as bytes; normalisation is arithmetic stated in [`Input`], done when they are handed on.

mod arrays;
mod cifar;
mod digits;
mod feed;
mod file;
mod idx;
mod input;
mod mat;
pub mod npz;
mod open;
mod svhn;
mod tokens;

use crate::DataTerm;
use crate::mlp::hex;
use crate::problem::Aim;
pub use feed::{Feed, Layout};
pub use input::{Channels, Input, Normalise};
use mountainpass_sdk::Error;
use mountainpass_sdk::memory::{self, Shortage};
use sha2::{Digest, Sha256};

/// Numbers as a file has them, one sample after the other.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Whole numbers below 256.
    Bytes(Vec<u8>),
    /// Finite.
    Singles(Vec<f32>),
    /// Finite.
    Reals(Vec<f64>),
    /// Token ids and other whole numbers.
    Indices(Vec<u32>),
}

/// Applies one expression to the vector of any element type.
macro_rules! each {
    ($values:expr, $vec:ident => $result:expr) => {
        match $values {
            Values::Bytes($vec) => $result,
            Values::Singles($vec) => $result,
            Values::Reals($vec) => $result,
            Values::Indices($vec) => $result,
        }
    };
}

fn wide<T: Copy + Into<f64>>(value: &T) -> f64 {
    (*value).into()
}

impl Values {
    /// How many there are.
    pub fn len(&self) -> usize {
        each!(self, values => values.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Value `i`, before normalisation.
    pub fn get(&self, i: usize) -> f64 {
        each!(self, values => wide(&values[i]))
    }

    /// The first value that fails.
    fn position(&self, fails: impl Fn(f64) -> bool) -> Option<usize> {
        each!(self, values => values.iter().position(|v| fails(wide(v))))
    }

    /// The samples `ids`, of `size` values each.
    fn select(&self, size: usize, ids: impl Iterator<Item = usize> + Clone) -> Result<Values, Shortage> {
        Ok(match self {
            Values::Bytes(values) => Values::Bytes(gather(values, size, ids)?),
            Values::Singles(values) => Values::Singles(gather(values, size, ids)?),
            Values::Reals(values) => Values::Reals(gather(values, size, ids)?),
            Values::Indices(values) => Values::Indices(gather(values, size, ids)?),
        })
    }

    /// Whole numbers from 0 as such; `None` if one is none, or is too large.
    fn indices(&self) -> Result<Option<Vec<u32>>, Shortage> {
        let index = |v: f64| v as u32;
        match self.position(|v| f64::from(index(v)) != v) {
            None => memory::collected(self.len(), (0..self.len()).map(|i| index(self.get(i)))).map(Some),
            Some(_) => Ok(None),
        }
    }

    /// All as reals, which stay where they are if they are such.
    fn reals(self) -> Result<Vec<f64>, Shortage> {
        match self {
            Values::Reals(values) => Ok(values),
            other => memory::collected(other.len(), (0..other.len()).map(|i| other.get(i))),
        }
    }

    /// Bytes as they are; everything else as f64, so that equal numbers of any type have one hash.
    fn hash_into(&self, normalise: &Normalise, hash: &mut Sha256) {
        match self {
            Values::Bytes(values) => {
                hash.update(format!(" bytes {normalise};"));
                hash.update(values);
            }
            other => {
                match normalise.is_identity() {
                    true => hash.update(" reals;"),
                    false => hash.update(format!(" reals {normalise};")),
                }
                each!(other, values => values.iter().for_each(|v| hash.update(wide(v).to_le_bytes())));
            }
        }
    }
}

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
    pub inputs: Vec<Values>,
    /// `None` for a data set of a model that computes its own loss.
    pub targets: Option<Targets>,
}

impl Samples {
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
        Ok(Samples { n: ids.count(), inputs, targets })
    }

    /// No samples of the same kind.
    fn none(&self) -> Result<Samples, Shortage> {
        self.select(0..0)
    }
}

fn gather<T: Copy>(values: &[T], size: usize, ids: impl Iterator<Item = usize> + Clone) -> Result<Vec<T>, Shortage> {
    let mut all = memory::room(ids.clone().count().saturating_mul(size))?;
    ids.for_each(|id| all.extend_from_slice(&values[id * size..(id + 1) * size]));
    Ok(all)
}

/// Train and test samples; `test` may be empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// What it was opened by: `digits`, a file or folder, or `memory`.
    pub name: String,
    /// What a sample consists of; at least one input.
    pub inputs: Vec<Input>,
    /// What losses are taken over; at least one sample.
    pub train: Samples,
    /// What metrics may also be taken over.
    pub test: Samples,
    /// The options that shaped it beside `data` and `limit`, as `key = value` lines; empty where none was given.
    pub choices: String,
}

impl Dataset {
    /// A data set of one input, `x`.
    fn of_one(
        name: String,
        shape: &[usize],
        divisor: f64,
        train: Samples,
        test: Option<Samples>,
    ) -> Result<Dataset, Shortage> {
        let normalise = Normalise::by(divisor);
        let input = Input { name: "x".into(), shape: shape.to_vec(), channels: None, normalise };
        let test = test.map_or_else(|| train.none(), Ok)?;
        Ok(Dataset { name, inputs: vec![input], train, test, choices: String::new() })
    }

    fn splits(&self) -> [(&'static str, &Samples); 2] {
        [("train", &self.train), ("test", &self.test)]
    }

    /// Makes targets that are whole numbers from 0 classes, for an objective that needs classes.
    pub fn classify(&mut self) -> Result<(), Error> {
        let name = &self.name;
        for (split, samples) in [("train", &mut self.train), ("test", &mut self.test)] {
            let (values, per_sample) = match &samples.targets {
                Some(Targets::Classes { .. }) => continue,
                Some(Targets::Reals { values, per_sample }) => (values, *per_sample),
                None if samples.n == 0 => continue,
                None => return Err(Error::argument(format!("{name} has no labels: give them as the array y"))),
            };
            let class = |(i, y): (usize, &f64)| match *y as u32 {
                class if f64::from(class) == *y => Ok(class),
                _ => Err(Error::argument(format!(
                    "{name}: {split} sample {} has label {y}, expected a class, a whole number from 0",
                    i / per_sample
                ))),
            };
            let values = memory::try_collected(values.len(), values.iter().enumerate().map(class))?;
            samples.targets = Some(Targets::Classes { values, per_sample });
        }
        Ok(())
    }

    /// Refuses labels that a model of this name with as many outputs does not know.
    pub fn check_classes(&self, who: &str, outputs: usize) -> Result<(), Error> {
        for (split, samples) in self.splits() {
            let Some(Targets::Classes { values, per_sample }) = &samples.targets else { continue };
            if let Some(i) = values.iter().position(|y| *y as usize >= outputs) {
                let (name, label, sample) = (&self.name, values[i], i / per_sample);
                return Err(Error::argument(format!(
                    "{name}: {split} sample {sample} has label {label}, but {who} has {outputs} outputs (labels count \
                     from 0)"
                )));
            }
        }
        Ok(())
    }

    /// Makes targets what a term wants of a network, which messages call `who`, with outputs of these axes a sample.
    pub fn aim(&mut self, who: &str, term: DataTerm, output: &[usize]) -> Result<Aim, Error> {
        let (all, classes) = (output.iter().product::<usize>(), output.last().copied().unwrap_or(1));
        let each = self.train.targets.as_ref().map_or(0, Targets::per_sample);
        let is_real = matches!(self.train.targets, Some(Targets::Reals { .. }));
        let fits = |wanted: usize, name: &str| match each == wanted {
            true => Ok(()),
            false => Err(Error::argument(format!("{who} takes {wanted} labels a sample, but {name} has {each}"))),
        };
        match term {
            DataTerm::Model => return Ok(Aim::Nothing),
            DataTerm::BinaryCrossEntropy => self.check_probabilities()?,
            DataTerm::Mse if all == 1 || (is_real && each == all) => {}
            DataTerm::CrossEntropy | DataTerm::Mse => {
                self.classify()?;
                fits(all / classes.max(1), &self.name)?;
                self.check_classes(who, classes)?;
                return Ok(Aim::Classes);
            }
        }
        if self.train.targets.is_none() {
            return Err(self.unlabelled());
        }
        fits(all, &self.name)?;
        Ok(Aim::Numbers)
    }

    fn unlabelled(&self) -> Error {
        Error::argument(format!("{} has no labels: give them as the array y", self.name))
    }

    /// Refuses targets below 0 or above 1.
    fn check_probabilities(&self) -> Result<(), Error> {
        for (split, samples) in self.splits() {
            let Some(targets) = &samples.targets else { return Err(self.unlabelled()) };
            let each = targets.per_sample();
            if let Some(i) = (0..samples.n * each).find(|i| !(0.0..=1.0).contains(&targets.get(*i))) {
                let (name, value, sample) = (&self.name, targets.get(i), i / each);
                return Err(Error::argument(format!(
                    "{name}: {split} sample {sample} has target {value}, but binary_cross_entropy takes numbers from 0 to 1"
                )));
            }
        }
        Ok(())
    }

    /// Refuses indices that a table of so many rows has no row for; `feed` is that of the slot they go to.
    pub fn check_rows(&self, feed: &Feed, who: &str, rows: usize) -> Result<(), Error> {
        for (split, samples) in self.splits() {
            let values = &samples.inputs[feed.input()];
            if let Some(i) = values.position(|v| v >= rows as f64) {
                let (name, value, sample) = (&self.name, values.get(i), i / (values.len() / samples.n).max(1));
                return Err(Error::argument(format!(
                    "{name}: {split} sample {sample} has token {value}, but {who} knows {rows} (they count from 0)"
                )));
            }
        }
        Ok(())
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
        }
        hex(hash.finalize().as_slice())
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn targets_become_what_a_term_wants() {
        let digits = Dataset::open("digits").unwrap();
        let aim = |term, output: &[usize]| digits.clone().aim("net", term, output).map_err(|error| error.text);
        assert_eq!(aim(DataTerm::CrossEntropy, &[10]), Ok(Aim::Classes));
        assert_eq!(aim(DataTerm::Mse, &[10]), Ok(Aim::Classes));
        assert_eq!(aim(DataTerm::Mse, &[1]), Ok(Aim::Numbers));
        assert_eq!(aim(DataTerm::Model, &[]), Ok(Aim::Nothing));
        let text = aim(DataTerm::CrossEntropy, &[9]).unwrap_err();
        assert!(text.contains("train sample 9 has label 9, but net has 9 outputs"), "{text}");
        let text = aim(DataTerm::BinaryCrossEntropy, &[1]).unwrap_err();
        assert!(text.contains("has target 2, but binary_cross_entropy takes numbers from 0 to 1"), "{text}");
        assert_eq!(aim(DataTerm::CrossEntropy, &[4, 10]), Err("net takes 4 labels a sample, but digits has 1".into()));
        let mut bare = digits.clone();
        bare.train.targets = None;
        bare.test.targets = None;
        assert!(bare.aim("net", DataTerm::Mse, &[1]).unwrap_err().text.contains("has no labels"));
        let mut pairs = digits.clone();
        for part in [&mut pairs.train, &mut pairs.test] {
            part.targets = Some(Targets::Reals { values: vec![0.5; 2 * part.n], per_sample: 2 });
        }
        assert_eq!(pairs.aim("net", DataTerm::Mse, &[2]), Ok(Aim::Numbers));
        assert_eq!(pairs.aim("net", DataTerm::BinaryCrossEntropy, &[2]), Ok(Aim::Numbers));
    }
}
