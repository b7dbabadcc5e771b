//! From a data set to a model's input slots: which array feeds which, in which order of axes, in which numbers.

use super::dataset::{Dataset, Samples};
use super::input::{Channels, Input, Normalise};
use super::stored::Stored;
use crate::graph::op::Element;
use crate::model::Feature;
use mountainpass_sdk::Error;
use mountainpass_sdk::memory::{self, Shortage};

/// How one slot of a model is filled.
#[derive(Clone, Debug)]
pub struct Feed {
    /// Which input of the data set.
    input: usize,
    element: Element,
    /// For every number of the slot, its place in a stored sample and its channel.
    places: Vec<(usize, usize)>,
    normalise: Normalise,
}

/// How filled slots lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Sample after sample.
    Samples,
    /// The first number of every sample, then the second of every sample, and so on.
    Numbers,
}

impl Dataset {
    /// One feed for each slot of a model, which messages call `who`. Arrays are matched by name; one input and one slot
    /// match under any names. A slot takes a sample of its own shape, of the same shape but for axes of length 1, the
    /// flattened sample in the order of the file, or the image with its channels moved to the other end. Where the
    /// shape fits as it is, it is taken as it is.
    pub fn feeds(&self, who: &str, slots: &[Feature]) -> Result<Vec<Feed>, Error> {
        let single = self.inputs.len() == 1 && slots.len() == 1;
        let names = |names: Vec<&str>| if names.is_empty() { "none".into() } else { names.join(", ") };
        let lists = || {
            let slots = names(slots.iter().map(|s| s.name.as_str()).collect());
            let inputs = names(self.inputs.iter().map(|i| i.name.as_str()).collect());
            format!("{who} takes {slots}, and {} has {inputs}: name the arrays as the model does", self.name)
        };
        if let Some(extra) = self.inputs.iter().find(|i| !single && slots.iter().all(|s| s.name != i.name)) {
            return Err(Error::argument(format!("array {:?} feeds nothing: {}", extra.name, lists())));
        }
        let feed = |slot: &Feature| {
            let found = self.inputs.iter().position(|i| single || i.name == slot.name);
            let index = found.ok_or_else(|| Error::argument(format!("no array {:?}: {}", slot.name, lists())))?;
            let input = &self.inputs[index];
            let places = places(input, &slot.shape)?.ok_or_else(|| {
                let (name, stored, wanted) = (&self.name, &input.shape, &slot.shape);
                let channels = match input.channels {
                    None if stored.len() == 3 => "; option channels says where its channels are",
                    _ => "",
                };
                let whose = &slot.name;
                Error::argument(format!(
                    "{name}: samples have shape {stored:?}, but {who} takes {wanted:?} as {whose}{channels}"
                ))
            })?;
            if slot.element == Element::Index {
                self.check_indices(index)?;
            }
            let channels = places.into_iter().map(|place| (place, input.channel(place)));
            let places = memory::collected(input.size(), channels)?;
            Ok(Feed { input: index, element: slot.element, places, normalise: input.normalise.clone() })
        };
        slots.iter().map(feed).collect()
    }

    /// Refuses indices that a table of so many rows has no row for: of the slot that `feed` fills the numbers that are
    /// `reached` from there.
    pub fn check_rows(&self, (feed, reached): (&Feed, &[bool]), who: &str, rows: usize) -> Result<(), Error> {
        let places = feed.places.iter().zip(reached).filter(|(_, is_reached)| **is_reached);
        let places: Vec<usize> = places.map(|((place, _), _)| *place).collect();
        for (split, samples) in self.splits() {
            let values = &samples.inputs[feed.input()];
            let all = (0..samples.n).flat_map(|sample| places.iter().map(move |place| (sample, *place)));
            let at = |(sample, place): (usize, usize)| values.get(sample * feed.size() + place);
            if let Some((sample, place)) = all.into_iter().find(|which| !(0.0..rows as f64).contains(&at(*which))) {
                let (name, value) = (&self.name, at((sample, place)));
                return Err(Error::argument(format!(
                    "{name}: {split} sample {sample} has token {value}, but {who} knows {rows} (they count from 0)"
                )));
            }
        }
        Ok(())
    }

    /// Refuses an input that does not hold whole numbers. Which of them are rows of a table is asked table by table: others
    /// may say what does not count, as -100 does.
    fn check_indices(&self, index: usize) -> Result<(), Error> {
        let Input { name: array, normalise, .. } = &self.inputs[index];
        if !normalise.is_identity() {
            let name = &self.name;
            return Err(Error::argument(format!("{name}: {array} is taken as indices, but normalised by {normalise}")));
        }
        for (split, samples) in self.splits() {
            let values = &samples.inputs[index];
            if let Some(i) = values.position(|v| v.fract() != 0.0 || v.abs() > f64::from(u32::MAX)) {
                let (sample, value, name) = (i / (values.len() / samples.n).max(1), values.get(i), &self.name);
                return Err(Error::argument(format!(
                    "{name}: {split} sample {sample} has {value} in {array}, expected a whole number"
                )));
            }
        }
        Ok(())
    }
}

/// For every number of a slot of shape `wanted`, its place in a sample; `None` if they do not fit.
fn places(input: &Input, wanted: &[usize]) -> Result<Option<Vec<usize>>, Shortage> {
    let long = |shape: &[usize]| shape.iter().copied().filter(|n| *n != 1).collect::<Vec<_>>();
    let (shape, size) = (&input.shape, input.size());
    if long(shape) == long(wanted) || (wanted.len() == 1 && wanted[0] == size) {
        return memory::collected(size, 0..size).map(Some);
    }
    let (&[a, b, c], Some(channels)) = (&shape[..], input.channels) else { return Ok(None) };
    match channels {
        // [c, h, w] to [h, w, c]: number k = (h, w, c) is at place (c, h, w).
        Channels::First if wanted == [b, c, a] => {
            memory::collected(size, (0..size).map(|k| k % a * (b * c) + k / a)).map(Some)
        }
        Channels::Last if wanted == [c, a, b] => {
            memory::collected(size, (0..size).map(|k| k % (a * b) * c + k / (a * b))).map(Some)
        }
        _ => Ok(None),
    }
}

impl Feed {
    /// The numbers of one sample.
    pub fn size(&self) -> usize {
        self.places.len()
    }

    /// Which input of the data set.
    pub(crate) fn input(&self) -> usize {
        self.input
    }

    /// What the slot takes.
    pub fn element(&self) -> Element {
        self.element
    }

    /// Writes the `out.len() / size()` samples `id(0)`, `id(1)`, ... of a split; `from` rounds to the run's type. The
    /// caller has checked that ids are below `samples.n`.
    pub fn fill<T: Copy>(
        &self,
        samples: &Samples,
        id: impl Fn(usize) -> usize,
        layout: Layout,
        from: impl Fn(f64) -> T,
        out: &mut [T],
    ) {
        let number = |value: f64, channel: usize| match self.element {
            Element::Real => from(self.normalise.apply(value, channel)),
            Element::Index => from(value),
        };
        let number = &number;
        match &samples.inputs[self.input] {
            Stored::Bytes(values) => {
                let channels = self.places.iter().map(|(_, channel)| channel + 1).max().unwrap_or(0);
                let table = |channel| std::array::from_fn(|b| number(b as f64, channel));
                let tables: Vec<[T; 256]> = (0..channels).map(table).collect();
                let tables = &tables;
                let look = |channel: usize| {
                    let table = &tables[channel];
                    move |byte: u8| table[usize::from(byte)]
                };
                self.spread(values, id, layout, look, out);
            }
            Stored::Singles(values) => self.spread(values, id, layout, |c| move |v| number(f64::from(v), c), out),
            Stored::Reals(values) => self.spread(values, id, layout, |c| move |v| number(v, c), out),
            Stored::Indices(values) => self.spread(values, id, layout, |c| move |v| number(f64::from(v), c), out),
        }
    }

    /// Sample after sample, or, where the first number of all comes first, sixteen samples at a time, so that both sides
    /// stay in cache lines.
    fn spread<S: Copy, T, C: Fn(S) -> T>(
        &self,
        values: &[S],
        id: impl Fn(usize) -> usize,
        layout: Layout,
        of_channel: impl Fn(usize) -> C,
        out: &mut [T],
    ) {
        let size = self.size();
        let n = out.len() / size.max(1);
        if layout == Layout::Samples {
            for (i, out) in out.chunks_exact_mut(size).enumerate() {
                let sample = &values[id(i) * size..][..size];
                for (out, (place, channel)) in out.iter_mut().zip(&self.places) {
                    *out = of_channel(*channel)(sample[*place]);
                }
            }
            return;
        }
        for start in (0..n).step_by(16) {
            let block = 16.min(n - start);
            let mut samples = [0; 16];
            samples.iter_mut().take(block).enumerate().for_each(|(i, at)| *at = id(start + i) * size);
            for (k, (place, channel)) in self.places.iter().enumerate() {
                let convert = of_channel(*channel);
                for (out, sample) in out[k * n + start..][..block].iter_mut().zip(&samples) {
                    *out = convert(values[sample + place]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slot(name: &str, shape: &[usize], element: Element) -> Feature {
        Feature { name: name.into(), shape: shape.to_vec(), element }
    }

    /// Two samples of 12 numbers, 0 to 23.
    fn set(shape: &[usize], channels: Option<Channels>) -> Dataset {
        let input = Input { name: "x".into(), shape: shape.to_vec(), channels, normalise: Normalise::by(1.0) };
        let train = Samples::new(2, vec![Stored::Bytes((0..24).collect())], None);
        let test = train.none().unwrap();
        Dataset { name: "made".into(), inputs: vec![input], aims: None, train, test, choices: String::new() }
    }

    fn filled(set: &Dataset, shape: &[usize], layout: Layout) -> Vec<f64> {
        let feeds = set.feeds("net", &[slot("any", shape, Element::Real)]).unwrap();
        let mut out = vec![f64::NAN; 24];
        feeds[0].fill(&set.train, |i| 1 - i, layout, |v| v, &mut out);
        out
    }

    #[test]
    fn channels_move_to_the_end_a_model_wants() {
        let last: Vec<f64> = [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11].map(f64::from).to_vec();
        let first = set(&[3, 2, 2], Some(Channels::First));
        assert_eq!(filled(&first, &[2, 2, 3], Layout::Samples)[12..], last);
        assert_eq!(filled(&first, &[12], Layout::Samples)[12..], (0..12).map(f64::from).collect::<Vec<_>>());
        // And back again: what is stored last is delivered first.
        let mut back = set(&[2, 2, 3], Some(Channels::Last));
        back.train.inputs = vec![Stored::Bytes(last.iter().chain(&last).map(|v| *v as u8).collect())];
        assert_eq!(filled(&back, &[3, 2, 2], Layout::Samples)[12..], (0..12).map(f64::from).collect::<Vec<_>>());
    }

    #[test]
    fn numbers_first_is_the_transpose_of_samples_first() {
        let set = set(&[12], None);
        let (rows, columns) = (filled(&set, &[12], Layout::Samples), filled(&set, &[12], Layout::Numbers));
        assert!((0..24).all(|j| rows[j] == columns[j % 12 * 2 + j / 12]));
    }

    #[test]
    fn each_channel_has_its_own_mean() {
        let mut set = set(&[3, 2, 2], Some(Channels::First));
        set.inputs[0].normalise = Normalise { divisor: 2.0, mean: vec![0.0, 2.0, 4.0], std: vec![0.5] };
        let expected: Vec<f64> = (0..12).map(|k| (f64::from(k) / 2.0 - f64::from(k / 4 * 2)) / 0.5).collect();
        assert_eq!(filled(&set, &[3, 2, 2], Layout::Samples)[12..], expected);
        // A reader of another type of the same numbers does the same.
        let bytes = filled(&set, &[2, 2, 3], Layout::Samples);
        set.train.inputs = vec![Stored::Singles((0..24).map(|v| v as f32).collect())];
        assert_eq!(filled(&set, &[2, 2, 3], Layout::Samples), bytes);
    }

    #[test]
    fn what_does_not_fit_is_said_with_both_sides() {
        let text = |set: &Dataset, slots: &[Feature]| set.feeds("net", slots).unwrap_err().text;
        let unknown = set(&[3, 2, 2], None);
        assert_eq!(
            text(&unknown, &[slot("image", &[2, 2, 3], Element::Real)]),
            "made: samples have shape [3, 2, 2], but net takes [2, 2, 3] as image; option channels says where its \
             channels are"
        );
        let two = [slot("ids", &[12], Element::Index), slot("mask", &[12], Element::Index)];
        assert!(text(&unknown, &two).starts_with("array \"x\" feeds nothing: net takes ids, mask, and made has x"));
        let two = [slot("x", &[12], Element::Index), slot("mask", &[12], Element::Index)];
        assert!(text(&unknown, &two).starts_with("no array \"mask\": "));
        let mut half = set(&[12], None);
        half.train.inputs = vec![Stored::Reals((0..24).map(|v| f64::from(v) / 2.0).collect())];
        assert!(text(&half, &[slot("x", &[12], Element::Index)]).contains("train sample 0 has 0.5 in x"));
    }

    proptest! {
        #[test]
        fn moving_channels_loses_no_number(a in 1usize..5, b in 1usize..5, c in 1usize..5, first: bool) {
            let channels = if first { Channels::First } else { Channels::Last };
            let input = Input { name: String::new(), shape: vec![a, b, c], channels: Some(channels), normalise: Normalise::by(1.0) };
            let wanted = if first { [b, c, a] } else { [c, a, b] };
            let mut all = places(&input, &wanted).unwrap().unwrap();
            all.sort_unstable();
            prop_assert_eq!(all, (0..a * b * c).collect::<Vec<_>>());
        }
    }
}
