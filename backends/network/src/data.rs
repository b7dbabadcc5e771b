//! Data sets: the embedded digits, a folder of IDX files, or arrays in memory; train and test samples with labels.

use crate::mlp::hex;
use crate::{Mlp, arrays, digits, idx};
use mountainpass_sdk::{Error, Open};
use sha2::{Digest, Sha256};
use std::path::Path;

/// The features of samples, one sample after the other.
#[derive(Clone, Debug, PartialEq)]
pub enum Inputs {
    /// Feature = value / divisor.
    Bytes { values: Vec<u8>, divisor: f64 },
    /// Finite numbers as they are.
    Reals(Vec<f64>),
}

/// Samples with labels; `inputs` holds `labels.len() * features` values.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    /// The length of one sample.
    pub features: usize,
    /// The features of all samples.
    pub inputs: Inputs,
    /// Class numbers from 0.
    pub labels: Vec<u32>,
}

impl Samples {
    /// The number of samples.
    pub fn n(&self) -> usize {
        self.labels.len()
    }

    /// Keeps the samples in `range`.
    pub(crate) fn slice(&self, range: std::ops::Range<usize>) -> Samples {
        let part = range.start * self.features..range.end * self.features;
        let inputs = match &self.inputs {
            Inputs::Bytes { values, divisor } => Inputs::Bytes { values: values[part].to_vec(), divisor: *divisor },
            Inputs::Reals(values) => Inputs::Reals(values[part].to_vec()),
        };
        Samples { features: self.features, inputs, labels: self.labels[range].to_vec() }
    }

    fn hash_into(&self, hash: &mut Sha256) {
        hash.update(format!("{} x {}", self.n(), self.features));
        match &self.inputs {
            Inputs::Bytes { values, divisor } => {
                hash.update(format!(" bytes / {divisor};"));
                hash.update(values);
            }
            Inputs::Reals(values) => {
                hash.update(" reals;");
                values.iter().for_each(|v| hash.update(v.to_le_bytes()));
            }
        }
        self.labels.iter().for_each(|y| hash.update(y.to_le_bytes()));
    }
}

/// Train and test samples; `test` may be empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// What it was opened by: `digits`, a folder, or `memory`.
    pub name: String,
    /// What losses are taken over; at least one sample.
    pub train: Samples,
    /// What metrics may also be taken over.
    pub test: Samples,
}

/// The data sets with a name; everything else is a folder.
const NAMES: [&str; 1] = ["digits"];

impl Dataset {
    /// Reads the options `data` (a name or a folder of IDX files; absent when arrays are handed over in memory) and
    /// `limit` (use only the first N train samples).
    pub fn from_options(open: &mut Open<'_>) -> Result<Dataset, Error> {
        let data = open.option("data");
        let limit = open.parsed::<usize>("limit")?;
        let mut set = match (data, open.data.is_empty()) {
            (Some(name), true) => Dataset::open(name)?,
            (None, false) => arrays::read(&open.data)?,
            (None, true) => {
                return Err(Error::argument("option data is missing: \"digits\" or a folder of IDX files"));
            }
            (Some(name), false) => {
                return Err(Error::argument(format!("option data is {name:?}, but arrays were given too: give one")));
            }
        };
        if let Some(limit) = limit {
            if limit == 0 {
                return Err(Error::argument("option limit: 0 samples, expected at least 1"));
            }
            set.train = set.train.slice(0..limit.min(set.train.n()));
        }
        Ok(set)
    }

    /// A named data set or a folder of IDX files.
    pub fn open(name: &str) -> Result<Dataset, Error> {
        if name == "digits" {
            return digits::read();
        }
        let path = Path::new(name);
        match path.is_dir() {
            true => idx::read(path),
            false if name.contains(['/', '\\']) => {
                Err(Error::not_found(format!("data {name:?}: no such folder of IDX files")))
            }
            false => {
                let mut error = Error::unknown("data set", name, &NAMES);
                error.text.push_str(", and no such folder exists");
                Err(error)
            }
        }
    }

    /// Refuses a network whose inputs or outputs do not fit the samples.
    pub fn check(&self, mlp: &Mlp) -> Result<(), Error> {
        let name = &self.name;
        if self.train.features != mlp.inputs() {
            let (features, inputs) = (self.train.features, mlp.inputs());
            return Err(Error::argument(format!("{mlp} takes {inputs} inputs, but {name} has {features} features")));
        }
        for (split, samples) in [("train", &self.train), ("test", &self.test)] {
            if let Some(i) = samples.labels.iter().position(|y| *y as usize >= mlp.outputs()) {
                let (label, outputs) = (samples.labels[i], mlp.outputs());
                return Err(Error::argument(format!(
                    "{name}: {split} sample {i} has label {label}, but {mlp} has {outputs} outputs (labels count from 0)"
                )));
            }
        }
        Ok(())
    }

    /// SHA-256 over shapes, values and labels of both parts, in hexadecimal; the name does not enter.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        self.train.hash_into(&mut hash);
        self.test.hash_into(&mut hash);
        hex(hash.finalize().as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_data_set_names_the_nearest() {
        let text = Dataset::open("digit").unwrap_err().text;
        assert_eq!(text, "unknown data set \"digit\"; the nearest is \"digits\", and no such folder exists");
        assert!(Dataset::open("./none").unwrap_err().text.contains("no such folder"));
    }

    #[test]
    fn a_limit_keeps_the_first_samples() {
        let all = Dataset::open("digits").unwrap();
        let some = Dataset::from_options(&mut Open::new("", &[("data", "digits"), ("limit", "5")])).unwrap();
        assert_eq!(some.train.labels, all.train.labels[..5]);
        assert_eq!(some.test, all.test);
        assert_ne!(some.hash(), all.hash());
        assert!(Dataset::from_options(&mut Open::new("", &[("data", "digits"), ("limit", "0")])).is_err());
        assert!(Dataset::from_options(&mut Open::new("", &[])).unwrap_err().text.contains("data is missing"));
    }

    #[test]
    fn a_network_that_does_not_fit_is_refused() {
        let digits = Dataset::open("digits").unwrap();
        let text = |spec| digits.check(&Mlp::parse(spec).unwrap()).unwrap_err().text;
        assert_eq!(text("mlp:63-10:relu"), "mlp:63-10:relu takes 63 inputs, but digits has 64 features");
        assert!(text("mlp:64-9:relu").contains("train sample 9 has label 9, but mlp:64-9:relu has 9 outputs"));
        assert!(digits.check(&Mlp::parse("mlp:64-10:relu").unwrap()).is_ok());
    }
}
