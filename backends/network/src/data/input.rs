//! One input of a data set: what a sample's numbers are and what is done to them before a network sees them.

use mountainpass_sdk::Error;

/// What one sample supplies: `shape` in C order, as the file has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// The array's name, `x` where the format has none.
    pub name: String,
    /// The axes of one sample.
    pub shape: Vec<usize>,
    /// Which axis counts channels; `None` where nobody said or there is but one.
    pub channels: Option<Channels>,
    /// What is done to a value where a network takes numbers. Indices are taken as they are.
    pub normalise: Normalise,
}

/// Where an image's channels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// `[channels, height, width]`
    First,
    /// `[height, width, channels]`
    Last,
}

impl Channels {
    /// Reads `first` or `last`.
    pub(crate) fn parse(text: &str) -> Result<Channels, Error> {
        match text {
            "first" => Ok(Channels::First),
            "last" => Ok(Channels::Last),
            other => Err(Error::unknown("value of channels", other, &["first", "last"])),
        }
    }
}

impl std::fmt::Display for Channels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if *self == Channels::First { "first" } else { "last" })
    }
}

impl Input {
    /// The numbers of one sample.
    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }

    /// How many channels there are, 1 where none are known.
    pub fn n_channels(&self) -> usize {
        match self.channels {
            None => 1,
            Some(Channels::First) => self.shape.first().copied().unwrap_or(1),
            Some(Channels::Last) => self.shape.last().copied().unwrap_or(1),
        }
    }

    /// The channel of the number at `place` of a sample.
    pub(crate) fn channel(&self, place: usize) -> usize {
        match self.channels {
            None => 0,
            Some(Channels::First) => place / (self.size() / self.n_channels()).max(1),
            Some(Channels::Last) => place % self.n_channels(),
        }
    }
}

/// A value v becomes (v / divisor - mean) / std, in f64.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalise {
    /// Values are divided by it first.
    pub divisor: f64,
    /// One for all, or one for each channel.
    pub mean: Vec<f64>,
    /// One for all, or one for each channel; positive.
    pub std: Vec<f64>,
}

impl Normalise {
    /// Division alone, which no other step may round.
    pub fn by(divisor: f64) -> Normalise {
        Normalise { divisor, mean: vec![0.0], std: vec![1.0] }
    }

    /// Whether values stay as they are.
    pub fn is_identity(&self) -> bool {
        *self == Normalise::by(1.0)
    }

    /// What becomes of a value in a channel.
    pub fn apply(&self, value: f64, channel: usize) -> f64 {
        let at = |values: &[f64]| if values.len() == 1 { values[0] } else { values[channel] };
        (value / self.divisor - at(&self.mean)) / at(&self.std)
    }

    /// Reads the option `normalise`: `none`, or any of `divisor D`, `mean M`, `std S` one after the other, where M and
    /// S are one number or one for each channel, joined by commas. What is not said stays the format's.
    pub(crate) fn parse(text: &str, input: &Input) -> Result<Normalise, Error> {
        let wrong = |what: String| {
            let form = "give none, or divisor D, mean M and std S as in \"mean 0.49,0.48,0.45 std 0.25,0.24,0.26\"";
            Error::argument(format!("option normalise: {text:?} {what}: {form}"))
        };
        if text.trim() == "none" {
            return Ok(Normalise::by(1.0));
        }
        let mut normalise = input.normalise.clone();
        let words: Vec<&str> = text.split_whitespace().collect();
        if words.is_empty() {
            return Err(wrong("says nothing".into()));
        }
        for pair in words.chunks(2) {
            let [key, list] = pair else { return Err(wrong(format!("ends with {:?}", pair[0]))) };
            let number = |text: &str| match text.parse::<f64>() {
                Ok(number) if number.is_finite() && (*key == "mean" || number > 0.0) => Ok(number),
                _ => Err(wrong(format!("has {key} {text:?}"))),
            };
            let numbers = list.split(',').map(number).collect::<Result<Vec<f64>, Error>>()?;
            let channels = input.n_channels();
            match (*key, &numbers[..]) {
                ("divisor", [divisor]) => normalise.divisor = *divisor,
                ("mean" | "std", _) if numbers.len() != 1 && numbers.len() != channels => {
                    let n = numbers.len();
                    return Err(wrong(format!("has {n} numbers for {key}, where channels number {channels}")));
                }
                ("mean", _) => normalise.mean = numbers,
                ("std", _) => normalise.std = numbers,
                _ => return Err(wrong(format!("has {key} {list}"))),
            }
        }
        Ok(normalise)
    }
}

impl std::fmt::Display for Normalise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "/ {}", self.divisor)?;
        match (&self.mean[..], &self.std[..]) {
            ([0.0], [1.0]) => Ok(()),
            (mean, std) => write!(f, " - {mean:?} / {std:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(channels: Channels) -> Input {
        let shape = if channels == Channels::First { vec![3, 2, 2] } else { vec![2, 2, 3] };
        Input { name: "x".into(), shape, channels: Some(channels), normalise: Normalise::by(255.0) }
    }

    #[test]
    fn channels_are_counted_first_or_last() {
        let of = |channels| (0..12).map(|k| image(channels).channel(k)).collect::<Vec<_>>();
        assert_eq!(of(Channels::First), [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
        assert_eq!(of(Channels::Last), [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn a_normalisation_says_what_it_does() {
        let parse = |text| Normalise::parse(text, &image(Channels::First));
        let normalise = parse("mean 0.5,0.25,0 std 0.5").unwrap();
        assert_eq!(normalise.to_string(), "/ 255 - [0.5, 0.25, 0.0] / [0.5]");
        assert_eq!(normalise.apply(255.0, 1), 1.5);
        assert!(parse("none").unwrap().is_identity());
        assert_eq!(parse("divisor 16").unwrap(), Normalise::by(16.0));
        for wrong in ["", "mean", "mean 1,2", "std 0", "std -1,1,1", "mean nan", "divisor 1,2", "scale 3", "16"] {
            assert!(parse(wrong).unwrap_err().text.starts_with("option normalise: "), "{wrong}");
        }
    }
}
