//! Targets as an objective wants them: classes, or numbers, or nothing; and what each sample or label counts for.

use super::dataset::{Dataset, Samples, Targets};
use crate::problem::Aim;
use crate::{DataTerm, Objective};
use mountainpass_sdk::Error;
use mountainpass_sdk::memory::{self, Shortage};

/// Distributions over classes sum to 1 up to this: they may come from single precision.
const SUM_ERROR: f64 = 1e-3;

/// Where the scores of a place stand among the outputs of a sample.
struct Scores {
    classes: usize,
    /// From one class to the next.
    step: usize,
    /// So many of them.
    places: usize,
}

impl Scores {
    /// Along one of the axes of a sample.
    fn along(axis: usize, output: &[usize]) -> Scores {
        let (classes, all) = (output.get(axis).copied().unwrap_or(1), output.iter().product::<usize>());
        let step = output.get(axis + 1..).map_or(1, |behind| behind.iter().product());
        Scores { classes, step, places: all / classes.max(1) }
    }

    /// The numbers of the scores of place `p`.
    fn of(&self, p: usize) -> impl Iterator<Item = usize> + use<> {
        let first = p / self.step * self.step * self.classes + p % self.step;
        let step = self.step;
        (0..self.classes).map(move |class| first + class * step)
    }
}

impl Dataset {
    /// Makes targets and factors what an objective wants of a network, which messages call `who`, with outputs of these
    /// axes a sample.
    pub fn aim(&mut self, who: &str, objective: &Objective, output: &[usize]) -> Result<Aim, Error> {
        let aim = self.aimed(who, objective, output)?;
        let is_weighed = aim == Aim::Classes && (objective.class_weights.is_some() || objective.ignore_index.is_some());
        for samples in [&mut self.train, &mut self.test] {
            if !is_weighed {
                samples.factors =
                    samples.factors.take().or(samples.weights.as_ref().map(|w| memory::copied(w)).transpose()?);
            }
        }
        Ok(aim)
    }

    fn aimed(&mut self, who: &str, objective: &Objective, output: &[usize]) -> Result<Aim, Error> {
        let (term, all) = (objective.data, output.iter().product::<usize>());
        let each = self.train.targets.as_ref().map_or(0, Targets::per_sample);
        let is_real = matches!(self.train.targets, Some(Targets::Reals { .. }));
        match term {
            DataTerm::Model => return Ok(Aim::Nothing),
            DataTerm::BinaryCrossEntropy => self.check_probabilities()?,
            DataTerm::Mse | DataTerm::Mae if all == 1 || (is_real && each == all) => {
                if let Some(axis) = objective.class_axis.filter(|axis| *axis != -1) {
                    return Err(Error::argument(format!("option class_axis: {axis}, but the targets are no classes")));
                }
            }
            DataTerm::CrossEntropy | DataTerm::Mse | DataTerm::Mae => {
                return self.classes(who, objective, output);
            }
        }
        if self.train.targets.is_none() {
            return Err(self.unlabelled());
        }
        self.fits(who, each, all)?;
        self.lie_as(who, output)?;
        Ok(Aim::Numbers)
    }

    /// Refuses targets that are as many as they should be, but along other axes: channels elsewhere, or images turned.
    pub fn lie_as(&self, who: &str, wanted: &[usize]) -> Result<(), Error> {
        let long = |axes: &[usize]| axes.iter().copied().filter(|size| *size != 1).collect::<Vec<usize>>();
        let Some(given) = &self.aims else { return Ok(()) };
        let (own, other) = (long(given), long(wanted));
        match own == other || own.len() < 2 || other.len() < 2 {
            true => Ok(()),
            false => Err(Error::argument(format!(
                "{}: the targets of a sample have shape {given:?}, but {who} wants {wanted:?}",
                self.name
            ))),
        }
    }

    fn fits(&self, who: &str, each: usize, wanted: usize) -> Result<(), Error> {
        match each == wanted {
            true => Ok(()),
            false => {
                let name = &self.name;
                Err(Error::argument(format!("{who} takes {wanted} labels a sample, but {name} has {each}")))
            }
        }
    }

    /// Makes targets classes, or what cross-entropy takes as well: distributions over them.
    fn classes(&mut self, who: &str, objective: &Objective, output: &[usize]) -> Result<Aim, Error> {
        let axes = [&[self.train.n], output].concat();
        let axis = if output.is_empty() { 0 } else { objective.classes(&axes)? - 1 };
        let scores = Scores::along(axis, output);
        let is_entropy = objective.data == DataTerm::CrossEntropy;
        if is_entropy && scores.classes == 1 {
            return Err(Error::argument(format!(
                "{who} has one output: its cross_entropy is 0 whatever theta is; binary_cross_entropy is for one"
            )));
        }
        let each = self.train.targets.as_ref().map_or(0, Targets::per_sample);
        if is_entropy && each == scores.classes * scores.places {
            self.lie_as(who, output)?;
            return self.distributions(objective, &scores);
        }
        let first = Scores::along(0, output);
        if objective.class_axis.is_none() && output.len() > 1 && each == first.places {
            let (also, or) = match each == scores.places {
                true => (" and where they are along the last", ", as torch has it, or class_axis = -1"),
                false => ("", ""),
            };
            return Err(Error::argument(format!(
                "{who} gives {output:?} a sample and {} has {each} labels, which fit where classes are along axis 1{also}: \
                 set class_axis = 1{or}",
                self.name
            )));
        }
        self.classify(objective.ignore_index)?;
        self.fits(who, each, scores.places)?;
        let places: Vec<usize> = (0..output.len()).filter(|other| *other != axis).map(|other| output[other]).collect();
        self.lie_as(who, &places)?;
        self.check_classes(who, scores.classes)?;
        self.weigh(who, objective, scores.classes)?;
        Ok(Aim::Classes)
    }

    /// Takes targets as a distribution for each place, or as the classes that they say, if each says one.
    fn distributions(&mut self, objective: &Objective, scores: &Scores) -> Result<Aim, Error> {
        let each = scores.classes * scores.places;
        if let Some(index) = objective.ignore_index {
            return Err(Error::argument(format!("option ignore_index: {index}, but the targets are no classes")));
        }
        let mut is_hot = objective.class_weights.is_none();
        for (split, samples) in self.splits() {
            let Some(targets) = &samples.targets else { continue };
            for (sample, p) in (0..samples.n).flat_map(|sample| (0..scores.places).map(move |p| (sample, p))) {
                let values = || scores.of(p).map(|at| targets.get(sample * each + at));
                is_hot &= values().all(|q| q == 0.0 || q == 1.0);
                let sum: f64 = values().sum();
                if values().any(|q| !(0.0..=1.0).contains(&q)) || (sum - 1.0).abs() > SUM_ERROR {
                    return Err(Error::argument(format!(
                        "{}: {split} sample {sample} has a target for each output, but along the axis of classes they are no \
                         distribution: their sum is {sum} (class_axis says which axis that is)",
                        self.name
                    )));
                }
            }
        }
        for samples in [&mut self.train, &mut self.test] {
            let Some(targets) = samples.targets.take() else { continue };
            samples.targets = Some(if is_hot {
                let class = |i: usize| {
                    let first = i / scores.places * each;
                    let hot = scores.of(i % scores.places).position(|at| targets.get(first + at) == 1.0);
                    hot.unwrap_or(0) as u32
                };
                let count = samples.n * scores.places;
                let values = memory::collected(count, (0..count).map(class))?;
                Targets::Classes { values, per_sample: scores.places }
            } else {
                let count = samples.n * each;
                let values = memory::collected(count, (0..count).map(|i| targets.get(i)))?;
                Targets::Reals { values, per_sample: each }
            });
        }
        Ok(if is_hot { Aim::Classes } else { Aim::Numbers })
    }

    /// Where labels count differently, the factor of each: the mean over a part is one by the weights of its labels.
    fn weigh(&mut self, who: &str, objective: &Objective, classes: usize) -> Result<(), Error> {
        let weights = objective.class_weights.as_deref();
        if let Some(weights) = weights.filter(|weights| weights.len() != classes) {
            let n = weights.len();
            return Err(Error::argument(format!(
                "option class_weights has {n} factors, but {who} has {classes} classes"
            )));
        }
        let of = |label: u32| weights.map_or(1.0, |weights| weights[label as usize]);
        for (split, samples) in [("train", &mut self.train), ("test", &mut self.test)] {
            let Some(Targets::Classes { values, per_sample }) = &samples.targets else { continue };
            // Labels that are ignored were marked when they became classes.
            let marks = samples.factors.take();
            if weights.is_none() && marks.is_none() && objective.ignore_index.is_none() {
                continue;
            }
            let counts = |i: usize| marks.as_ref().map_or(1.0, |marks| marks[i]);
            let sum: f64 = values.iter().enumerate().map(|(i, label)| counts(i) * of(*label)).sum();
            if sum == 0.0 && samples.n > 0 {
                let name = &self.name;
                return Err(Error::argument(format!("{name}: no {split} label counts for anything")));
            }
            let scale = values.len() as f64 / sum;
            let own = |i: usize| samples.weights.as_ref().map_or(1.0, |weights| weights[i / per_sample]);
            let factors = (0..values.len()).map(|i| counts(i) * scale * own(i));
            samples.factors = Some(memory::collected(values.len(), factors)?);
        }
        Ok(())
    }

    /// Makes targets that are whole numbers from 0 classes, for an objective that needs classes. Where one label is to be
    /// ignored, it becomes class 0 and has the factor 0, all others 1.
    pub(crate) fn classify(&mut self, ignored: Option<i64>) -> Result<(), Error> {
        if let Some(ignored) = ignored {
            self.train.mark(ignored as f64)?;
            self.test.mark(ignored as f64)?;
        }
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
                _ => {
                    let hint = if *y < 0.0 { " (ignore_index names one that counts for nothing)" } else { "" };
                    Err(Error::argument(format!(
                        "{name}: {split} sample {} has label {y}, expected a class, a whole number from 0{hint}",
                        i / per_sample
                    )))
                }
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

impl Samples {
    /// Factors of labels: 0 for this one, which becomes class 0.
    fn mark(&mut self, ignored: f64) -> Result<(), Shortage> {
        let Some(targets) = &mut self.targets else { return Ok(()) };
        let count = self.n * targets.per_sample();
        let mark = |i: usize| f64::from(u8::from(targets.get(i) != ignored));
        self.factors = Some(memory::collected(count, (0..count).map(mark))?);
        match targets {
            Targets::Classes { values, .. } => {
                values.iter_mut().filter(|y| f64::from(**y) == ignored).for_each(|y| *y = 0);
            }
            Targets::Reals { values, .. } => values.iter_mut().filter(|y| **y == ignored).for_each(|y| *y = 0.0),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_become_what_a_term_wants() {
        let digits = Dataset::open("digits").unwrap();
        let aim = |term: DataTerm, output: &[usize]| {
            digits.clone().aim("net", &term.into(), output).map_err(|error| error.text)
        };
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
        assert!(bare.aim("net", &DataTerm::Mse.into(), &[1]).unwrap_err().text.contains("has no labels"));
        // As many numbers, along other axes.
        let mut turned = digits.clone();
        turned.aims = Some(vec![2, 5]);
        for part in [&mut turned.train, &mut turned.test] {
            part.targets = Some(Targets::Reals { values: vec![0.5; 10 * part.n], per_sample: 10 });
        }
        let aim =
            |output: &[usize]| turned.clone().aim("net", &DataTerm::Mse.into(), output).map_err(|error| error.text);
        assert_eq!((aim(&[2, 1, 5]), aim(&[10])), (Ok(Aim::Numbers), Ok(Aim::Numbers)));
        assert!(aim(&[5, 2]).unwrap_err().ends_with("the targets of a sample have shape [2, 5], but net wants [5, 2]"));
        let mut pairs = digits.clone();
        for part in [&mut pairs.train, &mut pairs.test] {
            part.targets = Some(Targets::Reals { values: vec![0.5; 2 * part.n], per_sample: 2 });
        }
        assert_eq!(pairs.clone().aim("net", &DataTerm::Mse.into(), &[2]), Ok(Aim::Numbers));
        assert_eq!(pairs.aim("net", &DataTerm::BinaryCrossEntropy.into(), &[2]), Ok(Aim::Numbers));
    }
}
