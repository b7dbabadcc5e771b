//! The options that only some formats of data know.

use super::input::Channels;
use mountainpass_sdk::Error;

/// Options that some formats know; what is left after reading was given in vain.
#[derive(Default)]
pub(crate) struct Choices<'a> {
    /// `fine` or `coarse`, of CIFAR-100.
    pub labels: Option<&'a str>,
    /// The length of windows of tokens.
    pub context: Option<usize>,
    /// Where the channels of arrays are.
    pub channels: Option<Channels>,
    /// The array that says what each sample counts for.
    pub sample_weights: Option<&'a str>,
}

impl Choices<'_> {
    pub(super) fn finish(&self, name: &str) -> Result<(), Error> {
        let left = [
            ("labels", self.labels.is_some(), "chooses between the labels of CIFAR-100"),
            ("context", self.context.is_some(), "is for token ids in a .npy file"),
            ("sample_weights", self.sample_weights.is_some(), "names an array beside those of the samples"),
            ("channels", self.channels.is_some(), "is for arrays, whose format does not say where channels are"),
        ];
        match left.iter().find(|(_, given, _)| *given) {
            Some((key, _, use_)) => Err(Error::argument(format!("option {key} {use_}; data is {name}"))),
            None => Ok(()),
        }
    }
}
