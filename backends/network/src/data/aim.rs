//! Targets as an objective wants them: classes, or numbers, or nothing.

use super::dataset::{Dataset, Targets};
use crate::DataTerm;
use crate::problem::Aim;
use mountainpass_sdk::{Error, memory};

impl Dataset {
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

    /// Makes targets that are whole numbers from 0 classes, for an objective that needs classes.
    pub(crate) fn classify(&mut self) -> Result<(), Error> {
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
    fn check_classes(&self, who: &str, outputs: usize) -> Result<(), Error> {
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

    fn unlabelled(&self) -> Error {
        Error::argument(format!("{} has no labels: give them as the array y", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
